/* A finished result in memory: named columns, rows of values. Knows nothing of where they came
 * from. */
#ifndef KNOCKER_ROWS_H
#define KNOCKER_ROWS_H

#include "bytes.h"

/* `names` is a list "a, b, c" that outlives the rows. `*out` is freed with knocker_rows_free. */
int32_t rows_new(const char *names, knocker_rows **out, knocker_error *error);
/* Columns one by one, for results whose names are found at run time; before the first row. */
int32_t rows_column(knocker_rows *rows, const char *name, knocker_error *error);
/* Copies one row of as many values as there are columns. */
int32_t rows_add(knocker_rows *rows, const knocker_value *values, knocker_error *error);
/* After a failure there are no rows: frees them where `rc` is negative, and gives `rc`. */
int32_t rows_or_none(int32_t rc, knocker_rows **rows);
int64_t rows_count(const knocker_rows *rows);
int64_t rows_bytes(const knocker_rows *rows); /* of the texts and blobs it holds */

knocker_value value_int(int64_t v);
knocker_value value_text(knocker_bytes text); /* absent: null */
knocker_value value_blob(knocker_bytes blob); /* absent: null */
knocker_value value_null(void);

/* The arguments of a statement or a row: two C arguments, the values and their count. */
#define VALUES(...)                       \
	(const knocker_value[]){__VA_ARGS__}, \
		(int32_t)(sizeof((const knocker_value[]){__VA_ARGS__}) / sizeof(knocker_value))
#define NO_VALUES NULL, 0
#define INT(v) value_int(v)
#define INT_OR_NULL(v) ((v) > 0 ? value_int(v) : value_null())
#define TEXT(b) value_text(b)
#define BLOB(b) value_blob(b)
#define NONE value_null()

#endif
