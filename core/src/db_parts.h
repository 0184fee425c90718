/* What db.c and db_text.c share; nobody else includes it. */
#ifndef KNOCKER_DB_PARTS_H
#define KNOCKER_DB_PARTS_H

#ifdef KNOCKER_EXTENSION
#include <sqlite3ext.h>
SQLITE_EXTENSION_INIT3
#else
#include <sqlite3.h>
#endif

#include "db.h"

#define DB_TEXTS 8 /* writing statements of the application that stay compiled */

struct db {
	sqlite3 *handle;
	sqlite3_stmt *kept[STATEMENT_COUNT];
	sqlite3_stmt *texts[DB_TEXTS];
	int32_t text_next;   /* which of them gives way */
	bool adopted;        /* the owner's connection: nothing is kept, nothing is set */
	bool guarded;        /* an application's statement is being compiled or run */
	const char *refusal; /* what the authorizer said no to */
	int32_t wal_pages;
	bool due_marked;
	int32_t full; /* PRAGMA synchronous as last set here; -1: not yet */
	int64_t busy_timeout_ms, busy_since_ms;
	int64_t patient_since_ms; /* its user waits since then; 0: since SQLite first said busy */
};

/* Says a SQLite result in our words. */
int32_t db_fail(const db *d, int rc, int32_t otherwise, knocker_error *error);
int32_t db_compile(db *d, enum statement s, sqlite3_stmt **out, knocker_error *error);
int db_bind(sqlite3_stmt *statement, const knocker_value *values, int32_t count);
/* Steps to the end, copying. 0: all rows; 1: stopped at LIMIT_LIST_BYTES; `failed`: SQLite did, and
 * nothing is said yet. */
int32_t db_collect(sqlite3_stmt *statement, knocker_rows *rows, bool *failed, knocker_error *error);
int db_committed(void *context, sqlite3 *handle, const char *name, int pages);
int db_authorize(void *context, int action, const char *first, const char *second,
                 const char *schema, const char *trigger);

#endif
