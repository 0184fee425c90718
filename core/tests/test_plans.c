/* What every statement does to the b-trees, read from SQLite's own plans: nothing walks deliveries
 * or attempts, hot statements open no ephemeral table, a new event is written to four b-trees, and
 * on a large file a list takes as few steps as it should. */
#include "hard_file.h"
#include "statement_texts.h"

static test_file file;
static sqlite3 *handle;

#define EVENTS 200000
#define ENDPOINTS 20

/* ---- programs ---- */

/* How often SQLite's program for a statement has this operation; -1: the statement does not
 * compile. */
static int operations(const char *sql, const char *operation)
{
	char text[8000];
	sqlite3_stmt *s = NULL;
	int count = 0;

	snprintf(text, sizeof text, "explain %s", sql);
	if (sqlite3_prepare_v2(handle, text, -1, &s, NULL) != SQLITE_OK)
		return -1;
	while (sqlite3_step(s) == SQLITE_ROW)
		count += strcmp((const char *)sqlite3_column_text(s, 1), operation) == 0;
	sqlite3_finalize(s);
	return count;
}

/* True when `name`, a word of a plan, stands for the table in this statement: "from
 * _knocker_delivery d". */
static bool stands_for(const char *sql, const char *name, const char *table)
{
	size_t len = strcspn(name, " ");
	const char *at;

	if (strlen(table) == len && strncmp(name, table, len) == 0)
		return true;
	for (at = strstr(sql, table); at; at = strstr(at + 1, table)) {
		const char *alias = at + strlen(table);

		if (*alias == ' ' && strncmp(alias + 1, name, len) == 0 &&
		    !strchr("abcdefghijklmnopqrstuvwxyz_", alias[1 + len]))
			return true;
	}
	return false;
}

/* How many walks over all of a table the statement's plan has. */
static int scans(const char *sql, const char *table)
{
	char text[8000];
	sqlite3_stmt *s = NULL;
	int count = 0;

	snprintf(text, sizeof text, "explain query plan %s", sql);
	sqlite3_prepare_v2(handle, text, -1, &s, NULL);
	while (sqlite3_step(s) == SQLITE_ROW) {
		const char *detail = (const char *)sqlite3_column_text(s, 3);

		count += strncmp(detail, "SCAN ", 5) == 0 && stands_for(sql, detail + 5, table);
	}
	sqlite3_finalize(s);
	return count;
}

static bool plan_named(enum statement s, const char *const *names)
{
	for (; *names; names++)
		if (strcmp(statement_names[s], *names) == 0)
			return true;
	return false;
}

static void every_statement(void)
{
	static const char *const hot[] = {"delivery_insert",
	                                  "job_insert_event",
	                                  "job_lease",
	                                  "job_settle",
	                                  "id_next",
	                                  "endpoint_find",
	                                  "job_due",
	                                  "job_due_first",
	                                  "job_topic_next",
	                                  "attempt_insert",
	                                  "event_of_claim",
	                                  "event_of_work",
	                                  "delivery_of_key",
	                                  "job_get",
	                                  "endpoint_policy",
	                                  "endpoint_paused_ids",
	                                  "job_release",
	                                  "job_extend",
	                                  NULL};
	static const char *const walks_jobs[] = {"stats_jobs", "stats_queue", "stats_rare",
	                                         "job_list",   "job_redate",  NULL};
	int i, seen = 0;

	for (i = 0; i < STATEMENT_COUNT; i++) {
		const char *sql = statement_texts[i];

		if (strncmp(statement_names[i], "db_", 3) == 0)
			continue;
		CHECK(scans(sql, "_knocker_delivery") == 0, statement_names[i]);
		CHECK(scans(sql, "_knocker_attempt") == 0, statement_names[i]);
		CHECK(scans(sql, "_knocker_job") == 0 || plan_named((enum statement)i, walks_jobs),
		      statement_names[i]);
		if (!plan_named((enum statement)i, hot))
			continue;
		seen++;
		CHECK(operations(sql, "OpenEphemeral") == 0 && operations(sql, "SorterOpen") == 0,
		      statement_names[i]);
	}
	CHECK(seen == (int)(sizeof hot / sizeof *hot) - 1, "every hot statement was met");
}

/* The reader of plans must see what it looks for. */
static void the_reader_sees(void)
{
	CHECK(scans("select count(*) from _knocker_delivery d where d.method = 'x'",
	            "_knocker_delivery") == 1,
	      "a walk is seen");
	CHECK(scans("select count(*) from _knocker_delivery", "_knocker_delivery") == 1,
	      "without an alias too");
	CHECK(scans("select max(id) from _knocker_delivery", "_knocker_delivery") == 0,
	      "a look at one end is none");
	CHECK(scans("select method from _knocker_delivery where id > 7", "_knocker_delivery") == 0,
	      "a walk from a seek onward is none");
	CHECK(operations("select 1 where ?1 in (1, 2, 3, 4)", "OpenEphemeral") == 1,
	      "an ephemeral table is seen");
	CHECK(operations("select nothing from nowhere", "OpenEphemeral") == -1,
	      "what does not compile is seen");
}

/* ---- b-trees written ---- */

/* The entries of all indexes and tables of ours, each index by its own condition. */
static int64_t entries(void)
{
	sqlite3_stmt *s;
	int64_t sum = 0;

	sqlite3_prepare_v2(handle,
	                   "select tbl_name, name, type, sql from sqlite_master "
	                   "where tbl_name like '\\_knocker%' escape '\\' "
	                   "and type <> 'view'",
	                   -1, &s, NULL);
	while (sqlite3_step(s) == SQLITE_ROW) {
		const char *sql = (const char *)sqlite3_column_text(s, 3);
		const char *where = sql && strcmp((const char *)sqlite3_column_text(s, 2), "index") == 0
		                        ? strstr(sql, "where ")
		                        : "";
		char ask[1000];

		if (!sql)
			continue;
		snprintf(ask, sizeof ask, "select count(*) from %s %s %s %s",
		         (const char *)sqlite3_column_text(s, 0), *where ? "indexed by" : "",
		         *where ? (const char *)sqlite3_column_text(s, 1) : "", where);
		sum += raw_ask(handle, ask);
	}
	sqlite3_finalize(s);
	return sum;
}

static int64_t indexes_of(const char *table)
{
	char sql[200];

	snprintf(sql, sizeof sql,
	         "select count(*) from sqlite_master where type = 'index' and tbl_name = '%s'", table);
	return raw_ask(handle, sql);
}

static void four_b_trees(knocker *k)
{
	int64_t before = entries(), after;

	CHECK(ingest(k, "a", "four") > 0, "an event with a dedupe key is received");
	after = entries();
	CHECK(after - before == 4, "a new event with a dedupe key is an entry in four b-trees");
	CHECK(ingest(k, "a", "four") > 0, "the same again is received");
	CHECK(entries() - after == 3, "a repeat is an entry in three");
	CHECK(indexes_of("_knocker_job") == 2 && indexes_of("_knocker_delivery") == 5,
	      "all indexes were counted");
}

/* ---- a large file ---- */

static void make_large(void)
{
	char sql[3000];
	char *said = NULL;

	snprintf(
		sql, sizeof sql,
		"pragma synchronous = off; begin;"
		"with recursive n(i) as (select 2 union all select i + 1 from n where i < %d) "
		"insert into _knocker_endpoint (id, name, enabled, created_ms) select i, 'e' || i, 1, 0 from n;"
		"with recursive n(i) as (select 10 union all select i + 1 from n where i < %d) "
		"insert into _knocker_delivery (id, endpoint_id, event_id, received_ms, signature_valid, signature_error, event_type, "
		"dedupe_key, method, headers, body) "
		"select i, i %% %d + 1, case i %% 50 when 7 then null when 8 then i - 2 else i end, 1700000000000 + i, "
		"case i %% 50 when 7 then 0 else 1 end, case i %% 50 when 7 then 'forged' end, 'type' || (i %% 5), 'key' || i, 'POST', '{}', "
		"x'7b7d' from n;"
		"insert into _knocker_job (id, queue, topic, kind, due_ms, claims, status, settled_ms) "
		"select id, 'knocker.events', endpoint_id, event_type, case when id %% 2 then received_ms end, 1, "
		"case when id %% 2 then 'received' when id %% 1000 = 0 then 'dead' else 'handled' end, 5 "
		"from _knocker_delivery where event_id = id and id >= 10;"
		"insert into _knocker_attempt (job_id, claim, attempted_ms, outcome) select id, 1, 5, 'handled' from _knocker_job "
		"where status = 'handled';"
		"commit;",
		ENDPOINTS, EVENTS, ENDPOINTS);
	if (sqlite3_exec(handle, sql, NULL, NULL, &said) != SQLITE_OK)
		printf("make_large: %s\n", said);
	sqlite3_free(said);
}

typedef struct {
	int64_t rows, scanned, steps;
} cost;

/* Runs a statement with its values, "" for null, and counts what SQLite did. */
static cost cost_of(enum statement which, const char *const *values, int count)
{
	sqlite3_stmt *s = NULL;
	cost c = {0};
	int i;

	sqlite3_prepare_v2(handle, statement_texts[which], -1, &s, NULL);
	for (i = 0; i < count; i++)
		if (values[i][0] == '\'')
			sqlite3_bind_text(s, i + 1, values[i] + 1, -1, SQLITE_STATIC);
		else if (values[i][0])
			sqlite3_bind_int64(s, i + 1, strtoll(values[i], NULL, 10));
	while (sqlite3_step(s) == SQLITE_ROW)
		c.rows++;
	c.scanned = sqlite3_stmt_status(s, SQLITE_STMTSTATUS_FULLSCAN_STEP, 0);
	c.steps = sqlite3_stmt_status(s, SQLITE_STMTSTATUS_VM_STEP, 0);
	sqlite3_finalize(s);
	return c;
}

#define END "9223372036854775807"
#define DUE "1800000000000"

static const struct {
	const char *sentence;
	enum statement statement;
	const char *values[9];
	int count;
	int64_t rows, steps; /* as many rows; at most so many steps of SQLite's machine */
} large_cases[] = {
	{"events, newest", STMT_event_list, {END, "0", "", "", "100", "0", ""}, 7, 100, 20000},
	{"events since", STMT_event_list, {END, "199000", "", "", "100", "0", ""}, 7, 100, 20000},
	{"events of an endpoint", STMT_event_list, {END, "0", "5", "", "100", "0", ""}, 7, 100, 100000},
	{"events of a type", STMT_event_list, {END, "0", "", "'type3", "100", "0", ""}, 7, 100, 40000},
	{"events of an endpoint and type",
     STMT_event_list,
     {END, "0", "5", "'type4", "100", "0", ""},
     7,
     100,
     100000},
	{"received events",
     STMT_event_list,
     {END, "0", "", "", "100", "0", "'received"},
     7,
     100,
     20000},
	{"handled events", STMT_event_list, {END, "0", "", "", "100", "0", "'handled"}, 7, 100, 20000},
	{"dead events", STMT_event_list_rare, {END, "0", "", "", "100", "0", "'dead"}, 7, 100, 10000},
	{"ignored events, of which there are none",
     STMT_event_list_rare,
     {END, "0", "", "", "100", "0", "'ignored"},
     7,
     0,
     200},
	{"a type that no event has",
     STMT_event_list,
     {END, "0", "", "'none", "100", "0", ""},
     7,
     0,
     4000000},
	{"deliveries, newest",
     STMT_delivery_list,
     {END, "0", "", "", "0", "0", "100", "0"},
     8,
     100,
     30000},
	{"orphans", STMT_delivery_list, {END, "0", "", "", "1", "0", "100", "0"}, 8, 100, 30000},
	{"orphans of an endpoint",
     STMT_delivery_list,
     {END, "0", "8", "", "1", "0", "100", "0"},
     8,
     100,
     30000},
	{"deliveries of an endpoint",
     STMT_delivery_list,
     {END, "0", "5", "", "0", "0", "100", "0"},
     8,
     100,
     100000},
	{"deliveries with a valid signature",
     STMT_delivery_list,
     {END, "0", "", "", "0", "1", "100", "0"},
     8,
     100,
     30000},
	{"deliveries of an event",
     STMT_delivery_list_event,
     {END, "0", "", "", "0", "0", "100", "0", "1000"},
     9,
     1,
     300},
	{"attempts of an event", STMT_attempt_list, {"1002", END, "100"}, 3, 1, 300},
	{"attempts, newest", STMT_attempt_list_all, {"", END, "100"}, 3, 100, 5000},
	{"due jobs of a topic", STMT_job_due, {"'knocker.events", "5", DUE, "10"}, 4, 0, 300},
	{"due jobs of another topic", STMT_job_due, {"'knocker.events", "4", DUE, "10"}, 4, 10, 300},
	{"the next topic", STMT_job_topic_next, {"'knocker.events", "4"}, 2, 1, 100},
	{"the next id", STMT_id_next, {""}, 0, 1, 100},
	{"a known key", STMT_delivery_of_key, {"2", "'key100021"}, 2, 1, 100},
	{"a time, one seek", STMT_id_since, {"150000"}, 1, 1, 50},
	{"a prune of 1,000", STMT_event_prune_ids, {"150000", "1", "1", "1000", "0"}, 5, 1000, 60000},
	{"the oldest orphan", STMT_orphan_oldest, {"8"}, 1, 1, 50},
	{"orphans to prune", STMT_orphan_prune_ids, {"150000", "100", "0"}, 3, 100, 200000},
};

static void on_a_large_file(void)
{
	size_t i;

	for (i = 0; i < sizeof large_cases / sizeof *large_cases; i++) {
		cost c = cost_of(large_cases[i].statement, large_cases[i].values, large_cases[i].count);
		bool within = c.rows == large_cases[i].rows && c.scanned <= ENDPOINTS * 4 + c.rows &&
		              c.steps <= large_cases[i].steps;

		CHECK(within, large_cases[i].sentence);
		if (!within)
			printf("%s: %lld rows, %lld steps of scans, %lld steps\n", large_cases[i].sentence,
			       (long long)c.rows, (long long)c.scanned, (long long)c.steps);
	}
}

int main(void)
{
	knocker *k;

	file_new_on(&file, "/tmp");
	k = open_plain(file.path);
	endpoint_named(k, "a");
	handle = raw_open(file.path);
	the_reader_sees();
	every_statement();
	four_b_trees(k);
	knocker_close(k, NULL);
	make_large();
	CHECK(raw_ask(handle, "select count(*) from _knocker_job") > EVENTS * 9 / 10,
	      "the large file is large");
	on_a_large_file();
	sqlite3_close(handle);
	file_end(&file);
	return check_end("plans");
}
