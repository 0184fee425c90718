/* Plays core/tests/diagnose/cases.json, whose requests Python signed: every planted mistake is
 * named, no forgery is explained away, and no sentence holds a secret or a signature. */
#include <string.h>

#include "bytes.h"
#include "check.h"
#include "json.h"
#include "knocker.h"

#define NOW_MS (INT64_C(1700000000) * 1000)
#define SHOWN(bytes) (int)(bytes).len, (const char *)((bytes).data ? (bytes).data : "")

typedef struct {
	buffer provider, secrets, options, others, headers;
	knocker_request request;
} made;

static void file_read(const char *path, buffer *b)
{
	FILE *file = fopen(path, "rb");
	char chunk[4096];
	size_t len;

	buffer_init(b, 16 * 1024 * 1024);
	while (file && (len = fread(chunk, 1, sizeof chunk, file)) > 0)
		buffer_add(b, chunk, len);
	if (file)
		fclose(file);
}

static knocker_bytes written(const json *value, buffer *b)
{
	buffer_init(b, 1024 * 1024);
	if (!value)
		return (knocker_bytes){0};
	if (json_kind(value) == JSON_TEXT)
		return json_text(value);
	json_write(value, b);
	return buffer_view(b);
}

static void made_begin(const json *with, made *m)
{
	const json *provider = json_member(with, "provider"), *one;

	m->request = (knocker_request){.size = sizeof m->request};
	m->request.provider = written(provider ? provider : json_member(with, "scheme"), &m->provider);
	m->request.secrets_json = written(json_member(with, "secrets"), &m->secrets);
	m->request.options_json = written(json_member(with, "options"), &m->options);
	m->request.body = json_text(json_member(with, "body"));
	m->request.query = json_text(json_member(with, "query"));
	written(json_member(with, "others"), &m->others);
	buffer_init(&m->headers, 1024 * 1024);
	for (one = json_first(json_member(with, "headers")); one; one = json_next(one)) {
		buffer_bytes(&m->headers, json_name(one));
		buffer_text(&m->headers, ": ");
		buffer_bytes(&m->headers, json_text(one));
		buffer_text(&m->headers, "\n");
	}
	m->request.headers = buffer_view(&m->headers);
}

static void made_end(made *m)
{
	buffer_free(&m->provider);
	buffer_free(&m->secrets);
	buffer_free(&m->options);
	buffer_free(&m->others);
	buffer_free(&m->headers);
}

static bool holds(knocker_bytes text, knocker_bytes part)
{
	return part.len > 3 && memmem(text.data, (size_t)text.len, part.data, (size_t)part.len);
}

/* Whether the sentence holds a secret of the lists, or a signature of the request. */
static bool tells(knocker_bytes sentence, const json *with)
{
	const json *list = json_member(with, "secrets"), *others = json_member(with, "others"), *one;
	const json *header;
	bool told = false;

	for (one = json_first(list); one; one = json_next(one))
		told |= holds(sentence, json_text(one));
	for (list = json_first(others); list; list = json_next(list)) {
		told |= holds(sentence, json_text(list));
		for (one = json_first(list); one; one = json_next(one))
			told |= holds(sentence, json_text(one));
	}
	for (header = json_first(json_member(with, "headers")); header; header = json_next(header))
		if (json_text(header).len >= 40)
			told |= holds(sentence, json_text(header));
	return told;
}

/* One line for each row that was found, to be read where a case fails. */
static bool rows_right(const json *one, knocker_rows *rows, bool print)
{
	const json *with = json_member(one, "request");
	const json *cause = json_first(json_member(one, "causes"));
	knocker_value found, sentence;
	bool right = true;

	while (rows && knocker_rows_next(rows) == 0) {
		knocker_rows_value(rows, knocker_rows_find(rows, "cause"), &found);
		knocker_rows_value(rows, knocker_rows_find(rows, "sentence"), &sentence);
		right = right && cause && sentence.bytes.len > 20 && !tells(sentence.bytes, with) &&
		        (json_kind(cause) == JSON_NULL ? found.type == KNOCKER_NULL
		                                       : bytes_equal(json_text(cause), found.bytes));
		cause = cause ? json_next(cause) : NULL;
		if (print)
			printf("    %.*s: %.*s\n", SHOWN(found.bytes), SHOWN(sentence.bytes));
	}
	return right && !cause;
}

static void case_play(const json *one, bool print)
{
	knocker_rows *rows = NULL;
	knocker_error error = {0};
	int32_t rc;
	bool right;
	made m;

	made_begin(json_member(one, "request"), &m);
	rc = knocker_diagnose(&m.request, buffer_view(&m.others), NOW_MS, &rows, &error);
	right = rc == 0 && rows_right(one, rows, print);
	if (!right || print)
		printf("  %s: %.*s %s\n", right ? "right" : "wrong",
		       SHOWN(json_text(json_member(one, "title"))), error.text);
	CHECK(right, "the case's causes are named, in order");
	knocker_rows_free(rows);
	made_end(&m);
}

/* The same request at a time in milliseconds. */
static void time_in_milliseconds(const json *cases)
{
	const json *one;
	knocker_rows *rows = NULL;
	knocker_value found = {0};
	made m;

	for (one = json_first(cases); one; one = json_next(one))
		if (bytes_is(json_text(json_member(one, "title")), "a forgery in time"))
			break;
	made_begin(json_member(one, "request"), &m);
	m.request.secrets_json = bytes_of("[\"sk_hook\"]");
	CHECK(knocker_diagnose(&m.request, (knocker_bytes){0}, NOW_MS * 1000, &rows, NULL) == 0 &&
	          knocker_rows_next(rows) == 0 && knocker_rows_value(rows, 0, &found) == 0 &&
	          bytes_is(found.bytes, "timestamp_unit"),
	      "a time of the check that was given in milliseconds is said to be");
	knocker_rows_free(rows);
	made_end(&m);
}

/* The bounds end it: a body of 5 MiB that is not what was signed. */
static void large_body(void)
{
	knocker_request q = {.size = sizeof q,
	                     .provider = bytes_of("github"),
	                     .secrets_json = bytes_of("[\"a\",\"b\"]"),
	                     .headers = bytes_of(
							 "x-hub-signature-256: sha256=0000000000000000000000000000"
							 "000000000000000000000000000000000000\n")};
	knocker_rows *rows = NULL;
	knocker_value found = {0};
	buffer body;

	buffer_init(&body, 6 * 1024 * 1024);
	buffer_text(&body, "[1");
	while (body.len < 5 * 1024 * 1024 - 8)
		buffer_text(&body, ",\"\xC3\xA9\"");
	buffer_text(&body, "]");
	q.body = buffer_view(&body);
	CHECK(knocker_diagnose(&q, (knocker_bytes){0}, NOW_MS, &rows, NULL) == 0 &&
	          knocker_rows_next(rows) == 0 && knocker_rows_value(rows, 0, &found) == 0 &&
	          found.type == KNOCKER_NULL,
	      "a large forgery is not explained, within the bounds");
	knocker_rows_free(rows);
	buffer_free(&body);
}

/* Each allocation fails once: the diagnosis fails with it or does without, and leaks nothing. */
static void memory_fails(const json *one)
{
	int64_t n, needed = memory_count();
	knocker_rows *whole = NULL;
	bool right = true;
	made m;

	made_begin(json_member(one, "request"), &m);
	knocker_diagnose(&m.request, buffer_view(&m.others), NOW_MS, &whole, NULL);
	knocker_rows_free(whole);
	needed = memory_count() - needed;
	for (n = 0; n < needed; n += 1 + n / 16) {
		knocker_rows *rows = NULL;
		knocker_error error = {0};
		int32_t rc;

		memory_fail_after(n, false);
		rc = knocker_diagnose(&m.request, buffer_view(&m.others), NOW_MS, &rows, &error);
		memory_fail_after(-1, false);
		right = right && (rc == 0 ? rows != NULL : rc == KNOCKER_STORAGE && !rows);
		knocker_rows_free(rows);
	}
	CHECK(right && needed > 20, "without memory it is a failure of storage");
	made_end(&m);
}

static void wrong_arguments(void)
{
	knocker_request q = {.size = sizeof q};
	knocker_rows *rows = NULL;
	knocker_error error = {0};

	CHECK(knocker_diagnose(&q, (knocker_bytes){0}, NOW_MS, &rows, &error) ==
	          KNOCKER_INVALID_ARGUMENT,
	      "a request without a provider is a mistake in the call");
	q.provider = bytes_of("strip");
	CHECK(knocker_diagnose(&q, (knocker_bytes){0}, NOW_MS, &rows, &error) ==
	              KNOCKER_INVALID_ARGUMENT &&
	          strstr(error.text, "'strip'"),
	      "a provider that there is not is named");
	q.provider = bytes_of("github");
	q.secrets_json = bytes_of("[\"s\"]");
	CHECK(knocker_diagnose(&q, bytes_of("[}"), NOW_MS, &rows, &error) == KNOCKER_INVALID_ARGUMENT &&
	          strstr(error.text, "others_json"),
	      "others that are no JSON are named");
	q.secrets_json = (knocker_bytes){0};
	CHECK(knocker_diagnose(&q, (knocker_bytes){0}, NOW_MS, &rows, &error) ==
	              KNOCKER_INVALID_ARGUMENT &&
	          !rows,
	      "without a secret, and without anything to say, it fails as verify does");
}

int main(int argc, char **argv)
{
	json *cases = NULL;
	const json *one;
	knocker_error error = {0};
	buffer text;

	(void)argv;
	file_read("core/tests/diagnose/cases.json", &text);
	CHECK(json_parse("cases.json", buffer_view(&text), &cases, &error) == 0, "the cases are JSON");
	for (one = json_first(cases); one; one = json_next(one))
		case_play(one, argc > 1);
	for (one = json_first(cases); one; one = json_next(one))
		memory_fails(one);
	time_in_milliseconds(cases);
	large_body();
	wrong_arguments();
	json_free(cases);
	buffer_free(&text);
	return check_end("test_diagnose");
}
