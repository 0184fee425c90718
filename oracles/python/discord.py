"""Discord. Called by host.py."""

from discord_interactions import verify_key


def verify(request, secret):
    signature, timestamp = request.headers["x-signature-ed25519"], request.headers["x-signature-timestamp"]
    return verify_key(request.body, signature, timestamp, secret)
