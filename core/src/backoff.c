/* How long a failed handler waits for its next run. Pure: chance comes in as a number. Knows
 * nothing of jobs. */
#include "backoff.h"

int64_t backoff_delay_ms(int64_t failures, int64_t base_ms, int64_t cap_ms, uint64_t chance)
{
	int64_t whole = base_ms < cap_ms ? base_ms : cap_ms;
	uint64_t half;

	if (whole <= 0)
		return 0;
	while (failures > 1 && whole < cap_ms) {
		whole = whole > cap_ms / 2 ? cap_ms : whole * 2;
		failures--;
	}
	half = (uint64_t)whole / 2;
	return whole - (int64_t)(chance % (half + 1));
}
