/* Begins and ends the program, and what all commands share: exit codes, complaints, opening the
 * file. */
#include "app.h"

#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

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

const char *database_path(const options *o)
{
	const char *path = o->db != NULL ? o->db : getenv("KNOCKER_DB");

	return path == NULL || *path == '\0' ? "knocker.db" : path;
}

int database_open(const options *o, knocker **out)
{
	const char *path = database_path(o);
	knocker_open_options how = {.size = sizeof how, .max_readers = 1, .existing = 1};
	knocker_error error = {0};
	struct stat found;

	if (stat(path, &found) != 0)
		return complain(errno == ENOENT || errno == ENOTDIR ? EXIT_MISSING : EXIT_FAILED,
		                "no database at '%s' (%s); name one with --db FILE or KNOCKER_DB", path,
		                strerror(errno));
	if (!S_ISREG(found.st_mode))
		return complain(EXIT_FAILED, "'%s' is not a file", path);
	if (found.st_size == 0)
		return complain(EXIT_MISSING, "'%s' is empty: there is no database in it", path);
	how.path = bytes_of(path);
	if (knocker_open(&how, out, &error) < 0)
		return complain_error(&error);
	return EXIT_DONE;
}

int database_close(knocker *k, int exit_code)
{
	knocker_error error = {0};

	if (knocker_close(k, &error) < 0 && exit_code == EXIT_DONE)
		return complain_error(&error);
	return exit_code;
}

static int main_run(int count, char **arguments)
{
	options o = {0};
	const command *c;
	int code;

	if (count == 2 && strcmp(arguments[1], "--version") == 0) {
		printf("knocker %s\n", knocker_version());
		return EXIT_DONE;
	}
	code = options_read(count, arguments, &o);
	if (code != EXIT_DONE)
		return code;
	if (o.word_count == 0) {
		help_overview(o.help == 1 ? stdout : stderr);
		return o.help == 1 ? EXIT_DONE : EXIT_USAGE;
	}
	c = command_find(o.words[0]);
	if (c == NULL)
		return EXIT_USAGE;
	if (o.help == 1) {
		help_of(c);
		return EXIT_DONE;
	}
	code = options_check(&o, c);
	return code == EXIT_DONE ? c->run(&o) : code;
}

int main(int count, char **arguments)
{
	int code = main_run(count, arguments);

	if (fflush(stdout) != 0 || ferror(stdout))
		return complain(EXIT_FAILED, "cannot write: %s", strerror(errno));
	return code;
}
