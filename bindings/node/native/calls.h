/*
 * What the native functions share: a handle, an argument, a result. And those of operate.c, for the
 * table in addon.c.
 */
#ifndef KNOCKER_CALLS_H
#define KNOCKER_CALLS_H

#include "glue.h"

static inline napi_value done(call *c, int32_t rc)
{
	return rc < 0 ? throw_error(c, rc, c->error.text) : NULL;
}

/* By address: the call that fills them is an argument beside. */
static inline napi_value rows_of(call *c, int32_t rc, knocker_rows **rows)
{
	return rc < 0 ? throw_error(c, rc, c->error.text) : give_rows(c, *rows);
}

static inline knocker *handle_of(call *c)
{
	return box_pointer(c, 0, false);
}

static inline knocker_work *work_of(call *c)
{
	return box_pointer(c, 0, true);
}

/* An integer, or the bytes, of argument `index`; 0 and false after throwing. */
static inline bool number(call *c, size_t index, int64_t *out)
{
	return take_integer(c, c->argv[index], "an argument", out);
}

static inline bool bytes(call *c, size_t index, const char *name, knocker_bytes *out)
{
	return take_bytes(c, c->argv[index], name, out);
}

napi_value f_get(call *c);
napi_value f_list(call *c);
napi_value f_ignore(call *c);
napi_value f_replay(call *c);
napi_value f_requeue(call *c);
napi_value f_replayDelivery(call *c);
napi_value f_reverify(call *c);
napi_value f_why(call *c);
napi_value f_stats(call *c);
napi_value f_pruneEvents(call *c);
napi_value f_pruneOrphanDeliveries(call *c);

#endif
