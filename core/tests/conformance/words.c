/*
 * Reads the words of a step into what the C door takes: text, JSON, numbers, milliseconds, header
 * lines, query strings. It knows no operation.
 */
#include <math.h>
#include <string.h>

#include "play.h"

static bool word_among(const char *words, const char *word)
{
	size_t len = strlen(word);

	for (const char *at = words; at != NULL && len > 0; at = strchr(at, ' ')) {
		at += *at == ' ';
		if (strncmp(at, word, len) == 0 && (at[len] == ' ' || at[len] == '\0'))
			return true;
	}
	return false;
}

bool words_known(player *p, const value *with, const char *words)
{
	if (with->kind != VALUE_OBJECT) {
		play_break(p, "an object is needed here, not %s", value_show(p->a, with));
		return false;
	}
	for (const value *member = with->first; member != NULL; member = member->next) {
		if (word_among(words, member->name))
			continue;
		play_break(p, "the word '%s' is unknown here", member->name);
		return false;
	}
	return true;
}

const value *words_only(player *p, const value *with, const char *words)
{
	if (!words_known(p, with, words))
		return NULL;
	if (with->first == NULL || with->first != with->last) {
		play_break(p, "exactly one of these is needed here: %s", words);
		return NULL;
	}
	return with->first;
}

static const value *word_given(const value *with, const char *word)
{
	const value *v = value_get(with, word);

	return v == NULL || v->kind == VALUE_NULL ? NULL : v;
}

static void word_unfit(player *p, const char *word, const char *needs, const value *v)
{
	play_break(p, "'%s' takes %s, not %s", word, needs, value_show(p->a, v));
}

knocker_bytes bytes_of(const char *text)
{
	return (knocker_bytes){text, text == NULL ? 0 : (int64_t)strlen(text)};
}

knocker_bytes words_text(player *p, const value *with, const char *word)
{
	const value *v = word_given(with, word);

	if (v == NULL)
		return bytes_of(NULL);
	if (v->kind != VALUE_TEXT && v->kind != VALUE_BYTES) {
		word_unfit(p, word, "a text", v);
		return bytes_of(NULL);
	}
	return (knocker_bytes){v->data, (int64_t)v->len};
}

static bool word_is_json(const value *v)
{
	if (v->kind == VALUE_BYTES)
		return false;
	if (v->kind != VALUE_LIST && v->kind != VALUE_OBJECT)
		return true;
	for (const value *item = v->first; item != NULL; item = item->next) {
		if (!word_is_json(item))
			return false;
	}
	return true;
}

knocker_bytes words_json(player *p, const value *with, const char *word)
{
	const value *v = word_given(with, word);

	if (v == NULL)
		return bytes_of(NULL);
	if (!word_is_json(v)) {
		word_unfit(p, word, "what JSON can hold", v);
		return bytes_of(NULL);
	}
	return bytes_of(value_json(p->a, v));
}

int64_t words_integer(player *p, const value *with, const char *word)
{
	const value *v = word_given(with, word);

	if (v == NULL)
		return 0;
	if (v->kind != VALUE_INTEGER)
		word_unfit(p, word, "a whole number", v);
	return v->integer;
}

int64_t words_seconds(player *p, const value *with, const char *word)
{
	const value *v = word_given(with, word);
	int64_t ms;

	if (v == NULL)
		return 0;
	if (v->kind == VALUE_REAL && fabs(v->real) < 9e15)
		return (int64_t)llround(v->real * 1000);
	if (v->kind != VALUE_INTEGER) {
		word_unfit(p, word, "seconds", v);
		return 0;
	}
	if (__builtin_mul_overflow(v->integer, (int64_t)1000, &ms))
		return v->integer < 0 ? INT64_MIN : INT64_MAX;
	return ms;
}

bool words_true(player *p, const value *with, const char *word)
{
	return words_choice(p, with, word, 1, 0) != 0;
}

int64_t words_choice(player *p, const value *with, const char *word, int64_t yes, int64_t no)
{
	const value *v = word_given(with, word);

	if (v == NULL)
		return 0;
	if (v->kind != VALUE_BOOL)
		word_unfit(p, word, "true or false", v);
	return v->integer != 0 ? yes : no;
}

/* ---- Headers and queries ---- */

/* A text that is gathered in two passes: the first with `to` NULL, to measure. */
typedef struct {
	char *to;
	size_t len;
} words_gather;

static void gather(words_gather *g, const char *data, size_t len)
{
	if (g->to != NULL && len > 0)
		memcpy(g->to + g->len, data, len);
	g->len += len;
}

static void gather_percent(words_gather *g, const char *data, size_t len)
{
	static const char digits[] = "0123456789ABCDEF";

	for (size_t at = 0; at < len; at++) {
		unsigned char c = (unsigned char)data[at];
		char escape[3] = {'%', digits[c >> 4], digits[c & 15]};
		bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
		             c == '-' || c == '.' || c == '_' || c == '~';

		gather(g, plain ? data + at : escape, plain ? 1 : 3);
	}
}

static void gather_header(words_gather *g, const char *name, const value *v)
{
	gather(g, name, strlen(name));
	gather(g, ": ", 2);
	gather(g, v->data, v->len);
	gather(g, "\n", 1);
}

static void gather_pair(words_gather *g, const char *name, const value *v)
{
	if (g->len > 0)
		gather(g, "&", 1);
	gather_percent(g, name, strlen(name));
	gather(g, "=", 1);
	gather_percent(g, v->data, v->len);
}

typedef void words_one(words_gather *g, const char *name, const value *v);

/* Gathers each text of each member: a list is so many of that name. */
static bool gather_object(words_gather *g, const value *object, words_one *one)
{
	for (const value *member = object->first; member != NULL; member = member->next) {
		const value *item = member->kind == VALUE_LIST ? member->first : member;

		while (item != NULL) {
			if (item->kind != VALUE_TEXT && item->kind != VALUE_BYTES)
				return false;
			one(g, member->name, item);
			item = member->kind == VALUE_LIST ? item->next : NULL;
		}
	}
	return true;
}

static knocker_bytes words_object(player *p, const char *word, const value *object, words_one *one)
{
	words_gather measure = {NULL, 0};
	words_gather text = {NULL, 0};

	if (object->kind != VALUE_OBJECT || !gather_object(&measure, object, one)) {
		word_unfit(p, word, "an object of texts and lists of texts", object);
		return bytes_of(NULL);
	}
	text.to = arena_take(p->a, measure.len + 1);
	gather_object(&text, object, one);
	return (knocker_bytes){text.to, (int64_t)text.len};
}

knocker_bytes words_headers(player *p, const value *with)
{
	const value *v = word_given(with, "headers");

	return v == NULL ? bytes_of(NULL) : words_object(p, "headers", v, gather_header);
}

knocker_bytes words_query(player *p, const value *with)
{
	const value *v = word_given(with, "query");

	if (v == NULL || v->kind == VALUE_TEXT || v->kind == VALUE_BYTES)
		return words_text(p, with, "query");
	return words_object(p, "query", v, gather_pair);
}
