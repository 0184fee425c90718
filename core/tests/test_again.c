/* A handler's statement that runs again does what it would do the first time, whatever happened to
 * the schema in between. */
#include "hard_file.h"

static test_file file;
static knocker *k;

static int64_t ask(const char *sql)
{
	return raw_int(file.path, sql);
}

/* One handler with one statement: 1, or the code with which it failed. */
static int64_t run(const char *sql)
{
	knocker_work *w;
	held h;
	int32_t rc;

	ingest(k, "a", NULL);
	claim_one(k, "w", &h);
	knocker_work_begin(k, h.job, h.claim, &w, NULL);
	rc = execute(w, sql, NULL);
	settle(w, rc < 0 ? KNOCKER_DEAD : KNOCKER_HANDLED, NULL);
	return rc < 0 ? rc : 1;
}

static void schema_changes(void)
{
	const char *insert = "insert into app(x) values('here')";

	CHECK(run("create table app(x)") > 0 && run(insert) > 0 && run(insert) > 0, "it runs twice");
	CHECK(run("alter table app add column y default 'new'") > 0 && run(insert) > 0,
	      "and after a column was added");
	CHECK(ask("select count(*) from app where y = 'new'") == 3, "which each row has");
	CHECK(run("drop table app") > 0, "what is kept compiled does not hold the table");
	CHECK(run(insert) == KNOCKER_SQL, "without its table it fails");
	raw_do(file.path, "create table app(x, y default 'other', z default 7)");
	CHECK(run(insert) > 0 && ask("select count(*) from app where y = 'other' and z = 7") == 1,
	      "with another one, made by somebody else, it writes there");
	raw_do(file.path, "create trigger t after insert on app begin"
	                  " delete from _knocker_delivery; end");
	CHECK(run(insert) == KNOCKER_SQL && ask("select count(*) from _knocker_delivery") > 0,
	      "a trigger that would write to the inbox's tables is refused now");
	raw_do(file.path, "drop trigger t");
	CHECK(run(insert) > 0 && ask("select count(*) from app") == 2, "and it runs without it");
}

static int32_t bound(knocker_work *w, const char *sql, int32_t count, int64_t *wrote)
{
	const knocker_value values[2] = {{.type = KNOCKER_INTEGER, .integer = 41},
	                                 {.type = KNOCKER_TEXT, .bytes = T("text")}};
	int64_t changes = 0;
	int32_t rc = knocker_execute(w, T(sql), values, count, &changes, NULL, NULL);

	*wrote = changes;
	return rc;
}

static void values_change(void)
{
	const char *insert = "insert into two values(?1, ?2)";
	int64_t changes;
	knocker_work *w;
	held h;

	run("create table two(a, b)");
	ingest(k, "a", NULL);
	claim_one(k, "w", &h);
	knocker_work_begin(k, h.job, h.claim, &w, NULL);
	CHECK(bound(w, insert, 2, &changes) == 0 && changes == 1, "it takes its values");
	CHECK(bound(w, insert, 1, &changes) == KNOCKER_INVALID_ARGUMENT, "and no other number of them");
	CHECK(bound(w, insert, 2, &changes) == 0 && changes == 1, "and those of each run");
	CHECK(bound(w, "update two set a = 42 where a = 41", 0, &changes) == 0 && changes == 2,
	      "it tells how many rows it wrote");
	CHECK(bound(w, "update two set a = 42 where a = 41", 0, &changes) == 0 && changes == 0,
	      "of each run");
	CHECK(settle(w, KNOCKER_HANDLED, NULL) == 0 &&
	          ask("select count(*) from two where b = 'text'") == 2,
	      "and all of it is there");
}

/* More of them than are kept, again and again. */
static void many(void)
{
	char sql[80];
	int i, right = 0;

	run("create table many(n)");
	for (i = 0; i < 60; i++) {
		snprintf(sql, sizeof sql, "insert into many(n) values(%d)", i % 20);
		right += run(sql) > 0;
	}
	CHECK(right == 60 && ask("select count(distinct n) from many") == 20 &&
	          ask("select count(*) from many") == 60,
	      "each of very many does its own");
}

int main(void)
{
	file_new(&file);
	k = open_plain(file.path);
	endpoint_named(k, "a");
	schema_changes();
	values_change();
	many();
	CHECK(knocker_close(k, NULL) == 0, "and the handle closes");
	file_end(&file);
	return check_end("again");
}
