/* The commands that list, and stats. Owns which columns a person sees; rows and their rules are the
 * library's. */
#include "look.h"

#include <stdio.h>

#include "commands.h"
#include "database.h"

#define LIST_DEFAULT 20 /* rows, so that the newest do not scroll away */
#define LIST_MOST 1000

static const column event_columns[] = {
	{"id", "id", SHOW_PLAIN, KEEP},
	{"received_at", "received", SHOW_TIME, KEEP},
	{"endpoint", "endpoint", SHOW_TEXT, KEEP},
	{"event_type", "type", SHOW_TEXT, KEEP},
	{"status", "status", SHOW_STATUS, KEEP},
	{"attempt_count", "attempts", SHOW_PLAIN, SPARE},
	{"last_error", "last error", SHOW_TEXT, WANTED},
	{"provider_event_id|provider_delivery_id", "provider's id", SHOW_TEXT, SPARE},
};

const column delivery_columns[DELIVERY_COLUMNS] = {
	{"id", "id", SHOW_PLAIN, KEEP},
	{"received_at", "received", SHOW_TIME, KEEP},
	{"endpoint", "endpoint", SHOW_TEXT, KEEP},
	{"event_id", "event", SHOW_PLAIN, KEEP},
	{"event_type", "type", SHOW_TEXT, SPARE},
	{"signature_valid", "signature", SHOW_SIGNATURE, KEEP},
	{"signature_error", "why not", SHOW_TEXT, KEEP},
	{"provider_event_id|provider_delivery_id", "provider's id", SHOW_TEXT, SPARE},
};

static const column audit_columns[] = {
	{"id", "id", SHOW_PLAIN, KEEP},
	{"executed_at", "executed", SHOW_TIME, KEEP},
	{"kind", "kind", SHOW_PLAIN, KEEP},
	{"events_pruned", "events", SHOW_PLAIN, KEEP},
	{"deliveries_pruned", "deliveries", SHOW_PLAIN, KEEP},
	{"attempts_pruned", "attempts", SHOW_PLAIN, KEEP},
	{"live_jobs_pruned", "live jobs", SHOW_PLAIN, SPARE},
	{"summary_json", "asked for", SHOW_TEXT, SPARE},
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
	{"title", "title", SHOW_TEXT, KEEP}, {"curated", "curated", SHOW_YES, SPARE},
};

/* Prints one list, frees its rows, and says on standard error, which scripts do not read, when
 * there is nothing or more. `filter`: NULL where there can be no more. */
static void look_print(const options *o, knocker_rows *rows, const column *columns, int32_t count,
                       const knocker_filter *filter)
{
	int64_t last_id = 0, printed;

	if (o->json == 1) {
		print_json_lines(rows, false);
	} else {
		printed = print_table(rows, columns, count, &last_id);
		fflush(stdout);
		if (printed == 0)
			fprintf(stderr, "nothing matches\n");
		else if (filter != NULL && printed == filter->limit && filter->kind == KNOCKER_ENDPOINT)
			fprintf(stderr, "there may be more\n");
		else if (filter != NULL && printed == filter->limit)
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
		look_print(o, rows, columns, count, filter);
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
	                        .audit_kind = bytes_of(o->kind),
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

	return look_list(o, &filter, delivery_columns, DELIVERY_COLUMNS);
}

int look_audits(const options *o)
{
	knocker_filter filter = look_filter(o, KNOCKER_AUDIT);

	return look_list(o, &filter, audit_columns, COUNT(audit_columns));
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

	const char *word = o->word_count > 1 ? o->words[1] : NULL;
	int64_t printed;

	if (knocker_providers(&rows, &error) < 0)
		return complain_error(&error);
	if (o->json == 1)
		printed = print_json_lines_with(rows, false, word);
	else
		printed = print_table_with(rows, provider_columns, COUNT(provider_columns), NULL, word);
	fflush(stdout);
	if (printed == 0)
		fprintf(stderr, "nothing matches\n");
	knocker_rows_free(rows);
	return EXIT_DONE;
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
		look_print(o, rows, stats_columns, COUNT(stats_columns), NULL);
	return database_close(k, code);
}
