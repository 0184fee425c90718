"""Plivo, version 3 of its signature. Called by host.py."""

from urllib.parse import parse_qsl

from plivo.utils import validate_v3_signature
from plivo.utils.signature_v3 import construct_post_url, get_signature_v3


def fields_of(request):
    return dict(parse_qsl(request.body.decode(), keep_blank_values=True))


def verify(request, secret):
    signature, nonce = request.headers["x-plivo-signature-v3"], request.headers["x-plivo-signature-v3-nonce"]
    return validate_v3_signature(request.method, request.url, nonce, secret, signature, fields_of(request))


def sign(request, secret, now):
    nonce = str(now)
    url = construct_post_url(request.url, fields_of(request)).decode()
    signature = get_signature_v3(secret.encode(), url, nonce.encode()).decode()
    return {"x-plivo-signature-v3": signature, "x-plivo-signature-v3-nonce": nonce}
