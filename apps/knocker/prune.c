/* The command prune: many small transactions in place of a large one, so that receiving goes on.
 * What may be deleted is the library's rule. */
#include <string.h>
#include <time.h>

#include "commands.h"
#include "database.h"
#include "print.h"
#include "progress.h"

#define SLICE_FIRST 200
#define SLICE_LEAST 50
#define SLICE_MOST 20000
#define SLICE_MS 100     /* how long a slice may keep receipts waiting, about */
#define SLICE_PAUSE_MS 2 /* between two, so that whoever waits comes first */

typedef struct {
	const options *o;
	knocker *k;
	bool orphans;
	text statuses; /* JSON; empty: the library's own choice */
	int64_t events, attempts, deliveries, live_jobs;
} pruner;

static int32_t prune_call(pruner *p, int64_t limit, bool dry_run, int64_t *pruned,
                          knocker_error *error)
{
	knocker_prune how = {.size = sizeof how,
	                     .statuses_json = {p->statuses.data, (int64_t)p->statuses.len},
	                     .older_than_s = p->o->older_than_s,
	                     .limit = limit,
	                     .dry_run = dry_run};
	knocker_rows *rows = NULL;
	int32_t rc = p->orphans ? knocker_prune_orphan_deliveries(p->k, &how, &rows, error)
	                        : knocker_prune_events(p->k, &how, &rows, error);

	if (rc == 0 && knocker_rows_next(rows) == 0) {
		*pruned = print_value(rows, p->orphans ? "deliveries_pruned" : "events_pruned").integer;
		p->events += print_value(rows, "events_pruned").integer;
		p->attempts += print_value(rows, "attempts_pruned").integer;
		p->deliveries += print_value(rows, "deliveries_pruned").integer;
		p->live_jobs += print_value(rows, "live_jobs_pruned").integer;
	}
	knocker_rows_free(rows);
	return rc;
}

/* What was measured of the last slice says how large the next may be. */
static int64_t slice_next(int64_t slice, int64_t took_ms)
{
	int64_t next = took_ms < 1 ? slice * 4 : slice * SLICE_MS / took_ms;

	if (next > slice * 4)
		next = slice * 4;
	return next < SLICE_LEAST ? SLICE_LEAST : next > SLICE_MOST ? SLICE_MOST : next;
}

static int prune_slices(pruner *p, int64_t total)
{
	struct timespec pause = {.tv_nsec = SLICE_PAUSE_MS * 1000000L};
	progress far = {.doing = p->orphans ? "orphans pruned:" : "events pruned:", .total = total};
	int64_t slice = SLICE_FIRST, done = 0, pruned;
	knocker_error error = {0};

	do {
		int64_t start_ms = progress_clock_ms();

		if (p->o->limit > 0 && slice > p->o->limit - done)
			slice = p->o->limit - done;
		pruned = 0;
		if (prune_call(p, slice, false, &pruned, &error) < 0) {
			progress_end(&far);
			return complain_error(&error);
		}
		done += pruned;
		progress_show(&far, done);
		if (pruned < slice || done == p->o->limit)
			break;
		slice = slice_next(slice, progress_clock_ms() - start_ms);
		nanosleep(&pause, NULL);
	} while (true);
	progress_end(&far);
	return EXIT_DONE;
}

static void prune_say(const pruner *p, bool dry_run)
{
	const char *would = dry_run ? "would be pruned" : "pruned";

	if (p->o->json == 1 && p->orphans)
		printf("{\"dry_run\":%s,\"deliveries_pruned\":%lld}\n", dry_run ? "true" : "false",
		       (long long)p->deliveries);
	else if (p->o->json == 1)
		printf("{\"dry_run\":%s,\"events_pruned\":%lld,\"attempts_pruned\":%lld,"
		       "\"deliveries_pruned\":%lld,\"live_jobs_pruned\":%lld}\n",
		       dry_run ? "true" : "false", (long long)p->events, (long long)p->attempts,
		       (long long)p->deliveries, (long long)p->live_jobs);
	else if (p->orphans)
		printf("%lld orphans %s\n", (long long)p->deliveries, would);
	else
		printf("%lld events %s, with %lld deliveries and %lld attempts\n", (long long)p->events,
		       would, (long long)p->deliveries, (long long)p->attempts);
}

static void prune_question(const pruner *p, int64_t count, text *out)
{
	knocker_value before = {.type = KNOCKER_INTEGER, .integer = p->o->older_than_s};

	text_print(out, "%lld %s%s%s received before ", (long long)count,
	           p->o->status != NULL ? p->o->status : "", p->o->status != NULL ? " " : "",
	           p->orphans ? "orphans" : "events");
	print_shown(out, before, SHOW_TIME);
	text_puts(out, " would be deleted for good.");
}

/* Counts first: for the question, and for how far it is. */
static int prune_count_and_go(pruner *p)
{
	knocker_error error = {0};
	text question = {0};
	progress far = {.doing = "counting"};
	int64_t count = 0;
	int32_t rc;
	int code;

	progress_show(&far, -1);
	rc = prune_call(p, p->o->limit, true, &count, &error);
	progress_end(&far);
	if (rc < 0)
		return complain_error(&error);
	if (p->o->dry_run == 1 || count == 0) {
		prune_say(p, p->o->dry_run == 1);
		return EXIT_DONE;
	}
	prune_question(p, count, &question);
	code = progress_ask(p->o->yes == 1, question.data);
	text_free(&question);
	if (code != EXIT_DONE)
		return code;
	p->events = p->attempts = p->deliveries = p->live_jobs = 0;
	code = prune_slices(p, count);
	prune_say(p, false);
	return code;
}

int prune_run(const options *o)
{
	pruner p = {.o = o, .orphans = strcmp(o->words[1], "orphans") == 0};
	int code;

	if (!p.orphans && strcmp(o->words[1], "events") != 0)
		return complain(EXIT_USAGE, "'%.60s' cannot be pruned: events and orphans can",
		                o->words[1]);
	if (o->older_than_s == 0)
		return complain(EXIT_USAGE, "how old? knocker prune %s --older-than 30d", o->words[1]);
	if (p.orphans && o->status != NULL)
		return complain(EXIT_USAGE, "--status: orphans have no status");
	if (o->status != NULL) {
		text_puts(&p.statuses, "[");
		text_json(&p.statuses, o->status, strlen(o->status));
		text_puts(&p.statuses, "]");
	}
	code = database_open(o, &p.k);
	if (code == EXIT_DONE)
		code = database_close(p.k, prune_count_and_go(&p));
	text_free(&p.statuses);
	return code;
}
