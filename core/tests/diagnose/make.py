"""Makes the requests of the diagnosis: one for each known mistake, signed with Python's hmac as the senders document it.

Usage: make.py, in the root of the tree. Writes core/tests/diagnose/cases.json, and the scenarios that every door plays.
Each case says what went wrong between the sender and the check, and which causes must be named, in order; null means
that none may be.
"""

import base64
import hashlib
import hmac
import json
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

ROOT = Path(__file__).resolve().parents[3]
NOW = 1700000000
COMPACT = '{"id":"evt_1","type":"invoice.paid","data":{"amount":12.50,"tags":["a","b"],"empty":{}}}'
LIVE = "s3cret-of-live-webhooks"
TEST = "s3cret-of-test-webhooks"
KEY = b"0123456789abcdef01234567"
KEY_B64 = base64.b64encode(KEY).decode()
GITHUB = {"provider": "github", "secrets": ["gh_secret"]}


def mac(key: str | bytes, text: str | bytes, digest: str = "sha256") -> bytes:
    key, text = (one.encode() if isinstance(one, str) else one for one in (key, text))
    return hmac.new(key, text, getattr(hashlib, digest)).digest()


def github(body: str | bytes, key: str | bytes = "gh_secret") -> dict[str, str]:
    return {"x-hub-signature-256": "sha256=" + mac(key, body).hex()}


def stripe(body: str, at: int = NOW, key: str = "sk_hook") -> dict[str, str]:
    return {"stripe-signature": f"t={at},v1={mac(key, f'{at}.{body}').hex()}"}


def standard(body: str, key: str | bytes = KEY, prefix: str = "webhook-") -> dict[str, str]:
    signature = base64.b64encode(mac(key, f"msg_1.{NOW}.{body}")).decode()
    return {f"{prefix}id": "msg_1", f"{prefix}timestamp": str(NOW), f"{prefix}signature": "v1," + signature}


def twilio(url: str, form: str, key: str = "tw_token") -> dict[str, str]:
    signed = url + "".join(name + value for name, value in sorted(parse_qsl(form)))
    return {"x-twilio-signature": base64.b64encode(mac(key, signed, "sha1")).decode()}


def own(signed: str, **more: Any) -> dict[str, Any]:
    scheme = {
        "kind": "hmac",
        "alg": "sha256",
        "key": {"decode": "utf8"},
        "sig": {"from": ["header:x-paper-signature"], "enc": "hex"},
        "signed": [signed],
        "extract": {},
    }
    return scheme | more


TIMED = own(
    "{t}.{body}",
    vars={"t": {"from": ["header:x-paper-time"], "unit": "s"}},
    replay={"var": "t", "tolerance_s": 300},
)
URLED = own("{url}{body}", options={"url": {"type": "string", "required": True}})
METHOD = own("{method}{body}")
CALLBACK = own(
    "{body}",
    handshake=[{"when": {"query:echo": "*"}, "signed": False, "respond": {"status": 200, "body": "{query:echo}"}}],
)


def paper(signed: str, key: str = "paper") -> dict[str, str]:
    return {"x-paper-signature": mac(key, signed).hex()}


def timed(at: int | str, body: str) -> dict[str, str]:
    return paper(f"{at}.{body}") | {"x-paper-time": str(at)}


CASES: list[dict[str, Any]] = []


def case(title: str, causes: list[str | None], **request: Any) -> None:
    CASES.append({"title": title, "causes": causes, "request": request})


def bodies() -> None:
    def changed(title: str, cause: str, signed: str | bytes, got: str) -> None:
        case(title, [cause], **GITHUB, headers=github(signed), body=got)

    wide = '{"name":"Zoë 😀","url":"https://a.example/b?c=1&d=<2>"}'
    ascii_only = json.dumps(json.loads(wide), separators=(",", ":"))
    pretty = json.dumps(json.loads(COMPACT), indent=2).replace("12.5,", "12.50,")
    changed("the last line end was lost", "body_trimmed", COMPACT + "\n", COMPACT)
    changed("a last CRLF was lost", "body_trimmed", COMPACT + "\r\n", COMPACT)
    changed("a line end was added", "body_trimmed", COMPACT, COMPACT + "\n")
    changed("blanks were put around", "body_trimmed", COMPACT, "  " + COMPACT + " \n")
    changed("CRLF became LF", "body_line_ends", "a: 1\r\nb: 2\r\n", "a: 1\nb: 2\n")
    changed("LF became CRLF", "body_line_ends", pretty, pretty.replace("\n", "\r\n"))
    changed("LF became CRLF, and the last was cut", "body_line_ends", "a: 1\nb: 2\n", "a: 1\r\nb: 2")
    changed("compact JSON was written with blanks", "body_reserialised", COMPACT, pretty)
    changed(
        "JSON with blanks was written compactly",
        "body_reserialised",
        COMPACT.replace(",", ", ").replace(":", ": "),
        COMPACT,
    )
    changed("indented JSON was written compactly", "body_reserialised", pretty, COMPACT)
    changed("JSON indented with tabs was written compactly", "body_reserialised", pretty.replace("  ", "\t"), COMPACT)
    changed("escapes became characters", "body_reserialised", ascii_only, wide)
    changed("characters became escapes", "body_reserialised", wide, ascii_only)
    changed("slashes lost their escapes", "body_reserialised", ascii_only.replace("/", "\\/"), wide)
    changed(
        "HTML's characters lost their escapes",
        "body_reserialised",
        wide.replace("&", "\\u0026").replace("<", "\\u003c").replace(">", "\\u003e"),
        wide,
    )
    changed("JSON was written as a text of JSON", "body_reserialised", COMPACT, json.dumps(COMPACT))
    changed("a byte order mark was added", "body_encoding", COMPACT, "\ufeff" + COMPACT)
    changed("UTF-8 was read as Latin-1", "body_encoding", '{"n":"Zoë"}', '{"n":"Zoë"}'.encode().decode("latin-1"))
    changed("Latin-1 was read as such", "body_encoding", '{"n":"Zoë"}'.encode("latin-1"), '{"n":"Zoë"}')
    changed("a gateway left the body in base64", "body_base64", COMPACT, base64.b64encode(COMPACT.encode()).decode())


def secrets() -> None:
    def given(title: str, cause: str, key: str | bytes, secret: str, **more: Any) -> None:
        headers = github(COMPACT, key)
        case(title, [cause], provider="github", secrets=[secret], headers=headers, body=COMPACT, **more)

    given("a line end stands behind the secret", "secret_trimmed", "gh_secret", "gh_secret\n")
    given("the secret stands in quotes", "secret_trimmed", "gh_secret", '"gh_secret"')
    given("the secret is a line of a .env file", "secret_trimmed", "gh_secret", "GITHUB_SECRET=gh_secret")
    given("two secrets stand in one text", "secret_list", "older", "newer,older")
    given("a prefix was left on", "secret_prefix", "abc123", "whsec_abc123")
    given("a prefix was left on, and what follows is decoded", "secret_prefix", KEY, "whsec_" + KEY_B64)
    given("the sender decodes base64", "secret_encoding", KEY, KEY_B64)
    given("the sender decodes hexadecimal", "secret_encoding", KEY, KEY.hex())
    hook = {"provider": "standard-webhooks", "body": COMPACT}
    case(
        "the sender does not decode",
        ["secret_prefix"],
        **hook,
        headers=standard(COMPACT, "whsec_" + KEY_B64),
        secrets=["whsec_" + KEY_B64],
    )
    case(
        "the sender takes the prefix off and does not decode",
        ["secret_prefix"],
        **hook,
        headers=standard(COMPACT, KEY_B64),
        secrets=["whsec_" + KEY_B64],
    )
    given("the previous secret signed", "secret_rotated", "older", "newer", others={"previous": ["older"]})
    given("live's secret signed, test's was given", "secret_mode", LIVE, TEST, others={"main": ["none", LIVE]})
    given("the sandbox signed", "secret_mode", "aaaa", "bbbb", others={"billing-sandbox": ["aaaa"]})
    given("another endpoint's secret signed", "secret_other_endpoint", "cccc", "bbbb", others={"billing": "cccc"})


def times() -> None:
    hook = {"provider": "stripe", "secrets": ["sk_hook"], "body": COMPACT}
    case("the sender's clock is an hour ahead", ["clock_skew"], **hook, headers=stripe(COMPACT, NOW + 3600))
    case("the request came a thousand seconds late", ["clock_skew"], **hook, headers=stripe(COMPACT, NOW - 1000))
    milliseconds = {"stripe-signature": stripe(COMPACT)["stripe-signature"].replace(str(NOW), f"{NOW}000")}
    case("the header's time became milliseconds", ["timestamp_unit"], **hook, headers=milliseconds)
    body = {"body": COMPACT, "secrets": ["paper"]}
    case(
        "the sender signs milliseconds",
        ["timestamp_unit"],
        scheme=TIMED,
        headers=timed(f"{NOW}000", COMPACT),
        **body,
    )
    wide = TIMED | {"vars": {"t": {"from": ["header:x-paper-time"], "unit": "ms"}}}
    case("the sender signs seconds", ["timestamp_unit"], scheme=wide, headers=timed(NOW, COMPACT), **body)


def headers() -> None:
    signed = github(COMPACT)["x-hub-signature-256"]
    got = {"body": COMPACT}
    case("a proxy wrote underscores", ["header_renamed"], **GITHUB, **got, headers={"X_Hub_Signature_256": signed})
    case("a proxy took X- off", ["header_renamed"], **GITHUB, **got, headers={"Hub-Signature-256": signed})
    case(
        "a proxy put a prefix before",
        ["header_renamed"],
        **GITHUB,
        **got,
        headers={"X-Forwarded-X-Hub-Signature-256": signed},
    )
    mixed = standard(COMPACT)
    mixed["svix-id"] = mixed.pop("webhook-id")
    hook = {"provider": "standard-webhooks", "secrets": ["whsec_" + KEY_B64]}
    case("one header came under another family's name", ["header_renamed"], **hook, **got, headers=mixed)
    case(
        "a proxy wrote underscores, and the body was trimmed",
        ["header_renamed", "body_trimmed"],
        **GITHUB,
        body=COMPACT,
        headers={"X_Hub_Signature_256": github(COMPACT + "\n")["x-hub-signature-256"]},
    )
    case(
        "an old request was trimmed",
        ["body_trimmed", "clock_skew"],
        provider="stripe",
        secrets=["sk_hook"],
        headers=stripe(COMPACT + "\n", NOW - 86400),
        body=COMPACT,
    )


def urls() -> None:
    form = "From=%2B15551230&Body=hi+there"
    sent = "https://shop.example/hooks/sms"

    def called(title: str, cause: str, url: str, given: str, **more: str) -> None:
        case(
            title,
            [cause],
            provider="twilio",
            secrets=["tw_token"],
            options={"url": given},
            headers=twilio(url, form) | {name.replace("_", "-"): value for name, value in more.items()},
            body=form,
        )

    called("a proxy ends TLS", "url_scheme", sent, "http://shop.example/hooks/sms")
    called("a slash at the end was lost", "url_path", sent + "/", sent)
    called("a proxy cuts a prefix", "url_path", sent, "https://shop.example/sms", x_forwarded_prefix="/hooks")
    called("a proxy rewrites the path", "url_path", sent, "https://shop.example/in", x_original_uri="/hooks/sms")
    called("the application knows its inner host", "url_host", sent, "https://app:8000/hooks/sms", host="shop.example")
    called("a query was added", "url_query", sent, sent + "?via=proxy")
    paper_url = {"scheme": URLED, "secrets": ["paper"], "body": COMPACT}
    case(
        "the sender calls a port",
        ["url_port"],
        **paper_url,
        options={"url": sent},
        headers=paper("https://shop.example:443/hooks/sms" + COMPACT),
    )
    case(
        "the sender calls no port",
        ["url_port"],
        **paper_url,
        options={"url": "https://shop.example:8443/hooks/sms"},
        headers=paper(sent + COMPACT),
    )
    case(
        "the sender put what was posted",
        ["method"],
        scheme=METHOD,
        secrets=["paper"],
        headers=paper("PUT" + COMPACT),
        body=COMPACT,
    )


def others() -> None:
    case("Stripe's request came for GitHub", ["wrong_provider"], **GITHUB, body="{}", headers=stripe("{}", key="gh_secret"))
    case("it has Stripe's header, and another secret", ["wrong_provider"], **GITHUB, body="{}", headers=stripe("{}"))
    case("nothing is wrong", ["valid"], **GITHUB, body="{}", headers=github("{}"))
    case("it is a handshake", ["handshake"], scheme=CALLBACK, secrets=["paper"], query="echo=7", headers={}, body="")
    case("a forgery", [None], **GITHUB, body=COMPACT, headers=github(COMPACT, "guess"), others={"a": ["b"]})
    case("a forgery in time", [None], **GITHUB | {"provider": "stripe"}, body=COMPACT, headers=stripe(COMPACT))
    late = stripe(COMPACT, NOW - 5000)
    case("a forgery that is late too", [None], **GITHUB | {"provider": "stripe"}, body=COMPACT, headers=late)
    case("another body under a right signature", [None], **GITHUB, body=COMPACT, headers=github('{"id":"evt_2"}'))
    case("no signature at all", [None], **GITHUB, body=COMPACT, headers={"user-agent": "curl"})
    case(
        "a forged form",
        [None],
        provider="twilio",
        secrets=["tw_token"],
        options={"url": "https://shop.example/sms"},
        headers=twilio("https://shop.example/sms", "a=1", "guess"),
        body="a=1",
    )


def stored() -> list[dict[str, Any]]:
    """The steps of the second scenario: what receipts left behind, diagnosed ten days later."""

    def receive(name: str, endpoint: str, headers: dict[str, str]) -> dict[str, Any]:
        request = {"endpoint": endpoint, "body": COMPACT, "headers": headers}
        return {"do": "receive", "with": request, "gives": {"status_code": 401, "delivery_id": "$" + name}}

    def diagnose(name: str, *causes: str | None, **words: Any) -> dict[str, Any]:
        return {
            "do": "diagnose",
            "with": {"delivery": "$" + name, **words},
            "gives": [{"cause": cause} for cause in causes],
        }

    def endpoint(name: str, provider: str, secret: str) -> dict[str, Any]:
        words = {"name": name, "path": "/" + name, "provider": provider, "secrets": [secret]}
        return {"do": "endpoint", "with": words, "gives": {}}

    def refused(says: str, error: str = "invalid_argument", on: str = "a", **words: Any) -> dict[str, Any]:
        return {"do": "diagnose", "on": on, "with": {"delivery": "$a", **words}, "fails": error, "saying": says}

    signed = github(COMPACT)["x-hub-signature-256"]
    return [
        {"do": "open", "gives": {}},
        endpoint("code", "github", "gh_secret"),
        endpoint("ops", "github", "ops_secret"),
        endpoint("pay", "stripe", "sk_hook"),
        endpoint("bell", "token-header", "tok"),
        receive("a", "code", github(COMPACT + "\n")),
        receive("b", "code", github(COMPACT, "ops_secret")),
        receive("c", "code", github(COMPACT, "guess")),
        receive("d", "code", {"X_Hub_Signature_256": signed}),
        receive("e", "pay", stripe(COMPACT, NOW - 7200)),
        receive("f", "bell", {"x-knocker-token": "tock"}),
        receive("g", "code", github(COMPACT, "earlier")),
        receive("h", "code", {"user-agent": "curl"}),
        {"do": "clock", "with": {"add": 864000}, "gives": {}},
        diagnose("a", "body_trimmed"),
        diagnose("b", "secret_other_endpoint"),
        diagnose("b", "valid", secrets=["ops_secret"]),
        diagnose("c", None),
        diagnose("d", "header_renamed", "no_body"),
        diagnose("e", "clock_skew"),
        diagnose("f", "redacted"),
        diagnose("g", "secret_rotated", others={"previous": "earlier"}),
        diagnose("g", None, others={"previous": ["other"]}),
        diagnose("c", "wrong_provider", provider="stripe", secrets=["guess"]),
        diagnose("h", "no_body"),
        refused("999", "unknown_delivery", delivery=999),
        refused("strip", provider="strip"),
        refused("'no'", secrets=["s"], options={"no": 1}),
        {"do": "open", "on": "b", "gives": {}},
        diagnose("a", "body_trimmed", secrets=["gh_secret"]) | {"on": "b"},
        refused("secret is missing", on="b"),
    ]


def scenario(name: str, title: str, covers: str, steps: list[dict[str, Any]]) -> None:
    lines = ",\n".join("  " + json.dumps(one, ensure_ascii=False) for one in steps)
    (ROOT / "conformance/scenarios" / name).write_text(
        f'{{"title": "{title}",\n'
        f' "covers": ["{covers}"],\n'
        ' "source": "core/tests/diagnose/make.py: Python\'s hmac",\n'
        f' "steps": [\n{lines}]}}\n',
        encoding="utf-8",
    )


def public_keys() -> None:
    fixtures = json.loads((ROOT / "providers/magento/fixtures/made.json").read_text(encoding="utf-8"))
    case(
        "a forgery under a public key",
        [None],
        provider="magento",
        secrets=[fixtures[0]["secret"]],
        headers={"x-adobe-commerce-webhook-signature": base64.b64encode(bytes(256)).decode()},
        body=COMPACT,
    )


def step(one: dict[str, Any]) -> dict[str, Any]:
    causes = [{"cause": cause} for cause in one["causes"]]
    return {"do": "diagnose", "with": one["request"], "gives": causes}


def main() -> None:
    for part in (bodies, secrets, times, headers, urls, others, public_keys):
        part()
    (ROOT / "core/tests/diagnose/cases.json").write_text(
        json.dumps(CASES, indent=1, ensure_ascii=False) + "\n", encoding="utf-8"
    )
    scenario(
        "diagnose-known-mistakes.json",
        "a diagnosis names each known mistake, and explains no forgery away",
        "diagnose.request",
        [{"do": "open", "gives": {}}, *(step(one) for one in CASES)],
    )
    scenario(
        "diagnose-delivery.json",
        "a stored delivery is diagnosed as of the time when it came, as far as it was kept",
        "diagnose.delivery",
        stored(),
    )


if __name__ == "__main__":
    main()
