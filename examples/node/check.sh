#!/bin/sh
# Drives each server as Stripe would, with repeats and forgeries, and compares what was sent with what
# its inbox holds. Before: npm install --no-package-lock (here), and ./run build (for `knocker`).
set -eu
here=$(cd "$(dirname "$0")" && pwd)
knocker=${KNOCKER:-$here/../../build/knocker}
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
	for url in $(cat "$room/$server.url") $(test $server = http || sed s/stripe/short/ "$room/$server.url"); do
		"$knocker" emulate stripe --to "$url" --secret-env STRIPE_SECRET --count 1000 \
			--duplicates 10% --forged 5% --reorder --check "$room/$server.db"
	done
	kill -TERM "$pid"
	wait "$pid"
	pid=
	STRAYS=$(node -e '
		const { KnockerSqlite } = require("knocker-sqlite");
		const inbox = new KnockerSqlite(process.argv[1], { existing: true });
		const [{ n }] = inbox.read("select count(*) as n from invoices");
		const [all] = inbox.stats();
		console.log(n === all.handled && all.queued === 0 ? 0 : `${n} rows of ${all.handled} events`);
	' "$room/$server.db")
	test "$STRAYS" = 0 || { echo "$server: $STRAYS"; exit 1; }
	echo "$server: every event was handled once"
done
