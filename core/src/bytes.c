/* Memory and byte strings: the one door of every allocation, arenas, growing buffers, slices. Knows
 * nothing of what is kept. */
#include "bytes.h"

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- the door ---- */

static _Atomic int64_t memory_seen;
static _Atomic int64_t memory_countdown = -1;
static _Atomic bool memory_forever;

static bool memory_refused(void)
{
	/* Not one step: where several threads allocate at once, the count is only about right. */
	atomic_store_explicit(&memory_seen,
	                      atomic_load_explicit(&memory_seen, memory_order_relaxed) + 1,
	                      memory_order_relaxed);
	if (atomic_load_explicit(&memory_countdown, memory_order_relaxed) < 0)
		return false;
	if (atomic_fetch_sub(&memory_countdown, 1) > 0)
		return false;
	atomic_store(&memory_countdown, atomic_load(&memory_forever) ? 0 : -1);
	return true;
}

void *memory_get(size_t size)
{
	return memory_refused() ? NULL : malloc(size ? size : 1);
}

void *memory_resize(void *old, size_t size)
{
	return memory_refused() ? NULL : realloc(old, size ? size : 1);
}

void memory_free(void *memory)
{
	free(memory);
}

void memory_fail_after(int64_t countdown, bool forever)
{
	atomic_store(&memory_forever, forever);
	atomic_store(&memory_countdown, countdown);
}

int64_t memory_count(void)
{
	return atomic_load(&memory_seen);
}

/* ---- arenas ---- */

#define ARENA_BLOCK 4000
#define ARENA_ALIGN 16

struct arena_block {
	arena_block *next;
	size_t used, size;
	_Alignas(ARENA_ALIGN) unsigned char bytes[];
};

void *arena_get(arena *a, size_t size)
{
	arena_block *block = a->blocks;
	size_t need = (size + ARENA_ALIGN - 1) / ARENA_ALIGN * ARENA_ALIGN;
	void *memory;

	if (need < size)
		return NULL;
	if (!block || block->size - block->used < need) {
		size_t room = need > ARENA_BLOCK ? need : ARENA_BLOCK;

		block = memory_get(sizeof *block + room);
		if (!block)
			return NULL;
		*block = (arena_block){.next = a->blocks, .size = room};
		a->blocks = block;
	}
	memory = block->bytes + block->used;
	block->used += need;
	return memset(memory, 0, size);
}

bool arena_copy(arena *a, knocker_bytes from, knocker_bytes *to)
{
	char *copy;

	*to = (knocker_bytes){0};
	if (!from.data)
		return true;
	copy = arena_get(a, (size_t)from.len + 1);
	if (!copy)
		return false;
	if (from.len > 0)
		memcpy(copy, from.data, (size_t)from.len);
	*to = (knocker_bytes){copy, from.len};
	return true;
}

void arena_free(arena *a)
{
	arena_block *block = a->blocks;

	while (block) {
		arena_block *next = block->next;

		memory_free(block);
		block = next;
	}
	a->blocks = NULL;
}

/* ---- buffers ---- */

void buffer_init(buffer *b, size_t max)
{
	*b = (buffer){.max = max};
}

/* Room for `len` more bytes. */
static bool buffer_grow(buffer *b, size_t len)
{
	size_t cap = b->cap ? b->cap * 2 : 256;
	char *grown;

	if (b->failed || len > b->max - b->len) {
		b->full |= !b->failed;
		b->failed = true;
		return false;
	}
	if (b->len + len <= b->cap)
		return true;
	while (cap < b->len + len)
		cap *= 2;
	grown = memory_resize(b->data, cap);
	b->failed = !grown;
	if (!grown)
		return false;
	b->data = grown;
	b->cap = cap;
	return true;
}

void buffer_expect(buffer *b, size_t len)
{
	if (len <= b->max - b->len)
		buffer_grow(b, len);
}

void buffer_add(buffer *b, const void *data, size_t len)
{
	if (b->failed || len == 0 || !buffer_grow(b, len))
		return;
	memcpy(b->data + b->len, data, len);
	b->len += len;
}

void buffer_text(buffer *b, const char *text)
{
	buffer_add(b, text, strlen(text));
}

void buffer_bytes(buffer *b, knocker_bytes bytes)
{
	if (bytes.data)
		buffer_add(b, bytes.data, (size_t)bytes.len);
}

void buffer_int(buffer *b, int64_t value)
{
	char digits[24];
	int len = snprintf(digits, sizeof digits, "%lld", (long long)value);

	buffer_add(b, digits, (size_t)len);
}

/* The length of the UTF-8 character at `at`, or 0. */
static size_t utf8_length(const uint8_t *s, size_t left)
{
	size_t len = s[0] < 0x80                    ? 1
	             : s[0] >= 0xC2 && s[0] <= 0xDF ? 2
	             : (s[0] & 0xF0) == 0xE0        ? 3
	             : s[0] >= 0xF0 && s[0] <= 0xF4 ? 4
	                                            : 0;
	size_t i;

	if (len == 0 || len > left)
		return 0;
	for (i = 1; i < len; i++)
		if ((s[i] & 0xC0) != 0x80)
			return 0;
	if ((s[0] == 0xE0 && s[1] < 0xA0) || (s[0] == 0xED && s[1] > 0x9F) ||
	    (s[0] == 0xF0 && s[1] < 0x90) || (s[0] == 0xF4 && s[1] > 0x8F))
		return 0;
	return len;
}

static void buffer_json_byte(buffer *b, uint8_t c)
{
	static const char hex[] = "0123456789abcdef";
	char escape[6] = {'\\', 'u', '0', '0', hex[c >> 4], hex[c & 15]};
	const char *brief = c == '"'    ? "\\\""
	                    : c == '\\' ? "\\\\"
	                    : c == '\n' ? "\\n"
	                    : c == '\r' ? "\\r"
	                    : c == '\t' ? "\\t"
	                                : NULL;

	if (brief)
		buffer_text(b, brief);
	else
		buffer_add(b, escape, sizeof escape);
}

/* How many of the bytes from `at` on stand in JSON as they are; whole words at a time, so that it
 * may stop early. */
static size_t json_plain(const uint8_t *at, size_t len)
{
	const uint64_t ones = 0x0101010101010101u, tops = 0x8080808080808080u;
	size_t i;

	for (i = 0; i + 8 <= len; i += 8) {
		uint64_t word, quote, slash, last;

		memcpy(&word, at + i, sizeof word);
		quote = word ^ (ones * '"');
		slash = word ^ (ones * '\\');
		last = word ^ (ones * 0x7F);
		if ((word | (word - ones * 0x20) | (quote - ones) | (slash - ones) | (last - ones)) & tops)
			break;
	}
	return i;
}

void buffer_json(buffer *b, knocker_bytes text)
{
	const uint8_t *s = text.data;
	size_t n = (size_t)text.len, at = 0, plain = 0;

	if (!s) {
		buffer_add(b, "null", 4);
		return;
	}
	buffer_add(b, "\"", 1);
	while ((at += json_plain(s + at, n - at)) < n) {
		size_t len = utf8_length(s + at, n - at);

		if (len == 1 && (s[at] < 0x20 || s[at] == '"' || s[at] == '\\' || s[at] == 0x7F))
			len = 0;
		if (len == 0) {
			buffer_add(b, s + plain, at - plain);
			buffer_json_byte(b, s[at]);
			plain = at + 1;
		}
		at += len ? len : 1;
	}
	buffer_add(b, s + plain, n - plain);
	buffer_add(b, "\"", 1);
}

knocker_bytes buffer_view(const buffer *b)
{
	return (knocker_bytes){b->data ? b->data : "", (int64_t)b->len};
}

void buffer_free(buffer *b)
{
	memory_free(b->data);
	*b = (buffer){.max = b->max};
}

/* ---- slices ---- */

knocker_bytes bytes_of(const char *text)
{
	return (knocker_bytes){text, text ? (int64_t)strlen(text) : 0};
}

knocker_bytes bytes_part(knocker_bytes b, size_t from, size_t to)
{
	return (knocker_bytes){(const char *)b.data + from, (int64_t)(to - from)};
}

bool bytes_given(knocker_bytes b)
{
	return b.data != NULL;
}

bool bytes_equal(knocker_bytes a, knocker_bytes b)
{
	return a.data && b.data && a.len == b.len && memcmp(a.data, b.data, (size_t)a.len) == 0;
}

bool bytes_is(knocker_bytes a, const char *text)
{
	return bytes_equal(a, bytes_of(text));
}

void bytes_lower(knocker_bytes own)
{
	char *s = (char *)own.data;
	int64_t i;

	for (i = 0; i < own.len; i++)
		s[i] = ascii_lower(s[i]);
}

bool bytes_equal_nocase(knocker_bytes a, knocker_bytes b)
{
	const char *s = a.data, *t = b.data;
	int64_t i;

	if (!s || !t || a.len != b.len)
		return false;
	for (i = 0; i < a.len; i++)
		if (ascii_lower(s[i]) != ascii_lower(t[i]))
			return false;
	return true;
}

bool bytes_starts(knocker_bytes a, const char *prefix)
{
	size_t len = strlen(prefix);

	return a.data && (size_t)a.len >= len && memcmp(a.data, prefix, len) == 0;
}

knocker_bytes bytes_trim(knocker_bytes b)
{
	const char *s = b.data;
	size_t from = 0, to = (size_t)b.len;

	if (!s)
		return b;
	while (from < to && (s[from] == ' ' || s[from] == '\t'))
		from++;
	while (to > from && (s[to - 1] == ' ' || s[to - 1] == '\t'))
		to--;
	return bytes_part(b, from, to);
}

/* Most texts are ASCII, which is asked eight bytes at a time. */
static size_t bytes_ascii(const uint8_t *s, size_t n)
{
	size_t at;

	for (at = 0; at + 8 <= n; at += 8) {
		uint64_t word;

		memcpy(&word, s + at, sizeof word);
		if (word & 0x8080808080808080u)
			break;
	}
	return at;
}

bool bytes_utf8(knocker_bytes b)
{
	const uint8_t *s = b.data;
	size_t n = (size_t)b.len, at = bytes_ascii(s, n);

	while (at < n) {
		size_t len = utf8_length(s + at, n - at);

		if (len == 0)
			return false;
		at += len;
	}
	return true;
}

int64_t bytes_find(knocker_bytes b, char c)
{
	const char *hit = b.len > 0 ? memchr(b.data, c, (size_t)b.len) : NULL;

	return hit ? hit - (const char *)b.data : -1;
}
