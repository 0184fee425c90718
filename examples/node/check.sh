#!/bin/sh
# Drives each server as Stripe would, with repeats and forgeries, and compares what was sent with what
# its inbox holds. Before: npm install --no-package-lock (here), and ./run build (for `knocker`).
set -eu
here=$(cd "$(dirname "$0")" && pwd)
export STRIPE_SECRET=whsec_example
cd "$here"
room=$(mktemp -d)
pid=
trap 'test -z "$pid" || kill "$pid" 2>/dev/null || :; rm -rf "$room"' EXIT

for server in http express; do
	node "$here/$server.js" "$room/$server.db" 0 >"$room/$server.url" &
	pid=$!
	for _ in $(seq 100); do
		test -s "$room/$server.url" && break
		sleep 0.05
	done
	url=$(cat "$room/$server.url")
	"$here/../drive.sh" "$room/$server.db" invoices "$url" $(test $server = http || echo "$url" | sed s/stripe/short/)
	kill -TERM "$pid"
	wait "$pid"
	pid=
done
