/* Walks a received JSON text once, checks it and notes where the wanted members are. It neither
 * allocates nor recurses, and it refuses to know what the members mean. */
#include "scan.h"

#include <string.h>

#include "bounds.h"
#include "scan_parts.h"

typedef struct {
	uint64_t leads; /* the paths whose steps so far led to this container and go on */
	uint64_t ends;  /* the paths that end at this container */
	const uint8_t *start;
	size_t index; /* of the next element */
	bool object, begun;
} scan_level;

typedef struct {
	const uint8_t *at, *end;
	const scan_path *paths;
	size_t count;
	scan_value *values;
	size_t depth;
	bool escaped; /* the last string holds an escape */
	scan_level levels[LIMIT_JSON_DEPTH];
} scan_state;

/* ---- tokens ---- */

static void scan_blanks(scan_state *s)
{
	while (s->at < s->end && (*s->at == ' ' || *s->at == '\n' || *s->at == '\r' || *s->at == '\t'))
		s->at++;
}

#if defined(__BYTE_ORDER__) && __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
/* How many of eight bytes come before the first quote, backslash or control character. A byte over
 * 0x7F is none of them. */
static size_t scan_plain8(const uint8_t *at)
{
	const uint64_t ones = 0x0101010101010101u, tops = 0x8080808080808080u;
	uint64_t word, quote, slash, hits;

	memcpy(&word, at, sizeof word);
	quote = word ^ (ones * '"');
	slash = word ^ (ones * '\\');
	hits = ((word - ones * 0x20) & ~word) | ((quote - ones) & ~quote) | ((slash - ones) & ~slash);
	hits &= tops;
	return hits ? (size_t)__builtin_ctzll(hits) / 8 : 8;
}
#else
static size_t scan_plain8(const uint8_t *at)
{
	size_t i = 0;

	while (i < 8 && at[i] != '"' && at[i] != '\\' && at[i] >= 0x20)
		i++;
	return i;
}
#endif

static bool scan_escape(scan_state *s)
{
	if (s->end - s->at < 2)
		return false;
	if (s->at[1] == 'u') {
		if (scan_hex4(s->at + 2, s->end) < 0)
			return false;
		s->at += 6;
		return true;
	}
	if (!memchr("\"\\/bfnrt", s->at[1], 8))
		return false;
	s->at += 2;
	return true;
}

/* From the opening quote to behind the closing one. Whether the bytes are UTF-8 is asked of the
 * whole body. */
static bool scan_string(scan_state *s)
{
	const uint8_t *at = s->at + 1, *end = s->end;

	s->escaped = false;
	for (;;) {
		while (end - at >= 8) {
			size_t plain = scan_plain8(at);

			at += plain;
			if (plain < 8)
				break;
		}
		s->at = at;
		if (at >= end || *at < 0x20)
			return false;
		if (*at == '"') {
			s->at = at + 1;
			return true;
		}
		if (*at != '\\') {
			at++;
			continue;
		}
		if (!scan_escape(s))
			return false;
		s->escaped = true;
		at = s->at;
	}
}

static bool scan_digits(scan_state *s)
{
	const uint8_t *from = s->at;

	while (s->at < s->end && *s->at >= '0' && *s->at <= '9')
		s->at++;
	return s->at > from;
}

static bool scan_number(scan_state *s)
{
	if (*s->at == '-')
		s->at++;
	if (s->at < s->end && *s->at == '0')
		s->at++;
	else if (!scan_digits(s))
		return false;
	if (s->at < s->end && *s->at == '.') {
		s->at++;
		if (!scan_digits(s))
			return false;
	}
	if (s->at < s->end && (*s->at == 'e' || *s->at == 'E')) {
		s->at++;
		if (s->at < s->end && (*s->at == '+' || *s->at == '-'))
			s->at++;
		return scan_digits(s);
	}
	return true;
}

static bool scan_word(scan_state *s, const char *word, size_t len)
{
	if ((size_t)(s->end - s->at) < len || memcmp(s->at, word, len) != 0)
		return false;
	s->at += len;
	return true;
}

/* ---- matching ---- */

/* The paths of `leads` whose next step is this name (without its quotes). Their earlier finds are
 * void: the last name wins. */
static uint64_t scan_match_name(scan_state *s, uint64_t leads, const uint8_t *from, size_t len)
{
	uint64_t left, matched = 0;

	for (left = leads; left; left &= left - 1) {
		size_t i = (size_t)__builtin_ctzll(left);
		knocker_bytes step = s->paths[i].steps[s->depth - 1];

		if (s->escaped ? !scan_name_escaped(from, from + len, step)
		               : step.len != (int64_t)len || memcmp(step.data, from, len) != 0)
			continue;
		matched |= left & -left;
		s->values[i] = (scan_value){0};
	}
	return matched;
}

static uint64_t scan_match_index(const scan_state *s, uint64_t leads, size_t index)
{
	uint64_t left, matched = 0;

	for (left = leads; left; left &= left - 1) {
		knocker_bytes step = s->paths[__builtin_ctzll(left)].steps[s->depth - 1];
		const char *digits = step.data;
		size_t i, value = 0;

		for (i = 0; i < (size_t)step.len && digits[i] >= '0' && digits[i] <= '9' && i < 18; i++)
			value = value * 10 + (size_t)(digits[i] - '0');
		if (i > 0 && i == (size_t)step.len && value == index)
			matched |= left & -left;
	}
	return matched;
}

static void scan_note(scan_state *s, uint64_t paths, scan_type type, const uint8_t *from)
{
	for (; paths; paths &= paths - 1)
		s->values[__builtin_ctzll(paths)] = (scan_value){type, {from, s->at - from}};
}

/* Splits the paths that led here into those that end here and those that go on. */
static uint64_t scan_ending(const scan_state *s, uint64_t paths)
{
	uint64_t left, ends = 0;

	for (left = paths; left; left &= left - 1)
		if (s->paths[__builtin_ctzll(left)].count == s->depth)
			ends |= left & -left;
	return ends;
}

/* ---- the walk ---- */

static bool scan_open(scan_state *s, uint64_t paths)
{
	uint64_t ends = paths ? scan_ending(s, paths) : 0;

	if (s->depth == LIMIT_JSON_DEPTH)
		return false;
	s->levels[s->depth++] = (scan_level){.leads = paths & ~ends,
	                                     .ends = ends,
	                                     .start = s->at,
	                                     .object = *s->at == '{'};
	s->at++;
	return true;
}

static void scan_close(scan_state *s)
{
	scan_level *top = &s->levels[--s->depth];

	s->at++;
	if (top->ends)
		scan_note(s, top->ends, top->object ? SCAN_OBJECT : SCAN_ARRAY, top->start);
}

/* One value; of a container only its beginning. */
static bool scan_begin(scan_state *s, uint64_t paths)
{
	const uint8_t *from = s->at;
	scan_type type = SCAN_NUMBER;
	bool good;

	if (s->at >= s->end)
		return false;
	switch (*s->at) {
	case '{':
	case '[':
		return scan_open(s, paths);
	case '"':
		good = scan_string(s);
		type = SCAN_TEXT;
		break;
	case 't':
		good = scan_word(s, "true", 4);
		type = SCAN_BOOL;
		break;
	case 'f':
		good = scan_word(s, "false", 5);
		type = SCAN_BOOL;
		break;
	case 'n':
		good = scan_word(s, "null", 4);
		type = SCAN_NULL;
		break;
	default:
		good = scan_number(s);
	}
	if (good && paths)
		scan_note(s, scan_ending(s, paths), type, from);
	return good;
}

/* A member's name and colon; `*paths` are those that it leads on. */
static bool scan_name(scan_state *s, uint64_t *paths)
{
	uint64_t leads = s->levels[s->depth - 1].leads;
	const uint8_t *from = s->at;

	if (s->at >= s->end || *s->at != '"' || !scan_string(s))
		return false;
	*paths = leads ? scan_match_name(s, leads, from + 1, (size_t)(s->at - from) - 2) : 0;
	scan_blanks(s);
	if (s->at >= s->end || *s->at != ':')
		return false;
	s->at++;
	scan_blanks(s);
	return true;
}

/* One member or element of the innermost container, or its end. */
static bool scan_step(scan_state *s)
{
	scan_level *top = &s->levels[s->depth - 1];
	uint64_t paths = 0;

	scan_blanks(s);
	if (s->at >= s->end)
		return false;
	if (*s->at == (top->object ? '}' : ']')) {
		scan_close(s);
		return true;
	}
	if (top->begun) {
		if (*s->at != ',')
			return false;
		s->at++;
		scan_blanks(s);
	}
	top->begun = true;
	if (top->object && !scan_name(s, &paths))
		return false;
	if (!top->object && top->leads)
		paths = scan_match_index(s, top->leads, top->index++);
	return scan_begin(s, paths);
}

bool scan_all(knocker_bytes body, const scan_path *paths, size_t count, scan_value *values)
{
	scan_state s;
	bool good;

	memset(values, 0, count * sizeof *values);
	if (body.len == 0)
		return false;
	s.at = body.data;
	s.end = s.at + body.len;
	s.paths = paths;
	s.count = count;
	s.values = values;
	s.depth = 0;
	scan_blanks(&s);
	good = scan_begin(&s, count == SCAN_PATHS_MAX ? UINT64_MAX : ((uint64_t)1 << count) - 1);
	while (good && s.depth > 0)
		good = scan_step(&s);
	scan_blanks(&s);
	if (good && s.at == s.end && bytes_utf8(body))
		return true;
	memset(values, 0, count * sizeof *values);
	return false;
}

bool scan_valid(knocker_bytes body)
{
	scan_value none;

	return scan_all(body, NULL, 0, &none);
}

bool scan_path_cut(knocker_bytes path, knocker_bytes *steps, scan_path *out)
{
	size_t from = 0, to, len = (size_t)path.len;

	*out = (scan_path){0, steps};
	if (len == 0 || bytes_is(path, "$"))
		return true;
	for (to = 0; to <= len; to++) {
		if (to < len && ((const char *)path.data)[to] != '.')
			continue;
		if (out->count == SCAN_STEPS_MAX)
			return false;
		steps[out->count++] = bytes_part(path, from, to);
		from = to + 1;
	}
	return true;
}

scan_value scan_find(knocker_bytes body, knocker_bytes path)
{
	knocker_bytes steps[SCAN_STEPS_MAX];
	scan_value value = {0};
	scan_path cut;

	if (scan_path_cut(path, steps, &cut))
		scan_all(body, &cut, 1, &value);
	return value;
}

bool scan_each(scan_value array, size_t *at, scan_value *element)
{
	scan_path whole = {0};
	scan_state s;

	if (array.type != SCAN_ARRAY || *at + 1 >= (size_t)array.raw.len)
		return false;
	/* Behind the bracket, at first, or behind the comma. */
	s.at = (const uint8_t *)array.raw.data + *at + 1;
	s.end = (const uint8_t *)array.raw.data + array.raw.len;
	s.paths = &whole;
	s.count = 1;
	s.values = element;
	s.depth = 0;
	scan_blanks(&s);
	if (*s.at == ']')
		return false;
	*element = (scan_value){0};
	if (!scan_begin(&s, 1))
		return false;
	while (s.depth > 0)
		if (!scan_step(&s))
			return false;
	scan_blanks(&s);
	*at = (size_t)(s.at - (const uint8_t *)array.raw.data);
	return true;
}
