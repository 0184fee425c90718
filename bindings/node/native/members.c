/* How an object becomes an options struct of knocker.h, by tables of their members. */
#include "glue.h"
#include <string.h>

struct member {
	const char *name;
	size_t offset;
	bool is_bytes;
};
#define B(name)                        \
	{                                  \
#name, offsetof(T, name), true \
	}
#define I(name)                         \
	{                                   \
#name, offsetof(T, name), false \
	}

#define T knocker_open_options
static const member open_members[] = {B(path),           B(queue_name),   B(init_sql),
                                      I(visibility_ms),  I(max_attempts), I(backoff_base_ms),
                                      I(backoff_cap_ms), I(max_readers),  I(busy_timeout_ms),
                                      I(max_body_bytes), I(synchronous),  I(settle_full),
                                      I(orphan_bytes),   I(orphan_rows),  I(thread_bound),
                                      I(existing),       I(clock_ms),     I(seed),
                                      {NULL, 0, false}};
const shape OPEN_OPTIONS = {open_members, sizeof(T)};
#undef T
#define T knocker_endpoint
static const member endpoint_members[] = {B(name),           B(path),
                                          B(provider),       B(scheme_json),
                                          B(secrets_json),   B(options_json),
                                          B(queue_name),     I(disabled),
                                          I(max_attempts),   I(backoff_base_ms),
                                          I(backoff_cap_ms), I(external),
                                          {NULL, 0, false}};
const shape ENDPOINT = {endpoint_members, sizeof(T)};
#undef T
#define T knocker_request
static const member request_members[] =
	{B(endpoint),       B(method),       B(headers),           B(query),
     B(body),           B(event_type),   B(provider_event_id), B(provider_delivery_id),
     B(dedupe_key),     B(provider),     B(secrets_json),      B(options_json),
     B(queue_name),     I(max_attempts), I(verdict),           B(verdict_error),
     B(ids_event_type), B(ids_event_id), B(ids_delivery_id),   {NULL, 0, false}};
const shape REQUEST = {request_members, sizeof(T)};
#undef T
#define T knocker_claim_options
static const member claim_members[] = {B(worker_id), B(queues_json), B(endpoints_json),
                                       I(count),     I(lease_ms),    {NULL, 0, false}};
const shape CLAIM = {claim_members, sizeof(T)};
#undef T
#define T knocker_filter
static const member filter_members[] = {I(kind),         I(limit),      I(before_id),
                                        I(since_s),      B(endpoint),   B(status),
                                        B(event_type),   I(event_id),   I(signature_valid),
                                        I(orphaned),     B(audit_kind), I(without_body),
                                        {NULL, 0, false}};
const shape FILTER = {filter_members, sizeof(T)};
#undef T
#define T knocker_prune
static const member prune_members[] = {B(statuses_json),
                                       I(older_than_s),
                                       I(limit),
                                       I(dry_run),
                                       {NULL, 0, false}};
const shape PRUNE = {prune_members, sizeof(T)};
#undef T
#define T knocker_retention
static const member retention_members[] = {I(interval_s),           B(statuses_json),
                                           I(event_older_than_s),   I(event_limit),
                                           I(orphans_older_than_s), I(orphans_limit),
                                           {NULL, 0, false}};
const shape RETENTION = {retention_members, sizeof(T)};
#undef T
#undef B
#undef I

/* A member that is undefined or null is not given, and so 0. */
bool take_members(call *c, napi_value object, const shape *of, void *out)
{
	int64_t size = (int64_t)of->size;
	napi_valuetype kind = napi_undefined;

	memset(out, 0, of->size);
	memcpy(out, &size, sizeof size);
	napi_typeof(c->env, object, &kind);
	if (kind != napi_object)
		return take_refused(c, "options", "an object", object);
	for (const member *m = of->members; m->name; m++) {
		void *at = (char *)out + m->offset;
		napi_value value;

		if (napi_get_named_property(c->env, object, m->name, &value) != napi_ok)
			return false;
		napi_typeof(c->env, value, &kind);
		if (kind == napi_undefined || kind == napi_null)
			continue;
		if (m->is_bytes ? !take_bytes(c, value, m->name, at) : !take_integer(c, value, m->name, at))
			return false;
	}
	return true;
}

const knocker_request **take_requests(call *c, napi_value list, int32_t *count)
{
	uint32_t n = 0;
	const knocker_request **pointers;
	knocker_request *requests;

	napi_get_array_length(c->env, list, &n);
	*count = (int32_t)n;
	pointers = arena_take(&c->memory, (n + 1) * sizeof *pointers);
	requests = arena_take(&c->memory, (n + 1) * sizeof *requests);
	if (!pointers || !requests) {
		throw_error(c, KNOCKER_STORAGE, "out of memory");
		return NULL;
	}
	for (uint32_t i = 0; i < n; i++) {
		napi_value item;

		pointers[i] = &requests[i];
		napi_get_element(c->env, list, i, &item);
		if (!take_members(c, item, &REQUEST, &requests[i]))
			return NULL;
	}
	return pointers;
}
