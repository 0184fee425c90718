/* Compiles how a scheme is signed: its kind, keys, signature and vars, once for each family. Knows
 * nothing of ids and answers. */
#include <string.h>

#include "error.h"
#include "scheme_parse.h"

/* ---- signature ---- */

int32_t scheme_parse_signature(scheme_parser *p)
{
	const json *sig = scheme_parse_top(p, "sig");
	static const char *const known[] = {"from", "scheme", "sets", "items",  "trim",
	                                    "kv",   "pick",   "skip", "prefix", "prefix_optional",
	                                    "enc",  NULL};
	static const char *const encodings[] = {"", "hex", "base64", "base64url", NULL};
	scheme_signature *out = &p->scheme->signature;
	bool has_encoding = p->scheme->kind->has_encoding;
	knocker_bytes enc;
	int64_t skip = 0;
	size_t word = 0;
	int32_t rc = scheme_parse_known(p, sig, "sig", known);

	if (rc == 0 && p->scheme->kind->id == KIND_BASIC && json_member(sig, "scheme"))
		rc = fail(p->error, KNOCKER_INVALID_ARGUMENT,
		          "scheme: 'sig.scheme' is always Basic for kind 'basic'");
	if (rc == 0)
		rc = scheme_parse_text(p, sig, "sig", "scheme", false, &out->word);
	if (rc == 0)
		rc = scheme_parse_text(p, sig, "sig", "sets", false, &out->sets);
	if (rc == 0)
		rc = scheme_parse_text(p, sig, "sig", "items", false, &out->items);
	if (rc == 0)
		rc = scheme_parse_text(p, sig, "sig", "kv", false, &out->kv);
	if (rc == 0)
		rc = scheme_parse_text(p, sig, "sig", "prefix", false, &out->prefix);
	if (rc == 0)
		rc = scheme_parse_bool(p, sig, "sig", "trim", &out->trim);
	if (rc == 0)
		rc = scheme_parse_bool(p, sig, "sig", "prefix_optional", &out->prefix_optional);
	if (rc == 0)
		rc = scheme_parse_int(p, sig, "sig", "skip", SCHEME_ITEMS_MAX, &skip);
	if (rc == 0)
		rc = scheme_parse_text(p, sig, "sig", "enc", has_encoding, &enc);
	if (rc == 0 && bytes_given(enc))
		rc = has_encoding
		         ? scheme_parse_word(p, "sig.enc", enc, encodings, &word)
		         : fail(p->error, KNOCKER_INVALID_ARGUMENT,
		                "scheme: 'sig.enc' has no meaning for kind '%s'", p->scheme->kind->name);
	if (rc == 0 && out->prefix_optional && !bytes_given(out->prefix))
		rc = fail(p->error, KNOCKER_INVALID_ARGUMENT,
		          "scheme: 'sig.prefix_optional' needs 'sig.prefix'");
	if (p->scheme->kind->id == KIND_BASIC)
		out->word = bytes_of("Basic");
	out->skip = (size_t)skip;
	out->encoding = (encoding)word;
	return rc;
}

static int32_t parse_pick(scheme_parser *p, const json *value, scheme_group *out)
{
	scheme_name *list;
	const json *text;
	size_t count;
	int32_t rc = scheme_parse_list(p, value, "pick", &count);

	list = rc < 0 ? NULL : scheme_room(p, count, sizeof *list);
	if (!list)
		return rc < 0 ? rc : KNOCKER_STORAGE;
	if (!bytes_given(p->scheme->signature.kv) || p->scheme->signature.skip > 0)
		return fail(p->error, KNOCKER_INVALID_ARGUMENT,
		            "scheme: 'pick' needs 'sig.kv' and no 'sig.skip'");
	out->pick = list;
	for (text = json_first(value); rc == 0 && text; text = json_next(text)) {
		knocker_bytes word = json_text(text), parts = {0};
		char braced[LIMIT_NAME + 16];

		if (!bytes_given(word) || word.len == 0 || word.len > LIMIT_NAME)
			return fail(p->error, KNOCKER_INVALID_ARGUMENT,
			            "scheme: 'pick' holds what is not a name");
		if (bytes_starts(word, "option:")) {
			braced[0] = '{';
			memcpy(braced + 1, word.data, (size_t)word.len);
			braced[word.len + 1] = '}';
			parts = (knocker_bytes){braced, word.len + 2};
		}
		rc = scheme_parse_name(p, "pick", bytes_given(parts) ? parts : word,
		                       &list[out->pick_count++]);
	}
	return rc;
}

/* ---- alg and key ---- */

static int32_t parse_digest(scheme_parser *p, knocker_bytes text, digest *out)
{
	static const char *const names[] = {"sha1", "sha256", "sha384", "sha512", NULL};
	size_t word;
	int32_t rc = scheme_parse_word(p, "alg", text, names, &word);

	*out = rc < 0 ? DIGEST_SHA256 : (digest)word;
	return rc;
}

static int32_t parse_alg_map(scheme_parser *p, const json *map, scheme_alg *out)
{
	scheme_alg_name *list;
	const json *value;
	int32_t rc = 0;

	if (json_kind(map) != JSON_OBJECT)
		return fail(p->error, KNOCKER_INVALID_ARGUMENT, "scheme: 'alg.map' is not an object");
	list = scheme_room(p, json_count(map), sizeof *list);
	if (!list)
		return KNOCKER_STORAGE;
	out->map = list;
	for (value = json_first(map); rc == 0 && value; value = json_next(value)) {
		rc = scheme_copy(p, json_name(value), &list[out->map_count].name);
		if (rc == 0)
			rc = parse_digest(p, json_text(value), &list[out->map_count++].digest);
	}
	return rc;
}

static int32_t parse_alg_by_source(scheme_parser *p, const json *value, scheme_alg *out)
{
	static const char *const known[] = {"from", "items", "kv",      "trim",
	                                    "pick", "map",   "default", NULL};
	knocker_bytes fallback = {0};
	bool needed;
	int32_t rc = scheme_parse_known(p, value, "alg", known);

	out->how = ALG_BY_SOURCE;
	if (rc == 0)
		rc = scheme_parse_sources(p, json_member(value, "from"), "alg.from", &out->from);
	if (rc == 0)
		rc = scheme_parse_text(p, value, "alg", "pick", false, &out->pick);
	needed = bytes_given(out->pick);
	if (rc == 0 && !needed &&
	    (json_member(value, "items") || json_member(value, "kv") || json_member(value, "trim")))
		rc = fail(p->error, KNOCKER_INVALID_ARGUMENT, "scheme: 'alg.pick' is missing");
	if (rc == 0)
		rc = scheme_parse_text(p, value, "alg", "items", needed, &out->items);
	if (rc == 0)
		rc = scheme_parse_text(p, value, "alg", "kv", needed, &out->kv);
	if (rc == 0)
		rc = scheme_parse_bool(p, value, "alg", "trim", &out->trim);
	if (rc == 0)
		rc = parse_alg_map(p, json_member(value, "map"), out);
	if (rc == 0)
		rc = scheme_parse_text(p, value, "alg", "default", false, &fallback);
	out->has_fallback = bytes_given(fallback);
	return rc < 0 || !out->has_fallback ? rc : parse_digest(p, fallback, &out->fixed);
}

static int32_t parse_alg(scheme_parser *p, const json *value, const scheme_kind *kind,
                         scheme_alg *out)
{
	out->fixed = DIGEST_SHA256;
	if (!kind->has_alg)
		return value ? fail(p->error, KNOCKER_INVALID_ARGUMENT,
		                    "scheme: 'alg' has no meaning for kind '%s'", kind->name)
		             : 0;
	if (!value)
		return fail(p->error, KNOCKER_INVALID_ARGUMENT, "scheme: 'alg' is missing");
	if (json_kind(value) == JSON_OBJECT)
		return parse_alg_by_source(p, value, out);
	if (bytes_is(json_text(value), "auto")) {
		out->how = ALG_AUTO;
		return 0;
	}
	return parse_digest(p, json_text(value), &out->fixed);
}

/* Whether keys of the kind may come so. A jwt's depend on its algs: scheme_parse_jwt asks. */
static bool parse_key_fits(const scheme_kind *kind, key_decoding decode)
{
	if (kind->id == KIND_ECDSA_P256 || kind->id == KIND_RSA_PKCS1)
		return decode >= DECODE_PEM;
	if (kind->id == KIND_ED25519)
		return decode <= DECODE_PEM;
	return kind->id == KIND_JWT || decode < DECODE_PEM;
}

/* `host`: the option that names whose certificate it must be. */
static int32_t parse_key_host(scheme_parser *p, const json *value, scheme_key_rule *out)
{
	knocker_bytes name = {0};
	int32_t rc = scheme_parse_text(p, value, "key", "host", false, &name);
	ptrdiff_t option;

	if (rc < 0 || !bytes_given(name))
		return rc;
	if (out->decode != DECODE_PEM)
		return fail(p->error, KNOCKER_INVALID_ARGUMENT,
		            "scheme: 'key.host' needs 'key.decode' to be 'pem-or-spki-b64'");
	option = scheme_option_find(p->scheme, name);
	if (option < 0)
		return fail(p->error, KNOCKER_INVALID_ARGUMENT,
		            "scheme: 'key.host' reads an option that is not declared: '%.*s'",
		            QUOTED(name));
	out->host = (size_t)option + 1;
	return 0;
}

static int32_t parse_key(scheme_parser *p, const json *value, const scheme_kind *kind,
                         scheme_key_rule *out)
{
	static const char *const known[] = {"strip", "decode", "derive", "host", NULL};
	static const char *const decodings[] =
		{"utf8", "hex", "base64", "base64-or-raw", "pem-or-spki-b64", "jwks", NULL};
	knocker_bytes decode, derive;
	size_t word = 0;
	int32_t rc;

	if (!kind->has_key && value)
		return fail(p->error, KNOCKER_INVALID_ARGUMENT,
		            "scheme: 'key' has no meaning for kind '%s'", kind->name);
	if (!value)
		return parse_key_fits(kind, DECODE_UTF8)
		           ? 0
		           : fail(p->error, KNOCKER_INVALID_ARGUMENT, "scheme: 'key' is missing");
	rc = scheme_parse_known(p, value, "key", known);
	if (rc == 0)
		rc = scheme_parse_text(p, value, "key", "strip", false, &out->strip);
	if (rc == 0)
		rc = scheme_parse_text(p, value, "key", "decode", true, &decode);
	if (rc == 0)
		rc = scheme_parse_word(p, "key.decode", decode, decodings, &word);
	if (rc == 0 && !parse_key_fits(kind, (key_decoding)word))
		rc = fail(p->error, KNOCKER_INVALID_ARGUMENT,
		          "scheme: 'key.decode' is '%s', which makes no keys of kind '%s'", decodings[word],
		          kind->name);
	if (rc == 0)
		rc = scheme_parse_text(p, value, "key", "derive", false, &derive);
	if (rc == 0 && bytes_given(derive) && word >= DECODE_PEM)
		rc = fail(p->error, KNOCKER_INVALID_ARGUMENT,
		          "scheme: 'key.derive' has no meaning for public keys");
	if (rc == 0 && bytes_given(derive) && !bytes_is(derive, "sha1"))
		return fail(p->error, KNOCKER_INVALID_ARGUMENT,
		            "scheme: 'key.derive' is the unknown word '%.*s'", QUOTED(derive));
	out->decode = (key_decoding)word;
	out->derive_sha1 = rc == 0 && bytes_given(derive);
	return rc < 0 ? rc : parse_key_host(p, value, out);
}

/* ---- groups: the scheme's own kind and its `alt`s ---- */

static int32_t parse_kind(scheme_parser *p, knocker_bytes name, const scheme_kind **out)
{
	*out = scheme_kind_find(name);
	if (!*out)
		return fail(p->error, KNOCKER_INVALID_ARGUMENT, "scheme: 'kind' is the unknown word '%.*s'",
		            QUOTED(name));
	return 0;
}

static int32_t parse_alt(scheme_parser *p, const json *value, const scheme_group *own,
                         scheme_group *out)
{
	static const char *const known[] = {"kind", "alg", "key", "pick", NULL};
	const json *alg = json_member(value, "alg");
	knocker_bytes kind;
	int32_t rc = scheme_parse_known(p, value, "alt", known);

	if (rc == 0)
		rc = scheme_parse_text(p, value, "alt", "kind", true, &kind);
	if (rc == 0)
		rc = parse_kind(p, kind, &out->kind);
	if (rc == 0 && (out->kind->id == KIND_JWT) != (own->kind->id == KIND_JWT))
		rc = fail(p->error, KNOCKER_INVALID_ARGUMENT,
		          "scheme: 'alt.kind' is '%s', but tokens and signatures do not go together",
		          out->kind->name);
	if (rc == 0 && !alg && out->kind->has_alg && own->kind->has_alg)
		out->alg = own->alg;
	else if (rc == 0)
		rc = parse_alg(p, alg, out->kind, &out->alg);
	if (rc == 0)
		rc = parse_key(p, json_member(value, "key"), out->kind, &out->key);
	if (rc == 0 && out->key.strip.len == 0)
		rc = fail(p->error, KNOCKER_INVALID_ARGUMENT,
		          "scheme: 'alt.key.strip' is missing: it tells whose a secret is");
	out->pick = own->pick;
	out->pick_count = own->pick_count;
	if (rc == 0 && json_member(value, "pick")) {
		out->pick_count = 0;
		rc = parse_pick(p, json_member(value, "pick"), out);
	}
	return rc;
}

static int32_t parse_groups(scheme_parser *p, scheme_try *t)
{
	const json *alts = scheme_parse_top(p, "alt"), *sig = scheme_parse_top(p, "sig"), *value;
	scheme_group *own = &t->groups[0];
	size_t count = 0;
	int32_t rc;

	own->kind = p->scheme->kind;
	rc = parse_alg(p, scheme_parse_top(p, "alg"), own->kind, &own->alg);
	if (rc == 0)
		rc = parse_key(p, scheme_parse_top(p, "key"), own->kind, &own->key);
	if (rc == 0 && json_member(sig, "pick"))
		rc = parse_pick(p, json_member(sig, "pick"), own);
	if (rc == 0 && alts)
		rc = scheme_parse_list(p, alts, "alt", &count);
	if (rc == 0 && count >= SCHEME_GROUPS_MAX)
		rc = fail(p->error, KNOCKER_INVALID_ARGUMENT, "scheme: more than %d alts",
		          SCHEME_GROUPS_MAX - 1);
	for (value = json_first(alts), count = 1; rc == 0 && value; value = json_next(value))
		rc = parse_alt(p, value, own, &t->groups[count++]);
	p->scheme->group_count = count;
	return rc;
}

/* ---- vars, signed, when_query ---- */

static int32_t parse_var(scheme_parser *p, const json *value, scheme_var *out)
{
	static const char *const known[] = {"from", "unit", "number", "is", NULL};
	static const char *const units[] = {"", "s", "ms", "rfc3339", "rfc3339-or-s", NULL};
	knocker_bytes unit = {0}, is = {0};
	size_t word = UNIT_NONE;
	int32_t rc = scheme_parse_known(p, value, "vars", known);

	if (rc == 0)
		rc = scheme_copy(p, json_name(value), &out->name);
	if (rc == 0)
		rc = scheme_parse_sources(p, json_member(value, "from"), "vars.from", &out->from);
	if (rc == 0 && out->from.count == 0)
		rc = fail(p->error, KNOCKER_INVALID_ARGUMENT, "scheme: 'vars.from' is empty");
	if (rc == 0)
		rc = scheme_parse_text(p, value, "vars", "unit", false, &unit);
	if (rc == 0 && bytes_given(unit))
		rc = scheme_parse_word(p, "vars.unit", unit, units, &word);
	if (rc == 0)
		rc = scheme_parse_bool(p, value, "vars", "number", &out->number);
	if (rc == 0)
		rc = scheme_parse_text(p, value, "vars", "is", false, &is);
	out->has_is = bytes_given(is);
	if (rc == 0 && out->has_is)
		rc = scheme_parse_source(p, "vars.is", is, &out->is);
	out->unit = (time_unit)word;
	return rc;
}

static int32_t parse_vars(scheme_parser *p, scheme_try *t)
{
	const json *vars = scheme_parse_top(p, "vars"), *value;
	size_t count = 0;
	int32_t rc = 0;

	if (vars && json_kind(vars) != JSON_OBJECT)
		return fail(p->error, KNOCKER_INVALID_ARGUMENT, "scheme: 'vars' is not an object");
	for (value = json_first(vars); rc == 0 && value; value = json_next(value)) {
		if (count == SCHEME_VARS_MAX)
			return fail(p->error, KNOCKER_INVALID_ARGUMENT, "scheme: more than %d vars",
			            SCHEME_VARS_MAX);
		rc = parse_var(p, value, &t->vars[count++]);
	}
	p->scheme->var_count = count;
	return rc;
}

static int32_t parse_require(scheme_parser *p, knocker_bytes text, scheme_template *out)
{
	knocker_bytes hashed;

	if (!scheme_parse_hashed(text, &hashed))
		return fail(p->error, KNOCKER_INVALID_ARGUMENT,
		            "scheme: 'when_query.require' is '%.*s' and must be sha256hex(TEMPLATE)",
		            QUOTED(text));
	return scheme_parse_template(p, "when_query.require", hashed, IN_SIGNED, out);
}

static int32_t parse_when_query(scheme_parser *p, scheme_try *t)
{
	static const char *const known[] = {"require", "signed", NULL};
	const json *when = scheme_parse_top(p, "when_query"), *value;
	scheme_when_query *list;
	knocker_bytes require;
	int32_t rc = 0;

	if (!when)
		return 0;
	if (json_kind(when) != JSON_OBJECT)
		return fail(p->error, KNOCKER_INVALID_ARGUMENT, "scheme: 'when_query' is not an object");
	if (p->scheme->option_url < 0)
		return fail(p->error, KNOCKER_INVALID_ARGUMENT,
		            "scheme: 'when_query' needs an option 'url'");
	list = scheme_room(p, json_count(when), sizeof *list);
	if (!list)
		return KNOCKER_STORAGE;
	t->when = list;
	for (value = json_first(when); rc == 0 && value; value = json_next(value)) {
		scheme_when_query *out = &list[t->when_count++];

		rc = scheme_parse_known(p, value, "when_query", known);
		if (rc == 0)
			rc = scheme_copy(p, json_name(value), &out->param);
		if (rc == 0)
			rc = scheme_parse_text(p, value, "when_query", "require", true, &require);
		if (rc == 0)
			rc = parse_require(p, require, &out->require);
		if (rc == 0)
			rc = scheme_parse_templates(p, json_member(value, "signed"), "when_query.signed",
			                            IN_SIGNED, &out->sign);
	}
	return rc;
}

static int32_t parse_signed(scheme_parser *p, scheme_try *t)
{
	const json *value = scheme_parse_top(p, "signed");
	const scheme_kind *kind = p->scheme->kind;
	int32_t rc;

	if (!kind->has_signed)
		return value ? fail(p->error, KNOCKER_INVALID_ARGUMENT,
		                    "scheme: 'signed' has no meaning for kind '%s'", kind->name)
		             : 0;
	rc = scheme_parse_templates(p, value, "signed", IN_SIGNED, &t->sign);
	if (rc == 0 && t->sign.count == 0)
		rc = fail(p->error, KNOCKER_INVALID_ARGUMENT, "scheme: 'signed' is empty");
	return rc < 0 ? rc : parse_when_query(p, t);
}

/* ---- once for each family ---- */

static int32_t parse_try(scheme_parser *p, scheme_try *t)
{
	const json *sig = scheme_parse_top(p, "sig");
	int32_t rc;

	p->current = t;
	t->family = p->family;
	rc = scheme_parse_sources(p, json_member(sig, "from"), "sig.from", &t->from);
	if (rc == 0 && t->from.count == 0)
		rc = fail(p->error, KNOCKER_INVALID_ARGUMENT, "scheme: 'sig.from' is empty");
	if (rc == 0)
		rc = parse_groups(p, t);
	if (rc == 0)
		rc = parse_vars(p, t);
	if (rc == 0)
		rc = scheme_parse_header_list(p, &t->header_list);
	if (rc == 0)
		rc = parse_signed(p, t);
	if (rc == 0 && p->scheme->kind->id == KIND_JWT)
		rc = scheme_parse_jwt(p, t);
	return rc < 0 ? rc : scheme_parse_extract(p, scheme_parse_top(p, "extract"), t);
}

int32_t scheme_parse_tries(scheme_parser *p)
{
	const json *families = scheme_parse_top(p, "families"), *value = json_first(families);
	scheme *s = p->scheme;
	scheme_try *tries;
	size_t i, count = 1;
	int32_t rc = 0;

	if (families)
		rc = scheme_parse_list(p, families, "families", &count);
	if (rc == 0 && (count == 0 || count > SCHEME_FAMILIES_MAX))
		rc = fail(p->error, KNOCKER_INVALID_ARGUMENT,
		          "scheme: 'families' has none, or more than %d", SCHEME_FAMILIES_MAX);
	tries = rc < 0 ? NULL : scheme_room(p, count, sizeof *tries);
	if (!tries)
		return rc < 0 ? rc : KNOCKER_STORAGE;
	s->tries = tries;
	s->try_count = count;
	p->has_family = families != NULL;
	for (i = 0; rc == 0 && i < count; i++) {
		if (families && json_kind(value) != JSON_TEXT)
			return fail(p->error, KNOCKER_INVALID_ARGUMENT,
			            "scheme: 'families' holds what is not a text");
		if (families)
			rc = scheme_copy(p, json_text(value), &p->family);
		if (rc == 0)
			rc = parse_try(p, &tries[i]);
		value = families ? json_next(value) : NULL;
	}
	p->has_family = false;
	p->current = tries;
	return rc;
}

int32_t scheme_parse_kind(scheme_parser *p)
{
	const json *kind = scheme_parse_top(p, "kind");

	if (json_kind(kind) != JSON_TEXT)
		return fail(p->error, KNOCKER_INVALID_ARGUMENT, "scheme: 'kind' is %s",
		            kind ? "not a text" : "missing");
	return parse_kind(p, json_text(kind), &p->scheme->kind);
}
