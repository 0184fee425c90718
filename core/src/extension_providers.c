/* The SQL door: `select * from knocker_providers`, the built-ins as a table that is always
 * there. */
#include "extension_parts.h"

#include <string.h>

#include "error.h"

typedef struct {
	sqlite3_vtab_cursor base;
	int32_t at;
	scheme_info info; /* of the row `at` */
} providers_cursor;

static int providers_connect(sqlite3 *handle, void *context, int argc, const char *const *argv,
                             sqlite3_vtab **out, char **message)
{
	int rc = sqlite3_declare_vtab(handle,
	                              "create table x(name text, version text, title text, kind text, "
	                              "has_replay_window integer, options_json text, curated integer)");

	(void)context;
	(void)argc;
	(void)argv;
	(void)message;
	if (rc != SQLITE_OK)
		return rc;
	*out = memory_get(sizeof **out);
	if (!*out)
		return SQLITE_NOMEM;
	memset(*out, 0, sizeof **out);
	return SQLITE_OK;
}

static int providers_disconnect(sqlite3_vtab *table)
{
	memory_free(table);
	return SQLITE_OK;
}

/* There is one way to read it: from the first row to the last. */
static int providers_best_index(sqlite3_vtab *table, sqlite3_index_info *info)
{
	(void)table;
	info->estimatedCost = 100;
	info->estimatedRows = scheme_builtin_count();
	return SQLITE_OK;
}

static int providers_open(sqlite3_vtab *table, sqlite3_vtab_cursor **out)
{
	providers_cursor *c = memory_get(sizeof *c);

	(void)table;
	if (!c)
		return SQLITE_NOMEM;
	memset(c, 0, sizeof *c);
	*out = &c->base;
	return SQLITE_OK;
}

static int providers_close(sqlite3_vtab_cursor *cursor)
{
	memory_free(cursor);
	return SQLITE_OK;
}

static int providers_read(providers_cursor *c)
{
	knocker_error error = {0};

	if (c->at >= scheme_builtin_count() || scheme_builtin_info(c->at, &c->info, &error) == 0)
		return SQLITE_OK;
	c->base.pVtab->zErrMsg = sqlite3_mprintf("%s: %s", error_name(error.code), error.text);
	return SQLITE_ERROR;
}

static int providers_filter(sqlite3_vtab_cursor *cursor, int index, const char *text, int argc,
                            sqlite3_value **argv)
{
	providers_cursor *c = (providers_cursor *)cursor;

	(void)index;
	(void)text;
	(void)argc;
	(void)argv;
	c->at = 0;
	return providers_read(c);
}

static int providers_next(sqlite3_vtab_cursor *cursor)
{
	providers_cursor *c = (providers_cursor *)cursor;

	c->at++;
	return providers_read(c);
}

static int providers_eof(sqlite3_vtab_cursor *cursor)
{
	return ((providers_cursor *)cursor)->at >= scheme_builtin_count();
}

static int providers_column(sqlite3_vtab_cursor *cursor, sqlite3_context *context, int column)
{
	const scheme_info *info = &((providers_cursor *)cursor)->info;
	const char *const texts[] = {info->name, info->version, info->title,
	                             info->kind, NULL,          info->options_json};

	if (column == 4 || column == 6)
		sqlite3_result_int(context, column == 4 ? info->has_replay_window : info->curated);
	else
		sqlite3_result_text(context, texts[column], -1, SQLITE_STATIC);
	return SQLITE_OK;
}

static int providers_rowid(sqlite3_vtab_cursor *cursor, sqlite3_int64 *out)
{
	*out = ((providers_cursor *)cursor)->at + 1;
	return SQLITE_OK;
}

int extension_register_providers(sqlite3 *handle)
{
	static const sqlite3_module module = {
		.xConnect = providers_connect,
		.xBestIndex = providers_best_index,
		.xDisconnect = providers_disconnect,
		.xOpen = providers_open,
		.xClose = providers_close,
		.xFilter = providers_filter,
		.xNext = providers_next,
		.xEof = providers_eof,
		.xColumn = providers_column,
		.xRowid = providers_rowid,
	};

	return sqlite3_create_module_v2(handle, "knocker_providers", &module, NULL, NULL);
}
