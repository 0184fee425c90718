/* Hypotheses about bodies that are not the bytes that were signed: cut, with other line ends or in
 * another encoding, parsed and written anew. */
#include <string.h>

#include "diagnose_parts.h"

static const char diagnose_take_raw[] =
	"the body was parsed and written anew before it was checked: give the raw bytes as received";

/* Whether the buffer failed: at its bound, or for want of memory. */
static bool diagnose_body_failed(diagnosis *d, const buffer *body)
{
	d->stopped |= body->full;
	if (body->failed && !body->full)
		d->rc = fail_memory(d->error);
	return body->failed;
}

/* The body that stands in the buffer. */
static bool diagnose_body_try(diagnosis *d, const buffer *body, const char *cause,
                              const char *sentence)
{
	scheme_request changed = d->request;

	changed.body = buffer_view(body);
	if (diagnose_body_failed(d, body) || !bytes_given(changed.body) ||
	    bytes_equal(changed.body, d->request.body) || !diagnose_fits(d, d->keys, &changed))
		return false;
	diagnose_found(d, d->keys, &changed, cause, sentence);
	return true;
}

/* ---- ends ---- */

static bool diagnose_ends(diagnosis *d)
{
	static const char *const lost[] = {"\n", "\r\n", " ", "\n\n"};
	knocker_bytes body = d->request.body;
	const char *text = body.data;
	size_t from = 0, to = (size_t)body.len, i;
	bool fits = false;
	buffer b;

	for (i = 0; i < sizeof lost / sizeof *lost && !fits; i++) {
		buffer_init(&b, (size_t)body.len + 8);
		buffer_bytes(&b, body);
		buffer_text(&b, lost[i]);
		fits = diagnose_body_try(d, &b, "body_trimmed",
		                         "the body lost its last line end or blanks: give the raw bytes as "
		                         "received");
		buffer_free(&b);
	}
	while (!fits && to > 0 && strchr(" \t\r\n", text[to - 1]) && text[to - 1]) {
		to--;
		buffer_init(&b, (size_t)body.len + 8);
		buffer_add(&b, text, to);
		fits = body.len - (int64_t)to <= 4 &&
		       diagnose_body_try(d, &b, "body_trimmed",
		                         "the body has a line end or blanks more than was signed: give the "
		                         "raw bytes as received");
		buffer_free(&b);
	}
	while (from < to && strchr(" \t\r\n", text[from]) && text[from])
		from++;
	if (fits || to == 0)
		return fits;
	buffer_init(&b, (size_t)body.len + 8);
	buffer_add(&b, text + from, to - from);
	fits =
		diagnose_body_try(d, &b, "body_trimmed",
	                      "the body has blanks around it that were not signed: give the raw bytes "
	                      "as received");
	buffer_free(&b);
	return fits;
}

/* ---- line ends ---- */

static void diagnose_lines(knocker_bytes body, const char *end, buffer *out)
{
	const char *text = body.data;
	size_t i, from = 0, len = (size_t)body.len;

	for (i = 0; i < len; i++) {
		if (text[i] != '\n' && text[i] != '\r')
			continue;
		buffer_add(out, text + from, i - from);
		buffer_text(out, end);
		i += text[i] == '\r' && i + 1 < len && text[i + 1] == '\n';
		from = i + 1;
	}
	buffer_add(out, text + from, len - from);
}

static bool diagnose_line_ends(diagnosis *d)
{
	static const char *const ends[] = {"\n", "\r\n", "\r"};
	size_t i, last;
	bool fits = false;

	for (i = 0; i < sizeof ends / sizeof *ends && !fits; i++)
		for (last = 0; last < 2 && !fits; last++) {
			buffer b;

			buffer_init(&b, 2 * (size_t)d->request.body.len + 8);
			diagnose_lines(d->request.body, ends[i], &b);
			if (last == 1)
				buffer_text(&b, ends[i]);
			fits = diagnose_body_try(d, &b, "body_line_ends",
			                         i == 0
			                             ? "the body came with other line ends than were signed, "
			                               "which were LF: give the raw bytes as received"
			                         : i == 1
			                             ? "the body came with other line ends than were signed, "
			                               "which were CRLF: give the raw bytes as received"
			                             : "the body came with other line ends than were signed, "
			                               "which were CR: give the raw bytes as received");
			buffer_free(&b);
		}
	return fits;
}

/* ---- encodings ---- */

/* UTF-8 read as Latin-1 and written as UTF-8 again, undone; or done once. */
static void diagnose_latin(knocker_bytes body, bool undo, buffer *out)
{
	const uint8_t *text = body.data;
	size_t i, len = (size_t)body.len;
	char pair[2];

	for (i = 0; i < len; i++) {
		if (undo && (text[i] == 0xC2 || text[i] == 0xC3) && i + 1 < len) {
			pair[0] = (char)(text[i] << 6 | (text[i + 1] & 0x3F));
			buffer_add(out, pair, 1);
			i++;
		} else if (!undo && text[i] >= 0x80) {
			pair[0] = (char)(0xC0 | text[i] >> 6);
			pair[1] = (char)(0x80 | (text[i] & 0x3F));
			buffer_add(out, pair, 2);
		} else {
			buffer_add(out, text + i, 1);
		}
	}
}

static bool diagnose_encoding(diagnosis *d)
{
	static const char mark[] = "\xEF\xBB\xBF";
	static const char sentence[] =
		"the body came in another character encoding than was signed: give the raw bytes, never "
		"a decoded text";
	knocker_bytes body = d->request.body;
	bool fits = false;
	int i;

	for (i = 0; i < 4 && !fits; i++) {
		buffer b;

		buffer_init(&b, 2 * (size_t)body.len + 8);
		if (i < 2)
			diagnose_latin(body, i == 0, &b);
		else if (i == 2)
			buffer_text(&b, mark);
		if (i == 2)
			buffer_bytes(&b, body);
		else if (i == 3 && bytes_starts(body, mark))
			buffer_bytes(&b, bytes_part(body, 3, (size_t)body.len));
		fits = diagnose_body_try(d, &b, "body_encoding", sentence);
		buffer_free(&b);
	}
	return fits;
}

/* A gateway hands bodies on in base64. */
static bool diagnose_base64(diagnosis *d)
{
	knocker_bytes body = bytes_trim(d->request.body);
	uint8_t *bytes = memory_get((size_t)body.len + 4);
	scheme_request changed = d->request;
	size_t len = 0;
	bool fits = false;

	if (!bytes) {
		d->rc = fail_memory(d->error);
		return false;
	}
	if (codec_base64_lenient(body, bytes, &len) && len > 0) {
		changed.body = (knocker_bytes){bytes, (int64_t)len};
		fits = diagnose_fits(d, d->keys, &changed);
	}
	if (fits)
		diagnose_found(d, d->keys, &changed, "body_base64",
		               "the body is still in base64, as a gateway hands it on: decode it first");
	memory_free(bytes);
	return fits;
}

/* ---- JSON ---- */

static bool diagnose_style_try(diagnosis *d, const diagnose_style *style)
{
	bool fits = false;
	buffer b;

	buffer_init(&b, 8 * (size_t)d->request.body.len + 64);
	if (diagnose_json_write(d->request.body, style, &b)) {
		fits = diagnose_body_try(d, &b, "body_reserialised", diagnose_take_raw);
		if (!fits) {
			buffer_text(&b, "\n");
			fits = diagnose_body_try(d, &b, "body_reserialised", diagnose_take_raw);
		}
	}
	diagnose_body_failed(d, &b);
	buffer_free(&b);
	return fits;
}

static bool diagnose_styles(diagnosis *d)
{
	static const struct {
		const char *comma, *colon;
		int indent;
	} blanks[] = {{"", "", 0},   {" ", " ", 0}, {"", " ", 2}, {"", " ", 4},
	              {"", " ", -1}, {"", " ", 0},  {"", " ", 3}};
	static const diagnose_style escapes[] = {
		{NULL, NULL, 0, UNICODE_KEPT, SLASH_KEPT, false},
		{NULL, NULL, 0, UNICODE_ESCAPED, SLASH_KEPT, false},
		{NULL, NULL, 0, UNICODE_RAW, SLASH_KEPT, false},
		{NULL, NULL, 0, UNICODE_ESCAPED, SLASH_ESCAPED, false},
		{NULL, NULL, 0, UNICODE_KEPT, SLASH_ESCAPED, false},
		{NULL, NULL, 0, UNICODE_RAW, SLASH_RAW, false},
		{NULL, NULL, 0, UNICODE_KEPT, SLASH_RAW, false},
		{NULL, NULL, 0, UNICODE_RAW, SLASH_RAW, true},
	};
	size_t i, k;

	for (k = 0; k < sizeof escapes / sizeof *escapes; k++)
		for (i = 0; i < sizeof blanks / sizeof *blanks && d->rc == 0 && !d->stopped; i++) {
			diagnose_style style = escapes[k];

			style.comma = blanks[i].comma;
			style.colon = blanks[i].colon;
			style.indent = blanks[i].indent;
			if (diagnose_style_try(d, &style))
				return true;
		}
	return false;
}

/* A JSON text that holds the body: it was written twice. */
static bool diagnose_quoted(diagnosis *d)
{
	json *tree = NULL;
	bool fits = false;
	int32_t rc;
	buffer b;

	if (!bytes_starts(d->request.body, "\""))
		return false;
	rc = json_parse("the body", d->request.body, &tree, NULL);
	if (rc == KNOCKER_STORAGE)
		d->rc = fail_memory(d->error);
	if (rc < 0)
		return false;
	buffer_init(&b, (size_t)d->request.body.len + 8);
	buffer_bytes(&b, json_text(tree));
	fits = diagnose_body_try(d, &b, "body_reserialised", diagnose_take_raw);
	buffer_free(&b);
	json_free(tree);
	return fits;
}

void diagnose_body(diagnosis *d)
{
	static bool (*const tries[])(diagnosis *) = {diagnose_ends,     diagnose_line_ends,
	                                             diagnose_styles,   diagnose_quoted,
	                                             diagnose_encoding, diagnose_base64};
	size_t i;

	for (i = 0; d->request.body.len > 0 && i < sizeof tries / sizeof *tries && d->rc == 0; i++)
		if (tries[i](d))
			return;
}
