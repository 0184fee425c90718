/* The commands, each a row of one table, and what they share: help, exit codes, complaints, opening
 * the file. */
#include "app.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

static int help_command(const options *o);

static const command commands[] = {
	{"events", NULL, OPTION_DB | OPTION_JSON | OPTIONS_LISTS | OPTION_STATUS,
     "list events, newest first",
     "An event is what a handler works on: a request verified, and seen for the first time.",
     "$ knocker events --status dead --since 2h\n"
     "$ knocker events --endpoint stripe --type invoice.paid --limit 5\n"
     "$ knocker events --status failed --json | jq .last_error\n",
     look_events},
	{"event", "ID", OPTION_DB | OPTION_JSON | OPTION_RAW,
     "show one event with its body, attempts and deliveries", NULL,
     "$ knocker event 42\n"
     "$ knocker event 42 --raw > body.json\n"
     "$ knocker event 42 --json | jq '.attempts[0].error'\n",
     look_event},
	{"deliveries", NULL,
     OPTION_DB | OPTION_JSON | OPTIONS_LISTS | OPTION_EVENT | OPTION_ORPHANED | OPTION_INVALID,
     "list requests as they came in, newest first",
     "A delivery is one HTTP request, valid or not. Refused ones say why; repeats name the\n"
     "event they belong to.",
     "$ knocker deliveries --invalid --since 1d\n"
     "$ knocker deliveries --orphaned --endpoint stripe\n"
     "$ knocker deliveries --event 42\n",
     look_deliveries},
	{"why", "ID", OPTION_DB | OPTION_JSON, "say in one sentence why an event is where it is", NULL,
     "$ knocker why 42\n"
     "$ knocker why 42 --json | jq -r .cause\n",
     look_why},
	{"stats", NULL, OPTION_DB | OPTION_JSON,
     "count what is queued, failed, dead and refused, by endpoint", NULL,
     "$ knocker stats\n"
     "$ knocker stats --json | jq 'select(.endpoint == null) | .oldest_due_age_s'\n",
     look_stats},
	{"replay", "ID", OPTION_DB | OPTION_JSON,
     "run an event's handler again, with the event's own body",
     "Allowed from: handled, failed, dead, ignored. A worker does the work; the count of\n"
     "attempts begins anew.",
     "$ knocker replay 42\n", act_replay},
	{"requeue", "ID", OPTION_DB | OPTION_JSON,
     "queue an event that no worker will come to by itself",
     "Allowed from: failed, dead, ignored; from received and processing where no live job is\n"
     "left.",
     "$ knocker requeue 42\n", act_requeue},
	{"ignore", "ID", OPTION_DB | OPTION_JSON | OPTION_REASON,
     "see to it that no handler is called for an event",
     "Allowed from: received, failed, dead, ignored, and from processing once the worker's\n"
     "lease has run out.",
     "$ knocker ignore 42 --reason 'test order'\n", act_ignore},
	{"endpoints", NULL, OPTION_DB | OPTION_JSON | OPTION_LIMIT, "list endpoints", NULL,
     "$ knocker endpoints\n", look_endpoints},
	{"providers", NULL, OPTION_JSON, "list the built-in providers", NULL,
     "$ knocker providers\n"
     "$ knocker providers --json | jq -r .name\n",
     look_providers},
	{"verify", NULL, OPTION_JSON | OPTIONS_REQUEST, "say whether a request is valid, or why not",
     "Reads no database. Exits 0 when the request would be accepted, 1 when it would be refused.",
     "$ knocker verify --provider stripe --secret-env STRIPE_SECRET \\\n"
     "      --header \"stripe-signature: $SIGNATURE\" --body request.json\n"
     "$ knocker verify --provider stripe --secret-env STRIPE_SECRET --at 1700000000 ...\n",
     request_verify},
	{"sign", NULL, OPTION_JSON | OPTIONS_REQUEST,
     "print the headers that a provider would send with a body",
     "A header that is a secret itself (tokens, passwords) is not printed; knocker send sends it.",
     "$ knocker sign --provider stripe --secret-env STRIPE_SECRET --data '{\"id\":\"evt_1\"}'\n"
     "$ knocker sign --provider slack --secret-file slack.secret --body - < body.json\n",
     request_sign},
	{"send", "URL",
     OPTION_JSON | (OPTIONS_REQUEST & ~OPTION_QUERY) | OPTION_TIMES | OPTION_FORGE | OPTION_TIMEOUT,
     "send a request, signed as the provider would",
     "Prints the status, the time and the body of the answer. Exits 0 when every answer was\n"
     "2xx, 1 when one was not.",
     "$ knocker send http://127.0.0.1:8000/webhooks/stripe --provider stripe \\\n"
     "      --secret-env STRIPE_SECRET --data '{\"id\":\"evt_1\",\"type\":\"invoice.paid\"}'\n"
     "$ knocker send URL ... --times 2      the same one again: a duplicate\n"
     "$ knocker send URL ... --at 1h        signed an hour ago: stale\n"
     "$ knocker send URL ... --forge        a forgery\n"
     "$ knocker send URL --provider github --secret-env GITHUB_SECRET --body push.json \\\n"
     "      --header 'x-github-event: push' --header \"x-github-delivery: $(uuidgen)\"\n",
     send_requests},
	{"help", "COMMAND", 0, "explain a command", NULL, "$ knocker help events\n", help_command},
};

#define COMMAND_COUNT (sizeof commands / sizeof commands[0])

static const char help_exits[] =
	"Exit codes:\n"
	"  0  done; valid; accepted\n"
	"  1  no: the request is not valid, was not accepted, or the event's status does not allow it\n"
	"  2  the command was given wrongly\n"
	"  3  there is no such database, event, delivery or endpoint\n"
	"  4  anything else: storage, network, memory\n";

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

int database_open(const options *o, knocker **out)
{
	const char *path = o->db != NULL ? o->db : getenv("KNOCKER_DB");
	knocker_open_options how = {.size = sizeof how, .max_readers = 1, .existing = 1};
	knocker_error error = {0};
	struct stat found;

	if (path == NULL || *path == '\0')
		path = "knocker.db";
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

static const command *command_find(const char *name)
{
	size_t i;

	for (i = 0; i < COMMAND_COUNT; i++) {
		if (strcmp(commands[i].name, name) == 0)
			return &commands[i];
	}
	return NULL;
}

static void help_overview(FILE *out)
{
	size_t i;

	fprintf(out,
	        "knocker looks into a database of Knocker's, and makes and checks webhook requests.\n\n"
	        "Usage: knocker COMMAND [OPTION...]\n\n");
	for (i = 0; i < COMMAND_COUNT; i++) {
		char left[32];

		snprintf(left, sizeof left, "%s%s%s", commands[i].name, commands[i].word != NULL ? " " : "",
		         commands[i].word != NULL ? commands[i].word : "");
		fprintf(out, "  %-14s %s\n", left, commands[i].summary);
	}
	fprintf(out,
	        "\nknocker COMMAND --help shows options and examples. --version tells the version.\n\n"
	        "%s",
	        help_exits);
}

static void help_of(const command *c)
{
	printf("knocker %s: %s\n\nUsage: knocker %s%s%s [OPTION...]\n", c->name, c->summary, c->name,
	       c->word != NULL ? " " : "", c->word != NULL ? c->word : "");
	if (c->details != NULL)
		printf("\n%s\n", c->details);
	printf("\nOptions:\n");
	options_help(c);
	printf("\nExamples:\n");
	for (const char *line = c->examples; *line != '\0';) {
		const char *end = strchr(line, '\n');

		printf("  %.*s\n", (int)(end - line), line);
		line = end + 1;
	}
	printf("\n%s", help_exits);
}

static int command_unknown(const char *name)
{
	return complain(EXIT_USAGE, "there is no command '%.60s'; knocker help lists them", name);
}

static int help_command(const options *o)
{
	const command *c = command_find(o->words[1]);

	if (c == NULL)
		return command_unknown(o->words[1]);
	help_of(c);
	return EXIT_DONE;
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
	if (o.word_count == 0 ||
	    (o.word_count == 1 && o.help == 0 && strcmp(o.words[0], "help") == 0)) {
		bool asked = o.help == 1 || o.word_count == 1;
		help_overview(asked ? stdout : stderr);
		return asked ? EXIT_DONE : EXIT_USAGE;
	}
	c = command_find(o.words[0]);
	if (c == NULL)
		return command_unknown(o.words[0]);
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
