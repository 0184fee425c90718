"""Signatures on curves in plain Python: Ed25519 as RFC 8032 says, ECDSA on P-256 with the k of RFC 6979.

For making fixtures only: slow, and not in constant time. Knows nothing of senders.
"""

import hashlib
import hmac

ED_P = 2**255 - 19
ED_ORDER = 2**252 + 27742317777372353535851937790883648493
ED_D = -121665 * pow(121666, -1, ED_P) % ED_P
ED_BASE_Y = 4 * pow(5, -1, ED_P) % ED_P

P256_P = 2**256 - 2**224 + 2**192 + 2**96 - 1
P256_ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
P256_BASE = (
    0x6B17D1F2E12C4247F8BCE6E563A440F277037D812DEB33A0F4A13945D898C296,
    0x4FE342E2FE1A7F9B8EE7EB4A7C0F9E162BCE33576B315ECECBB6406837BF51F5,
)
P256_SPKI = bytes.fromhex("3059301306072a8648ce3d020106082a8648ce3d030107034200")

Point = tuple[int, int]


def ed_x(y: int) -> int:
    square = (y * y - 1) * pow(ED_D * y * y + 1, -1, ED_P) % ED_P
    x = pow(square, (ED_P + 3) // 8, ED_P)
    if (x * x - square) % ED_P:
        x = x * pow(2, (ED_P - 1) // 4, ED_P) % ED_P
    return ED_P - x if x & 1 else x


def ed_add(a: Point, b: Point) -> Point:
    product = ED_D * a[0] * b[0] * a[1] * b[1] % ED_P
    x = (a[0] * b[1] + b[0] * a[1]) * pow(1 + product, -1, ED_P) % ED_P
    y = (a[1] * b[1] + a[0] * b[0]) * pow(1 - product, -1, ED_P) % ED_P
    return x, y


def ed_times(n: int, point: Point) -> Point:
    result = (0, 1)
    while n:
        if n & 1:
            result = ed_add(result, point)
        point, n = ed_add(point, point), n >> 1
    return result


def ed_pack(point: Point) -> bytes:
    return (point[1] | (point[0] & 1) << 255).to_bytes(32, "little")


def ed_expand(seed: bytes) -> tuple[int, bytes, bytes]:
    digest = hashlib.sha512(seed).digest()
    scalar = int.from_bytes(digest[:32], "little") & (2**254 - 8) | 2**254
    base = (ed_x(ED_BASE_Y), ED_BASE_Y)
    return scalar, digest[32:], ed_pack(ed_times(scalar, base))


def ed25519_public(seed: bytes) -> bytes:
    return ed_expand(seed)[2]


def ed25519_sign(seed: bytes, text: bytes) -> bytes:
    scalar, prefix, public = ed_expand(seed)
    r = int.from_bytes(hashlib.sha512(prefix + text).digest(), "little") % ED_ORDER
    packed = ed_pack(ed_times(r, (ed_x(ED_BASE_Y), ED_BASE_Y)))
    k = int.from_bytes(hashlib.sha512(packed + public + text).digest(), "little")
    return packed + ((r + k * scalar) % ED_ORDER).to_bytes(32, "little")


def p256_add(a: Point | None, b: Point | None) -> Point | None:
    if a is None or b is None:
        return a or b
    if a[0] == b[0] and (a[1] + b[1]) % P256_P == 0:
        return None
    slope = (3 * a[0] * a[0] - 3) * pow(2 * a[1], -1, P256_P) if a == b else (b[1] - a[1]) * pow(b[0] - a[0], -1, P256_P)
    x = (slope * slope - a[0] - b[0]) % P256_P
    return x, (slope * (a[0] - x) - a[1]) % P256_P


def p256_times(n: int, point: Point) -> Point:
    result, adding = None, point
    while n:
        if n & 1:
            result = p256_add(result, adding)
        adding, n = p256_add(adding, adding), n >> 1
    assert result is not None
    return result


def p256_public(private: int) -> bytes:
    """The public key as DER SubjectPublicKeyInfo."""
    x, y = p256_times(private, P256_BASE)
    return P256_SPKI + b"\x04" + x.to_bytes(32, "big") + y.to_bytes(32, "big")


def p256_nonce(private: int, digest: bytes) -> int:
    """RFC 6979, 3.2: the same text always gives the same signature."""
    seed = private.to_bytes(32, "big") + (int.from_bytes(digest, "big") % P256_ORDER).to_bytes(32, "big")
    value, key = b"\x01" * 32, b"\x00" * 32
    for mark in (b"\x00", b"\x01"):
        key = hmac.digest(key, value + mark + seed, "sha256")
        value = hmac.digest(key, value, "sha256")
    while True:
        value = hmac.digest(key, value, "sha256")
        k = int.from_bytes(value, "big")
        if 0 < k < P256_ORDER:
            return k
        key = hmac.digest(key, value + b"\x00", "sha256")
        value = hmac.digest(key, value, "sha256")


def der_integer(value: int) -> bytes:
    digits = value.to_bytes(value.bit_length() // 8 + 1, "big")
    return bytes([2, len(digits)]) + digits


def p256_sign(private: int, text: bytes) -> bytes:
    """ECDSA over the SHA-256 of the text, as DER."""
    digest = hashlib.sha256(text).digest()
    k = p256_nonce(private, digest)
    r = p256_times(k, P256_BASE)[0] % P256_ORDER
    s = pow(k, -1, P256_ORDER) * (int.from_bytes(digest, "big") + r * private) % P256_ORDER
    body = der_integer(r) + der_integer(s)
    return bytes([0x30, len(body)]) + body
