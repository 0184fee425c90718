"""Providers of the application's own, and registration."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

import knocker

Verify = Callable[[knocker.ProviderRequest], knocker.ProviderResult]


def provider(verify: Verify, **attributes: Any) -> knocker.Provider:
    def ask(self: object, request: Any, *, secrets: Any, options: Any) -> Any:
        return verify(request)

    members = {"name": "acme", "verify": ask, **attributes}
    made: knocker.Provider = type("Made", (knocker.Provider,), members)()
    return made


def accept(request: knocker.ProviderRequest) -> knocker.ProviderResult:
    return knocker.ProviderResult.accept()


def test_an_exception_in_verify_is_a_rejected_receipt_that_says_so(
    webhooks: knocker.Inbox,
) -> None:
    def broken(request: knocker.ProviderRequest) -> knocker.ProviderResult:
        raise KeyError("x-acme near s3cret")

    endpoint = webhooks.endpoint("acme", provider=provider(broken), secrets=["s3cret"])
    result = endpoint.receive(b"kept")
    assert (result.status_code, result.event_id) == (401, None)
    delivery = webhooks.get_delivery(result.delivery_id)
    assert delivery.body == b"kept"
    assert delivery.signature_error is not None
    assert "acme" in delivery.signature_error
    assert "KeyError" in delivery.signature_error
    assert "s3cret" not in delivery.signature_error


def test_a_result_of_another_kind_is_a_rejected_receipt(
    webhooks: knocker.Inbox,
) -> None:
    wrong = provider(lambda request: True)  # type: ignore[arg-type, return-value]
    result = webhooks.endpoint("acme", provider=wrong).receive(b"")
    assert result.status_code == 401
    error = webhooks.get_delivery(result.delivery_id).signature_error
    assert error is not None and "bool" in error


def test_a_rejection_keeps_its_reason_and_what_was_read(
    webhooks: knocker.Inbox,
) -> None:
    def reject(request: knocker.ProviderRequest) -> knocker.ProviderResult:
        return knocker.ProviderResult.reject("no moon", event_type="made")

    result = webhooks.endpoint("acme", provider=provider(reject)).receive(b"")
    delivery = webhooks.get_delivery(result.delivery_id)
    assert delivery.signature_error == "no moon"
    assert delivery.event_type == "made"


def test_the_request_is_read_in_every_form(webhooks: knocker.Inbox) -> None:
    seen: list[Any] = []

    def look(request: knocker.ProviderRequest) -> knocker.ProviderResult:
        seen.append(request.header("X-Acme"))
        seen.append(request.header("missing", "default"))
        seen.append((request.method, request.query, request.body))
        try:
            seen.append(request.json() is request.json())
        except ValueError as error:
            seen.append(type(error).__name__)
        return knocker.ProviderResult.accept()

    endpoint = webhooks.endpoint("acme", provider=provider(look))
    endpoint.receive("{}", {"HTTP_X_ACME": "a"}, {"q": "1"}, method="PUT")
    assert seen == ["a", "default", ("PUT", {"q": "1"}, b"{}"), True]
    seen.clear()
    endpoint.receive(b"<", [("x-acme", "a"), ("x-acme", "b")], "q=1&r=%20")
    assert seen[0] == "a, b"
    assert seen[2:] == [("POST", {"q": "1", "r": " "}, b"<"), "JSONDecodeError"]


@pytest.mark.parametrize("secrets", [None, [], [""], ["k", ""]])
def test_missing_secrets_are_refused(webhooks: knocker.Inbox, secrets: Any) -> None:
    own = provider(accept, requires_secrets=True)
    with pytest.raises(ValueError, match="secret"):
        webhooks.add_endpoint("acme", provider=own, secrets=secrets)
    with pytest.raises(ValueError, match="secret"):
        webhooks.add_endpoint("s", provider="stripe", secrets=secrets)
    assert webhooks.list_endpoints() == []


def test_unknown_names_and_options_are_value_errors(webhooks: knocker.Inbox) -> None:
    add = webhooks.add_endpoint
    with pytest.raises(ValueError, match="strip"):
        add("s", provider="strip", secrets=["k"])
    with pytest.raises(ValueError, match="tolerance"):
        add("s", provider="stripe", secrets=["k"], provider_options={"tolerance": 1})
    with pytest.raises(ValueError, match="colour"):
        add("acme", provider=provider(accept), provider_options={"colour": 1})
    with pytest.raises(ValueError, match="stripe"):
        add("s", provider=provider(accept, name="stripe"))
    with pytest.raises(ValueError, match="name"):
        add("s", provider=provider(accept, name=""))
    with pytest.raises(ValueError, match="verify"):
        add("s", provider=type("Mute", (knocker.Provider,), {"name": "mute"})())
    with pytest.raises(ValueError, match="type"):
        add("s", provider=knocker.Provider)  # type: ignore[arg-type]


def test_a_secret_is_never_in_an_error(webhooks: knocker.Inbox) -> None:
    wrong: list[Any] = ["whsec_x", ["whsec_x", b"whsec_y"], [{"whsec_x": 1}]]
    for secrets in wrong:
        with pytest.raises(knocker.InvalidArgument) as caught:
            webhooks.add_endpoint("s", provider="stripe", secrets=secrets)
        assert "whsec" not in str(caught.value)


def test_options_are_validated_by_the_provider(webhooks: knocker.Inbox) -> None:
    class Choosy(knocker.Provider):
        name = "choosy"
        option_keys = frozenset({"level"})

        def verify(self, request: Any, *, secrets: Any, options: Any) -> Any:
            return knocker.ProviderResult.accept(event_type=options["level"])

        def validate_options(self, options: Any) -> None:
            if options.get("level") not in ("high", "low"):
                raise ValueError("level is neither high nor low")

    with pytest.raises(ValueError, match="neither"):
        webhooks.add_endpoint("c", provider=Choosy(), provider_options={"level": "x"})
    endpoint = webhooks.endpoint(
        "c", provider=Choosy(), provider_options={"level": "low"}
    )
    result = endpoint.receive(b"")
    assert webhooks.get_delivery(result.delivery_id).event_type == "low"


def test_registering_a_built_in_again_forgets_the_object(
    webhooks: knocker.Inbox,
) -> None:
    webhooks.add_endpoint("s", provider=provider(accept))
    assert webhooks.receive("s", b"").status_code == 204
    webhooks.add_endpoint("s", provider="stripe", secrets=["whsec_123"])
    assert webhooks.receive("s", b"").status_code == 401


def test_key_functions_give_ids_and_may_fail(webhooks: knocker.Inbox) -> None:
    endpoint = webhooks.endpoint(
        "keys",
        event_key=lambda request: request.json()["n"],
        delivery_key=lambda request: request.header("x-id"),
    )
    result = endpoint.receive(b'{"n": 7}', {"X-Id": "d"})
    delivery = webhooks.get_delivery(result.delivery_id)
    assert delivery.provider_event_id == "7"
    assert delivery.provider_delivery_id == "d"
    assert delivery.dedupe_key == "7"
    given = endpoint.receive(b'{"n": 7}', provider_event_id="mine")
    assert webhooks.get_delivery(given.delivery_id).provider_event_id == "mine"
    broken = endpoint.receive(b"no json")
    assert broken.status_code == 204 and broken.duplicate is False
    assert webhooks.get_delivery(broken.delivery_id).provider_event_id is None


def test_a_scheme_verifies_what_sign_signed(webhooks: knocker.Inbox) -> None:
    scheme = {
        "kind": "hmac",
        "alg": "sha256",
        "key": {"decode": "utf8"},
        "sig": {"from": ["header:x-acme-signature"], "enc": "hex"},
        "signed": ["{body}"],
        "extract": {"event_id": ["json:id"]},
    }
    endpoint = webhooks.endpoint("own", provider=scheme, secrets=["k"])
    headers = knocker.sign(scheme, secrets=["k"], body='{"id":"1"}')
    assert endpoint.receive('{"id":"1"}', headers).status_code == 204
    assert endpoint.receive('{"id":"2"}', headers).status_code == 401
    found = knocker.verify(scheme, secrets=["k"], body='{"id":"1"}', headers=headers)
    assert found.valid is True and found.provider_event_id == "1"
    assert not knocker.verify(scheme, secrets=["j"], body="", headers=headers).valid
