/* What every file of the command line stands on. Owns how it complains; knows no option and no
 * command. */
#include "app.h"

#include <stdarg.h>
#include <string.h>

int complain(int exit_code, const char *format, ...)
{
	char line[1024];
	text shown = {0};
	va_list list;

	va_start(list, format);
	vsnprintf(line, sizeof line, format, list);
	va_end(list);
	text_show(&shown, line, strlen(line), false);
	fprintf(stderr, "knocker: %s\n", shown.data);
	text_free(&shown);
	return exit_code;
}

int complain_error(const knocker_error *error)
{
	static const struct {
		int32_t code;
		int exit_code;
	} codes[] = {{KNOCKER_INVALID_ARGUMENT, EXIT_USAGE},
	             {KNOCKER_UNKNOWN_ENDPOINT, EXIT_MISSING},
	             {KNOCKER_UNKNOWN_EVENT, EXIT_MISSING},
	             {KNOCKER_UNKNOWN_DELIVERY, EXIT_MISSING},
	             {KNOCKER_WRONG_STATUS, EXIT_NO}};
	size_t i;

	for (i = 0; i < sizeof codes / sizeof codes[0]; i++) {
		if (codes[i].code == error->code)
			return complain(codes[i].exit_code, "%s", error->text);
	}
	return complain(EXIT_FAILED, "%s", error->text);
}

knocker_bytes bytes_of(const char *words)
{
	return (knocker_bytes){words, words != NULL ? (int64_t)strlen(words) : 0};
}
