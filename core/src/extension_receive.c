/* The SQL door: bootstrap, endpoints, receive, ingest, verify, diagnose, sign. */
#include "extension_parts.h"

#include <string.h>

#include "clock.h"
#include "diagnose.h"
#include "error.h"
#include "json.h"
#include "receipt.h"

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
