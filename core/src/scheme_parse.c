/* Compiles a scheme's members. A word that it does not know, a value of the wrong type or a kind
 * that this version cannot run is an error that names it: nothing of a scheme is ever passed over.
 */
#include <string.h>

#include "error.h"
#include "scheme_parse.h"

/* ---- helpers of all parse files ---- */

void *scheme_room(scheme_parser *p, size_t count, size_t size)
{
	void *room = arena_get(&p->scheme->memory, (count ? count : 1) * size);

	if (!room)
		fail_memory(p->error);
	return room;
}

int32_t scheme_copy(scheme_parser *p, knocker_bytes text, knocker_bytes *out)
{
	return arena_copy(&p->scheme->memory, text, out) ? 0 : fail_memory(p->error);
}

int32_t scheme_parse_known(scheme_parser *p, const json *object, const char *what,
                           const char *const *names)
{
	const json *member;
	size_t i;

	if (!object)
		return fail(p->error, KNOCKER_INVALID_ARGUMENT, "scheme: '%s' is missing", what);
	if (json_kind(object) != JSON_OBJECT)
		return fail(p->error, KNOCKER_INVALID_ARGUMENT, "scheme: '%s' is not an object", what);
	for (member = json_first(object); member; member = json_next(member)) {
		for (i = 0; names[i] && !bytes_is(json_name(member), names[i]);)
			i++;
		if (!names[i])
			return fail(p->error, KNOCKER_INVALID_ARGUMENT,
			            "scheme: '%s' has an unknown member '%.*s'", what,
			            QUOTED(json_name(member)));
	}
	return 0;
}

int32_t scheme_parse_text(scheme_parser *p, const json *object, const char *what, const char *name,
                          bool required, knocker_bytes *out)
{
	const json *value = json_member(object, name);

	*out = (knocker_bytes){0};
	if (!value && !required)
		return 0;
	if (!value)
		return fail(p->error, KNOCKER_INVALID_ARGUMENT, "scheme: '%s.%s' is missing", what, name);
	if (json_kind(value) != JSON_TEXT || json_text(value).len == 0)
		return fail(p->error, KNOCKER_INVALID_ARGUMENT,
		            "scheme: '%s.%s' is not a text that says something", what, name);
	return scheme_copy(p, json_text(value), out);
}

int32_t scheme_parse_bool(scheme_parser *p, const json *object, const char *what, const char *name,
                          bool *out)
{
	const json *value = json_member(object, name);

	*out = json_true(value);
	if (value && json_kind(value) != JSON_BOOL)
		return fail(p->error, KNOCKER_INVALID_ARGUMENT, "scheme: '%s.%s' is not true or false",
		            what, name);
	return 0;
}

int32_t scheme_parse_int(scheme_parser *p, const json *object, const char *what, const char *name,
                         int64_t most, int64_t *out)
{
	const json *value = json_member(object, name);

	if (!value)
		return 0;
	if (!json_int(value, out) || *out < 0 || *out > most)
		return fail(p->error, KNOCKER_INVALID_ARGUMENT,
		            "scheme: '%s.%s' is not a whole number from 0 to %lld", what, name,
		            (long long)most);
	return 0;
}

int32_t scheme_parse_list(scheme_parser *p, const json *value, const char *what, size_t *count)
{
	*count = json_count(value);
	if (!value)
		return fail(p->error, KNOCKER_INVALID_ARGUMENT, "scheme: '%s' is missing", what);
	if (json_kind(value) != JSON_ARRAY)
		return fail(p->error, KNOCKER_INVALID_ARGUMENT, "scheme: '%s' is not a list", what);
	return 0;
}

ptrdiff_t scheme_option_find(const scheme *s, knocker_bytes name)
{
	size_t i;

	for (i = 0; i < s->option_count; i++)
		if (bytes_equal(s->options[i].name, name))
			return (ptrdiff_t)i;
	return -1;
}

/* The scheme's own member, else that of the scheme it extends. */
const json *scheme_parse_top(const scheme_parser *p, const char *name)
{
	const json *found = NULL;
	size_t i;

	for (i = 0; i < p->layer_count && !found; i++)
		found = json_member(p->layers[i], name);
	return found;
}

/* One of `words`, as its number. */
int32_t scheme_parse_word(scheme_parser *p, const char *what, knocker_bytes text,
                          const char *const *words, size_t *out)
{
	for (*out = 0; words[*out]; (*out)++)
		if (bytes_is(text, words[*out]))
			return 0;
	return fail(p->error, KNOCKER_INVALID_ARGUMENT, "scheme: '%s' is the unknown word '%.*s'", what,
	            QUOTED(text));
}

/* ---- options ---- */

static int32_t parse_option(scheme_parser *p, const json *value, scheme_option *out)
{
	static const char *const known[] = {"type", "default", "required", NULL};
	static const char *const types[] = {"string", "int", NULL};
	const json *fallback = json_member(value, "default");
	knocker_bytes type;
	size_t word = 0;
	int32_t rc = scheme_parse_known(p, value, "options", known);

	if (rc == 0)
		rc = scheme_parse_text(p, value, "options", "type", true, &type);
	if (rc == 0)
		rc = scheme_parse_word(p, "options.type", type, types, &word);
	if (rc == 0)
		rc = scheme_parse_bool(p, value, "options", "required", &out->required);
	if (rc == 0)
		rc = scheme_copy(p, json_name(value), &out->name);
	out->is_int = word == 1;
	out->has_default = fallback != NULL;
	if (rc < 0 || !fallback)
		return rc;
	if (out->is_int ? !json_int(fallback, &out->number) : json_kind(fallback) != JSON_TEXT)
		return fail(p->error, KNOCKER_INVALID_ARGUMENT,
		            "scheme: the default of option '%.*s' is no %s", QUOTED(out->name),
		            types[word]);
	return out->is_int ? 0 : scheme_copy(p, json_text(fallback), &out->text);
}

/* The options as knocker_providers shows them. */
static int32_t parse_options_show(scheme_parser *p)
{
	scheme *s = p->scheme;
	buffer b;
	size_t i;
	int32_t rc;

	buffer_init(&b, LIMIT_JSON);
	for (i = 0; i < s->option_count; i++) {
		const scheme_option *option = &s->options[i];

		buffer_text(&b, i > 0 ? "," : "");
		buffer_json(&b, option->name);
		buffer_text(&b, option->is_int ? ":{\"type\":\"int\"" : ":{\"type\":\"string\"");
		buffer_text(&b, option->has_default ? ",\"default\":" : "");
		if (option->has_default && option->is_int)
			buffer_int(&b, option->number);
		else if (option->has_default)
			buffer_json(&b, option->text);
		buffer_text(&b, option->required ? ",\"required\":true}" : "}");
	}
	if (b.failed) {
		rc = fail_memory(p->error);
	} else {
		knocker_bytes parts = buffer_view(&b);
		char *text = scheme_room(p, (size_t)parts.len + 3, 1);

		rc = text ? 0 : KNOCKER_STORAGE;
		if (text) {
			text[0] = '{';
			memcpy(text + 1, parts.data, (size_t)parts.len);
			text[parts.len + 1] = '}';
			s->options_json = (knocker_bytes){text, parts.len + 2};
		}
	}
	buffer_free(&b);
	return rc;
}

int32_t scheme_parse_options(scheme_parser *p)
{
	const json *options = scheme_parse_top(p, "options"), *value;
	scheme *s = p->scheme;
	int32_t rc = 0;

	if (options && json_kind(options) != JSON_OBJECT)
		return fail(p->error, KNOCKER_INVALID_ARGUMENT, "scheme: 'options' is not an object");
	for (value = json_first(options); rc == 0 && value; value = json_next(value)) {
		if (s->option_count == SCHEME_OPTIONS_MAX)
			return fail(p->error, KNOCKER_INVALID_ARGUMENT, "scheme: more than %d options",
			            SCHEME_OPTIONS_MAX);
		rc = parse_option(p, value, &s->options[s->option_count++]);
	}
	s->option_tolerance = scheme_option_find(s, bytes_of("tolerance_s"));
	s->option_url = scheme_option_find(s, bytes_of("url"));
	s->option_method = scheme_option_find(s, bytes_of("method"));
	return rc < 0 ? rc : parse_options_show(p);
}

/* ---- replay, base ---- */

static int32_t parse_replay(scheme_parser *p)
{
	static const char *const known[] = {"var", "tolerance_s", NULL};
	const json *replay = scheme_parse_top(p, "replay"),
			   *tolerance = json_member(replay, "tolerance_s");
	scheme *s = p->scheme;
	const scheme_var *vars = s->tries[0].vars;
	knocker_bytes name;
	int32_t rc;

	if (!replay)
		return s->option_tolerance < 0 ? 0
		                               : fail(p->error, KNOCKER_INVALID_ARGUMENT,
		                                      "scheme: option 'tolerance_s' needs 'replay'");
	rc = scheme_parse_known(p, replay, "replay", known);
	if (rc == 0)
		rc = scheme_parse_text(p, replay, "replay", "var", true, &name);
	if (rc < 0)
		return rc;
	for (s->replay_var = 0; s->replay_var < s->var_count; s->replay_var++)
		if (bytes_equal(vars[s->replay_var].name, name))
			break;
	if (s->replay_var == s->var_count || vars[s->replay_var].unit == UNIT_NONE)
		return fail(p->error, KNOCKER_INVALID_ARGUMENT,
		            "scheme: 'replay.var' is '%.*s', no var with a unit", QUOTED(name));
	s->has_replay = true;
	s->has_window = json_kind(tolerance) != JSON_NULL;
	return s->has_window
	           ? scheme_parse_int(p, replay, "replay", "tolerance_s", INT32_MAX, &s->tolerance_s)
	           : 0;
}

static int32_t parse_base(scheme_parser *p)
{
	const json *base = scheme_parse_top(p, "base"), *path;
	knocker_bytes *list;
	size_t count;
	int32_t rc;

	if (!base)
		return 0;
	rc = scheme_parse_list(p, base, "base", &count);
	list = rc < 0 ? NULL : scheme_room(p, count, sizeof *list);
	if (!list)
		return rc < 0 ? rc : KNOCKER_STORAGE;
	p->scheme->bases = list;
	for (path = json_first(base); rc == 0 && path; path = json_next(path)) {
		if (json_kind(path) != JSON_TEXT)
			return fail(p->error, KNOCKER_INVALID_ARGUMENT,
			            "scheme: 'base' holds what is not a text");
		rc = scheme_copy(p, json_text(path), &list[p->scheme->base_count++]);
	}
	return rc;
}

/* ---- the whole ---- */

static int32_t parse_answers(scheme_parser *p)
{
	const json *accept = scheme_parse_top(p, "accept"), *reject = scheme_parse_top(p, "reject"),
			   *handshake = scheme_parse_top(p, "handshake");
	int32_t rc = 0;

	p->scheme->accept.status = 204;
	p->scheme->reject.status = 401;
	if (accept)
		rc = scheme_parse_answer(p, accept, "accept", &p->scheme->accept);
	if (rc == 0 && reject)
		rc = scheme_parse_answer(p, reject, "reject", &p->scheme->reject);
	return rc < 0 || !handshake ? rc : scheme_parse_handshakes(p, handshake);
}

static bool parse_in_body(const scheme_source *source)
{
	return source->kind == SOURCE_JSON || source->kind == SOURCE_FORM ||
	       source->kind == SOURCE_ITEM;
}

/* Whether a token says nothing of the request that it came with. */
static bool parse_unbound(const scheme_jwt *jwt)
{
	size_t i;

	for (i = 0; i < jwt->claim_count; i++)
		if (jwt->claims[i].is_hash)
			return false;
	return true;
}

/* Whether what is sent is the credential itself, and in the body, so that a rejected one is not
 * kept. */
static void parse_credential(scheme *s)
{
	kind_id kind = s->kind->id;
	size_t i, k;

	s->is_credential = kind == KIND_TOKEN || kind == KIND_BASIC ||
	                   (kind == KIND_JWT && parse_unbound(&s->tries[0].jwt));
	for (i = 0; i < s->try_count; i++)
		for (k = 0; k < s->tries[i].from.count; k++)
			s->credential_in_body |= s->is_credential && parse_in_body(&s->tries[i].from.list[k]);
}

int32_t scheme_parse(scheme_parser *p)
{
	static const char *const known[] = {"extends", "families", "kind",        "alg",
	                                    "key",     "alt",      "sig",         "base",
	                                    "vars",    "signed",   "jwt",         "when_query",
	                                    "replay",  "extract",  "handshake",   "accept",
	                                    "reject",  "options",  "header_list", NULL};
	size_t i;
	int32_t rc = 0;

	for (i = 0; rc == 0 && i < p->layer_count; i++)
		rc = scheme_parse_known(p, p->layers[i], "scheme", known);
	if (rc == 0)
		rc = scheme_parse_kind(p);
	if (rc == 0 && scheme_parse_top(p, "jwt") && p->scheme->kind->id != KIND_JWT)
		rc = fail(p->error, KNOCKER_INVALID_ARGUMENT, "scheme: 'jwt' has no meaning for kind '%s'",
		          p->scheme->kind->name);
	if (rc == 0 && scheme_parse_top(p, "when_query") && !p->scheme->kind->has_signed)
		rc = fail(p->error, KNOCKER_INVALID_ARGUMENT,
		          "scheme: 'when_query' has no meaning for kind '%s'", p->scheme->kind->name);
	if (rc == 0)
		rc = scheme_parse_options(p);
	if (rc == 0)
		rc = scheme_parse_signature(p);
	if (rc == 0)
		rc = parse_base(p);
	if (rc == 0)
		rc = scheme_parse_tries(p);
	if (rc == 0)
		rc = parse_replay(p);
	if (rc == 0)
		rc = parse_answers(p);
	if (rc == 0 && p->scheme->item_path_count > 0 && p->scheme->base_count == 0)
		rc = fail(p->error, KNOCKER_INVALID_ARGUMENT, "scheme: a source j: needs 'base'");
	if (rc == 0)
		parse_credential(p->scheme);
	return rc;
}
