/* Many receipts, one commit: whoever holds the writer stores what waits behind it too. */
#ifndef KNOCKER_BATCH_H
#define KNOCKER_BATCH_H

#include "receipt.h"
#include "store.h"

typedef struct {
	receipt **receipts; /* prepared; each gets its own result or failure */
	int32_t count;
} batch;

/* Fails as a whole only where the writer was not to be had. */
int32_t batch_receive(inbox *in, store *s, batch *b, bool full, knocker_error *error);

#endif
