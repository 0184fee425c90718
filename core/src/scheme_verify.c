/* Decides whether a request is what its sender signed: cuts the signature, reads the vars, tries
 * keys, asks the window. Knows no sender's name and nothing of what a digest is. */
#include <string.h>

#include "error.h"
#include "scheme_jwt.h"

/* ---- which digest ---- */

/* The value named `pick` in the text, of which there may be one only; without `pick` all of it. */
static scheme_text verify_alg_named(const scheme_alg *alg, knocker_bytes text)
{
	scheme_text named = {0};
	knocker_bytes item;
	size_t at = 0;

	if (!bytes_given(alg->pick)) {
		if (text.len > 0)
			named.text = text;
		return named;
	}
	while (scheme_piece_next(text, alg->items, &at, &item)) {
		int64_t kv;

		item = alg->trim ? bytes_trim(item) : item;
		kv = scheme_kv_find(item, alg->kv);
		if (kv < 0 || !bytes_equal(bytes_part(item, 0, (size_t)kv), alg->pick))
			continue;
		item = bytes_part(item, (size_t)(kv + alg->kv.len), (size_t)item.len);
		named.ambiguous |= bytes_given(named.text) && !bytes_equal(named.text, item);
		named.text = item;
	}
	return named;
}

/* `*name` stays absent where none is named, and `*d` what the scheme has for that. */
bool scheme_digest_named(scheme_reading *r, const scheme_alg *alg, digest *d, knocker_bytes *name)
{
	scheme_text read, named;
	size_t i;

	*d = alg->fixed;
	*name = (knocker_bytes){0};
	if (alg->how != ALG_BY_SOURCE)
		return true;
	read = scheme_sources_read(r, alg->from);
	named = verify_alg_named(alg, bytes_given(read.text) ? read.text : bytes_of(""));
	if (read.ambiguous || named.ambiguous) {
		scheme_refuse(r, REFUSED_AMBIGUOUS, "different algorithms are named");
		return false;
	}
	*name = named.text;
	if (!bytes_given(named.text))
		return true;
	for (i = 0; i < alg->map_count; i++)
		if (bytes_equal(named.text, alg->map[i].name)) {
			*d = alg->map[i].digest;
			return true;
		}
	scheme_refuse(r, REFUSED_MALFORMED, "no algorithm is named '%s'", scheme_shown(r, named.text));
	return false;
}

static bool verify_digest(scheme_reading *r, const scheme_alg *alg, digest *d)
{
	knocker_bytes name;

	if (!scheme_digest_named(r, alg, d, &name))
		return false;
	if (alg->how != ALG_BY_SOURCE || alg->has_fallback || bytes_given(name))
		return true;
	scheme_refuse(r, REFUSED_MALFORMED, "no algorithm is named ''");
	return false;
}

/* ---- vars and the window ---- */

static const char *verify_var_says(scheme_reading *r, const scheme_var *var)
{
	return var->from.count ? scheme_source_says(r, &var->from.list[0]) : "";
}

/* `is`: an absent text is nobody's, and different ones are not one. */
static bool verify_var_is(scheme_reading *r, const scheme_var *var, knocker_bytes text)
{
	scheme_text wanted = {0};

	if (var->has_is)
		wanted = scheme_source_read(r, &var->is);
	return !var->has_is || (!wanted.ambiguous && bytes_equal(wanted.text, text));
}

static bool verify_var_read(scheme_reading *r, const scheme_var *var, knocker_bytes *out,
                            int64_t *time_s)
{
	static const char *const units[] = {"text", "number of seconds", "number of milliseconds",
	                                    "RFC 3339 time", "RFC 3339 time or number of seconds"};
	scheme_text read = scheme_sources_read(r, var->from);

	if (read.ambiguous)
		scheme_refuse(r, REFUSED_AMBIGUOUS, "different values of %s", verify_var_says(r, var));
	else if (!bytes_given(read.text))
		scheme_refuse(r, REFUSED_VAR, "%s is missing", verify_var_says(r, var));
	else if (!codec_time(read.text, var->unit, time_s) || (var->number && !read.is_number))
		scheme_refuse(r, REFUSED_VAR, "timestamp '%s' is not a %s", scheme_shown(r, read.text),
		              units[var->unit]);
	else if (!verify_var_is(r, var, read.text))
		scheme_refuse(r, REFUSED_VAR, "%s is not what it must be", verify_var_says(r, var));
	else {
		*out = read.text;
		return true;
	}
	return false;
}

/* The vars of the signature in hand, and how far its time is off. */
static bool verify_vars_read(scheme_reading *r, const scheme_try *t, int64_t *off_s)
{
	int64_t time_s;
	size_t i;

	*off_s = 0;
	for (i = 0; i < r->scheme->var_count; i++) {
		time_s = 0;
		if (!verify_var_read(r, &t->vars[i], &r->vars[i], &time_s))
			return false;
		if (r->scheme->has_replay && i == r->scheme->replay_var)
			*off_s = r->now_s > time_s ? r->now_s - time_s : time_s - r->now_s;
	}
	return true;
}

static bool verify_in_window(scheme_reading *r, int64_t off_s)
{
	const scheme *s = r->scheme;
	int64_t tolerance_s = s->tolerance_s;
	bool has_window = s->has_window;

	if (s->option_tolerance >= 0 && r->keys->options[s->option_tolerance].given) {
		tolerance_s = r->keys->options[s->option_tolerance].number;
		has_window = true;
	}
	if (!s->has_replay || !has_window || off_s <= tolerance_s)
		return true;
	scheme_refuse(r, REFUSED_STALE, "timestamp is %lld s off, over the window of %lld s",
	              (long long)off_s, (long long)tolerance_s);
	return false;
}

/* ---- one signature, one item, one family ---- */

/* The signed templates: those of the query's member, once its value is the hash it must be. */
bool scheme_signed_choose(scheme_reading *r, const scheme_try *t, scheme_templates *out)
{
	knocker_bytes url, query, value = {0}, text;
	char hex[65];
	int64_t mark, found;
	bool different;
	size_t i;

	*out = t->sign;
	if (t->when_count == 0)
		return true;
	url = scheme_url(r);
	mark = bytes_find(url, '?');
	query = mark < 0 ? bytes_of("") : bytes_part(url, (size_t)mark + 1, (size_t)url.len);
	for (i = 0; i < t->when_count; i++) {
		found = request_pair_find(r->arena, query, t->when[i].param, &value, &different);
		r->no_memory |= found < 0;
		if (found < 1)
			continue;
		text = scheme_template_text(r, &t->when[i].require);
		r->no_memory |= !crypto_sha256_hex(bytes_given(text) ? text : bytes_of(""), hex);
		if (different || !bytes_equal_nocase(value, bytes_of(hex))) {
			scheme_refuse(r, REFUSED_MISMATCH, "query member '%s' is not the hash it must be",
			              scheme_shown(r, t->when[i].param));
			return false;
		}
		*out = t->when[i].sign;
		return true;
	}
	return true;
}

static bool verify_has_keys(const scheme_keys *keys, size_t group)
{
	size_t i;

	for (i = 0; i < keys->key_count; i++)
		if (keys->keys[i].group == group)
			return true;
	return false;
}

/* The first set that passes is what ids are read of. */
static bool verify_passed(scheme_reading *r, knocker_bytes set)
{
	if (bytes_given(r->passed_set))
		return true;
	r->passed_set = set;
	r->passed_token = r->token;
	memcpy(r->passed_vars, r->vars, sizeof r->vars);
	return true;
}

/* One token: signed first, since only then its claims are anybody's, which vars may be. */
static bool verify_token(scheme_reading *r, const scheme_try *t, size_t group, knocker_bytes token)
{
	int64_t off_s;

	return scheme_jwt_signed(r, group, token) && verify_vars_read(r, t, &off_s) &&
	       scheme_jwt_claims_good(r, &t->jwt) && verify_in_window(r, off_s);
}

/* One set of items that are tokens. */
static bool verify_tokens(scheme_reading *r, const scheme_try *t, knocker_bytes set)
{
	bool passes = false, usable = false;
	size_t i, c;

	scheme_items_cut(r, set);
	for (i = 0; i < r->scheme->group_count; i++) {
		if (!verify_has_keys(r->keys, i))
			continue;
		scheme_candidates_find(r, &t->groups[i], DIGEST_SHA256);
		usable |= r->candidate_count > 0;
		for (c = 0; c < r->candidate_count; c++)
			if (verify_token(r, t, i, r->candidates[c].bytes))
				passes = verify_passed(r, set);
	}
	if (!usable)
		scheme_refuse(r, REFUSED_MALFORMED, "no usable signature in %s",
		              scheme_source_says(r, &t->from.list[0]));
	return passes;
}

/* One set of items: its vars, all of its candidates under all keys, and then the window. */
static bool verify_set(scheme_reading *r, const scheme_try *t, knocker_bytes set)
{
	bool matched = false, usable = false;
	scheme_templates sign;
	int64_t off_s;
	digest d;
	size_t i;

	scheme_items_cut(r, set);
	if (!verify_vars_read(r, t, &off_s) || !scheme_signed_choose(r, t, &sign))
		return false;
	for (i = 0; i < r->scheme->group_count; i++) {
		if (!verify_has_keys(r->keys, i) || !verify_digest(r, &t->groups[i].alg, &d))
			continue;
		scheme_candidates_find(r, &t->groups[i], d);
		if (r->candidate_count == 0)
			continue;
		usable = true;
		matched |= t->groups[i].kind->check(r, i, sign);
	}
	if (!usable)
		scheme_refuse(r, REFUSED_MALFORMED, "no usable signature in %s",
		              scheme_source_says(r, &t->from.list[0]));
	else if (!matched)
		scheme_refuse(r, REFUSED_MISMATCH, "signature does not match");
	return matched && verify_in_window(r, off_s) && verify_passed(r, set);
}

/* One signature's text, in all its sets. */
static bool verify_text(scheme_reading *r, const scheme_try *t, const scheme_source *source,
                        knocker_bytes text)
{
	knocker_bytes sets = r->scheme->signature.sets, set;
	bool passes = false;
	size_t at = 0;

	r->has_signature = true;
	if (!scheme_word_off(r->scheme->signature.word, &text)) {
		scheme_refuse(r, REFUSED_MALFORMED, "no usable signature in %s",
		              scheme_source_says(r, source));
		return false;
	}
	while (r->sets_seen < SCHEME_SETS_MAX && scheme_piece_next(text, sets, &at, &set)) {
		r->sets_seen++;
		passes |= t->groups[0].kind->id == KIND_JWT ? verify_tokens(r, t, set)
		                                            : verify_set(r, t, set);
	}
	return passes;
}

/* header*: every value of every header whose name begins so. */
static bool verify_headers(scheme_reading *r, const scheme_try *t, const scheme_source *source)
{
	knocker_bytes prefix = scheme_name_text(r, source->name), name, value;
	bool passes = false;
	size_t at = 0;

	while (request_header_next(r->request->headers, &at, &name, &value))
		if (value.len > 0 && request_name_begins(name, prefix))
			passes |= verify_text(r, t, source, value);
	return passes;
}

/* Every source of the signature that has a text. */
static bool verify_sources(scheme_reading *r, const scheme_try *t)
{
	bool passes = false, refused = false;
	size_t i;

	r->candidates_seen = r->sets_seen = 0;
	for (i = 0; i < t->from.count; i++) {
		const scheme_source *source = &t->from.list[i];
		scheme_text read;

		if (source->kind == SOURCE_HEADERS) {
			passes |= verify_headers(r, t, source);
			continue;
		}
		r->item_count = 0;
		read = scheme_source_read(r, source);
		if (read.ambiguous) {
			r->has_signature = refused = true;
			scheme_refuse(r, REFUSED_AMBIGUOUS, "different values of %s",
			              scheme_source_says(r, source));
		} else if (bytes_given(read.text)) {
			passes |= verify_text(r, t, source, read.text);
		}
	}
	if (!passes)
		scheme_refuse(r, REFUSED_MISSING, "no signature: %s is missing",
		              scheme_source_says(r, &t->from.list[0]));
	return passes && !refused;
}

/* ---- the items of `base` ---- */

/* The path before ".*" or ".*." of a base, what follows it, and whether there is such a thing. */
static bool verify_base_cut(knocker_bytes base, knocker_bytes *array, knocker_bytes *member)
{
	const char *star = memmem(base.data, (size_t)base.len, ".*", 2);
	size_t at = star ? (size_t)(star - (const char *)base.data) : 0;

	*array = base;
	*member = bytes_of("");
	if (!star)
		return false;
	*array = bytes_part(base, 0, at);
	if ((size_t)base.len > at + 3)
		*member = bytes_part(base, at + 3, (size_t)base.len);
	return true;
}

/* Every element of an array must pass. The first that does not ends it: which one is no secret. */
static bool verify_elements(scheme_reading *r, const scheme_try *t, scan_value array,
                            knocker_bytes member)
{
	scan_value element;
	size_t at = 0;

	while (scan_each(array, &at, &element)) {
		scheme_item_enter(r, member.len > 0 ? scan_find(element.raw, member) : element);
		if (!verify_sources(r, t))
			return false;
	}
	return true;
}

/* The first item of the first base that the body has; ids are read from it. */
static bool verify_first_item(scheme_reading *r, scan_value *array, knocker_bytes *member,
                              bool *each)
{
	const scheme *s = r->scheme;
	knocker_bytes path;
	scan_value element;
	size_t i, at;

	for (i = 0; i < s->base_count; i++) {
		*each = verify_base_cut(s->bases[i], &path, member);
		*array = scan_find(r->request->body, path);
		at = 0;
		if (array->type == SCAN_ABSENT || (*each && !scan_each(*array, &at, &element)))
			continue;
		if (!*each)
			element = *array;
		else if (member->len > 0)
			element = scan_find(element.raw, *member);
		scheme_item_enter(r, element);
		return true;
	}
	return false;
}

static bool verify_family(scheme_reading *r, const scheme_try *t)
{
	scan_value array;
	knocker_bytes member;
	bool each;

	r->current = t;
	r->passed_set = (knocker_bytes){0};
	if (r->scheme->base_count == 0)
		return verify_sources(r, t);
	if (!verify_first_item(r, &array, &member, &each)) {
		scheme_refuse(r, REFUSED_MISSING, "the body has no member '%s'",
		              scheme_shown(r, r->scheme->bases[0]));
		return false;
	}
	return each ? verify_elements(r, t, array, member) : verify_sources(r, t);
}

/* The families in turn; of those that fail the first with a signature is the one that ids are read
 * by. */
static bool verify_families(scheme_reading *r)
{
	const scheme *s = r->scheme;
	const scheme_try *told = NULL;
	bool any = false;
	size_t i;

	for (i = 0; i < s->try_count; i++) {
		r->has_signature = false;
		if (verify_family(r, &s->tries[i]))
			return true;
		if (r->has_signature && !told)
			told = &s->tries[i];
		any |= r->has_signature;
	}
	r->has_signature = any;
	r->current = told ? told : s->tries;
	scheme_token_enter(r, (knocker_bytes){0});
	return false;
}

/* Whether the body hands over a secret, to be taken or not. */
static bool verify_secret_handed(scheme_reading *r)
{
	const scheme *s = r->scheme;
	bool handed = false;
	size_t i;

	for (i = 0; i < s->handshake_count; i++) {
		const scheme_source *store = &s->handshakes[i].store;

		if (s->handshakes[i].stores && (store->kind == SOURCE_JSON || store->kind == SOURCE_FORM))
			handed |= bytes_given(scheme_source_read(r, store).text);
	}
	return handed;
}

static void verify_read(scheme_reading *r, scheme_verdict *out)
{
	const scheme *s = r->scheme;

	if (scheme_handshake_answer(r, false, out)) {
		out->error = "handshake, answered without a signature";
	} else if (r->keys->key_count > 0 && verify_families(r)) {
		out->valid = true;
		r->has_signature = true;
		memcpy(r->vars, r->passed_vars, sizeof r->vars);
		if (r->token.data != r->passed_token.data)
			scheme_token_enter(r, r->passed_token);
		scheme_items_cut(r, r->passed_set);
		if (!scheme_handshake_answer(r, true, out) && !scheme_answer_write(r, &s->accept, out))
			out->status = s->accept.status;
	} else {
		if (r->keys->key_count == 0)
			verify_families(r);
		out->error = r->keys->key_count > 0 ? r->error : "no secret is known yet";
		if (!scheme_answer_write(r, &s->reject, out))
			out->status = s->reject.status;
	}
	out->has_signature = r->has_signature;
	out->body_is_credential = s->credential_in_body || verify_secret_handed(r);
	if (s->base_count > 0) {
		scan_value array;
		knocker_bytes member;
		bool each;

		verify_first_item(r, &array, &member, &each);
	}
	scheme_extract(r, out, out->valid && !out->handshake);
}

int32_t scheme_verify(const scheme *s, const scheme_keys *keys, const scheme_request *request,
                      int64_t now_s, arena *a, scheme_verdict *out, knocker_error *error)
{
	scheme_reading r;

	*out = (scheme_verdict){0};
	scheme_reading_begin(&r, s, keys, request, now_s, a);
	verify_read(&r, out);
	if (!r.no_memory)
		return 0;
	*out = (scheme_verdict){0};
	return fail_memory(error);
}
