"""Svix. Called by host.py."""

from datetime import datetime, timezone

from svix.webhooks import Webhook


def verify(request, secret):
    Webhook(secret).verify(request.body, request.headers)
    return True


def sign(request, secret, now):
    at = datetime.fromtimestamp(now, timezone.utc)
    signature = Webhook(secret).sign("msg_2b7c", at, request.body.decode())
    return {"svix-id": "msg_2b7c", "svix-timestamp": str(now), "svix-signature": signature}
