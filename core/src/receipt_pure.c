/* Verifying and signing without a file: the same engine, for tests, command lines and emulators.
 * Keeps in memory what the last calls verified with; knows no endpoint. */
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>

#include "crypto.h"
#include "error.h"
#include "receipt.h"

#define PURE_KEPT 16                /* schemes with their keys */
#define PURE_KEPT_BYTES (16 * 1024) /* of the longest texts that one is kept under */

/* ---- a scheme and its keys ---- */

/* What a call verifies or signs with. Shared and immutable, freed with its last user. */
typedef struct {
	_Atomic int32_t users;
	knocker_bytes provider, secrets, options; /* as they were given; copies, behind the struct */
	size_t size;                              /* of the struct and the copies */
	const scheme *scheme;
	scheme *own;
	scheme_keys *keys;
} pure_kit;

static void pure_leave(pure_kit *kit)
{
	if (!kit || atomic_fetch_sub(&kit->users, 1) > 1)
		return;
	scheme_keys_free(kit->keys);
	scheme_free(kit->own);
	crypto_cleanse(kit, kit->size);
	memory_free(kit);
}

static pure_kit *pure_new(const knocker_request *q)
{
	const knocker_bytes from[3] = {q->provider, q->secrets_json, q->options_json};
	size_t size = sizeof(pure_kit), i;
	knocker_bytes *to[3];
	pure_kit *kit;
	char *at;

	for (i = 0; i < 3; i++)
		size += bytes_given(from[i]) ? (size_t)from[i].len : 0;
	kit = memory_get(size);
	if (!kit)
		return NULL;
	memset(kit, 0, sizeof *kit);
	atomic_init(&kit->users, 1);
	kit->size = size;
	to[0] = &kit->provider;
	to[1] = &kit->secrets;
	to[2] = &kit->options;
	for (i = 0, at = (char *)(kit + 1); i < 3; i++) {
		if (!bytes_given(from[i]))
			continue;
		memcpy(at, from[i].data, (size_t)from[i].len);
		*to[i] = (knocker_bytes){at, from[i].len};
		at += from[i].len;
	}
	return kit;
}

static int32_t pure_make(const knocker_request *q, bool to_sign, pure_kit **out,
                         knocker_error *error)
{
	pure_kit *kit = pure_new(q);
	int32_t rc;

	if (!kit)
		return fail_memory(error);
	if (bytes_starts(q->provider, "{")) {
		rc = scheme_compile(q->provider, &kit->own, error);
		kit->scheme = kit->own;
	} else {
		rc = scheme_builtin(q->provider, &kit->scheme, error);
	}
	if (rc == 0 && !kit->scheme)
		rc = fail(error, KNOCKER_INVALID_ARGUMENT, "no provider is named '%.*s'",
		          QUOTED(q->provider));
	if (rc == 0)
		rc = (to_sign ? scheme_keys_to_sign : scheme_keys_new)(kit->scheme, q->secrets_json,
		                                                       q->options_json, &kit->keys, error);
	if (rc == 0)
		*out = kit;
	else
		pure_leave(kit);
	return rc;
}

/* ---- what is kept ---- */

/* A caller without an endpoint gives scheme and secrets with each request, mostly the same ones,
 * and to make them ready costs more than an HMAC. So the last stay, under the very bytes that they
 * were made of. Nobody waits for the lock: who finds it taken makes its own, and so does a child
 * that was forked while it was. */
static pure_kit *pure_kept[PURE_KEPT];
static size_t pure_kept_next;
static pthread_mutex_t pure_kept_lock = PTHREAD_MUTEX_INITIALIZER;

static bool pure_same(knocker_bytes a, knocker_bytes b)
{
	return bytes_given(a) == bytes_given(b) && (!bytes_given(a) || bytes_equal(a, b));
}

/* With the lock. The secrets are compared in constant time: a near miss must not show. */
static pure_kit *pure_look(const knocker_request *q)
{
	size_t i;

	for (i = 0; i < PURE_KEPT; i++) {
		pure_kit *kit = pure_kept[i];

		if (kit && pure_same(kit->provider, q->provider) &&
		    pure_same(kit->options, q->options_json) &&
		    bytes_given(kit->secrets) == bytes_given(q->secrets_json) &&
		    (!bytes_given(kit->secrets) || crypto_equal(kit->secrets, q->secrets_json)))
			return kit;
	}
	return NULL;
}

/* Held by the caller, or NULL. */
static pure_kit *pure_find(const knocker_request *q)
{
	pure_kit *kit;

	if (pthread_mutex_trylock(&pure_kept_lock) != 0)
		return NULL;
	kit = pure_look(q);
	if (kit)
		atomic_fetch_add(&kit->users, 1);
	pthread_mutex_unlock(&pure_kept_lock);
	return kit;
}

static void pure_keep(const knocker_request *q, pure_kit *kit)
{
	pure_kit *old = NULL;

	if (kit->size > sizeof *kit + PURE_KEPT_BYTES || pthread_mutex_trylock(&pure_kept_lock) != 0)
		return;
	if (!pure_look(q)) {
		old = pure_kept[pure_kept_next];
		atomic_fetch_add(&kit->users, 1);
		pure_kept[pure_kept_next] = kit;
		pure_kept_next = (pure_kept_next + 1) % PURE_KEPT;
	}
	pthread_mutex_unlock(&pure_kept_lock);
	pure_leave(old);
}

/* ---- the calls ---- */

/* What signs is never kept: it may be a private key, and only a test signs. */
static int32_t pure_open(const knocker_request *q, bool to_sign, pure_kit **out,
                         knocker_error *error)
{
	int32_t rc;

	*out = NULL;
	if (q->provider.len <= 0)
		return fail(error, KNOCKER_INVALID_ARGUMENT,
		            "provider is missing: a built-in's name or a scheme's JSON");
	rc = request_headers_check(q->headers, error);
	if (rc < 0)
		return rc;
	if (!to_sign)
		*out = pure_find(q);
	if (*out)
		return 0;
	rc = pure_make(q, to_sign, out, error);
	if (rc == 0 && !to_sign)
		pure_keep(q, *out);
	return rc;
}

static scheme_request pure_request(const knocker_request *q)
{
	return (scheme_request){q->method, q->headers, q->query, q->body};
}

int32_t receipt_verify(const knocker_request *request, int64_t now_ms, knocker_rows **out,
                       knocker_error *error)
{
	scheme_verdict v = {0};
	arena a = {0};
	scheme_request asked = pure_request(request);
	pure_kit *kit;
	int32_t rc = pure_open(request, false, &kit, error);

	if (rc == 0)
		rc = scheme_verify(kit->scheme, kit->keys, &asked, now_ms / 1000, &a, &v, error);
	if (rc == 0)
		rc = rows_new(
			"valid, error, event_type, provider_event_id, provider_delivery_id, dedupe_key, response_status, "
			"response_headers, response_body",
			out, error);
	if (rc == 0)
		rc = rows_add(*out,
		              (const knocker_value[]){INT(v.valid), TEXT(bytes_of(v.error)),
		                                      TEXT(v.event_type), TEXT(v.provider_event_id),
		                                      TEXT(v.provider_delivery_id), TEXT(v.dedupe_key),
		                                      INT(v.status), TEXT(v.response_headers),
		                                      BLOB(v.response_body)},
		              error);
	pure_leave(kit);
	arena_free(&a);
	return rc;
}

int32_t receipt_sign(const knocker_request *request, int64_t now_ms, knocker_rows **out,
                     knocker_error *error)
{
	knocker_bytes name, value;
	size_t at = 0;
	buffer lines;
	scheme_request asked = pure_request(request);
	pure_kit *kit;
	int32_t rc = pure_open(request, true, &kit, error);

	buffer_init(&lines, LIMIT_HEADERS);
	if (rc == 0)
		rc = scheme_sign(kit->scheme, kit->keys, &asked, now_ms / 1000, &lines, error);
	if (rc == 0 && lines.failed)
		rc = fail_memory(error);
	if (rc == 0)
		rc = rows_new("name, value", out, error);
	while (rc == 0 && request_header_next(buffer_view(&lines), &at, &name, &value))
		rc = rows_add(*out, (const knocker_value[]){TEXT(name), TEXT(value)}, error);
	pure_leave(kit);
	buffer_free(&lines);
	return rc;
}
