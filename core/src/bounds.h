/* Every bound of the core, with its reason. */
#ifndef KNOCKER_BOUNDS_H
#define KNOCKER_BOUNDS_H

#define LIMIT_NAME \
	200 /* bytes of an endpoint's, queue's or worker's name: they stand in indexes and messages */
#define LIMIT_ID 512 /* bytes of an id or event type; a longer one read from a request is null */
#define LIMIT_DEDUPE_KEY \
	200 /* bytes; a longer key is stored as its SHA-256, so that the index stays small */
#define LIMIT_HEADERS (256 * 1024) /* bytes of all header lines; servers stop far below */
#define LIMIT_HEADER_COUNT 1000    /* header lines */
#define LIMIT_QUERY (64 * 1024)    /* bytes of the raw query */
#define LIMIT_BODY \
	(5 * 1024 * 1024) /* default of max_body_bytes; GitHub cuts at 25 MB, most far below 1 MB */
#define LIMIT_JSON (1024 * 1024) /* bytes of a registration, scheme or SQL argument */
#define LIMIT_JSON_DEPTH 128     /* levels, in bodies and registrations: spec, section E */
#define LIMIT_SECRETS 32         /* active secrets of an endpoint */
#define LIMIT_CANDIDATES 64      /* signatures tried in one request; more are not read */
#define LIMIT_BATCH_BYTES \
	(8 * 1024 * 1024) /* bodies in one commit: bounds the WAL and how long followers wait */
#define LIMIT_BATCH_COUNT 1000              /* requests of one receive_many */
#define LIMIT_CLAIM 1000                    /* jobs of one claim */
#define LIMIT_LIST 1000                     /* rows of a list */
#define LIMIT_LIST_BYTES (64 * 1024 * 1024) /* bytes of a list or a query's result */
#define LIMIT_DEATHS 5 /* leases that may run out with a job claimed alone before it is dead */
#define LIMIT_ERROR_TEXT 2000 /* bytes kept of a handler's error */

#endif
