/* The C door for workers: claim, begin, run, settle, wait. No rule stands here. */
#include <stddef.h>

#include "clock.h"
#include "error.h"
#include "handle.h"
#include "worker.h"

/* ---- claiming ---- */

static int32_t api_claim_options(const knocker_claim_options *given, knocker_claim_options *o,
                                 knocker_error *error)
{
	int32_t rc = handle_options("claim_options", given, o, sizeof *o, error);
	knocker_bytes *texts[] = {&o->worker_id, &o->queues_json, &o->endpoints_json};
	size_t i;

	for (i = 0; rc == 0 && i < sizeof texts / sizeof *texts; i++)
		if (texts[i]->data && texts[i]->len < 0)
			*texts[i] = bytes_of(texts[i]->data);
	return rc == 0 ? worker_claim_check(o, error) : rc;
}

/* The writer at NORMAL: claims and what belongs to them need not survive a power cut. */
static int32_t api_write_begin(knocker *k, const char *who, knocker_error *error)
{
	int32_t rc = store_enter(k->store, who, error);

	if (rc < 0)
		return rc;
	rc = db_synchronous(store_writer(k->store), false, error);
	if (rc == 0)
		rc = db_begin(store_writer(k->store), error);
	if (rc < 0)
		store_leave(k->store);
	return rc;
}

/* Leaves a checkpoint to whoever writes next: a claim would pay for it before its handler
 * starts. */
static int32_t api_write_end(knocker *k, int32_t rc, knocker_error *error)
{
	db *d = store_writer(k->store);
	int32_t committed = rc >= 0 ? db_commit(d, error) : 0;

	db_rollback(d);
	store_pass(k->store);
	return committed < 0 ? committed : rc;
}

int32_t knocker_claim(knocker *k, const knocker_claim_options *options, knocker_rows **out,
                      knocker_error *error)
{
	knocker_claim_options o;
	int32_t rc;

	if (!out)
		return fail(error, KNOCKER_INVALID_ARGUMENT, "out is NULL");
	*out = NULL;
	rc = api_claim_options(options, &o, error);
	if (rc == 0)
		rc = handle_enter_writing(k, error);
	if (rc < 0)
		return rc;
	rc = api_write_begin(k, "a claim", error);
	if (rc == 0)
		rc = api_write_end(k, worker_claim(&k->inbox, store_writer(k->store), &o, out, error),
		                   error);
	handle_leave(k);
	if (rc != 0) {
		knocker_rows_free(*out);
		*out = NULL;
	}
	return rc;
}

int32_t knocker_release(knocker *k, int64_t job_id, int64_t claim, knocker_error *error)
{
	int32_t rc = handle_enter_writing(k, error);

	if (rc < 0)
		return rc;
	rc = api_write_begin(k, "a release", error);
	if (rc == 0)
		rc = api_write_end(k,
		                   job_release(store_writer(k->store), job_id, claim,
		                               inbox_now_ms(&k->inbox), error),
		                   error);
	handle_leave(k);
	return rc;
}

/* ---- working ---- */

static int32_t api_work_enter(knocker_work *w, knocker_error *error)
{
	return w ? handle_enter(w->owner, error)
	         : fail(error, KNOCKER_INVALID_ARGUMENT, "the work is NULL");
}

int32_t knocker_work_begin(knocker *k, int64_t job_id, int64_t claim, knocker_work **out,
                           knocker_error *error)
{
	int32_t rc;

	if (!out)
		return fail(error, KNOCKER_INVALID_ARGUMENT, "out is NULL");
	*out = NULL;
	rc = handle_enter_writing(k, error);
	if (rc < 0)
		return rc;
	rc = work_begin(&k->inbox, k->store, job_id, claim, k->settle_full, out, error);
	if (rc == 0)
		handle_work_add(k, *out);
	handle_leave(k);
	return rc;
}

int32_t knocker_work_event(knocker_work *w, knocker_rows **out, knocker_error *error)
{
	int32_t rc = out ? api_work_enter(w, error)
	                 : fail(error, KNOCKER_INVALID_ARGUMENT, "out is NULL");

	if (out)
		*out = NULL;
	if (rc < 0)
		return rc;
	rc = work_event(w, out, error);
	handle_leave(w->owner);
	return rc;
}

int32_t knocker_execute(knocker_work *w, knocker_bytes sql, const knocker_value *values,
                        int32_t count, int64_t *changes, int64_t *last_id, knocker_error *error)
{
	const db_text_statement s = {.sql = handle_bytes(sql), .values = values, .count = count};
	int32_t rc = api_work_enter(w, error);

	if (rc < 0)
		return rc;
	rc = work_run(w, &s, NULL, changes, last_id, error);
	handle_leave(w->owner);
	return rc;
}

int32_t knocker_query(knocker_work *w, knocker_bytes sql, const knocker_value *values,
                      int32_t count, knocker_rows **out, knocker_error *error)
{
	const db_text_statement s = {.sql = handle_bytes(sql), .values = values, .count = count};
	int32_t rc = out ? api_work_enter(w, error)
	                 : fail(error, KNOCKER_INVALID_ARGUMENT, "out is NULL");

	if (out)
		*out = NULL;
	if (rc < 0)
		return rc;
	rc = work_run(w, &s, out, NULL, NULL, error);
	handle_leave(w->owner);
	return rc;
}

static int32_t api_work_receive(knocker_work *w, const knocker_request *request, bool ingest,
                                knocker_rows **out, knocker_error *error)
{
	knocker_request q;
	int32_t rc = out ? handle_request(request, &q, error)
	                 : fail(error, KNOCKER_INVALID_ARGUMENT, "out is NULL");

	if (out)
		*out = NULL;
	if (rc == 0)
		rc = api_work_enter(w, error);
	if (rc < 0)
		return rc;
	rc = work_receive(w, &q, ingest, out, error);
	handle_leave(w->owner);
	return rc;
}

int32_t knocker_work_receive(knocker_work *w, const knocker_request *request, knocker_rows **out,
                             knocker_error *error)
{
	return api_work_receive(w, request, false, out, error);
}

int32_t knocker_work_ingest(knocker_work *w, const knocker_request *request, knocker_rows **out,
                            knocker_error *error)
{
	return api_work_receive(w, request, true, out, error);
}

int32_t knocker_extend(knocker_work *w, int64_t lease_ms, knocker_error *error)
{
	int32_t rc = api_work_enter(w, error);

	if (rc < 0)
		return rc;
	rc = work_extend(w, lease_ms, error);
	handle_leave(w->owner);
	return rc;
}

int32_t knocker_settle(knocker_work *w, int32_t outcome, knocker_bytes reason, int64_t delay_ms,
                       knocker_rows **out, knocker_error *error)
{
	int32_t rc = api_work_enter(w, error);
	knocker *k = w ? w->owner : NULL;

	if (out)
		*out = NULL;
	if (rc < 0)
		return rc;
	if (reason.data && reason.len < 0)
		reason = bytes_of(reason.data);
	rc = work_settle(w, outcome, reason, delay_ms, out, error);
	handle_work_remove(k, w);
	work_free(w);
	handle_leave(k);
	return rc;
}

int32_t knocker_work_free(knocker_work *w)
{
	knocker *k = w ? w->owner : NULL;
	int32_t rc;

	if (!w || handle_enter(k, NULL) < 0)
		return 0;
	rc = work_give_back(w, NULL);
	handle_work_remove(k, w);
	work_free(w);
	handle_leave(k);
	return rc < 0 ? rc : 0;
}

/* ---- waiting ---- */

static int32_t api_next_due(knocker *k, const knocker_claim_options *o, int64_t *due_ms,
                            knocker_error *error)
{
	db *reader;
	int32_t rc = store_reader(k->store, &reader, error);

	if (rc < 0)
		return rc;
	rc = worker_next_due(&k->inbox, reader, o, due_ms, error);
	store_reader_leave(k->store, reader);
	return rc;
}

/* Commits of connections without our functions ring no bell, nor do some file systems. */
#define WAIT_LOOK_MS 1000

/* The bell's generation is read before the look: a commit between the look and the sleep ends the
 * sleep at once. */
static int32_t api_wait(knocker *k, const knocker_claim_options *o, int64_t timeout_ms,
                        knocker_error *error)
{
	int64_t end_ms = clock_monotonic_ms() + timeout_ms;
	bell *b = store_bell(k->store);

	for (;;) {
		int64_t generation = bell_generation(b), due_ms = 0, now_ms, nap_ms;
		int32_t rc;

		rc = api_next_due(k, o, &due_ms, error);
		now_ms = inbox_now_ms(&k->inbox);
		if (rc < 0 || due_ms <= now_ms)
			return rc;
		nap_ms = end_ms - clock_monotonic_ms();
		if (nap_ms <= 0)
			return 1;
		if (nap_ms > WAIT_LOOK_MS)
			nap_ms = WAIT_LOOK_MS;
		if (due_ms - now_ms < nap_ms)
			nap_ms = due_ms - now_ms;
		if (bell_wait(b, generation, nap_ms) == 2 || !atomic_load(&k->open))
			return 2;
	}
}

int32_t knocker_wait(knocker *k, const knocker_claim_options *options, int64_t timeout_ms,
                     knocker_error *error)
{
	knocker_claim_options o;
	int32_t rc = api_claim_options(options, &o, error);

	if (rc == 0)
		rc = inbox_range_check("timeout_ms", timeout_ms, 0, INT64_MAX / 4, error);
	if (rc == 0)
		rc = handle_enter(k, error);
	if (rc < 0)
		return rc;
	rc = api_wait(k, &o, timeout_ms, error);
	handle_leave(k);
	return rc;
}

int32_t knocker_wait_fd(knocker *k, int32_t *fd, knocker_error *error)
{
	int32_t rc = handle_enter(k, error);

	if (rc < 0)
		return rc;
	if (!fd || bell_fd(store_bell(k->store)) < 0)
		rc = fd ? fail(error, KNOCKER_STORAGE,
		               "the system has no file watch left: wait by the clock")
		        : fail(error, KNOCKER_INVALID_ARGUMENT, "fd is NULL");
	else
		*fd = bell_fd(store_bell(k->store));
	handle_leave(k);
	return rc;
}

int32_t knocker_wake(knocker *k)
{
	int32_t rc = handle_enter(k, NULL);

	if (rc < 0)
		return rc;
	bell_stop(store_bell(k->store));
	handle_leave(k);
	return 0;
}
