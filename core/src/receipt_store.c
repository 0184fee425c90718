/* Storing a receipt: a delivery, and for a new event its job; or an orphan within its endpoint's
 * budget. In one transaction that somebody else begins and ends. */
#include <stdio.h>
#include <string.h>

#include "error.h"
#include "job.h"
#include "receipt.h"

/* A last receipt further ahead than this came while the clock was wrong. */
#define RECEIPT_REDATE_MS 60000

/* What stands in the row beside what the request says. */
typedef struct {
	const endpoint_row *endpoint;
	int64_t id, event_id; /* event_id 0: an orphan */
	int64_t valid;        /* 1, 0, or -1 for null */
	const char *error;    /* NULL: none */
	bool keep_body;
} receipt_kind;

/* ---- dates ---- */

/* The first row from the future; dates do not decrease with ids. */
static int32_t receipt_future(db *d, int64_t now_ms, int64_t *low, int64_t *dated_ms,
                              knocker_error *error)
{
	int64_t high = 0, at;
	int32_t rc = db_int_of(d, STMT_id_last, NO_VALUES, 0, &high, error);

	for (*low = 1; rc == 0 && *low < high;) {
		int64_t middle = *low + (high - *low) / 2;

		rc = db_int_of(d, STMT_id_since, VALUES(INT(middle)), 0, &at, error);
		if (at > now_ms)
			high = middle;
		else
			*low = middle + 1;
	}
	return rc < 0 ? rc : db_int_of(d, STMT_id_since, VALUES(INT(*low)), 0, dated_ms, error);
}

/* Rows from the future are dated to now by the first receipt after the clock was mended, and
 * counted. What was made due by that clock, events, retries and leases, comes due by the mended
 * one. */
static int32_t receipt_redate(db *d, int64_t now_ms, int64_t last_ms, knocker_error *error)
{
	int64_t low, first_ms, changed = 0;
	int32_t rc = receipt_future(d, now_ms, &low, &first_ms, error);

	if (rc == 0)
		rc = db_run(d, STMT_delivery_redate, VALUES(INT(low), INT(now_ms)), &changed, error);
	if (rc == 0)
		rc = db_run(d, STMT_job_redate, VALUES(INT(first_ms), INT(now_ms), INT(last_ms - now_ms)),
		            NULL, error);
	if (rc == 0)
		rc = db_run(d, STMT_meta_add, VALUES(TEXT(bytes_of("redated")), INT(changed)), NULL, error);
	db_mark_due(d);
	return rc;
}

static int32_t receipt_date(inbox *in, db *d, inbox_known *known, knocker_error *error)
{
	int32_t rc = 0;

	if (known->now_ms == 0)
		known->now_ms = inbox_now_ms(in);
	if (!known->dates)
		rc = id_next(d, &known->next_id, &known->received_ms, error);
	if (rc == 0 && known->received_ms > known->now_ms + RECEIPT_REDATE_MS) {
		rc = receipt_redate(d, known->now_ms, known->received_ms, error);
		known->received_ms = known->now_ms;
	}
	if (known->received_ms < known->now_ms)
		known->received_ms = known->now_ms;
	known->dates = rc == 0;
	return rc;
}

/* ---- the endpoint's row ---- */

static void receipt_endpoint_keep(inbox_known *known, knocker_bytes name, const endpoint_row *row)
{
	const knocker_bytes from[3] = {name, row->provider, row->queue};
	knocker_bytes *to[3] = {&known->name, &known->endpoint.provider, &known->endpoint.queue};
	int i;

	known->endpoint = *row;
	known->row = true;
	for (i = 0; i < 3; i++) {
		*to[i] = (knocker_bytes){0};
		if (!from[i].data)
			continue;
		if (from[i].len > LIMIT_NAME)
			known->row = false;
		else
			*to[i] = (knocker_bytes){memcpy(known->texts[i], from[i].data, (size_t)from[i].len),
			                         from[i].len};
	}
}

static int32_t receipt_endpoint(db *d, receipt *r, inbox_known *known, endpoint_row *row,
                                knocker_error *error)
{
	int32_t rc;

	*row = known->endpoint;
	if (known->row && bytes_equal(known->name, r->request->endpoint))
		return 0;
	rc = endpoint_find(d, r->request->endpoint, &r->memory, row, error);
	if (rc == 0)
		receipt_endpoint_keep(known, r->request->endpoint, row);
	return rc;
}

/* ---- rows ---- */

static int32_t receipt_insert(db *d, const receipt *r, const receipt_kind *k,
                              const inbox_known *known, int64_t *inserted, knocker_error *error)
{
	const knocker_request *q = r->request;
	knocker_bytes body = q->body.data ? q->body : (knocker_bytes){"", 0};

	return db_run(d, STMT_delivery_insert,
	              VALUES(INT(k->id), INT(k->endpoint->id), INT_OR_NULL(k->event_id),
	                     INT(known->received_ms), k->valid < 0 ? NONE : INT(k->valid),
	                     TEXT(bytes_of(k->error)), TEXT(r->event_type), TEXT(r->provider_event_id),
	                     TEXT(r->provider_delivery_id), TEXT(r->dedupe_key), TEXT(r->method),
	                     TEXT(buffer_view(&r->query)), TEXT(buffer_view(&r->headers)),
	                     k->keep_body ? BLOB(body) : NONE),
	              inserted, error);
}

static int32_t receipt_event(inbox *in, db *d, receipt *r, receipt_kind *k, inbox_known *known,
                             knocker_error *error)
{
	const knocker_request *q = r->request;
	knocker_bytes queue = q->queue_name.len > 0     ? q->queue_name
	                      : k->endpoint->queue.data ? k->endpoint->queue
	                                                : bytes_of(in->queue_name);
	int64_t inserted = 0, first = 0;
	int32_t rc;

	k->event_id = k->id;
	rc = receipt_insert(d, r, k, known, &inserted, error);
	if (rc == 0 && inserted) {
		db_mark_due(d);
		r->event_id = k->id;
		return db_run(d, STMT_job_insert_event,
		              VALUES(INT(k->id), TEXT(queue), INT(k->endpoint->id), TEXT(r->event_type),
		                     INT(known->now_ms), INT_OR_NULL(q->max_attempts)),
		              NULL, error);
	}
	if (rc == 0)
		rc = db_int_of(d, STMT_delivery_of_key, VALUES(INT(k->endpoint->id), TEXT(r->dedupe_key)),
		               0, &first, error);
	k->event_id = r->event_id = first;
	r->duplicate = true;
	return rc < 0 ? rc : receipt_insert(d, r, k, known, &inserted, error);
}

/* ---- orphans ---- */

/* The oldest orphans of the endpoint give way until the new one fits. */
static int32_t receipt_make_room(inbox *in, db *d, const endpoint_row *e, int64_t bytes,
                                 knocker_error *error)
{
	int64_t rows = e->orphan_rows, total = e->orphan_bytes, dropped = 0;
	int32_t rc = 0;

	while (rc == 0 && rows > 0 && (rows >= in->orphan_rows || total + bytes > in->orphan_bytes)) {
		query *q;
		int64_t id = 0, size = 0;

		rc = db_query(d, STMT_orphan_oldest, VALUES(INT(e->id)), &q, error);
		if (rc == 0) {
			id = db_int(q, 0);
			size = db_int(q, 1);
		}
		db_done(q);
		if (rc == 0)
			rc = db_run(d, STMT_delivery_delete, VALUES(INT(id)), NULL, error);
		rows--;
		total -= size;
		dropped++;
	}
	if (rc < 0)
		return rc;
	return db_run(d, STMT_endpoint_orphans_add,
	              VALUES(INT(e->id), INT(rows + 1 - e->orphan_rows),
	                     INT(total + bytes - e->orphan_bytes), INT(dropped)),
	              NULL, error);
}

static int32_t receipt_orphan(inbox *in, db *d, receipt *r, receipt_kind *k, inbox_known *known,
                              knocker_error *error)
{
	int64_t bytes = (int64_t)r->headers.len, inserted;
	int32_t rc;

	k->event_id = 0;
	k->keep_body = k->keep_body && bytes + r->request->body.len <= in->orphan_bytes;
	if (k->keep_body)
		bytes += r->request->body.len;
	known->row = false; /* its counters change */
	rc = receipt_make_room(in, d, k->endpoint, bytes, error);
	return rc < 0 ? rc : receipt_insert(d, r, k, known, &inserted, error);
}

/* ---- the cases, in the order of the checks ---- */

int32_t receipt_check_provider(const receipt *r, const endpoint_row *row, knocker_error *error)
{
	const scheme *builtin = NULL;
	int32_t rc;

	if (r->ingest || !row->provider.data || bytes_equal(row->provider, r->provider))
		return 0;
	rc = scheme_builtin(row->provider, &builtin, error);
	if (rc < 0 || (builtin && builtin == r->scheme))
		return rc;
	if (!builtin && r->own_scheme && bytes_is(r->provider, "custom"))
		return 0; /* the application's own scheme, given with the call */
	return fail(error, KNOCKER_INVALID_ARGUMENT,
	            "endpoint '%.*s' is verified by '%.*s', but this request was put to '%.*s'",
	            QUOTED(r->request->endpoint), QUOTED(row->provider),
	            r->provider.len > 0 ? (int)r->provider.len : 4,
	            r->provider.len > 0 ? (const char *)r->provider.data : "none");
}

static bool receipt_keeps_body(const receipt *r)
{
	return !r->too_large && r->verdict.has_signature && !r->verdict.body_is_credential;
}

/* What a request is that makes no event; `status` is what to answer. */
static int32_t receipt_refuse(inbox *in, db *d, receipt *r, const endpoint_row *row,
                              inbox_known *known, knocker_error *error)
{
	receipt_kind k = {.endpoint = row,
	                  .id = known->next_id++,
	                  .valid = -1,
	                  .keep_body = receipt_keeps_body(r)};
	char large[120];

	r->delivery_id = k.id;
	if (!row->enabled) {
		k.error = "endpoint disabled";
		r->status = 404;
	} else if (r->too_large) {
		snprintf(large, sizeof large, "body of %lld bytes is over the limit of %lld",
		         (long long)r->request->body.len, (long long)in->max_body_bytes);
		k.error = large;
		r->status = 413;
	} else {
		k.error = r->verdict.handshake ? "handshake"
		          : r->verdict.error   ? r->verdict.error
		                               : "rejected";
		k.valid = r->verdict.handshake ? -1 : 0;
		r->status = r->verdict.status;
		r->response_headers = r->verdict.response_headers;
		r->response_body = r->verdict.response_body;
	}
	return receipt_orphan(in, d, r, &k, known, error);
}

/* What is ingested for an endpoint that this process has not registered is redacted by its row. */
static int32_t receipt_redact_by_row(receipt *r, const endpoint_row *row, knocker_error *error)
{
	const scheme *builtin = NULL;
	int32_t rc = 0;

	if (!r->ingest || r->registration || !row->provider.data)
		return 0;
	rc = scheme_builtin(row->provider, &builtin, error);
	return rc < 0 || !builtin ? rc : receipt_texts(r, builtin, NULL, error);
}

int32_t receipt_store(inbox *in, db *d, receipt *r, inbox_known *known, knocker_error *error)
{
	endpoint_row row;
	receipt_kind k = {.endpoint = &row, .keep_body = true};
	int32_t rc = receipt_endpoint(d, r, known, &row, error);

	if (rc == 0)
		rc = receipt_check_provider(r, &row, error);
	if (rc == 0 && r->unjudged && row.enabled)
		rc = receipt_no_secret(r, error);
	if (rc == 0)
		rc = receipt_redact_by_row(r, &row, error);
	if (rc == 0)
		rc = receipt_date(in, d, known, error);
	if (rc < 0)
		return rc;
	r->duplicate = false;
	r->event_id = 0;
	if ((!row.enabled && !r->ingest) || r->too_large || r->verdict.handshake || !r->verdict.valid)
		return receipt_refuse(in, d, r, &row, known, error);
	k.id = r->delivery_id = known->next_id++;
	k.valid = r->request->verdict == KNOCKER_UNCHECKED ||
	                  (!r->ingest && !r->scheme && !r->by_application)
	              ? -1
	              : 1;
	r->status = r->verdict.status;
	r->response_headers = r->verdict.response_headers;
	r->response_body = r->verdict.response_body;
	return receipt_event(in, d, r, &k, known, error);
}

/* ---- an orphan that passes after all ---- */

int32_t receipt_check_enabled(const receipt *r, const endpoint_row *row, knocker_error *error)
{
	if (row->enabled)
		return 0;
	return fail(error, KNOCKER_INVALID_ARGUMENT,
	            "endpoint '%.*s' is disabled: enable it before its receipts are verified again",
	            QUOTED(r->request->endpoint));
}

/* Its id stays, and so does the order of ids: it becomes an event where it stands, of the time when
 * it came. What was said to its sender stays in signature_error. */
static int32_t receipt_adopt_row(inbox *in, db *d, receipt *r, const endpoint_row *row, int64_t id,
                                 knocker_error *error)
{
	knocker_bytes queue = row->queue.data ? row->queue : bytes_of(in->queue_name);
	int64_t first = 0, adopted = 0;
	int32_t rc = 0;

	if (r->dedupe_key.data)
		rc = db_int_of(d, STMT_delivery_of_key, VALUES(INT(row->id), TEXT(r->dedupe_key)), 0,
		               &first, error);
	r->duplicate = first > 0;
	r->event_id = first > 0 ? first : id;
	if (rc == 0)
		rc = db_run(d, STMT_orphan_adopt,
		            VALUES(INT(id), INT(r->event_id), TEXT(r->event_type),
		                   TEXT(r->provider_event_id), TEXT(r->provider_delivery_id),
		                   TEXT(r->dedupe_key)),
		            &adopted, error);
	if (rc < 0 || adopted == 0)
		return rc < 0 ? rc : 1;
	if (r->duplicate)
		return 0;
	db_mark_due(d);
	return db_run(d, STMT_job_insert_event,
	              VALUES(INT(id), TEXT(queue), INT(row->id), TEXT(r->event_type),
	                     INT(inbox_now_ms(in)), NONE),
	              NULL, error);
}

int32_t receipt_adopt(inbox *in, db *d, receipt *r, int64_t id, int64_t bytes, knocker_error *error)
{
	endpoint_row row;
	int32_t rc = endpoint_find(d, r->request->endpoint, &r->memory, &row, error);

	if (rc == 0)
		rc = receipt_check_enabled(r, &row, error);
	if (rc == 0)
		rc = receipt_check_provider(r, &row, error);
	if (rc == 0)
		rc = receipt_adopt_row(in, d, r, &row, id, error);
	if (rc == 0)
		rc = db_run(d, STMT_endpoint_orphans_add, VALUES(INT(row.id), INT(-1), INT(-bytes), INT(0)),
		            NULL, error);
	return rc;
}
