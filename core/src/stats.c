/* Numbers for a health check and a metrics page, by endpoint. Reads the due index and the rare
 * statuses; only the number of handled events walks all events. */
#include <string.h>

#include "error.h"
#include "operator.h"

typedef struct {
	int64_t id, queued, due, oldest_ms, processing, failed, dead, ignored, orphans, orphan_bytes,
		dropped;
	knocker_bytes name;
} stats_line;

typedef struct {
	arena memory;
	stats_line *lines; /* the first is the sum of all */
	size_t count, room;
} stats_table;

static stats_line *stats_find(stats_table *t, int64_t id)
{
	size_t i;

	for (i = 1; i < t->count; i++)
		if (t->lines[i].id == id)
			return &t->lines[i];
	return &t->lines[0];
}

static stats_line *stats_append(stats_table *t)
{
	if (t->count == t->room) {
		size_t room = t->room ? t->room * 2 : 16;
		stats_line *grown = memory_resize(t->lines, room * sizeof *grown);

		if (!grown)
			return NULL;
		t->lines = grown;
		t->room = room;
	}
	memset(&t->lines[t->count], 0, sizeof *t->lines);
	return &t->lines[t->count++];
}

static int32_t stats_endpoints(stats_table *t, db *d, knocker_error *error)
{
	query *q;
	int32_t rc = stats_append(t) ? db_query(d, STMT_stats_endpoints, NO_VALUES, &q, error)
	                             : fail_memory(error);

	if (!t->count)
		return rc;
	for (; rc == 0; rc = db_next(q, error)) {
		stats_line *line = stats_append(t);

		if (!line || !arena_copy(&t->memory, db_text(q, 1), &line->name)) {
			rc = fail_memory(error);
			break;
		}
		line->id = db_int(q, 0);
		line->orphans = db_int(q, 2);
		line->orphan_bytes = db_int(q, 3);
		line->dropped = db_int(q, 4);
	}
	db_done(q);
	return rc < 0 ? rc : 0;
}

static int32_t stats_queue(stats_table *t, db *d, int64_t now_ms, knocker_error *error)
{
	query *q;
	int32_t rc = db_query(d, STMT_stats_queue, VALUES(INT(now_ms)), &q, error);

	for (; rc == 0; rc = db_next(q, error)) {
		stats_line *line = stats_find(t, db_int(q, 0));

		line->queued += db_int(q, 1);
		line->due += db_int(q, 2);
		if (!db_null(q, 3) && (line->oldest_ms == 0 || db_int(q, 3) < line->oldest_ms))
			line->oldest_ms = db_int(q, 3);
		line->processing += db_int(q, 4);
	}
	db_done(q);
	return rc < 0 ? rc : 0;
}

static int32_t stats_rare(stats_table *t, db *d, knocker_error *error)
{
	query *q;
	int32_t rc = db_query(d, STMT_stats_rare, NO_VALUES, &q, error);

	for (; rc == 0; rc = db_next(q, error)) {
		stats_line *line = stats_find(t, db_int(q, 0));
		knocker_bytes status = db_text(q, 1);
		int64_t *count = bytes_is(status, "failed") ? &line->failed
		                 : bytes_is(status, "dead") ? &line->dead
		                                            : &line->ignored;

		*count += db_int(q, 2);
	}
	db_done(q);
	return rc < 0 ? rc : 0;
}

static void stats_sum(stats_table *t)
{
	stats_line *all = &t->lines[0];
	size_t i;

	for (i = 1; i < t->count; i++) {
		const stats_line *line = &t->lines[i];

		all->queued += line->queued;
		all->due += line->due;
		all->processing += line->processing;
		all->failed += line->failed;
		all->dead += line->dead;
		all->ignored += line->ignored;
		all->orphans += line->orphans;
		all->orphan_bytes += line->orphan_bytes;
		all->dropped += line->dropped;
		if (line->oldest_ms && (!all->oldest_ms || line->oldest_ms < all->oldest_ms))
			all->oldest_ms = line->oldest_ms;
	}
}

static int32_t stats_rows(const stats_table *t, int64_t now_ms, int64_t handled, int64_t redated,
                          knocker_rows *rows, knocker_error *error)
{
	int32_t rc = 0;
	size_t i;

	for (i = 0; rc == 0 && i < t->count; i++) {
		const stats_line *s = &t->lines[i];
		int64_t age = s->oldest_ms && s->oldest_ms <= now_ms ? (now_ms - s->oldest_ms) / 1000 : -1;

		rc = rows_add(rows,
		              (const knocker_value[]){TEXT(s->name), INT(s->queued), INT(s->due),
		                                      age < 0 ? NONE : INT(age), INT(s->processing),
		                                      INT(s->failed), INT(s->dead), INT(s->ignored),
		                                      i == 0 ? INT(handled) : NONE, INT(s->orphans),
		                                      INT(s->orphan_bytes), INT(s->dropped),
		                                      i == 0 ? INT(redated) : NONE},
		              error);
	}
	return rc;
}

int32_t look_stats(inbox *in, db *d, knocker_rows **out, knocker_error *error)
{
	stats_table t = {0};
	int64_t handled = 0, redated = 0, now_ms = inbox_now_ms(in);
	int32_t rc = stats_endpoints(&t, d, error);

	*out = NULL;
	if (rc == 0)
		rc = stats_queue(&t, d, now_ms, error);
	if (rc == 0)
		rc = stats_rare(&t, d, error);
	if (rc == 0)
		rc = db_int_of(d, STMT_stats_jobs, NO_VALUES, 0, &handled, error);
	if (rc == 0)
		rc = db_int_of(d, STMT_meta_get, VALUES(TEXT(bytes_of("redated"))), 0, &redated, error);
	if (rc == 0)
		rc = rows_new(
			"endpoint, queued, due, oldest_due_age_s, processing, failed, dead, ignored, handled, orphans, orphan_bytes, "
			"orphans_dropped, redated",
			out, error);
	if (rc == 0) {
		stats_sum(&t);
		rc = stats_rows(&t, now_ms, handled, redated, *out, error);
	}
	memory_free(t.lines);
	arena_free(&t.memory);
	return rc;
}
