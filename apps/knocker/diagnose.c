/* Prints what would have made a request valid, after a verdict of verify or of a stored delivery.
 * Which mistakes there are is the library's to know. */
#include "diagnose.h"

#include <string.h>

#include "commands.h"
#include "database.h"
#include "print.h"

static void cause_print(const knocker_rows *rows)
{
	knocker_value cause = print_value(rows, "cause");
	text line = {0};

	text_puts(&line,
	          print_colour(SHOW_SIGNATURE, cause.type == KNOCKER_NULL ? "invalid" : "valid"));
	if (cause.type == KNOCKER_NULL)
		text_puts(&line, "no cause");
	else
		print_shown(&line, cause, SHOW_TEXT);
	text_puts(&line, print_plain());
	text_puts(&line, ": ");
	print_shown(&line, print_value(rows, "sentence"), SHOW_TEXT);
	print_line(&line);
}

/* Takes the object's last brace off, and puts it after the causes. */
static void causes_json(knocker_rows *rows, text *line)
{
	const char *comma = "";

	if (line->len > 0)
		line->len--;
	text_puts(line, ",\"causes\":[");
	while (knocker_rows_next(rows) == 0) {
		text_puts(line, comma);
		print_json_row(line, rows, true);
		comma = ",";
	}
	text_puts(line, "]}");
}

int diagnose_refused(const options *o, const signed_request *r, text *line)
{
	knocker_rows *rows = NULL;
	knocker_error error = {0};
	knocker_bytes others = {r->others_json.data, (int64_t)r->others_json.len};

	if (knocker_diagnose(&r->request, others, r->now_ms, &rows, &error) < 0)
		return complain_error(&error);
	if (o->json == 1) {
		causes_json(rows, line);
	} else {
		while (knocker_rows_next(rows) == 0)
			cause_print(rows);
	}
	knocker_rows_free(rows);
	return EXIT_DONE;
}

static bool cause_is(knocker_value cause, const char *word)
{
	return (size_t)cause.bytes.len == strlen(word) &&
	       memcmp(cause.bytes.data, word, strlen(word)) == 0;
}

/* Whether a cause was found: what could not be tried is none. */
static bool cause_named(const knocker_rows *rows)
{
	knocker_value cause = print_value(rows, "cause");

	return cause.type != KNOCKER_NULL && !cause_is(cause, "no_body") &&
	       !cause_is(cause, "redacted");
}

int diagnose_delivery(const options *o)
{
	signed_request r = {0};
	knocker *k = NULL;
	knocker_rows *rows = NULL;
	knocker_error error = {0};
	bool found = false;
	int code = request_begin(o, &r);

	if (code == EXIT_DONE)
		code = database_open(o, &k);
	if (code == EXIT_DONE &&
	    knocker_diagnose_delivery(k, o->delivery, &r.request,
	                              (knocker_bytes){r.others_json.data, (int64_t)r.others_json.len},
	                              &rows, &error) < 0)
		code = complain_error(&error);
	while (code == EXIT_DONE && knocker_rows_next(rows) == 0) {
		text line = {0};

		found = cause_named(rows) || found;
		if (o->json == 1) {
			print_json_row(&line, rows, true);
			print_line(&line);
		} else {
			cause_print(rows);
		}
	}
	knocker_rows_free(rows);
	request_end(&r);
	return k == NULL ? code : database_close(k, code == EXIT_DONE && !found ? EXIT_NO : code);
}
