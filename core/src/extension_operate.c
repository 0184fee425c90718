/* The SQL door: ignore, replay, requeue, reverify, why, stats, prune. */
#include "extension_parts.h"

#include "error.h"
#include "operator.h"
#include "reverify.h"

static int32_t sql_ignore(call *c, knocker_error *error)
{
	knocker_bytes reason;
	int64_t event_id;
	int32_t rc = call_int_required(c, 0, "event_id", &event_id, error);

	if (rc == 0)
		rc = call_text(c, 1, "reason", &reason, error);
	return rc < 0 ? rc : operator_ignore(&c->x->inbox, c->x->d, event_id, reason, error);
}

static int32_t sql_again(call *c, const char *what,
                         int32_t (*act)(inbox *, db *, int64_t, const operator_again *,
                                        knocker_error *),
                         knocker_error *error)
{
	operator_again a = {0};
	int64_t id;
	int32_t rc = call_int_required(c, 0, what, &id, error);

	if (rc == 0)
		rc = call_text(c, 1, "queue_name", &a.queue, error);
	if (rc == 0)
		rc = call_int(c, 2, "max_attempts", 0, &a.max_attempts, error);
	return rc < 0 ? rc : act(&c->x->inbox, c->x->d, id, &a, error);
}

static int32_t sql_replay(call *c, knocker_error *error)
{
	return sql_again(c, "event_id", operator_replay, error);
}

static int32_t sql_requeue(call *c, knocker_error *error)
{
	return sql_again(c, "event_id", operator_requeue, error);
}

static int32_t sql_replay_delivery(call *c, knocker_error *error)
{
	return sql_again(c, "delivery_id", operator_replay_delivery, error);
}

static int32_t sql_reset_event(call *c, knocker_error *error)
{
	int64_t event_id;
	int32_t rc = call_int_required(c, 0, "event_id", &event_id, error);

	return rc < 0 ? rc : operator_reset(&c->x->inbox, c->x->d, event_id, error);
}

static int32_t sql_reverify_arguments(call *c, reverify_asked *a, knocker_error *error)
{
	int64_t dry_run = 0;
	int32_t rc = call_text(c, 0, "endpoint", &a->endpoint, error);

	if (rc == 0)
		rc = call_int(c, 1, "since", 0, &a->since_s, error);
	if (rc == 0)
		rc = call_int(c, 2, "limit", 0, &a->limit, error);
	if (rc == 0 && call_given(c, 2))
		rc = inbox_range_check("limit", a->limit, 1, LIMIT_LIST, error);
	if (rc == 0)
		rc = call_truth(c, 3, "dry_run", 0, &dry_run, error);
	if (rc == 0)
		rc = call_int(c, 4, "after_id", 0, &a->after_id, error);
	if (rc == 0)
		rc = call_text(c, 5, "provider", &a->provider, error);
	if (rc == 0)
		rc = call_text(c, 6, "secrets_json", &a->secrets_json, error);
	if (rc == 0)
		rc = call_text(c, 7, "options_json", &a->options_json, error);
	a->dry_run = dry_run != 0;
	return rc;
}

/* One transaction, as every function of this door: for many orphans, call it for some at a time. */
static int32_t sql_reverify(call *c, knocker_error *error)
{
	reverify_asked asked = {0};
	reverify v = {0};
	knocker_rows *rows = NULL;
	int32_t rc = sql_reverify_arguments(c, &asked, error);

	if (rc == 0)
		rc = reverify_begin(&c->x->inbox, c->x->d, &asked, &v, error);
	if (rc == 0)
		rc = rows_new(REVERIFY_COLUMNS, &rows, error);
	while (rc == 0 && !v.over) {
		rc = reverify_read(&c->x->inbox, c->x->d, &v, error);
		if (rc == 0 && v.passed > 0 && !asked.dry_run)
			rc = reverify_store(&c->x->inbox, c->x->d, &v, error);
		if (rc == 0)
			rc = reverify_tell(&v, rows, error);
	}
	reverify_end(&v);
	if (rc == 0)
		return call_give_rows(c, rows, true, error);
	knocker_rows_free(rows);
	return rc;
}

static int32_t sql_why(call *c, knocker_error *error)
{
	knocker_rows *rows;
	int64_t event_id;
	int32_t rc = call_int_required(c, 0, "event_id", &event_id, error);

	if (rc == 0)
		rc = look_why(&c->x->inbox, c->x->d, event_id, &rows, error);
	return rc < 0 ? rc : call_give_rows(c, rows, false, error);
}

static int32_t sql_stats(call *c, knocker_error *error)
{
	knocker_rows *rows;
	int32_t rc = look_stats(&c->x->inbox, c->x->d, &rows, error);

	return rc < 0 ? rc : call_give_rows(c, rows, true, error);
}

/* ---- prune ---- */

static void sql_count(buffer *out, const char *name, int64_t count, const char *after)
{
	buffer_text(out, "\"");
	buffer_text(out, name);
	buffer_text(out, "\":");
	buffer_int(out, count);
	buffer_text(out, after);
}

static void sql_give_event_counts(buffer *out, const prune_counts *counts)
{
	buffer_text(out, "{");
	sql_count(out, "events_pruned", counts->events, ",");
	sql_count(out, "attempts_pruned", counts->attempts, ",");
	sql_count(out, "deliveries_pruned", counts->deliveries, ",");
	sql_count(out, "live_jobs_pruned", counts->live_jobs, "}");
}

static void sql_give_orphan_counts(buffer *out, const prune_counts *counts)
{
	buffer_text(out, "{");
	sql_count(out, "deliveries_pruned", counts->deliveries, "}");
}

/* older_than and limit, at `at` and after it; a limit of NULL is none. */
static int32_t sql_prune_bounds(call *c, int at, const char *what, prune_options *o,
                                knocker_error *error)
{
	int32_t rc = call_int_required(c, at, what, &o->older_than_s, error);

	if (rc == 0)
		rc = call_int(c, at + 1, "limit", 0, &o->limit, error);
	if (rc == 0 && call_given(c, at + 1))
		rc = inbox_range_check("limit", o->limit, 1, INT64_MAX, error);
	return rc;
}

static int32_t sql_prune_rest(call *c, int at, prune_options *o, knocker_error *error)
{
	int64_t dry_run;
	int32_t rc = call_text(c, at, "queue_name", &o->queue_name, error);

	if (rc == 0)
		rc = call_truth(c, at + 1, "dry_run", 0, &dry_run, error);
	o->dry_run = rc == 0 && dry_run != 0;
	return rc;
}

static int32_t sql_prune_events(call *c, knocker_error *error)
{
	prune_options o = {0};
	prune_counts counts;
	int32_t rc = call_text(c, 0, "statuses_json", &o.statuses_json, error);

	if (rc == 0)
		rc = sql_prune_bounds(c, 1, "older_than", &o, error);
	if (rc == 0)
		rc = sql_prune_rest(c, 3, &o, error);
	if (rc == 0)
		rc = prune_events(&c->x->inbox, c->x->d, &o, &counts, error);
	c->kind = RESULT_JSON;
	if (rc == 0)
		sql_give_event_counts(&c->text, &counts);
	return rc;
}

static int32_t sql_prune_orphans(call *c, knocker_error *error)
{
	prune_options o = {0};
	prune_counts counts;
	int32_t rc = sql_prune_bounds(c, 0, "older_than", &o, error);

	if (rc == 0)
		rc = sql_prune_rest(c, 2, &o, error);
	if (rc == 0)
		rc = prune_orphans(&c->x->inbox, c->x->d, &o, &counts, error);
	c->kind = RESULT_JSON;
	if (rc == 0)
		sql_give_orphan_counts(&c->text, &counts);
	return rc;
}

/* Both prunes as one; a cutoff of NULL leaves its part out. */
static int32_t sql_retention_pass(call *c, knocker_error *error)
{
	prune_options events = {0}, orphans = {0};
	prune_counts event_counts = {0}, orphan_counts = {0};
	int32_t rc = call_text(c, 0, "statuses_json", &events.statuses_json, error);

	if (rc == 0)
		rc = call_text(c, 5, "queue_name", &events.queue_name, error);
	orphans.queue_name = events.queue_name;
	if (rc == 0 && call_given(c, 1))
		rc = sql_prune_bounds(c, 1, "event_cutoff", &events, error);
	if (rc == 0 && call_given(c, 1))
		rc = prune_events(&c->x->inbox, c->x->d, &events, &event_counts, error);
	if (rc == 0 && call_given(c, 3))
		rc = sql_prune_bounds(c, 3, "orphan_cutoff", &orphans, error);
	if (rc == 0 && call_given(c, 3))
		rc = prune_orphans(&c->x->inbox, c->x->d, &orphans, &orphan_counts, error);
	c->kind = RESULT_JSON;
	buffer_text(&c->text, "{\"events\":");
	sql_give_event_counts(&c->text, &event_counts);
	buffer_text(&c->text, ",\"orphan_deliveries\":");
	sql_give_orphan_counts(&c->text, &orphan_counts);
	buffer_text(&c->text, "}");
	return rc;
}

static const extension_entry operating_entries[] = {
	{"knocker_ignore", 1, 2, CALL_WRITE, sql_ignore},
	{"knocker_replay", 1, 3, CALL_WRITE, sql_replay},
	{"knocker_requeue", 1, 3, CALL_WRITE, sql_requeue},
	{"knocker_replay_delivery", 1, 3, CALL_WRITE, sql_replay_delivery},
	{"knocker_reverify", 3, 8, CALL_WRITE, sql_reverify},
	{"knocker_reset_event", 1, 1, CALL_WRITE, sql_reset_event},
	{"knocker_why", 1, 1, CALL_READ, sql_why},
	{"knocker_stats", 0, 0, CALL_READ, sql_stats},
	{"knocker_prune_events", 4, 5, CALL_WRITE, sql_prune_events},
	{"knocker_prune_orphan_deliveries", 3, 4, CALL_WRITE, sql_prune_orphans},
	{"knocker_run_retention_pass", 6, 6, CALL_WRITE, sql_retention_pass},
	{NULL, 0, 0, CALL_PURE, NULL},
};

const extension_entry *extension_operating(void)
{
	return operating_entries;
}
