/* Compiles what a scheme says of a list of headers that the request itself brings. Knows nothing of
 * what is signed. */
#include "error.h"
#include "scheme_parse.h"

/* A header's name in lower case. */
static int32_t header_list_name(scheme_parser *p, const json *value, knocker_bytes *out)
{
	int32_t rc;

	if (json_kind(value) != JSON_TEXT || !request_name_valid(json_text(value)))
		return fail(p->error, KNOCKER_INVALID_ARGUMENT,
		            "scheme: 'header_list.require' holds what is no header's name");
	rc = scheme_copy(p, json_text(value), out);
	if (rc == 0)
		bytes_lower(*out);
	return rc;
}

static int32_t header_list_require(scheme_parser *p, const json *names, scheme_header_list *out)
{
	const json *value;
	knocker_bytes *list;
	size_t count;
	int32_t rc = scheme_parse_list(p, names, "header_list.require", &count);

	if (rc == 0 && count > SCHEME_LISTED_MAX)
		rc = fail(p->error, KNOCKER_INVALID_ARGUMENT,
		          "scheme: 'header_list.require' has more than %d names", SCHEME_LISTED_MAX);
	list = rc < 0 ? NULL : scheme_room(p, count, sizeof *list);
	if (!list)
		return rc < 0 ? rc : KNOCKER_STORAGE;
	out->require = list;
	for (value = json_first(names); rc == 0 && value; value = json_next(value))
		rc = header_list_name(p, value, &list[out->require_count++]);
	return rc;
}

int32_t scheme_parse_header_list(scheme_parser *p, scheme_header_list *out)
{
	static const char *const known[] = {"from", "items", "kv", "join", "require", NULL};
	static const char what[] = "header_list";
	const json *value = scheme_parse_top(p, what), *names = json_member(value, "require");
	int32_t rc;

	if (!value)
		return 0;
	rc = scheme_parse_known(p, value, what, known);
	if (rc == 0)
		rc = scheme_parse_sources(p, json_member(value, "from"), "header_list.from", &out->from);
	if (rc == 0 && out->from.count == 0)
		rc = fail(p->error, KNOCKER_INVALID_ARGUMENT, "scheme: 'header_list.from' is empty");
	if (rc == 0)
		rc = scheme_parse_text(p, value, what, "items", true, &out->items);
	if (rc == 0)
		rc = scheme_parse_text(p, value, what, "kv", false, &out->kv);
	if (rc == 0)
		rc = scheme_parse_text(p, value, what, "join", true, &out->join);
	return rc < 0 || !names ? rc : header_list_require(p, names, out);
}
