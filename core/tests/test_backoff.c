/* The delay before a retry: doubled for each failure, capped, and between its half and its whole.
 */
#include "backoff.h"
#include "check.h"

static void bounds(int64_t failures, int64_t base_ms, int64_t cap_ms, int64_t whole_ms,
                   const char *sentence)
{
	int64_t least = whole_ms, most = 0;
	uint64_t chance;

	for (chance = 0; chance < 4096; chance++) {
		int64_t delay = backoff_delay_ms(failures, base_ms, cap_ms, chance * 0x9E3779B97F4A7C15u);

		least = delay < least ? delay : least;
		most = delay > most ? delay : most;
	}
	CHECK(most <= whole_ms && least >= whole_ms - whole_ms / 2, sentence);
	CHECK(whole_ms < 100 || (most > whole_ms / 10 * 9 && least < whole_ms / 10 * 6),
	      "chance reaches both ends");
}

int main(void)
{
	bounds(1, 10000, 3600000, 10000, "the first retry waits for the base");
	bounds(2, 10000, 3600000, 20000, "the second for twice the base");
	bounds(5, 10000, 3600000, 160000, "the fifth for sixteen times the base");
	bounds(9, 10000, 3600000, 2560000, "the ninth is still under the cap");
	bounds(10, 10000, 3600000, 3600000, "the tenth is at the cap");
	bounds(1000, 10000, 3600000, 3600000, "no number of failures goes over the cap");
	bounds(INT64_MAX, 1, INT64_MAX, INT64_MAX, "nothing overflows");
	bounds(64, INT64_MAX / 2, INT64_MAX, INT64_MAX, "nor with a base that is half of all there is");
	bounds(1, 10000, 5000, 5000, "a base over the cap is the cap");
	bounds(0, 10000, 3600000, 10000, "no failure counts as the first");
	bounds(-5, 10000, 3600000, 10000, "nor does a negative number");
	bounds(3, 1, 3600000, 4, "a base of one millisecond doubles too");
	CHECK(backoff_delay_ms(1, 0, 1000, 7) == 0, "a base of zero waits not at all");
	CHECK(backoff_delay_ms(1, 1000, 0, 7) == 0, "nor does a cap of zero");
	CHECK(backoff_delay_ms(1, -5, 1000, 7) == 0, "nor does a negative base");
	CHECK(backoff_delay_ms(1, 1000, 2000, 0) == 1000, "chance 0 is the whole");
	return check_end("test_backoff");
}
