/* What the hard tests share: a folder of their own, handles, receipts and claims in one line,
 * children, and a look at the file with a connection that is nobody's. Refuses to know what is
 * tested. */
#ifndef HARD_FILE_H
#define HARD_FILE_H

#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <sqlite3.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "check.h"
#include "knocker.h"

#define T(text) ((knocker_bytes){(text), -1})
#define START_MS 1700000000000

/* ---- files ---- */

typedef struct {
	char folder[64], path[96];
} test_file;

static inline void file_remove(const test_file *f, const char *ending)
{
	char path[128];

	snprintf(path, sizeof path, "%s%s", f->path, ending);
	unlink(path);
}

/* The database and whatever stands beside it. */
static inline void file_clear(const test_file *f)
{
	const char *const endings[] = {"",         "-wal",         "-shm",  "-journal", ".made",
	                               ".durable", "-wal.durable", ".lost", "-wal.lost"};
	size_t i;

	for (i = 0; i < sizeof endings / sizeof *endings; i++)
		file_remove(f, endings[i]);
}

/* On a real disk. */
static inline void file_new_on(test_file *f, const char *folder)
{
	snprintf(f->folder, sizeof f->folder, "%s/knocker-test-XXXXXX", folder);
	if (!mkdtemp(f->folder)) {
		perror("mkdtemp");
		exit(2);
	}
	snprintf(f->path, sizeof f->path, "%s/inbox.db", f->folder);
}

/* In memory where the system has such a folder: thousands of syncs are waited for otherwise. */
static inline void file_new(test_file *f)
{
	file_new_on(f, access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp");
}

static inline void file_end(const test_file *f)
{
	file_clear(f);
	rmdir(f->folder);
}

static inline void file_copy(const char *from, const char *to)
{
	char part[65536];
	int in = open(from, O_RDONLY), out = open(to, O_WRONLY | O_CREAT | O_TRUNC, 0600);
	ssize_t len;

	while (in >= 0 && out >= 0 && (len = read(in, part, sizeof part)) > 0)
		if (write(out, part, (size_t)len) != len)
			break;
	if (in >= 0)
		close(in);
	if (out >= 0)
		close(out);
}

/* ---- handles ---- */

static inline knocker *open_with(const char *path, const knocker_open_options *given)
{
	knocker_open_options o = {0};
	knocker_error error = {0};
	knocker *k;

	if (given)
		o = *given;
	o.size = sizeof o;
	o.path = T(path);
	if (knocker_open(&o, &k, &error) < 0)
		printf("open: %s\n", error.text);
	return k;
}

/* At NORMAL and with a clock that stands: what most tests want. */
static inline knocker *open_plain(const char *path)
{
	return open_with(path, &(knocker_open_options){.synchronous = KNOCKER_SYNC_NORMAL,
	                                               .clock_ms = START_MS,
	                                               .seed = 1});
}

static inline int64_t endpoint_named(knocker *k, const char *name)
{
	knocker_endpoint e = {.size = sizeof e, .name = T(name)};
	int64_t id = 0;
	int32_t rc = knocker_endpoint_add(k, &e, &id, NULL);

	return rc < 0 ? rc : id;
}

static inline int64_t row_int(knocker_rows *rows, const char *column)
{
	knocker_value v;

	knocker_rows_value(rows, knocker_rows_find(rows, column), &v);
	return v.type == KNOCKER_INTEGER ? v.integer : -1;
}

/* A text cell in a buffer of the caller's; "" for null. */
static inline const char *row_text(knocker_rows *rows, const char *column, char *out, size_t size)
{
	knocker_value v;
	int len = 0;

	knocker_rows_value(rows, knocker_rows_find(rows, column), &v);
	if (v.type == KNOCKER_TEXT || v.type == KNOCKER_BLOB)
		len = (int)v.bytes.len;
	snprintf(out, size, "%.*s", len, len ? (const char *)v.bytes.data : "");
	return out;
}

/* The event id, 0 for none, or the error code. */
static inline int64_t ingest_bytes(knocker *k, const char *endpoint, const char *key,
                                   knocker_bytes body, knocker_error *error)
{
	knocker_request q = {.size = sizeof q,
	                     .endpoint = T(endpoint),
	                     .body = body,
	                     .verdict = KNOCKER_VALID,
	                     .event_type = T("t")};
	knocker_rows *rows;
	int64_t id;
	int32_t rc;

	q.dedupe_key = key ? T(key) : (knocker_bytes){0};
	rc = knocker_ingest(k, &q, &rows, error);
	if (rc < 0)
		return rc;
	knocker_rows_next(rows);
	id = row_int(rows, "event_id");
	knocker_rows_free(rows);
	return id;
}

static inline int64_t ingest(knocker *k, const char *endpoint, const char *key)
{
	return ingest_bytes(k, endpoint, key, T("{}"), NULL);
}

/* ---- work ---- */

typedef struct {
	int64_t job, claim;
} held;

static inline int32_t claim_many(knocker *k, const char *worker, int32_t count, held *out,
                                 int32_t *got)
{
	knocker_claim_options o = {.size = sizeof o, .worker_id = T(worker), .count = count};
	knocker_rows *rows;
	int32_t rc = knocker_claim(k, &o, &rows, NULL);

	*got = 0;
	while (rc == 0 && knocker_rows_next(rows) == 0)
		out[(*got)++] = (held){row_int(rows, "job_id"), row_int(rows, "claim")};
	knocker_rows_free(rows);
	return rc;
}

static inline int32_t claim_one(knocker *k, const char *worker, held *out)
{
	int32_t got;

	*out = (held){0};
	return claim_many(k, worker, 1, out, &got);
}

static inline int32_t execute(knocker_work *w, const char *sql, knocker_error *error)
{
	return knocker_execute(w, T(sql), NULL, 0, NULL, NULL, error);
}

static inline int32_t settle(knocker_work *w, int32_t outcome, knocker_error *error)
{
	return knocker_settle(w, outcome, T("reason"), 0, NULL, error);
}

/* Claims one job and handles it with one statement. The job's id; 0: none was due; or the error
 * code. */
static inline int64_t handle_one(knocker *k, const char *worker, const char *sql)
{
	knocker_work *w = NULL;
	held h;
	int32_t rc = claim_one(k, worker, &h);

	if (rc != 0)
		return rc == 1 ? 0 : rc;
	rc = knocker_work_begin(k, h.job, h.claim, &w, NULL);
	if (rc == 0 && sql)
		rc = execute(w, sql, NULL);
	if (w)
		rc = settle(w, rc < 0 ? KNOCKER_FAILED : KNOCKER_HANDLED, NULL);
	return rc < 0 ? rc : h.job;
}

/* ---- a look at the file, with a connection that is nobody's ---- */

static inline sqlite3 *raw_open(const char *path)
{
	sqlite3 *handle = NULL;

	if (sqlite3_open_v2(path, &handle, SQLITE_OPEN_READWRITE, NULL) != SQLITE_OK)
		printf("raw: %s\n", sqlite3_errmsg(handle));
	sqlite3_busy_timeout(handle, 5000);
	return handle;
}

static inline int64_t raw_ask(sqlite3 *handle, const char *sql)
{
	sqlite3_stmt *statement = NULL;
	int64_t value = -999;

	if (sqlite3_prepare_v2(handle, sql, -1, &statement, NULL) != SQLITE_OK)
		printf("raw: %s\n", sqlite3_errmsg(handle));
	else if (sqlite3_step(statement) == SQLITE_ROW)
		value = sqlite3_column_int64(statement, 0);
	sqlite3_finalize(statement);
	return value;
}

static inline int64_t raw_int(const char *path, const char *sql)
{
	sqlite3 *handle = raw_open(path);
	int64_t value = raw_ask(handle, sql);

	sqlite3_close(handle);
	return value;
}

static inline bool raw_do(const char *path, const char *sql)
{
	sqlite3 *handle = raw_open(path);
	char *said = NULL;
	bool done = sqlite3_exec(handle, sql, NULL, NULL, &said) == SQLITE_OK;

	if (!done)
		printf("raw: %s\n", said ? said : "?");
	sqlite3_free(said);
	sqlite3_close(handle);
	return done;
}

/* No page is damaged, and no event lacks its delivery or its job. */
static inline bool raw_is_whole(const char *path)
{
	sqlite3 *handle = raw_open(path);
	bool whole =
		raw_ask(handle, "select integrity_check = 'ok' from pragma_integrity_check") == 1 &&
		raw_ask(handle,
	            "select count(*) from _knocker_job j where topic > 0 and not exists "
	            "(select 1 from _knocker_delivery d where d.id = j.id and d.event_id = d.id)") ==
			0 &&
		raw_ask(handle,
	            "select count(*) from _knocker_delivery d where event_id = id and not exists "
	            "(select 1 from _knocker_job j where j.id = d.id)") == 0;

	sqlite3_close(handle);
	return whole;
}

/* ---- children ---- */

static inline pid_t child_start(int (*act)(void *), void *context)
{
	pid_t pid;

	fflush(NULL);
	pid = fork();
	if (pid == 0) {
		int code = act(context);

		fflush(stdout);
		_exit(code);
	}
	return pid;
}

static inline int child_end(pid_t pid)
{
	int status = -1;

	waitpid(pid, &status, 0);
	return status;
}

/* The exit code, or minus the signal that ended it. */
static inline int child_run(int (*act)(void *), void *context)
{
	int status = child_end(child_start(act, context));

	return WIFSIGNALED(status) ? -WTERMSIG(status) : WEXITSTATUS(status);
}

/* Memory that children write and their parent reads. */
static inline void *shared_memory(size_t size)
{
	void *memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	if (memory == MAP_FAILED)
		exit(2);
	return memory;
}

static inline int64_t now_us(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

static inline void sleep_ms(int64_t ms)
{
	struct timespec t = {.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000};

	nanosleep(&t, NULL);
}

#endif
