/* What the inbox holds of a run: each event once, each repeat as a delivery of it, of what was
 * refused no event. Reads the file as any operator does; what was answered it takes from the
 * run. */
#include <stdlib.h>
#include <string.h>

#include "database.h"
#include "emulate.h"
#include "print.h"

#define CHECK_PAGE 2000
#define CHECK_FAULTS 10 /* that are told one by one */

static knocker_value check_text(const char *words)
{
	return (knocker_value){.type = KNOCKER_TEXT, .bytes = bytes_of(words)};
}

static knocker_value check_number(int64_t number)
{
	return (knocker_value){.type = KNOCKER_INTEGER, .integer = number};
}

/* ---- before the run ---- */

/* One number or text of the file; null where there is none. `rows` is to be freed. */
static knocker_value check_ask(inbox_check *c, const char *sql, const knocker_value *value,
                               knocker_rows **rows)
{
	knocker_error error = {0};

	if (knocker_read(c->k, bytes_of(sql), value, value != NULL ? 1 : 0, rows, &error) == 0 &&
	    knocker_rows_next(*rows) == 0)
		return print_value(*rows, "answer");
	return (knocker_value){0};
}

/* The one that is named, else the one whose path is the URL's; else all of the file. */
static int check_endpoint(const options *o, inbox_check *c)
{
	static const char named[] = "select name as answer from knocker_endpoints where name = ?";
	static const char by_path[] = "select name as answer from knocker_endpoints where path = ?";
	const char *path = strchr(strstr(o->to, "://") + 3, '/');
	text cut = {0};
	knocker_rows *rows = NULL;
	knocker_value found, wanted;

	text_add(&cut, path != NULL ? path : "/", path != NULL ? strcspn(path, "?#") : 1);
	wanted = check_text(o->endpoint != NULL ? o->endpoint : cut.data);
	found = check_ask(c, o->endpoint != NULL ? named : by_path, &wanted, &rows);
	if (found.type == KNOCKER_TEXT)
		snprintf(c->endpoint, sizeof c->endpoint, "%.*s", (int)found.bytes.len,
		         (const char *)found.bytes.data);
	knocker_rows_free(rows);
	text_free(&cut);
	if (o->endpoint != NULL && c->endpoint[0] == '\0')
		return complain(EXIT_MISSING, "no endpoint is named '%.200s' in '%s'", o->endpoint,
		                o->check);
	return EXIT_DONE;
}

static int64_t check_dropped(inbox_check *c)
{
	knocker_rows *rows = NULL;
	int64_t dropped = 0;

	if (knocker_stats(c->k, &rows, NULL) == 0 && knocker_rows_next(rows) == 0)
		dropped = print_value(rows, "orphans_dropped").integer;
	knocker_rows_free(rows);
	return dropped;
}

int check_begin(const options *o, inbox_check *c)
{
	knocker_rows *rows = NULL;
	int code;

	c->where = *o;
	c->where.db = o->check;
	code = database_open(&c->where, &c->k);
	if (code != EXIT_DONE)
		return code;
	c->base_id = check_ask(c, "select max(id) as answer from knocker_deliveries", NULL, &rows)
	                 .integer;
	knocker_rows_free(rows);
	c->dropped = check_dropped(c);
	return check_endpoint(o, c);
}

void check_end(inbox_check *c)
{
	if (c->k != NULL)
		database_close(c->k, EXIT_DONE);
	text_free(&c->faults);
}

/* ---- what is there, by event ---- */

typedef struct {
	int64_t event_id;     /* of the first delivery; 0: nothing was found */
	uint32_t deliveries;  /* that belong to an event */
	uint32_t more_events; /* other ones */
	bool keyed;           /* the inbox knows what tells it apart */
} found_event;

typedef struct {
	const emulation *e;
	found_event *found;
	uint32_t *slots; /* a hash table of the run's events, by key or body; their number + 1 */
	size_t slot_count;
	bool bodies; /* some event has no key */
} finder;

static uint64_t finder_hash(const sent_event *event)
{
	return event->key != NULL ? plan_hash(1, event->key, strlen(event->key)) : event->print;
}

static void finder_make(finder *f, const emulation *e)
{
	size_t i, at;

	f->e = e;
	f->found = memory_new(e->event_count * sizeof *f->found);
	for (f->slot_count = 16; f->slot_count < 2 * e->event_count;)
		f->slot_count *= 2;
	f->slots = memory_new(f->slot_count * sizeof *f->slots);
	for (i = 0; i < e->event_count; i++) {
		f->bodies = f->bodies || (e->events[i].key == NULL && e->events[i].made_ms != 0);
		at = (size_t)finder_hash(&e->events[i]) & (f->slot_count - 1);
		while (f->slots[at] != 0)
			at = (at + 1) & (f->slot_count - 1);
		f->slots[at] = (uint32_t)i + 1;
	}
}

static bool finder_is(const sent_event *event, knocker_value key, uint64_t print)
{
	if (event->key == NULL)
		return event->made_ms != 0 && event->print == print;
	return key.type == KNOCKER_TEXT && strlen(event->key) == (size_t)key.bytes.len &&
	       memcmp(event->key, key.bytes.data, (size_t)key.bytes.len) == 0;
}

static found_event *finder_find(const finder *f, uint64_t hash, knocker_value key, uint64_t print)
{
	size_t at = (size_t)hash & (f->slot_count - 1);

	for (; f->slots[at] != 0; at = (at + 1) & (f->slot_count - 1)) {
		if (finder_is(&f->e->events[f->slots[at] - 1], key, print))
			return &f->found[f->slots[at] - 1];
	}
	return NULL;
}

static void finder_row(inbox_check *c, finder *f, const knocker_rows *rows)
{
	knocker_value key = print_value(rows, "dedupe_key"), event = print_value(rows, "event_id");
	knocker_value body = print_value(rows, "body"), valid = print_value(rows, "signature_valid");
	uint64_t print = plan_hash(0, body.bytes.data, (size_t)body.bytes.len);
	found_event *found = NULL;

	if (event.type == KNOCKER_NULL) {
		c->refused++;
		c->invalid += valid.type == KNOCKER_INTEGER && valid.integer == 0;
		return;
	}
	if (key.type == KNOCKER_TEXT)
		found = finder_find(f, plan_hash(1, key.bytes.data, (size_t)key.bytes.len), key, print);
	if (found == NULL)
		found = finder_find(f, print, key, print);
	if (found == NULL)
		return; /* somebody else's */
	found->keyed |= key.type == KNOCKER_TEXT;
	c->deliveries++;
	c->events += found->event_id != event.integer;
	if (found->event_id == 0)
		found->event_id = event.integer;
	else if (found->event_id != event.integer)
		found->more_events++;
	found->deliveries++;
}

static int finder_read(inbox_check *c, finder *f)
{
	static const char sql[] =
		"select id, event_id, dedupe_key, signature_valid, case when ?3 then body_blob end as body "
		"from knocker_deliveries where id > ?1 and (?2 = '' or endpoint = ?2) order by id limit ?4";
	knocker_value values[4] = {check_number(c->base_id), check_text(c->endpoint),
	                           check_number(f->bodies), check_number(CHECK_PAGE)};
	knocker_error error = {0};
	int64_t before;

	do {
		knocker_rows *rows = NULL;

		before = values[0].integer;
		if (knocker_read(c->k, bytes_of(sql), values, 4, &rows, &error) < 0)
			return complain_error(&error);
		while (knocker_rows_next(rows) == 0) {
			finder_row(c, f, rows);
			values[0] = check_number(print_value(rows, "id").integer);
		}
		knocker_rows_free(rows);
	} while (values[0].integer > before);
	return EXIT_DONE;
}

/* ---- the verdict ---- */

typedef struct {
	uint32_t accepted, refused, silent; /* its requests, by their answers */
} sent_sum;

static void check_fault(inbox_check *c, const sent_event *event, const char *what)
{
	if (c->fault_count++ >= CHECK_FAULTS)
		return;
	if (event->key != NULL)
		text_show(&c->faults, event->key, strlen(event->key), false);
	else
		text_print(&c->faults, "the body %016llx", (unsigned long long)event->print);
	text_print(&c->faults, ": %s\n", what);
}

/* Requests without an answer may have come in or not. */
static void check_one(inbox_check *c, const sent_event *event, const sent_sum *sum,
                      const found_event *found)
{
	char what[160];

	if (found->deliveries < sum->accepted) {
		c->lost++;
		snprintf(what, sizeof what, "lost: %u answered with 2xx, %u on record", sum->accepted,
		         found->deliveries);
		check_fault(c, event, what);
	}
	if (found->keyed && found->more_events > 0) {
		c->doubled++;
		snprintf(what, sizeof what, "doubled: it is event %lld and %u more",
		         (long long)found->event_id, found->more_events);
		check_fault(c, event, what);
	}
	if (found->deliveries > sum->accepted + sum->silent) {
		c->accepted++;
		snprintf(what, sizeof what, "stored too often: %u answered with 2xx, %u on record",
		         sum->accepted, found->deliveries);
		check_fault(c, event, what);
	}
}

static void check_all(inbox_check *c, const finder *f)
{
	const emulation *e = f->e;
	sent_sum *sums = memory_new(e->event_count * sizeof *sums);
	int64_t refused = 0;
	size_t i;

	for (i = 0; i < e->count; i++) {
		const sent_request *r = &e->requests[i];
		sent_sum *sum = &sums[r->event];

		sum->accepted += r->status >= 200 && r->status < 300;
		sum->refused += r->status >= 300;
		sum->silent += r->sent && r->status == 0;
		refused += r->status == 401;
	}
	for (i = 0; i < e->event_count; i++)
		check_one(c, &e->events[i], &sums[i], &f->found[i]);
	if (c->invalid < refused && check_dropped(c) == c->dropped)
		c->missing = refused - c->invalid;
	free(sums);
}

int check_run(inbox_check *c, const emulation *e)
{
	finder f = {0};
	int code;

	finder_make(&f, e);
	code = finder_read(c, &f);
	if (code == EXIT_DONE)
		check_all(c, &f);
	free(f.found);
	free(f.slots);
	return code;
}
