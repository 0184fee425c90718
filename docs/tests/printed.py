"""The examples that users have read before they come here, as they are printed. test_printed_examples.py runs them."""

OPEN = """
webhooks = knocker.open(
    "knocker.db",
    queue_name="knocker.events",
    visibility_timeout_s=60,
    max_attempts=3,
    max_readers=8,
)
"""
ENDPOINT_LOCAL = """
stripe = webhooks.endpoint(
    "stripe",
    path="/webhooks/stripe",
    provider="stripe",
    secrets=["whsec_123"],
    provider_options={"tolerance_s": 300},
)
@stripe.handle("checkout.session.completed")
def handle_checkout(event, tx):
    ...
"""
EXPLICIT = """
webhooks.add_endpoint(
    name="stripe",
    path="/webhooks/stripe",
    provider="stripe",
    secrets=["whsec_123"],
    provider_options={"tolerance_s": 300},
)
@webhooks.handle(endpoint="stripe", event_type="checkout.session.completed")
def handle_checkout(event, tx):
    ...
"""
PROVIDER = """
import knocker
class AcmeProvider(knocker.Provider):
    name = "acme"
    version = "1.0.0"
    requires_secrets = True
    def verify(self, request, *, secrets, options):
        return knocker.ProviderResult.accept(
            provider_delivery_id=request.header("x-acme-delivery"),
            event_type=request.header("x-acme-event"),
        )
webhooks.add_endpoint(
    name="acme",
    path="/webhooks/acme",
    provider=AcmeProvider(),
    secrets=["acme-secret"],
)
versions = webhooks.provider_versions()
# {"stripe": "1.0.0", "github": "1.0.0", "shopify": "1.0.0", ...}
"""
RECEIVE = """
result = stripe.receive(
    body=b"...",
    headers={"stripe-signature": "..."},
)
"""
INGEST = """
result = webhooks.ingest(
    endpoint="stripe",
    body=b"...",
    headers={},
    query={},
    method="POST",
    event_type="checkout.session.completed",
    provider_event_id="evt_1",
    provider_delivery_id="dlv_1",
    dedupe_key="evt_1",
    signature_valid=True,
    signature_error=None,
)
"""
LOOK = """
event = webhooks.get_event(42)
events = webhooks.list_events(limit=50)
delivery = webhooks.get_delivery(99)
deliveries = webhooks.list_deliveries(limit=50)
"""
ACTS = {
    "ignore": "webhooks.ignore(42)",
    "replay": "webhooks.replay(42)",
    "requeue": "webhooks.requeue(42)",
    "replay_delivery": "webhooks.replay_delivery(99)",
}
WORKER = """
await webhooks.run_worker(stop_event=stop, on_error=report_worker_error)
states = webhooks.worker_states()
"""
PRUNE = """
summary = webhooks.prune_events(statuses=["handled", "ignored"], older_than=1700000000, limit=100)
orphans = webhooks.prune_orphan_deliveries(older_than=1700000000, limit=100)
audits = webhooks.list_prune_audits(kind="prune_events", since=1700000000, limit=50)
"""
RETENTION = """
policy = knocker.RetentionPolicy(
    interval_s=3600,
    event_older_than_s=7 * 24 * 60 * 60,
    orphan_deliveries_older_than_s=24 * 60 * 60,
)
await webhooks.run_retention(policy, stop_event=stop)
"""
ROUTE = """
from fastapi import Request, Response

@api.post("/webhooks/provider")
async def provider_webhook(request: Request):
    result = webhooks.receive(
        endpoint="provider",
        body=await request.body(),
        headers=dict(request.headers),
        query=dict(request.query_params),
    )
    return Response(status_code=result.status_code)
"""
HANDLER = """
import json

@automation.handle("invoice.created")
def handle_invoice(event, tx):
    payload = json.loads(event.body)
    tx.execute(
        "INSERT INTO invoices(provider_id, total_cents) VALUES (?, ?)",
        [payload["id"], payload["data"]["object"]["amount_due"]],
    )
"""
SQL_ROUTE = """
-- Bind these from your framework route:
-- :body_blob is the exact raw request body bytes.
-- :headers_json and :query_json are JSON objects from the request.
SELECT knocker_receive(
  'provider',
  'token-header',
  json_array('dev-secret'),
  json_object(),
  'POST',
  :headers_json,
  :body_blob,
  :query_json,
  NULL,
  NULL,
  NULL,
  NULL,
  'knocker.events',
  3
) AS result_json;
-- Return json_extract(result_json, '$.status_code') to the webhook sender.
"""
SQL_WORKER = """
BEGIN IMMEDIATE;

-- Bindings do this around your handler:
SELECT knocker_mark_processing(:event_id, :attempt_count);

-- Your ORM/app write must use this same transaction.
INSERT INTO invoices(provider_id, total_cents)
VALUES (:provider_id, :total_cents);

SELECT knocker_mark_handled(:event_id, :duration_ms);
SELECT honker_ack(:job_id, :worker_id);

COMMIT;
"""
FIELDS = {
    "IngestResult": "delivery_id event_id duplicate status_code",
    "Event": "id endpoint event_type provider_event_id provider_delivery_id dedupe_key status attempt_count headers query "
    "body received_at handled_at last_error",
    "Delivery": "id event_id endpoint event_type provider_event_id provider_delivery_id dedupe_key method headers query body "
    "received_at signature_valid signature_error",
    "PruneAudit": "id kind queue_name executed_at events_pruned deliveries_pruned attempts_pruned live_jobs_pruned summary_json",
    "RetentionPolicy": "interval_s event_statuses event_older_than_s event_limit orphan_deliveries_older_than_s "
    "orphan_deliveries_limit",
    "PruneEventsResult": "events_pruned attempts_pruned deliveries_pruned live_jobs_pruned",
    "PruneDeliveriesResult": "deliveries_pruned",
    "WorkerState": "worker_id running current_event_id last_error",
    "ProviderResult": "valid signature_error provider_delivery_id provider_event_id event_type",
}
