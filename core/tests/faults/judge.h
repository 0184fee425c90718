/*
 * Holds the file that a play left against what must never happen, and lets its queue be worked
 * through once more with nothing failing.
 */
#ifndef FAULTS_JUDGE_H
#define FAULTS_JUDGE_H

#include "watch.h"

enum { JUDGE_SECRETS = 64 };

/* What is in the file after a play without failures, too. */
typedef struct {
	bool learn;
	/* Secrets in the body of a valid request, which are the application's: what each hashes to. */
	uint64_t secrets[JUDGE_SECRETS];
	int secret_count;
	bool unverified; /* the scenario itself ingests for a provider what was not checked */
} judge_known;

void judge_file(player *p, watch *w, judge_known *known);

#endif
