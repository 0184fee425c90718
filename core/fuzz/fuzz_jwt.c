/* Fuzzes tokens and public keys. Fields: a secret, the token's header and claims in JSON, a query,
 * a token as it is. The claims are also signed with a key of ours, so that they are read. */
#include "fuzz.h"
#include "scheme_parts.h"

#define FUZZ_NOW 1700000000

#define JWT_SCHEME(key, algs, kind_more)                                            \
	"{\"kind\":\"jwt\",\"key\":{\"decode\":\"" key                                  \
	"\"},\"sig\":{\"from\":[\"header:authorization\"],"                             \
	"\"scheme\":\"Bearer\"},\"jwt\":{\"algs\":[" algs "],\"leeway_s\":5," kind_more \
	"\"claims\":{\"hash\":\"sha256hex({body})\"},\"if_body\":[\"hash\"]},"          \
	"\"extract\":{\"event_id\":[\"claim:jti\"],\"event_type\":[\"claim:a.b\"],"     \
	"\"delivery_id\":[\"query:id\"],\"dedupe\":[\"{event_id}\"]}}"

static const char jwt_shared[] = JWT_SCHEME("utf8", "\"HS256\",\"HS384\",\"HS512\"",
                                            "\"require\":[\"jti\"],");
static const char jwt_sets[] = JWT_SCHEME("jwks", "\"RS256\",\"ES256\"", "");
static const char jwt_pems[] = JWT_SCHEME("pem-or-spki-b64", "\"RS256\",\"ES256\"", "");
static const char jwt_ed25519[] =
	"{\"kind\":\"ed25519\",\"key\":{\"decode\":\"pem-or-spki-b64\"},\"sig\":{\"from\":[\"header:"
	"authorization\"],\"enc\":\"base64\"},\"signed\":[\"{body}\"],\"extract\":{}}";

static const scheme *jwt_scheme(const char *text, scheme **kept)
{
	knocker_error error;

	if (!*kept)
		FUZZ_MUST(scheme_compile(bytes_of(text), kept, &error) == 0,
		          "the schemes of this target compile");
	return *kept;
}

static void jwt_header(buffer *lines, knocker_bytes token)
{
	buffer_text(lines, "authorization: Bearer ");
	buffer_bytes(lines, token);
	buffer_text(lines, "\n");
}

static void jwt_piece(buffer *b, knocker_bytes bytes)
{
	char text[4 * 16384];

	if (bytes.len <= 16384)
		buffer_add(b, text, codec_base64_write(bytes, true, text));
}

static void jwt_known_key(scheme_request request, knocker_bytes header, knocker_bytes claims)
{
	static scheme *kept;
	const scheme *s = jwt_scheme(jwt_shared, &kept);
	scheme_keys *keys = fuzz_keys(s, bytes_of("[\"s\"]"), (knocker_bytes){0});
	knocker_error error = {0};
	uint8_t mac[DIGEST_MAX];
	buffer token, lines;
	knocker_bytes body;
	size_t len;

	buffer_init(&token, LIMIT_JSON);
	buffer_init(&lines, LIMIT_JSON);
	jwt_piece(&token, header.len > 0 ? header : bytes_of("{\"alg\":\"HS256\"}"));
	buffer_text(&token, ".");
	jwt_piece(&token, claims);
	body = buffer_view(&token);
	len = crypto_hmac(DIGEST_SHA256, bytes_of("s"), &body, 1, mac);
	buffer_text(&token, ".");
	jwt_piece(&token, (knocker_bytes){mac, (int64_t)len});
	jwt_header(&lines, buffer_view(&token));
	request.headers = buffer_view(&lines);
	fuzz_judge(s, keys, &request, FUZZ_NOW);
	buffer_free(&lines);
	request.headers = (knocker_bytes){0};
	FUZZ_MUST(scheme_sign(s, keys, &request, FUZZ_NOW, &lines, &error) == 0,
	          "a token is made of any request");
	request.headers = buffer_view(&lines);
	FUZZ_MUST(fuzz_judge(s, keys, &request, FUZZ_NOW), "a token that is made is valid");
	scheme_keys_free(keys);
	buffer_free(&token);
	buffer_free(&lines);
}

/* Secrets of all sorts; whatever they are taken for, a request has a verdict. */
static void jwt_any_key(const scheme *s, bool to_sign, scheme_request request, knocker_bytes secret)
{
	scheme_keys *keys = NULL;
	knocker_error error = {0};
	buffer list;
	int32_t rc;

	buffer_init(&list, LIMIT_JSON);
	buffer_text(&list, "[");
	buffer_json(&list, secret);
	buffer_text(&list, "]");
	rc = to_sign ? scheme_keys_to_sign(s, buffer_view(&list), (knocker_bytes){0}, &keys, &error)
	             : scheme_keys_new(s, buffer_view(&list), (knocker_bytes){0}, &keys, &error);
	if (rc < 0)
		fuzz_refused(rc, &error);
	else
		fuzz_judge(s, keys, &request, FUZZ_NOW);
	scheme_keys_free(keys);
	buffer_free(&list);
}

int fuzz_jwt(const uint8_t *data, size_t len)
{
	static scheme *sets, *pems, *curves;
	fuzz_input in = {.data = data, .len = len};
	knocker_bytes secret = fuzz_field(&in), header = fuzz_field(&in), claims = fuzz_field(&in);
	scheme_request request = {.query = fuzz_field(&in), .body = bytes_of("{}")};
	buffer lines;
	size_t pick;

	jwt_known_key(request, header, claims);
	buffer_init(&lines, LIMIT_JSON);
	jwt_header(&lines, fuzz_rest(&in));
	request.headers = buffer_view(&lines);
	/* One sort each time, since making a key of OpenSSL's takes a millisecond. */
	pick = (size_t)(secret.len + header.len + claims.len) % 6;
	jwt_any_key(pick / 2 == 0   ? jwt_scheme(jwt_sets, &sets)
	            : pick / 2 == 1 ? jwt_scheme(jwt_pems, &pems)
	                            : jwt_scheme(jwt_ed25519, &curves),
	            pick % 2 == 1, request, secret);
	buffer_free(&lines);
	fuzz_end(&in);
	return 0;
}
