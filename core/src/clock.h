/* Time and chance, as seams: a test sets both. Knows nothing of who asks. */
#ifndef KNOCKER_CLOCK_H
#define KNOCKER_CLOCK_H

#include <stdint.h>

int64_t clock_wall_ms(void);      /* Unix time */
int64_t clock_monotonic_ms(void); /* for waiting */
/* A pseudo-random number (splitmix64); `state` 0 is seeded from the system first. */
uint64_t chance_next(uint64_t *state);

#endif
