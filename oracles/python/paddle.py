"""Paddle. Called by host.py."""

from types import SimpleNamespace

from paddle_billing.Notifications import Secret, Verifier


def verify(request, secret):
    headers = {"Paddle-Signature": request.headers.get("paddle-signature")}
    sent = SimpleNamespace(body=request.body, content=None, data=None, headers=headers)
    return Verifier().verify(sent, Secret(secret))
