/*
 * What a receipt costs by layout: rows a second, one commit each, by number of b-trees and by how a CHECK is written. From
 * the root of the repository:
 *
 *     gcc -O2 -o /tmp/measure docs/decisions/measure_layout.c -lsqlite3 && /tmp/measure 20000 /tmp/measure.db
 *
 * It prints figures and asserts nothing. Layouts take turns, so that a slow moment of the machine hits all of them.
 */
#define _GNU_SOURCE
#include <sqlite3.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#define ROUNDS 5
#define DELIVERY \
	"create table delivery (id integer primary key, endpoint_id integer not null, event_id integer, received_ms integer not null, " \
	"dedupe_key text, headers text not null, body blob);"
#define JOB(status) \
	"create table job (id integer primary key, queue text not null, topic integer not null, due_ms integer, " \
	"status text not null default 'received' check (" status "));"
#define DEDUPE "create unique index delivery_dedupe on delivery (endpoint_id, dedupe_key) where event_id = id;"
#define DUE "create index job_due on job (queue, topic, due_ms) where due_ms is not null;"
#define RARE(status) "create index job_rare on job (status, id) where " status ";"
#define BY_OR \
	"status = 'received' or status = 'handled' or status = 'failed' or status = 'dead' or status = 'ignored'"
#define BY_IN "status in ('received', 'handled', 'failed', 'dead', 'ignored')"
#define RARE_OR RARE("status = 'failed' or status = 'dead' or status = 'ignored'")
#define RARE_IN RARE("status in ('failed', 'dead', 'ignored')")

static const struct {
	const char *name, *schema;
	int events; /* 0: the body alone */
} layouts[] = {
	{"the body alone", "create table delivery (id integer primary key, body blob);", 0},
	{"3 b-trees (no due index)", DELIVERY JOB(BY_OR) DEDUPE RARE_OR, 1},
	{"4 b-trees (as it is)", DELIVERY JOB(BY_OR) DEDUPE DUE RARE_OR, 1},
	{"5 b-trees (deliveries by time)", DELIVERY JOB(BY_OR) DEDUPE DUE RARE_OR "create index by_time on delivery (received_ms);", 1},
	{"4 b-trees, `in` for `or`", DELIVERY JOB(BY_IN) DEDUPE DUE RARE_IN, 1},
};
enum { LAYOUTS = sizeof layouts / sizeof *layouts };

static double now_s(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static double cpu_s(void)
{
	struct rusage u;

	getrusage(RUSAGE_SELF, &u);
	return (double)(u.ru_utime.tv_sec + u.ru_stime.tv_sec) + (double)(u.ru_utime.tv_usec + u.ru_stime.tv_usec) / 1e6;
}

static void must(sqlite3 *db, int rc)
{
	if (rc == SQLITE_OK || rc == SQLITE_DONE || rc == SQLITE_ROW)
		return;
	fprintf(stderr, "measure: %s\n", sqlite3_errmsg(db));
	exit(1);
}

static sqlite3_stmt *prepare(sqlite3 *db, const char *sql)
{
	sqlite3_stmt *s;

	must(db, sqlite3_prepare_v2(db, sql, -1, &s, NULL));
	return s;
}

static void step(sqlite3 *db, sqlite3_stmt *s)
{
	must(db, sqlite3_step(s));
	must(db, sqlite3_reset(s));
}

typedef struct {
	double rate, cpu_us; /* receipts a second; processor time of one */
} figures;

/* `count` receipts, one commit each. */
static figures measure(const char *path, int layout, const char *synchronous, int count)
{
	static char body[1024], headers[331], key[32], wal[4200];
	sqlite3_stmt *begin, *commit, *delivery, *job;
	double start, took, cpu;
	sqlite3 *db;
	int i;

	memset(body, 'b', sizeof body);
	memset(headers, 'h', sizeof headers - 1);
	unlink(path);
	snprintf(wal, sizeof wal, "%s-wal", path);
	unlink(wal);
	must(NULL, sqlite3_open(path, &db));
	must(db, sqlite3_exec(db, "pragma journal_mode = wal", NULL, NULL, NULL));
	must(db, sqlite3_exec(db, synchronous, NULL, NULL, NULL));
	must(db, sqlite3_exec(db, layouts[layout].schema, NULL, NULL, NULL));
	begin = prepare(db, "begin immediate");
	commit = prepare(db, "commit");
	delivery = prepare(db, layouts[layout].events ? "insert into delivery values (?1, 1, ?1, ?1, ?2, ?3, ?4)"
	                                              : "insert into delivery values (?1, ?4)");
	job = layouts[layout].events ? prepare(db, "insert into job(id, queue, topic, due_ms) values (?1, 'knocker.events', 1, ?1)") : NULL;
	start = now_s();
	cpu = cpu_s();
	for (i = 1; i <= count; i++) {
		snprintf(key, sizeof key, "evt_%08x%08x", (unsigned)i * 2654435761u, (unsigned)i); /* as scattered as ids are */
		sqlite3_bind_int(delivery, 1, i);
		sqlite3_bind_text(delivery, 2, key, -1, SQLITE_STATIC);
		sqlite3_bind_text(delivery, 3, headers, -1, SQLITE_STATIC);
		sqlite3_bind_blob(delivery, 4, body, sizeof body, SQLITE_STATIC);
		step(db, begin);
		step(db, delivery);
		if (job) {
			sqlite3_bind_int(job, 1, i);
			step(db, job);
		}
		step(db, commit);
	}
	took = now_s() - start;
	cpu = cpu_s() - cpu;
	sqlite3_finalize(begin);
	sqlite3_finalize(commit);
	sqlite3_finalize(delivery);
	sqlite3_finalize(job);
	sqlite3_close(db);
	unlink(path);
	return (figures){count / took, cpu / count * 1e6};
}

static int compare(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

static void report(const char *name, double rates[ROUNDS], double cpus[ROUNDS])
{
	qsort(rates, ROUNDS, sizeof *rates, compare);
	qsort(cpus, ROUNDS, sizeof *cpus, compare);
	printf("  %-32s %6.0f a second, %5.1f us of processor time\n", name, rates[ROUNDS / 2], cpus[ROUNDS / 2]);
}

int main(int argc, char **argv)
{
	static const char *const levels[] = {"pragma synchronous = normal", "pragma synchronous = full"};
	int count = argc > 1 ? atoi(argv[1]) : 20000, level, layout, round, turn;
	const char *path = argc > 2 ? argv[2] : "measure.db";

	for (level = 0; level < 2; level++) {
		double rates[LAYOUTS][ROUNDS], cpus[LAYOUTS][ROUNDS];

		for (round = 0; round < ROUNDS; round++)
			for (turn = 0; turn < LAYOUTS; turn++) {
				figures f;

				layout = (turn + round) % LAYOUTS;
				f = measure(path, layout, levels[level], level ? count / 4 : count);
				rates[layout][round] = f.rate;
				cpus[layout][round] = f.cpu_us;
			}
		printf("%s, SQLite %s, the median of %d rounds\n", levels[level] + 7, sqlite3_libversion(), ROUNDS);
		for (layout = 0; layout < LAYOUTS; layout++)
			report(layouts[layout].name, rates[layout], cpus[layout]);
	}
	return 0;
}
