"""The scheduled pruning: what a policy says, and the loop that asks for it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from . import _native
from .errors import InvalidArgument
from .requests import texts_json

NAP_S = 1  # a sleeper looks at the clock so often, for it may be set
AGES = ("event_older_than_s", "orphan_deliveries_older_than_s")
NUMBERS = ("interval_s", *AGES, "event_limit", "orphan_deliveries_limit")


@dataclass(frozen=True, slots=True)
class RetentionPolicy:
    """What `run_retention` prunes, and how often. What has no age is not pruned."""

    interval_s: int
    event_statuses: Sequence[str] = ("handled", "ignored")
    event_older_than_s: int | None = None
    event_limit: int | None = None
    orphan_deliveries_older_than_s: int | None = None
    orphan_deliveries_limit: int | None = None

    def __post_init__(self) -> None:
        for name in NUMBERS:
            value = getattr(self, name)
            if value is None and name != "interval_s":
                continue
            if isinstance(value, bool) or not isinstance(value, int) or value < 1:
                raise InvalidArgument(f"{name} is {value!r}, not a number from 1 up")
        if all(getattr(self, name) is None for name in AGES):
            raise InvalidArgument(
                f"the policy prunes nothing: give {' or '.join(AGES)}"
            )
        texts_json("event_statuses", self.event_statuses)
        for status in self.event_statuses:
            if status not in ("handled", "ignored"):
                raise InvalidArgument(
                    f"event_statuses: {status!r} cannot be pruned, handled and ignored can"
                )
        if not self.event_statuses:
            raise InvalidArgument("event_statuses is empty")

    def members(self) -> dict[str, Any]:
        return {
            "interval_s": self.interval_s,
            "statuses_json": texts_json("event_statuses", self.event_statuses),
            "event_older_than_s": self.event_older_than_s or 0,
            "event_limit": self.event_limit or 0,
            "orphans_older_than_s": self.orphan_deliveries_older_than_s or 0,
            "orphans_limit": self.orphan_deliveries_limit or 0,
        }


async def run(
    handle: _native.Handle,
    now: Callable[[], float],
    policy: RetentionPolicy,
    stop: asyncio.Event,
) -> None:
    if not isinstance(policy, RetentionPolicy):
        raise InvalidArgument(
            f"policy must be a RetentionPolicy, not {type(policy).__name__}"
        )
    members = policy.members()
    while not stop.is_set():
        (row,) = await asyncio.to_thread(_native.knocker_retain, handle, members)
        while not stop.is_set() and (left := row["next_at"] - now()) > 0:
            with suppress(asyncio.TimeoutError):
                await asyncio.wait_for(stop.wait(), min(max(left, 0.01), NAP_S))
