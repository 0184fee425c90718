/* The table at the end of a run: what was sent, how it was answered, how long answers took, and
 * what the inbox holds of it. Judges answers; changes nothing. */
#include <stdlib.h>
#include <string.h>

#include "emulate.h"
#include "print.h"

#define STATUS_COUNT 1000

static const char *const kind_names[SENT_KINDS] = {"events", "repeats", "forged", "late",
                                                   "oversize"};

/* A server may hang up on a body that it will not read. */
bool emulate_answer_fits(const sent_request *r)
{
	bool accepted = r->status >= 200 && r->status < 300;

	switch (r->kind) {
	case SENT_FORGED:
		return r->status >= 400 && r->status < 500;
	case SENT_LATE:
		return r->valid ? accepted : r->status >= 400 && r->status < 500;
	case SENT_OVERSIZE:
		return r->status < 500;
	default:
		return accepted;
	}
}

static int say_order(const void *a, const void *b)
{
	uint32_t first = *(const uint32_t *)a, second = *(const uint32_t *)b;

	return (first > second) - (first < second);
}

static const struct {
	const char *name;
	size_t per_mille;
} percentiles[] = {{"p50", 500}, {"p90", 900}, {"p99", 990}, {"p99.9", 999}, {"max", 1000}};

/* Of all answers, in ms, in the order of `percentiles`; false when there was none. */
static bool say_latencies(const emulation *e, double *out)
{
	uint32_t *all = memory_new(e->count * sizeof *all);
	size_t i, at, count = 0;

	for (i = 0; i < e->count; i++) {
		if (e->requests[i].status > 0)
			all[count++] = e->requests[i].latency_us;
	}
	qsort(all, count, sizeof *all, say_order);
	for (i = 0; count > 0 && i < (size_t)COUNT(percentiles); i++) {
		at = (count * percentiles[i].per_mille + 999) / 1000;
		out[i] = all[at > 0 ? at - 1 : 0] / 1000.0;
	}
	free(all);
	return count > 0;
}

typedef struct {
	int64_t sent[SENT_KINDS], unfit[SENT_KINDS];
	int64_t status[SENT_KINDS][STATUS_COUNT];
	int64_t all, unfits;
} tally;

static tally *say_count(const emulation *e)
{
	tally *t = memory_new(sizeof *t);
	size_t i;

	for (i = 0; i < e->count; i++) {
		const sent_request *r = &e->requests[i];

		if (!r->sent)
			continue;
		t->all++;
		t->sent[r->kind]++;
		t->status[r->kind][r->status % STATUS_COUNT]++;
		if (!emulate_answer_fits(r)) {
			t->unfit[r->kind]++;
			t->unfits++;
		}
	}
	return t;
}

/* ---- for people ---- */

static void say_kind(const tally *t, int kind)
{
	text line = {0};
	int status;

	text_print(&line, "  %-10s %8lld  ", kind_names[kind], (long long)t->sent[kind]);
	for (status = 0; status < STATUS_COUNT; status++) {
		if (t->status[kind][status] == 0)
			continue;
		if (status == 0)
			text_print(&line, "no answer: %lld  ", (long long)t->status[kind][0]);
		else
			text_print(&line, "%d: %lld  ", status, (long long)t->status[kind][status]);
	}
	if (t->unfit[kind] > 0)
		text_print(&line, "%s%lld not as it should be%s", print_colour(SHOW_SIGNATURE, "invalid"),
		           (long long)t->unfit[kind], print_plain());
	while (line.data[line.len - 1] == ' ')
		line.len--;
	print_line(&line);
}

static void say_table(const emulation *e, const tally *t)
{
	double latencies[COUNT(percentiles)] = {0};
	text line = {0};
	int i;

	text_print(&line, "%-12s %8lld  in %.1f s, %.0f a second; seed %llu", "sent", (long long)t->all,
	           e->seconds, e->seconds > 0 ? (double)t->all / e->seconds : 0,
	           (unsigned long long)e->seed);
	print_line(&line);
	for (i = 0; i < SENT_KINDS; i++) {
		if (t->sent[i] > 0)
			say_kind(t, i);
	}
	if (!say_latencies(e, latencies))
		return;
	text_print(&line, "%-12s", "latency");
	for (i = 0; i < COUNT(percentiles); i++)
		text_print(&line, "%s%s %.1f ms", i > 0 ? ", " : " ", percentiles[i].name, latencies[i]);
	print_line(&line);
}

static bool say_check_good(const inbox_check *c)
{
	return c->lost + c->doubled + c->accepted + c->missing == 0;
}

static void say_check(const inbox_check *c)
{
	bool good = say_check_good(c);
	text line = {0};

	text_print(&line, "%-12s ", "check");
	if (good) {
		text_print(&line, "%snothing lost, nothing doubled%s",
		           print_colour(SHOW_SIGNATURE, "valid"), print_plain());
	} else {
		text_print(&line, "%s%lld lost, %lld doubled, %lld stored too often%s",
		           print_colour(SHOW_SIGNATURE, "invalid"), (long long)c->lost,
		           (long long)c->doubled, (long long)c->accepted, print_plain());
		if (c->missing > 0)
			text_print(&line, ", %lld refused ones not on record", (long long)c->missing);
	}
	text_print(&line, ": %lld events, %lld deliveries, %lld refused on record",
	           (long long)c->events, (long long)c->deliveries, (long long)c->refused);
	print_line(&line);
	if (c->faults.len > 0)
		fwrite(c->faults.data, 1, c->faults.len, stdout);
	if (c->fault_count > 10)
		printf("... and %lld more\n", (long long)c->fault_count - 10);
}

/* ---- for programs ---- */

static void say_json_statuses(text *line, const tally *t, int kind)
{
	const char *comma = "";
	int status;

	text_print(line, "\"%s\":{\"sent\":%lld,\"unexpected\":%lld,\"status\":{", kind_names[kind],
	           (long long)t->sent[kind], (long long)t->unfit[kind]);
	for (status = 0; status < STATUS_COUNT; status++) {
		if (t->status[kind][status] == 0)
			continue;
		text_print(line, "%s\"%d\":%lld", comma, status, (long long)t->status[kind][status]);
		comma = ",";
	}
	text_puts(line, "}}");
}

static void say_json_check(text *line, const inbox_check *c)
{
	const char *at = c->faults.data, *end, *comma = "";

	text_print(line,
	           ",\"check\":{\"good\":%s,\"events\":%lld,\"deliveries\":%lld,\"refused\":%lld,"
	           "\"lost\":%lld,\"doubled\":%lld,\"too_often\":%lld,\"refused_missing\":%lld,"
	           "\"faults\":[",
	           say_check_good(c) ? "true" : "false", (long long)c->events, (long long)c->deliveries,
	           (long long)c->refused, (long long)c->lost, (long long)c->doubled,
	           (long long)c->accepted, (long long)c->missing);
	for (; at != NULL && (end = strchr(at, '\n')) != NULL; at = end + 1) {
		text_puts(line, comma);
		text_json(line, at, (size_t)(end - at));
		comma = ",";
	}
	text_puts(line, "]}");
}

static void say_json(const emulation *e, const tally *t, const inbox_check *c)
{
	double latencies[COUNT(percentiles)] = {0};
	text line = {0};
	int i;

	text_print(&line, "{\"sent\":%lld,\"seconds\":%.3f,\"seed\":%llu", (long long)t->all,
	           e->seconds, (unsigned long long)e->seed);
	for (i = 0; i < SENT_KINDS; i++) {
		text_puts(&line, ",");
		say_json_statuses(&line, t, i);
	}
	text_puts(&line, ",\"latency_ms\":{");
	if (say_latencies(e, latencies)) {
		for (i = 0; i < COUNT(percentiles); i++)
			text_print(&line, "%s\"%s\":%.3f", i > 0 ? "," : "", percentiles[i].name, latencies[i]);
	}
	text_puts(&line, "}");
	if (c != NULL)
		say_json_check(&line, c);
	text_puts(&line, "}");
	print_line(&line);
}

bool emulate_say(const emulation *e, const inbox_check *c)
{
	tally *t = say_count(e);
	bool good = t->unfits == 0 && (c == NULL || say_check_good(c));

	if (e->o->json == 1) {
		say_json(e, t, c);
	} else {
		say_table(e, t);
		if (c != NULL)
			say_check(c);
	}
	free(t);
	return good;
}
