/*
 * What a fault run sees of a play: which failures were injected during a step, what was answered,
 * and the first thing that must not have happened. A runner on its own has no watch. It knows no
 * way to inject a failure.
 */
#ifndef CONFORMANCE_WATCH_H
#define CONFORMANCE_WATCH_H

#include "play.h"

/* A delivery that was answered: it is in the file from then on. */
typedef struct noted noted;
struct noted {
	int64_t delivery_id, event_id; /* event_id 0: an orphan */
	noted *next;
};

/* A run of a handler that returned well. Its own write was there before it was settled. */
typedef struct noted_run noted_run;
struct noted_run {
	int64_t job_id, claim;
	bool wrote;
	bool acknowledged; /* it was told that the event is handled */
	noted_run *next;
};

/* A text that must not be found anywhere. */
typedef struct noted_secret noted_secret;
struct noted_secret {
	const char *data;
	size_t len;
	noted_secret *next;
};

struct watch {
	int64_t (*injected)(void);          /* failures so far */
	int64_t (*calls)(void);             /* calls so far that could have failed */
	void (*pause)(bool paused);         /* meanwhile none is injected */
	void (*judge)(player *p, watch *w); /* after the last step, when all handles are closed */
	bool again;      /* a step that an injected failure failed is played again, as callers do */
	bool misread;    /* a failure is a read that gives less than is there, and says nothing */
	int64_t busy_ms; /* where the scenario says nothing */

	const char *opening; /* the words that the first file was opened with; NULL: none is open */
	int64_t opened;      /* calls until then */
	bool derailed;       /* some step went another way than the scenario's: it binds no more */
	bool unprepared;     /* an endpoint or a handle is not as the scenario has it */
	bool raised;         /* a script's step failed by an injected failure: the handler fails */
	const char *found;
	noted *answered;
	noted_run *runs;
	noted_secret *secrets;
	int64_t again_asked; /* replays and requeues, whether they were answered or not */
};

/* Writes down the first thing that must not have happened. */
void watch_find(player *p, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* Around a step; `hit`: a failure was injected while it was played. True: play it again. */
void watch_before(player *p, const operation *op, const value *words);
bool watch_after(player *p, handle *h, const operation *op, const value *step, const answer *got,
                 bool hit);
/* The step cannot be played: by the scenario's fault, or after a step that failed. */
void watch_skip(player *p);
/* The handler's own write, after its script, which may make it fail. NULL: it does not end well. */
noted_run *watch_run(player *p, knocker_work *work, int64_t job_id, int64_t claim, int32_t *outcome,
                     knocker_bytes *reason);
/* `rc` is what the settlement came to, `hit` whether a failure was injected in it. */
void watch_settled(player *p, handle *h, noted_run *run, int32_t rc, bool hit);

#endif
