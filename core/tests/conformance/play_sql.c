/*
 * Plays SQL: the application's own. In a script it goes through the handler's transaction,
 * elsewhere over a plain connection that knows nothing of Knocker.
 */
#include <string.h>
#include <strings.h>

#include "play.h"
#include "watch.h"

enum { sql_most = 1000, sql_busy_ms = 200 };

/* Only these give rows, in every door. */
static bool sql_gives_rows(const char *text)
{
	static const char *const words[] = {"select", "with", "values"};

	text += strspn(text, " \t\r\n");
	for (size_t i = 0; i < sizeof words / sizeof words[0]; i++) {
		if (strncasecmp(text, words[i], strlen(words[i])) == 0)
			return true;
	}
	return strcasestr(text, "returning") != NULL;
}

static bool sql_value(player *p, const value *v, knocker_value *to)
{
	memset(to, 0, sizeof *to);
	switch (v->kind) {
	case VALUE_NULL:
		return true;
	case VALUE_BOOL:
	case VALUE_INTEGER:
		to->type = KNOCKER_INTEGER;
		to->integer = v->integer;
		return true;
	case VALUE_REAL:
		to->type = KNOCKER_REAL;
		to->real = v->real;
		return true;
	case VALUE_TEXT:
	case VALUE_BYTES:
		to->type = v->kind == VALUE_TEXT ? KNOCKER_TEXT : KNOCKER_BLOB;
		to->bytes = (knocker_bytes){v->data, (int64_t)v->len};
		return true;
	default:
		play_break(p, "SQL has no value for %s", value_show(p->a, v));
		return false;
	}
}

static knocker_value *sql_values(player *p, const value *with, int32_t *count)
{
	const value *list = value_get(with, "values");
	knocker_value *values;

	*count = 0;
	if (list == NULL)
		return NULL;
	if (list->kind != VALUE_LIST || value_count(list) > sql_most) {
		play_break(p, "'values' takes a list of at most %d, not %s", sql_most,
		           value_show(p->a, list));
		return NULL;
	}
	values = arena_take(p->a, (value_count(list) + 1) * sizeof *values);
	for (const value *v = list->first; v != NULL && sql_value(p, v, &values[*count]); v = v->next)
		++*count;
	return values;
}

static void sql_within(player *p, handle *h, knocker_bytes text, const knocker_value *values,
                       int32_t count, answer *out)
{
	knocker_rows *rows = NULL;

	if (sql_gives_rows(text.data))
		out->code = knocker_query(h->work, text, values, count, &rows, &out->error);
	else
		out->code = knocker_execute(h->work, text, values, count, NULL, NULL, &out->error);
	out->gives = rows_plain(p->a, rows);
}

/* ---- The plain connection ---- */

/* What goes wrong there has one name, whatever SQLite's own is. */
static void sql_failed(player *p, answer *out)
{
	out->code = KNOCKER_SQL;
	out->error.code = KNOCKER_SQL;
	sqlite3_snprintf((int)sizeof out->error.text, out->error.text, "%s",
	                 sqlite3_errmsg(p->application));
}

static void sql_bind(sqlite3_stmt *statement, const knocker_value *values, int32_t count)
{
	for (int at = 0; at < count; at++) {
		const knocker_value *v = &values[at];
		int len = (int)v->bytes.len;

		if (v->type == KNOCKER_INTEGER)
			sqlite3_bind_int64(statement, at + 1, v->integer);
		else if (v->type == KNOCKER_REAL)
			sqlite3_bind_double(statement, at + 1, v->real);
		else if (v->type == KNOCKER_TEXT)
			sqlite3_bind_text(statement, at + 1, v->bytes.data, len, SQLITE_STATIC);
		else if (v->type == KNOCKER_BLOB)
			sqlite3_bind_blob(statement, at + 1, v->bytes.data, len, SQLITE_STATIC);
	}
}

static value *sql_column(arena *a, sqlite3_stmt *statement, int column)
{
	const void *data;
	value *real;

	switch (sqlite3_column_type(statement, column)) {
	case SQLITE_INTEGER:
		return value_integer(a, sqlite3_column_int64(statement, column));
	case SQLITE_FLOAT:
		real = value_new(a, VALUE_REAL);
		real->real = sqlite3_column_double(statement, column);
		return real;
	case SQLITE_TEXT:
		data = sqlite3_column_text(statement, column);
		return value_bytes(a, VALUE_TEXT, data, (size_t)sqlite3_column_bytes(statement, column));
	case SQLITE_BLOB:
		data = sqlite3_column_blob(statement, column);
		return value_bytes(a, VALUE_BYTES, data, (size_t)sqlite3_column_bytes(statement, column));
	default:
		return value_new(a, VALUE_NULL);
	}
}

static int sql_rows(player *p, sqlite3_stmt *statement, value *rows, bool wanted)
{
	int result;

	while ((result = sqlite3_step(statement)) == SQLITE_ROW) {
		value *row = value_new(p->a, VALUE_OBJECT);

		for (int column = 0; column < sqlite3_column_count(statement); column++)
			value_set(p->a, row, sqlite3_column_name(statement, column),
			          sql_column(p->a, statement, column));
		if (wanted)
			value_append(rows, row);
	}
	return result;
}

static void sql_on_application(player *p, knocker_bytes text, const knocker_value *values,
                               int32_t count, answer *out)
{
	sqlite3_stmt *statement = NULL;
	const char *rest = NULL;
	int result = sqlite3_prepare_v2(p->application, text.data, (int)text.len, &statement, &rest);

	out->gives = value_new(p->a, VALUE_LIST);
	if (result != SQLITE_OK) {
		sql_failed(p, out);
		return;
	}
	if (statement == NULL || rest[strspn(rest, "; \t\r\n")] != '\0')
		play_break(p, "'text' takes one statement, not %s", (const char *)text.data);
	else if (sqlite3_bind_parameter_count(statement) != count)
		play_break(p, "the statement has %d parameters, not %d",
		           sqlite3_bind_parameter_count(statement), count);
	if (p->broken == NULL) {
		sql_bind(statement, values, count);
		result = sql_rows(p, statement, out->gives, sql_gives_rows(text.data));
		if (result != SQLITE_DONE)
			sql_failed(p, out);
	}
	sqlite3_finalize(statement);
}

static bool sql_connect(player *p)
{
	if (p->application != NULL)
		return true;
	if (sqlite3_open(p->path, &p->application) != SQLITE_OK) {
		play_break(p, "the application cannot open the file: %s", sqlite3_errmsg(p->application));
		return false;
	}
	sqlite3_busy_timeout(p->application, sql_busy_ms);
	return true;
}

/* The application's own connection is not what a fault run tries. */
static void sql_plain(player *p, knocker_bytes text, const knocker_value *values, int32_t count,
                      answer *out)
{
	if (p->watch != NULL)
		p->watch->pause(true);
	if (sql_connect(p))
		sql_on_application(p, text, values, count, out);
	if (p->watch != NULL)
		p->watch->pause(false);
}

void play_sql(player *p, handle *h, const value *with, answer *out)
{
	knocker_value *values;
	knocker_bytes text;
	int32_t count;

	if (!words_known(p, with, "text values"))
		return;
	text = words_text(p, with, "text");
	values = sql_values(p, with, &count);
	if (text.data == NULL)
		play_break(p, "'text' is missing");
	if (p->broken != NULL)
		return;
	if (h->work != NULL)
		sql_within(p, h, text, values, count, out);
	else
		sql_plain(p, text, values, count, out);
}
