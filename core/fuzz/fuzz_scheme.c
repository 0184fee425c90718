/* Fuzzes the compiler of schemes, and a request against whatever compiled. Fields: the scheme's
 * JSON, secrets, options, headers, query, body. */
#include "fuzz.h"
#include "scheme_parts.h"

#define FUZZ_NOW 1700000000

static void scheme_used(const scheme *s, fuzz_input *in)
{
	knocker_bytes secrets = fuzz_field(in), options = fuzz_field(in);
	scheme_request request = {.headers = fuzz_field(in), .query = fuzz_field(in)};
	scheme_keys *keys = fuzz_keys(s, secrets, options);
	knocker_error error = {0};
	buffer out;
	int32_t rc;

	request.body = fuzz_rest(in);
	if (!keys)
		return;
	fuzz_judge(s, keys, &request, FUZZ_NOW);
	buffer_init(&out, 8 * LIMIT_HEADERS);
	FUZZ_MUST(request_headers_json(s, keys, request.headers, &out, &error) == 0 &&
	              scan_valid(buffer_view(&out)),
	          "headers are stored as JSON");
	buffer_free(&out);
	rc = scheme_sign(s, keys, &request, FUZZ_NOW, &out, &error);
	if (rc < 0)
		fuzz_refused(rc, &error);
	request.headers = buffer_view(&out);
	if (rc == 0) /* a scheme may be made so that nothing is valid: it is only to end well */
		fuzz_judge(s, keys, &request, FUZZ_NOW);
	buffer_free(&out);
	scheme_keys_free(keys);
}

int fuzz_scheme(const uint8_t *data, size_t len)
{
	fuzz_input in = {.data = data, .len = len};
	scheme *s = NULL;
	knocker_error error = {0};
	int32_t rc = scheme_compile(fuzz_field(&in), &s, &error);

	if (rc < 0)
		fuzz_refused(rc, &error);
	FUZZ_MUST((rc == 0) == (s != NULL), "a scheme compiles, or there is none");
	if (s)
		scheme_used(s, &in);
	scheme_free(s);
	fuzz_end(&in);
	return 0;
}
