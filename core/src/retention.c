/* Pruning: what is finished and old goes, with what hangs on it, in one transaction, and every call
 * leaves an audit row. No id that was deleted is ever used again. */
#include <stdio.h>
#include <string.h>

#include "error.h"
#include "json.h"
#include "operator.h"

#define PRUNE_ROUND 1000           /* ids read at a time */
#define PRUNE_CLOCKS_APART_S 86400 /* between processes; more is a clock that was wrong */

typedef struct {
	bool handled, ignored;
} prune_statuses;

static int32_t prune_statuses_read(knocker_bytes text, prune_statuses *s, knocker_error *error)
{
	json *list = NULL;
	const json *each;
	int32_t rc;

	*s = (prune_statuses){true, true};
	if (text.len == 0 || bytes_is(text, "null"))
		return 0;
	*s = (prune_statuses){false, false};
	rc = json_parse("statuses", text, &list, error);
	if (rc == 0 && json_kind(list) != JSON_ARRAY)
		rc = fail(error, KNOCKER_INVALID_ARGUMENT, "statuses is not a JSON array");
	for (each = json_first(list); rc == 0 && each; each = json_next(each)) {
		knocker_bytes status = json_text(each);

		s->handled = s->handled || bytes_is(status, "handled");
		s->ignored = s->ignored || bytes_is(status, "ignored");
		if (!bytes_is(status, "handled") && !bytes_is(status, "ignored"))
			rc = fail(error, KNOCKER_INVALID_ARGUMENT,
			          "status '%.*s' cannot be pruned: handled and ignored can", QUOTED(status));
	}
	if (rc == 0 && !s->handled && !s->ignored)
		rc = fail(error, KNOCKER_INVALID_ARGUMENT,
		          "statuses is empty: handled and ignored can be pruned");
	json_free(list);
	return rc;
}

static int32_t prune_check(const prune_options *o, knocker_error *error)
{
	int32_t rc = inbox_range_check("older_than", o->older_than_s, 0, INT64_MAX / 1000, error);

	return rc == 0 ? inbox_range_check("limit", o->limit, 0, INT64_MAX, error) : rc;
}

static int32_t prune_count(db *d, enum statement s, int64_t id, int64_t *sum, knocker_error *error)
{
	int64_t n = 0;
	int32_t rc = db_int_of(d, s, VALUES(INT(id)), 0, &n, error);

	*sum += n;
	return rc;
}

static int32_t prune_delete(db *d, enum statement s, int64_t id, int64_t *sum, knocker_error *error)
{
	int64_t n = 0;
	int32_t rc = db_run(d, s, VALUES(INT(id)), &n, error);

	*sum += n;
	return rc;
}

/* One event with its deliveries and attempts. */
static int32_t prune_event(db *d, int64_t id, bool dry_run, prune_counts *c, knocker_error *error)
{
	int64_t jobs = 0;
	int32_t rc;

	if (dry_run) {
		rc = prune_count(d, STMT_delivery_count, id, &c->deliveries, error);
		return rc == 0 ? prune_count(d, STMT_attempt_count, id, &c->attempts, error) : rc;
	}
	rc = prune_delete(d, STMT_attempt_delete, id, &c->attempts, error);
	if (rc == 0)
		rc = prune_delete(d, STMT_delivery_delete_repeats, id, &c->deliveries, error);
	if (rc == 0)
		rc = prune_delete(d, STMT_delivery_delete, id, &c->deliveries, error);
	if (rc == 0)
		rc = prune_delete(d, STMT_job_delete, id, &jobs, error);
	return rc;
}

typedef struct {
	int64_t id, endpoint_id, bytes;
	bool live;
} prune_victim;

static int32_t prune_read(query *q, int32_t rc, bool orphans, prune_victim *out, int32_t *count,
                          knocker_error *error)
{
	for (*count = 0; rc == 0; rc = db_next(q, error))
		out[(*count)++] = (prune_victim){.id = db_int(q, 0),
		                                 .endpoint_id = orphans ? db_int(q, 1) : 0,
		                                 .bytes = orphans ? db_int(q, 2) : 0,
		                                 .live = !orphans && db_int(q, 1) != 0};
	db_done(q);
	return rc < 0 ? rc : 0;
}

/* The next victims above `after`, oldest first. */
static int32_t prune_next(db *d, const prune_statuses *s, int64_t after, int64_t before_id,
                          int64_t limit, prune_victim *out, int32_t *count, knocker_error *error)
{
	query *q;
	int32_t rc;

	if (s) {
		rc = db_query(d, STMT_event_prune_ids,
		              VALUES(INT(before_id), INT(s->handled), INT(s->ignored), INT(limit),
		                     INT(after)),
		              &q, error);
		return prune_read(q, rc, false, out, count, error);
	}
	rc = db_query(d, STMT_orphan_prune_ids, VALUES(INT(before_id), INT(limit), INT(after)), &q,
	              error);
	return prune_read(q, rc, true, out, count, error);
}

static int32_t prune_orphan(db *d, const prune_victim *v, bool dry_run, prune_counts *c,
                            knocker_error *error)
{
	int32_t rc = 0;

	if (dry_run) {
		c->deliveries++;
		return 0;
	}
	rc = prune_delete(d, STMT_delivery_delete, v->id, &c->deliveries, error);
	if (rc == 0)
		rc = db_run(d, STMT_endpoint_orphans_add,
		            VALUES(INT(v->endpoint_id), INT(-1), INT(-v->bytes), INT(0)), NULL, error);
	return rc;
}

/* Walks the victims, oldest first, in rounds. `s` NULL: orphans. */
static int32_t prune_walk(db *d, const prune_options *o, const prune_statuses *s, prune_counts *c,
                          knocker_error *error)
{
	prune_victim *victims = memory_get(PRUNE_ROUND * sizeof *victims);
	int64_t before_id = 0, last = 0, highest = 0, left = o->limit ? o->limit : INT64_MAX;
	int32_t count = 0, i,
			rc = victims ? look_since(d, o->older_than_s * 1000, &before_id, error)
	                     : fail_memory(error);

	if (rc == 0)
		rc = db_int_of(d, STMT_id_last, NO_VALUES, 0, &highest, error);
	do {
		count = 0;
		if (rc == 0)
			rc = prune_next(d, s, last, before_id, left < PRUNE_ROUND ? left : PRUNE_ROUND, victims,
			                &count, error);
		for (i = 0; rc == 0 && i < count; i++) {
			c->events += s != NULL;
			c->live_jobs += victims[i].live;
			rc = s ? prune_event(d, victims[i].id, o->dry_run, c, error)
			       : prune_orphan(d, &victims[i], o->dry_run, c, error);
			last = victims[i].id;
		}
		left -= count;
	} while (rc == 0 && count == PRUNE_ROUND && left > 0);
	memory_free(victims);
	if (rc == 0 && last > 0 && !o->dry_run)
		rc = db_run(d, STMT_id_floor_raise, VALUES(INT(highest)), NULL, error);
	return rc;
}

static int32_t prune_audit(inbox *in, db *d, const char *kind, const prune_options *o,
                           const prune_counts *c, knocker_error *error)
{
	knocker_bytes queue = o->queue_name.data ? o->queue_name : bytes_of(in->queue_name);
	buffer summary;
	int32_t rc;

	buffer_init(&summary, LIMIT_JSON * 2);
	buffer_text(&summary, "{\"older_than\":");
	buffer_int(&summary, o->older_than_s);
	buffer_text(&summary, ",\"limit\":");
	buffer_int(&summary, o->limit);
	if (o->statuses_json.len > 0) {
		buffer_text(&summary, ",\"statuses\":");
		buffer_bytes(&summary, o->statuses_json);
	}
	buffer_text(&summary, "}");
	rc = summary.failed ? fail_memory(error)
	                    : db_run(d, STMT_audit_insert,
	                             VALUES(TEXT(bytes_of(kind)), TEXT(queue), INT(inbox_now_ms(in)),
	                                    INT(c->events), INT(c->deliveries), INT(c->attempts),
	                                    INT(c->live_jobs), TEXT(buffer_view(&summary))),
	                             NULL, error);
	buffer_free(&summary);
	return rc;
}

static int32_t prune_run(inbox *in, db *d, const char *kind, const prune_options *o,
                         const prune_statuses *s, prune_counts *c, knocker_error *error)
{
	int32_t rc = prune_check(o, error);

	memset(c, 0, sizeof *c);
	if (rc == 0)
		rc = prune_walk(d, o, s, c, error);
	if (rc == 0 && !o->dry_run)
		rc = prune_audit(in, d, kind, o, c, error);
	return rc;
}

int32_t prune_events(inbox *in, db *d, const prune_options *o, prune_counts *counts,
                     knocker_error *error)
{
	prune_statuses s;
	int32_t rc = prune_statuses_read(o->statuses_json, &s, error);

	return rc < 0 ? rc : prune_run(in, d, "prune_events", o, &s, counts, error);
}

int32_t prune_orphans(inbox *in, db *d, const prune_options *o, prune_counts *counts,
                      knocker_error *error)
{
	return prune_run(in, d, "prune_orphan_deliveries", o, NULL, counts, error);
}

/* ---- the scheduled pass ---- */

static int32_t prune_interval_check(const knocker_retention *r, knocker_error *error)
{
	prune_statuses s;
	int32_t rc = inbox_range_check("interval_s", r->interval_s, 1, INT32_MAX, error);

	if (rc == 0 && r->event_older_than_s == 0 && r->orphans_older_than_s == 0)
		rc = fail(error, KNOCKER_INVALID_ARGUMENT,
		          "the policy prunes nothing: give the age of events, or of orphan deliveries");
	if (rc == 0)
		rc = prune_statuses_read(r->statuses_json, &s, error);
	if (rc == 0)
		rc = inbox_range_check("event_older_than_s", r->event_older_than_s, 0, INT32_MAX, error);
	if (rc == 0)
		rc = inbox_range_check("event_limit", r->event_limit, 0, INT64_MAX, error);
	if (rc == 0)
		rc = inbox_range_check("orphans_older_than_s", r->orphans_older_than_s, 0, INT32_MAX,
		                       error);
	return rc == 0 ? inbox_range_check("orphans_limit", r->orphans_limit, 0, INT64_MAX, error) : rc;
}

/* Whoever comes first in an interval notes its beginning; the others see that and are done. An
 * hourly policy and a daily one do not take each other's turn, and a beginning that lies further
 * ahead than another clock could be was noted by a clock that has been mended since. */
static int32_t prune_interval_take(db *d, int64_t begin_s, int64_t interval_s, knocker_error *error)
{
	char name[40];
	knocker_bytes key;
	int64_t last_s;
	int32_t rc;

	snprintf(name, sizeof name, "retention every %lld s", (long long)interval_s);
	key = bytes_of(name);
	rc = db_int_of(d, STMT_meta_get, VALUES(TEXT(key)), -1, &last_s, error);
	if (rc < 0)
		return rc;
	if (last_s >= begin_s && last_s <= begin_s + interval_s + PRUNE_CLOCKS_APART_S)
		return 1;
	return db_run(d, STMT_meta_set, VALUES(TEXT(key), INT(begin_s)), NULL, error);
}

int32_t prune_interval(inbox *in, db *d, const knocker_retention *r, prune_counts *events,
                       prune_counts *orphans, int64_t *next_s, knocker_error *error)
{
	int64_t now_s = inbox_now_ms(in) / 1000, begin_s;
	prune_options of_events = {.statuses_json = r->statuses_json,
	                           .limit = r->event_limit,
	                           .older_than_s = now_s - r->event_older_than_s};
	prune_options of_orphans = {.limit = r->orphans_limit,
	                            .older_than_s = now_s - r->orphans_older_than_s};
	int32_t rc = prune_interval_check(r, error);

	*events = *orphans = (prune_counts){0};
	if (rc < 0)
		return rc;
	begin_s = now_s - now_s % r->interval_s;
	*next_s = begin_s + r->interval_s;
	rc = prune_interval_take(d, begin_s, r->interval_s, error);
	if (rc == 0 && r->event_older_than_s > 0)
		rc = prune_events(in, d, &of_events, events, error);
	if (rc == 0 && r->orphans_older_than_s > 0)
		rc = prune_orphans(in, d, &of_orphans, orphans, error);
	return rc;
}
