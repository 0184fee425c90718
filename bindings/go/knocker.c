/*
 * Knocker 0.1.0, all of it in one file: a durable webhook inbox inside an application's own SQLite file.
 * The sources it was made from are easier to read: this file is made by tools/amalgamate.py.
 *
 *   the library:    cc -c knocker.c                                      then link with -lsqlite3 -lcrypto -lpthread
 *   the extension:  cc -shared -fPIC -DKNOCKER_EXTENSION knocker.c -o knocker.so -lcrypto
 *
 * SPDX-License-Identifier: Apache-2.0 AND MIT (cJSON, at the end of the file)
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif

/* A function of the core that other parts of the core call; a build of one door may leave some uncalled. */
#define KNOCKER_PRIVATE static __attribute__((unused))


/* ==== core/src/bell.c ==== */

/* Waking other processes: a commit that made work due touches the file's `-shm`, and whoever waits
 * watches its folder for that. Knows files and descriptors, nothing of SQLite.
 *
 * The WAL would do as well, but for one thing: a touched file has a time to write, so that its next
 * sync takes half as long again, and the WAL is synced by each receipt. The `-shm` never is. */
/* Waking other processes: a commit that made work due touches the file's `-shm`, and whoever waits
 * watches its folder for that. Knows files and descriptors, nothing of SQLite. Rung after a commit
 * is visible: SQLite's own write of the WAL comes before that, and a waiter that trusted it would
 * sleep through. */
#ifndef KNOCKER_BELL_H
#define KNOCKER_BELL_H

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
KNOCKER_PRIVATE void *memory_get(size_t size);
KNOCKER_PRIVATE void *memory_resize(void *old, size_t size); /* as realloc */
KNOCKER_PRIVATE void memory_free(void *memory);              /* NULL is fine */
/* For fault tests: the allocation after `countdown` further ones fails, and all later ones when
 * `forever`. Negative: none. */
KNOCKER_PRIVATE void memory_fail_after(int64_t countdown, bool forever);
KNOCKER_PRIVATE int64_t memory_count(void); /* allocations so far */

/* An arena hands out memory that is freed as one. Zero bytes are a valid empty arena. */
typedef struct arena_block arena_block;
typedef struct {
	arena_block *blocks;
} arena;
KNOCKER_PRIVATE void *arena_get(arena *a, size_t size); /* zeroed, aligned for any type; NULL: no memory */
/* Absent stays absent; a NUL follows the copy; false: no memory. */
KNOCKER_PRIVATE bool arena_copy(arena *a, knocker_bytes from, knocker_bytes *to);
KNOCKER_PRIVATE void arena_free(arena *a);

/* A buffer grows up to `max`. A failed append sets `failed` and later ones do nothing: ask once, at
 * the end. */
typedef struct {
	char *data;
	size_t len, cap, max;
	bool failed, full; /* full: at `max`, and not for want of memory */
} buffer;
KNOCKER_PRIVATE void buffer_init(buffer *b, size_t max);
/* About so much is to come: it grows at once. */
KNOCKER_PRIVATE void buffer_expect(buffer *b, size_t len);
KNOCKER_PRIVATE void buffer_add(buffer *b, const void *data, size_t len);
KNOCKER_PRIVATE void buffer_text(buffer *b, const char *text);
KNOCKER_PRIVATE void buffer_bytes(buffer *b, knocker_bytes bytes);
KNOCKER_PRIVATE void buffer_int(buffer *b, int64_t value);
/* Quoted and escaped; a byte that is no UTF-8 becomes U+00xx; absent becomes null. */
KNOCKER_PRIVATE void buffer_json(buffer *b, knocker_bytes text);
KNOCKER_PRIVATE knocker_bytes buffer_view(const buffer *b); /* borrowed */
KNOCKER_PRIVATE void buffer_free(buffer *b);

/* Slices. An absent slice has data NULL; it equals nothing. */
KNOCKER_PRIVATE knocker_bytes bytes_of(const char *text); /* NULL: absent */
KNOCKER_PRIVATE knocker_bytes bytes_part(knocker_bytes b, size_t from, size_t to);
KNOCKER_PRIVATE bool bytes_given(knocker_bytes b);                  /* not absent */
KNOCKER_PRIVATE bool bytes_equal(knocker_bytes a, knocker_bytes b); /* not in constant time: see crypto.h */
KNOCKER_PRIVATE bool bytes_is(knocker_bytes a, const char *text);
KNOCKER_PRIVATE bool bytes_equal_nocase(knocker_bytes a, knocker_bytes b); /* ASCII case */
static inline char ascii_lower(char c)
{
	return c >= 'A' && c <= 'Z' ? (char)(c + 32) : c;
}
KNOCKER_PRIVATE void bytes_lower(knocker_bytes own); /* in place, in memory that is the caller's */
KNOCKER_PRIVATE bool bytes_starts(knocker_bytes a, const char *prefix);
KNOCKER_PRIVATE knocker_bytes bytes_trim(knocker_bytes b);   /* blanks and tabs at both ends */
KNOCKER_PRIVATE bool bytes_utf8(knocker_bytes b);            /* strict: no surrogates, no overlong forms */
KNOCKER_PRIVATE int64_t bytes_find(knocker_bytes b, char c); /* index or -1 */

#endif


KNOCKER_PRIVATE void bell_ring(const char *database);

/* One bell of a handle, shared by its waiting threads: one of them listens, the others wait for it.
 */
typedef struct bell bell;
KNOCKER_PRIVATE int32_t bell_open(const char *database, bell **out, knocker_error *error);
KNOCKER_PRIVATE void bell_close(bell *b); /* NULL is fine; nobody waits any more */

/* Taken before the caller looks whether something is due, so that a ring between the look and the
 * sleep is not lost. The first call begins to listen. */
KNOCKER_PRIVATE int64_t bell_generation(bell *b);
/* 0: it rang since `generation`, or may have; 1: the time is up; 2: bell_stop. */
KNOCKER_PRIVATE int32_t bell_wait(bell *b, int64_t generation, int64_t timeout_ms);
KNOCKER_PRIVATE int bell_fd(bell *b);    /* readable when it may have rung; -1: the system had none left */
KNOCKER_PRIVATE void bell_stop(bell *b); /* ends every wait that is now asleep */

#endif


#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

/* Time and chance, as seams: a test sets both. Knows nothing of who asks. */
#ifndef KNOCKER_CLOCK_H
#define KNOCKER_CLOCK_H

#include <stdint.h>

KNOCKER_PRIVATE int64_t clock_wall_ms(void);      /* Unix time */
KNOCKER_PRIVATE int64_t clock_monotonic_ms(void); /* for waiting */
/* A pseudo-random number (splitmix64); `state` 0 is seeded from the system first. */
KNOCKER_PRIVATE uint64_t chance_next(uint64_t *state);

#endif

/* How a failure is said: a code and one sentence. Knows nothing of what failed. */
#ifndef KNOCKER_ERROR_H
#define KNOCKER_ERROR_H



/* Writes code and sentence into `error` (NULL is fine) and returns the code. Long texts are cut at
 * a character, never overrun; what is no UTF-8 reads as '?'. */
KNOCKER_PRIVATE int32_t fail(knocker_error *error, int32_t code, const char *format, ...)
	__attribute__((format(printf, 3, 4)));
KNOCKER_PRIVATE const char *error_name(int64_t code); /* "lease_lost"; "unknown" for any other number */
KNOCKER_PRIVATE int32_t fail_memory(knocker_error *error);

/* For messages: "%.*s" takes QUOTED(bytes), at most 60 bytes of it, cut at a character. */
#define QUOTED(b) error_quoted(b), ((b).data ? (const char *)(b).data : "")
KNOCKER_PRIVATE int error_quoted(knocker_bytes b);

#endif


struct bell {
	pthread_mutex_t lock;
	pthread_cond_t changed;
	int64_t generation, stops;
	bool listening; /* one of the waiters polls the descriptors */
	bool watched;   /* the watch was asked for */
	int watch_fd; /* inotify; -1: not yet, or the system has none left: looks each second suffice */
	int stop_fd;
	char folder[PATH_MAX];
	char name[NAME_MAX + 1]; /* of the touched file in its folder */
};

/* By its path: to open and close it would drop the locks that SQLite has on it. */
void bell_ring(const char *database)
{
	char path[PATH_MAX];

	if (snprintf(path, sizeof path, "%s-shm", database) < (int)sizeof path)
		utimensat(AT_FDCWD, path, NULL, 0);
}

/* The folder is watched, not the file: one that is made anew needs no new watch. Watched from the
 * first wait on: a system has few watches to give, and takes 10 ms to end one. The lock is held. */
static void bell_watch(bell *b)
{
	if (b->watched)
		return;
	b->watched = true;
	b->watch_fd = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
	if (b->watch_fd >= 0 && inotify_add_watch(b->watch_fd, b->folder, IN_ATTRIB) < 0) {
		close(b->watch_fd);
		b->watch_fd = -1;
	}
}

int32_t bell_open(const char *database, bell **out, knocker_error *error)
{
	const char *slash = strrchr(database, '/');
	pthread_condattr_t monotonic;
	bell *b = memory_get(sizeof *b);

	*out = NULL;
	if (!b)
		return fail_memory(error);
	memset(b, 0, sizeof *b);
	b->stop_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	if (b->stop_fd < 0) {
		memory_free(b);
		return fail(error, KNOCKER_STORAGE, "no file descriptor is left: %s", strerror(errno));
	}
	b->watch_fd = -1;
	snprintf(b->folder, sizeof b->folder, "%.*s", slash ? (int)(slash - database + 1) : 1,
	         slash ? database : ".");
	snprintf(b->name, sizeof b->name, "%s-shm", slash ? slash + 1 : database);
	pthread_mutex_init(&b->lock, NULL);
	pthread_condattr_init(&monotonic);
	pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
	pthread_cond_init(&b->changed, &monotonic);
	pthread_condattr_destroy(&monotonic);
	*out = b;
	return 0;
}

void bell_close(bell *b)
{
	if (!b)
		return;
	if (b->watch_fd >= 0)
		close(b->watch_fd);
	close(b->stop_fd);
	pthread_cond_destroy(&b->changed);
	pthread_mutex_destroy(&b->lock);
	memory_free(b);
}

/* Reads all events; true when one is about that file, or when some were lost. */
static bool bell_drain(const bell *b)
{
	_Alignas(struct inotify_event) char events[4096];
	bool rang = false;
	ssize_t size, at;

	while ((size = read(b->watch_fd, events, sizeof events)) > 0)
		for (at = 0; at < size;) {
			const struct inotify_event *e = (const struct inotify_event *)(const void *)(events +
			                                                                             at);

			rang = rang || (e->mask & IN_Q_OVERFLOW) ||
			       (e->len > 0 && strcmp(e->name, b->name) == 0);
			at += (ssize_t)(sizeof *e + e->len);
		}
	return rang;
}

/* A ring that nobody listened to is taken note of here, so that the descriptor is quiet again. */
int64_t bell_generation(bell *b)
{
	int64_t generation;

	pthread_mutex_lock(&b->lock);
	bell_watch(b);
	if (b->watch_fd >= 0 && bell_drain(b))
		b->generation++;
	generation = b->generation;
	pthread_mutex_unlock(&b->lock);
	return generation;
}

int bell_fd(bell *b)
{
	pthread_mutex_lock(&b->lock);
	bell_watch(b);
	pthread_mutex_unlock(&b->lock);
	return b->watch_fd;
}

static void bell_until(struct timespec *t, int64_t monotonic_ms)
{
	t->tv_sec = monotonic_ms / 1000;
	t->tv_nsec = monotonic_ms % 1000 * 1000000;
}

/* Polls in the name of all waiters; the lock is held on entry and on return. */
static void bell_listen(bell *b, int64_t left_ms)
{
	struct pollfd fds[2] = {{.fd = b->stop_fd, .events = POLLIN},
	                        {.fd = b->watch_fd, .events = POLLIN}};
	uint64_t token;
	bool rang;

	b->listening = true;
	pthread_mutex_unlock(&b->lock);
	poll(fds, b->watch_fd < 0 ? 1 : 2, left_ms > INT_MAX ? INT_MAX : (int)left_ms);
	rang = b->watch_fd >= 0 && bell_drain(b);
	pthread_mutex_lock(&b->lock);
	if (read(b->stop_fd, &token, sizeof token) < 0 && errno != EAGAIN)
		rang = true;
	b->generation += rang;
	b->listening = false;
	pthread_cond_broadcast(&b->changed);
}

int32_t bell_wait(bell *b, int64_t generation, int64_t timeout_ms)
{
	int64_t end = clock_monotonic_ms() + timeout_ms, stops, left;
	struct timespec until;
	int32_t rc;

	bell_until(&until, end);
	pthread_mutex_lock(&b->lock);
	stops = b->stops;
	while (b->generation == generation && b->stops == stops &&
	       (left = end - clock_monotonic_ms()) > 0) {
		if (b->listening)
			pthread_cond_timedwait(&b->changed, &b->lock, &until);
		else
			bell_listen(b, left);
	}
	rc = b->stops != stops ? 2 : b->generation != generation ? 0 : 1;
	pthread_mutex_unlock(&b->lock);
	return rc;
}

void bell_stop(bell *b)
{
	uint64_t one = 1;

	pthread_mutex_lock(&b->lock);
	b->stops++;
	pthread_cond_broadcast(&b->changed);
	pthread_mutex_unlock(&b->lock);
	if (write(b->stop_fd, &one, sizeof one) < 0)
		return;
}

/* ==== core/src/bytes.c ==== */

/* Memory and byte strings: the one door of every allocation, arenas, growing buffers, slices. Knows
 * nothing of what is kept. */


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

/* ==== core/src/clock.c ==== */

/* Time and chance, as seams: a test sets both. Knows nothing of who asks. */


#include <time.h>

static int64_t clock_read(clockid_t which)
{
	struct timespec t;

	clock_gettime(which, &t);
	return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

int64_t clock_wall_ms(void)
{
	return clock_read(CLOCK_REALTIME);
}

int64_t clock_monotonic_ms(void)
{
	return clock_read(CLOCK_MONOTONIC);
}

uint64_t chance_next(uint64_t *state)
{
	uint64_t z;

	if (*state == 0) {
		struct timespec t;

		clock_gettime(CLOCK_REALTIME, &t);
		*state = (uint64_t)t.tv_nsec ^ ((uint64_t)t.tv_sec << 30) ^ (uint64_t)(uintptr_t)state;
	}
	/* splitmix64: Steele, Lea, Flood, "Fast splittable pseudorandom number generators", 2014 */
	z = (*state += 0x9E3779B97F4A7C15u);
	z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9u;
	z = (z ^ (z >> 27)) * 0x94D049BB133111EBu;
	return z ^ (z >> 31);
}

/* ==== core/src/error.c ==== */

/* How a failure is said: a code and one sentence. Knows nothing of what failed. */


#include <stdarg.h>
#include <stdio.h>
#include <string.h>



/* Ends the text at a whole UTF-8 character, when it was cut at `len`. */
static void error_cut(char *text, size_t len)
{
	while (len > 0 && ((unsigned char)text[len] & 0xC0) == 0x80)
		len--;
	text[len] = '\0';
}

int error_quoted(knocker_bytes b)
{
	const unsigned char *s = b.data;
	int len = b.len < 60 ? (int)b.len : 60;

	while (len > 0 && b.len > len && (s[len] & 0xC0) == 0x80)
		len--;
	return len;
}

/* A sentence may quote what is no UTF-8, and drivers refuse to read one that is none. */
static void error_clean(char *text)
{
	size_t at, len = strlen(text), width;

	for (at = 0; at < len; at += width) {
		for (width = 1; width < 4; width++)
			if (bytes_utf8((knocker_bytes){text + at, (int64_t)width}))
				break;
		if (width < 4 || bytes_utf8((knocker_bytes){text + at, 4}))
			continue;
		text[at] = '?';
		width = 1;
	}
}

int32_t fail(knocker_error *error, int32_t code, const char *format, ...)
{
	char text[sizeof error->text + 8];
	va_list arguments;
	int len;

	if (!error)
		return code;
	va_start(arguments, format);
	len = vsnprintf(text, sizeof text, format, arguments);
	va_end(arguments);
	if (len >= (int)sizeof error->text)
		error_cut(text, sizeof error->text - 1);
	error_clean(text);
	error->code = code;
	memcpy(error->text, text, strlen(text) + 1);
	return code;
}

int32_t fail_memory(knocker_error *error)
{
	return fail(error, KNOCKER_STORAGE, "no memory is left");
}

const char *error_name(int64_t code)
{
	static const char *const names[] = {"ok",
	                                    "invalid_argument",
	                                    "unknown_endpoint",
	                                    "unknown_event",
	                                    "unknown_delivery",
	                                    "wrong_status",
	                                    "busy",
	                                    "storage",
	                                    "corrupt",
	                                    "closed",
	                                    "lease_lost",
	                                    "sql"};

	return code <= 0 && code >= KNOCKER_SQL ? names[-code] : "unknown";
}

/* ==== core/src/rows.c ==== */

/* A finished result in memory: named columns, rows of values. Knows nothing of where they came
 * from. */
/* A finished result in memory: named columns, rows of values. Knows nothing of where they came
 * from. */
#ifndef KNOCKER_ROWS_H
#define KNOCKER_ROWS_H



/* `names` is a list "a, b, c" that outlives the rows. `*out` is freed with knocker_rows_free. */
KNOCKER_PRIVATE int32_t rows_new(const char *names, knocker_rows **out, knocker_error *error);
/* Columns one by one, for results whose names are found at run time; before the first row. */
KNOCKER_PRIVATE int32_t rows_column(knocker_rows *rows, const char *name, knocker_error *error);
/* Copies one row of as many values as there are columns. */
KNOCKER_PRIVATE int32_t rows_add(knocker_rows *rows, const knocker_value *values, knocker_error *error);
/* After a failure there are no rows: frees them where `rc` is negative, and gives `rc`. */
KNOCKER_PRIVATE int32_t rows_or_none(int32_t rc, knocker_rows **rows);
KNOCKER_PRIVATE int64_t rows_count(const knocker_rows *rows);
KNOCKER_PRIVATE int64_t rows_bytes(const knocker_rows *rows); /* of the texts and blobs it holds */

KNOCKER_PRIVATE knocker_value value_int(int64_t v);
KNOCKER_PRIVATE knocker_value value_text(knocker_bytes text); /* absent: null */
KNOCKER_PRIVATE knocker_value value_blob(knocker_bytes blob); /* absent: null */
KNOCKER_PRIVATE knocker_value value_null(void);

/* The arguments of a statement or a row: two C arguments, the values and their count. */
#define VALUES(...)                       \
	(const knocker_value[]){__VA_ARGS__}, \
		(int32_t)(sizeof((const knocker_value[]){__VA_ARGS__}) / sizeof(knocker_value))
#define NO_VALUES NULL, 0
#define INT(v) value_int(v)
#define INT_OR_NULL(v) ((v) > 0 ? value_int(v) : value_null())
#define TEXT(b) value_text(b)
#define BLOB(b) value_blob(b)
#define NONE value_null()

#endif


#include <string.h>

/* Every bound of the core, with its reason. Sizes are in bytes. */
#ifndef KNOCKER_BOUNDS_H
#define KNOCKER_BOUNDS_H

/* Of an endpoint's, queue's or worker's name: they stand in indexes and messages. */
#define LIMIT_NAME 200
/* Of an id or event type. A longer one that a request brings is null. */
#define LIMIT_ID 512
/* A longer key is stored as its SHA-256, so that the index stays small. */
#define LIMIT_DEDUPE_KEY 200
/* Of all header lines, and how many there may be; servers stop far below. */
#define LIMIT_HEADERS (256 * 1024)
#define LIMIT_HEADER_COUNT 1000
/* Of the raw query. */
#define LIMIT_QUERY (64 * 1024)
/* The default of max_body_bytes: GitHub cuts at 25 MB, most far below 1 MB. */
#define LIMIT_BODY (5 * 1024 * 1024)
/* Of a registration, a scheme or a SQL argument. Levels, of bodies too: RFC 8259 sets none. */
#define LIMIT_JSON (1024 * 1024)
#define LIMIT_JSON_DEPTH 128
/* Active secrets of an endpoint, and signatures of a request that are tried with them. */
#define LIMIT_SECRETS 32
#define LIMIT_CANDIDATES 64
/* Bodies and callers of one commit: they bound the WAL, and how long followers wait. */
#define LIMIT_BATCH_BYTES (8 * 1024 * 1024)
#define LIMIT_BATCH_COUNT 1000
/* Jobs of one claim, and names that it may list. */
#define LIMIT_CLAIM 1000
/* Rows of a list; bytes of a list or of a query's result. */
#define LIMIT_LIST 1000
#define LIMIT_LIST_BYTES (64 * 1024 * 1024)
/* Leases that may run out with a job claimed alone before it is dead. */
#define LIMIT_DEATHS 5
/* Of a handler's error, as it is kept. */
#define LIMIT_ERROR_TEXT 2000

#endif



#define ROWS_COLUMNS 200

typedef struct rows_row rows_row;
struct rows_row {
	rows_row *next;
	knocker_value values[];
};

struct knocker_rows {
	arena memory;
	const char *names[ROWS_COLUMNS];
	int32_t columns;
	int64_t count, bytes;
	rows_row *first, *last, *current;
	bool begun;
};

knocker_value value_int(int64_t v)
{
	return (knocker_value){.type = KNOCKER_INTEGER, .integer = v};
}

knocker_value value_text(knocker_bytes text)
{
	return (knocker_value){.type = text.data ? KNOCKER_TEXT : KNOCKER_NULL, .bytes = text};
}

knocker_value value_blob(knocker_bytes blob)
{
	return (knocker_value){.type = blob.data ? KNOCKER_BLOB : KNOCKER_NULL, .bytes = blob};
}

knocker_value value_null(void)
{
	return (knocker_value){.type = KNOCKER_NULL};
}

int32_t rows_column(knocker_rows *rows, const char *name, knocker_error *error)
{
	knocker_bytes copy;

	if (rows->columns == ROWS_COLUMNS)
		return fail(error, KNOCKER_INVALID_ARGUMENT, "the result has over %d columns",
		            ROWS_COLUMNS);
	if (!arena_copy(&rows->memory, bytes_of(name ? name : ""), &copy))
		return fail_memory(error);
	rows->names[rows->columns++] = copy.data;
	return 0;
}

static int32_t rows_columns(knocker_rows *rows, const char *names, knocker_error *error)
{
	knocker_bytes copy;
	char *at;

	if (!arena_copy(&rows->memory, bytes_of(names), &copy))
		return fail_memory(error);
	for (at = (char *)(uintptr_t)copy.data; *at;) {
		rows->names[rows->columns++] = at;
		while (*at && *at != ',')
			at++;
		while (*at == ',' || *at == ' ')
			*at++ = '\0';
	}
	return 0;
}

int32_t rows_new(const char *names, knocker_rows **out, knocker_error *error)
{
	knocker_rows *rows = memory_get(sizeof *rows);
	int32_t rc;

	*out = NULL;
	if (!rows)
		return fail_memory(error);
	memset(rows, 0, sizeof *rows);
	rc = rows_columns(rows, names, error);
	if (rc < 0) {
		knocker_rows_free(rows);
		return rc;
	}
	*out = rows;
	return 0;
}

static bool rows_value_copy(knocker_rows *rows, const knocker_value *from, knocker_value *to)
{
	*to = *from;
	if (from->type != KNOCKER_TEXT && from->type != KNOCKER_BLOB)
		return true;
	rows->bytes += from->bytes.len;
	return arena_copy(&rows->memory, from->bytes, &to->bytes);
}

int32_t rows_add(knocker_rows *rows, const knocker_value *values, knocker_error *error)
{
	rows_row *row = arena_get(&rows->memory, sizeof *row + (size_t)rows->columns * sizeof *values);
	int32_t i;

	if (!row)
		return fail_memory(error);
	for (i = 0; i < rows->columns; i++)
		if (!rows_value_copy(rows, &values[i], &row->values[i]))
			return fail_memory(error);
	if (rows->last)
		rows->last->next = row;
	else
		rows->first = row;
	rows->last = row;
	rows->count++;
	return 0;
}

int32_t rows_or_none(int32_t rc, knocker_rows **rows)
{
	if (rc < 0) {
		knocker_rows_free(*rows);
		*rows = NULL;
	}
	return rc;
}

int64_t rows_count(const knocker_rows *rows)
{
	return rows->count;
}

int64_t rows_bytes(const knocker_rows *rows)
{
	return rows->bytes;
}

int32_t knocker_rows_next(knocker_rows *rows)
{
	if (!rows)
		return 1;
	rows->current = rows->begun ? rows->current ? rows->current->next : NULL : rows->first;
	rows->begun = true;
	return rows->current ? 0 : 1;
}

int32_t knocker_rows_columns(const knocker_rows *rows)
{
	return rows ? rows->columns : 0;
}

const char *knocker_rows_name(const knocker_rows *rows, int32_t column)
{
	return rows && column >= 0 && column < rows->columns ? rows->names[column] : NULL;
}

int32_t knocker_rows_find(const knocker_rows *rows, const char *name)
{
	int32_t i;

	for (i = 0; rows && name && i < rows->columns; i++)
		if (strcmp(rows->names[i], name) == 0)
			return i;
	return -1;
}

int32_t knocker_rows_value(const knocker_rows *rows, int32_t column, knocker_value *out)
{
	if (!rows || !rows->current || column < 0 || column >= rows->columns) {
		*out = value_null();
		return KNOCKER_INVALID_ARGUMENT;
	}
	*out = rows->current->values[column];
	return 0;
}

void knocker_rows_free(knocker_rows *rows)
{
	if (!rows)
		return;
	arena_free(&rows->memory);
	memory_free(rows);
}

/* ==== core/src/crypto.c ==== */

/* Hashes, MACs and Ed25519 by libcrypto. Knows nothing of schemes or requests. */
/* Hashes, MACs and signatures by libcrypto, which only crypto*.c include. Knows nothing of schemes
 * or requests. */
#ifndef KNOCKER_CRYPTO_H
#define KNOCKER_CRYPTO_H



typedef enum { DIGEST_SHA1, DIGEST_SHA256, DIGEST_SHA384, DIGEST_SHA512 } digest;
#define DIGEST_KINDS 4
#define DIGEST_MAX 64 /* bytes of the longest digest */

/* libcrypto's EVP_MD, looked up once; NULL: it has none, or no memory. */
KNOCKER_PRIVATE const void *crypto_digest(digest d);
/* Each returns the digest's length in bytes, or 0 when libcrypto failed. `parts` are hashed one
 * after the other. */
KNOCKER_PRIVATE size_t crypto_hash(digest d, const knocker_bytes *parts, size_t count, uint8_t out[DIGEST_MAX]);
KNOCKER_PRIVATE size_t crypto_hmac(digest d, knocker_bytes key, const knocker_bytes *parts, size_t count,
                   uint8_t out[DIGEST_MAX]);

/* An HMAC key made ready: a third of a short message's cost is the key. Immutable, shared between
 * threads. */
typedef struct crypto_key crypto_key;
KNOCKER_PRIVATE crypto_key *crypto_key_new(digest d, knocker_bytes key); /* NULL: libcrypto failed or no memory */
KNOCKER_PRIVATE void crypto_key_free(crypto_key *key);                   /* NULL is fine */
KNOCKER_PRIVATE size_t crypto_key_hmac(const crypto_key *key, const knocker_bytes *parts, size_t count,
                       uint8_t out[DIGEST_MAX]);

/* 1 = right, 0 = wrong, -1 = libcrypto failed: nobody knows. */
KNOCKER_PRIVATE int32_t crypto_ed25519_verify(const uint8_t public_key[32], knocker_bytes message,
                              knocker_bytes signature);

/* ---- crypto_public.c ---- */

/* A key of a pair, decoded once. Immutable, shared between threads. */
typedef struct crypto_public crypto_public;
typedef enum { PUBLIC_RSA, PUBLIC_P256, PUBLIC_ED25519, PUBLIC_OTHER } crypto_public_kind;
#define CRYPTO_RSA_BITS_MIN 1024
#define CRYPTO_SIGNATURE_MAX 2048 /* bytes: of an RSA key of 16384 bits, libcrypto's longest */

/* Each: 1 = made, 0 = it is no such key, -1 = no memory. From DER: a SubjectPublicKeyInfo, or, when
 * `is_private`, a private key's PKCS #8. From big-endian numbers: public without `d`. */
KNOCKER_PRIVATE int32_t crypto_public_der(knocker_bytes der, bool is_private, crypto_public **out);
KNOCKER_PRIVATE int32_t crypto_public_rsa(knocker_bytes n, knocker_bytes e, knocker_bytes d, crypto_public **out);
KNOCKER_PRIVATE int32_t crypto_public_p256(const uint8_t x[32], const uint8_t y[32], knocker_bytes d,
                           crypto_public **out);
KNOCKER_PRIVATE void crypto_public_free(crypto_public *key); /* NULL is fine */
/* PUBLIC_OTHER: also another curve, and RSA of fewer bits than CRYPTO_RSA_BITS_MIN. */
KNOCKER_PRIVATE crypto_public_kind crypto_public_kind_of(const crypto_public *key);
KNOCKER_PRIVATE bool crypto_public_ed25519(const crypto_public *key, uint8_t out[32]);
/* Of RSA (PKCS #1 v1.5) and P-256 (DER), over a message's digest. 1 = right, 0 = wrong, -1 =
 * libcrypto failed. */
KNOCKER_PRIVATE int32_t crypto_public_verify(const crypto_public *key, digest d, knocker_bytes hash,
                             knocker_bytes signature);
/* The length of the signature of the message, or 0: the key is no private one, or libcrypto failed.
 * Ed25519 has a digest of its own. */
KNOCKER_PRIVATE size_t crypto_public_sign(const crypto_public *key, digest d, knocker_bytes message,
                          uint8_t out[CRYPTO_SIGNATURE_MAX]);
/* ECDSA's two numbers, 32 bytes each, as DER of at most 72 bytes, and back. 0 or false: failed. */
KNOCKER_PRIVATE size_t crypto_ecdsa_der(const uint8_t numbers[64], uint8_t out[72]);
KNOCKER_PRIVATE bool crypto_ecdsa_numbers(knocker_bytes der, uint8_t out[64]);

/* ---- crypto_certificate.c ---- */

#define CRYPTO_CERTIFICATES_MAX 8
typedef struct {
	uint8_t key[CRYPTO_SIGNATURE_MAX + 256]; /* the first one's, as SubjectPublicKeyInfo */
	size_t key_len;
	int64_t from_s, until_s; /* when all of them hold */
} crypto_certificate;
typedef enum {
	CERTIFICATE_GOOD,
	CERTIFICATE_UNREADABLE,
	CERTIFICATE_NOT_ISSUED, /* one is not the issuer of that before it */
	CERTIFICATE_OTHER_HOST
} certificate_verdict;
/* Certificates in DER, each issued by the next. An absent host is not asked. */
KNOCKER_PRIVATE certificate_verdict crypto_certificate_read(const knocker_bytes *ders, size_t count,
                                            knocker_bytes host, crypto_certificate *out);

KNOCKER_PRIVATE bool crypto_md5(knocker_bytes b, uint8_t out[16]);   /* of a body that is signed by it; no guard */
KNOCKER_PRIVATE bool crypto_equal(knocker_bytes a, knocker_bytes b); /* in constant time for equal lengths */
KNOCKER_PRIVATE void crypto_cleanse(void *memory, size_t size);      /* zeroes what held a secret; NULL is fine */
KNOCKER_PRIVATE bool crypto_sha256_hex(knocker_bytes b, char out[65]); /* false: libcrypto failed; `out` is empty */

#endif


#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <stdatomic.h>
#include <string.h>

#define CRYPTO_BLOCK_MAX 128 /* bytes of SHA-512's block, the longest */

/* A digest by name is looked up in every call unless it is fetched once: that look-up costs as much
 * as 1 KB of SHA-256. One that could not be fetched is tried again by the next caller. */
const void *crypto_digest(digest d)
{
	static const char *const names[DIGEST_KINDS] = {"SHA1", "SHA256", "SHA384", "SHA512"};
	static _Atomic(EVP_MD *) digests[DIGEST_KINDS];
	EVP_MD *known = atomic_load_explicit(&digests[d], memory_order_acquire), *fetched;

	if (known)
		return known;
	fetched = EVP_MD_fetch(NULL, names[d], NULL);
	if (!fetched || atomic_compare_exchange_strong(&digests[d], &known, fetched))
		return fetched;
	EVP_MD_free(fetched);
	return known;
}

static bool crypto_update(EVP_MD_CTX *context, const knocker_bytes *parts, size_t count)
{
	size_t i;

	for (i = 0; i < count; i++)
		if (parts[i].len > 0 && !EVP_DigestUpdate(context, parts[i].data, (size_t)parts[i].len))
			return false;
	return true;
}

size_t crypto_hash(digest d, const knocker_bytes *parts, size_t count, uint8_t out[DIGEST_MAX])
{
	const EVP_MD *kind = crypto_digest(d);
	EVP_MD_CTX *context = kind ? EVP_MD_CTX_new() : NULL;
	unsigned int len = 0;

	if (!context || !EVP_DigestInit_ex(context, kind, NULL) ||
	    !crypto_update(context, parts, count) || !EVP_DigestFinal_ex(context, out, &len))
		len = 0;
	EVP_MD_CTX_free(context);
	return len;
}

/* ---- HMAC, as RFC 2104 has it: the two keyed states are kept, and copied for each message ---- */

struct crypto_key {
	EVP_MD_CTX *inner, *outer;
};

static EVP_MD_CTX *crypto_keyed(const EVP_MD *kind, const uint8_t *key, size_t block, uint8_t pad)
{
	EVP_MD_CTX *context = EVP_MD_CTX_new();
	uint8_t padded[CRYPTO_BLOCK_MAX];
	size_t i;

	for (i = 0; i < block; i++)
		padded[i] = key[i] ^ pad;
	if (context &&
	    (!EVP_DigestInit_ex(context, kind, NULL) || !EVP_DigestUpdate(context, padded, block))) {
		EVP_MD_CTX_free(context);
		context = NULL;
	}
	OPENSSL_cleanse(padded, sizeof padded);
	return context;
}

crypto_key *crypto_key_new(digest d, knocker_bytes key)
{
	const EVP_MD *kind = crypto_digest(d);
	crypto_key *made = kind ? memory_get(sizeof *made) : NULL;
	uint8_t block[CRYPTO_BLOCK_MAX] = {0};
	size_t size;

	if (!made)
		return NULL;
	*made = (crypto_key){0};
	size = (size_t)EVP_MD_get_block_size(kind);
	if (key.len > (int64_t)size)
		size = crypto_hash(d, &key, 1, block) ? size : 0;
	else if (key.len > 0)
		memcpy(block, key.data, (size_t)key.len);
	if (size > 0) {
		made->inner = crypto_keyed(kind, block, size, 0x36);
		made->outer = crypto_keyed(kind, block, size, 0x5c);
	}
	OPENSSL_cleanse(block, sizeof block);
	if (made->inner && made->outer)
		return made;
	crypto_key_free(made);
	return NULL;
}

void crypto_key_free(crypto_key *key)
{
	if (!key)
		return;
	EVP_MD_CTX_free(key->inner);
	EVP_MD_CTX_free(key->outer);
	memory_free(key);
}

size_t crypto_key_hmac(const crypto_key *key, const knocker_bytes *parts, size_t count,
                       uint8_t out[DIGEST_MAX])
{
	EVP_MD_CTX *context = EVP_MD_CTX_new();
	unsigned int len = 0;

	if (!context || !EVP_MD_CTX_copy_ex(context, key->inner) ||
	    !crypto_update(context, parts, count) || !EVP_DigestFinal_ex(context, out, &len) ||
	    !EVP_MD_CTX_copy_ex(context, key->outer) || !EVP_DigestUpdate(context, out, len) ||
	    !EVP_DigestFinal_ex(context, out, &len))
		len = 0;
	EVP_MD_CTX_free(context);
	return len;
}

size_t crypto_hmac(digest d, knocker_bytes key, const knocker_bytes *parts, size_t count,
                   uint8_t out[DIGEST_MAX])
{
	crypto_key *made = crypto_key_new(d, key);
	size_t len = made ? crypto_key_hmac(made, parts, count, out) : 0;

	crypto_key_free(made);
	return len;
}

/* ---- the rest ---- */

static int32_t crypto_ed25519_once(const uint8_t public_key[32], knocker_bytes message,
                                   const void *signature)
{
	const void *text = message.len > 0 ? message.data : (const void *)"";
	EVP_PKEY *key;
	EVP_MD_CTX *context;
	int32_t right = -1;

	ERR_clear_error();
	key = EVP_PKEY_new_raw_public_key(EVP_PKEY_ED25519, NULL, public_key, 32);
	context = EVP_MD_CTX_new();
	if (key && context && EVP_DigestVerifyInit(context, NULL, NULL, NULL, key) == 1)
		right = EVP_DigestVerify(context, signature, 64, text, (size_t)message.len) == 1;
	if (right == 0 && ERR_peek_error() != 0)
		right = -1;
	EVP_MD_CTX_free(context);
	EVP_PKEY_free(key);
	return right;
}

/* libcrypto calls a signature wrong when it runs out of memory on the way, too, and does not always
 * leave an error. So a wrong one is looked at again, once memory for its digest is there. */
int32_t crypto_ed25519_verify(const uint8_t public_key[32], knocker_bytes message,
                              knocker_bytes signature)
{
	uint8_t hash[DIGEST_MAX];
	int32_t right;

	if (signature.len != 64)
		return 0;
	right = crypto_ed25519_once(public_key, message, signature.data);
	if (right != 0)
		return right;
	if (crypto_hash(DIGEST_SHA512, &message, 1, hash) == 0)
		return -1;
	return crypto_ed25519_once(public_key, message, signature.data);
}

bool crypto_md5(knocker_bytes b, uint8_t out[16])
{
	return EVP_Q_digest(NULL, "MD5", NULL, b.data, (size_t)b.len, out, NULL) == 1;
}

bool crypto_equal(knocker_bytes a, knocker_bytes b)
{
	if (!a.data || !b.data || a.len != b.len)
		return false;
	return CRYPTO_memcmp(a.data, b.data, (size_t)a.len) == 0;
}

void crypto_cleanse(void *memory, size_t size)
{
	if (memory)
		OPENSSL_cleanse(memory, size);
}

bool crypto_sha256_hex(knocker_bytes b, char out[65])
{
	static const char digits[] = "0123456789abcdef";
	uint8_t hash[DIGEST_MAX];
	size_t i, len = crypto_hash(DIGEST_SHA256, &b, 1, hash);

	for (i = 0; i < len; i++) {
		out[2 * i] = digits[hash[i] >> 4];
		out[2 * i + 1] = digits[hash[i] & 15];
	}
	out[2 * len] = '\0';
	return len > 0;
}

/* ==== core/src/crypto_certificate.c ==== */

/* Certificates that an application gives: the key in the first one, whether the others issued it,
 * whose it is and when it holds. Knows no store of roots and fetches nothing: the last certificate
 * that is given is trusted because it was given. */
#include <openssl/err.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>
#include <string.h>



static X509 *certificate_read(knocker_bytes der)
{
	const unsigned char *at = der.data;
	X509 *made = der.len > 0 ? d2i_X509(NULL, &at, (long)der.len) : NULL;

	if (made && at == (const unsigned char *)der.data + der.len)
		return made;
	X509_free(made);
	return NULL;
}

/* Whether `issuer` may issue certificates and issued this one, with `between` others below it. */
static bool certificate_issued(X509 *one, X509 *issuer, size_t between)
{
	long most = X509_get_pathlen(issuer);

	return X509_check_issued(issuer, one) == X509_V_OK && X509_check_ca(issuer) > 0 &&
	       (most < 0 || (size_t)most >= between) && X509_verify(one, X509_get0_pubkey(issuer)) == 1;
}

static bool certificate_time(const ASN1_TIME *time, int64_t *out_s)
{
	ASN1_TIME *epoch = ASN1_TIME_set(NULL, 0);
	int days = 0, seconds = 0;
	bool good = epoch && ASN1_TIME_diff(&days, &seconds, epoch, time) == 1;

	ASN1_TIME_free(epoch);
	*out_s = (int64_t)days * 86400 + seconds;
	return good;
}

/* Narrows the time to that in which this one holds, too. */
static bool certificate_narrow(const X509 *one, crypto_certificate *out)
{
	int64_t from_s, until_s;

	if (!certificate_time(X509_get0_notBefore(one), &from_s) ||
	    !certificate_time(X509_get0_notAfter(one), &until_s))
		return false;
	out->from_s = from_s > out->from_s ? from_s : out->from_s;
	out->until_s = until_s < out->until_s ? until_s : out->until_s;
	return true;
}

static bool certificate_key(X509 *one, crypto_certificate *out)
{
	unsigned char *der = NULL;
	int len = i2d_X509_PUBKEY(X509_get_X509_PUBKEY(one), &der);
	bool fits = len > 0 && (size_t)len <= sizeof out->key;

	if (fits)
		memcpy(out->key, der, (size_t)len);
	out->key_len = fits ? (size_t)len : 0;
	OPENSSL_free(der);
	return fits;
}

static certificate_verdict certificate_judge(X509 *const *list, size_t count, knocker_bytes host,
                                             crypto_certificate *out)
{
	size_t i;

	for (i = 0; i < count; i++)
		if (!list[i] || !certificate_narrow(list[i], out))
			return CERTIFICATE_UNREADABLE;
	if (!certificate_key(list[0], out))
		return CERTIFICATE_UNREADABLE;
	for (i = 1; i < count; i++)
		if (!certificate_issued(list[i - 1], list[i], i - 1))
			return CERTIFICATE_NOT_ISSUED;
	if (bytes_given(host) && X509_check_host(list[0], host.data, (size_t)host.len, 0, NULL) != 1)
		return CERTIFICATE_OTHER_HOST;
	return CERTIFICATE_GOOD;
}

certificate_verdict crypto_certificate_read(const knocker_bytes *ders, size_t count,
                                            knocker_bytes host, crypto_certificate *out)
{
	X509 *list[CRYPTO_CERTIFICATES_MAX] = {NULL};
	certificate_verdict verdict;
	size_t i;

	*out = (crypto_certificate){.from_s = INT64_MIN, .until_s = INT64_MAX};
	if (count == 0 || count > CRYPTO_CERTIFICATES_MAX)
		return CERTIFICATE_UNREADABLE;
	for (i = 0; i < count; i++)
		list[i] = certificate_read(ders[i]);
	verdict = certificate_judge(list, count, host, out);
	for (i = 0; i < count; i++)
		X509_free(list[i]);
	ERR_clear_error();
	return verdict;
}

/* ==== core/src/crypto_public.c ==== */

/* Keys of pairs by libcrypto: decoding, verifying and signing. Knows nothing of how an application
 * writes a key, nor of schemes or requests. */
#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/ecdsa.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/param_build.h>
#include <openssl/rsa.h>
#include <openssl/x509.h>
#include <pthread.h>
#include <string.h>



#define CRYPTO_KEPT 16      /* decoded public keys */
#define CRYPTO_KEPT_DER 600 /* bytes of the longest that is kept: RSA of 4096 bits */

/* A key of libcrypto's, under our name. */
struct crypto_public {
	EVP_PKEY *pair;
	crypto_public_kind kind;
};

/* Leaves nothing in the queue of libcrypto, which is the application's too. True: it had no memory.
 */
static bool crypto_errors_end(void)
{
	unsigned long code = ERR_peek_last_error();
	bool none = code != 0 && ERR_GET_REASON(code) == ERR_R_MALLOC_FAILURE;

	ERR_clear_error();
	return none;
}

/* libcrypto says no when it runs out of memory on the way, too, and does not always leave an error.
 * So a no is asked for again where this says that there is memory. */
static bool crypto_memory_there(void)
{
	void *probe = OPENSSL_malloc(1024);

	OPENSSL_free(probe);
	return probe != NULL;
}

/* An exponent of 1 signs everything by itself. */
static bool crypto_rsa_usable(const EVP_PKEY *pair)
{
	int bits = EVP_PKEY_get_bits(pair);
	BIGNUM *e = NULL;
	bool usable = bits >= CRYPTO_RSA_BITS_MIN && bits <= 8 * CRYPTO_SIGNATURE_MAX &&
	              EVP_PKEY_get_bn_param(pair, OSSL_PKEY_PARAM_RSA_E, &e) == 1 && BN_is_odd(e) &&
	              !BN_is_one(e);

	BN_free(e);
	return usable;
}

static crypto_public_kind crypto_kind_of(const EVP_PKEY *pair)
{
	char group[40] = "", form[40] = "";
	size_t len = 0;

	switch (EVP_PKEY_get_base_id(pair)) {
	case EVP_PKEY_RSA:
		return crypto_rsa_usable(pair) ? PUBLIC_RSA : PUBLIC_OTHER;
	case EVP_PKEY_EC:
		EVP_PKEY_get_group_name(pair, group, sizeof group, &len);
		EVP_PKEY_get_utf8_string_param(pair, OSSL_PKEY_PARAM_EC_POINT_CONVERSION_FORMAT, form,
		                               sizeof form, &len);
		return strcmp(group, "prime256v1") == 0 && strcmp(form, "hybrid") != 0 ? PUBLIC_P256
		                                                                       : PUBLIC_OTHER;
	case EVP_PKEY_ED25519:
		return PUBLIC_ED25519;
	default:
		return PUBLIC_OTHER;
	}
}

static int32_t crypto_public_wrap(EVP_PKEY *pair, crypto_public_kind kind, bool no_memory,
                                  crypto_public **out)
{
	*out = pair ? memory_get(sizeof **out) : NULL;
	if (*out) {
		**out = (crypto_public){pair, kind};
		return 1;
	}
	EVP_PKEY_free(pair);
	return pair || no_memory ? -1 : 0;
}

/* libcrypto passes over bytes that mean nothing, as a NULL of another type; a key has one DER. */
static bool crypto_der_canonical(const EVP_PKEY *pair, knocker_bytes der)
{
	unsigned char *written = NULL;
	int len = i2d_PUBKEY(pair, &written);
	bool same = len == der.len && memcmp(written, der.data, (size_t)len) == 0;

	OPENSSL_free(written);
	return same;
}

/* The public keys that were decoded last. To decode one costs more than to verify with it, and who
 * verifies without an endpoint gives it with each request. */
static struct {
	uint8_t der[CRYPTO_KEPT_DER];
	size_t len;
	EVP_PKEY *pair;
	crypto_public_kind kind;
} crypto_kept[CRYPTO_KEPT];
static size_t crypto_kept_next;
static pthread_mutex_t crypto_kept_lock = PTHREAD_MUTEX_INITIALIZER;

static EVP_PKEY *crypto_kept_find(knocker_bytes der, crypto_public_kind *kind)
{
	EVP_PKEY *pair = NULL;
	size_t i;

	pthread_mutex_lock(&crypto_kept_lock);
	for (i = 0; i < CRYPTO_KEPT && !pair; i++)
		if (crypto_kept[i].pair && crypto_kept[i].len == (size_t)der.len &&
		    memcmp(crypto_kept[i].der, der.data, (size_t)der.len) == 0) {
			pair = crypto_kept[i].pair;
			*kind = crypto_kept[i].kind;
		}
	if (pair && EVP_PKEY_up_ref(pair) != 1)
		pair = NULL;
	pthread_mutex_unlock(&crypto_kept_lock);
	return pair;
}

static void crypto_keep(knocker_bytes der, EVP_PKEY *pair, crypto_public_kind kind)
{
	EVP_PKEY *old = NULL;

	if (der.len > CRYPTO_KEPT_DER || EVP_PKEY_up_ref(pair) != 1)
		return;
	pthread_mutex_lock(&crypto_kept_lock);
	old = crypto_kept[crypto_kept_next].pair;
	memcpy(crypto_kept[crypto_kept_next].der, der.data, (size_t)der.len);
	crypto_kept[crypto_kept_next].len = (size_t)der.len;
	crypto_kept[crypto_kept_next].pair = pair;
	crypto_kept[crypto_kept_next].kind = kind;
	crypto_kept_next = (crypto_kept_next + 1) % CRYPTO_KEPT;
	pthread_mutex_unlock(&crypto_kept_lock);
	EVP_PKEY_free(old);
}

static EVP_PKEY *crypto_public_decode(knocker_bytes der, bool is_private, crypto_public_kind *kind)
{
	const unsigned char *at = der.data;
	EVP_PKEY *pair = is_private ? d2i_AutoPrivateKey(NULL, &at, (long)der.len)
	                            : d2i_PUBKEY(NULL, &at, (long)der.len);

	if (pair && (at != (const unsigned char *)der.data + der.len ||
	             (!is_private && !crypto_der_canonical(pair, der)))) {
		EVP_PKEY_free(pair);
		pair = NULL;
	}
	*kind = pair ? crypto_kind_of(pair) : PUBLIC_OTHER;
	return pair;
}

int32_t crypto_public_der(knocker_bytes der, bool is_private, crypto_public **out)
{
	bool no_memory = false;
	EVP_PKEY *pair;
	crypto_public_kind kind;

	*out = NULL;
	if (der.len <= 0)
		return 0;
	pair = is_private ? NULL : crypto_kept_find(der, &kind);
	if (pair)
		return crypto_public_wrap(pair, kind, false, out);
	ERR_clear_error();
	pair = crypto_public_decode(der, is_private, &kind);
	if (kind == PUBLIC_OTHER) {
		EVP_PKEY_free(pair);
		no_memory = !crypto_memory_there();
		pair = no_memory ? NULL : crypto_public_decode(der, is_private, &kind);
	}
	if (pair && !is_private)
		crypto_keep(der, pair, kind);
	no_memory |= crypto_errors_end();
	return crypto_public_wrap(pair, kind, no_memory, out);
}

static EVP_PKEY *crypto_public_build(const char *type, OSSL_PARAM_BLD *build, bool is_private)
{
	int selection = is_private ? EVP_PKEY_KEYPAIR : EVP_PKEY_PUBLIC_KEY;
	OSSL_PARAM *parameters = OSSL_PARAM_BLD_to_param(build);
	EVP_PKEY_CTX *context = EVP_PKEY_CTX_new_from_name(NULL, type, NULL);
	EVP_PKEY *pair = NULL;

	if (!parameters || !context || EVP_PKEY_fromdata_init(context) != 1 ||
	    EVP_PKEY_fromdata(context, &pair, selection, parameters) != 1) {
		EVP_PKEY_free(pair);
		pair = NULL;
	}
	EVP_PKEY_CTX_free(context);
	OSSL_PARAM_free(parameters);
	return pair;
}

/* Absent and empty numbers are NULL, and so is one that libcrypto had no memory for. */
static BIGNUM *crypto_number(knocker_bytes b)
{
	return b.len > 0 && b.len <= CRYPTO_SIGNATURE_MAX ? BN_bin2bn(b.data, (int)b.len, NULL) : NULL;
}

int32_t crypto_public_rsa(knocker_bytes n, knocker_bytes e, knocker_bytes d, crypto_public **out)
{
	OSSL_PARAM_BLD *build;
	BIGNUM *modulus, *exponent, *secret;
	EVP_PKEY *pair = NULL;

	ERR_clear_error();
	build = OSSL_PARAM_BLD_new();
	modulus = crypto_number(n);
	exponent = crypto_number(e);
	secret = crypto_number(d);
	if (build && modulus && exponent && OSSL_PARAM_BLD_push_BN(build, "n", modulus) &&
	    OSSL_PARAM_BLD_push_BN(build, "e", exponent) &&
	    (!secret || OSSL_PARAM_BLD_push_BN(build, "d", secret)))
		pair = crypto_public_build("RSA", build, secret != NULL);
	OSSL_PARAM_BLD_free(build);
	BN_free(modulus);
	BN_free(exponent);
	BN_clear_free(secret);
	return crypto_public_wrap(pair, pair ? crypto_kind_of(pair) : PUBLIC_OTHER, crypto_errors_end(),
	                          out);
}

int32_t crypto_public_p256(const uint8_t x[32], const uint8_t y[32], knocker_bytes d,
                           crypto_public **out)
{
	uint8_t point[65] = {4};
	OSSL_PARAM_BLD *build;
	BIGNUM *secret;
	EVP_PKEY *pair = NULL;

	memcpy(point + 1, x, 32);
	memcpy(point + 33, y, 32);
	ERR_clear_error();
	build = OSSL_PARAM_BLD_new();
	secret = crypto_number(d);
	if (build && OSSL_PARAM_BLD_push_utf8_string(build, "group", "prime256v1", 0) &&
	    OSSL_PARAM_BLD_push_octet_string(build, "pub", point, sizeof point) &&
	    (!secret || OSSL_PARAM_BLD_push_BN(build, "priv", secret)))
		pair = crypto_public_build("EC", build, secret != NULL);
	OSSL_PARAM_BLD_free(build);
	BN_clear_free(secret);
	return crypto_public_wrap(pair, pair ? crypto_kind_of(pair) : PUBLIC_OTHER, crypto_errors_end(),
	                          out);
}

void crypto_public_free(crypto_public *key)
{
	if (!key)
		return;
	EVP_PKEY_free(key->pair);
	memory_free(key);
}

crypto_public_kind crypto_public_kind_of(const crypto_public *key)
{
	return key->kind;
}

bool crypto_public_ed25519(const crypto_public *key, uint8_t out[32])
{
	size_t len = 32;

	return EVP_PKEY_get_raw_public_key(key->pair, out, &len) == 1 && len == 32;
}

static int32_t crypto_public_once(const crypto_public *key, const EVP_MD *kind, knocker_bytes hash,
                                  knocker_bytes signature)
{
	EVP_PKEY_CTX *context = EVP_PKEY_CTX_new_from_pkey(NULL, key->pair, NULL);
	int32_t right = -1;

	if (context && EVP_PKEY_verify_init(context) == 1 &&
	    EVP_PKEY_CTX_set_signature_md(context, kind) == 1)
		right = EVP_PKEY_verify(context, signature.data, (size_t)signature.len, hash.data,
		                        (size_t)hash.len) == 1;
	EVP_PKEY_CTX_free(context);
	return right;
}

int32_t crypto_public_verify(const crypto_public *key, digest d, knocker_bytes hash,
                             knocker_bytes signature)
{
	const EVP_MD *kind = crypto_digest(d);
	int32_t right;

	ERR_clear_error();
	right = kind ? crypto_public_once(key, kind, hash, signature) : -1;
	if (right == 0)
		right = crypto_memory_there() ? crypto_public_once(key, kind, hash, signature) : -1;
	return crypto_errors_end() && right != 1 ? -1 : right;
}

size_t crypto_public_sign(const crypto_public *key, digest d, knocker_bytes message,
                          uint8_t out[CRYPTO_SIGNATURE_MAX])
{
	bool own = key->kind == PUBLIC_ED25519;
	const EVP_MD *kind = own ? NULL : crypto_digest(d);
	const void *text = message.len > 0 ? message.data : (const void *)"";
	size_t len = CRYPTO_SIGNATURE_MAX;
	EVP_MD_CTX *context;

	ERR_clear_error();
	context = EVP_MD_CTX_new();
	if (!context || EVP_DigestSignInit(context, NULL, kind, NULL, key->pair) != 1 ||
	    EVP_DigestSign(context, out, &len, text, (size_t)message.len) != 1)
		len = 0;
	EVP_MD_CTX_free(context);
	ERR_clear_error();
	return len;
}

size_t crypto_ecdsa_der(const uint8_t numbers[64], uint8_t out[72])
{
	ECDSA_SIG *pair = ECDSA_SIG_new();
	BIGNUM *r = BN_bin2bn(numbers, 32, NULL), *s = BN_bin2bn(numbers + 32, 32, NULL);
	int len = 0;

	if (pair && r && s && ECDSA_SIG_set0(pair, r, s) == 1) {
		len = i2d_ECDSA_SIG(pair, &out);
	} else {
		BN_free(r);
		BN_free(s);
	}
	ECDSA_SIG_free(pair);
	return len > 0 ? (size_t)len : 0;
}

bool crypto_ecdsa_numbers(knocker_bytes der, uint8_t out[64])
{
	const unsigned char *at = der.data;
	ECDSA_SIG *pair = d2i_ECDSA_SIG(NULL, &at, (long)der.len);
	bool good = pair && BN_bn2binpad(ECDSA_SIG_get0_r(pair), out, 32) == 32 &&
	            BN_bn2binpad(ECDSA_SIG_get0_s(pair), out + 32, 32) == 32;

	ECDSA_SIG_free(pair);
	return good;
}

/* ==== core/src/db.c ==== */

/* A connection: compiled statements, transactions, errors in our words. With db_text.c the only
 * code that talks to SQLite, the SQL door aside. Knows what a statement is called, not what it
 * means. */
#include <stdio.h>
#include <string.h>
#include <time.h>



/* What db.c and db_text.c share; nobody else includes it. */
#ifndef KNOCKER_DB_PARTS_H
#define KNOCKER_DB_PARTS_H

#ifdef KNOCKER_EXTENSION
#include <sqlite3ext.h>
SQLITE_EXTENSION_INIT3
#else
#include <sqlite3.h>
#endif

/* A connection: compiled statements, transactions, errors in our words. The only file that talks to
 * SQLite, the SQL door aside. Knows what a statement is called, not what it means. */
#ifndef KNOCKER_DB_H
#define KNOCKER_DB_H


/* Generated by tools/embed.py: the names of core/sql/statements. */
#ifndef KNOCKER_STATEMENTS_H
#define KNOCKER_STATEMENTS_H

enum statement {
	STMT_attempt_count,
	STMT_attempt_delete,
	STMT_attempt_insert,
	STMT_attempt_list,
	STMT_attempt_list_all,
	STMT_audit_insert,
	STMT_audit_list,
	STMT_db_begin,
	STMT_db_commit,
	STMT_db_rollback,
	STMT_db_savepoint,
	STMT_db_savepoint_release,
	STMT_db_savepoint_rollback,
	STMT_db_synchronous,
	STMT_db_table_exists,
	STMT_db_wal,
	STMT_delivery_count,
	STMT_delivery_delete,
	STMT_delivery_delete_repeats,
	STMT_delivery_event,
	STMT_delivery_get,
	STMT_delivery_insert,
	STMT_delivery_list,
	STMT_delivery_list_event,
	STMT_delivery_of_key,
	STMT_delivery_redate,
	STMT_endpoint_find,
	STMT_endpoint_get,
	STMT_endpoint_list,
	STMT_endpoint_of_path,
	STMT_endpoint_orphans_add,
	STMT_endpoint_pause,
	STMT_endpoint_paused_ids,
	STMT_endpoint_policy,
	STMT_endpoint_upsert,
	STMT_event_get,
	STMT_event_list,
	STMT_event_list_rare,
	STMT_event_of_claim,
	STMT_event_of_work,
	STMT_event_prune_ids,
	STMT_event_why,
	STMT_id_first,
	STMT_id_floor_keep,
	STMT_id_floor_raise,
	STMT_id_last,
	STMT_id_next,
	STMT_id_since,
	STMT_job_again,
	STMT_job_bury,
	STMT_job_bury_worn,
	STMT_job_claim_row,
	STMT_job_delete,
	STMT_job_drop,
	STMT_job_due,
	STMT_job_due_first,
	STMT_job_extend,
	STMT_job_get,
	STMT_job_ignore,
	STMT_job_insert_event,
	STMT_job_insert_plain,
	STMT_job_lease,
	STMT_job_list,
	STMT_job_mark,
	STMT_job_redate,
	STMT_job_release,
	STMT_job_requeue_held,
	STMT_job_reset,
	STMT_job_settle,
	STMT_job_topic_next,
	STMT_job_unqueue,
	STMT_meta_add,
	STMT_meta_get,
	STMT_meta_set,
	STMT_orphan_adopt,
	STMT_orphan_next,
	STMT_orphan_oldest,
	STMT_orphan_prune_ids,
	STMT_orphan_twin,
	STMT_stats_endpoints,
	STMT_stats_jobs,
	STMT_stats_queue,
	STMT_stats_rare,
	STATEMENT_COUNT
};

#endif


typedef struct db db;

typedef struct {
	knocker_bytes path, init_sql;
	int64_t busy_timeout_ms;
	bool reader;   /* refuses to write */
	bool existing; /* the file must be there */
} db_options;

KNOCKER_PRIVATE int32_t db_open(const db_options *options, db **out, knocker_error *error);
/* Over a connection that its owner opened (the SQL door): statements are not kept between calls,
 * settings are left alone. */
KNOCKER_PRIVATE int32_t db_adopt(void *sqlite3_connection, db **out, knocker_error *error);
KNOCKER_PRIVATE void db_close(db *d); /* NULL is fine; an adopted connection stays open */
/* Finalizes what was compiled: an owner could not close its connection otherwise. */
KNOCKER_PRIVATE void db_forget(db *d);

/* Our own statements. `changes` may be NULL. */
KNOCKER_PRIVATE int32_t db_run(db *d, enum statement s, const knocker_value *values, int32_t count,
               int64_t *changes, knocker_error *error);

/* Reading: a query stands on a row after db_query or db_next gave 0, and is over after 1 or a
 * failure. Ended in any case with db_done. */
typedef struct query query;
KNOCKER_PRIVATE int32_t db_query(db *d, enum statement s, const knocker_value *values, int32_t count, query **out,
                 knocker_error *error);
KNOCKER_PRIVATE int32_t db_next(query *q, knocker_error *error);
KNOCKER_PRIVATE int64_t db_int(query *q, int32_t column); /* null reads as 0 */
KNOCKER_PRIVATE bool db_null(query *q, int32_t column);
KNOCKER_PRIVATE knocker_bytes db_text(query *q, int32_t column); /* absent for null; lent until the next step */
KNOCKER_PRIVATE void db_done(query *q);                          /* NULL is fine */
/* The first row's first column, or `missing` without a row or for null. */
KNOCKER_PRIVATE int32_t db_int_of(db *d, enum statement s, const knocker_value *values, int32_t count,
                  int64_t missing, int64_t *out, knocker_error *error);
/* All rows of a query, at most LIMIT_LIST_BYTES of them (at least one); columns are named as in the
 * statement. */
KNOCKER_PRIVATE int32_t db_rows(db *d, enum statement s, const knocker_value *values, int32_t count,
                knocker_rows **out, knocker_error *error);

/* Transactions. A savepoint bears our own name; savepoints nest. */
KNOCKER_PRIVATE int32_t db_begin(db *d, knocker_error *error); /* BEGIN IMMEDIATE */
KNOCKER_PRIVATE int32_t db_commit(db *d, knocker_error *error);
KNOCKER_PRIVATE void db_rollback(db *d); /* harmless outside a transaction */
KNOCKER_PRIVATE bool db_in_transaction(const db *d);
/* In a transaction: stays the same until somebody commits to the file, this connection or another.
 * It moves where SQLite finds that its page cache is old, and with each commit. -1: not known. */
KNOCKER_PRIVATE int64_t db_version(db *d);
KNOCKER_PRIVATE int32_t db_savepoint(db *d, knocker_error *error);
KNOCKER_PRIVATE int32_t db_savepoint_release(db *d, knocker_error *error);
KNOCKER_PRIVATE void db_savepoint_rollback(db *d);
KNOCKER_PRIVATE bool db_foreign_keys_pending(db *d); /* a deferred foreign key does not hold */
KNOCKER_PRIVATE int32_t db_synchronous(db *d, bool full, knocker_error *error); /* outside a transaction */
/* Counts what its next user has waited already towards busy_timeout_ms. */
KNOCKER_PRIVATE void db_patient_since(db *d, int64_t since_ms);
KNOCKER_PRIVATE void db_checkpoint_if_due(db *d);      /* what the WAL hook put off */
KNOCKER_PRIVATE int64_t db_changes_total(const db *d); /* rows written since open */

/* An application's statement, bound in order. It must be one statement; rows are collected, so that
 * none stays open. In `guarded` mode (a handler's transaction) transaction control, ATTACH, pragmas
 * off a short list and writes to our tables are refused. */
typedef struct {
	knocker_bytes sql;
	const knocker_value *values;
	int32_t count;
	bool guarded;
} db_text_statement;
KNOCKER_PRIVATE int32_t db_text_run(db *d, const db_text_statement *s, knocker_rows **rows, int64_t *changes,
                    int64_t *last_id, knocker_error *error);

/* The bell: rung after the commit of a transaction in which something was marked due. */
KNOCKER_PRIVATE void db_mark_due(db *d);

/* One or several statements without values: a pragma, a schema file. */
KNOCKER_PRIVATE int32_t db_script(db *d, const char *sql, knocker_error *error);
/* PRAGMA journal_mode = wal; an error names the mode that it stayed in. */
KNOCKER_PRIVATE int32_t db_wal(db *d, knocker_error *error);
KNOCKER_PRIVATE int64_t db_synchronous_level(db *d); /* 0 off, 1 normal, 2 full, 3 extra */
KNOCKER_PRIVATE bool db_table_exists(db *d, const char *name);
KNOCKER_PRIVATE const char *db_file(const db *d); /* its whole path; "" when it has none */

#endif


#define DB_TEXTS 8 /* writing statements of the application that stay compiled */

struct db {
	sqlite3 *handle;
	sqlite3_stmt *kept[STATEMENT_COUNT];
	sqlite3_stmt *texts[DB_TEXTS];
	int32_t text_next;   /* which of them gives way */
	bool adopted;        /* the owner's connection: nothing is kept, nothing is set */
	bool guarded;        /* an application's statement is being compiled or run */
	const char *refusal; /* what the authorizer said no to */
	int32_t wal_pages;
	bool due_marked;
	int32_t full; /* PRAGMA synchronous as last set here; -1: not yet */
	int64_t busy_timeout_ms, busy_since_ms;
	int64_t patient_since_ms; /* its user waits since then; 0: since SQLite first said busy */
};

/* Says a SQLite result in our words. */
KNOCKER_PRIVATE int32_t db_fail(const db *d, int rc, int32_t otherwise, knocker_error *error);
KNOCKER_PRIVATE int32_t db_compile(db *d, enum statement s, sqlite3_stmt **out, knocker_error *error);
KNOCKER_PRIVATE int db_bind(sqlite3_stmt *statement, const knocker_value *values, int32_t count);
/* Steps to the end, copying. 0: all rows; 1: stopped at LIMIT_LIST_BYTES; `failed`: SQLite did, and
 * nothing is said yet. */
KNOCKER_PRIVATE int32_t db_collect(sqlite3_stmt *statement, knocker_rows *rows, bool *failed, knocker_error *error);
KNOCKER_PRIVATE int db_committed(void *context, sqlite3 *handle, const char *name, int pages);
KNOCKER_PRIVATE int db_authorize(void *context, int action, const char *first, const char *second,
                 const char *schema, const char *trigger);

#endif


/* Generated by tools/embed.py: core/sql/statements, for the one file that prepares them. */
#ifndef KNOCKER_STATEMENT_TEXTS_H
#define KNOCKER_STATEMENT_TEXTS_H



#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Woverlength-strings"
static const char *const statement_texts[STATEMENT_COUNT] = {
	[STMT_attempt_count] =
		"select count(*) from _knocker_attempt where job_id = \?1",
	[STMT_attempt_delete] =
		"delete from _knocker_attempt where job_id = \?1",
	[STMT_attempt_insert] =
		"insert into _knocker_attempt (job_id, claim, attempted_ms, outcome, duration_ms, error)\n"
		"values (\?1, \?2, \?3, \?4, \?5, \?6)\n"
		"on conflict (job_id, claim) do update set attempted_ms = excluded.attempted_ms, outcome = excluded.o"
		"utcome,\n"
		"    duration_ms = excluded.duration_ms, error = excluded.error",
	[STMT_attempt_list] =
		"select job_id * 1000000 + claim as id, job_id as event_id, attempted_ms / 1000 as attempted_at, outc"
		"ome, error, duration_ms\n"
		"from _knocker_attempt\n"
		"where job_id = \?1 and job_id * 1000000 + claim < \?2\n"
		"order by claim desc\n"
		"limit \?3",
	[STMT_attempt_list_all] =
		"select job_id * 1000000 + claim as id, job_id as event_id, attempted_ms / 1000 as attempted_at, outc"
		"ome, error, duration_ms\n"
		"from _knocker_attempt\n"
		"where job_id <= \?2 / 1000000 and job_id * 1000000 + claim < \?2\n"
		"order by job_id desc, claim desc\n"
		"limit \?3",
	[STMT_audit_insert] =
		"insert into _knocker_prune_audit (kind, queue_name, executed_ms, events, deliveries, attempts, live_"
		"jobs, summary_json)\n"
		"values (\?1, \?2, \?3, \?4, \?5, \?6, \?7, \?8)",
	[STMT_audit_list] =
		"select id, kind, queue_name, executed_ms / 1000 as executed_at, events as events_pruned, deliveries "
		"as deliveries_pruned,\n"
		"       attempts as attempts_pruned, live_jobs as live_jobs_pruned, summary_json\n"
		"from _knocker_prune_audit\n"
		"where id < \?1 and (\?2 is null or kind = \?2) and executed_ms >= \?3\n"
		"order by id desc\n"
		"limit \?4",
	[STMT_db_begin] =
		"begin immediate",
	[STMT_db_commit] =
		"commit",
	[STMT_db_rollback] =
		"rollback",
	[STMT_db_savepoint] =
		"savepoint _knocker",
	[STMT_db_savepoint_release] =
		"release _knocker",
	[STMT_db_savepoint_rollback] =
		"rollback to _knocker",
	[STMT_db_synchronous] =
		"pragma synchronous",
	[STMT_db_table_exists] =
		"select 1 from sqlite_master where type = 'table' and name = \?1",
	[STMT_db_wal] =
		"pragma journal_mode = wal",
	[STMT_delivery_count] =
		"select (select count(*) from _knocker_delivery where id = \?1)\n"
		"     + (select count(*) from _knocker_delivery where event_id = \?1 and event_id <> id)",
	[STMT_delivery_delete] =
		"delete from _knocker_delivery where id = \?1",
	[STMT_delivery_delete_repeats] =
		"delete from _knocker_delivery where event_id = \?1 and event_id <> id",
	[STMT_delivery_event] =
		"select event_id from _knocker_delivery where id = \?1",
	[STMT_delivery_get] =
		"select d.id, d.event_id, e.name as endpoint, d.event_type, d.provider_event_id, d.provider_delivery_"
		"id, d.dedupe_key, d.method,\n"
		"       d.headers as headers_json, d.query as query_json, d.body, d.received_ms / 1000 as received_at"
		", d.signature_valid,\n"
		"       d.signature_error\n"
		"from _knocker_delivery d\n"
		"cross join _knocker_endpoint e on e.id = d.endpoint_id\n"
		"where d.id = \?1",
	[STMT_delivery_insert] =
		"insert into _knocker_delivery (id, endpoint_id, event_id, received_ms, signature_valid, signature_er"
		"ror, event_type,\n"
		"                               provider_event_id, provider_delivery_id, dedupe_key, method, query, h"
		"eaders, body)\n"
		"values (\?1, \?2, \?3, \?4, \?5, \?6, \?7, \?8, \?9, \?10, \?11, \?12, \?13, \?14)\n"
		"on conflict do nothing",
	[STMT_delivery_list] =
		"with page (id) as materialized (\n"
		"\tselect j.id from _knocker_job j\n"
		"\twhere j.topic > 0 and \?5 <> 1 and \?6 <> 2 and j.id < \?1 and j.id >= \?2 and (\?3 is null or j.topic ="
		" \?3)\n"
		"\t  and (\?4 is null or j.kind = \?4)\n"
		"\t  and (\?6 <> 1 or not exists (select 1 from _knocker_delivery u where u.endpoint_id = j.topic and u"
		".id = j.id\n"
		"\t                              and u.event_id = u.id and u.signature_valid is null))\n"
		"\tunion all\n"
		"\tselect o.id from _knocker_endpoint p cross join _knocker_delivery o on o.endpoint_id = p.id\n"
		"\twhere \?5 <> 2 and \?6 <> 1 and o.event_id is null and o.id < \?1 and o.id >= \?2 and (\?3 is null or p."
		"id = \?3)\n"
		"\t  and (\?4 is null or o.event_type = \?4)\n"
		"\tunion all\n"
		"\tselect r.id from _knocker_endpoint p cross join _knocker_delivery r on r.endpoint_id = p.id\n"
		"\twhere \?5 <> 1 and r.event_id <> r.id and r.id < \?1 and r.id >= \?2 and (\?3 is null or p.id = \?3)\n"
		"\t  and (\?4 is null or r.event_type = \?4) and (\?6 = 0 or (\?6 = 1) = (r.signature_valid is 1))\n"
		"\tunion all\n"
		"\tselect u.id from _knocker_endpoint p cross join _knocker_delivery u on u.endpoint_id = p.id\n"
		"\twhere \?5 <> 1 and \?6 = 2 and u.event_id = u.id and u.signature_valid is null and u.id < \?1 and u.id"
		" >= \?2\n"
		"\t  and (\?3 is null or p.id = \?3) and (\?4 is null or u.event_type = \?4)\n"
		"\torder by 1 desc\n"
		"\tlimit \?7\n"
		")\n"
		"select d.id, d.event_id, e.name as endpoint, d.event_type, d.provider_event_id, d.provider_delivery_"
		"id, d.dedupe_key, d.method,\n"
		"       d.headers as headers_json, d.query as query_json, iif(\?8, null, d.body) as body, d.received_m"
		"s / 1000 as received_at,\n"
		"       d.signature_valid, d.signature_error\n"
		"from page\n"
		"cross join _knocker_delivery d on d.id = page.id\n"
		"cross join _knocker_endpoint e on e.id = d.endpoint_id",
	[STMT_delivery_list_event] =
		"select d.id, d.event_id, e.name as endpoint, d.event_type, d.provider_event_id, d.provider_delivery_"
		"id, d.dedupe_key, d.method,\n"
		"       d.headers as headers_json, d.query as query_json, iif(\?8, null, d.body) as body, d.received_m"
		"s / 1000 as received_at,\n"
		"       d.signature_valid, d.signature_error\n"
		"from (select id from _knocker_delivery where id = \?9 and event_id = \?9\n"
		"      union all\n"
		"      select id from _knocker_delivery where event_id = \?9 and event_id <> id) c\n"
		"cross join _knocker_delivery d on d.id = c.id\n"
		"cross join _knocker_endpoint e on e.id = d.endpoint_id\n"
		"where d.id < \?1 and d.id >= \?2 and (\?3 is null or d.endpoint_id = \?3) and (\?4 is null or d.event_typ"
		"e = \?4)\n"
		"  and \?5 <> 1 and (\?6 = 0 or (\?6 = 1 and d.signature_valid = 1) or (\?6 = 2 and d.signature_valid is "
		"not 1))\n"
		"order by d.id desc\n"
		"limit \?7",
	[STMT_delivery_of_key] =
		"select id\n"
		"from _knocker_delivery\n"
		"where endpoint_id = \?1 and dedupe_key = \?2 and event_id = id and dedupe_key is not null",
	[STMT_delivery_redate] =
		"update _knocker_delivery set received_ms = \?2 where id >= \?1",
	[STMT_endpoint_find] =
		"select id, enabled, provider, queue, max_attempts, backoff_base_ms, backoff_cap_ms, orphan_rows, orp"
		"han_bytes, paused\n"
		"from _knocker_endpoint\n"
		"where name = \?1",
	[STMT_endpoint_get] =
		"select id, name, path, provider, enabled, paused, queue as queue_name, created_ms / 1000 as created_"
		"at\n"
		"from _knocker_endpoint\n"
		"where id = \?1",
	[STMT_endpoint_list] =
		"select id, name, path, provider, enabled, paused, queue as queue_name, created_ms / 1000 as created_"
		"at\n"
		"from _knocker_endpoint\n"
		"where \?1 is null or name > \?1\n"
		"order by name\n"
		"limit \?2",
	[STMT_endpoint_of_path] =
		"select name from _knocker_endpoint where path = \?1 and name <> \?2",
	[STMT_endpoint_orphans_add] =
		"update _knocker_endpoint\n"
		"set orphan_rows = orphan_rows + \?2, orphan_bytes = orphan_bytes + \?3, orphans_dropped = orphans_drop"
		"ped + \?4\n"
		"where id = \?1",
	[STMT_endpoint_pause] =
		"update _knocker_endpoint set paused = \?2 where name = \?1",
	[STMT_endpoint_paused_ids] =
		"select id from _knocker_endpoint where paused = 1 order by id",
	[STMT_endpoint_policy] =
		"select max_attempts, backoff_base_ms, backoff_cap_ms, name\n"
		"from _knocker_endpoint\n"
		"where id = \?1",
	[STMT_endpoint_upsert] =
		"insert into _knocker_endpoint (name, path, provider, enabled, queue, max_attempts, backoff_base_ms, "
		"backoff_cap_ms, created_ms)\n"
		"values (\?1, \?2, \?3, \?4, \?5, \?6, \?7, \?8, \?9)\n"
		"on conflict (name) do update set path = excluded.path, provider = excluded.provider, enabled = exclu"
		"ded.enabled,\n"
		"    queue = excluded.queue, max_attempts = excluded.max_attempts, backoff_base_ms = excluded.backoff"
		"_base_ms,\n"
		"    backoff_cap_ms = excluded.backoff_cap_ms",
	[STMT_event_get] =
		"select j.id, e.name as endpoint, j.kind as event_type, d.provider_event_id, d.provider_delivery_id, "
		"d.dedupe_key,\n"
		"       case when j.worker is not null and (j.status = 'received' or j.status = 'failed') then 'proce"
		"ssing'\n"
		"            else j.status end as status,\n"
		"       j.attempt_count, d.headers as headers_json, d.query as query_json, coalesce(d.body, x'') as b"
		"ody,\n"
		"       d.received_ms / 1000 as received_at, case j.status when 'handled' then j.settled_ms / 1000 en"
		"d as handled_at, j.last_error\n"
		"from _knocker_job j\n"
		"cross join _knocker_delivery d on d.id = j.id\n"
		"cross join _knocker_endpoint e on e.id = j.topic\n"
		"where j.id = \?1",
	[STMT_event_list] =
		"select j.id, e.name as endpoint, j.kind as event_type, d.provider_event_id, d.provider_delivery_id, "
		"d.dedupe_key,\n"
		"       case when j.worker is not null and (j.status = 'received' or j.status = 'failed') then 'proce"
		"ssing'\n"
		"            else j.status end as status,\n"
		"       j.attempt_count, d.headers as headers_json, d.query as query_json, iif(\?6, null, coalesce(d.b"
		"ody, x'')) as body,\n"
		"       d.received_ms / 1000 as received_at, case j.status when 'handled' then j.settled_ms / 1000 en"
		"d as handled_at, j.last_error\n"
		"from _knocker_job j\n"
		"cross join _knocker_delivery d on d.id = j.id\n"
		"cross join _knocker_endpoint e on e.id = j.topic\n"
		"where j.topic > 0 and j.id < \?1 and j.id >= \?2 and (\?3 is null or j.topic = \?3) and (\?4 is null or j"
		".kind = \?4)\n"
		"  and (\?7 is null or (j.status = \?7 and (j.worker is null or (\?7 <> 'received' and \?7 <> 'failed')))\n"
		"       or (\?7 = 'processing' and j.worker is not null and (j.status = 'received' or j.status = 'fail"
		"ed')))\n"
		"order by j.id desc\n"
		"limit \?5",
	[STMT_event_list_rare] =
		"select j.id, e.name as endpoint, j.kind as event_type, d.provider_event_id, d.provider_delivery_id, "
		"d.dedupe_key,\n"
		"       j.status, j.attempt_count, d.headers as headers_json, d.query as query_json,\n"
		"       iif(\?6, null, coalesce(d.body, x'')) as body, d.received_ms / 1000 as received_at, null as ha"
		"ndled_at, j.last_error\n"
		"from _knocker_job j indexed by _knocker_job_rare\n"
		"cross join _knocker_delivery d on d.id = j.id\n"
		"cross join _knocker_endpoint e on e.id = j.topic\n"
		"where j.status = \?7 and (j.status = 'failed' or j.status = 'dead' or j.status = 'ignored') and (j.wo"
		"rker is null or j.status <> 'failed')\n"
		"  and j.id < \?1 and j.id >= \?2 and (\?3 is null or j.topic = \?3) and (\?4 is null or j.kind = \?4)\n"
		"order by j.id desc\n"
		"limit \?5",
	[STMT_event_of_claim] =
		"select e.name, d.event_type\n"
		"from _knocker_job j\n"
		"cross join _knocker_delivery d on d.id = coalesce(j.delivery_id, j.id)\n"
		"cross join _knocker_endpoint e on e.id = j.topic\n"
		"where j.id = \?1",
	[STMT_event_of_work] =
		"select j.id, e.name as endpoint, d.event_type, o.provider_event_id, o.provider_delivery_id, o.dedupe"
		"_key,\n"
		"       'processing' as status, j.attempt_count, d.headers as headers_json, d.query as query_json, co"
		"alesce(d.body, x'') as body,\n"
		"       o.received_ms / 1000 as received_at, null as handled_at, j.last_error\n"
		"from _knocker_job j\n"
		"cross join _knocker_delivery o on o.id = j.id\n"
		"cross join _knocker_delivery d on d.id = coalesce(j.delivery_id, j.id)\n"
		"cross join _knocker_endpoint e on e.id = j.topic\n"
		"where j.id = \?1",
	[STMT_event_prune_ids] =
		"select id, due_ms is not null\n"
		"from _knocker_job\n"
		"where topic > 0 and id > \?5 and id < \?1 and ((\?2 = 1 and status = 'handled') or (\?3 = 1 and status ="
		" 'ignored'))\n"
		"order by id\n"
		"limit \?4",
	[STMT_event_why] =
		"select e.name, e.paused, j.last_error, d.provider_event_id\n"
		"from _knocker_job j\n"
		"cross join _knocker_delivery d on d.id = j.id\n"
		"cross join _knocker_endpoint e on e.id = j.topic\n"
		"where j.id = \?1",
	[STMT_id_first] =
		"select coalesce(min(id), 1) from _knocker_delivery",
	[STMT_id_floor_keep] =
		"insert into _knocker_meta (key, value)\n"
		"select 'floor', \?1\n"
		"where \?1 > coalesce((select max(id) from _knocker_job), 0) and \?1 > coalesce((select max(id) from _k"
		"nocker_delivery), 0)\n"
		"on conflict (key) do update set value = max(value, excluded.value)",
	[STMT_id_floor_raise] =
		"insert into _knocker_meta (key, value)\n"
		"values ('floor', \?1)\n"
		"on conflict (key) do update set value = max(value, excluded.value)",
	[STMT_id_last] =
		"select coalesce(max(id), 0) from _knocker_delivery",
	[STMT_id_next] =
		"select 1 + max(coalesce((select max(id) from _knocker_delivery), 0), coalesce((select max(id) from _"
		"knocker_job), 0),\n"
		"               coalesce((select value from _knocker_meta where key = 'floor'), 0)),\n"
		"       (select received_ms from _knocker_delivery where id = (select max(id) from _knocker_delivery)"
		")",
	[STMT_id_since] =
		"select received_ms\n"
		"from _knocker_delivery\n"
		"where id >= \?1\n"
		"order by id\n"
		"limit 1",
	[STMT_job_again] =
		"update _knocker_job\n"
		"set status = 'received', attempt_count = 0, due_ms = \?2, worker = null, expired = 0, alone = 0, sett"
		"led_ms = null, last_error = null,\n"
		"    delivery_id = \?3, queue = coalesce(\?4, queue), max_attempts = coalesce(\?5, max_attempts)\n"
		"where id = \?1",
	[STMT_job_bury] =
		"update _knocker_job\n"
		"set status = 'dead', due_ms = null, worker = null, settled_ms = \?2, last_error = \?3\n"
		"where id = \?1",
	[STMT_job_bury_worn] =
		"update _knocker_job\n"
		"set status = 'dead', due_ms = null, worker = null, settled_ms = \?3, last_error = \?4\n"
		"where id = \?1 and claims = \?2 and worker is not null",
	[STMT_job_claim_row] =
		"select j.queue, case when j.topic > 0 then null else j.payload end, j.worker, j.claims, coalesce(j.m"
		"ax_attempts, e.max_attempts),\n"
		"       j.due_ms, j.delivery_id\n"
		"from _knocker_job j\n"
		"left join _knocker_endpoint e on e.id = j.topic\n"
		"where j.id = \?1",
	[STMT_job_delete] =
		"delete from _knocker_job where id = \?1",
	[STMT_job_drop] =
		"update _knocker_job\n"
		"set due_ms = null, worker = null\n"
		"where id = \?1",
	[STMT_job_due] =
		"select id, claims, worker is not null, expired, alone, expires_ms, status <> 'received' and status <"
		"> 'failed'\n"
		"from _knocker_job\n"
		"where queue = \?1 and topic = \?2 and due_ms <= \?3\n"
		"order by due_ms, id\n"
		"limit \?4",
	[STMT_job_due_first] =
		"select due_ms\n"
		"from _knocker_job\n"
		"where queue = \?1 and topic = \?2 and due_ms is not null\n"
		"order by due_ms\n"
		"limit 1",
	[STMT_job_extend] =
		"update _knocker_job\n"
		"set due_ms = \?3\n"
		"where id = \?1 and claims = \?2 and worker is not null",
	[STMT_job_get] =
		"select claims, worker, due_ms, status, topic, attempt_count, max_attempts, delivery_id, queue\n"
		"from _knocker_job\n"
		"where id = \?1",
	[STMT_job_ignore] =
		"update _knocker_job\n"
		"set status = 'ignored', due_ms = null, worker = null, settled_ms = \?2, last_error = \?3\n"
		"where id = \?1",
	[STMT_job_insert_event] =
		"insert into _knocker_job (id, queue, topic, kind, due_ms, max_attempts)\n"
		"values (\?1, \?2, \?3, \?4, \?5, \?6)",
	[STMT_job_insert_plain] =
		"insert into _knocker_job (id, queue, topic, due_ms, max_attempts, payload, expires_ms)\n"
		"values (\?1, \?2, \?3, \?4, \?5, \?6, \?7)",
	[STMT_job_lease] =
		"update _knocker_job\n"
		"set due_ms = \?2, worker = \?3, claims = claims + 1, alone = \?4, expired = \?5\n"
		"where id = \?1",
	[STMT_job_list] =
		"select j.id, j.queue as queue_name, e.name as endpoint, case when j.topic > 0 then j.id end as event"
		"_id, j.delivery_id,\n"
		"       j.due_ms / 1000 as due_at, j.worker as worker_id, j.claims, j.payload\n"
		"from _knocker_job j\n"
		"left join _knocker_endpoint e on e.id = j.topic\n"
		"where j.due_ms is not null and j.id < \?1 and (\?2 is null or j.topic = \?2)\n"
		"order by j.due_ms, j.id\n"
		"limit \?3",
	[STMT_job_mark] =
		"update _knocker_job\n"
		"set status = \?3, attempt_count = attempt_count + \?4, settled_ms = \?5, last_error = \?6\n"
		"where id = \?1 and claims = \?2 and worker is not null",
	[STMT_job_redate] =
		"update _knocker_job\n"
		"set due_ms = max(\?2, due_ms - \?3)\n"
		"where topic > 0 and due_ms >= \?1",
	[STMT_job_release] =
		"update _knocker_job\n"
		"set due_ms = \?3, worker = null, alone = 0\n"
		"where id = \?1 and claims = \?2 and worker is not null",
	[STMT_job_requeue_held] =
		"update _knocker_job\n"
		"set due_ms = \?3, worker = null, last_error = coalesce(\?4, last_error)\n"
		"where id = \?1 and claims = \?2 and worker is not null",
	[STMT_job_reset] =
		"update _knocker_job\n"
		"set status = 'received', attempt_count = 0, due_ms = null, worker = null, settled_ms = null, last_er"
		"ror = null, delivery_id = null\n"
		"where id = \?1",
	[STMT_job_settle] =
		"update _knocker_job\n"
		"set status = coalesce(\?3, status), due_ms = \?4, worker = null, attempt_count = attempt_count + \?5, s"
		"ettled_ms = \?6,\n"
		"    last_error = \?7, expired = 0, alone = 0\n"
		"where id = \?1 and claims = \?2 and worker is not null",
	[STMT_job_topic_next] =
		"select topic\n"
		"from _knocker_job\n"
		"where queue = \?1 and due_ms is not null and topic > \?2\n"
		"order by topic\n"
		"limit 1",
	[STMT_job_unqueue] =
		"update _knocker_job\n"
		"set due_ms = null, worker = null\n"
		"where id = \?1 and claims = \?2 and worker is not null",
	[STMT_meta_add] =
		"insert into _knocker_meta (key, value)\n"
		"values (\?1, \?2)\n"
		"on conflict (key) do update set value = value + excluded.value",
	[STMT_meta_get] =
		"select value from _knocker_meta where key = \?1",
	[STMT_meta_set] =
		"insert into _knocker_meta (key, value)\n"
		"values (\?1, \?2)\n"
		"on conflict (key) do update set value = excluded.value",
	[STMT_orphan_adopt] =
		"update _knocker_delivery\n"
		"set event_id = \?2, signature_valid = 1, event_type = \?3, provider_event_id = \?4, provider_delivery_i"
		"d = \?5, dedupe_key = \?6\n"
		"where id = \?1 and event_id is null",
	[STMT_orphan_next] =
		"select id, received_ms, signature_error, event_type, provider_event_id, provider_delivery_id, method"
		", query, headers, body,\n"
		"       coalesce(length(body), 0) + length(cast(headers as blob))\n"
		"from _knocker_delivery\n"
		"where endpoint_id = \?1 and event_id is null and id > \?2\n"
		"order by id\n"
		"limit 1",
	[STMT_orphan_oldest] =
		"select id, coalesce(length(body), 0) + length(cast(headers as blob))\n"
		"from _knocker_delivery\n"
		"where endpoint_id = \?1 and event_id is null\n"
		"order by id\n"
		"limit 1",
	[STMT_orphan_prune_ids] =
		"select d.id, d.endpoint_id, coalesce(length(d.body), 0) + length(cast(d.headers as blob))\n"
		"from _knocker_endpoint e\n"
		"cross join _knocker_delivery d on d.endpoint_id = e.id\n"
		"where d.event_id is null and d.id > \?3 and d.id < \?1\n"
		"order by d.id\n"
		"limit \?2",
	[STMT_orphan_twin] =
		"select id, signature_error\n"
		"from _knocker_delivery\n"
		"where endpoint_id = \?1 and event_id is null and provider_event_id = \?2\n"
		"order by id desc\n"
		"limit 1",
	[STMT_stats_endpoints] =
		"select id, name, orphan_rows, orphan_bytes, orphans_dropped from _knocker_endpoint order by name",
	[STMT_stats_jobs] =
		"select count(*) from _knocker_job where status = 'handled'",
	[STMT_stats_queue] =
		"select topic, count(*), sum(due_ms <= \?1), min(iif(worker is null or due_ms <= \?1, due_ms, null)),\n"
		"       sum(worker is not null and (status = 'received' or status = 'failed'))\n"
		"from _knocker_job\n"
		"where due_ms is not null\n"
		"group by topic",
	[STMT_stats_rare] =
		"select topic, status, count(*)\n"
		"from _knocker_job indexed by _knocker_job_rare\n"
		"where (status = 'failed' or status = 'dead' or status = 'ignored') and (worker is null or status <> "
		"'failed')\n"
		"group by topic, status",
};
#pragma GCC diagnostic pop

__attribute__((unused)) static const char *const statement_names[STATEMENT_COUNT] = {
	[STMT_attempt_count] = "attempt_count",
	[STMT_attempt_delete] = "attempt_delete",
	[STMT_attempt_insert] = "attempt_insert",
	[STMT_attempt_list] = "attempt_list",
	[STMT_attempt_list_all] = "attempt_list_all",
	[STMT_audit_insert] = "audit_insert",
	[STMT_audit_list] = "audit_list",
	[STMT_db_begin] = "db_begin",
	[STMT_db_commit] = "db_commit",
	[STMT_db_rollback] = "db_rollback",
	[STMT_db_savepoint] = "db_savepoint",
	[STMT_db_savepoint_release] = "db_savepoint_release",
	[STMT_db_savepoint_rollback] = "db_savepoint_rollback",
	[STMT_db_synchronous] = "db_synchronous",
	[STMT_db_table_exists] = "db_table_exists",
	[STMT_db_wal] = "db_wal",
	[STMT_delivery_count] = "delivery_count",
	[STMT_delivery_delete] = "delivery_delete",
	[STMT_delivery_delete_repeats] = "delivery_delete_repeats",
	[STMT_delivery_event] = "delivery_event",
	[STMT_delivery_get] = "delivery_get",
	[STMT_delivery_insert] = "delivery_insert",
	[STMT_delivery_list] = "delivery_list",
	[STMT_delivery_list_event] = "delivery_list_event",
	[STMT_delivery_of_key] = "delivery_of_key",
	[STMT_delivery_redate] = "delivery_redate",
	[STMT_endpoint_find] = "endpoint_find",
	[STMT_endpoint_get] = "endpoint_get",
	[STMT_endpoint_list] = "endpoint_list",
	[STMT_endpoint_of_path] = "endpoint_of_path",
	[STMT_endpoint_orphans_add] = "endpoint_orphans_add",
	[STMT_endpoint_pause] = "endpoint_pause",
	[STMT_endpoint_paused_ids] = "endpoint_paused_ids",
	[STMT_endpoint_policy] = "endpoint_policy",
	[STMT_endpoint_upsert] = "endpoint_upsert",
	[STMT_event_get] = "event_get",
	[STMT_event_list] = "event_list",
	[STMT_event_list_rare] = "event_list_rare",
	[STMT_event_of_claim] = "event_of_claim",
	[STMT_event_of_work] = "event_of_work",
	[STMT_event_prune_ids] = "event_prune_ids",
	[STMT_event_why] = "event_why",
	[STMT_id_first] = "id_first",
	[STMT_id_floor_keep] = "id_floor_keep",
	[STMT_id_floor_raise] = "id_floor_raise",
	[STMT_id_last] = "id_last",
	[STMT_id_next] = "id_next",
	[STMT_id_since] = "id_since",
	[STMT_job_again] = "job_again",
	[STMT_job_bury] = "job_bury",
	[STMT_job_bury_worn] = "job_bury_worn",
	[STMT_job_claim_row] = "job_claim_row",
	[STMT_job_delete] = "job_delete",
	[STMT_job_drop] = "job_drop",
	[STMT_job_due] = "job_due",
	[STMT_job_due_first] = "job_due_first",
	[STMT_job_extend] = "job_extend",
	[STMT_job_get] = "job_get",
	[STMT_job_ignore] = "job_ignore",
	[STMT_job_insert_event] = "job_insert_event",
	[STMT_job_insert_plain] = "job_insert_plain",
	[STMT_job_lease] = "job_lease",
	[STMT_job_list] = "job_list",
	[STMT_job_mark] = "job_mark",
	[STMT_job_redate] = "job_redate",
	[STMT_job_release] = "job_release",
	[STMT_job_requeue_held] = "job_requeue_held",
	[STMT_job_reset] = "job_reset",
	[STMT_job_settle] = "job_settle",
	[STMT_job_topic_next] = "job_topic_next",
	[STMT_job_unqueue] = "job_unqueue",
	[STMT_meta_add] = "meta_add",
	[STMT_meta_get] = "meta_get",
	[STMT_meta_set] = "meta_set",
	[STMT_orphan_adopt] = "orphan_adopt",
	[STMT_orphan_next] = "orphan_next",
	[STMT_orphan_oldest] = "orphan_oldest",
	[STMT_orphan_prune_ids] = "orphan_prune_ids",
	[STMT_orphan_twin] = "orphan_twin",
	[STMT_stats_endpoints] = "stats_endpoints",
	[STMT_stats_jobs] = "stats_jobs",
	[STMT_stats_queue] = "stats_queue",
	[STMT_stats_rare] = "stats_rare",
};

#endif


#define DB_SQLITE_FLOOR 3037000

struct query {
	sqlite3_stmt *statement;
	db *owner;
};

/* ---- errors ---- */

static int32_t db_code(int rc, int32_t otherwise)
{
	switch (rc & 0xFF) {
	case SQLITE_BUSY:
	case SQLITE_LOCKED:
		return KNOCKER_BUSY;
	case SQLITE_CORRUPT:
		return KNOCKER_CORRUPT;
	case SQLITE_FULL:
	case SQLITE_IOERR:
	case SQLITE_READONLY:
	case SQLITE_CANTOPEN:
	case SQLITE_NOTADB:
	case SQLITE_NOMEM:
		return KNOCKER_STORAGE;
	default:
		return otherwise;
	}
}

int32_t db_fail(const db *d, int rc, int32_t otherwise, knocker_error *error)
{
	int32_t code = db_code(rc, otherwise);

	if (code == KNOCKER_BUSY && rc == SQLITE_BUSY_SNAPSHOT)
		return fail(
			error, code,
			"the transaction began by reading and its snapshot is old: start it with BEGIN IMMEDIATE");
	if (code == KNOCKER_BUSY && d->adopted)
		return fail(
			error, code,
			"another connection writes to the file, and this one's busy timeout has passed");
	if (code == KNOCKER_BUSY)
		return fail(error, code,
		            "another connection writes to the file and did not finish within %lld ms",
		            (long long)d->busy_timeout_ms);
	return fail(error, code, "%s", d->handle ? sqlite3_errmsg(d->handle) : sqlite3_errstr(rc));
}

/* Sleeps of at most 1 ms: with SQLite's own back-off a second process waited for more than a
 * second. */
static int db_busy(void *context, int count)
{
	db *d = context;
	struct timespec nap = {0, count < 4 ? 100000 : 1000000};
	int64_t now = clock_monotonic_ms();

	if (count == 0)
		d->busy_since_ms = d->patient_since_ms ? d->patient_since_ms : now;
	if (now - d->busy_since_ms >= d->busy_timeout_ms)
		return 0;
	nanosleep(&nap, NULL);
	return 1;
}

void db_patient_since(db *d, int64_t since_ms)
{
	d->patient_since_ms = since_ms;
}

/* ---- statements ---- */

int32_t db_compile(db *d, enum statement s, sqlite3_stmt **out, knocker_error *error)
{
	int rc = SQLITE_OK;

	*out = d->kept[s];
	if (*out == NULL)
		rc = sqlite3_prepare_v3(d->handle, statement_texts[s], -1,
		                        d->adopted ? 0 : SQLITE_PREPARE_PERSISTENT, out, NULL);
	if (rc != SQLITE_OK)
		return db_fail(d, rc, KNOCKER_STORAGE, error);
	if (!d->adopted)
		d->kept[s] = *out;
	return 0;
}

static int db_bind_one(sqlite3_stmt *statement, int at, const knocker_value *v)
{
	knocker_bytes b = !v->bytes.data     ? (knocker_bytes){"", 0}
	                  : v->bytes.len < 0 ? bytes_of(v->bytes.data)
	                                     : v->bytes;

	switch (v->type) {
	case KNOCKER_INTEGER:
		return sqlite3_bind_int64(statement, at, v->integer);
	case KNOCKER_REAL:
		return sqlite3_bind_double(statement, at, v->real);
	case KNOCKER_TEXT:
		return sqlite3_bind_text64(statement, at, b.data, (sqlite3_uint64)b.len, SQLITE_STATIC,
		                           SQLITE_UTF8);
	case KNOCKER_BLOB:
		return sqlite3_bind_blob64(statement, at, b.data, (sqlite3_uint64)b.len, SQLITE_STATIC);
	default:
		return sqlite3_bind_null(statement, at);
	}
}

int db_bind(sqlite3_stmt *statement, const knocker_value *values, int32_t count)
{
	int rc = SQLITE_OK;
	int i;

	for (i = 0; i < count && rc == SQLITE_OK; i++)
		rc = db_bind_one(statement, i + 1, &values[i]);
	return rc;
}

/* Ends a use of a statement; what is not kept is finalized. */
static void db_end(db *d, sqlite3_stmt *statement)
{
	if (d->adopted)
		sqlite3_finalize(statement);
	else
		sqlite3_reset(statement);
}

int32_t db_run(db *d, enum statement s, const knocker_value *values, int32_t count,
               int64_t *changes, knocker_error *error)
{
	sqlite3_stmt *statement;
	int32_t rc = db_compile(d, s, &statement, error);
	int step;

	if (rc < 0)
		return rc;
	step = db_bind(statement, values, count);
	if (step == SQLITE_OK)
		step = sqlite3_step(statement);
	if (step != SQLITE_DONE && step != SQLITE_ROW)
		rc = db_fail(d, sqlite3_extended_errcode(d->handle), KNOCKER_STORAGE, error);
	else if (changes)
		*changes = sqlite3_changes(d->handle);
	db_end(d, statement);
	return rc;
}

int32_t db_query(db *d, enum statement s, const knocker_value *values, int32_t count, query **out,
                 knocker_error *error)
{
	query *q = memory_get(sizeof *q);
	int32_t rc = q ? db_compile(d, s, &q->statement, error) : fail_memory(error);

	*out = NULL;
	if (rc < 0) {
		memory_free(q);
		return rc;
	}
	q->owner = d;
	*out = q;
	if (db_bind(q->statement, values, count) != SQLITE_OK)
		return db_fail(d, sqlite3_extended_errcode(d->handle), KNOCKER_STORAGE, error);
	return db_next(q, error);
}

int32_t db_next(query *q, knocker_error *error)
{
	int step = sqlite3_step(q->statement);

	if (step == SQLITE_ROW)
		return 0;
	if (step == SQLITE_DONE)
		return 1;
	return db_fail(q->owner, sqlite3_extended_errcode(q->owner->handle), KNOCKER_STORAGE, error);
}

int64_t db_int(query *q, int32_t column)
{
	return sqlite3_column_int64(q->statement, column);
}

bool db_null(query *q, int32_t column)
{
	return sqlite3_column_type(q->statement, column) == SQLITE_NULL;
}

static knocker_value db_value(sqlite3_stmt *statement, int32_t column)
{
	knocker_value v = {0};
	const void *data = NULL;

	switch (sqlite3_column_type(statement, column)) {
	case SQLITE_INTEGER:
		return value_int(sqlite3_column_int64(statement, column));
	case SQLITE_FLOAT:
		v.type = KNOCKER_REAL;
		v.real = sqlite3_column_double(statement, column);
		return v;
	case SQLITE_TEXT:
		v.type = KNOCKER_TEXT;
		data = sqlite3_column_text(statement, column);
		break;
	case SQLITE_BLOB:
		v.type = KNOCKER_BLOB;
		data = sqlite3_column_blob(statement, column);
		break;
	default:
		return v;
	}
	v.bytes.data = data ? data : "";
	v.bytes.len = sqlite3_column_bytes(statement, column);
	return v;
}

knocker_bytes db_text(query *q, int32_t column)
{
	knocker_value v = db_value(q->statement, column);

	return v.type == KNOCKER_TEXT || v.type == KNOCKER_BLOB ? v.bytes : (knocker_bytes){0};
}

void db_done(query *q)
{
	if (!q)
		return;
	db_end(q->owner, q->statement);
	memory_free(q);
}

int32_t db_int_of(db *d, enum statement s, const knocker_value *values, int32_t count,
                  int64_t missing, int64_t *out, knocker_error *error)
{
	query *q;
	int32_t rc = db_query(d, s, values, count, &q, error);

	*out = rc == 0 && !db_null(q, 0) ? db_int(q, 0) : missing;
	db_done(q);
	return rc < 0 ? rc : 0;
}

/* ---- rows ---- */

/* One row, copied; `values` has room for every column. */
static int32_t db_collect_row(sqlite3_stmt *statement, knocker_value *values, knocker_rows *rows,
                              knocker_error *error)
{
	int i, columns = sqlite3_column_count(statement);

	for (i = 0; i < columns; i++)
		values[i] = db_value(statement, i);
	return rows_add(rows, values, error);
}

/* Steps to the end. 0: all rows; 1: stopped at LIMIT_LIST_BYTES; a SQLite failure is -1 with
 * nothing said yet. */
int32_t db_collect(sqlite3_stmt *statement, knocker_rows *rows, bool *failed, knocker_error *error)
{
	int columns = sqlite3_column_count(statement), step = SQLITE_DONE, i;
	knocker_value *values = memory_get((size_t)(columns + 1) * sizeof *values);
	int32_t rc = values ? 0 : fail_memory(error);

	for (i = 0; rc == 0 && i < columns; i++)
		rc = rows_column(rows, sqlite3_column_name(statement, i), error);
	while (rc == 0 && (step = sqlite3_step(statement)) == SQLITE_ROW) {
		if (rows_count(rows) > 0 && rows_bytes(rows) >= LIMIT_LIST_BYTES)
			rc = 1;
		else
			rc = db_collect_row(statement, values, rows, error);
	}
	*failed = rc == 0 && step != SQLITE_DONE;
	memory_free(values);
	return rc;
}

int32_t db_rows(db *d, enum statement s, const knocker_value *values, int32_t count,
                knocker_rows **out, knocker_error *error)
{
	sqlite3_stmt *statement = NULL;
	bool failed = false;
	int32_t rc = rows_new("", out, error);

	if (rc == 0)
		rc = db_compile(d, s, &statement, error);
	if (rc == 0) {
		failed = db_bind(statement, values, count) != SQLITE_OK;
		if (!failed)
			rc = db_collect(statement, *out, &failed, error);
		if (failed)
			rc = db_fail(d, sqlite3_extended_errcode(d->handle), KNOCKER_STORAGE, error);
		db_end(d, statement);
	}
	if (rc < 0) {
		knocker_rows_free(*out);
		*out = NULL;
		return rc;
	}
	return 0;
}

/* ---- opening ---- */

int64_t db_synchronous_level(db *d)
{
	int64_t level = 2;

	db_int_of(d, STMT_db_synchronous, NO_VALUES, 2, &level, NULL);
	return level;
}

bool db_table_exists(db *d, const char *name)
{
	int64_t there = 0;

	db_int_of(d, STMT_db_table_exists, VALUES(TEXT(bytes_of(name))), 0, &there, NULL);
	return there != 0;
}

const char *db_file(const db *d)
{
	const char *file = sqlite3_db_filename(d->handle, "main");

	return file ? file : "";
}

static int32_t db_wal_once(db *d, knocker_error *error)
{
	query *q;
	int32_t rc = db_query(d, STMT_db_wal, NO_VALUES, &q, error);

	if (rc == 0 && !bytes_is(db_text(q, 0), "wal"))
		rc = fail(error, KNOCKER_STORAGE,
		          "the database cannot be put in WAL mode: it stays in mode '%.*s'",
		          QUOTED(db_text(q, 0)));
	db_done(q);
	return rc;
}

/* Of two who change the mode at once SQLite tells one that it is busy, without asking how long it
 * would wait. */
int32_t db_wal(db *d, knocker_error *error)
{
	const struct timespec nap = {0, 1000000};
	int64_t end_ms = clock_monotonic_ms() + d->busy_timeout_ms;
	knocker_error last;
	int32_t rc;

	while ((rc = db_wal_once(d, &last)) == KNOCKER_BUSY && clock_monotonic_ms() < end_ms)
		nanosleep(&nap, NULL);
	if (rc < 0 && error)
		*error = last;
	return rc;
}

static int32_t db_initiate(db *d, knocker_bytes init_sql, knocker_error *error)
{
	char *text = sqlite3_mprintf("%.*s", (int)init_sql.len, (const char *)init_sql.data);
	int32_t rc = text ? db_script(d, text, error) : fail_memory(error);

	sqlite3_free(text);
	if (rc == 0 && db_in_transaction(d))
		rc = fail(error, KNOCKER_INVALID_ARGUMENT, "init_sql leaves a transaction open: end it");
	return rc;
}

/* 16 MB of pages: with a million events stored each dedupe key lies on another page. */
#define DB_WRITER "pragma foreign_keys = 1; pragma cache_size = -16000"

static int32_t db_configure(db *d, const db_options *options, knocker_error *error)
{
	int32_t rc;

	sqlite3_extended_result_codes(d->handle, 1);
	sqlite3_busy_handler(d->handle, db_busy, d);
	rc = db_script(d, options->reader ? "pragma query_only = 1" : DB_WRITER, error);
	if (rc == 0 && options->init_sql.data)
		rc = db_initiate(d, options->init_sql, error);
	/* After init_sql, whose busy_timeout and wal_autocheckpoint would take the place of these. */
	sqlite3_busy_handler(d->handle, db_busy, d);
	sqlite3_wal_hook(d->handle, db_committed, d);
	sqlite3_set_authorizer(d->handle, db_authorize, d);
	return rc;
}

static int32_t db_new(db **out, knocker_error *error)
{
	db *d;

	*out = NULL;
	if (sqlite3_libversion_number() < DB_SQLITE_FLOOR)
		return fail(error, KNOCKER_STORAGE, "SQLite %s is too old: 3.37 is the floor",
		            sqlite3_libversion());
	d = memory_get(sizeof *d);
	if (!d)
		return fail_memory(error);
	memset(d, 0, sizeof *d);
	d->full = -1;
	*out = d;
	return 0;
}

int32_t db_open(const db_options *options, db **out, knocker_error *error)
{
	char path[4096];
	int32_t rc;
	int opened;

	*out = NULL;
	if (options->path.len <= 0 || options->path.len >= (int64_t)sizeof path ||
	    memchr(options->path.data, '\0', (size_t)options->path.len))
		return fail(error, KNOCKER_INVALID_ARGUMENT,
		            "path is empty, holds a NUL or is over %zu bytes", sizeof path - 1);
	memcpy(path, options->path.data, (size_t)options->path.len);
	path[options->path.len] = '\0';
	rc = db_new(out, error);
	if (rc < 0)
		return rc;
	(*out)->busy_timeout_ms = options->busy_timeout_ms;
	opened = sqlite3_open_v2(path, &(*out)->handle,
	                         SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX |
	                             (options->existing ? 0 : SQLITE_OPEN_CREATE),
	                         NULL);
	if (opened == SQLITE_OK)
		rc = db_configure(*out, options, error);
	else
		rc = fail(error, db_code(opened, KNOCKER_STORAGE), "'%.150s': %s", path,
		          (*out)->handle ? sqlite3_errmsg((*out)->handle) : sqlite3_errstr(opened));
	if (rc < 0) {
		db_close(*out);
		*out = NULL;
	}
	return rc;
}

int32_t db_adopt(void *sqlite3_connection, db **out, knocker_error *error)
{
	int32_t rc = db_new(out, error);

	if (rc < 0)
		return rc;
	(*out)->handle = sqlite3_connection;
	(*out)->adopted = true;
	sqlite3_wal_hook((*out)->handle, db_committed, *out);
	return 0;
}

void db_forget(db *d)
{
	int i;

	for (i = 0; i < STATEMENT_COUNT; i++) {
		sqlite3_finalize(d->kept[i]);
		d->kept[i] = NULL;
	}
	for (i = 0; i < DB_TEXTS; i++) {
		sqlite3_finalize(d->texts[i]);
		d->texts[i] = NULL;
	}
}

void db_close(db *d)
{
	if (!d)
		return;
	if (!d->adopted) {
		db_forget(d);
		sqlite3_close_v2(d->handle);
	}
	memory_free(d);
}

/* ==== core/src/db_text.c ==== */

/* An application's own statement, in a handler's transaction or on a reader: what is refused there,
 * and why it failed. Knows nothing of our statements. */
#include <string.h>





static bool db_pragma_allowed(const char *name, const char *argument)
{
	static const char *const reads[] = {"table_info",       "table_xinfo",       "table_list",
	                                    "index_info",       "index_xinfo",       "index_list",
	                                    "foreign_key_list", "foreign_key_check", "integrity_check",
	                                    "quick_check",      "defer_foreign_keys"};
	static const char *const without_argument[] = {"foreign_keys",   "user_version",
	                                               "application_id", "data_version",
	                                               "page_count",     "page_size",
	                                               "encoding",       "journal_mode",
	                                               "synchronous",    "compile_options"};
	size_t i;

	for (i = 0; i < sizeof reads / sizeof *reads; i++)
		if (sqlite3_stricmp(name, reads[i]) == 0)
			return true;
	for (i = 0; !argument && i < sizeof without_argument / sizeof *without_argument; i++)
		if (sqlite3_stricmp(name, without_argument[i]) == 0)
			return true;
	return false;
}

static bool db_is_ours(const char *name)
{
	return name && sqlite3_strnicmp(name, "_knocker", 8) == 0;
}

static const char *db_refusal(int action, const char *first, const char *second)
{
	switch (action) {
	case SQLITE_TRANSACTION:
		return "BEGIN, COMMIT and ROLLBACK are refused here: Knocker ends this transaction itself";
	case SQLITE_ATTACH:
	case SQLITE_DETACH:
		return "ATTACH and DETACH are refused here: use init_sql";
	case SQLITE_PRAGMA:
		return db_pragma_allowed(first, second) ? NULL
		                                        : "this PRAGMA is refused here: use init_sql";
	case SQLITE_SAVEPOINT:
		return db_is_ours(second) ? "savepoints named _knocker are Knocker's own" : NULL;
	case SQLITE_INSERT:
	case SQLITE_UPDATE:
	case SQLITE_DELETE:
	case SQLITE_DROP_TABLE:
	case SQLITE_ALTER_TABLE:
	case SQLITE_DROP_INDEX:
		return db_is_ours(first) || (action == SQLITE_ALTER_TABLE && db_is_ours(second))
		           ? "tables named _knocker_ are Knocker's own"
		           : NULL;
	case SQLITE_DROP_VIEW:
		return sqlite3_strnicmp(first, "knocker_", 8) == 0
		           ? "views named knocker_ are Knocker's own"
		           : NULL;
	default:
		return NULL;
	}
}

int db_authorize(void *context, int action, const char *first, const char *second,
                 const char *schema, const char *trigger)
{
	db *d = context;
	const char *refusal = d->guarded ? db_refusal(action, first, second) : NULL;

	(void)schema;
	(void)trigger;
	/* It would leave the reader in a transaction, and all its later calls in that snapshot. */
	if (d->guarded && action == SQLITE_SAVEPOINT && !db_in_transaction(d))
		refusal = "SAVEPOINT is refused here: a query stands outside any transaction";
	if (!refusal)
		return SQLITE_OK;
	d->refusal = refusal;
	return SQLITE_DENY;
}

/* Says why the application's statement failed. */
static int32_t db_text_fail(db *d, knocker_error *error)
{
	int rc = sqlite3_extended_errcode(d->handle);

	if ((rc & 0xFF) == SQLITE_AUTH && d->refusal)
		return fail(error, KNOCKER_SQL, "%s", d->refusal);
	return db_fail(d, rc, KNOCKER_SQL, error);
}

static int32_t db_text_check_values(const db_text_statement *s, knocker_error *error)
{
	int32_t i;

	if (s->count > 0 && !s->values)
		return fail(error, KNOCKER_INVALID_ARGUMENT, "values is NULL, but count is %d",
		            (int)s->count);
	for (i = 0; i < s->count; i++)
		if (s->values[i].type < KNOCKER_NULL || s->values[i].type > KNOCKER_BLOB)
			return fail(error, KNOCKER_INVALID_ARGUMENT,
			            "value %d has type %lld: none of KNOCKER_NULL to KNOCKER_BLOB", (int)i + 1,
			            (long long)s->values[i].type);
	return 0;
}

/* ---- a handler's writes run again and again: the last few stay compiled ---- */

static bool db_text_is(sqlite3_stmt *statement, knocker_bytes sql)
{
	return statement && sql.data && bytes_is(sql, sqlite3_sql(statement));
}

/* Gives back what was kept of this text, which then is kept no more. */
static sqlite3_stmt *db_text_take(db *d, knocker_bytes sql)
{
	sqlite3_stmt *found = NULL;
	int i;

	for (i = 0; i < DB_TEXTS && !found; i++)
		if (db_text_is(d->texts[i], sql)) {
			found = d->texts[i];
			d->texts[i] = NULL;
		}
	return found;
}

/* Only what writes rows and gives none: columns are counted before SQLite looks whether the schema
 * is still that for which a statement was compiled. */
static bool db_text_may_stay(const db *d, sqlite3_stmt *statement, knocker_bytes sql)
{
	static const char *const verbs[] = {"insert ", "update ", "delete ", "replace "};
	size_t i;

	if (d->adopted || !db_text_is(statement, sql) || sqlite3_column_count(statement) > 0)
		return false;
	for (i = 0; i < sizeof verbs / sizeof *verbs; i++)
		if (sqlite3_strnicmp(sqlite3_sql(statement), verbs[i], (int)strlen(verbs[i])) == 0)
			return true;
	return false;
}

static void db_text_end(db *d, sqlite3_stmt *statement, knocker_bytes sql, bool well)
{
	int i;

	if (!well || !db_text_may_stay(d, statement, sql)) {
		sqlite3_finalize(statement);
		return;
	}
	sqlite3_reset(statement);
	sqlite3_clear_bindings(statement);
	for (i = 0; i < DB_TEXTS && d->texts[i]; i++)
		;
	if (i == DB_TEXTS) {
		i = d->text_next;
		d->text_next = (i + 1) % DB_TEXTS;
	}
	sqlite3_finalize(d->texts[i]);
	d->texts[i] = statement;
}

/* Compiles exactly one statement. */
static int32_t db_text_compile_new(db *d, const db_text_statement *s, sqlite3_stmt **out,
                                   knocker_error *error)
{
	const char *text = s->sql.data, *tail = NULL;
	sqlite3_stmt *more = NULL;
	int rc;

	if (!text || s->sql.len > LIMIT_JSON || memchr(text, '\0', (size_t)s->sql.len))
		return fail(error, KNOCKER_INVALID_ARGUMENT,
		            "sql is missing, holds a NUL or is over %d bytes", LIMIT_JSON);
	rc = sqlite3_prepare_v2(d->handle, text, (int)s->sql.len, out, &tail);
	if (rc != SQLITE_OK)
		return db_text_fail(d, error);
	if (!*out)
		return fail(error, KNOCKER_INVALID_ARGUMENT, "sql holds no statement");
	if (tail < text + s->sql.len &&
	    (sqlite3_prepare_v2(d->handle, tail, (int)(s->sql.len - (tail - text)), &more, NULL) !=
	         SQLITE_OK ||
	     more)) {
		sqlite3_finalize(more);
		return fail(error, KNOCKER_INVALID_ARGUMENT,
		            "sql holds more than one statement: run them one by one");
	}
	return 0;
}

/* The statement, with as many parameters as there are values. */
static int32_t db_text_compile(db *d, const db_text_statement *s, sqlite3_stmt **out,
                               knocker_error *error)
{
	int32_t rc = 0;

	*out = db_text_take(d, s->sql);
	if (!*out)
		rc = db_text_compile_new(d, s, out, error);
	if (rc < 0)
		return rc;
	if (sqlite3_bind_parameter_count(*out) != s->count)
		return fail(error, KNOCKER_INVALID_ARGUMENT,
		            "sql has %d parameters, but %d values were given",
		            sqlite3_bind_parameter_count(*out), (int)s->count);
	return 0;
}

static int32_t db_text_step(db *d, sqlite3_stmt *statement, knocker_rows *rows,
                            knocker_error *error)
{
	bool failed = false;
	int step;
	int32_t rc = 0;

	if (rows) {
		rc = db_collect(statement, rows, &failed, error);
		if (rc == 1)
			return fail(error, KNOCKER_INVALID_ARGUMENT,
			            "the result is over %d bytes: read it in parts", LIMIT_LIST_BYTES);
		return failed ? db_text_fail(d, error) : rc;
	}
	do
		step = sqlite3_step(statement);
	while (step == SQLITE_ROW);
	return step == SQLITE_DONE ? 0 : db_text_fail(d, error);
}

int32_t db_text_run(db *d, const db_text_statement *s, knocker_rows **rows, int64_t *changes,
                    int64_t *last_id, knocker_error *error)
{
	sqlite3_stmt *statement = NULL;
	int before = sqlite3_total_changes(d->handle);
	int32_t rc = rows ? rows_new("", rows, error) : 0;

	d->guarded = true;
	d->refusal = NULL;
	if (rc == 0)
		rc = db_text_check_values(s, error);
	if (rc == 0)
		rc = db_text_compile(d, s, &statement, error);
	if (rc == 0 && db_bind(statement, s->values, s->count) != SQLITE_OK)
		rc = db_text_fail(d, error);
	if (rc == 0)
		rc = db_text_step(d, statement, rows ? *rows : NULL, error);
	db_text_end(d, statement, s->sql, rc == 0);
	d->guarded = false;
	if (changes)
		*changes = rc == 0 && sqlite3_total_changes(d->handle) != before
		               ? sqlite3_changes(d->handle)
		               : 0;
	if (last_id)
		*last_id = sqlite3_last_insert_rowid(d->handle);
	if (rc < 0 && rows) {
		knocker_rows_free(*rows);
		*rows = NULL;
	}
	return rc;
}

/* ==== core/src/db_transaction.c ==== */

/* Transactions, savepoints, and what happens when a commit has become visible. */




#define DB_OWNER_PAGES 1000 /* as SQLite's automatic checkpoint, which the hook replaces */
/* 40 MB, on our own connection: a checkpoint syncs twice, and with a million events stored most of
 * its pages lie apart, each written for one receipt. docs/performance.md has the figures. */
#define DB_CHECKPOINT_PAGES 10000

/* One that fails for want of memory is tried again: the writer is nobody's until it is done. */
enum { DB_ROLLBACK_TRIES = 3 };

int32_t db_script(db *d, const char *sql, knocker_error *error)
{
	int rc = sqlite3_exec(d->handle, sql, NULL, NULL, NULL);

	return rc == SQLITE_OK
	           ? 0
	           : db_fail(d, sqlite3_extended_errcode(d->handle), KNOCKER_STORAGE, error);
}

/* The way back is compiled before it is needed: without memory it could not be gone. On an adopted
 * connection nothing may be kept. */
static int32_t db_way_back(db *d, enum statement s, knocker_error *error)
{
	sqlite3_stmt *statement;

	return d->adopted ? 0 : db_compile(d, s, &statement, error);
}

/* Without memory SQLite may say that it failed when it has begun. */
int32_t db_begin(db *d, knocker_error *error)
{
	bool before = db_in_transaction(d);
	int32_t rc = db_way_back(d, STMT_db_rollback, error);

	d->due_marked = false;
	if (rc == 0)
		rc = db_run(d, STMT_db_begin, NO_VALUES, NULL, error);
	if (rc < 0 && !before)
		db_rollback(d);
	return rc;
}

int32_t db_commit(db *d, knocker_error *error)
{
	return db_run(d, STMT_db_commit, NO_VALUES, NULL, error);
}

/* Ends what is open. After somebody changed the schema SQLite compiles even a ROLLBACK anew: where
 * there is no memory for that, pages are given back that were only kept for later. */
static void db_insist(db *d, enum statement s)
{
	int32_t rc = KNOCKER_STORAGE;
	int tries;

	for (tries = 0; rc < 0 && tries < DB_ROLLBACK_TRIES && db_in_transaction(d); tries++) {
		if (tries > 0)
			sqlite3_db_release_memory(d->handle);
		rc = db_run(d, s, NO_VALUES, NULL, NULL);
	}
}

void db_rollback(db *d)
{
	d->due_marked = false;
	db_insist(d, STMT_db_rollback);
}

bool db_in_transaction(const db *d)
{
	return sqlite3_get_autocommit(d->handle) == 0;
}

int64_t db_version(db *d)
{
	unsigned int version = 0;
	int rc = sqlite3_file_control(d->handle, "main", SQLITE_FCNTL_DATA_VERSION, &version);

	return rc == SQLITE_OK ? (int64_t)version : -1;
}

int32_t db_savepoint(db *d, knocker_error *error)
{
	int32_t rc = db_way_back(d, STMT_db_savepoint_rollback, error);

	if (rc == 0)
		rc = db_way_back(d, STMT_db_savepoint_release, error);
	return rc < 0 ? rc : db_run(d, STMT_db_savepoint, NO_VALUES, NULL, error);
}

int32_t db_savepoint_release(db *d, knocker_error *error)
{
	return db_run(d, STMT_db_savepoint_release, NO_VALUES, NULL, error);
}

void db_savepoint_rollback(db *d)
{
	db_insist(d, STMT_db_savepoint_rollback);
	db_insist(d, STMT_db_savepoint_release);
}

bool db_foreign_keys_pending(db *d)
{
	int pending = 0, high = 0;

	sqlite3_db_status(d->handle, SQLITE_DBSTATUS_DEFERRED_FKS, &pending, &high, 0);
	return pending != 0;
}

int32_t db_synchronous(db *d, bool full, knocker_error *error)
{
	int32_t rc = 0;

	if (d->full != (int32_t)full)
		rc = db_script(d, full ? "pragma synchronous = full" : "pragma synchronous = normal",
		               error);
	if (rc == 0)
		d->full = full;
	return rc;
}

void db_mark_due(db *d)
{
	d->due_marked = true;
}

/* Fires when a commit is visible, also at the end of a transaction of the owner's. It replaces
 * SQLite's automatic checkpoint. */
int db_committed(void *context, sqlite3 *handle, const char *name, int pages)
{
	db *d = context;
	const char *file = sqlite3_db_filename(handle, "main");

	if (d->due_marked && file)
		bell_ring(file);
	d->due_marked = false;
	d->wal_pages = pages;
	if (d->adopted && pages >= DB_OWNER_PAGES)
		sqlite3_wal_checkpoint_v2(handle, name, SQLITE_CHECKPOINT_PASSIVE, NULL, NULL);
	return SQLITE_OK;
}

/* One that fails or is kept from the end by a reader is made up for by the next. */
void db_checkpoint_if_due(db *d)
{
	if (d->wal_pages < DB_CHECKPOINT_PAGES)
		return;
	d->wal_pages = 0;
	sqlite3_wal_checkpoint_v2(d->handle, "main", SQLITE_CHECKPOINT_PASSIVE, NULL, NULL);
}

int64_t db_changes_total(const db *d)
{
	return sqlite3_total_changes(d->handle);
}

/* ==== core/src/json.c ==== */

/* Reads the JSON that the application itself wrote: registrations, scheme files, SQL arguments.
 * Over cJSON, the only file that includes it. Knows nothing of what the texts mean, and never sees
 * a request's body. */
/* Reads the JSON that the application itself wrote: registrations, scheme files, SQL arguments.
 * Over cJSON, the only file that includes it. Never reads a request's body (scan.h does). Refuses
 * what cJSON would round or cut: text after the value, NUL and lone surrogates in strings, more
 * than LIMIT_JSON_DEPTH levels, texts over LIMIT_JSON bytes, invalid UTF-8, a member twice. */
#ifndef KNOCKER_JSON_H
#define KNOCKER_JSON_H



typedef struct cJSON json;
typedef enum { JSON_NULL, JSON_BOOL, JSON_NUMBER, JSON_TEXT, JSON_ARRAY, JSON_OBJECT } json_type;

/* `what` names the argument in messages: "secrets_json is not JSON: ...". `*out` is freed with
 * json_free. */
KNOCKER_PRIVATE int32_t json_parse(const char *what, knocker_bytes text, json **out, knocker_error *error);
KNOCKER_PRIVATE void json_free(json *j);         /* NULL is fine */
KNOCKER_PRIVATE void json_cleanse_free(json *j); /* the same, for what held secrets */

KNOCKER_PRIVATE json_type json_kind(const json *j);                       /* NULL reads as JSON_NULL */
KNOCKER_PRIVATE const json *json_member(const json *j, const char *name); /* exact name; NULL: absent */
KNOCKER_PRIVATE const json *json_first(const json *j);                    /* first element or member; NULL: none */
KNOCKER_PRIVATE const json *json_next(const json *j);
KNOCKER_PRIVATE size_t json_count(const json *j);
KNOCKER_PRIVATE knocker_bytes json_name(const json *j);     /* of a member */
KNOCKER_PRIVATE knocker_bytes json_text(const json *j);     /* of a JSON_TEXT; absent for others */
KNOCKER_PRIVATE bool json_int(const json *j, int64_t *out); /* false: not a whole number within +-2^53 */
KNOCKER_PRIVATE bool json_true(const json *j);
KNOCKER_PRIVATE void json_write(const json *j, buffer *out); /* as text, without blanks */

#endif


#include <pthread.h>
#include <stdlib.h>
#include <string.h>


/*
  Copyright (c) 2009-2017 Dave Gamble and cJSON contributors

  Permission is hereby granted, free of charge, to any person obtaining a copy
  of this software and associated documentation files (the "Software"), to deal
  in the Software without restriction, including without limitation the rights
  to use, copy, modify, merge, publish, distribute, sublicense, and/or sell
  copies of the Software, and to permit persons to whom the Software is
  furnished to do so, subject to the following conditions:

  The above copyright notice and this permission notice shall be included in
  all copies or substantial portions of the Software.

  THE SOFTWARE IS PROVIDED "AS IS", WITHOUT WARRANTY OF ANY KIND, EXPRESS OR
  IMPLIED, INCLUDING BUT NOT LIMITED TO THE WARRANTIES OF MERCHANTABILITY,
  FITNESS FOR A PARTICULAR PURPOSE AND NONINFRINGEMENT. IN NO EVENT SHALL THE
  AUTHORS OR COPYRIGHT HOLDERS BE LIABLE FOR ANY CLAIM, DAMAGES OR OTHER
  LIABILITY, WHETHER IN AN ACTION OF CONTRACT, TORT OR OTHERWISE, ARISING FROM,
  OUT OF OR IN CONNECTION WITH THE SOFTWARE OR THE USE OR OTHER DEALINGS IN
  THE SOFTWARE.
*/

#ifndef cJSON__h
#define cJSON__h

#ifdef __cplusplus
extern "C"
{
#endif

#if !defined(__WINDOWS__) && (defined(WIN32) || defined(WIN64) || defined(_MSC_VER) || defined(_WIN32))
#define __WINDOWS__
#endif

#ifdef __WINDOWS__

/* When compiling for windows, we specify a specific calling convention to avoid issues where we are being called from a project with a different default calling convention.  For windows you have 3 define options:

CJSON_HIDE_SYMBOLS - Define this in the case where you don't want to ever dllexport symbols
CJSON_EXPORT_SYMBOLS - Define this on library build when you want to dllexport symbols (default)
CJSON_IMPORT_SYMBOLS - Define this if you want to dllimport symbol

For *nix builds that support visibility attribute, you can define similar behavior by

setting default visibility to hidden by adding
-fvisibility=hidden (for gcc)
or
-xldscope=hidden (for sun cc)
to CFLAGS

then using the CJSON_API_VISIBILITY flag to "export" the same symbols the way CJSON_EXPORT_SYMBOLS does

*/

#define CJSON_CDECL __cdecl
#define CJSON_STDCALL __stdcall

/* export symbols by default, this is necessary for copy pasting the C and header file */
#if !defined(CJSON_HIDE_SYMBOLS) && !defined(CJSON_IMPORT_SYMBOLS) && !defined(CJSON_EXPORT_SYMBOLS)
#define CJSON_EXPORT_SYMBOLS
#endif

#if defined(CJSON_HIDE_SYMBOLS)
#define CJSON_PUBLIC(type)   type CJSON_STDCALL
#elif defined(CJSON_EXPORT_SYMBOLS)
#define CJSON_PUBLIC(type)   __declspec(dllexport) type CJSON_STDCALL
#elif defined(CJSON_IMPORT_SYMBOLS)
#define CJSON_PUBLIC(type)   __declspec(dllimport) type CJSON_STDCALL
#endif
#else /* !__WINDOWS__ */
#define CJSON_CDECL
#define CJSON_STDCALL

#if (defined(__GNUC__) || defined(__SUNPRO_CC) || defined (__SUNPRO_C)) && defined(CJSON_API_VISIBILITY)
#define CJSON_PUBLIC(type)   KNOCKER_PRIVATE type
#else
#define CJSON_PUBLIC(type) KNOCKER_PRIVATE type
#endif
#endif

/* project version */
#define CJSON_VERSION_MAJOR 1
#define CJSON_VERSION_MINOR 7
#define CJSON_VERSION_PATCH 15

#include <stddef.h>

/* cJSON Types: */
#define cJSON_Invalid (0)
#define cJSON_False  (1 << 0)
#define cJSON_True   (1 << 1)
#define cJSON_NULL   (1 << 2)
#define cJSON_Number (1 << 3)
#define cJSON_String (1 << 4)
#define cJSON_Array  (1 << 5)
#define cJSON_Object (1 << 6)
#define cJSON_Raw    (1 << 7) /* raw json */

#define cJSON_IsReference 256
#define cJSON_StringIsConst 512

/* The cJSON structure: */
typedef struct cJSON
{
    /* next/prev allow you to walk array/object chains. Alternatively, use GetArraySize/GetArrayItem/GetObjectItem */
    struct cJSON *next;
    struct cJSON *prev;
    /* An array or object item will have a child pointer pointing to a chain of the items in the array/object. */
    struct cJSON *child;

    /* The type of the item, as above. */
    int type;

    /* The item's string, if type==cJSON_String  and type == cJSON_Raw */
    char *valuestring;
    /* writing to valueint is DEPRECATED, use cJSON_SetNumberValue instead */
    int valueint;
    /* The item's number, if type==cJSON_Number */
    double valuedouble;

    /* The item's name string, if this item is the child of, or is in the list of subitems of an object. */
    char *string;
} cJSON;

typedef struct cJSON_Hooks
{
      /* malloc/free are CDECL on Windows regardless of the default calling convention of the compiler, so ensure the hooks allow passing those functions directly. */
      void *(CJSON_CDECL *malloc_fn)(size_t sz);
      void (CJSON_CDECL *free_fn)(void *ptr);
} cJSON_Hooks;

typedef int cJSON_bool;

/* Limits how deeply nested arrays/objects can be before cJSON rejects to parse them.
 * This is to prevent stack overflows. */
#ifndef CJSON_NESTING_LIMIT
#define CJSON_NESTING_LIMIT 1000
#endif

/* returns the version of cJSON as a string */
CJSON_PUBLIC(const char*) cJSON_Version(void);

/* Supply malloc, realloc and free functions to cJSON */
CJSON_PUBLIC(void) cJSON_InitHooks(cJSON_Hooks* hooks);

/* Memory Management: the caller is always responsible to free the results from all variants of cJSON_Parse (with cJSON_Delete) and cJSON_Print (with stdlib free, cJSON_Hooks.free_fn, or cJSON_free as appropriate). The exception is cJSON_PrintPreallocated, where the caller has full responsibility of the buffer. */
/* Supply a block of JSON, and this returns a cJSON object you can interrogate. */
CJSON_PUBLIC(cJSON *) cJSON_Parse(const char *value);
CJSON_PUBLIC(cJSON *) cJSON_ParseWithLength(const char *value, size_t buffer_length);
/* ParseWithOpts allows you to require (and check) that the JSON is null terminated, and to retrieve the pointer to the final byte parsed. */
/* If you supply a ptr in return_parse_end and parsing fails, then return_parse_end will contain a pointer to the error so will match cJSON_GetErrorPtr(). */
CJSON_PUBLIC(cJSON *) cJSON_ParseWithOpts(const char *value, const char **return_parse_end, cJSON_bool require_null_terminated);
CJSON_PUBLIC(cJSON *) cJSON_ParseWithLengthOpts(const char *value, size_t buffer_length, const char **return_parse_end, cJSON_bool require_null_terminated);

/* Render a cJSON entity to text for transfer/storage. */
CJSON_PUBLIC(char *) cJSON_Print(const cJSON *item);
/* Render a cJSON entity to text for transfer/storage without any formatting. */
CJSON_PUBLIC(char *) cJSON_PrintUnformatted(const cJSON *item);
/* Render a cJSON entity to text using a buffered strategy. prebuffer is a guess at the final size. guessing well reduces reallocation. fmt=0 gives unformatted, =1 gives formatted */
CJSON_PUBLIC(char *) cJSON_PrintBuffered(const cJSON *item, int prebuffer, cJSON_bool fmt);
/* Render a cJSON entity to text using a buffer already allocated in memory with given length. Returns 1 on success and 0 on failure. */
/* NOTE: cJSON is not always 100% accurate in estimating how much memory it will use, so to be safe allocate 5 bytes more than you actually need */
CJSON_PUBLIC(cJSON_bool) cJSON_PrintPreallocated(cJSON *item, char *buffer, const int length, const cJSON_bool format);
/* Delete a cJSON entity and all subentities. */
CJSON_PUBLIC(void) cJSON_Delete(cJSON *item);

/* Returns the number of items in an array (or object). */
CJSON_PUBLIC(int) cJSON_GetArraySize(const cJSON *array);
/* Retrieve item number "index" from array "array". Returns NULL if unsuccessful. */
CJSON_PUBLIC(cJSON *) cJSON_GetArrayItem(const cJSON *array, int index);
/* Get item "string" from object. Case insensitive. */
CJSON_PUBLIC(cJSON *) cJSON_GetObjectItem(const cJSON * const object, const char * const string);
CJSON_PUBLIC(cJSON *) cJSON_GetObjectItemCaseSensitive(const cJSON * const object, const char * const string);
CJSON_PUBLIC(cJSON_bool) cJSON_HasObjectItem(const cJSON *object, const char *string);
/* For analysing failed parses. This returns a pointer to the parse error. You'll probably need to look a few chars back to make sense of it. Defined when cJSON_Parse() returns 0. 0 when cJSON_Parse() succeeds. */
CJSON_PUBLIC(const char *) cJSON_GetErrorPtr(void);

/* Check item type and return its value */
CJSON_PUBLIC(char *) cJSON_GetStringValue(const cJSON * const item);
CJSON_PUBLIC(double) cJSON_GetNumberValue(const cJSON * const item);

/* These functions check the type of an item */
CJSON_PUBLIC(cJSON_bool) cJSON_IsInvalid(const cJSON * const item);
CJSON_PUBLIC(cJSON_bool) cJSON_IsFalse(const cJSON * const item);
CJSON_PUBLIC(cJSON_bool) cJSON_IsTrue(const cJSON * const item);
CJSON_PUBLIC(cJSON_bool) cJSON_IsBool(const cJSON * const item);
CJSON_PUBLIC(cJSON_bool) cJSON_IsNull(const cJSON * const item);
CJSON_PUBLIC(cJSON_bool) cJSON_IsNumber(const cJSON * const item);
CJSON_PUBLIC(cJSON_bool) cJSON_IsString(const cJSON * const item);
CJSON_PUBLIC(cJSON_bool) cJSON_IsArray(const cJSON * const item);
CJSON_PUBLIC(cJSON_bool) cJSON_IsObject(const cJSON * const item);
CJSON_PUBLIC(cJSON_bool) cJSON_IsRaw(const cJSON * const item);

/* These calls create a cJSON item of the appropriate type. */
CJSON_PUBLIC(cJSON *) cJSON_CreateNull(void);
CJSON_PUBLIC(cJSON *) cJSON_CreateTrue(void);
CJSON_PUBLIC(cJSON *) cJSON_CreateFalse(void);
CJSON_PUBLIC(cJSON *) cJSON_CreateBool(cJSON_bool boolean);
CJSON_PUBLIC(cJSON *) cJSON_CreateNumber(double num);
CJSON_PUBLIC(cJSON *) cJSON_CreateString(const char *string);
/* raw json */
CJSON_PUBLIC(cJSON *) cJSON_CreateRaw(const char *raw);
CJSON_PUBLIC(cJSON *) cJSON_CreateArray(void);
CJSON_PUBLIC(cJSON *) cJSON_CreateObject(void);

/* Create a string where valuestring references a string so
 * it will not be freed by cJSON_Delete */
CJSON_PUBLIC(cJSON *) cJSON_CreateStringReference(const char *string);
/* Create an object/array that only references it's elements so
 * they will not be freed by cJSON_Delete */
CJSON_PUBLIC(cJSON *) cJSON_CreateObjectReference(const cJSON *child);
CJSON_PUBLIC(cJSON *) cJSON_CreateArrayReference(const cJSON *child);

/* These utilities create an Array of count items.
 * The parameter count cannot be greater than the number of elements in the number array, otherwise array access will be out of bounds.*/
CJSON_PUBLIC(cJSON *) cJSON_CreateIntArray(const int *numbers, int count);
CJSON_PUBLIC(cJSON *) cJSON_CreateFloatArray(const float *numbers, int count);
CJSON_PUBLIC(cJSON *) cJSON_CreateDoubleArray(const double *numbers, int count);
CJSON_PUBLIC(cJSON *) cJSON_CreateStringArray(const char *const *strings, int count);

/* Append item to the specified array/object. */
CJSON_PUBLIC(cJSON_bool) cJSON_AddItemToArray(cJSON *array, cJSON *item);
CJSON_PUBLIC(cJSON_bool) cJSON_AddItemToObject(cJSON *object, const char *string, cJSON *item);
/* Use this when string is definitely const (i.e. a literal, or as good as), and will definitely survive the cJSON object.
 * WARNING: When this function was used, make sure to always check that (item->type & cJSON_StringIsConst) is zero before
 * writing to `item->string` */
CJSON_PUBLIC(cJSON_bool) cJSON_AddItemToObjectCS(cJSON *object, const char *string, cJSON *item);
/* Append reference to item to the specified array/object. Use this when you want to add an existing cJSON to a new cJSON, but don't want to corrupt your existing cJSON. */
CJSON_PUBLIC(cJSON_bool) cJSON_AddItemReferenceToArray(cJSON *array, cJSON *item);
CJSON_PUBLIC(cJSON_bool) cJSON_AddItemReferenceToObject(cJSON *object, const char *string, cJSON *item);

/* Remove/Detach items from Arrays/Objects. */
CJSON_PUBLIC(cJSON *) cJSON_DetachItemViaPointer(cJSON *parent, cJSON * const item);
CJSON_PUBLIC(cJSON *) cJSON_DetachItemFromArray(cJSON *array, int which);
CJSON_PUBLIC(void) cJSON_DeleteItemFromArray(cJSON *array, int which);
CJSON_PUBLIC(cJSON *) cJSON_DetachItemFromObject(cJSON *object, const char *string);
CJSON_PUBLIC(cJSON *) cJSON_DetachItemFromObjectCaseSensitive(cJSON *object, const char *string);
CJSON_PUBLIC(void) cJSON_DeleteItemFromObject(cJSON *object, const char *string);
CJSON_PUBLIC(void) cJSON_DeleteItemFromObjectCaseSensitive(cJSON *object, const char *string);

/* Update array items. */
CJSON_PUBLIC(cJSON_bool) cJSON_InsertItemInArray(cJSON *array, int which, cJSON *newitem); /* Shifts pre-existing items to the right. */
CJSON_PUBLIC(cJSON_bool) cJSON_ReplaceItemViaPointer(cJSON * const parent, cJSON * const item, cJSON * replacement);
CJSON_PUBLIC(cJSON_bool) cJSON_ReplaceItemInArray(cJSON *array, int which, cJSON *newitem);
CJSON_PUBLIC(cJSON_bool) cJSON_ReplaceItemInObject(cJSON *object,const char *string,cJSON *newitem);
CJSON_PUBLIC(cJSON_bool) cJSON_ReplaceItemInObjectCaseSensitive(cJSON *object,const char *string,cJSON *newitem);

/* Duplicate a cJSON item */
CJSON_PUBLIC(cJSON *) cJSON_Duplicate(const cJSON *item, cJSON_bool recurse);
/* Duplicate will create a new, identical cJSON item to the one you pass, in new memory that will
 * need to be released. With recurse!=0, it will duplicate any children connected to the item.
 * The item->next and ->prev pointers are always zero on return from Duplicate. */
/* Recursively compare two cJSON items for equality. If either a or b is NULL or invalid, they will be considered unequal.
 * case_sensitive determines if object keys are treated case sensitive (1) or case insensitive (0) */
CJSON_PUBLIC(cJSON_bool) cJSON_Compare(const cJSON * const a, const cJSON * const b, const cJSON_bool case_sensitive);

/* Minify a strings, remove blank characters(such as ' ', '\t', '\r', '\n') from strings.
 * The input pointer json cannot point to a read-only address area, such as a string constant, 
 * but should point to a readable and writable address area. */
CJSON_PUBLIC(void) cJSON_Minify(char *json);

/* Helper functions for creating and adding items to an object at the same time.
 * They return the added item or NULL on failure. */
CJSON_PUBLIC(cJSON*) cJSON_AddNullToObject(cJSON * const object, const char * const name);
CJSON_PUBLIC(cJSON*) cJSON_AddTrueToObject(cJSON * const object, const char * const name);
CJSON_PUBLIC(cJSON*) cJSON_AddFalseToObject(cJSON * const object, const char * const name);
CJSON_PUBLIC(cJSON*) cJSON_AddBoolToObject(cJSON * const object, const char * const name, const cJSON_bool boolean);
CJSON_PUBLIC(cJSON*) cJSON_AddNumberToObject(cJSON * const object, const char * const name, const double number);
CJSON_PUBLIC(cJSON*) cJSON_AddStringToObject(cJSON * const object, const char * const name, const char * const string);
CJSON_PUBLIC(cJSON*) cJSON_AddRawToObject(cJSON * const object, const char * const name, const char * const raw);
CJSON_PUBLIC(cJSON*) cJSON_AddObjectToObject(cJSON * const object, const char * const name);
CJSON_PUBLIC(cJSON*) cJSON_AddArrayToObject(cJSON * const object, const char * const name);

/* When assigning an integer value, it needs to be propagated to valuedouble too. */
#define cJSON_SetIntValue(object, number) ((object) ? (object)->valueint = (object)->valuedouble = (number) : (number))
/* helper for the cJSON_SetNumberValue macro */
CJSON_PUBLIC(double) cJSON_SetNumberHelper(cJSON *object, double number);
#define cJSON_SetNumberValue(object, number) ((object != NULL) ? cJSON_SetNumberHelper(object, (double)number) : (number))
/* Change the valuestring of a cJSON_String object, only takes effect when type of object is cJSON_String */
CJSON_PUBLIC(char*) cJSON_SetValuestring(cJSON *object, const char *valuestring);

/* Macro for iterating over an array or object */
#define cJSON_ArrayForEach(element, array) for(element = (array != NULL) ? (array)->child : NULL; element != NULL; element = element->next)

/* malloc/free objects using the malloc/free functions that have been set with cJSON_InitHooks */
CJSON_PUBLIC(void *) cJSON_malloc(size_t size);
CJSON_PUBLIC(void) cJSON_free(void *object);

#ifdef __cplusplus
}
#endif

#endif



/* ---- cJSON's memory: each piece knows its size and is wiped when freed ---- */

typedef union {
	size_t size;
	max_align_t align;
} json_memory;

/* cJSON says of a text that it is wrong when memory ran out. Of this thread's parse. */
static _Thread_local bool json_starved;

static void *json_memory_get(size_t size)
{
	json_memory *memory = size > SIZE_MAX - sizeof *memory ? NULL
	                                                       : memory_get(sizeof *memory + size);

	json_starved |= !memory;
	if (!memory)
		return NULL;
	memory->size = size;
	return memory + 1;
}

static void json_memory_free(void *held)
{
	json_memory *memory = held;

	if (!memory)
		return;
	memory--;
	explicit_bzero(memory + 1, memory->size);
	memory_free(memory);
}

static pthread_once_t json_once = PTHREAD_ONCE_INIT;

static void json_hooks(void)
{
	cJSON_Hooks hooks = {json_memory_get, json_memory_free};

	cJSON_InitHooks(&hooks);
}

/* cJSON notes where it failed in a variable of the whole process, so one thread at a time may
 * parse. */
static pthread_mutex_t json_one_at_a_time = PTHREAD_MUTEX_INITIALIZER;

static json *json_parse_checked(const uint8_t *s, size_t len, const char **end, bool *no_memory)
{
	json *tree;

	pthread_once(&json_once, json_hooks);
	pthread_mutex_lock(&json_one_at_a_time);
	json_starved = false;
	tree = cJSON_ParseWithLengthOpts((const char *)s, len, end, 0);
	*no_memory = json_starved;
	pthread_mutex_unlock(&json_one_at_a_time);
	return tree;
}

/* ---- what cJSON would let pass ---- */

typedef struct {
	const uint8_t *s;
	size_t len, at, depth;
	const char *wrong; /* NULL: nothing yet */
} json_check;

/* Four hexadecimal digits at `at`, or -1. */
static int32_t json_hex4(const json_check *c, size_t at)
{
	int32_t value = 0;
	size_t i;

	if (c->len - at < 4)
		return -1;
	for (i = at; i < at + 4; i++) {
		uint8_t d = c->s[i];
		int32_t digit = d >= '0' && d <= '9'   ? d - '0'
		                : d >= 'a' && d <= 'f' ? d - 'a' + 10
		                : d >= 'A' && d <= 'F' ? d - 'A' + 10
		                                       : -1;

		if (digit < 0)
			return -1;
		value = value * 16 + digit;
	}
	return value;
}

/* `at` stands behind "\u". */
static void json_check_unicode(json_check *c)
{
	int32_t unit = json_hex4(c, c->at);

	if (unit < 0)
		c->wrong = "a wrong escape";
	else if (unit == 0)
		c->wrong = "a NUL in a text";
	else if (unit >= 0xDC00 && unit <= 0xDFFF)
		c->wrong = "a lone surrogate in a text";
	c->at += 4;
	if (unit < 0xD800 || unit > 0xDBFF || c->wrong)
		return;
	unit = c->len - c->at >= 2 && c->s[c->at] == '\\' && c->s[c->at + 1] == 'u'
	           ? json_hex4(c, c->at + 2)
	           : -1;
	if (unit < 0xDC00 || unit > 0xDFFF)
		c->wrong = "a lone surrogate in a text";
	c->at += 6;
}

/* `at` stands behind the opening quote. */
static void json_check_string(json_check *c)
{
	while (!c->wrong && c->at < c->len) {
		uint8_t byte = c->s[c->at++];

		if (byte == '"')
			return;
		if (byte < 0x20)
			c->wrong = "a control character in a text";
		else if (byte == '\\' && c->at < c->len && c->s[c->at++] == 'u')
			json_check_unicode(c);
	}
	if (!c->wrong)
		c->wrong = "a text without end";
}

static void json_check_text(json_check *c)
{
	if (!bytes_utf8((knocker_bytes){c->s, (int64_t)c->len}))
		c->wrong = "a byte that is no UTF-8";
	else if (c->len >= 3 && memcmp(c->s, "\xEF\xBB\xBF", 3) == 0)
		c->wrong = "a byte order mark";
	while (!c->wrong && c->at < c->len) {
		uint8_t byte = c->s[c->at++];

		if (byte == '"')
			json_check_string(c);
		else if (byte < 0x20 && byte != '\t' && byte != '\n' && byte != '\r')
			c->wrong = "a control character";
		else if ((byte == '[' || byte == '{') && ++c->depth > LIMIT_JSON_DEPTH)
			c->wrong = "more than 128 levels";
		else if ((byte == ']' || byte == '}') && c->depth > 0)
			c->depth--;
	}
}

static int json_name_order(const void *a, const void *b)
{
	return strcmp((*(const cJSON *const *)a)->string, (*(const cJSON *const *)b)->string);
}

/* The name that an object has twice, or NULL. Sorted, since a hostile object has a hundred thousand
 * members. */
static const char *json_name_twice(const cJSON *object, bool *no_memory)
{
	size_t i, count = json_count(object);
	const cJSON **members = count > 1 ? memory_get(count * sizeof(const cJSON *)) : NULL;
	const cJSON *member = object->child;
	const char *twice = NULL;

	if (!members) {
		*no_memory = count > 1;
		return NULL;
	}
	for (i = 0; i < count; i++, member = member->next)
		members[i] = member;
	qsort(members, count, sizeof(const cJSON *), json_name_order);
	for (i = 1; i < count && !twice; i++)
		if (strcmp(members[i - 1]->string, members[i]->string) == 0)
			twice = members[i]->string;
	memory_free(members);
	return twice;
}

/* Walks the tree with a stack of its own, no deeper than json_check_text let pass. */
static const char *json_find_twice(const cJSON *root, bool *no_memory)
{
	const cJSON *stack[LIMIT_JSON_DEPTH + 1], *node = root;
	size_t depth = 0;

	while (node && !*no_memory) {
		const char *twice = cJSON_IsObject(node) ? json_name_twice(node, no_memory) : NULL;

		if (twice)
			return twice;
		if (node->child) {
			stack[depth++] = node;
			node = node->child;
			continue;
		}
		while (node && !node->next)
			node = depth > 0 ? stack[--depth] : NULL;
		if (node == root)
			return NULL;
		node = node ? node->next : NULL;
	}
	return NULL;
}

static int32_t json_refuse_twice(const char *what, const json *tree, knocker_error *error)
{
	bool no_memory = false;
	const char *twice = json_find_twice(tree, &no_memory);

	if (no_memory)
		return fail_memory(error);
	if (twice)
		return fail(error, KNOCKER_INVALID_ARGUMENT, "%s has the member '%.60s' twice", what,
		            twice);
	return 0;
}

int32_t json_parse(const char *what, knocker_bytes text, json **out, knocker_error *error)
{
	json_check check = {.s = text.data ? text.data : (const void *)"", .len = (size_t)text.len};
	const char *end = NULL;
	bool no_memory = false;
	json *tree;
	int32_t rc;

	*out = NULL;
	if (text.len > LIMIT_JSON)
		return fail(error, KNOCKER_INVALID_ARGUMENT, "%s of %lld bytes is over the limit of %d",
		            what, (long long)text.len, LIMIT_JSON);
	json_check_text(&check);
	if (check.wrong)
		return fail(error, KNOCKER_INVALID_ARGUMENT, "%s is not JSON: %s at byte %zu", what,
		            check.wrong, check.at);
	tree = json_parse_checked(check.s, check.len, &end, &no_memory);
	if (!tree && no_memory)
		return fail_memory(error);
	if (!tree)
		return fail(error, KNOCKER_INVALID_ARGUMENT,
		            "%s is not JSON: it breaks off or goes wrong at byte %zu", what,
		            end ? (size_t)(end - (const char *)check.s) : (size_t)0);
	while (end < (const char *)check.s + check.len && strchr(" \t\r\n", *end))
		end++;
	if (end < (const char *)check.s + check.len)
		rc = fail(error, KNOCKER_INVALID_ARGUMENT,
		          "%s is not JSON: text follows the value at byte %zu", what,
		          (size_t)(end - (const char *)check.s));
	else
		rc = json_refuse_twice(what, tree, error);
	if (rc == 0)
		*out = tree;
	else
		cJSON_Delete(tree);
	return rc;
}

void json_free(json *j)
{
	cJSON_Delete(j);
}

void json_cleanse_free(json *j)
{
	cJSON_Delete(j);
}

/* ---- reading ---- */

json_type json_kind(const json *j)
{
	if (!j || cJSON_IsNull(j))
		return JSON_NULL;
	if (cJSON_IsBool(j))
		return JSON_BOOL;
	if (cJSON_IsNumber(j))
		return JSON_NUMBER;
	if (cJSON_IsString(j))
		return JSON_TEXT;
	return cJSON_IsArray(j) ? JSON_ARRAY : JSON_OBJECT;
}

const json *json_member(const json *j, const char *name)
{
	const json *member = json_kind(j) == JSON_OBJECT ? j->child : NULL;

	while (member && strcmp(member->string, name) != 0)
		member = member->next;
	return member;
}

const json *json_first(const json *j)
{
	return j ? j->child : NULL;
}

const json *json_next(const json *j)
{
	return j->next;
}

size_t json_count(const json *j)
{
	const json *child = json_first(j);
	size_t count = 0;

	for (; child; child = child->next)
		count++;
	return count;
}

knocker_bytes json_name(const json *j)
{
	return bytes_of(j->string);
}

knocker_bytes json_text(const json *j)
{
	return json_kind(j) == JSON_TEXT ? bytes_of(j->valuestring) : (knocker_bytes){0};
}

bool json_int(const json *j, int64_t *out)
{
	const double most = 9007199254740991.0;

	if (json_kind(j) != JSON_NUMBER || !(j->valuedouble >= -most && j->valuedouble <= most))
		return false;
	*out = (int64_t)j->valuedouble;
	return (double)*out == j->valuedouble;
}

bool json_true(const json *j)
{
	return j && cJSON_IsTrue(j);
}

void json_write(const json *j, buffer *out)
{
	char *text = cJSON_PrintUnformatted(j);

	if (!text) {
		out->failed = true;
		return;
	}
	buffer_text(out, text);
	cJSON_free(text);
}

/* ==== core/src/backoff.c ==== */

/* How long a failed handler waits for its next run. Pure: chance comes in as a number. Knows
 * nothing of jobs. */
/* How long a failed handler waits for its next run. Pure: chance comes in as a number. Knows
 * nothing of jobs. */
#ifndef KNOCKER_BACKOFF_H
#define KNOCKER_BACKOFF_H

#include <stdint.h>

/* base * 2^(failures - 1), at most `cap_ms`, and of that by `chance` something between the half and
 * the whole. */
KNOCKER_PRIVATE int64_t backoff_delay_ms(int64_t failures, int64_t base_ms, int64_t cap_ms, uint64_t chance);

#endif


int64_t backoff_delay_ms(int64_t failures, int64_t base_ms, int64_t cap_ms, uint64_t chance)
{
	int64_t whole = base_ms < cap_ms ? base_ms : cap_ms;
	uint64_t half;

	if (whole <= 0)
		return 0;
	while (failures > 1 && whole < cap_ms) {
		whole = whole > cap_ms / 2 ? cap_ms : whole * 2;
		failures--;
	}
	half = (uint64_t)whole / 2;
	return whole - (int64_t)(chance % (half + 1));
}

/* ==== core/src/job.c ==== */

/* The queue: jobs with a topic, a due date and a lease, which is a due date too. Knows nothing of
 * webhooks. */
/* The queue: jobs with a topic, a due date and a lease, which is a due date too. Knows nothing of
 * webhooks: a topic is a number, 1 and up taking turns, 0 and down in order of priority. The fence
 * of every settlement is (job, claim). */
#ifndef KNOCKER_JOB_H
#define KNOCKER_JOB_H




typedef struct {
	knocker_bytes queue, worker;
	const int64_t *only; /* these topics, ascending; NULL: all */
	int32_t only_count;
	const int64_t *paused; /* none of these, ascending */
	int32_t paused_count;
	int32_t count; /* at most LIMIT_CLAIM */
	int64_t lease_ms, now_ms;
} job_claim_options;
KNOCKER_PRIVATE int job_topic_order(const void *a, const void *b); /* for qsort */

typedef struct {
	int64_t id, claim, topic;
	bool died; /* its lease ran out once too often: it is dead now, and told of once */
} job_claimed;

/* In a transaction: leases up to `count` due jobs into `out`. `turn` is the topic that was served
 * last, kept by the caller. */
KNOCKER_PRIVATE int32_t job_claim(db *d, const job_claim_options *options, int64_t *turn, job_claimed *out,
                  int32_t *count, knocker_error *error);
/* When the next job for these options is due; INT64_MAX: none is queued. Reads only. */
KNOCKER_PRIVATE int32_t job_next_due(db *d, const job_claim_options *options, int64_t *due_ms,
                     knocker_error *error);

typedef struct {
	/* `due_ms` -1: not queued. `max_attempts` 0: not its own. */
	int64_t claim, due_ms, topic, attempt_count, max_attempts, delivery_id;
	bool held;
	char status[12];
	char worker[LIMIT_NAME + 1];
} job_state;
KNOCKER_PRIVATE int32_t job_get(db *d, int64_t id, job_state *out, knocker_error *error); /* 1: no such job */
/* Received or failed: there is work left. A settled job may still be held, until it is
 * acknowledged, but nobody works on it. */
KNOCKER_PRIVATE bool job_unsettled(const job_state *job);

typedef struct {
	int64_t id, claim;
	const char *status; /* NULL: as it is */
	int64_t due_ms;     /* -1: not queued */
	int64_t attempts;   /* added to attempt_count */
	int64_t settled_ms; /* 0: null */
	knocker_bytes error;
} job_settlement;
/* KNOCKER_LEASE_LOST when the job was claimed again or given back since. */
KNOCKER_PRIVATE int32_t job_settle(db *d, const job_settlement *s, knocker_error *error);
/* 1: it is somebody else's. */
KNOCKER_PRIVATE int32_t job_release(db *d, int64_t id, int64_t claim, int64_t now_ms, knocker_error *error);
/* KNOCKER_LEASE_LOST: it is somebody else's. */
KNOCKER_PRIVATE int32_t job_extend(db *d, int64_t id, int64_t claim, int64_t until_ms, knocker_error *error);
/* Deletes a plain job; where it was the highest row, its id stays used. */
KNOCKER_PRIVATE int32_t job_remove(db *d, int64_t id, knocker_error *error);
KNOCKER_PRIVATE int32_t job_lost(int64_t id, knocker_error *error);

/* The next id, above every id ever used, and when the last receipt came (0: never). In the
 * transaction that uses it. */
KNOCKER_PRIVATE int32_t id_next(db *d, int64_t *id, int64_t *last_received_ms, knocker_error *error);

#endif


#include <stdlib.h>
#include <string.h>



#define JOB_DROPS 1000 /* by one claim: a long queue of expired jobs must not hold the writer */

typedef struct {
	int64_t id, claim, expired;
	bool ran_out; /* its lease did */
	bool was_alone, past, settled;
} job_candidate;

/* A claim in progress. */
typedef struct {
	db *d;
	const job_claim_options *options;
	job_claimed *out;
	int32_t taken, dropped;
	bool closed; /* a job that must be claimed alone came up */
	bool more;   /* a topic gave all that was asked of it, and may have more */
} job_hand;

int job_topic_order(const void *a, const void *b)
{
	int64_t one = *(const int64_t *)a, other = *(const int64_t *)b;

	return (one > other) - (one < other);
}

static bool job_topic_listed(const int64_t *topics, int32_t count, int64_t topic)
{
	return count > 0 && bsearch(&topic, topics, (size_t)count, sizeof *topics, job_topic_order);
}

static bool job_topic_served(const job_claim_options *o, int64_t topic)
{
	return (!o->only || job_topic_listed(o->only, o->only_count, topic)) &&
	       !job_topic_listed(o->paused, o->paused_count, topic);
}

/* The next topic above `after` that has queued jobs and is served; 1: none. */
static int32_t job_topic_next(db *d, const job_claim_options *o, int64_t after, int64_t *topic,
                              knocker_error *error)
{
	int32_t rc;

	*topic = after;
	do {
		rc = db_int_of(d, STMT_job_topic_next, VALUES(TEXT(o->queue), INT(*topic)), INT64_MIN,
		               topic, error);
		if (rc < 0)
			return rc;
		if (*topic == INT64_MIN)
			return 1;
	} while (!job_topic_served(o, *topic));
	return 0;
}

static int32_t job_bury(job_hand *hand, const job_candidate *c, int64_t topic, knocker_error *error)
{
	const char *why = "the lease ran out 5 times with this job alone: its handler seems to kill "
					  "the worker";

	hand->out[hand->taken++] = (job_claimed){c->id, c->claim, topic, true};
	return db_run(hand->d, STMT_job_bury,
	              VALUES(INT(c->id), INT(hand->options->now_ms), TEXT(bytes_of(why))), NULL, error);
}

int32_t job_remove(db *d, int64_t id, knocker_error *error)
{
	int32_t rc = db_run(d, STMT_job_delete, VALUES(INT(id)), NULL, error);

	return rc < 0 ? rc : db_run(d, STMT_id_floor_keep, VALUES(INT(id)), NULL, error);
}

/* Leases one candidate, or buries or drops it, or leaves it for a claim of its own. What was
 * settled and never acknowledged is no work, whatever became of its lease. */
static int32_t job_take(job_hand *hand, const job_candidate *c, int64_t topic, knocker_error *error)
{
	const job_claim_options *o = hand->options;
	int64_t expired = c->expired + (c->ran_out && c->was_alone);
	bool must_be_alone = c->ran_out || expired > 0;

	if (c->past || c->settled) {
		hand->dropped++;
		return c->past ? job_remove(hand->d, c->id, error)
		               : db_run(hand->d, STMT_job_drop, VALUES(INT(c->id)), NULL, error);
	}
	if (expired >= LIMIT_DEATHS)
		return job_bury(hand, c, topic, error);
	if (must_be_alone && hand->taken > 0) {
		hand->closed = true;
		return 0;
	}
	hand->closed = must_be_alone;
	hand->out[hand->taken++] = (job_claimed){c->id, c->claim + 1, topic, false};
	return db_run(hand->d, STMT_job_lease,
	              VALUES(INT(c->id), INT(o->now_ms + o->lease_ms), TEXT(o->worker),
	                     INT(must_be_alone || o->count == 1), INT(expired)),
	              NULL, error);
}

/* Reads up to `limit` due jobs of a topic. They are read before one is written: the due index is
 * both read and written here. */
static int32_t job_candidates(job_hand *hand, int64_t topic, int32_t limit, job_candidate *out,
                              int32_t *count, knocker_error *error)
{
	const job_claim_options *o = hand->options;
	query *q;
	int32_t rc = db_query(hand->d, STMT_job_due,
	                      VALUES(TEXT(o->queue), INT(topic), INT(o->now_ms), INT(limit)), &q,
	                      error);

	for (*count = 0; rc == 0; rc = db_next(q, error))
		out[(*count)++] = (job_candidate){.id = db_int(q, 0),
		                                  .claim = db_int(q, 1),
		                                  .ran_out = db_int(q, 2) != 0,
		                                  .expired = db_int(q, 3),
		                                  .was_alone = db_int(q, 4) != 0,
		                                  .past = !db_null(q, 5) && db_int(q, 5) <= o->now_ms,
		                                  .settled = db_int(q, 6) != 0};
	db_done(q);
	return rc < 0 ? rc : 0;
}

static int32_t job_take_topic(job_hand *hand, int64_t topic, int32_t limit, knocker_error *error)
{
	job_candidate *candidates = memory_get((size_t)limit * sizeof *candidates);
	int32_t rc, i, count = 0;

	if (!candidates)
		return fail_memory(error);
	rc = job_candidates(hand, topic, limit, candidates, &count, error);
	hand->more = hand->more || (count == limit && hand->dropped < JOB_DROPS);
	for (i = 0; rc == 0 && i < count && !hand->closed; i++)
		rc = job_take(hand, &candidates[i], topic, error);
	memory_free(candidates);
	return rc;
}

static int32_t job_due_first(db *d, const job_claim_options *o, int64_t topic, int64_t *due_ms,
                             knocker_error *error)
{
	return db_int_of(d, STMT_job_due_first, VALUES(TEXT(o->queue), INT(topic)), INT64_MAX, due_ms,
	                 error);
}

/* Plain jobs: the lowest topic, which is the highest priority, first and as far as it goes. */
static int32_t job_claim_plain(job_hand *hand, knocker_error *error)
{
	const job_claim_options *o = hand->options;
	int64_t topic = INT64_MIN;
	int32_t rc = 0;

	while (rc == 0 && hand->taken < o->count && !hand->closed) {
		if (!hand->more)
			rc = job_topic_next(hand->d, o, topic, &topic, error);
		if (rc != 0 || topic > 0)
			break;
		hand->more = false;
		rc = job_take_topic(hand, topic, o->count - hand->taken, error);
	}
	return rc < 0 ? rc : 0;
}

/* Topics with due jobs, at most as many as jobs are wanted, from the one after `turn` onward and
 * around. */
static int32_t job_topics_in_turn(job_hand *hand, int64_t turn, int64_t *topics, int32_t *count,
                                  knocker_error *error)
{
	const job_claim_options *o = hand->options;
	int64_t topic = turn > 0 ? turn : 0, due;
	bool around = topic == 0;
	int32_t rc = 0, wanted = o->count - hand->taken;

	*count = 0;
	while (*count < wanted) {
		rc = job_topic_next(hand->d, o, topic, &topic, error);
		if (rc < 0)
			return rc;
		if (rc == 1 && around)
			break;
		if (rc == 1) {
			around = true;
			topic = 0;
			continue;
		}
		if (around && turn > 0 && topic > turn)
			break;
		rc = job_due_first(hand->d, o, topic, &due, error);
		if (rc < 0)
			return rc;
		if (due <= o->now_ms)
			topics[(*count)++] = topic;
	}
	return 0;
}

static int32_t job_claim_in_turn(job_hand *hand, int64_t *turn, knocker_error *error)
{
	int32_t wanted = hand->options->count - hand->taken, count = 0, i, share, rc;
	int64_t *topics = memory_get((size_t)wanted * sizeof *topics);

	if (!topics)
		return fail_memory(error);
	rc = job_topics_in_turn(hand, *turn, topics, &count, error);
	share = count > 0 ? (wanted + count - 1) / count : 0;
	for (i = 0; rc == 0 && i < count && !hand->closed && hand->taken < hand->options->count; i++) {
		int32_t left = hand->options->count - hand->taken;

		rc = job_take_topic(hand, topics[i], share < left ? share : left, error);
		if (hand->taken > 0)
			*turn = hand->closed && hand->out[hand->taken - 1].topic != topics[i] ? topics[i] - 1
			                                                                      : topics[i];
	}
	memory_free(topics);
	return rc;
}

int32_t job_claim(db *d, const job_claim_options *options, int64_t *turn, job_claimed *out,
                  int32_t *count, knocker_error *error)
{
	job_hand hand = {.d = d, .options = options, .out = out};
	int32_t rc = job_claim_plain(&hand, error);

	do {
		hand.more = false;
		if (rc == 0 && hand.taken < options->count && !hand.closed)
			rc = job_claim_in_turn(&hand, turn, error);
	} while (rc == 0 && hand.more && hand.taken < options->count && !hand.closed);
	*count = hand.taken;
	return rc;
}

int32_t job_next_due(db *d, const job_claim_options *options, int64_t *due_ms, knocker_error *error)
{
	int64_t topic = INT64_MIN, due;
	int32_t rc;

	*due_ms = INT64_MAX;
	while ((rc = job_topic_next(d, options, topic, &topic, error)) == 0) {
		rc = job_due_first(d, options, topic, &due, error);
		if (rc < 0)
			return rc;
		if (due < *due_ms)
			*due_ms = due;
	}
	return rc < 0 ? rc : 0;
}

static void job_text(char *to, size_t size, knocker_bytes from)
{
	size_t len = from.data ? (size_t)from.len : 0;

	if (len >= size)
		len = size - 1;
	if (len > 0)
		memcpy(to, from.data, len);
	to[len] = '\0';
}

int32_t job_get(db *d, int64_t id, job_state *out, knocker_error *error)
{
	query *q;
	int32_t rc = db_query(d, STMT_job_get, VALUES(INT(id)), &q, error);

	memset(out, 0, sizeof *out);
	if (rc == 0) {
		out->claim = db_int(q, 0);
		out->held = !db_null(q, 1);
		job_text(out->worker, sizeof out->worker, db_text(q, 1));
		out->due_ms = db_null(q, 2) ? -1 : db_int(q, 2);
		job_text(out->status, sizeof out->status, db_text(q, 3));
		out->topic = db_int(q, 4);
		out->attempt_count = db_int(q, 5);
		out->max_attempts = db_int(q, 6);
		out->delivery_id = db_int(q, 7);
	}
	db_done(q);
	return rc;
}

bool job_unsettled(const job_state *job)
{
	return strcmp(job->status, "received") == 0 || strcmp(job->status, "failed") == 0;
}

int32_t job_lost(int64_t id, knocker_error *error)
{
	return fail(error, KNOCKER_LEASE_LOST,
	            "job %lld is no longer held by this claim: its lease was lost", (long long)id);
}

int32_t job_settle(db *d, const job_settlement *s, knocker_error *error)
{
	int64_t changed = 0;
	int32_t rc = db_run(d, STMT_job_settle,
	                    VALUES(INT(s->id), INT(s->claim), TEXT(bytes_of(s->status)),
	                           s->due_ms < 0 ? NONE : INT(s->due_ms), INT(s->attempts),
	                           INT_OR_NULL(s->settled_ms), TEXT(s->error)),
	                    &changed, error);

	if (rc == 0 && s->due_ms >= 0)
		db_mark_due(d);
	return rc == 0 && changed == 0 ? job_lost(s->id, error) : rc;
}

int32_t job_release(db *d, int64_t id, int64_t claim, int64_t now_ms, knocker_error *error)
{
	int64_t changed = 0;
	int32_t rc = db_run(d, STMT_job_release, VALUES(INT(id), INT(claim), INT(now_ms)), &changed,
	                    error);

	db_mark_due(d);
	return rc == 0 && changed == 0 ? 1 : rc;
}

int32_t job_extend(db *d, int64_t id, int64_t claim, int64_t until_ms, knocker_error *error)
{
	int64_t changed = 0;
	int32_t rc = db_run(d, STMT_job_extend, VALUES(INT(id), INT(claim), INT(until_ms)), &changed,
	                    error);

	return rc == 0 && changed == 0 ? job_lost(id, error) : rc;
}

int32_t id_next(db *d, int64_t *id, int64_t *last_received_ms, knocker_error *error)
{
	query *q;
	int32_t rc = db_query(d, STMT_id_next, NO_VALUES, &q, error);

	if (rc == 0) {
		*id = db_int(q, 0);
		*last_received_ms = db_int(q, 1);
	}
	db_done(q);
	return rc < 0 ? rc : 0;
}

/* ==== core/src/registration.c ==== */

/* What this process has registered of endpoints: shared, immutable, replaced as a whole. Knows
 * nothing of their rows. */
/* What this process has registered of endpoints: shared, immutable, replaced as a whole. Secrets
 * live here, and those of calls without an endpoint in receipt_pure.c. Knows nothing of the
 * endpoints' rows. */
#ifndef KNOCKER_REGISTRATION_H
#define KNOCKER_REGISTRATION_H

#include <pthread.h>
#include <stdatomic.h>


/* The signature engine: a scheme is data, compiled once; a request and keys go in, a verdict comes
 * out. Pure: no clock, no I/O, no provider's name in code. The grammar is docs/schemes.md. A
 * compiled scheme and its keys are immutable and shared between threads. */
#ifndef KNOCKER_SCHEME_H
#define KNOCKER_SCHEME_H



typedef struct scheme scheme;
/* The decoded secrets and checked options of one registration; cleansed when freed. */
typedef struct scheme_keys scheme_keys;

/* A built-in by name or alias, compiled at first use and kept for the process's life; `*out` NULL
 * and 0 when no provider is named so. */
KNOCKER_PRIVATE int32_t scheme_builtin(knocker_bytes name, const scheme **out, knocker_error *error);
KNOCKER_PRIVATE int32_t scheme_builtin_count(void);
/* Metadata of the n-th built-in, in order of name; all texts end with NUL and live as long as the
 * process. */
typedef struct {
	const char *name, *version, *title, *kind;
	int32_t has_replay_window;
	const char *options_json;
	int32_t curated; /* one of the names that every language's interface promises */
} scheme_info;
KNOCKER_PRIVATE int32_t scheme_builtin_info(int32_t n, scheme_info *out, knocker_error *error);

/* Compiles an application's own scheme. An unknown word anywhere is KNOCKER_INVALID_ARGUMENT and
 * named. Freed with scheme_free. */
KNOCKER_PRIVATE int32_t scheme_compile(knocker_bytes json_text, scheme **out, knocker_error *error);
KNOCKER_PRIVATE void scheme_free(scheme *s); /* NULL is fine; never a built-in */

/* Checks and decodes. Absent `secrets_json` is an error where the scheme needs a secret, unless a
 * handshake of it stores the secret. Unknown options and wrong values are errors that name them; a
 * secret that is no key of this scheme, or a pair's private one, is one too, without its text. */
KNOCKER_PRIVATE int32_t scheme_keys_new(const scheme *s, knocker_bytes secrets_json, knocker_bytes options_json,
                        scheme_keys **out, knocker_error *error);
/* The same, and what is absent is that of `base`, made for the same scheme. */
KNOCKER_PRIVATE int32_t scheme_keys_over(const scheme *s, const scheme_keys *base, knocker_bytes secrets_json,
                         knocker_bytes options_json, scheme_keys **out, knocker_error *error);
/* As scheme_keys_new, to sign with: of a pair's keys the private ones are taken too, as PEM or JWK.
 */
KNOCKER_PRIVATE int32_t scheme_keys_to_sign(const scheme *s, knocker_bytes secrets_json, knocker_bytes options_json,
                            scheme_keys **out, knocker_error *error);
KNOCKER_PRIVATE void scheme_keys_free(scheme_keys *keys); /* NULL is fine */
KNOCKER_PRIVATE bool scheme_keys_have_secret(const scheme_keys *keys);

typedef struct {
	knocker_bytes method;  /* absent: POST */
	knocker_bytes headers; /* lines "name: value\n", checked with request_headers_check */
	knocker_bytes query;   /* raw */
	knocker_bytes body;
} scheme_request;

typedef struct {
	bool valid;
	bool handshake;     /* the answer is a handshake's: a delivery, never an event */
	bool has_signature; /* some signature text was there: an orphan without one keeps no body */
	bool body_is_credential; /* the credential stands in the body: a rejected receipt keeps none */
	const char *error; /* why it is not valid; a static text or the arena's; NULL when valid */
	knocker_bytes event_type, provider_event_id, provider_delivery_id, dedupe_key;
	int64_t status;                 /* to answer */
	knocker_bytes response_headers; /* lines; absent: none */
	knocker_bytes response_body;    /* absent: none */
	knocker_bytes store_secret;     /* a handshake handed over this secret; absent otherwise */
} scheme_verdict;

/* Never fails a request for what it holds; the only error is KNOCKER_STORAGE, no memory. Texts are
 * lent by the request or the arena. */
KNOCKER_PRIVATE int32_t scheme_verify(const scheme *s, const scheme_keys *keys, const scheme_request *request,
                      int64_t now_s, arena *a, scheme_verdict *out, knocker_error *error);
/* Header lines to send so that scheme_verify says valid, under the first secret (appended to
 * `out`). */
KNOCKER_PRIVATE int32_t scheme_sign(const scheme *s, const scheme_keys *keys, const scheme_request *request,
                    int64_t now_s, buffer *out, knocker_error *error);

/* ---- request*.c: header lines, queries, forms; what of a request may be stored ---- */

/* KNOCKER_INVALID_ARGUMENT for a line without a colon, an empty name, control characters, or over
 * the limits, and names it. */
KNOCKER_PRIVATE int32_t request_headers_check(knocker_bytes headers, knocker_error *error);
KNOCKER_PRIVATE bool request_header_next(knocker_bytes headers, size_t *at, knocker_bytes *name,
                         knocker_bytes *value); /* value trimmed */
KNOCKER_PRIVATE bool request_name_char(char c);                 /* may stand in a header's name: RFC 9110's token */
KNOCKER_PRIVATE bool request_name_valid(knocker_bytes name);    /* one to LIMIT_NAME of those */
/* Case-insensitive, and Rack's form: HTTP_X_NAME is x-name, CONTENT_TYPE is content-type. */
KNOCKER_PRIVATE bool request_header_is(knocker_bytes name, const char *lower_case_name);
/* What is stored: a JSON object name -> value, or a list where a name came several times (names as
 * received). The values of credentials (authorization, proxy-authorization, cookie, and what the
 * scheme compares) are "[redacted]". `s` NULL: no scheme. */
KNOCKER_PRIVATE int32_t request_headers_json(const scheme *s, const scheme_keys *keys, knocker_bytes headers,
                             buffer *out, knocker_error *error);
KNOCKER_PRIVATE int32_t request_query_json(const scheme *s, const scheme_keys *keys, knocker_bytes query,
                           buffer *out, knocker_error *error);

#endif


#define REGISTRATION_BUCKETS 256

/* An endpoint as this process registered it. Shared and immutable: replaced as a whole, freed with
 * its last user. */
typedef struct registration registration;
struct registration {
	registration *next;
	_Atomic int32_t users;
	knocker_bytes name, provider, queue; /* provider absent: not verified */
	const scheme *scheme;                /* NULL: not verified, or by the application */
	scheme *own_scheme;                  /* what is freed with it */
	scheme_keys *keys;
	bool external; /* the application verifies and passes a verdict */
};

typedef struct {
	pthread_mutex_t lock;
	registration *buckets[REGISTRATION_BUCKETS];
} registrations;

KNOCKER_PRIVATE void registrations_init(registrations *all);
KNOCKER_PRIVATE void registrations_end(registrations *all);

KNOCKER_PRIVATE registration *registration_new(knocker_bytes name, knocker_bytes provider, knocker_bytes queue);
KNOCKER_PRIVATE void registration_put(registrations *all,
                      registration *r); /* takes it over, in place of an older */
KNOCKER_PRIVATE registration *registration_find(registrations *all,
                                knocker_bytes name); /* NULL: none; left again */
KNOCKER_PRIVATE void registration_leave(registration *r);            /* the last user frees it; NULL is fine */
/* The registrations one by one: leaves `*r`, which starts as NULL, and holds the next one. `*at`
 * starts at 0. False: there is no more, and nothing is held. */
KNOCKER_PRIVATE bool registration_next(registrations *all, int32_t *at, registration **r);
/* The queues that registrations have of their own, one by one, into `out`; `*at` starts at 0. */
KNOCKER_PRIVATE bool registration_queue_next(registrations *all, int32_t *at, char out[LIMIT_NAME + 1]);

#endif


#include <string.h>

static uint32_t registration_bucket(knocker_bytes name)
{
	const uint8_t *s = name.data;
	uint32_t hash = 2166136261u; /* FNV-1a */
	int64_t i;

	for (i = 0; i < name.len; i++)
		hash = (hash ^ s[i]) * 16777619u;
	return hash % REGISTRATION_BUCKETS;
}

void registration_leave(registration *r)
{
	if (!r || atomic_fetch_sub(&r->users, 1) > 1)
		return;
	scheme_keys_free(r->keys);
	scheme_free(r->own_scheme);
	memory_free(r);
}

registration *registration_find(registrations *all, knocker_bytes name)
{
	registration *r;

	pthread_mutex_lock(&all->lock);
	r = all->buckets[registration_bucket(name)];
	while (r && !bytes_equal(r->name, name))
		r = r->next;
	if (r)
		atomic_fetch_add(&r->users, 1);
	pthread_mutex_unlock(&all->lock);
	return r;
}

void registration_put(registrations *all, registration *r)
{
	registration **at = &all->buckets[registration_bucket(r->name)], *old = NULL;

	pthread_mutex_lock(&all->lock);
	while (*at && !bytes_equal((*at)->name, r->name))
		at = &(*at)->next;
	old = *at;
	r->next = old ? old->next : NULL;
	*at = r;
	pthread_mutex_unlock(&all->lock);
	registration_leave(old);
}

bool registration_next(registrations *all, int32_t *at, registration **r)
{
	registration *before = *r, *found = NULL;
	int32_t seen = 0, i;

	pthread_mutex_lock(&all->lock);
	for (i = 0; i < REGISTRATION_BUCKETS && !found; i++)
		for (found = all->buckets[i]; found && seen < *at; found = found->next)
			seen++;
	if (found)
		atomic_fetch_add(&found->users, 1);
	pthread_mutex_unlock(&all->lock);
	++*at;
	*r = found;
	registration_leave(before);
	return found != NULL;
}

bool registration_queue_next(registrations *all, int32_t *at, char out[LIMIT_NAME + 1])
{
	bool found = false;
	int32_t seen = 0, i;
	registration *r;

	pthread_mutex_lock(&all->lock);
	for (i = 0; i < REGISTRATION_BUCKETS && !found; i++)
		for (r = all->buckets[i]; r && !found; r = r->next) {
			if (!r->queue.data || seen++ < *at)
				continue;
			memcpy(out, r->queue.data, (size_t)r->queue.len);
			out[r->queue.len] = '\0';
			found = true;
		}
	pthread_mutex_unlock(&all->lock);
	*at = seen;
	return found;
}

/* One block holds the struct and its texts. */
registration *registration_new(knocker_bytes name, knocker_bytes provider, knocker_bytes queue)
{
	size_t size = (size_t)(name.len + provider.len + queue.len);
	registration *r = memory_get(sizeof *r + size);
	const knocker_bytes from[3] = {name, provider, queue};
	knocker_bytes *to[3];
	char *at;
	int i;

	if (!r)
		return NULL;
	memset(r, 0, sizeof *r);
	atomic_init(&r->users, 1);
	to[0] = &r->name;
	to[1] = &r->provider;
	to[2] = &r->queue;
	at = (char *)(r + 1);
	for (i = 0; i < 3; i++) {
		if (!from[i].data)
			continue;
		memcpy(at, from[i].data, (size_t)from[i].len);
		*to[i] = (knocker_bytes){at, from[i].len};
		at += from[i].len;
	}
	return r;
}

void registrations_init(registrations *all)
{
	memset(all, 0, sizeof *all);
	pthread_mutex_init(&all->lock, NULL);
}

void registrations_end(registrations *all)
{
	int32_t i;

	for (i = 0; i < REGISTRATION_BUCKETS; i++)
		while (all->buckets[i]) {
			registration *r = all->buckets[i];

			all->buckets[i] = r->next;
			registration_leave(r);
		}
	pthread_mutex_destroy(&all->lock);
}

/* ==== core/src/request.c ==== */

/* Reads header lines, queries and forms as they were received. Refuses to know what any name means.
 */
#include <string.h>


/* What the files of the signature engine share: a request as it is read by a compiled scheme, and
 * what each file offers the others. Nobody else includes this. */
#ifndef KNOCKER_SCHEME_PARTS_H
#define KNOCKER_SCHEME_PARTS_H


/* A scheme as it is compiled, and the keys of a registration. Data only: what is read of a request
 * by them stands in scheme_parts.h. Only the files of the signature engine include this. */
#ifndef KNOCKER_SCHEME_MODEL_H
#define KNOCKER_SCHEME_MODEL_H



/* Finds members of a received JSON body by path. Neither allocates nor recurses; the body is
 * hostile. Rules: docs/schemes.md and the grammar's "JSON" sentence: the whole body is one RFC 8259
 * text in strict UTF-8, at most LIMIT_JSON_DEPTH deep, else it has no members; names exact; the
 * last of equal names wins; numbers keep their text; a text with a lone surrogate or NUL is null.
 */
#ifndef KNOCKER_SCAN_H
#define KNOCKER_SCAN_H



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
KNOCKER_PRIVATE bool scan_path_cut(knocker_bytes path, knocker_bytes *steps, scan_path *out);

/* One pass over the body checks it and finds all paths. False: no JSON, and all values are absent.
 */
KNOCKER_PRIVATE bool scan_all(knocker_bytes body, const scan_path *paths, size_t count, scan_value *values);

KNOCKER_PRIVATE bool scan_valid(knocker_bytes body);                          /* one whole JSON text */
KNOCKER_PRIVATE scan_value scan_find(knocker_bytes body, knocker_bytes path); /* absent when the body is no JSON */
/* The text of a scalar: of a string unescaped into the arena, of a number or bool its JSON text.
 * Absent for null, arrays, objects, NUL, lone surrogates and what is over `max` bytes; absent with
 * the length -1 without memory. */
KNOCKER_PRIVATE knocker_bytes scan_text(scan_value v, arena *a, size_t max);
/* Elements of an array that scan_all or scan_find gave, or false at the end: `*at` starts at 0. */
KNOCKER_PRIVATE bool scan_each(scan_value array, size_t *at, scan_value *element);

#endif


/* Encodings, times and a checksum, as bytes and texts. Knows no scheme. */
#ifndef KNOCKER_SCHEME_CODEC_H
#define KNOCKER_SCHEME_CODEC_H



typedef enum { UNIT_NONE, UNIT_S, UNIT_MS, UNIT_RFC3339, UNIT_RFC3339_OR_S } time_unit;

KNOCKER_PRIVATE bool codec_hex(knocker_bytes text, uint8_t *out, size_t *len); /* room: half of the text */
/* Canonical and padded; room: 3/4. */
KNOCKER_PRIVATE bool codec_base64(knocker_bytes text, uint8_t *out, size_t *len);
KNOCKER_PRIVATE bool codec_base64url(knocker_bytes text, uint8_t *out, size_t *len); /* canonical and unpadded */
/* A key's: padding optional, spare bits ignored. */
KNOCKER_PRIVATE bool codec_base64_lenient(knocker_bytes text, uint8_t *out, size_t *len);
KNOCKER_PRIVATE size_t codec_hex_write(knocker_bytes bytes, char *out); /* room: twice; no NUL */
/* Room: 4 for each 3 begun; no NUL. */
KNOCKER_PRIVATE size_t codec_base64_write(knocker_bytes bytes, bool url, char *out);
KNOCKER_PRIVATE uint32_t codec_crc32(knocker_bytes bytes); /* as zip has it */
KNOCKER_PRIVATE bool codec_time(knocker_bytes text, time_unit unit, int64_t *out_s);
KNOCKER_PRIVATE void codec_time_write(time_unit unit, int64_t now_s, char out[32]);

#endif


#define SCHEME_HEADERS_MAX 64 /* header names of a scheme */
#define SCHEME_PARTS_MAX 32   /* parts of a template */
#define SCHEME_VARS_MAX 8
#define SCHEME_OPTIONS_MAX 16
#define SCHEME_FAMILIES_MAX 4
#define SCHEME_GROUPS_MAX 4  /* the scheme's own kind and its `alt`s */
#define SCHEME_LISTED_MAX 64 /* names of a list of headers */
#define SCHEME_CLAIMS_MAX 24 /* claims that a scheme reads */
#define SCHEME_KEYS_MAX 64   /* two for each secret; a set of public keys may hold several */

/* ---- texts and sources ---- */

/* A text of the scheme in which "{option:N}" may stand, to be replaced by the option's value. */
typedef struct {
	knocker_bytes text;
	bool has_option, is_whole; /* whole: a member's name, in which a point is a point */
} scheme_name;

typedef enum {
	SOURCE_HEADER,
	SOURCE_HEADERS, /* header*: every header whose name begins so */
	SOURCE_JSON,
	SOURCE_ITEM, /* j: a member of the item of `base` */
	SOURCE_FORM,
	SOURCE_QUERY,
	SOURCE_SIG,
	SOURCE_SIGITEM,
	SOURCE_CLAIM, /* of the token that verified */
	SOURCE_OPTION,
	SOURCE_JOIN
} source_kind;

typedef struct scheme_source scheme_source;
struct scheme_source {
	source_kind kind;
	knocker_bytes word; /* as the scheme has it, for messages: "json:data.id" */
	scheme_name name;   /* header, path, field, element; of a join its separator */
	size_t slot;        /* of headers, paths and claims; the number of an item or option */
	const scheme_source *pieces;
	size_t piece_count;
};

typedef struct {
	const scheme_source *list;
	size_t count;
} scheme_sources;

/* ---- templates ---- */

typedef enum {
	PART_LITERAL,
	PART_BODY,
	PART_BODY_B64,
	PART_MD5_B64,
	PART_CRC32,
	PART_METHOD,
	PART_URL,
	PART_URL_NOQUERY,
	PART_URL_PATH,
	PART_URL_UNESCAPED,
	PART_URL_TRIES,
	PART_FORM_SORTED,
	PART_FORM_SORTED_UNIQUE,
	PART_URL_FORM_SORTED,
	PART_URI_ESCAPED,
	PART_QUERY_CANONICAL,
	PART_JSON_LINES, /* of the source's pieces */
	PART_HEADER_LIST,
	PART_SECRET,
	PART_DELIVERY_ID,
	PART_EVENT_ID,
	PART_EVENT_TYPE,
	PART_VAR,
	PART_SOURCE,
	PART_HMAC,  /* of the source's text, in hex; in answers only */
	PART_MEMBER /* of an array's element; in each: only */
} part_kind;

typedef struct {
	part_kind kind;
	knocker_bytes literal;
	size_t number; /* of a var or member */
	scheme_source source;
} scheme_part;

typedef struct {
	const scheme_part *parts;
	size_t count;
} scheme_template;

typedef struct {
	const scheme_template *list;
	size_t count;
} scheme_templates;

/* ---- the scheme ---- */

typedef enum {
	KIND_HMAC,
	KIND_HASH,
	KIND_ED25519,
	KIND_TOKEN,
	KIND_BASIC,
	KIND_ECDSA_P256,
	KIND_RSA_PKCS1,
	KIND_JWT
} kind_id;
typedef enum { ENCODING_NONE, ENCODING_HEX, ENCODING_BASE64, ENCODING_BASE64URL } encoding;
typedef enum {
	DECODE_UTF8,
	DECODE_HEX,
	DECODE_BASE64,
	DECODE_BASE64_OR_RAW,
	DECODE_PEM, /* the first that makes public keys */
	DECODE_JWKS
} key_decoding;
typedef enum { JWT_HS256, JWT_HS384, JWT_HS512, JWT_RS256, JWT_ES256, JWT_ALGS } jwt_alg;

typedef struct scheme_kind scheme_kind;

typedef struct {
	knocker_bytes name;
	digest digest;
} scheme_alg_name;

typedef struct {
	enum { ALG_FIXED, ALG_AUTO, ALG_BY_SOURCE } how;
	digest fixed;
	bool has_fallback; /* ALG_BY_SOURCE: `fixed` when the source names none */
	scheme_sources from;
	knocker_bytes items, kv, pick;
	bool trim;
	const scheme_alg_name *map;
	size_t map_count;
} scheme_alg;

typedef struct {
	knocker_bytes strip;
	key_decoding decode;
	bool derive_sha1;
	size_t host; /* 0, or 1 + the number of the option that names a certificate's host */
} scheme_key_rule;

/* The scheme's own kind, or one of its `alt`s: what a key of it is and which signatures are its. */
typedef struct {
	const scheme_kind *kind;
	scheme_alg alg;
	scheme_key_rule key;
	const scheme_name *pick;
	size_t pick_count;
} scheme_group;

typedef struct {
	knocker_bytes word, sets, items, kv, prefix;
	bool trim, prefix_optional;
	size_t skip;
	encoding encoding;
} scheme_signature;

typedef struct {
	knocker_bytes name;
	scheme_sources from;
	time_unit unit;
	bool number;
	bool has_is; /* it must be the text of `is` */
	scheme_source is;
} scheme_var;

typedef struct {
	knocker_bytes param;
	scheme_template require; /* its SHA-256 in hex must stand in the query */
	scheme_templates sign;
} scheme_when_query;

typedef struct {
	enum { DEDUPE_TEXT, DEDUPE_SHA256, DEDUPE_EACH } how;
	scheme_template text;
	size_t array;             /* DEDUPE_EACH: the path of the array, */
	const scan_path *members; /* and what of each element the template reads */
	size_t member_count;
} scheme_dedupe;

/* A list of headers' names that the request brings: `from` is absent where the scheme has none. */
typedef struct {
	scheme_sources from;
	knocker_bytes items, kv, join; /* kv absent: the values alone */
	const knocker_bytes *require;  /* names in lower case that the list must have */
	size_t require_count;
} scheme_header_list;

/* A claim, and what it must be: one of `texts`; `is_hash`: the SHA-256 of the only one in hex. */
typedef struct {
	size_t slot;
	bool is_hash, if_body;
	scheme_templates texts;
} scheme_claim;

typedef struct {
	uint32_t algs; /* a bit for each jwt_alg */
	int64_t leeway_s;
	size_t exp, nbf, require_count, claim_count; /* exp and nbf are slots */
	const size_t *require;                       /* slots */
	const scheme_claim *claims;
} scheme_jwt;

typedef enum { ID_DELIVERY, ID_EVENT, ID_TYPE, ID_COUNT } id_kind;

/* All that may hold {family}: one such for each family, or one. */
typedef struct {
	knocker_bytes family;
	scheme_sources from;
	scheme_group groups[SCHEME_GROUPS_MAX];
	scheme_var vars[SCHEME_VARS_MAX];
	scheme_templates sign;
	scheme_header_list header_list;
	scheme_jwt jwt;
	const scheme_when_query *when;
	size_t when_count;
	scheme_sources ids[ID_COUNT];
	const scheme_dedupe *dedupe;
	size_t dedupe_count;
} scheme_try;

typedef struct {
	enum { WHEN_METHOD, WHEN_TEXT, WHEN_ANY, WHEN_NULL, WHEN_SAME, WHEN_CHARS } how;
	scheme_source source, other;
	knocker_bytes text;
	int64_t min, max;
} scheme_condition;

typedef struct {
	knocker_bytes name;
	scheme_template text;
	bool is_number; /* an answer's member that goes out without quotes */
} scheme_member;

typedef struct {
	int64_t status;
	knocker_bytes type;
	const scheme_member *headers;
	size_t header_count;
	bool has_text; /* the body is `text`; */
	scheme_template text;
	bool has_object; /* or a JSON object of `members` */
	const scheme_member *members;
	size_t member_count;
} scheme_answer;

typedef struct {
	const scheme_condition *conditions;
	size_t condition_count;
	bool is_signed, stores;
	scheme_source store;
	scheme_answer answer;
} scheme_handshake;

typedef struct {
	knocker_bytes name;
	bool is_int, required;
	bool has_default;
	knocker_bytes text; /* the default's */
	int64_t number;
} scheme_option;

struct scheme {
	arena memory;
	const scheme_kind *kind;
	size_t group_count, var_count, try_count, option_count, header_count, path_count,
		item_path_count, claim_count;
	scheme_signature signature;
	const scheme_try *tries;
	scheme_option options[SCHEME_OPTIONS_MAX];
	scheme_name headers[SCHEME_HEADERS_MAX];
	scheme_name paths[SCAN_PATHS_MAX];      /* of json: */
	scheme_name item_paths[SCAN_PATHS_MAX]; /* of j: */
	scheme_name claims[SCHEME_CLAIMS_MAX];
	bool paths_dynamic; /* an option stands in a path: cut for each request */
	scan_path cut[SCAN_PATHS_MAX], item_cut[SCAN_PATHS_MAX], claim_cut[SCHEME_CLAIMS_MAX];
	const knocker_bytes *bases; /* "" is the root; "a.*.b" as given */
	size_t base_count;
	bool has_replay, has_window;
	size_t replay_var;
	int64_t tolerance_s;
	ptrdiff_t option_tolerance, option_url, option_method; /* their numbers, or -1 */
	knocker_bytes form_json_field;
	const scheme_handshake *handshakes;
	size_t handshake_count;
	bool stores_secret;
	/* What is sent passes with any body: it is never stored. */
	bool is_credential, credential_in_body;
	scheme_answer accept, reject;
	knocker_bytes options_json;
};

/* ---- keys ---- */

typedef struct {
	size_t group;
	size_t secret; /* which of the secrets it was made from */
	uint8_t *bytes;
	size_t len;
	crypto_key *hmac[DIGEST_KINDS];
	/* Of token and basic: of the secret's text, so that comparing takes one time for any length. */
	uint8_t hash[32];
	crypto_public *pair;
	bool has_time; /* of a certificate: when it holds */
	int64_t from_s, until_s;
	/* What a JWK says that it is for: JWT_ALGS is any, and an absent name any. */
	jwt_alg alg;
	uint8_t *id;
	size_t id_len;
} scheme_key;

typedef struct {
	uint8_t *bytes;
	size_t len;
} scheme_secret;

typedef struct {
	bool given;
	int64_t number;
	scheme_secret text;
} scheme_option_value;

struct scheme_keys {
	size_t secret_count, key_count;
	scheme_secret secrets[LIMIT_SECRETS];
	scheme_key keys[SCHEME_KEYS_MAX];
	bool to_sign; /* private keys of a pair are taken, too */
	/* By the scheme's numbers; defaults filled in. */
	scheme_option_value options[SCHEME_OPTIONS_MAX];
};

/* The option's text, or absent. Without keys it is the default's. */
KNOCKER_PRIVATE knocker_bytes scheme_option_text(const scheme *s, const scheme_keys *keys, size_t option);

KNOCKER_PRIVATE ptrdiff_t scheme_option_find(const scheme *s, knocker_bytes name); /* its number, or -1 */

#endif


/* Signatures of one request that are tried: each hashes the body once a key. */
#define SCHEME_SETS_MAX 16
#define SCHEME_ITEMS_MAX 256 /* items of one signature that are read */
#define SCHEME_FORM_MAX 1000 /* fields of a form that is sorted: senders have dozens */
#define SCHEME_URL_TRIES 9   /* spellings of {url~} */

/* ---- a request as it is read ---- */

typedef struct {
	knocker_bytes text; /* absent: none, or an empty one */
	bool ambiguous;     /* several different ones */
	bool is_number;     /* a JSON number */
	bool is_null; /* really absent or JSON's null, not an array or a text that cannot be read */
} scheme_text;

typedef struct {
	knocker_bytes bytes;
	digest digest;
} scheme_candidate;

/* Why a request is refused; of several tries the one that came furthest is told. */
typedef enum {
	REFUSED_NOT,
	REFUSED_MISSING,
	REFUSED_MALFORMED,
	REFUSED_AMBIGUOUS,
	REFUSED_VAR,
	REFUSED_MISMATCH,
	REFUSED_CLAIM,
	REFUSED_STALE
} refusal;

typedef struct {
	const scheme *scheme;
	const scheme_keys *keys;
	const scheme_request *request;
	int64_t now_s;
	arena *arena;
	bool no_memory;
	/* Reading ids or a handshake: different texts are none, a JSON body has no form. */
	bool extracting;
	bool form_json; /* reading ids: json: may come from the form's field */

	scheme_text headers[SCHEME_HEADERS_MAX];
	scan_value values[SCAN_PATHS_MAX], form_values[SCAN_PATHS_MAX], item_values[SCAN_PATHS_MAX];
	enum { BODY_UNREAD, BODY_JSON, BODY_OTHER } body, form_body;
	const scan_path *paths, *item_paths, *claim_paths;
	bool has_item;
	knocker_bytes token; /* the claims of the one that verified; absent: none has */
	scan_value claims[SCHEME_CLAIMS_MAX];

	const scheme_try *current;
	bool has_signature;
	knocker_bytes items[SCHEME_ITEMS_MAX]; /* of the signature in hand */
	size_t item_count;
	scheme_candidate candidates[LIMIT_CANDIDATES];
	size_t candidate_count, candidates_seen, sets_seen;
	knocker_bytes vars[SCHEME_VARS_MAX];
	/* Those that were signed: others may stand beside them. */
	knocker_bytes passed_set, passed_token, passed_vars[SCHEME_VARS_MAX];
	knocker_bytes ids[ID_COUNT];
	const scheme_key *matched;
	knocker_bytes url_tries[SCHEME_URL_TRIES];
	size_t url_try_count;

	refusal refusal;
	const char *error;
} scheme_reading;

/* scheme_source.c */
KNOCKER_PRIVATE void scheme_reading_begin(scheme_reading *r, const scheme *s, const scheme_keys *keys,
                          const scheme_request *request, int64_t now_s, arena *a);
KNOCKER_PRIVATE void scheme_refuse(scheme_reading *r, refusal rank, const char *format, ...)
	__attribute__((format(printf, 3, 4)));
KNOCKER_PRIVATE const char *scheme_shown(scheme_reading *r, knocker_bytes text); /* for messages: cut, printable */
KNOCKER_PRIVATE void scheme_headers_read(scheme_reading *r);                     /* fills headers */
KNOCKER_PRIVATE knocker_bytes scheme_name_text(scheme_reading *r, scheme_name name);
KNOCKER_PRIVATE knocker_bytes scheme_lower(scheme_reading *r,
                           knocker_bytes text); /* a copy; the text where there is no memory */
KNOCKER_PRIVATE knocker_bytes scheme_header_name(scheme_reading *r, scheme_name name); /* the same in lower case */
KNOCKER_PRIVATE scheme_text scheme_source_read(scheme_reading *r, const scheme_source *source);
/* The first that has a text. Ambiguous: verification must refuse. */
KNOCKER_PRIVATE scheme_text scheme_sources_read(scheme_reading *r, scheme_sources sources);
KNOCKER_PRIVATE const char *scheme_source_says(scheme_reading *r, const scheme_source *source); /* "header 'x'" */
/* By path; all absent when the body is no JSON. */
KNOCKER_PRIVATE const scan_value *scheme_body_values(scheme_reading *r);
KNOCKER_PRIVATE bool scheme_body_is_json(scheme_reading *r);
KNOCKER_PRIVATE void scheme_item_enter(scheme_reading *r, scan_value item);

/* scheme_candidate.c */
KNOCKER_PRIVATE bool scheme_item_char(char c, knocker_bytes any);
KNOCKER_PRIVATE bool scheme_piece_next(knocker_bytes text, knocker_bytes marks, size_t *at, knocker_bytes *piece);
KNOCKER_PRIVATE bool scheme_word_off(knocker_bytes word, knocker_bytes *text);
KNOCKER_PRIVATE void scheme_items_cut(scheme_reading *r, knocker_bytes set); /* fills items */
KNOCKER_PRIVATE int64_t scheme_kv_find(knocker_bytes item, knocker_bytes kv);
/* Fills candidates. */
KNOCKER_PRIVATE void scheme_candidates_find(scheme_reading *r, const scheme_group *group, digest d);

/* scheme_template.c */
/* Fills `parts`, one for each of the template's; what `key` and `attempt` decide too. In signed
 * texts an absent source is empty. False: an ambiguous text (refused), or, when not signing, an
 * absent one. */
KNOCKER_PRIVATE bool scheme_template_fill(scheme_reading *r, const scheme_template *t, bool is_signed,
                          const scheme_key *key, size_t attempt, knocker_bytes *parts);
/* The template's text, or absent. */
KNOCKER_PRIVATE knocker_bytes scheme_template_text(scheme_reading *r, const scheme_template *t);
KNOCKER_PRIVATE knocker_bytes scheme_join(scheme_reading *r, const knocker_bytes *parts, size_t count);
KNOCKER_PRIVATE bool scheme_template_has(const scheme_template *t, part_kind kind);
KNOCKER_PRIVATE bool scheme_hmac_hex(scheme_reading *r, knocker_bytes text, knocker_bytes *out);

/* scheme_url.c */
KNOCKER_PRIVATE knocker_bytes scheme_url(scheme_reading *r);
KNOCKER_PRIVATE knocker_bytes scheme_url_noquery(knocker_bytes url);
KNOCKER_PRIVATE knocker_bytes scheme_url_unescaped(scheme_reading *r, knocker_bytes url);
KNOCKER_PRIVATE void scheme_url_spell(scheme_reading *r); /* fills url_tries */
KNOCKER_PRIVATE knocker_bytes scheme_url_path(knocker_bytes url);
KNOCKER_PRIVATE knocker_bytes scheme_form_sorted(scheme_reading *r, bool unique);
KNOCKER_PRIVATE knocker_bytes scheme_url_form_sorted(scheme_reading *r);
KNOCKER_PRIVATE knocker_bytes scheme_query_canonical(scheme_reading *r);
KNOCKER_PRIVATE knocker_bytes scheme_uri_escaped(scheme_reading *r);

/* scheme_header_list.c */
/* What the listed headers say; `*good` false: refused. */
KNOCKER_PRIVATE knocker_bytes scheme_header_list_text(scheme_reading *r, bool *good);
/* Before a request is signed, whose vars are known: the list, and the headers that are sent, are
 * put where they are read. `*list` is absent where none is signed. */
KNOCKER_PRIVATE int32_t scheme_header_list_make(scheme_reading *r, knocker_bytes *list, knocker_error *error);

/* scheme_check.c: the kinds */
struct scheme_kind {
	const char *name;
	kind_id id;
	bool has_alg, has_key, has_signed, has_encoding;
	/* Whether one of the reading's candidates is right under one of the group's keys; all are
	 * tried. */
	bool (*check)(scheme_reading *r, size_t group, scheme_templates sign);
};
KNOCKER_PRIVATE const scheme_kind *scheme_kind_find(knocker_bytes name); /* NULL: no such word */

/* scheme_extract.c */
KNOCKER_PRIVATE void scheme_extract(scheme_reading *r, scheme_verdict *out, bool with_dedupe);
/* Absent when it is no id: empty, NUL, too long, no UTF-8. */
KNOCKER_PRIVATE knocker_bytes scheme_id_text(knocker_bytes text);

/* scheme_handshake.c */
KNOCKER_PRIVATE bool scheme_handshake_answer(scheme_reading *r, bool is_signed, scheme_verdict *out);
KNOCKER_PRIVATE bool scheme_answer_write(scheme_reading *r, const scheme_answer *answer, scheme_verdict *out);

/* scheme_verify.c */
/* The digest that the request names, under that name. False: refused. */
KNOCKER_PRIVATE bool scheme_digest_named(scheme_reading *r, const scheme_alg *alg, digest *d, knocker_bytes *name);
KNOCKER_PRIVATE bool scheme_signed_choose(scheme_reading *r, const scheme_try *t, scheme_templates *out);

/* scheme_redact.c */
/* Whether the header or query member of that name is one that the scheme compares as a credential.
 * 1: yes, 0: no; KNOCKER_STORAGE: there was no memory to tell. */
KNOCKER_PRIVATE int32_t scheme_redacts(const scheme *s, const scheme_keys *keys, source_kind kind,
                       knocker_bytes name);

/* ---- request.c ---- */
KNOCKER_PRIVATE bool request_name_is(knocker_bytes name, knocker_bytes lower_case_name);
KNOCKER_PRIVATE bool request_name_begins(knocker_bytes name, knocker_bytes lower_case_prefix);
/* Queries and forms. The pieces between "&"; empty ones are passed over. */
KNOCKER_PRIVATE bool request_pair_next(knocker_bytes raw, size_t *at, knocker_bytes *name, knocker_bytes *value);
KNOCKER_PRIVATE bool request_decoded_is(knocker_bytes raw, knocker_bytes wanted);
KNOCKER_PRIVATE bool request_decode(arena *a, knocker_bytes raw, knocker_bytes *out); /* false: no memory */
/* How often the name comes; `*value` is the first, `*different` says whether another differs.
 * Negative: no memory. */
KNOCKER_PRIVATE int64_t request_pair_find(arena *a, knocker_bytes raw, knocker_bytes name, knocker_bytes *value,
                          bool *different);

/* scheme.c: the text of a built-in's provider.json, by name or alias; NULL when none is named so.
 */
KNOCKER_PRIVATE int32_t scheme_provider_text(knocker_bytes name, const char **out, knocker_error *error);

#endif


/* ---- headers ---- */

/* The line at `*at` without its end; false past the last. */
static bool request_line_next(knocker_bytes headers, size_t *at, knocker_bytes *line)
{
	size_t len = (size_t)headers.len;
	const char *text = headers.data, *end;

	if (*at >= len)
		return false;
	end = memchr(text + *at, '\n', len - *at);
	*line = bytes_part(headers, *at, end ? (size_t)(end - text) : len);
	*at += (size_t)line->len + 1;
	return true;
}

bool request_header_next(knocker_bytes headers, size_t *at, knocker_bytes *name,
                         knocker_bytes *value)
{
	knocker_bytes line;

	while (request_line_next(headers, at, &line)) {
		int64_t colon = bytes_find(line, ':');

		if (colon < 0)
			continue;
		*name = bytes_part(line, 0, (size_t)colon);
		*value = bytes_trim(bytes_part(line, (size_t)colon + 1, (size_t)line.len));
		return true;
	}
	return false;
}

/* Eight bytes at a time while none of them can be a control character. */
static bool request_line_plain(knocker_bytes line)
{
	const uint64_t ones = 0x0101010101010101u, tops = 0x8080808080808080u;
	const uint8_t *text = line.data;
	int64_t i = 0;

	while (i < line.len) {
		uint64_t word;

		if (line.len - i >= 8) {
			memcpy(&word, text + i, sizeof word);
			if (!(((word - ones * 0x20) | ((word ^ (ones * 0x7F)) - ones)) & ~word & tops)) {
				i += 8;
				continue;
			}
		}
		if ((text[i] < 0x20 && text[i] != '\t') || text[i] == 0x7F)
			return false;
		i++;
	}
	return true;
}

int32_t request_headers_check(knocker_bytes headers, knocker_error *error)
{
	size_t at = 0, count = 0;
	knocker_bytes line;
	int64_t colon;

	if (headers.len > LIMIT_HEADERS)
		return fail(error, KNOCKER_INVALID_ARGUMENT,
		            "headers of %lld bytes are over the limit of %d", (long long)headers.len,
		            LIMIT_HEADERS);
	while (request_line_next(headers, &at, &line)) {
		if (++count > LIMIT_HEADER_COUNT)
			return fail(error, KNOCKER_INVALID_ARGUMENT, "more than %d headers",
			            LIMIT_HEADER_COUNT);
		colon = bytes_find(line, ':');
		if (!request_line_plain(line))
			return fail(error, KNOCKER_INVALID_ARGUMENT,
			            "header line %zu holds a control character", count);
		if (colon < 0)
			return fail(error, KNOCKER_INVALID_ARGUMENT,
			            "header line %zu has no colon: \"name: value\"", count);
		if (bytes_trim(bytes_part(line, 0, (size_t)colon)).len == 0)
			return fail(error, KNOCKER_INVALID_ARGUMENT, "header line %zu has no name", count);
	}
	return 0;
}

bool request_name_char(char c)
{
	return c > 0x20 && c < 0x7F && bytes_find(bytes_of("()<>@,;:\\\"/[]?={}"), c) < 0;
}

bool request_name_valid(knocker_bytes name)
{
	int64_t i;

	for (i = 0; i < name.len; i++)
		if (!request_name_char(((const char *)name.data)[i]))
			return false;
	return name.len > 0 && name.len <= LIMIT_NAME;
}

/* Rack's names: HTTP_X_NAME, CONTENT_TYPE, CONTENT_LENGTH. `*name` loses the prefix. */
static bool request_name_rack(knocker_bytes *name)
{
	const char *text = name->data;

	if (name->len > 5 && text[4] == '_' && memcmp(text, "HTTP", 4) == 0) {
		*name = bytes_part(*name, 5, (size_t)name->len);
		return true;
	}
	return (name->len == 12 || name->len == 14) && text[7] == '_' &&
	       memcmp(text, "CONTENT", 7) == 0;
}

bool request_name_begins(knocker_bytes name, knocker_bytes lower_case_prefix)
{
	bool rack = request_name_rack(&name);
	const char *a = name.data, *b = lower_case_prefix.data;
	int64_t i;

	if (name.len < lower_case_prefix.len)
		return false;
	for (i = 0; i < lower_case_prefix.len; i++) {
		char c = ascii_lower(a[i]);

		if (c != b[i] && !(rack && c == '_' && b[i] == '-'))
			return false;
	}
	return true;
}

bool request_name_is(knocker_bytes name, knocker_bytes lower_case_name)
{
	knocker_bytes bare = name;

	request_name_rack(&bare);
	return bare.len == lower_case_name.len && request_name_begins(name, lower_case_name);
}

bool request_header_is(knocker_bytes name, const char *lower_case_name)
{
	return request_name_is(name, bytes_of(lower_case_name));
}

/* ---- queries and forms ---- */

bool request_pair_next(knocker_bytes raw, size_t *at, knocker_bytes *name, knocker_bytes *value)
{
	size_t len = (size_t)raw.len;
	const char *text = raw.data, *end;

	while (*at < len) {
		size_t from = *at, to;
		int64_t equals;
		knocker_bytes piece;

		end = memchr(text + from, '&', len - from);
		to = end ? (size_t)(end - text) : len;
		*at = to + 1;
		if (to == from)
			continue;
		piece = bytes_part(raw, from, to);
		equals = bytes_find(piece, '=');
		*name = bytes_part(piece, 0, equals < 0 ? (size_t)piece.len : (size_t)equals);
		*value = bytes_part(piece, equals < 0 ? (size_t)piece.len : (size_t)equals + 1,
		                    (size_t)piece.len);
		return true;
	}
	return false;
}

static int32_t request_hex(uint8_t c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c |= 0x20;
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* The next byte that `raw` means: "+" is a blank, %XX a byte, a wrong escape stays. */
static uint8_t request_decode_next(knocker_bytes raw, size_t *at)
{
	const uint8_t *text = raw.data;
	uint8_t c = text[(*at)++];

	if (c == '+')
		return ' ';
	if (c == '%' && (size_t)raw.len - *at >= 2) {
		int32_t high = request_hex(text[*at]), low = request_hex(text[*at + 1]);

		if (high >= 0 && low >= 0) {
			*at += 2;
			return (uint8_t)(high * 16 + low);
		}
	}
	return c;
}

bool request_decoded_is(knocker_bytes raw, knocker_bytes wanted)
{
	const uint8_t *text = wanted.data;
	size_t at = 0, len = 0;

	if (raw.len < wanted.len)
		return false;
	while (at < (size_t)raw.len) {
		if (len == (size_t)wanted.len || request_decode_next(raw, &at) != text[len])
			return false;
		len++;
	}
	return len == (size_t)wanted.len;
}

bool request_decode(arena *a, knocker_bytes raw, knocker_bytes *out)
{
	uint8_t *text = arena_get(a, (size_t)raw.len + 1);
	size_t at = 0, len = 0;

	if (!text)
		return false;
	while (at < (size_t)raw.len)
		text[len++] = request_decode_next(raw, &at);
	*out = (knocker_bytes){text, (int64_t)len};
	return true;
}

int64_t request_pair_find(arena *a, knocker_bytes raw, knocker_bytes name, knocker_bytes *value,
                          bool *different)
{
	knocker_bytes found_name, found, first_raw = {0};
	size_t at = 0;
	int64_t count = 0;

	*different = false;
	while (request_pair_next(raw, &at, &found_name, &found)) {
		if (!request_decoded_is(found_name, name))
			continue;
		if (count == 0) {
			first_raw = found;
			if (!request_decode(a, found, value))
				return -1;
		} else if (!bytes_equal(found, first_raw) && !request_decoded_is(found, *value)) {
			*different = true;
		}
		count++;
	}
	return count;
}

/* ==== core/src/request_json.c ==== */

/* Headers and queries as they are stored: JSON objects in which credentials are redacted. Knows not
 * which those are. */
#include <stdlib.h>
#include <string.h>




typedef struct {
	knocker_bytes name, value;
	size_t order, next; /* the next of the same name; its own order when it is the last */
	bool first;
} request_pair;

static int request_bytes_order(knocker_bytes a, knocker_bytes b, bool nocase)
{
	const uint8_t *s = a.data, *t = b.data;
	int64_t i;

	for (i = 0; i < a.len && i < b.len; i++) {
		uint8_t c = nocase ? (uint8_t)ascii_lower((char)s[i]) : s[i];
		uint8_t d = nocase ? (uint8_t)ascii_lower((char)t[i]) : t[i];

		if (c != d)
			return c - d;
	}
	return a.len < b.len ? -1 : a.len > b.len;
}

static int request_then_order(const request_pair *a, const request_pair *b, int order)
{
	return order ? order : a->order < b->order ? -1 : 1;
}

static int request_header_order(const void *a, const void *b)
{
	const request_pair *first = *(request_pair *const *)a, *second = *(request_pair *const *)b;

	return request_then_order(first, second, request_bytes_order(first->name, second->name, true));
}

static int request_query_order(const void *a, const void *b)
{
	const request_pair *first = *(request_pair *const *)a, *second = *(request_pair *const *)b;

	return request_then_order(first, second, request_bytes_order(first->name, second->name, false));
}

#define REQUEST_FEW 32 /* that many are compared with each other rather than sorted */

static bool request_same_name(const request_pair *a, const request_pair *b, bool headers)
{
	return a->name.len == b->name.len && request_bytes_order(a->name, b->name, headers) == 0;
}

static void request_chain_few(request_pair *pairs, size_t count, bool headers)
{
	size_t i, before;

	for (i = 0; i < count; i++) {
		pairs[i].order = pairs[i].next = i;
		for (before = i; before > 0; before--)
			if (request_same_name(&pairs[before - 1], &pairs[i], headers))
				break;
		pairs[i].first = before == 0;
		if (before > 0)
			pairs[before - 1].next = i;
	}
}

/* Chains the pairs of one name. Many are sorted: a hostile query has ten thousand. */
static bool request_chain(arena *a, request_pair *pairs, size_t count, bool headers)
{
	request_pair **sorted;
	size_t i;

	if (count <= REQUEST_FEW) {
		request_chain_few(pairs, count, headers);
		return true;
	}
	sorted = arena_get(a, (count + 1) * sizeof(request_pair *));
	if (!sorted)
		return false;
	for (i = 0; i < count; i++) {
		sorted[i] = &pairs[i];
		pairs[i].order = pairs[i].next = i;
	}
	qsort(sorted, count, sizeof(request_pair *),
	      headers ? request_header_order : request_query_order);
	for (i = 0; i < count; i++) {
		bool same = i > 0 &&
		            request_bytes_order(sorted[i - 1]->name, sorted[i]->name, headers) == 0;

		sorted[i]->first = !same;
		if (same)
			sorted[i - 1]->next = sorted[i]->order;
	}
	return true;
}

/* 1: yes, 0: no; KNOCKER_STORAGE: there was no memory to tell. */
static int32_t request_is_credential(const scheme *s, const scheme_keys *keys, bool headers,
                                     knocker_bytes name)
{
	if (headers &&
	    (request_header_is(name, "authorization") ||
	     request_header_is(name, "proxy-authorization") || request_header_is(name, "cookie")))
		return 1;
	return s ? scheme_redacts(s, keys, headers ? SOURCE_HEADER : SOURCE_QUERY, name) : 0;
}

static int32_t request_pairs_write(const scheme *s, const scheme_keys *keys, request_pair *pairs,
                                   size_t count, bool headers, buffer *out, knocker_error *error)
{
	size_t i, at;
	bool any = false;

	buffer_text(out, "{");
	for (i = 0; i < count; i++) {
		bool several = pairs[i].next != i;
		int32_t secret;

		if (!pairs[i].first)
			continue;
		secret = request_is_credential(s, keys, headers, pairs[i].name);
		if (secret < 0)
			return fail_memory(error);
		buffer_text(out, any ? "," : "");
		any = true;
		buffer_json(out, pairs[i].name);
		buffer_text(out, several ? ":[" : ":");
		for (at = i;; at = pairs[at].next) {
			buffer_text(out, at != i ? "," : "");
			buffer_json(out, secret ? bytes_of("[redacted]") : pairs[at].value);
			if (pairs[at].next == at)
				break;
		}
		buffer_text(out, several ? "]" : "");
	}
	buffer_text(out, "}");
	if (!out->failed)
		return 0;
	if (!out->full)
		return fail_memory(error);
	return fail(error, KNOCKER_INVALID_ARGUMENT, "%s are over the limit of %zu bytes",
	            headers ? "headers" : "query members", out->max);
}

int32_t request_headers_json(const scheme *s, const scheme_keys *keys, knocker_bytes headers,
                             buffer *out, knocker_error *error)
{
	arena a = {0};
	knocker_bytes name, value;
	request_pair *pairs;
	size_t at = 0, count = 0;
	int32_t rc;

	buffer_expect(out, (size_t)headers.len + (size_t)headers.len / 8 + 16);
	while (request_header_next(headers, &at, &name, &value))
		count++;
	pairs = arena_get(&a, (count + 1) * sizeof *pairs);
	for (at = count = 0; pairs && request_header_next(headers, &at, &name, &value); count++) {
		pairs[count].name = bytes_trim(name);
		pairs[count].value = value;
	}
	if (pairs && request_chain(&a, pairs, count, true))
		rc = request_pairs_write(s, keys, pairs, count, true, out, error);
	else
		rc = fail_memory(error);
	arena_free(&a);
	return rc;
}

int32_t request_query_json(const scheme *s, const scheme_keys *keys, knocker_bytes query,
                           buffer *out, knocker_error *error)
{
	arena a = {0};
	knocker_bytes name, value;
	request_pair *pairs;
	size_t at = 0, count = 0;
	bool good;
	int32_t rc;

	while (request_pair_next(query, &at, &name, &value))
		count++;
	pairs = arena_get(&a, (count + 1) * sizeof *pairs);
	good = pairs != NULL;
	for (at = count = 0; good && request_pair_next(query, &at, &name, &value); count++)
		good = request_decode(&a, name, &pairs[count].name) &&
		       request_decode(&a, value, &pairs[count].value);
	if (good && request_chain(&a, pairs, count, false))
		rc = request_pairs_write(s, keys, pairs, count, false, out, error);
	else
		rc = fail_memory(error);
	arena_free(&a);
	return rc;
}

/* ==== core/src/request_restore.c ==== */

/* Headers and queries read back from the JSON in which they are stored. What that JSON does not
 * hold is guessed in a few usual forms; whether a guess was right a signature says, not this
 * file. */
/* A request as it is stored, read back to be verified again. Knows not what for. */
#ifndef KNOCKER_REQUEST_RESTORE_H
#define KNOCKER_REQUEST_RESTORE_H



/* What was stored, as lines and as a raw query again. KNOCKER_INVALID_ARGUMENT: it cannot be read
 * back. How a query was escaped is not stored, so there are several forms of it, the likeliest
 * first. */
#define REQUEST_QUERY_FORMS 3
KNOCKER_PRIVATE int32_t request_headers_restore(knocker_bytes stored, buffer *out, knocker_error *error);
KNOCKER_PRIVATE int32_t request_query_restore(knocker_bytes stored, int32_t form, buffer *out,
                              knocker_error *error);
/* A value that this scheme compares is "[redacted]": what was stored cannot be verified again.
 * KNOCKER_STORAGE: there was no memory to tell. */
KNOCKER_PRIVATE int32_t scheme_was_redacted(const scheme *s, const scheme_keys *keys, const scheme_request *stored);

#endif


#include <string.h>




/* What stands in a query without an escape, in the usual forms; letters and digits always do. */
static const struct {
	const char *plain;
	bool plus; /* a blank is "+" */
} restore_forms[REQUEST_QUERY_FORMS] = {
	{"-._~", false},
	{"-._*", true},
	{"-._~!$'()*,;:@/?", false},
};

static void restore_percent(buffer *out, knocker_bytes text, int32_t form)
{
	static const char hex[] = "0123456789ABCDEF";
	const uint8_t *s = text.data;
	int64_t i;

	for (i = 0; i < text.len; i++) {
		const char escape[3] = {'%', hex[s[i] >> 4], hex[s[i] & 15]};
		bool plain = (s[i] >= 'a' && s[i] <= 'z') || (s[i] >= 'A' && s[i] <= 'Z') ||
		             (s[i] >= '0' && s[i] <= '9') ||
		             (s[i] != 0 && strchr(restore_forms[form].plain, s[i]));

		if (plain)
			buffer_add(out, &s[i], 1);
		else if (s[i] == ' ' && restore_forms[form].plus)
			buffer_text(out, "+");
		else
			buffer_add(out, escape, sizeof escape);
	}
}

/* `form` negative: a header. */
static void restore_pair(buffer *out, int32_t form, knocker_bytes name, knocker_bytes value)
{
	if (form < 0) {
		buffer_bytes(out, name);
		buffer_text(out, ": ");
		buffer_bytes(out, value);
		buffer_text(out, "\n");
		return;
	}
	buffer_text(out, out->len > 0 ? "&" : "");
	restore_percent(out, name, form);
	buffer_text(out, "=");
	restore_percent(out, value, form);
}

static int32_t restore_pairs(const char *what, knocker_bytes stored, int32_t form, buffer *out,
                             knocker_error *error)
{
	json *parsed = NULL;
	const json *member, *each;
	int32_t rc = json_parse(what, stored, &parsed, error);

	for (member = json_first(parsed); rc == 0 && member; member = json_next(member)) {
		bool list = json_kind(member) == JSON_ARRAY;

		for (each = list ? json_first(member) : member; each; each = list ? json_next(each) : NULL)
			restore_pair(out, form, json_name(member), json_text(each));
	}
	json_free(parsed);
	return rc == 0 && out->failed ? fail_memory(error) : rc;
}

int32_t request_headers_restore(knocker_bytes stored, buffer *out, knocker_error *error)
{
	int32_t rc = restore_pairs("the stored headers", stored, -1, out, error);

	return rc < 0 ? rc : request_headers_check(buffer_view(out), error);
}

int32_t request_query_restore(knocker_bytes stored, int32_t form, buffer *out, knocker_error *error)
{
	return stored.len > 0 ? restore_pairs("the stored query", stored, form, out, error) : 0;
}

/* ==== core/src/scan.c ==== */

/* Walks a received JSON text once, checks it and notes where the wanted members are. It neither
 * allocates nor recurses, and it refuses to know what the members mean. */


#include <string.h>


/* What the two files of the scanner share. Nobody else includes this. */
#ifndef KNOCKER_SCAN_PARTS_H
#define KNOCKER_SCAN_PARTS_H



KNOCKER_PRIVATE int32_t scan_hex4(const uint8_t *at, const uint8_t *end); /* four hexadecimal digits, or -1 */
/* Whether a name with escapes in it says `wanted`. */
KNOCKER_PRIVATE bool scan_name_escaped(const uint8_t *at, const uint8_t *end, knocker_bytes wanted);

#endif


typedef struct {
	uint64_t leads; /* the paths whose steps so far led to this container and go on */
	uint64_t ends;  /* the paths that end at this container */
	const uint8_t *start;
	size_t index; /* of the next element */
	bool object, begun;
} scan_level;

typedef struct {
	const uint8_t *at, *end;
	const scan_path *paths;
	size_t count;
	scan_value *values;
	size_t depth;
	bool escaped; /* the last string holds an escape */
	scan_level levels[LIMIT_JSON_DEPTH];
} scan_state;

/* ---- tokens ---- */

static void scan_blanks(scan_state *s)
{
	while (s->at < s->end && (*s->at == ' ' || *s->at == '\n' || *s->at == '\r' || *s->at == '\t'))
		s->at++;
}

#if defined(__BYTE_ORDER__) && __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
/* How many of eight bytes come before the first quote, backslash or control character. A byte over
 * 0x7F is none of them. */
static size_t scan_plain8(const uint8_t *at)
{
	const uint64_t ones = 0x0101010101010101u, tops = 0x8080808080808080u;
	uint64_t word, quote, slash, hits;

	memcpy(&word, at, sizeof word);
	quote = word ^ (ones * '"');
	slash = word ^ (ones * '\\');
	hits = ((word - ones * 0x20) & ~word) | ((quote - ones) & ~quote) | ((slash - ones) & ~slash);
	hits &= tops;
	return hits ? (size_t)__builtin_ctzll(hits) / 8 : 8;
}
#else
static size_t scan_plain8(const uint8_t *at)
{
	size_t i = 0;

	while (i < 8 && at[i] != '"' && at[i] != '\\' && at[i] >= 0x20)
		i++;
	return i;
}
#endif

static bool scan_escape(scan_state *s)
{
	if (s->end - s->at < 2)
		return false;
	if (s->at[1] == 'u') {
		if (scan_hex4(s->at + 2, s->end) < 0)
			return false;
		s->at += 6;
		return true;
	}
	if (!memchr("\"\\/bfnrt", s->at[1], 8))
		return false;
	s->at += 2;
	return true;
}

/* From the opening quote to behind the closing one. Whether the bytes are UTF-8 is asked of the
 * whole body. */
static bool scan_string(scan_state *s)
{
	const uint8_t *at = s->at + 1, *end = s->end;

	s->escaped = false;
	for (;;) {
		while (end - at >= 8) {
			size_t plain = scan_plain8(at);

			at += plain;
			if (plain < 8)
				break;
		}
		s->at = at;
		if (at >= end || *at < 0x20)
			return false;
		if (*at == '"') {
			s->at = at + 1;
			return true;
		}
		if (*at != '\\') {
			at++;
			continue;
		}
		if (!scan_escape(s))
			return false;
		s->escaped = true;
		at = s->at;
	}
}

static bool scan_digits(scan_state *s)
{
	const uint8_t *from = s->at;

	while (s->at < s->end && *s->at >= '0' && *s->at <= '9')
		s->at++;
	return s->at > from;
}

static bool scan_number(scan_state *s)
{
	if (*s->at == '-')
		s->at++;
	if (s->at < s->end && *s->at == '0')
		s->at++;
	else if (!scan_digits(s))
		return false;
	if (s->at < s->end && *s->at == '.') {
		s->at++;
		if (!scan_digits(s))
			return false;
	}
	if (s->at < s->end && (*s->at == 'e' || *s->at == 'E')) {
		s->at++;
		if (s->at < s->end && (*s->at == '+' || *s->at == '-'))
			s->at++;
		return scan_digits(s);
	}
	return true;
}

static bool scan_word(scan_state *s, const char *word, size_t len)
{
	if ((size_t)(s->end - s->at) < len || memcmp(s->at, word, len) != 0)
		return false;
	s->at += len;
	return true;
}

/* ---- matching ---- */

/* The paths of `leads` whose next step is this name (without its quotes). Their earlier finds are
 * void: the last name wins. */
static uint64_t scan_match_name(scan_state *s, uint64_t leads, const uint8_t *from, size_t len)
{
	uint64_t left, matched = 0;

	for (left = leads; left; left &= left - 1) {
		size_t i = (size_t)__builtin_ctzll(left);
		knocker_bytes step = s->paths[i].steps[s->depth - 1];

		if (s->escaped ? !scan_name_escaped(from, from + len, step)
		               : step.len != (int64_t)len || memcmp(step.data, from, len) != 0)
			continue;
		matched |= left & -left;
		s->values[i] = (scan_value){0};
	}
	return matched;
}

static uint64_t scan_match_index(const scan_state *s, uint64_t leads, size_t index)
{
	uint64_t left, matched = 0;

	for (left = leads; left; left &= left - 1) {
		knocker_bytes step = s->paths[__builtin_ctzll(left)].steps[s->depth - 1];
		const char *digits = step.data;
		size_t i, value = 0;

		for (i = 0; i < (size_t)step.len && digits[i] >= '0' && digits[i] <= '9' && i < 18; i++)
			value = value * 10 + (size_t)(digits[i] - '0');
		if (i > 0 && i == (size_t)step.len && value == index)
			matched |= left & -left;
	}
	return matched;
}

static void scan_note(scan_state *s, uint64_t paths, scan_type type, const uint8_t *from)
{
	for (; paths; paths &= paths - 1)
		s->values[__builtin_ctzll(paths)] = (scan_value){type, {from, s->at - from}};
}

/* Splits the paths that led here into those that end here and those that go on. */
static uint64_t scan_ending(const scan_state *s, uint64_t paths)
{
	uint64_t left, ends = 0;

	for (left = paths; left; left &= left - 1)
		if (s->paths[__builtin_ctzll(left)].count == s->depth)
			ends |= left & -left;
	return ends;
}

/* ---- the walk ---- */

static bool scan_open(scan_state *s, uint64_t paths)
{
	uint64_t ends = paths ? scan_ending(s, paths) : 0;

	if (s->depth == LIMIT_JSON_DEPTH)
		return false;
	s->levels[s->depth++] = (scan_level){.leads = paths & ~ends,
	                                     .ends = ends,
	                                     .start = s->at,
	                                     .object = *s->at == '{'};
	s->at++;
	return true;
}

static void scan_close(scan_state *s)
{
	scan_level *top = &s->levels[--s->depth];

	s->at++;
	if (top->ends)
		scan_note(s, top->ends, top->object ? SCAN_OBJECT : SCAN_ARRAY, top->start);
}

/* One value; of a container only its beginning. */
static bool scan_begin(scan_state *s, uint64_t paths)
{
	const uint8_t *from = s->at;
	scan_type type = SCAN_NUMBER;
	bool good;

	if (s->at >= s->end)
		return false;
	switch (*s->at) {
	case '{':
	case '[':
		return scan_open(s, paths);
	case '"':
		good = scan_string(s);
		type = SCAN_TEXT;
		break;
	case 't':
		good = scan_word(s, "true", 4);
		type = SCAN_BOOL;
		break;
	case 'f':
		good = scan_word(s, "false", 5);
		type = SCAN_BOOL;
		break;
	case 'n':
		good = scan_word(s, "null", 4);
		type = SCAN_NULL;
		break;
	default:
		good = scan_number(s);
	}
	if (good && paths)
		scan_note(s, scan_ending(s, paths), type, from);
	return good;
}

/* A member's name and colon; `*paths` are those that it leads on. */
static bool scan_name(scan_state *s, uint64_t *paths)
{
	uint64_t leads = s->levels[s->depth - 1].leads;
	const uint8_t *from = s->at;

	if (s->at >= s->end || *s->at != '"' || !scan_string(s))
		return false;
	*paths = leads ? scan_match_name(s, leads, from + 1, (size_t)(s->at - from) - 2) : 0;
	scan_blanks(s);
	if (s->at >= s->end || *s->at != ':')
		return false;
	s->at++;
	scan_blanks(s);
	return true;
}

/* One member or element of the innermost container, or its end. */
static bool scan_step(scan_state *s)
{
	scan_level *top = &s->levels[s->depth - 1];
	uint64_t paths = 0;

	scan_blanks(s);
	if (s->at >= s->end)
		return false;
	if (*s->at == (top->object ? '}' : ']')) {
		scan_close(s);
		return true;
	}
	if (top->begun) {
		if (*s->at != ',')
			return false;
		s->at++;
		scan_blanks(s);
	}
	top->begun = true;
	if (top->object && !scan_name(s, &paths))
		return false;
	if (!top->object && top->leads)
		paths = scan_match_index(s, top->leads, top->index++);
	return scan_begin(s, paths);
}

bool scan_all(knocker_bytes body, const scan_path *paths, size_t count, scan_value *values)
{
	scan_state s;
	bool good;

	memset(values, 0, count * sizeof *values);
	if (body.len == 0)
		return false;
	s.at = body.data;
	s.end = s.at + body.len;
	s.paths = paths;
	s.count = count;
	s.values = values;
	s.depth = 0;
	scan_blanks(&s);
	good = scan_begin(&s, count == SCAN_PATHS_MAX ? UINT64_MAX : ((uint64_t)1 << count) - 1);
	while (good && s.depth > 0)
		good = scan_step(&s);
	scan_blanks(&s);
	if (good && s.at == s.end && bytes_utf8(body))
		return true;
	memset(values, 0, count * sizeof *values);
	return false;
}

bool scan_valid(knocker_bytes body)
{
	scan_value none;

	return scan_all(body, NULL, 0, &none);
}

bool scan_path_cut(knocker_bytes path, knocker_bytes *steps, scan_path *out)
{
	size_t from = 0, to, len = (size_t)path.len;

	*out = (scan_path){0, steps};
	if (len == 0 || bytes_is(path, "$"))
		return true;
	for (to = 0; to <= len; to++) {
		if (to < len && ((const char *)path.data)[to] != '.')
			continue;
		if (out->count == SCAN_STEPS_MAX)
			return false;
		steps[out->count++] = bytes_part(path, from, to);
		from = to + 1;
	}
	return true;
}

scan_value scan_find(knocker_bytes body, knocker_bytes path)
{
	knocker_bytes steps[SCAN_STEPS_MAX];
	scan_value value = {0};
	scan_path cut;

	if (scan_path_cut(path, steps, &cut))
		scan_all(body, &cut, 1, &value);
	return value;
}

bool scan_each(scan_value array, size_t *at, scan_value *element)
{
	scan_path whole = {0};
	scan_state s;

	if (array.type != SCAN_ARRAY || *at + 1 >= (size_t)array.raw.len)
		return false;
	/* Behind the bracket, at first, or behind the comma. */
	s.at = (const uint8_t *)array.raw.data + *at + 1;
	s.end = (const uint8_t *)array.raw.data + array.raw.len;
	s.paths = &whole;
	s.count = 1;
	s.values = element;
	s.depth = 0;
	scan_blanks(&s);
	if (*s.at == ']')
		return false;
	*element = (scan_value){0};
	if (!scan_begin(&s, 1))
		return false;
	while (s.depth > 0)
		if (!scan_step(&s))
			return false;
	scan_blanks(&s);
	*at = (size_t)(s.at - (const uint8_t *)array.raw.data);
	return true;
}

/* ==== core/src/scan_text.c ==== */

/* What a JSON string says: its escapes, as UTF-8. Neither recurses nor knows where the string
 * stood. */
#include <string.h>



int32_t scan_hex4(const uint8_t *at, const uint8_t *end)
{
	int32_t value = 0;
	size_t i;

	if (end - at < 4)
		return -1;
	for (i = 0; i < 4; i++) {
		uint8_t c = at[i], lower = c | 0x20;

		if (c >= '0' && c <= '9')
			value = value * 16 + c - '0';
		else if (lower >= 'a' && lower <= 'f')
			value = value * 16 + lower - 'a' + 10;
		else
			return -1;
	}
	return value;
}

/* The next character of a string's inside as UTF-8; 0: a lone surrogate. `*at` moves behind it. */
static size_t scan_character(const uint8_t **at, const uint8_t *end, uint8_t out[4])
{
	static const char escapes[] = "\"\\/bfnrt", meant[] = "\"\\/\b\f\n\r\t";
	uint32_t code;
	int32_t low;

	if (**at != '\\' || (*at)[1] != 'u') {
		out[0] = **at == '\\' ? (uint8_t)meant[strchr(escapes, (*at)[1]) - escapes] : **at;
		*at += **at == '\\' ? 2 : 1;
		return 1;
	}
	code = (uint32_t)scan_hex4(*at + 2, end);
	*at += 6;
	if (code >= 0xD800 && code <= 0xDFFF) {
		low = end - *at >= 6 && (*at)[0] == '\\' && (*at)[1] == 'u' ? scan_hex4(*at + 2, end) : -1;
		if (code > 0xDBFF || low < 0xDC00 || low > 0xDFFF)
			return 0;
		code = 0x10000 + ((code - 0xD800) << 10) + ((uint32_t)low - 0xDC00);
		*at += 6;
	}
	if (code < 0x80) {
		out[0] = (uint8_t)code;
		return 1;
	}
	if (code < 0x800) {
		out[0] = (uint8_t)(0xC0 | code >> 6);
		out[1] = (uint8_t)(0x80 | (code & 0x3F));
		return 2;
	}
	if (code < 0x10000) {
		out[0] = (uint8_t)(0xE0 | code >> 12);
		out[1] = (uint8_t)(0x80 | (code >> 6 & 0x3F));
		out[2] = (uint8_t)(0x80 | (code & 0x3F));
		return 3;
	}
	out[0] = (uint8_t)(0xF0 | code >> 18);
	out[1] = (uint8_t)(0x80 | (code >> 12 & 0x3F));
	out[2] = (uint8_t)(0x80 | (code >> 6 & 0x3F));
	out[3] = (uint8_t)(0x80 | (code & 0x3F));
	return 4;
}

/* Whether a name with escapes in it says `wanted`. */
bool scan_name_escaped(const uint8_t *at, const uint8_t *end, knocker_bytes wanted)
{
	const uint8_t *left = wanted.data;
	size_t left_len = (size_t)wanted.len, len;
	uint8_t character[4];

	while (at < end) {
		len = scan_character(&at, end, character);
		if (len == 0 || len > left_len || memcmp(character, left, len) != 0)
			return false;
		left += len;
		left_len -= len;
	}
	return left_len == 0;
}

static knocker_bytes scan_unescape(knocker_bytes inside, arena *a, size_t max)
{
	const uint8_t *at = inside.data, *end = at + inside.len;
	uint8_t character[4];
	uint8_t *text = arena_get(a, ((size_t)inside.len < max ? (size_t)inside.len : max) + 1);
	size_t len = 0, more;

	if (!text)
		return (knocker_bytes){NULL, -1};
	while (at < end) {
		more = scan_character(&at, end, character);
		if (more == 0 || len + more > max || (more == 1 && character[0] == 0))
			return (knocker_bytes){0};
		memcpy(text + len, character, more);
		len += more;
	}
	return (knocker_bytes){text, (int64_t)len};
}

knocker_bytes scan_text(scan_value v, arena *a, size_t max)
{
	if (v.type == SCAN_TEXT) {
		knocker_bytes inside = bytes_part(v.raw, 1, (size_t)v.raw.len - 1);

		if (bytes_find(inside, '\\') >= 0)
			return scan_unescape(inside, a, max);
		return (size_t)inside.len <= max ? inside : (knocker_bytes){0};
	}
	if ((v.type == SCAN_NUMBER || v.type == SCAN_BOOL) && (size_t)v.raw.len <= max)
		return v.raw;
	return (knocker_bytes){0};
}

/* ==== core/src/scheme.c ==== */

/* A scheme's life: the built-ins, read at first use and kept; an application's own, compiled and
 * freed. Knows no sender by name. */


#include <pthread.h>
#include <string.h>


/* Generated by tools/embed.py: what the core reads of each provider.json, by name. */
#ifndef KNOCKER_PROVIDERS_H
#define KNOCKER_PROVIDERS_H

enum { PROVIDERS_EMBEDDED = 106 };

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Woverlength-strings"
static const struct {
	const char *name;
	const char *text;
} providers_embedded[] = {
	{"adyen",
		"{\"name\":\"adyen\",\"version\":\"1.0.0\",\"title\":\"Adyen\",\"curated\":false,\"aliases\":[],\"scheme\":{\"kind\":\"hma"
		"c\",\"alg\":\"sha256\",\"key\":{\"decode\":\"hex\"},\"sig\":{\"from\":[\"j:additionalData.hmacSignature\"],\"enc\":\"bas"
		"e64\"},\"base\":[\"notificationItems.*.NotificationRequestItem\",\"\"],\"signed\":[\"{j:pspReference}:{j:origi"
		"nalReference}:{j:merchantAccountCode}:{j:merchantReference}:{j:amount.value}:{j:amount.currency}:{j:"
		"eventCode}:{j:success}\"],\"extract\":{\"event_id\":[\"j:pspReference\"],\"event_type\":[\"j:eventCode\"],\"dedu"
		"pe\":[\"each:notificationItems:{NotificationRequestItem.pspReference}:{NotificationRequestItem.eventCo"
		"de}:{NotificationRequestItem.success}\",\"{j:pspReference}:{j:eventCode}:{j:success}\"]},\"accept\":{\"sta"
		"tus\":200,\"type\":\"text/plain\",\"body\":\"[accepted]\"}}}"},
	{"adyen-header",
		"{\"name\":\"adyen-header\",\"version\":\"1.0.0\",\"title\":\"Adyen for Platforms\",\"curated\":false,\"aliases\":[],"
		"\"scheme\":{\"kind\":\"hmac\",\"alg\":\"sha256\",\"key\":{\"decode\":\"hex\"},\"sig\":{\"from\":[\"header:hmacsignature\"]"
		",\"enc\":\"base64\"},\"signed\":[\"{body}\"],\"extract\":{\"event_type\":[\"json:type\"],\"dedupe\":[\"sha256:{body}\""
		"]}}}"},
	{"airtable",
		"{\"name\":\"airtable\",\"version\":\"1.0.0\",\"title\":\"Airtable\",\"curated\":false,\"aliases\":[],\"scheme\":{\"kind"
		"\":\"hmac\",\"alg\":\"sha256\",\"key\":{\"decode\":\"base64\"},\"sig\":{\"from\":[\"header:x-airtable-content-mac\"],\"p"
		"refix\":\"hmac-sha256=\",\"enc\":\"hex\"},\"signed\":[\"{body}\"],\"extract\":{\"event_id\":[\"json:webhook.id\"],\"de"
		"dupe\":[\"sha256:{body}\"]}}}"},
	{"asana",
		"{\"name\":\"asana\",\"version\":\"1.0.0\",\"title\":\"Asana\",\"curated\":false,\"aliases\":[],\"scheme\":{\"kind\":\"hma"
		"c\",\"alg\":\"sha256\",\"key\":{\"decode\":\"utf8\"},\"sig\":{\"from\":[\"header:x-hook-signature\"],\"enc\":\"hex\"},\"si"
		"gned\":[\"{body}\"],\"extract\":{\"batch\":\"json:events\",\"dedupe\":[\"sha256:{body}\"]},\"handshake\":[{\"when\":{"
		"\"header:x-hook-secret\":\"*\"},\"signed\":false,\"store_secret\":\"header:x-hook-secret\",\"respond\":{\"status\""
		":200,\"headers\":{\"X-Hook-Secret\":\"{header:x-hook-secret}\"}}}]}}"},
	{"auth0",
		"{\"name\":\"auth0\",\"version\":\"1.0.0\",\"title\":\"Auth0 log streams\",\"curated\":false,\"aliases\":[\"auth0-log-"
		"streams\"],\"scheme\":{\"kind\":\"token\",\"sig\":{\"from\":[\"header:authorization\"]},\"extract\":{\"event_id\":[\"j"
		"son:log_id\",\"json:0.log_id\"],\"event_type\":[\"json:data.type\",\"json:0.data.type\"],\"dedupe\":[\"each:$:{l"
		"og_id}\",\"{json:log_id}\",\"sha256:{body}\"]},\"accept\":{\"status\":200}}}"},
	{"aws-sns",
		"{\"name\":\"aws-sns\",\"version\":\"1.0.0\",\"title\":\"Amazon SNS\",\"curated\":false,\"aliases\":[\"sns\"],\"scheme\":"
		"{\"kind\":\"rsa-pkcs1\",\"alg\":{\"from\":[\"json:SignatureVersion\"],\"map\":{\"1\":\"sha1\",\"2\":\"sha256\"}},\"key\":{"
		"\"decode\":\"pem-or-spki-b64\",\"host\":\"host\"},\"sig\":{\"from\":[\"json:Signature\"],\"enc\":\"base64\"},\"vars\":{\""
		"type\":{\"from\":[\"json:Type\"]},\"topic\":{\"from\":[\"json:TopicArn\"],\"is\":\"option:topic\"}},\"signed\":[\"{jso"
		"n_lines:Message,MessageId,Subject,SubscribeURL,Timestamp,Token,TopicArn,Type}\"],\"extract\":{\"delivery"
		"_id\":[\"json:MessageId\"],\"event_id\":[\"json:MessageId\"],\"event_type\":[\"json:Type\"],\"dedupe\":[\"{event_i"
		"d}\"]},\"options\":{\"topic\":{\"type\":\"string\",\"required\":true},\"host\":{\"type\":\"string\",\"default\":\"sns.am"
		"azonaws.com\"}}}}"},
	{"bandwidth",
		"{\"name\":\"bandwidth\",\"version\":\"1.0.0\",\"title\":\"Bandwidth\",\"curated\":false,\"aliases\":[],\"scheme\":{\"ex"
		"tends\":\"basic-auth\",\"extract\":{\"event_type\":[\"json:0.type\",\"json:eventType\"],\"dedupe\":[\"sha256:{body"
		"}\"]}}}"},
	{"basic-auth",
		"{\"name\":\"basic-auth\",\"version\":\"1.0.0\",\"title\":\"Basic authentication\",\"curated\":true,\"aliases\":[\"bas"
		"ic\"],\"scheme\":{\"kind\":\"basic\",\"sig\":{\"from\":[\"header:authorization\"]},\"extract\":{\"event_id\":[\"json:i"
		"d\"],\"event_type\":[\"json:type\"],\"dedupe\":[\"{event_id}\"]},\"reject\":{\"status\":401,\"headers\":{\"WWW-Authe"
		"nticate\":\"Basic realm=\\\"webhooks\\\"\"}}}}"},
	{"bearer-token",
		"{\"name\":\"bearer-token\",\"version\":\"1.0.0\",\"title\":\"Bearer token\",\"curated\":true,\"aliases\":[\"bearer\"],"
		"\"scheme\":{\"kind\":\"token\",\"sig\":{\"from\":[\"header:authorization\"],\"scheme\":\"Bearer\"},\"extract\":{\"event"
		"_id\":[\"json:id\"],\"event_type\":[\"json:type\"],\"dedupe\":[\"{event_id}\"]}}}"},
	{"bigcommerce",
		"{\"name\":\"bigcommerce\",\"version\":\"1.0.0\",\"title\":\"BigCommerce\",\"curated\":false,\"aliases\":[],\"scheme\":"
		"{\"extends\":\"standard-webhooks\",\"key\":{\"decode\":\"utf8\"},\"extract\":{\"delivery_id\":[\"header:webhook-id\""
		"],\"event_id\":[\"json:hash\"],\"event_type\":[\"json:scope\"],\"dedupe\":[\"{delivery_id}\"]},\"alt\":[]}}"},
	{"bitbucket",
		"{\"name\":\"bitbucket\",\"version\":\"1.0.0\",\"title\":\"Bitbucket Cloud\",\"curated\":false,\"aliases\":[],\"scheme"
		"\":{\"kind\":\"hmac\",\"alg\":\"sha256\",\"key\":{\"decode\":\"utf8\"},\"sig\":{\"from\":[\"header:x-hub-signature\"],\"pr"
		"efix\":\"sha256=\",\"enc\":\"hex\"},\"signed\":[\"{body}\"],\"extract\":{\"delivery_id\":[\"header:x-request-uuid\"],"
		"\"event_type\":[\"header:x-event-key\"],\"dedupe\":[\"{delivery_id}\"]}}}"},
	{"box",
		"{\"name\":\"box\",\"version\":\"1.0.0\",\"title\":\"Box\",\"curated\":false,\"aliases\":[],\"scheme\":{\"kind\":\"hmac\",\""
		"alg\":\"sha256\",\"key\":{\"decode\":\"utf8\"},\"sig\":{\"from\":[\"header:box-signature-primary\",\"header:box-sign"
		"ature-secondary\"],\"enc\":\"base64\"},\"vars\":{\"t\":{\"from\":[\"header:box-delivery-timestamp\"],\"unit\":\"rfc3"
		"339\"}},\"signed\":[\"{body}{t}\"],\"replay\":{\"var\":\"t\",\"tolerance_s\":600},\"extract\":{\"delivery_id\":[\"head"
		"er:box-delivery-id\"],\"event_id\":[\"json:id\"],\"event_type\":[\"json:trigger\"],\"dedupe\":[\"{event_id}\"]},\""
		"options\":{\"tolerance_s\":{\"type\":\"int\",\"default\":600}}}}"},
	{"braintree",
		"{\"name\":\"braintree\",\"version\":\"1.0.0\",\"title\":\"Braintree\",\"curated\":false,\"aliases\":[],\"scheme\":{\"ki"
		"nd\":\"hmac\",\"alg\":\"sha1\",\"key\":{\"decode\":\"utf8\",\"derive\":\"sha1\"},\"sig\":{\"from\":[\"form:bt_signature\"],"
		"\"items\":\"&\",\"kv\":\"|\",\"pick\":[\"option:public_key\"],\"enc\":\"hex\"},\"signed\":[\"{form:bt_payload}\",\"{form:"
		"bt_payload}\\n\"],\"extract\":{\"dedupe\":[\"sha256:{form:bt_payload}\"]},\"options\":{\"public_key\":{\"type\":\"s"
		"tring\",\"required\":true}},\"handshake\":[{\"when\":{\"method\":\"GET\",\"query:bt_challenge\":{\"chars\":\"0123456"
		"789abcdef\",\"min\":20,\"max\":32}},\"signed\":false,\"respond\":{\"status\":200,\"type\":\"text/plain\",\"body\":\"{o"
		"ption:public_key}|{hmac:query:bt_challenge}\"}}]}}"},
	{"brex",
		"{\"name\":\"brex\",\"version\":\"1.0.0\",\"title\":\"Brex\",\"curated\":false,\"aliases\":[],\"scheme\":{\"extends\":\"st"
		"andard-webhooks\"}}"},
	{"calendly",
		"{\"name\":\"calendly\",\"version\":\"1.0.0\",\"title\":\"Calendly\",\"curated\":false,\"aliases\":[],\"scheme\":{\"kind"
		"\":\"hmac\",\"alg\":\"sha256\",\"key\":{\"decode\":\"utf8\"},\"sig\":{\"from\":[\"header:calendly-webhook-signature\"],"
		"\"items\":\",\",\"kv\":\"=\",\"pick\":[\"v1\"],\"trim\":true,\"enc\":\"hex\"},\"vars\":{\"t\":{\"from\":[\"sig:t\"],\"unit\":\"s\""
		"}},\"signed\":[\"{t}.{body}\"],\"replay\":{\"var\":\"t\",\"tolerance_s\":180},\"extract\":{\"event_type\":[\"json:eve"
		"nt\"],\"dedupe\":[\"sha256:{body}\"]},\"options\":{\"tolerance_s\":{\"type\":\"int\",\"default\":180}}}}"},
	{"chargebee",
		"{\"name\":\"chargebee\",\"version\":\"1.0.0\",\"title\":\"Chargebee\",\"curated\":false,\"aliases\":[],\"scheme\":{\"ex"
		"tends\":\"basic-auth\",\"extract\":{\"event_id\":[\"json:id\"],\"event_type\":[\"json:event_type\"],\"dedupe\":[\"{e"
		"vent_id}\"]}}}"},
	{"circleci",
		"{\"name\":\"circleci\",\"version\":\"1.0.0\",\"title\":\"CircleCI\",\"curated\":false,\"aliases\":[],\"scheme\":{\"kind"
		"\":\"hmac\",\"alg\":\"sha256\",\"key\":{\"decode\":\"utf8\"},\"sig\":{\"from\":[\"header:circleci-signature\"],\"items\":"
		"\",\",\"kv\":\"=\",\"pick\":[\"v1\"],\"trim\":true,\"enc\":\"hex\"},\"signed\":[\"{body}\"],\"extract\":{\"event_id\":[\"json"
		":id\"],\"event_type\":[\"header:circleci-event-type\",\"json:type\"],\"dedupe\":[\"{event_id}\"]}}}"},
	{"clerk",
		"{\"name\":\"clerk\",\"version\":\"1.0.0\",\"title\":\"Clerk\",\"curated\":true,\"aliases\":[],\"scheme\":{\"extends\":\"s"
		"tandard-webhooks\",\"families\":[\"svix-\",\"webhook-\"]}}"},
	{"cloudflare-notifications",
		"{\"name\":\"cloudflare-notifications\",\"version\":\"1.0.0\",\"title\":\"Cloudflare notifications\",\"curated\":fa"
		"lse,\"aliases\":[],\"scheme\":{\"kind\":\"token\",\"sig\":{\"from\":[\"header:cf-webhook-auth\"]},\"extract\":{\"even"
		"t_type\":[\"json:alert_type\"],\"dedupe\":[\"sha256:{body}\"]}}}"},
	{"cloudflare-stream",
		"{\"name\":\"cloudflare-stream\",\"version\":\"1.0.0\",\"title\":\"Cloudflare Stream\",\"curated\":false,\"aliases\":"
		"[],\"scheme\":{\"kind\":\"hmac\",\"alg\":\"sha256\",\"key\":{\"decode\":\"utf8\"},\"sig\":{\"from\":[\"header:webhook-sig"
		"nature\"],\"items\":\",\",\"kv\":\"=\",\"pick\":[\"sig1\"],\"trim\":true,\"enc\":\"hex\"},\"vars\":{\"t\":{\"from\":[\"sig:tim"
		"e\"],\"unit\":\"s\"}},\"signed\":[\"{t}.{body}\"],\"replay\":{\"var\":\"t\",\"tolerance_s\":300},\"extract\":{\"event_id"
		"\":[\"json:uid\"],\"dedupe\":[\"sha256:{body}\"]}}}"},
	{"coinbase-cdp",
		"{\"name\":\"coinbase-cdp\",\"version\":\"1.0.0\",\"title\":\"Coinbase Developer Platform\",\"curated\":false,\"alia"
		"ses\":[],\"scheme\":{\"kind\":\"hmac\",\"alg\":\"sha256\",\"key\":{\"decode\":\"utf8\"},\"sig\":{\"from\":[\"header:x-hook"
		"0-signature\"],\"items\":\",\",\"kv\":\"=\",\"pick\":[\"v0\"],\"trim\":true,\"enc\":\"hex\"},\"vars\":{\"t\":{\"from\":[\"sig:"
		"t\"],\"unit\":\"s\"}},\"signed\":[\"{t}.{body}\"],\"replay\":{\"var\":\"t\",\"tolerance_s\":300},\"extract\":{\"event_id"
		"\":[\"header:x-event-id\"],\"event_type\":[\"header:x-event-type\"],\"dedupe\":[\"{event_id}\",\"sha256:{body}\"]"
		"},\"options\":{\"tolerance_s\":{\"type\":\"int\",\"default\":300}}}}"},
	{"coinbase-commerce",
		"{\"name\":\"coinbase-commerce\",\"version\":\"1.0.0\",\"title\":\"Coinbase Commerce\",\"curated\":false,\"aliases\":"
		"[],\"scheme\":{\"kind\":\"hmac\",\"alg\":\"sha256\",\"key\":{\"decode\":\"utf8\"},\"sig\":{\"from\":[\"header:x-cc-webhoo"
		"k-signature\"],\"enc\":\"hex\"},\"signed\":[\"{body}\"],\"extract\":{\"event_id\":[\"json:event.id\"],\"event_type\":"
		"[\"json:event.type\"],\"dedupe\":[\"{event_id}\"]}}}"},
	{"contentful",
		"{\"name\":\"contentful\",\"version\":\"1.0.0\",\"title\":\"Contentful\",\"curated\":false,\"aliases\":[],\"scheme\":{\""
		"kind\":\"hmac\",\"alg\":\"sha256\",\"key\":{\"decode\":\"utf8\"},\"sig\":{\"from\":[\"header:x-contentful-signature\"],"
		"\"enc\":\"hex\"},\"vars\":{\"t\":{\"from\":[\"header:x-contentful-timestamp\"],\"unit\":\"ms\"}},\"header_list\":{\"fro"
		"m\":[\"header:x-contentful-signed-headers\"],\"items\":\",\",\"kv\":\":\",\"join\":\";\",\"require\":[\"x-contentful-s"
		"igned-headers\",\"x-contentful-timestamp\"]},\"signed\":[\"{method}\\n{uri_escaped}\\n{header_list}\\n{body}\""
		"],\"replay\":{\"var\":\"t\",\"tolerance_s\":30},\"extract\":{\"delivery_id\":[\"header:x-contentful-idempotency-k"
		"ey\"],\"event_type\":[\"header:x-contentful-topic\"],\"dedupe\":[\"{delivery_id}\",\"sha256:{header:x-contentf"
		"ul-topic}\\n{body}\"]},\"options\":{\"url\":{\"type\":\"string\",\"required\":true},\"tolerance_s\":{\"type\":\"int\","
		"\"default\":30}}}}"},
	{"courier",
		"{\"name\":\"courier\",\"version\":\"1.0.0\",\"title\":\"Courier\",\"curated\":false,\"aliases\":[],\"scheme\":{\"kind\":"
		"\"hmac\",\"alg\":\"sha256\",\"key\":{\"decode\":\"utf8\"},\"sig\":{\"from\":[\"header:courier-signature\"],\"items\":\",\""
		",\"kv\":\"=\",\"pick\":[\"signature\"],\"trim\":true,\"enc\":\"hex\"},\"vars\":{\"t\":{\"from\":[\"sig:t\"],\"unit\":\"ms\"}},"
		"\"signed\":[\"{t}.{body}\"],\"extract\":{\"event_type\":[\"json:type\"],\"dedupe\":[\"sha256:{body}\"]},\"accept\":{"
		"\"status\":200}}}"},
	{"customerio",
		"{\"name\":\"customerio\",\"version\":\"1.0.0\",\"title\":\"Customer.io\",\"curated\":false,\"aliases\":[],\"scheme\":{"
		"\"kind\":\"hmac\",\"alg\":\"sha256\",\"key\":{\"decode\":\"utf8\"},\"sig\":{\"from\":[\"header:x-cio-signature\"],\"enc\":"
		"\"hex\"},\"vars\":{\"t\":{\"from\":[\"header:x-cio-timestamp\"],\"unit\":\"s\"}},\"signed\":[\"v0:{t}:{body}\"],\"extra"
		"ct\":{\"event_id\":[\"json:event_id\"],\"event_type\":[\"join:.:json:object_type:json:metric\"],\"dedupe\":[\"{e"
		"vent_id}\"]}}}"},
	{"dailyco",
		"{\"name\":\"dailyco\",\"version\":\"1.0.0\",\"title\":\"Daily\",\"curated\":false,\"aliases\":[],\"scheme\":{\"kind\":\"h"
		"mac\",\"alg\":\"sha256\",\"key\":{\"decode\":\"base64\"},\"sig\":{\"from\":[\"header:x-webhook-signature\"],\"enc\":\"ba"
		"se64\"},\"vars\":{\"t\":{\"from\":[\"header:x-webhook-timestamp\"]}},\"signed\":[\"{t}.{body}\"],\"extract\":{\"even"
		"t_id\":[\"json:id\"],\"event_type\":[\"json:type\"],\"dedupe\":[\"{event_id}\"]},\"accept\":{\"status\":200},\"hands"
		"hake\":[{\"when\":{\"json:test\":\"test\"},\"signed\":false,\"respond\":{\"status\":200}}]}}"},
	{"discord",
		"{\"name\":\"discord\",\"version\":\"1.0.0\",\"title\":\"Discord\",\"curated\":true,\"aliases\":[],\"scheme\":{\"kind\":\""
		"ed25519\",\"key\":{\"decode\":\"hex\"},\"sig\":{\"from\":[\"header:x-signature-ed25519\"],\"enc\":\"hex\"},\"vars\":{\"t"
		"\":{\"from\":[\"header:x-signature-timestamp\"],\"unit\":\"s\"}},\"signed\":[\"{t}{body}\"],\"extract\":{\"event_id\""
		":[\"json:id\"],\"event_type\":[\"json:event.type\",\"json:type\"],\"dedupe\":[\"{event_id}\",\"sha256:{body}\"]},\""
		"handshake\":[{\"when\":{\"json:type\":1,\"json:event\":null},\"signed\":true,\"respond\":{\"status\":200,\"type\":\""
		"application/json\",\"body\":{\"type\":1}}},{\"when\":{\"json:type\":0},\"signed\":true,\"respond\":{\"status\":204}"
		"}],\"replay\":{\"var\":\"t\",\"tolerance_s\":null},\"options\":{\"tolerance_s\":{\"type\":\"int\"}}}}"},
	{"docusign",
		"{\"name\":\"docusign\",\"version\":\"1.1.0\",\"title\":\"DocuSign Connect\",\"curated\":false,\"aliases\":[],\"scheme"
		"\":{\"kind\":\"hmac\",\"alg\":\"sha256\",\"key\":{\"decode\":\"utf8\"},\"sig\":{\"from\":[\"header*:x-docusign-signature"
		"-\"],\"enc\":\"base64\"},\"signed\":[\"{body}\"],\"extract\":{\"event_type\":[\"json:event\"],\"dedupe\":[\"{json:conf"
		"igurationId}:{json:data.envelopeId}:{json:data.recipientId}:{json:event}:{json:generatedDateTime}\",\""
		"{json:configurationId}:{json:data.envelopeId}:{json:event}:{json:generatedDateTime}\",\"sha256:{body}\""
		"]},\"accept\":{\"status\":200}}}"},
	{"dropbox",
		"{\"name\":\"dropbox\",\"version\":\"1.0.0\",\"title\":\"Dropbox\",\"curated\":false,\"aliases\":[],\"scheme\":{\"kind\":"
		"\"hmac\",\"alg\":\"sha256\",\"key\":{\"decode\":\"utf8\"},\"sig\":{\"from\":[\"header:x-dropbox-signature\"],\"enc\":\"he"
		"x\"},\"signed\":[\"{body}\"],\"extract\":{},\"handshake\":[{\"when\":{\"method\":\"GET\",\"query:challenge\":\"*\"},\"si"
		"gned\":false,\"respond\":{\"status\":200,\"type\":\"text/plain\",\"body\":\"{query:challenge}\"}}]}}"},
	{"figma",
		"{\"name\":\"figma\",\"version\":\"1.0.0\",\"title\":\"Figma\",\"curated\":false,\"aliases\":[],\"scheme\":{\"kind\":\"tok"
		"en\",\"sig\":{\"from\":[\"json:passcode\"]},\"extract\":{\"event_type\":[\"json:event_type\"],\"dedupe\":[\"sha256:{"
		"body}\"]}}}"},
	{"github",
		"{\"name\":\"github\",\"version\":\"1.0.0\",\"title\":\"GitHub\",\"curated\":true,\"aliases\":[],\"scheme\":{\"kind\":\"hm"
		"ac\",\"alg\":\"sha256\",\"key\":{\"decode\":\"utf8\"},\"sig\":{\"from\":[\"header:x-hub-signature-256\"],\"prefix\":\"sh"
		"a256=\",\"enc\":\"hex\"},\"signed\":[\"{body}\"],\"extract\":{\"delivery_id\":[\"header:x-github-delivery\"],\"event"
		"_type\":[\"header:x-github-event\"],\"dedupe\":[\"{delivery_id}\"]}}}"},
	{"gitlab",
		"{\"name\":\"gitlab\",\"version\":\"1.0.0\",\"title\":\"GitLab\",\"curated\":false,\"aliases\":[],\"scheme\":{\"kind\":\"t"
		"oken\",\"sig\":{\"from\":[\"header:x-gitlab-token\"]},\"extract\":{\"delivery_id\":[\"header:idempotency-key\",\"h"
		"eader:x-gitlab-event-uuid\"],\"event_type\":[\"header:x-gitlab-event\"],\"dedupe\":[\"{header:idempotency-ke"
		"y}\",\"sha256:{header:x-gitlab-event-uuid}{body}\"]}}}"},
	{"gitlab-signed",
		"{\"name\":\"gitlab-signed\",\"version\":\"1.0.0\",\"title\":\"GitLab (signing token)\",\"curated\":false,\"aliases\""
		":[\"gitlab-signing-token\"],\"scheme\":{\"kind\":\"hmac\",\"alg\":\"sha256\",\"key\":{\"strip\":\"whsec_\",\"decode\":\"b"
		"ase64\"},\"sig\":{\"from\":[\"header:webhook-signature\"],\"items\":\" \",\"kv\":\",\",\"pick\":[\"v1\"],\"trim\":true,\"e"
		"nc\":\"base64\"},\"vars\":{\"id\":{\"from\":[\"header:webhook-id\"]},\"t\":{\"from\":[\"header:webhook-timestamp\"],\""
		"unit\":\"s\"}},\"signed\":[\"{id}.{t}.{body}\"],\"replay\":{\"var\":\"t\",\"tolerance_s\":300},\"extract\":{\"delivery"
		"_id\":[\"header:webhook-id\"],\"event_type\":[\"header:x-gitlab-event\"],\"dedupe\":[\"{delivery_id}\"]},\"optio"
		"ns\":{\"tolerance_s\":{\"type\":\"int\",\"default\":300}}}}"},
	{"gocardless",
		"{\"name\":\"gocardless\",\"version\":\"1.0.0\",\"title\":\"GoCardless\",\"curated\":false,\"aliases\":[],\"scheme\":{\""
		"kind\":\"hmac\",\"alg\":\"sha256\",\"key\":{\"decode\":\"utf8\"},\"sig\":{\"from\":[\"header:webhook-signature\"],\"enc\""
		":\"hex\"},\"signed\":[\"{body}\"],\"extract\":{\"delivery_id\":[\"json:meta.webhook_id\"],\"batch\":\"json:events\","
		"\"event_id\":[\"json:events.0.id\"],\"event_type\":[\"join:.:json:events.0.resource_type:json:events.0.acti"
		"on\"],\"dedupe\":[\"each:events:{id}\",\"{delivery_id}\"]},\"reject\":{\"status\":498}}}"},
	{"google-pubsub",
		"{\"name\":\"google-pubsub\",\"version\":\"1.0.0\",\"title\":\"Google Pub/Sub\",\"curated\":false,\"aliases\":[],\"sch"
		"eme\":{\"kind\":\"jwt\",\"key\":{\"decode\":\"jwks\"},\"sig\":{\"from\":[\"header:authorization\"],\"scheme\":\"Bearer\"}"
		",\"jwt\":{\"algs\":[\"RS256\"],\"leeway_s\":10,\"require\":[\"exp\"],\"claims\":{\"iss\":[\"accounts.google.com\",\"htt"
		"ps://accounts.google.com\"],\"aud\":\"{option:audience}\",\"email\":\"{option:email}\",\"email_verified\":\"true"
		"\"}},\"extract\":{\"event_id\":[\"json:message.messageId\"],\"dedupe\":[\"{event_id}\"]},\"options\":{\"audience\":"
		"{\"type\":\"string\",\"required\":true},\"email\":{\"type\":\"string\",\"required\":true}}}}"},
	{"hook0",
		"{\"name\":\"hook0\",\"version\":\"1.0.0\",\"title\":\"Hook0\",\"curated\":false,\"aliases\":[],\"scheme\":{\"kind\":\"hma"
		"c\",\"alg\":\"sha256\",\"key\":{\"decode\":\"utf8\"},\"sig\":{\"from\":[\"header:x-hook0-signature\"],\"items\":\",\",\"kv"
		"\":\"=\",\"pick\":[\"v1\"],\"trim\":true,\"enc\":\"hex\"},\"vars\":{\"t\":{\"from\":[\"sig:t\"],\"unit\":\"s\"}},\"header_list"
		"\":{\"from\":[\"sig:h\"],\"items\":\" \",\"join\":\".\"},\"signed\":[\"{t}.{sig:h}.{header_list}.{body}\"],\"replay\":{"
		"\"var\":\"t\",\"tolerance_s\":300},\"extract\":{\"event_id\":[\"header:x-event-id\"],\"event_type\":[\"header:x-eve"
		"nt-type\"],\"dedupe\":[\"{event_id}\",\"sha256:{body}\"]},\"options\":{\"tolerance_s\":{\"type\":\"int\",\"default\":"
		"300}}}}"},
	{"hubspot",
		"{\"name\":\"hubspot\",\"version\":\"1.0.0\",\"title\":\"HubSpot\",\"curated\":true,\"aliases\":[],\"scheme\":{\"kind\":\""
		"hmac\",\"alg\":\"sha256\",\"key\":{\"decode\":\"utf8\"},\"sig\":{\"from\":[\"header:x-hubspot-signature-v3\"],\"enc\":\""
		"base64\"},\"vars\":{\"t\":{\"from\":[\"header:x-hubspot-request-timestamp\"],\"unit\":\"ms\"}},\"signed\":[\"{method"
		"}{url}{body}{t}\",\"{method}{url_unescaped}{body}{t}\"],\"replay\":{\"var\":\"t\",\"tolerance_s\":300},\"extract"
		"\":{\"batch\":\"json:$\",\"event_id\":[\"json:0.eventId\",\"json:0.objectId\"],\"event_type\":[\"json:0.subscripti"
		"onType\"],\"dedupe\":[\"each:$:{portalId}:{subscriptionId}:{eventId}:{occurredAt}\",\"sha256:{body}\"]},\"op"
		"tions\":{\"url\":{\"type\":\"string\",\"required\":true},\"method\":{\"type\":\"string\"},\"tolerance_s\":{\"type\":\"in"
		"t\",\"default\":300}}}}"},
	{"hubspot-v1",
		"{\"name\":\"hubspot-v1\",\"version\":\"1.0.0\",\"title\":\"HubSpot, signature version 1\",\"curated\":false,\"alias"
		"es\":[],\"scheme\":{\"kind\":\"hash\",\"alg\":\"sha256\",\"sig\":{\"from\":[\"header:x-hubspot-signature\"],\"enc\":\"he"
		"x\"},\"signed\":[\"{secret}{body}\"],\"extract\":{\"batch\":\"json:$\",\"event_id\":[\"json:0.eventId\",\"json:0.obj"
		"ectId\"],\"event_type\":[\"json:0.subscriptionType\"],\"dedupe\":[\"each:$:{portalId}:{subscriptionId}:{even"
		"tId}:{occurredAt}\",\"sha256:{body}\"]}}}"},
	{"hubspot-v2",
		"{\"name\":\"hubspot-v2\",\"version\":\"1.0.0\",\"title\":\"HubSpot, signature version 2\",\"curated\":false,\"alias"
		"es\":[],\"scheme\":{\"kind\":\"hash\",\"alg\":\"sha256\",\"sig\":{\"from\":[\"header:x-hubspot-signature\"],\"enc\":\"he"
		"x\"},\"signed\":[\"{secret}{method}{url}{body}\"],\"extract\":{},\"options\":{\"url\":{\"type\":\"string\",\"require"
		"d\":true}}}}"},
	{"huggingface",
		"{\"name\":\"huggingface\",\"version\":\"1.0.0\",\"title\":\"Hugging Face Hub\",\"curated\":false,\"aliases\":[\"huggi"
		"ng-face\"],\"scheme\":{\"kind\":\"token\",\"sig\":{\"from\":[\"header:x-webhook-secret\"]},\"extract\":{\"event_type"
		"\":[\"join:.:json:event.scope:json:event.action\"]}}}"},
	{"intercom",
		"{\"name\":\"intercom\",\"version\":\"1.0.0\",\"title\":\"Intercom\",\"curated\":true,\"aliases\":[],\"scheme\":{\"kind\""
		":\"hmac\",\"alg\":\"sha1\",\"key\":{\"decode\":\"utf8\"},\"sig\":{\"from\":[\"header:x-hub-signature\"],\"prefix\":\"sha1"
		"=\",\"enc\":\"hex\"},\"signed\":[\"{body}\"],\"extract\":{\"event_id\":[\"json:id\"],\"event_type\":[\"json:topic\",\"js"
		"on:type\"],\"dedupe\":[\"{event_id}\"]},\"handshake\":[{\"when\":{\"method\":\"HEAD\"},\"signed\":false,\"respond\":{"
		"\"status\":200}}]}}"},
	{"jira",
		"{\"name\":\"jira\",\"version\":\"1.0.0\",\"title\":\"Jira Cloud\",\"curated\":false,\"aliases\":[],\"scheme\":{\"kind\":"
		"\"hmac\",\"alg\":\"sha256\",\"key\":{\"decode\":\"utf8\"},\"sig\":{\"from\":[\"header:x-hub-signature\"],\"prefix\":\"sha"
		"256=\",\"enc\":\"hex\"},\"signed\":[\"{body}\"],\"extract\":{\"delivery_id\":[\"header:x-atlassian-webhook-identif"
		"ier\"],\"event_type\":[\"json:webhookEvent\"],\"dedupe\":[\"{delivery_id}\",\"sha256:{body}\"]}}}"},
	{"jira-connect",
		"{\"name\":\"jira-connect\",\"version\":\"1.0.0\",\"title\":\"Jira (Connect apps)\",\"curated\":false,\"aliases\":[\"a"
		"tlassian-connect\"],\"scheme\":{\"kind\":\"jwt\",\"key\":{\"decode\":\"utf8\"},\"sig\":{\"from\":[\"header:authorizati"
		"on\"],\"scheme\":\"JWT\"},\"jwt\":{\"algs\":[\"HS256\"],\"leeway_s\":30,\"require\":[\"exp\",\"qsh\"],\"claims\":{\"qsh\":\""
		"sha256hex({method}&{option:path}&{query_canonical})\"}},\"extract\":{\"delivery_id\":[\"header:x-atlassian"
		"-webhook-identifier\"],\"event_type\":[\"json:webhookEvent\"],\"dedupe\":[\"{delivery_id}\",\"sha256:{body}\"]}"
		",\"options\":{\"path\":{\"type\":\"string\",\"required\":true}}}}"},
	{"klarna",
		"{\"name\":\"klarna\",\"version\":\"1.0.0\",\"title\":\"Klarna\",\"curated\":false,\"aliases\":[],\"scheme\":{\"kind\":\"h"
		"mac\",\"alg\":\"sha256\",\"key\":{\"decode\":\"utf8\"},\"sig\":{\"from\":[\"header:klarna-signature\"],\"enc\":\"hex\"},\""
		"signed\":[\"{body}\"],\"extract\":{\"event_id\":[\"json:metadata.event_id\"],\"event_type\":[\"json:metadata.eve"
		"nt_type\"],\"dedupe\":[\"{event_id}\"]},\"reject\":{\"status\":400}}}"},
	{"knock",
		"{\"name\":\"knock\",\"version\":\"1.0.0\",\"title\":\"Knock\",\"curated\":false,\"aliases\":[],\"scheme\":{\"kind\":\"hma"
		"c\",\"alg\":\"sha256\",\"key\":{\"decode\":\"utf8\"},\"sig\":{\"from\":[\"header:x-knock-signature\"],\"items\":\",\",\"kv"
		"\":\"=\",\"pick\":[\"s\"],\"trim\":true,\"enc\":\"base64\"},\"vars\":{\"t\":{\"from\":[\"sig:t\"],\"unit\":\"ms\"}},\"signed\":"
		"[\"{t}.{body}\"],\"replay\":{\"var\":\"t\",\"tolerance_s\":300},\"extract\":{\"event_type\":[\"header:x-knock-event"
		"\",\"json:type\"],\"dedupe\":[\"sha256:{body}\"]}}}"},
	{"launchdarkly",
		"{\"name\":\"launchdarkly\",\"version\":\"1.0.0\",\"title\":\"LaunchDarkly\",\"curated\":false,\"aliases\":[],\"scheme"
		"\":{\"kind\":\"hmac\",\"alg\":\"sha256\",\"key\":{\"decode\":\"utf8\"},\"sig\":{\"from\":[\"header:x-ld-signature\"],\"enc"
		"\":\"hex\"},\"signed\":[\"{body}\"],\"extract\":{\"event_id\":[\"json:_id\"],\"event_type\":[\"json:kind\"],\"dedupe\":"
		"[\"{event_id}\"]}}}"},
	{"lemon-squeezy",
		"{\"name\":\"lemon-squeezy\",\"version\":\"1.0.0\",\"title\":\"Lemon Squeezy\",\"curated\":true,\"aliases\":[\"lemonsq"
		"ueezy\"],\"scheme\":{\"kind\":\"hmac\",\"alg\":\"sha256\",\"key\":{\"decode\":\"utf8\"},\"sig\":{\"from\":[\"header:x-sign"
		"ature\"],\"enc\":\"hex\"},\"signed\":[\"{body}\"],\"extract\":{\"event_id\":[\"json:data.attributes.identifier\",\"j"
		"son:data.id\"],\"event_type\":[\"header:x-event-name\",\"json:meta.event_name\"],\"dedupe\":[\"sha256:{body}\"]"
		"},\"accept\":{\"status\":200}}}"},
	{"line",
		"{\"name\":\"line\",\"version\":\"1.0.0\",\"title\":\"LINE\",\"curated\":false,\"aliases\":[],\"scheme\":{\"kind\":\"hmac\""
		",\"alg\":\"sha256\",\"key\":{\"decode\":\"utf8\"},\"sig\":{\"from\":[\"header:x-line-signature\"],\"enc\":\"base64\"},\"s"
		"igned\":[\"{body}\"],\"extract\":{\"batch\":\"json:events\",\"event_id\":[\"json:events.0.webhookEventId\"],\"even"
		"t_type\":[\"json:events.0.type\"],\"dedupe\":[\"each:events:{webhookEventId}\"]}}}"},
	{"linear",
		"{\"name\":\"linear\",\"version\":\"1.1.0\",\"title\":\"Linear\",\"curated\":true,\"aliases\":[],\"scheme\":{\"kind\":\"hm"
		"ac\",\"alg\":\"sha256\",\"key\":{\"decode\":\"utf8\"},\"sig\":{\"from\":[\"header:linear-signature\"],\"enc\":\"hex\"},\"v"
		"ars\":{\"t\":{\"from\":[\"json:webhookTimestamp\"],\"unit\":\"ms\",\"number\":true}},\"signed\":[\"{body}\"],\"replay\""
		":{\"var\":\"t\",\"tolerance_s\":60},\"extract\":{\"delivery_id\":[\"header:linear-delivery\"],\"event_id\":[\"json:"
		"data.id\"],\"event_type\":[\"join:.:json:type:json:action\"],\"dedupe\":[\"{delivery_id}\",\"sha256:{body}\"]},"
		"\"options\":{\"tolerance_s\":{\"type\":\"int\",\"default\":60}},\"accept\":{\"status\":200}}}"},
	{"magento",
		"{\"name\":\"magento\",\"version\":\"1.0.0\",\"title\":\"Adobe Commerce (Magento)\",\"curated\":false,\"aliases\":[],"
		"\"scheme\":{\"kind\":\"rsa-pkcs1\",\"alg\":\"sha256\",\"key\":{\"decode\":\"pem-or-spki-b64\"},\"sig\":{\"from\":[\"heade"
		"r:x-adobe-commerce-webhook-signature\"],\"enc\":\"base64\"},\"signed\":[\"{body_b64}\"],\"extract\":{}}}"},
	{"mailgun",
		"{\"name\":\"mailgun\",\"version\":\"1.1.0\",\"title\":\"Mailgun\",\"curated\":false,\"aliases\":[],\"scheme\":{\"kind\":"
		"\"hmac\",\"alg\":\"sha256\",\"key\":{\"decode\":\"utf8\"},\"sig\":{\"from\":[\"json:signature.signature\",\"form:signat"
		"ure\"],\"enc\":\"hex\"},\"vars\":{\"t\":{\"from\":[\"json:signature.timestamp\",\"form:timestamp\"],\"unit\":\"s\"},\"k\""
		":{\"from\":[\"json:signature.token\",\"form:token\"]}},\"signed\":[\"{t}{k}\"],\"extract\":{\"event_id\":[\"json:ev"
		"ent-data.id\"],\"event_type\":[\"json:event-data.event\"],\"dedupe\":[\"{k}\"]},\"accept\":{\"status\":200}}}"},
	{"mandrill",
		"{\"name\":\"mandrill\",\"version\":\"1.1.0\",\"title\":\"Mandrill\",\"curated\":false,\"aliases\":[],\"scheme\":{\"kind"
		"\":\"hmac\",\"alg\":\"sha1\",\"key\":{\"decode\":\"utf8\"},\"sig\":{\"from\":[\"header:x-mandrill-signature\"],\"enc\":\"b"
		"ase64\"},\"signed\":[\"{url}{form_sorted}\"],\"extract\":{\"form_json_field\":\"mandrill_events\",\"batch\":\"json"
		":$\",\"event_id\":[\"json:0._id\"],\"event_type\":[\"json:0.event\"],\"dedupe\":[\"sha256:{body}\"]},\"options\":{\""
		"url\":{\"type\":\"string\",\"required\":true}},\"handshake\":[{\"when\":{\"method\":\"HEAD\"},\"signed\":false,\"respo"
		"nd\":{\"status\":200}}],\"accept\":{\"status\":200}}}"},
	{"messagebird",
		"{\"name\":\"messagebird\",\"version\":\"1.0.0\",\"title\":\"MessageBird\",\"curated\":false,\"aliases\":[],\"scheme\":"
		"{\"kind\":\"jwt\",\"key\":{\"decode\":\"utf8\"},\"sig\":{\"from\":[\"header:messagebird-signature-jwt\"]},\"jwt\":{\"al"
		"gs\":[\"HS256\",\"HS384\",\"HS512\"],\"leeway_s\":1,\"require\":[\"nbf\",\"exp\",\"jti\"],\"claims\":{\"iss\":\"MessageBir"
		"d\",\"url_hash\":\"sha256hex({url})\",\"payload_hash\":\"sha256hex({body})\"},\"if_body\":[\"payload_hash\"]},\"ex"
		"tract\":{\"delivery_id\":[\"claim:jti\"],\"dedupe\":[\"{delivery_id}\"]},\"options\":{\"url\":{\"type\":\"string\",\"r"
		"equired\":true}}}}"},
	{"meta",
		"{\"name\":\"meta\",\"version\":\"1.1.0\",\"title\":\"Meta\",\"curated\":true,\"aliases\":[\"facebook\",\"whatsapp\"],\"sc"
		"heme\":{\"kind\":\"hmac\",\"alg\":\"sha256\",\"key\":{\"decode\":\"utf8\"},\"sig\":{\"from\":[\"header:x-hub-signature-2"
		"56\"],\"prefix\":\"sha256=\",\"enc\":\"hex\"},\"signed\":[\"{body}\"],\"extract\":{\"event_type\":[\"json:object\"],\"de"
		"dupe\":[\"sha256:{body}\"]},\"handshake\":[{\"when\":{\"method\":\"GET\",\"query:hub.mode\":\"subscribe\",\"query:hu"
		"b.verify_token\":\"{option:verify_token}\"},\"signed\":false,\"respond\":{\"status\":200,\"type\":\"text/plain\","
		"\"body\":\"{query:hub.challenge}\"}},{\"when\":{\"method\":\"GET\",\"query:hub.mode\":\"subscribe\"},\"signed\":fals"
		"e,\"respond\":{\"status\":403}}],\"options\":{\"verify_token\":{\"type\":\"string\"}},\"accept\":{\"status\":200}}}"},
	{"microsoft-graph",
		"{\"name\":\"microsoft-graph\",\"version\":\"1.0.0\",\"title\":\"Microsoft Graph\",\"curated\":false,\"aliases\":[],\""
		"scheme\":{\"kind\":\"token\",\"base\":[\"value.*\"],\"sig\":{\"from\":[\"j:clientState\"]},\"extract\":{\"batch\":\"json"
		":value\",\"event_type\":[\"j:lifecycleEvent\",\"j:changeType\"],\"dedupe\":[\"each:value:{id}\"]},\"handshake\":["
		"{\"when\":{\"query:validationToken\":\"*\"},\"signed\":false,\"respond\":{\"status\":200,\"type\":\"text/plain\",\"bo"
		"dy\":\"{query:validationToken}\"}}]}}"},
	{"mollie",
		"{\"name\":\"mollie\",\"version\":\"1.1.0\",\"title\":\"Mollie\",\"curated\":false,\"aliases\":[],\"scheme\":{\"kind\":\"h"
		"mac\",\"alg\":\"sha256\",\"key\":{\"decode\":\"utf8\"},\"sig\":{\"from\":[\"header*:x-mollie-signature\"],\"items\":\",\""
		",\"trim\":true,\"prefix\":\"sha256=\",\"prefix_optional\":true,\"enc\":\"hex\"},\"signed\":[\"{body}\"],\"extract\":{\""
		"event_id\":[\"json:id\"],\"event_type\":[\"json:type\"],\"dedupe\":[\"{event_id}\"]},\"accept\":{\"status\":200}}}"},
	{"monday",
		"{\"name\":\"monday\",\"version\":\"1.0.0\",\"title\":\"monday.com\",\"curated\":false,\"aliases\":[],\"scheme\":{\"kind"
		"\":\"jwt\",\"key\":{\"decode\":\"utf8\"},\"sig\":{\"from\":[\"header:authorization\"]},\"jwt\":{\"algs\":[\"HS256\"],\"req"
		"uire\":[\"exp\"],\"claims\":{\"aud\":\"{option:audience}\"}},\"extract\":{\"event_type\":[\"json:event.type\"],\"ded"
		"upe\":[\"sha256:{body}\"]},\"handshake\":[{\"when\":{\"json:challenge\":\"*\",\"json:event\":null},\"signed\":false"
		",\"respond\":{\"status\":200,\"type\":\"application/json\",\"body\":{\"challenge\":\"{json:challenge}\"}}}],\"optio"
		"ns\":{\"audience\":{\"type\":\"string\",\"required\":true}},\"accept\":{\"status\":200}}}"},
	{"mux",
		"{\"name\":\"mux\",\"version\":\"1.0.0\",\"title\":\"Mux\",\"curated\":false,\"aliases\":[],\"scheme\":{\"kind\":\"hmac\",\""
		"alg\":\"sha256\",\"key\":{\"decode\":\"utf8\"},\"sig\":{\"from\":[\"header:mux-signature\"],\"items\":\",\",\"kv\":\"=\",\"p"
		"ick\":[\"v1\"],\"trim\":true,\"enc\":\"hex\"},\"vars\":{\"t\":{\"from\":[\"sig:t\"],\"unit\":\"s\"}},\"signed\":[\"{t}.{body"
		"}\"],\"replay\":{\"var\":\"t\",\"tolerance_s\":300},\"extract\":{\"event_id\":[\"json:id\"],\"event_type\":[\"json:typ"
		"e\"],\"dedupe\":[\"{event_id}\"]}}}"},
	{"netlify",
		"{\"name\":\"netlify\",\"version\":\"1.0.0\",\"title\":\"Netlify\",\"curated\":false,\"aliases\":[],\"scheme\":{\"kind\":"
		"\"jwt\",\"key\":{\"decode\":\"utf8\"},\"sig\":{\"from\":[\"header:x-webhook-signature\"]},\"jwt\":{\"algs\":[\"HS256\"],"
		"\"claims\":{\"iss\":\"netlify\",\"sha256\":\"sha256hex({body})\"}},\"extract\":{\"dedupe\":[\"sha256:{body}\"]}}}"},
	{"notion",
		"{\"name\":\"notion\",\"version\":\"1.0.0\",\"title\":\"Notion\",\"curated\":false,\"aliases\":[],\"scheme\":{\"kind\":\"h"
		"mac\",\"alg\":\"sha256\",\"key\":{\"decode\":\"utf8\"},\"sig\":{\"from\":[\"header:x-notion-signature\"],\"prefix\":\"sh"
		"a256=\",\"enc\":\"hex\"},\"signed\":[\"{body}\"],\"extract\":{\"event_id\":[\"json:id\"],\"event_type\":[\"json:type\"]"
		",\"dedupe\":[\"{event_id}\"]},\"handshake\":[{\"when\":{\"json:verification_token\":\"*\"},\"signed\":false,\"store"
		"_secret\":\"json:verification_token\",\"respond\":{\"status\":200}}]}}"},
	{"okta",
		"{\"name\":\"okta\",\"version\":\"1.0.0\",\"title\":\"Okta event hooks\",\"curated\":false,\"aliases\":[],\"scheme\":{\""
		"kind\":\"token\",\"sig\":{\"from\":[\"header:{option:header}\"]},\"extract\":{\"event_id\":[\"json:eventId\"],\"even"
		"t_type\":[\"json:data.events.0.eventType\"],\"dedupe\":[\"{event_id}\"]},\"handshake\":[{\"when\":{\"method\":\"GE"
		"T\",\"header:x-okta-verification-challenge\":\"*\"},\"signed\":false,\"respond\":{\"status\":200,\"type\":\"applic"
		"ation/json\",\"body\":{\"verification\":\"{header:x-okta-verification-challenge}\"}}}],\"options\":{\"header\":"
		"{\"type\":\"string\",\"default\":\"authorization\"}}}}"},
	{"onfido",
		"{\"name\":\"onfido\",\"version\":\"1.0.0\",\"title\":\"Onfido\",\"curated\":false,\"aliases\":[],\"scheme\":{\"kind\":\"h"
		"mac\",\"alg\":\"sha256\",\"key\":{\"decode\":\"utf8\"},\"sig\":{\"from\":[\"header:x-sha2-signature\"],\"enc\":\"hex\"},\""
		"signed\":[\"{body}\"],\"extract\":{\"event_type\":[\"json:payload.action\"],\"dedupe\":[\"sha256:{body}\"]}}}"},
	{"paddle",
		"{\"name\":\"paddle\",\"version\":\"1.1.0\",\"title\":\"Paddle\",\"curated\":true,\"aliases\":[],\"scheme\":{\"kind\":\"hm"
		"ac\",\"alg\":\"sha256\",\"key\":{\"decode\":\"utf8\"},\"sig\":{\"from\":[\"header:paddle-signature\"],\"items\":\";\",\"kv"
		"\":\"=\",\"pick\":[\"h1\"],\"trim\":true,\"enc\":\"hex\"},\"vars\":{\"t\":{\"from\":[\"sig:ts\"],\"unit\":\"s\"}},\"signed\":[\""
		"{t}:{body}\"],\"replay\":{\"var\":\"t\",\"tolerance_s\":5},\"extract\":{\"delivery_id\":[\"json:notification_id\"],"
		"\"event_id\":[\"json:event_id\"],\"event_type\":[\"json:event_type\"],\"dedupe\":[\"{event_id}\"]},\"options\":{\"t"
		"olerance_s\":{\"type\":\"int\",\"default\":5}},\"accept\":{\"status\":200}}}"},
	{"pagerduty",
		"{\"name\":\"pagerduty\",\"version\":\"1.0.0\",\"title\":\"PagerDuty\",\"curated\":false,\"aliases\":[],\"scheme\":{\"ki"
		"nd\":\"hmac\",\"alg\":\"sha256\",\"key\":{\"decode\":\"utf8\"},\"sig\":{\"from\":[\"header:x-pagerduty-signature\"],\"it"
		"ems\":\",\",\"kv\":\"=\",\"pick\":[\"v1\"],\"trim\":true,\"enc\":\"hex\"},\"signed\":[\"{body}\"],\"extract\":{\"delivery_id"
		"\":[\"header:x-webhook-id\"],\"event_id\":[\"json:event.id\"],\"event_type\":[\"json:event.event_type\"],\"dedup"
		"e\":[\"{event_id}\"]}}}"},
	{"paypal",
		"{\"name\":\"paypal\",\"version\":\"1.0.0\",\"title\":\"PayPal\",\"curated\":false,\"aliases\":[],\"scheme\":{\"kind\":\"r"
		"sa-pkcs1\",\"alg\":{\"from\":[\"header:paypal-auth-algo\"],\"map\":{\"SHA256withRSA\":\"sha256\"}},\"key\":{\"decode"
		"\":\"pem-or-spki-b64\",\"host\":\"host\"},\"sig\":{\"from\":[\"header:paypal-transmission-sig\"],\"enc\":\"base64\"},"
		"\"vars\":{\"id\":{\"from\":[\"header:paypal-transmission-id\"]},\"t\":{\"from\":[\"header:paypal-transmission-tim"
		"e\"],\"unit\":\"rfc3339\"}},\"signed\":[\"{id}|{t}|{option:webhook_id}|{crc32}\"],\"extract\":{\"delivery_id\":[\""
		"header:paypal-transmission-id\"],\"event_id\":[\"json:id\"],\"event_type\":[\"json:event_type\"],\"dedupe\":[\"{"
		"event_id}\"]},\"options\":{\"webhook_id\":{\"type\":\"string\",\"required\":true},\"host\":{\"type\":\"string\",\"defa"
		"ult\":\"messageverificationcerts.paypal.com\"}}}}"},
	{"paystack",
		"{\"name\":\"paystack\",\"version\":\"1.1.0\",\"title\":\"Paystack\",\"curated\":false,\"aliases\":[],\"scheme\":{\"kind"
		"\":\"hmac\",\"alg\":\"sha512\",\"key\":{\"decode\":\"utf8\"},\"sig\":{\"from\":[\"header:x-paystack-signature\"],\"enc\":"
		"\"hex\"},\"signed\":[\"{body}\"],\"extract\":{\"event_type\":[\"json:event\"],\"dedupe\":[\"sha256:{body}\"]},\"accep"
		"t\":{\"status\":200}}}"},
	{"persona",
		"{\"name\":\"persona\",\"version\":\"1.0.0\",\"title\":\"Persona\",\"curated\":false,\"aliases\":[],\"scheme\":{\"kind\":"
		"\"hmac\",\"alg\":\"sha256\",\"key\":{\"decode\":\"utf8\"},\"sig\":{\"from\":[\"header:persona-signature\"],\"sets\":\" \","
		"\"items\":\",\",\"kv\":\"=\",\"pick\":[\"v1\"],\"trim\":true,\"enc\":\"hex\"},\"vars\":{\"t\":{\"from\":[\"sig:t\"],\"unit\":\"s\""
		"}},\"signed\":[\"{t}.{body}\"],\"extract\":{\"event_id\":[\"json:data.id\"],\"event_type\":[\"json:data.attribute"
		"s.name\"],\"dedupe\":[\"{event_id}\"]},\"accept\":{\"status\":200}}}"},
	{"plaid",
		"{\"name\":\"plaid\",\"version\":\"1.0.0\",\"title\":\"Plaid\",\"curated\":false,\"aliases\":[],\"scheme\":{\"kind\":\"jwt"
		"\",\"key\":{\"decode\":\"jwks\"},\"sig\":{\"from\":[\"header:plaid-verification\"]},\"jwt\":{\"algs\":[\"ES256\"],\"clai"
		"ms\":{\"request_body_sha256\":\"sha256hex({body})\"}},\"vars\":{\"t\":{\"from\":[\"claim:iat\"],\"unit\":\"s\"}},\"rep"
		"lay\":{\"var\":\"t\",\"tolerance_s\":300},\"extract\":{\"event_type\":[\"join:.:json:webhook_type:json:webhook_c"
		"ode\"]},\"options\":{\"tolerance_s\":{\"type\":\"int\",\"default\":300}}}}"},
	{"plivo-v2",
		"{\"name\":\"plivo-v2\",\"version\":\"1.0.0\",\"title\":\"Plivo (V2 signatures)\",\"curated\":false,\"aliases\":[],\"s"
		"cheme\":{\"kind\":\"hmac\",\"alg\":\"sha256\",\"key\":{\"decode\":\"utf8\"},\"sig\":{\"from\":[\"header:x-plivo-signatur"
		"e-v2\"],\"enc\":\"base64\"},\"vars\":{\"n\":{\"from\":[\"header:x-plivo-signature-v2-nonce\"]}},\"signed\":[\"{url_n"
		"oquery}{n}\"],\"extract\":{\"dedupe\":[\"sha256:{header:x-plivo-signature-v2-nonce}.{body}\"]},\"options\":{\""
		"url\":{\"type\":\"string\",\"required\":true}}}}"},
	{"plivo-v3",
		"{\"name\":\"plivo-v3\",\"version\":\"1.0.0\",\"title\":\"Plivo (V3 signatures)\",\"curated\":false,\"aliases\":[],\"s"
		"cheme\":{\"kind\":\"hmac\",\"alg\":\"sha256\",\"key\":{\"decode\":\"utf8\"},\"sig\":{\"from\":[\"header:x-plivo-signatur"
		"e-v3\"],\"items\":\",\",\"trim\":true,\"enc\":\"base64\"},\"vars\":{\"n\":{\"from\":[\"header:x-plivo-signature-v3-non"
		"ce\"]}},\"signed\":[\"{url_form_sorted}.{n}\"],\"extract\":{\"dedupe\":[\"sha256:{header:x-plivo-signature-v3-"
		"nonce}.{body}\"]},\"options\":{\"url\":{\"type\":\"string\",\"required\":true}}}}"},
	{"postmark",
		"{\"name\":\"postmark\",\"version\":\"1.1.0\",\"title\":\"Postmark\",\"curated\":true,\"aliases\":[],\"scheme\":{\"kind\""
		":\"basic\",\"sig\":{\"from\":[\"header:authorization\"]},\"extract\":{\"event_id\":[\"json:MessageID\"],\"event_typ"
		"e\":[\"json:RecordType\"],\"dedupe\":[\"sha256:{body}\"]},\"accept\":{\"status\":200}}}"},
	{"quickbooks",
		"{\"name\":\"quickbooks\",\"version\":\"1.0.0\",\"title\":\"QuickBooks Online\",\"curated\":false,\"aliases\":[],\"sch"
		"eme\":{\"kind\":\"hmac\",\"alg\":\"sha256\",\"key\":{\"decode\":\"utf8\"},\"sig\":{\"from\":[\"header:intuit-signature\"]"
		",\"enc\":\"base64\"},\"signed\":[\"{body}\"],\"extract\":{\"dedupe\":[\"each:$:{id}\",\"sha256:{body}\"]},\"accept\":{"
		"\"status\":200}}}"},
	{"ramp",
		"{\"name\":\"ramp\",\"version\":\"1.0.0\",\"title\":\"Ramp\",\"curated\":false,\"aliases\":[],\"scheme\":{\"kind\":\"hmac\""
		",\"alg\":\"sha256\",\"key\":{\"decode\":\"utf8\"},\"sig\":{\"from\":[\"header:x-ramp-webhook-signature\",\"header:x-r"
		"amp-signature\"],\"enc\":\"hex\"},\"signed\":[\"{body}\"],\"extract\":{\"event_id\":[\"json:id\"],\"event_type\":[\"js"
		"on:type\"],\"dedupe\":[\"{event_id}\"]}}}"},
	{"razorpay",
		"{\"name\":\"razorpay\",\"version\":\"1.0.0\",\"title\":\"Razorpay\",\"curated\":false,\"aliases\":[],\"scheme\":{\"kind"
		"\":\"hmac\",\"alg\":\"sha256\",\"key\":{\"decode\":\"utf8\"},\"sig\":{\"from\":[\"header:x-razorpay-signature\"],\"enc\":"
		"\"hex\"},\"signed\":[\"{body}\"],\"extract\":{\"event_id\":[\"header:x-razorpay-event-id\"],\"event_type\":[\"json:"
		"event\"],\"dedupe\":[\"{event_id}\",\"sha256:{body}\"]}}}"},
	{"recurly",
		"{\"name\":\"recurly\",\"version\":\"1.0.0\",\"title\":\"Recurly\",\"curated\":false,\"aliases\":[],\"scheme\":{\"kind\":"
		"\"hmac\",\"alg\":\"sha256\",\"key\":{\"decode\":\"utf8\"},\"sig\":{\"from\":[\"header:recurly-signature\"],\"items\":\",\""
		",\"skip\":1,\"enc\":\"hex\"},\"vars\":{\"t\":{\"from\":[\"sigitem:0\"],\"unit\":\"ms\"}},\"signed\":[\"{t}.{body}\"],\"repl"
		"ay\":{\"var\":\"t\",\"tolerance_s\":300},\"extract\":{\"event_id\":[\"json:id\"],\"event_type\":[\"join:.:json:objec"
		"t_type:json:event_type\"],\"dedupe\":[\"sha256:{body}\"]}}}"},
	{"resend",
		"{\"name\":\"resend\",\"version\":\"1.0.0\",\"title\":\"Resend\",\"curated\":true,\"aliases\":[],\"scheme\":{\"extends\":"
		"\"standard-webhooks\",\"extract\":{\"delivery_id\":[\"header:{family}id\"],\"event_id\":[\"json:data.email_id\"]"
		",\"event_type\":[\"json:type\"],\"dedupe\":[\"{delivery_id}\"]},\"families\":[\"svix-\",\"webhook-\"]}}"},
	{"sanity",
		"{\"name\":\"sanity\",\"version\":\"1.0.0\",\"title\":\"Sanity\",\"curated\":false,\"aliases\":[],\"scheme\":{\"kind\":\"h"
		"mac\",\"alg\":\"sha256\",\"key\":{\"decode\":\"utf8\"},\"sig\":{\"from\":[\"header:sanity-webhook-signature\"],\"items"
		"\":\",\",\"kv\":\"=\",\"pick\":[\"v1\"],\"trim\":true,\"enc\":\"base64url\"},\"vars\":{\"t\":{\"from\":[\"sig:t\"],\"unit\":\"ms"
		"\"}},\"signed\":[\"{t}.{body}\"],\"extract\":{\"delivery_id\":[\"header:idempotency-key\"],\"dedupe\":[\"{delivery"
		"_id}\"]}}}"},
	{"segment",
		"{\"name\":\"segment\",\"version\":\"1.0.0\",\"title\":\"Segment\",\"curated\":false,\"aliases\":[],\"scheme\":{\"kind\":"
		"\"hmac\",\"alg\":\"sha1\",\"key\":{\"decode\":\"utf8\"},\"sig\":{\"from\":[\"header:x-signature\"],\"enc\":\"hex\"},\"signe"
		"d\":[\"{body}\"],\"extract\":{\"event_id\":[\"json:messageId\"],\"event_type\":[\"json:type\"],\"dedupe\":[\"{event_"
		"id}\"]}}}"},
	{"sendgrid",
		"{\"name\":\"sendgrid\",\"version\":\"1.0.0\",\"title\":\"SendGrid\",\"curated\":true,\"aliases\":[],\"scheme\":{\"kind\""
		":\"ecdsa-p256\",\"alg\":\"sha256\",\"key\":{\"decode\":\"pem-or-spki-b64\"},\"sig\":{\"from\":[\"header:x-twilio-emai"
		"l-event-webhook-signature\"],\"enc\":\"base64\"},\"vars\":{\"t\":{\"from\":[\"header:x-twilio-email-event-webhoo"
		"k-timestamp\"],\"unit\":\"s\"}},\"signed\":[\"{t}{body}\"],\"replay\":{\"var\":\"t\",\"tolerance_s\":null},\"extract\":"
		"{\"batch\":\"json:$\",\"event_id\":[\"json:0.sg_event_id\",\"json:0.sg_message_id\"],\"event_type\":[\"json:0.eve"
		"nt\"],\"dedupe\":[\"sha256:{body}\"]},\"options\":{\"tolerance_s\":{\"type\":\"int\"}}}}"},
	{"sentry",
		"{\"name\":\"sentry\",\"version\":\"1.0.0\",\"title\":\"Sentry\",\"curated\":false,\"aliases\":[],\"scheme\":{\"kind\":\"h"
		"mac\",\"alg\":\"sha256\",\"key\":{\"decode\":\"utf8\"},\"sig\":{\"from\":[\"header:sentry-hook-signature\"],\"enc\":\"he"
		"x\"},\"signed\":[\"{body}\"],\"extract\":{\"delivery_id\":[\"header:request-id\"],\"event_type\":[\"join:.:header:"
		"sentry-hook-resource:json:action\"],\"dedupe\":[\"{delivery_id}\"]}}}"},
	{"shopify",
		"{\"name\":\"shopify\",\"version\":\"1.0.0\",\"title\":\"Shopify\",\"curated\":true,\"aliases\":[],\"scheme\":{\"kind\":\""
		"hmac\",\"alg\":\"sha256\",\"key\":{\"decode\":\"utf8\"},\"sig\":{\"from\":[\"header:x-shopify-hmac-sha256\",\"header:s"
		"hopify-hmac-sha256\"],\"enc\":\"base64\"},\"signed\":[\"{body}\"],\"extract\":{\"delivery_id\":[\"header:x-shopify"
		"-webhook-id\",\"header:shopify-webhook-id\"],\"event_id\":[\"header:x-shopify-event-id\",\"header:shopify-ev"
		"ent-id\"],\"event_type\":[\"header:x-shopify-topic\",\"header:shopify-topic\"],\"dedupe\":[\"{event_id}:{event"
		"_type}\",\"{delivery_id}\"]}}}"},
	{"sinch",
		"{\"name\":\"sinch\",\"version\":\"1.0.0\",\"title\":\"Sinch Conversation\",\"curated\":false,\"aliases\":[],\"scheme\""
		":{\"kind\":\"hmac\",\"alg\":\"sha256\",\"key\":{\"decode\":\"utf8\"},\"sig\":{\"from\":[\"header:x-sinch-webhook-signat"
		"ure\"],\"enc\":\"base64\"},\"vars\":{\"n\":{\"from\":[\"header:x-sinch-webhook-signature-nonce\"]},\"t\":{\"from\":[\""
		"header:x-sinch-webhook-signature-timestamp\"],\"unit\":\"s\"}},\"signed\":[\"{body}.{n}.{t}\"],\"extract\":{\"de"
		"dupe\":[\"sha256:{body}\"]},\"accept\":{\"status\":200}}}"},
	{"sinch-numbers",
		"{\"name\":\"sinch-numbers\",\"version\":\"1.0.0\",\"title\":\"Sinch Numbers\",\"curated\":false,\"aliases\":[],\"sche"
		"me\":{\"kind\":\"hmac\",\"alg\":\"sha1\",\"key\":{\"decode\":\"utf8\"},\"sig\":{\"from\":[\"header:x-sinch-signature\"],\""
		"enc\":\"hex\"},\"signed\":[\"{body}\"],\"extract\":{\"event_id\":[\"json:eventId\"],\"event_type\":[\"json:eventType"
		"\"],\"dedupe\":[\"{event_id}\"]}}}"},
	{"sinch-voice",
		"{\"name\":\"sinch-voice\",\"version\":\"1.0.0\",\"title\":\"Sinch Voice\",\"curated\":false,\"aliases\":[\"sinch-veri"
		"fication\"],\"scheme\":{\"kind\":\"hmac\",\"alg\":\"sha256\",\"key\":{\"decode\":\"base64\"},\"sig\":{\"from\":[\"header:a"
		"uthorization\"],\"scheme\":\"application\",\"items\":\":\",\"skip\":1,\"enc\":\"base64\"},\"vars\":{\"key\":{\"from\":[\"s"
		"igitem:0\"]},\"t\":{\"from\":[\"header:x-timestamp\"],\"unit\":\"rfc3339\"}},\"signed\":[\"{method}\\n{md5_b64}\\n{h"
		"eader:content-type}\\nx-timestamp:{t}\\n{url_path}\"],\"replay\":{\"var\":\"t\",\"tolerance_s\":300},\"extract\":"
		"{\"event_type\":[\"json:event\"],\"dedupe\":[\"sha256:{body}\"]},\"accept\":{\"status\":200},\"options\":{\"url\":{\""
		"type\":\"string\",\"required\":true},\"tolerance_s\":{\"type\":\"int\",\"default\":300}}}}"},
	{"slack",
		"{\"name\":\"slack\",\"version\":\"1.0.0\",\"title\":\"Slack\",\"curated\":true,\"aliases\":[],\"scheme\":{\"kind\":\"hmac"
		"\",\"alg\":\"sha256\",\"key\":{\"decode\":\"utf8\"},\"sig\":{\"from\":[\"header:x-slack-signature\"],\"prefix\":\"v0=\",\""
		"enc\":\"hex\"},\"vars\":{\"t\":{\"from\":[\"header:x-slack-request-timestamp\"],\"unit\":\"s\"}},\"signed\":[\"v0:{t}:"
		"{body}\"],\"replay\":{\"var\":\"t\",\"tolerance_s\":300},\"extract\":{\"form_json_field\":\"payload\",\"event_id\":[\""
		"json:event_id\"],\"event_type\":[\"json:event.type\",\"json:type\",\"form:command\"],\"dedupe\":[\"{event_id}\",\""
		"sha256:{body}\"]},\"handshake\":[{\"when\":{\"json:type\":\"url_verification\"},\"signed\":true,\"respond\":{\"sta"
		"tus\":200,\"type\":\"application/json\",\"body\":{\"challenge\":\"{json:challenge}\"}}}],\"options\":{\"tolerance_"
		"s\":{\"type\":\"int\",\"default\":300}}}}"},
	{"square",
		"{\"name\":\"square\",\"version\":\"1.0.0\",\"title\":\"Square\",\"curated\":false,\"aliases\":[],\"scheme\":{\"kind\":\"h"
		"mac\",\"alg\":\"sha256\",\"key\":{\"decode\":\"utf8\"},\"sig\":{\"from\":[\"header:x-square-hmacsha256-signature\"],\""
		"enc\":\"base64\"},\"signed\":[\"{url}{body}\"],\"extract\":{\"event_id\":[\"json:event_id\"],\"event_type\":[\"json:"
		"type\"],\"dedupe\":[\"{event_id}\"]},\"options\":{\"url\":{\"type\":\"string\",\"required\":true}}}}"},
	{"standard-webhooks",
		"{\"name\":\"standard-webhooks\",\"version\":\"1.0.0\",\"title\":\"Standard Webhooks\",\"curated\":true,\"aliases\":["
		"\"standard_webhooks\"],\"scheme\":{\"families\":[\"webhook-\",\"svix-\"],\"kind\":\"hmac\",\"alg\":\"sha256\",\"key\":{\""
		"strip\":\"whsec_\",\"decode\":\"base64-or-raw\"},\"alt\":[{\"kind\":\"ed25519\",\"key\":{\"strip\":\"whpk_\",\"decode\":\""
		"base64\"},\"pick\":[\"v1a\"]}],\"sig\":{\"from\":[\"header:{family}signature\"],\"items\":\" \",\"kv\":\",\",\"pick\":[\"v"
		"1\"],\"trim\":true,\"enc\":\"base64\"},\"vars\":{\"id\":{\"from\":[\"header:{family}id\"]},\"t\":{\"from\":[\"header:{fa"
		"mily}timestamp\"],\"unit\":\"s\"}},\"signed\":[\"{id}.{t}.{body}\"],\"replay\":{\"var\":\"t\",\"tolerance_s\":300},\"e"
		"xtract\":{\"delivery_id\":[\"header:{family}id\"],\"event_id\":[\"json:id\",\"json:data.id\"],\"event_type\":[\"js"
		"on:type\"],\"dedupe\":[\"{delivery_id}\"]},\"options\":{\"tolerance_s\":{\"type\":\"int\",\"default\":300}}}}"},
	{"stripe",
		"{\"name\":\"stripe\",\"version\":\"1.0.0\",\"title\":\"Stripe\",\"curated\":true,\"aliases\":[],\"scheme\":{\"kind\":\"hm"
		"ac\",\"alg\":\"sha256\",\"key\":{\"decode\":\"utf8\"},\"sig\":{\"from\":[\"header:stripe-signature\"],\"items\":\",\",\"kv"
		"\":\"=\",\"pick\":[\"v1\"],\"trim\":true,\"enc\":\"hex\"},\"vars\":{\"t\":{\"from\":[\"sig:t\"],\"unit\":\"s\"}},\"signed\":[\"{"
		"t}.{body}\"],\"replay\":{\"var\":\"t\",\"tolerance_s\":300},\"extract\":{\"event_id\":[\"json:id\"],\"event_type\":[\""
		"json:type\"],\"dedupe\":[\"{event_id}\"]},\"options\":{\"tolerance_s\":{\"type\":\"int\",\"default\":300}}}}"},
	{"svix",
		"{\"name\":\"svix\",\"version\":\"1.0.0\",\"title\":\"Svix\",\"curated\":false,\"aliases\":[],\"scheme\":{\"extends\":\"st"
		"andard-webhooks\",\"families\":[\"svix-\",\"webhook-\"]}}"},
	{"telegram",
		"{\"name\":\"telegram\",\"version\":\"1.0.0\",\"title\":\"Telegram\",\"curated\":false,\"aliases\":[],\"scheme\":{\"kind"
		"\":\"token\",\"sig\":{\"from\":[\"header:x-telegram-bot-api-secret-token\"]},\"extract\":{\"event_id\":[\"json:upd"
		"ate_id\"],\"dedupe\":[\"{event_id}\"]}}}"},
	{"tiktok",
		"{\"name\":\"tiktok\",\"version\":\"1.0.0\",\"title\":\"TikTok\",\"curated\":false,\"aliases\":[],\"scheme\":{\"kind\":\"h"
		"mac\",\"alg\":\"sha256\",\"key\":{\"decode\":\"utf8\"},\"sig\":{\"from\":[\"header:tiktok-signature\"],\"items\":\",\",\"k"
		"v\":\"=\",\"pick\":[\"s\"],\"trim\":true,\"enc\":\"hex\"},\"vars\":{\"t\":{\"from\":[\"sig:t\"],\"unit\":\"s\"}},\"signed\":[\"{"
		"t}.{body}\"],\"replay\":{\"var\":\"t\",\"tolerance_s\":300},\"extract\":{\"event_type\":[\"json:event\"],\"dedupe\":["
		"\"sha256:{body}\"]},\"accept\":{\"status\":200}}}"},
	{"token-header",
		"{\"name\":\"token-header\",\"version\":\"1.0.0\",\"title\":\"Token in a header\",\"curated\":true,\"aliases\":[\"head"
		"er-token\"],\"scheme\":{\"kind\":\"token\",\"sig\":{\"from\":[\"header:{option:header}\"]},\"extract\":{\"event_id\":"
		"[\"json:id\"],\"event_type\":[\"json:type\"],\"dedupe\":[\"{event_id}\"]},\"options\":{\"header\":{\"type\":\"string\""
		",\"default\":\"x-knocker-token\"}}}}"},
	{"trello",
		"{\"name\":\"trello\",\"version\":\"1.0.0\",\"title\":\"Trello\",\"curated\":false,\"aliases\":[],\"scheme\":{\"kind\":\"h"
		"mac\",\"alg\":\"sha1\",\"key\":{\"decode\":\"utf8\"},\"sig\":{\"from\":[\"header:x-trello-webhook\"],\"enc\":\"base64\"},"
		"\"signed\":[\"{body}{url}\"],\"extract\":{\"event_id\":[\"json:action.id\"],\"event_type\":[\"json:action.type\"],"
		"\"dedupe\":[\"{event_id}\"]},\"handshake\":[{\"when\":{\"method\":\"HEAD\"},\"signed\":false,\"respond\":{\"status\":2"
		"00}}],\"options\":{\"url\":{\"type\":\"string\",\"required\":true}}}}"},
	{"twilio",
		"{\"name\":\"twilio\",\"version\":\"1.0.0\",\"title\":\"Twilio\",\"curated\":true,\"aliases\":[],\"scheme\":{\"kind\":\"hm"
		"ac\",\"alg\":{\"from\":[\"header:x-twilio-webhooks-signature-settings\"],\"kv\":\"=\",\"items\":\",\",\"pick\":\"algor"
		"ithm\",\"map\":{\"HMAC_SHA256\":\"sha256\",\"HMAC_SHA1\":\"sha1\"},\"default\":\"sha1\",\"trim\":true},\"key\":{\"decode"
		"\":\"utf8\"},\"sig\":{\"from\":[\"header:x-twilio-signature\"],\"enc\":\"base64\"},\"signed\":[\"{url~}{form_sorted}"
		"\",\"{url~}{form_sorted_unique}\"],\"when_query\":{\"bodySHA256\":{\"require\":\"sha256hex({body})\",\"signed\":["
		"\"{url~}\"]}},\"extract\":{\"event_id\":[\"form:CallSid\",\"form:MessageSid\",\"form:SmsSid\"],\"event_type\":[\"fo"
		"rm:CallStatus\",\"form:MessageStatus\",\"form:SmsStatus\",\"json:EventType\"],\"dedupe\":[\"{header:i-twilio-i"
		"dempotency-token}\",\"sha256:{body}\"]},\"options\":{\"url\":{\"type\":\"string\",\"required\":true}}}}"},
	{"twitch",
		"{\"name\":\"twitch\",\"version\":\"1.0.0\",\"title\":\"Twitch EventSub\",\"curated\":false,\"aliases\":[],\"scheme\":{"
		"\"kind\":\"hmac\",\"alg\":\"sha256\",\"key\":{\"decode\":\"utf8\"},\"sig\":{\"from\":[\"header:twitch-eventsub-message-"
		"signature\"],\"prefix\":\"sha256=\",\"enc\":\"hex\"},\"vars\":{\"id\":{\"from\":[\"header:twitch-eventsub-message-id"
		"\"]},\"t\":{\"from\":[\"header:twitch-eventsub-message-timestamp\"],\"unit\":\"rfc3339\"}},\"signed\":[\"{id}{t}{b"
		"ody}\"],\"replay\":{\"var\":\"t\",\"tolerance_s\":600},\"extract\":{\"delivery_id\":[\"header:twitch-eventsub-mess"
		"age-id\"],\"event_type\":[\"header:twitch-eventsub-subscription-type\"],\"dedupe\":[\"{delivery_id}\"]},\"hand"
		"shake\":[{\"when\":{\"header:twitch-eventsub-message-type\":\"webhook_callback_verification\"},\"signed\":tru"
		"e,\"respond\":{\"status\":200,\"type\":\"text/plain\",\"body\":\"{json:challenge}\"}}]}}"},
	{"typeform",
		"{\"name\":\"typeform\",\"version\":\"1.0.0\",\"title\":\"Typeform\",\"curated\":false,\"aliases\":[],\"scheme\":{\"kind"
		"\":\"hmac\",\"alg\":\"sha256\",\"key\":{\"decode\":\"utf8\"},\"sig\":{\"from\":[\"header:typeform-signature\"],\"prefix\""
		":\"sha256=\",\"enc\":\"base64\"},\"signed\":[\"{body}\"],\"extract\":{\"event_id\":[\"json:event_id\"],\"event_type\":"
		"[\"json:event_type\"],\"dedupe\":[\"{event_id}\"]}}}"},
	{"vercel",
		"{\"name\":\"vercel\",\"version\":\"1.0.0\",\"title\":\"Vercel\",\"curated\":false,\"aliases\":[],\"scheme\":{\"kind\":\"h"
		"mac\",\"alg\":\"sha1\",\"key\":{\"decode\":\"utf8\"},\"sig\":{\"from\":[\"header:x-vercel-signature\"],\"enc\":\"hex\"},\""
		"signed\":[\"{body}\"],\"extract\":{\"event_id\":[\"json:id\"],\"event_type\":[\"json:type\"],\"dedupe\":[\"{event_id"
		"}\"]}}}"},
	{"viber",
		"{\"name\":\"viber\",\"version\":\"1.0.0\",\"title\":\"Viber\",\"curated\":false,\"aliases\":[],\"scheme\":{\"kind\":\"hma"
		"c\",\"alg\":\"sha256\",\"key\":{\"decode\":\"utf8\"},\"sig\":{\"from\":[\"header:x-viber-content-signature\",\"query:s"
		"ig\"],\"enc\":\"hex\"},\"signed\":[\"{body}\"],\"extract\":{\"event_id\":[\"json:message_token\"],\"event_type\":[\"js"
		"on:event\"],\"dedupe\":[\"sha256:{body}\"]},\"accept\":{\"status\":200}}}"},
	{"vonage",
		"{\"name\":\"vonage\",\"version\":\"1.0.0\",\"title\":\"Vonage\",\"curated\":false,\"aliases\":[],\"scheme\":{\"kind\":\"j"
		"wt\",\"key\":{\"decode\":\"utf8\"},\"sig\":{\"from\":[\"header:authorization\"],\"scheme\":\"Bearer\"},\"jwt\":{\"algs\":"
		"[\"HS256\"],\"claims\":{\"payload_hash\":\"sha256hex({body})\"},\"if_body\":[\"payload_hash\"]},\"extract\":{\"dedu"
		"pe\":[\"sha256:{body}\"]}}}"},
	{"websub",
		"{\"name\":\"websub\",\"version\":\"1.0.0\",\"title\":\"WebSub\",\"curated\":false,\"aliases\":[\"youtube\"],\"scheme\":{"
		"\"kind\":\"hmac\",\"alg\":\"auto\",\"key\":{\"decode\":\"utf8\"},\"sig\":{\"from\":[\"header:x-hub-signature\"],\"enc\":\"h"
		"ex\"},\"signed\":[\"{body}\"],\"extract\":{},\"handshake\":[{\"when\":{\"method\":\"GET\",\"query:hub.challenge\":\"*\""
		"},\"signed\":false,\"respond\":{\"status\":200,\"type\":\"text/plain\",\"body\":\"{query:hub.challenge}\"}}]}}"},
	{"wise",
		"{\"name\":\"wise\",\"version\":\"1.0.0\",\"title\":\"Wise\",\"curated\":false,\"aliases\":[],\"scheme\":{\"kind\":\"rsa-p"
		"kcs1\",\"alg\":\"sha256\",\"key\":{\"decode\":\"pem-or-spki-b64\"},\"sig\":{\"from\":[\"header:x-signature-sha256\"],"
		"\"enc\":\"base64\"},\"signed\":[\"{body}\"],\"extract\":{\"delivery_id\":[\"header:x-delivery-id\"],\"event_type\":["
		"\"json:event_type\"],\"dedupe\":[\"{delivery_id}\",\"sha256:{body}\"]}}}"},
	{"woocommerce",
		"{\"name\":\"woocommerce\",\"version\":\"1.0.0\",\"title\":\"WooCommerce\",\"curated\":false,\"aliases\":[],\"scheme\":"
		"{\"kind\":\"hmac\",\"alg\":\"sha256\",\"key\":{\"decode\":\"utf8\"},\"sig\":{\"from\":[\"header:x-wc-webhook-signature\""
		"],\"enc\":\"base64\"},\"signed\":[\"{body}\"],\"extract\":{\"delivery_id\":[\"header:x-wc-webhook-delivery-id\"],\""
		"event_type\":[\"header:x-wc-webhook-topic\"],\"dedupe\":[\"{delivery_id}\"]}}}"},
	{"workos",
		"{\"name\":\"workos\",\"version\":\"1.0.0\",\"title\":\"WorkOS\",\"curated\":false,\"aliases\":[],\"scheme\":{\"kind\":\"h"
		"mac\",\"alg\":\"sha256\",\"key\":{\"decode\":\"utf8\"},\"sig\":{\"from\":[\"header:workos-signature\"],\"items\":\", \",\""
		"kv\":\"=\",\"pick\":[\"v1\"],\"trim\":true,\"enc\":\"hex\"},\"vars\":{\"t\":{\"from\":[\"sig:t\"],\"unit\":\"ms\"}},\"signed\":"
		"[\"{t}.{body}\"],\"replay\":{\"var\":\"t\",\"tolerance_s\":180},\"extract\":{\"event_id\":[\"json:id\"],\"event_type\""
		":[\"json:event\"],\"dedupe\":[\"{event_id}\"]},\"accept\":{\"status\":200}}}"},
	{"xero",
		"{\"name\":\"xero\",\"version\":\"1.0.0\",\"title\":\"Xero\",\"curated\":false,\"aliases\":[],\"scheme\":{\"kind\":\"hmac\""
		",\"alg\":\"sha256\",\"key\":{\"decode\":\"utf8\"},\"sig\":{\"from\":[\"header:x-xero-signature\"],\"enc\":\"base64\"},\"s"
		"igned\":[\"{body}\"],\"extract\":{\"batch\":\"json:events\",\"dedupe\":[\"each:events:{tenantId}:{eventCategory}"
		":{resourceId}:{eventType}:{eventDateUtc}\"]},\"accept\":{\"status\":200}}}"},
	{"zendesk",
		"{\"name\":\"zendesk\",\"version\":\"1.0.0\",\"title\":\"Zendesk\",\"curated\":true,\"aliases\":[],\"scheme\":{\"kind\":\""
		"hmac\",\"alg\":\"sha256\",\"key\":{\"decode\":\"utf8\"},\"sig\":{\"from\":[\"header:x-zendesk-webhook-signature\"],\"e"
		"nc\":\"base64\"},\"vars\":{\"t\":{\"from\":[\"header:x-zendesk-webhook-signature-timestamp\"],\"unit\":\"rfc3339-o"
		"r-s\"}},\"signed\":[\"{t}{body}\"],\"replay\":{\"var\":\"t\",\"tolerance_s\":300},\"extract\":{\"delivery_id\":[\"head"
		"er:x-zendesk-webhook-invocation-id\"],\"event_id\":[\"json:ticket_id\",\"json:id\"],\"event_type\":[\"json:typ"
		"e\"],\"dedupe\":[\"{delivery_id}\",\"sha256:{body}\"]},\"options\":{\"tolerance_s\":{\"type\":\"int\",\"default\":300"
		"}}}}"},
	{"zoom",
		"{\"name\":\"zoom\",\"version\":\"1.0.0\",\"title\":\"Zoom\",\"curated\":false,\"aliases\":[],\"scheme\":{\"kind\":\"hmac\""
		",\"alg\":\"sha256\",\"key\":{\"decode\":\"utf8\"},\"sig\":{\"from\":[\"header:x-zm-signature\"],\"prefix\":\"v0=\",\"enc\""
		":\"hex\"},\"vars\":{\"t\":{\"from\":[\"header:x-zm-request-timestamp\"],\"unit\":\"s\"}},\"signed\":[\"v0:{t}:{body}\""
		"],\"replay\":{\"var\":\"t\",\"tolerance_s\":300},\"extract\":{\"event_type\":[\"json:event\"],\"dedupe\":[\"sha256:{b"
		"ody}\"]},\"handshake\":[{\"when\":{\"json:event\":\"endpoint.url_validation\"},\"signed\":true,\"respond\":{\"stat"
		"us\":200,\"type\":\"application/json\",\"body\":{\"plainToken\":\"{json:payload.plainToken}\",\"encryptedToken\":"
		"\"{hmac:json:payload.plainToken}\"}}}],\"options\":{\"tolerance_s\":{\"type\":\"int\",\"default\":300}}}}"},
};
#pragma GCC diagnostic pop

#endif

/* What the files that compile a scheme share: from JSON to what scheme_parts.h describes. Nobody
 * else includes this. */
#ifndef KNOCKER_SCHEME_PARSE_H
#define KNOCKER_SCHEME_PARSE_H



#define SCHEME_LAYERS_MAX 8 /* a scheme and those that it extends */

typedef struct {
	scheme *scheme;
	knocker_error *error;
	const json *layers[SCHEME_LAYERS_MAX]; /* the scheme's own members first */
	size_t layer_count;
	bool has_family;
	knocker_bytes family;
	const scheme_try *current; /* whose vars templates may name */
	knocker_bytes *members;    /* each: the member names of its template, and how many */
	size_t member_count;
} scheme_parser;

typedef enum { IN_SIGNED, IN_CLAIM, IN_DEDUPE, IN_EACH, IN_ANSWER } template_place;

KNOCKER_PRIVATE int32_t scheme_parse(scheme_parser *p);
KNOCKER_PRIVATE const json *scheme_parse_top(const scheme_parser *p, const char *name);
KNOCKER_PRIVATE int32_t scheme_parse_word(scheme_parser *p, const char *what, knocker_bytes text,
                          const char *const *words, size_t *out);
KNOCKER_PRIVATE int32_t scheme_parse_kind(scheme_parser *p);
KNOCKER_PRIVATE int32_t scheme_parse_options(scheme_parser *p);
KNOCKER_PRIVATE int32_t scheme_parse_signature(scheme_parser *p);
KNOCKER_PRIVATE int32_t scheme_parse_tries(scheme_parser *p);
KNOCKER_PRIVATE int32_t scheme_parse_known(scheme_parser *p, const json *object, const char *what,
                           const char *const *names);
KNOCKER_PRIVATE int32_t scheme_parse_text(scheme_parser *p, const json *object, const char *what, const char *name,
                          bool required, knocker_bytes *out);
KNOCKER_PRIVATE int32_t scheme_parse_bool(scheme_parser *p, const json *object, const char *what, const char *name,
                          bool *out);
KNOCKER_PRIVATE int32_t scheme_parse_int(scheme_parser *p, const json *object, const char *what, const char *name,
                         int64_t most, int64_t *out);
KNOCKER_PRIVATE int32_t scheme_parse_list(scheme_parser *p, const json *value, const char *what, size_t *count);
KNOCKER_PRIVATE int32_t scheme_copy(scheme_parser *p, knocker_bytes text, knocker_bytes *out);
KNOCKER_PRIVATE void *scheme_room(scheme_parser *p, size_t count, size_t size); /* fails the parse without memory */

KNOCKER_PRIVATE int32_t scheme_parse_source(scheme_parser *p, const char *what, knocker_bytes word,
                            scheme_source *out);
KNOCKER_PRIVATE int32_t scheme_parse_sources(scheme_parser *p, const json *value, const char *what,
                             scheme_sources *out);
KNOCKER_PRIVATE int32_t scheme_parse_name(scheme_parser *p, const char *what, knocker_bytes text, scheme_name *out);
KNOCKER_PRIVATE int32_t scheme_parse_path(scheme_parser *p, const char *what, knocker_bytes path, bool item,
                          size_t *slot);
/* A claim of the token, by its path, or by its whole name. */
KNOCKER_PRIVATE int32_t scheme_parse_claim(scheme_parser *p, const char *what, knocker_bytes path, bool is_whole,
                           size_t *slot);
KNOCKER_PRIVATE int32_t scheme_parse_template(scheme_parser *p, const char *what, knocker_bytes text,
                              template_place place, scheme_template *out);
KNOCKER_PRIVATE int32_t scheme_parse_templates(scheme_parser *p, const json *value, const char *what,
                               template_place place, scheme_templates *out);
/* "sha256hex(TEMPLATE)"; false: it is none. */
KNOCKER_PRIVATE bool scheme_parse_hashed(knocker_bytes text, knocker_bytes *template_text);
KNOCKER_PRIVATE int32_t scheme_parse_jwt(scheme_parser *p, scheme_try *t);
KNOCKER_PRIVATE int32_t scheme_parse_header_list(scheme_parser *p, scheme_header_list *out);
KNOCKER_PRIVATE int32_t scheme_parse_extract(scheme_parser *p, const json *extract, scheme_try *t);
KNOCKER_PRIVATE int32_t scheme_parse_handshakes(scheme_parser *p, const json *list);
KNOCKER_PRIVATE int32_t scheme_parse_answer(scheme_parser *p, const json *value, const char *what,
                            scheme_answer *out);

#endif


/* ---- an application's own, and what it extends ---- */

/* Reads the schemes that the first layer extends; their trees go to `trees`, to be freed. */
static int32_t scheme_layers_read(scheme_parser *p, json **trees)
{
	int32_t rc = 0;

	while (rc == 0) {
		const json *extends = json_member(p->layers[p->layer_count - 1], "extends");
		const char *text;

		if (!extends)
			return 0;
		if (json_kind(extends) != JSON_TEXT)
			return fail(p->error, KNOCKER_INVALID_ARGUMENT, "scheme: 'extends' is not a text");
		if (p->layer_count == SCHEME_LAYERS_MAX)
			return fail(p->error, KNOCKER_INVALID_ARGUMENT,
			            "scheme: it extends itself, or more than %d schemes",
			            SCHEME_LAYERS_MAX - 1);
		rc = scheme_provider_text(json_text(extends), &text, p->error);
		if (rc == 0 && !text)
			return fail(p->error, KNOCKER_INVALID_ARGUMENT,
			            "scheme: 'extends' names no built-in provider: '%.*s'",
			            QUOTED(json_text(extends)));
		if (rc == 0)
			rc = json_parse("provider.json", bytes_of(text), &trees[p->layer_count], p->error);
		if (rc == 0) {
			p->layers[p->layer_count] = json_member(trees[p->layer_count], "scheme");
			p->layer_count++;
		}
	}
	return rc;
}

static int32_t scheme_compile_tree(const json *root, scheme **out, knocker_error *error)
{
	scheme *s = memory_get(sizeof *s);
	scheme_parser p = {.scheme = s, .error = error, .layers = {root}, .layer_count = 1};
	json *trees[SCHEME_LAYERS_MAX] = {NULL};
	size_t i;
	int32_t rc;

	*out = NULL;
	if (!s)
		return fail_memory(error);
	memset(s, 0, sizeof *s);
	if (json_kind(root) != JSON_OBJECT)
		rc = fail(error, KNOCKER_INVALID_ARGUMENT, "scheme: it is not a JSON object");
	else
		rc = scheme_layers_read(&p, trees);
	if (rc == 0)
		rc = scheme_parse(&p);
	for (i = 0; i < SCHEME_LAYERS_MAX; i++)
		json_free(trees[i]);
	if (rc == 0)
		*out = s;
	else
		scheme_free(s);
	return rc;
}

int32_t scheme_compile(knocker_bytes json_text, scheme **out, knocker_error *error)
{
	json *tree = NULL;
	int32_t rc = json_parse("the scheme", json_text, &tree, error);

	*out = NULL;
	if (rc == 0)
		rc = scheme_compile_tree(tree, out, error);
	json_free(tree);
	return rc;
}

void scheme_free(scheme *s)
{
	if (!s)
		return;
	arena_free(&s->memory);
	memory_free(s);
}

/* ---- the built-ins ---- */

typedef struct {
	knocker_bytes name, version, title;
	const knocker_bytes *aliases;
	size_t alias_count;
	bool curated;
	scheme *compiled; /* NULL until somebody asks */
} scheme_builtin_entry;

static pthread_mutex_t builtin_lock = PTHREAD_MUTEX_INITIALIZER;
static bool builtin_known; /* names and aliases have been read, and stay as they are */
static arena builtin_memory;
static scheme_builtin_entry builtin_entries[PROVIDERS_EMBEDDED + 1];

static int32_t builtin_text(const json *provider, const char *name, knocker_bytes *out,
                            knocker_error *error)
{
	knocker_bytes text = json_text(json_member(provider, name));

	if (!bytes_given(text))
		return fail(error, KNOCKER_INVALID_ARGUMENT, "provider.json: '%s' is not a text", name);
	return arena_copy(&builtin_memory, text, out) ? 0 : fail_memory(error);
}

static int32_t builtin_aliases(const json *provider, scheme_builtin_entry *entry,
                               knocker_error *error)
{
	const json *list = json_member(provider, "aliases"), *alias;
	knocker_bytes *made = arena_get(&builtin_memory, (json_count(list) + 1) * sizeof *made);

	if (!made)
		return fail_memory(error);
	entry->alias_count = 0;
	for (alias = json_first(list); alias; alias = json_next(alias))
		if (!arena_copy(&builtin_memory, json_text(alias), &made[entry->alias_count++]))
			return fail_memory(error);
	entry->aliases = made;
	return 0;
}

static int32_t builtin_read(size_t n, knocker_error *error)
{
	scheme_builtin_entry *entry = &builtin_entries[n];
	json *provider = NULL;
	int32_t rc = json_parse("provider.json", bytes_of(providers_embedded[n].text), &provider,
	                        error);

	entry->name = bytes_of(providers_embedded[n].name);
	entry->curated = json_true(json_member(provider, "curated"));
	if (rc == 0)
		rc = builtin_text(provider, "version", &entry->version, error);
	if (rc == 0)
		rc = builtin_text(provider, "title", &entry->title, error);
	if (rc == 0)
		rc = builtin_aliases(provider, entry, error);
	json_free(provider);
	return rc;
}

static int32_t builtin_know(knocker_error *error)
{
	int32_t rc = 0;
	size_t i;

	pthread_mutex_lock(&builtin_lock);
	for (i = 0; !builtin_known && rc == 0 && i < PROVIDERS_EMBEDDED; i++)
		rc = builtin_read(i, error);
	if (rc == 0)
		builtin_known = true;
	else
		arena_free(&builtin_memory);
	pthread_mutex_unlock(&builtin_lock);
	return rc;
}

/* The number of the built-in of that name or alias, or -1. */
static int32_t builtin_find(knocker_bytes name)
{
	int32_t i;
	size_t k;

	for (i = 0; i < PROVIDERS_EMBEDDED; i++) {
		if (bytes_equal(builtin_entries[i].name, name))
			return i;
		for (k = 0; k < builtin_entries[i].alias_count; k++)
			if (bytes_equal(builtin_entries[i].aliases[k], name))
				return i;
	}
	return -1;
}

int32_t scheme_provider_text(knocker_bytes name, const char **out, knocker_error *error)
{
	int32_t rc = builtin_know(error), n = rc == 0 ? builtin_find(name) : -1;

	*out = n < 0 ? NULL : providers_embedded[n].text;
	return rc;
}

/* Compiles outside the lock; of two threads that do it at once the first one's result is kept. */
static int32_t builtin_compile(int32_t n, const scheme **out, knocker_error *error)
{
	scheme_builtin_entry *entry = &builtin_entries[n];
	json *provider = NULL;
	scheme *made = NULL;
	int32_t rc = 0;

	pthread_mutex_lock(&builtin_lock);
	*out = entry->compiled;
	pthread_mutex_unlock(&builtin_lock);
	if (*out)
		return 0;
	rc = json_parse("provider.json", bytes_of(providers_embedded[n].text), &provider, error);
	if (rc == 0)
		rc = scheme_compile_tree(json_member(provider, "scheme"), &made, error);
	json_free(provider);
	if (rc < 0)
		return rc;
	pthread_mutex_lock(&builtin_lock);
	if (!entry->compiled) {
		entry->compiled = made;
		made = NULL;
	}
	*out = entry->compiled;
	pthread_mutex_unlock(&builtin_lock);
	scheme_free(made);
	return 0;
}

int32_t scheme_builtin(knocker_bytes name, const scheme **out, knocker_error *error)
{
	int32_t n, rc = builtin_know(error);

	*out = NULL;
	if (rc < 0)
		return rc;
	n = builtin_find(name);
	return n < 0 ? 0 : builtin_compile(n, out, error);
}

int32_t scheme_builtin_count(void)
{
	return PROVIDERS_EMBEDDED;
}

int32_t scheme_builtin_info(int32_t n, scheme_info *out, knocker_error *error)
{
	const scheme *s = NULL;
	int32_t rc;

	*out = (scheme_info){0};
	if (n < 0 || n >= PROVIDERS_EMBEDDED)
		return fail(error, KNOCKER_INVALID_ARGUMENT, "there is no built-in provider number %d", n);
	rc = builtin_know(error);
	if (rc == 0)
		rc = builtin_compile(n, &s, error);
	if (rc < 0)
		return rc;
	*out = (scheme_info){
		.name = builtin_entries[n].name.data,
		.version = builtin_entries[n].version.data,
		.title = builtin_entries[n].title.data,
		.kind = s->kind->name,
		.has_replay_window = s->has_replay && s->has_window,
		.options_json = s->options_json.data,
		.curated = builtin_entries[n].curated,
	};
	return 0;
}

/* ==== core/src/scheme_candidate.c ==== */

/* Cuts the text of a signature into sets, items and the candidates that are compared. Knows nothing
 * of what they are compared with. */
#include <string.h>



/* ---- cutting a signature ---- */

/* Whether `c` is one of `any`; where a blank is, a tab is too. */
bool scheme_item_char(char c, knocker_bytes any)
{
	return any.len > 0 && (bytes_find(any, c) >= 0 || (c == '\t' && bytes_find(any, ' ') >= 0));
}

/* Where the first of `marks` stands from `at` on, or the text's length. */
static size_t candidate_mark(knocker_bytes text, knocker_bytes marks, size_t at)
{
	size_t len = (size_t)text.len;
	const char *s = text.data, *hit;

	if (marks.len == 0)
		return len;
	if (marks.len == 1 && *(const char *)marks.data != ' ') {
		hit = memchr(s + at, *(const char *)marks.data, len - at);
		return hit ? (size_t)(hit - s) : len;
	}
	while (at < len && !scheme_item_char(s[at], marks))
		at++;
	return at;
}

/* The next piece between any of `marks` that is not empty. */
bool scheme_piece_next(knocker_bytes text, knocker_bytes marks, size_t *at, knocker_bytes *piece)
{
	while (*at < (size_t)text.len) {
		size_t from = *at, to = candidate_mark(text, marks, from);

		*piece = bytes_part(text, from, to);
		*at = to + 1;
		if (to > from)
			return true;
	}
	return false;
}

/* The text without the word ("Bearer") and the blanks behind it. False: it does not begin so. */
bool scheme_word_off(knocker_bytes word, knocker_bytes *text)
{
	knocker_bytes rest;

	if (!bytes_given(word))
		return true;
	if (text->len <= word.len || !bytes_equal_nocase(bytes_part(*text, 0, (size_t)word.len), word))
		return false;
	rest = bytes_part(*text, (size_t)word.len, (size_t)text->len);
	*text = bytes_trim(rest);
	return text->len > 0 && !bytes_equal(*text, rest) &&
	       scheme_item_char(*(const char *)rest.data, bytes_of(" "));
}

void scheme_items_cut(scheme_reading *r, knocker_bytes set)
{
	const scheme_signature *rules = &r->scheme->signature;
	knocker_bytes item;
	size_t at = 0;

	r->item_count = 0;
	while (r->item_count < SCHEME_ITEMS_MAX && scheme_piece_next(set, rules->items, &at, &item)) {
		if (rules->trim)
			item = bytes_trim(item);
		if (item.len > 0)
			r->items[r->item_count++] = item;
	}
}

/* ---- candidates ---- */

/* `alg: auto`: the digest is the prefix. */
static bool candidate_digest_off(knocker_bytes *text, digest *d)
{
	static const char *const prefixes[DIGEST_KINDS] = {"sha1=", "sha256=", "sha384=", "sha512="};
	size_t i;

	for (i = 0; i < DIGEST_KINDS; i++) {
		if (!bytes_starts(*text, prefixes[i]))
			continue;
		*d = (digest)i;
		*text = bytes_part(*text, (size_t)bytes_of(prefixes[i]).len, (size_t)text->len);
		return true;
	}
	return false;
}

static bool candidate_decode(scheme_reading *r, encoding how, knocker_bytes *text)
{
	uint8_t *bytes;
	size_t len = 0;
	bool good = false;

	if (how == ENCODING_NONE)
		return text->len > 0;
	bytes = arena_get(r->arena, (size_t)text->len + 1);
	if (!bytes) {
		r->no_memory = true;
		return false;
	}
	if (how == ENCODING_HEX)
		good = codec_hex(*text, bytes, &len);
	else if (how == ENCODING_BASE64)
		good = codec_base64(*text, bytes, &len);
	else
		good = codec_base64url(*text, bytes, &len);
	*text = (knocker_bytes){bytes, (int64_t)len};
	return good && len > 0;
}

/* One candidate, without its prefix and decoded; what cannot be decoded is none. */
static void candidate_add(scheme_reading *r, const scheme_group *group, digest d,
                          knocker_bytes text)
{
	const scheme_signature *rules = &r->scheme->signature;
	knocker_bytes prefix = rules->prefix;

	if (r->candidates_seen == LIMIT_CANDIDATES)
		return;
	r->candidates_seen++;
	if (group->alg.how == ALG_AUTO && !candidate_digest_off(&text, &d))
		return;
	if (bytes_given(prefix)) {
		if (text.len >= prefix.len && memcmp(text.data, prefix.data, (size_t)prefix.len) == 0)
			text = bytes_part(text, (size_t)prefix.len, (size_t)text.len);
		else if (!rules->prefix_optional)
			return;
	}
	if (candidate_decode(r, group->kind->id == KIND_BASIC ? ENCODING_BASE64 : rules->encoding,
	                     &text))
		r->candidates[r->candidate_count++] = (scheme_candidate){text, d};
}

static bool candidate_picked(scheme_reading *r, const scheme_group *group, knocker_bytes name)
{
	size_t i;

	for (i = 0; i < group->pick_count; i++)
		if (bytes_equal(name, scheme_name_text(r, group->pick[i])))
			return true;
	return false;
}

/* Where `kv` first stands in the item, or -1. */
int64_t scheme_kv_find(knocker_bytes item, knocker_bytes kv)
{
	const char *hit = memmem(item.data, (size_t)item.len, kv.data, (size_t)kv.len);

	return hit ? hit - (const char *)item.data : -1;
}

void scheme_candidates_find(scheme_reading *r, const scheme_group *group, digest d)
{
	const scheme_signature *rules = &r->scheme->signature;
	size_t i;

	r->candidate_count = 0;
	for (i = 0; i < r->item_count; i++) {
		knocker_bytes item = r->items[i];
		int64_t at;

		if (!bytes_given(rules->kv) || group->pick_count == 0) {
			if (i >= rules->skip)
				candidate_add(r, group, d, item);
			continue;
		}
		at = scheme_kv_find(item, rules->kv);
		if (at >= 0 && candidate_picked(r, group, bytes_part(item, 0, (size_t)at)))
			candidate_add(r, group, d,
			              bytes_part(item, (size_t)(at + rules->kv.len), (size_t)item.len));
	}
}

/* ==== core/src/scheme_check.c ==== */

/* The kinds of signature, one row and one function each. Knows nothing of where a signature stood.
 */
#include <string.h>



/* Whether one of the candidates that name `d` is `expected`; all are compared. */
static bool check_candidates(const scheme_reading *r, digest d, knocker_bytes expected)
{
	bool matched = false;
	size_t i;

	for (i = 0; i < r->candidate_count; i++)
		if (r->candidates[i].digest == d)
			matched |= crypto_equal(expected, r->candidates[i].bytes);
	return matched;
}

static void check_matched(scheme_reading *r, const scheme_key *key)
{
	if (!r->matched)
		r->matched = key;
}

/* The digests that the candidates name. */
static uint32_t check_digests(const scheme_reading *r)
{
	uint32_t named = 0;
	size_t i;

	for (i = 0; i < r->candidate_count; i++)
		named |= 1u << r->candidates[i].digest;
	return named;
}

/* hmac and hash: one message under one key (NULL: none), with each digest that was named. */
static bool check_message(scheme_reading *r, const scheme_key *key, bool keyed,
                          const knocker_bytes *parts, size_t count)
{
	uint32_t named = check_digests(r);
	uint8_t computed[DIGEST_MAX];
	bool matched = false;
	size_t d, len;

	for (d = 0; d < DIGEST_KINDS; d++) {
		if (!(named >> d & 1))
			continue;
		if (!keyed)
			len = crypto_hash((digest)d, parts, count, computed);
		else
			len = key->hmac[d] ? crypto_key_hmac(key->hmac[d], parts, count, computed) : 0;
		if (len == 0)
			r->no_memory = true;
		else
			matched |= check_candidates(r, (digest)d, (knocker_bytes){computed, (int64_t)len});
	}
	return matched;
}

/* How many spellings the template has. */
static size_t check_attempts(scheme_reading *r, const scheme_template *t)
{
	if (!scheme_template_has(t, PART_URL_TRIES))
		return 1;
	if (r->url_try_count == 0)
		scheme_url_spell(r);
	return r->url_try_count;
}

/* Fills one template in all its spellings and asks of each whether it is signed under `key`. */
static bool check_template(scheme_reading *r, const scheme_key *key, bool keyed,
                           const scheme_template *t)
{
	size_t attempt, attempts = check_attempts(r, t);
	knocker_bytes parts[SCHEME_PARTS_MAX];
	bool matched = false;

	for (attempt = 0; attempt < attempts; attempt++) {
		if (!scheme_template_fill(r, t, true, key, attempt, parts))
			return false;
		matched |= check_message(r, key, keyed, parts, t->count);
	}
	return matched;
}

static bool check_digest(scheme_reading *r, size_t group, scheme_templates sign, bool keyed)
{
	bool matched = false;
	size_t i, k;

	for (k = 0; k < r->keys->key_count; k++) {
		const scheme_key *key = &r->keys->keys[k];

		if (key->group != group)
			continue;
		for (i = 0; i < sign.count; i++) {
			bool this_one = check_template(r, key, keyed, &sign.list[i]);

			if (this_one)
				check_matched(r, key);
			matched |= this_one;
		}
	}
	return matched;
}

static bool check_hmac(scheme_reading *r, size_t group, scheme_templates sign)
{
	return check_digest(r, group, sign, true);
}

static bool check_hash(scheme_reading *r, size_t group, scheme_templates sign)
{
	return check_digest(r, group, sign, false);
}

static bool check_ed25519(scheme_reading *r, size_t group, scheme_templates sign)
{
	knocker_bytes parts[SCHEME_PARTS_MAX], message;
	bool matched = false;
	size_t i, k, c;

	for (i = 0; i < sign.count; i++) {
		if (!scheme_template_fill(r, &sign.list[i], true, NULL, 0, parts))
			return false;
		message = scheme_join(r, parts, sign.list[i].count);
		for (k = 0; k < r->keys->key_count; k++) {
			const scheme_key *key = &r->keys->keys[k];

			for (c = 0; c < r->candidate_count && key->group == group; c++) {
				int32_t right = crypto_ed25519_verify(key->bytes, message, r->candidates[c].bytes);

				r->no_memory |= right < 0;
				if (right != 1)
					continue;
				check_matched(r, key);
				matched = true;
			}
		}
	}
	return matched;
}

/* Whether the key is one of now: that of a certificate has its time. */
static bool check_time(scheme_reading *r, const scheme_key *key)
{
	if (!key->has_time || (r->now_s >= key->from_s && r->now_s <= key->until_s))
		return true;
	if (r->now_s > key->until_s)
		scheme_refuse(r, REFUSED_STALE, "the certificate expired %lld s ago",
		              (long long)(r->now_s - key->until_s));
	else
		scheme_refuse(r, REFUSED_STALE, "the certificate begins in %lld s only",
		              (long long)(key->from_s - r->now_s));
	return false;
}

/* The candidates under each key of the group, over one message's digest. */
static bool check_pairs(scheme_reading *r, size_t group, digest d, knocker_bytes hash)
{
	bool matched = false;
	size_t k, c;

	for (k = 0; k < r->keys->key_count; k++) {
		const scheme_key *key = &r->keys->keys[k];

		for (c = 0; c < r->candidate_count && key->group == group; c++) {
			int32_t right = r->candidates[c].digest == d
			                    ? crypto_public_verify(key->pair, d, hash, r->candidates[c].bytes)
			                    : 0;

			r->no_memory |= right < 0;
			if (right != 1 || !check_time(r, key))
				continue;
			check_matched(r, key);
			matched = true;
		}
	}
	return matched;
}

/* ecdsa-p256 and rsa-pkcs1: each message is hashed once for all keys. */
static bool check_public(scheme_reading *r, size_t group, scheme_templates sign)
{
	uint32_t named = check_digests(r);
	knocker_bytes parts[SCHEME_PARTS_MAX];
	uint8_t hash[DIGEST_MAX];
	bool matched = false;
	size_t i, d, attempt, len;

	for (i = 0; i < sign.count; i++) {
		const scheme_template *t = &sign.list[i];
		size_t attempts = check_attempts(r, t);

		for (attempt = 0; attempt < attempts; attempt++) {
			if (!scheme_template_fill(r, t, true, NULL, attempt, parts))
				return false;
			for (d = 0; d < DIGEST_KINDS; d++) {
				if (!(named >> d & 1))
					continue;
				len = crypto_hash((digest)d, parts, t->count, hash);
				r->no_memory |= len == 0;
				matched |= check_pairs(r, group, (digest)d, (knocker_bytes){hash, (int64_t)len});
			}
		}
	}
	return matched;
}

/* Compares hashes, so that neither the time nor an early end tells how long the secret is. */
static bool check_text(scheme_reading *r, size_t group, knocker_bytes text)
{
	uint8_t hash[DIGEST_MAX];
	bool matched = false;
	size_t k;

	if (crypto_hash(DIGEST_SHA256, &text, 1, hash) != 32) {
		r->no_memory = true;
		return false;
	}
	for (k = 0; k < r->keys->key_count; k++) {
		const scheme_key *key = &r->keys->keys[k];

		if (key->group != group)
			continue;
		if (!crypto_equal((knocker_bytes){hash, 32}, (knocker_bytes){key->hash, 32}))
			continue;
		check_matched(r, key);
		matched = true;
	}
	return matched;
}

static bool check_token(scheme_reading *r, size_t group, scheme_templates sign)
{
	bool matched = false;
	size_t i;

	(void)sign;
	for (i = 0; i < r->candidate_count; i++)
		matched |= check_text(r, group, r->candidates[i].bytes);
	return matched;
}

const scheme_kind *scheme_kind_find(knocker_bytes name)
{
	/* The columns: has alg, key, signed, enc. basic is a token whose candidates come in base64; a
	 * jwt is more than a signature, so scheme_jwt.c judges it. */
	static const scheme_kind kinds[] = {
		{"hmac", KIND_HMAC, true, true, true, true, check_hmac},
		{"hash", KIND_HASH, true, false, true, true, check_hash},
		{"ed25519", KIND_ED25519, false, true, true, true, check_ed25519},
		{"token", KIND_TOKEN, false, false, false, false, check_token},
		{"basic", KIND_BASIC, false, false, false, false, check_token},
		{"ecdsa-p256", KIND_ECDSA_P256, true, true, true, true, check_public},
		{"rsa-pkcs1", KIND_RSA_PKCS1, true, true, true, true, check_public},
		{"jwt", KIND_JWT, false, true, false, false, NULL},
	};
	size_t i;

	for (i = 0; i < sizeof kinds / sizeof kinds[0]; i++)
		if (bytes_is(name, kinds[i].name))
			return &kinds[i];
	return NULL;
}

/* ==== core/src/scheme_codec.c ==== */

/* Hexadecimal, base64 and the ways senders write a time. Knows nothing of who wrote them or why. */
#include <stdio.h>
#include <string.h>
#include <time.h>



/* Without a branch: which digit is next nobody can foretell, least of all a processor. */
static int32_t codec_hex_digit(uint8_t c)
{
	int32_t digit = c - '0', letter = (c | 0x20) - 'a';
	int32_t is_digit = -(int32_t)((uint32_t)digit < 10);
	int32_t is_letter = -(int32_t)((uint32_t)letter < 6);

	return (digit & is_digit) | ((letter + 10) & is_letter) | ~(is_digit | is_letter);
}

bool codec_hex(knocker_bytes text, uint8_t *out, size_t *len)
{
	const uint8_t *s = text.data;
	int32_t wrong = 0;
	size_t i;

	if (text.len % 2 != 0)
		return false;
	for (i = 0; i < (size_t)text.len / 2; i++) {
		int32_t high = codec_hex_digit(s[2 * i]), low = codec_hex_digit(s[2 * i + 1]);

		wrong |= high | low;
		out[i] = (uint8_t)(high * 16 + low);
	}
	*len = i;
	return wrong >= 0;
}

size_t codec_hex_write(knocker_bytes bytes, char *out)
{
	static const char digits[] = "0123456789abcdef";
	const uint8_t *s = bytes.data;
	size_t i;

	for (i = 0; i < (size_t)bytes.len; i++) {
		out[2 * i] = digits[s[i] >> 4];
		out[2 * i + 1] = digits[s[i] & 15];
	}
	return 2 * i;
}

static int32_t codec_sextet(uint8_t c, bool url)
{
	if (c >= 'A' && c <= 'Z')
		return c - 'A';
	if (c >= 'a' && c <= 'z')
		return c - 'a' + 26;
	if (c >= '0' && c <= '9')
		return c - '0' + 52;
	if (c == (url ? '-' : '+'))
		return 62;
	return c == (url ? '_' : '/') ? 63 : -1;
}

/* Without padding. `spare` says whether the last character may hold bits that mean nothing. */
static bool codec_sextets(knocker_bytes text, bool url, bool spare, uint8_t *out, size_t *len)
{
	const uint8_t *s = text.data;
	uint32_t bits = 0;
	size_t i, have = 0, at = 0;

	if (text.len % 4 == 1)
		return false;
	for (i = 0; i < (size_t)text.len; i++) {
		int32_t six = codec_sextet(s[i], url);

		if (six < 0)
			return false;
		bits = bits << 6 | (uint32_t)six;
		have += 6;
		if (have >= 8) {
			have -= 8;
			out[at++] = (uint8_t)(bits >> have);
		}
	}
	if (!spare && (bits & ((1u << have) - 1)) != 0)
		return false;
	*len = at;
	return true;
}

/* The text without up to two "=" at its end. */
static knocker_bytes codec_unpadded(knocker_bytes text)
{
	const char *s = text.data;
	size_t len = (size_t)text.len, drop = 0;

	while (drop < 2 && drop < len && s[len - 1 - drop] == '=')
		drop++;
	return bytes_part(text, 0, len - drop);
}

bool codec_base64(knocker_bytes text, uint8_t *out, size_t *len)
{
	return text.len % 4 == 0 && codec_sextets(codec_unpadded(text), false, false, out, len);
}

bool codec_base64url(knocker_bytes text, uint8_t *out, size_t *len)
{
	return codec_sextets(text, true, false, out, len);
}

bool codec_base64_lenient(knocker_bytes text, uint8_t *out, size_t *len)
{
	return codec_sextets(codec_unpadded(text), false, true, out, len);
}

size_t codec_base64_write(knocker_bytes bytes, bool url, char *out)
{
	static const char common[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
	const uint8_t *s = bytes.data;
	size_t i, at = 0, len = (size_t)bytes.len;

	for (i = 0; i < len; i += 3) {
		uint32_t three = (uint32_t)s[i] << 16 | (i + 1 < len ? (uint32_t)s[i + 1] << 8 : 0) |
		                 (i + 2 < len ? s[i + 2] : 0);
		size_t k, count = len - i >= 3 ? 4 : len - i + 1;

		for (k = 0; k < 4; k++) {
			uint32_t six = three >> (18 - 6 * k) & 63;

			if (k < count)
				out[at++] = six < 62    ? common[six]
				            : six == 62 ? (url ? '-' : '+')
				            : url       ? '_'
				                        : '/';
			else if (!url)
				out[at++] = '=';
		}
	}
	return at;
}

uint32_t codec_crc32(knocker_bytes bytes)
{
	const uint8_t *s = bytes.data;
	uint32_t crc = 0xFFFFFFFFu, table[16];
	int64_t i;

	for (i = 0; i < 16; i++) {
		uint32_t v = (uint32_t)i, k;

		for (k = 0; k < 4; k++)
			v = v & 1 ? v >> 1 ^ 0xEDB88320u : v >> 1;
		table[i] = v;
	}
	for (i = 0; i < bytes.len; i++) {
		crc ^= s[i];
		crc = crc >> 4 ^ table[crc & 15];
		crc = crc >> 4 ^ table[crc & 15];
	}
	return ~crc;
}

/* ---- times ---- */

static bool codec_digits(knocker_bytes text, size_t from, size_t count, int64_t *out)
{
	const char *s = text.data;
	size_t i;

	*out = 0;
	if ((size_t)text.len < from + count)
		return false;
	for (i = from; i < from + count; i++) {
		if (s[i] < '0' || s[i] > '9')
			return false;
		*out = *out * 10 + (s[i] - '0');
	}
	return count > 0;
}

/* Days from 1970-01-01 of the proleptic Gregorian calendar. */
static int64_t codec_days(int64_t year, int64_t month, int64_t day)
{
	int64_t y = month > 2 ? year : year - 1, era = (y >= 0 ? y : y - 399) / 400,
			in_era = y - era * 400;
	int64_t in_year = (153 * (month > 2 ? month - 3 : month + 9) + 2) / 5 + day - 1;

	return era * 146097 + in_era * 365 + in_era / 4 - in_era / 100 + in_year - 719468;
}

static bool codec_date_real(int64_t year, int64_t month, int64_t day)
{
	static const int8_t lengths[12] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
	bool leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;

	return month >= 1 && month <= 12 && day >= 1 &&
	       day <= lengths[month - 1] + (month == 2 && leap ? 1 : 0);
}

/* "Z" or "+HH:MM" from `at` to the end. */
static bool codec_zone(knocker_bytes text, size_t at, int64_t *offset_s)
{
	const char *s = text.data;
	int64_t hours, minutes;
	bool east = at < (size_t)text.len && s[at] == '+';

	*offset_s = 0;
	if ((size_t)text.len == at + 1 && s[at] == 'Z')
		return true;
	if ((size_t)text.len != at + 6 || (!east && s[at] != '-') || s[at + 3] != ':')
		return false;
	if (!codec_digits(text, at + 1, 2, &hours) || !codec_digits(text, at + 4, 2, &minutes) ||
	    hours > 23 || minutes > 59)
		return false;
	*offset_s = (hours * 60 + minutes) * (east ? 60 : -60);
	return true;
}

/* YYYY-MM-DDTHH:MM:SS[.1-9 digits](Z|+HH:MM); the fraction is floored. */
static bool codec_rfc3339(knocker_bytes text, int64_t *out_s)
{
	const char *s = text.data;
	int64_t year, month, day, hour, minute, second, offset;
	size_t at = 19;

	if (text.len < 20 || s[4] != '-' || s[7] != '-' || s[10] != 'T' || s[13] != ':' || s[16] != ':')
		return false;
	if (!codec_digits(text, 0, 4, &year) || !codec_digits(text, 5, 2, &month) ||
	    !codec_digits(text, 8, 2, &day) || !codec_digits(text, 11, 2, &hour) ||
	    !codec_digits(text, 14, 2, &minute) || !codec_digits(text, 17, 2, &second))
		return false;
	if (s[at] == '.') {
		at++;
		while (at < (size_t)text.len && s[at] >= '0' && s[at] <= '9')
			at++;
		if (at == 20 || at > 29)
			return false;
	}
	if (!codec_zone(text, at, &offset) || !codec_date_real(year, month, day) || hour > 23 ||
	    minute > 59 || second > 60)
		return false;
	*out_s = codec_days(year, month, day) * 86400 + hour * 3600 + minute * 60 + second - offset;
	return true;
}

bool codec_time(knocker_bytes text, time_unit unit, int64_t *out_s)
{
	bool digits = text.len <= 16 && codec_digits(text, 0, (size_t)text.len, out_s);

	switch (unit) {
	case UNIT_S:
		return digits;
	case UNIT_MS:
		*out_s = digits ? *out_s / 1000 : 0;
		return digits;
	case UNIT_RFC3339:
		return codec_rfc3339(text, out_s);
	case UNIT_RFC3339_OR_S:
		return digits || codec_rfc3339(text, out_s);
	case UNIT_NONE:
		break;
	}
	return true;
}

void codec_time_write(time_unit unit, int64_t now_s, char out[32])
{
	time_t time = (time_t)now_s;
	struct tm parts;

	if (unit == UNIT_RFC3339 || unit == UNIT_RFC3339_OR_S) {
		gmtime_r(&time, &parts);
		strftime(out, 32, "%Y-%m-%dT%H:%M:%SZ", &parts);
		return;
	}
	snprintf(out, 32, "%lld%s", (long long)now_s, unit == UNIT_MS ? "000" : "");
}

/* ==== core/src/scheme_extract.c ==== */

/* Reads the ids of a request and makes its dedupe key. It never refuses: what cannot be read is
 * absent. */
#include <stdlib.h>
#include <string.h>



#define EXTRACT_HASHED "sha256:"
#define EXTRACT_HASHED_LEN 7

knocker_bytes scheme_id_text(knocker_bytes text)
{
	if (!bytes_given(text) || text.len == 0 || text.len > LIMIT_ID || bytes_find(text, '\0') >= 0 ||
	    !bytes_utf8(text))
		return (knocker_bytes){0};
	return text;
}

/* The first source whose text can be an id. */
static knocker_bytes extract_id(scheme_reading *r, scheme_sources sources)
{
	knocker_bytes id = {0};
	size_t i;

	for (i = 0; i < sources.count && !bytes_given(id); i++)
		id = scheme_id_text(scheme_source_read(r, &sources.list[i]).text);
	return id;
}

/* "sha256:" and the hash of the text; nothing of nothing. */
static knocker_bytes extract_hashed(scheme_reading *r, knocker_bytes text)
{
	char *key;

	if (!bytes_given(text) || text.len == 0)
		return (knocker_bytes){0};
	key = arena_get(r->arena, EXTRACT_HASHED_LEN + 65);
	if (!key || !crypto_sha256_hex(text, key + EXTRACT_HASHED_LEN)) {
		r->no_memory = true;
		return (knocker_bytes){0};
	}
	memcpy(key, EXTRACT_HASHED, EXTRACT_HASHED_LEN);
	return bytes_of(key);
}

/* ---- each: for senders whose retries change the bytes ---- */

/* The template's text for one element, or absent when it lacks a member. */
static knocker_bytes extract_element(scheme_reading *r, const scheme_dedupe *d, scan_value element)
{
	scan_value values[SCAN_PATHS_MAX];
	knocker_bytes parts[SCHEME_PARTS_MAX];
	size_t i;

	scan_all(element.raw, d->members, d->member_count, values);
	for (i = 0; i < d->text.count; i++) {
		const scheme_part *part = &d->text.parts[i];

		parts[i] = part->kind == PART_MEMBER ? scan_text(values[part->number], r->arena, LIMIT_ID)
		                                     : part->literal;
		r->no_memory |= parts[i].len < 0;
		if (!bytes_given(parts[i]) || (part->kind == PART_MEMBER && parts[i].len == 0))
			return (knocker_bytes){0};
	}
	return scheme_join(r, parts, d->text.count);
}

static int extract_order(const void *a, const void *b)
{
	const knocker_bytes *first = a, *second = b;
	size_t shorter = (size_t)(first->len < second->len ? first->len : second->len);
	int order = shorter > 0 ? memcmp(first->data, second->data, shorter) : 0;

	return order ? order : first->len < second->len ? -1 : first->len > second->len;
}

/* The hash of the sorted texts of an array's elements. One that lacks a member has no identity, and
 * then the array has none. */
static knocker_bytes extract_each(scheme_reading *r, const scheme_dedupe *d)
{
	scan_value array = scheme_body_values(r)[d->array], element;
	size_t at = 0, count = 0, i = 0;
	knocker_bytes *texts;

	while (scan_each(array, &at, &element))
		count++;
	texts = count ? arena_get(r->arena, 2 * count * sizeof *texts) : NULL;
	r->no_memory |= count > 0 && !texts;
	if (!texts)
		return (knocker_bytes){0};
	for (at = 0; scan_each(array, &at, &element); i++) {
		texts[i] = extract_element(r, d, element);
		if (!bytes_given(texts[i]))
			return (knocker_bytes){0};
	}
	qsort(texts, count, sizeof *texts, extract_order);
	for (i = count; i-- > 0;) {
		texts[2 * i] = texts[i];
		if (i + 1 < count)
			texts[2 * i + 1] = bytes_of("\n");
	}
	return extract_hashed(r, scheme_join(r, texts, 2 * count - 1));
}

/* ---- the key ---- */

static knocker_bytes extract_key(scheme_reading *r, const scheme_dedupe *d)
{
	knocker_bytes key;

	if (d->how == DEDUPE_EACH)
		return extract_each(r, d);
	key = scheme_template_text(r, &d->text);
	if (d->how == DEDUPE_SHA256)
		return extract_hashed(r, key);
	if (!bytes_given(key) || bytes_find(key, '\0') >= 0 || !bytes_utf8(key))
		return (knocker_bytes){0};
	return key.len > LIMIT_DEDUPE_KEY ? extract_hashed(r, key) : key;
}

void scheme_extract(scheme_reading *r, scheme_verdict *out, bool with_dedupe)
{
	const scheme_try *t = r->current;
	knocker_bytes key = {0};
	size_t i;

	r->extracting = r->form_json = true;
	for (i = 0; i < ID_COUNT; i++)
		r->ids[i] = extract_id(r, t->ids[i]);
	out->provider_delivery_id = r->ids[ID_DELIVERY];
	out->provider_event_id = r->ids[ID_EVENT];
	out->event_type = r->ids[ID_TYPE];
	for (i = 0; with_dedupe && i < t->dedupe_count && !bytes_given(key); i++)
		key = extract_key(r, &t->dedupe[i]);
	out->dedupe_key = key;
}

/* ==== core/src/scheme_handshake.c ==== */

/* Answers: a sender's handshake, and what is said to other requests. Knows nothing of signatures.
 */
#include <string.h>



/* ---- answers ---- */

static bool answer_header(buffer *b, knocker_bytes name, knocker_bytes value)
{
	const uint8_t *s = value.data;
	int64_t i;

	for (i = 0; i < value.len; i++)
		if (s[i] < 0x20 || s[i] == 0x7F)
			return false;
	buffer_bytes(b, name);
	buffer_text(b, ": ");
	buffer_bytes(b, value);
	buffer_text(b, "\n");
	return true;
}

/* The template's text for an answer: reflected, so no longer than an id. */
static bool answer_text(scheme_reading *r, const scheme_template *t, knocker_bytes *out)
{
	knocker_bytes parts[SCHEME_PARTS_MAX];
	size_t i;

	if (!scheme_template_fill(r, t, false, NULL, 0, parts))
		return false;
	for (i = 0; i < t->count; i++)
		if (t->parts[i].kind != PART_LITERAL && parts[i].len > LIMIT_ID)
			return false;
	*out = scheme_join(r, parts, t->count);
	return bytes_given(*out);
}

static bool answer_object(scheme_reading *r, const scheme_answer *answer, buffer *b)
{
	knocker_bytes text;
	size_t i;

	buffer_text(b, "{");
	for (i = 0; i < answer->member_count; i++) {
		const scheme_member *member = &answer->members[i];

		if (!answer_text(r, &member->text, &text))
			return false;
		buffer_text(b, i > 0 ? "," : "");
		buffer_json(b, member->name);
		buffer_text(b, ":");
		if (member->is_number)
			buffer_bytes(b, text);
		else
			buffer_json(b, text);
	}
	buffer_text(b, "}");
	return true;
}

static bool answer_headers(scheme_reading *r, const scheme_answer *answer, bool has_body, buffer *b)
{
	knocker_bytes text, type = answer->type;
	size_t i;

	if (has_body && !bytes_given(type))
		type = bytes_of(answer->has_object ? "application/json" : "text/plain");
	if (has_body && (!answer_header(b, bytes_of("Content-Type"), type) ||
	                 !answer_header(b, bytes_of("X-Content-Type-Options"), bytes_of("nosniff"))))
		return false;
	for (i = 0; i < answer->header_count; i++)
		if (!answer_text(r, &answer->headers[i].text, &text) ||
		    !answer_header(b, answer->headers[i].name, text))
			return false;
	return true;
}

static bool answer_keep(scheme_reading *r, buffer *b, knocker_bytes *out)
{
	bool good = !b->failed && arena_copy(r->arena, buffer_view(b), out);

	r->no_memory |= !good;
	buffer_free(b);
	return good;
}

bool scheme_answer_write(scheme_reading *r, const scheme_answer *answer, scheme_verdict *out)
{
	bool has_body = answer->has_text || answer->has_object, good;
	knocker_bytes headers = {0}, body = {0};
	buffer b;

	if (!has_body && answer->header_count == 0) {
		out->status = answer->status;
		return true;
	}
	buffer_init(&b, LIMIT_JSON);
	good = answer_headers(r, answer, has_body, &b);
	good &= answer_keep(r, &b, &headers);
	if (good && answer->has_text)
		good = answer_text(r, &answer->text, &body);
	if (good && answer->has_object) {
		good = answer_object(r, answer, &b);
		good &= answer_keep(r, &b, &body);
	}
	if (!good)
		return false;
	out->status = answer->status;
	out->response_headers = headers;
	out->response_body = body;
	return true;
}

/* ---- handshakes ---- */

static bool when_chars(const scheme_condition *c, knocker_bytes text)
{
	int64_t i;

	for (i = 0; i < text.len; i++)
		if (bytes_find(c->text, ((const char *)text.data)[i]) < 0)
			return false;
	return text.len >= c->min && text.len <= c->max;
}

static bool when_holds(scheme_reading *r, const scheme_condition *c)
{
	knocker_bytes method = r->request->method;
	scheme_text read, other;

	if (c->how == WHEN_METHOD)
		return bytes_equal_nocase(bytes_given(method) && method.len > 0 ? method : bytes_of("POST"),
		                          c->text);
	read = scheme_source_read(r, &c->source);
	if (c->how == WHEN_NULL)
		return read.is_null && !bytes_given(read.text);
	if (!bytes_given(read.text))
		return false;
	switch (c->how) {
	case WHEN_TEXT:
		return bytes_equal(read.text, c->text);
	case WHEN_SAME:
		other = scheme_source_read(r, &c->other);
		return bytes_given(other.text) && crypto_equal(read.text, other.text);
	case WHEN_CHARS:
		return when_chars(c, read.text);
	case WHEN_ANY:
	case WHEN_METHOD:
	case WHEN_NULL:
		break;
	}
	return true;
}

static bool handshake_matches(scheme_reading *r, const scheme_handshake *h, bool is_signed)
{
	size_t i;

	if (h->is_signed != is_signed || (h->stores && r->keys->secret_count > 0))
		return false;
	for (i = 0; i < h->condition_count; i++)
		if (!when_holds(r, &h->conditions[i]))
			return false;
	return true;
}

bool scheme_handshake_answer(scheme_reading *r, bool is_signed, scheme_verdict *out)
{
	const scheme *s = r->scheme;
	bool answered = false;
	size_t i;

	r->extracting = true;
	for (i = 0; i < s->handshake_count && !answered; i++) {
		const scheme_handshake *h = &s->handshakes[i];
		knocker_bytes secret = {0};

		if (!handshake_matches(r, h, is_signed))
			continue;
		if (h->stores) {
			secret = scheme_source_read(r, &h->store).text;
			if (!bytes_given(secret))
				continue;
		}
		answered = scheme_answer_write(r, &h->answer, out);
		if (answered)
			out->store_secret = secret;
	}
	r->extracting = false;
	out->handshake = answered;
	return answered;
}

/* ==== core/src/scheme_header_list.c ==== */

/* The headers that a request lists as signed, by names that it brings itself. Knows nothing of how
 * the list was signed, only that each header in it must be there once. */
#include <string.h>




/* Told before "does not match", which would say nothing of what is missing. */
static bool listed_refuse(scheme_reading *r, const char *says, knocker_bytes name, bool *good)
{
	scheme_refuse(r, REFUSED_MISMATCH, says, scheme_shown(r, name));
	*good = false;
	return false;
}

/* The one value of the header; an empty one is one. */
static bool listed_value(scheme_reading *r, knocker_bytes listed, knocker_bytes *out, bool *good)
{
	knocker_bytes name, value, lower = scheme_lower(r, listed);
	size_t at = 0;
	bool found = false;

	if (r->no_memory)
		return *good = false;
	while (request_header_next(r->request->headers, &at, &name, &value)) {
		if (!request_name_is(name, lower))
			continue;
		if (found && !bytes_equal(value, *out))
			return listed_refuse(r, "different values of header '%s'", listed, good);
		*out = value;
		found = true;
	}
	return found || listed_refuse(r, "header '%s' is missing", listed, good);
}

/* Without the names that must be in it, the list would leave out what makes it safe. */
static bool listed_all(scheme_reading *r, const scheme_header_list *rules, knocker_bytes list,
                       bool *good)
{
	knocker_bytes name;
	size_t i, at;

	for (i = 0; i < rules->require_count; i++) {
		bool found = false;

		for (at = 0; scheme_piece_next(list, rules->items, &at, &name);)
			found |= bytes_equal_nocase(name, rules->require[i]);
		if (!found)
			return listed_refuse(r, "header '%s' is not in the list of signed ones",
			                     rules->require[i], good);
	}
	return true;
}

/* The list as the request has it. */
static bool listed_read(scheme_reading *r, const scheme_header_list *rules, knocker_bytes *out,
                        bool *good)
{
	scheme_text read = scheme_sources_read(r, rules->from);

	*out = read.text;
	if (read.ambiguous)
		scheme_refuse(r, REFUSED_MISMATCH, "different values of %s",
		              scheme_source_says(r, &rules->from.list[0]));
	else if (!bytes_given(read.text))
		scheme_refuse(r, REFUSED_MISMATCH, "%s is missing",
		              scheme_source_says(r, &rules->from.list[0]));
	else
		return true;
	return *good = false;
}

knocker_bytes scheme_header_list_text(scheme_reading *r, bool *good)
{
	const scheme_header_list *rules = &r->current->header_list;
	knocker_bytes parts[4 * SCHEME_LISTED_MAX], list, name;
	size_t at = 0, count = 0;

	if (!listed_read(r, rules, &list, good) || !listed_all(r, rules, list, good))
		return (knocker_bytes){0};
	while (scheme_piece_next(list, rules->items, &at, &name)) {
		if (count + 4 > 4 * SCHEME_LISTED_MAX) {
			listed_refuse(r, "more headers are listed than can be read: '%s'", list, good);
			return (knocker_bytes){0};
		}
		if (count > 0)
			parts[count++] = rules->join;
		if (bytes_given(rules->kv)) {
			parts[count++] = name;
			parts[count++] = rules->kv;
		}
		if (!listed_value(r, name, &parts[count++], good))
			return (knocker_bytes){0};
	}
	return scheme_join(r, parts, count);
}

/* ---- the way back ---- */

/* Whether the signer writes this header itself. */
static bool listed_is_made(scheme_reading *r, knocker_bytes name)
{
	const scheme_try *t = r->current;
	const scheme_source *source = &t->header_list.from.list[0];
	bool made = source->kind == SOURCE_HEADER &&
	            request_name_is(name, scheme_header_name(r, source->name));
	size_t i;

	for (i = 0; i < r->scheme->var_count; i++) {
		source = &t->vars[i].from.list[0];
		made |= source->kind == SOURCE_HEADER &&
		        request_name_is(name, scheme_header_name(r, source->name));
	}
	return made;
}

/* The names that must be listed, else those that the request has. */
static void listed_names(scheme_reading *r, const scheme_header_list *rules, buffer *b)
{
	knocker_bytes name, value;
	size_t i, at = 0;

	for (i = 0; i < rules->require_count; i++) {
		buffer_add(b, rules->items.data, i > 0 ? 1 : 0);
		buffer_bytes(b, rules->require[i]);
	}
	while (rules->require_count == 0 &&
	       request_header_next(r->request->headers, &at, &name, &value)) {
		if (listed_is_made(r, name))
			continue;
		buffer_add(b, rules->items.data, b->len > 0 ? 1 : 0);
		buffer_bytes(b, scheme_lower(r, name));
	}
}

static void listed_line(scheme_reading *r, buffer *b, const scheme_source *source,
                        knocker_bytes value)
{
	if (source->kind != SOURCE_HEADER)
		return;
	buffer_bytes(b, scheme_header_name(r, source->name));
	buffer_text(b, ": ");
	buffer_bytes(b, value);
	buffer_text(b, "\n");
}

/* The request's headers as they will be sent, but for the signature. */
static void listed_headers(scheme_reading *r, knocker_bytes list, buffer *b)
{
	const scheme_try *t = r->current;
	knocker_bytes name, value;
	size_t i, at = 0;

	while (request_header_next(r->request->headers, &at, &name, &value)) {
		if (listed_is_made(r, name))
			continue;
		buffer_bytes(b, name);
		buffer_text(b, ": ");
		buffer_bytes(b, value);
		buffer_text(b, "\n");
	}
	for (i = 0; i < r->scheme->var_count; i++)
		listed_line(r, b, &t->vars[i].from.list[0], r->vars[i]);
	listed_line(r, b, &t->header_list.from.list[0], list);
}

static bool listed_keep(scheme_reading *r, buffer *b, knocker_bytes *out)
{
	bool kept = !b->failed && arena_copy(r->arena, buffer_view(b), out);

	r->no_memory |= !kept;
	buffer_free(b);
	return kept;
}

int32_t scheme_header_list_make(scheme_reading *r, knocker_bytes *list, knocker_error *error)
{
	const scheme_header_list *rules = &r->current->header_list;
	const scheme_source *source = rules->from.list;
	scheme_request *sent = arena_get(r->arena, sizeof *sent);
	knocker_bytes parts[3];
	scheme_text given;
	buffer b;

	*list = (knocker_bytes){0};
	if (rules->from.count == 0 || r->current->sign.count == 0 ||
	    !scheme_template_has(&r->current->sign.list[0], PART_HEADER_LIST))
		return 0;
	if (source->kind != SOURCE_HEADER && source->kind != SOURCE_SIG)
		return fail(error, KNOCKER_INVALID_ARGUMENT,
		            "this scheme cannot sign with headers: its list of headers stands elsewhere");
	given = scheme_source_read(r, source);
	buffer_init(&b, LIMIT_HEADERS);
	if (bytes_given(given.text) && !given.ambiguous)
		buffer_bytes(&b, given.text);
	else
		listed_names(r, rules, &b);
	if (!sent || !listed_keep(r, &b, list))
		return fail_memory(error);
	if (list->len == 0)
		return fail(error, KNOCKER_INVALID_ARGUMENT, "the request to sign lacks headers to list");
	*sent = *r->request;
	listed_headers(r, *list, &b);
	if (!listed_keep(r, &b, &sent->headers))
		return fail_memory(error);
	r->request = sent;
	scheme_headers_read(r);
	if (source->kind == SOURCE_SIG) {
		parts[0] = scheme_name_text(r, source->name);
		parts[1] = r->scheme->signature.kv;
		parts[2] = *list;
		r->items[0] = scheme_join(r, parts, 3);
		r->item_count = 1;
	}
	return 0;
}

/* ==== core/src/scheme_jwt.c ==== */

/* JSON web tokens: whether one is signed by a key of the scheme's, and whether its claims are what
 * the scheme wants. Only what is signed is read. Knows nothing of where a token stood. */
#include <string.h>

/* What the files about public keys and tokens offer to the rest of the signature engine. Nobody
 * else includes this. */
#ifndef KNOCKER_SCHEME_JWT_H
#define KNOCKER_SCHEME_JWT_H



/* As a token names it. */
KNOCKER_PRIVATE const char *scheme_jwt_name(jwt_alg alg);
/* JWT_ALGS: no algorithm that we know is named so. */
KNOCKER_PRIVATE jwt_alg scheme_jwt_find(knocker_bytes name);
#define JWT_BIT(alg) (1u << (alg))
#define JWT_HS (JWT_BIT(JWT_HS256) | JWT_BIT(JWT_HS384) | JWT_BIT(JWT_HS512))
KNOCKER_PRIVATE digest scheme_jwt_digest(jwt_alg alg);

/* scheme_public.c: adds the keys of one secret, a PEM, bare base64 or JWK. A private key is refused
 * unless the keys are to sign; none at all too, without its text. */
KNOCKER_PRIVATE int32_t scheme_public_add(const scheme *s, scheme_keys *keys, size_t secret, size_t group,
                          knocker_bytes text, knocker_error *error);
KNOCKER_PRIVATE bool scheme_public_is_private(knocker_bytes text); /* whether its armour says so */

/* scheme_source.c */
/* `text` is the name's, with its options put in. */
KNOCKER_PRIVATE bool scheme_path_cut(scheme_name name, knocker_bytes text, knocker_bytes *steps, scan_path *out);
KNOCKER_PRIVATE void scheme_token_enter(scheme_reading *r, knocker_bytes claims); /* absent: of no token */

/* scheme_jwt.c */
/* Whether the token is signed under one of the group's keys; then its claims can be read. */
KNOCKER_PRIVATE bool scheme_jwt_signed(scheme_reading *r, size_t group, knocker_bytes token);
/* Whether they are what the scheme wants, at this time. */
KNOCKER_PRIVATE bool scheme_jwt_claims_good(scheme_reading *r, const scheme_jwt *rules);

/* scheme_sign_jwt.c: a token with the claims that the scheme asks for. */
KNOCKER_PRIVATE int32_t scheme_jwt_sign(scheme_reading *r, const scheme_try *t, const scheme_key *key,
                        knocker_bytes *out, knocker_error *error);

/* scheme_sign.c */
KNOCKER_PRIVATE knocker_bytes scheme_made_up(scheme_reading *r); /* an id that the same request has again */
KNOCKER_PRIVATE knocker_bytes scheme_encode(scheme_reading *r, encoding how, knocker_bytes bytes);

#endif


#define JWT_NUMBER_MAX 1000000000000000000LL /* a time beyond it is as good as this one */

const char *scheme_jwt_name(jwt_alg alg)
{
	static const char *const names[JWT_ALGS] = {"HS256", "HS384", "HS512", "RS256", "ES256"};

	return names[alg];
}

jwt_alg scheme_jwt_find(knocker_bytes name)
{
	size_t i = 0;

	while (i < JWT_ALGS && !bytes_is(name, scheme_jwt_name((jwt_alg)i)))
		i++;
	return (jwt_alg)i;
}

digest scheme_jwt_digest(jwt_alg alg)
{
	return alg == JWT_HS384 ? DIGEST_SHA384 : alg == JWT_HS512 ? DIGEST_SHA512 : DIGEST_SHA256;
}

/* ---- the token's three pieces ---- */

typedef struct {
	knocker_bytes body;   /* header.claims, as it is signed */
	knocker_bytes claims; /* still in base64url */
	knocker_bytes signature;
	jwt_alg alg;
	bool has_id;
	knocker_bytes id; /* the header's kid; absent with has_id: one that no key can have */
} jwt_token;

static bool jwt_decode(scheme_reading *r, knocker_bytes text, knocker_bytes *out)
{
	uint8_t *bytes = arena_get(r->arena, (size_t)text.len + 1);
	size_t len = 0;

	r->no_memory |= !bytes;
	if (!bytes || !codec_base64url(text, bytes, &len))
		return false;
	*out = (knocker_bytes){bytes, (int64_t)len};
	return true;
}

static bool jwt_cut(knocker_bytes text, knocker_bytes *header, jwt_token *t)
{
	int64_t first = bytes_find(text, '.'), second;
	knocker_bytes rest;

	if (first < 0)
		return false;
	rest = bytes_part(text, (size_t)first + 1, (size_t)text.len);
	second = bytes_find(rest, '.');
	if (second < 0)
		return false;
	*header = bytes_part(text, 0, (size_t)first);
	t->claims = bytes_part(rest, 0, (size_t)second);
	t->body = bytes_part(text, 0, (size_t)(first + 1 + second));
	t->signature = bytes_part(rest, (size_t)second + 1, (size_t)rest.len);
	return true;
}

static bool jwt_malformed(scheme_reading *r, const char *why)
{
	scheme_refuse(r, REFUSED_MALFORMED, "the token %s", why);
	return false;
}

/* Its algorithm must be one of the scheme's: what the token says decides nothing else. */
static bool jwt_header_read(scheme_reading *r, knocker_bytes header, jwt_token *t)
{
	static const knocker_bytes steps[3] = {{"alg", 3}, {"crit", 4}, {"kid", 3}};
	static const scan_path paths[4] = {{1, &steps[0]}, {1, &steps[1]}, {1, &steps[2]}, {0, NULL}};
	uint32_t algs = r->current->jwt.algs;
	scan_value v[4];
	knocker_bytes name;

	if (!scan_all(header, paths, 4, v) || v[3].type != SCAN_OBJECT)
		return jwt_malformed(r, "has no header that is a JSON object");
	if (v[1].type != SCAN_ABSENT)
		return jwt_malformed(r, "has a header 'crit', whose demands nobody here knows");
	name = v[0].type == SCAN_TEXT ? scan_text(v[0], r->arena, LIMIT_ID) : (knocker_bytes){0};
	t->alg = scheme_jwt_find(name);
	if (t->alg == JWT_ALGS || !(algs & JWT_BIT(t->alg))) {
		scheme_refuse(r, REFUSED_MALFORMED, "the token's algorithm '%s' is not one of the scheme's",
		              bytes_given(name) ? scheme_shown(r, name) : "");
		return false;
	}
	t->has_id = v[2].type != SCAN_ABSENT && v[2].type != SCAN_NULL;
	t->id = scan_text(v[2], r->arena, LIMIT_ID);
	r->no_memory |= name.len < 0 || t->id.len < 0;
	return true;
}

/* ---- its signature ---- */

static bool jwt_key_fits(const scheme_key *key, const jwt_token *t)
{
	knocker_bytes id = {key->id, (int64_t)key->id_len};

	if ((JWT_BIT(t->alg) & JWT_HS) != 0)
		return key->hmac[scheme_jwt_digest(t->alg)] != NULL;
	if (!key->pair ||
	    crypto_public_kind_of(key->pair) != (t->alg == JWT_RS256 ? PUBLIC_RSA : PUBLIC_P256))
		return false;
	if (key->alg != JWT_ALGS && key->alg != t->alg)
		return false;
	return !bytes_given(id) || !t->has_id || bytes_equal(id, t->id);
}

static bool jwt_hmac_right(scheme_reading *r, const scheme_key *key, const jwt_token *t,
                           knocker_bytes signature)
{
	uint8_t mac[DIGEST_MAX];
	size_t len = crypto_key_hmac(key->hmac[scheme_jwt_digest(t->alg)], &t->body, 1, mac);

	r->no_memory |= len == 0;
	return len > 0 && crypto_equal((knocker_bytes){mac, (int64_t)len}, signature);
}

static bool jwt_pair_right(scheme_reading *r, const scheme_key *key, const jwt_token *t,
                           knocker_bytes signature)
{
	uint8_t hash[DIGEST_MAX], der[72];
	int32_t right;

	if (t->alg == JWT_ES256) {
		if (signature.len != 64)
			return false;
		signature = (knocker_bytes){der, (int64_t)crypto_ecdsa_der(signature.data, der)};
		r->no_memory |= signature.len == 0;
	}
	if (crypto_hash(DIGEST_SHA256, &t->body, 1, hash) != 32) {
		r->no_memory = true;
		return false;
	}
	right = crypto_public_verify(key->pair, DIGEST_SHA256, (knocker_bytes){hash, 32}, signature);
	r->no_memory |= right < 0;
	return right == 1;
}

static bool jwt_key_right(scheme_reading *r, size_t group, const jwt_token *t,
                          knocker_bytes signature)
{
	bool fits = false, matched = false;
	size_t k;

	for (k = 0; k < r->keys->key_count; k++) {
		const scheme_key *key = &r->keys->keys[k];

		if (key->group != group || !jwt_key_fits(key, t))
			continue;
		fits = true;
		if (!(key->pair ? jwt_pair_right(r, key, t, signature)
		                : jwt_hmac_right(r, key, t, signature)))
			continue;
		if (!r->matched)
			r->matched = key;
		matched = true;
	}
	if (!fits)
		scheme_refuse(r, REFUSED_MISMATCH, "no key is of the token's sort and name");
	else if (!matched)
		scheme_refuse(r, REFUSED_MISMATCH, "signature does not match");
	return matched;
}

bool scheme_jwt_signed(scheme_reading *r, size_t group, knocker_bytes token)
{
	knocker_bytes header, signature, claims;
	jwt_token t = {0};

	scheme_token_enter(r, (knocker_bytes){0});
	if (!jwt_cut(token, &header, &t))
		return jwt_malformed(r, "is not three texts between dots");
	if (!jwt_decode(r, header, &header) || !jwt_decode(r, t.signature, &signature))
		return jwt_malformed(r, "is not in base64url");
	if (!jwt_header_read(r, header, &t) || !jwt_key_right(r, group, &t, signature))
		return false;
	if (!jwt_decode(r, t.claims, &claims))
		return jwt_malformed(r, "is not in base64url");
	if (scan_find(claims, bytes_of("")).type != SCAN_OBJECT) {
		scheme_refuse(r, REFUSED_CLAIM, "the token's claims are no JSON object");
		return false;
	}
	scheme_token_enter(r, claims);
	return true;
}

/* ---- its claims ---- */

/* How many of the number's digits stand before the point, once its exponent is done. */
static int64_t jwt_point(knocker_bytes text)
{
	const char *s = text.data;
	int64_t i = 0, point = 0, exponent = 0;
	bool minus;

	for (; i < text.len && s[i] != '.' && s[i] != 'e' && s[i] != 'E'; i++)
		point += s[i] != '-';
	while (i < text.len && s[i] != 'e' && s[i] != 'E')
		i++;
	minus = i + 1 < text.len && s[i + 1] == '-';
	for (; i < text.len; i++)
		if (s[i] >= '0' && s[i] <= '9' && exponent < JWT_NUMBER_MAX / 100)
			exponent = exponent * 10 + (s[i] - '0');
	return minus ? point - exponent : point + exponent;
}

/* A JSON number, floored; what is over JWT_NUMBER_MAX is that. */
static int64_t jwt_floor(knocker_bytes text)
{
	const char *s = text.data;
	int64_t point = jwt_point(text), seen = 0, whole = 0, i;
	bool minus = s[0] == '-', part = false;

	for (i = 0; i < text.len && s[i] != 'e' && s[i] != 'E'; i++) {
		if (s[i] < '0' || s[i] > '9')
			continue;
		if (seen++ >= point)
			part |= s[i] != '0';
		else if (whole < JWT_NUMBER_MAX)
			whole = whole * 10 + (s[i] - '0');
	}
	for (; seen < point && whole > 0 && whole < JWT_NUMBER_MAX; seen++)
		whole *= 10;
	whole = whole < JWT_NUMBER_MAX ? whole : JWT_NUMBER_MAX;
	return minus ? -whole - (part ? 1 : 0) : whole;
}

static bool jwt_claim_refuse(scheme_reading *r, size_t slot, const char *why)
{
	scheme_refuse(r, REFUSED_CLAIM, "claim '%s' %s", scheme_shown(r, r->scheme->claims[slot].text),
	              why);
	return false;
}

static bool jwt_time_read(scheme_reading *r, size_t slot, bool *given, int64_t *time_s)
{
	scan_value v = r->claims[slot];

	*given = v.type != SCAN_ABSENT;
	if (v.type != SCAN_ABSENT && v.type != SCAN_NUMBER)
		return jwt_claim_refuse(r, slot, "is not a number of seconds");
	*time_s = *given ? jwt_floor(v.raw) : 0;
	return true;
}

static bool jwt_times_good(scheme_reading *r, const scheme_jwt *rules)
{
	int64_t exp, nbf, leeway_s = rules->leeway_s;
	bool has_exp, has_nbf;

	if (!jwt_time_read(r, rules->exp, &has_exp, &exp) ||
	    !jwt_time_read(r, rules->nbf, &has_nbf, &nbf))
		return false;
	if (has_exp && r->now_s >= exp + leeway_s)
		scheme_refuse(r, REFUSED_STALE, "the token expired %lld s ago",
		              (long long)(r->now_s - exp));
	else if (has_nbf && nbf > r->now_s + leeway_s)
		scheme_refuse(r, REFUSED_STALE, "the token is not valid for another %lld s",
		              (long long)(nbf - r->now_s));
	else
		return true;
	return false;
}

/* What the claim must be, for each of its templates. Of a hash absent texts are empty, as in what
 * is signed: the hash of an empty body is known, too. */
static bool jwt_wanted(scheme_reading *r, const scheme_claim *claim, size_t n, knocker_bytes *out)
{
	const scheme_template *t = &claim->texts.list[n];
	knocker_bytes parts[SCHEME_PARTS_MAX];
	uint8_t hash[DIGEST_MAX];
	char *hex;

	if (!scheme_template_fill(r, t, claim->is_hash, NULL, 0, parts))
		return false;
	if (!claim->is_hash) {
		*out = scheme_join(r, parts, t->count);
		return bytes_given(*out);
	}
	hex = arena_get(r->arena, 65);
	if (!hex || crypto_hash(DIGEST_SHA256, parts, t->count, hash) != 32) {
		r->no_memory = true;
		return false;
	}
	*out = (knocker_bytes){hex, (int64_t)codec_hex_write((knocker_bytes){hash, 32}, hex)};
	return true;
}

static bool jwt_value_is(scheme_reading *r, const scheme_claim *claim, scan_value v,
                         knocker_bytes wanted)
{
	knocker_bytes text = scan_text(v, r->arena, (size_t)v.raw.len);

	r->no_memory |= text.len < 0;
	return claim->is_hash ? bytes_given(text) && bytes_equal_nocase(text, wanted)
	                      : bytes_equal(text, wanted);
}

static bool jwt_claim_good(scheme_reading *r, const scheme_claim *claim)
{
	scan_value v = r->claims[claim->slot], element;
	knocker_bytes wanted;
	bool good = false;
	size_t i, at;

	if (claim->if_body && r->request->body.len <= 0 &&
	    (v.type == SCAN_ABSENT || v.type == SCAN_NULL))
		return true;
	if (v.type == SCAN_ABSENT)
		return jwt_claim_refuse(r, claim->slot, "is missing");
	for (i = 0; i < claim->texts.count; i++) {
		if (!jwt_wanted(r, claim, i, &wanted))
			continue;
		good |= jwt_value_is(r, claim, v, wanted);
		for (at = 0; v.type == SCAN_ARRAY && scan_each(v, &at, &element);)
			good |= jwt_value_is(r, claim, element, wanted);
	}
	return good || jwt_claim_refuse(r, claim->slot, "is not what it must be");
}

bool scheme_jwt_claims_good(scheme_reading *r, const scheme_jwt *rules)
{
	size_t i;

	for (i = 0; i < rules->require_count; i++) {
		scan_value v = r->claims[rules->require[i]];

		if (v.type == SCAN_ABSENT || v.type == SCAN_NULL)
			return jwt_claim_refuse(r, rules->require[i], "is missing");
	}
	for (i = 0; i < rules->claim_count; i++)
		if (!jwt_claim_good(r, &rules->claims[i]))
			return false;
	return jwt_times_good(r, rules);
}

/* ==== core/src/scheme_keys.c ==== */

/* Turns a registration's secrets and options into keys and values, and refuses what is none.
 * Secrets stay in memory that is wiped when freed; no message holds one. */
#include <string.h>




/* ---- options ---- */

knocker_bytes scheme_option_text(const scheme *s, const scheme_keys *keys, size_t option)
{
	const scheme_option *declared = &s->options[option];
	const scheme_option_value *value;

	if (!keys)
		return declared->has_default && !declared->is_int ? declared->text : (knocker_bytes){0};
	value = &keys->options[option];
	return value->text.bytes ? (knocker_bytes){value->text.bytes, (int64_t)value->text.len}
	                         : (knocker_bytes){0};
}

static int32_t keys_copy(knocker_bytes from, scheme_secret *to, knocker_error *error)
{
	to->bytes = memory_get((size_t)from.len);
	if (!to->bytes)
		return fail_memory(error);
	to->len = (size_t)from.len;
	memcpy(to->bytes, from.data, to->len);
	return 0;
}

static void keys_wipe(uint8_t *bytes, size_t len)
{
	crypto_cleanse(bytes, len);
	memory_free(bytes);
}

static int32_t keys_option_set(scheme_option_value *value, const scheme_option *option,
                               knocker_bytes text, int64_t number, knocker_error *error)
{
	buffer digits;
	int32_t rc;

	value->given = true;
	value->number = number;
	if (!option->is_int)
		return keys_copy(text, &value->text, error);
	buffer_init(&digits, 32);
	buffer_int(&digits, number);
	rc = digits.failed ? fail_memory(error) : keys_copy(buffer_view(&digits), &value->text, error);
	buffer_free(&digits);
	return rc;
}

static bool keys_text_plain(knocker_bytes text)
{
	int64_t i;

	for (i = 0; i < text.len; i++) {
		uint8_t c = ((const uint8_t *)text.data)[i];

		if (c < 0x20 || c == 0x7F)
			return false;
	}
	return text.len > 0;
}

static int32_t keys_option_read(const scheme *s, scheme_keys *keys, const json *given,
                                knocker_error *error)
{
	ptrdiff_t at = scheme_option_find(s, json_name(given));
	const scheme_option *option;
	int64_t number = 0;

	if (at < 0)
		return fail(error, KNOCKER_INVALID_ARGUMENT, "no option is named '%.*s'",
		            QUOTED(json_name(given)));
	option = &s->options[at];
	if (option->is_int && !json_int(given, &number))
		return fail(error, KNOCKER_INVALID_ARGUMENT, "option '%.*s' is not a whole number",
		            QUOTED(option->name));
	if (option->is_int && at == s->option_tolerance && number < 0)
		return fail(error, KNOCKER_INVALID_ARGUMENT,
		            "option 'tolerance_s' is %lld and must be 0 or more", (long long)number);
	if (!option->is_int && json_kind(given) != JSON_TEXT)
		return fail(error, KNOCKER_INVALID_ARGUMENT, "option '%.*s' is not a text",
		            QUOTED(option->name));
	if (!option->is_int && !keys_text_plain(json_text(given)))
		return fail(error, KNOCKER_INVALID_ARGUMENT,
		            "option '%.*s' is empty or holds a control character", QUOTED(option->name));
	return keys_option_set(&keys->options[at], option, json_text(given), number, error);
}

/* An option that is a header's name must be one. */
static int32_t keys_headers_check(const scheme *s, const scheme_keys *keys, knocker_error *error)
{
	size_t i, k;

	for (i = 0; i < s->option_count; i++) {
		knocker_bytes value = scheme_option_text(s, keys, i);
		bool names = false;

		for (k = 0; k < s->header_count; k++)
			names |= s->headers[k].has_option &&
			         memmem(s->headers[k].text.data, (size_t)s->headers[k].text.len,
			                s->options[i].name.data, (size_t)s->options[i].name.len);
		if (names && bytes_given(value) && !request_name_valid(value))
			return fail(error, KNOCKER_INVALID_ARGUMENT,
			            "option '%.*s' is not a header's name: '%.*s'", QUOTED(s->options[i].name),
			            QUOTED(value));
	}
	return 0;
}

static int32_t keys_options_copy(scheme_keys *keys, const scheme_keys *base, knocker_error *error)
{
	int32_t rc = 0;
	size_t i;

	for (i = 0; rc == 0 && i < SCHEME_OPTIONS_MAX; i++) {
		const scheme_option_value *from = &base->options[i];

		keys->options[i].given = from->given;
		keys->options[i].number = from->number;
		if (from->text.bytes)
			rc = keys_copy((knocker_bytes){from->text.bytes, (int64_t)from->text.len},
			               &keys->options[i].text, error);
	}
	return rc;
}

static int32_t keys_options_read(const scheme *s, scheme_keys *keys, knocker_bytes options_json,
                                 knocker_error *error)
{
	const json *given;
	json *tree = NULL;
	int32_t rc = 0;
	size_t i;

	if (bytes_given(options_json))
		rc = json_parse("options_json", options_json, &tree, error);
	if (rc == 0 && tree && json_kind(tree) != JSON_OBJECT)
		rc = fail(error, KNOCKER_INVALID_ARGUMENT, "options_json is not a JSON object");
	for (given = json_first(tree); rc == 0 && given; given = json_next(given))
		rc = keys_option_read(s, keys, given, error);
	for (i = 0; rc == 0 && i < s->option_count; i++) {
		const scheme_option *option = &s->options[i];

		if (keys->options[i].given)
			continue;
		if (option->has_default)
			rc = keys_option_set(&keys->options[i], option, option->text, option->number, error);
		else if (option->required)
			rc = fail(error, KNOCKER_INVALID_ARGUMENT, "option '%.*s' is missing",
			          QUOTED(option->name));
	}
	json_cleanse_free(tree);
	return rc < 0 ? rc : keys_headers_check(s, keys, error);
}

/* ---- secrets ---- */

static const scheme_group *keys_group(const scheme *s, size_t group)
{
	return &s->tries[0].groups[group];
}

/* A secret that begins with the prefix of an `alt` belongs to that only. */
static size_t keys_group_of(const scheme *s, knocker_bytes secret)
{
	size_t i;

	for (i = 1; i < s->group_count; i++) {
		knocker_bytes strip = keys_group(s, i)->key.strip;

		if (strip.len > 0 && secret.len >= strip.len &&
		    memcmp(secret.data, strip.data, (size_t)strip.len) == 0)
			return i;
	}
	return 0;
}

/* Whether signatures under a key of this group may use the digest. */
static bool keys_digest_used(const scheme *s, const scheme_group *group, digest d)
{
	uint32_t algs = s->tries[0].jwt.algs & JWT_HS;
	size_t i;

	if (group->kind->id == KIND_HMAC)
		return group->alg.how != ALG_FIXED || group->alg.fixed == d;
	for (i = 0; group->kind->id == KIND_JWT && i < JWT_ALGS; i++)
		if (algs >> i & 1 && scheme_jwt_digest((jwt_alg)i) == d)
			return true;
	return false;
}

static bool keys_hmac_prepare(const scheme *s, const scheme_group *group, scheme_key *key)
{
	knocker_bytes bytes = {key->bytes, (int64_t)key->len};
	size_t i;

	for (i = 0; i < DIGEST_KINDS; i++) {
		if (!keys_digest_used(s, group, (digest)i))
			continue;
		key->hmac[i] = crypto_key_new((digest)i, bytes);
		if (!key->hmac[i])
			return false;
	}
	return true;
}

/* Takes over `bytes`. */
static int32_t keys_add(const scheme *s, scheme_keys *keys, size_t secret, size_t group,
                        uint8_t *bytes, size_t len, knocker_error *error)
{
	const scheme_group *rules = keys_group(s, group);
	scheme_key *key = &keys->keys[keys->key_count];
	knocker_bytes whole = {bytes, (int64_t)len};
	uint8_t hash[DIGEST_MAX];

	if (keys->key_count == SCHEME_KEYS_MAX) {
		keys_wipe(bytes, len);
		return fail(error, KNOCKER_INVALID_ARGUMENT, "more than %d keys", SCHEME_KEYS_MAX);
	}
	keys->key_count++;
	*key = (scheme_key){.group = group, .secret = secret, .bytes = bytes, .len = len};
	if (rules->key.derive_sha1) {
		if (crypto_hash(DIGEST_SHA1, &whole, 1, hash) != 20)
			return fail(error, KNOCKER_STORAGE, "libcrypto cannot make SHA-1 digests");
		crypto_cleanse(bytes, len);
		memcpy(bytes, hash, 20);
		key->len = 20;
		whole.len = 20;
	}
	if (rules->kind->id == KIND_TOKEN || rules->kind->id == KIND_BASIC) {
		if (crypto_hash(DIGEST_SHA256, &whole, 1, hash) != 32)
			return fail_memory(error);
		memcpy(key->hash, hash, sizeof key->hash);
	}
	crypto_cleanse(hash, sizeof hash);
	return keys_hmac_prepare(s, rules, key) ? 0 : fail_memory(error);
}

/* Decodes one secret as `how` says. 0 with `*len` 0: it is no such key. */
static int32_t keys_decode(key_decoding how, knocker_bytes secret, uint8_t **bytes, size_t *len,
                           knocker_error *error)
{
	bool good = true;

	*bytes = memory_get((size_t)secret.len + 20); /* a derived key's 20 bytes fit too */
	*len = 0;
	if (!*bytes)
		return fail_memory(error);
	if (how == DECODE_HEX) {
		good = codec_hex(secret, *bytes, len);
	} else if (how == DECODE_UTF8) {
		memcpy(*bytes, secret.data, (size_t)secret.len);
		*len = (size_t)secret.len;
	} else {
		good = codec_base64_lenient(secret, *bytes, len);
	}
	if (!good)
		*len = 0;
	return 0;
}

static int32_t keys_try(const scheme *s, scheme_keys *keys, size_t secret, size_t group,
                        key_decoding how, knocker_bytes text, bool *made, knocker_error *error)
{
	uint8_t *bytes;
	size_t len;
	int32_t rc = keys_decode(how, text, &bytes, &len, error);

	if (rc < 0)
		return rc;
	if (len == 0 || (keys_group(s, group)->kind->id == KIND_ED25519 && len != 32)) {
		keys_wipe(bytes, (size_t)text.len);
		return 0;
	}
	*made = true;
	return keys_add(s, keys, secret, group, bytes, len, error);
}

/* The group of a pair's private key, which only signs: the first whose kind has pairs. */
static size_t keys_group_of_pair(const scheme *s, size_t otherwise)
{
	size_t i;

	for (i = 0; i < s->group_count; i++)
		if (keys_group(s, i)->kind->id == KIND_ED25519)
			return i;
	return otherwise;
}

static int32_t keys_secret_add(const scheme *s, scheme_keys *keys, size_t number,
                               knocker_bytes secret, knocker_error *error)
{
	static const char *const names[] = {"text", "hexadecimal", "base64", "base64", "", ""};
	size_t group = keys_group_of(s, secret);
	scheme_key_rule rule = keys_group(s, group)->key;
	knocker_bytes bare = secret;
	bool made = false, stripped = rule.strip.len > 0 && secret.len >= rule.strip.len &&
	                              memcmp(secret.data, rule.strip.data, (size_t)rule.strip.len) == 0;
	int32_t rc;

	if (keys->to_sign && rule.decode < DECODE_PEM && scheme_public_is_private(secret)) {
		group = keys_group_of_pair(s, group);
		if (keys_group(s, group)->kind->id == KIND_ED25519)
			return scheme_public_add(s, keys, number, group, secret, error);
	}
	if (stripped)
		bare = bytes_part(secret, (size_t)rule.strip.len, (size_t)secret.len);
	if (rule.decode >= DECODE_PEM)
		return scheme_public_add(s, keys, number, group, bare, error);
	rc = keys_try(s, keys, number, group, rule.decode, bare, &made, error);
	if (rc == 0 && rule.decode == DECODE_BASE64_OR_RAW && !stripped)
		rc = keys_try(s, keys, number, group, DECODE_UTF8, bare, &made, error);
	if (rc < 0 || made)
		return rc;
	return fail(error, KNOCKER_INVALID_ARGUMENT, "secret %zu is not a key of this scheme: %s%s",
	            number + 1, keys_group(s, group)->kind->id == KIND_ED25519 ? "32 bytes in " : "",
	            names[rule.decode]);
}

static int32_t keys_secret_take(const scheme *s, scheme_keys *keys, knocker_bytes text,
                                knocker_error *error)
{
	size_t number = keys->secret_count;
	int32_t rc;

	if (number == LIMIT_SECRETS)
		return fail(error, KNOCKER_INVALID_ARGUMENT, "more than %d secrets", LIMIT_SECRETS);
	if (!bytes_given(text))
		return fail(error, KNOCKER_INVALID_ARGUMENT, "secret %zu is not a text", number + 1);
	if (text.len == 0)
		return fail(error, KNOCKER_INVALID_ARGUMENT, "secret %zu is empty", number + 1);
	rc = keys_copy(text, &keys->secrets[number], error);
	if (rc < 0)
		return rc;
	keys->secret_count++;
	return keys_secret_add(s, keys, number, text, error);
}

static int32_t keys_secrets_read(const scheme *s, scheme_keys *keys, const scheme_keys *base,
                                 const json *list, knocker_error *error)
{
	const json *given;
	int32_t rc = 0;
	size_t i;

	if (list && json_kind(list) != JSON_ARRAY)
		return fail(error, KNOCKER_INVALID_ARGUMENT, "secrets_json is not a JSON array of texts");
	for (given = json_first(list); rc == 0 && given; given = json_next(given))
		rc = keys_secret_take(s, keys, json_text(given), error);
	for (i = 0; rc == 0 && !list && base && i < base->secret_count; i++)
		rc = keys_secret_take(s, keys,
		                      (knocker_bytes){base->secrets[i].bytes,
		                                      (int64_t)base->secrets[i].len},
		                      error);
	if (rc == 0 && keys->secret_count == 0 && !s->stores_secret)
		rc = fail(error, KNOCKER_INVALID_ARGUMENT,
		          "a secret is missing: this scheme cannot verify without one");
	return rc;
}

static int32_t keys_make(const scheme *s, const scheme_keys *base, bool to_sign,
                         knocker_bytes secrets_json, knocker_bytes options_json, scheme_keys **out,
                         knocker_error *error)
{
	scheme_keys *keys = memory_get(sizeof *keys);
	json *secrets = NULL;
	int32_t rc;

	*out = NULL;
	if (!keys)
		return fail_memory(error);
	memset(keys, 0, sizeof *keys);
	keys->to_sign = to_sign;
	if (base && !bytes_given(options_json))
		rc = keys_options_copy(keys, base, error);
	else
		rc = keys_options_read(s, keys, options_json, error);
	if (rc == 0 && bytes_given(secrets_json))
		rc = json_parse("secrets_json", secrets_json, &secrets, error);
	if (rc == 0)
		rc = keys_secrets_read(s, keys, base, secrets, error);
	json_cleanse_free(secrets);
	if (rc == 0)
		*out = keys;
	else
		scheme_keys_free(keys);
	return rc;
}

int32_t scheme_keys_over(const scheme *s, const scheme_keys *base, knocker_bytes secrets_json,
                         knocker_bytes options_json, scheme_keys **out, knocker_error *error)
{
	return keys_make(s, base, false, secrets_json, options_json, out, error);
}

int32_t scheme_keys_new(const scheme *s, knocker_bytes secrets_json, knocker_bytes options_json,
                        scheme_keys **out, knocker_error *error)
{
	return keys_make(s, NULL, false, secrets_json, options_json, out, error);
}

int32_t scheme_keys_to_sign(const scheme *s, knocker_bytes secrets_json, knocker_bytes options_json,
                            scheme_keys **out, knocker_error *error)
{
	return keys_make(s, NULL, true, secrets_json, options_json, out, error);
}

void scheme_keys_free(scheme_keys *keys)
{
	size_t i, k;

	if (!keys)
		return;
	for (i = 0; i < keys->key_count; i++) {
		for (k = 0; k < DIGEST_KINDS; k++)
			crypto_key_free(keys->keys[i].hmac[k]);
		crypto_public_free(keys->keys[i].pair);
		memory_free(keys->keys[i].id);
		keys_wipe(keys->keys[i].bytes, keys->keys[i].len);
		crypto_cleanse(&keys->keys[i], sizeof keys->keys[i]);
	}
	for (i = 0; i < keys->secret_count; i++)
		keys_wipe(keys->secrets[i].bytes, keys->secrets[i].len);
	for (i = 0; i < SCHEME_OPTIONS_MAX; i++)
		keys_wipe(keys->options[i].text.bytes, keys->options[i].text.len);
	memory_free(keys);
}

bool scheme_keys_have_secret(const scheme_keys *keys)
{
	return keys && keys->secret_count > 0;
}

/* ==== core/src/scheme_parse.c ==== */

/* Compiles a scheme's members. A word that it does not know, a value of the wrong type or a kind
 * that this version cannot run is an error that names it: nothing of a scheme is ever passed over.
 */
#include <string.h>




/* ---- helpers of all parse files ---- */

void *scheme_room(scheme_parser *p, size_t count, size_t size)
{
	void *room = arena_get(&p->scheme->memory, (count ? count : 1) * size);

	if (!room)
		fail_memory(p->error);
	return room;
}

int32_t scheme_copy(scheme_parser *p, knocker_bytes text, knocker_bytes *out)
{
	return arena_copy(&p->scheme->memory, text, out) ? 0 : fail_memory(p->error);
}

int32_t scheme_parse_known(scheme_parser *p, const json *object, const char *what,
                           const char *const *names)
{
	const json *member;
	size_t i;

	if (!object)
		return fail(p->error, KNOCKER_INVALID_ARGUMENT, "scheme: '%s' is missing", what);
	if (json_kind(object) != JSON_OBJECT)
		return fail(p->error, KNOCKER_INVALID_ARGUMENT, "scheme: '%s' is not an object", what);
	for (member = json_first(object); member; member = json_next(member)) {
		for (i = 0; names[i] && !bytes_is(json_name(member), names[i]);)
			i++;
		if (!names[i])
			return fail(p->error, KNOCKER_INVALID_ARGUMENT,
			            "scheme: '%s' has an unknown member '%.*s'", what,
			            QUOTED(json_name(member)));
	}
	return 0;
}

int32_t scheme_parse_text(scheme_parser *p, const json *object, const char *what, const char *name,
                          bool required, knocker_bytes *out)
{
	const json *value = json_member(object, name);

	*out = (knocker_bytes){0};
	if (!value && !required)
		return 0;
	if (!value)
		return fail(p->error, KNOCKER_INVALID_ARGUMENT, "scheme: '%s.%s' is missing", what, name);
	if (json_kind(value) != JSON_TEXT || json_text(value).len == 0)
		return fail(p->error, KNOCKER_INVALID_ARGUMENT,
		            "scheme: '%s.%s' is not a text that says something", what, name);
	return scheme_copy(p, json_text(value), out);
}

int32_t scheme_parse_bool(scheme_parser *p, const json *object, const char *what, const char *name,
                          bool *out)
{
	const json *value = json_member(object, name);

	*out = json_true(value);
	if (value && json_kind(value) != JSON_BOOL)
		return fail(p->error, KNOCKER_INVALID_ARGUMENT, "scheme: '%s.%s' is not true or false",
		            what, name);
	return 0;
}

int32_t scheme_parse_int(scheme_parser *p, const json *object, const char *what, const char *name,
                         int64_t most, int64_t *out)
{
	const json *value = json_member(object, name);

	if (!value)
		return 0;
	if (!json_int(value, out) || *out < 0 || *out > most)
		return fail(p->error, KNOCKER_INVALID_ARGUMENT,
		            "scheme: '%s.%s' is not a whole number from 0 to %lld", what, name,
		            (long long)most);
	return 0;
}

int32_t scheme_parse_list(scheme_parser *p, const json *value, const char *what, size_t *count)
{
	*count = json_count(value);
	if (!value)
		return fail(p->error, KNOCKER_INVALID_ARGUMENT, "scheme: '%s' is missing", what);
	if (json_kind(value) != JSON_ARRAY)
		return fail(p->error, KNOCKER_INVALID_ARGUMENT, "scheme: '%s' is not a list", what);
	return 0;
}

ptrdiff_t scheme_option_find(const scheme *s, knocker_bytes name)
{
	size_t i;

	for (i = 0; i < s->option_count; i++)
		if (bytes_equal(s->options[i].name, name))
			return (ptrdiff_t)i;
	return -1;
}

/* The scheme's own member, else that of the scheme it extends. */
const json *scheme_parse_top(const scheme_parser *p, const char *name)
{
	const json *found = NULL;
	size_t i;

	for (i = 0; i < p->layer_count && !found; i++)
		found = json_member(p->layers[i], name);
	return found;
}

/* One of `words`, as its number. */
int32_t scheme_parse_word(scheme_parser *p, const char *what, knocker_bytes text,
                          const char *const *words, size_t *out)
{
	for (*out = 0; words[*out]; (*out)++)
		if (bytes_is(text, words[*out]))
			return 0;
	return fail(p->error, KNOCKER_INVALID_ARGUMENT, "scheme: '%s' is the unknown word '%.*s'", what,
	            QUOTED(text));
}

/* ---- options ---- */

static int32_t parse_option(scheme_parser *p, const json *value, scheme_option *out)
{
	static const char *const known[] = {"type", "default", "required", NULL};
	static const char *const types[] = {"string", "int", NULL};
	const json *fallback = json_member(value, "default");
	knocker_bytes type;
	size_t word = 0;
	int32_t rc = scheme_parse_known(p, value, "options", known);

	if (rc == 0)
		rc = scheme_parse_text(p, value, "options", "type", true, &type);
	if (rc == 0)
		rc = scheme_parse_word(p, "options.type", type, types, &word);
	if (rc == 0)
		rc = scheme_parse_bool(p, value, "options", "required", &out->required);
	if (rc == 0)
		rc = scheme_copy(p, json_name(value), &out->name);
	out->is_int = word == 1;
	out->has_default = fallback != NULL;
	if (rc < 0 || !fallback)
		return rc;
	if (out->is_int ? !json_int(fallback, &out->number) : json_kind(fallback) != JSON_TEXT)
		return fail(p->error, KNOCKER_INVALID_ARGUMENT,
		            "scheme: the default of option '%.*s' is no %s", QUOTED(out->name),
		            types[word]);
	return out->is_int ? 0 : scheme_copy(p, json_text(fallback), &out->text);
}

/* The options as knocker_providers shows them. */
static int32_t parse_options_show(scheme_parser *p)
{
	scheme *s = p->scheme;
	buffer b;
	size_t i;
	int32_t rc;

	buffer_init(&b, LIMIT_JSON);
	for (i = 0; i < s->option_count; i++) {
		const scheme_option *option = &s->options[i];

		buffer_text(&b, i > 0 ? "," : "");
		buffer_json(&b, option->name);
		buffer_text(&b, option->is_int ? ":{\"type\":\"int\"" : ":{\"type\":\"string\"");
		buffer_text(&b, option->has_default ? ",\"default\":" : "");
		if (option->has_default && option->is_int)
			buffer_int(&b, option->number);
		else if (option->has_default)
			buffer_json(&b, option->text);
		buffer_text(&b, option->required ? ",\"required\":true}" : "}");
	}
	if (b.failed) {
		rc = fail_memory(p->error);
	} else {
		knocker_bytes parts = buffer_view(&b);
		char *text = scheme_room(p, (size_t)parts.len + 3, 1);

		rc = text ? 0 : KNOCKER_STORAGE;
		if (text) {
			text[0] = '{';
			memcpy(text + 1, parts.data, (size_t)parts.len);
			text[parts.len + 1] = '}';
			s->options_json = (knocker_bytes){text, parts.len + 2};
		}
	}
	buffer_free(&b);
	return rc;
}

int32_t scheme_parse_options(scheme_parser *p)
{
	const json *options = scheme_parse_top(p, "options"), *value;
	scheme *s = p->scheme;
	int32_t rc = 0;

	if (options && json_kind(options) != JSON_OBJECT)
		return fail(p->error, KNOCKER_INVALID_ARGUMENT, "scheme: 'options' is not an object");
	for (value = json_first(options); rc == 0 && value; value = json_next(value)) {
		if (s->option_count == SCHEME_OPTIONS_MAX)
			return fail(p->error, KNOCKER_INVALID_ARGUMENT, "scheme: more than %d options",
			            SCHEME_OPTIONS_MAX);
		rc = parse_option(p, value, &s->options[s->option_count++]);
	}
	s->option_tolerance = scheme_option_find(s, bytes_of("tolerance_s"));
	s->option_url = scheme_option_find(s, bytes_of("url"));
	s->option_method = scheme_option_find(s, bytes_of("method"));
	return rc < 0 ? rc : parse_options_show(p);
}

/* ---- replay, base ---- */

static int32_t parse_replay(scheme_parser *p)
{
	static const char *const known[] = {"var", "tolerance_s", NULL};
	const json *replay = scheme_parse_top(p, "replay"),
			   *tolerance = json_member(replay, "tolerance_s");
	scheme *s = p->scheme;
	const scheme_var *vars = s->tries[0].vars;
	knocker_bytes name;
	int32_t rc;

	if (!replay)
		return s->option_tolerance < 0 ? 0
		                               : fail(p->error, KNOCKER_INVALID_ARGUMENT,
		                                      "scheme: option 'tolerance_s' needs 'replay'");
	rc = scheme_parse_known(p, replay, "replay", known);
	if (rc == 0)
		rc = scheme_parse_text(p, replay, "replay", "var", true, &name);
	if (rc < 0)
		return rc;
	for (s->replay_var = 0; s->replay_var < s->var_count; s->replay_var++)
		if (bytes_equal(vars[s->replay_var].name, name))
			break;
	if (s->replay_var == s->var_count || vars[s->replay_var].unit == UNIT_NONE)
		return fail(p->error, KNOCKER_INVALID_ARGUMENT,
		            "scheme: 'replay.var' is '%.*s', no var with a unit", QUOTED(name));
	s->has_replay = true;
	s->has_window = json_kind(tolerance) != JSON_NULL;
	return s->has_window
	           ? scheme_parse_int(p, replay, "replay", "tolerance_s", INT32_MAX, &s->tolerance_s)
	           : 0;
}

static int32_t parse_base(scheme_parser *p)
{
	const json *base = scheme_parse_top(p, "base"), *path;
	knocker_bytes *list;
	size_t count;
	int32_t rc;

	if (!base)
		return 0;
	rc = scheme_parse_list(p, base, "base", &count);
	list = rc < 0 ? NULL : scheme_room(p, count, sizeof *list);
	if (!list)
		return rc < 0 ? rc : KNOCKER_STORAGE;
	p->scheme->bases = list;
	for (path = json_first(base); rc == 0 && path; path = json_next(path)) {
		if (json_kind(path) != JSON_TEXT)
			return fail(p->error, KNOCKER_INVALID_ARGUMENT,
			            "scheme: 'base' holds what is not a text");
		rc = scheme_copy(p, json_text(path), &list[p->scheme->base_count++]);
	}
	return rc;
}

/* ---- the whole ---- */

static int32_t parse_answers(scheme_parser *p)
{
	const json *accept = scheme_parse_top(p, "accept"), *reject = scheme_parse_top(p, "reject"),
			   *handshake = scheme_parse_top(p, "handshake");
	int32_t rc = 0;

	p->scheme->accept.status = 204;
	p->scheme->reject.status = 401;
	if (accept)
		rc = scheme_parse_answer(p, accept, "accept", &p->scheme->accept);
	if (rc == 0 && reject)
		rc = scheme_parse_answer(p, reject, "reject", &p->scheme->reject);
	return rc < 0 || !handshake ? rc : scheme_parse_handshakes(p, handshake);
}

static bool parse_in_body(const scheme_source *source)
{
	return source->kind == SOURCE_JSON || source->kind == SOURCE_FORM ||
	       source->kind == SOURCE_ITEM;
}

/* Whether a token says nothing of the request that it came with. */
static bool parse_unbound(const scheme_jwt *jwt)
{
	size_t i;

	for (i = 0; i < jwt->claim_count; i++)
		if (jwt->claims[i].is_hash)
			return false;
	return true;
}

/* Whether what is sent is the credential itself, and in the body, so that a rejected one is not
 * kept. */
static void parse_credential(scheme *s)
{
	kind_id kind = s->kind->id;
	size_t i, k;

	s->is_credential = kind == KIND_TOKEN || kind == KIND_BASIC ||
	                   (kind == KIND_JWT && parse_unbound(&s->tries[0].jwt));
	for (i = 0; i < s->try_count; i++)
		for (k = 0; k < s->tries[i].from.count; k++)
			s->credential_in_body |= s->is_credential && parse_in_body(&s->tries[i].from.list[k]);
}

int32_t scheme_parse(scheme_parser *p)
{
	static const char *const known[] = {"extends", "families", "kind",        "alg",
	                                    "key",     "alt",      "sig",         "base",
	                                    "vars",    "signed",   "jwt",         "when_query",
	                                    "replay",  "extract",  "handshake",   "accept",
	                                    "reject",  "options",  "header_list", NULL};
	size_t i;
	int32_t rc = 0;

	for (i = 0; rc == 0 && i < p->layer_count; i++)
		rc = scheme_parse_known(p, p->layers[i], "scheme", known);
	if (rc == 0)
		rc = scheme_parse_kind(p);
	if (rc == 0 && scheme_parse_top(p, "jwt") && p->scheme->kind->id != KIND_JWT)
		rc = fail(p->error, KNOCKER_INVALID_ARGUMENT, "scheme: 'jwt' has no meaning for kind '%s'",
		          p->scheme->kind->name);
	if (rc == 0 && scheme_parse_top(p, "when_query") && !p->scheme->kind->has_signed)
		rc = fail(p->error, KNOCKER_INVALID_ARGUMENT,
		          "scheme: 'when_query' has no meaning for kind '%s'", p->scheme->kind->name);
	if (rc == 0)
		rc = scheme_parse_options(p);
	if (rc == 0)
		rc = scheme_parse_signature(p);
	if (rc == 0)
		rc = parse_base(p);
	if (rc == 0)
		rc = scheme_parse_tries(p);
	if (rc == 0)
		rc = parse_replay(p);
	if (rc == 0)
		rc = parse_answers(p);
	if (rc == 0 && p->scheme->item_path_count > 0 && p->scheme->base_count == 0)
		rc = fail(p->error, KNOCKER_INVALID_ARGUMENT, "scheme: a source j: needs 'base'");
	if (rc == 0)
		parse_credential(p->scheme);
	return rc;
}

/* ==== core/src/scheme_parse_answer.c ==== */

/* Compiles what a scheme says about a request beyond its signature: ids, identity, handshakes and
 * answers. */
#include <string.h>




/* ---- extract ---- */

/* each:PATH:TEMPLATE */
static int32_t parse_dedupe_each(scheme_parser *p, knocker_bytes rest, scheme_dedupe *out)
{
	knocker_bytes *steps;
	scan_path *members;
	int64_t colon = bytes_find(rest, ':');
	size_t i;
	int32_t rc;

	if (colon < 0)
		return fail(p->error, KNOCKER_INVALID_ARGUMENT,
		            "scheme: 'dedupe' has an each: without a template");
	out->how = DEDUPE_EACH;
	rc = scheme_parse_path(p, "dedupe", bytes_part(rest, 0, (size_t)colon), false, &out->array);
	p->members = scheme_room(p, SCAN_PATHS_MAX, sizeof *p->members);
	p->member_count = 0;
	if (rc < 0 || !p->members)
		return rc < 0 ? rc : KNOCKER_STORAGE;
	rc = scheme_parse_template(p, "dedupe", bytes_part(rest, (size_t)colon + 1, (size_t)rest.len),
	                           IN_EACH, &out->text);
	members = rc < 0 ? NULL : scheme_room(p, p->member_count, sizeof *members);
	if (!members)
		return rc < 0 ? rc : KNOCKER_STORAGE;
	for (i = 0; i < p->member_count; i++) {
		steps = scheme_room(p, SCAN_STEPS_MAX, sizeof *steps);
		if (!steps)
			return KNOCKER_STORAGE;
		if (!scan_path_cut(p->members[i], steps, &members[i]))
			return fail(p->error, KNOCKER_INVALID_ARGUMENT,
			            "scheme: 'dedupe' has a path of too many steps");
	}
	out->members = members;
	out->member_count = p->member_count;
	return 0;
}

static int32_t parse_dedupe_one(scheme_parser *p, knocker_bytes text, scheme_dedupe *out)
{
	if (bytes_starts(text, "each:"))
		return parse_dedupe_each(p, bytes_part(text, 5, (size_t)text.len), out);
	out->how = bytes_starts(text, "sha256:") ? DEDUPE_SHA256 : DEDUPE_TEXT;
	if (out->how == DEDUPE_SHA256)
		text = bytes_part(text, 7, (size_t)text.len);
	return scheme_parse_template(p, "dedupe", text, IN_DEDUPE, &out->text);
}

static int32_t parse_dedupe(scheme_parser *p, const json *value, scheme_try *t)
{
	scheme_dedupe *list;
	const json *text;
	size_t count;
	int32_t rc = scheme_parse_list(p, value, "dedupe", &count);

	list = rc < 0 ? NULL : scheme_room(p, count, sizeof *list);
	if (!list)
		return rc < 0 ? rc : KNOCKER_STORAGE;
	for (text = json_first(value); rc == 0 && text; text = json_next(text)) {
		if (json_kind(text) != JSON_TEXT)
			return fail(p->error, KNOCKER_INVALID_ARGUMENT,
			            "scheme: 'dedupe' holds what is not a text");
		rc = parse_dedupe_one(p, json_text(text), &list[t->dedupe_count++]);
	}
	t->dedupe = list;
	return rc;
}

int32_t scheme_parse_extract(scheme_parser *p, const json *extract, scheme_try *t)
{
	static const char *const known[] = {"delivery_id", "event_id",        "event_type", "dedupe",
	                                    "batch",       "form_json_field", NULL};
	knocker_bytes batch;
	int32_t rc = scheme_parse_known(p, extract, "extract", known);
	size_t i;

	for (i = 0; rc == 0 && i < ID_COUNT; i++)
		if (json_member(extract, known[i]))
			rc = scheme_parse_sources(p, json_member(extract, known[i]), known[i], &t->ids[i]);
	if (rc == 0)
		rc = scheme_parse_text(p, extract, "extract", "form_json_field", false,
		                       &p->scheme->form_json_field);
	if (rc == 0)
		rc = scheme_parse_text(p, extract, "extract", "batch", false, &batch);
	if (rc == 0 && bytes_given(batch) && !bytes_starts(batch, "json:"))
		rc = fail(p->error, KNOCKER_INVALID_ARGUMENT,
		          "scheme: 'batch' is '%.*s' and must be json:PATH", QUOTED(batch));
	if (rc == 0 && json_member(extract, "dedupe"))
		rc = parse_dedupe(p, json_member(extract, "dedupe"), t);
	return rc;
}

/* ---- answers ---- */

/* Members whose values are templates; of a body also whole numbers. */
static int32_t parse_members(scheme_parser *p, const json *object, const char *what, bool numbers,
                             const scheme_member **out, size_t *count)
{
	scheme_member *list = scheme_room(p, json_count(object), sizeof *list);
	const json *value;
	int64_t number;
	int32_t rc = 0;

	if (!list)
		return KNOCKER_STORAGE;
	*out = list;
	for (value = json_first(object); rc == 0 && value; value = json_next(value)) {
		scheme_member *member = &list[(*count)++];
		buffer digits;

		rc = scheme_copy(p, json_name(value), &member->name);
		if (rc == 0 && json_kind(value) == JSON_TEXT) {
			rc = scheme_parse_template(p, what, json_text(value), IN_ANSWER, &member->text);
			continue;
		}
		if (rc < 0 || !numbers || !json_int(value, &number))
			return rc < 0 ? rc
			              : fail(p->error, KNOCKER_INVALID_ARGUMENT,
			                     "scheme: '%s.%.*s' is not a text%s", what, QUOTED(member->name),
			                     numbers ? " or whole number" : "");
		buffer_init(&digits, 32);
		buffer_int(&digits, number);
		member->is_number = true;
		rc = scheme_parse_template(p, what, buffer_view(&digits), IN_ANSWER, &member->text);
		buffer_free(&digits);
	}
	return rc;
}

static int32_t parse_answer_body(scheme_parser *p, const json *body, const char *what,
                                 scheme_answer *out)
{
	if (!body)
		return 0;
	if (json_kind(body) == JSON_TEXT) {
		out->has_text = true;
		return scheme_parse_template(p, what, json_text(body), IN_ANSWER, &out->text);
	}
	if (json_kind(body) != JSON_OBJECT)
		return fail(p->error, KNOCKER_INVALID_ARGUMENT, "scheme: '%s.body' is not a text or object",
		            what);
	out->has_object = true;
	return parse_members(p, body, what, true, &out->members, &out->member_count);
}

/* Values are asked when they are known, at each answer. */
static int32_t parse_answer_headers(scheme_parser *p, const json *headers, const char *what,
                                    scheme_answer *out)
{
	int32_t rc;
	size_t i;

	if (json_kind(headers) != JSON_OBJECT)
		return fail(p->error, KNOCKER_INVALID_ARGUMENT, "scheme: '%s.headers' is not an object",
		            what);
	rc = parse_members(p, headers, what, false, &out->headers, &out->header_count);
	for (i = 0; rc == 0 && i < out->header_count; i++)
		if (!request_name_valid(out->headers[i].name))
			return fail(p->error, KNOCKER_INVALID_ARGUMENT,
			            "scheme: '%s.headers' has '%.*s', which is no header's name", what,
			            QUOTED(out->headers[i].name));
	return rc;
}

int32_t scheme_parse_answer(scheme_parser *p, const json *value, const char *what,
                            scheme_answer *out)
{
	static const char *const known[] = {"status", "type", "headers", "body", NULL};
	const json *headers = json_member(value, "headers");
	int32_t rc = scheme_parse_known(p, value, what, known);

	*out = (scheme_answer){0};
	if (rc == 0 && !json_member(value, "status"))
		rc = fail(p->error, KNOCKER_INVALID_ARGUMENT, "scheme: '%s.status' is missing", what);
	if (rc == 0)
		rc = scheme_parse_int(p, value, what, "status", 599, &out->status);
	if (rc == 0 && out->status < 100)
		rc = fail(p->error, KNOCKER_INVALID_ARGUMENT,
		          "scheme: '%s.status' is %lld and must be 100 to 599", what,
		          (long long)out->status);
	if (rc == 0)
		rc = scheme_parse_text(p, value, what, "type", false, &out->type);
	if (rc == 0 && headers)
		rc = parse_answer_headers(p, headers, what, out);
	return rc < 0 ? rc : parse_answer_body(p, json_member(value, "body"), what, out);
}

/* ---- handshakes ---- */

/* {chars, min, max} */
static int32_t parse_when_chars(scheme_parser *p, const json *value, scheme_condition *out)
{
	static const char *const known[] = {"chars", "min", "max", NULL};
	int32_t rc = scheme_parse_known(p, value, "when", known);

	out->how = WHEN_CHARS;
	out->max = LIMIT_ID;
	if (rc == 0)
		rc = scheme_parse_text(p, value, "when", "chars", true, &out->text);
	if (rc == 0)
		rc = scheme_parse_int(p, value, "when", "min", LIMIT_ID, &out->min);
	return rc < 0 ? rc : scheme_parse_int(p, value, "when", "max", LIMIT_ID, &out->max);
}

static int32_t parse_when_text(scheme_parser *p, knocker_bytes text, scheme_condition *out)
{
	if (bytes_is(text, "*")) {
		out->how = WHEN_ANY;
		return 0;
	}
	if (text.len > 2 && bytes_starts(text, "{") && ((const char *)text.data)[text.len - 1] == '}') {
		out->how = WHEN_SAME;
		return scheme_parse_source(p, "when", bytes_part(text, 1, (size_t)text.len - 1),
		                           &out->other);
	}
	out->how = WHEN_TEXT;
	return scheme_copy(p, text, &out->text);
}

static int32_t parse_condition(scheme_parser *p, const json *value, scheme_condition *out)
{
	int64_t number;
	buffer digits;
	int32_t rc;

	if (bytes_is(json_name(value), "method")) {
		out->how = WHEN_METHOD;
		if (json_kind(value) == JSON_TEXT)
			return scheme_copy(p, json_text(value), &out->text);
		return fail(p->error, KNOCKER_INVALID_ARGUMENT, "scheme: 'when.method' is not a text");
	}
	rc = scheme_parse_source(p, "when", json_name(value), &out->source);
	if (rc < 0)
		return rc;
	if (json_kind(value) == JSON_NULL) {
		out->how = WHEN_NULL;
		return 0;
	}
	if (json_kind(value) == JSON_TEXT)
		return parse_when_text(p, json_text(value), out);
	if (json_kind(value) == JSON_OBJECT)
		return parse_when_chars(p, value, out);
	if (!json_int(value, &number))
		return fail(p->error, KNOCKER_INVALID_ARGUMENT,
		            "scheme: 'when.%.*s' is not a text or whole number", QUOTED(json_name(value)));
	buffer_init(&digits, 32);
	buffer_int(&digits, number);
	out->how = WHEN_TEXT;
	rc = scheme_copy(p, buffer_view(&digits), &out->text);
	buffer_free(&digits);
	return rc;
}

static int32_t parse_conditions(scheme_parser *p, const json *when, scheme_handshake *out)
{
	scheme_condition *list;
	const json *value;
	int32_t rc = 0;

	if (json_kind(when) != JSON_OBJECT || json_count(when) == 0)
		return fail(p->error, KNOCKER_INVALID_ARGUMENT,
		            "scheme: 'handshake.when' is not an object of conditions");
	list = scheme_room(p, json_count(when), sizeof *list);
	if (!list)
		return KNOCKER_STORAGE;
	out->conditions = list;
	for (value = json_first(when); rc == 0 && value; value = json_next(value))
		rc = parse_condition(p, value, &list[out->condition_count++]);
	return rc;
}

static int32_t parse_handshake(scheme_parser *p, const json *value, scheme_handshake *out)
{
	static const char *const known[] = {"when", "signed", "store_secret", "respond", NULL};
	knocker_bytes store = {0};
	int32_t rc = scheme_parse_known(p, value, "handshake", known);

	if (rc == 0 && json_kind(json_member(value, "signed")) != JSON_BOOL)
		rc = fail(p->error, KNOCKER_INVALID_ARGUMENT,
		          "scheme: 'handshake.signed' is not true or false");
	if (rc == 0)
		rc = scheme_parse_bool(p, value, "handshake", "signed", &out->is_signed);
	if (rc == 0)
		rc = scheme_parse_text(p, value, "handshake", "store_secret", false, &store);
	if (rc == 0 && bytes_given(store) && out->is_signed)
		rc = fail(p->error, KNOCKER_INVALID_ARGUMENT,
		          "scheme: a signed handshake hands over no secret: it was signed with it");
	if (rc == 0 && bytes_given(store)) {
		out->stores = p->scheme->stores_secret = true;
		rc = scheme_parse_source(p, "store_secret", store, &out->store);
	}
	if (rc == 0)
		rc = parse_conditions(p, json_member(value, "when"), out);
	if (rc == 0)
		rc = scheme_parse_answer(p, json_member(value, "respond"), "respond", &out->answer);
	return rc;
}

int32_t scheme_parse_handshakes(scheme_parser *p, const json *list)
{
	scheme_handshake *made;
	const json *value;
	size_t count;
	int32_t rc = scheme_parse_list(p, list, "handshake", &count);

	made = rc < 0 ? NULL : scheme_room(p, count, sizeof *made);
	if (!made)
		return rc < 0 ? rc : KNOCKER_STORAGE;
	p->scheme->handshakes = made;
	for (value = json_first(list); rc == 0 && value; value = json_next(value))
		rc = parse_handshake(p, value, &made[p->scheme->handshake_count++]);
	return rc;
}

/* ==== core/src/scheme_parse_header_list.c ==== */

/* Compiles what a scheme says of a list of headers that the request itself brings. Knows nothing of
 * what is signed. */



/* A header's name in lower case. */
static int32_t header_list_name(scheme_parser *p, const json *value, knocker_bytes *out)
{
	int32_t rc;

	if (json_kind(value) != JSON_TEXT || !request_name_valid(json_text(value)))
		return fail(p->error, KNOCKER_INVALID_ARGUMENT,
		            "scheme: 'header_list.require' holds what is no header's name");
	rc = scheme_copy(p, json_text(value), out);
	if (rc == 0)
		bytes_lower(*out);
	return rc;
}

static int32_t header_list_require(scheme_parser *p, const json *names, scheme_header_list *out)
{
	const json *value;
	knocker_bytes *list;
	size_t count;
	int32_t rc = scheme_parse_list(p, names, "header_list.require", &count);

	if (rc == 0 && count > SCHEME_LISTED_MAX)
		rc = fail(p->error, KNOCKER_INVALID_ARGUMENT,
		          "scheme: 'header_list.require' has more than %d names", SCHEME_LISTED_MAX);
	list = rc < 0 ? NULL : scheme_room(p, count, sizeof *list);
	if (!list)
		return rc < 0 ? rc : KNOCKER_STORAGE;
	out->require = list;
	for (value = json_first(names); rc == 0 && value; value = json_next(value))
		rc = header_list_name(p, value, &list[out->require_count++]);
	return rc;
}

int32_t scheme_parse_header_list(scheme_parser *p, scheme_header_list *out)
{
	static const char *const known[] = {"from", "items", "kv", "join", "require", NULL};
	static const char what[] = "header_list";
	const json *value = scheme_parse_top(p, what), *names = json_member(value, "require");
	int32_t rc;

	if (!value)
		return 0;
	rc = scheme_parse_known(p, value, what, known);
	if (rc == 0)
		rc = scheme_parse_sources(p, json_member(value, "from"), "header_list.from", &out->from);
	if (rc == 0 && out->from.count == 0)
		rc = fail(p->error, KNOCKER_INVALID_ARGUMENT, "scheme: 'header_list.from' is empty");
	if (rc == 0)
		rc = scheme_parse_text(p, value, what, "items", true, &out->items);
	if (rc == 0)
		rc = scheme_parse_text(p, value, what, "kv", false, &out->kv);
	if (rc == 0)
		rc = scheme_parse_text(p, value, what, "join", true, &out->join);
	return rc < 0 || !names ? rc : header_list_require(p, names, out);
}

/* ==== core/src/scheme_parse_jwt.c ==== */

/* Compiles what a scheme says of a token: its algorithms and claims. Knows nothing of how one is
 * judged. */
#include <string.h>





bool scheme_parse_hashed(knocker_bytes text, knocker_bytes *template_text)
{
	if (!bytes_starts(text, "sha256hex(") || ((const char *)text.data)[text.len - 1] != ')')
		return false;
	*template_text = bytes_part(text, 10, (size_t)text.len - 1);
	return true;
}

static int32_t jwt_parse_text(scheme_parser *p, const char *what, const json *value)
{
	return json_kind(value) == JSON_TEXT && json_text(value).len > 0
	           ? 0
	           : fail(p->error, KNOCKER_INVALID_ARGUMENT,
	                  "scheme: '%s' holds what is not a text that says something", what);
}

/* A secret that verifies under HS could be a public key that everybody knows. */
static int32_t jwt_parse_algs(scheme_parser *p, const json *list, scheme_jwt *out)
{
	const json *value;
	size_t count;
	jwt_alg word;
	int32_t rc = scheme_parse_list(p, list, "jwt.algs", &count);

	if (rc == 0 && count == 0)
		rc = fail(p->error, KNOCKER_INVALID_ARGUMENT, "scheme: 'jwt.algs' is empty");
	for (value = json_first(list); rc == 0 && value; value = json_next(value)) {
		rc = jwt_parse_text(p, "jwt.algs", value);
		word = scheme_jwt_find(json_text(value));
		if (rc == 0 && word == JWT_ALGS)
			rc = fail(p->error, KNOCKER_INVALID_ARGUMENT,
			          "scheme: 'jwt.algs' is the unknown word '%.*s'", QUOTED(json_text(value)));
		else if (rc == 0)
			out->algs |= JWT_BIT(word);
	}
	if (rc == 0 && out->algs & JWT_HS && out->algs & ~JWT_HS)
		rc = fail(p->error, KNOCKER_INVALID_ARGUMENT,
		          "scheme: 'jwt.algs' has both secret (HS) and public-key algorithms");
	return rc;
}

static int32_t jwt_parse_keys(scheme_parser *p, const scheme_try *t)
{
	bool secret = (t->jwt.algs & JWT_HS) != 0;
	size_t i;

	for (i = 0; i < p->scheme->group_count; i++)
		if ((t->groups[i].key.decode < DECODE_PEM) != secret)
			return fail(p->error, KNOCKER_INVALID_ARGUMENT,
			            "scheme: 'key.decode' makes no keys of these 'jwt.algs'");
	return 0;
}

static int32_t jwt_parse_require(scheme_parser *p, const json *list, scheme_jwt *out)
{
	const json *value;
	size_t count, *slots;
	int32_t rc = scheme_parse_list(p, list, "jwt.require", &count);

	slots = rc < 0 ? NULL : scheme_room(p, count, sizeof *slots);
	if (!slots)
		return rc < 0 ? rc : KNOCKER_STORAGE;
	out->require = slots;
	for (value = json_first(list); rc == 0 && value; value = json_next(value)) {
		rc = jwt_parse_text(p, "jwt.require", value);
		if (rc == 0)
			rc = scheme_parse_claim(p, "jwt.require", json_text(value), true,
			                        &slots[out->require_count++]);
	}
	return rc;
}

/* One template, a list of them, or the hash of one. */
static int32_t jwt_parse_claim(scheme_parser *p, const json *value, scheme_claim *out)
{
	scheme_template *one;
	knocker_bytes text;
	int32_t rc = scheme_parse_claim(p, "jwt.claims", json_name(value), true, &out->slot);

	if (rc < 0)
		return rc;
	if (json_kind(value) == JSON_ARRAY) {
		rc = scheme_parse_templates(p, value, "jwt.claims", IN_CLAIM, &out->texts);
		if (rc == 0 && out->texts.count == 0)
			rc = fail(p->error, KNOCKER_INVALID_ARGUMENT, "scheme: 'jwt.claims' has an empty list");
		return rc;
	}
	rc = jwt_parse_text(p, "jwt.claims", value);
	one = rc < 0 ? NULL : scheme_room(p, 1, sizeof *one);
	if (!one)
		return rc < 0 ? rc : KNOCKER_STORAGE;
	text = json_text(value);
	out->is_hash = scheme_parse_hashed(text, &text);
	out->texts = (scheme_templates){one, 1};
	return scheme_parse_template(p, "jwt.claims", text, IN_CLAIM, one);
}

static int32_t jwt_parse_claims(scheme_parser *p, const json *claims, scheme_jwt *out)
{
	scheme_claim *list;
	const json *value;
	int32_t rc = 0;

	if (json_kind(claims) != JSON_OBJECT)
		return fail(p->error, KNOCKER_INVALID_ARGUMENT, "scheme: 'jwt.claims' is not an object");
	list = scheme_room(p, json_count(claims), sizeof *list);
	if (!list)
		return KNOCKER_STORAGE;
	out->claims = list;
	for (value = json_first(claims); rc == 0 && value; value = json_next(value))
		rc = jwt_parse_claim(p, value, &list[out->claim_count++]);
	return rc;
}

static int32_t jwt_parse_if_body(scheme_parser *p, const json *list, scheme_jwt *out)
{
	scheme_claim *claims = (scheme_claim *)out->claims;
	const json *value;
	size_t count, i;
	int32_t rc = scheme_parse_list(p, list, "jwt.if_body", &count);

	for (value = json_first(list); rc == 0 && value; value = json_next(value)) {
		rc = jwt_parse_text(p, "jwt.if_body", value);
		for (i = 0; rc == 0 && i < out->claim_count; i++)
			if (bytes_equal(json_text(value), p->scheme->claims[claims[i].slot].text))
				break;
		if (rc == 0 && i == out->claim_count)
			rc = fail(p->error, KNOCKER_INVALID_ARGUMENT,
			          "scheme: 'jwt.if_body' names no member of 'jwt.claims': '%.*s'",
			          QUOTED(json_text(value)));
		else if (rc == 0)
			claims[i].if_body = true;
	}
	return rc;
}

int32_t scheme_parse_jwt(scheme_parser *p, scheme_try *t)
{
	static const char *const known[] = {"algs", "leeway_s", "require", "claims", "if_body", NULL};
	const json *jwt = scheme_parse_top(p, "jwt"), *member;
	scheme_jwt *out = &t->jwt;
	int32_t rc = scheme_parse_known(p, jwt, "jwt", known);

	if (rc == 0)
		rc = jwt_parse_algs(p, json_member(jwt, "algs"), out);
	if (rc == 0)
		rc = jwt_parse_keys(p, t);
	if (rc == 0)
		rc = scheme_parse_int(p, jwt, "jwt", "leeway_s", INT32_MAX, &out->leeway_s);
	if (rc == 0)
		rc = scheme_parse_claim(p, "jwt", bytes_of("exp"), true, &out->exp);
	if (rc == 0)
		rc = scheme_parse_claim(p, "jwt", bytes_of("nbf"), true, &out->nbf);
	member = json_member(jwt, "require");
	if (rc == 0 && member)
		rc = jwt_parse_require(p, member, out);
	member = json_member(jwt, "claims");
	if (rc == 0 && member)
		rc = jwt_parse_claims(p, member, out);
	member = json_member(jwt, "if_body");
	if (rc == 0 && member)
		rc = jwt_parse_if_body(p, member, out);
	return rc;
}

/* ==== core/src/scheme_parse_source.c ==== */

/* Compiles the words of sources and templates. Knows nothing of the scheme around them. */
#include <string.h>





static int32_t parse_wrong(scheme_parser *p, const char *what, const char *says, knocker_bytes word)
{
	return fail(p->error, KNOCKER_INVALID_ARGUMENT, "scheme: '%s' %s '%.*s'", what, says,
	            QUOTED(word));
}

/* ---- names ---- */

/* Puts the family in, and asks that each option exists. */
int32_t scheme_parse_name(scheme_parser *p, const char *what, knocker_bytes text, scheme_name *out)
{
	const char *s = text.data;
	size_t at = 0, len = (size_t)text.len;
	int32_t rc = 0;
	buffer made;

	*out = (scheme_name){0};
	buffer_init(&made, LIMIT_JSON);
	while (rc == 0 && at < len) {
		knocker_bytes rest = bytes_part(text, at, len);
		int64_t end = bytes_find(rest, '}');

		if (bytes_starts(rest, "{family}")) {
			if (!p->has_family)
				rc = parse_wrong(p, what, "has a {family} where there is none:", text);
			buffer_bytes(&made, p->family);
			at += 8;
		} else if (bytes_starts(rest, "{option:") && end > 0) {
			knocker_bytes name = bytes_part(rest, 8, (size_t)end);

			if (scheme_option_find(p->scheme, name) < 0)
				rc = parse_wrong(p, what, "reads an option that is not declared:", name);
			out->has_option = true;
			buffer_bytes(&made, bytes_part(rest, 0, (size_t)end + 1));
			at += (size_t)end + 1;
		} else {
			buffer_add(&made, s + at++, 1);
		}
	}
	if (rc == 0)
		rc = made.failed ? fail_memory(p->error) : scheme_copy(p, buffer_view(&made), &out->text);
	buffer_free(&made);
	return rc;
}

/* The number of the name in a list of the scheme's, to which it is added when it is new. */
static int32_t parse_slot(scheme_parser *p, const char *what, scheme_name name, scheme_name *list,
                          size_t *count, size_t max, size_t *slot)
{
	for (*slot = 0; *slot < *count; (*slot)++)
		if (bytes_equal(list[*slot].text, name.text) && list[*slot].is_whole == name.is_whole)
			return 0;
	if (*count == max)
		return parse_wrong(p, what, "is one more than a scheme may read:", name.text);
	list[(*count)++] = name;
	return 0;
}

/* Lower case, but for what stands in {option:N}. */
static int32_t parse_header(scheme_parser *p, const char *what, scheme_source *out)
{
	knocker_bytes name = out->name.text;
	char *s = (char *)name.data;
	int64_t i;

	for (i = 0; i < name.len; i++) {
		knocker_bytes rest = bytes_part(name, (size_t)i, (size_t)name.len);

		if (bytes_starts(rest, "{option:") && bytes_find(rest, '}') > 0) {
			i += bytes_find(rest, '}');
			continue;
		}
		if (!request_name_char(s[i]))
			return parse_wrong(p, what, "has no header's name:", out->word);
		s[i] = ascii_lower(s[i]);
	}
	return out->kind == SOURCE_HEADERS
	           ? 0
	           : parse_slot(p, what, out->name, p->scheme->headers, &p->scheme->header_count,
	                        SCHEME_HEADERS_MAX, &out->slot);
}

int32_t scheme_parse_path(scheme_parser *p, const char *what, knocker_bytes path, bool item,
                          size_t *slot)
{
	scheme *s = p->scheme;
	knocker_bytes *steps = scheme_room(p, SCAN_STEPS_MAX, sizeof *steps);
	size_t *count = item ? &s->item_path_count : &s->path_count;
	scheme_name name;
	int32_t rc = steps ? scheme_parse_name(p, what, path, &name) : KNOCKER_STORAGE;

	if (rc == 0)
		rc = parse_slot(p, what, name, item ? s->item_paths : s->paths, count, SCAN_PATHS_MAX,
		                slot);
	if (rc < 0)
		return rc;
	s->paths_dynamic |= name.has_option;
	if (!scan_path_cut(name.text, steps, item ? &s->item_cut[*slot] : &s->cut[*slot]))
		return parse_wrong(p, what, "has a path of too many steps:", path);
	return 0;
}

int32_t scheme_parse_claim(scheme_parser *p, const char *what, knocker_bytes path, bool is_whole,
                           size_t *slot)
{
	scheme *s = p->scheme;
	knocker_bytes *steps = scheme_room(p, SCAN_STEPS_MAX, sizeof *steps);
	scheme_name name;
	int32_t rc = steps ? scheme_parse_name(p, what, path, &name) : KNOCKER_STORAGE;

	if (rc == 0 && s->kind->id != KIND_JWT)
		rc = parse_wrong(p, what, "reads a token, which only kind 'jwt' has: claim", path);
	if (rc == 0)
		name.is_whole = is_whole && (bytes_find(path, '.') >= 0 || bytes_is(path, "$"));
	if (rc == 0)
		rc = parse_slot(p, what, name, s->claims, &s->claim_count, SCHEME_CLAIMS_MAX, slot);
	if (rc < 0)
		return rc;
	s->paths_dynamic |= name.has_option;
	if (!scheme_path_cut(name, name.text, steps, &s->claim_cut[*slot]))
		return parse_wrong(p, what, "has a path of too many steps:", path);
	return 0;
}

/* ---- sources ---- */

static int32_t parse_item_number(scheme_parser *p, const char *what, scheme_source *out)
{
	const char *s = out->name.text.data;
	int64_t i;

	for (i = 0; i < out->name.text.len; i++) {
		if (s[i] < '0' || s[i] > '9' || out->slot > SCHEME_ITEMS_MAX)
			return parse_wrong(p, what, "has no item of that number:", out->word);
		out->slot = out->slot * 10 + (size_t)(s[i] - '0');
	}
	return 0;
}

static int32_t parse_plain_source(scheme_parser *p, const char *what, knocker_bytes name,
                                  scheme_source *out)
{
	bool is_path = out->kind == SOURCE_JSON || out->kind == SOURCE_ITEM;
	ptrdiff_t option;
	int32_t rc = scheme_parse_name(p, what, name, &out->name);

	if (rc < 0)
		return rc;
	if (out->name.text.len == 0 && !is_path && out->kind != SOURCE_HEADERS)
		return parse_wrong(p, what, "has a source without a name:", out->word);
	if (is_path)
		return scheme_parse_path(p, what, name, out->kind == SOURCE_ITEM, &out->slot);
	if (out->kind == SOURCE_CLAIM)
		return scheme_parse_claim(p, what, name, false, &out->slot);
	if (out->kind == SOURCE_HEADER || out->kind == SOURCE_HEADERS)
		return parse_header(p, what, out);
	if (out->kind == SOURCE_SIG && !bytes_given(p->scheme->signature.kv))
		return parse_wrong(p, what, "reads an element, but 'sig.kv' is absent:", out->word);
	if (out->kind == SOURCE_SIGITEM)
		return parse_item_number(p, what, out);
	if (out->kind != SOURCE_OPTION)
		return 0;
	option = scheme_option_find(p->scheme, name);
	if (option < 0)
		return parse_wrong(p, what, "reads an option that is not declared:", name);
	out->slot = (size_t)option;
	return 0;
}

/* SEP:source:source..., where neither SEP nor a name holds a colon. */
static int32_t parse_join(scheme_parser *p, const char *what, knocker_bytes rest,
                          scheme_source *out)
{
	scheme_source *pieces = scheme_room(p, SCHEME_PARTS_MAX / 2, sizeof *pieces);
	int64_t colon = bytes_find(rest, ':');
	int32_t rc;

	if (!pieces)
		return KNOCKER_STORAGE;
	out->pieces = pieces;
	if (colon < 0)
		return parse_wrong(p, what, "is no join:SEP:source:source...:", out->word);
	rc = scheme_parse_name(p, what, bytes_part(rest, 0, (size_t)colon), &out->name);
	while (rc == 0 && colon >= 0) {
		rest = bytes_part(rest, (size_t)colon + 1, (size_t)rest.len);
		colon = bytes_find(rest, ':');
		if (colon >= 0) {
			int64_t next = bytes_find(bytes_part(rest, (size_t)colon + 1, (size_t)rest.len), ':');

			colon = next < 0 ? -1 : colon + 1 + next;
		}
		if (out->piece_count == SCHEME_PARTS_MAX / 2)
			return parse_wrong(p, what, "joins too many sources:", out->word);
		rc = scheme_parse_source(p, what, colon < 0 ? rest : bytes_part(rest, 0, (size_t)colon),
		                         &pieces[out->piece_count++]);
		if (rc == 0 && pieces[out->piece_count - 1].kind == SOURCE_HEADERS)
			rc = parse_wrong(p, what, "joins several headers:", out->word);
	}
	return rc;
}

int32_t scheme_parse_source(scheme_parser *p, const char *what, knocker_bytes word,
                            scheme_source *out)
{
	static const struct {
		const char *prefix;
		source_kind kind;
	} kinds[] = {
		{"header:", SOURCE_HEADER}, {"header*:", SOURCE_HEADERS}, {"json:", SOURCE_JSON},
		{"j:", SOURCE_ITEM},        {"form:", SOURCE_FORM},       {"query:", SOURCE_QUERY},
		{"sig:", SOURCE_SIG},       {"sigitem:", SOURCE_SIGITEM}, {"option:", SOURCE_OPTION},
		{"claim:", SOURCE_CLAIM},   {"join:", SOURCE_JOIN},
	};
	size_t i;
	int32_t rc;

	*out = (scheme_source){0};
	rc = scheme_copy(p, word, &out->word);
	for (i = 0; rc == 0 && i < sizeof kinds / sizeof kinds[0]; i++) {
		knocker_bytes rest;

		if (!bytes_starts(word, kinds[i].prefix))
			continue;
		rest = bytes_part(word, (size_t)bytes_of(kinds[i].prefix).len, (size_t)word.len);
		out->kind = kinds[i].kind;
		if ((out->kind == SOURCE_HEADERS) != bytes_is(bytes_of(what), "sig.from") &&
		    (out->kind == SOURCE_HEADERS || out->kind == SOURCE_CLAIM))
			return parse_wrong(p, what, "is no place for", word);
		return out->kind == SOURCE_JOIN ? parse_join(p, what, rest, out)
		                                : parse_plain_source(p, what, rest, out);
	}
	return rc < 0 ? rc : parse_wrong(p, what, "has an unknown source", word);
}

int32_t scheme_parse_sources(scheme_parser *p, const json *value, const char *what,
                             scheme_sources *out)
{
	const json *word;
	scheme_source *list;
	size_t count;
	int32_t rc = scheme_parse_list(p, value, what, &count);

	*out = (scheme_sources){0};
	if (rc < 0)
		return rc;
	list = scheme_room(p, count, sizeof *list);
	if (!list)
		return KNOCKER_STORAGE;
	for (word = json_first(value); rc == 0 && word; word = json_next(word)) {
		if (json_kind(word) != JSON_TEXT)
			return fail(p->error, KNOCKER_INVALID_ARGUMENT, "scheme: '%s' holds what is not a text",
			            what);
		rc = scheme_parse_source(p, what, json_text(word), &list[out->count]);
		out->count++;
	}
	out->list = list;
	return rc;
}

/* ---- templates ---- */

typedef struct {
	const char *word;
	part_kind kind;
	uint32_t places; /* a bit for each template_place */
} part_word;

#define PLACE(place) (1u << (place))
#define PLACE_ANY (PLACE(IN_SIGNED) | PLACE(IN_CLAIM) | PLACE(IN_DEDUPE) | PLACE(IN_ANSWER))

static const part_word *parse_part_word(knocker_bytes word)
{
	static const part_word words[] = {
		{"body", PART_BODY, PLACE_ANY},
		{"body_b64", PART_BODY_B64, PLACE_ANY},
		{"md5_b64", PART_MD5_B64, PLACE_ANY},
		{"crc32", PART_CRC32, PLACE_ANY},
		{"method", PART_METHOD, PLACE_ANY},
		{"url", PART_URL, PLACE_ANY},
		{"url_noquery", PART_URL_NOQUERY, PLACE_ANY},
		{"url_path", PART_URL_PATH, PLACE_ANY},
		{"url_unescaped", PART_URL_UNESCAPED, PLACE_ANY},
		{"url~", PART_URL_TRIES, PLACE(IN_SIGNED)},
		{"form_sorted", PART_FORM_SORTED, PLACE_ANY},
		{"form_sorted_unique", PART_FORM_SORTED_UNIQUE, PLACE_ANY},
		{"query_canonical", PART_QUERY_CANONICAL, PLACE_ANY},
		{"url_form_sorted", PART_URL_FORM_SORTED, PLACE_ANY},
		{"uri_escaped", PART_URI_ESCAPED, PLACE_ANY},
		{"header_list", PART_HEADER_LIST, PLACE_ANY},
		{"secret", PART_SECRET, PLACE(IN_SIGNED)},
		{"delivery_id", PART_DELIVERY_ID, PLACE(IN_DEDUPE)},
		{"event_id", PART_EVENT_ID, PLACE(IN_DEDUPE)},
		{"event_type", PART_EVENT_TYPE, PLACE(IN_DEDUPE)},
	};
	size_t i;

	for (i = 0; i < sizeof words / sizeof words[0]; i++)
		if (bytes_is(word, words[i].word))
			return &words[i];
	return NULL;
}

static int32_t parse_member(scheme_parser *p, const char *what, knocker_bytes word,
                            scheme_part *part)
{
	part->kind = PART_MEMBER;
	part->number = p->member_count;
	if (p->member_count == SCAN_PATHS_MAX)
		return parse_wrong(p, what, "is one more than a template may read:", word);
	return scheme_copy(p, word, &p->members[p->member_count++]);
}

/* json_lines:NAME,NAME...: members of the body. */
static int32_t parse_json_lines(scheme_parser *p, const char *what, knocker_bytes names,
                                scheme_part *part)
{
	scheme_source *pieces = scheme_room(p, SCHEME_PARTS_MAX / 2, sizeof *pieces);
	knocker_bytes name;
	int32_t rc = pieces ? 0 : KNOCKER_STORAGE;
	size_t at = 0;

	part->kind = PART_JSON_LINES;
	part->source.kind = SOURCE_JOIN;
	part->source.pieces = pieces;
	while (rc == 0 && scheme_piece_next(names, bytes_of(","), &at, &name)) {
		scheme_source *piece = &pieces[part->source.piece_count];

		if (part->source.piece_count == SCHEME_PARTS_MAX / 2)
			return parse_wrong(p, what, "joins too many members:", names);
		part->source.piece_count++;
		rc = scheme_copy(p, name, &piece->word);
		piece->kind = SOURCE_JSON;
		if (rc == 0)
			rc = parse_plain_source(p, what, name, piece);
	}
	if (rc == 0 && part->source.piece_count == 0)
		return parse_wrong(p, what, "names no member of", bytes_of("json_lines"));
	return rc;
}

static bool parse_needs_url(part_kind kind)
{
	return kind == PART_URL || kind == PART_URL_NOQUERY || kind == PART_URL_UNESCAPED ||
	       kind == PART_URL_PATH || kind == PART_URL_FORM_SORTED || kind == PART_URI_ESCAPED ||
	       kind == PART_URL_TRIES;
}

static int32_t parse_placeholder(scheme_parser *p, const char *what, knocker_bytes word,
                                 template_place place, scheme_part *part)
{
	const part_word *known = place == IN_EACH ? NULL : parse_part_word(word);
	size_t i;

	if (place == IN_EACH)
		return parse_member(p, what, word, part);
	if (known && !(known->places >> place & 1))
		return parse_wrong(p, what, "is no place for", word);
	if (known) {
		part->kind = known->kind;
		if (parse_needs_url(known->kind) && p->scheme->option_url < 0)
			return parse_wrong(p, what, "needs an option 'url' for", word);
		if (known->kind == PART_HEADER_LIST && p->current->header_list.from.count == 0)
			return parse_wrong(p, what, "needs a member 'header_list' for", word);
		return 0;
	}
	for (i = 0; p->current && i < p->scheme->var_count; i++)
		if (bytes_equal(word, p->current->vars[i].name)) {
			part->kind = PART_VAR;
			part->number = i;
			return 0;
		}
	if (bytes_starts(word, "hmac:") && place == IN_ANSWER) {
		part->kind = PART_HMAC;
		return scheme_parse_source(p, what, bytes_part(word, 5, (size_t)word.len), &part->source);
	}
	if (bytes_starts(word, "json_lines:"))
		return parse_json_lines(p, what, bytes_part(word, 11, (size_t)word.len), part);
	part->kind = PART_SOURCE;
	if (bytes_find(word, ':') < 0)
		return parse_wrong(p, what, "has an unknown placeholder", word);
	return scheme_parse_source(p, what, word, &part->source);
}

/* The index of the "}" that closes the "{" at `at`, or -1. */
static int64_t parse_closing(knocker_bytes text, size_t at)
{
	const char *s = text.data;
	size_t depth = 0;

	for (; at < (size_t)text.len; at++) {
		if (s[at] == '{')
			depth++;
		else if (s[at] == '}' && --depth == 0)
			return (int64_t)at;
	}
	return -1;
}

/* A part for each "{" and the literal before it, and one behind the last. */
static size_t parse_part_count(knocker_bytes text)
{
	size_t i, count = 1;

	for (i = 0; i < (size_t)text.len; i++)
		count += ((const char *)text.data)[i] == '{' ? 2 : 0;
	return count < SCHEME_PARTS_MAX ? count : SCHEME_PARTS_MAX;
}

int32_t scheme_parse_template(scheme_parser *p, const char *what, knocker_bytes text,
                              template_place place, scheme_template *out)
{
	size_t at = 0, len = (size_t)text.len, room = parse_part_count(text);
	scheme_part *parts = scheme_room(p, room, sizeof *parts);
	int32_t rc = parts ? 0 : KNOCKER_STORAGE;

	*out = (scheme_template){parts, 0};
	while (rc == 0 && at < len) {
		knocker_bytes rest = bytes_part(text, at, len);
		int64_t open = bytes_find(rest, '{');
		int64_t close = open < 0 ? -1 : parse_closing(rest, (size_t)open);
		scheme_part *part = &parts[out->count];

		if (out->count == room)
			return parse_wrong(p, what, "has too many parts:", text);
		if (close >= 0 && open == 0) {
			rest = bytes_part(rest, 1, (size_t)close);
			at += (size_t)close + 1;
			if (bytes_is(rest, "family") && p->has_family)
				rc = scheme_copy(p, p->family, &part->literal);
			else
				rc = parse_placeholder(p, what, rest, place, part);
		} else {
			size_t end = close < 0 ? (size_t)rest.len : (size_t)open;

			rc = scheme_copy(p, bytes_part(rest, 0, end), &part->literal);
			at += end;
		}
		out->count++;
	}
	return rc;
}

int32_t scheme_parse_templates(scheme_parser *p, const json *value, const char *what,
                               template_place place, scheme_templates *out)
{
	scheme_template *list;
	const json *text;
	size_t count;
	int32_t rc = scheme_parse_list(p, value, what, &count);

	*out = (scheme_templates){0};
	if (rc < 0)
		return rc;
	list = scheme_room(p, count, sizeof *list);
	if (!list)
		return KNOCKER_STORAGE;
	for (text = json_first(value); rc == 0 && text; text = json_next(text)) {
		if (json_kind(text) != JSON_TEXT)
			return fail(p->error, KNOCKER_INVALID_ARGUMENT, "scheme: '%s' holds what is not a text",
			            what);
		rc = scheme_parse_template(p, what, json_text(text), place, &list[out->count++]);
	}
	out->list = list;
	return rc;
}

/* ==== core/src/scheme_parse_try.c ==== */

/* Compiles how a scheme is signed: its kind, keys, signature and vars, once for each family. Knows
 * nothing of ids and answers. */
#include <string.h>




/* ---- signature ---- */

int32_t scheme_parse_signature(scheme_parser *p)
{
	const json *sig = scheme_parse_top(p, "sig");
	static const char *const known[] = {"from", "scheme", "sets", "items",  "trim",
	                                    "kv",   "pick",   "skip", "prefix", "prefix_optional",
	                                    "enc",  NULL};
	static const char *const encodings[] = {"", "hex", "base64", "base64url", NULL};
	scheme_signature *out = &p->scheme->signature;
	bool has_encoding = p->scheme->kind->has_encoding;
	knocker_bytes enc;
	int64_t skip = 0;
	size_t word = 0;
	int32_t rc = scheme_parse_known(p, sig, "sig", known);

	if (rc == 0 && p->scheme->kind->id == KIND_BASIC && json_member(sig, "scheme"))
		rc = fail(p->error, KNOCKER_INVALID_ARGUMENT,
		          "scheme: 'sig.scheme' is always Basic for kind 'basic'");
	if (rc == 0)
		rc = scheme_parse_text(p, sig, "sig", "scheme", false, &out->word);
	if (rc == 0)
		rc = scheme_parse_text(p, sig, "sig", "sets", false, &out->sets);
	if (rc == 0)
		rc = scheme_parse_text(p, sig, "sig", "items", false, &out->items);
	if (rc == 0)
		rc = scheme_parse_text(p, sig, "sig", "kv", false, &out->kv);
	if (rc == 0)
		rc = scheme_parse_text(p, sig, "sig", "prefix", false, &out->prefix);
	if (rc == 0)
		rc = scheme_parse_bool(p, sig, "sig", "trim", &out->trim);
	if (rc == 0)
		rc = scheme_parse_bool(p, sig, "sig", "prefix_optional", &out->prefix_optional);
	if (rc == 0)
		rc = scheme_parse_int(p, sig, "sig", "skip", SCHEME_ITEMS_MAX, &skip);
	if (rc == 0)
		rc = scheme_parse_text(p, sig, "sig", "enc", has_encoding, &enc);
	if (rc == 0 && bytes_given(enc))
		rc = has_encoding
		         ? scheme_parse_word(p, "sig.enc", enc, encodings, &word)
		         : fail(p->error, KNOCKER_INVALID_ARGUMENT,
		                "scheme: 'sig.enc' has no meaning for kind '%s'", p->scheme->kind->name);
	if (rc == 0 && out->prefix_optional && !bytes_given(out->prefix))
		rc = fail(p->error, KNOCKER_INVALID_ARGUMENT,
		          "scheme: 'sig.prefix_optional' needs 'sig.prefix'");
	if (p->scheme->kind->id == KIND_BASIC)
		out->word = bytes_of("Basic");
	out->skip = (size_t)skip;
	out->encoding = (encoding)word;
	return rc;
}

static int32_t parse_pick(scheme_parser *p, const json *value, scheme_group *out)
{
	scheme_name *list;
	const json *text;
	size_t count;
	int32_t rc = scheme_parse_list(p, value, "pick", &count);

	list = rc < 0 ? NULL : scheme_room(p, count, sizeof *list);
	if (!list)
		return rc < 0 ? rc : KNOCKER_STORAGE;
	if (!bytes_given(p->scheme->signature.kv) || p->scheme->signature.skip > 0)
		return fail(p->error, KNOCKER_INVALID_ARGUMENT,
		            "scheme: 'pick' needs 'sig.kv' and no 'sig.skip'");
	out->pick = list;
	for (text = json_first(value); rc == 0 && text; text = json_next(text)) {
		knocker_bytes word = json_text(text), parts = {0};
		char braced[LIMIT_NAME + 16];

		if (!bytes_given(word) || word.len == 0 || word.len > LIMIT_NAME)
			return fail(p->error, KNOCKER_INVALID_ARGUMENT,
			            "scheme: 'pick' holds what is not a name");
		if (bytes_starts(word, "option:")) {
			braced[0] = '{';
			memcpy(braced + 1, word.data, (size_t)word.len);
			braced[word.len + 1] = '}';
			parts = (knocker_bytes){braced, word.len + 2};
		}
		rc = scheme_parse_name(p, "pick", bytes_given(parts) ? parts : word,
		                       &list[out->pick_count++]);
	}
	return rc;
}

/* ---- alg and key ---- */

static int32_t parse_digest(scheme_parser *p, knocker_bytes text, digest *out)
{
	static const char *const names[] = {"sha1", "sha256", "sha384", "sha512", NULL};
	size_t word;
	int32_t rc = scheme_parse_word(p, "alg", text, names, &word);

	*out = rc < 0 ? DIGEST_SHA256 : (digest)word;
	return rc;
}

static int32_t parse_alg_map(scheme_parser *p, const json *map, scheme_alg *out)
{
	scheme_alg_name *list;
	const json *value;
	int32_t rc = 0;

	if (json_kind(map) != JSON_OBJECT)
		return fail(p->error, KNOCKER_INVALID_ARGUMENT, "scheme: 'alg.map' is not an object");
	list = scheme_room(p, json_count(map), sizeof *list);
	if (!list)
		return KNOCKER_STORAGE;
	out->map = list;
	for (value = json_first(map); rc == 0 && value; value = json_next(value)) {
		rc = scheme_copy(p, json_name(value), &list[out->map_count].name);
		if (rc == 0)
			rc = parse_digest(p, json_text(value), &list[out->map_count++].digest);
	}
	return rc;
}

static int32_t parse_alg_by_source(scheme_parser *p, const json *value, scheme_alg *out)
{
	static const char *const known[] = {"from", "items", "kv",      "trim",
	                                    "pick", "map",   "default", NULL};
	knocker_bytes fallback = {0};
	bool needed;
	int32_t rc = scheme_parse_known(p, value, "alg", known);

	out->how = ALG_BY_SOURCE;
	if (rc == 0)
		rc = scheme_parse_sources(p, json_member(value, "from"), "alg.from", &out->from);
	if (rc == 0)
		rc = scheme_parse_text(p, value, "alg", "pick", false, &out->pick);
	needed = bytes_given(out->pick);
	if (rc == 0 && !needed &&
	    (json_member(value, "items") || json_member(value, "kv") || json_member(value, "trim")))
		rc = fail(p->error, KNOCKER_INVALID_ARGUMENT, "scheme: 'alg.pick' is missing");
	if (rc == 0)
		rc = scheme_parse_text(p, value, "alg", "items", needed, &out->items);
	if (rc == 0)
		rc = scheme_parse_text(p, value, "alg", "kv", needed, &out->kv);
	if (rc == 0)
		rc = scheme_parse_bool(p, value, "alg", "trim", &out->trim);
	if (rc == 0)
		rc = parse_alg_map(p, json_member(value, "map"), out);
	if (rc == 0)
		rc = scheme_parse_text(p, value, "alg", "default", false, &fallback);
	out->has_fallback = bytes_given(fallback);
	return rc < 0 || !out->has_fallback ? rc : parse_digest(p, fallback, &out->fixed);
}

static int32_t parse_alg(scheme_parser *p, const json *value, const scheme_kind *kind,
                         scheme_alg *out)
{
	out->fixed = DIGEST_SHA256;
	if (!kind->has_alg)
		return value ? fail(p->error, KNOCKER_INVALID_ARGUMENT,
		                    "scheme: 'alg' has no meaning for kind '%s'", kind->name)
		             : 0;
	if (!value)
		return fail(p->error, KNOCKER_INVALID_ARGUMENT, "scheme: 'alg' is missing");
	if (json_kind(value) == JSON_OBJECT)
		return parse_alg_by_source(p, value, out);
	if (bytes_is(json_text(value), "auto")) {
		out->how = ALG_AUTO;
		return 0;
	}
	return parse_digest(p, json_text(value), &out->fixed);
}

/* Whether keys of the kind may come so. A jwt's depend on its algs: scheme_parse_jwt asks. */
static bool parse_key_fits(const scheme_kind *kind, key_decoding decode)
{
	if (kind->id == KIND_ECDSA_P256 || kind->id == KIND_RSA_PKCS1)
		return decode >= DECODE_PEM;
	if (kind->id == KIND_ED25519)
		return decode <= DECODE_PEM;
	return kind->id == KIND_JWT || decode < DECODE_PEM;
}

/* `host`: the option that names whose certificate it must be. */
static int32_t parse_key_host(scheme_parser *p, const json *value, scheme_key_rule *out)
{
	knocker_bytes name = {0};
	int32_t rc = scheme_parse_text(p, value, "key", "host", false, &name);
	ptrdiff_t option;

	if (rc < 0 || !bytes_given(name))
		return rc;
	if (out->decode != DECODE_PEM)
		return fail(p->error, KNOCKER_INVALID_ARGUMENT,
		            "scheme: 'key.host' needs 'key.decode' to be 'pem-or-spki-b64'");
	option = scheme_option_find(p->scheme, name);
	if (option < 0)
		return fail(p->error, KNOCKER_INVALID_ARGUMENT,
		            "scheme: 'key.host' reads an option that is not declared: '%.*s'",
		            QUOTED(name));
	out->host = (size_t)option + 1;
	return 0;
}

static int32_t parse_key(scheme_parser *p, const json *value, const scheme_kind *kind,
                         scheme_key_rule *out)
{
	static const char *const known[] = {"strip", "decode", "derive", "host", NULL};
	static const char *const decodings[] =
		{"utf8", "hex", "base64", "base64-or-raw", "pem-or-spki-b64", "jwks", NULL};
	knocker_bytes decode, derive;
	size_t word = 0;
	int32_t rc;

	if (!kind->has_key && value)
		return fail(p->error, KNOCKER_INVALID_ARGUMENT,
		            "scheme: 'key' has no meaning for kind '%s'", kind->name);
	if (!value)
		return parse_key_fits(kind, DECODE_UTF8)
		           ? 0
		           : fail(p->error, KNOCKER_INVALID_ARGUMENT, "scheme: 'key' is missing");
	rc = scheme_parse_known(p, value, "key", known);
	if (rc == 0)
		rc = scheme_parse_text(p, value, "key", "strip", false, &out->strip);
	if (rc == 0)
		rc = scheme_parse_text(p, value, "key", "decode", true, &decode);
	if (rc == 0)
		rc = scheme_parse_word(p, "key.decode", decode, decodings, &word);
	if (rc == 0 && !parse_key_fits(kind, (key_decoding)word))
		rc = fail(p->error, KNOCKER_INVALID_ARGUMENT,
		          "scheme: 'key.decode' is '%s', which makes no keys of kind '%s'", decodings[word],
		          kind->name);
	if (rc == 0)
		rc = scheme_parse_text(p, value, "key", "derive", false, &derive);
	if (rc == 0 && bytes_given(derive) && word >= DECODE_PEM)
		rc = fail(p->error, KNOCKER_INVALID_ARGUMENT,
		          "scheme: 'key.derive' has no meaning for public keys");
	if (rc == 0 && bytes_given(derive) && !bytes_is(derive, "sha1"))
		return fail(p->error, KNOCKER_INVALID_ARGUMENT,
		            "scheme: 'key.derive' is the unknown word '%.*s'", QUOTED(derive));
	out->decode = (key_decoding)word;
	out->derive_sha1 = rc == 0 && bytes_given(derive);
	return rc < 0 ? rc : parse_key_host(p, value, out);
}

/* ---- groups: the scheme's own kind and its `alt`s ---- */

static int32_t parse_kind(scheme_parser *p, knocker_bytes name, const scheme_kind **out)
{
	*out = scheme_kind_find(name);
	if (!*out)
		return fail(p->error, KNOCKER_INVALID_ARGUMENT, "scheme: 'kind' is the unknown word '%.*s'",
		            QUOTED(name));
	return 0;
}

static int32_t parse_alt(scheme_parser *p, const json *value, const scheme_group *own,
                         scheme_group *out)
{
	static const char *const known[] = {"kind", "alg", "key", "pick", NULL};
	const json *alg = json_member(value, "alg");
	knocker_bytes kind;
	int32_t rc = scheme_parse_known(p, value, "alt", known);

	if (rc == 0)
		rc = scheme_parse_text(p, value, "alt", "kind", true, &kind);
	if (rc == 0)
		rc = parse_kind(p, kind, &out->kind);
	if (rc == 0 && (out->kind->id == KIND_JWT) != (own->kind->id == KIND_JWT))
		rc = fail(p->error, KNOCKER_INVALID_ARGUMENT,
		          "scheme: 'alt.kind' is '%s', but tokens and signatures do not go together",
		          out->kind->name);
	if (rc == 0 && !alg && out->kind->has_alg && own->kind->has_alg)
		out->alg = own->alg;
	else if (rc == 0)
		rc = parse_alg(p, alg, out->kind, &out->alg);
	if (rc == 0)
		rc = parse_key(p, json_member(value, "key"), out->kind, &out->key);
	if (rc == 0 && out->key.strip.len == 0)
		rc = fail(p->error, KNOCKER_INVALID_ARGUMENT,
		          "scheme: 'alt.key.strip' is missing: it tells whose a secret is");
	out->pick = own->pick;
	out->pick_count = own->pick_count;
	if (rc == 0 && json_member(value, "pick")) {
		out->pick_count = 0;
		rc = parse_pick(p, json_member(value, "pick"), out);
	}
	return rc;
}

static int32_t parse_groups(scheme_parser *p, scheme_try *t)
{
	const json *alts = scheme_parse_top(p, "alt"), *sig = scheme_parse_top(p, "sig"), *value;
	scheme_group *own = &t->groups[0];
	size_t count = 0;
	int32_t rc;

	own->kind = p->scheme->kind;
	rc = parse_alg(p, scheme_parse_top(p, "alg"), own->kind, &own->alg);
	if (rc == 0)
		rc = parse_key(p, scheme_parse_top(p, "key"), own->kind, &own->key);
	if (rc == 0 && json_member(sig, "pick"))
		rc = parse_pick(p, json_member(sig, "pick"), own);
	if (rc == 0 && alts)
		rc = scheme_parse_list(p, alts, "alt", &count);
	if (rc == 0 && count >= SCHEME_GROUPS_MAX)
		rc = fail(p->error, KNOCKER_INVALID_ARGUMENT, "scheme: more than %d alts",
		          SCHEME_GROUPS_MAX - 1);
	for (value = json_first(alts), count = 1; rc == 0 && value; value = json_next(value))
		rc = parse_alt(p, value, own, &t->groups[count++]);
	p->scheme->group_count = count;
	return rc;
}

/* ---- vars, signed, when_query ---- */

static int32_t parse_var(scheme_parser *p, const json *value, scheme_var *out)
{
	static const char *const known[] = {"from", "unit", "number", "is", NULL};
	static const char *const units[] = {"", "s", "ms", "rfc3339", "rfc3339-or-s", NULL};
	knocker_bytes unit = {0}, is = {0};
	size_t word = UNIT_NONE;
	int32_t rc = scheme_parse_known(p, value, "vars", known);

	if (rc == 0)
		rc = scheme_copy(p, json_name(value), &out->name);
	if (rc == 0)
		rc = scheme_parse_sources(p, json_member(value, "from"), "vars.from", &out->from);
	if (rc == 0 && out->from.count == 0)
		rc = fail(p->error, KNOCKER_INVALID_ARGUMENT, "scheme: 'vars.from' is empty");
	if (rc == 0)
		rc = scheme_parse_text(p, value, "vars", "unit", false, &unit);
	if (rc == 0 && bytes_given(unit))
		rc = scheme_parse_word(p, "vars.unit", unit, units, &word);
	if (rc == 0)
		rc = scheme_parse_bool(p, value, "vars", "number", &out->number);
	if (rc == 0)
		rc = scheme_parse_text(p, value, "vars", "is", false, &is);
	out->has_is = bytes_given(is);
	if (rc == 0 && out->has_is)
		rc = scheme_parse_source(p, "vars.is", is, &out->is);
	out->unit = (time_unit)word;
	return rc;
}

static int32_t parse_vars(scheme_parser *p, scheme_try *t)
{
	const json *vars = scheme_parse_top(p, "vars"), *value;
	size_t count = 0;
	int32_t rc = 0;

	if (vars && json_kind(vars) != JSON_OBJECT)
		return fail(p->error, KNOCKER_INVALID_ARGUMENT, "scheme: 'vars' is not an object");
	for (value = json_first(vars); rc == 0 && value; value = json_next(value)) {
		if (count == SCHEME_VARS_MAX)
			return fail(p->error, KNOCKER_INVALID_ARGUMENT, "scheme: more than %d vars",
			            SCHEME_VARS_MAX);
		rc = parse_var(p, value, &t->vars[count++]);
	}
	p->scheme->var_count = count;
	return rc;
}

static int32_t parse_require(scheme_parser *p, knocker_bytes text, scheme_template *out)
{
	knocker_bytes hashed;

	if (!scheme_parse_hashed(text, &hashed))
		return fail(p->error, KNOCKER_INVALID_ARGUMENT,
		            "scheme: 'when_query.require' is '%.*s' and must be sha256hex(TEMPLATE)",
		            QUOTED(text));
	return scheme_parse_template(p, "when_query.require", hashed, IN_SIGNED, out);
}

static int32_t parse_when_query(scheme_parser *p, scheme_try *t)
{
	static const char *const known[] = {"require", "signed", NULL};
	const json *when = scheme_parse_top(p, "when_query"), *value;
	scheme_when_query *list;
	knocker_bytes require;
	int32_t rc = 0;

	if (!when)
		return 0;
	if (json_kind(when) != JSON_OBJECT)
		return fail(p->error, KNOCKER_INVALID_ARGUMENT, "scheme: 'when_query' is not an object");
	if (p->scheme->option_url < 0)
		return fail(p->error, KNOCKER_INVALID_ARGUMENT,
		            "scheme: 'when_query' needs an option 'url'");
	list = scheme_room(p, json_count(when), sizeof *list);
	if (!list)
		return KNOCKER_STORAGE;
	t->when = list;
	for (value = json_first(when); rc == 0 && value; value = json_next(value)) {
		scheme_when_query *out = &list[t->when_count++];

		rc = scheme_parse_known(p, value, "when_query", known);
		if (rc == 0)
			rc = scheme_copy(p, json_name(value), &out->param);
		if (rc == 0)
			rc = scheme_parse_text(p, value, "when_query", "require", true, &require);
		if (rc == 0)
			rc = parse_require(p, require, &out->require);
		if (rc == 0)
			rc = scheme_parse_templates(p, json_member(value, "signed"), "when_query.signed",
			                            IN_SIGNED, &out->sign);
	}
	return rc;
}

static int32_t parse_signed(scheme_parser *p, scheme_try *t)
{
	const json *value = scheme_parse_top(p, "signed");
	const scheme_kind *kind = p->scheme->kind;
	int32_t rc;

	if (!kind->has_signed)
		return value ? fail(p->error, KNOCKER_INVALID_ARGUMENT,
		                    "scheme: 'signed' has no meaning for kind '%s'", kind->name)
		             : 0;
	rc = scheme_parse_templates(p, value, "signed", IN_SIGNED, &t->sign);
	if (rc == 0 && t->sign.count == 0)
		rc = fail(p->error, KNOCKER_INVALID_ARGUMENT, "scheme: 'signed' is empty");
	return rc < 0 ? rc : parse_when_query(p, t);
}

/* ---- once for each family ---- */

static int32_t parse_try(scheme_parser *p, scheme_try *t)
{
	const json *sig = scheme_parse_top(p, "sig");
	int32_t rc;

	p->current = t;
	t->family = p->family;
	rc = scheme_parse_sources(p, json_member(sig, "from"), "sig.from", &t->from);
	if (rc == 0 && t->from.count == 0)
		rc = fail(p->error, KNOCKER_INVALID_ARGUMENT, "scheme: 'sig.from' is empty");
	if (rc == 0)
		rc = parse_groups(p, t);
	if (rc == 0)
		rc = parse_vars(p, t);
	if (rc == 0)
		rc = scheme_parse_header_list(p, &t->header_list);
	if (rc == 0)
		rc = parse_signed(p, t);
	if (rc == 0 && p->scheme->kind->id == KIND_JWT)
		rc = scheme_parse_jwt(p, t);
	return rc < 0 ? rc : scheme_parse_extract(p, scheme_parse_top(p, "extract"), t);
}

int32_t scheme_parse_tries(scheme_parser *p)
{
	const json *families = scheme_parse_top(p, "families"), *value = json_first(families);
	scheme *s = p->scheme;
	scheme_try *tries;
	size_t i, count = 1;
	int32_t rc = 0;

	if (families)
		rc = scheme_parse_list(p, families, "families", &count);
	if (rc == 0 && (count == 0 || count > SCHEME_FAMILIES_MAX))
		rc = fail(p->error, KNOCKER_INVALID_ARGUMENT,
		          "scheme: 'families' has none, or more than %d", SCHEME_FAMILIES_MAX);
	tries = rc < 0 ? NULL : scheme_room(p, count, sizeof *tries);
	if (!tries)
		return rc < 0 ? rc : KNOCKER_STORAGE;
	s->tries = tries;
	s->try_count = count;
	p->has_family = families != NULL;
	for (i = 0; rc == 0 && i < count; i++) {
		if (families && json_kind(value) != JSON_TEXT)
			return fail(p->error, KNOCKER_INVALID_ARGUMENT,
			            "scheme: 'families' holds what is not a text");
		if (families)
			rc = scheme_copy(p, json_text(value), &p->family);
		if (rc == 0)
			rc = parse_try(p, &tries[i]);
		value = families ? json_next(value) : NULL;
	}
	p->has_family = false;
	p->current = tries;
	return rc;
}

int32_t scheme_parse_kind(scheme_parser *p)
{
	const json *kind = scheme_parse_top(p, "kind");

	if (json_kind(kind) != JSON_TEXT)
		return fail(p->error, KNOCKER_INVALID_ARGUMENT, "scheme: 'kind' is %s",
		            kind ? "not a text" : "missing");
	return parse_kind(p, json_text(kind), &p->scheme->kind);
}

/* ==== core/src/scheme_public.c ==== */

/* Public keys out of an application's secrets: SubjectPublicKeyInfo in PEM or base64, JWK and JWKS.
 * Knows which key a scheme's kind wants, and nothing of requests. No message holds a secret. */
#include <string.h>




/* Where the keys of a secret go. */
typedef struct {
	const scheme *scheme;
	scheme_keys *keys;
	size_t secret, group;
	knocker_error *error;
} public_place;

static const scheme_group *public_group(const public_place *p)
{
	return &p->scheme->tries[0].groups[p->group];
}

static int32_t public_refuse_private(const public_place *p)
{
	return fail(p->error, KNOCKER_INVALID_ARGUMENT,
	            "secret %zu is a private key: to verify takes the public one, and nobody who only "
	            "receives should hold this",
	            p->secret + 1);
}

/* Whether a key of that sort can be what the scheme verifies with. */
static bool public_fits(const public_place *p, crypto_public_kind kind)
{
	uint32_t algs = p->scheme->tries[0].jwt.algs;

	switch (public_group(p)->kind->id) {
	case KIND_ECDSA_P256:
		return kind == PUBLIC_P256;
	case KIND_RSA_PKCS1:
		return kind == PUBLIC_RSA;
	case KIND_ED25519:
		return kind == PUBLIC_ED25519;
	case KIND_JWT:
		return (kind == PUBLIC_RSA && algs & JWT_BIT(JWT_RS256)) ||
		       (kind == PUBLIC_P256 && algs & JWT_BIT(JWT_ES256));
	case KIND_HMAC:
	case KIND_HASH:
	case KIND_TOKEN:
	case KIND_BASIC:
		break;
	}
	return false;
}

static int32_t public_refuse(const public_place *p)
{
	bool rsa = public_fits(p, PUBLIC_RSA), ec = public_fits(p, PUBLIC_P256);
	const char *wanted = rsa && ec                                   ? "an RSA or P-256"
	                     : rsa                                       ? "an RSA"
	                     : public_group(p)->kind->id == KIND_ED25519 ? "an Ed25519"
	                                                                 : "a P-256";

	return fail(p->error, KNOCKER_INVALID_ARGUMENT,
	            "secret %zu is not a key of this scheme: %s public key %s%s", p->secret + 1, wanted,
	            rsa ? "(1024 bits or more) " : "",
	            public_group(p)->key.decode == DECODE_JWKS ? "as a JWK or JWKS"
	                                                       : "in PEM, or its DER in base64");
}

/* Takes over `pair`. */
static int32_t public_keep(const public_place *p, crypto_public *pair, scheme_key **out)
{
	bool raw = public_group(p)->kind->id == KIND_ED25519;
	scheme_key *key = &p->keys->keys[p->keys->key_count];

	if (p->keys->key_count == SCHEME_KEYS_MAX) {
		crypto_public_free(pair);
		return fail(p->error, KNOCKER_INVALID_ARGUMENT, "more than %d keys", SCHEME_KEYS_MAX);
	}
	p->keys->key_count++;
	*key = (scheme_key){.group = p->group, .secret = p->secret, .pair = pair, .alg = JWT_ALGS};
	*out = key;
	if (!raw)
		return 0;
	key->bytes = memory_get(32);
	if (!key->bytes)
		return fail_memory(p->error);
	key->len = 32;
	return crypto_public_ed25519(pair, key->bytes) ? 0 : public_refuse(p);
}

/* ---- PEM and base64 ---- */

static bool public_label_is_private(knocker_bytes label)
{
	return memmem(label.data, (size_t)label.len, "PRIVATE KEY", 11) != NULL;
}

/* The text without "-----WORDS-----" and white space. `*is_private`: the words said so. */
static size_t public_armour_off(knocker_bytes text, char *out, bool *is_private)
{
	size_t at = 0, len = 0;

	*is_private = false;
	while (at < (size_t)text.len) {
		knocker_bytes rest = bytes_part(text, at, (size_t)text.len);
		const char *s = rest.data, *end;

		end = *s == '-' && bytes_starts(rest, "-----")
		          ? memmem(s + 5, (size_t)rest.len - 5, "-----", 5)
		          : NULL;
		if (end) {
			*is_private |= public_label_is_private(bytes_part(rest, 0, (size_t)(end - s)));
			at += (size_t)(end - s) + 5;
			continue;
		}
		if (*s != ' ' && (*s < '\t' || *s > '\r'))
			out[len++] = *s;
		at++;
	}
	return len;
}

bool scheme_public_is_private(knocker_bytes text)
{
	const char *begin = memmem(text.data, (size_t)text.len, "-----BEGIN ", 11), *end;
	size_t left = begin ? (size_t)((const char *)text.data + text.len - begin) : 0;

	end = begin ? memmem(begin + 11, left - 11, "-----", 5) : NULL;
	return end && public_label_is_private((knocker_bytes){begin, end - begin});
}

static int32_t public_der_add(const public_place *p, knocker_bytes der, bool says_private)
{
	crypto_public *pair;
	scheme_key *key;
	bool is_private = false;
	int32_t made = crypto_public_der(der, false, &pair);

	if (made == 0) {
		made = crypto_public_der(der, true, &pair);
		is_private = made == 1;
	}
	if (made < 0)
		return fail_memory(p->error);
	if ((is_private || says_private) && !p->keys->to_sign) {
		crypto_public_free(pair);
		return public_refuse_private(p);
	}
	if (made == 0 || !public_fits(p, crypto_public_kind_of(pair))) {
		crypto_public_free(pair);
		return public_refuse(p);
	}
	return public_keep(p, pair, &key);
}

static int32_t public_pem_add(const public_place *p, knocker_bytes text)
{
	char *bare = memory_get((size_t)text.len + 1);
	uint8_t *der = memory_get((size_t)text.len + 1);
	bool says_private;
	size_t bare_len, len = 0;
	int32_t rc;

	if (!bare || !der) {
		rc = fail_memory(p->error);
	} else {
		bare_len = public_armour_off(text, bare, &says_private);
		if (!codec_base64_lenient((knocker_bytes){bare, (int64_t)bare_len}, der, &len))
			len = 0;
		rc = public_der_add(p, (knocker_bytes){der, (int64_t)len}, says_private);
	}
	crypto_cleanse(bare, bare ? (size_t)text.len : 0);
	crypto_cleanse(der, der ? (size_t)text.len : 0);
	memory_free(bare);
	memory_free(der);
	return rc;
}

/* ---- certificates ---- */

static const char public_certificate_begin[] = "-----BEGIN CERTIFICATE-----";
static const char public_certificate_end[] = "-----END CERTIFICATE-----";

static bool public_is_certificate(const public_place *p, knocker_bytes text)
{
	kind_id kind = public_group(p)->kind->id;

	return (kind == KIND_RSA_PKCS1 || kind == KIND_ECDSA_P256) &&
	       memmem(text.data, (size_t)text.len, public_certificate_begin,
	              sizeof public_certificate_begin - 1);
}

/* The next certificate's DER; `*text` becomes what is behind it. Absent: there is none, or it is
 * none. */
static knocker_bytes public_certificate_next(knocker_bytes *text, arena *a, bool *no_memory)
{
	const char *begin = memmem(text->data, (size_t)text->len, public_certificate_begin,
	                           sizeof public_certificate_begin - 1);
	size_t from = begin ? (size_t)(begin - (const char *)text->data) : 0, to, len = 0;
	knocker_bytes rest = bytes_part(*text, from, (size_t)text->len);
	const char *end = begin ? memmem(rest.data, (size_t)rest.len, public_certificate_end,
	                                 sizeof public_certificate_end - 1)
	                        : NULL;
	bool is_private;
	uint8_t *der;
	char *bare;

	*text = bytes_of("");
	if (!end)
		return (knocker_bytes){0};
	to = (size_t)(end - (const char *)rest.data) + sizeof public_certificate_end - 1;
	*text = bytes_part(rest, to, (size_t)rest.len);
	bare = arena_get(a, to + 1);
	der = arena_get(a, to + 1);
	*no_memory |= !bare || !der;
	if (!bare || !der)
		return (knocker_bytes){0};
	to = public_armour_off(bytes_part(rest, 0, to), bare, &is_private);
	if (!codec_base64((knocker_bytes){bare, (int64_t)to}, der, &len))
		return (knocker_bytes){0};
	return (knocker_bytes){der, (int64_t)len};
}

static int32_t public_certificate_refuse(const public_place *p, certificate_verdict verdict,
                                         knocker_bytes host)
{
	if (verdict == CERTIFICATE_OTHER_HOST)
		return fail(p->error, KNOCKER_INVALID_ARGUMENT,
		            "secret %zu is a certificate of another host than '%.*s'", p->secret + 1,
		            QUOTED(host));
	return fail(p->error, KNOCKER_INVALID_ARGUMENT, "secret %zu %s", p->secret + 1,
	            verdict == CERTIFICATE_NOT_ISSUED
	                ? "has a certificate that did not issue the one before it"
	                : "has a certificate that cannot be read, or more than 8");
}

/* The sender's certificate, and behind it those that issued it, each the one before. */
static int32_t public_certificates_add(const public_place *p, knocker_bytes text)
{
	size_t count = 0, option = public_group(p)->key.host;
	knocker_bytes ders[CRYPTO_CERTIFICATES_MAX + 1], host = {0};
	crypto_certificate read;
	certificate_verdict verdict;
	bool no_memory = false;
	arena memory = {0};
	scheme_key *key;
	int32_t rc;

	if (option > 0)
		host = scheme_option_text(p->scheme, p->keys, option - 1);
	while (count <= CRYPTO_CERTIFICATES_MAX && public_is_certificate(p, text))
		ders[count++] = public_certificate_next(&text, &memory, &no_memory);
	verdict = crypto_certificate_read(ders, count, host, &read);
	arena_free(&memory);
	if (no_memory)
		return fail_memory(p->error);
	if (verdict != CERTIFICATE_GOOD)
		return public_certificate_refuse(p, verdict, host);
	rc = public_der_add(p, (knocker_bytes){read.key, (int64_t)read.key_len}, false);
	if (rc < 0)
		return rc;
	key = &p->keys->keys[p->keys->key_count - 1];
	key->has_time = true;
	key->from_s = read.from_s;
	key->until_s = read.until_s;
	return 0;
}

/* ---- JWK and JWKS ---- */

/* A JWK's number, decoded into `room`; absent when it is none. Its text is never copied: that of
 * `d` is a secret. */
static knocker_bytes public_number(knocker_bytes jwk, const char *name,
                                   uint8_t room[CRYPTO_SIGNATURE_MAX])
{
	scan_value v = scan_find(jwk, bytes_of(name));
	size_t len = 0;

	if (v.type != SCAN_TEXT || v.raw.len > CRYPTO_SIGNATURE_MAX / 3 * 4)
		return (knocker_bytes){0};
	if (!codec_base64url(bytes_part(v.raw, 1, (size_t)v.raw.len - 1), room, &len) || len == 0)
		return (knocker_bytes){0};
	return (knocker_bytes){room, (int64_t)len};
}

/* 1: a key, 0: none that we know, -1: no memory. */
static int32_t public_jwk_read(knocker_bytes jwk, knocker_bytes type, crypto_public **out)
{
	uint8_t first[CRYPTO_SIGNATURE_MAX], second[CRYPTO_SIGNATURE_MAX], secret[CRYPTO_SIGNATURE_MAX];
	bool rsa = bytes_is(type, "RSA");
	knocker_bytes a = public_number(jwk, rsa ? "n" : "x", first),
				  b = public_number(jwk, rsa ? "e" : "y", second),
				  d = public_number(jwk, "d", secret);
	int32_t made = 0;

	*out = NULL;
	if (rsa && bytes_given(a) && bytes_given(b))
		made = crypto_public_rsa(a, b, d, out);
	else if (!rsa && a.len == 32 && b.len == 32)
		made = crypto_public_p256(first, second, d, out);
	crypto_cleanse(secret, sizeof secret);
	return made;
}

/* JWT_ALGS: the JWK names none. False: one that we do not know. */
static bool public_jwk_alg(knocker_bytes alg, jwt_alg *out)
{
	*out = scheme_jwt_find(alg);
	return !bytes_given(alg) || *out != JWT_ALGS;
}

static int32_t public_jwk_note(const public_place *p, scheme_key *key, jwt_alg alg,
                               knocker_bytes id)
{
	key->alg = alg;
	if (!bytes_given(id) || id.len == 0)
		return 0;
	key->id = memory_get((size_t)id.len);
	if (!key->id)
		return fail_memory(p->error);
	memcpy(key->id, id.data, (size_t)id.len);
	key->id_len = (size_t)id.len;
	return 0;
}

/* One that is for something else adds nothing: a set may hold several. */
static int32_t public_jwk_add(const public_place *p, knocker_bytes jwk, arena *a)
{
	knocker_bytes type = scan_text(scan_find(jwk, bytes_of("kty")), a, LIMIT_ID),
				  curve = scan_text(scan_find(jwk, bytes_of("crv")), a, LIMIT_ID),
				  alg = scan_text(scan_find(jwk, bytes_of("alg")), a, LIMIT_ID),
				  id = scan_text(scan_find(jwk, bytes_of("kid")), a, LIMIT_ID);
	scan_value use = scan_find(jwk, bytes_of("use"));
	crypto_public *pair = NULL;
	scheme_key *key;
	int32_t made = 0;
	jwt_alg only;

	if (type.len < 0 || curve.len < 0 || alg.len < 0 || id.len < 0)
		return fail_memory(p->error);
	if (scan_find(jwk, bytes_of("d")).type != SCAN_ABSENT && !p->keys->to_sign)
		return public_refuse_private(p);
	if ((use.type != SCAN_ABSENT && !bytes_is(use.raw, "\"sig\"")) || !public_jwk_alg(alg, &only))
		return 0;
	if (bytes_is(type, "RSA") || (bytes_is(type, "EC") && bytes_is(curve, "P-256")))
		made = public_jwk_read(jwk, type, &pair);
	if (made < 0)
		return fail_memory(p->error);
	if (made == 0 || !public_fits(p, crypto_public_kind_of(pair))) {
		crypto_public_free(pair);
		return 0;
	}
	made = public_keep(p, pair, &key);
	return made < 0 ? made : public_jwk_note(p, key, only, id);
}

static int32_t public_jwks_add(const public_place *p, knocker_bytes text)
{
	scan_value list = scan_find(text, bytes_of("keys")), jwk;
	size_t before = p->keys->key_count, at = 0;
	arena memory = {0};
	int32_t rc = 0;

	if (list.type == SCAN_ABSENT)
		rc = public_jwk_add(p, text, &memory);
	while (rc == 0 && scan_each(list, &at, &jwk))
		rc = public_jwk_add(p, jwk.raw, &memory);
	arena_free(&memory);
	return rc == 0 && p->keys->key_count == before ? public_refuse(p) : rc;
}

int32_t scheme_public_add(const scheme *s, scheme_keys *keys, size_t secret, size_t group,
                          knocker_bytes text, knocker_error *error)
{
	public_place p = {s, keys, secret, group, error};

	if (scheme_public_is_private(text) && !keys->to_sign)
		return public_refuse_private(&p);
	if (public_group(&p)->key.decode == DECODE_JWKS && !scheme_public_is_private(text))
		return public_jwks_add(&p, text);
	return public_is_certificate(&p, text) ? public_certificates_add(&p, text)
	                                       : public_pem_add(&p, text);
}

/* ==== core/src/scheme_redact.c ==== */

/* Which headers and query members hold a credential that must not be stored. Knows nothing of how
 * they are stored. */



static bool redact_names(scheme_reading *r, const scheme_source *source, source_kind kind,
                         knocker_bytes name)
{
	knocker_bytes own;

	if (source->kind == SOURCE_HEADERS && kind == SOURCE_HEADER)
		return request_name_begins(name, scheme_name_text(r, source->name));
	if (source->kind != kind)
		return false;
	if (kind != SOURCE_HEADER)
		return bytes_equal(name, scheme_name_text(r, source->name));
	own = scheme_header_name(r, source->name);
	return request_name_is(name, own);
}

/* What a handshake compares with an option, or takes as the secret. */
static bool redact_handshakes(scheme_reading *r, source_kind kind, knocker_bytes name)
{
	const scheme *s = r->scheme;
	size_t i, k;

	for (i = 0; i < s->handshake_count; i++) {
		const scheme_handshake *h = &s->handshakes[i];

		if (h->stores && redact_names(r, &h->store, kind, name))
			return true;
		for (k = 0; k < h->condition_count; k++)
			if (h->conditions[k].how == WHEN_SAME &&
			    redact_names(r, &h->conditions[k].source, kind, name))
				return true;
	}
	return false;
}

static bool redact_tries(scheme_reading *r, source_kind kind, knocker_bytes name)
{
	const scheme *s = r->scheme;
	bool found = false;
	size_t i, k;

	for (i = 0; i < s->try_count; i++)
		for (k = 0; k < s->tries[i].from.count; k++)
			found |= redact_names(r, &s->tries[i].from.list[k], kind, name);
	return found;
}

int32_t scheme_redacts(const scheme *s, const scheme_keys *keys, source_kind kind,
                       knocker_bytes name)
{
	arena memory = {0};
	scheme_reading r;
	bool redacts = false;

	r.scheme = s;
	r.keys = keys;
	r.arena = &memory;
	r.no_memory = false;
	if (s->is_credential)
		redacts = redact_tries(&r, kind, name);
	redacts |= redact_handshakes(&r, kind, name);
	arena_free(&memory);
	return r.no_memory ? KNOCKER_STORAGE : redacts;
}

int32_t scheme_was_redacted(const scheme *s, const scheme_keys *keys, const scheme_request *stored)
{
	arena memory = {0};
	scheme_reading r = {.scheme = s, .keys = keys, .arena = &memory};
	knocker_bytes name, value;
	bool redacted = false;
	size_t at = 0;

	while (request_header_next(stored->headers, &at, &name, &value))
		redacted |= bytes_is(value, "[redacted]") &&
		            redact_tries(&r, SOURCE_HEADER, bytes_trim(name));
	for (at = 0; request_pair_next(stored->query, &at, &name, &value);)
		redacted |= request_decoded_is(value, bytes_of("[redacted]")) &&
		            redact_tries(&r, SOURCE_QUERY, name);
	arena_free(&memory);
	return r.no_memory ? KNOCKER_STORAGE : redacted;
}

/* ==== core/src/scheme_sign.c ==== */

/* The same scheme read backwards: the header lines that a sender would add. Knows no sender by
 * name. */
#include <string.h>




static int32_t sign_refuse(knocker_error *error, const char *why)
{
	return fail(error, KNOCKER_INVALID_ARGUMENT, "this scheme cannot sign with headers: %s", why);
}

/* ---- vars: times are now, other texts stand in the request's headers or are made up ---- */

knocker_bytes scheme_made_up(scheme_reading *r)
{
	knocker_bytes parts[2], made;
	char time[32], *id = arena_get(r->arena, 72);

	codec_time_write(UNIT_S, r->now_s, time);
	parts[0] = bytes_of(time);
	parts[1] = r->request->body;
	made = scheme_join(r, parts, 2);
	if (!id || !bytes_given(made) || !crypto_sha256_hex(made, id + 4)) {
		r->no_memory = true;
		return bytes_of("");
	}
	memcpy(id, "msg_", 4);
	id[4 + 24] = '\0';
	return bytes_of(id);
}

static knocker_bytes sign_time(scheme_reading *r, time_unit unit)
{
	char *time = arena_get(r->arena, 32);

	if (!time) {
		r->no_memory = true;
		return bytes_of("");
	}
	codec_time_write(unit, r->now_s, time);
	return bytes_of(time);
}

static bool sign_is_sent(source_kind kind)
{
	return kind == SOURCE_HEADER || kind == SOURCE_SIG || kind == SOURCE_SIGITEM;
}

static int32_t sign_var(scheme_reading *r, const scheme_var *var, knocker_bytes *out,
                        knocker_error *error)
{
	scheme_text read = scheme_sources_read(r, var->from);

	if (var->from.list[0].kind == SOURCE_CLAIM) {
		*out = var->unit != UNIT_NONE ? sign_time(r, var->unit) : scheme_made_up(r);
		return 0;
	}
	if (!sign_is_sent(var->from.list[0].kind)) {
		*out = read.text;
		if (bytes_given(read.text) && !read.ambiguous)
			return 0;
		return fail(error, KNOCKER_INVALID_ARGUMENT, "the request to sign lacks %s",
		            scheme_source_says(r, &var->from.list[0]));
	}
	if (var->unit != UNIT_NONE)
		*out = sign_time(r, var->unit);
	else
		*out = bytes_given(read.text) && !read.ambiguous ? read.text : scheme_made_up(r);
	return 0;
}

/* ---- the signature itself ---- */

static const char *sign_digest_name(digest d)
{
	static const char *const names[DIGEST_KINDS] = {"sha1=", "sha256=", "sha384=", "sha512="};

	return names[d];
}

knocker_bytes scheme_encode(scheme_reading *r, encoding how, knocker_bytes bytes)
{
	char *text = arena_get(r->arena, 2 * (size_t)bytes.len + 8);
	size_t len = 0;

	if (!text) {
		r->no_memory = true;
		return bytes_of("");
	}
	if (how == ENCODING_HEX)
		len = codec_hex_write(bytes, text);
	else
		len = codec_base64_write(bytes, how == ENCODING_BASE64URL, text);
	return (knocker_bytes){text, (int64_t)len};
}

static size_t sign_compute(scheme_reading *r, const scheme_try *t, const scheme_key *key, digest d,
                           const knocker_bytes *parts, size_t count, uint8_t *computed)
{
	if (key->pair)
		return crypto_public_sign(key->pair, d, scheme_join(r, parts, count), computed);
	if (t->groups[key->group].kind->id == KIND_HASH)
		return crypto_hash(d, parts, count, computed);
	return key->hmac[d] ? crypto_key_hmac(key->hmac[d], parts, count, computed) : 0;
}

static int32_t sign_digest(scheme_reading *r, const scheme_try *t, const scheme_key *key,
                           knocker_bytes *out, knocker_error *error)
{
	const scheme_alg *alg = &t->groups[key->group].alg;
	knocker_bytes parts[SCHEME_PARTS_MAX], pieces[3], name;
	uint8_t computed[CRYPTO_SIGNATURE_MAX];
	scheme_templates sign;
	size_t len;
	digest d;

	if (!scheme_digest_named(r, alg, &d, &name) || !scheme_signed_choose(r, t, &sign))
		return fail(error, KNOCKER_INVALID_ARGUMENT, "the request cannot be signed: %s", r->error);
	scheme_url_spell(r);
	if (!scheme_template_fill(r, &sign.list[0], true, key, 0, parts))
		return fail(error, KNOCKER_INVALID_ARGUMENT, "the request cannot be signed: %s",
		            r->error ? r->error : "a text is missing");
	len = sign_compute(r, t, key, d, parts, sign.list[0].count, computed);
	if (len == 0 && key->pair)
		return sign_refuse(error, "its key is a public one, which only verifies");
	if (len == 0)
		return fail_memory(error);
	pieces[0] = alg->how == ALG_AUTO ? bytes_of(sign_digest_name(d)) : bytes_of("");
	pieces[1] = bytes_given(r->scheme->signature.prefix) ? r->scheme->signature.prefix
	                                                     : bytes_of("");
	pieces[2] = scheme_encode(r, r->scheme->signature.encoding,
	                          (knocker_bytes){computed, (int64_t)len});
	*out = scheme_join(r, pieces, 3);
	return 0;
}

static int32_t sign_candidate(scheme_reading *r, const scheme_try *t, const scheme_key *key,
                              knocker_bytes *out, knocker_error *error)
{
	const scheme_secret *secret = &r->keys->secrets[key->secret];
	knocker_bytes text = {secret->bytes, (int64_t)secret->len};

	switch (t->groups[key->group].kind->id) {
	case KIND_HMAC:
	case KIND_HASH:
		return sign_digest(r, t, key, out, error);
	case KIND_TOKEN:
		*out = text;
		return 0;
	case KIND_BASIC:
		*out = scheme_encode(r, ENCODING_BASE64, text);
		return 0;
	case KIND_JWT:
		return scheme_jwt_sign(r, t, key, out, error);
	case KIND_ED25519:
	case KIND_ECDSA_P256:
	case KIND_RSA_PKCS1:
		if (key->pair)
			return sign_digest(r, t, key, out, error);
		break;
	}
	return sign_refuse(error, "its key is a public one, which only verifies");
}

/* ---- the header's value: word, elements of vars, the signature ---- */

/* All separators are written: a sender's own library may want the blank behind the comma. */
static void sign_piece(buffer *b, size_t *count, knocker_bytes items, knocker_bytes piece)
{
	if ((*count)++ > 0)
		buffer_bytes(b, items);
	buffer_bytes(b, piece);
}

static void sign_elements(scheme_reading *r, const scheme_try *t, buffer *b, size_t *count)
{
	const scheme_signature *rules = &r->scheme->signature;
	size_t i;

	for (i = 0; i < r->scheme->var_count; i++) {
		const scheme_source *source = &t->vars[i].from.list[0];

		if (source->kind == SOURCE_SIGITEM)
			sign_piece(b, count, rules->items, r->vars[i]);
		if (source->kind != SOURCE_SIG)
			continue;
		sign_piece(b, count, rules->items, scheme_name_text(r, source->name));
		buffer_bytes(b, rules->kv);
		buffer_bytes(b, r->vars[i]);
	}
}

static void sign_value(scheme_reading *r, const scheme_try *t, const scheme_group *group,
                       knocker_bytes list, knocker_bytes candidate, buffer *b)
{
	const scheme_signature *rules = &r->scheme->signature;
	size_t count = 0;

	if (bytes_given(rules->word)) {
		buffer_bytes(b, rules->word);
		buffer_text(b, " ");
	}
	sign_elements(r, t, b, &count);
	if (bytes_given(list) && t->header_list.from.list[0].kind == SOURCE_SIG) {
		sign_piece(b, &count, rules->items, scheme_name_text(r, t->header_list.from.list[0].name));
		buffer_bytes(b, rules->kv);
		buffer_bytes(b, list);
	}
	if (bytes_given(rules->kv) && group->pick_count > 0) {
		sign_piece(b, &count, rules->items, scheme_name_text(r, group->pick[0]));
		buffer_bytes(b, rules->kv);
		buffer_bytes(b, candidate);
	} else {
		sign_piece(b, &count, rules->items, candidate);
	}
}

static void sign_header(scheme_reading *r, buffer *b, const scheme_source *source)
{
	knocker_bytes name = scheme_header_name(r, source->name);

	buffer_bytes(b, name);
	if (source->kind == SOURCE_HEADERS && name.len > 0 &&
	    ((const char *)name.data)[name.len - 1] == '-')
		buffer_text(b, "1");
	buffer_text(b, ": ");
}

/* Whether the receiver of a header would read this very value: a line's end in it would begin a
 * header that nobody asked for, and blanks around it are not read. */
static bool sign_sendable(knocker_bytes value)
{
	int64_t i;

	for (i = 0; i < value.len; i++) {
		uint8_t c = ((const uint8_t *)value.data)[i];

		if ((c < 0x20 && c != '\t') || c == 0x7F)
			return false;
	}
	return bytes_trim(value).len == value.len;
}

static int32_t sign_unsendable(scheme_reading *r, const scheme_source *source, knocker_error *error)
{
	return fail(error, KNOCKER_INVALID_ARGUMENT,
	            "%s cannot be sent: its text has a blank at an end, or a control character",
	            scheme_source_says(r, source));
}

/* Ends the line whose value begins at `from`. */
static int32_t sign_line_end(scheme_reading *r, buffer *b, const scheme_source *source, size_t from,
                             knocker_error *error)
{
	bool sendable = b->failed || sign_sendable(bytes_part(buffer_view(b), from, b->len));

	buffer_text(b, "\n");
	return sendable ? 0 : sign_unsendable(r, source, error);
}

/* The header in which the digest is named, where that is all that it holds: under the request's own
 * name for it, where it has one. */
static void sign_algorithm(scheme_reading *r, const scheme_alg *alg, buffer *b)
{
	knocker_bytes name;
	digest d;
	size_t i;

	if (alg->how != ALG_BY_SOURCE || alg->has_fallback || bytes_given(alg->pick) ||
	    alg->from.list[0].kind != SOURCE_HEADER || !scheme_digest_named(r, alg, &d, &name))
		return;
	for (i = 0; !bytes_given(name) && i < alg->map_count; i++)
		if (alg->map[i].digest == d)
			name = alg->map[i].name;
	if (!bytes_given(name))
		return;
	sign_header(r, b, &alg->from.list[0]);
	buffer_bytes(b, name);
	buffer_text(b, "\n");
}

/* The header in which other headers are listed. */
static void sign_list(scheme_reading *r, const scheme_try *t, knocker_bytes list, buffer *b)
{
	if (!bytes_given(list) || t->header_list.from.list[0].kind != SOURCE_HEADER)
		return;
	sign_header(r, b, &t->header_list.from.list[0]);
	buffer_bytes(b, list);
	buffer_text(b, "\n");
}

/* ---- the whole ---- */

/* The family of which the request already has a header, else the first. */
static const scheme_try *sign_family(scheme_reading *r)
{
	const scheme *s = r->scheme;
	size_t i, k;

	for (i = 0; i < s->try_count; i++)
		for (k = 0; k < s->var_count; k++)
			if (s->tries[i].vars[k].from.list[0].kind == SOURCE_HEADER &&
			    bytes_given(scheme_source_read(r, &s->tries[i].vars[k].from.list[0]).text))
				return &s->tries[i];
	return s->tries;
}

static int32_t sign_write(scheme_reading *r, const scheme_key *key, buffer *out,
                          knocker_error *error)
{
	const scheme_try *t = r->current = sign_family(r);
	const scheme_source *where = &t->from.list[0];
	knocker_bytes candidate = {0}, list = {0};
	int32_t rc = 0;
	size_t i, from;

	if (where->kind != SOURCE_HEADER && where->kind != SOURCE_HEADERS)
		return sign_refuse(error, "its signature stands elsewhere");
	for (i = 0; rc == 0 && i < r->scheme->var_count; i++)
		rc = sign_var(r, &t->vars[i], &r->vars[i], error);
	if (rc == 0)
		rc = scheme_header_list_make(r, &list, error);
	if (rc == 0)
		rc = sign_candidate(r, t, key, &candidate, error);
	if (rc == 0 && !sign_sendable(candidate))
		rc = sign_unsendable(r, where, error);
	if (rc < 0)
		return rc;
	for (i = 0; rc == 0 && i < r->scheme->var_count; i++) {
		if (t->vars[i].from.list[0].kind != SOURCE_HEADER)
			continue;
		sign_header(r, out, &t->vars[i].from.list[0]);
		from = out->len;
		buffer_bytes(out, r->vars[i]);
		rc = sign_line_end(r, out, &t->vars[i].from.list[0], from, error);
	}
	if (rc < 0)
		return rc;
	sign_algorithm(r, &t->groups[key->group].alg, out);
	sign_list(r, t, list, out);
	sign_header(r, out, where);
	from = out->len;
	sign_value(r, t, &t->groups[key->group], list, candidate, out);
	return sign_line_end(r, out, where, from, error);
}

int32_t scheme_sign(const scheme *s, const scheme_keys *keys, const scheme_request *request,
                    int64_t now_s, buffer *out, knocker_error *error)
{
	arena memory = {0};
	scheme_reading r;
	int32_t rc;

	if (keys->key_count == 0)
		return fail(error, KNOCKER_INVALID_ARGUMENT,
		            "a secret is missing: nothing can be signed without one");
	if (now_s < 0)
		return fail(error, KNOCKER_INVALID_ARGUMENT, "the time %lld is before 1970",
		            (long long)now_s);
	scheme_reading_begin(&r, s, keys, request, now_s, &memory);
	rc = sign_write(&r, &keys->keys[0], out, error);
	if (rc == 0 && (r.no_memory || out->failed))
		rc = fail_memory(error);
	arena_free(&memory);
	return rc;
}

/* ==== core/src/scheme_sign_jwt.c ==== */

/* The token that a sender would send: the claims that the scheme asks for, signed. Knows nothing of
 * the header that it goes in. */
#include <string.h>




#define JWT_LIFE_S 300 /* of a token made here: as long as the usual window */

static jwt_alg jwt_sign_alg(const scheme_jwt *rules, const scheme_key *key)
{
	size_t i = 0;

	if (key->pair)
		return crypto_public_kind_of(key->pair) == PUBLIC_RSA ? JWT_RS256 : JWT_ES256;
	while (!(rules->algs >> i & 1))
		i++;
	return (jwt_alg)i;
}

/* ---- claims ---- */

static const scheme_claim *jwt_sign_rule(const scheme_jwt *rules, size_t slot)
{
	size_t i;

	for (i = 0; i < rules->claim_count; i++)
		if (rules->claims[i].slot == slot)
			return &rules->claims[i];
	return NULL;
}

/* The value that the scheme compares with: a text, but true, false and null stand bare. */
static bool jwt_sign_ruled(scheme_reading *r, const scheme_claim *claim, knocker_bytes *text)
{
	const scheme_template *t = &claim->texts.list[0];
	knocker_bytes parts[SCHEME_PARTS_MAX];
	char *hex;

	if (!scheme_template_fill(r, t, claim->is_hash, NULL, 0, parts))
		return false;
	*text = scheme_join(r, parts, t->count);
	if (!claim->is_hash)
		return bytes_given(*text);
	hex = arena_get(r->arena, 65);
	r->no_memory |= !hex || !bytes_given(*text) || !crypto_sha256_hex(*text, hex);
	*text = r->no_memory ? (knocker_bytes){0} : bytes_of(hex);
	return bytes_given(*text);
}

static const scheme_var *jwt_sign_var(const scheme_reading *r, const scheme_try *t, size_t slot)
{
	size_t i;

	for (i = 0; i < r->scheme->var_count; i++)
		if (t->vars[i].from.list[0].kind == SOURCE_CLAIM && t->vars[i].from.list[0].slot == slot)
			return &t->vars[i];
	return NULL;
}

static bool jwt_sign_required(const scheme_jwt *rules, size_t slot)
{
	size_t i;

	for (i = 0; i < rules->require_count; i++)
		if (rules->require[i] == slot)
			return true;
	return false;
}

static void jwt_sign_text(buffer *b, knocker_bytes text)
{
	if (bytes_is(text, "true") || bytes_is(text, "false"))
		buffer_bytes(b, text);
	else
		buffer_json(b, text);
}

/* Writes the claim's value; false: nobody here knows one. */
static bool jwt_sign_value(scheme_reading *r, const scheme_try *t, size_t slot, buffer *b)
{
	knocker_bytes name = r->scheme->claims[slot].text, text;
	const scheme_claim *claim = jwt_sign_rule(&t->jwt, slot);
	const scheme_var *var = jwt_sign_var(r, t, slot);
	char time[32];

	if (claim) {
		if (!jwt_sign_ruled(r, claim, &text))
			return false;
		jwt_sign_text(b, text);
	} else if (var && var->unit != UNIT_NONE) {
		codec_time_write(var->unit, r->now_s, time);
		if (var->unit == UNIT_S || var->unit == UNIT_MS)
			buffer_text(b, time);
		else
			buffer_json(b, bytes_of(time));
	} else if (bytes_is(name, "exp")) {
		buffer_int(b, r->now_s + JWT_LIFE_S);
	} else if (bytes_is(name, "iat") || bytes_is(name, "nbf")) {
		buffer_int(b, r->now_s);
	} else if (bytes_is(name, "jti") || var) {
		buffer_json(b, scheme_made_up(r));
	} else {
		return false;
	}
	return true;
}

static int32_t jwt_sign_claims(scheme_reading *r, const scheme_try *t, buffer *b,
                               knocker_error *error)
{
	size_t i, count = 0;

	buffer_text(b, "{");
	for (i = 0; i < r->scheme->claim_count; i++) {
		const scheme_claim *claim = jwt_sign_rule(&t->jwt, i);
		knocker_bytes name = r->scheme->claims[i].text;
		bool is_whole = r->scheme->claims[i].is_whole;
		size_t before = b->len;

		if (claim && claim->if_body && r->request->body.len <= 0)
			continue;
		buffer_text(b, count > 0 ? "," : "");
		buffer_json(b, name);
		buffer_text(b, ":");
		if ((is_whole || bytes_find(name, '.') < 0) && jwt_sign_value(r, t, i, b)) {
			count++;
			continue;
		}
		if (claim || jwt_sign_required(&t->jwt, i) || jwt_sign_var(r, t, i))
			return fail(error, KNOCKER_INVALID_ARGUMENT,
			            "the request cannot be signed: nothing says what claim '%.*s' is",
			            QUOTED(name));
		b->len = before;
	}
	buffer_text(b, "}");
	return 0;
}

/* ---- the whole ---- */

static size_t jwt_sign_bytes(const scheme_key *key, jwt_alg alg, knocker_bytes body,
                             uint8_t out[CRYPTO_SIGNATURE_MAX])
{
	digest d = scheme_jwt_digest(alg);
	uint8_t numbers[64];
	size_t len;

	if (!key->pair)
		return crypto_key_hmac(key->hmac[d], &body, 1, out);
	len = crypto_public_sign(key->pair, d, body, out);
	if (alg != JWT_ES256 || len == 0)
		return len;
	if (!crypto_ecdsa_numbers((knocker_bytes){out, (int64_t)len}, numbers))
		return 0;
	memcpy(out, numbers, sizeof numbers);
	return sizeof numbers;
}

static void jwt_sign_header(const scheme_key *key, jwt_alg alg, buffer *b)
{
	buffer_text(b, "{\"alg\":\"");
	buffer_text(b, scheme_jwt_name(alg));
	buffer_text(b, "\",\"typ\":\"JWT\"");
	if (key->id) {
		buffer_text(b, ",\"kid\":");
		buffer_json(b, (knocker_bytes){key->id, (int64_t)key->id_len});
	}
	buffer_text(b, "}");
}

int32_t scheme_jwt_sign(scheme_reading *r, const scheme_try *t, const scheme_key *key,
                        knocker_bytes *out, knocker_error *error)
{
	jwt_alg alg = jwt_sign_alg(&t->jwt, key);
	uint8_t signature[CRYPTO_SIGNATURE_MAX];
	knocker_bytes parts[3] = {{0}, bytes_of("."), {0}}, body;
	buffer header, claims;
	size_t len;
	int32_t rc;

	buffer_init(&header, LIMIT_JSON);
	buffer_init(&claims, LIMIT_JSON);
	jwt_sign_header(key, alg, &header);
	rc = jwt_sign_claims(r, t, &claims, error);
	if (rc == 0 && (header.failed || claims.failed))
		rc = fail_memory(error);
	if (rc == 0) {
		parts[0] = scheme_encode(r, ENCODING_BASE64URL, buffer_view(&header));
		parts[2] = scheme_encode(r, ENCODING_BASE64URL, buffer_view(&claims));
		body = parts[0] = scheme_join(r, parts, 3);
		len = bytes_given(body) ? jwt_sign_bytes(key, alg, body, signature) : 0;
		parts[2] = scheme_encode(r, ENCODING_BASE64URL, (knocker_bytes){signature, (int64_t)len});
		*out = bytes_given(body) ? scheme_join(r, parts, 3) : body;
		if (len == 0)
			rc = fail(
				error, KNOCKER_INVALID_ARGUMENT,
				"the request cannot be signed: the secret is a public key, which only verifies");
	}
	buffer_free(&header);
	buffer_free(&claims);
	return rc;
}

/* ==== core/src/scheme_source.c ==== */

/* Reads the texts that a scheme names out of one request. Knows where they stand; refuses to know
 * what they are for. */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>



/* ---- why a request is refused ---- */

void scheme_refuse(scheme_reading *r, refusal rank, const char *format, ...)
{
	va_list arguments;
	char *text;

	if (rank <= r->refusal)
		return;
	r->refusal = rank;
	r->error = "the request was refused";
	text = arena_get(r->arena, 200);
	if (!text) {
		r->no_memory = true;
		return;
	}
	va_start(arguments, format);
	vsnprintf(text, 200, format, arguments);
	va_end(arguments);
	r->error = text;
}

const char *scheme_shown(scheme_reading *r, knocker_bytes text)
{
	size_t i, len = text.len < 40 ? (size_t)text.len : 40;
	char *shown = arena_get(r->arena, 44);

	if (!shown) {
		r->no_memory = true;
		return "";
	}
	for (i = 0; i < len; i++) {
		char c = ((const char *)text.data)[i];

		shown[i] = c >= 0x20 && c < 0x7F ? c : '?';
	}
	if (text.len > 40)
		memcpy(shown + len, "...", 3);
	return shown;
}

const char *scheme_source_says(scheme_reading *r, const scheme_source *source)
{
	static const char *const says[] = {"header '",
	                                   "headers '",
	                                   "JSON member '",
	                                   "JSON member '",
	                                   "form field '",
	                                   "query member '",
	                                   "element '",
	                                   "item '",
	                                   "claim '",
	                                   "option '",
	                                   "'"};
	const char *name = source->kind == SOURCE_JOIN
	                       ? scheme_shown(r, source->word)
	                       : scheme_shown(r, scheme_name_text(r, source->name));
	char *text = arena_get(r->arena, 80);

	if (!text) {
		r->no_memory = true;
		return "";
	}
	snprintf(text, 80, "%s%s'", says[source->kind], name);
	return text;
}

/* ---- the beginning: one pass over the headers ---- */

static void scheme_header_note(scheme_text *slot, knocker_bytes value)
{
	if (!bytes_given(slot->text))
		slot->text = value;
	else if (!bytes_equal(slot->text, value))
		slot->ambiguous = true;
}

knocker_bytes scheme_lower(scheme_reading *r, knocker_bytes text)
{
	knocker_bytes lower;

	if (!arena_copy(r->arena, text, &lower)) {
		r->no_memory = true;
		return text;
	}
	bytes_lower(lower);
	return lower;
}

/* A header's name as request_name_is wants it; an option has it in any case. */
knocker_bytes scheme_header_name(scheme_reading *r, scheme_name name)
{
	knocker_bytes text = scheme_name_text(r, name);

	return name.has_option ? scheme_lower(r, text) : text;
}

void scheme_headers_read(scheme_reading *r)
{
	size_t i, at = 0, count = r->scheme->header_count;
	knocker_bytes names[SCHEME_HEADERS_MAX], name, value;

	for (i = 0; i < count; i++) {
		names[i] = scheme_header_name(r, r->scheme->headers[i]);
		r->headers[i] = (scheme_text){0};
	}
	while (request_header_next(r->request->headers, &at, &name, &value))
		for (i = 0; i < count; i++)
			if (request_name_is(name, names[i]))
				scheme_header_note(&r->headers[i], value);
}

void scheme_reading_begin(scheme_reading *r, const scheme *s, const scheme_keys *keys,
                          const scheme_request *request, int64_t now_s, arena *a)
{
	r->scheme = s;
	r->keys = keys;
	r->request = request;
	r->now_s = now_s;
	r->arena = a;
	r->no_memory = r->extracting = r->form_json = r->has_item = r->has_signature = false;
	r->body = r->form_body = BODY_UNREAD;
	r->paths = s->cut;
	r->item_paths = s->item_cut;
	r->claim_paths = s->claim_cut;
	r->token = (knocker_bytes){0};
	memset(r->claims, 0, s->claim_count * sizeof *r->claims);
	r->current = s->tries;
	r->item_count = r->candidate_count = r->candidates_seen = r->url_try_count = 0;
	r->matched = NULL;
	r->refusal = REFUSED_NOT;
	r->error = NULL;
	memset(r->vars, 0, sizeof r->vars);
	memset(r->ids, 0, sizeof r->ids);
	scheme_headers_read(r);
}

/* ---- names with options in them ---- */

knocker_bytes scheme_name_text(scheme_reading *r, scheme_name name)
{
	const char *text = name.text.data;
	buffer out;
	knocker_bytes made;
	size_t at = 0, len = (size_t)name.text.len;

	if (!name.has_option)
		return name.text;
	buffer_init(&out, LIMIT_JSON);
	while (at < len) {
		knocker_bytes rest = bytes_part(name.text, at, len);
		int64_t end = bytes_starts(rest, "{option:") ? bytes_find(rest, '}') : -1;

		if (end < 0) {
			buffer_add(&out, text + at++, 1);
			continue;
		}
		buffer_bytes(&out, scheme_option_text(r->scheme, r->keys,
		                                      (size_t)scheme_option_find(r->scheme,
		                                                                 bytes_part(rest, 8,
		                                                                            (size_t)end))));
		at += (size_t)end + 1;
	}
	if (out.failed || !arena_copy(r->arena, buffer_view(&out), &made)) {
		r->no_memory = true;
		made = bytes_of("");
	}
	buffer_free(&out);
	return made;
}

/* ---- JSON ---- */

bool scheme_path_cut(scheme_name name, knocker_bytes text, knocker_bytes *steps, scan_path *out)
{
	if (!name.is_whole)
		return scan_path_cut(text, steps, out);
	steps[0] = text;
	*out = (scan_path){1, steps};
	return true;
}

/* Cuts anew the paths in which options stand. */
static const scan_path *scheme_paths_cut(scheme_reading *r, const scheme_name *names, size_t count)
{
	scan_path *paths = arena_get(r->arena, (count ? count : 1) * sizeof *paths);
	size_t i;

	for (i = 0; paths && i < count; i++) {
		knocker_bytes *steps = arena_get(r->arena, SCAN_STEPS_MAX * sizeof *steps);

		if (!steps)
			paths = NULL;
		else
			scheme_path_cut(names[i], scheme_name_text(r, names[i]), steps, &paths[i]);
	}
	if (!paths)
		r->no_memory = true;
	return paths;
}

static void scheme_paths_prepare(scheme_reading *r)
{
	const scheme *s = r->scheme;

	if (!s->paths_dynamic || r->paths != s->cut)
		return;
	r->paths = scheme_paths_cut(r, s->paths, s->path_count);
	r->item_paths = scheme_paths_cut(r, s->item_paths, s->item_path_count);
	r->claim_paths = scheme_paths_cut(r, s->claims, s->claim_count);
	if (!r->paths || !r->item_paths || !r->claim_paths) {
		r->paths = s->cut;
		r->item_paths = s->item_cut;
		r->claim_paths = s->claim_cut;
	}
}

bool scheme_body_is_json(scheme_reading *r)
{
	if (r->body == BODY_UNREAD) {
		scheme_paths_prepare(r);
		r->body = scan_all(r->request->body, r->paths, r->scheme->path_count, r->values)
		              ? BODY_JSON
		              : BODY_OTHER;
	}
	return r->body == BODY_JSON;
}

/* The form's field that holds JSON, for a body that is none. */
static void scheme_form_json_read(scheme_reading *r)
{
	knocker_bytes text = {0};
	bool different;
	int64_t found;

	if (r->form_body != BODY_UNREAD)
		return;
	found = request_pair_find(r->arena, r->request->body, r->scheme->form_json_field, &text,
	                          &different);
	r->no_memory |= found < 0;
	if (found < 1 || different)
		text = (knocker_bytes){0};
	r->form_body = scan_all(text, r->paths, r->scheme->path_count, r->form_values) ? BODY_JSON
	                                                                               : BODY_OTHER;
}

const scan_value *scheme_body_values(scheme_reading *r)
{
	if (scheme_body_is_json(r) || !r->form_json || !bytes_given(r->scheme->form_json_field))
		return r->values;
	scheme_form_json_read(r);
	return r->form_values;
}

void scheme_item_enter(scheme_reading *r, scan_value item)
{
	scheme_paths_prepare(r);
	r->has_item = true;
	if (item.type == SCAN_ABSENT)
		item.raw = bytes_of("");
	scan_all(item.raw, r->item_paths, r->scheme->item_path_count, r->item_values);
}

void scheme_token_enter(scheme_reading *r, knocker_bytes claims)
{
	r->token = claims;
	if (r->scheme->claim_count == 0)
		return;
	scheme_paths_prepare(r);
	scan_all(bytes_given(claims) ? claims : bytes_of(""), r->claim_paths, r->scheme->claim_count,
	         r->claims);
}

static scheme_text scheme_value_text(scheme_reading *r, scan_value v)
{
	scheme_text read = {0};
	size_t max = r->extracting ? LIMIT_ID : v.raw.len > 0 ? (size_t)v.raw.len : 0;

	read.is_null = v.type == SCAN_ABSENT || v.type == SCAN_NULL;
	read.is_number = v.type == SCAN_NUMBER;
	read.text = scan_text(v, r->arena, max);
	r->no_memory |= read.text.len < 0;
	if (bytes_given(read.text) && read.text.len == 0)
		read.is_null = true;
	return read;
}

/* ---- the other places ---- */

static scheme_text scheme_pair_text(scheme_reading *r, knocker_bytes raw, knocker_bytes name)
{
	scheme_text read = {0};
	int64_t found = request_pair_find(r->arena, raw, name, &read.text, &read.ambiguous);

	r->no_memory |= found < 0;
	if (found < 1)
		read.text = (knocker_bytes){0};
	return read;
}

static scheme_text scheme_form_text(scheme_reading *r, knocker_bytes name)
{
	if (r->extracting && scheme_body_is_json(r))
		return (scheme_text){0};
	return scheme_pair_text(r, r->request->body, name);
}

/* The values of the signature's elements of that name. */
static scheme_text scheme_element_text(scheme_reading *r, knocker_bytes name)
{
	knocker_bytes kv = r->scheme->signature.kv;
	scheme_text read = {0};
	size_t i;

	for (i = 0; i < r->item_count; i++) {
		knocker_bytes item = r->items[i];
		size_t head = (size_t)name.len + (size_t)kv.len;

		if ((size_t)item.len < head || memcmp(item.data, name.data, (size_t)name.len) != 0 ||
		    memcmp((const char *)item.data + name.len, kv.data, (size_t)kv.len) != 0)
			continue;
		scheme_header_note(&read, bytes_part(item, head, (size_t)item.len));
	}
	return read;
}

static scheme_text scheme_join_text(scheme_reading *r, const scheme_source *join)
{
	knocker_bytes parts[SCHEME_PARTS_MAX], separator = scheme_name_text(r, join->name);
	scheme_text read = {0};
	size_t i, count = 0;

	for (i = 0; i < join->piece_count; i++) {
		scheme_text piece = scheme_source_read(r, &join->pieces[i]);

		if (!bytes_given(piece.text) || piece.ambiguous)
			return piece;
		if (i > 0)
			parts[count++] = separator;
		parts[count++] = piece.text;
	}
	read.text = scheme_join(r, parts, count);
	return read;
}

static scheme_text scheme_source_find(scheme_reading *r, const scheme_source *source)
{
	scheme_text read = {0};

	switch (source->kind) {
	case SOURCE_HEADER:
		return r->headers[source->slot];
	case SOURCE_JSON:
		return scheme_value_text(r, scheme_body_values(r)[source->slot]);
	case SOURCE_ITEM:
		if (!r->has_item)
			return (scheme_text){.is_null = true};
		return scheme_value_text(r, r->item_values[source->slot]);
	case SOURCE_FORM:
		return scheme_form_text(r, scheme_name_text(r, source->name));
	case SOURCE_QUERY:
		return scheme_pair_text(r, r->request->query, scheme_name_text(r, source->name));
	case SOURCE_SIG:
		return scheme_element_text(r, scheme_name_text(r, source->name));
	case SOURCE_SIGITEM:
		if (source->slot < r->item_count)
			read.text = r->items[source->slot];
		return read;
	case SOURCE_CLAIM:
		return scheme_value_text(r, r->claims[source->slot]);
	case SOURCE_OPTION:
		read.text = scheme_option_text(r->scheme, r->keys, source->slot);
		return read;
	case SOURCE_JOIN:
		return scheme_join_text(r, source);
	case SOURCE_HEADERS:
		break;
	}
	return read;
}

scheme_text scheme_source_read(scheme_reading *r, const scheme_source *source)
{
	scheme_text read = scheme_source_find(r, source);

	if (read.ambiguous && r->extracting)
		return (scheme_text){0};
	if (read.text.len == 0) {
		read.text = (knocker_bytes){0};
		if (source->kind != SOURCE_JSON && source->kind != SOURCE_ITEM &&
		    source->kind != SOURCE_CLAIM)
			read.is_null = true;
	}
	return read;
}

scheme_text scheme_sources_read(scheme_reading *r, scheme_sources sources)
{
	scheme_text read = {0};
	size_t i;

	for (i = 0; i < sources.count; i++) {
		read = scheme_source_read(r, &sources.list[i]);
		if (bytes_given(read.text) || read.ambiguous)
			return read;
	}
	return read;
}

/* ==== core/src/scheme_template.c ==== */

/* Fills templates: the strings that are signed, identities, answers. Knows nothing of what is done
 * with them. */
#include <stdio.h>
#include <string.h>



bool scheme_template_has(const scheme_template *t, part_kind kind)
{
	size_t i;

	for (i = 0; i < t->count; i++)
		if (t->parts[i].kind == kind)
			return true;
	return false;
}

knocker_bytes scheme_join(scheme_reading *r, const knocker_bytes *parts, size_t count)
{
	size_t i, len = 0, at = 0;
	uint8_t *text;

	for (i = 0; i < count; i++)
		len += (size_t)parts[i].len;
	text = arena_get(r->arena, len + 1);
	if (!text) {
		r->no_memory = true;
		return (knocker_bytes){0};
	}
	for (i = 0; i < count; i++) {
		if (parts[i].len > 0)
			memcpy(text + at, parts[i].data, (size_t)parts[i].len);
		at += (size_t)parts[i].len;
	}
	return (knocker_bytes){text, (int64_t)len};
}

static knocker_bytes scheme_body_b64(scheme_reading *r)
{
	knocker_bytes body = r->request->body;
	char *text = arena_get(r->arena, ((size_t)body.len + 2) / 3 * 4 + 1);

	if (!text) {
		r->no_memory = true;
		return (knocker_bytes){0};
	}
	return (knocker_bytes){text, (int64_t)codec_base64_write(body, false, text)};
}

static knocker_bytes scheme_body_md5(scheme_reading *r)
{
	char *text = arena_get(r->arena, 24);
	uint8_t md5[16];

	if (!text || !crypto_md5(r->request->body, md5)) {
		r->no_memory = true;
		return (knocker_bytes){0};
	}
	return (knocker_bytes){text,
	                       (int64_t)codec_base64_write((knocker_bytes){md5, 16}, false, text)};
}

static knocker_bytes scheme_body_crc32(scheme_reading *r)
{
	char *text = arena_get(r->arena, 16);

	if (!text) {
		r->no_memory = true;
		return (knocker_bytes){0};
	}
	return (knocker_bytes){text,
	                       snprintf(text, 16, "%lu", (unsigned long)codec_crc32(r->request->body))};
}

/* The option `method`, else the request's; upper-case. */
static knocker_bytes scheme_method(scheme_reading *r)
{
	knocker_bytes method = r->request->method, upper;
	int64_t i;

	if (r->scheme->option_method >= 0) {
		knocker_bytes option = scheme_option_text(r->scheme, r->keys,
		                                          (size_t)r->scheme->option_method);

		method = bytes_given(option) ? option : method;
	}
	if (!bytes_given(method) || method.len == 0)
		return bytes_of("POST");
	if (!arena_copy(r->arena, method, &upper)) {
		r->no_memory = true;
		return method;
	}
	for (i = 0; i < upper.len; i++) {
		char *c = (char *)upper.data + i;

		*c = *c >= 'a' && *c <= 'z' ? (char)(*c - 32) : *c;
	}
	return upper;
}

bool scheme_hmac_hex(scheme_reading *r, knocker_bytes text, knocker_bytes *out)
{
	const scheme_key *key = r->matched;
	uint8_t mac[DIGEST_MAX];
	size_t i, len;
	char *hex;
	digest d;

	for (i = 0; i < r->keys->key_count && !key; i++)
		if (r->keys->keys[i].group == 0)
			key = &r->keys->keys[i];
	if (!key || !bytes_given(text))
		return false;
	d = r->scheme->tries[0].groups[key->group].alg.fixed;
	len = key->hmac[d] ? crypto_key_hmac(key->hmac[d], &text, 1, mac) : 0;
	hex = len > 0 ? arena_get(r->arena, 2 * len + 1) : NULL;
	r->no_memory |= key->hmac[d] && !hex;
	if (!hex)
		return false;
	*out = (knocker_bytes){hex, (int64_t)codec_hex_write((knocker_bytes){mac, (int64_t)len}, hex)};
	return true;
}

static knocker_bytes scheme_part_source(scheme_reading *r, const scheme_part *part, bool is_signed,
                                        bool *good)
{
	scheme_text read = scheme_source_read(r, &part->source);

	if (read.ambiguous) {
		scheme_refuse(r, REFUSED_AMBIGUOUS, "different values of %s",
		              scheme_source_says(r, &part->source));
		*good = false;
	} else if (!bytes_given(read.text) && is_signed) {
		return bytes_of("");
	}
	return read.text;
}

/* The name and the text of each piece that has one, on lines of their own. A piece that is no text
 * would be left out of what is signed and yet be read by somebody. */
static knocker_bytes scheme_json_lines(scheme_reading *r, const scheme_part *part, bool *good)
{
	knocker_bytes parts[4 * (SCHEME_PARTS_MAX / 2)];
	size_t i, count = 0;

	for (i = 0; i < part->source.piece_count; i++) {
		const scheme_source *piece = &part->source.pieces[i];
		scheme_text read = scheme_source_read(r, piece);

		if (!bytes_given(read.text) && !read.is_null && scheme_body_is_json(r)) {
			scheme_refuse(r, REFUSED_MISMATCH, "%s is no text", scheme_source_says(r, piece));
			*good = false;
		}
		if (!bytes_given(read.text))
			continue;
		parts[count++] = scheme_name_text(r, piece->name);
		parts[count++] = bytes_of("\n");
		parts[count++] = read.text;
		parts[count++] = bytes_of("\n");
	}
	return scheme_join(r, parts, count);
}

/* The spellings of the URL and the form. */
static knocker_bytes scheme_part_url(scheme_reading *r, part_kind kind)
{
	switch (kind) {
	case PART_URL_NOQUERY:
		return scheme_url_noquery(scheme_url(r));
	case PART_URL_PATH:
		return scheme_url_path(scheme_url(r));
	case PART_URL_UNESCAPED:
		return scheme_url_unescaped(r, scheme_url(r));
	case PART_FORM_SORTED:
		return scheme_form_sorted(r, false);
	case PART_FORM_SORTED_UNIQUE:
		return scheme_form_sorted(r, true);
	case PART_URL_FORM_SORTED:
		return scheme_url_form_sorted(r);
	case PART_QUERY_CANONICAL:
		return scheme_query_canonical(r);
	case PART_URI_ESCAPED:
		return scheme_uri_escaped(r);
	default:
		return scheme_url(r);
	}
}

static knocker_bytes scheme_part_text(scheme_reading *r, const scheme_part *part, bool is_signed,
                                      const scheme_key *key, size_t attempt, bool *good)
{
	knocker_bytes text = {0};

	switch (part->kind) {
	case PART_LITERAL:
		return part->literal;
	case PART_BODY:
		return r->request->body.len > 0 ? r->request->body : is_signed ? bytes_of("") : text;
	case PART_BODY_B64:
		return scheme_body_b64(r);
	case PART_MD5_B64:
		return scheme_body_md5(r);
	case PART_CRC32:
		return scheme_body_crc32(r);
	case PART_METHOD:
		return scheme_method(r);
	case PART_URL:
	case PART_URL_NOQUERY:
	case PART_URL_PATH:
	case PART_URL_UNESCAPED:
	case PART_FORM_SORTED:
	case PART_FORM_SORTED_UNIQUE:
	case PART_URL_FORM_SORTED:
	case PART_QUERY_CANONICAL:
	case PART_URI_ESCAPED:
		return scheme_part_url(r, part->kind);
	case PART_URL_TRIES:
		return attempt < r->url_try_count ? r->url_tries[attempt] : text;
	case PART_HEADER_LIST:
		return scheme_header_list_text(r, good);
	case PART_JSON_LINES:
		return scheme_json_lines(r, part, good);
	case PART_SECRET:
		return key ? (knocker_bytes){key->bytes, (int64_t)key->len} : text;
	case PART_DELIVERY_ID:
		return r->ids[ID_DELIVERY];
	case PART_EVENT_ID:
		return r->ids[ID_EVENT];
	case PART_EVENT_TYPE:
		return r->ids[ID_TYPE];
	case PART_VAR:
		return r->vars[part->number];
	case PART_SOURCE:
		return scheme_part_source(r, part, is_signed, good);
	case PART_HMAC:
		text = scheme_part_source(r, part, is_signed, good);
		*good = *good && scheme_hmac_hex(r, text, &text);
		return text;
	case PART_MEMBER:
		break;
	}
	return text;
}

bool scheme_template_fill(scheme_reading *r, const scheme_template *t, bool is_signed,
                          const scheme_key *key, size_t attempt, knocker_bytes *parts)
{
	bool good = true;
	size_t i;

	for (i = 0; i < t->count && good; i++) {
		parts[i] = scheme_part_text(r, &t->parts[i], is_signed, key, attempt, &good);
		if (!is_signed && (!bytes_given(parts[i]) || parts[i].len == 0))
			return false;
	}
	return good;
}

knocker_bytes scheme_template_text(scheme_reading *r, const scheme_template *t)
{
	knocker_bytes parts[SCHEME_PARTS_MAX];

	if (!scheme_template_fill(r, t, false, NULL, 0, parts))
		return (knocker_bytes){0};
	if (t->count == 1 && t->parts[0].kind != PART_LITERAL)
		return parts[0]; /* a body may be large; a literal would be the scheme's own */
	return scheme_join(r, parts, t->count);
}

/* ==== core/src/scheme_url.c ==== */

/* Spells a request's URL and form in the ways that senders sign them. Knows nothing of signatures.
 */
#include <stdlib.h>
#include <string.h>



static knocker_bytes url_kept(scheme_reading *r, buffer *b)
{
	knocker_bytes kept = {0};

	if (b->failed || !arena_copy(r->arena, buffer_view(b), &kept))
		r->no_memory = true;
	buffer_free(b);
	return bytes_given(kept) ? kept : bytes_of("");
}

/* The option `url`; where that has no query and the request has one, "?" and the raw query. */
knocker_bytes scheme_url(scheme_reading *r)
{
	ptrdiff_t option = r->scheme->option_url;
	knocker_bytes url = option >= 0 ? scheme_option_text(r->scheme, r->keys, (size_t)option)
	                                : (knocker_bytes){0};
	knocker_bytes parts[3] = {url, bytes_of("?"), r->request->query};

	if (!bytes_given(url) || bytes_find(url, '?') >= 0 || r->request->query.len <= 0)
		return bytes_given(url) ? url : bytes_of("");
	return scheme_join(r, parts, 3);
}

knocker_bytes scheme_url_noquery(knocker_bytes url)
{
	int64_t mark = bytes_find(url, '?');

	return mark < 0 ? url : bytes_part(url, 0, (size_t)mark);
}

/* %3A %2F %3F %40 %21 %24 %27 %28 %29 %2A %2C %3B, in either case, decoded. */
knocker_bytes scheme_url_unescaped(scheme_reading *r, knocker_bytes url)
{
	const char *s = url.data;
	char *out = arena_get(r->arena, (size_t)url.len + 1);
	size_t i, at = 0, len;
	uint8_t byte[2];

	if (!out) {
		r->no_memory = true;
		return url;
	}
	for (i = 0; i < (size_t)url.len; i++) {
		if (s[i] == '%' && (size_t)url.len - i >= 3 &&
		    codec_hex(bytes_part(url, i + 1, i + 3), byte, &len) && byte[0] != 0 &&
		    bytes_find(bytes_of(":/?@!$'()*,;"), (char)byte[0]) >= 0) {
			out[at++] = (char)byte[0];
			i += 2;
		} else {
			out[at++] = s[i];
		}
	}
	return (knocker_bytes){out, (int64_t)at};
}

/* ---- {url~} ---- */

typedef struct {
	/* Port with its colon, query with its mark; both may be empty. */
	knocker_bytes scheme, host, port, path, query;
} url_parts;

static bool url_split(knocker_bytes url, url_parts *out)
{
	const char *s = url.data;
	size_t len = (size_t)url.len, from, at, colon;
	int64_t mark = bytes_find(url, ':');

	if (mark < 0 || len - (size_t)mark < 3 || s[mark + 1] != '/' || s[mark + 2] != '/')
		return false;
	out->scheme = bytes_part(url, 0, (size_t)mark);
	from = at = (size_t)mark + 3;
	while (at < len && s[at] != '/' && s[at] != '?' && s[at] != '#')
		at++;
	colon = at;
	while (colon > from && s[colon - 1] >= '0' && s[colon - 1] <= '9')
		colon--;
	colon = colon > from && s[colon - 1] == ':' ? colon - 1 : at;
	out->host = bytes_part(url, from, colon);
	out->port = bytes_part(url, colon, at);
	from = at;
	while (at < len && s[at] != '?')
		at++;
	out->path = bytes_part(url, from, at);
	out->query = bytes_part(url, at, len);
	return true;
}

static void url_escape(buffer *b, uint8_t c)
{
	static const char digits[] = "0123456789ABCDEF";
	char escape[3] = {'%', digits[c >> 4], digits[c & 15]};

	buffer_add(b, escape, sizeof escape);
}

static void url_lower(buffer *b, knocker_bytes text)
{
	int64_t i;

	for (i = 0; i < text.len; i++) {
		char c = ((const char *)text.data)[i];

		c = c >= 'A' && c <= 'Z' ? (char)(c + 32) : c;
		buffer_add(b, &c, 1);
	}
}

/* Escapes what a URL does not hold as it is, and `more`. */
static void url_normal(buffer *b, knocker_bytes text, const char *more)
{
	knocker_bytes marks = bytes_of(more);
	int64_t i;

	for (i = 0; i < text.len; i++) {
		uint8_t c = ((const uint8_t *)text.data)[i];

		if (c <= 0x20 || c >= 0x7F || bytes_find(bytes_of("\"<>"), (char)c) >= 0 ||
		    bytes_find(marks, (char)c) >= 0)
			url_escape(b, c);
		else
			buffer_add(b, &c, 1);
	}
}

/* Escapes all but letters, digits and `marks`. */
static void url_component(buffer *b, knocker_bytes text, const char *marks)
{
	int64_t i;

	for (i = 0; i < text.len; i++) {
		char c = ((const char *)text.data)[i];
		bool plain = (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') ||
		             (c != 0 && bytes_find(bytes_of(marks), c) >= 0);

		if (plain)
			buffer_add(b, &c, 1);
		else
			url_escape(b, (uint8_t)c);
	}
}

typedef struct {
	knocker_bytes name, value;
	size_t order;
	bool done;
} url_pair;

/* The decoded pairs of a query or form in the arena; NULL: none, too many or no memory. */
static url_pair *url_pairs(scheme_reading *r, knocker_bytes raw, size_t *count)
{
	knocker_bytes name, value;
	size_t at = 0, total = 0;
	url_pair *pairs;

	*count = 0;
	while (total <= SCHEME_FORM_MAX && request_pair_next(raw, &at, &name, &value))
		total++;
	if (total > SCHEME_FORM_MAX) {
		scheme_refuse(r, REFUSED_MALFORMED, "the form has more than %d fields", SCHEME_FORM_MAX);
		return NULL;
	}
	pairs = total ? arena_get(r->arena, total * sizeof *pairs) : NULL;
	for (at = 0; pairs && *count < total; (*count)++) {
		url_pair *pair = &pairs[*count];

		request_pair_next(raw, &at, &name, &value);
		pair->order = *count;
		if (!request_decode(r->arena, name, &pair->name) ||
		    !request_decode(r->arena, value, &pair->value))
			pairs = NULL;
	}
	r->no_memory |= total > 0 && !pairs;
	*count = pairs ? total : 0;
	return pairs;
}

/* name=value again, with pairs of one name together where it came first. */
static void url_query_again(scheme_reading *r, buffer *b, knocker_bytes query)
{
	size_t i, k, count, written = 0;
	url_pair *pairs = url_pairs(r, query, &count);

	for (i = 0; i < count; i++)
		for (k = i; k < count; k++) {
			if (pairs[k].done || !bytes_equal(pairs[k].name, pairs[i].name))
				continue;
			pairs[k].done = true;
			buffer_text(b, written++ ? "&" : "");
			url_component(b, pairs[k].name, "-_.!~*'()");
			buffer_text(b, "=");
			url_component(b, pairs[k].value, "-_.!~*'()");
		}
}

static void url_try_add(scheme_reading *r, const url_parts *u, knocker_bytes port)
{
	knocker_bytes parts[6] = {u->scheme, bytes_of("://"), u->host, port, u->path, u->query};

	r->url_tries[r->url_try_count++] = scheme_join(r, parts, 6);
}

static void url_three(scheme_reading *r, knocker_bytes whole, const url_parts *u)
{
	const char *usual = bytes_is(u->scheme, "https") ? ":443" : ":80";

	r->url_tries[r->url_try_count++] = whole;
	url_try_add(r, u, bytes_of(""));
	url_try_add(r, u, u->port.len > 0 ? u->port : bytes_of(usual));
}

void scheme_url_spell(scheme_reading *r)
{
	knocker_bytes url = scheme_url(r);
	url_parts u, n;
	int64_t at;
	buffer b;

	r->url_try_count = 0;
	if (!url_split(url, &u)) {
		r->url_tries[r->url_try_count++] = url;
		return;
	}
	url_three(r, url, &u);
	buffer_init(&b, LIMIT_JSON);
	url_lower(&b, u.scheme);
	buffer_text(&b, "://");
	for (at = u.host.len; at > 0 && ((const char *)u.host.data)[at - 1] != '@';)
		at--;
	buffer_bytes(&b, bytes_part(u.host, 0, (size_t)at));
	url_lower(&b, bytes_part(u.host, (size_t)at, (size_t)u.host.len));
	buffer_bytes(&b, u.port);
	url_normal(&b, u.path.len > 0 ? u.path : bytes_of("/"), "`{}");
	url_normal(&b, u.query, "'#");
	url = url_kept(r, &b);
	if (!url_split(url, &n))
		return;
	url_three(r, url, &n);
	if (n.query.len > 0) {
		buffer_text(&b, "?");
		url_query_again(r, &b, bytes_part(n.query, 1, (size_t)n.query.len));
		n.query = url_kept(r, &b);
	}
	url_try_add(r, &n, n.port);
	url_three(r, r->url_tries[--r->url_try_count], &n);
}

knocker_bytes scheme_url_path(knocker_bytes url)
{
	url_parts u;

	if (!url_split(url, &u))
		return scheme_url_noquery(url);
	return u.path.len > 0 ? u.path : bytes_of("/");
}

/* ---- {form_sorted} ---- */

static int url_bytes_order(knocker_bytes a, knocker_bytes b)
{
	size_t shorter = (size_t)(a.len < b.len ? a.len : b.len);
	int order = shorter > 0 ? memcmp(a.data, b.data, shorter) : 0;

	return order ? order : a.len < b.len ? -1 : a.len > b.len;
}

static int url_pair_order(const void *a, const void *b)
{
	const url_pair *first = a, *second = b;
	int order = url_bytes_order(first->name, second->name);

	return order ? order : url_bytes_order(first->value, second->value);
}

knocker_bytes scheme_form_sorted(scheme_reading *r, bool unique)
{
	size_t i, kept = 0, count;
	url_pair *pairs = url_pairs(r, r->request->body, &count);
	knocker_bytes *parts = count ? arena_get(r->arena, 2 * count * sizeof *parts) : NULL;

	if (!parts) {
		r->no_memory |= count > 0;
		return bytes_of("");
	}
	qsort(pairs, count, sizeof *pairs, url_pair_order);
	for (i = 0; i < count; i++) {
		if (unique && i > 0 && url_pair_order(&pairs[i - 1], &pairs[i]) == 0)
			continue;
		parts[kept++] = pairs[i].name;
		parts[kept++] = pairs[i].value;
	}
	return scheme_join(r, parts, kept);
}

/* ---- {url_form_sorted} ---- */

/* The query's pairs in order: name=value, joined by "&". */
static void url_query_sorted(scheme_reading *r, buffer *b, knocker_bytes query)
{
	size_t i, count;
	url_pair *pairs = url_pairs(r, query, &count);

	if (count > 0)
		qsort(pairs, count, sizeof *pairs, url_pair_order);
	for (i = 0; i < count; i++) {
		buffer_text(b, i > 0 ? "&" : "");
		buffer_bytes(b, pairs[i].name);
		buffer_text(b, "=");
		buffer_bytes(b, pairs[i].value);
	}
}

knocker_bytes scheme_url_form_sorted(scheme_reading *r)
{
	knocker_bytes url = scheme_url(r), form = scheme_form_sorted(r, false), query = {0};
	int64_t mark = bytes_find(url, '?');
	buffer b;

	if (mark >= 0)
		query = bytes_part(url, (size_t)mark + 1, (size_t)url.len);
	buffer_init(&b, LIMIT_JSON);
	buffer_bytes(&b, scheme_url_noquery(url));
	if (query.len > 0 || form.len > 0)
		buffer_text(&b, "?");
	url_query_sorted(r, &b, query);
	if (query.len > 0 && form.len > 0)
		buffer_text(&b, ".");
	buffer_bytes(&b, form);
	return url_kept(r, &b);
}

/* ---- {uri_escaped} ---- */

/* A query is escaped twice: once as one text, and once more with the path. What stands behind a
 * second "?" is nobody's. */
knocker_bytes scheme_uri_escaped(scheme_reading *r)
{
	static const char plain[] = "-_.!~*'()", whole[] = "-_.!~*'();/?:@&=+$,#";
	knocker_bytes url = scheme_url(r), path = scheme_url_path(url), query, escaped;
	int64_t mark = bytes_find(url, '?');
	buffer b;

	buffer_init(&b, LIMIT_JSON);
	query = mark < 0 ? bytes_of("") : bytes_part(url, (size_t)mark + 1, (size_t)url.len);
	url_component(&b, scheme_url_noquery(query), plain);
	escaped = url_kept(r, &b);
	url_component(&b, path, whole);
	buffer_text(&b, escaped.len > 0 ? "?" : "");
	url_component(&b, escaped, whole);
	return url_kept(r, &b);
}

/* ---- {query_canonical} ---- */

/* The text with all escaped that RFC 3986 does not leave as it is. */
static knocker_bytes url_escaped(scheme_reading *r, knocker_bytes text)
{
	buffer b;

	buffer_init(&b, LIMIT_JSON);
	url_component(&b, text, "-_.~");
	return url_kept(r, &b);
}

/* Pairs of one name are one, their values between commas; a token beside them is not its own hash.
 */
knocker_bytes scheme_query_canonical(scheme_reading *r)
{
	size_t i, count, kept = 0;
	url_pair *pairs = url_pairs(r, r->request->query, &count);
	buffer b;

	for (i = 0; i < count; i++) {
		if (bytes_is(pairs[i].name, "jwt"))
			continue;
		pairs[kept] = pairs[i];
		pairs[kept].name = url_escaped(r, pairs[i].name);
		pairs[kept++].value = url_escaped(r, pairs[i].value);
	}
	if (kept > 0)
		qsort(pairs, kept, sizeof *pairs, url_pair_order);
	buffer_init(&b, LIMIT_JSON);
	for (i = 0; i < kept; i++) {
		if (i > 0 && bytes_equal(pairs[i].name, pairs[i - 1].name)) {
			buffer_text(&b, ",");
		} else {
			buffer_text(&b, i > 0 ? "&" : "");
			buffer_bytes(&b, pairs[i].name);
			buffer_text(&b, "=");
		}
		buffer_bytes(&b, pairs[i].value);
	}
	return url_kept(r, &b);
}

/* ==== core/src/scheme_verify.c ==== */

/* Decides whether a request is what its sender signed: cuts the signature, reads the vars, tries
 * keys, asks the window. Knows no sender's name and nothing of what a digest is. */
#include <string.h>




/* ---- which digest ---- */

/* The value named `pick` in the text, of which there may be one only; without `pick` all of it. */
static scheme_text verify_alg_named(const scheme_alg *alg, knocker_bytes text)
{
	scheme_text named = {0};
	knocker_bytes item;
	size_t at = 0;

	if (!bytes_given(alg->pick)) {
		if (text.len > 0)
			named.text = text;
		return named;
	}
	while (scheme_piece_next(text, alg->items, &at, &item)) {
		int64_t kv;

		item = alg->trim ? bytes_trim(item) : item;
		kv = scheme_kv_find(item, alg->kv);
		if (kv < 0 || !bytes_equal(bytes_part(item, 0, (size_t)kv), alg->pick))
			continue;
		item = bytes_part(item, (size_t)(kv + alg->kv.len), (size_t)item.len);
		named.ambiguous |= bytes_given(named.text) && !bytes_equal(named.text, item);
		named.text = item;
	}
	return named;
}

/* `*name` stays absent where none is named, and `*d` what the scheme has for that. */
bool scheme_digest_named(scheme_reading *r, const scheme_alg *alg, digest *d, knocker_bytes *name)
{
	scheme_text read, named;
	size_t i;

	*d = alg->fixed;
	*name = (knocker_bytes){0};
	if (alg->how != ALG_BY_SOURCE)
		return true;
	read = scheme_sources_read(r, alg->from);
	named = verify_alg_named(alg, bytes_given(read.text) ? read.text : bytes_of(""));
	if (read.ambiguous || named.ambiguous) {
		scheme_refuse(r, REFUSED_AMBIGUOUS, "different algorithms are named");
		return false;
	}
	*name = named.text;
	if (!bytes_given(named.text))
		return true;
	for (i = 0; i < alg->map_count; i++)
		if (bytes_equal(named.text, alg->map[i].name)) {
			*d = alg->map[i].digest;
			return true;
		}
	scheme_refuse(r, REFUSED_MALFORMED, "no algorithm is named '%s'", scheme_shown(r, named.text));
	return false;
}

static bool verify_digest(scheme_reading *r, const scheme_alg *alg, digest *d)
{
	knocker_bytes name;

	if (!scheme_digest_named(r, alg, d, &name))
		return false;
	if (alg->how != ALG_BY_SOURCE || alg->has_fallback || bytes_given(name))
		return true;
	scheme_refuse(r, REFUSED_MALFORMED, "no algorithm is named ''");
	return false;
}

/* ---- vars and the window ---- */

static const char *verify_var_says(scheme_reading *r, const scheme_var *var)
{
	return var->from.count ? scheme_source_says(r, &var->from.list[0]) : "";
}

/* `is`: an absent text is nobody's, and different ones are not one. */
static bool verify_var_is(scheme_reading *r, const scheme_var *var, knocker_bytes text)
{
	scheme_text wanted = {0};

	if (var->has_is)
		wanted = scheme_source_read(r, &var->is);
	return !var->has_is || (!wanted.ambiguous && bytes_equal(wanted.text, text));
}

static bool verify_var_read(scheme_reading *r, const scheme_var *var, knocker_bytes *out,
                            int64_t *time_s)
{
	static const char *const units[] = {"text", "number of seconds", "number of milliseconds",
	                                    "RFC 3339 time", "RFC 3339 time or number of seconds"};
	scheme_text read = scheme_sources_read(r, var->from);

	if (read.ambiguous)
		scheme_refuse(r, REFUSED_AMBIGUOUS, "different values of %s", verify_var_says(r, var));
	else if (!bytes_given(read.text))
		scheme_refuse(r, REFUSED_VAR, "%s is missing", verify_var_says(r, var));
	else if (!codec_time(read.text, var->unit, time_s) || (var->number && !read.is_number))
		scheme_refuse(r, REFUSED_VAR, "timestamp '%s' is not a %s", scheme_shown(r, read.text),
		              units[var->unit]);
	else if (!verify_var_is(r, var, read.text))
		scheme_refuse(r, REFUSED_VAR, "%s is not what it must be", verify_var_says(r, var));
	else {
		*out = read.text;
		return true;
	}
	return false;
}

/* The vars of the signature in hand, and how far its time is off. */
static bool verify_vars_read(scheme_reading *r, const scheme_try *t, int64_t *off_s)
{
	int64_t time_s;
	size_t i;

	*off_s = 0;
	for (i = 0; i < r->scheme->var_count; i++) {
		time_s = 0;
		if (!verify_var_read(r, &t->vars[i], &r->vars[i], &time_s))
			return false;
		if (r->scheme->has_replay && i == r->scheme->replay_var)
			*off_s = r->now_s > time_s ? r->now_s - time_s : time_s - r->now_s;
	}
	return true;
}

static bool verify_in_window(scheme_reading *r, int64_t off_s)
{
	const scheme *s = r->scheme;
	int64_t tolerance_s = s->tolerance_s;
	bool has_window = s->has_window;

	if (s->option_tolerance >= 0 && r->keys->options[s->option_tolerance].given) {
		tolerance_s = r->keys->options[s->option_tolerance].number;
		has_window = true;
	}
	if (!s->has_replay || !has_window || off_s <= tolerance_s)
		return true;
	scheme_refuse(r, REFUSED_STALE, "timestamp is %lld s off, over the window of %lld s",
	              (long long)off_s, (long long)tolerance_s);
	return false;
}

/* ---- one signature, one item, one family ---- */

/* The signed templates: those of the query's member, once its value is the hash it must be. */
bool scheme_signed_choose(scheme_reading *r, const scheme_try *t, scheme_templates *out)
{
	knocker_bytes url, query, value = {0}, text;
	char hex[65];
	int64_t mark, found;
	bool different;
	size_t i;

	*out = t->sign;
	if (t->when_count == 0)
		return true;
	url = scheme_url(r);
	mark = bytes_find(url, '?');
	query = mark < 0 ? bytes_of("") : bytes_part(url, (size_t)mark + 1, (size_t)url.len);
	for (i = 0; i < t->when_count; i++) {
		found = request_pair_find(r->arena, query, t->when[i].param, &value, &different);
		r->no_memory |= found < 0;
		if (found < 1)
			continue;
		text = scheme_template_text(r, &t->when[i].require);
		r->no_memory |= !crypto_sha256_hex(bytes_given(text) ? text : bytes_of(""), hex);
		if (different || !bytes_equal_nocase(value, bytes_of(hex))) {
			scheme_refuse(r, REFUSED_MISMATCH, "query member '%s' is not the hash it must be",
			              scheme_shown(r, t->when[i].param));
			return false;
		}
		*out = t->when[i].sign;
		return true;
	}
	return true;
}

static bool verify_has_keys(const scheme_keys *keys, size_t group)
{
	size_t i;

	for (i = 0; i < keys->key_count; i++)
		if (keys->keys[i].group == group)
			return true;
	return false;
}

/* The first set that passes is what ids are read of. */
static bool verify_passed(scheme_reading *r, knocker_bytes set)
{
	if (bytes_given(r->passed_set))
		return true;
	r->passed_set = set;
	r->passed_token = r->token;
	memcpy(r->passed_vars, r->vars, sizeof r->vars);
	return true;
}

/* One token: signed first, since only then its claims are anybody's, which vars may be. */
static bool verify_token(scheme_reading *r, const scheme_try *t, size_t group, knocker_bytes token)
{
	int64_t off_s;

	return scheme_jwt_signed(r, group, token) && verify_vars_read(r, t, &off_s) &&
	       scheme_jwt_claims_good(r, &t->jwt) && verify_in_window(r, off_s);
}

/* One set of items that are tokens. */
static bool verify_tokens(scheme_reading *r, const scheme_try *t, knocker_bytes set)
{
	bool passes = false, usable = false;
	size_t i, c;

	scheme_items_cut(r, set);
	for (i = 0; i < r->scheme->group_count; i++) {
		if (!verify_has_keys(r->keys, i))
			continue;
		scheme_candidates_find(r, &t->groups[i], DIGEST_SHA256);
		usable |= r->candidate_count > 0;
		for (c = 0; c < r->candidate_count; c++)
			if (verify_token(r, t, i, r->candidates[c].bytes))
				passes = verify_passed(r, set);
	}
	if (!usable)
		scheme_refuse(r, REFUSED_MALFORMED, "no usable signature in %s",
		              scheme_source_says(r, &t->from.list[0]));
	return passes;
}

/* One set of items: its vars, all of its candidates under all keys, and then the window. */
static bool verify_set(scheme_reading *r, const scheme_try *t, knocker_bytes set)
{
	bool matched = false, usable = false;
	scheme_templates sign;
	int64_t off_s;
	digest d;
	size_t i;

	scheme_items_cut(r, set);
	if (!verify_vars_read(r, t, &off_s) || !scheme_signed_choose(r, t, &sign))
		return false;
	for (i = 0; i < r->scheme->group_count; i++) {
		if (!verify_has_keys(r->keys, i) || !verify_digest(r, &t->groups[i].alg, &d))
			continue;
		scheme_candidates_find(r, &t->groups[i], d);
		if (r->candidate_count == 0)
			continue;
		usable = true;
		matched |= t->groups[i].kind->check(r, i, sign);
	}
	if (!usable)
		scheme_refuse(r, REFUSED_MALFORMED, "no usable signature in %s",
		              scheme_source_says(r, &t->from.list[0]));
	else if (!matched)
		scheme_refuse(r, REFUSED_MISMATCH, "signature does not match");
	return matched && verify_in_window(r, off_s) && verify_passed(r, set);
}

/* One signature's text, in all its sets. */
static bool verify_text(scheme_reading *r, const scheme_try *t, const scheme_source *source,
                        knocker_bytes text)
{
	knocker_bytes sets = r->scheme->signature.sets, set;
	bool passes = false;
	size_t at = 0;

	r->has_signature = true;
	if (!scheme_word_off(r->scheme->signature.word, &text)) {
		scheme_refuse(r, REFUSED_MALFORMED, "no usable signature in %s",
		              scheme_source_says(r, source));
		return false;
	}
	while (r->sets_seen < SCHEME_SETS_MAX && scheme_piece_next(text, sets, &at, &set)) {
		r->sets_seen++;
		passes |= t->groups[0].kind->id == KIND_JWT ? verify_tokens(r, t, set)
		                                            : verify_set(r, t, set);
	}
	return passes;
}

/* header*: every value of every header whose name begins so. */
static bool verify_headers(scheme_reading *r, const scheme_try *t, const scheme_source *source)
{
	knocker_bytes prefix = scheme_name_text(r, source->name), name, value;
	bool passes = false;
	size_t at = 0;

	while (request_header_next(r->request->headers, &at, &name, &value))
		if (value.len > 0 && request_name_begins(name, prefix))
			passes |= verify_text(r, t, source, value);
	return passes;
}

/* Every source of the signature that has a text. */
static bool verify_sources(scheme_reading *r, const scheme_try *t)
{
	bool passes = false, refused = false;
	size_t i;

	r->candidates_seen = r->sets_seen = 0;
	for (i = 0; i < t->from.count; i++) {
		const scheme_source *source = &t->from.list[i];
		scheme_text read;

		if (source->kind == SOURCE_HEADERS) {
			passes |= verify_headers(r, t, source);
			continue;
		}
		r->item_count = 0;
		read = scheme_source_read(r, source);
		if (read.ambiguous) {
			r->has_signature = refused = true;
			scheme_refuse(r, REFUSED_AMBIGUOUS, "different values of %s",
			              scheme_source_says(r, source));
		} else if (bytes_given(read.text)) {
			passes |= verify_text(r, t, source, read.text);
		}
	}
	if (!passes)
		scheme_refuse(r, REFUSED_MISSING, "no signature: %s is missing",
		              scheme_source_says(r, &t->from.list[0]));
	return passes && !refused;
}

/* ---- the items of `base` ---- */

/* The path before ".*" or ".*." of a base, what follows it, and whether there is such a thing. */
static bool verify_base_cut(knocker_bytes base, knocker_bytes *array, knocker_bytes *member)
{
	const char *star = memmem(base.data, (size_t)base.len, ".*", 2);
	size_t at = star ? (size_t)(star - (const char *)base.data) : 0;

	*array = base;
	*member = bytes_of("");
	if (!star)
		return false;
	*array = bytes_part(base, 0, at);
	if ((size_t)base.len > at + 3)
		*member = bytes_part(base, at + 3, (size_t)base.len);
	return true;
}

/* Every element of an array must pass. The first that does not ends it: which one is no secret. */
static bool verify_elements(scheme_reading *r, const scheme_try *t, scan_value array,
                            knocker_bytes member)
{
	scan_value element;
	size_t at = 0;

	while (scan_each(array, &at, &element)) {
		scheme_item_enter(r, member.len > 0 ? scan_find(element.raw, member) : element);
		if (!verify_sources(r, t))
			return false;
	}
	return true;
}

/* The first item of the first base that the body has; ids are read from it. */
static bool verify_first_item(scheme_reading *r, scan_value *array, knocker_bytes *member,
                              bool *each)
{
	const scheme *s = r->scheme;
	knocker_bytes path;
	scan_value element;
	size_t i, at;

	for (i = 0; i < s->base_count; i++) {
		*each = verify_base_cut(s->bases[i], &path, member);
		*array = scan_find(r->request->body, path);
		at = 0;
		if (array->type == SCAN_ABSENT || (*each && !scan_each(*array, &at, &element)))
			continue;
		if (!*each)
			element = *array;
		else if (member->len > 0)
			element = scan_find(element.raw, *member);
		scheme_item_enter(r, element);
		return true;
	}
	return false;
}

static bool verify_family(scheme_reading *r, const scheme_try *t)
{
	scan_value array;
	knocker_bytes member;
	bool each;

	r->current = t;
	r->passed_set = (knocker_bytes){0};
	if (r->scheme->base_count == 0)
		return verify_sources(r, t);
	if (!verify_first_item(r, &array, &member, &each)) {
		scheme_refuse(r, REFUSED_MISSING, "the body has no member '%s'",
		              scheme_shown(r, r->scheme->bases[0]));
		return false;
	}
	return each ? verify_elements(r, t, array, member) : verify_sources(r, t);
}

/* The families in turn; of those that fail the first with a signature is the one that ids are read
 * by. */
static bool verify_families(scheme_reading *r)
{
	const scheme *s = r->scheme;
	const scheme_try *told = NULL;
	bool any = false;
	size_t i;

	for (i = 0; i < s->try_count; i++) {
		r->has_signature = false;
		if (verify_family(r, &s->tries[i]))
			return true;
		if (r->has_signature && !told)
			told = &s->tries[i];
		any |= r->has_signature;
	}
	r->has_signature = any;
	r->current = told ? told : s->tries;
	scheme_token_enter(r, (knocker_bytes){0});
	return false;
}

/* Whether the body hands over a secret, to be taken or not. */
static bool verify_secret_handed(scheme_reading *r)
{
	const scheme *s = r->scheme;
	bool handed = false;
	size_t i;

	for (i = 0; i < s->handshake_count; i++) {
		const scheme_source *store = &s->handshakes[i].store;

		if (s->handshakes[i].stores && (store->kind == SOURCE_JSON || store->kind == SOURCE_FORM))
			handed |= bytes_given(scheme_source_read(r, store).text);
	}
	return handed;
}

static void verify_read(scheme_reading *r, scheme_verdict *out)
{
	const scheme *s = r->scheme;

	if (scheme_handshake_answer(r, false, out)) {
		out->error = "handshake, answered without a signature";
	} else if (r->keys->key_count > 0 && verify_families(r)) {
		out->valid = true;
		r->has_signature = true;
		memcpy(r->vars, r->passed_vars, sizeof r->vars);
		if (r->token.data != r->passed_token.data)
			scheme_token_enter(r, r->passed_token);
		scheme_items_cut(r, r->passed_set);
		if (!scheme_handshake_answer(r, true, out) && !scheme_answer_write(r, &s->accept, out))
			out->status = s->accept.status;
	} else {
		if (r->keys->key_count == 0)
			verify_families(r);
		out->error = r->keys->key_count > 0 ? r->error : "no secret is known yet";
		if (!scheme_answer_write(r, &s->reject, out))
			out->status = s->reject.status;
	}
	out->has_signature = r->has_signature;
	out->body_is_credential = s->credential_in_body || verify_secret_handed(r);
	if (s->base_count > 0) {
		scan_value array;
		knocker_bytes member;
		bool each;

		verify_first_item(r, &array, &member, &each);
	}
	scheme_extract(r, out, out->valid && !out->handshake);
}

int32_t scheme_verify(const scheme *s, const scheme_keys *keys, const scheme_request *request,
                      int64_t now_s, arena *a, scheme_verdict *out, knocker_error *error)
{
	scheme_reading r;

	*out = (scheme_verdict){0};
	scheme_reading_begin(&r, s, keys, request, now_s, a);
	verify_read(&r, out);
	if (!r.no_memory)
		return 0;
	*out = (scheme_verdict){0};
	return fail_memory(error);
}

/* ==== core/src/store.c ==== */

/* One file and its connections: who may use them when. SQLite has one writer, so callers stand in
 * line for it; receipts that wait are taken along by whoever leads. Knows nothing of what is
 * written. */
/* One file and its connections: who may use them when. SQLite has one writer, so callers stand in
 * line for it; receipts that wait are taken along by whoever leads. Knows nothing of what is
 * written. */
#ifndef KNOCKER_STORE_H
#define KNOCKER_STORE_H

#include <pthread.h>
#include <stdatomic.h>




typedef struct store store;

typedef struct {
	knocker_bytes path, init_sql;
	int64_t busy_timeout_ms, max_readers;
	bool existing;
} store_options;

KNOCKER_PRIVATE int32_t store_open(const store_options *options, store **out, knocker_error *error);
KNOCKER_PRIVATE void store_close(store *s); /* NULL is fine; nobody uses it any more */
KNOCKER_PRIVATE bell *store_bell(store *s);
KNOCKER_PRIVATE const char *store_file(const store *s); /* its whole path */
/* In a child after fork(), of a store that only the parent may use: closes the child's copies of
 * its connections. False: one was in use at the fork, and stays open. */
KNOCKER_PRIVATE bool store_disinherit(store *s);

/* A place in the line. A caller with `batch` lets the leader do its work for it. */
typedef struct ticket ticket;
enum { TICKET_WAITING, TICKET_TAKEN, TICKET_DONE, TICKET_LEADS };
struct ticket {
	ticket *next;
	void *batch;     /* what the leader is to do; NULL: the caller wants the writer for itself */
	int64_t bytes;   /* of the batch, for LIMIT_BATCH_BYTES */
	const char *who; /* for "busy" messages */
	_Atomic int32_t state;
};

/* 0: a leader has done the batch; 1: the caller leads: it holds the writer until store_leave.
 * KNOCKER_BUSY past the timeout. */
KNOCKER_PRIVATE int32_t store_line_up(store *s, ticket *t, knocker_error *error);
/* The leader's own ticket and the batches that wait behind it, in order, now nobody else's. */
KNOCKER_PRIVATE ticket *store_take(store *s, ticket *own);
/* Wakes the callers of all taken tickets but the first, which is the leader's. */
KNOCKER_PRIVATE void store_done(ticket *taken);
KNOCKER_PRIVATE void store_leave(store *s); /* checkpoints when due, and hands the writer on */
/* Hands it on without a checkpoint. Who has kept the writer long lets other processes in first. */
KNOCKER_PRIVATE void store_pass(store *s);
KNOCKER_PRIVATE db *store_writer(store *s); /* the leader's */

/* The writer for one caller alone: store_line_up without a batch. */
KNOCKER_PRIVATE int32_t store_enter(store *s, const char *who, knocker_error *error);

/* A caller that keeps the writer over many calls, as a handler does. From `until_ms` (monotonic) on
 * whoever waits in line may roll it back while none of its statements runs, and takes the writer
 * away: a handler that hangs stops nobody for longer than its lease. */
typedef struct {
	int64_t until_ms;
	bool running, evicted;
} store_tenant;
KNOCKER_PRIVATE void store_tenant_enter(store *s, store_tenant *t);                   /* after store_enter */
KNOCKER_PRIVATE bool store_tenant_begin(store *s, store_tenant *t);                   /* false: it was evicted */
KNOCKER_PRIVATE void store_tenant_end(store *s, store_tenant *t);                     /* after each begin */
KNOCKER_PRIVATE void store_tenant_until(store *s, store_tenant *t, int64_t until_ms); /* its lease was extended */

/* A connection that only reads; given back with store_reader_leave. */
KNOCKER_PRIVATE int32_t store_reader(store *s, db **out, knocker_error *error);
KNOCKER_PRIVATE void store_reader_leave(store *s, db *d);
/* The same for a look at a few rows: the writer where it is free, whose cache knows what it wrote
 * last, while a reader's is empty after each commit. Given back with store_look_leave. */
KNOCKER_PRIVATE int32_t store_look(store *s, db **out, knocker_error *error);
KNOCKER_PRIVATE void store_look_leave(store *s, db *d);

#endif


#include <errno.h>
#include <linux/futex.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>





#define STORE_READERS 64
#define STORE_LOOK_MS 5 /* how often an overdue tenant in a statement is looked at */
/* So long one process may keep the writer to itself before it lets others in for a moment. Others
 * knock once a millisecond, and commits that follow one another leave the door open for some
 * microseconds: a caller that comes and goes so often in that time leaves them chance enough. */
#define STORE_BURST_MS 20
#define STORE_BURST_CHANCES 40

struct store {
	store_options options;
	char path[4096];
	db *writer;
	bell *bell;
	pthread_mutex_t lock;
	pthread_condattr_t monotonic;
	ticket *first, *last; /* the line */
	bool held;
	const char *holder; /* who holds the writer */
	int64_t held_since_ms, free_since_ms;
	int64_t burst_since_ms, burst_chances;
	store_tenant *tenant; /* who keeps it over many calls */
	db *idle[STORE_READERS];
	int32_t idle_count, reader_count;
	pthread_cond_t reader_back;
};

static struct timespec store_deadline(const store *s)
{
	int64_t end = clock_monotonic_ms() + s->options.busy_timeout_ms;

	return (struct timespec){.tv_sec = end / 1000, .tv_nsec = end % 1000 * 1000000};
}

/* ---- tickets: each waiter sleeps on its own ticket and returns without the lock ---- */

/* Once it is done or leads, the ticket is its caller's, who may be gone before the system wakes
 * it: an address is all that the system looks at. */
static void store_ticket_set(ticket *t, int32_t state)
{
	atomic_store(&t->state, state);
	syscall(SYS_futex, &t->state, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0);
}

/* Sleeps while it waits, until `until_ms` (monotonic), and while a leader has taken it. */
static int32_t store_ticket_sleep(ticket *t, int64_t until_ms)
{
	const struct timespec until = {until_ms / 1000, until_ms % 1000 * 1000000};
	int32_t state;

	while ((state = atomic_load(&t->state)) == TICKET_TAKEN ||
	       (state == TICKET_WAITING && clock_monotonic_ms() < until_ms))
		syscall(SYS_futex, &t->state, FUTEX_WAIT_BITSET_PRIVATE, state,
		        state == TICKET_TAKEN ? NULL : &until, NULL, FUTEX_BITSET_MATCH_ANY);
	return state;
}

/* ---- the line ---- */

static void store_line_append(store *s, ticket *t)
{
	t->next = NULL;
	if (s->last)
		s->last->next = t;
	else
		s->first = t;
	s->last = t;
}

/* Takes a ticket out of the line; `before` precedes it, NULL for the first. */
static void store_line_remove(store *s, ticket *t, ticket *before)
{
	if (before)
		before->next = t->next;
	else
		s->first = t->next;
	if (s->last == t)
		s->last = before;
	t->next = NULL;
}

static void store_line_leave(store *s, ticket *t)
{
	ticket *before = NULL, *at;

	for (at = s->first; at != t; at = at->next)
		before = at;
	store_line_remove(s, t, before);
}

/* Nobody's transaction is open on a writer that changes hands, unless there was no memory to roll
 * it back: then it is now. */
static void store_lead(store *s, ticket *t)
{
	db_rollback(s->writer);
	s->held = true;
	s->holder = t->who;
	s->held_since_ms = clock_monotonic_ms();
}

static void store_burst_begin(store *s)
{
	s->burst_since_ms = clock_monotonic_ms();
	s->burst_chances = 0;
}

/* Takes the free writer. A caller that comes back at once goes on with its burst: other processes
 * had no more of a chance than behind a line of callers. */
static void store_lead_first(store *s, ticket *t)
{
	if (clock_monotonic_ms() > s->free_since_ms + 1)
		store_burst_begin(s);
	store_lead(s, t);
}

/* Hands the writer to the first in line, or to nobody. */
static void store_hand_on(store *s)
{
	ticket *t = s->first;

	s->tenant = NULL;
	s->held = t != NULL;
	if (!t) {
		s->free_since_ms = clock_monotonic_ms();
		s->burst_chances++;
		return;
	}
	store_line_remove(s, t, NULL);
	store_lead(s, t);
	store_ticket_set(t, TICKET_LEADS);
}

static bool store_tenant_overdue(const store *s)
{
	return s->tenant && !s->tenant->running && clock_monotonic_ms() >= s->tenant->until_ms;
}

/* The tenant's connection is between two statements, and stays so while the lock is held. */
static void store_evict(store *s)
{
	s->tenant->evicted = true;
	db_rollback(s->writer);
	store_hand_on(s);
}

/* Until when to sleep: the end of the own patience, or when the tenant's time is up. A tenant in
 * the middle of a statement is looked at again soon. */
static int64_t store_alarm(const store *s, int64_t end_ms)
{
	int64_t now_ms = clock_monotonic_ms();

	if (!s->tenant || s->tenant->until_ms >= end_ms)
		return end_ms;
	return s->tenant->until_ms > now_ms ? s->tenant->until_ms : now_ms + STORE_LOOK_MS;
}

/* With the lock held, which it gives up. 0: done, or leading. */
static int32_t store_line_wait(store *s, ticket *t, knocker_error *error)
{
	int64_t end_ms = clock_monotonic_ms() + s->options.busy_timeout_ms, alarm_ms;
	int32_t rc = 0;

	for (;;) {
		alarm_ms = store_alarm(s, end_ms);
		pthread_mutex_unlock(&s->lock);
		if (store_ticket_sleep(t, alarm_ms) != TICKET_WAITING)
			return 0;
		pthread_mutex_lock(&s->lock);
		if (atomic_load(&t->state) == TICKET_WAITING && store_tenant_overdue(s))
			store_evict(s);
		if (atomic_load(&t->state) == TICKET_WAITING && clock_monotonic_ms() >= end_ms)
			break;
	}
	store_line_leave(s, t);
	rc = fail(error, KNOCKER_BUSY,
	          "the writer was held for %lld ms by %s, longer than %lld ms were waited for",
	          (long long)(clock_monotonic_ms() - s->held_since_ms), s->holder,
	          (long long)s->options.busy_timeout_ms);
	pthread_mutex_unlock(&s->lock);
	return rc;
}

int32_t store_line_up(store *s, ticket *t, knocker_error *error)
{
	int64_t since_ms = clock_monotonic_ms();
	int32_t rc = 0;

	atomic_store(&t->state, TICKET_WAITING);
	pthread_mutex_lock(&s->lock);
	if (s->held) {
		store_line_append(s, t);
		rc = store_line_wait(s, t, error);
	} else {
		store_lead_first(s, t);
		pthread_mutex_unlock(&s->lock);
		atomic_store(&t->state, TICKET_LEADS);
	}
	if (rc < 0 || atomic_load(&t->state) != TICKET_LEADS)
		return rc < 0 ? rc : 0;
	db_patient_since(s->writer, since_ms);
	return 1;
}

int32_t store_enter(store *s, const char *who, knocker_error *error)
{
	ticket t = {.who = who};
	int32_t rc = store_line_up(s, &t, error);

	return rc < 0 ? rc : 0;
}

ticket *store_take(store *s, ticket *own)
{
	ticket *taken = own, *before = NULL, *t, *next;
	int64_t bytes = own->bytes;
	int32_t count = 1;

	own->next = NULL;
	pthread_mutex_lock(&s->lock);
	for (t = s->first; t; t = next) {
		next = t->next;
		if (!t->batch || bytes + t->bytes > LIMIT_BATCH_BYTES || count == LIMIT_BATCH_COUNT) {
			before = t;
			continue;
		}
		store_line_remove(s, t, before);
		atomic_store(&t->state, TICKET_TAKEN);
		taken->next = t;
		taken = t;
		bytes += t->bytes;
		count++;
	}
	pthread_mutex_unlock(&s->lock);
	return own;
}

void store_done(ticket *taken)
{
	ticket *t, *next;

	for (t = taken->next; t; t = next) {
		next = t->next;
		store_ticket_set(t, TICKET_DONE);
	}
}

void store_pass(store *s)
{
	const struct timespec pause = {0, 1000000};

	if (clock_monotonic_ms() - s->burst_since_ms >= STORE_BURST_MS) {
		if (s->burst_chances < STORE_BURST_CHANCES)
			nanosleep(&pause, NULL);
		store_burst_begin(s);
	}
	pthread_mutex_lock(&s->lock);
	store_hand_on(s);
	pthread_mutex_unlock(&s->lock);
}

void store_leave(store *s)
{
	db_checkpoint_if_due(s->writer);
	store_pass(s);
}

db *store_writer(store *s)
{
	return s->writer;
}

bell *store_bell(store *s)
{
	return s->bell;
}

/* ---- tenants ---- */

void store_tenant_enter(store *s, store_tenant *t)
{
	pthread_mutex_lock(&s->lock);
	t->evicted = false;
	t->running = true;
	s->tenant = t;
	pthread_mutex_unlock(&s->lock);
}

bool store_tenant_begin(store *s, store_tenant *t)
{
	bool in;

	pthread_mutex_lock(&s->lock);
	in = !t->evicted;
	t->running = in;
	pthread_mutex_unlock(&s->lock);
	return in;
}

void store_tenant_end(store *s, store_tenant *t)
{
	pthread_mutex_lock(&s->lock);
	t->running = false;
	pthread_mutex_unlock(&s->lock);
}

void store_tenant_until(store *s, store_tenant *t, int64_t until_ms)
{
	pthread_mutex_lock(&s->lock);
	t->until_ms = until_ms;
	pthread_mutex_unlock(&s->lock);
}

/* ---- readers ---- */

static int32_t store_reader_open(store *s, db **out, knocker_error *error)
{
	db_options o = {.path = bytes_of(s->path),
	                .init_sql = s->options.init_sql,
	                .busy_timeout_ms = s->options.busy_timeout_ms,
	                .reader = true};
	int32_t rc = db_open(&o, out, error);

	if (rc < 0) {
		pthread_mutex_lock(&s->lock);
		s->reader_count--;
		pthread_cond_signal(&s->reader_back);
		pthread_mutex_unlock(&s->lock);
	}
	return rc;
}

int32_t store_reader(store *s, db **out, knocker_error *error)
{
	struct timespec deadline = store_deadline(s);
	int timed_out = 0;

	*out = NULL;
	pthread_mutex_lock(&s->lock);
	while (s->idle_count == 0 && s->reader_count == s->options.max_readers && timed_out == 0)
		timed_out = pthread_cond_timedwait(&s->reader_back, &s->lock, &deadline);
	if (s->idle_count > 0)
		*out = s->idle[--s->idle_count];
	else if (s->reader_count < s->options.max_readers)
		s->reader_count++;
	else
		timed_out = ETIMEDOUT;
	pthread_mutex_unlock(&s->lock);
	if (*out)
		return 0;
	if (timed_out == ETIMEDOUT)
		return fail(error, KNOCKER_BUSY,
		            "all %lld readers were in use for %lld ms: raise max_readers",
		            (long long)s->options.max_readers, (long long)s->options.busy_timeout_ms);
	return store_reader_open(s, out, error);
}

void store_reader_leave(store *s, db *d)
{
	if (!d)
		return;
	pthread_mutex_lock(&s->lock);
	s->idle[s->idle_count++] = d;
	pthread_cond_signal(&s->reader_back);
	pthread_mutex_unlock(&s->lock);
}

int32_t store_look(store *s, db **out, knocker_error *error)
{
	ticket t = {.who = "a look at a job"};

	*out = NULL;
	pthread_mutex_lock(&s->lock);
	if (!s->held) {
		store_lead_first(s, &t);
		*out = s->writer;
	}
	pthread_mutex_unlock(&s->lock);
	return *out ? 0 : store_reader(s, out, error);
}

void store_look_leave(store *s, db *d)
{
	if (d != s->writer) {
		store_reader_leave(s, d);
		return;
	}
	pthread_mutex_lock(&s->lock);
	store_hand_on(s);
	pthread_mutex_unlock(&s->lock);
}

/* ---- opening ---- */

static int32_t store_options_copy(store *s, const store_options *options, knocker_error *error)
{
	char *init = NULL;

	s->options = *options;
	s->options.init_sql.data = NULL;
	if (options->init_sql.data) {
		init = memory_get((size_t)options->init_sql.len + 1);
		if (!init)
			return fail_memory(error);
		memcpy(init, options->init_sql.data, (size_t)options->init_sql.len);
	}
	s->options.init_sql.data = init;
	return 0;
}

int32_t store_open(const store_options *options, store **out, knocker_error *error)
{
	db_options o = {.path = options->path,
	                .init_sql = options->init_sql,
	                .busy_timeout_ms = options->busy_timeout_ms,
	                .existing = options->existing};
	store *s = memory_get(sizeof *s);
	int32_t rc;

	*out = NULL;
	if (!s)
		return fail_memory(error);
	memset(s, 0, sizeof *s);
	pthread_mutex_init(&s->lock, NULL);
	pthread_condattr_init(&s->monotonic);
	pthread_condattr_setclock(&s->monotonic, CLOCK_MONOTONIC);
	pthread_cond_init(&s->reader_back, &s->monotonic);
	rc = store_options_copy(s, options, error);
	if (rc == 0)
		rc = db_open(&o, &s->writer, error);
	if (rc == 0) {
		snprintf(s->path, sizeof s->path, "%s", db_file(s->writer));
		rc = bell_open(s->path, &s->bell, error);
	}
	if (rc < 0) {
		store_close(s);
		return rc;
	}
	*out = s;
	return 0;
}

void store_close(store *s)
{
	if (!s)
		return;
	while (s->idle_count > 0)
		db_close(s->idle[--s->idle_count]);
	db_close(s->writer);
	bell_close(s->bell);
	pthread_cond_destroy(&s->reader_back);
	pthread_condattr_destroy(&s->monotonic);
	pthread_mutex_destroy(&s->lock);
	memory_free((void *)(uintptr_t)s->options.init_sql.data);
	memory_free(s);
}

const char *store_file(const store *s)
{
	return s->path;
}

/* Whoever held the lock at the fork does not exist here, and would never let go of it. */
bool store_disinherit(store *s)
{
	bool unused;

	if (!s->writer)
		return true;
	if (pthread_mutex_trylock(&s->lock) != 0)
		return false;
	unused = !s->held && s->idle_count == s->reader_count;
	if (unused) {
		while (s->idle_count > 0)
			db_close(s->idle[--s->idle_count]);
		s->reader_count = 0;
		db_close(s->writer);
		s->writer = NULL;
	}
	pthread_mutex_unlock(&s->lock);
	return unused;
}

/* ==== core/src/batch.c ==== */

/* Many receipts, one commit: whoever holds the writer stores what waits behind it too. A bad
 * request fails alone; where one fails halfway, or SQLite rolled the whole transaction back, the
 * batch starts again with one commit a request. */
/* Many receipts, one commit: whoever holds the writer stores what waits behind it too. */
#ifndef KNOCKER_BATCH_H
#define KNOCKER_BATCH_H

/* One request on its way into the file: verified in the calling thread, then stored by whoever
 * holds the writer. */
#ifndef KNOCKER_RECEIPT_H
#define KNOCKER_RECEIPT_H

/* What a process knows of its inbox: defaults, clock, registrations. The rules of layer 3 are told
 * of the world through it and a connection; whether that connection is a handle's or an
 * application's they do not know. */
#ifndef KNOCKER_INBOX_H
#define KNOCKER_INBOX_H

#include <pthread.h>
#include <stdatomic.h>





#define INBOX_TURNS 64
#define INBOX_LEASES 64

typedef struct {
	char queue[LIMIT_NAME + 1];
	int64_t topic; /* served last */
} inbox_turn;

typedef struct {
	char worker[LIMIT_NAME + 1];
	int64_t lease_ms; /* of its last claim */
} inbox_lease;

typedef struct {
	/* 0: not its own */
	int64_t id, max_attempts, backoff_base_ms, backoff_cap_ms, orphan_rows, orphan_bytes;
	bool enabled, paused;
	knocker_bytes provider, queue; /* lent, see endpoint_find */
} endpoint_row;

/* What receipts need to know of the file: ids, dates, an endpoint's row. Read by the first receipt
 * of a transaction, true for those that follow, and for the next transactions too while
 * db_version() stays `version`. */
typedef struct {
	int64_t version; /* -1: nothing is known */
	bool dates, row;
	int64_t now_ms; /* 0: not yet asked in this transaction */
	int64_t next_id, received_ms;
	endpoint_row endpoint;
	knocker_bytes name; /* of that endpoint, in `texts` as its other texts are */
	char texts[3][LIMIT_NAME];
} inbox_known;

typedef struct {
	_Atomic int64_t clock_ms; /* 0: the system's */
	inbox_known known;        /* of the writer's file; whoever holds the writer uses it */
	registrations registrations;
	pthread_mutex_t lock; /* of what follows */
	uint64_t chance;
	inbox_turn turns[INBOX_TURNS];
	int32_t turn_count;
	inbox_lease leases[INBOX_LEASES]; /* a ring: the oldest gives way */
	int32_t lease_next;
	char queue_name[LIMIT_NAME + 1];
	int64_t visibility_ms, max_attempts, backoff_base_ms, backoff_cap_ms, max_body_bytes,
		orphan_bytes, orphan_rows;
} inbox;

KNOCKER_PRIVATE void inbox_init(inbox *in); /* with the defaults */
KNOCKER_PRIVATE void inbox_end(inbox *in);  /* forgets the registrations */
KNOCKER_PRIVATE int64_t inbox_now_ms(const inbox *in);
KNOCKER_PRIVATE uint64_t inbox_chance(inbox *in);
/* How far a lease of this worker is renewed: as far as its last claim here went. */
KNOCKER_PRIVATE void inbox_lease_set(inbox *in, knocker_bytes worker, int64_t lease_ms);
KNOCKER_PRIVATE int64_t inbox_lease_ms(inbox *in, const char *worker);

/* Text arguments: UTF-8 without NUL. `what` names it in the message. An empty text that may lack
 * reads as absent. */
/* Required, 1 to LIMIT_NAME bytes. */
KNOCKER_PRIVATE int32_t inbox_name_check(const char *what, knocker_bytes name, knocker_error *error);
KNOCKER_PRIVATE int32_t inbox_text_check(const char *what, knocker_bytes *text, int64_t max, knocker_error *error);
KNOCKER_PRIVATE int32_t inbox_range_check(const char *what, int64_t value, int64_t low, int64_t high,
                          knocker_error *error);

/* ---- endpoint.c ---- */

/* Registers here and writes the row; in a transaction. `row_only`: the secrets come later, with
 * endpoint_secrets. */
KNOCKER_PRIVATE int32_t endpoint_add(inbox *in, db *d, const knocker_endpoint *e, bool row_only, int64_t *id,
                     knocker_error *error);
/* Secrets and options for an endpoint whose row exists: this process's registration of it. */
KNOCKER_PRIVATE int32_t endpoint_secrets(inbox *in, db *d, knocker_bytes name, knocker_bytes secrets_json,
                         knocker_bytes options_json, knocker_error *error);
KNOCKER_PRIVATE int32_t endpoint_pause(db *d, knocker_bytes name, bool paused, knocker_error *error);
/* KNOCKER_UNKNOWN_ENDPOINT; the row's texts are in the arena. */
KNOCKER_PRIVATE int32_t endpoint_find(db *d, knocker_bytes name, arena *a, endpoint_row *out, knocker_error *error);
KNOCKER_PRIVATE int32_t endpoint_providers(knocker_rows **out, knocker_error *error);

/* ---- schema.c ---- */

/* Brings the file's schema up to date, safely when several processes start at once. A newer schema
 * is KNOCKER_STORAGE. */
KNOCKER_PRIVATE int32_t schema_migrate(db *d, knocker_error *error);
/* KNOCKER_STORAGE for a newer schema; before anything of the file is touched. */
KNOCKER_PRIVATE int32_t schema_known(db *d, knocker_error *error);
/* For a connection of the application's: KNOCKER_STORAGE says that knocker_bootstrap() is due. */
KNOCKER_PRIVATE int32_t schema_check(db *d, knocker_error *error);
/* In a transaction that is open already. */
KNOCKER_PRIVATE int32_t schema_apply(db *d, knocker_error *error);

#endif


typedef struct {
	const knocker_request *request;
	bool ingest;
	registration *registration;
	const scheme *scheme; /* by which it is verified; NULL: not */
	const scheme_keys *keys;
	scheme *own_scheme; /* of this call alone */
	scheme_keys *own_keys;
	knocker_bytes provider; /* absent: not verified */
	bool by_application, too_large;
	bool unjudged; /* nobody here has a secret: an error, unless its endpoint is disabled */
	arena memory;
	scheme_verdict verdict;
	knocker_bytes method, event_type, provider_event_id, provider_delivery_id, dedupe_key;
	buffer headers, query;                 /* as stored: redacted JSON */
	int64_t delivery_id, event_id, status; /* the result; event_id 0: none */
	bool duplicate;
	knocker_bytes response_headers, response_body;
	int32_t rc; /* its own failure in a batch */
	knocker_error error;
} receipt;

/* Checks the arguments and verifies. `reader` looks the endpoint's row up where this process has
 * not registered it. */
KNOCKER_PRIVATE int32_t receipt_prepare(inbox *in, db *reader, const knocker_request *request, bool ingest,
                        receipt *r, knocker_error *error);
/* Then `reader` must be given. */
KNOCKER_PRIVATE bool receipt_needs_row(inbox *in, const knocker_request *request, bool ingest);
/* In a transaction. The endpoint's row, which may have changed since, decides last. */
KNOCKER_PRIVATE int32_t receipt_store(inbox *in, db *d, receipt *r, inbox_known *known, knocker_error *error);
/* A stored request, verified as it would have been at `at_ms` by today's scheme and secrets. Ids
 * are read anew; what `request` says of them holds where nothing is read, and makes no dedupe key.
 * Where nothing is verified, or nobody here can, that is an error. */
KNOCKER_PRIVATE int32_t receipt_again(inbox *in, db *reader, const knocker_request *request, int64_t at_ms,
                      receipt *r, knocker_error *error);
/* In a transaction: the orphan that `r` verified becomes an event, or a repeat of one. 1: it is no
 * orphan any more. `bytes` is what it counts for in its endpoint's budget. */
KNOCKER_PRIVATE int32_t receipt_adopt(inbox *in, db *d, receipt *r, int64_t id, int64_t bytes,
                      knocker_error *error);
KNOCKER_PRIVATE int32_t receipt_check_provider(const receipt *r, const endpoint_row *row, knocker_error *error);
KNOCKER_PRIVATE int32_t receipt_check_enabled(const receipt *r, const endpoint_row *row, knocker_error *error);
KNOCKER_PRIVATE int32_t receipt_no_secret(const receipt *r, knocker_error *error);
/* Headers and query as they are stored, without what this scheme compares as a credential. */
KNOCKER_PRIVATE int32_t receipt_texts(receipt *r, const scheme *s, const scheme_keys *keys, knocker_error *error);
KNOCKER_PRIVATE void receipt_free(receipt *r);
KNOCKER_PRIVATE int64_t receipt_bytes(const receipt *r);

#define RECEIPT_COLUMNS \
	"delivery_id, event_id, duplicate, status_code, response_headers, response_body"
#define RECEIPT_MANY_COLUMNS RECEIPT_COLUMNS ", error_code, error"

KNOCKER_PRIVATE int32_t receipt_row(const receipt *r, bool many, knocker_rows *rows, knocker_error *error);

KNOCKER_PRIVATE int32_t receipt_verify(const knocker_request *request, int64_t now_ms, knocker_rows **out,
                       knocker_error *error); /* pure */
KNOCKER_PRIVATE int32_t receipt_sign(const knocker_request *request, int64_t now_ms, knocker_rows **out,
                     knocker_error *error); /* pure */

#endif



typedef struct {
	receipt **receipts; /* prepared; each gets its own result or failure */
	int32_t count;
} batch;

/* Fails as a whole only where the writer was not to be had. */
KNOCKER_PRIVATE int32_t batch_receive(inbox *in, store *s, batch *b, bool full, knocker_error *error);

#endif




/* All receipts of all taken tickets, as one sequence. */
typedef struct {
	ticket *ticket;
	int32_t at;
} batch_cursor;

static receipt *batch_next(batch_cursor *c)
{
	while (c->ticket) {
		batch *b = c->ticket->batch;

		if (c->at < b->count)
			return b->receipts[c->at++];
		c->ticket = c->ticket->next;
		c->at = 0;
	}
	return NULL;
}

static bool batch_is_one(ticket *taken)
{
	return !taken->next && ((const batch *)taken->batch)->count == 1;
}

/* ---- a transaction of receipts ---- */

/* What the last such transaction knew of the file holds for this one where nobody has committed to
 * it since: the usual case of a burst, which saves each receipt two look-ups. */
static int32_t batch_begin(inbox *in, db *d, knocker_error *error)
{
	inbox_known *known = &in->known;
	int32_t rc = db_begin(d, error);

	if (rc < 0 || known->version < 0 || known->version != db_version(d))
		known->dates = known->row = false;
	known->now_ms = 0;
	known->version = -1;
	return rc;
}

/* Commits where all is well so far, and ends the transaction in any case. */
static int32_t batch_end(inbox *in, db *d, int32_t rc, knocker_error *error)
{
	if (rc == 0)
		rc = db_commit(d, error);
	if (rc == 0)
		in->known.version = db_version(d);
	db_rollback(d);
	return rc;
}

/* One receipt of several. No savepoint guards it, which would cost two statements and a copy of
 * each page: one that fails before it wrote anything fails alone, any other fails the
 * transaction. */
static int32_t batch_store_one(inbox *in, db *d, receipt *r)
{
	int64_t before = db_changes_total(d);

	r->rc = receipt_store(in, d, r, &in->known, &r->error);
	if (r->rc == 0)
		return 0;
	in->known.dates = in->known.row = false;
	if (db_in_transaction(d) && db_changes_total(d) == before)
		return 0;
	r->rc = 0; /* it is tried again alone, as all others are */
	return KNOCKER_STORAGE;
}

static int32_t batch_try_together(inbox *in, db *d, ticket *taken, knocker_error *error)
{
	batch_cursor c = {.ticket = taken};
	int32_t rc = batch_begin(in, d, error);
	receipt *r;

	while (rc == 0 && (r = batch_next(&c)))
		if (r->rc == 0)
			rc = batch_store_one(in, d, r);
	return batch_end(in, d, rc, error);
}

static void batch_alone(inbox *in, db *d, receipt *r)
{
	r->rc = batch_begin(in, d, &r->error);
	if (r->rc == 0)
		r->rc = receipt_store(in, d, r, &in->known, &r->error);
	r->rc = batch_end(in, d, r->rc, &r->error);
}

/* A receipt that failed before keeps its failure. */
static void batch_one_by_one(inbox *in, db *d, ticket *taken)
{
	batch_cursor c = {.ticket = taken};
	receipt *r;

	while ((r = batch_next(&c)))
		if (r->rc == 0)
			batch_alone(in, d, r);
}

static void batch_fail_all(ticket *taken, int32_t rc, const knocker_error *error)
{
	batch_cursor c = {.ticket = taken};
	receipt *r;

	while ((r = batch_next(&c)))
		if (r->rc == 0) {
			r->rc = rc;
			r->error = *error;
		}
}

/* The prepared receipts of a batch have rc 0; those that failed to be prepared keep theirs. */
static void batch_lead(inbox *in, store *s, ticket *own, bool full)
{
	ticket *taken = store_take(s, own);
	db *d = store_writer(s);
	knocker_error error = {0};
	int32_t rc = db_synchronous(d, full, &error);

	if (rc == 0 && batch_is_one(taken)) {
		batch_one_by_one(in, d, taken);
	} else if (rc == 0) {
		rc = batch_try_together(in, d, taken, &error);
		if (rc < 0 && rc != KNOCKER_BUSY) {
			batch_one_by_one(in, d, taken);
			rc = 0;
		}
	}
	if (rc < 0)
		batch_fail_all(taken, rc, &error);
	store_done(taken);
	store_leave(s);
}

int32_t batch_receive(inbox *in, store *s, batch *b, bool full, knocker_error *error)
{
	ticket t = {.batch = b, .who = "a receipt"};
	int32_t i, rc;

	for (i = 0; i < b->count; i++)
		t.bytes += receipt_bytes(b->receipts[i]);
	rc = store_line_up(s, &t, error);
	if (rc == 1)
		batch_lead(in, s, &t, full);
	return rc < 0 ? rc : 0;
}

/* ==== core/src/diagnose.c ==== */

/* Runs the hypotheses in order of likelihood, within bounds, and says what it found. The hypotheses
 * themselves stand in the other diagnose_*.c files. */
/* What the files of a diagnosis share: the request, the scheme without its window, the findings.
 * Nobody else includes this. */
#ifndef KNOCKER_DIAGNOSE_PARTS_H
#define KNOCKER_DIAGNOSE_PARTS_H

/* Why a request is not valid: which known mistake, undone, would make it so. Knows no sender's name
 * and prints no secret, no digest and no body. */
#ifndef KNOCKER_DIAGNOSE_H
#define KNOCKER_DIAGNOSE_H



/* Where a diagnosis looks besides the request. */
typedef struct {
	registrations *known;      /* other endpoints' secrets; NULL: none */
	db *reader;                /* where `delivery_id` stands; NULL where that is 0 */
	int64_t delivery_id;       /* the request is this stored delivery; 0: the request as given */
	knocker_bytes others_json; /* {"NAME": ["secret"]}: further secrets to be tried */
	int64_t now_ms;            /* the time of the check; of a delivery when it was received */
} diagnose_place;

#define DIAGNOSE_COLUMNS "cause, sentence"

KNOCKER_PRIVATE int32_t diagnose_request(const diagnose_place *place, const knocker_request *request,
                         knocker_rows **out, knocker_error *error);

#endif





/* Tries of one diagnosis, and bytes that they hash: a second's work at most. */
#define DIAGNOSE_TRIES 4000
#define DIAGNOSE_BYTES ((int64_t)256 * 1024 * 1024)
#define DIAGNOSE_NAMES 3 /* providers that one sentence names */

/* A scheme with changes. Everything else is the original's, which must outlive it. */
typedef struct {
	scheme scheme;
	scheme_try tries[SCHEME_FAMILIES_MAX];
} diagnose_scheme;

typedef struct {
	const diagnose_place *place;
	knocker_error *error;
	int32_t rc;
	knocker_rows *rows;
	arena memory; /* of what lives as long as the diagnosis */
	const scheme *scheme;
	diagnose_scheme loose; /* without a window: a captured request is old */
	scheme_keys *bare;     /* the options, and no secret */
	scheme_keys *keys;     /* what was given; NULL: a secret of it is no key of the scheme */
	knocker_error keys_error;
	knocker_bytes endpoint;
	const knocker_bytes *secrets; /* as given */
	size_t secret_count;
	knocker_bytes secrets_json, options_json;
	json *others; /* further secrets by name; NULL: none */
	scheme_request request;
	int64_t now_s, tries, bytes;
	bool stopped;          /* the bounds were reached */
	bool redacted;         /* a stored delivery whose signature was not kept */
	bool no_body;          /* a stored delivery whose body was not kept */
	bool had_signature;    /* some signature text was there, as the request came */
	bool has_signature;    /* in the last try */
	knocker_bytes renamed; /* a sentence about headers, kept until something fits; or absent */
	size_t found;          /* rows that say what fits */
} diagnosis;

/* Whether the request is right under these keys; never more often than the bounds allow. */
KNOCKER_PRIVATE bool diagnose_fits(diagnosis *d, const scheme_keys *keys, const scheme_request *request);
/* A row, without asking whether it is true. `cause` NULL: nothing fits. */
KNOCKER_PRIVATE void diagnose_say(diagnosis *d, const char *cause, const char *format, ...)
	__attribute__((format(printf, 3, 4)));
/* Says that this fits; besides, whether its time is off. */
KNOCKER_PRIVATE void diagnose_found(diagnosis *d, const scheme_keys *keys, const scheme_request *request,
                    const char *cause, const char *sentence);
/* The scheme with what its own copy says changed. */
KNOCKER_PRIVATE void diagnose_scheme_copy(const scheme *s, diagnose_scheme *out);
/* Keys of one secret by the rules of `rules`, with the options as given; NULL: it is none. */
KNOCKER_PRIVATE scheme_keys *diagnose_keys(diagnosis *d, const scheme *rules, knocker_bytes secret);
/* Verifies with the window. True: valid; else `*off_s` is how far the time is off, or 0. */
KNOCKER_PRIVATE bool diagnose_strict(diagnosis *d, const scheme *s, const scheme_keys *keys,
                     const scheme_request *request, int64_t now_s, int64_t *off_s);

/* The groups of hypotheses, each a file. Each stops at the first that fits. */
KNOCKER_PRIVATE void diagnose_time(diagnosis *d, const scheme_keys *keys, const scheme_request *request);
KNOCKER_PRIVATE void diagnose_digits(diagnosis *d);
KNOCKER_PRIVATE void diagnose_headers(diagnosis *d);
KNOCKER_PRIVATE void diagnose_secrets(diagnosis *d);
KNOCKER_PRIVATE void diagnose_others(diagnosis *d);
KNOCKER_PRIVATE void diagnose_body(diagnosis *d);
KNOCKER_PRIVATE void diagnose_url(diagnosis *d);
KNOCKER_PRIVATE void diagnose_provider(diagnosis *d);

/* Whether the scheme reads the header of that name. */
KNOCKER_PRIVATE bool diagnose_reads(diagnosis *d, knocker_bytes name);

/* diagnose_json.c: writes JSON anew as other writers would. */
typedef struct {
	const char *comma, *colon; /* what stands after the elements and after the names */
	int indent;                /* blanks a level; 0: one line; -1: a tab a level */
	enum { UNICODE_KEPT, UNICODE_ESCAPED, UNICODE_RAW } unicode;
	enum { SLASH_KEPT, SLASH_ESCAPED, SLASH_RAW } slash;
	bool html; /* <, > and & are escaped */
} diagnose_style;
/* False: the text is no JSON object or array, or there was no memory. */
KNOCKER_PRIVATE bool diagnose_json_write(knocker_bytes text, const diagnose_style *style, buffer *out);

/* diagnose_stored.c: a stored delivery as the request that it was. */
/* Method, body, time and endpoint; and the endpoint's provider where none is given. */
KNOCKER_PRIVATE int32_t diagnose_stored(diagnosis *d, knocker_bytes *provider);
/* Headers and query, once the scheme is known: says which of them were redacted. */
KNOCKER_PRIVATE int32_t diagnose_stored_texts(diagnosis *d);

#endif


#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* ---- tries ---- */

void diagnose_scheme_copy(const scheme *s, diagnose_scheme *out)
{
	out->scheme = *s;
	memcpy(out->tries, s->tries, s->try_count * sizeof *s->tries);
	out->scheme.tries = out->tries;
}

static bool diagnose_verify(diagnosis *d, const scheme *s, const scheme_keys *keys,
                            const scheme_request *request, int64_t now_s, scheme_verdict *v,
                            arena *a)
{
	*v = (scheme_verdict){0};
	if (d->rc < 0 || !keys)
		return false;
	if (d->tries >= DIAGNOSE_TRIES || d->bytes >= DIAGNOSE_BYTES) {
		d->stopped = true;
		return false;
	}
	d->tries++;
	d->bytes += (request->body.len + 64) * (int64_t)(keys->key_count + 1);
	d->rc = scheme_verify(s, keys, request, now_s, a, v, d->error);
	return d->rc == 0 && v->valid;
}

bool diagnose_fits(diagnosis *d, const scheme_keys *keys, const scheme_request *request)
{
	scheme_verdict v;
	arena a = {0};
	bool fits = diagnose_verify(d, &d->loose.scheme, keys ? keys : d->bare, request, d->now_s, &v,
	                            &a);

	d->has_signature = v.has_signature;
	arena_free(&a);
	return fits;
}

/* The number in "timestamp is N s off", which the engine says once a signature was right. */
static int64_t diagnose_off(const char *error)
{
	static const char before[] = "timestamp is ";
	const char *at = error ? strstr(error, before) : NULL;
	int64_t off_s = 0;

	if (!at || !strstr(at, " s off"))
		return 0;
	for (at += sizeof before - 1; *at >= '0' && *at <= '9' && off_s < INT64_MAX / 20; at++)
		off_s = off_s * 10 + (*at - '0');
	return off_s;
}

bool diagnose_strict(diagnosis *d, const scheme *s, const scheme_keys *keys,
                     const scheme_request *request, int64_t now_s, int64_t *off_s)
{
	scheme_verdict v;
	arena a = {0};
	bool fits = diagnose_verify(d, s, keys, request, now_s, &v, &a);

	*off_s = fits ? 0 : diagnose_off(v.error);
	arena_free(&a);
	return fits;
}

scheme_keys *diagnose_keys(diagnosis *d, const scheme *rules, knocker_bytes secret)
{
	scheme_keys *keys = NULL;
	int32_t rc;
	buffer list;

	if (d->rc < 0 || d->stopped || !bytes_utf8(secret))
		return NULL;
	buffer_init(&list, LIMIT_JSON);
	buffer_text(&list, "[");
	buffer_json(&list, secret);
	buffer_text(&list, "]");
	rc = list.failed ? KNOCKER_STORAGE
	                 : scheme_keys_over(rules, d->bare, buffer_view(&list), (knocker_bytes){0},
	                                    &keys, NULL);
	if (rc == KNOCKER_STORAGE)
		d->rc = fail_memory(d->error);
	if (list.data)
		crypto_cleanse(list.data, list.len);
	buffer_free(&list);
	return keys;
}

/* ---- findings ---- */

void diagnose_say(diagnosis *d, const char *cause, const char *format, ...)
{
	char text[600];
	va_list arguments;

	if (d->rc < 0)
		return;
	va_start(arguments, format);
	vsnprintf(text, sizeof text, format, arguments);
	va_end(arguments);
	d->rc = rows_add(d->rows, (const knocker_value[]){TEXT(bytes_of(cause)), TEXT(bytes_of(text))},
	                 d->error);
}

void diagnose_found(diagnosis *d, const scheme_keys *keys, const scheme_request *request,
                    const char *cause, const char *sentence)
{
	d->found++;
	if (bytes_given(d->renamed) && strcmp(cause, "header_renamed") != 0)
		diagnose_say(d, "header_renamed", "%s", (const char *)d->renamed.data);
	diagnose_say(d, cause, "%s", sentence);
	diagnose_time(d, keys, request);
}

/* ---- what is given ---- */

/* The scheme by name, as JSON, or of the registration. */
static int32_t diagnose_find_scheme(diagnosis *d, knocker_bytes provider, const registration *r,
                                    scheme **own)
{
	const scheme *builtin = NULL;
	bool known = r && r->scheme && (!bytes_given(provider) || bytes_equal(r->provider, provider));

	if (known) {
		d->scheme = r->scheme;
		return 0;
	}
	if (provider.len <= 0)
		return fail(d->error, KNOCKER_INVALID_ARGUMENT,
		            "provider is missing: a built-in's name or a scheme's JSON");
	if (bytes_starts(provider, "{")) {
		d->rc = scheme_compile(provider, own, d->error);
		d->scheme = *own;
		return d->rc;
	}
	d->rc = scheme_builtin(provider, &builtin, d->error);
	d->scheme = builtin;
	if (d->rc == 0 && !builtin)
		d->rc = fail(d->error, KNOCKER_INVALID_ARGUMENT, "no provider is named '%.*s'",
		             QUOTED(provider));
	return d->rc;
}

static const knocker_bytes *diagnose_texts(diagnosis *d, const json *list, size_t *count)
{
	knocker_bytes *texts = arena_get(&d->memory, (json_count(list) + 1) * sizeof *texts);
	const json *one;

	*count = 0;
	if (!texts)
		d->rc = fail_memory(d->error);
	for (one = json_first(list); texts && one; one = json_next(one)) {
		if (json_kind(one) == JSON_TEXT)
			texts[(*count)++] = json_text(one);
		else
			d->rc = fail(d->error, KNOCKER_INVALID_ARGUMENT, "secret %zu is not a text",
			             *count + 1);
		if (d->rc < 0)
			return texts;
	}
	return texts;
}

/* The secrets as texts: those of the call, else of the registration. */
static void diagnose_take_secrets(diagnosis *d, knocker_bytes secrets_json, const registration *r,
                                  json **tree, buffer *list)
{
	size_t i;

	if (bytes_given(secrets_json) && secrets_json.len > 0) {
		d->rc = json_parse("secrets_json", secrets_json, tree, d->error);
		if (d->rc == 0 && json_kind(*tree) != JSON_ARRAY && json_kind(*tree) != JSON_NULL)
			d->rc = fail(d->error, KNOCKER_INVALID_ARGUMENT,
			             "secrets_json is not a JSON array of texts");
	}
	if (d->rc == 0 && *tree) {
		d->secrets = diagnose_texts(d, *tree, &d->secret_count);
	} else if (d->rc == 0 && r && r->keys && r->scheme == d->scheme) {
		knocker_bytes *texts = arena_get(&d->memory, (r->keys->secret_count + 1) * sizeof *texts);

		for (i = 0; texts && i < r->keys->secret_count; i++)
			texts[i] = (knocker_bytes){r->keys->secrets[i].bytes, (int64_t)r->keys->secrets[i].len};
		d->secrets = texts;
		d->secret_count = texts ? r->keys->secret_count : 0;
	}
	buffer_text(list, "[");
	for (i = 0; d->rc == 0 && i < d->secret_count; i++) {
		buffer_text(list, i ? "," : "");
		buffer_json(list, d->secrets[i]);
	}
	buffer_text(list, "]");
	if (d->rc == 0 && (list->failed || (!d->secrets && d->secret_count)))
		d->rc = fail_memory(d->error);
	d->secrets_json = buffer_view(list);
}

static void diagnose_take_others(diagnosis *d)
{
	if (!bytes_given(d->place->others_json) || d->place->others_json.len == 0)
		return;
	d->rc = json_parse("others_json", d->place->others_json, &d->others, d->error);
	if (d->rc == 0 && json_kind(d->others) != JSON_OBJECT && json_kind(d->others) != JSON_NULL)
		d->rc = fail(d->error, KNOCKER_INVALID_ARGUMENT,
		             "others_json is not a JSON object of names and secrets");
}

/* The options, then the keys; secrets that are no keys are not the end of it. */
static void diagnose_take_keys(diagnosis *d, const registration *r)
{
	const scheme_keys *base = r && r->scheme == d->scheme ? r->keys : NULL;
	int32_t rc;

	diagnose_scheme_copy(d->scheme, &d->loose);
	d->loose.scheme.has_window = false;
	d->loose.scheme.option_tolerance = -1;
	d->loose.scheme.stores_secret = true;
	d->rc = scheme_keys_over(&d->loose.scheme, base, bytes_of("[]"), d->options_json, &d->bare,
	                         d->error);
	if (d->rc < 0)
		return;
	rc = scheme_keys_over(d->scheme, d->bare, d->secrets_json, (knocker_bytes){0}, &d->keys,
	                      &d->keys_error);
	if (rc == KNOCKER_STORAGE)
		d->rc = fail(d->error, rc, "%s", d->keys_error.text);
}

/* ---- the order ---- */

/* True: there is nothing to explain, or the signature is right and the time alone is wrong. */
static bool diagnose_as_it_is(diagnosis *d, knocker_bytes *error)
{
	scheme_verdict v;
	arena a = {0};
	bool valid = diagnose_verify(d, d->scheme, d->keys ? d->keys : d->bare, &d->request, d->now_s,
	                             &v, &a);
	bool done = valid || v.handshake;

	d->had_signature = v.has_signature;
	if (d->rc == 0 && !arena_copy(&d->memory, bytes_of(v.error), error))
		d->rc = fail_memory(d->error);
	if (valid)
		diagnose_say(d, "valid", "the request is valid as it is");
	else if (v.handshake)
		diagnose_say(d, "handshake", "it is a handshake, which was answered: it is never an event");
	arena_free(&a);
	if (!done && d->keys && !d->no_body && diagnose_fits(d, d->keys, &d->request)) {
		d->found++;
		diagnose_time(d, d->keys, &d->request);
		done = true;
	}
	d->found += valid || v.handshake;
	return done;
}

static void diagnose_give_up(diagnosis *d, knocker_bytes error)
{
	if (bytes_given(d->renamed))
		diagnose_say(d, "header_renamed", "%s; %s", (const char *)d->renamed.data,
		             d->no_body ? "its body was not kept, so that the signature cannot be tried"
		                        : "even so its signature is not right");
	if (d->no_body) {
		diagnose_say(d, "no_body",
		             "the body of this delivery was not kept, so that its signature cannot be "
		             "tried: %.*s",
		             QUOTED(error));
		return;
	}
	diagnose_say(
		d, NULL,
		"%.*s, and no known mistake explains it: renamed headers, times, secrets cut, "
		"decoded or of others, the body's ends, lines, encoding and JSON, the url, and the "
		"other providers were tried, %lld requests in all%s. The secret is wrong, the body "
		"is not what was signed, or it is a forgery",
		QUOTED(bytes_given(error) ? error : bytes_of("not valid")), (long long)d->tries,
		d->stopped ? ", until the bounds were reached" : "");
}

static void diagnose_run(diagnosis *d)
{
	static void (*const groups[])(diagnosis *) = {diagnose_headers, diagnose_secrets,
	                                              diagnose_others,  diagnose_digits,
	                                              diagnose_body,    diagnose_url};
	knocker_bytes error = {0};
	size_t i;

	if (diagnose_as_it_is(d, &error))
		return;
	for (i = 0; i < sizeof groups / sizeof *groups && d->rc == 0 && d->found == 0; i++)
		if (!d->no_body || i == 0)
			groups[i](d);
	if (d->rc == 0 && d->found == 0)
		diagnose_provider(d);
	if (d->rc < 0 || d->found > 0)
		return;
	if (!d->keys && rows_count(d->rows) == 0 && !bytes_given(d->renamed))
		d->rc = fail(d->error, (int32_t)d->keys_error.code, "%s", d->keys_error.text);
	else
		diagnose_give_up(d, error);
}

/* The endpoint's registration here, held; NULL: none. */
static registration *diagnose_registered(const diagnosis *d)
{
	return d->place->known && d->endpoint.len > 0 ? registration_find(d->place->known, d->endpoint)
	                                              : NULL;
}

int32_t diagnose_request(const diagnose_place *place, const knocker_request *request,
                         knocker_rows **out, knocker_error *error)
{
	diagnosis *d = memory_get(sizeof *d);
	knocker_bytes provider = request->provider;
	registration *r;
	scheme *own = NULL;
	json *tree = NULL;
	buffer list;
	int32_t rc;

	if (!d)
		return fail_memory(error);
	*d = (diagnosis){.place = place, .error = error, .endpoint = request->endpoint};
	d->options_json = request->options_json;
	d->request = (scheme_request){request->method, request->headers, request->query, request->body};
	d->now_s = place->now_ms / 1000;
	buffer_init(&list, LIMIT_JSON);
	d->rc = request_headers_check(request->headers, error);
	if (d->rc == 0)
		d->rc = rows_new(DIAGNOSE_COLUMNS, &d->rows, error);
	if (d->rc == 0 && place->delivery_id)
		diagnose_stored(d, &provider);
	r = d->rc == 0 ? diagnose_registered(d) : NULL;
	if (d->rc == 0)
		d->rc = diagnose_find_scheme(d, provider, r, &own);
	if (d->rc == 0)
		diagnose_take_secrets(d, request->secrets_json, r, &tree, &list);
	if (d->rc == 0)
		diagnose_take_others(d);
	if (d->rc == 0)
		diagnose_take_keys(d, r);
	if (d->rc == 0 && place->delivery_id)
		diagnose_stored_texts(d);
	if (d->rc == 0 && !d->redacted)
		diagnose_run(d);
	rc = rows_or_none(d->rc, &d->rows);
	*out = d->rows;
	scheme_keys_free(d->keys);
	scheme_keys_free(d->bare);
	registration_leave(r);
	scheme_free(own);
	json_cleanse_free(tree);
	json_cleanse_free(d->others);
	if (list.data)
		crypto_cleanse(list.data, list.len);
	buffer_free(&list);
	arena_free(&d->memory);
	memory_free(d);
	return rc;
}

/* ==== core/src/diagnose_body.c ==== */

/* Hypotheses about bodies that are not the bytes that were signed: cut, with other line ends or in
 * another encoding, parsed and written anew. */
#include <string.h>



static const char diagnose_take_raw[] =
	"the body was parsed and written anew before it was checked: give the raw bytes as received";

/* Whether the buffer failed: at its bound, or for want of memory. */
static bool diagnose_body_failed(diagnosis *d, const buffer *body)
{
	d->stopped |= body->full;
	if (body->failed && !body->full)
		d->rc = fail_memory(d->error);
	return body->failed;
}

/* The body that stands in the buffer. */
static bool diagnose_body_try(diagnosis *d, const buffer *body, const char *cause,
                              const char *sentence)
{
	scheme_request changed = d->request;

	changed.body = buffer_view(body);
	if (diagnose_body_failed(d, body) || !bytes_given(changed.body) ||
	    bytes_equal(changed.body, d->request.body) || !diagnose_fits(d, d->keys, &changed))
		return false;
	diagnose_found(d, d->keys, &changed, cause, sentence);
	return true;
}

/* ---- ends ---- */

static bool diagnose_ends(diagnosis *d)
{
	static const char *const lost[] = {"\n", "\r\n", " ", "\n\n"};
	knocker_bytes body = d->request.body;
	const char *text = body.data;
	size_t from = 0, to = (size_t)body.len, i;
	bool fits = false;
	buffer b;

	for (i = 0; i < sizeof lost / sizeof *lost && !fits; i++) {
		buffer_init(&b, (size_t)body.len + 8);
		buffer_bytes(&b, body);
		buffer_text(&b, lost[i]);
		fits = diagnose_body_try(d, &b, "body_trimmed",
		                         "the body lost its last line end or blanks: give the raw bytes as "
		                         "received");
		buffer_free(&b);
	}
	while (!fits && to > 0 && strchr(" \t\r\n", text[to - 1]) && text[to - 1]) {
		to--;
		buffer_init(&b, (size_t)body.len + 8);
		buffer_add(&b, text, to);
		fits = body.len - (int64_t)to <= 4 &&
		       diagnose_body_try(d, &b, "body_trimmed",
		                         "the body has a line end or blanks more than was signed: give the "
		                         "raw bytes as received");
		buffer_free(&b);
	}
	while (from < to && strchr(" \t\r\n", text[from]) && text[from])
		from++;
	if (fits || to == 0)
		return fits;
	buffer_init(&b, (size_t)body.len + 8);
	buffer_add(&b, text + from, to - from);
	fits =
		diagnose_body_try(d, &b, "body_trimmed",
	                      "the body has blanks around it that were not signed: give the raw bytes "
	                      "as received");
	buffer_free(&b);
	return fits;
}

/* ---- line ends ---- */

static void diagnose_lines(knocker_bytes body, const char *end, buffer *out)
{
	const char *text = body.data;
	size_t i, from = 0, len = (size_t)body.len;

	for (i = 0; i < len; i++) {
		if (text[i] != '\n' && text[i] != '\r')
			continue;
		buffer_add(out, text + from, i - from);
		buffer_text(out, end);
		i += text[i] == '\r' && i + 1 < len && text[i + 1] == '\n';
		from = i + 1;
	}
	buffer_add(out, text + from, len - from);
}

static bool diagnose_line_ends(diagnosis *d)
{
	static const char *const ends[] = {"\n", "\r\n", "\r"};
	size_t i, last;
	bool fits = false;

	for (i = 0; i < sizeof ends / sizeof *ends && !fits; i++)
		for (last = 0; last < 2 && !fits; last++) {
			buffer b;

			buffer_init(&b, 2 * (size_t)d->request.body.len + 8);
			diagnose_lines(d->request.body, ends[i], &b);
			if (last == 1)
				buffer_text(&b, ends[i]);
			fits = diagnose_body_try(d, &b, "body_line_ends",
			                         i == 0
			                             ? "the body came with other line ends than were signed, "
			                               "which were LF: give the raw bytes as received"
			                         : i == 1
			                             ? "the body came with other line ends than were signed, "
			                               "which were CRLF: give the raw bytes as received"
			                             : "the body came with other line ends than were signed, "
			                               "which were CR: give the raw bytes as received");
			buffer_free(&b);
		}
	return fits;
}

/* ---- encodings ---- */

/* UTF-8 read as Latin-1 and written as UTF-8 again, undone; or done once. */
static void diagnose_latin(knocker_bytes body, bool undo, buffer *out)
{
	const uint8_t *text = body.data;
	size_t i, len = (size_t)body.len;
	char pair[2];

	for (i = 0; i < len; i++) {
		if (undo && (text[i] == 0xC2 || text[i] == 0xC3) && i + 1 < len) {
			pair[0] = (char)(text[i] << 6 | (text[i + 1] & 0x3F));
			buffer_add(out, pair, 1);
			i++;
		} else if (!undo && text[i] >= 0x80) {
			pair[0] = (char)(0xC0 | text[i] >> 6);
			pair[1] = (char)(0x80 | (text[i] & 0x3F));
			buffer_add(out, pair, 2);
		} else {
			buffer_add(out, text + i, 1);
		}
	}
}

static bool diagnose_encoding(diagnosis *d)
{
	static const char mark[] = "\xEF\xBB\xBF";
	static const char sentence[] =
		"the body came in another character encoding than was signed: give the raw bytes, never "
		"a decoded text";
	knocker_bytes body = d->request.body;
	bool fits = false;
	int i;

	for (i = 0; i < 4 && !fits; i++) {
		buffer b;

		buffer_init(&b, 2 * (size_t)body.len + 8);
		if (i < 2)
			diagnose_latin(body, i == 0, &b);
		else if (i == 2)
			buffer_text(&b, mark);
		if (i == 2)
			buffer_bytes(&b, body);
		else if (i == 3 && bytes_starts(body, mark))
			buffer_bytes(&b, bytes_part(body, 3, (size_t)body.len));
		fits = diagnose_body_try(d, &b, "body_encoding", sentence);
		buffer_free(&b);
	}
	return fits;
}

/* A gateway hands bodies on in base64. */
static bool diagnose_base64(diagnosis *d)
{
	knocker_bytes body = bytes_trim(d->request.body);
	uint8_t *bytes = memory_get((size_t)body.len + 4);
	scheme_request changed = d->request;
	size_t len = 0;
	bool fits = false;

	if (!bytes) {
		d->rc = fail_memory(d->error);
		return false;
	}
	if (codec_base64_lenient(body, bytes, &len) && len > 0) {
		changed.body = (knocker_bytes){bytes, (int64_t)len};
		fits = diagnose_fits(d, d->keys, &changed);
	}
	if (fits)
		diagnose_found(d, d->keys, &changed, "body_base64",
		               "the body is still in base64, as a gateway hands it on: decode it first");
	memory_free(bytes);
	return fits;
}

/* ---- JSON ---- */

static bool diagnose_style_try(diagnosis *d, const diagnose_style *style)
{
	bool fits = false;
	buffer b;

	buffer_init(&b, 8 * (size_t)d->request.body.len + 64);
	if (diagnose_json_write(d->request.body, style, &b)) {
		fits = diagnose_body_try(d, &b, "body_reserialised", diagnose_take_raw);
		if (!fits) {
			buffer_text(&b, "\n");
			fits = diagnose_body_try(d, &b, "body_reserialised", diagnose_take_raw);
		}
	}
	diagnose_body_failed(d, &b);
	buffer_free(&b);
	return fits;
}

static bool diagnose_styles(diagnosis *d)
{
	static const struct {
		const char *comma, *colon;
		int indent;
	} blanks[] = {{"", "", 0},   {" ", " ", 0}, {"", " ", 2}, {"", " ", 4},
	              {"", " ", -1}, {"", " ", 0},  {"", " ", 3}};
	static const diagnose_style escapes[] = {
		{NULL, NULL, 0, UNICODE_KEPT, SLASH_KEPT, false},
		{NULL, NULL, 0, UNICODE_ESCAPED, SLASH_KEPT, false},
		{NULL, NULL, 0, UNICODE_RAW, SLASH_KEPT, false},
		{NULL, NULL, 0, UNICODE_ESCAPED, SLASH_ESCAPED, false},
		{NULL, NULL, 0, UNICODE_KEPT, SLASH_ESCAPED, false},
		{NULL, NULL, 0, UNICODE_RAW, SLASH_RAW, false},
		{NULL, NULL, 0, UNICODE_KEPT, SLASH_RAW, false},
		{NULL, NULL, 0, UNICODE_RAW, SLASH_RAW, true},
	};
	size_t i, k;

	for (k = 0; k < sizeof escapes / sizeof *escapes; k++)
		for (i = 0; i < sizeof blanks / sizeof *blanks && d->rc == 0 && !d->stopped; i++) {
			diagnose_style style = escapes[k];

			style.comma = blanks[i].comma;
			style.colon = blanks[i].colon;
			style.indent = blanks[i].indent;
			if (diagnose_style_try(d, &style))
				return true;
		}
	return false;
}

/* A JSON text that holds the body: it was written twice. */
static bool diagnose_quoted(diagnosis *d)
{
	json *tree = NULL;
	bool fits = false;
	int32_t rc;
	buffer b;

	if (!bytes_starts(d->request.body, "\""))
		return false;
	rc = json_parse("the body", d->request.body, &tree, NULL);
	if (rc == KNOCKER_STORAGE)
		d->rc = fail_memory(d->error);
	if (rc < 0)
		return false;
	buffer_init(&b, (size_t)d->request.body.len + 8);
	buffer_bytes(&b, json_text(tree));
	fits = diagnose_body_try(d, &b, "body_reserialised", diagnose_take_raw);
	buffer_free(&b);
	json_free(tree);
	return fits;
}

void diagnose_body(diagnosis *d)
{
	static bool (*const tries[])(diagnosis *) = {diagnose_ends,     diagnose_line_ends,
	                                             diagnose_styles,   diagnose_quoted,
	                                             diagnose_encoding, diagnose_base64};
	size_t i;

	for (i = 0; d->request.body.len > 0 && i < sizeof tries / sizeof *tries && d->rc == 0; i++)
		if (tries[i](d))
			return;
}

/* ==== core/src/diagnose_header.c ==== */

/* Hypotheses about headers that came under another name than their sender gave them. */
#include <stdio.h>
#include <string.h>



/* What proxies put before a name, one before the other, in the order in which it is taken off. */
static const char *const diagnose_prefixes[] = {"http-", "x-original-", "x-forwarded-", "x-"};

static char diagnose_fold(char c)
{
	return c == '_' ? '-' : ascii_lower(c);
}

static bool diagnose_begins(knocker_bytes name, knocker_bytes prefix)
{
	int64_t i;

	for (i = 0; i < prefix.len && i < name.len; i++)
		if (diagnose_fold(((const char *)name.data)[i]) !=
		    diagnose_fold(((const char *)prefix.data)[i]))
			return false;
	return prefix.len > 0 && name.len > prefix.len;
}

/* The name without what a proxy, or one of the scheme's families, puts before it. */
static knocker_bytes diagnose_bare(const scheme *s, knocker_bytes name)
{
	size_t i;

	for (i = 0; i < sizeof diagnose_prefixes / sizeof *diagnose_prefixes; i++) {
		knocker_bytes prefix = bytes_of(diagnose_prefixes[i]);

		if (diagnose_begins(name, prefix))
			name = bytes_part(name, (size_t)prefix.len, (size_t)name.len);
	}
	for (i = 0; i < s->try_count; i++)
		if (diagnose_begins(name, s->tries[i].family)) {
			name = bytes_part(name, (size_t)s->tries[i].family.len, (size_t)name.len);
			break;
		}
	if (name.len > 1 && diagnose_fold(*(const char *)name.data) == '-')
		name = bytes_part(name, 1, (size_t)name.len);
	return name;
}

static bool diagnose_alike(const scheme *s, knocker_bytes a, knocker_bytes b)
{
	int64_t i;

	a = diagnose_bare(s, a);
	b = diagnose_bare(s, b);
	for (i = 0; i < a.len && i < b.len; i++)
		if (diagnose_fold(((const char *)a.data)[i]) != diagnose_fold(((const char *)b.data)[i]))
			return false;
	return a.len == b.len && a.len > 0;
}

static bool diagnose_present(knocker_bytes lines, knocker_bytes wanted)
{
	knocker_bytes name, value;
	size_t at = 0;

	while (request_header_next(lines, &at, &name, &value))
		if (request_name_is(name, wanted) && value.len > 0)
			return true;
	return false;
}

/* The n-th header of the scheme; absent: no memory. */
static knocker_bytes diagnose_header_name(diagnosis *d, size_t n)
{
	knocker_bytes name;
	scheme_reading r;

	r.scheme = d->scheme;
	r.keys = d->bare;
	r.arena = &d->memory;
	r.no_memory = false;
	name = scheme_header_name(&r, d->scheme->headers[n]);
	if (r.no_memory)
		d->rc = fail_memory(d->error);
	return r.no_memory ? (knocker_bytes){0} : name;
}

bool diagnose_reads(diagnosis *d, knocker_bytes name)
{
	size_t i;

	for (i = 0; i < d->scheme->header_count && d->rc == 0; i++) {
		knocker_bytes wanted = diagnose_header_name(d, i);

		if (wanted.len > 0 && request_name_is(name, wanted))
			return true;
	}
	return false;
}

/* The name that the scheme wants in place of this one, or absent. */
static knocker_bytes diagnose_wanted(diagnosis *d, const scheme_try *t, knocker_bytes name)
{
	size_t i;

	for (i = 0; i < d->scheme->header_count && d->rc == 0; i++) {
		knocker_bytes wanted = diagnose_header_name(d, i);

		if (wanted.len <= 0 ||
		    (t->family.len > 0 && d->scheme->try_count > 1 && !diagnose_begins(wanted, t->family)))
			continue;
		if (!request_name_is(name, wanted) && diagnose_alike(d->scheme, name, wanted) &&
		    !diagnose_present(d->request.headers, wanted))
			return wanted;
	}
	return (knocker_bytes){0};
}

/* The lines with each such header renamed; the first one's names go to `was` and `is`. */
static void diagnose_rename(diagnosis *d, const scheme_try *t, buffer *out, knocker_bytes *was,
                            knocker_bytes *is)
{
	knocker_bytes name, value, wanted;
	size_t at = 0;

	while (request_header_next(d->request.headers, &at, &name, &value)) {
		wanted = diagnose_wanted(d, t, name);
		if (bytes_given(wanted) && !bytes_given(*was)) {
			*was = name;
			*is = wanted;
		}
		buffer_bytes(out, bytes_given(wanted) ? wanted : name);
		buffer_text(out, ": ");
		buffer_bytes(out, value);
		buffer_text(out, "\n");
	}
}

static void diagnose_family(diagnosis *d, const scheme_try *t)
{
	scheme_request changed = d->request;
	knocker_bytes was = {0}, is = {0}, said = {0};
	bool fits, kept = true;
	char text[400];
	buffer lines;

	buffer_init(&lines, 2 * LIMIT_HEADERS);
	diagnose_rename(d, t, &lines, &was, &is);
	if (lines.failed && d->rc == 0)
		d->rc = fail_memory(d->error);
	if (d->rc == 0 && bytes_given(was)) {
		snprintf(text, sizeof text, "header '%.*s' came as '%.*s': let the proxy keep its name",
		         QUOTED(is), QUOTED(was));
		changed.headers = buffer_view(&lines);
		fits = !d->no_body && diagnose_fits(d, d->keys, &changed);
		if (fits)
			diagnose_found(d, d->keys, &changed, "header_renamed", text);
		else if (d->no_body)
			diagnose_fits(d, d->keys, &changed);
		if (!fits && d->has_signature && !d->had_signature && !bytes_given(d->renamed)) {
			kept = arena_copy(&d->memory, bytes_of(text), &said) &&
			       arena_copy(&d->memory, changed.headers, &changed.headers);
			d->renamed = said;
			d->request = changed;
		}
	}
	if (!kept)
		d->rc = fail_memory(d->error);
	buffer_free(&lines);
}

/* Where renaming brings a signature to light that is still not right, the later hypotheses go on
 * from there. */
void diagnose_headers(diagnosis *d)
{
	size_t i;

	for (i = 0; i < d->scheme->try_count && d->found == 0 && d->rc == 0; i++)
		diagnose_family(d, &d->scheme->tries[i]);
}

/* ==== core/src/diagnose_json.c ==== */

/* Writes a JSON text anew, in the styles of the usual writers. Numbers keep their text, members
 * their order. Judges nothing: what is no JSON comes out as some other text. */
#include <stdio.h>
#include <string.h>



typedef struct {
	const uint8_t *text;
	size_t len, at;
	const diagnose_style *style;
	buffer *out;
	int depth;
} diagnose_writer;

static void diagnose_escape(buffer *out, uint32_t unit)
{
	char text[8];

	snprintf(text, sizeof text, "\\u%04x", (unsigned)(unit & 0xFFFF));
	buffer_text(out, text);
}

/* One character of UTF-8 that is not ASCII. */
static void diagnose_write_wide(diagnose_writer *w)
{
	size_t more = w->text[w->at] >= 0xF0 ? 3 : w->text[w->at] >= 0xE0 ? 2 : 1, i;
	uint32_t code = w->text[w->at] & (0x3Fu >> more);

	if (w->len - w->at <= more || w->style->unicode != UNICODE_ESCAPED) {
		buffer_add(w->out, w->text + w->at++, 1);
		return;
	}
	for (i = 1; i <= more; i++)
		code = code << 6 | (w->text[w->at + i] & 0x3Fu);
	w->at += more + 1;
	if (code >= 0x10000) {
		diagnose_escape(w->out, 0xD800 + ((code - 0x10000) >> 10));
		code = 0xDC00 + ((code - 0x10000) & 0x3FF);
	}
	diagnose_escape(w->out, code);
}

static bool diagnose_unit_read(const diagnose_writer *w, size_t at, uint32_t *unit)
{
	uint8_t bytes[2];
	size_t len = 0;

	if (w->len - at < 6 || w->text[at] != '\\' || w->text[at + 1] != 'u' ||
	    !codec_hex((knocker_bytes){w->text + at + 2, 4}, bytes, &len) || len != 2)
		return false;
	*unit = (uint32_t)bytes[0] << 8 | bytes[1];
	return true;
}

/* An escape \uXXXX that stands for a character over ASCII, as UTF-8. False: it is none. */
static bool diagnose_write_raw(diagnose_writer *w)
{
	uint32_t code, low;
	char utf8[4];
	size_t used = 6, n = 0;

	if (!diagnose_unit_read(w, w->at, &code) || code < 0x80)
		return false;
	if (code >= 0xD800 && code < 0xE000) {
		if (code >= 0xDC00 || w->len - w->at < 12 || !diagnose_unit_read(w, w->at + 6, &low) ||
		    low < 0xDC00 || low > 0xDFFF)
			return false;
		code = 0x10000 + ((code - 0xD800) << 10) + (low - 0xDC00);
		used = 12;
	}
	if (code < 0x800)
		utf8[n++] = (char)(0xC0 | code >> 6);
	else if (code < 0x10000)
		utf8[n++] = (char)(0xE0 | code >> 12);
	else
		utf8[n++] = (char)(0xF0 | code >> 18);
	if (code >= 0x10000)
		utf8[n++] = (char)(0x80 | (code >> 12 & 0x3F));
	if (code >= 0x800)
		utf8[n++] = (char)(0x80 | (code >> 6 & 0x3F));
	utf8[n++] = (char)(0x80 | (code & 0x3F));
	buffer_add(w->out, utf8, n);
	w->at += used;
	return true;
}

static void diagnose_write_backslash(diagnose_writer *w)
{
	if (w->style->unicode == UNICODE_RAW && diagnose_write_raw(w))
		return;
	if (w->at + 1 < w->len && w->text[w->at + 1] == '/' && w->style->slash == SLASH_RAW)
		w->at++;
	else
		buffer_add(w->out, w->text + w->at++, 1);
	if (w->at < w->len)
		buffer_add(w->out, w->text + w->at++, 1);
}

static void diagnose_write_string(diagnose_writer *w)
{
	buffer_add(w->out, w->text + w->at++, 1);
	while (w->at < w->len && w->text[w->at] != '"') {
		uint8_t c = w->text[w->at];

		if (c == '\\') {
			diagnose_write_backslash(w);
		} else if (c >= 0xC0) {
			diagnose_write_wide(w);
		} else if (w->style->html && (c == '<' || c == '>' || c == '&')) {
			diagnose_escape(w->out, c);
			w->at++;
		} else {
			if (c == '/' && w->style->slash == SLASH_ESCAPED)
				buffer_text(w->out, "\\");
			buffer_add(w->out, w->text + w->at++, 1);
		}
	}
	if (w->at < w->len)
		buffer_add(w->out, w->text + w->at++, 1);
}

static void diagnose_write_line(diagnose_writer *w)
{
	int i, width = w->style->indent < 0 ? w->depth : w->depth * w->style->indent;

	if (w->style->indent == 0)
		return;
	buffer_text(w->out, "\n");
	for (i = 0; i < width; i++)
		buffer_text(w->out, w->style->indent < 0 ? "\t" : " ");
}

static bool diagnose_blank(uint8_t c)
{
	return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

static void diagnose_write_mark(diagnose_writer *w)
{
	uint8_t c = w->text[w->at++];
	bool opens = c == '{' || c == '[', closes = c == '}' || c == ']';
	size_t next = w->at;

	while (next < w->len && diagnose_blank(w->text[next]))
		next++;
	if (closes) {
		w->depth--;
		diagnose_write_line(w);
	}
	buffer_add(w->out, &c, 1);
	if (opens && next < w->len && (w->text[next] == '}' || w->text[next] == ']')) {
		buffer_add(w->out, w->text + next, 1);
		w->at = next + 1;
	} else if (opens) {
		w->depth++;
		diagnose_write_line(w);
	} else if (c == ',') {
		buffer_text(w->out, w->style->comma);
		diagnose_write_line(w);
	} else if (c == ':') {
		buffer_text(w->out, w->style->colon);
	}
}

bool diagnose_json_write(knocker_bytes text, const diagnose_style *style, buffer *out)
{
	diagnose_writer w = {text.data, (size_t)text.len, 0, style, out, 0};

	while (w.at < w.len && diagnose_blank(w.text[w.at]))
		w.at++;
	if (w.at == w.len || (w.text[w.at] != '{' && w.text[w.at] != '['))
		return false;
	while (w.at < w.len && w.depth >= 0 && w.depth <= LIMIT_JSON_DEPTH && !out->failed) {
		uint8_t c = w.text[w.at];

		if (c == '"')
			diagnose_write_string(&w);
		else if (diagnose_blank(c))
			w.at++;
		else if (memchr("{}[],:", c, 6))
			diagnose_write_mark(&w);
		else
			buffer_add(out, w.text + w.at++, 1);
	}
	return !out->failed && w.depth == 0;
}

/* ==== core/src/diagnose_provider.c ==== */

/* The last hypothesis: the request is some other built-in provider's. */
#include <stdio.h>
#include <string.h>



typedef struct {
	char text[200];
	size_t count;
} diagnose_names;

static void diagnose_name_add(diagnose_names *names, const char *name)
{
	size_t at = (size_t)bytes_of(names->text).len;

	if (names->count < DIAGNOSE_NAMES)
		snprintf(names->text + at, sizeof names->text - at, "%s'%s'", names->count ? ", " : "",
		         name);
	names->count++;
}

/* Headers that many senders use for many things tell nothing. */
static bool diagnose_telling(const scheme *s)
{
	const scheme_sources *from = &s->tries[0].from;

	return from->count > 0 && from->list[0].kind == SOURCE_HEADER &&
	       !bytes_is(from->list[0].name.text, "authorization");
}

static int32_t diagnose_provider_keys(diagnosis *d, const scheme *s, scheme_keys **keys)
{
	int32_t rc = scheme_keys_new(s, d->secrets_json, d->options_json, keys, NULL);

	if (rc == KNOCKER_INVALID_ARGUMENT)
		rc = scheme_keys_new(s, d->secrets_json, (knocker_bytes){0}, keys, NULL);
	if (rc == KNOCKER_STORAGE)
		d->rc = fail_memory(d->error);
	return rc;
}

/* 2: it verifies; 1: its signature is there; 0: neither. */
static int diagnose_provider_try(diagnosis *d, const scheme *s)
{
	scheme_keys *keys = NULL;
	diagnose_scheme loose;
	scheme_verdict v = {0};
	arena a = {0};
	int like = 0;

	diagnose_scheme_copy(s, &loose);
	loose.scheme.has_window = false;
	loose.scheme.option_tolerance = -1;
	if (diagnose_provider_keys(d, &loose.scheme, &keys) == 0) {
		d->rc = scheme_verify(&loose.scheme, keys, &d->request, d->now_s, &a, &v, d->error);
		d->tries++;
		like = v.valid && !d->no_body ? 2
		       : v.has_signature && v.error && diagnose_telling(s) && !strstr(v.error, "missing")
		           ? 1
		           : 0;
	}
	scheme_keys_free(keys);
	arena_free(&a);
	return like;
}

void diagnose_provider(diagnosis *d)
{
	diagnose_names fits = {0}, like = {0};
	scheme_info info;
	int32_t i;

	for (i = 0; i < scheme_builtin_count() && d->rc == 0; i++) {
		const scheme *s = NULL;
		int how;

		d->rc = scheme_builtin_info(i, &info, d->error);
		if (d->rc == 0)
			d->rc = scheme_builtin(bytes_of(info.name), &s, d->error);
		if (d->rc < 0 || s == d->scheme)
			continue;
		how = diagnose_provider_try(d, s);
		if (how == 2)
			diagnose_name_add(&fits, info.name);
		else if (how == 1)
			diagnose_name_add(&like, info.name);
	}
	if (d->rc < 0)
		return;
	if (fits.count > 0) {
		d->found++;
		diagnose_say(d, "wrong_provider", "it is signed as %s sign: name that provider", fits.text);
	} else if (like.count > 0 && !d->had_signature && !bytes_given(d->renamed)) {
		d->found++;
		diagnose_say(d, "wrong_provider",
		             "this scheme's signature is missing, but it looks like %s%s; with this secret "
		             "it is not right by that either",
		             like.text, like.count > DIAGNOSE_NAMES ? " or others" : "");
	}
}

/* ==== core/src/diagnose_secret.c ==== */

/* Hypotheses about keys: a secret that was copied with something around it, decoded or not, or that
 * is somebody else's. No sentence holds one. */
#include <stdio.h>
#include <string.h>



/* ---- the given secrets, read in other ways ---- */

/* Of keys that are any bytes; a public key has one form only. */
static void diagnose_rules(const scheme *s, key_decoding decode, diagnose_scheme *out)
{
	size_t i, k;

	diagnose_scheme_copy(s, out);
	for (i = 0; i < s->try_count; i++)
		for (k = 0; k < s->group_count; k++) {
			scheme_group *group = &out->tries[i].groups[k];

			if (group->kind->id != KIND_HMAC && group->kind->id != KIND_HASH)
				continue;
			group->key.decode = decode;
			group->key.strip = (knocker_bytes){0};
		}
}

static bool diagnose_secret_try(diagnosis *d, const scheme *rules, knocker_bytes secret,
                                const char *cause, const char *sentence)
{
	scheme_keys *keys = secret.len > 0 ? diagnose_keys(d, rules, secret) : NULL;
	bool fits = keys && diagnose_fits(d, keys, &d->request);

	if (fits)
		diagnose_found(d, keys, &d->request, cause, sentence);
	scheme_keys_free(keys);
	return fits;
}

static bool diagnose_around(char c)
{
	return c == ' ' || c == '\t' || c == '\r' || c == '\n' || c == '"' || c == '\'';
}

static knocker_bytes diagnose_unwrap(knocker_bytes secret)
{
	size_t from = 0, to = (size_t)secret.len;
	const char *text = secret.data;

	while (from < to && diagnose_around(text[from]))
		from++;
	while (to > from && diagnose_around(text[to - 1]))
		to--;
	return bytes_part(secret, from, to);
}

/* Something stands around the secret, or there are several in one. */
static bool diagnose_wrapped(diagnosis *d, knocker_bytes secret)
{
	knocker_bytes inner = diagnose_unwrap(secret), piece;
	int64_t equals = bytes_find(inner, '=');
	size_t at = 0;

	if (inner.len != secret.len &&
	    diagnose_secret_try(d, &d->loose.scheme, inner, "secret_trimmed",
	                        "the secret has blanks, quotes or a line end around it: take them off"))
		return true;
	if (equals > 0 && equals + 1 < inner.len &&
	    diagnose_secret_try(d, &d->loose.scheme,
	                        diagnose_unwrap(
								bytes_part(inner, (size_t)equals + 1, (size_t)inner.len)),
	                        "secret_trimmed",
	                        "the secret is a whole line NAME=SECRET: give what stands after the ="))
		return true;
	while (scheme_piece_next(inner, bytes_of(" ,;\n|"), &at, &piece))
		if (piece.len != inner.len &&
		    diagnose_secret_try(d, &d->loose.scheme, diagnose_unwrap(piece), "secret_list",
		                        "the secret is a list in one text: give each secret by itself"))
			return true;
	return false;
}

static const struct {
	key_decoding decode;
	const char *sentence;
} diagnose_decodings[] = {
	{DECODE_UTF8, "the sender signs with the secret's text as it is, where the scheme decodes it"},
	{DECODE_BASE64, "the sender decodes the secret from base64, where the scheme does not"},
	{DECODE_HEX, "the sender decodes the secret from hexadecimal, where the scheme does not"},
};

static bool diagnose_decoded(diagnosis *d, knocker_bytes secret, bool cut)
{
	knocker_bytes strip = d->scheme->tries[0].groups[0].key.strip;
	bool prefixed = strip.len > 0 && secret.len > strip.len &&
	                memcmp(secret.data, strip.data, (size_t)strip.len) == 0;
	size_t i;

	for (i = 0; i < sizeof diagnose_decodings / sizeof *diagnose_decodings; i++) {
		bool prefix = cut || (prefixed && diagnose_decodings[i].decode == DECODE_UTF8);
		const char *sentence =
			cut        ? "the secret has a prefix that is no part of the sender's key: take it off"
			: prefixed ? "the sender's key is the secret with its prefix left on, where the scheme "
						 "takes it off"
					   : diagnose_decodings[i].sentence;
		diagnose_scheme rules;

		diagnose_rules(d->scheme, diagnose_decodings[i].decode, &rules);
		if (diagnose_secret_try(d, &rules.scheme, secret,
		                        prefix ? "secret_prefix" : "secret_encoding", sentence))
			return true;
	}
	return false;
}

/* What stands up to an underscore may be a prefix, up to each one; or the scheme's is lacking. */
static bool diagnose_prefixed(diagnosis *d, knocker_bytes secret)
{
	knocker_bytes strip = d->scheme->tries[0].groups[0].key.strip, rest = secret, parts[2];
	int64_t mark;
	size_t cut = 0;
	char whole[512];

	for (mark = bytes_find(rest, '_'); mark >= 0 && cut < 24; mark = bytes_find(rest, '_')) {
		cut += (size_t)mark + 1;
		rest = bytes_part(secret, cut, (size_t)secret.len);
		if (diagnose_secret_try(d, &d->loose.scheme, rest, "secret_prefix",
		                        "the secret has a prefix that is no part of the sender's key: take "
		                        "it off") ||
		    diagnose_decoded(d, rest, true))
			return true;
	}
	parts[0] = strip;
	parts[1] = secret;
	if (strip.len == 0 || (size_t)(strip.len + secret.len) >= sizeof whole)
		return false;
	memcpy(whole, parts[0].data, (size_t)parts[0].len);
	memcpy(whole + parts[0].len, parts[1].data, (size_t)parts[1].len);
	mark = diagnose_secret_try(d, &d->loose.scheme, (knocker_bytes){whole, strip.len + secret.len},
	                           "secret_prefix", "the secret lacks its prefix: copy all of it");
	crypto_cleanse(whole, sizeof whole);
	return mark != 0;
}

void diagnose_secrets(diagnosis *d)
{
	size_t i;

	for (i = 0; i < d->secret_count; i++) {
		knocker_bytes secret = d->secrets[i];

		if (!bytes_given(secret) || secret.len == 0)
			continue;
		if (diagnose_secret_try(d, &d->loose.scheme, secret, "secret_other",
		                        "another secret of the list is no key of this scheme, and this one "
		                        "fits: take the other out") ||
		    diagnose_wrapped(d, secret) || diagnose_decoded(d, secret, false) ||
		    diagnose_prefixed(d, secret))
			return;
	}
}

/* ---- secrets of others ---- */

typedef enum { DIAGNOSE_NO_MODE, DIAGNOSE_TEST, DIAGNOSE_LIVE } diagnose_mode;

static bool diagnose_holds(knocker_bytes text, const char *word)
{
	return text.len > 0 &&
	       memmem(text.data, (size_t)text.len, word, (size_t)bytes_of(word).len) != NULL;
}

static diagnose_mode diagnose_mode_of(knocker_bytes text)
{
	if (diagnose_holds(text, "test") || diagnose_holds(text, "sandbox"))
		return DIAGNOSE_TEST;
	return diagnose_holds(text, "live") || diagnose_holds(text, "prod") ? DIAGNOSE_LIVE
	                                                                    : DIAGNOSE_NO_MODE;
}

static diagnose_mode diagnose_mode_here(const diagnosis *d)
{
	diagnose_mode mode = diagnose_mode_of(d->endpoint);

	return mode == DIAGNOSE_NO_MODE && d->secret_count > 0 ? diagnose_mode_of(d->secrets[0]) : mode;
}

static bool diagnose_rotation_word(knocker_bytes name)
{
	static const char *const words[] = {"previous", "old", "current", "new", "next", "rotated"};
	size_t i;

	for (i = 0; i < sizeof words / sizeof *words; i++)
		if (bytes_is(name, words[i]))
			return true;
	return false;
}

/* Which of the causes it is that the secret of `name` fits. */
static void diagnose_other_say(diagnosis *d, const scheme_keys *keys, knocker_bytes name,
                               knocker_bytes secret)
{
	diagnose_mode here = diagnose_mode_here(d), there = diagnose_mode_of(name);
	const char *cause = "secret_other_endpoint";
	char text[400];

	there = there == DIAGNOSE_NO_MODE ? diagnose_mode_of(secret) : there;
	if (there != DIAGNOSE_NO_MODE && here != there) {
		cause = "secret_mode";
		snprintf(text, sizeof text,
		         "it is signed with the secret '%.*s', that of the sender's %s mode: test and live "
		         "have secrets of their own",
		         QUOTED(name), there == DIAGNOSE_TEST ? "test" : "live");
	} else if (diagnose_rotation_word(name) || bytes_equal(name, d->endpoint)) {
		cause = "secret_rotated";
		snprintf(text, sizeof text,
		         "it is signed with the secret '%.*s', not with the one that was given: while a "
		         "secret is rotated give both",
		         QUOTED(name));
	} else {
		snprintf(
			text, sizeof text,
			"it is signed with the secret of '%.*s': the sender posts to another URL than that "
			"one's, or the secrets were mixed up",
			QUOTED(name));
	}
	diagnose_found(d, keys, &d->request, cause, text);
}

static bool diagnose_other_try(diagnosis *d, knocker_bytes name, knocker_bytes secret)
{
	scheme_keys *keys = secret.len > 0 ? diagnose_keys(d, &d->loose.scheme, secret) : NULL;
	bool fits = keys && diagnose_fits(d, keys, &d->request);

	if (fits)
		diagnose_other_say(d, keys, name, secret);
	scheme_keys_free(keys);
	return fits;
}

static bool diagnose_others_given(diagnosis *d)
{
	const json *one, *secret;
	bool fits = false;

	for (one = json_first(d->others); d->rc == 0 && !fits && one; one = json_next(one)) {
		if (json_kind(one) == JSON_TEXT)
			fits = diagnose_other_try(d, json_name(one), json_text(one));
		for (secret = json_kind(one) == JSON_ARRAY ? json_first(one) : NULL; !fits && secret;
		     secret = json_next(secret))
			fits = diagnose_other_try(d, json_name(one), json_text(secret));
	}
	return fits;
}

/* The registrations of this process, each held while it is read. */
void diagnose_others(diagnosis *d)
{
	registration *r = NULL;
	int32_t at = 0;
	size_t i;

	if (diagnose_others_given(d) || !d->place->known)
		return;
	while (d->rc == 0 && d->found == 0 && registration_next(d->place->known, &at, &r))
		for (i = 0; r->keys && i < r->keys->secret_count && d->found == 0; i++)
			diagnose_other_try(d, r->name,
			                   (knocker_bytes){r->keys->secrets[i].bytes,
			                                   (int64_t)r->keys->secrets[i].len});
	registration_leave(r);
}

/* ==== core/src/diagnose_stored.c ==== */

/* A stored delivery as the request that it was, as far as the file has kept it: credentials are
 * redacted, and an orphan without a signature kept no body. */
#include <stdio.h>
#include <string.h>


/* What a person does with stored rows: look, ignore, replay, requeue, ask why, prune. */
#ifndef KNOCKER_OPERATOR_H
#define KNOCKER_OPERATOR_H



/* ---- operator.c: in a transaction ---- */

KNOCKER_PRIVATE int32_t operator_ignore(inbox *in, db *d, int64_t event_id, knocker_bytes reason,
                        knocker_error *error);
/* `queue` absent and `max_attempts` 0: as they are. */
typedef struct {
	knocker_bytes queue;
	int64_t max_attempts;
} operator_again;
KNOCKER_PRIVATE int32_t operator_replay(inbox *in, db *d, int64_t event_id, const operator_again *a,
                        knocker_error *error);
KNOCKER_PRIVATE int32_t operator_requeue(inbox *in, db *d, int64_t event_id, const operator_again *a,
                         knocker_error *error);
KNOCKER_PRIVATE int32_t operator_replay_delivery(inbox *in, db *d, int64_t delivery_id, const operator_again *a,
                                 knocker_error *error);

KNOCKER_PRIVATE int32_t operator_reset(inbox *in, db *d, int64_t event_id, knocker_error *error);

/* ---- look.c: reading ---- */

KNOCKER_PRIVATE int32_t look_get(db *d, int32_t kind, int64_t id, knocker_rows **out, knocker_error *error);
KNOCKER_PRIVATE int32_t look_list(db *d, const knocker_filter *filter, knocker_rows **out, knocker_error *error);
KNOCKER_PRIVATE int32_t look_why(inbox *in, db *d, int64_t event_id, knocker_rows **out, knocker_error *error);
KNOCKER_PRIVATE int32_t look_stats(inbox *in, db *d, knocker_rows **out, knocker_error *error);
/* The lowest delivery id received at or after a time, by bisection: received_ms never decreases
 * with id. */
KNOCKER_PRIVATE int32_t look_since(db *d, int64_t since_ms, int64_t *id, knocker_error *error);

/* ---- retention.c: in a transaction ---- */

typedef struct {
	int64_t events, attempts, deliveries, live_jobs;
} prune_counts;
typedef struct {
	knocker_bytes statuses_json, queue_name; /* queue_name: for the audit row */
	int64_t older_than_s, limit;
	bool dry_run;
} prune_options;
/* The scheduled pass; 1: this interval was pruned already. `next_s` is when the next one begins. */
KNOCKER_PRIVATE int32_t prune_interval(inbox *in, db *d, const knocker_retention *r, prune_counts *events,
                       prune_counts *orphans, int64_t *next_s, knocker_error *error);
KNOCKER_PRIVATE int32_t prune_events(inbox *in, db *d, const prune_options *o, prune_counts *counts,
                     knocker_error *error);
KNOCKER_PRIVATE int32_t prune_orphans(inbox *in, db *d, const prune_options *o, prune_counts *counts,
                      knocker_error *error);

#endif


static knocker_value diagnose_value(knocker_rows *rows, const char *name)
{
	knocker_value v = {0};

	knocker_rows_value(rows, knocker_rows_find(rows, name), &v);
	return v;
}

static bool diagnose_redacted(knocker_bytes value)
{
	return bytes_is(value, "[redacted]");
}

/* The file has queries decoded. */
static void diagnose_encode(knocker_bytes text, buffer *out)
{
	static const char plain[] = "-._~";
	char escape[4];
	int64_t i;

	for (i = 0; i < text.len; i++) {
		unsigned char c = ((const unsigned char *)text.data)[i];

		if ((c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
		    bytes_find(bytes_of(plain), (char)c) >= 0) {
			buffer_add(out, &c, 1);
			continue;
		}
		snprintf(escape, sizeof escape, "%%%02X", c);
		buffer_text(out, escape);
	}
}

/* What was redacted is left out, and told. */
static void diagnose_pair(diagnosis *d, knocker_bytes name, knocker_bytes value, bool header,
                          buffer *out)
{
	if (diagnose_redacted(value)) {
		if (header && !diagnose_reads(d, name))
			return;
		d->redacted = true;
		diagnose_say(d, "redacted",
		             "%s '%.*s' is a credential and was not stored, so that it cannot be tried: "
		             "use knocker verify on a request in hand",
		             header ? "header" : "query member", QUOTED(name));
		return;
	}
	if (!header && out->len > 0)
		buffer_text(out, "&");
	if (!header) {
		diagnose_encode(name, out);
		buffer_text(out, "=");
		diagnose_encode(value, out);
		return;
	}
	buffer_bytes(out, name);
	buffer_text(out, ": ");
	buffer_bytes(out, value);
	buffer_text(out, "\n");
}

static knocker_bytes diagnose_pairs(diagnosis *d, const char *what, knocker_bytes text, bool header)
{
	const json *one, *value;
	json *tree = NULL;
	knocker_bytes kept = {0};
	buffer out;

	if (!bytes_given(text) || d->rc < 0)
		return kept;
	buffer_init(&out, 2 * LIMIT_HEADERS);
	d->rc = json_parse(what, text, &tree, d->error);
	for (one = json_first(tree); d->rc == 0 && one; one = json_next(one)) {
		if (json_kind(one) != JSON_ARRAY)
			diagnose_pair(d, json_name(one), json_text(one), header, &out);
		for (value = json_kind(one) == JSON_ARRAY ? json_first(one) : NULL; value;
		     value = json_next(value))
			diagnose_pair(d, json_name(one), json_text(value), header, &out);
	}
	if (d->rc == 0 && (out.failed || !arena_copy(&d->memory, buffer_view(&out), &kept)))
		d->rc = fail_memory(d->error);
	buffer_free(&out);
	json_cleanse_free(tree);
	return kept;
}

int32_t diagnose_stored(diagnosis *d, knocker_bytes *provider)
{
	static const struct {
		const char *column;
		size_t at;
	} texts[] = {{"endpoint", 0}, {"method", 1}, {"body", 2}};
	knocker_bytes found[3] = {{0}};
	knocker_rows *rows = NULL;
	endpoint_row row = {0};
	size_t i;

	d->rc = look_get(d->place->reader, KNOCKER_DELIVERY, d->place->delivery_id, &rows, d->error);
	if (d->rc == 0 && knocker_rows_next(rows) == 0) {
		for (i = 0; i < 3; i++)
			if (!arena_copy(&d->memory, diagnose_value(rows, texts[i].column).bytes, &found[i]))
				d->rc = fail_memory(d->error);
		d->now_s = diagnose_value(rows, "received_at").integer;
	}
	d->endpoint = found[0];
	d->request.method = found[1];
	d->request.body = found[2];
	d->no_body = diagnose_value(rows, "body").type == KNOCKER_NULL;
	knocker_rows_free(rows);
	if (d->rc == 0 && !bytes_given(*provider)) {
		d->rc = endpoint_find(d->place->reader, d->endpoint, &d->memory, &row, d->error);
		*provider = row.provider;
	}
	return d->rc;
}

int32_t diagnose_stored_texts(diagnosis *d)
{
	knocker_rows *rows = NULL;

	d->rc = look_get(d->place->reader, KNOCKER_DELIVERY, d->place->delivery_id, &rows, d->error);
	if (d->rc == 0 && knocker_rows_next(rows) == 0) {
		d->request.headers = diagnose_pairs(d, "headers_json",
		                                    diagnose_value(rows, "headers_json").bytes, true);
		d->request.query = diagnose_pairs(d, "query_json", diagnose_value(rows, "query_json").bytes,
		                                  false);
	}
	knocker_rows_free(rows);
	return d->rc;
}

/* ==== core/src/diagnose_time.c ==== */

/* Hypotheses about times: clocks that differ, seconds taken for milliseconds. */


/* A copy whose times in `from` are read in `to`. */
static void diagnose_unit(const scheme *s, time_unit from, time_unit to, diagnose_scheme *out)
{
	size_t i, k;

	diagnose_scheme_copy(s, out);
	for (i = 0; i < s->try_count; i++)
		for (k = 0; k < s->var_count; k++)
			if (out->tries[i].vars[k].unit == from)
				out->tries[i].vars[k].unit = to;
}

static void diagnose_skew(diagnosis *d, bool sender_ahead, int64_t off_s)
{
	const char *hours = off_s >= 3600 && off_s <= 14 * 3600 + 60 &&
	                            (off_s % 1800 <= 60 || off_s % 1800 >= 1740)
	                        ? "; such a difference is a time zone's: use UTC"
	                        : "";

	if (sender_ahead)
		diagnose_say(
			d, "clock_skew",
			"the signature is right, but was made %lld s after the time of this check: set "
			"this machine's clock%s",
			(long long)off_s, hours);
	else
		diagnose_say(d, "clock_skew",
		             "the signature is right, but was made %lld s before the time of this check: "
		             "either this clock is ahead, or the request came so late or was sent again%s",
		             (long long)off_s, hours);
}

/* The signature is right: is the time, too? */
void diagnose_time(diagnosis *d, const scheme_keys *keys, const scheme_request *request)
{
	static const struct {
		time_unit from, to;
		const char *sentence;
	} units[] = {
		{UNIT_S, UNIT_MS,
	     "the sender's timestamp is in milliseconds, and the scheme reads seconds: give its var the "
	     "unit ms"},
		{UNIT_MS, UNIT_S,
	     "the sender's timestamp is in seconds, and the scheme reads milliseconds: give its var the "
	     "unit s"},
	};
	int64_t off_s = 0, ignored;
	size_t i;

	if (diagnose_strict(d, d->scheme, keys, request, d->now_s, &off_s) || off_s == 0)
		return;
	for (i = 0; i < sizeof units / sizeof *units; i++) {
		diagnose_scheme changed;

		diagnose_unit(d->scheme, units[i].from, units[i].to, &changed);
		if (!diagnose_strict(d, &changed.scheme, keys, request, d->now_s, &ignored))
			continue;
		diagnose_say(d, "timestamp_unit", "%s", units[i].sentence);
		return;
	}
	if (diagnose_strict(d, d->scheme, keys, request, d->now_s / 1000, &ignored))
		diagnose_say(d, "timestamp_unit",
		             "the time of this check was given in milliseconds: give seconds");
	else
		diagnose_skew(d, diagnose_strict(d, d->scheme, keys, request, d->now_s + off_s, &ignored),
		              off_s);
}

static bool diagnose_alphanumeric(char c)
{
	return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

/* The header lines with each lone number of 13 digits cut to 10, or of 10 made 13. */
static void diagnose_digits_write(knocker_bytes lines, bool shorter, buffer *out)
{
	const char *text = lines.data;
	size_t len = (size_t)lines.len, at, end;

	for (at = 0; at < len; at = end) {
		size_t digits;
		bool alone = at == 0 || !diagnose_alphanumeric(text[at - 1]);

		for (end = at; end < len && text[end] >= '0' && text[end] <= '9'; end++)
			;
		digits = end - at;
		alone = alone && (end == len || !diagnose_alphanumeric(text[end]));
		if (digits == 0)
			end++;
		buffer_add(out, text + at, alone && shorter && digits == 13 ? 10 : end - at);
		if (alone && !shorter && digits == 10)
			buffer_text(out, "000");
	}
}

/* A timestamp that somebody between sender and us has written in another unit than was signed. */
void diagnose_digits(diagnosis *d)
{
	int i;

	for (i = 0; i < 2 && d->found == 0 && d->request.headers.len > 0; i++) {
		scheme_request changed = d->request;
		buffer lines;

		buffer_init(&lines, 2 * LIMIT_HEADERS);
		diagnose_digits_write(d->request.headers, i == 0, &lines);
		changed.headers = buffer_view(&lines);
		if (lines.failed)
			d->rc = fail_memory(d->error);
		if (!lines.failed && !bytes_equal(changed.headers, d->request.headers) &&
		    diagnose_fits(d, d->keys, &changed))
			diagnose_found(d, d->keys, &changed, "timestamp_unit",
			               i == 0
			                   ? "the header's timestamp is in milliseconds, but the sender signed "
			                     "seconds: pass the header on as it came"
			                   : "the header's timestamp is in seconds, but the sender signed "
			                     "milliseconds: pass the header on as it came");
		buffer_free(&lines);
	}
}

/* ==== core/src/diagnose_url.c ==== */

/* Hypotheses about the URL and the method, for senders that sign them: what a proxy changes between
 * the sender and the application. */
#include <string.h>



#define DIAGNOSE_URL_TEXTS 6

/* A URL in parts, each with its marks: "https", "//host", ":8080", "/path", "?query". */
typedef struct {
	knocker_bytes scheme, host, port, path, query;
} diagnose_url_parts;

typedef struct {
	knocker_bytes texts[DIAGNOSE_URL_TEXTS];
	size_t count;
} diagnose_choice;

static void diagnose_choose(diagnose_choice *c, knocker_bytes text)
{
	size_t i;

	for (i = 0; i < c->count; i++)
		if (bytes_equal(c->texts[i], text))
			return;
	if (bytes_given(text) && c->count < DIAGNOSE_URL_TEXTS)
		c->texts[c->count++] = text;
}

static bool diagnose_url_cut(knocker_bytes url, diagnose_url_parts *out)
{
	int64_t colon = bytes_find(url, ':'), end, mark;
	knocker_bytes rest;

	if (colon < 1 || url.len < colon + 3 || memcmp((const char *)url.data + colon, "://", 3) != 0)
		return false;
	out->scheme = bytes_part(url, 0, (size_t)colon);
	rest = bytes_part(url, (size_t)colon + 3, (size_t)url.len);
	mark = bytes_find(rest, '?');
	out->query = mark < 0 ? bytes_of("") : bytes_part(rest, (size_t)mark, (size_t)rest.len);
	rest = mark < 0 ? rest : bytes_part(rest, 0, (size_t)mark);
	end = bytes_find(rest, '/');
	out->path = end < 0 ? bytes_of("") : bytes_part(rest, (size_t)end, (size_t)rest.len);
	rest = end < 0 ? rest : bytes_part(rest, 0, (size_t)end);
	colon = bytes_find(rest, ':');
	out->host = colon < 0 ? rest : bytes_part(rest, 0, (size_t)colon);
	out->port = colon < 0 ? bytes_of("") : bytes_part(rest, (size_t)colon, (size_t)rest.len);
	return true;
}

static knocker_bytes diagnose_header(const diagnosis *d, const char *wanted)
{
	knocker_bytes name, value;
	size_t at = 0;

	while (request_header_next(d->request.headers, &at, &name, &value))
		if (request_header_is(name, wanted) && value.len > 0)
			return value;
	return (knocker_bytes){0};
}

static knocker_bytes diagnose_joined(diagnosis *d, knocker_bytes a, knocker_bytes b)
{
	knocker_bytes kept = {0};
	buffer both;

	buffer_init(&both, LIMIT_JSON);
	buffer_bytes(&both, a);
	buffer_bytes(&both, b);
	if (both.failed || !arena_copy(&d->memory, buffer_view(&both), &kept))
		d->rc = fail_memory(d->error);
	buffer_free(&both);
	return kept;
}

static void diagnose_hosts(const diagnosis *d, const diagnose_url_parts *u, diagnose_choice *hosts,
                           diagnose_choice *ports)
{
	static const char *const names[] = {"x-forwarded-host", "x-original-host", "host"};
	knocker_bytes host;
	size_t i;

	diagnose_choose(hosts, u->host);
	diagnose_choose(ports, u->port);
	diagnose_choose(ports, bytes_of(""));
	diagnose_choose(ports, bytes_of(":443"));
	diagnose_choose(ports, bytes_of(":80"));
	for (i = 0; i < sizeof names / sizeof *names; i++) {
		int64_t colon;

		host = diagnose_header(d, names[i]);
		if (!bytes_given(host))
			continue;
		colon = bytes_find(host, ':');
		diagnose_choose(hosts, colon < 0 ? host : bytes_part(host, 0, (size_t)colon));
		if (colon >= 0)
			diagnose_choose(ports, bytes_part(host, (size_t)colon, (size_t)host.len));
	}
}

static void diagnose_paths(diagnosis *d, const diagnose_url_parts *u, diagnose_choice *paths)
{
	static const char *const names[] = {"x-original-uri", "x-original-url", "x-forwarded-uri",
	                                    "x-envoy-original-path"};
	knocker_bytes path = u->path, other;
	int64_t second;
	size_t i;

	diagnose_choose(paths, path);
	if (path.len > 1 && ((const char *)path.data)[path.len - 1] == '/')
		diagnose_choose(paths, bytes_part(path, 0, (size_t)path.len - 1));
	else
		diagnose_choose(paths, diagnose_joined(d, path, bytes_of("/")));
	other = diagnose_header(d, "x-forwarded-prefix");
	if (bytes_given(other))
		diagnose_choose(paths, diagnose_joined(d, other, path));
	for (i = 0; i < sizeof names / sizeof *names; i++) {
		other = diagnose_header(d, names[i]);
		if (bytes_given(other) && bytes_find(other, '?') >= 0)
			other = bytes_part(other, 0, (size_t)bytes_find(other, '?'));
		if (bytes_starts(other, "/"))
			diagnose_choose(paths, other);
	}
	second = path.len > 1 ? bytes_find(bytes_part(path, 1, (size_t)path.len), '/') : -1;
	if (second >= 0)
		diagnose_choose(paths, bytes_part(path, (size_t)second + 1, (size_t)path.len));
}

/* Keys with this URL as their option. */
static scheme_keys *diagnose_url_keys(diagnosis *d, const diagnose_url_parts *u)
{
	knocker_bytes parts[6] = {u->scheme, bytes_of("://"), u->host, u->port, u->path, u->query};
	scheme_option_value *value;
	scheme_keys *keys = NULL;
	size_t i;
	buffer b;

	buffer_init(&b, LIMIT_JSON);
	for (i = 0; i < 6; i++)
		buffer_bytes(&b, parts[i]);
	if (b.failed)
		d->rc = fail_memory(d->error);
	else
		d->rc = scheme_keys_over(&d->loose.scheme, d->bare, d->secrets_json, (knocker_bytes){0},
		                         &keys, d->error);
	if (keys) {
		uint8_t *text = memory_get(b.len);

		value = &keys->options[d->scheme->option_url];
		if (text) {
			memcpy(text, b.data, b.len);
			memory_free(value->text.bytes);
			value->text = (scheme_secret){text, b.len};
		} else {
			d->rc = fail_memory(d->error);
		}
	}
	buffer_free(&b);
	return keys;
}

/* Which part differs, the least likely of them named. */
static const char *diagnose_url_cause(const diagnose_url_parts *was, const diagnose_url_parts *u,
                                      const char **sentence)
{
	const struct {
		bool differs;
		const char *cause, *sentence;
	} parts[] = {
		{!bytes_equal(was->host, u->host), "url_host",
	     "the sender signed another host than the url that was given: give the one that it calls"},
		{!bytes_equal(was->path, u->path), "url_path",
	     "the sender signed another path than that of the url that was given: a proxy changes it, "
	     "or a slash at its end differs; give the one that the sender calls"},
		{!bytes_equal(was->query, u->query), "url_query",
	     "the sender signed the url with another query: give the url as the sender calls it"},
		{!bytes_equal(was->scheme, u->scheme), "url_scheme",
	     "the sender signed the url with https where http was given, or the other way: a proxy ends "
	     "TLS; give the url that the sender calls"},
		{true, "url_port",
	     "the sender signed the url with another port, or without one: give the url that the "
	     "sender calls"},
	};
	size_t i;

	for (i = 0; i + 1 < sizeof parts / sizeof *parts && !parts[i].differs; i++)
		;
	*sentence = parts[i].sentence;
	return parts[i].cause;
}

static bool diagnose_url_try(diagnosis *d, const diagnose_url_parts *was,
                             const diagnose_url_parts *u)
{
	scheme_keys *keys = diagnose_url_keys(d, u);
	bool fits = keys && diagnose_fits(d, keys, &d->request);
	const char *sentence, *cause = diagnose_url_cause(was, u, &sentence);

	if (fits)
		diagnose_found(d, keys, &d->request, cause, sentence);
	scheme_keys_free(keys);
	return fits;
}

/* The combinations of all parts, those of one change first: the outer loops change last. */
static bool diagnose_combine(diagnosis *d, const diagnose_url_parts *was,
                             const diagnose_choice choices[5], size_t changes)
{
	size_t total = 1, n, i;

	for (i = 0; i < 5; i++)
		total *= choices[i].count;
	for (n = 1; n < total && d->rc == 0 && !d->stopped; n++) {
		size_t rest = n, at[5], changed = 0;
		diagnose_url_parts u;

		for (i = 0; i < 5; i++) {
			at[i] = rest % choices[i].count;
			rest /= choices[i].count;
			changed += at[i] > 0;
		}
		u = (diagnose_url_parts){choices[0].texts[at[0]], choices[1].texts[at[1]],
		                         choices[2].texts[at[2]], choices[3].texts[at[3]],
		                         choices[4].texts[at[4]]};
		if (changed == changes && diagnose_url_try(d, was, &u))
			return true;
	}
	return false;
}

static bool diagnose_urls(diagnosis *d)
{
	ptrdiff_t option = d->scheme->option_url;
	knocker_bytes url = option >= 0 ? scheme_option_text(d->scheme, d->bare, (size_t)option)
	                                : (knocker_bytes){0};
	diagnose_choice choices[5] = {0};
	diagnose_url_parts u;
	size_t changes;

	if (!bytes_given(url) || !diagnose_url_cut(url, &u))
		return false;
	diagnose_choose(&choices[0], u.scheme);
	diagnose_choose(&choices[0], bytes_of(bytes_is(u.scheme, "https") ? "http" : "https"));
	diagnose_hosts(d, &u, &choices[1], &choices[2]);
	diagnose_paths(d, &u, &choices[3]);
	diagnose_choose(&choices[4], u.query);
	diagnose_choose(&choices[4], bytes_of(""));
	if (d->request.query.len > 0)
		diagnose_choose(&choices[4], diagnose_joined(d, bytes_of("?"), d->request.query));
	for (changes = 1; changes <= 3 && d->rc == 0; changes++)
		if (diagnose_combine(d, &u, choices, changes))
			return true;
	return false;
}

/* The query counts where the url option has none. */
void diagnose_url(diagnosis *d)
{
	static const char *const methods[] = {"POST", "GET", "PUT", "PATCH", "DELETE"};
	scheme_request changed = d->request;
	size_t i;

	if (diagnose_urls(d))
		return;
	changed.query = (knocker_bytes){0};
	if (d->request.query.len > 0 && diagnose_fits(d, d->keys, &changed)) {
		diagnose_found(d, d->keys, &changed, "url_query",
		               "the sender signed the url without its query: give none");
		return;
	}
	changed = d->request;
	for (i = 0; i < sizeof methods / sizeof *methods && d->found == 0; i++) {
		changed.method = bytes_of(methods[i]);
		if (!bytes_equal(changed.method, d->request.method) && diagnose_fits(d, d->keys, &changed))
			diagnose_found(
				d, d->keys, &changed, "method",
				"the sender signed another method than the one that was given: give that "
				"of the request");
	}
}

/* ==== core/src/endpoint.c ==== */

/* Endpoints: their rows in the file, and what this process has registered of them in memory.
 * Secrets stay there. */
#include <string.h>




/* ---- registering ---- */

static int32_t endpoint_check(knocker_endpoint *e, knocker_error *error)
{
	int32_t rc = inbox_name_check("name", e->name, error);

	if (rc == 0)
		rc = inbox_text_check("path", &e->path, 2000, error);
	if (rc == 0)
		rc = inbox_text_check("provider", &e->provider, LIMIT_NAME, error);
	if (rc == 0)
		rc = inbox_text_check("queue_name", &e->queue_name, LIMIT_NAME, error);
	if (rc == 0)
		rc = inbox_range_check("max_attempts", e->max_attempts, 0, 1000000, error);
	if (rc == 0)
		rc = inbox_range_check("backoff_base_ms", e->backoff_base_ms, 0, INT32_MAX, error);
	if (rc == 0)
		rc = inbox_range_check("backoff_cap_ms", e->backoff_cap_ms, 0, INT64_MAX / 4, error);
	if (rc == 0)
		rc = inbox_range_check("disabled", e->disabled, 0, 1, error);
	if (bytes_is(e->provider, "none"))
		e->provider = (knocker_bytes){0};
	return rc;
}

/* Finds the scheme of a registration: a built-in, its own, or the application itself. */
static int32_t endpoint_scheme(registration *r, const knocker_endpoint *e, knocker_error *error)
{
	const scheme *builtin = NULL;
	int32_t rc = e->provider.data ? scheme_builtin(e->provider, &builtin, error) : 0;

	if (rc < 0)
		return rc;
	r->external = e->external != 0;
	if (builtin && (e->scheme_json.data || r->external))
		return fail(error, KNOCKER_INVALID_ARGUMENT,
		            "provider '%.*s' is a built-in's name: give your own another",
		            QUOTED(e->provider));
	if (r->external && e->scheme_json.data)
		return fail(error, KNOCKER_INVALID_ARGUMENT,
		            "external and scheme_json were both given: one of them verifies");
	if (r->external && !e->provider.data)
		return fail(error, KNOCKER_INVALID_ARGUMENT,
		            "external needs a provider: the name of your own");
	if (e->scheme_json.data) {
		rc = scheme_compile(e->scheme_json, &r->own_scheme, error);
		r->scheme = r->own_scheme;
		return rc;
	}
	if (e->provider.data && !builtin && !r->external)
		return fail(error, KNOCKER_INVALID_ARGUMENT, "no provider is named '%.*s'",
		            QUOTED(e->provider));
	r->scheme = builtin;
	return 0;
}

static int32_t endpoint_keys(registration *r, knocker_bytes secrets_json,
                             knocker_bytes options_json, knocker_error *error)
{
	if (r->scheme)
		return scheme_keys_new(r->scheme, secrets_json, options_json, &r->keys, error);
	if (!r->external && secrets_json.data && !bytes_is(secrets_json, "[]") &&
	    !bytes_is(secrets_json, "null"))
		return fail(error, KNOCKER_INVALID_ARGUMENT,
		            "secrets were given without a provider: name one, or nothing is verified");
	return 0;
}

/* Says which endpoint has the path already, where SQLite would only speak of a constraint. */
static int32_t endpoint_path_check(db *d, const knocker_endpoint *e, knocker_error *error)
{
	query *q;
	int32_t rc;

	if (!e->path.data)
		return 0;
	rc = db_query(d, STMT_endpoint_of_path, VALUES(TEXT(e->path), TEXT(e->name)), &q, error);
	if (rc == 0)
		rc = fail(error, KNOCKER_INVALID_ARGUMENT, "path '%.*s' is that of endpoint '%.*s'",
		          QUOTED(e->path), QUOTED(db_text(q, 0)));
	db_done(q);
	return rc < 0 ? rc : 0;
}

static int32_t endpoint_write(inbox *in, db *d, const knocker_endpoint *e, knocker_bytes provider,
                              int64_t *id, knocker_error *error)
{
	endpoint_row row;
	arena a = {0};
	int32_t rc = endpoint_path_check(d, e, error);

	if (rc == 0)
		rc = db_run(d, STMT_endpoint_upsert,
		            VALUES(TEXT(e->name), TEXT(e->path), TEXT(provider), INT(!e->disabled),
		                   TEXT(e->queue_name), INT_OR_NULL(e->max_attempts),
		                   INT_OR_NULL(e->backoff_base_ms), INT_OR_NULL(e->backoff_cap_ms),
		                   INT(inbox_now_ms(in))),
		            NULL, error);
	if (rc == 0)
		rc = endpoint_find(d, e->name, &a, &row, error);
	if (rc == 0 && id)
		*id = row.id;
	arena_free(&a);
	return rc;
}

/* A row alone changes nothing about the keys that this process has for the same provider. */
static void endpoint_remember(inbox *in, registration *r, bool row_only)
{
	registration *before = row_only && !r->own_scheme
	                           ? registration_find(&in->registrations, r->name)
	                           : NULL;
	bool same = before && before->keys && before->scheme == r->scheme;

	registration_leave(before);
	if (same)
		registration_leave(r);
	else
		registration_put(&in->registrations, r);
}

int32_t endpoint_add(inbox *in, db *d, const knocker_endpoint *given, bool row_only, int64_t *id,
                     knocker_error *error)
{
	knocker_endpoint e = *given;
	int32_t rc = endpoint_check(&e, error);
	registration *r;

	if (rc < 0)
		return rc;
	if (e.scheme_json.data && !e.provider.data)
		e.provider = bytes_of("custom");
	r = registration_new(e.name, e.provider, e.queue_name);
	if (!r)
		return fail_memory(error);
	rc = endpoint_scheme(r, &e, error);
	if (rc == 0 && !row_only)
		rc = endpoint_keys(r, e.secrets_json, e.options_json, error);
	if (rc == 0)
		rc = endpoint_write(in, d, &e, e.provider, id, error);
	if (rc == 0)
		endpoint_remember(in, r, row_only);
	else
		registration_leave(r);
	return rc;
}

int32_t endpoint_secrets(inbox *in, db *d, knocker_bytes name, knocker_bytes secrets_json,
                         knocker_bytes options_json, knocker_error *error)
{
	registration *before = NULL, *r = NULL;
	endpoint_row row;
	arena a = {0};
	int32_t rc = inbox_name_check("endpoint", name, error);

	if (rc == 0)
		rc = endpoint_find(d, name, &a, &row, error);
	if (rc == 0 && !row.provider.data)
		rc = fail(error, KNOCKER_INVALID_ARGUMENT,
		          "endpoint '%.*s' has no provider, so it takes no secrets", QUOTED(name));
	if (rc == 0) {
		before = registration_find(&in->registrations, name);
		r = registration_new(name, row.provider, row.queue);
		rc = r ? scheme_builtin(row.provider, &r->scheme, error) : fail_memory(error);
	}
	if (rc == 0 && !r->scheme && before)
		r->scheme = before->scheme;
	if (rc == 0 && !r->scheme)
		rc = fail(error, KNOCKER_INVALID_ARGUMENT,
		          "endpoint '%.*s' is verified by '%.*s', whose scheme is not registered here",
		          QUOTED(name), QUOTED(row.provider));
	if (rc == 0)
		rc = endpoint_keys(r, secrets_json, options_json, error);
	if (rc == 0 && before && r->scheme == before->own_scheme) {
		/* The only other user is this call, which lets go of it below. */
		r->own_scheme = before->own_scheme;
		before->own_scheme = NULL;
	}
	if (rc == 0)
		registration_put(&in->registrations, r);
	else
		registration_leave(r);
	registration_leave(before);
	arena_free(&a);
	return rc;
}

/* ---- rows ---- */

int32_t endpoint_find(db *d, knocker_bytes name, arena *a, endpoint_row *out, knocker_error *error)
{
	query *q;
	int32_t rc = db_query(d, STMT_endpoint_find, VALUES(TEXT(name)), &q, error);

	memset(out, 0, sizeof *out);
	if (rc == 0) {
		out->id = db_int(q, 0);
		out->enabled = db_int(q, 1) != 0;
		out->max_attempts = db_int(q, 4);
		out->backoff_base_ms = db_int(q, 5);
		out->backoff_cap_ms = db_int(q, 6);
		out->orphan_rows = db_int(q, 7);
		out->orphan_bytes = db_int(q, 8);
		out->paused = db_int(q, 9) != 0;
		if (!arena_copy(a, db_text(q, 2), &out->provider) ||
		    !arena_copy(a, db_text(q, 3), &out->queue))
			rc = fail_memory(error);
	} else if (rc == 1) {
		rc = fail(error, KNOCKER_UNKNOWN_ENDPOINT, "no endpoint is named '%.*s'", QUOTED(name));
	}
	db_done(q);
	return rc;
}

int32_t endpoint_pause(db *d, knocker_bytes name, bool paused, knocker_error *error)
{
	int64_t changed = 0;
	int32_t rc = inbox_name_check("endpoint", name, error);

	if (rc == 0)
		rc = db_run(d, STMT_endpoint_pause, VALUES(TEXT(name), INT(paused)), &changed, error);
	if (rc == 0 && changed == 0)
		rc = fail(error, KNOCKER_UNKNOWN_ENDPOINT, "no endpoint is named '%.*s'", QUOTED(name));
	db_mark_due(d);
	return rc;
}

int32_t endpoint_providers(knocker_rows **out, knocker_error *error)
{
	int32_t rc = rows_new("name, version, title, kind, has_replay_window, options_json, curated",
	                      out, error);
	int32_t i;

	for (i = 0; rc == 0 && i < scheme_builtin_count(); i++) {
		scheme_info info;

		rc = scheme_builtin_info(i, &info, error);
		if (rc == 0)
			rc = rows_add(*out,
			              (const knocker_value[]){TEXT(bytes_of(info.name)),
			                                      TEXT(bytes_of(info.version)),
			                                      TEXT(bytes_of(info.title)),
			                                      TEXT(bytes_of(info.kind)),
			                                      INT(info.has_replay_window),
			                                      TEXT(bytes_of(info.options_json)),
			                                      INT(info.curated)},
			              error);
	}
	if (rc < 0) {
		knocker_rows_free(*out);
		*out = NULL;
	}
	return rc;
}

/* ==== core/src/handle.c ==== */

/* A handle: one file opened by one process, shared by its threads, guarded against use after close
 * and after fork. */
/* A handle: one file opened by one process, shared by its threads, guarded against use after close
 * and after fork. */
#ifndef KNOCKER_HANDLE_H
#define KNOCKER_HANDLE_H



/* A handler's transaction: it begins at the first statement through it, holds the writer from then
 * on, and ends with the job's outcome. Knows stores and jobs, nothing of handles. */
#ifndef KNOCKER_WORK_H
#define KNOCKER_WORK_H



/* What a worker does with an event's job: claim, begin, settle. The rules of retries and of a
 * handler's transaction. */
#ifndef KNOCKER_WORKER_H
#define KNOCKER_WORKER_H




/* ---- claiming ---- */

/* In a transaction. Rows as of knocker_claim; 1: none are due. */
KNOCKER_PRIVATE int32_t worker_claim(inbox *in, db *d, const knocker_claim_options *options, knocker_rows **out,
                     knocker_error *error);
/* When the next job that worker_claim would take is due; INT64_MAX: none is queued. */
KNOCKER_PRIVATE int32_t worker_next_due(inbox *in, db *d, const knocker_claim_options *options, int64_t *due_ms,
                        knocker_error *error);
KNOCKER_PRIVATE int32_t worker_claim_check(const knocker_claim_options *options, knocker_error *error);
/* Leases by one queue; the SQL door's claim, for payloads of any kind. Fills in what is paused. */
KNOCKER_PRIVATE int32_t worker_claim_queue(inbox *in, db *d, job_claim_options *options, job_claimed *out,
                           int32_t *count, knocker_error *error);

/* A payload that is no event has no handler here: the job is dead and says so. */
KNOCKER_PRIVATE int32_t worker_bury_plain(inbox *in, db *d, int64_t id, knocker_error *error);

/* ---- beginning ---- */

typedef enum {
	START_NOW,
	START_RENEWED, /* less than half of the lease is left: renew it first */
	START_LOST,    /* somebody else holds it, or nobody */
	START_NEVER    /* the event is settled already: the job leaves the queue */
} worker_start;
KNOCKER_PRIVATE worker_start worker_may_start(inbox *in, const job_state *job, int64_t claim);

/* ---- settling ---- */

typedef struct {
	int64_t job_id, claim;
	int32_t outcome; /* KNOCKER_HANDLED ... KNOCKER_NO_HANDLER */
	knocker_bytes reason;
	int64_t delay_ms;    /* of KNOCKER_RETRY_AFTER */
	int64_t duration_ms; /* of the handler; -1: not known */
} worker_outcome;

typedef struct {
	const char *status; /* as it reads now */
	int64_t due_ms;     /* -1: not queued */
	int64_t attempt_count;
} worker_result;

/* In the transaction in which `job` was read. KNOCKER_LEASE_LOST: it is not held by this claim. */
KNOCKER_PRIVATE int32_t worker_settle(inbox *in, db *d, const worker_outcome *o, const job_state *job,
                      worker_result *result, knocker_error *error);
/* The attempt row alone, for the SQL door, which settles in steps. */
KNOCKER_PRIVATE int32_t worker_attempt(inbox *in, db *d, const worker_outcome *o, const char *word,
                       knocker_bytes why, knocker_error *error);
/* An error's text as it is kept: UTF-8 without NUL, bounded. */
KNOCKER_PRIVATE knocker_bytes worker_reason(knocker_bytes reason);
KNOCKER_PRIVATE int32_t worker_result_row(const worker_result *result, knocker_rows **out, knocker_error *error);
KNOCKER_PRIVATE const char *worker_outcome_name(int32_t outcome); /* "handled" ...; NULL: none */

#endif


struct knocker_work {
	knocker_work *next; /* of its handle, whose business this and `owner` are */
	knocker *owner;
	pthread_t thread;
	inbox *in;
	store *store;
	bool settle_full;
	int64_t job_id, claim, begun_ms; /* monotonic */
	store_tenant tenant;
	bool open;     /* the transaction has begun: the writer is held; */
	job_state job; /* as the transaction found it: nobody else writes while it is open */
	bool lost;     /* it ended behind the handler; `cause` says why, and each later use raises it */
	knocker_error cause;
};

/* 1: there is nothing to do any more, and the job is not queued or not ours. */
KNOCKER_PRIVATE int32_t work_begin(inbox *in, store *s, int64_t job_id, int64_t claim, bool settle_full,
                   knocker_work **out, knocker_error *error);
KNOCKER_PRIVATE int32_t work_event(knocker_work *w, knocker_rows **out, knocker_error *error);
KNOCKER_PRIVATE int32_t work_run(knocker_work *w, const db_text_statement *statement, knocker_rows **rows,
                 int64_t *changes, int64_t *last_id, knocker_error *error);
KNOCKER_PRIVATE int32_t work_receive(knocker_work *w, const knocker_request *request, bool ingest,
                     knocker_rows **out, knocker_error *error);
KNOCKER_PRIVATE int32_t work_extend(knocker_work *w, int64_t lease_ms, knocker_error *error);
KNOCKER_PRIVATE int32_t work_settle(knocker_work *w, int32_t outcome, knocker_bytes reason, int64_t delay_ms,
                    knocker_rows **out, knocker_error *error);
/* Rolls back; no attempt is counted. */
KNOCKER_PRIVATE int32_t work_give_back(knocker_work *w, knocker_error *error);
KNOCKER_PRIVATE void work_free(knocker_work *w); /* after one of the two above */

#endif


struct knocker {
	knocker *next;  /* all that ever were: a pointer to a closed one is an error, never a crash */
	int64_t closed; /* when, in the order of closings; the oldest is used again */
	_Atomic bool open;
	_Atomic int32_t callers; /* calls under way */
	int64_t fork_generation;
	bool full, settle_full, thread_bound;
	inbox inbox;
	store *store;
	pthread_mutex_t lock;
	knocker_work *works; /* begun and not settled */
};

/* Every call begins here and ends with handle_leave. KNOCKER_CLOSED for what is no open handle of
 * this process. */
KNOCKER_PRIVATE int32_t handle_enter(knocker *k, knocker_error *error);
/* The same for calls that need the writer: from inside a handler of this thread they would wait for
 * themselves. */
KNOCKER_PRIVATE int32_t handle_enter_writing(knocker *k, knocker_error *error);
KNOCKER_PRIVATE void handle_leave(knocker *k);

KNOCKER_PRIVATE int32_t handle_open(const knocker_open_options *options, knocker **out, knocker_error *error);
KNOCKER_PRIVATE int32_t handle_close(knocker *k, knocker_error *error);
KNOCKER_PRIVATE void handle_work_add(knocker *k, knocker_work *w);
KNOCKER_PRIVATE void handle_work_remove(knocker *k, knocker_work *w);

/* Copies an options struct of any age: what the caller's does not have is 0. */
KNOCKER_PRIVATE int32_t handle_options(const char *what, const void *given, void *out, size_t size,
                       knocker_error *error);
KNOCKER_PRIVATE knocker_bytes handle_bytes(knocker_bytes b); /* with its length measured where it is -1 */
KNOCKER_PRIVATE int32_t handle_request(const knocker_request *given, knocker_request *out, knocker_error *error);

#endif


#include <string.h>
#include <time.h>



#define HANDLE_SHELLS 64 /* closed handles that are kept, of 20 KB each */

static pthread_mutex_t handle_list_lock = PTHREAD_MUTEX_INITIALIZER;
static knocker *handle_list;
static _Atomic int64_t handle_forks, handle_closings;
static pthread_once_t handle_once = PTHREAD_ONCE_INIT;

static void handle_fork_begins(void)
{
	pthread_mutex_lock(&handle_list_lock);
}

static void handle_fork_ends(void)
{
	pthread_mutex_unlock(&handle_list_lock);
}

static void handle_forked(void)
{
	atomic_fetch_add(&handle_forks, 1);
	handle_fork_ends();
}

static void handle_watch_forks(void)
{
	pthread_atfork(handle_fork_begins, handle_fork_ends, handle_forked);
}

/* ---- entering and leaving ---- */

void handle_leave(knocker *k)
{
	atomic_fetch_sub(&k->callers, 1);
}

int32_t handle_enter(knocker *k, knocker_error *error)
{
	if (!k)
		return fail(error, KNOCKER_INVALID_ARGUMENT, "the handle is NULL");
	if (k->fork_generation != atomic_load_explicit(&handle_forks, memory_order_relaxed))
		return fail(error, KNOCKER_CLOSED,
		            "this handle was opened before fork: open again in the child");
	atomic_fetch_add(&k->callers, 1);
	if (atomic_load(&k->open))
		return 0;
	handle_leave(k);
	return fail(error, KNOCKER_CLOSED, "this handle is closed");
}

int32_t handle_enter_writing(knocker *k, knocker_error *error)
{
	int32_t rc = handle_enter(k, error);
	const knocker_work *w;

	if (rc < 0 || !k->thread_bound)
		return rc;
	pthread_mutex_lock(&k->lock);
	for (w = k->works; w && !pthread_equal(w->thread, pthread_self()); w = w->next)
		;
	pthread_mutex_unlock(&k->lock);
	if (!w)
		return 0;
	handle_leave(k);
	return fail(error, KNOCKER_INVALID_ARGUMENT,
	            "called from inside a handler on its own handle: use its tx");
}

void handle_work_add(knocker *k, knocker_work *w)
{
	w->owner = k;
	pthread_mutex_lock(&k->lock);
	w->next = k->works;
	k->works = w;
	pthread_mutex_unlock(&k->lock);
}

void handle_work_remove(knocker *k, knocker_work *w)
{
	knocker_work **at;

	pthread_mutex_lock(&k->lock);
	for (at = &k->works; *at && *at != w; at = &(*at)->next)
		;
	if (*at)
		*at = w->next;
	pthread_mutex_unlock(&k->lock);
}

/* ---- opening ---- */

int32_t handle_options(const char *what, const void *given, void *out, size_t size,
                       knocker_error *error)
{
	int64_t claimed;

	if (!given)
		return fail(error, KNOCKER_INVALID_ARGUMENT, "%s is NULL", what);
	memcpy(&claimed, given, sizeof claimed);
	if (claimed < (int64_t)sizeof claimed || claimed > 4096)
		return fail(error, KNOCKER_INVALID_ARGUMENT,
		            "%s has size %lld: set it to sizeof the struct", what, (long long)claimed);
	memset(out, 0, size);
	memcpy(out, given, (size_t)claimed < size ? (size_t)claimed : size);
	return 0;
}

/* A length of -1 is measured here, at the edge, so that inside every slice has its length. */
knocker_bytes handle_bytes(knocker_bytes b)
{
	if (!b.data)
		return (knocker_bytes){0};
	if (b.len < 0)
		return bytes_of(b.data);
	return b;
}

int32_t handle_request(const knocker_request *given, knocker_request *q, knocker_error *error)
{
	int32_t rc = handle_options("request", given, q, sizeof *q, error);
	knocker_bytes *texts[] =
		{&q->endpoint,       &q->method,        &q->headers,           &q->query,
	     &q->body,           &q->event_type,    &q->provider_event_id, &q->provider_delivery_id,
	     &q->dedupe_key,     &q->provider,      &q->secrets_json,      &q->options_json,
	     &q->queue_name,     &q->verdict_error, &q->ids_event_type,    &q->ids_event_id,
	     &q->ids_delivery_id};
	size_t i;

	for (i = 0; rc == 0 && i < sizeof texts / sizeof *texts; i++)
		*texts[i] = handle_bytes(*texts[i]);
	return rc;
}

/* The shell that was closed longest ago, where enough of them were closed since that nobody can
 * still mean it; else a new one. The list's lock is held. */
static knocker *handle_oldest(int32_t *closed)
{
	knocker *k, *oldest = NULL;

	for (*closed = 0, k = handle_list; k; k = k->next) {
		if (atomic_load(&k->callers) || atomic_load(&k->open) || k->store != NULL)
			continue;
		++*closed;
		if (!oldest || k->closed < oldest->closed)
			oldest = k;
	}
	return oldest;
}

static knocker *handle_shell(void)
{
	int32_t closed;
	knocker *k;

	pthread_mutex_lock(&handle_list_lock);
	k = handle_oldest(&closed);
	if (closed < HANDLE_SHELLS)
		k = memory_get(sizeof *k);
	if (k && closed < HANDLE_SHELLS) {
		memset(k, 0, sizeof *k);
		k->next = handle_list;
		handle_list = k;
	}
	if (k)
		atomic_fetch_add(&k->callers, 1);
	pthread_mutex_unlock(&handle_list_lock);
	return k;
}

static int32_t handle_check(const knocker_open_options *o, knocker_error *error)
{
	const struct {
		const char *what;
		int64_t value, low, high;
	} ranges[] = {
		{"visibility_ms", o->visibility_ms, 0, INT64_MAX / 4},
		{"max_attempts", o->max_attempts, 0, 1000000},
		{"backoff_base_ms", o->backoff_base_ms, 0, INT32_MAX},
		{"backoff_cap_ms", o->backoff_cap_ms, 0, INT64_MAX / 4},
		{"max_readers", o->max_readers, 0, 64},
		{"busy_timeout_ms", o->busy_timeout_ms, 0, 3600000},
		{"max_body_bytes", o->max_body_bytes, -1, 1000000000},
		{"synchronous", o->synchronous, KNOCKER_SYNC_FULL, KNOCKER_SYNC_NORMAL},
		{"orphan_bytes", o->orphan_bytes, 0, INT64_MAX / 4},
		{"orphan_rows", o->orphan_rows, 0, INT64_MAX / 4},
		{"clock_ms", o->clock_ms, 0, INT64_MAX / 4},
	};
	int32_t rc = o->queue_name.data ? inbox_name_check("queue_name", o->queue_name, error) : 0;
	size_t i;

	for (i = 0; rc == 0 && i < sizeof ranges / sizeof *ranges; i++)
		rc = inbox_range_check(ranges[i].what, ranges[i].value, ranges[i].low, ranges[i].high,
		                       error);
	return rc;
}

static void handle_default(int64_t *setting, int64_t given)
{
	if (given)
		*setting = given;
}

static void handle_settings(knocker *k, const knocker_open_options *o)
{
	inbox *in = &k->inbox;

	inbox_init(in);
	if (o->queue_name.data) {
		memcpy(in->queue_name, o->queue_name.data, (size_t)o->queue_name.len);
		in->queue_name[o->queue_name.len] = '\0';
	}
	handle_default(&in->visibility_ms, o->visibility_ms);
	handle_default(&in->max_attempts, o->max_attempts);
	handle_default(&in->backoff_base_ms, o->backoff_base_ms);
	handle_default(&in->backoff_cap_ms, o->backoff_cap_ms);
	handle_default(&in->max_body_bytes, o->max_body_bytes);
	handle_default(&in->orphan_bytes, o->orphan_bytes);
	handle_default(&in->orphan_rows, o->orphan_rows);
	atomic_store(&in->clock_ms, o->clock_ms);
	in->chance = (uint64_t)o->seed;
	k->full = o->synchronous == KNOCKER_SYNC_FULL;
	k->settle_full = o->settle_full != 0;
	k->thread_bound = o->thread_bound != 0;
}

/* An operator who names the wrong file is told so, and the file stays as it is. */
static int32_t handle_schema(knocker *k, const knocker_open_options *o, knocker_error *error)
{
	db *writer = store_writer(k->store);
	int32_t rc = 0;

	if (o->existing && !db_table_exists(writer, "_knocker_meta"))
		return fail(error, KNOCKER_STORAGE, "'%.*s' is a database without an inbox",
		            QUOTED(o->path));
	rc = schema_known(writer, error);
	if (rc == 0)
		rc = db_wal(writer, error);
	if (rc == 0)
		rc = db_synchronous(writer, k->full, error);
	return rc == 0 ? schema_migrate(writer, error) : rc;
}

/* SQLite keeps its locks by process and file. Beside a connection from before the fork a new one
 * would take no lock of its own, and the parent, when it closes, would delete the WAL under it.
 * So what is inherited is closed first; where it was in use at the fork, its file is not to be
 * opened here. */
static int32_t handle_disinherit(const char *file, knocker_error *error)
{
	int64_t forks = atomic_load(&handle_forks);
	const knocker *k;
	int32_t rc = 0;

	pthread_mutex_lock(&handle_list_lock);
	for (k = handle_list; k; k = k->next)
		if (atomic_load(&k->open) && k->fork_generation != forks && !store_disinherit(k->store) &&
		    file && strcmp(file, store_file(k->store)) == 0)
			rc = fail(error, KNOCKER_CLOSED,
			          "this process was forked while its parent used '%.150s': fork before that",
			          file);
	pthread_mutex_unlock(&handle_list_lock);
	return rc;
}

static int32_t handle_store(knocker *k, const knocker_open_options *o, knocker_error *error)
{
	store_options so = {.path = o->path,
	                    .init_sql = o->init_sql,
	                    .busy_timeout_ms = o->busy_timeout_ms ? o->busy_timeout_ms : 2500,
	                    .max_readers = o->max_readers ? o->max_readers : 8,
	                    .existing = o->existing != 0};
	int32_t rc = handle_disinherit(NULL, error);

	if (rc == 0)
		rc = store_open(&so, &k->store, error);
	if (rc == 0)
		rc = handle_disinherit(store_file(k->store), error);
	if (rc == 0)
		rc = handle_schema(k, o, error);
	if (rc < 0) {
		store_close(k->store);
		k->store = NULL;
	}
	return rc;
}

int32_t handle_open(const knocker_open_options *given, knocker **out, knocker_error *error)
{
	knocker_open_options o;
	knocker *k;
	int32_t rc = handle_options("open_options", given, &o, sizeof o, error);

	*out = NULL;
	pthread_once(&handle_once, handle_watch_forks);
	if (rc == 0)
		rc = handle_check(&o, error);
	if (rc < 0)
		return rc;
	k = handle_shell();
	if (!k)
		return fail_memory(error);
	handle_settings(k, &o);
	rc = handle_store(k, &o, error);
	if (rc == 0) {
		pthread_mutex_init(&k->lock, NULL);
		k->fork_generation = atomic_load(&handle_forks);
		atomic_store(&k->open, true);
		*out = k;
	} else {
		inbox_end(&k->inbox);
	}
	handle_leave(k);
	return rc;
}

/* ---- closing ---- */

int32_t handle_close(knocker *k, knocker_error *error)
{
	const struct timespec pause = {0, 500000};
	bool busy;
	int32_t rc;

	if (!k)
		return 0;
	rc = handle_enter(k, error);
	if (rc < 0)
		return rc;
	pthread_mutex_lock(&k->lock);
	busy = k->works != NULL;
	rc = !busy && atomic_exchange(&k->open, false) ? 0 : -1;
	pthread_mutex_unlock(&k->lock);
	if (rc < 0) {
		handle_leave(k);
		return busy
		           ? fail(
						 error, KNOCKER_INVALID_ARGUMENT,
						 "a handler is running on this handle: close it after the handler returned")
		           : fail(error, KNOCKER_CLOSED, "this handle is closed");
	}
	while (atomic_load(&k->callers) > 1) {
		bell_stop(store_bell(k->store));
		nanosleep(&pause, NULL);
	}
	inbox_end(&k->inbox);
	store_close(k->store);
	pthread_mutex_destroy(&k->lock);
	k->store = NULL;
	k->closed = atomic_fetch_add(&handle_closings, 1);
	handle_leave(k);
	return 0;
}

/* ==== core/src/inbox.c ==== */

/* What a process knows of its inbox: defaults, clock, and how its arguments are checked. */


#include <string.h>




#define INBOX_QUEUE "knocker.events"

void inbox_init(inbox *in)
{
	memset(in, 0, sizeof *in);
	pthread_mutex_init(&in->lock, NULL);
	registrations_init(&in->registrations);
	in->known.version = -1;
	memcpy(in->queue_name, INBOX_QUEUE, sizeof INBOX_QUEUE);
	in->visibility_ms = 60000;
	in->max_attempts = 3;
	in->backoff_base_ms = 10000;
	in->backoff_cap_ms = 3600000;
	in->max_body_bytes = LIMIT_BODY;
	in->orphan_bytes = 64 * 1024 * 1024;
	in->orphan_rows = 10000;
}

void inbox_end(inbox *in)
{
	registrations_end(&in->registrations);
	pthread_mutex_destroy(&in->lock);
}

int64_t inbox_now_ms(const inbox *in)
{
	int64_t set = atomic_load_explicit(&in->clock_ms, memory_order_relaxed);

	return set ? set : clock_wall_ms();
}

uint64_t inbox_chance(inbox *in)
{
	uint64_t chance;

	pthread_mutex_lock(&in->lock);
	chance = chance_next(&in->chance);
	pthread_mutex_unlock(&in->lock);
	return chance;
}

/* The lock is held; NULL: this worker has not claimed here, or long ago. */
static inbox_lease *inbox_lease_of(inbox *in, knocker_bytes worker)
{
	int32_t i;

	for (i = 0; i < INBOX_LEASES; i++)
		if (bytes_is(worker, in->leases[i].worker))
			return &in->leases[i];
	return NULL;
}

void inbox_lease_set(inbox *in, knocker_bytes worker, int64_t lease_ms)
{
	inbox_lease *lease;

	pthread_mutex_lock(&in->lock);
	lease = inbox_lease_of(in, worker);
	if (!lease) {
		lease = &in->leases[in->lease_next++ % INBOX_LEASES];
		memcpy(lease->worker, worker.data, (size_t)worker.len);
		lease->worker[worker.len] = '\0';
	}
	lease->lease_ms = lease_ms;
	pthread_mutex_unlock(&in->lock);
}

int64_t inbox_lease_ms(inbox *in, const char *worker)
{
	const inbox_lease *lease;
	int64_t lease_ms;

	pthread_mutex_lock(&in->lock);
	lease = inbox_lease_of(in, bytes_of(worker));
	lease_ms = lease ? lease->lease_ms : in->visibility_ms;
	pthread_mutex_unlock(&in->lock);
	return lease_ms;
}

int32_t inbox_text_check(const char *what, knocker_bytes *text, int64_t max, knocker_error *error)
{
	if (text->data && text->len == 0)
		*text = (knocker_bytes){0};
	if (!text->data)
		return 0;
	if (text->len > max)
		return fail(error, KNOCKER_INVALID_ARGUMENT,
		            "%s '%.*s...' is %lld bytes long, over the limit of %lld", what, QUOTED(*text),
		            (long long)text->len, (long long)max);
	if (!bytes_utf8(*text) || bytes_find(*text, '\0') >= 0)
		return fail(error, KNOCKER_INVALID_ARGUMENT, "%s is not UTF-8 text without NUL", what);
	return 0;
}

int32_t inbox_name_check(const char *what, knocker_bytes name, knocker_error *error)
{
	knocker_bytes text = name;
	int32_t rc = inbox_text_check(what, &text, LIMIT_NAME, error);

	if (rc == 0 && !text.data)
		rc = fail(error, KNOCKER_INVALID_ARGUMENT, "%s is missing or empty", what);
	return rc;
}

int32_t inbox_range_check(const char *what, int64_t value, int64_t low, int64_t high,
                          knocker_error *error)
{
	if (value < low || value > high)
		return fail(error, KNOCKER_INVALID_ARGUMENT, "%s is %lld: not between %lld and %lld", what,
		            (long long)value, (long long)low, (long long)high);
	return 0;
}

/* ==== core/src/look.c ==== */

/* Looking: one row, lists, why an event is where it is, numbers for a health check. Reads only. */
#include <stdio.h>
#include <string.h>





/* ---- one row ---- */

static int32_t look_missing(int32_t kind, int64_t id, knocker_error *error)
{
	switch (kind) {
	case KNOCKER_EVENT:
		return fail(error, KNOCKER_UNKNOWN_EVENT, "no event has the id %lld", (long long)id);
	case KNOCKER_DELIVERY:
		return fail(error, KNOCKER_UNKNOWN_DELIVERY, "no delivery has the id %lld", (long long)id);
	default:
		return fail(error, KNOCKER_UNKNOWN_ENDPOINT, "no endpoint has the id %lld", (long long)id);
	}
}

int32_t look_get(db *d, int32_t kind, int64_t id, knocker_rows **out, knocker_error *error)
{
	enum statement s = kind == KNOCKER_EVENT      ? STMT_event_get
	                   : kind == KNOCKER_DELIVERY ? STMT_delivery_get
	                                              : STMT_endpoint_get;
	int32_t rc;

	*out = NULL;
	if (kind != KNOCKER_EVENT && kind != KNOCKER_DELIVERY && kind != KNOCKER_ENDPOINT)
		return fail(error, KNOCKER_INVALID_ARGUMENT,
		            "kind %d has no single rows: events, deliveries and endpoints have", (int)kind);
	rc = db_rows(d, s, VALUES(INT(id)), out, error);
	if (rc == 0 && rows_count(*out) == 0) {
		knocker_rows_free(*out);
		*out = NULL;
		rc = look_missing(kind, id, error);
	}
	return rc;
}

/* ---- lists ---- */

int32_t look_since(db *d, int64_t since_ms, int64_t *id, knocker_error *error)
{
	int64_t low, high = 0, at;
	int32_t rc = db_int_of(d, STMT_id_first, NO_VALUES, 1, &low, error);

	if (rc == 0)
		rc = db_int_of(d, STMT_id_last, NO_VALUES, 0, &high, error);
	for (high++; rc == 0 && low < high;) {
		int64_t middle = low + (high - low) / 2;

		rc = db_int_of(d, STMT_id_since, VALUES(INT(middle)), INT64_MAX, &at, error);
		if (at >= since_ms)
			high = middle;
		else
			low = middle + 1;
	}
	*id = low;
	return rc;
}

static int32_t look_status_check(knocker_bytes status, knocker_error *error)
{
	static const char *const known[] = {"received", "processing", "handled",
	                                    "failed",   "dead",       "ignored"};
	size_t i;

	for (i = 0; i < sizeof known / sizeof *known; i++)
		if (bytes_is(status, known[i]))
			return 0;
	return fail(error, KNOCKER_INVALID_ARGUMENT, "no status is named '%.*s'", QUOTED(status));
}

static int32_t look_kind_check(knocker_bytes kind, knocker_error *error)
{
	if (bytes_is(kind, "prune_events") || bytes_is(kind, "prune_orphan_deliveries"))
		return 0;
	return fail(error, KNOCKER_INVALID_ARGUMENT, "no kind of audit is named '%.*s'", QUOTED(kind));
}

/* Which members a kind has; any other is refused, for a list that ignored one would be too long. */
static int32_t look_members_check(const knocker_filter *f, knocker_error *error)
{
	enum { EVENT = 1 << 1, DELIVERY = 1 << 2, ATTEMPT = 1 << 3, ENDPOINT = 1 << 4, JOB = 1 << 5 };
	enum { AUDIT = 1 << 6 };
	static const char *const kinds[] = {"",          "events", "deliveries", "attempts",
	                                    "endpoints", "jobs",   "audits"};
	const struct {
		const char *name;
		bool given;
		int kinds;
	} members[] = {
		{"before_id", f->before_id != 0, EVENT | DELIVERY | ATTEMPT | AUDIT},
		{"since", f->since_s != 0, EVENT | DELIVERY | AUDIT},
		{"endpoint", f->endpoint.data != NULL, EVENT | DELIVERY | ENDPOINT | JOB},
		{"status", f->status.data != NULL, EVENT},
		{"event_type", f->event_type.data != NULL, EVENT | DELIVERY},
		{"event_id", f->event_id != 0, DELIVERY | ATTEMPT},
		{"signature_valid", f->signature_valid != 0, DELIVERY},
		{"orphaned", f->orphaned != 0, DELIVERY},
		{"audit_kind", f->audit_kind.data != NULL, AUDIT},
	};
	size_t i;

	for (i = 0; i < sizeof members / sizeof *members; i++)
		if (members[i].given && !(members[i].kinds & 1 << f->kind))
			return fail(error, KNOCKER_INVALID_ARGUMENT, "%s are not listed by %s", kinds[f->kind],
			            members[i].name);
	return 0;
}

static int32_t look_filter_check(knocker_filter *f, knocker_error *error)
{
	int32_t rc = inbox_range_check("kind", f->kind, KNOCKER_EVENT, KNOCKER_AUDIT, error);

	if (rc == 0)
		rc = look_members_check(f, error);
	if (rc == 0 && f->limit == 0)
		f->limit = 100;
	if (rc == 0)
		rc = inbox_range_check("limit", f->limit, 1, LIMIT_LIST, error);
	if (rc == 0)
		rc = inbox_range_check("since", f->since_s, 0, INT64_MAX / 1000, error);
	if (rc == 0)
		rc = inbox_range_check("before_id", f->before_id, 0, INT64_MAX, error);
	if (rc == 0)
		rc = inbox_range_check("event_id", f->event_id, 0, INT64_MAX, error);
	if (rc == 0)
		rc = inbox_range_check("signature_valid", f->signature_valid, 0, 2, error);
	if (rc == 0)
		rc = inbox_range_check("orphaned", f->orphaned, 0, 2, error);
	if (rc == 0)
		rc = inbox_text_check("endpoint", &f->endpoint, LIMIT_NAME, error);
	if (rc == 0)
		rc = inbox_text_check("event_type", &f->event_type, LIMIT_ID, error);
	if (rc == 0 && f->status.data)
		rc = look_status_check(f->status, error);
	if (rc == 0 && f->audit_kind.data)
		rc = look_kind_check(f->audit_kind, error);
	if (rc == 0 && f->before_id == 0)
		f->before_id = INT64_MAX;
	return rc;
}

typedef struct {
	const knocker_filter *filter;
	int64_t since_id;
	knocker_value endpoint; /* its id; null: all */
} look_bounds;

static int32_t look_bounds_read(db *d, const knocker_filter *f, look_bounds *b,
                                knocker_error *error)
{
	arena a = {0};
	endpoint_row row;
	int32_t rc = 0;

	*b = (look_bounds){.filter = f, .endpoint = NONE};
	if (f->endpoint.data && f->kind != KNOCKER_ENDPOINT) {
		rc = endpoint_find(d, f->endpoint, &a, &row, error);
		b->endpoint = INT(row.id);
		arena_free(&a);
	}
	if (rc == 0 && f->since_s > 0 && f->kind != KNOCKER_AUDIT)
		rc = look_since(d, f->since_s * 1000, &b->since_id, error);
	return rc;
}

static int32_t look_list_events(db *d, const look_bounds *b, knocker_rows **out,
                                knocker_error *error)
{
	const knocker_filter *f = b->filter;
	bool rare = bytes_is(f->status, "failed") || bytes_is(f->status, "dead") ||
	            bytes_is(f->status, "ignored");

	return db_rows(d, rare ? STMT_event_list_rare : STMT_event_list,
	               VALUES(INT(f->before_id), INT(b->since_id), b->endpoint, TEXT(f->event_type),
	                      INT(f->limit), INT(f->without_body != 0), TEXT(f->status)),
	               out, error);
}

static int32_t look_list_deliveries(db *d, const look_bounds *b, knocker_rows **out,
                                    knocker_error *error)
{
	const knocker_filter *f = b->filter;

	return db_rows(d, f->event_id ? STMT_delivery_list_event : STMT_delivery_list,
	               (const knocker_value[]){INT(f->before_id), INT(b->since_id), b->endpoint,
	                                       TEXT(f->event_type), INT(f->orphaned),
	                                       INT(f->signature_valid), INT(f->limit),
	                                       INT(f->without_body != 0), INT(f->event_id)},
	               f->event_id ? 9 : 8, out, error);
}

static int32_t look_list_attempts(db *d, const knocker_filter *f, knocker_rows **out,
                                  knocker_error *error)
{
	if (f->event_id)
		return db_rows(d, STMT_attempt_list,
		               VALUES(INT(f->event_id), INT(f->before_id), INT(f->limit)), out, error);
	return db_rows(d, STMT_attempt_list_all, VALUES(NONE, INT(f->before_id), INT(f->limit)), out,
	               error);
}

int32_t look_list(db *d, const knocker_filter *filter, knocker_rows **out, knocker_error *error)
{
	knocker_filter f = *filter;
	look_bounds b;
	int32_t rc = look_filter_check(&f, error);

	*out = NULL;
	if (rc == 0)
		rc = look_bounds_read(d, &f, &b, error);
	if (rc < 0)
		return rc;
	switch (f.kind) {
	case KNOCKER_EVENT:
		return look_list_events(d, &b, out, error);
	case KNOCKER_DELIVERY:
		return look_list_deliveries(d, &b, out, error);
	case KNOCKER_ATTEMPT:
		return look_list_attempts(d, &f, out, error);
	case KNOCKER_ENDPOINT:
		return db_rows(d, STMT_endpoint_list, VALUES(TEXT(f.endpoint), INT(f.limit)), out, error);
	case KNOCKER_JOB:
		return db_rows(d, STMT_job_list, VALUES(INT(f.before_id), b.endpoint, INT(f.limit)), out,
		               error);
	default:
		return db_rows(d, STMT_audit_list,
		               VALUES(INT(f.before_id), TEXT(f.audit_kind), INT(f.since_s * 1000),
		                      INT(f.limit)),
		               out, error);
	}
}

/* ---- why ---- */

typedef struct {
	job_state job;
	bool paused;
	int64_t now_ms, orphan_id;
	char endpoint[LIMIT_NAME + 1], last_error[400], orphan_error[300];
	const char *cause;
	char sentence[900];
} look_reason;

static void look_copy(char *to, size_t size, knocker_bytes from)
{
	size_t len = from.data ? (size_t)from.len : 0;

	if (len >= size)
		len = size - 1;
	while (len > 0 && from.len > (int64_t)len &&
	       (((const unsigned char *)from.data)[len] & 0xC0) == 0x80)
		len--;
	if (len > 0)
		memcpy(to, from.data, len);
	to[len] = '\0';
}

static int32_t look_why_read(db *d, int64_t event_id, look_reason *w, knocker_error *error)
{
	query *q;
	int32_t rc = job_get(d, event_id, &w->job, error);
	knocker_bytes provider_event_id = {0};
	arena a = {0};

	if (rc == 1 || (rc == 0 && w->job.topic <= 0))
		return look_missing(KNOCKER_EVENT, event_id, error);
	if (rc < 0)
		return rc;
	rc = db_query(d, STMT_event_why, VALUES(INT(event_id)), &q, error);
	if (rc == 0) {
		look_copy(w->endpoint, sizeof w->endpoint, db_text(q, 0));
		w->paused = db_int(q, 1) != 0;
		look_copy(w->last_error, sizeof w->last_error, db_text(q, 2));
		if (!arena_copy(&a, db_text(q, 3), &provider_event_id))
			rc = fail_memory(error);
	}
	db_done(q);
	if (rc == 0 && provider_event_id.data) {
		rc = db_query(d, STMT_orphan_twin, VALUES(INT(w->job.topic), TEXT(provider_event_id)), &q,
		              error);
		if (rc == 0) {
			w->orphan_id = db_int(q, 0);
			look_copy(w->orphan_error, sizeof w->orphan_error, db_text(q, 1));
		}
		db_done(q);
	}
	arena_free(&a);
	return rc < 0 ? rc : 0;
}

static void look_say(look_reason *w, const char *cause, const char *sentence)
{
	w->cause = cause;
	snprintf(w->sentence, sizeof w->sentence, "%s", sentence);
}

static void look_why_held(look_reason *w)
{
	bool over = w->job.due_ms <= w->now_ms;

	w->cause = over ? "lease_expired" : "leased";
	snprintf(w->sentence, sizeof w->sentence,
	         over ? "the lease of worker '%.200s' ran out at %lld: it will be claimed again"
	              : "worker '%.200s' holds it until %lld",
	         w->job.worker, (long long)(w->job.due_ms / 1000));
}

static void look_why_queued(look_reason *w)
{
	const char *retry = strcmp(w->job.status, "failed") == 0 ? w->last_error : NULL;

	if (w->paused) {
		w->cause = "paused";
		snprintf(w->sentence, sizeof w->sentence, "endpoint '%s' is paused: resume it",
		         w->endpoint);
	} else if (w->job.due_ms > w->now_ms) {
		w->cause = "due_later";
		snprintf(w->sentence, sizeof w->sentence, "due at %lld%s%s",
		         (long long)(w->job.due_ms / 1000), retry ? ": the last attempt failed with: " : "",
		         retry ? retry : "");
	} else {
		w->cause = "waiting";
		snprintf(w->sentence, sizeof w->sentence, "waiting for a worker since %lld%s%s",
		         (long long)(w->job.due_ms / 1000), retry ? "; the last attempt failed with: " : "",
		         retry ? retry : "");
	}
}

static void look_why_ended(look_reason *w)
{
	const char *said = w->last_error[0] ? w->last_error : "no reason was given";

	w->cause = w->job.status;
	if (strcmp(w->job.status, "handled") == 0)
		snprintf(w->sentence, sizeof w->sentence, "handled by attempt %lld",
		         (long long)w->job.attempt_count);
	else if (strcmp(w->job.status, "dead") == 0)
		snprintf(w->sentence, sizeof w->sentence, "dead after %lld attempt%s: %s",
		         (long long)w->job.attempt_count, w->job.attempt_count == 1 ? "" : "s", said);
	else if (strcmp(w->job.status, "ignored") == 0)
		snprintf(w->sentence, sizeof w->sentence, "ignored: %s", said);
	else
		look_say(w, "unqueued", "it has no job in the queue: requeue it");
}

int32_t look_why(inbox *in, db *d, int64_t event_id, knocker_rows **out, knocker_error *error)
{
	look_reason w = {.now_ms = inbox_now_ms(in)};
	bool held;
	int32_t rc = look_why_read(d, event_id, &w, error);

	*out = NULL;
	if (rc < 0)
		return rc;
	held = w.job.held && job_unsettled(&w.job);
	if (!job_unsettled(&w.job))
		w.job.due_ms = -1;
	if (held)
		look_why_held(&w);
	else if (w.job.due_ms >= 0)
		look_why_queued(&w);
	else
		look_why_ended(&w);
	rc = rows_new(
		"event_id, status, sentence, cause, due_at, worker_id, lease_until, attempt_count, last_error, "
		"orphan_delivery_id, orphan_error",
		out, error);
	if (rc == 0)
		rc = rows_add(*out,
		              (const knocker_value[]){INT(event_id),
		                                      TEXT(bytes_of(held ? "processing" : w.job.status)),
		                                      TEXT(bytes_of(w.sentence)), TEXT(bytes_of(w.cause)),
		                                      held || w.job.due_ms < 0 ? NONE
		                                                               : INT(w.job.due_ms / 1000),
		                                      held ? TEXT(bytes_of(w.job.worker)) : NONE,
		                                      held ? INT(w.job.due_ms / 1000) : NONE,
		                                      INT(w.job.attempt_count),
		                                      w.last_error[0] ? TEXT(bytes_of(w.last_error)) : NONE,
		                                      INT_OR_NULL(w.orphan_id),
		                                      w.orphan_id ? TEXT(bytes_of(w.orphan_error)) : NONE},
		              error);
	return rc;
}

/* ==== core/src/operator.c ==== */

/* What a person does with an event: ignore, replay, requeue, replay a delivery. Which act is
 * allowed from which status stands in one table. */


#include <string.h>




typedef enum { ACT_IGNORE, ACT_REPLAY, ACT_REQUEUE, ACT_REPLAY_DELIVERY } operator_act;

static const struct {
	const char *name;
	bool received, handled, failed, dead, ignored;
} operator_acts[] = {
	[ACT_IGNORE] = {"ignore", .received = true, .failed = true, .dead = true, .ignored = true},
	[ACT_REPLAY] = {"replay", .handled = true, .failed = true, .dead = true, .ignored = true},
	[ACT_REQUEUE] = {"requeue", .failed = true, .dead = true, .ignored = true},
	[ACT_REPLAY_DELIVERY] = {"replay_delivery", .handled = true, .failed = true, .dead = true,
                             .ignored = true},
};

static bool operator_allowed(operator_act act, const job_state *job, int64_t now_ms)
{
	bool working = job->held && job_unsettled(job), expired = working && job->due_ms <= now_ms;

	if (working && !expired)
		return false;
	if (expired && (act == ACT_IGNORE || act == ACT_REQUEUE))
		return true;
	if (act == ACT_REQUEUE && job->due_ms < 0 && strcmp(job->status, "received") == 0)
		return true;
	if (expired)
		return false;
	return strcmp(job->status, "received") == 0  ? operator_acts[act].received
	       : strcmp(job->status, "handled") == 0 ? operator_acts[act].handled
	       : strcmp(job->status, "failed") == 0  ? operator_acts[act].failed
	       : strcmp(job->status, "dead") == 0    ? operator_acts[act].dead
	                                             : operator_acts[act].ignored;
}

static int32_t operator_check(db *d, operator_act act, int64_t event_id, int64_t now_ms,
                              job_state *job, knocker_error *error)
{
	int32_t rc = job_get(d, event_id, job, error);

	if (rc == 1 || (rc == 0 && job->topic <= 0))
		return fail(error, KNOCKER_UNKNOWN_EVENT, "no event has the id %lld", (long long)event_id);
	if (rc == 0 && !operator_allowed(act, job, now_ms))
		rc = fail(error, KNOCKER_WRONG_STATUS, "%s is not allowed: event %lld is %s",
		          operator_acts[act].name, (long long)event_id,
		          job->held && job_unsettled(job) ? "processing" : job->status);
	return rc;
}

int32_t operator_ignore(inbox *in, db *d, int64_t event_id, knocker_bytes reason,
                        knocker_error *error)
{
	int64_t now_ms = inbox_now_ms(in);
	job_state job;
	int32_t rc = inbox_text_check("reason", &reason, LIMIT_ERROR_TEXT, error);

	if (rc == 0)
		rc = operator_check(d, ACT_IGNORE, event_id, now_ms, &job, error);
	if (rc < 0 || strcmp(job.status, "ignored") == 0)
		return rc;
	return db_run(d, STMT_job_ignore, VALUES(INT(event_id), INT(now_ms), TEXT(reason)), NULL,
	              error);
}

/* Queues the event again, from now on and with its attempts counted anew; its claims go on. */
static int32_t operator_queue(db *d, int64_t event_id, int64_t delivery_id, int64_t now_ms,
                              const operator_again *a, knocker_error *error)
{
	db_mark_due(d);
	return db_run(d, STMT_job_again,
	              VALUES(INT(event_id), INT(now_ms), INT_OR_NULL(delivery_id), TEXT(a->queue),
	                     INT_OR_NULL(a->max_attempts)),
	              NULL, error);
}

static int32_t operator_run_again(inbox *in, db *d, operator_act act, int64_t event_id,
                                  int64_t delivery_id, const operator_again *given,
                                  knocker_error *error)
{
	int64_t now_ms = inbox_now_ms(in);
	operator_again a = *given;
	job_state job;
	int32_t rc = inbox_text_check("queue_name", &a.queue, LIMIT_NAME, error);

	if (rc == 0)
		rc = inbox_range_check("max_attempts", a.max_attempts, 0, 1000000, error);
	if (rc == 0)
		rc = operator_check(d, act, event_id, now_ms, &job, error);
	return rc < 0 ? rc : operator_queue(d, event_id, delivery_id, now_ms, &a, error);
}

int32_t operator_replay(inbox *in, db *d, int64_t event_id, const operator_again *a,
                        knocker_error *error)
{
	return operator_run_again(in, d, ACT_REPLAY, event_id, 0, a, error);
}

int32_t operator_requeue(inbox *in, db *d, int64_t event_id, const operator_again *a,
                         knocker_error *error)
{
	return operator_run_again(in, d, ACT_REQUEUE, event_id, 0, a, error);
}

/* Back to received, with no job in the queue: requeue or replay queue it. */
int32_t operator_reset(inbox *in, db *d, int64_t event_id, knocker_error *error)
{
	job_state job;
	int32_t rc = operator_check(d, ACT_REPLAY, event_id, inbox_now_ms(in), &job, error);

	return rc < 0 ? rc : db_run(d, STMT_job_reset, VALUES(INT(event_id)), NULL, error);
}

int32_t operator_replay_delivery(inbox *in, db *d, int64_t delivery_id, const operator_again *a,
                                 knocker_error *error)
{
	query *q;
	int64_t event_id = 0;
	int32_t rc = db_query(d, STMT_delivery_event, VALUES(INT(delivery_id)), &q, error);

	if (rc == 0)
		event_id = db_int(q, 0);
	db_done(q);
	if (rc == 1)
		return fail(error, KNOCKER_UNKNOWN_DELIVERY, "no delivery has the id %lld",
		            (long long)delivery_id);
	if (rc == 0 && event_id == 0)
		return fail(error, KNOCKER_WRONG_STATUS,
		            "replay_delivery is not allowed: delivery %lld is an orphan, it has no event",
		            (long long)delivery_id);
	return rc < 0 ? rc
	              : operator_run_again(in, d, ACT_REPLAY_DELIVERY, event_id,
	                                   delivery_id == event_id ? 0 : delivery_id, a, error);
}

/* ==== core/src/receipt.c ==== */

/* One request on its way into the file: what it claims, by what it is verified, and its way through
 * the checks. */


#include <stdio.h>
#include <string.h>




/* ---- arguments ---- */

static int32_t receipt_check_sizes(const knocker_request *q, knocker_error *error)
{
	int32_t rc = inbox_range_check("max_attempts", q->max_attempts, 0, 1000000, error);

	if (rc == 0)
		rc = inbox_range_check("length of body", q->body.len, 0, INT32_MAX, error);
	if (rc == 0)
		rc = inbox_range_check("length of query", q->query.len, 0, LIMIT_QUERY, error);
	if (rc == 0)
		rc = inbox_range_check("verdict", q->verdict, KNOCKER_BY_SCHEME, KNOCKER_UNCHECKED, error);
	if (rc == 0)
		rc = request_headers_check(q->headers, error);
	return rc;
}

static int32_t receipt_check_method(receipt *r, knocker_error *error)
{
	int64_t i;

	r->method = r->request->method.len > 0 ? r->request->method : bytes_of("POST");
	for (i = 0; i < r->method.len; i++) {
		char c = ((const char *)r->method.data)[i];

		if (r->method.len > 32 || !((c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || c == '-'))
			return fail(error, KNOCKER_INVALID_ARGUMENT, "method '%.*s' is not an HTTP method",
			            QUOTED(r->method));
	}
	return 0;
}

static int32_t receipt_check(receipt *r, knocker_error *error)
{
	const knocker_request *q = r->request;
	struct {
		const char *what;
		knocker_bytes *text;
		knocker_bytes given;
	} texts[] = {
		{"event_type", &r->event_type, q->event_type},
		{"provider_event_id", &r->provider_event_id, q->provider_event_id},
		{"provider_delivery_id", &r->provider_delivery_id, q->provider_delivery_id},
		{"dedupe_key", &r->dedupe_key, q->dedupe_key},
	};
	knocker_bytes queue = q->queue_name;
	int32_t rc = inbox_name_check("endpoint", q->endpoint, error);
	size_t i;

	if (rc == 0)
		rc = receipt_check_sizes(q, error);
	if (rc == 0)
		rc = receipt_check_method(r, error);
	if (rc == 0)
		rc = inbox_text_check("queue_name", &queue, LIMIT_NAME, error);
	for (i = 0; rc == 0 && i < sizeof texts / sizeof *texts; i++) {
		*texts[i].text = texts[i].given;
		rc = inbox_text_check(texts[i].what, texts[i].text, i == 3 ? LIMIT_HEADERS : LIMIT_ID,
		                      error);
	}
	return rc;
}

/* ---- by what it is verified ---- */

static bool receipt_names_provider(const knocker_request *q)
{
	return q->provider.len > 0 && !bytes_is(q->provider, "none");
}

static bool receipt_has_json(knocker_bytes json_text)
{
	return json_text.len > 0 && !bytes_is(json_text, "null");
}

bool receipt_needs_row(inbox *in, const knocker_request *request, bool ingest)
{
	registration *r;

	if (ingest || receipt_names_provider(request) || request->endpoint.len <= 0)
		return false;
	r = registration_find(&in->registrations, request->endpoint);
	registration_leave(r);
	return r == NULL;
}

/* An application's word counts for a provider of its own only, never for one that has a scheme
 * here. */
static int32_t receipt_by_application(receipt *r, knocker_error *error)
{
	const registration *known = r->registration;
	bool named = receipt_names_provider(r->request);
	const scheme *builtin = NULL;
	int32_t rc = 0;

	if (known && known->scheme)
		return fail(error, KNOCKER_INVALID_ARGUMENT,
		            "endpoint '%.*s' is verified by '%.*s': a verdict is for external providers",
		            QUOTED(known->name), QUOTED(known->provider));
	if (r->request->verdict == KNOCKER_UNCHECKED)
		return fail(error, KNOCKER_INVALID_ARGUMENT,
		            "verdict 3 (unchecked) is for ingest: receive verifies");
	if (named && !bytes_starts(r->request->provider, "{"))
		rc = scheme_builtin(r->request->provider, &builtin, error);
	if (rc == 0 && named && (builtin || bytes_starts(r->request->provider, "{")))
		rc = fail(error, KNOCKER_INVALID_ARGUMENT,
		          "provider '%.*s' verifies by its scheme: a verdict is for external providers",
		          QUOTED(r->request->provider));
	if (rc < 0)
		return rc;
	r->by_application = true;
	r->provider = named ? r->request->provider : known ? known->provider : bytes_of("");
	return 0;
}

int32_t receipt_no_secret(const receipt *r, knocker_error *error)
{
	return fail(
		error, KNOCKER_INVALID_ARGUMENT,
		"endpoint '%.*s' is verified by '%.*s', for which this process has no secret: register it here, or give "
		"provider and secrets",
		QUOTED(r->request->endpoint), QUOTED(r->provider));
}

/* A disabled endpoint is said to be that before anything is verified, and the row says so later. */
static int32_t receipt_unjudged(receipt *r)
{
	r->unjudged = true;
	return 0;
}

/* The keys of the registration; of secrets and options that this call brings, each wins by
 * itself. */
static int32_t receipt_keys(receipt *r, bool registered, knocker_error *error)
{
	const knocker_request *q = r->request;
	const scheme_keys *base = registered ? r->registration->keys : NULL;
	int32_t rc;

	if (registered && !base && !receipt_has_json(q->secrets_json))
		return receipt_unjudged(r);
	r->keys = base;
	if (registered && !receipt_has_json(q->secrets_json) && !receipt_has_json(q->options_json))
		return 0;
	rc = scheme_keys_over(r->scheme, base,
	                      receipt_has_json(q->secrets_json) ? q->secrets_json : (knocker_bytes){0},
	                      receipt_has_json(q->options_json) ? q->options_json : (knocker_bytes){0},
	                      &r->own_keys, error);
	r->keys = r->own_keys;
	return rc;
}

/* The provider that the call names: a built-in, a scheme of its own, or that of the registration.
 */
static int32_t receipt_named(receipt *r, knocker_error *error)
{
	const knocker_request *q = r->request;
	const registration *known = r->registration;
	int32_t rc;

	r->provider = q->provider;
	if (bytes_starts(q->provider, "{")) {
		r->provider = known && known->own_scheme ? known->provider : bytes_of("custom");
		rc = scheme_compile(q->provider, &r->own_scheme, error);
		r->scheme = r->own_scheme;
	} else {
		rc = scheme_builtin(q->provider, &r->scheme, error);
	}
	if (rc == 0 && !r->scheme && known && bytes_equal(known->provider, q->provider))
		r->scheme = known->scheme;
	if (rc == 0 && !r->scheme)
		return fail(error, KNOCKER_INVALID_ARGUMENT, "no provider is named '%.*s'",
		            QUOTED(q->provider));
	return rc < 0 ? rc : receipt_keys(r, known && known->scheme == r->scheme, error);
}

/* Neither the call nor this process names a provider: the row alone does. */
static int32_t receipt_by_row(receipt *r, const endpoint_row *row, knocker_error *error)
{
	const knocker_request *q = r->request;
	int32_t rc;

	if (!row->provider.data)
		return 0;
	r->provider = row->provider;
	rc = scheme_builtin(row->provider, &r->scheme, error);
	if (rc < 0)
		return rc;
	if (!r->scheme || !receipt_has_json(q->secrets_json))
		return receipt_unjudged(r);
	return receipt_keys(r, false, error);
}

static int32_t receipt_choose_scheme(receipt *r, db *reader, knocker_error *error)
{
	const knocker_request *q = r->request;
	const registration *known = r->registration;
	endpoint_row row = {0};
	int32_t rc;

	if (q->verdict != KNOCKER_BY_SCHEME)
		return receipt_by_application(r, error);
	if (known && known->external)
		return fail(error, KNOCKER_INVALID_ARGUMENT,
		            "endpoint '%.*s' is verified by the application's own '%.*s': give its verdict",
		            QUOTED(known->name), QUOTED(known->provider));
	if (receipt_names_provider(q))
		return receipt_named(r, error);
	if (!known) {
		rc = endpoint_find(reader, q->endpoint, &r->memory, &row, error);
		return rc < 0 ? rc : receipt_by_row(r, &row, error);
	}
	if (!known->scheme && receipt_has_json(q->secrets_json) && !bytes_is(q->secrets_json, "[]"))
		return fail(error, KNOCKER_INVALID_ARGUMENT,
		            "secrets were given, but endpoint '%.*s' has no provider: name one",
		            QUOTED(known->name));
	r->scheme = known->scheme;
	r->provider = known->provider;
	return r->scheme ? receipt_keys(r, true, error) : 0;
}

/* ---- verdict and ids ---- */

/* The verdict of somebody else: the application's provider, or the trusted door. */
static int32_t receipt_take_verdict(receipt *r, knocker_error *error)
{
	const knocker_request *q = r->request;
	knocker_bytes why = q->verdict_error;

	r->verdict.valid = q->verdict != KNOCKER_INVALID;
	r->verdict.status = r->verdict.valid ? 204 : 401;
	r->verdict.has_signature = true;
	if (!r->verdict.valid)
		r->verdict.error = "rejected by the application";
	if (!r->verdict.valid && why.len > 0 && bytes_utf8(why) && bytes_find(why, '\0') < 0) {
		knocker_bytes copy;

		if (why.len > LIMIT_ERROR_TEXT)
			why.len = LIMIT_ERROR_TEXT;
		while (!bytes_utf8(why))
			why.len--;
		if (!arena_copy(&r->memory, why, &copy))
			return fail_memory(error);
		r->verdict.error = copy.data;
	}
	return 0;
}

static knocker_bytes receipt_either(knocker_bytes a, knocker_bytes b)
{
	return a.data ? a : b;
}

static int32_t receipt_key_fit(receipt *r, knocker_error *error)
{
	char *hashed;

	if (!r->dedupe_key.data || r->dedupe_key.len <= LIMIT_DEDUPE_KEY)
		return 0;
	hashed = arena_get(&r->memory, 80);
	if (!hashed)
		return fail_memory(error);
	memcpy(hashed, "sha256:", 7);
	if (!crypto_sha256_hex(r->dedupe_key, hashed + 7))
		return fail_memory(error);
	r->dedupe_key = bytes_of(hashed);
	return 0;
}

/* Explicit arguments win over an external provider's result, which wins over the scheme's. */
static int32_t receipt_ids(receipt *r, knocker_error *error)
{
	const knocker_request *q = r->request;
	const scheme_verdict *v = &r->verdict;
	knocker_bytes none = {0}, event_id = r->provider_event_id,
				  delivery_id = r->provider_delivery_id;
	knocker_bytes ids_type = q->ids_event_type, ids_event = q->ids_event_id,
				  ids_delivery = q->ids_delivery_id, told, read;
	int32_t rc = inbox_text_check("event_type", &ids_type, LIMIT_ID, error);

	if (rc == 0)
		rc = inbox_text_check("provider_event_id", &ids_event, LIMIT_ID, error);
	if (rc == 0)
		rc = inbox_text_check("provider_delivery_id", &ids_delivery, LIMIT_ID, error);
	if (rc < 0)
		return rc;
	r->event_type = receipt_either(r->event_type, receipt_either(ids_type, v->event_type));
	r->provider_event_id = receipt_either(event_id,
	                                      receipt_either(ids_event, v->provider_event_id));
	r->provider_delivery_id = receipt_either(delivery_id,
	                                         receipt_either(ids_delivery, v->provider_delivery_id));
	told = receipt_either(event_id, delivery_id);
	read = receipt_either(ids_event, receipt_either(ids_delivery, v->dedupe_key));
	r->dedupe_key = receipt_either(r->dedupe_key, receipt_either(told, read));
	if (!r->ingest && !v->valid)
		r->dedupe_key = none; /* what a forger claims names no event */
	return receipt_key_fit(r, error);
}

static int32_t receipt_judge(inbox *in, receipt *r, int64_t now_ms, knocker_error *error)
{
	const knocker_request *q = r->request;
	scheme_request request = {.method = r->method,
	                          .headers = q->headers,
	                          .query = q->query,
	                          .body = q->body};

	r->too_large = !r->ingest && in->max_body_bytes >= 0 && q->body.len > in->max_body_bytes;
	if (r->ingest || r->by_application)
		return receipt_take_verdict(r, error);
	if (r->unjudged)
		return 0; /* with a verdict of zeroes, which is not valid */
	r->verdict = (scheme_verdict){.valid = true, .status = 204, .has_signature = true};
	if (!r->scheme)
		return 0;
	if (r->too_large)
		request.body = (knocker_bytes){"", 0}; /* 413 is decided: only the headers are still read */
	return scheme_verify(r->scheme, r->keys, &request, now_ms / 1000, &r->memory, &r->verdict,
	                     error);
}

int32_t receipt_texts(receipt *r, const scheme *s, const scheme_keys *keys, knocker_error *error)
{
	int32_t rc;

	buffer_free(&r->headers);
	buffer_free(&r->query);
	buffer_init(&r->headers, LIMIT_HEADERS * 7);
	buffer_init(&r->query, LIMIT_QUERY * 7);
	rc = request_headers_json(s, keys, r->request->headers, &r->headers, error);
	if (rc == 0)
		rc = request_query_json(s, keys, r->request->query, &r->query, error);
	if (rc == 0 && (r->headers.failed || r->query.failed))
		rc = fail_memory(error);
	return rc;
}

/* A credential is one for ingest too, where nothing is compared. Without the registration's options
 * nobody knows which header is one, so none is kept. */
static int32_t receipt_redact(receipt *r, knocker_error *error)
{
	const registration *known = r->registration;

	if (r->unjudged) {
		buffer_init(&r->headers, 2);
		buffer_init(&r->query, 2);
		buffer_text(&r->headers, "{}");
		buffer_text(&r->query, "{}");
		return r->headers.failed || r->query.failed ? fail_memory(error) : 0;
	}
	if (r->scheme || !known)
		return receipt_texts(r, r->scheme, r->keys, error);
	return receipt_texts(r, known->scheme, known->keys, error);
}

int32_t receipt_prepare(inbox *in, db *reader, const knocker_request *request, bool ingest,
                        receipt *r, knocker_error *error)
{
	int32_t rc;

	memset(r, 0, sizeof *r);
	r->request = request;
	r->ingest = ingest;
	rc = receipt_check(r, error);
	if (rc == 0 && ingest && request->verdict == KNOCKER_BY_SCHEME)
		rc = fail(error, KNOCKER_INVALID_ARGUMENT,
		          "verdict is missing: ingest is told whether the request is valid");
	if (rc == 0)
		r->registration = registration_find(&in->registrations, request->endpoint);
	if (rc == 0 && !ingest)
		rc = receipt_choose_scheme(r, reader, error);
	if (rc == 0)
		rc = receipt_judge(in, r, inbox_now_ms(in), error);
	if (rc == 0)
		rc = receipt_ids(r, error);
	return rc < 0 ? rc : receipt_redact(r, error);
}

/* ---- once more ---- */

static int32_t receipt_check_again(const receipt *r, knocker_error *error)
{
	const registration *known = r->registration;

	if (known && known->external)
		return fail(error, KNOCKER_INVALID_ARGUMENT,
		            "endpoint '%.*s' is verified by the application's own '%.*s': only that can "
		            "verify its receipts again",
		            QUOTED(known->name), QUOTED(known->provider));
	return 0;
}

/* What was read then may have been read by a scheme that was wrong, so it names no event. */
static int32_t receipt_ids_again(receipt *r, knocker_error *error)
{
	const scheme_verdict *v = &r->verdict;

	r->event_type = receipt_either(v->event_type, r->event_type);
	r->provider_event_id = receipt_either(v->provider_event_id, r->provider_event_id);
	r->provider_delivery_id = receipt_either(v->provider_delivery_id, r->provider_delivery_id);
	r->dedupe_key = v->dedupe_key;
	return receipt_key_fit(r, error);
}

int32_t receipt_again(inbox *in, db *reader, const knocker_request *request, int64_t at_ms,
                      receipt *r, knocker_error *error)
{
	int32_t rc;

	memset(r, 0, sizeof *r);
	r->request = request;
	rc = receipt_check(r, error);
	if (rc == 0)
		r->registration = registration_find(&in->registrations, request->endpoint);
	if (rc == 0)
		rc = receipt_check_again(r, error);
	if (rc == 0)
		rc = receipt_choose_scheme(r, reader, error);
	if (rc == 0 && r->unjudged)
		rc = receipt_no_secret(r, error);
	if (rc == 0 && !r->scheme)
		rc = fail(error, KNOCKER_INVALID_ARGUMENT,
		          "endpoint '%.*s' has no provider: there is nothing to verify by",
		          QUOTED(request->endpoint));
	if (rc == 0)
		rc = receipt_judge(in, r, at_ms, error);
	return rc < 0 ? rc : receipt_ids_again(r, error);
}

int64_t receipt_bytes(const receipt *r)
{
	return r->request->body.len + r->request->headers.len;
}

void receipt_free(receipt *r)
{
	registration_leave(r->registration);
	scheme_keys_free(r->own_keys);
	scheme_free(r->own_scheme);
	buffer_free(&r->headers);
	buffer_free(&r->query);
	arena_free(&r->memory);
}

/* ---- results ---- */

int32_t receipt_row(const receipt *r, bool many, knocker_rows *rows, knocker_error *error)
{
	const knocker_value row[8] = {INT_OR_NULL(r->delivery_id),
	                              INT_OR_NULL(r->event_id),
	                              INT(r->duplicate),
	                              INT(r->status),
	                              TEXT(r->response_headers),
	                              BLOB(r->response_body),
	                              INT(r->rc),
	                              r->rc < 0 ? TEXT(bytes_of(r->error.text)) : NONE};
	const knocker_value failed[8] = {NONE, NONE, INT(0), NONE, NONE, NONE, row[6], row[7]};

	return rows_add(rows, many && r->rc < 0 ? failed : row, error);
}

/* ==== core/src/receipt_pure.c ==== */

/* Verifying and signing without a file: the same engine, for tests, command lines and emulators.
 * Keeps in memory what the last calls verified with; knows no endpoint. */
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>





#define PURE_KEPT 16                /* schemes with their keys */
#define PURE_KEPT_BYTES (16 * 1024) /* of the longest texts that one is kept under */

/* ---- a scheme and its keys ---- */

/* What a call verifies or signs with. Shared and immutable, freed with its last user. */
typedef struct {
	_Atomic int32_t users;
	knocker_bytes provider, secrets, options; /* as they were given; copies, behind the struct */
	size_t size;                              /* of the struct and the copies */
	const scheme *scheme;
	scheme *own;
	scheme_keys *keys;
} pure_kit;

static void pure_leave(pure_kit *kit)
{
	if (!kit || atomic_fetch_sub(&kit->users, 1) > 1)
		return;
	scheme_keys_free(kit->keys);
	scheme_free(kit->own);
	crypto_cleanse(kit, kit->size);
	memory_free(kit);
}

static pure_kit *pure_new(const knocker_request *q)
{
	const knocker_bytes from[3] = {q->provider, q->secrets_json, q->options_json};
	size_t size = sizeof(pure_kit), i;
	knocker_bytes *to[3];
	pure_kit *kit;
	char *at;

	for (i = 0; i < 3; i++)
		size += bytes_given(from[i]) ? (size_t)from[i].len : 0;
	kit = memory_get(size);
	if (!kit)
		return NULL;
	memset(kit, 0, sizeof *kit);
	atomic_init(&kit->users, 1);
	kit->size = size;
	to[0] = &kit->provider;
	to[1] = &kit->secrets;
	to[2] = &kit->options;
	for (i = 0, at = (char *)(kit + 1); i < 3; i++) {
		if (!bytes_given(from[i]))
			continue;
		memcpy(at, from[i].data, (size_t)from[i].len);
		*to[i] = (knocker_bytes){at, from[i].len};
		at += from[i].len;
	}
	return kit;
}

static int32_t pure_make(const knocker_request *q, bool to_sign, pure_kit **out,
                         knocker_error *error)
{
	pure_kit *kit = pure_new(q);
	int32_t rc;

	if (!kit)
		return fail_memory(error);
	if (bytes_starts(q->provider, "{")) {
		rc = scheme_compile(q->provider, &kit->own, error);
		kit->scheme = kit->own;
	} else {
		rc = scheme_builtin(q->provider, &kit->scheme, error);
	}
	if (rc == 0 && !kit->scheme)
		rc = fail(error, KNOCKER_INVALID_ARGUMENT, "no provider is named '%.*s'",
		          QUOTED(q->provider));
	if (rc == 0)
		rc = (to_sign ? scheme_keys_to_sign : scheme_keys_new)(kit->scheme, q->secrets_json,
		                                                       q->options_json, &kit->keys, error);
	if (rc == 0)
		*out = kit;
	else
		pure_leave(kit);
	return rc;
}

/* ---- what is kept ---- */

/* A caller without an endpoint gives scheme and secrets with each request, mostly the same ones,
 * and to make them ready costs more than an HMAC. So the last stay, under the very bytes that they
 * were made of. Nobody waits for the lock: who finds it taken makes its own, and so does a child
 * that was forked while it was. */
static pure_kit *pure_kept[PURE_KEPT];
static size_t pure_kept_next;
static pthread_mutex_t pure_kept_lock = PTHREAD_MUTEX_INITIALIZER;

static bool pure_same(knocker_bytes a, knocker_bytes b)
{
	return bytes_given(a) == bytes_given(b) && (!bytes_given(a) || bytes_equal(a, b));
}

/* With the lock. The secrets are compared in constant time: a near miss must not show. */
static pure_kit *pure_look(const knocker_request *q)
{
	size_t i;

	for (i = 0; i < PURE_KEPT; i++) {
		pure_kit *kit = pure_kept[i];

		if (kit && pure_same(kit->provider, q->provider) &&
		    pure_same(kit->options, q->options_json) &&
		    bytes_given(kit->secrets) == bytes_given(q->secrets_json) &&
		    (!bytes_given(kit->secrets) || crypto_equal(kit->secrets, q->secrets_json)))
			return kit;
	}
	return NULL;
}

/* Held by the caller, or NULL. */
static pure_kit *pure_find(const knocker_request *q)
{
	pure_kit *kit;

	if (pthread_mutex_trylock(&pure_kept_lock) != 0)
		return NULL;
	kit = pure_look(q);
	if (kit)
		atomic_fetch_add(&kit->users, 1);
	pthread_mutex_unlock(&pure_kept_lock);
	return kit;
}

static void pure_keep(const knocker_request *q, pure_kit *kit)
{
	pure_kit *old = NULL;

	if (kit->size > sizeof *kit + PURE_KEPT_BYTES || pthread_mutex_trylock(&pure_kept_lock) != 0)
		return;
	if (!pure_look(q)) {
		old = pure_kept[pure_kept_next];
		atomic_fetch_add(&kit->users, 1);
		pure_kept[pure_kept_next] = kit;
		pure_kept_next = (pure_kept_next + 1) % PURE_KEPT;
	}
	pthread_mutex_unlock(&pure_kept_lock);
	pure_leave(old);
}

/* ---- the calls ---- */

/* What signs is never kept: it may be a private key, and only a test signs. */
static int32_t pure_open(const knocker_request *q, bool to_sign, pure_kit **out,
                         knocker_error *error)
{
	int32_t rc;

	*out = NULL;
	if (q->provider.len <= 0)
		return fail(error, KNOCKER_INVALID_ARGUMENT,
		            "provider is missing: a built-in's name or a scheme's JSON");
	rc = request_headers_check(q->headers, error);
	if (rc < 0)
		return rc;
	if (!to_sign)
		*out = pure_find(q);
	if (*out)
		return 0;
	rc = pure_make(q, to_sign, out, error);
	if (rc == 0 && !to_sign)
		pure_keep(q, *out);
	return rc;
}

static scheme_request pure_request(const knocker_request *q)
{
	return (scheme_request){q->method, q->headers, q->query, q->body};
}

int32_t receipt_verify(const knocker_request *request, int64_t now_ms, knocker_rows **out,
                       knocker_error *error)
{
	scheme_verdict v = {0};
	arena a = {0};
	scheme_request asked = pure_request(request);
	pure_kit *kit;
	int32_t rc = pure_open(request, false, &kit, error);

	if (rc == 0)
		rc = scheme_verify(kit->scheme, kit->keys, &asked, now_ms / 1000, &a, &v, error);
	if (rc == 0)
		rc = rows_new(
			"valid, error, event_type, provider_event_id, provider_delivery_id, dedupe_key, response_status, "
			"response_headers, response_body",
			out, error);
	if (rc == 0)
		rc = rows_add(*out,
		              (const knocker_value[]){INT(v.valid), TEXT(bytes_of(v.error)),
		                                      TEXT(v.event_type), TEXT(v.provider_event_id),
		                                      TEXT(v.provider_delivery_id), TEXT(v.dedupe_key),
		                                      INT(v.status), TEXT(v.response_headers),
		                                      BLOB(v.response_body)},
		              error);
	pure_leave(kit);
	arena_free(&a);
	return rc;
}

int32_t receipt_sign(const knocker_request *request, int64_t now_ms, knocker_rows **out,
                     knocker_error *error)
{
	knocker_bytes name, value;
	size_t at = 0;
	buffer lines;
	scheme_request asked = pure_request(request);
	pure_kit *kit;
	int32_t rc = pure_open(request, true, &kit, error);

	buffer_init(&lines, LIMIT_HEADERS);
	if (rc == 0)
		rc = scheme_sign(kit->scheme, kit->keys, &asked, now_ms / 1000, &lines, error);
	if (rc == 0 && lines.failed)
		rc = fail_memory(error);
	if (rc == 0)
		rc = rows_new("name, value", out, error);
	while (rc == 0 && request_header_next(buffer_view(&lines), &at, &name, &value))
		rc = rows_add(*out, (const knocker_value[]){TEXT(name), TEXT(value)}, error);
	pure_leave(kit);
	buffer_free(&lines);
	return rc;
}

/* ==== core/src/receipt_store.c ==== */

/* Storing a receipt: a delivery, and for a new event its job; or an orphan within its endpoint's
 * budget. In one transaction that somebody else begins and ends. */
#include <stdio.h>
#include <string.h>





/* A last receipt further ahead than this came while the clock was wrong. */
#define RECEIPT_REDATE_MS 60000

/* What stands in the row beside what the request says. */
typedef struct {
	const endpoint_row *endpoint;
	int64_t id, event_id; /* event_id 0: an orphan */
	int64_t valid;        /* 1, 0, or -1 for null */
	const char *error;    /* NULL: none */
	bool keep_body;
} receipt_kind;

/* ---- dates ---- */

/* The first row from the future; dates do not decrease with ids. */
static int32_t receipt_future(db *d, int64_t now_ms, int64_t *low, int64_t *dated_ms,
                              knocker_error *error)
{
	int64_t high = 0, at;
	int32_t rc = db_int_of(d, STMT_id_last, NO_VALUES, 0, &high, error);

	for (*low = 1; rc == 0 && *low < high;) {
		int64_t middle = *low + (high - *low) / 2;

		rc = db_int_of(d, STMT_id_since, VALUES(INT(middle)), 0, &at, error);
		if (at > now_ms)
			high = middle;
		else
			*low = middle + 1;
	}
	return rc < 0 ? rc : db_int_of(d, STMT_id_since, VALUES(INT(*low)), 0, dated_ms, error);
}

/* Rows from the future are dated to now by the first receipt after the clock was mended, and
 * counted. What was made due by that clock, events, retries and leases, comes due by the mended
 * one. */
static int32_t receipt_redate(db *d, int64_t now_ms, int64_t last_ms, knocker_error *error)
{
	int64_t low, first_ms, changed = 0;
	int32_t rc = receipt_future(d, now_ms, &low, &first_ms, error);

	if (rc == 0)
		rc = db_run(d, STMT_delivery_redate, VALUES(INT(low), INT(now_ms)), &changed, error);
	if (rc == 0)
		rc = db_run(d, STMT_job_redate, VALUES(INT(first_ms), INT(now_ms), INT(last_ms - now_ms)),
		            NULL, error);
	if (rc == 0)
		rc = db_run(d, STMT_meta_add, VALUES(TEXT(bytes_of("redated")), INT(changed)), NULL, error);
	db_mark_due(d);
	return rc;
}

static int32_t receipt_date(inbox *in, db *d, inbox_known *known, knocker_error *error)
{
	int32_t rc = 0;

	if (known->now_ms == 0)
		known->now_ms = inbox_now_ms(in);
	if (!known->dates)
		rc = id_next(d, &known->next_id, &known->received_ms, error);
	if (rc == 0 && known->received_ms > known->now_ms + RECEIPT_REDATE_MS) {
		rc = receipt_redate(d, known->now_ms, known->received_ms, error);
		known->received_ms = known->now_ms;
	}
	if (known->received_ms < known->now_ms)
		known->received_ms = known->now_ms;
	known->dates = rc == 0;
	return rc;
}

/* ---- the endpoint's row ---- */

static void receipt_endpoint_keep(inbox_known *known, knocker_bytes name, const endpoint_row *row)
{
	const knocker_bytes from[3] = {name, row->provider, row->queue};
	knocker_bytes *to[3] = {&known->name, &known->endpoint.provider, &known->endpoint.queue};
	int i;

	known->endpoint = *row;
	known->row = true;
	for (i = 0; i < 3; i++) {
		*to[i] = (knocker_bytes){0};
		if (!from[i].data)
			continue;
		if (from[i].len > LIMIT_NAME)
			known->row = false;
		else
			*to[i] = (knocker_bytes){memcpy(known->texts[i], from[i].data, (size_t)from[i].len),
			                         from[i].len};
	}
}

static int32_t receipt_endpoint(db *d, receipt *r, inbox_known *known, endpoint_row *row,
                                knocker_error *error)
{
	int32_t rc;

	*row = known->endpoint;
	if (known->row && bytes_equal(known->name, r->request->endpoint))
		return 0;
	rc = endpoint_find(d, r->request->endpoint, &r->memory, row, error);
	if (rc == 0)
		receipt_endpoint_keep(known, r->request->endpoint, row);
	return rc;
}

/* ---- rows ---- */

static int32_t receipt_insert(db *d, const receipt *r, const receipt_kind *k,
                              const inbox_known *known, int64_t *inserted, knocker_error *error)
{
	const knocker_request *q = r->request;
	knocker_bytes body = q->body.data ? q->body : (knocker_bytes){"", 0};

	return db_run(d, STMT_delivery_insert,
	              VALUES(INT(k->id), INT(k->endpoint->id), INT_OR_NULL(k->event_id),
	                     INT(known->received_ms), k->valid < 0 ? NONE : INT(k->valid),
	                     TEXT(bytes_of(k->error)), TEXT(r->event_type), TEXT(r->provider_event_id),
	                     TEXT(r->provider_delivery_id), TEXT(r->dedupe_key), TEXT(r->method),
	                     TEXT(buffer_view(&r->query)), TEXT(buffer_view(&r->headers)),
	                     k->keep_body ? BLOB(body) : NONE),
	              inserted, error);
}

static int32_t receipt_event(inbox *in, db *d, receipt *r, receipt_kind *k, inbox_known *known,
                             knocker_error *error)
{
	const knocker_request *q = r->request;
	knocker_bytes queue = q->queue_name.len > 0     ? q->queue_name
	                      : k->endpoint->queue.data ? k->endpoint->queue
	                                                : bytes_of(in->queue_name);
	int64_t inserted = 0, first = 0;
	int32_t rc;

	k->event_id = k->id;
	rc = receipt_insert(d, r, k, known, &inserted, error);
	if (rc == 0 && inserted) {
		db_mark_due(d);
		r->event_id = k->id;
		return db_run(d, STMT_job_insert_event,
		              VALUES(INT(k->id), TEXT(queue), INT(k->endpoint->id), TEXT(r->event_type),
		                     INT(known->now_ms), INT_OR_NULL(q->max_attempts)),
		              NULL, error);
	}
	if (rc == 0)
		rc = db_int_of(d, STMT_delivery_of_key, VALUES(INT(k->endpoint->id), TEXT(r->dedupe_key)),
		               0, &first, error);
	k->event_id = r->event_id = first;
	r->duplicate = true;
	return rc < 0 ? rc : receipt_insert(d, r, k, known, &inserted, error);
}

/* ---- orphans ---- */

/* The oldest orphans of the endpoint give way until the new one fits. */
static int32_t receipt_make_room(inbox *in, db *d, const endpoint_row *e, int64_t bytes,
                                 knocker_error *error)
{
	int64_t rows = e->orphan_rows, total = e->orphan_bytes, dropped = 0;
	int32_t rc = 0;

	while (rc == 0 && rows > 0 && (rows >= in->orphan_rows || total + bytes > in->orphan_bytes)) {
		query *q;
		int64_t id = 0, size = 0;

		rc = db_query(d, STMT_orphan_oldest, VALUES(INT(e->id)), &q, error);
		if (rc == 0) {
			id = db_int(q, 0);
			size = db_int(q, 1);
		}
		db_done(q);
		if (rc == 0)
			rc = db_run(d, STMT_delivery_delete, VALUES(INT(id)), NULL, error);
		rows--;
		total -= size;
		dropped++;
	}
	if (rc < 0)
		return rc;
	return db_run(d, STMT_endpoint_orphans_add,
	              VALUES(INT(e->id), INT(rows + 1 - e->orphan_rows),
	                     INT(total + bytes - e->orphan_bytes), INT(dropped)),
	              NULL, error);
}

static int32_t receipt_orphan(inbox *in, db *d, receipt *r, receipt_kind *k, inbox_known *known,
                              knocker_error *error)
{
	int64_t bytes = (int64_t)r->headers.len, inserted;
	int32_t rc;

	k->event_id = 0;
	k->keep_body = k->keep_body && bytes + r->request->body.len <= in->orphan_bytes;
	if (k->keep_body)
		bytes += r->request->body.len;
	known->row = false; /* its counters change */
	rc = receipt_make_room(in, d, k->endpoint, bytes, error);
	return rc < 0 ? rc : receipt_insert(d, r, k, known, &inserted, error);
}

/* ---- the cases, in the order of the checks ---- */

int32_t receipt_check_provider(const receipt *r, const endpoint_row *row, knocker_error *error)
{
	const scheme *builtin = NULL;
	int32_t rc;

	if (r->ingest || !row->provider.data || bytes_equal(row->provider, r->provider))
		return 0;
	rc = scheme_builtin(row->provider, &builtin, error);
	if (rc < 0 || (builtin && builtin == r->scheme))
		return rc;
	if (!builtin && r->own_scheme && bytes_is(r->provider, "custom"))
		return 0; /* the application's own scheme, given with the call */
	return fail(error, KNOCKER_INVALID_ARGUMENT,
	            "endpoint '%.*s' is verified by '%.*s', but this request was put to '%.*s'",
	            QUOTED(r->request->endpoint), QUOTED(row->provider),
	            r->provider.len > 0 ? (int)r->provider.len : 4,
	            r->provider.len > 0 ? (const char *)r->provider.data : "none");
}

static bool receipt_keeps_body(const receipt *r)
{
	return !r->too_large && r->verdict.has_signature && !r->verdict.body_is_credential;
}

/* What a request is that makes no event; `status` is what to answer. */
static int32_t receipt_refuse(inbox *in, db *d, receipt *r, const endpoint_row *row,
                              inbox_known *known, knocker_error *error)
{
	receipt_kind k = {.endpoint = row,
	                  .id = known->next_id++,
	                  .valid = -1,
	                  .keep_body = receipt_keeps_body(r)};
	char large[120];

	r->delivery_id = k.id;
	if (!row->enabled) {
		k.error = "endpoint disabled";
		r->status = 404;
	} else if (r->too_large) {
		snprintf(large, sizeof large, "body of %lld bytes is over the limit of %lld",
		         (long long)r->request->body.len, (long long)in->max_body_bytes);
		k.error = large;
		r->status = 413;
	} else {
		k.error = r->verdict.handshake ? "handshake"
		          : r->verdict.error   ? r->verdict.error
		                               : "rejected";
		k.valid = r->verdict.handshake ? -1 : 0;
		r->status = r->verdict.status;
		r->response_headers = r->verdict.response_headers;
		r->response_body = r->verdict.response_body;
	}
	return receipt_orphan(in, d, r, &k, known, error);
}

/* What is ingested for an endpoint that this process has not registered is redacted by its row. */
static int32_t receipt_redact_by_row(receipt *r, const endpoint_row *row, knocker_error *error)
{
	const scheme *builtin = NULL;
	int32_t rc = 0;

	if (!r->ingest || r->registration || !row->provider.data)
		return 0;
	rc = scheme_builtin(row->provider, &builtin, error);
	return rc < 0 || !builtin ? rc : receipt_texts(r, builtin, NULL, error);
}

int32_t receipt_store(inbox *in, db *d, receipt *r, inbox_known *known, knocker_error *error)
{
	endpoint_row row;
	receipt_kind k = {.endpoint = &row, .keep_body = true};
	int32_t rc = receipt_endpoint(d, r, known, &row, error);

	if (rc == 0)
		rc = receipt_check_provider(r, &row, error);
	if (rc == 0 && r->unjudged && row.enabled)
		rc = receipt_no_secret(r, error);
	if (rc == 0)
		rc = receipt_redact_by_row(r, &row, error);
	if (rc == 0)
		rc = receipt_date(in, d, known, error);
	if (rc < 0)
		return rc;
	r->duplicate = false;
	r->event_id = 0;
	if ((!row.enabled && !r->ingest) || r->too_large || r->verdict.handshake || !r->verdict.valid)
		return receipt_refuse(in, d, r, &row, known, error);
	k.id = r->delivery_id = known->next_id++;
	k.valid = r->request->verdict == KNOCKER_UNCHECKED ||
	                  (!r->ingest && !r->scheme && !r->by_application)
	              ? -1
	              : 1;
	r->status = r->verdict.status;
	r->response_headers = r->verdict.response_headers;
	r->response_body = r->verdict.response_body;
	return receipt_event(in, d, r, &k, known, error);
}

/* ---- an orphan that passes after all ---- */

int32_t receipt_check_enabled(const receipt *r, const endpoint_row *row, knocker_error *error)
{
	if (row->enabled)
		return 0;
	return fail(error, KNOCKER_INVALID_ARGUMENT,
	            "endpoint '%.*s' is disabled: enable it before its receipts are verified again",
	            QUOTED(r->request->endpoint));
}

/* Its id stays, and so does the order of ids: it becomes an event where it stands, of the time when
 * it came. What was said to its sender stays in signature_error. */
static int32_t receipt_adopt_row(inbox *in, db *d, receipt *r, const endpoint_row *row, int64_t id,
                                 knocker_error *error)
{
	knocker_bytes queue = row->queue.data ? row->queue : bytes_of(in->queue_name);
	int64_t first = 0, adopted = 0;
	int32_t rc = 0;

	if (r->dedupe_key.data)
		rc = db_int_of(d, STMT_delivery_of_key, VALUES(INT(row->id), TEXT(r->dedupe_key)), 0,
		               &first, error);
	r->duplicate = first > 0;
	r->event_id = first > 0 ? first : id;
	if (rc == 0)
		rc = db_run(d, STMT_orphan_adopt,
		            VALUES(INT(id), INT(r->event_id), TEXT(r->event_type),
		                   TEXT(r->provider_event_id), TEXT(r->provider_delivery_id),
		                   TEXT(r->dedupe_key)),
		            &adopted, error);
	if (rc < 0 || adopted == 0)
		return rc < 0 ? rc : 1;
	if (r->duplicate)
		return 0;
	db_mark_due(d);
	return db_run(d, STMT_job_insert_event,
	              VALUES(INT(id), TEXT(queue), INT(row->id), TEXT(r->event_type),
	                     INT(inbox_now_ms(in)), NONE),
	              NULL, error);
}

int32_t receipt_adopt(inbox *in, db *d, receipt *r, int64_t id, int64_t bytes, knocker_error *error)
{
	endpoint_row row;
	int32_t rc = endpoint_find(d, r->request->endpoint, &r->memory, &row, error);

	if (rc == 0)
		rc = receipt_check_enabled(r, &row, error);
	if (rc == 0)
		rc = receipt_check_provider(r, &row, error);
	if (rc == 0)
		rc = receipt_adopt_row(in, d, r, &row, id, error);
	if (rc == 0)
		rc = db_run(d, STMT_endpoint_orphans_add, VALUES(INT(row.id), INT(-1), INT(-bytes), INT(0)),
		            NULL, error);
	return rc;
}

/* ==== core/src/retention.c ==== */

/* Pruning: what is finished and old goes, with what hangs on it, in one transaction, and every call
 * leaves an audit row. No id that was deleted is ever used again. */
#include <stdio.h>
#include <string.h>





#define PRUNE_ROUND 1000           /* ids read at a time */
#define PRUNE_CLOCKS_APART_S 86400 /* between processes; more is a clock that was wrong */

typedef struct {
	bool handled, ignored;
} prune_statuses;

static int32_t prune_statuses_read(knocker_bytes text, prune_statuses *s, knocker_error *error)
{
	json *list = NULL;
	const json *each;
	int32_t rc;

	*s = (prune_statuses){true, true};
	if (text.len == 0 || bytes_is(text, "null"))
		return 0;
	*s = (prune_statuses){false, false};
	rc = json_parse("statuses", text, &list, error);
	if (rc == 0 && json_kind(list) != JSON_ARRAY)
		rc = fail(error, KNOCKER_INVALID_ARGUMENT, "statuses is not a JSON array");
	for (each = json_first(list); rc == 0 && each; each = json_next(each)) {
		knocker_bytes status = json_text(each);

		s->handled = s->handled || bytes_is(status, "handled");
		s->ignored = s->ignored || bytes_is(status, "ignored");
		if (!bytes_is(status, "handled") && !bytes_is(status, "ignored"))
			rc = fail(error, KNOCKER_INVALID_ARGUMENT,
			          "status '%.*s' cannot be pruned: handled and ignored can", QUOTED(status));
	}
	if (rc == 0 && !s->handled && !s->ignored)
		rc = fail(error, KNOCKER_INVALID_ARGUMENT,
		          "statuses is empty: handled and ignored can be pruned");
	json_free(list);
	return rc;
}

static int32_t prune_check(const prune_options *o, knocker_error *error)
{
	int32_t rc = inbox_range_check("older_than", o->older_than_s, 0, INT64_MAX / 1000, error);

	return rc == 0 ? inbox_range_check("limit", o->limit, 0, INT64_MAX, error) : rc;
}

static int32_t prune_count(db *d, enum statement s, int64_t id, int64_t *sum, knocker_error *error)
{
	int64_t n = 0;
	int32_t rc = db_int_of(d, s, VALUES(INT(id)), 0, &n, error);

	*sum += n;
	return rc;
}

static int32_t prune_delete(db *d, enum statement s, int64_t id, int64_t *sum, knocker_error *error)
{
	int64_t n = 0;
	int32_t rc = db_run(d, s, VALUES(INT(id)), &n, error);

	*sum += n;
	return rc;
}

/* One event with its deliveries and attempts. */
static int32_t prune_event(db *d, int64_t id, bool dry_run, prune_counts *c, knocker_error *error)
{
	int64_t jobs = 0;
	int32_t rc;

	if (dry_run) {
		rc = prune_count(d, STMT_delivery_count, id, &c->deliveries, error);
		return rc == 0 ? prune_count(d, STMT_attempt_count, id, &c->attempts, error) : rc;
	}
	rc = prune_delete(d, STMT_attempt_delete, id, &c->attempts, error);
	if (rc == 0)
		rc = prune_delete(d, STMT_delivery_delete_repeats, id, &c->deliveries, error);
	if (rc == 0)
		rc = prune_delete(d, STMT_delivery_delete, id, &c->deliveries, error);
	if (rc == 0)
		rc = prune_delete(d, STMT_job_delete, id, &jobs, error);
	return rc;
}

typedef struct {
	int64_t id, endpoint_id, bytes;
	bool live;
} prune_victim;

static int32_t prune_read(query *q, int32_t rc, bool orphans, prune_victim *out, int32_t *count,
                          knocker_error *error)
{
	for (*count = 0; rc == 0; rc = db_next(q, error))
		out[(*count)++] = (prune_victim){.id = db_int(q, 0),
		                                 .endpoint_id = orphans ? db_int(q, 1) : 0,
		                                 .bytes = orphans ? db_int(q, 2) : 0,
		                                 .live = !orphans && db_int(q, 1) != 0};
	db_done(q);
	return rc < 0 ? rc : 0;
}

/* The next victims above `after`, oldest first. */
static int32_t prune_next(db *d, const prune_statuses *s, int64_t after, int64_t before_id,
                          int64_t limit, prune_victim *out, int32_t *count, knocker_error *error)
{
	query *q;
	int32_t rc;

	if (s) {
		rc = db_query(d, STMT_event_prune_ids,
		              VALUES(INT(before_id), INT(s->handled), INT(s->ignored), INT(limit),
		                     INT(after)),
		              &q, error);
		return prune_read(q, rc, false, out, count, error);
	}
	rc = db_query(d, STMT_orphan_prune_ids, VALUES(INT(before_id), INT(limit), INT(after)), &q,
	              error);
	return prune_read(q, rc, true, out, count, error);
}

static int32_t prune_orphan(db *d, const prune_victim *v, bool dry_run, prune_counts *c,
                            knocker_error *error)
{
	int32_t rc = 0;

	if (dry_run) {
		c->deliveries++;
		return 0;
	}
	rc = prune_delete(d, STMT_delivery_delete, v->id, &c->deliveries, error);
	if (rc == 0)
		rc = db_run(d, STMT_endpoint_orphans_add,
		            VALUES(INT(v->endpoint_id), INT(-1), INT(-v->bytes), INT(0)), NULL, error);
	return rc;
}

/* Walks the victims, oldest first, in rounds. `s` NULL: orphans. */
static int32_t prune_walk(db *d, const prune_options *o, const prune_statuses *s, prune_counts *c,
                          knocker_error *error)
{
	prune_victim *victims = memory_get(PRUNE_ROUND * sizeof *victims);
	int64_t before_id = 0, last = 0, highest = 0, left = o->limit ? o->limit : INT64_MAX;
	int32_t count = 0, i,
			rc = victims ? look_since(d, o->older_than_s * 1000, &before_id, error)
	                     : fail_memory(error);

	if (rc == 0)
		rc = db_int_of(d, STMT_id_last, NO_VALUES, 0, &highest, error);
	do {
		count = 0;
		if (rc == 0)
			rc = prune_next(d, s, last, before_id, left < PRUNE_ROUND ? left : PRUNE_ROUND, victims,
			                &count, error);
		for (i = 0; rc == 0 && i < count; i++) {
			c->events += s != NULL;
			c->live_jobs += victims[i].live;
			rc = s ? prune_event(d, victims[i].id, o->dry_run, c, error)
			       : prune_orphan(d, &victims[i], o->dry_run, c, error);
			last = victims[i].id;
		}
		left -= count;
	} while (rc == 0 && count == PRUNE_ROUND && left > 0);
	memory_free(victims);
	if (rc == 0 && last > 0 && !o->dry_run)
		rc = db_run(d, STMT_id_floor_raise, VALUES(INT(highest)), NULL, error);
	return rc;
}

static int32_t prune_audit(inbox *in, db *d, const char *kind, const prune_options *o,
                           const prune_counts *c, knocker_error *error)
{
	knocker_bytes queue = o->queue_name.data ? o->queue_name : bytes_of(in->queue_name);
	buffer summary;
	int32_t rc;

	buffer_init(&summary, LIMIT_JSON * 2);
	buffer_text(&summary, "{\"older_than\":");
	buffer_int(&summary, o->older_than_s);
	buffer_text(&summary, ",\"limit\":");
	buffer_int(&summary, o->limit);
	if (o->statuses_json.len > 0) {
		buffer_text(&summary, ",\"statuses\":");
		buffer_bytes(&summary, o->statuses_json);
	}
	buffer_text(&summary, "}");
	rc = summary.failed ? fail_memory(error)
	                    : db_run(d, STMT_audit_insert,
	                             VALUES(TEXT(bytes_of(kind)), TEXT(queue), INT(inbox_now_ms(in)),
	                                    INT(c->events), INT(c->deliveries), INT(c->attempts),
	                                    INT(c->live_jobs), TEXT(buffer_view(&summary))),
	                             NULL, error);
	buffer_free(&summary);
	return rc;
}

static int32_t prune_run(inbox *in, db *d, const char *kind, const prune_options *o,
                         const prune_statuses *s, prune_counts *c, knocker_error *error)
{
	int32_t rc = prune_check(o, error);

	memset(c, 0, sizeof *c);
	if (rc == 0)
		rc = prune_walk(d, o, s, c, error);
	if (rc == 0 && !o->dry_run)
		rc = prune_audit(in, d, kind, o, c, error);
	return rc;
}

int32_t prune_events(inbox *in, db *d, const prune_options *o, prune_counts *counts,
                     knocker_error *error)
{
	prune_statuses s;
	int32_t rc = prune_statuses_read(o->statuses_json, &s, error);

	return rc < 0 ? rc : prune_run(in, d, "prune_events", o, &s, counts, error);
}

int32_t prune_orphans(inbox *in, db *d, const prune_options *o, prune_counts *counts,
                      knocker_error *error)
{
	return prune_run(in, d, "prune_orphan_deliveries", o, NULL, counts, error);
}

/* ---- the scheduled pass ---- */

static int32_t prune_interval_check(const knocker_retention *r, knocker_error *error)
{
	prune_statuses s;
	int32_t rc = inbox_range_check("interval_s", r->interval_s, 1, INT32_MAX, error);

	if (rc == 0 && r->event_older_than_s == 0 && r->orphans_older_than_s == 0)
		rc = fail(error, KNOCKER_INVALID_ARGUMENT,
		          "the policy prunes nothing: give the age of events, or of orphan deliveries");
	if (rc == 0)
		rc = prune_statuses_read(r->statuses_json, &s, error);
	if (rc == 0)
		rc = inbox_range_check("event_older_than_s", r->event_older_than_s, 0, INT32_MAX, error);
	if (rc == 0)
		rc = inbox_range_check("event_limit", r->event_limit, 0, INT64_MAX, error);
	if (rc == 0)
		rc = inbox_range_check("orphans_older_than_s", r->orphans_older_than_s, 0, INT32_MAX,
		                       error);
	return rc == 0 ? inbox_range_check("orphans_limit", r->orphans_limit, 0, INT64_MAX, error) : rc;
}

/* Whoever comes first in an interval notes its beginning; the others see that and are done. An
 * hourly policy and a daily one do not take each other's turn, and a beginning that lies further
 * ahead than another clock could be was noted by a clock that has been mended since. */
static int32_t prune_interval_take(db *d, int64_t begin_s, int64_t interval_s, knocker_error *error)
{
	char name[40];
	knocker_bytes key;
	int64_t last_s;
	int32_t rc;

	snprintf(name, sizeof name, "retention every %lld s", (long long)interval_s);
	key = bytes_of(name);
	rc = db_int_of(d, STMT_meta_get, VALUES(TEXT(key)), -1, &last_s, error);
	if (rc < 0)
		return rc;
	if (last_s >= begin_s && last_s <= begin_s + interval_s + PRUNE_CLOCKS_APART_S)
		return 1;
	return db_run(d, STMT_meta_set, VALUES(TEXT(key), INT(begin_s)), NULL, error);
}

int32_t prune_interval(inbox *in, db *d, const knocker_retention *r, prune_counts *events,
                       prune_counts *orphans, int64_t *next_s, knocker_error *error)
{
	int64_t now_s = inbox_now_ms(in) / 1000, begin_s;
	prune_options of_events = {.statuses_json = r->statuses_json,
	                           .limit = r->event_limit,
	                           .older_than_s = now_s - r->event_older_than_s};
	prune_options of_orphans = {.limit = r->orphans_limit,
	                            .older_than_s = now_s - r->orphans_older_than_s};
	int32_t rc = prune_interval_check(r, error);

	*events = *orphans = (prune_counts){0};
	if (rc < 0)
		return rc;
	begin_s = now_s - now_s % r->interval_s;
	*next_s = begin_s + r->interval_s;
	rc = prune_interval_take(d, begin_s, r->interval_s, error);
	if (rc == 0 && r->event_older_than_s > 0)
		rc = prune_events(in, d, &of_events, events, error);
	if (rc == 0 && r->orphans_older_than_s > 0)
		rc = prune_orphans(in, d, &of_orphans, orphans, error);
	return rc;
}

/* ==== core/src/reverify.c ==== */

/* Stored orphans verified again after a fix: which of them can be, what each comes to, and what is
 * said of it. How one becomes an event the receipt knows. */
/* Stored orphans verified again after a fix, a round at a time: read and verified without the
 * writer, then adopted in a transaction that somebody else begins and ends. */
#ifndef KNOCKER_REVERIFY_H
#define KNOCKER_REVERIFY_H



#define REVERIFY_ROUND 64 /* orphans at most, and LIMIT_BATCH_BYTES */

typedef struct {
	knocker_bytes endpoint;
	knocker_bytes provider, secrets_json, options_json; /* absent: the registration's */
	int64_t since_s, after_id;
	int64_t limit; /* 0: 100 */
	bool dry_run;
} reverify_asked;

typedef struct {
	int64_t id, received_ms, bytes;
	const char *outcome;
	knocker_bytes signature_error; /* as stored */
	knocker_bytes error;           /* why it is no event today either */
	knocker_bytes stored_headers, stored_query;
	knocker_request request;
	receipt receipt;
	arena memory;
} reverify_orphan;

typedef struct {
	knocker_bytes key;
	int64_t event_id;
} reverify_seen;

typedef struct {
	reverify_asked asked;
	int64_t endpoint_id, after_id, left;
	bool over;
	reverify_orphan *round;
	int32_t count, passed; /* of the round */
	/* What a dry run would have made: it finds no key in the file. */
	reverify_seen *seen;
	int32_t seen_count;
	arena memory;
} reverify;

/* Checks what was asked, and that somebody here can verify. */
KNOCKER_PRIVATE int32_t reverify_begin(inbox *in, db *reader, const reverify_asked *asked, reverify *v,
                       knocker_error *error);
/* The next round; then `over` says whether it is the last. */
KNOCKER_PRIVATE int32_t reverify_read(inbox *in, db *reader, reverify *v, knocker_error *error);
/* Where `passed` is not 0, in a transaction. */
KNOCKER_PRIVATE int32_t reverify_store(inbox *in, db *d, reverify *v, knocker_error *error);
/* A row an orphan; one that is none any more, for somebody else was faster, has none. Ends the
 * round. */
KNOCKER_PRIVATE int32_t reverify_tell(reverify *v, knocker_rows *rows, knocker_error *error);
KNOCKER_PRIVATE void reverify_end(reverify *v); /* also after a failure of reverify_begin */

#define REVERIFY_COLUMNS "delivery_id, outcome, event_id, signature_error, error"

#endif


#include <string.h>





#define REVERIFY_EVENT "event"
#define REVERIFY_REPEAT "repeat"
#define REVERIFY_REJECTED "rejected"
#define REVERIFY_REDACTED "redacted"
#define REVERIFY_NO_BODY "no_body"

/* ---- what is asked ---- */

static int32_t reverify_check(reverify *v, knocker_error *error)
{
	const reverify_asked *a = &v->asked;
	int32_t rc = inbox_name_check("endpoint", a->endpoint, error);

	if (rc == 0)
		rc = inbox_range_check("since", a->since_s, 0, INT64_MAX / 1000, error);
	if (rc == 0)
		rc = inbox_range_check("after_id", a->after_id, 0, INT64_MAX, error);
	if (rc == 0)
		rc = inbox_range_check("limit", a->limit, 0, LIMIT_LIST, error);
	v->left = a->limit ? a->limit : 100;
	return rc;
}

static knocker_request reverify_request(const reverify *v)
{
	return (knocker_request){.size = sizeof(knocker_request),
	                         .endpoint = v->asked.endpoint,
	                         .provider = v->asked.provider,
	                         .secrets_json = v->asked.secrets_json,
	                         .options_json = v->asked.options_json};
}

/* An empty request is refused as any other would be, where nobody can verify it. */
static int32_t reverify_try(inbox *in, db *reader, const reverify *v, const endpoint_row *row,
                            knocker_error *error)
{
	knocker_request empty = reverify_request(v);
	receipt r;
	int32_t rc = receipt_again(in, reader, &empty, inbox_now_ms(in), &r, error);

	if (rc == 0)
		rc = receipt_check_enabled(&r, row, error);
	if (rc == 0)
		rc = receipt_check_provider(&r, row, error);
	receipt_free(&r);
	return rc;
}

int32_t reverify_begin(inbox *in, db *reader, const reverify_asked *asked, reverify *v,
                       knocker_error *error)
{
	endpoint_row row = {0};
	int64_t since_id = 0;
	int32_t rc;

	memset(v, 0, sizeof *v);
	v->asked = *asked;
	rc = reverify_check(v, error);
	if (rc == 0)
		rc = endpoint_find(reader, asked->endpoint, &v->memory, &row, error);
	if (rc == 0)
		rc = reverify_try(in, reader, v, &row, error);
	if (rc == 0)
		rc = look_since(reader, asked->since_s * 1000, &since_id, error);
	if (rc < 0)
		return rc;
	v->endpoint_id = row.id;
	v->after_id = asked->after_id >= since_id ? asked->after_id : since_id - 1;
	v->round = arena_get(&v->memory, REVERIFY_ROUND * sizeof *v->round);
	v->seen = arena_get(&v->memory, (size_t)v->left * sizeof *v->seen);
	return v->round && v->seen ? 0 : fail_memory(error);
}

/* ---- one orphan ---- */

static int32_t reverify_copy(reverify_orphan *o, query *q, knocker_error *error)
{
	knocker_bytes *to[] = {&o->signature_error,
	                       &o->request.event_type,
	                       &o->request.provider_event_id,
	                       &o->request.provider_delivery_id,
	                       &o->request.method,
	                       &o->stored_query,
	                       &o->stored_headers,
	                       &o->request.body};
	int32_t i;

	o->id = db_int(q, 0);
	o->received_ms = db_int(q, 1);
	o->bytes = db_int(q, 10);
	for (i = 0; i < (int32_t)(sizeof to / sizeof *to); i++)
		if (!arena_copy(&o->memory, db_text(q, i + 2), to[i]))
			return fail_memory(error);
	return 0;
}

/* The next orphan above the last; 1: there is none. */
static int32_t reverify_next(db *reader, reverify *v, reverify_orphan *o, knocker_error *error)
{
	query *q;
	int32_t rc = db_query(reader, STMT_orphan_next, VALUES(INT(v->endpoint_id), INT(v->after_id)),
	                      &q, error);

	memset(o, 0, sizeof *o);
	o->request = reverify_request(v);
	if (rc == 0)
		rc = reverify_copy(o, q, error);
	db_done(q);
	if (rc == 0)
		v->after_id = o->id;
	return rc;
}

static void reverify_rejected(reverify_orphan *o, const char *why)
{
	o->outcome = REVERIFY_REJECTED;
	arena_copy(&o->memory, bytes_of(why), &o->error);
}

/* One form of the query. */
static int32_t reverify_judge(inbox *in, db *reader, reverify_orphan *o, knocker_error *error)
{
	receipt *r = &o->receipt;
	scheme_request stored = {.headers = o->request.headers, .query = o->request.query};
	int32_t rc, redacted;

	receipt_free(r);
	rc = receipt_again(in, reader, &o->request, o->received_ms, r, error);
	if (rc < 0)
		return rc;
	redacted = scheme_was_redacted(r->scheme, r->keys, &stored);
	if (redacted < 0)
		return fail_memory(error);
	if (redacted) {
		o->outcome = REVERIFY_REDACTED;
		o->error = bytes_of("its credential was not stored, so nobody can compare it again");
	} else if (r->too_large) {
		reverify_rejected(o, "its body is over this process's max_body_bytes");
	} else if (r->verdict.handshake || !r->verdict.valid) {
		reverify_rejected(o, r->verdict.handshake ? "handshake"
		                     : r->verdict.error   ? r->verdict.error
		                                          : "rejected");
	} else {
		o->outcome = REVERIFY_EVENT;
		o->error = (knocker_bytes){0};
	}
	return 0;
}

/* What cannot be read back is not verified; any other failure is one of the call. */
static int32_t reverify_unread(reverify_orphan *o, int32_t rc, const knocker_error *unread,
                               knocker_error *error)
{
	if (rc == KNOCKER_INVALID_ARGUMENT) {
		reverify_rejected(o, unread->text);
		return 1;
	}
	if (rc < 0 && error)
		*error = *unread;
	return rc;
}

/* Tries each form of the query until one passes; most requests have none. */
static int32_t reverify_forms(inbox *in, db *reader, reverify_orphan *o, knocker_error *error)
{
	knocker_error unread = {0};
	int32_t form, rc = 0;

	for (form = 0; rc == 0 && form < REQUEST_QUERY_FORMS; form++) {
		knocker_bytes before = o->request.query;
		buffer raw;

		buffer_init(&raw, LIMIT_QUERY * 3);
		rc = request_query_restore(o->stored_query, form, &raw, &unread);
		if (rc == 0 && raw.len > LIMIT_QUERY)
			rc = fail(&unread, KNOCKER_INVALID_ARGUMENT, "the stored query is too long");
		rc = reverify_unread(o, rc, &unread, error);
		if (rc == 0 && !arena_copy(&o->memory, buffer_view(&raw), &o->request.query))
			rc = fail_memory(error);
		buffer_free(&raw);
		if (rc != 0 || (form > 0 && bytes_equal(before, o->request.query)))
			continue;
		rc = reverify_judge(in, reader, o, error);
		if (rc == 0 && strcmp(o->outcome, REVERIFY_REJECTED) != 0)
			break;
	}
	return rc < 0 ? rc : 0;
}

static int32_t reverify_verify(inbox *in, db *reader, reverify_orphan *o, knocker_error *error)
{
	knocker_error unread = {0};
	buffer lines;
	int32_t rc;

	if (!o->request.body.data) {
		o->outcome = REVERIFY_NO_BODY;
		o->error = bytes_of("its body was not kept");
		return 0;
	}
	buffer_init(&lines, LIMIT_HEADERS * 7);
	rc = request_headers_restore(o->stored_headers, &lines, &unread);
	rc = reverify_unread(o, rc, &unread, error);
	if (rc == 0 && !arena_copy(&o->memory, buffer_view(&lines), &o->request.headers))
		rc = fail_memory(error);
	buffer_free(&lines);
	return rc == 1 ? 0 : rc < 0 ? rc : reverify_forms(in, reader, o, error);
}

/* ---- a round ---- */

/* A dry run looks where the real one would, and remembers what it would have stored. */
static int32_t reverify_foresee(db *reader, reverify *v, reverify_orphan *o, knocker_error *error)
{
	receipt *r = &o->receipt;
	int64_t first = 0;
	int32_t i, rc = 0;

	if (r->dedupe_key.data)
		rc = db_int_of(reader, STMT_delivery_of_key,
		               VALUES(INT(v->endpoint_id), TEXT(r->dedupe_key)), 0, &first, error);
	for (i = 0; first == 0 && i < v->seen_count; i++)
		if (bytes_equal(v->seen[i].key, r->dedupe_key))
			first = v->seen[i].event_id;
	r->event_id = first > 0 ? first : o->id;
	r->duplicate = first > 0;
	if (rc < 0 || r->duplicate || !r->dedupe_key.data)
		return rc;
	v->seen[v->seen_count].event_id = o->id;
	return arena_copy(&v->memory, r->dedupe_key, &v->seen[v->seen_count++].key)
	           ? 0
	           : fail_memory(error);
}

static int32_t reverify_one(inbox *in, db *reader, reverify *v, reverify_orphan *o,
                            knocker_error *error)
{
	int32_t rc = reverify_verify(in, reader, o, error);

	if (rc < 0 || strcmp(o->outcome, REVERIFY_EVENT) != 0)
		return rc;
	v->passed++;
	return v->asked.dry_run ? reverify_foresee(reader, v, o, error) : 0;
}

int32_t reverify_read(inbox *in, db *reader, reverify *v, knocker_error *error)
{
	int64_t bytes = 0;
	int32_t rc = 0;

	while (rc == 0 && v->left > 0 && v->count < REVERIFY_ROUND && bytes < LIMIT_BATCH_BYTES) {
		reverify_orphan *o = &v->round[v->count];

		rc = reverify_next(reader, v, o, error);
		v->count++; /* also a failed one is freed */
		if (rc == 0)
			rc = reverify_one(in, reader, v, o, error);
		bytes += o->bytes;
		v->left--;
	}
	v->over = rc != 0 || v->left == 0;
	return rc < 0 ? rc : 0;
}

int32_t reverify_store(inbox *in, db *d, reverify *v, knocker_error *error)
{
	int32_t i, rc = 0;

	for (i = 0; rc == 0 && i < v->count; i++) {
		reverify_orphan *o = &v->round[i];

		if (!o->outcome || strcmp(o->outcome, REVERIFY_EVENT) != 0)
			continue;
		rc = receipt_adopt(in, d, &o->receipt, o->id, o->bytes, error);
		if (rc == 1) {
			o->outcome = NULL;
			rc = 0;
		}
	}
	return rc;
}

static void reverify_forget(reverify *v)
{
	int32_t i;

	for (i = 0; i < v->count; i++) {
		receipt_free(&v->round[i].receipt);
		arena_free(&v->round[i].memory);
	}
	v->count = v->passed = 0;
}

int32_t reverify_tell(reverify *v, knocker_rows *rows, knocker_error *error)
{
	int32_t i, rc = 0;

	for (i = 0; rc == 0 && i < v->count; i++) {
		const reverify_orphan *o = &v->round[i];
		const receipt *r = &o->receipt;

		if (o->outcome)
			rc = rows_add(rows,
			              (const knocker_value[]){INT(o->id),
			                                      TEXT(bytes_of(r->duplicate ? REVERIFY_REPEAT
			                                                                 : o->outcome)),
			                                      INT_OR_NULL(r->event_id),
			                                      TEXT(o->signature_error), TEXT(o->error)},
			              error);
	}
	reverify_forget(v);
	return rc;
}

void reverify_end(reverify *v)
{
	reverify_forget(v);
	arena_free(&v->memory);
}

/* ==== core/src/schema.c ==== */

/* The file's schema: numbered migrations, applied once each. Knows nothing of what the tables mean.
 */
/* Generated by tools/embed.py: core/sql/schema, migrations in order. */
#ifndef KNOCKER_SCHEMA_H
#define KNOCKER_SCHEMA_H

#include <stdint.h>

enum { SCHEMA_VERSION = 1 };

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Woverlength-strings"
static const struct {
	int32_t version;
	const char *text;
} schema_migrations[] = {
	{1,
		"create table _knocker_meta (\n"
		"\tkey   text primary key not null,\n"
		"\tvalue\n"
		") without rowid;\n"
		"create table _knocker_endpoint (\n"
		"\tid              integer primary key,\n"
		"\tname            text not null unique check (typeof(name) = 'text' and length(name) between 1 and 20"
		"0),\n"
		"\tpath            text unique check (path is null or typeof(path) = 'text'),\n"
		"\tprovider        text check (provider is null or length(provider) between 1 and 200),\n"
		"\tenabled         integer not null check (enabled between 0 and 1),\n"
		"\tpaused          integer not null default 0 check (paused between 0 and 1),\n"
		"\tqueue           text,\n"
		"\tmax_attempts    integer,\n"
		"\tbackoff_base_ms integer,\n"
		"\tbackoff_cap_ms  integer,\n"
		"\tcreated_ms      integer not null check (typeof(created_ms) = 'integer'),\n"
		"\torphan_rows     integer not null default 0 check (orphan_rows >= 0),\n"
		"\torphan_bytes    integer not null default 0 check (orphan_bytes >= 0),\n"
		"\torphans_dropped integer not null default 0\n"
		");\n"
		"create index _knocker_endpoint_paused on _knocker_endpoint (id) where paused = 1;\n"
		"create table _knocker_delivery (\n"
		"\tid                   integer primary key,\n"
		"\tendpoint_id          integer not null,\n"
		"\tevent_id             integer,\n"
		"\treceived_ms          integer not null check (typeof(received_ms) = 'integer'),\n"
		"\tsignature_valid      integer check (signature_valid between 0 and 1),\n"
		"\tsignature_error      text,\n"
		"\tevent_type           text,\n"
		"\tprovider_event_id    text,\n"
		"\tprovider_delivery_id text,\n"
		"\tdedupe_key           text check (length(dedupe_key) between 1 and 200),\n"
		"\tmethod               text not null,\n"
		"\tquery                text,\n"
		"\theaders              text not null,\n"
		"\tbody                 blob check (body is null or typeof(body) = 'blob'),\n"
		"\tcheck (event_id is not null or signature_error is not null)\n"
		");\n"
		"create unique index _knocker_delivery_dedupe on _knocker_delivery (endpoint_id, dedupe_key)\n"
		"\twhere event_id = id and dedupe_key is not null;\n"
		"create index _knocker_delivery_orphan on _knocker_delivery (endpoint_id, id) where event_id is null;\n"
		"create index _knocker_delivery_unchecked on _knocker_delivery (endpoint_id, id) where event_id = id "
		"and signature_valid is null;\n"
		"create index _knocker_delivery_repeat on _knocker_delivery (endpoint_id, id) where event_id <> id;\n"
		"create index _knocker_delivery_again on _knocker_delivery (event_id, id) where event_id <> id;\n"
		"create table _knocker_job (\n"
		"\tid            integer primary key,\n"
		"\tqueue         text not null,\n"
		"\ttopic         integer not null,\n"
		"\tkind          text,\n"
		"\tdue_ms        integer check (due_ms is null or typeof(due_ms) = 'integer'),\n"
		"\tclaims        integer not null default 0 check (claims >= 0),\n"
		"\tworker        text check (worker is null or due_ms is not null),\n"
		"\talone         integer not null default 0 check (alone between 0 and 1),\n"
		"\texpired       integer not null default 0 check (expired >= 0),\n"
		"\tstatus        text not null default 'received' check (status = 'received' or status = 'handled' or "
		"status = 'failed'\n"
		"\t              or status = 'dead' or status = 'ignored'),\n"
		"\tattempt_count integer not null default 0 check (attempt_count >= 0),\n"
		"\tmax_attempts  integer,\n"
		"\tsettled_ms    integer,\n"
		"\tlast_error    text,\n"
		"\tdelivery_id   integer,\n"
		"\tpayload       text,\n"
		"\texpires_ms    integer\n"
		");\n"
		"create index _knocker_job_due on _knocker_job (queue, topic, due_ms) where due_ms is not null;\n"
		"create index _knocker_job_rare on _knocker_job (status, id) where status = 'failed' or status = 'dea"
		"d' or status = 'ignored';\n"
		"create table _knocker_attempt (\n"
		"\tjob_id       integer not null,\n"
		"\tclaim        integer not null,\n"
		"\tattempted_ms integer not null,\n"
		"\toutcome      text not null check (outcome = 'handled' or outcome = 'failed' or outcome = 'dead' or "
		"outcome = 'ignored'),\n"
		"\tduration_ms  integer,\n"
		"\terror        text,\n"
		"\tprimary key (job_id, claim)\n"
		") without rowid;\n"
		"create table _knocker_prune_audit (\n"
		"\tid           integer primary key,\n"
		"\tkind         text not null check (kind = 'prune_events' or kind = 'prune_orphan_deliveries'),\n"
		"\tqueue_name   text,\n"
		"\texecuted_ms  integer not null,\n"
		"\tevents       integer not null,\n"
		"\tdeliveries   integer not null,\n"
		"\tattempts     integer not null,\n"
		"\tlive_jobs    integer not null,\n"
		"\tsummary_json text not null\n"
		");\n"
		"create view knocker_endpoints as\n"
		"\tselect id, name, path, provider, enabled, paused, queue as queue_name, created_ms / 1000 as created"
		"_at\n"
		"\tfrom _knocker_endpoint;\n"
		"create view knocker_events as\n"
		"\tselect j.id, e.name as endpoint, j.topic as endpoint_id, j.kind as event_type, d.provider_event_id,"
		" d.provider_delivery_id,\n"
		"\t       d.dedupe_key,\n"
		"\t       case when j.worker is not null and (j.status = 'received' or j.status = 'failed') then 'proc"
		"essing'\n"
		"\t            else j.status end as status,\n"
		"\t       j.attempt_count, d.headers as headers_json, d.query as query_json, coalesce(d.body, x'') as "
		"body_blob,\n"
		"\t       d.received_ms / 1000 as received_at,\n"
		"\t       case j.status when 'handled' then j.settled_ms / 1000 end as handled_at, j.last_error\n"
		"\tfrom _knocker_job j\n"
		"\tcross join _knocker_delivery d on d.id = j.id\n"
		"\tcross join _knocker_endpoint e on e.id = j.topic;\n"
		"create view knocker_deliveries as\n"
		"\tselect d.id, d.event_id, e.name as endpoint, d.endpoint_id, d.event_type, d.provider_event_id, d.pr"
		"ovider_delivery_id,\n"
		"\t       d.dedupe_key, d.method, d.headers as headers_json, d.query as query_json, d.body as body_blo"
		"b,\n"
		"\t       d.received_ms / 1000 as received_at, d.signature_valid, d.signature_error\n"
		"\tfrom _knocker_delivery d\n"
		"\tcross join _knocker_endpoint e on e.id = d.endpoint_id;\n"
		"create view knocker_attempts as\n"
		"\tselect job_id * 1000000 + claim as id, job_id as event_id, attempted_ms / 1000 as attempted_at, out"
		"come, error, duration_ms\n"
		"\tfrom _knocker_attempt;\n"
		"create view knocker_jobs as\n"
		"\tselect j.id, j.queue as queue_name, e.name as endpoint, case when j.topic > 0 then j.id end as even"
		"t_id, j.delivery_id,\n"
		"\t       j.due_ms / 1000 as due_at, j.worker as worker_id, j.claims, j.payload\n"
		"\tfrom _knocker_job j\n"
		"\tleft join _knocker_endpoint e on e.id = j.topic\n"
		"\twhere j.due_ms is not null;\n"
		"create view knocker_prune_audits as\n"
		"\tselect id, kind, queue_name, executed_ms / 1000 as executed_at, events as events_pruned, deliveries"
		" as deliveries_pruned,\n"
		"\t       attempts as attempts_pruned, live_jobs as live_jobs_pruned, summary_json\n"
		"\tfrom _knocker_prune_audit;"},
};
#pragma GCC diagnostic pop

#endif






static int32_t schema_version(db *d, int64_t *version, knocker_error *error)
{
	*version = 0;
	if (!db_table_exists(d, "_knocker_meta"))
		return 0;
	return db_int_of(d, STMT_meta_get, VALUES(TEXT(bytes_of("schema"))), 0, version, error);
}

static int32_t schema_too_new(int64_t version, knocker_error *error)
{
	return fail(
		error, KNOCKER_STORAGE,
		"the file has schema %lld, and this version of Knocker knows %d at most: upgrade it",
		(long long)version, SCHEMA_VERSION);
}

int32_t schema_known(db *d, knocker_error *error)
{
	int64_t version;
	int32_t rc = schema_version(d, &version, error);

	return rc == 0 && version > SCHEMA_VERSION ? schema_too_new(version, error) : rc;
}

int32_t schema_apply(db *d, knocker_error *error)
{
	int64_t version;
	int32_t rc = schema_version(d, &version, error);
	size_t i;

	if (rc == 0 && version > SCHEMA_VERSION)
		rc = schema_too_new(version, error);
	for (i = 0; rc == 0 && i < sizeof schema_migrations / sizeof *schema_migrations; i++)
		if (schema_migrations[i].version > version)
			rc = db_script(d, schema_migrations[i].text, error);
	if (rc == 0 && version < SCHEMA_VERSION)
		rc = db_run(d, STMT_meta_set, VALUES(TEXT(bytes_of("schema")), INT(SCHEMA_VERSION)), NULL,
		            error);
	return rc;
}

int32_t schema_migrate(db *d, knocker_error *error)
{
	int64_t version;
	int32_t rc = schema_version(d, &version, error);

	if (rc < 0 || version == SCHEMA_VERSION)
		return rc;
	rc = db_begin(d, error);
	/* Reads the version anew: another process may have been first. */
	if (rc == 0)
		rc = schema_apply(d, error);
	if (rc == 0)
		rc = db_commit(d, error);
	db_rollback(d);
	return rc;
}

int32_t schema_check(db *d, knocker_error *error)
{
	int64_t version;
	int32_t rc = schema_version(d, &version, error);

	if (rc == 0 && version > SCHEMA_VERSION)
		return schema_too_new(version, error);
	if (rc == 0 && version < SCHEMA_VERSION)
		return fail(error, KNOCKER_STORAGE,
		            "this database has no inbox yet: call knocker_bootstrap() first");
	return rc;
}

/* ==== core/src/stats.c ==== */

/* Numbers for a health check and a metrics page, by endpoint. Reads the due index and the rare
 * statuses; only the number of handled events walks all events. */
#include <string.h>




typedef struct {
	int64_t id, queued, due, oldest_ms, processing, failed, dead, ignored, orphans, orphan_bytes,
		dropped;
	knocker_bytes name;
} stats_line;

typedef struct {
	arena memory;
	stats_line *lines; /* the first is the sum of all */
	size_t count, room;
} stats_table;

static stats_line *stats_find(stats_table *t, int64_t id)
{
	size_t i;

	for (i = 1; i < t->count; i++)
		if (t->lines[i].id == id)
			return &t->lines[i];
	return &t->lines[0];
}

static stats_line *stats_append(stats_table *t)
{
	if (t->count == t->room) {
		size_t room = t->room ? t->room * 2 : 16;
		stats_line *grown = memory_resize(t->lines, room * sizeof *grown);

		if (!grown)
			return NULL;
		t->lines = grown;
		t->room = room;
	}
	memset(&t->lines[t->count], 0, sizeof *t->lines);
	return &t->lines[t->count++];
}

static int32_t stats_endpoints(stats_table *t, db *d, knocker_error *error)
{
	query *q;
	int32_t rc = stats_append(t) ? db_query(d, STMT_stats_endpoints, NO_VALUES, &q, error)
	                             : fail_memory(error);

	if (!t->count)
		return rc;
	for (; rc == 0; rc = db_next(q, error)) {
		stats_line *line = stats_append(t);

		if (!line || !arena_copy(&t->memory, db_text(q, 1), &line->name)) {
			rc = fail_memory(error);
			break;
		}
		line->id = db_int(q, 0);
		line->orphans = db_int(q, 2);
		line->orphan_bytes = db_int(q, 3);
		line->dropped = db_int(q, 4);
	}
	db_done(q);
	return rc < 0 ? rc : 0;
}

static int32_t stats_queue(stats_table *t, db *d, int64_t now_ms, knocker_error *error)
{
	query *q;
	int32_t rc = db_query(d, STMT_stats_queue, VALUES(INT(now_ms)), &q, error);

	for (; rc == 0; rc = db_next(q, error)) {
		stats_line *line = stats_find(t, db_int(q, 0));

		line->queued += db_int(q, 1);
		line->due += db_int(q, 2);
		if (!db_null(q, 3) && (line->oldest_ms == 0 || db_int(q, 3) < line->oldest_ms))
			line->oldest_ms = db_int(q, 3);
		line->processing += db_int(q, 4);
	}
	db_done(q);
	return rc < 0 ? rc : 0;
}

static int32_t stats_rare(stats_table *t, db *d, knocker_error *error)
{
	query *q;
	int32_t rc = db_query(d, STMT_stats_rare, NO_VALUES, &q, error);

	for (; rc == 0; rc = db_next(q, error)) {
		stats_line *line = stats_find(t, db_int(q, 0));
		knocker_bytes status = db_text(q, 1);
		int64_t *count = bytes_is(status, "failed") ? &line->failed
		                 : bytes_is(status, "dead") ? &line->dead
		                                            : &line->ignored;

		*count += db_int(q, 2);
	}
	db_done(q);
	return rc < 0 ? rc : 0;
}

static void stats_sum(stats_table *t)
{
	stats_line *all = &t->lines[0];
	size_t i;

	for (i = 1; i < t->count; i++) {
		const stats_line *line = &t->lines[i];

		all->queued += line->queued;
		all->due += line->due;
		all->processing += line->processing;
		all->failed += line->failed;
		all->dead += line->dead;
		all->ignored += line->ignored;
		all->orphans += line->orphans;
		all->orphan_bytes += line->orphan_bytes;
		all->dropped += line->dropped;
		if (line->oldest_ms && (!all->oldest_ms || line->oldest_ms < all->oldest_ms))
			all->oldest_ms = line->oldest_ms;
	}
}

static int32_t stats_rows(const stats_table *t, int64_t now_ms, int64_t handled, int64_t redated,
                          knocker_rows *rows, knocker_error *error)
{
	int32_t rc = 0;
	size_t i;

	for (i = 0; rc == 0 && i < t->count; i++) {
		const stats_line *s = &t->lines[i];
		int64_t age = s->oldest_ms && s->oldest_ms <= now_ms ? (now_ms - s->oldest_ms) / 1000 : -1;

		rc = rows_add(rows,
		              (const knocker_value[]){TEXT(s->name), INT(s->queued), INT(s->due),
		                                      age < 0 ? NONE : INT(age), INT(s->processing),
		                                      INT(s->failed), INT(s->dead), INT(s->ignored),
		                                      i == 0 ? INT(handled) : NONE, INT(s->orphans),
		                                      INT(s->orphan_bytes), INT(s->dropped),
		                                      i == 0 ? INT(redated) : NONE},
		              error);
	}
	return rc;
}

int32_t look_stats(inbox *in, db *d, knocker_rows **out, knocker_error *error)
{
	stats_table t = {0};
	int64_t handled = 0, redated = 0, now_ms = inbox_now_ms(in);
	int32_t rc = stats_endpoints(&t, d, error);

	*out = NULL;
	if (rc == 0)
		rc = stats_queue(&t, d, now_ms, error);
	if (rc == 0)
		rc = stats_rare(&t, d, error);
	if (rc == 0)
		rc = db_int_of(d, STMT_stats_jobs, NO_VALUES, 0, &handled, error);
	if (rc == 0)
		rc = db_int_of(d, STMT_meta_get, VALUES(TEXT(bytes_of("redated"))), 0, &redated, error);
	if (rc == 0)
		rc = rows_new(
			"endpoint, queued, due, oldest_due_age_s, processing, failed, dead, ignored, handled, orphans, orphan_bytes, "
			"orphans_dropped, redated",
			out, error);
	if (rc == 0) {
		stats_sum(&t);
		rc = stats_rows(&t, now_ms, handled, redated, *out, error);
	}
	memory_free(t.lines);
	arena_free(&t.memory);
	return rc;
}

/* ==== core/src/work.c ==== */

/* A handler's transaction: it begins at the first statement through it, holds the writer from then
 * on, and ends with the job's outcome. Every statement of a handler passes work_run, which looks
 * whether SQLite rolled back behind it. */


#include <string.h>





/* ---- the transaction ---- */

/* Rolls back, where the writer was not taken away before. */
static void work_end(knocker_work *w)
{
	bool in = w->open && store_tenant_begin(w->store, &w->tenant);

	w->open = false;
	if (!in)
		return;
	db_rollback(store_writer(w->store));
	store_leave(w->store);
}

/* After each statement: from here on a handler that is overdue may be ended. */
static void work_rest(knocker_work *w)
{
	if (w->open)
		store_tenant_end(w->store, &w->tenant);
}

static int32_t work_lose(knocker_work *w, int32_t rc, const knocker_error *cause)
{
	work_end(w);
	w->lost = true;
	w->cause = *cause;
	return rc;
}

static int32_t work_say_cause(const knocker_work *w, knocker_error *error)
{
	return fail(error, (int32_t)w->cause.code, "%s", w->cause.text);
}

/* The fence: nobody has claimed the job since. */
static int32_t work_fence(knocker_work *w, db *d, knocker_error *error)
{
	int32_t rc = job_get(d, w->job_id, &w->job, error);

	if (rc == 1 || (rc == 0 && (w->job.claim != w->claim || !w->job.held)))
		return job_lost(w->job_id, error);
	if (rc == 0)
		store_tenant_until(w->store, &w->tenant,
		                   clock_monotonic_ms() + w->job.due_ms - inbox_now_ms(w->in));
	return rc;
}

/* Takes up the transaction again, unless it was ended because its lease ran out. */
static int32_t work_resume(knocker_work *w, knocker_error *error)
{
	if (store_tenant_begin(w->store, &w->tenant))
		return 0;
	fail(&w->cause, KNOCKER_LEASE_LOST,
	     "job %lld: the lease ran out while the handler kept others waiting, and was ended",
	     (long long)w->job_id);
	w->open = false;
	w->lost = true;
	return work_say_cause(w, error);
}

/* Takes the writer and begins, once. After success all paths go through work_rest or work_end. */
static int32_t work_enter(knocker_work *w, knocker_error *error)
{
	db *d = store_writer(w->store);
	knocker_error cause = {0};
	int32_t rc;

	if (w->lost)
		return work_say_cause(w, error);
	if (w->open)
		return work_resume(w, error);
	rc = store_enter(w->store, "a handler", error);
	if (rc < 0)
		return rc;
	store_tenant_enter(w->store, &w->tenant);
	w->open = true;
	rc = db_synchronous(d, w->settle_full, &cause);
	if (rc == 0)
		rc = db_begin(d, &cause);
	if (rc == 0)
		rc = work_fence(w, d, &cause);
	if (rc == KNOCKER_LEASE_LOST)
		work_lose(w, rc, &cause);
	else if (rc < 0)
		work_end(w);
	return rc < 0 ? fail(error, rc, "%s", cause.text) : 0;
}

/* After a statement of the handler's: where SQLite rolled back by itself nothing more may run,
 * least of all in autocommit. */
static int32_t work_after(knocker_work *w, int32_t rc, const knocker_error *said,
                          knocker_error *error)
{
	knocker_error cause = *said;

	if (!db_in_transaction(store_writer(w->store))) {
		fail(&cause, rc < 0 ? rc : KNOCKER_SQL, "the transaction was rolled back by SQLite: %.180s",
		     rc < 0 ? said->text : "a statement ended it");
		rc = work_lose(w, (int32_t)cause.code, &cause);
	}
	work_rest(w);
	return rc < 0 ? fail(error, rc, "%s", cause.text) : rc;
}

int32_t work_run(knocker_work *w, const db_text_statement *statement, knocker_rows **rows,
                 int64_t *changes, int64_t *last_id, knocker_error *error)
{
	knocker_error said = {0};
	int32_t rc = work_enter(w, error);

	if (rows)
		*rows = NULL;
	if (rc < 0)
		return rc;
	rc = db_text_run(store_writer(w->store), statement, rows, changes, last_id, &said);
	return work_after(w, rc, &said, error);
}

static int32_t work_store(knocker_work *w, receipt *r, knocker_rows **out, knocker_error *error)
{
	db *d = store_writer(w->store);
	inbox_known known = {.version = -1};
	int32_t rc = db_savepoint(d, error);

	if (rc < 0)
		return rc;
	rc = receipt_store(w->in, d, r, &known, error);
	if (rc == 0)
		rc = rows_new(RECEIPT_COLUMNS, out, error);
	if (rc == 0)
		rc = receipt_row(r, false, *out, error);
	if (rc < 0)
		db_savepoint_rollback(d);
	else
		rc = db_savepoint_release(d, error);
	return rc;
}

int32_t work_receive(knocker_work *w, const knocker_request *request, bool ingest,
                     knocker_rows **out, knocker_error *error)
{
	knocker_error said = {0};
	receipt r;
	int32_t rc = work_enter(w, error);

	*out = NULL;
	if (rc < 0)
		return rc;
	rc = receipt_prepare(w->in, store_writer(w->store), request, ingest, &r, &said);
	if (rc == 0)
		rc = work_store(w, &r, out, &said);
	receipt_free(&r);
	rc = work_after(w, rc, &said, error);
	if (rc < 0) {
		knocker_rows_free(*out);
		*out = NULL;
	}
	return rc;
}

/* ---- beginning ---- */

/* Renews a lease of which less than half is left, and drops a job that has nothing to do. One small
 * transaction. */
static int32_t work_touch(store *s, int64_t job_id, int64_t claim, int64_t until_ms,
                          knocker_error *error)
{
	db *d = store_writer(s);
	int32_t rc = store_enter(s, "a worker", error);

	if (rc < 0)
		return rc;
	rc = db_synchronous(d, false, error);
	if (rc == 0)
		rc = db_begin(d, error);
	if (rc == 0 && until_ms > 0)
		rc = job_extend(d, job_id, claim, until_ms, error);
	else if (rc == 0)
		rc = db_run(d, STMT_job_unqueue, VALUES(INT(job_id), INT(claim)), NULL, error);
	if (rc == 0)
		rc = db_commit(d, error);
	db_rollback(d);
	store_leave(s);
	return rc;
}

static int32_t work_check(inbox *in, store *s, int64_t job_id, int64_t claim, knocker_error *error)
{
	worker_start start;
	job_state job;
	db *d;
	int32_t rc = store_look(s, &d, error);

	if (rc < 0)
		return rc;
	rc = job_get(d, job_id, &job, error);
	store_look_leave(s, d);
	if (rc != 0)
		return rc;
	start = worker_may_start(in, &job, claim);
	if (start == START_RENEWED)
		rc = work_touch(s, job_id, claim, inbox_now_ms(in) + inbox_lease_ms(in, job.worker), error);
	else if (start == START_NEVER)
		rc = work_touch(s, job_id, claim, 0, error);
	if (start == START_LOST || start == START_NEVER || rc == KNOCKER_LEASE_LOST)
		return rc < 0 && rc != KNOCKER_LEASE_LOST ? rc : 1;
	return rc;
}

int32_t work_begin(inbox *in, store *s, int64_t job_id, int64_t claim, bool settle_full,
                   knocker_work **out, knocker_error *error)
{
	knocker_work *w;
	int32_t rc = work_check(in, s, job_id, claim, error);

	*out = NULL;
	if (rc != 0)
		return rc;
	w = memory_get(sizeof *w);
	if (!w)
		return fail_memory(error);
	memset(w, 0, sizeof *w);
	w->thread = pthread_self();
	w->in = in;
	w->store = s;
	w->settle_full = settle_full;
	w->job_id = job_id;
	w->claim = claim;
	w->begun_ms = clock_monotonic_ms();
	*out = w;
	return 0;
}

int32_t work_event(knocker_work *w, knocker_rows **out, knocker_error *error)
{
	db *d;
	int32_t rc = store_look(w->store, &d, error);

	*out = NULL;
	if (rc < 0)
		return rc;
	rc = db_rows(d, STMT_event_of_work, VALUES(INT(w->job_id)), out, error);
	store_look_leave(w->store, d);
	return rc;
}

/* Outside a transaction a lease is lengthened at once, for all to see. Inside one nobody else could
 * claim anyway: there it is lengthened with the handler's writes. */
int32_t work_extend(knocker_work *w, int64_t lease_ms, knocker_error *error)
{
	knocker_error said = {0};
	int64_t until_ms;
	int32_t rc = inbox_range_check("lease_ms", lease_ms, 1, INT64_MAX / 4, error);

	if (rc == 0 && (w->open || w->lost))
		rc = work_enter(w, error);
	if (rc < 0)
		return rc;
	until_ms = inbox_now_ms(w->in) + lease_ms;
	if (!w->open)
		return work_touch(w->store, w->job_id, w->claim, until_ms, error);
	rc = job_extend(store_writer(w->store), w->job_id, w->claim, until_ms, &said);
	if (rc == 0)
		store_tenant_until(w->store, &w->tenant, clock_monotonic_ms() + lease_ms);
	return work_after(w, rc, &said, error);
}

/* ---- ending ---- */

static worker_outcome work_outcome(const knocker_work *w, int32_t outcome, knocker_bytes reason,
                                   int64_t delay_ms)
{
	return (worker_outcome){w->job_id, w->claim, outcome,
	                        reason,    delay_ms, clock_monotonic_ms() - w->begun_ms};
}

static int32_t work_commit(knocker_work *w, const worker_outcome *o, worker_result *result,
                           knocker_error *error)
{
	db *d = store_writer(w->store);
	int32_t rc = work_enter(w, error);

	if (rc == 0 && db_foreign_keys_pending(d))
		rc = fail(error, KNOCKER_SQL,
		          "a deferred foreign key does not hold at the end of the handler");
	if (rc == 0)
		rc = worker_settle(w->in, d, o, &w->job, result, error);
	if (rc == 0)
		rc = db_commit(d, error);
	work_end(w);
	return rc;
}

/* A handler that did not succeed: its writes roll back first; then, in a fresh transaction, the
 * outcome is recorded. */
static int32_t work_record(knocker_work *w, const worker_outcome *o, worker_result *result,
                           knocker_error *error)
{
	work_end(w);
	if (w->lost && w->cause.code == KNOCKER_LEASE_LOST)
		return work_say_cause(w, error);
	w->lost = false;
	return work_commit(w, o, result, error);
}

int32_t work_settle(knocker_work *w, int32_t outcome, knocker_bytes reason, int64_t delay_ms,
                    knocker_rows **out, knocker_error *error)
{
	worker_outcome o = work_outcome(w, outcome, reason, delay_ms);
	worker_result result = {0};
	knocker_error said = {0}, again = {0};
	int32_t rc = outcome == KNOCKER_HANDLED ? work_commit(w, &o, &result, &said)
	                                        : work_record(w, &o, &result, &said);

	if (rc == 0)
		return worker_result_row(&result, out, error);
	if (outcome == KNOCKER_HANDLED && rc != KNOCKER_LEASE_LOST) {
		o = work_outcome(w, KNOCKER_FAILED, bytes_of(said.text), 0);
		if (work_record(w, &o, &result, &again) == 0)
			worker_result_row(&result, out, NULL);
	}
	return fail(error, rc, "%s", said.text);
}

int32_t work_give_back(knocker_work *w, knocker_error *error)
{
	db *d = store_writer(w->store);
	int32_t rc;

	work_end(w);
	rc = store_enter(w->store, "a worker", error);
	if (rc < 0)
		return rc;
	rc = db_synchronous(d, false, error);
	if (rc == 0)
		rc = db_begin(d, error);
	if (rc == 0)
		rc = job_release(d, w->job_id, w->claim, inbox_now_ms(w->in), error);
	if (rc >= 0)
		rc = db_commit(d, error);
	db_rollback(d);
	store_leave(w->store);
	return rc;
}

void work_free(knocker_work *w)
{
	if (!w)
		return;
	work_end(w);
	memory_free(w);
}

/* ==== core/src/worker.c ==== */

/* Starting and settling an event's job: the rules of retries and attempts. Knows no threads and no
 * transactions: its caller has begun one. */


#include <stdio.h>
#include <string.h>




/* ---- beginning ---- */

worker_start worker_may_start(inbox *in, const job_state *job, int64_t claim)
{
	if (job->claim != claim || !job->held)
		return START_LOST;
	if (!job_unsettled(job))
		return START_NEVER;
	return job->due_ms - inbox_now_ms(in) < inbox_lease_ms(in, job->worker) / 2 ? START_RENEWED
	                                                                            : START_NOW;
}

/* ---- settling ---- */

typedef struct {
	int64_t max_attempts, base_ms, cap_ms;
	char endpoint[LIMIT_NAME + 1];
} worker_policy;

/* The job's own number of attempts, else the endpoint's, else this worker's. */
static int32_t worker_policy_read(inbox *in, db *d, const job_state *job, worker_policy *p,
                                  knocker_error *error)
{
	query *q;
	int32_t rc = db_query(d, STMT_endpoint_policy, VALUES(INT(job->topic)), &q, error);

	*p = (worker_policy){in->max_attempts, in->backoff_base_ms, in->backoff_cap_ms, ""};
	if (rc == 0) {
		if (!db_null(q, 0))
			p->max_attempts = db_int(q, 0);
		if (!db_null(q, 1))
			p->base_ms = db_int(q, 1);
		if (!db_null(q, 2))
			p->cap_ms = db_int(q, 2);
		snprintf(p->endpoint, sizeof p->endpoint, "%.*s", QUOTED(db_text(q, 3)));
	}
	db_done(q);
	if (job->max_attempts > 0)
		p->max_attempts = job->max_attempts;
	return rc < 0 ? rc : 0;
}

const char *worker_outcome_name(int32_t outcome)
{
	static const char *const names[] = {"handled", "failed",  "retry_after",
	                                    "dead",    "ignored", "no_handler"};

	return outcome >= KNOCKER_HANDLED && outcome <= KNOCKER_NO_HANDLER ? names[outcome - 1] : NULL;
}

/* An error's text as it is kept: valid, without NUL, of bounded length. */
knocker_bytes worker_reason(knocker_bytes reason)
{
	if (!reason.data)
		return reason;
	if (bytes_find(reason, '\0') >= 0)
		reason.len = bytes_find(reason, '\0');
	if (reason.len > LIMIT_ERROR_TEXT)
		reason.len = LIMIT_ERROR_TEXT;
	while (!bytes_utf8(reason))
		reason.len--;
	return reason;
}

/* What an outcome means for the job: the one place where retries are decided. `attempt` is the word
 * in the attempt row; NULL: none. */
static void worker_decide(inbox *in, const worker_outcome *o, const worker_policy *p,
                          const job_state *job, job_settlement *s, const char **attempt)
{
	int64_t now_ms = inbox_now_ms(in), failures = job->attempt_count + 1;

	s->due_ms = -1;
	s->settled_ms = now_ms;
	s->attempts = 1;
	switch (o->outcome) {
	case KNOCKER_HANDLED:
		s->status = *attempt = "handled";
		s->error = (knocker_bytes){0};
		return;
	case KNOCKER_IGNORED:
		s->status = *attempt = "ignored";
		s->attempts = 0;
		return;
	case KNOCKER_RETRY_AFTER:
		s->due_ms = now_ms + o->delay_ms;
		s->attempts = s->settled_ms = 0;
		return;
	default:
		break;
	}
	s->status = *attempt = "dead";
	if (o->outcome != KNOCKER_FAILED || failures >= p->max_attempts)
		return;
	s->status = *attempt = "failed";
	s->due_ms = now_ms + backoff_delay_ms(failures, p->base_ms, p->cap_ms, inbox_chance(in));
}

static int32_t worker_settle_check(const worker_outcome *o, knocker_error *error)
{
	if (!worker_outcome_name(o->outcome))
		return fail(error, KNOCKER_INVALID_ARGUMENT,
		            "outcome %d is none of KNOCKER_HANDLED to KNOCKER_NO_HANDLER", o->outcome);
	return inbox_range_check("delay", o->delay_ms, 0, INT64_MAX / 4, error);
}

/* "no handler registered for endpoint 'x', event type 'y'" */
static int32_t worker_no_handler(db *d, const worker_policy *p, int64_t job_id, char *text,
                                 size_t size, knocker_error *error)
{
	query *q;
	int32_t rc = db_query(d, STMT_event_of_claim, VALUES(INT(job_id)), &q, error);

	if (rc == 0 && !db_null(q, 1))
		snprintf(text, size, "no handler registered for endpoint '%s', event type '%.*s'",
		         p->endpoint, QUOTED(db_text(q, 1)));
	else
		snprintf(text, size, "no handler registered for endpoint '%s'", p->endpoint);
	db_done(q);
	return rc < 0 ? rc : 0;
}

int32_t worker_attempt(inbox *in, db *d, const worker_outcome *o, const char *word,
                       knocker_bytes why, knocker_error *error)
{
	return db_run(d, STMT_attempt_insert,
	              VALUES(INT(o->job_id), INT(o->claim), INT(inbox_now_ms(in)), TEXT(bytes_of(word)),
	                     o->duration_ms < 0 ? NONE : INT(o->duration_ms), TEXT(why)),
	              NULL, error);
}

int32_t worker_settle(inbox *in, db *d, const worker_outcome *o, const job_state *job,
                      worker_result *result, knocker_error *error)
{
	job_settlement s = {.id = o->job_id, .claim = o->claim, .error = worker_reason(o->reason)};
	const char *attempt = NULL;
	worker_policy policy = {0};
	char text[600];
	int32_t rc = worker_settle_check(o, error);

	if (rc == 0 && (job->claim != o->claim || !job->held))
		return job_lost(o->job_id, error);
	if (rc == 0 && (o->outcome == KNOCKER_FAILED || o->outcome == KNOCKER_NO_HANDLER))
		rc = worker_policy_read(in, d, job, &policy, error);
	if (rc == 0 && o->outcome == KNOCKER_NO_HANDLER) {
		rc = worker_no_handler(d, &policy, o->job_id, text, sizeof text, error);
		s.error = bytes_of(text);
	}
	if (rc < 0)
		return rc;
	worker_decide(in, o, &policy, job, &s, &attempt);
	*result = (worker_result){s.status                             ? attempt
	                          : strcmp(job->status, "failed") == 0 ? "failed"
	                                                               : "received",
	                          s.due_ms, job->attempt_count + s.attempts};
	rc = job_settle(d, &s, error);
	if (rc == 0 && attempt)
		rc = worker_attempt(in, d, o, attempt, s.error, error);
	return rc;
}

int32_t worker_result_row(const worker_result *result, knocker_rows **out, knocker_error *error)
{
	int32_t rc;

	if (!out)
		return 0;
	rc = rows_new("status, due_at, attempt_count", out, error);
	if (rc == 0)
		rc = rows_add(*out,
		              (const knocker_value[]){TEXT(bytes_of(result->status)),
		                                      result->due_ms < 0 ? NONE
		                                                         : INT(result->due_ms / 1000),
		                                      INT(result->attempt_count)},
		              error);
	return rows_or_none(rc, out);
}

/* ==== core/src/worker_claim.c ==== */

/* Claiming: which queues and endpoints a worker serves, and whose turn it is. Knows no threads
 * and no transactions: its caller has begun one. */


#include <stdlib.h>
#include <string.h>




/* ---- what a claim is about ---- */

/* A claim's lists, read from JSON or from the registrations. */
typedef struct {
	arena memory;
	knocker_bytes *queues;
	int32_t queue_count;
	int64_t *only, *paused; /* ascending */
	int32_t only_count, paused_count, paused_room;
} worker_scope;

static int32_t worker_scope_pause(worker_scope *scope, int64_t id, knocker_error *error)
{
	int64_t *wider;

	if (scope->paused_count == scope->paused_room) {
		scope->paused_room = scope->paused_room ? 2 * scope->paused_room : 16;
		wider = arena_get(&scope->memory, (size_t)scope->paused_room * sizeof *wider);
		if (!wider)
			return fail_memory(error);
		if (scope->paused_count > 0)
			memcpy(wider, scope->paused, (size_t)scope->paused_count * sizeof *wider);
		scope->paused = wider;
	}
	scope->paused[scope->paused_count++] = id;
	return 0;
}

static int32_t worker_scope_paused(worker_scope *scope, db *d, knocker_error *error)
{
	query *q;
	int32_t rc = db_query(d, STMT_endpoint_paused_ids, NO_VALUES, &q, error);

	while (rc == 0) {
		rc = worker_scope_pause(scope, db_int(q, 0), error);
		if (rc == 0)
			rc = db_next(q, error);
	}
	db_done(q);
	return rc < 0 ? rc : 0;
}

/* Parses a JSON array of names and checks each. The caller frees it. */
static int32_t worker_names(const char *what, knocker_bytes text, json **parsed,
                            knocker_error *error)
{
	const json *element;
	int32_t rc = json_parse(what, text, parsed, error);

	if (rc < 0)
		return rc;
	if (json_kind(*parsed) != JSON_ARRAY || json_count(*parsed) > LIMIT_CLAIM)
		rc = fail(error, KNOCKER_INVALID_ARGUMENT, "%s is not a JSON array of at most %d names",
		          what, LIMIT_CLAIM);
	for (element = json_first(*parsed); rc == 0 && element; element = json_next(element))
		rc = inbox_name_check(what, json_text(element), error);
	if (rc < 0) {
		json_free(*parsed);
		*parsed = NULL;
	}
	return rc;
}

static int32_t worker_scope_only(worker_scope *scope, db *d, knocker_bytes endpoints_json,
                                 knocker_error *error)
{
	json *names;
	const json *name;
	int32_t rc = worker_names("endpoints_json", endpoints_json, &names, error);

	if (rc < 0)
		return rc;
	scope->only = arena_get(&scope->memory, (json_count(names) + 1) * sizeof *scope->only);
	if (!scope->only)
		rc = fail_memory(error);
	for (name = json_first(names); rc == 0 && name; name = json_next(name)) {
		endpoint_row row;

		rc = endpoint_find(d, json_text(name), &scope->memory, &row, error);
		if (rc == 0)
			scope->only[scope->only_count++] = row.id;
	}
	if (rc == 0)
		qsort(scope->only, (size_t)scope->only_count, sizeof *scope->only, job_topic_order);
	json_free(names);
	return rc;
}

static int32_t worker_scope_queue(worker_scope *scope, knocker_bytes queue, knocker_error *error)
{
	int32_t i;

	for (i = 0; i < scope->queue_count; i++)
		if (bytes_equal(scope->queues[i], queue))
			return 0;
	if (scope->queue_count == LIMIT_CLAIM)
		return fail(error, KNOCKER_INVALID_ARGUMENT, "a worker serves at most %d queues",
		            LIMIT_CLAIM);
	return arena_copy(&scope->memory, queue, &scope->queues[scope->queue_count++])
	           ? 0
	           : fail_memory(error);
}

/* Told nothing, a worker serves the handle's queue and those that its endpoints have of their own.
 */
static int32_t worker_scope_queues(worker_scope *scope, inbox *in, knocker_bytes queues_json,
                                   knocker_error *error)
{
	char name[LIMIT_NAME + 1];
	int32_t at = 0, rc = 0;
	json *names = NULL;
	const json *each;

	scope->queues = arena_get(&scope->memory, LIMIT_CLAIM * sizeof *scope->queues);
	if (!scope->queues)
		return fail_memory(error);
	if (!queues_json.data) {
		rc = worker_scope_queue(scope, bytes_of(in->queue_name), error);
		while (rc == 0 && registration_queue_next(&in->registrations, &at, name))
			rc = worker_scope_queue(scope, bytes_of(name), error);
		return rc;
	}
	rc = worker_names("queues_json", queues_json, &names, error);
	for (each = json_first(names); rc == 0 && each; each = json_next(each))
		rc = worker_scope_queue(scope, json_text(each), error);
	json_free(names);
	return rc;
}

static int32_t worker_scope_read(worker_scope *scope, inbox *in, db *d,
                                 const knocker_claim_options *o, knocker_error *error)
{
	int32_t rc = worker_scope_queues(scope, in, o->queues_json, error);

	if (rc == 0 && o->endpoints_json.data)
		rc = worker_scope_only(scope, d, o->endpoints_json, error);
	if (rc == 0)
		rc = worker_scope_paused(scope, d, error);
	return rc;
}

static job_claim_options worker_scope_options(const worker_scope *scope, const inbox *in,
                                              const knocker_claim_options *o, int32_t queue)
{
	return (job_claim_options){.queue = scope->queues[queue],
	                           .worker = o->worker_id,
	                           .only = scope->only,
	                           .only_count = scope->only_count,
	                           .paused = scope->paused,
	                           .paused_count = scope->paused_count,
	                           .count = o->count ? (int32_t)o->count : 10,
	                           .lease_ms = o->lease_ms ? o->lease_ms : in->visibility_ms,
	                           .now_ms = inbox_now_ms(in)};
}

int32_t worker_claim_check(const knocker_claim_options *o, knocker_error *error)
{
	int32_t rc = inbox_name_check("worker_id", o->worker_id, error);

	if (rc == 0)
		rc = inbox_range_check("count", o->count, 0, LIMIT_CLAIM, error);
	if (rc == 0)
		rc = inbox_range_check("lease_ms", o->lease_ms, 0, INT64_MAX / 4, error);
	return rc;
}

/* ---- claiming ---- */

/* The topic that this process served last in a queue. Forgotten where a process serves more queues
 * than INBOX_TURNS. */
static int64_t worker_turn(inbox *in, knocker_bytes queue, const int64_t *set)
{
	int64_t topic = 0;
	int32_t i;

	pthread_mutex_lock(&in->lock);
	for (i = 0; i < in->turn_count && !bytes_is(queue, in->turns[i].queue); i++)
		;
	if (i == in->turn_count && set && in->turn_count < INBOX_TURNS) {
		memcpy(in->turns[i].queue, queue.data, (size_t)queue.len);
		in->turns[i].queue[queue.len] = '\0';
		in->turn_count++;
	}
	if (i < in->turn_count && set)
		in->turns[i].topic = *set;
	else if (i < in->turn_count)
		topic = in->turns[i].topic;
	pthread_mutex_unlock(&in->lock);
	return topic;
}

static int32_t worker_claim_by(inbox *in, db *d, const job_claim_options *o, job_claimed *out,
                               int32_t *count, knocker_error *error)
{
	int64_t turn = worker_turn(in, o->queue, NULL);
	int32_t rc = job_claim(d, o, &turn, out, count, error);

	worker_turn(in, o->queue, &turn);
	return rc;
}

int32_t worker_claim_queue(inbox *in, db *d, job_claim_options *o, job_claimed *out, int32_t *count,
                           knocker_error *error)
{
	worker_scope scope = {0};
	int32_t rc = worker_scope_paused(&scope, d, error);

	o->paused = scope.paused;
	o->paused_count = scope.paused_count;
	if (rc == 0)
		rc = worker_claim_by(in, d, o, out, count, error);
	arena_free(&scope.memory);
	return rc;
}

/* A payload that is no event has no handler here: the job is dead and says so. */
int32_t worker_bury_plain(inbox *in, db *d, int64_t id, knocker_error *error)
{
	return db_run(d, STMT_job_bury,
	              VALUES(INT(id), INT(inbox_now_ms(in)),
	                     TEXT(bytes_of("no worker of an inbox knows this payload"))),
	              NULL, error);
}

static int32_t worker_claim_rows(inbox *in, db *d, const job_claimed *jobs, int32_t count,
                                 knocker_rows *rows, knocker_error *error)
{
	int32_t rc = 0, i;

	for (i = 0; rc == 0 && i < count; i++) {
		query *q = NULL;

		if (jobs[i].topic <= 0) {
			rc = jobs[i].died ? 0 : worker_bury_plain(in, d, jobs[i].id, error);
			continue;
		}
		rc = db_query(d, STMT_event_of_claim, VALUES(INT(jobs[i].id)), &q, error);
		if (rc == 0)
			rc = rows_add(rows,
			              (const knocker_value[]){INT(jobs[i].id), INT(jobs[i].claim),
			                                      INT(jobs[i].id), TEXT(db_text(q, 0)),
			                                      TEXT(db_text(q, 1)), INT(jobs[i].died)},
			              error);
		db_done(q);
	}
	return rc < 0 ? rc : 0;
}

static int32_t worker_claim_scope(inbox *in, db *d, const knocker_claim_options *options,
                                  const worker_scope *scope, knocker_rows *rows,
                                  knocker_error *error)
{
	job_claimed *jobs = memory_get(LIMIT_CLAIM * sizeof *jobs);
	int32_t rc = jobs ? 0 : fail_memory(error), i, count = 0;

	for (i = 0; rc == 0 && i < scope->queue_count; i++) {
		job_claim_options o = worker_scope_options(scope, in, options, i);

		o.count -= (int32_t)rows_count(rows);
		if (o.count > 0)
			rc = worker_claim_by(in, d, &o, jobs, &count, error);
		if (rc == 0 && o.count > 0)
			rc = worker_claim_rows(in, d, jobs, count, rows, error);
	}
	memory_free(jobs);
	return rc;
}

int32_t worker_claim(inbox *in, db *d, const knocker_claim_options *options, knocker_rows **out,
                     knocker_error *error)
{
	worker_scope scope = {0};
	int32_t rc = worker_claim_check(options, error);

	*out = NULL;
	if (rc == 0)
		inbox_lease_set(in, options->worker_id,
		                options->lease_ms ? options->lease_ms : in->visibility_ms);
	if (rc == 0)
		rc = worker_scope_read(&scope, in, d, options, error);
	if (rc == 0)
		rc = rows_new("job_id, claim, event_id, endpoint, event_type, died", out, error);
	if (rc == 0)
		rc = worker_claim_scope(in, d, options, &scope, *out, error);
	if (rc == 0 && rows_count(*out) == 0)
		rc = 1;
	if (rc < 0) {
		knocker_rows_free(*out);
		*out = NULL;
	}
	arena_free(&scope.memory);
	return rc;
}

int32_t worker_next_due(inbox *in, db *d, const knocker_claim_options *options, int64_t *due_ms,
                        knocker_error *error)
{
	worker_scope scope = {0};
	int32_t rc = worker_scope_read(&scope, in, d, options, error), i;
	int64_t due;

	*due_ms = INT64_MAX;
	for (i = 0; rc == 0 && i < scope.queue_count; i++) {
		job_claim_options o = worker_scope_options(&scope, in, options, i);

		rc = job_next_due(d, &o, &due, error);
		if (rc == 0 && due < *due_ms)
			*due_ms = due;
	}
	arena_free(&scope.memory);
	return rc;
}

#ifndef KNOCKER_EXTENSION

/* ==== core/src/api.c ==== */

/* The C door: each call checks its handle, takes the connection it needs, and calls downward. No
 * rule stands here. */
#include <string.h>







/* Generated by tools/embed.py: the version of VERSION. */
#ifndef KNOCKER_VERSION_H
#define KNOCKER_VERSION_H

#define KNOCKER_VERSION_TEXT "0.1.0"

#endif



const char *knocker_version(void)
{
	return KNOCKER_VERSION_TEXT;
}

const char *knocker_error_name(int64_t code)
{
	return error_name(code);
}

/* ---- 1. open ---- */

int32_t knocker_open(const knocker_open_options *options, knocker **out, knocker_error *error)
{
	knocker_open_options o;
	int32_t rc;

	if (!out)
		return fail(error, KNOCKER_INVALID_ARGUMENT, "out is NULL");
	*out = NULL;
	rc = handle_options("open_options", options, &o, sizeof o, error);
	if (rc < 0)
		return rc;
	o.size = sizeof o;
	o.path = handle_bytes(o.path);
	o.queue_name = handle_bytes(o.queue_name);
	o.init_sql = handle_bytes(o.init_sql);
	return handle_open(&o, out, error);
}

int32_t knocker_close(knocker *k, knocker_error *error)
{
	return handle_close(k, error);
}

int32_t knocker_clock_set(knocker *k, int64_t now_ms, knocker_error *error)
{
	int32_t rc = handle_enter(k, error);

	if (rc < 0)
		return rc;
	rc = inbox_range_check("now_ms", now_ms, 0, INT64_MAX / 4, error);
	if (rc == 0)
		atomic_store(&k->inbox.clock_ms, now_ms);
	handle_leave(k);
	return rc;
}

/* ---- the writer for one small transaction ---- */

static int32_t api_begin(knocker *k, bool full, const char *who, knocker_error *error)
{
	int32_t rc = handle_enter_writing(k, error);
	db *d;

	if (rc < 0)
		return rc;
	rc = store_enter(k->store, who, error);
	if (rc < 0) {
		handle_leave(k);
		return rc;
	}
	d = store_writer(k->store);
	rc = db_synchronous(d, full, error);
	if (rc == 0)
		rc = db_begin(d, error);
	if (rc < 0) {
		store_leave(k->store);
		handle_leave(k);
	}
	return rc;
}

/* Commits where all went well, else rolls back. */
static int32_t api_end(knocker *k, int32_t rc, knocker_error *error)
{
	db *d = store_writer(k->store);
	int32_t committed = rc >= 0 ? db_commit(d, error) : 0;

	db_rollback(d);
	store_leave(k->store);
	handle_leave(k);
	return rc < 0 ? rc : committed < 0 ? committed : rc;
}

static int32_t api_reader(knocker *k, db **reader, knocker_rows **out, knocker_error *error)
{
	int32_t rc;

	if (!out)
		return fail(error, KNOCKER_INVALID_ARGUMENT, "out is NULL");
	*out = NULL;
	rc = handle_enter(k, error);
	if (rc < 0)
		return rc;
	rc = store_reader(k->store, reader, error);
	if (rc < 0)
		handle_leave(k);
	return rc;
}

static int32_t api_reader_end(knocker *k, db *reader, int32_t rc, knocker_rows **out)
{
	store_reader_leave(k->store, reader);
	handle_leave(k);
	return rows_or_none(rc, out);
}

/* ---- 2. endpoints ---- */

int32_t knocker_endpoint_add(knocker *k, const knocker_endpoint *endpoint, int64_t *id,
                             knocker_error *error)
{
	knocker_endpoint e;
	int32_t rc = handle_options("endpoint", endpoint, &e, sizeof e, error);
	knocker_bytes *texts[] = {&e.name,         &e.path,         &e.provider,  &e.scheme_json,
	                          &e.secrets_json, &e.options_json, &e.queue_name};
	size_t i;

	if (rc == 0)
		rc = api_begin(k, k ? k->full : false, "add_endpoint", error);
	if (rc < 0)
		return rc;
	for (i = 0; i < sizeof texts / sizeof *texts; i++)
		*texts[i] = handle_bytes(*texts[i]);
	return api_end(k, endpoint_add(&k->inbox, store_writer(k->store), &e, false, id, error), error);
}

int32_t knocker_endpoint_pause(knocker *k, knocker_bytes name, int32_t paused, knocker_error *error)
{
	int32_t rc = api_begin(k, k ? k->full : false, "pause", error);

	return rc < 0 ? rc
	              : api_end(k,
	                        endpoint_pause(store_writer(k->store), handle_bytes(name), paused != 0,
	                                       error),
	                        error);
}

int32_t knocker_providers(knocker_rows **out, knocker_error *error)
{
	if (!out)
		return fail(error, KNOCKER_INVALID_ARGUMENT, "out is NULL");
	return endpoint_providers(out, error);
}

/* ---- 5. look, and operate ---- */

int32_t knocker_read(knocker *k, knocker_bytes sql, const knocker_value *values, int32_t count,
                     knocker_rows **out, knocker_error *error)
{
	const db_text_statement s = {.sql = handle_bytes(sql), .values = values, .count = count};
	db *reader;
	int32_t rc = api_reader(k, &reader, out, error);

	return rc < 0 ? rc
	              : api_reader_end(k, reader, db_text_run(reader, &s, out, NULL, NULL, error), out);
}

int32_t knocker_get(knocker *k, int32_t kind, int64_t id, knocker_rows **out, knocker_error *error)
{
	db *reader;
	int32_t rc = api_reader(k, &reader, out, error);

	return rc < 0 ? rc : api_reader_end(k, reader, look_get(reader, kind, id, out, error), out);
}

int32_t knocker_list(knocker *k, const knocker_filter *filter, knocker_rows **out,
                     knocker_error *error)
{
	knocker_filter f;
	db *reader;
	int32_t rc = handle_options("filter", filter, &f, sizeof f, error);

	if (out)
		*out = NULL;
	if (rc == 0)
		rc = api_reader(k, &reader, out, error);
	if (rc < 0)
		return rc;
	f.endpoint = handle_bytes(f.endpoint);
	f.status = handle_bytes(f.status);
	f.event_type = handle_bytes(f.event_type);
	f.audit_kind = handle_bytes(f.audit_kind);
	return api_reader_end(k, reader, look_list(reader, &f, out, error), out);
}

int32_t knocker_why(knocker *k, int64_t event_id, knocker_rows **out, knocker_error *error)
{
	db *reader;
	int32_t rc = api_reader(k, &reader, out, error);

	return rc < 0
	           ? rc
	           : api_reader_end(k, reader, look_why(&k->inbox, reader, event_id, out, error), out);
}

int32_t knocker_stats(knocker *k, knocker_rows **out, knocker_error *error)
{
	db *reader;
	int32_t rc = api_reader(k, &reader, out, error);

	return rc < 0 ? rc : api_reader_end(k, reader, look_stats(&k->inbox, reader, out, error), out);
}

int32_t knocker_ignore(knocker *k, int64_t event_id, knocker_bytes reason, knocker_error *error)
{
	int32_t rc = api_begin(k, k ? k->full : false, "ignore", error);

	return rc < 0 ? rc
	              : api_end(k,
	                        operator_ignore(&k->inbox, store_writer(k->store), event_id,
	                                        handle_bytes(reason), error),
	                        error);
}

static int32_t api_again(knocker *k, int64_t id,
                         int32_t (*act)(inbox *, db *, int64_t, const operator_again *,
                                        knocker_error *),
                         knocker_error *error)
{
	const operator_again as_it_is = {0};
	int32_t rc = api_begin(k, k ? k->full : false, "a replay", error);

	return rc < 0 ? rc
	              : api_end(k, act(&k->inbox, store_writer(k->store), id, &as_it_is, error), error);
}

int32_t knocker_replay(knocker *k, int64_t event_id, knocker_error *error)
{
	return api_again(k, event_id, operator_replay, error);
}

int32_t knocker_requeue(knocker *k, int64_t event_id, knocker_error *error)
{
	return api_again(k, event_id, operator_requeue, error);
}

int32_t knocker_replay_delivery(knocker *k, int64_t delivery_id, knocker_error *error)
{
	return api_again(k, delivery_id, operator_replay_delivery, error);
}

/* Reads and verifies without the writer, which is held only for what passed. */
static int32_t api_reverify_round(knocker *k, reverify *v, knocker_rows *rows, knocker_error *error)
{
	db *reader;
	int32_t rc = store_reader(k->store, &reader, error);

	if (rc == 0) {
		rc = reverify_read(&k->inbox, reader, v, error);
		store_reader_leave(k->store, reader);
	}
	if (rc == 0 && v->passed > 0 && !v->asked.dry_run)
		rc = api_begin(k, k->full, "verifying again", error);
	else
		return rc < 0 ? rc : reverify_tell(v, rows, error);
	if (rc == 0)
		rc = api_end(k, reverify_store(&k->inbox, store_writer(k->store), v, error), error);
	return rc < 0 ? rc : reverify_tell(v, rows, error);
}

static int32_t api_reverify(knocker *k, const reverify_asked *asked, knocker_rows **out,
                            knocker_error *error)
{
	reverify v = {0};
	db *reader;
	int32_t rc = store_reader(k->store, &reader, error);

	if (rc == 0) {
		rc = reverify_begin(&k->inbox, reader, asked, &v, error);
		store_reader_leave(k->store, reader);
	}
	if (rc == 0)
		rc = rows_new(REVERIFY_COLUMNS, out, error);
	while (rc == 0 && !v.over)
		rc = api_reverify_round(k, &v, *out, error);
	reverify_end(&v);
	return rows_or_none(rc, out);
}

int32_t knocker_reverify(knocker *k, const knocker_request *by, int64_t since_s, int64_t after_id,
                         int64_t limit, int32_t dry_run, knocker_rows **out, knocker_error *error)
{
	knocker_request q;
	int32_t rc = handle_request(by, &q, error);

	if (!out)
		return fail(error, KNOCKER_INVALID_ARGUMENT, "out is NULL");
	*out = NULL;
	if (rc == 0)
		rc = handle_enter_writing(k, error);
	if (rc < 0)
		return rc;
	rc = api_reverify(k,
	                  &(reverify_asked){.endpoint = q.endpoint,
	                                    .provider = q.provider,
	                                    .secrets_json = q.secrets_json,
	                                    .options_json = q.options_json,
	                                    .since_s = since_s,
	                                    .after_id = after_id,
	                                    .limit = limit,
	                                    .dry_run = dry_run != 0},
	                  out, error);
	handle_leave(k);
	return rc;
}

static int32_t api_prune(knocker *k, const knocker_prune *given, bool orphans, prune_counts *counts,
                         knocker_error *error)
{
	knocker_prune p;
	prune_options o;
	int32_t rc = handle_options("prune", given, &p, sizeof p, error);

	if (rc == 0)
		rc = api_begin(k, k ? k->full : false, "a prune", error);
	if (rc < 0)
		return rc;
	o = (prune_options){.statuses_json = handle_bytes(p.statuses_json),
	                    .older_than_s = p.older_than_s,
	                    .limit = p.limit,
	                    .dry_run = p.dry_run != 0};
	rc = orphans ? prune_orphans(&k->inbox, store_writer(k->store), &o, counts, error)
	             : prune_events(&k->inbox, store_writer(k->store), &o, counts, error);
	return api_end(k, rc, error);
}

int32_t knocker_prune_events(knocker *k, const knocker_prune *prune, knocker_rows **out,
                             knocker_error *error)
{
	prune_counts c;
	int32_t rc = out ? api_prune(k, prune, false, &c, error)
	                 : fail(error, KNOCKER_INVALID_ARGUMENT, "out is NULL");

	if (out)
		*out = NULL;
	if (rc == 0)
		rc = rows_new("events_pruned, attempts_pruned, deliveries_pruned, live_jobs_pruned", out,
		              error);
	if (rc == 0)
		rc = rows_add(*out,
		              (const knocker_value[]){INT(c.events), INT(c.attempts), INT(c.deliveries),
		                                      INT(c.live_jobs)},
		              error);
	return out ? rows_or_none(rc, out) : rc;
}

int32_t knocker_prune_orphan_deliveries(knocker *k, const knocker_prune *prune, knocker_rows **out,
                                        knocker_error *error)
{
	prune_counts c;
	int32_t rc = out ? api_prune(k, prune, true, &c, error)
	                 : fail(error, KNOCKER_INVALID_ARGUMENT, "out is NULL");

	if (out)
		*out = NULL;
	if (rc == 0)
		rc = rows_new("deliveries_pruned", out, error);
	if (rc == 0)
		rc = rows_add(*out, (const knocker_value[]){INT(c.deliveries)}, error);
	return out ? rows_or_none(rc, out) : rc;
}

static int32_t api_retain_rows(const prune_counts *e, const prune_counts *o, int64_t next_s,
                               knocker_rows **out, knocker_error *error)
{
	int32_t rc = rows_new("next_at, events_pruned, attempts_pruned, deliveries_pruned, "
	                      "live_jobs_pruned, orphan_deliveries_pruned",
	                      out, error);

	if (rc == 0)
		rc = rows_add(*out,
		              (const knocker_value[]){INT(next_s), INT(e->events), INT(e->attempts),
		                                      INT(e->deliveries), INT(e->live_jobs),
		                                      INT(o->deliveries)},
		              error);
	return rows_or_none(rc, out);
}

int32_t knocker_retain(knocker *k, const knocker_retention *retention, knocker_rows **out,
                       knocker_error *error)
{
	knocker_retention r;
	prune_counts events, orphans;
	int64_t next_s = 0;
	int32_t rc = handle_options("retention", retention, &r, sizeof r, error), rows;

	if (!out)
		return fail(error, KNOCKER_INVALID_ARGUMENT, "out is NULL");
	*out = NULL;
	if (rc == 0)
		rc = api_begin(k, k ? k->full : false, "the retention pass", error);
	if (rc < 0)
		return rc;
	r.statuses_json = handle_bytes(r.statuses_json);
	rc = prune_interval(&k->inbox, store_writer(k->store), &r, &events, &orphans, &next_s, error);
	rc = api_end(k, rc, error);
	if (rc < 0)
		return rc;
	rows = api_retain_rows(&events, &orphans, next_s, out, error);
	return rows < 0 ? rows : rc;
}
#endif

#ifndef KNOCKER_EXTENSION

/* ==== core/src/api_receive.c ==== */

/* The C door for requests: receive, ingest, verify, diagnose, sign. No rule stands here. */
#include <string.h>







static int32_t api_prepare(knocker *k, const knocker_request *request, bool ingest, receipt *r,
                           knocker_error *error)
{
	db *reader = NULL;
	int32_t rc = 0;

	memset(r, 0, sizeof *r);
	r->request = request;
	if (receipt_needs_row(&k->inbox, request, ingest))
		rc = store_reader(k->store, &reader, error);
	if (rc == 0)
		rc = receipt_prepare(&k->inbox, reader, request, ingest, r, error);
	store_reader_leave(k->store, reader);
	return rc;
}

static int32_t api_receive_one(knocker *k, const knocker_request *request, bool ingest,
                               knocker_rows **out, knocker_error *error)
{
	receipt r, *one = &r;
	batch b = {&one, 1};
	int32_t rc = api_prepare(k, request, ingest, &r, error);

	if (rc == 0)
		rc = batch_receive(&k->inbox, k->store, &b, k->full, error);
	if (rc == 0 && r.rc < 0)
		rc = fail(error, r.rc, "%s", r.error.text);
	if (rc == 0)
		rc = rows_new(RECEIPT_COLUMNS, out, error);
	if (rc == 0)
		rc = receipt_row(&r, false, *out, error);
	receipt_free(&r);
	return rc;
}

static int32_t api_receive(knocker *k, const knocker_request *request, bool ingest,
                           knocker_rows **out, knocker_error *error)
{
	knocker_request q;
	int32_t rc;

	if (!out)
		return fail(error, KNOCKER_INVALID_ARGUMENT, "out is NULL");
	*out = NULL;
	rc = handle_request(request, &q, error);
	if (rc == 0)
		rc = handle_enter_writing(k, error);
	if (rc < 0)
		return rc;
	rc = api_receive_one(k, &q, ingest, out, error);
	handle_leave(k);
	return rows_or_none(rc, out);
}

int32_t knocker_receive(knocker *k, const knocker_request *request, knocker_rows **out,
                        knocker_error *error)
{
	return api_receive(k, request, false, out, error);
}

int32_t knocker_ingest(knocker *k, const knocker_request *request, knocker_rows **out,
                       knocker_error *error)
{
	return api_receive(k, request, true, out, error);
}

/* What receive_many holds for its requests, as one block. */
typedef struct {
	knocker_request *requests;
	receipt *receipts;
	receipt **pointers;
	int32_t count;
} api_many;

static int32_t api_many_new(api_many *m, int32_t count, knocker_error *error)
{
	*m = (api_many){.count = count,
	                .requests = memory_get((size_t)count * sizeof *m->requests),
	                .receipts = memory_get((size_t)count * sizeof *m->receipts),
	                .pointers = memory_get((size_t)count * sizeof *m->pointers)};
	if (m->requests)
		memset(m->requests, 0, (size_t)count * sizeof *m->requests);
	if (m->receipts) /* they are freed, also where the others are missing */
		memset(m->receipts, 0, (size_t)count * sizeof *m->receipts);
	return m->requests && m->receipts && m->pointers ? 0 : fail_memory(error);
}

static void api_many_free(api_many *m)
{
	int32_t i;

	for (i = 0; m->receipts && i < m->count; i++)
		receipt_free(&m->receipts[i]);
	memory_free(m->requests);
	memory_free(m->receipts);
	memory_free(m->pointers);
}

static int32_t api_many_run(knocker *k, api_many *m, const knocker_request *const *requests,
                            knocker_rows **out, knocker_error *error)
{
	batch b = {m->pointers, m->count};
	int32_t rc, i;

	for (i = 0; i < m->count; i++) {
		receipt *r = m->pointers[i] = &m->receipts[i];
		knocker_error said = {0};

		rc = handle_request(requests[i], &m->requests[i], &said);
		r->request = &m->requests[i];
		if (rc == 0)
			rc = api_prepare(k, &m->requests[i], false, r, &said);
		r->rc = rc;
		r->error = said;
	}
	rc = batch_receive(&k->inbox, k->store, &b, k->full, error);
	if (rc == 0)
		rc = rows_new(RECEIPT_MANY_COLUMNS, out, error);
	for (i = 0; rc == 0 && i < m->count; i++)
		rc = receipt_row(&m->receipts[i], true, *out, error);
	return rc;
}

int32_t knocker_receive_many(knocker *k, const knocker_request *const *requests, int32_t count,
                             knocker_rows **out, knocker_error *error)
{
	api_many m = {0};
	int32_t rc;

	if (!out)
		return fail(error, KNOCKER_INVALID_ARGUMENT, "out is NULL");
	*out = NULL;
	rc = inbox_range_check("count", count, 1, LIMIT_BATCH_COUNT, error);
	if (rc == 0 && !requests)
		rc = fail(error, KNOCKER_INVALID_ARGUMENT, "requests is NULL");
	if (rc == 0)
		rc = handle_enter_writing(k, error);
	if (rc < 0)
		return rc;
	rc = api_many_new(&m, count, error);
	if (rc == 0)
		rc = api_many_run(k, &m, requests, out, error);
	api_many_free(&m);
	handle_leave(k);
	return rows_or_none(rc, out);
}

/* ---- pure ---- */

/* `now_ms` 0 becomes the system's clock. */
static int32_t api_pure_begin(const knocker_request *request, int64_t *now_ms, knocker_request *q,
                              knocker_rows **out, knocker_error *error)
{
	int32_t rc;

	if (!out)
		return fail(error, KNOCKER_INVALID_ARGUMENT, "out is NULL");
	*out = NULL;
	rc = handle_request(request, q, error);
	if (rc == 0)
		rc = inbox_range_check("now_ms", *now_ms, 0, INT64_MAX / 4, error);
	*now_ms = *now_ms ? *now_ms : clock_wall_ms();
	return rc;
}

int32_t knocker_verify(const knocker_request *request, int64_t now_ms, knocker_rows **out,
                       knocker_error *error)
{
	knocker_request q;
	int32_t rc = api_pure_begin(request, &now_ms, &q, out, error);

	return rc < 0 ? rc : rows_or_none(receipt_verify(&q, now_ms, out, error), out);
}

int32_t knocker_sign(const knocker_request *request, int64_t now_ms, knocker_rows **out,
                     knocker_error *error)
{
	knocker_request q;
	int32_t rc = api_pure_begin(request, &now_ms, &q, out, error);

	return rc < 0 ? rc : rows_or_none(receipt_sign(&q, now_ms, out, error), out);
}

int32_t knocker_diagnose(const knocker_request *request, knocker_bytes others_json, int64_t now_ms,
                         knocker_rows **out, knocker_error *error)
{
	knocker_request q;
	int32_t rc = api_pure_begin(request, &now_ms, &q, out, error);
	diagnose_place place = {.others_json = handle_bytes(others_json), .now_ms = now_ms};

	return rc < 0 ? rc : diagnose_request(&place, &q, out, error);
}

int32_t knocker_diagnose_delivery(knocker *k, int64_t delivery_id, const knocker_request *request,
                                  knocker_bytes others_json, knocker_rows **out,
                                  knocker_error *error)
{
	knocker_request q;
	diagnose_place place = {.others_json = handle_bytes(others_json), .delivery_id = delivery_id};
	int32_t rc;

	if (!out)
		return fail(error, KNOCKER_INVALID_ARGUMENT, "out is NULL");
	*out = NULL;
	rc = handle_request(request, &q, error);
	if (rc == 0)
		rc = inbox_range_check("delivery_id", delivery_id, 1, INT64_MAX, error);
	if (rc == 0)
		rc = handle_enter(k, error);
	if (rc < 0)
		return rc;
	place.known = &k->inbox.registrations;
	rc = store_reader(k->store, &place.reader, error);
	if (rc == 0)
		rc = diagnose_request(&place, &q, out, error);
	store_reader_leave(k->store, place.reader);
	handle_leave(k);
	return rc;
}
#endif

#ifndef KNOCKER_EXTENSION

/* ==== core/src/api_work.c ==== */

/* The C door for workers: claim, begin, run, settle, wait. No rule stands here. */
#include <stddef.h>






/* ---- claiming ---- */

static int32_t api_claim_options(const knocker_claim_options *given, knocker_claim_options *o,
                                 knocker_error *error)
{
	int32_t rc = handle_options("claim_options", given, o, sizeof *o, error);
	knocker_bytes *texts[] = {&o->worker_id, &o->queues_json, &o->endpoints_json};
	size_t i;

	for (i = 0; rc == 0 && i < sizeof texts / sizeof *texts; i++)
		if (texts[i]->data && texts[i]->len < 0)
			*texts[i] = bytes_of(texts[i]->data);
	return rc == 0 ? worker_claim_check(o, error) : rc;
}

/* The writer at NORMAL: claims and what belongs to them need not survive a power cut. */
static int32_t api_write_begin(knocker *k, const char *who, knocker_error *error)
{
	int32_t rc = store_enter(k->store, who, error);

	if (rc < 0)
		return rc;
	rc = db_synchronous(store_writer(k->store), false, error);
	if (rc == 0)
		rc = db_begin(store_writer(k->store), error);
	if (rc < 0)
		store_leave(k->store);
	return rc;
}

/* Leaves a checkpoint to whoever writes next: a claim would pay for it before its handler
 * starts. */
static int32_t api_write_end(knocker *k, int32_t rc, knocker_error *error)
{
	db *d = store_writer(k->store);
	int32_t committed = rc >= 0 ? db_commit(d, error) : 0;

	db_rollback(d);
	store_pass(k->store);
	return committed < 0 ? committed : rc;
}

int32_t knocker_claim(knocker *k, const knocker_claim_options *options, knocker_rows **out,
                      knocker_error *error)
{
	knocker_claim_options o;
	int32_t rc;

	if (!out)
		return fail(error, KNOCKER_INVALID_ARGUMENT, "out is NULL");
	*out = NULL;
	rc = api_claim_options(options, &o, error);
	if (rc == 0)
		rc = handle_enter_writing(k, error);
	if (rc < 0)
		return rc;
	rc = api_write_begin(k, "a claim", error);
	if (rc == 0)
		rc = api_write_end(k, worker_claim(&k->inbox, store_writer(k->store), &o, out, error),
		                   error);
	handle_leave(k);
	if (rc != 0) {
		knocker_rows_free(*out);
		*out = NULL;
	}
	return rc;
}

int32_t knocker_release(knocker *k, int64_t job_id, int64_t claim, knocker_error *error)
{
	int32_t rc = handle_enter_writing(k, error);

	if (rc < 0)
		return rc;
	rc = api_write_begin(k, "a release", error);
	if (rc == 0)
		rc = api_write_end(k,
		                   job_release(store_writer(k->store), job_id, claim,
		                               inbox_now_ms(&k->inbox), error),
		                   error);
	handle_leave(k);
	return rc;
}

/* ---- working ---- */

static int32_t api_work_enter(knocker_work *w, knocker_error *error)
{
	return w ? handle_enter(w->owner, error)
	         : fail(error, KNOCKER_INVALID_ARGUMENT, "the work is NULL");
}

int32_t knocker_work_begin(knocker *k, int64_t job_id, int64_t claim, knocker_work **out,
                           knocker_error *error)
{
	int32_t rc;

	if (!out)
		return fail(error, KNOCKER_INVALID_ARGUMENT, "out is NULL");
	*out = NULL;
	rc = handle_enter_writing(k, error);
	if (rc < 0)
		return rc;
	rc = work_begin(&k->inbox, k->store, job_id, claim, k->settle_full, out, error);
	if (rc == 0)
		handle_work_add(k, *out);
	handle_leave(k);
	return rc;
}

int32_t knocker_work_event(knocker_work *w, knocker_rows **out, knocker_error *error)
{
	int32_t rc = out ? api_work_enter(w, error)
	                 : fail(error, KNOCKER_INVALID_ARGUMENT, "out is NULL");

	if (out)
		*out = NULL;
	if (rc < 0)
		return rc;
	rc = work_event(w, out, error);
	handle_leave(w->owner);
	return rc;
}

int32_t knocker_execute(knocker_work *w, knocker_bytes sql, const knocker_value *values,
                        int32_t count, int64_t *changes, int64_t *last_id, knocker_error *error)
{
	const db_text_statement s = {.sql = handle_bytes(sql), .values = values, .count = count};
	int32_t rc = api_work_enter(w, error);

	if (rc < 0)
		return rc;
	rc = work_run(w, &s, NULL, changes, last_id, error);
	handle_leave(w->owner);
	return rc;
}

int32_t knocker_query(knocker_work *w, knocker_bytes sql, const knocker_value *values,
                      int32_t count, knocker_rows **out, knocker_error *error)
{
	const db_text_statement s = {.sql = handle_bytes(sql), .values = values, .count = count};
	int32_t rc = out ? api_work_enter(w, error)
	                 : fail(error, KNOCKER_INVALID_ARGUMENT, "out is NULL");

	if (out)
		*out = NULL;
	if (rc < 0)
		return rc;
	rc = work_run(w, &s, out, NULL, NULL, error);
	handle_leave(w->owner);
	return rc;
}

static int32_t api_work_receive(knocker_work *w, const knocker_request *request, bool ingest,
                                knocker_rows **out, knocker_error *error)
{
	knocker_request q;
	int32_t rc = out ? handle_request(request, &q, error)
	                 : fail(error, KNOCKER_INVALID_ARGUMENT, "out is NULL");

	if (out)
		*out = NULL;
	if (rc == 0)
		rc = api_work_enter(w, error);
	if (rc < 0)
		return rc;
	rc = work_receive(w, &q, ingest, out, error);
	handle_leave(w->owner);
	return rc;
}

int32_t knocker_work_receive(knocker_work *w, const knocker_request *request, knocker_rows **out,
                             knocker_error *error)
{
	return api_work_receive(w, request, false, out, error);
}

int32_t knocker_work_ingest(knocker_work *w, const knocker_request *request, knocker_rows **out,
                            knocker_error *error)
{
	return api_work_receive(w, request, true, out, error);
}

int32_t knocker_extend(knocker_work *w, int64_t lease_ms, knocker_error *error)
{
	int32_t rc = api_work_enter(w, error);

	if (rc < 0)
		return rc;
	rc = work_extend(w, lease_ms, error);
	handle_leave(w->owner);
	return rc;
}

int32_t knocker_settle(knocker_work *w, int32_t outcome, knocker_bytes reason, int64_t delay_ms,
                       knocker_rows **out, knocker_error *error)
{
	int32_t rc = api_work_enter(w, error);
	knocker *k = w ? w->owner : NULL;

	if (out)
		*out = NULL;
	if (rc < 0)
		return rc;
	if (reason.data && reason.len < 0)
		reason = bytes_of(reason.data);
	rc = work_settle(w, outcome, reason, delay_ms, out, error);
	handle_work_remove(k, w);
	work_free(w);
	handle_leave(k);
	return rc;
}

int32_t knocker_work_free(knocker_work *w)
{
	knocker *k = w ? w->owner : NULL;
	int32_t rc;

	if (!w || handle_enter(k, NULL) < 0)
		return 0;
	rc = work_give_back(w, NULL);
	handle_work_remove(k, w);
	work_free(w);
	handle_leave(k);
	return rc < 0 ? rc : 0;
}

/* ---- waiting ---- */

static int32_t api_next_due(knocker *k, const knocker_claim_options *o, int64_t *due_ms,
                            knocker_error *error)
{
	db *reader;
	int32_t rc = store_reader(k->store, &reader, error);

	if (rc < 0)
		return rc;
	rc = worker_next_due(&k->inbox, reader, o, due_ms, error);
	store_reader_leave(k->store, reader);
	return rc;
}

/* Commits of connections without our functions ring no bell, nor do some file systems. */
#define WAIT_LOOK_MS 1000

/* The bell's generation is read before the look: a commit between the look and the sleep ends the
 * sleep at once. */
static int32_t api_wait(knocker *k, const knocker_claim_options *o, int64_t timeout_ms,
                        knocker_error *error)
{
	int64_t end_ms = clock_monotonic_ms() + timeout_ms;
	bell *b = store_bell(k->store);

	for (;;) {
		int64_t generation = bell_generation(b), due_ms = 0, now_ms, nap_ms;
		int32_t rc;

		rc = api_next_due(k, o, &due_ms, error);
		now_ms = inbox_now_ms(&k->inbox);
		if (rc < 0 || due_ms <= now_ms)
			return rc;
		nap_ms = end_ms - clock_monotonic_ms();
		if (nap_ms <= 0)
			return 1;
		if (nap_ms > WAIT_LOOK_MS)
			nap_ms = WAIT_LOOK_MS;
		if (due_ms - now_ms < nap_ms)
			nap_ms = due_ms - now_ms;
		if (bell_wait(b, generation, nap_ms) == 2 || !atomic_load(&k->open))
			return 2;
	}
}

int32_t knocker_wait(knocker *k, const knocker_claim_options *options, int64_t timeout_ms,
                     knocker_error *error)
{
	knocker_claim_options o;
	int32_t rc = api_claim_options(options, &o, error);

	if (rc == 0)
		rc = inbox_range_check("timeout_ms", timeout_ms, 0, INT64_MAX / 4, error);
	if (rc == 0)
		rc = handle_enter(k, error);
	if (rc < 0)
		return rc;
	rc = api_wait(k, &o, timeout_ms, error);
	handle_leave(k);
	return rc;
}

int32_t knocker_wait_fd(knocker *k, int32_t *fd, knocker_error *error)
{
	int32_t rc = handle_enter(k, error);

	if (rc < 0)
		return rc;
	if (!fd || bell_fd(store_bell(k->store)) < 0)
		rc = fd ? fail(error, KNOCKER_STORAGE,
		               "the system has no file watch left: wait by the clock")
		        : fail(error, KNOCKER_INVALID_ARGUMENT, "fd is NULL");
	else
		*fd = bell_fd(store_bell(k->store));
	handle_leave(k);
	return rc;
}

int32_t knocker_wake(knocker *k)
{
	int32_t rc = handle_enter(k, NULL);

	if (rc < 0)
		return rc;
	bell_stop(store_bell(k->store));
	handle_leave(k);
	return 0;
}
#endif

/* ==== core/src/extension.c ==== */

/* The SQL door: registers every function on a connection, and brackets each call. What a call
 * begins it ends, on every path; in the owner's transaction it joins under a savepoint. The rules
 * stand below. */
/* What the files of the SQL door share; nobody else includes it. */
#ifndef KNOCKER_EXTENSION_PARTS_H
#define KNOCKER_EXTENSION_PARTS_H

#ifdef KNOCKER_EXTENSION
#include <sqlite3ext.h>
SQLITE_EXTENSION_INIT3
#else
#include <sqlite3.h>
#endif



/* What a connection knows: freed with the last of its functions. */
typedef struct {
	sqlite3 *handle;
	db *d;
	inbox inbox;
	int32_t functions;
	bool ready; /* the schema was seen */
} extension;

typedef enum { RESULT_NULL, RESULT_INT, RESULT_JSON } result_kind;

/* One call of one function: its arguments and what it is to give. */
typedef struct {
	extension *x;
	int argc;
	sqlite3_value **argv;
	arena memory;
	result_kind kind;
	int64_t number;
	buffer text;
} call;

typedef int32_t (*extension_function)(call *c, knocker_error *error);
typedef enum {
	CALL_PURE,    /* reads no table */
	CALL_SETTING, /* changes what this connection knows; reads no table */
	CALL_READ,    /* reads tables */
	CALL_WRITE    /* a transaction of its own, or part of the caller's */
} call_mode;
typedef struct {
	const char *name;
	int least, most; /* arguments */
	call_mode mode;
	extension_function run;
} extension_entry;

/* The functions of each file; the last entry has no name. */
KNOCKER_PRIVATE const extension_entry *extension_receiving(void);
KNOCKER_PRIVATE const extension_entry *extension_operating(void);
KNOCKER_PRIVATE const extension_entry *extension_queueing(void);
KNOCKER_PRIVATE int extension_register_providers(sqlite3 *handle); /* the table knocker_providers */

/* ---- arguments: each checks the type and names the argument ---- */

KNOCKER_PRIVATE int32_t call_text(call *c, int at, const char *name, knocker_bytes *out,
                  knocker_error *error); /* NULL or lacking: absent */
KNOCKER_PRIVATE int32_t call_blob(call *c, int at, const char *name, knocker_bytes *out,
                  knocker_error *error); /* BLOB or TEXT */
KNOCKER_PRIVATE bool call_given(const call *c, int at);  /* neither lacking nor NULL */
KNOCKER_PRIVATE int32_t call_int(call *c, int at, const char *name, int64_t missing, int64_t *out,
                 knocker_error *error);
KNOCKER_PRIVATE int32_t call_int_required(call *c, int at, const char *name, int64_t *out, knocker_error *error);
KNOCKER_PRIVATE int32_t call_seconds(call *c, int at, const char *name, int64_t missing_ms, int64_t *out_ms,
                     knocker_error *error);
KNOCKER_PRIVATE int32_t call_truth(call *c, int at, const char *name, int64_t missing, int64_t *out,
                   knocker_error *error); /* 0 or 1 */
/* A JSON object of headers as lines, one of query members as a raw query; a JSON string is a raw
 * query already. */
KNOCKER_PRIVATE int32_t call_headers(call *c, int at, knocker_bytes *out, knocker_error *error);
KNOCKER_PRIVATE int32_t call_query(call *c, int at, knocker_bytes *out, knocker_error *error);

/* ---- results ---- */

KNOCKER_PRIVATE void call_give_int(call *c, int64_t number);
/* Rows as JSON: one object, or a list of objects. Header lines become an object. */
KNOCKER_PRIVATE int32_t call_give_rows(call *c, knocker_rows *rows, bool list, knocker_error *error);

#endif


#include <string.h>



#ifdef KNOCKER_EXTENSION
SQLITE_EXTENSION_INIT1
#endif

/* One function of one connection. */
typedef struct {
	extension *x;
	const extension_entry *entry;
} extension_binding;

/* ---- a writing call ---- */

/* INSERT ... SELECT f(), CREATE TABLE AS, UPDATE ... RETURNING f(): a statement that writes is
 * under way, and would be torn apart by a transaction that begins and ends within it. */
static bool extension_writer_under_way(sqlite3 *handle)
{
	sqlite3_stmt *s;

	for (s = sqlite3_next_stmt(handle, NULL); s; s = sqlite3_next_stmt(handle, s))
		if (sqlite3_stmt_busy(s) && !sqlite3_stmt_readonly(s))
			return true;
	return false;
}

static int32_t extension_close_own(call *c, int32_t rc, knocker_error *error)
{
	if (rc >= 0)
		rc = db_commit(c->x->d, error);
	db_rollback(c->x->d);
	return rc;
}

static int32_t extension_close_joined(call *c, int32_t rc, knocker_error *error)
{
	if (!db_in_transaction(c->x->d))
		return fail(error, rc < 0 ? rc : KNOCKER_STORAGE,
		            "SQLite rolled the whole transaction back%s%.160s", rc < 0 ? ": " : "",
		            rc < 0 && error ? error->text : "");
	if (rc >= 0)
		return db_savepoint_release(c->x->d, error);
	db_savepoint_rollback(c->x->d);
	return rc;
}

static int32_t extension_write(call *c, const extension_entry *entry, knocker_error *error)
{
	extension *x = c->x;
	sqlite3_int64 rowid = sqlite3_last_insert_rowid(x->handle);
	bool own = sqlite3_get_autocommit(x->handle) != 0;
	int32_t rc;

	if (extension_writer_under_way(x->handle))
		return fail(
			error, KNOCKER_INVALID_ARGUMENT,
			"%s() cannot be called while a statement that writes is under way: call it in a SELECT of its own",
			entry->name);
	rc = own ? db_begin(x->d, error) : db_savepoint(x->d, error);
	if (rc < 0)
		return rc;
	rc = entry->run(c, error);
	rc = own ? extension_close_own(c, rc, error) : extension_close_joined(c, rc, error);
	sqlite3_set_last_insert_rowid(x->handle, rowid);
	return rc;
}

/* ---- any call ---- */

static int32_t extension_run(call *c, const extension_entry *entry, knocker_error *error)
{
	bool bootstraps = strcmp(entry->name, "knocker_bootstrap") == 0;
	int32_t rc = 0;

	if (c->argc < entry->least || c->argc > entry->most)
		return fail(error, KNOCKER_INVALID_ARGUMENT, "%s() takes %d to %d arguments, not %d",
		            entry->name, entry->least, entry->most, c->argc);
	if (entry->mode == CALL_PURE || entry->mode == CALL_SETTING)
		return entry->run(c, error);
	if (!c->x->ready && !bootstraps)
		rc = schema_check(c->x->d, error);
	if (rc < 0)
		return rc;
	/* What the owner's transaction has made it may still take back. */
	c->x->ready = c->x->ready || (!bootstraps && !db_in_transaction(c->x->d));
	return entry->mode == CALL_READ ? entry->run(c, error) : extension_write(c, entry, error);
}

static void extension_result(sqlite3_context *context, const call *c)
{
	knocker_bytes text = buffer_view(&c->text);

	if (c->kind == RESULT_JSON)
		sqlite3_result_text64(context, text.data, (sqlite3_uint64)text.len, SQLITE_TRANSIENT,
		                      SQLITE_UTF8);
	else if (c->kind == RESULT_INT)
		sqlite3_result_int64(context, c->number);
	else
		sqlite3_result_null(context);
}

static void extension_fail(sqlite3_context *context, int32_t rc, const knocker_error *error)
{
	char text[sizeof error->text + 32];

	sqlite3_snprintf(sizeof text, text, "%s: %s", error_name(rc), error->text);
	sqlite3_result_error(context, text, -1);
	if (rc == KNOCKER_BUSY)
		sqlite3_result_error_code(context, SQLITE_BUSY);
}

static void extension_call(sqlite3_context *context, int argc, sqlite3_value **argv)
{
	const extension_binding *binding = sqlite3_user_data(context);
	knocker_error error = {0};
	call c = {.x = binding->x, .argc = argc, .argv = argv};
	int32_t rc;

	buffer_init(&c.text, LIMIT_LIST_BYTES);
	rc = extension_run(&c, binding->entry, &error);
	if (rc >= 0 && c.text.failed)
		rc = fail_memory(&error);
	if (rc < 0)
		extension_fail(context, rc, &error);
	else
		extension_result(context, &c);
	buffer_free(&c.text);
	arena_free(&c.memory);
}

/* ---- registering ---- */

static void extension_leave(extension *x)
{
	if (--x->functions > 0)
		return;
	inbox_end(&x->inbox);
	db_close(x->d);
	memory_free(x);
}

static void extension_binding_free(void *memory)
{
	extension_binding *binding = memory;

	extension_leave(binding->x);
	memory_free(binding);
}

static int extension_register_one(extension *x, const extension_entry *entry)
{
	int flags = SQLITE_UTF8 | (entry->mode == CALL_READ ? 0 : SQLITE_DIRECTONLY);
	extension_binding *binding = memory_get(sizeof *binding);

	if (!binding)
		return SQLITE_NOMEM;
	*binding = (extension_binding){x, entry};
	x->functions++;
	return sqlite3_create_function_v2(x->handle, entry->name, -1, flags, binding, extension_call,
	                                  NULL, NULL, extension_binding_free);
}

static int extension_register(extension *x)
{
	const extension_entry *const tables[] = {extension_receiving(), extension_operating(),
	                                         extension_queueing()};
	int rc = extension_register_providers(x->handle);
	size_t i;

	for (i = 0; i < sizeof tables / sizeof *tables; i++) {
		const extension_entry *entry;

		for (entry = tables[i]; rc == SQLITE_OK && entry->name; entry++)
			rc = extension_register_one(x, entry);
	}
	return rc;
}

/* Registers the functions on a connection. */
static int extension_attach(sqlite3 *handle, char **message)
{
	knocker_error error = {0};
	extension *x = memory_get(sizeof *x);
	int rc = SQLITE_ERROR;

	if (!x)
		return SQLITE_NOMEM;
	memset(x, 0, sizeof *x);
	x->handle = handle;
	x->functions = 1; /* this function's own hold */
	inbox_init(&x->inbox);
	if (db_adopt(handle, &x->d, &error) == 0)
		rc = extension_register(x);
	else if (message)
		*message = sqlite3_mprintf("knocker: %s", error.text);
	extension_leave(x);
	return rc;
}

#ifdef KNOCKER_EXTENSION

__attribute__((visibility("default"))) int sqlite3_knocker_init(sqlite3 *handle, char **message,
                                                                const sqlite3_api_routines *api);

/* SQLite would unload us with the last connection, and what is compiled once a process, the
 * built-in schemes, would be lost and made anew with the next one. */
int sqlite3_knocker_init(sqlite3 *handle, char **message, const sqlite3_api_routines *api)
{
	int rc;

	SQLITE_EXTENSION_INIT2(api);
	rc = extension_attach(handle, message);
	return rc == SQLITE_OK ? SQLITE_OK_LOAD_PERMANENTLY : rc;
}

#else

/* For each connection that the process opens. A failure here would fail every open of the process,
 * so there is none: a connection without memory for the functions lacks them, and says so. */
static int extension_autoload(sqlite3 *handle, char **message, const void *api)
{
	(void)message;
	(void)api;
	extension_attach(handle, NULL);
	return SQLITE_OK;
}

int32_t knocker_autoload(knocker_error *error)
{
	union {
		int (*takes_handle)(sqlite3 *, char **, const void *);
		void (*takes_nothing)(void);
	} entry = {.takes_handle = extension_autoload};

	if (sqlite3_auto_extension(entry.takes_nothing) != SQLITE_OK)
		return fail_memory(error);
	return 0;
}

#endif

/* ==== core/src/extension_arguments.c ==== */

/* Arguments of SQL functions, checked and named, and results as JSON. */


#include <string.h>




/* ---- scalars ---- */

static const char *call_type_name(int type)
{
	static const char *const names[] = {"",     "an integer", "a real number",
	                                    "text", "a blob",     "null"};

	return names[type];
}

static int call_type(const call *c, int at)
{
	return at < c->argc ? sqlite3_value_type(c->argv[at]) : SQLITE_NULL;
}

static int32_t call_type_fail(const call *c, int at, const char *name, const char *wanted,
                              knocker_error *error)
{
	return fail(error, KNOCKER_INVALID_ARGUMENT, "%s is %s: %s is needed", name,
	            call_type_name(call_type(c, at)), wanted);
}

bool call_given(const call *c, int at)
{
	return call_type(c, at) != SQLITE_NULL;
}

static knocker_bytes call_value(const call *c, int at)
{
	const void *data = call_type(c, at) == SQLITE_BLOB ? sqlite3_value_blob(c->argv[at])
	                                                   : sqlite3_value_text(c->argv[at]);

	return (knocker_bytes){data ? data : "", sqlite3_value_bytes(c->argv[at])};
}

int32_t call_text(call *c, int at, const char *name, knocker_bytes *out, knocker_error *error)
{
	*out = (knocker_bytes){0};
	if (!call_given(c, at))
		return 0;
	if (call_type(c, at) != SQLITE_TEXT)
		return call_type_fail(c, at, name, "text", error);
	*out = call_value(c, at);
	return 0;
}

int32_t call_blob(call *c, int at, const char *name, knocker_bytes *out, knocker_error *error)
{
	*out = (knocker_bytes){0};
	if (!call_given(c, at))
		return 0;
	if (call_type(c, at) != SQLITE_TEXT && call_type(c, at) != SQLITE_BLOB)
		return call_type_fail(c, at, name, "a blob or text", error);
	*out = call_value(c, at);
	return 0;
}

/* better-sqlite3 and other drivers bind each number as a double: one that is whole, and held
 * exactly (53 bits), is an integer. */
static bool call_whole(const call *c, int at, int64_t *out)
{
	double real = sqlite3_value_double(c->argv[at]);

	if (call_type(c, at) == SQLITE_INTEGER) {
		*out = sqlite3_value_int64(c->argv[at]);
		return true;
	}
	if (call_type(c, at) != SQLITE_FLOAT || !(real >= -0x1p53 && real <= 0x1p53))
		return false;
	*out = (int64_t)real;
	return (double)*out == real;
}

int32_t call_int(call *c, int at, const char *name, int64_t missing, int64_t *out,
                 knocker_error *error)
{
	*out = missing;
	if (!call_given(c, at))
		return 0;
	return call_whole(c, at, out) ? 0 : call_type_fail(c, at, name, "an integer", error);
}

int32_t call_int_required(call *c, int at, const char *name, int64_t *out, knocker_error *error)
{
	*out = 0;
	if (!call_given(c, at))
		return call_type_fail(c, at, name, "an integer", error);
	return call_int(c, at, name, 0, out, error);
}

int32_t call_truth(call *c, int at, const char *name, int64_t missing, int64_t *out,
                   knocker_error *error)
{
	int32_t rc = call_int(c, at, name, missing, out, error);

	return rc < 0 || !call_given(c, at) ? rc : inbox_range_check(name, *out, 0, 1, error);
}

int32_t call_seconds(call *c, int at, const char *name, int64_t missing_ms, int64_t *out_ms,
                     knocker_error *error)
{
	double seconds;

	*out_ms = missing_ms;
	if (!call_given(c, at))
		return 0;
	if (call_type(c, at) != SQLITE_INTEGER && call_type(c, at) != SQLITE_FLOAT)
		return call_type_fail(c, at, name, "a number of seconds", error);
	seconds = sqlite3_value_double(c->argv[at]);
	if (!(seconds >= 0) || seconds > 1e12)
		return fail(error, KNOCKER_INVALID_ARGUMENT, "%s is %g: not between 0 and 1e12 seconds",
		            name, seconds);
	*out_ms = call_type(c, at) == SQLITE_INTEGER ? sqlite3_value_int64(c->argv[at]) * 1000
	                                             : (int64_t)(seconds * 1000 + 0.5);
	return 0;
}

/* ---- headers and query, as JSON ---- */

/* Writes one name and value into the text that is being made. */
typedef void (*call_pair)(buffer *out, knocker_bytes name, knocker_bytes value);

static void call_header_pair(buffer *out, knocker_bytes name, knocker_bytes value)
{
	buffer_bytes(out, name);
	buffer_text(out, ": ");
	buffer_bytes(out, value);
	buffer_text(out, "\n");
}

static void call_percent(buffer *out, knocker_bytes text)
{
	static const char hex[] = "0123456789ABCDEF";
	const uint8_t *s = text.data;
	int64_t i;

	for (i = 0; i < text.len; i++) {
		const char escape[3] = {'%', hex[s[i] >> 4], hex[s[i] & 15]};
		bool plain = (s[i] >= 'a' && s[i] <= 'z') || (s[i] >= 'A' && s[i] <= 'Z') ||
		             (s[i] >= '0' && s[i] <= '9') || s[i] == '-' || s[i] == '_' || s[i] == '.' ||
		             s[i] == '~';

		if (plain)
			buffer_add(out, &s[i], 1);
		else
			buffer_add(out, escape, sizeof escape);
	}
}

static void call_query_pair(buffer *out, knocker_bytes name, knocker_bytes value)
{
	if (out->len > 0)
		buffer_text(out, "&");
	call_percent(out, name);
	buffer_text(out, "=");
	call_percent(out, value);
}

/* A value that ends its line would be read as another header. */
static int32_t call_pair_check(const char *what, knocker_bytes name, knocker_bytes value,
                               knocker_error *error)
{
	if (bytes_find(name, '\n') >= 0 || bytes_find(name, '\r') >= 0 ||
	    bytes_find(value, '\n') >= 0 || bytes_find(value, '\r') >= 0)
		return fail(error, KNOCKER_INVALID_ARGUMENT, "%s: '%.*s' holds a line break", what,
		            QUOTED(name));
	return 0;
}

static int32_t call_member(const char *what, const json *member, call_pair pair, buffer *out,
                           knocker_error *error)
{
	const json *each = json_kind(member) == JSON_ARRAY ? json_first(member) : member;
	bool list = json_kind(member) == JSON_ARRAY;
	int32_t rc = 0;

	if (json_kind(member) == JSON_NULL)
		return 0;
	for (; rc == 0 && each; each = list ? json_next(each) : NULL) {
		if (json_kind(each) != JSON_TEXT)
			return fail(error, KNOCKER_INVALID_ARGUMENT,
			            "%s: the value of '%.*s' is neither text nor a list of texts", what,
			            QUOTED(json_name(member)));
		rc = pair == call_header_pair
		         ? call_pair_check(what, json_name(member), json_text(each), error)
		         : 0;
		if (rc == 0)
			pair(out, json_name(member), json_text(each));
	}
	return rc;
}

/* Keeps the text that was made until the call is over. */
static int32_t call_keep(call *c, buffer *made, knocker_bytes *out, knocker_error *error)
{
	bool kept = !made->failed && arena_copy(&c->memory, buffer_view(made), out);

	buffer_free(made);
	return kept ? 0 : fail_memory(error);
}

static int32_t call_pairs(call *c, int at, const char *name, call_pair pair, knocker_bytes *out,
                          knocker_error *error)
{
	knocker_bytes text;
	json *parsed = NULL;
	const json *member;
	buffer made;
	int32_t rc = call_text(c, at, name, &text, error);

	*out = (knocker_bytes){0};
	if (rc < 0 || !text.data)
		return rc;
	rc = json_parse(name, text, &parsed, error);
	if (rc < 0)
		return rc;
	buffer_init(&made, LIMIT_JSON * 4);
	if (pair == call_query_pair && json_kind(parsed) == JSON_TEXT)
		buffer_bytes(&made, json_text(parsed));
	else if (json_kind(parsed) != JSON_OBJECT && json_kind(parsed) != JSON_NULL)
		rc = fail(error, KNOCKER_INVALID_ARGUMENT, "%s is not a JSON object", name);
	else
		for (member = json_first(parsed); rc == 0 && member; member = json_next(member))
			rc = call_member(name, member, pair, &made, error);
	json_free(parsed);
	if (rc == 0)
		return call_keep(c, &made, out, error);
	buffer_free(&made);
	return rc;
}

int32_t call_headers(call *c, int at, knocker_bytes *out, knocker_error *error)
{
	return call_pairs(c, at, "headers_json", call_header_pair, out, error);
}

int32_t call_query(call *c, int at, knocker_bytes *out, knocker_error *error)
{
	return call_pairs(c, at, "query_json", call_query_pair, out, error);
}

/* ---- results ---- */

void call_give_int(call *c, int64_t number)
{
	c->kind = RESULT_INT;
	c->number = number;
}

/* Header lines as an object; of a name that comes twice the last value. */
static void call_lines(buffer *out, knocker_bytes lines)
{
	knocker_bytes name, value;
	size_t at = 0;
	bool first = true;

	buffer_text(out, "{");
	while (request_header_next(lines, &at, &name, &value)) {
		buffer_text(out, first ? "" : ",");
		buffer_json(out, name);
		buffer_text(out, ":");
		buffer_json(out, value);
		first = false;
	}
	buffer_text(out, "}");
}

static void call_real(buffer *out, double real)
{
	char text[40];

	sqlite3_snprintf(sizeof text, text, "%!.17g", real);
	buffer_text(out, text);
}

static void call_cell(buffer *out, const char *name, const knocker_value *v)
{
	if (v->type == KNOCKER_INTEGER)
		buffer_int(out, v->integer);
	else if (v->type == KNOCKER_REAL)
		call_real(out, v->real);
	else if (v->type == KNOCKER_NULL)
		buffer_text(out, "null");
	else if (strcmp(name, "response_headers") == 0)
		call_lines(out, v->bytes);
	else
		buffer_json(out, v->bytes);
}

static void call_object(buffer *out, const knocker_rows *rows)
{
	knocker_value v;
	int32_t i;

	buffer_text(out, "{");
	for (i = 0; i < knocker_rows_columns(rows); i++) {
		const char *name = knocker_rows_name(rows, i);

		buffer_text(out, i ? "," : "");
		buffer_json(out, bytes_of(name));
		buffer_text(out, ":");
		knocker_rows_value(rows, i, &v);
		call_cell(out, name, &v);
	}
	buffer_text(out, "}");
}

int32_t call_give_rows(call *c, knocker_rows *rows, bool list, knocker_error *error)
{
	bool first = true;

	c->kind = RESULT_JSON;
	buffer_text(&c->text, list ? "[" : "");
	while (knocker_rows_next(rows) == 0 && (list || first)) {
		buffer_text(&c->text, first ? "" : ",");
		call_object(&c->text, rows);
		first = false;
	}
	buffer_text(&c->text, list ? "]" : "");
	knocker_rows_free(rows);
	return c->text.failed ? fail_memory(error) : 0;
}

/* ==== core/src/extension_operate.c ==== */

/* The SQL door: ignore, replay, requeue, reverify, why, stats, prune. */






static int32_t sql_ignore(call *c, knocker_error *error)
{
	knocker_bytes reason;
	int64_t event_id;
	int32_t rc = call_int_required(c, 0, "event_id", &event_id, error);

	if (rc == 0)
		rc = call_text(c, 1, "reason", &reason, error);
	return rc < 0 ? rc : operator_ignore(&c->x->inbox, c->x->d, event_id, reason, error);
}

static int32_t sql_again(call *c, const char *what,
                         int32_t (*act)(inbox *, db *, int64_t, const operator_again *,
                                        knocker_error *),
                         knocker_error *error)
{
	operator_again a = {0};
	int64_t id;
	int32_t rc = call_int_required(c, 0, what, &id, error);

	if (rc == 0)
		rc = call_text(c, 1, "queue_name", &a.queue, error);
	if (rc == 0)
		rc = call_int(c, 2, "max_attempts", 0, &a.max_attempts, error);
	return rc < 0 ? rc : act(&c->x->inbox, c->x->d, id, &a, error);
}

static int32_t sql_replay(call *c, knocker_error *error)
{
	return sql_again(c, "event_id", operator_replay, error);
}

static int32_t sql_requeue(call *c, knocker_error *error)
{
	return sql_again(c, "event_id", operator_requeue, error);
}

static int32_t sql_replay_delivery(call *c, knocker_error *error)
{
	return sql_again(c, "delivery_id", operator_replay_delivery, error);
}

static int32_t sql_reset_event(call *c, knocker_error *error)
{
	int64_t event_id;
	int32_t rc = call_int_required(c, 0, "event_id", &event_id, error);

	return rc < 0 ? rc : operator_reset(&c->x->inbox, c->x->d, event_id, error);
}

static int32_t sql_reverify_arguments(call *c, reverify_asked *a, knocker_error *error)
{
	int64_t dry_run = 0;
	int32_t rc = call_text(c, 0, "endpoint", &a->endpoint, error);

	if (rc == 0)
		rc = call_int(c, 1, "since", 0, &a->since_s, error);
	if (rc == 0)
		rc = call_int(c, 2, "limit", 0, &a->limit, error);
	if (rc == 0 && call_given(c, 2))
		rc = inbox_range_check("limit", a->limit, 1, LIMIT_LIST, error);
	if (rc == 0)
		rc = call_truth(c, 3, "dry_run", 0, &dry_run, error);
	if (rc == 0)
		rc = call_int(c, 4, "after_id", 0, &a->after_id, error);
	if (rc == 0)
		rc = call_text(c, 5, "provider", &a->provider, error);
	if (rc == 0)
		rc = call_text(c, 6, "secrets_json", &a->secrets_json, error);
	if (rc == 0)
		rc = call_text(c, 7, "options_json", &a->options_json, error);
	a->dry_run = dry_run != 0;
	return rc;
}

/* One transaction, as every function of this door: for many orphans, call it for some at a time. */
static int32_t sql_reverify(call *c, knocker_error *error)
{
	reverify_asked asked = {0};
	reverify v = {0};
	knocker_rows *rows = NULL;
	int32_t rc = sql_reverify_arguments(c, &asked, error);

	if (rc == 0)
		rc = reverify_begin(&c->x->inbox, c->x->d, &asked, &v, error);
	if (rc == 0)
		rc = rows_new(REVERIFY_COLUMNS, &rows, error);
	while (rc == 0 && !v.over) {
		rc = reverify_read(&c->x->inbox, c->x->d, &v, error);
		if (rc == 0 && v.passed > 0 && !asked.dry_run)
			rc = reverify_store(&c->x->inbox, c->x->d, &v, error);
		if (rc == 0)
			rc = reverify_tell(&v, rows, error);
	}
	reverify_end(&v);
	if (rc == 0)
		return call_give_rows(c, rows, true, error);
	knocker_rows_free(rows);
	return rc;
}

static int32_t sql_why(call *c, knocker_error *error)
{
	knocker_rows *rows;
	int64_t event_id;
	int32_t rc = call_int_required(c, 0, "event_id", &event_id, error);

	if (rc == 0)
		rc = look_why(&c->x->inbox, c->x->d, event_id, &rows, error);
	return rc < 0 ? rc : call_give_rows(c, rows, false, error);
}

static int32_t sql_stats(call *c, knocker_error *error)
{
	knocker_rows *rows;
	int32_t rc = look_stats(&c->x->inbox, c->x->d, &rows, error);

	return rc < 0 ? rc : call_give_rows(c, rows, true, error);
}

/* ---- prune ---- */

static void sql_count(buffer *out, const char *name, int64_t count, const char *after)
{
	buffer_text(out, "\"");
	buffer_text(out, name);
	buffer_text(out, "\":");
	buffer_int(out, count);
	buffer_text(out, after);
}

static void sql_give_event_counts(buffer *out, const prune_counts *counts)
{
	buffer_text(out, "{");
	sql_count(out, "events_pruned", counts->events, ",");
	sql_count(out, "attempts_pruned", counts->attempts, ",");
	sql_count(out, "deliveries_pruned", counts->deliveries, ",");
	sql_count(out, "live_jobs_pruned", counts->live_jobs, "}");
}

static void sql_give_orphan_counts(buffer *out, const prune_counts *counts)
{
	buffer_text(out, "{");
	sql_count(out, "deliveries_pruned", counts->deliveries, "}");
}

/* older_than and limit, at `at` and after it; a limit of NULL is none. */
static int32_t sql_prune_bounds(call *c, int at, const char *what, prune_options *o,
                                knocker_error *error)
{
	int32_t rc = call_int_required(c, at, what, &o->older_than_s, error);

	if (rc == 0)
		rc = call_int(c, at + 1, "limit", 0, &o->limit, error);
	if (rc == 0 && call_given(c, at + 1))
		rc = inbox_range_check("limit", o->limit, 1, INT64_MAX, error);
	return rc;
}

static int32_t sql_prune_rest(call *c, int at, prune_options *o, knocker_error *error)
{
	int64_t dry_run;
	int32_t rc = call_text(c, at, "queue_name", &o->queue_name, error);

	if (rc == 0)
		rc = call_truth(c, at + 1, "dry_run", 0, &dry_run, error);
	o->dry_run = rc == 0 && dry_run != 0;
	return rc;
}

static int32_t sql_prune_events(call *c, knocker_error *error)
{
	prune_options o = {0};
	prune_counts counts;
	int32_t rc = call_text(c, 0, "statuses_json", &o.statuses_json, error);

	if (rc == 0)
		rc = sql_prune_bounds(c, 1, "older_than", &o, error);
	if (rc == 0)
		rc = sql_prune_rest(c, 3, &o, error);
	if (rc == 0)
		rc = prune_events(&c->x->inbox, c->x->d, &o, &counts, error);
	c->kind = RESULT_JSON;
	if (rc == 0)
		sql_give_event_counts(&c->text, &counts);
	return rc;
}

static int32_t sql_prune_orphans(call *c, knocker_error *error)
{
	prune_options o = {0};
	prune_counts counts;
	int32_t rc = sql_prune_bounds(c, 0, "older_than", &o, error);

	if (rc == 0)
		rc = sql_prune_rest(c, 2, &o, error);
	if (rc == 0)
		rc = prune_orphans(&c->x->inbox, c->x->d, &o, &counts, error);
	c->kind = RESULT_JSON;
	if (rc == 0)
		sql_give_orphan_counts(&c->text, &counts);
	return rc;
}

/* Both prunes as one; a cutoff of NULL leaves its part out. */
static int32_t sql_retention_pass(call *c, knocker_error *error)
{
	prune_options events = {0}, orphans = {0};
	prune_counts event_counts = {0}, orphan_counts = {0};
	int32_t rc = call_text(c, 0, "statuses_json", &events.statuses_json, error);

	if (rc == 0)
		rc = call_text(c, 5, "queue_name", &events.queue_name, error);
	orphans.queue_name = events.queue_name;
	if (rc == 0 && call_given(c, 1))
		rc = sql_prune_bounds(c, 1, "event_cutoff", &events, error);
	if (rc == 0 && call_given(c, 1))
		rc = prune_events(&c->x->inbox, c->x->d, &events, &event_counts, error);
	if (rc == 0 && call_given(c, 3))
		rc = sql_prune_bounds(c, 3, "orphan_cutoff", &orphans, error);
	if (rc == 0 && call_given(c, 3))
		rc = prune_orphans(&c->x->inbox, c->x->d, &orphans, &orphan_counts, error);
	c->kind = RESULT_JSON;
	buffer_text(&c->text, "{\"events\":");
	sql_give_event_counts(&c->text, &event_counts);
	buffer_text(&c->text, ",\"orphan_deliveries\":");
	sql_give_orphan_counts(&c->text, &orphan_counts);
	buffer_text(&c->text, "}");
	return rc;
}

static const extension_entry operating_entries[] = {
	{"knocker_ignore", 1, 2, CALL_WRITE, sql_ignore},
	{"knocker_replay", 1, 3, CALL_WRITE, sql_replay},
	{"knocker_requeue", 1, 3, CALL_WRITE, sql_requeue},
	{"knocker_replay_delivery", 1, 3, CALL_WRITE, sql_replay_delivery},
	{"knocker_reverify", 3, 8, CALL_WRITE, sql_reverify},
	{"knocker_reset_event", 1, 1, CALL_WRITE, sql_reset_event},
	{"knocker_why", 1, 1, CALL_READ, sql_why},
	{"knocker_stats", 0, 0, CALL_READ, sql_stats},
	{"knocker_prune_events", 4, 5, CALL_WRITE, sql_prune_events},
	{"knocker_prune_orphan_deliveries", 3, 4, CALL_WRITE, sql_prune_orphans},
	{"knocker_run_retention_pass", 6, 6, CALL_WRITE, sql_retention_pass},
	{NULL, 0, 0, CALL_PURE, NULL},
};

const extension_entry *extension_operating(void)
{
	return operating_entries;
}

/* ==== core/src/extension_providers.c ==== */

/* The SQL door: `select * from knocker_providers`, the built-ins as a table that is always
 * there. */


#include <string.h>



typedef struct {
	sqlite3_vtab_cursor base;
	int32_t at;
	scheme_info info; /* of the row `at` */
} providers_cursor;

static int providers_connect(sqlite3 *handle, void *context, int argc, const char *const *argv,
                             sqlite3_vtab **out, char **message)
{
	int rc = sqlite3_declare_vtab(handle,
	                              "create table x(name text, version text, title text, kind text, "
	                              "has_replay_window integer, options_json text, curated integer)");

	(void)context;
	(void)argc;
	(void)argv;
	(void)message;
	if (rc != SQLITE_OK)
		return rc;
	*out = memory_get(sizeof **out);
	if (!*out)
		return SQLITE_NOMEM;
	memset(*out, 0, sizeof **out);
	return SQLITE_OK;
}

static int providers_disconnect(sqlite3_vtab *table)
{
	memory_free(table);
	return SQLITE_OK;
}

/* There is one way to read it: from the first row to the last. */
static int providers_best_index(sqlite3_vtab *table, sqlite3_index_info *info)
{
	(void)table;
	info->estimatedCost = 100;
	info->estimatedRows = scheme_builtin_count();
	return SQLITE_OK;
}

static int providers_open(sqlite3_vtab *table, sqlite3_vtab_cursor **out)
{
	providers_cursor *c = memory_get(sizeof *c);

	(void)table;
	if (!c)
		return SQLITE_NOMEM;
	memset(c, 0, sizeof *c);
	*out = &c->base;
	return SQLITE_OK;
}

static int providers_close(sqlite3_vtab_cursor *cursor)
{
	memory_free(cursor);
	return SQLITE_OK;
}

static int providers_read(providers_cursor *c)
{
	knocker_error error = {0};

	if (c->at >= scheme_builtin_count() || scheme_builtin_info(c->at, &c->info, &error) == 0)
		return SQLITE_OK;
	c->base.pVtab->zErrMsg = sqlite3_mprintf("%s: %s", error_name(error.code), error.text);
	return SQLITE_ERROR;
}

static int providers_filter(sqlite3_vtab_cursor *cursor, int index, const char *text, int argc,
                            sqlite3_value **argv)
{
	providers_cursor *c = (providers_cursor *)cursor;

	(void)index;
	(void)text;
	(void)argc;
	(void)argv;
	c->at = 0;
	return providers_read(c);
}

static int providers_next(sqlite3_vtab_cursor *cursor)
{
	providers_cursor *c = (providers_cursor *)cursor;

	c->at++;
	return providers_read(c);
}

static int providers_eof(sqlite3_vtab_cursor *cursor)
{
	return ((providers_cursor *)cursor)->at >= scheme_builtin_count();
}

static int providers_column(sqlite3_vtab_cursor *cursor, sqlite3_context *context, int column)
{
	const scheme_info *info = &((providers_cursor *)cursor)->info;
	const char *const texts[] = {info->name, info->version, info->title,
	                             info->kind, NULL,          info->options_json};

	if (column == 4 || column == 6)
		sqlite3_result_int(context, column == 4 ? info->has_replay_window : info->curated);
	else
		sqlite3_result_text(context, texts[column], -1, SQLITE_STATIC);
	return SQLITE_OK;
}

static int providers_rowid(sqlite3_vtab_cursor *cursor, sqlite3_int64 *out)
{
	*out = ((providers_cursor *)cursor)->at + 1;
	return SQLITE_OK;
}

int extension_register_providers(sqlite3 *handle)
{
	static const sqlite3_module module = {
		.xConnect = providers_connect,
		.xBestIndex = providers_best_index,
		.xDisconnect = providers_disconnect,
		.xOpen = providers_open,
		.xClose = providers_close,
		.xFilter = providers_filter,
		.xNext = providers_next,
		.xEof = providers_eof,
		.xColumn = providers_column,
		.xRowid = providers_rowid,
	};

	return sqlite3_create_module_v2(handle, "knocker_providers", &module, NULL, NULL);
}

/* ==== core/src/extension_queue.c ==== */

/* The SQL door: the queue, and the marks by which an application that writes the worker's step
 * itself settles an event. */


#include <string.h>






/* ---- plain jobs ---- */

/* A delay wins over a date, as users of the queue know it. */
static int32_t sql_enqueue_due(call *c, int64_t *due_ms, knocker_error *error)
{
	int64_t now_ms = inbox_now_ms(&c->x->inbox), delay_ms;
	int32_t rc = call_seconds(c, 2, "run_at", now_ms, due_ms, error);

	if (rc == 0)
		rc = call_seconds(c, 3, "delay", -1, &delay_ms, error);
	if (rc == 0 && delay_ms >= 0)
		*due_ms = now_ms + delay_ms;
	return rc;
}

static int32_t sql_enqueue(call *c, knocker_error *error)
{
	int64_t due_ms, priority, max_attempts, expires_ms, id, last;
	knocker_bytes queue, payload;
	int32_t rc = call_text(c, 0, "queue", &queue, error);

	if (rc == 0)
		rc = inbox_name_check("queue", queue, error);
	if (rc == 0)
		rc = call_text(c, 1, "payload", &payload, error);
	if (rc == 0)
		rc = sql_enqueue_due(c, &due_ms, error);
	if (rc == 0)
		rc = call_int(c, 4, "priority", 0, &priority, error);
	if (rc == 0)
		rc = inbox_range_check("priority", priority, 0, INT32_MAX, error);
	if (rc == 0)
		rc = call_int(c, 5, "max_attempts", c->x->inbox.max_attempts, &max_attempts, error);
	if (rc == 0)
		rc = inbox_range_check("max_attempts", max_attempts, 1, 1000000, error);
	if (rc == 0)
		rc = call_seconds(c, 6, "expires", -1, &expires_ms, error);
	if (rc == 0)
		rc = id_next(c->x->d, &id, &last, error);
	if (rc < 0)
		return rc;
	db_mark_due(c->x->d);
	call_give_int(c, id);
	return db_run(c->x->d, STMT_job_insert_plain,
	              VALUES(INT(id), TEXT(queue), INT(-priority), INT(due_ms), INT(max_attempts),
	                     TEXT(payload),
	                     expires_ms < 0 ? NONE : INT(inbox_now_ms(&c->x->inbox) + expires_ms)),
	              NULL, error);
}

/* ---- claiming ---- */

/* {"event_id": 7}, {"event_id": 7, "delivery_id": 9} when a delivery is replayed, or a plain job's
 * own. */
static void sql_give_payload(buffer *out, query *q, const job_claimed *job)
{
	buffer payload;

	if (job->topic <= 0) {
		buffer_json(out, db_text(q, 1));
		return;
	}
	buffer_init(&payload, 100);
	buffer_text(&payload, "{\"event_id\": ");
	buffer_int(&payload, job->id);
	if (!db_null(q, 6)) {
		buffer_text(&payload, ", \"delivery_id\": ");
		buffer_int(&payload, db_int(q, 6));
	}
	buffer_text(&payload, "}");
	buffer_json(out, buffer_view(&payload));
	out->failed = out->failed || payload.failed;
	buffer_free(&payload);
}

static void sql_give_job(buffer *out, query *q, const job_claimed *job, int64_t max_attempts)
{
	buffer_text(out, "{\"id\":");
	buffer_int(out, job->id);
	buffer_text(out, ",\"queue\":");
	buffer_json(out, db_text(q, 0));
	buffer_text(out, ",\"payload\":");
	sql_give_payload(out, q, job);
	buffer_text(out, ",\"worker_id\":");
	buffer_json(out, db_text(q, 2));
	buffer_text(out, ",\"attempts\":");
	buffer_int(out, job->claim);
	buffer_text(out, ",\"max_attempts\":");
	buffer_int(out, db_null(q, 4) ? max_attempts : db_int(q, 4));
	buffer_text(out, ",\"claim_expires_at\":");
	buffer_int(out, db_int(q, 5) / 1000);
	buffer_text(out, "}");
}

static int32_t sql_give_jobs(call *c, const job_claimed *jobs, int32_t count, knocker_error *error)
{
	int32_t rc = 0, i;

	c->kind = RESULT_JSON;
	buffer_text(&c->text, "[");
	for (i = 0; rc == 0 && i < count; i++) {
		query *q;

		if (jobs[i].died)
			continue;
		rc = db_query(c->x->d, STMT_job_claim_row, VALUES(INT(jobs[i].id)), &q, error);
		buffer_text(&c->text, c->text.len > 1 ? "," : "");
		if (rc == 0)
			sql_give_job(&c->text, q, &jobs[i], c->x->inbox.max_attempts);
		db_done(q);
	}
	buffer_text(&c->text, "]");
	return rc < 0 ? rc : 0;
}

static int32_t sql_claim_batch(call *c, knocker_error *error)
{
	inbox *in = &c->x->inbox;
	job_claim_options o = {.now_ms = inbox_now_ms(in)};
	job_claimed *jobs = arena_get(&c->memory, LIMIT_CLAIM * sizeof *jobs);
	int64_t wanted;
	int32_t count = 0, rc = jobs ? call_text(c, 0, "queue", &o.queue, error) : fail_memory(error);

	if (rc == 0)
		rc = inbox_name_check("queue", o.queue, error);
	if (rc == 0)
		rc = call_text(c, 1, "worker_id", &o.worker, error);
	if (rc == 0)
		rc = inbox_name_check("worker_id", o.worker, error);
	if (rc == 0)
		rc = call_int_required(c, 2, "n", &wanted, error);
	if (rc == 0)
		rc = inbox_range_check("n", wanted, 1, LIMIT_CLAIM, error);
	if (rc == 0)
		rc = call_seconds(c, 3, "visibility_s", in->visibility_ms, &o.lease_ms, error);
	if (rc < 0)
		return rc;
	o.count = (int32_t)wanted;
	inbox_lease_set(in, o.worker, o.lease_ms);
	rc = worker_claim_queue(in, c->x->d, &o, jobs, &count, error);
	return rc < 0 ? rc : sql_give_jobs(c, jobs, count, error);
}

/* ---- a held job ---- */

typedef struct {
	int64_t id;
	job_state job;
} sql_held;

/* Reads (job, worker [, attempts]). 1: it is not held by this worker, or was claimed again. */
static int32_t sql_held_read(call *c, int attempts_at, sql_held *h, knocker_error *error)
{
	knocker_bytes worker;
	int64_t attempts;
	int32_t rc = call_int_required(c, 0, "job_id", &h->id, error);

	if (rc == 0)
		rc = call_text(c, 1, "worker_id", &worker, error);
	if (rc == 0)
		rc = inbox_name_check("worker_id", worker, error);
	if (rc == 0)
		rc = call_int(c, attempts_at, "attempts", -1, &attempts, error);
	if (rc == 0 && call_given(c, attempts_at))
		rc = inbox_range_check("attempts", attempts, 0, INT64_MAX, error);
	if (rc == 0)
		rc = job_get(c->x->d, h->id, &h->job, error);
	if (rc != 0)
		return rc;
	return h->job.held && bytes_is(worker, h->job.worker) &&
	               (attempts < 0 || attempts == h->job.claim)
	           ? 0
	           : 1;
}

static int32_t sql_drop(call *c, const sql_held *h, knocker_error *error)
{
	if (h->job.topic <= 0)
		return job_remove(c->x->d, h->id, error);
	return db_run(c->x->d, STMT_job_unqueue, VALUES(INT(h->id), INT(h->job.claim)), NULL, error);
}

static int32_t sql_ack(call *c, knocker_error *error)
{
	sql_held h;
	int32_t rc = sql_held_read(c, 2, &h, error);

	call_give_int(c, rc == 0);
	return rc == 0 ? sql_drop(c, &h, error) : rc;
}

static int32_t sql_ack_batch(call *c, knocker_error *error)
{
	knocker_bytes ids_text, worker;
	json *ids = NULL;
	const json *each;
	int64_t acked = 0;
	int32_t rc = call_text(c, 0, "ids_json", &ids_text, error);

	if (rc == 0)
		rc = call_text(c, 1, "worker_id", &worker, error);
	if (rc == 0)
		rc = inbox_name_check("worker_id", worker, error);
	if (rc == 0)
		rc = json_parse("ids_json", ids_text, &ids, error);
	if (rc == 0 && json_kind(ids) != JSON_ARRAY)
		rc = fail(error, KNOCKER_INVALID_ARGUMENT, "ids_json is not a JSON array");
	for (each = json_first(ids); rc == 0 && each; each = json_next(each)) {
		sql_held h;

		if (!json_int(each, &h.id))
			rc = fail(error, KNOCKER_INVALID_ARGUMENT, "ids_json holds what is no job id");
		if (rc == 0)
			rc = job_get(c->x->d, h.id, &h.job, error);
		if (rc == 0 && h.job.held && bytes_is(worker, h.job.worker)) {
			rc = sql_drop(c, &h, error);
			acked++;
		}
		rc = rc == 1 ? 0 : rc;
	}
	json_free(ids);
	call_give_int(c, acked);
	return rc;
}

static int32_t sql_retry(call *c, knocker_error *error)
{
	knocker_bytes why;
	int64_t delay_ms;
	sql_held h;
	int32_t rc = call_seconds(c, 2, "delay_s", 0, &delay_ms, error);

	if (rc == 0)
		rc = call_text(c, 3, "error", &why, error);
	if (rc == 0)
		rc = sql_held_read(c, 4, &h, error);
	call_give_int(c, rc == 0);
	if (rc != 0)
		return rc;
	why = worker_reason(why);
	if (h.job.topic <= 0 &&
	    h.job.claim >= (h.job.max_attempts ? h.job.max_attempts : c->x->inbox.max_attempts))
		return db_run(c->x->d, STMT_job_bury_worn,
		              VALUES(INT(h.id), INT(h.job.claim), INT(inbox_now_ms(&c->x->inbox)),
		                     TEXT(why)),
		              NULL, error);
	db_mark_due(c->x->d);
	return db_run(c->x->d, STMT_job_requeue_held,
	              VALUES(INT(h.id), INT(h.job.claim), INT(inbox_now_ms(&c->x->inbox) + delay_ms),
	                     TEXT(why)),
	              NULL, error);
}

static int32_t sql_fail(call *c, knocker_error *error)
{
	knocker_bytes why;
	sql_held h;
	int32_t rc = call_text(c, 2, "error", &why, error);

	if (rc == 0)
		rc = sql_held_read(c, 3, &h, error);
	call_give_int(c, rc == 0);
	return rc == 0 ? sql_drop(c, &h, error) : rc;
}

static int32_t sql_heartbeat(call *c, knocker_error *error)
{
	int64_t extend_ms;
	sql_held h;
	int32_t rc = call_seconds(c, 2, "extend_s", 0, &extend_ms, error);

	if (rc == 0)
		rc = sql_held_read(c, 3, &h, error);
	call_give_int(c, rc == 0);
	if (rc != 0)
		return rc;
	return job_extend(c->x->d, h.id, h.job.claim, inbox_now_ms(&c->x->inbox) + extend_ms, error);
}

static int32_t sql_release(call *c, knocker_error *error)
{
	sql_held h;
	int32_t rc = sql_held_read(c, 2, &h, error);

	call_give_int(c, rc == 0);
	return rc == 0 ? job_release(c->x->d, h.id, h.job.claim, inbox_now_ms(&c->x->inbox), error)
	               : rc;
}

/* ---- marks ---- */

/* An event with a live job that is held: where `attempts` is not negative, by that claim. */
static int32_t sql_mark_read(call *c, int64_t attempts, sql_held *h, knocker_error *error)
{
	int32_t rc = call_int_required(c, 0, "event_id", &h->id, error);

	if (rc == 0)
		rc = job_get(c->x->d, h->id, &h->job, error);
	if (rc == 1 || (rc == 0 && h->job.topic <= 0))
		return fail(error, KNOCKER_UNKNOWN_EVENT, "no event has the id %lld", (long long)h->id);
	if (rc < 0)
		return rc;
	if (!h->job.held || (attempts >= 0 && attempts != h->job.claim))
		return fail(error, KNOCKER_LEASE_LOST,
		            "event %lld is %s, and its job is no longer held by this claim",
		            (long long)h->id, h->job.status);
	if (!job_unsettled(&h->job))
		return fail(error, KNOCKER_WRONG_STATUS, "event %lld is %s already", (long long)h->id,
		            h->job.status);
	return 0;
}

static int32_t sql_mark_processing(call *c, knocker_error *error)
{
	sql_held h;
	int64_t attempts;
	int32_t rc = call_int_required(c, 1, "attempts", &attempts, error);

	if (rc == 0)
		rc = inbox_range_check("attempts", attempts, 0, INT64_MAX, error);
	return rc < 0 ? rc : sql_mark_read(c, attempts, &h, error);
}

/* Status and attempt row; the job stays held until honker_ack, honker_retry or honker_fail. */
static int32_t sql_mark(call *c, const sql_held *h, const char *status, const char *word,
                        knocker_bytes why, int duration_at, knocker_error *error)
{
	worker_outcome o = {.job_id = h->id, .claim = h->job.claim};
	int64_t now_ms = inbox_now_ms(&c->x->inbox);
	int32_t rc = call_int(c, duration_at, "duration_ms", -1, &o.duration_ms, error);

	if (rc == 0)
		rc = inbox_range_check("duration_ms", o.duration_ms, call_given(c, duration_at) ? 0 : -1,
		                       INT64_MAX, error);
	if (rc == 0)
		rc = db_run(c->x->d, STMT_job_mark,
		            VALUES(INT(h->id), INT(h->job.claim), TEXT(bytes_of(status)),
		                   INT(strcmp(status, "ignored") != 0), INT(now_ms), TEXT(why)),
		            NULL, error);
	return rc < 0 ? rc : worker_attempt(&c->x->inbox, c->x->d, &o, word, why, error);
}

static int32_t sql_mark_handled(call *c, knocker_error *error)
{
	sql_held h;
	int32_t rc = sql_mark_read(c, -1, &h, error);

	return rc < 0 ? rc : sql_mark(c, &h, "handled", "handled", (knocker_bytes){0}, 1, error);
}

static int32_t sql_mark_ignored(call *c, knocker_error *error)
{
	sql_held h;
	int32_t rc = sql_mark_read(c, -1, &h, error);

	return rc < 0 ? rc : sql_mark(c, &h, "ignored", "ignored", (knocker_bytes){0}, 1, error);
}

static int32_t sql_mark_failed(call *c, knocker_error *error)
{
	knocker_bytes why;
	int64_t attempts, terminal;
	const char *status;
	sql_held h;
	int32_t rc = call_int_required(c, 1, "attempts", &attempts, error);

	if (rc == 0)
		rc = inbox_range_check("attempts", attempts, 0, INT64_MAX, error);
	if (rc == 0)
		rc = call_text(c, 2, "error", &why, error);
	if (rc == 0)
		rc = call_truth(c, 3, "terminal", 0, &terminal, error);
	if (rc == 0)
		rc = sql_mark_read(c, attempts, &h, error);
	status = rc == 0 && terminal ? "dead" : "failed";
	return rc < 0 ? rc : sql_mark(c, &h, status, status, worker_reason(why), 4, error);
}

/* ---- the worker's step as two calls, with the rules of retries below ---- */

static int32_t sql_begin_work(call *c, knocker_error *error)
{
	inbox *in = &c->x->inbox;
	knocker_rows *rows;
	sql_held h;
	worker_start start;
	int32_t rc = sql_held_read(c, 2, &h, error);

	if (rc != 0)
		return rc;
	if (h.job.topic <= 0)
		return worker_bury_plain(in, c->x->d, h.id, error);
	start = worker_may_start(in, &h.job, h.job.claim);
	if (start == START_NEVER)
		return sql_drop(c, &h, error);
	if (start == START_RENEWED)
		rc = job_extend(c->x->d, h.id, h.job.claim,
		                inbox_now_ms(in) + inbox_lease_ms(in, h.job.worker), error);
	if (rc == 0)
		rc = db_rows(c->x->d, STMT_event_of_work, VALUES(INT(h.id)), &rows, error);
	return rc < 0 ? rc : call_give_rows(c, rows, false, error);
}

static int32_t sql_outcome(knocker_bytes name, int32_t *outcome, knocker_error *error)
{
	for (*outcome = KNOCKER_HANDLED; *outcome <= KNOCKER_NO_HANDLER; ++*outcome)
		if (bytes_is(name, worker_outcome_name(*outcome)))
			return 0;
	return fail(error, KNOCKER_INVALID_ARGUMENT, "no outcome is named '%.*s'", QUOTED(name));
}

static int32_t sql_settle(call *c, knocker_error *error)
{
	worker_outcome o = {.duration_ms = -1};
	worker_result result;
	knocker_rows *rows = NULL;
	knocker_bytes name;
	sql_held h;
	int32_t rc = call_text(c, 3, "outcome", &name, error);

	if (rc == 0)
		rc = sql_outcome(name, &o.outcome, error);
	if (rc == 0)
		rc = call_text(c, 4, "reason", &o.reason, error);
	if (rc == 0)
		rc = call_seconds(c, 5, "delay_s", 0, &o.delay_ms, error);
	if (rc == 0)
		rc = call_int(c, 6, "duration_ms", -1, &o.duration_ms, error);
	if (rc == 0)
		rc = sql_held_read(c, 2, &h, error);
	if (rc == 1)
		return job_lost(h.id, error);
	if (rc < 0)
		return rc;
	o.job_id = h.id;
	o.claim = h.job.claim;
	rc = worker_settle(&c->x->inbox, c->x->d, &o, &h.job, &result, error);
	if (rc == 0)
		rc = worker_result_row(&result, &rows, error);
	return rc < 0 ? rc : call_give_rows(c, rows, false, error);
}

static const extension_entry queueing_entries[] = {
	{"honker_enqueue", 7, 7, CALL_WRITE, sql_enqueue},
	{"honker_claim_batch", 4, 4, CALL_WRITE, sql_claim_batch},
	{"honker_ack", 2, 3, CALL_WRITE, sql_ack},
	{"honker_ack_batch", 2, 2, CALL_WRITE, sql_ack_batch},
	{"honker_retry", 4, 5, CALL_WRITE, sql_retry},
	{"honker_fail", 3, 4, CALL_WRITE, sql_fail},
	{"honker_heartbeat", 3, 4, CALL_WRITE, sql_heartbeat},
	{"knocker_release", 3, 3, CALL_WRITE, sql_release},
	{"knocker_mark_processing", 2, 2, CALL_WRITE, sql_mark_processing},
	{"knocker_mark_handled", 2, 2, CALL_WRITE, sql_mark_handled},
	{"knocker_mark_failed", 5, 5, CALL_WRITE, sql_mark_failed},
	{"knocker_mark_ignored", 2, 2, CALL_WRITE, sql_mark_ignored},
	{"knocker_begin_work", 3, 3, CALL_WRITE, sql_begin_work},
	{"knocker_settle", 6, 7, CALL_WRITE, sql_settle},
	{NULL, 0, 0, CALL_PURE, NULL},
};

const extension_entry *extension_queueing(void)
{
	return queueing_entries;
}

/* ==== core/src/extension_receive.c ==== */

/* The SQL door: bootstrap, endpoints, receive, ingest, verify, diagnose, sign. */


#include <string.h>







static int32_t sql_bootstrap(call *c, knocker_error *error)
{
	c->kind = RESULT_NULL;
	return schema_apply(c->x->d, error);
}

/* ---- settings of this connection ---- */

static int32_t sql_clock_set(call *c, knocker_error *error)
{
	int64_t now_ms;
	int32_t rc = call_int(c, 0, "now_ms", 0, &now_ms, error);

	if (rc == 0)
		rc = inbox_range_check("now_ms", now_ms, 0, INT64_MAX / 4, error);
	if (rc == 0)
		atomic_store(&c->x->inbox.clock_ms, now_ms);
	return rc;
}

/* A member of an options object: its place in a struct, and from what to what it goes. */
typedef struct {
	const char *name;
	int64_t *value;
	int64_t low, high, unit; /* unit: how many of the struct's are one of the member's */
} sql_option;

static int32_t sql_option_read(const char *what, const json *member, const sql_option *o,
                               knocker_error *error)
{
	int64_t number = 0;

	if (!json_int(member, &number) || number < o->low || number > o->high)
		return fail(error, KNOCKER_INVALID_ARGUMENT,
		            "%s: '%s' is not an integer between %lld and %lld", what, o->name,
		            (long long)o->low, (long long)o->high);
	*o->value = number * o->unit;
	return 0;
}

/* Reads an object whose members are all among `options`, or `name`, a text that goes to `text`. */
static int32_t sql_options_read(const char *what, const json *object, const sql_option *options,
                                size_t count, const char *name, knocker_bytes *text,
                                knocker_error *error)
{
	const json *member;
	int32_t rc = 0;
	size_t i;

	for (member = json_first(object); rc == 0 && member; member = json_next(member)) {
		for (i = 0; i < count && !bytes_is(json_name(member), options[i].name); i++)
			;
		if (i < count)
			rc = sql_option_read(what, member, &options[i], error);
		else if (!bytes_is(json_name(member), name))
			rc = fail(error, KNOCKER_INVALID_ARGUMENT, "%s has no member '%.*s'", what,
			          QUOTED(json_name(member)));
		else if (json_kind(member) == JSON_TEXT)
			*text = json_text(member);
		else
			rc = fail(error, KNOCKER_INVALID_ARGUMENT, "%s: '%s' is not text", what, name);
	}
	return rc;
}

static int32_t sql_configure(call *c, knocker_error *error)
{
	inbox *in = &c->x->inbox;
	int64_t seed = 0;
	const sql_option options[] = {
		{"visibility_timeout_s", &in->visibility_ms, 1, 100000000, 1000},
		{"max_attempts", &in->max_attempts, 1, 1000000, 1},
		{"backoff_base_s", &in->backoff_base_ms, 1, 1000000, 1000},
		{"backoff_cap_s", &in->backoff_cap_ms, 1, 100000000, 1000},
		{"max_body_bytes", &in->max_body_bytes, 0, 1000000000, 1},
		{"orphan_rows", &in->orphan_rows, 1, INT32_MAX, 1},
		{"orphan_bytes", &in->orphan_bytes, 1, INT64_MAX / 4096, 1},
		{"seed", &seed, 0, INT32_MAX, 1},
	};
	knocker_bytes text, queue = {0};
	json *object = NULL;
	int32_t rc = call_text(c, 0, "options_json", &text, error);

	if (rc == 0)
		rc = json_parse("options_json", text, &object, error);
	if (rc == 0 && json_kind(object) != JSON_OBJECT)
		rc = fail(error, KNOCKER_INVALID_ARGUMENT, "options_json is not a JSON object");
	if (rc == 0)
		rc = sql_options_read("options_json", object, options, sizeof options / sizeof *options,
		                      "queue_name", &queue, error);
	if (rc == 0 && queue.data)
		rc = inbox_name_check("queue_name", queue, error);
	if (rc == 0 && queue.data) {
		memcpy(in->queue_name, queue.data, (size_t)queue.len);
		in->queue_name[queue.len] = '\0';
	}
	if (rc == 0 && seed)
		in->chance = (uint64_t)seed;
	if (rc == 0 && in->max_body_bytes == 0)
		in->max_body_bytes = -1;
	json_free(object);
	return rc;
}

/* ---- endpoints ---- */

/* options_json of an endpoint: what add_endpoint takes beyond name, path, provider and enabled. */
static int32_t sql_endpoint_options(call *c, knocker_endpoint *e, json **object,
                                    knocker_error *error)
{
	const sql_option options[] = {{"max_attempts", &e->max_attempts, 1, 1000000, 1},
	                              {"backoff_base_s", &e->backoff_base_ms, 1, 1000000, 1000},
	                              {"backoff_cap_s", &e->backoff_cap_ms, 1, 100000000, 1000}};
	const json *member, *scheme_member;
	knocker_bytes text;
	buffer scheme_text;
	int32_t rc = call_text(c, 4, "options_json", &text, error);

	if (rc < 0 || !text.data)
		return rc;
	rc = json_parse("options_json", text, object, error);
	if (rc == 0 && json_kind(*object) != JSON_OBJECT && json_kind(*object) != JSON_NULL)
		rc = fail(error, KNOCKER_INVALID_ARGUMENT, "options_json is not a JSON object");
	scheme_member = json_member(*object, "scheme");
	if (rc == 0 && scheme_member) {
		buffer_init(&scheme_text, LIMIT_JSON);
		json_write(scheme_member, &scheme_text);
		if (scheme_text.failed ||
		    !arena_copy(&c->memory, buffer_view(&scheme_text), &e->scheme_json))
			rc = fail_memory(error);
		buffer_free(&scheme_text);
	}
	for (member = json_first(*object); rc == 0 && member; member = json_next(member)) {
		size_t i;

		for (i = 0; i < 3 && !bytes_is(json_name(member), options[i].name); i++)
			;
		if (i < 3)
			rc = sql_option_read("options_json", member, &options[i], error);
		else if (bytes_is(json_name(member), "external"))
			e->external = json_true(member);
		else if (bytes_is(json_name(member), "queue_name") && json_kind(member) == JSON_TEXT)
			e->queue_name = json_text(member);
		else if (member != scheme_member)
			rc = fail(error, KNOCKER_INVALID_ARGUMENT,
			          "options_json has no member '%.*s' of this kind", QUOTED(json_name(member)));
	}
	return rc;
}

static int32_t sql_endpoint_upsert(call *c, knocker_error *error)
{
	knocker_endpoint e = {.size = sizeof e};
	json *options = NULL;
	int64_t enabled = 1, id = 0;
	int32_t rc = call_text(c, 0, "name", &e.name, error);

	if (rc == 0)
		rc = call_text(c, 1, "path", &e.path, error);
	if (rc == 0)
		rc = call_text(c, 2, "provider", &e.provider, error);
	if (rc == 0)
		rc = call_truth(c, 3, "enabled", 1, &enabled, error);
	e.disabled = !enabled;
	if (rc == 0)
		rc = sql_endpoint_options(c, &e, &options, error);
	if (rc == 0)
		rc = endpoint_add(&c->x->inbox, c->x->d, &e, true, &id, error);
	json_free(options);
	call_give_int(c, id);
	return rc;
}

static int32_t sql_endpoint_secrets(call *c, knocker_error *error)
{
	knocker_bytes name, secrets, options;
	int32_t rc = call_text(c, 0, "endpoint", &name, error);

	if (rc == 0)
		rc = call_text(c, 1, "secrets_json", &secrets, error);
	if (rc == 0)
		rc = call_text(c, 2, "options_json", &options, error);
	return rc < 0 ? rc : endpoint_secrets(&c->x->inbox, c->x->d, name, secrets, options, error);
}

static int32_t sql_pause(call *c, knocker_error *error)
{
	knocker_bytes name;
	int64_t paused;
	int32_t rc = call_text(c, 0, "endpoint", &name, error);

	if (rc == 0)
		rc = call_truth(c, 1, "paused", 1, &paused, error);
	return rc < 0 ? rc : endpoint_pause(c->x->d, name, paused != 0, error);
}

/* ---- receiving ---- */

/* The arguments that receive and ingest share, from where each has them. */
static int32_t sql_request_ids(call *c, int at, knocker_request *q, knocker_error *error)
{
	int32_t rc = call_text(c, at, "provider_event_id", &q->provider_event_id, error);

	if (rc == 0)
		rc = call_text(c, at + 1, "provider_delivery_id", &q->provider_delivery_id, error);
	if (rc == 0)
		rc = call_text(c, at + 2, "event_type", &q->event_type, error);
	if (rc == 0)
		rc = call_text(c, at + 3, "dedupe_key", &q->dedupe_key, error);
	if (rc == 0)
		rc = call_text(c, at + 4, "queue_name", &q->queue_name, error);
	return rc < 0 ? rc : call_int(c, at + 5, "max_attempts", 0, &q->max_attempts, error);
}

static int32_t sql_request_http(call *c, int at, knocker_request *q, knocker_error *error)
{
	int32_t rc = call_text(c, at, "method", &q->method, error);

	if (rc == 0)
		rc = call_headers(c, at + 1, &q->headers, error);
	if (rc == 0)
		rc = call_blob(c, at + 2, "body", &q->body, error);
	return rc < 0 ? rc : call_query(c, at + 3, &q->query, error);
}

static const struct {
	int64_t level;
	const char *name;
} sql_synchronous[] = {{0, "off"}, {1, "normal"}, {2, "full"}, {3, "extra"}};

/* The receipt as JSON, with the `synchronous` at which the outer commit will happen. */
static int32_t sql_give_receipt(call *c, const receipt *r, knocker_error *error)
{
	int64_t level = db_synchronous_level(c->x->d);
	knocker_rows *rows;
	int32_t rc = rows_new(RECEIPT_COLUMNS, &rows, error);

	if (rc == 0)
		rc = receipt_row(r, false, rows, error);
	if (rc < 0) {
		knocker_rows_free(rows);
		return rc;
	}
	rc = call_give_rows(c, rows, false, error);
	c->text.len -= rc == 0;
	buffer_text(&c->text, ",\"synchronous\":\"");
	buffer_text(&c->text, level >= 0 && level <= 3 ? sql_synchronous[level].name : "full");
	buffer_text(&c->text, "\"}");
	return rc;
}

static int32_t sql_store(call *c, const knocker_request *q, bool ingest, knocker_error *error)
{
	inbox_known known = {.version = -1};
	receipt r;
	int32_t rc = receipt_prepare(&c->x->inbox, c->x->d, q, ingest, &r, error);

	if (rc == 0)
		rc = receipt_store(&c->x->inbox, c->x->d, &r, &known, error);
	if (rc == 0)
		rc = sql_give_receipt(c, &r, error);
	receipt_free(&r);
	return rc;
}

/* The verdict of an application that verifies by itself. */
static int32_t sql_verdict(call *c, int at, knocker_request *q, json **parsed, knocker_error *error)
{
	const json *valid;
	knocker_bytes text;
	int32_t rc = call_text(c, at, "verdict_json", &text, error);

	if (rc < 0 || !text.data)
		return rc;
	rc = json_parse("verdict_json", text, parsed, error);
	valid = json_member(*parsed, "valid");
	if (rc == 0 && json_kind(valid) != JSON_BOOL)
		return fail(error, KNOCKER_INVALID_ARGUMENT,
		            "verdict_json: 'valid' is neither true nor false");
	q->verdict = json_true(valid) ? KNOCKER_VALID : KNOCKER_INVALID;
	q->verdict_error = json_text(json_member(*parsed, "error"));
	q->ids_event_type = json_text(json_member(*parsed, "event_type"));
	q->ids_event_id = json_text(json_member(*parsed, "provider_event_id"));
	q->ids_delivery_id = json_text(json_member(*parsed, "provider_delivery_id"));
	return rc;
}

static int32_t sql_receive(call *c, knocker_error *error)
{
	knocker_request q = {.size = sizeof q};
	json *verdict = NULL;
	int32_t rc = call_text(c, 0, "endpoint", &q.endpoint, error);

	if (rc == 0)
		rc = call_text(c, 1, "provider", &q.provider, error);
	if (rc == 0)
		rc = call_text(c, 2, "secrets_json", &q.secrets_json, error);
	if (rc == 0)
		rc = call_text(c, 3, "options_json", &q.options_json, error);
	if (rc == 0)
		rc = sql_request_http(c, 4, &q, error);
	if (rc == 0)
		rc = sql_request_ids(c, 8, &q, error);
	if (rc == 0)
		rc = sql_verdict(c, 14, &q, &verdict, error);
	if (rc == 0)
		rc = sql_store(c, &q, false, error);
	json_free(verdict);
	return rc;
}

static int32_t sql_ingest(call *c, knocker_error *error)
{
	knocker_request q = {.size = sizeof q};
	int64_t valid;
	int32_t rc = call_text(c, 0, "endpoint", &q.endpoint, error);

	if (rc == 0)
		rc = sql_request_http(c, 1, &q, error);
	if (rc == 0)
		rc = call_truth(c, 5, "signature_valid", -1, &valid, error);
	if (rc == 0)
		rc = call_text(c, 6, "signature_error", &q.verdict_error, error);
	if (rc == 0)
		rc = sql_request_ids(c, 7, &q, error);
	if (rc < 0)
		return rc;
	q.verdict = valid < 0 ? KNOCKER_UNCHECKED : valid ? KNOCKER_VALID : KNOCKER_INVALID;
	return sql_store(c, &q, true, error);
}

/* ---- pure ---- */

static int32_t sql_pure_request(call *c, knocker_request *q, int64_t *now_ms, knocker_error *error)
{
	int64_t now_s;
	int32_t rc = call_text(c, 0, "provider_or_scheme_json", &q->provider, error);

	if (rc == 0)
		rc = call_text(c, 2, "options_json", &q->options_json, error);
	if (rc == 0)
		rc = sql_request_http(c, 3, q, error);
	if (rc == 0)
		rc = call_int(c, 7, "now_s", -1, &now_s, error);
	if (rc == 0)
		rc = inbox_range_check("now_s", now_s, -1, INT64_MAX / 4000, error);
	*now_ms = rc < 0 || now_s < 0 ? inbox_now_ms(&c->x->inbox) : now_s * 1000;
	return rc;
}

static int32_t sql_verify(call *c, knocker_error *error)
{
	knocker_request q = {.size = sizeof q};
	knocker_rows *rows = NULL;
	int64_t now_ms;
	int32_t rc = call_text(c, 1, "secrets_json", &q.secrets_json, error);

	if (rc == 0)
		rc = sql_pure_request(c, &q, &now_ms, error);
	if (rc == 0)
		rc = receipt_verify(&q, now_ms, &rows, error);
	return rc < 0 ? rc : call_give_rows(c, rows, false, error);
}

static int32_t sql_diagnose(call *c, knocker_error *error)
{
	knocker_request q = {.size = sizeof q};
	diagnose_place place = {0};
	knocker_rows *rows = NULL;
	int32_t rc = call_text(c, 1, "secrets_json", &q.secrets_json, error);

	if (rc == 0)
		rc = sql_pure_request(c, &q, &place.now_ms, error);
	if (rc == 0)
		rc = call_text(c, 8, "others_json", &place.others_json, error);
	if (rc == 0)
		rc = diagnose_request(&place, &q, &rows, error);
	return rc < 0 ? rc : call_give_rows(c, rows, true, error);
}

static int32_t sql_diagnose_delivery(call *c, knocker_error *error)
{
	knocker_request q = {.size = sizeof q};
	diagnose_place place = {.known = &c->x->inbox.registrations, .reader = c->x->d};
	knocker_rows *rows = NULL;
	int32_t rc = call_int_required(c, 0, "delivery_id", &place.delivery_id, error);

	if (rc == 0)
		rc = inbox_range_check("delivery_id", place.delivery_id, 1, INT64_MAX, error);
	if (rc == 0)
		rc = call_text(c, 1, "provider_or_scheme_json", &q.provider, error);
	if (rc == 0)
		rc = call_text(c, 2, "secrets_json", &q.secrets_json, error);
	if (rc == 0)
		rc = call_text(c, 3, "options_json", &q.options_json, error);
	if (rc == 0)
		rc = call_text(c, 4, "others_json", &place.others_json, error);
	if (rc == 0)
		rc = diagnose_request(&place, &q, &rows, error);
	return rc < 0 ? rc : call_give_rows(c, rows, true, error);
}

/* One secret as the list that the engine takes. */
static int32_t sql_secret_list(call *c, int at, knocker_bytes *out, knocker_error *error)
{
	knocker_bytes secret;
	buffer list;
	bool kept;
	int32_t rc = call_text(c, at, "secret", &secret, error);

	*out = (knocker_bytes){0};
	if (rc < 0 || !secret.data)
		return rc;
	buffer_init(&list, LIMIT_JSON);
	buffer_text(&list, "[");
	buffer_json(&list, secret);
	buffer_text(&list, "]");
	kept = !list.failed && arena_copy(&c->memory, buffer_view(&list), out);
	buffer_free(&list);
	return kept ? 0 : fail_memory(error);
}

static int32_t sql_sign(call *c, knocker_error *error)
{
	knocker_request q = {.size = sizeof q};
	knocker_bytes name, value;
	knocker_rows *rows = NULL;
	int64_t now_ms;
	bool first = true;
	knocker_value v;
	int32_t rc = sql_secret_list(c, 1, &q.secrets_json, error);

	if (rc == 0)
		rc = sql_pure_request(c, &q, &now_ms, error);
	if (rc == 0)
		rc = receipt_sign(&q, now_ms, &rows, error);
	if (rc < 0)
		return rc;
	c->kind = RESULT_JSON;
	buffer_text(&c->text, "{");
	while (knocker_rows_next(rows) == 0) {
		knocker_rows_value(rows, 0, &v);
		name = v.bytes;
		knocker_rows_value(rows, 1, &v);
		value = v.bytes;
		buffer_text(&c->text, first ? "" : ",");
		buffer_json(&c->text, name);
		buffer_text(&c->text, ":");
		buffer_json(&c->text, value);
		first = false;
	}
	buffer_text(&c->text, "}");
	knocker_rows_free(rows);
	return 0;
}

static const extension_entry receiving_entries[] = {
	{"knocker_bootstrap", 0, 0, CALL_WRITE, sql_bootstrap},
	{"knocker_clock_set", 1, 1, CALL_SETTING, sql_clock_set},
	{"knocker_configure", 1, 1, CALL_SETTING, sql_configure},
	{"knocker_endpoint_upsert", 4, 5, CALL_WRITE, sql_endpoint_upsert},
	{"knocker_endpoint_secrets", 2, 3, CALL_WRITE, sql_endpoint_secrets},
	{"knocker_pause", 2, 2, CALL_WRITE, sql_pause},
	{"knocker_receive", 14, 15, CALL_WRITE, sql_receive},
	{"knocker_ingest", 13, 13, CALL_WRITE, sql_ingest},
	{"knocker_verify", 8, 8, CALL_PURE, sql_verify},
	{"knocker_sign", 8, 8, CALL_PURE, sql_sign},
	{"knocker_diagnose", 8, 9, CALL_PURE, sql_diagnose},
	{"knocker_diagnose_delivery", 1, 5, CALL_READ, sql_diagnose_delivery},
	{NULL, 0, 0, CALL_PURE, NULL},
};

const extension_entry *extension_receiving(void)
{
	return receiving_entries;
}

/* ==== third_party/cjson/cJSON.c ==== */

/*
  Copyright (c) 2009-2017 Dave Gamble and cJSON contributors

  Permission is hereby granted, free of charge, to any person obtaining a copy
  of this software and associated documentation files (the "Software"), to deal
  in the Software without restriction, including without limitation the rights
  to use, copy, modify, merge, publish, distribute, sublicense, and/or sell
  copies of the Software, and to permit persons to whom the Software is
  furnished to do so, subject to the following conditions:

  The above copyright notice and this permission notice shall be included in
  all copies or substantial portions of the Software.

  THE SOFTWARE IS PROVIDED "AS IS", WITHOUT WARRANTY OF ANY KIND, EXPRESS OR
  IMPLIED, INCLUDING BUT NOT LIMITED TO THE WARRANTIES OF MERCHANTABILITY,
  FITNESS FOR A PARTICULAR PURPOSE AND NONINFRINGEMENT. IN NO EVENT SHALL THE
  AUTHORS OR COPYRIGHT HOLDERS BE LIABLE FOR ANY CLAIM, DAMAGES OR OTHER
  LIABILITY, WHETHER IN AN ACTION OF CONTRACT, TORT OR OTHERWISE, ARISING FROM,
  OUT OF OR IN CONNECTION WITH THE SOFTWARE OR THE USE OR OTHER DEALINGS IN
  THE SOFTWARE.
*/

/* cJSON */
/* JSON parser in C. */

/* disable warnings about old C89 functions in MSVC */
#if !defined(_CRT_SECURE_NO_DEPRECATE) && defined(_MSC_VER)
#define _CRT_SECURE_NO_DEPRECATE
#endif

#ifdef __GNUC__
#pragma GCC visibility push(default)
#endif
#if defined(_MSC_VER)
#pragma warning (push)
/* disable warning about single line comments in system headers */
#pragma warning (disable : 4001)
#endif

#include <string.h>
#include <stdio.h>
#include <math.h>
#include <stdlib.h>
#include <limits.h>
#include <ctype.h>
#include <float.h>

#ifdef ENABLE_LOCALES
#include <locale.h>
#endif

#if defined(_MSC_VER)
#pragma warning (pop)
#endif
#ifdef __GNUC__
#pragma GCC visibility pop
#endif


/* define our own boolean type */
#ifdef true
#undef true
#endif
#define true ((cJSON_bool)1)

#ifdef false
#undef false
#endif
#define false ((cJSON_bool)0)

/* define isnan and isinf for ANSI C, if in C99 or above, isnan and isinf has been defined in math.h */
#ifndef isinf
#define isinf(d) (isnan((d - d)) && !isnan(d))
#endif
#ifndef isnan
#define isnan(d) (d != d)
#endif

#ifndef NAN
#ifdef _WIN32
#define NAN sqrt(-1.0)
#else
#define NAN 0.0/0.0
#endif
#endif

typedef struct {
    const unsigned char *json;
    size_t position;
} error;
static error global_error = { NULL, 0 };

CJSON_PUBLIC(const char *) cJSON_GetErrorPtr(void)
{
    return (const char*) (global_error.json + global_error.position);
}

CJSON_PUBLIC(char *) cJSON_GetStringValue(const cJSON * const item) 
{
    if (!cJSON_IsString(item)) 
    {
        return NULL;
    }

    return item->valuestring;
}

CJSON_PUBLIC(double) cJSON_GetNumberValue(const cJSON * const item) 
{
    if (!cJSON_IsNumber(item)) 
    {
        return (double) NAN;
    }

    return item->valuedouble;
}

/* This is a safeguard to prevent copy-pasters from using incompatible C and header files */
#if (CJSON_VERSION_MAJOR != 1) || (CJSON_VERSION_MINOR != 7) || (CJSON_VERSION_PATCH != 15)
    #error cJSON.h and cJSON.c have different versions. Make sure that both have the same.
#endif

CJSON_PUBLIC(const char*) cJSON_Version(void)
{
    static char version[15];
    sprintf(version, "%i.%i.%i", CJSON_VERSION_MAJOR, CJSON_VERSION_MINOR, CJSON_VERSION_PATCH);

    return version;
}

/* Case insensitive string comparison, doesn't consider two NULL pointers equal though */
static int case_insensitive_strcmp(const unsigned char *string1, const unsigned char *string2)
{
    if ((string1 == NULL) || (string2 == NULL))
    {
        return 1;
    }

    if (string1 == string2)
    {
        return 0;
    }

    for(; tolower(*string1) == tolower(*string2); (void)string1++, string2++)
    {
        if (*string1 == '\0')
        {
            return 0;
        }
    }

    return tolower(*string1) - tolower(*string2);
}

typedef struct internal_hooks
{
    void *(CJSON_CDECL *allocate)(size_t size);
    void (CJSON_CDECL *deallocate)(void *pointer);
    void *(CJSON_CDECL *reallocate)(void *pointer, size_t size);
} internal_hooks;

#if defined(_MSC_VER)
/* work around MSVC error C2322: '...' address of dllimport '...' is not static */
static void * CJSON_CDECL internal_malloc(size_t size)
{
    return malloc(size);
}
static void CJSON_CDECL internal_free(void *pointer)
{
    free(pointer);
}
static void * CJSON_CDECL internal_realloc(void *pointer, size_t size)
{
    return realloc(pointer, size);
}
#else
#define internal_malloc malloc
#define internal_free free
#define internal_realloc realloc
#endif

/* strlen of character literals resolved at compile time */
#define static_strlen(string_literal) (sizeof(string_literal) - sizeof(""))

static internal_hooks global_hooks = { internal_malloc, internal_free, internal_realloc };

static unsigned char* cJSON_strdup(const unsigned char* string, const internal_hooks * const hooks)
{
    size_t length = 0;
    unsigned char *copy = NULL;

    if (string == NULL)
    {
        return NULL;
    }

    length = strlen((const char*)string) + sizeof("");
    copy = (unsigned char*)hooks->allocate(length);
    if (copy == NULL)
    {
        return NULL;
    }
    memcpy(copy, string, length);

    return copy;
}

CJSON_PUBLIC(void) cJSON_InitHooks(cJSON_Hooks* hooks)
{
    if (hooks == NULL)
    {
        /* Reset hooks */
        global_hooks.allocate = malloc;
        global_hooks.deallocate = free;
        global_hooks.reallocate = realloc;
        return;
    }

    global_hooks.allocate = malloc;
    if (hooks->malloc_fn != NULL)
    {
        global_hooks.allocate = hooks->malloc_fn;
    }

    global_hooks.deallocate = free;
    if (hooks->free_fn != NULL)
    {
        global_hooks.deallocate = hooks->free_fn;
    }

    /* use realloc only if both free and malloc are used */
    global_hooks.reallocate = NULL;
    if ((global_hooks.allocate == malloc) && (global_hooks.deallocate == free))
    {
        global_hooks.reallocate = realloc;
    }
}

/* Internal constructor. */
static cJSON *cJSON_New_Item(const internal_hooks * const hooks)
{
    cJSON* node = (cJSON*)hooks->allocate(sizeof(cJSON));
    if (node)
    {
        memset(node, '\0', sizeof(cJSON));
    }

    return node;
}

/* Delete a cJSON structure. */
CJSON_PUBLIC(void) cJSON_Delete(cJSON *item)
{
    cJSON *next = NULL;
    while (item != NULL)
    {
        next = item->next;
        if (!(item->type & cJSON_IsReference) && (item->child != NULL))
        {
            cJSON_Delete(item->child);
        }
        if (!(item->type & cJSON_IsReference) && (item->valuestring != NULL))
        {
            global_hooks.deallocate(item->valuestring);
        }
        if (!(item->type & cJSON_StringIsConst) && (item->string != NULL))
        {
            global_hooks.deallocate(item->string);
        }
        global_hooks.deallocate(item);
        item = next;
    }
}

/* get the decimal point character of the current locale */
static unsigned char get_decimal_point(void)
{
#ifdef ENABLE_LOCALES
    struct lconv *lconv = localeconv();
    return (unsigned char) lconv->decimal_point[0];
#else
    return '.';
#endif
}

typedef struct
{
    const unsigned char *content;
    size_t length;
    size_t offset;
    size_t depth; /* How deeply nested (in arrays/objects) is the input at the current offset. */
    internal_hooks hooks;
} parse_buffer;

/* check if the given size is left to read in a given parse buffer (starting with 1) */
#define can_read(buffer, size) ((buffer != NULL) && (((buffer)->offset + size) <= (buffer)->length))
/* check if the buffer can be accessed at the given index (starting with 0) */
#define can_access_at_index(buffer, index) ((buffer != NULL) && (((buffer)->offset + index) < (buffer)->length))
#define cannot_access_at_index(buffer, index) (!can_access_at_index(buffer, index))
/* get a pointer to the buffer at the position */
#define buffer_at_offset(buffer) ((buffer)->content + (buffer)->offset)

/* Parse the input text to generate a number, and populate the result into item. */
static cJSON_bool parse_number(cJSON * const item, parse_buffer * const input_buffer)
{
    double number = 0;
    unsigned char *after_end = NULL;
    unsigned char *number_c_string;
    unsigned char decimal_point = get_decimal_point();
    size_t i = 0;
    size_t number_string_length = 0;
    cJSON_bool has_decimal_point = false;

    if ((input_buffer == NULL) || (input_buffer->content == NULL))
    {
        return false;
    }

    /* copy the number into a temporary buffer and replace '.' with the decimal point
     * of the current locale (for strtod)
     * This also takes care of '\0' not necessarily being available for marking the end of the input */
    for (i = 0; can_access_at_index(input_buffer, i); i++)
    {
        switch (buffer_at_offset(input_buffer)[i])
        {
            case '0':
            case '1':
            case '2':
            case '3':
            case '4':
            case '5':
            case '6':
            case '7':
            case '8':
            case '9':
            case '+':
            case '-':
            case 'e':
            case 'E':
                number_string_length++;
                break;

            case '.':
                number_string_length++;
                has_decimal_point = true;
                break;

            default:
                goto loop_end;
        }
    }
loop_end:
    /* malloc for temporary buffer, add 1 for '\0' */
    number_c_string = (unsigned char *) input_buffer->hooks.allocate(number_string_length + 1);
    if (number_c_string == NULL)
    {
        return false; /* allocation failure */
    }

    memcpy(number_c_string, buffer_at_offset(input_buffer), number_string_length);
    number_c_string[number_string_length] = '\0';

    if (has_decimal_point)
    {
        for (i = 0; i < number_string_length; i++)
        {
            if (number_c_string[i] == '.')
            {
                /* replace '.' with the decimal point of the current locale (for strtod) */
                number_c_string[i] = decimal_point;
            }
        }
    }

    number = strtod((const char*)number_c_string, (char**)&after_end);
    if (number_c_string == after_end)
    {
        /* free the temporary buffer */
        input_buffer->hooks.deallocate(number_c_string);
        return false; /* parse_error */
    }

    item->valuedouble = number;

    /* use saturation in case of overflow */
    if (number >= INT_MAX)
    {
        item->valueint = INT_MAX;
    }
    else if (number <= (double)INT_MIN)
    {
        item->valueint = INT_MIN;
    }
    else
    {
        item->valueint = (int)number;
    }

    item->type = cJSON_Number;

    input_buffer->offset += (size_t)(after_end - number_c_string);
    /* free the temporary buffer */
    input_buffer->hooks.deallocate(number_c_string);
    return true;
}

/* don't ask me, but the original cJSON_SetNumberValue returns an integer or double */
CJSON_PUBLIC(double) cJSON_SetNumberHelper(cJSON *object, double number)
{
    if (number >= INT_MAX)
    {
        object->valueint = INT_MAX;
    }
    else if (number <= (double)INT_MIN)
    {
        object->valueint = INT_MIN;
    }
    else
    {
        object->valueint = (int)number;
    }

    return object->valuedouble = number;
}

CJSON_PUBLIC(char*) cJSON_SetValuestring(cJSON *object, const char *valuestring)
{
    char *copy = NULL;
    /* if object's type is not cJSON_String or is cJSON_IsReference, it should not set valuestring */
    if ((object == NULL) || !(object->type & cJSON_String) || (object->type & cJSON_IsReference))
    {
        return NULL;
    }
    /* return NULL if the object is corrupted */
    if (object->valuestring == NULL || valuestring == NULL)
    {
        return NULL;
    }
    if (strlen(valuestring) <= strlen(object->valuestring))
    {
        strcpy(object->valuestring, valuestring);
        return object->valuestring;
    }
    copy = (char*) cJSON_strdup((const unsigned char*)valuestring, &global_hooks);
    if (copy == NULL)
    {
        return NULL;
    }
    if (object->valuestring != NULL)
    {
        cJSON_free(object->valuestring);
    }
    object->valuestring = copy;

    return copy;
}

typedef struct
{
    unsigned char *buffer;
    size_t length;
    size_t offset;
    size_t depth; /* current nesting depth (for formatted printing) */
    cJSON_bool noalloc;
    cJSON_bool format; /* is this print a formatted print */
    internal_hooks hooks;
} printbuffer;

/* realloc printbuffer if necessary to have at least "needed" bytes more */
static unsigned char* ensure(printbuffer * const p, size_t needed)
{
    unsigned char *newbuffer = NULL;
    size_t newsize = 0;

    if ((p == NULL) || (p->buffer == NULL))
    {
        return NULL;
    }

    if ((p->length > 0) && (p->offset >= p->length))
    {
        /* make sure that offset is valid */
        return NULL;
    }

    if (needed > INT_MAX)
    {
        /* sizes bigger than INT_MAX are currently not supported */
        return NULL;
    }

    needed += p->offset + 1;
    if (needed <= p->length)
    {
        return p->buffer + p->offset;
    }

    if (p->noalloc) {
        return NULL;
    }

    /* calculate new buffer size */
    if (needed > (INT_MAX / 2))
    {
        /* overflow of int, use INT_MAX if possible */
        if (needed <= INT_MAX)
        {
            newsize = INT_MAX;
        }
        else
        {
            return NULL;
        }
    }
    else
    {
        newsize = needed * 2;
    }

    if (p->hooks.reallocate != NULL)
    {
        /* reallocate with realloc if available */
        newbuffer = (unsigned char*)p->hooks.reallocate(p->buffer, newsize);
        if (newbuffer == NULL)
        {
            p->hooks.deallocate(p->buffer);
            p->length = 0;
            p->buffer = NULL;

            return NULL;
        }
    }
    else
    {
        /* otherwise reallocate manually */
        newbuffer = (unsigned char*)p->hooks.allocate(newsize);
        if (!newbuffer)
        {
            p->hooks.deallocate(p->buffer);
            p->length = 0;
            p->buffer = NULL;

            return NULL;
        }
        
        memcpy(newbuffer, p->buffer, p->offset + 1);
        p->hooks.deallocate(p->buffer);
    }
    p->length = newsize;
    p->buffer = newbuffer;

    return newbuffer + p->offset;
}

/* calculate the new length of the string in a printbuffer and update the offset */
static void update_offset(printbuffer * const buffer)
{
    const unsigned char *buffer_pointer = NULL;
    if ((buffer == NULL) || (buffer->buffer == NULL))
    {
        return;
    }
    buffer_pointer = buffer->buffer + buffer->offset;

    buffer->offset += strlen((const char*)buffer_pointer);
}

/* securely comparison of floating-point variables */
static cJSON_bool compare_double(double a, double b)
{
    double maxVal = fabs(a) > fabs(b) ? fabs(a) : fabs(b);
    return (fabs(a - b) <= maxVal * DBL_EPSILON);
}

/* Render the number nicely from the given item into a string. */
static cJSON_bool print_number(const cJSON * const item, printbuffer * const output_buffer)
{
    unsigned char *output_pointer = NULL;
    double d = item->valuedouble;
    int length = 0;
    size_t i = 0;
    unsigned char number_buffer[26] = {0}; /* temporary buffer to print the number into */
    unsigned char decimal_point = get_decimal_point();
    double test = 0.0;

    if (output_buffer == NULL)
    {
        return false;
    }

    /* This checks for NaN and Infinity */
    if (isnan(d) || isinf(d))
    {
        length = sprintf((char*)number_buffer, "null");
    }
    else
    {
        /* Try 15 decimal places of precision to avoid nonsignificant nonzero digits */
        length = sprintf((char*)number_buffer, "%1.15g", d);

        /* Check whether the original double can be recovered */
        if ((sscanf((char*)number_buffer, "%lg", &test) != 1) || !compare_double((double)test, d))
        {
            /* If not, print with 17 decimal places of precision */
            length = sprintf((char*)number_buffer, "%1.17g", d);
        }
    }

    /* sprintf failed or buffer overrun occurred */
    if ((length < 0) || (length > (int)(sizeof(number_buffer) - 1)))
    {
        return false;
    }

    /* reserve appropriate space in the output */
    output_pointer = ensure(output_buffer, (size_t)length + sizeof(""));
    if (output_pointer == NULL)
    {
        return false;
    }

    /* copy the printed number to the output and replace locale
     * dependent decimal point with '.' */
    for (i = 0; i < ((size_t)length); i++)
    {
        if (number_buffer[i] == decimal_point)
        {
            output_pointer[i] = '.';
            continue;
        }

        output_pointer[i] = number_buffer[i];
    }
    output_pointer[i] = '\0';

    output_buffer->offset += (size_t)length;

    return true;
}

/* parse 4 digit hexadecimal number */
static unsigned parse_hex4(const unsigned char * const input)
{
    unsigned int h = 0;
    size_t i = 0;

    for (i = 0; i < 4; i++)
    {
        /* parse digit */
        if ((input[i] >= '0') && (input[i] <= '9'))
        {
            h += (unsigned int) input[i] - '0';
        }
        else if ((input[i] >= 'A') && (input[i] <= 'F'))
        {
            h += (unsigned int) 10 + input[i] - 'A';
        }
        else if ((input[i] >= 'a') && (input[i] <= 'f'))
        {
            h += (unsigned int) 10 + input[i] - 'a';
        }
        else /* invalid */
        {
            return 0;
        }

        if (i < 3)
        {
            /* shift left to make place for the next nibble */
            h = h << 4;
        }
    }

    return h;
}

/* converts a UTF-16 literal to UTF-8
 * A literal can be one or two sequences of the form \uXXXX */
static unsigned char utf16_literal_to_utf8(const unsigned char * const input_pointer, const unsigned char * const input_end, unsigned char **output_pointer)
{
    long unsigned int codepoint = 0;
    unsigned int first_code = 0;
    const unsigned char *first_sequence = input_pointer;
    unsigned char utf8_length = 0;
    unsigned char utf8_position = 0;
    unsigned char sequence_length = 0;
    unsigned char first_byte_mark = 0;

    if ((input_end - first_sequence) < 6)
    {
        /* input ends unexpectedly */
        goto fail;
    }

    /* get the first utf16 sequence */
    first_code = parse_hex4(first_sequence + 2);

    /* check that the code is valid */
    if (((first_code >= 0xDC00) && (first_code <= 0xDFFF)))
    {
        goto fail;
    }

    /* UTF16 surrogate pair */
    if ((first_code >= 0xD800) && (first_code <= 0xDBFF))
    {
        const unsigned char *second_sequence = first_sequence + 6;
        unsigned int second_code = 0;
        sequence_length = 12; /* \uXXXX\uXXXX */

        if ((input_end - second_sequence) < 6)
        {
            /* input ends unexpectedly */
            goto fail;
        }

        if ((second_sequence[0] != '\\') || (second_sequence[1] != 'u'))
        {
            /* missing second half of the surrogate pair */
            goto fail;
        }

        /* get the second utf16 sequence */
        second_code = parse_hex4(second_sequence + 2);
        /* check that the code is valid */
        if ((second_code < 0xDC00) || (second_code > 0xDFFF))
        {
            /* invalid second half of the surrogate pair */
            goto fail;
        }


        /* calculate the unicode codepoint from the surrogate pair */
        codepoint = 0x10000 + (((first_code & 0x3FF) << 10) | (second_code & 0x3FF));
    }
    else
    {
        sequence_length = 6; /* \uXXXX */
        codepoint = first_code;
    }

    /* encode as UTF-8
     * takes at maximum 4 bytes to encode:
     * 11110xxx 10xxxxxx 10xxxxxx 10xxxxxx */
    if (codepoint < 0x80)
    {
        /* normal ascii, encoding 0xxxxxxx */
        utf8_length = 1;
    }
    else if (codepoint < 0x800)
    {
        /* two bytes, encoding 110xxxxx 10xxxxxx */
        utf8_length = 2;
        first_byte_mark = 0xC0; /* 11000000 */
    }
    else if (codepoint < 0x10000)
    {
        /* three bytes, encoding 1110xxxx 10xxxxxx 10xxxxxx */
        utf8_length = 3;
        first_byte_mark = 0xE0; /* 11100000 */
    }
    else if (codepoint <= 0x10FFFF)
    {
        /* four bytes, encoding 1110xxxx 10xxxxxx 10xxxxxx 10xxxxxx */
        utf8_length = 4;
        first_byte_mark = 0xF0; /* 11110000 */
    }
    else
    {
        /* invalid unicode codepoint */
        goto fail;
    }

    /* encode as utf8 */
    for (utf8_position = (unsigned char)(utf8_length - 1); utf8_position > 0; utf8_position--)
    {
        /* 10xxxxxx */
        (*output_pointer)[utf8_position] = (unsigned char)((codepoint | 0x80) & 0xBF);
        codepoint >>= 6;
    }
    /* encode first byte */
    if (utf8_length > 1)
    {
        (*output_pointer)[0] = (unsigned char)((codepoint | first_byte_mark) & 0xFF);
    }
    else
    {
        (*output_pointer)[0] = (unsigned char)(codepoint & 0x7F);
    }

    *output_pointer += utf8_length;

    return sequence_length;

fail:
    return 0;
}

/* Parse the input text into an unescaped cinput, and populate item. */
static cJSON_bool parse_string(cJSON * const item, parse_buffer * const input_buffer)
{
    const unsigned char *input_pointer = buffer_at_offset(input_buffer) + 1;
    const unsigned char *input_end = buffer_at_offset(input_buffer) + 1;
    unsigned char *output_pointer = NULL;
    unsigned char *output = NULL;

    /* not a string */
    if (buffer_at_offset(input_buffer)[0] != '\"')
    {
        goto fail;
    }

    {
        /* calculate approximate size of the output (overestimate) */
        size_t allocation_length = 0;
        size_t skipped_bytes = 0;
        while (((size_t)(input_end - input_buffer->content) < input_buffer->length) && (*input_end != '\"'))
        {
            /* is escape sequence */
            if (input_end[0] == '\\')
            {
                if ((size_t)(input_end + 1 - input_buffer->content) >= input_buffer->length)
                {
                    /* prevent buffer overflow when last input character is a backslash */
                    goto fail;
                }
                skipped_bytes++;
                input_end++;
            }
            input_end++;
        }
        if (((size_t)(input_end - input_buffer->content) >= input_buffer->length) || (*input_end != '\"'))
        {
            goto fail; /* string ended unexpectedly */
        }

        /* This is at most how much we need for the output */
        allocation_length = (size_t) (input_end - buffer_at_offset(input_buffer)) - skipped_bytes;
        output = (unsigned char*)input_buffer->hooks.allocate(allocation_length + sizeof(""));
        if (output == NULL)
        {
            goto fail; /* allocation failure */
        }
    }

    output_pointer = output;
    /* loop through the string literal */
    while (input_pointer < input_end)
    {
        if (*input_pointer != '\\')
        {
            *output_pointer++ = *input_pointer++;
        }
        /* escape sequence */
        else
        {
            unsigned char sequence_length = 2;
            if ((input_end - input_pointer) < 1)
            {
                goto fail;
            }

            switch (input_pointer[1])
            {
                case 'b':
                    *output_pointer++ = '\b';
                    break;
                case 'f':
                    *output_pointer++ = '\f';
                    break;
                case 'n':
                    *output_pointer++ = '\n';
                    break;
                case 'r':
                    *output_pointer++ = '\r';
                    break;
                case 't':
                    *output_pointer++ = '\t';
                    break;
                case '\"':
                case '\\':
                case '/':
                    *output_pointer++ = input_pointer[1];
                    break;

                /* UTF-16 literal */
                case 'u':
                    sequence_length = utf16_literal_to_utf8(input_pointer, input_end, &output_pointer);
                    if (sequence_length == 0)
                    {
                        /* failed to convert UTF16-literal to UTF-8 */
                        goto fail;
                    }
                    break;

                default:
                    goto fail;
            }
            input_pointer += sequence_length;
        }
    }

    /* zero terminate the output */
    *output_pointer = '\0';

    item->type = cJSON_String;
    item->valuestring = (char*)output;

    input_buffer->offset = (size_t) (input_end - input_buffer->content);
    input_buffer->offset++;

    return true;

fail:
    if (output != NULL)
    {
        input_buffer->hooks.deallocate(output);
    }

    if (input_pointer != NULL)
    {
        input_buffer->offset = (size_t)(input_pointer - input_buffer->content);
    }

    return false;
}

/* Render the cstring provided to an escaped version that can be printed. */
static cJSON_bool print_string_ptr(const unsigned char * const input, printbuffer * const output_buffer)
{
    const unsigned char *input_pointer = NULL;
    unsigned char *output = NULL;
    unsigned char *output_pointer = NULL;
    size_t output_length = 0;
    /* numbers of additional characters needed for escaping */
    size_t escape_characters = 0;

    if (output_buffer == NULL)
    {
        return false;
    }

    /* empty string */
    if (input == NULL)
    {
        output = ensure(output_buffer, sizeof("\"\""));
        if (output == NULL)
        {
            return false;
        }
        strcpy((char*)output, "\"\"");

        return true;
    }

    /* set "flag" to 1 if something needs to be escaped */
    for (input_pointer = input; *input_pointer; input_pointer++)
    {
        switch (*input_pointer)
        {
            case '\"':
            case '\\':
            case '\b':
            case '\f':
            case '\n':
            case '\r':
            case '\t':
                /* one character escape sequence */
                escape_characters++;
                break;
            default:
                if (*input_pointer < 32)
                {
                    /* UTF-16 escape sequence uXXXX */
                    escape_characters += 5;
                }
                break;
        }
    }
    output_length = (size_t)(input_pointer - input) + escape_characters;

    output = ensure(output_buffer, output_length + sizeof("\"\""));
    if (output == NULL)
    {
        return false;
    }

    /* no characters have to be escaped */
    if (escape_characters == 0)
    {
        output[0] = '\"';
        memcpy(output + 1, input, output_length);
        output[output_length + 1] = '\"';
        output[output_length + 2] = '\0';

        return true;
    }

    output[0] = '\"';
    output_pointer = output + 1;
    /* copy the string */
    for (input_pointer = input; *input_pointer != '\0'; (void)input_pointer++, output_pointer++)
    {
        if ((*input_pointer > 31) && (*input_pointer != '\"') && (*input_pointer != '\\'))
        {
            /* normal character, copy */
            *output_pointer = *input_pointer;
        }
        else
        {
            /* character needs to be escaped */
            *output_pointer++ = '\\';
            switch (*input_pointer)
            {
                case '\\':
                    *output_pointer = '\\';
                    break;
                case '\"':
                    *output_pointer = '\"';
                    break;
                case '\b':
                    *output_pointer = 'b';
                    break;
                case '\f':
                    *output_pointer = 'f';
                    break;
                case '\n':
                    *output_pointer = 'n';
                    break;
                case '\r':
                    *output_pointer = 'r';
                    break;
                case '\t':
                    *output_pointer = 't';
                    break;
                default:
                    /* escape and print as unicode codepoint */
                    sprintf((char*)output_pointer, "u%04x", *input_pointer);
                    output_pointer += 4;
                    break;
            }
        }
    }
    output[output_length + 1] = '\"';
    output[output_length + 2] = '\0';

    return true;
}

/* Invoke print_string_ptr (which is useful) on an item. */
static cJSON_bool print_string(const cJSON * const item, printbuffer * const p)
{
    return print_string_ptr((unsigned char*)item->valuestring, p);
}

/* Predeclare these prototypes. */
static cJSON_bool parse_value(cJSON * const item, parse_buffer * const input_buffer);
static cJSON_bool print_value(const cJSON * const item, printbuffer * const output_buffer);
static cJSON_bool parse_array(cJSON * const item, parse_buffer * const input_buffer);
static cJSON_bool print_array(const cJSON * const item, printbuffer * const output_buffer);
static cJSON_bool parse_object(cJSON * const item, parse_buffer * const input_buffer);
static cJSON_bool print_object(const cJSON * const item, printbuffer * const output_buffer);

/* Utility to jump whitespace and cr/lf */
static parse_buffer *buffer_skip_whitespace(parse_buffer * const buffer)
{
    if ((buffer == NULL) || (buffer->content == NULL))
    {
        return NULL;
    }

    if (cannot_access_at_index(buffer, 0))
    {
        return buffer;
    }

    while (can_access_at_index(buffer, 0) && (buffer_at_offset(buffer)[0] <= 32))
    {
       buffer->offset++;
    }

    if (buffer->offset == buffer->length)
    {
        buffer->offset--;
    }

    return buffer;
}

/* skip the UTF-8 BOM (byte order mark) if it is at the beginning of a buffer */
static parse_buffer *skip_utf8_bom(parse_buffer * const buffer)
{
    if ((buffer == NULL) || (buffer->content == NULL) || (buffer->offset != 0))
    {
        return NULL;
    }

    if (can_access_at_index(buffer, 4) && (strncmp((const char*)buffer_at_offset(buffer), "\xEF\xBB\xBF", 3) == 0))
    {
        buffer->offset += 3;
    }

    return buffer;
}

CJSON_PUBLIC(cJSON *) cJSON_ParseWithOpts(const char *value, const char **return_parse_end, cJSON_bool require_null_terminated)
{
    size_t buffer_length;

    if (NULL == value)
    {
        return NULL;
    }

    /* Adding null character size due to require_null_terminated. */
    buffer_length = strlen(value) + sizeof("");

    return cJSON_ParseWithLengthOpts(value, buffer_length, return_parse_end, require_null_terminated);
}

/* Parse an object - create a new root, and populate. */
CJSON_PUBLIC(cJSON *) cJSON_ParseWithLengthOpts(const char *value, size_t buffer_length, const char **return_parse_end, cJSON_bool require_null_terminated)
{
    parse_buffer buffer = { 0, 0, 0, 0, { 0, 0, 0 } };
    cJSON *item = NULL;

    /* reset error position */
    global_error.json = NULL;
    global_error.position = 0;

    if (value == NULL || 0 == buffer_length)
    {
        goto fail;
    }

    buffer.content = (const unsigned char*)value;
    buffer.length = buffer_length; 
    buffer.offset = 0;
    buffer.hooks = global_hooks;

    item = cJSON_New_Item(&global_hooks);
    if (item == NULL) /* memory fail */
    {
        goto fail;
    }

    if (!parse_value(item, buffer_skip_whitespace(skip_utf8_bom(&buffer))))
    {
        /* parse failure. ep is set. */
        goto fail;
    }

    /* if we require null-terminated JSON without appended garbage, skip and then check for a null terminator */
    if (require_null_terminated)
    {
        buffer_skip_whitespace(&buffer);
        if ((buffer.offset >= buffer.length) || buffer_at_offset(&buffer)[0] != '\0')
        {
            goto fail;
        }
    }
    if (return_parse_end)
    {
        *return_parse_end = (const char*)buffer_at_offset(&buffer);
    }

    return item;

fail:
    if (item != NULL)
    {
        cJSON_Delete(item);
    }

    if (value != NULL)
    {
        error local_error;
        local_error.json = (const unsigned char*)value;
        local_error.position = 0;

        if (buffer.offset < buffer.length)
        {
            local_error.position = buffer.offset;
        }
        else if (buffer.length > 0)
        {
            local_error.position = buffer.length - 1;
        }

        if (return_parse_end != NULL)
        {
            *return_parse_end = (const char*)local_error.json + local_error.position;
        }

        global_error = local_error;
    }

    return NULL;
}

/* Default options for cJSON_Parse */
CJSON_PUBLIC(cJSON *) cJSON_Parse(const char *value)
{
    return cJSON_ParseWithOpts(value, 0, 0);
}

CJSON_PUBLIC(cJSON *) cJSON_ParseWithLength(const char *value, size_t buffer_length)
{
    return cJSON_ParseWithLengthOpts(value, buffer_length, 0, 0);
}

#define cjson_min(a, b) (((a) < (b)) ? (a) : (b))

static unsigned char *print(const cJSON * const item, cJSON_bool format, const internal_hooks * const hooks)
{
    static const size_t default_buffer_size = 256;
    printbuffer buffer[1];
    unsigned char *printed = NULL;

    memset(buffer, 0, sizeof(buffer));

    /* create buffer */
    buffer->buffer = (unsigned char*) hooks->allocate(default_buffer_size);
    buffer->length = default_buffer_size;
    buffer->format = format;
    buffer->hooks = *hooks;
    if (buffer->buffer == NULL)
    {
        goto fail;
    }

    /* print the value */
    if (!print_value(item, buffer))
    {
        goto fail;
    }
    update_offset(buffer);

    /* check if reallocate is available */
    if (hooks->reallocate != NULL)
    {
        printed = (unsigned char*) hooks->reallocate(buffer->buffer, buffer->offset + 1);
        if (printed == NULL) {
            goto fail;
        }
        buffer->buffer = NULL;
    }
    else /* otherwise copy the JSON over to a new buffer */
    {
        printed = (unsigned char*) hooks->allocate(buffer->offset + 1);
        if (printed == NULL)
        {
            goto fail;
        }
        memcpy(printed, buffer->buffer, cjson_min(buffer->length, buffer->offset + 1));
        printed[buffer->offset] = '\0'; /* just to be sure */

        /* free the buffer */
        hooks->deallocate(buffer->buffer);
    }

    return printed;

fail:
    if (buffer->buffer != NULL)
    {
        hooks->deallocate(buffer->buffer);
    }

    if (printed != NULL)
    {
        hooks->deallocate(printed);
    }

    return NULL;
}

/* Render a cJSON item/entity/structure to text. */
CJSON_PUBLIC(char *) cJSON_Print(const cJSON *item)
{
    return (char*)print(item, true, &global_hooks);
}

CJSON_PUBLIC(char *) cJSON_PrintUnformatted(const cJSON *item)
{
    return (char*)print(item, false, &global_hooks);
}

CJSON_PUBLIC(char *) cJSON_PrintBuffered(const cJSON *item, int prebuffer, cJSON_bool fmt)
{
    printbuffer p = { 0, 0, 0, 0, 0, 0, { 0, 0, 0 } };

    if (prebuffer < 0)
    {
        return NULL;
    }

    p.buffer = (unsigned char*)global_hooks.allocate((size_t)prebuffer);
    if (!p.buffer)
    {
        return NULL;
    }

    p.length = (size_t)prebuffer;
    p.offset = 0;
    p.noalloc = false;
    p.format = fmt;
    p.hooks = global_hooks;

    if (!print_value(item, &p))
    {
        global_hooks.deallocate(p.buffer);
        return NULL;
    }

    return (char*)p.buffer;
}

CJSON_PUBLIC(cJSON_bool) cJSON_PrintPreallocated(cJSON *item, char *buffer, const int length, const cJSON_bool format)
{
    printbuffer p = { 0, 0, 0, 0, 0, 0, { 0, 0, 0 } };

    if ((length < 0) || (buffer == NULL))
    {
        return false;
    }

    p.buffer = (unsigned char*)buffer;
    p.length = (size_t)length;
    p.offset = 0;
    p.noalloc = true;
    p.format = format;
    p.hooks = global_hooks;

    return print_value(item, &p);
}

/* Parser core - when encountering text, process appropriately. */
static cJSON_bool parse_value(cJSON * const item, parse_buffer * const input_buffer)
{
    if ((input_buffer == NULL) || (input_buffer->content == NULL))
    {
        return false; /* no input */
    }

    /* parse the different types of values */
    /* null */
    if (can_read(input_buffer, 4) && (strncmp((const char*)buffer_at_offset(input_buffer), "null", 4) == 0))
    {
        item->type = cJSON_NULL;
        input_buffer->offset += 4;
        return true;
    }
    /* false */
    if (can_read(input_buffer, 5) && (strncmp((const char*)buffer_at_offset(input_buffer), "false", 5) == 0))
    {
        item->type = cJSON_False;
        input_buffer->offset += 5;
        return true;
    }
    /* true */
    if (can_read(input_buffer, 4) && (strncmp((const char*)buffer_at_offset(input_buffer), "true", 4) == 0))
    {
        item->type = cJSON_True;
        item->valueint = 1;
        input_buffer->offset += 4;
        return true;
    }
    /* string */
    if (can_access_at_index(input_buffer, 0) && (buffer_at_offset(input_buffer)[0] == '\"'))
    {
        return parse_string(item, input_buffer);
    }
    /* number */
    if (can_access_at_index(input_buffer, 0) && ((buffer_at_offset(input_buffer)[0] == '-') || ((buffer_at_offset(input_buffer)[0] >= '0') && (buffer_at_offset(input_buffer)[0] <= '9'))))
    {
        return parse_number(item, input_buffer);
    }
    /* array */
    if (can_access_at_index(input_buffer, 0) && (buffer_at_offset(input_buffer)[0] == '['))
    {
        return parse_array(item, input_buffer);
    }
    /* object */
    if (can_access_at_index(input_buffer, 0) && (buffer_at_offset(input_buffer)[0] == '{'))
    {
        return parse_object(item, input_buffer);
    }

    return false;
}

/* Render a value to text. */
static cJSON_bool print_value(const cJSON * const item, printbuffer * const output_buffer)
{
    unsigned char *output = NULL;

    if ((item == NULL) || (output_buffer == NULL))
    {
        return false;
    }

    switch ((item->type) & 0xFF)
    {
        case cJSON_NULL:
            output = ensure(output_buffer, 5);
            if (output == NULL)
            {
                return false;
            }
            strcpy((char*)output, "null");
            return true;

        case cJSON_False:
            output = ensure(output_buffer, 6);
            if (output == NULL)
            {
                return false;
            }
            strcpy((char*)output, "false");
            return true;

        case cJSON_True:
            output = ensure(output_buffer, 5);
            if (output == NULL)
            {
                return false;
            }
            strcpy((char*)output, "true");
            return true;

        case cJSON_Number:
            return print_number(item, output_buffer);

        case cJSON_Raw:
        {
            size_t raw_length = 0;
            if (item->valuestring == NULL)
            {
                return false;
            }

            raw_length = strlen(item->valuestring) + sizeof("");
            output = ensure(output_buffer, raw_length);
            if (output == NULL)
            {
                return false;
            }
            memcpy(output, item->valuestring, raw_length);
            return true;
        }

        case cJSON_String:
            return print_string(item, output_buffer);

        case cJSON_Array:
            return print_array(item, output_buffer);

        case cJSON_Object:
            return print_object(item, output_buffer);

        default:
            return false;
    }
}

/* Build an array from input text. */
static cJSON_bool parse_array(cJSON * const item, parse_buffer * const input_buffer)
{
    cJSON *head = NULL; /* head of the linked list */
    cJSON *current_item = NULL;

    if (input_buffer->depth >= CJSON_NESTING_LIMIT)
    {
        return false; /* to deeply nested */
    }
    input_buffer->depth++;

    if (buffer_at_offset(input_buffer)[0] != '[')
    {
        /* not an array */
        goto fail;
    }

    input_buffer->offset++;
    buffer_skip_whitespace(input_buffer);
    if (can_access_at_index(input_buffer, 0) && (buffer_at_offset(input_buffer)[0] == ']'))
    {
        /* empty array */
        goto success;
    }

    /* check if we skipped to the end of the buffer */
    if (cannot_access_at_index(input_buffer, 0))
    {
        input_buffer->offset--;
        goto fail;
    }

    /* step back to character in front of the first element */
    input_buffer->offset--;
    /* loop through the comma separated array elements */
    do
    {
        /* allocate next item */
        cJSON *new_item = cJSON_New_Item(&(input_buffer->hooks));
        if (new_item == NULL)
        {
            goto fail; /* allocation failure */
        }

        /* attach next item to list */
        if (head == NULL)
        {
            /* start the linked list */
            current_item = head = new_item;
        }
        else
        {
            /* add to the end and advance */
            current_item->next = new_item;
            new_item->prev = current_item;
            current_item = new_item;
        }

        /* parse next value */
        input_buffer->offset++;
        buffer_skip_whitespace(input_buffer);
        if (!parse_value(current_item, input_buffer))
        {
            goto fail; /* failed to parse value */
        }
        buffer_skip_whitespace(input_buffer);
    }
    while (can_access_at_index(input_buffer, 0) && (buffer_at_offset(input_buffer)[0] == ','));

    if (cannot_access_at_index(input_buffer, 0) || buffer_at_offset(input_buffer)[0] != ']')
    {
        goto fail; /* expected end of array */
    }

success:
    input_buffer->depth--;

    if (head != NULL) {
        head->prev = current_item;
    }

    item->type = cJSON_Array;
    item->child = head;

    input_buffer->offset++;

    return true;

fail:
    if (head != NULL)
    {
        cJSON_Delete(head);
    }

    return false;
}

/* Render an array to text */
static cJSON_bool print_array(const cJSON * const item, printbuffer * const output_buffer)
{
    unsigned char *output_pointer = NULL;
    size_t length = 0;
    cJSON *current_element = item->child;

    if (output_buffer == NULL)
    {
        return false;
    }

    /* Compose the output array. */
    /* opening square bracket */
    output_pointer = ensure(output_buffer, 1);
    if (output_pointer == NULL)
    {
        return false;
    }

    *output_pointer = '[';
    output_buffer->offset++;
    output_buffer->depth++;

    while (current_element != NULL)
    {
        if (!print_value(current_element, output_buffer))
        {
            return false;
        }
        update_offset(output_buffer);
        if (current_element->next)
        {
            length = (size_t) (output_buffer->format ? 2 : 1);
            output_pointer = ensure(output_buffer, length + 1);
            if (output_pointer == NULL)
            {
                return false;
            }
            *output_pointer++ = ',';
            if(output_buffer->format)
            {
                *output_pointer++ = ' ';
            }
            *output_pointer = '\0';
            output_buffer->offset += length;
        }
        current_element = current_element->next;
    }

    output_pointer = ensure(output_buffer, 2);
    if (output_pointer == NULL)
    {
        return false;
    }
    *output_pointer++ = ']';
    *output_pointer = '\0';
    output_buffer->depth--;

    return true;
}

/* Build an object from the text. */
static cJSON_bool parse_object(cJSON * const item, parse_buffer * const input_buffer)
{
    cJSON *head = NULL; /* linked list head */
    cJSON *current_item = NULL;

    if (input_buffer->depth >= CJSON_NESTING_LIMIT)
    {
        return false; /* to deeply nested */
    }
    input_buffer->depth++;

    if (cannot_access_at_index(input_buffer, 0) || (buffer_at_offset(input_buffer)[0] != '{'))
    {
        goto fail; /* not an object */
    }

    input_buffer->offset++;
    buffer_skip_whitespace(input_buffer);
    if (can_access_at_index(input_buffer, 0) && (buffer_at_offset(input_buffer)[0] == '}'))
    {
        goto success; /* empty object */
    }

    /* check if we skipped to the end of the buffer */
    if (cannot_access_at_index(input_buffer, 0))
    {
        input_buffer->offset--;
        goto fail;
    }

    /* step back to character in front of the first element */
    input_buffer->offset--;
    /* loop through the comma separated array elements */
    do
    {
        /* allocate next item */
        cJSON *new_item = cJSON_New_Item(&(input_buffer->hooks));
        if (new_item == NULL)
        {
            goto fail; /* allocation failure */
        }

        /* attach next item to list */
        if (head == NULL)
        {
            /* start the linked list */
            current_item = head = new_item;
        }
        else
        {
            /* add to the end and advance */
            current_item->next = new_item;
            new_item->prev = current_item;
            current_item = new_item;
        }

        if (cannot_access_at_index(input_buffer, 1))
        {
            goto fail; /* nothing comes after the comma */
        }

        /* parse the name of the child */
        input_buffer->offset++;
        buffer_skip_whitespace(input_buffer);
        if (!parse_string(current_item, input_buffer))
        {
            goto fail; /* failed to parse name */
        }
        buffer_skip_whitespace(input_buffer);

        /* swap valuestring and string, because we parsed the name */
        current_item->string = current_item->valuestring;
        current_item->valuestring = NULL;

        if (cannot_access_at_index(input_buffer, 0) || (buffer_at_offset(input_buffer)[0] != ':'))
        {
            goto fail; /* invalid object */
        }

        /* parse the value */
        input_buffer->offset++;
        buffer_skip_whitespace(input_buffer);
        if (!parse_value(current_item, input_buffer))
        {
            goto fail; /* failed to parse value */
        }
        buffer_skip_whitespace(input_buffer);
    }
    while (can_access_at_index(input_buffer, 0) && (buffer_at_offset(input_buffer)[0] == ','));

    if (cannot_access_at_index(input_buffer, 0) || (buffer_at_offset(input_buffer)[0] != '}'))
    {
        goto fail; /* expected end of object */
    }

success:
    input_buffer->depth--;

    if (head != NULL) {
        head->prev = current_item;
    }

    item->type = cJSON_Object;
    item->child = head;

    input_buffer->offset++;
    return true;

fail:
    if (head != NULL)
    {
        cJSON_Delete(head);
    }

    return false;
}

/* Render an object to text. */
static cJSON_bool print_object(const cJSON * const item, printbuffer * const output_buffer)
{
    unsigned char *output_pointer = NULL;
    size_t length = 0;
    cJSON *current_item = item->child;

    if (output_buffer == NULL)
    {
        return false;
    }

    /* Compose the output: */
    length = (size_t) (output_buffer->format ? 2 : 1); /* fmt: {\n */
    output_pointer = ensure(output_buffer, length + 1);
    if (output_pointer == NULL)
    {
        return false;
    }

    *output_pointer++ = '{';
    output_buffer->depth++;
    if (output_buffer->format)
    {
        *output_pointer++ = '\n';
    }
    output_buffer->offset += length;

    while (current_item)
    {
        if (output_buffer->format)
        {
            size_t i;
            output_pointer = ensure(output_buffer, output_buffer->depth);
            if (output_pointer == NULL)
            {
                return false;
            }
            for (i = 0; i < output_buffer->depth; i++)
            {
                *output_pointer++ = '\t';
            }
            output_buffer->offset += output_buffer->depth;
        }

        /* print key */
        if (!print_string_ptr((unsigned char*)current_item->string, output_buffer))
        {
            return false;
        }
        update_offset(output_buffer);

        length = (size_t) (output_buffer->format ? 2 : 1);
        output_pointer = ensure(output_buffer, length);
        if (output_pointer == NULL)
        {
            return false;
        }
        *output_pointer++ = ':';
        if (output_buffer->format)
        {
            *output_pointer++ = '\t';
        }
        output_buffer->offset += length;

        /* print value */
        if (!print_value(current_item, output_buffer))
        {
            return false;
        }
        update_offset(output_buffer);

        /* print comma if not last */
        length = ((size_t)(output_buffer->format ? 1 : 0) + (size_t)(current_item->next ? 1 : 0));
        output_pointer = ensure(output_buffer, length + 1);
        if (output_pointer == NULL)
        {
            return false;
        }
        if (current_item->next)
        {
            *output_pointer++ = ',';
        }

        if (output_buffer->format)
        {
            *output_pointer++ = '\n';
        }
        *output_pointer = '\0';
        output_buffer->offset += length;

        current_item = current_item->next;
    }

    output_pointer = ensure(output_buffer, output_buffer->format ? (output_buffer->depth + 1) : 2);
    if (output_pointer == NULL)
    {
        return false;
    }
    if (output_buffer->format)
    {
        size_t i;
        for (i = 0; i < (output_buffer->depth - 1); i++)
        {
            *output_pointer++ = '\t';
        }
    }
    *output_pointer++ = '}';
    *output_pointer = '\0';
    output_buffer->depth--;

    return true;
}

/* Get Array size/item / object item. */
CJSON_PUBLIC(int) cJSON_GetArraySize(const cJSON *array)
{
    cJSON *child = NULL;
    size_t size = 0;

    if (array == NULL)
    {
        return 0;
    }

    child = array->child;

    while(child != NULL)
    {
        size++;
        child = child->next;
    }

    /* FIXME: Can overflow here. Cannot be fixed without breaking the API */

    return (int)size;
}

static cJSON* get_array_item(const cJSON *array, size_t index)
{
    cJSON *current_child = NULL;

    if (array == NULL)
    {
        return NULL;
    }

    current_child = array->child;
    while ((current_child != NULL) && (index > 0))
    {
        index--;
        current_child = current_child->next;
    }

    return current_child;
}

CJSON_PUBLIC(cJSON *) cJSON_GetArrayItem(const cJSON *array, int index)
{
    if (index < 0)
    {
        return NULL;
    }

    return get_array_item(array, (size_t)index);
}

static cJSON *get_object_item(const cJSON * const object, const char * const name, const cJSON_bool case_sensitive)
{
    cJSON *current_element = NULL;

    if ((object == NULL) || (name == NULL))
    {
        return NULL;
    }

    current_element = object->child;
    if (case_sensitive)
    {
        while ((current_element != NULL) && (current_element->string != NULL) && (strcmp(name, current_element->string) != 0))
        {
            current_element = current_element->next;
        }
    }
    else
    {
        while ((current_element != NULL) && (case_insensitive_strcmp((const unsigned char*)name, (const unsigned char*)(current_element->string)) != 0))
        {
            current_element = current_element->next;
        }
    }

    if ((current_element == NULL) || (current_element->string == NULL)) {
        return NULL;
    }

    return current_element;
}

CJSON_PUBLIC(cJSON *) cJSON_GetObjectItem(const cJSON * const object, const char * const string)
{
    return get_object_item(object, string, false);
}

CJSON_PUBLIC(cJSON *) cJSON_GetObjectItemCaseSensitive(const cJSON * const object, const char * const string)
{
    return get_object_item(object, string, true);
}

CJSON_PUBLIC(cJSON_bool) cJSON_HasObjectItem(const cJSON *object, const char *string)
{
    return cJSON_GetObjectItem(object, string) ? 1 : 0;
}

/* Utility for array list handling. */
static void suffix_object(cJSON *prev, cJSON *item)
{
    prev->next = item;
    item->prev = prev;
}

/* Utility for handling references. */
static cJSON *create_reference(const cJSON *item, const internal_hooks * const hooks)
{
    cJSON *reference = NULL;
    if (item == NULL)
    {
        return NULL;
    }

    reference = cJSON_New_Item(hooks);
    if (reference == NULL)
    {
        return NULL;
    }

    memcpy(reference, item, sizeof(cJSON));
    reference->string = NULL;
    reference->type |= cJSON_IsReference;
    reference->next = reference->prev = NULL;
    return reference;
}

static cJSON_bool add_item_to_array(cJSON *array, cJSON *item)
{
    cJSON *child = NULL;

    if ((item == NULL) || (array == NULL) || (array == item))
    {
        return false;
    }

    child = array->child;
    /*
     * To find the last item in array quickly, we use prev in array
     */
    if (child == NULL)
    {
        /* list is empty, start new one */
        array->child = item;
        item->prev = item;
        item->next = NULL;
    }
    else
    {
        /* append to the end */
        if (child->prev)
        {
            suffix_object(child->prev, item);
            array->child->prev = item;
        }
    }

    return true;
}

/* Add item to array/object. */
CJSON_PUBLIC(cJSON_bool) cJSON_AddItemToArray(cJSON *array, cJSON *item)
{
    return add_item_to_array(array, item);
}

#if defined(__clang__) || (defined(__GNUC__)  && ((__GNUC__ > 4) || ((__GNUC__ == 4) && (__GNUC_MINOR__ > 5))))
    #pragma GCC diagnostic push
#endif
#ifdef __GNUC__
#pragma GCC diagnostic ignored "-Wcast-qual"
#endif
/* helper function to cast away const */
static void* cast_away_const(const void* string)
{
    return (void*)string;
}
#if defined(__clang__) || (defined(__GNUC__)  && ((__GNUC__ > 4) || ((__GNUC__ == 4) && (__GNUC_MINOR__ > 5))))
    #pragma GCC diagnostic pop
#endif


static cJSON_bool add_item_to_object(cJSON * const object, const char * const string, cJSON * const item, const internal_hooks * const hooks, const cJSON_bool constant_key)
{
    char *new_key = NULL;
    int new_type = cJSON_Invalid;

    if ((object == NULL) || (string == NULL) || (item == NULL) || (object == item))
    {
        return false;
    }

    if (constant_key)
    {
        new_key = (char*)cast_away_const(string);
        new_type = item->type | cJSON_StringIsConst;
    }
    else
    {
        new_key = (char*)cJSON_strdup((const unsigned char*)string, hooks);
        if (new_key == NULL)
        {
            return false;
        }

        new_type = item->type & ~cJSON_StringIsConst;
    }

    if (!(item->type & cJSON_StringIsConst) && (item->string != NULL))
    {
        hooks->deallocate(item->string);
    }

    item->string = new_key;
    item->type = new_type;

    return add_item_to_array(object, item);
}

CJSON_PUBLIC(cJSON_bool) cJSON_AddItemToObject(cJSON *object, const char *string, cJSON *item)
{
    return add_item_to_object(object, string, item, &global_hooks, false);
}

/* Add an item to an object with constant string as key */
CJSON_PUBLIC(cJSON_bool) cJSON_AddItemToObjectCS(cJSON *object, const char *string, cJSON *item)
{
    return add_item_to_object(object, string, item, &global_hooks, true);
}

CJSON_PUBLIC(cJSON_bool) cJSON_AddItemReferenceToArray(cJSON *array, cJSON *item)
{
    if (array == NULL)
    {
        return false;
    }

    return add_item_to_array(array, create_reference(item, &global_hooks));
}

CJSON_PUBLIC(cJSON_bool) cJSON_AddItemReferenceToObject(cJSON *object, const char *string, cJSON *item)
{
    if ((object == NULL) || (string == NULL))
    {
        return false;
    }

    return add_item_to_object(object, string, create_reference(item, &global_hooks), &global_hooks, false);
}

CJSON_PUBLIC(cJSON*) cJSON_AddNullToObject(cJSON * const object, const char * const name)
{
    cJSON *null = cJSON_CreateNull();
    if (add_item_to_object(object, name, null, &global_hooks, false))
    {
        return null;
    }

    cJSON_Delete(null);
    return NULL;
}

CJSON_PUBLIC(cJSON*) cJSON_AddTrueToObject(cJSON * const object, const char * const name)
{
    cJSON *true_item = cJSON_CreateTrue();
    if (add_item_to_object(object, name, true_item, &global_hooks, false))
    {
        return true_item;
    }

    cJSON_Delete(true_item);
    return NULL;
}

CJSON_PUBLIC(cJSON*) cJSON_AddFalseToObject(cJSON * const object, const char * const name)
{
    cJSON *false_item = cJSON_CreateFalse();
    if (add_item_to_object(object, name, false_item, &global_hooks, false))
    {
        return false_item;
    }

    cJSON_Delete(false_item);
    return NULL;
}

CJSON_PUBLIC(cJSON*) cJSON_AddBoolToObject(cJSON * const object, const char * const name, const cJSON_bool boolean)
{
    cJSON *bool_item = cJSON_CreateBool(boolean);
    if (add_item_to_object(object, name, bool_item, &global_hooks, false))
    {
        return bool_item;
    }

    cJSON_Delete(bool_item);
    return NULL;
}

CJSON_PUBLIC(cJSON*) cJSON_AddNumberToObject(cJSON * const object, const char * const name, const double number)
{
    cJSON *number_item = cJSON_CreateNumber(number);
    if (add_item_to_object(object, name, number_item, &global_hooks, false))
    {
        return number_item;
    }

    cJSON_Delete(number_item);
    return NULL;
}

CJSON_PUBLIC(cJSON*) cJSON_AddStringToObject(cJSON * const object, const char * const name, const char * const string)
{
    cJSON *string_item = cJSON_CreateString(string);
    if (add_item_to_object(object, name, string_item, &global_hooks, false))
    {
        return string_item;
    }

    cJSON_Delete(string_item);
    return NULL;
}

CJSON_PUBLIC(cJSON*) cJSON_AddRawToObject(cJSON * const object, const char * const name, const char * const raw)
{
    cJSON *raw_item = cJSON_CreateRaw(raw);
    if (add_item_to_object(object, name, raw_item, &global_hooks, false))
    {
        return raw_item;
    }

    cJSON_Delete(raw_item);
    return NULL;
}

CJSON_PUBLIC(cJSON*) cJSON_AddObjectToObject(cJSON * const object, const char * const name)
{
    cJSON *object_item = cJSON_CreateObject();
    if (add_item_to_object(object, name, object_item, &global_hooks, false))
    {
        return object_item;
    }

    cJSON_Delete(object_item);
    return NULL;
}

CJSON_PUBLIC(cJSON*) cJSON_AddArrayToObject(cJSON * const object, const char * const name)
{
    cJSON *array = cJSON_CreateArray();
    if (add_item_to_object(object, name, array, &global_hooks, false))
    {
        return array;
    }

    cJSON_Delete(array);
    return NULL;
}

CJSON_PUBLIC(cJSON *) cJSON_DetachItemViaPointer(cJSON *parent, cJSON * const item)
{
    if ((parent == NULL) || (item == NULL))
    {
        return NULL;
    }

    if (item != parent->child)
    {
        /* not the first element */
        item->prev->next = item->next;
    }
    if (item->next != NULL)
    {
        /* not the last element */
        item->next->prev = item->prev;
    }

    if (item == parent->child)
    {
        /* first element */
        parent->child = item->next;
    }
    else if (item->next == NULL)
    {
        /* last element */
        parent->child->prev = item->prev;
    }

    /* make sure the detached item doesn't point anywhere anymore */
    item->prev = NULL;
    item->next = NULL;

    return item;
}

CJSON_PUBLIC(cJSON *) cJSON_DetachItemFromArray(cJSON *array, int which)
{
    if (which < 0)
    {
        return NULL;
    }

    return cJSON_DetachItemViaPointer(array, get_array_item(array, (size_t)which));
}

CJSON_PUBLIC(void) cJSON_DeleteItemFromArray(cJSON *array, int which)
{
    cJSON_Delete(cJSON_DetachItemFromArray(array, which));
}

CJSON_PUBLIC(cJSON *) cJSON_DetachItemFromObject(cJSON *object, const char *string)
{
    cJSON *to_detach = cJSON_GetObjectItem(object, string);

    return cJSON_DetachItemViaPointer(object, to_detach);
}

CJSON_PUBLIC(cJSON *) cJSON_DetachItemFromObjectCaseSensitive(cJSON *object, const char *string)
{
    cJSON *to_detach = cJSON_GetObjectItemCaseSensitive(object, string);

    return cJSON_DetachItemViaPointer(object, to_detach);
}

CJSON_PUBLIC(void) cJSON_DeleteItemFromObject(cJSON *object, const char *string)
{
    cJSON_Delete(cJSON_DetachItemFromObject(object, string));
}

CJSON_PUBLIC(void) cJSON_DeleteItemFromObjectCaseSensitive(cJSON *object, const char *string)
{
    cJSON_Delete(cJSON_DetachItemFromObjectCaseSensitive(object, string));
}

/* Replace array/object items with new ones. */
CJSON_PUBLIC(cJSON_bool) cJSON_InsertItemInArray(cJSON *array, int which, cJSON *newitem)
{
    cJSON *after_inserted = NULL;

    if (which < 0 || newitem == NULL)
    {
        return false;
    }

    after_inserted = get_array_item(array, (size_t)which);
    if (after_inserted == NULL)
    {
        return add_item_to_array(array, newitem);
    }

    if (after_inserted != array->child && newitem->prev == NULL) {
        /* return false if after_inserted is a corrupted array item */
        return false;
    }

    newitem->next = after_inserted;
    newitem->prev = after_inserted->prev;
    after_inserted->prev = newitem;
    if (after_inserted == array->child)
    {
        array->child = newitem;
    }
    else
    {
        newitem->prev->next = newitem;
    }
    return true;
}

CJSON_PUBLIC(cJSON_bool) cJSON_ReplaceItemViaPointer(cJSON * const parent, cJSON * const item, cJSON * replacement)
{
    if ((parent == NULL) || (replacement == NULL) || (item == NULL))
    {
        return false;
    }

    if (replacement == item)
    {
        return true;
    }

    replacement->next = item->next;
    replacement->prev = item->prev;

    if (replacement->next != NULL)
    {
        replacement->next->prev = replacement;
    }
    if (parent->child == item)
    {
        if (parent->child->prev == parent->child)
        {
            replacement->prev = replacement;
        }
        parent->child = replacement;
    }
    else
    {   /*
         * To find the last item in array quickly, we use prev in array.
         * We can't modify the last item's next pointer where this item was the parent's child
         */
        if (replacement->prev != NULL)
        {
            replacement->prev->next = replacement;
        }
        if (replacement->next == NULL)
        {
            parent->child->prev = replacement;
        }
    }

    item->next = NULL;
    item->prev = NULL;
    cJSON_Delete(item);

    return true;
}

CJSON_PUBLIC(cJSON_bool) cJSON_ReplaceItemInArray(cJSON *array, int which, cJSON *newitem)
{
    if (which < 0)
    {
        return false;
    }

    return cJSON_ReplaceItemViaPointer(array, get_array_item(array, (size_t)which), newitem);
}

static cJSON_bool replace_item_in_object(cJSON *object, const char *string, cJSON *replacement, cJSON_bool case_sensitive)
{
    if ((replacement == NULL) || (string == NULL))
    {
        return false;
    }

    /* replace the name in the replacement */
    if (!(replacement->type & cJSON_StringIsConst) && (replacement->string != NULL))
    {
        cJSON_free(replacement->string);
    }
    replacement->string = (char*)cJSON_strdup((const unsigned char*)string, &global_hooks);
    replacement->type &= ~cJSON_StringIsConst;

    return cJSON_ReplaceItemViaPointer(object, get_object_item(object, string, case_sensitive), replacement);
}

CJSON_PUBLIC(cJSON_bool) cJSON_ReplaceItemInObject(cJSON *object, const char *string, cJSON *newitem)
{
    return replace_item_in_object(object, string, newitem, false);
}

CJSON_PUBLIC(cJSON_bool) cJSON_ReplaceItemInObjectCaseSensitive(cJSON *object, const char *string, cJSON *newitem)
{
    return replace_item_in_object(object, string, newitem, true);
}

/* Create basic types: */
CJSON_PUBLIC(cJSON *) cJSON_CreateNull(void)
{
    cJSON *item = cJSON_New_Item(&global_hooks);
    if(item)
    {
        item->type = cJSON_NULL;
    }

    return item;
}

CJSON_PUBLIC(cJSON *) cJSON_CreateTrue(void)
{
    cJSON *item = cJSON_New_Item(&global_hooks);
    if(item)
    {
        item->type = cJSON_True;
    }

    return item;
}

CJSON_PUBLIC(cJSON *) cJSON_CreateFalse(void)
{
    cJSON *item = cJSON_New_Item(&global_hooks);
    if(item)
    {
        item->type = cJSON_False;
    }

    return item;
}

CJSON_PUBLIC(cJSON *) cJSON_CreateBool(cJSON_bool boolean)
{
    cJSON *item = cJSON_New_Item(&global_hooks);
    if(item)
    {
        item->type = boolean ? cJSON_True : cJSON_False;
    }

    return item;
}

CJSON_PUBLIC(cJSON *) cJSON_CreateNumber(double num)
{
    cJSON *item = cJSON_New_Item(&global_hooks);
    if(item)
    {
        item->type = cJSON_Number;
        item->valuedouble = num;

        /* use saturation in case of overflow */
        if (num >= INT_MAX)
        {
            item->valueint = INT_MAX;
        }
        else if (num <= (double)INT_MIN)
        {
            item->valueint = INT_MIN;
        }
        else
        {
            item->valueint = (int)num;
        }
    }

    return item;
}

CJSON_PUBLIC(cJSON *) cJSON_CreateString(const char *string)
{
    cJSON *item = cJSON_New_Item(&global_hooks);
    if(item)
    {
        item->type = cJSON_String;
        item->valuestring = (char*)cJSON_strdup((const unsigned char*)string, &global_hooks);
        if(!item->valuestring)
        {
            cJSON_Delete(item);
            return NULL;
        }
    }

    return item;
}

CJSON_PUBLIC(cJSON *) cJSON_CreateStringReference(const char *string)
{
    cJSON *item = cJSON_New_Item(&global_hooks);
    if (item != NULL)
    {
        item->type = cJSON_String | cJSON_IsReference;
        item->valuestring = (char*)cast_away_const(string);
    }

    return item;
}

CJSON_PUBLIC(cJSON *) cJSON_CreateObjectReference(const cJSON *child)
{
    cJSON *item = cJSON_New_Item(&global_hooks);
    if (item != NULL) {
        item->type = cJSON_Object | cJSON_IsReference;
        item->child = (cJSON*)cast_away_const(child);
    }

    return item;
}

CJSON_PUBLIC(cJSON *) cJSON_CreateArrayReference(const cJSON *child) {
    cJSON *item = cJSON_New_Item(&global_hooks);
    if (item != NULL) {
        item->type = cJSON_Array | cJSON_IsReference;
        item->child = (cJSON*)cast_away_const(child);
    }

    return item;
}

CJSON_PUBLIC(cJSON *) cJSON_CreateRaw(const char *raw)
{
    cJSON *item = cJSON_New_Item(&global_hooks);
    if(item)
    {
        item->type = cJSON_Raw;
        item->valuestring = (char*)cJSON_strdup((const unsigned char*)raw, &global_hooks);
        if(!item->valuestring)
        {
            cJSON_Delete(item);
            return NULL;
        }
    }

    return item;
}

CJSON_PUBLIC(cJSON *) cJSON_CreateArray(void)
{
    cJSON *item = cJSON_New_Item(&global_hooks);
    if(item)
    {
        item->type=cJSON_Array;
    }

    return item;
}

CJSON_PUBLIC(cJSON *) cJSON_CreateObject(void)
{
    cJSON *item = cJSON_New_Item(&global_hooks);
    if (item)
    {
        item->type = cJSON_Object;
    }

    return item;
}

/* Create Arrays: */
CJSON_PUBLIC(cJSON *) cJSON_CreateIntArray(const int *numbers, int count)
{
    size_t i = 0;
    cJSON *n = NULL;
    cJSON *p = NULL;
    cJSON *a = NULL;

    if ((count < 0) || (numbers == NULL))
    {
        return NULL;
    }

    a = cJSON_CreateArray();

    for(i = 0; a && (i < (size_t)count); i++)
    {
        n = cJSON_CreateNumber(numbers[i]);
        if (!n)
        {
            cJSON_Delete(a);
            return NULL;
        }
        if(!i)
        {
            a->child = n;
        }
        else
        {
            suffix_object(p, n);
        }
        p = n;
    }

    if (a && a->child) {
        a->child->prev = n;
    }

    return a;
}

CJSON_PUBLIC(cJSON *) cJSON_CreateFloatArray(const float *numbers, int count)
{
    size_t i = 0;
    cJSON *n = NULL;
    cJSON *p = NULL;
    cJSON *a = NULL;

    if ((count < 0) || (numbers == NULL))
    {
        return NULL;
    }

    a = cJSON_CreateArray();

    for(i = 0; a && (i < (size_t)count); i++)
    {
        n = cJSON_CreateNumber((double)numbers[i]);
        if(!n)
        {
            cJSON_Delete(a);
            return NULL;
        }
        if(!i)
        {
            a->child = n;
        }
        else
        {
            suffix_object(p, n);
        }
        p = n;
    }

    if (a && a->child) {
        a->child->prev = n;
    }

    return a;
}

CJSON_PUBLIC(cJSON *) cJSON_CreateDoubleArray(const double *numbers, int count)
{
    size_t i = 0;
    cJSON *n = NULL;
    cJSON *p = NULL;
    cJSON *a = NULL;

    if ((count < 0) || (numbers == NULL))
    {
        return NULL;
    }

    a = cJSON_CreateArray();

    for(i = 0; a && (i < (size_t)count); i++)
    {
        n = cJSON_CreateNumber(numbers[i]);
        if(!n)
        {
            cJSON_Delete(a);
            return NULL;
        }
        if(!i)
        {
            a->child = n;
        }
        else
        {
            suffix_object(p, n);
        }
        p = n;
    }

    if (a && a->child) {
        a->child->prev = n;
    }

    return a;
}

CJSON_PUBLIC(cJSON *) cJSON_CreateStringArray(const char *const *strings, int count)
{
    size_t i = 0;
    cJSON *n = NULL;
    cJSON *p = NULL;
    cJSON *a = NULL;

    if ((count < 0) || (strings == NULL))
    {
        return NULL;
    }

    a = cJSON_CreateArray();

    for (i = 0; a && (i < (size_t)count); i++)
    {
        n = cJSON_CreateString(strings[i]);
        if(!n)
        {
            cJSON_Delete(a);
            return NULL;
        }
        if(!i)
        {
            a->child = n;
        }
        else
        {
            suffix_object(p,n);
        }
        p = n;
    }

    if (a && a->child) {
        a->child->prev = n;
    }
    
    return a;
}

/* Duplication */
CJSON_PUBLIC(cJSON *) cJSON_Duplicate(const cJSON *item, cJSON_bool recurse)
{
    cJSON *newitem = NULL;
    cJSON *child = NULL;
    cJSON *next = NULL;
    cJSON *newchild = NULL;

    /* Bail on bad ptr */
    if (!item)
    {
        goto fail;
    }
    /* Create new item */
    newitem = cJSON_New_Item(&global_hooks);
    if (!newitem)
    {
        goto fail;
    }
    /* Copy over all vars */
    newitem->type = item->type & (~cJSON_IsReference);
    newitem->valueint = item->valueint;
    newitem->valuedouble = item->valuedouble;
    if (item->valuestring)
    {
        newitem->valuestring = (char*)cJSON_strdup((unsigned char*)item->valuestring, &global_hooks);
        if (!newitem->valuestring)
        {
            goto fail;
        }
    }
    if (item->string)
    {
        newitem->string = (item->type&cJSON_StringIsConst) ? item->string : (char*)cJSON_strdup((unsigned char*)item->string, &global_hooks);
        if (!newitem->string)
        {
            goto fail;
        }
    }
    /* If non-recursive, then we're done! */
    if (!recurse)
    {
        return newitem;
    }
    /* Walk the ->next chain for the child. */
    child = item->child;
    while (child != NULL)
    {
        newchild = cJSON_Duplicate(child, true); /* Duplicate (with recurse) each item in the ->next chain */
        if (!newchild)
        {
            goto fail;
        }
        if (next != NULL)
        {
            /* If newitem->child already set, then crosswire ->prev and ->next and move on */
            next->next = newchild;
            newchild->prev = next;
            next = newchild;
        }
        else
        {
            /* Set newitem->child and move to it */
            newitem->child = newchild;
            next = newchild;
        }
        child = child->next;
    }
    if (newitem && newitem->child)
    {
        newitem->child->prev = newchild;
    }

    return newitem;

fail:
    if (newitem != NULL)
    {
        cJSON_Delete(newitem);
    }

    return NULL;
}

static void skip_oneline_comment(char **input)
{
    *input += static_strlen("//");

    for (; (*input)[0] != '\0'; ++(*input))
    {
        if ((*input)[0] == '\n') {
            *input += static_strlen("\n");
            return;
        }
    }
}

static void skip_multiline_comment(char **input)
{
    *input += static_strlen("/*");

    for (; (*input)[0] != '\0'; ++(*input))
    {
        if (((*input)[0] == '*') && ((*input)[1] == '/'))
        {
            *input += static_strlen("*/");
            return;
        }
    }
}

static void minify_string(char **input, char **output) {
    (*output)[0] = (*input)[0];
    *input += static_strlen("\"");
    *output += static_strlen("\"");


    for (; (*input)[0] != '\0'; (void)++(*input), ++(*output)) {
        (*output)[0] = (*input)[0];

        if ((*input)[0] == '\"') {
            (*output)[0] = '\"';
            *input += static_strlen("\"");
            *output += static_strlen("\"");
            return;
        } else if (((*input)[0] == '\\') && ((*input)[1] == '\"')) {
            (*output)[1] = (*input)[1];
            *input += static_strlen("\"");
            *output += static_strlen("\"");
        }
    }
}

CJSON_PUBLIC(void) cJSON_Minify(char *json)
{
    char *into = json;

    if (json == NULL)
    {
        return;
    }

    while (json[0] != '\0')
    {
        switch (json[0])
        {
            case ' ':
            case '\t':
            case '\r':
            case '\n':
                json++;
                break;

            case '/':
                if (json[1] == '/')
                {
                    skip_oneline_comment(&json);
                }
                else if (json[1] == '*')
                {
                    skip_multiline_comment(&json);
                } else {
                    json++;
                }
                break;

            case '\"':
                minify_string(&json, (char**)&into);
                break;

            default:
                into[0] = json[0];
                json++;
                into++;
        }
    }

    /* and null-terminate. */
    *into = '\0';
}

CJSON_PUBLIC(cJSON_bool) cJSON_IsInvalid(const cJSON * const item)
{
    if (item == NULL)
    {
        return false;
    }

    return (item->type & 0xFF) == cJSON_Invalid;
}

CJSON_PUBLIC(cJSON_bool) cJSON_IsFalse(const cJSON * const item)
{
    if (item == NULL)
    {
        return false;
    }

    return (item->type & 0xFF) == cJSON_False;
}

CJSON_PUBLIC(cJSON_bool) cJSON_IsTrue(const cJSON * const item)
{
    if (item == NULL)
    {
        return false;
    }

    return (item->type & 0xff) == cJSON_True;
}


CJSON_PUBLIC(cJSON_bool) cJSON_IsBool(const cJSON * const item)
{
    if (item == NULL)
    {
        return false;
    }

    return (item->type & (cJSON_True | cJSON_False)) != 0;
}
CJSON_PUBLIC(cJSON_bool) cJSON_IsNull(const cJSON * const item)
{
    if (item == NULL)
    {
        return false;
    }

    return (item->type & 0xFF) == cJSON_NULL;
}

CJSON_PUBLIC(cJSON_bool) cJSON_IsNumber(const cJSON * const item)
{
    if (item == NULL)
    {
        return false;
    }

    return (item->type & 0xFF) == cJSON_Number;
}

CJSON_PUBLIC(cJSON_bool) cJSON_IsString(const cJSON * const item)
{
    if (item == NULL)
    {
        return false;
    }

    return (item->type & 0xFF) == cJSON_String;
}

CJSON_PUBLIC(cJSON_bool) cJSON_IsArray(const cJSON * const item)
{
    if (item == NULL)
    {
        return false;
    }

    return (item->type & 0xFF) == cJSON_Array;
}

CJSON_PUBLIC(cJSON_bool) cJSON_IsObject(const cJSON * const item)
{
    if (item == NULL)
    {
        return false;
    }

    return (item->type & 0xFF) == cJSON_Object;
}

CJSON_PUBLIC(cJSON_bool) cJSON_IsRaw(const cJSON * const item)
{
    if (item == NULL)
    {
        return false;
    }

    return (item->type & 0xFF) == cJSON_Raw;
}

CJSON_PUBLIC(cJSON_bool) cJSON_Compare(const cJSON * const a, const cJSON * const b, const cJSON_bool case_sensitive)
{
    if ((a == NULL) || (b == NULL) || ((a->type & 0xFF) != (b->type & 0xFF)))
    {
        return false;
    }

    /* check if type is valid */
    switch (a->type & 0xFF)
    {
        case cJSON_False:
        case cJSON_True:
        case cJSON_NULL:
        case cJSON_Number:
        case cJSON_String:
        case cJSON_Raw:
        case cJSON_Array:
        case cJSON_Object:
            break;

        default:
            return false;
    }

    /* identical objects are equal */
    if (a == b)
    {
        return true;
    }

    switch (a->type & 0xFF)
    {
        /* in these cases and equal type is enough */
        case cJSON_False:
        case cJSON_True:
        case cJSON_NULL:
            return true;

        case cJSON_Number:
            if (compare_double(a->valuedouble, b->valuedouble))
            {
                return true;
            }
            return false;

        case cJSON_String:
        case cJSON_Raw:
            if ((a->valuestring == NULL) || (b->valuestring == NULL))
            {
                return false;
            }
            if (strcmp(a->valuestring, b->valuestring) == 0)
            {
                return true;
            }

            return false;

        case cJSON_Array:
        {
            cJSON *a_element = a->child;
            cJSON *b_element = b->child;

            for (; (a_element != NULL) && (b_element != NULL);)
            {
                if (!cJSON_Compare(a_element, b_element, case_sensitive))
                {
                    return false;
                }

                a_element = a_element->next;
                b_element = b_element->next;
            }

            /* one of the arrays is longer than the other */
            if (a_element != b_element) {
                return false;
            }

            return true;
        }

        case cJSON_Object:
        {
            cJSON *a_element = NULL;
            cJSON *b_element = NULL;
            cJSON_ArrayForEach(a_element, a)
            {
                /* TODO This has O(n^2) runtime, which is horrible! */
                b_element = get_object_item(b, a_element->string, case_sensitive);
                if (b_element == NULL)
                {
                    return false;
                }

                if (!cJSON_Compare(a_element, b_element, case_sensitive))
                {
                    return false;
                }
            }

            /* doing this twice, once on a and b to prevent true comparison if a subset of b
             * TODO: Do this the proper way, this is just a fix for now */
            cJSON_ArrayForEach(b_element, b)
            {
                a_element = get_object_item(a, b_element->string, case_sensitive);
                if (a_element == NULL)
                {
                    return false;
                }

                if (!cJSON_Compare(b_element, a_element, case_sensitive))
                {
                    return false;
                }
            }

            return true;
        }

        default:
            return false;
    }
}

CJSON_PUBLIC(void *) cJSON_malloc(size_t size)
{
    return global_hooks.allocate(size);
}

CJSON_PUBLIC(void) cJSON_free(void *object)
{
    global_hooks.deallocate(object);
}
