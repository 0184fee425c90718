/* What every measurement stands on: time, files, handles, threads, the median. Knows nothing of what
 * is measured. */
#include "bench.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

int64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

bench_meter meter_start(void)
{
	struct timespec t;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
	return (bench_meter){now_ns(), (int64_t)t.tv_sec * 1000000000 + t.tv_nsec};
}

bench_rate meter_end(bench_meter m, int64_t count)
{
	bench_meter end = meter_start();

	return (bench_rate){(double)count * 1e9 / (double)(end.wall_ns - m.wall_ns),
	                    (double)(end.cpu_ns - m.cpu_ns) / 1e3 / (double)count};
}

void say(const char *format, ...)
{
	va_list list;

	va_start(list, format);
	vfprintf(stderr, format, list);
	va_end(list);
	fputc('\n', stderr);
}

_Noreturn void die(const char *format, ...)
{
	va_list list;

	fputs("bench: ", stderr);
	va_start(list, format);
	vfprintf(stderr, format, list);
	va_end(list);
	fputc('\n', stderr);
	exit(1);
}

void must(int32_t rc, const char *what, const knocker_error *error)
{
	if (rc < 0)
		die("%s: %s: %s", what, knocker_error_name(rc), error ? error->text : "");
}

void *need(size_t size)
{
	void *memory = calloc(1, size ? size : 1);

	if (!memory)
		die("no memory for %zu bytes", size);
	return memory;
}

knocker_bytes text(const char *s)
{
	return (knocker_bytes){s, -1};
}

const char *path_of(const bench_plan *plan, const char *name)
{
	static char paths[8][4096];
	static int at;

	at = (at + 1) % 8;
	snprintf(paths[at], sizeof paths[at], "%s/%s", plan->folder, name);
	return paths[at];
}

void file_remove(const char *path)
{
	static const char *const ends[] = {"", "-wal", "-shm", "-journal"};
	char name[4200];
	size_t i;

	for (i = 0; i < sizeof ends / sizeof *ends; i++) {
		snprintf(name, sizeof name, "%s%s", path, ends[i]);
		unlink(name);
	}
}

void settle_disk(const bench_plan *plan)
{
	int fd = open(plan->folder, O_RDONLY | O_DIRECTORY);

	if (fd >= 0) {
		syncfs(fd);
		close(fd);
	}
}

knocker *inbox_open(const char *path, int64_t sync)
{
	knocker_open_options o = {.size = sizeof o, .path = text(path), .synchronous = sync};
	knocker_endpoint e = {.size = sizeof e,
	                      .name = text(BENCH_ENDPOINT),
	                      .provider = text("stripe"),
	                      .secrets_json = text("[\"" BENCH_SECRET "\"]")};
	knocker_error error = {0};
	knocker *k = NULL;

	must(knocker_open(&o, &k, &error), "open", &error);
	must(knocker_endpoint_add(k, &e, NULL, &error), "endpoint", &error);
	return k;
}

knocker *inbox_new(const char *path, int64_t sync)
{
	file_remove(path);
	return inbox_open(path, sync);
}

void inbox_close(knocker *k)
{
	knocker_error error = {0};

	must(knocker_close(k, &error), "close", &error);
}

/* ---- threads ---- */

typedef struct {
	void (*body)(void *argument, int32_t index);
	void *argument;
	int32_t index;
	pthread_barrier_t *barrier;
	int64_t started_ns, ended_ns;
} bench_thread;

static void *thread_run(void *context)
{
	bench_thread *t = context;

	pthread_barrier_wait(t->barrier);
	t->started_ns = now_ns();
	t->body(t->argument, t->index);
	t->ended_ns = now_ns();
	return NULL;
}

double run_threads(int32_t count, void (*body)(void *argument, int32_t index), void *argument)
{
	bench_thread *threads = need((size_t)count * sizeof *threads);
	pthread_t *ids = need((size_t)count * sizeof *ids);
	int64_t first = INT64_MAX, last = 0;
	pthread_barrier_t barrier;
	int32_t i;

	pthread_barrier_init(&barrier, NULL, (unsigned)count);
	for (i = 0; i < count; i++) {
		threads[i] = (bench_thread){body, argument, i, &barrier, 0, 0};
		if (pthread_create(&ids[i], NULL, thread_run, &threads[i]) != 0)
			die("a thread could not be made: %s", strerror(errno));
	}
	for (i = 0; i < count; i++) {
		pthread_join(ids[i], NULL);
		first = threads[i].started_ns < first ? threads[i].started_ns : first;
		last = threads[i].ended_ns > last ? threads[i].ended_ns : last;
	}
	pthread_barrier_destroy(&barrier);
	free(threads);
	free(ids);
	return (double)(last - first) / 1e9;
}

static int median_order(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return x < y ? -1 : x > y;
}

double median(const double *values, int32_t count)
{
	double *sorted = need((size_t)count * sizeof *sorted), middle;

	memcpy(sorted, values, (size_t)count * sizeof *sorted);
	qsort(sorted, (size_t)count, sizeof *sorted, median_order);
	middle = count % 2 ? sorted[count / 2] : (sorted[count / 2 - 1] + sorted[count / 2]) / 2;
	free(sorted);
	return middle;
}
