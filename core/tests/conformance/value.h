/*
 * Values of a scenario and of a door's answers, in one form that both fit: JSON plus bytes and
 * whole 64-bit numbers. Everything lives in an arena and goes with it, so no function here hands
 * out anything to be freed.
 */
#ifndef CONFORMANCE_VALUE_H
#define CONFORMANCE_VALUE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct arena arena;
arena *arena_new(void);
void *arena_take(arena *a, size_t size); /* zeroed; ends the process when there is no memory */
char *arena_text(arena *a, const char *data, size_t len);
char *arena_print(arena *a, const char *format, ...) __attribute__((format(printf, 2, 3)));
void arena_free(arena *a);

typedef enum {
	VALUE_NULL,
	VALUE_BOOL,
	VALUE_INTEGER,
	VALUE_REAL,
	VALUE_TEXT,
	VALUE_BYTES,
	VALUE_LIST,
	VALUE_OBJECT
} value_kind;

typedef struct value value;
struct value {
	value_kind kind;
	int64_t integer; /* of a BOOL too: 0 or 1 */
	double real;
	const char *data; /* of TEXT and BYTES; a NUL follows, and may stand within */
	size_t len;
	const char *name; /* this value's name in the object that holds it */
	value *first;     /* of a LIST or an OBJECT */
	value *last;
	value *next;
};

value *value_new(arena *a, value_kind kind);
value *value_integer(arena *a, int64_t integer);
value *value_bool(arena *a, bool truth);
value *value_bytes(arena *a, value_kind kind, const void *data, size_t len);
value *value_word(arena *a, const char *text); /* NULL gives null */
void value_append(value *list, value *item);
void value_set(arena *a, value *object, const char *name, value *item);
value *value_get(const value *object, const char *name); /* NULL: no such member, or no object */
size_t value_count(const value *list);
bool value_is(const value *v, const char *text); /* is it this text? */

/* Reads JSON text. On failure the result is NULL and `*why` says where and what. */
value *value_parse(arena *a, const char *text, size_t len, const char **why);
/* The value as people read it, cut after a few hundred bytes. */
const char *value_show(arena *a, const value *v);
/* Whole JSON text, of values that JSON can hold. */
const char *value_json(arena *a, const value *v);
/* Decodes base64; NULL when `text` is none. */
value *value_base64(arena *a, const char *text, size_t len);

#endif
