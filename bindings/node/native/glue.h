/*
 * How values cross between JavaScript and knocker.h. It owns conversions and the memory that lasts
 * for one call; it refuses to know what they mean.
 */
#ifndef KNOCKER_GLUE_H
#define KNOCKER_GLUE_H

#define NAPI_VERSION 8
#include "knocker.h"
#include <node_api.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Memory that is freed at once, with the call or the task that it serves. */
typedef struct arena {
	struct arena_block *last;
} arena;
void *arena_take(arena *a, size_t size);
void arena_free(arena *a);

/* What one JavaScript environment (the main thread's, or a worker thread's) has of us. */
typedef struct addon {
	napi_ref make_error; /* (code, text) => Error */
	napi_threadsafe_function tell;
	struct lane *lanes;
	int64_t pending; /* tasks that keep the process alive */
} addon;

typedef struct call {
	napi_env env;
	addon *addon;
	size_t argc;
	napi_value argv[8];
	arena memory;
	bool copies; /* a task outlives the call: bytes of buffers are copied too */
	knocker_error error;
} call;

/* A handle or a work, as JavaScript holds it. Tasks hold a handle too: the last one closes. */
typedef struct box {
	_Atomic(void *) pointer; /* NULL once ended */
	atomic_int holders;
	bool is_work;
} box;
napi_value box_new(call *c, void *pointer, bool is_work);
box *box_of(call *c, size_t index, bool is_work); /* NULL: thrown */
void *box_pointer(call *c, size_t index, bool is_work);
void box_drop(box *b);

/* Each throws and gives false or NULL where it cannot. */
bool take_refused(call *c, const char *name, const char *wanted, napi_value value);
bool take_bytes(call *c, napi_value value, const char *name, knocker_bytes *out);
bool take_integer(call *c, napi_value value, const char *name, int64_t *out);
bool take_values(call *c, napi_value list, knocker_value **out, int32_t *count);
typedef struct member member;
typedef struct shape {
	const member *members;
	size_t size;
} shape;
extern const shape OPEN_OPTIONS, ENDPOINT, REQUEST, CLAIM, FILTER, PRUNE, RETENTION;
bool take_members(call *c, napi_value object, const shape *of, void *out);
const knocker_request **take_requests(call *c, napi_value list, int32_t *count);

napi_value give_rows(call *c, knocker_rows *rows); /* frees them */
napi_value give_integer(call *c, int64_t number);
napi_value error_value(call *c, int32_t code, const char *text);
void *throw_error(call *c, int32_t code, const char *text);

/* A thread for calls that sleep, and what has been asked of it. lane.c. */
napi_value lane_new(call *c);
napi_value lane_end(call *c);
napi_value lane_wait(call *c);
napi_value lane_receive_many(call *c);
napi_value lane_retain(call *c);
bool lane_begin(napi_env env, addon *a);

#endif
