/* Time and chance, as seams: a test sets both. Knows nothing of who asks. */
#include "clock.h"

#include <time.h>

static int64_t clock_read(clockid_t which)
{
	struct timespec t;

	clock_gettime(which, &t);
	return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

int64_t clock_wall_ms(void)
{
	return clock_read(CLOCK_REALTIME);
}

int64_t clock_monotonic_ms(void)
{
	return clock_read(CLOCK_MONOTONIC);
}

uint64_t chance_next(uint64_t *state)
{
	uint64_t z;

	if (*state == 0) {
		struct timespec t;

		clock_gettime(CLOCK_REALTIME, &t);
		*state = (uint64_t)t.tv_nsec ^ ((uint64_t)t.tv_sec << 30) ^ (uint64_t)(uintptr_t)state;
	}
	/* splitmix64: Steele, Lea, Flood, "Fast splittable pseudorandom number generators", 2014 */
	z = (*state += 0x9E3779B97F4A7C15u);
	z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9u;
	z = (z ^ (z >> 27)) * 0x94D049BB133111EBu;
	return z ^ (z >> 31);
}
