/* What a person does with stored rows: look, ignore, replay, requeue, ask why, prune. */
#ifndef KNOCKER_OPERATOR_H
#define KNOCKER_OPERATOR_H

#include "inbox.h"

/* ---- operator.c: in a transaction ---- */

int32_t operator_ignore(inbox *in, db *d, int64_t event_id, knocker_bytes reason,
                        knocker_error *error);
/* `queue` absent and `max_attempts` 0: as they are. */
typedef struct {
	knocker_bytes queue;
	int64_t max_attempts;
} operator_again;
int32_t operator_replay(inbox *in, db *d, int64_t event_id, const operator_again *a,
                        knocker_error *error);
int32_t operator_requeue(inbox *in, db *d, int64_t event_id, const operator_again *a,
                         knocker_error *error);
int32_t operator_replay_delivery(inbox *in, db *d, int64_t delivery_id, const operator_again *a,
                                 knocker_error *error);

int32_t operator_reset(inbox *in, db *d, int64_t event_id, knocker_error *error);

/* ---- look.c: reading ---- */

int32_t look_get(db *d, int32_t kind, int64_t id, knocker_rows **out, knocker_error *error);
int32_t look_list(db *d, const knocker_filter *filter, knocker_rows **out, knocker_error *error);
int32_t look_why(inbox *in, db *d, int64_t event_id, knocker_rows **out, knocker_error *error);
int32_t look_stats(inbox *in, db *d, knocker_rows **out, knocker_error *error);
/* The lowest delivery id received at or after a time, by bisection: received_ms never decreases
 * with id. */
int32_t look_since(db *d, int64_t since_ms, int64_t *id, knocker_error *error);

/* ---- retention.c: in a transaction ---- */

typedef struct {
	int64_t events, attempts, deliveries, live_jobs;
} prune_counts;
typedef struct {
	knocker_bytes statuses_json, queue_name; /* queue_name: for the audit row */
	int64_t older_than_s, limit;
	bool dry_run;
} prune_options;
/* The scheduled pass; 1: this interval was pruned already. `next_s` is when the next one begins. */
int32_t prune_interval(inbox *in, db *d, const knocker_retention *r, prune_counts *events,
                       prune_counts *orphans, int64_t *next_s, knocker_error *error);
int32_t prune_events(inbox *in, db *d, const prune_options *o, prune_counts *counts,
                     knocker_error *error);
int32_t prune_orphans(inbox *in, db *d, const prune_options *o, prune_counts *counts,
                      knocker_error *error);

#endif
