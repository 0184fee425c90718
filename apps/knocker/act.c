/* The commands that change one thing: an inbox made, an event moved, an endpoint paused. Which
 * status allows what is the library's rule; here is only what is said afterwards. */
#include <string.h>

#include "bulk.h"
#include "commands.h"
#include "database.h"
#include "print.h"

/* ---- the inbox ---- */

static int init_say(const options *o, knocker *k, bool made)
{
	static const char sql[] = "select value from _knocker_meta where key = 'schema'";
	knocker_error error = {0};
	knocker_rows *rows = NULL;
	text line = {0};
	long long schema;

	if (knocker_read(k, bytes_of(sql), NULL, 0, &rows, &error) < 0)
		return complain_error(&error);
	knocker_rows_next(rows);
	schema = (long long)print_value(rows, "value").integer;
	knocker_rows_free(rows);
	if (o->json == 1) {
		text_puts(&line, "{\"db\":");
		text_json(&line, database_path(o), strlen(database_path(o)));
		text_print(&line, ",\"created\":%s,\"schema\":%lld}", made ? "true" : "false", schema);
	} else {
		text_show(&line, database_path(o), strlen(database_path(o)), false);
		text_print(&line, " %s an inbox, schema %lld", made ? "now has" : "already has", schema);
	}
	print_line(&line);
	return EXIT_DONE;
}

int act_init(const options *o)
{
	knocker_open_options how = {.size = sizeof how,
	                            .path = bytes_of(database_path(o)),
	                            .max_readers = 1,
	                            .existing = 1};
	knocker_error error = {0};
	knocker *k = NULL;
	bool made = false;

	if (knocker_open(&how, &k, &error) < 0) {
		how.existing = 0;
		made = true;
		if (knocker_open(&how, &k, &error) < 0)
			return complain_error(&error);
	}
	return database_close(k, init_say(o, k, made));
}

/* ---- one event, or many ---- */

static int32_t act_call_ignore(knocker *k, const options *o, int64_t id, knocker_error *error)
{
	return knocker_ignore(k, id, bytes_of(o->reason), error);
}

static int32_t act_call_replay(knocker *k, const options *o, int64_t id, knocker_error *error)
{
	(void)o;
	return knocker_replay(k, id, error);
}

static int32_t act_call_requeue(knocker *k, const options *o, int64_t id, knocker_error *error)
{
	(void)o;
	return knocker_requeue(k, id, error);
}

static int32_t act_call_replay_delivery(knocker *k, const options *o, int64_t id,
                                        knocker_error *error)
{
	(void)o;
	return knocker_replay_delivery(k, id, error);
}

/* Acts, then reads it again, so that what is printed is what is in the file. */
static int act_on_one(const options *o, act_call *call, int32_t kind, const char *done)
{
	knocker_error error = {0};
	knocker_rows *rows = NULL;
	knocker *k = NULL;
	int code = database_open(o, &k);

	if (code != EXIT_DONE)
		return code;
	if (call(k, o, o->id, &error) < 0 || knocker_get(k, kind, o->id, &rows, &error) < 0)
		code = database_complain(k, o->id, &error);
	else if (o->json == 1)
		print_json_lines(rows, false);
	else
		printf("%s %lld %s\n", kind == KNOCKER_EVENT ? "event" : "delivery", (long long)o->id,
		       done);
	knocker_rows_free(rows);
	return database_close(k, code);
}

static int act_on_events(const options *o, const bulk *many, const char *done)
{
	if (o->id == 0)
		return bulk_run(o, many);
	if ((o->seen & OPTIONS_BULK) != 0)
		return complain(EXIT_USAGE, "give an ID, or filters; not both");
	return act_on_one(o, many->call, KNOCKER_EVENT, done);
}

int act_ignore(const options *o)
{
	static const bulk many = {act_call_ignore, "be ignored", "ignored"};

	return act_on_events(o, &many, "is ignored: no handler will be called for it");
}

int act_replay(const options *o)
{
	static const bulk many = {act_call_replay, "run again", "queued again"};

	return act_on_events(o, &many,
	                     "is queued again: a worker will run its handler with its own body");
}

int act_requeue(const options *o)
{
	static const bulk many = {act_call_requeue, "be queued again", "queued again"};

	return act_on_events(o, &many, "is queued again");
}

int act_replay_delivery(const options *o)
{
	return act_on_one(o, act_call_replay_delivery, KNOCKER_DELIVERY,
	                  "is queued: a worker will run its event's handler with this body");
}

/* ---- endpoints ---- */

static int endpoint_say(const options *o, knocker *k, bool paused)
{
	static const char sql[] = "select * from knocker_endpoints where name = ?1";
	knocker_value name = {.type = KNOCKER_TEXT, .bytes = bytes_of(o->words[1])};
	knocker_error error = {0};
	knocker_rows *rows = NULL;
	text line = {0};

	if (o->json == 0) {
		text_puts(&line, "endpoint ");
		text_show(&line, o->words[1], strlen(o->words[1]), false);
		text_puts(&line, paused ? " is paused: requests are received and wait in the queue"
		                        : " is resumed: workers handle its events");
		print_line(&line);
		return EXIT_DONE;
	}
	if (knocker_read(k, bytes_of(sql), &name, 1, &rows, &error) < 0)
		return complain_error(&error);
	print_json_lines(rows, false);
	knocker_rows_free(rows);
	return EXIT_DONE;
}

static int endpoint_set(const options *o, bool paused)
{
	knocker_error error = {0};
	knocker *k = NULL;
	int code = database_open(o, &k);

	if (code != EXIT_DONE)
		return code;
	if (knocker_endpoint_pause(k, bytes_of(o->words[1]), paused, &error) < 0)
		code = complain_error(&error);
	else
		code = endpoint_say(o, k, paused);
	return database_close(k, code);
}

int act_pause(const options *o)
{
	return endpoint_set(o, true);
}

int act_resume(const options *o)
{
	return endpoint_set(o, false);
}
