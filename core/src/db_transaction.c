/* Transactions, savepoints, and what happens when a commit has become visible. */
#include "bell.h"
#include "db_parts.h"
#include "error.h"

#define DB_OWNER_PAGES 1000 /* as SQLite's automatic checkpoint, which the hook replaces */
/* 40 MB, on our own connection: a checkpoint syncs twice, and with a million events stored most of
 * its pages lie apart, each written for one receipt. docs/performance.md has the figures. */
#define DB_CHECKPOINT_PAGES 10000

/* One that fails for want of memory is tried again: the writer is nobody's until it is done. */
enum { DB_ROLLBACK_TRIES = 3 };

int32_t db_script(db *d, const char *sql, knocker_error *error)
{
	int rc = sqlite3_exec(d->handle, sql, NULL, NULL, NULL);

	return rc == SQLITE_OK
	           ? 0
	           : db_fail(d, sqlite3_extended_errcode(d->handle), KNOCKER_STORAGE, error);
}

/* The way back is compiled before it is needed: without memory it could not be gone. On an adopted
 * connection nothing may be kept. */
static int32_t db_way_back(db *d, enum statement s, knocker_error *error)
{
	sqlite3_stmt *statement;

	return d->adopted ? 0 : db_compile(d, s, &statement, error);
}

/* Without memory SQLite may say that it failed when it has begun. */
int32_t db_begin(db *d, knocker_error *error)
{
	bool before = db_in_transaction(d);
	int32_t rc = db_way_back(d, STMT_db_rollback, error);

	d->due_marked = false;
	if (rc == 0)
		rc = db_run(d, STMT_db_begin, NO_VALUES, NULL, error);
	if (rc < 0 && !before)
		db_rollback(d);
	return rc;
}

int32_t db_commit(db *d, knocker_error *error)
{
	return db_run(d, STMT_db_commit, NO_VALUES, NULL, error);
}

/* Ends what is open. After somebody changed the schema SQLite compiles even a ROLLBACK anew: where
 * there is no memory for that, pages are given back that were only kept for later. */
static void db_insist(db *d, enum statement s)
{
	int32_t rc = KNOCKER_STORAGE;
	int tries;

	for (tries = 0; rc < 0 && tries < DB_ROLLBACK_TRIES && db_in_transaction(d); tries++) {
		if (tries > 0)
			sqlite3_db_release_memory(d->handle);
		rc = db_run(d, s, NO_VALUES, NULL, NULL);
	}
}

void db_rollback(db *d)
{
	d->due_marked = false;
	db_insist(d, STMT_db_rollback);
}

bool db_in_transaction(const db *d)
{
	return sqlite3_get_autocommit(d->handle) == 0;
}

int64_t db_version(db *d)
{
	unsigned int version = 0;
	int rc = sqlite3_file_control(d->handle, "main", SQLITE_FCNTL_DATA_VERSION, &version);

	return rc == SQLITE_OK ? (int64_t)version : -1;
}

int32_t db_savepoint(db *d, knocker_error *error)
{
	int32_t rc = db_way_back(d, STMT_db_savepoint_rollback, error);

	if (rc == 0)
		rc = db_way_back(d, STMT_db_savepoint_release, error);
	return rc < 0 ? rc : db_run(d, STMT_db_savepoint, NO_VALUES, NULL, error);
}

int32_t db_savepoint_release(db *d, knocker_error *error)
{
	return db_run(d, STMT_db_savepoint_release, NO_VALUES, NULL, error);
}

void db_savepoint_rollback(db *d)
{
	db_insist(d, STMT_db_savepoint_rollback);
	db_insist(d, STMT_db_savepoint_release);
}

bool db_foreign_keys_pending(db *d)
{
	int pending = 0, high = 0;

	sqlite3_db_status(d->handle, SQLITE_DBSTATUS_DEFERRED_FKS, &pending, &high, 0);
	return pending != 0;
}

int32_t db_synchronous(db *d, bool full, knocker_error *error)
{
	int32_t rc = 0;

	if (d->full != (int32_t)full)
		rc = db_script(d, full ? "pragma synchronous = full" : "pragma synchronous = normal",
		               error);
	if (rc == 0)
		d->full = full;
	return rc;
}

void db_mark_due(db *d)
{
	d->due_marked = true;
}

/* Fires when a commit is visible, also at the end of a transaction of the owner's. It replaces
 * SQLite's automatic checkpoint. */
int db_committed(void *context, sqlite3 *handle, const char *name, int pages)
{
	db *d = context;
	const char *file = sqlite3_db_filename(handle, "main");

	if (d->due_marked && file)
		bell_ring(file);
	d->due_marked = false;
	d->wal_pages = pages;
	if (d->adopted && pages >= DB_OWNER_PAGES)
		sqlite3_wal_checkpoint_v2(handle, name, SQLITE_CHECKPOINT_PASSIVE, NULL, NULL);
	return SQLITE_OK;
}

/* One that fails or is kept from the end by a reader is made up for by the next. */
void db_checkpoint_if_due(db *d)
{
	if (d->wal_pages < DB_CHECKPOINT_PAGES)
		return;
	d->wal_pages = 0;
	sqlite3_wal_checkpoint_v2(d->handle, "main", SQLITE_CHECKPOINT_PASSIVE, NULL, NULL);
}

int64_t db_changes_total(const db *d)
{
	return sqlite3_total_changes(d->handle);
}
