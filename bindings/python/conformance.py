"""The Python door of the conformance suite: the public API of `knocker`, and nothing else."""

from __future__ import annotations

import dataclasses
import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "conformance"))
import play

import knocker

Words = dict[str, Any]
Rows = list[Words]


@contextmanager
def told() -> Iterator[None]:
    """An error of the face as the suite names it."""
    try:
        yield
    except knocker.Error as error:
        raise play.DoorError(error.name, str(error)) from error


def row(of: Any) -> Words:
    """A row's fields that people see."""
    names = (field.name for field in dataclasses.fields(of))
    return {name: getattr(of, name) for name in names if not name.startswith("_")}


def answer(of: Any) -> Words:
    """A result's fields; the suite has the names of its headers in lower case."""
    found = row(of)
    return found | {"response_headers": lowered(found["response_headers"])}


def lowered(headers: dict[str, str]) -> dict[str, str]:
    return {name.lower(): value for name, value in headers.items()}


def renamed(words: Words) -> Words:
    """The suite's words for a provider as the face has them."""
    renames = {"options": "provider_options"}
    return {renames.get(word, word): value for word, value in words.items()}


def request(words: Words) -> Words:
    """The arguments of a receive.

    A verdict is an object here, and a scheme stands for its provider.
    """
    found = renamed(words)
    if "scheme" in found:
        found["provider"] = found.pop("scheme")
    if verdict := found.pop("verdict", None):
        ids = {
            name: value
            for name, value in verdict.items()
            if name not in ("valid", "error")
        }
        result = knocker.ProviderResult
        made = (
            result.accept(**ids)
            if verdict["valid"]
            else result.reject(verdict["error"], **ids)
        )
        found["verdict"] = made
    return found


def pure(words: Words) -> Words:
    found = dict(words)
    if "scheme" in found:
        found["provider"] = found.pop("scheme")
    return found


class Tx(play.Tx):
    def __init__(self, event: knocker.Event, tx: knocker.Tx) -> None:
        self._event = event
        self._tx = tx

    def event(self) -> Words:
        return row(self._event)

    def sql(self, text: str, values: list[Any]) -> Rows:
        with told():
            if play.QUERY.search(text):
                return self._tx.query(text, values)
            self._tx.execute(text, values)
            return []

    def receive(self, words: Words) -> Words:
        with told():
            return answer(self._tx.receive(**request(words)))

    def ingest(self, words: Words) -> Words:
        with told():
            return answer(self._tx.ingest(**words))

    def extend(self, seconds: int) -> None:
        with told():
            self._event.extend(seconds)


class Door(play.Door):
    def __init__(self, path: str) -> None:
        super().__init__(path)
        self.inboxes: dict[str, knocker.Inbox] = {}

    def clock(self) -> None:
        for inbox in self.inboxes.values():
            try:
                inbox.set_clock(self.now_s)
            except knocker.Closed:
                pass

    def end(self) -> None:
        for inbox in self.inboxes.values():
            inbox.close()
        super().end()

    def open(self, on: str, options: Words) -> None:
        with told():
            self.inboxes[on] = knocker.open(self.path, clock=self.now_s, **options)

    def close(self, on: str) -> None:
        with told():
            self.inboxes[on].close()

    def endpoint(self, on: str, words: Words) -> None:
        with told():
            self.inboxes[on].add_endpoint(**renamed(words))

    def receive(self, on: str, words: Words) -> Words:
        with told():
            return answer(self.inboxes[on].receive(**request(words)))

    def receive_many(self, on: str, many: list[Words]) -> Rows:
        with told():
            requests: list[Any] = [request(words) for words in many]
            results = self.inboxes[on].receive_many(requests)
        return [
            {"fails": one.name} if isinstance(one, knocker.Error) else answer(one)
            for one in results
        ]

    def ingest(self, on: str, words: Words) -> Words:
        with told():
            return answer(self.inboxes[on].ingest(**words))

    def handle(
        self, on: str, endpoint: str, event_type: str | None, script: play.Script
    ) -> None:
        def handler(event: knocker.Event, tx: knocker.Tx) -> None:
            ending = script(Tx(event, tx)) or {}
            if "raise" in ending:
                raise RuntimeError(ending["raise"])
            if "retry_after" in ending:
                raise knocker.RetryAfter(
                    ending["retry_after"], ending.get("reason", "")
                )
            if "ignore" in ending:
                raise knocker.Ignore(ending["ignore"])
            if "dead" in ending:
                raise knocker.Dead(ending["dead"])

        with told():
            self.inboxes[on].handle(endpoint, event_type)(handler)

    def work(self, on: str, words: Words) -> list[int]:
        with told():
            return self.inboxes[on].drain(
                words["worker_id"], max_jobs=words["max"], queues=words.get("queues")
            )

    def get(self, on: str, kind: str, row_id: int) -> Words:
        with told():
            inbox = self.inboxes[on]
            return row(
                inbox.get_event(row_id)
                if kind == "event"
                else inbox.get_delivery(row_id)
            )

    def list(self, on: str, kind: str, filter: Words) -> Rows:
        inbox = self.inboxes[on]
        lists = {
            "events": inbox.list_events,
            "deliveries": inbox.list_deliveries,
            "attempts": inbox.list_attempts,
            "audits": inbox.list_prune_audits,
            "jobs": inbox.list_jobs,
        }
        with told():
            return [row(one) for one in lists[kind](**filter)]  # type: ignore[operator]

    def act(self, on: str, verb: str, target: Any) -> None:
        inbox = self.inboxes[on]
        acts = {
            "ignore": inbox.ignore,
            "replay": inbox.replay,
            "requeue": inbox.requeue,
            "replay_delivery": inbox.replay_delivery,
            "pause": inbox.pause,
            "resume": inbox.resume,
        }
        with told():
            acts[verb](target)  # type: ignore[operator]

    def reverify(self, on: str, words: Words) -> Rows:
        found = dict(words)
        if "scheme" in found:
            found["provider"] = found.pop("scheme")
        if "options" in found:
            found["provider_options"] = found.pop("options")
        with told():
            return [row(one) for one in self.inboxes[on].reverify(**found)]

    def why(self, on: str, event_id: int) -> Words:
        with told():
            return row(self.inboxes[on].why(event_id))

    def stats(self, on: str) -> Rows:
        with told():
            return [row(one) for one in self.inboxes[on].stats()]

    def prune(self, on: str, kind: str, words: Words) -> Words:
        inbox = self.inboxes[on]
        with told():
            if kind == "events":
                return row(inbox.prune_events(**words))
            return row(inbox.prune_orphan_deliveries(**words))

    def verify(self, on: str, words: Words) -> Words:
        with told():
            return answer(knocker.verify(now=self.now_s, **pure(words)))

    def diagnose(self, on: str, words: Words) -> Rows:
        found = pure(words)
        with told():
            if "delivery" not in found:
                causes = knocker.diagnose(now=self.now_s, **found)
            else:
                number = found.pop("delivery")
                causes = self.inboxes[on].diagnose(number, **renamed(found))
        return [row(cause) for cause in causes]

    def sign(self, on: str, words: Words) -> Words:
        found = pure(words)
        with told():
            return knocker.sign(now=self.now_s, secrets=[found.pop("secret")], **found)


if __name__ == "__main__":
    logging.getLogger("knocker").disabled = True  # handlers fail on purpose
    sys.exit(play.main("python", Door, sys.argv[1:]))
