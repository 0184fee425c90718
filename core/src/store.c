/* One file and its connections: who may use them when. SQLite has one writer, so callers stand in
 * line for it; receipts that wait are taken along by whoever leads. Knows nothing of what is
 * written. */
#include "store.h"

#include <errno.h>
#include <linux/futex.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "bounds.h"
#include "clock.h"
#include "error.h"

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
