"""Razorpay. Called by host.py."""

from razorpay import Utility


def verify(request, secret):
    Utility().verify_webhook_signature(request.body.decode(), request.headers["x-razorpay-signature"], secret)
    return True
