#!/bin/sh
# Drives inbox.exs over real HTTP with the provider's requests, duplicates and forgeries, and judges
# what is in the file. Run it from the repository's root, after ./run build and `mix compile`.
set -eu
ebin=$(ls -d bindings/elixir/_build/*/lib/knocker_sqlite/ebin | head -n 1)
folder=$(mktemp -d)
export STRIPE_SECRET=whsec_123
elixir -pa "$ebin" examples/elixir/inbox.exs "$folder/payments.db" 0 >"$folder/said" 2>&1 &
server=$!
trap 'kill "$server" 2>/dev/null || :; rm -rf "$folder"' EXIT
for _ in $(seq 100); do
	port=$(sed -n 's/^listening on //p' "$folder/said")
	[ -z "$port" ] || break
	kill -0 "$server"
	sleep 0.1
done
examples/drive.sh "$folder/payments.db" payments "http://127.0.0.1:$port/webhooks/stripe" || { cat "$folder/said"; exit 1; }
