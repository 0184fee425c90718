/*
 * Plays handlers: what `handle` registers, and the loop of a worker that finds a handler for each
 * claimed job, plays its script and settles.
 */
#include <string.h>

#include "play.h"
#include "watch.h"

/* The format knows no `work_most`: it ends a job that is due again at once for ever. */
enum { work_batch = 10, work_most = 100000 };

/* ---- Registration ---- */

static bool handler_is(const handler *one, const char *endpoint, const char *event_type)
{
	if (one->replaced || strcmp(one->endpoint, endpoint) != 0)
		return false;
	if (one->event_type == NULL || event_type == NULL)
		return one->event_type == event_type;
	return strcmp(one->event_type, event_type) == 0;
}

static handler *handler_exact(const handle *h, const char *endpoint, const char *event_type)
{
	handler *one = h->handlers;

	while (one != NULL && !handler_is(one, endpoint, event_type))
		one = one->next;
	return one;
}

/* By endpoint and event type, else the endpoint's fallback; NULL: neither. */
static handler *handler_find(const handle *h, const char *endpoint, const char *event_type)
{
	handler *one = event_type == NULL ? NULL : handler_exact(h, endpoint, event_type);

	return one != NULL ? one : handler_exact(h, endpoint, NULL);
}

void play_handler(player *p, handle *h, const value *with, answer *out)
{
	handler *one = arena_take(p->a, sizeof *one);
	handler *before;

	(void)out;
	if (!words_known(p, with, "endpoint event_type script runs"))
		return;
	one->endpoint = words_text(p, with, "endpoint").data;
	one->event_type = words_text(p, with, "event_type").data;
	one->script = value_get(with, "script");
	one->runs = value_get(with, "runs");
	one->where = p->where;
	if (p->broken != NULL)
		return;
	if (one->endpoint == NULL || (one->script == NULL) == (one->runs == NULL)) {
		play_break(p, "a handler takes an 'endpoint' and either 'script' or 'runs'");
		return;
	}
	if (one->runs != NULL && (one->runs->kind != VALUE_LIST || one->runs->first == NULL)) {
		play_break(p, "'runs' takes a list of scripts");
		return;
	}
	before = handler_exact(h, one->endpoint, one->event_type);
	if (before != NULL)
		before->replaced = true;
	one->next = h->handlers;
	h->handlers = one;
}

static void handler_all_played(player *p, const handler *one)
{
	int64_t asked = one->runs == NULL ? 0 : (int64_t)value_count(one->runs);

	if (one->played == 0)
		play_break(p, "the script of %s was never played", one->where);
	else if (one->runs != NULL && one->played != asked)
		play_break(p, "the handler of %s was run %lld times, and has %lld runs", one->where,
		           (long long)one->played, (long long)asked);
}

void work_all_played(player *p)
{
	for (const handle *h = p->handles; h != NULL; h = h->next) {
		for (const handler *one = h->handlers; one != NULL && p->broken == NULL; one = one->next)
			handler_all_played(p, one);
	}
}

/* The script of the handler's next run; NULL, and the play is broken, when it has no more. */
static const value *handler_script(player *p, handler *one)
{
	const value *script = one->script;

	if (one->runs != NULL) {
		script = one->runs->first;
		for (int64_t run = 0; run < one->played && script != NULL; run++)
			script = script->next;
	}
	one->played++;
	if (script == NULL && p->watch != NULL && p->watch->derailed)
		script = one->runs->first;
	if (script == NULL)
		play_break(p, "run %lld of the handler of %s is one too many", (long long)one->played,
		           one->where);
	else if (script->kind != VALUE_LIST)
		play_break(p, "a script is a list of steps, not %s", value_show(p->a, script));
	return p->broken == NULL ? script : NULL;
}

/* ---- Endings ---- */

typedef struct {
	int32_t outcome;
	knocker_bytes reason;
	int64_t delay_ms;
	noted_run *run; /* of a watched play */
} ending;

static const struct {
	const char *word;
	int32_t outcome;
} endings[] = {
	{"raise", KNOCKER_FAILED},
	{"retry_after", KNOCKER_RETRY_AFTER},
	{"ignore", KNOCKER_IGNORED},
	{"dead", KNOCKER_DEAD},
};

static void ending_read(player *p, const value *from, ending *to)
{
	const char *why = NULL;
	const value *words = names_resolve(p->names, from, &why);
	bool retry = words != NULL && value_get(words, "retry_after") != NULL;

	if (words == NULL) {
		play_break(p, "%s", why);
		return;
	}
	for (size_t i = 0; i < sizeof endings / sizeof endings[0]; i++) {
		if (value_get(words, endings[i].word) == NULL)
			continue;
		if (!words_known(p, words, retry ? "retry_after reason" : endings[i].word))
			return;
		to->outcome = endings[i].outcome;
		to->reason = words_text(p, words, retry ? "reason" : endings[i].word);
		to->delay_ms = retry ? words_seconds(p, words, "retry_after") : 0;
		return;
	}
	play_break(p, "neither a step nor an ending: %s", value_show(p->a, from));
}

/* Splits an ending, if there is one, off the steps of a script. */
static value *ending_split(player *p, const value *script, ending *to)
{
	value *steps = value_new(p->a, VALUE_LIST);

	to->outcome = KNOCKER_HANDLED;
	to->reason = bytes_of(NULL);
	to->delay_ms = 0;
	for (const value *item = script->first; item != NULL; item = item->next) {
		value *step;

		if (item->next == NULL && item->kind == VALUE_OBJECT && value_get(item, "do") == NULL) {
			ending_read(p, item, to);
			break;
		}
		step = arena_take(p->a, sizeof *step);
		*step = *item;
		step->next = NULL;
		value_append(steps, step);
	}
	return steps;
}

/* ---- The loop ---- */

static void work_settle(player *p, handle *h, knocker_work *work, const ending *end,
                        const value *id, value *events, answer *out)
{
	int64_t before = p->watch == NULL ? 0 : p->watch->injected();
	knocker_rows *rows = NULL;
	knocker_error error = {0};
	int32_t rc = knocker_settle(work, end->outcome, end->reason, end->delay_ms, &rows, &error);
	bool recorded = rc == 0;

	if (p->watch != NULL)
		watch_settled(p, h, end->run, rc, p->watch->injected() != before);
	knocker_rows_free(rows);
	/* A handler whose commit fails has failed, and that is recorded: so the header says. */
	if (end->outcome == KNOCKER_HANDLED && (rc == KNOCKER_SQL || rc == KNOCKER_STORAGE))
		recorded = true;
	if (recorded)
		value_append(events, value_integer(p->a, id->integer));
	else if (rc != KNOCKER_LEASE_LOST)
		*out = (answer){rc, error, NULL};
}

/* A mismatch in the script ends the play, and the work with it, without an outcome. */
static void work_run(player *p, handle *h, knocker_work *work, handler *one, ending *end)
{
	const value *script = handler_script(p, one);
	const char *where = p->where;
	knocker_work *outer = h->work;
	value *steps;

	if (script == NULL)
		return;
	steps = ending_split(p, script, end);
	h->work = work;
	if (p->broken == NULL)
		play_steps(p, steps, h, "script step");
	h->work = outer;
	if (p->broken == NULL)
		p->where = where;
}

static const char *work_text(const value *job, const char *name)
{
	const value *v = value_get(job, name);

	return v == NULL || v->kind != VALUE_TEXT ? NULL : v->data;
}

static void work_job(player *p, handle *h, const value *job, value *events, answer *out)
{
	const value *job_id = value_get(job, "job_id");
	const value *claim = value_get(job, "claim");
	const value *event_id = value_get(job, "event_id");
	ending end = {KNOCKER_NO_HANDLER, {NULL, 0}, 0, NULL};
	const char *endpoint = work_text(job, "endpoint");
	knocker_work *work = NULL;
	handler *one;
	int32_t rc;

	if (job_id == NULL || claim == NULL || event_id == NULL || event_id->kind != VALUE_INTEGER ||
	    endpoint == NULL) {
		play_break(p, "no event was claimed but %s", value_show(p->a, job));
		return;
	}
	rc = knocker_work_begin(h->knocker, job_id->integer, claim->integer, &work, &out->error);
	if (rc != 0) {
		out->code = rc < 0 ? rc : 0;
		return;
	}
	one = handler_find(h, endpoint, work_text(job, "event_type"));
	if (one != NULL)
		work_run(p, h, work, one, &end);
	if (one != NULL && p->watch != NULL && p->broken == NULL)
		end.run = watch_run(p, work, job_id->integer, claim->integer, &end.outcome, &end.reason);
	if (p->broken != NULL)
		knocker_work_free(work);
	else
		work_settle(p, h, work, &end, event_id, events, out);
}

/* Gives back what a play that ends early has claimed and not begun. */
static void work_release(handle *h, const value *job)
{
	for (; job != NULL; job = job->next) {
		const value *job_id = value_get(job, "job_id");
		const value *claim = value_get(job, "claim");

		if (job_id != NULL && claim != NULL)
			knocker_release(h->knocker, job_id->integer, claim->integer, NULL);
	}
}

static void work_jobs(player *p, handle *h, const value *job, value *events, answer *out)
{
	for (; job != NULL; job = job->next) {
		work_job(p, h, job, events, out);
		if (p->broken == NULL && out->code == 0)
			continue;
		work_release(h, job->next);
		return;
	}
}

void play_work(player *p, handle *h, const value *with, answer *out)
{
	knocker_claim_options o = {.size = sizeof o};
	int64_t left = work_most;
	value *events = value_new(p->a, VALUE_LIST);

	if (!words_known(p, with, "max worker_id queues"))
		return;
	if (value_get(with, "max") != NULL)
		left = words_integer(p, with, "max");
	o.worker_id = words_text(p, with, "worker_id");
	if (o.worker_id.data == NULL)
		o.worker_id = bytes_of(h->name);
	o.queues_json = words_json(p, with, "queues");
	while (p->broken == NULL && out->code == 0 && left > 0) {
		knocker_rows *rows = NULL;
		const value *jobs;
		int32_t rc;

		o.count = left < work_batch ? left : work_batch;
		rc = knocker_claim(h->knocker, &o, &rows, &out->error);
		jobs = rows_plain(p->a, rows);
		if (rc < 0)
			out->code = rc;
		left = rc == 0 ? left - (int64_t)value_count(jobs) : 0;
		if (rc == 0)
			work_jobs(p, h, jobs->first, events, out);
	}
	out->gives = value_new(p->a, VALUE_OBJECT);
	value_set(p->a, out->gives, "events", events);
}
