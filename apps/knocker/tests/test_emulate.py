"""emulate: what it sends, judged by Python's own hmac and by the inbox; and what --check says of receivers that err."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import os
import shutil
import signal
import socket
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from receiver import Received, Receiver, receiver
from shell import KNOCKER, ROOT, complaint, environ, objects, run, text

SECRET = "c0ffee-swordfish-1234"
HMACS = ["stripe", "github", "shopify", "slack", "standard-webhooks"]
SAMPLES = sorted((ROOT / "providers").glob("*/samples/*.json"))
MISHAPS = ["--duplicates", "5%", "--forged", "2%", "--reorder", "--late", "--oversize"]


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Receiver]:
    with receiver(tmp_path / "inbox.db") as made:
        yield made


def ask(database: Path, sql: str, *values: Any) -> list[Any]:
    with closing(sqlite3.connect(f"{database.as_uri()}?mode=ro", uri=True)) as db:
        return db.execute(sql, values).fetchall()


def emulate(provider: str, url: str, *more: object, code: int = 0, secret: str = SECRET) -> dict[str, Any]:
    found = objects("emulate", provider, "--to", url, "--secret-env", "S", *more, code=code, S=secret)
    assert len(found) == 1
    return found[0]


def checked(server: Receiver, provider: str, *more: object, code: int = 0) -> dict[str, Any]:
    return emulate(provider, server.url(provider), "--check", server.database, *more, code=code)


# ---- what is sent ----


def right_signature(provider: str, got: Received) -> bool:
    """The signature made by hand, as each provider documents it."""
    headers = {name.lower(): value for name, value in got.headers.items()}

    def mac(*parts: bytes) -> bytes:
        return hmac.new(SECRET.encode(), b"".join(parts), hashlib.sha256).digest()

    if provider == "stripe":
        t, v1 = (part.split("=", 1)[1] for part in headers["stripe-signature"].split(","))
        return v1 == mac(t.encode(), b".", got.body).hex()
    if provider == "github":
        return headers["x-hub-signature-256"] == "sha256=" + mac(got.body).hex()
    if provider == "shopify":
        return headers["x-shopify-hmac-sha256"] == base64.b64encode(mac(got.body)).decode()
    if provider == "slack":
        t = headers["x-slack-request-timestamp"]
        return headers["x-slack-signature"] == "v0=" + mac(b"v0:", t.encode(), b":", got.body).hex()
    signed = (headers["webhook-id"] + "." + headers["webhook-timestamp"] + ".").encode()
    return headers["webhook-signature"] == "v1," + base64.b64encode(mac(signed, got.body)).decode()


@pytest.mark.parametrize("provider", HMACS)
def test_every_request_is_signed_as_documented_and_forgeries_are_not(provider: str, tmp_path: Path) -> None:
    def judge(got: Received) -> int:
        return 204 if right_signature(provider, got) else 401

    with receiver(tmp_path / "inbox.db", judge) as server:
        told = emulate(
            provider, server.url(provider), "--count", 100, "--forged", "10%", "--duplicates", "10%"
        )
    assert told["events"] == {"sent": 80, "unexpected": 0, "status": {"204": 80}}
    assert told["repeats"] == {"sent": 10, "unexpected": 0, "status": {"204": 10}}
    assert told["forged"] == {"sent": 10, "unexpected": 0, "status": {"401": 10}}
    assert len({got.body for got in server.seen}) == 90
    assert all(len({k.lower() for k in got.headers}) == len(got.headers) for got in server.seen)


def fixture_of(provider: str) -> dict[str, Any]:
    """A request of the provider's fixtures that is valid: for its secret and options."""
    for path in sorted((ROOT / "providers" / provider / "fixtures").glob("*.json")):
        cases = json.loads(path.read_text())
        for case in cases if isinstance(cases, list) else cases.get("requests", [cases]):
            if isinstance(case, dict) and case.get("expect_valid") and isinstance(case.get("secret"), str):
                return case
    return {}


def signs(provider: str, kind: str) -> bool:
    """Whether the secret of its fixtures signs, and is no public key, as a receiver has it."""
    secret = fixture_of(provider).get("secret", SECRET)
    return kind not in ("ed25519", "ecdsa-p256", "rsa-pkcs1") and not secret.startswith(("-----BEGIN", "{"))


KINDS = {one["name"]: one["kind"] for one in objects("providers")}
BUILT_IN = [name for name, kind in KINDS.items() if signs(name, kind)]
SENDABLE = [path for path in SAMPLES if path.parts[-3] in BUILT_IN]


def test_most_built_ins_have_a_secret_that_signs() -> None:
    assert len(BUILT_IN) > len(KINDS) / 2 and len(SENDABLE) > len(SAMPLES) / 2


def register(server: Receiver, provider: str) -> tuple[str, list[str]]:
    """Its endpoint, with the secret and the options of its fixtures; the secret, and the flags that say the same."""
    case = fixture_of(provider)
    secret = "user:swordfish" if KINDS[provider] == "basic" else case.get("secret", SECRET)
    given = case.get("options") or {}
    options = {name: value for name, value in given.items() if name not in ("url", "method")}
    flags = [word for name, value in options.items() for word in ("--option", f"{name}={value}")]
    if "url" in given:
        options["url"] = server.url(provider)
    server.add(provider, secret, **({"provider_options": options} if options else {}))
    return secret, flags


def extracts(provider: str, what: str) -> bool:
    """Some bodies do not say what they are, or not where it can be read: Braintree's is XML in base64. Some senders
    give nothing that a repeat has and another event has not: Hugging Face."""
    scheme = json.loads((ROOT / "providers" / provider / "provider.json").read_text())["scheme"]
    return "extends" in scheme or what in scheme.get("extract", {})


@pytest.mark.parametrize("path", SENDABLE, ids=lambda path: f"{path.parts[-3]}-{path.stem}")
def test_each_sample_becomes_an_event_of_its_type_without_a_placeholder_left(
    path: Path, server: Receiver
) -> None:
    provider, sample = path.parts[-3], json.loads(path.read_text())
    name = sample.get("event_type", path.stem)
    type = name if extracts(provider, "event_type") else None
    secret, flags = register(server, provider)
    flags += ["--count", "3", "--event", name, "--check", str(server.database)]
    told = emulate(provider, server.url(provider), *flags, secret=secret)
    assert told["check"]["events"] == 3 and told["check"]["good"] is True
    found = ask(server.database, "select event_type, body_blob, dedupe_key from knocker_events")
    assert [row[0] for row in found] == [type] * 3
    keys = {row[2] for row in found}
    assert len(keys) == 3 and None not in keys if extracts(provider, "dedupe") else keys == {None}
    for _, body, _ in found:
        assert b"{{" not in body
        if isinstance(sample["body"], dict):
            assert set(json.loads(body)) == set(sample["body"])


@pytest.mark.parametrize("provider", BUILT_IN)
def test_every_built_in_whose_secret_signs_can_be_emulated(provider: str, server: Receiver) -> None:
    secret, flags = register(server, provider)
    flags += ["--count", "20", "--duplicates", "10%", "--forged", "10%", "--check", str(server.database)]
    told = emulate(provider, server.url(provider), *flags, secret=secret)
    assert told["check"]["good"] is True and told["forged"]["unexpected"] == 0
    kept = ask(server.database, "select count(*) from knocker_deliveries where event_id is not null")
    assert kept == [(18,)]


def test_a_type_without_a_sample_gets_a_body_made_of_the_scheme(server: Receiver) -> None:
    url = server.add("stripe", SECRET)
    emulate("stripe", url, "--event", "paper.folded", "--count", 2)
    found = ask(server.database, "select event_type, provider_event_id, body_blob from knocker_events")
    assert len(found) == 2
    for event_type, id, body in found:
        assert event_type == "paper.folded" and json.loads(body)["id"] == id


def test_a_private_key_signs_what_its_public_key_verifies(server: Receiver) -> None:
    """The first key pair of RFC 8032, section 7.1."""
    seed = bytes.fromhex("9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60")
    public = "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a"
    der = base64.b64encode(bytes.fromhex("302e020100300506032b657004220420") + seed).decode()
    private = f"-----BEGIN PRIVATE KEY-----\n{der}\n-----END PRIVATE KEY-----"
    url = server.add("discord", public)
    flags = ["--count", 100, "--forged", "5%", "--duplicates", "5%", "--late", "--check", server.database]
    told = emulate("discord", url, *flags, secret=private)
    assert (told["events"]["sent"], told["forged"]["sent"], told["check"]["good"]) == (89, 5, True)


def test_an_alias_and_a_secret_in_a_file_do_as_well(server: Receiver, tmp_path: Path) -> None:
    (tmp_path / "secret").write_text(SECRET + "\n")
    url = server.add("standard-webhooks", SECRET)
    flags = ["--secret-file", tmp_path / "secret", "--count", 5]
    assert objects("emulate", "standard_webhooks", "--to", url, *flags)[0]["events"]["status"] == {"204": 5}


def test_all_of_them_may_be_forgeries(server: Receiver) -> None:
    server.add("github", SECRET)
    told = checked(server, "github", "--count", 20, "--forged", "100%")
    assert told["forged"] == {"sent": 20, "unexpected": 0, "status": {"401": 20}}
    assert told["events"]["sent"] == 0 and told["check"]["events"] == 0 and told["check"]["refused"] == 20


def test_a_header_and_a_query_of_ones_own_are_sent(server: Receiver) -> None:
    url = server.add("github", SECRET) + "?tenant=7"
    emulate("github", url, "--count", 2, "--header", "x-github-event: own")
    assert {(got.query, got.headers["x-github-event"]) for got in server.seen} == {("tenant=7", "own")}


# ---- the run ----


def test_a_seed_gives_the_same_ids_in_the_same_order(server: Receiver) -> None:
    url = server.add("github", SECRET)
    flags = ["--count", 60, "--duplicates", "10%", "--reorder", "--connections", 1]
    assert emulate("github", url, *flags, "--seed", 7)["seed"] == 7
    emulate("github", url, *flags, "--seed", 7)
    emulate("github", url, *flags, "--seed", 8)
    ids = [got.headers["x-github-delivery"] for got in server.seen]
    assert ids[:60] == ids[60:120] and not set(ids[:60]) & set(ids[120:])
    assert Counter(Counter(ids[:60]).values()).keys() <= {1, 2, 3} and len(set(ids[:60])) == 54


def test_without_a_seed_each_run_has_other_ids_and_tells_its_seed(server: Receiver) -> None:
    url = server.add("github", SECRET)
    first, second = (emulate("github", url, "--count", 5), emulate("github", url, "--count", 5))
    assert first["seed"] != second["seed"]
    assert len({got.headers["x-github-delivery"] for got in server.seen}) == 10


def test_reorder_moves_events_and_nothing_else(server: Receiver) -> None:
    url = server.add("standard-webhooks", SECRET)
    for more in ([], ["--reorder"]):
        emulate("standard-webhooks", url, "--count", 80, "--seed", 5, "--connections", 1, *more)
    ids = [got.headers["webhook-id"] for got in server.seen]
    assert ids[:80] != ids[80:] and sorted(ids[:80]) == sorted(ids[80:])


def test_a_rate_is_kept_and_bursts_come_at_the_beginning_of_a_second(server: Receiver) -> None:
    url = server.add("github", SECRET)
    assert emulate("github", url, "--rate", 40, "--count", 41)["seconds"] >= 1.0
    assert emulate("github", url, "--rate", 40, "--count", 41, "--burst")["seconds"] >= 1.0


def test_many_connections_are_open_at_once(tmp_path: Path) -> None:
    """The first eight wait for each other: with fewer connections none would be answered in time."""
    import threading

    gate = threading.Barrier(8)

    def wait(got: Received) -> int:
        if got.count < 8:
            gate.wait(20)
        return 204

    with receiver(tmp_path / "inbox.db", wait) as server:
        told = emulate("github", server.url("github"), "--count", 16, "--connections", 8, "--timeout", 30)
    assert told["events"]["status"] == {"204": 16}


def test_ctrl_c_ends_it_with_its_table(server: Receiver) -> None:
    url = server.add("github", SECRET)
    flags = [
        "emulate",
        "github",
        "--to",
        url,
        "--secret-env",
        "S",
        "--rate",
        "20",
        "--count",
        "1000",
        "--json",
    ]
    flags += ["--check", str(server.database)]
    running = subprocess.Popen([KNOCKER, *flags], env=environ(S=SECRET), stdout=subprocess.PIPE)
    while not server.seen:
        time.sleep(0.01)
    running.send_signal(signal.SIGINT)
    out, _ = running.communicate(timeout=30)
    told = json.loads(out)
    assert running.returncode == 0 and 0 < told["sent"] < 1000 and told["check"]["good"] is True
    assert told["check"]["events"] == told["sent"]


def test_the_table_for_people(server: Receiver) -> None:
    url = server.add("stripe", SECRET)
    flags = ["--count", 100, "--seed", 3, "--check", server.database, *MISHAPS]
    lines = text("emulate", "stripe", "--to", url, "--secret-env", "S", *flags, S=SECRET).splitlines()
    rows = {line.split()[0]: line.split()[1:] for line in lines}
    assert lines[0].startswith("sent ") and lines[0].endswith("; seed 3") and rows["sent"][0] == "100"
    assert rows["events"] == ["91", "204:", "91"] and rows["repeats"] == ["5", "204:", "5"]
    assert rows["forged"] == ["2", "401:", "2"] and rows["late"] == ["1", "401:", "1"]
    assert rows["oversize"] == ["1", "413:", "1"]
    assert "p50" in rows["latency"] and "max" in rows["latency"]
    assert "nothing lost, nothing doubled: 91 events, 96 deliveries, 4 refused on record" in lines[-1]
    assert SECRET not in "\n".join(lines)


# ---- the check ----


def test_the_check_agrees_with_the_file(server: Receiver) -> None:
    for provider in ("stripe", "github", "shopify"):
        server.add(provider, SECRET)
        told = checked(server, provider, "--count", 300, *MISHAPS)
        where = "where endpoint = ?"
        events = ask(
            server.database,
            f"select count(*), count(distinct dedupe_key) from knocker_events {where}",
            provider,
        )
        kept = ask(
            server.database,
            f"select count(event_id), sum(event_id is null) from knocker_deliveries {where}",
            provider,
        )
        accepted = told["events"]["sent"] + (told["late"]["status"].get("204", 0))
        assert told["check"]["good"] is True and events == [(accepted, accepted)]
        assert (told["check"]["events"], told["check"]["deliveries"]) == (accepted, kept[0][0])
        assert kept == [(accepted + 15, told["check"]["refused"])]


def test_what_is_late_is_accepted_where_nothing_says_when_it_was_signed(server: Receiver) -> None:
    for provider in ("github", "stripe"):
        server.add(provider, SECRET)
    assert checked(server, "github", "--count", 100, "--late")["late"]["status"] == {"204": 1}
    assert checked(server, "stripe", "--count", 100, "--late")["late"]["status"] == {"401": 1}


def erring(
    tmp_path: Path, answer: Any, *more: object, endpoints: tuple[str, ...] = ("github",)
) -> dict[str, Any]:
    """What is told of a receiver that errs, which must be told by the exit code, too."""
    with receiver(tmp_path / "inbox.db", answer) as server:
        for name in endpoints:
            server.add("github", SECRET, name)
        flags = ["--count", 50, "--check", server.database, *more]
        return emulate("github", server.url("github"), *flags, code=1)


def test_an_event_that_was_answered_and_not_stored_is_named(tmp_path: Path) -> None:
    lost = []

    def forget_one(got: Received) -> int:
        if got.count != 20:
            return got.receive()
        lost.append(got.headers["x-github-delivery"])
        return 204

    told = erring(tmp_path, forget_one)["check"]
    assert (told["good"], told["lost"], told["doubled"], told["events"]) == (False, 1, 0, 49)
    assert told["faults"] == [f"{lost[0]}: lost: 1 answered with 2xx, 0 on record"]


def test_a_lost_repeat_is_named(tmp_path: Path) -> None:
    known: set[str] = set()

    def forget_repeats(got: Received) -> int:
        id = got.headers["x-github-delivery"]
        if id in known:
            return 204
        known.add(id)
        return got.receive()

    told = erring(tmp_path, forget_repeats, "--duplicates", "2%", "--connections", 1)["check"]
    assert told["lost"] == 1 and told["faults"][0].endswith("lost: 2 answered with 2xx, 1 on record")


def test_an_event_that_was_stored_twice_is_named(tmp_path: Path) -> None:
    def twice(got: Received) -> int:
        if got.count == 7:
            got.receive("other")
        return got.receive()

    with receiver(tmp_path / "inbox.db", twice) as server:
        for name in ("github", "other"):
            server.add("github", SECRET, name)
        url = server.url("github")
        elsewhere = url.replace("/webhooks/github", "/hooks/github")  # no endpoint's path: all are looked at
        told = emulate("github", elsewhere, "--count", 50, "--check", server.database, code=1)["check"]
        assert (told["doubled"], told["too_often"], told["lost"], told["events"]) == (1, 1, 0, 51)
        assert told["faults"][0].startswith(
            server.seen[7].headers["x-github-delivery"] + ": doubled: it is event "
        )
        server.answer = Received.receive
        assert emulate("github", url, "--count", 5, "--check", server.database)["check"]["good"] is True


def test_a_forgery_that_was_accepted_is_told(tmp_path: Path) -> None:
    def believe(got: Received) -> int:
        got.webhooks.ingest(
            endpoint="github",
            body=got.body,
            headers=got.headers,
            event_type="push",
            dedupe_key=got.headers["x-github-delivery"],
            signature_valid=True,
        )
        return 204

    told = erring(tmp_path, believe, "--forged", "4%")
    assert told["forged"] == {"sent": 2, "unexpected": 2, "status": {"204": 2}}


def test_a_request_that_was_refused_and_stored_is_told(tmp_path: Path) -> None:
    def store_and_refuse(got: Received) -> int:
        return 503 if got.receive() == 204 and got.count == 3 else 204

    told = erring(tmp_path, store_and_refuse)
    assert told["events"] == {"sent": 50, "unexpected": 1, "status": {"204": 49, "503": 1}}
    assert told["check"]["too_often"] == 1 and told["check"]["lost"] == 0


def test_a_refusal_that_is_not_on_record_is_told(tmp_path: Path) -> None:
    def refuse_in_silence(got: Received) -> int:
        return 401 if got.count == 3 else got.receive()

    assert erring(tmp_path, refuse_in_silence)["check"]["refused_missing"] == 1


def test_a_wrong_secret_is_told_by_the_exit_code(server: Receiver) -> None:
    url = server.add("github", "another")
    told = emulate("github", url, "--count", 10, "--check", server.database, code=1)
    assert told["events"] == {"sent": 10, "unexpected": 10, "status": {"401": 10}}
    assert told["check"]["good"] is True and told["check"]["refused"] == 10


def test_what_was_there_before_does_not_count(server: Receiver) -> None:
    server.add("github", SECRET)
    checked(server, "github", "--count", 30, "--seed", 1)
    told = checked(server, "github", "--count", 20, "--seed", 2, "--endpoint", "github")
    assert (told["check"]["events"], told["check"]["deliveries"]) == (20, 20)


def test_a_provider_without_a_dedupe_key_is_told_by_its_bodies(tmp_path: Path) -> None:
    with receiver(tmp_path / "inbox.db") as server:
        server.webhooks.add_endpoint(name="token-header", path="/webhooks/token-header", provider="token-header",
                                     secrets=[SECRET])  # fmt: skip
        told = checked(server, "token-header", "--count", 20, "--duplicates", "10%")
    assert told["check"]["good"] is True and told["check"]["deliveries"] == 20


# ---- complaints ----


def test_what_is_given_wrongly_is_named(tmp_path: Path) -> None:
    def wrong(*flags: object, code: int = 2, provider: str = "stripe") -> str:
        return complaint("emulate", provider, "--secret-env", "S", *flags, code=code, S=SECRET)

    url = "http://127.0.0.1:1/"
    assert "give --to URL" in wrong()
    assert "'ftp://x' is no URL" in wrong("--to", "ftp://x")
    assert "no provider is named 'strip'" in wrong("--to", url, provider="strip")
    assert "--duplicates: 'many' is no share" in wrong("--to", url, "--duplicates", "many")
    assert "--forged: '101%' is no share" in wrong("--to", url, "--forged", "101%")
    assert "none would be left" in wrong("--to", url, "--forged", "60%", "--duplicates", "40%")
    assert "--count: 1000001 is over 1000000" in wrong("--to", url, "--count", "1000001")
    assert "give --check FILE" in wrong("--to", url, "--endpoint", "x")
    assert "no database at" in wrong("--to", url, "--check", tmp_path / "none.db", code=3)
    assert "emulate takes no --limit" in wrong("--to", url, "--limit", "3")
    assert "which one? knocker emulate PROVIDER" in complaint("emulate", "--to", url, code=2)
    assert "secret" in complaint("emulate", "stripe", "--to", url, code=2)


def test_an_endpoint_that_is_not_there_is_named(server: Receiver) -> None:
    server.add("github", SECRET)
    flags = ["--check", server.database, "--endpoint", "gitlab", "--secret-env", "S"]
    said = complaint("emulate", "github", "--to", server.url("github"), *flags, code=3, S=SECRET)
    assert "no endpoint is named 'gitlab'" in said and not server.seen


def test_where_nobody_listens_it_says_so_and_ends() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    url = f"http://127.0.0.1:{port}/"
    said = complaint("emulate", "github", "--to", url, "--secret-env", "S", "--count", 5000, code=4, S=SECRET)
    assert f"no answer from '{url}'" in said


def test_the_options_that_share_a_name_keep_their_other_meaning(server: Receiver) -> None:
    assert "--event: 'x' is no number from 1 up" in complaint("deliveries", "--event", "x", code=2)
    assert "--late: 'soon' is no time" in complaint("doctor", "--late", "soon", code=2)


# ---- ten thousand ----


@pytest.fixture
def memory_folder() -> Iterator[Path]:
    """In memory where there is such a folder: a test of ten thousand receipts is not one of the disk."""
    folder = Path(tempfile.mkdtemp(dir="/dev/shm" if os.access("/dev/shm", os.W_OK) else None))
    yield folder
    shutil.rmtree(folder)


def test_the_demos_application_holds_ten_thousand_requests(memory_folder: Path) -> None:
    database = memory_folder / "knocker.db"
    secrets = {f"{name}_SECRET": SECRET for name in ("STRIPE", "GITHUB", "SLACK")}
    with socket.create_server(("127.0.0.1", 0), backlog=256) as listener:
        fd, port = listener.fileno(), listener.getsockname()[1]
        application = subprocess.Popen(
            [sys.executable, "-m", "uvicorn", "app:app", "--fd", str(fd), "--log-level", "warning"],
            cwd=ROOT / "examples" / "demo",
            env=environ(KNOCKER_DB=str(database), **secrets),
            pass_fds=[fd],
        )
    try:
        while not database.exists() or not ask(
            database, "select 1 from sqlite_master where name = 'knocker_events'"
        ):
            assert application.poll() is None
            time.sleep(0.05)
        done = run(
            "emulate", "stripe", "--to", f"http://127.0.0.1:{port}/webhooks/stripe", "--secret-env", "S",
            "--count", 10000, "--duplicates", "5%", "--forged", "1%", "--reorder", "--check", database, "--json",
            S=SECRET,
        )  # fmt: skip
        told = json.loads(done.stdout)
    finally:
        application.terminate()
        application.wait(20)
    assert done.returncode == 0, told
    assert [told[kind]["status"] for kind in ("events", "repeats", "forged")] == [
        {"204": 9400},
        {"204": 500},
        {"401": 100},
    ]
    assert told["check"]["good"] is True
    assert ask(database, "select count(*), count(distinct dedupe_key) from knocker_events") == [(9400, 9400)]
    assert ask(database, "select count(*), count(event_id) from knocker_deliveries") == [(10000, 9900)]
