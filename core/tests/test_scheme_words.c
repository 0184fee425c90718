/* The words that spell a whole request: checksums, lines, the URL with its form. Each is read as a
 * dedupe key, which shows its text as it is. */
#include "scheme_help.h"

#define SHOWS(word)                                                                          \
	"{\"kind\":\"token\",\"sig\":{\"from\":[\"header:t\"]},\"extract\":{\"dedupe\":[\"" word \
	"\"]},"                                                                                  \
	"\"options\":{\"url\":{\"type\":\"string\"}}}"

#define VAR_IS(is)                                                                         \
	"{\"kind\":\"hmac\",\"alg\":\"sha1\",\"key\":{\"decode\":\"utf8\"},"                   \
	"\"sig\":{\"from\":[\"header:s\"],\"enc\":\"hex\"},\"signed\":[\"b\"],\"extract\":{}," \
	"\"vars\":{\"v\":{\"from\":[\"header:v\"],\"is\":\"" is "\"}},"                        \
	"\"options\":{\"o\":{\"type\":\"string\"}}}"

#define KEY_HOST(decode, host)                                                                     \
	"{\"kind\":\"rsa-pkcs1\",\"alg\":\"sha1\",\"key\":{\"decode\":\"" decode "\",\"host\":\"" host \
	"\"},\"sig\":{\"from\":[\"header:s\"],\"enc\":\"hex\"},\"signed\":[\"b\"],\"extract\":{},"     \
	"\"options\":{\"o\":{\"type\":\"string\"}}}"

/* The digest's name is a text of the request. */
#define NAMED(more)                                                                         \
	"{\"kind\":\"hmac\",\"alg\":{\"from\":[\"header:a\"],\"map\":{\"one\":\"sha1\",\"2\":"  \
	"\"sha256\"}," more "},\"key\":{\"decode\":\"utf8\"},\"sig\":{\"from\":[\"header:s\"]," \
	"\"enc\":\"hex\"},\"signed\":[\"{body}\"],\"extract\":{}}"

#define LISTED(list)                                                                    \
	"{\"kind\":\"hmac\",\"alg\":\"sha256\",\"key\":{\"decode\":\"utf8\"},"              \
	"\"sig\":{\"from\":[\"header:s\"],\"enc\":\"hex\"},\"signed\":[\"{header_list}\"]," \
	"\"extract\":{},\"header_list\":{" list "}}"

#define LIST "\"from\":[\"header:l\"],\"items\":\",\",\"kv\":\":\",\"join\":\";\""

static const struct {
	const char *word, *url, *query, *body;
	const char *text; /* NULL: none */
} words[] = {
	{SHOWS("{crc32}"), NULL, "", "123456789", "3421780262"},
	{SHOWS("{crc32}"), NULL, "", "", "0"},
	{SHOWS("{crc32}"), NULL, "", "The quick brown fox jumps over the lazy dog", "1095738169"},
	{SHOWS("{md5_b64}"), NULL, "", "", "1B2M2Y8AsgTpgAmY7PhCfg=="},
	{SHOWS("{md5_b64}"), NULL, "", "abc", "kAFQmDzST7DWlj99KOF/cg=="},
	{SHOWS("p{url_path}"), "https://a.test:8443/b/c%20d?e=/f", "", "", "p/b/c%20d"},
	{SHOWS("p{url_path}"), "https://a.test/b", "c=d", "", "p/b"},
	{SHOWS("p{url_path}"), "https://a.test?c=d", "", "", "p/"},
	{SHOWS("p{url_path}"), "/b/c?d", "", "", "p/b/c"},
	{SHOWS("{url_path}"), NULL, "", "", NULL},
	{SHOWS("{url_form_sorted}"), "https://a.test/b", "", "", "https://a.test/b"},
	{SHOWS("{url_form_sorted}"), "https://a.test/b", "c=2&c=1&a=%20", "",
     "https://a.test/b?a= &c=1&c=2"},
	{SHOWS("{url_form_sorted}"), "https://a.test/b", "", "To=2&From=1",
     "https://a.test/b?From1To2"},
	{SHOWS("{url_form_sorted}"), "https://a.test/b?d=3", "", "b=2&a=1",
     "https://a.test/b?d=3.a1b2"},
	/* As the sender's own toolkit spells them. */
	{SHOWS("{uri_escaped}"), "https://a.test/b", "", "", "/b"},
	{SHOWS("{uri_escaped}"), "https://a.test/b?", "", "", "/b"},
	{SHOWS("{uri_escaped}"), "https://a.test/b%20;c[d]", "a=1&b=%C3%9F?c", "",
     "/b%2520;c%5Bd%5D?a%253D1%2526b%253D%2525C3%25259F"},
	{SHOWS("q{query_canonical}"), NULL, "", "", NULL},
	{SHOWS("{query_canonical}"), NULL, "b=2&a=x+y%20z&c=&jwt=q&b=1&%7E=*", "",
     "a=x%20y%20z&b=1,2&c=&~=%2A"},
	/* The canonical request and its hash that an add-on of Atlassian's printed. */
	{SHOWS("sha256:GET&/addon&{query_canonical}"), NULL,
     "lic=none&tz=Europe%2FMoscow&cp=%2Fjira&user_key=admin&loc=en-US&user_id=admin&jwt=eyJ.a.b&"
     "xdm_e=http%3A%2F%2Flocalhost%3A2990&xdm_c=channel-servlet-click-me&xdm_p=1",
     "", "sha256:3a6ff1b66f60eb275d0e4cb6be4261d5d3b0216b91c58dc6524509227ef346de"},
	{SHOWS("{json_lines:a,c,b}"), NULL, "", "{\"b\":\"2\",\"a\":\"\\u0031\",\"x\":0}",
     "a\n1\nb\n2\n"},
	{SHOWS("{json_lines:a,b}"), NULL, "", "{\"b\":null,\"a\":7}", "a\n7\n"},
	{SHOWS("{json_lines:a,b}"), NULL, "", "{\"b\":\"\",\"a\":true}", "a\ntrue\n"},
	{SHOWS("{json_lines:a,b}"), NULL, "", "{\"b\":[1],\"a\":7}", NULL},
	{SHOWS("{json_lines:a,b}"), NULL, "", "{\"b\":{\"c\":1},\"a\":7}", NULL},
	{SHOWS("{json_lines:a,b}"), NULL, "", "{\"b\":\"\\ud800\",\"a\":7}", NULL},
	{SHOWS("{json_lines:a,b}"), NULL, "", "a=7", NULL},
};

static void words_shown(void)
{
	char options[200];
	size_t i;

	for (i = 0; i < sizeof words / sizeof words[0]; i++) {
		scheme_verdict v;

		snprintf(options, sizeof options, "{\"url\":\"%s\"}", words[i].url ? words[i].url : "");
		v = ask_verdict((ask){.own = words[i].word,
		                      .secrets = "[\"s\"]",
		                      .options = words[i].url ? options : NULL,
		                      .headers = "t: s\n",
		                      .query = words[i].query,
		                      .body = words[i].body});
		CHECK(v.valid, words[i].word);
		CHECK(words[i].text ? bytes_is(v.dedupe_key, words[i].text) : !bytes_given(v.dedupe_key),
		      words[i].word);
		if (bytes_given(v.dedupe_key) && !bytes_is(v.dedupe_key, words[i].text))
			printf("  %zu: got '%.*s'\n", i, (int)v.dedupe_key.len,
			       (const char *)v.dedupe_key.data);
	}
}

/* What is left out of the lines is not signed: a member that is no text must refuse the request. */
static void lines_leave_nothing_out(void)
{
	static const char own[] =
		"{\"kind\":\"hmac\",\"alg\":\"sha256\",\"key\":{\"decode\":\"utf8\"},"
		"\"sig\":{\"from\":[\"header:s\"],\"enc\":\"hex\"},\"signed\":[\"{json_lines:a,b}\"],"
		"\"extract\":{}}";
	knocker_bytes text = bytes_of("a\n1\n");
	char headers[80] = "s: ";
	uint8_t mac[DIGEST_MAX];
	size_t i, len = crypto_hmac(DIGEST_SHA256, bytes_of("k"), &text, 1, mac);
	scheme_verdict v;

	for (i = 0; i < len; i++)
		snprintf(headers + 3 + 2 * i, 3, "%02x", mac[i]);
	v = ask_verdict(
		(ask){.own = own, .secrets = "[\"k\"]", .headers = headers, .body = "{\"a\":\"1\"}"});
	CHECK(v.valid, "the lines are what is signed");
	v = ask_verdict((ask){.own = own,
	                      .secrets = "[\"k\"]",
	                      .headers = headers,
	                      .body = "{\"a\":\"1\",\"b\":{\"c\":2}}"});
	CHECK(!v.valid && strcmp(v.error, "JSON member 'b' is no text") == 0,
	      "a member that cannot be signed refuses the request");
	v = ask_verdict((ask){.own = own,
	                      .secrets = "[\"k\"]",
	                      .headers = headers,
	                      .body = "{\"a\":\"1\",\"b\":\"2\"}"});
	CHECK(!v.valid && strcmp(v.error, "signature does not match") == 0, "another member is signed");
}

/* Each listed header must be there once, and those that have to be listed must be. */
static void listed_headers(void)
{
	static const struct {
		const char *headers, *text; /* what was signed */
		const char *error;          /* NULL: valid */
	} lists[] = {
		{"l: T,b\nT: 1\nB:  2 \n", "T:1;b:2", NULL},
		{"l: b,t\nHTTP_T: 1\nb: \n", "b:;t:1", NULL},
		{"l: t,b\nt: 1\nb: 2\nb: 2\n", "t:1;b:2", NULL},
		{"l: t,b\nt: 1\nb: 2\nb: 3\n", "t:1;b:2", "different values of header 'b'"},
		{"l: t,b\nt: 1\n", "t:1;b:", "header 'b' is missing"},
		{"l: b\nt: 1\nb: 2\n", "b:2", "header 't' is not in the list of signed ones"},
		{"t: 1\n", "t:1", "header 'l' is missing"},
		{"l: t\nl: t,b\nt: 1\nb: 2\n", "t:1", "different values of header 'l'"},
		{"l: b,t\nt: 1\nb: 2\n", "t:1;b:2", "signature does not match"},
	};
	char headers[200];
	uint8_t mac[DIGEST_MAX];
	size_t i, k, len, at;

	for (i = 0; i < sizeof lists / sizeof lists[0]; i++) {
		knocker_bytes text = bytes_of(lists[i].text);
		scheme_verdict v;

		at = (size_t)snprintf(headers, sizeof headers, "%ss: ", lists[i].headers);
		len = crypto_hmac(DIGEST_SHA256, bytes_of("k"), &text, 1, mac);
		for (k = 0; k < len; k++)
			snprintf(headers + at + 2 * k, 3, "%02x", mac[k]);
		v = ask_verdict((ask){.own = LISTED(LIST ",\"require\":[\"T\"]"),
		                      .secrets = "[\"k\"]",
		                      .headers = headers,
		                      .body = ""});
		CHECK(v.valid == !lists[i].error, lists[i].headers);
		CHECK(v.valid || strcmp(v.error, lists[i].error) == 0, v.valid ? "" : v.error);
	}
}

static const struct {
	const char *own, *reason;
} wrong[] = {
	{"{\"kind\":\"token\",\"sig\":{\"from\":[\"header:t\"]},"
     "\"extract\":{\"dedupe\":[\"{url_path}\"]}}",
     "needs an option 'url' for 'url_path'"},
	{"{\"kind\":\"token\",\"sig\":{\"from\":[\"header:t\"]},"
     "\"extract\":{\"dedupe\":[\"{url_form_sorted}\"]}}",
     "needs an option 'url' for 'url_form_sorted'"},
	{SHOWS("{json_lines:}"), "names no member of 'json_lines'"},
	{SHOWS("{json_lines:a,b,c,d,e,f,g,h,i,j,k,l,m,n,o,p,q}"), "joins too many members"},
	{SHOWS("{uri_escape}"), "unknown placeholder 'uri_escape'"},
	{SHOWS("{header_list}"), "needs a member 'header_list' for 'header_list'"},
	{LISTED("\"from\":[],\"items\":\",\",\"join\":\".\""), "'header_list.from' is empty"},
	{LISTED("\"from\":[\"nothing\"],\"items\":\",\",\"join\":\".\""),
     "'header_list.from' has an unknown source 'nothing'"},
	{LISTED("\"from\":[\"header:l\"],\"join\":\".\""), "'header_list.items' is missing"},
	{LISTED("\"from\":[\"header:l\"],\"items\":\",\""), "'header_list.join' is missing"},
	{LISTED(LIST ",\"sort\":true"), "'header_list' has an unknown member 'sort'"},
	{LISTED(LIST ",\"require\":\"t\""), "'header_list.require' is not a list"},
	{LISTED(LIST ",\"require\":[\"a b\"]"), "'header_list.require' holds what is no header's name"},
	{SHOWS("{json_lines}"), "unknown placeholder 'json_lines'"},
	{NAMED("\"items\":\",\""), "'alg.pick' is missing"},
	{NAMED("\"kv\":\"=\""), "'alg.pick' is missing"},
	{NAMED("\"pick\":\"a\""), "'alg.items' is missing"},
	{NAMED("\"pick\":\"a\",\"items\":\",\""), "'alg.kv' is missing"},
	{KEY_HOST("pem-or-spki-b64", "p"), "'key.host' reads an option that is not declared: 'p'"},
	{KEY_HOST("jwks", "o"), "'key.host' needs 'key.decode' to be 'pem-or-spki-b64'"},
	{VAR_IS("option:p"), "an option that is not declared: 'p'"},
	{VAR_IS("nothing"), "'vars.is' has an unknown source 'nothing'"},
	{SHOWS("{crc64}"), "unknown placeholder 'crc64'"},
};

static void words_refused(void)
{
	size_t i;

	for (i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
		scheme *made = NULL;
		knocker_error error = {0};

		CHECK(scheme_compile(bytes_of(wrong[i].own), &made, &error) == KNOCKER_INVALID_ARGUMENT &&
		          strstr(error.text, wrong[i].reason),
		      wrong[i].reason);
		if (!strstr(error.text, wrong[i].reason))
			printf("  %s\n", error.text);
		scheme_free(made);
	}
}

static const struct {
	const char *own, *name, *error; /* NULL: valid, by SHA-1 */
} digests[] = {
	{NAMED("\"default\":\"sha256\""), "a: one\n", NULL},
	{NAMED("\"default\":\"sha256\""), "a: 2\n", "signature does not match"},
	{NAMED("\"default\":\"sha256\""), "a: 3\n", "no algorithm is named '3'"},
	{NAMED("\"default\":\"sha256\""), "a: One\n", "no algorithm is named 'One'"},
	{NAMED("\"default\":\"sha256\""), "", "signature does not match"},
	{NAMED("\"default\":\"sha1\""), "", NULL},
	{NAMED("\"default\":\"sha1\""), "a: one\na: 2\n", "different algorithms are named"},
};

/* Without 'pick' the whole text is the digest's name. */
static void digests_named(void)
{
	knocker_bytes text = bytes_of("b");
	char headers[200];
	uint8_t mac[DIGEST_MAX];
	size_t i, k, len = crypto_hmac(DIGEST_SHA1, bytes_of("k"), &text, 1, mac);

	for (i = 0; i < sizeof digests / sizeof digests[0]; i++) {
		int at = snprintf(headers, sizeof headers, "%ss: ", digests[i].name);
		scheme_verdict v;

		for (k = 0; k < len; k++)
			at += snprintf(headers + at, 3, "%02x", mac[k]);
		v = ask_verdict(
			(ask){.own = digests[i].own, .secrets = "[\"k\"]", .headers = headers, .body = "b"});
		CHECK(digests[i].error ? !v.valid && strcmp(v.error, digests[i].error) == 0 : v.valid,
		      digests[i].name);
		if (v.error && digests[i].error && strcmp(v.error, digests[i].error) != 0)
			printf("  %s\n", v.error);
	}
}

static const struct {
	const char *own, *options, *headers;
	bool valid;
} beings[] = {
	{VAR_IS("option:o"), "{\"o\":\"one\"}", "v: one\n", true},
	{VAR_IS("option:o"), "{\"o\":\"one\"}", "v: One\n", false},
	{VAR_IS("option:o"), "{\"o\":\"one\"}", "v: on\n", false},
	{VAR_IS("option:o"), NULL, "v: one\n", false},
	{VAR_IS("header:w"), NULL, "v: one\nw: one\n", true},
	{VAR_IS("header:w"), NULL, "v: one\nw: two\n", false},
	{VAR_IS("header:w"), NULL, "v: one\nw: one\nw: two\n", false},
	{VAR_IS("header:w"), NULL, "v: one\n", false},
};

/* A var that is not what it must be refuses what is signed rightly. */
static void vars_must_be(void)
{
	knocker_bytes text = bytes_of("b");
	char headers[200];
	uint8_t mac[DIGEST_MAX];
	size_t i, k, len = crypto_hmac(DIGEST_SHA1, bytes_of("k"), &text, 1, mac);

	for (i = 0; i < sizeof beings / sizeof beings[0]; i++) {
		int at = snprintf(headers, sizeof headers, "%ss: ", beings[i].headers);
		scheme_verdict v;

		for (k = 0; k < len; k++)
			at += snprintf(headers + at, 3, "%02x", mac[k]);
		v = ask_verdict((ask){.own = beings[i].own,
		                      .secrets = "[\"k\"]",
		                      .options = beings[i].options,
		                      .headers = headers,
		                      .body = "b"});
		CHECK(v.valid == beings[i].valid, beings[i].headers);
		CHECK(v.valid || strcmp(v.error, "header 'v' is not what it must be") == 0, v.error);
	}
}

int main(void)
{
	vars_must_be();
	digests_named();
	words_shown();
	lines_leave_nothing_out();
	listed_headers();
	words_refused();
	arena_free(&ask_memory);
	return check_end("test_scheme_words");
}
