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

static knocker *growth_backlog(const char *path, request_pool *pool, int64_t count)
{
	knocker *k = inbox_new(path, KNOCKER_SYNC_NORMAL);
	sqlite3 *db = growth_open(path);
	char *error = NULL;

	if (sqlite3_exec(db, "create table handled (id integer primary key, event integer)", NULL, NULL,
	                 &error) != SQLITE_OK)
		die("%s", error ? error : "");
	sqlite3_close(db);
	receive_prefill(k, pool, count);
	return k;
}

/* Brings the WAL of the receipts into the file, so that no claim pays for it. */
static void growth_checkpoint(sqlite3 *db)
{
	if (sqlite3_wal_checkpoint_v2(db, NULL, SQLITE_CHECKPOINT_TRUNCATE, NULL, NULL) != SQLITE_OK)
		die("checkpoint: %s", sqlite3_errmsg(db));
}

/* Works off 50 events and receives as many again, so that the backlog stays what it is. Neither the
 * receiving nor its checkpoint count. */
static double growth_work_rate(knocker *k, sqlite3 *db, request_pool *pool, int64_t slice_ms)
{
	double seconds = 0;
	int64_t count = 0;

	while (seconds * 1000 < (double)slice_ms) {
		growth_checkpoint(db);
		seconds += 50 / work_rate(k, 60000, 50);
		count += 50;
		receive_prefill(k, pool, 50);
	}
	return (double)count / seconds;
}

static void bench_claim_growth(const bench_plan *plan)
{
	const char *large = path_of(plan, "backlog-large.db"),
			   *small = path_of(plan, "backlog-small.db");
	request_pool pool;
	knocker *a, *b;
	sqlite3 *db_a, *db_b;
	int32_t i;

	pool_new(&pool, 10000);
	say("a backlog of 100,000");
	a = growth_backlog(large, &pool, 100000);
	b = growth_backlog(small, &pool, 100);
	db_a = growth_open(large);
	db_b = growth_open(small);
	for (i = 0; i < plan->rounds; i++) {
		double few = growth_work_rate(b, db_b, &pool, plan->slice_ms / 4);

		figure_add("claim_growth", growth_work_rate(a, db_a, &pool, plan->slice_ms / 4) / few);
	}
	sqlite3_close(db_a);
	sqlite3_close(db_b);
	inbox_close(a);
	inbox_close(b);
	file_remove(large);
	file_remove(small);
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
		say("%d00,000 are stored", i + 1);
	}
	for (i = 0; i < plan->rounds; i++) {
		knocker *fresh = inbox_new(empty, KNOCKER_SYNC_NORMAL);
		double none;

		settle_disk(plan);
		pool_fill(&pool, pool.capacity);
		none = receive_rate(fresh, 1, &pool, plan->slice_ms);
		inbox_close(fresh);
		settle_disk(plan);
		pool_fill(&pool, pool.capacity);
		figure_add("receive_growth", receive_rate(k, 1, &pool, plan->slice_ms) / none);
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
