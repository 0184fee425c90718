"""The examples of the Python page, as they are printed there."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest
from conftest import stripe_request

import knocker

CURATED = {
    "stripe",
    "github",
    "shopify",
    "slack",
    "postmark",
    "resend",
    "paddle",
    "lemon-squeezy",
    "standard-webhooks",
    "clerk",
    "twilio",
    "sendgrid",
    "linear",
    "meta",
    "discord",
    "zendesk",
    "intercom",
    "hubspot",
    "token-header",
    "bearer-token",
    "basic-auth",
}

FIELDS = {
    knocker.IngestResult: "delivery_id event_id duplicate status_code",
    knocker.Event: "id endpoint event_type provider_event_id provider_delivery_id"
    " dedupe_key status attempt_count headers query body received_at handled_at"
    " last_error",
    knocker.Delivery: "id event_id endpoint event_type provider_event_id"
    " provider_delivery_id dedupe_key method headers query body received_at"
    " signature_valid signature_error",
    knocker.PruneAudit: "id kind queue_name executed_at events_pruned"
    " deliveries_pruned attempts_pruned live_jobs_pruned summary_json",
    knocker.RetentionPolicy: "interval_s event_statuses event_older_than_s"
    " event_limit orphan_deliveries_older_than_s orphan_deliveries_limit",
    knocker.PruneEventsResult: "events_pruned attempts_pruned deliveries_pruned"
    " live_jobs_pruned",
    knocker.PruneDeliveriesResult: "deliveries_pruned",
    knocker.WorkerState: "worker_id running current_event_id last_error",
    knocker.ProviderResult: "valid signature_error provider_delivery_id"
    " provider_event_id event_type",
}


@pytest.fixture
def webhooks(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Any:
    monkeypatch.chdir(tmp_path)
    webhooks = knocker.open(
        "knocker.db",
        queue_name="knocker.events",
        visibility_timeout_s=60,
        max_attempts=3,
        max_readers=8,
    )
    yield webhooks
    webhooks.close()


def test_the_endpoint_local_shape_receives_and_handles(webhooks: knocker.Inbox) -> None:
    webhooks.drain()
    stripe = webhooks.endpoint(
        "stripe",
        path="/webhooks/stripe",
        provider="stripe",
        secrets=["whsec_123"],
        provider_options={"tolerance_s": 300},
    )
    handled = []

    @stripe.handle("checkout.session.completed")
    def handle_checkout(event: knocker.Event, tx: knocker.Tx) -> None:
        tx.execute("CREATE TABLE IF NOT EXISTS orders(id)")
        tx.execute("INSERT INTO orders VALUES (?)", [json.loads(event.body)["id"]])
        handled.append(event.provider_event_id)

    request = stripe_request({"id": "evt_1", "type": "checkout.session.completed"})
    result = stripe.receive(body=request["body"], headers=request["headers"])
    assert (result.status_code, result.duplicate) == (204, False)
    assert webhooks.drain() == [result.event_id]
    assert handled == ["evt_1"]
    assert webhooks.read("SELECT id FROM orders") == [{"id": "evt_1"}]


def test_the_explicit_shape_is_equivalent(webhooks: knocker.Inbox) -> None:
    webhooks.add_endpoint(
        name="stripe",
        path="/webhooks/stripe",
        provider="stripe",
        secrets=["whsec_123"],
        provider_options={"tolerance_s": 300},
    )
    seen = []

    @webhooks.handle(endpoint="stripe", event_type="checkout.session.completed")
    def handle_checkout(event: knocker.Event, tx: knocker.Tx) -> None:
        seen.append(event.event_type)

    request = stripe_request({"id": "evt_1", "type": "checkout.session.completed"})
    result = webhooks.receive(endpoint="stripe", **request)
    assert result.status_code == 204
    assert webhooks.run_worker_once() == result.event_id
    assert seen == ["checkout.session.completed"]


def test_a_forged_signature_is_a_result(webhooks: knocker.Inbox) -> None:
    stripe = webhooks.endpoint("stripe", provider="stripe", secrets=["whsec_123"])
    result = stripe.receive(body=b"...", headers={"stripe-signature": "..."})
    assert (result.status_code, result.event_id) == (401, None)
    delivery = webhooks.get_delivery(result.delivery_id)
    assert delivery.signature_valid is False and delivery.signature_error


class AcmeProvider(knocker.Provider):
    name = "acme"
    version = "1.0.0"
    requires_secrets = True

    def verify(self, request, *, secrets, options):  # type: ignore[no-untyped-def]
        return knocker.ProviderResult.accept(
            provider_delivery_id=request.header("x-acme-delivery"),
            event_type=request.header("x-acme-event"),
        )


def test_a_provider_instance_reads_the_request(webhooks: knocker.Inbox) -> None:
    webhooks.add_endpoint(
        name="acme",
        path="/webhooks/acme",
        provider=AcmeProvider(),
        secrets=["acme-secret"],
    )
    headers = {"X-Acme-Delivery": "d1", "X-Acme-Event": "made"}
    result = webhooks.receive("acme", b"{}", headers)
    delivery = webhooks.get_delivery(result.delivery_id)
    assert delivery.provider_delivery_id == "d1"
    assert delivery.event_type == "made"
    assert webhooks.receive("acme", b"{}", headers).duplicate is True
    versions = webhooks.provider_versions()
    assert set(versions) == CURATED
    assert versions["stripe"] == "1.0.0"
    versions.clear()
    assert webhooks.provider_versions()
    assert webhooks.queue_name == "knocker.events"
    with pytest.raises(AttributeError):
        webhooks.queue_name = "other"  # type: ignore[misc]


def test_ingest_is_the_trusted_door(webhooks: knocker.Inbox) -> None:
    webhooks.add_endpoint("stripe", provider="stripe", secrets=["whsec_123"])
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
    assert result.event_id is not None
    event = webhooks.get_event(result.event_id)
    assert event.endpoint == "stripe"
    assert event.body == b"..."
    assert event.status == "received"
    assert event.provider_event_id == event.dedupe_key == "evt_1"
    assert event.provider_delivery_id == "dlv_1"
    assert (event.attempt_count, event.handled_at, event.last_error) == (0, None, None)


def test_operators_look_and_act(webhooks: knocker.Inbox) -> None:
    webhooks.add_endpoint("x")
    webhooks.add_handler("x", lambda event, tx: None)
    for n in range(99):
        webhooks.ingest("x", b"%d" % n, signature_valid=True)

    event = webhooks.get_event(42)
    events = webhooks.list_events(limit=50)
    delivery = webhooks.get_delivery(99)
    deliveries = webhooks.list_deliveries(limit=50)
    assert (event.body, delivery.body) == (b"41", b"98")
    assert [one.id for one in events] == list(range(99, 49, -1))
    assert deliveries[0] == delivery and len(deliveries) == 50

    webhooks.ignore(42)
    assert webhooks.get_event(42).status == "ignored"
    webhooks.replay(42)
    assert webhooks.get_event(42).status == "received"
    webhooks.ignore(42)
    webhooks.requeue(42)
    assert len(webhooks.drain()) == 99
    webhooks.replay_delivery(99)
    assert webhooks.drain() == [99]
    with pytest.raises(ValueError, match="handled"):
        webhooks.ignore(42)


def test_a_worker_runs_until_it_is_stopped(webhooks: knocker.Inbox) -> None:
    webhooks.add_endpoint("x")
    event_id = webhooks.ingest("x", signature_valid=True).event_id

    async def main() -> None:
        stop = asyncio.Event()
        loop = asyncio.get_running_loop()

        @webhooks.handle("x")
        def finish(event: knocker.Event, tx: knocker.Tx) -> None:
            loop.call_soon_threadsafe(stop.set)

        def report_worker_error(error: BaseException) -> None:
            raise AssertionError from error

        await webhooks.run_worker(stop_event=stop, on_error=report_worker_error)

    asyncio.run(main())
    assert event_id is not None
    assert webhooks.get_event(event_id).status == "handled"
    states = webhooks.worker_states()
    assert [state.running for state in states] == [False]
    assert states[0].current_event_id is None and states[0].last_error is None


def test_pruning_is_audited(webhooks: knocker.Inbox) -> None:
    summary = webhooks.prune_events(
        statuses=["handled", "ignored"], older_than=1700000000, limit=100
    )
    orphans = webhooks.prune_orphan_deliveries(older_than=1700000000, limit=100)
    audits = webhooks.list_prune_audits(kind="prune_events", since=1700000000, limit=50)
    assert summary == knocker.PruneEventsResult(0, 0, 0, 0)
    assert orphans == knocker.PruneDeliveriesResult(0)
    assert [audit.kind for audit in audits] == ["prune_events"]
    assert len(webhooks.list_prune_audits()) == 2


def test_retention_is_scheduled(webhooks: knocker.Inbox) -> None:
    async def main() -> None:
        stop = asyncio.Event()
        policy = knocker.RetentionPolicy(
            interval_s=3600,
            event_older_than_s=7 * 24 * 60 * 60,
            orphan_deliveries_older_than_s=24 * 60 * 60,
        )
        asyncio.get_running_loop().call_later(0.2, stop.set)
        await webhooks.run_retention(policy, stop_event=stop)

    asyncio.run(main())
    kinds = {audit.kind for audit in webhooks.list_prune_audits()}
    assert kinds == {"prune_events", "prune_orphan_deliveries"}


@pytest.mark.parametrize("kind", FIELDS, ids=lambda kind: kind.__name__)
def test_a_row_has_the_fields_of_the_page(kind: type) -> None:
    assert set(FIELDS[kind].split()) <= set(kind.__match_args__)  # type: ignore[attr-defined]
