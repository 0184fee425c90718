/* Verifying and signing without a file: the same engine, for tests, command lines and emulators. */
#include <string.h>

#include "error.h"
#include "receipt.h"

/* A scheme and its keys for one call. */
typedef struct {
	const scheme *scheme;
	scheme *own;
	scheme_keys *keys;
	scheme_request request;
} pure_call;

static int32_t pure_open(const knocker_request *q, bool to_sign, pure_call *c, knocker_error *error)
{
	int32_t rc;

	memset(c, 0, sizeof *c);
	if (q->provider.len <= 0)
		return fail(error, KNOCKER_INVALID_ARGUMENT,
		            "provider is missing: a built-in's name or a scheme's JSON");
	rc = request_headers_check(q->headers, error);
	if (rc < 0)
		return rc;
	if (bytes_starts(q->provider, "{")) {
		rc = scheme_compile(q->provider, &c->own, error);
		c->scheme = c->own;
	} else {
		rc = scheme_builtin(q->provider, &c->scheme, error);
	}
	if (rc == 0 && !c->scheme)
		rc = fail(error, KNOCKER_INVALID_ARGUMENT, "no provider is named '%.*s'",
		          QUOTED(q->provider));
	if (rc == 0)
		rc = (to_sign ? scheme_keys_to_sign : scheme_keys_new)(c->scheme, q->secrets_json,
		                                                       q->options_json, &c->keys, error);
	c->request = (scheme_request){q->method, q->headers, q->query, q->body};
	return rc;
}

static void pure_close(pure_call *c)
{
	scheme_keys_free(c->keys);
	scheme_free(c->own);
}

int32_t receipt_verify(const knocker_request *request, int64_t now_ms, knocker_rows **out,
                       knocker_error *error)
{
	scheme_verdict v = {0};
	arena a = {0};
	pure_call c;
	int32_t rc = pure_open(request, false, &c, error);

	if (rc == 0)
		rc = scheme_verify(c.scheme, c.keys, &c.request, now_ms / 1000, &a, &v, error);
	if (rc == 0)
		rc = rows_new(
			"valid, error, event_type, provider_event_id, provider_delivery_id, dedupe_key, response_status, "
			"response_headers, response_body",
			out, error);
	if (rc == 0)
		rc = rows_add(*out,
		              (const knocker_value[]){INT(v.valid), TEXT(bytes_of(v.error)),
		                                      TEXT(v.event_type), TEXT(v.provider_event_id),
		                                      TEXT(v.provider_delivery_id), TEXT(v.dedupe_key),
		                                      INT(v.status), TEXT(v.response_headers),
		                                      BLOB(v.response_body)},
		              error);
	pure_close(&c);
	arena_free(&a);
	return rc;
}

int32_t receipt_sign(const knocker_request *request, int64_t now_ms, knocker_rows **out,
                     knocker_error *error)
{
	knocker_bytes name, value;
	size_t at = 0;
	buffer lines;
	pure_call c;
	int32_t rc = pure_open(request, true, &c, error);

	buffer_init(&lines, LIMIT_HEADERS);
	if (rc == 0)
		rc = scheme_sign(c.scheme, c.keys, &c.request, now_ms / 1000, &lines, error);
	if (rc == 0 && lines.failed)
		rc = fail_memory(error);
	if (rc == 0)
		rc = rows_new("name, value", out, error);
	while (rc == 0 && request_header_next(buffer_view(&lines), &at, &name, &value))
		rc = rows_add(*out, (const knocker_value[]){TEXT(name), TEXT(value)}, error);
	pure_close(&c);
	buffer_free(&lines);
	return rc;
}
