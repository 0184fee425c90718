"""The command line as people and scripts meet it: help, exit codes, looking at a database, acting on it."""

from __future__ import annotations

import base64
import re
import sqlite3
import time
from pathlib import Path

import knocker
import pytest
from conftest import Filled
from shell import BINARY, HOSTILE, complaint, objects, on_terminal, run, text

COMMANDS = re.findall(r"^  ([a-z-]+)(?: [][A-Za-z|]+)? {2,}", text("help"), re.MULTILINE)
OPENING = [
    "events",
    "deliveries",
    "stats",
    "endpoints",
    "audits",
    "tail",
    "doctor",
    "event 1",
    "delivery 1",
    "why 1",
    "replay 1",
    "requeue 1",
    "requeue --status dead",
    "ignore 1",
    "replay-delivery 1",
    "pause shop",
    "resume shop",
    "prune events --older-than 1d",
]


def test_the_overview_lists_the_commands() -> None:
    wanted = """init endpoints events event deliveries delivery why tail stats ignore replay requeue
        replay-delivery reverify prune audits providers verify sign send emulate doctor pause resume help"""
    assert set(wanted.split()) == set(COMMANDS) and len(COMMANDS) == 25


@pytest.mark.parametrize("name", COMMANDS)
def test_each_command_explains_itself_with_examples_and_exit_codes(name: str) -> None:
    shown = text(name, "--help")
    assert f"Usage: knocker {name}" in shown
    assert f"$ knocker {name}" in shown.split("Examples:")[1]
    assert "Exit codes:" in shown
    assert text("help", name) == shown == text(name, "-h")


def test_the_version_is_that_of_the_repository() -> None:
    version = (Path(__file__).parents[3] / "VERSION").read_text().strip()
    assert text("--version") == f"knocker {version}\n"


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ("rows", "no command 'rows'"),
        ("help rows", "no command 'rows'"),
        ("events --colour", "no option --colour"),
        ("events -x", "no option -x"),
        ("events --forge", "takes no --forge"),
        ("events 5", "takes no '5'"),
        ("event", "knocker event ID"),
        ("event 1 2", "one word too many: '2'"),
        ("event abc", "'abc' is no id"),
        ("event 0", "'0' is no id"),
        ("event 1.5", "'1.5' is no id"),
        ("event 99999999999999999999", "is no id"),
        ("why 0x10", "'0x10' is no id"),
        ("replay", "give an ID"),
        ("requeue --endpoint shop", "--status"),
        ("requeue 1 --status dead", "not both"),
        ("pause", "knocker pause ENDPOINT"),
        ("prune", "knocker prune events|orphans"),
        ("prune jobs --older-than 1d", "'jobs' cannot be pruned"),
        ("prune events", "--older-than"),
        ("prune orphans --older-than 1d --status handled", "orphans have no status"),
        ("prune events --older-than soon", "'soon' is no time"),
        ("doctor --late 0s", "'0s' is no time"),
        ("doctor --late 5", "'5' is no time"),
        ("events --limit", "--limit needs a value"),
        ("events --limit 0", "'0' is no number"),
        ("events --limit 1001", "over 1000"),
        ("events --limit ten", "'ten' is no number"),
        ("events --before -3", "'-3' is no number"),
        ("events --since yesterday", "'yesterday' is no time"),
        ("events --limit 1 --limit 2", "given twice"),
        ("events --json=yes", "takes no value"),
        ("sign --data x", "--provider NAME"),
        ("sign --provider stripe --scheme f --data x", "--provider NAME"),
        ("sign --provider stripe --data x --body f", "--body FILE"),
        ("sign --provider stripe --data x --header novalue", "'name: value'"),
        ("sign --provider stripe --data x --option tolerance_s", "NAME=VALUE"),
        ("sign --provider stripe --body /no/such/file", "/no/such/file"),
        ("send ftp://127.0.0.1/ --provider stripe", "is no URL"),
    ],
)
def test_a_command_given_wrongly_says_what_is_wrong_and_exits_with_2(arguments: str, words: str) -> None:
    assert words in complaint(*arguments.split(), code=2)


def test_no_command_at_all_shows_the_overview_and_exits_with_2() -> None:
    done = run()
    assert (done.returncode, done.stdout) == (2, b"")
    assert b"Usage: knocker COMMAND" in done.stderr


@pytest.mark.parametrize("command", OPENING)
def test_a_missing_database_is_named_and_not_created(command: str, tmp_path: Path) -> None:
    path = tmp_path / "none.db"
    assert str(path) in complaint(*command.split(), "--db", path, code=3)
    assert list(tmp_path.iterdir()) == []


def test_what_is_no_database_is_left_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "letter.txt"
    path.write_bytes(b"Dear all, this is not a database. " * 100)
    before = path.read_bytes()
    complaint("events", "--db", path, code=4)
    assert path.read_bytes() == before
    assert "not a file" in complaint("events", "--db", tmp_path, code=4)
    (tmp_path / "empty.db").touch()
    assert "is empty" in complaint("events", "--db", tmp_path / "empty.db", code=3)
    assert (tmp_path / "empty.db").stat().st_size == 0


@pytest.mark.parametrize("command", OPENING)
def test_a_database_without_an_inbox_is_left_as_it_is(command: str, tmp_path: Path) -> None:
    path = tmp_path / "other.db"
    with sqlite3.connect(path) as other:
        other.execute("create table stock (item text)")
    other.close()
    before = path.read_bytes()
    assert "without an inbox" in complaint(*command.split(), "--db", path, code=4)
    assert path.read_bytes() == before


@pytest.mark.parametrize("command", ["event", "delivery", "why", "replay", "requeue", "ignore", "replay-delivery"])
def test_an_unknown_event_or_delivery_is_named_and_exits_with_3(command: str, db: Filled) -> None:
    assert "424242" in complaint(command, 424242, "--db", db.path, code=3)


def test_where_a_delivery_has_the_id_that_an_event_was_named_by_it_is_said(db: Filled) -> None:
    repeat = max(row["id"] for row in objects("deliveries", "--event", db.ids["handled"], "--db", db.path))
    for command in ("event", "why", "replay", "requeue", "ignore"):
        said = complaint(command, repeat, "--db", db.path, code=3)
        assert f"{repeat} is a delivery, of event {db.ids['handled']}" in said
        assert "that became no event" in complaint(command, db.ids["d_refused"], "--db", db.path, code=3)


def test_events_come_newest_first_and_filters_choose(db: Filled) -> None:
    def found(*filters: object) -> list[int]:
        return [event["id"] for event in objects("events", "--db", db.path, *filters)]

    ids = db.ids
    newest = [ids["hostile"], ids["waiting"], ids["dead"], ids["handled"]]
    assert found() == newest
    assert found("--status", "dead") == [ids["dead"]]
    assert found("--endpoint", "shop") == [ids["waiting"], ids["handled"]]
    assert found("--type", "ok") == [ids["handled"]]
    assert found("--limit", 2) == newest[:2]
    assert found("--limit", 2, "--before", newest[1]) == newest[2:]
    assert found("--since", "1h") == newest
    assert found("--since", int(time.time()) + 3600) == []
    assert found("--since", "2020-01-31T10:00") == newest
    complaint("events", "--db", db.path, "--status", "lost", code=2)


def test_a_list_that_was_cut_says_so_on_standard_error(db: Filled) -> None:
    said = run("events", "--limit", 2, "--db", db.path).stderr.decode()
    second = objects("events", "--db", db.path)[1]["id"]
    assert said == f"there may be more: --before {second}\n"
    assert run("endpoints", "--limit", 1, "--db", db.path).stderr == b"there may be more\n"
    assert run("endpoints", "--db", db.path).stderr == b""


def test_deliveries_are_filtered_by_what_became_of_them(db: Filled) -> None:
    refused = objects("deliveries", "--db", db.path, "--orphaned")
    assert [delivery["id"] for delivery in refused] == [db.ids["d_refused"]]
    assert refused == objects("deliveries", "--db", db.path, "--invalid")
    assert refused[0]["event_id"] is None
    assert refused[0]["signature_valid"] is False
    assert refused[0]["signature_error"] == "no good"
    assert len(objects("deliveries", "--db", db.path, "--event", db.ids["handled"])) == 2
    assert len(objects("deliveries", "--db", db.path)) == 6


def test_lists_in_json_have_the_contracts_columns_and_no_bodies(db: Filled) -> None:
    columns = "id endpoint event_type provider_event_id provider_delivery_id dedupe_key status attempt_count"
    for event in objects("events", "--db", db.path):
        assert set(event) == {*columns.split(), "headers", "query", "received_at", "handled_at", "last_error"}
        assert event["headers"] == {"content-type": "application/json", "x-two": ["1", "2"]}


def test_one_event_is_shown_with_body_headers_attempts_and_deliveries(db: Filled) -> None:
    shown = text("event", db.ids["handled"], "--db", db.path)
    assert '"list": [\n' in shown and '"a": "b c"' in shown and '"none": {}' in shown
    assert '"content-type": "application/json"' in shown
    assert "status       handled" in shown
    assert "attempts, newest first" in shown and "deliveries, newest first" in shown
    event = objects("event", db.ids["handled"], "--db", db.path)[0]
    assert event["body"] == '{"id":"o-1","list":[1,{"a":"b c"}],"none":{}}'
    assert [attempt["outcome"] for attempt in event["attempts"]] == ["handled"]
    assert len(event["deliveries"]) == 2
    dead = objects("event", db.ids["dead"], "--db", db.path)[0]
    assert dead["body"] == "plain words"
    assert "no such topic" in dead["attempts"][0]["error"]


def test_a_body_comes_back_byte_for_byte_also_when_it_is_no_text(db: Filled) -> None:
    assert run("event", db.ids["waiting"], "--raw", "--db", db.path).stdout == BINARY
    shown = text("event", db.ids["waiting"], "--db", db.path)
    assert f"{len(BINARY)} bytes, binary" in shown and "00000000  00 01 02" in shown
    event = objects("event", db.ids["waiting"], "--db", db.path)[0]
    assert "body" not in event
    assert base64.b64decode(event["body_base64"]) == BINARY


def test_what_a_stranger_sent_cannot_steer_the_terminal(db: Filled) -> None:
    for command in ("events", "deliveries", f"event {db.ids['hostile']}", f"why {db.ids['hostile']}"):
        shown = text(*command.split(), "--db", db.path)
        assert "\x1b" not in shown and "\u202e" not in shown
    assert "evil\\x1b[31m\\u{202e}epyt" in text("event", db.ids["hostile"], "--db", db.path)
    assert len(objects("events", "--db", db.path, "--type", HOSTILE)) == 1


def test_tables_fit_a_hundred_columns_where_there_is_no_terminal(db: Filled) -> None:
    for command in ("events", "deliveries", "stats", "endpoints", "providers"):
        where = [] if command == "providers" else ["--db", db.path]
        lines = text(command, *where).splitlines()
        assert lines and max(map(len, lines)) <= 100, lines
        assert not any("\x1b" in line for line in lines)


def test_colour_and_width_are_those_of_the_terminal(db: Filled) -> None:
    shown = on_terminal(60, "events", "--db", db.path)[1]
    assert "\x1b[31mdead" in shown and "\x1b[32mhandled" in shown
    plain = re.sub("\x1b\\[[0-9;]*m", "", shown)
    assert max(map(len, plain.splitlines())) <= 60
    assert "provider's id" not in plain and "provider's id" in on_terminal(150, "events", "--db", db.path)[1]
    assert "\x1b" not in on_terminal(60, "events", "--db", db.path, NO_COLOR="1")[1]
    assert "\x1b" not in on_terminal(60, "events", "--db", db.path, "--json")[1]


def test_a_narrow_terminal_shows_few_columns_that_can_be_read(tmp_path: Path) -> None:
    path = tmp_path / "long.db"
    with knocker.open(str(path)) as webhooks:
        webhooks.add_endpoint(name="billing.internal", path="/b", provider=None)
        webhooks.ingest(
            endpoint="billing.internal",
            event_type="invoice.created",
            provider_event_id="evt_" + "1" * 30,
            body=b"{}",
            signature_valid=False,
            signature_error="stripe-signature: no signature matches",
        )

    def shown(columns: int, *command: str) -> list[str]:
        return on_terminal(columns, *command, "--db", path, NO_COLOR="1")[1].splitlines()

    assert "stripe-signature: no signature matches  evt_" in shown(200, "deliveries")[1]
    assert "  stripe-signature: no signature" in shown(110, "deliveries")[1]
    heading, row = shown(80, "deliveries")
    assert "why not" in heading and "provider's id" not in heading
    assert "  billing.internal  " in row and "  stripe-signature" in row and len(row) <= 80
    assert max(map(len, shown(45, "deliveries"))) > 45, "what must be seen is shown, however narrow it is"
    assert max(map(len, shown(72, "deliveries"))) <= 72


def test_why_is_a_sentence_and_fields(db: Filled) -> None:
    assert "no such topic" in text("why", db.ids["dead"], "--db", db.path)
    why = objects("why", db.ids["dead"], "--db", db.path)[0]
    assert (why["event_id"], why["status"], why["cause"]) == (db.ids["dead"], "dead", "dead")
    assert why["sentence"]


def test_stats_count_by_endpoint_and_in_all(db: Filled) -> None:
    rows = {row["endpoint"]: row for row in objects("stats", "--db", db.path)}
    assert (rows[None]["queued"], rows[None]["handled"], rows[None]["dead"], rows[None]["orphans"]) == (
        2,
        1,
        1,
        1,
    )
    assert (rows["shop"]["queued"], rows["shop"]["orphans"], rows["forum"]["dead"]) == (1, 1, 1)


def test_the_database_may_be_named_by_the_environment(db: Filled) -> None:
    assert len(objects("events", KNOCKER_DB=str(db.path))) == 4


def test_replay_queues_a_handled_event_and_is_refused_from_received(db: Filled) -> None:
    id = db.ids["handled"]
    assert f"event {id} is queued again" in text("replay", id, "--db", db.path)
    assert objects("event", id, "--db", db.path)[0]["status"] == "received"
    assert "received" in complaint("replay", id, "--db", db.path, code=1)


def test_ignore_and_requeue_move_an_event(db: Filled) -> None:
    id = db.ids["dead"]
    assert objects("ignore", id, "--reason", "a test", "--db", db.path)[0]["status"] == "ignored"
    assert "a test" in text("why", id, "--db", db.path)
    assert objects("requeue", id, "--db", db.path)[0]["status"] == "received"


def test_providers_are_listed_with_their_versions() -> None:
    found = {provider["name"]: provider for provider in objects("providers")}
    assert {"stripe", "github", "shopify", "slack", "standard-webhooks"} <= set(found)
    assert found["stripe"]["has_replay_window"] is True
    assert isinstance(found["stripe"]["options"], dict)
    assert found["stripe"]["curated"] is True and found["hubspot-v1"]["curated"] is False


def test_providers_are_picked_by_a_word_of_their_name_title_or_kind() -> None:
    everyone = [provider["name"] for provider in objects("providers")]
    assert [provider["name"] for provider in objects("providers", "HubSpot, sig")] == ["hubspot-v1", "hubspot-v2"]
    tokens = [provider["name"] for provider in objects("providers", "TOKEN")]
    assert "gitlab" in tokens and "token-header" in tokens and "stripe" not in tokens and set(tokens) < set(everyone)
    assert "stripe" in text("providers", "stripe") and "github" not in text("providers", "stripe")
    assert objects("providers", "nobody-is-called-so") == []
