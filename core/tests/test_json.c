/* JSON that the application wrote: what is taken, what is refused, and that nothing is rounded or
 * cut on the way. */
#include <pthread.h>
#include <string.h>

#include "bounds.h"
#include "check.h"
#include "json.h"

static void refused(const char *text, size_t len, const char *reason)
{
	knocker_error error = {0};
	json *tree = (json *)&error;
	int32_t rc = json_parse("options_json", (knocker_bytes){text, (int64_t)len}, &tree, &error);

	CHECK(rc == KNOCKER_INVALID_ARGUMENT && !tree, reason);
	CHECK(strstr(error.text, "options_json") && strstr(error.text, reason), error.text);
}

static void texts_are_refused(void)
{
	static const struct {
		const char *text;
		size_t len;
		const char *reason;
	} cases[] = {
		{"", 0, "is not JSON"},
		{" ", 1, "is not JSON"},
		{"{", 1, "is not JSON"},
		{"{\"a\":1", 6, "is not JSON"},
		{"{\"a\":}", 6, "is not JSON"},
		{"{'a':1}", 7, "is not JSON"},
		{"[1,]", 4, "is not JSON"},
		{"nul", 3, "is not JSON"},
		{"{} {}", 5, "text follows the value"},
		{"{}x", 3, "text follows the value"},
		{"[1]\0", 4, "a control character"},
		{"\"a\0b\"", 5, "a control character in a text"},
		{"\"a\nb\"", 5, "a control character in a text"},
		{"\"\\u0000\"", 8, "a NUL in a text"},
		{"\"\\ud800\"", 8, "a lone surrogate"},
		{"\"\\ud800\\u0041\"", 14, "a lone surrogate"},
		{"\"\\udc00\"", 8, "a lone surrogate"},
		{"\"\\u12\"", 6, "a wrong escape"},
		{"\"\\u12g4\"", 8, "a wrong escape"},
		{"\"abc", 4, "a text without end"},
		{"\"\\", 2, "a text without end"},
		{"\"\xFF\"", 3, "a byte that is no UTF-8"},
		{"\xEF\xBB\xBF{}", 5, "a byte order mark"},
		{"{\"a\":1,\"b\":2,\"a\":3}", 19, "has the member 'a' twice"},
		{"[{\"x\":{\"b\":1,\"\\u0062\":2}}]", 26, "has the member 'b' twice"},
	};
	size_t i;

	for (i = 0; i < sizeof cases / sizeof cases[0]; i++)
		refused(cases[i].text, cases[i].len, cases[i].reason);
}

static void nothing_is_lost(void)
{
	static const char text[] =
		" {\"A\":\"x\",\"a\":\"y\\u00e9\",\"n\":[1,-2,3.5,9007199254740991,9007199254740993,1e300],"
		"\"t\":true,\"f\":false,\"z\":null,\"o\":{}} \n";
	static const bool whole[] = {true, true, false, true, false, false};
	static const int64_t numbers[] = {1, -2, 0, 9007199254740991, 0, 0};
	knocker_error error;
	const json *number;
	json *tree = NULL;
	int64_t value;
	size_t i = 0;

	CHECK(json_parse("x", bytes_of(text), &tree, &error) == 0,
	      "an object is read, with blanks around it");
	CHECK(bytes_is(json_text(json_member(tree, "A")), "x") &&
	          bytes_is(json_text(json_member(tree, "a")), "y\xC3\xA9"),
	      "names that differ in case are two");
	for (number = json_first(json_member(tree, "n")); number; number = json_next(number), i++) {
		value = 0;
		CHECK(json_int(number, &value) == whole[i] && (!whole[i] || value == numbers[i]),
		      "a whole number within 2^53 is exact, and no other is one");
	}
	CHECK(i == 6 && json_count(tree) == 7, "all are there");
	CHECK(json_true(json_member(tree, "t")) && !json_true(json_member(tree, "f")) &&
	          !json_true(NULL),
	      "true is true");
	CHECK(json_kind(json_member(tree, "z")) == JSON_NULL && json_kind(NULL) == JSON_NULL,
	      "null and nothing are null");
	CHECK(json_kind(json_member(tree, "o")) == JSON_OBJECT && !json_first(json_member(tree, "o")),
	      "an empty object");
	CHECK(!bytes_given(json_text(json_member(tree, "n"))) &&
	          !json_member(json_member(tree, "n"), "a"),
	      "a list is no text and has no members");
	CHECK(!json_int(json_member(tree, "a"), &value), "a text is no number");
	json_free(tree);
	json_free(NULL);
	json_cleanse_free(NULL);
}

static void repeated(const char *open, size_t n, const char *inside, const char *close, bool good,
                     const char *sentence)
{
	knocker_error error;
	json *tree = NULL;
	buffer b;
	size_t i;

	buffer_init(&b, 64 * 1024 * 1024);
	for (i = 0; i < n; i++)
		buffer_text(&b, open);
	buffer_text(&b, inside);
	for (i = 0; i < n && *close; i++)
		buffer_text(&b, close);
	CHECK((json_parse("x", buffer_view(&b), &tree, &error) == 0) == good, sentence);
	json_free(tree);
	buffer_free(&b);
}

static void bounds_hold(void)
{
	knocker_error error;
	json *tree = NULL;
	buffer b;
	size_t i;

	repeated("[", 128, "", "]", true, "128 levels are read");
	repeated("[", 129, "", "]", false, "129 are refused");
	repeated("[", 300000, "", "", false, "300,000 brackets are refused");
	repeated("[", LIMIT_JSON, "", "", false, "and a megabyte of them");
	repeated(" ", LIMIT_JSON, "1", "", false, "a text over the limit is refused");
	buffer_init(&b, LIMIT_JSON);
	buffer_text(&b, "{\"m0\":0");
	for (i = 1; i < 60000; i++) {
		buffer_text(&b, ",\"m");
		buffer_int(&b, (int64_t)i);
		buffer_text(&b, "\":0");
	}
	buffer_text(&b, "}");
	CHECK(json_parse("x", buffer_view(&b), &tree, &error) == 0 && json_count(tree) == 60000,
	      "an object of 60,000 members is read");
	json_free(tree);
	buffer_free(&b);
}

static void no_memory_is_an_error(void)
{
	static const char text[] = "{\"a\":[1,2,{\"b\":\"text\"}],\"c\":\"d\"}";
	knocker_error error;
	bool clean = true;
	json *tree;
	int64_t n;

	for (n = 0; n < 200; n++) {
		int32_t rc;

		memory_fail_after(n, false);
		rc = json_parse("x", bytes_of(text), &tree, &error);
		memory_fail_after(-1, false);
		clean = clean && (rc == 0) == (tree != NULL);
		json_free(tree);
		if (rc == 0)
			break;
	}
	CHECK(clean && n > 5 && n < 200, "each allocation that fails makes an error and leaks nothing");
}

static void *parse_often(void *wrong)
{
	knocker_error error;
	json *tree;
	int i;

	for (i = 0; i < 500; i++) {
		if (json_parse("x", bytes_of("{\"a\":[1,2,3]}"), &tree, &error) < 0 ||
		    json_count(tree) != 1)
			*(bool *)wrong = true;
		json_free(tree);
	}
	return NULL;
}

static void threads_may_parse(void)
{
	pthread_t threads[4];
	bool wrong[4] = {false, false, false, false};
	int i;

	for (i = 0; i < 4; i++)
		pthread_create(&threads[i], NULL, parse_often, &wrong[i]);
	for (i = 0; i < 4; i++)
		pthread_join(threads[i], NULL);
	CHECK(!wrong[0] && !wrong[1] && !wrong[2] && !wrong[3], "four threads parse at once");
}

int main(void)
{
	texts_are_refused();
	nothing_is_lost();
	bounds_hold();
	no_memory_is_an_error();
	threads_may_parse();
	return check_end("test_json");
}
