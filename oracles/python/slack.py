"""Slack. Called by host.py."""

from slack_sdk.signature import SignatureVerifier


def verify(request, secret):
    return SignatureVerifier(secret).is_valid_request(request.body, request.headers)


def sign(request, secret, now):
    signature = SignatureVerifier(secret).generate_signature(timestamp=str(now), body=request.body)
    return {"x-slack-signature": signature, "x-slack-request-timestamp": str(now)}
