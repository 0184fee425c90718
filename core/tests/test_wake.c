/* Waiting: each commit of another process wakes a worker, whatever becomes of the WAL, through
 * either door; a foreign writer's job is found within about a second; a stop ends every wait. */
#include <poll.h>

#include "bell.h"
#include "hard_file.h"

static test_file file;

#define LATE_US 700000 /* below the look once a second, far above a busy machine's pauses */

typedef struct {
	int ready[2], handled[2]; /* pipes: the waiter is about to sleep; it has handled a job */
	_Atomic bool over;
	_Atomic int64_t woken_us; /* when it woke last */
} line;

static line *wire;

static void line_open(void)
{
	wire->over = false;
	if (pipe(wire->ready) != 0 || pipe(wire->handled) != 0)
		exit(2);
}

static void line_close(void)
{
	close(wire->ready[0]);
	close(wire->ready[1]);
	close(wire->handled[0]);
	close(wire->handled[1]);
}

static void say(const int *ends)
{
	if (write(ends[1], "x", 1) != 1)
		_exit(2);
}

static bool hear(const int *ends)
{
	char c;

	return read(ends[0], &c, 1) == 1;
}

/* Sleeps, handles one job, says so, and again. */
static int waiter(void *context)
{
	knocker_claim_options o = {.size = sizeof o, .worker_id = T("w")};
	knocker *k = open_with(file.path, NULL);

	(void)context;
	while (!wire->over) {
		say(wire->ready);
		while (!wire->over) {
			int32_t rc = knocker_wait(k, &o, 5000, NULL);

			wire->woken_us = now_us();
			if (rc < 0)
				return 1;
			if (handle_one(k, "w", NULL) > 0)
				break;
		}
		say(wire->handled);
	}
	knocker_close(k, NULL);
	return 0;
}

/* ---- ways to commit a new event ---- */

static knocker *sender;
static sqlite3 *raw;
static char extension[300];

static bool send_by_handle(int round)
{
	char key[20];

	snprintf(key, sizeof key, "k%d", round);
	return ingest(sender, "a", key) > 0;
}

/* The WAL begins anew: truncated to nothing, then written again. */
static bool send_after_truncation(int round)
{
	sqlite3_wal_checkpoint_v2(raw, NULL, SQLITE_CHECKPOINT_TRUNCATE, NULL, NULL);
	return send_by_handle(round);
}

/* A process that opens, receives and closes, as a script does. */
static int script(void *context)
{
	knocker *k = open_with(file.path, NULL);
	char key[20];
	bool sent;

	snprintf(key, sizeof key, "k%d", *(int *)context);
	sent = ingest(k, "a", key) > 0;
	knocker_close(k, NULL);
	return sent ? 0 : 1;
}

static bool send_by_script(int round)
{
	return child_run(script, &round) == 0;
}

/* Through the SQL door, in a transaction of the caller's, however it is begun, and by itself. */
static bool send_by_extension(int round)
{
	static const char *const ways[3][2] = {{"begin immediate; insert into app values(1);",
	                                        "commit"},
	                                       {"savepoint mine; insert into app values(1);",
	                                        "release mine"},
	                                       {"", ""}};
	const char *const *way = ways[round % 3];
	char sql[300];

	snprintf(sql, sizeof sql,
	         "%s select knocker_ingest('a', 'POST', null, '{}', null, 1, null, null, null, 't', "
	         "'k%d', null, null); %s",
	         way[0], round, way[1]);
	return sqlite3_exec(raw, sql, NULL, NULL, NULL) == SQLITE_OK;
}

/* ---- how many commits wake in time ---- */

static void senders_open(void)
{
	char *said = NULL;

	sender = open_with(file.path, NULL);
	raw = raw_open(file.path);
	sqlite3_enable_load_extension(raw, 1);
	CHECK(sqlite3_load_extension(raw, extension, NULL, &said) == SQLITE_OK, "the extension loads");
	sqlite3_free(said);
}

static void wakes(const char *sentence, bool (*send)(int), int from, int rounds)
{
	uint32_t seed = 7;
	int i, in_time = 0, late_ones = 0;
	int64_t slowest = 0;
	pid_t pid;

	line_open();
	pid = child_start(waiter, NULL); /* before this process opens the file */
	if (send != send_by_script)
		senders_open();
	for (i = 0; i < rounds && hear(wire->ready); i++) {
		struct timespec nap = {.tv_nsec = (seed = seed * 1103515245 + 12345) % 400000};
		int64_t late;

		nanosleep(&nap, NULL); /* anywhere between its last look and its sleep */
		wire->over = i == rounds - 1 || late_ones == 2;
		if (!send(from + i))
			break;
		late = now_us();
		hear(wire->handled);
		late = wire->woken_us - late;
		slowest = late > slowest ? late : slowest;
		in_time += late < LATE_US;
		late_ones += late >= LATE_US;
		if (wire->over)
			break;
	}
	CHECK(in_time == rounds, sentence);
	if (in_time != rounds)
		printf("%d of %d in time, the slowest after %lld us\n", in_time, rounds,
		       (long long)slowest);
	if (!wire->over)
		kill(pid, SIGKILL);
	CHECK(child_end(pid) == 0, "the waiter ended by itself");
	sqlite3_close(raw);
	knocker_close(sender, NULL);
	raw = NULL;
	sender = NULL;
	line_close();
}

/* ---- without a bell ---- */

static void foreign_writer(void)
{
	const char
		*copy = "insert into _knocker_job (id, queue, topic, kind, due_ms) select 1 + max(id), "
				"'knocker.events', 1, 't', 1 from _knocker_job;"
				"insert into _knocker_delivery (id, endpoint_id, event_id, received_ms, method, "
				"headers) select max(id), 1, max(id), 1, 'POST', '{}' from _knocker_job";
	int64_t late = 0;
	pid_t pid;

	line_open();
	pid = child_start(waiter, NULL);
	hear(wire->ready);
	sleep_ms(300);
	CHECK(raw_do(file.path, copy), "a foreign connection inserts a due job");
	late = now_us();
	wire->over = true;
	hear(wire->handled);
	late = wire->woken_us - late;
	CHECK(late < 2500000, "a job of a foreign writer is found within about a second");
	CHECK(child_end(pid) == 0, "the waiter ended by itself");
	line_close();
}

static void due_time(void)
{
	knocker_claim_options o = {.size = sizeof o, .worker_id = T("w")};
	knocker *k = open_with(file.path, NULL);
	knocker_work *w;
	int64_t began;
	held h;

	ingest(k, "a", "later");
	claim_one(k, "w", &h);
	knocker_work_begin(k, h.job, h.claim, &w, NULL);
	knocker_settle(w, KNOCKER_RETRY_AFTER, T("later"), 1000, NULL, NULL);
	began = now_us();
	CHECK(knocker_wait(k, &o, 100, NULL) == 1, "before a job is due the time runs up");
	CHECK(knocker_wait(k, &o, 5000, NULL) == 0, "a wait ends when a job comes due");
	CHECK(now_us() - began > 700000, "namely then");
	CHECK(claim_one(k, "w", &h) == 0, "and it can be claimed");
	CHECK(knocker_wait(k, &o, 0, NULL) == 1, "a held job is waited for, not spun on");
	CHECK(knocker_release(k, h.job, h.claim, NULL) == 0 && knocker_wait(k, &o, 0, NULL) == 0,
	      "a job that is due now needs no wait");
	handle_one(k, "w", NULL);
	knocker_close(k, NULL);
}

static void descriptor(void)
{
	knocker_claim_options o = {.size = sizeof o, .worker_id = T("w")};
	knocker *k = open_with(file.path, NULL), *other = open_with(file.path, NULL);
	struct pollfd p = {.events = POLLIN};
	char key[20];
	int i, readable = 0;

	CHECK(knocker_wait_fd(k, &p.fd, NULL) == 0 && p.fd >= 0, "a handle has a descriptor to poll");
	knocker_wait(k, &o, 0, NULL); /* the first opens a connection, which touches the WAL itself */
	for (i = 0; i < 50; i++) {
		knocker_wait(k, &o, 0, NULL);
		CHECK(poll(&p, 1, 0) == 0, "it is quiet while nothing comes");
		snprintf(key, sizeof key, "fd%d", i);
		ingest(other, "a", key);
		readable += poll(&p, 1, 5000) == 1;
		CHECK(knocker_wait(k, &o, 0, NULL) == 0, "and then a job is due");
		handle_one(k, "w", NULL);
	}
	CHECK(readable == 50, "a commit makes it readable each time");
	knocker_close(other, NULL);
	knocker_close(k, NULL);
}

/* ---- between the look and the sleep ---- */

static knocker *trap_sender;
static _Atomic int trap_set, trap_sprung;

/* Commits an event when a waiter's look at the queue has ended, or when it has begun. */
static int trap(unsigned kind, void *context, void *statement, void *more)
{
	const char *sql = sqlite3_sql(statement);
	char key[20];

	(void)context;
	(void)more;
	if (trap_set != (int)kind || !sql || !strstr(sql, "_knocker_job"))
		return 0;
	trap_set = 0;
	snprintf(key, sizeof key, "trap%d", trap_sprung++);
	return ingest(trap_sender, "a", key) > 0 ? 0 : 1;
}

static int trap_equip(sqlite3 *handle, char **message, const void *api)
{
	(void)message;
	(void)api;
	return sqlite3_trace_v2(handle, SQLITE_TRACE_STMT | SQLITE_TRACE_PROFILE, trap, NULL);
}

static void between_look_and_sleep(int kind, const char *sentence)
{
	union {
		int (*takes_handle)(sqlite3 *, char **, const void *);
		void (*takes_nothing)(void);
	} entry = {.takes_handle = trap_equip};
	knocker_claim_options o = {.size = sizeof o, .worker_id = T("w")};
	knocker *k;
	int i, in_time = 0;

	trap_sender = open_with(file.path, NULL);
	sqlite3_auto_extension(entry.takes_nothing);
	k = open_with(file.path, NULL);
	knocker_wait(k, &o, 0, NULL); /* opens its connection */
	sqlite3_reset_auto_extension();
	for (i = 0; i < 20 && i - in_time < 3; i++) {
		int64_t began = now_us();

		trap_set = kind;
		in_time += knocker_wait(k, &o, 5000, NULL) == 0 && now_us() - began < LATE_US;
		handle_one(k, "w", NULL);
	}
	CHECK(in_time == 20 && trap_sprung >= 20, sentence);
	knocker_close(k, NULL);
	knocker_close(trap_sender, NULL);
	trap_sprung = 100;
}

/* ---- stops ---- */

typedef struct {
	knocker *k;
	_Atomic int32_t asleep, stopped;
} crowd;

static void *crowd_wait(void *context)
{
	crowd *c = context;
	knocker_claim_options o = {.size = sizeof o, .worker_id = T("w")};

	c->asleep++;
	if (knocker_wait(c->k, &o, 20000, NULL) == 2)
		c->stopped++;
	return NULL;
}

static void stops(bool by_close)
{
	crowd c = {.k = open_with(file.path, NULL)};
	pthread_t threads[6];
	int64_t began;
	int i;

	for (i = 0; i < 6; i++)
		pthread_create(&threads[i], NULL, crowd_wait, &c);
	while (c.asleep < 6)
		sleep_ms(1);
	sleep_ms(300);
	began = now_us();
	if (by_close)
		CHECK(knocker_close(c.k, NULL) == 0, "a handle with waiters closes");
	else
		CHECK(knocker_wake(c.k) == 0, "waiters are woken");
	/* One that had not yet fallen asleep is woken by a later call. */
	while (!by_close && c.stopped < 6 && now_us() - began < 10000000) {
		sleep_ms(50);
		knocker_wake(c.k);
	}
	for (i = 0; i < 6; i++)
		pthread_join(threads[i], NULL);
	CHECK(c.stopped == 6 && now_us() - began < 10000000, "every waiter is told to stop, at once");
	if (!by_close)
		knocker_close(c.k, NULL);
}

/* ---- an init_sql whose pragmas would take the place of our hooks ---- */

static void *receive_late(void *context)
{
	sleep_ms(150);
	return ingest(context, "a", NULL) > 0 ? context : NULL;
}

static void own_pragmas(void)
{
	const knocker_open_options given = {
		.init_sql = T("pragma wal_autocheckpoint = 500; pragma busy_timeout = 60000")};
	knocker *waits = open_with(file.path, &given), *sends = open_with(file.path, &given);
	const knocker_claim_options o = {.size = sizeof o, .worker_id = T("w")};
	int64_t began, longest = 0;
	pthread_t thread;
	void *sent;
	int i;

	for (i = 0; i < 5; i++) {
		while (handle_one(waits, "w", NULL) > 0)
			;
		pthread_create(&thread, NULL, receive_late, sends);
		began = now_us();
		CHECK(knocker_wait(waits, &o, 5000, NULL) == 0, "an event came");
		longest = now_us() - began > longest ? now_us() - began : longest;
		pthread_join(thread, &sent);
		CHECK(sent != NULL, "it was received");
	}
	CHECK(longest < 150000 + LATE_US, "an init_sql with pragmas of its own takes no bell away");
	while (handle_one(waits, "w", NULL) > 0)
		;
	knocker_close(waits, NULL);
	knocker_close(sends, NULL);
}

/* ---- the bell alone: a file that is deleted and made anew ---- */

typedef struct {
	bell *bell;
	int64_t generation;
	int32_t rang;
} listener;

static void *listen_once(void *context)
{
	listener *l = context;

	l->rang = bell_wait(l->bell, l->generation, 900);
	return NULL;
}

static void index_made_anew(void)
{
	char database[112], touched[120];
	int i, rang = 0;
	bell *b;

	snprintf(database, sizeof database, "%s/other.db", file.folder);
	snprintf(touched, sizeof touched, "%s-shm", database);
	CHECK(bell_open(database, &b, NULL) == 0, "a bell needs no file to be there");
	for (i = 0; i < 100 && i - rang < 3; i++) {
		listener l = {b, bell_generation(b), -1};
		pthread_t thread;

		unlink(touched);
		pthread_create(&thread, NULL, listen_once, &l);
		if (i % 2)
			sleep_ms(1);
		close(open(touched, O_WRONLY | O_CREAT, 0600));
		bell_ring(database);
		pthread_join(thread, NULL);
		rang += l.rang == 0;
	}
	CHECK(rang == 100, "a file that is deleted and made anew rings each time");
	bell_close(b);
	unlink(touched);
}

int main(int argc, char **argv)
{
	char *slash = argc > 0 ? strrchr(argv[0], '/') : NULL;

	snprintf(extension, sizeof extension, "%.*s../knocker.so",
	         slash ? (int)(slash - argv[0] + 1) : 0, argv[0]);
	wire = shared_memory(sizeof *wire);
	file_new_on(&file, "/tmp");
	index_made_anew();
	sender = open_with(file.path, NULL);
	endpoint_named(sender, "a");
	knocker_close(sender, NULL);
	raw_do(file.path, "create table app(x)");
	foreign_writer();
	wakes("100 processes that open, receive and close wake a worker 100 times", send_by_script, 0,
	      100);
	due_time();
	descriptor();
	between_look_and_sleep(SQLITE_TRACE_STMT, "a commit while a worker looks is found at once");
	between_look_and_sleep(SQLITE_TRACE_PROFILE,
	                       "a commit between a worker's look and its sleep ends the sleep");
	own_pragmas();
	stops(false);
	stops(true);
	wakes("200 commits of an application's own transaction wake a worker 200 times",
	      send_by_extension, 1000, 200);
	wakes("200 commits to a WAL that begins anew wake a worker 200 times", send_after_truncation,
	      2000, 200);
	wakes("1,000 commits of another process wake a worker 1,000 times", send_by_handle, 3000, 1000);
	file_end(&file);
	return check_end("wake");
}
