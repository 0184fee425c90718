/* Every bound of the core, with its reason. Sizes are in bytes. */
#ifndef KNOCKER_BOUNDS_H
#define KNOCKER_BOUNDS_H

/* Of an endpoint's, queue's or worker's name: they stand in indexes and messages. */
#define LIMIT_NAME 200
/* Of an id or event type. A longer one that a request brings is null. */
#define LIMIT_ID 512
/* A longer key is stored as its SHA-256, so that the index stays small. */
#define LIMIT_DEDUPE_KEY 200
/* Of all header lines, and how many there may be; servers stop far below. */
#define LIMIT_HEADERS (256 * 1024)
#define LIMIT_HEADER_COUNT 1000
/* Of the raw query. */
#define LIMIT_QUERY (64 * 1024)
/* The default of max_body_bytes: GitHub cuts at 25 MB, most far below 1 MB. */
#define LIMIT_BODY (5 * 1024 * 1024)
/* Of a registration, a scheme or a SQL argument. Levels, of bodies too: RFC 8259 sets none. */
#define LIMIT_JSON (1024 * 1024)
#define LIMIT_JSON_DEPTH 128
/* Active secrets of an endpoint, and signatures of a request that are tried with them. */
#define LIMIT_SECRETS 32
#define LIMIT_CANDIDATES 64
/* Bodies and callers of one commit: they bound the WAL, and how long followers wait. */
#define LIMIT_BATCH_BYTES (8 * 1024 * 1024)
#define LIMIT_BATCH_COUNT 1000
/* Jobs of one claim, and names that it may list. */
#define LIMIT_CLAIM 1000
/* Rows of a list; bytes of a list or of a query's result. */
#define LIMIT_LIST 1000
#define LIMIT_LIST_BYTES (64 * 1024 * 1024)
/* Leases that may run out with a job claimed alone before it is dead. */
#define LIMIT_DEATHS 5
/* Of a handler's error, as it is kept. */
#define LIMIT_ERROR_TEXT 2000

#endif
