/* The options that there are, what was given of them, and what a command says of itself. */
#ifndef OPTIONS_H
#define OPTIONS_H

#include "app.h"

/* One bit an option, so that a command says in one number which it takes. */
typedef uint64_t option_bits;
#define OPTION_DB (UINT64_C(1) << 0)
#define OPTION_JSON (UINT64_C(1) << 1)
#define OPTION_HELP (UINT64_C(1) << 2)
#define OPTION_STATUS (UINT64_C(1) << 3)
#define OPTION_ENDPOINT (UINT64_C(1) << 4)
#define OPTION_TYPE (UINT64_C(1) << 5)
#define OPTION_SINCE (UINT64_C(1) << 6)
#define OPTION_LIMIT (UINT64_C(1) << 7)
#define OPTION_BEFORE (UINT64_C(1) << 8)
#define OPTION_ORPHANED (UINT64_C(1) << 9)
#define OPTION_INVALID (UINT64_C(1) << 10)
#define OPTION_EVENT (UINT64_C(1) << 11)
#define OPTION_RAW (UINT64_C(1) << 12)
#define OPTION_REASON (UINT64_C(1) << 13)
#define OPTION_PROVIDER (UINT64_C(1) << 14)
#define OPTION_SCHEME (UINT64_C(1) << 15)
#define OPTION_SECRET_ENV (UINT64_C(1) << 16)
#define OPTION_SECRET_FILE (UINT64_C(1) << 17)
#define OPTION_OPTION (UINT64_C(1) << 18)
#define OPTION_URL (UINT64_C(1) << 19)
#define OPTION_METHOD (UINT64_C(1) << 20)
#define OPTION_HEADER (UINT64_C(1) << 21)
#define OPTION_QUERY (UINT64_C(1) << 22)
#define OPTION_BODY (UINT64_C(1) << 23)
#define OPTION_DATA (UINT64_C(1) << 24)
#define OPTION_AT (UINT64_C(1) << 25)
#define OPTION_TIMES (UINT64_C(1) << 26)
#define OPTION_FORGE (UINT64_C(1) << 27)
#define OPTION_TIMEOUT (UINT64_C(1) << 28)
#define OPTION_YES (UINT64_C(1) << 29)
#define OPTION_DRY_RUN (UINT64_C(1) << 30)
#define OPTION_OLDER_THAN (UINT64_C(1) << 31)
#define OPTION_KIND (UINT64_C(1) << 32)
#define OPTION_LATE (UINT64_C(1) << 33)
#define OPTION_FULL (UINT64_C(1) << 34)
#define OPTION_TO (UINT64_C(1) << 35)
#define OPTION_EVENT_TYPE (UINT64_C(1) << 36)
#define OPTION_RATE (UINT64_C(1) << 37)
#define OPTION_TOTAL (UINT64_C(1) << 38)
#define OPTION_DUPLICATES (UINT64_C(1) << 39)
#define OPTION_REORDER (UINT64_C(1) << 40)
#define OPTION_STALE (UINT64_C(1) << 41)
#define OPTION_FORGED (UINT64_C(1) << 42)
#define OPTION_OVERSIZE (UINT64_C(1) << 43)
#define OPTION_BURST (UINT64_C(1) << 44)
#define OPTION_SEED (UINT64_C(1) << 45)
#define OPTION_CHECK (UINT64_C(1) << 46)
#define OPTION_CONNECTIONS (UINT64_C(1) << 47)
#define OPTION_DELIVERY (UINT64_C(1) << 48)
#define OPTION_OTHER_ENV (UINT64_C(1) << 49)

#define OPTIONS_LOOK (OPTION_DB | OPTION_JSON)
#define OPTIONS_PAGE (OPTION_LIMIT | OPTION_BEFORE)
#define OPTIONS_WHICH (OPTION_ENDPOINT | OPTION_TYPE | OPTION_SINCE)
#define OPTIONS_BULK (OPTION_STATUS | OPTIONS_WHICH | OPTION_LIMIT | OPTION_DRY_RUN | OPTION_YES)
#define OPTIONS_BY                                                                              \
	(OPTION_PROVIDER | OPTION_SCHEME | OPTION_SECRET_ENV | OPTION_SECRET_FILE | OPTION_OPTION | \
	 OPTION_URL)
#define OPTIONS_REQUEST                                                                         \
	(OPTION_PROVIDER | OPTION_SCHEME | OPTION_SECRET_ENV | OPTION_SECRET_FILE | OPTION_OPTION | \
	 OPTION_URL | OPTION_METHOD | OPTION_HEADER | OPTION_QUERY | OPTION_BODY | OPTION_DATA |    \
	 OPTION_AT)
#define OPTIONS_EMULATE                                                                        \
	(OPTION_JSON | OPTION_TO | OPTION_EVENT_TYPE | OPTION_TOTAL | OPTION_RATE | OPTION_BURST | \
	 OPTION_CONNECTIONS | OPTION_DUPLICATES | OPTION_FORGED | OPTION_REORDER | OPTION_STALE |  \
	 OPTION_OVERSIZE | OPTION_SEED | OPTION_CHECK | OPTION_ENDPOINT | OPTION_SECRET_ENV |      \
	 OPTION_SECRET_FILE | OPTION_OPTION | OPTION_URL | OPTION_METHOD | OPTION_HEADER |         \
	 OPTION_TIMEOUT)

#define GIVEN_MAX 256 /* options that may come several times, in all */
#define WORDS_MAX 2   /* the command's name, and what it works on */

typedef struct {
	option_bits seen; /* which were given */
	const char *db, *status, *endpoint, *type, *reason, *provider, *scheme, *url, *method, *query,
		*body, *data, *kind, *to, *event_type, *check;
	int64_t since_s, limit, before, event, delivery, at_s, times, timeout_s, older_than_s, late_s,
		rate, count, connections, seed;
	int64_t duplicates, forged; /* in hundredths of a per cent */
	int64_t json, help, orphaned, invalid, raw, forge, yes, dry_run, full; /* 1 when given */
	int64_t reorder, stale, oversize, burst;
	struct {
		option_bits bit;
		const char *value;
	} given[GIVEN_MAX]; /* headers, secrets and provider options, in order */
	size_t given_count;
	const char *words[WORDS_MAX]; /* words[0] is the command's name, then what it works on */
	size_t word_count;
	int64_t id; /* the word as an id, where the command takes one; 0: none was given */
} options;

typedef struct {
	const char *name;
	const char
		*word; /* what it works on: "ID"; in brackets where it may be missing; NULL: nothing */
	option_bits takes;
	const char *summary;  /* one line */
	const char *details;  /* more lines; may be NULL */
	const char *examples; /* lines of "$ knocker ..." */
	int (*run)(const options *o);
} command;

/* Reads the arguments; 0, or EXIT_USAGE after saying what is wrong. Of options that share a name
 * the one that `takes` has is meant. */
int options_read(int count, char **arguments, option_bits takes, options *o);
/* Refuses options that the command does not take, and reads its word. */
int options_check(options *o, const command *c);
void options_help(const command *c);            /* the lines about its options */
void options_json(const command *c, text *out); /* the same as members of a JSON list */

#endif
