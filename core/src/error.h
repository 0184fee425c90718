/* How a failure is said: a code and one sentence. Knows nothing of what failed. */
#ifndef KNOCKER_ERROR_H
#define KNOCKER_ERROR_H

#include "knocker.h"

/* Writes code and sentence into `error` (NULL is fine) and returns the code. Long texts are cut at
 * a character, never overrun; what is no UTF-8 reads as '?'. */
int32_t fail(knocker_error *error, int32_t code, const char *format, ...)
	__attribute__((format(printf, 3, 4)));
const char *error_name(int64_t code); /* "lease_lost"; "unknown" for any other number */
int32_t fail_memory(knocker_error *error);

/* For messages: "%.*s" takes QUOTED(bytes), at most 60 bytes of it, cut at a character. */
#define QUOTED(b) error_quoted(b), ((b).data ? (const char *)(b).data : "")
int error_quoted(knocker_bytes b);

#endif
