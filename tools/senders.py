"""What the senders' recipes in providers/NAME/fixtures/make.py share: hashes, encodings, reading a body. Python's own means only.

Never asks the core: what is made with this judges it.
"""

import base64
import hashlib
import hmac
import json
import urllib.parse

ID_MOST = 512
HASHED = "sha256:"


class Number(str):
    """A number of a JSON text as it is written there."""


def mac(algorithm: str, key: str | bytes, text: bytes) -> bytes:
    return hmac.new(key.encode() if isinstance(key, str) else key, text, algorithm).digest()


def mac_hex(algorithm: str, key: str | bytes, text: bytes) -> str:
    return mac(algorithm, key, text).hex()


def mac_base64(algorithm: str, key: str | bytes, text: bytes) -> str:
    return base64.b64encode(mac(algorithm, key, text)).decode()


def sha256(text: bytes) -> str:
    """A dedupe key made of a text; none of an empty one."""
    return HASHED + hashlib.sha256(text).hexdigest() if text else None


def dumps(value: object) -> bytes:
    """A body as most senders write it: without blanks, not escaped."""
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False).encode()


def tree(body: bytes) -> object:
    try:
        return json.loads(body.decode("utf-8"), parse_int=Number, parse_float=Number)
    except ValueError:
        return None


def text_of(value: object) -> str | None:
    """A text, a number's text, or true and false; nothing else can be an id."""
    if isinstance(value, bool):
        value = "true" if value else "false"
    if not isinstance(value, str) or not value or len(value.encode()) > ID_MOST or "\0" in value:
        return None
    return str(value)


def reach(value: object, path: str) -> object:
    for step in path.split("."):
        if isinstance(value, dict):
            value = value.get(step)
        elif isinstance(value, list) and step.isdigit() and int(step) < len(value):
            value = value[int(step)]
        else:
            return None
    return value


def member(body: bytes, *paths: str) -> str | None:
    """The first of these members of a JSON body that has a text."""
    value = tree(body)
    return next(filter(None, (text_of(reach(value, path)) for path in paths)), None)


def form(body: bytes, *names: str) -> str | None:
    """The first of these fields of a form that has a text."""
    if tree(body) is not None:
        return None
    pairs = urllib.parse.parse_qsl(body.decode("utf-8", "surrogateescape"), keep_blank_values=True)
    for name in names:
        values = {value for key, value in pairs if key == name}
        if len(values) == 1 and (text := text_of(values.pop())):
            return text
    return None


def joined(*texts: str | None, by: str = ".") -> str | None:
    return None if None in texts else by.join(texts)


def each(elements: object, *paths: str) -> str | None:
    """The hash of a batch, whatever its order; none where an element lacks a member."""
    if not isinstance(elements, list) or not elements:
        return None
    keys = [joined(*(text_of(reach(one, path)) for path in paths), by=":") for one in elements]
    return None if None in keys else sha256("\n".join(sorted(keys, key=str.encode)).encode())


def shortened(key: str | None) -> str | None:
    """A key over 200 bytes is kept as its hash."""
    return sha256(key.encode()) if key and len(key.encode()) > 200 else key


# ---- Standard Webhooks, which many senders sign by ----


def standard_key(secret: str) -> bytes:
    return base64.b64decode(secret.removeprefix("whsec_"))


def standard_signature(key: bytes, id: str, at: int, body: bytes) -> str:
    return "v1," + mac_base64("sha256", key, f"{id}.{at}.".encode() + body)


def standard_headers(family: str, secret: str, id: str, at: int, body: bytes) -> dict[str, str]:
    signature = standard_signature(standard_key(secret), id, at, body)
    return {f"{family}id": id, f"{family}timestamp": str(at), f"{family}signature": signature}


def standard_id(headers: dict[str, str], *families: str) -> str | None:
    """The id of the first family that signed."""
    for family in families:
        if headers.get(f"{family}signature"):
            return headers.get(f"{family}id")
    return None


def standard_extra(m: object, family: str, other_family: str) -> None:
    """What Standard Webhooks promises beside a signature: rotation in one header, versions, families that do not mix."""
    body, secret, at = m.recipe.BODIES[0], m.recipe.SECRET, 1714000000
    headers, name = standard_headers(family, secret, "msg_9", at, body), f"{family}signature"
    good, bad = headers[name], standard_signature(b"nobody's", "msg_9", at, body)
    m.add("several signatures, one of them ours, one of an unknown version", headers | {name: f"v1,!! {bad} v9,AAAA {good}"}, body, True)
    m.add("only versions that nobody knows", headers | {name: good.replace("v1,", "v2,")}, body, False)
    m.add("the id was changed: it is signed", headers | {f"{family}id": "msg_8"}, body, False)
    m.add("the headers of the other family", standard_headers(other_family, secret, "msg_9", at, body), body, True)
    mixed = {k: v for k, v in headers.items() if k != f"{family}id"} | {f"{other_family}id": "msg_9"}
    m.add("the id stands in the other family", mixed, body, False)
    m.add("the secret without its prefix", headers, body, True, secret=secret.removeprefix("whsec_"))
