/* The C door: each call checks its handle, takes the connection it needs, and calls downward. No
 * rule stands here. */
#include <string.h>

#include "batch.h"
#include "clock.h"
#include "error.h"
#include "handle.h"
#include "operator.h"
#include "reverify.h"
#include "version.h"
#include "worker.h"

const char *knocker_version(void)
{
	return KNOCKER_VERSION_TEXT;
}

const char *knocker_error_name(int64_t code)
{
	return error_name(code);
}

/* ---- 1. open ---- */

int32_t knocker_open(const knocker_open_options *options, knocker **out, knocker_error *error)
{
	knocker_open_options o;
	int32_t rc;

	if (!out)
		return fail(error, KNOCKER_INVALID_ARGUMENT, "out is NULL");
	*out = NULL;
	rc = handle_options("open_options", options, &o, sizeof o, error);
	if (rc < 0)
		return rc;
	o.size = sizeof o;
	o.path = handle_bytes(o.path);
	o.queue_name = handle_bytes(o.queue_name);
	o.init_sql = handle_bytes(o.init_sql);
	return handle_open(&o, out, error);
}

int32_t knocker_close(knocker *k, knocker_error *error)
{
	return handle_close(k, error);
}

int32_t knocker_clock_set(knocker *k, int64_t now_ms, knocker_error *error)
{
	int32_t rc = handle_enter(k, error);

	if (rc < 0)
		return rc;
	rc = inbox_range_check("now_ms", now_ms, 0, INT64_MAX / 4, error);
	if (rc == 0)
		atomic_store(&k->inbox.clock_ms, now_ms);
	handle_leave(k);
	return rc;
}

/* ---- the writer for one small transaction ---- */

static int32_t api_begin(knocker *k, bool full, const char *who, knocker_error *error)
{
	int32_t rc = handle_enter_writing(k, error);
	db *d;

	if (rc < 0)
		return rc;
	rc = store_enter(k->store, who, error);
	if (rc < 0) {
		handle_leave(k);
		return rc;
	}
	d = store_writer(k->store);
	rc = db_synchronous(d, full, error);
	if (rc == 0)
		rc = db_begin(d, error);
	if (rc < 0) {
		store_leave(k->store);
		handle_leave(k);
	}
	return rc;
}

/* Commits where all went well, else rolls back. */
static int32_t api_end(knocker *k, int32_t rc, knocker_error *error)
{
	db *d = store_writer(k->store);
	int32_t committed = rc >= 0 ? db_commit(d, error) : 0;

	db_rollback(d);
	store_leave(k->store);
	handle_leave(k);
	return rc < 0 ? rc : committed < 0 ? committed : rc;
}

static int32_t api_reader(knocker *k, db **reader, knocker_rows **out, knocker_error *error)
{
	int32_t rc;

	if (!out)
		return fail(error, KNOCKER_INVALID_ARGUMENT, "out is NULL");
	*out = NULL;
	rc = handle_enter(k, error);
	if (rc < 0)
		return rc;
	rc = store_reader(k->store, reader, error);
	if (rc < 0)
		handle_leave(k);
	return rc;
}

static int32_t api_reader_end(knocker *k, db *reader, int32_t rc, knocker_rows **out)
{
	store_reader_leave(k->store, reader);
	handle_leave(k);
	return rows_or_none(rc, out);
}

/* ---- 2. endpoints ---- */

int32_t knocker_endpoint_add(knocker *k, const knocker_endpoint *endpoint, int64_t *id,
                             knocker_error *error)
{
	knocker_endpoint e;
	int32_t rc = handle_options("endpoint", endpoint, &e, sizeof e, error);
	knocker_bytes *texts[] = {&e.name,         &e.path,         &e.provider,  &e.scheme_json,
	                          &e.secrets_json, &e.options_json, &e.queue_name};
	size_t i;

	if (rc == 0)
		rc = api_begin(k, k ? k->full : false, "add_endpoint", error);
	if (rc < 0)
		return rc;
	for (i = 0; i < sizeof texts / sizeof *texts; i++)
		*texts[i] = handle_bytes(*texts[i]);
	return api_end(k, endpoint_add(&k->inbox, store_writer(k->store), &e, false, id, error), error);
}

int32_t knocker_endpoint_pause(knocker *k, knocker_bytes name, int32_t paused, knocker_error *error)
{
	int32_t rc = api_begin(k, k ? k->full : false, "pause", error);

	return rc < 0 ? rc
	              : api_end(k,
	                        endpoint_pause(store_writer(k->store), handle_bytes(name), paused != 0,
	                                       error),
	                        error);
}

int32_t knocker_providers(knocker_rows **out, knocker_error *error)
{
	if (!out)
		return fail(error, KNOCKER_INVALID_ARGUMENT, "out is NULL");
	return endpoint_providers(out, error);
}

/* ---- 5. look, and operate ---- */

int32_t knocker_read(knocker *k, knocker_bytes sql, const knocker_value *values, int32_t count,
                     knocker_rows **out, knocker_error *error)
{
	const db_text_statement s = {.sql = handle_bytes(sql), .values = values, .count = count};
	db *reader;
	int32_t rc = api_reader(k, &reader, out, error);

	return rc < 0 ? rc
	              : api_reader_end(k, reader, db_text_run(reader, &s, out, NULL, NULL, error), out);
}

int32_t knocker_get(knocker *k, int32_t kind, int64_t id, knocker_rows **out, knocker_error *error)
{
	db *reader;
	int32_t rc = api_reader(k, &reader, out, error);

	return rc < 0 ? rc : api_reader_end(k, reader, look_get(reader, kind, id, out, error), out);
}

int32_t knocker_list(knocker *k, const knocker_filter *filter, knocker_rows **out,
                     knocker_error *error)
{
	knocker_filter f;
	db *reader;
	int32_t rc = handle_options("filter", filter, &f, sizeof f, error);

	if (out)
		*out = NULL;
	if (rc == 0)
		rc = api_reader(k, &reader, out, error);
	if (rc < 0)
		return rc;
	f.endpoint = handle_bytes(f.endpoint);
	f.status = handle_bytes(f.status);
	f.event_type = handle_bytes(f.event_type);
	f.audit_kind = handle_bytes(f.audit_kind);
	return api_reader_end(k, reader, look_list(reader, &f, out, error), out);
}

int32_t knocker_why(knocker *k, int64_t event_id, knocker_rows **out, knocker_error *error)
{
	db *reader;
	int32_t rc = api_reader(k, &reader, out, error);

	return rc < 0
	           ? rc
	           : api_reader_end(k, reader, look_why(&k->inbox, reader, event_id, out, error), out);
}

int32_t knocker_stats(knocker *k, knocker_rows **out, knocker_error *error)
{
	db *reader;
	int32_t rc = api_reader(k, &reader, out, error);

	return rc < 0 ? rc : api_reader_end(k, reader, look_stats(&k->inbox, reader, out, error), out);
}

int32_t knocker_ignore(knocker *k, int64_t event_id, knocker_bytes reason, knocker_error *error)
{
	int32_t rc = api_begin(k, k ? k->full : false, "ignore", error);

	return rc < 0 ? rc
	              : api_end(k,
	                        operator_ignore(&k->inbox, store_writer(k->store), event_id,
	                                        handle_bytes(reason), error),
	                        error);
}

static int32_t api_again(knocker *k, int64_t id,
                         int32_t (*act)(inbox *, db *, int64_t, const operator_again *,
                                        knocker_error *),
                         knocker_error *error)
{
	const operator_again as_it_is = {0};
	int32_t rc = api_begin(k, k ? k->full : false, "a replay", error);

	return rc < 0 ? rc
	              : api_end(k, act(&k->inbox, store_writer(k->store), id, &as_it_is, error), error);
}

int32_t knocker_replay(knocker *k, int64_t event_id, knocker_error *error)
{
	return api_again(k, event_id, operator_replay, error);
}

int32_t knocker_requeue(knocker *k, int64_t event_id, knocker_error *error)
{
	return api_again(k, event_id, operator_requeue, error);
}

int32_t knocker_replay_delivery(knocker *k, int64_t delivery_id, knocker_error *error)
{
	return api_again(k, delivery_id, operator_replay_delivery, error);
}

/* Reads and verifies without the writer, which is held only for what passed. */
static int32_t api_reverify_round(knocker *k, reverify *v, knocker_rows *rows, knocker_error *error)
{
	db *reader;
	int32_t rc = store_reader(k->store, &reader, error);

	if (rc == 0) {
		rc = reverify_read(&k->inbox, reader, v, error);
		store_reader_leave(k->store, reader);
	}
	if (rc == 0 && v->passed > 0 && !v->asked.dry_run)
		rc = api_begin(k, k->full, "verifying again", error);
	else
		return rc < 0 ? rc : reverify_tell(v, rows, error);
	if (rc == 0)
		rc = api_end(k, reverify_store(&k->inbox, store_writer(k->store), v, error), error);
	return rc < 0 ? rc : reverify_tell(v, rows, error);
}

static int32_t api_reverify(knocker *k, const reverify_asked *asked, knocker_rows **out,
                            knocker_error *error)
{
	reverify v = {0};
	db *reader;
	int32_t rc = store_reader(k->store, &reader, error);

	if (rc == 0) {
		rc = reverify_begin(&k->inbox, reader, asked, &v, error);
		store_reader_leave(k->store, reader);
	}
	if (rc == 0)
		rc = rows_new(REVERIFY_COLUMNS, out, error);
	while (rc == 0 && !v.over)
		rc = api_reverify_round(k, &v, *out, error);
	reverify_end(&v);
	return rows_or_none(rc, out);
}

int32_t knocker_reverify(knocker *k, const knocker_request *by, int64_t since_s, int64_t after_id,
                         int64_t limit, int32_t dry_run, knocker_rows **out, knocker_error *error)
{
	knocker_request q;
	int32_t rc = handle_request(by, &q, error);

	if (!out)
		return fail(error, KNOCKER_INVALID_ARGUMENT, "out is NULL");
	*out = NULL;
	if (rc == 0)
		rc = handle_enter_writing(k, error);
	if (rc < 0)
		return rc;
	rc = api_reverify(k,
	                  &(reverify_asked){.endpoint = q.endpoint,
	                                    .provider = q.provider,
	                                    .secrets_json = q.secrets_json,
	                                    .options_json = q.options_json,
	                                    .since_s = since_s,
	                                    .after_id = after_id,
	                                    .limit = limit,
	                                    .dry_run = dry_run != 0},
	                  out, error);
	handle_leave(k);
	return rc;
}

static int32_t api_prune(knocker *k, const knocker_prune *given, bool orphans, prune_counts *counts,
                         knocker_error *error)
{
	knocker_prune p;
	prune_options o;
	int32_t rc = handle_options("prune", given, &p, sizeof p, error);

	if (rc == 0)
		rc = api_begin(k, k ? k->full : false, "a prune", error);
	if (rc < 0)
		return rc;
	o = (prune_options){.statuses_json = handle_bytes(p.statuses_json),
	                    .older_than_s = p.older_than_s,
	                    .limit = p.limit,
	                    .dry_run = p.dry_run != 0};
	rc = orphans ? prune_orphans(&k->inbox, store_writer(k->store), &o, counts, error)
	             : prune_events(&k->inbox, store_writer(k->store), &o, counts, error);
	return api_end(k, rc, error);
}

int32_t knocker_prune_events(knocker *k, const knocker_prune *prune, knocker_rows **out,
                             knocker_error *error)
{
	prune_counts c;
	int32_t rc = out ? api_prune(k, prune, false, &c, error)
	                 : fail(error, KNOCKER_INVALID_ARGUMENT, "out is NULL");

	if (out)
		*out = NULL;
	if (rc == 0)
		rc = rows_new("events_pruned, attempts_pruned, deliveries_pruned, live_jobs_pruned", out,
		              error);
	if (rc == 0)
		rc = rows_add(*out,
		              (const knocker_value[]){INT(c.events), INT(c.attempts), INT(c.deliveries),
		                                      INT(c.live_jobs)},
		              error);
	return out ? rows_or_none(rc, out) : rc;
}

int32_t knocker_prune_orphan_deliveries(knocker *k, const knocker_prune *prune, knocker_rows **out,
                                        knocker_error *error)
{
	prune_counts c;
	int32_t rc = out ? api_prune(k, prune, true, &c, error)
	                 : fail(error, KNOCKER_INVALID_ARGUMENT, "out is NULL");

	if (out)
		*out = NULL;
	if (rc == 0)
		rc = rows_new("deliveries_pruned", out, error);
	if (rc == 0)
		rc = rows_add(*out, (const knocker_value[]){INT(c.deliveries)}, error);
	return out ? rows_or_none(rc, out) : rc;
}

static int32_t api_retain_rows(const prune_counts *e, const prune_counts *o, int64_t next_s,
                               knocker_rows **out, knocker_error *error)
{
	int32_t rc = rows_new("next_at, events_pruned, attempts_pruned, deliveries_pruned, "
	                      "live_jobs_pruned, orphan_deliveries_pruned",
	                      out, error);

	if (rc == 0)
		rc = rows_add(*out,
		              (const knocker_value[]){INT(next_s), INT(e->events), INT(e->attempts),
		                                      INT(e->deliveries), INT(e->live_jobs),
		                                      INT(o->deliveries)},
		              error);
	return rows_or_none(rc, out);
}

int32_t knocker_retain(knocker *k, const knocker_retention *retention, knocker_rows **out,
                       knocker_error *error)
{
	knocker_retention r;
	prune_counts events, orphans;
	int64_t next_s = 0;
	int32_t rc = handle_options("retention", retention, &r, sizeof r, error), rows;

	if (!out)
		return fail(error, KNOCKER_INVALID_ARGUMENT, "out is NULL");
	*out = NULL;
	if (rc == 0)
		rc = api_begin(k, k ? k->full : false, "the retention pass", error);
	if (rc < 0)
		return rc;
	r.statuses_json = handle_bytes(r.statuses_json);
	rc = prune_interval(&k->inbox, store_writer(k->store), &r, &events, &orphans, &next_s, error);
	rc = api_end(k, rc, error);
	if (rc < 0)
		return rc;
	rows = api_retain_rows(&events, &orphans, next_s, out, error);
	return rows < 0 ? rows : rc;
}
