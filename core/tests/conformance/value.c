/*
 * Makes values: the arena, the constructors, base64, and reading JSON by way of cJSON. It knows
 * nothing of scenarios.
 */
#include "value.h"

#include <math.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cJSON.h"

typedef struct arena_block arena_block;
struct arena_block {
	arena_block *next;
	max_align_t room[];
};

struct arena {
	arena_block *blocks;
};

/* A runner that is out of memory can only say so. */
static void *arena_allocate(size_t size)
{
	void *memory = calloc(1, size);

	if (memory == NULL) {
		fprintf(stderr, "conformance: no memory for %zu bytes\n", size);
		exit(3);
	}
	return memory;
}

arena *arena_new(void)
{
	return arena_allocate(sizeof(arena));
}

void *arena_take(arena *a, size_t size)
{
	arena_block *block = arena_allocate(sizeof *block + size);

	block->next = a->blocks;
	a->blocks = block;
	return block->room;
}

char *arena_text(arena *a, const char *data, size_t len)
{
	char *copy = arena_take(a, len + 1);

	if (len > 0)
		memcpy(copy, data, len);
	return copy;
}

char *arena_print(arena *a, const char *format, ...)
{
	va_list args;
	va_list again;
	char *text;
	int len;

	va_start(args, format);
	va_copy(again, args);
	len = vsnprintf(NULL, 0, format, args);
	text = arena_take(a, (size_t)(len < 0 ? 0 : len) + 1);
	if (len > 0)
		vsnprintf(text, (size_t)len + 1, format, again);
	va_end(again);
	va_end(args);
	return text;
}

void arena_free(arena *a)
{
	arena_block *block;

	if (a == NULL)
		return;
	while ((block = a->blocks) != NULL) {
		a->blocks = block->next;
		free(block);
	}
	free(a);
}

value *value_new(arena *a, value_kind kind)
{
	value *v = arena_take(a, sizeof *v);

	v->kind = kind;
	return v;
}

value *value_integer(arena *a, int64_t integer)
{
	value *v = value_new(a, VALUE_INTEGER);

	v->integer = integer;
	return v;
}

value *value_bool(arena *a, bool truth)
{
	value *v = value_new(a, VALUE_BOOL);

	v->integer = truth;
	return v;
}

value *value_bytes(arena *a, value_kind kind, const void *data, size_t len)
{
	value *v = value_new(a, kind);

	v->data = arena_text(a, data, len);
	v->len = len;
	return v;
}

value *value_word(arena *a, const char *text)
{
	if (text == NULL)
		return value_new(a, VALUE_NULL);
	return value_bytes(a, VALUE_TEXT, text, strlen(text));
}

void value_append(value *list, value *item)
{
	if (list->last == NULL)
		list->first = item;
	else
		list->last->next = item;
	list->last = item;
}

void value_set(arena *a, value *object, const char *name, value *item)
{
	item->name = arena_text(a, name, strlen(name));
	value_append(object, item);
}

value *value_get(const value *object, const char *name)
{
	if (object == NULL || object->kind != VALUE_OBJECT)
		return NULL;
	for (value *member = object->first; member != NULL; member = member->next) {
		if (strcmp(member->name, name) == 0)
			return member;
	}
	return NULL;
}

size_t value_count(const value *list)
{
	size_t count = 0;

	for (const value *item = list->first; item != NULL; item = item->next)
		count++;
	return count;
}

bool value_is(const value *v, const char *text)
{
	return v != NULL && v->kind == VALUE_TEXT && v->len == strlen(text) &&
	       memcmp(v->data, text, v->len) == 0;
}

/*
 * cJSON ends a text at its first NUL. So U+0000 travels through it in the dress of a private
 * character, which JSON that we read must therefore not hold itself.
 */
static const char value_nul_escape[] = "\\uf8ff";
static const char value_nul_dress[] = "\xef\xa3\xbf";

static bool value_dress(char *json, const char **why)
{
	char *at = json;

	if (strstr(json, value_nul_dress) != NULL) {
		*why = "the character U+F8FF cannot be read";
		return false;
	}
	while ((at = strchr(at, '\\')) != NULL) {
		if (strncmp(at, value_nul_escape, 6) == 0 || strncmp(at, "\\uF8FF", 6) == 0) {
			*why = "the character U+F8FF cannot be read";
			return false;
		}
		if (strncmp(at, "\\u0000", 6) == 0)
			memcpy(at, value_nul_escape, 6);
		at += at[1] == '\0' ? 1 : 2;
	}
	return true;
}

static value *value_undressed(arena *a, const char *text)
{
	value *v = value_word(a, text);
	char *to = arena_text(a, text, v->len);
	size_t len = 0;

	for (size_t at = 0; at < v->len; len++) {
		if (strncmp(v->data + at, value_nul_dress, 3) == 0) {
			to[len] = '\0';
			at += 3;
		} else {
			to[len] = v->data[at++];
		}
	}
	to[len] = '\0';
	v->data = to;
	v->len = len;
	return v;
}

/* A double holds whole numbers below 2^53; beyond that cJSON has lost what stood there. */
static value *value_number(arena *a, double number, const char **why)
{
	value *v;

	if (number != floor(number)) {
		v = value_new(a, VALUE_REAL);
		v->real = number;
		return v;
	}
	if (fabs(number) >= 9007199254740992.0) {
		*why = arena_print(a, "the number %.17g is not below 2^53: write it as {\"int\": \"...\"}",
		                   number);
		return NULL;
	}
	return value_integer(a, (int64_t)number);
}

static value *value_from(arena *a, const cJSON *json, const char **why);

static value *value_from_children(arena *a, const cJSON *json, const char **why)
{
	value *v = value_new(a, cJSON_IsArray(json) ? VALUE_LIST : VALUE_OBJECT);
	const cJSON *child;

	cJSON_ArrayForEach(child, json)
	{
		value *item = value_from(a, child, why);

		if (item == NULL)
			return NULL;
		if (v->kind == VALUE_LIST) {
			value_append(v, item);
			continue;
		}
		if (value_get(v, child->string) != NULL) {
			*why = arena_print(a, "the member '%s' stands twice in one object", child->string);
			return NULL;
		}
		value_set(a, v, child->string, item);
	}
	return v;
}

static value *value_from(arena *a, const cJSON *json, const char **why)
{
	if (cJSON_IsNull(json))
		return value_new(a, VALUE_NULL);
	if (cJSON_IsBool(json))
		return value_bool(a, cJSON_IsTrue(json));
	if (cJSON_IsNumber(json))
		return value_number(a, json->valuedouble, why);
	if (cJSON_IsString(json))
		return value_undressed(a, json->valuestring);
	return value_from_children(a, json, why);
}

/* cJSON notes in a global where it stopped. */
static pthread_mutex_t value_cjson = PTHREAD_MUTEX_INITIALIZER;

value *value_parse(arena *a, const char *text, size_t len, const char **why)
{
	char *copy = arena_text(a, text, len);
	const char *end = NULL;
	cJSON *json;
	value *v = NULL;

	if (strlen(copy) != len) {
		*why = "a NUL byte stands in the JSON";
		return NULL;
	}
	if (!value_dress(copy, why))
		return NULL;
	pthread_mutex_lock(&value_cjson);
	json = cJSON_ParseWithLengthOpts(copy, len + 1, &end, 1);
	pthread_mutex_unlock(&value_cjson);
	if (json == NULL)
		*why = arena_print(a, "no JSON, from byte %td on", end == NULL ? (ptrdiff_t)0 : end - copy);
	else
		v = value_from(a, json, why);
	cJSON_Delete(json);
	return v;
}

static int value_base64_digit(char c)
{
	static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
	const char *at = c == '\0' ? NULL : strchr(digits, c);

	return at == NULL ? -1 : (int)(at - digits);
}

value *value_base64(arena *a, const char *text, size_t len)
{
	value *v = value_new(a, VALUE_BYTES);
	char *out = arena_take(a, len + 1);
	uint32_t bits = 0;
	size_t padding = 0;

	if (len % 4 != 0)
		return NULL;
	while (padding < 2 && padding < len && text[len - 1 - padding] == '=')
		padding++;
	for (size_t at = 0; at < len; at++) {
		int digit = at >= len - padding ? 0 : value_base64_digit(text[at]);

		if (digit < 0)
			return NULL;
		bits = bits << 6 | (uint32_t)digit;
		if (at % 4 == 3) {
			out[v->len++] = (char)(bits >> 16 & 255);
			out[v->len++] = (char)(bits >> 8 & 255);
			out[v->len++] = (char)(bits & 255);
		}
	}
	v->len -= padding;
	out[v->len] = '\0';
	v->data = out;
	return v;
}
