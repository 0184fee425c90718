"""sign, verify and send against Python's own hmac and a plain HTTP server; and no secret is ever printed."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest
from shell import complaint, objects, run, text

SECRET = "c0ffee-swordfish-1234"
BODY = b'{"id":"evt_1","type":"invoice.paid","who":"\xc3\xa9"}'
AT = 1700000000


def digest(*parts: bytes, key: bytes = SECRET.encode()) -> bytes:
    return hmac.new(key, b"".join(parts), hashlib.sha256).digest()


def expected(provider: str) -> dict[str, str]:
    """The headers that each provider documents, made here by hand."""
    t = str(AT)
    if provider == "stripe":
        return {"stripe-signature": f"t={t},v1={digest(t.encode(), b'.', BODY).hex()}"}
    if provider == "github":
        return {"x-hub-signature-256": f"sha256={digest(BODY).hex()}"}
    if provider == "shopify":
        return {"x-shopify-hmac-sha256": base64.b64encode(digest(BODY)).decode()}
    if provider == "slack":
        mac = digest(b"v0:", t.encode(), b":", BODY).hex()
        return {"x-slack-signature": f"v0={mac}", "x-slack-request-timestamp": t}
    raw = digest(b"msg_1.", t.encode(), b".", BODY)
    return {"webhook-signature": f"v1,{base64.b64encode(raw).decode()}", "webhook-timestamp": t}


def given(provider: str) -> list[str]:
    return ["--header", "webhook-id: msg_1"] if provider == "standard-webhooks" else []


SIGNED = ["stripe", "github", "shopify", "slack", "standard-webhooks"]


@pytest.mark.parametrize("provider", SIGNED)
def test_sign_prints_the_headers_that_the_provider_documents(provider: str, tmp_path: Path) -> None:
    (tmp_path / "body").write_bytes(BODY)
    flags = ["sign", "--provider", provider, "--secret-env", "S", "--at", AT, *given(provider)]
    lines = text(*flags, "--body", tmp_path / "body", S=SECRET).splitlines()
    headers = {line.split(": ", 1)[0].lower(): line.split(": ", 1)[1] for line in lines}
    assert expected(provider).items() <= headers.items()
    assert text(*flags, "--body", "-", stdin=BODY, S=SECRET).splitlines() == lines
    assert {one["name"]: one["value"] for one in objects(*flags, "--body", tmp_path / "body", S=SECRET)} == {
        line.split(": ", 1)[0]: line.split(": ", 1)[1] for line in lines
    }


def verify(
    provider: str, headers: dict[str, str], *more: object, code: int, body: bytes = BODY, secret: str = SECRET
) -> str:
    flags: list[object] = [
        "verify",
        "--provider",
        provider,
        "--secret-env",
        "S",
        "--body",
        "-",
        *given(provider),
        *more,
    ]
    for name, value in headers.items():
        flags += ["--header", f"{name}: {value}"]
    return text(*flags, stdin=body, code=code, S=secret)


@pytest.mark.parametrize("provider", SIGNED)
def test_verify_accepts_what_was_signed_and_refuses_what_was_changed(provider: str) -> None:
    assert verify(provider, expected(provider), "--at", AT, code=0).startswith("valid\n")
    assert verify(provider, expected(provider), "--at", AT, code=1, body=BODY + b" ").startswith(
        "not valid: "
    )
    assert verify(provider, expected(provider), "--at", AT, code=1, secret="another").startswith(
        "not valid: "
    )
    assert verify(provider, {}, "--at", AT, code=1).startswith("not valid: ")


@pytest.mark.parametrize("provider", ["stripe", "slack", "standard-webhooks"])
def test_verify_refuses_what_is_outside_the_window_unless_the_window_is_wider(provider: str) -> None:
    assert verify(provider, expected(provider), "--at", AT + 3600, code=1).startswith("not valid: ")
    verify(provider, expected(provider), code=1)
    verify(provider, expected(provider), "--at", AT + 3600, "--option", "tolerance_s=7200", code=0)


def test_verify_tells_what_was_read_of_the_request() -> None:
    flags = ["verify", "--provider", "stripe", "--secret-env", "S", "--at", AT, "--data", BODY.decode()]
    found = objects(
        *flags, "--header", f"Stripe-Signature: {expected('stripe')['stripe-signature']}", S=SECRET
    )[0]
    assert (found["valid"], found["event_type"], found["provider_event_id"]) == (
        True,
        "invoice.paid",
        "evt_1",
    )
    found = objects(*flags, "--header", "Stripe-Signature: t=1,v1=00", code=1, S=SECRET)[0]
    assert found["valid"] is False and found["error"]


def test_verify_tries_every_secret_and_sign_uses_the_first(tmp_path: Path) -> None:
    (tmp_path / "old").write_text(SECRET + "\n")
    flags = [
        "--provider",
        "github",
        "--secret-env",
        "NEW",
        "--secret-file",
        tmp_path / "old",
        "--data",
        BODY.decode(),
    ]
    old = f"x-hub-signature-256: {expected('github')['x-hub-signature-256']}"
    text("verify", *flags, "--header", old, NEW="fresh")
    assert digest(BODY, key=b"fresh").hex() in text("sign", *flags, NEW="fresh")


def test_a_handshake_is_answered() -> None:
    body = '{"type":"url_verification","challenge":"knock-knock"}'
    lines = text("sign", "--provider", "slack", "--secret-env", "S", "--data", body, S=SECRET).splitlines()
    headers = [word for line in lines for word in ("--header", line)]
    shown = objects("verify", "--provider", "slack", "--secret-env", "S", "--data", body, *headers, S=SECRET)[
        0
    ]
    assert shown["response_status"] == 200
    assert json.loads(shown["response_body"]) == {"challenge": "knock-knock"}


def test_a_scheme_of_ones_own_comes_from_a_file(tmp_path: Path) -> None:
    scheme = {
        "kind": "hmac", "alg": "sha256", "key": {"decode": "utf8"}, "signed": ["{body}"],
        "sig": {"from": ["header:x-mine"], "enc": "hex"}, "extract": {"event_type": ["json:type"]},
    }  # fmt: skip
    (tmp_path / "mine.json").write_text(json.dumps(scheme))
    flags = ["--scheme", tmp_path / "mine.json", "--secret-env", "S", "--data", BODY.decode()]
    assert text("sign", *flags, S=SECRET) == f"x-mine: {digest(BODY).hex()}\n"
    assert "invoice.paid" in text("verify", *flags, "--header", f"x-mine: {digest(BODY).hex()}", S=SECRET)


# ---- secrets ----


def test_a_secret_given_in_the_wrong_place_is_not_repeated(tmp_path: Path) -> None:
    for arguments in (
        ["sign", "--provider", "stripe", "--secret", SECRET, "--data", "x"],
        ["sign", "--provider", "stripe", f"--secret={SECRET}", "--data", "x"],
        ["sign", "--provider", "stripe", f"-{SECRET}", "--data", "x"],
        ["sign", "--provider", "stripe", "--secret-env", SECRET, "--data", "x"],
        ["sign", "--provider", "stripe", "--secret-file", SECRET, "--data", "x"],
        ["sign", "--provider", "bearer-token", "--secret-env", "S", "--data", "x", "--header", SECRET],
    ):
        assert SECRET not in complaint(*arguments, code=2, S=SECRET)


def test_a_secret_that_is_missing_empty_or_no_text_is_refused_by_name_of_the_option(tmp_path: Path) -> None:
    (tmp_path / "bytes").write_bytes(b"\xff\xfe")
    (tmp_path / "empty").write_bytes(b"\n")
    base = ["sign", "--provider", "stripe", "--data", "x"]
    complaint(*base, code=2)
    assert "--secret-env" in complaint(*base, "--secret-env", "NOT_SET", code=2)
    assert "empty" in complaint(*base, "--secret-env", "S", code=2, S="")
    assert "empty" in complaint(*base, "--secret-file", tmp_path / "empty", code=2)
    assert "UTF-8" in complaint(*base, "--secret-file", tmp_path / "bytes", code=2)


@pytest.mark.parametrize("provider", ["token-header", "bearer-token", "basic-auth"])
def test_sign_does_not_print_a_header_that_is_the_secret(provider: str) -> None:
    secret = f"user:{SECRET}" if provider == "basic-auth" else SECRET
    done = run("sign", "--provider", provider, "--secret-env", "S", "--data", "{}", S=secret)
    assert done.returncode == 0 and b"[secret]" in done.stdout
    for hidden in (secret.encode(), base64.b64encode(secret.encode())):
        assert hidden not in done.stdout + done.stderr
    assert b"knocker send" in done.stderr


@pytest.mark.parametrize("provider", SIGNED)
@pytest.mark.parametrize("form", [[], ["--json"]])
def test_no_secret_is_printed_whatever_the_verdict(provider: str, form: list[str]) -> None:
    flags = ["--provider", provider, "--secret-env", "S", "--data", "{}", *given(provider), *form]
    for done in (run("sign", *flags, S=SECRET), run("verify", *flags, S=SECRET)):
        assert SECRET.encode() not in done.stdout + done.stderr


# ---- send ----


class Recorder(BaseHTTPRequestHandler):
    """Keeps what came, and answers by the path: /204, /401, /echo."""

    seen: list[tuple[str, dict[str, str], bytes]] = []

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("content-length", 0)))
        self.seen.append((self.path, {name.lower(): value for name, value in self.headers.items()}, body))
        word = self.path.split("?")[0][1:]
        answer = b"knock \x1b[31m\xff" if word == "echo" else b""
        self.send_response(200 if word == "echo" else int(word))
        self.send_header("content-length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, format: str, *arguments: object) -> None:
        pass


@pytest.fixture
def server() -> Iterator[str]:
    Recorder.seen.clear()
    http = HTTPServer(("127.0.0.1", 0), Recorder)
    thread = threading.Thread(target=http.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    yield f"http://127.0.0.1:{http.server_port}"
    http.shutdown()
    thread.join()
    http.server_close()


def send(
    url: str, *more: object, code: int = 0, provider: str = "stripe", body: bytes = BODY, secret: str = SECRET
) -> str:
    flags = ["send", url, "--provider", provider, "--secret-env", "S", "--body", "-", *given(provider)]
    return text(*flags, *more, stdin=body, code=code, S=secret)


@pytest.mark.parametrize("provider", SIGNED)
def test_send_sends_a_request_that_is_signed_correctly(provider: str, server: str) -> None:
    assert send(f"{server}/204", "--at", AT, "--header", "x-more: yes", provider=provider).startswith("204  ")
    path, headers, body = Recorder.seen[0]
    assert (path, body, headers["x-more"], headers["content-type"]) == (
        "/204",
        BODY,
        "yes",
        "application/json",
    )
    assert expected(provider).items() <= headers.items()


@pytest.mark.parametrize("provider", SIGNED)
def test_a_forgery_keeps_its_form_and_is_not_valid(provider: str, server: str) -> None:
    send(f"{server}/204", "--at", AT, "--forge", provider=provider)
    headers = Recorder.seen[0][1]
    right = expected(provider)
    assert any(headers[name] != value for name, value in right.items())
    assert all(len(headers[name]) == len(value) for name, value in right.items())
    assert verify(provider, {name: headers[name] for name in right}, "--at", AT, code=1).startswith(
        "not valid: "
    )


def test_the_same_request_is_sent_as_often_as_asked(server: str) -> None:
    assert send(f"{server}/204", "--times", 3).count("204  ") == 3
    assert len(Recorder.seen) == 3
    assert len({headers["stripe-signature"] for _, headers, _ in Recorder.seen}) == 1


def test_send_signs_with_the_clock_unless_told_otherwise(server: str) -> None:
    send(f"{server}/204")
    send(f"{server}/204", "--at", "1h")
    now, then = (int(headers["stripe-signature"].split(",")[0][2:]) for _, headers, _ in Recorder.seen)
    assert abs(now - time.time()) < 60
    assert abs(now - 3600 - then) < 60


def test_an_answer_that_is_not_2xx_exits_with_1_and_no_answer_with_4(server: str) -> None:
    assert send(f"{server}/401", code=1).startswith("401  ")
    assert "no answer" in complaint(
        "send",
        "http://127.0.0.1:1/",
        "--provider",
        "github",
        "--secret-env",
        "S",
        "--data",
        "x",
        code=4,
        S=SECRET,
    )


def test_the_answer_is_shown_without_steering_the_terminal(server: str) -> None:
    assert "knock \\x1b[31m\\xff" in send(f"{server}/echo")
    found = objects(
        "send", f"{server}/echo", "--provider", "github", "--secret-env", "S", "--data", "x", S=SECRET
    )[0]
    assert (found["status"], base64.b64decode(found["body_base64"])) == (200, b"knock \x1b[31m\xff")


def test_a_body_of_4_mib_and_an_empty_one_arrive_whole(server: str) -> None:
    large = bytes(range(256)) * 16384
    send(f"{server}/204", body=large, provider="github")
    send(f"{server}/204", body=b"", provider="github")
    (_, first, got), (_, second, empty) = Recorder.seen
    assert (got == large, empty) == (True, b"")
    assert first["x-hub-signature-256"] == f"sha256={digest(large).hex()}"
    assert second["x-hub-signature-256"] == f"sha256={digest(b'').hex()}"


@pytest.mark.parametrize(("provider", "header", "value"), [
    ("token-header", "x-knocker-token", SECRET),
    ("bearer-token", "authorization", f"Bearer {SECRET}"),
    ("basic-auth", "authorization", "Basic " + base64.b64encode(f"u:{SECRET}".encode()).decode()),
])  # fmt: skip
def test_send_sends_a_token_that_sign_would_not_print(
    provider: str, header: str, value: str, server: str
) -> None:
    shown = send(
        f"{server}/204", provider=provider, secret=f"u:{SECRET}" if provider == "basic-auth" else SECRET
    )
    assert SECRET not in shown
    assert Recorder.seen[0][1][header] == value
