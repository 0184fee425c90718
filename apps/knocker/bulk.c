/* One act on many events, chosen by filters. All are read before the first is touched, so that the
 * question names a number; one whose status does not allow the act is left alone and counted. */
#include "bulk.h"

#include <stdlib.h>
#include <string.h>

#include "database.h"
#include "print.h"
#include "progress.h"

#define BULK_PAGE 1000

typedef struct {
	int64_t *ids; /* newest first */
	size_t count, room;
} id_list;

static void ids_add(id_list *l, int64_t id)
{
	if (l->count == l->room) {
		size_t room = l->room * 2 + BULK_PAGE;
		int64_t *larger = memory_new(room * sizeof *larger);

		if (l->count > 0)
			memcpy(larger, l->ids, l->count * sizeof *larger);
		free(l->ids);
		l->ids = larger;
		l->room = room;
	}
	l->ids[l->count++] = id;
}

/* Reads page by page until one is empty: a page may end early for its size. */
static int32_t ids_read(knocker *k, const options *o, id_list *l, knocker_error *error)
{
	knocker_filter filter = {.size = sizeof filter,
	                         .kind = KNOCKER_EVENT,
	                         .limit = BULK_PAGE,
	                         .since_s = o->since_s,
	                         .endpoint = bytes_of(o->endpoint),
	                         .status = bytes_of(o->status),
	                         .event_type = bytes_of(o->type),
	                         .without_body = 1};
	progress far = {.doing = "counting:"};
	size_t before;
	int32_t rc;

	do {
		knocker_rows *rows = NULL;

		before = l->count;
		rc = knocker_list(k, &filter, &rows, error);
		while (rc == 0 && knocker_rows_next(rows) == 0) {
			filter.before_id = print_value(rows, "id").integer;
			ids_add(l, filter.before_id);
		}
		knocker_rows_free(rows);
		progress_show(&far, (int64_t)l->count);
	} while (rc == 0 && l->count > before);
	progress_end(&far);
	return rc;
}

static void bulk_question(const options *o, const bulk *b, int64_t count, text *out)
{
	text_print(out, "%lld %s event%s", (long long)count, o->status, count == 1 ? "" : "s");
	if (o->endpoint != NULL)
		text_print(out, " of endpoint '%.200s'", o->endpoint);
	if (o->type != NULL)
		text_print(out, ", type '%.200s'", o->type);
	if (o->since_s > 0) {
		text_puts(out, ", received since ");
		print_shown(out, (knocker_value){.type = KNOCKER_INTEGER, .integer = o->since_s},
		            SHOW_TIME);
	}
	text_print(out, " would %s.", b->would);
}

typedef struct {
	int64_t matched, done, left_alone;
	knocker_error first; /* why the first was left alone */
} bulk_counts;

static void bulk_say(const options *o, const bulk *b, const bulk_counts *c)
{
	text line = {0};

	if (o->json == 1) {
		text_print(&line, "{\"matched\":%lld,\"done\":%lld,\"left_alone\":%lld}",
		           (long long)c->matched, (long long)c->done, (long long)c->left_alone);
		print_line(&line);
		return;
	}
	text_print(&line, "%s: %lld of %lld event%s", b->done, (long long)c->done,
	           (long long)c->matched, c->matched == 1 ? "" : "s");
	if (c->left_alone > 0) {
		text_print(&line, "; %lld left alone, the first because ", (long long)c->left_alone);
		text_show(&line, c->first.text, strlen(c->first.text), false);
	}
	print_line(&line);
}

/* The oldest of the list, oldest first. */
static int bulk_act(const options *o, const bulk *b, knocker *k, const id_list *l, int64_t count)
{
	progress far = {.doing = b->done, .total = count};
	bulk_counts c = {.matched = count};
	int code = EXIT_DONE, settled;

	while (code == EXIT_DONE && c.done + c.left_alone < count) {
		int64_t id = l->ids[l->count - 1 - (size_t)(c.done + c.left_alone)];
		knocker_error error = {0};

		if (b->call(k, o, id, &error) == 0) {
			c.done++;
		} else if (error.code == KNOCKER_WRONG_STATUS || error.code == KNOCKER_UNKNOWN_EVENT) {
			if (c.left_alone++ == 0)
				c.first = error;
		} else {
			progress_end(&far);
			code = complain_error(&error);
		}
		progress_show(&far, c.done + c.left_alone);
	}
	progress_end(&far);
	settled = database_settle(o);
	code = code == EXIT_DONE ? settled : code;
	bulk_say(o, b, &c);
	return code != EXIT_DONE ? code : c.done == 0 ? EXIT_NO : EXIT_DONE;
}

static int bulk_ask(const options *o, const bulk *b, knocker *k, const id_list *l)
{
	int64_t count = (int64_t)l->count;
	text question = {0};
	int code = EXIT_DONE;

	if (o->limit > 0 && count > o->limit)
		count = o->limit;
	bulk_question(o, b, count, &question);
	if (o->dry_run == 1 && o->json == 1) {
		printf("{\"matched\":%lld}\n", (long long)count);
	} else if (o->dry_run == 1) {
		text shown = {0};

		text_show(&shown, question.data, question.len, false);
		print_line(&shown);
	} else if (count == 0) {
		fprintf(stderr, "nothing matches\n");
		if (o->json == 1)
			bulk_say(o, b, &(bulk_counts){0});
	} else {
		code = progress_ask(o->yes == 1, question.data);
		if (code == EXIT_DONE)
			code = bulk_act(o, b, k, l, count);
	}
	text_free(&question);
	return code;
}

int bulk_run(const options *o, const bulk *b)
{
	knocker_error error = {0};
	knocker *k = NULL;
	id_list l = {0};
	int code;

	if (o->status == NULL)
		return complain(EXIT_USAGE,
		                "which one? give an ID; or --status, and other filters, for many");
	code = database_open_quick(o, &k);
	if (code != EXIT_DONE)
		return code;
	if (ids_read(k, o, &l, &error) < 0)
		code = complain_error(&error);
	else
		code = bulk_ask(o, b, k, &l);
	free(l.ids);
	return database_close(k, code);
}
