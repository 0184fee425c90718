/* Compiles what a scheme says of a token: its algorithms and claims. Knows nothing of how one is
 * judged. */
#include <string.h>

#include "error.h"
#include "scheme_jwt.h"
#include "scheme_parse.h"

bool scheme_parse_hashed(knocker_bytes text, knocker_bytes *template_text)
{
	if (!bytes_starts(text, "sha256hex(") || ((const char *)text.data)[text.len - 1] != ')')
		return false;
	*template_text = bytes_part(text, 10, (size_t)text.len - 1);
	return true;
}

static int32_t jwt_parse_text(scheme_parser *p, const char *what, const json *value)
{
	return json_kind(value) == JSON_TEXT && json_text(value).len > 0
	           ? 0
	           : fail(p->error, KNOCKER_INVALID_ARGUMENT,
	                  "scheme: '%s' holds what is not a text that says something", what);
}

/* A secret that verifies under HS could be a public key that everybody knows. */
static int32_t jwt_parse_algs(scheme_parser *p, const json *list, scheme_jwt *out)
{
	const json *value;
	size_t count;
	jwt_alg word;
	int32_t rc = scheme_parse_list(p, list, "jwt.algs", &count);

	if (rc == 0 && count == 0)
		rc = fail(p->error, KNOCKER_INVALID_ARGUMENT, "scheme: 'jwt.algs' is empty");
	for (value = json_first(list); rc == 0 && value; value = json_next(value)) {
		rc = jwt_parse_text(p, "jwt.algs", value);
		word = scheme_jwt_find(json_text(value));
		if (rc == 0 && word == JWT_ALGS)
			rc = fail(p->error, KNOCKER_INVALID_ARGUMENT,
			          "scheme: 'jwt.algs' is the unknown word '%.*s'", QUOTED(json_text(value)));
		else if (rc == 0)
			out->algs |= JWT_BIT(word);
	}
	if (rc == 0 && out->algs & JWT_HS && out->algs & ~JWT_HS)
		rc = fail(p->error, KNOCKER_INVALID_ARGUMENT,
		          "scheme: 'jwt.algs' has both secret (HS) and public-key algorithms");
	return rc;
}

static int32_t jwt_parse_keys(scheme_parser *p, const scheme_try *t)
{
	bool secret = (t->jwt.algs & JWT_HS) != 0;
	size_t i;

	for (i = 0; i < p->scheme->group_count; i++)
		if ((t->groups[i].key.decode < DECODE_PEM) != secret)
			return fail(p->error, KNOCKER_INVALID_ARGUMENT,
			            "scheme: 'key.decode' makes no keys of these 'jwt.algs'");
	return 0;
}

static int32_t jwt_parse_require(scheme_parser *p, const json *list, scheme_jwt *out)
{
	const json *value;
	size_t count, *slots;
	int32_t rc = scheme_parse_list(p, list, "jwt.require", &count);

	slots = rc < 0 ? NULL : scheme_room(p, count, sizeof *slots);
	if (!slots)
		return rc < 0 ? rc : KNOCKER_STORAGE;
	out->require = slots;
	for (value = json_first(list); rc == 0 && value; value = json_next(value)) {
		rc = jwt_parse_text(p, "jwt.require", value);
		if (rc == 0)
			rc = scheme_parse_claim(p, "jwt.require", json_text(value), true,
			                        &slots[out->require_count++]);
	}
	return rc;
}

/* One template, a list of them, or the hash of one. */
static int32_t jwt_parse_claim(scheme_parser *p, const json *value, scheme_claim *out)
{
	scheme_template *one;
	knocker_bytes text;
	int32_t rc = scheme_parse_claim(p, "jwt.claims", json_name(value), true, &out->slot);

	if (rc < 0)
		return rc;
	if (json_kind(value) == JSON_ARRAY) {
		rc = scheme_parse_templates(p, value, "jwt.claims", IN_CLAIM, &out->texts);
		if (rc == 0 && out->texts.count == 0)
			rc = fail(p->error, KNOCKER_INVALID_ARGUMENT, "scheme: 'jwt.claims' has an empty list");
		return rc;
	}
	rc = jwt_parse_text(p, "jwt.claims", value);
	one = rc < 0 ? NULL : scheme_room(p, 1, sizeof *one);
	if (!one)
		return rc < 0 ? rc : KNOCKER_STORAGE;
	text = json_text(value);
	out->is_hash = scheme_parse_hashed(text, &text);
	out->texts = (scheme_templates){one, 1};
	return scheme_parse_template(p, "jwt.claims", text, IN_CLAIM, one);
}

static int32_t jwt_parse_claims(scheme_parser *p, const json *claims, scheme_jwt *out)
{
	scheme_claim *list;
	const json *value;
	int32_t rc = 0;

	if (json_kind(claims) != JSON_OBJECT)
		return fail(p->error, KNOCKER_INVALID_ARGUMENT, "scheme: 'jwt.claims' is not an object");
	list = scheme_room(p, json_count(claims), sizeof *list);
	if (!list)
		return KNOCKER_STORAGE;
	out->claims = list;
	for (value = json_first(claims); rc == 0 && value; value = json_next(value))
		rc = jwt_parse_claim(p, value, &list[out->claim_count++]);
	return rc;
}

static int32_t jwt_parse_if_body(scheme_parser *p, const json *list, scheme_jwt *out)
{
	scheme_claim *claims = (scheme_claim *)out->claims;
	const json *value;
	size_t count, i;
	int32_t rc = scheme_parse_list(p, list, "jwt.if_body", &count);

	for (value = json_first(list); rc == 0 && value; value = json_next(value)) {
		rc = jwt_parse_text(p, "jwt.if_body", value);
		for (i = 0; rc == 0 && i < out->claim_count; i++)
			if (bytes_equal(json_text(value), p->scheme->claims[claims[i].slot].text))
				break;
		if (rc == 0 && i == out->claim_count)
			rc = fail(p->error, KNOCKER_INVALID_ARGUMENT,
			          "scheme: 'jwt.if_body' names no member of 'jwt.claims': '%.*s'",
			          QUOTED(json_text(value)));
		else if (rc == 0)
			claims[i].if_body = true;
	}
	return rc;
}

int32_t scheme_parse_jwt(scheme_parser *p, scheme_try *t)
{
	static const char *const known[] = {"algs", "leeway_s", "require", "claims", "if_body", NULL};
	const json *jwt = scheme_parse_top(p, "jwt"), *member;
	scheme_jwt *out = &t->jwt;
	int32_t rc = scheme_parse_known(p, jwt, "jwt", known);

	if (rc == 0)
		rc = jwt_parse_algs(p, json_member(jwt, "algs"), out);
	if (rc == 0)
		rc = jwt_parse_keys(p, t);
	if (rc == 0)
		rc = scheme_parse_int(p, jwt, "jwt", "leeway_s", INT32_MAX, &out->leeway_s);
	if (rc == 0)
		rc = scheme_parse_claim(p, "jwt", bytes_of("exp"), true, &out->exp);
	if (rc == 0)
		rc = scheme_parse_claim(p, "jwt", bytes_of("nbf"), true, &out->nbf);
	member = json_member(jwt, "require");
	if (rc == 0 && member)
		rc = jwt_parse_require(p, member, out);
	member = json_member(jwt, "claims");
	if (rc == 0 && member)
		rc = jwt_parse_claims(p, member, out);
	member = json_member(jwt, "if_body");
	if (rc == 0 && member)
		rc = jwt_parse_if_body(p, member, out);
	return rc;
}
