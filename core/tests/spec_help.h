/* How the test of the rules asks knocker.h: one request, one verdict, with a sentence for it.
 * Refuses to know a sender. */
#ifndef SPEC_HELP_H
#define SPEC_HELP_H

#include "hard_file.h"

#define NOW 1700000000

typedef struct {
	const char *provider, *secrets, *options, *method, *headers, *query, *body;
	int64_t body_len; /* 0: to the first NUL */
	int64_t now_s;    /* 0: NOW */
} spec_request;

typedef struct {
	bool valid;
	int64_t status;
	char error[300], event_type[100], event_id[100], delivery_id[100], dedupe[300];
	char response_headers[300], response_body[700];
} spec_verdict;

static inline knocker_bytes text_or_none(const char *text)
{
	return text ? T(text) : (knocker_bytes){0};
}

static inline knocker_request asked(const spec_request *r)
{
	return (knocker_request){.size = sizeof(knocker_request),
	                         .provider = text_or_none(r->provider),
	                         .secrets_json = T(r->secrets ? r->secrets : "[\"k\"]"),
	                         .options_json = text_or_none(r->options),
	                         .method = text_or_none(r->method),
	                         .headers = text_or_none(r->headers),
	                         .query = text_or_none(r->query),
	                         .body = r->body_len ? (knocker_bytes){r->body, r->body_len}
	                                             : T(r->body ? r->body : "{}")};
}

/* A call that fails is a verdict with the call's error. */
static inline spec_verdict judged(spec_request r)
{
	knocker_request q = asked(&r);
	knocker_error error = {0};
	knocker_rows *rows = NULL;
	spec_verdict v = {0};

	if (knocker_verify(&q, (r.now_s ? r.now_s : NOW) * 1000, &rows, &error) < 0) {
		snprintf(v.error, sizeof v.error, "%s", error.text);
		v.status = -1;
		return v;
	}
	knocker_rows_next(rows);
	v.valid = row_int(rows, "valid") == 1;
	v.status = row_int(rows, "response_status");
	row_text(rows, "error", v.error, sizeof v.error);
	row_text(rows, "event_type", v.event_type, sizeof v.event_type);
	row_text(rows, "provider_event_id", v.event_id, sizeof v.event_id);
	row_text(rows, "provider_delivery_id", v.delivery_id, sizeof v.delivery_id);
	row_text(rows, "dedupe_key", v.dedupe, sizeof v.dedupe);
	row_text(rows, "response_headers", v.response_headers, sizeof v.response_headers);
	row_text(rows, "response_body", v.response_body, sizeof v.response_body);
	knocker_rows_free(rows);
	return v;
}

static inline spec_verdict accepted(spec_request r, const char *sentence)
{
	spec_verdict v = judged(r);

	CHECK(v.valid && !*v.error, sentence);
	if (!v.valid)
		printf("  %s: %s\n", r.headers, v.error);
	return v;
}

/* `why` is a part of the error. */
static inline spec_verdict refused(spec_request r, const char *why, const char *sentence)
{
	spec_verdict v = judged(r);

	CHECK(!v.valid && strstr(v.error, why), sentence);
	if (v.valid || !strstr(v.error, why))
		printf("  %s: %s\n", r.headers, v.valid ? "valid" : v.error);
	return v;
}

#endif
