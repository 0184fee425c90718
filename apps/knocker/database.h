/* The file that the options name: opened, closed, and what is said of an id that it does not
 * have. */
#ifndef DATABASE_H
#define DATABASE_H

#include "options.h"

const char *database_path(const options *o);
/* The path of its WAL, which may not be there. */
void database_wal(const options *o, text *out);
/* Opens a file that holds an inbox; nothing is created. */
int database_open(const options *o, knocker **out);
/* The same for many commits in a row: none waits for the disk, until database_settle does for all
 * of them. */
int database_open_quick(const options *o, knocker **out);
int database_settle(const options *o);
/* Closes it; the exit code so far, unless closing fails. */
int database_close(knocker *k, int exit_code);
/* Complains of a call that named the event `id`. Events and deliveries share their numbers: where
 * the id is a delivery's, it says so. */
int database_complain(knocker *k, int64_t id, const knocker_error *error);

#endif
