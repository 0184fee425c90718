/* Each way in which a handler's transaction ends behind its back: no write of the handler is kept,
 * nothing runs in autocommit, the attempt is on record, and the handle works on. */
#include "hard_vfs.h"

static test_file file;

static int64_t ask(const char *sql)
{
	return raw_int(file.path, sql);
}

static knocker *fresh(const char *init_sql)
{
	knocker *k;

	file_clear(&file);
	k = open_with(file.path, &(knocker_open_options){.clock_ms = START_MS,
	                                                 .synchronous = KNOCKER_SYNC_NORMAL,
	                                                 .init_sql = {init_sql, init_sql ? -1 : 0},
	                                                 .seed = 1});
	endpoint_named(k, "a");
	raw_do(
		file.path,
		"create table app(x); create table rolls(x);"
		"create trigger rolling before insert on rolls begin select raise(rollback, 'rolled'); end;"
		"create table single(x unique on conflict rollback); insert into single values(1);"
		"create table parent(id integer primary key);"
		"create table child(p references parent deferrable initially deferred);");
	return k;
}

static knocker_work *begin(knocker *k)
{
	knocker_work *w = NULL;
	held h;

	if (claim_one(k, "w", &h) == 0)
		knocker_work_begin(k, h.job, h.claim, &w, NULL);
	return w;
}

/* ---- SQLite rolls back by itself ---- */

static void rolled_back(const char *sql, const char *saying)
{
	knocker *k = fresh(NULL);
	knocker_error error = {0};
	knocker_rows *rows = NULL;
	char text[300];
	knocker_work *w;

	ingest(k, "a", "one");
	w = begin(k);
	CHECK(execute(w, "insert into app values(1)", NULL) == 0, "a handler's first write succeeds");
	CHECK(execute(w, sql, &error) == KNOCKER_SQL && strstr(error.text, saying),
	      "the statement fails with SQLite's cause");
	CHECK(execute(w, "insert into app values(2)", &error) == KNOCKER_SQL &&
	          strstr(error.text, saying),
	      "each later statement raises the same cause");
	CHECK(knocker_query(w, T("select 1"), NULL, 0, &rows, &error) == KNOCKER_SQL && !rows,
	      "a query raises it too");
	CHECK(knocker_extend(w, 1000, &error) == KNOCKER_SQL,
	      "the lease of a dead transaction is not extended through it");
	CHECK(settle(w, KNOCKER_HANDLED, &error) == KNOCKER_SQL && strstr(error.text, saying),
	      "it cannot be settled as handled");
	CHECK(ask("select count(*) from app") == 0,
	      "no write of the handler is kept, and none ran in autocommit");
	CHECK(
		ask("select count(*) from knocker_events where status = 'failed' and attempt_count = 1") ==
			1,
		"the attempt is recorded as failed");
	knocker_list(k, &(knocker_filter){.size = sizeof(knocker_filter), .kind = KNOCKER_ATTEMPT},
	             &rows, NULL);
	knocker_rows_next(rows);
	CHECK(strstr(row_text(rows, "error", text, sizeof text), saying), "the attempt says why");
	knocker_rows_free(rows);
	knocker_clock_set(k, START_MS + 3600000, NULL);
	CHECK(handle_one(k, "w", "insert into app values(3)") > 0 && ask("select x from app") == 3,
	      "the retry's writes are kept");
	CHECK(knocker_close(k, NULL) == 0, "the handle closes");
}

static void rolled_back_by_sqlite(void)
{
	rolled_back("insert into rolls values(1)", "rolled");
	rolled_back("insert into single values(1)", "UNIQUE");
	rolled_back("insert or rollback into parent values(1), (1)", "UNIQUE");
}

/* ---- a handler says what it may not ---- */

static void refused_statements(void)
{
	static const char *const refused[] =
		{"begin",
	     "begin immediate",
	     "commit",
	     "end",
	     "rollback",
	     "COMMIT TRANSACTION",
	     "savepoint _knocker",
	     "savepoint _KNOCKER_x",
	     "release _knocker",
	     "rollback to _knocker",
	     "attach ':memory:' as other",
	     "detach main",
	     "pragma journal_mode = delete",
	     "pragma synchronous = off",
	     "pragma writable_schema = 1",
	     "pragma foreign_keys = 0",
	     "pragma user_version = 7",
	     "pragma locking_mode = exclusive",
	     "pragma wal_checkpoint(truncate)",
	     "pragma query_only = 1",
	     "update _knocker_job set status = 'handled'",
	     "delete from _knocker_delivery",
	     "insert into _knocker_meta values('x', 1)",
	     "drop table _knocker_job",
	     "alter table _knocker_job rename to mine",
	     "alter table _knocker_job add column x",
	     "drop index _knocker_job_due",
	     "insert or replace into _knocker_endpoint select * from _knocker_endpoint",
	     "with x as (select 1) delete from _KNOCKER_ATTEMPT",
	     "vacuum",
	     "drop view knocker_events"};
	knocker *k = fresh(NULL);
	knocker_error error = {0};
	knocker_work *w;
	size_t i;

	ingest(k, "a", "one");
	w = begin(k);
	execute(w, "insert into app values(1)", NULL);
	for (i = 0; i < sizeof refused / sizeof *refused; i++) {
		int32_t rc = execute(w, refused[i], &error);

		CHECK(rc == KNOCKER_SQL && error.text[0], refused[i]);
	}
	CHECK(execute(w, "insert into app values(2)", NULL) == 0,
	      "after refusals the transaction goes on");
	CHECK(ask("select count(*) from app") == 0, "and nothing of it was committed by them");
	CHECK(settle(w, KNOCKER_HANDLED, &error) == 0, "it settles");
	CHECK(ask("select count(*) from app") == 2, "and both of its writes are there");
	knocker_close(k, NULL);
}

/* Statements that look dangerous and are the handler's good right. */
static void allowed_statements(void)
{
	static const char *const allowed[] =
		{"savepoint mine",
	     "insert into app values(10)",
	     "rollback to mine",
	     "release mine",
	     "savepoint open_at_the_end",
	     "pragma table_info(app)",
	     "pragma foreign_keys",
	     "pragma user_version",
	     "create table made(x)",
	     "drop table made",
	     "insert into app values(1) returning x",
	     "select * from knocker_events",
	     "pragma defer_foreign_keys = 1",
	     "with n(i) as (select 1 union all select i + 1 from n where i < 100) select i from n"};
	knocker *k = fresh(NULL);
	knocker_error error = {0};
	knocker_work *w;
	size_t i;

	ingest(k, "a", "one");
	w = begin(k);
	for (i = 0; i < sizeof allowed / sizeof *allowed; i++)
		CHECK(execute(w, allowed[i], &error) == 0, allowed[i]);
	CHECK(settle(w, KNOCKER_HANDLED, &error) == 0,
	      "a savepoint of its own that is still open does not keep it from settling");
	CHECK(ask("select count(*) from app") == 1,
	      "what was rolled back to a savepoint is not there, the rest is");
	knocker_close(k, NULL);
}

static void several_statements(void)
{
	knocker *k = fresh(NULL);
	knocker_error error = {0};
	knocker_work *w;

	ingest(k, "a", "one");
	w = begin(k);
	CHECK(execute(w, "insert into app values(1); commit", &error) == KNOCKER_INVALID_ARGUMENT,
	      "two statements at once are refused");
	CHECK(execute(w, "insert into app values(1); -- a comment\n ;", &error) == 0 ||
	          error.code == KNOCKER_INVALID_ARGUMENT,
	      "a comment after a statement does no harm");
	CHECK(execute(w, "", &error) == KNOCKER_INVALID_ARGUMENT, "no statement is an error");
	CHECK(execute(w, "nonsense", &error) == KNOCKER_SQL && strstr(error.text, "nonsense"),
	      "a syntax error names the word");
	CHECK(settle(w, KNOCKER_FAILED, &error) == 0 && ask("select count(*) from app") == 0,
	      "a failed handler leaves nothing");
	knocker_close(k, NULL);
}

/* ---- the end of the transaction ---- */

static void deferred_foreign_key(void)
{
	knocker *k = fresh(NULL);
	knocker_error error = {0};
	knocker_work *w;

	ingest(k, "a", "one");
	w = begin(k);
	execute(w, "insert into app values(1)", NULL);
	CHECK(execute(w, "insert into child values(77)", NULL) == 0,
	      "a deferred foreign key fails later");
	CHECK(settle(w, KNOCKER_HANDLED, &error) == KNOCKER_SQL && strstr(error.text, "foreign key"),
	      "namely at the end, with that word");
	CHECK(ask("select count(*) from app") == 0 && ask("select count(*) from child") == 0,
	      "and nothing of the handler is kept");
	CHECK(
		ask("select count(*) from knocker_events where status = 'failed' and attempt_count = 1") ==
			1,
		"the attempt failed");
	ingest(k, "a", "two");
	w = begin(k);
	execute(w, "insert into child values(77)", NULL);
	execute(w, "insert into parent values(77)", NULL);
	CHECK(settle(w, KNOCKER_HANDLED, &error) == 0, "a foreign key that holds in the end is fine");
	ingest(k, "a", "three");
	w = begin(k);
	CHECK(execute(w, "insert into child values(78)", NULL) == 0 &&
	          settle(w, KNOCKER_FAILED, &error) == 0,
	      "a failing handler's broken foreign key is rolled back with it");
	CHECK(knocker_close(k, NULL) == 0, "the handle closes");
}

static void half_read_results(void)
{
	knocker *k = fresh(NULL);
	knocker_rows *rows = NULL;
	knocker_error error = {0};
	knocker_work *w;

	ingest(k, "a", "one");
	w = begin(k);
	CHECK(knocker_query(w, T("insert into app values(1), (2), (3) returning x"), NULL, 0, &rows,
	                    &error) == 0,
	      "a RETURNING runs");
	knocker_rows_next(rows);
	knocker_rows_free(rows);
	CHECK(knocker_query(w, T("select x from app"), NULL, 0, &rows, &error) == 0,
	      "a cursor stands open");
	knocker_rows_next(rows);
	CHECK(settle(w, KNOCKER_HANDLED, &error) == 0, "half-read results hinder no commit");
	CHECK(knocker_rows_next(rows) == 0 && row_int(rows, "x") == 2, "and are read on after it");
	knocker_rows_free(rows);
	CHECK(ask("select count(*) from app") == 3, "all rows of the RETURNING are there");
	knocker_close(k, NULL);
}

/* A result over the limit is given up in the middle, by us: the statement must not stay open. */
static void half_read_by_the_core(int32_t outcome)
{
	knocker *k = fresh(NULL);
	knocker_rows *rows = NULL;
	knocker_error error = {0};
	knocker_work *w;

	ingest(k, "a", "one");
	w = begin(k);
	CHECK(knocker_query(w,
	                    T("insert into app values(1), (2), (3), (4) returning zeroblob(23000000)"),
	                    NULL, 0, &rows, &error) == KNOCKER_INVALID_ARGUMENT &&
	          !rows && strstr(error.text, "the result is over"),
	      "a RETURNING over the limit is an error");
	CHECK(execute(w, "insert into app values(5)", &error) == 0, "the transaction goes on");
	CHECK(settle(w, outcome, &error) == 0, "and ends as its handler says");
	CHECK(ask("select count(*) from app where x = 5") == (outcome == KNOCKER_HANDLED),
	      "with its writes or without");
	CHECK(ingest(k, "a", "two") > 0 && knocker_close(k, NULL) == 0, "and the handle works on");
}

/* ---- the disk ---- */

/* A handler that goes on whatever it is told and ends as handled: what counts is what is in the
 * file. */
static void stubborn_handler(knocker *k)
{
	knocker_value blob = {.type = KNOCKER_BLOB};
	static char bytes[40000];
	knocker_request q = {.size = sizeof q,
	                     .endpoint = T("a"),
	                     .body = T("x"),
	                     .verdict = KNOCKER_UNCHECKED};
	knocker_error error = {0};
	knocker_rows *rows;
	knocker_work *w = begin(k);
	int i;

	blob.bytes = (knocker_bytes){bytes, sizeof bytes};
	if (!w)
		return;
	execute(w, "insert into app values(1)", &error);
	for (i = 0; i < 3; i++) {
		knocker_execute(w, T("insert into app values(?1)"), &blob, 1, NULL, NULL, &error);
		knocker_extend(w, 100000, &error);
		if (knocker_work_event(w, &rows, &error) == 0)
			knocker_rows_free(rows);
		if (knocker_work_ingest(w, &q, &rows, &error) == 0)
			knocker_rows_free(rows);
	}
	execute(w, "insert into app values(2)", &error);
	settle(w, KNOCKER_HANDLED, &error);
}

static void judge_stubborn(const char *what)
{
	int64_t effects = ask("select count(*) from app"),
			handled = ask("select count(*) from knocker_events where status = 'handled'");

	CHECK(raw_is_whole(file.path), what);
	CHECK(handled == 0 ? effects == 0 : effects > 0, what);
	CHECK(handled == 0 || ask("select count(*) from app where x = 1 or x = 2") == 2, what);
	CHECK(handled > 0 || ask("select count(*) from _knocker_delivery where body = x'78'") == 0,
	      what);
	CHECK(ask("select count(*) from _knocker_attempt where outcome = 'handled'") == handled, what);
}

static void full_disk(void)
{
	char init[60];
	int pages;

	for (pages = 26; pages < 70; pages++) {
		knocker *k;

		snprintf(init, sizeof init, "pragma max_page_count = %d", pages);
		k = fresh(NULL);
		ingest(k, "a", "one");
		knocker_close(k, NULL);
		k = open_with(file.path, &(knocker_open_options){.clock_ms = START_MS,
		                                                 .init_sql = T(init),
		                                                 .seed = 1});
		if (!k)
			continue;
		stubborn_handler(k);
		CHECK(knocker_close(k, NULL) == 0, "a handle on a full disk closes");
		judge_stubborn("on a full disk a handler's writes are kept whole or not at all");
	}
}

static void failing_disk(vfs_fault fault, bool forever)
{
	int64_t at, fired = 1;

	for (at = 1; fired; at++) {
		knocker *k = fresh("pragma cache_size = 2"); /* so that pages are written and read in the
		                                                middle */

		ingest(k, "a", "one");
		vfs_arm(fault, at);
		vfs.forever = forever;
		stubborn_handler(k);
		fired = vfs.fired;
		vfs_arm(VFS_PASS, 0);
		CHECK(ingest(k, "a", "after") > 0, "once the disk is mended the handle receives");
		CHECK(knocker_close(k, NULL) == 0, "a handle on a failing disk closes");
		judge_stubborn("on a failing disk a handler's writes are kept whole or not at all");
	}
	CHECK(at > 3, "there were writes to fail");
}

static void failing_commit_is_recorded(void)
{
	knocker *k = fresh(NULL);
	knocker_error error = {0};
	knocker_work *w;

	ingest(k, "a", "one");
	w = begin(k);
	execute(w, "insert into app values(1)", NULL);
	vfs_arm(VFS_FAIL, 1);
	CHECK(settle(w, KNOCKER_HANDLED, &error) == KNOCKER_STORAGE,
	      "a commit that meets an I/O error says so");
	vfs_arm(VFS_PASS, 0);
	CHECK(ask("select count(*) from app") == 0, "it leaves nothing");
	CHECK(
		ask("select count(*) from knocker_events where status = 'failed' and attempt_count = 1") ==
			1,
		"and the attempt is recorded as failed");
	knocker_close(k, NULL);
}

int main(void)
{
	file_new(&file);
	vfs_install();
	vfs.hurried = true;
	rolled_back_by_sqlite();
	refused_statements();
	allowed_statements();
	several_statements();
	deferred_foreign_key();
	half_read_results();
	half_read_by_the_core(KNOCKER_HANDLED);
	half_read_by_the_core(KNOCKER_FAILED);
	full_disk();
	failing_disk(VFS_FAIL, false);
	failing_disk(VFS_FAIL, true);
	failing_disk(VFS_FULL, false);
	failing_disk(VFS_FULL, true);
	failing_disk(VFS_FAIL_READ, false);
	failing_disk(VFS_FAIL_READ, true);
	failing_commit_is_recorded();
	file_end(&file);
	return check_end("rollback");
}
