/* A run on its way: many connections of libcurl's multi interface, each with one request at a time.
 * Owns connections, the pace and the time each answer took; knows no provider. */
#include <curl/curl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "emulate.h"
#include "progress.h"

#define SEND_WAIT_MS 200
#define SEND_TIMEOUT_DEFAULT_S 30
#define SEND_FAILURES 20 /* without any answer: nobody listens there */

typedef struct {
	CURL *curl;
	struct curl_slist *headers;
	made_request made;
	size_t at;
	bool busy;
} connection;

typedef struct {
	emulation *e;
	CURLM *multi;
	connection *connections;
	size_t next, running, answers, failures;
	int64_t began_ms;
	CURLcode first_failure;
} sending;

static volatile sig_atomic_t send_stopped;

static void send_stop(int number)
{
	(void)number;
	send_stopped = 1;
}

static size_t send_drop(char *data, size_t size, size_t count, void *context)
{
	(void)data;
	(void)context;
	return size * count;
}

/* When the request at `next` may go. */
static int64_t send_due_ms(const sending *s)
{
	const emulation *e = s->e;
	int64_t next = (int64_t)s->next;

	if (e->rate == 0)
		return s->began_ms;
	if (e->o->burst == 1)
		return s->began_ms + next / e->rate * 1000;
	return s->began_ms + next * 1000 / e->rate;
}

/* ---- one request ---- */

static bool send_headers(connection *c)
{
	char *line = c->made.lines.data, *feed;
	struct curl_slist *longer;

	while (line != NULL && (feed = strchr(line, '\n')) != NULL) {
		*feed = '\0';
		longer = curl_slist_append(c->headers, line);
		if (longer == NULL)
			return false;
		c->headers = longer;
		line = feed + 1;
	}
	longer = curl_slist_append(c->headers, "expect:");
	if (longer != NULL)
		c->headers = longer;
	return longer != NULL;
}

static bool send_set_up(const sending *s, connection *c)
{
	const options *o = s->e->o;
	const text *body = &c->made.body;
	text url = {0};
	char agent[64];
	bool good;

	text_puts(&url, s->e->url.data);
	if (c->made.query.len > 0)
		text_puts(&url, "?");
	text_puts(&url, c->made.query.len > 0 ? c->made.query.data : "");
	snprintf(agent, sizeof agent, "knocker/%s", knocker_version());
	curl_easy_reset(c->curl);
	good = curl_easy_setopt(c->curl, CURLOPT_URL, url.data) == CURLE_OK &&
	       curl_easy_setopt(c->curl, CURLOPT_PROTOCOLS_STR, "http,https") == CURLE_OK &&
	       curl_easy_setopt(c->curl, CURLOPT_USERAGENT, agent) == CURLE_OK &&
	       curl_easy_setopt(c->curl, CURLOPT_NOSIGNAL, 1L) == CURLE_OK &&
	       curl_easy_setopt(c->curl, CURLOPT_TIMEOUT,
	                        (long)(o->timeout_s > 0 ? o->timeout_s : SEND_TIMEOUT_DEFAULT_S)) ==
	           CURLE_OK &&
	       curl_easy_setopt(c->curl, CURLOPT_HTTPHEADER, c->headers) == CURLE_OK &&
	       curl_easy_setopt(c->curl, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)body->len) ==
	           CURLE_OK &&
	       curl_easy_setopt(c->curl, CURLOPT_POSTFIELDS, body->len > 0 ? body->data : "") ==
	           CURLE_OK &&
	       (o->method == NULL ||
	        curl_easy_setopt(c->curl, CURLOPT_CUSTOMREQUEST, o->method) == CURLE_OK) &&
	       curl_easy_setopt(c->curl, CURLOPT_WRITEFUNCTION, send_drop) == CURLE_OK &&
	       curl_easy_setopt(c->curl, CURLOPT_PRIVATE, c) == CURLE_OK;
	text_free(&url);
	return good;
}

static void send_clear(connection *c)
{
	made_end(&c->made);
	curl_slist_free_all(c->headers);
	c->headers = NULL;
	c->busy = false;
}

static int send_begin(sending *s, connection *c)
{
	int code;

	c->at = s->next++;
	code = made_begin(s->e, c->at, &c->made);
	if (code != EXIT_DONE)
		return code;
	if ((c->curl == NULL && (c->curl = curl_easy_init()) == NULL) || !send_headers(c) ||
	    !send_set_up(s, c) || curl_multi_add_handle(s->multi, c->curl) != CURLM_OK)
		return complain(EXIT_FAILED, "a request could not be made");
	s->e->requests[c->at].sent = true;
	c->busy = true;
	s->running++;
	return EXIT_DONE;
}

static void send_finish(sending *s, CURL *curl, CURLcode result)
{
	connection *c = NULL;
	sent_request *r;
	curl_off_t took_us = 0;
	long status = 0;

	curl_easy_getinfo(curl, CURLINFO_PRIVATE, &c);
	r = &s->e->requests[c->at];
	curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &status);
	curl_easy_getinfo(curl, CURLINFO_TOTAL_TIME_T, &took_us);
	r->latency_us = took_us > UINT32_MAX ? UINT32_MAX : (uint32_t)took_us;
	if (result == CURLE_OK && status > 0 && status < 1000) {
		r->status = (uint16_t)status;
		s->answers++;
	} else if (s->failures++ == 0) {
		s->first_failure = result;
	}
	curl_multi_remove_handle(s->multi, curl);
	send_clear(c);
	s->running--;
}

/* ---- all of them ---- */

static int send_start(sending *s)
{
	int code = EXIT_DONE;
	int64_t i;

	for (i = 0; i < s->e->connections && code == EXIT_DONE; i++) {
		if (send_stopped || s->next == s->e->count || progress_clock_ms() < send_due_ms(s))
			break;
		if (!s->connections[i].busy)
			code = send_begin(s, &s->connections[i]);
	}
	return code;
}

static int send_step(sending *s)
{
	int running = 0, left = 0;
	CURLMsg *message;

	if (curl_multi_perform(s->multi, &running) != CURLM_OK)
		return complain(EXIT_FAILED, "libcurl failed");
	while ((message = curl_multi_info_read(s->multi, &left)) != NULL) {
		if (message->msg == CURLMSG_DONE)
			send_finish(s, message->easy_handle, message->data.result);
	}
	if (s->answers == 0 && s->failures >= SEND_FAILURES)
		return complain(EXIT_FAILED, "no answer from '%s': %s", s->e->o->to,
		                curl_easy_strerror(s->first_failure));
	return EXIT_DONE;
}

static void send_wait(sending *s)
{
	bool more = !send_stopped && s->next < s->e->count;
	int64_t wait_ms = SEND_WAIT_MS;

	if (more && s->running < (size_t)s->e->connections) {
		int64_t due_ms = send_due_ms(s) - progress_clock_ms();

		wait_ms = due_ms < 0 ? 0 : due_ms < wait_ms ? due_ms : wait_ms;
	}
	if (wait_ms > 0)
		curl_multi_poll(s->multi, NULL, 0, (int)wait_ms, NULL);
}

static int send_all(sending *s)
{
	progress far = {.doing = "requests answered:", .total = (int64_t)s->e->count};
	int code = EXIT_DONE;

	s->began_ms = progress_clock_ms();
	while (code == EXIT_DONE && (s->running > 0 || (s->next < s->e->count && !send_stopped))) {
		code = send_start(s);
		if (code == EXIT_DONE)
			code = send_step(s);
		progress_show(&far, (int64_t)(s->answers + s->failures));
		if (code == EXIT_DONE)
			send_wait(s);
	}
	s->e->seconds = (double)(progress_clock_ms() - s->began_ms) / 1000;
	progress_end(&far);
	return code;
}

static void send_end(sending *s)
{
	int64_t i;

	for (i = 0; i < s->e->connections; i++) {
		connection *c = &s->connections[i];

		if (c->busy)
			curl_multi_remove_handle(s->multi, c->curl);
		send_clear(c);
		curl_easy_cleanup(c->curl);
	}
	free(s->connections);
	curl_multi_cleanup(s->multi);
}

/* Ctrl-C ends the sending; what is under way is still waited for, and the table told. */
int emulate_send(emulation *e)
{
	sending s = {.e = e};
	void (*before)(int);
	int code;

	s.connections = memory_new((size_t)e->connections * sizeof *s.connections);
	s.multi = curl_multi_init();
	if (s.multi == NULL ||
	    curl_multi_setopt(s.multi, CURLMOPT_MAXCONNECTS, (long)e->connections) != CURLM_OK) {
		code = complain(EXIT_FAILED, "libcurl does not start");
	} else {
		before = signal(SIGINT, send_stop);
		code = send_all(&s);
		signal(SIGINT, before);
	}
	send_end(&s);
	return code;
}
