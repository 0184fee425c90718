/*
 * knocker.h for the BEAM: handles and works as resources, and each call as a function of
 * KnockerSqlite.Native. It owns the order of arguments; it refuses to know what they mean.
 *
 * Calls that may wait for the writer run on dirty IO schedulers. There are ten of them, and
 * receipts may occupy them all while they wait for a handler that has the writer; so the handler's
 * own further statements run on dirty CPU schedulers, and what it does after a failure, which waits
 * again, on a thread of its own, as a worker's sleep does.
 */
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "terms.h"

#include "nif_resources.h"

/* ---- open, close, notes ---- */

NIF(nif_open)
{
	knocker_open_options options;
	struct handle *h;
	knocker *k = NULL;
	ERL_NIF_TERM term = 0;
	CALL;

	if (terms_members(c, argv[0], &OPEN_OPTIONS, &options))
		c->rc = knocker_open(&options, &k, &c->error);
	if (c->rc == 0) {
		h = enif_alloc_resource(handle_type, sizeof *h);
		memset(h, 0, sizeof *h);
		h->lock = enif_mutex_create("knocker_handle");
		atomic_init(&h->k, k);
		term = enif_make_resource(env, h);
		enif_release_resource(h);
	}
	return finish(c, term);
}

NIF(nif_close)
{
	void *h;
	CALL;

	if (arg_handle(c, argv[0]))
		c->rc = knocker_close(c->k, &c->error);
	if (c->rc == 0 && enif_get_resource(env, argv[0], handle_type, &h))
		atomic_store(&((struct handle *)h)->k, NULL);
	return finish_code(c);
}

static struct note **note_find(struct handle *h, ERL_NIF_TERM key)
{
	struct note **at = &h->notes;

	while (*at && enif_compare((*at)->key, key) != 0)
		at = &(*at)->next;
	return at;
}

/* note(handle, key, value): keeps it; without a value any more when that is nil. */
NIF(nif_note)
{
	void *resource;
	struct handle *h;
	struct note **at, *old, *made;

	(void)argc;
	if (!enif_get_resource(env, argv[0], handle_type, &resource))
		return enif_make_badarg(env);
	h = resource;
	made = enif_alloc(sizeof *made);
	made->env = enif_alloc_env();
	made->key = enif_make_copy(made->env, argv[1]);
	made->value = enif_make_copy(made->env, argv[2]);
	enif_mutex_lock(h->lock);
	at = note_find(h, argv[1]);
	old = *at;
	made->next = old ? old->next : NULL;
	*at = made;
	enif_mutex_unlock(h->lock);
	if (old) {
		enif_free_env(old->env);
		enif_free(old);
	}
	return enif_make_atom(env, "ok");
}

/* notes(handle, kind): the values of all keys {kind, _}; with {kind, name} of that one. */
NIF(nif_notes)
{
	ERL_NIF_TERM list = enif_make_list(env, 0);
	const ERL_NIF_TERM *key;
	void *resource;
	struct handle *h;
	int arity;

	(void)argc;
	if (!enif_get_resource(env, argv[0], handle_type, &resource))
		return enif_make_badarg(env);
	h = resource;
	enif_mutex_lock(h->lock);
	for (struct note *n = h->notes; n; n = n->next)
		if (enif_compare(n->key, argv[1]) == 0 ||
		    (enif_get_tuple(n->env, n->key, &arity, &key) && arity == 2 &&
		     enif_compare(key[0], argv[1]) == 0))
			list = enif_make_list_cell(env, enif_make_copy(env, n->value), list);
	enif_mutex_unlock(h->lock);
	return list;
}

NIF(nif_clock_set)
{
	int64_t now_ms;
	CALL;

	if (arg_handle(c, argv[0]) && terms_integer(c, argv[1], "clock", &now_ms))
		c->rc = knocker_clock_set(c->k, now_ms, &c->error);
	return finish_code(c);
}

/* ---- endpoints and receipts ---- */

NIF(nif_endpoint_add)
{
	knocker_endpoint endpoint;
	int64_t id = 0;
	CALL;

	if (arg_handle(c, argv[0]) && terms_members(c, argv[1], &ENDPOINT, &endpoint))
		c->rc = knocker_endpoint_add(c->k, &endpoint, &id, &c->error);
	return finish(c, enif_make_int64(env, id));
}

NIF(nif_endpoint_pause)
{
	knocker_bytes name;
	int64_t paused;
	CALL;

	if (arg_handle(c, argv[0]) && terms_bytes(c, argv[1], "endpoint", &name) &&
	    terms_integer(c, argv[2], "paused", &paused))
		c->rc = knocker_endpoint_pause(c->k, name, (int32_t)paused, &c->error);
	return finish_code(c);
}

NIF(nif_providers)
{
	CALL;

	(void)argv;
	c->rc = knocker_providers(&c->rows, &c->error);
	return finish_rows(c);
}

#define NIF_REQUEST(name, function)                                                  \
	NIF(name)                                                                        \
	{                                                                                \
		knocker_request request;                                                     \
		CALL;                                                                        \
                                                                                     \
		if (arg_handle(c, argv[0]) && terms_members(c, argv[1], &REQUEST, &request)) \
			c->rc = function(c->k, &request, &c->rows, &c->error);                   \
		return finish_rows(c);                                                       \
	}
NIF_REQUEST(nif_receive, knocker_receive)
NIF_REQUEST(nif_ingest, knocker_ingest)

NIF(nif_receive_many)
{
	knocker_request **requests = NULL;
	int32_t count = 0;
	CALL;

	if (arg_handle(c, argv[0]) && terms_requests(c, argv[1], &requests, &count))
		c->rc = knocker_receive_many(c->k, (const knocker_request *const *)requests, count,
		                             &c->rows, &c->error);
	free(requests);
	return finish_rows(c);
}

#define NIF_PURE(name, function)                                     \
	NIF(name)                                                        \
	{                                                                \
		knocker_request request;                                     \
		int64_t now_ms;                                              \
		CALL;                                                        \
                                                                     \
		if (terms_members(c, argv[0], &REQUEST, &request) &&         \
		    terms_integer(c, argv[1], "now", &now_ms))               \
			c->rc = function(&request, now_ms, &c->rows, &c->error); \
		return finish_rows(c);                                       \
	}
NIF_PURE(nif_verify, knocker_verify)
NIF_PURE(nif_sign, knocker_sign)

NIF(nif_diagnose)
{
	knocker_request request;
	knocker_bytes others;
	int64_t now_ms;
	CALL;

	if (terms_members(c, argv[0], &REQUEST, &request) &&
	    terms_bytes(c, argv[1], "others", &others) && terms_integer(c, argv[2], "now", &now_ms))
		c->rc = knocker_diagnose(&request, others, now_ms, &c->rows, &c->error);
	return finish_rows(c);
}

NIF(nif_diagnose_delivery)
{
	knocker_request request;
	knocker_bytes others;
	int64_t id;
	CALL;

	if (arg_handle(c, argv[0]) && terms_integer(c, argv[1], "delivery_id", &id) &&
	    terms_members(c, argv[2], &REQUEST, &request) && terms_bytes(c, argv[3], "others", &others))
		c->rc = knocker_diagnose_delivery(c->k, id, &request, others, &c->rows, &c->error);
	return finish_rows(c);
}

#include "nif_work.h"

#include "nif_operators.h"

/* ---- loading ---- */

#define IO ERL_NIF_DIRTY_JOB_IO_BOUND
static ErlNifFunc functions[] = {
	{"open", 1, nif_open, IO},
	{"close", 1, nif_close, IO},
	{"note", 3, nif_note, 0},
	{"notes", 2, nif_notes, 0},
	{"clock_set", 2, nif_clock_set, IO},
	{"endpoint_add", 2, nif_endpoint_add, IO},
	{"endpoint_pause", 3, nif_endpoint_pause, IO},
	{"providers", 0, nif_providers, ERL_NIF_DIRTY_JOB_CPU_BOUND},
	{"receive", 2, nif_receive, IO},
	{"receive_many", 2, nif_receive_many, IO},
	{"ingest", 2, nif_ingest, IO},
	{"verify", 2, nif_verify, ERL_NIF_DIRTY_JOB_CPU_BOUND},
	{"sign", 2, nif_sign, ERL_NIF_DIRTY_JOB_CPU_BOUND},
	{"diagnose", 3, nif_diagnose, ERL_NIF_DIRTY_JOB_CPU_BOUND},
	{"diagnose_delivery", 4, nif_diagnose_delivery, IO},
	{"claim", 2, nif_claim, IO},
	{"release", 3, nif_release, IO},
	{"wait_apart", 4, nif_wait_apart, 0},
	{"wake", 1, nif_wake, 0},
	{"work_begin", 3, nif_work_begin, IO},
	{"execute", 3, nif_execute_scheduled, 0},
	{"query", 3, nif_query_scheduled, 0},
	{"work_receive", 2, nif_work_receive_scheduled, 0},
	{"work_ingest", 2, nif_work_ingest_scheduled, 0},
	{"extend", 2, nif_extend_scheduled, 0},
	{"settle", 4, nif_settle_scheduled, 0},
	{"settle_begin", 4, nif_settle_begin_scheduled, 0},
	{"settle_apart", 5, nif_settle_apart, 0},
	{"abandon", 1, nif_abandon, 0},
	{"read", 3, nif_read, IO},
	{"get", 3, nif_get, IO},
	{"list", 2, nif_list, IO},
	{"ignore", 3, nif_ignore, IO},
	{"replay", 2, nif_replay, IO},
	{"requeue", 2, nif_requeue, IO},
	{"replay_delivery", 2, nif_replay_delivery, IO},
	{"reverify", 6, nif_reverify, IO},
	{"why", 2, nif_why, IO},
	{"stats", 1, nif_stats, IO},
	{"prune_events", 2, nif_prune_events, IO},
	{"prune_orphan_deliveries", 2, nif_prune_orphan_deliveries, IO},
	{"retain", 2, nif_retain, IO},
};

static int load(ErlNifEnv *env, void **data, ERL_NIF_TERM info)
{
	const ErlNifResourceTypeInit handles = {.dtor = handle_free};
	const ErlNifResourceTypeInit works = {.dtor = work_free, .down = work_down};
	const ErlNifResourceFlags flags = ERL_NIF_RT_CREATE | ERL_NIF_RT_TAKEOVER;

	(void)data;
	terms_load(env);
	monotonic_zero = enif_monotonic_time(ERL_NIF_MSEC);
	if (!enif_get_int(env, info, &cpu_schedulers))
		cpu_schedulers = 1;
	handle_type = enif_open_resource_type_x(env, "knocker", &handles, flags, NULL);
	work_type = enif_open_resource_type_x(env, "knocker_work", &works, flags, NULL);
	return handle_type == NULL || work_type == NULL;
}

/* The module may be loaded anew; the library stays, for threads of ours may be in it. */
static int upgrade(ErlNifEnv *env, void **data, void **old, ERL_NIF_TERM info)
{
	(void)old;
	return load(env, data, info);
}

ERL_NIF_INIT(Elixir.KnockerSqlite.Native, functions, load, NULL, upgrade, NULL)
