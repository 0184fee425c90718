/* Receipts of many threads: those that share a commit do not share a fate, and what was answered is
 * stored once. */
#include "hard_vfs.h"

static test_file file;

#define THREADS 16

static int64_t ask(const char *sql)
{
	return raw_int(file.path, sql);
}

static knocker *fresh(const knocker_open_options *given)
{
	knocker *k;

	file_clear(&file);
	k = open_with(file.path, given);
	endpoint_named(k, "a");
	raw_do(file.path, "create table app(x)");
	return k;
}

static knocker_work *begin_any(knocker *k)
{
	knocker_work *w = NULL;
	held h;

	if (claim_one(k, "w", &h) == 0)
		knocker_work_begin(k, h.job, h.claim, &w, NULL);
	return w;
}

/* ---- threads with receipts ---- */

typedef struct {
	knocker *k;
	int number, count;
	const char *body; /* NULL: "{}" */
	int64_t result;   /* of the last receipt */
	int answered;
	knocker_error error;
} sender;

/* Half of the keys are its own, half are everybody's. */
static void *send_many(void *context)
{
	sender *s = context;
	char key[40];
	int i;

	for (i = 0; i < s->count; i++) {
		snprintf(key, sizeof key, i % 2 ? "own-%d-%d" : "shared-%d", i % 2 ? s->number : i, i);
		s->result = ingest_bytes(s->k, "a", key, T(s->body ? s->body : "{}"), &s->error);
		s->answered += s->result > 0;
	}
	return NULL;
}

static void *send_one(void *context)
{
	sender *s = context;
	char key[40];

	snprintf(key, sizeof key, "one-%d", s->number);
	s->result = ingest_bytes(s->k, "a", key, T(s->body ? s->body : "{}"), &s->error);
	s->answered = s->result > 0;
	return NULL;
}

static void run_threads(sender *senders, int count, void *(*act)(void *))
{
	pthread_t threads[THREADS];
	int i;

	for (i = 0; i < count; i++)
		pthread_create(&threads[i], NULL, act, &senders[i]);
	for (i = 0; i < count; i++)
		pthread_join(threads[i], NULL);
}

static void every_answer_is_stored(void)
{
	knocker *k = fresh(NULL);
	sender senders[THREADS];
	int i, answered = 0;

	for (i = 0; i < THREADS; i++)
		senders[i] = (sender){.k = k, .number = i, .count = 100};
	run_threads(senders, THREADS, send_many);
	for (i = 0; i < THREADS; i++)
		answered += senders[i].answered;
	CHECK(answered == THREADS * 100, "every receipt of 16 threads is answered");
	CHECK(ask("select count(*) from _knocker_delivery") == answered, "and stored");
	CHECK(ask("select count(*) from _knocker_job") == THREADS * 50 + 50,
	      "and a key that all of them sent is one event");
	CHECK(raw_is_whole(file.path), "the file is whole");
	knocker_close(k, NULL);
}

/* ---- a batch ---- */

/* Holds the writer with a handler's transaction until all senders stand in line: they share a
 * commit. */
static void run_as_one_batch(knocker *k, sender *senders, int count, void (*before)(void))
{
	pthread_t threads[THREADS];
	knocker_work *w;
	int i;

	ingest(k, "a", "holder");
	w = begin_any(k);
	execute(w, "insert into app values('held')", NULL);
	for (i = 0; i < count; i++)
		pthread_create(&threads[i], NULL, send_one, &senders[i]);
	sleep_ms(60);
	if (before)
		before();
	settle(w, KNOCKER_HANDLED, NULL);
	for (i = 0; i < count; i++)
		pthread_join(threads[i], NULL);
}

static void one_bad_among_good(const char *raise, int32_t code)
{
	knocker *k = fresh(&(knocker_open_options){.synchronous = KNOCKER_SYNC_NORMAL});
	sender senders[THREADS];
	char sql[300];
	int i, good = 0, bad = 0;

	snprintf(
		sql, sizeof sql,
		"create trigger bad before insert on _knocker_delivery when new.body = x'626164' begin "
		"select raise(%s, 'a bad receipt'); end",
		raise);
	raw_do(file.path, sql);
	for (i = 0; i < THREADS; i++)
		senders[i] = (sender){.k = k, .number = i, .body = i % 5 == 3 ? "bad" : "good"};
	run_as_one_batch(k, senders, THREADS, NULL);
	for (i = 0; i < THREADS; i++) {
		good += i % 5 != 3 && senders[i].answered;
		bad += i % 5 == 3 && senders[i].result == code &&
		       strstr(senders[i].error.text, "a bad receipt") != NULL;
	}
	CHECK(good == 13 && bad == 3, "a bad receipt fails alone, with its cause");
	CHECK(ask("select count(*) from _knocker_delivery where body = x'676f6f64'") == 13,
	      "its neighbours are stored, once");
	CHECK(ask("select count(*) from _knocker_delivery where body = x'626164'") == 0, "it is not");
	CHECK(raw_is_whole(file.path), "the file is whole");
	knocker_close(k, NULL);
}

static int64_t batch_fault_at;

static void batch_fault(void)
{
	vfs_arm(VFS_FAIL, batch_fault_at);
}

/* The handler's own commit writes first; the batch's writes follow. */
static void batch_on_a_failing_disk(void)
{
	int i, wrong = 0, fired = 1;
	char sql[120];

	for (batch_fault_at = 3; fired; batch_fault_at++) {
		knocker *k = fresh(NULL);
		sender senders[8];

		for (i = 0; i < 8; i++)
			senders[i] = (sender){.k = k, .number = i};
		run_as_one_batch(k, senders, 8, batch_fault);
		fired = (int)vfs.fired;
		vfs_arm(VFS_PASS, 0);
		for (i = 0; i < 8; i++) {
			snprintf(sql, sizeof sql,
			         "select count(*) from _knocker_delivery where dedupe_key = 'one-%d'", i);
			wrong += ask(sql) != senders[i].answered;
		}
		CHECK(raw_is_whole(file.path), "a batch on a failing disk leaves a whole file");
		knocker_close(k, NULL);
	}
	CHECK(wrong == 0, "on a failing disk what was answered is stored once, and what failed is not");
	CHECK(batch_fault_at > 15, "the faults met the batch");
}

/* ---- receive_many ---- */

static void many_with_bad_ones(void)
{
	static char large[6000000];
	knocker *k = fresh(&(knocker_open_options){.synchronous = KNOCKER_SYNC_NORMAL});
	knocker_request good = {.size = sizeof good, .endpoint = T("a"), .body = T("{}")};
	knocker_request unknown = good, broken = good, huge = good, odd = good;
	const knocker_request *all[] = {&good, &unknown, &good, &broken, NULL, &huge, &odd, &good};
	const int64_t codes[] =
		{0, KNOCKER_UNKNOWN_ENDPOINT, 0, KNOCKER_INVALID_ARGUMENT, KNOCKER_INVALID_ARGUMENT,
	     0, KNOCKER_INVALID_ARGUMENT, 0};
	knocker_rows *rows = NULL;
	int i = 0, right = 0;

	unknown.endpoint = T("nobody");
	broken.headers = T("no colon here\n");
	huge.body = (knocker_bytes){large, sizeof large};
	odd.size = 3;
	CHECK(knocker_receive_many(k, all, 8, &rows, NULL) == 0, "many requests are received together");
	for (; knocker_rows_next(rows) == 0; i++) {
		char text[300];
		bool failed = codes[i] != 0;

		right += row_int(rows, "error_code") == codes[i] &&
		         failed == (row_int(rows, "status_code") < 0) &&
		         failed == (row_text(rows, "error", text, sizeof text)[0] != '\0');
	}
	knocker_rows_free(rows);
	CHECK(i == 8 && right == 8, "each has its row, in order, and a bad one fails alone");
	CHECK(ask("select count(*) from _knocker_job") == 3, "the good ones are events");
	CHECK(ask("select signature_error like '%over the limit%' from _knocker_delivery "
	          "where event_id is null") == 1,
	      "one that is too large is an orphan");
	knocker_close(k, NULL);
}

/* ---- busy ---- */

/* Another process that writes and does not come to an end. */
static int hog(void *context)
{
	int *const *ends = context;
	sqlite3 *h = raw_open(file.path);
	char c = 'x';

	sqlite3_exec(h, "begin immediate; insert into app values('hog')", NULL, NULL, NULL);
	if (write(ends[0][1], &c, 1) != 1 || read(ends[1][0], &c, 1) < 0)
		return 1;
	sqlite3_exec(h, "rollback", NULL, NULL, NULL);
	sqlite3_close(h);
	return 0;
}

static void busy_calls(knocker *k, held h)
{
	knocker_error error = {0};
	knocker_claim_options o = {.size = sizeof o, .worker_id = T("w")};
	knocker_rows *rows;
	knocker_work *w = NULL;
	int64_t began = now_us();

	CHECK(ingest_bytes(k, "a", "busy", T("{}"), &error) == KNOCKER_BUSY &&
	          strstr(error.text, "another connection writes"),
	      "a receipt that cannot be written is busy, and says by what");
	CHECK(now_us() - began > 150000 && now_us() - began < 1500000, "after it waited as told");
	CHECK(knocker_claim(k, &o, &rows, &error) == KNOCKER_BUSY && !rows, "so is a claim");
	CHECK(endpoint_named(k, "b") == KNOCKER_BUSY, "and an endpoint's registration");
	CHECK(knocker_release(k, h.job, h.claim, &error) == KNOCKER_BUSY, "and a release");
	CHECK(knocker_work_begin(k, h.job, h.claim, &w, &error) == 0 && w,
	      "a handler begins, it has locked nothing");
	CHECK(execute(w, "insert into app values('w')", &error) == KNOCKER_BUSY,
	      "its first write is busy");
	CHECK(settle(w, KNOCKER_HANDLED, &error) == KNOCKER_BUSY, "and so is its settlement");
	CHECK(knocker_list(k, &(knocker_filter){.size = sizeof(knocker_filter), .kind = KNOCKER_EVENT},
	                   &rows, NULL) == 0,
	      "readers are not hindered");
	knocker_rows_free(rows);
}

static void busy_file(void)
{
	int there[2], go[2], *ends[2] = {there, go};
	knocker *k = fresh(NULL);
	held h;
	pid_t pid;
	char c;

	ingest(k, "a", "one");
	knocker_close(k, NULL);
	if (pipe(there) != 0 || pipe(go) != 0)
		exit(2);
	pid = child_start(hog, ends);
	CHECK(read(there[0], &c, 1) == 1, "another process holds the write lock");
	k = open_with(file.path, &(knocker_open_options){.busy_timeout_ms = 200});
	CHECK(k != NULL, "a file that somebody writes to is opened");
	CHECK(claim_one(k, "w", &h) == KNOCKER_BUSY, "a claim is busy");
	CHECK(write(go[1], "x", 1) == 1 && child_end(pid) == 0, "the other process ends");
	claim_one(k, "w", &h);
	knocker_close(k, NULL);
	pid = child_start(hog, ends);
	CHECK(read(there[0], &c, 1) == 1, "another process holds the write lock again");
	k = open_with(file.path, &(knocker_open_options){.busy_timeout_ms = 200});
	busy_calls(k, h);
	CHECK(write(go[1], "x", 1) == 1 && child_end(pid) == 0, "the other process ends");
	CHECK(ask("select count(*) from _knocker_delivery") == 1 &&
	          ask("select count(*) from app") == 0 &&
	          ask("select count(*) from _knocker_endpoint") == 1 &&
	          ask("select count(*) from _knocker_attempt") == 0,
	      "nothing was half done");
	CHECK(ingest(k, "a", "after") > 0, "and then it works");
	knocker_close(k, NULL);
}

/* Followers whose patience ends while they stand in line. */
static void impatient_followers(void)
{
	knocker *k = fresh(
		&(knocker_open_options){.synchronous = KNOCKER_SYNC_NORMAL, .busy_timeout_ms = 15});
	sender senders[THREADS];
	int round, i, wrong = 0;
	char sql[160];

	for (round = 0; round < 12; round++) {
		for (i = 0; i < THREADS; i++)
			senders[i] = (sender){.k = k, .number = round * THREADS + i};
		run_as_one_batch(k, senders, THREADS, NULL);
		for (i = 0; i < THREADS; i++) {
			snprintf(sql, sizeof sql,
			         "select count(*) from _knocker_delivery where dedupe_key = 'one-%d'",
			         senders[i].number);
			wrong += ask(sql) != senders[i].answered;
			wrong += !senders[i].answered && senders[i].result != KNOCKER_BUSY;
		}
	}
	CHECK(wrong == 0, "who left the line was not stored, who stayed was");
	knocker_close(k, NULL);
}

/* nap(ms): an application's function that takes its time. */
static void nap(sqlite3_context *context, int argc, sqlite3_value **argv)
{
	(void)argc;
	sleep_ms(sqlite3_value_int64(argv[0]));
	sqlite3_result_int(context, 1);
}

static int nap_equip(sqlite3 *handle, char **message, const void *api)
{
	(void)message;
	(void)api;
	return sqlite3_create_function(handle, "nap", 1, SQLITE_UTF8, NULL, nap, NULL, NULL);
}

/* Followers whose patience ends after a leader took their receipts, which it stores slowly: they
 * stay, since it reads what is theirs. */
static void followers_that_were_taken(void)
{
	union {
		int (*takes_handle)(sqlite3 *, char **, const void *);
		void (*takes_nothing)(void);
	} entry = {.takes_handle = nap_equip};
	sender senders[THREADS];
	int round, i, answered = 0, wrong = 0;
	char sql[160];
	knocker *k;

	sqlite3_auto_extension(entry.takes_nothing);
	k = fresh(&(knocker_open_options){.synchronous = KNOCKER_SYNC_NORMAL, .busy_timeout_ms = 70});
	raw_do(file.path, "create trigger slow after insert on _knocker_delivery begin "
	                  "select nap(8); end");
	for (round = 0; round < 5; round++) {
		for (i = 0; i < THREADS; i++)
			senders[i] = (sender){.k = k, .number = round * THREADS + i};
		run_as_one_batch(k, senders, THREADS, NULL);
		for (i = 0; i < THREADS; i++) {
			snprintf(sql, sizeof sql,
			         "select count(*) from _knocker_delivery where dedupe_key = 'one-%d'",
			         senders[i].number);
			answered += senders[i].answered;
			wrong += ask(sql) != senders[i].answered;
		}
	}
	CHECK(wrong == 0, "who was taken along is answered, however long it takes");
	CHECK(answered > 0, "and some were");
	knocker_close(k, NULL);
	sqlite3_reset_auto_extension();
}

int main(void)
{
	file_new(&file);
	busy_file();
	vfs_install();
	every_answer_is_stored();
	one_bad_among_good("abort", KNOCKER_STORAGE);
	one_bad_among_good("fail", KNOCKER_STORAGE);
	one_bad_among_good("rollback", KNOCKER_STORAGE);
	batch_on_a_failing_disk();
	many_with_bad_ones();
	impatient_followers();
	followers_that_were_taken();
	file_end(&file);
	return check_end("group");
}
