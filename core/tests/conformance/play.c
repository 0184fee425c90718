/*
 * Plays one scenario: its form, its steps, what each is held against, and what is left at the end.
 */
#include "play.h"

#include <dirent.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "watch.h"

static const operation operations[] = {
	{"open", play_open, false},         {"clock", play_clock, true},
	{"endpoint", play_endpoint, false}, {"receive", play_receive, true},
	{"ingest", play_ingest, true},      {"handle", play_handler, false},
	{"work", play_work, false},         {"get", play_get, true},
	{"list", play_list, false},         {"act", play_act, true},
	{"why", play_why, false},           {"stats", play_stats, false},
	{"prune", play_prune, false},       {"sql", play_sql, true},
	{"verify", play_verify, false},     {"sign", play_sign, false},
	{"diagnose", play_diagnose, false},
};

const operation *operation_find(const char *name, size_t len)
{
	for (size_t i = 0; i < sizeof operations / sizeof operations[0]; i++) {
		if (strlen(operations[i].name) == len && memcmp(operations[i].name, name, len) == 0)
			return &operations[i];
	}
	return NULL;
}

/* The first reason is the one that is told: what follows is mostly its consequence. */
void play_break(player *p, const char *format, ...)
{
	char text[4096];
	va_list args;

	if (p->broken != NULL)
		return;
	va_start(args, format);
	vsnprintf(text, sizeof text, format, args);
	va_end(args);
	p->broken = arena_print(p->a, "%s%s%s", p->where == NULL ? "" : p->where,
	                        p->where == NULL ? "" : ": ", text);
}

handle *play_handle(player *p, const char *name)
{
	handle *h = p->handles;

	while (h != NULL && strcmp(h->name, name) != 0)
		h = h->next;
	return h;
}

static handle *play_handle_add(player *p, const char *name)
{
	handle *h = play_handle(p, name);

	if (h == NULL) {
		h = arena_take(p->a, sizeof *h);
		h->name = name;
		h->next = p->handles;
		p->handles = h;
	}
	return h;
}

/* ---- A step ---- */

/* Only names of the format may be expected; the list is the header's, asked for by code. */
static bool step_error_known(const value *name)
{
	for (int32_t code = KNOCKER_INVALID_ARGUMENT; code >= KNOCKER_SQL; code--) {
		if (value_is(name, knocker_error_name(code)))
			return true;
	}
	return false;
}

static bool step_well_formed(player *p, const value *step)
{
	const value *fails = value_get(step, "fails");
	const value *saying = value_get(step, "saying");

	if (!words_known(p, step, "do with on gives fails saying"))
		return false;
	if ((value_get(step, "gives") == NULL) == (fails == NULL))
		play_break(p, "a step has either 'gives' or 'fails'");
	else if (fails != NULL && !step_error_known(fails))
		play_break(p, "no error is named %s", value_show(p->a, fails));
	else if (saying != NULL && (fails == NULL || saying->kind != VALUE_TEXT))
		play_break(p, "'saying' is a text beside 'fails'");
	return p->broken == NULL;
}

static const operation *step_operation(player *p, const value *step)
{
	const value *word = value_get(step, "do");
	const operation *op = NULL;

	if (word != NULL && word->kind == VALUE_TEXT)
		op = operation_find(word->data, word->len);
	if (op == NULL)
		play_break(p, "no operation is named %s", value_show(p->a, word));
	return op;
}

/* NULL where the play broke, and for a clock that moves before anything is opened. */
static handle *step_handle(player *p, const value *step, const operation *op,
                           handle *default_handle)
{
	const value *on = value_get(step, "on");
	const char *name = "a";
	handle *h = default_handle;

	if (on != NULL && on->kind != VALUE_TEXT) {
		play_break(p, "'on' takes a handle's name, not %s", value_show(p->a, on));
		return NULL;
	}
	if (on != NULL)
		name = on->data;
	if (on != NULL || h == NULL)
		h = op->play == play_open ? play_handle_add(p, name) : play_handle(p, name);
	if (h == NULL && op->play != play_clock)
		play_break(p, "the handle '%s' was never opened", name);
	else if (h != NULL && h->work != NULL && !op->within)
		play_break(p, "'%s' is not played on a handle that is in a script", op->name);
	return h;
}

/* The words with their names replaced. A handler's scripts are left alone: they are read when they
 * are played. */
static value *step_words(player *p, const value *step, const operation *op)
{
	const value *with = value_get(step, "with");
	value *words = value_new(p->a, VALUE_OBJECT);
	const char *why = NULL;

	if (with == NULL)
		return words;
	if (with->kind != VALUE_OBJECT) {
		play_break(p, "'with' takes an object, not %s", value_show(p->a, with));
		return NULL;
	}
	for (const value *member = with->first; member != NULL; member = member->next) {
		bool later = op->play == play_handler &&
		             (strcmp(member->name, "script") == 0 || strcmp(member->name, "runs") == 0);
		value *resolved = arena_take(p->a, sizeof *resolved);

		if (later)
			*resolved = *member;
		else
			resolved = names_resolve(p->names, member, &why);
		if (resolved == NULL) {
			play_break(p, "%s", why);
			return NULL;
		}
		resolved->next = NULL;
		value_set(p->a, words, member->name, resolved);
	}
	return words;
}

static void step_failed(player *p, const value *step, const answer *got)
{
	const value *fails = value_get(step, "fails");
	const value *saying = value_get(step, "saying");
	const char *name = knocker_error_name(got->code);

	if (fails == NULL)
		play_break(p, "expected %s, got the error %s: %s",
		           value_show(p->a, value_get(step, "gives")), name, got->error.text);
	else if (!value_is(fails, name))
		play_break(p, "expected the error %s, got %s: %s", value_show(p->a, fails), name,
		           got->error.text);
	else if (saying != NULL && strstr(got->error.text, saying->data) == NULL)
		play_break(p, "expected an error that says %s, got: %s", value_show(p->a, saying),
		           got->error.text);
}

static void step_gave(player *p, const value *step, const answer *got)
{
	const value *gives = value_get(step, "gives");
	const char *differ;

	if (gives == NULL) {
		play_break(p, "expected the error %s, got %s", value_show(p->a, value_get(step, "fails")),
		           value_show(p->a, got->gives));
		return;
	}
	differ = names_differ(p->names, gives, got->gives);
	if (differ != NULL)
		play_break(p, "gives%s%s", differ[0] == '[' || differ[0] == '.' ? "" : ": ", differ);
}

void play_compare(player *p, const value *step, const answer *got)
{
	if (got->code > 0 || got->code != got->error.code)
		play_break(p, "the result is %d and the error's code %lld", got->code,
		           (long long)got->error.code);
	else if (got->code < 0)
		step_failed(p, step, got);
	else
		step_gave(p, step, got);
}

/* Plays a step under a watch. True: it is to be played again. */
static bool play_watched(player *p, handle *h, const operation *op, const value *step,
                         const value *words, answer *got)
{
	int64_t before = p->watch->injected();

	watch_before(p, op, words);
	op->play(p, h, words, got);
	return watch_after(p, h, op, step, got, p->watch->injected() != before);
}

static bool play_once(player *p, const value *step, handle *default_handle)
{
	const operation *op;
	answer got = {0};
	value *words;
	handle *h;

	if (!step_well_formed(p, step) || (op = step_operation(p, step)) == NULL)
		return false;
	h = step_handle(p, step, op, default_handle);
	words = p->broken == NULL ? step_words(p, step, op) : NULL;
	if (words == NULL)
		return false;
	got.gives = value_new(p->a, VALUE_OBJECT);
	if (p->watch != NULL)
		return play_watched(p, h, op, step, words, &got);
	op->play(p, h, words, &got);
	if (p->broken == NULL)
		play_compare(p, step, &got);
	return false;
}

static void play_step(player *p, const value *step, handle *default_handle)
{
	if (play_once(p, step, default_handle))
		play_once(p, step, default_handle);
	if (p->broken != NULL && p->watch != NULL)
		watch_skip(p);
}

static bool play_goes_on(const player *p)
{
	return p->broken == NULL && (p->watch == NULL || !p->watch->raised);
}

void play_steps(player *p, const value *steps, handle *default_handle, const char *noun)
{
	const char *outer = p->where;
	int number = 1;

	for (const value *step = steps->first; step != NULL && play_goes_on(p);
	     step = step->next, number++) {
		p->where = arena_print(p->a, "%s%s%s %d", outer == NULL ? "" : outer,
		                       outer == NULL ? "" : ", ", noun, number);
		play_step(p, step, default_handle);
	}
	if (p->broken == NULL)
		p->where = outer;
}

/* ---- A file ---- */

static void play_form(player *p, const value *scenario)
{
	const value *title = value_get(scenario, "title");
	const value *covers = value_get(scenario, "covers");
	const value *source = value_get(scenario, "source");
	const value *steps = value_get(scenario, "steps");

	if (!words_known(p, scenario, "title covers source steps"))
		return;
	if (title == NULL || title->kind != VALUE_TEXT || title->len == 0)
		play_break(p, "'title' takes a true sentence");
	if (covers == NULL || covers->kind != VALUE_LIST || covers->first == NULL)
		play_break(p, "'covers' takes a list of words");
	if (source != NULL && source->kind != VALUE_TEXT)
		play_break(p, "'source' takes a text");
	if (steps == NULL || steps->kind != VALUE_LIST || steps->first == NULL)
		play_break(p, "'steps' takes a list of steps");
	for (const value *word = covers == NULL ? NULL : covers->first; word != NULL;
	     word = word->next) {
		if (word->kind != VALUE_TEXT)
			play_break(p, "'covers' takes a list of words");
	}
}

static const char *play_read(player *p, const char *path, size_t *len)
{
	FILE *file = fopen(path, "rb");
	char *text = NULL;
	long size = -1;

	if (file != NULL && fseek(file, 0, SEEK_END) == 0)
		size = ftell(file);
	if (size >= 0 && fseek(file, 0, SEEK_SET) == 0) {
		text = arena_take(p->a, (size_t)size + 1);
		*len = (size_t)size;
		if (fread(text, 1, *len, file) != *len)
			text = NULL;
	}
	if (file != NULL)
		fclose(file);
	if (text == NULL)
		play_break(p, "the file cannot be read");
	return text;
}

static void play_begin(player *p)
{
	const char *base = getenv("TMPDIR");

	p->directory = arena_print(p->a, "%s/knocker-conformance-XXXXXX",
	                           base == NULL || base[0] == '\0' ? "/tmp" : base);
	if (mkdtemp(p->directory) == NULL) {
		play_break(p, "no directory can be made like %s", p->directory);
		p->directory = NULL;
		return;
	}
	p->path = arena_print(p->a, "%s/inbox.db", p->directory);
}

static void play_remove(player *p)
{
	DIR *directory = p->directory == NULL ? NULL : opendir(p->directory);
	const struct dirent *entry;

	while (directory != NULL && (entry = readdir(directory)) != NULL) {
		if (entry->d_name[0] != '.')
			unlink(arena_print(p->a, "%s/%s", p->directory, entry->d_name));
	}
	if (directory != NULL)
		closedir(directory);
	if (p->directory != NULL)
		rmdir(p->directory);
}

/* Ends a play, in whatever state it is: handles, connection, files. */
static void play_end(player *p)
{
	for (handle *h = p->handles; h != NULL; h = h->next) {
		knocker_error error = {0};

		if (knocker_close(h->knocker, &error) != 0)
			play_break(p, "the handle '%s' does not close: %s", h->name, error.text);
	}
	sqlite3_close(p->application);
	if (p->watch != NULL)
		p->watch->judge(p, p->watch);
	play_remove(p);
}

const char *play_file_watched(arena *a, const char *path, watch *w)
{
	player p = {.a = a, .names = names_new(a), .now_ms = 1700000000000, .watch = w};
	const char *why = "";
	size_t len = 0;
	const char *text = play_read(&p, path, &len);
	const value *scenario = text == NULL ? NULL : value_parse(a, text, len, &why);
	bool whole;

	if (scenario == NULL)
		play_break(&p, "%s", why);
	else
		play_form(&p, scenario);
	if (p.broken == NULL)
		play_begin(&p);
	if (p.broken == NULL)
		play_steps(&p, value_get(scenario, "steps"), NULL, "step");
	whole = p.broken == NULL && (w == NULL || !w->derailed);
	if (whole)
		work_all_played(&p);
	if (whole && p.broken == NULL && names_lonely(p.names) != NULL)
		play_break(&p, "the name %s is met only once", names_lonely(p.names));
	play_end(&p);
	return p.broken;
}

const char *play_file(arena *a, const char *path)
{
	return play_file_watched(a, path, NULL);
}
