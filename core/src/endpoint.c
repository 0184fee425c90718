/* Endpoints: their rows in the file, and what this process has registered of them in memory.
 * Secrets stay there. */
#include <string.h>

#include "error.h"
#include "inbox.h"

/* ---- registering ---- */

static int32_t endpoint_check(knocker_endpoint *e, knocker_error *error)
{
	int32_t rc = inbox_name_check("name", e->name, error);

	if (rc == 0)
		rc = inbox_text_check("path", &e->path, 2000, error);
	if (rc == 0)
		rc = inbox_text_check("provider", &e->provider, LIMIT_NAME, error);
	if (rc == 0)
		rc = inbox_text_check("queue_name", &e->queue_name, LIMIT_NAME, error);
	if (rc == 0)
		rc = inbox_range_check("max_attempts", e->max_attempts, 0, 1000000, error);
	if (rc == 0)
		rc = inbox_range_check("backoff_base_ms", e->backoff_base_ms, 0, INT32_MAX, error);
	if (rc == 0)
		rc = inbox_range_check("backoff_cap_ms", e->backoff_cap_ms, 0, INT64_MAX / 4, error);
	if (rc == 0)
		rc = inbox_range_check("disabled", e->disabled, 0, 1, error);
	if (bytes_is(e->provider, "none"))
		e->provider = (knocker_bytes){0};
	return rc;
}

/* Finds the scheme of a registration: a built-in, its own, or the application itself. */
static int32_t endpoint_scheme(registration *r, const knocker_endpoint *e, knocker_error *error)
{
	const scheme *builtin = NULL;
	int32_t rc = e->provider.data ? scheme_builtin(e->provider, &builtin, error) : 0;

	if (rc < 0)
		return rc;
	r->external = e->external != 0;
	if (builtin && (e->scheme_json.data || r->external))
		return fail(error, KNOCKER_INVALID_ARGUMENT,
		            "provider '%.*s' is a built-in's name: give your own another",
		            QUOTED(e->provider));
	if (r->external && e->scheme_json.data)
		return fail(error, KNOCKER_INVALID_ARGUMENT,
		            "external and scheme_json were both given: one of them verifies");
	if (r->external && !e->provider.data)
		return fail(error, KNOCKER_INVALID_ARGUMENT,
		            "external needs a provider: the name of your own");
	if (e->scheme_json.data) {
		rc = scheme_compile(e->scheme_json, &r->own_scheme, error);
		r->scheme = r->own_scheme;
		return rc;
	}
	if (e->provider.data && !builtin && !r->external)
		return fail(error, KNOCKER_INVALID_ARGUMENT, "no provider is named '%.*s'",
		            QUOTED(e->provider));
	r->scheme = builtin;
	return 0;
}

static int32_t endpoint_keys(registration *r, knocker_bytes secrets_json,
                             knocker_bytes options_json, knocker_error *error)
{
	if (r->scheme)
		return scheme_keys_new(r->scheme, secrets_json, options_json, &r->keys, error);
	if (!r->external && secrets_json.data && !bytes_is(secrets_json, "[]") &&
	    !bytes_is(secrets_json, "null"))
		return fail(error, KNOCKER_INVALID_ARGUMENT,
		            "secrets were given without a provider: name one, or nothing is verified");
	return 0;
}

/* Says which endpoint has the path already, where SQLite would only speak of a constraint. */
static int32_t endpoint_path_check(db *d, const knocker_endpoint *e, knocker_error *error)
{
	query *q;
	int32_t rc;

	if (!e->path.data)
		return 0;
	rc = db_query(d, STMT_endpoint_of_path, VALUES(TEXT(e->path), TEXT(e->name)), &q, error);
	if (rc == 0)
		rc = fail(error, KNOCKER_INVALID_ARGUMENT, "path '%.*s' is that of endpoint '%.*s'",
		          QUOTED(e->path), QUOTED(db_text(q, 0)));
	db_done(q);
	return rc < 0 ? rc : 0;
}

static int32_t endpoint_write(inbox *in, db *d, const knocker_endpoint *e, knocker_bytes provider,
                              int64_t *id, knocker_error *error)
{
	endpoint_row row;
	arena a = {0};
	int32_t rc = endpoint_path_check(d, e, error);

	if (rc == 0)
		rc = db_run(d, STMT_endpoint_upsert,
		            VALUES(TEXT(e->name), TEXT(e->path), TEXT(provider), INT(!e->disabled),
		                   TEXT(e->queue_name), INT_OR_NULL(e->max_attempts),
		                   INT_OR_NULL(e->backoff_base_ms), INT_OR_NULL(e->backoff_cap_ms),
		                   INT(inbox_now_ms(in))),
		            NULL, error);
	if (rc == 0)
		rc = endpoint_find(d, e->name, &a, &row, error);
	if (rc == 0 && id)
		*id = row.id;
	arena_free(&a);
	return rc;
}

/* A row alone changes nothing about the keys that this process has for the same provider. */
static void endpoint_remember(inbox *in, registration *r, bool row_only)
{
	registration *before = row_only && !r->own_scheme
	                           ? registration_find(&in->registrations, r->name)
	                           : NULL;
	bool same = before && before->keys && before->scheme == r->scheme;

	registration_leave(before);
	if (same)
		registration_leave(r);
	else
		registration_put(&in->registrations, r);
}

int32_t endpoint_add(inbox *in, db *d, const knocker_endpoint *given, bool row_only, int64_t *id,
                     knocker_error *error)
{
	knocker_endpoint e = *given;
	int32_t rc = endpoint_check(&e, error);
	registration *r;

	if (rc < 0)
		return rc;
	if (e.scheme_json.data && !e.provider.data)
		e.provider = bytes_of("custom");
	r = registration_new(e.name, e.provider, e.queue_name);
	if (!r)
		return fail_memory(error);
	rc = endpoint_scheme(r, &e, error);
	if (rc == 0 && !row_only)
		rc = endpoint_keys(r, e.secrets_json, e.options_json, error);
	if (rc == 0)
		rc = endpoint_write(in, d, &e, e.provider, id, error);
	if (rc == 0)
		endpoint_remember(in, r, row_only);
	else
		registration_leave(r);
	return rc;
}

int32_t endpoint_secrets(inbox *in, db *d, knocker_bytes name, knocker_bytes secrets_json,
                         knocker_bytes options_json, knocker_error *error)
{
	registration *before = NULL, *r = NULL;
	endpoint_row row;
	arena a = {0};
	int32_t rc = inbox_name_check("endpoint", name, error);

	if (rc == 0)
		rc = endpoint_find(d, name, &a, &row, error);
	if (rc == 0 && !row.provider.data)
		rc = fail(error, KNOCKER_INVALID_ARGUMENT,
		          "endpoint '%.*s' has no provider, so it takes no secrets", QUOTED(name));
	if (rc == 0) {
		before = registration_find(&in->registrations, name);
		r = registration_new(name, row.provider, row.queue);
		rc = r ? scheme_builtin(row.provider, &r->scheme, error) : fail_memory(error);
	}
	if (rc == 0 && !r->scheme && before)
		r->scheme = before->scheme;
	if (rc == 0 && !r->scheme)
		rc = fail(error, KNOCKER_INVALID_ARGUMENT,
		          "endpoint '%.*s' is verified by '%.*s', whose scheme is not registered here",
		          QUOTED(name), QUOTED(row.provider));
	if (rc == 0)
		rc = endpoint_keys(r, secrets_json, options_json, error);
	if (rc == 0 && before && r->scheme == before->own_scheme) {
		/* The only other user is this call, which lets go of it below. */
		r->own_scheme = before->own_scheme;
		before->own_scheme = NULL;
	}
	if (rc == 0)
		registration_put(&in->registrations, r);
	else
		registration_leave(r);
	registration_leave(before);
	arena_free(&a);
	return rc;
}

/* ---- rows ---- */

int32_t endpoint_find(db *d, knocker_bytes name, arena *a, endpoint_row *out, knocker_error *error)
{
	query *q;
	int32_t rc = db_query(d, STMT_endpoint_find, VALUES(TEXT(name)), &q, error);

	memset(out, 0, sizeof *out);
	if (rc == 0) {
		out->id = db_int(q, 0);
		out->enabled = db_int(q, 1) != 0;
		out->max_attempts = db_int(q, 4);
		out->backoff_base_ms = db_int(q, 5);
		out->backoff_cap_ms = db_int(q, 6);
		out->orphan_rows = db_int(q, 7);
		out->orphan_bytes = db_int(q, 8);
		out->paused = db_int(q, 9) != 0;
		if (!arena_copy(a, db_text(q, 2), &out->provider) ||
		    !arena_copy(a, db_text(q, 3), &out->queue))
			rc = fail_memory(error);
	} else if (rc == 1) {
		rc = fail(error, KNOCKER_UNKNOWN_ENDPOINT, "no endpoint is named '%.*s'", QUOTED(name));
	}
	db_done(q);
	return rc;
}

int32_t endpoint_pause(db *d, knocker_bytes name, bool paused, knocker_error *error)
{
	int64_t changed = 0;
	int32_t rc = inbox_name_check("endpoint", name, error);

	if (rc == 0)
		rc = db_run(d, STMT_endpoint_pause, VALUES(TEXT(name), INT(paused)), &changed, error);
	if (rc == 0 && changed == 0)
		rc = fail(error, KNOCKER_UNKNOWN_ENDPOINT, "no endpoint is named '%.*s'", QUOTED(name));
	db_mark_due(d);
	return rc;
}

int32_t endpoint_providers(knocker_rows **out, knocker_error *error)
{
	int32_t rc = rows_new("name, version, title, kind, has_replay_window, options_json, curated",
	                      out, error);
	int32_t i;

	for (i = 0; rc == 0 && i < scheme_builtin_count(); i++) {
		scheme_info info;

		rc = scheme_builtin_info(i, &info, error);
		if (rc == 0)
			rc = rows_add(*out,
			              (const knocker_value[]){TEXT(bytes_of(info.name)),
			                                      TEXT(bytes_of(info.version)),
			                                      TEXT(bytes_of(info.title)),
			                                      TEXT(bytes_of(info.kind)),
			                                      INT(info.has_replay_window),
			                                      TEXT(bytes_of(info.options_json)),
			                                      INT(info.curated)},
			              error);
	}
	if (rc < 0) {
		knocker_rows_free(*out);
		*out = NULL;
	}
	return rc;
}
