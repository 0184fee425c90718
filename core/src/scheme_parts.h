/* What the files of the signature engine share: a request as it is read by a compiled scheme, and
 * what each file offers the others. Nobody else includes this. */
#ifndef KNOCKER_SCHEME_PARTS_H
#define KNOCKER_SCHEME_PARTS_H

#include "json.h"
#include "scheme_model.h"

/* Signatures of one request that are tried: each hashes the body once a key. */
#define SCHEME_SETS_MAX 16
#define SCHEME_ITEMS_MAX 256 /* items of one signature that are read */
#define SCHEME_FORM_MAX 1000 /* fields of a form that is sorted: senders have dozens */
#define SCHEME_URL_TRIES 9   /* spellings of {url~} */

/* ---- a request as it is read ---- */

typedef struct {
	knocker_bytes text; /* absent: none, or an empty one */
	bool ambiguous;     /* several different ones */
	bool is_number;     /* a JSON number */
	bool is_null; /* really absent or JSON's null, not an array or a text that cannot be read */
} scheme_text;

typedef struct {
	knocker_bytes bytes;
	digest digest;
} scheme_candidate;

/* Why a request is refused; of several tries the one that came furthest is told. */
typedef enum {
	REFUSED_NOT,
	REFUSED_MISSING,
	REFUSED_MALFORMED,
	REFUSED_AMBIGUOUS,
	REFUSED_VAR,
	REFUSED_MISMATCH,
	REFUSED_CLAIM,
	REFUSED_STALE
} refusal;

typedef struct {
	const scheme *scheme;
	const scheme_keys *keys;
	const scheme_request *request;
	int64_t now_s;
	arena *arena;
	bool no_memory;
	/* Reading ids or a handshake: different texts are none, a JSON body has no form. */
	bool extracting;
	bool form_json; /* reading ids: json: may come from the form's field */

	scheme_text headers[SCHEME_HEADERS_MAX];
	scan_value values[SCAN_PATHS_MAX], form_values[SCAN_PATHS_MAX], item_values[SCAN_PATHS_MAX];
	enum { BODY_UNREAD, BODY_JSON, BODY_OTHER } body, form_body;
	const scan_path *paths, *item_paths, *claim_paths;
	bool has_item;
	knocker_bytes token; /* the claims of the one that verified; absent: none has */
	scan_value claims[SCHEME_CLAIMS_MAX];

	const scheme_try *current;
	bool has_signature;
	knocker_bytes items[SCHEME_ITEMS_MAX]; /* of the signature in hand */
	size_t item_count;
	scheme_candidate candidates[LIMIT_CANDIDATES];
	size_t candidate_count, candidates_seen, sets_seen;
	knocker_bytes vars[SCHEME_VARS_MAX];
	/* Those that were signed: others may stand beside them. */
	knocker_bytes passed_set, passed_token, passed_vars[SCHEME_VARS_MAX];
	knocker_bytes ids[ID_COUNT];
	const scheme_key *matched;
	knocker_bytes url_tries[SCHEME_URL_TRIES];
	size_t url_try_count;

	refusal refusal;
	const char *error;
} scheme_reading;

/* scheme_source.c */
void scheme_reading_begin(scheme_reading *r, const scheme *s, const scheme_keys *keys,
                          const scheme_request *request, int64_t now_s, arena *a);
void scheme_refuse(scheme_reading *r, refusal rank, const char *format, ...)
	__attribute__((format(printf, 3, 4)));
const char *scheme_shown(scheme_reading *r, knocker_bytes text); /* for messages: cut, printable */
void scheme_headers_read(scheme_reading *r);                     /* fills headers */
knocker_bytes scheme_name_text(scheme_reading *r, scheme_name name);
knocker_bytes scheme_lower(scheme_reading *r,
                           knocker_bytes text); /* a copy; the text where there is no memory */
knocker_bytes scheme_header_name(scheme_reading *r, scheme_name name); /* the same in lower case */
scheme_text scheme_source_read(scheme_reading *r, const scheme_source *source);
/* The first that has a text. Ambiguous: verification must refuse. */
scheme_text scheme_sources_read(scheme_reading *r, scheme_sources sources);
const char *scheme_source_says(scheme_reading *r, const scheme_source *source); /* "header 'x'" */
/* By path; all absent when the body is no JSON. */
const scan_value *scheme_body_values(scheme_reading *r);
bool scheme_body_is_json(scheme_reading *r);
void scheme_item_enter(scheme_reading *r, scan_value item);

/* scheme_candidate.c */
bool scheme_item_char(char c, knocker_bytes any);
bool scheme_piece_next(knocker_bytes text, knocker_bytes marks, size_t *at, knocker_bytes *piece);
bool scheme_word_off(knocker_bytes word, knocker_bytes *text);
void scheme_items_cut(scheme_reading *r, knocker_bytes set); /* fills items */
int64_t scheme_kv_find(knocker_bytes item, knocker_bytes kv);
/* Fills candidates. */
void scheme_candidates_find(scheme_reading *r, const scheme_group *group, digest d);

/* scheme_template.c */
/* Fills `parts`, one for each of the template's; what `key` and `attempt` decide too. In signed
 * texts an absent source is empty. False: an ambiguous text (refused), or, when not signing, an
 * absent one. */
bool scheme_template_fill(scheme_reading *r, const scheme_template *t, bool is_signed,
                          const scheme_key *key, size_t attempt, knocker_bytes *parts);
/* The template's text, or absent. */
knocker_bytes scheme_template_text(scheme_reading *r, const scheme_template *t);
knocker_bytes scheme_join(scheme_reading *r, const knocker_bytes *parts, size_t count);
bool scheme_template_has(const scheme_template *t, part_kind kind);
bool scheme_hmac_hex(scheme_reading *r, knocker_bytes text, knocker_bytes *out);

/* scheme_url.c */
knocker_bytes scheme_url(scheme_reading *r);
knocker_bytes scheme_url_noquery(knocker_bytes url);
knocker_bytes scheme_url_unescaped(scheme_reading *r, knocker_bytes url);
void scheme_url_spell(scheme_reading *r); /* fills url_tries */
knocker_bytes scheme_url_path(knocker_bytes url);
knocker_bytes scheme_form_sorted(scheme_reading *r, bool unique);
knocker_bytes scheme_url_form_sorted(scheme_reading *r);
knocker_bytes scheme_query_canonical(scheme_reading *r);
knocker_bytes scheme_uri_escaped(scheme_reading *r);

/* scheme_header_list.c */
/* What the listed headers say; `*good` false: refused. */
knocker_bytes scheme_header_list_text(scheme_reading *r, bool *good);
/* Before a request is signed, whose vars are known: the list, and the headers that are sent, are
 * put where they are read. `*list` is absent where none is signed. */
int32_t scheme_header_list_make(scheme_reading *r, knocker_bytes *list, knocker_error *error);

/* scheme_check.c: the kinds */
struct scheme_kind {
	const char *name;
	kind_id id;
	bool has_alg, has_key, has_signed, has_encoding;
	/* Whether one of the reading's candidates is right under one of the group's keys; all are
	 * tried. */
	bool (*check)(scheme_reading *r, size_t group, scheme_templates sign);
};
const scheme_kind *scheme_kind_find(knocker_bytes name); /* NULL: no such word */

/* scheme_extract.c */
void scheme_extract(scheme_reading *r, scheme_verdict *out, bool with_dedupe);
/* Absent when it is no id: empty, NUL, too long, no UTF-8. */
knocker_bytes scheme_id_text(knocker_bytes text);

/* scheme_handshake.c */
bool scheme_handshake_answer(scheme_reading *r, bool is_signed, scheme_verdict *out);
bool scheme_answer_write(scheme_reading *r, const scheme_answer *answer, scheme_verdict *out);

/* scheme_verify.c */
/* The digest that the request names, under that name. False: refused. */
bool scheme_digest_named(scheme_reading *r, const scheme_alg *alg, digest *d, knocker_bytes *name);
bool scheme_signed_choose(scheme_reading *r, const scheme_try *t, scheme_templates *out);

/* scheme_redact.c */
/* Whether the header or query member of that name is one that the scheme compares as a credential.
 * 1: yes, 0: no; KNOCKER_STORAGE: there was no memory to tell. */
int32_t scheme_redacts(const scheme *s, const scheme_keys *keys, source_kind kind,
                       knocker_bytes name);

/* ---- request.c ---- */
bool request_name_is(knocker_bytes name, knocker_bytes lower_case_name);
bool request_name_begins(knocker_bytes name, knocker_bytes lower_case_prefix);
/* Queries and forms. The pieces between "&"; empty ones are passed over. */
bool request_pair_next(knocker_bytes raw, size_t *at, knocker_bytes *name, knocker_bytes *value);
bool request_decoded_is(knocker_bytes raw, knocker_bytes wanted);
bool request_decode(arena *a, knocker_bytes raw, knocker_bytes *out); /* false: no memory */
/* How often the name comes; `*value` is the first, `*different` says whether another differs.
 * Negative: no memory. */
int64_t request_pair_find(arena *a, knocker_bytes raw, knocker_bytes name, knocker_bytes *value,
                          bool *different);

/* scheme.c: the text of a built-in's provider.json, by name or alias; NULL when none is named so.
 */
int32_t scheme_provider_text(knocker_bytes name, const char **out, knocker_error *error);

#endif
