/* One request of a run: filled in, signed by the library, and judged by it, so that the run knows
 * what must become of it. */
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>

#include "emulate.h"
#include "print.h"

#define OVERSIZE_BYTES ((size_t)5 * 1024 * 1024)

static int64_t made_clock_ms(void)
{
	struct timespec now = {0};

	clock_gettime(CLOCK_REALTIME, &now);
	return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* Blanks behind JSON, a field more in a form: what the body says stays as it was. */
static void made_oversize(made_request *m)
{
	static const char blanks[] = "                                                                ";
	bool is_form = m->body.len > 0 && strchr("{[", m->body.data[0]) == NULL;

	if (is_form)
		text_puts(&m->body, "&padding=");
	while (m->body.len <= OVERSIZE_BYTES) {
		if (is_form)
			text_puts(&m->body, "0123456789abcdef");
		else
			text_add(&m->body, blanks, sizeof blanks - 1);
	}
}

static bool made_has_header(const text *lines, const char *name, size_t len)
{
	const char *line = lines->data;

	while (line != NULL && *line != '\0') {
		if (strncasecmp(line, name, len) == 0 && line[len] == ':')
			return true;
		line = strchr(line, '\n');
		line = line != NULL ? line + 1 : NULL;
	}
	return false;
}

/* Appends those lines whose header is not there yet. */
static void made_add_lines(text *lines, const text *more)
{
	const char *line = more->data, *end;

	while (line != NULL && (end = strchr(line, '\n')) != NULL) {
		if (!made_has_header(lines, line, strcspn(line, ":")))
			text_add(lines, line, (size_t)(end - line) + 1);
		line = end + 1;
	}
}

static knocker_bytes made_lend(const text *t)
{
	return (knocker_bytes){t->data, (int64_t)t->len};
}

/* Signs what is there now, into header lines. */
static int made_sign_lines(const emulation *e, const made_request *m, const char *signer,
                           const text *unsigned_lines, bool forge, int64_t at_ms, text *lines)
{
	signed_request one = e->signer;

	one.headers = (text){0};
	if (signer != NULL)
		one.request.provider = bytes_of(signer);
	one.request.headers = made_lend(unsigned_lines);
	one.request.body = made_lend(&m->body);
	one.request.query = m->query.len > 0 ? made_lend(&m->query) : (knocker_bytes){0};
	one.now_ms = at_ms;
	return request_sign_lines(&one, forge, lines);
}

/* The signature stands in the body: it is made as a header's value of the body without it. */
static int made_sign_body(emulation *e, size_t at, made_request *m, bool forge, int64_t at_ms)
{
	static const char name[] = "x-signature: ";
	text lines = {0}, none = {0};
	char *value = NULL;
	int code = made_sign_lines(e, m, sample_signer(e, at), &none, forge, at_ms, &lines);

	if (code == EXIT_DONE) {
		value = strstr(lines.data, name);
		value[strcspn(value, "\n")] = '\0';
		text_free(&m->body);
		sample_body(e, at, value + strlen(name), &m->body);
	}
	text_cleanse_free(&lines);
	return code;
}

/* What signing adds comes first, then what --header says, then the sample's own. */
static int made_sign(emulation *e, size_t at, made_request *m, bool forge, int64_t at_ms,
                     text *lines)
{
	text unsigned_lines = {0};
	int code;

	made_add_lines(&unsigned_lines, &e->signer.headers);
	made_add_lines(&unsigned_lines, &m->headers);
	text_add(lines, "", 0);
	if (sample_signer(e, at) != NULL)
		code = made_sign_body(e, at, m, forge, at_ms);
	else
		code = made_sign_lines(e, m, NULL, &unsigned_lines, forge, at_ms, lines);
	made_add_lines(lines, &unsigned_lines);
	text_cleanse_free(&unsigned_lines);
	return code;
}

/* Whether the library accepts it now; where the secret is a private key, which only signs, whether
 * it should. `event` is told its dedupe key. */
static bool made_judge(const emulation *e, size_t at, const made_request *m, const text *lines,
                       sent_event *event)
{
	sent_kind kind = (sent_kind)e->requests[at].kind;
	knocker_request request = e->signer.request;
	knocker_rows *rows = NULL;
	bool valid = kind == SENT_LATE ? !e->window : kind != SENT_FORGED;

	request.headers = made_lend(lines);
	request.body = made_lend(&m->body);
	request.query = m->query.len > 0 ? made_lend(&m->query) : (knocker_bytes){0};
	if (knocker_verify(&request, 0, &rows, NULL) == 0 && knocker_rows_next(rows) == 0) {
		knocker_value key = print_value(rows, "dedupe_key");

		valid = print_value(rows, "valid").integer == 1;
		if (valid && event->key == NULL && key.type == KNOCKER_TEXT)
			event->key = strndup(key.bytes.data, (size_t)key.bytes.len);
	}
	knocker_rows_free(rows);
	return valid;
}

/* Of a forgery and of what is late the key is that of the same request, right and in time: an event
 * of that key there must not be. */
static int made_identify(emulation *e, size_t at, made_request *m, sent_event *event,
                         int64_t now_ms)
{
	text lines = {0};
	int code = made_sign(e, at, m, false, now_ms, &lines);

	if (code == EXIT_DONE)
		made_judge(e, at, m, &lines, event);
	text_cleanse_free(&lines);
	text_free(&m->body);
	sample_body(e, at, "", &m->body);
	return code;
}

int made_begin(emulation *e, size_t at, made_request *out)
{
	sent_request *r = &e->requests[at];
	sent_event *event = &e->events[r->event];
	int64_t now_ms = made_clock_ms();
	int64_t at_ms = r->kind == SENT_LATE ? now_ms - (int64_t)EMULATE_LATE_S * 1000 : now_ms;
	bool fresh = event->made_ms == 0;
	int code = EXIT_DONE;

	if (fresh)
		event->made_ms = at_ms;
	text_puts(&out->query, e->url_query.data);
	sample_headers(e, at, &out->headers, &out->query);
	sample_body(e, at, "", &out->body);
	if (r->kind == SENT_FORGED || r->kind == SENT_LATE)
		code = made_identify(e, at, out, event, now_ms);
	if (r->kind == SENT_OVERSIZE)
		made_oversize(out);
	if (code == EXIT_DONE)
		code = made_sign(e, at, out, r->kind == SENT_FORGED, at_ms, &out->lines);
	if (code == EXIT_DONE)
		r->valid = made_judge(e, at, out, &out->lines, event);
	if (fresh)
		event->print = plan_hash(0, out->body.data, out->body.len);
	return code;
}

void made_end(made_request *m)
{
	text_free(&m->headers);
	text_free(&m->query);
	text_cleanse_free(&m->body); /* which may hold a token */
	text_cleanse_free(&m->lines);
}
