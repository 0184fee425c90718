/* Handlers that keep the writer, threads and processes that all want it: nobody waits for ever,
 * nobody is passed over, and a handler that hangs is ended. */
#include "hard_file.h"

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

/* ---- nap(ms): an application's function that takes its time ---- */

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

static void nap_everywhere(void)
{
	union {
		int (*takes_handle)(sqlite3 *, char **, const void *);
		void (*takes_nothing)(void);
	} entry = {.takes_handle = nap_equip};

	sqlite3_auto_extension(entry.takes_nothing);
}

/* ---- handlers that keep the writer ---- */

static void handler_in_the_way(void)
{
	knocker *k = fresh(
		&(knocker_open_options){.synchronous = KNOCKER_SYNC_NORMAL, .busy_timeout_ms = 150});
	knocker_error error = {0};
	knocker_work *w;

	ingest(k, "a", "one");
	w = begin_any(k);
	CHECK(ingest(k, "a", "two") > 0, "a handler that has not touched its tx hinders no receipt");
	execute(w, "insert into app values(1)", NULL);
	CHECK(ingest_bytes(k, "a", "three", T("{}"), &error) == KNOCKER_BUSY &&
	          strstr(error.text, "a handler"),
	      "while one keeps the writer a receipt is busy, and says that a handler does");
	CHECK(settle(w, KNOCKER_HANDLED, NULL) == 0 && ingest(k, "a", "three") > 0,
	      "and then it is received");
	CHECK(ask("select count(*) from _knocker_job") == 3, "each once");
	knocker_close(k, NULL);
}

static void hung_handler_is_ended(void)
{
	knocker *k = fresh(
		&(knocker_open_options){.synchronous = KNOCKER_SYNC_NORMAL, .visibility_ms = 200});
	knocker_error error = {0};
	knocker_work *w;
	int64_t began;

	ingest(k, "a", "one");
	w = begin_any(k);
	execute(w, "insert into app values('hung')", NULL);
	began = now_us();
	CHECK(ingest(k, "a", "two") > 0, "a receipt gets past a handler that hangs");
	CHECK(now_us() - began > 100000 && now_us() - began < 2400000, "once its lease is over");
	CHECK(execute(w, "insert into app values('hung')", &error) == KNOCKER_LEASE_LOST,
	      "its tx says: lease lost");
	sleep_ms(5);
	CHECK(handle_one(k, "w2", "insert into app values('again')") > 0 &&
	          handle_one(k, "w2", "insert into app values('again')") > 0,
	      "another worker runs the event, and the one that waited");
	CHECK(settle(w, KNOCKER_HANDLED, &error) == KNOCKER_LEASE_LOST, "and it settles nothing");
	CHECK(ask("select count(*) from app where x = 'again'") == 2 &&
	          ask("select count(*) from app") == 2,
	      "the effect of each is there once");
	CHECK(knocker_close(k, NULL) == 0, "the handle closes");
}

static void *receive_aside(void *k)
{
	return ingest(k, "a", "aside") > 0 ? k : NULL;
}

/* In the middle of a statement its connection is nobody else's: it is ended after that. */
static void hung_in_a_statement(void)
{
	knocker *k = fresh(
		&(knocker_open_options){.synchronous = KNOCKER_SYNC_NORMAL, .visibility_ms = 200});
	knocker_error error = {0};
	pthread_t thread;
	knocker_work *w;
	void *received;
	int32_t rc;

	ingest(k, "a", "one");
	w = begin_any(k);
	execute(w, "insert into app values('slow')", NULL);
	pthread_create(&thread, NULL, receive_aside, k);
	rc = execute(w, "insert into app select nap(600) from app", &error);
	CHECK(rc == 0, "a statement that outlives the lease runs to its end");
	pthread_join(thread, &received);
	CHECK(received == k, "then the receipt that waited has its turn");
	CHECK(execute(w, "insert into app values('late')", &error) == KNOCKER_LEASE_LOST &&
	          settle(w, KNOCKER_HANDLED, &error) == KNOCKER_LEASE_LOST,
	      "and the handler has lost its lease");
	CHECK(ask("select count(*) from app") == 0 && ask("select count(*) from knocker_events") == 2,
	      "with all that it wrote, and nothing else");
	knocker_close(k, NULL);
}

static void extended_handler_is_not(void)
{
	knocker *k = fresh(&(knocker_open_options){.synchronous = KNOCKER_SYNC_NORMAL,
	                                           .visibility_ms = 200,
	                                           .busy_timeout_ms = 500});
	knocker_work *w;

	ingest(k, "a", "one");
	w = begin_any(k);
	execute(w, "insert into app values('slow')", NULL);
	CHECK(knocker_extend(w, 60000, NULL) == 0, "a handler extends its lease");
	CHECK(ingest(k, "a", "two") == KNOCKER_BUSY, "so nobody ends it");
	CHECK(settle(w, KNOCKER_HANDLED, NULL) == 0 && ask("select count(*) from app") == 1,
	      "and it commits");
	knocker_close(k, NULL);
}

/* ---- many of everything ---- */

typedef struct {
	knocker *k;
	int number;
	_Atomic int *left, *failures;
} actor;

static void *act_work(void *context)
{
	actor *a = context;
	char sql[80];

	while (*a->left > 0) {
		knocker_work *w = NULL;
		int32_t rc;
		held h;

		rc = claim_one(a->k, "w", &h);
		if (rc == 0)
			rc = knocker_work_begin(a->k, h.job, h.claim, &w, NULL);
		if (rc < 0)
			(*a->failures)++;
		if (!w) {
			sleep_ms(1);
			continue;
		}
		snprintf(sql, sizeof sql, "insert into app values(%lld)", (long long)h.job);
		rc = execute(w, sql, NULL);
		if (settle(w, rc < 0 ? KNOCKER_FAILED : KNOCKER_HANDLED, NULL) < 0)
			(*a->failures)++;
		(*a->left)--;
	}
	return NULL;
}

static void *act_receive(void *context)
{
	actor *a = context;
	char key[40];
	int i;

	for (i = 0; i < 60; i++) {
		snprintf(key, sizeof key, "storm-%d-%d", a->number, i);
		if (ingest(a->k, "a", key) <= 0)
			(*a->failures)++;
	}
	return NULL;
}

static void *act_look(void *context)
{
	actor *a = context;
	knocker_filter f = {.size = sizeof f, .kind = 1 + a->number % 6};
	knocker_rows *rows;

	while (*a->left > 0) {
		if (knocker_list(a->k, &f, &rows, NULL) < 0)
			(*a->failures)++;
		knocker_rows_free(rows);
		if (knocker_stats(a->k, &rows, NULL) < 0)
			(*a->failures)++;
		knocker_rows_free(rows);
		endpoint_named(a->k, a->number % 2 ? "b" : "c");
	}
	return NULL;
}

static void storm(void)
{
	static void *(*const acts[4])(void *) = {act_receive, act_receive, act_work, act_look};
	knocker *k = fresh(&(knocker_open_options){.synchronous = KNOCKER_SYNC_NORMAL});
	_Atomic int left = THREADS / 2 * 60, failures = 0;
	pthread_t threads[THREADS];
	actor actors[THREADS];
	int i;

	for (i = 0; i < THREADS; i++) {
		actors[i] = (actor){k, i, &left, &failures};
		pthread_create(&threads[i], NULL, acts[i % 4], &actors[i]);
	}
	for (i = 0; i < THREADS; i++)
		pthread_join(threads[i], NULL);
	CHECK(failures == 0, "16 threads that receive, work and look disturb each other in nothing");
	CHECK(ask("select count(*) from app") == THREADS / 2 * 60 &&
	          ask("select count(distinct x) from app") == THREADS / 2 * 60,
	      "and every event is handled once");
	CHECK(raw_is_whole(file.path) && knocker_close(k, NULL) == 0,
	      "the file is whole, the handle closes");
}

/* ---- processes, and turns ---- */

/* One process of several that hammer one file; shared with its parent. */
typedef struct {
	knocker *k;
	int threads;
	int64_t body_len, ms;
	_Atomic int64_t received, failed, slowest_us;
	_Atomic int64_t passed; /* how many of the others' went before one of its own, at most */
} hammering;

static hammering *hammerings;

static int64_t received_by_others(const hammering *mine)
{
	int64_t sum = -mine->received;
	int i;

	for (i = 0; i < 4; i++)
		sum += hammerings[i].received;
	return sum;
}

static void *hammer_by_thread(void *context)
{
	static char body[2];
	hammering *h = context;
	int64_t end_us = now_us() + h->ms * 1000, began, took_us, others;

	while ((began = now_us()) < end_us) {
		others = received_by_others(h);
		if (ingest_bytes(h->k, "a", NULL, (knocker_bytes){body, h->body_len}, NULL) > 0)
			h->received++;
		else
			h->failed++;
		took_us = now_us() - began;
		if (took_us > h->slowest_us)
			h->slowest_us = took_us;
		others = received_by_others(h) - others;
		if (others > h->passed)
			h->passed = others;
	}
	return NULL;
}

static int hammer(void *context)
{
	hammering *h = context;
	pthread_t threads[THREADS];
	int i;

	h->k = open_with(file.path, NULL);
	for (i = 0; i < h->threads; i++)
		pthread_create(&threads[i], NULL, hammer_by_thread, h);
	for (i = 0; i < h->threads; i++)
		pthread_join(threads[i], NULL);
	return knocker_close(h->k, NULL);
}

/* Sums up in `all`; the least that a process received is returned. */
static int64_t hammer_together(int count, hammering *all)
{
	int64_t least = INT64_MAX;
	pid_t pids[4];
	int i;

	for (i = 0; i < count; i++)
		pids[i] = child_start(hammer, &hammerings[i]);
	for (i = 0; i < count; i++) {
		const hammering *h = &hammerings[i];

		all->failed += child_end(pids[i]) != 0;
		all->failed += h->failed;
		all->received += h->received;
		if (h->received < least)
			least = h->received;
		if (h->slowest_us > all->slowest_us)
			all->slowest_us = h->slowest_us;
	}
	printf("crowd: %d processes received %lld, the least of them %lld, the slowest in %lld ms\n",
	       count, (long long)all->received, (long long)least, (long long)all->slowest_us / 1000);
	return least;
}

/* SQLite's own back-off passes over whoever waited longest. */
static void four_processes(void)
{
	int round, i;

	for (round = 0; round < 2; round++) {
		hammering all = {0};

		knocker_close(fresh(NULL), NULL);
		for (i = 0; i < 4; i++)
			hammerings[i] = (hammering){.threads = 4, .body_len = 2, .ms = 500};
		CHECK(hammer_together(4, &all) > all.received / 100 && all.slowest_us < 2000000,
		      "of four processes that hammer one file none starves");
		CHECK(all.failed == 0, "and none fails");
		CHECK(ask("select count(*) from _knocker_job") == all.received,
		      "and every receipt is there");
	}
}

/* Receipts that take 3 ms each, and in one process the next is always ready when a commit ends: the
 * file is free for some microseconds at a time, and for a millisecond where that process pauses. */
static void a_busy_process(void)
{
	hammering all = {0};
	int64_t of_many, of_one;

	memset(hammerings, 0, 4 * sizeof *hammerings);
	knocker_close(fresh(NULL), NULL);
	raw_do(file.path, "create trigger slow after insert on _knocker_delivery begin "
	                  "select nap(3); end");
	hammerings[0] = (hammering){.threads = 4, .body_len = 2, .ms = 2000};
	hammerings[1] = (hammering){.threads = 1, .body_len = 2, .ms = 2000};
	hammer_together(2, &all);
	of_many = hammerings[0].received;
	of_one = hammerings[1].received;
	CHECK(all.failed == 0, "a process of one thread does not fail beside one of many");
	CHECK(of_one > all.received / 12, "and is let in by it");
	CHECK(of_many > all.received / 12, "nor does one of one thread keep out one of many");
	printf("crowd: one receipt let %lld of the others' pass, or %lld\n",
	       (long long)hammerings[0].passed, (long long)hammerings[1].passed);
	CHECK(hammerings[0].passed < 100 && hammerings[1].passed < 100, "each takes its turn");
}

static int hog_knocks(void *context, int count)
{
	const struct timespec moment = {.tv_nsec = 20000};

	(void)context;
	nanosleep(&moment, NULL);
	return count < 1000000;
}

/* A connection without our manners, which gives the file free for moments only. */
static void *hog(void *context)
{
	_Atomic int *commits = context;
	sqlite3 *h = raw_open(file.path);

	sqlite3_busy_handler(h, hog_knocks, NULL);
	while (*commits >= 0) {
		const struct timespec moment = {.tv_nsec = 200000};

		sqlite3_exec(h, "begin immediate; insert into app values(nap(3)); commit", NULL, NULL,
		             NULL);
		++*commits;
		nanosleep(&moment, NULL);
	}
	sqlite3_close(h);
	return NULL;
}

static void a_hog(void)
{
	knocker *k = fresh(&(knocker_open_options){.busy_timeout_ms = 20000});
	_Atomic int commits = 0;
	pthread_t thread;
	int i, missed = 0, worst = 0, before;

	pthread_create(&thread, NULL, hog, &commits);
	while (commits < 2)
		sleep_ms(1);
	for (i = 0; i < 40; i++) {
		sleep_ms(2); /* it is the hog's turn */
		before = commits;
		CHECK(ingest(k, "a", NULL) > 0, "a receipt beside a hog is received");
		missed += commits - before;
		worst = commits - before > worst ? commits - before : worst;
	}
	commits = -1000000000;
	pthread_join(thread, NULL);
	printf("crowd: beside a hog 40 receipts let %d moments pass, one of them %d\n", missed, worst);
	CHECK(missed < 40 * 25 && worst < 50, "receipts find the moments at which the file is free");
	knocker_close(k, NULL);
}

static void a_flood_delays_nobody(void)
{
	knocker *k = fresh(&(knocker_open_options){.synchronous = KNOCKER_SYNC_NORMAL});
	held h[10];
	int32_t got;
	int i, rounds = 0;

	raw_do(
		file.path,
		"with recursive n(i) as (select 2 union all select i + 1 from n where i < 1000) insert into "
		"_knocker_endpoint (id, name, enabled, created_ms) select i, 'e' || i, 1, 0 from n;"
		"with recursive n(i) as (select 1 union all select i + 1 from n where i < 3000) insert into "
		"_knocker_delivery (id, endpoint_id, event_id, received_ms, method, headers) "
		"select i, max(1, i - 2000), i, i, 'POST', '{}' from n;"
		"insert into _knocker_job (id, queue, topic, kind, due_ms) select id, 'knocker.events', endpoint_id, "
		"'t', received_ms from _knocker_delivery");
	for (i = 0;
	     i < 200 &&
	     ask("select count(*) from knocker_jobs where endpoint <> 'a' and worker_id is null") > 0;
	     i++)
		rounds += claim_many(k, "w", 10, h, &got) == 0;
	CHECK(rounds <= 102,
	      "of 1,000 endpoints one is flooded, and each other one has its turn in the first round");
	knocker_close(k, NULL);
}

int main(void)
{
	file_new(&file);
	nap_everywhere();
	hammerings = shared_memory(4 * sizeof *hammerings);
	four_processes();
	a_busy_process();
	a_hog();
	handler_in_the_way();
	hung_handler_is_ended();
	hung_in_a_statement();
	extended_handler_is_not();
	storm();
	a_flood_delays_nobody();
	file_end(&file);
	return check_end("crowd");
}
