/* Rows on paper: every list and every record of the command line is written here, once as a table
 * that fits the terminal and once as JSON, one object a line. Knows rows and columns; knows no
 * command. */
#ifndef PRINT_H
#define PRINT_H

#include "app.h"

typedef enum {
	SHOW_TEXT,  /* cut with an ellipsis where the terminal is narrow */
	SHOW_SCOPE, /* an endpoint's name; null: all of them */
	SHOW_PLAIN, /* ids, counts: never cut */
	SHOW_TIME,  /* Unix seconds as a date, UTC */
	SHOW_STATUS,
	SHOW_SIGNATURE, /* 1 valid, 0 invalid, null unchecked */
	SHOW_YES        /* 1 yes, 0 no */
} show;

/* Where the terminal is too narrow. Of either kind the last is left out first. */
typedef enum {
	KEEP,
	WANTED, /* left out only where nothing else helps */
	SPARE   /* left out before a text is cut short */
} need;

typedef struct {
	const char *name; /* the rows' column; "a|b": a, and where that is null b */
	const char *heading;
	show how;
	need need;
} column;

#define COUNT(array) ((int32_t)(sizeof(array) / sizeof((array)[0])))

/* Prints all rows that are left as a table, and frees nothing. `last_id`, unless NULL, receives the
 * last row's id. Gives the count. */
int64_t print_table(knocker_rows *rows, const column *columns, int32_t count, int64_t *last_id);
/* The same of rows whose name, title or kind has the word in it, in any case; NULL: of all. */
int64_t print_table_with(knocker_rows *rows, const column *columns, int32_t count, int64_t *last_id,
                         const char *word);
int64_t print_json_lines_with(knocker_rows *rows, bool bodies, const char *word);
bool print_next_with(knocker_rows *rows, const char *word);
/* The current row, one "heading  value" a line; null and empty members are left out. */
void print_record(const knocker_rows *rows, const column *columns, int32_t count);
/* All rows that are left, one JSON object a line each. */
int64_t print_json_lines(knocker_rows *rows, bool bodies);
/* The current row as a JSON object: "headers_json" becomes the member "headers", bytes that are no
 * text "..._base64". */
void print_json_row(text *out, const knocker_rows *rows, bool bodies);
void print_line(text *t); /* writes it with a line feed, and frees it */

/* Of the current row; null where there is no such column. */
knocker_value print_value(const knocker_rows *rows, const char *name);
void print_shown(text *out, knocker_value value, show how); /* as people read it */
void print_span(text *out, int64_t seconds);                /* 90d, 3h 20m, 45s */
void print_bytes(text *out, int64_t bytes);                 /* 1.4 GiB */
int print_columns(const char *shown);                       /* of a terminal */
/* How to begin and to end what is coloured; "" off a terminal and where there is no colour. */
const char *print_colour(show how, const char *shown);
const char *print_plain(void);
void print_heading(const char *heading);

/* A body for people: JSON indented, text as it is, bytes as a dump, each cut after `limit`. */
void print_body(const void *data, size_t len, size_t limit);
void print_json_block(const void *data, size_t len); /* JSON of ours, indented */

#endif
