/* Turns a registration's secrets and options into keys and values, and refuses what is none.
 * Secrets stay in memory that is wiped when freed; no message holds one. */
#include <string.h>

#include "error.h"
#include "scheme_jwt.h"

/* ---- options ---- */

knocker_bytes scheme_option_text(const scheme *s, const scheme_keys *keys, size_t option)
{
	const scheme_option *declared = &s->options[option];
	const scheme_option_value *value;

	if (!keys)
		return declared->has_default && !declared->is_int ? declared->text : (knocker_bytes){0};
	value = &keys->options[option];
	return value->text.bytes ? (knocker_bytes){value->text.bytes, (int64_t)value->text.len}
	                         : (knocker_bytes){0};
}

static int32_t keys_copy(knocker_bytes from, scheme_secret *to, knocker_error *error)
{
	to->bytes = memory_get((size_t)from.len);
	if (!to->bytes)
		return fail_memory(error);
	to->len = (size_t)from.len;
	memcpy(to->bytes, from.data, to->len);
	return 0;
}

static void keys_wipe(uint8_t *bytes, size_t len)
{
	crypto_cleanse(bytes, len);
	memory_free(bytes);
}

static int32_t keys_option_set(scheme_option_value *value, const scheme_option *option,
                               knocker_bytes text, int64_t number, knocker_error *error)
{
	buffer digits;
	int32_t rc;

	value->given = true;
	value->number = number;
	if (!option->is_int)
		return keys_copy(text, &value->text, error);
	buffer_init(&digits, 32);
	buffer_int(&digits, number);
	rc = digits.failed ? fail_memory(error) : keys_copy(buffer_view(&digits), &value->text, error);
	buffer_free(&digits);
	return rc;
}

static bool keys_text_plain(knocker_bytes text)
{
	int64_t i;

	for (i = 0; i < text.len; i++) {
		uint8_t c = ((const uint8_t *)text.data)[i];

		if (c < 0x20 || c == 0x7F)
			return false;
	}
	return text.len > 0;
}

static int32_t keys_option_read(const scheme *s, scheme_keys *keys, const json *given,
                                knocker_error *error)
{
	ptrdiff_t at = scheme_option_find(s, json_name(given));
	const scheme_option *option;
	int64_t number = 0;

	if (at < 0)
		return fail(error, KNOCKER_INVALID_ARGUMENT, "no option is named '%.*s'",
		            QUOTED(json_name(given)));
	option = &s->options[at];
	if (option->is_int && !json_int(given, &number))
		return fail(error, KNOCKER_INVALID_ARGUMENT, "option '%.*s' is not a whole number",
		            QUOTED(option->name));
	if (option->is_int && at == s->option_tolerance && number < 0)
		return fail(error, KNOCKER_INVALID_ARGUMENT,
		            "option 'tolerance_s' is %lld and must be 0 or more", (long long)number);
	if (!option->is_int && json_kind(given) != JSON_TEXT)
		return fail(error, KNOCKER_INVALID_ARGUMENT, "option '%.*s' is not a text",
		            QUOTED(option->name));
	if (!option->is_int && !keys_text_plain(json_text(given)))
		return fail(error, KNOCKER_INVALID_ARGUMENT,
		            "option '%.*s' is empty or holds a control character", QUOTED(option->name));
	return keys_option_set(&keys->options[at], option, json_text(given), number, error);
}

/* An option that is a header's name must be one. */
static int32_t keys_headers_check(const scheme *s, const scheme_keys *keys, knocker_error *error)
{
	size_t i, k;

	for (i = 0; i < s->option_count; i++) {
		knocker_bytes value = scheme_option_text(s, keys, i);
		bool names = false;

		for (k = 0; k < s->header_count; k++)
			names |= s->headers[k].has_option &&
			         memmem(s->headers[k].text.data, (size_t)s->headers[k].text.len,
			                s->options[i].name.data, (size_t)s->options[i].name.len);
		if (names && bytes_given(value) && !request_name_valid(value))
			return fail(error, KNOCKER_INVALID_ARGUMENT,
			            "option '%.*s' is not a header's name: '%.*s'", QUOTED(s->options[i].name),
			            QUOTED(value));
	}
	return 0;
}

static int32_t keys_options_copy(scheme_keys *keys, const scheme_keys *base, knocker_error *error)
{
	int32_t rc = 0;
	size_t i;

	for (i = 0; rc == 0 && i < SCHEME_OPTIONS_MAX; i++) {
		const scheme_option_value *from = &base->options[i];

		keys->options[i].given = from->given;
		keys->options[i].number = from->number;
		if (from->text.bytes)
			rc = keys_copy((knocker_bytes){from->text.bytes, (int64_t)from->text.len},
			               &keys->options[i].text, error);
	}
	return rc;
}

static int32_t keys_options_read(const scheme *s, scheme_keys *keys, knocker_bytes options_json,
                                 knocker_error *error)
{
	const json *given;
	json *tree = NULL;
	int32_t rc = 0;
	size_t i;

	if (bytes_given(options_json))
		rc = json_parse("options_json", options_json, &tree, error);
	if (rc == 0 && tree && json_kind(tree) != JSON_OBJECT)
		rc = fail(error, KNOCKER_INVALID_ARGUMENT, "options_json is not a JSON object");
	for (given = json_first(tree); rc == 0 && given; given = json_next(given))
		rc = keys_option_read(s, keys, given, error);
	for (i = 0; rc == 0 && i < s->option_count; i++) {
		const scheme_option *option = &s->options[i];

		if (keys->options[i].given)
			continue;
		if (option->has_default)
			rc = keys_option_set(&keys->options[i], option, option->text, option->number, error);
		else if (option->required)
			rc = fail(error, KNOCKER_INVALID_ARGUMENT, "option '%.*s' is missing",
			          QUOTED(option->name));
	}
	json_cleanse_free(tree);
	return rc < 0 ? rc : keys_headers_check(s, keys, error);
}

/* ---- secrets ---- */

static const scheme_group *keys_group(const scheme *s, size_t group)
{
	return &s->tries[0].groups[group];
}

/* A secret that begins with the prefix of an `alt` belongs to that only. */
static size_t keys_group_of(const scheme *s, knocker_bytes secret)
{
	size_t i;

	for (i = 1; i < s->group_count; i++) {
		knocker_bytes strip = keys_group(s, i)->key.strip;

		if (strip.len > 0 && secret.len >= strip.len &&
		    memcmp(secret.data, strip.data, (size_t)strip.len) == 0)
			return i;
	}
	return 0;
}

/* Whether signatures under a key of this group may use the digest. */
static bool keys_digest_used(const scheme *s, const scheme_group *group, digest d)
{
	uint32_t algs = s->tries[0].jwt.algs & JWT_HS;
	size_t i;

	if (group->kind->id == KIND_HMAC)
		return group->alg.how != ALG_FIXED || group->alg.fixed == d;
	for (i = 0; group->kind->id == KIND_JWT && i < JWT_ALGS; i++)
		if (algs >> i & 1 && scheme_jwt_digest((jwt_alg)i) == d)
			return true;
	return false;
}

static bool keys_hmac_prepare(const scheme *s, const scheme_group *group, scheme_key *key)
{
	knocker_bytes bytes = {key->bytes, (int64_t)key->len};
	size_t i;

	for (i = 0; i < DIGEST_KINDS; i++) {
		if (!keys_digest_used(s, group, (digest)i))
			continue;
		key->hmac[i] = crypto_key_new((digest)i, bytes);
		if (!key->hmac[i])
			return false;
	}
	return true;
}

/* Takes over `bytes`. */
static int32_t keys_add(const scheme *s, scheme_keys *keys, size_t secret, size_t group,
                        uint8_t *bytes, size_t len, knocker_error *error)
{
	const scheme_group *rules = keys_group(s, group);
	scheme_key *key = &keys->keys[keys->key_count];
	knocker_bytes whole = {bytes, (int64_t)len};
	uint8_t hash[DIGEST_MAX];

	if (keys->key_count == SCHEME_KEYS_MAX) {
		keys_wipe(bytes, len);
		return fail(error, KNOCKER_INVALID_ARGUMENT, "more than %d keys", SCHEME_KEYS_MAX);
	}
	keys->key_count++;
	*key = (scheme_key){.group = group, .secret = secret, .bytes = bytes, .len = len};
	if (rules->key.derive_sha1) {
		if (crypto_hash(DIGEST_SHA1, &whole, 1, hash) != 20)
			return fail(error, KNOCKER_STORAGE, "libcrypto cannot make SHA-1 digests");
		crypto_cleanse(bytes, len);
		memcpy(bytes, hash, 20);
		key->len = 20;
		whole.len = 20;
	}
	if (rules->kind->id == KIND_TOKEN || rules->kind->id == KIND_BASIC) {
		if (crypto_hash(DIGEST_SHA256, &whole, 1, hash) != 32)
			return fail_memory(error);
		memcpy(key->hash, hash, sizeof key->hash);
	}
	crypto_cleanse(hash, sizeof hash);
	return keys_hmac_prepare(s, rules, key) ? 0 : fail_memory(error);
}

/* Decodes one secret as `how` says. 0 with `*len` 0: it is no such key. */
static int32_t keys_decode(key_decoding how, knocker_bytes secret, uint8_t **bytes, size_t *len,
                           knocker_error *error)
{
	bool good = true;

	*bytes = memory_get((size_t)secret.len + 20); /* a derived key's 20 bytes fit too */
	*len = 0;
	if (!*bytes)
		return fail_memory(error);
	if (how == DECODE_HEX) {
		good = codec_hex(secret, *bytes, len);
	} else if (how == DECODE_UTF8) {
		memcpy(*bytes, secret.data, (size_t)secret.len);
		*len = (size_t)secret.len;
	} else {
		good = codec_base64_lenient(secret, *bytes, len);
	}
	if (!good)
		*len = 0;
	return 0;
}

static int32_t keys_try(const scheme *s, scheme_keys *keys, size_t secret, size_t group,
                        key_decoding how, knocker_bytes text, bool *made, knocker_error *error)
{
	uint8_t *bytes;
	size_t len;
	int32_t rc = keys_decode(how, text, &bytes, &len, error);

	if (rc < 0)
		return rc;
	if (len == 0 || (keys_group(s, group)->kind->id == KIND_ED25519 && len != 32)) {
		keys_wipe(bytes, (size_t)text.len);
		return 0;
	}
	*made = true;
	return keys_add(s, keys, secret, group, bytes, len, error);
}

/* The group of a pair's private key, which only signs: the first whose kind has pairs. */
static size_t keys_group_of_pair(const scheme *s, size_t otherwise)
{
	size_t i;

	for (i = 0; i < s->group_count; i++)
		if (keys_group(s, i)->kind->id == KIND_ED25519)
			return i;
	return otherwise;
}

static int32_t keys_secret_add(const scheme *s, scheme_keys *keys, size_t number,
                               knocker_bytes secret, knocker_error *error)
{
	static const char *const names[] = {"text", "hexadecimal", "base64", "base64", "", ""};
	size_t group = keys_group_of(s, secret);
	scheme_key_rule rule = keys_group(s, group)->key;
	knocker_bytes bare = secret;
	bool made = false, stripped = rule.strip.len > 0 && secret.len >= rule.strip.len &&
	                              memcmp(secret.data, rule.strip.data, (size_t)rule.strip.len) == 0;
	int32_t rc;

	if (keys->to_sign && rule.decode < DECODE_PEM && scheme_public_is_private(secret)) {
		group = keys_group_of_pair(s, group);
		if (keys_group(s, group)->kind->id == KIND_ED25519)
			return scheme_public_add(s, keys, number, group, secret, error);
	}
	if (stripped)
		bare = bytes_part(secret, (size_t)rule.strip.len, (size_t)secret.len);
	if (rule.decode >= DECODE_PEM)
		return scheme_public_add(s, keys, number, group, bare, error);
	rc = keys_try(s, keys, number, group, rule.decode, bare, &made, error);
	if (rc == 0 && rule.decode == DECODE_BASE64_OR_RAW && !stripped)
		rc = keys_try(s, keys, number, group, DECODE_UTF8, bare, &made, error);
	if (rc < 0 || made)
		return rc;
	return fail(error, KNOCKER_INVALID_ARGUMENT, "secret %zu is not a key of this scheme: %s%s",
	            number + 1, keys_group(s, group)->kind->id == KIND_ED25519 ? "32 bytes in " : "",
	            names[rule.decode]);
}

static int32_t keys_secret_take(const scheme *s, scheme_keys *keys, knocker_bytes text,
                                knocker_error *error)
{
	size_t number = keys->secret_count;
	int32_t rc;

	if (number == LIMIT_SECRETS)
		return fail(error, KNOCKER_INVALID_ARGUMENT, "more than %d secrets", LIMIT_SECRETS);
	if (!bytes_given(text))
		return fail(error, KNOCKER_INVALID_ARGUMENT, "secret %zu is not a text", number + 1);
	if (text.len == 0)
		return fail(error, KNOCKER_INVALID_ARGUMENT, "secret %zu is empty", number + 1);
	rc = keys_copy(text, &keys->secrets[number], error);
	if (rc < 0)
		return rc;
	keys->secret_count++;
	return keys_secret_add(s, keys, number, text, error);
}

static int32_t keys_secrets_read(const scheme *s, scheme_keys *keys, const scheme_keys *base,
                                 const json *list, knocker_error *error)
{
	const json *given;
	int32_t rc = 0;
	size_t i;

	if (list && json_kind(list) != JSON_ARRAY)
		return fail(error, KNOCKER_INVALID_ARGUMENT, "secrets_json is not a JSON array of texts");
	for (given = json_first(list); rc == 0 && given; given = json_next(given))
		rc = keys_secret_take(s, keys, json_text(given), error);
	for (i = 0; rc == 0 && !list && base && i < base->secret_count; i++)
		rc = keys_secret_take(s, keys,
		                      (knocker_bytes){base->secrets[i].bytes,
		                                      (int64_t)base->secrets[i].len},
		                      error);
	if (rc == 0 && keys->secret_count == 0 && !s->stores_secret)
		rc = fail(error, KNOCKER_INVALID_ARGUMENT,
		          "a secret is missing: this scheme cannot verify without one");
	return rc;
}

static int32_t keys_make(const scheme *s, const scheme_keys *base, bool to_sign,
                         knocker_bytes secrets_json, knocker_bytes options_json, scheme_keys **out,
                         knocker_error *error)
{
	scheme_keys *keys = memory_get(sizeof *keys);
	json *secrets = NULL;
	int32_t rc;

	*out = NULL;
	if (!keys)
		return fail_memory(error);
	memset(keys, 0, sizeof *keys);
	keys->to_sign = to_sign;
	if (base && !bytes_given(options_json))
		rc = keys_options_copy(keys, base, error);
	else
		rc = keys_options_read(s, keys, options_json, error);
	if (rc == 0 && bytes_given(secrets_json))
		rc = json_parse("secrets_json", secrets_json, &secrets, error);
	if (rc == 0)
		rc = keys_secrets_read(s, keys, base, secrets, error);
	json_cleanse_free(secrets);
	if (rc == 0)
		*out = keys;
	else
		scheme_keys_free(keys);
	return rc;
}

int32_t scheme_keys_over(const scheme *s, const scheme_keys *base, knocker_bytes secrets_json,
                         knocker_bytes options_json, scheme_keys **out, knocker_error *error)
{
	return keys_make(s, base, false, secrets_json, options_json, out, error);
}

int32_t scheme_keys_new(const scheme *s, knocker_bytes secrets_json, knocker_bytes options_json,
                        scheme_keys **out, knocker_error *error)
{
	return keys_make(s, NULL, false, secrets_json, options_json, out, error);
}

int32_t scheme_keys_to_sign(const scheme *s, knocker_bytes secrets_json, knocker_bytes options_json,
                            scheme_keys **out, knocker_error *error)
{
	return keys_make(s, NULL, true, secrets_json, options_json, out, error);
}

void scheme_keys_free(scheme_keys *keys)
{
	size_t i, k;

	if (!keys)
		return;
	for (i = 0; i < keys->key_count; i++) {
		for (k = 0; k < DIGEST_KINDS; k++)
			crypto_key_free(keys->keys[i].hmac[k]);
		crypto_public_free(keys->keys[i].pair);
		memory_free(keys->keys[i].id);
		keys_wipe(keys->keys[i].bytes, keys->keys[i].len);
		crypto_cleanse(&keys->keys[i], sizeof keys->keys[i]);
	}
	for (i = 0; i < keys->secret_count; i++)
		keys_wipe(keys->secrets[i].bytes, keys->secrets[i].len);
	for (i = 0; i < SCHEME_OPTIONS_MAX; i++)
		keys_wipe(keys->options[i].text.bytes, keys->options[i].text.len);
	memory_free(keys);
}

bool scheme_keys_have_secret(const scheme_keys *keys)
{
	return keys && keys->secret_count > 0;
}
