"""reverify: refused requests become events once their endpoint's secret is right, and no secret is ever printed."""

from __future__ import annotations

import hashlib
import hmac
import time
from pathlib import Path

import knocker
import pytest
from shell import complaint, objects, run, text

RIGHT, WRONG = "whsec_c0ffee-right", "whsec_5ea-wrong"


def stripe(webhooks: knocker.Inbox, id: str, at: float, key: str = RIGHT) -> int:
    """A request as Stripe signs it, by Python's own hmac; its delivery."""
    body = f'{{"id":"{id}","type":"invoice.paid"}}'
    mac = hmac.new(key.encode(), f"{int(at)}.{body}".encode(), hashlib.sha256).hexdigest()
    headers = {"stripe-signature": f"t={int(at)},v1={mac}"}
    return webhooks.receive(endpoint="shop", body=body, headers=headers).delivery_id


@pytest.fixture
def refused(tmp_path: Path) -> Path:
    """600 requests that a wrong secret refused, of which 10 are sent twice; and a forgery, the oldest."""
    path = tmp_path / "shop.db"
    now = time.time()
    with knocker.open(str(path)) as webhooks:
        webhooks.add_endpoint(name="shop", path="/shop", provider="stripe", secrets=[WRONG])
        webhooks.set_clock(now - 7200)
        stripe(webhooks, "evt_forged", now - 7200, key="whsec_nobody")
        for number in range(600):
            stripe(webhooks, f"evt_{number}", now - 7200)
        webhooks.set_clock(now)
        for number in range(10):
            stripe(webhooks, f"evt_{number}", now)
    return path


def flags(path: Path, *more: object) -> list[object]:
    return ["reverify", "--endpoint", "shop", "--secret-env", "S", "--db", path, *more]


def counts(path: Path) -> tuple[int, int]:
    """Events, and orphans."""
    found = objects("stats", "--db", path)[0]
    return found["queued"], found["orphans"]


def test_a_dry_run_says_what_would_become_events_and_writes_nothing(refused: Path) -> None:
    said = text(*flags(refused, "--dry-run"), S=RIGHT)
    assert said.startswith("610 of 611 orphans would become events, or repeats of one\n")
    assert "\n1 stay as they are: not valid\nthe first: delivery 1: " in said
    assert objects(*flags(refused, "--dry-run"), S=RIGHT)[0]["passed"] == 610
    assert counts(refused) == (0, 611)


def test_those_that_pass_become_events_once(refused: Path) -> None:
    told = {"dry_run": False, "looked_at": 611, "passed": 610, "events": 600, "repeats": 10}
    assert objects(*flags(refused, "--yes"), S=RIGHT) == [told | {"rejected": 1, "redacted": 0, "no_body": 0}]
    assert counts(refused) == (600, 1)
    oldest = objects("events", "--db", refused, "--limit", 1000)[-1]
    assert (oldest["id"], oldest["dedupe_key"]) == (2, "evt_0") and oldest["received_at"] < time.time() - 7000
    assert [one["id"] for one in objects("deliveries", "--event", 2, "--db", refused)] == [602, 2]
    again = run(*flags(refused, "--yes"), S=RIGHT)
    assert again.returncode == 1 and again.stdout.startswith(b"0 of 1 orphans became events")


def test_a_time_and_a_limit_choose_the_oldest_of_them(refused: Path) -> None:
    assert text(*flags(refused, "--yes", "--since", "1h", "--limit", 3), S=RIGHT).startswith("3 of 3 orphans became")
    assert counts(refused) == (3, 608)
    assert [one["id"] for one in objects("events", "--db", refused)] == [604, 603, 602]


def test_it_asks_where_nobody_said_yes(refused: Path) -> None:
    assert "--yes" in complaint(*flags(refused), code=2, S=RIGHT)
    assert counts(refused) == (0, 611)


def test_a_secret_that_is_still_wrong_changes_nothing_and_is_not_told(refused: Path) -> None:
    done = run(*flags(refused, "--yes"), S="whsec_still-wrong")
    assert done.returncode == 1 and b"611 stay as they are" in done.stdout
    assert b"still-wrong" not in done.stdout + done.stderr
    assert counts(refused) == (0, 611)


def test_what_is_missing_or_unknown_is_named(refused: Path) -> None:
    assert "--endpoint" in complaint("reverify", "--db", refused, "--secret-env", "S", code=2, S=RIGHT)
    assert "--secret-env" in complaint("reverify", "--endpoint", "shop", "--db", refused, code=2)
    assert "nobody" in complaint(
        "reverify", "--endpoint", "nobody", "--secret-env", "S", "--db", refused, code=3, S=RIGHT
    )
    said = complaint(*flags(refused, "--provider", "github"), code=2, S=RIGHT)
    assert "'stripe'" in said and "'github'" in said
