/* A connection: compiled statements, transactions, errors in our words. The only file that talks to
 * SQLite, the SQL door aside. Knows what a statement is called, not what it means. */
#ifndef KNOCKER_DB_H
#define KNOCKER_DB_H

#include "rows.h"
#include "statements.h"

typedef struct db db;

typedef struct {
	knocker_bytes path, init_sql;
	int64_t busy_timeout_ms;
	bool reader;   /* refuses to write */
	bool existing; /* the file must be there */
} db_options;

int32_t db_open(const db_options *options, db **out, knocker_error *error);
/* Over a connection that its owner opened (the SQL door): statements are not kept between calls,
 * settings are left alone. */
int32_t db_adopt(void *sqlite3_connection, db **out, knocker_error *error);
void db_close(db *d); /* NULL is fine; an adopted connection stays open */
/* Finalizes what was compiled: an owner could not close its connection otherwise. */
void db_forget(db *d);

/* Our own statements. `changes` may be NULL. */
int32_t db_run(db *d, enum statement s, const knocker_value *values, int32_t count,
               int64_t *changes, knocker_error *error);

/* Reading: a query stands on a row after db_query or db_next gave 0, and is over after 1 or a
 * failure. Ended in any case with db_done. */
typedef struct query query;
int32_t db_query(db *d, enum statement s, const knocker_value *values, int32_t count, query **out,
                 knocker_error *error);
int32_t db_next(query *q, knocker_error *error);
int64_t db_int(query *q, int32_t column); /* null reads as 0 */
bool db_null(query *q, int32_t column);
knocker_bytes db_text(query *q, int32_t column); /* absent for null; lent until the next step */
void db_done(query *q);                          /* NULL is fine */
/* The first row's first column, or `missing` without a row or for null. */
int32_t db_int_of(db *d, enum statement s, const knocker_value *values, int32_t count,
                  int64_t missing, int64_t *out, knocker_error *error);
/* All rows of a query, at most LIMIT_LIST_BYTES of them (at least one); columns are named as in the
 * statement. */
int32_t db_rows(db *d, enum statement s, const knocker_value *values, int32_t count,
                knocker_rows **out, knocker_error *error);

/* Transactions. A savepoint bears our own name; savepoints nest. */
int32_t db_begin(db *d, knocker_error *error); /* BEGIN IMMEDIATE */
int32_t db_commit(db *d, knocker_error *error);
void db_rollback(db *d); /* harmless outside a transaction */
bool db_in_transaction(const db *d);
/* In a transaction: stays the same until somebody commits to the file, this connection or another.
 * It moves where SQLite finds that its page cache is old, and with each commit. -1: not known. */
int64_t db_version(db *d);
int32_t db_savepoint(db *d, knocker_error *error);
int32_t db_savepoint_release(db *d, knocker_error *error);
void db_savepoint_rollback(db *d);
bool db_foreign_keys_pending(db *d); /* a deferred foreign key does not hold */
int32_t db_synchronous(db *d, bool full, knocker_error *error); /* outside a transaction */
/* Counts what its next user has waited already towards busy_timeout_ms. */
void db_patient_since(db *d, int64_t since_ms);
void db_checkpoint_if_due(db *d);      /* what the WAL hook put off */
int64_t db_changes_total(const db *d); /* rows written since open */

/* An application's statement, bound in order. It must be one statement; rows are collected, so that
 * none stays open. In `guarded` mode (a handler's transaction) transaction control, ATTACH, pragmas
 * off a short list and writes to our tables are refused. */
typedef struct {
	knocker_bytes sql;
	const knocker_value *values;
	int32_t count;
	bool guarded;
} db_text_statement;
int32_t db_text_run(db *d, const db_text_statement *s, knocker_rows **rows, int64_t *changes,
                    int64_t *last_id, knocker_error *error);

/* The bell: rung after the commit of a transaction in which something was marked due. */
void db_mark_due(db *d);

/* One or several statements without values: a pragma, a schema file. */
int32_t db_script(db *d, const char *sql, knocker_error *error);
/* PRAGMA journal_mode = wal; an error names the mode that it stayed in. */
int32_t db_wal(db *d, knocker_error *error);
int64_t db_synchronous_level(db *d); /* 0 off, 1 normal, 2 full, 3 extra */
bool db_table_exists(db *d, const char *name);
const char *db_file(const db *d); /* its whole path; "" when it has none */

#endif
