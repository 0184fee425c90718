/* Hexadecimal, base64 and the ways senders write a time. Knows nothing of who wrote them or why. */
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "scheme_parts.h"

/* Without a branch: which digit is next nobody can foretell, least of all a processor. */
static int32_t codec_hex_digit(uint8_t c)
{
	int32_t digit = c - '0', letter = (c | 0x20) - 'a';
	int32_t is_digit = -(int32_t)((uint32_t)digit < 10);
	int32_t is_letter = -(int32_t)((uint32_t)letter < 6);

	return (digit & is_digit) | ((letter + 10) & is_letter) | ~(is_digit | is_letter);
}

bool codec_hex(knocker_bytes text, uint8_t *out, size_t *len)
{
	const uint8_t *s = text.data;
	int32_t wrong = 0;
	size_t i;

	if (text.len % 2 != 0)
		return false;
	for (i = 0; i < (size_t)text.len / 2; i++) {
		int32_t high = codec_hex_digit(s[2 * i]), low = codec_hex_digit(s[2 * i + 1]);

		wrong |= high | low;
		out[i] = (uint8_t)(high * 16 + low);
	}
	*len = i;
	return wrong >= 0;
}

size_t codec_hex_write(knocker_bytes bytes, char *out)
{
	static const char digits[] = "0123456789abcdef";
	const uint8_t *s = bytes.data;
	size_t i;

	for (i = 0; i < (size_t)bytes.len; i++) {
		out[2 * i] = digits[s[i] >> 4];
		out[2 * i + 1] = digits[s[i] & 15];
	}
	return 2 * i;
}

static int32_t codec_sextet(uint8_t c, bool url)
{
	if (c >= 'A' && c <= 'Z')
		return c - 'A';
	if (c >= 'a' && c <= 'z')
		return c - 'a' + 26;
	if (c >= '0' && c <= '9')
		return c - '0' + 52;
	if (c == (url ? '-' : '+'))
		return 62;
	return c == (url ? '_' : '/') ? 63 : -1;
}

/* Without padding. `spare` says whether the last character may hold bits that mean nothing. */
static bool codec_sextets(knocker_bytes text, bool url, bool spare, uint8_t *out, size_t *len)
{
	const uint8_t *s = text.data;
	uint32_t bits = 0;
	size_t i, have = 0, at = 0;

	if (text.len % 4 == 1)
		return false;
	for (i = 0; i < (size_t)text.len; i++) {
		int32_t six = codec_sextet(s[i], url);

		if (six < 0)
			return false;
		bits = bits << 6 | (uint32_t)six;
		have += 6;
		if (have >= 8) {
			have -= 8;
			out[at++] = (uint8_t)(bits >> have);
		}
	}
	if (!spare && (bits & ((1u << have) - 1)) != 0)
		return false;
	*len = at;
	return true;
}

/* The text without up to two "=" at its end. */
static knocker_bytes codec_unpadded(knocker_bytes text)
{
	const char *s = text.data;
	size_t len = (size_t)text.len, drop = 0;

	while (drop < 2 && drop < len && s[len - 1 - drop] == '=')
		drop++;
	return bytes_part(text, 0, len - drop);
}

bool codec_base64(knocker_bytes text, uint8_t *out, size_t *len)
{
	return text.len % 4 == 0 && codec_sextets(codec_unpadded(text), false, false, out, len);
}

bool codec_base64url(knocker_bytes text, uint8_t *out, size_t *len)
{
	return codec_sextets(text, true, false, out, len);
}

bool codec_base64_lenient(knocker_bytes text, uint8_t *out, size_t *len)
{
	return codec_sextets(codec_unpadded(text), false, true, out, len);
}

size_t codec_base64_write(knocker_bytes bytes, bool url, char *out)
{
	static const char common[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
	const uint8_t *s = bytes.data;
	size_t i, at = 0, len = (size_t)bytes.len;

	for (i = 0; i < len; i += 3) {
		uint32_t three = (uint32_t)s[i] << 16 | (i + 1 < len ? (uint32_t)s[i + 1] << 8 : 0) |
		                 (i + 2 < len ? s[i + 2] : 0);
		size_t k, count = len - i >= 3 ? 4 : len - i + 1;

		for (k = 0; k < 4; k++) {
			uint32_t six = three >> (18 - 6 * k) & 63;

			if (k < count)
				out[at++] = six < 62    ? common[six]
				            : six == 62 ? (url ? '-' : '+')
				            : url       ? '_'
				                        : '/';
			else if (!url)
				out[at++] = '=';
		}
	}
	return at;
}

uint32_t codec_crc32(knocker_bytes bytes)
{
	const uint8_t *s = bytes.data;
	uint32_t crc = 0xFFFFFFFFu, table[16];
	int64_t i;

	for (i = 0; i < 16; i++) {
		uint32_t v = (uint32_t)i, k;

		for (k = 0; k < 4; k++)
			v = v & 1 ? v >> 1 ^ 0xEDB88320u : v >> 1;
		table[i] = v;
	}
	for (i = 0; i < bytes.len; i++) {
		crc ^= s[i];
		crc = crc >> 4 ^ table[crc & 15];
		crc = crc >> 4 ^ table[crc & 15];
	}
	return ~crc;
}

/* ---- times ---- */

static bool codec_digits(knocker_bytes text, size_t from, size_t count, int64_t *out)
{
	const char *s = text.data;
	size_t i;

	*out = 0;
	if ((size_t)text.len < from + count)
		return false;
	for (i = from; i < from + count; i++) {
		if (s[i] < '0' || s[i] > '9')
			return false;
		*out = *out * 10 + (s[i] - '0');
	}
	return count > 0;
}

/* Days from 1970-01-01 of the proleptic Gregorian calendar. */
static int64_t codec_days(int64_t year, int64_t month, int64_t day)
{
	int64_t y = month > 2 ? year : year - 1, era = (y >= 0 ? y : y - 399) / 400,
			in_era = y - era * 400;
	int64_t in_year = (153 * (month > 2 ? month - 3 : month + 9) + 2) / 5 + day - 1;

	return era * 146097 + in_era * 365 + in_era / 4 - in_era / 100 + in_year - 719468;
}

static bool codec_date_real(int64_t year, int64_t month, int64_t day)
{
	static const int8_t lengths[12] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
	bool leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;

	return month >= 1 && month <= 12 && day >= 1 &&
	       day <= lengths[month - 1] + (month == 2 && leap ? 1 : 0);
}

/* "Z" or "+HH:MM" from `at` to the end. */
static bool codec_zone(knocker_bytes text, size_t at, int64_t *offset_s)
{
	const char *s = text.data;
	int64_t hours, minutes;
	bool east = at < (size_t)text.len && s[at] == '+';

	*offset_s = 0;
	if ((size_t)text.len == at + 1 && s[at] == 'Z')
		return true;
	if ((size_t)text.len != at + 6 || (!east && s[at] != '-') || s[at + 3] != ':')
		return false;
	if (!codec_digits(text, at + 1, 2, &hours) || !codec_digits(text, at + 4, 2, &minutes) ||
	    hours > 23 || minutes > 59)
		return false;
	*offset_s = (hours * 60 + minutes) * (east ? 60 : -60);
	return true;
}

/* YYYY-MM-DDTHH:MM:SS[.1-9 digits](Z|+HH:MM); the fraction is floored. */
static bool codec_rfc3339(knocker_bytes text, int64_t *out_s)
{
	const char *s = text.data;
	int64_t year, month, day, hour, minute, second, offset;
	size_t at = 19;

	if (text.len < 20 || s[4] != '-' || s[7] != '-' || s[10] != 'T' || s[13] != ':' || s[16] != ':')
		return false;
	if (!codec_digits(text, 0, 4, &year) || !codec_digits(text, 5, 2, &month) ||
	    !codec_digits(text, 8, 2, &day) || !codec_digits(text, 11, 2, &hour) ||
	    !codec_digits(text, 14, 2, &minute) || !codec_digits(text, 17, 2, &second))
		return false;
	if (s[at] == '.') {
		at++;
		while (at < (size_t)text.len && s[at] >= '0' && s[at] <= '9')
			at++;
		if (at == 20 || at > 29)
			return false;
	}
	if (!codec_zone(text, at, &offset) || !codec_date_real(year, month, day) || hour > 23 ||
	    minute > 59 || second > 60)
		return false;
	*out_s = codec_days(year, month, day) * 86400 + hour * 3600 + minute * 60 + second - offset;
	return true;
}

bool codec_time(knocker_bytes text, time_unit unit, int64_t *out_s)
{
	bool digits = text.len <= 16 && codec_digits(text, 0, (size_t)text.len, out_s);

	switch (unit) {
	case UNIT_S:
		return digits;
	case UNIT_MS:
		*out_s = digits ? *out_s / 1000 : 0;
		return digits;
	case UNIT_RFC3339:
		return codec_rfc3339(text, out_s);
	case UNIT_RFC3339_OR_S:
		return digits || codec_rfc3339(text, out_s);
	case UNIT_NONE:
		break;
	}
	return true;
}

void codec_time_write(time_unit unit, int64_t now_s, char out[32])
{
	time_t time = (time_t)now_s;
	struct tm parts;

	if (unit == UNIT_RFC3339 || unit == UNIT_RFC3339_OR_S) {
		gmtime_r(&time, &parts);
		strftime(out, 32, "%Y-%m-%dT%H:%M:%SZ", &parts);
		return;
	}
	snprintf(out, 32, "%lld%s", (long long)now_s, unit == UNIT_MS ? "000" : "");
}
