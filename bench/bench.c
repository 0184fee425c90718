/* Time, files, threads and handles for the measurements, and which of them run. */
#include "bench.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

int64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
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

/* ---- main ---- */

static const struct {
	const char *name;
	void (*run)(const bench_plan *plan);
} bench_groups[] = {
	{"verify", bench_verify},       {"ratios", bench_ratios}, {"python", bench_python},
	{"processes", bench_processes}, {"growth", bench_growth},
};

static const char usage[] =
	"usage: knocker_bench [--quick] [--json FILE] [--folder FOLDER] [--rounds N] [--only GROUP]\n"
	"                     [--python INTERPRETER --python-script FILE]\n"
	"groups: verify ratios python processes growth\n";

static const char *option_value(int argc, char **argv, int *i)
{
	if (*i + 1 == argc)
		die("%s needs a value\n%s", argv[*i], usage);
	return argv[++*i];
}

static const char *options_read(bench_plan *plan, int argc, char **argv)
{
	const char *json = NULL;
	int i;

	for (i = 1; i < argc; i++) {
		const char *o = argv[i];

		if (strcmp(o, "--quick") == 0) {
			plan->quick = true;
			plan->rounds = 5;
			plan->slice_ms = 220;
		} else if (strcmp(o, "--json") == 0) {
			json = option_value(argc, argv, &i);
		} else if (strcmp(o, "--folder") == 0) {
			plan->folder = option_value(argc, argv, &i);
		} else if (strcmp(o, "--rounds") == 0) {
			plan->rounds = (int32_t)strtol(option_value(argc, argv, &i), NULL, 10);
		} else if (strcmp(o, "--python") == 0) {
			plan->python = option_value(argc, argv, &i);
		} else if (strcmp(o, "--python-script") == 0) {
			plan->python_script = option_value(argc, argv, &i);
		} else if (strcmp(o, "--only") == 0) {
			plan->only = option_value(argc, argv, &i);
		} else {
			die("there is no option '%s'\n%s", o, usage);
		}
	}
	return json;
}

int main(int argc, char **argv)
{
	bench_plan plan = {.rounds = 9, .slice_ms = 500, .folder = "bench-data"};
	const char *json = options_read(&plan, argc, argv);
	bool ran = false;
	size_t i;

	if (plan.rounds < 1 || plan.rounds > BENCH_ROUNDS_MAX)
		die("--rounds is not between 1 and %d", BENCH_ROUNDS_MAX);
	if (mkdir(plan.folder, 0777) < 0 && errno != EEXIST)
		die("'%s': %s", plan.folder, strerror(errno));
	for (i = 0; i < sizeof bench_groups / sizeof *bench_groups; i++) {
		if (plan.only && strcmp(plan.only, bench_groups[i].name) != 0)
			continue;
		bench_groups[i].run(&plan);
		ran = true;
	}
	if (!ran)
		die("there is no group '%s'\n%s", plan.only, usage);
	figures_print();
	if (json)
		figures_write(json);
	return 0;
}
