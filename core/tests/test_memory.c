/* Memory that runs out: the n-th allocation of ours, or of SQLite's, fails, once or from then on.
 * Each call succeeds or says so, nothing crashes or leaks, and the file holds what was answered, no
 * more and no less. Of ours every n is tried, of SQLite's, which are a hundred times as many, each
 * 17th; `test_memory 1` tries them all. */
#include <openssl/hmac.h>

#include "bytes.h"
#include "hard_memory.h"

static test_file file;

#define SECRET "secret of the test"
#define BODY "{\"id\":\"evt_1\",\"type\":\"invoice.paid\"}"

/* ---- the way through the core ---- */

typedef struct {
	int received, duplicates, forged; /* answers */
	int handled, odd;                 /* odd: an error without a sentence, rows after a failure */
	int failures;
} way;

static char signature[200];

static void sign(void)
{
	unsigned char mac[32];
	unsigned len = sizeof mac;
	const char *text = "1700000000." BODY;
	char *at = signature + snprintf(signature, 60, "Stripe-Signature: t=1700000000,v1=");
	int i;

	HMAC(EVP_sha256(), SECRET, (int)strlen(SECRET), (const unsigned char *)text, strlen(text), mac,
	     &len);
	for (i = 0; i < 32; i++)
		at += snprintf(at, 3, "%02x", mac[i]);
	snprintf(at, 2, "\n");
}

/* Every call passes here: a failure has a sentence and leaves no rows. */
static bool fine(way *w, int32_t rc, const knocker_error *error, knocker_rows **rows)
{
	if (rc >= 0)
		return rc == 0;
	w->failures++;
	w->odd += !error->text[0] || error->code != rc || (rows && *rows);
	return false;
}

static void way_receive(way *w, knocker *k, const char *headers)
{
	knocker_request q = {.size = sizeof q,
	                     .endpoint = T("stripe"),
	                     .headers = T(headers),
	                     .body = T(BODY)};
	knocker_error error = {0};
	knocker_rows *rows = NULL;

	if (!fine(w, knocker_receive(k, &q, &rows, &error), &error, &rows))
		return;
	knocker_rows_next(rows);
	w->forged += row_int(rows, "status_code") == 401;
	w->duplicates += row_int(rows, "duplicate") == 1;
	w->received += row_int(rows, "event_id") > 0;
	knocker_rows_free(rows);
}

static void way_handle(way *w, knocker *k, held h)
{
	knocker_request q = {.size = sizeof q,
	                     .endpoint = T("plain"),
	                     .body = T("inside"),
	                     .verdict = KNOCKER_VALID};
	const knocker_value value = {.type = KNOCKER_TEXT, .bytes = T("effect")};
	knocker_error error = {0};
	knocker_rows *rows = NULL;
	knocker_work *work = NULL;
	bool all;
	int32_t rc;

	if (!fine(w, knocker_work_begin(k, h.job, h.claim, &work, &error), &error, NULL))
		return;
	all = fine(w, knocker_work_event(work, &rows, &error), &error, &rows);
	knocker_rows_free(rows);
	all = fine(w,
	           knocker_execute(work, T("insert into app values(?1)"), &value, 1, NULL, NULL,
	                           &error),
	           &error, NULL) &&
	      all;
	rows = NULL;
	all = fine(w, knocker_query(work, T("select * from app"), NULL, 0, &rows, &error), &error,
	           &rows) &&
	      all;
	knocker_rows_free(rows);
	rows = NULL;
	all = fine(w, knocker_work_ingest(work, &q, &rows, &error), &error, &rows) && all;
	knocker_rows_free(rows);
	rows = NULL;
	rc = knocker_settle(work, all ? KNOCKER_HANDLED : KNOCKER_FAILED, T("no memory"), 0, &rows,
	                    &error);
	w->handled += rc == 0 && all;
	if (rc < 0) {
		w->failures++;
		w->odd += !error.text[0];
	}
	knocker_rows_free(rows);
}

static void way_look(way *w, knocker *k)
{
	knocker_filter f = {.size = sizeof f};
	knocker_prune p = {.size = sizeof p, .older_than_s = 1};
	knocker_error error = {0};
	knocker_rows *rows;

	for (f.kind = KNOCKER_EVENT; f.kind <= KNOCKER_AUDIT; f.kind++) {
		fine(w, knocker_list(k, &f, &rows, &error), &error, &rows);
		knocker_rows_free(rows);
	}
	fine(w, knocker_why(k, 1, &rows, &error), &error, &rows);
	knocker_rows_free(rows);
	fine(w, knocker_stats(k, &rows, &error), &error, &rows);
	knocker_rows_free(rows);
	fine(w, knocker_prune_events(k, &p, &rows, &error), &error, &rows);
	knocker_rows_free(rows);
	fine(w, knocker_providers(&rows, &error), &error, &rows);
	knocker_rows_free(rows);
}

static void way_work(way *w, knocker *k, bool waits)
{
	knocker_claim_options o = {.size = sizeof o,
	                           .worker_id = T("w"),
	                           .queues_json = T("[\"knocker.events\"]"),
	                           .endpoints_json = T("[\"stripe\"]")};
	knocker_error error = {0};
	knocker_rows *rows = NULL;
	held h;

	if (waits)
		fine(w, knocker_wait(k, &o, 0, &error), &error, NULL);
	if (!fine(w, knocker_claim(k, &o, &rows, &error), &error, &rows))
		return;
	while (knocker_rows_next(rows) == 0) {
		h = (held){row_int(rows, "job_id"), row_int(rows, "claim")};
		way_handle(w, k, h);
	}
	knocker_rows_free(rows);
}

/* From open to close. A wait's watch takes the system 10 ms to end, so not every way has one. */
static void way_go(way *w, bool waits)
{
	knocker_open_options o = {.size = sizeof o,
	                          .path = T(file.path),
	                          .synchronous = KNOCKER_SYNC_NORMAL,
	                          .clock_ms = START_MS,
	                          .seed = 1,
	                          .init_sql = T("pragma cache_size = 50")};
	knocker_endpoint e = {.size = sizeof e,
	                      .name = T("stripe"),
	                      .provider = T("stripe"),
	                      .secrets_json = T("[\"" SECRET "\"]"),
	                      .options_json = T("{\"tolerance_s\":600}")};
	knocker_error error = {0};
	knocker *k = NULL;

	*w = (way){0};
	if (!fine(w, knocker_open(&o, &k, &error), &error, NULL))
		return;
	if (fine(w, knocker_endpoint_add(k, &e, NULL, &error), &error, NULL)) {
		way_receive(w, k, signature);
		way_receive(w, k, signature);
		way_receive(w, k, "Stripe-Signature: t=1700000000,v1=00\n");
		way_work(w, k, waits);
		way_look(w, k);
	}
	w->odd += knocker_close(k, &error) != 0;
}

/* ---- what is left ---- */

static void judge(const way *w)
{
	sqlite3 *h = raw_open(file.path);
	int64_t stored = raw_ask(
		h, "select count(*) from _knocker_delivery where event_id is not null and endpoint_id = 2");
	int64_t orphans = raw_ask(h, "select count(*) from _knocker_delivery where event_id is null");
	int64_t events = raw_ask(h, "select count(*) from _knocker_job where topic = 2");
	int64_t effects = raw_ask(h, "select count(*) from app");
	int64_t inside = raw_ask(h,
	                         "select count(*) from _knocker_delivery where body = x'696e73696465'");
	int64_t handled =
		raw_ask(h, "select count(*) from _knocker_job where status = 'handled' and topic = 2");

	CHECK(w->odd == 0, "a call that fails says why, leaves no rows, and the handle closes");
	/* A receipt may be stored although its answer failed for want of memory: then the sender
	 * comes again. */
	CHECK(stored >= w->received && stored <= 2 && orphans >= w->forged && orphans <= 1,
	      "what was answered is stored");
	CHECK(events <= 1 && events == (stored > 0), "the same event twice is one event");
	CHECK(
		raw_ask(
			h,
			"select count(*) from _knocker_delivery where event_id is not null and endpoint_id = 2 and "
			"(provider_event_id is not 'evt_1' or event_type is not 'invoice.paid' or "
			"dedupe_key is not 'evt_1')") == 0,
		"no id is lost for want of memory");
	CHECK(effects == handled && inside == handled && handled >= w->handled,
	      "a handler's effects are there together or not at all");
	sqlite3_close(h);
	CHECK(raw_is_whole(file.path), "the file is whole");
}

static void restore(const char *made)
{
	file_remove(&file, "-wal");
	file_remove(&file, "-shm");
	file_copy(made, file.path);
}

static void prepare(char *made, size_t size)
{
	knocker *k = open_plain(file.path);

	endpoint_named(k, "plain");
	endpoint_named(k, "stripe");
	knocker_close(k, NULL);
	raw_do(file.path, "create table app(x)");
	snprintf(made, size, "%s.made", file.path);
	file_copy(file.path, made);
}

static void ours_fail(const char *made, bool forever)
{
	int64_t n, before;
	way w = {0};

	for (n = 0;; n++) {
		restore(made);
		before = memory_count();
		memory_fail_after(n, forever);
		way_go(&w, true);
		memory_fail_after(-1, false);
		judge(&w);
		if (memory_count() - before <= n)
			break;
	}
	CHECK(w.failures == 0 && w.received == 2 && w.duplicates == 1 && w.forged == 1 &&
	          w.handled == 1,
	      "the way that no failure met was gone to its end");
	CHECK(n > 50, "there were allocations to fail");
}

static void lites_fail(const char *made, bool forever, int64_t stride)
{
	int64_t n, count;
	way w = {.failures = 1};

	for (n = 1; n < 1000000; n += stride) {
		restore(made);
		lite_arm(n, forever);
		way_go(&w, false);
		count = lite.count;
		lite_arm(0, false);
		judge(&w);
		if (count < n)
			break;
	}
	CHECK(w.failures == 0 && w.received == 2 && w.handled == 1,
	      "the way that no failure met was gone to its end");
	CHECK(n > 500, "there were allocations of SQLite's to fail");
}

int main(int argc, char **argv)
{
	int64_t stride = argc > 1 ? strtoll(argv[1], NULL, 10) : 17;
	char made[128];
	way w;

	lite_install();
	sign();
	file_new(&file);
	prepare(made, sizeof made);
	restore(made);
	way_go(&w, true); /* built-in schemes are compiled once */
	CHECK(w.failures == 0, "without a failure the way is gone to its end");
	ours_fail(made, false);
	ours_fail(made, true);
	lites_fail(made, false, stride);
	lites_fail(made, true, stride);
	file_end(&file);
	return check_end("memory");
}
