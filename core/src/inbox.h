/* What a process knows of its inbox: defaults, clock, registrations. The rules of layer 3 are told
 * of the world through it and a connection; whether that connection is a handle's or an
 * application's they do not know. */
#ifndef KNOCKER_INBOX_H
#define KNOCKER_INBOX_H

#include <pthread.h>
#include <stdatomic.h>

#include "bounds.h"
#include "db.h"
#include "registration.h"

#define INBOX_TURNS 64
#define INBOX_LEASES 64

typedef struct {
	char queue[LIMIT_NAME + 1];
	int64_t topic; /* served last */
} inbox_turn;

typedef struct {
	char worker[LIMIT_NAME + 1];
	int64_t lease_ms; /* of its last claim */
} inbox_lease;

typedef struct {
	/* 0: not its own */
	int64_t id, max_attempts, backoff_base_ms, backoff_cap_ms, orphan_rows, orphan_bytes;
	bool enabled, paused;
	knocker_bytes provider, queue; /* lent, see endpoint_find */
} endpoint_row;

/* What receipts need to know of the file: ids, dates, an endpoint's row. Read by the first receipt
 * of a transaction, true for those that follow, and for the next transactions too while
 * db_version() stays `version`. */
typedef struct {
	int64_t version; /* -1: nothing is known */
	bool dates, row;
	int64_t now_ms; /* 0: not yet asked in this transaction */
	int64_t next_id, received_ms;
	endpoint_row endpoint;
	knocker_bytes name; /* of that endpoint, in `texts` as its other texts are */
	char texts[3][LIMIT_NAME];
} inbox_known;

typedef struct {
	_Atomic int64_t clock_ms; /* 0: the system's */
	inbox_known known;        /* of the writer's file; whoever holds the writer uses it */
	registrations registrations;
	pthread_mutex_t lock; /* of what follows */
	uint64_t chance;
	inbox_turn turns[INBOX_TURNS];
	int32_t turn_count;
	inbox_lease leases[INBOX_LEASES]; /* a ring: the oldest gives way */
	int32_t lease_next;
	char queue_name[LIMIT_NAME + 1];
	int64_t visibility_ms, max_attempts, backoff_base_ms, backoff_cap_ms, max_body_bytes,
		orphan_bytes, orphan_rows;
} inbox;

void inbox_init(inbox *in); /* with the defaults */
void inbox_end(inbox *in);  /* forgets the registrations */
int64_t inbox_now_ms(const inbox *in);
uint64_t inbox_chance(inbox *in);
/* How far a lease of this worker is renewed: as far as its last claim here went. */
void inbox_lease_set(inbox *in, knocker_bytes worker, int64_t lease_ms);
int64_t inbox_lease_ms(inbox *in, const char *worker);

/* Text arguments: UTF-8 without NUL. `what` names it in the message. An empty text that may lack
 * reads as absent. */
/* Required, 1 to LIMIT_NAME bytes. */
int32_t inbox_name_check(const char *what, knocker_bytes name, knocker_error *error);
int32_t inbox_text_check(const char *what, knocker_bytes *text, int64_t max, knocker_error *error);
int32_t inbox_range_check(const char *what, int64_t value, int64_t low, int64_t high,
                          knocker_error *error);

/* ---- endpoint.c ---- */

/* Registers here and writes the row; in a transaction. `row_only`: the secrets come later, with
 * endpoint_secrets. */
int32_t endpoint_add(inbox *in, db *d, const knocker_endpoint *e, bool row_only, int64_t *id,
                     knocker_error *error);
/* Secrets and options for an endpoint whose row exists: this process's registration of it. */
int32_t endpoint_secrets(inbox *in, db *d, knocker_bytes name, knocker_bytes secrets_json,
                         knocker_bytes options_json, knocker_error *error);
int32_t endpoint_pause(db *d, knocker_bytes name, bool paused, knocker_error *error);
/* KNOCKER_UNKNOWN_ENDPOINT; the row's texts are in the arena. */
int32_t endpoint_find(db *d, knocker_bytes name, arena *a, endpoint_row *out, knocker_error *error);
int32_t endpoint_providers(knocker_rows **out, knocker_error *error);

/* ---- schema.c ---- */

/* Brings the file's schema up to date, safely when several processes start at once. A newer schema
 * is KNOCKER_STORAGE. */
int32_t schema_migrate(db *d, knocker_error *error);
/* KNOCKER_STORAGE for a newer schema; before anything of the file is touched. */
int32_t schema_known(db *d, knocker_error *error);
/* For a connection of the application's: KNOCKER_STORAGE says that knocker_bootstrap() is due. */
int32_t schema_check(db *d, knocker_error *error);
/* In a transaction that is open already. */
int32_t schema_apply(db *d, knocker_error *error);

#endif
