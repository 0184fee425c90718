/* Kind jwt: every rule of docs/schemes.md about tokens, each as a token that keeps it and one that
 * breaks it. Tokens are made by libcrypto and this file; three are RFC 7515's own. */
#include "pair_help.h"
#include "scheme_help.h"

#define NOW 1700000000
#define HS256 "{\"alg\":\"HS256\"}"

/* A scheme of kind jwt: its algorithms, key decoding, and further members of `jwt`. */
#define JWT(algs, decode, more)                                                 \
	"{\"kind\":\"jwt\",\"key\":{\"decode\":\"" decode                           \
	"\"},\"sig\":{\"from\":[\"header:x-t\"]},\"jwt\":{\"algs\":[" algs "]" more \
	"},\"extract\":{\"delivery_id\":[\"claim:jti\"],\"event_id\":[\"claim:event.id\"]}}"
#define HS_ALL "\"HS256\",\"HS384\",\"HS512\""
#define PLAIN JWT("\"HS256\"", "utf8", "")

static const char *refused(const char *scheme_json, const char *secrets, const char *token,
                           const char *body)
{
	char headers[PAIR_TEXT + 10];
	scheme_verdict v;

	snprintf(headers, sizeof headers, "X-T: %s\n", token);
	v = ask_verdict((ask){.own = scheme_json,
	                      .secrets = secrets,
	                      .headers = headers,
	                      .body = body,
	                      .now_s = NOW});
	return v.valid ? "valid" : v.error;
}

static void check_refused(const char *got, const char *wanted, const char *sentence)
{
	CHECK(got && strstr(got, wanted), sentence);
	if (!got || !strstr(got, wanted))
		printf("  it says: %s\n", got ? got : "nothing");
}

/* ---- the RFC's own ---- */

#define RFC_CLAIMS                                                                 \
	"eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9p" \
	"c19yb290Ijp0cnVlfQ"

static const struct {
	const char *alg, *decode, *secrets, *token;
} rfc_tokens[] = {
	{"HS256", "base64",
     "[\"AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ+EstJQLr/T+1qS0gZH75aKtMN3Yj0iPS4hcgUuTwjAzZr1Z9CAow==\"]",
     "eyJ0eXAiOiJKV1QiLA0KICJhbGciOiJIUzI1NiJ9." RFC_CLAIMS
     ".dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"},
	{"RS256", "jwks",
     "[\"{\\\"kty\\\":\\\"RSA\\\",\\\"e\\\":\\\"AQAB\\\",\\\"n\\\":\\\""
     "ofgWCuLjybRlzo0tZWJjNiuSfb4p4fAkd_wWJcyQoTbji9k0l8W26mPddxHmfHQp-Vaw-4qPCJrcS2mJPMEzP1Pt"
     "0Bm4d4QlL-yRT-SFd2lZS-pCgNMsD1W_YpRPEwOWvG6b32690r2jZ47soMZo9wGzjb_7OMg0LOL-bSf63kpaSHSX"
     "ndS5z5rexMdbBYUsLA9e-KXBdQOS-UTo7WTBEMa2R2CapHg665xsmtdVMTBQY4uDZlxvb3qCo5ZwKh9kG4LT6_I5"
     "IhlJH7aGhyxXFvUK-DWNmoudF8NAco9_h9iaGNj8q2ethFkMLs91kzk2PAcDTW9gb54h4FRWyuXpoQ\\\"}\"]",
     "eyJhbGciOiJSUzI1NiJ9." RFC_CLAIMS
     ".cC4hiUPoj9Eetdgtv3hF80EGrhuB__dzERat0XF9g2VtQgr9PJbu3XOiZj5RZmh7AAuHIm4Bh-0Qc_lF5YKt_O8W"
     "2Fp5jujGbds9uJdbF9CUAr7t1dnZcAcQjbKBYNX4BAynRFdiuB--f_nZLgrnbyTyWzO75vRK5h6xBArLIARNPvkS"
     "jtQBMHlb1L07Qe7K0GarZRmB_eSN9383LcOLn6_dO--xi12jzDwusC-eOkHWEsqtFZESc6BfI7noOPqvhJ1phCnv"
     "Wh6IeYI2w9QOYEUipUTI8np6LbgGY9Fs98rqVt5AXLIhWkWywlVmtVrBp0igcN_IoypGlUPQGe77Rw"},
	{"ES256", "jwks",
     "[\"{\\\"kty\\\":\\\"EC\\\",\\\"crv\\\":\\\"P-256\\\","
     "\\\"x\\\":\\\"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU\\\","
     "\\\"y\\\":\\\"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0\\\"}\"]",
     "eyJhbGciOiJFUzI1NiJ9." RFC_CLAIMS
     ".DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTUJqPP3-Kg6NU1Q"},
};

/* RFC 7515, appendices A.1 to A.3: a claim of theirs has points in its name. */
static void rfc_tokens_verify(void)
{
	char scheme_json[600], headers[1200];
	size_t i;

	for (i = 0; i < sizeof rfc_tokens / sizeof rfc_tokens[0]; i++) {
		ask a = {.own = scheme_json, .secrets = rfc_tokens[i].secrets, .headers = headers};

		snprintf(
			scheme_json, sizeof scheme_json,
			"{\"kind\":\"jwt\",\"key\":{\"decode\":\"%s\"},\"sig\":{\"from\":[\"header:x-t\"]},"
			"\"jwt\":{\"algs\":[\"%s\"],\"require\":[\"exp\"],\"claims\":{\"iss\":\"joe\","
			"\"http://example.com/is_root\":\"true\"}},\"extract\":{}}",
			rfc_tokens[i].decode, rfc_tokens[i].alg);
		snprintf(headers, sizeof headers, "X-T: %s\n", rfc_tokens[i].token);
		a.now_s = 1300819379;
		CHECK(ask_verdict(a).valid, "a token of RFC 7515 is valid while it lives");
		a.now_s = 1300819380;
		check_refused(ask_verdict(a).error, "expired 0 s ago",
		              "and in the second it ends it is not");
	}
}

/* ---- headers, claims and times ---- */

#define JTI(more) "{\"jti\":\"7\"" more "}"

static const struct {
	const char *scheme, *header, *claims, *body, *error, *sentence;
} cases[] = {
	{PLAIN, HS256, "{}", "", "valid", "a token under the secret is valid"},
	{PLAIN, "{\"alg\":\"none\"}", "{}", "", "'none' is not one", "alg none is none"},
	{PLAIN, "{\"alg\":\"None\"}", "{}", "", "'None' is not one", "in no case"},
	{PLAIN, "{}", "{}", "", "algorithm '' is not one", "without alg it is refused"},
	{PLAIN, "{\"alg\":[\"HS256\"]}", "{}", "", "algorithm '' is", "alg must be a text"},
	{PLAIN, "{\"alg\":\"HS384\"}", "{}", "", "'HS384' is not one", "alg must be a scheme's"},
	{PLAIN, "{\"alg\":\"RS256\"}", "{}", "", "'RS256' is not one", "a secret is no RSA key"},
	{PLAIN, "{\"alg\":\"none\",\"alg\":\"HS256\"}", "{}", "", "valid", "the last of equals wins"},
	{PLAIN, "{\"alg\":\"HS256\",\"crit\":[]}", "{}", "", "'crit'", "crit refuses"},
	{PLAIN, "{\"alg\":\"HS256\",\"crit\":null}", "{}", "", "'crit'", "crit refuses always"},
	{PLAIN, "{\"alg\":\"HS256\",\"typ\":1,\"x\":{}}", "{}", "", "valid", "others are ignored"},
	{PLAIN, "{\"alg\":\"HS256\"} x", "{}", "", "JSON object", "the header is one JSON text"},
	{PLAIN, "[\"HS256\"]", "{}", "", "JSON object", "the header is an object"},
	{PLAIN, HS256, "[]", "", "claims are no JSON object", "claims are an object"},
	{PLAIN, HS256, "{", "", "claims are no JSON object", "claims are JSON"},
	{PLAIN, HS256, "{\"exp\":1700000001}", "", "valid", "exp is the end"},
	{PLAIN, HS256, "{\"exp\":1700000000}", "", "expired 0 s ago", "at exp it has ended"},
	{PLAIN, HS256, "{\"exp\":1700000000.9}", "", "expired", "a fraction is floored"},
	{PLAIN, HS256, "{\"exp\":1.700000001e9}", "", "valid", "an exponent is read"},
	{PLAIN, HS256, "{\"exp\":1.7e9}", "", "expired", "and means what it says"},
	{PLAIN, HS256, "{\"exp\":17000000019999e-4}", "", "valid", "a negative one too"},
	{PLAIN, HS256, "{\"exp\":1e400}", "", "valid", "a large one is far away"},
	{PLAIN, HS256, "{\"exp\":-1e400}", "", "expired", "or long ago"},
	{PLAIN, HS256, "{\"exp\":0}", "", "expired", "zero is a time"},
	{PLAIN, HS256, "{\"exp\":\"1700000001\"}", "", "'exp' is not a number", "exp is a number"},
	{PLAIN, HS256, "{\"exp\":null}", "", "'exp' is not a number", "null is no number"},
	{PLAIN, HS256, "{\"nbf\":1700000000}", "", "valid", "nbf is the first second"},
	{PLAIN, HS256, "{\"nbf\":1700000000.5}", "", "valid", "its fraction is floored"},
	{PLAIN, HS256, "{\"nbf\":1700000001}", "", "another 1 s", "before nbf it is not valid"},
	{PLAIN, HS256, "{\"nbf\":-0.5}", "", "valid", "a time before 1970 has been"},
	{PLAIN, HS256, "{\"nbf\":true}", "", "'nbf' is not a number", "nbf is a number"},
	{JWT(HS_ALL, "utf8", ",\"leeway_s\":5"), HS256, "{\"exp\":1699999996,\"nbf\":1700000005}", "",
     "valid", "leeway is for both"},
	{JWT(HS_ALL, "utf8", ",\"leeway_s\":5"), HS256, "{\"exp\":1699999995}", "", "expired 5 s",
     "and ends with exp"},
	{JWT(HS_ALL, "utf8", ",\"leeway_s\":5"), HS256, "{\"nbf\":1700000006}", "", "another 6 s",
     "and begins with nbf"},
	{JWT(HS_ALL, "utf8", ",\"require\":[\"jti\"]"), HS256, JTI(""), "", "valid", "it is there"},
	{JWT(HS_ALL, "utf8", ",\"require\":[\"jti\"]"), HS256, "{\"jti\":0}", "", "valid",
     "of any type"},
	{JWT(HS_ALL, "utf8", ",\"require\":[\"jti\"]"), HS256, "{}", "", "'jti' is missing",
     "what is required is there"},
	{JWT(HS_ALL, "utf8", ",\"require\":[\"jti\"]"), HS256, "{\"jti\":null}", "", "'jti' is missing",
     "null is not there"},
	{JWT(HS_ALL, "utf8", ",\"claims\":{\"iss\":\"a\"}"), HS256, "{\"iss\":\"a\"}", "", "valid",
     "a claim is equal"},
	{JWT(HS_ALL, "utf8", ",\"claims\":{\"iss\":\"a\"}"), HS256, "{\"iss\":\"A\"}", "",
     "'iss' is not what it must be", "to the byte"},
	{JWT(HS_ALL, "utf8", ",\"claims\":{\"iss\":\"a\"}"), HS256, "{}", "", "'iss' is missing",
     "and there"},
	{JWT(HS_ALL, "utf8", ",\"claims\":{\"iss\":\"a\"}"), HS256, "{\"iss\":[\"b\",\"a\"]}", "",
     "valid", "or one element of an array"},
	{JWT(HS_ALL, "utf8", ",\"claims\":{\"iss\":\"a\"}"), HS256, "{\"iss\":[\"b\",[\"a\"]]}", "",
     "'iss' is not", "which is no array again"},
	{JWT(HS_ALL, "utf8", ",\"claims\":{\"iss\":[\"a\",\"b\"]}"), HS256, "{\"iss\":\"b\"}", "",
     "valid", "one of several templates"},
	{JWT(HS_ALL, "utf8", ",\"claims\":{\"n\":\"true\"}"), HS256, "{\"n\":true}", "", "valid",
     "a bool is its JSON text"},
	{JWT(HS_ALL, "utf8", ",\"claims\":{\"n\":\"1.0\"}"), HS256, "{\"n\":1.0}", "", "valid",
     "and a number too"},
	{JWT(HS_ALL, "utf8", ",\"claims\":{\"n\":\"{json:a}\"}"), HS256, "{\"n\":\"x\"}",
     "{\"a\":\"x\"}", "valid", "a template reads the body"},
	{JWT(HS_ALL, "utf8", ",\"claims\":{\"n\":\"{json:a}\"}"), HS256, "{\"n\":\"\"}", "{}",
     "'n' is not", "an absent text equals nothing"},
	{JWT(HS_ALL, "utf8", ",\"claims\":{\"h\":\"sha256hex({body})\"}"), HS256,
     "{\"h\":\"ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad\"}", "abc", "valid",
     "a claim is the body's hash"},
	{JWT(HS_ALL, "utf8", ",\"claims\":{\"h\":\"sha256hex({body})\"}"), HS256,
     "{\"h\":\"BA7816BF8F01CFEA414140DE5DAE2223B00361A396177A9CB410FF61F20015AD\"}", "abc", "valid",
     "in either case"},
	{JWT(HS_ALL, "utf8", ",\"claims\":{\"h\":\"sha256hex({body})\"}"), HS256,
     "{\"h\":\"ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad\"}", "abd",
     "'h' is not", "of this body"},
	{JWT(HS_ALL, "utf8", ",\"claims\":{\"h\":\"sha256hex({body})\"}"), HS256,
     "{\"h\":\"e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855\"}", "", "valid",
     "an empty body has a hash"},
	{JWT(HS_ALL, "utf8", ",\"claims\":{\"h\":\"sha256hex({body})\"}"), HS256, "{}", "",
     "'h' is missing", "which must be there"},
	{JWT(HS_ALL, "utf8", ",\"claims\":{\"h\":\"sha256hex({body})\"},\"if_body\":[\"h\"]"), HS256,
     "{}", "", "valid", "but for if_body"},
	{JWT(HS_ALL, "utf8", ",\"claims\":{\"h\":\"sha256hex({body})\"},\"if_body\":[\"h\"]"), HS256,
     "{}", "x", "'h' is missing", "while the body is empty"},
	{JWT(HS_ALL, "utf8", ",\"claims\":{\"h\":\"sha256hex({body})\"},\"if_body\":[\"h\"]"), HS256,
     "{\"h\":\"00\"}", "", "'h' is not", "and if it is there it must be right"},
};

static void cases_are_judged(void)
{
	char token[PAIR_TEXT];
	size_t i;

	for (i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		token_make(NULL, EVP_sha256(), cases[i].header, cases[i].claims, token);
		check_refused(refused(cases[i].scheme, "[\"secret\"]", token, cases[i].body),
		              cases[i].error, cases[i].sentence);
	}
}

/* What is no token at all, and every digest. */
static void shapes(void)
{
	static const char *const shapeless[] = {"x",           "x.y",     ".",
	                                        "..",          "a.b.c.d", "e30.e30.",
	                                        "e30=.e30.AA", "....",    "e30.e30.A"};
	static const struct {
		const char *header;
		const EVP_MD *(*md)(void);
	} digests[] = {{"{\"alg\":\"HS256\"}", EVP_sha256},
	               {"{\"alg\":\"HS384\"}", EVP_sha384},
	               {"{\"alg\":\"HS512\"}", EVP_sha512}};
	const char *all = JWT(HS_ALL, "utf8", "");
	char token[PAIR_TEXT];
	size_t i;

	for (i = 0; i < sizeof shapeless / sizeof shapeless[0]; i++)
		check_refused(refused(all, "[\"secret\"]", shapeless[i], ""), "the token",
		              "what is no token is refused");
	for (i = 0; i < 3; i++) {
		token_make(NULL, digests[i].md(), digests[i].header, "{}", token);
		check_refused(refused(all, "[\"secret\"]", token, ""), "valid", "each HS digest is known");
		check_refused(refused(all, "[\"other\",\"secret\"]", token, ""), "valid",
		              "any secret may be the one");
		check_refused(refused(all, "[\"other\"]", token, ""), "signature does not match",
		              "another secret is not");
		token_make(NULL, digests[(i + 1) % 3].md(), digests[i].header, "{}", token);
		check_refused(refused(all, "[\"secret\"]", token, ""), "signature does not match",
		              "the digest is the one that alg names");
	}
}

/* Ids come of a token that passed, and of no other. */
static void claims_are_read(void)
{
	static const char *const with_age =
		"{\"kind\":\"jwt\",\"key\":{\"decode\":\"utf8\"},\"sig\":{\"from\":[\"header:x-t\"]},"
		"\"jwt\":{\"algs\":[\"HS256\"]},\"vars\":{\"t\":{\"from\":[\"claim:iat\"],\"unit\":\"s\"}},"
		"\"replay\":{\"var\":\"t\",\"tolerance_s\":10},\"extract\":{}}";
	char token[PAIR_TEXT], headers[PAIR_TEXT + 10];
	ask a = {.own = PLAIN, .secrets = "[\"secret\"]", .headers = headers, .body = "", .now_s = NOW};
	scheme_verdict v;

	token_make(NULL, EVP_sha256(), HS256, "{\"jti\":\"7\",\"event\":{\"id\":5}}", token);
	snprintf(headers, sizeof headers, "X-T: %s\n", token);
	v = ask_verdict(a);
	CHECK(v.valid && bytes_is(v.provider_delivery_id, "7") && bytes_is(v.provider_event_id, "5"),
	      "ids are read of the claims, by path");
	a.secrets = "[\"other\"]";
	v = ask_verdict(a);
	CHECK(!v.valid && !bytes_given(v.provider_delivery_id), "but not of a token that is forged");
	token_make(NULL, EVP_sha256(), HS256, "{\"iat\":1699999990}", token);
	check_refused(refused(with_age, "[\"secret\"]", token, ""), "valid", "iat may be the time");
	token_make(NULL, EVP_sha256(), HS256, "{\"iat\":1699999989}", token);
	check_refused(refused(with_age, "[\"secret\"]", token, ""), "11 s off", "of a window");
	token_make(NULL, EVP_sha256(), HS256, "{}", token);
	check_refused(refused(with_age, "[\"secret\"]", token, ""), "claim 'iat' is missing",
	              "and must be there then");
}

/* A token that says nothing of its request passes with any: it is never stored. */
static void credentials(void)
{
	static const struct {
		const char *json;
		bool redacted;
	} stored[] = {{JWT("\"HS256\"", "utf8", ",\"claims\":{\"iss\":\"a\"}"), true},
	              {JWT("\"HS256\"", "utf8", ",\"claims\":{\"h\":\"sha256hex({body})\"}"), false}};
	knocker_error error;
	size_t i;

	for (i = 0; i < 2; i++) {
		scheme_keys *keys = NULL;
		scheme *s = NULL;
		buffer out;
		int32_t rc = scheme_compile(bytes_of(stored[i].json), &s, &error);

		buffer_init(&out, 10000);
		if (rc == 0)
			rc = scheme_keys_new(s, bytes_of("[\"s\"]"), (knocker_bytes){0}, &keys, &error);
		if (rc == 0)
			rc = request_headers_json(s, keys, bytes_of("X-T: a.b.c\n"), &out, &error);
		CHECK(rc == 0 && bytes_equal(buffer_view(&out),
		                             bytes_of(stored[i].redacted ? "{\"X-T\":\"[redacted]\"}"
		                                                         : "{\"X-T\":\"a.b.c\"}")),
		      "a token is stored only when it is bound to its body");
		buffer_free(&out);
		scheme_keys_free(keys);
		scheme_free(s);
	}
}

/* ---- public keys ---- */

#define RS_JWKS JWT("\"RS256\"", "jwks", "")
#define ES_JWKS JWT("\"ES256\"", "jwks", "")

static void set_of(const char *first, const char *second, char out[3 * PAIR_TEXT])
{
	snprintf(out, 3 * PAIR_TEXT, "{\"keys\":[%s,%s]}", first, second);
}

/* kid, use and alg say which key of a set a token may be under. */
static void sets(EVP_PKEY *rsa, EVP_PKEY *ec)
{
	static const struct {
		const char *members, *header, *error;
	} fits[] = {
		{"", "{\"alg\":\"RS256\"}", "valid"},
		{"\"kid\":\"a\",", "{\"alg\":\"RS256\"}", "valid"},
		{"\"kid\":\"a\",", "{\"alg\":\"RS256\",\"kid\":\"a\"}", "valid"},
		{"\"kid\":\"a\",", "{\"alg\":\"RS256\",\"kid\":\"b\"}", "no key is of the token's"},
		{"\"kid\":\"a\",", "{\"alg\":\"RS256\",\"kid\":{}}", "no key is of the token's"},
		{"", "{\"alg\":\"RS256\",\"kid\":\"b\"}", "valid"},
		{"\"use\":\"sig\",\"alg\":\"RS256\",", "{\"alg\":\"RS256\"}", "valid"},
	};
	char own[PAIR_TEXT], other[PAIR_TEXT], set[3 * PAIR_TEXT], token[PAIR_TEXT];
	size_t i;

	pair_jwk(ec, 0, "\"kid\":\"e\",", other);
	for (i = 0; i < sizeof fits / sizeof fits[0]; i++) {
		pair_jwk(rsa, 0, fits[i].members, own);
		set_of(other, own, set);
		token_make(rsa, EVP_sha256(), fits[i].header, "{}", token);
		check_refused(refused(RS_JWKS, secrets_of(set), token, ""), fits[i].error,
		              "kid, use and alg say which key it is");
		check_refused(refused(RS_JWKS, secrets_of(own), token, ""), fits[i].error,
		              "of a key alone too");
	}
	pair_jwk(rsa, 0, "", own);
	set_of(own, other, set);
	token_make(ec, EVP_sha256(), "{\"alg\":\"ES256\"}", "{}", token);
	check_refused(refused(ES_JWKS, secrets_of(set), token, ""), "valid", "a set has several sorts");
	check_refused(refused(JWT("\"RS256\",\"ES256\"", "jwks", ""), secrets_of(set), token, ""),
	              "valid", "and a scheme may take both");
	token_make(ec, EVP_sha256(), "{\"alg\":\"RS256\"}", "{}", token);
	check_refused(refused(JWT("\"RS256\",\"ES256\"", "jwks", ""), secrets_of(set), token, ""),
	              "signature does not match", "but a signature is of the sort that alg names");
}

/* The known attack: an RSA public key, which everybody knows, used as the secret of an HMAC. */
static void confusion(EVP_PKEY *rsa)
{
	char pem[PAIR_TEXT], token[PAIR_TEXT], signed_text[PAIR_TEXT];
	unsigned char mac[64];
	unsigned int len = 0;

	pair_pem(rsa, 0, pem);
	token_make(NULL, EVP_sha256(), HS256, "{}", token);
	*strrchr(token, '.') = '\0';
	snprintf(signed_text, sizeof signed_text, "%s", token);
	HMAC(EVP_sha256(), pem, (int)strlen(pem), (const unsigned char *)signed_text,
	     strlen(signed_text), mac, &len);
	token[strlen(signed_text)] = '.';
	pair_base64url(mac, len, token + strlen(signed_text) + 1);
	check_refused(refused(JWT("\"RS256\"", "pem-or-spki-b64", ""), secrets_of(pem), token, ""),
	              "'HS256' is not one", "an HMAC under a public key is no signature");
	token_make(rsa, EVP_sha256(), "{\"alg\":\"RS256\"}", "{}", token);
	check_refused(refused(JWT("\"RS256\"", "pem-or-spki-b64", ""), secrets_of(pem), token, ""),
	              "valid", "one under the private key is");
}

/* ---- schemes that make no sense ---- */

static void wrong_schemes(void)
{
	static const struct {
		const char *json, *says;
	} wrong[] = {
		{JWT("\"HS256\",\"RS256\"", "utf8", ""), "both secret (HS) and public-key"},
		{JWT("\"RS256\"", "utf8", ""), "makes no keys of these 'jwt.algs'"},
		{JWT("\"HS256\"", "jwks", ""), "makes no keys of these 'jwt.algs'"},
		{JWT("", "utf8", ""), "'jwt.algs' is empty"},
		{JWT("\"none\"", "utf8", ""), "unknown word 'none'"},
		{JWT("\"HS256\"", "utf8", ",\"more\":1"), "unknown member 'more'"},
		{JWT("\"HS256\"", "utf8", ",\"leeway_s\":-1"), "'jwt.leeway_s' is not"},
		{JWT("\"HS256\"", "utf8", ",\"require\":\"exp\""), "'jwt.require' is not a list"},
		{JWT("\"HS256\"", "utf8", ",\"require\":[1]"), "'jwt.require' holds what"},
		{JWT("\"HS256\"", "utf8", ",\"claims\":[]"), "'jwt.claims' is not an object"},
		{JWT("\"HS256\"", "utf8", ",\"claims\":{\"a\":1}"), "'jwt.claims' holds what"},
		{JWT("\"HS256\"", "utf8", ",\"claims\":{\"a\":[]}"), "'jwt.claims' has an empty list"},
		{JWT("\"HS256\"", "utf8", ",\"claims\":{\"a\":\"{secret}\"}"), "no place for 'secret'"},
		{JWT("\"HS256\"", "utf8", ",\"if_body\":[\"a\"]"), "no member of 'jwt.claims': 'a'"},
		{"{\"kind\":\"token\",\"sig\":{\"from\":[\"header:a\"]},\"extract\":{\"event_id\":"
	     "[\"claim:a\"]}}",
	     "only kind 'jwt' has: claim 'a'"},
		{"{\"kind\":\"jwt\",\"sig\":{\"from\":[\"header:a\"]},\"extract\":{}}", "'jwt' is missing"},
		{"{\"kind\":\"jwt\",\"when_query\":{}}", "'when_query' has no meaning for kind 'jwt'"},
		{"{\"kind\":\"jwt\",\"sig\":{\"from\":[\"header:a\"],\"enc\":\"hex\"},\"extract\":{}}",
	     "'sig.enc' has no meaning"},
	};
	knocker_error error;
	size_t i;

	for (i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
		scheme *s = NULL;

		CHECK(scheme_compile(bytes_of(wrong[i].json), &s, &error) == KNOCKER_INVALID_ARGUMENT,
		      "a scheme that makes no sense is refused");
		check_refused(error.text, wrong[i].says, "with what is wrong");
		scheme_free(s);
	}
}

/* ---- signing ---- */

#define ASKS                                                                                   \
	",\"require\":[\"nbf\",\"exp\",\"jti\"],\"claims\":{\"iss\":\"me\",\"ok\":\"true\",\"h\":" \
	"\"sha256hex({body})\"},\"if_body\":[\"h\"]"

/* Signs with one list of secrets and verifies with another. */
static void there_and_back(const char *json, const char *sign_with, const char *verify_with)
{
	scheme_request request = {.body = bytes_of("{\"a\":1}")};
	scheme_verdict v = {0};
	scheme_keys *keys = NULL, *public_keys = NULL;
	knocker_error error = {0};
	arena memory = {0};
	scheme *s = NULL;
	buffer lines;
	int32_t rc = scheme_compile(bytes_of(json), &s, &error);

	buffer_init(&lines, 100000);
	if (rc == 0)
		rc = scheme_keys_to_sign(s, bytes_of(sign_with), (knocker_bytes){0}, &keys, &error);
	if (rc == 0)
		rc = scheme_sign(s, keys, &request, NOW, &lines, &error);
	request.headers = buffer_view(&lines);
	if (rc == 0)
		rc = scheme_keys_new(s, bytes_of(verify_with), (knocker_bytes){0}, &public_keys, &error);
	if (rc == 0)
		rc = scheme_verify(s, public_keys, &request, NOW + 10, &memory, &v, &error);
	CHECK(rc == 0 && v.valid && bytes_given(v.provider_delivery_id),
	      "a token made here has what the scheme asks for");
	if (rc < 0 || !v.valid)
		printf("  %s %s\n", error.text, v.error ? v.error : "");
	arena_free(&memory);
	buffer_free(&lines);
	scheme_keys_free(keys);
	scheme_keys_free(public_keys);
	scheme_free(s);
}

static void signing(EVP_PKEY *rsa, EVP_PKEY *ec)
{
	char with[2 * PAIR_TEXT], text[PAIR_TEXT], own[PAIR_TEXT];

	there_and_back(JWT("\"HS256\"", "utf8", ASKS), "[\"s\"]", "[\"s\"]");
	there_and_back(JWT("\"HS512\"", "utf8", ASKS), "[\"s\"]", "[\"s\"]");
	pair_jwk(rsa, 1, "\"kid\":\"k1\",", text);
	snprintf(with, sizeof with, "%s", secrets_of(text));
	pair_jwk(rsa, 0, "\"kid\":\"k1\",", own);
	there_and_back(JWT("\"RS256\"", "jwks", ASKS), with, secrets_of(own));
	pair_jwk(ec, 1, "", text);
	snprintf(with, sizeof with, "%s", secrets_of(text));
	pair_jwk(ec, 0, "", own);
	there_and_back(JWT("\"ES256\"", "jwks", ASKS), with, secrets_of(own));
	pair_pem(ec, 1, text);
	snprintf(with, sizeof with, "%s", secrets_of(text));
	pair_pem(ec, 0, own);
	there_and_back(JWT("\"ES256\"", "pem-or-spki-b64", ASKS), with, secrets_of(own));
}

int main(void)
{
	EVP_PKEY *rsa = pair_rsa(), *ec = pair_ec();

	rfc_tokens_verify();
	cases_are_judged();
	shapes();
	claims_are_read();
	credentials();
	sets(rsa, ec);
	confusion(rsa);
	wrong_schemes();
	signing(rsa, ec);
	arena_free(&ask_memory);
	EVP_PKEY_free(rsa);
	EVP_PKEY_free(ec);
	return check_end("test_jwt");
}
