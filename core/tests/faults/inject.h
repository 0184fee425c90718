/*
 * Makes one call of the process fail, or all from one on: an allocation of the core, of SQLite or
 * of libcrypto, or a call of SQLite on its files. It knows nothing of what is played.
 */
#ifndef FAULTS_INJECT_H
#define FAULTS_INJECT_H

#include <stdbool.h>
#include <stdint.h>

typedef enum {
	FAULT_MEMORY,
	FAULT_CRYPTO,
	FAULT_WRITE,
	FAULT_SYNC,
	FAULT_FULL,
	FAULT_READ,
	FAULT_SHORT,
	FAULT_LOCK,
	FAULT_BUSY,
	FAULT_OPEN,
	FAULT_SQLITE, /* its allocations: last, since they are the most */
	FAULT_KINDS
} fault_kind;

const char *fault_name(fault_kind kind);
/* FAULT_KINDS: there is none of this name. */
fault_kind fault_named(const char *name);

/* Once in a process, before SQLite and libcrypto are used. */
void inject_install(void);
/* The `at`-th call of the kind from now on fails, from 1; 0: none does, they are only counted. */
void inject_arm(fault_kind kind, int64_t at, bool forever);
/* None fails any more. The numbers stay. */
void inject_disarm(void);
void inject_pause(bool paused);
/* From now on marks in `bits` each call of SQLite for memory that comes from a place, as the call
 * stack has it, from which none came since, nor in three plays before. NULL: no longer. */
void inject_places(uint8_t *bits, int64_t bit_count);
int64_t inject_fired(void); /* calls that failed */
int64_t inject_calls(void); /* calls of the kind, while not paused */

#endif
