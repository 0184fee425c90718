/* The file that the options name: opened, closed, and what is said of an id that it does not
 * have. */
#ifndef DATABASE_H
#define DATABASE_H

#include "options.h"

const char *database_path(const options *o);
/* Opens a file that holds an inbox; nothing is created. */
int database_open(const options *o, knocker **out);
/* Closes it; the exit code so far, unless closing fails. */
int database_close(knocker *k, int exit_code);
/* Complains of a call that named the event `id`. Events and deliveries share their numbers: where
 * the id is a delivery's, it says so. */
int database_complain(knocker *k, int64_t id, const knocker_error *error);

#endif
