/* Conversions between terms and knocker.h; see terms.h. Atoms are the same in every environment, so
 * the tables keep them. */
#include "terms.h"

#include <math.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { BYTES, INTEGER };

struct member {
	const char *name;
	size_t offset;
	int kind;
	ERL_NIF_TERM atom; /* made when the library is loaded */
};

struct members {
	size_t size;
	struct member *first; /* ended by one without a name */
};

#define B(name)                            \
	{                                      \
#name, offsetof(T, name), BYTES, 0 \
	}
#define I(name)                              \
	{                                        \
#name, offsetof(T, name), INTEGER, 0 \
	}
#define END           \
	{                 \
		NULL, 0, 0, 0 \
	}

#define T knocker_open_options
static struct member open_options[] = {B(path),
                                       B(queue_name),
                                       B(init_sql),
                                       I(visibility_ms),
                                       I(max_attempts),
                                       I(backoff_base_ms),
                                       I(backoff_cap_ms),
                                       I(max_readers),
                                       I(max_body_bytes),
                                       I(synchronous),
                                       I(busy_timeout_ms),
                                       I(settle_full),
                                       I(orphan_bytes),
                                       I(orphan_rows),
                                       I(existing),
                                       I(clock_ms),
                                       I(seed),
                                       END};
struct members OPEN_OPTIONS = {sizeof(T), open_options};
#undef T
#define T knocker_endpoint
static struct member endpoint[] =
	{B(name),           B(path),       B(provider), B(scheme_json),  B(secrets_json),
     B(options_json),   B(queue_name), I(disabled), I(max_attempts), I(backoff_base_ms),
     I(backoff_cap_ms), I(external),   END};
struct members ENDPOINT = {sizeof(T), endpoint};
#undef T
#define T knocker_request
static struct member request[] =
	{B(endpoint),       B(method),       B(headers),           B(query),
     B(body),           B(event_type),   B(provider_event_id), B(provider_delivery_id),
     B(dedupe_key),     B(provider),     B(secrets_json),      B(options_json),
     B(queue_name),     I(max_attempts), I(verdict),           B(verdict_error),
     B(ids_event_type), B(ids_event_id), B(ids_delivery_id),   END};
struct members REQUEST = {sizeof(T), request};
#undef T
#define T knocker_claim_options
static struct member claim_options[] = {B(worker_id), B(queues_json), B(endpoints_json),
                                        I(count),     I(lease_ms),    END};
struct members CLAIM_OPTIONS = {sizeof(T), claim_options};
#undef T
#define T knocker_filter
static struct member filter[] =
	{I(kind),       I(limit),        I(before_id), I(since_s),         B(endpoint),
     B(status),     B(event_type),   I(event_id),  I(signature_valid), I(orphaned),
     B(audit_kind), I(without_body), END};
struct members FILTER = {sizeof(T), filter};
#undef T
#define T knocker_prune
static struct member prune[] = {B(statuses_json), I(older_than_s), I(limit), I(dry_run), END};
struct members PRUNE = {sizeof(T), prune};
#undef T
#define T knocker_retention
static struct member retention[] = {I(interval_s),
                                    B(statuses_json),
                                    I(event_older_than_s),
                                    I(event_limit),
                                    I(orphans_older_than_s),
                                    I(orphans_limit),
                                    END};
struct members RETENTION = {sizeof(T), retention};
#undef T

static struct members *const every[] = {&OPEN_OPTIONS, &ENDPOINT, &REQUEST,  &CLAIM_OPTIONS,
                                        &FILTER,       &PRUNE,    &RETENTION};
static ERL_NIF_TERM atom_nil, atom_ok, atom_error, atom_blob, atom_infinity, atom_neg_infinity;

void terms_load(ErlNifEnv *env)
{
	for (size_t i = 0; i < sizeof every / sizeof *every; i++)
		for (struct member *m = every[i]->first; m->name; m++)
			m->atom = enif_make_atom(env, m->name);
	atom_nil = enif_make_atom(env, "nil");
	atom_ok = enif_make_atom(env, "ok");
	atom_error = enif_make_atom(env, "error");
	atom_blob = enif_make_atom(env, "blob");
	atom_infinity = enif_make_atom(env, "infinity");
	atom_neg_infinity = enif_make_atom(env, "neg_infinity");
}

/* ---- in ---- */

int terms_refuse(struct call *c, int32_t code, const char *text)
{
	c->rc = code;
	c->error.code = code;
	snprintf(c->error.text, sizeof c->error.text, "%s", text);
	return 0;
}

static int refuse(struct call *c, const char *name, const char *wanted)
{
	char text[200];

	snprintf(text, sizeof text, "%.80s must be %.80s", name, wanted);
	return terms_refuse(c, KNOCKER_INVALID_ARGUMENT, text);
}

int terms_bytes(struct call *c, ERL_NIF_TERM term, const char *name, knocker_bytes *out)
{
	ErlNifBinary binary;

	out->data = NULL;
	out->len = 0;
	if (enif_is_identical(term, atom_nil))
		return 1;
	if (!enif_inspect_binary(c->env, term, &binary))
		return refuse(c, name, "a binary");
	out->data = binary.size ? (const void *)binary.data : "";
	out->len = (int64_t)binary.size;
	return 1;
}

int terms_integer(struct call *c, ERL_NIF_TERM term, const char *name, int64_t *out)
{
	ErlNifSInt64 number;

	if (!enif_get_int64(c->env, term, &number))
		return refuse(c, name, "an integer of 64 bits");
	*out = number;
	return 1;
}

/* A key that no member has is a mistake of the face, and refused. */
int terms_members(struct call *c, ERL_NIF_TERM map, const struct members *table, void *into)
{
	char *base = into;
	int64_t size = (int64_t)table->size;
	size_t left = 0;

	memset(into, 0, table->size);
	memcpy(into, &size, sizeof size);
	if (!enif_get_map_size(c->env, map, &left))
		return refuse(c, "options", "a map");
	for (const struct member *m = table->first; m->name && left > 0; m++) {
		ERL_NIF_TERM value;
		void *at = base + m->offset;

		if (!enif_get_map_value(c->env, map, m->atom, &value))
			continue;
		left--;
		if (enif_is_identical(value, atom_nil))
			continue;
		if (m->kind == BYTES ? !terms_bytes(c, value, m->name, at)
		                     : !terms_integer(c, value, m->name, at))
			return 0;
	}
	return left == 0 || refuse(c, "options", "a map of known members");
}

int terms_requests(struct call *c, ERL_NIF_TERM list, knocker_request ***out, int32_t *count)
{
	ERL_NIF_TERM head, tail = list;
	unsigned n = 0;
	knocker_request **pointers, *requests;

	*out = NULL;
	if (!enif_get_list_length(c->env, list, &n) || n > 1000)
		return refuse(c, "requests", "a list of 1 to 1000 requests");
	pointers = calloc((size_t)n + 1, sizeof *pointers + sizeof *requests);
	if (pointers == NULL)
		return terms_refuse(c, KNOCKER_STORAGE, "there is no memory");
	requests = (knocker_request *)(pointers + n + 1);
	for (unsigned i = 0; enif_get_list_cell(c->env, tail, &head, &tail); i++) {
		pointers[i] = &requests[i];
		if (!terms_members(c, head, &REQUEST, &requests[i])) {
			free(pointers);
			return 0;
		}
	}
	*out = pointers;
	*count = (int32_t)n;
	return 1;
}

static int value_of(struct call *c, ERL_NIF_TERM term, unsigned index, knocker_value *out)
{
	const ERL_NIF_TERM *tagged;
	ErlNifSInt64 integer;
	char name[32];
	int arity;

	snprintf(name, sizeof name, "parameter %u", index + 1);
	if (enif_is_identical(term, atom_nil)) {
		out->type = KNOCKER_NULL;
	} else if (enif_get_int64(c->env, term, &integer)) {
		out->type = KNOCKER_INTEGER;
		out->integer = integer;
	} else if (enif_get_double(c->env, term, &out->real)) {
		out->type = KNOCKER_REAL;
	} else if (enif_is_binary(c->env, term)) {
		out->type = KNOCKER_TEXT;
		return terms_bytes(c, term, name, &out->bytes);
	} else if (enif_get_tuple(c->env, term, &arity, &tagged) && arity == 2 &&
	           enif_is_identical(tagged[0], atom_blob) && enif_is_binary(c->env, tagged[1])) {
		out->type = KNOCKER_BLOB;
		return terms_bytes(c, tagged[1], name, &out->bytes);
	} else {
		return refuse(c, name, "nil, a 64-bit integer, a float, a text or {:blob, binary}");
	}
	return 1;
}

int terms_values(struct call *c, ERL_NIF_TERM list, knocker_value **out, int32_t *count)
{
	ERL_NIF_TERM head, tail = list;
	unsigned n = 0;

	*out = NULL;
	if (!enif_get_list_length(c->env, list, &n) || n > 100000)
		return refuse(c, "parameters", "a list");
	*out = calloc((size_t)n + 1, sizeof **out);
	if (*out == NULL)
		return terms_refuse(c, KNOCKER_STORAGE, "there is no memory");
	for (unsigned i = 0; enif_get_list_cell(c->env, tail, &head, &tail); i++)
		if (!value_of(c, head, i, &(*out)[i])) {
			free(*out);
			*out = NULL;
			return 0;
		}
	*count = (int32_t)n;
	return 1;
}

/* ---- out ---- */

static ERL_NIF_TERM binary_of(ErlNifEnv *env, const void *data, size_t len)
{
	ERL_NIF_TERM term;
	unsigned char *at = enif_make_new_binary(env, len, &term);

	if (len)
		memcpy(at, data, len);
	return term;
}

static ERL_NIF_TERM term_of(ErlNifEnv *env, const knocker_value *value)
{
	switch (value->type) {
	case KNOCKER_INTEGER:
		return enif_make_int64(env, value->integer);
	case KNOCKER_REAL: /* the BEAM has no infinite float */
		if (isinf(value->real))
			return value->real > 0 ? atom_infinity : atom_neg_infinity;
		return enif_make_double(env, value->real);
	case KNOCKER_TEXT:
	case KNOCKER_BLOB:
		return binary_of(env, value->bytes.data, (size_t)value->bytes.len);
	default:
		return atom_nil;
	}
}

static ERL_NIF_TERM row_of(ErlNifEnv *env, const knocker_rows *rows, const ERL_NIF_TERM *names,
                           int32_t columns)
{
	ERL_NIF_TERM row = enif_make_new_map(env);

	for (int32_t i = 0; i < columns; i++) {
		knocker_value value = {0};

		knocker_rows_value(rows, i, &value);
		enif_make_map_put(env, row, names[i], term_of(env, &value), &row);
	}
	return row;
}

/* The one place where rows become terms: a list of maps. NULL rows are none. */
ERL_NIF_TERM terms_rows(ErlNifEnv *env, knocker_rows *rows)
{
	int32_t columns = rows ? knocker_rows_columns(rows) : 0;
	ERL_NIF_TERM *names = enif_alloc(sizeof *names * ((size_t)columns + 1));
	ERL_NIF_TERM list = enif_make_list(env, 0), ordered;

	for (int32_t i = 0; i < columns; i++) {
		const char *name = knocker_rows_name(rows, i);

		names[i] = binary_of(env, name, strlen(name));
	}
	while (rows && knocker_rows_next(rows) == 0)
		list = enif_make_list_cell(env, row_of(env, rows, names, columns), list);
	enif_free(names);
	enif_make_reverse_list(env, list, &ordered);
	return ordered;
}

ERL_NIF_TERM terms_ok(ErlNifEnv *env, ERL_NIF_TERM value)
{
	return enif_make_tuple2(env, atom_ok, value);
}

ERL_NIF_TERM terms_error(const struct call *c)
{
	const char *text = c->error.text;

	return enif_make_tuple4(c->env, atom_error, enif_make_atom(c->env, knocker_error_name(c->rc)),
	                        enif_make_int(c->env, c->rc), binary_of(c->env, text, strlen(text)));
}
