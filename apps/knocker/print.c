/* Rows as people read them. Knows rows and columns; knows no command and no statement. */
#include "print.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

#define WIDTH_ELSEWHERE 100 /* columns, where the output is no terminal */
#define WIDTH_GOOD 16 /* a cut text keeps so many while there is a spare column to leave out, */
#define WIDTH_LEAST 8 /* and so many always */
#define COLUMNS_MAX 16

typedef struct {
	char *shown;
	int columns; /* of the terminal */
} cell;

typedef struct {
	cell *cells;
	size_t count, room;
	int widths[COLUMNS_MAX];
	int32_t columns;
} grid;

static bool print_is_terminal(void)
{
	const char *kind = getenv("TERM");

	return isatty(STDOUT_FILENO) == 1 && getenv("NO_COLOR") == NULL && kind != NULL &&
	       strcmp(kind, "dumb") != 0;
}

static int print_width(void)
{
	struct winsize size = {0};

	if (isatty(STDOUT_FILENO) == 1 && ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 &&
	    size.ws_col > 0)
		return size.ws_col;
	return WIDTH_ELSEWHERE;
}

const char *print_colour(show how, const char *shown)
{
	static const struct {
		show how;
		const char *word, *colour;
	} colours[] = {
		{SHOW_STATUS, "handled", "\033[32m"},    {SHOW_STATUS, "failed", "\033[33m"},
		{SHOW_STATUS, "dead", "\033[31m"},       {SHOW_STATUS, "ignored", "\033[2m"},
		{SHOW_STATUS, "processing", "\033[36m"}, {SHOW_SIGNATURE, "invalid", "\033[31m"},
		{SHOW_SIGNATURE, "valid", "\033[32m"},   {SHOW_SIGNATURE, "unchecked", "\033[33m"},
	};
	size_t i;

	for (i = 0; i < sizeof colours / sizeof colours[0] && print_is_terminal(); i++) {
		if (colours[i].how == how && strcmp(colours[i].word, shown) == 0)
			return colours[i].colour;
	}
	return "";
}

const char *print_plain(void)
{
	return print_is_terminal() ? "\033[0m" : "";
}

void print_heading(const char *heading)
{
	printf("%s%s%s\n", print_is_terminal() ? "\033[1m" : "", heading, print_plain());
}

void print_line(text *t)
{
	text_puts(t, "\n");
	fwrite(t->data, 1, t->len, stdout);
	text_free(t);
}

knocker_value print_value(const knocker_rows *rows, const char *name)
{
	knocker_value value = {0};
	int32_t at = knocker_rows_find(rows, name);

	if (at >= 0)
		knocker_rows_value(rows, at, &value);
	return value;
}

/* The value of a column, of whose names, "a|b", the first that is not null counts. */
static knocker_value column_value(const knocker_rows *rows, const column *c)
{
	const char *bar = strchr(c->name, '|');
	knocker_value value;
	char first[64];

	if (bar == NULL)
		return print_value(rows, c->name);
	snprintf(first, sizeof first, "%.*s", (int)(bar - c->name), c->name);
	value = print_value(rows, first);
	return value.type == KNOCKER_NULL ? print_value(rows, bar + 1) : value;
}

static void shown_time(text *out, int64_t seconds)
{
	time_t when = (time_t)seconds;
	struct tm parts;
	char line[40];

	if (gmtime_r(&when, &parts) != NULL &&
	    strftime(line, sizeof line, "%Y-%m-%d %H:%M:%SZ", &parts) > 0)
		text_puts(out, line);
	else
		text_print(out, "%lld", (long long)seconds);
}

void print_span(text *out, int64_t seconds)
{
	static const struct {
		int64_t seconds;
		char unit;
	} units[] = {{86400, 'd'}, {3600, 'h'}, {60, 'm'}, {1, 's'}};
	size_t i = 0;

	while (i < 3 && seconds < units[i].seconds)
		i++;
	text_print(out, "%lld%c", (long long)(seconds / units[i].seconds), units[i].unit);
	seconds %= units[i].seconds;
	if (i < 3 && seconds / units[i + 1].seconds > 0)
		text_print(out, " %lld%c", (long long)(seconds / units[i + 1].seconds), units[i + 1].unit);
}

void print_bytes(text *out, int64_t bytes)
{
	static const char *const units[] = {"bytes", "KiB", "MiB", "GiB", "TiB"};
	double amount = (double)bytes;
	size_t i = 0;

	for (; amount >= 1024 && i < 4; i++)
		amount /= 1024;
	text_print(out, i == 0 ? "%.0f %s" : "%.1f %s", amount, units[i]);
}

void print_shown(text *out, knocker_value value, show how)
{
	if (how == SHOW_SIGNATURE) {
		text_puts(out, value.type == KNOCKER_NULL ? "unchecked"
		               : value.integer == 1       ? "valid"
		                                          : "invalid");
		return;
	}
	switch (value.type) {
	case KNOCKER_INTEGER:
		if (how == SHOW_TIME)
			shown_time(out, value.integer);
		else if (how == SHOW_YES)
			text_puts(out, value.integer != 0 ? "yes" : "no");
		else
			text_print(out, "%lld", (long long)value.integer);
		break;
	case KNOCKER_REAL:
		text_print(out, "%g", value.real);
		break;
	case KNOCKER_TEXT:
	case KNOCKER_BLOB:
		text_show(out, value.bytes.data, (size_t)value.bytes.len, false);
		break;
	default: /* KNOCKER_NULL */
		text_puts(out, how == SHOW_SCOPE ? "all" : "-");
		break;
	}
}

int print_columns(const char *shown)
{
	const unsigned char *at = (const unsigned char *)shown;
	size_t left = strlen(shown), size;
	uint32_t c = 0;
	int columns = 0;

	while (left > 0 && (size = utf8_next(at, left, &c)) > 0) {
		columns += utf8_columns(c);
		at += size;
		left -= size;
	}
	return columns;
}

/* Pads the cell to `width` columns, or cuts it there. */
static void cell_add(text *line, const cell *c, int width, bool pad)
{
	const unsigned char *at = (const unsigned char *)c->shown;
	size_t left = strlen(c->shown), size;
	uint32_t character = 0;
	int used = 0, room = c->columns > width ? width - 1 : width;

	while (left > 0 && (size = utf8_next(at, left, &character)) > 0 &&
	       used + utf8_columns(character) <= room) {
		text_add(line, at, size);
		used += utf8_columns(character);
		at += size;
		left -= size;
	}
	if (c->columns > width) {
		text_puts(line, "\xe2\x80\xa6");
		used++;
	}
	for (; pad && used < width; used++)
		text_puts(line, " ");
}

static void grid_add(grid *g, knocker_value value, show how)
{
	int32_t at = (int32_t)(g->count % (size_t)g->columns);
	text shown = {0};

	if (g->count == g->room) {
		cell *larger = memory_new((g->room * 2 + 64) * sizeof *larger);

		if (g->count > 0)
			memcpy(larger, g->cells, g->count * sizeof *larger);
		free(g->cells);
		g->cells = larger;
		g->room = g->room * 2 + 64;
	}
	print_shown(&shown, value, how);
	if (shown.data == NULL)
		text_puts(&shown, "");
	g->cells[g->count].shown = shown.data;
	g->cells[g->count].columns = print_columns(shown.data);
	if (g->cells[g->count].columns > g->widths[at])
		g->widths[at] = g->cells[g->count].columns;
	g->count++;
}

static void grid_free(grid *g)
{
	size_t i;

	for (i = 0; i < g->count; i++)
		free(g->cells[i].shown);
	free(g->cells);
}

static bool column_is_shown(const grid *g, int32_t at)
{
	return g->widths[at] >= 0;
}

/* Columns of the terminal that it takes when each text is cut to `most`. */
static int grid_width(const grid *g, const column *columns, int most)
{
	int sum = -2;
	int32_t i;

	for (i = 0; i < g->columns; i++) {
		bool cut = columns[i].how == SHOW_TEXT && g->widths[i] > most;

		if (column_is_shown(g, i))
			sum += (cut ? most : g->widths[i]) + 2;
	}
	return sum;
}

/* Leaves out columns of this kind, the last first, until texts of `most` would fit. */
static void grid_leave_out(grid *g, const column *columns, need which, int most)
{
	int32_t i;

	for (i = g->columns - 1; i >= 0 && grid_width(g, columns, most) > print_width(); i--) {
		if (columns[i].need == which)
			g->widths[i] = -1;
	}
}

/* Few columns that can be read are worth more than all of them in pieces. */
static void grid_fit(grid *g, const column *columns)
{
	int32_t i;
	int most;

	grid_leave_out(g, columns, SPARE, WIDTH_GOOD);
	grid_leave_out(g, columns, WANTED, WIDTH_LEAST);
	for (most = print_width(); most > WIDTH_LEAST && grid_width(g, columns, most) > print_width();)
		most--;
	for (i = 0; i < g->columns; i++) {
		if (columns[i].how == SHOW_TEXT && g->widths[i] > most)
			g->widths[i] = most;
	}
}

/* One line: the n-th cell of `cells` under the n-th column, coloured where its column is. */
static void grid_line(text *line, const grid *g, const column *columns, const cell *cells,
                      bool heading)
{
	int32_t at, last = g->columns - 1;

	while (last > 0 && !column_is_shown(g, last))
		last--;
	for (at = 0; at <= last; at++) {
		const char *colour = heading ? "" : print_colour(columns[at].how, cells[at].shown);

		if (!column_is_shown(g, at))
			continue;
		text_puts(line, colour);
		cell_add(line, &cells[at], g->widths[at], at < last);
		text_puts(line, *colour != '\0' ? print_plain() : "");
		text_puts(line, at < last ? "  " : "");
	}
}

static void grid_print(const grid *g, const column *columns)
{
	cell headings[COLUMNS_MAX];
	text line = {0};
	size_t i;
	int32_t at;

	for (at = 0; at < g->columns; at++) {
		headings[at].shown = (char *)(uintptr_t)columns[at].heading;
		headings[at].columns = print_columns(columns[at].heading);
	}
	grid_line(&line, g, columns, headings, true);
	print_heading(line.data);
	text_free(&line);
	for (i = 0; i < g->count; i += (size_t)g->columns) {
		grid_line(&line, g, columns, g->cells + i, false);
		print_line(&line);
	}
}

bool print_next_with(knocker_rows *rows, const char *word)
{
	static const char *const names[] = {"name", "title", "kind"};
	int32_t i;

	while (knocker_rows_next(rows) == 0) {
		if (word == NULL)
			return true;
		for (i = 0; i < COUNT(names); i++) {
			knocker_value value = print_value(rows, names[i]);

			if (value.type == KNOCKER_TEXT && strcasestr(value.bytes.data, word) != NULL)
				return true;
		}
	}
	return false;
}

int64_t print_table(knocker_rows *rows, const column *columns, int32_t count, int64_t *last_id)
{
	return print_table_with(rows, columns, count, last_id, NULL);
}

int64_t print_table_with(knocker_rows *rows, const column *columns, int32_t count, int64_t *last_id,
                         const char *word)
{
	grid g = {.columns = count};
	int64_t rows_count = 0;
	int32_t i;

	for (i = 0; i < count; i++)
		g.widths[i] = print_columns(columns[i].heading);
	for (; print_next_with(rows, word); rows_count++) {
		for (i = 0; i < count; i++)
			grid_add(&g, column_value(rows, &columns[i]), columns[i].how);
		if (last_id != NULL)
			*last_id = print_value(rows, "id").integer;
	}
	grid_fit(&g, columns);
	if (rows_count > 0)
		grid_print(&g, columns);
	grid_free(&g);
	return rows_count;
}

/* How long ago a moment was, or how far away it is, as a person would say it. */
static void record_age(text *out, int64_t seconds)
{
	int64_t age = (int64_t)time(NULL) - seconds;

	text_puts(out, age < 0 ? " (in " : " (");
	print_span(out, age < 0 ? -age : age);
	text_puts(out, age < 0 ? ")" : " ago)");
}

void print_record(const knocker_rows *rows, const column *columns, int32_t count)
{
	int32_t i;

	for (i = 0; i < count; i++) {
		knocker_value value = print_value(rows, columns[i].name);
		text shown = {0};

		if (value.type == KNOCKER_NULL && columns[i].how != SHOW_SIGNATURE)
			continue;
		print_shown(&shown, value, columns[i].how);
		if (value.type == KNOCKER_INTEGER && columns[i].how == SHOW_TIME)
			record_age(&shown, value.integer);
		if (shown.len > 0)
			printf("  %-12s %s%s%s\n", columns[i].heading, print_colour(columns[i].how, shown.data),
			       shown.data,
			       *print_colour(columns[i].how, shown.data) != '\0' ? print_plain() : "");
		text_free(&shown);
	}
}
