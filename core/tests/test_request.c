/* Header lines, queries, and what of them may be stored: no credential. */
#include <string.h>

#include "bounds.h"
#include "check.h"
#include "scheme.h"

/* ---- headers ---- */

static void headers_are_checked(void)
{
	static const struct {
		const char *text;
		size_t len;
		const char *reason; /* NULL: fine */
	} cases[] = {
		{"", 0, NULL},
		{"a: b", 4, NULL},
		{"a: b\n", 5, NULL},
		{"a:b\nA : c\n", 10, NULL},
		{"a:\n", 3, NULL},
		{"a: \t\x80\xFF\n", 7, NULL},
		{"a: b:c\n", 7, NULL},
		{"a", 1, "line 1 has no colon"},
		{"a: b\nno colon\n", 14, "line 2 has no colon"},
		{"a: b\n\nc: d\n", 11, "line 2 has no colon"},
		{": b\n", 4, "line 1 has no name"},
		{" \t: b\n", 6, "line 1 has no name"},
		{"a: b\r\n", 6, "line 1 holds a control character"},
		{"a: \0\n", 5, "line 1 holds a control character"},
		{"a\0: b\n", 6, "line 1 holds a control character"},
		{"a: \x1b[31m\n", 9, "line 1 holds a control character"},
		{"a: \x7f\n", 5, "line 1 holds a control character"},
	};
	size_t i;

	for (i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		knocker_error error = {0};
		int32_t rc = request_headers_check((knocker_bytes){cases[i].text, (int64_t)cases[i].len},
		                                   &error);

		if (!cases[i].reason)
			CHECK(rc == 0, cases[i].text);
		else
			CHECK(rc == KNOCKER_INVALID_ARGUMENT && strstr(error.text, cases[i].reason),
			      cases[i].reason);
	}
	CHECK(request_headers_check((knocker_bytes){0}, NULL) == 0, "no headers are fine");
}

static void many_headers(size_t count, size_t value, bool good, const char *sentence)
{
	knocker_error error;
	buffer b, out;
	size_t i, k;

	buffer_init(&b, 64 * 1024 * 1024);
	buffer_init(&out, 64 * 1024 * 1024);
	for (i = 0; i < count; i++) {
		buffer_text(&b, i % 2 ? "x-same: " : "x-");
		if (i % 2 == 0) {
			buffer_int(&b, (int64_t)i);
			buffer_text(&b, ": ");
		}
		for (k = 0; k < value; k++)
			buffer_text(&b, "v");
		buffer_text(&b, "\n");
	}
	CHECK((request_headers_check(buffer_view(&b), &error) == 0) == good, sentence);
	CHECK(request_headers_json(NULL, NULL, buffer_view(&b), &out, &error) == 0,
	      "they can be written all the same");
	buffer_free(&b);
	buffer_free(&out);
}

static void names_are_compared(void)
{
	static const struct {
		const char *name, *wanted;
		bool same;
	} cases[] = {
		{"X-Name", "x-name", true},
		{"x-NAME", "x-name", true},
		{"HTTP_X_NAME", "x-name", true},
		{"HTTP_x_name", "x-name", true},
		{"HTTP_X-NAME", "x-name", true},
		{"http_x_name", "x-name", false},
		{"HTTP_X_NAME_2", "x-name", false},
		{"X_Name", "x-name", false},
		{"CONTENT_TYPE", "content-type", true},
		{"CONTENT_LENGTH", "content-length", true},
		{"Content-Type", "content-type", true},
		{"HTTP_CONTENT_TYPE", "content-type", true},
		{"content_type", "content-type", false},
		{"CONTENT_TYPES", "content-types", false},
		{"HTTP_", "", false},
		{"HTTP_AUTHORIZATION", "authorization", true},
		{"x-nam", "x-name", false},
		{"", "x-name", false},
	};
	size_t i;

	for (i = 0; i < sizeof cases / sizeof cases[0]; i++)
		CHECK(request_header_is(bytes_of(cases[i].name), cases[i].wanted) == cases[i].same,
		      cases[i].name);
}

static void headers_are_walked(void)
{
	knocker_bytes headers = bytes_of("a: 1\nno colon\nB-c:\t two : three \t\nd:"), name, value;
	size_t at = 0;

	CHECK(request_header_next(headers, &at, &name, &value) && bytes_is(name, "a") &&
	          bytes_is(value, "1"),
	      "the first");
	CHECK(request_header_next(headers, &at, &name, &value) && bytes_is(name, "B-c") &&
	          bytes_is(value, "two : three"),
	      "the next, its value trimmed");
	CHECK(request_header_next(headers, &at, &name, &value) && bytes_is(name, "d") &&
	          bytes_is(value, ""),
	      "an empty one");
	CHECK(!request_header_next(headers, &at, &name, &value), "and then none");
}

/* ---- what is stored ---- */

static void stored(const char *provider, const char *options, const char *headers, const char *want)
{
	const scheme *s = NULL;
	scheme_keys *keys = NULL;
	knocker_error error;
	buffer out;

	buffer_init(&out, LIMIT_JSON);
	if (provider) {
		scheme_builtin(bytes_of(provider), &s, &error);
		scheme_keys_new(s, bytes_of("[\"a secret\"]"), bytes_of(options), &keys, &error);
	}
	CHECK(request_headers_json(s, keys, bytes_of(headers), &out, &error) == 0 &&
	          bytes_is(buffer_view(&out), want),
	      want);
	if (!bytes_is(buffer_view(&out), want))
		printf("  %.*s\n", (int)out.len, out.data);
	scheme_keys_free(keys);
	buffer_free(&out);
}

static void headers_are_stored(void)
{
	stored(NULL, NULL, "", "{}");
	stored(NULL, NULL, "B: 2\na: 1\nb: 3\nB: 4\n", "{\"B\":[\"2\",\"3\",\"4\"],\"a\":\"1\"}");
	stored(NULL, NULL, "q: \"\\\t\xFF\xC3\xA9\n", "{\"q\":\"\\\"\\\\\\t\\u00ff\xC3\xA9\"}");
	stored(
		NULL, NULL, "Authorization: Bearer x\nproxy-AUTHORIZATION: y\nCookie: z\n",
		"{\"Authorization\":\"[redacted]\",\"proxy-AUTHORIZATION\":\"[redacted]\",\"Cookie\":\"[redacted]\"}");
	stored(
		NULL, NULL, "HTTP_AUTHORIZATION: a\nHTTP_COOKIE: b\nHTTP_COOKIE: c\nHTTP_X_OTHER: d\n",
		"{\"HTTP_AUTHORIZATION\":\"[redacted]\",\"HTTP_COOKIE\":[\"[redacted]\",\"[redacted]\"],\"HTTP_X_OTHER\":\"d\"}");
	stored("stripe", NULL, "Stripe-Signature: t=1,v1=00\nX-Knocker-Token: t\n",
	       "{\"Stripe-Signature\":\"t=1,v1=00\",\"X-Knocker-Token\":\"t\"}");
	stored("token-header", NULL, "X-Knocker-Token: a secret\nx-gitlab-token: b\n",
	       "{\"X-Knocker-Token\":\"[redacted]\",\"x-gitlab-token\":\"b\"}");
	stored("token-header", "{\"header\":\"X-Gitlab-Token\"}",
	       "X-Knocker-Token: a\nx-gitlab-TOKEN: b\n",
	       "{\"X-Knocker-Token\":\"a\",\"x-gitlab-TOKEN\":\"[redacted]\"}");
	stored("token-header", "{\"header\":\"X-Gitlab-Token\"}", "HTTP_X_GITLAB_TOKEN: b\n",
	       "{\"HTTP_X_GITLAB_TOKEN\":\"[redacted]\"}");
}

static void stored_query(const char *own, const char *options, const char *query, const char *want)
{
	scheme *s = NULL;
	scheme_keys *keys = NULL;
	knocker_error error = {0};
	buffer out;

	buffer_init(&out, LIMIT_JSON);
	if (own &&
	    (scheme_compile(bytes_of(own), &s, &error) < 0 ||
	     scheme_keys_new(s, bytes_of("[\"a secret\"]"), bytes_of(options), &keys, &error) < 0))
		printf("  %s\n", error.text);
	CHECK(request_query_json(s, keys, bytes_of(query), &out, &error) == 0 &&
	          bytes_is(buffer_view(&out), want),
	      want);
	if (!bytes_is(buffer_view(&out), want))
		printf("  %.*s\n", (int)out.len, out.data);
	scheme_keys_free(keys);
	scheme_free(s);
	buffer_free(&out);
}

static void queries_are_stored(void)
{
	static const char token[] =
		"{\"kind\":\"token\",\"sig\":{\"from\":[\"query:token\"]},\"extract\":{}}";
	static const char handshake[] =
		"{\"extends\":\"github\",\"options\":{\"verify_token\":{\"type\":\"string\"}},\"handshake\":[{\"when\":{\"query:"
		"hub.verify_token\":\"{option:verify_token}\"},\"signed\":false,\"respond\":{\"status\":200}}]}";

	stored_query(NULL, NULL, "", "{}");
	stored_query(NULL, NULL, "a=1&b&&c=&=d&a=2&%61=3",
	             "{\"a\":[\"1\",\"2\",\"3\"],\"b\":\"\",\"c\":\"\",\"\":\"d\"}");
	stored_query(NULL, NULL, "a+b=%2b+%zz%4&A=1", "{\"a b\":\"+ %zz%4\",\"A\":\"1\"}");
	stored_query(NULL, NULL, "a=b=c&n=%00%ff", "{\"a\":\"b=c\",\"n\":\"\\u0000\\u00ff\"}");
	stored_query(token, NULL, "token=x&Token=y&token=z",
	             "{\"token\":[\"[redacted]\",\"[redacted]\"],\"Token\":\"y\"}");
	stored_query(token, NULL, "t%6fken=x", "{\"token\":\"[redacted]\"}");
	stored_query(handshake, "{\"verify_token\":\"v\"}", "hub.mode=subscribe&hub.verify_token=v",
	             "{\"hub.mode\":\"subscribe\",\"hub.verify_token\":\"[redacted]\"}");
}

static void the_handed_secret_is_redacted(void)
{
	static const char own[] =
		"{\"extends\":\"github\",\"handshake\":[{\"when\":{\"header:x-hook-secret\":\"*\"},\"signed\":"
		"false,\"store_secret\":\"header:x-hook-secret\",\"respond\":{\"status\":200}}]}";
	scheme *s = NULL;
	knocker_error error;
	buffer out;

	buffer_init(&out, LIMIT_JSON);
	CHECK(scheme_compile(bytes_of(own), &s, &error) == 0, "the scheme compiles");
	CHECK(request_headers_json(s, NULL, bytes_of("X-Hook-Secret: abc\nx: y\n"), &out, &error) ==
	              0 &&
	          bytes_is(buffer_view(&out), "{\"X-Hook-Secret\":\"[redacted]\",\"x\":\"y\"}"),
	      "a secret that a handshake hands over is not stored, before there are keys either");
	scheme_free(s);
	buffer_free(&out);
}

static void hostile_queries(void)
{
	knocker_error error;
	buffer query, out;
	size_t i;

	buffer_init(&query, LIMIT_JSON);
	buffer_init(&out, 64 * 1024 * 1024);
	for (i = 0; i < LIMIT_QUERY / 2; i++)
		buffer_text(&query, i % 3 ? "a&" : "&&");
	CHECK(request_query_json(NULL, NULL, buffer_view(&query), &out, &error) == 0,
	      "64 KiB of tiny members are written");
	buffer_free(&out);
	buffer_init(&out, 10);
	CHECK(request_query_json(NULL, NULL, buffer_view(&query), &out, &error) < 0,
	      "a buffer that is too small is an error");
	buffer_free(&out);
	buffer_free(&query);
}

int main(void)
{
	headers_are_checked();
	many_headers(LIMIT_HEADER_COUNT, 10, true, "a thousand headers are fine");
	many_headers(LIMIT_HEADER_COUNT + 1, 10, false, "one more is not");
	many_headers(100, 4000, false, "nor are headers over the limit in bytes");
	names_are_compared();
	headers_are_walked();
	headers_are_stored();
	queries_are_stored();
	the_handed_secret_is_redacted();
	hostile_queries();
	return check_end("test_request");
}
