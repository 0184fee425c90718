"""RSA signatures and JSON Web Tokens in plain Python, for the recipes in providers/NAME/fixtures/make.py.

The keys come from a name, so that a recipe run today makes what it made yesterday; they protect nothing. Never asks the core.
"""

import base64
import hashlib
import hmac
import json
from functools import cache

from curves import P256_ORDER, p256_public, p256_sign

RSA_EXPONENT = 65537
RSA_SPKI = bytes.fromhex("30820122300d06092a864886f70d01010105000382010f003082010a0282010100")
RSA_SPKI_END = bytes.fromhex("0203010001")
HASH_INFO = {
    "sha1": bytes.fromhex("3021300906052b0e03021a05000414"),
    "sha256": bytes.fromhex("3031300d060960864801650304020105000420"),
}
WITNESSES = (2, 3, 5, 7, 11, 13, 17, 19, 23, 29, 31, 37)


def url64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).decode().rstrip("=")


def is_prime(number: int) -> bool:
    """Miller and Rabin's test; good enough for numbers that nobody chose to deceive it."""
    if any(number % small == 0 for small in WITNESSES):
        return False
    odd, twos = number - 1, 0
    while odd % 2 == 0:
        odd, twos = odd // 2, twos + 1
    for witness in WITNESSES:
        x = pow(witness, odd, number)
        if x not in (1, number - 1) and all((x := x * x % number) != number - 1 for _ in range(twos - 1)):
            return False
    return True


@cache
def prime(name: str) -> int:
    """The first prime of 1024 bits from what the name's hash says."""
    number = int.from_bytes(hashlib.shake_256(name.encode()).digest(128), "big") | 3 << 1022 | 1
    while not is_prime(number) or number % RSA_EXPONENT == 1:
        number += 2
    return number


def rsa_modulus(name: str) -> int:
    return prime(name + " p") * prime(name + " q")


def rsa_sign(name: str, text: bytes, digest: str = "sha256") -> bytes:
    """PKCS #1 v1.5 over the hash of the text."""
    info = HASH_INFO[digest] + hashlib.new(digest, text).digest()
    padded = b"\x00\x01" + b"\xff" * (253 - len(info)) + b"\x00" + info
    exponent = pow(RSA_EXPONENT, -1, (prime(name + " p") - 1) * (prime(name + " q") - 1))
    return pow(int.from_bytes(padded, "big"), exponent, rsa_modulus(name)).to_bytes(256, "big")


def pem(der: bytes) -> str:
    text = base64.b64encode(der).decode()
    lines = "\n".join(text[i : i + 64] for i in range(0, len(text), 64))
    return f"-----BEGIN PUBLIC KEY-----\n{lines}\n-----END PUBLIC KEY-----\n"


def rsa_pem(name: str) -> str:
    return pem(RSA_SPKI + rsa_modulus(name).to_bytes(256, "big") + RSA_SPKI_END)


def rsa_jwk(name: str, **more: str) -> dict[str, str]:
    return {"kty": "RSA", "n": url64(rsa_modulus(name).to_bytes(256, "big")), "e": "AQAB", **more}


def p256_private(name: str) -> int:
    return int.from_bytes(hashlib.sha256(name.encode()).digest(), "big") % P256_ORDER


def p256_jwk(name: str, **more: str) -> dict[str, str]:
    point = p256_public(p256_private(name))[-64:]
    return {"kty": "EC", "crv": "P-256", "x": url64(point[:32]), "y": url64(point[32:]), **more}


def p256_raw(name: str, text: bytes) -> bytes:
    """The signature as tokens have it: r and s, 32 bytes each."""
    der = p256_sign(p256_private(name), text)
    r, s = der[4 : 4 + der[3]], der[6 + der[3] :]
    return int.from_bytes(r, "big").to_bytes(32, "big") + int.from_bytes(s, "big").to_bytes(32, "big")


def token(algorithm: str, key: str, claims: dict[str, object], **header: object) -> str:
    """`key` is a secret for HS256, HS384 and HS512, else the name that the key pair comes from."""
    parts = [{"alg": algorithm, "typ": "JWT", **header}, claims]
    text = ".".join(url64(json.dumps(part, separators=(",", ":")).encode()) for part in parts)
    match algorithm:
        case "RS256":
            signature = rsa_sign(key, text.encode())
        case "ES256":
            signature = p256_raw(key, text.encode())
        case "none":
            signature = b""
        case _:
            signature = hmac.digest(key.encode(), text.encode(), "sha" + algorithm[2:])
    return f"{text}.{url64(signature)}"


def claim(given: str | None, name: str) -> str | None:
    """A text claim of a token, whether or not it is rightly signed."""
    try:
        part = (given or "").split(".")[1]
        value = json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4))).get(name)
    except (IndexError, ValueError):
        return None
    return value if isinstance(value, str) and value else None
