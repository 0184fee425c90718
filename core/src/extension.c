/* The SQL door: registers every function on a connection, and brackets each call. What a call
 * begins it ends, on every path; in the owner's transaction it joins under a savepoint. The rules
 * stand below. */
#include "extension_parts.h"

#include <string.h>

#include "error.h"

#ifdef KNOCKER_EXTENSION
SQLITE_EXTENSION_INIT1
#endif

/* One function of one connection. */
typedef struct {
	extension *x;
	const extension_entry *entry;
} extension_binding;

/* ---- a writing call ---- */

/* INSERT ... SELECT f(), CREATE TABLE AS, UPDATE ... RETURNING f(): a statement that writes is
 * under way, and would be torn apart by a transaction that begins and ends within it. */
static bool extension_writer_under_way(sqlite3 *handle)
{
	sqlite3_stmt *s;

	for (s = sqlite3_next_stmt(handle, NULL); s; s = sqlite3_next_stmt(handle, s))
		if (sqlite3_stmt_busy(s) && !sqlite3_stmt_readonly(s))
			return true;
	return false;
}

static int32_t extension_close_own(call *c, int32_t rc, knocker_error *error)
{
	if (rc >= 0)
		rc = db_commit(c->x->d, error);
	db_rollback(c->x->d);
	return rc;
}

static int32_t extension_close_joined(call *c, int32_t rc, knocker_error *error)
{
	if (!db_in_transaction(c->x->d))
		return fail(error, rc < 0 ? rc : KNOCKER_STORAGE,
		            "SQLite rolled the whole transaction back%s%.160s", rc < 0 ? ": " : "",
		            rc < 0 && error ? error->text : "");
	if (rc >= 0)
		return db_savepoint_release(c->x->d, error);
	db_savepoint_rollback(c->x->d);
	return rc;
}

static int32_t extension_write(call *c, const extension_entry *entry, knocker_error *error)
{
	extension *x = c->x;
	sqlite3_int64 rowid = sqlite3_last_insert_rowid(x->handle);
	bool own = sqlite3_get_autocommit(x->handle) != 0;
	int32_t rc;

	if (extension_writer_under_way(x->handle))
		return fail(
			error, KNOCKER_INVALID_ARGUMENT,
			"%s() cannot be called while a statement that writes is under way: call it in a SELECT of its own",
			entry->name);
	rc = own ? db_begin(x->d, error) : db_savepoint(x->d, error);
	if (rc < 0)
		return rc;
	rc = entry->run(c, error);
	rc = own ? extension_close_own(c, rc, error) : extension_close_joined(c, rc, error);
	sqlite3_set_last_insert_rowid(x->handle, rowid);
	return rc;
}

/* ---- any call ---- */

static int32_t extension_run(call *c, const extension_entry *entry, knocker_error *error)
{
	bool bootstraps = strcmp(entry->name, "knocker_bootstrap") == 0;
	int32_t rc = 0;

	if (c->argc < entry->least || c->argc > entry->most)
		return fail(error, KNOCKER_INVALID_ARGUMENT, "%s() takes %d to %d arguments, not %d",
		            entry->name, entry->least, entry->most, c->argc);
	if (entry->mode == CALL_PURE || entry->mode == CALL_SETTING)
		return entry->run(c, error);
	if (!c->x->ready && !bootstraps)
		rc = schema_check(c->x->d, error);
	if (rc < 0)
		return rc;
	/* What the owner's transaction has made it may still take back. */
	c->x->ready = c->x->ready || (!bootstraps && !db_in_transaction(c->x->d));
	return entry->mode == CALL_READ ? entry->run(c, error) : extension_write(c, entry, error);
}

static void extension_result(sqlite3_context *context, const call *c)
{
	knocker_bytes text = buffer_view(&c->text);

	if (c->kind == RESULT_JSON)
		sqlite3_result_text64(context, text.data, (sqlite3_uint64)text.len, SQLITE_TRANSIENT,
		                      SQLITE_UTF8);
	else if (c->kind == RESULT_INT)
		sqlite3_result_int64(context, c->number);
	else
		sqlite3_result_null(context);
}

static void extension_fail(sqlite3_context *context, int32_t rc, const knocker_error *error)
{
	char text[sizeof error->text + 32];

	sqlite3_snprintf(sizeof text, text, "%s: %s", error_name(rc), error->text);
	sqlite3_result_error(context, text, -1);
	if (rc == KNOCKER_BUSY)
		sqlite3_result_error_code(context, SQLITE_BUSY);
}

static void extension_call(sqlite3_context *context, int argc, sqlite3_value **argv)
{
	const extension_binding *binding = sqlite3_user_data(context);
	knocker_error error = {0};
	call c = {.x = binding->x, .argc = argc, .argv = argv};
	int32_t rc;

	buffer_init(&c.text, LIMIT_LIST_BYTES);
	rc = extension_run(&c, binding->entry, &error);
	if (rc >= 0 && c.text.failed)
		rc = fail_memory(&error);
	if (rc < 0)
		extension_fail(context, rc, &error);
	else
		extension_result(context, &c);
	buffer_free(&c.text);
	arena_free(&c.memory);
}

/* ---- registering ---- */

static void extension_leave(extension *x)
{
	if (--x->functions > 0)
		return;
	inbox_end(&x->inbox);
	db_close(x->d);
	memory_free(x);
}

static void extension_binding_free(void *memory)
{
	extension_binding *binding = memory;

	extension_leave(binding->x);
	memory_free(binding);
}

static int extension_register_one(extension *x, const extension_entry *entry)
{
	int flags = SQLITE_UTF8 | (entry->mode == CALL_READ ? 0 : SQLITE_DIRECTONLY);
	extension_binding *binding = memory_get(sizeof *binding);

	if (!binding)
		return SQLITE_NOMEM;
	*binding = (extension_binding){x, entry};
	x->functions++;
	return sqlite3_create_function_v2(x->handle, entry->name, -1, flags, binding, extension_call,
	                                  NULL, NULL, extension_binding_free);
}

static int extension_register(extension *x)
{
	const extension_entry *const tables[] = {extension_receiving(), extension_operating(),
	                                         extension_queueing()};
	int rc = extension_register_providers(x->handle);
	size_t i;

	for (i = 0; i < sizeof tables / sizeof *tables; i++) {
		const extension_entry *entry;

		for (entry = tables[i]; rc == SQLITE_OK && entry->name; entry++)
			rc = extension_register_one(x, entry);
	}
	return rc;
}

/* Registers the functions on a connection. */
static int extension_attach(sqlite3 *handle, char **message)
{
	knocker_error error = {0};
	extension *x = memory_get(sizeof *x);
	int rc = SQLITE_ERROR;

	if (!x)
		return SQLITE_NOMEM;
	memset(x, 0, sizeof *x);
	x->handle = handle;
	x->functions = 1; /* this function's own hold */
	inbox_init(&x->inbox);
	if (db_adopt(handle, &x->d, &error) == 0)
		rc = extension_register(x);
	else if (message)
		*message = sqlite3_mprintf("knocker: %s", error.text);
	extension_leave(x);
	return rc;
}

#ifdef KNOCKER_EXTENSION

__attribute__((visibility("default"))) int sqlite3_knocker_init(sqlite3 *handle, char **message,
                                                                const sqlite3_api_routines *api);

/* SQLite would unload us with the last connection, and what is compiled once a process, the
 * built-in schemes, would be lost and made anew with the next one. */
int sqlite3_knocker_init(sqlite3 *handle, char **message, const sqlite3_api_routines *api)
{
	int rc;

	SQLITE_EXTENSION_INIT2(api);
	rc = extension_attach(handle, message);
	return rc == SQLITE_OK ? SQLITE_OK_LOAD_PERMANENTLY : rc;
}

#else

/* For each connection that the process opens. A failure here would fail every open of the process,
 * so there is none: a connection without memory for the functions lacks them, and says so. */
static int extension_autoload(sqlite3 *handle, char **message, const void *api)
{
	(void)message;
	(void)api;
	extension_attach(handle, NULL);
	return SQLITE_OK;
}

int32_t knocker_autoload(knocker_error *error)
{
	union {
		int (*takes_handle)(sqlite3 *, char **, const void *);
		void (*takes_nothing)(void);
	} entry = {.takes_handle = extension_autoload};

	if (sqlite3_auto_extension(entry.takes_nothing) != SQLITE_OK)
		return fail_memory(error);
	return 0;
}

#endif
