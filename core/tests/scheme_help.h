/* How the tests of the signature engine ask it: one request, one verdict. */
#ifndef KNOCKER_SCHEME_HELP_H
#define KNOCKER_SCHEME_HELP_H

#include <string.h>

#include "bounds.h"
#include "check.h"
#include "crypto.h"
#include "scheme.h"

typedef struct {
	const char *provider, *own;    /* a built-in's name, or a scheme's JSON */
	const char *secrets, *options; /* JSON */
	const char *method, *headers, *query, *body;
	int64_t body_len; /* 0: to the first NUL */
	int64_t now_s;
} ask;

static arena ask_memory; /* what the last verdict lends lives here until the next one */
static knocker_error ask_error;

static const scheme *ask_scheme(const ask *a, scheme **own)
{
	const scheme *s = NULL;
	int32_t rc;

	*own = NULL;
	rc = a->own ? scheme_compile(bytes_of(a->own), own, &ask_error)
	            : scheme_builtin(bytes_of(a->provider), &s, &ask_error);
	if (rc < 0)
		printf("  %s\n", ask_error.text);
	return *own ? *own : s;
}

/* A verdict with the error "?" is none. */
static inline scheme_verdict ask_verdict(ask a)
{
	scheme_verdict v = {.error = "?"};
	scheme_keys *keys = NULL;
	scheme *own;
	const scheme *s = ask_scheme(&a, &own);
	scheme_request request = {bytes_of(a.method), bytes_of(a.headers), bytes_of(a.query),
	                          bytes_of(a.body)};
	static char error_text[200];

	if (a.body_len > 0)
		request.body.len = a.body_len;
	arena_free(&ask_memory);
	if (s && scheme_keys_new(s, bytes_of(a.secrets), bytes_of(a.options), &keys, &ask_error) < 0)
		printf("  %s\n", ask_error.text);
	if (keys && scheme_verify(s, keys, &request, a.now_s, &ask_memory, &v, &ask_error) < 0)
		v = (scheme_verdict){.error = "?"};
	if (v.error) {
		snprintf(error_text, sizeof error_text, "%s", v.error);
		v.error = error_text;
	}
	scheme_keys_free(keys);
	/* Texts of a scheme's own may be lent too, so what is kept is copied before it goes. */
	if (own) {
		knocker_bytes *texts[] = {&v.event_type,  &v.provider_event_id, &v.provider_delivery_id,
		                          &v.dedupe_key,  &v.response_headers,  &v.response_body,
		                          &v.store_secret};
		size_t i;

		for (i = 0; i < sizeof texts / sizeof texts[0]; i++)
			arena_copy(&ask_memory, *texts[i], texts[i]);
	}
	scheme_free(own);
	return v;
}

/* The HMAC-SHA256 of the text in hexadecimal. */
static inline const char *hmac_hex(const char *key, knocker_bytes text)
{
	static char hex[2 * DIGEST_MAX + 1];
	uint8_t mac[DIGEST_MAX];
	size_t i, len = crypto_hmac(DIGEST_SHA256, bytes_of(key), &text, 1, mac);

	for (i = 0; i < len; i++)
		snprintf(hex + 2 * i, 3, "%02x", mac[i]);
	return hex;
}

/* The bytes in padded base64. */
static inline void base64_write(const uint8_t *bytes, size_t len, char *out)
{
	static const char alphabet[] =
		"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
	size_t i;

	for (i = 0; i < len; i += 3) {
		uint32_t three = (uint32_t)bytes[i] << 16 |
		                 (i + 1 < len ? (uint32_t)bytes[i + 1] << 8 : 0) |
		                 (i + 2 < len ? bytes[i + 2] : 0);

		*out++ = alphabet[three >> 18];
		*out++ = alphabet[three >> 12 & 63];
		*out++ = i + 1 < len ? alphabet[three >> 6 & 63] : '=';
		*out++ = i + 2 < len ? alphabet[three & 63] : '=';
	}
	*out = '\0';
}

#endif
