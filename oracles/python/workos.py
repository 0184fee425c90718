"""WorkOS. Called by host.py."""

from workos.webhooks._verification import verify_header


def verify(request, secret):
    verify_header(event_body=request.body, event_signature=request.headers["workos-signature"], secret=secret)
    return True
