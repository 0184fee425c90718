/* A growing text, and what may safely be shown of bytes that a stranger sent. Owns memory, UTF-8,
 * escaping and base64; knows nothing of Knocker. Without memory the program ends: a command line
 * has nothing to save. */
#ifndef TEXT_H
#define TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define TEXT_LIMIT ((size_t)256 << 20) /* bytes: far over each body that is stored by default */

typedef struct {
	char *data; /* ended by NUL once something was added; NULL before */
	size_t len;
	size_t room;
} text;

void *memory_new(size_t size); /* zeroed; never NULL */
void text_add(text *t, const void *data, size_t len);
void text_puts(text *t, const char *words);
#if defined(__GNUC__)
__attribute__((format(printf, 2, 3)))
#endif
void text_print(text *t, const char *format, ...);
void text_free(text *t);
void text_cleanse_free(text *t); /* for what held a secret */

/* Bytes of the UTF-8 character at `data`, and the character; 0: it is none. */
size_t utf8_next(const unsigned char *data, size_t len, uint32_t *character);
bool utf8_check(const void *data, size_t len);
int utf8_columns(uint32_t character); /* columns of a terminal: 0, 1 or 2 */

/* Appends what is safe to print: control characters, broken UTF-8 and marks that turn text around
 * become escapes, so that a forged request cannot steer the terminal of whoever looks at it.
 * `lines`: line feeds and tabs stay. */
void text_show(text *t, const void *data, size_t len, bool lines);
/* Appends a JSON string, quotes included; bytes that are no UTF-8 become U+FFFD. */
void text_json(text *t, const void *data, size_t len);
void text_base64(text *t, const void *data, size_t len);
void text_json_base64(text *t, const void *data, size_t len); /* the same as a JSON string */

#endif
