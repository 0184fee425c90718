/* Fills templates: the strings that are signed, identities, answers. Knows nothing of what is done
 * with them. */
#include <stdio.h>
#include <string.h>

#include "scheme_parts.h"

bool scheme_template_has(const scheme_template *t, part_kind kind)
{
	size_t i;

	for (i = 0; i < t->count; i++)
		if (t->parts[i].kind == kind)
			return true;
	return false;
}

knocker_bytes scheme_join(scheme_reading *r, const knocker_bytes *parts, size_t count)
{
	size_t i, len = 0, at = 0;
	uint8_t *text;

	for (i = 0; i < count; i++)
		len += (size_t)parts[i].len;
	text = arena_get(r->arena, len + 1);
	if (!text) {
		r->no_memory = true;
		return (knocker_bytes){0};
	}
	for (i = 0; i < count; i++) {
		if (parts[i].len > 0)
			memcpy(text + at, parts[i].data, (size_t)parts[i].len);
		at += (size_t)parts[i].len;
	}
	return (knocker_bytes){text, (int64_t)len};
}

static knocker_bytes scheme_body_b64(scheme_reading *r)
{
	knocker_bytes body = r->request->body;
	char *text = arena_get(r->arena, ((size_t)body.len + 2) / 3 * 4 + 1);

	if (!text) {
		r->no_memory = true;
		return (knocker_bytes){0};
	}
	return (knocker_bytes){text, (int64_t)codec_base64_write(body, false, text)};
}

static knocker_bytes scheme_body_md5(scheme_reading *r)
{
	char *text = arena_get(r->arena, 24);
	uint8_t md5[16];

	if (!text || !crypto_md5(r->request->body, md5)) {
		r->no_memory = true;
		return (knocker_bytes){0};
	}
	return (knocker_bytes){text,
	                       (int64_t)codec_base64_write((knocker_bytes){md5, 16}, false, text)};
}

static knocker_bytes scheme_body_crc32(scheme_reading *r)
{
	char *text = arena_get(r->arena, 16);

	if (!text) {
		r->no_memory = true;
		return (knocker_bytes){0};
	}
	return (knocker_bytes){text,
	                       snprintf(text, 16, "%lu", (unsigned long)codec_crc32(r->request->body))};
}

/* The option `method`, else the request's; upper-case. */
static knocker_bytes scheme_method(scheme_reading *r)
{
	knocker_bytes method = r->request->method, upper;
	int64_t i;

	if (r->scheme->option_method >= 0) {
		knocker_bytes option = scheme_option_text(r->scheme, r->keys,
		                                          (size_t)r->scheme->option_method);

		method = bytes_given(option) ? option : method;
	}
	if (!bytes_given(method) || method.len == 0)
		return bytes_of("POST");
	if (!arena_copy(r->arena, method, &upper)) {
		r->no_memory = true;
		return method;
	}
	for (i = 0; i < upper.len; i++) {
		char *c = (char *)upper.data + i;

		*c = *c >= 'a' && *c <= 'z' ? (char)(*c - 32) : *c;
	}
	return upper;
}

bool scheme_hmac_hex(scheme_reading *r, knocker_bytes text, knocker_bytes *out)
{
	const scheme_key *key = r->matched;
	uint8_t mac[DIGEST_MAX];
	size_t i, len;
	char *hex;
	digest d;

	for (i = 0; i < r->keys->key_count && !key; i++)
		if (r->keys->keys[i].group == 0)
			key = &r->keys->keys[i];
	if (!key || !bytes_given(text))
		return false;
	d = r->scheme->tries[0].groups[key->group].alg.fixed;
	len = key->hmac[d] ? crypto_key_hmac(key->hmac[d], &text, 1, mac) : 0;
	hex = len > 0 ? arena_get(r->arena, 2 * len + 1) : NULL;
	r->no_memory |= key->hmac[d] && !hex;
	if (!hex)
		return false;
	*out = (knocker_bytes){hex, (int64_t)codec_hex_write((knocker_bytes){mac, (int64_t)len}, hex)};
	return true;
}

static knocker_bytes scheme_part_source(scheme_reading *r, const scheme_part *part, bool is_signed,
                                        bool *good)
{
	scheme_text read = scheme_source_read(r, &part->source);

	if (read.ambiguous) {
		scheme_refuse(r, REFUSED_AMBIGUOUS, "different values of %s",
		              scheme_source_says(r, &part->source));
		*good = false;
	} else if (!bytes_given(read.text) && is_signed) {
		return bytes_of("");
	}
	return read.text;
}

/* The name and the text of each piece that has one, on lines of their own. A piece that is no text
 * would be left out of what is signed and yet be read by somebody. */
static knocker_bytes scheme_json_lines(scheme_reading *r, const scheme_part *part, bool *good)
{
	knocker_bytes parts[4 * (SCHEME_PARTS_MAX / 2)];
	size_t i, count = 0;

	for (i = 0; i < part->source.piece_count; i++) {
		const scheme_source *piece = &part->source.pieces[i];
		scheme_text read = scheme_source_read(r, piece);

		if (!bytes_given(read.text) && !read.is_null && scheme_body_is_json(r)) {
			scheme_refuse(r, REFUSED_MISMATCH, "%s is no text", scheme_source_says(r, piece));
			*good = false;
		}
		if (!bytes_given(read.text))
			continue;
		parts[count++] = scheme_name_text(r, piece->name);
		parts[count++] = bytes_of("\n");
		parts[count++] = read.text;
		parts[count++] = bytes_of("\n");
	}
	return scheme_join(r, parts, count);
}

/* The spellings of the URL and the form. */
static knocker_bytes scheme_part_url(scheme_reading *r, part_kind kind)
{
	switch (kind) {
	case PART_URL_NOQUERY:
		return scheme_url_noquery(scheme_url(r));
	case PART_URL_PATH:
		return scheme_url_path(scheme_url(r));
	case PART_URL_UNESCAPED:
		return scheme_url_unescaped(r, scheme_url(r));
	case PART_FORM_SORTED:
		return scheme_form_sorted(r, false);
	case PART_FORM_SORTED_UNIQUE:
		return scheme_form_sorted(r, true);
	case PART_URL_FORM_SORTED:
		return scheme_url_form_sorted(r);
	case PART_QUERY_CANONICAL:
		return scheme_query_canonical(r);
	case PART_URI_ESCAPED:
		return scheme_uri_escaped(r);
	default:
		return scheme_url(r);
	}
}

static knocker_bytes scheme_part_text(scheme_reading *r, const scheme_part *part, bool is_signed,
                                      const scheme_key *key, size_t attempt, bool *good)
{
	knocker_bytes text = {0};

	switch (part->kind) {
	case PART_LITERAL:
		return part->literal;
	case PART_BODY:
		return r->request->body.len > 0 ? r->request->body : is_signed ? bytes_of("") : text;
	case PART_BODY_B64:
		return scheme_body_b64(r);
	case PART_MD5_B64:
		return scheme_body_md5(r);
	case PART_CRC32:
		return scheme_body_crc32(r);
	case PART_METHOD:
		return scheme_method(r);
	case PART_URL:
	case PART_URL_NOQUERY:
	case PART_URL_PATH:
	case PART_URL_UNESCAPED:
	case PART_FORM_SORTED:
	case PART_FORM_SORTED_UNIQUE:
	case PART_URL_FORM_SORTED:
	case PART_QUERY_CANONICAL:
	case PART_URI_ESCAPED:
		return scheme_part_url(r, part->kind);
	case PART_URL_TRIES:
		return attempt < r->url_try_count ? r->url_tries[attempt] : text;
	case PART_HEADER_LIST:
		return scheme_header_list_text(r, good);
	case PART_JSON_LINES:
		return scheme_json_lines(r, part, good);
	case PART_SECRET:
		return key ? (knocker_bytes){key->bytes, (int64_t)key->len} : text;
	case PART_DELIVERY_ID:
		return r->ids[ID_DELIVERY];
	case PART_EVENT_ID:
		return r->ids[ID_EVENT];
	case PART_EVENT_TYPE:
		return r->ids[ID_TYPE];
	case PART_VAR:
		return r->vars[part->number];
	case PART_SOURCE:
		return scheme_part_source(r, part, is_signed, good);
	case PART_HMAC:
		text = scheme_part_source(r, part, is_signed, good);
		*good = *good && scheme_hmac_hex(r, text, &text);
		return text;
	case PART_MEMBER:
		break;
	}
	return text;
}

bool scheme_template_fill(scheme_reading *r, const scheme_template *t, bool is_signed,
                          const scheme_key *key, size_t attempt, knocker_bytes *parts)
{
	bool good = true;
	size_t i;

	for (i = 0; i < t->count && good; i++) {
		parts[i] = scheme_part_text(r, &t->parts[i], is_signed, key, attempt, &good);
		if (!is_signed && (!bytes_given(parts[i]) || parts[i].len == 0))
			return false;
	}
	return good;
}

knocker_bytes scheme_template_text(scheme_reading *r, const scheme_template *t)
{
	knocker_bytes parts[SCHEME_PARTS_MAX];

	if (!scheme_template_fill(r, t, false, NULL, 0, parts))
		return (knocker_bytes){0};
	if (t->count == 1 && t->parts[0].kind != PART_LITERAL)
		return parts[0]; /* a body may be large; a literal would be the scheme's own */
	return scheme_join(r, parts, t->count);
}
