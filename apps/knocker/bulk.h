/* One act on many events, chosen by filters. Owns the choice, the question and the count; the act
 * is the caller's, and each is a transaction of its own. */
#ifndef BULK_H
#define BULK_H

#include "options.h"

typedef int32_t act_call(knocker *k, const options *o, int64_t id, knocker_error *error);

typedef struct {
	act_call *call;
	const char *would; /* what is asked: "be queued again" */
	const char *done;  /* what is said: "queued again" */
} bulk;

int bulk_run(const options *o, const bulk *b);

#endif
