/* A handler's transaction: it begins at the first statement through it, holds the writer from then
 * on, and ends with the job's outcome. Every statement of a handler passes work_run, which looks
 * whether SQLite rolled back behind it. */
#include "work.h"

#include <string.h>

#include "clock.h"
#include "error.h"
#include "receipt.h"

/* ---- the transaction ---- */

/* Rolls back, where the writer was not taken away before. */
static void work_end(knocker_work *w)
{
	bool in = w->open && store_tenant_begin(w->store, &w->tenant);

	w->open = false;
	if (!in)
		return;
	db_rollback(store_writer(w->store));
	store_leave(w->store);
}

/* After each statement: from here on a handler that is overdue may be ended. */
static void work_rest(knocker_work *w)
{
	if (w->open)
		store_tenant_end(w->store, &w->tenant);
}

static int32_t work_lose(knocker_work *w, int32_t rc, const knocker_error *cause)
{
	work_end(w);
	w->lost = true;
	w->cause = *cause;
	return rc;
}

static int32_t work_say_cause(const knocker_work *w, knocker_error *error)
{
	return fail(error, (int32_t)w->cause.code, "%s", w->cause.text);
}

/* The fence: nobody has claimed the job since. */
static int32_t work_fence(knocker_work *w, db *d, knocker_error *error)
{
	int32_t rc = job_get(d, w->job_id, &w->job, error);

	if (rc == 1 || (rc == 0 && (w->job.claim != w->claim || !w->job.held)))
		return job_lost(w->job_id, error);
	if (rc == 0)
		store_tenant_until(w->store, &w->tenant,
		                   clock_monotonic_ms() + w->job.due_ms - inbox_now_ms(w->in));
	return rc;
}

/* Takes up the transaction again, unless it was ended because its lease ran out. */
static int32_t work_resume(knocker_work *w, knocker_error *error)
{
	if (store_tenant_begin(w->store, &w->tenant))
		return 0;
	fail(&w->cause, KNOCKER_LEASE_LOST,
	     "job %lld: the lease ran out while the handler kept others waiting, and was ended",
	     (long long)w->job_id);
	w->open = false;
	w->lost = true;
	return work_say_cause(w, error);
}

/* Takes the writer and begins, once. After success all paths go through work_rest or work_end. */
static int32_t work_enter(knocker_work *w, knocker_error *error)
{
	db *d = store_writer(w->store);
	knocker_error cause = {0};
	int32_t rc;

	if (w->lost)
		return work_say_cause(w, error);
	if (w->open)
		return work_resume(w, error);
	rc = store_enter(w->store, "a handler", error);
	if (rc < 0)
		return rc;
	store_tenant_enter(w->store, &w->tenant);
	w->open = true;
	rc = db_synchronous(d, w->settle_full, &cause);
	if (rc == 0)
		rc = db_begin(d, &cause);
	if (rc == 0)
		rc = work_fence(w, d, &cause);
	if (rc == KNOCKER_LEASE_LOST)
		work_lose(w, rc, &cause);
	else if (rc < 0)
		work_end(w);
	return rc < 0 ? fail(error, rc, "%s", cause.text) : 0;
}

/* After a statement of the handler's: where SQLite rolled back by itself nothing more may run,
 * least of all in autocommit. */
static int32_t work_after(knocker_work *w, int32_t rc, const knocker_error *said,
                          knocker_error *error)
{
	knocker_error cause = *said;

	if (!db_in_transaction(store_writer(w->store))) {
		fail(&cause, rc < 0 ? rc : KNOCKER_SQL, "the transaction was rolled back by SQLite: %.180s",
		     rc < 0 ? said->text : "a statement ended it");
		rc = work_lose(w, (int32_t)cause.code, &cause);
	}
	work_rest(w);
	return rc < 0 ? fail(error, rc, "%s", cause.text) : rc;
}

int32_t work_run(knocker_work *w, const db_text_statement *statement, knocker_rows **rows,
                 int64_t *changes, int64_t *last_id, knocker_error *error)
{
	knocker_error said = {0};
	int32_t rc = work_enter(w, error);

	if (rows)
		*rows = NULL;
	if (rc < 0)
		return rc;
	rc = db_text_run(store_writer(w->store), statement, rows, changes, last_id, &said);
	return work_after(w, rc, &said, error);
}

static int32_t work_store(knocker_work *w, receipt *r, knocker_rows **out, knocker_error *error)
{
	db *d = store_writer(w->store);
	inbox_known known = {.version = -1};
	int32_t rc = db_savepoint(d, error);

	if (rc < 0)
		return rc;
	rc = receipt_store(w->in, d, r, &known, error);
	if (rc == 0)
		rc = rows_new(RECEIPT_COLUMNS, out, error);
	if (rc == 0)
		rc = receipt_row(r, false, *out, error);
	if (rc < 0)
		db_savepoint_rollback(d);
	else
		rc = db_savepoint_release(d, error);
	return rc;
}

int32_t work_receive(knocker_work *w, const knocker_request *request, bool ingest,
                     knocker_rows **out, knocker_error *error)
{
	knocker_error said = {0};
	receipt r;
	int32_t rc = work_enter(w, error);

	*out = NULL;
	if (rc < 0)
		return rc;
	rc = receipt_prepare(w->in, store_writer(w->store), request, ingest, &r, &said);
	if (rc == 0)
		rc = work_store(w, &r, out, &said);
	receipt_free(&r);
	rc = work_after(w, rc, &said, error);
	if (rc < 0) {
		knocker_rows_free(*out);
		*out = NULL;
	}
	return rc;
}

/* ---- beginning ---- */

/* Renews a lease of which less than half is left, and drops a job that has nothing to do. One small
 * transaction. */
static int32_t work_touch(store *s, int64_t job_id, int64_t claim, int64_t until_ms,
                          knocker_error *error)
{
	db *d = store_writer(s);
	int32_t rc = store_enter(s, "a worker", error);

	if (rc < 0)
		return rc;
	rc = db_synchronous(d, false, error);
	if (rc == 0)
		rc = db_begin(d, error);
	if (rc == 0 && until_ms > 0)
		rc = job_extend(d, job_id, claim, until_ms, error);
	else if (rc == 0)
		rc = db_run(d, STMT_job_unqueue, VALUES(INT(job_id), INT(claim)), NULL, error);
	if (rc == 0)
		rc = db_commit(d, error);
	db_rollback(d);
	store_leave(s);
	return rc;
}

static int32_t work_check(inbox *in, store *s, int64_t job_id, int64_t claim, knocker_error *error)
{
	worker_start start;
	job_state job;
	db *d;
	int32_t rc = store_look(s, &d, error);

	if (rc < 0)
		return rc;
	rc = job_get(d, job_id, &job, error);
	store_look_leave(s, d);
	if (rc != 0)
		return rc;
	start = worker_may_start(in, &job, claim);
	if (start == START_RENEWED)
		rc = work_touch(s, job_id, claim, inbox_now_ms(in) + inbox_lease_ms(in, job.worker), error);
	else if (start == START_NEVER)
		rc = work_touch(s, job_id, claim, 0, error);
	if (start == START_LOST || start == START_NEVER || rc == KNOCKER_LEASE_LOST)
		return rc < 0 && rc != KNOCKER_LEASE_LOST ? rc : 1;
	return rc;
}

int32_t work_begin(inbox *in, store *s, int64_t job_id, int64_t claim, bool settle_full,
                   knocker_work **out, knocker_error *error)
{
	knocker_work *w;
	int32_t rc = work_check(in, s, job_id, claim, error);

	*out = NULL;
	if (rc != 0)
		return rc;
	w = memory_get(sizeof *w);
	if (!w)
		return fail_memory(error);
	memset(w, 0, sizeof *w);
	w->thread = pthread_self();
	w->in = in;
	w->store = s;
	w->settle_full = settle_full;
	w->job_id = job_id;
	w->claim = claim;
	w->begun_ms = clock_monotonic_ms();
	*out = w;
	return 0;
}

int32_t work_event(knocker_work *w, knocker_rows **out, knocker_error *error)
{
	db *d;
	int32_t rc = store_look(w->store, &d, error);

	*out = NULL;
	if (rc < 0)
		return rc;
	rc = db_rows(d, STMT_event_of_work, VALUES(INT(w->job_id)), out, error);
	store_look_leave(w->store, d);
	return rc;
}

/* Outside a transaction a lease is lengthened at once, for all to see. Inside one nobody else could
 * claim anyway: there it is lengthened with the handler's writes. */
int32_t work_extend(knocker_work *w, int64_t lease_ms, knocker_error *error)
{
	knocker_error said = {0};
	int64_t until_ms;
	int32_t rc = inbox_range_check("lease_ms", lease_ms, 1, INT64_MAX / 4, error);

	if (rc == 0 && (w->open || w->lost))
		rc = work_enter(w, error);
	if (rc < 0)
		return rc;
	until_ms = inbox_now_ms(w->in) + lease_ms;
	if (!w->open)
		return work_touch(w->store, w->job_id, w->claim, until_ms, error);
	rc = job_extend(store_writer(w->store), w->job_id, w->claim, until_ms, &said);
	if (rc == 0)
		store_tenant_until(w->store, &w->tenant, clock_monotonic_ms() + lease_ms);
	return work_after(w, rc, &said, error);
}

/* ---- ending ---- */

static worker_outcome work_outcome(const knocker_work *w, int32_t outcome, knocker_bytes reason,
                                   int64_t delay_ms)
{
	return (worker_outcome){w->job_id, w->claim, outcome,
	                        reason,    delay_ms, clock_monotonic_ms() - w->begun_ms};
}

static int32_t work_commit(knocker_work *w, const worker_outcome *o, worker_result *result,
                           knocker_error *error)
{
	db *d = store_writer(w->store);
	int32_t rc = work_enter(w, error);

	if (rc == 0 && db_foreign_keys_pending(d))
		rc = fail(error, KNOCKER_SQL,
		          "a deferred foreign key does not hold at the end of the handler");
	if (rc == 0)
		rc = worker_settle(w->in, d, o, &w->job, result, error);
	if (rc == 0)
		rc = db_commit(d, error);
	work_end(w);
	return rc;
}

/* A handler that did not succeed: its writes roll back first; then, in a fresh transaction, the
 * outcome is recorded. */
static int32_t work_record(knocker_work *w, const worker_outcome *o, worker_result *result,
                           knocker_error *error)
{
	work_end(w);
	if (w->lost && w->cause.code == KNOCKER_LEASE_LOST)
		return work_say_cause(w, error);
	w->lost = false;
	return work_commit(w, o, result, error);
}

int32_t work_settle(knocker_work *w, int32_t outcome, knocker_bytes reason, int64_t delay_ms,
                    knocker_rows **out, knocker_error *error)
{
	worker_outcome o = work_outcome(w, outcome, reason, delay_ms);
	worker_result result = {0};
	knocker_error said = {0}, again = {0};
	int32_t rc = outcome == KNOCKER_HANDLED ? work_commit(w, &o, &result, &said)
	                                        : work_record(w, &o, &result, &said);

	if (rc == 0)
		return worker_result_row(&result, out, error);
	if (outcome == KNOCKER_HANDLED && rc != KNOCKER_LEASE_LOST) {
		o = work_outcome(w, KNOCKER_FAILED, bytes_of(said.text), 0);
		if (work_record(w, &o, &result, &again) == 0)
			worker_result_row(&result, out, NULL);
	}
	return fail(error, rc, "%s", said.text);
}

int32_t work_give_back(knocker_work *w, knocker_error *error)
{
	db *d = store_writer(w->store);
	int32_t rc;

	work_end(w);
	rc = store_enter(w->store, "a worker", error);
	if (rc < 0)
		return rc;
	rc = db_synchronous(d, false, error);
	if (rc == 0)
		rc = db_begin(d, error);
	if (rc == 0)
		rc = job_release(d, w->job_id, w->claim, inbox_now_ms(w->in), error);
	if (rc >= 0)
		rc = db_commit(d, error);
	db_rollback(d);
	store_leave(w->store);
	return rc;
}

void work_free(knocker_work *w)
{
	if (!w)
		return;
	work_end(w);
	memory_free(w);
}
