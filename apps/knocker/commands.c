/* The commands, each a row of one table, and the help that is made of it. */
#include "commands.h"

#include <string.h>

static const command commands[] = {
	{"init", NULL, OPTIONS_LOOK, "put an inbox into a database, which is made where it is missing",
     "Knocker's tables stand beside the application's own. Done twice, it changes nothing; an\n"
     "application that opens the file does the same.",
     "$ knocker init --db shop.db\n", act_init},
	{"endpoints", NULL, OPTIONS_LOOK | OPTION_LIMIT, "list endpoints", NULL,
     "$ knocker endpoints\n"
     "$ knocker endpoints --json | jq -r 'select(.paused) | .name'\n",
     look_endpoints},
	{"events", NULL, OPTIONS_LOOK | OPTIONS_PAGE | OPTIONS_WHICH | OPTION_STATUS,
     "list events, newest first",
     "An event is what a handler works on: a request verified, and seen for the first time.",
     "$ knocker events --status dead --since 2h\n"
     "$ knocker events --endpoint stripe --type invoice.paid --limit 5\n"
     "$ knocker events --status failed --json | jq .last_error\n",
     look_events},
	{"event", "ID", OPTIONS_LOOK | OPTION_RAW,
     "show one event with its body, attempts and deliveries", NULL,
     "$ knocker event 42\n"
     "$ knocker event 42 --raw > body.json\n"
     "$ knocker event 42 --json | jq '.attempts[0].error'\n",
     one_event},
	{"deliveries", NULL,
     OPTIONS_LOOK | OPTIONS_PAGE | OPTIONS_WHICH | OPTION_EVENT | OPTION_ORPHANED | OPTION_INVALID,
     "list requests as they came in, newest first",
     "A delivery is one HTTP request, valid or not. Refused ones say why; repeats name the\n"
     "event they belong to.",
     "$ knocker deliveries --invalid --since 1d\n"
     "$ knocker deliveries --orphaned --endpoint stripe\n"
     "$ knocker deliveries --event 42\n",
     look_deliveries},
	{"delivery", "ID", OPTIONS_LOOK | OPTION_RAW, "show one request as it came in", NULL,
     "$ knocker delivery 43\n"
     "$ knocker delivery 43 --raw > body.json\n"
     "$ knocker delivery 43 --json | jq -r .signature_error\n",
     one_delivery},
	{"why", "ID", OPTIONS_LOOK, "say in one sentence why an event is where it is", NULL,
     "$ knocker why 42\n"
     "$ knocker why 42 --json | jq -r .cause\n",
     one_why},
	{"tail", NULL, OPTIONS_LOOK | OPTIONS_WHICH | OPTION_LIMIT | OPTION_ORPHANED | OPTION_INVALID,
     "follow requests as they come in",
     "Begins with the last 10, or as many as --limit says, or all --since a time. Ends with\n"
     "Ctrl-C, or when whoever reads its output has gone.",
     "$ knocker tail\n"
     "$ knocker tail --endpoint stripe --invalid\n"
     "$ knocker tail --since 1h --json | jq -r .event_type\n",
     tail_run},
	{"stats", NULL, OPTIONS_LOOK, "count what is queued, failed, dead and refused, by endpoint",
     NULL,
     "$ knocker stats\n"
     "$ knocker stats --json | jq 'select(.endpoint == null) | .oldest_due_age_s'\n",
     look_stats},
	{"doctor", NULL,
     OPTIONS_LOOK | OPTION_LATE | OPTION_FULL | OPTION_DELIVERY | OPTIONS_BY | OPTION_OTHER_ENV,
     "say whether the inbox is healthy, or why a delivery was refused",
     "Exits 0 when it is, 1 when something is bad: the file is damaged, its WAL is over 64 MiB,\n"
     "a due job or an abandoned lease waits for longer than --late. What only deserves a look\n"
     "is a note. Integrity is checked in files up to 256 MiB, or with --full.\n"
     "With --delivery, and the secret, it tries the known mistakes on a stored request and says\n"
     "which one would have made it valid; it exits 1 when none does. No secret is printed.",
     "$ knocker doctor\n"
     "$ knocker doctor --full\n"
     "$ knocker doctor --delivery 43 --secret-env STRIPE_SECRET --other-env previous=OLD_SECRET\n"
     "$ knocker doctor --late 1h --json | jq 'select(.verdict == \"bad\")'\n",
     doctor_run},
	{"replay", "[ID]", OPTIONS_LOOK | OPTIONS_BULK,
     "run an event's handler again, with the event's own body",
     "Allowed from: handled, failed, dead, ignored. A worker does the work; the count of\n"
     "attempts begins anew. Without an ID, all events of a --status that also match the other\n"
     "filters, oldest first: it says how many they are and asks, unless --yes is given.",
     "$ knocker replay 42\n"
     "$ knocker replay --status handled --endpoint stripe --since 2h --dry-run\n",
     act_replay},
	{"replay-delivery", "ID", OPTIONS_LOOK,
     "run an event's handler again, with the body of one of its deliveries",
     "For a repeat that differs from the request that made the event, whose own body stays as\n"
     "it is. Allowed as replay is.",
     "$ knocker deliveries --event 42\n"
     "$ knocker replay-delivery 43\n",
     act_replay_delivery},
	{"requeue", "[ID]", OPTIONS_LOOK | OPTIONS_BULK,
     "queue an event that no worker will come to by itself",
     "Allowed from: failed, dead, ignored; from received and processing where no live job is\n"
     "left. Without an ID, all events of a --status that also match the other filters, oldest\n"
     "first: it says how many they are and asks, unless --yes is given.",
     "$ knocker requeue 42\n"
     "$ knocker requeue --status dead --endpoint stripe --since 1d\n"
     "$ knocker requeue --status dead --type invoice.paid --limit 10 --yes\n",
     act_requeue},
	{"ignore", "[ID]", OPTIONS_LOOK | OPTIONS_BULK | OPTION_REASON,
     "see to it that no handler is called for an event",
     "Allowed from: received, failed, dead, ignored, and from processing once the worker's\n"
     "lease has run out. Without an ID, all events of a --status that also match the other\n"
     "filters, oldest first: it says how many they are and asks, unless --yes is given.",
     "$ knocker ignore 42 --reason 'test order'\n"
     "$ knocker ignore --status dead --type ping --yes\n",
     act_ignore},
	{"reverify", NULL,
     OPTIONS_LOOK | OPTION_ENDPOINT | OPTION_SINCE | OPTION_LIMIT | OPTION_DRY_RUN | OPTION_YES |
         OPTIONS_BY,
     "verify refused requests again, and make events of those that pass",
     "After a wrong secret or provider was mended. Each is verified as at the time it came,\n"
     "oldest first, with the secrets given here; one whose event is known becomes a repeat of\n"
     "it. Tokens and passwords were not stored, so their requests stay as they are. Says how\n"
     "many would become events and asks, unless --yes is given.",
     "$ knocker reverify --endpoint stripe --secret-env STRIPE_SECRET --dry-run\n"
     "$ knocker reverify --endpoint stripe --secret-env STRIPE_SECRET --since 2d --yes\n",
     reverify_run},
	{"pause", "ENDPOINT", OPTIONS_LOOK, "hold the handling of an endpoint's events",
     "All workers stop claiming them; requests are received and queued as before.",
     "$ knocker pause stripe\n", act_pause},
	{"resume", "ENDPOINT", OPTIONS_LOOK, "let workers handle a paused endpoint's events again",
     NULL, "$ knocker resume stripe\n", act_resume},
	{"prune", "events|orphans",
     OPTIONS_LOOK | OPTION_OLDER_THAN | OPTION_STATUS | OPTION_LIMIT | OPTION_DRY_RUN | OPTION_YES,
     "delete what is finished and old",
     "events: handled and ignored ones, or those of one --status, with their deliveries and\n"
     "attempts. orphans: deliveries that became no event. Oldest first, in many small\n"
     "transactions, so that receiving goes on; each leaves an audit row. Says how many they are\n"
     "and asks, unless --yes is given.",
     "$ knocker prune events --older-than 30d --dry-run\n"
     "$ knocker prune events --older-than 30d --status handled --yes\n"
     "$ knocker prune orphans --older-than 7d\n",
     prune_run},
	{"audits", NULL, OPTIONS_LOOK | OPTIONS_PAGE | OPTION_SINCE | OPTION_KIND,
     "list what was pruned, newest first", NULL,
     "$ knocker audits --since 7d\n"
     "$ knocker audits --kind prune_orphan_deliveries\n",
     look_audits},
	{"providers", "[WORD]", OPTION_JSON, "list the built-in providers",
     "With WORD, those whose name, title or kind has it in it.",
     "$ knocker providers\n"
     "$ knocker providers mail\n"
     "$ knocker providers --json | jq -r .name\n",
     look_providers},
	{"verify", NULL, OPTION_JSON | OPTIONS_REQUEST | OPTION_OTHER_ENV,
     "say whether a request is valid, or why not",
     "Reads no database. Exits 0 when the request would be accepted, 1 when it would be refused;\n"
     "then it tries the known mistakes, and says which one would have made it valid.",
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
	{"emulate", "PROVIDER", OPTIONS_EMULATE,
     "send many requests as the provider would, and tell what came of them",
     "Bodies of the provider's common events, signed, with ids of their own. Ends with a table:\n"
     "what was sent, the answers by status, how long they took. --check compares it with the\n"
     "inbox: each event there once, its repeats as deliveries of it, of forgeries none. Exits 0\n"
     "when all was as it should be, 1 when anything was not. Ctrl-C ends it early.",
     "$ knocker emulate stripe --to http://127.0.0.1:8000/webhooks/stripe \\\n"
     "      --secret-env STRIPE_SECRET --event invoice.paid --count 10\n"
     "$ knocker emulate github --to URL --secret-env GITHUB_SECRET --count 10000 \\\n"
     "      --duplicates 5% --forged 1% --reorder --check shop.db\n"
     "$ knocker emulate slack --to URL --secret-file slack.secret --rate 50 --burst --late\n",
     emulate_run},
	{"help", "[COMMAND]", OPTION_JSON, "explain a command",
     "With --json, an object for each command with its options, for programs.",
     "$ knocker help events\n"
     "$ knocker help --json | jq -r .name\n",
     help_command},
};

#define COMMAND_COUNT (sizeof commands / sizeof commands[0])

static const char help_exits[] =
	"Exit codes:\n"
	"  0  done; valid; accepted; healthy\n"
	"  1  no: not valid, not accepted, not healthy, or the event's status does not allow it\n"
	"  2  the command was given wrongly\n"
	"  3  there is no such database, event, delivery or endpoint\n"
	"  4  anything else: storage, network, memory\n";

static const command *command_named(const char *name)
{
	size_t i;

	for (i = 0; i < COMMAND_COUNT; i++) {
		if (strcmp(commands[i].name, name) == 0)
			return &commands[i];
	}
	return NULL;
}

const command *command_find(const char *name)
{
	const command *c = command_named(name);

	if (c == NULL)
		complain(EXIT_USAGE, "there is no command '%.60s'; knocker help lists them", name);
	return c;
}

option_bits command_takes(const char *name)
{
	const command *c = command_named(name);

	return c != NULL ? c->takes : 0;
}

void help_overview(FILE *out)
{
	size_t i;

	fprintf(out,
	        "knocker looks into a database of Knocker's, and makes and checks webhook requests.\n\n"
	        "Usage: knocker COMMAND [OPTION...]\n\n");
	for (i = 0; i < COMMAND_COUNT; i++) {
		char left[32];

		snprintf(left, sizeof left, "%s%s%s", commands[i].name, commands[i].word != NULL ? " " : "",
		         commands[i].word != NULL ? commands[i].word : "");
		fprintf(out, "  %-22s %s\n", left, commands[i].summary);
	}
	fprintf(out,
	        "\nknocker COMMAND --help shows options and examples. --version tells the version.\n\n"
	        "%s",
	        help_exits);
}

void help_of(const command *c)
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

static void help_json(const command *c)
{
	text line = {0};

	text_print(&line, "{\"name\":\"%s\",\"word\":", c->name);
	if (c->word != NULL)
		text_json(&line, c->word, strlen(c->word));
	else
		text_puts(&line, "null");
	text_puts(&line, ",\"summary\":");
	text_json(&line, c->summary, strlen(c->summary));
	text_puts(&line, ",\"options\":[");
	options_json(c, &line);
	text_puts(&line, "]}\n");
	fwrite(line.data, 1, line.len, stdout);
	text_free(&line);
}

int help_command(const options *o)
{
	const command *c = o->word_count > 1 ? command_find(o->words[1]) : NULL;
	size_t i;

	if (o->word_count > 1 && c == NULL)
		return EXIT_USAGE;
	if (c != NULL && o->json == 1)
		help_json(c);
	else if (c != NULL)
		help_of(c);
	else if (o->json == 0)
		help_overview(stdout);
	for (i = 0; c == NULL && o->json == 1 && i < COMMAND_COUNT; i++)
		help_json(&commands[i]);
	return EXIT_DONE;
}
