/* What several processes on one file, a sleeping handler and an idle worker cost. Each process opens
 * the file after it was forked. */
#include "bench.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

/* ---- processes ---- */

typedef struct {
	pid_t pid;
	int from; /* what it writes is read here */
	int to;   /* closed to let it end */
} child;

static void child_write(int fd, const void *data, size_t size)
{
	if (write(fd, data, size) != (ssize_t)size)
		die("a pipe is closed: %s", strerror(errno));
}

static void child_read(int fd, void *data, size_t size)
{
	char *at = data;

	while (size > 0) {
		ssize_t got = read(fd, at, size);

		if (got <= 0)
			die("a process of the measurement has died");
		at += got;
		size -= (size_t)got;
	}
}

static child child_start(void (*body)(const bench_plan *plan, int in, int out),
                         const bench_plan *plan)
{
	int up[2], down[2];
	child c;

	fflush(NULL);
	if (pipe(up) < 0 || pipe(down) < 0 || (c.pid = fork()) < 0)
		die("a process could not be made: %s", strerror(errno));
	if (c.pid == 0) {
		close(up[0]);
		close(down[1]);
		body(plan, down[0], up[1]);
		_exit(0);
	}
	close(up[1]);
	close(down[0]);
	c.from = up[0];
	c.to = down[1];
	return c;
}

static void child_end(child *c)
{
	int status = 0;

	close(c->to);
	close(c->from);
	if (waitpid(c->pid, &status, 0) != c->pid || !WIFEXITED(status) || WEXITSTATUS(status) != 0)
		die("a process of the measurement failed");
}

static void nap_us(int64_t us)
{
	struct timespec t = {us / 1000000, us % 1000000 * 1000};

	nanosleep(&t, NULL);
}

/* ---- waking ---- */

/* A commit at FULL is there when the WAL's sync returns, which is before the call that made it
 * does. SQLite's syncs pass through here, so that this moment is known. */
static _Atomic int64_t wake_synced_ns;

__attribute__((visibility("default"))) int fdatasync(int fd)
{
	int rc = (int)syscall(SYS_fdatasync, fd);
	int64_t none = 0;

	atomic_compare_exchange_strong(&wake_synced_ns, &none, now_ns());
	return rc;
}

__attribute__((visibility("default"))) int fsync(int fd)
{
	int rc = (int)syscall(SYS_fsync, fd);
	int64_t none = 0;

	atomic_compare_exchange_strong(&wake_synced_ns, &none, now_ns());
	return rc;
}

/* A worker that says of each event when its handler could start. */
static void wake_worker(const bench_plan *plan, int in, int out)
{
	knocker *k = inbox_open(path_of(plan, "wake.db"), KNOCKER_SYNC_FULL);
	knocker_claim_options o = {.size = sizeof o, .worker_id = text("waker"), .count = 1};
	knocker_error error = {0};
	int64_t started_ns = 0;
	int32_t count, rc;

	child_read(in, &count, sizeof count);
	child_write(out, &started_ns, sizeof started_ns);
	while (count > 0) {
		knocker_rows *jobs = NULL, *event = NULL;
		knocker_value job, claim;
		knocker_work *work = NULL;

		must(knocker_wait(k, &o, 60000, &error), "wait", &error);
		must(rc = knocker_claim(k, &o, &jobs, &error), "claim", &error);
		if (rc == 1)
			continue;
		knocker_rows_next(jobs);
		knocker_rows_value(jobs, 0, &job);
		knocker_rows_value(jobs, 1, &claim);
		must(knocker_work_begin(k, job.integer, claim.integer, &work, &error), "begin", &error);
		must(knocker_work_event(work, &event, &error), "event", &error);
		started_ns = now_ns();
		knocker_rows_free(event);
		knocker_rows_free(jobs);
		must(knocker_settle(work, KNOCKER_HANDLED, (knocker_bytes){0}, 0, NULL, &error), "settle",
		     &error);
		child_write(out, &started_ns, sizeof started_ns);
		count--;
	}
	inbox_close(k);
}

static int wake_order(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return x < y ? -1 : x > y;
}

static void wake_measure(const bench_plan *plan, child *worker, int32_t count, double *ms)
{
	knocker *k = inbox_open(path_of(plan, "wake.db"), KNOCKER_SYNC_FULL);
	knocker_error error = {0};
	request_pool pool;
	int32_t i;

	pool_new(&pool, count);
	pool_fill(&pool, count);
	for (i = 0; i < count; i++) {
		knocker_rows *rows = NULL;
		int64_t started_ns;

		nap_us(2000 + i % 7 * 500); /* the worker sleeps again */
		atomic_store(&wake_synced_ns, 0);
		must(knocker_receive(k, pool_take(&pool), &rows, &error), "receive", &error);
		knocker_rows_free(rows);
		child_read(worker->from, &started_ns, sizeof started_ns);
		if (atomic_load(&wake_synced_ns) == 0)
			die("no sync was seen");
		ms[i] = (double)(started_ns - atomic_load(&wake_synced_ns)) / 1e6;
	}
	pool_free(&pool);
	inbox_close(k);
}

static void bench_wake(const bench_plan *plan)
{
	int32_t count = plan->quick ? 120 : 1000, i;
	double *ms = need((size_t)count * sizeof *ms);
	const char *path = path_of(plan, "wake.db");

	file_remove(path);
	inbox_close(inbox_open(path, KNOCKER_SYNC_FULL));
	for (i = 0; i < plan->rounds; i++) {
		child worker = child_start(wake_worker, plan);
		int64_t ready;

		child_write(worker.to, &count, sizeof count);
		child_read(worker.from, &ready, sizeof ready);
		wake_measure(plan, &worker, count, ms);
		child_end(&worker);
		qsort(ms, (size_t)count, sizeof *ms, wake_order);
		figure_add("wake_p50_ms", ms[count / 2]);
		figure_add("wake_p99_ms", ms[count * 99 / 100]);
	}
	free(ms);
	file_remove(path);
}

/* ---- fairness ---- */

#define FAIR_SLICES 6 /* who waits for long is seen in a long run only */
#define SLOW_SLICES 3 /* a handler sleeps several times */

typedef struct {
	int64_t count, slowest_ns;
} fair_result;

static void fair_worker(const bench_plan *plan, int in, int out)
{
	knocker *k = inbox_open(path_of(plan, "fair.db"), KNOCKER_SYNC_FULL);
	fair_result result = {0};
	knocker_error error = {0};
	const knocker_request *request;
	request_pool pool;
	char token = 0;
	int64_t until_ns;

	pool_new(&pool, FAIR_SLICES * 16 * plan->slice_ms);
	pool_fill(&pool, pool.capacity);
	child_write(out, &token, 1);
	child_read(in, &token, 1);
	until_ns = now_ns() + FAIR_SLICES * plan->slice_ms * 1000000;
	while (now_ns() < until_ns && (request = pool_take(&pool))) {
		int64_t start = now_ns(), took;
		knocker_rows *rows = NULL;

		must(knocker_receive(k, request, &rows, &error), "receive", &error);
		took = now_ns() - start;
		knocker_rows_free(rows);
		result.slowest_ns = took > result.slowest_ns ? took : result.slowest_ns;
		result.count++;
	}
	child_write(out, &result, sizeof result);
	pool_free(&pool);
	inbox_close(k);
}

static void bench_fair(const bench_plan *plan)
{
	const char *path = path_of(plan, "fair.db");
	int64_t slowest = 0, least = INT64_MAX, all = 0;
	child children[4];
	char token = 0;
	int i;

	file_remove(path);
	inbox_close(inbox_open(path, KNOCKER_SYNC_FULL));
	for (i = 0; i < 4; i++)
		children[i] = child_start(fair_worker, plan);
	for (i = 0; i < 4; i++)
		child_read(children[i].from, &token, 1);
	for (i = 0; i < 4; i++)
		child_write(children[i].to, &token, 1);
	for (i = 0; i < 4; i++) {
		fair_result r;

		child_read(children[i].from, &r, sizeof r);
		slowest = r.slowest_ns > slowest ? r.slowest_ns : slowest;
		least = r.count < least ? r.count : least;
		all += r.count;
		child_end(&children[i]);
	}
	say("four processes: %lld receipts, the least of one %lld", (long long)all, (long long)least);
	figure_add("fair_slowest_ms", (double)slowest / 1e6);
	file_remove(path);
}

/* ---- a sleeping handler ---- */

typedef struct {
	knocker *k;
	request_pool *pool;
	int64_t slice_ms;
	double rate;
	_Atomic bool ends;
} slow_run;

static void slow_handler(slow_run *run)
{
	knocker_claim_options o = {.size = sizeof o, .worker_id = text("slow"), .count = 1};
	knocker_error error = {0};

	while (!atomic_load(&run->ends)) {
		knocker_rows *jobs = NULL;
		knocker_value job, claim;
		knocker_work *work = NULL;
		int32_t rc = knocker_claim(run->k, &o, &jobs, &error);

		must(rc, "claim", &error);
		if (rc == 1) {
			nap_us(1000);
			continue;
		}
		knocker_rows_next(jobs);
		knocker_rows_value(jobs, 0, &job);
		knocker_rows_value(jobs, 1, &claim);
		knocker_rows_free(jobs);
		must(knocker_work_begin(run->k, job.integer, claim.integer, &work, &error), "begin",
		     &error);
		nap_us(100000);
		must(knocker_execute(work, text("insert into handled values(1)"), NULL, 0, NULL, NULL,
		                     &error),
		     "execute", &error);
		must(knocker_settle(work, KNOCKER_HANDLED, (knocker_bytes){0}, 0, NULL, &error), "settle",
		     &error);
	}
}

static void slow_thread(void *argument, int32_t index)
{
	slow_run *run = argument;

	if (index == 1) {
		slow_handler(run);
		return;
	}
	run->rate = receive_rate(run->k, 1, run->pool, run->slice_ms).per_s;
	atomic_store(&run->ends, true);
}

static void slow_table(knocker *k)
{
	knocker_claim_options o = {.size = sizeof o, .worker_id = text("slow"), .count = 1};
	knocker_error error = {0};
	knocker_rows *jobs = NULL;
	knocker_value job, claim;
	knocker_work *work = NULL;

	must(knocker_claim(k, &o, &jobs, &error), "claim", &error);
	knocker_rows_next(jobs);
	knocker_rows_value(jobs, 0, &job);
	knocker_rows_value(jobs, 1, &claim);
	knocker_rows_free(jobs);
	must(knocker_work_begin(k, job.integer, claim.integer, &work, &error), "begin", &error);
	must(knocker_execute(work, text("create table handled (event)"), NULL, 0, NULL, NULL, &error),
	     "execute", &error);
	must(knocker_settle(work, KNOCKER_HANDLED, (knocker_bytes){0}, 0, NULL, &error), "settle",
	     &error);
}

static double slow_rate(const bench_plan *plan, request_pool *pool, bool with_handler)
{
	const char *path = path_of(plan, "slow.db");
	slow_run run = {.pool = pool, .slice_ms = SLOW_SLICES * plan->slice_ms};

	run.k = inbox_new(path, KNOCKER_SYNC_FULL);
	receive_prefill(run.k, pool, 2);
	slow_table(run.k);
	pool_fill(pool, pool->capacity);
	run_threads(with_handler ? 2 : 1, slow_thread, &run);
	inbox_close(run.k);
	file_remove(path);
	return run.rate;
}

static void bench_slow(const bench_plan *plan)
{
	request_pool pool;
	int32_t i;

	pool_new(&pool, SLOW_SLICES * 20 * plan->slice_ms);
	for (i = 0; i < plan->rounds; i++) {
		double before = slow_rate(plan, &pool, false), with = slow_rate(plan, &pool, true);

		figure_add("slow_handler_receive", with / ((before + slow_rate(plan, &pool, false)) / 2));
	}
	pool_free(&pool);
}

/* ---- idleness ---- */

static int64_t idle_used_us(void)
{
	struct rusage u;

	getrusage(RUSAGE_SELF, &u);
	return (u.ru_utime.tv_sec + u.ru_stime.tv_sec) * 1000000 + u.ru_utime.tv_usec +
	       u.ru_stime.tv_usec;
}

static void idle_worker(const bench_plan *plan, int in, int out)
{
	knocker *k = inbox_open(path_of(plan, "idle.db"), KNOCKER_SYNC_FULL);
	knocker_claim_options o = {.size = sizeof o, .worker_id = text("idle")};
	knocker_error error = {0};
	int64_t start, used, seconds;
	double percent;

	child_read(in, &seconds, sizeof seconds);
	must(knocker_wait(k, &o, 100, &error), "wait", &error);
	start = now_ns();
	used = idle_used_us();
	must(knocker_wait(k, &o, seconds * 1000, &error), "wait", &error);
	percent = (double)(idle_used_us() - used) * 1000 / (double)(now_ns() - start) * 100;
	child_write(out, &percent, sizeof percent);
	inbox_close(k);
}

static void bench_idle(const bench_plan *plan)
{
	const char *path = path_of(plan, "idle.db");
	int64_t seconds = plan->quick ? 3 : 10;
	double percent;
	child worker;

	file_remove(path);
	inbox_close(inbox_open(path, KNOCKER_SYNC_FULL));
	worker = child_start(idle_worker, plan);
	child_write(worker.to, &seconds, sizeof seconds);
	child_read(worker.from, &percent, sizeof percent);
	child_end(&worker);
	figure_add("idle_cpu", percent);
	file_remove(path);
}

void bench_processes(const bench_plan *plan)
{
	int32_t i;

	say("waking another process");
	bench_wake(plan);
	for (i = 0; i < plan->rounds; i++)
		bench_fair(plan);
	say("a sleeping handler");
	bench_slow(plan);
	say("an idle worker");
	bench_idle(plan);
}
