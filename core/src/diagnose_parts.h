/* What the files of a diagnosis share: the request, the scheme without its window, the findings.
 * Nobody else includes this. */
#ifndef KNOCKER_DIAGNOSE_PARTS_H
#define KNOCKER_DIAGNOSE_PARTS_H

#include "diagnose.h"
#include "error.h"
#include "rows.h"
#include "scheme_parts.h"

/* Tries of one diagnosis, and bytes that they hash: a second's work at most. */
#define DIAGNOSE_TRIES 4000
#define DIAGNOSE_BYTES ((int64_t)256 * 1024 * 1024)
#define DIAGNOSE_NAMES 3 /* providers that one sentence names */

/* A scheme with changes. Everything else is the original's, which must outlive it. */
typedef struct {
	scheme scheme;
	scheme_try tries[SCHEME_FAMILIES_MAX];
} diagnose_scheme;

typedef struct {
	const diagnose_place *place;
	knocker_error *error;
	int32_t rc;
	knocker_rows *rows;
	arena memory; /* of what lives as long as the diagnosis */
	const scheme *scheme;
	diagnose_scheme loose; /* without a window: a captured request is old */
	scheme_keys *bare;     /* the options, and no secret */
	scheme_keys *keys;     /* what was given; NULL: a secret of it is no key of the scheme */
	knocker_error keys_error;
	knocker_bytes endpoint;
	const knocker_bytes *secrets; /* as given */
	size_t secret_count;
	knocker_bytes secrets_json, options_json;
	json *others; /* further secrets by name; NULL: none */
	scheme_request request;
	int64_t now_s, tries, bytes;
	bool stopped;          /* the bounds were reached */
	bool redacted;         /* a stored delivery whose signature was not kept */
	bool no_body;          /* a stored delivery whose body was not kept */
	bool had_signature;    /* some signature text was there, as the request came */
	bool has_signature;    /* in the last try */
	knocker_bytes renamed; /* a sentence about headers, kept until something fits; or absent */
	size_t found;          /* rows that say what fits */
} diagnosis;

/* Whether the request is right under these keys; never more often than the bounds allow. */
bool diagnose_fits(diagnosis *d, const scheme_keys *keys, const scheme_request *request);
/* A row, without asking whether it is true. `cause` NULL: nothing fits. */
void diagnose_say(diagnosis *d, const char *cause, const char *format, ...)
	__attribute__((format(printf, 3, 4)));
/* Says that this fits; besides, whether its time is off. */
void diagnose_found(diagnosis *d, const scheme_keys *keys, const scheme_request *request,
                    const char *cause, const char *sentence);
/* The scheme with what its own copy says changed. */
void diagnose_scheme_copy(const scheme *s, diagnose_scheme *out);
/* Keys of one secret by the rules of `rules`, with the options as given; NULL: it is none. */
scheme_keys *diagnose_keys(diagnosis *d, const scheme *rules, knocker_bytes secret);
/* Verifies with the window. True: valid; else `*off_s` is how far the time is off, or 0. */
bool diagnose_strict(diagnosis *d, const scheme *s, const scheme_keys *keys,
                     const scheme_request *request, int64_t now_s, int64_t *off_s);

/* The groups of hypotheses, each a file. Each stops at the first that fits. */
void diagnose_time(diagnosis *d, const scheme_keys *keys, const scheme_request *request);
void diagnose_digits(diagnosis *d);
void diagnose_headers(diagnosis *d);
void diagnose_secrets(diagnosis *d);
void diagnose_others(diagnosis *d);
void diagnose_body(diagnosis *d);
void diagnose_url(diagnosis *d);
void diagnose_provider(diagnosis *d);

/* Whether the scheme reads the header of that name. */
bool diagnose_reads(diagnosis *d, knocker_bytes name);

/* diagnose_json.c: writes JSON anew as other writers would. */
typedef struct {
	const char *comma, *colon; /* what stands after the elements and after the names */
	int indent;                /* blanks a level; 0: one line; -1: a tab a level */
	enum { UNICODE_KEPT, UNICODE_ESCAPED, UNICODE_RAW } unicode;
	enum { SLASH_KEPT, SLASH_ESCAPED, SLASH_RAW } slash;
	bool html; /* <, > and & are escaped */
} diagnose_style;
/* False: the text is no JSON object or array, or there was no memory. */
bool diagnose_json_write(knocker_bytes text, const diagnose_style *style, buffer *out);

/* diagnose_stored.c: a stored delivery as the request that it was. */
/* Method, body, time and endpoint; and the endpoint's provider where none is given. */
int32_t diagnose_stored(diagnosis *d, knocker_bytes *provider);
/* Headers and query, once the scheme is known: says which of them were redacted. */
int32_t diagnose_stored_texts(diagnosis *d);

#endif
