/*
 * Plays each scenario once for every call that can fail: which plays there are, in how many
 * processes, and what is printed. Each play is a process of its own, so that a crash is a finding
 * like any other.
 *
 *   faults SCENARIO_DIR [--jobs N] [--seconds N] [--seed N]
 *                       [--only NAME] [--kind KIND] [--at N] [--once | --forever]
 *
 * With --seconds, plays are drawn by lot until the time is up; without, all are played.
 */
#include <dirent.h>
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "inject.h"
#include "judge.h"

enum {
	faults_jobs = 16,
	faults_scenarios = 1000,
	faults_hang_s = 60, /* so long a play may take before it counts as hanging */
	faults_told = 3,    /* findings told of one scenario, kind and manner */
	faults_draws = 4,   /* plays of a scenario and kind that were drawn together */
	faults_busy_ms = 20
};

typedef struct {
	const char *scenarios;
	const char *only; /* a file's name, with or without ".json"; NULL: all */
	fault_kind kind;  /* FAULT_KINDS: all */
	int64_t at;       /* 0: all */
	int64_t seconds;  /* 0: no limit */
	uint64_t seed;
	int jobs;
	bool once, forever;
} settings;

/* How one play ended. Written by the play's process. */
typedef struct {
	bool ended;
	int64_t calls, fired;
	judge_secrets secrets;
	char found[1500];
} trial_result;

/* What the processes share. */
typedef struct {
	atomic_size_t next;
	atomic_llong injected, survived, failed;
	atomic_bool touched[faults_scenarios];
	trial_result results[faults_jobs];
} board;

typedef struct {
	const settings *s;
	board *shared;
	trial_result *result; /* this process's */
	const char *paths[faults_scenarios];
	size_t count;
	uint64_t chance;
	time_t end;
} runner;

typedef struct {
	const char *path;
	fault_kind kind;
	int64_t at; /* 0: nothing fails */
	bool forever;
} trial;

/* ---- One play ---- */

static trial_result *trial_into; /* of this process, for the judge */

static void trial_judge(player *p, watch *w)
{
	inject_disarm();
	judge_file(p, w, &trial_into->secrets);
}

static void trial_play(const trial *t, trial_result *out)
{
	arena *a = arena_new();
	watch w = {.injected = inject_fired,
	           .pause = inject_pause,
	           .judge = trial_judge,
	           .again = !t->forever,
	           .busy_ms = t->at == 0 ? 0 : faults_busy_ms};
	const char *broken;

	alarm(faults_hang_s);
	trial_into = out;
	inject_arm(t->kind, t->at, t->forever);
	broken = play_file_watched(a, t->path, &w);
	out->calls = inject_calls();
	out->fired = inject_fired();
	if (w.found == NULL && t->at == 0 && w.derailed)
		w.found = "it left its scenario, and nothing failed";
	if (w.found != NULL || broken != NULL)
		snprintf(out->found, sizeof out->found, "%s", w.found != NULL ? w.found : broken);
	arena_free(a);
	out->ended = true;
}

/* A process that does not end by itself is a finding too. */
static void trial_run(const trial *t, trial_result *out)
{
	judge_secrets known = out->secrets;
	int status = 0;
	pid_t child;

	*out = (trial_result){.secrets = known};
	out->secrets.learn = t->at == 0;
	fflush(NULL);
	child = fork();
	if (child == 0) {
		trial_play(t, out);
		exit(0);
	}
	if (child < 0 || waitpid(child, &status, 0) != child) {
		fprintf(stderr, "faults: no process can be started: %s\n", strerror(errno));
		exit(2);
	}
	if (WIFSIGNALED(status) && WTERMSIG(status) == SIGALRM)
		snprintf(out->found, sizeof out->found, "it hangs");
	else if (WIFSIGNALED(status))
		snprintf(out->found, sizeof out->found, "it ends by signal %d", WTERMSIG(status));
	else if (!out->ended || WEXITSTATUS(status) != 0)
		snprintf(out->found, sizeof out->found, "it ends with code %d", WEXITSTATUS(status));
}

static const char *trial_name(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash == NULL ? path : slash + 1;
}

/* False: nothing was left to fail. Tells what was found, unless much of it was told already. */
static bool trial_count(runner *r, const trial *t, int *told)
{
	trial_result *out = r->result;

	trial_run(t, out);
	if (out->ended && out->fired == 0 && out->found[0] == '\0')
		return false;
	atomic_fetch_add(&r->shared->injected, 1);
	if (out->found[0] == '\0') {
		atomic_fetch_add(&r->shared->survived, 1);
		return true;
	}
	atomic_fetch_add(&r->shared->failed, 1);
	if (++*told <= faults_told) {
		printf("faults: %s --kind %s --at %lld --%s: %s\n", trial_name(t->path),
		       fault_name(t->kind), (long long)t->at, t->forever ? "forever" : "once", out->found);
		fflush(stdout);
	}
	return true;
}

/* Plays a scenario with nothing failing: what is found then is a mistake of ours. */
static bool trial_clean(runner *r, const char *path, fault_kind kind)
{
	const trial t = {path, kind, 0, false};

	trial_run(&t, r->result);
	if (r->result->found[0] == '\0')
		return true;
	atomic_fetch_add(&r->shared->failed, 1);
	printf("faults: %s, with nothing failing: %s\n", trial_name(path), r->result->found);
	fflush(stdout);
	return false;
}

/* ---- All plays ---- */

static void run_manner(runner *r, const char *path, fault_kind kind, bool forever)
{
	trial t = {path, kind, r->s->at > 0 ? r->s->at : 1, forever};
	int told = 0;

	while (trial_count(r, &t, &told) && r->s->at == 0)
		t.at++;
	if (told > faults_told)
		printf("faults: %s --kind %s --%s: %d more\n", trial_name(path), fault_name(kind),
		       forever ? "forever" : "once", told - faults_told);
}

static void run_scenario(runner *r, size_t at)
{
	const char *path = r->paths[at];

	r->result->secrets = (judge_secrets){0};
	atomic_store(&r->shared->touched[at], true);
	if (!trial_clean(r, path, FAULT_MEMORY))
		return;
	for (int kind = 0; kind < FAULT_KINDS; kind++) {
		if (r->s->kind != FAULT_KINDS && r->s->kind != (fault_kind)kind)
			continue;
		if (!r->s->forever)
			run_manner(r, path, (fault_kind)kind, false);
		if (!r->s->once)
			run_manner(r, path, (fault_kind)kind, true);
	}
}

static void run_all(runner *r)
{
	size_t at;

	while ((at = atomic_fetch_add(&r->shared->next, 1)) < r->count)
		run_scenario(r, at);
}

/* ---- Plays by lot ---- */

static uint64_t draw(runner *r, uint64_t below)
{
	r->chance = r->chance * 6364136223846793005u + 1442695040888963407u;
	return (r->chance >> 33) % below;
}

static void run_drawn(runner *r)
{
	while (time(NULL) < r->end) {
		size_t at = (size_t)draw(r, r->count);
		fault_kind kind = (fault_kind)draw(r, FAULT_KINDS);
		int64_t calls;
		int told = 0;

		r->result->secrets = (judge_secrets){0};
		if (!trial_clean(r, r->paths[at], kind))
			return;
		calls = r->result->calls;
		atomic_store(&r->shared->touched[at], true);
		for (int i = 0; calls > 0 && i < faults_draws; i++) {
			const trial t = {r->paths[at], kind, 1 + (int64_t)draw(r, (uint64_t)calls),
			                 draw(r, 2) == 1};

			trial_count(r, &t, &told);
		}
	}
}

/* ---- The processes ---- */

static int run_wants(const struct dirent *entry)
{
	size_t len = strlen(entry->d_name);

	return len > 5 && strcmp(entry->d_name + len - 5, ".json") == 0;
}

static void run_list(runner *r, arena *a)
{
	struct dirent **entries = NULL;
	int found = scandir(r->s->scenarios, &entries, run_wants, alphasort);

	for (int i = 0; i < found; i++) {
		const char *name = entries[i]->d_name;
		const char *only = r->s->only;
		size_t len = strlen(name) - 5;

		if (only == NULL || strcmp(only, name) == 0 ||
		    (strlen(only) == len && strncmp(only, name, len) == 0)) {
			if (r->count < faults_scenarios)
				r->paths[r->count++] = arena_print(a, "%s/%s", r->s->scenarios, name);
		}
		free(entries[i]);
	}
	free(entries);
}

static void run_progress(const board *b, size_t count)
{
	size_t next = atomic_load(&b->next);

	printf("\r%zu of %zu scenarios, injected %lld, failed %lld ", next < count ? next : count,
	       count, atomic_load(&b->injected), atomic_load(&b->failed));
	fflush(stdout);
}

/* One after the other, so that each result has a place of its own; true: all ended well. */
static bool run_processes(runner *r)
{
	const struct timespec nap = {0, 200000000};
	bool terminal = isatty(STDOUT_FILENO) == 1;
	pid_t children[faults_jobs];
	bool good = true;
	int left = r->s->jobs;

	for (int i = 0; i < r->s->jobs; i++) {
		fflush(NULL);
		children[i] = fork();
		if (children[i] == 0) {
			r->result = &r->shared->results[i];
			r->chance = r->s->seed * 1000 + (uint64_t)i;
			if (r->s->seconds > 0)
				run_drawn(r);
			else
				run_all(r);
			exit(0);
		}
	}
	while (left > 0) {
		for (int i = 0; i < r->s->jobs; i++) {
			int status = 0;

			if (children[i] == 0 || waitpid(children[i], &status, WNOHANG) == 0)
				continue;
			children[i] = 0;
			left--;
			good = good && WIFEXITED(status) && WEXITSTATUS(status) == 0;
		}
		if (terminal)
			run_progress(r->shared, r->count);
		nanosleep(&nap, NULL);
	}
	if (terminal)
		printf("\n");
	return good;
}

static int run(const settings *s)
{
	runner r = {.s = s, .end = time(NULL) + (time_t)s->seconds};
	arena *a = arena_new();
	size_t touched = 0;
	bool good;

	r.shared = mmap(NULL, sizeof *r.shared, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1,
	                0);
	if (r.shared == MAP_FAILED)
		return 2;
	inject_install();
	run_list(&r, a);
	if (s->seconds > 0)
		printf("faults: drawn with --seed %llu\n", (unsigned long long)s->seed);
	good = run_processes(&r);
	for (size_t i = 0; i < r.count; i++)
		touched += atomic_load(&r.shared->touched[i]);
	printf("faults: scenarios %zu, injected %lld, survived %lld, failed %lld\n", touched,
	       atomic_load(&r.shared->injected), atomic_load(&r.shared->survived),
	       atomic_load(&r.shared->failed));
	good = good && atomic_load(&r.shared->injected) > 0 && atomic_load(&r.shared->failed) == 0;
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
		s->only = given;
	else if (strcmp(word, "--kind") == 0)
		good = (s->kind = fault_named(given)) != FAULT_KINDS;
	else if (!settings_number(given, 1, &number))
		good = false;
	else if (strcmp(word, "--at") == 0)
		s->at = number;
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
			s->once = true;
		else if (strcmp(words[i], "--forever") == 0)
			s->forever = true;
		else if (words[i][0] == '-' && i + 1 < count)
			good = settings_read_one(s, words[i], words[i + 1]), i++;
		else if (words[i][0] != '-' && s->scenarios == NULL)
			s->scenarios = words[i];
		else
			good = false;
	}
	return good && s->scenarios != NULL && !(s->once && s->forever);
}

int main(int count, char **words)
{
	settings s = {.kind = FAULT_KINDS, .jobs = 2, .seed = (uint64_t)time(NULL)};

	if (settings_read(&s, count, words))
		return run(&s);
	fprintf(stderr,
	        "usage: faults SCENARIO_DIR [--jobs 1..%d] [--seconds N] [--seed N] [--only NAME]\n"
	        "              [--kind KIND] [--at N] [--once | --forever]\nkinds:",
	        faults_jobs);
	for (int kind = 0; kind < FAULT_KINDS; kind++)
		fprintf(stderr, " %s", fault_name((fault_kind)kind));
	fprintf(stderr, "\n");
	return 2;
}
