/* A stored delivery as the request that it was, as far as the file has kept it: credentials are
 * redacted, and an orphan without a signature kept no body. */
#include <stdio.h>
#include <string.h>

#include "diagnose_parts.h"
#include "operator.h"

static knocker_value diagnose_value(knocker_rows *rows, const char *name)
{
	knocker_value v = {0};

	knocker_rows_value(rows, knocker_rows_find(rows, name), &v);
	return v;
}

static bool diagnose_redacted(knocker_bytes value)
{
	return bytes_is(value, "[redacted]");
}

/* The file has queries decoded. */
static void diagnose_encode(knocker_bytes text, buffer *out)
{
	static const char plain[] = "-._~";
	char escape[4];
	int64_t i;

	for (i = 0; i < text.len; i++) {
		unsigned char c = ((const unsigned char *)text.data)[i];

		if ((c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
		    bytes_find(bytes_of(plain), (char)c) >= 0) {
			buffer_add(out, &c, 1);
			continue;
		}
		snprintf(escape, sizeof escape, "%%%02X", c);
		buffer_text(out, escape);
	}
}

/* What was redacted is left out, and told. */
static void diagnose_pair(diagnosis *d, knocker_bytes name, knocker_bytes value, bool header,
                          buffer *out)
{
	if (diagnose_redacted(value)) {
		if (header && !diagnose_reads(d, name))
			return;
		d->redacted = true;
		diagnose_say(d, "redacted",
		             "%s '%.*s' is a credential and was not stored, so that it cannot be tried: "
		             "use knocker verify on a request in hand",
		             header ? "header" : "query member", QUOTED(name));
		return;
	}
	if (!header && out->len > 0)
		buffer_text(out, "&");
	if (!header) {
		diagnose_encode(name, out);
		buffer_text(out, "=");
		diagnose_encode(value, out);
		return;
	}
	buffer_bytes(out, name);
	buffer_text(out, ": ");
	buffer_bytes(out, value);
	buffer_text(out, "\n");
}

static knocker_bytes diagnose_pairs(diagnosis *d, const char *what, knocker_bytes text, bool header)
{
	const json *one, *value;
	json *tree = NULL;
	knocker_bytes kept = {0};
	buffer out;

	if (!bytes_given(text) || d->rc < 0)
		return kept;
	buffer_init(&out, 2 * LIMIT_HEADERS);
	d->rc = json_parse(what, text, &tree, d->error);
	for (one = json_first(tree); d->rc == 0 && one; one = json_next(one)) {
		if (json_kind(one) != JSON_ARRAY)
			diagnose_pair(d, json_name(one), json_text(one), header, &out);
		for (value = json_kind(one) == JSON_ARRAY ? json_first(one) : NULL; value;
		     value = json_next(value))
			diagnose_pair(d, json_name(one), json_text(value), header, &out);
	}
	if (d->rc == 0 && (out.failed || !arena_copy(&d->memory, buffer_view(&out), &kept)))
		d->rc = fail_memory(d->error);
	buffer_free(&out);
	json_cleanse_free(tree);
	return kept;
}

int32_t diagnose_stored(diagnosis *d, knocker_bytes *provider)
{
	static const struct {
		const char *column;
		size_t at;
	} texts[] = {{"endpoint", 0}, {"method", 1}, {"body", 2}};
	knocker_bytes found[3] = {{0}};
	knocker_rows *rows = NULL;
	endpoint_row row = {0};
	size_t i;

	d->rc = look_get(d->place->reader, KNOCKER_DELIVERY, d->place->delivery_id, &rows, d->error);
	if (d->rc == 0 && knocker_rows_next(rows) == 0) {
		for (i = 0; i < 3; i++)
			if (!arena_copy(&d->memory, diagnose_value(rows, texts[i].column).bytes, &found[i]))
				d->rc = fail_memory(d->error);
		d->now_s = diagnose_value(rows, "received_at").integer;
	}
	d->endpoint = found[0];
	d->request.method = found[1];
	d->request.body = found[2];
	d->no_body = diagnose_value(rows, "body").type == KNOCKER_NULL;
	knocker_rows_free(rows);
	if (d->rc == 0 && !bytes_given(*provider)) {
		d->rc = endpoint_find(d->place->reader, d->endpoint, &d->memory, &row, d->error);
		*provider = row.provider;
	}
	return d->rc;
}

int32_t diagnose_stored_texts(diagnosis *d)
{
	knocker_rows *rows = NULL;

	d->rc = look_get(d->place->reader, KNOCKER_DELIVERY, d->place->delivery_id, &rows, d->error);
	if (d->rc == 0 && knocker_rows_next(rows) == 0) {
		d->request.headers = diagnose_pairs(d, "headers_json",
		                                    diagnose_value(rows, "headers_json").bytes, true);
		d->request.query = diagnose_pairs(d, "query_json", diagnose_value(rows, "query_json").bytes,
		                                  false);
	}
	knocker_rows_free(rows);
	return d->rc;
}
