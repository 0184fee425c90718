/*
 * One play of one scenario in a process of its own, with one failure injected into it: a crash is a
 * finding like any other. It knows nothing of other plays.
 */
#ifndef FAULTS_TRIAL_H
#define FAULTS_TRIAL_H

#include "inject.h"
#include "judge.h"

enum { TRIAL_HANG_S = 60 }; /* so long a play may take before it counts as hanging */

typedef struct {
	const char *path;
	fault_kind kind;
	int64_t at; /* which call of the kind; 0: nothing fails */
	bool forever;
} trial;

/* How a play ended. Its process writes it, so it stands in shared memory. */
typedef struct {
	bool ended;
	int64_t calls, fired;
	int64_t opened;    /* calls until the first file was open */
	char opening[200]; /* the words that it was opened with */
	judge_known known;
	char found[1500]; /* "": nothing */
} trial_result;

/* Calls of SQLite for memory in a play with nothing failing: those that come from a new place. */
enum { TRIAL_PLACES = 1 << 16 };
typedef struct {
	uint8_t bits[TRIAL_PLACES / 8];
} trial_places;

/* `known` is of the same scenario with nothing failing. */
void trial_run(const trial *t, const judge_known *known, trial_result *out);
/* The play with nothing failing. `places` may be NULL. */
void trial_learn(const trial *t, trial_places *places, trial_result *out);
const char *trial_name(const trial *t);

#endif
