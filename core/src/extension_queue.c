/* The SQL door: the queue, and the marks by which an application that writes the worker's step
 * itself settles an event. */
#include "extension_parts.h"

#include <string.h>

#include "error.h"
#include "job.h"
#include "json.h"
#include "worker.h"

/* ---- plain jobs ---- */

/* A delay wins over a date, as users of the queue know it. */
static int32_t sql_enqueue_due(call *c, int64_t *due_ms, knocker_error *error)
{
	int64_t now_ms = inbox_now_ms(&c->x->inbox), delay_ms;
	int32_t rc = call_seconds(c, 2, "run_at", now_ms, due_ms, error);

	if (rc == 0)
		rc = call_seconds(c, 3, "delay", -1, &delay_ms, error);
	if (rc == 0 && delay_ms >= 0)
		*due_ms = now_ms + delay_ms;
	return rc;
}

static int32_t sql_enqueue(call *c, knocker_error *error)
{
	int64_t due_ms, priority, max_attempts, expires_ms, id, last;
	knocker_bytes queue, payload;
	int32_t rc = call_text(c, 0, "queue", &queue, error);

	if (rc == 0)
		rc = inbox_name_check("queue", queue, error);
	if (rc == 0)
		rc = call_text(c, 1, "payload", &payload, error);
	if (rc == 0)
		rc = sql_enqueue_due(c, &due_ms, error);
	if (rc == 0)
		rc = call_int(c, 4, "priority", 0, &priority, error);
	if (rc == 0)
		rc = inbox_range_check("priority", priority, 0, INT32_MAX, error);
	if (rc == 0)
		rc = call_int(c, 5, "max_attempts", c->x->inbox.max_attempts, &max_attempts, error);
	if (rc == 0)
		rc = inbox_range_check("max_attempts", max_attempts, 1, 1000000, error);
	if (rc == 0)
		rc = call_seconds(c, 6, "expires", -1, &expires_ms, error);
	if (rc == 0)
		rc = id_next(c->x->d, &id, &last, error);
	if (rc < 0)
		return rc;
	db_mark_due(c->x->d);
	call_give_int(c, id);
	return db_run(c->x->d, STMT_job_insert_plain,
	              VALUES(INT(id), TEXT(queue), INT(-priority), INT(due_ms), INT(max_attempts),
	                     TEXT(payload),
	                     expires_ms < 0 ? NONE : INT(inbox_now_ms(&c->x->inbox) + expires_ms)),
	              NULL, error);
}

/* ---- claiming ---- */

/* {"event_id": 7}, {"event_id": 7, "delivery_id": 9} when a delivery is replayed, or a plain job's
 * own. */
static void sql_give_payload(buffer *out, query *q, const job_claimed *job)
{
	buffer payload;

	if (job->topic <= 0) {
		buffer_json(out, db_text(q, 1));
		return;
	}
	buffer_init(&payload, 100);
	buffer_text(&payload, "{\"event_id\": ");
	buffer_int(&payload, job->id);
	if (!db_null(q, 6)) {
		buffer_text(&payload, ", \"delivery_id\": ");
		buffer_int(&payload, db_int(q, 6));
	}
	buffer_text(&payload, "}");
	buffer_json(out, buffer_view(&payload));
	out->failed = out->failed || payload.failed;
	buffer_free(&payload);
}

static void sql_give_job(buffer *out, query *q, const job_claimed *job, int64_t max_attempts)
{
	buffer_text(out, "{\"id\":");
	buffer_int(out, job->id);
	buffer_text(out, ",\"queue\":");
	buffer_json(out, db_text(q, 0));
	buffer_text(out, ",\"payload\":");
	sql_give_payload(out, q, job);
	buffer_text(out, ",\"worker_id\":");
	buffer_json(out, db_text(q, 2));
	buffer_text(out, ",\"attempts\":");
	buffer_int(out, job->claim);
	buffer_text(out, ",\"max_attempts\":");
	buffer_int(out, db_null(q, 4) ? max_attempts : db_int(q, 4));
	buffer_text(out, ",\"claim_expires_at\":");
	buffer_int(out, db_int(q, 5) / 1000);
	buffer_text(out, "}");
}

static int32_t sql_give_jobs(call *c, const job_claimed *jobs, int32_t count, knocker_error *error)
{
	int32_t rc = 0, i;

	c->kind = RESULT_JSON;
	buffer_text(&c->text, "[");
	for (i = 0; rc == 0 && i < count; i++) {
		query *q;

		if (jobs[i].died)
			continue;
		rc = db_query(c->x->d, STMT_job_claim_row, VALUES(INT(jobs[i].id)), &q, error);
		buffer_text(&c->text, c->text.len > 1 ? "," : "");
		if (rc == 0)
			sql_give_job(&c->text, q, &jobs[i], c->x->inbox.max_attempts);
		db_done(q);
	}
	buffer_text(&c->text, "]");
	return rc < 0 ? rc : 0;
}

static int32_t sql_claim_batch(call *c, knocker_error *error)
{
	inbox *in = &c->x->inbox;
	job_claim_options o = {.now_ms = inbox_now_ms(in)};
	job_claimed *jobs = arena_get(&c->memory, LIMIT_CLAIM * sizeof *jobs);
	int64_t wanted;
	int32_t count = 0, rc = jobs ? call_text(c, 0, "queue", &o.queue, error) : fail_memory(error);

	if (rc == 0)
		rc = inbox_name_check("queue", o.queue, error);
	if (rc == 0)
		rc = call_text(c, 1, "worker_id", &o.worker, error);
	if (rc == 0)
		rc = inbox_name_check("worker_id", o.worker, error);
	if (rc == 0)
		rc = call_int_required(c, 2, "n", &wanted, error);
	if (rc == 0)
		rc = inbox_range_check("n", wanted, 1, LIMIT_CLAIM, error);
	if (rc == 0)
		rc = call_seconds(c, 3, "visibility_s", in->visibility_ms, &o.lease_ms, error);
	if (rc < 0)
		return rc;
	o.count = (int32_t)wanted;
	inbox_lease_set(in, o.worker, o.lease_ms);
	rc = worker_claim_queue(in, c->x->d, &o, jobs, &count, error);
	return rc < 0 ? rc : sql_give_jobs(c, jobs, count, error);
}

/* ---- a held job ---- */

typedef struct {
	int64_t id;
	job_state job;
} sql_held;

/* Reads (job, worker [, attempts]). 1: it is not held by this worker, or was claimed again. */
static int32_t sql_held_read(call *c, int attempts_at, sql_held *h, knocker_error *error)
{
	knocker_bytes worker;
	int64_t attempts;
	int32_t rc = call_int_required(c, 0, "job_id", &h->id, error);

	if (rc == 0)
		rc = call_text(c, 1, "worker_id", &worker, error);
	if (rc == 0)
		rc = inbox_name_check("worker_id", worker, error);
	if (rc == 0)
		rc = call_int(c, attempts_at, "attempts", -1, &attempts, error);
	if (rc == 0 && call_given(c, attempts_at))
		rc = inbox_range_check("attempts", attempts, 0, INT64_MAX, error);
	if (rc == 0)
		rc = job_get(c->x->d, h->id, &h->job, error);
	if (rc != 0)
		return rc;
	return h->job.held && bytes_is(worker, h->job.worker) &&
	               (attempts < 0 || attempts == h->job.claim)
	           ? 0
	           : 1;
}

static int32_t sql_drop(call *c, const sql_held *h, knocker_error *error)
{
	if (h->job.topic <= 0)
		return job_remove(c->x->d, h->id, error);
	return db_run(c->x->d, STMT_job_unqueue, VALUES(INT(h->id), INT(h->job.claim)), NULL, error);
}

static int32_t sql_ack(call *c, knocker_error *error)
{
	sql_held h;
	int32_t rc = sql_held_read(c, 2, &h, error);

	call_give_int(c, rc == 0);
	return rc == 0 ? sql_drop(c, &h, error) : rc;
}

static int32_t sql_ack_batch(call *c, knocker_error *error)
{
	knocker_bytes ids_text, worker;
	json *ids = NULL;
	const json *each;
	int64_t acked = 0;
	int32_t rc = call_text(c, 0, "ids_json", &ids_text, error);

	if (rc == 0)
		rc = call_text(c, 1, "worker_id", &worker, error);
	if (rc == 0)
		rc = inbox_name_check("worker_id", worker, error);
	if (rc == 0)
		rc = json_parse("ids_json", ids_text, &ids, error);
	if (rc == 0 && json_kind(ids) != JSON_ARRAY)
		rc = fail(error, KNOCKER_INVALID_ARGUMENT, "ids_json is not a JSON array");
	for (each = json_first(ids); rc == 0 && each; each = json_next(each)) {
		sql_held h;

		if (!json_int(each, &h.id))
			rc = fail(error, KNOCKER_INVALID_ARGUMENT, "ids_json holds what is no job id");
		if (rc == 0)
			rc = job_get(c->x->d, h.id, &h.job, error);
		if (rc == 0 && h.job.held && bytes_is(worker, h.job.worker)) {
			rc = sql_drop(c, &h, error);
			acked++;
		}
		rc = rc == 1 ? 0 : rc;
	}
	json_free(ids);
	call_give_int(c, acked);
	return rc;
}

static int32_t sql_retry(call *c, knocker_error *error)
{
	knocker_bytes why;
	int64_t delay_ms;
	sql_held h;
	int32_t rc = call_seconds(c, 2, "delay_s", 0, &delay_ms, error);

	if (rc == 0)
		rc = call_text(c, 3, "error", &why, error);
	if (rc == 0)
		rc = sql_held_read(c, 4, &h, error);
	call_give_int(c, rc == 0);
	if (rc != 0)
		return rc;
	why = worker_reason(why);
	if (h.job.topic <= 0 &&
	    h.job.claim >= (h.job.max_attempts ? h.job.max_attempts : c->x->inbox.max_attempts))
		return db_run(c->x->d, STMT_job_bury_worn,
		              VALUES(INT(h.id), INT(h.job.claim), INT(inbox_now_ms(&c->x->inbox)),
		                     TEXT(why)),
		              NULL, error);
	db_mark_due(c->x->d);
	return db_run(c->x->d, STMT_job_requeue_held,
	              VALUES(INT(h.id), INT(h.job.claim), INT(inbox_now_ms(&c->x->inbox) + delay_ms),
	                     TEXT(why)),
	              NULL, error);
}

static int32_t sql_fail(call *c, knocker_error *error)
{
	knocker_bytes why;
	sql_held h;
	int32_t rc = call_text(c, 2, "error", &why, error);

	if (rc == 0)
		rc = sql_held_read(c, 3, &h, error);
	call_give_int(c, rc == 0);
	return rc == 0 ? sql_drop(c, &h, error) : rc;
}

static int32_t sql_heartbeat(call *c, knocker_error *error)
{
	int64_t extend_ms;
	sql_held h;
	int32_t rc = call_seconds(c, 2, "extend_s", 0, &extend_ms, error);

	if (rc == 0)
		rc = sql_held_read(c, 3, &h, error);
	call_give_int(c, rc == 0);
	if (rc != 0)
		return rc;
	return job_extend(c->x->d, h.id, h.job.claim, inbox_now_ms(&c->x->inbox) + extend_ms, error);
}

static int32_t sql_release(call *c, knocker_error *error)
{
	sql_held h;
	int32_t rc = sql_held_read(c, 2, &h, error);

	call_give_int(c, rc == 0);
	return rc == 0 ? job_release(c->x->d, h.id, h.job.claim, inbox_now_ms(&c->x->inbox), error)
	               : rc;
}

/* ---- marks ---- */

/* An event with a live job that is held: where `attempts` is not negative, by that claim. */
static int32_t sql_mark_read(call *c, int64_t attempts, sql_held *h, knocker_error *error)
{
	int32_t rc = call_int_required(c, 0, "event_id", &h->id, error);

	if (rc == 0)
		rc = job_get(c->x->d, h->id, &h->job, error);
	if (rc == 1 || (rc == 0 && h->job.topic <= 0))
		return fail(error, KNOCKER_UNKNOWN_EVENT, "no event has the id %lld", (long long)h->id);
	if (rc < 0)
		return rc;
	if (!h->job.held || (attempts >= 0 && attempts != h->job.claim))
		return fail(error, KNOCKER_LEASE_LOST,
		            "event %lld is %s, and its job is no longer held by this claim",
		            (long long)h->id, h->job.status);
	if (!job_unsettled(&h->job))
		return fail(error, KNOCKER_WRONG_STATUS, "event %lld is %s already", (long long)h->id,
		            h->job.status);
	return 0;
}

static int32_t sql_mark_processing(call *c, knocker_error *error)
{
	sql_held h;
	int64_t attempts;
	int32_t rc = call_int_required(c, 1, "attempts", &attempts, error);

	if (rc == 0)
		rc = inbox_range_check("attempts", attempts, 0, INT64_MAX, error);
	return rc < 0 ? rc : sql_mark_read(c, attempts, &h, error);
}

/* Status and attempt row; the job stays held until honker_ack, honker_retry or honker_fail. */
static int32_t sql_mark(call *c, const sql_held *h, const char *status, const char *word,
                        knocker_bytes why, int duration_at, knocker_error *error)
{
	worker_outcome o = {.job_id = h->id, .claim = h->job.claim};
	int64_t now_ms = inbox_now_ms(&c->x->inbox);
	int32_t rc = call_int(c, duration_at, "duration_ms", -1, &o.duration_ms, error);

	if (rc == 0)
		rc = inbox_range_check("duration_ms", o.duration_ms, call_given(c, duration_at) ? 0 : -1,
		                       INT64_MAX, error);
	if (rc == 0)
		rc = db_run(c->x->d, STMT_job_mark,
		            VALUES(INT(h->id), INT(h->job.claim), TEXT(bytes_of(status)),
		                   INT(strcmp(status, "ignored") != 0), INT(now_ms), TEXT(why)),
		            NULL, error);
	return rc < 0 ? rc : worker_attempt(&c->x->inbox, c->x->d, &o, word, why, error);
}

static int32_t sql_mark_handled(call *c, knocker_error *error)
{
	sql_held h;
	int32_t rc = sql_mark_read(c, -1, &h, error);

	return rc < 0 ? rc : sql_mark(c, &h, "handled", "handled", (knocker_bytes){0}, 1, error);
}

static int32_t sql_mark_ignored(call *c, knocker_error *error)
{
	sql_held h;
	int32_t rc = sql_mark_read(c, -1, &h, error);

	return rc < 0 ? rc : sql_mark(c, &h, "ignored", "ignored", (knocker_bytes){0}, 1, error);
}

static int32_t sql_mark_failed(call *c, knocker_error *error)
{
	knocker_bytes why;
	int64_t attempts, terminal;
	const char *status;
	sql_held h;
	int32_t rc = call_int_required(c, 1, "attempts", &attempts, error);

	if (rc == 0)
		rc = inbox_range_check("attempts", attempts, 0, INT64_MAX, error);
	if (rc == 0)
		rc = call_text(c, 2, "error", &why, error);
	if (rc == 0)
		rc = call_truth(c, 3, "terminal", 0, &terminal, error);
	if (rc == 0)
		rc = sql_mark_read(c, attempts, &h, error);
	status = rc == 0 && terminal ? "dead" : "failed";
	return rc < 0 ? rc : sql_mark(c, &h, status, status, worker_reason(why), 4, error);
}

/* ---- the worker's step as two calls, with the rules of retries below ---- */

static int32_t sql_begin_work(call *c, knocker_error *error)
{
	inbox *in = &c->x->inbox;
	knocker_rows *rows;
	sql_held h;
	worker_start start;
	int32_t rc = sql_held_read(c, 2, &h, error);

	if (rc != 0)
		return rc;
	if (h.job.topic <= 0)
		return worker_bury_plain(in, c->x->d, h.id, error);
	start = worker_may_start(in, &h.job, h.job.claim);
	if (start == START_NEVER)
		return sql_drop(c, &h, error);
	if (start == START_RENEWED)
		rc = job_extend(c->x->d, h.id, h.job.claim,
		                inbox_now_ms(in) + inbox_lease_ms(in, h.job.worker), error);
	if (rc == 0)
		rc = db_rows(c->x->d, STMT_event_of_work, VALUES(INT(h.id)), &rows, error);
	return rc < 0 ? rc : call_give_rows(c, rows, false, error);
}

static int32_t sql_outcome(knocker_bytes name, int32_t *outcome, knocker_error *error)
{
	for (*outcome = KNOCKER_HANDLED; *outcome <= KNOCKER_NO_HANDLER; ++*outcome)
		if (bytes_is(name, worker_outcome_name(*outcome)))
			return 0;
	return fail(error, KNOCKER_INVALID_ARGUMENT, "no outcome is named '%.*s'", QUOTED(name));
}

static int32_t sql_settle(call *c, knocker_error *error)
{
	worker_outcome o = {.duration_ms = -1};
	worker_result result;
	knocker_rows *rows = NULL;
	knocker_bytes name;
	sql_held h;
	int32_t rc = call_text(c, 3, "outcome", &name, error);

	if (rc == 0)
		rc = sql_outcome(name, &o.outcome, error);
	if (rc == 0)
		rc = call_text(c, 4, "reason", &o.reason, error);
	if (rc == 0)
		rc = call_seconds(c, 5, "delay_s", 0, &o.delay_ms, error);
	if (rc == 0)
		rc = call_int(c, 6, "duration_ms", -1, &o.duration_ms, error);
	if (rc == 0)
		rc = sql_held_read(c, 2, &h, error);
	if (rc == 1)
		return job_lost(h.id, error);
	if (rc < 0)
		return rc;
	o.job_id = h.id;
	o.claim = h.job.claim;
	rc = worker_settle(&c->x->inbox, c->x->d, &o, &h.job, &result, error);
	if (rc == 0)
		rc = worker_result_row(&result, &rows, error);
	return rc < 0 ? rc : call_give_rows(c, rows, false, error);
}

static const extension_entry queueing_entries[] = {
	{"honker_enqueue", 7, 7, CALL_WRITE, sql_enqueue},
	{"honker_claim_batch", 4, 4, CALL_WRITE, sql_claim_batch},
	{"honker_ack", 2, 3, CALL_WRITE, sql_ack},
	{"honker_ack_batch", 2, 2, CALL_WRITE, sql_ack_batch},
	{"honker_retry", 4, 5, CALL_WRITE, sql_retry},
	{"honker_fail", 3, 4, CALL_WRITE, sql_fail},
	{"honker_heartbeat", 3, 4, CALL_WRITE, sql_heartbeat},
	{"knocker_release", 3, 3, CALL_WRITE, sql_release},
	{"knocker_mark_processing", 2, 2, CALL_WRITE, sql_mark_processing},
	{"knocker_mark_handled", 2, 2, CALL_WRITE, sql_mark_handled},
	{"knocker_mark_failed", 5, 5, CALL_WRITE, sql_mark_failed},
	{"knocker_mark_ignored", 2, 2, CALL_WRITE, sql_mark_ignored},
	{"knocker_begin_work", 3, 3, CALL_WRITE, sql_begin_work},
	{"knocker_settle", 6, 7, CALL_WRITE, sql_settle},
	{NULL, 0, 0, CALL_PURE, NULL},
};

const extension_entry *extension_queueing(void)
{
	return queueing_entries;
}
