/* Compiles the words of sources and templates. Knows nothing of the scheme around them. */
#include <string.h>

#include "error.h"
#include "scheme_jwt.h"
#include "scheme_parse.h"

static int32_t parse_wrong(scheme_parser *p, const char *what, const char *says, knocker_bytes word)
{
	return fail(p->error, KNOCKER_INVALID_ARGUMENT, "scheme: '%s' %s '%.*s'", what, says,
	            QUOTED(word));
}

/* ---- names ---- */

/* Puts the family in, and asks that each option exists. */
int32_t scheme_parse_name(scheme_parser *p, const char *what, knocker_bytes text, scheme_name *out)
{
	const char *s = text.data;
	size_t at = 0, len = (size_t)text.len;
	int32_t rc = 0;
	buffer made;

	*out = (scheme_name){0};
	buffer_init(&made, LIMIT_JSON);
	while (rc == 0 && at < len) {
		knocker_bytes rest = bytes_part(text, at, len);
		int64_t end = bytes_find(rest, '}');

		if (bytes_starts(rest, "{family}")) {
			if (!p->has_family)
				rc = parse_wrong(p, what, "has a {family} where there is none:", text);
			buffer_bytes(&made, p->family);
			at += 8;
		} else if (bytes_starts(rest, "{option:") && end > 0) {
			knocker_bytes name = bytes_part(rest, 8, (size_t)end);

			if (scheme_option_find(p->scheme, name) < 0)
				rc = parse_wrong(p, what, "reads an option that is not declared:", name);
			out->has_option = true;
			buffer_bytes(&made, bytes_part(rest, 0, (size_t)end + 1));
			at += (size_t)end + 1;
		} else {
			buffer_add(&made, s + at++, 1);
		}
	}
	if (rc == 0)
		rc = made.failed ? fail_memory(p->error) : scheme_copy(p, buffer_view(&made), &out->text);
	buffer_free(&made);
	return rc;
}

/* The number of the name in a list of the scheme's, to which it is added when it is new. */
static int32_t parse_slot(scheme_parser *p, const char *what, scheme_name name, scheme_name *list,
                          size_t *count, size_t max, size_t *slot)
{
	for (*slot = 0; *slot < *count; (*slot)++)
		if (bytes_equal(list[*slot].text, name.text) && list[*slot].is_whole == name.is_whole)
			return 0;
	if (*count == max)
		return parse_wrong(p, what, "is one more than a scheme may read:", name.text);
	list[(*count)++] = name;
	return 0;
}

/* Lower case, but for what stands in {option:N}. */
static int32_t parse_header(scheme_parser *p, const char *what, scheme_source *out)
{
	knocker_bytes name = out->name.text;
	char *s = (char *)name.data;
	int64_t i;

	for (i = 0; i < name.len; i++) {
		knocker_bytes rest = bytes_part(name, (size_t)i, (size_t)name.len);

		if (bytes_starts(rest, "{option:") && bytes_find(rest, '}') > 0) {
			i += bytes_find(rest, '}');
			continue;
		}
		if (!request_name_char(s[i]))
			return parse_wrong(p, what, "has no header's name:", out->word);
		s[i] = ascii_lower(s[i]);
	}
	return out->kind == SOURCE_HEADERS
	           ? 0
	           : parse_slot(p, what, out->name, p->scheme->headers, &p->scheme->header_count,
	                        SCHEME_HEADERS_MAX, &out->slot);
}

int32_t scheme_parse_path(scheme_parser *p, const char *what, knocker_bytes path, bool item,
                          size_t *slot)
{
	scheme *s = p->scheme;
	knocker_bytes *steps = scheme_room(p, SCAN_STEPS_MAX, sizeof *steps);
	size_t *count = item ? &s->item_path_count : &s->path_count;
	scheme_name name;
	int32_t rc = steps ? scheme_parse_name(p, what, path, &name) : KNOCKER_STORAGE;

	if (rc == 0)
		rc = parse_slot(p, what, name, item ? s->item_paths : s->paths, count, SCAN_PATHS_MAX,
		                slot);
	if (rc < 0)
		return rc;
	s->paths_dynamic |= name.has_option;
	if (!scan_path_cut(name.text, steps, item ? &s->item_cut[*slot] : &s->cut[*slot]))
		return parse_wrong(p, what, "has a path of too many steps:", path);
	return 0;
}

int32_t scheme_parse_claim(scheme_parser *p, const char *what, knocker_bytes path, bool is_whole,
                           size_t *slot)
{
	scheme *s = p->scheme;
	knocker_bytes *steps = scheme_room(p, SCAN_STEPS_MAX, sizeof *steps);
	scheme_name name;
	int32_t rc = steps ? scheme_parse_name(p, what, path, &name) : KNOCKER_STORAGE;

	if (rc == 0 && s->kind->id != KIND_JWT)
		rc = parse_wrong(p, what, "reads a token, which only kind 'jwt' has: claim", path);
	if (rc == 0)
		name.is_whole = is_whole && (bytes_find(path, '.') >= 0 || bytes_is(path, "$"));
	if (rc == 0)
		rc = parse_slot(p, what, name, s->claims, &s->claim_count, SCHEME_CLAIMS_MAX, slot);
	if (rc < 0)
		return rc;
	s->paths_dynamic |= name.has_option;
	if (!scheme_path_cut(name, name.text, steps, &s->claim_cut[*slot]))
		return parse_wrong(p, what, "has a path of too many steps:", path);
	return 0;
}

/* ---- sources ---- */

static int32_t parse_item_number(scheme_parser *p, const char *what, scheme_source *out)
{
	const char *s = out->name.text.data;
	int64_t i;

	for (i = 0; i < out->name.text.len; i++) {
		if (s[i] < '0' || s[i] > '9' || out->slot > SCHEME_ITEMS_MAX)
			return parse_wrong(p, what, "has no item of that number:", out->word);
		out->slot = out->slot * 10 + (size_t)(s[i] - '0');
	}
	return 0;
}

static int32_t parse_plain_source(scheme_parser *p, const char *what, knocker_bytes name,
                                  scheme_source *out)
{
	bool is_path = out->kind == SOURCE_JSON || out->kind == SOURCE_ITEM;
	ptrdiff_t option;
	int32_t rc = scheme_parse_name(p, what, name, &out->name);

	if (rc < 0)
		return rc;
	if (out->name.text.len == 0 && !is_path && out->kind != SOURCE_HEADERS)
		return parse_wrong(p, what, "has a source without a name:", out->word);
	if (is_path)
		return scheme_parse_path(p, what, name, out->kind == SOURCE_ITEM, &out->slot);
	if (out->kind == SOURCE_CLAIM)
		return scheme_parse_claim(p, what, name, false, &out->slot);
	if (out->kind == SOURCE_HEADER || out->kind == SOURCE_HEADERS)
		return parse_header(p, what, out);
	if (out->kind == SOURCE_SIG && !bytes_given(p->scheme->signature.kv))
		return parse_wrong(p, what, "reads an element, but 'sig.kv' is absent:", out->word);
	if (out->kind == SOURCE_SIGITEM)
		return parse_item_number(p, what, out);
	if (out->kind != SOURCE_OPTION)
		return 0;
	option = scheme_option_find(p->scheme, name);
	if (option < 0)
		return parse_wrong(p, what, "reads an option that is not declared:", name);
	out->slot = (size_t)option;
	return 0;
}

/* SEP:source:source..., where neither SEP nor a name holds a colon. */
static int32_t parse_join(scheme_parser *p, const char *what, knocker_bytes rest,
                          scheme_source *out)
{
	scheme_source *pieces = scheme_room(p, SCHEME_PARTS_MAX / 2, sizeof *pieces);
	int64_t colon = bytes_find(rest, ':');
	int32_t rc;

	if (!pieces)
		return KNOCKER_STORAGE;
	out->pieces = pieces;
	if (colon < 0)
		return parse_wrong(p, what, "is no join:SEP:source:source...:", out->word);
	rc = scheme_parse_name(p, what, bytes_part(rest, 0, (size_t)colon), &out->name);
	while (rc == 0 && colon >= 0) {
		rest = bytes_part(rest, (size_t)colon + 1, (size_t)rest.len);
		colon = bytes_find(rest, ':');
		if (colon >= 0) {
			int64_t next = bytes_find(bytes_part(rest, (size_t)colon + 1, (size_t)rest.len), ':');

			colon = next < 0 ? -1 : colon + 1 + next;
		}
		if (out->piece_count == SCHEME_PARTS_MAX / 2)
			return parse_wrong(p, what, "joins too many sources:", out->word);
		rc = scheme_parse_source(p, what, colon < 0 ? rest : bytes_part(rest, 0, (size_t)colon),
		                         &pieces[out->piece_count++]);
		if (rc == 0 && pieces[out->piece_count - 1].kind == SOURCE_HEADERS)
			rc = parse_wrong(p, what, "joins several headers:", out->word);
	}
	return rc;
}

int32_t scheme_parse_source(scheme_parser *p, const char *what, knocker_bytes word,
                            scheme_source *out)
{
	static const struct {
		const char *prefix;
		source_kind kind;
	} kinds[] = {
		{"header:", SOURCE_HEADER}, {"header*:", SOURCE_HEADERS}, {"json:", SOURCE_JSON},
		{"j:", SOURCE_ITEM},        {"form:", SOURCE_FORM},       {"query:", SOURCE_QUERY},
		{"sig:", SOURCE_SIG},       {"sigitem:", SOURCE_SIGITEM}, {"option:", SOURCE_OPTION},
		{"claim:", SOURCE_CLAIM},   {"join:", SOURCE_JOIN},
	};
	size_t i;
	int32_t rc;

	*out = (scheme_source){0};
	rc = scheme_copy(p, word, &out->word);
	for (i = 0; rc == 0 && i < sizeof kinds / sizeof kinds[0]; i++) {
		knocker_bytes rest;

		if (!bytes_starts(word, kinds[i].prefix))
			continue;
		rest = bytes_part(word, (size_t)bytes_of(kinds[i].prefix).len, (size_t)word.len);
		out->kind = kinds[i].kind;
		if ((out->kind == SOURCE_HEADERS) != bytes_is(bytes_of(what), "sig.from") &&
		    (out->kind == SOURCE_HEADERS || out->kind == SOURCE_CLAIM))
			return parse_wrong(p, what, "is no place for", word);
		return out->kind == SOURCE_JOIN ? parse_join(p, what, rest, out)
		                                : parse_plain_source(p, what, rest, out);
	}
	return rc < 0 ? rc : parse_wrong(p, what, "has an unknown source", word);
}

int32_t scheme_parse_sources(scheme_parser *p, const json *value, const char *what,
                             scheme_sources *out)
{
	const json *word;
	scheme_source *list;
	size_t count;
	int32_t rc = scheme_parse_list(p, value, what, &count);

	*out = (scheme_sources){0};
	if (rc < 0)
		return rc;
	list = scheme_room(p, count, sizeof *list);
	if (!list)
		return KNOCKER_STORAGE;
	for (word = json_first(value); rc == 0 && word; word = json_next(word)) {
		if (json_kind(word) != JSON_TEXT)
			return fail(p->error, KNOCKER_INVALID_ARGUMENT, "scheme: '%s' holds what is not a text",
			            what);
		rc = scheme_parse_source(p, what, json_text(word), &list[out->count]);
		out->count++;
	}
	out->list = list;
	return rc;
}

/* ---- templates ---- */

typedef struct {
	const char *word;
	part_kind kind;
	uint32_t places; /* a bit for each template_place */
} part_word;

#define PLACE(place) (1u << (place))
#define PLACE_ANY (PLACE(IN_SIGNED) | PLACE(IN_CLAIM) | PLACE(IN_DEDUPE) | PLACE(IN_ANSWER))

static const part_word *parse_part_word(knocker_bytes word)
{
	static const part_word words[] = {
		{"body", PART_BODY, PLACE_ANY},
		{"body_b64", PART_BODY_B64, PLACE_ANY},
		{"md5_b64", PART_MD5_B64, PLACE_ANY},
		{"crc32", PART_CRC32, PLACE_ANY},
		{"method", PART_METHOD, PLACE_ANY},
		{"url", PART_URL, PLACE_ANY},
		{"url_noquery", PART_URL_NOQUERY, PLACE_ANY},
		{"url_path", PART_URL_PATH, PLACE_ANY},
		{"url_unescaped", PART_URL_UNESCAPED, PLACE_ANY},
		{"url~", PART_URL_TRIES, PLACE(IN_SIGNED)},
		{"form_sorted", PART_FORM_SORTED, PLACE_ANY},
		{"form_sorted_unique", PART_FORM_SORTED_UNIQUE, PLACE_ANY},
		{"query_canonical", PART_QUERY_CANONICAL, PLACE_ANY},
		{"url_form_sorted", PART_URL_FORM_SORTED, PLACE_ANY},
		{"uri_escaped", PART_URI_ESCAPED, PLACE_ANY},
		{"header_list", PART_HEADER_LIST, PLACE_ANY},
		{"secret", PART_SECRET, PLACE(IN_SIGNED)},
		{"delivery_id", PART_DELIVERY_ID, PLACE(IN_DEDUPE)},
		{"event_id", PART_EVENT_ID, PLACE(IN_DEDUPE)},
		{"event_type", PART_EVENT_TYPE, PLACE(IN_DEDUPE)},
	};
	size_t i;

	for (i = 0; i < sizeof words / sizeof words[0]; i++)
		if (bytes_is(word, words[i].word))
			return &words[i];
	return NULL;
}

static int32_t parse_member(scheme_parser *p, const char *what, knocker_bytes word,
                            scheme_part *part)
{
	part->kind = PART_MEMBER;
	part->number = p->member_count;
	if (p->member_count == SCAN_PATHS_MAX)
		return parse_wrong(p, what, "is one more than a template may read:", word);
	return scheme_copy(p, word, &p->members[p->member_count++]);
}

/* json_lines:NAME,NAME...: members of the body. */
static int32_t parse_json_lines(scheme_parser *p, const char *what, knocker_bytes names,
                                scheme_part *part)
{
	scheme_source *pieces = scheme_room(p, SCHEME_PARTS_MAX / 2, sizeof *pieces);
	knocker_bytes name;
	int32_t rc = pieces ? 0 : KNOCKER_STORAGE;
	size_t at = 0;

	part->kind = PART_JSON_LINES;
	part->source.kind = SOURCE_JOIN;
	part->source.pieces = pieces;
	while (rc == 0 && scheme_piece_next(names, bytes_of(","), &at, &name)) {
		scheme_source *piece = &pieces[part->source.piece_count];

		if (part->source.piece_count == SCHEME_PARTS_MAX / 2)
			return parse_wrong(p, what, "joins too many members:", names);
		part->source.piece_count++;
		rc = scheme_copy(p, name, &piece->word);
		piece->kind = SOURCE_JSON;
		if (rc == 0)
			rc = parse_plain_source(p, what, name, piece);
	}
	if (rc == 0 && part->source.piece_count == 0)
		return parse_wrong(p, what, "names no member of", bytes_of("json_lines"));
	return rc;
}

static bool parse_needs_url(part_kind kind)
{
	return kind == PART_URL || kind == PART_URL_NOQUERY || kind == PART_URL_UNESCAPED ||
	       kind == PART_URL_PATH || kind == PART_URL_FORM_SORTED || kind == PART_URI_ESCAPED ||
	       kind == PART_URL_TRIES;
}

static int32_t parse_placeholder(scheme_parser *p, const char *what, knocker_bytes word,
                                 template_place place, scheme_part *part)
{
	const part_word *known = place == IN_EACH ? NULL : parse_part_word(word);
	size_t i;

	if (place == IN_EACH)
		return parse_member(p, what, word, part);
	if (known && !(known->places >> place & 1))
		return parse_wrong(p, what, "is no place for", word);
	if (known) {
		part->kind = known->kind;
		if (parse_needs_url(known->kind) && p->scheme->option_url < 0)
			return parse_wrong(p, what, "needs an option 'url' for", word);
		if (known->kind == PART_HEADER_LIST && p->current->header_list.from.count == 0)
			return parse_wrong(p, what, "needs a member 'header_list' for", word);
		return 0;
	}
	for (i = 0; p->current && i < p->scheme->var_count; i++)
		if (bytes_equal(word, p->current->vars[i].name)) {
			part->kind = PART_VAR;
			part->number = i;
			return 0;
		}
	if (bytes_starts(word, "hmac:") && place == IN_ANSWER) {
		part->kind = PART_HMAC;
		return scheme_parse_source(p, what, bytes_part(word, 5, (size_t)word.len), &part->source);
	}
	if (bytes_starts(word, "json_lines:"))
		return parse_json_lines(p, what, bytes_part(word, 11, (size_t)word.len), part);
	part->kind = PART_SOURCE;
	if (bytes_find(word, ':') < 0)
		return parse_wrong(p, what, "has an unknown placeholder", word);
	return scheme_parse_source(p, what, word, &part->source);
}

/* The index of the "}" that closes the "{" at `at`, or -1. */
static int64_t parse_closing(knocker_bytes text, size_t at)
{
	const char *s = text.data;
	size_t depth = 0;

	for (; at < (size_t)text.len; at++) {
		if (s[at] == '{')
			depth++;
		else if (s[at] == '}' && --depth == 0)
			return (int64_t)at;
	}
	return -1;
}

/* A part for each "{" and the literal before it, and one behind the last. */
static size_t parse_part_count(knocker_bytes text)
{
	size_t i, count = 1;

	for (i = 0; i < (size_t)text.len; i++)
		count += ((const char *)text.data)[i] == '{' ? 2 : 0;
	return count < SCHEME_PARTS_MAX ? count : SCHEME_PARTS_MAX;
}

int32_t scheme_parse_template(scheme_parser *p, const char *what, knocker_bytes text,
                              template_place place, scheme_template *out)
{
	size_t at = 0, len = (size_t)text.len, room = parse_part_count(text);
	scheme_part *parts = scheme_room(p, room, sizeof *parts);
	int32_t rc = parts ? 0 : KNOCKER_STORAGE;

	*out = (scheme_template){parts, 0};
	while (rc == 0 && at < len) {
		knocker_bytes rest = bytes_part(text, at, len);
		int64_t open = bytes_find(rest, '{');
		int64_t close = open < 0 ? -1 : parse_closing(rest, (size_t)open);
		scheme_part *part = &parts[out->count];

		if (out->count == room)
			return parse_wrong(p, what, "has too many parts:", text);
		if (close >= 0 && open == 0) {
			rest = bytes_part(rest, 1, (size_t)close);
			at += (size_t)close + 1;
			if (bytes_is(rest, "family") && p->has_family)
				rc = scheme_copy(p, p->family, &part->literal);
			else
				rc = parse_placeholder(p, what, rest, place, part);
		} else {
			size_t end = close < 0 ? (size_t)rest.len : (size_t)open;

			rc = scheme_copy(p, bytes_part(rest, 0, end), &part->literal);
			at += end;
		}
		out->count++;
	}
	return rc;
}

int32_t scheme_parse_templates(scheme_parser *p, const json *value, const char *what,
                               template_place place, scheme_templates *out)
{
	scheme_template *list;
	const json *text;
	size_t count;
	int32_t rc = scheme_parse_list(p, value, what, &count);

	*out = (scheme_templates){0};
	if (rc < 0)
		return rc;
	list = scheme_room(p, count, sizeof *list);
	if (!list)
		return KNOCKER_STORAGE;
	for (text = json_first(value); rc == 0 && text; text = json_next(text)) {
		if (json_kind(text) != JSON_TEXT)
			return fail(p->error, KNOCKER_INVALID_ARGUMENT, "scheme: '%s' holds what is not a text",
			            what);
		rc = scheme_parse_template(p, what, json_text(text), place, &list[out->count++]);
	}
	out->list = list;
	return rc;
}
