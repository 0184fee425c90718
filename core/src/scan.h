/* Finds members of a received JSON body by path. Neither allocates nor recurses; the body is
 * hostile. Rules: docs/schemes.md and the grammar's "JSON" sentence: the whole body is one RFC 8259
 * text in strict UTF-8, at most LIMIT_JSON_DEPTH deep, else it has no members; names exact; the
 * last of equal names wins; numbers keep their text; a text with a lone surrogate or NUL is null.
 */
#ifndef KNOCKER_SCAN_H
#define KNOCKER_SCAN_H

#include "bytes.h"

typedef enum {
	SCAN_ABSENT,
	SCAN_NULL,
	SCAN_BOOL,
	SCAN_NUMBER,
	SCAN_TEXT,
	SCAN_ARRAY,
	SCAN_OBJECT
} scan_type;
typedef struct {
	scan_type type;
	knocker_bytes raw; /* the value as it stands in the body, quotes included */
} scan_value;

/* A path, cut at its points: "a.b.0.c" has four steps, "$" and "" have none and name the root. */
#define SCAN_STEPS_MAX 32 /* no provider nests its ids deeper than six */
#define SCAN_PATHS_MAX 64 /* paths of one pass: a bit each */
typedef struct {
	size_t count;
	const knocker_bytes *steps;
} scan_path;
/* `steps` has room for SCAN_STEPS_MAX, and with `path` must outlive `out`. False: more steps than
 * that. */
bool scan_path_cut(knocker_bytes path, knocker_bytes *steps, scan_path *out);

/* One pass over the body checks it and finds all paths. False: no JSON, and all values are absent.
 */
bool scan_all(knocker_bytes body, const scan_path *paths, size_t count, scan_value *values);

bool scan_valid(knocker_bytes body);                          /* one whole JSON text */
scan_value scan_find(knocker_bytes body, knocker_bytes path); /* absent when the body is no JSON */
/* The text of a scalar: of a string unescaped into the arena, of a number or bool its JSON text.
 * Absent for null, arrays, objects, NUL, lone surrogates and what is over `max` bytes; absent with
 * the length -1 without memory. */
knocker_bytes scan_text(scan_value v, arena *a, size_t max);
/* Elements of an array that scan_all or scan_find gave, or false at the end: `*at` starts at 0. */
bool scan_each(scan_value array, size_t *at, scan_value *element);

#endif
