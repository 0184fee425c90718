/* The command tail: deliveries as they come in, oldest first, without end. Owns the waiting and the
 * layout of a line; what a delivery is, the library says. */
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "commands.h"
#include "database.h"
#include "print.h"

#define TAIL_LAST 10
#define TAIL_PAGE 1000
#define TAIL_LOOK_MS 200 /* commits without our functions ring no bell */
#define TAIL_REST_MS 20  /* under a flood the looks come no closer */
#define TAIL_ENDPOINT 24 /* columns at most; what is wider pushes the rest of its line */
#define TAIL_TYPE 32
#define TAIL_TYPE_LEAST 16

#define TAIL_COLUMNS                                                                       \
	"select id, event_id, endpoint, event_type, provider_event_id, provider_delivery_id, " \
	"dedupe_key, method, headers_json, query_json, received_at, signature_valid, "         \
	"signature_error from knocker_deliveries "

typedef struct {
	const options *o;
	knocker *k;
	int64_t last_id;
	int endpoint_columns, type_columns; /* grow with what was seen */
} follower;

static volatile sig_atomic_t tail_stopped;

static void tail_stop(int number)
{
	(void)number;
	tail_stopped = 1;
}

static knocker_value tail_text(const char *words)
{
	return (knocker_value){.type = words != NULL ? KNOCKER_TEXT : KNOCKER_NULL,
	                       .bytes = bytes_of(words)};
}

static knocker_value tail_number(int64_t number)
{
	return (knocker_value){.type = KNOCKER_INTEGER, .integer = number};
}

static void tail_cell(text *line, knocker_value value, int *columns, int most)
{
	text shown = {0};
	int width;

	print_shown(&shown, value, SHOW_TEXT);
	width = print_columns(shown.data);
	if (width > *columns && *columns < most)
		*columns = width < most ? width : most;
	text_add(line, shown.data, shown.len);
	for (; width < *columns + 2; width++)
		text_puts(line, " ");
	text_free(&shown);
}

/* What became of it. */
static void tail_fate(text *line, const knocker_rows *rows)
{
	knocker_value event = print_value(rows, "event_id"), id = print_value(rows, "id");
	knocker_value valid = print_value(rows, "signature_valid");

	if (event.type == KNOCKER_NULL) {
		text_puts(line, print_colour(SHOW_SIGNATURE, "invalid"));
		print_shown(line, print_value(rows, "signature_error"), SHOW_TEXT);
		text_puts(line, print_plain());
	} else if (event.integer != id.integer) {
		text_print(line, "event %lld again", (long long)event.integer);
	} else {
		text_puts(line, print_colour(SHOW_SIGNATURE, valid.integer == 1 ? "valid" : "unchecked"));
		text_puts(line, valid.integer == 1 ? "new event" : "new event, unchecked");
		text_puts(line, print_plain());
	}
}

static void tail_print(follower *f, const knocker_rows *rows)
{
	text line = {0};

	if (f->o->json == 1) {
		print_json_row(&line, rows, false);
		print_line(&line);
		return;
	}
	print_shown(&line, print_value(rows, "received_at"), SHOW_TIME);
	text_print(&line, "  %lld  ", (long long)print_value(rows, "id").integer);
	tail_cell(&line, print_value(rows, "endpoint"), &f->endpoint_columns, TAIL_ENDPOINT);
	tail_cell(&line, print_value(rows, "event_type"), &f->type_columns, TAIL_TYPE);
	tail_fate(&line, rows);
	print_line(&line);
}

static int32_t tail_select(const follower *f, const char *sql, const knocker_value *values,
                           int32_t count, knocker_rows **rows, knocker_error *error)
{
	*rows = NULL;
	return knocker_read(f->k, bytes_of(sql), values, count, rows, error);
}

/* The newest delivery's id; 0: there is none. */
static int32_t tail_newest(const follower *f, int64_t *id, knocker_error *error)
{
	knocker_rows *rows;
	int32_t rc = tail_select(f, "select id from knocker_deliveries order by id desc limit 1", NULL,
	                         0, &rows, error);

	*id = rc == 0 && knocker_rows_next(rows) == 0 ? print_value(rows, "id").integer : 0;
	knocker_rows_free(rows);
	return rc;
}

/* Prints what came after the last one seen, page by page until there is no more. What the filters
 * leave out is passed for good: it is not walked again at the next look. */
static int tail_look(follower *f)
{
	static const char sql[] = TAIL_COLUMNS
		"where id > ?1 and id <= ?7 and (?2 is null or endpoint = ?2) "
		"and (?3 is null or event_type = ?3) and (?4 = 0 or event_id is null) "
		"and (?5 = 0 or signature_valid is not 1) order by id limit ?6";
	int64_t count = TAIL_PAGE, newest;
	knocker_error error = {0};

	if (tail_newest(f, &newest, &error) < 0)
		return complain_error(&error);
	while (count == TAIL_PAGE && !tail_stopped && ferror(stdout) == 0) {
		const knocker_value values[] = {tail_number(f->last_id),    tail_text(f->o->endpoint),
		                                tail_text(f->o->type),      tail_number(f->o->orphaned),
		                                tail_number(f->o->invalid), tail_number(TAIL_PAGE),
		                                tail_number(newest)};
		knocker_rows *rows;

		if (tail_select(f, sql, values, COUNT(values), &rows, &error) < 0)
			return complain_error(&error);
		for (count = 0; knocker_rows_next(rows) == 0; count++) {
			f->last_id = print_value(rows, "id").integer;
			tail_print(f, rows);
		}
		knocker_rows_free(rows);
		fflush(stdout);
	}
	if (count < TAIL_PAGE && newest > f->last_id)
		f->last_id = newest;
	return EXIT_DONE;
}

/* The last N, which a list gives newest first. */
static int tail_begin_last(follower *f)
{
	static const char sql[] = TAIL_COLUMNS "where id = ?1";
	knocker_filter filter = {.size = sizeof filter,
	                         .kind = KNOCKER_DELIVERY,
	                         .limit = f->o->limit > 0 ? f->o->limit : TAIL_LAST,
	                         .endpoint = bytes_of(f->o->endpoint),
	                         .event_type = bytes_of(f->o->type),
	                         .orphaned = f->o->orphaned,
	                         .signature_valid = f->o->invalid == 1 ? 2 : 0,
	                         .without_body = 1};
	int64_t ids[TAIL_PAGE];
	knocker_error error = {0};
	knocker_rows *rows = NULL;
	size_t count = 0;

	if (tail_newest(f, &f->last_id, &error) < 0)
		return complain_error(&error);
	filter.before_id = f->last_id + 1;
	if (knocker_list(f->k, &filter, &rows, &error) < 0)
		return complain_error(&error);
	while (knocker_rows_next(rows) == 0 && count < TAIL_PAGE)
		ids[count++] = print_value(rows, "id").integer;
	knocker_rows_free(rows);
	while (count > 0) {
		knocker_value id = tail_number(ids[--count]);

		if (tail_select(f, sql, &id, 1, &rows, &error) < 0)
			return complain_error(&error);
		if (knocker_rows_next(rows) == 0) /* it may have been pruned since */
			tail_print(f, rows);
		knocker_rows_free(rows);
	}
	return EXIT_DONE;
}

/* All since a time: the first look prints them. Ids and times grow together, so the first one is
 * found by halving. */
static int tail_begin_since(follower *f)
{
	static const char sql[] =
		"select received_at from knocker_deliveries where id >= ?1 order by id limit 1";
	int64_t low = 1, high, middle;
	knocker_error error = {0};
	knocker_rows *rows;

	if (tail_newest(f, &high, &error) < 0)
		return complain_error(&error);
	for (high++; low < high;) {
		knocker_value id = tail_number(middle = low + (high - low) / 2);

		if (tail_select(f, sql, &id, 1, &rows, &error) < 0)
			return complain_error(&error);
		if (knocker_rows_next(rows) != 0 ||
		    print_value(rows, "received_at").integer >= f->o->since_s)
			high = middle;
		else
			low = middle + 1;
		knocker_rows_free(rows);
	}
	f->last_id = low - 1;
	return EXIT_DONE;
}

/* Sleeps until something may have come; false when whoever reads the output has gone. */
static bool tail_wait(const follower *f, int fd)
{
	const struct timespec rest = {.tv_nsec = TAIL_REST_MS * 1000000L};
	const knocker_claim_options any = {.size = sizeof any, .worker_id = bytes_of("knocker tail")};
	struct pollfd fds[2] = {{.fd = fd, .events = POLLIN}, {.fd = STDOUT_FILENO}};

	nanosleep(&rest, NULL);
	if (poll(fds, 2, TAIL_LOOK_MS) < 0)
		return true; /* a signal */
	if ((fds[0].revents & POLLIN) != 0)
		knocker_wait(f->k, &any, 0, NULL); /* so that the descriptor is quiet again */
	return (fds[1].revents & (POLLERR | POLLHUP)) == 0;
}

/* Lines come one by one, so that their columns are made as wide as what may come. */
static int tail_widths(follower *f)
{
	static const char sql[] =
		"select max(length(name)) as width from knocker_endpoints where ?1 is null or name = ?1";
	const knocker_value endpoint = tail_text(f->o->endpoint);
	knocker_error error = {0};
	knocker_rows *rows;
	knocker_value width;

	if (tail_select(f, sql, &endpoint, 1, &rows, &error) < 0)
		return complain_error(&error);
	knocker_rows_next(rows);
	width = print_value(rows, "width");
	knocker_rows_free(rows);
	if (width.type == KNOCKER_NULL && f->o->endpoint != NULL)
		return complain(EXIT_MISSING, "no endpoint is named '%.200s'", f->o->endpoint);
	f->endpoint_columns = width.integer < TAIL_ENDPOINT ? (int)width.integer : TAIL_ENDPOINT;
	f->type_columns = TAIL_TYPE_LEAST;
	return EXIT_DONE;
}

static int tail_follow(follower *f)
{
	int code;
	int32_t fd = -1;

	code = tail_widths(f);
	if (code == EXIT_DONE)
		code = f->o->since_s > 0 ? tail_begin_since(f) : tail_begin_last(f);
	if (knocker_wait_fd(f->k, &fd, NULL) < 0)
		fd = -1; /* the looks suffice */
	fflush(stdout);
	while (code == EXIT_DONE && !tail_stopped && ferror(stdout) == 0) {
		code = tail_look(f);
		if (code == EXIT_DONE && !tail_stopped && !tail_wait(f, fd))
			break;
	}
	return code;
}

int tail_run(const options *o)
{
	struct sigaction stop = {.sa_handler = tail_stop};
	follower f = {.o = o};
	int code = database_open(o, &f.k);

	if (code != EXIT_DONE)
		return code;
	sigaction(SIGINT, &stop, NULL);
	sigaction(SIGTERM, &stop, NULL);
	return database_close(f.k, tail_follow(&f));
}
