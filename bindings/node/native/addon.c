/*
 * The `native` object: one function for each of knocker.h's, by Node-API. It owns the crossing; it
 * refuses to know any rule of the product. lib/native.d.ts says how JavaScript sees it.
 */
#include "calls.h"
#include <stdlib.h>

/* ---- Open, endpoints ---- */

static napi_value f_setErrors(call *c)
{
	napi_create_reference(c->env, c->argv[0], 1, &c->addon->make_error);
	return NULL;
}

static napi_value f_errorName(call *c)
{
	int64_t code = 0;
	napi_value name = NULL;

	if (number(c, 0, &code))
		napi_create_string_utf8(c->env, knocker_error_name(code), NAPI_AUTO_LENGTH, &name);
	return name;
}

static napi_value f_version(call *c)
{
	napi_value text = NULL;

	napi_create_string_utf8(c->env, knocker_version(), NAPI_AUTO_LENGTH, &text);
	return text;
}

static napi_value f_open(call *c)
{
	knocker_open_options options;
	knocker *k = NULL;
	int32_t rc;

	if (!take_members(c, c->argv[0], &OPEN_OPTIONS, &options))
		return NULL;
	rc = knocker_open(&options, &k, &c->error);
	return rc < 0 ? done(c, rc) : box_new(c, k, false);
}

static napi_value f_close(call *c)
{
	box *b = box_of(c, 0, false);
	int32_t rc = b && b->pointer ? knocker_close(b->pointer, &c->error) : 0;

	if (rc < 0)
		return done(c, rc);
	if (b)
		b->pointer = NULL;
	return NULL;
}

static napi_value f_setClock(call *c)
{
	knocker *k = handle_of(c);
	int64_t ms;

	return k && number(c, 1, &ms) ? done(c, knocker_clock_set(k, ms, &c->error)) : NULL;
}

static napi_value f_addEndpoint(call *c)
{
	knocker *k = handle_of(c);
	knocker_endpoint endpoint;
	int64_t id = 0;
	int32_t rc;

	if (!k || !take_members(c, c->argv[1], &ENDPOINT, &endpoint))
		return NULL;
	rc = knocker_endpoint_add(k, &endpoint, &id, &c->error);
	return rc < 0 ? done(c, rc) : give_integer(c, id);
}

static napi_value f_pause(call *c)
{
	knocker *k = handle_of(c);
	knocker_bytes name;
	int64_t paused;

	if (!k || !bytes(c, 1, "endpoint", &name) || !number(c, 2, &paused))
		return NULL;
	return done(c, knocker_endpoint_pause(k, name, (int32_t)paused, &c->error));
}

static napi_value f_providers(call *c)
{
	knocker_rows *rows = NULL;

	return rows_of(c, knocker_providers(&rows, &c->error), &rows);
}

/* ---- Receive ---- */

typedef int32_t request_call(knocker *, const knocker_request *, knocker_rows **, knocker_error *);

static napi_value received(call *c, request_call *function)
{
	knocker *k = handle_of(c);
	knocker_request request;
	knocker_rows *rows = NULL;

	if (!k || !take_members(c, c->argv[1], &REQUEST, &request))
		return NULL;
	return rows_of(c, function(k, &request, &rows, &c->error), &rows);
}

static napi_value f_receive(call *c)
{
	return received(c, knocker_receive);
}

static napi_value f_ingest(call *c)
{
	return received(c, knocker_ingest);
}

/* The conversion alone: who fails it fails alone, before a batch is made. */
static napi_value f_checkRequest(call *c)
{
	knocker_request request;

	take_members(c, c->argv[0], &REQUEST, &request);
	return NULL;
}

static napi_value f_receiveMany(call *c)
{
	knocker *k = handle_of(c);
	int32_t count = 0;
	const knocker_request **requests = k ? take_requests(c, c->argv[1], &count) : NULL;
	knocker_rows *rows = NULL;

	return requests ? rows_of(c, knocker_receive_many(k, requests, count, &rows, &c->error), &rows)
	                : NULL;
}

typedef int32_t pure_call(const knocker_request *, int64_t, knocker_rows **, knocker_error *);

static napi_value pure(call *c, pure_call *function)
{
	knocker_request request;
	int64_t now;
	knocker_rows *rows = NULL;

	if (!take_members(c, c->argv[0], &REQUEST, &request) || !number(c, 1, &now))
		return NULL;
	return rows_of(c, function(&request, now, &rows, &c->error), &rows);
}

static napi_value f_verify(call *c)
{
	return pure(c, knocker_verify);
}

static napi_value f_sign(call *c)
{
	return pure(c, knocker_sign);
}

static napi_value f_diagnose(call *c)
{
	knocker_request request;
	knocker_bytes others;
	int64_t now;
	knocker_rows *rows = NULL;

	if (!take_members(c, c->argv[0], &REQUEST, &request) || !bytes(c, 1, "others", &others) ||
	    !number(c, 2, &now))
		return NULL;
	return rows_of(c, knocker_diagnose(&request, others, now, &rows, &c->error), &rows);
}

static napi_value f_diagnoseDelivery(call *c)
{
	knocker *k = handle_of(c);
	int64_t id;
	knocker_request request;
	knocker_bytes others;
	knocker_rows *rows = NULL;

	if (!k || !number(c, 1, &id) || !take_members(c, c->argv[2], &REQUEST, &request) ||
	    !bytes(c, 3, "others", &others))
		return NULL;
	return rows_of(c, knocker_diagnose_delivery(k, id, &request, others, &rows, &c->error), &rows);
}

/* ---- Work ---- */

static napi_value f_claim(call *c)
{
	knocker *k = handle_of(c);
	knocker_claim_options options;
	knocker_rows *rows = NULL;

	if (!k || !take_members(c, c->argv[1], &CLAIM, &options))
		return NULL;
	return rows_of(c, knocker_claim(k, &options, &rows, &c->error), &rows);
}

static napi_value f_release(call *c)
{
	knocker *k = handle_of(c);
	int64_t job, claim;

	if (!k || !number(c, 1, &job) || !number(c, 2, &claim))
		return NULL;
	return done(c, knocker_release(k, job, claim, &c->error));
}

static napi_value f_wake(call *c)
{
	knocker *k = handle_of(c);

	if (k)
		knocker_wake(k);
	return NULL;
}

static napi_value f_begin(call *c)
{
	knocker *k = handle_of(c);
	int64_t job, claim;
	knocker_work *work = NULL;
	int32_t rc;

	if (!k || !number(c, 1, &job) || !number(c, 2, &claim))
		return NULL;
	rc = knocker_work_begin(k, job, claim, &work, &c->error);
	return rc == 0 ? box_new(c, work, true) : done(c, rc);
}

static napi_value f_event(call *c)
{
	knocker_work *work = work_of(c);
	knocker_rows *rows = NULL;

	return work ? rows_of(c, knocker_work_event(work, &rows, &c->error), &rows) : NULL;
}

static napi_value f_execute(call *c)
{
	knocker_work *work = work_of(c);
	knocker_bytes sql;
	knocker_value *values;
	int32_t count, rc;
	int64_t changes = 0, last_id = 0;
	napi_value pair = NULL;

	if (!work || !bytes(c, 1, "sql", &sql) || !take_values(c, c->argv[2], &values, &count))
		return NULL;
	rc = knocker_execute(work, sql, values, count, &changes, &last_id, &c->error);
	if (rc < 0)
		return done(c, rc);
	napi_create_array(c->env, &pair);
	napi_set_element(c->env, pair, 0, give_integer(c, changes));
	napi_set_element(c->env, pair, 1, give_integer(c, last_id));
	return pair;
}

static napi_value f_query(call *c)
{
	knocker_work *work = work_of(c);
	knocker_bytes sql;
	knocker_value *values;
	int32_t count;
	knocker_rows *rows = NULL;

	if (!work || !bytes(c, 1, "sql", &sql) || !take_values(c, c->argv[2], &values, &count))
		return NULL;
	return rows_of(c, knocker_query(work, sql, values, count, &rows, &c->error), &rows);
}

static napi_value f_read(call *c)
{
	knocker *k = handle_of(c);
	knocker_bytes sql;
	knocker_value *values;
	int32_t count;
	knocker_rows *rows = NULL;

	if (!k || !bytes(c, 1, "sql", &sql) || !take_values(c, c->argv[2], &values, &count))
		return NULL;
	return rows_of(c, knocker_read(k, sql, values, count, &rows, &c->error), &rows);
}

typedef int32_t work_call(knocker_work *, const knocker_request *, knocker_rows **,
                          knocker_error *);

static napi_value work_received(call *c, work_call *function)
{
	knocker_work *work = work_of(c);
	knocker_request request;
	knocker_rows *rows = NULL;

	if (!work || !take_members(c, c->argv[1], &REQUEST, &request))
		return NULL;
	return rows_of(c, function(work, &request, &rows, &c->error), &rows);
}

static napi_value f_workReceive(call *c)
{
	return work_received(c, knocker_work_receive);
}

static napi_value f_workIngest(call *c)
{
	return work_received(c, knocker_work_ingest);
}

static napi_value f_extend(call *c)
{
	knocker_work *work = work_of(c);
	int64_t ms;

	return work && number(c, 1, &ms) ? done(c, knocker_extend(work, ms, &c->error)) : NULL;
}

static napi_value f_settle(call *c)
{
	knocker_work *work = work_of(c);
	int64_t outcome, delay_ms;
	knocker_bytes reason;
	knocker_rows *rows = NULL;

	if (!work || !number(c, 1, &outcome) || !bytes(c, 2, "reason", &reason) ||
	    !number(c, 3, &delay_ms))
		return NULL;
	box_of(c, 0, true)->pointer = NULL;
	return rows_of(c, knocker_settle(work, (int32_t)outcome, reason, delay_ms, &rows, &c->error),
	               &rows);
}

static napi_value f_abandon(call *c)
{
	box *b = box_of(c, 0, true);

	if (b)
		knocker_work_free(atomic_exchange(&b->pointer, NULL));
	return NULL;
}

/* ---- The table ---- */

typedef struct entry {
	const char *name;
	napi_value (*function)(call *c);
} entry;

#define F(name)         \
	{                   \
#name, f_##name \
	}
static const entry ENTRIES[] = {F(setErrors),
                                F(errorName),
                                F(version),
                                F(open),
                                F(close),
                                F(setClock),
                                F(addEndpoint),
                                F(pause),
                                F(providers),
                                F(receive),
                                F(ingest),
                                F(checkRequest),
                                F(receiveMany),
                                F(verify),
                                F(sign),
                                F(diagnose),
                                F(diagnoseDelivery),
                                F(claim),
                                F(release),
                                F(wake),
                                F(begin),
                                F(event),
                                F(execute),
                                F(query),
                                F(read),
                                F(workReceive),
                                F(workIngest),
                                F(extend),
                                F(settle),
                                F(abandon),
                                F(get),
                                F(list),
                                F(ignore),
                                F(replay),
                                F(requeue),
                                F(replayDelivery),
                                F(reverify),
                                F(why),
                                F(stats),
                                F(pruneEvents),
                                F(pruneOrphanDeliveries),
                                {"lane", lane_new},
                                {"laneEnd", lane_end},
                                {"laneWait", lane_wait},
                                {"laneReceiveMany", lane_receive_many},
                                {"laneRetain", lane_retain}};
#undef F

/* Each function of the table comes through here. Missing arguments are undefined. */
static napi_value enter(napi_env env, napi_callback_info info)
{
	call c = {.env = env, .argc = 8};
	void *data = NULL, *mine = NULL;
	napi_value result;

	napi_get_cb_info(env, info, &c.argc, c.argv, NULL, &data);
	napi_get_instance_data(env, &mine);
	c.addon = mine;
	result = ((const entry *)data)->function(&c);
	arena_free(&c.memory);
	return result;
}

static void addon_free(napi_env env, void *data, void *hint)
{
	(void)env;
	(void)hint;
	free(data);
}

NAPI_MODULE_INIT()
{
	addon *a = calloc(1, sizeof *a);

	if (!a || !lane_begin(env, a) || napi_set_instance_data(env, a, addon_free, NULL) != napi_ok) {
		napi_throw_error(env, NULL, "knocker: the addon could not be set up");
		return exports;
	}
	for (size_t i = 0; i < sizeof ENTRIES / sizeof *ENTRIES; i++) {
		napi_value function;

		napi_create_function(env, ENTRIES[i].name, NAPI_AUTO_LENGTH, enter, (void *)&ENTRIES[i],
		                     &function);
		napi_set_named_property(env, exports, ENTRIES[i].name, function);
	}
	return exports;
}
