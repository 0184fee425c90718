/* Cuts the text of a signature into sets, items and the candidates that are compared. Knows nothing
 * of what they are compared with. */
#include <string.h>

#include "scheme_parts.h"

/* ---- cutting a signature ---- */

/* Whether `c` is one of `any`; where a blank is, a tab is too. */
bool scheme_item_char(char c, knocker_bytes any)
{
	return any.len > 0 && (bytes_find(any, c) >= 0 || (c == '\t' && bytes_find(any, ' ') >= 0));
}

/* Where the first of `marks` stands from `at` on, or the text's length. */
static size_t candidate_mark(knocker_bytes text, knocker_bytes marks, size_t at)
{
	size_t len = (size_t)text.len;
	const char *s = text.data, *hit;

	if (marks.len == 0)
		return len;
	if (marks.len == 1 && *(const char *)marks.data != ' ') {
		hit = memchr(s + at, *(const char *)marks.data, len - at);
		return hit ? (size_t)(hit - s) : len;
	}
	while (at < len && !scheme_item_char(s[at], marks))
		at++;
	return at;
}

/* The next piece between any of `marks` that is not empty. */
bool scheme_piece_next(knocker_bytes text, knocker_bytes marks, size_t *at, knocker_bytes *piece)
{
	while (*at < (size_t)text.len) {
		size_t from = *at, to = candidate_mark(text, marks, from);

		*piece = bytes_part(text, from, to);
		*at = to + 1;
		if (to > from)
			return true;
	}
	return false;
}

/* The text without the word ("Bearer") and the blanks behind it. False: it does not begin so. */
bool scheme_word_off(knocker_bytes word, knocker_bytes *text)
{
	knocker_bytes rest;

	if (!bytes_given(word))
		return true;
	if (text->len <= word.len || !bytes_equal_nocase(bytes_part(*text, 0, (size_t)word.len), word))
		return false;
	rest = bytes_part(*text, (size_t)word.len, (size_t)text->len);
	*text = bytes_trim(rest);
	return text->len > 0 && !bytes_equal(*text, rest) &&
	       scheme_item_char(*(const char *)rest.data, bytes_of(" "));
}

void scheme_items_cut(scheme_reading *r, knocker_bytes set)
{
	const scheme_signature *rules = &r->scheme->signature;
	knocker_bytes item;
	size_t at = 0;

	r->item_count = 0;
	while (r->item_count < SCHEME_ITEMS_MAX && scheme_piece_next(set, rules->items, &at, &item)) {
		if (rules->trim)
			item = bytes_trim(item);
		if (item.len > 0)
			r->items[r->item_count++] = item;
	}
}

/* ---- candidates ---- */

/* `alg: auto`: the digest is the prefix. */
static bool candidate_digest_off(knocker_bytes *text, digest *d)
{
	static const char *const prefixes[DIGEST_KINDS] = {"sha1=", "sha256=", "sha384=", "sha512="};
	size_t i;

	for (i = 0; i < DIGEST_KINDS; i++) {
		if (!bytes_starts(*text, prefixes[i]))
			continue;
		*d = (digest)i;
		*text = bytes_part(*text, (size_t)bytes_of(prefixes[i]).len, (size_t)text->len);
		return true;
	}
	return false;
}

static bool candidate_decode(scheme_reading *r, encoding how, knocker_bytes *text)
{
	uint8_t *bytes;
	size_t len = 0;
	bool good = false;

	if (how == ENCODING_NONE)
		return text->len > 0;
	bytes = arena_get(r->arena, (size_t)text->len + 1);
	if (!bytes) {
		r->no_memory = true;
		return false;
	}
	if (how == ENCODING_HEX)
		good = codec_hex(*text, bytes, &len);
	else if (how == ENCODING_BASE64)
		good = codec_base64(*text, bytes, &len);
	else
		good = codec_base64url(*text, bytes, &len);
	*text = (knocker_bytes){bytes, (int64_t)len};
	return good && len > 0;
}

/* One candidate, without its prefix and decoded; what cannot be decoded is none. */
static void candidate_add(scheme_reading *r, const scheme_group *group, digest d,
                          knocker_bytes text)
{
	const scheme_signature *rules = &r->scheme->signature;
	knocker_bytes prefix = rules->prefix;

	if (r->candidates_seen == LIMIT_CANDIDATES)
		return;
	r->candidates_seen++;
	if (group->alg.how == ALG_AUTO && !candidate_digest_off(&text, &d))
		return;
	if (bytes_given(prefix)) {
		if (text.len >= prefix.len && memcmp(text.data, prefix.data, (size_t)prefix.len) == 0)
			text = bytes_part(text, (size_t)prefix.len, (size_t)text.len);
		else if (!rules->prefix_optional)
			return;
	}
	if (candidate_decode(r, group->kind->id == KIND_BASIC ? ENCODING_BASE64 : rules->encoding,
	                     &text))
		r->candidates[r->candidate_count++] = (scheme_candidate){text, d};
}

static bool candidate_picked(scheme_reading *r, const scheme_group *group, knocker_bytes name)
{
	size_t i;

	for (i = 0; i < group->pick_count; i++)
		if (bytes_equal(name, scheme_name_text(r, group->pick[i])))
			return true;
	return false;
}

/* Where `kv` first stands in the item, or -1. */
int64_t scheme_kv_find(knocker_bytes item, knocker_bytes kv)
{
	const char *hit = memmem(item.data, (size_t)item.len, kv.data, (size_t)kv.len);

	return hit ? hit - (const char *)item.data : -1;
}

void scheme_candidates_find(scheme_reading *r, const scheme_group *group, digest d)
{
	const scheme_signature *rules = &r->scheme->signature;
	size_t i;

	r->candidate_count = 0;
	for (i = 0; i < r->item_count; i++) {
		knocker_bytes item = r->items[i];
		int64_t at;

		if (!bytes_given(rules->kv) || group->pick_count == 0) {
			if (i >= rules->skip)
				candidate_add(r, group, d, item);
			continue;
		}
		at = scheme_kv_find(item, rules->kv);
		if (at >= 0 && candidate_picked(r, group, bytes_part(item, 0, (size_t)at)))
			candidate_add(r, group, d,
			              bytes_part(item, (size_t)(at + rules->kv.len), (size_t)item.len));
	}
}
