"""The man page and the completions against the table of commands itself, as `knocker help --json` prints it."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
from conftest import Filled
from shell import KNOCKER, ROOT, environ, objects

APP = ROOT / "apps" / "knocker"
PAGE = APP / "knocker.1"
TABLE: dict[str, dict[str, Any]] = {command["name"]: command for command in objects("help")}
COMMON = {"db", "json", "help"}


def options(name: str) -> set[str]:
    return {option["name"] for option in TABLE[name]["options"]}


def test_the_table_is_whole() -> None:
    assert len(TABLE) == 25 and {"help", "json"} <= options("doctor")
    assert [command["name"] for command in objects("help", "doctor")] == ["doctor"]


# ---- the man page ----


def test_the_page_renders_without_a_warning() -> None:
    if shutil.which("groff") is None:
        pytest.fail("groff is needed: apt-get install groff-base")
    done = subprocess.run(["groff", "-mdoc", "-Tutf8", "-ww", PAGE], capture_output=True, timeout=60)
    assert (done.returncode, done.stderr) == (0, b"")
    plain = re.sub(r".\x08|\x1b\[[0-9;]*m", "", done.stdout.decode())  # bold, as older and newer groff write it
    assert "EXIT STATUS" in plain and "knocker command [word] [option ...]" in plain


def items(section: str) -> dict[str, str]:
    """The tagged items of a part of the page, by the command or option that opens each."""
    found = {}
    for item in section.split("\n.It ")[1:]:
        opening = re.match(r"(?:Xo\n\.Ic |Fl -)([a-z-]+)", item)
        if opening:
            assert opening.group(1) not in found, opening.group(1)
            found[opening.group(1)] = item
    return found


def test_the_page_has_every_command_with_its_options_and_no_other() -> None:
    commands = items(PAGE.read_text().split(".Sh DESCRIPTION")[1].split(".Sh MANY EVENTS")[0])
    assert set(commands) == set(TABLE)
    for name, item in commands.items():
        heading, explained = item.split(".Xc\n")
        assert set(re.findall(r"^\.Op Fl -([a-z-]+)", heading, re.MULTILINE)) == options(name) - COMMON, name
        assert len(explained.strip()) > 20
        word = TABLE[name]["word"]
        assert word is None or all(part in heading for part in re.findall(r"\w+", word)), name


def test_the_page_explains_every_option_and_no_other() -> None:
    explained = items(PAGE.read_text().split(".Sh OPTIONS")[1].split(".Sh ENVIRONMENT")[0])
    assert set(explained) == set().union(*map(options, TABLE))
    without_file = {name for name in TABLE if "db" not in options(name)}
    said = set(re.findall(r"[a-z]+", re.search(r"^\.Ic (.*\nand\n\.Ic help)", explained["db"], re.M).group(1)))
    assert said - {"and", "c", "Ic", "I"} - {""} >= without_file
    assert all("json" in options(name) for name in TABLE)


def test_the_exit_codes_are_those_of_the_help() -> None:
    status = PAGE.read_text().split(".Sh EXIT STATUS")[1].split(".Sh EXAMPLES")[0]
    assert re.findall(r"^\.It (\d)", status, re.MULTILINE) == list("01234")


def test_the_examples_of_the_page_and_of_the_help_use_what_there_is() -> None:
    page = PAGE.read_text().replace("\\-", "-").split(".Sh EXAMPLES")[1]
    helps = [subprocess.run([KNOCKER, "help", name], capture_output=True).stdout.decode() for name in TABLE]
    lines = re.findall(r"^(?:  \$ )?knocker ([a-z-]+)(.*(?:\\e?\n.*)*)", "\n".join([page, *helps]), re.MULTILINE)
    assert len(lines) > 40
    for name, rest in lines:
        used = set(re.findall(r"(?<=\s)--([a-z-]+)", rest.split(" | ")[0]))
        assert used <= options(name), (name, used)


# ---- completion ----

BASH = """
source "$1"; shift
COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1))
_knocker
printf '%s\\n' "${COMPREPLY[@]}"
"""

# What zsh's completion system would be told, printed.
ZSH = """
file=$1; shift
compadd() { [[ $1 == -a ]] && print -rl -- ${(P)2} && return; [[ $1 == -- ]] && shift; print -rl -- "$@" }
_describe() { print -rl -- ${${(P)2}%%:*} }
_call_program() { shift; eval "$@" }
_files() { print FILES }
_parameters() { print VARIABLES }
_message() { }
words=("$@"); CURRENT=$#
source $file
"""


def complete(shell: str, *words: object) -> set[str]:
    """What a shell proposes for the last of these words."""
    if shutil.which(shell) is None:
        pytest.fail(f"{shell} is needed: apt-get install {shell}")
    script, file = (BASH, "knocker.bash") if shell == "bash" else (ZSH, "_knocker")
    start = ["bash", "--norc"] if shell == "bash" else ["zsh", "-f"]
    done = subprocess.run(
        [*start, "-c", script, shell, APP / "completions" / file, KNOCKER, *map(str, words)],
        capture_output=True,
        env=environ(),
        timeout=60,
    )
    assert done.stderr == b""
    return set(done.stdout.decode().split("\n")) - {""}


@pytest.mark.parametrize("shell", ["bash", "zsh"])
def test_every_command_is_proposed(shell: str) -> None:
    assert complete(shell, "") - {"--help", "--version"} == set(TABLE)
    assert complete(shell, "help", "") >= set(TABLE)


@pytest.mark.parametrize("shell", ["bash", "zsh"])
@pytest.mark.parametrize("name", TABLE)
def test_the_options_of_the_table_are_proposed_and_no_other(shell: str, name: str) -> None:
    proposed = complete(shell, name, "--")
    assert {word for word in proposed if word.startswith("--")} == {f"--{option}" for option in options(name)}


def test_bash_proposes_what_begins_like_the_word() -> None:
    assert complete("bash", "re") == {"replay", "replay-delivery", "requeue", "resume", "reverify"}
    assert complete("bash", "tail", "--i") == {"--invalid"}
    assert complete("bash", "events", "--status", "d") == {"dead"}


@pytest.mark.parametrize("shell", ["bash", "zsh"])
def test_values_are_proposed_where_they_are_known(shell: str, db: Filled) -> None:
    assert complete(shell, "events", "--status", "") >= {"received", "handled", "dead"}
    assert complete(shell, "prune", "") >= {"events", "orphans"}
    assert complete(shell, "sign", "--provider", "") >= {"stripe", "github"}
    assert complete(shell, "emulate", "") >= {"stripe", "github"}
    assert complete(shell, "events", "--db", db.path, "--endpoint", "") == {"shop", "forum"}
    assert complete(shell, "pause", "--db", db.path, "") >= {"shop", "forum"}
    assert complete(shell, "audits", "--kind", "") == {"prune_events", "prune_orphan_deliveries"}
    assert complete(shell, "events", "--limit", "") == set()


def test_every_option_that_takes_a_file_or_a_variable_proposes_some() -> None:
    for option in ("--scheme", "--secret-file", "--body"):
        assert complete("zsh", "sign", option, "") == {"FILES"}
    assert complete("zsh", "sign", "--secret-env", "") == {"VARIABLES"}
    assert complete("bash", "sign", "--body", str(APP / "knocker.")) == {str(APP / "knocker.1")}
    assert "PATH" in complete("bash", "sign", "--secret-env", "PA")
    assert complete("bash", "events", "--db", Path("/no/such/")) == set()
