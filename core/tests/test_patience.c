/* How long a call waits while another process writes: busy_timeout_ms, however the waiting is made
 * up of standing in line behind others and of SQLite's lock. */
#include "hard_file.h"

static test_file file;

#define PATIENCE_MS 600
#define CALLERS 4

typedef struct {
	knocker *k;
	int32_t rc;
	int64_t waited_us;
} caller;

static void *call(void *context)
{
	caller *c = context;
	int64_t began = now_us();

	c->rc = (int32_t)ingest(c->k, "a", NULL);
	c->waited_us = now_us() - began;
	return NULL;
}

int main(void)
{
	const knocker_open_options given = {.busy_timeout_ms = PATIENCE_MS};
	caller callers[CALLERS];
	pthread_t threads[CALLERS];
	sqlite3 *other;
	knocker *k;
	int i;

	file_new(&file);
	k = open_with(file.path, &given);
	endpoint_named(k, "a");
	other = raw_open(file.path);
	CHECK(sqlite3_exec(other, "begin immediate", NULL, NULL, NULL) == SQLITE_OK,
	      "another process writes");
	for (i = 0; i < CALLERS; i++) {
		callers[i] = (caller){.k = k};
		pthread_create(&threads[i], NULL, call, &callers[i]);
		sleep_ms(100);
	}
	for (i = 0; i < CALLERS; i++) {
		pthread_join(threads[i], NULL);
		CHECK(callers[i].rc == KNOCKER_BUSY, "a call that cannot write is busy in the end");
		CHECK(callers[i].waited_us < PATIENCE_MS * 1000 + 300000,
		      "it waited as long as it was told, not once in line and once for the lock");
	}
	sqlite3_exec(other, "rollback", NULL, NULL, NULL);
	sqlite3_close(other);
	CHECK(ingest(k, "a", NULL) > 0, "and then it works");
	knocker_close(k, NULL);
	file_end(&file);
	return check_end("patience");
}
