#!/bin/sh
# Drives the server as Stripe would, with repeats and forgeries, and compares what was sent with what
# its inbox holds. Before: ./run build (for `knocker`).
set -eu
here=$(cd "$(dirname "$0")" && pwd)
export STRIPE_SECRET=whsec_example
room=$(mktemp -d)
pid=
trap 'test -z "$pid" || kill "$pid" 2>/dev/null || :; rm -rf "$room"' EXIT
(cd "$here" && go build -o "$room/server" .)
"$room/server" "$room/app.db" >"$room/url" &
pid=$!
for _ in $(seq 100); do
	test -s "$room/url" && break
	sleep 0.05
done
"$here/../drive.sh" "$room/app.db" invoices "$(cat "$room/url")"
kill -TERM "$pid"
wait "$pid"
pid=
