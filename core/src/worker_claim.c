/* Claiming: which queues and endpoints a worker serves, and whose turn it is. Knows no threads
 * and no transactions: its caller has begun one. */
#include "worker.h"

#include <stdlib.h>
#include <string.h>

#include "error.h"
#include "json.h"

/* ---- what a claim is about ---- */

/* A claim's lists, read from JSON or from the registrations. */
typedef struct {
	arena memory;
	knocker_bytes *queues;
	int32_t queue_count;
	int64_t *only, *paused; /* ascending */
	int32_t only_count, paused_count, paused_room;
} worker_scope;

static int32_t worker_scope_pause(worker_scope *scope, int64_t id, knocker_error *error)
{
	int64_t *wider;

	if (scope->paused_count == scope->paused_room) {
		scope->paused_room = scope->paused_room ? 2 * scope->paused_room : 16;
		wider = arena_get(&scope->memory, (size_t)scope->paused_room * sizeof *wider);
		if (!wider)
			return fail_memory(error);
		if (scope->paused_count > 0)
			memcpy(wider, scope->paused, (size_t)scope->paused_count * sizeof *wider);
		scope->paused = wider;
	}
	scope->paused[scope->paused_count++] = id;
	return 0;
}

static int32_t worker_scope_paused(worker_scope *scope, db *d, knocker_error *error)
{
	query *q;
	int32_t rc = db_query(d, STMT_endpoint_paused_ids, NO_VALUES, &q, error);

	while (rc == 0) {
		rc = worker_scope_pause(scope, db_int(q, 0), error);
		if (rc == 0)
			rc = db_next(q, error);
	}
	db_done(q);
	return rc < 0 ? rc : 0;
}

/* Parses a JSON array of names and checks each. The caller frees it. */
static int32_t worker_names(const char *what, knocker_bytes text, json **parsed,
                            knocker_error *error)
{
	const json *element;
	int32_t rc = json_parse(what, text, parsed, error);

	if (rc < 0)
		return rc;
	if (json_kind(*parsed) != JSON_ARRAY || json_count(*parsed) > LIMIT_CLAIM)
		rc = fail(error, KNOCKER_INVALID_ARGUMENT, "%s is not a JSON array of at most %d names",
		          what, LIMIT_CLAIM);
	for (element = json_first(*parsed); rc == 0 && element; element = json_next(element))
		rc = inbox_name_check(what, json_text(element), error);
	if (rc < 0) {
		json_free(*parsed);
		*parsed = NULL;
	}
	return rc;
}

static int32_t worker_scope_only(worker_scope *scope, db *d, knocker_bytes endpoints_json,
                                 knocker_error *error)
{
	json *names;
	const json *name;
	int32_t rc = worker_names("endpoints_json", endpoints_json, &names, error);

	if (rc < 0)
		return rc;
	scope->only = arena_get(&scope->memory, (json_count(names) + 1) * sizeof *scope->only);
	if (!scope->only)
		rc = fail_memory(error);
	for (name = json_first(names); rc == 0 && name; name = json_next(name)) {
		endpoint_row row;

		rc = endpoint_find(d, json_text(name), &scope->memory, &row, error);
		if (rc == 0)
			scope->only[scope->only_count++] = row.id;
	}
	if (rc == 0)
		qsort(scope->only, (size_t)scope->only_count, sizeof *scope->only, job_topic_order);
	json_free(names);
	return rc;
}

static int32_t worker_scope_queue(worker_scope *scope, knocker_bytes queue, knocker_error *error)
{
	int32_t i;

	for (i = 0; i < scope->queue_count; i++)
		if (bytes_equal(scope->queues[i], queue))
			return 0;
	if (scope->queue_count == LIMIT_CLAIM)
		return fail(error, KNOCKER_INVALID_ARGUMENT, "a worker serves at most %d queues",
		            LIMIT_CLAIM);
	return arena_copy(&scope->memory, queue, &scope->queues[scope->queue_count++])
	           ? 0
	           : fail_memory(error);
}

/* Told nothing, a worker serves the handle's queue and those that its endpoints have of their own.
 */
static int32_t worker_scope_queues(worker_scope *scope, inbox *in, knocker_bytes queues_json,
                                   knocker_error *error)
{
	char name[LIMIT_NAME + 1];
	int32_t at = 0, rc = 0;
	json *names = NULL;
	const json *each;

	scope->queues = arena_get(&scope->memory, LIMIT_CLAIM * sizeof *scope->queues);
	if (!scope->queues)
		return fail_memory(error);
	if (!queues_json.data) {
		rc = worker_scope_queue(scope, bytes_of(in->queue_name), error);
		while (rc == 0 && registration_queue_next(&in->registrations, &at, name))
			rc = worker_scope_queue(scope, bytes_of(name), error);
		return rc;
	}
	rc = worker_names("queues_json", queues_json, &names, error);
	for (each = json_first(names); rc == 0 && each; each = json_next(each))
		rc = worker_scope_queue(scope, json_text(each), error);
	json_free(names);
	return rc;
}

static int32_t worker_scope_read(worker_scope *scope, inbox *in, db *d,
                                 const knocker_claim_options *o, knocker_error *error)
{
	int32_t rc = worker_scope_queues(scope, in, o->queues_json, error);

	if (rc == 0 && o->endpoints_json.data)
		rc = worker_scope_only(scope, d, o->endpoints_json, error);
	if (rc == 0)
		rc = worker_scope_paused(scope, d, error);
	return rc;
}

static job_claim_options worker_scope_options(const worker_scope *scope, const inbox *in,
                                              const knocker_claim_options *o, int32_t queue)
{
	return (job_claim_options){.queue = scope->queues[queue],
	                           .worker = o->worker_id,
	                           .only = scope->only,
	                           .only_count = scope->only_count,
	                           .paused = scope->paused,
	                           .paused_count = scope->paused_count,
	                           .count = o->count ? (int32_t)o->count : 10,
	                           .lease_ms = o->lease_ms ? o->lease_ms : in->visibility_ms,
	                           .now_ms = inbox_now_ms(in)};
}

int32_t worker_claim_check(const knocker_claim_options *o, knocker_error *error)
{
	int32_t rc = inbox_name_check("worker_id", o->worker_id, error);

	if (rc == 0)
		rc = inbox_range_check("count", o->count, 0, LIMIT_CLAIM, error);
	if (rc == 0)
		rc = inbox_range_check("lease_ms", o->lease_ms, 0, INT64_MAX / 4, error);
	return rc;
}

/* ---- claiming ---- */

/* The topic that this process served last in a queue. Forgotten where a process serves more queues
 * than INBOX_TURNS. */
static int64_t worker_turn(inbox *in, knocker_bytes queue, const int64_t *set)
{
	int64_t topic = 0;
	int32_t i;

	pthread_mutex_lock(&in->lock);
	for (i = 0; i < in->turn_count && !bytes_is(queue, in->turns[i].queue); i++)
		;
	if (i == in->turn_count && set && in->turn_count < INBOX_TURNS) {
		memcpy(in->turns[i].queue, queue.data, (size_t)queue.len);
		in->turns[i].queue[queue.len] = '\0';
		in->turn_count++;
	}
	if (i < in->turn_count && set)
		in->turns[i].topic = *set;
	else if (i < in->turn_count)
		topic = in->turns[i].topic;
	pthread_mutex_unlock(&in->lock);
	return topic;
}

static int32_t worker_claim_by(inbox *in, db *d, const job_claim_options *o, job_claimed *out,
                               int32_t *count, knocker_error *error)
{
	int64_t turn = worker_turn(in, o->queue, NULL);
	int32_t rc = job_claim(d, o, &turn, out, count, error);

	worker_turn(in, o->queue, &turn);
	return rc;
}

int32_t worker_claim_queue(inbox *in, db *d, job_claim_options *o, job_claimed *out, int32_t *count,
                           knocker_error *error)
{
	worker_scope scope = {0};
	int32_t rc = worker_scope_paused(&scope, d, error);

	o->paused = scope.paused;
	o->paused_count = scope.paused_count;
	if (rc == 0)
		rc = worker_claim_by(in, d, o, out, count, error);
	arena_free(&scope.memory);
	return rc;
}

/* A payload that is no event has no handler here: the job is dead and says so. */
int32_t worker_bury_plain(inbox *in, db *d, int64_t id, knocker_error *error)
{
	return db_run(d, STMT_job_bury,
	              VALUES(INT(id), INT(inbox_now_ms(in)),
	                     TEXT(bytes_of("no worker of an inbox knows this payload"))),
	              NULL, error);
}

static int32_t worker_claim_rows(inbox *in, db *d, const job_claimed *jobs, int32_t count,
                                 knocker_rows *rows, knocker_error *error)
{
	int32_t rc = 0, i;

	for (i = 0; rc == 0 && i < count; i++) {
		query *q = NULL;

		if (jobs[i].topic <= 0) {
			rc = jobs[i].died ? 0 : worker_bury_plain(in, d, jobs[i].id, error);
			continue;
		}
		rc = db_query(d, STMT_event_of_claim, VALUES(INT(jobs[i].id)), &q, error);
		if (rc == 0)
			rc = rows_add(rows,
			              (const knocker_value[]){INT(jobs[i].id), INT(jobs[i].claim),
			                                      INT(jobs[i].id), TEXT(db_text(q, 0)),
			                                      TEXT(db_text(q, 1)), INT(jobs[i].died)},
			              error);
		db_done(q);
	}
	return rc < 0 ? rc : 0;
}

static int32_t worker_claim_scope(inbox *in, db *d, const knocker_claim_options *options,
                                  const worker_scope *scope, knocker_rows *rows,
                                  knocker_error *error)
{
	job_claimed *jobs = memory_get(LIMIT_CLAIM * sizeof *jobs);
	int32_t rc = jobs ? 0 : fail_memory(error), i, count = 0;

	for (i = 0; rc == 0 && i < scope->queue_count; i++) {
		job_claim_options o = worker_scope_options(scope, in, options, i);

		o.count -= (int32_t)rows_count(rows);
		if (o.count > 0)
			rc = worker_claim_by(in, d, &o, jobs, &count, error);
		if (rc == 0 && o.count > 0)
			rc = worker_claim_rows(in, d, jobs, count, rows, error);
	}
	memory_free(jobs);
	return rc;
}

int32_t worker_claim(inbox *in, db *d, const knocker_claim_options *options, knocker_rows **out,
                     knocker_error *error)
{
	worker_scope scope = {0};
	int32_t rc = worker_claim_check(options, error);

	*out = NULL;
	if (rc == 0)
		inbox_lease_set(in, options->worker_id,
		                options->lease_ms ? options->lease_ms : in->visibility_ms);
	if (rc == 0)
		rc = worker_scope_read(&scope, in, d, options, error);
	if (rc == 0)
		rc = rows_new("job_id, claim, event_id, endpoint, event_type, died", out, error);
	if (rc == 0)
		rc = worker_claim_scope(in, d, options, &scope, *out, error);
	if (rc == 0 && rows_count(*out) == 0)
		rc = 1;
	if (rc < 0) {
		knocker_rows_free(*out);
		*out = NULL;
	}
	arena_free(&scope.memory);
	return rc;
}

int32_t worker_next_due(inbox *in, db *d, const knocker_claim_options *options, int64_t *due_ms,
                        knocker_error *error)
{
	worker_scope scope = {0};
	int32_t rc = worker_scope_read(&scope, in, d, options, error), i;
	int64_t due;

	*due_ms = INT64_MAX;
	for (i = 0; rc == 0 && i < scope.queue_count; i++) {
		job_claim_options o = worker_scope_options(&scope, in, options, i);

		rc = job_next_due(d, &o, &due, error);
		if (rc == 0 && due < *due_ms)
			*due_ms = due;
	}
	arena_free(&scope.memory);
	return rc;
}
