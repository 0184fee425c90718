"""Runs each fuzz target for a while, tells how it goes, and where an input stands that it fell over.

Usage: fuzz.py --programs FOLDER --corpus FOLDER --seconds N [--only TARGET]. Ends with 1 when a target crashed.
FOLDER/TARGET of the corpus grows by what reaches new code; the next run goes on from there.
"""

import argparse
import re
import subprocess
import sys
import time
from pathlib import Path

KEPT = Path(__file__).resolve().parent / "corpus"
LENGTH_MAX = 16384  # no bound of ours is reached by longer ones that shorter ones do not reach
HANG_S = 20
MEMORY_MB = 2048
TELL_S = 10

COUNT = re.compile(r"^#(\d+)\s.*?cov: (\d+).*?corp: (\d+)")
DONE = re.compile(r"^Done (\d+) runs")


def command(target: str, options: argparse.Namespace) -> list[str]:
    found = options.corpus / "found"
    found.mkdir(parents=True, exist_ok=True)
    grown = options.corpus / target
    grown.mkdir(parents=True, exist_ok=True)
    given = [grown, *([KEPT / target] if (KEPT / target).is_dir() else [])]
    return [
        str(options.programs / f"fuzz_{target}"),
        f"-max_total_time={options.seconds}",
        f"-max_len={LENGTH_MAX}",
        f"-timeout={HANG_S}",
        f"-rss_limit_mb={MEMORY_MB}",
        f"-dict={options.corpus / (target + '.dict')}",
        f"-artifact_prefix={found / target}-",
        *map(str, given),
    ]


def fuzz(target: str, options: argparse.Namespace) -> bool:
    """True: nothing was found."""
    began = told = time.monotonic()
    runs, said = 0, []
    with subprocess.Popen(command(target, options), stderr=subprocess.PIPE, text=True, errors="replace") as process:
        assert process.stderr
        for line in process.stderr:
            said = [*said[-200:], line]
            if count := COUNT.match(line):
                runs = int(count[1])
                if time.monotonic() - told >= TELL_S:
                    told = time.monotonic()
                    print(f"  {target}: {told - began:.0f} of {options.seconds} s, {runs} runs, {count[2]} edges, "
                          f"{count[3]} inputs", flush=True)  # fmt: skip
            elif done := DONE.match(line):
                runs = int(done[1])
    good = process.returncode == 0 and runs > 0
    if not good:
        sys.stdout.writelines(said)
    print(f"fuzz: {target}: {runs} runs, {0 if good else 1} crashes", flush=True)
    return good


def main() -> None:
    parser = argparse.ArgumentParser(description="Fuzzes the parts that read what strangers send.")
    parser.add_argument("--seconds", type=int, default=60, help="for each target")
    parser.add_argument("--only", help="this target")
    parser.add_argument("--programs", type=Path, required=True, help=argparse.SUPPRESS)
    parser.add_argument("--corpus", type=Path, required=True, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.seconds < 1:
        parser.error(f"--seconds is {options.seconds} and must be 1 or more")
    targets = sorted(p.stem.removeprefix("fuzz_") for p in KEPT.parent.glob("fuzz_*.c"))
    if options.only and options.only not in targets:
        parser.error(f"there is no target '{options.only}', but {', '.join(targets)}")
    good = [fuzz(target, options) for target in targets if options.only in (None, target)]
    sys.exit(not all(good))


if __name__ == "__main__":
    main()
