"""Braintree. Called by host.py."""

from urllib.parse import parse_qs, urlencode

import braintree


def gateway_of(private_key):
    return braintree.BraintreeGateway(
        braintree.Configuration(
            environment=braintree.Environment.Sandbox,
            merchant_id="unused",
            public_key="public_key_1",
            private_key=private_key,
        )
    )


def verify(request, secret):
    form = parse_qs(request.body.decode(), keep_blank_values=True)
    gateway_of(secret).webhook_notification.parse(form["bt_signature"][0], form["bt_payload"][0])
    return True


def sign(request, secret, now):
    return urlencode(gateway_of(secret).webhook_testing.sample_notification(request.body.decode(), "sub_1"))
