// The door of the conformance suite in Go: the public API of the package, and nothing else. It
// answers the lines of conformance/LINES.md.
package main

import (
	"bufio"
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"reflect"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"knockersqlite"
)

type object = map[string]any

var (
	input   = bufio.NewReaderSize(os.Stdin, 1<<16)
	path    string
	inboxes = map[string]*knockersqlite.Inbox{}
	running []frame
)

// frame is a handler that runs now, perhaps inside another's.
type frame struct {
	event knockersqlite.Event
	tx    *knockersqlite.Tx
}

// taken is a value as it was before it travelled.
func taken(value any) any {
	switch v := value.(type) {
	case json.Number:
		if n, err := v.Int64(); err == nil {
			return n
		}
		f, _ := v.Float64()
		return f
	case []any:
		for i := range v {
			v[i] = taken(v[i])
		}
	case object:
		if text, ok := v["base64"].(string); ok && len(v) == 1 {
			raw, _ := base64.StdEncoding.DecodeString(text)
			return raw
		}
		if text, ok := v["int"].(string); ok && len(v) == 1 {
			n, _ := strconv.ParseInt(text, 10, 64)
			return n
		}
		for name := range v {
			v[name] = taken(v[name])
		}
	}
	return value
}

// put is a value as it travels; a struct's empty members that may be null are null.
func put(value any) any {
	v := reflect.ValueOf(value)
	switch v.Kind() {
	case reflect.Invalid:
		return nil
	case reflect.Pointer:
		if v.IsNil() {
			return nil
		}
		return put(v.Elem().Interface())
	case reflect.String:
		if !utf8.ValidString(v.String()) {
			return object{"base64": base64.StdEncoding.EncodeToString([]byte(v.String()))}
		}
	case reflect.Int64:
		if n := v.Int(); n > 1<<53 || n < -1<<53 {
			return object{"int": strconv.FormatInt(n, 10)}
		}
	case reflect.Slice:
		if raw, ok := value.([]byte); ok {
			return object{"base64": base64.StdEncoding.EncodeToString(raw)}
		}
		all := make([]any, v.Len())
		for i := range all {
			all[i] = put(v.Index(i).Interface())
		}
		return all
	case reflect.Map:
		all := object{}
		for _, name := range v.MapKeys() {
			all[name.String()] = put(v.MapIndex(name).Interface())
		}
		return all
	case reflect.Struct:
		all := object{}
		for i := 0; i < v.NumField(); i++ {
			name, rest, _ := strings.Cut(v.Type().Field(i).Tag.Get("json"), ",")
			all[name] = put(v.Field(i).Interface())
			if rest != "" && v.Field(i).IsZero() {
				all[name] = nil
			}
		}
		return all
	}
	return value
}

func say(line object) {
	text, err := json.Marshal(put(line))
	if err != nil {
		text, _ = json.Marshal(object{"broke": err.Error()})
	}
	os.Stdout.Write(append(text, '\n'))
}

// hear is the next question, or nil at the end of the input.
func hear() object {
	line, err := input.ReadBytes('\n')
	if err != nil {
		return nil
	}
	var asked object
	decoder := json.NewDecoder(bytes.NewReader(line))
	decoder.UseNumber()
	if err := decoder.Decode(&asked); err != nil {
		panic(err)
	}
	return taken(asked).(object)
}

// words are what a question has; each that is read is crossed out, so that the rest is unknown.
type words struct {
	of   object
	read map[string]bool
}

func wordsOf(value any) *words {
	of, _ := value.(object)
	return &words{of, map[string]bool{}}
}

func (w *words) any(name string) any {
	w.read[name] = true
	return w.of[name]
}

func (w *words) text(name string) string {
	switch v := w.any(name).(type) {
	case string:
		return v
	case []byte:
		return string(v)
	}
	return ""
}

func (w *words) bytes(name string) []byte { return []byte(w.text(name)) }

func (w *words) int(name string) int64 {
	n, _ := w.any(name).(int64)
	return n
}

func (w *words) float(name string) float64 {
	if f, ok := w.any(name).(float64); ok {
		return f
	}
	return float64(w.int(name))
}

func (w *words) bool(name string) bool {
	on, _ := w.any(name).(bool)
	return on
}

func (w *words) choice(name string) *bool {
	if on, ok := w.any(name).(bool); ok {
		return &on
	}
	return nil
}

func (w *words) object(name string) object {
	o, _ := w.any(name).(object)
	return o
}

func (w *words) texts(name string) []string {
	list, ok := w.any(name).([]any)
	if !ok {
		return nil
	}
	all := []string{}
	for _, one := range list {
		text, _ := one.(string)
		all = append(all, text)
	}
	return all
}

func (w *words) known() {
	for name := range w.of {
		if !w.read[name] {
			panic("unknown word " + name)
		}
	}
}

func request(w *words) knockersqlite.ReceiveParams {
	r := knockersqlite.ReceiveParams{
		Endpoint: w.text("endpoint"), Method: w.text("method"), Body: w.bytes("body"),
		Headers: w.any("headers"), Query: w.any("query"), EventType: w.text("event_type"),
		ProviderEventID: w.text("provider_event_id"), ProviderDeliveryID: w.text("provider_delivery_id"),
		DedupeKey: w.text("dedupe_key"), QueueName: w.text("queue_name"), MaxAttempts: w.int("max_attempts"),
		Provider: w.any("provider"), Secrets: w.texts("secrets"), ProviderOptions: w.object("options"),
	}
	if scheme := w.any("scheme"); scheme != nil {
		r.Provider = scheme
	}
	if secret := w.text("secret"); secret != "" {
		r.Secrets = []string{secret}
	}
	if verdict := w.object("verdict"); verdict != nil {
		v := wordsOf(verdict)
		r.Verdict = &knockersqlite.ProviderResult{
			Valid: v.bool("valid"), SignatureError: v.text("error"), EventType: v.text("event_type"),
			ProviderEventID: v.text("provider_event_id"), ProviderDeliveryID: v.text("provider_delivery_id"),
		}
		v.known()
	}
	return r
}

func receive(w *words) knockersqlite.ReceiveParams {
	r := request(w)
	w.known()
	return r
}

func ingest(w *words) knockersqlite.IngestParams {
	p := knockersqlite.IngestParams{SignatureValid: w.choice("signature_valid"), SignatureError: w.text("signature_error")}
	p.ReceiveParams = receive(w)
	return p
}

func lowered(headers map[string]string) map[string]string {
	all := map[string]string{}
	for name, value := range headers {
		all[strings.ToLower(name)] = value
	}
	return all
}

func answer(result knockersqlite.Result, err error) (any, error) {
	result.ResponseHeaders = lowered(result.ResponseHeaders)
	return result, err
}

func open(on string, w *words, now time.Time) error {
	o := knockersqlite.Options{
		Clock: now, QueueName: w.text("queue_name"), VisibilityTimeoutS: w.float("visibility_timeout_s"),
		MaxAttempts: w.int("max_attempts"), BackoffBaseS: w.float("backoff_base_s"), BackoffCapS: w.float("backoff_cap_s"),
		MaxBodyBytes: w.int("max_body_bytes"), OrphanRows: w.int("orphan_rows"), OrphanBytes: w.int("orphan_bytes"),
		BusyTimeoutMS: w.int("busy_timeout_ms"), Seed: w.int("seed"),
	}
	if _, given := w.of["max_body_bytes"]; given && o.MaxBodyBytes == 0 {
		o.MaxBodyBytes = -1
	}
	w.known()
	inbox, err := knockersqlite.Open(path, o)
	if err == nil {
		inboxes[on] = inbox
	}
	return err
}

func endpoint(inbox *knockersqlite.Inbox, w *words) error {
	enabled := w.choice("enabled")
	a := knockersqlite.AddEndpointParams{
		Name: w.text("name"), Path: w.text("path"), Provider: w.text("provider"), Secrets: w.texts("secrets"),
		ProviderOptions: w.object("options"), Scheme: w.object("scheme"), External: w.bool("external"),
		Disabled: enabled != nil && !*enabled, QueueName: w.text("queue_name"), MaxAttempts: w.int("max_attempts"),
		BackoffBaseS: w.float("backoff_base_s"), BackoffCapS: w.float("backoff_cap_s"),
	}
	w.known()
	return inbox.AddEndpoint(a)
}

func receiveMany(inbox *knockersqlite.Inbox, asked []any) (any, error) {
	requests := []knockersqlite.ReceiveParams{}
	for _, one := range asked {
		requests = append(requests, receive(wordsOf(one)))
	}
	results, err := inbox.ReceiveMany(requests)
	all := []any{}
	for _, one := range results {
		var known *knockersqlite.Error
		if errors.As(one.Err, &known) {
			all = append(all, object{"fails": known.Name})
			continue
		}
		result, _ := answer(one.Result, nil)
		all = append(all, result)
	}
	return all, err
}

func list(inbox *knockersqlite.Inbox, kind string, w *words) (any, error) {
	f := knockersqlite.Filter{
		Limit: w.int("limit"), BeforeID: w.int("before_id"), Since: w.int("since"), Endpoint: w.text("endpoint"),
		Status: w.text("status"), EventType: w.text("event_type"), EventID: w.int("event_id"),
		SignatureValid: w.choice("signature_valid"), Orphaned: w.choice("orphaned"), Kind: w.text("kind"),
	}
	w.known()
	switch kind {
	case "events":
		return inbox.ListEvents(f)
	case "deliveries":
		return inbox.ListDeliveries(f)
	case "attempts":
		return inbox.ListAttempts(f)
	case "audits":
		return inbox.ListPruneAudits(f)
	case "jobs":
		return inbox.ListJobs(f)
	}
	panic("unknown list " + kind)
}

func act(inbox *knockersqlite.Inbox, w *words) error {
	switch verb := w.text("verb"); verb {
	case "ignore":
		return inbox.Ignore(w.int("target"), "")
	case "replay":
		return inbox.Replay(w.int("target"))
	case "requeue":
		return inbox.Requeue(w.int("target"))
	case "replay_delivery":
		return inbox.ReplayDelivery(w.int("target"))
	case "pause":
		return inbox.Pause(w.text("target"))
	case "resume":
		return inbox.Resume(w.text("target"))
	default:
		panic("unknown act " + verb)
	}
}

func prune(inbox *knockersqlite.Inbox, kind string, w *words) (any, error) {
	p := knockersqlite.PruneParams{
		Statuses: w.texts("statuses"), OlderThan: w.int("older_than"), Limit: w.int("limit"), DryRun: w.bool("dry_run"),
	}
	w.known()
	if kind == "events" {
		return inbox.PruneEvents(p)
	}
	return inbox.PruneOrphanDeliveries(p)
}

func diagnose(inbox *knockersqlite.Inbox, w *words, now time.Time) (any, error) {
	others, delivery := w.object("others"), w.int("delivery")
	r := receive(w)
	if delivery != 0 {
		return inbox.DiagnoseDelivery(delivery, r, others)
	}
	return knockersqlite.Diagnose(r, others, now)
}

// inside answers what is asked of a handler's transaction.
func inside(q *words) (any, error) {
	in := running[q.int("tx")]
	switch do := q.text("do"); do {
	case "tx_event":
		return in.event, nil
	case "tx_sql":
		values, _ := q.any("values").([]any)
		if q.bool("rows") {
			return in.tx.Query(q.text("text"), values...)
		}
		_, err := in.tx.Exec(q.text("text"), values...)
		return []any{}, err
	case "tx_receive":
		return answer(in.tx.Receive(receive(wordsOf(q.any("words")))))
	case "tx_ingest":
		return answer(in.tx.Ingest(ingest(wordsOf(q.any("words")))))
	case "tx_extend":
		return nil, in.tx.Extend(time.Duration(q.float("seconds") * float64(time.Second)))
	default:
		panic("nothing is done as " + do)
	}
}

func given(asked object) (any, error) {
	q := wordsOf(asked)
	do, on, w, now := q.text("do"), q.text("on"), wordsOf(asked["words"]), time.Unix(q.int("now"), 0)
	inbox := inboxes[on]
	switch do {
	case "begin":
		path = q.text("path")
	case "end":
		for on, inbox := range inboxes {
			_ = inbox.Close()
			delete(inboxes, on)
		}
	case "clock":
		for _, inbox := range inboxes {
			if err := inbox.SetClock(now); err != nil && !errors.Is(err, knockersqlite.ErrClosed) {
				return nil, err
			}
		}
	case "open":
		return nil, open(on, w, now)
	case "close":
		return nil, inbox.Close()
	case "endpoint":
		return nil, endpoint(inbox, w)
	case "receive":
		return answer(inbox.Receive(receive(w)))
	case "receive_many":
		many, _ := q.any("many").([]any)
		return receiveMany(inbox, many)
	case "ingest":
		return answer(inbox.Ingest(ingest(w)))
	case "handle":
		run := q.int("run")
		inbox.RegisterEventHandler(q.text("endpoint"), q.text("event_type"), func(event knockersqlite.Event, tx *knockersqlite.Tx) error {
			return handle(run, event, tx)
		})
	case "work":
		return inbox.Drain(w.text("worker_id"), knockersqlite.DrainOptions{Max: int(w.int("max")), Queues: w.texts("queues")})
	case "get":
		if q.text("kind") == "event" {
			return inbox.GetEvent(q.int("id"))
		}
		return inbox.GetDelivery(q.int("id"))
	case "list":
		return list(inbox, q.text("kind"), w)
	case "act":
		return nil, act(inbox, q)
	case "why":
		return inbox.Why(q.int("id"))
	case "stats":
		return inbox.Stats()
	case "reverify":
		o := knockersqlite.ReverifyOptions{Since: w.int("since"), AfterID: w.int("after_id"), Limit: w.int("limit"), DryRun: w.bool("dry_run")}
		o.By = receive(w)
		return inbox.Reverify(o)
	case "diagnose":
		return diagnose(inbox, w, now)
	case "prune":
		return prune(inbox, q.text("kind"), w)
	case "verify":
		verdict, err := knockersqlite.Verify(receive(w), now)
		verdict.ResponseHeaders = lowered(verdict.ResponseHeaders)
		return verdict, err
	case "sign":
		headers, err := knockersqlite.Sign(receive(w), now)
		return lowered(headers), err
	default:
		return inside(q)
	}
	return nil, nil
}

func handle(run int64, event knockersqlite.Event, tx *knockersqlite.Tx) error {
	running = append(running, frame{event, tx})
	say(object{"run": run})
	end := wordsOf(play())
	running = running[:len(running)-1]
	if _, ok := end.of["raise"]; ok {
		return errors.New(end.text("raise"))
	}
	if _, ok := end.of["retry_after"]; ok {
		return knockersqlite.RetryAfter(time.Duration(end.float("retry_after")*float64(time.Second)), end.text("reason"))
	}
	if _, ok := end.of["ignore"]; ok {
		return knockersqlite.Ignore(end.text("ignore"))
	}
	if _, ok := end.of["dead"]; ok {
		return knockersqlite.Dead(end.text("dead"))
	}
	return nil
}

func answered(asked object) (said object) {
	defer func() {
		if r := recover(); r != nil {
			said = object{"broke": fmt.Sprint(r)}
		}
	}()
	gives, err := given(asked)
	var known *knockersqlite.Error
	switch {
	case err == nil:
		return object{"gives": gives}
	case errors.As(err, &known):
		return object{"fails": known.Name, "text": known.Text}
	}
	return object{"broke": err.Error()}
}

// play answers until the input ends, or gives how a handler is to end.
func play() object {
	for asked := hear(); asked != nil; asked = hear() {
		if asked["do"] == "return" {
			ending, _ := asked["ending"].(object)
			return ending
		}
		say(answered(asked))
	}
	return nil
}

func main() { play() }
