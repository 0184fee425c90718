/* Fuzzes forms, queries and URLs: as they are cut, decoded, stored and spelled for signatures.
 * Fields: the option url; the query; the body. */
#include "fuzz.h"
#include "scheme_parts.h"

static const char form_scheme_text[] =
	"{\"kind\":\"hmac\",\"alg\":\"sha256\",\"sig\":{\"from\":[\"header:s\"],\"enc\":\"hex\"},"
	"\"signed\":[\"{url~}{form_sorted}{form_sorted_unique}{url_unescaped}{url_noquery}{form:a}"
	"{query:b}\",\"{url}\"],\"options\":{\"url\":{\"type\":\"string\"}},"
	"\"extract\":{\"event_id\":[\"form:id\"],\"event_type\":[\"query:type\"],"
	"\"form_json_field\":\"payload\",\"delivery_id\":[\"json:id\"],"
	"\"dedupe\":[\"{form:id}{query:id}\"]}}";

static const scheme *form_scheme(void)
{
	static scheme *compiled;
	knocker_error error;

	if (!compiled)
		FUZZ_MUST(scheme_compile(bytes_of(form_scheme_text), &compiled, &error) == 0,
		          "the scheme of this target compiles");
	return compiled;
}

static void form_pairs(knocker_bytes raw)
{
	knocker_bytes name, value, decoded = {0}, found = {0};
	arena memory = {0};
	size_t at = 0, pairs = 0;
	bool different;

	while (request_pair_next(raw, &at, &name, &value)) {
		fuzz_within(name, raw);
		fuzz_within(value, raw);
		FUZZ_MUST(request_decode(&memory, name, &decoded) && decoded.len <= name.len &&
		              request_decoded_is(name, decoded),
		          "a name is what it decodes to");
		if (pairs++ < 8)
			FUZZ_MUST(request_pair_find(&memory, raw, decoded, &found, &different) > 0,
			          "a name that stands there is found");
	}
	arena_free(&memory);
}

static void form_stored(knocker_bytes query)
{
	knocker_error error = {0};
	buffer out;

	buffer_init(&out, LIMIT_JSON);
	FUZZ_MUST(request_query_json(NULL, NULL, query, &out, &error) == 0 &&
	              scan_valid(buffer_view(&out)),
	          "a query is stored as JSON");
	buffer_free(&out);
}

static void form_signed(knocker_bytes url, scheme_request request)
{
	const scheme *s = form_scheme();
	scheme_keys *keys;
	knocker_error error = {0};
	buffer options, lines;
	int32_t rc;

	buffer_init(&options, LIMIT_JSON);
	buffer_init(&lines, LIMIT_JSON);
	buffer_text(&options, "{\"url\":");
	buffer_json(&options, url);
	buffer_text(&options, "}");
	keys = fuzz_keys(s, bytes_of("[\"s\"]"), buffer_view(&options));
	FUZZ_MUST(keys != NULL, "there is always a key of text");
	rc = scheme_sign(s, keys, &request, 1700000000, &lines, &error);
	if (rc < 0)
		fuzz_refused(rc, &error);
	request.headers = buffer_view(&lines);
	FUZZ_MUST(fuzz_judge(s, keys, &request, 1700000000) == (rc == 0),
	          "what is signed is valid, in the first spelling already");
	scheme_keys_free(keys);
	buffer_free(&options);
	buffer_free(&lines);
}

int fuzz_form(const uint8_t *data, size_t len)
{
	fuzz_input in = {.data = data, .len = len};
	knocker_bytes url = fuzz_field(&in);
	scheme_request request = {.query = fuzz_field(&in)};

	request.body = fuzz_rest(&in);
	form_pairs(request.query);
	form_pairs(request.body);
	form_stored(request.query);
	form_stored(request.body);
	form_signed(url, request);
	fuzz_end(&in);
	return 0;
}
