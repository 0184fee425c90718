/* The commands that move one event. Which status allows what is the library's rule; here is only
 * what is said afterwards. */
#include "print.h"

#include <stdio.h>
#include <string.h>

typedef int32_t act_call(knocker *k, const options *o, knocker_error *error);

static int32_t act_call_ignore(knocker *k, const options *o, knocker_error *error)
{
	return knocker_ignore(k, o->id, bytes_of(o->reason), error);
}

static int32_t act_call_replay(knocker *k, const options *o, knocker_error *error)
{
	return knocker_replay(k, o->id, error);
}

static int32_t act_call_requeue(knocker *k, const options *o, knocker_error *error)
{
	return knocker_requeue(k, o->id, error);
}

/* Acts, then reads the event again, so that what is printed is what is in the file. */
static int act_on_event(const options *o, act_call *call, const char *done)
{
	knocker_error error = {0};
	knocker_rows *rows = NULL;
	knocker *k = NULL;
	int code = database_open(o, &k);

	if (code != EXIT_DONE)
		return code;
	if (call(k, o, &error) < 0 || knocker_get(k, KNOCKER_EVENT, o->id, &rows, &error) < 0) {
		code = complain_error(&error);
	} else if (o->json == 1) {
		print_json_lines(rows, false);
	} else {
		printf("event %lld %s\n", (long long)o->id, done);
	}
	knocker_rows_free(rows);
	return database_close(k, code);
}

int act_ignore(const options *o)
{
	return act_on_event(o, act_call_ignore, "is ignored: no handler will be called for it");
}

int act_replay(const options *o)
{
	return act_on_event(o, act_call_replay,
	                    "is queued again: a worker will run its handler with its own body");
}

int act_requeue(const options *o)
{
	return act_on_event(o, act_call_requeue, "is queued again");
}
