/* Reads the command line: one table of options, each command takes some of them. Owns numbers,
 * times and complaints about what was given; knows no command. A value that may be a secret given
 * in the wrong place is never repeated. */
#include "options.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

typedef enum {
	KIND_SWITCH,
	KIND_WORD,
	KIND_NUMBER,
	KIND_TIME,  /* a moment */
	KIND_SPAN,  /* seconds that pass */
	KIND_SHARE, /* per cent, kept in hundredths of one */
	KIND_LIST
} option_kind;

typedef struct {
	const char *name;
	option_kind kind;
	option_bits bit;
	size_t offset; /* of the member of `options` that it sets; unused by KIND_LIST */
	const char *value;
	const char *meaning;
} option;

#define AT(member) offsetof(options, member)

static const option option_table[] = {
	{"db", KIND_WORD, OPTION_DB, AT(db), "FILE", "the database; else $KNOCKER_DB, else knocker.db"},
	{"status", KIND_WORD, OPTION_STATUS, AT(status), "STATUS",
     "received, processing, handled, failed, dead or ignored"},
	{"endpoint", KIND_WORD, OPTION_ENDPOINT, AT(endpoint), "NAME", "only of this endpoint"},
	{"type", KIND_WORD, OPTION_TYPE, AT(type), "TYPE", "only of this event type"},
	{"event", KIND_NUMBER, OPTION_EVENT, AT(event), "ID", "only deliveries of this event"},
	{"orphaned", KIND_SWITCH, OPTION_ORPHANED, AT(orphaned), NULL,
     "only those without an event: refused ones and handshakes"},
	{"invalid", KIND_SWITCH, OPTION_INVALID, AT(invalid), NULL,
     "only those whose signature is not valid, or was not checked"},
	{"since", KIND_TIME, OPTION_SINCE, AT(since_s), "TIME",
     "from then on: 15m, 2h, 7d (ago), 2026-01-31T14:30 (UTC), Unix seconds"},
	{"older-than", KIND_TIME, OPTION_OLDER_THAN, AT(older_than_s), "TIME",
     "received before: 12h, 30d (ago), 2026-01-31 (UTC), Unix seconds"},
	{"limit", KIND_NUMBER, OPTION_LIMIT, AT(limit), "N", "at most so many; of a list 1 to 1000"},
	{"before", KIND_NUMBER, OPTION_BEFORE, AT(before), "ID", "the next page: ids below this one"},
	{"kind", KIND_WORD, OPTION_KIND, AT(kind), "KIND",
     "only prune_events or prune_orphan_deliveries"},
	{"raw", KIND_SWITCH, OPTION_RAW, AT(raw), NULL, "write the body alone, byte for byte"},
	{"reason", KIND_WORD, OPTION_REASON, AT(reason), "TEXT", "why, for whoever asks later"},
	{"provider", KIND_WORD, OPTION_PROVIDER, AT(provider), "NAME",
     "a built-in: see knocker providers"},
	{"scheme", KIND_WORD, OPTION_SCHEME, AT(scheme), "FILE",
     "a scheme of your own, as JSON, in place of --provider"},
	{"secret-env", KIND_LIST, OPTION_SECRET_ENV, 0, "NAME",
     "an environment variable with a secret; of several the first signs"},
	{"secret-file", KIND_LIST, OPTION_SECRET_FILE, 0, "FILE", "a file that holds a secret"},
	{"other-env", KIND_LIST, OPTION_OTHER_ENV, 0, "NAME=VARIABLE",
     "a secret of something else, which may have signed: previous=OLD_SECRET"},
	{"delivery", KIND_NUMBER, OPTION_DELIVERY, AT(delivery), "ID",
     "say what would have made this stored delivery valid"},
	{"option", KIND_LIST, OPTION_OPTION, 0, "NAME=VALUE",
     "an option of the provider: tolerance_s=600"},
	{"url", KIND_WORD, OPTION_URL, AT(url), "URL",
     "the provider's option url, for those that sign it"},
	{"method", KIND_WORD, OPTION_METHOD, AT(method), "METHOD", "of the request (POST)"},
	{"header", KIND_LIST, OPTION_HEADER, 0, "'NAME: VALUE'", "a header of the request; any number"},
	{"query", KIND_WORD, OPTION_QUERY, AT(query), "TEXT", "the raw query string, without ?"},
	{"body", KIND_WORD, OPTION_BODY, AT(body), "FILE",
     "the body, exactly as it is; - reads standard input"},
	{"data", KIND_WORD, OPTION_DATA, AT(data), "TEXT", "the body, here"},
	{"at", KIND_TIME, OPTION_AT, AT(at_s), "TIME",
     "as if it were then: 10m (ago), Unix seconds, a date"},
	{"times", KIND_NUMBER, OPTION_TIMES, AT(times), "N", "send the same request N times (1)"},
	{"forge", KIND_SWITCH, OPTION_FORGE, AT(forge), NULL, "damage the signature"},
	{"timeout", KIND_NUMBER, OPTION_TIMEOUT, AT(timeout_s), "SECONDS", "give up on an answer (30)"},
	{"dry-run", KIND_SWITCH, OPTION_DRY_RUN, AT(dry_run), NULL, "only count what it would be"},
	{"yes", KIND_SWITCH, OPTION_YES, AT(yes), NULL, "do not ask"},
	{"late", KIND_SPAN, OPTION_LATE, AT(late_s), "TIME",
     "a job that waits for longer is a fault: 90s, 5m, 2h (5m)"},
	{"full", KIND_SWITCH, OPTION_FULL, AT(full), NULL,
     "check the integrity of a large file too, which reads all of it"},
	{"to", KIND_WORD, OPTION_TO, AT(to), "URL", "where the requests go"},
	{"event", KIND_WORD, OPTION_EVENT_TYPE, AT(event_type), "TYPE",
     "only events of this type; else each that the provider has a sample of"},
	{"count", KIND_NUMBER, OPTION_TOTAL, AT(count), "N", "so many requests in all (100)"},
	{"rate", KIND_NUMBER, OPTION_RATE, AT(rate), "N",
     "so many a second; else as fast as answers come"},
	{"burst", KIND_SWITCH, OPTION_BURST, AT(burst), NULL,
     "all of a second's requests at its beginning (--rate 100, unless given)"},
	{"connections", KIND_NUMBER, OPTION_CONNECTIONS, AT(connections), "N",
     "so many requests at a time (16)"},
	{"duplicates", KIND_SHARE, OPTION_DUPLICATES, AT(duplicates), "SHARE",
     "of the requests, events sent once more, signed anew: 5%"},
	{"forged", KIND_SHARE, OPTION_FORGED, AT(forged), "SHARE",
     "of the requests, with a damaged signature: 1%"},
	{"reorder", KIND_SWITCH, OPTION_REORDER, AT(reorder), NULL,
     "out of order, by up to 50 requests: a repeat may come first"},
	{"late", KIND_SWITCH, OPTION_STALE, AT(stale), NULL, "1% were made and signed an hour ago"},
	{"oversize", KIND_SWITCH, OPTION_OVERSIZE, AT(oversize), NULL,
     "one, and one more a thousand, has a body over 5 MiB"},
	{"seed", KIND_NUMBER, OPTION_SEED, AT(seed), "N",
     "the same ids and the same order again; else by chance, and told"},
	{"check", KIND_WORD, OPTION_CHECK, AT(check), "FILE",
     "afterwards, compare with the inbox in this database"},
	{"json", KIND_SWITCH, OPTION_JSON, AT(json), NULL, "one JSON object a line"},
	{"help", KIND_SWITCH, OPTION_HELP, AT(help), NULL, "this text"},
};

#define OPTION_COUNT (sizeof option_table / sizeof option_table[0])

/* Digits and nothing but them, at most 18: no sign, so no option can be taken for a number. */
static bool number_read(const char *words, int64_t *out)
{
	int64_t number = 0;

	if (*words == '\0' || strlen(words) > 18)
		return false;
	for (; *words != '\0'; words++) {
		if (*words < '0' || *words > '9')
			return false;
		number = number * 10 + (*words - '0');
	}
	*out = number;
	return true;
}

/* 90s, 15m, 2h, 7d */
static bool span_read(const char *words, int64_t *out)
{
	static const struct {
		char unit;
		int64_t seconds;
	} units[] = {{'s', 1}, {'m', 60}, {'h', 3600}, {'d', 86400}};
	char digits[12];
	size_t len = strlen(words), i;
	int64_t number;

	if (len < 2 || len > sizeof digits - 1)
		return false;
	memcpy(digits, words, len - 1);
	digits[len - 1] = '\0';
	if (!number_read(digits, &number) || number > 1000000000)
		return false;
	for (i = 0; i < sizeof units / sizeof units[0]; i++) {
		if (words[len - 1] == units[i].unit) {
			*out = number * units[i].seconds;
			return true;
		}
	}
	return false;
}

/* 5%, 0.5%, 5: per cent, at most two digits behind the point. */
static bool share_read(const char *words, int64_t *out)
{
	int64_t hundredths = 0;
	int behind = -1;

	if (*words < '0' || *words > '9')
		return false;
	for (; *words != '\0' && strcmp(words, "%") != 0; words++) {
		if (*words == '.' && behind < 0) {
			behind = 0;
			continue;
		}
		if (*words < '0' || *words > '9' || hundredths > 10000 || behind == 2)
			return false;
		hundredths = hundredths * 10 + (*words - '0');
		behind += behind >= 0;
	}
	for (behind = behind < 0 ? 0 : behind; behind < 2; behind++)
		hundredths *= 10;
	*out = hundredths;
	return hundredths <= 10000;
}

static bool time_read_ago(const char *words, int64_t *out)
{
	if (!span_read(words, out))
		return false;
	*out = (int64_t)time(NULL) - *out;
	return *out > 0;
}

static bool time_read_date(const char *words, int64_t *out)
{
	static const char *const forms[] = {"%Y-%m-%d", "%Y-%m-%dT%H:%M", "%Y-%m-%dT%H:%M:%S",
	                                    "%Y-%m-%d %H:%M", "%Y-%m-%d %H:%M:%S"};
	size_t i;

	for (i = 0; i < sizeof forms / sizeof forms[0]; i++) {
		struct tm parts = {0};
		const char *rest = strptime(words, forms[i], &parts);

		if (rest != NULL && (*rest == '\0' || strcmp(rest, "Z") == 0)) {
			*out = (int64_t)timegm(&parts);
			return *out > 0;
		}
	}
	return false;
}

static bool time_read(const char *words, int64_t *out)
{
	return (number_read(words, out) && *out > 0) || time_read_ago(words, out) ||
	       time_read_date(words, out);
}

/* Of several with this name the one that is taken, else the first. */
static const option *option_find(const char *name, size_t len, option_bits takes)
{
	const option *found = NULL;
	size_t i;

	for (i = 0; i < OPTION_COUNT; i++) {
		const option *one = &option_table[i];

		if (strlen(one->name) == len && memcmp(one->name, name, len) == 0 &&
		    (found == NULL || (one->bit & takes) != 0))
			found = one;
	}
	return found;
}

static int option_unknown(const char *name, size_t len)
{
	if (len == 6 && memcmp(name, "secret", len) == 0)
		return complain(
			EXIT_USAGE,
			"there is no --secret: an argument can be read by every user of the machine; "
			"use --secret-env NAME or --secret-file FILE");
	return complain(EXIT_USAGE, "there is no option --%.*s", (int)(len < 60 ? len : 60), name);
}

static int option_set_list(const option *which, const char *value, options *o)
{
	if (o->given_count == GIVEN_MAX)
		return complain(EXIT_USAGE, "--%s: more than %d headers, secrets and options", which->name,
		                GIVEN_MAX);
	o->given[o->given_count].bit = which->bit;
	o->given[o->given_count++].value = value;
	return EXIT_DONE;
}

static int option_set(const option *which, const char *value, options *o)
{
	char *member = (char *)o + which->offset;
	bool read = true;

	if (which->kind != KIND_LIST && (o->seen & which->bit) != 0)
		return complain(EXIT_USAGE, "--%s is given twice", which->name);
	o->seen |= which->bit;
	switch (which->kind) {
	case KIND_LIST:
		return option_set_list(which, value, o);
	case KIND_WORD:
		*(const char **)(void *)member = value;
		break;
	case KIND_SWITCH:
		*(int64_t *)(void *)member = 1;
		break;
	case KIND_NUMBER:
		read = number_read(value, (int64_t *)(void *)member) && *(int64_t *)(void *)member > 0;
		break;
	case KIND_TIME:
		read = time_read(value, (int64_t *)(void *)member);
		break;
	case KIND_SPAN:
		read = span_read(value, (int64_t *)(void *)member) && *(int64_t *)(void *)member > 0;
		break;
	case KIND_SHARE:
		read = share_read(value, (int64_t *)(void *)member);
		break;
	}
	if (!read)
		return complain(EXIT_USAGE, "--%s: '%s' is no %s", which->name, value,
		                which->kind == KIND_TIME ? "time: give 15m, 2h, 7d, a date or Unix seconds"
		                : which->kind == KIND_SPAN  ? "time: give 90s, 5m, 2h"
		                : which->kind == KIND_SHARE ? "share: give 5%, 0.5%, at most 100%"
		                                            : "number from 1 up");
	return EXIT_DONE;
}

/* `at` stands on an argument that begins with "--"; it is moved past the value where that is the
 * next one. */
static int option_read(int count, char **arguments, int *at, option_bits takes, options *o)
{
	const char *name = arguments[*at] + 2, *value = strchr(name, '=');
	size_t len = value != NULL ? (size_t)(value - name) : strlen(name);
	const option *which = option_find(name, len, takes);

	if (which == NULL)
		return option_unknown(name, len);
	if (which->kind == KIND_SWITCH) {
		if (value != NULL)
			return complain(EXIT_USAGE, "--%s takes no value", which->name);
		return option_set(which, NULL, o);
	}
	if (value != NULL)
		return option_set(which, value + 1, o);
	if (*at + 1 >= count)
		return complain(EXIT_USAGE, "--%s needs a value: %s", which->name, which->value);
	return option_set(which, arguments[++*at], o);
}

int options_read(int count, char **arguments, option_bits takes, options *o)
{
	bool words_only = false;
	int at, code = EXIT_DONE;

	for (at = 1; at < count && code == EXIT_DONE; at++) {
		const char *argument = arguments[at];

		if (!words_only && strcmp(argument, "--") == 0)
			words_only = true;
		else if (!words_only && strcmp(argument, "-h") == 0)
			o->help = 1;
		else if (!words_only && strncmp(argument, "--", 2) == 0)
			code = option_read(count, arguments, &at, takes, o);
		else if (!words_only && argument[0] == '-')
			code = complain(EXIT_USAGE, "there is no option %.2s", argument);
		else if (o->word_count == WORDS_MAX)
			code = complain(EXIT_USAGE, "one word too many: '%.60s'", argument);
		else
			o->words[o->word_count++] = argument;
	}
	return code;
}

/* The word after the command's name. */
static int options_check_word(options *o, const command *c)
{
	bool optional = c->word != NULL && c->word[0] == '[';

	if (c->word == NULL && o->word_count > 1)
		return complain(EXIT_USAGE, "%s takes no '%.60s'; see knocker %s --help", c->name,
		                o->words[1], c->name);
	if (c->word != NULL && o->word_count < 2 && !optional)
		return complain(EXIT_USAGE, "which one? knocker %s %s", c->name, c->word);
	if (c->word != NULL && o->word_count == 2 &&
	    (strcmp(c->word, "ID") == 0 || strcmp(c->word, "[ID]") == 0) &&
	    (!number_read(o->words[1], &o->id) || o->id < 1))
		return complain(EXIT_USAGE, "'%.60s' is no id: ids are numbers from 1 up", o->words[1]);
	return EXIT_DONE;
}

int options_check(options *o, const command *c)
{
	size_t i;

	for (i = 0; i < OPTION_COUNT; i++) {
		if ((o->seen & option_table[i].bit & ~c->takes & ~OPTION_HELP) != 0)
			return complain(EXIT_USAGE, "%s takes no --%s; see knocker %s --help", c->name,
			                option_table[i].name, c->name);
	}
	if ((c->takes & OPTION_DRY_RUN) == 0 && o->limit > 1000)
		return complain(EXIT_USAGE, "--limit: %lld is over 1000; use --before for the next page",
		                (long long)o->limit);
	if (o->timeout_s > 3600)
		return complain(EXIT_USAGE, "--timeout: %lld is over 3600", (long long)o->timeout_s);
	return options_check_word(o, c);
}

void options_help(const command *c)
{
	char left[64];
	size_t i;

	for (i = 0; i < OPTION_COUNT; i++) {
		const option *which = &option_table[i];

		if (((c->takes | OPTION_HELP) & which->bit) == 0)
			continue;
		snprintf(left, sizeof left, "--%s%s%s", which->name, which->value != NULL ? " " : "",
		         which->value != NULL ? which->value : "");
		printf("  %-24s %s\n", left, which->meaning);
	}
}

void options_json(const command *c, text *out)
{
	const char *comma = "";
	size_t i;

	for (i = 0; i < OPTION_COUNT; i++) {
		const option *which = &option_table[i];

		if (((c->takes | OPTION_HELP) & which->bit) == 0)
			continue;
		text_print(out, "%s{\"name\":\"%s\",\"value\":", comma, which->name);
		if (which->value != NULL)
			text_json(out, which->value, strlen(which->value));
		else
			text_puts(out, "null");
		text_puts(out, ",\"meaning\":");
		text_json(out, which->meaning, strlen(which->meaning));
		text_puts(out, "}");
		comma = ",";
	}
}
