/* A handler's transaction: it begins at the first statement through it, holds the writer from then
 * on, and ends with the job's outcome. Knows stores and jobs, nothing of handles. */
#ifndef KNOCKER_WORK_H
#define KNOCKER_WORK_H

#include "inbox.h"
#include "store.h"
#include "worker.h"

struct knocker_work {
	knocker_work *next; /* of its handle, whose business this and `owner` are */
	knocker *owner;
	pthread_t thread;
	inbox *in;
	store *store;
	bool settle_full;
	int64_t job_id, claim, begun_ms; /* monotonic */
	store_tenant tenant;
	bool open;     /* the transaction has begun: the writer is held; */
	job_state job; /* as the transaction found it: nobody else writes while it is open */
	bool lost;     /* it ended behind the handler; `cause` says why, and each later use raises it */
	knocker_error cause;
};

/* 1: there is nothing to do any more, and the job is not queued or not ours. */
int32_t work_begin(inbox *in, store *s, int64_t job_id, int64_t claim, bool settle_full,
                   knocker_work **out, knocker_error *error);
int32_t work_event(knocker_work *w, knocker_rows **out, knocker_error *error);
int32_t work_run(knocker_work *w, const db_text_statement *statement, knocker_rows **rows,
                 int64_t *changes, int64_t *last_id, knocker_error *error);
int32_t work_receive(knocker_work *w, const knocker_request *request, bool ingest,
                     knocker_rows **out, knocker_error *error);
int32_t work_extend(knocker_work *w, int64_t lease_ms, knocker_error *error);
int32_t work_settle(knocker_work *w, int32_t outcome, knocker_bytes reason, int64_t delay_ms,
                    knocker_rows **out, knocker_error *error);
/* Rolls back; no attempt is counted. */
int32_t work_give_back(knocker_work *w, knocker_error *error);
void work_free(knocker_work *w); /* after one of the two above */

#endif
