/* Workers that come late, ids that must never return, and events that kill their worker: nobody
 * settles a job that is not his. */
#include "db.h"
#include "hard_file.h"
#include "job.h"

static test_file file;

static int64_t ask(const char *sql)
{
	return raw_int(file.path, sql);
}

static knocker *fresh(void)
{
	knocker *k;

	file_clear(&file);
	k = open_plain(file.path);
	endpoint_named(k, "a");
	raw_do(file.path, "create table app(who)");
	return k;
}

static knocker *another(int64_t clock_ms)
{
	return open_with(file.path, &(knocker_open_options){.synchronous = KNOCKER_SYNC_NORMAL,
	                                                    .clock_ms = clock_ms});
}

static knocker_work *begin(knocker *k, held h)
{
	knocker_work *w = NULL;

	knocker_work_begin(k, h.job, h.claim, &w, NULL);
	return w;
}

/* ---- stale claims ---- */

/* A claims; its lease runs out; B claims and fails; a person replays; C claims. A still holds what
 * it claimed. */
typedef struct {
	knocker *a, *b, *c;
	held of_a, of_c;
	knocker_work *work_a, *work_c;
} relay;

static void relay_begin(relay *r)
{
	held of_b;
	knocker_work *w;

	r->a = fresh();
	r->b = another(START_MS + 61000);
	r->c = another(START_MS + 62000);
	ingest(r->a, "a", "one");
	claim_one(r->a, "A", &r->of_a);
	r->work_a = begin(r->a, r->of_a);
	CHECK(claim_one(r->b, "B", &of_b) == 0 && of_b.job == r->of_a.job &&
	          of_b.claim == r->of_a.claim + 1,
	      "a lease that ran out is claimed by another, with a claim of its own");
	w = begin(r->b, of_b);
	execute(w, "insert into app values('b')", NULL);
	CHECK(settle(w, KNOCKER_FAILED, NULL) == 0, "the second worker fails");
	CHECK(knocker_replay(r->c, of_b.job, NULL) == 0, "the failed event is replayed");
	CHECK(claim_one(r->c, "C", &r->of_c) == 0 && r->of_c.claim == of_b.claim + 1,
	      "a replay does not reset the claims");
	r->work_c = begin(r->c, r->of_c);
}

static void relay_end(relay *r)
{
	CHECK(ask("select count(*) from app") == 1 && ask("select who = 'c' from app") == 1,
	      "exactly one insert is there, by the last claim");
	CHECK(ask("select count(*) from _knocker_attempt") == 2 &&
	          ask("select count(*) from _knocker_attempt where outcome = 'handled'") == 1,
	      "there is one attempt for each that settled");
	CHECK(
		ask("select count(*) from knocker_events where status = 'handled' and attempt_count = 1") ==
			1,
		"the event is handled");
	CHECK(knocker_close(r->a, NULL) == 0 && knocker_close(r->b, NULL) == 0 &&
	          knocker_close(r->c, NULL) == 0,
	      "all handles close");
}

static void stale_before_the_last(void)
{
	relay r;
	knocker_error error = {0};

	relay_begin(&r);
	CHECK(execute(r.work_a, "insert into app values('a')", &error) == KNOCKER_LEASE_LOST,
	      "a stale worker's write is refused");
	CHECK(execute(r.work_a, "insert into app values('a')", &error) == KNOCKER_LEASE_LOST,
	      "and each later one");
	CHECK(settle(r.work_a, KNOCKER_HANDLED, &error) == KNOCKER_LEASE_LOST, "and its settlement");
	execute(r.work_c, "insert into app values('c')", NULL);
	CHECK(settle(r.work_c, KNOCKER_HANDLED, NULL) == 0, "the last one's is kept");
	relay_end(&r);
}

static void stale_after_the_last(int32_t outcome)
{
	relay r;
	knocker_error error = {0};

	relay_begin(&r);
	execute(r.work_c, "insert into app values('c')", NULL);
	CHECK(settle(r.work_c, KNOCKER_HANDLED, NULL) == 0, "the last claim settles first");
	CHECK(settle(r.work_a, outcome, &error) == KNOCKER_LEASE_LOST,
	      "whatever a stale worker says comes too late");
	relay_end(&r);
}

static void late_calls_after_the_queue_ran_empty(void)
{
	knocker *k = fresh();
	knocker_prune p = {.size = sizeof p, .older_than_s = START_MS / 1000 + 1000};
	knocker_work *w, *twin;
	knocker_rows *rows;
	held h, none;

	ingest(k, "a", "one");
	claim_one(k, "w", &h);
	w = begin(k, h);
	twin = begin(k, h);
	CHECK(w && twin, "the same claim may be begun twice");
	execute(w, "insert into app values('w')", NULL);
	CHECK(settle(w, KNOCKER_HANDLED, NULL) == 0, "the first settles");
	CHECK(execute(twin, "insert into app values('twin')", NULL) == KNOCKER_LEASE_LOST,
	      "the second has lost");
	CHECK(knocker_extend(twin, 1000, NULL) == KNOCKER_LEASE_LOST, "and extends nothing");
	CHECK(knocker_work_free(twin) == 0, "and is freed");
	CHECK(claim_one(k, "w", &none) == 1, "the queue is empty");
	CHECK(knocker_release(k, h.job, h.claim, NULL) == 1, "a late release changes nothing");
	CHECK(knocker_work_begin(k, h.job, h.claim, &w, NULL) == 1 && !w,
	      "a late begin has nothing to do");
	CHECK(ask("select count(*) from knocker_events where status = 'handled'") == 1,
	      "the event stays handled");
	knocker_prune_events(k, &p, &rows, NULL);
	knocker_rows_free(rows);
	CHECK(ingest(k, "a", "two") > h.job, "the next event has another id");
	CHECK(knocker_release(k, h.job, h.claim, NULL) == 1,
	      "a release of a pruned job changes nothing");
	CHECK(ask("select count(*) from knocker_jobs where claims = 0") == 1,
	      "the new event's job is untouched");
	CHECK(ask("select count(*) from app") == 1, "one effect is there");
	knocker_close(k, NULL);
}

static void late_calls_after_an_operator(void)
{
	knocker *k = fresh(), *late = another(START_MS + 61000);
	knocker_work *w;
	held h;

	ingest(k, "a", "one");
	claim_one(k, "w", &h);
	w = begin(k, h);
	CHECK(knocker_requeue(k, h.job, NULL) == KNOCKER_WRONG_STATUS, "a held event is not requeued");
	CHECK(knocker_requeue(late, h.job, NULL) == 0, "one whose lease ran out is");
	CHECK(execute(w, "insert into app values('w')", NULL) == KNOCKER_LEASE_LOST,
	      "its old holder writes nothing");
	CHECK(settle(w, KNOCKER_HANDLED, NULL) == KNOCKER_LEASE_LOST, "and settles nothing");
	knocker_clock_set(k, START_MS + 61000, NULL);
	claim_one(k, "w", &h);
	w = begin(k, h);
	CHECK(knocker_ignore(late, h.job, T("no"), NULL) == KNOCKER_WRONG_STATUS,
	      "a held event is not ignored");
	knocker_clock_set(late, START_MS + 200000, NULL);
	CHECK(knocker_ignore(late, h.job, T("no"), NULL) == 0, "one whose lease ran out is ignored");
	CHECK(settle(w, KNOCKER_HANDLED, NULL) == KNOCKER_LEASE_LOST, "its holder comes too late");
	CHECK(ask("select count(*) from knocker_events where status = 'ignored'") == 1 &&
	          ask("select count(*) from app") == 0,
	      "ignored it stays, without effect");
	knocker_close(late, NULL);
	knocker_close(k, NULL);
}

static void slow_but_alone(void)
{
	knocker *k = fresh();
	knocker_work *w;
	held h;

	ingest(k, "a", "one");
	claim_one(k, "w", &h);
	w = begin(k, h);
	knocker_clock_set(k, START_MS + 3600000, NULL);
	execute(w, "insert into app values('w')", NULL);
	CHECK(settle(w, KNOCKER_HANDLED, NULL) == 0,
	      "a handler that outlives its lease commits where nobody has claimed since");
	CHECK(ask("select count(*) from app") == 1, "with its effect");
	knocker_close(k, NULL);
}

/* ---- ids ---- */

static int64_t orphan(knocker *k)
{
	knocker_request q = {.size = sizeof q,
	                     .endpoint = T("a"),
	                     .verdict = KNOCKER_INVALID,
	                     .body = T("x")};
	knocker_rows *rows;
	int64_t id;

	knocker_ingest(k, &q, &rows, NULL);
	knocker_rows_next(rows);
	id = row_int(rows, "delivery_id");
	knocker_rows_free(rows);
	return id;
}

static void prune_all(knocker *k)
{
	knocker_prune p = {.size = sizeof p, .older_than_s = START_MS / 1000 + 1000};
	knocker_rows *rows;

	while (handle_one(k, "w", NULL) > 0)
		;
	knocker_prune_events(k, &p, &rows, NULL);
	knocker_rows_free(rows);
	knocker_prune_orphan_deliveries(k, &p, &rows, NULL);
	knocker_rows_free(rows);
}

/* A plain job, as the SQL door enqueues it; it is removed in the same breath, as its worker would.
 * */
static int64_t plain_job_and_gone(void)
{
	db_options o = {.path = T(file.path), .busy_timeout_ms = 1000};
	int64_t id = 0, last;
	db *d;

	o.path.len = (int64_t)strlen(file.path);
	db_open(&o, &d, NULL);
	db_begin(d, NULL);
	id_next(d, &id, &last, NULL);
	db_run(d, STMT_job_insert_plain,
	       VALUES(INT(id), TEXT(bytes_of("q")), INT(0), INT(START_MS), NONE, TEXT(bytes_of("{}")),
	              NONE),
	       NULL, NULL);
	db_commit(d, NULL);
	db_begin(d, NULL);
	job_remove(d, id, NULL);
	db_commit(d, NULL);
	db_close(d);
	return id;
}

static void no_id_returns(uint32_t seed)
{
	knocker *k = fresh();
	int64_t highest = 0, id;
	int i, returned = 0, given = 0;
	char key[20];

	for (i = 0; i < 120; i++) {
		seed = seed * 1103515245 + 12345;
		id = 0;
		switch (seed >> 16 & 7) {
		case 0:
		case 1:
			snprintf(key, sizeof key, "k%d", i);
			id = ingest(k, "a", key);
			break;
		case 2:
			id = orphan(k);
			break;
		case 3:
			id = plain_job_and_gone();
			break;
		case 4:
			knocker_close(k, NULL);
			k = open_with(file.path, &(knocker_open_options){.synchronous = 1,
			                                                 .clock_ms = START_MS,
			                                                 .orphan_rows = 2});
			break;
		default:
			prune_all(k);
		}
		returned += id != 0 && id <= highest;
		given += id > 0;
		highest = id > highest ? id : highest;
	}
	CHECK(returned == 0 && given > 20, "no id returns, whatever was pruned, dropped or reopened");
	CHECK(raw_is_whole(file.path), "and the file is whole");
	knocker_close(k, NULL);
}

/* ---- events that kill their worker ---- */

typedef struct {
	int64_t clock_ms;
	unsigned poisonous; /* bits: which events */
} poison;

static int poisoned_worker(void *context)
{
	const poison *p = context;
	knocker *k = another(p->clock_ms);
	held h[10];
	int32_t got, i;
	char sql[80];

	while (claim_many(k, "w", 10, h, &got) == 0)
		for (i = 0; i < got; i++) {
			knocker_work *w = begin(k, h[i]);

			if (!w)
				continue;
			snprintf(sql, sizeof sql, "insert into app values(%lld)", (long long)h[i].job);
			execute(w, sql, NULL);
			if (p->poisonous >> (h[i].job - 1) & 1)
				_exit(9);
			settle(w, KNOCKER_HANDLED, NULL);
		}
	knocker_close(k, NULL);
	return 0;
}

static void buried_alone(unsigned poisonous, int bad)
{
	poison p = {START_MS, poisonous};
	knocker *k = fresh();
	knocker_rows *rows;
	char key[20], text[300], sql[200];
	int i, deaths = 0;

	for (i = 0; i < 10; i++) {
		snprintf(key, sizeof key, "k%d", i);
		ingest(k, "a", key);
	}
	knocker_close(k, NULL);
	while (child_run(poisoned_worker, &p) == 9 && deaths < 100) {
		deaths++;
		p.clock_ms += 61000;
	}
	CHECK(deaths >= 5 * bad && deaths <= 6 * bad,
	      "five deaths alone bury an event, after one that may have been another's");
	CHECK(
		ask("select count(*) from knocker_events where status = 'handled' and attempt_count = 1") ==
			10 - bad,
		"the others are handled, with one attempt each");
	CHECK(ask("select count(*) from app") == 10 - bad &&
	          ask("select count(distinct who) from app") == 10 - bad,
	      "and once");
	snprintf(sql, sizeof sql,
	         "select count(*) from knocker_events where status = 'dead' and %u >> (id - 1) & 1",
	         poisonous);
	CHECK(ask(sql) == bad, "the poisonous ones are dead");
	k = another(p.clock_ms);
	for (i = 0; i < 10; i++)
		if (poisonous >> i & 1) {
			knocker_why(k, i + 1, &rows, NULL);
			knocker_rows_next(rows);
			CHECK(strstr(row_text(rows, "sentence", text, sizeof text), "ran out 5 times"),
			      "and their why says so");
			knocker_rows_free(rows);
		}
	knocker_close(k, NULL);
}

static void restarts_cost_nothing(void)
{
	knocker *k = fresh();
	knocker_error error = {0};
	knocker_work *w;
	held h[10];
	int32_t got, i, round;
	char key[20];

	for (i = 0; i < 10; i++) {
		snprintf(key, sizeof key, "k%d", i);
		ingest(k, "a", key);
	}
	for (round = 0; round < 8; round++) {
		CHECK(claim_many(k, "w", 10, h, &got) == 0 && got == 10,
		      "what a worker gave back is claimed again at once");
		w = begin(k, h[0]);
		execute(w, "insert into app values('x')", NULL);
		CHECK(knocker_work_free(w) == 0, "a handler that was stopped is given back");
		for (i = 1; i < got; i++)
			CHECK(knocker_release(k, h[i].job, h[i].claim, &error) == 0,
			      "a job that was not begun is given back");
	}
	CHECK(ask("select count(*) from app") == 0, "stopped handlers leave no writes");
	CHECK(ask("select sum(attempt_count) + sum(expired) from _knocker_job") == 0,
	      "and cost neither attempts nor deaths");
	CHECK(ask("select count(*) from _knocker_attempt") == 0 &&
	          ask("select count(*) from knocker_events where status = 'received'") == 10,
	      "and the events read as received");
	for (i = 1; i <= 3; i++) {
		CHECK(ask("select count(*) from knocker_events where status = 'dead'") == 0,
		      "no event is dead before its third failure");
		knocker_clock_set(k, START_MS + i * 3600000, NULL);
		while (handle_one(k, "w", "insert into nowhere values(1)") != 0)
			;
	}
	CHECK(ask("select count(*) from knocker_events where status = 'dead' and attempt_count = 3") ==
	          10,
	      "three real failures, and no fewer, make an event dead");
	knocker_close(k, NULL);
}

static int dies_in_a_handler(void *context)
{
	knocker *k = another(*(int64_t *)context);
	held h;

	if (claim_one(k, "w", &h) != 0)
		return 1;
	execute(begin(k, h), "insert into app values('x')", NULL);
	return kill(getpid(), SIGKILL);
}

/* As three releases in a row do it, to an event that has one attempt. */
static void kills_cost_no_attempts(void)
{
	knocker *k = fresh();
	int64_t clock_ms = START_MS;
	int i;

	raw_do(file.path, "update _knocker_endpoint set max_attempts = 1");
	ingest(k, "a", "one");
	knocker_close(k, NULL);
	for (i = 0; i < 3; i++, clock_ms += 61000)
		CHECK(child_run(dies_in_a_handler, &clock_ms) == -SIGKILL, "a worker is killed");
	CHECK(ask("select count(*) from app") == 0 &&
	          ask("select count(*) from _knocker_attempt") == 0 &&
	          ask("select attempt_count from knocker_events") == 0,
	      "killed handlers leave no writes and no attempts");
	k = another(clock_ms);
	CHECK(handle_one(k, "w", "insert into app values('x')") > 0, "the next worker claims it");
	CHECK(ask("select status = 'handled' and attempt_count = 1 from knocker_events") == 1 &&
	          ask("select count(*) from app") == 1,
	      "and handles it, at its first attempt, though it has but one");
	knocker_close(k, NULL);
}

int main(void)
{
	const int32_t outcomes[] = {KNOCKER_HANDLED, KNOCKER_FAILED,  KNOCKER_RETRY_AFTER,
	                            KNOCKER_DEAD,    KNOCKER_IGNORED, KNOCKER_NO_HANDLER};
	uint32_t seed;
	size_t i;

	file_new(&file);
	stale_before_the_last();
	for (i = 0; i < sizeof outcomes / sizeof *outcomes; i++)
		stale_after_the_last(outcomes[i]);
	late_calls_after_the_queue_ran_empty();
	late_calls_after_an_operator();
	slow_but_alone();
	for (seed = 1; seed <= 12; seed++)
		no_id_returns(seed);
	buried_alone(1u << 0, 1);
	buried_alone(1u << 4, 1);
	buried_alone(1u << 9, 1);
	buried_alone(1u << 2 | 1u << 7, 2);
	restarts_cost_nothing();
	kills_cost_no_attempts();
	file_end(&file);
	return check_end("fence");
}
