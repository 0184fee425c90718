/*
 * Knocker: a durable webhook inbox inside an application's own SQLite file.
 * From top to bottom this header is a tutorial: values and errors (0), a file is opened (1), an
 * endpoint registered (2), a request received (3), an event worked on (4), and everything
 * inspected, replayed and pruned (5).
 *
 * What holds for every call:
 *   Results    0 = done, 1 = nothing there (each call says what that means), negative = a failure.
 *   Errors     `error` is yours and may be NULL. A failure fills it with the code and one sentence
 *              that names the offending value, never a secret; success leaves it alone.
 *   Text       is UTF-8, as (pointer, length). A NULL pointer means "not given".
 *   Options    are structs that begin with their size, `sizeof` the struct. A member that is 0 or
 *              NULL has the default, which its comment begins with; "if 1:" marks a switch, off.
 *   Rows       `out` is required and `*out` yours: free it with knocker_rows_free. It is NULL after
 *              a failure, and where a call says 1 and does not say otherwise.
 *   Times      are integers: Unix seconds in `_at` and `_s`, milliseconds in `_ms`.
 *   Threads    share a handle freely. A `knocker_work` or `knocker_rows` is one thread's at a time.
 *   fork()     leaves the child no use of the handle: calls there fail. Open again.
 */
#ifndef KNOCKER_H
#define KNOCKER_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif
#ifdef __GNUC__
#pragma GCC visibility push(default)
#endif

/* ---- 0. Values, errors, rows ---- */

typedef struct {
	const void *data; /* NULL: not given */
	int64_t len;      /* in bytes; -1: up to the first NUL */
} knocker_bytes;

typedef struct {
	int64_t code;   /* one of the following */
	char text[248]; /* one sentence, ended by NUL */
} knocker_error;

enum {
	KNOCKER_OK = 0,
	KNOCKER_INVALID_ARGUMENT = -1, /* a mistake in the call */
	KNOCKER_UNKNOWN_ENDPOINT = -2,
	KNOCKER_UNKNOWN_EVENT = -3,
	KNOCKER_UNKNOWN_DELIVERY = -4,
	KNOCKER_WRONG_STATUS = -5, /* the act is not allowed from the event's status */
	KNOCKER_BUSY = -6,         /* another writer held the file or handle past busy_timeout_ms */
	KNOCKER_STORAGE = -7,      /* disk full, read-only, I/O error, no memory, no database */
	KNOCKER_CORRUPT = -8,      /* the file is damaged */
	KNOCKER_CLOSED = -9,       /* the handle was closed, or opened before fork() */
	KNOCKER_LEASE_LOST = -10,  /* another worker has the job now; nothing of this work is kept */
	KNOCKER_SQL = -11          /* a handler's own statement failed */
};
const char *knocker_error_name(int64_t code); /* "lease_lost"; "unknown" for any other number */
const char *knocker_version(void);            /* "0.1.0" */

enum { KNOCKER_NULL, KNOCKER_INTEGER, KNOCKER_REAL, KNOCKER_TEXT, KNOCKER_BLOB }; /* 0 to 4 */
typedef struct {
	int64_t type; /* KNOCKER_NULL ... KNOCKER_BLOB: says which member counts */
	int64_t integer;
	double real;
	knocker_bytes bytes; /* of KNOCKER_TEXT and KNOCKER_BLOB; it lives as long as its rows */
} knocker_value;

/* A finished result in memory: it keeps no statement and no snapshot open. It stands before the
 * first row at first. What it lends lives until it is freed. */
typedef struct knocker_rows knocker_rows;
int32_t knocker_rows_next(knocker_rows *rows); /* 0 = on a row, 1 = past the last */
int32_t knocker_rows_columns(const knocker_rows *rows);
const char *knocker_rows_name(const knocker_rows *rows, int32_t column);
int32_t knocker_rows_find(const knocker_rows *rows, const char *name); /* a column, or -1 */
/* The value in the current row; KNOCKER_NULL where there is no such column or no row. */
int32_t knocker_rows_value(const knocker_rows *rows, int32_t column, knocker_value *out);
void knocker_rows_free(knocker_rows *rows); /* NULL is fine */

/* ---- 1. Open ---- */

typedef struct knocker knocker;

enum {
	KNOCKER_SYNC_FULL = 0,  /* a receipt that was answered survives a power cut */
	KNOCKER_SYNC_NORMAL = 1 /* it survives a crash; a power cut may take the last moments' */
};
typedef struct {
	int64_t size;
	knocker_bytes path;       /* required: a file; created when missing, and put in WAL mode */
	knocker_bytes queue_name; /* "knocker.events": where events go, and workers look */
	knocker_bytes init_sql;   /* run on each connection of this handle */
	int64_t visibility_ms;    /* 60000: how long a claimed job is leased */
	int64_t max_attempts;     /* 3: then the event is dead */
	int64_t backoff_base_ms;  /* 10000: before the first retry; doubles, with jitter from half */
	int64_t backoff_cap_ms;   /* 3600000 */
	int64_t max_readers;      /* 8: connections for lists, look-ups and knocker_read; 1 to 64 */
	int64_t busy_timeout_ms;  /* 2500: some senders give up at 3 s */
	int64_t max_body_bytes;   /* 5242880; -1: no limit */
	int64_t synchronous;      /* KNOCKER_SYNC_FULL, of receipts */
	int64_t settle_full;      /* if 1: FULL for settlements too. At NORMAL a power cut may take a
	                           * handler's writes and its outcome together: the event runs again */
	int64_t orphan_bytes;     /* 67108864, and */
	int64_t orphan_rows;      /* 10000: of rejected receipts, by endpoint; the oldest give way */
	int64_t thread_bound;     /* if 1: a work stays on the thread that began it, and that thread's
	                           * other calls on this handle fail at once until it is settled */
	int64_t existing;         /* if 1: the file must hold an inbox; nothing is created */
	int64_t clock_ms;         /* for tests: a clock that stands at this time */
	int64_t seed;             /* for tests: of the jitter */
} knocker_open_options;

/* Opens or creates the file and brings its schema up to date. */
int32_t knocker_open(const knocker_open_options *options, knocker **out, knocker_error *error);
/* Ends all waits and closes: a later call with `k` fails with KNOCKER_CLOSED. While a work is not
 * settled it fails with KNOCKER_INVALID_ARGUMENT, and the handle stays open. */
int32_t knocker_close(knocker *k, knocker_error *error);
/* Sets this handle's clock, for tests. 0: the system's. */
int32_t knocker_clock_set(knocker *k, int64_t now_ms, knocker_error *error);

/* ---- 2. Endpoints ---- */

typedef struct {
	int64_t size;
	knocker_bytes name;         /* required, 1 to 200 bytes */
	knocker_bytes path;         /* unique, for people and routers */
	knocker_bytes provider;     /* a built-in's name, or your own's; NULL: nothing is verified */
	knocker_bytes scheme_json;  /* your own's scheme: docs/schemes.md */
	knocker_bytes secrets_json; /* ["current", "previous"]: kept in memory, never in the file */
	knocker_bytes options_json; /* {"tolerance_s": 300}: what the scheme takes */
	knocker_bytes queue_name;   /* NULL: the handle's */
	int64_t disabled;           /* if 1: receipts are answered 404 and kept as orphans */
	int64_t max_attempts;       /* this and the next two are stored, so that all workers obey; */
	int64_t backoff_base_ms;    /* 0: each worker's own */
	int64_t backoff_cap_ms;
	int64_t external; /* if 1: you verify `provider` yourself, and pass each request's verdict */
} knocker_endpoint;

/* Registers an endpoint in the file and in this process, in place of all that one of this name was
 * before, but for its pause: without `provider` nothing is verified then. `id` may be NULL. */
int32_t knocker_endpoint_add(knocker *k, const knocker_endpoint *endpoint, int64_t *id,
                             knocker_error *error);
/* Holds (1) or resumes (0) the handling of its events, for all workers; receiving goes on. */
int32_t knocker_endpoint_pause(knocker *k, knocker_bytes name, int32_t paused,
                               knocker_error *error);
/* The built-ins. Rows: name, version, title, kind, has_replay_window, options_json, curated. */
int32_t knocker_providers(knocker_rows **out, knocker_error *error);

/* ---- 3. Receive ---- */

enum { KNOCKER_BY_SCHEME = 0, KNOCKER_VALID = 1, KNOCKER_INVALID = 2, KNOCKER_UNCHECKED = 3 };
typedef struct {
	int64_t size;
	knocker_bytes endpoint; /* required: its name */
	knocker_bytes method;   /* "POST" */
	knocker_bytes headers;  /* lines "name: value\n"; names in any case, or HTTP_NAME */
	knocker_bytes query;    /* the raw query, without "?" */
	knocker_bytes body;     /* the bytes, exactly as received */
	/* These win over what the scheme reads. The dedupe key is the first of dedupe_key, the two
	 * provider ids, the two ids_*; else the scheme's; without any, each receipt is an event. */
	knocker_bytes event_type;
	knocker_bytes provider_event_id;
	knocker_bytes provider_delivery_id;
	knocker_bytes dedupe_key;
	knocker_bytes provider;     /* a name or a scheme, where another process has registered it */
	knocker_bytes secrets_json; /* NULL: those of the registration */
	knocker_bytes options_json; /* likewise */
	knocker_bytes queue_name;   /* NULL: the endpoint's, else the handle's */
	int64_t max_attempts;       /* 0: the endpoint's, else the worker's */
	/* What you found, where you verify an `external` provider, or ingest. */
	int64_t verdict; /* KNOCKER_VALID or KNOCKER_INVALID */
	knocker_bytes verdict_error;
	knocker_bytes ids_event_type;
	knocker_bytes ids_event_id;
	knocker_bytes ids_delivery_id;
} knocker_request;

/* Verifies a request, stores it, makes it an event unless that is known, and queues it, in one
 * commit. Call it in the route and answer what it says: 204, or what the provider wants. A rejected
 * request is a result, not an error: event_id is null and status_code 401 (not valid), 404 (the
 * endpoint is disabled) or 413 (too large). Row: delivery_id, event_id, duplicate (0 or 1),
 * status_code, response_headers (lines, or null), response_body (or null). */
int32_t knocker_receive(knocker *k, const knocker_request *request, knocker_rows **out,
                        knocker_error *error);
/* 1 to 1000 of them in one commit. A row each, in order, with error_code (0: received) and error
 * besides: a bad request fails alone. */
int32_t knocker_receive_many(knocker *k, const knocker_request *const *requests, int32_t count,
                             knocker_rows **out, knocker_error *error);
/* Verifies nothing. A `verdict` is required: INVALID is an orphan and 401, the others events. */
int32_t knocker_ingest(knocker *k, const knocker_request *request, knocker_rows **out,
                       knocker_error *error);

/* Judges a request by its `provider`, secrets and options, and reads no file. `now_ms` 0: the
 * system's clock. Row: valid (0 or 1), error, event_type, provider_event_id, provider_delivery_id,
 * dedupe_key, response_status, response_headers, response_body. */
int32_t knocker_verify(const knocker_request *request, int64_t now_ms, knocker_rows **out,
                       knocker_error *error);
/* What would make a request valid: tries the known mistakes, and `others_json`, further secrets as
 * {"NAME": ["secret"]}. Rows, likeliest first: cause (null: none fits), sentence. docs/c-api.md. */
int32_t knocker_diagnose(const knocker_request *request, knocker_bytes others_json, int64_t now_ms,
                         knocker_rows **out, knocker_error *error);
/* The same of a stored delivery, at the time it came: `request` has only provider, secrets and
 * options, of its endpoint where not given. Tries the secrets of all endpoints registered here. */
int32_t knocker_diagnose_delivery(knocker *k, int64_t delivery_id, const knocker_request *request,
                                  knocker_bytes others_json, knocker_rows **out,
                                  knocker_error *error);
/* Signs one, with the first secret, as its provider would. Rows: name and value of each header. */
int32_t knocker_sign(const knocker_request *request, int64_t now_ms, knocker_rows **out,
                     knocker_error *error);

/* ---- 4. Work ---- */

typedef struct {
	int64_t size;
	knocker_bytes worker_id;      /* required, 1 to 200 bytes: who holds the lease, for people */
	knocker_bytes queues_json;    /* ["q"]; NULL: the handle's, and its endpoints' own */
	knocker_bytes endpoints_json; /* ["stripe"]: theirs only; NULL: all */
	int64_t count;                /* 10: at most so many, 1 to 1000 */
	int64_t lease_ms;             /* the handle's visibility_ms */
} knocker_claim_options;

/*
 * Leases due jobs; 1 = none is due. Endpoints take turns. A lease that runs out makes its job due
 * again, so a worker that dies loses nothing; a job whose lease ran out five times with it alone
 * is dead. Rows: job_id, claim, event_id, endpoint, event_type, died (1: it is dead now, and there
 * is nothing to begin). `claim` counts the job's claims: with job_id it proves, in each later call,
 * that nobody has claimed the job since.
 */
int32_t knocker_claim(knocker *k, const knocker_claim_options *options, knocker_rows **out,
                      knocker_error *error);
/* Gives a claimed job back unstarted, at no cost. 1 = it is held by somebody else. */
int32_t knocker_release(knocker *k, int64_t job_id, int64_t claim, knocker_error *error);
/* Sleeps until a job may be due that knocker_claim would lease with these options. 0 = claim again,
 * 1 = the time is up, 2 = knocker_wake or knocker_close. Wakes at commits of any process. */
int32_t knocker_wait(knocker *k, const knocker_claim_options *options, int64_t timeout_ms,
                     knocker_error *error);
/* Ends every knocker_wait of this handle that is now asleep. */
int32_t knocker_wake(knocker *k);
/* A descriptor for an event loop: where it is readable, or a second has passed, ask knocker_wait
 * with timeout_ms 0, which answers at once. It is the handle's: poll it, and do nothing else. */
int32_t knocker_wait_fd(knocker *k, int32_t *fd, knocker_error *error);

/* A handler's transaction. It begins at the first statement through it. From then on every other
 * write waits, so inside a handler use only calls that take the work. */
typedef struct knocker_work knocker_work;

/* Begins to handle a claimed job. 1 = there is nothing to do any more (pruned, ignored, held by
 * somebody else): take the next one. A lease of which less than half is left is renewed, for as
 * long as its worker last claimed. */
int32_t knocker_work_begin(knocker *k, int64_t job_id, int64_t claim, knocker_work **out,
                           knocker_error *error);
/* Row: the event as KNOCKER_EVENT; of a replayed delivery its body, headers, query and type. */
int32_t knocker_work_event(knocker_work *work, knocker_rows **out, knocker_error *error);

/* Your own SQL, one statement, `values` bound in order; `changes` and `last_id` may be NULL. It
 * commits or rolls back with the event's outcome; after KNOCKER_SQL the work goes on. BEGIN,
 * COMMIT, ROLLBACK, ATTACH and writes to Knocker's tables are refused. Where SQLite rolls back
 * by itself the work is over: each later call fails with the cause. */
int32_t knocker_execute(knocker_work *work, knocker_bytes sql, const knocker_value *values,
                        int32_t count, int64_t *changes, int64_t *last_id, knocker_error *error);
int32_t knocker_query(knocker_work *work, knocker_bytes sql, const knocker_value *values,
                      int32_t count, knocker_rows **out, knocker_error *error);
/* A query outside any transaction: it sees what is committed, and may not write. */
int32_t knocker_read(knocker *k, knocker_bytes sql, const knocker_value *values, int32_t count,
                     knocker_rows **out, knocker_error *error);
/* knocker_receive and knocker_ingest, as part of the work. */
int32_t knocker_work_receive(knocker_work *work, const knocker_request *request, knocker_rows **out,
                             knocker_error *error);
int32_t knocker_work_ingest(knocker_work *work, const knocker_request *request, knocker_rows **out,
                            knocker_error *error);
/* The lease now ends `lease_ms` from now. */
int32_t knocker_extend(knocker_work *work, int64_t lease_ms, knocker_error *error);

enum {
	KNOCKER_HANDLED = 1,     /* commits: your writes, the event's status, the job's removal */
	KNOCKER_FAILED = 2,      /* rolls back; retried with backoff, dead at the last attempt */
	KNOCKER_RETRY_AFTER = 3, /* rolls back; due again in delay_ms, no attempt counted */
	KNOCKER_DEAD = 4,        /* rolls back; no retry */
	KNOCKER_IGNORED = 5,     /* rolls back; the event is ignored */
	KNOCKER_NO_HANDLER = 6   /* dead: "no handler registered for ..." */
};
/* Ends the work, and frees it whatever the result. `reason` is the error or cause, or NULL. A
 * commit that fails is recorded as KNOCKER_FAILED, and the result is its failure.
 * Row: status, due_at (null: not queued), attempt_count; `out` may be NULL. */
int32_t knocker_settle(knocker_work *work, int32_t outcome, knocker_bytes reason, int64_t delay_ms,
                       knocker_rows **out, knocker_error *error);
/* Ends a work without an outcome, as of a handler that was killed: rolls back and gives the job
 * back, no attempt counted. NULL is fine. */
int32_t knocker_work_free(knocker_work *work);

/* ---- 5. Look, and operate ---- */

/* The kinds of rows, and their columns. */
enum {
	/* id, endpoint, event_type, provider_event_id, provider_delivery_id, dedupe_key, status,
	 * attempt_count, headers_json, query_json, body, received_at, handled_at, last_error */
	KNOCKER_EVENT = 1,
	/* id, event_id (null: an orphan), endpoint, event_type, provider_event_id,
	 * provider_delivery_id, dedupe_key, method, headers_json, query_json, body, received_at,
	 * signature_valid (1, 0, or null: not checked), signature_error */
	KNOCKER_DELIVERY = 2,
	/* id, event_id, attempted_at, outcome, error, duration_ms */
	KNOCKER_ATTEMPT = 3,
	/* id, name, path, provider, enabled, paused, queue_name, created_at */
	KNOCKER_ENDPOINT = 4,
	/* id, queue_name, endpoint, event_id, delivery_id, due_at, worker_id, claims, payload */
	KNOCKER_JOB = 5,
	/* id, kind, queue_name, executed_at, events_pruned, deliveries_pruned, attempts_pruned,
	 * live_jobs_pruned, summary_json */
	KNOCKER_AUDIT = 6
};
typedef struct {
	int64_t size;
	int64_t kind;             /* required: KNOCKER_EVENT ... KNOCKER_AUDIT */
	int64_t limit;            /* 100; 1 to 1000 */
	int64_t before_id;        /* the next page: ids below this one */
	int64_t since_s;          /* received, or executed, at this second or later */
	knocker_bytes endpoint;   /* of events, deliveries, jobs; of endpoints: names after it */
	knocker_bytes status;     /* of events: received, processing, handled, failed, dead, ignored */
	knocker_bytes event_type; /* of events, deliveries */
	int64_t event_id;         /* of deliveries, attempts */
	int64_t signature_valid;  /* of deliveries: 1 = valid, 2 = not (false or null) */
	int64_t orphaned;         /* of deliveries: 1 = without an event, 2 = with one */
	knocker_bytes audit_kind; /* of audits: prune_events, prune_orphan_deliveries */
	int64_t without_body;     /* 1: body is null, for long lists */
} knocker_filter;

/* One row of KNOCKER_EVENT, KNOCKER_DELIVERY or KNOCKER_ENDPOINT. An unknown id is an error. */
int32_t knocker_get(knocker *k, int32_t kind, int64_t id, knocker_rows **out, knocker_error *error);
/* Newest first, attempts by their event; endpoints by name, jobs as they come due. A member that
 * the kind does not have is an error. A page ends early at 64 MiB. */
int32_t knocker_list(knocker *k, const knocker_filter *filter, knocker_rows **out,
                     knocker_error *error);

/* What a person does; from some statuses KNOCKER_WRONG_STATUS (docs/operators.md). Ignored events
 * reach no handler. The others queue an event at once, its attempts anew: replay what has ended,
 * requeue what failed or lost its place, replay_delivery with that delivery's body. */
int32_t knocker_ignore(knocker *k, int64_t event_id, knocker_bytes reason, knocker_error *error);
int32_t knocker_replay(knocker *k, int64_t event_id, knocker_error *error);
int32_t knocker_requeue(knocker *k, int64_t event_id, knocker_error *error);
int32_t knocker_replay_delivery(knocker *k, int64_t delivery_id, knocker_error *error);

/* After a fix: verifies an endpoint's orphans again, as at the time each came; those that pass are
 * events, or repeats of one. `by` has the endpoint, and provider, secrets and options where not
 * those registered. Oldest first, since `since_s`, above `after_id`, at most `limit` (100; to
 * 1000). `dry_run` 1: writes nothing. Rows: delivery_id, outcome (event, repeat, rejected,
 * redacted, no_body), event_id, signature_error (which stays), error (today's). */
int32_t knocker_reverify(knocker *k, const knocker_request *by, int64_t since_s, int64_t after_id,
                         int64_t limit, int32_t dry_run, knocker_rows **out, knocker_error *error);

/* Why an event is where it is. Row: event_id, status, sentence, cause (waiting, due_later, leased,
 * lease_expired, paused, handled, dead, ignored, unqueued), due_at, worker_id, lease_until,
 * attempt_count, last_error, orphan_delivery_id, orphan_error. */
int32_t knocker_why(knocker *k, int64_t event_id, knocker_rows **out, knocker_error *error);
/* For a health check. The first row sums up (endpoint null), then one an endpoint. Columns:
 * endpoint, queued, due, oldest_due_age_s, processing, failed, dead, ignored, handled (first row
 * only), orphans, orphan_bytes, orphans_dropped, redated (first row only). */
int32_t knocker_stats(knocker *k, knocker_rows **out, knocker_error *error);

typedef struct {
	int64_t size;
	knocker_bytes statuses_json; /* of events: ["handled", "ignored"] */
	int64_t older_than_s;        /* required: received strictly before this Unix second */
	int64_t limit;               /* at most so many, oldest first; 0: no limit */
	int64_t dry_run;             /* 1: count only, write nothing */
} knocker_prune;

/* One transaction each, with an audit row, also when nothing was old enough.
 * Rows: events_pruned, attempts_pruned, deliveries_pruned, live_jobs_pruned; deliveries_pruned. */
int32_t knocker_prune_events(knocker *k, const knocker_prune *prune, knocker_rows **out,
                             knocker_error *error);
int32_t knocker_prune_orphan_deliveries(knocker *k, const knocker_prune *prune, knocker_rows **out,
                                        knocker_error *error);

typedef struct {
	int64_t size;
	int64_t interval_s;           /* required: 1 and up; counted from the Unix epoch */
	knocker_bytes statuses_json;  /* of events: ["handled", "ignored"] */
	int64_t event_older_than_s;   /* events received longer ago than this; 0: none */
	int64_t event_limit;          /* at most so many a pass; 0: no limit */
	int64_t orphans_older_than_s; /* the same, of orphan deliveries; one of the two is required */
	int64_t orphans_limit;
} knocker_retention;

/* The scheduled pass: both prunes, once in each interval however many processes ask. 1 = this
 * interval was pruned already. Ask again at next_at. Row, also for 1: next_at, events_pruned,
 * attempts_pruned, deliveries_pruned, live_jobs_pruned, orphan_deliveries_pruned. */
int32_t knocker_retain(knocker *k, const knocker_retention *retention, knocker_rows **out,
                       knocker_error *error);

/* Registers the SQL door (docs/sql.md) with each connection that the process opens from now on
 * through the same SQLite library, as `.load ./knocker` does for one. */
int32_t knocker_autoload(knocker_error *error);

#ifdef __GNUC__
#pragma GCC visibility pop
#endif
#ifdef __cplusplus
}
#endif
#endif
