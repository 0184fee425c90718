// Package knockersqlite is a durable webhook inbox inside an application's own SQLite file. What it
// does is decided below, in C; this package is its face in Go.
package knockersqlite

// #include "shim.h"
import "C"

import (
	"errors"
	"runtime"
	"sync"
	"sync/atomic"
	"time"
	"unsafe"
)

const (
	valid     = C.KNOCKER_VALID
	notValid  = C.KNOCKER_INVALID
	unchecked = C.KNOCKER_UNCHECKED

	handled    = C.KNOCKER_HANDLED
	failed     = C.KNOCKER_FAILED
	retryAfter = C.KNOCKER_RETRY_AFTER
	dead       = C.KNOCKER_DEAD
	ignored    = C.KNOCKER_IGNORED
	noHandler  = C.KNOCKER_NO_HANDLER
)

// Options of Open; what is zero has its default.
type Options struct {
	QueueName          string
	InitSQL            string
	VisibilityTimeoutS float64 // 60
	MaxAttempts        int64   // 3
	BackoffBaseS       float64 // 10
	BackoffCapS        float64 // 3600
	MaxReaders         int64   // 8
	BusyTimeoutMS      int64   // 2500
	MaxBodyBytes       int64   // 5 MiB; -1: no limit
	SynchronousNormal  bool    // a power cut may take the last moments' receipts
	SettleFull         bool
	OrphanBytes        int64
	OrphanRows         int64
	Existing           bool
	Clock              time.Time // for tests: where the clock stands
	Seed               int64     // for tests: of the jitter
}

// Inbox is an open file. Goroutines share it freely.
type Inbox struct {
	mu        sync.RWMutex   // guards the maps and the clock
	k         unsafe.Pointer // a *C.knocker; nil once closed, for C uses its place again
	handlers  map[[2]string]Handler
	providers map[string]registered
	clock     time.Time // where it stands, for tests; zero: the system's
}

// Provider verifies the requests of an endpoint in the application's own code.
type Provider interface {
	Name() string
	Verify(r ReceiveParams, secrets []string, options map[string]any) (ProviderResult, error)
}

type registered struct {
	Provider
	secrets []string
	options map[string]any
}

// Open opens or creates the file at path.
func Open(path string, options ...Options) (*Inbox, error) {
	if len(options) > 1 {
		return nil, invalid("Open takes one Options")
	}
	var o Options
	if len(options) == 1 {
		o = options[0]
	}
	p := new(packed).texts(path, o.QueueName, o.InitSQL)
	p.ints(milliseconds(o.VisibilityTimeoutS), o.MaxAttempts, milliseconds(o.BackoffBaseS), milliseconds(o.BackoffCapS))
	p.ints(o.MaxReaders, o.BusyTimeoutMS, o.MaxBodyBytes, flag(o.SynchronousNormal), flag(o.SettleFull))
	p.ints(o.OrphanBytes, o.OrphanRows, 0, flag(o.Existing), clockMS(o.Clock), o.Seed)
	inbox := &Inbox{handlers: map[[2]string]Handler{}, providers: map[string]registered{}, clock: o.Clock}
	var e C.knocker_error
	text, words := p.pointers()
	var k *C.knocker
	if err := failure(C.shim_ask(C.ASK_OPEN, nil, nil, text, words, &k, nil, &e), &e); err != nil {
		return nil, err
	}
	inbox.k = unsafe.Pointer(k)
	runtime.SetFinalizer(inbox, func(i *Inbox) { _ = i.Close() })
	return inbox, nil
}

func clockMS(now time.Time) int64 {
	if now.IsZero() {
		return 0
	}
	return now.UnixMilli()
}

func (i *Inbox) handle() *C.knocker { return (*C.knocker)(atomic.LoadPointer(&i.k)) }

// Close ends all waits and closes. A later call fails with ErrClosed.
func (i *Inbox) Close() error {
	defer runtime.KeepAlive(i)
	var e C.knocker_error
	k := i.handle()
	if k == nil {
		return nil
	}
	err := failure(C.knocker_close(k, &e), &e)
	if err == nil || errors.Is(err, ErrClosed) {
		atomic.CompareAndSwapPointer(&i.k, unsafe.Pointer(k), nil)
		return nil
	}
	return err
}

// do makes a call of the core with the handle, while the inbox is open.
func (i *Inbox) do(f func(k *C.knocker, out **C.knocker_rows, e *C.knocker_error) C.int32_t) (*C.knocker_rows, int, error) {
	defer runtime.KeepAlive(i)
	k := i.handle()
	if k == nil {
		return nil, 0, &Error{ErrClosed.Code, ErrClosed.Name, "this inbox is closed"}
	}
	return call(func(out **C.knocker_rows, e *C.knocker_error) C.int32_t { return f(k, out, e) })
}

// ask is do with packed arguments.
func (i *Inbox) ask(what C.int32_t, work *C.knocker_work, p *packed) (*C.knocker_rows, error) {
	text, words := p.pointers()
	rows, _, err := i.do(func(k *C.knocker, out **C.knocker_rows, e *C.knocker_error) C.int32_t {
		return C.shim_ask(what, k, work, text, words, nil, out, e)
	})
	return rows, err
}

// SetClock sets this inbox's clock, for tests; the zero time is the system's.
func (i *Inbox) SetClock(now time.Time) error {
	_, _, err := i.do(func(k *C.knocker, _ **C.knocker_rows, e *C.knocker_error) C.int32_t {
		return C.knocker_clock_set(k, C.int64_t(clockMS(now)), e)
	})
	if err == nil {
		i.mu.Lock()
		defer i.mu.Unlock()
		i.clock = now
	}
	return err
}

func (i *Inbox) now() time.Time {
	i.mu.RLock()
	defer i.mu.RUnlock()
	if i.clock.IsZero() {
		return time.Now()
	}
	return i.clock
}

// AddEndpointParams is an endpoint. Scheme is one of the application's own, that Provider names;
// Custom is a provider in its own code; with External it gives each Receive a Verdict.
type AddEndpointParams struct {
	Name            string
	Path            string
	Provider        string
	Secrets         []string
	ProviderOptions map[string]any
	Scheme          map[string]any
	Custom          Provider
	External        bool
	Disabled        bool
	QueueName       string
	MaxAttempts     int64
	BackoffBaseS    float64
	BackoffCapS     float64
}

// AddEndpoint registers an endpoint, in place of what that of this name was before.
func (i *Inbox) AddEndpoint(a AddEndpointParams) error {
	scheme, err := jsonText("scheme", a.Scheme)
	if err != nil {
		return err
	}
	options, err := jsonText("provider options", a.ProviderOptions)
	if err != nil {
		return err
	}
	secrets, _ := jsonText("secrets", a.Secrets)
	provider, external := a.Provider, a.External
	if a.Custom != nil {
		provider, external, secrets, options = a.Custom.Name(), true, "", ""
	}
	p := new(packed).texts(a.Name, a.Path, provider, scheme, secrets, options, a.QueueName)
	p.ints(flag(a.Disabled), a.MaxAttempts, milliseconds(a.BackoffBaseS), milliseconds(a.BackoffCapS), flag(external))
	if _, err := i.ask(C.ASK_ENDPOINT, nil, p); err != nil {
		return err
	}
	i.mu.Lock()
	defer i.mu.Unlock()
	delete(i.providers, a.Name)
	if a.Custom != nil {
		i.providers[a.Name] = registered{a.Custom, a.Secrets, a.ProviderOptions}
	}
	return nil
}

// judged has a custom provider's verdict, if the endpoint has one.
func (i *Inbox) judged(r ReceiveParams) ReceiveParams {
	i.mu.RLock()
	own, ok := i.providers[r.Endpoint]
	i.mu.RUnlock()
	if !ok || r.Verdict != nil {
		return r
	}
	result := own.judge(r)
	r.Verdict = &result
	return r
}

// judge is a verdict also where the provider's code fails: a request may be anything, and none may
// be lost. Its error may name a secret, and stays here.
func (own registered) judge(r ReceiveParams) (result ProviderResult) {
	refused := ProviderResult{SignatureError: own.Name() + " failed"}
	defer func() {
		if recover() != nil {
			result = refused
		}
	}()
	result, err := own.Verify(r, own.secrets, own.options)
	if err != nil {
		return refused
	}
	return result
}

func (i *Inbox) receive(work *C.knocker_work, r ReceiveParams) (Result, error) {
	p := new(packed)
	r = i.judged(r)
	if err := r.pack(p, 0, ""); err != nil {
		return Result{}, err
	}
	return first[Result](i.ask(C.ASK_RECEIVE, work, p))
}

func (i *Inbox) ingest(work *C.knocker_work, r IngestParams) (Result, error) {
	p := new(packed)
	if err := r.pack(p); err != nil {
		return Result{}, err
	}
	return first[Result](i.ask(C.ASK_INGEST, work, p))
}

// first is the one row that a call gives.
func first[T any](rows *C.knocker_rows, err error) (one T, _ error) {
	if err == nil {
		one = into[T](rows)[0]
	}
	return one, err
}

// Receive verifies a request, stores it, and queues its event, in one commit. A rejected request is
// a result, whose StatusCode says so.
func (i *Inbox) Receive(r ReceiveParams) (Result, error) { return i.receive(nil, r) }

// Ingest stores a request without verifying it.
func (i *Inbox) Ingest(r IngestParams) (Result, error) { return i.ingest(nil, r) }

// Received is one request's part of ReceiveMany.
type Received struct {
	Result
	Err error
}

// ReceiveMany receives 1 to 1000 requests in one commit; a bad one fails alone.
func (i *Inbox) ReceiveMany(requests []ReceiveParams) ([]Received, error) {
	all := make([]Received, len(requests))
	p := new(packed)
	var sent []int
	for n, r := range requests {
		r = i.judged(r)
		if all[n].Err = r.pack(p, 0, ""); all[n].Err == nil {
			sent = append(sent, n)
		}
	}
	if len(sent) == 0 && len(requests) > 0 {
		return all, nil
	}
	text, words := p.pointers()
	rows, _, err := i.do(func(k *C.knocker, out **C.knocker_rows, e *C.knocker_error) C.int32_t {
		return C.shim_many(k, text, words, C.int32_t(len(sent)), out, e)
	})
	if err != nil {
		return nil, err
	}
	n := 0
	each(rows, func(names []string, cells []C.knocker_value) {
		var bad struct {
			Code int64  `json:"error_code"`
			Text string `json:"error"`
		}
		one := &all[sent[n]]
		n++
		fill(&one.Result, names, cells)
		fill(&bad, names, cells)
		if bad.Code != 0 {
			one.Err = &Error{Code(bad.Code), C.GoString(C.knocker_error_name(C.int64_t(bad.Code))), bad.Text}
		}
	})
	return all, nil
}
