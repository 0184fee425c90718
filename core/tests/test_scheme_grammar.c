/* Compiling schemes and keys: every word that is unknown, missing or of the wrong type is refused
 * by name, and no message tells a secret. */
#include "scheme_help.h"

/* A scheme of kind hmac with `more` members, as JSON. */
#define HMAC(sig, more)                                                                 \
	"{\"kind\":\"hmac\",\"alg\":\"sha256\",\"key\":{\"decode\":\"utf8\"},\"sig\":{" sig \
	"},\"signed\":[\"{body}\"],"                                                        \
	"\"extract\":{}" more "}"
#define SIG "\"from\":[\"header:x-s\"],\"enc\":\"hex\""

static const struct {
	const char *json, *reason; /* NULL: it compiles */
} schemes[] = {
	{HMAC(SIG, ""), NULL},
	{"", "the scheme is not JSON"},
	{"[]", "not a JSON object"},
	{"{}", "'kind' is missing"},
	{"{\"kind\":5}", "'kind' is not a text"},
	{"{\"kind\":\"hmacs\"}", "'kind' is the unknown word 'hmacs'"},
	{"{\"kind\":\"jwt\"}", "'sig' is missing"},
	{"{\"kind\":\"ecdsa-p256\"}", "'sig' is missing"},
	{"{\"kind\":\"rsa-pkcs1\"}", "'sig' is missing"},
	{HMAC(SIG, ",\"more\":1"), "'scheme' has an unknown member 'more'"},
	{HMAC(SIG, ",\"Kind\":1"), "'scheme' has an unknown member 'Kind'"},
	{HMAC(SIG, ",\"kind\":\"hmac\""), "has the member 'kind' twice"},
	{HMAC(SIG, ",\"jwt\":{}"), "'jwt' has no meaning"},
	{HMAC(SIG ",\"encoding\":1", ""), "'sig' has an unknown member 'encoding'"},
	{HMAC("\"from\":[\"header:x-s\"]", ""), "'sig.enc' is missing"},
	{HMAC("\"from\":[\"header:x-s\"],\"enc\":\"hexx\"", ""),
     "'sig.enc' is the unknown word 'hexx'"},
	{HMAC("\"from\":[\"header:x-s\"],\"enc\":true", ""), "'sig.enc' is not a text"},
	{HMAC("\"enc\":\"hex\"", ""), "'sig.from' is missing"},
	{HMAC("\"from\":\"header:x-s\",\"enc\":\"hex\"", ""), "'sig.from' is not a list"},
	{HMAC("\"from\":[],\"enc\":\"hex\"", ""), "'sig.from' is empty"},
	{HMAC("\"from\":[1],\"enc\":\"hex\"", ""), "'sig.from' holds what is not a text"},
	{HMAC("\"from\":[\"headers:x\"],\"enc\":\"hex\"", ""), "unknown source 'headers:x'"},
	{HMAC("\"from\":[\"header:\"],\"enc\":\"hex\"", ""), "a source without a name"},
	{HMAC("\"from\":[\"header:{family}x\"],\"enc\":\"hex\"", ""), "a {family} where there is n"
                                                                  "one"},
	{HMAC("\"from\":[\"header:{option:h}\"],\"enc\":\"hex\"", ""),
     "an option that is not declared: 'h'"},
	{HMAC("\"from\":[\"claim:sub\"],\"enc\":\"hex\"", ""),
     "'sig.from' is no place for 'claim:sub'"},
	{HMAC("\"from\":[\"sigitem:x\"],\"enc\":\"hex\"", ""), "no item of that number"},
	{HMAC("\"from\":[\"join:.\"],\"enc\":\"hex\"", ""), "no join:SEP:source:source"},
	{HMAC("\"from\":[\"j:a\"],\"enc\":\"hex\"", ""), "needs 'base'"},
	{HMAC(SIG ",\"pick\":[\"v1\"]", ""), "'pick' needs 'sig.kv'"},
	{HMAC(SIG ",\"kv\":\"=\",\"pick\":[\"v1\"],\"skip\":1", ""),
     "'pick' needs 'sig.kv' and no 'sig.skip'"},
	{HMAC(SIG ",\"kv\":\"=\",\"pick\":\"v1\"", ""), "'pick' is not a list"},
	{HMAC(SIG ",\"trim\":1", ""), "'sig.trim' is not true or false"},
	{HMAC(SIG ",\"skip\":-1", ""), "'sig.skip' is not a whole number"},
	{HMAC(SIG ",\"skip\":1.5", ""), "'sig.skip' is not a whole number"},
	{HMAC(SIG ",\"prefix_optional\":true", ""), "'sig.prefix_optional' needs 'sig.prefix'"},
	{HMAC(SIG, ",\"base\":\"a\""), "'base' is not a list"},
	{HMAC(SIG, ",\"base\":[1]"), "'base' holds what is not a text"},
	{HMAC(SIG, ",\"families\":[]"), "'families' has none"},
	{HMAC(SIG, ",\"families\":[1]"), "'families' holds what is not a text"},
	{HMAC(SIG, ",\"vars\":[]"), "'vars' is not an object"},
	{HMAC(SIG, ",\"vars\":{\"t\":{}}"), "'vars.from' is missing"},
	{HMAC(SIG, ",\"vars\":{\"t\":{\"from\":[]}}"), "'vars.from' is empty"},
	{HMAC(SIG, ",\"vars\":{\"t\":{\"from\":[\"header:t\"],\"unit\":\"h\"}}"),
     "'vars.unit' is the unknown word 'h'"},
	{HMAC(SIG, ",\"vars\":{\"t\":{\"from\":[\"header*:t\"]}}"),
     "'vars.from' is no place for 'header*:t'"},
	{HMAC(SIG, ",\"replay\":{\"var\":\"t\",\"tolerance_s\":1}"),
     "'replay.var' is 't', no var with a unit"},
	{HMAC(SIG, ",\"vars\":{\"t\":{\"from\":[\"header:t\"]}},\"replay\":{\"var\":\"t\",\"tolerance_"
               "s\":1}"),
     "'replay.var' is 't', no var with a unit"},
	{HMAC(SIG, ",\"vars\":{\"t\":{\"from\":[\"header:t\"],\"unit\":\"s\"}},\"replay\":{\"va"
               "r\":\"t\",\"tolerance_s\":-1}"),
     "'replay.tolerance_s' is not a whole number"},
	{HMAC(SIG, ",\"options\":{\"tolerance_s\":{\"type\":\"int\"}}"),
     "option 'tolerance_s' needs 'replay'"},
	{HMAC(SIG, ",\"options\":{\"a\":{\"type\":\"text\"}}"),
     "'options.type' is the unknown word 'text'"},
	{HMAC(SIG, ",\"options\":{\"a\":{\"type\":\"int\",\"default\":\"x\"}}"),
     "the default of option 'a' is no int"},
	{HMAC(SIG, ",\"options\":{\"a\":{}}"), "'options.type' is missing"},
	{HMAC(SIG, ",\"alt\":{}"), "'alt' is not a list"},
	{HMAC(SIG, ",\"alt\":[{\"kind\":\"ed25519\",\"key\":{\"decode\":\"hex\"}}]"),
     "'alt.key.strip' is missing"},
	{HMAC(SIG, ",\"when_query\":{\"a\":{}}"), "'when_query' needs an option 'url'"},
	{HMAC(SIG, ",\"accept\":{}"), "'accept.status' is missing"},
	{HMAC(SIG, ",\"accept\":{\"status\":99}"), "'accept.status' is 99"},
	{HMAC(SIG, ",\"accept\":{\"status\":600}"),
     "'accept.status' is not a whole number from 0 to 599"},
	{HMAC(SIG, ",\"accept\":{\"status\":200,\"body\":[]}"),
     "'accept.body' is not a text or object"},
	{HMAC(SIG, ",\"accept\":{\"status\":200,\"body\":{\"a\":true}}"),
     "'accept.a' is not a text or whole number"},
	{HMAC(SIG, ",\"accept\":{\"status\":200,\"body\":\"{what}\"}"), "unknown placeholder 'what'"},
	{HMAC(SIG, ",\"reject\":{\"status\":401,\"headers\":{\"A\":1}}"), "'reject.A' is not a text"},
	{HMAC(SIG, ",\"handshake\":{}"), "'handshake' is not a list"},
	{HMAC(SIG, ",\"handshake\":[{}]"), "'handshake.signed' is not true or false"},
	{HMAC(SIG, ",\"handshake\":[{\"signed\":true,\"when\":{},\"respond\":{\"status\":200}}]"),
     "'handshake.when' is not an object of conditions"},
	{HMAC(SIG,
          ",\"handshake\":[{\"signed\":true,\"when\":{\"json:a\":1.5},\"respond\":{\"status\":2"
          "00}}]"),
     "'when.json:a' is not a text or whole number"},
	{HMAC(SIG, ",\"handshake\":[{\"signed\":true,\"when\":{\"json:a\":\"*\"}}]"),
     "'respond' is missing"},
	{HMAC(SIG, ",\"handshake\":[{\"signed\":true,\"store_secret\":\"json:a\",\"when\":{\"json:"
               "a\":\"*\"},\"respond\":{"
               "\"status\":200}}]"),
     "a signed handshake hands over no secret"},
	{"{\"extends\":\"github\"}", NULL},
	{"{\"extends\":\"svix\",\"families\":[\"svix-\",\"webhook-\"]}", NULL},
	{"{\"extends\":\"githup\"}", "'extends' names no built-in provider: 'githup'"},
	{"{\"extends\":1}", "'extends' is not a text"},
	{"{\"extends\":\"github\",\"sgi\":{}}", "'scheme' has an unknown member 'sgi'"},
	{"{\"extends\":\"github\",\"kind\":\"token\"}", "has no meaning for kind 'token'"},
	{"{\"kind\":\"hmac\",\"sig\":{" SIG "},\"signed\":[\"{body}\"],\"extract\":{}}",
     "'alg' is missing"},
	{"{\"kind\":\"hmac\",\"alg\":\"md5\",\"sig\":{" SIG "},\"signed\":[\"{body}\"],\"extrac"
     "t\":{}}",
     "'alg' is the unknown word 'md5'"},
	{"{\"kind\":\"hmac\",\"alg\":\"sha1\",\"sig\":{" SIG "},\"signed\":[],\"extract\":{}}",
     "'signed' is empty"},
	{"{\"kind\":\"hmac\",\"alg\":\"sha1\",\"sig\":{" SIG "},\"extract\":{}}",
     "'signed' is missing"},
	{"{\"kind\":\"hmac\",\"alg\":\"sha1\",\"sig\":{" SIG "},\"signed\":[\"{body}\"]}",
     "'extract' is missing"},
	{"{\"kind\":\"hmac\",\"alg\":\"sha1\",\"sig\":{" SIG "},\"signed\":[\"{url}\"],\"extrac"
     "t\":{}}",
     "needs an option 'url'"},
	{"{\"kind\":\"hmac\",\"alg\":\"sha1\",\"sig\":{" SIG
     "},\"signed\":[\"{event_id}\"],\"extract\":{}}",
     "'signed' is no place for 'event_id'"},
	{"{\"kind\":\"hmac\",\"alg\":\"sha1\",\"key\":{\"decode\":\"jwks\"},\"sig\":{" SIG
     "},\"signed\":[\"{body}\"],"
     "\"extract\":{}}",
     "'key.decode' is 'jwks', which makes no keys of kind 'hmac'"},
	{"{\"kind\":\"hmac\",\"alg\":\"sha1\",\"key\":{},\"sig\":{" SIG
     "},\"signed\":[\"{body}\"],\"extract\":{}}",
     "'key.decode' is missing"},
	{"{\"kind\":\"hmac\",\"alg\":\"sha1\",\"key\":{\"decode\":\"utf8\",\"derive\":\"md5\"},\"s"
     "ig\":{" SIG "},"
     "\"signed\":[\"{body}\"],\"extract\":{}}",
     "'key.derive' is the unknown word 'md5'"},
	{"{\"kind\":\"token\",\"alg\":\"sha256\",\"sig\":{\"from\":[\"header:a\"]},\"extract\":{}}",
     "'alg' has no meaning for kind 'token'"},
	{"{\"kind\":\"token\",\"key\":{\"decode\":\"hex\"},\"sig\":{\"from\":[\"header:a\"]},\"ext"
     "ract\":{}}",
     "'key' has no meaning for kind 'token'"},
	{"{\"kind\":\"token\",\"signed\":[\"{body}\"],\"sig\":{\"from\":[\"header:a\"]},\"extrac"
     "t\":{}}",
     "'signed' has no meaning for kind 'token'"},
	{"{\"kind\":\"token\",\"sig\":{\"from\":[\"header:a\"],\"enc\":\"hex\"},\"extract\":{}}",
     "'sig.enc' has no meaning for kind 'token'"},
	{"{\"kind\":\"basic\",\"sig\":{\"from\":[\"header:a\"],\"scheme\":\"Bearer\"},\"extract\":"
     "{}}",
     "'sig.scheme' is always Basic"},
	{"{\"kind\":\"token\",\"sig\":{\"from\":[\"header:a\"]},\"extract\":{\"id\":[\"json:id\"]}}",
     "'extract' has an unknown member 'id'"},
	{"{\"kind\":\"token\",\"sig\":{\"from\":[\"header:a\"]},\"extract\":{\"event_id\":\"json:i"
     "d\"}}",
     "'event_id' is not a list"},
	{"{\"kind\":\"token\",\"sig\":{\"from\":[\"header:a\"]},\"extract\":{\"dedupe\":[\"{id}\"]}}",
     "unknown placeholder 'id'"},
	{"{\"kind\":\"token\",\"sig\":{\"from\":[\"header:a\"]},\"extract\":{\"dedupe\":[\"each:"
     "x\"]}}",
     "an each: without a template"},
	{"{\"kind\":\"token\",\"sig\":{\"from\":[\"header:a\"]},\"extract\":{\"batch\":\"$\"}}",
     "'batch' is '$'"},
};

static void schemes_are_judged(void)
{
	size_t i;

	for (i = 0; i < sizeof schemes / sizeof schemes[0]; i++) {
		knocker_error error = {0};
		scheme *s = NULL;
		int32_t rc = scheme_compile(bytes_of(schemes[i].json), &s, &error);

		if (!schemes[i].reason)
			CHECK(rc == 0 && s, schemes[i].json);
		else
			CHECK(rc == KNOCKER_INVALID_ARGUMENT && !s && strstr(error.text, schemes[i].reason),
			      schemes[i].reason);
		if (schemes[i].reason && !strstr(error.text, schemes[i].reason))
			printf("  %s\n", error.text);
		scheme_free(s);
	}
}

static const struct {
	const char *provider, *secrets, *options, *reason;
} keys[] = {
	{"github", "[\"s\"]", NULL, NULL},
	{"github", "[\"s\"]", "{}", NULL},
	{"github", NULL, NULL, "a secret is missing"},
	{"github", "[]", NULL, "a secret is missing"},
	{"github", "[\"\"]", NULL, "secret 1 is empty"},
	{"github", "[\"s\",\"\"]", NULL, "secret 2 is empty"},
	{"github", "[\"s\",5]", NULL, "secret 2 is not a text"},
	{"github", "[null]", NULL, "secret 1 is not a text"},
	{"github", "\"hush-hush\"", NULL, "secrets_json is not a JSON array"},
	{"github", "{\"hush-hush\":1}", NULL, "secrets_json is not a JSON array"},
	{"github", "[\"hush-hush", NULL, "secrets_json is not JSON"},
	{"github", "[\"hush-hush\"]]", NULL, "secrets_json is not JSON"},
	{"github", "[\"hush\\u0000-hush\"]", NULL, "secrets_json is not JSON"},
	{"github", "[\"s\"]", "[]", "options_json is not a JSON object"},
	{"github", "[\"s\"]", "", "options_json is not JSON"},
	{"github", "[\"s\"]", "{\"tolerance_s\":5}", "no option is named 'tolerance_s'"},
	{"stripe", "[\"s\"]", "{\"tolerance_s\":0}", NULL},
	{"stripe", "[\"s\"]", "{\"tolerance_s\":-1}", "'tolerance_s' is -1"},
	{"stripe", "[\"s\"]", "{\"tolerance_s\":1.5}", "'tolerance_s' is not a whole number"},
	{"stripe", "[\"s\"]", "{\"tolerance_s\":9007199254740993}",
     "'tolerance_s' is not a whole number"},
	{"stripe", "[\"s\"]", "{\"tolerance_s\":1e300}", "'tolerance_s' is not a whole number"},
	{"stripe", "[\"s\"]", "{\"tolerance_s\":\"300\"}", "'tolerance_s' is not a whole number"},
	{"stripe", "[\"s\"]", "{\"tolerance_s\":null}", "'tolerance_s' is not a whole number"},
	{"stripe", "[\"s\"]", "{\"Tolerance_s\":300}", "no option is named 'Tolerance_s'"},
	{"token-header", "[\"s\"]", "{\"header\":\"X-Gitlab-Token\"}", NULL},
	{"token-header", "[\"s\"]", "{\"header\":5}", "'header' is not a text"},
	{"token-header", "[\"s\"]", "{\"header\":\"\"}", "'header' is empty"},
	{"token-header", "[\"s\"]", "{\"header\":\"a b\"}", "'header' is not a header's name: 'a b'"},
	{"token-header", "[\"s\"]", "{\"header\":\"a:\"}", "'header' is not a header's name: 'a:'"},
	{"token-header", "[\"s\"]", "{\"header\":\"a\\n\"}", "control character"},
	{"standard-webhooks", "[\"whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw\"]", NULL, NULL},
	{"standard-webhooks", "[\"whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSwAA\"]", NULL, NULL},
	{"standard-webhooks", "[\"whsec_hush-hush\"]", NULL,
     "secret 1 is not a key of this scheme: base64"},
	{"standard-webhooks", "[\"whsec_\"]", NULL, "secret 1 is not a key of this scheme: base64"},
	{"standard-webhooks", "[\"x\",\"whpk_aHVzaA==\"]", NULL,
     "secret 2 is not a key of this scheme: 32 bytes in base64"},
	{"standard-webhooks", "[\"whpk_\"]", NULL,
     "secret 1 is not a key of this scheme: 32 bytes in base64"},
};

static void keys_are_judged(void)
{
	size_t i;

	for (i = 0; i < sizeof keys / sizeof keys[0]; i++) {
		knocker_error error = {0};
		const scheme *s = NULL;
		scheme_keys *made = NULL;
		int32_t rc = scheme_builtin(bytes_of(keys[i].provider), &s, &error);

		if (rc == 0)
			rc = scheme_keys_new(s, bytes_of(keys[i].secrets), bytes_of(keys[i].options), &made,
			                     &error);
		if (!keys[i].reason)
			CHECK(rc == 0 && scheme_keys_have_secret(made), keys[i].provider);
		else
			CHECK(rc == KNOCKER_INVALID_ARGUMENT && !made && strstr(error.text, keys[i].reason),
			      keys[i].reason);
		if (keys[i].reason && !strstr(error.text, keys[i].reason))
			printf("  %s\n", error.text);
		CHECK(!strstr(error.text, "hush"), "no message holds a secret");
		scheme_keys_free(made);
	}
	CHECK(!scheme_keys_have_secret(NULL), "no keys have no secret");
}

static void many_secrets(size_t count, bool good, const char *sentence)
{
	const scheme *s = NULL;
	scheme_keys *made = NULL;
	knocker_error error;
	buffer b;
	size_t i;

	scheme_builtin(bytes_of("github"), &s, &error);
	buffer_init(&b, 100000);
	for (i = 0; i < count; i++)
		buffer_text(&b, i ? ",\"s\"" : "[\"s\"");
	buffer_text(&b, "]");
	CHECK((scheme_keys_new(s, buffer_view(&b), (knocker_bytes){0}, &made, &error) == 0) == good,
	      sentence);
	scheme_keys_free(made);
	buffer_free(&b);
}

static void no_memory_is_an_error(void)
{
	static const char own[] =
		"{\"extends\":\"standard-webhooks\",\"accept\":{\"status\":200,\"body\":{\"a\":\"{body"
		"}\"}}}";
	knocker_error error;
	bool clean = true;
	int64_t n;

	for (n = 0; n < 5000; n++) {
		scheme *s = NULL;
		scheme_keys *made = NULL;
		int32_t rc;

		memory_fail_after(n, false);
		rc = scheme_compile(bytes_of(own), &s, &error);
		if (rc == 0)
			rc = scheme_keys_new(s, bytes_of("[\"abcd\",\"b\"]"), bytes_of("{\"tolerance_s\":5}"),
			                     &made, &error);
		memory_fail_after(-1, false);
		clean = clean && (rc == 0) == (made != NULL) && (rc == 0 || error.code != KNOCKER_OK);
		scheme_keys_free(made);
		scheme_free(s);
		if (rc == 0)
			break;
	}
	CHECK(clean && n > 50 && n < 5000,
	      "each allocation that fails makes an error, and nothing leaks");
}

int main(void)
{
	const scheme *s = (const scheme *)&ask_error;

	CHECK(scheme_builtin(bytes_of("strip"), &s, &ask_error) == 0 && !s,
	      "an unknown name is no built-in");
	CHECK(scheme_builtin((knocker_bytes){0}, &s, &ask_error) == 0 && !s, "nor is none");
	schemes_are_judged();
	keys_are_judged();
	many_secrets(LIMIT_SECRETS, true, "as many secrets as there may be");
	many_secrets(LIMIT_SECRETS + 1, false, "and not one more");
	no_memory_is_an_error();
	return check_end("test_scheme_grammar");
}
