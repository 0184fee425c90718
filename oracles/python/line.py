"""LINE. Called by host.py."""

from linebot.v3.webhook import SignatureValidator


def verify(request, secret):
    return SignatureValidator(secret).validate(request.body.decode(), request.headers["x-line-signature"])
