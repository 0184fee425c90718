/* A handle: one file opened by one process, shared by its threads, guarded against use after close
 * and after fork. */
#include "handle.h"

#include <string.h>
#include <time.h>

#include "error.h"

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
