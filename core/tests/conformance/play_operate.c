/*
 * Plays what opens, registers, looks and operates: everything but requests, scripts and SQL.
 */
#include <string.h>

#include "play.h"
#include "watch.h"

static void open_handle(player *p, handle *h, const value *with, answer *out)
{
	knocker_open_options o = {.size = sizeof o};
	const value *limit = value_get(with, "max_body_bytes");

	if (!words_known(p, with,
	                 "queue_name visibility_timeout_s max_attempts backoff_base_s backoff_cap_s "
	                 "max_body_bytes orphan_rows orphan_bytes busy_timeout_ms seed"))
		return;
	if (h->knocker != NULL) {
		play_break(p, "the handle '%s' is open", h->name);
		return;
	}
	o.path = bytes_of(p->path);
	o.queue_name = words_text(p, with, "queue_name");
	o.visibility_ms = words_seconds(p, with, "visibility_timeout_s");
	o.max_attempts = words_integer(p, with, "max_attempts");
	o.backoff_base_ms = words_seconds(p, with, "backoff_base_s");
	o.backoff_cap_ms = words_seconds(p, with, "backoff_cap_s");
	o.max_body_bytes = words_integer(p, with, "max_body_bytes");
	if (limit != NULL && limit->kind == VALUE_INTEGER && limit->integer == 0)
		o.max_body_bytes = -1; /* the product's 0 is no limit; the C door's 0 is the default */
	o.orphan_rows = words_integer(p, with, "orphan_rows");
	o.orphan_bytes = words_integer(p, with, "orphan_bytes");
	o.busy_timeout_ms = words_integer(p, with, "busy_timeout_ms");
	if (o.busy_timeout_ms == 0 && p->watch != NULL)
		o.busy_timeout_ms = p->watch->busy_ms;
	o.seed = words_integer(p, with, "seed");
	o.thread_bound = 1;
	o.clock_ms = p->now_ms;
	if (p->broken == NULL)
		out->code = knocker_open(&o, &h->knocker, &out->error);
}

/* A handle that is opened again has forgotten its handlers, as a process that starts again has. */
static void open_close(player *p, handle *h, const value *with, answer *out)
{
	if (!words_known(p, with, "close") || !words_true(p, with, "close")) {
		play_break(p, "'close' takes true");
		return;
	}
	out->code = knocker_close(h->knocker, &out->error);
	if (out->code != 0)
		return;
	h->knocker = NULL;
	for (handler *one = h->handlers; one != NULL; one = one->next)
		one->replaced = true;
}

void play_open(player *p, handle *h, const value *with, answer *out)
{
	if (value_get(with, "close") != NULL)
		open_close(p, h, with, out);
	else
		open_handle(p, h, with, out);
}

/* The clock moves for every open handle at once; a handle opened later starts at the same time. */
void play_clock(player *p, handle *h, const value *with, answer *out)
{
	const value *word = words_only(p, with, "set add");
	int64_t ms;

	(void)h;
	if (word == NULL)
		return;
	ms = words_seconds(p, with, word->name);
	if (strcmp(word->name, "add") == 0)
		ms += p->now_ms;
	if (ms <= 0)
		play_break(p, "the clock cannot be set to %lld ms", (long long)ms);
	if (p->broken != NULL)
		return;
	p->now_ms = ms;
	for (handle *each = p->handles; each != NULL && out->code == 0; each = each->next) {
		if (each->knocker != NULL)
			out->code = knocker_clock_set(each->knocker, ms, &out->error);
	}
}

void play_endpoint(player *p, handle *h, const value *with, answer *out)
{
	knocker_endpoint e = {.size = sizeof e};

	if (!words_known(p, with,
	                 "name path provider scheme secrets options enabled queue_name max_attempts "
	                 "backoff_base_s backoff_cap_s external"))
		return;
	e.name = words_text(p, with, "name");
	e.path = words_text(p, with, "path");
	e.provider = words_text(p, with, "provider");
	e.scheme_json = words_json(p, with, "scheme");
	e.secrets_json = words_json(p, with, "secrets");
	e.options_json = words_json(p, with, "options");
	e.queue_name = words_text(p, with, "queue_name");
	e.disabled = words_choice(p, with, "enabled", 0, 1);
	e.max_attempts = words_integer(p, with, "max_attempts");
	e.backoff_base_ms = words_seconds(p, with, "backoff_base_s");
	e.backoff_cap_ms = words_seconds(p, with, "backoff_cap_s");
	e.external = words_choice(p, with, "external", 1, 0);
	if (p->broken == NULL)
		out->code = knocker_endpoint_add(h->knocker, &e, NULL, &out->error);
}

/* In a script, an event is what the handler was given. */
static void get_within(player *p, handle *h, const value *word, answer *out)
{
	knocker_rows *rows = NULL;
	const value *id;

	out->code = knocker_work_event(h->work, &rows, &out->error);
	out->gives = rows_one(p->a, rows);
	id = value_get(out->gives, "id");
	if (out->code == 0 && (id == NULL || id->integer != word->integer))
		play_break(p, "the handler was given %s", value_show(p->a, out->gives));
}

void play_get(player *p, handle *h, const value *with, answer *out)
{
	const value *word = words_only(p, with, h->work == NULL ? "event delivery" : "event");
	knocker_rows *rows = NULL;
	int64_t id;
	int32_t kind;

	if (word == NULL)
		return;
	kind = strcmp(word->name, "event") == 0 ? KNOCKER_EVENT : KNOCKER_DELIVERY;
	id = words_integer(p, with, word->name);
	if (p->broken != NULL)
		return;
	if (h->work != NULL) {
		get_within(p, h, word, out);
		return;
	}
	out->code = knocker_get(h->knocker, kind, id, &rows, &out->error);
	out->gives = rows_one(p->a, rows);
}

typedef struct {
	const char *name;
	int64_t kind;
	const char *words;
} list_kind;

static const list_kind list_kinds[] = {
	{"events", KNOCKER_EVENT, "status endpoint event_type since limit before_id"},
	{"deliveries", KNOCKER_DELIVERY,
     "event_id endpoint event_type signature_valid orphaned since limit before_id"},
	{"attempts", KNOCKER_ATTEMPT, "event_id"},
	{"audits", KNOCKER_AUDIT, "kind since limit"},
	{"jobs", KNOCKER_JOB, ""},
};

static knocker_filter list_filter(player *p, const list_kind *kind, const value *with)
{
	knocker_filter f = {.size = sizeof f, .kind = kind->kind};

	f.limit = words_integer(p, with, "limit");
	f.before_id = words_integer(p, with, "before_id");
	f.since_s = words_integer(p, with, "since");
	f.endpoint = words_text(p, with, "endpoint");
	f.status = words_text(p, with, "status");
	f.event_type = words_text(p, with, "event_type");
	f.event_id = words_integer(p, with, "event_id");
	f.signature_valid = words_choice(p, with, "signature_valid", 1, 2);
	f.orphaned = words_choice(p, with, "orphaned", 1, 2);
	f.audit_kind = words_text(p, with, "kind");
	return f;
}

void play_list(player *p, handle *h, const value *with, answer *out)
{
	const value *word = words_only(p, with, "events deliveries attempts audits jobs");
	const list_kind *kind = list_kinds;
	knocker_rows *rows = NULL;
	knocker_filter f;

	if (word == NULL)
		return;
	while (strcmp(kind->name, word->name) != 0)
		kind++;
	if (!words_known(p, word, kind->words))
		return;
	f = list_filter(p, kind, word);
	if (p->broken != NULL)
		return;
	out->code = knocker_list(h->knocker, &f, &rows, &out->error);
	out->gives = rows_list(p->a, rows);
}

static void act_endpoint(player *p, handle *h, const value *with, const char *word, answer *out)
{
	knocker_bytes name = words_text(p, with, word);

	if (p->broken == NULL)
		out->code = knocker_endpoint_pause(h->knocker, name, strcmp(word, "pause") == 0,
		                                   &out->error);
}

static void act_id(player *p, handle *h, const value *with, const char *word, answer *out)
{
	int64_t id = words_integer(p, with, word);

	if (p->broken != NULL)
		return;
	if (strcmp(word, "ignore") == 0)
		out->code = knocker_ignore(h->knocker, id, bytes_of(NULL), &out->error);
	else if (strcmp(word, "replay") == 0)
		out->code = knocker_replay(h->knocker, id, &out->error);
	else if (strcmp(word, "requeue") == 0)
		out->code = knocker_requeue(h->knocker, id, &out->error);
	else
		out->code = knocker_replay_delivery(h->knocker, id, &out->error);
}

static void act_reverify(player *p, handle *h, const value *with, answer *out)
{
	const value *words = value_get(with, "reverify");
	knocker_request by = {.size = sizeof by};
	knocker_rows *rows = NULL;
	int64_t since_s, after_id, limit;
	bool dry_run;

	if (!words_known(p, words,
	                 "endpoint since limit after_id dry_run provider scheme secrets options"))
		return;
	by.endpoint = words_text(p, words, "endpoint");
	by.provider = words_json(p, words, "scheme");
	if (by.provider.data == NULL)
		by.provider = words_text(p, words, "provider");
	by.secrets_json = words_json(p, words, "secrets");
	by.options_json = words_json(p, words, "options");
	since_s = words_integer(p, words, "since");
	after_id = words_integer(p, words, "after_id");
	limit = words_integer(p, words, "limit");
	dry_run = words_true(p, words, "dry_run");
	if (p->broken != NULL)
		return;
	out->code = knocker_reverify(h->knocker, &by, since_s, after_id, limit, dry_run, &rows,
	                             &out->error);
	out->gives = rows_list(p->a, rows);
}

void play_act(player *p, handle *h, const value *with, answer *out)
{
	const value *word;
	int64_t ms;

	if (h->work != NULL) {
		word = words_only(p, with, "extend");
		ms = words_seconds(p, with, "extend");
		if (word != NULL && p->broken == NULL)
			out->code = knocker_extend(h->work, ms, &out->error);
		return;
	}
	word = words_only(p, with, "ignore replay requeue replay_delivery reverify pause resume");
	if (word == NULL)
		return;
	if (strcmp(word->name, "pause") == 0 || strcmp(word->name, "resume") == 0)
		act_endpoint(p, h, with, word->name, out);
	else if (strcmp(word->name, "reverify") == 0)
		act_reverify(p, h, with, out);
	else
		act_id(p, h, with, word->name, out);
}

void play_why(player *p, handle *h, const value *with, answer *out)
{
	knocker_rows *rows = NULL;
	int64_t id;

	if (words_only(p, with, "event") == NULL)
		return;
	id = words_integer(p, with, "event");
	if (p->broken != NULL)
		return;
	out->code = knocker_why(h->knocker, id, &rows, &out->error);
	out->gives = rows_one(p->a, rows);
}

void play_stats(player *p, handle *h, const value *with, answer *out)
{
	knocker_rows *rows = NULL;

	if (!words_known(p, with, ""))
		return;
	out->code = knocker_stats(h->knocker, &rows, &out->error);
	out->gives = rows_list(p->a, rows);
}

void play_prune(player *p, handle *h, const value *with, answer *out)
{
	const value *word = words_only(p, with, "events orphans");
	knocker_prune prune = {.size = sizeof prune};
	knocker_rows *rows = NULL;
	bool events;

	if (word == NULL)
		return;
	events = strcmp(word->name, "events") == 0;
	if (!words_known(p, word,
	                 events ? "statuses older_than limit dry_run" : "older_than limit dry_run"))
		return;
	prune.statuses_json = words_json(p, word, "statuses");
	prune.older_than_s = words_integer(p, word, "older_than");
	prune.limit = words_integer(p, word, "limit");
	prune.dry_run = words_choice(p, word, "dry_run", 1, 0);
	if (p->broken != NULL)
		return;
	if (events)
		out->code = knocker_prune_events(h->knocker, &prune, &rows, &out->error);
	else
		out->code = knocker_prune_orphan_deliveries(h->knocker, &prune, &rows, &out->error);
	out->gives = rows_one(p->a, rows);
}
