/*
 * A lane: one thread of its own for calls that sleep or that write much, so that neither the event
 * loop nor libuv's pool waits for them. It runs what it is given in order, and each answer settles
 * a promise. A task keeps the process alive, an idle lane does not.
 */
#include "glue.h"
#include <signal.h>
#include <stdlib.h>
#include <time.h>

typedef struct task {
	struct task *next;
	int32_t (*run)(struct task *t);
	struct lane *lane;
	box *handle;
	arena memory;
	union {
		knocker_claim_options claim;
		knocker_retention retention;
		struct {
			const knocker_request **requests;
			int32_t count;
		} many;
	};
	int64_t timeout_ms;
	int32_t result;
	knocker_rows *rows;
	knocker_error error;
	napi_deferred promise;
	napi_ref lane_object; /* the lane lives as long as its tasks */
} task;

typedef struct lane {
	struct lane *next;
	addon *addon;
	pthread_t thread;
	pthread_mutex_t lock;
	pthread_cond_t changed;
	task *first, *last;
	_Atomic(box *) serving; /* whose call the thread is in */
	bool started, ending, ended;
} lane;

static const napi_type_tag LANE_TAG = {0x6b6e6f636b657232, 0x1b7c9a5e3d40f286};

static int32_t run_wait(task *t)
{
	return knocker_wait(t->handle->pointer, &t->claim, t->timeout_ms, &t->error);
}

static int32_t run_receive_many(task *t)
{
	return knocker_receive_many(t->handle->pointer, t->many.requests, t->many.count, &t->rows,
	                            &t->error);
}

static int32_t run_retain(task *t)
{
	return knocker_retain(t->handle->pointer, &t->retention, &t->rows, &t->error);
}

static void *lane_thread(void *given)
{
	lane *l = given;

	pthread_mutex_lock(&l->lock);
	while (l->first || !l->ending) {
		task *t = l->first;

		if (!t) {
			pthread_cond_wait(&l->changed, &l->lock);
			continue;
		}
		l->first = t->next;
		l->serving = t->handle;
		pthread_mutex_unlock(&l->lock);
		t->result = t->handle->pointer ? t->run(t) : KNOCKER_CLOSED;
		pthread_mutex_lock(&l->lock);
		l->serving = NULL;
		napi_call_threadsafe_function(l->addon->tell, t, napi_tsfn_nonblocking);
	}
	l->ended = true;
	pthread_cond_broadcast(&l->changed);
	pthread_mutex_unlock(&l->lock);
	return NULL;
}

static void task_free(task *t)
{
	knocker_rows_free(t->rows);
	arena_free(&t->memory);
	box_drop(t->handle);
	free(t);
}

/* On the JavaScript thread: settles the promise. `env` is NULL where the environment has ended. */
static void task_tell(napi_env env, napi_value unused, void *context, void *data)
{
	addon *a = context;
	task *t = data;
	call c = {.env = env, .addon = a};
	(void)unused;

	if (env && t->result < 0) {
		const char *text = t->error.code ? t->error.text : "the handle is closed";

		napi_reject_deferred(env, t->promise, error_value(&c, t->result, text));
	} else if (env) {
		napi_value answer = t->run == run_wait ? give_integer(&c, t->result)
		                                       : give_rows(&c, t->rows);

		if (t->run != run_wait)
			t->rows = NULL;
		napi_resolve_deferred(env, t->promise, answer);
	}
	if (env) {
		napi_delete_reference(env, t->lane_object);
		if (--a->pending == 0)
			napi_unref_threadsafe_function(env, a->tell);
	}
	arena_free(&c.memory);
	task_free(t);
}

/* Waits until the thread has ended, and ends the waits that it sleeps in. */
static void lane_join(lane *l)
{
	pthread_mutex_lock(&l->lock);
	l->ending = true;
	pthread_cond_broadcast(&l->changed);
	while (l->started && !l->ended) {
		struct timespec soon;
		box *serving = l->serving;

		if (serving && serving->pointer)
			knocker_wake(serving->pointer);
		clock_gettime(CLOCK_REALTIME, &soon);
		soon.tv_nsec += 2000000;
		soon.tv_sec += soon.tv_nsec / 1000000000;
		soon.tv_nsec %= 1000000000;
		pthread_cond_timedwait(&l->changed, &l->lock, &soon);
	}
	pthread_mutex_unlock(&l->lock);
	if (l->started)
		pthread_join(l->thread, NULL);
	l->started = false;
}

static void lane_finalize(napi_env env, void *data, void *hint)
{
	lane *l = data;
	(void)env;
	(void)hint;

	lane_join(l);
	for (lane **at = l->addon ? &l->addon->lanes : NULL; at && *at; at = &(*at)->next)
		if (*at == l) {
			*at = l->next;
			break;
		}
	pthread_mutex_destroy(&l->lock);
	pthread_cond_destroy(&l->changed);
	free(l);
}

static bool lane_start(lane *l)
{
	sigset_t all, before;

	if (l->started)
		return true;
	/* Signals belong to the threads that Node made. */
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	l->started = pthread_create(&l->thread, NULL, lane_thread, l) == 0;
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	return l->started;
}

napi_value lane_new(call *c)
{
	lane *l = calloc(1, sizeof *l);
	napi_value object = NULL;

	if (!l)
		return throw_error(c, KNOCKER_STORAGE, "out of memory");
	l->addon = c->addon;
	pthread_mutex_init(&l->lock, NULL);
	pthread_cond_init(&l->changed, NULL);
	l->next = c->addon->lanes;
	c->addon->lanes = l;
	napi_create_object(c->env, &object);
	napi_wrap(c->env, object, l, lane_finalize, NULL, NULL);
	napi_type_tag_object(c->env, object, &LANE_TAG);
	return object;
}

static lane *lane_of(call *c)
{
	bool ours = false;
	void *found = NULL;

	if (napi_check_object_type_tag(c->env, c->argv[0], &LANE_TAG, &ours) == napi_ok && ours)
		napi_unwrap(c->env, c->argv[0], &found);
	return found ? found : throw_error(c, KNOCKER_INVALID_ARGUMENT, "this is no lane");
}

/* Ends an idle lane's thread; another task starts no new one. */
napi_value lane_end(call *c)
{
	lane *l = lane_of(c);

	if (l)
		lane_join(l);
	return NULL;
}

static napi_value lane_give(call *c, const task *like)
{
	lane *l = lane_of(c);
	box *handle = box_of(c, 1, false);
	task *t = l && handle ? malloc(sizeof *t) : NULL;
	napi_value promise = NULL;

	if (!t)
		return throw_error(c, KNOCKER_STORAGE, "out of memory");
	if (l->ending || !lane_start(l)) {
		free(t);
		return throw_error(c, KNOCKER_STORAGE, "there is no thread to be had");
	}
	*t = *like;
	t->lane = l;
	t->handle = handle;
	atomic_fetch_add(&handle->holders, 1);
	t->memory = c->memory;
	c->memory.last = NULL;
	napi_create_promise(c->env, &t->promise, &promise);
	napi_create_reference(c->env, c->argv[0], 1, &t->lane_object);
	if (c->addon->pending++ == 0)
		napi_ref_threadsafe_function(c->env, c->addon->tell);
	pthread_mutex_lock(&l->lock);
	if (l->first)
		l->last->next = t;
	else
		l->first = t;
	l->last = t;
	pthread_cond_signal(&l->changed);
	pthread_mutex_unlock(&l->lock);
	return promise;
}

/* (lane, handle, claim options, milliseconds) */
napi_value lane_wait(call *c)
{
	task t = {.run = run_wait};

	c->copies = true;
	if (!take_members(c, c->argv[2], &CLAIM, &t.claim) ||
	    !take_integer(c, c->argv[3], "timeout_ms", &t.timeout_ms))
		return NULL;
	return lane_give(c, &t);
}

/* (lane, handle, requests) */
napi_value lane_receive_many(call *c)
{
	task t = {.run = run_receive_many};

	c->copies = true;
	t.many.requests = take_requests(c, c->argv[2], &t.many.count);
	return t.many.requests ? lane_give(c, &t) : NULL;
}

/* (lane, handle, retention) */
napi_value lane_retain(call *c)
{
	task t = {.run = run_retain};

	c->copies = true;
	return take_members(c, c->argv[2], &RETENTION, &t.retention) ? lane_give(c, &t) : NULL;
}

/* Before an environment ends, so do its threads: they tell nobody after. */
static void lanes_end(void *data)
{
	addon *a = data;

	for (lane *l = a->lanes; l; l = l->next) {
		lane_join(l);
		l->addon = NULL;
	}
	a->lanes = NULL;
}

bool lane_begin(napi_env env, addon *a)
{
	napi_value name;

	napi_create_string_utf8(env, "knocker", NAPI_AUTO_LENGTH, &name);
	return napi_create_threadsafe_function(env, NULL, NULL, name, 0, 1, NULL, NULL, a, task_tell,
	                                       &a->tell) == napi_ok &&
	       napi_unref_threadsafe_function(env, a->tell) == napi_ok &&
	       napi_add_env_cleanup_hook(env, lanes_end, a) == napi_ok;
}
