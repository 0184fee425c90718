/* What the files of the SQL door share; nobody else includes it. */
#ifndef KNOCKER_EXTENSION_PARTS_H
#define KNOCKER_EXTENSION_PARTS_H

#ifdef KNOCKER_EXTENSION
#include <sqlite3ext.h>
SQLITE_EXTENSION_INIT3
#else
#include <sqlite3.h>
#endif

#include "inbox.h"

/* What a connection knows: freed with the last of its functions. */
typedef struct {
	sqlite3 *handle;
	db *d;
	inbox inbox;
	int32_t functions;
	bool ready; /* the schema was seen */
} extension;

typedef enum { RESULT_NULL, RESULT_INT, RESULT_JSON } result_kind;

/* One call of one function: its arguments and what it is to give. */
typedef struct {
	extension *x;
	int argc;
	sqlite3_value **argv;
	arena memory;
	result_kind kind;
	int64_t number;
	buffer text;
} call;

typedef int32_t (*extension_function)(call *c, knocker_error *error);
typedef enum {
	CALL_PURE,    /* reads no table */
	CALL_SETTING, /* changes what this connection knows; reads no table */
	CALL_READ,    /* reads tables */
	CALL_WRITE    /* a transaction of its own, or part of the caller's */
} call_mode;
typedef struct {
	const char *name;
	int least, most; /* arguments */
	call_mode mode;
	extension_function run;
} extension_entry;

/* The functions of each file; the last entry has no name. */
const extension_entry *extension_receiving(void);
const extension_entry *extension_operating(void);
const extension_entry *extension_queueing(void);
int extension_register_providers(sqlite3 *handle); /* the table knocker_providers */

/* ---- arguments: each checks the type and names the argument ---- */

int32_t call_text(call *c, int at, const char *name, knocker_bytes *out,
                  knocker_error *error); /* NULL or lacking: absent */
int32_t call_blob(call *c, int at, const char *name, knocker_bytes *out,
                  knocker_error *error); /* BLOB or TEXT */
bool call_given(const call *c, int at);  /* neither lacking nor NULL */
int32_t call_int(call *c, int at, const char *name, int64_t missing, int64_t *out,
                 knocker_error *error);
int32_t call_int_required(call *c, int at, const char *name, int64_t *out, knocker_error *error);
int32_t call_seconds(call *c, int at, const char *name, int64_t missing_ms, int64_t *out_ms,
                     knocker_error *error);
int32_t call_truth(call *c, int at, const char *name, int64_t missing, int64_t *out,
                   knocker_error *error); /* 0 or 1 */
/* A JSON object of headers as lines, one of query members as a raw query; a JSON string is a raw
 * query already. */
int32_t call_headers(call *c, int at, knocker_bytes *out, knocker_error *error);
int32_t call_query(call *c, int at, knocker_bytes *out, knocker_error *error);

/* ---- results ---- */

void call_give_int(call *c, int64_t number);
/* Rows as JSON: one object, or a list of objects. Header lines become an object. */
int32_t call_give_rows(call *c, knocker_rows *rows, bool list, knocker_error *error);

#endif
