/*
 * Resolves and compares values by the rules of the format: names, value words, matchers, subsets.
 * It knows no operation.
 */
#include "match.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

typedef struct name name;
struct name {
	const char *text;
	const value *bound;
	int64_t met;
	name *next;
};

struct names {
	arena *a;
	name *first;
};

names *names_new(arena *a)
{
	names *all = arena_take(a, sizeof *all);

	all->a = a;
	return all;
}

const char *names_lonely(const names *all)
{
	for (const name *n = all->first; n != NULL; n = n->next) {
		if (n->met < 2)
			return n->text;
	}
	return NULL;
}

static bool name_is(const value *v)
{
	if (v->kind != VALUE_TEXT || v->len < 2 || v->data[0] != '$')
		return false;
	for (size_t at = 1; at < v->len; at++) {
		char c = v->data[at];

		if (!(c >= 'a' && c <= 'z') && !(c >= '0' && c <= '9') && c != '_')
			return false;
	}
	return true;
}

/* The name's entry, made when it is met for the first time. */
static name *name_meet(names *all, const value *v)
{
	name *n = all->first;

	while (n != NULL && strcmp(n->text, v->data) != 0)
		n = n->next;
	if (n == NULL) {
		n = arena_take(all->a, sizeof *n);
		n->text = v->data;
		n->next = all->first;
		all->first = n;
	}
	n->met++;
	return n;
}

/* Has `v` exactly these one or two members? */
static bool match_members(const value *v, const char *one, const char *two)
{
	size_t count = two == NULL ? 1 : 2;

	return v->kind == VALUE_OBJECT && value_count(v) == count && value_get(v, one) != NULL &&
	       (two == NULL || value_get(v, two) != NULL);
}

static value *match_repeat(names *all, const value *v, const char **why)
{
	const value *text = value_get(v, "repeat");
	const value *times = value_get(v, "times");
	value *made = value_new(all->a, VALUE_TEXT);
	char *to;

	if (text->kind != VALUE_TEXT || times->kind != VALUE_INTEGER || times->integer < 0 ||
	    times->integer > 100000000) {
		*why = "\"repeat\" takes a text and \"times\" a whole number";
		return NULL;
	}
	made->len = text->len * (size_t)times->integer;
	to = arena_take(all->a, made->len + 1);
	for (int64_t i = 0; i < times->integer; i++)
		memcpy(to + (size_t)i * text->len, text->data, text->len);
	made->data = to;
	return made;
}

static value *match_int(names *all, const value *v, const char **why)
{
	const value *text = value_get(v, "int");
	char *end = NULL;
	long long number;

	errno = 0;
	number = text->kind == VALUE_TEXT ? strtoll(text->data, &end, 10) : 0;
	if (end == NULL || end == text->data || *end != '\0' || errno != 0) {
		*why = arena_print(all->a, "\"int\" takes a whole number of 64 bits as a text, not %s",
		                   value_show(all->a, text));
		return NULL;
	}
	return value_integer(all->a, number);
}

/* Decodes the words that make a value. When `v` is none of them the result and `*why` are NULL. */
static value *match_word(names *all, const value *v, const char **why)
{
	value *made = NULL;

	if (match_members(v, "repeat", "times"))
		return match_repeat(all, v, why);
	if (match_members(v, "int", NULL))
		return match_int(all, v, why);
	if (!match_members(v, "base64", NULL))
		return NULL;
	if (v->first->kind == VALUE_TEXT)
		made = value_base64(all->a, v->first->data, v->first->len);
	if (made == NULL)
		*why = arena_print(all->a, "no base64: %s", value_show(all->a, v->first));
	return made;
}

static value *match_copy(names *all, const value *from)
{
	value *copy = arena_take(all->a, sizeof *copy);

	*copy = *from;
	copy->name = NULL;
	copy->next = NULL;
	return copy;
}

value *names_resolve(names *all, const value *from, const char **why)
{
	value *made;

	if (name_is(from)) {
		const name *n = name_meet(all, from);

		if (n->bound == NULL) {
			*why = arena_print(all->a, "the name %s is not bound", n->text);
			return NULL;
		}
		return match_copy(all, n->bound);
	}
	*why = NULL;
	made = match_word(all, from, why);
	if (made != NULL || *why != NULL)
		return made;
	made = match_copy(all, from);
	if (from->kind != VALUE_LIST && from->kind != VALUE_OBJECT)
		return made;
	made->first = made->last = NULL;
	for (const value *item = from->first; item != NULL; item = item->next) {
		value *resolved = names_resolve(all, item, why);

		if (resolved == NULL)
			return NULL;
		resolved->name = item->name;
		value_append(made, resolved);
	}
	return made;
}

static bool match_is_number(const value *v)
{
	return v->kind == VALUE_INTEGER || v->kind == VALUE_REAL;
}

static bool match_is_bytes(const value *v)
{
	return v->kind == VALUE_TEXT || v->kind == VALUE_BYTES;
}

/* -1, 0 or 1, as `a` is less than, equal to or more than `b`. A whole number is never rounded to be
 * compared with another. */
static int match_order(const value *a, const value *b)
{
	double left = a->kind == VALUE_REAL ? a->real : (double)a->integer;
	double right = b->kind == VALUE_REAL ? b->real : (double)b->integer;

	if (a->kind == VALUE_INTEGER && b->kind == VALUE_INTEGER)
		return (a->integer > b->integer) - (a->integer < b->integer);
	return (left > right) - (left < right);
}

/* Are two values that hold no others the same? */
static bool match_same(const value *expected, const value *got)
{
	if (expected->kind == VALUE_NULL)
		return got->kind == VALUE_NULL;
	if (expected->kind == VALUE_BOOL)
		return (got->kind == VALUE_BOOL || got->kind == VALUE_INTEGER) &&
		       got->integer == expected->integer;
	if (match_is_number(expected))
		return match_is_number(got) && match_order(expected, got) == 0;
	if (!match_is_bytes(expected) || !match_is_bytes(got))
		return false;
	return expected->len == got->len && memcmp(expected->data, got->data, got->len) == 0;
}

static const char *match_says(names *all, const value *expected, const value *got)
{
	return arena_print(all->a, "expected %s, got %s", value_show(all->a, expected),
	                   value_show(all->a, got));
}

static const char *match_name(names *all, const value *expected, const value *got)
{
	name *n = name_meet(all, expected);

	if (n->bound == NULL) {
		if (got->kind == VALUE_NULL)
			return arena_print(all->a, "%s cannot be bound to null", n->text);
		n->bound = got;
		return NULL;
	}
	if (got->kind == VALUE_LIST || got->kind == VALUE_OBJECT)
		return names_differ(all, n->bound, got);
	if (match_same(n->bound, got))
		return NULL;
	return arena_print(all->a, "expected %s, which is %s, got %s", n->text,
	                   value_show(all->a, n->bound), value_show(all->a, got));
}

static const char *match_between(names *all, const value *expected, const value *got)
{
	const char *why = NULL;
	const value *ends = names_resolve(all, expected->first, &why);

	if (ends == NULL)
		return why;
	if (ends->kind != VALUE_LIST || value_count(ends) != 2 || !match_is_number(ends->first) ||
	    !match_is_number(ends->last))
		return "\"between\" takes a list of two numbers";
	if (match_is_number(got) && match_order(ends->first, got) <= 0 &&
	    match_order(got, ends->last) <= 0)
		return NULL;
	return match_says(all, expected, got);
}

static const char *match_contains(names *all, const value *expected, const value *got)
{
	const char *why = NULL;
	const value *part = names_resolve(all, expected->first, &why);

	if (part == NULL)
		return why;
	if (!match_is_bytes(part))
		return "\"contains\" takes a text or bytes";
	if (match_is_bytes(got) && memmem(got->data, got->len, part->data, part->len) != NULL)
		return NULL;
	return match_says(all, expected, got);
}

static const char *match_any(names *all, const value *expected, const value *got)
{
	if (expected->first->kind != VALUE_BOOL || expected->first->integer == 0)
		return "\"any\" takes true";
	return got->kind == VALUE_NULL ? match_says(all, expected, got) : NULL;
}

static const char *match_list(names *all, const value *expected, const value *got)
{
	const value *mine = expected->first;
	const value *theirs = got->first;

	if (got->kind != VALUE_LIST || value_count(expected) != value_count(got))
		return match_says(all, expected, got);
	for (int at = 0; mine != NULL; mine = mine->next, theirs = theirs->next, at++) {
		const char *differ = names_differ(all, mine, theirs);

		if (differ != NULL)
			return arena_print(all->a, "[%d]%s%s", at,
			                   differ[0] == '[' || differ[0] == '.' ? "" : ": ", differ);
	}
	return NULL;
}

static const char *match_subset(names *all, const value *expected, const value *got)
{
	for (const value *member = expected->first; member != NULL; member = member->next) {
		const value *theirs = value_get(got, member->name);
		const char *differ;

		if (theirs == NULL)
			return match_says(all, expected, got);
		differ = names_differ(all, member, theirs);
		if (differ != NULL)
			return arena_print(all->a, ".%s%s%s", member->name,
			                   differ[0] == '[' || differ[0] == '.' ? "" : ": ", differ);
	}
	return NULL;
}

const char *names_differ(names *all, const value *expected, const value *got)
{
	const char *why = NULL;
	const value *word;

	if (name_is(expected))
		return match_name(all, expected, got);
	if (match_members(expected, "between", NULL))
		return match_between(all, expected, got);
	if (match_members(expected, "contains", NULL))
		return match_contains(all, expected, got);
	if (match_members(expected, "any", NULL))
		return match_any(all, expected, got);
	word = match_word(all, expected, &why);
	if (word == NULL && why != NULL)
		return why;
	if (word != NULL)
		expected = word;
	if (expected->kind == VALUE_LIST)
		return match_list(all, expected, got);
	if (expected->kind == VALUE_OBJECT)
		return match_subset(all, expected, got);
	return match_same(expected, got) ? NULL : match_says(all, expected, got);
}
