/* A request as the options describe it, with the secrets that sign or verify it. Secrets come from
 * the environment or a file, are kept here, and are cleansed; what was given as the name of one is
 * never repeated, for it may be the secret itself. */
#include "request.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Whole file or, for "-", standard input. The caller says what it was for: errno tells why it
 * failed. */
static bool file_read(const char *path, text *out)
{
	FILE *in = strcmp(path, "-") == 0 ? stdin : fopen(path, "rb");
	char part[65536];
	size_t len;
	bool good;

	if (in == NULL)
		return false;
	text_add(out, "", 0); /* an empty file is a text too, not an absent one */
	while ((len = fread(part, 1, sizeof part, in)) > 0)
		text_add(out, part, len);
	explicit_bzero(part, sizeof part);
	good = ferror(in) == 0;
	if (in != stdin)
		fclose(in);
	return good;
}

/* Adds one secret to both: the JSON list for the library, and the texts never to be printed. */
static int secret_add(signed_request *r, const char *source, const char *data, size_t len)
{
	if (len == 0)
		return complain(EXIT_USAGE, "--%s: the secret is empty", source);
	if (!utf8_check(data, len) || memchr(data, '\0', len) != NULL)
		return complain(EXIT_USAGE, "--%s: the secret is not text in UTF-8", source);
	text_puts(&r->secrets_json, r->secrets_json.len == 0 ? "[" : ",");
	text_json(&r->secrets_json, data, len);
	text_add(&r->secrets, data, len);
	text_add(&r->secrets, "", 1);
	return EXIT_DONE;
}

static int secret_from_environment(signed_request *r, const char *name)
{
	const char *value = getenv(name);

	if (value == NULL)
		return complain(
			EXIT_USAGE,
			"--secret-env: no such variable is set; give the name of one, not the secret");
	return secret_add(r, "secret-env", value, strlen(value));
}

static int secret_from_file(signed_request *r, const char *path)
{
	text content = {0};
	int code;

	if (!file_read(path, &content)) {
		code = complain(EXIT_USAGE, "--secret-file: cannot read it: %s", strerror(errno));
	} else {
		while (content.len > 0 &&
		       (content.data[content.len - 1] == '\n' || content.data[content.len - 1] == '\r'))
			content.len--;
		code = secret_add(r, "secret-file", content.data, content.len);
	}
	text_cleanse_free(&content);
	return code;
}

/* NAME=VARIABLE. What is no such pair may be a secret, and is not repeated. */
static int other_add(signed_request *r, const char *words)
{
	const char *equals = strchr(words, '='), *value;
	text name = {0};

	if (equals == NULL || equals == words)
		return complain(EXIT_USAGE, "--other-env: give NAME=VARIABLE");
	value = getenv(equals + 1);
	if (value == NULL || *value == '\0')
		return complain(
			EXIT_USAGE,
			"--other-env: no such variable is set; give the name of one, not the secret");
	if (!utf8_check(value, strlen(value)))
		return complain(EXIT_USAGE, "--other-env: the secret is not text in UTF-8");
	text_json(&name, words, (size_t)(equals - words));
	text_puts(&r->others_json, r->others_json.len == 0 ? "{" : ",");
	text_add(&r->others_json, name.data, name.len);
	text_puts(&r->others_json, ":");
	text_json(&r->others_json, value, strlen(value));
	text_free(&name);
	return EXIT_DONE;
}

static int header_add(signed_request *r, const char *line)
{
	const char *colon = strchr(line, ':');

	if (colon == NULL || colon == line)
		return complain(EXIT_USAGE,
		                "--header: a header is 'name: value', and one has no name or no colon");
	if (strpbrk(line, "\r\n") != NULL)
		return complain(EXIT_USAGE, "--header: '%.*s' holds a line break", (int)(colon - line),
		                line);
	text_puts(&r->headers, line);
	text_puts(&r->headers, "\n");
	return EXIT_DONE;
}

/* tolerance_s=600 becomes a number, header=x-token a text. */
static int provider_option_add(signed_request *r, const char *words)
{
	const char *equals = strchr(words, '='), *value;
	size_t len;

	if (equals == NULL || equals == words)
		return complain(EXIT_USAGE, "--option: '%.60s' is not NAME=VALUE", words);
	text_puts(&r->options_json, r->options_json.len == 0 ? "{" : ",");
	text_json(&r->options_json, words, (size_t)(equals - words));
	text_puts(&r->options_json, ":");
	value = equals + 1;
	len = strlen(value);
	if (len > 0 && len <= 15 && strspn(value, "0123456789") == len && (len == 1 || *value != '0'))
		text_puts(&r->options_json, value);
	else
		text_json(&r->options_json, value, len);
	return EXIT_DONE;
}

static int given_read(const options *o, signed_request *r)
{
	int code = EXIT_DONE;
	size_t i;

	for (i = 0; i < o->given_count && code == EXIT_DONE; i++) {
		const char *value = o->given[i].value;

		if (o->given[i].bit == OPTION_SECRET_ENV)
			code = secret_from_environment(r, value);
		else if (o->given[i].bit == OPTION_SECRET_FILE)
			code = secret_from_file(r, value);
		else if (o->given[i].bit == OPTION_HEADER)
			code = header_add(r, value);
		else if (o->given[i].bit == OPTION_OTHER_ENV)
			code = other_add(r, value);
		else
			code = provider_option_add(r, value);
	}
	if (code == EXIT_DONE && o->url != NULL) {
		text_puts(&r->options_json, r->options_json.len == 0 ? "{\"url\":" : ",\"url\":");
		text_json(&r->options_json, o->url, strlen(o->url));
	}
	if (r->secrets_json.len > 0)
		text_puts(&r->secrets_json, "]");
	if (r->options_json.len > 0)
		text_puts(&r->options_json, "}");
	if (r->others_json.len > 0)
		text_puts(&r->others_json, "}");
	return code;
}

/* That of an endpoint stands in its row. */
static int provider_read(const options *o, signed_request *r)
{
	if (o->provider == NULL && o->scheme == NULL && (o->endpoint != NULL || o->delivery > 0))
		return EXIT_DONE;
	if ((o->provider == NULL) == (o->scheme == NULL))
		return complain(EXIT_USAGE, "give one of --provider NAME and --scheme FILE");
	if (o->provider != NULL)
		text_puts(&r->provider, o->provider);
	else if (!file_read(o->scheme, &r->provider))
		return complain(EXIT_USAGE, "--scheme: cannot read '%s': %s", o->scheme, strerror(errno));
	return EXIT_DONE;
}

static int body_read(const options *o, signed_request *r)
{
	if (o->body != NULL && o->data != NULL)
		return complain(EXIT_USAGE, "give one of --body FILE and --data TEXT");
	if (o->body != NULL && !file_read(o->body, &r->body))
		return complain(EXIT_USAGE, "--body: cannot read '%s': %s", o->body, strerror(errno));
	if (o->data != NULL)
		text_puts(&r->body, o->data);
	return EXIT_DONE;
}

static knocker_bytes request_lend(const text *t)
{
	return (knocker_bytes){t->data, (int64_t)t->len};
}

int request_begin(const options *o, signed_request *out)
{
	int code = provider_read(o, out);

	if (code == EXIT_DONE)
		code = given_read(o, out);
	if (code == EXIT_DONE)
		code = body_read(o, out);
	out->now_ms = o->at_s * 1000;
	out->request = (knocker_request){.size = sizeof out->request,
	                                 .endpoint = bytes_of(o->endpoint),
	                                 .method = bytes_of(o->method),
	                                 .headers = request_lend(&out->headers),
	                                 .query = bytes_of(o->query),
	                                 .body = request_lend(&out->body),
	                                 .provider = request_lend(&out->provider),
	                                 .secrets_json = request_lend(&out->secrets_json),
	                                 .options_json = request_lend(&out->options_json)};
	return code;
}

void request_end(signed_request *r)
{
	text_free(&r->provider);
	text_free(&r->options_json);
	text_free(&r->body);
	text_cleanse_free(&r->headers);
	text_cleanse_free(&r->secrets_json);
	text_cleanse_free(&r->others_json);
	text_cleanse_free(&r->secrets);
}

/* Where `secret` stands at the end of the value, as a word of its own; `len` where it does not. */
static size_t conceal_find(const char *value, size_t len, const char *secret, size_t secret_len)
{
	size_t at = len - secret_len;

	if (secret_len == 0 || secret_len > len || memcmp(value + at, secret, secret_len) != 0)
		return len;
	if (at > 0 && strchr(" \t=:,;", value[at - 1]) == NULL)
		return len;
	return at;
}

bool request_conceal(const signed_request *r, const char *value, size_t len, text *out)
{
	const char *secret = r->secrets.data, *end = r->secrets.data + r->secrets.len;
	size_t found = len;

	for (; found == len && secret != NULL && secret < end; secret += strlen(secret) + 1) {
		text encoded = {0};

		found = conceal_find(value, len, secret, strlen(secret));
		text_base64(&encoded, secret, strlen(secret));
		if (found == len)
			found = conceal_find(value, len, encoded.data, encoded.len);
		text_cleanse_free(&encoded);
	}
	text_add(out, value, found);
	if (found < len)
		text_puts(out, "[secret]");
	return found < len;
}
