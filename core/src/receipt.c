/* One request on its way into the file: what it claims, by what it is verified, and its way through
 * the checks. */
#include "receipt.h"

#include <stdio.h>
#include <string.h>

#include "crypto.h"
#include "error.h"

/* ---- arguments ---- */

static int32_t receipt_check_sizes(const knocker_request *q, knocker_error *error)
{
	int32_t rc = inbox_range_check("max_attempts", q->max_attempts, 0, 1000000, error);

	if (rc == 0)
		rc = inbox_range_check("length of body", q->body.len, 0, INT32_MAX, error);
	if (rc == 0)
		rc = inbox_range_check("length of query", q->query.len, 0, LIMIT_QUERY, error);
	if (rc == 0)
		rc = inbox_range_check("verdict", q->verdict, KNOCKER_BY_SCHEME, KNOCKER_UNCHECKED, error);
	if (rc == 0)
		rc = request_headers_check(q->headers, error);
	return rc;
}

static int32_t receipt_check_method(receipt *r, knocker_error *error)
{
	int64_t i;

	r->method = r->request->method.len > 0 ? r->request->method : bytes_of("POST");
	for (i = 0; i < r->method.len; i++) {
		char c = ((const char *)r->method.data)[i];

		if (r->method.len > 32 || !((c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || c == '-'))
			return fail(error, KNOCKER_INVALID_ARGUMENT, "method '%.*s' is not an HTTP method",
			            QUOTED(r->method));
	}
	return 0;
}

static int32_t receipt_check(receipt *r, knocker_error *error)
{
	const knocker_request *q = r->request;
	struct {
		const char *what;
		knocker_bytes *text;
		knocker_bytes given;
	} texts[] = {
		{"event_type", &r->event_type, q->event_type},
		{"provider_event_id", &r->provider_event_id, q->provider_event_id},
		{"provider_delivery_id", &r->provider_delivery_id, q->provider_delivery_id},
		{"dedupe_key", &r->dedupe_key, q->dedupe_key},
	};
	knocker_bytes queue = q->queue_name;
	int32_t rc = inbox_name_check("endpoint", q->endpoint, error);
	size_t i;

	if (rc == 0)
		rc = receipt_check_sizes(q, error);
	if (rc == 0)
		rc = receipt_check_method(r, error);
	if (rc == 0)
		rc = inbox_text_check("queue_name", &queue, LIMIT_NAME, error);
	for (i = 0; rc == 0 && i < sizeof texts / sizeof *texts; i++) {
		*texts[i].text = texts[i].given;
		rc = inbox_text_check(texts[i].what, texts[i].text, i == 3 ? LIMIT_HEADERS : LIMIT_ID,
		                      error);
	}
	return rc;
}

/* ---- by what it is verified ---- */

static bool receipt_names_provider(const knocker_request *q)
{
	return q->provider.len > 0 && !bytes_is(q->provider, "none");
}

static bool receipt_has_json(knocker_bytes json_text)
{
	return json_text.len > 0 && !bytes_is(json_text, "null");
}

bool receipt_needs_row(inbox *in, const knocker_request *request, bool ingest)
{
	registration *r;

	if (ingest || receipt_names_provider(request) || request->endpoint.len <= 0)
		return false;
	r = registration_find(&in->registrations, request->endpoint);
	registration_leave(r);
	return r == NULL;
}

/* An application's word counts for a provider of its own only, never for one that has a scheme
 * here. */
static int32_t receipt_by_application(receipt *r, knocker_error *error)
{
	const registration *known = r->registration;
	bool named = receipt_names_provider(r->request);
	const scheme *builtin = NULL;
	int32_t rc = 0;

	if (known && known->scheme)
		return fail(error, KNOCKER_INVALID_ARGUMENT,
		            "endpoint '%.*s' is verified by '%.*s': a verdict is for external providers",
		            QUOTED(known->name), QUOTED(known->provider));
	if (r->request->verdict == KNOCKER_UNCHECKED)
		return fail(error, KNOCKER_INVALID_ARGUMENT,
		            "verdict 3 (unchecked) is for ingest: receive verifies");
	if (named && !bytes_starts(r->request->provider, "{"))
		rc = scheme_builtin(r->request->provider, &builtin, error);
	if (rc == 0 && named && (builtin || bytes_starts(r->request->provider, "{")))
		rc = fail(error, KNOCKER_INVALID_ARGUMENT,
		          "provider '%.*s' verifies by its scheme: a verdict is for external providers",
		          QUOTED(r->request->provider));
	if (rc < 0)
		return rc;
	r->by_application = true;
	r->provider = named ? r->request->provider : known ? known->provider : bytes_of("");
	return 0;
}

int32_t receipt_no_secret(const receipt *r, knocker_error *error)
{
	return fail(
		error, KNOCKER_INVALID_ARGUMENT,
		"endpoint '%.*s' is verified by '%.*s', for which this process has no secret: register it here, or give "
		"provider and secrets",
		QUOTED(r->request->endpoint), QUOTED(r->provider));
}

/* A disabled endpoint is said to be that before anything is verified, and the row says so later. */
static int32_t receipt_unjudged(receipt *r)
{
	r->unjudged = true;
	return 0;
}

/* The keys of the registration; of secrets and options that this call brings, each wins by
 * itself. */
static int32_t receipt_keys(receipt *r, bool registered, knocker_error *error)
{
	const knocker_request *q = r->request;
	const scheme_keys *base = registered ? r->registration->keys : NULL;
	int32_t rc;

	if (registered && !base && !receipt_has_json(q->secrets_json))
		return receipt_unjudged(r);
	r->keys = base;
	if (registered && !receipt_has_json(q->secrets_json) && !receipt_has_json(q->options_json))
		return 0;
	rc = scheme_keys_over(r->scheme, base,
	                      receipt_has_json(q->secrets_json) ? q->secrets_json : (knocker_bytes){0},
	                      receipt_has_json(q->options_json) ? q->options_json : (knocker_bytes){0},
	                      &r->own_keys, error);
	r->keys = r->own_keys;
	return rc;
}

/* The provider that the call names: a built-in, a scheme of its own, or that of the registration.
 */
static int32_t receipt_named(receipt *r, knocker_error *error)
{
	const knocker_request *q = r->request;
	const registration *known = r->registration;
	int32_t rc;

	r->provider = q->provider;
	if (bytes_starts(q->provider, "{")) {
		r->provider = known && known->own_scheme ? known->provider : bytes_of("custom");
		rc = scheme_compile(q->provider, &r->own_scheme, error);
		r->scheme = r->own_scheme;
	} else {
		rc = scheme_builtin(q->provider, &r->scheme, error);
	}
	if (rc == 0 && !r->scheme && known && bytes_equal(known->provider, q->provider))
		r->scheme = known->scheme;
	if (rc == 0 && !r->scheme)
		return fail(error, KNOCKER_INVALID_ARGUMENT, "no provider is named '%.*s'",
		            QUOTED(q->provider));
	return rc < 0 ? rc : receipt_keys(r, known && known->scheme == r->scheme, error);
}

/* Neither the call nor this process names a provider: the row alone does. */
static int32_t receipt_by_row(receipt *r, const endpoint_row *row, knocker_error *error)
{
	const knocker_request *q = r->request;
	int32_t rc;

	if (!row->provider.data)
		return 0;
	r->provider = row->provider;
	rc = scheme_builtin(row->provider, &r->scheme, error);
	if (rc < 0)
		return rc;
	if (!r->scheme || !receipt_has_json(q->secrets_json))
		return receipt_unjudged(r);
	return receipt_keys(r, false, error);
}

static int32_t receipt_choose_scheme(receipt *r, db *reader, knocker_error *error)
{
	const knocker_request *q = r->request;
	const registration *known = r->registration;
	endpoint_row row = {0};
	int32_t rc;

	if (q->verdict != KNOCKER_BY_SCHEME)
		return receipt_by_application(r, error);
	if (known && known->external)
		return fail(error, KNOCKER_INVALID_ARGUMENT,
		            "endpoint '%.*s' is verified by the application's own '%.*s': give its verdict",
		            QUOTED(known->name), QUOTED(known->provider));
	if (receipt_names_provider(q))
		return receipt_named(r, error);
	if (!known) {
		rc = endpoint_find(reader, q->endpoint, &r->memory, &row, error);
		return rc < 0 ? rc : receipt_by_row(r, &row, error);
	}
	if (!known->scheme && receipt_has_json(q->secrets_json) && !bytes_is(q->secrets_json, "[]"))
		return fail(error, KNOCKER_INVALID_ARGUMENT,
		            "secrets were given, but endpoint '%.*s' has no provider: name one",
		            QUOTED(known->name));
	r->scheme = known->scheme;
	r->provider = known->provider;
	return r->scheme ? receipt_keys(r, true, error) : 0;
}

/* ---- verdict and ids ---- */

/* The verdict of somebody else: the application's provider, or the trusted door. */
static int32_t receipt_take_verdict(receipt *r, knocker_error *error)
{
	const knocker_request *q = r->request;
	knocker_bytes why = q->verdict_error;

	r->verdict.valid = q->verdict != KNOCKER_INVALID;
	r->verdict.status = r->verdict.valid ? 204 : 401;
	r->verdict.has_signature = true;
	if (!r->verdict.valid)
		r->verdict.error = "rejected by the application";
	if (!r->verdict.valid && why.len > 0 && bytes_utf8(why) && bytes_find(why, '\0') < 0) {
		knocker_bytes copy;

		if (why.len > LIMIT_ERROR_TEXT)
			why.len = LIMIT_ERROR_TEXT;
		while (!bytes_utf8(why))
			why.len--;
		if (!arena_copy(&r->memory, why, &copy))
			return fail_memory(error);
		r->verdict.error = copy.data;
	}
	return 0;
}

static knocker_bytes receipt_either(knocker_bytes a, knocker_bytes b)
{
	return a.data ? a : b;
}

static int32_t receipt_key_fit(receipt *r, knocker_error *error)
{
	char *hashed;

	if (!r->dedupe_key.data || r->dedupe_key.len <= LIMIT_DEDUPE_KEY)
		return 0;
	hashed = arena_get(&r->memory, 80);
	if (!hashed)
		return fail_memory(error);
	memcpy(hashed, "sha256:", 7);
	if (!crypto_sha256_hex(r->dedupe_key, hashed + 7))
		return fail_memory(error);
	r->dedupe_key = bytes_of(hashed);
	return 0;
}

/* Explicit arguments win over an external provider's result, which wins over the scheme's. */
static int32_t receipt_ids(receipt *r, knocker_error *error)
{
	const knocker_request *q = r->request;
	const scheme_verdict *v = &r->verdict;
	knocker_bytes none = {0}, event_id = r->provider_event_id,
				  delivery_id = r->provider_delivery_id;
	knocker_bytes ids_type = q->ids_event_type, ids_event = q->ids_event_id,
				  ids_delivery = q->ids_delivery_id, told, read;
	int32_t rc = inbox_text_check("event_type", &ids_type, LIMIT_ID, error);

	if (rc == 0)
		rc = inbox_text_check("provider_event_id", &ids_event, LIMIT_ID, error);
	if (rc == 0)
		rc = inbox_text_check("provider_delivery_id", &ids_delivery, LIMIT_ID, error);
	if (rc < 0)
		return rc;
	r->event_type = receipt_either(r->event_type, receipt_either(ids_type, v->event_type));
	r->provider_event_id = receipt_either(event_id,
	                                      receipt_either(ids_event, v->provider_event_id));
	r->provider_delivery_id = receipt_either(delivery_id,
	                                         receipt_either(ids_delivery, v->provider_delivery_id));
	told = receipt_either(event_id, delivery_id);
	read = receipt_either(ids_event, receipt_either(ids_delivery, v->dedupe_key));
	r->dedupe_key = receipt_either(r->dedupe_key, receipt_either(told, read));
	if (!r->ingest && !v->valid)
		r->dedupe_key = none; /* what a forger claims names no event */
	return receipt_key_fit(r, error);
}

static int32_t receipt_judge(inbox *in, receipt *r, int64_t now_ms, knocker_error *error)
{
	const knocker_request *q = r->request;
	scheme_request request = {.method = r->method,
	                          .headers = q->headers,
	                          .query = q->query,
	                          .body = q->body};

	r->too_large = !r->ingest && in->max_body_bytes >= 0 && q->body.len > in->max_body_bytes;
	if (r->ingest || r->by_application)
		return receipt_take_verdict(r, error);
	if (r->unjudged)
		return 0; /* with a verdict of zeroes, which is not valid */
	r->verdict = (scheme_verdict){.valid = true, .status = 204, .has_signature = true};
	if (!r->scheme)
		return 0;
	if (r->too_large)
		request.body = (knocker_bytes){"", 0}; /* 413 is decided: only the headers are still read */
	return scheme_verify(r->scheme, r->keys, &request, now_ms / 1000, &r->memory, &r->verdict,
	                     error);
}

int32_t receipt_texts(receipt *r, const scheme *s, const scheme_keys *keys, knocker_error *error)
{
	int32_t rc;

	buffer_free(&r->headers);
	buffer_free(&r->query);
	buffer_init(&r->headers, LIMIT_HEADERS * 7);
	buffer_init(&r->query, LIMIT_QUERY * 7);
	rc = request_headers_json(s, keys, r->request->headers, &r->headers, error);
	if (rc == 0)
		rc = request_query_json(s, keys, r->request->query, &r->query, error);
	if (rc == 0 && (r->headers.failed || r->query.failed))
		rc = fail_memory(error);
	return rc;
}

/* A credential is one for ingest too, where nothing is compared. Without the registration's options
 * nobody knows which header is one, so none is kept. */
static int32_t receipt_redact(receipt *r, knocker_error *error)
{
	const registration *known = r->registration;

	if (r->unjudged) {
		buffer_init(&r->headers, 2);
		buffer_init(&r->query, 2);
		buffer_text(&r->headers, "{}");
		buffer_text(&r->query, "{}");
		return r->headers.failed || r->query.failed ? fail_memory(error) : 0;
	}
	if (r->scheme || !known)
		return receipt_texts(r, r->scheme, r->keys, error);
	return receipt_texts(r, known->scheme, known->keys, error);
}

int32_t receipt_prepare(inbox *in, db *reader, const knocker_request *request, bool ingest,
                        receipt *r, knocker_error *error)
{
	int32_t rc;

	memset(r, 0, sizeof *r);
	r->request = request;
	r->ingest = ingest;
	rc = receipt_check(r, error);
	if (rc == 0 && ingest && request->verdict == KNOCKER_BY_SCHEME)
		rc = fail(error, KNOCKER_INVALID_ARGUMENT,
		          "verdict is missing: ingest is told whether the request is valid");
	if (rc == 0)
		r->registration = registration_find(&in->registrations, request->endpoint);
	if (rc == 0 && !ingest)
		rc = receipt_choose_scheme(r, reader, error);
	if (rc == 0)
		rc = receipt_judge(in, r, inbox_now_ms(in), error);
	if (rc == 0)
		rc = receipt_ids(r, error);
	return rc < 0 ? rc : receipt_redact(r, error);
}

/* ---- once more ---- */

static int32_t receipt_check_again(const receipt *r, knocker_error *error)
{
	const registration *known = r->registration;

	if (known && known->external)
		return fail(error, KNOCKER_INVALID_ARGUMENT,
		            "endpoint '%.*s' is verified by the application's own '%.*s': only that can "
		            "verify its receipts again",
		            QUOTED(known->name), QUOTED(known->provider));
	return 0;
}

/* What was read then may have been read by a scheme that was wrong, so it names no event. */
static int32_t receipt_ids_again(receipt *r, knocker_error *error)
{
	const scheme_verdict *v = &r->verdict;

	r->event_type = receipt_either(v->event_type, r->event_type);
	r->provider_event_id = receipt_either(v->provider_event_id, r->provider_event_id);
	r->provider_delivery_id = receipt_either(v->provider_delivery_id, r->provider_delivery_id);
	r->dedupe_key = v->dedupe_key;
	return receipt_key_fit(r, error);
}

int32_t receipt_again(inbox *in, db *reader, const knocker_request *request, int64_t at_ms,
                      receipt *r, knocker_error *error)
{
	int32_t rc;

	memset(r, 0, sizeof *r);
	r->request = request;
	rc = receipt_check(r, error);
	if (rc == 0)
		r->registration = registration_find(&in->registrations, request->endpoint);
	if (rc == 0)
		rc = receipt_check_again(r, error);
	if (rc == 0)
		rc = receipt_choose_scheme(r, reader, error);
	if (rc == 0 && r->unjudged)
		rc = receipt_no_secret(r, error);
	if (rc == 0 && !r->scheme)
		rc = fail(error, KNOCKER_INVALID_ARGUMENT,
		          "endpoint '%.*s' has no provider: there is nothing to verify by",
		          QUOTED(request->endpoint));
	if (rc == 0)
		rc = receipt_judge(in, r, at_ms, error);
	return rc < 0 ? rc : receipt_ids_again(r, error);
}

int64_t receipt_bytes(const receipt *r)
{
	return r->request->body.len + r->request->headers.len;
}

void receipt_free(receipt *r)
{
	registration_leave(r->registration);
	scheme_keys_free(r->own_keys);
	scheme_free(r->own_scheme);
	buffer_free(&r->headers);
	buffer_free(&r->query);
	arena_free(&r->memory);
}

/* ---- results ---- */

int32_t receipt_row(const receipt *r, bool many, knocker_rows *rows, knocker_error *error)
{
	const knocker_value row[8] = {INT_OR_NULL(r->delivery_id),
	                              INT_OR_NULL(r->event_id),
	                              INT(r->duplicate),
	                              INT(r->status),
	                              TEXT(r->response_headers),
	                              BLOB(r->response_body),
	                              INT(r->rc),
	                              r->rc < 0 ? TEXT(bytes_of(r->error.text)) : NONE};
	const knocker_value failed[8] = {NONE, NONE, INT(0), NONE, NONE, NONE, row[6], row[7]};

	return rows_add(rows, many && r->rc < 0 ? failed : row, error);
}
