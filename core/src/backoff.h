/* How long a failed handler waits for its next run. Pure: chance comes in as a number. Knows
 * nothing of jobs. */
#ifndef KNOCKER_BACKOFF_H
#define KNOCKER_BACKOFF_H

#include <stdint.h>

/* base * 2^(failures - 1), at most `cap_ms`, and of that by `chance` something between the half and
 * the whole. */
int64_t backoff_delay_ms(int64_t failures, int64_t base_ms, int64_t cap_ms, uint64_t chance);

#endif
