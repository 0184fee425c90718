/* An application's own statement, in a handler's transaction or on a reader: what is refused there,
 * and why it failed. Knows nothing of our statements. */
#include <string.h>

#include "bounds.h"
#include "db_parts.h"
#include "error.h"

static bool db_pragma_allowed(const char *name, const char *argument)
{
	static const char *const reads[] = {"table_info",       "table_xinfo",       "table_list",
	                                    "index_info",       "index_xinfo",       "index_list",
	                                    "foreign_key_list", "foreign_key_check", "integrity_check",
	                                    "quick_check",      "defer_foreign_keys"};
	static const char *const without_argument[] = {"foreign_keys",   "user_version",
	                                               "application_id", "data_version",
	                                               "page_count",     "page_size",
	                                               "encoding",       "journal_mode",
	                                               "synchronous",    "compile_options"};
	size_t i;

	for (i = 0; i < sizeof reads / sizeof *reads; i++)
		if (sqlite3_stricmp(name, reads[i]) == 0)
			return true;
	for (i = 0; !argument && i < sizeof without_argument / sizeof *without_argument; i++)
		if (sqlite3_stricmp(name, without_argument[i]) == 0)
			return true;
	return false;
}

static bool db_is_ours(const char *name)
{
	return name && sqlite3_strnicmp(name, "_knocker", 8) == 0;
}

static const char *db_refusal(int action, const char *first, const char *second)
{
	switch (action) {
	case SQLITE_TRANSACTION:
		return "BEGIN, COMMIT and ROLLBACK are refused here: Knocker ends this transaction itself";
	case SQLITE_ATTACH:
	case SQLITE_DETACH:
		return "ATTACH and DETACH are refused here: use init_sql";
	case SQLITE_PRAGMA:
		return db_pragma_allowed(first, second) ? NULL
		                                        : "this PRAGMA is refused here: use init_sql";
	case SQLITE_SAVEPOINT:
		return db_is_ours(second) ? "savepoints named _knocker are Knocker's own" : NULL;
	case SQLITE_INSERT:
	case SQLITE_UPDATE:
	case SQLITE_DELETE:
	case SQLITE_DROP_TABLE:
	case SQLITE_ALTER_TABLE:
	case SQLITE_DROP_INDEX:
		return db_is_ours(first) || (action == SQLITE_ALTER_TABLE && db_is_ours(second))
		           ? "tables named _knocker_ are Knocker's own"
		           : NULL;
	case SQLITE_DROP_VIEW:
		return sqlite3_strnicmp(first, "knocker_", 8) == 0
		           ? "views named knocker_ are Knocker's own"
		           : NULL;
	default:
		return NULL;
	}
}

int db_authorize(void *context, int action, const char *first, const char *second,
                 const char *schema, const char *trigger)
{
	db *d = context;
	const char *refusal = d->guarded ? db_refusal(action, first, second) : NULL;

	(void)schema;
	(void)trigger;
	/* It would leave the reader in a transaction, and all its later calls in that snapshot. */
	if (d->guarded && action == SQLITE_SAVEPOINT && !db_in_transaction(d))
		refusal = "SAVEPOINT is refused here: a query stands outside any transaction";
	if (!refusal)
		return SQLITE_OK;
	d->refusal = refusal;
	return SQLITE_DENY;
}

/* Says why the application's statement failed. */
static int32_t db_text_fail(db *d, knocker_error *error)
{
	int rc = sqlite3_extended_errcode(d->handle);

	if ((rc & 0xFF) == SQLITE_AUTH && d->refusal)
		return fail(error, KNOCKER_SQL, "%s", d->refusal);
	return db_fail(d, rc, KNOCKER_SQL, error);
}

static int32_t db_text_check_values(const db_text_statement *s, knocker_error *error)
{
	int32_t i;

	if (s->count > 0 && !s->values)
		return fail(error, KNOCKER_INVALID_ARGUMENT, "values is NULL, but count is %d",
		            (int)s->count);
	for (i = 0; i < s->count; i++)
		if (s->values[i].type < KNOCKER_NULL || s->values[i].type > KNOCKER_BLOB)
			return fail(error, KNOCKER_INVALID_ARGUMENT,
			            "value %d has type %lld: none of KNOCKER_NULL to KNOCKER_BLOB", (int)i + 1,
			            (long long)s->values[i].type);
	return 0;
}

/* ---- a handler's writes run again and again: the last few stay compiled ---- */

static bool db_text_is(sqlite3_stmt *statement, knocker_bytes sql)
{
	return statement && sql.data && bytes_is(sql, sqlite3_sql(statement));
}

/* Gives back what was kept of this text, which then is kept no more. */
static sqlite3_stmt *db_text_take(db *d, knocker_bytes sql)
{
	sqlite3_stmt *found = NULL;
	int i;

	for (i = 0; i < DB_TEXTS && !found; i++)
		if (db_text_is(d->texts[i], sql)) {
			found = d->texts[i];
			d->texts[i] = NULL;
		}
	return found;
}

/* Only what writes rows and gives none: columns are counted before SQLite looks whether the schema
 * is still that for which a statement was compiled. */
static bool db_text_may_stay(const db *d, sqlite3_stmt *statement, knocker_bytes sql)
{
	static const char *const verbs[] = {"insert ", "update ", "delete ", "replace "};
	size_t i;

	if (d->adopted || !db_text_is(statement, sql) || sqlite3_column_count(statement) > 0)
		return false;
	for (i = 0; i < sizeof verbs / sizeof *verbs; i++)
		if (sqlite3_strnicmp(sqlite3_sql(statement), verbs[i], (int)strlen(verbs[i])) == 0)
			return true;
	return false;
}

static void db_text_end(db *d, sqlite3_stmt *statement, knocker_bytes sql, bool well)
{
	int i;

	if (!well || !db_text_may_stay(d, statement, sql)) {
		sqlite3_finalize(statement);
		return;
	}
	sqlite3_reset(statement);
	sqlite3_clear_bindings(statement);
	for (i = 0; i < DB_TEXTS && d->texts[i]; i++)
		;
	if (i == DB_TEXTS) {
		i = d->text_next;
		d->text_next = (i + 1) % DB_TEXTS;
	}
	sqlite3_finalize(d->texts[i]);
	d->texts[i] = statement;
}

/* Compiles exactly one statement. */
static int32_t db_text_compile_new(db *d, const db_text_statement *s, sqlite3_stmt **out,
                                   knocker_error *error)
{
	const char *text = s->sql.data, *tail = NULL;
	sqlite3_stmt *more = NULL;
	int rc;

	if (!text || s->sql.len > LIMIT_JSON || memchr(text, '\0', (size_t)s->sql.len))
		return fail(error, KNOCKER_INVALID_ARGUMENT,
		            "sql is missing, holds a NUL or is over %d bytes", LIMIT_JSON);
	rc = sqlite3_prepare_v2(d->handle, text, (int)s->sql.len, out, &tail);
	if (rc != SQLITE_OK)
		return db_text_fail(d, error);
	if (!*out)
		return fail(error, KNOCKER_INVALID_ARGUMENT, "sql holds no statement");
	if (tail < text + s->sql.len &&
	    (sqlite3_prepare_v2(d->handle, tail, (int)(s->sql.len - (tail - text)), &more, NULL) !=
	         SQLITE_OK ||
	     more)) {
		sqlite3_finalize(more);
		return fail(error, KNOCKER_INVALID_ARGUMENT,
		            "sql holds more than one statement: run them one by one");
	}
	return 0;
}

/* The statement, with as many parameters as there are values. */
static int32_t db_text_compile(db *d, const db_text_statement *s, sqlite3_stmt **out,
                               knocker_error *error)
{
	int32_t rc = 0;

	*out = db_text_take(d, s->sql);
	if (!*out)
		rc = db_text_compile_new(d, s, out, error);
	if (rc < 0)
		return rc;
	if (sqlite3_bind_parameter_count(*out) != s->count)
		return fail(error, KNOCKER_INVALID_ARGUMENT,
		            "sql has %d parameters, but %d values were given",
		            sqlite3_bind_parameter_count(*out), (int)s->count);
	return 0;
}

static int32_t db_text_step(db *d, sqlite3_stmt *statement, knocker_rows *rows,
                            knocker_error *error)
{
	bool failed = false;
	int step;
	int32_t rc = 0;

	if (rows) {
		rc = db_collect(statement, rows, &failed, error);
		if (rc == 1)
			return fail(error, KNOCKER_INVALID_ARGUMENT,
			            "the result is over %d bytes: read it in parts", LIMIT_LIST_BYTES);
		return failed ? db_text_fail(d, error) : rc;
	}
	do
		step = sqlite3_step(statement);
	while (step == SQLITE_ROW);
	return step == SQLITE_DONE ? 0 : db_text_fail(d, error);
}

int32_t db_text_run(db *d, const db_text_statement *s, knocker_rows **rows, int64_t *changes,
                    int64_t *last_id, knocker_error *error)
{
	sqlite3_stmt *statement = NULL;
	int before = sqlite3_total_changes(d->handle);
	int32_t rc = rows ? rows_new("", rows, error) : 0;

	d->guarded = true;
	d->refusal = NULL;
	if (rc == 0)
		rc = db_text_check_values(s, error);
	if (rc == 0)
		rc = db_text_compile(d, s, &statement, error);
	if (rc == 0 && db_bind(statement, s->values, s->count) != SQLITE_OK)
		rc = db_text_fail(d, error);
	if (rc == 0)
		rc = db_text_step(d, statement, rows ? *rows : NULL, error);
	db_text_end(d, statement, s->sql, rc == 0);
	d->guarded = false;
	if (changes)
		*changes = rc == 0 && sqlite3_total_changes(d->handle) != before
		               ? sqlite3_changes(d->handle)
		               : 0;
	if (last_id)
		*last_id = sqlite3_last_insert_rowid(d->handle);
	if (rc < 0 && rows) {
		knocker_rows_free(*rows);
		*rows = NULL;
	}
	return rc;
}
