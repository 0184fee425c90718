/* Hypotheses about times: clocks that differ, seconds taken for milliseconds. */
#include "diagnose_parts.h"

/* A copy whose times in `from` are read in `to`. */
static void diagnose_unit(const scheme *s, time_unit from, time_unit to, diagnose_scheme *out)
{
	size_t i, k;

	diagnose_scheme_copy(s, out);
	for (i = 0; i < s->try_count; i++)
		for (k = 0; k < s->var_count; k++)
			if (out->tries[i].vars[k].unit == from)
				out->tries[i].vars[k].unit = to;
}

static void diagnose_skew(diagnosis *d, bool sender_ahead, int64_t off_s)
{
	const char *hours = off_s >= 3600 && off_s <= 14 * 3600 + 60 &&
	                            (off_s % 1800 <= 60 || off_s % 1800 >= 1740)
	                        ? "; such a difference is a time zone's: use UTC"
	                        : "";

	if (sender_ahead)
		diagnose_say(
			d, "clock_skew",
			"the signature is right, but was made %lld s after the time of this check: set "
			"this machine's clock%s",
			(long long)off_s, hours);
	else
		diagnose_say(d, "clock_skew",
		             "the signature is right, but was made %lld s before the time of this check: "
		             "either this clock is ahead, or the request came so late or was sent again%s",
		             (long long)off_s, hours);
}

/* The signature is right: is the time, too? */
void diagnose_time(diagnosis *d, const scheme_keys *keys, const scheme_request *request)
{
	static const struct {
		time_unit from, to;
		const char *sentence;
	} units[] = {
		{UNIT_S, UNIT_MS,
	     "the sender's timestamp is in milliseconds, and the scheme reads seconds: give its var the "
	     "unit ms"},
		{UNIT_MS, UNIT_S,
	     "the sender's timestamp is in seconds, and the scheme reads milliseconds: give its var the "
	     "unit s"},
	};
	int64_t off_s = 0, ignored;
	size_t i;

	if (diagnose_strict(d, d->scheme, keys, request, d->now_s, &off_s) || off_s == 0)
		return;
	for (i = 0; i < sizeof units / sizeof *units; i++) {
		diagnose_scheme changed;

		diagnose_unit(d->scheme, units[i].from, units[i].to, &changed);
		if (!diagnose_strict(d, &changed.scheme, keys, request, d->now_s, &ignored))
			continue;
		diagnose_say(d, "timestamp_unit", "%s", units[i].sentence);
		return;
	}
	if (diagnose_strict(d, d->scheme, keys, request, d->now_s / 1000, &ignored))
		diagnose_say(d, "timestamp_unit",
		             "the time of this check was given in milliseconds: give seconds");
	else
		diagnose_skew(d, diagnose_strict(d, d->scheme, keys, request, d->now_s + off_s, &ignored),
		              off_s);
}

static bool diagnose_alphanumeric(char c)
{
	return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

/* The header lines with each lone number of 13 digits cut to 10, or of 10 made 13. */
static void diagnose_digits_write(knocker_bytes lines, bool shorter, buffer *out)
{
	const char *text = lines.data;
	size_t len = (size_t)lines.len, at, end;

	for (at = 0; at < len; at = end) {
		size_t digits;
		bool alone = at == 0 || !diagnose_alphanumeric(text[at - 1]);

		for (end = at; end < len && text[end] >= '0' && text[end] <= '9'; end++)
			;
		digits = end - at;
		alone = alone && (end == len || !diagnose_alphanumeric(text[end]));
		if (digits == 0)
			end++;
		buffer_add(out, text + at, alone && shorter && digits == 13 ? 10 : end - at);
		if (alone && !shorter && digits == 10)
			buffer_text(out, "000");
	}
}

/* A timestamp that somebody between sender and us has written in another unit than was signed. */
void diagnose_digits(diagnosis *d)
{
	int i;

	for (i = 0; i < 2 && d->found == 0 && d->request.headers.len > 0; i++) {
		scheme_request changed = d->request;
		buffer lines;

		buffer_init(&lines, 2 * LIMIT_HEADERS);
		diagnose_digits_write(d->request.headers, i == 0, &lines);
		changed.headers = buffer_view(&lines);
		if (lines.failed)
			d->rc = fail_memory(d->error);
		if (!lines.failed && !bytes_equal(changed.headers, d->request.headers) &&
		    diagnose_fits(d, d->keys, &changed))
			diagnose_found(d, d->keys, &changed, "timestamp_unit",
			               i == 0
			                   ? "the header's timestamp is in milliseconds, but the sender signed "
			                     "seconds: pass the header on as it came"
			                   : "the header's timestamp is in seconds, but the sender signed "
			                     "milliseconds: pass the header on as it came");
		buffer_free(&lines);
	}
}
