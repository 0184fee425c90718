/*
 * Holds the file that a play left against what must never happen, and lets its queue be worked
 * through once more with nothing failing. It looks with a connection of its own.
 */
#include "judge.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { judge_most = 100000 };

/* ---- Asking ---- */

static int64_t judge_ask(player *p, sqlite3 *file, const char *sql, int64_t one, int64_t two)
{
	sqlite3_stmt *statement = NULL;
	int64_t number = -1;

	if (sqlite3_prepare_v2(file, sql, -1, &statement, NULL) == SQLITE_OK) {
		sqlite3_bind_int64(statement, 1, one);
		sqlite3_bind_int64(statement, 2, two);
		if (sqlite3_step(statement) == SQLITE_ROW)
			number = sqlite3_column_int64(statement, 0);
	}
	if (sqlite3_finalize(statement) != SQLITE_OK)
		watch_find(p, "the file cannot be read afterwards: %s", sqlite3_errmsg(file));
	return number;
}

static const char *judge_text(player *p, sqlite3 *file, const char *sql)
{
	sqlite3_stmt *statement = NULL;
	const char *text = "";

	if (sqlite3_prepare_v2(file, sql, -1, &statement, NULL) == SQLITE_OK &&
	    sqlite3_step(statement) == SQLITE_ROW && sqlite3_column_text(statement, 0) != NULL)
		text = arena_print(p->a, "%s", (const char *)sqlite3_column_text(statement, 0));
	sqlite3_finalize(statement);
	return text;
}

/* ---- What must never happen ---- */

/* Each asks for a number that is 0. */
static const struct {
	const char *sql;
	const char *sentence;
} judge_nothings[] = {
	{"select count(*) from _knocker_job j where topic > 0 and not exists "
     "(select 1 from _knocker_delivery d where d.id = j.id and d.event_id = d.id)",
     "an event has no delivery"},
	{"select count(*) from _knocker_delivery d where event_id = id and not exists "
     "(select 1 from _knocker_job j where j.id = d.id)",
     "a delivery that made an event has none"},
	{"select count(*) from _knocker_delivery d where event_id <> id and not exists "
     "(select 1 from _knocker_job j where j.id = d.event_id)",
     "a repeat is of an event that is not there"},
	{"select count(*) from _knocker_job where due_ms is null and "
     "(status = 'received' or status = 'failed')",
     "an event is neither queued nor done with"},
	{"select count(*) from _knocker_attempt a where not exists (select 1 from _knocker_job j "
     "where j.id = a.job_id and j.claims >= a.claim)",
     "an attempt is of no claim of an event"},
	{"select count(*) from _knocker_delivery d where not exists "
     "(select 1 from _knocker_endpoint e where e.id = d.endpoint_id)",
     "a delivery is of no endpoint"},
	{"select count(*) from _knocker_job where delivery_id is not null and delivery_id not in "
     "(select id from _knocker_delivery)",
     "an event is to be handled with a delivery that is not there"},
	{"select count(*) from _knocker_job where status = 'handled' and not exists (select 1 from "
     "_knocker_attempt a where a.job_id = id and a.outcome = 'handled')",
     "an event is handled and no attempt says so"},
	{"select count(*) from _knocker_delivery where event_id is not null and signature_valid = 0",
     "a forged request became an event"},
	{"select count(*) from fault_effect e where exists (select 1 from _knocker_job j "
     "where j.id = e.job) and not exists (select 1 from _knocker_attempt a where a.job_id = e.job "
     "and a.claim = e.claim and a.outcome = 'handled')",
     "a handler's write is there, and its event was not handled by that run"},
	{"select count(*) - count(distinct job || ' ' || claim) from fault_effect",
     "a handler's write is there twice"},
	{"select count(*) from _knocker_endpoint e where (orphan_rows, orphan_bytes) <> (select "
     "count(*), coalesce(sum(coalesce(length(body), 0) + length(cast(headers as blob))), 0) "
     "from _knocker_delivery d where d.endpoint_id = e.id and d.event_id is null)",
     "an endpoint miscounts its orphans"},
	{"select count(*) from _knocker_delivery where json_type(headers) is not 'object' "
     "or json_type(coalesce(query, '{}')) is not 'object'",
     "a delivery's headers or query are cut off"},
	{"select count(*) from pragma_foreign_key_check", "a foreign key leads nowhere"},
};

/* Asked last: the work that is done before mends none of it. */
static void judge_whole(player *p, sqlite3 *file)
{
	const char *said = judge_text(p, file, "pragma integrity_check");

	if (strcmp(said, "ok") != 0)
		watch_find(p, "the file is damaged: %s", said);
	for (size_t i = 0; i < sizeof judge_nothings / sizeof *judge_nothings; i++) {
		int64_t number = judge_ask(p, file, judge_nothings[i].sql, 0, 0);

		if (number != 0)
			watch_find(p, "%s (%lld)", judge_nothings[i].sentence, (long long)number);
	}
}

/* An endpoint that verifies has only verified events, unless the application says otherwise. */
static void judge_verified(player *p, sqlite3 *file, judge_known *known)
{
	int64_t events = judge_ask(p, file,
	                           "select count(*) from _knocker_delivery d join _knocker_endpoint e "
	                           "on e.id = d.endpoint_id where e.provider is not null and "
	                           "d.event_id is not null and d.signature_valid is not 1",
	                           0, 0);

	if (known->learn)
		known->unverified = events > 0;
	else if (events != 0 && !known->unverified)
		watch_find(p, "an endpoint that verifies has unverified events (%lld)", (long long)events);
}

/* What is missing was pruned or pushed out, and that is written down. */
static void judge_answered(player *p, const watch *w, sqlite3 *file)
{
	int64_t missing = 0;
	int64_t dropped =
		judge_ask(p, file,
	              "select coalesce((select sum(deliveries) from _knocker_prune_audit), 0) + "
	              "coalesce((select sum(orphans_dropped) from _knocker_endpoint), 0)",
	              0, 0);

	for (const noted *one = w->answered; one != NULL; one = one->next) {
		/* Valid with an error: it was refused, and passed when it was verified again. */
		int64_t event = judge_ask(p, file,
		                          "select coalesce((select iif(event_id is null or "
		                          "(signature_valid = 1 and signature_error is not null), 0, "
		                          "event_id) from _knocker_delivery where id = ?1), -1)",
		                          one->delivery_id, 0);

		missing += event < 0;
		if (event >= 0 && event != one->event_id)
			watch_find(p, "delivery %lld was answered as of event %lld, and is of %lld",
			           (long long)one->delivery_id, (long long)one->event_id, (long long)event);
	}
	if (missing > dropped)
		watch_find(p, "%lld deliveries were answered and are not there, and %lld were dropped",
		           (long long)missing, (long long)dropped);
}

static void judge_run(player *p, const noted_run *run, sqlite3 *file)
{
	int64_t here = judge_ask(p, file, "select count(*) from _knocker_job where id = ?1",
	                         run->job_id, 0);
	int64_t effects = judge_ask(p, file,
	                            "select count(*) from fault_effect where job = ?1 and claim = ?2",
	                            run->job_id, run->claim);
	int64_t attempts =
		judge_ask(p, file,
	              "select count(*) from _knocker_attempt where job_id = ?1 and claim = ?2 "
	              "and outcome = 'handled'",
	              run->job_id, run->claim);

	if (run->acknowledged && here == 1 && attempts != 1)
		watch_find(p, "job %lld was settled as handled by claim %lld, and was not",
		           (long long)run->job_id, (long long)run->claim);
	if (run->acknowledged && run->wrote && effects != 1)
		watch_find(p, "job %lld was handled by claim %lld, and its handler's write is not there",
		           (long long)run->job_id, (long long)run->claim);
	if (run->wrote && here == 1 && effects != attempts)
		watch_find(p, "job %lld has, of claim %lld, %lld writes of its handler and %lld attempts",
		           (long long)run->job_id, (long long)run->claim, (long long)effects,
		           (long long)attempts);
}

static void judge_effects(player *p, const watch *w, sqlite3 *file)
{
	int64_t most = judge_ask(p, file,
	                         "select coalesce(max(n), 0) from (select count(*) as n from "
	                         "_knocker_attempt where outcome = 'handled' group by job_id)",
	                         0, 0);

	for (const noted_run *run = w->runs; run != NULL; run = run->next)
		judge_run(p, run, file);
	if (most > 1 + w->again_asked)
		watch_find(p, "an event was handled %lld times, and asked for again %lld times",
		           (long long)most, (long long)w->again_asked);
}

/* ---- Secrets ---- */

static const char *judge_read(player *p, const char *path, size_t *len)
{
	FILE *file = fopen(path, "rb");
	char *text = NULL;
	long size = -1;

	*len = 0;
	if (file != NULL && fseek(file, 0, SEEK_END) == 0)
		size = ftell(file);
	if (size > 0 && fseek(file, 0, SEEK_SET) == 0) {
		text = arena_take(p->a, (size_t)size);
		*len = fread(text, 1, (size_t)size, file);
	}
	if (file != NULL)
		fclose(file);
	return text;
}

/* Not by its place in the play's list: a step that is played again puts its secrets there anew. */
static uint64_t judge_hash(const noted_secret *s)
{
	uint64_t hash = 0xcbf29ce484222325u;

	for (size_t i = 0; i < s->len; i++)
		hash = (hash ^ (uint8_t)s->data[i]) * 0x100000001b3u;
	return hash;
}

static bool judge_knows(const judge_known *known, uint64_t hash)
{
	int at = 0;

	while (at < known->secret_count && known->secrets[at] != hash)
		at++;
	return at < known->secret_count;
}

static void judge_secret_found(player *p, const noted_secret *s, judge_known *known)
{
	uint64_t hash = judge_hash(s);

	if (judge_knows(known, hash))
		return;
	if (!known->learn)
		watch_find(p, "a secret stands in the file");
	else if (known->secret_count == JUDGE_SECRETS)
		watch_find(p, "more than %d secrets stand in the file", JUDGE_SECRETS);
	else
		known->secrets[known->secret_count++] = hash;
}

static void judge_secrets_in(player *p, const watch *w, const char *ending, judge_known *known)
{
	size_t len;
	const char *text = judge_read(p, arena_print(p->a, "%s%s", p->path, ending), &len);

	for (const noted_secret *s = w->secrets; text != NULL && s != NULL; s = s->next) {
		if (memmem(text, len, s->data, s->len) != NULL)
			judge_secret_found(p, s, known);
	}
}

/* ---- Working the queue through ---- */

static void judge_resume(player *p, sqlite3 *file, knocker *k)
{
	sqlite3_stmt *statement = NULL;
	knocker_error error = {0};

	sqlite3_prepare_v2(file, "select name from _knocker_endpoint where paused = 1", -1, &statement,
	                   NULL);
	while (sqlite3_step(statement) == SQLITE_ROW) {
		const char *name = (const char *)sqlite3_column_text(statement, 0);

		if (knocker_endpoint_pause(k, bytes_of(name), 0, &error) < 0)
			watch_find(p, "afterwards an endpoint cannot be resumed: %s", error.text);
	}
	sqlite3_finalize(statement);
}

static int64_t judge_cell(const knocker_rows *rows, const char *name)
{
	knocker_value v;

	knocker_rows_value(rows, knocker_rows_find(rows, name), &v);
	return v.type == KNOCKER_INTEGER ? v.integer : 0;
}

static int32_t judge_handle(knocker *k, int64_t job_id, int64_t claim, knocker_error *error)
{
	const knocker_value values[] = {{.type = KNOCKER_INTEGER, .integer = job_id},
	                                {.type = KNOCKER_INTEGER, .integer = claim}};
	knocker_work *work = NULL;
	int32_t rc = knocker_work_begin(k, job_id, claim, &work, error);

	if (rc != 0)
		return rc < 0 ? rc : 0;
	rc = knocker_execute(work, bytes_of("insert into fault_effect values(?, ?)"), values, 2, NULL,
	                     NULL, error);
	if (rc < 0) {
		knocker_work_free(work);
		return rc;
	}
	return knocker_settle(work, KNOCKER_HANDLED, bytes_of(NULL), 0, NULL, error);
}

static void judge_drain(player *p, knocker *k, const char *queues)
{
	knocker_claim_options o = {.size = sizeof o,
	                           .worker_id = bytes_of("judge"),
	                           .queues_json = bytes_of(queues)};
	knocker_error error = {0};
	int32_t rc = 0;

	for (int64_t round = 0; rc == 0 && round < judge_most; round++) {
		knocker_rows *rows = NULL;

		rc = knocker_claim(k, &o, &rows, &error);
		while (rc == 0 && knocker_rows_next(rows) == 0) {
			if (judge_cell(rows, "died") == 0)
				rc = judge_handle(k, judge_cell(rows, "job_id"), judge_cell(rows, "claim"), &error);
		}
		knocker_rows_free(rows);
	}
	if (rc < 0)
		watch_find(p, "afterwards the queue cannot be worked through: %s", error.text);
}

/* All that is queued comes due, and is handled. */
static void judge_work(player *p, sqlite3 *file)
{
	int64_t due = judge_ask(p, file, "select coalesce(max(due_ms), 0) from _knocker_job", 0, 0);
	const char *queues = judge_text(p, file,
	                                "select json_group_array(distinct queue) from _knocker_job");
	knocker_open_options o = {.size = sizeof o,
	                          .path = bytes_of(p->path),
	                          .synchronous = KNOCKER_SYNC_NORMAL,
	                          .clock_ms = (due > p->now_ms ? due : p->now_ms) + 1};
	knocker_error error = {0};
	knocker *k = NULL;
	int64_t left;

	if (knocker_open(&o, &k, &error) < 0) {
		watch_find(p, "afterwards the file does not open: %s", error.text);
		return;
	}
	judge_resume(p, file, k);
	judge_drain(p, k, queues);
	if (knocker_close(k, &error) < 0)
		watch_find(p, "afterwards the handle does not close: %s", error.text);
	left = judge_ask(p, file, "select count(*) from _knocker_job where due_ms is not null", 0, 0);
	if (left != 0)
		watch_find(p, "afterwards %lld jobs stay in the queue", (long long)left);
}

/* ---- All together ---- */

/* Nothing was ever written by a handle: the first open failed. It works now. */
static void judge_empty(player *p, const watch *w)
{
	knocker_open_options o = {.size = sizeof o, .path = bytes_of(p->path)};
	knocker_error error = {0};
	knocker *k = NULL;

	if (w->answered != NULL)
		watch_find(p, "a receipt was answered, and the file has no inbox");
	if (knocker_open(&o, &k, &error) < 0)
		watch_find(p, "afterwards the file does not open: %s", error.text);
	knocker_close(k, NULL);
}

void judge_file(player *p, watch *w, judge_known *known)
{
	sqlite3 *file = NULL;

	p->where = "at the end";
	judge_secrets_in(p, w, "", known);
	judge_secrets_in(p, w, "-wal", known);
	if (w->misread && w->injected() > 0)
		return; /* what SQLite then wrote may be anything */
	if (sqlite3_open(p->path, &file) != SQLITE_OK) {
		watch_find(p, "the file cannot be opened afterwards: %s", sqlite3_errmsg(file));
	} else if (judge_ask(p, file, "select count(*) from sqlite_master where name = '_knocker_meta'",
	                     0, 0) == 0) {
		judge_empty(p, w);
	} else {
		sqlite3_exec(file, "create table if not exists fault_effect(job, claim)", NULL, NULL, NULL);
		judge_verified(p, file, known);
		judge_answered(p, w, file);
		judge_effects(p, w, file);
		judge_work(p, file);
		judge_whole(p, file);
	}
	sqlite3_close(file);
}
