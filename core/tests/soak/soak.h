/*
 * One application of the storm: what its threads share, and the journal where it writes what it was
 * answered. It sees Knocker as an application does and judges nothing.
 */
#ifndef SOAK_H
#define SOAK_H

#include <knocker.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SOAK_SECRET "whsec_storm_secret"

typedef struct {
	knocker *k;
	const char *name; /* of this process, and of no other in the whole storm */
	int journal;
	bool calm; /* nothing is received, every handler does well, the queue is worked through */
	_Atomic int64_t numbers;
} soak_app;

/* A thread of it. */
typedef struct {
	soak_app *app;
	uint64_t random;
} soak_thread;

/* ---- actor.c ---- */

knocker_bytes soak_text(const char *text);
int64_t soak_below(soak_thread *t, int64_t limit); /* 0 to limit - 1 */
int64_t soak_now_ms(void);
void soak_sleep_ms(int64_t ms);
int64_t soak_integer(const knocker_rows *rows, const char *name); /* 0 where it is null */
/* The text of the column, in a buffer of the caller's; "" where it is null. */
const char *soak_cell(const knocker_rows *rows, const char *name, char *out, size_t size);

/* A line of the journal, written whole or, by a process that is killed, without its end:
 *   R door key event_id delivery_id duplicate   a receipt was answered with 2xx
 *   F door delivery_id status                   a request was refused
 *   I act event_id, then A or N act event_id    an act is asked for, was done, was not allowed
 *   B what                                      the file was busy for too long: to be asked again
 *   L what                                      a lease was lost
 *   X what code sentence                        what should not happen */
void journal_line(const soak_app *app, const char *format, ...)
	__attribute__((format(printf, 2, 3)));
void journal_failure(const soak_app *app, const char *what, int32_t rc, const knocker_error *error);

/* Jobs that are queued; they are counted in the file. */
int64_t soak_backlog(soak_app *app);

/* ---- what the threads do, until the process is killed ---- */

void *receive_one_by_one(void *thread); /* receive, and ingest */
void *receive_many_at_once(void *thread);
void *work_jobs(void *thread); /* of a calm application: until the queue is empty */
void *operate(void *thread);

#endif
