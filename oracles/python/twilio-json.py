"""Twilio, for JSON: the body's hash stands in the URL, which is signed. Called by host.py."""

from twilio.request_validator import RequestValidator


def verify(request, secret):
    return RequestValidator(secret).validate(request.url, request.body.decode(), request.headers["x-twilio-signature"])


def sign(request, secret, now):
    return {"x-twilio-signature": RequestValidator(secret).compute_signature(request.url, {})}
