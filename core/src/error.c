/* How a failure is said: a code and one sentence. Knows nothing of what failed. */
#include "error.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "bytes.h"

/* Ends the text at a whole UTF-8 character, when it was cut at `len`. */
static void error_cut(char *text, size_t len)
{
	while (len > 0 && ((unsigned char)text[len] & 0xC0) == 0x80)
		len--;
	text[len] = '\0';
}

int error_quoted(knocker_bytes b)
{
	const unsigned char *s = b.data;
	int len = b.len < 60 ? (int)b.len : 60;

	while (len > 0 && b.len > len && (s[len] & 0xC0) == 0x80)
		len--;
	return len;
}

/* A sentence may quote what is no UTF-8, and drivers refuse to read one that is none. */
static void error_clean(char *text)
{
	size_t at, len = strlen(text), width;

	for (at = 0; at < len; at += width) {
		for (width = 1; width < 4; width++)
			if (bytes_utf8((knocker_bytes){text + at, (int64_t)width}))
				break;
		if (width < 4 || bytes_utf8((knocker_bytes){text + at, 4}))
			continue;
		text[at] = '?';
		width = 1;
	}
}

int32_t fail(knocker_error *error, int32_t code, const char *format, ...)
{
	char text[sizeof error->text + 8];
	va_list arguments;
	int len;

	if (!error)
		return code;
	va_start(arguments, format);
	len = vsnprintf(text, sizeof text, format, arguments);
	va_end(arguments);
	if (len >= (int)sizeof error->text)
		error_cut(text, sizeof error->text - 1);
	error_clean(text);
	error->code = code;
	memcpy(error->text, text, strlen(text) + 1);
	return code;
}

int32_t fail_memory(knocker_error *error)
{
	return fail(error, KNOCKER_STORAGE, "no memory is left");
}

const char *error_name(int64_t code)
{
	static const char *const names[] = {"ok",
	                                    "invalid_argument",
	                                    "unknown_endpoint",
	                                    "unknown_event",
	                                    "unknown_delivery",
	                                    "wrong_status",
	                                    "busy",
	                                    "storage",
	                                    "corrupt",
	                                    "closed",
	                                    "lease_lost",
	                                    "sql"};

	return code <= 0 && code >= KNOCKER_SQL ? names[-code] : "unknown";
}
