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
	faults_told = 3,   /* findings told of one scenario and kind */
	faults_chunk = 16, /* plays that a process takes at once */
	faults_draws = 8   /* plays of one scenario and kind that are drawn together */
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
	atomic_int told[PLAN_SCENARIOS * FAULT_KINDS];
	atomic_size_t last; /* scenario and kind of the play that was begun last */
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

/* One play. What was found is told, unless much of the same was told already. */
static void run_play(runner *r, const trial *t, size_t scenario, const judge_known *known)
{
	size_t at = scenario * FAULT_KINDS + t->kind;

	atomic_store(&r->shared->last, at);
	trial_run(t, known, r->result);
	atomic_fetch_add(&r->shared->injected, r->result->fired);
	if (r->result->found[0] == '\0') {
		atomic_fetch_add(&r->shared->survived, 1);
		return;
	}
	atomic_fetch_add(&r->shared->found, 1);
	if (atomic_fetch_add(&r->shared->told[at], 1) < faults_told)
		tell(t, r->result->found);
}

/* What is found with nothing failing is a mistake of the runner, or of the scenario. */
static bool run_clean(runner *r, const char *path, const trial_result *clean)
{
	if (clean->found[0] == '\0')
		return true;
	atomic_fetch_add(&r->shared->found, 1);
	printf("faults: %s, with nothing failing: %s\n", path, clean->found);
	fflush(stdout);
	return false;
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

			run_play(r, &t, line->scenario, &plan_clean(&r->plan, line->scenario, t.kind)->known);
		}
	}
}

static void run_draw(runner *r, int64_t number)
{
	const plan_wish *wish = &r->s->wish;
	uint64_t chance = r->s->seed ^ (uint64_t)number << 32;
	size_t scenario = (size_t)(((uint64_t)number + r->s->seed) % r->plan.count);
	trial t = {.path = r->plan.paths[scenario], .kind = wish->kind};
	trial_result clean;

	if (t.kind == FAULT_KINDS)
		t.kind = (fault_kind)plan_chance(&chance, FAULT_KINDS);
	trial_learn(&t, NULL, r->result);
	clean = *r->result;
	if (!run_clean(r, t.path, &clean))
		return;
	for (int i = 0; i < faults_draws && clean.calls > 0; i++) {
		t.at = 1 + (int64_t)plan_chance(&chance, (uint64_t)clean.calls);
		t.forever = plan_chance(&chance, 2) == 1;
		if (wish->at > 0)
			t.at = wish->at;
		if (wish->once || wish->forever)
			t.forever = wish->forever;
		run_play(r, &t, scenario, &clean.known);
	}
}

/* Each scenario is played, however little time there is. */
static void run_drawn(runner *r)
{
	int64_t number;

	while ((number = atomic_fetch_add(&r->shared->next, 1)) < (int64_t)r->plan.count ||
	       time(NULL) < r->end)
		run_draw(r, number);
}

/* ---- The processes ---- */

static void run_progress(const runner *r)
{
	size_t last = atomic_load(&r->shared->last);
	const trial t = {.path = r->plan.paths[last / FAULT_KINDS]};
	long long played = atomic_load(&r->shared->survived) + atomic_load(&r->shared->found);

	printf("faults: %lld ", played);
	if (r->s->seconds == 0)
		printf("of %lld ", (long long)r->plan.plays);
	printf("runs, %s, %s, %lld injected, %lld findings\n", trial_name(&t),
	       fault_name((fault_kind)(last % FAULT_KINDS)), atomic_load(&r->shared->injected),
	       atomic_load(&r->shared->found));
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

/* By lot what is drawn is learnt by itself: there is no time to learn all. */
static bool run_lot(runner *r)
{
	printf("faults: %zu scenarios, drawn with --seed %llu\n", r->plan.count,
	       (unsigned long long)r->s->seed);
	r->end = time(NULL) + (time_t)r->s->seconds;
	return r->plan.count > 0 && run_processes(r, run_drawn);
}

static bool run_plan(runner *r, arena *a)
{
	bool good = run_processes(r, run_learn);

	for (size_t at = 0; at < r->plan.count; at++) {
		for (int kind = 0; kind < FAULT_KINDS; kind++) {
			if (!run_clean(r, r->plan.paths[at], plan_clean(&r->plan, at, (fault_kind)kind)))
				break;
		}
	}
	plan_write(&r->plan, a);
	printf("faults: %zu scenarios, %lld runs; %lld more with --every\n", r->plan.count,
	       (long long)r->plan.plays, (long long)r->plan.alike);
	if (r->plan.plays == 0)
		printf("faults: there is nothing to fail\n");
	return good && r->plan.plays > 0 && run_processes(r, run_all);
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
	if (r.plan.count == 0)
		printf("faults: no scenario of %s is meant\n", s->wish.scenarios);
	good = s->seconds > 0 ? run_lot(&r) : run_plan(&r, a);
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
		s->seconds = number;
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
