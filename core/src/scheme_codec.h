/* Encodings, times and a checksum, as bytes and texts. Knows no scheme. */
#ifndef KNOCKER_SCHEME_CODEC_H
#define KNOCKER_SCHEME_CODEC_H

#include "bytes.h"

typedef enum { UNIT_NONE, UNIT_S, UNIT_MS, UNIT_RFC3339, UNIT_RFC3339_OR_S } time_unit;

bool codec_hex(knocker_bytes text, uint8_t *out, size_t *len); /* room: half of the text */
/* Canonical and padded; room: 3/4. */
bool codec_base64(knocker_bytes text, uint8_t *out, size_t *len);
bool codec_base64url(knocker_bytes text, uint8_t *out, size_t *len); /* canonical and unpadded */
/* A key's: padding optional, spare bits ignored. */
bool codec_base64_lenient(knocker_bytes text, uint8_t *out, size_t *len);
size_t codec_hex_write(knocker_bytes bytes, char *out); /* room: twice; no NUL */
/* Room: 4 for each 3 begun; no NUL. */
size_t codec_base64_write(knocker_bytes bytes, bool url, char *out);
uint32_t codec_crc32(knocker_bytes bytes); /* as zip has it */
bool codec_time(knocker_bytes text, time_unit unit, int64_t *out_s);
void codec_time_write(time_unit unit, int64_t now_s, char out[32]);

#endif
