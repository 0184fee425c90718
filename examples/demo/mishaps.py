"""What goes wrong in the demo. A worker of yours has no such file: its mishaps come by themselves."""

import os
import time
from pathlib import Path
from typing import Any

import knocker


def fail_twice(event: knocker.Event, invoice: dict[str, Any]) -> None:
    """Fails at the first two attempts, after the handler has written: its row must be gone with it."""
    if invoice.get("mishap") == "fail twice" and event.attempt_count < 2:
        raise RuntimeError("the bank does not answer")


def take_too_long_once(invoice: dict[str, Any]) -> None:
    """Says through a file that a handler is inside, and stays there until somebody kills the process."""
    if invoice.get("mishap") == "killed":
        inside = Path(os.environ["DEMO_INSIDE"])
        if not inside.exists():
            inside.touch()
            time.sleep(60)
