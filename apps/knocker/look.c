/* The commands that only look: lists, one event, why, stats. Owns which columns a person sees; rows
 * and their rules are the library's. */
#include "print.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LIST_DEFAULT 20 /* rows, so that the newest do not scroll away */
#define LIST_MOST 1000
#define BODY_SHOWN (16 * 1024) /* bytes of a body on a terminal */

#define COUNT(array) ((int32_t)(sizeof(array) / sizeof((array)[0])))

static const column event_columns[] = {
	{"id", "id", SHOW_PLAIN, KEEP},
	{"received_at", "received", SHOW_TIME, KEEP},
	{"endpoint", "endpoint", SHOW_TEXT, KEEP},
	{"event_type", "type", SHOW_TEXT, KEEP},
	{"status", "status", SHOW_STATUS, KEEP},
	{"attempt_count", "attempts", SHOW_PLAIN, SPARE},
	{"last_error", "last error", SHOW_TEXT, SPARE},
	{"provider_event_id|provider_delivery_id", "provider's id", SHOW_TEXT, SPARE},
};

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

static const column delivery_columns[] = {
	{"id", "id", SHOW_PLAIN, KEEP},
	{"received_at", "received", SHOW_TIME, KEEP},
	{"endpoint", "endpoint", SHOW_TEXT, KEEP},
	{"event_id", "event", SHOW_PLAIN, KEEP},
	{"event_type", "type", SHOW_TEXT, SPARE},
	{"signature_valid", "signature", SHOW_SIGNATURE, KEEP},
	{"signature_error", "why not", SHOW_TEXT, KEEP},
	{"provider_event_id|provider_delivery_id", "provider's id", SHOW_TEXT, SPARE},
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

static const column stats_columns[] = {
	{"endpoint", "endpoint", SHOW_SCOPE, KEEP},
	{"queued", "queued", SHOW_PLAIN, KEEP},
	{"due", "due", SHOW_PLAIN, KEEP},
	{"oldest_due_age_s", "oldest s", SHOW_PLAIN, SPARE},
	{"processing", "processing", SHOW_PLAIN, KEEP},
	{"failed", "failed", SHOW_PLAIN, KEEP},
	{"dead", "dead", SHOW_PLAIN, KEEP},
	{"ignored", "ignored", SHOW_PLAIN, SPARE},
	{"handled", "handled", SHOW_PLAIN, KEEP},
	{"orphans", "refused", SHOW_PLAIN, KEEP},
	{"orphan_bytes", "bytes", SHOW_PLAIN, SPARE},
	{"orphans_dropped", "dropped", SHOW_PLAIN, SPARE},
};

static const column endpoint_columns[] = {
	{"name", "name", SHOW_TEXT, KEEP},           {"path", "path", SHOW_TEXT, KEEP},
	{"provider", "provider", SHOW_TEXT, KEEP},   {"enabled", "enabled", SHOW_YES, KEEP},
	{"paused", "paused", SHOW_YES, KEEP},        {"queue_name", "queue", SHOW_TEXT, SPARE},
	{"created_at", "created", SHOW_TIME, SPARE},
};

static const column provider_columns[] = {
	{"name", "name", SHOW_TEXT, KEEP},   {"version", "version", SHOW_PLAIN, SPARE},
	{"kind", "kind", SHOW_PLAIN, KEEP},  {"has_replay_window", "window", SHOW_YES, KEEP},
	{"title", "title", SHOW_TEXT, KEEP},
};

/* Prints one list, frees its rows, and says on standard error, which scripts do not read, when
 * there is nothing or more. */
static void look_print(const options *o, knocker_rows *rows, const column *columns, int32_t count,
                       int64_t limit)
{
	int64_t last_id = 0, printed;

	if (o->json == 1) {
		print_json_lines(rows, false);
	} else {
		printed = print_table(rows, columns, count, &last_id);
		fflush(stdout);
		if (printed == 0)
			fprintf(stderr, "nothing matches\n");
		else if (limit > 0 && printed == limit)
			fprintf(stderr, "there may be more: --before %lld\n", (long long)last_id);
	}
	knocker_rows_free(rows);
}

static int look_list(const options *o, const knocker_filter *filter, const column *columns,
                     int32_t count)
{
	knocker_error error = {0};
	knocker_rows *rows = NULL;
	knocker *k = NULL;
	int code = database_open(o, &k);

	if (code != EXIT_DONE)
		return code;
	if (knocker_list(k, filter, &rows, &error) < 0)
		code = complain_error(&error);
	else
		look_print(o, rows, columns, count, filter->kind == KNOCKER_ENDPOINT ? 0 : filter->limit);
	return database_close(k, code);
}

static knocker_filter look_filter(const options *o, int64_t kind)
{
	return (knocker_filter){.size = sizeof(knocker_filter),
	                        .kind = kind,
	                        .limit = o->limit > 0 ? o->limit : LIST_DEFAULT,
	                        .before_id = o->before,
	                        .since_s = o->since_s,
	                        .endpoint = bytes_of(o->endpoint),
	                        .status = bytes_of(o->status),
	                        .event_type = bytes_of(o->type),
	                        .event_id = o->event,
	                        .signature_valid = o->invalid == 1 ? 2 : 0,
	                        .orphaned = o->orphaned,
	                        .without_body = 1};
}

int look_events(const options *o)
{
	knocker_filter filter = look_filter(o, KNOCKER_EVENT);

	return look_list(o, &filter, event_columns, COUNT(event_columns));
}

int look_deliveries(const options *o)
{
	knocker_filter filter = look_filter(o, KNOCKER_DELIVERY);

	return look_list(o, &filter, delivery_columns, COUNT(delivery_columns));
}

int look_endpoints(const options *o)
{
	knocker_filter filter = look_filter(o, KNOCKER_ENDPOINT);

	filter.limit = o->limit > 0 ? o->limit : LIST_MOST;
	return look_list(o, &filter, endpoint_columns, COUNT(endpoint_columns));
}

int look_providers(const options *o)
{
	knocker_error error = {0};
	knocker_rows *rows = NULL;

	if (knocker_providers(&rows, &error) < 0)
		return complain_error(&error);
	look_print(o, rows, provider_columns, COUNT(provider_columns), 0);
	return EXIT_DONE;
}

/* An event with its attempts and deliveries: three reads, each of rows of their own. */
typedef struct {
	knocker_rows *event, *attempts, *deliveries;
} dossier;

static int32_t dossier_read(knocker *k, int64_t id, dossier *d, knocker_error *error)
{
	knocker_filter filter = {.size = sizeof filter,
	                         .kind = KNOCKER_ATTEMPT,
	                         .limit = LIST_MOST,
	                         .event_id = id,
	                         .without_body = 1};
	int32_t rc = knocker_get(k, KNOCKER_EVENT, id, &d->event, error);

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

static void dossier_block(const char *heading, knocker_value stored)
{
	if (stored.type != KNOCKER_TEXT || stored.bytes.len <= 2)
		return; /* {}: there were none */
	print_heading(heading);
	print_json_block(stored.bytes.data, (size_t)stored.bytes.len);
}

static void dossier_print(dossier *d, int64_t id)
{
	knocker_value body = print_value(d->event, "body");
	char heading[40];

	snprintf(heading, sizeof heading, "event %lld", (long long)id);
	print_heading(heading);
	print_record(d->event, event_record, COUNT(event_record));
	dossier_block("headers", print_value(d->event, "headers_json"));
	dossier_block("query", print_value(d->event, "query_json"));
	print_heading("body");
	print_body(body.bytes.data, (size_t)body.bytes.len, BODY_SHOWN);
	print_heading("attempts, newest first");
	if (print_table(d->attempts, attempt_columns, COUNT(attempt_columns), NULL) == 0)
		printf("none\n");
	print_heading("deliveries, newest first");
	if (print_table(d->deliveries, delivery_columns, COUNT(delivery_columns), NULL) == 0)
		printf("none\n");
}

int look_event(const options *o)
{
	knocker_error error = {0};
	knocker *k = NULL;
	dossier d = {0};
	int code = database_open(o, &k);

	if (code != EXIT_DONE)
		return code;
	if (dossier_read(k, o->id, &d, &error) < 0) {
		code = complain_error(&error);
	} else if (o->raw == 1) {
		knocker_value body = print_value(d.event, "body");
		fwrite(body.bytes.data, 1, body.bytes.data != NULL ? (size_t)body.bytes.len : 0, stdout);
	} else if (o->json == 1) {
		dossier_json(&d);
	} else {
		dossier_print(&d, o->id);
	}
	knocker_rows_free(d.event);
	knocker_rows_free(d.attempts);
	knocker_rows_free(d.deliveries);
	return database_close(k, code);
}

int look_why(const options *o)
{
	knocker_error error = {0};
	knocker_rows *rows = NULL;
	knocker *k = NULL;
	int code = database_open(o, &k);

	if (code != EXIT_DONE)
		return code;
	if (knocker_why(k, o->id, &rows, &error) < 0) {
		code = complain_error(&error);
	} else if (o->json == 1) {
		print_json_lines(rows, true);
	} else if (knocker_rows_next(rows) == 0) {
		text sentence = {0};
		print_shown(&sentence, print_value(rows, "sentence"), SHOW_TEXT);
		print_line(&sentence);
		print_record(rows, why_record, COUNT(why_record));
	}
	knocker_rows_free(rows);
	return database_close(k, code);
}

int look_stats(const options *o)
{
	knocker_error error = {0};
	knocker_rows *rows = NULL;
	knocker *k = NULL;
	int code = database_open(o, &k);

	if (code != EXIT_DONE)
		return code;
	if (knocker_stats(k, &rows, &error) < 0)
		code = complain_error(&error);
	else
		look_print(o, rows, stats_columns, COUNT(stats_columns), 0);
	return database_close(k, code);
}
