/* What a request says, by the grammar of its scheme: which signatures it brings, decoded, and which
 * texts may have been signed. Two requests are compared by it, and two public keys by their
 * numbers. Knows nothing of right or wrong. */
#ifndef KNOCKER_FLIP_MARKS_H
#define KNOCKER_FLIP_MARKS_H

#include <string.h>

#include "check.h"
#include "json.h"
#include "scheme_parts.h"

#define FLIP_MARKS_MAX 64

/* Digests of what must have stayed: of each candidate, each signed text, or each key. */
typedef struct {
	uint8_t digests[FLIP_MARKS_MAX][32];
	size_t count;
} flip_marks;

static void marks_add(flip_marks *marks, const knocker_bytes *parts, size_t count)
{
	uint8_t hash[DIGEST_MAX];

	CHECK(marks->count < FLIP_MARKS_MAX && crypto_hash(DIGEST_SHA256, parts, count, hash) == 32,
	      "there is room for what is compared");
	if (marks->count < FLIP_MARKS_MAX)
		memcpy(marks->digests[marks->count++], hash, 32);
}

static bool marks_meet(const flip_marks *a, const flip_marks *b)
{
	size_t i, k;

	for (i = 0; i < a->count; i++)
		for (k = 0; k < b->count; k++)
			if (memcmp(a->digests[i], b->digests[k], 32) == 0)
				return true;
	return false;
}

/* ---- what a request says, by the grammar ---- */

/* Whether all that may be signed holds one of these parts whole. */
static bool flip_signs(const scheme *s, part_kind one, part_kind other)
{
	size_t i, k, count = 0;

	for (i = 0; i < s->try_count; i++)
		for (k = 0; k < s->tries[i].sign.count; k++, count++)
			if (!scheme_template_has(&s->tries[i].sign.list[k], one) &&
			    !scheme_template_has(&s->tries[i].sign.list[k], other))
				return false;
	return count > 0 && s->base_count == 0 && s->tries[0].when_count == 0;
}

static void flip_candidates(scheme_reading *r, const scheme_try *t, flip_marks *marks)
{
	size_t i, k;

	for (i = 0; i < r->scheme->group_count; i++) {
		scheme_candidates_find(r, &t->groups[i], DIGEST_SHA256);
		for (k = 0; k < r->candidate_count; k++)
			marks_add(marks, &r->candidates[k].bytes, 1);
	}
}

/* The vars of the signature in hand. `*time_s` is the one that the window asks, which need not be
 * signed. False: one is missing. */
static bool flip_vars(scheme_reading *r, const scheme_try *t, int64_t *time_s)
{
	size_t i;

	*time_s = 0;
	for (i = 0; i < r->scheme->var_count; i++) {
		int64_t seconds = 0;

		if (t->vars[i].from.list[0].kind == SOURCE_CLAIM)
			continue; /* it stands in the token, which is a candidate as it is */
		r->vars[i] = scheme_sources_read(r, t->vars[i].from).text;
		if (!bytes_given(r->vars[i]) || !codec_time(r->vars[i], t->vars[i].unit, &seconds))
			return false;
		if (r->scheme->has_replay && i == r->scheme->replay_var)
			*time_s = seconds;
	}
	return true;
}

/* A token does not sign the request, but claims something of it: texts, and hashes of texts. */
static void flip_claims(scheme_reading *r, const scheme_try *t, int64_t time_s, flip_marks *marks)
{
	knocker_bytes parts[SCHEME_PARTS_MAX], claimed[64] = {{&time_s, sizeof time_s}};
	size_t i, k, count = 1;

	for (i = 0; i < t->jwt.claim_count; i++)
		for (k = 0; k < t->jwt.claims[i].texts.count; k++) {
			const scheme_template *text = &t->jwt.claims[i].texts.list[k];

			if (count < 64 &&
			    scheme_template_fill(r, text, t->jwt.claims[i].is_hash, NULL, 0, parts))
				claimed[count++] = scheme_join(r, parts, text->count);
		}
	marks_add(marks, claimed, count);
}

static void flip_texts(scheme_reading *r, const scheme_try *t, flip_marks *marks)
{
	knocker_bytes parts[SCHEME_PARTS_MAX + 1];
	scheme_templates sign;
	size_t i, attempt;
	int64_t time_s;

	if (!flip_vars(r, t, &time_s) || !scheme_signed_choose(r, t, &sign))
		return;
	parts[0] = (knocker_bytes){&time_s, sizeof time_s};
	if (sign.count == 0)
		flip_claims(r, t, time_s, marks);
	scheme_url_spell(r);
	for (i = 0; i < sign.count; i++)
		for (attempt = 0; attempt < r->url_try_count; attempt++) {
			bool urls = scheme_template_has(&sign.list[i], PART_URL_TRIES);

			if ((attempt == 0 || urls) &&
			    scheme_template_fill(r, &sign.list[i], true, &r->keys->keys[0], attempt, parts + 1))
				marks_add(marks, parts, sign.list[i].count + 1);
		}
}

/* One place where a signature may stand: each of its sets. */
static void flip_source(scheme_reading *r, const scheme_try *t, knocker_bytes text,
                        flip_marks *candidates, flip_marks *texts)
{
	knocker_bytes sets = r->scheme->signature.sets, set;
	size_t at = 0;

	if (!bytes_given(text) || !scheme_word_off(r->scheme->signature.word, &text))
		return;
	while (scheme_piece_next(text, bytes_given(sets) ? sets : bytes_of(""), &at, &set)) {
		scheme_items_cut(r, set);
		flip_candidates(r, t, candidates);
		flip_texts(r, t, texts);
	}
}

static void flip_try(scheme_reading *r, const scheme_try *t, flip_marks *candidates,
                     flip_marks *texts)
{
	size_t i, at = 0;
	knocker_bytes name, value;

	r->current = t;
	for (i = 0; i < t->from.count; i++) {
		const scheme_source *source = &t->from.list[i];

		if (source->kind != SOURCE_HEADERS) {
			flip_source(r, t, scheme_source_read(r, source).text, candidates, texts);
			continue;
		}
		while (request_header_next(r->request->headers, &at, &name, &value))
			if (request_name_begins(name, scheme_header_name(r, source->name)))
				flip_source(r, t, value, candidates, texts);
	}
}

/* The elements that a batch signs one by one: "a.*.b" is a's elements' b. */
static void flip_items(scheme_reading *r, const scheme_try *t, flip_marks *candidates,
                       flip_marks *texts)
{
	knocker_bytes base = r->scheme->bases[0], member = bytes_of("");
	const char *star = memmem(base.data, (size_t)base.len, ".*", 2);
	size_t path_len = star ? (size_t)(star - (const char *)base.data) : (size_t)base.len, at = 0;
	scan_value item = scan_find(r->request->body, bytes_part(base, 0, path_len)), element;

	if (!star) {
		scheme_item_enter(r, item);
		flip_try(r, t, candidates, texts);
		return;
	}
	if ((size_t)base.len > path_len + 3)
		member = bytes_part(base, path_len + 3, (size_t)base.len);
	while (item.type == SCAN_ARRAY && scan_each(item, &at, &element)) {
		scheme_item_enter(r, member.len > 0 ? scan_find(element.raw, member) : element);
		flip_try(r, t, candidates, texts);
	}
}

static void flip_read(const scheme *s, const scheme_keys *keys, const scheme_request *request,
                      flip_marks *candidates, flip_marks *texts)
{
	scheme_reading r;
	arena memory = {0};
	size_t i;

	candidates->count = texts->count = 0;
	scheme_reading_begin(&r, s, keys, request, 0, &memory);
	for (i = 0; i < s->try_count; i++) {
		if (s->base_count > 0)
			flip_items(&r, &s->tries[i], candidates, texts);
		else
			flip_try(&r, &s->tries[i], candidates, texts);
	}
	arena_free(&memory);
}

/* ---- public keys ---- */

/* The numbers of a public key's text: the members of a JWK that are numbers, else what the base64
 * from `from` to `to` says. */
static void flip_public_numbers(knocker_bytes text, size_t from, size_t to, buffer *out)
{
	static const char *const members[] = {"n", "e", "x", "y"};
	const char *at = text.data;
	uint8_t bytes[4096];
	size_t len = 0, i;
	json *tree = NULL;
	buffer bare;

	buffer_init(&bare, sizeof bytes);
	if (json_parse("key", text, &tree, NULL) == 0) {
		const json *keys = json_member(tree, "keys");
		const json *key = keys ? json_first(keys) : tree;

		for (i = 0; i < sizeof members / sizeof *members; i++)
			buffer_json(out, json_text(json_member(key, members[i])));
	} else {
		for (i = from; i < to; i++)
			if (!strchr(" \t\r\n\v\f", at[i]))
				buffer_add(&bare, at + i, 1);
		if (codec_base64_lenient(buffer_view(&bare), bytes, &len))
			buffer_add(out, bytes, len);
	}
	buffer_free(&bare);
	json_free(tree);
}

/* Under another number no signature is valid: what is still valid was armour, a spare bit of
 * base64, or a member that nobody reads. One bit moves nothing, so that `one`, as it was written,
 * says where the armour of both ends. */
static bool flip_public_same(knocker_bytes one, knocker_bytes other)
{
	const char *begin = memchr(one.data, '\n', (size_t)one.len);
	size_t from = begin ? (size_t)(begin - (const char *)one.data) + 1 : 0;
	const char *end = begin ? memmem(begin, (size_t)one.len - from, "-----END", 8) : NULL;
	size_t to = end ? (size_t)(end - (const char *)one.data) : (size_t)one.len;
	buffer a, b;
	bool same;

	buffer_init(&a, LIMIT_JSON);
	buffer_init(&b, LIMIT_JSON);
	flip_public_numbers(one, from, to, &a);
	flip_public_numbers(other, from, to, &b);
	same = a.len > 0 && bytes_equal(buffer_view(&a), buffer_view(&b));
	buffer_free(&a);
	buffer_free(&b);
	return same;
}

#endif
