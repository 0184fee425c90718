/* Answers: a sender's handshake, and what is said to other requests. Knows nothing of signatures.
 */
#include <string.h>

#include "scheme_parts.h"

/* ---- answers ---- */

static bool answer_header(buffer *b, knocker_bytes name, knocker_bytes value)
{
	const uint8_t *s = value.data;
	int64_t i;

	for (i = 0; i < value.len; i++)
		if (s[i] < 0x20 || s[i] == 0x7F)
			return false;
	buffer_bytes(b, name);
	buffer_text(b, ": ");
	buffer_bytes(b, value);
	buffer_text(b, "\n");
	return true;
}

/* The template's text for an answer: reflected, so no longer than an id. */
static bool answer_text(scheme_reading *r, const scheme_template *t, knocker_bytes *out)
{
	knocker_bytes parts[SCHEME_PARTS_MAX];
	size_t i;

	if (!scheme_template_fill(r, t, false, NULL, 0, parts))
		return false;
	for (i = 0; i < t->count; i++)
		if (t->parts[i].kind != PART_LITERAL && parts[i].len > LIMIT_ID)
			return false;
	*out = scheme_join(r, parts, t->count);
	return bytes_given(*out);
}

static bool answer_object(scheme_reading *r, const scheme_answer *answer, buffer *b)
{
	knocker_bytes text;
	size_t i;

	buffer_text(b, "{");
	for (i = 0; i < answer->member_count; i++) {
		const scheme_member *member = &answer->members[i];

		if (!answer_text(r, &member->text, &text))
			return false;
		buffer_text(b, i > 0 ? "," : "");
		buffer_json(b, member->name);
		buffer_text(b, ":");
		if (member->is_number)
			buffer_bytes(b, text);
		else
			buffer_json(b, text);
	}
	buffer_text(b, "}");
	return true;
}

static bool answer_headers(scheme_reading *r, const scheme_answer *answer, bool has_body, buffer *b)
{
	knocker_bytes text, type = answer->type;
	size_t i;

	if (has_body && !bytes_given(type))
		type = bytes_of(answer->has_object ? "application/json" : "text/plain");
	if (has_body && (!answer_header(b, bytes_of("Content-Type"), type) ||
	                 !answer_header(b, bytes_of("X-Content-Type-Options"), bytes_of("nosniff"))))
		return false;
	for (i = 0; i < answer->header_count; i++)
		if (!answer_text(r, &answer->headers[i].text, &text) ||
		    !answer_header(b, answer->headers[i].name, text))
			return false;
	return true;
}

static bool answer_keep(scheme_reading *r, buffer *b, knocker_bytes *out)
{
	bool good = !b->failed && arena_copy(r->arena, buffer_view(b), out);

	r->no_memory |= !good;
	buffer_free(b);
	return good;
}

bool scheme_answer_write(scheme_reading *r, const scheme_answer *answer, scheme_verdict *out)
{
	bool has_body = answer->has_text || answer->has_object, good;
	knocker_bytes headers = {0}, body = {0};
	buffer b;

	if (!has_body && answer->header_count == 0) {
		out->status = answer->status;
		return true;
	}
	buffer_init(&b, LIMIT_JSON);
	good = answer_headers(r, answer, has_body, &b);
	good &= answer_keep(r, &b, &headers);
	if (good && answer->has_text)
		good = answer_text(r, &answer->text, &body);
	if (good && answer->has_object) {
		good = answer_object(r, answer, &b);
		good &= answer_keep(r, &b, &body);
	}
	if (!good)
		return false;
	out->status = answer->status;
	out->response_headers = headers;
	out->response_body = body;
	return true;
}

/* ---- handshakes ---- */

static bool when_chars(const scheme_condition *c, knocker_bytes text)
{
	int64_t i;

	for (i = 0; i < text.len; i++)
		if (bytes_find(c->text, ((const char *)text.data)[i]) < 0)
			return false;
	return text.len >= c->min && text.len <= c->max;
}

static bool when_holds(scheme_reading *r, const scheme_condition *c)
{
	knocker_bytes method = r->request->method;
	scheme_text read, other;

	if (c->how == WHEN_METHOD)
		return bytes_equal_nocase(bytes_given(method) && method.len > 0 ? method : bytes_of("POST"),
		                          c->text);
	read = scheme_source_read(r, &c->source);
	if (c->how == WHEN_NULL)
		return read.is_null && !bytes_given(read.text);
	if (!bytes_given(read.text))
		return false;
	switch (c->how) {
	case WHEN_TEXT:
		return bytes_equal(read.text, c->text);
	case WHEN_SAME:
		other = scheme_source_read(r, &c->other);
		return bytes_given(other.text) && crypto_equal(read.text, other.text);
	case WHEN_CHARS:
		return when_chars(c, read.text);
	case WHEN_ANY:
	case WHEN_METHOD:
	case WHEN_NULL:
		break;
	}
	return true;
}

static bool handshake_matches(scheme_reading *r, const scheme_handshake *h, bool is_signed)
{
	size_t i;

	if (h->is_signed != is_signed || (h->stores && r->keys->secret_count > 0))
		return false;
	for (i = 0; i < h->condition_count; i++)
		if (!when_holds(r, &h->conditions[i]))
			return false;
	return true;
}

bool scheme_handshake_answer(scheme_reading *r, bool is_signed, scheme_verdict *out)
{
	const scheme *s = r->scheme;
	bool answered = false;
	size_t i;

	r->extracting = true;
	for (i = 0; i < s->handshake_count && !answered; i++) {
		const scheme_handshake *h = &s->handshakes[i];
		knocker_bytes secret = {0};

		if (!handshake_matches(r, h, is_signed))
			continue;
		if (h->stores) {
			secret = scheme_source_read(r, &h->store).text;
			if (!bytes_given(secret))
				continue;
		}
		answered = scheme_answer_write(r, &h->answer, out);
		if (answered)
			out->store_secret = secret;
	}
	r->extracting = false;
	out->handshake = answered;
	return answered;
}
