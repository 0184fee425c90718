/* Fuzzes whole requests against the built-ins. Fields: a provider's name, method, secrets, options,
 * the time, headers, query, body. What a built-in signs it must call valid, and no longer when a
 * bit of a signed body is another. */
#include <stdlib.h>
#include <string.h>

#include "fuzz.h"
#include "scheme_parts.h"

static bool verify_signs_body(const scheme *s)
{
	size_t i, k;

	for (i = 0; i < s->try_count; i++) {
		if (s->tries[i].sign.count == 0 || s->tries[i].when_count > 0)
			return false;
		for (k = 0; k < s->tries[i].sign.count; k++)
			if (!scheme_template_has(&s->tries[i].sign.list[k], PART_BODY) &&
			    !scheme_template_has(&s->tries[i].sign.list[k], PART_BODY_B64))
				return false;
	}
	return s->base_count == 0;
}

/* What stands in the body or the query is the request's: its time may be any. */
static bool verify_brings_vars(const scheme *s)
{
	size_t i;

	for (i = 0; i < s->var_count; i++) {
		source_kind kind = s->tries[0].vars[i].from.list[0].kind;

		if (kind == SOURCE_JSON || kind == SOURCE_ITEM || kind == SOURCE_FORM ||
		    kind == SOURCE_QUERY || kind == SOURCE_JOIN)
			return true;
	}
	return false;
}

static void verify_flipped(const scheme *s, const scheme_keys *keys, scheme_request request,
                           int64_t now_s)
{
	size_t bit = (size_t)now_s % (size_t)(request.body.len * 8);
	uint8_t *body = malloc((size_t)request.body.len);

	FUZZ_MUST(body != NULL, "there is memory for a body");
	memcpy(body, request.body.data, (size_t)request.body.len);
	body[bit / 8] ^= (uint8_t)(1u << bit % 8);
	request.body.data = body;
	FUZZ_MUST(!fuzz_judge(s, keys, &request, now_s), "a body with another bit is not valid");
	free(body);
}

static void verify_signed(const scheme *s, const scheme_keys *keys, scheme_request request,
                          int64_t now_s)
{
	knocker_error error = {0};
	buffer lines;
	int32_t rc;

	request.headers = (knocker_bytes){0};
	buffer_init(&lines, LIMIT_JSON);
	rc = scheme_sign(s, keys, &request, now_s, &lines, &error);
	if (rc < 0) {
		fuzz_refused(rc, &error);
	} else {
		scheme_verdict v;
		arena memory = {0};

		request.headers = buffer_view(&lines);
		FUZZ_MUST(request_headers_check(request.headers, NULL) == 0, "what is sent are headers");
		FUZZ_MUST(scheme_verify(s, keys, &request, now_s, &memory, &v, &error) == 0 &&
		              (v.valid || v.handshake || verify_brings_vars(s)),
		          "what is signed is valid");
		if (v.valid && request.body.len > 0 && verify_signs_body(s))
			verify_flipped(s, keys, request, now_s);
		arena_free(&memory);
	}
	buffer_free(&lines);
}

/* From some allocation on there is no memory: that is an error, or the verdict is the same. */
static void verify_starved(const scheme *s, const scheme_keys *keys, const scheme_request *request,
                           int64_t now_s, bool valid)
{
	scheme_verdict v = {0};
	knocker_error error = {0};
	arena memory = {0};
	int32_t rc;

	memory_fail_after((request->headers.len + request->body.len) % 32, true);
	rc = scheme_verify(s, keys, request, now_s, &memory, &v, &error);
	memory_fail_after(-1, false);
	FUZZ_MUST(rc == 0 ? v.valid == valid : rc == KNOCKER_STORAGE && !v.valid,
	          "want of memory makes no verdict");
	arena_free(&memory);
}

static int64_t verify_time(knocker_bytes text)
{
	int64_t now_s = 1700000000;

	/* Four digits of a year are what a time can be written in. */
	if (text.len == 0 || !codec_time(text, UNIT_S, &now_s) || now_s > 253402300799)
		now_s = 1700000000;
	return now_s;
}

int fuzz_verify(const uint8_t *data, size_t len)
{
	fuzz_input in = {.data = data, .len = len};
	const scheme *s = fuzz_builtin(fuzz_field(&in));
	scheme_request request = {.method = fuzz_or_absent(fuzz_field(&in))};
	knocker_bytes secrets = fuzz_field(&in), options = fuzz_field(&in);
	int64_t now_s = verify_time(fuzz_field(&in));
	scheme_keys *keys = fuzz_keys(s, secrets, options);

	request.headers = fuzz_field(&in);
	request.query = fuzz_field(&in);
	request.body = fuzz_rest(&in);
	if (keys) {
		verify_starved(s, keys, &request, now_s, fuzz_judge(s, keys, &request, now_s));
		verify_signed(s, keys, request, now_s);
	}
	scheme_keys_free(keys);
	fuzz_end(&in);
	return 0;
}
