/* What the two files of the scanner share. Nobody else includes this. */
#ifndef KNOCKER_SCAN_PARTS_H
#define KNOCKER_SCAN_PARTS_H

#include "scan.h"

int32_t scan_hex4(const uint8_t *at, const uint8_t *end); /* four hexadecimal digits, or -1 */
/* Whether a name with escapes in it says `wanted`. */
bool scan_name_escaped(const uint8_t *at, const uint8_t *end, knocker_bytes wanted);

#endif
