/* The signature engine: a scheme is data, compiled once; a request and keys go in, a verdict comes
 * out. Pure: no clock, no I/O, no provider's name in code. The grammar is docs/schemes.md. A
 * compiled scheme and its keys are immutable and shared between threads. */
#ifndef KNOCKER_SCHEME_H
#define KNOCKER_SCHEME_H

#include "bytes.h"

typedef struct scheme scheme;
/* The decoded secrets and checked options of one registration; cleansed when freed. */
typedef struct scheme_keys scheme_keys;

/* A built-in by name or alias, compiled at first use and kept for the process's life; `*out` NULL
 * and 0 when no provider is named so. */
int32_t scheme_builtin(knocker_bytes name, const scheme **out, knocker_error *error);
int32_t scheme_builtin_count(void);
/* Metadata of the n-th built-in, in order of name; all texts end with NUL and live as long as the
 * process. */
typedef struct {
	const char *name, *version, *title, *kind;
	int32_t has_replay_window;
	const char *options_json;
	int32_t curated; /* one of the names that every language's interface promises */
} scheme_info;
int32_t scheme_builtin_info(int32_t n, scheme_info *out, knocker_error *error);

/* Compiles an application's own scheme. An unknown word anywhere is KNOCKER_INVALID_ARGUMENT and
 * named. Freed with scheme_free. */
int32_t scheme_compile(knocker_bytes json_text, scheme **out, knocker_error *error);
void scheme_free(scheme *s); /* NULL is fine; never a built-in */

/* Checks and decodes. Absent `secrets_json` is an error where the scheme needs a secret, unless a
 * handshake of it stores the secret. Unknown options and wrong values are errors that name them; a
 * secret that is no key of this scheme, or a pair's private one, is one too, without its text. */
int32_t scheme_keys_new(const scheme *s, knocker_bytes secrets_json, knocker_bytes options_json,
                        scheme_keys **out, knocker_error *error);
/* The same, and what is absent is that of `base`, made for the same scheme. */
int32_t scheme_keys_over(const scheme *s, const scheme_keys *base, knocker_bytes secrets_json,
                         knocker_bytes options_json, scheme_keys **out, knocker_error *error);
/* As scheme_keys_new, to sign with: of a pair's keys the private ones are taken too, as PEM or JWK.
 */
int32_t scheme_keys_to_sign(const scheme *s, knocker_bytes secrets_json, knocker_bytes options_json,
                            scheme_keys **out, knocker_error *error);
void scheme_keys_free(scheme_keys *keys); /* NULL is fine */
bool scheme_keys_have_secret(const scheme_keys *keys);

typedef struct {
	knocker_bytes method;  /* absent: POST */
	knocker_bytes headers; /* lines "name: value\n", checked with request_headers_check */
	knocker_bytes query;   /* raw */
	knocker_bytes body;
} scheme_request;

typedef struct {
	bool valid;
	bool handshake;     /* the answer is a handshake's: a delivery, never an event */
	bool has_signature; /* some signature text was there: an orphan without one keeps no body */
	bool body_is_credential; /* the credential stands in the body: a rejected receipt keeps none */
	const char *error; /* why it is not valid; a static text or the arena's; NULL when valid */
	knocker_bytes event_type, provider_event_id, provider_delivery_id, dedupe_key;
	int64_t status;                 /* to answer */
	knocker_bytes response_headers; /* lines; absent: none */
	knocker_bytes response_body;    /* absent: none */
	knocker_bytes store_secret;     /* a handshake handed over this secret; absent otherwise */
} scheme_verdict;

/* Never fails a request for what it holds; the only error is KNOCKER_STORAGE, no memory. Texts are
 * lent by the request or the arena. */
int32_t scheme_verify(const scheme *s, const scheme_keys *keys, const scheme_request *request,
                      int64_t now_s, arena *a, scheme_verdict *out, knocker_error *error);
/* Header lines to send so that scheme_verify says valid, under the first secret (appended to
 * `out`). */
int32_t scheme_sign(const scheme *s, const scheme_keys *keys, const scheme_request *request,
                    int64_t now_s, buffer *out, knocker_error *error);

/* ---- request*.c: header lines, queries, forms; what of a request may be stored ---- */

/* KNOCKER_INVALID_ARGUMENT for a line without a colon, an empty name, control characters, or over
 * the limits, and names it. */
int32_t request_headers_check(knocker_bytes headers, knocker_error *error);
bool request_header_next(knocker_bytes headers, size_t *at, knocker_bytes *name,
                         knocker_bytes *value); /* value trimmed */
bool request_name_char(char c);                 /* may stand in a header's name: RFC 9110's token */
bool request_name_valid(knocker_bytes name);    /* one to LIMIT_NAME of those */
/* Case-insensitive, and Rack's form: HTTP_X_NAME is x-name, CONTENT_TYPE is content-type. */
bool request_header_is(knocker_bytes name, const char *lower_case_name);
/* What is stored: a JSON object name -> value, or a list where a name came several times (names as
 * received). The values of credentials (authorization, proxy-authorization, cookie, and what the
 * scheme compares) are "[redacted]". `s` NULL: no scheme. */
int32_t request_headers_json(const scheme *s, const scheme_keys *keys, knocker_bytes headers,
                             buffer *out, knocker_error *error);
int32_t request_query_json(const scheme *s, const scheme_keys *keys, knocker_bytes query,
                           buffer *out, knocker_error *error);

#endif
