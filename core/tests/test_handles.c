/* Handles in the wrong hands: NULL, closed, closed twice, inside a handler, after a fork; and files
 * that are no inbox. Each call says what is wrong, nothing crashes, and no file is harmed. */
#include "hard_file.h"

static test_file file;

/* Each call that takes a handle, with arguments that are in order. */
typedef struct {
	const char *name;
	int32_t (*call)(knocker *k, knocker_error *error);
	bool reads; /* allowed beside a handler of the same thread */
} handle_call;

static int32_t with_rows(int32_t rc, knocker_rows **rows)
{
	knocker_rows_free(*rows);
	return rc;
}

static int32_t call_clock(knocker *k, knocker_error *error)
{
	return knocker_clock_set(k, START_MS, error);
}

static int32_t call_endpoint(knocker *k, knocker_error *error)
{
	knocker_endpoint e = {.size = sizeof e, .name = T("called")};

	return knocker_endpoint_add(k, &e, NULL, error);
}

static int32_t call_pause(knocker *k, knocker_error *error)
{
	return knocker_endpoint_pause(k, T("a"), 0, error);
}

static int32_t call_receive(knocker *k, knocker_error *error)
{
	knocker_request q = {.size = sizeof q, .endpoint = T("a"), .dedupe_key = T("called")};
	knocker_rows *rows = NULL;

	return with_rows(knocker_receive(k, &q, &rows, error), &rows);
}

static int32_t call_many(knocker *k, knocker_error *error)
{
	knocker_request q = {.size = sizeof q, .endpoint = T("a"), .dedupe_key = T("called")};
	const knocker_request *one[] = {&q};
	knocker_rows *rows = NULL;

	return with_rows(knocker_receive_many(k, one, 1, &rows, error), &rows);
}

static int32_t call_ingest(knocker *k, knocker_error *error)
{
	return (int32_t)ingest_bytes(k, "a", "called", T("{}"), error) > 0 ? 0 : (int32_t)error->code;
}

static int32_t call_claim(knocker *k, knocker_error *error)
{
	knocker_claim_options o = {.size = sizeof o,
	                           .worker_id = T("w"),
	                           .queues_json = T("[\"none\"]")};
	knocker_rows *rows = NULL;

	return with_rows(knocker_claim(k, &o, &rows, error), &rows);
}

static int32_t call_release(knocker *k, knocker_error *error)
{
	return knocker_release(k, 999, 1, error);
}

static int32_t call_begin(knocker *k, knocker_error *error)
{
	knocker_work *w;

	return knocker_work_begin(k, 999, 1, &w, error);
}

static int32_t call_wait(knocker *k, knocker_error *error)
{
	knocker_claim_options o = {.size = sizeof o,
	                           .worker_id = T("w"),
	                           .queues_json = T("[\"none\"]")};

	return knocker_wait(k, &o, 0, error);
}

static int32_t call_read(knocker *k, knocker_error *error)
{
	knocker_rows *rows = NULL;

	return with_rows(knocker_read(k, T("select 1"), NULL, 0, &rows, error), &rows);
}

static int32_t call_get(knocker *k, knocker_error *error)
{
	knocker_rows *rows = NULL;

	return with_rows(knocker_get(k, KNOCKER_EVENT, 1, &rows, error), &rows);
}

static int32_t call_list(knocker *k, knocker_error *error)
{
	knocker_filter f = {.size = sizeof f, .kind = KNOCKER_EVENT};
	knocker_rows *rows = NULL;

	return with_rows(knocker_list(k, &f, &rows, error), &rows);
}

static int32_t call_ignore(knocker *k, knocker_error *error)
{
	return knocker_ignore(k, 1, T("why"), error);
}

static int32_t call_replay(knocker *k, knocker_error *error)
{
	return knocker_replay(k, 1, error);
}

static int32_t call_requeue(knocker *k, knocker_error *error)
{
	return knocker_requeue(k, 1, error);
}

static int32_t call_replay_delivery(knocker *k, knocker_error *error)
{
	return knocker_replay_delivery(k, 1, error);
}

static int32_t call_reverify(knocker *k, knocker_error *error)
{
	knocker_request by = {.size = sizeof by, .endpoint = T("v")};
	knocker_rows *rows = NULL;

	return with_rows(knocker_reverify(k, &by, 0, 0, 0, 0, &rows, error), &rows);
}

static int32_t call_why(knocker *k, knocker_error *error)
{
	knocker_rows *rows = NULL;

	return with_rows(knocker_why(k, 1, &rows, error), &rows);
}

static int32_t call_stats(knocker *k, knocker_error *error)
{
	knocker_rows *rows = NULL;

	return with_rows(knocker_stats(k, &rows, error), &rows);
}

static int32_t call_prune(knocker *k, knocker_error *error)
{
	knocker_prune p = {.size = sizeof p, .older_than_s = 1};
	knocker_rows *rows = NULL;

	return with_rows(knocker_prune_events(k, &p, &rows, error), &rows);
}

static int32_t call_prune_orphans(knocker *k, knocker_error *error)
{
	knocker_prune p = {.size = sizeof p, .older_than_s = 1};
	knocker_rows *rows = NULL;

	return with_rows(knocker_prune_orphan_deliveries(k, &p, &rows, error), &rows);
}

static int32_t call_retain(knocker *k, knocker_error *error)
{
	knocker_retention r = {.size = sizeof r, .interval_s = 3600, .orphans_older_than_s = 60};
	knocker_rows *rows = NULL;

	return with_rows(knocker_retain(k, &r, &rows, error), &rows);
}

static int32_t call_wait_fd(knocker *k, knocker_error *error)
{
	int32_t fd;

	return knocker_wait_fd(k, &fd, error);
}

static const handle_call calls[] = {
	{"clock_set", call_clock, true},
	{"endpoint_add", call_endpoint, false},
	{"endpoint_pause", call_pause, false},
	{"receive", call_receive, false},
	{"receive_many", call_many, false},
	{"ingest", call_ingest, false},
	{"claim", call_claim, false},
	{"release", call_release, false},
	{"work_begin", call_begin, false},
	{"wait", call_wait, true},
	{"wait_fd", call_wait_fd, true},
	{"read", call_read, true},
	{"get", call_get, true},
	{"list", call_list, true},
	{"ignore", call_ignore, false},
	{"replay", call_replay, false},
	{"requeue", call_requeue, false},
	{"replay_delivery", call_replay_delivery, false},
	{"reverify", call_reverify, false},
	{"why", call_why, true},
	{"stats", call_stats, true},
	{"prune_events", call_prune, false},
	{"prune_orphan_deliveries", call_prune_orphans, false},
	{"retain", call_retain, false},
};

#define CALLS (sizeof calls / sizeof *calls)

static knocker *fresh(const knocker_open_options *o)
{
	knocker *k;

	file_clear(&file);
	k = open_with(file.path, o);
	endpoint_named(k, "a");
	knocker_endpoint_add(k,
	                     &(knocker_endpoint){.size = sizeof(knocker_endpoint),
	                                         .name = T("v"),
	                                         .provider = T("stripe"),
	                                         .secrets_json = T("[\"whsec_v\"]")},
	                     NULL, NULL);
	ingest(k, "a", "first");
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

/* ---- NULL, and closed ---- */

static bool every_call_fails(knocker *k, int32_t code, const char *saying)
{
	bool all = true;
	size_t i;

	for (i = 0; i < CALLS; i++) {
		knocker_error error = {0};
		int32_t rc = calls[i].call(k, &error);

		if (rc == code && strstr(error.text, saying))
			continue;
		printf("%s: %d, %s\n", calls[i].name, rc, error.text);
		all = false;
	}
	return all;
}

static void no_handle(void)
{
	knocker_value v;

	CHECK(every_call_fails(NULL, KNOCKER_INVALID_ARGUMENT, "handle is NULL"),
	      "every call refuses a handle that is NULL");
	CHECK(knocker_close(NULL, NULL) == 0, "closing no handle is fine");
	CHECK(knocker_wake(NULL) == KNOCKER_INVALID_ARGUMENT, "waking no handle is not");
	CHECK(knocker_open(NULL, NULL, NULL) == KNOCKER_INVALID_ARGUMENT, "nor opening into nothing");
	CHECK(knocker_work_free(NULL) == 0, "freeing no work is fine");
	CHECK(knocker_settle(NULL, KNOCKER_HANDLED, T(""), 0, NULL, NULL) == KNOCKER_INVALID_ARGUMENT,
	      "settling none is not");
	CHECK(knocker_execute(NULL, T("select 1"), NULL, 0, NULL, NULL, NULL) ==
	          KNOCKER_INVALID_ARGUMENT,
	      "nor running SQL in none");
	CHECK(knocker_extend(NULL, 1, NULL) == KNOCKER_INVALID_ARGUMENT, "nor extending none");
	knocker_rows_free(NULL);
	CHECK(knocker_rows_next(NULL) == 1 && knocker_rows_columns(NULL) == 0 &&
	          !knocker_rows_name(NULL, 0) && knocker_rows_find(NULL, "x") == -1,
	      "no rows are empty rows");
	CHECK(knocker_rows_value(NULL, 0, &v) < 0 && v.type == KNOCKER_NULL, "whose values are null");
	CHECK(strcmp(knocker_error_name(1), "unknown") == 0 &&
	          strcmp(knocker_error_name(INT32_MIN), "unknown") == 0,
	      "no code of ours is unknown");
}

static void closed_handles(void)
{
	test_file other_file;
	knocker *k = fresh(NULL), *other;

	CHECK(knocker_close(k, NULL) == 0, "a handle closes");
	CHECK(knocker_close(k, NULL) == KNOCKER_CLOSED, "closing it again is an error");
	CHECK(every_call_fails(k, KNOCKER_CLOSED, "closed"), "every call on it says that it is closed");
	CHECK(knocker_wake(k) == KNOCKER_CLOSED, "also to wake it");
	file_new(&other_file);
	other = open_with(other_file.path, NULL);
	CHECK(every_call_fails(k, KNOCKER_CLOSED, "closed") && knocker_close(k, NULL) == KNOCKER_CLOSED,
	      "a stale handle does not become the next one");
	CHECK(endpoint_named(other, "b") > 0 && knocker_close(other, NULL) == 0, "which goes on");
	file_end(&other_file);
}

static void closing_inside_a_handler(void)
{
	knocker *k = fresh(NULL);
	knocker_error error = {0};
	knocker_work *w = begin_any(k);

	CHECK(knocker_close(k, &error) == KNOCKER_INVALID_ARGUMENT && strstr(error.text, "handler"),
	      "a handle with a handler does not close");
	CHECK(execute(w, "insert into app values(1)", NULL) == 0, "and the handler goes on");
	CHECK(knocker_close(k, &error) == KNOCKER_INVALID_ARGUMENT,
	      "nor does it in the middle of its transaction");
	CHECK(settle(w, KNOCKER_HANDLED, NULL) == 0, "it settles");
	CHECK(knocker_close(k, NULL) == 0 && raw_int(file.path, "select count(*) from app") == 1,
	      "and then the handle closes");
}

static void *receive_elsewhere(void *k)
{
	return ingest(k, "a", "from another thread") > 0 ? k : NULL;
}

static void inside_a_handler(void)
{
	knocker *k = fresh(&(knocker_open_options){.thread_bound = 1});
	knocker_work *w = begin_any(k);
	pthread_t thread;
	void *received;
	size_t i;
	int touched;

	for (touched = 0; touched < 2; touched++) {
		for (i = 0; i < CALLS; i++) {
			knocker_error error = {0};
			int64_t began = now_us();
			int32_t rc = calls[i].call(k, &error);

			CHECK(now_us() - began < 2000000,
			      "a call from inside a handler on its own handle does not wait");
			CHECK(calls[i].reads ? rc >= 0
			                     : rc == KNOCKER_INVALID_ARGUMENT && strstr(error.text, "tx"),
			      calls[i].name);
		}
		execute(w, "insert into app values(1)", NULL);
	}
	pthread_create(&thread, NULL, receive_elsewhere, k);
	sleep_ms(20);
	CHECK(settle(w, KNOCKER_HANDLED, NULL) == 0, "the handler settles");
	pthread_join(thread, &received);
	CHECK(received == k, "another thread only waited for it");
	CHECK(call_receive(k, NULL) == 0 && knocker_close(k, NULL) == 0,
	      "after the handler all calls are open again");
}

/* ---- fork ---- */

typedef struct {
	knocker *k;
	knocker_work *work;
	int to_child[2], to_parent[2];
} family;

static int forked_calls(void *context)
{
	family *f = context;
	knocker_error error = {0};
	knocker_rows *rows;
	int bad = !every_call_fails(f->k, KNOCKER_CLOSED, "fork");

	bad += knocker_close(f->k, &error) != KNOCKER_CLOSED;
	if (f->work) {
		bad += execute(f->work, "insert into app values(1)", &error) != KNOCKER_CLOSED;
		bad += knocker_work_event(f->work, &rows, &error) != KNOCKER_CLOSED;
		bad += settle(f->work, KNOCKER_HANDLED, &error) != KNOCKER_CLOSED;
		bad += knocker_work_free(f->work) != 0;
	}
	return bad;
}

/* Opens again, as it is told to, and receives before and after the parent closed. */
static int forked_receiver(void *context)
{
	family *f = context;
	knocker *k = open_with(file.path, NULL);
	int bad = !k || ingest(k, "a", "child, parent open") <= 0;
	char c = 'x';

	bad += write(f->to_parent[1], &c, 1) != 1 || read(f->to_child[0], &c, 1) != 1;
	bad += ingest(k, "a", "child, parent closed") <= 0;
	return bad + (knocker_close(k, NULL) != 0);
}

static void fork_and_open_again(void)
{
	family f = {.k = fresh(NULL)};
	pid_t pid;
	char c;

	call_stats(f.k, NULL);
	CHECK(child_run(forked_calls, &f) == 0, "after a fork each call in the child says so");
	if (pipe(f.to_child) != 0 || pipe(f.to_parent) != 0)
		exit(2);
	pid = child_start(forked_receiver, &f);
	CHECK(read(f.to_parent[0], &c, 1) == 1 && ingest(f.k, "a", "parent") > 0,
	      "parent and child both receive");
	CHECK(knocker_close(f.k, NULL) == 0 && write(f.to_child[1], "x", 1) == 1, "the parent closes");
	CHECK(child_end(pid) == 0, "the child, which opened again, receives on");
	CHECK(raw_int(file.path, "select count(*) from _knocker_delivery") == 4 &&
	          raw_is_whole(file.path),
	      "and no receipt that was answered is lost");
}

static int forked_from_a_handler(void *context)
{
	knocker_open_options o = {.size = sizeof o, .path = T(file.path)};
	knocker_error error = {0};
	test_file other_file;
	knocker *k;
	int bad = forked_calls(context);

	bad += knocker_open(&o, &k, &error) != KNOCKER_CLOSED || k ||
	       !strstr(error.text, "forked while");
	file_new(&other_file);
	k = open_with(other_file.path, NULL);
	bad += endpoint_named(k, "b") <= 0 || knocker_close(k, NULL) != 0;
	file_end(&other_file);
	return bad;
}

static void fork_inside_a_handler(void)
{
	family f = {.k = fresh(NULL)};

	f.work = begin_any(f.k);
	CHECK(child_run(forked_calls, &f) == 0, "a work from before a fork is of no use in the child");
	execute(f.work, "insert into app values(1)", NULL);
	CHECK(child_run(forked_from_a_handler, &f) == 0,
	      "a child of a handler's transaction opens any file but that one");
	CHECK(settle(f.work, KNOCKER_HANDLED, NULL) == 0, "the parent's handler is unharmed");
	CHECK(knocker_close(f.k, NULL) == 0 && raw_int(file.path, "select count(*) from app") == 1 &&
	          raw_is_whole(file.path),
	      "and so is the file");
}

int main(void)
{
	file_new(&file);
	no_handle();
	closed_handles();
	closing_inside_a_handler();
	inside_a_handler();
	fork_and_open_again();
	fork_inside_a_handler();
	file_end(&file);
	return check_end("handles");
}
