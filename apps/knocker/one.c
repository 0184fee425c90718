/* The commands that show one thing with all that belongs to it: an event, a delivery, why an event
 * is where it is. Rows and their rules are the library's. */
#include <stdio.h>
#include <string.h>

#include "commands.h"
#include "database.h"
#include "look.h"

#define LIST_MOST 1000
#define LIST_SHOWN 20          /* of an event's attempts and deliveries, to people */
#define BODY_SHOWN (16 * 1024) /* bytes of a body on a terminal */

static const column event_record[] = {
	{"endpoint", "endpoint", SHOW_TEXT, KEEP},
	{"event_type", "type", SHOW_TEXT, KEEP},
	{"status", "status", SHOW_STATUS, KEEP},
	{"attempt_count", "attempts", SHOW_PLAIN, KEEP},
	{"last_error", "last error", SHOW_TEXT, KEEP},
	{"received_at", "received", SHOW_TIME, KEEP},
	{"handled_at", "handled", SHOW_TIME, KEEP},
	{"provider_event_id", "event id", SHOW_TEXT, KEEP},
	{"provider_delivery_id", "delivery id", SHOW_TEXT, KEEP},
	{"dedupe_key", "dedupe key", SHOW_TEXT, KEEP},
};

static const column delivery_record[] = {
	{"endpoint", "endpoint", SHOW_TEXT, KEEP},
	{"event_type", "type", SHOW_TEXT, KEEP},
	{"signature_valid", "signature", SHOW_SIGNATURE, KEEP},
	{"signature_error", "why not", SHOW_TEXT, KEEP},
	{"event_id", "event", SHOW_PLAIN, KEEP},
	{"received_at", "received", SHOW_TIME, KEEP},
	{"provider_event_id", "event id", SHOW_TEXT, KEEP},
	{"provider_delivery_id", "delivery id", SHOW_TEXT, KEEP},
	{"dedupe_key", "dedupe key", SHOW_TEXT, KEEP},
	{"method", "method", SHOW_TEXT, KEEP},
};

static const column attempt_columns[] = {
	{"attempted_at", "attempted", SHOW_TIME, KEEP},
	{"outcome", "outcome", SHOW_STATUS, KEEP},
	{"duration_ms", "ms", SHOW_PLAIN, KEEP},
	{"error", "error", SHOW_TEXT, KEEP},
};

static const column why_record[] = {
	{"status", "status", SHOW_STATUS, KEEP},
	{"cause", "cause", SHOW_TEXT, KEEP},
	{"due_at", "due", SHOW_TIME, KEEP},
	{"worker_id", "worker", SHOW_TEXT, KEEP},
	{"lease_until", "lease until", SHOW_TIME, KEEP},
	{"attempt_count", "attempts", SHOW_PLAIN, KEEP},
	{"last_error", "last error", SHOW_TEXT, KEEP},
	{"orphan_delivery_id", "refused twin", SHOW_PLAIN, KEEP},
	{"orphan_error", "its error", SHOW_TEXT, KEEP},
};

/* An event with its attempts and deliveries: three reads, each of rows of their own. */
typedef struct {
	knocker_rows *event, *attempts, *deliveries;
} dossier;

static int32_t dossier_read(knocker *k, const options *o, dossier *d, knocker_error *error)
{
	knocker_filter filter = {.size = sizeof filter,
	                         .kind = KNOCKER_ATTEMPT,
	                         .limit = o->json == 1 ? LIST_MOST : LIST_SHOWN,
	                         .event_id = o->id,
	                         .without_body = 1};
	int32_t rc = knocker_get(k, KNOCKER_EVENT, o->id, &d->event, error);

	if (rc == 0)
		rc = knocker_list(k, &filter, &d->attempts, error);
	filter.kind = KNOCKER_DELIVERY;
	if (rc == 0)
		rc = knocker_list(k, &filter, &d->deliveries, error);
	if (rc == 0)
		knocker_rows_next(d->event);
	return rc;
}

static void dossier_json_list(text *out, const char *name, knocker_rows *rows)
{
	const char *comma = "";

	text_print(out, ",\"%s\":[", name);
	while (knocker_rows_next(rows) == 0) {
		text_puts(out, comma);
		print_json_row(out, rows, false);
		comma = ",";
	}
	text_puts(out, "]");
}

static void dossier_json(dossier *d)
{
	text line = {0};

	print_json_row(&line, d->event, true);
	line.len--; /* reopens the object: the lists are members of it */
	dossier_json_list(&line, "attempts", d->attempts);
	dossier_json_list(&line, "deliveries", d->deliveries);
	text_puts(&line, "}");
	print_line(&line);
}

static void one_block(const char *heading, knocker_value stored)
{
	if (stored.type != KNOCKER_TEXT || stored.bytes.len <= 2)
		return; /* {}: there were none */
	print_heading(heading);
	print_json_block(stored.bytes.data, (size_t)stored.bytes.len);
}

/* What an event and a delivery have in common: the record, headers, query and body. */
static void one_print(const knocker_rows *rows, const char *kind, int64_t id, const column *record,
                      int32_t count)
{
	knocker_value body = print_value(rows, "body");
	char heading[40];

	snprintf(heading, sizeof heading, "%s %lld", kind, (long long)id);
	print_heading(heading);
	print_record(rows, record, count);
	one_block("headers", print_value(rows, "headers_json"));
	one_block("query", print_value(rows, "query_json"));
	print_heading("body");
	if (body.type == KNOCKER_NULL)
		printf("  not kept\n");
	else
		print_body(body.bytes.data, (size_t)body.bytes.len, BODY_SHOWN);
}

static int one_raw(const knocker_rows *rows, const options *o)
{
	knocker_value body = print_value(rows, "body");

	if (body.type == KNOCKER_NULL)
		return complain(EXIT_MISSING, "the body of %s %lld was not kept", o->words[0],
		                (long long)o->id);
	fwrite(body.bytes.data, 1, (size_t)body.bytes.len, stdout);
	return EXIT_DONE;
}

static void dossier_list(knocker_rows *rows, const char *heading, const column *columns,
                         int32_t count, const char *more)
{
	int64_t printed;

	print_heading(heading);
	printed = print_table(rows, columns, count, NULL);
	if (printed == 0)
		printf("none\n");
	if (printed == LIST_SHOWN)
		printf("there may be more%s\n", more);
}

static void dossier_print(dossier *d, int64_t id)
{
	char more[80];

	snprintf(more, sizeof more, ": knocker deliveries --event %lld", (long long)id);
	one_print(d->event, "event", id, event_record, COUNT(event_record));
	dossier_list(d->attempts, "attempts, newest first", attempt_columns, COUNT(attempt_columns),
	             ": --json");
	dossier_list(d->deliveries, "deliveries, newest first", delivery_columns, DELIVERY_COLUMNS,
	             more);
}

int one_event(const options *o)
{
	knocker_error error = {0};
	knocker *k = NULL;
	dossier d = {0};
	int code = database_open(o, &k);

	if (code != EXIT_DONE)
		return code;
	if (dossier_read(k, o, &d, &error) < 0)
		code = database_complain(k, o->id, &error);
	else if (o->raw == 1)
		code = one_raw(d.event, o);
	else if (o->json == 1)
		dossier_json(&d);
	else
		dossier_print(&d, o->id);
	knocker_rows_free(d.event);
	knocker_rows_free(d.attempts);
	knocker_rows_free(d.deliveries);
	return database_close(k, code);
}

int one_delivery(const options *o)
{
	knocker_error error = {0};
	knocker_rows *rows = NULL;
	knocker *k = NULL;
	int code = database_open(o, &k);

	if (code != EXIT_DONE)
		return code;
	if (knocker_get(k, KNOCKER_DELIVERY, o->id, &rows, &error) < 0)
		code = complain_error(&error);
	else if (o->json == 1)
		print_json_lines(rows, true);
	else if (knocker_rows_next(rows) == 0 && o->raw == 1)
		code = one_raw(rows, o);
	else
		one_print(rows, "delivery", o->id, delivery_record, COUNT(delivery_record));
	knocker_rows_free(rows);
	return database_close(k, code);
}

/* The library's sentence names moments as the API does, in Unix seconds; a person reads a date. */
static void why_sentence(text *out, const knocker_rows *rows)
{
	knocker_value sentence = print_value(rows, "sentence");
	const char *at = sentence.bytes.data, *end = at + sentence.bytes.len, *found = NULL;
	knocker_value moment = print_value(rows, "due_at");
	char digits[24];

	if (moment.type != KNOCKER_INTEGER)
		moment = print_value(rows, "lease_until");
	if (moment.type == KNOCKER_INTEGER) {
		snprintf(digits, sizeof digits, "%lld", (long long)moment.integer);
		found = memmem(at, (size_t)(end - at), digits, strlen(digits));
	}
	if (found != NULL) {
		text_show(out, at, (size_t)(found - at), false);
		print_shown(out, moment, SHOW_TIME);
		at = found + strlen(digits);
	}
	text_show(out, at, (size_t)(end - at), false);
}

int one_why(const options *o)
{
	knocker_error error = {0};
	knocker_rows *rows = NULL;
	knocker *k = NULL;
	int code = database_open(o, &k);

	if (code != EXIT_DONE)
		return code;
	if (knocker_why(k, o->id, &rows, &error) < 0) {
		code = database_complain(k, o->id, &error);
	} else if (o->json == 1) {
		print_json_lines(rows, true);
	} else if (knocker_rows_next(rows) == 0) {
		text sentence = {0};
		why_sentence(&sentence, rows);
		print_line(&sentence);
		print_record(rows, why_record, COUNT(why_record));
	}
	knocker_rows_free(rows);
	return database_close(k, code);
}
