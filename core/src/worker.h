/* What a worker does with an event's job: claim, begin, settle. The rules of retries and of a
 * handler's transaction. */
#ifndef KNOCKER_WORKER_H
#define KNOCKER_WORKER_H

#include "inbox.h"
#include "job.h"

/* ---- claiming ---- */

/* In a transaction. Rows as of knocker_claim; 1: none are due. */
int32_t worker_claim(inbox *in, db *d, const knocker_claim_options *options, knocker_rows **out,
                     knocker_error *error);
/* When the next job that worker_claim would take is due; INT64_MAX: none is queued. */
int32_t worker_next_due(inbox *in, db *d, const knocker_claim_options *options, int64_t *due_ms,
                        knocker_error *error);
int32_t worker_claim_check(const knocker_claim_options *options, knocker_error *error);
/* Leases by one queue; the SQL door's claim, for payloads of any kind. Fills in what is paused. */
int32_t worker_claim_queue(inbox *in, db *d, job_claim_options *options, job_claimed *out,
                           int32_t *count, knocker_error *error);

/* A payload that is no event has no handler here: the job is dead and says so. */
int32_t worker_bury_plain(inbox *in, db *d, int64_t id, knocker_error *error);

/* ---- beginning ---- */

typedef enum {
	START_NOW,
	START_RENEWED, /* less than half of the lease is left: renew it first */
	START_LOST,    /* somebody else holds it, or nobody */
	START_NEVER    /* the event is settled already: the job leaves the queue */
} worker_start;
worker_start worker_may_start(inbox *in, const job_state *job, int64_t claim);

/* ---- settling ---- */

typedef struct {
	int64_t job_id, claim;
	int32_t outcome; /* KNOCKER_HANDLED ... KNOCKER_NO_HANDLER */
	knocker_bytes reason;
	int64_t delay_ms;    /* of KNOCKER_RETRY_AFTER */
	int64_t duration_ms; /* of the handler; -1: not known */
} worker_outcome;

typedef struct {
	const char *status; /* as it reads now */
	int64_t due_ms;     /* -1: not queued */
	int64_t attempt_count;
} worker_result;

/* In the transaction in which `job` was read. KNOCKER_LEASE_LOST: it is not held by this claim. */
int32_t worker_settle(inbox *in, db *d, const worker_outcome *o, const job_state *job,
                      worker_result *result, knocker_error *error);
/* The attempt row alone, for the SQL door, which settles in steps. */
int32_t worker_attempt(inbox *in, db *d, const worker_outcome *o, const char *word,
                       knocker_bytes why, knocker_error *error);
/* An error's text as it is kept: UTF-8 without NUL, bounded. */
knocker_bytes worker_reason(knocker_bytes reason);
int32_t worker_result_row(const worker_result *result, knocker_rows **out, knocker_error *error);
const char *worker_outcome_name(int32_t outcome); /* "handled" ...; NULL: none */

#endif
