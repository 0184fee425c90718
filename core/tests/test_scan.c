/* The body scanner: what is JSON and what is not, and which member a path finds. */
#include <stdlib.h>
#include <string.h>

#include "bounds.h"
#include "check.h"
#include "scan.h"

/* A copy of exactly that size, so that reading one byte too many is found by the sanitizer. */
static knocker_bytes exact(const char *text, size_t len)
{
	char *copy = malloc(len ? len : 1);

	if (copy)
		memcpy(copy, text, len);
	return (knocker_bytes){copy, (int64_t)len};
}

static void release(knocker_bytes b)
{
	free((void *)(uintptr_t)b.data);
}

#define TEXT(literal)                  \
	{                                  \
		(literal), sizeof(literal) - 1 \
	}
typedef struct {
	const char *text;
	size_t len;
} sample;

static const sample valid[] = {
	TEXT("{}"),
	TEXT("[]"),
	TEXT(" \t\r\n[ ] "),
	TEXT("0"),
	TEXT("-0"),
	TEXT("-12.5e+3"),
	TEXT("1E9"),
	TEXT("true"),
	TEXT("false"),
	TEXT("null"),
	TEXT("\"\""),
	TEXT("\"a\\\"b\\\\c\\/\\b\\f\\n\\r\\t\\u00e9\""),
	TEXT("\"\\ud800\""),
	TEXT("\"\\u0000\""),
	TEXT("{\"a\":{\"b\":[1,2,{\"c\":null}]},\"a\":2}"),
	TEXT("\"\xC3\xA9\xF0\x9F\xA6\x80\""),
	TEXT("\"\x7F\""),
	TEXT("[1 , 2]"),
	TEXT("{ \"a\" : 1 , \"b\" : 2 }"),
	TEXT("\"long enough for the eight-byte steps\""),
};

static const sample invalid[] = {
	TEXT(""),
	TEXT(" "),
	TEXT("{"),
	TEXT("["),
	TEXT("]"),
	TEXT("}"),
	TEXT("{]"),
	TEXT("[}"),
	TEXT("[1,]"),
	TEXT("[,1]"),
	TEXT("[1 2]"),
	TEXT("{\"a\"}"),
	TEXT("{\"a\":}"),
	TEXT("{\"a\":1,}"),
	TEXT("{,}"),
	TEXT("{a:1}"),
	TEXT("{'a':1}"),
	TEXT("{1:1}"),
	TEXT("01"),
	TEXT("+1"),
	TEXT("1."),
	TEXT(".5"),
	TEXT("1e"),
	TEXT("1e+"),
	TEXT("-"),
	TEXT("--1"),
	TEXT("0x1"),
	TEXT("NaN"),
	TEXT("Infinity"),
	TEXT("tru"),
	TEXT("trueish"),
	TEXT("True"),
	TEXT("nul"),
	TEXT("\""),
	TEXT("\"\\\""),
	TEXT("\"\\x\""),
	TEXT("\"\\u12\""),
	TEXT("\"\\u12g4\""),
	TEXT("\"a\nb\""),
	TEXT("\"a\tb\""),
	TEXT("\"a\0b\""),
	TEXT("\0"),
	TEXT("{}\0"),
	TEXT("{} {}"),
	TEXT("{}x"),
	TEXT("1 2"),
	TEXT("// x\n1"),
	TEXT("/**/1"),
	TEXT("\xEF\xBB\xBF{}"),
	TEXT("\"\xC3\""),
	TEXT("\"\xC0\x80\""),
	TEXT("\"\xED\xA0\x80\""),
	TEXT("\"\xF5\x80\x80\x80\""),
	TEXT("\"\x80\""),
	TEXT("\"eight bytes or more and then \xFF\""),
	TEXT("\xA0{}"),
	TEXT("{\"a\":1 \"b\":2}"),
	TEXT("{\"a\":1,,\"b\":2}"),
	TEXT("[[]"),
	TEXT("[]]"),
	TEXT("\"\\"),
	TEXT("\"\\u"),
	TEXT("{\"a\" 1}"),
};

static void texts_are_judged(void)
{
	size_t i;

	for (i = 0; i < sizeof valid / sizeof valid[0]; i++) {
		knocker_bytes b = exact(valid[i].text, valid[i].len);

		CHECK(scan_valid(b), valid[i].text);
		release(b);
	}
	for (i = 0; i < sizeof invalid / sizeof invalid[0]; i++) {
		knocker_bytes b = exact(invalid[i].text, invalid[i].len);

		CHECK(!scan_valid(b), invalid[i].text);
		release(b);
	}
	CHECK(!scan_valid((knocker_bytes){0}), "an absent body is no JSON");
}

static void cut_texts_are_no_json(void)
{
	static const char whole[] =
		"{\"id\":\"evt_\\u00e9\\ud83e\\udd80\",\"n\":-12.5e+3,\"t\":[true,false,null,"
		"{\"deep\":{\"er\":[[],{}]}}],\"s\":\"plain text of some length\"}";
	bool none = true;
	size_t len;

	for (len = 0; len < sizeof whole - 1; len++) {
		knocker_bytes b = exact(whole, len);

		none = none && !scan_valid(b);
		release(b);
	}
	CHECK(none, "a text that is cut at any byte is no JSON");
	CHECK(scan_valid(bytes_of(whole)), "the whole text is");
}

static void found(const char *body, const char *path, scan_type type, const char *text)
{
	arena memory = {0};
	knocker_bytes b = exact(body, strlen(body)), got;
	scan_value v = scan_find(b, bytes_of(path));
	char sentence[200];

	got = scan_text(v, &memory, LIMIT_ID);
	snprintf(sentence, sizeof sentence, "in %.90s the path '%s' is %s", body, path,
	         text ? text : "no text");
	CHECK(v.type == type && (text ? bytes_is(got, text) : !bytes_given(got)), sentence);
	arena_free(&memory);
	release(b);
}

static void members_are_found(void)
{
	found("{\"id\":\"a\"}", "id", SCAN_TEXT, "a");
	found("{\"id\":\"a\"}", "ID", SCAN_ABSENT, NULL);
	found("{\"ID\":\"a\",\"id\":\"b\",\"Id\":\"c\"}", "id", SCAN_TEXT, "b");
	found("{\"id\":\"a\",\"id\":\"b\"}", "id", SCAN_TEXT, "b");
	found("{\"id\":\"a\",\"id\":null}", "id", SCAN_NULL, NULL);
	found("{\"a\":{\"b\":1},\"a\":{}}", "a.b", SCAN_ABSENT, NULL);
	found("{\"a\":{\"b\":1},\"a\":{\"b\":2}}", "a.b", SCAN_NUMBER, "2");
	found("{\"a\":{\"b\":1},\"a\":3}", "a.b", SCAN_ABSENT, NULL);
	found("{\"i\\u0064\":\"x\"}", "id", SCAN_TEXT, "x");
	found("{\"id\":1,\"i\\u0064\":2}", "id", SCAN_NUMBER, "2");
	found("{\"\\ud83e\\udd80\":1}", "\xF0\x9F\xA6\x80", SCAN_NUMBER, "1");
	found("{\"\\ud83e\":1}", "\xED\xA0\xBE", SCAN_ABSENT, NULL);
	found("{\"a\":9007199254740993}", "a", SCAN_NUMBER, "9007199254740993");
	found("{\"a\":1.0e2}", "a", SCAN_NUMBER, "1.0e2");
	found("{\"a\":-0}", "a", SCAN_NUMBER, "-0");
	found("{\"a\":true}", "a", SCAN_BOOL, "true");
	found("{\"a\":[1]}", "a", SCAN_ARRAY, NULL);
	found("{\"a\":{}}", "a", SCAN_OBJECT, NULL);
	found("{\"a\":\"\"}", "a", SCAN_TEXT, "");
	found("{\"a\":\"x\\ny\\u00e9\\ud83e\\udd80\\/\"}", "a", SCAN_TEXT,
	      "x\ny\xC3\xA9\xF0\x9F\xA6\x80/");
	found("{\"a\":\"ab\\u0000cd\"}", "a", SCAN_TEXT, NULL);
	found("{\"a\":\"\\ud800\"}", "a", SCAN_TEXT, NULL);
	found("{\"a\":\"\\udc00\\ud800\"}", "a", SCAN_TEXT, NULL);
	found("{\"a\":\"\\ud800x\"}", "a", SCAN_TEXT, NULL);
	found("[10,[20,21],{\"x\":30}]", "0", SCAN_NUMBER, "10");
	found("[10,[20,21],{\"x\":30}]", "1.1", SCAN_NUMBER, "21");
	found("[10,[20,21],{\"x\":30}]", "2.x", SCAN_NUMBER, "30");
	found("[10]", "1", SCAN_ABSENT, NULL);
	found("[10]", "-1", SCAN_ABSENT, NULL);
	found("[10]", "x", SCAN_ABSENT, NULL);
	found("{\"0\":1}", "0", SCAN_NUMBER, "1");
	found("{\"a\":1}", "a.b", SCAN_ABSENT, NULL);
	found("5", "$", SCAN_NUMBER, "5");
	found(" {\"a\":1} ", "", SCAN_OBJECT, NULL);
	found("{\"\":{\"\":7}}", ".", SCAN_NUMBER, "7");
	found("{\"a.b\":1}", "a.b", SCAN_ABSENT, NULL);
	found("{\"id\":\"a\"} x", "id", SCAN_ABSENT, NULL);
	found("{\"id\":\"a\",\"later\":\"\xFF\"}", "id", SCAN_ABSENT, NULL);
}

static void texts_have_a_bound(void)
{
	arena memory = {0};
	scan_value v = scan_find(bytes_of("{\"a\":\"12345\",\"b\":12345,\"c\":\"1\\u00322345\"}"),
	                         bytes_of("a"));

	CHECK(bytes_is(scan_text(v, &memory, 5), "12345"), "a text of the most bytes is given");
	CHECK(!bytes_given(scan_text(v, &memory, 4)), "a text over the most bytes is absent");
	v = scan_find(bytes_of("{\"b\":12345}"), bytes_of("b"));
	CHECK(!bytes_given(scan_text(v, &memory, 4)), "a number over the most bytes is absent");
	v = scan_find(bytes_of("{\"c\":\"1\\u003234\"}"), bytes_of("c"));
	CHECK(bytes_is(scan_text(v, &memory, 4), "1234"),
	      "the bound is of the text, not of its escapes");
	arena_free(&memory);
}

static void elements_are_walked(const char *body, size_t count, const char *last)
{
	knocker_bytes b = exact(body, strlen(body));
	scan_value array = scan_find(b, bytes_of("$")), element = {0};
	size_t at = 0, seen = 0;

	while (scan_each(array, &at, &element))
		seen++;
	CHECK(seen == count && (count == 0 || bytes_is(element.raw, last)), body);
	release(b);
}

static void many_paths_in_one_pass(void)
{
	static const char body[] = "{\"p0\":0,\"p1\":{\"q\":1},\"p63\":63}";
	char names[SCAN_PATHS_MAX][8];
	knocker_bytes steps[SCAN_PATHS_MAX][SCAN_STEPS_MAX];
	scan_path paths[SCAN_PATHS_MAX];
	scan_value values[SCAN_PATHS_MAX];
	size_t i;

	for (i = 0; i < SCAN_PATHS_MAX; i++) {
		snprintf(names[i], sizeof names[i], "p%zu", i);
		scan_path_cut(bytes_of(names[i]), steps[i], &paths[i]);
	}
	CHECK(scan_all(bytes_of(body), paths, SCAN_PATHS_MAX, values), "as many paths as there may be");
	CHECK(bytes_is(values[0].raw, "0") && bytes_is(values[1].raw, "{\"q\":1}") &&
	          bytes_is(values[63].raw, "63") && values[2].type == SCAN_ABSENT,
	      "each is found, the first and the last");
	CHECK(!scan_all(bytes_of("{\"p0\":1"), paths, SCAN_PATHS_MAX, values) &&
	          values[0].type == SCAN_ABSENT,
	      "nothing is found in what is no JSON");
}

static void paths_have_a_bound(void)
{
	char path[4 * SCAN_STEPS_MAX];
	knocker_bytes steps[SCAN_STEPS_MAX];
	scan_path cut;
	size_t i;

	for (i = 0; i < SCAN_STEPS_MAX; i++)
		memcpy(path + 2 * i, "a.", 2);
	CHECK(scan_path_cut((knocker_bytes){path, 2 * SCAN_STEPS_MAX - 1}, steps, &cut) &&
	          cut.count == SCAN_STEPS_MAX,
	      "a path may have as many steps as there may be");
	CHECK(!scan_path_cut((knocker_bytes){path, 2 * SCAN_STEPS_MAX}, steps, &cut),
	      "and not one more");
}

/* `open` n times, and `close` n times. */
static knocker_bytes nested(const char *open, size_t n, const char *inside, const char *close)
{
	buffer b;
	size_t i;

	buffer_init(&b, 64 * 1024 * 1024);
	for (i = 0; i < n; i++)
		buffer_text(&b, open);
	buffer_text(&b, inside);
	for (i = 0; i < n; i++)
		buffer_text(&b, close);
	return buffer_view(&b);
}

static void hostile(const char *sentence, knocker_bytes body, bool is_json)
{
	CHECK(scan_valid(body) == is_json, sentence);
	memory_free((void *)(uintptr_t)body.data);
}

static void hostile_bodies(void)
{
	buffer b;
	size_t i;

	hostile("128 levels of arrays are JSON", nested("[", 128, "", "]"), true);
	hostile("129 levels of arrays are not", nested("[", 129, "", "]"), false);
	hostile("128 levels of objects are JSON", nested("{\"a\":", 128, "1", "}"), true);
	hostile("129 levels of objects are not", nested("{\"a\":", 129, "1", "}"), false);
	hostile("300,000 open brackets are not JSON", nested("[", 300000, "", ""), false);
	hostile("300,000 open braces are not JSON", nested("{\"a\":", 300000, "", ""), false);
	hostile("300,000 brackets, closed, are not JSON", nested("[", 300000, "", "]"), false);
	buffer_init(&b, 64 * 1024 * 1024);
	buffer_text(&b, "[");
	for (i = 0; i < LIMIT_BODY / 2; i++)
		buffer_text(&b, "0,");
	buffer_text(&b, "0]");
	CHECK(scan_valid(buffer_view(&b)), "5 MiB of 0, are JSON and cost no memory");
	b.len--;
	CHECK(!scan_valid(buffer_view(&b)), "and cut they are not");
	buffer_free(&b);
}

int main(void)
{
	texts_are_judged();
	cut_texts_are_no_json();
	members_are_found();
	texts_have_a_bound();
	elements_are_walked("[]", 0, "");
	elements_are_walked("[ ]", 0, "");
	elements_are_walked("[1]", 1, "1");
	elements_are_walked(" [ 1 , {\"a\":[2,3]} , \"x,]\" , [4] ] ", 4, "[4]");
	elements_are_walked("{\"a\":1}", 0, "");
	many_paths_in_one_pass();
	paths_have_a_bound();
	hostile_bodies();
	return check_end("test_scan");
}
