"""GoCardless. Called by host.py."""

from gocardless_pro import webhooks


def verify(request, secret):
    webhooks.parse(request.body, secret, request.headers["webhook-signature"])
    return True
