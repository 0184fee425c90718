package knockersqlite

// What Go alone can break: panics, Goexit, contexts, goroutines and late use of a transaction.

import (
	"bytes"
	"context"
	"errors"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"testing"
	"time"
)

func opened(t *testing.T) *Inbox {
	t.Helper()
	inbox, err := Open(filepath.Join(t.TempDir(), "app.db"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = inbox.Close() })
	if err := inbox.AddEndpoint(AddEndpointParams{Name: "shop"}); err != nil {
		t.Fatal(err)
	}
	return inbox
}

func received(t *testing.T, inbox *Inbox) int64 {
	t.Helper()
	result, err := inbox.Receive(ReceiveParams{Endpoint: "shop", Body: []byte(`{"n": 1}`), Headers: http.Header{"X-A": {"b"}}})
	if err != nil || result.StatusCode != 204 || result.EventID == 0 {
		t.Fatalf("%+v %v", result, err)
	}
	return result.EventID
}

func status(t *testing.T, inbox *Inbox, id int64, want string) Event {
	t.Helper()
	event, err := inbox.GetEvent(id)
	if err != nil || event.Status != want {
		t.Fatalf("%+v %v, not %s", event, err, want)
	}
	return event
}

func TestAnEventIsHandledInItsTransaction(t *testing.T) {
	inbox := opened(t)
	id := received(t, inbox)
	var late *Tx
	inbox.RegisterHandler("shop", func(event Event, tx *Tx) error {
		late = tx
		if _, err := tx.Exec("CREATE TABLE seen(a, b, c)"); err != nil {
			return err
		}
		changes, err := tx.Exec("INSERT INTO seen VALUES (?, ?, ?)", int64(9007199254740993), event.Body, "a\x00b")
		if err != nil || changes.RowsAffected != 1 {
			t.Errorf("%+v %v", changes, err)
		}
		rows, err := tx.Query("SELECT * FROM seen")
		if err != nil || rows[0]["a"] != int64(9007199254740993) || !bytes.Equal(rows[0]["b"].([]byte), event.Body) || rows[0]["c"] != "a\x00b" {
			t.Errorf("%v %v", rows, err)
		}
		return nil
	})
	if ran, err := inbox.RunWorkerOnce("w"); !ran || err != nil {
		t.Fatal(ran, err)
	}
	if event := status(t, inbox, id, "handled"); event.Headers["X-A"] != "b" {
		t.Fatal(event.Headers)
	}
	if _, err := late.Exec("SELECT 1"); !errors.Is(err, ErrClosed) {
		t.Fatal(err)
	}
}

func TestAPanicIsAFailureOfItsHandler(t *testing.T) {
	inbox := opened(t)
	id := received(t, inbox)
	inbox.RegisterHandler("shop", func(Event, *Tx) error { panic("spilt") })
	if _, err := inbox.Drain("w", DrainOptions{}); err != nil {
		t.Fatal(err)
	}
	if event := status(t, inbox, id, "failed"); event.LastError != "panic: spilt" {
		t.Fatal(event.LastError)
	}
}

func TestGoexitRollsBackAndGivesJobsBack(t *testing.T) {
	inbox := opened(t)
	first, second := received(t, inbox), received(t, inbox)
	inbox.RegisterHandler("shop", func(_ Event, tx *Tx) error {
		if _, err := tx.Exec("CREATE TABLE half(a)"); err != nil {
			t.Error(err)
		}
		runtime.Goexit()
		return nil
	})
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_, _ = inbox.Drain("w", DrainOptions{})
	}()
	<-ended
	inbox.RegisterHandler("shop", func(_ Event, tx *Tx) error {
		_, err := tx.Exec("CREATE TABLE IF NOT EXISTS half(a)")
		return err
	})
	if events, err := inbox.Drain("w", DrainOptions{}); err != nil || len(events) != 2 {
		t.Fatal(events, err)
	}
	status(t, inbox, first, "handled")
	status(t, inbox, second, "handled")
}

func TestAWorkerStopsWithItsContextAndLeavesNoGoroutine(t *testing.T) {
	inbox := opened(t)
	before := runtime.NumGoroutine()
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan error)
	handled := make(chan int64, 1)
	inbox.RegisterHandler("shop", func(e Event, _ *Tx) error { handled <- e.ID; return nil })
	go func() { done <- inbox.RunWorker(ctx, "w", 0) }()
	id := received(t, inbox)
	if got := <-handled; got != id {
		t.Fatal(got)
	}
	time.Sleep(50 * time.Millisecond)
	asked := time.Now()
	stop()
	if err := <-done; err != nil || time.Since(asked) > 500*time.Millisecond {
		t.Fatal(err, time.Since(asked))
	}
	time.Sleep(10 * time.Millisecond)
	if after := runtime.NumGoroutine(); after > before {
		t.Fatalf("%d goroutines, %d before", after, before)
	}
}

func TestAClosedInboxSaysSo(t *testing.T) {
	inbox := opened(t)
	if err := inbox.Close(); err != nil {
		t.Fatal(err)
	}
	_, err := inbox.Receive(ReceiveParams{Endpoint: "shop"})
	var known *Error
	if !errors.Is(err, ErrClosed) || !errors.As(err, &known) || known.Name != "closed" {
		t.Fatal(err)
	}
}

func TestOutcomesAreErrors(t *testing.T) {
	inbox := opened(t)
	for want, end := range map[string]error{"ignored": Ignore("old"), "dead": Dead("bad"), "received": RetryAfter(time.Hour, "later")} {
		id := received(t, inbox)
		inbox.RegisterHandler("shop", func(Event, *Tx) error { return end })
		if _, err := inbox.Drain("w", DrainOptions{}); err != nil {
			t.Fatal(err)
		}
		status(t, inbox, id, want)
	}
}

func TestTheCopiedCoreIsFresh(t *testing.T) {
	core := os.Getenv("KNOCKER_BUILD")
	if core == "" {
		core = filepath.Join("..", "..", "build")
	}
	for _, name := range []string{"knocker.c", "knocker.h"} {
		ours, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		theirs, err := os.ReadFile(filepath.Join(core, name))
		if err != nil || !bytes.Equal(ours, theirs) {
			t.Fatalf("%s is stale: run sync.sh (%v)", name, err)
		}
	}
}

func TestAClosedInboxClosesNoOther(t *testing.T) {
	first, err := Open(filepath.Join(t.TempDir(), "first.db"))
	if err != nil {
		t.Fatal(err)
	}
	if err := first.Close(); err != nil {
		t.Fatal(err)
	}
	second, err := Open(filepath.Join(t.TempDir(), "second.db")) // C gives it the first one's place
	if err != nil {
		t.Fatal(err)
	}
	defer second.Close()
	if _, err := first.Stats(); !errors.Is(err, ErrClosed) {
		t.Fatalf("a closed inbox says %v", err)
	}
	if err := first.Close(); err != nil {
		t.Fatalf("closing twice says %v", err)
	}
	if _, err := second.Stats(); err != nil {
		t.Fatalf("the second inbox was closed by the first: %v", err)
	}
}

// own accepts, fails or panics, as the request's body says.
type own struct{}

func (own) Name() string { return "own" }

func (own) Verify(r ReceiveParams, secrets []string, _ map[string]any) (ProviderResult, error) {
	switch string(r.Body) {
	case "panic":
		panic(secrets[0])
	case "error":
		return ProviderResult{Valid: true}, errors.New(secrets[0])
	}
	return ProviderResult{Valid: true, EventType: "made", ProviderEventID: string(r.Body)}, nil
}

func TestAProviderInCodeLosesNoRequest(t *testing.T) {
	inbox := opened(t)
	if err := inbox.AddEndpoint(AddEndpointParams{Name: "own", Custom: own{}, Secrets: []string{"s3cret"}}); err != nil {
		t.Fatal(err)
	}
	for body, want := range map[string]int{"one": 204, "panic": 401, "error": 401} {
		result, err := inbox.Receive(ReceiveParams{Endpoint: "own", Body: []byte(body)})
		if err != nil || result.StatusCode != want {
			t.Fatalf("%s: %+v %v", body, result, err)
		}
		delivery, err := inbox.GetDelivery(result.DeliveryID)
		if err != nil || (want == 204) != (delivery.SignatureError == "" && delivery.EventType == "made") {
			t.Fatalf("%s: %+v %v", body, delivery, err)
		}
		if want == 401 && delivery.SignatureError != "own failed" {
			t.Fatal(delivery.SignatureError)
		}
	}
}

func TestRetentionPrunesOnceAnInterval(t *testing.T) {
	inbox := opened(t)
	start := time.Unix(1700000000, 0)
	if err := inbox.SetClock(start); err != nil {
		t.Fatal(err)
	}
	id := received(t, inbox)
	inbox.RegisterHandler("shop", func(Event, *Tx) error { return nil })
	if _, err := inbox.Drain("w", DrainOptions{}); err != nil {
		t.Fatal(err)
	}
	status(t, inbox, id, "handled")
	if err := inbox.RunRetention(context.Background(), RetentionPolicy{IntervalS: 60}); !errors.Is(err, ErrInvalidArgument) {
		t.Fatalf("a policy that prunes nothing says %v", err)
	}
	if err := inbox.SetClock(start.Add(time.Hour)); err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithTimeout(context.Background(), 1200*time.Millisecond)
	defer stop()
	if err := inbox.RunRetention(ctx, RetentionPolicy{IntervalS: 60, EventOlderThanS: 60}); err != nil {
		t.Fatal(err)
	}
	if _, err := inbox.GetEvent(id); !errors.Is(err, ErrUnknownEvent) {
		t.Fatal(err)
	}
	if audits, err := inbox.ListPruneAudits(Filter{}); err != nil || len(audits) != 1 {
		t.Fatalf("%v %v: one pass in an interval", audits, err)
	}
}
