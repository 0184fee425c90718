/* Whether a long backlog or a full file slows anything, and what a receipt takes on the disk. */
#include "bench.h"

#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>

static int64_t growth_number(sqlite3 *db, const char *sql)
{
	sqlite3_stmt *statement = NULL;
	int64_t number;

	if (sqlite3_prepare_v2(db, sql, -1, &statement, NULL) != SQLITE_OK ||
	    sqlite3_step(statement) != SQLITE_ROW)
		die("%s: %s", sql, sqlite3_errmsg(db));
	number = sqlite3_column_int64(statement, 0);
	sqlite3_finalize(statement);
	return number;
}

static sqlite3 *growth_open(const char *path)
{
	sqlite3 *db = NULL;

	if (sqlite3_open(path, &db) != SQLITE_OK)
		die("'%s': %s", path, sqlite3_errmsg(db));
	sqlite3_busy_timeout(db, 5000);
	return db;
}

/* ---- a backlog ---- */

#define GROWTH_STEPS 400

typedef struct {
	const char *path;
	knocker *k;
	sqlite3 *db;
	double seconds[GROWTH_STEPS]; /* of each step of a round */
} growth_file;

static void growth_begin(growth_file *f, request_pool *pool, int64_t count)
{
	f->k = inbox_new(f->path, KNOCKER_SYNC_NORMAL);
	f->db = growth_open(f->path);
	work_table(f->path);
	receive_prefill(f->k, pool, count);
}

static void growth_end(growth_file *f)
{
	sqlite3_close(f->db);
	inbox_close(f->k);
	file_remove(f->path);
}

/* Works off 50 events and receives as many again, so that the backlog stays what it is. The
 * receiving does not count, nor that what it left in the WAL is brought into the file. */
static double growth_work(growth_file *f, request_pool *pool, int32_t step)
{
	if (sqlite3_wal_checkpoint_v2(f->db, NULL, SQLITE_CHECKPOINT_TRUNCATE, NULL, NULL) != SQLITE_OK)
		die("checkpoint: %s", sqlite3_errmsg(f->db));
	f->seconds[step] = 50 / work_rate(f->k, 60000, 50).per_s;
	receive_prefill(f->k, pool, 50);
	return f->seconds[step];
}

/* Both files in turn, and the median step of each: a step takes 2 ms, and one during which the
 * system ran something else takes ten times as long. */
static void growth_round(growth_file *large, growth_file *small, request_pool *pool,
                         int64_t slice_ms)
{
	double seconds = 0;
	int32_t steps = 0;

	while (steps < GROWTH_STEPS && seconds * 1000 < (double)slice_ms) {
		seconds += growth_work(small, pool, steps) + growth_work(large, pool, steps);
		steps++;
	}
	figure_add("claim_growth", median(small->seconds, steps) / median(large->seconds, steps));
}

static void bench_claim_growth(const bench_plan *plan)
{
	growth_file large = {.path = path_of(plan, "backlog-large.db")};
	growth_file small = {.path = path_of(plan, "backlog-small.db")};
	request_pool pool;
	int32_t i;

	pool_new(&pool, 10000);
	say("a backlog of 100,000");
	growth_begin(&large, &pool, 100000);
	growth_begin(&small, &pool, 100);
	for (i = 0; i < plan->rounds; i++)
		growth_round(&large, &small, &pool, plan->slice_ms);
	growth_end(&large);
	growth_end(&small);
	pool_free(&pool);
}

/* ---- a full file ---- */

static void bench_receive_growth(const bench_plan *plan)
{
	const char *full = path_of(plan, "million.db"), *empty = path_of(plan, "empty.db");
	request_pool pool;
	knocker *k;
	int32_t i;

	pool_new(&pool, 60 * plan->slice_ms);
	say("1,000,000 events");
	k = inbox_new(full, KNOCKER_SYNC_NORMAL);
	for (i = 0; i < 10; i++) {
		receive_prefill(k, &pool, 100000);
		say("%d of 10 parts are stored", i + 1);
	}
	for (i = 0; i < plan->rounds; i++) {
		knocker *fresh = inbox_new(empty, KNOCKER_SYNC_NORMAL);
		double none;

		settle_disk(plan);
		pool_fill(&pool, pool.capacity);
		none = receive_rate(fresh, 1, &pool, plan->slice_ms).per_s;
		inbox_close(fresh);
		settle_disk(plan);
		pool_fill(&pool, pool.capacity);
		figure_add("receive_growth", receive_rate(k, 1, &pool, plan->slice_ms).per_s / none);
	}
	inbox_close(k);
	file_remove(full);
	file_remove(empty);
	pool_free(&pool);
}

/* ---- bytes ---- */

static void bench_bytes(const bench_plan *plan)
{
	const char *path = path_of(plan, "bytes.db");
	const int64_t count = 20000;
	knocker *k = inbox_new(path, KNOCKER_SYNC_NORMAL);
	int64_t before, after;
	request_pool pool;
	sqlite3 *db;

	pool_new(&pool, 10000);
	db = growth_open(path);
	before = growth_number(db, "pragma page_count");
	receive_prefill(k, &pool, count);
	after = growth_number(db, "pragma page_count");
	figure_add("bytes_per_receipt",
	           (double)((after - before) * growth_number(db, "pragma page_size")) / (double)count -
	               BENCH_BODY);
	sqlite3_close(db);
	inbox_close(k);
	file_remove(path);
	pool_free(&pool);
}

void bench_growth(const bench_plan *plan)
{
	bench_bytes(plan);
	bench_claim_growth(plan);
	if (!plan->quick)
		bench_receive_growth(plan);
	else
		figure_missing("receive_growth", "left out by --quick");
}
