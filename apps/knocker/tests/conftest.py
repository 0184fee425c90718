"""The database that the tests look at, made anew for each test."""

from __future__ import annotations

from pathlib import Path

import pytest
import shell


class Filled:
    """A database and the ids in it, by name."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.ids = shell.fill(path)


@pytest.fixture
def db(tmp_path: Path) -> Filled:
    return Filled(tmp_path / "shop.db")
