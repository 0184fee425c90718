/* Includes the public header and nothing else: compiled as C11 and as C++17. Whatever the header
 * needs, it brings. */
#include "knocker.h"
#include "knocker.h" /* twice: the guard holds */

#ifdef __cplusplus
#define HEADER_ASSERT(condition) static_assert(condition, #condition)
#else
#define HEADER_ASSERT(condition) _Static_assert(condition, #condition)
#endif

/* Any foreign function interface packs these as words of eight bytes. */
HEADER_ASSERT(sizeof(knocker_bytes) == 16);
HEADER_ASSERT(sizeof(knocker_error) == 256);
HEADER_ASSERT(sizeof(knocker_value) == 40);
HEADER_ASSERT(sizeof(knocker_open_options) % 8 == 0);
HEADER_ASSERT(sizeof(knocker_request) % 8 == 0);
