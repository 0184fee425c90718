/* The command line's own nouns: a command, the options given to it, an exit code. Every command is
 * one row of the table in main.c. */
#ifndef APP_H
#define APP_H

#include "knocker.h"
#include "text.h"

enum { /* what scripts may rely on; the help says the same */
	   EXIT_DONE = 0,
	   EXIT_NO = 1,    /* the answer is no: not valid, not accepted, not allowed from this status */
	   EXIT_USAGE = 2, /* the command was given wrongly */
	   EXIT_MISSING = 3, /* no such database, event, delivery or endpoint */
	   EXIT_FAILED = 4   /* everything else */
};

typedef enum { /* one bit an option, so that a command says in one number which it takes */
	           OPTION_DB = 1 << 0,
	           OPTION_JSON = 1 << 1,
	           OPTION_HELP = 1 << 2,
	           OPTION_STATUS = 1 << 3,
	           OPTION_ENDPOINT = 1 << 4,
	           OPTION_TYPE = 1 << 5,
	           OPTION_SINCE = 1 << 6,
	           OPTION_LIMIT = 1 << 7,
	           OPTION_BEFORE = 1 << 8,
	           OPTION_ORPHANED = 1 << 9,
	           OPTION_INVALID = 1 << 10,
	           OPTION_EVENT = 1 << 11,
	           OPTION_RAW = 1 << 12,
	           OPTION_REASON = 1 << 13,
	           OPTION_PROVIDER = 1 << 14,
	           OPTION_SCHEME = 1 << 15,
	           OPTION_SECRET_ENV = 1 << 16,
	           OPTION_SECRET_FILE = 1 << 17,
	           OPTION_OPTION = 1 << 18,
	           OPTION_URL = 1 << 19,
	           OPTION_METHOD = 1 << 20,
	           OPTION_HEADER = 1 << 21,
	           OPTION_QUERY = 1 << 22,
	           OPTION_BODY = 1 << 23,
	           OPTION_DATA = 1 << 24,
	           OPTION_AT = 1 << 25,
	           OPTION_TIMES = 1 << 26,
	           OPTION_FORGE = 1 << 27,
	           OPTION_TIMEOUT = 1 << 28
} option_bit;

#define OPTIONS_LISTS (OPTION_SINCE | OPTION_LIMIT | OPTION_BEFORE | OPTION_ENDPOINT | OPTION_TYPE)
#define OPTIONS_REQUEST                                                                         \
	(OPTION_PROVIDER | OPTION_SCHEME | OPTION_SECRET_ENV | OPTION_SECRET_FILE | OPTION_OPTION | \
	 OPTION_URL | OPTION_METHOD | OPTION_HEADER | OPTION_QUERY | OPTION_BODY | OPTION_DATA |    \
	 OPTION_AT)

#define GIVEN_MAX 256 /* options that may come several times, in all */
#define WORDS_MAX \
	2 /* words after the command; one more than any takes, so that the surplus can be named */

typedef struct {
	uint32_t seen; /* option_bit: which were given */
	const char *db, *status, *endpoint, *type, *reason, *provider, *scheme, *url, *method, *query,
		*body, *data;
	int64_t since_s, limit, before, event, at_s, times, timeout_s;
	int64_t json, help, orphaned, invalid, raw, forge; /* 1 when given */
	struct {
		option_bit bit;
		const char *value;
	} given[GIVEN_MAX]; /* headers, secrets and provider options, in order */
	size_t given_count;
	const char *words[WORDS_MAX]; /* words[0] is the command's name, then what it works on */
	size_t word_count;
	int64_t id; /* the word as an id, where the command takes one */
} options;

typedef struct {
	const char *name;
	const char *word;     /* what it works on, for the usage line: "ID", "URL"; NULL: nothing */
	uint32_t takes;       /* option_bit */
	const char *summary;  /* one line */
	const char *details;  /* more lines; may be NULL */
	const char *examples; /* lines of "$ knocker ..." */
	int (*run)(const options *o);
} command;

/* Reads the arguments; 0, or EXIT_USAGE after saying what is wrong. */
int options_read(int count, char **arguments, options *o);
/* Refuses options that the command does not take, and reads its word. */
int options_check(options *o, const command *c);
void options_help(const command *c); /* the lines about its options */

#if defined(__GNUC__)
__attribute__((format(printf, 2, 3)))
#endif
int complain(int exit_code, const char *format, ...); /* one line on standard error; the code */
int complain_error(const knocker_error *error); /* the same for a failed call */

knocker_bytes bytes_of(const char *words); /* NULL: not given */
/* Opens the file for looking at: a missing one is not created. */
int database_open(const options *o, knocker **out);
int database_close(knocker *k, int exit_code);

int look_events(const options *o);
int look_event(const options *o);
int look_deliveries(const options *o);
int look_why(const options *o);
int look_stats(const options *o);
int look_endpoints(const options *o);
int look_providers(const options *o);
int act_ignore(const options *o);
int act_replay(const options *o);
int act_requeue(const options *o);
int request_verify(const options *o);
int request_sign(const options *o);
int send_requests(const options *o);

#endif
