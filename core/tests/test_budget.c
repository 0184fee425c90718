/* Clocks that jump and floods of forgeries: dates never decrease, rows from the future come back,
 * and an endpoint's orphans push out only older orphans of their own. */
#include "hard_file.h"

static test_file file;

#define HOUR 3600000

static int64_t ask(const char *sql)
{
	return raw_int(file.path, sql);
}

static knocker *fresh(knocker_open_options o)
{
	knocker *k;

	file_clear(&file);
	o.synchronous = KNOCKER_SYNC_NORMAL;
	o.clock_ms = START_MS;
	k = open_with(file.path, &o);
	endpoint_named(k, "a");
	endpoint_named(k, "b");
	return k;
}

static bool dates_never_decrease(void)
{
	return ask("select count(*) from _knocker_delivery a "
	           "join _knocker_delivery b on b.id = a.id + 1 "
	           "where b.received_ms < a.received_ms") == 0;
}

static int64_t stat_of(knocker *k, const char *endpoint, const char *column)
{
	knocker_rows *rows;
	char name[250];
	int64_t value = -1;

	knocker_stats(k, &rows, NULL);
	while (knocker_rows_next(rows) == 0)
		if (strcmp(row_text(rows, "endpoint", name, sizeof name), endpoint) == 0)
			value = row_int(rows, column);
	knocker_rows_free(rows);
	return value;
}

/* ---- clocks ---- */

static void a_clock_that_trembles(void)
{
	knocker *k = fresh((knocker_open_options){0});
	uint32_t seed = 3;
	int64_t clock_ms = START_MS;
	char key[20];
	int i;

	for (i = 0; i < 200; i++) {
		seed = seed * 1103515245 + 12345;
		clock_ms += (int64_t)(seed >> 16) % 30000 - 14000;
		knocker_clock_set(k, clock_ms, NULL);
		snprintf(key, sizeof key, "k%d", i);
		ingest(k, i % 2 ? "a" : "b", key);
	}
	CHECK(dates_never_decrease(), "dates never decrease while a clock trembles");
	CHECK(stat_of(k, "", "redated") == 0 || ask("select count(*) from _knocker_delivery") == 200,
	      "and every receipt is there");
	knocker_close(k, NULL);
}

static int count_since(knocker *k, int64_t since_s)
{
	knocker_filter f = {.size = sizeof f, .kind = KNOCKER_EVENT, .since_s = since_s, .limit = 1000};
	knocker_rows *rows;
	int count = 0;

	knocker_list(k, &f, &rows, NULL);
	while (knocker_rows_next(rows) == 0)
		count++;
	knocker_rows_free(rows);
	return count;
}

/* A year ahead for a while, as after a flat battery. */
static void a_clock_that_was_wrong(void)
{
	knocker *k = fresh((knocker_open_options){0});
	char key[20];
	int i, handled = 0;

	for (i = 0; i < 30; i++) {
		knocker_clock_set(k, i < 10 ? START_MS + i : START_MS + 8760LL * HOUR + i, NULL);
		snprintf(key, sizeof key, "k%d", i);
		ingest(k, "a", key);
	}
	CHECK(ask("select count(*) from _knocker_delivery where received_ms > 1700000100000") == 20,
	      "20 receipts bear next year's date");
	knocker_clock_set(k, START_MS + HOUR, NULL);
	ingest(k, "a", "mended");
	CHECK(dates_never_decrease(), "after the clock was mended dates do not decrease");
	CHECK(ask("select max(received_ms) from _knocker_delivery") == START_MS + HOUR,
	      "and none is in the future");
	CHECK(ask("select count(*) from _knocker_delivery where received_ms < 1700000100000") == 10,
	      "dates from before stay");
	CHECK(stat_of(k, "", "redated") == 20, "stats says how many were dated anew");
	CHECK(count_since(k, (START_MS + HOUR) / 1000) == 21 && count_since(k, START_MS / 1000) == 31,
	      "lists by date find them");
	while (handle_one(k, "w", NULL) > 0)
		handled++;
	CHECK(handled == 31, "and their events are handled now, not next year");
	ingest(k, "a", "later");
	CHECK(stat_of(k, "", "redated") == 20, "what was dated anew is counted once");
	knocker_close(k, NULL);
}

static void retries_and_leases_of_a_wrong_clock(void)
{
	const int64_t wrong = START_MS + 8760LL * HOUR;
	knocker *k = fresh((knocker_open_options){.backoff_base_ms = 10000});
	held h;

	knocker_clock_set(k, wrong, NULL);
	ingest(k, "a", "retried");
	handle_one(k, "w", "insert into nowhere values(1)");
	ingest(k, "a", "leased");
	claim_one(k, "w", &h);
	knocker_clock_set(k, START_MS + 1000, NULL);
	ingest(k, "b", "mended");
	CHECK(ask("select max(due_ms) from _knocker_job") <= START_MS + 61000 &&
	          ask("select min(due_ms) from _knocker_job") >= START_MS + 1000,
	      "retries and leases of the wrong clock keep their distance, not their year");
	CHECK(handle_one(k, "w", NULL) > 0 && handle_one(k, "w", NULL) == 0,
	      "what is due is handled, the others wait");
	knocker_clock_set(k, START_MS + 62000, NULL);
	CHECK(handle_one(k, "w", NULL) > 0 && handle_one(k, "w", NULL) > 0, "and come due");
	knocker_close(k, NULL);
}

static void two_clocks(void)
{
	knocker *k = fresh((knocker_open_options){0});
	knocker *behind = open_with(file.path,
	                            &(knocker_open_options){.synchronous = KNOCKER_SYNC_NORMAL,
	                                                    .clock_ms = START_MS - 20000});
	char key[20];
	int i, handled = 0;

	for (i = 0; i < 40; i++) {
		snprintf(key, sizeof key, "k%d", i);
		ingest(i % 2 ? k : behind, "a", key);
	}
	CHECK(dates_never_decrease() && stat_of(k, "", "redated") == 0,
	      "two processes whose clocks differ a little disturb no dates");
	while (handle_one(behind, "w", NULL) > 0)
		handled++;
	CHECK(handled == 20, "a worker that is behind handles what is due by its clock");
	while (handle_one(k, "w", NULL) > 0)
		handled++;
	CHECK(handled == 40, "and the other one the rest");
	knocker_close(behind, NULL);
	knocker_close(k, NULL);
}

/* ---- budgets ---- */

static int64_t forge(knocker *k, const char *endpoint, int64_t len)
{
	static char body[200000];
	knocker_request q = {.size = sizeof q,
	                     .endpoint = T(endpoint),
	                     .body = {body, len},
	                     .verdict = KNOCKER_INVALID,
	                     .headers = T("x-a: b\n")};
	knocker_rows *rows;
	int64_t id = -1;

	if (knocker_ingest(k, &q, &rows, NULL) == 0 && knocker_rows_next(rows) == 0)
		id = row_int(rows, "delivery_id");
	knocker_rows_free(rows);
	return id;
}

/* The counters in the endpoint's row are those of its orphans. */
static bool counted(void)
{
	return ask("select count(*) from _knocker_endpoint e where orphan_rows <> "
	           "(select count(*) from _knocker_delivery d "
	           "where d.endpoint_id = e.id and d.event_id is null) or orphan_bytes <> (select coalesce(sum("
	           "coalesce(length(d.body), 0) + length(cast(d.headers as blob))), 0) from _knocker_delivery d "
	           "where d.endpoint_id = e.id and d.event_id is null)") == 0;
}

static void a_budget_of_rows(void)
{
	knocker *k = fresh((knocker_open_options){.orphan_rows = 5});
	int64_t first_of_b = forge(k, "b", 10), last = 0;
	char sql[120];
	int i;

	ingest(k, "a", "an event");
	for (i = 0; i < 40; i++)
		last = forge(k, "a", 10);
	CHECK(stat_of(k, "a", "orphans") == 5 && stat_of(k, "a", "orphans_dropped") == 35,
	      "a flood keeps its budget of rows, and what it dropped is counted");
	snprintf(
		sql, sizeof sql,
		"select count(*) from _knocker_delivery where event_id is null and endpoint_id = 1 and id > %lld",
		(long long)last - 5);
	CHECK(ask(sql) == 5, "the newest are kept");
	CHECK(stat_of(k, "b", "orphans") == 1 && first_of_b > 0,
	      "another endpoint's orphans are untouched");
	CHECK(ask("select count(*) from _knocker_job") == 1 && raw_is_whole(file.path),
	      "and so are events");
	CHECK(counted(), "the counters are right");
	knocker_close(k, NULL);
}

static void a_budget_of_bytes(void)
{
	knocker *k = fresh((knocker_open_options){.orphan_bytes = 100000});
	int i;

	for (i = 0; i < 30; i++)
		forge(k, "a", 9000);
	CHECK(stat_of(k, "a", "orphan_bytes") <= 100000 && stat_of(k, "a", "orphans") == 11,
	      "a flood keeps its budget of bytes");
	CHECK(stat_of(k, "a", "orphans") + stat_of(k, "a", "orphans_dropped") == 30,
	      "none is gone uncounted");
	forge(k, "a", 90000);
	CHECK(stat_of(k, "a", "orphans") == 2 && stat_of(k, "a", "orphan_bytes") <= 100000,
	      "a large one pushes out as many as it must");
	forge(k, "a", 150000);
	CHECK(stat_of(k, "a", "orphans") == 3 && stat_of(k, "a", "orphan_bytes") <= 100000,
	      "one over the whole budget is kept without its body");
	CHECK(counted(), "the counters are right");
	knocker_close(k, NULL);
}

static void counters_through_everything(uint32_t seed)
{
	knocker *k = fresh((knocker_open_options){.orphan_rows = 8, .orphan_bytes = 50000});
	knocker_prune p = {.size = sizeof p, .older_than_s = START_MS / 1000 + 100};
	knocker_rows *rows;
	int i, wrong = 0;
	char key[20];

	for (i = 0; i < 120; i++) {
		seed = seed * 1103515245 + 12345;
		switch (seed >> 16 & 7) {
		case 0:
			snprintf(key, sizeof key, "k%d", i);
			ingest(k, "a", key);
			break;
		case 1:
			p.limit = 1 + (seed >> 20) % 3;
			knocker_prune_orphan_deliveries(k, &p, &rows, NULL);
			knocker_rows_free(rows);
			break;
		case 2:
			knocker_close(k, NULL);
			k = open_with(file.path, &(knocker_open_options){.synchronous = KNOCKER_SYNC_NORMAL,
			                                                 .clock_ms = START_MS,
			                                                 .orphan_rows = 1 + (seed >> 20) % 12,
			                                                 .orphan_bytes = 30000});
			break;
		default:
			forge(k, seed & 1 << 19 ? "a" : "b", (seed >> 20) % 20000);
		}
		wrong += !counted();
	}
	CHECK(wrong == 0, "the counters are right after every step of a long way");
	knocker_close(k, NULL);
}

int main(void)
{
	uint32_t seed;

	file_new(&file);
	a_clock_that_trembles();
	a_clock_that_was_wrong();
	retries_and_leases_of_a_wrong_clock();
	two_clocks();
	a_budget_of_rows();
	a_budget_of_bytes();
	for (seed = 1; seed <= 5; seed++)
		counters_through_everything(seed);
	file_end(&file);
	return check_end("budget");
}
