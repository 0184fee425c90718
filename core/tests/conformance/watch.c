/*
 * Looks over a play in which failures are injected. A step that an injected failure failed is
 * excused when it says so in the words for that; from then on the play goes another way than its
 * scenario, and is held to what must never happen only.
 */
#include "watch.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

void watch_find(player *p, const char *format, ...)
{
	char text[2000];
	va_list args;

	if (p->watch->found != NULL)
		return;
	va_start(args, format);
	vsnprintf(text, sizeof text, format, args);
	va_end(args);
	p->watch->found = arena_print(p->a, "%s%s%s", p->where == NULL ? "" : p->where,
	                              p->where == NULL ? "" : ": ", text);
}

/* What broke the play says already where it did. */
static void watch_find_break(player *p)
{
	if (p->watch->found == NULL)
		p->watch->found = p->broken;
}

static bool watch_in_script(const player *p)
{
	const handle *h = p->handles;

	while (h != NULL && h->work == NULL)
		h = h->next;
	return h != NULL;
}

/* ---- Before a step ---- */

static void watch_secret(player *p, const value *v)
{
	noted_secret *secret;

	if (v->kind == VALUE_LIST) {
		for (const value *item = v->first; item != NULL; item = item->next)
			watch_secret(p, item);
		return;
	}
	if (v->kind != VALUE_TEXT || v->len < 8)
		return;
	secret = arena_take(p->a, sizeof *secret);
	*secret = (noted_secret){v->data, v->len, p->watch->secrets};
	p->watch->secrets = secret;
}

static void watch_secrets(player *p, const value *words)
{
	for (const value *member = words->first; member != NULL; member = member->next) {
		if (member->name != NULL &&
		    (strcmp(member->name, "secrets") == 0 || strcmp(member->name, "secret") == 0))
			watch_secret(p, member);
		else if (member->kind == VALUE_LIST || member->kind == VALUE_OBJECT)
			watch_secrets(p, member);
	}
}

void watch_before(player *p, const operation *op, const value *words)
{
	if (op->play != play_handler)
		watch_secrets(p, words);
	if (op->play != play_act)
		return;
	if (value_get(words, "replay") != NULL || value_get(words, "requeue") != NULL ||
	    value_get(words, "replay_delivery") != NULL)
		p->watch->again_asked++;
}

/* ---- After it ---- */

/* A table of the application's own, for the write that each handler makes. */
static void watch_opened(player *p, const value *words)
{
	sqlite3 *own = NULL;

	if (p->watch->opening == NULL) {
		p->watch->opening = value_show(p->a, words);
		p->watch->opened = p->watch->calls();
	}
	p->watch->pause(true);
	if (sqlite3_open(p->path, &own) == SQLITE_OK)
		sqlite3_exec(own, "create table if not exists fault_effect(job, claim)", NULL, NULL, NULL);
	sqlite3_close(own);
	p->watch->pause(false);
}

static void watch_note(player *p, handle *h, const value *row)
{
	const value *delivery = value_get(row, "delivery_id");
	const value *event = value_get(row, "event_id");
	noted **list = h->work == NULL ? &p->watch->answered : &h->pending;
	noted *one;

	if (delivery == NULL || delivery->kind != VALUE_INTEGER)
		return;
	one = arena_take(p->a, sizeof *one);
	*one = (noted){delivery->integer,
	               event == NULL || event->kind != VALUE_INTEGER ? 0 : event->integer, *list};
	*list = one;
}

static void watch_answered(player *p, handle *h, const operation *op, const value *step,
                           const answer *got)
{
	if (op->play == play_open && h->knocker != NULL)
		watch_opened(p, value_get(step, "with"));
	if (op->play != play_receive && op->play != play_ingest)
		return;
	if (got->gives->kind != VALUE_LIST)
		watch_note(p, h, got->gives);
	for (const value *row = got->gives->first; row != NULL; row = row->next)
		watch_note(p, h, row);
}

static void watch_error(player *p, const answer *got)
{
	if (got->code < 0 &&
	    (strcmp(knocker_error_name(got->code), "unknown") == 0 || got->error.text[0] == '\0'))
		watch_find(p, "the result %d is no error that is described", got->code);
	for (const noted_secret *s = p->watch->secrets; s != NULL; s = s->next) {
		if (memmem(got->error.text, strlen(got->error.text), s->data, s->len) != NULL)
			watch_find(p, "an error tells a secret: %s", got->error.text);
	}
}

/* The words for what an injected failure does. */
static bool watch_excusable(const player *p, const operation *op, int32_t code)
{
	if (code == KNOCKER_STORAGE || code == KNOCKER_BUSY || code == KNOCKER_CORRUPT)
		return true;
	return code == KNOCKER_SQL && op->play == play_sql && !watch_in_script(p);
}

/* What a request is worth does not hang on what failed before it. */
static void watch_status(player *p, const operation *op, const value *step, const answer *got)
{
	const value *gives = value_get(step, "gives");
	const value *expected = gives == NULL ? NULL : value_get(gives, "status_code");
	const value *given = value_get(got->gives, "status_code");

	if (p->watch->unprepared || (op->play != play_receive && op->play != play_ingest) ||
	    expected == NULL || expected->kind != VALUE_INTEGER || given == NULL)
		return;
	if (expected->integer != given->integer)
		watch_find(p, "after a failure a request is answered %lld and not %lld",
		           (long long)given->integer, (long long)expected->integer);
}

/* A file that ends too early without an error to tell of it is another file, and what is read from
 * it is not for a database to know. But nothing is let in by it. */
static bool watch_after_misread(player *p, const operation *op, const value *step,
                                const answer *got)
{
	const value *gives = value_get(step, "gives");
	const value *expected = gives == NULL ? NULL : value_get(gives, "status_code");
	const value *given = value_get(got->gives, "status_code");

	p->broken = NULL;
	p->watch->derailed = true;
	if ((op->play == play_receive || op->play == play_ingest) && got->code == 0 &&
	    expected != NULL && expected->integer >= 400 && given != NULL && given->integer < 300)
		watch_find(p, "after a short read a request is answered %lld and not %lld",
		           (long long)given->integer, (long long)expected->integer);
	return false;
}

/* Of `many` each request fails alone. */
static bool watch_part_failed(const answer *got)
{
	if (got->gives->kind != VALUE_LIST)
		return false;
	for (const value *row = got->gives->first; row != NULL; row = row->next) {
		const value *fails = value_get(row, "fails");

		if (fails != NULL && (value_is(fails, "storage") || value_is(fails, "busy")))
			return true;
	}
	return false;
}

/* Where memory has run out for good, not even a rollback may be had: that connection has the file
 * until it is used again. */
static bool watch_locked_out(const player *p, const answer *got)
{
	return got->code == KNOCKER_BUSY && !p->watch->again && p->watch->injected() > 0;
}

/* libcrypto, where it has no memory to decode a public key, says that it is none, and leaves no
 * error to tell the difference. */
static bool watch_no_key(const answer *got)
{
	return got->code == KNOCKER_INVALID_ARGUMENT && strstr(got->error.text, " public key ") != NULL;
}

static bool watch_excuses(const player *p, const operation *op, const answer *got)
{
	if (watch_no_key(got))
		return true;
	return got->code < 0 ? watch_excusable(p, op, got->code) : watch_part_failed(got);
}

/* The step broke with the scenario: with a failure to excuse it, or without. */
static bool watch_judge_break(player *p, const operation *op, const answer *got, bool hit)
{
	watch *w = p->watch;
	bool excused = (hit && watch_excuses(p, op, got)) || watch_locked_out(p, got);

	if (!excused && !w->derailed)
		watch_find_break(p);
	p->broken = NULL;
	if (!hit && w->derailed && (got->code == KNOCKER_STORAGE || got->code == KNOCKER_CORRUPT))
		watch_find(p, "fails when nothing fails any more: %s", got->error.text);
	w->derailed = true;
	return excused;
}

void watch_skip(player *p)
{
	watch *w = p->watch;

	if (!w->derailed)
		watch_find_break(p);
	p->broken = NULL;
	w->raised = watch_in_script(p);
}

bool watch_after(player *p, handle *h, const operation *op, const value *step, const answer *got,
                 bool hit)
{
	watch *w = p->watch;
	bool again;

	watch_error(p, got);
	if (got->code > 0 || got->code != got->error.code)
		watch_find(p, "the result is %d and the error's code %lld", got->code,
		           (long long)got->error.code);
	if (w->misread && w->injected() > 0)
		return watch_after_misread(p, op, step, got);
	if (got->code == 0 && p->broken == NULL)
		watch_answered(p, h, op, step, got);
	if (p->broken == NULL)
		play_compare(p, step, got);
	if (p->broken == NULL && hit && watch_part_failed(got))
		play_break(p, "a part of what was asked for failed");
	if (p->broken == NULL)
		return false;
	if (got->code == 0)
		watch_status(p, op, step, got);
	again = watch_judge_break(p, op, got, hit) && w->again && !watch_in_script(p);
	w->raised = watch_in_script(p);
	if (got->code < 0 && !again && (op->play == play_open || op->play == play_endpoint))
		w->unprepared = true;
	return again;
}

/* ---- Handlers ---- */

noted_run *watch_run(player *p, knocker_work *work, int64_t job_id, int64_t claim, int32_t *outcome,
                     knocker_bytes *reason)
{
	const knocker_value values[] = {{.type = KNOCKER_INTEGER, .integer = job_id},
	                                {.type = KNOCKER_INTEGER, .integer = claim}};
	int64_t before = p->watch->injected();
	int32_t rc = knocker_execute(work, bytes_of("insert into fault_effect values(?, ?)"), values, 2,
	                             NULL, NULL, NULL);
	noted_run *run;

	if (rc < 0 && p->watch->injected() != before)
		p->watch->raised = true;
	if (p->watch->raised && *outcome == KNOCKER_HANDLED) {
		p->watch->derailed = true;
		*outcome = KNOCKER_FAILED;
		*reason = bytes_of("an injected failure");
	}
	p->watch->raised = false;
	if (*outcome != KNOCKER_HANDLED)
		return NULL;
	run = arena_take(p->a, sizeof *run);
	*run = (noted_run){job_id, claim, rc == 0, false, p->watch->runs};
	p->watch->runs = run;
	return run;
}

void watch_settled(player *p, handle *h, noted_run *run, int32_t rc, bool hit)
{
	noted *next;

	if (rc < 0 && hit)
		p->watch->derailed = true;
	for (noted *one = h->pending; one != NULL; one = next) {
		next = one->next;
		if (rc != 0 || run == NULL)
			continue;
		one->next = p->watch->answered;
		p->watch->answered = one;
	}
	h->pending = NULL;
	if (run != NULL)
		run->acknowledged = rc == 0;
}
