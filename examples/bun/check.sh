#!/bin/sh
# Drives the server as Stripe would, with repeats and forgeries, and compares what was sent with what
# its inbox holds. Before: ./run build (for `knocker`), and bindings/bun/scripts/build.sh.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
knocker=${KNOCKER:-$here/../../build/knocker}
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
"$knocker" emulate stripe --to "$(cat url)" --secret-env STRIPE_SECRET --count 1000 \
	--duplicates 10% --forged 5% --reorder --check app.db
kill -TERM "$pid"
wait "$pid"
pid=
STRAYS=$(bun -e '
	const { KnockerSqlite } = require("./node_modules/knocker-sqlite");
	const inbox = new KnockerSqlite("app.db", { existing: true });
	const [{ n }] = inbox.read("select count(*) as n from invoices");
	const [all] = inbox.stats();
	console.log(n === all.handled && all.queued === 0 ? 0 : `${n} rows of ${all.handled} events`);
')
test "$STRAYS" = 0 || { echo "bun: $STRAYS"; exit 1; }
echo "bun: every event was handled once"
