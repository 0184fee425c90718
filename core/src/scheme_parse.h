/* What the files that compile a scheme share: from JSON to what scheme_parts.h describes. Nobody
 * else includes this. */
#ifndef KNOCKER_SCHEME_PARSE_H
#define KNOCKER_SCHEME_PARSE_H

#include "scheme_parts.h"

#define SCHEME_LAYERS_MAX 8 /* a scheme and those that it extends */

typedef struct {
	scheme *scheme;
	knocker_error *error;
	const json *layers[SCHEME_LAYERS_MAX]; /* the scheme's own members first */
	size_t layer_count;
	bool has_family;
	knocker_bytes family;
	const scheme_try *current; /* whose vars templates may name */
	knocker_bytes *members;    /* each: the member names of its template, and how many */
	size_t member_count;
} scheme_parser;

typedef enum { IN_SIGNED, IN_CLAIM, IN_DEDUPE, IN_EACH, IN_ANSWER } template_place;

int32_t scheme_parse(scheme_parser *p);
const json *scheme_parse_top(const scheme_parser *p, const char *name);
int32_t scheme_parse_word(scheme_parser *p, const char *what, knocker_bytes text,
                          const char *const *words, size_t *out);
int32_t scheme_parse_kind(scheme_parser *p);
int32_t scheme_parse_options(scheme_parser *p);
int32_t scheme_parse_signature(scheme_parser *p);
int32_t scheme_parse_tries(scheme_parser *p);
int32_t scheme_parse_known(scheme_parser *p, const json *object, const char *what,
                           const char *const *names);
int32_t scheme_parse_text(scheme_parser *p, const json *object, const char *what, const char *name,
                          bool required, knocker_bytes *out);
int32_t scheme_parse_bool(scheme_parser *p, const json *object, const char *what, const char *name,
                          bool *out);
int32_t scheme_parse_int(scheme_parser *p, const json *object, const char *what, const char *name,
                         int64_t most, int64_t *out);
int32_t scheme_parse_list(scheme_parser *p, const json *value, const char *what, size_t *count);
int32_t scheme_copy(scheme_parser *p, knocker_bytes text, knocker_bytes *out);
void *scheme_room(scheme_parser *p, size_t count, size_t size); /* fails the parse without memory */

int32_t scheme_parse_source(scheme_parser *p, const char *what, knocker_bytes word,
                            scheme_source *out);
int32_t scheme_parse_sources(scheme_parser *p, const json *value, const char *what,
                             scheme_sources *out);
int32_t scheme_parse_name(scheme_parser *p, const char *what, knocker_bytes text, scheme_name *out);
int32_t scheme_parse_path(scheme_parser *p, const char *what, knocker_bytes path, bool item,
                          size_t *slot);
/* A claim of the token, by its path, or by its whole name. */
int32_t scheme_parse_claim(scheme_parser *p, const char *what, knocker_bytes path, bool is_whole,
                           size_t *slot);
int32_t scheme_parse_template(scheme_parser *p, const char *what, knocker_bytes text,
                              template_place place, scheme_template *out);
int32_t scheme_parse_templates(scheme_parser *p, const json *value, const char *what,
                               template_place place, scheme_templates *out);
/* "sha256hex(TEMPLATE)"; false: it is none. */
bool scheme_parse_hashed(knocker_bytes text, knocker_bytes *template_text);
int32_t scheme_parse_jwt(scheme_parser *p, scheme_try *t);
int32_t scheme_parse_header_list(scheme_parser *p, scheme_header_list *out);
int32_t scheme_parse_extract(scheme_parser *p, const json *extract, scheme_try *t);
int32_t scheme_parse_handshakes(scheme_parser *p, const json *list);
int32_t scheme_parse_answer(scheme_parser *p, const json *value, const char *what,
                            scheme_answer *out);

#endif
