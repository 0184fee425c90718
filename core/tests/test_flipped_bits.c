/* For every built-in: what it signs is valid, and with any one bit of it flipped it is not; bits of
 * the body, the headers' values, the URL and the secret, each in turn. Public keys come with a
 * private one made here. What is not signed in headers is the smallest valid request of the
 * fixtures.
 *
 * Some bits mean nothing: the case of a hexadecimal digit, a header that nobody signs. Which ones
 * is asked of the grammar: where a flipped request is still valid, a signature, a signed text and a
 * key of it must each be one of the request as it was, byte by byte, after decoding. */
#include <glob.h>
#include <stdlib.h>
#include <string.h>

#include "flip_marks.h"
#include "scheme_pair.h"
#include "scheme_secret.h"

static const char flip_whole_url[] = "https://example.test/hook?a=1";

static int64_t flips_refused, flips_same;

typedef struct {
	const char *name;
	const scheme *s;
	scheme_keys *keys;
	scheme_request request;
	int64_t now_s;
	knocker_bytes secret; /* the first one's text */
	buffer options, headers, body, secrets;
} flip_case;

/* ---- flipping ---- */

static bool flip_valid(const flip_case *c, const scheme_keys *keys, const scheme_request *request)
{
	scheme_verdict v = {0};
	knocker_error error;
	arena memory = {0};
	int32_t rc = scheme_verify(c->s, keys, request, c->now_s, &memory, &v, &error);

	CHECK(rc == 0 && v.valid == !v.error, "a flipped bit is no error, but a verdict");
	arena_free(&memory);
	return v.valid;
}

/* One bit of a part of the request: `bytes` is what `request` lends it. */
static void flip_bit(const flip_case *c, const char *part, uint8_t *bytes, size_t bit,
                     const flip_marks *candidates, const flip_marks *texts)
{
	static flip_marks now_candidates, now_texts;

	bytes[bit / 8] ^= (uint8_t)(1u << bit % 8);
	if (!flip_valid(c, c->keys, &c->request)) {
		flips_refused++;
	} else {
		flip_read(c->s, c->keys, &c->request, &now_candidates, &now_texts);
		CHECK(marks_meet(candidates, &now_candidates),
		      "a request is valid by a signature that it came with");
		CHECK(marks_meet(texts, &now_texts), "a request is valid with the text that was signed");
		if (!marks_meet(candidates, &now_candidates) || !marks_meet(texts, &now_texts))
			printf("  %s: bit %zu of byte %zu of its %s\n", c->name, bit % 8, bit / 8, part);
		flips_same++;
	}
	bytes[bit / 8] ^= (uint8_t)(1u << bit % 8);
}

static void flip_request(flip_case *c)
{
	static flip_marks candidates, texts;
	knocker_bytes name, value;
	int64_t refused = flips_refused, same = flips_same;
	size_t at = 0, bit;

	flip_read(c->s, c->keys, &c->request, &candidates, &texts);
	CHECK(candidates.count > 0 && texts.count > 0, "a valid request has a signature and a text");
	for (bit = 0; bit < 8 * (size_t)c->request.body.len; bit++)
		flip_bit(c, "body", (uint8_t *)c->body.data, bit, &candidates, &texts);
	if (flip_signs(c->s, PART_BODY, PART_BODY_B64))
		CHECK(flips_same == same, "each bit of a body counts that is signed whole");
	while (request_header_next(c->request.headers, &at, &name, &value)) {
		uint8_t *bytes = (uint8_t *)c->headers.data +
		                 ((const char *)value.data - (const char *)c->headers.data);

		for (bit = 0; bit < 8 * (size_t)value.len; bit++)
			flip_bit(c, "headers", bytes, bit, &candidates, &texts);
	}
	CHECK(flips_refused > refused, c->name);
}

/* ---- keys ---- */

static void flip_key_marks(const scheme_keys *keys, flip_marks *marks)
{
	size_t i;

	marks->count = 0;
	for (i = 0; i < keys->key_count; i++) {
		knocker_bytes bytes = {keys->keys[i].bytes, (int64_t)keys->keys[i].len};

		if (keys->keys[i].bytes)
			marks_add(marks, &bytes, 1);
	}
}

static bool flip_key_public(const scheme_keys *keys)
{
	size_t i;

	for (i = 0; i < keys->key_count; i++)
		if (!keys->keys[i].pair)
			return false;
	return keys->key_count > 0;
}

/* One bit of the secret's text. What is no UTF-8 any more, JSON cannot carry. */
static void flip_secret_bit(const flip_case *c, uint8_t *text, size_t len, size_t bit,
                            const flip_marks *before)
{
	knocker_bytes secret = {text, (int64_t)len};
	knocker_error error = {0};
	scheme_keys *keys = NULL;
	flip_marks after;
	buffer list;
	bool same;

	text[bit / 8] ^= (uint8_t)(1u << bit % 8);
	buffer_init(&list, LIMIT_JSON);
	buffer_text(&list, "[");
	buffer_json(&list, secret);
	buffer_text(&list, "]");
	if (bytes_utf8(secret)) {
		if (scheme_keys_new(c->s, buffer_view(&list), buffer_view(&c->options), &keys, &error) <
		        0 ||
		    !flip_valid(c, keys, &c->request)) {
			flips_refused++;
		} else {
			flip_key_marks(keys, &after);
			same = flip_key_public(keys) ? flip_public_same(c->secret, secret)
			                             : marks_meet(before, &after);
			CHECK(same, "a request is valid under the key that signed it");
			if (!same)
				printf("  %s: bit %zu of byte %zu of the secret\n", c->name, bit % 8, bit / 8);
			flips_same++;
		}
	}
	scheme_keys_free(keys);
	buffer_free(&list);
	text[bit / 8] ^= (uint8_t)(1u << bit % 8);
}

static void flip_secret(const flip_case *c)
{
	size_t len = (size_t)c->secret.len, bit;
	int64_t refused = flips_refused;
	uint8_t *text = malloc(len + 1);
	flip_marks before;

	flip_key_marks(c->keys, &before);
	memcpy(text, c->secret.data, len);
	for (bit = 0; bit < 8 * len; bit++)
		flip_secret_bit(c, text, len, bit, &before);
	CHECK(flips_refused > refused, c->name);
	free(text);
}

/* ---- the requests ---- */

static void case_begin(flip_case *c, const char *name, const scheme *s)
{
	*c = (flip_case){.name = name, .s = s, .now_s = 1700000000};
	buffer_init(&c->options, LIMIT_JSON);
	buffer_init(&c->headers, LIMIT_JSON);
	buffer_init(&c->body, LIMIT_JSON);
	buffer_init(&c->secrets, LIMIT_JSON);
}

static void case_free(flip_case *c)
{
	scheme_keys_free(c->keys);
	buffer_free(&c->options);
	buffer_free(&c->headers);
	buffer_free(&c->body);
	buffer_free(&c->secrets);
}

/* No window, so that a time that nobody signs is watched too, and a value for what must be given.
 */
static void case_options(const flip_case *c, knocker_bytes url, buffer *out)
{
	size_t i;

	buffer_text(out, "{");
	for (i = 0; i < c->s->option_count; i++) {
		const scheme_option *option = &c->s->options[i];
		bool window = (ptrdiff_t)i == c->s->option_tolerance,
			 is_url = (ptrdiff_t)i == c->s->option_url;

		if (!window && !is_url && !option->required)
			continue;
		buffer_text(out, out->len > 1 ? "," : "");
		buffer_json(out, option->name);
		buffer_text(out, ":");
		if (is_url)
			buffer_json(out, url);
		else
			buffer_text(out, window ? "0" : option->is_int ? "1" : "\"value\"");
	}
	buffer_text(out, "}");
}

/* The URL that was signed is an option. Other spellings of one URL are one to some senders. */
static void flip_url(const flip_case *c, const char *whole)
{
	static flip_marks candidates, texts, now_candidates, now_texts;
	int64_t same = flips_same;
	uint8_t url[64];
	knocker_bytes flipped = {url, (int64_t)bytes_of(whole).len};
	size_t bit;

	memcpy(url, whole, (size_t)flipped.len);
	flip_read(c->s, c->keys, &c->request, &candidates, &texts);
	for (bit = 0; c->s->option_url >= 0 && bit < 8 * (size_t)flipped.len; bit++) {
		knocker_error error = {0};
		scheme_keys *keys = NULL;
		buffer options;

		url[bit / 8] ^= (uint8_t)(1u << bit % 8);
		buffer_init(&options, LIMIT_JSON);
		case_options(c, flipped, &options);
		if (scheme_keys_new(c->s, buffer_view(&c->secrets), buffer_view(&options), &keys, &error) <
		        0 ||
		    !flip_valid(c, keys, &c->request)) {
			flips_refused++;
		} else {
			flip_read(c->s, keys, &c->request, &now_candidates, &now_texts);
			CHECK(marks_meet(&texts, &now_texts), "a request is valid for the URL that was signed");
			if (!marks_meet(&texts, &now_texts))
				printf("  %s: URL %.*s\n", c->name, (int)flipped.len, (const char *)url);
			flips_same++;
		}
		scheme_keys_free(keys);
		buffer_free(&options);
		url[bit / 8] ^= (uint8_t)(1u << bit % 8);
	}
	if (flip_signs(c->s, PART_URL, PART_URL))
		CHECK(flips_same == same, "each bit of a URL counts that is signed whole");
}

/* The small body. A time that the scheme reads in it stands in it. */
static void case_body(flip_case *c)
{
	size_t i;

	buffer_text(&c->body, "{\"id\":\"e1\",\"type\":\"a.b\"");
	for (i = 0; i < c->s->var_count; i++) {
		const scheme_var *var = &c->s->tries[0].vars[i];
		char time[32];

		if (var->from.list[0].kind != SOURCE_JSON)
			continue;
		codec_time_write(var->unit, c->now_s, time);
		buffer_text(&c->body, ",");
		buffer_json(&c->body, var->from.list[0].name.text);
		buffer_text(&c->body, ":");
		if (var->number)
			buffer_text(&c->body, time);
		else
			buffer_json(&c->body, bytes_of(time));
	}
	buffer_text(&c->body, "}");
	c->request.body = buffer_view(&c->body);
}

static scheme_keys *case_keys(flip_case *c, knocker_bytes secret, bool to_sign)
{
	scheme_keys *keys = NULL;
	knocker_error error = {0};
	buffer list;
	int32_t rc;

	buffer_init(&list, LIMIT_JSON);
	buffer_text(&list, "[");
	buffer_json(&list, secret);
	buffer_text(&list, "]");
	rc = to_sign
	         ? scheme_keys_to_sign(c->s, buffer_view(&list), buffer_view(&c->options), &keys,
	                               &error)
	         : scheme_keys_new(c->s, buffer_view(&list), buffer_view(&c->options), &keys, &error);
	CHECK(rc == 0, "a secret that the grammar asks for is taken");
	if (rc < 0)
		printf("  %s: %s\n", c->name, error.text);
	buffer_free(&list);
	return keys;
}

/* Signs a small request with the one secret, which the other verifies. False: this scheme does not
 * sign in headers. */
static bool case_sign(flip_case *c, knocker_bytes sign_secret, knocker_bytes secret)
{
	knocker_error error = {0};
	scheme_keys *keys;
	int32_t rc;

	case_options(c, bytes_of(flip_whole_url), &c->options);
	case_body(c);
	buffer_text(&c->secrets, "[");
	buffer_json(&c->secrets, secret);
	buffer_text(&c->secrets, "]");
	c->secret = secret;
	c->keys = case_keys(c, secret, false);
	keys = case_keys(c, sign_secret, true);
	rc = keys ? scheme_sign(c->s, keys, &c->request, c->now_s, &c->headers, &error) : -1;
	scheme_keys_free(keys);
	if (rc < 0)
		return false;
	c->request.headers = buffer_view(&c->headers);
	CHECK(c->keys && flip_valid(c, c->keys, &c->request), "what is signed is valid");
	return c->keys != NULL;
}

static void case_text(buffer *b, const json *value)
{
	if (value)
		json_write(value, b);
	else
		buffer_text(b, "{}");
}

static void case_headers(flip_case *c, const json *headers)
{
	const json *header, *value;

	for (header = json_first(headers); header; header = json_next(header)) {
		bool list = json_kind(header) == JSON_ARRAY;

		for (value = list ? json_first(header) : header; value;
		     value = list ? json_next(value) : NULL) {
			buffer_bytes(&c->headers, json_name(header));
			buffer_text(&c->headers, ": ");
			buffer_bytes(&c->headers, json_text(value));
			buffer_text(&c->headers, "\n");
		}
	}
}

/* A fixture's request. False: it is not valid, or none of ours. */
static bool case_take(flip_case *c, const json *vector)
{
	const json *secret = json_member(vector, "secret");
	knocker_bytes url = json_text(json_member(vector, "url"));
	knocker_error error = {0};
	uint8_t *bytes = malloc(LIMIT_JSON);
	size_t len = 0;

	if (json_kind(secret) == JSON_ARRAY)
		secret = json_first(secret);
	buffer_text(&c->secrets, "[");
	buffer_json(&c->secrets, json_text(secret));
	buffer_text(&c->secrets, "]");
	case_text(&c->options, json_member(vector, "options"));
	case_headers(c, json_member(vector, "headers"));
	if (codec_base64(json_text(json_member(vector, "body_b64")), bytes, &len) && len > 0)
		buffer_add(&c->body, bytes, len);
	else if (bytes_given(json_text(json_member(vector, "body"))))
		buffer_bytes(&c->body, json_text(json_member(vector, "body")));
	free(bytes);
	json_int(json_member(vector, "now_s"), &c->now_s);
	c->request = (scheme_request){.method = json_text(json_member(vector, "method")),
	                              .headers = buffer_view(&c->headers),
	                              .body = buffer_view(&c->body)};
	if (bytes_given(url) && bytes_find(url, '?') >= 0)
		c->request.query = bytes_part(url, (size_t)bytes_find(url, '?') + 1, (size_t)url.len);
	c->secret = json_text(secret);
	return bytes_given(c->secret) &&
	       scheme_keys_new(c->s, buffer_view(&c->secrets), buffer_view(&c->options), &c->keys,
	                       &error) == 0 &&
	       flip_valid(c, c->keys, &c->request);
}

static json *fixture_read(const char *path)
{
	FILE *file = fopen(path, "rb");
	char *text = malloc(LIMIT_JSON);
	size_t len = file ? fread(text, 1, LIMIT_JSON, file) : 0;
	knocker_error error = {0};
	json *list = NULL;

	CHECK(len > 0 && json_parse(path, (knocker_bytes){text, (int64_t)len}, &list, &error) == 0,
	      path);
	if (file)
		fclose(file);
	free(text);
	return list;
}

static int64_t vector_size(const json *vector)
{
	return json_text(json_member(vector, "body")).len +
	       json_text(json_member(vector, "body_b64")).len;
}

/* The valid request of the list with the least body is flipped. */
static bool fixture_flip(const char *name, const scheme *s, const json *list)
{
	const json *vector, *least = NULL;
	flip_case c;
	bool taken;

	for (vector = json_first(list); vector; vector = json_next(vector))
		if (json_true(json_member(vector, "expect_valid")) &&
		    bytes_is(json_text(json_member(vector, "scheme")), name) &&
		    (!least || vector_size(vector) < vector_size(least)))
			least = vector;
	if (!least)
		return false;
	case_begin(&c, name, s);
	taken = case_take(&c, least);
	if (taken) {
		flip_request(&c);
		flip_secret(&c);
	}
	case_free(&c);
	return taken;
}

static bool fixtures_flip(const char *name, const scheme *s)
{
	char pattern[300];
	glob_t found = {0};
	bool taken = false;
	size_t i;

	snprintf(pattern, sizeof pattern, "providers/%s/fixtures/*.json", name);
	glob(pattern, 0, NULL, &found);
	for (i = 0; i < found.gl_pathc && !taken; i++) {
		json *list = fixture_read(found.gl_pathv[i]);

		taken = fixture_flip(name, s, list);
		json_free(list);
	}
	globfree(&found);
	return taken;
}

static bool signed_flip(const char *name, const scheme *s)
{
	scheme_pair pair;
	uint8_t key[32];
	flip_case c;
	bool signs;

	case_begin(&c, name, s);
	if (!pair_begin(s, &pair)) {
		secret_bytes(1, key);
		secret_text_write(s, (knocker_bytes){key, sizeof key}, &pair.public_text);
		buffer_bytes(&pair.private_text, buffer_view(&pair.public_text));
	}
	signs = case_sign(&c, buffer_view(&pair.private_text), buffer_view(&pair.public_text));
	if (signs) {
		flip_request(&c);
		flip_secret(&c);
		flip_url(&c, flip_whole_url);
	}
	pair_free(&pair);
	case_free(&c);
	return signs;
}

int main(void)
{
	int32_t i, by_signing = 0, by_fixture = 0;
	knocker_error error;
	scheme_info info;

	for (i = 0; i < scheme_builtin_count(); i++) {
		const scheme *s = NULL;

		CHECK(scheme_builtin_info(i, &info, &error) == 0 &&
		          scheme_builtin(bytes_of(info.name), &s, &error) == 0 && s,
		      "a built-in compiles");
		if (!s)
			continue;
		if (signed_flip(info.name, s))
			by_signing++;
		else if (fixtures_flip(info.name, s))
			by_fixture++;
		else
			CHECK(false, info.name);
	}
	printf("%lld bits flipped in requests of %d providers that sign in headers and %d others: %lld "
	       "refused, %lld mean nothing\n",
	       (long long)(flips_refused + flips_same), by_signing, by_fixture,
	       (long long)flips_refused, (long long)flips_same);
	return check_end("test_flipped_bits");
}
