/*
 * The glue between knocker.h and a scripting language, for SWIG. It owns how each C type crosses;
 * it refuses to know any rule of the product.
 *
 * This file is the same for every language. What a language adds is its glue.h, found by -I, which
 * defines `glue_object` and the functions named glue_* that are not here; each returns 0 after
 * raising that language's error.
 *
 * Seen from the language: a handle and a work are opaque objects; an options struct is a map from
 * its members' names; bytes are text, bytes or nothing; rows are a list of maps; a negative result
 * is raised. A function that gives rows returns only those.
 */
%module native

%{
#include <dlfcn.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>
#include <unistd.h>
#include "knocker.h"

#ifdef __cplusplus
extern "C"
#else
extern
#endif
const char *sqlite3_libversion(void);

/* The members of the options structs, which every language fills from a map, by these tables. */
enum { MEMBER_BYTES, MEMBER_INTEGER };
struct member {
	const char *name;
	size_t offset;
	int kind;
};
#define B(type, name) {#name, offsetof(type, name), MEMBER_BYTES}
#define I(type, name) {#name, offsetof(type, name), MEMBER_INTEGER}

static const struct member members_of_knocker_open_options[] = {
#define T knocker_open_options
	B(T, path), B(T, queue_name), B(T, init_sql), I(T, visibility_ms), I(T, max_attempts),
	I(T, backoff_base_ms), I(T, backoff_cap_ms), I(T, max_readers), I(T, busy_timeout_ms),
	I(T, max_body_bytes), I(T, synchronous), I(T, settle_full), I(T, orphan_bytes),
	I(T, orphan_rows), I(T, thread_bound), I(T, existing), I(T, clock_ms), I(T, seed),
	{NULL, 0, 0}
#undef T
};
static const struct member members_of_knocker_endpoint[] = {
#define T knocker_endpoint
	B(T, name), B(T, path), B(T, provider), B(T, scheme_json), B(T, secrets_json),
	B(T, options_json), B(T, queue_name), I(T, disabled), I(T, max_attempts),
	I(T, backoff_base_ms), I(T, backoff_cap_ms), I(T, external), {NULL, 0, 0}
#undef T
};
static const struct member members_of_knocker_request[] = {
#define T knocker_request
	B(T, endpoint), B(T, method), B(T, headers), B(T, query), B(T, body), B(T, event_type),
	B(T, provider_event_id), B(T, provider_delivery_id), B(T, dedupe_key), B(T, provider),
	B(T, secrets_json), B(T, options_json), B(T, queue_name), I(T, max_attempts), I(T, verdict),
	B(T, verdict_error), B(T, ids_event_type), B(T, ids_event_id), B(T, ids_delivery_id),
	{NULL, 0, 0}
#undef T
};
static const struct member members_of_knocker_claim_options[] = {
#define T knocker_claim_options
	B(T, worker_id), B(T, queues_json), B(T, endpoints_json), I(T, count), I(T, lease_ms),
	{NULL, 0, 0}
#undef T
};
static const struct member members_of_knocker_filter[] = {
#define T knocker_filter
	I(T, kind), I(T, limit), I(T, before_id), I(T, since_s), B(T, endpoint), B(T, status),
	B(T, event_type), I(T, event_id), I(T, signature_valid), I(T, orphaned), B(T, audit_kind),
	I(T, without_body), {NULL, 0, 0}
#undef T
};
static const struct member members_of_knocker_prune[] = {
#define T knocker_prune
	B(T, statuses_json), I(T, older_than_s), I(T, limit), I(T, dry_run), {NULL, 0, 0}
#undef T
};
static const struct member members_of_knocker_retention[] = {
#define T knocker_retention
	I(T, interval_s), B(T, statuses_json), I(T, event_older_than_s), I(T, event_limit),
	I(T, orphans_older_than_s), I(T, orphans_limit), {NULL, 0, 0}
#undef T
};
#undef B
#undef I

/* What an opaque object holds. `pointer` is NULL once ended; `users` counts the calls that are
 * inside, `ending` the one that ends it. The lock of the language guards it. */
struct glue_box {
	void *pointer;
	int64_t users;
	int ending;
	int is_work;
	pid_t pid;
};

static void glue_box_end(void *pointer, int is_work)
{
	if (is_work)
		knocker_work_free((knocker_work *)pointer);
	else
		knocker_close((knocker *)pointer, NULL);
}

/* Whether the shared object at `path` uses the same SQLite as we do; -1 when it carries one of its
 * own, out of sight. */
static int glue_same_sqlite(const char *path)
{
	void *library = dlopen(path, RTLD_LAZY | RTLD_LOCAL);
	void *theirs = library ? dlsym(library, "sqlite3_libversion") : NULL;
	const char *(*ours)(void) = sqlite3_libversion;
	int same = theirs ? memcmp(&theirs, &ours, sizeof theirs) == 0 : -1;

	if (library)
		dlclose(library);
	return same;
}

#include "glue.h"

static struct glue_box *glue_enter(glue_object object)
{
	struct glue_box *box = glue_box_of(object);

	if (box == NULL)
		return NULL;
	if (box->pointer == NULL || box->ending) {
		glue_raise(KNOCKER_CLOSED,
		           box->is_work ? "this tx has ended with its handler" : "the handle is closed");
		return NULL;
	}
	if (box->is_work && box->users > 0) {
		glue_raise(KNOCKER_INVALID_ARGUMENT, "this tx is in use by another thread");
		return NULL;
	}
	box->users++;
	return box;
}

static void glue_leave(struct glue_box *box)
{
	if (box)
		box->users--;
}

static void glue_leave_alone(struct glue_box *box)
{
	if (box)
		box->ending = 0;
	glue_leave(box);
}

/* Enters to end it. A handle's waiters are woken and its other callers awaited; in a forked child
 * those do not exist. */
static struct glue_box *glue_enter_alone(glue_object object)
{
	struct glue_box *box = glue_enter(object);

	if (box == NULL)
		return NULL;
	box->ending = 1;
	while (box->users > 1 && box->pid == getpid())
		if (!glue_nap(box)) {
			glue_leave_alone(box);
			return NULL;
		}
	return box;
}
%}

/* In. A handle or a work is entered while a call uses it: no other thread frees it meanwhile. */
%typemap(in) knocker *k (struct glue_box *box = NULL),
             knocker_work *work (struct glue_box *box = NULL) {
	if ((box = glue_enter($input)) == NULL)
		SWIG_fail;
	$1 = ($1_ltype)box->pointer;
}
%typemap(freearg) knocker *k, knocker_work *work { glue_leave(box$argnum); }
/* One that this call ends: entered alone, and empty once the call has succeeded. */
%typemap(in) knocker *closed (struct glue_box *box = NULL),
             knocker_work *ended (struct glue_box *box = NULL) {
	if ((box = glue_enter_alone($input)) == NULL)
		SWIG_fail;
	$1 = ($1_ltype)box->pointer;
}
%typemap(argout) knocker *closed {
	if (result >= 0)
		box$argnum->pointer = NULL;
}
%typemap(freearg) knocker *closed { glue_leave_alone(box$argnum); }
%typemap(check) knocker_work *ended { box$argnum->pointer = NULL; }
%typemap(freearg) knocker_work *ended { glue_leave_alone(box$argnum); }

%typemap(in) knocker_bytes {
	if (!glue_bytes($input, "$1_name", &$1))
		SWIG_fail;
}
%typemap(in) int64_t (int64_t number), int32_t (int64_t number) {
	if (!glue_integer($input, "$1_name", &number))
		SWIG_fail;
	$1 = ($1_ltype)number;
}
%define OPTIONS(TYPE)
%typemap(in) const TYPE * (TYPE members) {
	if (!glue_members($input, members_of_##TYPE, sizeof members, &members))
		SWIG_fail;
	$1 = &members;
}
%ignore TYPE;
%enddef
OPTIONS(knocker_open_options)
OPTIONS(knocker_endpoint)
OPTIONS(knocker_request)
OPTIONS(knocker_claim_options)
OPTIONS(knocker_filter)
OPTIONS(knocker_prune)
OPTIONS(knocker_retention)
%typemap(in) (const knocker_request *const *requests, int32_t count)
             (knocker_request **list = NULL) {
	if ((list = glue_requests($input, members_of_knocker_request, &$2)) == NULL)
		SWIG_fail;
	$1 = ($1_ltype)list;
}
%typemap(freearg) (const knocker_request *const *requests, int32_t count) { free(list$argnum); }
%typemap(in) (const knocker_value *values, int32_t count)
             (knocker_value *list = NULL, glue_object held = GLUE_NOTHING) {
	if ((list = glue_values($input, &$2, &held)) == NULL)
		SWIG_fail;
	$1 = list;
}
%typemap(freearg) (const knocker_value *values, int32_t count) {
	glue_values_free(list$argnum, held$argnum);
}

/* Out. The error comes last of the arguments, so whatever stands before it looks at `result` too. */
%typemap(out) int32_t { %set_output(VOID_Object); }
%typemap(out) int32_t knocker_wait, int32_t knocker_wake, int32_t knocker_release {
	%set_output(SWIG_From_int($1));
}
%typemap(in, numinputs=0) knocker_error *error (knocker_error problem) {
	problem.code = 0;
	problem.text[0] = 0;
	$1 = &problem;
}
%typemap(argout) knocker_error *error {
	if (result < 0) {
		glue_raise(result, $1->text);
		SWIG_fail;
	}
}
%typemap(in, numinputs=0) knocker_rows **out (knocker_rows *rows = NULL) { $1 = &rows; }
%typemap(argout) knocker_rows **out {
	if (result >= 0) {
		glue_object list = glue_rows(*$1);
		if (list == GLUE_NOTHING)
			SWIG_fail;
		%append_output(list);
	}
}
%typemap(freearg) knocker_rows **out { knocker_rows_free(rows$argnum); }
%typemap(in, numinputs=0) knocker **out (knocker *handle = NULL) { $1 = &handle; }
%typemap(argout) knocker **out {
	if (result >= 0)
		%append_output(glue_box(*$1, 0));
}
%typemap(in, numinputs=0) knocker_work **out (knocker_work *begun = NULL) { $1 = &begun; }
%typemap(argout) knocker_work **out {
	if (result == 0)
		%append_output(glue_box(*$1, 1));
}
%typemap(in, numinputs=0) int64_t *id (int64_t number = 0),
                          int64_t *changes (int64_t number = 0),
                          int64_t *last_id (int64_t number = 0) {
	$1 = &number;
}
%typemap(argout) int64_t *id, int64_t *changes, int64_t *last_id {
	if (result >= 0)
		%append_output(glue_number(*$1));
}

%typemap(in, numinputs=0) int32_t *fd (int32_t number = -1) { $1 = &number; }
%typemap(argout) int32_t *fd {
	if (result >= 0)
		%append_output(glue_number(*$1));
}

%ignore knocker_bytes;
%ignore knocker_error;
%ignore knocker_value;
%ignore knocker_rows;
%ignore knocker_rows_next;
%ignore knocker_rows_columns;
%ignore knocker_rows_name;
%ignore knocker_rows_find;
%ignore knocker_rows_value;
%ignore knocker_rows_free;
/* These end what they are given, which their parameters' names must say to the typemaps above. */
%ignore knocker_close;
%ignore knocker_settle;
%ignore knocker_work_free;
#ifdef SWIGPYTHON
%nothread check_request;
#endif
#ifdef SWIGRUBY
%include "ruby.i"
#endif
%inline %{
static int32_t close_handle(knocker *closed, knocker_error *error)
{
	return knocker_close(closed, error);
}

static int32_t settle(knocker_work *ended, int32_t outcome, knocker_bytes reason, int64_t delay_ms,
                      knocker_rows **out, knocker_error *error)
{
	return knocker_settle(ended, outcome, reason, delay_ms, out, error);
}

static int32_t abandon(knocker_work *ended, knocker_error *error)
{
	(void)error;
	return knocker_work_free(ended);
}

/* The conversion above and nothing else: who fails it fails alone, before a batch is made. */
static int32_t check_request(const knocker_request *request, knocker_error *error)
{
	(void)request;
	(void)error;
	return 0;
}
%}
#ifdef SWIGPYTHON
%nothread set_errors;
%nothread same_sqlite;
%inline %{
static void set_errors(PyObject *classes)
{
	glue_set_errors(classes);
}

static int same_sqlite(const char *path)
{
	return glue_same_sqlite(path);
}
%}
#endif

%include "knocker.h"
