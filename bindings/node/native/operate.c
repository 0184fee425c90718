/* The native functions by which an operator looks at rows and acts on events. */
#include "calls.h"

napi_value f_get(call *c)
{
	knocker *k = handle_of(c);
	int64_t kind, id;
	knocker_rows *rows = NULL;

	if (!k || !number(c, 1, &kind) || !take_integer(c, c->argv[2], "id", &id))
		return NULL;
	return rows_of(c, knocker_get(k, (int32_t)kind, id, &rows, &c->error), &rows);
}

napi_value f_list(call *c)
{
	knocker *k = handle_of(c);
	knocker_filter filter;
	knocker_rows *rows = NULL;

	if (!k || !take_members(c, c->argv[1], &FILTER, &filter))
		return NULL;
	return rows_of(c, knocker_list(k, &filter, &rows, &c->error), &rows);
}

napi_value f_ignore(call *c)
{
	knocker *k = handle_of(c);
	int64_t id;
	knocker_bytes reason;

	if (!k || !take_integer(c, c->argv[1], "event_id", &id) || !bytes(c, 2, "reason", &reason))
		return NULL;
	return done(c, knocker_ignore(k, id, reason, &c->error));
}

static napi_value act(call *c, int32_t (*function)(knocker *, int64_t, knocker_error *))
{
	knocker *k = handle_of(c);
	int64_t id;

	return k && take_integer(c, c->argv[1], "id", &id) ? done(c, function(k, id, &c->error)) : NULL;
}

napi_value f_replay(call *c)
{
	return act(c, knocker_replay);
}

napi_value f_requeue(call *c)
{
	return act(c, knocker_requeue);
}

napi_value f_replayDelivery(call *c)
{
	return act(c, knocker_replay_delivery);
}

napi_value f_reverify(call *c)
{
	knocker *k = handle_of(c);
	knocker_request by;
	int64_t since, after, limit, dry;
	knocker_rows *rows = NULL;

	if (!k || !take_members(c, c->argv[1], &REQUEST, &by) ||
	    !take_integer(c, c->argv[2], "since", &since) ||
	    !take_integer(c, c->argv[3], "afterId", &after) ||
	    !take_integer(c, c->argv[4], "limit", &limit) || !number(c, 5, &dry))
		return NULL;
	return rows_of(c, knocker_reverify(k, &by, since, after, limit, (int32_t)dry, &rows, &c->error),
	               &rows);
}

napi_value f_why(call *c)
{
	knocker *k = handle_of(c);
	int64_t id;
	knocker_rows *rows = NULL;

	if (!k || !take_integer(c, c->argv[1], "event_id", &id))
		return NULL;
	return rows_of(c, knocker_why(k, id, &rows, &c->error), &rows);
}

napi_value f_stats(call *c)
{
	knocker *k = handle_of(c);
	knocker_rows *rows = NULL;

	return k ? rows_of(c, knocker_stats(k, &rows, &c->error), &rows) : NULL;
}

typedef int32_t prune_call(knocker *, const knocker_prune *, knocker_rows **, knocker_error *);

static napi_value pruned(call *c, prune_call *function)
{
	knocker *k = handle_of(c);
	knocker_prune prune;
	knocker_rows *rows = NULL;

	if (!k || !take_members(c, c->argv[1], &PRUNE, &prune))
		return NULL;
	return rows_of(c, function(k, &prune, &rows, &c->error), &rows);
}

napi_value f_pruneEvents(call *c)
{
	return pruned(c, knocker_prune_events);
}

napi_value f_pruneOrphanDeliveries(call *c)
{
	return pruned(c, knocker_prune_orphan_deliveries);
}
