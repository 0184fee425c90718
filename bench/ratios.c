/* Receiving and working, over a bare insert of the same body into the same file system. */
#include "bench.h"

#include <sqlite3.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- bare ---- */

static void bare_say(sqlite3 *db, const char *sql)
{
	char *error = NULL;

	if (sqlite3_exec(db, sql, NULL, NULL, &error) != SQLITE_OK)
		die("%s: %s", sql, error ? error : "");
}

static void bare_insert(sqlite3_stmt *insert, char *body, int64_t nth)
{
	memcpy(body, &nth, sizeof nth);
	sqlite3_bind_blob(insert, 1, body, BENCH_BODY, SQLITE_STATIC);
	if (sqlite3_step(insert) != SQLITE_DONE)
		die("bare: %s", sqlite3_errmsg(sqlite3_db_handle(insert)));
	sqlite3_reset(insert);
}

/* A WAL is made longer until its first checkpoint, and from then on written over, which syncs much
 * faster. That is where an application is for all but its first second, and so both sides begin
 * there. */
static void bare_warm(sqlite3 *db, sqlite3_stmt *insert, char *body)
{
	int64_t i;

	bare_say(db, "pragma synchronous = off");
	for (i = 0; i < 2000; i++)
		bare_insert(insert, body, -i);
}

bench_rate bare_rate(const char *path, bool full, int64_t slice_ms)
{
	char body[BENCH_BODY];
	sqlite3_stmt *insert = NULL;
	sqlite3 *db = NULL;
	int64_t count = 0;
	request_pool pool;
	bench_meter meter;
	bench_rate rate;

	pool_new(&pool, 1);
	pool_fill(&pool, 1);
	memcpy(body, pool.requests[0].body.data, sizeof body);
	pool_free(&pool);
	file_remove(path);
	if (sqlite3_open(path, &db) != SQLITE_OK)
		die("'%s': %s", path, sqlite3_errmsg(db));
	bare_say(db, "pragma journal_mode = wal");
	bare_say(db, "create table t (id integer primary key, body blob)");
	if (sqlite3_prepare_v3(db, "insert into t(body) values(?)", -1, SQLITE_PREPARE_PERSISTENT,
	                       &insert, NULL) != SQLITE_OK)
		die("bare: %s", sqlite3_errmsg(db));
	bare_warm(db, insert, body);
	bare_say(db, full ? "pragma synchronous = full" : "pragma synchronous = normal");
	meter = meter_start();
	do
		bare_insert(insert, body, count++);
	while (now_ns() - meter.wall_ns < slice_ms * 1000000);
	rate = meter_end(meter, count);
	sqlite3_finalize(insert);
	sqlite3_close(db);
	file_remove(path);
	return rate;
}

/* ---- receiving ---- */

typedef struct {
	knocker *k;
	request_pool *pool;
	int64_t until_ns;
	_Atomic int64_t received;
} receive_run;

static void receive_check(knocker_rows *rows)
{
	knocker_value status = {0}, event = {0};

	while (knocker_rows_next(rows) == 0) {
		knocker_rows_value(rows, 1, &event);
		knocker_rows_value(rows, 3, &status);
		if (status.integer != 204 || event.type != KNOCKER_INTEGER)
			die("a receipt was answered %lld", (long long)status.integer);
	}
	knocker_rows_free(rows);
}

static void receive_thread(void *argument, int32_t index)
{
	receive_run *run = argument;
	const knocker_request *request;
	knocker_error error = {0};
	int64_t count = 0;

	(void)index;
	while (now_ns() < run->until_ns && (request = pool_take(run->pool))) {
		knocker_rows *rows = NULL;

		must(knocker_receive(run->k, request, &rows, &error), "receive", &error);
		receive_check(rows);
		count++;
	}
	atomic_fetch_add(&run->received, count);
}

bench_rate receive_rate(knocker *k, int32_t threads, request_pool *pool, int64_t slice_ms)
{
	receive_run run = {.k = k, .pool = pool};
	bench_meter meter = meter_start();
	bench_rate rate;
	double seconds;

	run.until_ns = meter.wall_ns + slice_ms * 1000000;
	seconds = run_threads(threads, receive_thread, &run);
	rate = meter_end(meter, run.received);
	rate.per_s = (double)run.received / seconds; /* without the making of the threads */
	return rate;
}

static int64_t receive_many(knocker *k, request_pool *pool, int32_t size)
{
	const knocker_request *requests[1000];
	knocker_error error = {0};
	knocker_rows *rows = NULL;
	int32_t count = 0;

	while (count < size && (requests[count] = pool_take(pool)))
		count++;
	if (count == 0)
		return 0;
	must(knocker_receive_many(k, requests, count, &rows, &error), "receive_many", &error);
	receive_check(rows);
	return count;
}

static bench_rate receive_many_rate(knocker *k, request_pool *pool, int64_t slice_ms)
{
	bench_meter meter = meter_start();
	int64_t count = 0, more;

	do {
		more = receive_many(k, pool, 64);
		count += more;
	} while (more == 64 && now_ns() - meter.wall_ns < slice_ms * 1000000);
	return meter_end(meter, count);
}

void receive_prefill(knocker *k, request_pool *pool, int64_t count)
{
	int64_t left, part;

	for (left = count; left > 0; left -= part) {
		int64_t at = 0;

		part = left < pool->capacity ? left : pool->capacity;
		pool_fill(pool, part);
		while (at < part)
			at += receive_many(k, pool, 1000);
	}
}

/* ---- working ---- */

/* One event as a worker's loop handles it: it is read, the handler inserts a row, it is settled. */
static void work_one(knocker *k, const knocker_rows *jobs)
{
	knocker_value job, claim, id = {0};
	knocker_error error = {0};
	knocker_work *work = NULL;
	knocker_rows *event = NULL;
	int32_t rc;

	knocker_rows_value(jobs, 0, &job);
	knocker_rows_value(jobs, 1, &claim);
	rc = knocker_work_begin(k, job.integer, claim.integer, &work, &error);
	must(rc, "work_begin", &error);
	if (rc == 1)
		die("job %lld was gone", (long long)job.integer);
	must(knocker_work_event(work, &event, &error), "work_event", &error);
	knocker_rows_next(event);
	knocker_rows_value(event, 0, &id);
	must(knocker_execute(work, text("insert into handled(event) values(?)"), &id, 1, NULL, NULL,
	                     &error),
	     "execute", &error);
	knocker_rows_free(event);
	must(knocker_settle(work, KNOCKER_HANDLED, (knocker_bytes){0}, 0, NULL, &error), "settle",
	     &error);
}

void work_table(const char *path)
{
	sqlite3 *db = NULL;

	if (sqlite3_open(path, &db) != SQLITE_OK)
		die("'%s': %s", path, sqlite3_errmsg(db));
	sqlite3_busy_timeout(db, 5000);
	bare_say(db, "create table if not exists handled (id integer primary key, event integer)");
	sqlite3_close(db);
}

bench_rate work_rate(knocker *k, int64_t slice_ms, int64_t count)
{
	knocker_claim_options o = {.size = sizeof o, .worker_id = text("bench")};
	bench_meter meter = meter_start();
	knocker_error error = {0};
	int64_t done = 0;

	while (now_ns() - meter.wall_ns < slice_ms * 1000000 && (count == 0 || done < count)) {
		knocker_rows *jobs = NULL;
		int32_t rc = knocker_claim(k, &o, &jobs, &error);

		must(rc, "claim", &error);
		if (rc == 1)
			break;
		for (; knocker_rows_next(jobs) == 0; done++)
			work_one(k, jobs);
		knocker_rows_free(jobs);
	}
	if (done == 0)
		die("there was nothing to work on");
	return meter_end(meter, done);
}

/* ---- the rounds ---- */

#define WARM_RECEIPTS 20000 /* beyond the first checkpoint: see bare_warm */

typedef struct {
	const bench_plan *plan;
	request_pool *pool;
	bool full;
	double bare; /* what bare inserts just did */
} ratio_round;

static bench_rate ratio_bare(const ratio_round *r)
{
	return bare_rate(path_of(r->plan, "bare.db"), r->full, r->plan->slice_ms / 2);
}

/* Over the bare inserts right before and right after it: what else the machine does, and the disk
 * most of all, changes within a second. */
static void ratio_add(ratio_round *r, const char *name, bench_rate rate)
{
	double before = r->bare;

	r->bare = ratio_bare(r).per_s;
	figure_add(name, rate.per_s / ((before + r->bare) / 2));
}

/* `threads` 0: 64 requests a call. */
static bench_rate ratio_receive(const ratio_round *r, int32_t threads)
{
	const char *path = path_of(r->plan, "receive.db");
	knocker *k = inbox_new(path, r->full ? KNOCKER_SYNC_FULL : KNOCKER_SYNC_NORMAL);
	bench_rate rate;

	receive_prefill(k, r->pool, WARM_RECEIPTS);
	pool_fill(r->pool, r->pool->capacity);
	rate = threads > 0 ? receive_rate(k, threads, r->pool, r->plan->slice_ms)
	                   : receive_many_rate(k, r->pool, r->plan->slice_ms);
	inbox_close(k);
	file_remove(path);
	return rate;
}

/* A worker with the settings that a handle has by itself. */
static bench_rate ratio_work(const ratio_round *r)
{
	const char *path = path_of(r->plan, "work.db");
	knocker *k = inbox_new(path, KNOCKER_SYNC_FULL);
	bench_rate rate;

	work_table(path);
	receive_prefill(k, r->pool, 30 * r->plan->slice_ms);
	rate = work_rate(k, r->plan->slice_ms, 0);
	inbox_close(k);
	file_remove(path);
	return rate;
}

static void ratio_round_full(const bench_plan *plan, request_pool *pool)
{
	ratio_round r = {.plan = plan, .pool = pool, .full = true};

	settle_disk(plan);
	r.bare = ratio_bare(&r).per_s;
	figure_add("bare_full", r.bare);
	ratio_add(&r, "receive_full_1", ratio_receive(&r, 1));
	ratio_add(&r, "receive_full_16", ratio_receive(&r, 16));
	ratio_add(&r, "receive_many_64_full", ratio_receive(&r, 0));
	ratio_add(&r, "work", ratio_work(&r));
}

/* Here the processor is what is short, so that its time is told, too: it depends less on what else
 * the machine does. */
static void ratio_round_normal(const bench_plan *plan, request_pool *pool)
{
	ratio_round r = {.plan = plan, .pool = pool};
	bench_rate one, many, work, bare;

	settle_disk(plan);
	bare = ratio_bare(&r);
	r.bare = bare.per_s;
	one = ratio_receive(&r, 1);
	ratio_add(&r, "receive_normal_1", one);
	many = ratio_receive(&r, 16);
	ratio_add(&r, "receive_normal_16", many);
	work = ratio_work(&r);
	ratio_add(&r, "work_normal", work);
	figure_add("bare_normal", bare.per_s);
	figure_add("bare_cpu_us", bare.cpu_us);
	figure_add("receive_1_cpu_us", one.cpu_us);
	figure_add("receive_16_cpu_us", many.cpu_us);
	figure_add("work_cpu_us", work.cpu_us);
}

void bench_ratios(const bench_plan *plan)
{
	request_pool pool;
	int32_t i;

	pool_new(&pool, 60 * plan->slice_ms);
	for (i = 0; i < plan->rounds; i++) {
		say("receive and work at FULL, round %d of %d", i + 1, plan->rounds);
		ratio_round_full(plan, &pool);
		say("receive and work at NORMAL, round %d of %d", i + 1, plan->rounds);
		ratio_round_normal(plan, &pool);
	}
	pool_free(&pool);
}
