package knockersqlite

// Running handlers: a handler's transaction, and the loop that claims and settles. Outcomes are
// decided in C.

// #include "shim.h"
import "C"

import (
	"context"
	"errors"
	"fmt"
	"math"
	"runtime"
	"strings"
	"sync"
	"time"
)

// Handler handles an event. What it writes through tx commits with the event, if it returns nil.
// It must use tx and not the inbox, whose writes wait for the handler and fail with ErrBusy.
type Handler func(event Event, tx *Tx) error

// RegisterHandler handles the events of an endpoint that have no handler of their type.
func (i *Inbox) RegisterHandler(endpoint string, handler Handler) {
	i.RegisterEventHandler(endpoint, "", handler)
}

// RegisterEventHandler handles an endpoint's events of one type.
func (i *Inbox) RegisterEventHandler(endpoint, eventType string, handler Handler) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.handlers[[2]string{endpoint, eventType}] = handler
}

func (i *Inbox) handler(event Event) Handler {
	i.mu.RLock()
	defer i.mu.RUnlock()
	if handler := i.handlers[[2]string{event.Endpoint, event.EventType}]; handler != nil {
		return handler
	}
	return i.handlers[[2]string{event.Endpoint, ""}]
}

// Tx is a handler's transaction. After the handler its calls fail with ErrClosed.
type Tx struct {
	mu    sync.Mutex
	inbox *Inbox
	work  *C.knocker_work
}

// Changes is what a statement did.
type Changes struct {
	LastInsertID int64
	RowsAffected int64
}

func (t *Tx) lock() error {
	t.mu.Lock()
	if t.work == nil {
		t.mu.Unlock()
		return &Error{ErrClosed.Code, ErrClosed.Name, "the handler has ended, and its transaction with it"}
	}
	return nil
}

// take ends the use of the transaction by others.
func (t *Tx) take() *C.knocker_work {
	t.mu.Lock()
	defer t.mu.Unlock()
	work := t.work
	t.work = nil
	return work
}

// Exec runs one statement.
func (t *Tx) Exec(sql string, args ...any) (Changes, error) {
	p, err := statement(sql, args)
	if err != nil {
		return Changes{}, err
	}
	if err := t.lock(); err != nil {
		return Changes{}, err
	}
	defer t.mu.Unlock()
	var changes, id C.int64_t
	text, words := p.pointers()
	_, _, err = call(func(_ **C.knocker_rows, e *C.knocker_error) C.int32_t {
		return C.shim_sql(nil, t.work, text, words, C.int32_t(len(args)), &changes, &id, nil, e)
	})
	return Changes{int64(id), int64(changes)}, err
}

// Query runs one statement and returns its rows.
func (t *Tx) Query(sql string, args ...any) ([]Row, error) {
	p, err := statement(sql, args)
	if err != nil {
		return nil, err
	}
	if err := t.lock(); err != nil {
		return nil, err
	}
	defer t.mu.Unlock()
	text, words := p.pointers()
	rows, _, err := call(func(out **C.knocker_rows, e *C.knocker_error) C.int32_t {
		return C.shim_sql(nil, t.work, text, words, C.int32_t(len(args)), nil, nil, out, e)
	})
	return rowsOf(rows, err)
}

// Receive is Inbox.Receive as part of the transaction.
func (t *Tx) Receive(r ReceiveParams) (Result, error) {
	if err := t.lock(); err != nil {
		return Result{}, err
	}
	defer t.mu.Unlock()
	return t.inbox.receive(t.work, r)
}

// Ingest is Inbox.Ingest as part of the transaction.
func (t *Tx) Ingest(r IngestParams) (Result, error) {
	if err := t.lock(); err != nil {
		return Result{}, err
	}
	defer t.mu.Unlock()
	return t.inbox.ingest(t.work, r)
}

// Extend makes the job's lease end so far from now.
func (t *Tx) Extend(d time.Duration) error {
	if err := t.lock(); err != nil {
		return err
	}
	defer t.mu.Unlock()
	_, _, err := call(func(_ **C.knocker_rows, e *C.knocker_error) C.int32_t {
		return C.knocker_extend(t.work, C.int64_t(d.Milliseconds()), e)
	})
	return err
}

type job struct {
	JobID   int64 `json:"job_id"`
	Claim   int64 `json:"claim"`
	EventID int64 `json:"event_id"`
	Died    bool  `json:"died"`
}

func serves(id string, queues []string, count int) *packed {
	text, _ := jsonText("queues", queues)
	return new(packed).texts(id, text, "").ints(int64(count), 0)
}

// handle runs a handler. A panic is its failure; Goexit passes through.
func handle(handler Handler, event Event, tx *Tx) (err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("panic: %v", r)
		}
	}()
	return handler(event, tx)
}

func (i *Inbox) run(j job) (recorded bool, err error) {
	if j.Died {
		return false, nil
	}
	tx := &Tx{inbox: i}
	_, done, err := i.do(func(k *C.knocker, _ **C.knocker_rows, e *C.knocker_error) C.int32_t {
		return C.knocker_work_begin(k, C.int64_t(j.JobID), C.int64_t(j.Claim), &tx.work, e)
	})
	if err != nil || done != 0 {
		return false, err
	}
	defer func() { C.knocker_work_free(tx.take()) }() // of a handler that never returned
	rows, _, err := call(func(out **C.knocker_rows, e *C.knocker_error) C.int32_t {
		return C.knocker_work_event(tx.work, out, e)
	})
	event, err := first[Event](rows, err)
	if err != nil {
		return false, err
	}
	end := outcome{kind: noHandler}
	if handler := i.handler(event); handler != nil {
		end = ending(handle(handler, event, tx))
	}
	p := new(packed).texts(strings.ToValidUTF8(end.reason, "\uFFFD")).ints(end.kind, end.delay.Milliseconds())
	settled, err := i.ask(C.ASK_SETTLE, tx.take(), p)
	C.knocker_rows_free(settled)
	if errors.Is(err, ErrLeaseLost) || errors.Is(err, ErrBusy) {
		return false, nil // it costs this job only, which comes due again
	}
	if errors.Is(err, ErrSQL) {
		return true, nil // it could not be committed, and that was recorded as its failure
	}
	return err == nil, err
}

func ending(err error) outcome {
	var asked *outcome
	switch {
	case err == nil:
		return outcome{kind: handled}
	case errors.As(err, &asked):
		end := *asked
		if end.kind == retryAfter && end.delay < time.Millisecond {
			end.delay = time.Millisecond
		}
		return end
	}
	return outcome{kind: failed, reason: err.Error()}
}

// batch claims some jobs and runs them; what it does not begin it gives back.
func (i *Inbox) batch(id string, queues []string, count int) (claimed int, events []int64, err error) {
	rows, err := i.ask(C.ASK_CLAIM, nil, serves(id, queues, count))
	jobs := into[job](rows)
	claimed = len(jobs)
	defer func() {
		for _, j := range jobs {
			C.knocker_release(i.handle(), C.int64_t(j.JobID), C.int64_t(j.Claim), nil)
		}
		runtime.KeepAlive(i)
	}()
	for err == nil && len(jobs) > 0 {
		j := jobs[0]
		jobs = jobs[1:]
		var recorded bool
		if recorded, err = i.run(j); recorded {
			events = append(events, j.EventID)
		}
	}
	return claimed, events, err
}

// DrainOptions limit Drain: at most Max jobs, of these queues.
type DrainOptions struct {
	Max    int
	Queues []string
}

// Drain runs what is due until nothing is, and gives the events whose outcome it recorded.
func (i *Inbox) Drain(workerID string, options DrainOptions) ([]int64, error) {
	left := options.Max
	if left <= 0 {
		left = math.MaxInt
	}
	events := []int64{}
	for left > 0 {
		claimed, some, err := i.batch(workerID, options.Queues, least(left, 10))
		events = append(events, some...)
		if err != nil || claimed == 0 {
			return events, err
		}
		left -= claimed
	}
	return events, nil
}

func least(a, b int) int {
	if a < b {
		return a
	}
	return b
}

// RunWorkerOnce runs one due job; false: none was due.
func (i *Inbox) RunWorkerOnce(workerID string) (bool, error) {
	claimed, _, err := i.batch(workerID, nil, 1)
	return claimed > 0, err
}

// RunWorker runs jobs as they come due until ctx is done or, where max is not 0, so many were
// claimed. It returns nil when it was stopped. A stop waits for the batch that is being run.
func (i *Inbox) RunWorker(ctx context.Context, workerID string, max int) error {
	defer runtime.KeepAlive(i)
	ended, woken := make(chan struct{}), make(chan struct{})
	go i.wakeWhenDone(ctx, ended, woken)
	defer func() { close(ended); <-woken }()
	left := max
	if left <= 0 {
		left = math.MaxInt
	}
	for left > 0 && ctx.Err() == nil {
		claimed, _, err := i.batch(workerID, nil, least(left, 10))
		if err == nil && claimed == 0 {
			_, err = i.ask(C.ASK_WAIT, nil, serves(workerID, nil, 10).ints(1000))
		}
		if err != nil {
			return err
		}
		left -= claimed
	}
	return nil
}

// wakeWhenDone wakes a waiting worker, again and again: one wake may come just before the sleep.
func (i *Inbox) wakeWhenDone(ctx context.Context, ended, woken chan struct{}) {
	defer close(woken)
	select {
	case <-ended:
		return
	case <-ctx.Done():
	}
	for {
		C.knocker_wake(i.handle())
		select {
		case <-ended:
			return
		case <-time.After(20 * time.Millisecond):
		}
	}
}
