/* Stored orphans verified again after a fix: which of them can be, what each comes to, and what is
 * said of it. How one becomes an event the receipt knows. */
#include "reverify.h"

#include <string.h>

#include "error.h"
#include "operator.h"
#include "request_restore.h"

#define REVERIFY_EVENT "event"
#define REVERIFY_REPEAT "repeat"
#define REVERIFY_REJECTED "rejected"
#define REVERIFY_REDACTED "redacted"
#define REVERIFY_NO_BODY "no_body"

/* ---- what is asked ---- */

static int32_t reverify_check(reverify *v, knocker_error *error)
{
	const reverify_asked *a = &v->asked;
	int32_t rc = inbox_name_check("endpoint", a->endpoint, error);

	if (rc == 0)
		rc = inbox_range_check("since", a->since_s, 0, INT64_MAX / 1000, error);
	if (rc == 0)
		rc = inbox_range_check("after_id", a->after_id, 0, INT64_MAX, error);
	if (rc == 0)
		rc = inbox_range_check("limit", a->limit, 0, LIMIT_LIST, error);
	v->left = a->limit ? a->limit : 100;
	return rc;
}

static knocker_request reverify_request(const reverify *v)
{
	return (knocker_request){.size = sizeof(knocker_request),
	                         .endpoint = v->asked.endpoint,
	                         .provider = v->asked.provider,
	                         .secrets_json = v->asked.secrets_json,
	                         .options_json = v->asked.options_json};
}

/* An empty request is refused as any other would be, where nobody can verify it. */
static int32_t reverify_try(inbox *in, db *reader, const reverify *v, const endpoint_row *row,
                            knocker_error *error)
{
	knocker_request empty = reverify_request(v);
	receipt r;
	int32_t rc = receipt_again(in, reader, &empty, inbox_now_ms(in), &r, error);

	if (rc == 0)
		rc = receipt_check_enabled(&r, row, error);
	if (rc == 0)
		rc = receipt_check_provider(&r, row, error);
	receipt_free(&r);
	return rc;
}

int32_t reverify_begin(inbox *in, db *reader, const reverify_asked *asked, reverify *v,
                       knocker_error *error)
{
	endpoint_row row = {0};
	int64_t since_id = 0;
	int32_t rc;

	memset(v, 0, sizeof *v);
	v->asked = *asked;
	rc = reverify_check(v, error);
	if (rc == 0)
		rc = endpoint_find(reader, asked->endpoint, &v->memory, &row, error);
	if (rc == 0)
		rc = reverify_try(in, reader, v, &row, error);
	if (rc == 0)
		rc = look_since(reader, asked->since_s * 1000, &since_id, error);
	if (rc < 0)
		return rc;
	v->endpoint_id = row.id;
	v->after_id = asked->after_id >= since_id ? asked->after_id : since_id - 1;
	v->round = arena_get(&v->memory, REVERIFY_ROUND * sizeof *v->round);
	v->seen = arena_get(&v->memory, (size_t)v->left * sizeof *v->seen);
	return v->round && v->seen ? 0 : fail_memory(error);
}

/* ---- one orphan ---- */

static int32_t reverify_copy(reverify_orphan *o, query *q, knocker_error *error)
{
	knocker_bytes *to[] = {&o->signature_error,
	                       &o->request.event_type,
	                       &o->request.provider_event_id,
	                       &o->request.provider_delivery_id,
	                       &o->request.method,
	                       &o->stored_query,
	                       &o->stored_headers,
	                       &o->request.body};
	int32_t i;

	o->id = db_int(q, 0);
	o->received_ms = db_int(q, 1);
	o->bytes = db_int(q, 10);
	for (i = 0; i < (int32_t)(sizeof to / sizeof *to); i++)
		if (!arena_copy(&o->memory, db_text(q, i + 2), to[i]))
			return fail_memory(error);
	return 0;
}

/* The next orphan above the last; 1: there is none. */
static int32_t reverify_next(db *reader, reverify *v, reverify_orphan *o, knocker_error *error)
{
	query *q;
	int32_t rc = db_query(reader, STMT_orphan_next, VALUES(INT(v->endpoint_id), INT(v->after_id)),
	                      &q, error);

	memset(o, 0, sizeof *o);
	o->request = reverify_request(v);
	if (rc == 0)
		rc = reverify_copy(o, q, error);
	db_done(q);
	if (rc == 0)
		v->after_id = o->id;
	return rc;
}

static void reverify_rejected(reverify_orphan *o, const char *why)
{
	o->outcome = REVERIFY_REJECTED;
	arena_copy(&o->memory, bytes_of(why), &o->error);
}

/* One form of the query. */
static int32_t reverify_judge(inbox *in, db *reader, reverify_orphan *o, knocker_error *error)
{
	receipt *r = &o->receipt;
	scheme_request stored = {.headers = o->request.headers, .query = o->request.query};
	int32_t rc, redacted;

	receipt_free(r);
	rc = receipt_again(in, reader, &o->request, o->received_ms, r, error);
	if (rc < 0)
		return rc;
	redacted = scheme_was_redacted(r->scheme, r->keys, &stored);
	if (redacted < 0)
		return fail_memory(error);
	if (redacted) {
		o->outcome = REVERIFY_REDACTED;
		o->error = bytes_of("its credential was not stored, so nobody can compare it again");
	} else if (r->too_large) {
		reverify_rejected(o, "its body is over this process's max_body_bytes");
	} else if (r->verdict.handshake || !r->verdict.valid) {
		reverify_rejected(o, r->verdict.handshake ? "handshake"
		                     : r->verdict.error   ? r->verdict.error
		                                          : "rejected");
	} else {
		o->outcome = REVERIFY_EVENT;
		o->error = (knocker_bytes){0};
	}
	return 0;
}

/* What cannot be read back is not verified; any other failure is one of the call. */
static int32_t reverify_unread(reverify_orphan *o, int32_t rc, const knocker_error *unread,
                               knocker_error *error)
{
	if (rc == KNOCKER_INVALID_ARGUMENT) {
		reverify_rejected(o, unread->text);
		return 1;
	}
	if (rc < 0 && error)
		*error = *unread;
	return rc;
}

/* Tries each form of the query until one passes; most requests have none. */
static int32_t reverify_forms(inbox *in, db *reader, reverify_orphan *o, knocker_error *error)
{
	knocker_error unread = {0};
	int32_t form, rc = 0;

	for (form = 0; rc == 0 && form < REQUEST_QUERY_FORMS; form++) {
		knocker_bytes before = o->request.query;
		buffer raw;

		buffer_init(&raw, LIMIT_QUERY * 3);
		rc = request_query_restore(o->stored_query, form, &raw, &unread);
		if (rc == 0 && raw.len > LIMIT_QUERY)
			rc = fail(&unread, KNOCKER_INVALID_ARGUMENT, "the stored query is too long");
		rc = reverify_unread(o, rc, &unread, error);
		if (rc == 0 && !arena_copy(&o->memory, buffer_view(&raw), &o->request.query))
			rc = fail_memory(error);
		buffer_free(&raw);
		if (rc != 0 || (form > 0 && bytes_equal(before, o->request.query)))
			continue;
		rc = reverify_judge(in, reader, o, error);
		if (rc == 0 && strcmp(o->outcome, REVERIFY_REJECTED) != 0)
			break;
	}
	return rc < 0 ? rc : 0;
}

static int32_t reverify_verify(inbox *in, db *reader, reverify_orphan *o, knocker_error *error)
{
	knocker_error unread = {0};
	buffer lines;
	int32_t rc;

	if (!o->request.body.data) {
		o->outcome = REVERIFY_NO_BODY;
		o->error = bytes_of("its body was not kept");
		return 0;
	}
	buffer_init(&lines, LIMIT_HEADERS * 7);
	rc = request_headers_restore(o->stored_headers, &lines, &unread);
	rc = reverify_unread(o, rc, &unread, error);
	if (rc == 0 && !arena_copy(&o->memory, buffer_view(&lines), &o->request.headers))
		rc = fail_memory(error);
	buffer_free(&lines);
	return rc == 1 ? 0 : rc < 0 ? rc : reverify_forms(in, reader, o, error);
}

/* ---- a round ---- */

/* A dry run looks where the real one would, and remembers what it would have stored. */
static int32_t reverify_foresee(db *reader, reverify *v, reverify_orphan *o, knocker_error *error)
{
	receipt *r = &o->receipt;
	int64_t first = 0;
	int32_t i, rc = 0;

	if (r->dedupe_key.data)
		rc = db_int_of(reader, STMT_delivery_of_key,
		               VALUES(INT(v->endpoint_id), TEXT(r->dedupe_key)), 0, &first, error);
	for (i = 0; first == 0 && i < v->seen_count; i++)
		if (bytes_equal(v->seen[i].key, r->dedupe_key))
			first = v->seen[i].event_id;
	r->event_id = first > 0 ? first : o->id;
	r->duplicate = first > 0;
	if (rc < 0 || r->duplicate || !r->dedupe_key.data)
		return rc;
	v->seen[v->seen_count].event_id = o->id;
	return arena_copy(&v->memory, r->dedupe_key, &v->seen[v->seen_count++].key)
	           ? 0
	           : fail_memory(error);
}

static int32_t reverify_one(inbox *in, db *reader, reverify *v, reverify_orphan *o,
                            knocker_error *error)
{
	int32_t rc = reverify_verify(in, reader, o, error);

	if (rc < 0 || strcmp(o->outcome, REVERIFY_EVENT) != 0)
		return rc;
	v->passed++;
	return v->asked.dry_run ? reverify_foresee(reader, v, o, error) : 0;
}

int32_t reverify_read(inbox *in, db *reader, reverify *v, knocker_error *error)
{
	int64_t bytes = 0;
	int32_t rc = 0;

	while (rc == 0 && v->left > 0 && v->count < REVERIFY_ROUND && bytes < LIMIT_BATCH_BYTES) {
		reverify_orphan *o = &v->round[v->count];

		rc = reverify_next(reader, v, o, error);
		v->count++; /* also a failed one is freed */
		if (rc == 0)
			rc = reverify_one(in, reader, v, o, error);
		bytes += o->bytes;
		v->left--;
	}
	v->over = rc != 0 || v->left == 0;
	return rc < 0 ? rc : 0;
}

int32_t reverify_store(inbox *in, db *d, reverify *v, knocker_error *error)
{
	int32_t i, rc = 0;

	for (i = 0; rc == 0 && i < v->count; i++) {
		reverify_orphan *o = &v->round[i];

		if (!o->outcome || strcmp(o->outcome, REVERIFY_EVENT) != 0)
			continue;
		rc = receipt_adopt(in, d, &o->receipt, o->id, o->bytes, error);
		if (rc == 1) {
			o->outcome = NULL;
			rc = 0;
		}
	}
	return rc;
}

static void reverify_forget(reverify *v)
{
	int32_t i;

	for (i = 0; i < v->count; i++) {
		receipt_free(&v->round[i].receipt);
		arena_free(&v->round[i].memory);
	}
	v->count = v->passed = 0;
}

int32_t reverify_tell(reverify *v, knocker_rows *rows, knocker_error *error)
{
	int32_t i, rc = 0;

	for (i = 0; rc == 0 && i < v->count; i++) {
		const reverify_orphan *o = &v->round[i];
		const receipt *r = &o->receipt;

		if (o->outcome)
			rc = rows_add(rows,
			              (const knocker_value[]){INT(o->id),
			                                      TEXT(bytes_of(r->duplicate ? REVERIFY_REPEAT
			                                                                 : o->outcome)),
			                                      INT_OR_NULL(r->event_id),
			                                      TEXT(o->signature_error), TEXT(o->error)},
			              error);
	}
	reverify_forget(v);
	return rc;
}

void reverify_end(reverify *v)
{
	reverify_forget(v);
	arena_free(&v->memory);
}
