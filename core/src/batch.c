/* Many receipts, one commit: whoever holds the writer stores what waits behind it too. A bad
 * request fails alone; where one fails halfway, or SQLite rolled the whole transaction back, the
 * batch starts again with one commit a request. */
#include "batch.h"

#include "error.h"

/* All receipts of all taken tickets, as one sequence. */
typedef struct {
	ticket *ticket;
	int32_t at;
} batch_cursor;

static receipt *batch_next(batch_cursor *c)
{
	while (c->ticket) {
		batch *b = c->ticket->batch;

		if (c->at < b->count)
			return b->receipts[c->at++];
		c->ticket = c->ticket->next;
		c->at = 0;
	}
	return NULL;
}

static bool batch_is_one(ticket *taken)
{
	return !taken->next && ((const batch *)taken->batch)->count == 1;
}

/* ---- a transaction of receipts ---- */

/* What the last such transaction knew of the file holds for this one where nobody has committed to
 * it since: the usual case of a burst, which saves each receipt two look-ups. */
static int32_t batch_begin(inbox *in, db *d, knocker_error *error)
{
	inbox_known *known = &in->known;
	int32_t rc = db_begin(d, error);

	if (rc < 0 || known->version < 0 || known->version != db_version(d))
		known->dates = known->row = false;
	known->now_ms = 0;
	known->version = -1;
	return rc;
}

/* Commits where all is well so far, and ends the transaction in any case. */
static int32_t batch_end(inbox *in, db *d, int32_t rc, knocker_error *error)
{
	if (rc == 0)
		rc = db_commit(d, error);
	if (rc == 0)
		in->known.version = db_version(d);
	db_rollback(d);
	return rc;
}

/* One receipt of several. No savepoint guards it, which would cost two statements and a copy of
 * each page: one that fails before it wrote anything fails alone, any other fails the
 * transaction. */
static int32_t batch_store_one(inbox *in, db *d, receipt *r)
{
	int64_t before = db_changes_total(d);

	r->rc = receipt_store(in, d, r, &in->known, &r->error);
	if (r->rc == 0)
		return 0;
	in->known.dates = in->known.row = false;
	if (db_in_transaction(d) && db_changes_total(d) == before)
		return 0;
	r->rc = 0; /* it is tried again alone, as all others are */
	return KNOCKER_STORAGE;
}

static int32_t batch_try_together(inbox *in, db *d, ticket *taken, knocker_error *error)
{
	batch_cursor c = {.ticket = taken};
	int32_t rc = batch_begin(in, d, error);
	receipt *r;

	while (rc == 0 && (r = batch_next(&c)))
		if (r->rc == 0)
			rc = batch_store_one(in, d, r);
	return batch_end(in, d, rc, error);
}

static void batch_alone(inbox *in, db *d, receipt *r)
{
	r->rc = batch_begin(in, d, &r->error);
	if (r->rc == 0)
		r->rc = receipt_store(in, d, r, &in->known, &r->error);
	r->rc = batch_end(in, d, r->rc, &r->error);
}

/* A receipt that failed before keeps its failure. */
static void batch_one_by_one(inbox *in, db *d, ticket *taken)
{
	batch_cursor c = {.ticket = taken};
	receipt *r;

	while ((r = batch_next(&c)))
		if (r->rc == 0)
			batch_alone(in, d, r);
}

static void batch_fail_all(ticket *taken, int32_t rc, const knocker_error *error)
{
	batch_cursor c = {.ticket = taken};
	receipt *r;

	while ((r = batch_next(&c)))
		if (r->rc == 0) {
			r->rc = rc;
			r->error = *error;
		}
}

/* The prepared receipts of a batch have rc 0; those that failed to be prepared keep theirs. */
static void batch_lead(inbox *in, store *s, ticket *own, bool full)
{
	ticket *taken = store_take(s, own);
	db *d = store_writer(s);
	knocker_error error = {0};
	int32_t rc = db_synchronous(d, full, &error);

	if (rc == 0 && batch_is_one(taken)) {
		batch_one_by_one(in, d, taken);
	} else if (rc == 0) {
		rc = batch_try_together(in, d, taken, &error);
		if (rc < 0 && rc != KNOCKER_BUSY) {
			batch_one_by_one(in, d, taken);
			rc = 0;
		}
	}
	if (rc < 0)
		batch_fail_all(taken, rc, &error);
	store_done(taken);
	store_leave(s);
}

int32_t batch_receive(inbox *in, store *s, batch *b, bool full, knocker_error *error)
{
	ticket t = {.batch = b, .who = "a receipt"};
	int32_t i, rc;

	for (i = 0; i < b->count; i++)
		t.bytes += receipt_bytes(b->receipts[i]);
	rc = store_line_up(s, &t, error);
	if (rc == 1)
		batch_lead(in, s, &t, full);
	return rc < 0 ? rc : 0;
}
