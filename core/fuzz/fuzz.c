/* What the fuzz targets share. Knows what every verdict and every failure must be, and nothing of
 * any one target. */
#include "fuzz.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "scheme_parts.h"
#include "scheme_secret.h"

void fuzz_must(bool holds, const char *file, int line, const char *sentence)
{
	if (holds)
		return;
	fprintf(stderr, "%s:%d: not so: %s\n", file, line, sentence);
	abort();
}

/* ---- fields ---- */

static knocker_bytes fuzz_take(fuzz_input *in, size_t len)
{
	void *block = malloc(len);

	FUZZ_MUST(in->count < FUZZ_FIELDS_MAX && (block || len == 0), "there is room for the field");
	in->fields[in->count++] = block;
	if (len > 0)
		memcpy(block, in->data + in->at, len);
	in->at += len;
	return (knocker_bytes){block ? block : (void *)"", (int64_t)len};
}

knocker_bytes fuzz_field(fuzz_input *in)
{
	size_t left = in->len - in->at;
	const uint8_t *mark = left > 0 ? memchr(in->data + in->at, FUZZ_MARK, left) : NULL;
	knocker_bytes field = fuzz_take(in, mark ? (size_t)(mark - in->data) - in->at : left);

	in->at += mark != NULL;
	return field;
}

knocker_bytes fuzz_rest(fuzz_input *in)
{
	return fuzz_take(in, in->len - in->at);
}

knocker_bytes fuzz_or_absent(knocker_bytes field)
{
	return field.len > 0 ? field : (knocker_bytes){0};
}

void fuzz_end(fuzz_input *in)
{
	size_t i;

	for (i = 0; i < in->count; i++)
		free(in->fields[i]);
}

/* ---- schemes ---- */

const scheme *fuzz_builtin(knocker_bytes name)
{
	const scheme *s = NULL;
	knocker_error error;
	scheme_info info;
	uint32_t sum = 0;
	int64_t i;

	FUZZ_MUST(scheme_builtin(name, &s, &error) == 0, "a name is known or not, never an error");
	if (s)
		return s;
	for (i = 0; i < name.len; i++)
		sum = sum * 31 + ((const uint8_t *)name.data)[i];
	FUZZ_MUST(scheme_builtin_info((int32_t)(sum % (uint32_t)scheme_builtin_count()), &info,
	                              &error) == 0 &&
	              scheme_builtin(bytes_of(info.name), &s, &error) == 0 && s,
	          "a built-in compiles");
	return s;
}

void fuzz_refused(int32_t rc, const knocker_error *error)
{
	FUZZ_MUST(rc == KNOCKER_INVALID_ARGUMENT && error->code == rc && error->text[0],
	          "a failure is a mistake in the call, and is told");
	FUZZ_MUST(memchr(error->text, '\0', sizeof error->text) != NULL, "and its sentence has an end");
}

scheme_keys *fuzz_keys(const scheme *s, knocker_bytes secrets, knocker_bytes options)
{
	scheme_keys *keys = NULL;
	knocker_error error = {0};
	int32_t rc = scheme_keys_new(s, fuzz_or_absent(secrets), fuzz_or_absent(options), &keys,
	                             &error);
	buffer made;

	if (rc == 0)
		return keys;
	fuzz_refused(rc, &error);
	FUZZ_MUST(!keys, "a failure gives no keys");
	buffer_init(&made, LIMIT_JSON);
	secret_json_write(s, 1, &made);
	rc = scheme_keys_new(s, buffer_view(&made), (knocker_bytes){0}, &keys, &error);
	buffer_free(&made);
	if (rc < 0)
		fuzz_refused(rc, &error);
	return keys;
}

/* ---- what holds for all ---- */

void fuzz_within(knocker_bytes part, knocker_bytes whole)
{
	const uint8_t *from = part.data, *begin = whole.data;

	FUZZ_MUST(part.len >= 0 && part.len <= whole.len && from >= begin &&
	              from + part.len <= begin + whole.len,
	          "a slice lies within what it is cut from");
}

static void fuzz_id(knocker_bytes id)
{
	FUZZ_MUST(!bytes_given(id) ||
	              (id.len > 0 && id.len <= LIMIT_ID && bytes_utf8(id) && bytes_find(id, '\0') < 0),
	          "an id is 1 to 512 bytes of UTF-8 without NUL");
}

static void fuzz_verdict(const scheme_verdict *v)
{
	FUZZ_MUST(v->valid ? v->error == NULL : v->error != NULL && v->error[0],
	          "a verdict is valid, or says why not");
	fuzz_id(v->event_type);
	fuzz_id(v->provider_event_id);
	fuzz_id(v->provider_delivery_id);
	FUZZ_MUST(!bytes_given(v->dedupe_key) ||
	              (v->valid && !v->handshake && v->dedupe_key.len > 0 && bytes_utf8(v->dedupe_key)),
	          "only an event has a dedupe key, and that is UTF-8");
	FUZZ_MUST(v->status >= 100 && v->status <= 599, "an answer has a status");
	FUZZ_MUST(!bytes_given(v->response_headers) ||
	              request_headers_check(v->response_headers, NULL) == 0,
	          "the answer's headers are headers");
	FUZZ_MUST(!bytes_given(v->store_secret) || v->handshake, "only a handshake brings a secret");
	if (v->error)
		FUZZ_MUST(bytes_utf8(bytes_of(v->error)), "the reason is UTF-8");
}

bool fuzz_judge(const scheme *s, const scheme_keys *keys, const scheme_request *request,
                int64_t now_s)
{
	scheme_verdict v = {0};
	knocker_error error = {0};
	arena memory = {0};
	int32_t rc = scheme_verify(s, keys, request, now_s, &memory, &v, &error);

	FUZZ_MUST(rc == 0, "no request is an error");
	fuzz_verdict(&v);
	arena_free(&memory);
	return v.valid;
}
