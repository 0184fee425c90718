/* The queue: jobs with a topic, a due date and a lease, which is a due date too. Knows nothing of
 * webhooks. */
#include "job.h"

#include <stdlib.h>
#include <string.h>

#include "error.h"

#define JOB_DROPS 1000 /* by one claim: a long queue of expired jobs must not hold the writer */

typedef struct {
	int64_t id, claim, expired;
	bool ran_out; /* its lease did */
	bool was_alone, past, settled;
} job_candidate;

/* A claim in progress. */
typedef struct {
	db *d;
	const job_claim_options *options;
	job_claimed *out;
	int32_t taken, dropped;
	bool closed; /* a job that must be claimed alone came up */
	bool more;   /* a topic gave all that was asked of it, and may have more */
} job_hand;

int job_topic_order(const void *a, const void *b)
{
	int64_t one = *(const int64_t *)a, other = *(const int64_t *)b;

	return (one > other) - (one < other);
}

static bool job_topic_listed(const int64_t *topics, int32_t count, int64_t topic)
{
	return count > 0 && bsearch(&topic, topics, (size_t)count, sizeof *topics, job_topic_order);
}

static bool job_topic_served(const job_claim_options *o, int64_t topic)
{
	return (!o->only || job_topic_listed(o->only, o->only_count, topic)) &&
	       !job_topic_listed(o->paused, o->paused_count, topic);
}

/* The next topic above `after` that has queued jobs and is served; 1: none. */
static int32_t job_topic_next(db *d, const job_claim_options *o, int64_t after, int64_t *topic,
                              knocker_error *error)
{
	int32_t rc;

	*topic = after;
	do {
		rc = db_int_of(d, STMT_job_topic_next, VALUES(TEXT(o->queue), INT(*topic)), INT64_MIN,
		               topic, error);
		if (rc < 0)
			return rc;
		if (*topic == INT64_MIN)
			return 1;
	} while (!job_topic_served(o, *topic));
	return 0;
}

static int32_t job_bury(job_hand *hand, const job_candidate *c, int64_t topic, knocker_error *error)
{
	const char *why = "the lease ran out 5 times with this job alone: its handler seems to kill "
					  "the worker";

	hand->out[hand->taken++] = (job_claimed){c->id, c->claim, topic, true};
	return db_run(hand->d, STMT_job_bury,
	              VALUES(INT(c->id), INT(hand->options->now_ms), TEXT(bytes_of(why))), NULL, error);
}

int32_t job_remove(db *d, int64_t id, knocker_error *error)
{
	int32_t rc = db_run(d, STMT_job_delete, VALUES(INT(id)), NULL, error);

	return rc < 0 ? rc : db_run(d, STMT_id_floor_keep, VALUES(INT(id)), NULL, error);
}

/* Leases one candidate, or buries or drops it, or leaves it for a claim of its own. What was
 * settled and never acknowledged is no work, whatever became of its lease. */
static int32_t job_take(job_hand *hand, const job_candidate *c, int64_t topic, knocker_error *error)
{
	const job_claim_options *o = hand->options;
	int64_t expired = c->expired + (c->ran_out && c->was_alone);
	bool must_be_alone = c->ran_out || expired > 0;

	if (c->past || c->settled) {
		hand->dropped++;
		return c->past ? job_remove(hand->d, c->id, error)
		               : db_run(hand->d, STMT_job_drop, VALUES(INT(c->id)), NULL, error);
	}
	if (expired >= LIMIT_DEATHS)
		return job_bury(hand, c, topic, error);
	if (must_be_alone && hand->taken > 0) {
		hand->closed = true;
		return 0;
	}
	hand->closed = must_be_alone;
	hand->out[hand->taken++] = (job_claimed){c->id, c->claim + 1, topic, false};
	return db_run(hand->d, STMT_job_lease,
	              VALUES(INT(c->id), INT(o->now_ms + o->lease_ms), TEXT(o->worker),
	                     INT(must_be_alone || o->count == 1), INT(expired)),
	              NULL, error);
}

/* Reads up to `limit` due jobs of a topic. They are read before one is written: the due index is
 * both read and written here. */
static int32_t job_candidates(job_hand *hand, int64_t topic, int32_t limit, job_candidate *out,
                              int32_t *count, knocker_error *error)
{
	const job_claim_options *o = hand->options;
	query *q;
	int32_t rc = db_query(hand->d, STMT_job_due,
	                      VALUES(TEXT(o->queue), INT(topic), INT(o->now_ms), INT(limit)), &q,
	                      error);

	for (*count = 0; rc == 0; rc = db_next(q, error))
		out[(*count)++] = (job_candidate){.id = db_int(q, 0),
		                                  .claim = db_int(q, 1),
		                                  .ran_out = db_int(q, 2) != 0,
		                                  .expired = db_int(q, 3),
		                                  .was_alone = db_int(q, 4) != 0,
		                                  .past = !db_null(q, 5) && db_int(q, 5) <= o->now_ms,
		                                  .settled = db_int(q, 6) != 0};
	db_done(q);
	return rc < 0 ? rc : 0;
}

static int32_t job_take_topic(job_hand *hand, int64_t topic, int32_t limit, knocker_error *error)
{
	job_candidate *candidates = memory_get((size_t)limit * sizeof *candidates);
	int32_t rc, i, count = 0;

	if (!candidates)
		return fail_memory(error);
	rc = job_candidates(hand, topic, limit, candidates, &count, error);
	hand->more = hand->more || (count == limit && hand->dropped < JOB_DROPS);
	for (i = 0; rc == 0 && i < count && !hand->closed; i++)
		rc = job_take(hand, &candidates[i], topic, error);
	memory_free(candidates);
	return rc;
}

static int32_t job_due_first(db *d, const job_claim_options *o, int64_t topic, int64_t *due_ms,
                             knocker_error *error)
{
	return db_int_of(d, STMT_job_due_first, VALUES(TEXT(o->queue), INT(topic)), INT64_MAX, due_ms,
	                 error);
}

/* Plain jobs: the lowest topic, which is the highest priority, first and as far as it goes. */
static int32_t job_claim_plain(job_hand *hand, knocker_error *error)
{
	const job_claim_options *o = hand->options;
	int64_t topic = INT64_MIN;
	int32_t rc = 0;

	while (rc == 0 && hand->taken < o->count && !hand->closed) {
		if (!hand->more)
			rc = job_topic_next(hand->d, o, topic, &topic, error);
		if (rc != 0 || topic > 0)
			break;
		hand->more = false;
		rc = job_take_topic(hand, topic, o->count - hand->taken, error);
	}
	return rc < 0 ? rc : 0;
}

/* Topics with due jobs, at most as many as jobs are wanted, from the one after `turn` onward and
 * around. */
static int32_t job_topics_in_turn(job_hand *hand, int64_t turn, int64_t *topics, int32_t *count,
                                  knocker_error *error)
{
	const job_claim_options *o = hand->options;
	int64_t topic = turn > 0 ? turn : 0, due;
	bool around = topic == 0;
	int32_t rc = 0, wanted = o->count - hand->taken;

	*count = 0;
	while (*count < wanted) {
		rc = job_topic_next(hand->d, o, topic, &topic, error);
		if (rc < 0)
			return rc;
		if (rc == 1 && around)
			break;
		if (rc == 1) {
			around = true;
			topic = 0;
			continue;
		}
		if (around && turn > 0 && topic > turn)
			break;
		rc = job_due_first(hand->d, o, topic, &due, error);
		if (rc < 0)
			return rc;
		if (due <= o->now_ms)
			topics[(*count)++] = topic;
	}
	return 0;
}

static int32_t job_claim_in_turn(job_hand *hand, int64_t *turn, knocker_error *error)
{
	int32_t wanted = hand->options->count - hand->taken, count = 0, i, share, rc;
	int64_t *topics = memory_get((size_t)wanted * sizeof *topics);

	if (!topics)
		return fail_memory(error);
	rc = job_topics_in_turn(hand, *turn, topics, &count, error);
	share = count > 0 ? (wanted + count - 1) / count : 0;
	for (i = 0; rc == 0 && i < count && !hand->closed && hand->taken < hand->options->count; i++) {
		int32_t left = hand->options->count - hand->taken;

		rc = job_take_topic(hand, topics[i], share < left ? share : left, error);
		if (hand->taken > 0)
			*turn = hand->closed && hand->out[hand->taken - 1].topic != topics[i] ? topics[i] - 1
			                                                                      : topics[i];
	}
	memory_free(topics);
	return rc;
}

int32_t job_claim(db *d, const job_claim_options *options, int64_t *turn, job_claimed *out,
                  int32_t *count, knocker_error *error)
{
	job_hand hand = {.d = d, .options = options, .out = out};
	int32_t rc = job_claim_plain(&hand, error);

	do {
		hand.more = false;
		if (rc == 0 && hand.taken < options->count && !hand.closed)
			rc = job_claim_in_turn(&hand, turn, error);
	} while (rc == 0 && hand.more && hand.taken < options->count && !hand.closed);
	*count = hand.taken;
	return rc;
}

int32_t job_next_due(db *d, const job_claim_options *options, int64_t *due_ms, knocker_error *error)
{
	int64_t topic = INT64_MIN, due;
	int32_t rc;

	*due_ms = INT64_MAX;
	while ((rc = job_topic_next(d, options, topic, &topic, error)) == 0) {
		rc = job_due_first(d, options, topic, &due, error);
		if (rc < 0)
			return rc;
		if (due < *due_ms)
			*due_ms = due;
	}
	return rc < 0 ? rc : 0;
}

static void job_text(char *to, size_t size, knocker_bytes from)
{
	size_t len = from.data ? (size_t)from.len : 0;

	if (len >= size)
		len = size - 1;
	if (len > 0)
		memcpy(to, from.data, len);
	to[len] = '\0';
}

int32_t job_get(db *d, int64_t id, job_state *out, knocker_error *error)
{
	query *q;
	int32_t rc = db_query(d, STMT_job_get, VALUES(INT(id)), &q, error);

	memset(out, 0, sizeof *out);
	if (rc == 0) {
		out->claim = db_int(q, 0);
		out->held = !db_null(q, 1);
		job_text(out->worker, sizeof out->worker, db_text(q, 1));
		out->due_ms = db_null(q, 2) ? -1 : db_int(q, 2);
		job_text(out->status, sizeof out->status, db_text(q, 3));
		out->topic = db_int(q, 4);
		out->attempt_count = db_int(q, 5);
		out->max_attempts = db_int(q, 6);
		out->delivery_id = db_int(q, 7);
	}
	db_done(q);
	return rc;
}

bool job_unsettled(const job_state *job)
{
	return strcmp(job->status, "received") == 0 || strcmp(job->status, "failed") == 0;
}

int32_t job_lost(int64_t id, knocker_error *error)
{
	return fail(error, KNOCKER_LEASE_LOST,
	            "job %lld is no longer held by this claim: its lease was lost", (long long)id);
}

int32_t job_settle(db *d, const job_settlement *s, knocker_error *error)
{
	int64_t changed = 0;
	int32_t rc = db_run(d, STMT_job_settle,
	                    VALUES(INT(s->id), INT(s->claim), TEXT(bytes_of(s->status)),
	                           s->due_ms < 0 ? NONE : INT(s->due_ms), INT(s->attempts),
	                           INT_OR_NULL(s->settled_ms), TEXT(s->error)),
	                    &changed, error);

	if (rc == 0 && s->due_ms >= 0)
		db_mark_due(d);
	return rc == 0 && changed == 0 ? job_lost(s->id, error) : rc;
}

int32_t job_release(db *d, int64_t id, int64_t claim, int64_t now_ms, knocker_error *error)
{
	int64_t changed = 0;
	int32_t rc = db_run(d, STMT_job_release, VALUES(INT(id), INT(claim), INT(now_ms)), &changed,
	                    error);

	db_mark_due(d);
	return rc == 0 && changed == 0 ? 1 : rc;
}

int32_t job_extend(db *d, int64_t id, int64_t claim, int64_t until_ms, knocker_error *error)
{
	int64_t changed = 0;
	int32_t rc = db_run(d, STMT_job_extend, VALUES(INT(id), INT(claim), INT(until_ms)), &changed,
	                    error);

	return rc == 0 && changed == 0 ? job_lost(id, error) : rc;
}

int32_t id_next(db *d, int64_t *id, int64_t *last_received_ms, knocker_error *error)
{
	query *q;
	int32_t rc = db_query(d, STMT_id_next, NO_VALUES, &q, error);

	if (rc == 0) {
		*id = db_int(q, 0);
		*last_received_ms = db_int(q, 1);
	}
	db_done(q);
	return rc < 0 ? rc : 0;
}
