/* Reads the JSON that the application itself wrote: registrations, scheme files, SQL arguments.
 * Over cJSON, the only file that includes it. Knows nothing of what the texts mean, and never sees
 * a request's body. */
#include "json.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "bounds.h"
#include "cJSON.h"
#include "error.h"

/* ---- cJSON's memory: each piece knows its size and is wiped when freed ---- */

typedef union {
	size_t size;
	max_align_t align;
} json_memory;

/* cJSON says of a text that it is wrong when memory ran out. Of this thread's parse. */
static _Thread_local bool json_starved;

static void *json_memory_get(size_t size)
{
	json_memory *memory = size > SIZE_MAX - sizeof *memory ? NULL
	                                                       : memory_get(sizeof *memory + size);

	json_starved |= !memory;
	if (!memory)
		return NULL;
	memory->size = size;
	return memory + 1;
}

static void json_memory_free(void *held)
{
	json_memory *memory = held;

	if (!memory)
		return;
	memory--;
	explicit_bzero(memory + 1, memory->size);
	memory_free(memory);
}

static pthread_once_t json_once = PTHREAD_ONCE_INIT;

static void json_hooks(void)
{
	cJSON_Hooks hooks = {json_memory_get, json_memory_free};

	cJSON_InitHooks(&hooks);
}

/* cJSON notes where it failed in a variable of the whole process, so one thread at a time may
 * parse. */
static pthread_mutex_t json_one_at_a_time = PTHREAD_MUTEX_INITIALIZER;

static json *json_parse_checked(const uint8_t *s, size_t len, const char **end, bool *no_memory)
{
	json *tree;

	pthread_once(&json_once, json_hooks);
	pthread_mutex_lock(&json_one_at_a_time);
	json_starved = false;
	tree = cJSON_ParseWithLengthOpts((const char *)s, len, end, 0);
	*no_memory = json_starved;
	pthread_mutex_unlock(&json_one_at_a_time);
	return tree;
}

/* ---- what cJSON would let pass ---- */

typedef struct {
	const uint8_t *s;
	size_t len, at, depth;
	const char *wrong; /* NULL: nothing yet */
} json_check;

/* Four hexadecimal digits at `at`, or -1. */
static int32_t json_hex4(const json_check *c, size_t at)
{
	int32_t value = 0;
	size_t i;

	if (c->len - at < 4)
		return -1;
	for (i = at; i < at + 4; i++) {
		uint8_t d = c->s[i];
		int32_t digit = d >= '0' && d <= '9'   ? d - '0'
		                : d >= 'a' && d <= 'f' ? d - 'a' + 10
		                : d >= 'A' && d <= 'F' ? d - 'A' + 10
		                                       : -1;

		if (digit < 0)
			return -1;
		value = value * 16 + digit;
	}
	return value;
}

/* `at` stands behind "\u". */
static void json_check_unicode(json_check *c)
{
	int32_t unit = json_hex4(c, c->at);

	if (unit < 0)
		c->wrong = "a wrong escape";
	else if (unit == 0)
		c->wrong = "a NUL in a text";
	else if (unit >= 0xDC00 && unit <= 0xDFFF)
		c->wrong = "a lone surrogate in a text";
	c->at += 4;
	if (unit < 0xD800 || unit > 0xDBFF || c->wrong)
		return;
	unit = c->len - c->at >= 2 && c->s[c->at] == '\\' && c->s[c->at + 1] == 'u'
	           ? json_hex4(c, c->at + 2)
	           : -1;
	if (unit < 0xDC00 || unit > 0xDFFF)
		c->wrong = "a lone surrogate in a text";
	c->at += 6;
}

/* `at` stands behind the opening quote. */
static void json_check_string(json_check *c)
{
	while (!c->wrong && c->at < c->len) {
		uint8_t byte = c->s[c->at++];

		if (byte == '"')
			return;
		if (byte < 0x20)
			c->wrong = "a control character in a text";
		else if (byte == '\\' && c->at < c->len && c->s[c->at++] == 'u')
			json_check_unicode(c);
	}
	if (!c->wrong)
		c->wrong = "a text without end";
}

static void json_check_text(json_check *c)
{
	if (!bytes_utf8((knocker_bytes){c->s, (int64_t)c->len}))
		c->wrong = "a byte that is no UTF-8";
	else if (c->len >= 3 && memcmp(c->s, "\xEF\xBB\xBF", 3) == 0)
		c->wrong = "a byte order mark";
	while (!c->wrong && c->at < c->len) {
		uint8_t byte = c->s[c->at++];

		if (byte == '"')
			json_check_string(c);
		else if (byte < 0x20 && byte != '\t' && byte != '\n' && byte != '\r')
			c->wrong = "a control character";
		else if ((byte == '[' || byte == '{') && ++c->depth > LIMIT_JSON_DEPTH)
			c->wrong = "more than 128 levels";
		else if ((byte == ']' || byte == '}') && c->depth > 0)
			c->depth--;
	}
}

static int json_name_order(const void *a, const void *b)
{
	return strcmp((*(const cJSON *const *)a)->string, (*(const cJSON *const *)b)->string);
}

/* The name that an object has twice, or NULL. Sorted, since a hostile object has a hundred thousand
 * members. */
static const char *json_name_twice(const cJSON *object, bool *no_memory)
{
	size_t i, count = json_count(object);
	const cJSON **members = count > 1 ? memory_get(count * sizeof(const cJSON *)) : NULL;
	const cJSON *member = object->child;
	const char *twice = NULL;

	if (!members) {
		*no_memory = count > 1;
		return NULL;
	}
	for (i = 0; i < count; i++, member = member->next)
		members[i] = member;
	qsort(members, count, sizeof(const cJSON *), json_name_order);
	for (i = 1; i < count && !twice; i++)
		if (strcmp(members[i - 1]->string, members[i]->string) == 0)
			twice = members[i]->string;
	memory_free(members);
	return twice;
}

/* Walks the tree with a stack of its own, no deeper than json_check_text let pass. */
static const char *json_find_twice(const cJSON *root, bool *no_memory)
{
	const cJSON *stack[LIMIT_JSON_DEPTH + 1], *node = root;
	size_t depth = 0;

	while (node && !*no_memory) {
		const char *twice = cJSON_IsObject(node) ? json_name_twice(node, no_memory) : NULL;

		if (twice)
			return twice;
		if (node->child) {
			stack[depth++] = node;
			node = node->child;
			continue;
		}
		while (node && !node->next)
			node = depth > 0 ? stack[--depth] : NULL;
		if (node == root)
			return NULL;
		node = node ? node->next : NULL;
	}
	return NULL;
}

static int32_t json_refuse_twice(const char *what, const json *tree, knocker_error *error)
{
	bool no_memory = false;
	const char *twice = json_find_twice(tree, &no_memory);

	if (no_memory)
		return fail_memory(error);
	if (twice)
		return fail(error, KNOCKER_INVALID_ARGUMENT, "%s has the member '%.60s' twice", what,
		            twice);
	return 0;
}

int32_t json_parse(const char *what, knocker_bytes text, json **out, knocker_error *error)
{
	json_check check = {.s = text.data ? text.data : (const void *)"", .len = (size_t)text.len};
	const char *end = NULL;
	bool no_memory = false;
	json *tree;
	int32_t rc;

	*out = NULL;
	if (text.len > LIMIT_JSON)
		return fail(error, KNOCKER_INVALID_ARGUMENT, "%s of %lld bytes is over the limit of %d",
		            what, (long long)text.len, LIMIT_JSON);
	json_check_text(&check);
	if (check.wrong)
		return fail(error, KNOCKER_INVALID_ARGUMENT, "%s is not JSON: %s at byte %zu", what,
		            check.wrong, check.at);
	tree = json_parse_checked(check.s, check.len, &end, &no_memory);
	if (!tree && no_memory)
		return fail_memory(error);
	if (!tree)
		return fail(error, KNOCKER_INVALID_ARGUMENT,
		            "%s is not JSON: it breaks off or goes wrong at byte %zu", what,
		            end ? (size_t)(end - (const char *)check.s) : (size_t)0);
	while (end < (const char *)check.s + check.len && strchr(" \t\r\n", *end))
		end++;
	if (end < (const char *)check.s + check.len)
		rc = fail(error, KNOCKER_INVALID_ARGUMENT,
		          "%s is not JSON: text follows the value at byte %zu", what,
		          (size_t)(end - (const char *)check.s));
	else
		rc = json_refuse_twice(what, tree, error);
	if (rc == 0)
		*out = tree;
	else
		cJSON_Delete(tree);
	return rc;
}

void json_free(json *j)
{
	cJSON_Delete(j);
}

void json_cleanse_free(json *j)
{
	cJSON_Delete(j);
}

/* ---- reading ---- */

json_type json_kind(const json *j)
{
	if (!j || cJSON_IsNull(j))
		return JSON_NULL;
	if (cJSON_IsBool(j))
		return JSON_BOOL;
	if (cJSON_IsNumber(j))
		return JSON_NUMBER;
	if (cJSON_IsString(j))
		return JSON_TEXT;
	return cJSON_IsArray(j) ? JSON_ARRAY : JSON_OBJECT;
}

const json *json_member(const json *j, const char *name)
{
	const json *member = json_kind(j) == JSON_OBJECT ? j->child : NULL;

	while (member && strcmp(member->string, name) != 0)
		member = member->next;
	return member;
}

const json *json_first(const json *j)
{
	return j ? j->child : NULL;
}

const json *json_next(const json *j)
{
	return j->next;
}

size_t json_count(const json *j)
{
	const json *child = json_first(j);
	size_t count = 0;

	for (; child; child = child->next)
		count++;
	return count;
}

knocker_bytes json_name(const json *j)
{
	return bytes_of(j->string);
}

knocker_bytes json_text(const json *j)
{
	return json_kind(j) == JSON_TEXT ? bytes_of(j->valuestring) : (knocker_bytes){0};
}

bool json_int(const json *j, int64_t *out)
{
	const double most = 9007199254740991.0;

	if (json_kind(j) != JSON_NUMBER || !(j->valuedouble >= -most && j->valuedouble <= most))
		return false;
	*out = (int64_t)j->valuedouble;
	return (double)*out == j->valuedouble;
}

bool json_true(const json *j)
{
	return j && cJSON_IsTrue(j);
}

void json_write(const json *j, buffer *out)
{
	char *text = cJSON_PrintUnformatted(j);

	if (!text) {
		out->failed = true;
		return;
	}
	buffer_text(out, text);
	cJSON_free(text);
}
