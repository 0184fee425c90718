"""Orphans verified again: what the face makes of it. The rules are the conformance suite's."""

from __future__ import annotations

from typing import Any

import pytest

import knocker

BODY = '{"id":"evt_1","type":"invoice.paid"}'


def refuse(webhooks: knocker.Inbox, times: int = 1) -> None:
    """Receipts that the secret "whsec_old" refuses and "whsec_new" would not."""
    webhooks.add_endpoint("hook", provider="stripe", secrets=["whsec_old"])
    now = webhooks.get_delivery(webhooks.receive("hook", BODY).delivery_id).received_at
    signed = knocker.sign("stripe", secrets=["whsec_new"], body=BODY, now=now)
    for _ in range(times):
        assert webhooks.receive("hook", BODY, signed).status_code == 401


def mend(webhooks: knocker.Inbox) -> None:
    webhooks.add_endpoint("hook", provider="stripe", secrets=["whsec_new"])


def test_rows_say_what_became_of_each(webhooks: knocker.Inbox) -> None:
    refuse(webhooks, times=2)
    mend(webhooks)
    seen = webhooks.reverify("hook", dry_run=True)
    assert webhooks.list_events() == []
    bare, first, second = webhooks.reverify("hook")
    assert [bare, first, second] == seen
    assert (bare.outcome, bare.event_id, bare.error) == (
        "no_body",
        None,
        "its body was not kept",
    )
    assert first == knocker.Reverified(
        delivery_id=2,
        outcome="event",
        event_id=2,
        signature_error="signature does not match",
        error=None,
    )
    assert (second.outcome, second.event_id) == ("repeat", 2)
    assert webhooks.get_delivery(3).signature_valid is True


def test_a_handler_gets_them_with_their_own_time(webhooks: knocker.Inbox) -> None:
    refuse(webhooks)
    mend(webhooks)
    received = webhooks.get_delivery(2).received_at
    webhooks.set_clock(received + 86400)
    handled: list[knocker.Event] = []
    webhooks.add_handler("hook", lambda event, tx: handled.append(event))
    webhooks.reverify("hook")
    webhooks.drain()
    assert [(event.id, event.received_at) for event in handled] == [(2, received)]
    assert handled[0].body == BODY.encode() and "Stripe-Signature" in {
        name.title() for name in handled[0].headers
    }


def test_pages_go_on_above_the_last(webhooks: knocker.Inbox) -> None:
    refuse(webhooks, times=4)
    pages, after = [], None
    while page := webhooks.reverify("hook", limit=2, after_id=after):
        pages.append([one.delivery_id for one in page])
        after = page[-1].delivery_id
    assert pages == [[1, 2], [3, 4], [5]]
    now = webhooks.get_delivery(1).received_at
    assert webhooks.reverify("hook", since=now + 1) == []


def test_a_call_may_bring_what_another_process_registered(
    webhooks: knocker.Inbox, path: Any
) -> None:
    refuse(webhooks)
    with knocker.open(path) as other:
        with pytest.raises(knocker.InvalidArgument, match="no secret"):
            other.reverify("hook")
        found = other.reverify("hook", provider="stripe", secrets=["whsec_new"])
    assert [one.outcome for one in found] == ["no_body", "event"]


def test_wrong_arguments_are_named(webhooks: knocker.Inbox) -> None:
    refuse(webhooks)
    with pytest.raises(KeyError, match="nobody"):
        webhooks.reverify("nobody")
    wrong: list[tuple[dict[str, Any], str]] = [
        ({"limit": 0}, "limit is 0"),
        ({"limit": 1001}, "limit is 1001"),
        ({"after_id": 0}, "after_id is 0"),
        ({"since": -1}, "since is -1"),
        ({"secrets": "whsec_new"}, "secrets must be a list"),
        ({"provider": 5}, "provider must be"),
    ]
    for words, said in wrong:
        with pytest.raises(ValueError, match=said):
            webhooks.reverify("hook", **words)


def test_an_applications_own_verify_is_not_passed_by(webhooks: knocker.Inbox) -> None:
    class Acme(knocker.Provider):
        name = "acme"

        def verify(
            self, request: knocker.ProviderRequest, *, secrets: Any, options: Any
        ) -> knocker.ProviderResult:
            return knocker.ProviderResult.reject("no")

    webhooks.add_endpoint("hook", provider=Acme())
    webhooks.receive("hook", b"{}")
    with pytest.raises(knocker.InvalidArgument, match="application's own 'acme'"):
        webhooks.reverify("hook")
    assert webhooks.list_events() == []


def test_inside_a_handler_it_is_refused(webhooks: knocker.Inbox) -> None:
    refuse(webhooks)
    mend(webhooks)
    webhooks.add_endpoint("plain")
    said: list[str] = []

    @webhooks.handle(endpoint="plain")
    def again(event: knocker.Event, tx: knocker.Tx) -> None:
        tx.execute("select 1")
        try:
            webhooks.reverify("hook")
        except knocker.Error as error:
            said.append(str(error))

    webhooks.receive("plain", b"")
    webhooks.drain()
    assert len(said) == 1 and "tx" in said[0]
