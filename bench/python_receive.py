"""Python's half of the figure python_receive: knocker_bench runs it as `python_receive.py FILE SLICE_MS`.

For each line on stdin it receives distinct signed Stripe requests into FILE for SLICE_MS, one caller, NORMAL,
and prints receipts a second. The requests are made before the clock runs, and are those of requests.c.
"""

from __future__ import annotations

import gc
import hashlib
import hmac
import json
import random
import string
import sys
import time

import knocker

SECRET = "whsec_bench_0123456789abcdef"
BODY = 1024
LETTERS = string.digits + string.ascii_letters
chance = random.Random()


def name(prefix: str) -> str:
    return prefix + "".join(chance.choices(LETTERS, k=24))


def request(now: int) -> tuple[bytes, dict[str, str]]:
    """A body and its headers as Stripe sends them."""
    charge = {
        "id": name("ch_"),
        "object": "charge",
        "amount": chance.randrange(1_000_000),
        "currency": "usd",
        "captured": True,
        "paid": True,
        "billing_details": {
            "address": {"city": None, "country": "US", "line1": None, "postal_code": "94107"},
            "email": "customer@example.com",
            "name": None,
            "phone": None,
        },
        "metadata": {"order_id": str(chance.randrange(1_000_000))},
        "outcome": {
            "network_status": "approved_by_network",
            "risk_level": "normal",
            "risk_score": 32,
            "type": "authorized",
        },
        "payment_method_details": {
            "card": {"brand": "visa", "exp_month": 8, "exp_year": 2031, "last4": "4242"},
            "type": "card",
        },
        "status": "succeeded",
        "description": "",
    }
    event = {
        "id": name("evt_"),
        "object": "event",
        "api_version": "2024-06-20",
        "created": now,
        "data": {"object": charge},
        "livemode": True,
        "pending_webhooks": 1,
        "request": {"id": None, "idempotency_key": None},
        "type": "charge.succeeded",
    }
    charge["description"] = "x" * (BODY - len(json.dumps(event, separators=(",", ":"))))
    body = json.dumps(event, separators=(",", ":")).encode()
    signature = hmac.new(SECRET.encode(), b"%d." % now + body, hashlib.sha256).hexdigest()
    return body, {
        "Host": "hooks.example.com",
        "Accept": "*/*; q=0.5, application/xml",
        "Accept-Encoding": "gzip",
        "Cache-Control": "no-cache",
        "Content-Type": "application/json; charset=utf-8",
        "Content-Length": str(len(body)),
        "User-Agent": "Stripe/1.0 (+https://stripe.com/docs/webhooks)",
        "Stripe-Signature": f"t={now},v1={signature}",
    }


def rate(path: str, slice_s: float) -> float:
    now = int(time.time())
    requests = [request(now) for _ in range(int(25_000 * slice_s))]
    gc.collect()
    gc.freeze()  # the requests that wait are this program's, not an application's
    with knocker.open(path, synchronous="normal") as inbox:
        inbox.add_endpoint("stripe", provider="stripe", secrets=[SECRET])
        count = 0
        start = time.perf_counter()
        end = start
        for body, headers in requests:
            result = inbox.receive("stripe", body, headers)
            if result.status_code != 204 or result.event_id is None:
                sys.exit(f"a receipt was answered {result.status_code}")
            count += 1
            end = time.perf_counter()
            if end - start >= slice_s:
                break
        return count / (end - start)


def main() -> None:
    path, slice_s = sys.argv[1], int(sys.argv[2]) / 1000
    for _ in sys.stdin:
        print(rate(path, slice_s), flush=True)


if __name__ == "__main__":
    main()
