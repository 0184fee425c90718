/* The commands verify and sign, and how a request's header lines are made. Whether a signature is
 * right is the library's to say. */
#include <stdio.h>
#include <string.h>

#include "commands.h"
#include "diagnose.h"
#include "print.h"

static const column verdict_record[] = {
	{"event_type", "type", SHOW_TEXT, KEEP},
	{"provider_event_id", "event id", SHOW_TEXT, KEEP},
	{"provider_delivery_id", "delivery id", SHOW_TEXT, KEEP},
	{"dedupe_key", "dedupe key", SHOW_TEXT, KEEP},
	{"response_status", "answered", SHOW_PLAIN, KEEP},
	{"response_body", "with", SHOW_TEXT, KEEP},
};

/* A handshake is answered and is no event: it counts as accepted, though nothing was signed
 * perhaps. */
static int verdict_print(const options *o, const signed_request *r, knocker_rows *rows)
{
	bool valid = print_value(rows, "valid").integer == 1;
	int64_t status = print_value(rows, "response_status").integer;
	bool accepted = valid || (status >= 200 && status < 300);
	text line = {0};
	int code = EXIT_DONE;

	if (o->json == 1) {
		print_json_row(&line, rows, true);
		if (!accepted)
			code = diagnose_refused(o, r, &line);
		print_line(&line);
	} else {
		text_puts(&line, print_colour(SHOW_SIGNATURE, accepted ? "valid" : "invalid"));
		text_puts(&line, valid ? "valid" : accepted ? "answered: " : "not valid: ");
		if (!valid)
			print_shown(&line, print_value(rows, "error"), SHOW_TEXT);
		text_puts(&line, print_plain());
		print_line(&line);
		print_record(rows, verdict_record, COUNT(verdict_record));
		if (!accepted)
			code = diagnose_refused(o, r, NULL);
	}
	return accepted ? EXIT_DONE : code == EXIT_DONE ? EXIT_NO : code;
}

int request_verify(const options *o)
{
	signed_request r = {0};
	knocker_rows *rows = NULL;
	knocker_error error = {0};
	int code = request_begin(o, &r);

	if (code == EXIT_DONE && knocker_verify(&r.request, r.now_ms, &rows, &error) < 0)
		code = complain_error(&error);
	else if (code == EXIT_DONE && knocker_rows_next(rows) == 0)
		code = verdict_print(o, &r, rows);
	knocker_rows_free(rows);
	request_end(&r);
	return code;
}

/* Prints one header; a value that is a secret itself is kept back. */
static bool sign_print(const options *o, const signed_request *r, const knocker_rows *rows)
{
	knocker_value name = print_value(rows, "name"), value = print_value(rows, "value");
	text line = {0}, shown = {0};
	bool concealed = request_conceal(r, value.bytes.data, (size_t)value.bytes.len, &shown);

	if (o->json == 1) {
		text_puts(&line, "{\"name\":");
		text_json(&line, name.bytes.data, (size_t)name.bytes.len);
		text_puts(&line, ",\"value\":");
		text_json(&line, shown.data, shown.len);
		text_puts(&line, "}");
	} else {
		text_add(&line, name.bytes.data, (size_t)name.bytes.len);
		text_puts(&line, ": ");
		text_add(&line, shown.data, shown.len);
	}
	print_line(&line);
	text_free(&shown);
	return concealed;
}

int request_sign(const options *o)
{
	signed_request r = {0};
	knocker_rows *rows = NULL;
	knocker_error error = {0};
	bool concealed = false;
	int code = request_begin(o, &r);

	if (code == EXIT_DONE && knocker_sign(&r.request, r.now_ms, &rows, &error) < 0)
		code = complain_error(&error);
	while (code == EXIT_DONE && knocker_rows_next(rows) == 0)
		concealed = sign_print(o, &r, rows) || concealed;
	if (concealed)
		fprintf(stderr,
		        "knocker: what it sends is the secret, which is not printed; see knocker send\n");
	knocker_rows_free(rows);
	request_end(&r);
	return code;
}

/* Changes one character inside the signature, which is the longest value that signing adds: it
 * keeps its form and is wrong. */
static void forge_lines(text *lines, size_t at, size_t len)
{
	char *one = lines->data + at + (len > 8 ? len - 8 : len / 2);

	if (len > 0)
		*one = *one == 'a' ? 'b' : 'a';
}

int request_sign_lines(const signed_request *r, bool forge, text *lines)
{
	knocker_rows *rows = NULL;
	knocker_error error = {0};
	size_t longest_at = 0, longest = 0;

	text_add(lines, r->headers.data, r->headers.len);
	if (knocker_sign(&r->request, r->now_ms, &rows, &error) < 0)
		return complain_error(&error);
	while (knocker_rows_next(rows) == 0) {
		knocker_value name = print_value(rows, "name"), value = print_value(rows, "value");

		text_add(lines, name.bytes.data, (size_t)name.bytes.len);
		text_puts(lines, ": ");
		if ((size_t)value.bytes.len > longest) {
			longest_at = lines->len;
			longest = (size_t)value.bytes.len;
		}
		text_add(lines, value.bytes.data, (size_t)value.bytes.len);
		text_puts(lines, "\n");
	}
	if (forge)
		forge_lines(lines, longest_at, longest);
	knocker_rows_free(rows);
	return EXIT_DONE;
}
