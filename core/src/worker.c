/* Starting and settling an event's job: the rules of retries and attempts. Knows no threads and no
 * transactions: its caller has begun one. */
#include "worker.h"

#include <stdio.h>
#include <string.h>

#include "backoff.h"
#include "error.h"

/* ---- beginning ---- */

worker_start worker_may_start(inbox *in, const job_state *job, int64_t claim)
{
	if (job->claim != claim || !job->held)
		return START_LOST;
	if (!job_unsettled(job))
		return START_NEVER;
	return job->due_ms - inbox_now_ms(in) < inbox_lease_ms(in, job->worker) / 2 ? START_RENEWED
	                                                                            : START_NOW;
}

/* ---- settling ---- */

typedef struct {
	int64_t max_attempts, base_ms, cap_ms;
	char endpoint[LIMIT_NAME + 1];
} worker_policy;

/* The job's own number of attempts, else the endpoint's, else this worker's. */
static int32_t worker_policy_read(inbox *in, db *d, const job_state *job, worker_policy *p,
                                  knocker_error *error)
{
	query *q;
	int32_t rc = db_query(d, STMT_endpoint_policy, VALUES(INT(job->topic)), &q, error);

	*p = (worker_policy){in->max_attempts, in->backoff_base_ms, in->backoff_cap_ms, ""};
	if (rc == 0) {
		if (!db_null(q, 0))
			p->max_attempts = db_int(q, 0);
		if (!db_null(q, 1))
			p->base_ms = db_int(q, 1);
		if (!db_null(q, 2))
			p->cap_ms = db_int(q, 2);
		snprintf(p->endpoint, sizeof p->endpoint, "%.*s", QUOTED(db_text(q, 3)));
	}
	db_done(q);
	if (job->max_attempts > 0)
		p->max_attempts = job->max_attempts;
	return rc < 0 ? rc : 0;
}

const char *worker_outcome_name(int32_t outcome)
{
	static const char *const names[] = {"handled", "failed",  "retry_after",
	                                    "dead",    "ignored", "no_handler"};

	return outcome >= KNOCKER_HANDLED && outcome <= KNOCKER_NO_HANDLER ? names[outcome - 1] : NULL;
}

/* An error's text as it is kept: valid, without NUL, of bounded length. */
knocker_bytes worker_reason(knocker_bytes reason)
{
	if (!reason.data)
		return reason;
	if (bytes_find(reason, '\0') >= 0)
		reason.len = bytes_find(reason, '\0');
	if (reason.len > LIMIT_ERROR_TEXT)
		reason.len = LIMIT_ERROR_TEXT;
	while (!bytes_utf8(reason))
		reason.len--;
	return reason;
}

/* What an outcome means for the job: the one place where retries are decided. `attempt` is the word
 * in the attempt row; NULL: none. */
static void worker_decide(inbox *in, const worker_outcome *o, const worker_policy *p,
                          const job_state *job, job_settlement *s, const char **attempt)
{
	int64_t now_ms = inbox_now_ms(in), failures = job->attempt_count + 1;

	s->due_ms = -1;
	s->settled_ms = now_ms;
	s->attempts = 1;
	switch (o->outcome) {
	case KNOCKER_HANDLED:
		s->status = *attempt = "handled";
		s->error = (knocker_bytes){0};
		return;
	case KNOCKER_IGNORED:
		s->status = *attempt = "ignored";
		s->attempts = 0;
		return;
	case KNOCKER_RETRY_AFTER:
		s->due_ms = now_ms + o->delay_ms;
		s->attempts = s->settled_ms = 0;
		return;
	default:
		break;
	}
	s->status = *attempt = "dead";
	if (o->outcome != KNOCKER_FAILED || failures >= p->max_attempts)
		return;
	s->status = *attempt = "failed";
	s->due_ms = now_ms + backoff_delay_ms(failures, p->base_ms, p->cap_ms, inbox_chance(in));
}

static int32_t worker_settle_check(const worker_outcome *o, knocker_error *error)
{
	if (!worker_outcome_name(o->outcome))
		return fail(error, KNOCKER_INVALID_ARGUMENT,
		            "outcome %d is none of KNOCKER_HANDLED to KNOCKER_NO_HANDLER", o->outcome);
	return inbox_range_check("delay", o->delay_ms, 0, INT64_MAX / 4, error);
}

/* "no handler registered for endpoint 'x', event type 'y'" */
static int32_t worker_no_handler(db *d, const worker_policy *p, int64_t job_id, char *text,
                                 size_t size, knocker_error *error)
{
	query *q;
	int32_t rc = db_query(d, STMT_event_of_claim, VALUES(INT(job_id)), &q, error);

	if (rc == 0 && !db_null(q, 1))
		snprintf(text, size, "no handler registered for endpoint '%s', event type '%.*s'",
		         p->endpoint, QUOTED(db_text(q, 1)));
	else
		snprintf(text, size, "no handler registered for endpoint '%s'", p->endpoint);
	db_done(q);
	return rc < 0 ? rc : 0;
}

int32_t worker_attempt(inbox *in, db *d, const worker_outcome *o, const char *word,
                       knocker_bytes why, knocker_error *error)
{
	return db_run(d, STMT_attempt_insert,
	              VALUES(INT(o->job_id), INT(o->claim), INT(inbox_now_ms(in)), TEXT(bytes_of(word)),
	                     o->duration_ms < 0 ? NONE : INT(o->duration_ms), TEXT(why)),
	              NULL, error);
}

int32_t worker_settle(inbox *in, db *d, const worker_outcome *o, const job_state *job,
                      worker_result *result, knocker_error *error)
{
	job_settlement s = {.id = o->job_id, .claim = o->claim, .error = worker_reason(o->reason)};
	const char *attempt = NULL;
	worker_policy policy = {0};
	char text[600];
	int32_t rc = worker_settle_check(o, error);

	if (rc == 0 && (job->claim != o->claim || !job->held))
		return job_lost(o->job_id, error);
	if (rc == 0 && (o->outcome == KNOCKER_FAILED || o->outcome == KNOCKER_NO_HANDLER))
		rc = worker_policy_read(in, d, job, &policy, error);
	if (rc == 0 && o->outcome == KNOCKER_NO_HANDLER) {
		rc = worker_no_handler(d, &policy, o->job_id, text, sizeof text, error);
		s.error = bytes_of(text);
	}
	if (rc < 0)
		return rc;
	worker_decide(in, o, &policy, job, &s, &attempt);
	*result = (worker_result){s.status                             ? attempt
	                          : strcmp(job->status, "failed") == 0 ? "failed"
	                                                               : "received",
	                          s.due_ms, job->attempt_count + s.attempts};
	rc = job_settle(d, &s, error);
	if (rc == 0 && attempt)
		rc = worker_attempt(in, d, o, attempt, s.error, error);
	return rc;
}

int32_t worker_result_row(const worker_result *result, knocker_rows **out, knocker_error *error)
{
	int32_t rc;

	if (!out)
		return 0;
	rc = rows_new("status, due_at, attempt_count", out, error);
	if (rc == 0)
		rc = rows_add(*out,
		              (const knocker_value[]){TEXT(bytes_of(result->status)),
		                                      result->due_ms < 0 ? NONE
		                                                         : INT(result->due_ms / 1000),
		                                      INT(result->attempt_count)},
		              error);
	return rows_or_none(rc, out);
}
