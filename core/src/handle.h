/* A handle: one file opened by one process, shared by its threads, guarded against use after close
 * and after fork. */
#ifndef KNOCKER_HANDLE_H
#define KNOCKER_HANDLE_H

#include "inbox.h"
#include "store.h"
#include "work.h"

struct knocker {
	knocker *next;  /* all that ever were: a pointer to a closed one is an error, never a crash */
	int64_t closed; /* when, in the order of closings; the oldest is used again */
	_Atomic bool open;
	_Atomic int32_t callers; /* calls under way */
	int64_t fork_generation;
	bool full, settle_full, thread_bound;
	inbox inbox;
	store *store;
	pthread_mutex_t lock;
	knocker_work *works; /* begun and not settled */
};

/* Every call begins here and ends with handle_leave. KNOCKER_CLOSED for what is no open handle of
 * this process. */
int32_t handle_enter(knocker *k, knocker_error *error);
/* The same for calls that need the writer: from inside a handler of this thread they would wait for
 * themselves. */
int32_t handle_enter_writing(knocker *k, knocker_error *error);
void handle_leave(knocker *k);

int32_t handle_open(const knocker_open_options *options, knocker **out, knocker_error *error);
int32_t handle_close(knocker *k, knocker_error *error);
void handle_work_add(knocker *k, knocker_work *w);
void handle_work_remove(knocker *k, knocker_work *w);

/* Copies an options struct of any age: what the caller's does not have is 0. */
int32_t handle_options(const char *what, const void *given, void *out, size_t size,
                       knocker_error *error);
knocker_bytes handle_bytes(knocker_bytes b); /* with its length measured where it is -1 */
int32_t handle_request(const knocker_request *given, knocker_request *out, knocker_error *error);

#endif
