/* Begins and ends the program: reads the command line, and runs the command that it names. */
#include <errno.h>
#include <string.h>

#include "commands.h"

static int main_run(int count, char **arguments)
{
	options o = {0};
	const command *c;
	int code;

	if (count == 2 && strcmp(arguments[1], "--version") == 0) {
		printf("knocker %s\n", knocker_version());
		return EXIT_DONE;
	}
	code = options_read(count, arguments, command_takes(count > 1 ? arguments[1] : ""), &o);
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
