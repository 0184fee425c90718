/*
 * Knocker: a durable webhook inbox inside an application's own SQLite file.
 *
 * Read from top to bottom, this header is a tutorial: a file is opened (1), an endpoint registered
 * (2), a request received (3), an event worked on (4), and everything is inspected, replayed and
 * pruned (5).
 *
 * Conventions, which hold for every call:
 *  - A result is 0 (done), 1 (nothing there; each call says what that means) or a negative
 * KNOCKER_* code. On failure `error`, which may be NULL, receives the code and one sentence that
 * names the offending value.
 *  - Text and bytes are (pointer, length); a NULL pointer means "not given", which differs from
 * empty. Text is UTF-8.
 *  - An options struct begins with its size, `sizeof` the struct; in every other member 0 or NULL
 * means the default.
 *  - What comes back is rows. `*out` is the caller's, freed with knocker_rows_free; what rows lend
 * lives as long as they do.
 *  - Times are integers: Unix seconds in `_at` and `_s`, milliseconds in `_ms`.
 *  - A handle may be shared between threads. A `knocker_work` or `knocker_rows` belongs to one
 * thread at a time.
 *  - After fork() a handle is of no use in the child, whose calls fail with a sentence: open again
 * there.
 */
#ifndef KNOCKER_H
#define KNOCKER_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#if defined(__GNUC__)
#define KNOCKER_API __attribute__((visibility("default")))
#else
#define KNOCKER_API
#endif

/* ---- 0. Values, errors, rows --------------------------------------------------------------------------------------- */

typedef struct {
	const void *data; /* NULL: not given */
	int64_t len;      /* in bytes; -1: the bytes up to the first NUL */
} knocker_bytes;

typedef struct {
	int64_t code;   /* KNOCKER_OK or a negative KNOCKER_* code */
	char text[248]; /* one sentence in UTF-8, ended by NUL; never a secret */
} knocker_error;

enum { /* each has a name for people and test suites: knocker_error_name */
	   KNOCKER_OK = 0,
	   KNOCKER_INVALID_ARGUMENT = -1, /* a mistake in the call; nothing was written */
	   KNOCKER_UNKNOWN_ENDPOINT = -2,
	   KNOCKER_UNKNOWN_EVENT = -3,
	   KNOCKER_UNKNOWN_DELIVERY = -4,
	   KNOCKER_WRONG_STATUS = -5, /* the act is not allowed from the event's status, which the text
	                                 names */
	   KNOCKER_BUSY = -6, /* another writer held the file, or this handle, past busy_timeout_ms */
	   KNOCKER_STORAGE = -7,     /* disk full, read-only, I/O error, no memory, not a database */
	   KNOCKER_CORRUPT = -8,     /* the file is damaged */
	   KNOCKER_CLOSED = -9,      /* the handle or the work has ended */
	   KNOCKER_LEASE_LOST = -10, /* another worker claimed this job since; nothing of this work was
	                                kept */
	   KNOCKER_SQL = -11         /* a handler's own statement failed; the text is SQLite's */
};
KNOCKER_API const char *knocker_error_name(int32_t code); /* "lease_lost"; "unknown" for no code of
                                                             ours */
KNOCKER_API const char *knocker_version(void);            /* "0.1.0" */

enum {
	KNOCKER_NULL = 0,
	KNOCKER_INTEGER = 1,
	KNOCKER_REAL = 2,
	KNOCKER_TEXT = 3,
	KNOCKER_BLOB = 4
};
typedef struct {
	int64_t type; /* KNOCKER_NULL ... KNOCKER_BLOB says which member counts */
	int64_t integer;
	double real;
	knocker_bytes bytes; /* of KNOCKER_TEXT and KNOCKER_BLOB */
} knocker_value;

/* A finished result, held in memory: it keeps no statement and no snapshot open. At first it stands
 * before the first row. */
typedef struct knocker_rows knocker_rows;
KNOCKER_API int32_t knocker_rows_next(knocker_rows *rows); /* 0: on a row; 1: past the last */
KNOCKER_API int32_t knocker_rows_columns(const knocker_rows *rows); /* how many columns */
KNOCKER_API const char *knocker_rows_name(const knocker_rows *rows, int32_t column);
KNOCKER_API int32_t knocker_rows_find(const knocker_rows *rows, const char *name); /* its column, or
                                                                                      -1 */
/* The value of the current row; bytes are lent by the rows. Off the columns or off the rows it is
 * KNOCKER_NULL. */
KNOCKER_API int32_t knocker_rows_value(const knocker_rows *rows, int32_t column,
                                       knocker_value *out);
KNOCKER_API void knocker_rows_free(knocker_rows *rows); /* NULL is fine */

/* ---- 1. Open --------------------------------------------------------------------------------------------------------- */

typedef struct knocker knocker;

enum { KNOCKER_SYNC_FULL = 0, KNOCKER_SYNC_NORMAL = 1 };
typedef struct {
	int64_t size;
	knocker_bytes path; /* required: a real file; it is created when missing, and put in WAL mode */
	knocker_bytes queue_name; /* "knocker.events": where events go and workers look unless told
	                             otherwise */
	knocker_bytes init_sql;   /* run on each connection that this handle opens */
	int64_t visibility_ms;    /* 60000: how long a claim is leased */
	int64_t max_attempts;     /* 3 */
	int64_t backoff_base_ms;  /* 10000: the first retry's delay; each further one doubles it, with
	                             jitter from half to whole */
	int64_t backoff_cap_ms;   /* 3600000 */
	int64_t max_readers;      /* 8: connections for lists, look-ups and knocker_read; 1 to 64 */
	int64_t busy_timeout_ms;  /* 2500: some senders give up at 3 s */
	int64_t max_body_bytes;   /* 5242880; -1: no limit */
	int64_t synchronous; /* of receipts: KNOCKER_SYNC_FULL survives a power cut; NORMAL may lose the
	                        last moments' receipts */
	int64_t settle_full; /* 1: settlements at FULL too. Default: NORMAL; after a power cut an event
	                        may run again, its first run undone */
	int64_t orphan_bytes; /* 67108864: the budget of rejected receipts, by endpoint; the oldest give
	                         way */
	int64_t orphan_rows;  /* 10000 */
	int64_t thread_bound; /* 1: a handler stays on the thread of knocker_work_begin; that thread's
	                         other calls on the handle then fail at once */
	int64_t clock_ms;     /* for tests: a clock that stands at this time until knocker_clock_set */
	int64_t seed;         /* for tests: of the jitter */
} knocker_open_options;

/* Opens or creates the file and brings its schema up to date. `*out` is NULL after a failure. */
KNOCKER_API int32_t knocker_open(const knocker_open_options *options, knocker **out,
                                 knocker_error *error);
/* Stops waiters and frees the handle. Fails, and the handle lives on, while a work is not settled.
 * NULL is fine. */
KNOCKER_API int32_t knocker_close(knocker *k, knocker_error *error);
/* Sets this handle's clock, for tests; 0 returns to the system's. */
KNOCKER_API int32_t knocker_clock_set(knocker *k, int64_t now_ms, knocker_error *error);

/* ---- 2. Endpoints ---------------------------------------------------------------------------------------------------- */

typedef struct {
	int64_t size;
	knocker_bytes name;        /* required, 1 to 200 bytes; an endpoint of this name is updated */
	knocker_bytes path;        /* unique, for people and routers; NULL: none */
	knocker_bytes provider;    /* a built-in's name, or the name of your own; NULL: requests are not
	                              verified */
	knocker_bytes scheme_json; /* your own scheme, in the grammar of docs/schemes.md; `provider`
	                              then names it ("custom") */
	knocker_bytes secrets_json; /* ["current", "previous"]; kept in this process's memory, never in
	                               the file */
	knocker_bytes options_json; /* {"tolerance_s": 300}: the scheme's options */
	knocker_bytes queue_name;   /* NULL: the handle's */
	int64_t disabled;           /* 1: receipts are answered 404 and kept as orphans */
	int64_t max_attempts;    /* these three are stored with the endpoint, so that every worker obeys
	                            them; */
	int64_t backoff_base_ms; /*   0: each worker's own */
	int64_t backoff_cap_ms;
	int64_t external; /* 1: the application verifies `provider` itself and passes each request's
	                     `verdict` */
} knocker_endpoint;

/* Creates or updates an endpoint, in the file and in this process's memory; `id` may be NULL. */
KNOCKER_API int32_t knocker_endpoint_add(knocker *k, const knocker_endpoint *endpoint, int64_t *id,
                                         knocker_error *error);
/* Holds (1) or resumes (0) the handling of an endpoint's events, for all workers; receiving goes
 * on. */
KNOCKER_API int32_t knocker_endpoint_pause(knocker *k, knocker_bytes name, int32_t paused,
                                           knocker_error *error);
/* The built-in providers. Columns: name, version, title, kind, has_replay_window, options_json. */
KNOCKER_API int32_t knocker_providers(knocker_rows **out, knocker_error *error);

/* ---- 3. Receive ------------------------------------------------------------------------------------------------------ */

enum { KNOCKER_BY_SCHEME = 0, KNOCKER_VALID = 1, KNOCKER_INVALID = 2, KNOCKER_UNCHECKED = 3 };
typedef struct {
	int64_t size;
	knocker_bytes endpoint;   /* its name */
	knocker_bytes method;     /* "POST" */
	knocker_bytes headers;    /* lines "name: value\n"; names in any case, or as Rack has them
	                             (HTTP_X_NAME) */
	knocker_bytes query;      /* the raw query string, without "?" */
	knocker_bytes body;       /* the raw bytes, exactly as received */
	knocker_bytes event_type; /* this and the next three win over what the scheme reads */
	knocker_bytes provider_event_id;
	knocker_bytes provider_delivery_id;
	knocker_bytes dedupe_key; /* else a given provider_event_id, else a given provider_delivery_id,
	                             else the scheme's */
	knocker_bytes provider;   /* a name or a scheme's JSON, where the registration lives in another
	                             process */
	knocker_bytes secrets_json; /* likewise; NULL: those of the registration */
	knocker_bytes options_json;
	knocker_bytes queue_name; /* NULL: the endpoint's own, else the handle's */
	int64_t max_attempts;     /* 0: the endpoint's own, else the worker's */
	int64_t verdict; /* KNOCKER_VALID or KNOCKER_INVALID: the application verified an `external`
	                    provider itself */
	knocker_bytes verdict_error;  /* why it is invalid */
	knocker_bytes ids_event_type; /* what an external provider read: wins over nothing that is given
	                                 above */
	knocker_bytes ids_event_id;
	knocker_bytes ids_delivery_id;
} knocker_request;

/*
 * Verifies a request, stores it, deduplicates it into an event and queues that, in one commit; call
 * it in the route and answer what it says. A rejected request is a result, not an error:
 * status_code 401, 404 or 413 and event_id null. Row: delivery_id, event_id, duplicate (0 or 1),
 * status_code, response_headers (lines; null: none), response_body (null: none).
 */
KNOCKER_API int32_t knocker_receive(knocker *k, const knocker_request *request, knocker_rows **out,
                                    knocker_error *error);
/* The same for an array of `count` pointers, 1 to 1000, in one commit; one row each, in order, with
 * two columns more: error_code (0: received) and error. A bad request fails alone, in its row. */
KNOCKER_API int32_t knocker_receive_many(knocker *k, const knocker_request *const *requests,
                                         int32_t count, knocker_rows **out, knocker_error *error);
/* The trusted door: nothing is verified. `verdict` is required: VALID and UNCHECKED make an event,
 * INVALID an orphan and 401. */
KNOCKER_API int32_t knocker_ingest(knocker *k, const knocker_request *request, knocker_rows **out,
                                   knocker_error *error);

/* Pure, reads no file. Row: valid (0 or 1), error, event_type, provider_event_id,
 * provider_delivery_id, dedupe_key, response_status, response_headers, response_body. `now_ms` 0:
 * the system's clock. */
KNOCKER_API int32_t knocker_verify(const knocker_request *request, int64_t now_ms,
                                   knocker_rows **out, knocker_error *error);
/* The headers a sender would add, signed with the first secret: one row each, name and value. The
 * emulator of every provider. */
KNOCKER_API int32_t knocker_sign(const knocker_request *request, int64_t now_ms, knocker_rows **out,
                                 knocker_error *error);

/* ---- 4. Work --------------------------------------------------------------------------------------------------------- */

typedef struct {
	int64_t size;
	knocker_bytes worker_id;      /* required, 1 to 200 bytes: who holds the lease, for people */
	knocker_bytes queues_json;    /* ["q"]; NULL: the handle's and its endpoints' own */
	knocker_bytes endpoints_json; /* ["stripe"]: claim only theirs; NULL: all */
	int64_t count;                /* 10: at most this many, 1 to 1000 */
	int64_t lease_ms;             /* visibility_ms */
} knocker_claim_options;

/*
 * Leases due jobs; 1 = none are due. Endpoints take turns. A lease that runs out makes its job due
 * again, so a worker that died loses nothing. Rows: job_id, claim, event_id, endpoint, event_type.
 * `claim` counts how often the job was claimed: with job_id it is the proof, in every later call,
 * that nobody has claimed the job since.
 */
KNOCKER_API int32_t knocker_claim(knocker *k, const knocker_claim_options *options,
                                  knocker_rows **out, knocker_error *error);
/* Gives a claimed job back unstarted; it costs no attempt. 1 = somebody else has claimed it since.
 */
KNOCKER_API int32_t knocker_release(knocker *k, int64_t job_id, int64_t claim,
                                    knocker_error *error);

/* A handler's transaction. Nothing is locked until the first statement through it. */
typedef struct knocker_work knocker_work;

/* Begins to handle a claimed job, renewing a lease of which less than half is left. 1 = there is
 * nothing to do any more (the event was pruned or ignored, or somebody else holds it): take the
 * next one. */
KNOCKER_API int32_t knocker_work_begin(knocker *k, int64_t job_id, int64_t claim,
                                       knocker_work **out, knocker_error *error);
/* The event as the handler is to see it: a row as of KNOCKER_EVENT; of a replayed delivery its
 * body, headers, query and type. */
KNOCKER_API int32_t knocker_work_event(knocker_work *work, knocker_rows **out,
                                       knocker_error *error);

/* The application's own SQL, one statement, in the work's transaction: with the event's new status
 * it commits or rolls back as one. BEGIN, COMMIT, ROLLBACK, ATTACH and writes to Knocker's tables
 * are refused. `values` are bound in order. */
KNOCKER_API int32_t knocker_execute(knocker_work *work, knocker_bytes sql,
                                    const knocker_value *values, int32_t count, int64_t *changes,
                                    int64_t *last_id, knocker_error *error);
KNOCKER_API int32_t knocker_query(knocker_work *work, knocker_bytes sql,
                                  const knocker_value *values, int32_t count, knocker_rows **out,
                                  knocker_error *error);
/* A query outside any transaction, which sees what is committed. Writing statements are refused. */
KNOCKER_API int32_t knocker_read(knocker *k, knocker_bytes sql, const knocker_value *values,
                                 int32_t count, knocker_rows **out, knocker_error *error);
/* knocker_receive and knocker_ingest inside the work's transaction. */
KNOCKER_API int32_t knocker_work_receive(knocker_work *work, const knocker_request *request,
                                         knocker_rows **out, knocker_error *error);
KNOCKER_API int32_t knocker_work_ingest(knocker_work *work, const knocker_request *request,
                                        knocker_rows **out, knocker_error *error);
/* The lease now ends `lease_ms` from now. */
KNOCKER_API int32_t knocker_extend(knocker_work *work, int64_t lease_ms, knocker_error *error);

enum {
	KNOCKER_HANDLED = 1, /* commits: writes, status and the job's removal are one */
	KNOCKER_FAILED = 2,  /* rolls back; retried with backoff, or dead at the last attempt; `reason`
	                        is the error */
	KNOCKER_RETRY_AFTER = 3, /* rolls back; due again in delay_ms; no attempt is counted */
	KNOCKER_DEAD = 4,        /* rolls back; an attempt that was the last */
	KNOCKER_IGNORED = 5,     /* rolls back; the event is ignored, for `reason` */
	KNOCKER_NO_HANDLER = 6   /* dead: "no handler registered for ..." */
};
/* Ends the work with its outcome; the work is freed, whatever the result. Row: status, due_at
 * (null: not queued), attempt_count. After KNOCKER_HANDLED failed to commit, the outcome is
 * recorded as KNOCKER_FAILED and the result is that failure. */
KNOCKER_API int32_t knocker_settle(knocker_work *work, int32_t outcome, knocker_bytes reason,
                                   int64_t delay_ms, knocker_rows **out, knocker_error *error);
/* Ends a work without an outcome (a handler that was killed): rolls back and gives the job back, no
 * attempt counted. NULL is fine. */
KNOCKER_API int32_t knocker_work_free(knocker_work *work);

/* Sleeps until a job that knocker_claim would lease with these options may have come due: 0 = claim
 * again, 1 = the time is up, 2 = knocker_wake or close: stop. Wakes at commits of any process, at
 * the next due time, and looks once a second. */
KNOCKER_API int32_t knocker_wait(knocker *k, const knocker_claim_options *options,
                                 int64_t timeout_ms, knocker_error *error);
/* Makes every knocker_wait of this handle that is now asleep return 2. */
KNOCKER_API int32_t knocker_wake(knocker *k);

/* ---- 5. Look, and operate ------------------------------------------------------------------------------------------- */

enum {
	KNOCKER_EVENT = 1,    /* id, endpoint, event_type, provider_event_id, provider_delivery_id,
	                       * dedupe_key, status, attempt_count,    headers_json, query_json, body,
	                       * received_at, handled_at, last_error */
	KNOCKER_DELIVERY = 2, /* id, event_id, endpoint, event_type, provider_event_id,
	                       * provider_delivery_id, dedupe_key, method, headers_json, query_json,
	                       * body, received_at, signature_valid, signature_error */
	KNOCKER_ATTEMPT = 3,  /* id, event_id, attempted_at, outcome, error, duration_ms */
	KNOCKER_ENDPOINT = 4, /* id, name, path, provider, enabled, paused, queue_name, created_at */
	KNOCKER_JOB = 5,  /* id, queue_name, endpoint, event_id, delivery_id, due_at, worker_id, claims,
	                     payload */
	KNOCKER_AUDIT = 6 /* id, kind, queue_name, executed_at, events_pruned, deliveries_pruned,
	                   * attempts_pruned, live_jobs_pruned, summary_json */
};
typedef struct {
	int64_t size;
	int64_t kind;             /* required: KNOCKER_EVENT ... KNOCKER_AUDIT */
	int64_t limit;            /* 100; 1 to 1000 */
	int64_t before_id;        /* the next page: ids below this one */
	int64_t since_s;          /* received (executed) at or after; 0: no bound */
	knocker_bytes endpoint;   /* events, deliveries, jobs */
	knocker_bytes status;     /* events */
	knocker_bytes event_type; /* events, deliveries */
	int64_t event_id;         /* deliveries, attempts */
	int64_t signature_valid;  /* deliveries: 1 valid, 2 not valid (false or null) */
	int64_t orphaned;         /* deliveries: 1 without an event, 2 with one */
	knocker_bytes audit_kind; /* audits: prune_events, prune_orphan_deliveries */
	int64_t without_body;     /* 1: body is null, and the list is not bounded by the bodies' size */
} knocker_filter;

/* One row of KNOCKER_EVENT, KNOCKER_DELIVERY or KNOCKER_ENDPOINT. An unknown id is an error. */
KNOCKER_API int32_t knocker_get(knocker *k, int32_t kind, int64_t id, knocker_rows **out,
                                knocker_error *error);
/* Newest first, except that endpoints come by name and jobs as they come due. A page ends early,
 * but never empty, at 64 MiB. */
KNOCKER_API int32_t knocker_list(knocker *k, const knocker_filter *filter, knocker_rows **out,
                                 knocker_error *error);

/* Each names the status from which it is refused: KNOCKER_WRONG_STATUS. `reason` may be NULL. */
KNOCKER_API int32_t knocker_ignore(knocker *k, int64_t event_id, knocker_bytes reason,
                                   knocker_error *error);
KNOCKER_API int32_t knocker_replay(knocker *k, int64_t event_id, knocker_error *error);
KNOCKER_API int32_t knocker_requeue(knocker *k, int64_t event_id, knocker_error *error);
KNOCKER_API int32_t knocker_replay_delivery(knocker *k, int64_t delivery_id, knocker_error *error);

/* Why an event is where it is. Row: event_id, status, sentence, cause (a word: waiting, due_later,
 * leased, lease_expired, paused, handled, failed, dead, ignored, unqueued), due_at, worker_id,
 * lease_until, attempt_count, last_error, orphan_delivery_id, orphan_error. */
KNOCKER_API int32_t knocker_why(knocker *k, int64_t event_id, knocker_rows **out,
                                knocker_error *error);
/* Rows: endpoint (null: all together, the first row), queued, due, oldest_due_age_s, processing,
 * failed, dead, ignored, handled (first row only), orphans, orphan_bytes, orphans_dropped, redated
 * (first row only). */
KNOCKER_API int32_t knocker_stats(knocker *k, knocker_rows **out, knocker_error *error);

typedef struct {
	int64_t size;
	knocker_bytes statuses_json; /* events: ["handled", "ignored"], the default */
	int64_t older_than_s;        /* required: received strictly before this Unix second */
	int64_t limit;               /* at most this many, oldest first; 0: no limit */
	int64_t dry_run;             /* 1: only counts, and writes no audit row */
} knocker_prune;

/* One transaction each. Row: events_pruned, attempts_pruned, deliveries_pruned, live_jobs_pruned.
 */
KNOCKER_API int32_t knocker_prune_events(knocker *k, const knocker_prune *prune, knocker_rows **out,
                                         knocker_error *error);
/* Row: deliveries_pruned. */
KNOCKER_API int32_t knocker_prune_orphan_deliveries(knocker *k, const knocker_prune *prune,
                                                    knocker_rows **out, knocker_error *error);

#ifdef __cplusplus
}
#endif
#endif
