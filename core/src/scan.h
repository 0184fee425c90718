/* Finds members of a received JSON body by path. Neither allocates nor recurses; the body is hostile. Rules: docs/schemes.md and
 * the grammar's "JSON" sentence: the whole body is one RFC 8259 text in strict UTF-8, at most LIMIT_JSON_DEPTH deep, else it has no
 * members; names exact; the last of equal names wins; numbers keep their text; a text with a lone surrogate or NUL is null. */
#ifndef KNOCKER_SCAN_H
#define KNOCKER_SCAN_H

#include "bytes.h"

typedef enum { SCAN_ABSENT, SCAN_NULL, SCAN_BOOL, SCAN_NUMBER, SCAN_TEXT, SCAN_ARRAY, SCAN_OBJECT } scan_type;
typedef struct {
	scan_type type;
	knocker_bytes raw; /* the value as it stands in the body, quotes included */
} scan_value;

bool scan_valid(knocker_bytes body);                               /* one whole JSON text */
scan_value scan_find(knocker_bytes body, knocker_bytes path);      /* "a.b.0.c"; "$" or "" is the root; body must be scan_valid */
/* The text of a scalar: of a string unescaped into `out`, of a number or bool its JSON text. Absent for null, arrays, objects, NUL,
 * lone surrogates, and what is over `max` bytes. */
knocker_bytes scan_text(scan_value v, arena *a, size_t max);
/* Elements of an array, or false at the end: `*at` starts at 0. */
bool scan_each(scan_value array, size_t *at, scan_value *element);

#endif
