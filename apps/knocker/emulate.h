/* What the files of the emulator share: a run, the requests that it consists of, and what came of
 * each. Nobody else includes this. */
#ifndef EMULATE_H
#define EMULATE_H

#include "request.h"

#define EMULATE_COUNT_MAX 1000000
#define EMULATE_LATE_S 3600

typedef enum {
	SENT_FIRST,
	SENT_REPEAT,   /* the same event once more, signed anew */
	SENT_FORGED,   /* an event of its own with a damaged signature */
	SENT_LATE,     /* one that was made and signed an hour ago */
	SENT_OVERSIZE, /* one with a body over 5 MiB */
	SENT_KINDS
} sent_kind;

typedef struct {
	uint32_t event; /* which of the run's: repeats share it */
	uint8_t kind;   /* sent_kind */
	bool sent;
	bool valid;      /* the library accepts it */
	uint16_t status; /* of the answer; 0: none came */
	uint32_t latency_us;
} sent_request;

typedef struct {
	char *key;       /* its dedupe key; NULL: it has none */
	uint64_t print;  /* tells its body from others */
	int64_t made_ms; /* what its times say; 0: it was not made yet */
} sent_event;

typedef struct {
	const options *o;
	signed_request signer; /* the provider, its secrets and options, headers for each request */
	const char *provider;  /* its name, also where an alias was given */
	text url, url_query;   /* where requests go: up to its "?", and what follows */
	uint64_t seed;
	int64_t rate; /* a second; 0: as fast as answers come */
	int64_t connections;
	bool window;            /* the provider's signatures grow stale */
	sent_request *requests; /* in the order in which they go out */
	size_t count;
	sent_event *events;
	size_t event_count;
	double seconds; /* what it took */
} emulation;

/* ---- emulate_plan.c: what is sent, and in which order; all of it follows from the seed ---- */

uint64_t plan_mix(uint64_t number); /* a number that looks like chance */
uint64_t plan_hash(uint64_t seed, const void *data, size_t len);
int plan_make(emulation *e);
void plan_free(emulation *e);

/* ---- emulate_sample.c: bodies and headers from the providers' samples ---- */

/* The provider's name, also for an alias; NULL: there is none of that name. */
const char *sample_provider(const char *name);
/* Appends the header lines, the query and the body of a request; the query stays as it is where
 * the sample has none. */
void sample_headers(const emulation *e, size_t at, text *headers, text *query);
void sample_body(const emulation *e, size_t at, const char *signature, text *body);
/* A scheme that signs into the one header x-signature what the provider has in the body; NULL: the
 * provider signs in headers. */
const char *sample_signer(const emulation *e, size_t at);

/* ---- emulate_request.c: one request, signed ---- */

typedef struct {
	text headers, query, body;
	text lines; /* all header lines, those that sign it included */
} made_request;

/* 0, or an exit code after saying what is wrong. */
int made_begin(emulation *e, size_t at, made_request *out);
void made_end(made_request *m);

/* ---- emulate_send.c: out on many connections ---- */

int emulate_send(emulation *e);

/* ---- emulate_check.c: what the inbox holds of it ---- */

typedef struct {
	knocker *k;
	options where; /* the file */
	char endpoint[201];
	int64_t base_id;
	int64_t dropped; /* orphans that gave way before */
	int64_t events, deliveries, refused;
	int64_t invalid;                          /* of the refused ones: for their signature */
	int64_t lost, doubled, accepted, missing; /* the last: refused ones that are not on record */
	text faults;                              /* a line each, of the first ones */
	int64_t fault_count;
} inbox_check;

int check_begin(const options *o, inbox_check *c);
int check_run(inbox_check *c, const emulation *e);
void check_end(inbox_check *c);

/* ---- emulate_say.c: the table at the end ---- */

/* Whether every answer was what it should be. */
bool emulate_say(const emulation *e, const inbox_check *c);
bool emulate_answer_fits(const sent_request *r);

#endif
