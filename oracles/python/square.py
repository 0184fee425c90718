"""Square. Called by host.py."""

from square.utils.webhooks_helper import verify_signature


def verify(request, secret):
    return verify_signature(
        request_body=request.body.decode(),
        signature_header=request.headers["x-square-hmacsha256-signature"],
        signature_key=secret,
        notification_url=request.url,
    )
