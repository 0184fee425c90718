/* One file and its connections: who may use them when. SQLite has one writer, so callers stand in
 * line for it; receipts that wait are taken along by whoever leads. Knows nothing of what is
 * written. */
#ifndef KNOCKER_STORE_H
#define KNOCKER_STORE_H

#include <pthread.h>
#include <stdatomic.h>

#include "bell.h"
#include "db.h"

typedef struct store store;

typedef struct {
	knocker_bytes path, init_sql;
	int64_t busy_timeout_ms, max_readers;
	bool existing;
} store_options;

int32_t store_open(const store_options *options, store **out, knocker_error *error);
void store_close(store *s); /* NULL is fine; nobody uses it any more */
bell *store_bell(store *s);
const char *store_file(const store *s); /* its whole path */
/* In a child after fork(), of a store that only the parent may use: closes the child's copies of
 * its connections. False: one was in use at the fork, and stays open. */
bool store_disinherit(store *s);

/* A place in the line. A caller with `batch` lets the leader do its work for it. */
typedef struct ticket ticket;
enum { TICKET_WAITING, TICKET_TAKEN, TICKET_DONE, TICKET_LEADS };
struct ticket {
	ticket *next;
	void *batch;     /* what the leader is to do; NULL: the caller wants the writer for itself */
	int64_t bytes;   /* of the batch, for LIMIT_BATCH_BYTES */
	const char *who; /* for "busy" messages */
	_Atomic int32_t state;
};

/* 0: a leader has done the batch; 1: the caller leads: it holds the writer until store_leave.
 * KNOCKER_BUSY past the timeout. */
int32_t store_line_up(store *s, ticket *t, knocker_error *error);
/* The leader's own ticket and the batches that wait behind it, in order, now nobody else's. */
ticket *store_take(store *s, ticket *own);
/* Wakes the callers of all taken tickets but the first, which is the leader's. */
void store_done(ticket *taken);
void store_leave(store *s); /* checkpoints when due, and hands the writer on */
/* Hands it on without a checkpoint. Who has kept the writer long lets other processes in first. */
void store_pass(store *s);
db *store_writer(store *s); /* the leader's */

/* The writer for one caller alone: store_line_up without a batch. */
int32_t store_enter(store *s, const char *who, knocker_error *error);

/* A caller that keeps the writer over many calls, as a handler does. From `until_ms` (monotonic) on
 * whoever waits in line may roll it back while none of its statements runs, and takes the writer
 * away: a handler that hangs stops nobody for longer than its lease. */
typedef struct {
	int64_t until_ms;
	bool running, evicted;
} store_tenant;
void store_tenant_enter(store *s, store_tenant *t);                   /* after store_enter */
bool store_tenant_begin(store *s, store_tenant *t);                   /* false: it was evicted */
void store_tenant_end(store *s, store_tenant *t);                     /* after each begin */
void store_tenant_until(store *s, store_tenant *t, int64_t until_ms); /* its lease was extended */

/* A connection that only reads; given back with store_reader_leave. */
int32_t store_reader(store *s, db **out, knocker_error *error);
void store_reader_leave(store *s, db *d);
/* The same for a look at a few rows: the writer where it is free, whose cache knows what it wrote
 * last, while a reader's is empty after each commit. Given back with store_look_leave. */
int32_t store_look(store *s, db **out, knocker_error *error);
void store_look_leave(store *s, db *d);

#endif
