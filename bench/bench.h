/* What the measurements share: time, files, requests, threads and the table of figures. Sees
 * Knocker through knocker.h only, as an application does. */
#ifndef KNOCKER_BENCH_H
#define KNOCKER_BENCH_H

#include <knocker.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define BENCH_BODY 1024 /* bytes of each body */
#define BENCH_ENDPOINT "stripe"
#define BENCH_SECRET "whsec_bench_0123456789abcdef"
#define BENCH_ROUNDS_MIN 5
#define BENCH_ROUNDS_MAX 21

/* How long and how often; --quick makes both smaller. */
typedef struct {
	bool quick;
	int32_t rounds;
	int64_t slice_ms; /* of one measurement in a round */
	const char *folder;
	const char *python; /* an interpreter that has the package; NULL: none was given */
	const char *python_script;
	const char *only; /* a group's name; NULL: all */
	const char *json; /* a file; NULL: none */
} bench_plan;

/* ---- tools.c ---- */

int64_t now_ns(void);
void say(const char *format, ...) __attribute__((format(printf, 1, 2))); /* progress, on stderr */
_Noreturn void die(const char *format, ...) __attribute__((format(printf, 1, 2)));
void must(int32_t rc, const char *what, const knocker_error *error); /* dies where rc is negative */
void *need(size_t size);                                             /* zeroed memory, or death */

knocker_bytes text(const char *s);
/* folder/name, in a static buffer for each of the last eight calls. */
const char *path_of(const bench_plan *plan, const char *name);
void file_remove(const char *path);       /* with its -wal and -shm */
void settle_disk(const bench_plan *plan); /* what earlier measurements left unwritten is written */

/* Opens with the endpoint registered; `sync` as in knocker.h. */
knocker *inbox_open(const char *path, int64_t sync);
knocker *inbox_new(const char *path, int64_t sync); /* the same, on a file made anew */
void inbox_close(knocker *k);

/* One thread for each of `count`: runs `body(argument, index)` in all of them at once, and gives the
 * seconds from the start of the first to the end of the last. */
double run_threads(int32_t count, void (*body)(void *argument, int32_t index), void *argument);

/* So many of something a second, and the processor time of this process for each. */
typedef struct {
	double per_s, cpu_us;
} bench_rate;

typedef struct {
	int64_t wall_ns, cpu_ns;
} bench_meter;

bench_meter meter_start(void);
bench_rate meter_end(bench_meter m, int64_t count);

double median(const double *values, int32_t count);

/* ---- figures.c ---- */

/* One value a round; the figure is their median. A name that is not in the table of goals dies. */
void figure_add(const char *name, double value);
/* The row is left out, and why is said below the table. */
void figure_missing(const char *name, const char *why);
void figures_print(void);
void figures_write(const char *path);

/* ---- requests.c ---- */

/* Distinct signed Stripe requests, made before the clock runs. */
typedef struct {
	knocker_request *requests;
	char *texts;
	int64_t capacity, count;
	_Atomic int64_t taken;
} request_pool;

void pool_new(request_pool *pool, int64_t capacity);
void pool_fill(request_pool *pool, int64_t count);    /* `count` new requests, none of them taken */
const knocker_request *pool_take(request_pool *pool); /* NULL: none is left */
void pool_free(request_pool *pool);
void pool_random(void *bytes, size_t size);

/* ---- the groups ---- */

bench_rate bare_rate(const char *path, bool full, int64_t slice_ms);
bench_rate receive_rate(knocker *k, int32_t threads, request_pool *pool, int64_t slice_ms);
void receive_prefill(knocker *k, request_pool *pool, int64_t count);
/* Works for so long, or until so many were handled (0: no such end). */
bench_rate work_rate(knocker *k, int64_t slice_ms, int64_t count);
void work_table(const char *path); /* what the handlers of work_rate write to */

void bench_ratios(const bench_plan *plan);    /* receive_*, work, work_normal */
void bench_verify(const bench_plan *plan);    /* verify_* */
void bench_kinds(const bench_plan *plan);     /* verify_<kind>, part of that */
void bench_python(const bench_plan *plan);    /* python_receive */
void bench_growth(const bench_plan *plan);    /* claim_growth, receive_growth, bytes */
void bench_processes(const bench_plan *plan); /* wake_*, fair_*, slow_*, idle_* */

#endif
