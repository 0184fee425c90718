/*
 * Which plays there are: every scenario, every kind of failure, both manners, every call. It plays
 * each scenario once with nothing failing, to learn how many calls there are to fail.
 */
#ifndef FAULTS_PLAN_H
#define FAULTS_PLAN_H

#include "trial.h"

enum { PLAN_SCENARIOS = 500, PLAN_LINES = PLAN_SCENARIOS * FAULT_KINDS * 2 };

typedef struct {
	const char *scenarios;
	const char *only; /* a file's name, with or without ".json"; NULL: all */
	fault_kind kind;  /* FAULT_KINDS: all */
	int64_t at;       /* 0: all */
	bool once, forever;
	bool every; /* also openings that are alike, and each of SQLite's allocations */
} plan_wish;

/* Plays that differ in the call that fails. */
typedef struct {
	size_t scenario;
	fault_kind kind;
	bool forever;
	int64_t from, count; /* calls in a row, unless there are `picks` */
	const int32_t *picks;
	int64_t before; /* plays in the lines before this one */
} plan_line;

typedef struct {
	const plan_wish *wish;
	const char *paths[PLAN_SCENARIOS];
	size_t count;
	trial_result *clean;  /* FAULT_KINDS for each scenario, shared by all processes */
	trial_places *places; /* one for each scenario, shared */
	plan_line *lines;
	size_t line_count;
	int64_t plays;
	int64_t alike; /* plays that were left out, since others fail a call from the same place */
} plan;

/* In an arena that outlives the plan. */
void plan_list(plan *p, arena *a, const plan_wish *wish);
/* Plays scenario `at` with nothing failing, once for each kind that is wanted. */
void plan_learn(plan *p, size_t at);
/* After all are learnt. */
void plan_write(plan *p, arena *a);
/* Play `number`, from 0, and its line. */
const plan_line *plan_play(const plan *p, int64_t number, trial *out);
/* The numbers of a lot: below `below`, and the state goes on. */
uint64_t plan_chance(uint64_t *state, uint64_t below);
const trial_result *plan_clean(const plan *p, size_t scenario, fault_kind kind);

#endif
