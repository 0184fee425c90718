#!/bin/sh
# Drives the server as Stripe would, with repeats and forgeries, and compares what was sent with what
# its inbox holds. Before: ./run build (for `knocker`), and bindings/bun/scripts/build.sh.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
export STRIPE_SECRET=whsec_example
room=$(mktemp -d)
pid=
trap 'test -z "$pid" || kill "$pid" 2>/dev/null || :; rm -rf "$room"' EXIT
mkdir "$room/node_modules"
cp -r "$here/../../bindings/bun/build/knocker-sqlite" "$room/node_modules"
cp "$here/server.js" "$room"
cd "$room"

bun server.js app.db 0 >url &
pid=$!
for _ in $(seq 100); do
	test -s url && break
	sleep 0.05
done
"$here/../drive.sh" app.db invoices "$(cat url)"
kill -TERM "$pid"
wait "$pid"
pid=
