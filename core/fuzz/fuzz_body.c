/* Fuzzes the scanner of received JSON. Fields: paths, one a line; the body. Where cJSON reads the
 * same body, both must find the same texts. */
#include <string.h>

#include "bounds.h"
#include "fuzz.h"
#include "json.h"
#include "scan.h"

static void body_value(knocker_bytes body, scan_value v)
{
	arena memory = {0};
	knocker_bytes text;
	scan_value element;
	size_t at = 0, elements = 0;

	if (v.type == SCAN_ABSENT)
		return;
	fuzz_within(v.raw, body);
	FUZZ_MUST(scan_valid(v.raw), "a value is JSON by itself");
	text = scan_text(v, &memory, LIMIT_ID);
	FUZZ_MUST(!bytes_given(text) || (text.len <= LIMIT_ID && bytes_utf8(text)),
	          "a text is UTF-8, and no longer than was asked for");
	while (v.type == SCAN_ARRAY && elements++ < 100 && scan_each(v, &at, &element)) {
		fuzz_within(element.raw, v.raw);
		FUZZ_MUST(scan_valid(element.raw), "an element is JSON by itself");
	}
	arena_free(&memory);
}

static void body_same(knocker_bytes body, const json *member)
{
	static const scan_type types[] = {SCAN_NULL, SCAN_BOOL,  SCAN_NUMBER,
	                                  SCAN_TEXT, SCAN_ARRAY, SCAN_OBJECT};
	knocker_bytes name = json_name(member);
	arena memory = {0};
	scan_value v;

	if (name.len == 0 || bytes_find(name, '.') >= 0 || bytes_is(name, "$"))
		return; /* as a path they mean something else */
	v = scan_find(body, name);
	FUZZ_MUST(v.type == types[json_kind(member)], "two readers find one type");
	if (v.type == SCAN_TEXT)
		FUZZ_MUST(bytes_equal(json_text(member), scan_text(v, &memory, LIMIT_JSON)),
		          "two readers find one text");
	arena_free(&memory);
}

static void body_compare(knocker_bytes body)
{
	json *tree = NULL;
	const json *member;
	knocker_error error = {0};
	int32_t rc = json_parse("the body", body, &tree, &error);
	size_t count = 0;

	if (rc < 0)
		fuzz_refused(rc, &error);
	else if (json_kind(tree) == JSON_OBJECT && scan_valid(body))
		for (member = json_first(tree); member && count < 8; member = json_next(member), count++)
			body_same(body, member);
	json_free(tree);
}

int fuzz_body(const uint8_t *data, size_t len)
{
	static knocker_bytes steps[SCAN_PATHS_MAX][SCAN_STEPS_MAX];
	fuzz_input in = {.data = data, .len = len};
	knocker_bytes lines = fuzz_field(&in), body = fuzz_rest(&in), texts[SCAN_PATHS_MAX];
	scan_path paths[SCAN_PATHS_MAX];
	scan_value values[SCAN_PATHS_MAX];
	size_t from = 0, to, count = 0, i;
	bool valid;

	for (; from <= (size_t)lines.len && count < SCAN_PATHS_MAX; from = to + 1) {
		int64_t end = bytes_find(bytes_part(lines, from, (size_t)lines.len), '\n');

		to = end < 0 ? (size_t)lines.len : from + (size_t)end;
		texts[count] = bytes_part(lines, from, to);
		count += scan_path_cut(texts[count], steps[count], &paths[count]);
	}
	valid = scan_all(body, paths, count, values);
	FUZZ_MUST(valid == scan_valid(body), "a body is JSON whatever is asked of it");
	for (i = 0; i < count; i++) {
		FUZZ_MUST(valid || values[i].type == SCAN_ABSENT, "what is no JSON has no members");
		FUZZ_MUST(scan_find(body, texts[i]).type == values[i].type,
		          "a path finds the same alone and among others");
		body_value(body, values[i]);
	}
	body_compare(body);
	fuzz_end(&in);
	return 0;
}
