/* What every file of the command line stands on: exit codes, complaints, words as bytes. */
#ifndef APP_H
#define APP_H

#include <stdio.h>

#include "knocker.h"
#include "text.h"

/* What scripts may rely on; the help says the same. */
enum {
	EXIT_DONE = 0,
	EXIT_NO = 1,      /* the answer is no: not valid, not accepted, not allowed, not healthy */
	EXIT_USAGE = 2,   /* the command was given wrongly */
	EXIT_MISSING = 3, /* no such database, event, delivery or endpoint */
	EXIT_FAILED = 4   /* everything else */
};

#if defined(__GNUC__)
__attribute__((format(printf, 2, 3)))
#endif
int complain(int exit_code, const char *format, ...); /* one line on standard error; the code */
int complain_error(const knocker_error *error); /* the same for a failed call */

knocker_bytes bytes_of(const char *words); /* NULL: not given */

#endif
