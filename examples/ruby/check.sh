#!/bin/sh
# Drives config.ru on Puma over real HTTP as Stripe would, with repeats and forgeries, and compares what
# was sent with what its inbox and its table hold. Before: ./run build, and bindings/ruby/build.sh.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
root=$here/../..
export STRIPE_SECRET=whsec_example RUBYLIB="${RUBYLIB:-$root/bindings/ruby/lib}" RACK_ENV=production
room=$(mktemp -d)
export INBOX="$room/payments.db"
puma -b tcp://127.0.0.1:0 -t 1:16 "$here/config.ru" >"$room/said" 2>&1 &
server=$!
trap 'kill "$server" 2>/dev/null || :; rm -rf "$room"' EXIT
for _ in $(seq 100); do
	port=$(sed -n 's/^\* Listening on http:..127.0.0.1:\([0-9]*\).*/\1/p' "$room/said")
	[ -z "$port" ] || break
	kill -0 "$server"
	sleep 0.1
done
"$here/../drive.sh" "$INBOX" payments "http://127.0.0.1:$port/webhooks/stripe" "http://127.0.0.1:$port/webhooks/short" ||
	{ cat "$room/said"; exit 1; }
kill -TERM "$server"
wait "$server" || [ $? = 143 ]
