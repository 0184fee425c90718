/* A burst of receipts remembers what it knows of the file: the next id, the last date, the
 * endpoint's row. Whoever else commits in between, the next receipt sees it. */
#include "hard_file.h"

static test_file file;
static knocker *k;

static int64_t ask(const char *sql)
{
	return raw_int(file.path, sql);
}

/* The status of a request that nobody signed, to an endpoint without a provider. */
static int64_t receive(const char *endpoint)
{
	knocker_request q = {.size = sizeof q, .endpoint = T(endpoint), .body = T("{}")};
	knocker_rows *rows;
	int64_t status;
	int32_t rc = knocker_receive(k, &q, &rows, NULL);

	if (rc < 0)
		return rc;
	knocker_rows_next(rows);
	status = row_int(rows, "status_code");
	knocker_rows_free(rows);
	return status;
}

static void others_commit(void)
{
	knocker *other = open_plain(file.path);
	int64_t last = 0, id;
	int i, right = 0;

	for (i = 0; i < 20; i++) {
		id = ingest(i % 3 ? k : other, i % 2 ? "a" : "b", NULL);
		right += id == last + 1;
		last = id;
	}
	CHECK(right == 20, "two handles in turn give one id after the other");
	CHECK(ask("select count(*) from knocker_events where endpoint = 'a'") == 10 &&
	          ask("select count(*) from knocker_events where endpoint = 'b'") == 10,
	      "and each event stands at its own endpoint");
	knocker_close(other, NULL);
}

static void row_changes(void)
{
	knocker_endpoint moved = {.size = sizeof moved, .name = T("a"), .queue_name = T("elsewhere")};

	CHECK(receive("a") == 204 && receive("a") == 204, "an endpoint that is enabled receives");
	raw_do(file.path, "update _knocker_endpoint set enabled = 0 where name = 'a'");
	CHECK(receive("a") == 404, "one that another connection disabled does not");
	CHECK(receive("a") == 404, "and not the second time either");
	CHECK(ask("select orphan_rows from _knocker_endpoint where name = 'a'") == 2,
	      "each refused receipt is counted");
	raw_do(file.path, "update _knocker_endpoint set enabled = 1 where name = 'a'");
	CHECK(receive("a") == 204, "it does again when it is enabled");
	knocker_endpoint_add(k, &moved, NULL, NULL);
	ingest(k, "a", NULL);
	CHECK(ask("select queue = 'elsewhere' from _knocker_job order by id desc limit 1") == 1,
	      "this handle's own change of the row holds for its next receipt");
	raw_do(file.path, "delete from _knocker_endpoint where name = 'b'");
	CHECK(receive("b") == KNOCKER_UNKNOWN_ENDPOINT, "an endpoint that is gone receives nothing");
}

static void ids_change(void)
{
	int64_t last = ingest(k, "a", NULL);

	raw_do(file.path, "insert or replace into _knocker_meta values ('floor', 5000)");
	CHECK(ingest(k, "a", NULL) == 5001, "a floor that was raised is above the next id");
	CHECK(last < 5000, "which was far below");
	raw_do(file.path,
	       "update _knocker_delivery set received_ms = received_ms + 3600000 where id = 5001");
	ingest(k, "a", NULL);
	CHECK(ask("select max(received_ms) from _knocker_delivery") == START_MS,
	      "a date from the future is mended by the next receipt");
}

/* What failed left nothing behind, in the file or in memory. */
static void failures(void)
{
	int64_t last = ingest(k, "a", NULL);

	raw_do(file.path, "create trigger no before insert on _knocker_job begin"
	                  " select raise(abort, 'no'); end");
	CHECK(ingest(k, "a", NULL) < 0 && ingest(k, "a", NULL) < 0,
	      "a receipt that cannot be stored fails");
	raw_do(file.path, "drop trigger no");
	CHECK(ingest(k, "a", NULL) == last + 1, "its id is given to the next");
	CHECK(ingest(k, "a", "twice") == last + 2 && ingest(k, "a", "twice") == last + 2 &&
	          ingest(k, "a", NULL) == last + 4,
	      "a repeat takes an id of its own");
}

int main(void)
{
	file_new(&file);
	k = open_plain(file.path);
	endpoint_named(k, "a");
	endpoint_named(k, "b");
	others_commit();
	row_changes();
	ids_change();
	failures();
	knocker_close(k, NULL);
	file_end(&file);
	return check_end("known");
}
