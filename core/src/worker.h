/* What a worker does with an event's job: claim, begin, settle. The rules of retries and of a handler's transaction. */
#ifndef KNOCKER_WORKER_H
#define KNOCKER_WORKER_H

#include "inbox.h"
#include "job.h"

/* ---- claiming ---- */

/* In a transaction. Rows as of knocker_claim; 1: none are due. */
int32_t worker_claim(inbox *in, db *d, const knocker_claim_options *options, knocker_rows **out, knocker_error *error);
/* When the next job that worker_claim would take is due; INT64_MAX: none is queued. */
int32_t worker_next_due(inbox *in, db *d, const knocker_claim_options *options, int64_t *due_ms, knocker_error *error);
int32_t worker_claim_check(const knocker_claim_options *options, knocker_error *error);
/* Leases by one queue; the SQL door's claim, for payloads of any kind. */
int32_t worker_claim_queue(inbox *in, db *d, job_claim_options *options, job_claimed *out, int32_t *count, knocker_error *error);

/* ---- settling ---- */

typedef struct {
	int64_t job_id, claim;
	int32_t outcome;      /* KNOCKER_HANDLED ... KNOCKER_NO_HANDLER */
	knocker_bytes reason;
	int64_t delay_ms;     /* of KNOCKER_RETRY_AFTER */
	int64_t duration_ms;  /* of the handler; -1: not known */
} worker_outcome;

typedef struct {
	const char *status; /* as it reads now */
	int64_t due_ms;     /* -1: not queued */
	int64_t attempt_count;
} worker_result;

/* In a transaction. KNOCKER_LEASE_LOST when the job was claimed again since. */
int32_t worker_settle(inbox *in, db *d, const worker_outcome *o, worker_result *result, knocker_error *error);
int32_t worker_result_row(const worker_result *result, knocker_rows **out, knocker_error *error);
const char *worker_outcome_name(int32_t outcome); /* "handled" ...; NULL: none */

#endif
