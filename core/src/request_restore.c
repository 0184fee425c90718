/* Headers and queries read back from the JSON in which they are stored. What that JSON does not
 * hold is guessed in a few usual forms; whether a guess was right a signature says, not this
 * file. */
#include "request_restore.h"

#include <string.h>

#include "error.h"
#include "json.h"

/* What stands in a query without an escape, in the usual forms; letters and digits always do. */
static const struct {
	const char *plain;
	bool plus; /* a blank is "+" */
} restore_forms[REQUEST_QUERY_FORMS] = {
	{"-._~", false},
	{"-._*", true},
	{"-._~!$'()*,;:@/?", false},
};

static void restore_percent(buffer *out, knocker_bytes text, int32_t form)
{
	static const char hex[] = "0123456789ABCDEF";
	const uint8_t *s = text.data;
	int64_t i;

	for (i = 0; i < text.len; i++) {
		const char escape[3] = {'%', hex[s[i] >> 4], hex[s[i] & 15]};
		bool plain = (s[i] >= 'a' && s[i] <= 'z') || (s[i] >= 'A' && s[i] <= 'Z') ||
		             (s[i] >= '0' && s[i] <= '9') ||
		             (s[i] != 0 && strchr(restore_forms[form].plain, s[i]));

		if (plain)
			buffer_add(out, &s[i], 1);
		else if (s[i] == ' ' && restore_forms[form].plus)
			buffer_text(out, "+");
		else
			buffer_add(out, escape, sizeof escape);
	}
}

/* `form` negative: a header. */
static void restore_pair(buffer *out, int32_t form, knocker_bytes name, knocker_bytes value)
{
	if (form < 0) {
		buffer_bytes(out, name);
		buffer_text(out, ": ");
		buffer_bytes(out, value);
		buffer_text(out, "\n");
		return;
	}
	buffer_text(out, out->len > 0 ? "&" : "");
	restore_percent(out, name, form);
	buffer_text(out, "=");
	restore_percent(out, value, form);
}

static int32_t restore_pairs(const char *what, knocker_bytes stored, int32_t form, buffer *out,
                             knocker_error *error)
{
	json *parsed = NULL;
	const json *member, *each;
	int32_t rc = json_parse(what, stored, &parsed, error);

	for (member = json_first(parsed); rc == 0 && member; member = json_next(member)) {
		bool list = json_kind(member) == JSON_ARRAY;

		for (each = list ? json_first(member) : member; each; each = list ? json_next(each) : NULL)
			restore_pair(out, form, json_name(member), json_text(each));
	}
	json_free(parsed);
	return rc == 0 && out->failed ? fail_memory(error) : rc;
}

int32_t request_headers_restore(knocker_bytes stored, buffer *out, knocker_error *error)
{
	int32_t rc = restore_pairs("the stored headers", stored, -1, out, error);

	return rc < 0 ? rc : request_headers_check(buffer_view(out), error);
}

int32_t request_query_restore(knocker_bytes stored, int32_t form, buffer *out, knocker_error *error)
{
	return stored.len > 0 ? restore_pairs("the stored query", stored, form, out, error) : 0;
}
