package knockersqlite

// What a person asks and does: looking, judging requests, replaying and pruning.

// #include "shim.h"
import "C"

import (
	"context"
	"time"
)

// Filter is of lists; each list takes the members that its rows have.
type Filter struct {
	Limit, BeforeID, Since      int64
	Endpoint, Status, EventType string
	EventID                     int64
	SignatureValid, Orphaned    *bool
	Kind                        string // of audits
	WithoutBody                 bool
}

func choice(on *bool) int64 {
	if on == nil {
		return 0
	}
	return 2 - flag(*on)
}

func (i *Inbox) list(kind int64, f Filter) (*C.knocker_rows, error) {
	p := new(packed).ints(kind, f.Limit, f.BeforeID, f.Since).texts(f.Endpoint, f.Status, f.EventType)
	p.ints(f.EventID, choice(f.SignatureValid), choice(f.Orphaned)).texts(f.Kind).ints(flag(f.WithoutBody))
	return i.ask(C.ASK_LIST, nil, p)
}

// ListEvents gives events, the newest first.
func (i *Inbox) ListEvents(f Filter) ([]Event, error) {
	rows, err := i.list(C.KNOCKER_EVENT, f)
	return into[Event](rows), err
}

// ListDeliveries gives receipts, the newest first.
func (i *Inbox) ListDeliveries(f Filter) ([]Delivery, error) {
	rows, err := i.list(C.KNOCKER_DELIVERY, f)
	return into[Delivery](rows), err
}

// ListAttempts gives attempts, of one event where the filter names it.
func (i *Inbox) ListAttempts(f Filter) ([]Row, error) {
	return rowsOf(i.list(C.KNOCKER_ATTEMPT, f))
}

// ListEndpoints gives endpoints by name.
func (i *Inbox) ListEndpoints(f Filter) ([]Row, error) {
	return rowsOf(i.list(C.KNOCKER_ENDPOINT, f))
}

// ListJobs gives jobs as they come due.
func (i *Inbox) ListJobs(f Filter) ([]Row, error) {
	return rowsOf(i.list(C.KNOCKER_JOB, f))
}

// ListPruneAudits gives what pruning has recorded, the newest first.
func (i *Inbox) ListPruneAudits(f Filter) ([]Row, error) {
	return rowsOf(i.list(C.KNOCKER_AUDIT, f))
}

func rowsOf(rows *C.knocker_rows, err error) ([]Row, error) {
	if err != nil {
		return nil, err
	}
	return copied(rows), nil
}

func rowOf(rows *C.knocker_rows, err error) (Row, error) {
	if err != nil {
		return nil, err
	}
	return copied(rows)[0], nil
}

func get[T any](i *Inbox, kind C.int32_t, id int64) (T, error) {
	rows, _, err := i.do(func(k *C.knocker, out **C.knocker_rows, e *C.knocker_error) C.int32_t {
		return C.knocker_get(k, kind, C.int64_t(id), out, e)
	})
	return first[T](rows, err)
}

// GetEvent gives one event.
func (i *Inbox) GetEvent(id int64) (Event, error) { return get[Event](i, C.KNOCKER_EVENT, id) }

// GetDelivery gives one receipt.
func (i *Inbox) GetDelivery(id int64) (Delivery, error) {
	return get[Delivery](i, C.KNOCKER_DELIVERY, id)
}

// Ignore keeps an event from its handler.
func (i *Inbox) Ignore(eventID int64, reason string) error {
	_, err := i.ask(C.ASK_IGNORE, nil, new(packed).texts(reason).ints(eventID))
	return err
}

// Replay queues an event that has ended.
func (i *Inbox) Replay(eventID int64) error {
	_, _, err := i.do(func(k *C.knocker, _ **C.knocker_rows, e *C.knocker_error) C.int32_t {
		return C.knocker_replay(k, C.int64_t(eventID), e)
	})
	return err
}

// Requeue queues an event that failed or lost its place.
func (i *Inbox) Requeue(eventID int64) error {
	_, _, err := i.do(func(k *C.knocker, _ **C.knocker_rows, e *C.knocker_error) C.int32_t {
		return C.knocker_requeue(k, C.int64_t(eventID), e)
	})
	return err
}

// ReplayDelivery queues a delivery's event, with that delivery's body.
func (i *Inbox) ReplayDelivery(deliveryID int64) error {
	_, _, err := i.do(func(k *C.knocker, _ **C.knocker_rows, e *C.knocker_error) C.int32_t {
		return C.knocker_replay_delivery(k, C.int64_t(deliveryID), e)
	})
	return err
}

// Pause holds the handling of an endpoint's events; receiving goes on.
func (i *Inbox) Pause(endpoint string) error {
	_, err := i.ask(C.ASK_PAUSE, nil, new(packed).texts(endpoint).ints(1))
	return err
}

// Resume ends a pause.
func (i *Inbox) Resume(endpoint string) error {
	_, err := i.ask(C.ASK_PAUSE, nil, new(packed).texts(endpoint).ints(0))
	return err
}

// Why says why an event is where it is.
func (i *Inbox) Why(eventID int64) (Row, error) {
	rows, _, err := i.do(func(k *C.knocker, out **C.knocker_rows, e *C.knocker_error) C.int32_t {
		return C.knocker_why(k, C.int64_t(eventID), out, e)
	})
	return rowOf(rows, err)
}

// Stats sums up in its first row, and has one for each endpoint after it.
func (i *Inbox) Stats() ([]Row, error) {
	rows, _, err := i.do(func(k *C.knocker, out **C.knocker_rows, e *C.knocker_error) C.int32_t {
		return C.knocker_stats(k, out, e)
	})
	return rowsOf(rows, err)
}

// ReverifyOptions limit Reverify; By has the endpoint, and what differs from its registration.
type ReverifyOptions struct {
	By                    ReceiveParams
	Since, AfterID, Limit int64
	DryRun                bool
}

// Reverify verifies an endpoint's rejected receipts again, after a fix.
func (i *Inbox) Reverify(o ReverifyOptions) ([]Row, error) {
	p := new(packed)
	if err := o.By.pack(p, 0, ""); err != nil {
		return nil, err
	}
	return rowsOf(i.ask(C.ASK_REVERIFY, nil, p.ints(o.Since, o.AfterID, o.Limit, flag(o.DryRun))))
}

// DiagnoseDelivery says what would make a stored receipt valid.
func (i *Inbox) DiagnoseDelivery(id int64, by ReceiveParams, others map[string]any) ([]Row, error) {
	p := new(packed)
	if err := by.pack(p, 0, ""); err != nil {
		return nil, err
	}
	text, err := jsonText("others", others)
	if err != nil {
		return nil, err
	}
	return rowsOf(i.ask(C.ASK_DIAGNOSE_DELIVERY, nil, p.texts(text).ints(id)))
}

// Diagnose says what would make a request valid: others are further secrets by name.
func Diagnose(r ReceiveParams, others map[string]any, now time.Time) ([]Row, error) {
	p := new(packed)
	if err := r.pack(p, 0, ""); err != nil {
		return nil, err
	}
	text, err := jsonText("others", others)
	if err != nil {
		return nil, err
	}
	return rowsOf(pure(C.ASK_DIAGNOSE, p.texts(text).ints(clockMS(now))))
}

// Verify judges a request by its Provider, Secrets and ProviderOptions; a zero now is the system's.
func Verify(r ReceiveParams, now time.Time) (Verdict, error) {
	p := new(packed)
	if err := r.pack(p, 0, ""); err != nil {
		return Verdict{}, err
	}
	return first[Verdict](pure(C.ASK_VERIFY, p.ints(clockMS(now))))
}

// Sign gives the headers with which its provider would send a request.
func Sign(r ReceiveParams, now time.Time) (map[string]string, error) {
	p := new(packed)
	if err := r.pack(p, 0, ""); err != nil {
		return nil, err
	}
	rows, err := rowsOf(pure(C.ASK_SIGN, p.ints(clockMS(now))))
	headers := map[string]string{}
	for _, row := range rows {
		name, _ := row["name"].(string)
		headers[name], _ = row["value"].(string)
	}
	return headers, err
}

// PruneParams say what to prune: received before the Unix second OlderThan.
type PruneParams struct {
	Statuses         []string
	OlderThan, Limit int64
	DryRun           bool
}

func (i *Inbox) prune(what C.int32_t, a PruneParams) (Row, error) {
	statuses, _ := jsonText("statuses", a.Statuses)
	return rowOf(i.ask(what, nil, new(packed).texts(statuses).ints(a.OlderThan, a.Limit, flag(a.DryRun))))
}

// PruneEvents removes old events, and gives the counts.
func (i *Inbox) PruneEvents(a PruneParams) (Row, error) { return i.prune(C.ASK_PRUNE_EVENTS, a) }

// PruneOrphanDeliveries removes old rejected receipts, and gives the counts.
func (i *Inbox) PruneOrphanDeliveries(a PruneParams) (Row, error) {
	return i.prune(C.ASK_PRUNE_ORPHANS, a)
}

// RetentionPolicy is what RunRetention prunes, once in each interval; ages are in seconds.
type RetentionPolicy struct {
	IntervalS         int64
	Statuses          []string
	EventOlderThanS   int64
	EventLimit        int64
	OrphansOlderThanS int64
	OrphansLimit      int64
}

// RunRetention prunes by a policy until ctx is done, and returns nil then. Many processes may run it
// on one file: each interval is pruned once.
func (i *Inbox) RunRetention(ctx context.Context, policy RetentionPolicy) error {
	statuses, _ := jsonText("statuses", policy.Statuses)
	for {
		p := new(packed).ints(policy.IntervalS).texts(statuses)
		p.ints(policy.EventOlderThanS, policy.EventLimit, policy.OrphansOlderThanS, policy.OrphansLimit)
		row, err := rowOf(i.ask(C.ASK_RETAIN, nil, p))
		if err != nil {
			return err
		}
		for next := row["next_at"].(int64); i.now().Unix() < next; {
			select {
			case <-ctx.Done():
				return nil
			case <-time.After(time.Second): // so often the clock is looked at, for it may be set
			}
		}
		if ctx.Err() != nil {
			return nil
		}
	}
}
