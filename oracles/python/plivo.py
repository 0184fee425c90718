"""Plivo, version 2 of its signature. Called by host.py."""

from plivo.utils import validate_signature


def verify(request, secret):
    signature, nonce = request.headers["x-plivo-signature-v2"], request.headers["x-plivo-signature-v2-nonce"]
    return validate_signature(request.url, nonce, signature, secret)
