#!/bin/sh
# Drives a server as Stripe would, with repeats and forgeries, compares what was sent with what its inbox holds, waits until
# nothing is queued, and counts what its handler wrote, a row an event: drive.sh DATABASE TABLE URL...
# STRIPE_SECRET is the server's. Before: ./run build.
set -eu
knocker=${KNOCKER:-$(dirname "$0")/../build/knocker}
database=$1 table=$2
shift 2

for url; do
	"$knocker" emulate stripe --to "$url" --secret-env STRIPE_SECRET --count 500 \
		--duplicates 10% --forged 5% --reorder --check "$database"
done

ask() { sqlite3 "$database" "$1"; }
queued=all
for _ in $(seq 300); do
	queued=$(ask "select count(*) from knocker_jobs")
	[ "$queued" != 0 ] || break
	sleep 0.1
done
rows=$(ask "select count(*) from $table")
handled=$(ask "select count(*) from knocker_events where status = 'handled'")
echo "$table: $rows of $handled events"
[ "$queued" = 0 ] && [ "$rows" = "$handled" ] && [ "$rows" -gt 0 ]
