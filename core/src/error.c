/* How a failure is said: a code and one sentence. Knows nothing of what failed. */
#include "error.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* Ends the text at a whole UTF-8 character, when it was cut at `len`. */
static void error_cut(char *text, size_t len)
{
	while (len > 0 && ((unsigned char)text[len] & 0xC0) == 0x80)
		len--;
	text[len] = '\0';
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
	error->code = code;
	memcpy(error->text, text, strlen(text) + 1);
	return code;
}

int32_t fail_memory(knocker_error *error)
{
	return fail(error, KNOCKER_STORAGE, "no memory is left");
}

const char *error_name(int32_t code)
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
