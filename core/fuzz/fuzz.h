/* What the fuzz targets share: an input is cut into fields, and what must hold is said. Each target
 * is a function from bytes, so that libFuzzer and the replay of the corpus call the same one. Knows
 * nothing of what the fields mean. */
#ifndef KNOCKER_FUZZ_H
#define KNOCKER_FUZZ_H

#include "bytes.h"
#include "scheme.h"

/* Ends the process where the sentence is not true, so that libFuzzer keeps the input. */
#define FUZZ_MUST(condition, sentence) fuzz_must((condition), __FILE__, __LINE__, (sentence))
void fuzz_must(bool holds, const char *file, int line, const char *sentence);

/* An input is fields with FUZZ_MARK between them; the last one may hold anything. */
#define FUZZ_MARK 0x1E
#define FUZZ_FIELDS_MAX 16
typedef struct {
	const uint8_t *data;
	size_t len, at, count;
	void *fields[FUZZ_FIELDS_MAX];
} fuzz_input;
/* Each field lies in a block of exactly its size, so that the sanitizer sees a byte read too far.
 */
knocker_bytes fuzz_field(fuzz_input *in);
knocker_bytes fuzz_rest(fuzz_input *in);
knocker_bytes fuzz_or_absent(knocker_bytes field); /* an empty one is absent */
void fuzz_end(fuzz_input *in);

/* The built-in of that name, or, so that no input is in vain, some built-in. */
const scheme *fuzz_builtin(knocker_bytes name);
/* Keys of these secrets and options, else of a secret made for the scheme; NULL: there is none. */
scheme_keys *fuzz_keys(const scheme *s, knocker_bytes secrets, knocker_bytes options);
/* Verifies, holds the verdict to what the header promises, and says whether it was valid. */
bool fuzz_judge(const scheme *s, const scheme_keys *keys, const scheme_request *request,
                int64_t now_s);
void fuzz_refused(int32_t rc, const knocker_error *error); /* a failure has a code and a sentence */
/* Whether `part` lies within `whole`. */
void fuzz_within(knocker_bytes part, knocker_bytes whole);

int fuzz_body(const uint8_t *data, size_t len);
int fuzz_codec(const uint8_t *data, size_t len);
int fuzz_form(const uint8_t *data, size_t len);
int fuzz_headers(const uint8_t *data, size_t len);
int fuzz_jwt(const uint8_t *data, size_t len);
int fuzz_scheme(const uint8_t *data, size_t len);
int fuzz_verify(const uint8_t *data, size_t len);

#endif
