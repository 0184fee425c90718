"""Twilio, for forms. Called by host.py."""

from urllib.parse import parse_qsl

from twilio.request_validator import RequestValidator


def fields_of(request):
    return dict(parse_qsl(request.body.decode(), keep_blank_values=True))


def verify(request, secret):
    signature = request.headers["x-twilio-signature"]
    return RequestValidator(secret).validate(request.url, fields_of(request), signature)


def sign(request, secret, now):
    signature = RequestValidator(secret).compute_signature(request.url, fields_of(request))
    return {"x-twilio-signature": signature}
