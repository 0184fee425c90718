/* The table of figures: what each is, its goals, the values of its rounds. Asserts nothing: a
 * machine's speed is no test. */
#include "bench.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

typedef struct {
	const char *name, *unit;
	double least, aim; /* 0: none */
	bool less;         /* the smaller the better */
	const char *what;
} figure;

static const figure figures[] = {
	{"receive_full_1", "x bare", 0.6, 1.0, false, "1 caller, FULL, over bare FULL"},
	{"receive_full_16", "x bare", 2.0, 4.0, false, "16 threads, FULL, over bare FULL"},
	{"receive_normal_1", "x bare", 0.25, 0.35, false, "1 caller, NORMAL, over bare NORMAL"},
	{"receive_normal_16", "x bare", 0.45, 0.7, false, "16 threads, NORMAL, over bare NORMAL"},
	{"receive_many_64_full", "x bare", 3.0, 6.0, false, "64 a call, FULL, over bare FULL"},
	{"work", "x bare", 1.5, 2.5, false, "a worker's events/s over bare FULL"},
	{"work_normal", "x bare", 0.25, 0.35, false, "the same over bare NORMAL"},
	{"verify_stripe", "x HMAC", 0.3, 0.6, false, "bare HMAC over verify and extract, in time"},
	{"verify_hmac_sha256", "x HMAC", 0.3, 0.6, false, "1 KB, hexadecimal"},
	{"verify_standard_webhooks", "x HMAC", 0.3, 0.6, false, "1 KB"},
	{"verify_ed25519", "x bare", 0.9, 0, false, "bare check of the signature over verify, 1 KB"},
	{"verify_ecdsa", "x bare", 0.9, 0, false, "the same, P-256"},
	{"verify_rsa", "x bare", 0.9, 0, false, "the same, 2048 bits"},
	{"verify_jwt", "x bare", 0.3, 0.6, false, "HS256 and the hash of 1 KB"},
	{"verify_5mib", "x HMAC", 0.9, 0, false, "a body of 5 MiB, less 1 KB"},
	{"python_receive", "x C", 0.7, 0.9, false, "1 caller, NORMAL, over C"},
	{"claim_growth", "x small", 0.8, 0.95, false, "events/s, backlog of 100,000 over 100"},
	{"receive_growth", "x empty", 0.7, 0.9, false, "receipts/s, 1,000,000 events over none"},
	{"wake_p50_ms", "ms", 0.3, 0.15, true, "from a commit to a handler elsewhere, median"},
	{"wake_p99_ms", "ms", 2, 1, true, "the same, 99 of 100"},
	{"fair_slowest_ms", "ms", 0, 0, true, "slowest receipt, 4 processes on one file, FULL"},
	{"slow_handler_receive", "x without", 0.9, 0, false, "receipts/s beside a sleeping handler"},
	{"idle_cpu", "%", 0.1, 0, true, "CPU of an idle worker"},
	{"bytes_per_receipt", "bytes", 0, 0, true, "in the file, beyond the body"},
	{"bare_full", "/s", 0, 0, false, "bare inserts, FULL"},
	{"bare_normal", "/s", 0, 0, false, "bare inserts, NORMAL"},
	{"bare_cpu_us", "us", 0, 0, true, "processor time of a bare insert, NORMAL"},
	{"receive_1_cpu_us", "us", 0, 0, true, "of a receipt, 1 caller, NORMAL"},
	{"receive_16_cpu_us", "us", 0, 0, true, "of a receipt, 16 threads, NORMAL"},
	{"work_cpu_us", "us", 0, 0, true, "of an event that a worker handles"},
	{"verify_us", "us", 0, 0, true, "verify and extract"},
};

#define FIGURES ((int)(sizeof figures / sizeof *figures))

/* What was measured of each. */
typedef struct {
	double values[BENCH_ROUNDS_MAX];
	int32_t count;
	const char *missing;
} figure_rounds;

static figure_rounds rounds[FIGURES];

static figure_rounds *figure_named(const char *name)
{
	int i;

	for (i = 0; i < FIGURES; i++)
		if (strcmp(figures[i].name, name) == 0)
			return &rounds[i];
	die("no figure is named '%s'", name);
}

void figure_add(const char *name, double value)
{
	figure_rounds *r = figure_named(name);

	if (!isfinite(value))
		die("%s is no number", name);
	if (r->count == BENCH_ROUNDS_MAX)
		die("%s has more than %d rounds", name, BENCH_ROUNDS_MAX);
	r->values[r->count++] = value;
}

void figure_missing(const char *name, const char *why)
{
	figure_named(name)->missing = why;
}

static bool figure_reaches(const figure *f, double value, double goal)
{
	return goal <= 0 || (f->less ? value <= goal : value >= goal);
}

static const char *figure_verdict(const figure *f, double value)
{
	if (f->least <= 0)
		return "";
	if (!figure_reaches(f, value, f->least))
		return "SHORT";
	return f->aim > 0 && figure_reaches(f, value, f->aim) ? "aim reached" : "reached";
}

static void figure_number(char *to, size_t size, double value)
{
	snprintf(to, size, fabs(value) >= 100 ? "%.0f" : fabs(value) >= 0.1 ? "%.2f" : "%.3f", value);
}

static void figure_goal(char *to, size_t size, double goal)
{
	if (goal > 0)
		snprintf(to, size, "%g", goal);
	else
		snprintf(to, size, "-");
}

/* How far the rounds stand apart: least to greatest. */
static void figure_spread(const figure_rounds *r, char *to, size_t size)
{
	double low = r->values[0], high = r->values[0];
	char a[32], b[32];
	int32_t i;

	for (i = 1; i < r->count; i++) {
		low = r->values[i] < low ? r->values[i] : low;
		high = r->values[i] > high ? r->values[i] : high;
	}
	figure_number(a, sizeof a, low);
	figure_number(b, sizeof b, high);
	if (r->count > 1)
		snprintf(to, size, "%s to %s", a, b);
	else
		snprintf(to, size, "one run");
}

static void figure_print(const figure *f, const figure_rounds *r)
{
	char value[32], least[32], aim[32], spread[80];
	double middle = median(r->values, r->count);

	figure_number(value, sizeof value, middle);
	figure_goal(least, sizeof least, f->least);
	figure_goal(aim, sizeof aim, f->aim);
	figure_spread(r, spread, sizeof spread);
	printf("%-24s %9s %-9s %8s %6s  %-11s  %-16s %s\n", f->name, value, f->unit, least, aim,
	       figure_verdict(f, middle), spread, f->what);
}

void figures_print(void)
{
	int i;

	printf("%-24s %9s %-9s %8s %6s  %-11s  %-16s %s\n", "name", "median", "unit", "at least", "aim",
	       "", "rounds", "what");
	for (i = 0; i < FIGURES; i++)
		if (rounds[i].count > 0)
			figure_print(&figures[i], &rounds[i]);
	for (i = 0; i < FIGURES; i++)
		if (rounds[i].missing)
			printf("not measured: %s: %s\n", figures[i].name, rounds[i].missing);
	fflush(stdout);
}

static void figure_json(FILE *file, const figure *f, double value, bool first)
{
	const char *word = f->less ? "at_most" : "at_least";

	fprintf(file, "%s\n  \"%s\": {\"value\": %.6g, \"unit\": \"%s\", \"goal\": ", first ? "" : ",",
	        f->name, value, f->unit);
	if (f->least <= 0)
		fprintf(file, "null}");
	else if (f->aim <= 0)
		fprintf(file, "{\"%s\": %g}}", word, f->least);
	else
		fprintf(file, "{\"%s\": %g, \"aim\": %g}}", word, f->least, f->aim);
}

void figures_write(const char *path)
{
	FILE *file = fopen(path, "w");
	bool first = true;
	int i;

	if (!file)
		die("'%s': %s", path, strerror(errno));
	fputc('{', file);
	for (i = 0; i < FIGURES; i++)
		if (rounds[i].count > 0) {
			figure_json(file, &figures[i], median(rounds[i].values, rounds[i].count), first);
			first = false;
		}
	fputs("\n}\n", file);
	if (fclose(file) != 0)
		die("'%s': %s", path, strerror(errno));
}
