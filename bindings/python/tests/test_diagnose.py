"""Diagnosing requests; that every known mistake is named stands in the conformance suite."""

from __future__ import annotations

import hashlib
import hmac

import pytest

import knocker

BODY = b'{"id":"evt_1"}'


def signed(body: bytes, secret: str) -> dict[str, str]:
    mac = hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()
    return {"x-hub-signature-256": f"sha256={mac}"}


def test_a_request_is_diagnosed_without_a_file() -> None:
    (found,) = knocker.diagnose(
        "github",
        secrets=["gh_secret"],
        headers=signed(BODY + b"\n", "gh_secret"),
        body=BODY,
    )
    assert found == knocker.Diagnosis("body_trimmed", found.sentence)
    assert "raw bytes" in found.sentence


def test_other_secrets_are_tried_and_never_told() -> None:
    (found,) = knocker.diagnose(
        "github",
        secrets=["newer_secret"],
        headers=signed(BODY, "older_secret"),
        body=BODY,
        others={"previous": ["older_secret"], "billing": "third_secret"},
    )
    assert found.cause == "secret_rotated"
    assert "'previous'" in found.sentence
    assert "_secret" not in found.sentence


def test_a_forgery_has_no_cause() -> None:
    (found,) = knocker.diagnose(
        "github", secrets=["s"], headers=signed(BODY, "guess"), body=BODY
    )
    assert found.cause is None
    assert "forgery" in found.sentence


def test_a_stored_delivery_is_diagnosed_with_the_secrets_of_this_process(
    webhooks: knocker.Inbox,
) -> None:
    code = webhooks.endpoint("code", provider="github", secrets=["gh_secret"])
    webhooks.endpoint("ops", provider="github", secrets=["ops_secret"])
    mixed_up = code.receive(BODY, signed(BODY, "ops_secret")).delivery_id
    (found,) = webhooks.diagnose(mixed_up)
    assert found.cause == "secret_other_endpoint"
    assert "'ops'" in found.sentence
    (found,) = webhooks.diagnose(mixed_up, secrets=["ops_secret"])
    assert found.cause == "valid"


def test_what_cannot_be_diagnosed_is_an_error(webhooks: knocker.Inbox) -> None:
    with pytest.raises(knocker.UnknownDelivery, match="999"):
        webhooks.diagnose(999, provider="github", secrets=["s"])
    with pytest.raises(knocker.InvalidArgument, match="strip"):
        knocker.diagnose("strip", secrets=["s"])
    with pytest.raises(knocker.InvalidArgument, match="secret is missing"):
        knocker.diagnose("github", body=BODY)
