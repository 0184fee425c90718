/* What a person does with an event: ignore, replay, requeue, replay a delivery. Which act is
 * allowed from which status stands in one table. */
#include "operator.h"

#include <string.h>

#include "error.h"
#include "job.h"

typedef enum { ACT_IGNORE, ACT_REPLAY, ACT_REQUEUE, ACT_REPLAY_DELIVERY } operator_act;

static const struct {
	const char *name;
	bool received, handled, failed, dead, ignored;
} operator_acts[] = {
	[ACT_IGNORE] = {"ignore", .received = true, .failed = true, .dead = true, .ignored = true},
	[ACT_REPLAY] = {"replay", .handled = true, .failed = true, .dead = true, .ignored = true},
	[ACT_REQUEUE] = {"requeue", .failed = true, .dead = true, .ignored = true},
	[ACT_REPLAY_DELIVERY] = {"replay_delivery", .handled = true, .failed = true, .dead = true,
                             .ignored = true},
};

static bool operator_allowed(operator_act act, const job_state *job, int64_t now_ms)
{
	bool working = job->held && job_unsettled(job), expired = working && job->due_ms <= now_ms;

	if (working && !expired)
		return false;
	if (expired && (act == ACT_IGNORE || act == ACT_REQUEUE))
		return true;
	if (act == ACT_REQUEUE && job->due_ms < 0 && strcmp(job->status, "received") == 0)
		return true;
	if (expired)
		return false;
	return strcmp(job->status, "received") == 0  ? operator_acts[act].received
	       : strcmp(job->status, "handled") == 0 ? operator_acts[act].handled
	       : strcmp(job->status, "failed") == 0  ? operator_acts[act].failed
	       : strcmp(job->status, "dead") == 0    ? operator_acts[act].dead
	                                             : operator_acts[act].ignored;
}

static int32_t operator_check(db *d, operator_act act, int64_t event_id, int64_t now_ms,
                              job_state *job, knocker_error *error)
{
	int32_t rc = job_get(d, event_id, job, error);

	if (rc == 1 || (rc == 0 && job->topic <= 0))
		return fail(error, KNOCKER_UNKNOWN_EVENT, "no event has the id %lld", (long long)event_id);
	if (rc == 0 && !operator_allowed(act, job, now_ms))
		rc = fail(error, KNOCKER_WRONG_STATUS, "%s is not allowed: event %lld is %s",
		          operator_acts[act].name, (long long)event_id,
		          job->held && job_unsettled(job) ? "processing" : job->status);
	return rc;
}

int32_t operator_ignore(inbox *in, db *d, int64_t event_id, knocker_bytes reason,
                        knocker_error *error)
{
	int64_t now_ms = inbox_now_ms(in);
	job_state job;
	int32_t rc = inbox_text_check("reason", &reason, LIMIT_ERROR_TEXT, error);

	if (rc == 0)
		rc = operator_check(d, ACT_IGNORE, event_id, now_ms, &job, error);
	if (rc < 0 || strcmp(job.status, "ignored") == 0)
		return rc;
	return db_run(d, STMT_job_ignore, VALUES(INT(event_id), INT(now_ms), TEXT(reason)), NULL,
	              error);
}

/* Queues the event again, from now on and with its attempts counted anew; its claims go on. */
static int32_t operator_queue(db *d, int64_t event_id, int64_t delivery_id, int64_t now_ms,
                              const operator_again *a, knocker_error *error)
{
	db_mark_due(d);
	return db_run(d, STMT_job_again,
	              VALUES(INT(event_id), INT(now_ms), INT_OR_NULL(delivery_id), TEXT(a->queue),
	                     INT_OR_NULL(a->max_attempts)),
	              NULL, error);
}

static int32_t operator_run_again(inbox *in, db *d, operator_act act, int64_t event_id,
                                  int64_t delivery_id, const operator_again *given,
                                  knocker_error *error)
{
	int64_t now_ms = inbox_now_ms(in);
	operator_again a = *given;
	job_state job;
	int32_t rc = inbox_text_check("queue_name", &a.queue, LIMIT_NAME, error);

	if (rc == 0)
		rc = inbox_range_check("max_attempts", a.max_attempts, 0, 1000000, error);
	if (rc == 0)
		rc = operator_check(d, act, event_id, now_ms, &job, error);
	return rc < 0 ? rc : operator_queue(d, event_id, delivery_id, now_ms, &a, error);
}

int32_t operator_replay(inbox *in, db *d, int64_t event_id, const operator_again *a,
                        knocker_error *error)
{
	return operator_run_again(in, d, ACT_REPLAY, event_id, 0, a, error);
}

int32_t operator_requeue(inbox *in, db *d, int64_t event_id, const operator_again *a,
                         knocker_error *error)
{
	return operator_run_again(in, d, ACT_REQUEUE, event_id, 0, a, error);
}

/* Back to received, with no job in the queue: requeue or replay queue it. */
int32_t operator_reset(inbox *in, db *d, int64_t event_id, knocker_error *error)
{
	job_state job;
	int32_t rc = operator_check(d, ACT_REPLAY, event_id, inbox_now_ms(in), &job, error);

	return rc < 0 ? rc : db_run(d, STMT_job_reset, VALUES(INT(event_id)), NULL, error);
}

int32_t operator_replay_delivery(inbox *in, db *d, int64_t delivery_id, const operator_again *a,
                                 knocker_error *error)
{
	query *q;
	int64_t event_id = 0;
	int32_t rc = db_query(d, STMT_delivery_event, VALUES(INT(delivery_id)), &q, error);

	if (rc == 0)
		event_id = db_int(q, 0);
	db_done(q);
	if (rc == 1)
		return fail(error, KNOCKER_UNKNOWN_DELIVERY, "no delivery has the id %lld",
		            (long long)delivery_id);
	if (rc == 0 && event_id == 0)
		return fail(error, KNOCKER_WRONG_STATUS,
		            "replay_delivery is not allowed: delivery %lld is an orphan, it has no event",
		            (long long)delivery_id);
	return rc < 0 ? rc
	              : operator_run_again(in, d, ACT_REPLAY_DELIVERY, event_id,
	                                   delivery_id == event_id ? 0 : delivery_id, a, error);
}
