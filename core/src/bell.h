/* Waking other processes: a commit that made work due touches the file's `-shm`, and whoever waits
 * watches its folder for that. Knows files and descriptors, nothing of SQLite. Rung after a commit
 * is visible: SQLite's own write of the WAL comes before that, and a waiter that trusted it would
 * sleep through. */
#ifndef KNOCKER_BELL_H
#define KNOCKER_BELL_H

#include "bytes.h"

void bell_ring(const char *database);

/* One bell of a handle, shared by its waiting threads: one of them listens, the others wait for it.
 */
typedef struct bell bell;
int32_t bell_open(const char *database, bell **out, knocker_error *error);
void bell_close(bell *b); /* NULL is fine; nobody waits any more */

/* Taken before the caller looks whether something is due, so that a ring between the look and the
 * sleep is not lost. The first call begins to listen. */
int64_t bell_generation(bell *b);
/* 0: it rang since `generation`, or may have; 1: the time is up; 2: bell_stop. */
int32_t bell_wait(bell *b, int64_t generation, int64_t timeout_ms);
int bell_fd(bell *b);    /* readable when it may have rung; -1: the system had none left */
void bell_stop(bell *b); /* ends every wait that is now asleep */

#endif
