/* Reads the JSON that the application itself wrote: registrations, scheme files, SQL arguments.
 * Over cJSON, the only file that includes it. Never reads a request's body (scan.h does). Refuses
 * what cJSON would round or cut: text after the value, NUL and lone surrogates in strings, more
 * than LIMIT_JSON_DEPTH levels, texts over LIMIT_JSON bytes, invalid UTF-8, a member twice. */
#ifndef KNOCKER_JSON_H
#define KNOCKER_JSON_H

#include "bytes.h"

typedef struct cJSON json;
typedef enum { JSON_NULL, JSON_BOOL, JSON_NUMBER, JSON_TEXT, JSON_ARRAY, JSON_OBJECT } json_type;

/* `what` names the argument in messages: "secrets_json is not JSON: ...". `*out` is freed with
 * json_free. */
int32_t json_parse(const char *what, knocker_bytes text, json **out, knocker_error *error);
void json_free(json *j);         /* NULL is fine */
void json_cleanse_free(json *j); /* the same, for what held secrets */

json_type json_kind(const json *j);                       /* NULL reads as JSON_NULL */
const json *json_member(const json *j, const char *name); /* exact name; NULL: absent */
const json *json_first(const json *j);                    /* first element or member; NULL: none */
const json *json_next(const json *j);
size_t json_count(const json *j);
knocker_bytes json_name(const json *j);     /* of a member */
knocker_bytes json_text(const json *j);     /* of a JSON_TEXT; absent for others */
bool json_int(const json *j, int64_t *out); /* false: not a whole number within +-2^53 */
bool json_true(const json *j);
void json_write(const json *j, buffer *out); /* as text, without blanks */

#endif
