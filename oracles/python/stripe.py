"""Stripe. Called by host.py."""

from stripe import WebhookSignature


def verify(request, secret):
    return WebhookSignature.verify_header(request.body.decode(), request.headers.get("stripe-signature"), secret, 300)
