/* Stored orphans verified again after a fix, a round at a time: read and verified without the
 * writer, then adopted in a transaction that somebody else begins and ends. */
#ifndef KNOCKER_REVERIFY_H
#define KNOCKER_REVERIFY_H

#include "receipt.h"

#define REVERIFY_ROUND 64 /* orphans at most, and LIMIT_BATCH_BYTES */

typedef struct {
	knocker_bytes endpoint;
	knocker_bytes provider, secrets_json, options_json; /* absent: the registration's */
	int64_t since_s, after_id;
	int64_t limit; /* 0: 100 */
	bool dry_run;
} reverify_asked;

typedef struct {
	int64_t id, received_ms, bytes;
	const char *outcome;
	knocker_bytes signature_error; /* as stored */
	knocker_bytes error;           /* why it is no event today either */
	knocker_bytes stored_headers, stored_query;
	knocker_request request;
	receipt receipt;
	arena memory;
} reverify_orphan;

typedef struct {
	knocker_bytes key;
	int64_t event_id;
} reverify_seen;

typedef struct {
	reverify_asked asked;
	int64_t endpoint_id, after_id, left;
	bool over;
	reverify_orphan *round;
	int32_t count, passed; /* of the round */
	/* What a dry run would have made: it finds no key in the file. */
	reverify_seen *seen;
	int32_t seen_count;
	arena memory;
} reverify;

/* Checks what was asked, and that somebody here can verify. */
int32_t reverify_begin(inbox *in, db *reader, const reverify_asked *asked, reverify *v,
                       knocker_error *error);
/* The next round; then `over` says whether it is the last. */
int32_t reverify_read(inbox *in, db *reader, reverify *v, knocker_error *error);
/* Where `passed` is not 0, in a transaction. */
int32_t reverify_store(inbox *in, db *d, reverify *v, knocker_error *error);
/* A row an orphan; one that is none any more, for somebody else was faster, has none. Ends the
 * round. */
int32_t reverify_tell(reverify *v, knocker_rows *rows, knocker_error *error);
void reverify_end(reverify *v); /* also after a failure of reverify_begin */

#define REVERIFY_COLUMNS "delivery_id, outcome, event_id, signature_error, error"

#endif
