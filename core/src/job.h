/* The queue: jobs with a topic, a due date and a lease, which is a due date too. Knows nothing of
 * webhooks: a topic is a number, 1 and up taking turns, 0 and down in order of priority. The fence
 * of every settlement is (job, claim). */
#ifndef KNOCKER_JOB_H
#define KNOCKER_JOB_H

#include "bounds.h"
#include "db.h"

typedef struct {
	knocker_bytes queue, worker;
	const int64_t *only; /* these topics, ascending; NULL: all */
	int32_t only_count;
	const int64_t *paused; /* none of these, ascending */
	int32_t paused_count;
	int32_t count; /* at most LIMIT_CLAIM */
	int64_t lease_ms, now_ms;
} job_claim_options;
int job_topic_order(const void *a, const void *b); /* for qsort */

typedef struct {
	int64_t id, claim, topic;
	bool died; /* its lease ran out once too often: it is dead now, and told of once */
} job_claimed;

/* In a transaction: leases up to `count` due jobs into `out`. `turn` is the topic that was served
 * last, kept by the caller. */
int32_t job_claim(db *d, const job_claim_options *options, int64_t *turn, job_claimed *out,
                  int32_t *count, knocker_error *error);
/* When the next job for these options is due; INT64_MAX: none is queued. Reads only. */
int32_t job_next_due(db *d, const job_claim_options *options, int64_t *due_ms,
                     knocker_error *error);

typedef struct {
	/* `due_ms` -1: not queued. `max_attempts` 0: not its own. */
	int64_t claim, due_ms, topic, attempt_count, max_attempts, delivery_id;
	bool held;
	char status[12];
	char worker[LIMIT_NAME + 1];
} job_state;
int32_t job_get(db *d, int64_t id, job_state *out, knocker_error *error); /* 1: no such job */
/* Received or failed: there is work left. A settled job may still be held, until it is
 * acknowledged, but nobody works on it. */
bool job_unsettled(const job_state *job);

typedef struct {
	int64_t id, claim;
	const char *status; /* NULL: as it is */
	int64_t due_ms;     /* -1: not queued */
	int64_t attempts;   /* added to attempt_count */
	int64_t settled_ms; /* 0: null */
	knocker_bytes error;
} job_settlement;
/* KNOCKER_LEASE_LOST when the job was claimed again or given back since. */
int32_t job_settle(db *d, const job_settlement *s, knocker_error *error);
/* 1: it is somebody else's. */
int32_t job_release(db *d, int64_t id, int64_t claim, int64_t now_ms, knocker_error *error);
/* KNOCKER_LEASE_LOST: it is somebody else's. */
int32_t job_extend(db *d, int64_t id, int64_t claim, int64_t until_ms, knocker_error *error);
/* Deletes a plain job; where it was the highest row, its id stays used. */
int32_t job_remove(db *d, int64_t id, knocker_error *error);
int32_t job_lost(int64_t id, knocker_error *error);

/* The next id, above every id ever used, and when the last receipt came (0: never). In the
 * transaction that uses it. */
int32_t id_next(db *d, int64_t *id, int64_t *last_received_ms, knocker_error *error);

#endif
