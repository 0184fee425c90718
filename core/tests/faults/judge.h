/*
 * Holds the file that a play left against what must never happen, and lets its queue be worked
 * through once more with nothing failing.
 */
#ifndef FAULTS_JUDGE_H
#define FAULTS_JUDGE_H

#include "watch.h"

enum { JUDGE_SECRETS = 64 };

/* The secrets that stand in the file after a play without failures: in the body of a valid request,
 * which is the application's. By their place in the play's list, oldest first. */
typedef struct {
	bool learn;
	bool known[JUDGE_SECRETS];
} judge_secrets;

void judge_file(player *p, watch *w, judge_secrets *secrets);

#endif
