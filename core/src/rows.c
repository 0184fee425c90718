/* A finished result in memory: named columns, rows of values. Knows nothing of where they came
 * from. */
#include "rows.h"

#include <string.h>

#include "bounds.h"
#include "error.h"

#define ROWS_COLUMNS 200

typedef struct rows_row rows_row;
struct rows_row {
	rows_row *next;
	knocker_value values[];
};

struct knocker_rows {
	arena memory;
	const char *names[ROWS_COLUMNS];
	int32_t columns;
	int64_t count, bytes;
	rows_row *first, *last, *current;
	bool begun;
};

knocker_value value_int(int64_t v)
{
	return (knocker_value){.type = KNOCKER_INTEGER, .integer = v};
}

knocker_value value_text(knocker_bytes text)
{
	return (knocker_value){.type = text.data ? KNOCKER_TEXT : KNOCKER_NULL, .bytes = text};
}

knocker_value value_blob(knocker_bytes blob)
{
	return (knocker_value){.type = blob.data ? KNOCKER_BLOB : KNOCKER_NULL, .bytes = blob};
}

knocker_value value_null(void)
{
	return (knocker_value){.type = KNOCKER_NULL};
}

int32_t rows_column(knocker_rows *rows, const char *name, knocker_error *error)
{
	knocker_bytes copy;

	if (rows->columns == ROWS_COLUMNS)
		return fail(error, KNOCKER_INVALID_ARGUMENT, "the result has over %d columns",
		            ROWS_COLUMNS);
	if (!arena_copy(&rows->memory, bytes_of(name ? name : ""), &copy))
		return fail_memory(error);
	rows->names[rows->columns++] = copy.data;
	return 0;
}

static int32_t rows_columns(knocker_rows *rows, const char *names, knocker_error *error)
{
	knocker_bytes copy;
	char *at;

	if (!arena_copy(&rows->memory, bytes_of(names), &copy))
		return fail_memory(error);
	for (at = (char *)(uintptr_t)copy.data; *at;) {
		rows->names[rows->columns++] = at;
		while (*at && *at != ',')
			at++;
		while (*at == ',' || *at == ' ')
			*at++ = '\0';
	}
	return 0;
}

int32_t rows_new(const char *names, knocker_rows **out, knocker_error *error)
{
	knocker_rows *rows = memory_get(sizeof *rows);
	int32_t rc;

	*out = NULL;
	if (!rows)
		return fail_memory(error);
	memset(rows, 0, sizeof *rows);
	rc = rows_columns(rows, names, error);
	if (rc < 0) {
		knocker_rows_free(rows);
		return rc;
	}
	*out = rows;
	return 0;
}

static bool rows_value_copy(knocker_rows *rows, const knocker_value *from, knocker_value *to)
{
	*to = *from;
	if (from->type != KNOCKER_TEXT && from->type != KNOCKER_BLOB)
		return true;
	rows->bytes += from->bytes.len;
	return arena_copy(&rows->memory, from->bytes, &to->bytes);
}

int32_t rows_add(knocker_rows *rows, const knocker_value *values, knocker_error *error)
{
	rows_row *row = arena_get(&rows->memory, sizeof *row + (size_t)rows->columns * sizeof *values);
	int32_t i;

	if (!row)
		return fail_memory(error);
	for (i = 0; i < rows->columns; i++)
		if (!rows_value_copy(rows, &values[i], &row->values[i]))
			return fail_memory(error);
	if (rows->last)
		rows->last->next = row;
	else
		rows->first = row;
	rows->last = row;
	rows->count++;
	return 0;
}

int32_t rows_or_none(int32_t rc, knocker_rows **rows)
{
	if (rc < 0) {
		knocker_rows_free(*rows);
		*rows = NULL;
	}
	return rc;
}

int64_t rows_count(const knocker_rows *rows)
{
	return rows->count;
}

int64_t rows_bytes(const knocker_rows *rows)
{
	return rows->bytes;
}

int32_t knocker_rows_next(knocker_rows *rows)
{
	if (!rows)
		return 1;
	rows->current = rows->begun ? rows->current ? rows->current->next : NULL : rows->first;
	rows->begun = true;
	return rows->current ? 0 : 1;
}

int32_t knocker_rows_columns(const knocker_rows *rows)
{
	return rows ? rows->columns : 0;
}

const char *knocker_rows_name(const knocker_rows *rows, int32_t column)
{
	return rows && column >= 0 && column < rows->columns ? rows->names[column] : NULL;
}

int32_t knocker_rows_find(const knocker_rows *rows, const char *name)
{
	int32_t i;

	for (i = 0; rows && name && i < rows->columns; i++)
		if (strcmp(rows->names[i], name) == 0)
			return i;
	return -1;
}

int32_t knocker_rows_value(const knocker_rows *rows, int32_t column, knocker_value *out)
{
	if (!rows || !rows->current || column < 0 || column >= rows->columns) {
		*out = value_null();
		return KNOCKER_INVALID_ARGUMENT;
	}
	*out = rows->current->values[column];
	return 0;
}

void knocker_rows_free(knocker_rows *rows)
{
	if (!rows)
		return;
	arena_free(&rows->memory);
	memory_free(rows);
}
