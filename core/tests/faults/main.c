/*
 * Plays each scenario once for every call that can fail: what is asked for, in how many processes,
 * and what is printed.
 *
 *   faults SCENARIO_DIR [--jobs N] [--seconds N] [--seed N] [--every]
 *                       [--only NAME] [--kind KIND] [--at N] [--once | --forever]
 *
 * With --seconds, plays are drawn by lot until the time is up; without, all are played.
 */
#include <errno.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "plan.h"

enum {
	faults_jobs = 16,
	faults_told = 3,  /* findings told of one scenario, kind and manner */
	faults_chunk = 16 /* plays that a process takes at once */
};

typedef struct {
	plan_wish wish;
	int64_t seconds; /* 0: no limit */
	uint64_t seed;
	int jobs;
} settings;

/* What the processes share. */
typedef struct {
	atomic_llong next;
	atomic_llong injected, survived, found;
	atomic_int told[PLAN_LINES];
	atomic_size_t line; /* the last that was begun */
	trial_result results[faults_jobs];
} board;

typedef struct {
	const settings *s;
	board *shared;
	plan plan;
	trial_result *result; /* this process's */
	time_t end;
} runner;

/* ---- What each process does ---- */

static void tell(const trial *t, const char *found)
{
	printf("faults: %s: %s\n"
	       "        again: ./run faults --only %.*s --kind %s --at %lld --%s\n",
	       trial_name(t), found, (int)strlen(trial_name(t)) - 5, trial_name(t), fault_name(t->kind),
	       (long long)t->at, t->forever ? "forever" : "once");
	fflush(stdout);
}

/* One play. What was found is told, unless much of the same line was told already. */
static void run_play(runner *r, const trial *t, const plan_line *line)
{
	size_t at = (size_t)(line - r->plan.lines);

	atomic_store(&r->shared->line, at);
	trial_run(t, &plan_clean(&r->plan, line->scenario, t->kind)->known, r->result);
	atomic_fetch_add(&r->shared->injected, r->result->fired);
	if (r->result->found[0] == '\0') {
		atomic_fetch_add(&r->shared->survived, 1);
		return;
	}
	atomic_fetch_add(&r->shared->found, 1);
	if (atomic_fetch_add(&r->shared->told[at], 1) < faults_told)
		tell(t, r->result->found);
}

static void run_learn(runner *r)
{
	long long at;

	while ((at = atomic_fetch_add(&r->shared->next, 1)) < (long long)r->plan.count)
		plan_learn(&r->plan, (size_t)at);
}

static void run_all(runner *r)
{
	int64_t at;
	trial t;

	while ((at = atomic_fetch_add(&r->shared->next, faults_chunk)) < r->plan.plays) {
		for (int64_t i = at; i < at + faults_chunk && i < r->plan.plays; i++) {
			const plan_line *line = plan_play(&r->plan, i, &t);

			run_play(r, &t, line);
		}
	}
}

/* Each scenario is played, however little time there is. */
static void run_drawn(runner *r)
{
	int64_t at;
	trial t;

	while ((at = atomic_fetch_add(&r->shared->next, 1)) < (int64_t)r->plan.count ||
	       time(NULL) < r->end) {
		const plan_line *line = plan_draw(&r->plan, r->s->seed, at, &t);

		if (line != NULL)
			run_play(r, &t, line);
	}
}

/* ---- The processes ---- */

static void run_progress(const runner *r)
{
	const plan_line *line = &r->plan.lines[atomic_load(&r->shared->line)];
	const trial t = {.path = r->plan.paths[line->scenario]};
	long long played = atomic_load(&r->shared->survived) + atomic_load(&r->shared->found);

	printf("faults: %lld of %lld runs, %s, %s, %lld injected, %lld findings\n", played,
	       (long long)r->plan.plays, trial_name(&t), fault_name(line->kind),
	       atomic_load(&r->shared->injected), atomic_load(&r->shared->found));
	fflush(stdout);
}

static pid_t run_start(runner *r, int number, void (*act)(runner *))
{
	pid_t child;

	fflush(NULL);
	child = fork();
	if (child == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL); /* who is ended plays on nowhere */
		r->result = &r->shared->results[number];
		act(r);
		exit(0);
	}
	return child;
}

/* True: all ended well. Says how far they are every few seconds to a person, to a file seldom. */
static bool run_processes(runner *r, void (*act)(runner *))
{
	const struct timespec nap = {0, 100000000};
	int often = isatty(STDOUT_FILENO) == 1 ? 50 : 300;
	pid_t children[faults_jobs];
	bool good = true;
	int left = r->s->jobs;

	atomic_store(&r->shared->next, 0);
	for (int i = 0; i < r->s->jobs; i++)
		children[i] = run_start(r, i, act);
	for (int naps = 1; left > 0; naps++) {
		nanosleep(&nap, NULL);
		for (int i = 0; i < r->s->jobs; i++) {
			int status = 0;

			if (children[i] == 0 || waitpid(children[i], &status, WNOHANG) == 0)
				continue;
			children[i] = 0;
			left--;
			good = good && WIFEXITED(status) && WEXITSTATUS(status) == 0;
		}
		if (left > 0 && act != run_learn && naps % often == 0)
			run_progress(r);
	}
	return good;
}

/* What is found with nothing failing is a mistake of the runner, or of the scenario. */
static void run_tell_clean(const runner *r)
{
	for (size_t at = 0; at < r->plan.count; at++) {
		for (int kind = 0; kind < FAULT_KINDS; kind++) {
			const trial_result *clean = plan_clean(&r->plan, at, (fault_kind)kind);

			if (clean->found[0] == '\0')
				continue;
			atomic_fetch_add(&r->shared->found, 1);
			printf("faults: %s, with nothing failing: %s\n", r->plan.paths[at], clean->found);
			break;
		}
	}
}

static bool run_plan(runner *r)
{
	if (r->s->seconds > 0)
		printf("faults: %zu scenarios, drawn with --seed %llu\n", r->plan.count,
		       (unsigned long long)r->s->seed);
	else
		printf("faults: %zu scenarios, %lld runs; %lld more with --every\n", r->plan.count,
		       (long long)r->plan.plays, (long long)r->plan.alike);
	fflush(stdout);
	r->end = time(NULL) + (time_t)r->s->seconds;
	return run_processes(r, r->s->seconds > 0 ? run_drawn : run_all);
}

static int run(const settings *s)
{
	runner r = {.s = s};
	arena *a = arena_new();
	bool good;

	r.shared = mmap(NULL, sizeof *r.shared, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1,
	                0);
	if (r.shared == MAP_FAILED)
		return 2;
	inject_install();
	plan_list(&r.plan, a, &s->wish);
	good = run_processes(&r, run_learn);
	run_tell_clean(&r);
	plan_write(&r.plan, a);
	if (r.plan.plays == 0)
		printf("faults: there is nothing to fail\n");
	good = good && r.plan.plays > 0 && run_plan(&r);
	printf("faults: %lld failures injected, %lld runs survived, %lld findings\n",
	       atomic_load(&r.shared->injected), atomic_load(&r.shared->survived),
	       atomic_load(&r.shared->found));
	good = good && atomic_load(&r.shared->injected) > 0 && atomic_load(&r.shared->found) == 0;
	munmap(r.shared, sizeof *r.shared);
	arena_free(a);
	return good ? 0 : 1;
}

/* ---- What is asked for ---- */

static bool settings_number(const char *text, int64_t least, int64_t *to)
{
	char *end = NULL;

	errno = 0;
	*to = strtoll(text, &end, 10);
	return errno == 0 && end != text && *end == '\0' && *to >= least;
}

static bool settings_read_one(settings *s, const char *word, const char *given)
{
	int64_t number = 0;
	bool good = true;

	if (strcmp(word, "--only") == 0)
		s->wish.only = given;
	else if (strcmp(word, "--kind") == 0)
		good = (s->wish.kind = fault_named(given)) != FAULT_KINDS;
	else if (!settings_number(given, 1, &number))
		good = false;
	else if (strcmp(word, "--at") == 0)
		s->wish.at = number;
	else if (strcmp(word, "--seconds") == 0)
		s->wish.lot = (s->seconds = number) > 0;
	else if (strcmp(word, "--seed") == 0)
		s->seed = (uint64_t)number;
	else if (strcmp(word, "--jobs") == 0 && number <= faults_jobs)
		s->jobs = (int)number;
	else
		good = false;
	return good;
}

static bool settings_read(settings *s, int count, char **words)
{
	bool good = true;

	for (int i = 1; good && i < count; i++) {
		if (strcmp(words[i], "--once") == 0)
			s->wish.once = true;
		else if (strcmp(words[i], "--forever") == 0)
			s->wish.forever = true;
		else if (strcmp(words[i], "--every") == 0)
			s->wish.every = true;
		else if (words[i][0] == '-' && i + 1 < count)
			good = settings_read_one(s, words[i], words[i + 1]), i++;
		else if (words[i][0] != '-' && s->wish.scenarios == NULL)
			s->wish.scenarios = words[i];
		else
			good = false;
	}
	return good && s->wish.scenarios != NULL && !(s->wish.once && s->wish.forever);
}

int main(int count, char **words)
{
	settings s = {.wish = {.kind = FAULT_KINDS}, .jobs = 2, .seed = (uint64_t)time(NULL)};

	if (settings_read(&s, count, words))
		return run(&s);
	fprintf(stderr,
	        "usage: faults SCENARIO_DIR [--jobs 1..%d] [--seconds N] [--seed N] [--only NAME]\n"
	        "              [--every] [--kind KIND] [--at N] [--once | --forever]\nkinds:",
	        faults_jobs);
	for (int kind = 0; kind < FAULT_KINDS; kind++)
		fprintf(stderr, " %s", fault_name((fault_kind)kind));
	fprintf(stderr, "\n");
	return 2;
}
