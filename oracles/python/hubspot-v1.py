"""HubSpot, version 1 of its signature. Called by host.py."""

from hubspot.utils.signature import Signature


def told(request, secret):
    return {
        "client_secret": secret,
        "request_body": request.body.decode(),
        "http_uri": request.url,
        "http_method": request.method,
        "signature_version": "v1",
    }


def verify(request, secret):
    return Signature.is_valid(signature=request.headers["x-hubspot-signature"], **told(request, secret))


def sign(request, secret, now):
    return {"x-hubspot-signature": Signature.get_signature(**told(request, secret))}
