/* Memory and byte strings: the one door of every allocation, arenas, growing buffers, slices. Knows
 * nothing of what is kept. */
#ifndef KNOCKER_BYTES_H
#define KNOCKER_BYTES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "knocker.h"

/* Every allocation of the core passes here, so that a test can let the n-th one fail. NULL: no
 * memory. */
void *memory_get(size_t size);
void *memory_resize(void *old, size_t size); /* as realloc */
void memory_free(void *memory);              /* NULL is fine */
/* For fault tests: the allocation after `countdown` further ones fails, and all later ones when
 * `forever`. Negative: none. */
void memory_fail_after(int64_t countdown, bool forever);
int64_t memory_count(void); /* allocations so far */

/* An arena hands out memory that is freed as one. Zero bytes are a valid empty arena. */
typedef struct arena_block arena_block;
typedef struct {
	arena_block *blocks;
} arena;
void *arena_get(arena *a, size_t size); /* zeroed, aligned for any type; NULL: no memory */
/* Absent stays absent; a NUL follows the copy; false: no memory. */
bool arena_copy(arena *a, knocker_bytes from, knocker_bytes *to);
void arena_free(arena *a);

/* A buffer grows up to `max`. A failed append sets `failed` and later ones do nothing: ask once, at
 * the end. */
typedef struct {
	char *data;
	size_t len, cap, max;
	bool failed, full; /* full: at `max`, and not for want of memory */
} buffer;
void buffer_init(buffer *b, size_t max);
/* About so much is to come: it grows at once. */
void buffer_expect(buffer *b, size_t len);
void buffer_add(buffer *b, const void *data, size_t len);
void buffer_text(buffer *b, const char *text);
void buffer_bytes(buffer *b, knocker_bytes bytes);
void buffer_int(buffer *b, int64_t value);
/* Quoted and escaped; a byte that is no UTF-8 becomes U+00xx; absent becomes null. */
void buffer_json(buffer *b, knocker_bytes text);
knocker_bytes buffer_view(const buffer *b); /* borrowed */
void buffer_free(buffer *b);

/* Slices. An absent slice has data NULL; it equals nothing. */
knocker_bytes bytes_of(const char *text); /* NULL: absent */
knocker_bytes bytes_part(knocker_bytes b, size_t from, size_t to);
bool bytes_given(knocker_bytes b);                  /* not absent */
bool bytes_equal(knocker_bytes a, knocker_bytes b); /* not in constant time: see crypto.h */
bool bytes_is(knocker_bytes a, const char *text);
bool bytes_equal_nocase(knocker_bytes a, knocker_bytes b); /* ASCII case */
static inline char ascii_lower(char c)
{
	return c >= 'A' && c <= 'Z' ? (char)(c + 32) : c;
}
void bytes_lower(knocker_bytes own); /* in place, in memory that is the caller's */
bool bytes_starts(knocker_bytes a, const char *prefix);
knocker_bytes bytes_trim(knocker_bytes b);   /* blanks and tabs at both ends */
bool bytes_utf8(knocker_bytes b);            /* strict: no surrogates, no overlong forms */
int64_t bytes_find(knocker_bytes b, char c); /* index or -1 */

#endif
