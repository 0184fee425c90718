/* Which measurements run, how long and how often, as the command line says. */
#include "bench.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

static const struct {
	const char *name;
	void (*run)(const bench_plan *plan);
} bench_groups[] = {
	{"verify", bench_verify},       {"ratios", bench_ratios}, {"python", bench_python},
	{"processes", bench_processes}, {"growth", bench_growth},
};

static const char usage[] =
	"usage: knocker_bench [--quick] [--json FILE] [--only GROUP] [--rounds N] [--folder FOLDER]\n"
	"                     [--python INTERPRETER --python-script FILE]\n"
	"\n"
	"Measures what a receipt, an event and a wake-up cost, side by side with bare SQLite on the same\n"
	"file system, and prints a row for each figure. A goal that is not reached is said, and is no\n"
	"failure. Progress goes to the standard error.\n"
	"\n"
	"  --quick          under a minute: shorter slices, and no file of 1,000,000 events\n"
	"  --json FILE      the figures as JSON, too: {\"name\": {\"value\": .., \"unit\": .., \"goal\": ..}}\n"
	"  --only GROUP     one of: verify ratios python processes growth\n"
	"  --rounds N       alternating rounds of which the median is taken, 5 to 21 (default 9; quick 5)\n"
	"  --folder FOLDER  where the files are made: the file system is measured (default bench-data)\n"
	"  --python INTERPRETER --python-script FILE\n"
	"                   an interpreter with the package knocker, and python_receive.py\n";

static _Noreturn void usage_die(const char *what, const char *value)
{
	fprintf(stderr, "knocker_bench: %s '%s'\n\n%s", what, value, usage);
	exit(2);
}

static const char *option_value(int argc, char **argv, int *i)
{
	if (*i + 1 == argc)
		usage_die("a value is missing after", argv[*i]);
	return argv[++*i];
}

static int32_t option_rounds(const char *text)
{
	char *end;
	long rounds = strtol(text, &end, 10);

	if (*text == '\0' || *end != '\0' || rounds < BENCH_ROUNDS_MIN || rounds > BENCH_ROUNDS_MAX)
		usage_die("--rounds takes a number from 5 to 21, not", text);
	return (int32_t)rounds;
}

static const char *option_group(const char *name)
{
	size_t i;

	for (i = 0; i < sizeof bench_groups / sizeof *bench_groups; i++)
		if (strcmp(name, bench_groups[i].name) == 0)
			return name;
	usage_die("there is no group", name);
}

static void options_read(bench_plan *plan, int argc, char **argv)
{
	int i;

	for (i = 1; i < argc; i++) {
		const char *o = argv[i];

		if (strcmp(o, "--help") == 0 || strcmp(o, "-h") == 0) {
			fputs(usage, stdout);
			exit(0);
		} else if (strcmp(o, "--quick") == 0) {
			plan->quick = true;
		} else if (strcmp(o, "--json") == 0) {
			plan->json = option_value(argc, argv, &i);
		} else if (strcmp(o, "--folder") == 0) {
			plan->folder = option_value(argc, argv, &i);
		} else if (strcmp(o, "--rounds") == 0) {
			plan->rounds = option_rounds(option_value(argc, argv, &i));
		} else if (strcmp(o, "--python") == 0) {
			plan->python = option_value(argc, argv, &i);
		} else if (strcmp(o, "--python-script") == 0) {
			plan->python_script = option_value(argc, argv, &i);
		} else if (strcmp(o, "--only") == 0) {
			plan->only = option_group(option_value(argc, argv, &i));
		} else {
			usage_die("there is no option", o);
		}
	}
	plan->slice_ms = plan->quick ? 70 : 300;
	if (plan->rounds == 0)
		plan->rounds = plan->quick ? 5 : 9;
}

int main(int argc, char **argv)
{
	bench_plan plan = {.folder = "bench-data"};
	int64_t start_ns = now_ns();
	size_t i;

	options_read(&plan, argc, argv);
	if (mkdir(plan.folder, 0777) < 0 && errno != EEXIST)
		die("'%s': %s", plan.folder, strerror(errno));
	for (i = 0; i < sizeof bench_groups / sizeof *bench_groups; i++)
		if (!plan.only || strcmp(plan.only, bench_groups[i].name) == 0)
			bench_groups[i].run(&plan);
	say("measured in %.0f s", (double)(now_ns() - start_ns) / 1e9);
	figures_print();
	if (plan.json)
		figures_write(plan.json);
	return 0;
}
