/* Processes that are killed at each of their writes, and power cuts that lose what was not synced:
 * what was answered is in the file, what was not is there whole or not at all, and an event's
 * effect is there once. */
#include "hard_vfs.h"

static test_file file;

typedef struct {
	vfs_fault fault;
	int64_t at;
	bool answered, survived;
	bool keys[64]; /* of the storm: which receipts were answered */
} crash_run;

static crash_run *run; /* shared with the child */

/* ---- what is killed ---- */

static void prepare_file(void)
{
	knocker *k = open_plain(file.path);

	endpoint_named(k, "a");
	ingest(k, "a", "old");
	handle_one(k, "w", NULL);
	knocker_close(k, NULL);
	raw_do(file.path, "create table app(x)");
}

static void prepare_event(void)
{
	knocker *k;

	prepare_file();
	k = open_plain(file.path);
	ingest(k, "a", "new");
	knocker_close(k, NULL);
}

static void prepare_nothing(void)
{
	file_clear(&file);
}

static int act_receive(void *context)
{
	knocker *k;

	(void)context;
	vfs_install();
	k = open_with(file.path, &(knocker_open_options){.clock_ms = START_MS});
	vfs_arm(run->fault, run->at);
	run->answered = ingest(k, "a", "new") > 0;
	knocker_close(k, NULL);
	run->survived = true;
	return 0;
}

/* Over 1,000 pages: the receipt is followed by a checkpoint. */
static int act_receive_large(void *context)
{
	static char body[4500000];
	knocker *k;

	(void)context;
	vfs_install();
	k = open_with(file.path, &(knocker_open_options){.clock_ms = START_MS});
	vfs_arm(run->fault, run->at);
	run->answered = ingest_bytes(k, "a", "new", (knocker_bytes){body, sizeof body}, NULL) > 0;
	knocker_close(k, NULL);
	run->survived = true;
	return 0;
}

static int act_handle(void *context)
{
	knocker *k;

	(void)context;
	vfs_install();
	k = open_with(file.path, &(knocker_open_options){.clock_ms = START_MS});
	vfs_arm(run->fault, run->at);
	run->answered = handle_one(k, "w", "insert into app values(1)") > 0;
	knocker_close(k, NULL);
	run->survived = true;
	return 0;
}

static int act_open(void *context)
{
	knocker *k;

	(void)context;
	vfs_install();
	vfs_arm(run->fault, run->at);
	k = open_with(file.path, NULL);
	run->answered = endpoint_named(k, "a") > 0;
	knocker_close(k, NULL);
	run->survived = true;
	return 0;
}

/* ---- what is found then ---- */

static void judge_usable(void)
{
	knocker *k = open_plain(file.path);

	CHECK(k && endpoint_named(k, "a") > 0 && ingest(k, "a", "next") > 0,
	      "after a crash the file opens and receives");
	knocker_close(k, NULL);
	CHECK(raw_is_whole(file.path), "after a crash no page is damaged and no row lacks its partner");
}

static void judge_receive(void)
{
	int64_t deliveries, jobs;

	CHECK(raw_is_whole(file.path), "a process killed in a receipt leaves a whole file");
	deliveries = raw_int(file.path,
	                     "select count(*) from _knocker_delivery where dedupe_key = 'new'");
	jobs = raw_int(file.path, "select count(*) from _knocker_job where due_ms is not null");
	CHECK(deliveries == jobs && (deliveries == 0 || deliveries == 1),
	      "a receipt is there whole or not at all");
	CHECK(!run->answered || deliveries == 1, "a receipt that was answered is there");
	CHECK(raw_int(file.path, "select count(*) from _knocker_delivery where dedupe_key = 'old'") ==
	          1,
	      "a receipt from before is untouched");
	judge_usable();
}

static void judge_effect(bool must_be_there)
{
	int64_t effects = raw_int(file.path, "select count(*) from app");
	int64_t handled = raw_int(
		file.path,
		"select count(*) from knocker_events where status = 'handled' and dedupe_key = 'new'");
	int64_t attempts = raw_int(file.path,
	                           "select count(*) from _knocker_attempt where job_id = "
	                           "(select id from _knocker_delivery where dedupe_key = 'new')");
	knocker *k;

	CHECK(raw_is_whole(file.path), "a worker that died leaves a whole file");
	CHECK(effects == handled && handled == attempts && (effects == 0 || effects == 1),
	      "effect, status and attempt are there together");
	CHECK(!must_be_there || effects == 1, "a settlement that was answered is there");
	k = open_plain(file.path);
	knocker_clock_set(k, START_MS + 3600000, NULL);
	while (handle_one(k, "w2", "insert into app values(1)") > 0)
		;
	knocker_close(k, NULL);
	CHECK(raw_int(file.path,
	              "select (select count(*) from app) = (select count(*) from _knocker_job) - 1") ==
	          1,
	      "the effect is there once for each event in the end");
	CHECK(raw_int(file.path, "select status = 'handled' from knocker_events "
	                         "where dedupe_key = 'new'") == 1,
	      "the event is handled in the end");
}

static void judge_handle(void)
{
	judge_effect(run->answered);
}

static const struct {
	const char *name;
	void (*prepare)(void);
	int (*act)(void *);
	void (*judge)(void);
	int64_t stride; /* 1: each write */
} crash_cases[] = {
	{"a receipt", prepare_file, act_receive, judge_receive, 1},
	{"a receipt with a checkpoint", prepare_file, act_receive_large, judge_receive, 197},
	{"a handler", prepare_event, act_handle, judge_handle, 1},
	{"the first open", prepare_nothing, act_open, judge_usable, 1},
};

static void kill_at_each_write(size_t which, vfs_fault fault)
{
	char made[128];
	int64_t at, kills = 0;

	snprintf(made, sizeof made, "%s.made", file.path);
	file_clear(&file);
	crash_cases[which].prepare();
	if (access(file.path, F_OK) == 0)
		file_copy(file.path, made);
	for (at = 1;; at += crash_cases[which].stride) {
		int code;

		file_remove(&file, "");
		file_remove(&file, "-wal");
		file_remove(&file, "-shm");
		file_remove(&file, "-journal");
		if (access(made, F_OK) == 0)
			file_copy(made, file.path);
		*run = (crash_run){.fault = fault, .at = at};
		code = child_run(crash_cases[which].act, NULL);
		CHECK(code == 0 || code == -SIGKILL, "the child ended by itself or by our hand");
		crash_cases[which].judge();
		if (run->survived || at > 100000)
			break;
		kills++;
	}
	CHECK(kills >= 4, "there were writes to be killed at");
	CHECK(run->answered, "the run that survived was answered");
}

/* ---- power cuts ---- */

typedef struct {
	bool settle_full, receive_after;
} cut_options;

static void cut_begin(void)
{
	char durable[128];

	file_clear(&file);
	prepare_file();
	snprintf(durable, sizeof durable, "%s.durable", file.path);
	file_copy(file.path, durable);
	*run = (crash_run){.fault = VFS_PASS};
	vfs.shadow = true;
}

static int act_settle(void *context)
{
	const cut_options *o = context;
	knocker *k;

	vfs_install();
	k = open_with(file.path,
	              &(knocker_open_options){.clock_ms = START_MS, .settle_full = o->settle_full});
	if (ingest(k, "a", "new") <= 0 || handle_one(k, "w", "insert into app values(1)") <= 0)
		return 1;
	if (o->receive_after && ingest(k, "a", "later") <= 0)
		return 1;
	run->answered = true;
	vfs_die();
	return 0;
}

static void cut_after_settlement(cut_options o)
{
	uint32_t seed;

	cut_begin();
	child_run(act_settle, &o);
	vfs.shadow = false;
	CHECK(run->answered, "the settlement was answered before the power went");
	for (seed = 0; seed < 16; seed++) {
		vfs_cut(file.path, seed);
		if (seed == 0 && !o.settle_full && !o.receive_after)
			CHECK(raw_int(file.path, "select count(*) from app") == 0,
			      "a settlement at NORMAL is not durable by itself");
		CHECK(raw_int(file.path,
		              "select count(*) from _knocker_delivery where dedupe_key = 'new'") == 1,
		      "a receipt at FULL survives the power cut");
		CHECK(!o.receive_after ||
		          raw_int(file.path,
		                  "select count(*) from _knocker_delivery where dedupe_key = 'later'") == 1,
		      "a later receipt at FULL survives too");
		judge_effect(o.settle_full || o.receive_after);
	}
}

/* Receipts and handlers in turn, with checkpoints, until the process is killed. */
static int act_storm(void *context)
{
	static char body[60000];
	knocker *k;
	char key[16];
	int i;

	(void)context;
	vfs_install();
	k = open_with(file.path, &(knocker_open_options){.clock_ms = START_MS});
	vfs_arm(run->fault, run->at);
	for (i = 0; i < 64; i++) {
		snprintf(key, sizeof key, "key%d", i);
		run->keys[i] = ingest_bytes(k, "a", key, (knocker_bytes){body, sizeof body}, NULL) > 0;
		if (i % 3 == 0)
			handle_one(k, "w", "insert into app values(1)");
	}
	vfs_die();
	return 0;
}

static void cut_in_storm(int64_t at)
{
	uint32_t seed;
	char sql[100];
	int i, lost = 0;

	cut_begin();
	run->fault = VFS_KILL;
	run->at = at;
	child_run(act_storm, NULL);
	vfs.shadow = false;
	CHECK(run->keys[0], "some receipt was answered before the power went");
	for (seed = 0; seed < 4; seed++) {
		vfs_cut(file.path, seed);
		CHECK(raw_is_whole(file.path),
		      "after a power cut no page is damaged and no row lacks its partner");
		for (i = 0; i < 64; i++) {
			snprintf(sql, sizeof sql,
			         "select count(*) from _knocker_delivery where dedupe_key = 'key%d'", i);
			lost += run->keys[i] && raw_int(file.path, sql) != 1;
		}
		CHECK(raw_int(file.path,
		              "select (select count(*) from app) = (select count(*) from knocker_events "
		              "where status = 'handled' and dedupe_key <> 'old')") == 1,
		      "after a power cut there are as many effects as handled events");
	}
	CHECK(lost == 0, "no receipt that was answered is lost in a power cut");
}

int main(void)
{
	const int64_t cuts[] = {100, 333, 777, 1100, 1444, 1999, 2345, 100000};
	size_t i;

	file_new(&file);
	run = shared_memory(sizeof *run);
	for (i = 0; i < sizeof crash_cases / sizeof *crash_cases; i++) {
		kill_at_each_write(i, VFS_KILL);
		kill_at_each_write(i, VFS_TEAR);
	}
	cut_after_settlement((cut_options){0});
	cut_after_settlement((cut_options){.receive_after = true});
	cut_after_settlement((cut_options){.settle_full = true});
	for (i = 0; i < sizeof cuts / sizeof *cuts; i++)
		cut_in_storm(cuts[i]);
	file_end(&file);
	return check_end("crash");
}
