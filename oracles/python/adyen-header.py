"""Adyen, for webhooks with the signature in a header. Called by host.py."""

from Adyen.util import generate_payload_sig, is_valid_hmac_payload


def verify(request, secret):
    return is_valid_hmac_payload(request.headers["hmacsignature"], secret, request.body)


def sign(request, secret, now):
    return {"hmacsignature": generate_payload_sig(request.body, secret).decode()}
