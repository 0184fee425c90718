/* One request on its way into the file: verified in the calling thread, then stored by whoever
 * holds the writer. */
#ifndef KNOCKER_RECEIPT_H
#define KNOCKER_RECEIPT_H

#include "inbox.h"

typedef struct {
	const knocker_request *request;
	bool ingest;
	registration *registration;
	const scheme *scheme; /* by which it is verified; NULL: not */
	const scheme_keys *keys;
	scheme *own_scheme; /* of this call alone */
	scheme_keys *own_keys;
	knocker_bytes provider; /* absent: not verified */
	bool by_application, too_large;
	bool unjudged; /* nobody here has a secret: an error, unless its endpoint is disabled */
	arena memory;
	scheme_verdict verdict;
	knocker_bytes method, event_type, provider_event_id, provider_delivery_id, dedupe_key;
	buffer headers, query;                 /* as stored: redacted JSON */
	int64_t delivery_id, event_id, status; /* the result; event_id 0: none */
	bool duplicate;
	knocker_bytes response_headers, response_body;
	int32_t rc; /* its own failure in a batch */
	knocker_error error;
} receipt;

/* Checks the arguments and verifies. `reader` looks the endpoint's row up where this process has
 * not registered it. */
int32_t receipt_prepare(inbox *in, db *reader, const knocker_request *request, bool ingest,
                        receipt *r, knocker_error *error);
/* Then `reader` must be given. */
bool receipt_needs_row(inbox *in, const knocker_request *request, bool ingest);
/* In a transaction. The endpoint's row, which may have changed since, decides last. */
int32_t receipt_store(inbox *in, db *d, receipt *r, inbox_known *known, knocker_error *error);
/* A stored request, verified as it would have been at `at_ms` by today's scheme and secrets. Ids
 * are read anew; what `request` says of them holds where nothing is read, and makes no dedupe key.
 * Where nothing is verified, or nobody here can, that is an error. */
int32_t receipt_again(inbox *in, db *reader, const knocker_request *request, int64_t at_ms,
                      receipt *r, knocker_error *error);
/* In a transaction: the orphan that `r` verified becomes an event, or a repeat of one. 1: it is no
 * orphan any more. `bytes` is what it counts for in its endpoint's budget. */
int32_t receipt_adopt(inbox *in, db *d, receipt *r, int64_t id, int64_t bytes,
                      knocker_error *error);
int32_t receipt_check_provider(const receipt *r, const endpoint_row *row, knocker_error *error);
int32_t receipt_check_enabled(const receipt *r, const endpoint_row *row, knocker_error *error);
int32_t receipt_no_secret(const receipt *r, knocker_error *error);
/* Headers and query as they are stored, without what this scheme compares as a credential. */
int32_t receipt_texts(receipt *r, const scheme *s, const scheme_keys *keys, knocker_error *error);
void receipt_free(receipt *r);
int64_t receipt_bytes(const receipt *r);

#define RECEIPT_COLUMNS \
	"delivery_id, event_id, duplicate, status_code, response_headers, response_body"
#define RECEIPT_MANY_COLUMNS RECEIPT_COLUMNS ", error_code, error"

int32_t receipt_row(const receipt *r, bool many, knocker_rows *rows, knocker_error *error);

int32_t receipt_verify(const knocker_request *request, int64_t now_ms, knocker_rows **out,
                       knocker_error *error); /* pure */
int32_t receipt_sign(const knocker_request *request, int64_t now_ms, knocker_rows **out,
                     knocker_error *error); /* pure */

#endif
