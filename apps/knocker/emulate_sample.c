/* Bodies and headers of requests, from the providers' samples, which are part of the program. Owns
 * the placeholders; what a sample means is its provider's matter. */
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "emulate.h"

typedef struct {
	const char *provider;
	const char *event_type; /* NULL: of any type, made of what the provider's scheme reads */
	const char *headers;    /* lines "name: value\n" */
	const char *query;      /* NULL: none */
	const char *body;
	const char *signer; /* a scheme: see sample_signer */
} sample;

#include "samples.h"

#define SAMPLE_COUNT (sizeof samples_embedded / sizeof samples_embedded[0])
#define EVENT_DEFAULT "test.created"
#define PLACEHOLDER_MAX 64

const char *sample_provider(const char *name)
{
	size_t i;

	for (i = 0; sample_aliases[i].alias != NULL; i++) {
		if (strcmp(sample_aliases[i].alias, name) == 0)
			return sample_aliases[i].provider;
	}
	for (i = 0; i < SAMPLE_COUNT; i++) {
		if (strcmp(samples_embedded[i].provider, name) == 0)
			return samples_embedded[i].provider;
	}
	return NULL;
}

static bool sample_fits(const sample *s, const emulation *e)
{
	return s->provider != NULL && strcmp(s->provider, e->provider) == 0 && s->event_type != NULL &&
	       (e->o->event_type == NULL || strcmp(s->event_type, e->o->event_type) == 0);
}

/* One of those of the type that is wanted, else the one of any type. */
static const sample *sample_choose(const emulation *e, uint64_t draw)
{
	const sample *any = NULL;
	size_t i, count = 0, chosen;

	for (i = 0; i < SAMPLE_COUNT; i++) {
		const sample *s = &samples_embedded[i];

		count += sample_fits(s, e);
		if (s->event_type == NULL && strcmp(s->provider, e->provider) == 0)
			any = s;
	}
	if (count == 0)
		return any;
	chosen = (size_t)(draw % count);
	for (i = 0; !sample_fits(&samples_embedded[i], e) || chosen-- > 0; i++)
		continue;
	return &samples_embedded[i];
}

/* ---- placeholders ---- */

typedef struct {
	const emulation *e;
	size_t at;
	const char *event_type, *signature;
	bool is_form;
	uint64_t state; /* of the placeholder that is being filled */
} filling;

static void fill_characters(filling *f, text *out, const char *digits, size_t base, size_t count)
{
	size_t i;

	for (i = 0; i < count; i++) {
		f->state = plan_mix(f->state);
		text_add(out, &digits[f->state % base], 1);
	}
}

static void fill_uuid(filling *f, text *out)
{
	static const char hex[] = "0123456789abcdef";
	static const size_t groups[] = {8, 4, 0, 0, 12};
	size_t i;

	for (i = 0; i < sizeof groups / sizeof groups[0]; i++) {
		if (i > 0)
			text_puts(out, "-");
		if (groups[i] > 0) {
			fill_characters(f, out, hex, 16, groups[i]);
		} else { /* the version, and the variant */
			text_puts(out, i == 2 ? "4" : "a");
			fill_characters(f, out, hex, 16, 3);
		}
	}
}

static void fill_time_iso(text *out, int64_t at_ms)
{
	time_t at_s = (time_t)(at_ms / 1000);
	struct tm parts = {0};
	char line[32];

	gmtime_r(&at_s, &parts);
	strftime(line, sizeof line, "%Y-%m-%dT%H:%M:%SZ", &parts);
	text_puts(out, line);
}

/* As a part of a form, or of a text in JSON. */
static void fill_signature(const filling *f, text *out)
{
	text quoted = {0};
	const char *one;

	if (f->is_form) {
		for (one = f->signature; *one != '\0'; one++)
			text_print(out, "%%%02X", (unsigned)(unsigned char)*one);
		return;
	}
	text_json(&quoted, f->signature, strlen(f->signature));
	text_add(out, quoted.data + 1, quoted.len - 2);
	text_cleanse_free(&quoted);
}

static size_t fill_size(const char *words)
{
	size_t size = 0;

	for (; *words >= '0' && *words <= '9'; words++)
		size = size * 10 + (size_t)(*words - '0');
	return size;
}

/* Fills in one placeholder: its value follows from its words, so that the same one has the same
 * value throughout a request and in its repeats. One named "each" is another in each request. */
static void fill_one(filling *f, text *out, const char *word)
{
	static const char letters[] = "0123456789ABCDEFGHJKMNPQRSTVWXYZabcdefghjkmnpqrstvwxyz";
	const sent_request *r = &f->e->requests[f->at];
	int64_t made_ms = f->e->events[r->event].made_ms;
	size_t len = strlen(word);

	f->state = plan_hash(f->e->seed, word, len) ^ plan_mix(r->event);
	if (len > 5 && strcmp(word + len - 5, ":each") == 0)
		f->state ^= plan_mix(~(uint64_t)f->at);
	if (strcmp(word, "time") == 0)
		text_print(out, "%lld", (long long)(made_ms / 1000));
	else if (strcmp(word, "time_ms") == 0)
		text_print(out, "%lld", (long long)made_ms);
	else if (strcmp(word, "time_iso") == 0)
		fill_time_iso(out, made_ms);
	else if (strcmp(word, "event") == 0)
		text_puts(out, f->event_type != NULL ? f->event_type : EVENT_DEFAULT);
	else if (strcmp(word, "signature") == 0)
		fill_signature(f, out);
	else if (strcmp(word, "number") == 0)
		text_print(out, "%u", (unsigned)r->event + 1);
	else if (strncmp(word, "uuid", 4) == 0)
		fill_uuid(f, out);
	else if (strncmp(word, "hex:", 4) == 0)
		fill_characters(f, out, "0123456789abcdef", 16, fill_size(word + 4));
	else if (strncmp(word, "digits:", 7) == 0) {
		fill_characters(f, out, "123456789", 9, 1);
		fill_characters(f, out, "0123456789", 10, fill_size(word + 7) - 1);
	} else {
		fill_characters(f, out, letters, sizeof letters - 1, 24);
	}
}

static void fill_text(filling *f, text *out, const char *pattern)
{
	char word[PLACEHOLDER_MAX];
	const char *open, *close;

	while ((open = strstr(pattern, "{{")) != NULL && (close = strstr(open, "}}")) != NULL) {
		size_t len = (size_t)(close - open - 2);

		text_add(out, pattern, (size_t)(open - pattern));
		if (len < sizeof word) {
			memcpy(word, open + 2, len);
			word[len] = '\0';
			fill_one(f, out, word);
		}
		pattern = close + 2;
	}
	text_puts(out, pattern);
}

static const sample *sample_of(const emulation *e, size_t at)
{
	return sample_choose(e, plan_mix(e->seed ^ plan_mix(e->requests[at].event)));
}

const char *sample_signer(const emulation *e, size_t at)
{
	return sample_of(e, at)->signer;
}

void sample_headers(const emulation *e, size_t at, text *headers, text *query)
{
	const sample *s = sample_of(e, at);
	filling f = {.e = e, .at = at, .event_type = e->o->event_type, .signature = ""};

	fill_text(&f, headers, s->headers);
	if (s->query != NULL && query->len > 0)
		text_puts(query, "&");
	if (s->query != NULL)
		fill_text(&f, query, s->query);
}

void sample_body(const emulation *e, size_t at, const char *signature, text *body)
{
	const sample *s = sample_of(e, at);
	filling f = {.e = e,
	             .at = at,
	             .event_type = e->o->event_type,
	             .signature = signature,
	             .is_form = strchr("{[", s->body[0]) == NULL};

	fill_text(&f, body, s->body);
}
