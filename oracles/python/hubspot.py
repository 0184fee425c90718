"""HubSpot, version 3 of its signature. Called by host.py."""

from hubspot.utils.signature import Signature


def verify(request, secret):
    return Signature.is_valid(
        signature=request.headers["x-hubspot-signature-v3"],
        client_secret=secret,
        request_body=request.body.decode(),
        http_uri=request.url,
        http_method=request.method,
        signature_version="v3",
        timestamp=request.headers["x-hubspot-request-timestamp"],
    )


def sign(request, secret, now):
    stamp = str(now * 1000)
    signature = Signature.get_signature(
        client_secret=secret,
        request_body=request.body.decode(),
        signature_version="v3",
        http_uri=request.url,
        http_method=request.method,
        timestamp=stamp,
    )
    return {"x-hubspot-signature-v3": signature, "x-hubspot-request-timestamp": stamp}
