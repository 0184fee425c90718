"""Builds knocker._native: the flattened core and what SWIG makes of its header.

In the repository both come from `./run build` and from SWIG; a source distribution carries them.
"""

import os
import shutil
import subprocess
from pathlib import Path

from setuptools import Extension, setup

here = Path(__file__).resolve().parent
made = here / "native" / "build"
core = Path(os.environ.get("KNOCKER_BUILD", here.parent.parent / "build"))
interface = here.parent / "knocker.i"


def generate() -> None:
    for name in ("knocker.c", "knocker.h"):
        if not (core / name).exists():
            raise SystemExit(f"{core / name} is missing: first ./run build")
    made.mkdir(exist_ok=True)
    for name in ("knocker.c", "knocker.h"):
        shutil.copyfile(core / name, made / name)
    shutil.copyfile(here.parent.parent / "LICENSE", made / "LICENSE")
    options = ["-python", "-threads", "-noproxy", "-module", "_native"]
    output = ["-outdir", str(made), "-o", str(made / "wrap.c")]
    subprocess.run(["swig", *options, f"-I{made}", *output, str(interface)], check=True)


if interface.exists():
    generate()

setup(
    ext_modules=[
        Extension(
            "knocker._native",
            sources=["native/build/wrap.c", "native/build/knocker.c"],
            include_dirs=["native", "native/build"],
            depends=["native/glue.h", "native/build/knocker.h"],
            define_macros=[("_GNU_SOURCE", "1")],
            extra_compile_args=["-std=c11", "-O2", "-fvisibility=hidden"],
            # Whatever else in the process carries these names, this module uses its own.
            extra_link_args=["-Wl,-Bsymbolic"],
            libraries=["sqlite3", "crypto"],
        )
    ]
)
