"""verify and doctor --delivery against the requests of core/tests/diagnose, which Python's hmac signed."""

from __future__ import annotations

import hashlib
import hmac
import json
from pathlib import Path
from typing import Any

import knocker
import pytest
from shell import ROOT, complaint, objects, run, text

NOW = 1700000000
CASES: list[dict[str, Any]] = json.loads((ROOT / "core/tests/diagnose/cases.json").read_text(encoding="utf-8"))


def signed(body: str, secret: str) -> dict[str, str]:
    mac = hmac.new(secret.encode(), body.encode(), hashlib.sha256)
    return {"x-hub-signature-256": "sha256=" + mac.hexdigest()}


def flags(request: dict[str, Any], where: Path) -> tuple[list[object], dict[str, str]]:
    """The request as options of the command line, and the environment with its secrets."""
    (where / "body").write_bytes(request["body"].encode())
    made: list[object] = ["--body", where / "body", "--at", NOW]
    secrets = {f"S{n}": secret for n, secret in enumerate(request["secrets"])}
    made += [word for name in secrets for word in ("--secret-env", name)]
    for n, (name, other) in enumerate(request.get("others", {}).items()):
        secrets[f"O{n}"] = other if isinstance(other, str) else other[-1]
        made += ["--other-env", f"{name}=O{n}"]
    for name, value in request["headers"].items():
        made += ["--header", f"{name}: {value}"]
    for name, value in request.get("options", {}).items():
        made += ["--url", value] if name == "url" else ["--option", f"{name}={value}"]
    if "query" in request:
        made += ["--query", request["query"]]
    if "scheme" in request:
        (where / "scheme").write_text(json.dumps(request["scheme"]))
        return [*made, "--scheme", where / "scheme"], secrets
    return [*made, "--provider", request["provider"]], secrets


@pytest.mark.parametrize("case", CASES, ids=[case["title"] for case in CASES])
def test_verify_names_the_mistake_and_prints_no_secret(case: dict[str, Any], tmp_path: Path) -> None:
    options, secrets = flags(case["request"], tmp_path)
    accepted = case["causes"] in (["valid"], ["handshake"])
    (found,) = objects("verify", *options, code=0 if accepted else 1, **secrets)
    assert accepted or [one["cause"] for one in found["causes"]] == case["causes"]
    shown = text("verify", *options, code=0 if accepted else 1, **secrets)
    for cause in [] if accepted else case["causes"]:
        assert (cause or "no cause") + ": " in shown
    assert not any(secret in shown + json.dumps(found) for secret in secrets.values() if len(secret) > 4)


@pytest.fixture
def orphans(tmp_path: Path) -> tuple[Path, int, int]:
    """A database with one delivery that was trimmed and one without a signature."""
    path = tmp_path / "shop.db"
    with knocker.open(str(path)) as inbox:
        code = inbox.endpoint("code", provider="github", secrets=["gh_secret"])
        trimmed = code.receive(b"{}", signed("{}\n", "gh_secret"))
        renamed = code.receive(b"{}", {"Hub-Signature-256": "sha256=" + "0" * 64})
    return path, trimmed.delivery_id, renamed.delivery_id


def test_the_doctor_says_why_a_stored_delivery_was_refused(orphans: tuple[Path, int, int]) -> None:
    path, trimmed, renamed = orphans
    doctor = ["doctor", "--db", path, "--delivery"]
    assert "body_trimmed: " in text(*doctor, trimmed, "--secret-env", "S", S="gh_secret")
    found = objects(*doctor, renamed, "--secret-env", "S", S="gh_secret")
    assert [one["cause"] for one in found] == ["header_renamed", "no_body"]
    assert "no cause: " in text(*doctor, trimmed, "--secret-env", "S", code=1, S="another")
    others = ["--secret-env", "S", "--other-env", "billing=O"]
    assert "no cause: " in text(*doctor, trimmed, *others, code=1, S="another", O="third")
    stripe = ["--provider", "stripe", "--secret-env", "S"]
    assert "looks like 'github'" in text(*doctor, trimmed, *stripe, S="another")


def test_the_doctor_refuses_what_it_cannot_use(orphans: tuple[Path, int, int]) -> None:
    path, trimmed, _ = orphans
    assert "--delivery" in complaint("doctor", "--db", path, "--secret-env", "S", code=2, S="x")
    assert "secret" in complaint("doctor", "--db", path, "--delivery", trimmed, code=2)
    assert "999" in complaint("doctor", "--db", path, "--delivery", 999, "--secret-env", "S", code=3, S="x")
    words = ["doctor", "--db", path, "--delivery", trimmed, "--secret-env", "S", "--other-env"]
    assert "NAME=VARIABLE" in complaint(*words, "s3cret", code=2, S="x")
    assert b"s3cret" not in run(*words, "previous=s3cret", S="x").stderr
