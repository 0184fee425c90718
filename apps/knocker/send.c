/* The command send: a signed request over HTTP, by libcurl, which only this file includes. Knows no
 * provider: it sends header lines. */
#include <curl/curl.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "commands.h"
#include "print.h"
#include "request.h"

#define ANSWER_KEPT (64 * 1024) /* bytes of an answer; more are read and dropped */
#define ANSWER_SHOWN 300
#define TIMEOUT_DEFAULT_S 30

typedef struct {
	CURL *curl;
	struct curl_slist *headers;
	text answer;
	long status;
	double ms;
} sender;

static size_t sender_answer(char *data, size_t size, size_t count, void *context)
{
	sender *s = context;
	size_t len = size * count, room = ANSWER_KEPT - s->answer.len;

	text_add(&s->answer, data, len < room ? len : room);
	return len;
}

static bool sender_has_header(const sender *s, const char *name)
{
	const struct curl_slist *at;
	size_t len = strlen(name);

	for (at = s->headers; at != NULL; at = at->next) {
		if (strncasecmp(at->data, name, len) == 0 && at->data[len] == ':')
			return true;
	}
	return false;
}

static bool sender_add_header(sender *s, const char *line)
{
	struct curl_slist *longer = curl_slist_append(s->headers, line);

	if (longer != NULL)
		s->headers = longer;
	return longer != NULL;
}

/* The lines of the request, and what curl would otherwise make up: a form's type, and a pause
 * before a large body. */
static bool sender_headers(sender *s, const signed_request *r, text *lines)
{
	bool looks_like_json = r->body.len > 0 && (r->body.data[0] == '{' || r->body.data[0] == '[');
	bool good = true;
	char *line = lines->data, *end = lines->data + lines->len, *feed;

	for (; good && line < end && (feed = memchr(line, '\n', (size_t)(end - line))) != NULL;
	     line = feed + 1) {
		*feed = '\0';
		good = sender_add_header(s, line);
	}
	if (good && !sender_has_header(s, "content-type"))
		good = sender_add_header(s, looks_like_json ? "content-type: application/json"
		                                            : "content-type: application/octet-stream");
	return good && sender_add_header(s, "expect:");
}

static bool sender_begin(sender *s, const options *o, const signed_request *r)
{
	char agent[64];

	s->curl = curl_easy_init();
	if (s->curl == NULL)
		return false;
	snprintf(agent, sizeof agent, "knocker/%s", knocker_version());
	return curl_easy_setopt(s->curl, CURLOPT_URL, o->words[1]) == CURLE_OK &&
	       curl_easy_setopt(s->curl, CURLOPT_PROTOCOLS_STR, "http,https") == CURLE_OK &&
	       curl_easy_setopt(s->curl, CURLOPT_USERAGENT, agent) == CURLE_OK &&
	       curl_easy_setopt(s->curl, CURLOPT_TIMEOUT,
	                        (long)(o->timeout_s > 0 ? o->timeout_s : TIMEOUT_DEFAULT_S)) ==
	           CURLE_OK &&
	       curl_easy_setopt(s->curl, CURLOPT_HTTPHEADER, s->headers) == CURLE_OK &&
	       curl_easy_setopt(s->curl, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)r->body.len) ==
	           CURLE_OK &&
	       curl_easy_setopt(s->curl, CURLOPT_POSTFIELDS, r->body.len > 0 ? r->body.data : "") ==
	           CURLE_OK &&
	       (o->method == NULL ||
	        curl_easy_setopt(s->curl, CURLOPT_CUSTOMREQUEST, o->method) == CURLE_OK) &&
	       curl_easy_setopt(s->curl, CURLOPT_WRITEFUNCTION, sender_answer) == CURLE_OK &&
	       curl_easy_setopt(s->curl, CURLOPT_WRITEDATA, s) == CURLE_OK;
}

static void sender_print(const options *o, const sender *s)
{
	text line = {0};

	if (o->json == 1) {
		bool is_text = utf8_check(s->answer.data, s->answer.len);

		text_print(&line, "{\"status\":%ld,\"ms\":%.1f,\"%s\":", s->status, s->ms,
		           is_text ? "body" : "body_base64");
		if (is_text)
			text_json(&line, s->answer.data, s->answer.len);
		else
			text_json_base64(&line, s->answer.data, s->answer.len);
		text_puts(&line, "}");
	} else {
		text_print(&line, "%ld  %.1f ms  ", s->status, s->ms);
		text_show(&line, s->answer.data,
		          s->answer.len < ANSWER_SHOWN ? s->answer.len : ANSWER_SHOWN, false);
		if (s->answer.len > ANSWER_SHOWN)
			text_puts(&line, "...");
		while (line.len > 0 && line.data[line.len - 1] == ' ')
			line.len--;
	}
	print_line(&line);
}

static int sender_once(sender *s, const options *o)
{
	double seconds = 0;
	CURLcode result;

	text_free(&s->answer);
	result = curl_easy_perform(s->curl);
	if (result != CURLE_OK)
		return complain(EXIT_FAILED, "no answer from '%s': %s", o->words[1],
		                curl_easy_strerror(result));
	curl_easy_getinfo(s->curl, CURLINFO_RESPONSE_CODE, &s->status);
	curl_easy_getinfo(s->curl, CURLINFO_TOTAL_TIME, &seconds);
	s->ms = seconds * 1000;
	sender_print(o, s);
	return s->status >= 200 && s->status < 300 ? EXIT_DONE : EXIT_NO;
}

static int sender_run(const options *o, const signed_request *r, text *lines)
{
	int64_t left = o->times > 0 ? o->times : 1;
	sender s = {0};
	int code = EXIT_DONE;

	if (!sender_headers(&s, r, lines) || !sender_begin(&s, o, r))
		code = complain(EXIT_FAILED, "the request could not be made");
	for (; left > 0 && code <= EXIT_NO; left--) {
		int once = sender_once(&s, o);

		code = once > code ? once : code;
	}
	curl_easy_cleanup(s.curl);
	curl_slist_free_all(s.headers);
	text_free(&s.answer);
	return code;
}

/* What the server will see as the query; not given where the URL has none. */
static knocker_bytes sender_query(const char *url)
{
	const char *mark = strpbrk(url, "?#");

	if (mark == NULL || *mark == '#')
		return (knocker_bytes){0};
	return (knocker_bytes){mark + 1, (int64_t)strcspn(mark + 1, "#")};
}

int send_requests(const options *o)
{
	signed_request r = {0};
	text lines = {0};
	int code;

	if (strncasecmp(o->words[1], "http://", 7) != 0 && strncasecmp(o->words[1], "https://", 8) != 0)
		return complain(EXIT_USAGE, "'%.200s' is no URL: it begins with http:// or https://",
		                o->words[1]);
	if (curl_global_init(CURL_GLOBAL_DEFAULT) != 0)
		return complain(EXIT_FAILED, "libcurl does not start");
	code = request_begin(o, &r);
	r.request.query = sender_query(o->words[1]);
	if (code == EXIT_DONE)
		code = request_sign_lines(&r, o->forge == 1, &lines);
	if (code == EXIT_DONE)
		code = sender_run(o, &r, &lines);
	text_cleanse_free(&lines);
	request_end(&r);
	curl_global_cleanup();
	return code;
}
