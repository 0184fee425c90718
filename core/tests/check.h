/* The whole of a test's tools: a check that names itself when it fails, and the line at the end. */
#ifndef KNOCKER_CHECK_H
#define KNOCKER_CHECK_H

#include <stdio.h>

static int check_passed __attribute__((unused)), check_failed __attribute__((unused));

/* `sentence` is what is true when the check holds. */
#define CHECK(condition, sentence)                                         \
	do {                                                                   \
		if (condition) {                                                   \
			check_passed++;                                                \
		} else {                                                           \
			check_failed++;                                                \
			printf("%s:%d: not so: %s\n", __FILE__, __LINE__, (sentence)); \
		}                                                                  \
	} while (0)

/* Prints the line and gives the exit code. A test that checked nothing has failed. */
static inline int check_end(const char *name)
{
	printf("%s: %d passed, %d failed\n", name, check_passed, check_failed);
	return check_failed || !check_passed;
}

#endif
