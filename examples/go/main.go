// An application that receives Stripe's webhooks over net/http and handles them in its own file.
package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"os"
	"os/signal"
	"syscall"

	"knockersqlite"
)

func handler(webhooks *knockersqlite.Inbox) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			http.Error(w, "bad request", http.StatusBadRequest)
			return
		}
		result, err := webhooks.Receive(knockersqlite.ReceiveParams{
			Endpoint: "stripe", Method: r.Method, Body: body, Headers: r.Header, Query: r.URL.RawQuery,
		})
		if err != nil {
			log.Print(err)
			http.Error(w, "try again", http.StatusServiceUnavailable)
			return
		}
		for name, value := range result.ResponseHeaders {
			w.Header().Set(name, value)
		}
		w.WriteHeader(result.StatusCode)
		_, _ = w.Write(result.ResponseBody)
	}
}

func invoice(event knockersqlite.Event, tx *knockersqlite.Tx) error {
	var payload struct{ ID string }
	if err := json.Unmarshal(event.Body, &payload); err != nil {
		return knockersqlite.Dead(err.Error())
	}
	_, err := tx.Exec("INSERT INTO invoices(provider_id) VALUES (?)", payload.ID)
	return err
}

func run(path string) error {
	webhooks, err := knockersqlite.Open(path, knockersqlite.Options{
		InitSQL: "create table if not exists invoices(provider_id)",
	})
	if err != nil {
		return err
	}
	defer webhooks.Close()
	if err := webhooks.AddEndpoint(knockersqlite.AddEndpointParams{
		Name: "stripe", Provider: "stripe", Secrets: []string{os.Getenv("STRIPE_SECRET")},
	}); err != nil {
		return err
	}
	webhooks.RegisterHandler("stripe", invoice)
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	defer listener.Close()
	http.Handle("/webhooks/stripe", handler(webhooks))
	go func() { _ = http.Serve(listener, nil) }()
	fmt.Printf("http://%s/webhooks/stripe\n", listener.Addr())
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	return webhooks.RunWorker(ctx, "worker-1", 0)
}

func main() {
	if len(os.Args) != 2 {
		log.Fatal("usage: example FILE")
	}
	if err := run(os.Args[1]); err != nil {
		log.Fatal(err)
	}
}
