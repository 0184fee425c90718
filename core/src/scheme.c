/* A scheme's life: the built-ins, read at first use and kept; an application's own, compiled and
 * freed. Knows no sender by name. */
#include "scheme.h"

#include <pthread.h>
#include <string.h>

#include "error.h"
#include "providers.h"
#include "scheme_parse.h"

/* ---- an application's own, and what it extends ---- */

/* Reads the schemes that the first layer extends; their trees go to `trees`, to be freed. */
static int32_t scheme_layers_read(scheme_parser *p, json **trees)
{
	int32_t rc = 0;

	while (rc == 0) {
		const json *extends = json_member(p->layers[p->layer_count - 1], "extends");
		const char *text;

		if (!extends)
			return 0;
		if (json_kind(extends) != JSON_TEXT)
			return fail(p->error, KNOCKER_INVALID_ARGUMENT, "scheme: 'extends' is not a text");
		if (p->layer_count == SCHEME_LAYERS_MAX)
			return fail(p->error, KNOCKER_INVALID_ARGUMENT,
			            "scheme: it extends itself, or more than %d schemes",
			            SCHEME_LAYERS_MAX - 1);
		rc = scheme_provider_text(json_text(extends), &text, p->error);
		if (rc == 0 && !text)
			return fail(p->error, KNOCKER_INVALID_ARGUMENT,
			            "scheme: 'extends' names no built-in provider: '%.*s'",
			            QUOTED(json_text(extends)));
		if (rc == 0)
			rc = json_parse("provider.json", bytes_of(text), &trees[p->layer_count], p->error);
		if (rc == 0) {
			p->layers[p->layer_count] = json_member(trees[p->layer_count], "scheme");
			p->layer_count++;
		}
	}
	return rc;
}

static int32_t scheme_compile_tree(const json *root, scheme **out, knocker_error *error)
{
	scheme *s = memory_get(sizeof *s);
	scheme_parser p = {.scheme = s, .error = error, .layers = {root}, .layer_count = 1};
	json *trees[SCHEME_LAYERS_MAX] = {NULL};
	size_t i;
	int32_t rc;

	*out = NULL;
	if (!s)
		return fail_memory(error);
	memset(s, 0, sizeof *s);
	if (json_kind(root) != JSON_OBJECT)
		rc = fail(error, KNOCKER_INVALID_ARGUMENT, "scheme: it is not a JSON object");
	else
		rc = scheme_layers_read(&p, trees);
	if (rc == 0)
		rc = scheme_parse(&p);
	for (i = 0; i < SCHEME_LAYERS_MAX; i++)
		json_free(trees[i]);
	if (rc == 0)
		*out = s;
	else
		scheme_free(s);
	return rc;
}

int32_t scheme_compile(knocker_bytes json_text, scheme **out, knocker_error *error)
{
	json *tree = NULL;
	int32_t rc = json_parse("the scheme", json_text, &tree, error);

	*out = NULL;
	if (rc == 0)
		rc = scheme_compile_tree(tree, out, error);
	json_free(tree);
	return rc;
}

void scheme_free(scheme *s)
{
	if (!s)
		return;
	arena_free(&s->memory);
	memory_free(s);
}

/* ---- the built-ins ---- */

typedef struct {
	knocker_bytes name, version, title;
	const knocker_bytes *aliases;
	size_t alias_count;
	bool curated;
	scheme *compiled; /* NULL until somebody asks */
} scheme_builtin_entry;

static pthread_mutex_t builtin_lock = PTHREAD_MUTEX_INITIALIZER;
static bool builtin_known; /* names and aliases have been read, and stay as they are */
static arena builtin_memory;
static scheme_builtin_entry builtin_entries[PROVIDERS_EMBEDDED + 1];

static int32_t builtin_text(const json *provider, const char *name, knocker_bytes *out,
                            knocker_error *error)
{
	knocker_bytes text = json_text(json_member(provider, name));

	if (!bytes_given(text))
		return fail(error, KNOCKER_INVALID_ARGUMENT, "provider.json: '%s' is not a text", name);
	return arena_copy(&builtin_memory, text, out) ? 0 : fail_memory(error);
}

static int32_t builtin_aliases(const json *provider, scheme_builtin_entry *entry,
                               knocker_error *error)
{
	const json *list = json_member(provider, "aliases"), *alias;
	knocker_bytes *made = arena_get(&builtin_memory, (json_count(list) + 1) * sizeof *made);

	if (!made)
		return fail_memory(error);
	entry->alias_count = 0;
	for (alias = json_first(list); alias; alias = json_next(alias))
		if (!arena_copy(&builtin_memory, json_text(alias), &made[entry->alias_count++]))
			return fail_memory(error);
	entry->aliases = made;
	return 0;
}

static int32_t builtin_read(size_t n, knocker_error *error)
{
	scheme_builtin_entry *entry = &builtin_entries[n];
	json *provider = NULL;
	int32_t rc = json_parse("provider.json", bytes_of(providers_embedded[n].text), &provider,
	                        error);

	entry->name = bytes_of(providers_embedded[n].name);
	entry->curated = json_true(json_member(provider, "curated"));
	if (rc == 0)
		rc = builtin_text(provider, "version", &entry->version, error);
	if (rc == 0)
		rc = builtin_text(provider, "title", &entry->title, error);
	if (rc == 0)
		rc = builtin_aliases(provider, entry, error);
	json_free(provider);
	return rc;
}

static int32_t builtin_know(knocker_error *error)
{
	int32_t rc = 0;
	size_t i;

	pthread_mutex_lock(&builtin_lock);
	for (i = 0; !builtin_known && rc == 0 && i < PROVIDERS_EMBEDDED; i++)
		rc = builtin_read(i, error);
	if (rc == 0)
		builtin_known = true;
	else
		arena_free(&builtin_memory);
	pthread_mutex_unlock(&builtin_lock);
	return rc;
}

/* The number of the built-in of that name or alias, or -1. */
static int32_t builtin_find(knocker_bytes name)
{
	int32_t i;
	size_t k;

	for (i = 0; i < PROVIDERS_EMBEDDED; i++) {
		if (bytes_equal(builtin_entries[i].name, name))
			return i;
		for (k = 0; k < builtin_entries[i].alias_count; k++)
			if (bytes_equal(builtin_entries[i].aliases[k], name))
				return i;
	}
	return -1;
}

int32_t scheme_provider_text(knocker_bytes name, const char **out, knocker_error *error)
{
	int32_t rc = builtin_know(error), n = rc == 0 ? builtin_find(name) : -1;

	*out = n < 0 ? NULL : providers_embedded[n].text;
	return rc;
}

/* Compiles outside the lock; of two threads that do it at once the first one's result is kept. */
static int32_t builtin_compile(int32_t n, const scheme **out, knocker_error *error)
{
	scheme_builtin_entry *entry = &builtin_entries[n];
	json *provider = NULL;
	scheme *made = NULL;
	int32_t rc = 0;

	pthread_mutex_lock(&builtin_lock);
	*out = entry->compiled;
	pthread_mutex_unlock(&builtin_lock);
	if (*out)
		return 0;
	rc = json_parse("provider.json", bytes_of(providers_embedded[n].text), &provider, error);
	if (rc == 0)
		rc = scheme_compile_tree(json_member(provider, "scheme"), &made, error);
	json_free(provider);
	if (rc < 0)
		return rc;
	pthread_mutex_lock(&builtin_lock);
	if (!entry->compiled) {
		entry->compiled = made;
		made = NULL;
	}
	*out = entry->compiled;
	pthread_mutex_unlock(&builtin_lock);
	scheme_free(made);
	return 0;
}

int32_t scheme_builtin(knocker_bytes name, const scheme **out, knocker_error *error)
{
	int32_t n, rc = builtin_know(error);

	*out = NULL;
	if (rc < 0)
		return rc;
	n = builtin_find(name);
	return n < 0 ? 0 : builtin_compile(n, out, error);
}

int32_t scheme_builtin_count(void)
{
	return PROVIDERS_EMBEDDED;
}

int32_t scheme_builtin_info(int32_t n, scheme_info *out, knocker_error *error)
{
	const scheme *s = NULL;
	int32_t rc;

	*out = (scheme_info){0};
	if (n < 0 || n >= PROVIDERS_EMBEDDED)
		return fail(error, KNOCKER_INVALID_ARGUMENT, "there is no built-in provider number %d", n);
	rc = builtin_know(error);
	if (rc == 0)
		rc = builtin_compile(n, &s, error);
	if (rc < 0)
		return rc;
	*out = (scheme_info){
		.name = builtin_entries[n].name.data,
		.version = builtin_entries[n].version.data,
		.title = builtin_entries[n].title.data,
		.kind = s->kind->name,
		.has_replay_window = s->has_replay && s->has_window,
		.options_json = s->options_json.data,
		.curated = builtin_entries[n].curated,
	};
	return 0;
}
