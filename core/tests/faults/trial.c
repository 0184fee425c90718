/* One play, in a process that is forked for it. */
#include "trial.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

enum { trial_busy_ms = 20 };

static trial_result *trial_into; /* of this process, for the judge */

static void trial_judge(player *p, watch *w)
{
	inject_disarm();
	judge_file(p, w, &trial_into->known);
}

static void trial_note(const watch *w, trial_result *out)
{
	out->calls = inject_calls();
	out->fired = inject_fired();
	out->opened = w->opened;
	if (w->opening != NULL)
		snprintf(out->opening, sizeof out->opening, "%s", w->opening);
}

static void trial_play(const trial *t, trial_result *out)
{
	arena *a = arena_new();
	watch w = {.injected = inject_fired,
	           .calls = inject_calls,
	           .pause = inject_pause,
	           .judge = trial_judge,
	           .again = !t->forever,
	           .misread = t->kind == FAULT_SHORT,
	           .busy_ms = t->at == 0 ? 0 : trial_busy_ms};
	const char *broken;

	alarm(TRIAL_HANG_S);
	trial_into = out;
	inject_arm(t->kind, t->at, t->forever);
	broken = play_file_watched(a, t->path, &w);
	trial_note(&w, out);
	if (w.found == NULL && t->at == 0 && w.derailed)
		w.found = "it left its scenario, and nothing failed";
	if (w.found != NULL || broken != NULL)
		snprintf(out->found, sizeof out->found, "%s", w.found != NULL ? w.found : broken);
	arena_free(a);
	out->ended = true;
}

static void trial_ended(int status, trial_result *out)
{
	if (WIFSIGNALED(status) && WTERMSIG(status) == SIGALRM)
		snprintf(out->found, sizeof out->found, "it hangs");
	else if (WIFSIGNALED(status))
		snprintf(out->found, sizeof out->found, "it ends by signal %d", WTERMSIG(status));
	else if (!out->ended || WEXITSTATUS(status) != 0)
		snprintf(out->found, sizeof out->found, "it ends with code %d", WEXITSTATUS(status));
}

static void trial_fork(const trial *t, trial_places *places, trial_result *out)
{
	int status = 0;
	pid_t child;

	fflush(NULL);
	child = fork();
	if (child == 0) {
		if (places != NULL)
			inject_places(places->bits, TRIAL_PLACES);
		trial_play(t, out);
		exit(0);
	}
	if (child < 0 || waitpid(child, &status, 0) != child) {
		fprintf(stderr, "faults: no process can be started: %s\n", strerror(errno));
		exit(2);
	}
	trial_ended(status, out);
}

void trial_run(const trial *t, const judge_known *known, trial_result *out)
{
	*out = (trial_result){.known = *known};
	out->known.learn = false;
	trial_fork(t, NULL, out);
}

void trial_learn(const trial *t, trial_places *places, trial_result *out)
{
	*out = (trial_result){.known = {.learn = true}};
	trial_fork(t, places, out);
}

const char *trial_name(const trial *t)
{
	const char *slash = strrchr(t->path, '/');

	return slash == NULL ? t->path : slash + 1;
}
