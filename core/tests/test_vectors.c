/* Plays the requests of providers/NAME/fixtures through the signature engine. They were published
 * by the senders, or made with other people's code; each says where it comes from. Also signs a
 * request with each scheme and verifies it again. Usage: test_vectors [SCHEMES.JSON VECTORS.JSON]:
 * plays vectors of schemes in that file instead. */
#include <glob.h>
#include <stdlib.h>
#include <string.h>

#include "cJSON.h"
#include "check.h"
#include "json.h"
#include "scheme.h"

#define SHOWN(bytes) (int)(bytes).len, (const char *)((bytes).data ? (bytes).data : "")

static int vectors_played, vectors_passed;

static knocker_bytes file_read(const char *path, buffer *b)
{
	FILE *file = fopen(path, "rb");
	char chunk[4096];
	size_t len;

	buffer_init(b, 16 * 1024 * 1024);
	while (file && (len = fread(chunk, 1, sizeof chunk, file)) > 0)
		buffer_add(b, chunk, len);
	if (file)
		fclose(file);
	return buffer_view(b);
}

static int base64_value(char c)
{
	static const char alphabet[] =
		"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
	const char *at = strchr(alphabet, c);

	return at && c ? (int)(at - alphabet) : -1;
}

static void base64_decode(knocker_bytes text, buffer *out)
{
	uint32_t bits = 0;
	int have = 0;
	int64_t i;

	for (i = 0; i < text.len && base64_value(((const char *)text.data)[i]) >= 0; i++) {
		bits = bits << 6 | (uint32_t)base64_value(((const char *)text.data)[i]);
		have += 6;
		if (have >= 8) {
			char byte = (char)(bits >> (have - 8) & 0xFF);

			have -= 8;
			buffer_add(out, &byte, 1);
		}
	}
}

static void headers_write(const json *headers, buffer *out)
{
	const json *header;

	for (header = json_first(headers); header; header = json_next(header)) {
		buffer_bytes(out, json_name(header));
		buffer_text(out, ": ");
		buffer_bytes(out, json_text(header));
		buffer_text(out, "\n");
	}
}

static void secrets_write(const json *secret, buffer *out)
{
	const json *one = json_kind(secret) == JSON_ARRAY ? json_first(secret) : secret;
	bool list = json_kind(secret) == JSON_ARRAY;

	buffer_text(out, "[");
	for (; one; one = list ? json_next(one) : NULL) {
		buffer_text(out, out->len > 1 ? "," : "");
		buffer_json(out, json_text(one));
	}
	buffer_text(out, "]");
}

static const char *const identity_names[] = {"expect_event_type", "expect_event_id",
                                             "expect_delivery_id", "expect_dedupe_key"};

/* A valid request in a folder says all four, if only that there is none. */
static bool identity_said(const json *vector)
{
	size_t i;

	for (i = 0; i < sizeof identity_names / sizeof identity_names[0]; i++)
		if (!json_member(vector, identity_names[i]))
			return false;
	return true;
}

/* Absent in the vector: nothing is expected. Null: nothing may be found. */
static bool expected(const json *vector, const char *name, knocker_bytes got)
{
	const json *want = json_member(vector, name);

	if (!want || (json_kind(want) == JSON_NULL && !bytes_given(got)))
		return true;
	return bytes_equal(json_text(want), got);
}

static bool answer_right(const json *vector, const scheme_verdict *v)
{
	const json *handshake = json_member(vector, "expect_handshake");
	int64_t status = v->status;

	json_int(json_member(vector, "expect_status"), &status);
	return (!handshake || json_true(handshake) == v->handshake) && status == v->status &&
	       expected(vector, "expect_body", v->response_body) &&
	       expected(vector, "expect_store_secret", v->store_secret);
}

static bool verdict_right(const json *vector, const scheme_verdict *v)
{
	knocker_bytes id = json_text(json_member(vector, "id"));
	bool right = json_true(json_member(vector, "expect_valid")) == v->valid &&
	             expected(vector, "expect_event_type", v->event_type) &&
	             expected(vector, "expect_event_id", v->provider_event_id) &&
	             expected(vector, "expect_delivery_id", v->provider_delivery_id) &&
	             (!v->valid || (expected(vector, "expect_dedupe_key", v->dedupe_key) &&
	                            expected(vector, "recommended_dedupe_key", v->dedupe_key))) &&
	             answer_right(vector, v) && v->valid == (v->error == NULL);

	if (!right)
		printf("%.*s: valid %d (%s), type %.*s, id %.*s, delivery %.*s, dedupe %.*s, handshake %d, "
		       "status %d, body %.*s\n",
		       SHOWN(id), v->valid, v->error ? v->error : "", SHOWN(v->event_type),
		       SHOWN(v->provider_event_id), SHOWN(v->provider_delivery_id), SHOWN(v->dedupe_key),
		       v->handshake, (int)v->status, SHOWN(v->response_body));
	return right;
}

static int32_t keys_for(const scheme *s, const json *vector, scheme_keys **keys,
                        knocker_error *error)
{
	const json *options = json_member(vector, "options");
	char *options_text = cJSON_PrintUnformatted(options);
	buffer secrets;
	int32_t rc;

	buffer_init(&secrets, 1024 * 1024);
	secrets_write(json_member(vector, "secret"), &secrets);
	rc = scheme_keys_new(s, buffer_view(&secrets), bytes_of(options_text), keys, error);
	buffer_free(&secrets);
	cJSON_free(options_text);
	return rc;
}

/* A vector without a secret asks for a refusal, and gets it before any request. */
static bool refused_right(const json *vector, int32_t rc)
{
	const json *secret = json_member(vector, "secret");

	return rc == KNOCKER_INVALID_ARGUMENT && json_kind(secret) == JSON_TEXT &&
	       json_text(secret).len == 0 && !json_true(json_member(vector, "expect_valid"));
}

static void vector_play(const scheme *s, const json *vector)
{
	const json *url = json_member(vector, "url"), *now = json_member(vector, "now_s");
	knocker_bytes body = json_text(json_member(vector, "body")),
				  id = json_text(json_member(vector, "id"));
	knocker_bytes query = json_text(url);
	scheme_request request = {.method = json_text(json_member(vector, "method"))};
	buffer headers, bytes;
	scheme_keys *keys = NULL;
	scheme_verdict verdict;
	knocker_error error;
	arena memory = {0};
	int64_t now_s = 1714000000;
	int32_t rc;

	vectors_played++;
	buffer_init(&headers, 1024 * 1024);
	buffer_init(&bytes, 1024 * 1024);
	headers_write(json_member(vector, "headers"), &headers);
	base64_decode(json_text(json_member(vector, "body_b64")), &bytes);
	request.headers = buffer_view(&headers);
	request.body = json_member(vector, "body_b64") ? buffer_view(&bytes) : body;
	if (bytes_given(query) && bytes_find(query, '?') >= 0)
		request.query = bytes_part(query, (size_t)bytes_find(query, '?') + 1, (size_t)query.len);
	json_int(now, &now_s);
	rc = request_headers_check(request.headers, &error);
	if (rc == 0)
		rc = keys_for(s, vector, &keys, &error);
	if (rc < 0 && refused_right(vector, rc))
		vectors_passed++;
	else if (rc < 0 || scheme_verify(s, keys, &request, now_s, &memory, &verdict, &error) < 0)
		printf("%.*s: %s\n", (int)id.len, (const char *)id.data, error.text);
	else
		vectors_passed += verdict_right(vector, &verdict);
	scheme_keys_free(keys);
	arena_free(&memory);
	buffer_free(&headers);
	buffer_free(&bytes);
}

static void file_play(const char *path, const json *schemes)
{
	knocker_error error;
	buffer text;
	json *vectors = NULL;
	const json *vector;

	if (json_parse(path, file_read(path, &text), &vectors, &error) < 0) {
		printf("%s\n", error.text);
		check_failed++;
	}
	for (vector = json_first(vectors); vector; vector = json_next(vector)) {
		knocker_bytes name = json_text(json_member(vector, "scheme"));
		const json *own = json_member(schemes, (const char *)name.data);
		char *own_text = own ? cJSON_PrintUnformatted(own) : NULL;
		const scheme *builtin = NULL;
		scheme *compiled = NULL;
		int32_t rc = own_text ? scheme_compile(bytes_of(own_text), &compiled, &error)
		                      : scheme_builtin(name, &builtin, &error);

		if (rc < 0 || (!compiled && !builtin))
			printf("%.*s: %s\n", (int)name.len, (const char *)name.data,
			       rc < 0 ? error.text : "no such scheme");
		else
			vector_play(compiled ? compiled : builtin, vector);
		if (!schemes && json_true(json_member(vector, "expect_valid")))
			CHECK(identity_said(vector), (const char *)json_text(json_member(vector, "id")).data);
		check_failed += !compiled && !builtin;
		scheme_free(compiled);
		cJSON_free(own_text);
	}
	json_free(vectors);
	buffer_free(&text);
}

/* ---- there and back ---- */

static void round_trip(const scheme *s, const char *secrets, const char *options, bool is_signed,
                       const char *sentence)
{
	scheme_request request = {
		.body = bytes_of("{\"id\":\"evt_1\",\"type\":\"a.b\",\"event_id\":\"Ev1\"}")};
	scheme_verdict verdict = {0};
	scheme_keys *keys = NULL;
	knocker_error error = {0};
	arena memory = {0};
	buffer lines;
	int32_t rc;

	buffer_init(&lines, 1024 * 1024);
	rc = scheme_keys_new(s, bytes_of(secrets), bytes_of(options), &keys, &error);
	if (rc == 0)
		rc = scheme_sign(s, keys, &request, 1700000000, &lines, &error);
	request.headers = buffer_view(&lines);
	if (rc == 0)
		rc = scheme_verify(s, keys, &request, 1700000000, &memory, &verdict, &error);
	CHECK(rc == 0 && verdict.valid, sentence);
	if (rc < 0 || !verdict.valid)
		printf("  %s %s\n%.*s", error.text, verdict.error, (int)request.headers.len,
		       (const char *)request.headers.data);
	request.body = bytes_of("{\"id\":\"evt_2\"}");
	if (rc == 0 && is_signed) {
		arena_free(&memory);
		rc = scheme_verify(s, keys, &request, 1700000000, &memory, &verdict, &error);
		CHECK(rc == 0 && !verdict.valid, "the signature is over the body");
	}
	scheme_keys_free(keys);
	arena_free(&memory);
	buffer_free(&lines);
}

static void builtins_sign(void)
{
	static const struct {
		const char *name, *secrets, *options;
		bool is_signed;
	} cases[] = {
		{"stripe", "[\"whsec_one\",\"whsec_two\"]", "{\"tolerance_s\":0}", true},
		{"github", "[\"one\"]", NULL, true},
		{"shopify", "[\"one\"]", NULL, true},
		{"slack", "[\"one\"]", "{\"tolerance_s\":0}", true},
		{"standard-webhooks", "[\"whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw\"]", "{\"tolerance_s\":0}",
	     true},
		{"standard_webhooks", "[\"not base64!\"]", "{\"tolerance_s\":0}", true},
		{"token-header", "[\"one\"]", "{}", false},
		{"header-token", "[\"one\"]", "{}", false},
		{"bearer-token", "[\"one\"]", "{}", false},
		{"bearer", "[\"one\"]", "{}", false},
		{"basic-auth", "[\"user:pass:word\"]", "{}", false},
		{"basic", "[\"user:pass:word\"]", "{}", false},
	};
	knocker_error error;
	scheme_info info;
	size_t i;
	int32_t n;

	for (i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		const scheme *s = NULL;

		CHECK(scheme_builtin(bytes_of(cases[i].name), &s, &error) == 0 && s, cases[i].name);
		if (s)
			round_trip(s, cases[i].secrets, cases[i].options, cases[i].is_signed, cases[i].name);
	}
	CHECK(scheme_builtin_count() >= 8, "there are built-in providers");
	for (n = 0; n < scheme_builtin_count(); n++)
		CHECK(scheme_builtin_info(n, &info, &error) == 0 && info.name && info.version &&
		          info.title && info.kind && info.options_json,
		      "each built-in says its name, version, title, kind and options");
}

int main(int argc, char **argv)
{
	glob_t found = {0};
	json *schemes = NULL;
	buffer text;
	knocker_error error;
	size_t i;

	if (argc == 3) {
		if (json_parse(argv[1], file_read(argv[1], &text), &schemes, &error) < 0)
			return fprintf(stderr, "%s\n", error.text), 1;
		file_play(argv[2], schemes);
		json_free(schemes);
		buffer_free(&text);
	} else {
		glob("providers/*/fixtures/*.json", 0, NULL, &found);
		CHECK(found.gl_pathc >= 8, "every built-in has fixtures");
		for (i = 0; i < found.gl_pathc; i++)
			file_play(found.gl_pathv[i], NULL);
		globfree(&found);
		builtins_sign();
	}
	printf("vectors: %d played, %d passed, %d failed\n", vectors_played, vectors_passed,
	       vectors_played - vectors_passed);
	CHECK(vectors_played > 0 && vectors_played == vectors_passed,
	      "every vector has the expected verdict");
	return check_end("test_vectors");
}
