/* A connection: compiled statements, transactions, errors in our words. With db_text.c the only
 * code that talks to SQLite, the SQL door aside. Knows what a statement is called, not what it
 * means. */
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "bounds.h"
#include "clock.h"
#include "db_parts.h"
#include "error.h"
#include "statement_texts.h"

#define DB_SQLITE_FLOOR 3037000

struct query {
	sqlite3_stmt *statement;
	db *owner;
};

/* ---- errors ---- */

static int32_t db_code(int rc, int32_t otherwise)
{
	switch (rc & 0xFF) {
	case SQLITE_BUSY:
	case SQLITE_LOCKED:
		return KNOCKER_BUSY;
	case SQLITE_CORRUPT:
		return KNOCKER_CORRUPT;
	case SQLITE_FULL:
	case SQLITE_IOERR:
	case SQLITE_READONLY:
	case SQLITE_CANTOPEN:
	case SQLITE_NOTADB:
	case SQLITE_NOMEM:
		return KNOCKER_STORAGE;
	default:
		return otherwise;
	}
}

int32_t db_fail(const db *d, int rc, int32_t otherwise, knocker_error *error)
{
	int32_t code = db_code(rc, otherwise);

	if (code == KNOCKER_BUSY && rc == SQLITE_BUSY_SNAPSHOT)
		return fail(
			error, code,
			"the transaction began by reading and its snapshot is old: start it with BEGIN IMMEDIATE");
	if (code == KNOCKER_BUSY && d->adopted)
		return fail(
			error, code,
			"another connection writes to the file, and this one's busy timeout has passed");
	if (code == KNOCKER_BUSY)
		return fail(error, code,
		            "another connection writes to the file and did not finish within %lld ms",
		            (long long)d->busy_timeout_ms);
	return fail(error, code, "%s", d->handle ? sqlite3_errmsg(d->handle) : sqlite3_errstr(rc));
}

/* Sleeps of at most 1 ms: with SQLite's own back-off a second process waited for more than a
 * second. */
static int db_busy(void *context, int count)
{
	db *d = context;
	struct timespec nap = {0, count < 4 ? 100000 : 1000000};
	int64_t now = clock_monotonic_ms();

	if (count == 0)
		d->busy_since_ms = d->patient_since_ms ? d->patient_since_ms : now;
	if (now - d->busy_since_ms >= d->busy_timeout_ms)
		return 0;
	nanosleep(&nap, NULL);
	return 1;
}

void db_patient_since(db *d, int64_t since_ms)
{
	d->patient_since_ms = since_ms;
}

/* ---- statements ---- */

int32_t db_compile(db *d, enum statement s, sqlite3_stmt **out, knocker_error *error)
{
	int rc = SQLITE_OK;

	*out = d->kept[s];
	if (*out == NULL)
		rc = sqlite3_prepare_v3(d->handle, statement_texts[s], -1,
		                        d->adopted ? 0 : SQLITE_PREPARE_PERSISTENT, out, NULL);
	if (rc != SQLITE_OK)
		return db_fail(d, rc, KNOCKER_STORAGE, error);
	if (!d->adopted)
		d->kept[s] = *out;
	return 0;
}

static int db_bind_one(sqlite3_stmt *statement, int at, const knocker_value *v)
{
	knocker_bytes b = !v->bytes.data     ? (knocker_bytes){"", 0}
	                  : v->bytes.len < 0 ? bytes_of(v->bytes.data)
	                                     : v->bytes;

	switch (v->type) {
	case KNOCKER_INTEGER:
		return sqlite3_bind_int64(statement, at, v->integer);
	case KNOCKER_REAL:
		return sqlite3_bind_double(statement, at, v->real);
	case KNOCKER_TEXT:
		return sqlite3_bind_text64(statement, at, b.data, (sqlite3_uint64)b.len, SQLITE_STATIC,
		                           SQLITE_UTF8);
	case KNOCKER_BLOB:
		return sqlite3_bind_blob64(statement, at, b.data, (sqlite3_uint64)b.len, SQLITE_STATIC);
	default:
		return sqlite3_bind_null(statement, at);
	}
}

int db_bind(sqlite3_stmt *statement, const knocker_value *values, int32_t count)
{
	int rc = SQLITE_OK;
	int i;

	for (i = 0; i < count && rc == SQLITE_OK; i++)
		rc = db_bind_one(statement, i + 1, &values[i]);
	return rc;
}

/* Ends a use of a statement; what is not kept is finalized. */
static void db_end(db *d, sqlite3_stmt *statement)
{
	if (d->adopted)
		sqlite3_finalize(statement);
	else
		sqlite3_reset(statement);
}

int32_t db_run(db *d, enum statement s, const knocker_value *values, int32_t count,
               int64_t *changes, knocker_error *error)
{
	sqlite3_stmt *statement;
	int32_t rc = db_compile(d, s, &statement, error);
	int step;

	if (rc < 0)
		return rc;
	step = db_bind(statement, values, count);
	if (step == SQLITE_OK)
		step = sqlite3_step(statement);
	if (step != SQLITE_DONE && step != SQLITE_ROW)
		rc = db_fail(d, sqlite3_extended_errcode(d->handle), KNOCKER_STORAGE, error);
	else if (changes)
		*changes = sqlite3_changes(d->handle);
	db_end(d, statement);
	return rc;
}

int32_t db_query(db *d, enum statement s, const knocker_value *values, int32_t count, query **out,
                 knocker_error *error)
{
	query *q = memory_get(sizeof *q);
	int32_t rc = q ? db_compile(d, s, &q->statement, error) : fail_memory(error);

	*out = NULL;
	if (rc < 0) {
		memory_free(q);
		return rc;
	}
	q->owner = d;
	*out = q;
	if (db_bind(q->statement, values, count) != SQLITE_OK)
		return db_fail(d, sqlite3_extended_errcode(d->handle), KNOCKER_STORAGE, error);
	return db_next(q, error);
}

int32_t db_next(query *q, knocker_error *error)
{
	int step = sqlite3_step(q->statement);

	if (step == SQLITE_ROW)
		return 0;
	if (step == SQLITE_DONE)
		return 1;
	return db_fail(q->owner, sqlite3_extended_errcode(q->owner->handle), KNOCKER_STORAGE, error);
}

int64_t db_int(query *q, int32_t column)
{
	return sqlite3_column_int64(q->statement, column);
}

bool db_null(query *q, int32_t column)
{
	return sqlite3_column_type(q->statement, column) == SQLITE_NULL;
}

static knocker_value db_value(sqlite3_stmt *statement, int32_t column)
{
	knocker_value v = {0};
	const void *data = NULL;

	switch (sqlite3_column_type(statement, column)) {
	case SQLITE_INTEGER:
		return value_int(sqlite3_column_int64(statement, column));
	case SQLITE_FLOAT:
		v.type = KNOCKER_REAL;
		v.real = sqlite3_column_double(statement, column);
		return v;
	case SQLITE_TEXT:
		v.type = KNOCKER_TEXT;
		data = sqlite3_column_text(statement, column);
		break;
	case SQLITE_BLOB:
		v.type = KNOCKER_BLOB;
		data = sqlite3_column_blob(statement, column);
		break;
	default:
		return v;
	}
	v.bytes.data = data ? data : "";
	v.bytes.len = sqlite3_column_bytes(statement, column);
	return v;
}

knocker_bytes db_text(query *q, int32_t column)
{
	knocker_value v = db_value(q->statement, column);

	return v.type == KNOCKER_TEXT || v.type == KNOCKER_BLOB ? v.bytes : (knocker_bytes){0};
}

void db_done(query *q)
{
	if (!q)
		return;
	db_end(q->owner, q->statement);
	memory_free(q);
}

int32_t db_int_of(db *d, enum statement s, const knocker_value *values, int32_t count,
                  int64_t missing, int64_t *out, knocker_error *error)
{
	query *q;
	int32_t rc = db_query(d, s, values, count, &q, error);

	*out = rc == 0 && !db_null(q, 0) ? db_int(q, 0) : missing;
	db_done(q);
	return rc < 0 ? rc : 0;
}

/* ---- rows ---- */

/* One row, copied; `values` has room for every column. */
static int32_t db_collect_row(sqlite3_stmt *statement, knocker_value *values, knocker_rows *rows,
                              knocker_error *error)
{
	int i, columns = sqlite3_column_count(statement);

	for (i = 0; i < columns; i++)
		values[i] = db_value(statement, i);
	return rows_add(rows, values, error);
}

/* Steps to the end. 0: all rows; 1: stopped at LIMIT_LIST_BYTES; a SQLite failure is -1 with
 * nothing said yet. */
int32_t db_collect(sqlite3_stmt *statement, knocker_rows *rows, bool *failed, knocker_error *error)
{
	int columns = sqlite3_column_count(statement), step = SQLITE_DONE, i;
	knocker_value *values = memory_get((size_t)(columns + 1) * sizeof *values);
	int32_t rc = values ? 0 : fail_memory(error);

	for (i = 0; rc == 0 && i < columns; i++)
		rc = rows_column(rows, sqlite3_column_name(statement, i), error);
	while (rc == 0 && (step = sqlite3_step(statement)) == SQLITE_ROW) {
		if (rows_count(rows) > 0 && rows_bytes(rows) >= LIMIT_LIST_BYTES)
			rc = 1;
		else
			rc = db_collect_row(statement, values, rows, error);
	}
	*failed = rc == 0 && step != SQLITE_DONE;
	memory_free(values);
	return rc;
}

int32_t db_rows(db *d, enum statement s, const knocker_value *values, int32_t count,
                knocker_rows **out, knocker_error *error)
{
	sqlite3_stmt *statement = NULL;
	bool failed = false;
	int32_t rc = rows_new("", out, error);

	if (rc == 0)
		rc = db_compile(d, s, &statement, error);
	if (rc == 0) {
		failed = db_bind(statement, values, count) != SQLITE_OK;
		if (!failed)
			rc = db_collect(statement, *out, &failed, error);
		if (failed)
			rc = db_fail(d, sqlite3_extended_errcode(d->handle), KNOCKER_STORAGE, error);
		db_end(d, statement);
	}
	if (rc < 0) {
		knocker_rows_free(*out);
		*out = NULL;
		return rc;
	}
	return 0;
}

/* ---- opening ---- */

int64_t db_synchronous_level(db *d)
{
	int64_t level = 2;

	db_int_of(d, STMT_db_synchronous, NO_VALUES, 2, &level, NULL);
	return level;
}

bool db_table_exists(db *d, const char *name)
{
	int64_t there = 0;

	db_int_of(d, STMT_db_table_exists, VALUES(TEXT(bytes_of(name))), 0, &there, NULL);
	return there != 0;
}

const char *db_file(const db *d)
{
	const char *file = sqlite3_db_filename(d->handle, "main");

	return file ? file : "";
}

static int32_t db_wal_once(db *d, knocker_error *error)
{
	query *q;
	int32_t rc = db_query(d, STMT_db_wal, NO_VALUES, &q, error);

	if (rc == 0 && !bytes_is(db_text(q, 0), "wal"))
		rc = fail(error, KNOCKER_STORAGE,
		          "the database cannot be put in WAL mode: it stays in mode '%.*s'",
		          QUOTED(db_text(q, 0)));
	db_done(q);
	return rc;
}

/* Of two who change the mode at once SQLite tells one that it is busy, without asking how long it
 * would wait. */
int32_t db_wal(db *d, knocker_error *error)
{
	const struct timespec nap = {0, 1000000};
	int64_t end_ms = clock_monotonic_ms() + d->busy_timeout_ms;
	knocker_error last;
	int32_t rc;

	while ((rc = db_wal_once(d, &last)) == KNOCKER_BUSY && clock_monotonic_ms() < end_ms)
		nanosleep(&nap, NULL);
	if (rc < 0 && error)
		*error = last;
	return rc;
}

static int32_t db_initiate(db *d, knocker_bytes init_sql, knocker_error *error)
{
	char *text = sqlite3_mprintf("%.*s", (int)init_sql.len, (const char *)init_sql.data);
	int32_t rc = text ? db_script(d, text, error) : fail_memory(error);

	sqlite3_free(text);
	if (rc == 0 && db_in_transaction(d))
		rc = fail(error, KNOCKER_INVALID_ARGUMENT, "init_sql leaves a transaction open: end it");
	return rc;
}

/* 16 MB of pages: with a million events stored each dedupe key lies on another page. */
#define DB_WRITER "pragma foreign_keys = 1; pragma cache_size = -16000"

static int32_t db_configure(db *d, const db_options *options, knocker_error *error)
{
	int32_t rc;

	sqlite3_extended_result_codes(d->handle, 1);
	sqlite3_busy_handler(d->handle, db_busy, d);
	rc = db_script(d, options->reader ? "pragma query_only = 1" : DB_WRITER, error);
	if (rc == 0 && options->init_sql.data)
		rc = db_initiate(d, options->init_sql, error);
	/* After init_sql, whose busy_timeout and wal_autocheckpoint would take the place of these. */
	sqlite3_busy_handler(d->handle, db_busy, d);
	sqlite3_wal_hook(d->handle, db_committed, d);
	sqlite3_set_authorizer(d->handle, db_authorize, d);
	return rc;
}

static int32_t db_new(db **out, knocker_error *error)
{
	db *d;

	*out = NULL;
	if (sqlite3_libversion_number() < DB_SQLITE_FLOOR)
		return fail(error, KNOCKER_STORAGE, "SQLite %s is too old: 3.37 is the floor",
		            sqlite3_libversion());
	d = memory_get(sizeof *d);
	if (!d)
		return fail_memory(error);
	memset(d, 0, sizeof *d);
	d->full = -1;
	*out = d;
	return 0;
}

int32_t db_open(const db_options *options, db **out, knocker_error *error)
{
	char path[4096];
	int32_t rc;
	int opened;

	*out = NULL;
	if (options->path.len <= 0 || options->path.len >= (int64_t)sizeof path ||
	    memchr(options->path.data, '\0', (size_t)options->path.len))
		return fail(error, KNOCKER_INVALID_ARGUMENT,
		            "path is empty, holds a NUL or is over %zu bytes", sizeof path - 1);
	memcpy(path, options->path.data, (size_t)options->path.len);
	path[options->path.len] = '\0';
	rc = db_new(out, error);
	if (rc < 0)
		return rc;
	(*out)->busy_timeout_ms = options->busy_timeout_ms;
	opened = sqlite3_open_v2(path, &(*out)->handle,
	                         SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX |
	                             (options->existing ? 0 : SQLITE_OPEN_CREATE),
	                         NULL);
	if (opened == SQLITE_OK)
		rc = db_configure(*out, options, error);
	else
		rc = fail(error, db_code(opened, KNOCKER_STORAGE), "'%.150s': %s", path,
		          (*out)->handle ? sqlite3_errmsg((*out)->handle) : sqlite3_errstr(opened));
	if (rc < 0) {
		db_close(*out);
		*out = NULL;
	}
	return rc;
}

int32_t db_adopt(void *sqlite3_connection, db **out, knocker_error *error)
{
	int32_t rc = db_new(out, error);

	if (rc < 0)
		return rc;
	(*out)->handle = sqlite3_connection;
	(*out)->adopted = true;
	sqlite3_wal_hook((*out)->handle, db_committed, *out);
	return 0;
}

void db_forget(db *d)
{
	int i;

	for (i = 0; i < STATEMENT_COUNT; i++) {
		sqlite3_finalize(d->kept[i]);
		d->kept[i] = NULL;
	}
	for (i = 0; i < DB_TEXTS; i++) {
		sqlite3_finalize(d->texts[i]);
		d->texts[i] = NULL;
	}
}

void db_close(db *d)
{
	if (!d)
		return;
	if (!d->adopted) {
		db_forget(d);
		sqlite3_close_v2(d->handle);
	}
	memory_free(d);
}
