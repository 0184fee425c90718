/* The command emulate: a provider's traffic, signed, with repeats, forgeries and disorder, and what
 * the inbox made of it. Reads the options and calls the rest in order. */
#include "emulate.h"

#include <curl/curl.h>
#include <string.h>
#include <strings.h>
#include <sys/random.h>

#include "commands.h"
#include "print.h"

#define COUNT_DEFAULT 100
#define CONNECTIONS_DEFAULT 16
#define BURST_DEFAULT 100
#define SEED_DIGITS 1000000000

static int emulate_options(const options *o)
{
	if (o->to == NULL)
		return complain(EXIT_USAGE, "where to? give --to URL");
	if (strncasecmp(o->to, "http://", 7) != 0 && strncasecmp(o->to, "https://", 8) != 0)
		return complain(EXIT_USAGE, "'%.200s' is no URL: it begins with http:// or https://",
		                o->to);
	if (o->count > EMULATE_COUNT_MAX)
		return complain(EXIT_USAGE, "--count: %lld is over %d", (long long)o->count,
		                EMULATE_COUNT_MAX);
	if (o->connections > 1000)
		return complain(EXIT_USAGE, "--connections: %lld is over 1000", (long long)o->connections);
	if (o->endpoint != NULL && o->check == NULL)
		return complain(EXIT_USAGE, "--endpoint says where --check looks: give --check FILE");
	if (o->rate > 1000000)
		return complain(EXIT_USAGE, "--rate: %lld is over 1000000", (long long)o->rate);
	return EXIT_DONE;
}

static uint64_t emulate_seed(const options *o)
{
	uint64_t seed = 0;

	if (o->seed > 0)
		return (uint64_t)o->seed;
	if (getrandom(&seed, sizeof seed, 0) != (ssize_t)sizeof seed)
		seed = plan_mix((uint64_t)(uintptr_t)&seed);
	return seed % SEED_DIGITS + 1;
}

/* Whether the provider's signatures grow stale, and whether it signs its URL and wants to be told
 * it. */
static void emulate_provider(emulation *e, bool *signs_url)
{
	knocker_rows *rows = NULL;
	size_t len = strlen(e->provider);

	if (knocker_providers(&rows, NULL) < 0)
		return;
	while (knocker_rows_next(rows) == 0) {
		knocker_bytes name = print_value(rows, "name").bytes;
		knocker_bytes known = print_value(rows, "options_json").bytes;

		if ((size_t)name.len != len || memcmp(name.data, e->provider, len) != 0)
			continue;
		e->window = print_value(rows, "has_replay_window").integer == 1;
		*signs_url = known.len > 0 && memmem(known.data, (size_t)known.len, "\"url\"", 5) != NULL;
	}
	knocker_rows_free(rows);
}

static bool emulate_url_is_given(const options *o)
{
	size_t i;

	for (i = 0; i < o->given_count; i++) {
		if (o->given[i].bit == OPTION_OPTION && strncmp(o->given[i].value, "url=", 4) == 0)
			return true;
	}
	return o->url != NULL;
}

static int emulate_begin(const options *o, emulation *e)
{
	options own = *o;
	int code = emulate_options(o);
	bool signs_url = false;
	size_t bare;

	if (code != EXIT_DONE)
		return code;
	e->o = o;
	e->provider = sample_provider(o->words[1]);
	if (e->provider == NULL)
		return complain(EXIT_USAGE, "no provider is named '%.60s'; knocker providers lists them",
		                o->words[1]);
	e->seed = emulate_seed(o);
	e->count = (size_t)(o->count > 0 ? o->count : COUNT_DEFAULT);
	e->connections = o->connections > 0 ? o->connections : CONNECTIONS_DEFAULT;
	e->rate = o->rate > 0 ? o->rate : o->burst == 1 ? BURST_DEFAULT : 0;
	bare = strcspn(o->to, "?#");
	text_add(&e->url, o->to, bare);
	text_add(&e->url_query, o->to + bare + (o->to[bare] == '?'),
	         o->to[bare] == '?' ? strcspn(o->to + bare + 1, "#") : 0);
	own.provider = e->provider;
	emulate_provider(e, &signs_url);
	if (signs_url && !emulate_url_is_given(o))
		own.url = o->to;
	code = request_begin(&own, &e->signer);
	return code == EXIT_DONE ? plan_make(e) : code;
}

static int emulate_play(const options *o, emulation *e, inbox_check *c)
{
	int code = emulate_begin(o, e);

	if (code == EXIT_DONE && o->check != NULL)
		code = check_begin(o, c);
	if (code == EXIT_DONE)
		code = emulate_send(e);
	if (code == EXIT_DONE && o->check != NULL)
		code = check_run(c, e);
	if (code == EXIT_DONE && !emulate_say(e, o->check != NULL ? c : NULL))
		code = EXIT_NO;
	return code;
}

int emulate_run(const options *o)
{
	inbox_check c = {0};
	emulation e = {0};
	int code;

	if (curl_global_init(CURL_GLOBAL_DEFAULT) != 0)
		return complain(EXIT_FAILED, "libcurl does not start");
	code = emulate_play(o, &e, &c);
	check_end(&c);
	request_end(&e.signer);
	plan_free(&e);
	text_free(&e.url);
	text_free(&e.url_query);
	curl_global_cleanup();
	return code;
}
