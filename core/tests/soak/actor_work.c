/*
 * The worker of the storm and its handler, which writes one row with the event's id and does well
 * or badly by chance, and its operator, who replays, requeues, ignores, prunes and looks.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "soak.h"

/* ---- the handler ---- */

enum { jobs_most = 10 };

typedef struct {
	int64_t id, claim;
} held_job;

/* What becomes of a run, in thousandths. What is left over does well. */
static const struct {
	int64_t weight;
	int32_t outcome; /* 0: the handler is torn away */
	bool writes;     /* before it fails */
	int64_t before_ms, after_ms;
} handler_fates[] = {
	{40, KNOCKER_FAILED, true, 0, 0},      {20, KNOCKER_FAILED, false, 0, 0},
	{20, KNOCKER_RETRY_AFTER, true, 0, 0}, {10, KNOCKER_IGNORED, true, 0, 0},
	{15, KNOCKER_DEAD, true, 0, 0},        {15, 0, true, 0, 0},
	{10, KNOCKER_HANDLED, true, 30, 0},    {10, KNOCKER_HANDLED, true, 0, 20},
	{1, KNOCKER_HANDLED, true, 1200, 0}, /* longer than its lease, at times */
};

static int32_t effect_write(soak_thread *t, knocker_work *work, const knocker_rows *event, bool bad,
                            bool chain, knocker_error *error)
{
	char key[200], nonce[120];
	knocker_request q = {.size = sizeof q,
	                     .endpoint = soak_text("inner"),
	                     .event_type = soak_text("inner"),
	                     .dedupe_key = soak_text(nonce),
	                     .verdict = KNOCKER_UNCHECKED};
	knocker_value values[] = {{.type = KNOCKER_INTEGER, .integer = soak_integer(event, "id")},
	                          {.type = KNOCKER_TEXT,
	                           .bytes = soak_text(soak_cell(event, "dedupe_key", key, sizeof key))},
	                          {.type = KNOCKER_TEXT, .bytes = soak_text(nonce)},
	                          {.type = KNOCKER_INTEGER, .integer = bad},
	                          {.type = KNOCKER_INTEGER, .integer = chain}};
	knocker_rows *rows = NULL;
	int32_t rc;

	snprintf(nonce, sizeof nonce, "inner-%s-%lld", t->app->name,
	         (long long)atomic_fetch_add(&t->app->numbers, 1));
	rc = knocker_execute(work, soak_text("insert into effect values(?, ?, ?, ?, ?)"), values, 5,
	                     NULL, NULL, error);
	if (rc == 0 && chain)
		rc = knocker_work_ingest(work, &q, &rows, error);
	knocker_rows_free(rows);
	return rc;
}

/* Ends the work. An error of the handler's own statement makes it fail, as a face does. */
static void handler_run(soak_thread *t, knocker_work *work, const knocker_rows *event)
{
	size_t fate = 0, fates = sizeof handler_fates / sizeof *handler_fates;
	int64_t chance = t->app->calm ? 1000 : soak_below(t, 1000);
	char endpoint[20];
	bool inner = strcmp(soak_cell(event, "endpoint", endpoint, sizeof endpoint), "inner") == 0;
	int32_t outcome = KNOCKER_HANDLED, rc = 0;
	knocker_error error = {0};

	while (fate < fates && (chance -= handler_fates[fate].weight) >= 0)
		fate++;
	if (fate < fates) {
		outcome = handler_fates[fate].outcome;
		soak_sleep_ms(soak_below(t, 1 + handler_fates[fate].before_ms));
	}
	if (fate == fates || handler_fates[fate].writes)
		rc = effect_write(t, work, event, outcome != KNOCKER_HANDLED,
		                  !inner && !t->app->calm && soak_below(t, 20) == 0, &error);
	if (rc < 0)
		journal_failure(t->app, "handler", rc, &error);
	if (fate < fates)
		soak_sleep_ms(soak_below(t, 1 + handler_fates[fate].after_ms));
	if (outcome == 0) {
		knocker_work_free(work);
		return;
	}
	rc = knocker_settle(work, rc < 0 ? KNOCKER_FAILED : outcome, soak_text("by chance"),
	                    1 + soak_below(t, 200), NULL, &error);
	if (rc < 0)
		journal_failure(t->app, "settle", rc, &error);
}

static void work_job(soak_thread *t, held_job job)
{
	knocker_error error = {0};
	knocker_work *work = NULL;
	knocker_rows *event = NULL;
	int32_t rc = knocker_work_begin(t->app->k, job.id, job.claim, &work, &error);

	if (rc == 0)
		rc = knocker_work_event(work, &event, &error);
	if (rc < 0) {
		journal_failure(t->app, "begin", rc, &error);
		knocker_work_free(work);
	} else if (rc == 0 && knocker_rows_next(event) == 0) {
		handler_run(t, work, event);
	}
	knocker_rows_free(event);
}

/* ---- the worker ---- */

static int32_t work_claim(soak_thread *t, const knocker_claim_options *o, held_job *jobs,
                          int32_t *count)
{
	knocker_error error = {0};
	knocker_rows *rows = NULL;
	int32_t rc = knocker_claim(t->app->k, o, &rows, &error);

	*count = 0;
	if (rc < 0)
		journal_failure(t->app, "claim", rc, &error);
	while (rc == 0 && knocker_rows_next(rows) == 0)
		if (soak_integer(rows, "died") == 0)
			jobs[(*count)++] = (held_job){soak_integer(rows, "job_id"),
			                              soak_integer(rows, "claim")};
	knocker_rows_free(rows);
	return rc;
}

void *work_jobs(void *thread)
{
	soak_thread *t = thread;
	knocker_claim_options o = {.size = sizeof o, .worker_id = soak_text(t->app->name)};
	held_job jobs[jobs_most];
	knocker_error error = {0};
	int32_t count, i, rc;

	for (;;) {
		o.count = 1 + soak_below(t, jobs_most);
		rc = work_claim(t, &o, jobs, &count);
		for (i = 0; i < count; i++) {
			if (soak_below(t, 200) > 0 || t->app->calm) {
				work_job(t, jobs[i]);
			} else if (knocker_release(t->app->k, jobs[i].id, jobs[i].claim, &error) < 0) {
				journal_failure(t->app, "release", (int32_t)error.code, &error);
			}
		}
		if (rc == 0)
			continue;
		if (t->app->calm && soak_backlog(t->app) == 0)
			return NULL;
		if ((rc = knocker_wait(t->app->k, &o, 300, &error)) < 0)
			journal_failure(t->app, "wait", rc, &error);
	}
}

/* ---- the operator ---- */

/* One of the newest rows of this kind; 0: there is none. */
static int64_t operate_pick(soak_thread *t, int64_t kind, const char *status)
{
	knocker_filter f = {.size = sizeof f, .kind = kind, .limit = 100, .without_body = 1};
	int64_t id = 0, steps = 1 + soak_below(t, 100);
	knocker_error error = {0};
	knocker_rows *rows = NULL;
	int32_t rc;

	f.status = status ? soak_text(status) : (knocker_bytes){0};
	f.orphaned = kind == KNOCKER_DELIVERY ? 2 : 0;
	rc = knocker_list(t->app->k, &f, &rows, &error);
	if (rc < 0)
		journal_failure(t->app, "list", rc, &error);
	while (rc == 0 && steps-- > 0 && knocker_rows_next(rows) == 0)
		id = soak_integer(rows, "id");
	knocker_rows_free(rows);
	return id;
}

static bool operate_refused(int32_t rc)
{
	return rc == KNOCKER_WRONG_STATUS || rc == KNOCKER_UNKNOWN_EVENT ||
	       rc == KNOCKER_UNKNOWN_DELIVERY;
}

static void operate_on_event(soak_thread *t, int64_t id)
{
	static int32_t (*const acts[])(knocker *, int64_t, knocker_error *) = {knocker_replay,
	                                                                       knocker_requeue};
	static const char *const names[] = {"replay", "requeue"};
	size_t act = (size_t)soak_below(t, 2);
	knocker_error error = {0};
	int32_t rc;

	journal_line(t->app, "I %s %lld", names[act], (long long)id);
	rc = acts[act](t->app->k, id, &error);
	if (rc == 0 || operate_refused(rc))
		journal_line(t->app, "%s %s %lld", rc == 0 ? "A" : "N", names[act], (long long)id);
	else
		journal_failure(t->app, names[act], rc, &error);
}

static void operate_on_events(soak_thread *t)
{
	static const char *const statuses[] = {"handled", "handled", "dead", "failed", "ignored"};
	int64_t count = 1 + soak_below(t, 20), id;

	while (count-- > 0)
		if ((id = operate_pick(t, KNOCKER_EVENT, statuses[soak_below(t, 5)])) > 0)
			operate_on_event(t, id);
}

static void operate_on_delivery(soak_thread *t)
{
	int64_t id = operate_pick(t, KNOCKER_DELIVERY, NULL), event_id = 0;
	knocker_error error = {0};
	knocker_rows *rows = NULL;
	int32_t rc;

	if (id > 0 && knocker_get(t->app->k, KNOCKER_DELIVERY, id, &rows, NULL) == 0 &&
	    knocker_rows_next(rows) == 0)
		event_id = soak_integer(rows, "event_id");
	knocker_rows_free(rows);
	if (event_id == 0)
		return;
	journal_line(t->app, "I replay_delivery %lld", (long long)event_id);
	rc = knocker_replay_delivery(t->app->k, id, &error);
	if (rc == 0 || operate_refused(rc))
		journal_line(t->app, "%s replay_delivery %lld", rc == 0 ? "A" : "N", (long long)event_id);
	else
		journal_failure(t->app, "replay_delivery", rc, &error);
}

static void operate_ignore(soak_thread *t)
{
	static const char *const statuses[] = {"received", "failed", "dead", "processing"};
	int64_t id = operate_pick(t, KNOCKER_EVENT, statuses[soak_below(t, 4)]);
	knocker_error error = {0};
	int32_t rc;

	if (id == 0)
		return;
	rc = knocker_ignore(t->app->k, id, soak_text("by the operator"), &error);
	if (rc < 0 && !operate_refused(rc))
		journal_failure(t->app, "ignore", rc, &error);
}

/* What is settled and some seconds old; now and then whatever is settled. */
static void operate_prune(soak_thread *t)
{
	int64_t now_s = soak_now_ms() / 1000;
	knocker_prune events = {.size = sizeof events, .older_than_s = now_s - 4, .limit = 1000};
	knocker_prune orphans = {.size = sizeof orphans, .older_than_s = now_s - 2, .limit = 50};
	knocker_retention both = {.size = sizeof both,
	                          .interval_s = 1,
	                          .event_older_than_s = 5,
	                          .event_limit = 100,
	                          .orphans_older_than_s = 5};
	knocker_error error = {0};
	knocker_rows *rows = NULL;
	int64_t which = soak_below(t, 3);
	int32_t rc;

	if (soak_below(t, 10) == 0)
		events = (knocker_prune){.size = sizeof events, .older_than_s = now_s + 1};
	rc = which == 0   ? knocker_prune_events(t->app->k, &events, &rows, &error)
	     : which == 1 ? knocker_prune_orphan_deliveries(t->app->k, &orphans, &rows, &error)
	                  : knocker_retain(t->app->k, &both, &rows, &error);

	knocker_rows_free(rows);
	if (rc < 0)
		journal_failure(t->app, "prune", rc, &error);
}

static void operate_look(soak_thread *t)
{
	int64_t id = operate_pick(t, KNOCKER_EVENT, NULL);
	knocker_error error = {0};
	knocker_rows *stats = NULL, *why = NULL;
	int32_t rc = knocker_stats(t->app->k, &stats, &error);

	if (rc < 0)
		journal_failure(t->app, "stats", rc, &error);
	if (id > 0 && (rc = knocker_why(t->app->k, id, &why, &error)) < 0 && !operate_refused(rc))
		journal_failure(t->app, "why", rc, &error);
	knocker_rows_free(stats);
	knocker_rows_free(why);
}

void *operate(void *thread)
{
	static void (*const acts[])(soak_thread *) = {operate_on_events,   operate_on_events,
	                                              operate_on_delivery, operate_ignore,
	                                              operate_prune,       operate_look};
	soak_thread *t = thread;

	for (;;) {
		soak_sleep_ms(soak_below(t, 60));
		acts[soak_below(t, sizeof acts / sizeof *acts)](t);
	}
}
