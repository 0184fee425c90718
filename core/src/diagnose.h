/* Why a request is not valid: which known mistake, undone, would make it so. Knows no sender's name
 * and prints no secret, no digest and no body. */
#ifndef KNOCKER_DIAGNOSE_H
#define KNOCKER_DIAGNOSE_H

#include "inbox.h"

/* Where a diagnosis looks besides the request. */
typedef struct {
	registrations *known;      /* other endpoints' secrets; NULL: none */
	db *reader;                /* where `delivery_id` stands; NULL where that is 0 */
	int64_t delivery_id;       /* the request is this stored delivery; 0: the request as given */
	knocker_bytes others_json; /* {"NAME": ["secret"]}: further secrets to be tried */
	int64_t now_ms;            /* the time of the check; of a delivery when it was received */
} diagnose_place;

#define DIAGNOSE_COLUMNS "cause, sentence"

int32_t diagnose_request(const diagnose_place *place, const knocker_request *request,
                         knocker_rows **out, knocker_error *error);

#endif
