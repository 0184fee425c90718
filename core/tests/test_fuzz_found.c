/* What fuzzing found, one case each: a table beside the inputs of core/fuzz/corpus, which are
 * replayed. */
#include "scheme_help.h"

static void no_line_ends_in_headers(void)
{
	static const struct {
		const char *provider, *secrets;
		bool sendable;
	} cases[] = {
		{"token-header", "[\"tok\\nx-other: 1\"]", false},
		{"token-header", "[\"tok\\r\"]", false},
		{"token-header", "[\"tok \"]", false},
		{"bearer-token", "[\"\\ttok\"]", false},
		{"bearer-token", "[\"tok\\u007f\"]", false},
		{"token-header", "[\"to\\tk\"]", true},
		{"basic-auth", "[\"user:pa\\nss\"]", true},
		{"github", "[\"k\\n\"]", true},
	};
	size_t i;

	for (i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		const scheme *s = NULL;
		scheme_keys *keys = NULL;
		scheme_request request = {.body = bytes_of("{}")};
		knocker_error error = {0};
		buffer lines;
		int32_t rc;

		buffer_init(&lines, 10000);
		CHECK(scheme_builtin(bytes_of(cases[i].provider), &s, &error) == 0 && s &&
		          scheme_keys_new(s, bytes_of(cases[i].secrets), (knocker_bytes){0}, &keys,
		                          &error) == 0,
		      "the secret is a key");
		rc = scheme_sign(s, keys, &request, 1700000000, &lines, &error);
		CHECK(rc == (cases[i].sendable ? 0 : KNOCKER_INVALID_ARGUMENT),
		      "a text that a header cannot hold is not sent, any other is");
		CHECK(cases[i].sendable || (strstr(error.text, "header '") &&
		                            !strstr(error.text, "tok\n") && !strstr(error.text, "x-other")),
		      "the error names the header, and holds no secret");
		scheme_keys_free(keys);
		buffer_free(&lines);
	}
}

/* A header of an answer, or one that is signed into, has a name that is one. */
static void header_names_are_names(void)
{
	static const struct {
		const char *headers, *source, *said; /* NULL: it compiles */
	} cases[] = {
		{"{\"X-A\\u007f\":\"b\"}", "header:s", "which is no header's name"},
		{"{\"X-A\\r\\nX-B: c\":\"b\"}", "header:s", "which is no header's name"},
		{"{\"\":\"b\"}", "header:s", "which is no header's name"},
		{"{\"X-A\":\"b\"}", "header:s: t\\nx", "has no header's name"},
		{"{\"X-A\":\"b\"}", "header:s{t", "header:s{t"},
		{"{\"X-A\":\"b\"}", "header*: s", "has no header's name"},
		{"{\"X-A\":\"b\"}", "header*:", NULL},
		{"{\"X-A\":\"b\"}", "header:x-{option:o}-s", NULL},
		{"{\"X-A\":\"b\"}", "header:x-{option:o}{option:}", "an option that is not declared"},
	};
	size_t i;

	for (i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		char text[1000];
		scheme *s = NULL;
		knocker_error error = {0};
		int32_t rc;

		snprintf(text, sizeof text,
		         "{\"kind\":\"token\",\"sig\":{\"from\":[\"%s\"]},\"extract\":{},\"reject\":"
		         "{\"status\":401,\"headers\":%s},\"options\":{\"o\":{\"type\":\"string\"}}}",
		         cases[i].source, cases[i].headers);
		rc = scheme_compile(bytes_of(text), &s, &error);
		CHECK(cases[i].said ? rc == KNOCKER_INVALID_ARGUMENT && strstr(error.text, cases[i].said)
		                    : rc == 0,
		      "what is no header's name is refused when the scheme is read, any other is not");
		if (!cases[i].said == (rc < 0))
			printf("  %zu: %s\n", i, error.text);
		scheme_free(s);
	}
}

/* Elements have a name by sig.kv; without it NULL was compared. */
static void elements_need_kv(void)
{
	static const char without[] =
		"{\"kind\":\"hmac\",\"alg\":\"sha256\",\"sig\":{\"from\":[\"header:s\"],\"enc\":\"hex\"},"
		"\"vars\":{\"t\":{\"from\":[\"sig:t\"]}},\"signed\":[\"{t}{body}\"],\"extract\":{}}";
	scheme *s = NULL;
	knocker_error error = {0};

	CHECK(scheme_compile(bytes_of(without), &s, &error) == KNOCKER_INVALID_ARGUMENT && !s &&
	          strstr(error.text, "reads an element, but 'sig.kv' is absent: 'sig:t'"),
	      "an element of a signature without elements is refused");
}

int main(void)
{
	elements_need_kv();
	header_names_are_names();
	no_line_ends_in_headers();
	return check_end("test_fuzz_found");
}
