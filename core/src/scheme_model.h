/* A scheme as it is compiled, and the keys of a registration. Data only: what is read of a request
 * by them stands in scheme_parts.h. Only the files of the signature engine include this. */
#ifndef KNOCKER_SCHEME_MODEL_H
#define KNOCKER_SCHEME_MODEL_H

#include "bounds.h"
#include "crypto.h"
#include "scan.h"
#include "scheme.h"
#include "scheme_codec.h"

#define SCHEME_HEADERS_MAX 64 /* header names of a scheme */
#define SCHEME_PARTS_MAX 32   /* parts of a template */
#define SCHEME_VARS_MAX 8
#define SCHEME_OPTIONS_MAX 16
#define SCHEME_FAMILIES_MAX 4
#define SCHEME_GROUPS_MAX 4  /* the scheme's own kind and its `alt`s */
#define SCHEME_LISTED_MAX 64 /* names of a list of headers */
#define SCHEME_CLAIMS_MAX 24 /* claims that a scheme reads */
#define SCHEME_KEYS_MAX 64   /* two for each secret; a set of public keys may hold several */

/* ---- texts and sources ---- */

/* A text of the scheme in which "{option:N}" may stand, to be replaced by the option's value. */
typedef struct {
	knocker_bytes text;
	bool has_option, is_whole; /* whole: a member's name, in which a point is a point */
} scheme_name;

typedef enum {
	SOURCE_HEADER,
	SOURCE_HEADERS, /* header*: every header whose name begins so */
	SOURCE_JSON,
	SOURCE_ITEM, /* j: a member of the item of `base` */
	SOURCE_FORM,
	SOURCE_QUERY,
	SOURCE_SIG,
	SOURCE_SIGITEM,
	SOURCE_CLAIM, /* of the token that verified */
	SOURCE_OPTION,
	SOURCE_JOIN
} source_kind;

typedef struct scheme_source scheme_source;
struct scheme_source {
	source_kind kind;
	knocker_bytes word; /* as the scheme has it, for messages: "json:data.id" */
	scheme_name name;   /* header, path, field, element; of a join its separator */
	size_t slot;        /* of headers, paths and claims; the number of an item or option */
	const scheme_source *pieces;
	size_t piece_count;
};

typedef struct {
	const scheme_source *list;
	size_t count;
} scheme_sources;

/* ---- templates ---- */

typedef enum {
	PART_LITERAL,
	PART_BODY,
	PART_BODY_B64,
	PART_MD5_B64,
	PART_CRC32,
	PART_METHOD,
	PART_URL,
	PART_URL_NOQUERY,
	PART_URL_PATH,
	PART_URL_UNESCAPED,
	PART_URL_TRIES,
	PART_FORM_SORTED,
	PART_FORM_SORTED_UNIQUE,
	PART_URL_FORM_SORTED,
	PART_URI_ESCAPED,
	PART_QUERY_CANONICAL,
	PART_JSON_LINES, /* of the source's pieces */
	PART_HEADER_LIST,
	PART_SECRET,
	PART_DELIVERY_ID,
	PART_EVENT_ID,
	PART_EVENT_TYPE,
	PART_VAR,
	PART_SOURCE,
	PART_HMAC,  /* of the source's text, in hex; in answers only */
	PART_MEMBER /* of an array's element; in each: only */
} part_kind;

typedef struct {
	part_kind kind;
	knocker_bytes literal;
	size_t number; /* of a var or member */
	scheme_source source;
} scheme_part;

typedef struct {
	const scheme_part *parts;
	size_t count;
} scheme_template;

typedef struct {
	const scheme_template *list;
	size_t count;
} scheme_templates;

/* ---- the scheme ---- */

typedef enum {
	KIND_HMAC,
	KIND_HASH,
	KIND_ED25519,
	KIND_TOKEN,
	KIND_BASIC,
	KIND_ECDSA_P256,
	KIND_RSA_PKCS1,
	KIND_JWT
} kind_id;
typedef enum { ENCODING_NONE, ENCODING_HEX, ENCODING_BASE64, ENCODING_BASE64URL } encoding;
typedef enum {
	DECODE_UTF8,
	DECODE_HEX,
	DECODE_BASE64,
	DECODE_BASE64_OR_RAW,
	DECODE_PEM, /* the first that makes public keys */
	DECODE_JWKS
} key_decoding;
typedef enum { JWT_HS256, JWT_HS384, JWT_HS512, JWT_RS256, JWT_ES256, JWT_ALGS } jwt_alg;

typedef struct scheme_kind scheme_kind;

typedef struct {
	knocker_bytes name;
	digest digest;
} scheme_alg_name;

typedef struct {
	enum { ALG_FIXED, ALG_AUTO, ALG_BY_SOURCE } how;
	digest fixed;
	bool has_fallback; /* ALG_BY_SOURCE: `fixed` when the source names none */
	scheme_sources from;
	knocker_bytes items, kv, pick;
	bool trim;
	const scheme_alg_name *map;
	size_t map_count;
} scheme_alg;

typedef struct {
	knocker_bytes strip;
	key_decoding decode;
	bool derive_sha1;
	size_t host; /* 0, or 1 + the number of the option that names a certificate's host */
} scheme_key_rule;

/* The scheme's own kind, or one of its `alt`s: what a key of it is and which signatures are its. */
typedef struct {
	const scheme_kind *kind;
	scheme_alg alg;
	scheme_key_rule key;
	const scheme_name *pick;
	size_t pick_count;
} scheme_group;

typedef struct {
	knocker_bytes word, sets, items, kv, prefix;
	bool trim, prefix_optional;
	size_t skip;
	encoding encoding;
} scheme_signature;

typedef struct {
	knocker_bytes name;
	scheme_sources from;
	time_unit unit;
	bool number;
	bool has_is; /* it must be the text of `is` */
	scheme_source is;
} scheme_var;

typedef struct {
	knocker_bytes param;
	scheme_template require; /* its SHA-256 in hex must stand in the query */
	scheme_templates sign;
} scheme_when_query;

typedef struct {
	enum { DEDUPE_TEXT, DEDUPE_SHA256, DEDUPE_EACH } how;
	scheme_template text;
	size_t array;             /* DEDUPE_EACH: the path of the array, */
	const scan_path *members; /* and what of each element the template reads */
	size_t member_count;
} scheme_dedupe;

/* A list of headers' names that the request brings: `from` is absent where the scheme has none. */
typedef struct {
	scheme_sources from;
	knocker_bytes items, kv, join; /* kv absent: the values alone */
	const knocker_bytes *require;  /* names in lower case that the list must have */
	size_t require_count;
} scheme_header_list;

/* A claim, and what it must be: one of `texts`; `is_hash`: the SHA-256 of the only one in hex. */
typedef struct {
	size_t slot;
	bool is_hash, if_body;
	scheme_templates texts;
} scheme_claim;

typedef struct {
	uint32_t algs; /* a bit for each jwt_alg */
	int64_t leeway_s;
	size_t exp, nbf, require_count, claim_count; /* exp and nbf are slots */
	const size_t *require;                       /* slots */
	const scheme_claim *claims;
} scheme_jwt;

typedef enum { ID_DELIVERY, ID_EVENT, ID_TYPE, ID_COUNT } id_kind;

/* All that may hold {family}: one such for each family, or one. */
typedef struct {
	knocker_bytes family;
	scheme_sources from;
	scheme_group groups[SCHEME_GROUPS_MAX];
	scheme_var vars[SCHEME_VARS_MAX];
	scheme_templates sign;
	scheme_header_list header_list;
	scheme_jwt jwt;
	const scheme_when_query *when;
	size_t when_count;
	scheme_sources ids[ID_COUNT];
	const scheme_dedupe *dedupe;
	size_t dedupe_count;
} scheme_try;

typedef struct {
	enum { WHEN_METHOD, WHEN_TEXT, WHEN_ANY, WHEN_NULL, WHEN_SAME, WHEN_CHARS } how;
	scheme_source source, other;
	knocker_bytes text;
	int64_t min, max;
} scheme_condition;

typedef struct {
	knocker_bytes name;
	scheme_template text;
	bool is_number; /* an answer's member that goes out without quotes */
} scheme_member;

typedef struct {
	int64_t status;
	knocker_bytes type;
	const scheme_member *headers;
	size_t header_count;
	bool has_text; /* the body is `text`; */
	scheme_template text;
	bool has_object; /* or a JSON object of `members` */
	const scheme_member *members;
	size_t member_count;
} scheme_answer;

typedef struct {
	const scheme_condition *conditions;
	size_t condition_count;
	bool is_signed, stores;
	scheme_source store;
	scheme_answer answer;
} scheme_handshake;

typedef struct {
	knocker_bytes name;
	bool is_int, required;
	bool has_default;
	knocker_bytes text; /* the default's */
	int64_t number;
} scheme_option;

struct scheme {
	arena memory;
	const scheme_kind *kind;
	size_t group_count, var_count, try_count, option_count, header_count, path_count,
		item_path_count, claim_count;
	scheme_signature signature;
	const scheme_try *tries;
	scheme_option options[SCHEME_OPTIONS_MAX];
	scheme_name headers[SCHEME_HEADERS_MAX];
	scheme_name paths[SCAN_PATHS_MAX];      /* of json: */
	scheme_name item_paths[SCAN_PATHS_MAX]; /* of j: */
	scheme_name claims[SCHEME_CLAIMS_MAX];
	bool paths_dynamic; /* an option stands in a path: cut for each request */
	scan_path cut[SCAN_PATHS_MAX], item_cut[SCAN_PATHS_MAX], claim_cut[SCHEME_CLAIMS_MAX];
	const knocker_bytes *bases; /* "" is the root; "a.*.b" as given */
	size_t base_count;
	bool has_replay, has_window;
	size_t replay_var;
	int64_t tolerance_s;
	ptrdiff_t option_tolerance, option_url, option_method; /* their numbers, or -1 */
	knocker_bytes form_json_field;
	const scheme_handshake *handshakes;
	size_t handshake_count;
	bool stores_secret;
	/* What is sent passes with any body: it is never stored. */
	bool is_credential, credential_in_body;
	scheme_answer accept, reject;
	knocker_bytes options_json;
};

/* ---- keys ---- */

typedef struct {
	size_t group;
	size_t secret; /* which of the secrets it was made from */
	uint8_t *bytes;
	size_t len;
	crypto_key *hmac[DIGEST_KINDS];
	/* Of token and basic: of the secret's text, so that comparing takes one time for any length. */
	uint8_t hash[32];
	crypto_public *pair;
	bool has_time; /* of a certificate: when it holds */
	int64_t from_s, until_s;
	/* What a JWK says that it is for: JWT_ALGS is any, and an absent name any. */
	jwt_alg alg;
	uint8_t *id;
	size_t id_len;
} scheme_key;

typedef struct {
	uint8_t *bytes;
	size_t len;
} scheme_secret;

typedef struct {
	bool given;
	int64_t number;
	scheme_secret text;
} scheme_option_value;

struct scheme_keys {
	size_t secret_count, key_count;
	scheme_secret secrets[LIMIT_SECRETS];
	scheme_key keys[SCHEME_KEYS_MAX];
	bool to_sign; /* private keys of a pair are taken, too */
	/* By the scheme's numbers; defaults filled in. */
	scheme_option_value options[SCHEME_OPTIONS_MAX];
};

/* The option's text, or absent. Without keys it is the default's. */
knocker_bytes scheme_option_text(const scheme *s, const scheme_keys *keys, size_t option);

ptrdiff_t scheme_option_find(const scheme *s, knocker_bytes name); /* its number, or -1 */

#endif
