/* What happens by the clock: a handler that hangs is ended for those who wait, an interval of
 * retention is pruned once, a descriptor tells an event loop when to look; and autoload. */
#include <poll.h>
#include <sched.h>

#include "hard_file.h"

static knocker_error said;

static knocker *opened(const test_file *f, int64_t visibility_ms, int64_t clock_ms)
{
	knocker_open_options o = {.size = sizeof o,
	                          .path = T(f->path),
	                          .visibility_ms = visibility_ms,
	                          .clock_ms = clock_ms};
	knocker_endpoint e = {.size = sizeof e, .name = T("x")};
	knocker *k = NULL;

	CHECK(knocker_open(&o, &k, &said) == 0, "the handle opens");
	CHECK(knocker_endpoint_add(k, &e, NULL, &said) == 0, "the endpoint is there");
	return k;
}

static int32_t received(knocker *k, int64_t verdict)
{
	knocker_request q = {.size = sizeof q, .endpoint = T("x"), .body = T("hi"), .verdict = verdict};
	knocker_rows *rows = NULL;
	int32_t rc = knocker_ingest(k, &q, &rows, &said);

	knocker_rows_free(rows);
	return rc;
}

static int64_t cell(knocker_rows *rows, const char *name)
{
	knocker_value v;

	knocker_rows_value(rows, knocker_rows_find(rows, name), &v);
	return v.type == KNOCKER_INTEGER ? v.integer : -1;
}

static knocker_work *begun(knocker *k)
{
	knocker_claim_options c = {.size = sizeof c, .worker_id = T("w")};
	knocker_rows *rows = NULL;
	knocker_work *work = NULL;

	CHECK(knocker_claim(k, &c, &rows, &said) == 0, "the event is claimed");
	knocker_rows_next(rows);
	CHECK(knocker_work_begin(k, cell(rows, "job_id"), cell(rows, "claim"), &work, &said) == 0,
	      "its work begins");
	knocker_rows_free(rows);
	return work;
}

static void *receive_aside(void *k)
{
	return (void *)(intptr_t)received(k, KNOCKER_VALID);
}

static void a_handler_that_hangs(void)
{
	const knocker_value none = {0};
	test_file f;
	knocker *k;
	knocker_work *work;
	knocker_rows *rows = NULL;
	pthread_t aside;
	void *rc;

	file_new(&f);
	k = opened(&f, 400, 0);
	received(k, KNOCKER_VALID);
	work = begun(k);
	CHECK(knocker_execute(work, T("create table app(x)"), NULL, 0, NULL, NULL, &said) == 0,
	      "the handler writes");
	pthread_create(&aside, NULL, receive_aside, k);
	pthread_join(aside, &rc);
	CHECK(rc == NULL, "a receipt that waits for a hung handler goes through after its lease");
	CHECK(knocker_execute(work, T("insert into app values (?)"), &none, 1, NULL, NULL, &said) ==
	          KNOCKER_LEASE_LOST,
	      "the handler's next statement says that the lease was lost");
	CHECK(knocker_settle(work, KNOCKER_HANDLED, T(NULL), 0, NULL, &said) == KNOCKER_LEASE_LOST,
	      "it settles nothing");
	CHECK(knocker_read(k, T("select * from app"), NULL, 0, &rows, &said) == KNOCKER_SQL,
	      "its writes are gone");
	work = begun(k);
	CHECK(knocker_settle(work, KNOCKER_HANDLED, T(NULL), 0, NULL, &said) == 0,
	      "the event runs again and is handled");
	CHECK(knocker_close(k, &said) == 0, "the handle closes");
	file_end(&f);
}

static void an_interval_of_retention(void)
{
	knocker_retention r = {.size = sizeof r, .interval_s = 3600, .orphans_older_than_s = 60};
	knocker_rows *rows = NULL;
	knocker *a, *b;
	test_file f;

	file_new(&f);
	a = opened(&f, 0, START_MS);
	b = opened(&f, 0, START_MS);
	received(a, KNOCKER_INVALID);
	knocker_clock_set(a, START_MS + 7200000, &said);
	knocker_clock_set(b, START_MS + 7200000, &said);
	CHECK(knocker_retain(a, &r, &rows, &said) == 0, "the first to ask prunes");
	knocker_rows_next(rows);
	CHECK(cell(rows, "orphan_deliveries_pruned") == 1, "what was old enough is gone");
	CHECK(cell(rows, "next_at") == (START_MS / 1000 + 7200) / 3600 * 3600 + 3600,
	      "the next interval begins on the hour");
	knocker_rows_free(rows);
	received(b, KNOCKER_INVALID);
	CHECK(knocker_retain(b, &r, &rows, &said) == 1, "another process finds the interval pruned");
	knocker_rows_next(rows);
	CHECK(cell(rows, "orphan_deliveries_pruned") == 0, "and prunes nothing");
	knocker_rows_free(rows);
	knocker_clock_set(b, START_MS + 10800000, &said);
	CHECK(knocker_retain(b, &r, &rows, &said) == 0, "the next interval is anybody's");
	knocker_rows_free(rows);
	r.interval_s = 0;
	CHECK(knocker_retain(b, &r, &rows, &said) == KNOCKER_INVALID_ARGUMENT && rows == NULL,
	      "an interval of nothing is refused");
	CHECK(strstr(said.text, "interval_s") != NULL, "by name");
	r.interval_s = 3600;
	r.statuses_json = (knocker_bytes){"[\"dead\"]", -1};
	CHECK(knocker_retain(b, &r, &rows, &said) == KNOCKER_INVALID_ARGUMENT &&
	          strstr(said.text, "'dead' cannot be pruned"),
	      "so is a status that cannot be pruned, whatever else is");
	r = (knocker_retention){.size = sizeof r, .interval_s = 3600};
	CHECK(knocker_retain(b, &r, &rows, &said) == KNOCKER_INVALID_ARGUMENT &&
	          strstr(said.text, "prunes nothing"),
	      "and a policy that prunes nothing");
	knocker_close(a, NULL);
	knocker_close(b, NULL);
	file_end(&f);
}

static int32_t retains(knocker *k, int64_t interval_s, int64_t at_s)
{
	knocker_retention r = {.size = sizeof r, .interval_s = interval_s, .orphans_older_than_s = 60};
	knocker_rows *rows = NULL;
	int32_t rc;

	knocker_clock_set(k, at_s * 1000, NULL);
	rc = knocker_retain(k, &r, &rows, &said);
	knocker_rows_free(rows);
	return rc;
}

static void policies_and_clocks(void)
{
	const int64_t day_s = 86400, start_s = (START_MS / 1000 / day_s + 1) * day_s;
	int64_t at_s, hourly = 0, daily = 0;
	test_file f;
	knocker *k;

	file_new(&f);
	k = opened(&f, 0, START_MS);
	for (at_s = start_s; at_s < start_s + 2 * day_s; at_s += 900) {
		hourly += retains(k, 3600, at_s) == 0;
		daily += retains(k, day_s, at_s) == 0;
	}
	CHECK(hourly == 48, "an hourly policy runs in each hour");
	CHECK(daily == 2, "a daily one beside it on each day");
	CHECK(retains(k, 3600, at_s + 3600) == 0 && retains(k, 3600, at_s + 3599) == 1,
	      "a clock that is a little behind does not prune the hour again");
	CHECK(retains(k, 3600, at_s + 1000 * day_s) == 0 && retains(k, 3600, at_s + 7200) == 0,
	      "a clock that was years ahead, and is mended, stops no later pass");
	CHECK(retains(k, 3600, at_s + 7200) == 1, "which is made once");
	knocker_close(k, NULL);
	file_end(&f);
}

#define ASKERS 4
#define INTERVALS 25

static _Atomic int *arrived; /* at the intervals, all processes together; shared */

/* All ask at once. */
static void await_the_others(int interval)
{
	int64_t end_us = now_us() + 20000000;

	++*arrived;
	while (*arrived < interval * ASKERS && now_us() < end_us)
		sched_yield();
}

/* One process of several that ask in each interval as it begins. */
static int asks_in_every_interval(void *context)
{
	const test_file *f = context;
	knocker_retention r = {.size = sizeof r, .interval_s = 60, .orphans_older_than_s = 1};
	knocker *k = opened(f, 0, START_MS);
	int i, pruned = 0;

	for (i = 1; i <= INTERVALS; i++) {
		knocker_rows *rows = NULL;
		int32_t rc;

		knocker_clock_set(k, START_MS + i * 60000, NULL);
		await_the_others(i);
		rc = knocker_retain(k, &r, &rows, &said);
		knocker_rows_free(rows);
		if (rc < 0)
			return 200;
		pruned += rc == 0;
	}
	knocker_close(k, NULL);
	return pruned;
}

static void intervals_of_many_processes(void)
{
	pid_t pids[ASKERS];
	test_file f;
	int i, status, pruned = 0;

	file_new(&f);
	knocker_close(opened(&f, 0, START_MS), NULL);
	arrived = shared_memory(sizeof *arrived);
	for (i = 0; i < ASKERS; i++)
		pids[i] = child_start(asks_in_every_interval, &f);
	for (i = 0; i < ASKERS; i++) {
		status = child_end(pids[i]);
		CHECK(WIFEXITED(status) && WEXITSTATUS(status) <= INTERVALS, "nobody who asks fails");
		pruned += WEXITSTATUS(status);
	}
	CHECK(pruned == raw_int(f.path, "select count(*) from knocker_prune_audits"),
	      "each pass that was answered left its audit row");
	CHECK(pruned == INTERVALS &&
	          raw_int(f.path, "select count(distinct executed_at) from knocker_prune_audits") ==
	              INTERVALS,
	      "each interval is pruned once, however many processes ask");
	file_end(&f);
}

static void a_descriptor_to_poll(void)
{
	knocker_claim_options c = {.size = sizeof c, .worker_id = T("w")};
	struct pollfd ready = {.events = POLLIN};
	knocker *worker, *route;
	test_file f;
	int32_t fd = -1;

	file_new(&f);
	worker = opened(&f, 0, 0);
	route = opened(&f, 0, 0);
	CHECK(knocker_wait_fd(worker, &fd, &said) == 0 && fd >= 0, "there is a descriptor");
	CHECK(knocker_wait(worker, &c, 0, &said) == 1, "nothing is due");
	CHECK(knocker_wait(worker, &c, 0, &said) == 1, "still nothing, its reader being open now");
	ready.fd = fd;
	CHECK(poll(&ready, 1, 0) == 0, "after that the descriptor is quiet");
	received(route, KNOCKER_VALID);
	CHECK(poll(&ready, 1, 5000) == 1, "a receipt of another handle makes it readable");
	CHECK(knocker_wait(worker, &c, 0, &said) == 0, "then something is due");
	knocker_close(worker, NULL);
	knocker_close(route, NULL);
	file_end(&f);
}

static void autoload(void)
{
	sqlite3_stmt *statement = NULL;
	sqlite3 *plain = NULL;

	CHECK(knocker_autoload(&said) == 0, "the functions are registered with the process");
	sqlite3_open(":memory:", &plain);
	CHECK(sqlite3_exec(plain, "select knocker_bootstrap()", NULL, NULL, NULL) == SQLITE_OK,
	      "a connection opened after that has them");
	CHECK(sqlite3_prepare_v2(plain, "select knocker_stats()", -1, &statement, NULL) == SQLITE_OK &&
	          sqlite3_step(statement) == SQLITE_ROW,
	      "and can use them");
	sqlite3_finalize(statement);
	CHECK(sqlite3_close(plain) == SQLITE_OK, "and closes with nothing left unfinished");
	sqlite3_reset_auto_extension();
}

static held leased(knocker *k, const char *worker, int64_t lease_ms)
{
	knocker_claim_options c = {.size = sizeof c,
	                           .worker_id = T(worker),
	                           .count = 1,
	                           .lease_ms = lease_ms};
	knocker_rows *rows = NULL;
	held h = {0};

	CHECK(knocker_claim(k, &c, &rows, &said) == 0 && knocker_rows_next(rows) == 0,
	      "an event is claimed");
	h = (held){cell(rows, "job_id"), cell(rows, "claim")};
	knocker_rows_free(rows);
	return h;
}

/* Two workers of one handle: the one that claims for an hour does not lengthen the other's leases,
 * so that what the other leaves when it dies is not stuck for an hour. */
static void a_lease_is_renewed_for_its_own_worker(void)
{
	test_file f;
	knocker *k;
	knocker_work *work = NULL;
	held h;

	file_new(&f);
	k = opened(&f, 0, START_MS);
	received(k, KNOCKER_VALID);
	received(k, KNOCKER_VALID);
	h = leased(k, "brief", 10000);
	leased(k, "long", 3600000);
	knocker_clock_set(k, START_MS + 6000, NULL);
	CHECK(knocker_work_begin(k, h.job, h.claim, &work, &said) == 0, "the brief one's work begins");
	CHECK(raw_int(f.path, "select due_ms from _knocker_job where id = 1") == START_MS + 16000,
	      "its lease is renewed by ten seconds");
	knocker_settle(work, KNOCKER_HANDLED, (knocker_bytes){0}, 0, NULL, NULL);
	knocker_close(k, NULL);
	file_end(&f);
}

int main(void)
{
	a_handler_that_hangs();
	an_interval_of_retention();
	policies_and_clocks();
	intervals_of_many_processes();
	a_descriptor_to_poll();
	autoload();
	a_lease_is_renewed_for_its_own_worker();
	return check_end("schedule");
}
