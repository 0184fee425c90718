/* Looking: one row, lists, why an event is where it is, numbers for a health check. Reads only. */
#include <stdio.h>
#include <string.h>

#include "error.h"
#include "job.h"
#include "operator.h"

/* ---- one row ---- */

static int32_t look_missing(int32_t kind, int64_t id, knocker_error *error)
{
	switch (kind) {
	case KNOCKER_EVENT:
		return fail(error, KNOCKER_UNKNOWN_EVENT, "no event has the id %lld", (long long)id);
	case KNOCKER_DELIVERY:
		return fail(error, KNOCKER_UNKNOWN_DELIVERY, "no delivery has the id %lld", (long long)id);
	default:
		return fail(error, KNOCKER_UNKNOWN_ENDPOINT, "no endpoint has the id %lld", (long long)id);
	}
}

int32_t look_get(db *d, int32_t kind, int64_t id, knocker_rows **out, knocker_error *error)
{
	enum statement s = kind == KNOCKER_EVENT      ? STMT_event_get
	                   : kind == KNOCKER_DELIVERY ? STMT_delivery_get
	                                              : STMT_endpoint_get;
	int32_t rc;

	*out = NULL;
	if (kind != KNOCKER_EVENT && kind != KNOCKER_DELIVERY && kind != KNOCKER_ENDPOINT)
		return fail(error, KNOCKER_INVALID_ARGUMENT,
		            "kind %d has no single rows: events, deliveries and endpoints have", (int)kind);
	rc = db_rows(d, s, VALUES(INT(id)), out, error);
	if (rc == 0 && rows_count(*out) == 0) {
		knocker_rows_free(*out);
		*out = NULL;
		rc = look_missing(kind, id, error);
	}
	return rc;
}

/* ---- lists ---- */

int32_t look_since(db *d, int64_t since_ms, int64_t *id, knocker_error *error)
{
	int64_t low, high = 0, at;
	int32_t rc = db_int_of(d, STMT_id_first, NO_VALUES, 1, &low, error);

	if (rc == 0)
		rc = db_int_of(d, STMT_id_last, NO_VALUES, 0, &high, error);
	for (high++; rc == 0 && low < high;) {
		int64_t middle = low + (high - low) / 2;

		rc = db_int_of(d, STMT_id_since, VALUES(INT(middle)), INT64_MAX, &at, error);
		if (at >= since_ms)
			high = middle;
		else
			low = middle + 1;
	}
	*id = low;
	return rc;
}

static int32_t look_status_check(knocker_bytes status, knocker_error *error)
{
	static const char *const known[] = {"received", "processing", "handled",
	                                    "failed",   "dead",       "ignored"};
	size_t i;

	for (i = 0; i < sizeof known / sizeof *known; i++)
		if (bytes_is(status, known[i]))
			return 0;
	return fail(error, KNOCKER_INVALID_ARGUMENT, "no status is named '%.*s'", QUOTED(status));
}

static int32_t look_kind_check(knocker_bytes kind, knocker_error *error)
{
	if (bytes_is(kind, "prune_events") || bytes_is(kind, "prune_orphan_deliveries"))
		return 0;
	return fail(error, KNOCKER_INVALID_ARGUMENT, "no kind of audit is named '%.*s'", QUOTED(kind));
}

/* Which members a kind has; any other is refused, for a list that ignored one would be too long. */
static int32_t look_members_check(const knocker_filter *f, knocker_error *error)
{
	enum { EVENT = 1 << 1, DELIVERY = 1 << 2, ATTEMPT = 1 << 3, ENDPOINT = 1 << 4, JOB = 1 << 5 };
	enum { AUDIT = 1 << 6 };
	static const char *const kinds[] = {"",          "events", "deliveries", "attempts",
	                                    "endpoints", "jobs",   "audits"};
	const struct {
		const char *name;
		bool given;
		int kinds;
	} members[] = {
		{"before_id", f->before_id != 0, EVENT | DELIVERY | ATTEMPT | AUDIT},
		{"since", f->since_s != 0, EVENT | DELIVERY | AUDIT},
		{"endpoint", f->endpoint.data != NULL, EVENT | DELIVERY | ENDPOINT | JOB},
		{"status", f->status.data != NULL, EVENT},
		{"event_type", f->event_type.data != NULL, EVENT | DELIVERY},
		{"event_id", f->event_id != 0, DELIVERY | ATTEMPT},
		{"signature_valid", f->signature_valid != 0, DELIVERY},
		{"orphaned", f->orphaned != 0, DELIVERY},
		{"audit_kind", f->audit_kind.data != NULL, AUDIT},
	};
	size_t i;

	for (i = 0; i < sizeof members / sizeof *members; i++)
		if (members[i].given && !(members[i].kinds & 1 << f->kind))
			return fail(error, KNOCKER_INVALID_ARGUMENT, "%s are not listed by %s", kinds[f->kind],
			            members[i].name);
	return 0;
}

static int32_t look_filter_check(knocker_filter *f, knocker_error *error)
{
	int32_t rc = inbox_range_check("kind", f->kind, KNOCKER_EVENT, KNOCKER_AUDIT, error);

	if (rc == 0)
		rc = look_members_check(f, error);
	if (rc == 0 && f->limit == 0)
		f->limit = 100;
	if (rc == 0)
		rc = inbox_range_check("limit", f->limit, 1, LIMIT_LIST, error);
	if (rc == 0)
		rc = inbox_range_check("since", f->since_s, 0, INT64_MAX / 1000, error);
	if (rc == 0)
		rc = inbox_range_check("before_id", f->before_id, 0, INT64_MAX, error);
	if (rc == 0)
		rc = inbox_range_check("event_id", f->event_id, 0, INT64_MAX, error);
	if (rc == 0)
		rc = inbox_range_check("signature_valid", f->signature_valid, 0, 2, error);
	if (rc == 0)
		rc = inbox_range_check("orphaned", f->orphaned, 0, 2, error);
	if (rc == 0)
		rc = inbox_text_check("endpoint", &f->endpoint, LIMIT_NAME, error);
	if (rc == 0)
		rc = inbox_text_check("event_type", &f->event_type, LIMIT_ID, error);
	if (rc == 0 && f->status.data)
		rc = look_status_check(f->status, error);
	if (rc == 0 && f->audit_kind.data)
		rc = look_kind_check(f->audit_kind, error);
	if (rc == 0 && f->before_id == 0)
		f->before_id = INT64_MAX;
	return rc;
}

typedef struct {
	const knocker_filter *filter;
	int64_t since_id;
	knocker_value endpoint; /* its id; null: all */
} look_bounds;

static int32_t look_bounds_read(db *d, const knocker_filter *f, look_bounds *b,
                                knocker_error *error)
{
	arena a = {0};
	endpoint_row row;
	int32_t rc = 0;

	*b = (look_bounds){.filter = f, .endpoint = NONE};
	if (f->endpoint.data && f->kind != KNOCKER_ENDPOINT) {
		rc = endpoint_find(d, f->endpoint, &a, &row, error);
		b->endpoint = INT(row.id);
		arena_free(&a);
	}
	if (rc == 0 && f->since_s > 0 && f->kind != KNOCKER_AUDIT)
		rc = look_since(d, f->since_s * 1000, &b->since_id, error);
	return rc;
}

static int32_t look_list_events(db *d, const look_bounds *b, knocker_rows **out,
                                knocker_error *error)
{
	const knocker_filter *f = b->filter;
	bool rare = bytes_is(f->status, "failed") || bytes_is(f->status, "dead") ||
	            bytes_is(f->status, "ignored");

	return db_rows(d, rare ? STMT_event_list_rare : STMT_event_list,
	               VALUES(INT(f->before_id), INT(b->since_id), b->endpoint, TEXT(f->event_type),
	                      INT(f->limit), INT(f->without_body != 0), TEXT(f->status)),
	               out, error);
}

static int32_t look_list_deliveries(db *d, const look_bounds *b, knocker_rows **out,
                                    knocker_error *error)
{
	const knocker_filter *f = b->filter;

	return db_rows(d, f->event_id ? STMT_delivery_list_event : STMT_delivery_list,
	               (const knocker_value[]){INT(f->before_id), INT(b->since_id), b->endpoint,
	                                       TEXT(f->event_type), INT(f->orphaned),
	                                       INT(f->signature_valid), INT(f->limit),
	                                       INT(f->without_body != 0), INT(f->event_id)},
	               f->event_id ? 9 : 8, out, error);
}

static int32_t look_list_attempts(db *d, const knocker_filter *f, knocker_rows **out,
                                  knocker_error *error)
{
	if (f->event_id)
		return db_rows(d, STMT_attempt_list,
		               VALUES(INT(f->event_id), INT(f->before_id), INT(f->limit)), out, error);
	return db_rows(d, STMT_attempt_list_all, VALUES(NONE, INT(f->before_id), INT(f->limit)), out,
	               error);
}

int32_t look_list(db *d, const knocker_filter *filter, knocker_rows **out, knocker_error *error)
{
	knocker_filter f = *filter;
	look_bounds b;
	int32_t rc = look_filter_check(&f, error);

	*out = NULL;
	if (rc == 0)
		rc = look_bounds_read(d, &f, &b, error);
	if (rc < 0)
		return rc;
	switch (f.kind) {
	case KNOCKER_EVENT:
		return look_list_events(d, &b, out, error);
	case KNOCKER_DELIVERY:
		return look_list_deliveries(d, &b, out, error);
	case KNOCKER_ATTEMPT:
		return look_list_attempts(d, &f, out, error);
	case KNOCKER_ENDPOINT:
		return db_rows(d, STMT_endpoint_list, VALUES(TEXT(f.endpoint), INT(f.limit)), out, error);
	case KNOCKER_JOB:
		return db_rows(d, STMT_job_list, VALUES(INT(f.before_id), b.endpoint, INT(f.limit)), out,
		               error);
	default:
		return db_rows(d, STMT_audit_list,
		               VALUES(INT(f.before_id), TEXT(f.audit_kind), INT(f.since_s * 1000),
		                      INT(f.limit)),
		               out, error);
	}
}

/* ---- why ---- */

typedef struct {
	job_state job;
	bool paused;
	int64_t now_ms, orphan_id;
	char endpoint[LIMIT_NAME + 1], last_error[400], orphan_error[300];
	const char *cause;
	char sentence[900];
} look_reason;

static void look_copy(char *to, size_t size, knocker_bytes from)
{
	size_t len = from.data ? (size_t)from.len : 0;

	if (len >= size)
		len = size - 1;
	while (len > 0 && from.len > (int64_t)len &&
	       (((const unsigned char *)from.data)[len] & 0xC0) == 0x80)
		len--;
	if (len > 0)
		memcpy(to, from.data, len);
	to[len] = '\0';
}

static int32_t look_why_read(db *d, int64_t event_id, look_reason *w, knocker_error *error)
{
	query *q;
	int32_t rc = job_get(d, event_id, &w->job, error);
	knocker_bytes provider_event_id = {0};
	arena a = {0};

	if (rc == 1 || (rc == 0 && w->job.topic <= 0))
		return look_missing(KNOCKER_EVENT, event_id, error);
	if (rc < 0)
		return rc;
	rc = db_query(d, STMT_event_why, VALUES(INT(event_id)), &q, error);
	if (rc == 0) {
		look_copy(w->endpoint, sizeof w->endpoint, db_text(q, 0));
		w->paused = db_int(q, 1) != 0;
		look_copy(w->last_error, sizeof w->last_error, db_text(q, 2));
		if (!arena_copy(&a, db_text(q, 3), &provider_event_id))
			rc = fail_memory(error);
	}
	db_done(q);
	if (rc == 0 && provider_event_id.data) {
		rc = db_query(d, STMT_orphan_twin, VALUES(INT(w->job.topic), TEXT(provider_event_id)), &q,
		              error);
		if (rc == 0) {
			w->orphan_id = db_int(q, 0);
			look_copy(w->orphan_error, sizeof w->orphan_error, db_text(q, 1));
		}
		db_done(q);
	}
	arena_free(&a);
	return rc < 0 ? rc : 0;
}

static void look_say(look_reason *w, const char *cause, const char *sentence)
{
	w->cause = cause;
	snprintf(w->sentence, sizeof w->sentence, "%s", sentence);
}

static void look_why_held(look_reason *w)
{
	bool over = w->job.due_ms <= w->now_ms;

	w->cause = over ? "lease_expired" : "leased";
	snprintf(w->sentence, sizeof w->sentence,
	         over ? "the lease of worker '%.200s' ran out at %lld: it will be claimed again"
	              : "worker '%.200s' holds it until %lld",
	         w->job.worker, (long long)(w->job.due_ms / 1000));
}

static void look_why_queued(look_reason *w)
{
	const char *retry = strcmp(w->job.status, "failed") == 0 ? w->last_error : NULL;

	if (w->paused) {
		w->cause = "paused";
		snprintf(w->sentence, sizeof w->sentence, "endpoint '%s' is paused: resume it",
		         w->endpoint);
	} else if (w->job.due_ms > w->now_ms) {
		w->cause = "due_later";
		snprintf(w->sentence, sizeof w->sentence, "due at %lld%s%s",
		         (long long)(w->job.due_ms / 1000), retry ? ": the last attempt failed with: " : "",
		         retry ? retry : "");
	} else {
		w->cause = "waiting";
		snprintf(w->sentence, sizeof w->sentence, "waiting for a worker since %lld%s%s",
		         (long long)(w->job.due_ms / 1000), retry ? "; the last attempt failed with: " : "",
		         retry ? retry : "");
	}
}

static void look_why_ended(look_reason *w)
{
	const char *said = w->last_error[0] ? w->last_error : "no reason was given";

	w->cause = w->job.status;
	if (strcmp(w->job.status, "handled") == 0)
		snprintf(w->sentence, sizeof w->sentence, "handled by attempt %lld",
		         (long long)w->job.attempt_count);
	else if (strcmp(w->job.status, "dead") == 0)
		snprintf(w->sentence, sizeof w->sentence, "dead after %lld attempt%s: %s",
		         (long long)w->job.attempt_count, w->job.attempt_count == 1 ? "" : "s", said);
	else if (strcmp(w->job.status, "ignored") == 0)
		snprintf(w->sentence, sizeof w->sentence, "ignored: %s", said);
	else
		look_say(w, "unqueued", "it has no job in the queue: requeue it");
}

int32_t look_why(inbox *in, db *d, int64_t event_id, knocker_rows **out, knocker_error *error)
{
	look_reason w = {.now_ms = inbox_now_ms(in)};
	bool held;
	int32_t rc = look_why_read(d, event_id, &w, error);

	*out = NULL;
	if (rc < 0)
		return rc;
	held = w.job.held && job_unsettled(&w.job);
	if (!job_unsettled(&w.job))
		w.job.due_ms = -1;
	if (held)
		look_why_held(&w);
	else if (w.job.due_ms >= 0)
		look_why_queued(&w);
	else
		look_why_ended(&w);
	rc = rows_new(
		"event_id, status, sentence, cause, due_at, worker_id, lease_until, attempt_count, last_error, "
		"orphan_delivery_id, orphan_error",
		out, error);
	if (rc == 0)
		rc = rows_add(*out,
		              (const knocker_value[]){INT(event_id),
		                                      TEXT(bytes_of(held ? "processing" : w.job.status)),
		                                      TEXT(bytes_of(w.sentence)), TEXT(bytes_of(w.cause)),
		                                      held || w.job.due_ms < 0 ? NONE
		                                                               : INT(w.job.due_ms / 1000),
		                                      held ? TEXT(bytes_of(w.job.worker)) : NONE,
		                                      held ? INT(w.job.due_ms / 1000) : NONE,
		                                      INT(w.job.attempt_count),
		                                      w.last_error[0] ? TEXT(bytes_of(w.last_error)) : NONE,
		                                      INT_OR_NULL(w.orphan_id),
		                                      w.orphan_id ? TEXT(bytes_of(w.orphan_error)) : NONE},
		              error);
	return rc;
}
