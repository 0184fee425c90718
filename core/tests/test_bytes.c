/* Slices, buffers, arenas, and an allocator whose n-th call can be made to fail. */
#include <stdlib.h>
#include <string.h>

#include "bytes.h"
#include "check.h"
#include "error.h"

static void slices(void)
{
	knocker_bytes none = {0}, empty = bytes_of(""), text = bytes_of(" \tab c\t ");

	CHECK(!bytes_given(none) && bytes_given(empty), "absent differs from empty");
	CHECK(!bytes_equal(none, none) && !bytes_equal(none, empty) && bytes_equal(empty, bytes_of("")),
	      "absent equals nothing");
	CHECK(bytes_is(bytes_trim(text), "ab c"), "blanks and tabs go at both ends");
	CHECK(bytes_trim(bytes_of(" \t ")).len == 0 && !bytes_given(bytes_trim(none)),
	      "of blanks nothing is left");
	CHECK(bytes_is(bytes_trim(bytes_of("\na\n")), "\na\n"), "other white space stays");
	CHECK(bytes_equal_nocase(bytes_of("AbZ"), bytes_of("aBz")) &&
	          !bytes_equal_nocase(bytes_of("a["), bytes_of("a{")),
	      "case is that of letters only");
	CHECK(bytes_starts(bytes_of("sha256=x"), "sha256=") &&
	          !bytes_starts(bytes_of("sha"), "sha256=") && !bytes_starts(none, ""),
	      "a beginning is compared as bytes");
	CHECK(bytes_find(text, 'c') == 5 && bytes_find(text, 'x') == -1 && bytes_find(none, 'x') == -1,
	      "a byte is found, or -1");
	CHECK(bytes_is(bytes_part(bytes_of("abcd"), 1, 3), "bc"), "a part is from and to");
}

static void utf8(void)
{
	static const char *const good[] = {"",
	                                   "a",
	                                   "\xC2\x80",
	                                   "\xDF\xBF",
	                                   "\xE0\xA0\x80",
	                                   "\xED\x9F\xBF",
	                                   "\xEE\x80\x80",
	                                   "\xF0\x90\x80\x80",
	                                   "\xF4\x8F\xBF\xBF"};
	static const char *const bad[] = {"\x80",
	                                  "\xBF",
	                                  "\xC0\x80",
	                                  "\xC1\xBF",
	                                  "\xC2",
	                                  "\xC2\x41",
	                                  "\xE0\x9F\xBF",
	                                  "\xE0\xA0",
	                                  "\xED\xA0\x80",
	                                  "\xED\xBF\xBF",
	                                  "\xF0\x8F\xBF\xBF",
	                                  "\xF4\x90\x80\x80",
	                                  "\xF5\x80\x80\x80",
	                                  "\xFF",
	                                  "a\xFE"};
	size_t i;

	for (i = 0; i < sizeof good / sizeof good[0]; i++)
		CHECK(bytes_utf8(bytes_of(good[i])), "this is UTF-8");
	for (i = 0; i < sizeof bad / sizeof bad[0]; i++)
		CHECK(!bytes_utf8(bytes_of(bad[i])), "this is not UTF-8");
}

static void buffers(void)
{
	buffer b;

	buffer_init(&b, 10);
	buffer_text(&b, "12345");
	buffer_int(&b, -1234);
	CHECK(!b.failed && bytes_is(buffer_view(&b), "12345-1234"), "a buffer holds up to its maximum");
	buffer_text(&b, "x");
	buffer_text(&b, "");
	CHECK(b.failed && b.len == 10, "one byte more fails, and changes nothing");
	buffer_free(&b);
	buffer_init(&b, 100);
	CHECK(bytes_is(buffer_view(&b), ""), "a buffer begins empty, not absent");
	buffer_int(&b, INT64_MIN);
	CHECK(bytes_is(buffer_view(&b), "-9223372036854775808"), "the least number is written whole");
	buffer_free(&b);
	buffer_init(&b, 200);
	buffer_json(&b, bytes_of("a\"\\\n\x01\x7F\xC3\xA9\xFF/"));
	buffer_json(&b, (knocker_bytes){"\0", 1});
	buffer_json(&b, (knocker_bytes){0});
	CHECK(bytes_is(buffer_view(&b),
	               "\"a\\\"\\\\\\n\\u0001\\u007f\xC3\xA9\\u00ff/\"\"\\u0000\"null"),
	      "JSON is escaped, a byte that is no UTF-8 is a character of its number, absent is null");
	buffer_free(&b);
}

static void arenas(void)
{
	arena a = {0};
	knocker_bytes copy, none;
	bool zeroed = true, aligned = true;
	size_t i, k;

	for (i = 1; i < 9000; i = i * 3 + 1) {
		unsigned char *memory = arena_get(&a, i);

		aligned = aligned && (uintptr_t)memory % _Alignof(max_align_t) == 0;
		for (k = 0; k < i; k++)
			zeroed = zeroed && memory[k] == 0;
		memset(memory, 0xAA, i);
	}
	CHECK(zeroed && aligned, "memory of an arena is zeroed and aligned");
	CHECK(arena_copy(&a, bytes_of("text"), &copy) && bytes_is(copy, "text") &&
	          ((const char *)copy.data)[4] == '\0',
	      "a copy is followed by a NUL");
	CHECK(arena_copy(&a, (knocker_bytes){0}, &none) && !bytes_given(none), "absent stays absent");
	CHECK(!arena_get(&a, SIZE_MAX - 3), "a size that overflows is no memory");
	arena_free(&a);
	arena_free(&a);
	CHECK(!a.blocks, "freeing twice is fine");
}

static void faults(void)
{
	arena a = {0};
	void *first, *second, *third;
	buffer b;

	memory_fail_after(1, false);
	first = memory_get(1);
	second = memory_get(1);
	third = memory_get(1);
	CHECK(first && !second && third, "the second allocation fails, alone");
	memory_free(first);
	memory_free(third);
	memory_fail_after(0, true);
	CHECK(!memory_get(1) && !memory_get(1) && !arena_get(&a, 1), "from now on all fail");
	buffer_init(&b, 100);
	buffer_text(&b, "x");
	CHECK(b.failed, "a buffer without memory says so");
	memory_fail_after(-1, false);
	buffer_free(&b);
	first = memory_get(0);
	CHECK(first, "no bytes are memory too");
	memory_free(first);
	memory_free(NULL);
}

/* A sentence that quotes odd bytes can be read by every driver. */
static void sentences(void)
{
	char name[200] = "a";
	knocker_bytes quoted;
	knocker_error e;
	int i;

	for (i = 0; i < 60; i++)
		memcpy(name + 1 + 2 * i, "\xC3\xA9", 3);
	quoted = bytes_of(name);
	fail(&e, KNOCKER_UNKNOWN_ENDPOINT, "'%.*s'", QUOTED(quoted));
	CHECK(strlen(e.text) == 61 && bytes_utf8(bytes_of(e.text)), "a quote ends at a character");
	fail(&e, KNOCKER_INVALID_ARGUMENT, "%s%s%s%s", name, name, name, name);
	CHECK(strlen(e.text) == 247 && bytes_utf8(bytes_of(e.text)), "so does a sentence");
	fail(&e, KNOCKER_INVALID_ARGUMENT, "%s",
	     "\xFF"
	     "b\xC3(\xE2\x82\xAC\xE2\x82");
	CHECK(strcmp(e.text, "?b?(\xE2\x82\xAC??") == 0, "what is no UTF-8 reads as a question mark");
	quoted = (knocker_bytes){0};
	fail(&e, KNOCKER_INVALID_ARGUMENT, "'%.*s'", QUOTED(quoted));
	CHECK(strcmp(e.text, "''") == 0, "what is absent is quoted as nothing");
}

int main(void)
{
	slices();
	sentences();
	utf8();
	buffers();
	arenas();
	faults();
	return check_end("test_bytes");
}
