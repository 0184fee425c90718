"""The package as people install it: its types, its version, and a README that runs."""

from __future__ import annotations

import re
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import knocker

HERE = Path(__file__).resolve().parents[1]
BLOCK = re.compile(r"^```python\n(.*?)^```$", re.DOTALL | re.MULTILINE)


def test_the_readme_runs(tmp_path: Path) -> None:
    blocks = BLOCK.findall((HERE / "README.md").read_text())
    assert len(blocks) > 3
    program = "\n".join([*blocks, "assert greeted == ['Ada', 'Ada']"])
    subprocess.run([sys.executable, "-c", program], cwd=tmp_path, check=True)


def test_the_package_has_the_cores_version() -> None:
    assert knocker.__version__ == version("knocker")


def test_the_installed_package_is_typed() -> None:
    folder = Path(knocker.__file__).parent
    assert (folder / "py.typed").exists()
    assert (folder / "_native.pyi").exists()


def test_every_name_of_the_face_is_there_and_described() -> None:
    for name in knocker.__all__:
        named = getattr(knocker, name)
        assert named.__doc__ or name == "Handler", name
