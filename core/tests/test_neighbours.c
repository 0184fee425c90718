/* Each way in which a transaction ends behind our back, with receipts beside it: nothing of what
 * failed is kept, its neighbours are stored, once, and no statement ever wrote in autocommit. */
#include "hard_memory.h"
#include "hard_vfs.h"

#define SENDERS 6

static test_file file;

static int64_t ask(const char *sql)
{
	return raw_int(file.path, sql);
}

/* ---- what watches, and what an application may bring along ---- */

static _Atomic bool watched;
static _Atomic int alone; /* statements that wrote without a transaction around them */

static int watch(unsigned kind, void *context, void *statement, void *text)
{
	sqlite3_stmt *s = statement;
	const char *sql = text;

	(void)kind;
	(void)context;
	if (watched && sqlite3_get_autocommit(sqlite3_db_handle(s)) && !sqlite3_stmt_readonly(s) &&
	    strncmp(sql, "--", 2) != 0 && sqlite3_strnicmp(sql, "begin", 5) != 0 &&
	    sqlite3_strnicmp(sql, "pragma", 6) != 0) {
		alone++;
		printf("in autocommit: %.80s\n", sql);
	}
	return 0;
}

/* stop(): the connection that calls it is interrupted. */
static void stop(sqlite3_context *context, int argc, sqlite3_value **argv)
{
	(void)argc;
	(void)argv;
	sqlite3_interrupt(sqlite3_context_db_handle(context));
	sqlite3_result_int(context, 1);
}

static int equip(sqlite3 *handle, char **message, const void *api)
{
	(void)message;
	(void)api;
	sqlite3_trace_v2(handle, SQLITE_TRACE_STMT, watch, NULL);
	return sqlite3_create_function(handle, "stop", 0, SQLITE_UTF8, NULL, stop, NULL, NULL);
}

static void equip_all(void)
{
	union {
		int (*takes_handle)(sqlite3 *, char **, const void *);
		void (*takes_nothing)(void);
	} entry = {.takes_handle = equip};

	sqlite3_auto_extension(entry.takes_nothing);
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
		"create table app(x); create table rolls(x); create table noted(x);"
		"create trigger rolling before insert on rolls begin select raise(rollback, 'rolled'); end;"
		"create table single(x unique on conflict rollback); insert into single values(1);"
		"create table parent(id integer primary key);"
		"create table child(p references parent deferrable initially deferred);"
		"create table many(x); with n(i) as (select 1 union all select i + 1 from n where i < 500)"
		"insert into many select i from n;");
	alone = 0;
	watched = true;
	return k;
}

static void finish(knocker *k)
{
	watched = false;
	CHECK(knocker_close(k, NULL) == 0 && raw_is_whole(file.path),
	      "the handle closes, the file is whole");
}

/* ---- a handler fails, receipts stand in line behind it ---- */

typedef struct {
	knocker *k;
	int number;
	int64_t event;
} sender;

static void *send_one(void *context)
{
	sender *s = context;
	char key[20];

	snprintf(key, sizeof key, "n%d", s->number);
	s->event = ingest(s->k, "a", key);
	return NULL;
}

static void disk_is_full(void)
{
	vfs_arm(VFS_FULL, 1);
	vfs.forever = true;
}

static void disk_fails(void)
{
	vfs_arm(VFS_FAIL, 1);
	vfs.forever = true;
}

static void memory_is_gone(void)
{
	lite_arm(1, true);
}

static void mended(void)
{
	vfs_arm(VFS_PASS, 0);
	lite_arm(0, false);
}

typedef enum {
	REFUSED, /* the statement is, and the transaction goes on: the handler gives up by itself */
	ROLLED,  /* SQLite rolled back: each later call raises the cause */
	EITHER,
	AT_THE_END
} ending;

typedef struct {
	const char *sql;
	ending ending;
	void (*before)(void);
} failure;

static const failure failures[] = {
	{"insert into rolls values(1)", ROLLED, NULL},
	{"insert into single values(1)", ROLLED, NULL},
	{"insert or rollback into parent values(1), (1)", ROLLED, NULL},
	{"insert into app select x + stop() from many", ROLLED, NULL},
	{"insert into app select randomblob(40000) from many limit 20", EITHER, disk_is_full},
	{"insert into app select randomblob(40000) from many limit 20", EITHER, disk_fails},
	{"insert into app select randomblob(40000) from many limit 20", EITHER, memory_is_gone},
	{"commit", REFUSED, NULL},
	{"rollback", REFUSED, NULL},
	{"attach ':memory:' as other", REFUSED, NULL},
	{"insert into child values(77)", AT_THE_END, NULL},
};

/* One row of a RETURNING is looked at, and a cursor is left where it stands. */
static void leave_things_open(knocker_work *w, knocker_rows **returning, knocker_rows **cursor)
{
	CHECK(knocker_query(w, T("insert into app values(10), (11), (12) returning x"), NULL, 0,
	                    returning, NULL) == 0 &&
	          knocker_rows_next(*returning) == 0,
	      "a RETURNING is half read");
	CHECK(knocker_query(w, T("select x from many"), NULL, 0, cursor, NULL) == 0 &&
	          knocker_rows_next(*cursor) == 0,
	      "a cursor is open");
}

static int32_t run_failure(knocker_work *w, const failure *f)
{
	knocker_error error = {0};
	int32_t rc;

	if (f->before)
		f->before();
	rc = execute(w, f->sql, &error);
	mended();
	CHECK(f->ending == AT_THE_END ? rc == 0 : rc < 0 && error.text[0], f->sql);
	rc = execute(w, "insert into app values(2)", NULL);
	if (f->ending == ROLLED)
		CHECK(rc < 0, "after SQLite rolled back each later statement raises the cause");
	if (f->ending == REFUSED)
		CHECK(rc == 0, "a refused statement ends nothing");
	return settle(w, f->ending == REFUSED || f->ending == EITHER ? KNOCKER_FAILED : KNOCKER_HANDLED,
	              NULL);
}

static void judge_handler(const failure *f, const sender *senders)
{
	int i, answered = 0;

	for (i = 0; i < SENDERS; i++)
		answered += senders[i].event > 0;
	CHECK(answered == SENDERS, f->sql);
	CHECK(ask("select count(*) from _knocker_delivery where dedupe_key glob 'n*'") == SENDERS,
	      "each receipt that waited for a handler which failed is stored, once");
	CHECK(ask("select count(*) from app") == 0 && ask("select count(*) from child") == 0, f->sql);
	CHECK(
		ask("select count(*) from knocker_events where status = 'failed' and attempt_count = 1") ==
				1 &&
			ask("select count(*) from _knocker_attempt where outcome = 'failed'") == 1,
		"its attempt is on record");
	CHECK(alone == 0, "and nothing was written in autocommit");
}

static void a_handler_fails(const failure *f, bool open)
{
	knocker *k = fresh("pragma cache_size = 2");
	knocker_rows *returning = NULL, *cursor = NULL;
	sender senders[SENDERS];
	pthread_t threads[SENDERS];
	knocker_work *w = NULL;
	int32_t rc;
	held h;
	int i;

	ingest(k, "a", "handled");
	claim_one(k, "w", &h);
	knocker_work_begin(k, h.job, h.claim, &w, NULL);
	CHECK(execute(w, "insert into app values(1)", NULL) == 0, "a handler's first write succeeds");
	if (open)
		leave_things_open(w, &returning, &cursor);
	for (i = 0; i < SENDERS; i++) {
		senders[i] = (sender){k, i, 0};
		pthread_create(&threads[i], NULL, send_one, &senders[i]);
	}
	sleep_ms(10); /* most of them stand in line by now */
	rc = run_failure(w, f);
	CHECK(f->ending == ROLLED || f->ending == AT_THE_END ? rc == KNOCKER_SQL : rc == 0,
	      "a handler that failed is not handled");
	for (i = 0; i < SENDERS; i++)
		pthread_join(threads[i], NULL);
	knocker_rows_free(returning);
	knocker_rows_free(cursor);
	judge_handler(f, senders);
	finish(k);
}

/* ---- one receipt of a batch fails ---- */

typedef struct {
	const char *sentence, *action;
} spoiler; /* what the application's schema does when a bad receipt is stored */

static const spoiler spoilers[] = {
	{"RAISE(ROLLBACK)", "select raise(rollback, 'spoiled')"},
	{"RAISE(ABORT)", "select raise(abort, 'spoiled')"},
	{"RAISE(FAIL)", "select raise(fail, 'spoiled')"},
	{"ON CONFLICT ROLLBACK", "insert into single values(1)"},
	{"an interrupt", "insert into noted select x + stop() from many"},
	{"a deferred foreign key", "insert into child values(77)"},
};

/* Each receipt that is stored writes a row of the application's before the bad one fails. */
static knocker *spoiled(const spoiler *s)
{
	knocker *k = fresh(NULL);
	char sql[400];

	watched = false;
	snprintf(sql, sizeof sql,
	         "create trigger spoil after insert on _knocker_delivery begin "
	         "insert into app values(new.id); end;"
	         "create trigger spoil_bad after insert on _knocker_job when (select body = x'626164' "
	         "from _knocker_delivery d where d.id = new.id) begin %s; end",
	         s->action);
	raw_do(file.path, sql);
	watched = true;
	return k;
}

/* How many of `count` were answered as received; which, in `good`. -1: the call itself failed. */
static int receive_many(knocker *k, int count, bool (*bad)(int), bool *good)
{
	knocker_request requests[16];
	const knocker_request *all[16];
	char keys[16][16];
	knocker_rows *rows;
	int i, answered = 0;

	for (i = 0; i < count; i++) {
		snprintf(keys[i], sizeof keys[i], "n%d", i);
		requests[i] = (knocker_request){.size = sizeof requests[i],
		                                .endpoint = T("a"),
		                                .dedupe_key = T(keys[i]),
		                                .body = bad && bad(i) ? T("bad") : T("good")};
		all[i] = &requests[i];
		good[i] = false;
	}
	if (knocker_receive_many(k, all, count, &rows, NULL) < 0)
		return -1;
	for (i = 0; knocker_rows_next(rows) == 0; i++) {
		good[i] = row_int(rows, "error_code") == 0 && row_int(rows, "event_id") > 0;
		answered += good[i];
	}
	knocker_rows_free(rows);
	return answered;
}

static bool third_and_eighth(int i)
{
	return i == 2 || i == 7;
}

static void a_receipt_fails(const spoiler *s)
{
	knocker *k = spoiled(s);
	bool good[16];
	int i, wrong = 0;

	CHECK(receive_many(k, 12, third_and_eighth, good) == 10, s->sentence);
	for (i = 0; i < 12; i++)
		wrong += good[i] == third_and_eighth(i);
	CHECK(wrong == 0, "it fails alone");
	CHECK(ask("select count(*) from _knocker_delivery where body = x'676f6f64'") == 10 &&
	          ask("select count(*) from _knocker_delivery") == 10 &&
	          ask("select count(*) from _knocker_job") == 10,
	      "its neighbours are stored, once, and it is not");
	CHECK(ask("select count(*) from app") == 10 && ask("select count(*) from child") == 0 &&
	          ask("select count(*) from noted") == 0,
	      "nothing that the application's schema wrote for it is kept");
	CHECK(alone == 0, "and nothing was written in autocommit");
	CHECK(receive_many(k, 12, third_and_eighth, good) == 10 &&
	          ask("select count(*) from _knocker_job") == 10,
	      "sent again, the good ones are known");
	finish(k);
}

/* The same receipt, brought by a handler. */
static void a_handlers_receipt_fails(const spoiler *s, bool goes_on)
{
	knocker *k = spoiled(s);
	knocker_request q = {.size = sizeof q,
	                     .endpoint = T("a"),
	                     .body = T("bad"),
	                     .verdict = KNOCKER_VALID};
	knocker_error error = {0};
	knocker_rows *rows = NULL;
	knocker_work *w = NULL;
	bool rolled, deferred = strstr(s->action, "child") != NULL;
	int32_t rc;
	held h;

	ingest(k, "a", "handled");
	claim_one(k, "w", &h);
	knocker_work_begin(k, h.job, h.claim, &w, NULL);
	execute(w, "insert into app values('h')", NULL);
	rc = knocker_work_ingest(w, &q, &rows, &error);
	CHECK(deferred ? rc == 0 : rc < 0 && !rows, s->sentence);
	knocker_rows_free(rows);
	rolled = execute(w, "insert into app values('h')", &error) < 0;
	rc = settle(w, rolled || goes_on ? KNOCKER_HANDLED : KNOCKER_FAILED, &error);
	CHECK((rolled || deferred) && goes_on ? rc < 0 : true,
	      "what was rolled back cannot be handled");
	CHECK(ask("select count(*) from app where x = 'h'") == (rc == 0 && !rolled && goes_on ? 2 : 0),
	      "the handler's own writes are kept together or not at all");
	CHECK(ask("select count(*) from _knocker_delivery") == 1 &&
	          ask("select count(*) from child") == 0,
	      "a bad receipt that a handler brought is not stored");
	CHECK(alone == 0, "and nothing was written in autocommit");
	finish(k);
}

/* ---- a batch meets a failing disk, or no memory ---- */

/* False: the fault lay beyond the batch. */
static bool batch_meets(void (*arm)(int64_t at), int64_t at, const char *sentence)
{
	knocker *k = fresh("pragma cache_size = 2");
	bool good[16], fired;
	char sql[120];
	int i, wrong = 0, answered;

	receive_many(k, 1, NULL, good); /* its statements are compiled, its pages read */
	watched = false;
	raw_do(file.path, "delete from _knocker_job; delete from _knocker_delivery");
	watched = true;
	arm(at);
	answered = receive_many(k, 8, NULL, good);
	fired = vfs.fired > 0 || (lite.at > 0 && lite.count >= lite.at);
	mended();
	for (i = 0; i < 8; i++) {
		int64_t stored;

		snprintf(sql, sizeof sql, "select count(*) from _knocker_delivery where dedupe_key = 'n%d'",
		         i);
		stored = ask(sql);
		wrong += good[i] ? stored != 1 : answered >= 0 && stored != 0;
	}
	CHECK(wrong == 0, sentence);
	CHECK(alone == 0, "nothing was written in autocommit");
	CHECK(receive_many(k, 8, NULL, good) == 8 && ask("select count(*) from _knocker_job") == 8,
	      "once it is mended all are received, once");
	finish(k);
	return fired;
}

static void arm_full(int64_t at)
{
	vfs_arm(VFS_FULL, at);
}

static void arm_failing(int64_t at)
{
	vfs_arm(VFS_FAIL, at);
}

static void arm_memory(int64_t at)
{
	lite_arm(at, false);
}

static void batches_meet(const char *sentence, void (*arm)(int64_t), int64_t stride)
{
	int64_t at;

	for (at = 1; batch_meets(arm, at, sentence); at += stride)
		;
	CHECK(at > 10, "there was something to fail");
}

int main(void)
{
	size_t i;

	lite_install();
	vfs_install();
	lite.here = true; /* the neighbours' own memory and writes are in order */
	vfs.here = true;
	equip_all();
	file_new(&file);
	for (i = 0; i < sizeof failures / sizeof *failures; i++) {
		a_handler_fails(&failures[i], false);
		a_handler_fails(&failures[i], true);
	}
	for (i = 0; i < sizeof spoilers / sizeof *spoilers; i++) {
		a_receipt_fails(&spoilers[i]);
		a_handlers_receipt_fails(&spoilers[i], true);
		a_handlers_receipt_fails(&spoilers[i], false);
	}
	batches_meet("a batch on a full disk: stored is what was answered", arm_full, 1);
	batches_meet("a batch on a failing disk: stored is what was answered", arm_failing, 1);
	batches_meet("a batch without memory: stored is what was answered", arm_memory, 7);
	file_end(&file);
	return check_end("neighbours");
}
