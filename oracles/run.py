"""The senders' own SDKs judge us: what we sign they accept, what they sign we accept, what is tampered with both refuse.

Usage: run.py [--only WORD] [--page FILE]. It installs the SDKs outside the repository, asks each through its adapter, and
fails when a verdict differs from ours without standing in differences.json, or stands there and does not differ. --page
writes the figures and the differences into a page, below its marker. What a request must look like stands in subjects.json.
"""

import argparse
import base64
import datetime
import hashlib
import json
import os
import re
import secrets
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import knocker
from emulated import emulate

HERE = Path(__file__).resolve().parent
CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "knocker" / "oracles"
REGISTRY = {"node": "npm", "python": "PyPI"}
MARKER = "<!-- below: written by ./run oracles --page -->\n"
EMULATED, FORGED = "emulated", "emulated and forged"
BASE64 = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"

Headers = dict[str, str]
Subject = dict[str, Any]


class Check(NamedTuple):
    """A request as it arrives, the secret that the receiver holds, and what our rules say of it."""

    name: str
    headers: Headers
    body: bytes
    secret: str
    accepted: bool
    url: str = ""  # where it says no other, the subject's, for this body


class Difference(NamedTuple):
    sdk: str
    check: str
    ours: bool
    theirs: bool
    said: str

    def __str__(self) -> str:
        ours, theirs = (("accept" if x else "refuse") for x in (self.ours, self.theirs))
        return f"{self.sdk}: {self.check}: we {ours}, the SDK would {theirs} ({self.said})"


class Result(NamedTuple):
    subject: Subject
    version: str
    checks: int
    deliberate: int
    emulated: dict[str, int]  # of the emulator's requests, how many both accepted, and how many both refused
    found: list[Difference]


class Host:
    """The process in which the adapters of one language run."""

    def __init__(self, command: list[str], folder: Path) -> None:
        self.process = subprocess.Popen(
            command, cwd=folder, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
        )

    def ask(self, call: str, subject: Subject, **members: Any) -> dict[str, Any]:
        adapter = subject["adapter"].split("/")[1]
        question = {"call": call, "adapter": adapter, "package": subject["package"], **members}
        assert self.process.stdin and self.process.stdout
        print(json.dumps(question), file=self.process.stdin, flush=True)
        line = self.process.stdout.readline()
        reply: dict[str, Any] = json.loads(line) if line else {"failed": "its host ended"}
        if "failed" in reply:
            raise SystemExit(f"oracle: {subject['adapter']} cannot be asked: {reply['failed']}")
        return reply

    def close(self) -> None:
        assert self.process.stdin
        self.process.stdin.close()
        self.process.wait(timeout=30)


# ---- installing ----


def install(language: str, manifest: Path, folder: Path, commands: list[list[str]]) -> None:
    """Runs the commands in an empty folder, unless the same manifest was installed there before."""
    stamp, wanted = folder / "stamp", hashlib.sha256(manifest.read_bytes()).hexdigest()
    if stamp.exists() and stamp.read_text() == wanted:
        return
    print(f"== installing {manifest.name} from {REGISTRY[language]} into {folder}", flush=True)
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    shutil.copy(manifest, folder)
    for command in commands:
        print(f"   {' '.join(command)}", flush=True)
        done = subprocess.run(command, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        if done.returncode:
            raise SystemExit(f"{done.stdout[-4000:]}\noracle: failed: {' '.join(command)}")
    stamp.write_text(wanted)


def node_host() -> Host:
    """The adapters stand beside the packages, where Node looks for what they import."""
    folder = CACHE / "node"
    if not shutil.which("npm"):
        raise SystemExit("oracle: there is no npm; install Node.js 20 or later")
    npm = ["npm", "install", "--ignore-scripts", "--no-audit", "--no-fund", "--no-package-lock"]
    install("node", HERE / "package.json", folder, [npm])
    for adapter in (HERE / "node").glob("*.mjs"):
        shutil.copy(adapter, folder)
    return Host(["node", "host.mjs"], folder)


def python_host() -> Host:
    folder = CACHE / "python"
    pip = ["venv/bin/pip", "install", "--quiet", "--disable-pip-version-check", "--requirement", "requirements.txt"]
    install("python", HERE / "requirements.txt", folder, [[sys.executable, "-m", "venv", "venv"], pip])
    shutil.copytree(HERE / "python", folder / "adapters", dirs_exist_ok=True)
    shutil.copy(HERE / "python" / "host.py", folder)
    return Host(["venv/bin/python", "-B", "host.py"], folder)


HOSTS = {"node": node_host, "python": python_host}

# ---- secrets: new ones for every run; a pair is what the sender signs with and what the receiver holds ----


def openssl(*arguments: str, given: bytes = b"") -> bytes:
    return subprocess.run(["openssl", *arguments], input=given, stdout=subprocess.PIPE, check=True).stdout


def key_pair(kind: str) -> tuple[str, str]:
    if kind == "ed25519-hex":
        private = openssl("genpkey", "-algorithm", "ed25519")
        public = openssl("pkey", "-pubout", "-outform", "DER", given=private)[-32:].hex()
    else:
        private = openssl("genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256")
        public = base64.b64encode(openssl("pkey", "-pubout", "-outform", "DER", given=private)).decode()
    return private.decode(), public


def secret_pair(subject: Subject) -> tuple[str, str]:
    kind, prefix = subject["secret"], subject.get("secret_prefix", "")
    if kind in ("ed25519-hex", "p256-spki"):
        return key_pair(kind)
    drawn = secrets.token_bytes(32)
    text = base64.b64encode(drawn).decode() if kind == "base64" else drawn.hex()
    return prefix + text, prefix + text


# ---- requests ----


def body_at(text: str, now: int) -> bytes:
    """A body of subjects.json; some senders put the time of the attempt into it."""
    return text.replace("{now_ms}", str(now * 1000)).replace("{now_s}", str(now)).encode()


def url_of(subject: Subject, body: bytes) -> str:
    """Some senders put the body's hash into the URL."""
    url = subject.get("options", {}).get("url", "https://example.com/hooks")
    return str(url).replace("{body_sha256}", hashlib.sha256(body).hexdigest())


def of_request(subject: Subject, url: str) -> dict[str, Any]:
    """What sign and verify are told of a request beside its headers and body."""
    options = dict(subject.get("options", {}))
    if "url" in options:
        options["url"] = url
    return {"method": subject.get("method", "POST"), "query": url.partition("?")[2], "options": options or None}


def ours_signed(subject: Subject, secret: str, body: bytes, now: int, more: Headers | None = None) -> Headers:
    """The whole request's headers: those that the sender always sends, and those that we sign with."""
    sent: Headers = {**subject.get("headers", {}), **(more or {})}
    signed = knocker.sign(
        subject["provider"], secrets=[secret], body=body, headers=sent, now=float(now),
        **of_request(subject, url_of(subject, body)),
    )  # fmt: skip
    return {**sent, **{name.lower(): value for name, value in signed.items()}}


def ours_verified(subject: Subject, check: Check) -> tuple[bool, str]:
    said = knocker.verify(
        subject["provider"], secrets=[check.secret], body=check.body, headers=check.headers,
        **of_request(subject, check.url or url_of(subject, check.body)),
    )  # fmt: skip
    return said.valid is True, said.error or "valid"


def request_of(subject: Subject, headers: Headers, body: bytes, url: str = "") -> dict[str, Any]:
    return {
        "method": subject.get("method", "POST"),
        "url": url or url_of(subject, body),
        "headers": headers,
        "body": base64.b64encode(body).decode(),
    }


# ---- what is done to a request ----


def other_letter(letter: str) -> str:
    return "1" if letter != "1" else "2"


def changed(text: str, place: int) -> str:
    return text[:place] + other_letter(text[place]) + text[place + 1 :]


def body_changed(body: bytes) -> bytes:
    """One letter or digit of a value becomes another, so that a parser still reads it."""
    place = max(m.start() for m in re.finditer(rb"[0-9A-Za-z]", body))
    return body[:place] + other_letter(chr(body[place])).encode() + body[place + 1 :]


def later(headers: Headers, name: str) -> Headers:
    """The timestamp says a second more than what was signed."""
    value = re.sub(r"[0-9]{10,13}", lambda m: str(int(m[0]) + 1), headers[name], count=1)
    assert value != headers[name]
    return {**headers, name: value}


def loose(value: str) -> str:
    """Other base64 of the same bytes: the last letter's unused bits are set."""
    bare = value.rstrip("=")
    letters = BASE64[:-2] + ("-_" if "," in bare else "+/")
    return bare[:-1] + letters[letters.index(bare[-1]) + 1] + value[len(bare) :]


def upper(value: str) -> str:
    head, mark, digits = value.rpartition("=")
    return head + mark + digits.upper()


def forged(subject: Subject, headers: Headers, body: bytes, secret: str) -> Iterator[Check]:
    name = subject["signature"]
    held = secret_pair(subject)[1]
    kept, url = not subject.get("body_signed", True), url_of(subject, body)
    yield Check("the body is changed", headers, body_changed(body), secret, kept, url)
    yield Check("the signature is changed", {**headers, name: changed(headers[name], -8)}, body, secret, False)
    yield Check("the signature is cut", {**headers, name: headers[name][:-8]}, body, secret, False)
    yield Check("the signature is empty", {**headers, name: ""}, body, secret, False)
    yield Check("the signature is missing", {k: v for k, v in headers.items() if k != name}, body, secret, False)
    yield Check("another secret", headers, body, held, False)
    if "time" in subject:
        yield Check("the timestamp is changed", later(headers, subject["time"]), body, secret, False)


def at_another_time(subject: Subject, sender: str, receiver: str, now: int) -> Iterator[Check]:
    """Correctly signed, but long ago, or in the future."""
    text = next(iter(subject["bodies"].values()))
    for name, at in (("too old", now - 100_000), ("from the future", now + 100_000)):
        body = body_at(text, at)
        yield Check(name, ours_signed(subject, sender, body, at), body, receiver, False)


def unusual(subject: Subject, sender: str, receiver: str, now: int) -> Iterator[Check]:
    """What our rules say of requests on which receivers disagree."""
    name, encoding = subject["signature"], subject.get("encoding")
    text = next(iter(subject["bodies"].values()))
    body = body_at(text, now)
    headers = ours_signed(subject, sender, body, now)
    if encoding == "hex":
        yield Check("upper-case hex", {**headers, name: upper(headers[name])}, body, receiver, True)
    if encoding == "base64":
        yield Check("loose base64", {**headers, name: loose(headers[name])}, body, receiver, False)
    if "any_body" in subject:
        spaced = body.replace(b",", b" , ")
        yield Check("blanks in the JSON", ours_signed(subject, sender, spaced, now), spaced, receiver, True)
        yield Check("an empty body", ours_signed(subject, sender, b"", now), b"", receiver, True)
        latin = body[:-2] + b"\xe9" + body[-2:]
        yield Check("a body that is not UTF-8", ours_signed(subject, sender, latin, now), latin, receiver, True)


def several(subject: Subject, sender: str, receiver: str, now: int) -> Iterator[Check]:
    """While a secret is replaced, a sender signs with the old one and with the new one."""
    name, mark = subject["signature"], subject["several"]
    body = body_at(next(iter(subject["bodies"].values())), now)
    right = ours_signed(subject, sender, body, now)
    same = {name: value for name, value in right.items() if name != subject["signature"]}
    wrong, other = (ours_signed(subject, secret_pair(subject)[0], body, now, same) for _ in range(2))

    def both(first: Headers, second: Headers) -> Headers:
        parts = first[name].split(mark)
        return {**first, name: mark.join(parts + [p for p in second[name].split(mark) if p not in parts])}

    yield Check("two signatures, the first by our secret", both(right, wrong), body, receiver, True)
    yield Check("two signatures, the second by our secret", both(wrong, right), body, receiver, True)
    yield Check("two signatures, none by our secret", both(wrong, other), body, receiver, False)


def emulated(subject: Subject) -> Iterator[Check]:
    """What `knocker emulate` sends, as it arrived; and once more with each signature damaged."""
    sender, receiver = secret_pair(subject)
    target = "/hooks" + ("?" + url_of(subject, b"").partition("?")[2]).rstrip("?")
    given = {name: value for name, value in subject.get("options", {}).items() if name != "url"}
    flags = [*subject.get("emulate", []), *(w for name in given for w in ("--option", f"{name}={given[name]}"))]
    for kind, more, accepted, status in (
        (EMULATED, ["--count", "12", "--duplicates", "25%", "--reorder"], True, 204),
        (FORGED, ["--count", "12", "--forged", "100%"], False, 401),
    ):
        url, sent = emulate(subject["provider"], sender, target, [*flags, *more], status)
        for one in sent:
            yield Check(kind, one.headers, one.body, receiver, accepted, url.removesuffix(target) + one.target)


def in_body(subject: Subject, host: Host) -> Iterator[Check]:
    """Where the signature stands in the body the SDK has to sign. The patterns' groups say what is changed."""
    sender, receiver = secret_pair(subject)
    headers: Headers = dict(subject.get("headers", {}))
    for kind, text in subject["bodies"].items():
        given = request_of(subject, headers, text.encode())
        body: str = host.ask("sign", subject, request=given, secret=sender, now=int(time.time()))["signed"]
        yield Check(f"the SDK signs, {kind}", headers, body.encode(), receiver, True)
        for what, pattern in subject["in_body"].items():
            match = re.search(pattern, body)
            assert match, pattern
            yield Check(f"{what} is changed, {kind}", headers, changed(body, match.start(1)).encode(), receiver, False)
            cut = body[: match.start(1)] + body[match.end(1) :]
            yield Check(f"{what} is missing, {kind}", headers, cut.encode(), receiver, False)
        yield Check(f"another secret, {kind}", headers, body.encode(), secret_pair(subject)[1], False)


def checks_of(subject: Subject, host: Host, signs: bool) -> Iterator[Check]:
    sender, receiver = secret_pair(subject)
    for kind, text in subject["bodies"].items():
        now = int(time.time())
        body = body_at(text, now)
        headers = ours_signed(subject, sender, body, now)
        yield Check(f"we sign, {kind}", headers, body, receiver, True)
        if signs:
            given = request_of(subject, dict(subject.get("headers", {})), body)
            theirs: Headers = host.ask("sign", subject, request=given, secret=sender, now=now)["signed"]
            yield Check(f"the SDK signs, {kind}", {**given["headers"], **theirs}, body, receiver, True)
        for check in forged(subject, headers, body, receiver):
            yield check._replace(name=f"{check.name}, {kind}")
    if subject.get("window"):
        yield from at_another_time(subject, sender, receiver, int(time.time()))
    if "several" in subject:
        yield from several(subject, sender, receiver, int(time.time()))
    yield from unusual(subject, sender, receiver, int(time.time()))


def all_checks(subject: Subject, host: Host, signs: bool) -> Iterator[Check]:
    yield from in_body(subject, host) if "in_body" in subject else checks_of(subject, host, signs)
    if subject.get("emulate") is not False:
        yield from emulated(subject)


# ---- judging ----


def judge(subject: Subject, host: Host, table: list[dict[str, Any]]) -> Result:
    about = host.ask("about", subject)
    count, deliberate, found = 0, 0, []
    agreed = {EMULATED: 0, FORGED: 0}
    expected = {row["check"]: row for row in table if subject["adapter"] in row["sdks"]}
    for check in all_checks(subject, host, about["signs"]):
        count += 1
        ours, error = ours_verified(subject, check)
        request = request_of(subject, check.headers, check.body, check.url)
        reply = host.ask("verify", subject, request=request, secret=check.secret)
        row = expected.pop(check.name, None)
        said = f"ours: {error}; theirs: {reply['reason']}"
        if row is not None and ours == check.accepted and reply["accepted"] != ours:
            deliberate += 1
        elif row is not None or ours != check.accepted or reply["accepted"] != ours:
            found.append(Difference(subject["adapter"], check.name, ours, reply["accepted"], said))
        elif check.name in agreed:
            agreed[check.name] += 1
    for name in expected:
        found.append(Difference(subject["adapter"], name, False, False, "in the table, but no check has this name"))
    return Result(subject, about["version"], count, deliberate, agreed, found)


def line_of(result: Result) -> str:
    language, name = result.subject["adapter"].split("/")
    package = f"{REGISTRY[language]} {result.subject['package']} {result.version}"
    tail = f", {result.deliberate} on purpose" if result.deliberate else ""
    emulator = f"{result.emulated[EMULATED]}+{result.emulated[FORGED]} of the emulator"
    return f"oracle: {name} ({package}): {result.checks} checks, {emulator}, {len(result.found)} differences{tail}"


def sums(results: list[Result]) -> tuple[int, int, int, int, int]:
    """Of all: checks, what was emulated, what was emulated and forged, differences, and those on purpose."""
    figures = ((r.checks, *r.emulated.values(), len(r.found), r.deliberate) for r in results)
    checks, right, forgeries, found, deliberate = (sum(x) for x in zip(*figures))
    return checks, right, forgeries, found, deliberate


def page_text(results: list[Result], table: list[dict[str, Any]]) -> str:
    """The figures and the table of differences, as they stand in the documentation."""
    today = datetime.datetime.now(datetime.timezone.utc).date()
    lines = [f"## The last figures, of {today}", ""]
    lines.append("| SDK | our provider | signs | checks | emulated: accepted | forged: refused | differences | on purpose |")
    lines.append("|---|---|---|---|---|---|---|---|")
    for r in results:
        language = REGISTRY[r.subject["adapter"].split("/")[0]]
        sdk = f"{r.subject['package']} {r.version} ({language})"
        signs = "the SDK" if "in_body" in r.subject else "both" if r.subject["signs"] else "we"
        emulator = " | ".join(str(count or "") for count in r.emulated.values())
        lines.append(
            f"| {sdk} | {r.subject['provider']} | {signs} | {r.checks} | {emulator} | {len(r.found)} | {r.deliberate or ''} |"
        )
    checks, right, forgeries, found, deliberate = sums(results)
    lines.append(f"| {len(results)} adapters | | | {checks} | {right} | {forgeries} | {found} | {deliberate} |")
    lines += ["", "## Where we differ on purpose", "", "| request | we | the SDK | which SDKs | why |", "|---|---|---|---|---|"]
    for row in table:
        sdks = ", ".join(row["sdks"])
        lines.append(f"| {row['check']} | {row['ours']} | {row['theirs']} | {sdks} | {row['reason']} |")
    return "\n".join(lines) + "\n"


def write_page(path: Path, results: list[Result], table: list[dict[str, Any]]) -> None:
    head, marker, _ = path.read_text().partition(MARKER)
    if not marker:
        raise SystemExit(f"oracle: {path} has no line {MARKER.strip()!r}")
    path.write_text(head + MARKER + "\n" + page_text(results, table))


def subjects_of(only: str) -> list[Subject]:
    told = json.loads((HERE / "subjects.json").read_text())
    for subject in told["subjects"]:
        subject["bodies"] = {name: told["bodies"][name] for name in subject["bodies"]}
    chosen = [s for s in told["subjects"] if only in s["adapter"]]
    if not chosen:
        raise SystemExit(f"oracle: no adapter has {only!r} in its name")
    return chosen


def main() -> int:
    parser = argparse.ArgumentParser(prog="./run oracles", allow_abbrev=False)
    parser.add_argument("--only", default="", metavar="WORD", help="the adapters with this in their names")
    parser.add_argument("--page", type=Path, metavar="FILE", help="write the figures into this page")
    told = parser.parse_args()
    if told.page and told.only:
        parser.error("--page wants all of them, not --only")
    subjects = subjects_of(told.only)
    table = json.loads((HERE / "differences.json").read_text())
    languages = sorted({s["adapter"].split("/")[0] for s in subjects})
    hosts = {language: HOSTS[language]() for language in languages}
    results = []
    for subject in subjects:
        host = hosts[subject["adapter"].split("/")[0]]
        subject["signs"] = host.ask("about", subject)["signs"]
        results.append(judge(subject, host, table))
        print(line_of(results[-1]), flush=True)
        for difference in results[-1].found:
            print(f"  {difference}", flush=True)
    for host in hosts.values():
        host.close()
    if told.page:
        write_page(told.page, results, table)
    checks, right, forgeries, found, deliberate = sums(results)
    print(f"emulator: {right} requests accepted by the SDKs and by us, {forgeries} forgeries refused by both")
    print(f"oracles: {len(results)} adapters, {checks} checks, {found} differences, {deliberate} on purpose")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
