"""Documents that run_blocks.py must fail, and one that it must pass: a check that cannot fail checks nothing."""

from __future__ import annotations

import multiprocessing
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import run_blocks  # noqa: E402 - its folder is known only now

GOOD = """
```python
# note.py
x = 1
```
```python
print(x, "and something else")
```
```text
1 and ... else
```
```sql
.load ./knocker
select 1;
```
```c
printf("%d\\n", 1);
```
```c
#include "knocker.h"
int main(void) { return knocker_version() ? 0 : 1; }
```
```sh
test -e note.py && test -e knocker.c
```
```json
{"a": 1}
```
A text that stands alone is prose.

```text
nobody prints this
```
"""
BAD = {
    "a language nobody knows": ("```perl\nprint 1\n```", "perl"),
    "a block without a language": ("```\nx\n```", "''"),
    "a block that is never closed": ("```python\nx = 1\n", "never closed"),
    "Python that raises": ("```python\nraise ValueError('here')\n```", "ValueError: here"),
    "Python that ends its process": ("```python\nimport os\nos._exit(0)\n```", "died"),
    "other output": ("```python\nprint(1)\n```\n```text\n2\n```", "the document says"),
    "less output": ("```python\nprint(1)\n```\n```text\n1\n2\n```", "the document says"),
    "an SQL error": ("```sql\nselect nowhere;\n```", "no such column"),
    "SQL that does not end": ("```sql\n.exit\n```", "does not end"),
    "C that does not compile": ("```c\nint main(void) { return nothing; }\n```", "nothing"),
    "C with a warning": ("```c\nint unused;\n```", "unused"),
    "C that fails": ("```c\nint main(void) { return 3; }\n```", "ended with 3"),
    "a part that ends the program": ("```c\nputs(\"a\");\n```\n```c\nreturn 0;\n```", "ended in part 2"),
    "a command that fails": ("```sh\nfalse\ntrue\n```", "ended with 1"),
    "what is no JSON": ("```json\n{a: 1}\n```", "no JSON"),
}


def check(text: str) -> list[str]:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "page.md"
        path.write_text(text)
        _, failures = run_blocks.run_document(path)
        _, dead = run_blocks.dead_links(path)
    return failures + dead


def main() -> int:
    wrong = [f"the good document: {failure}" for failure in check(GOOD)]
    for name, (text, saying) in BAD.items():
        failures = check(text)
        if not failures or saying not in failures[0]:
            wrong.append(f"{name}: {failures}")
    if len(check("[a](nowhere.md) and [b](page.md), but not `[c](code.md)`.")) != 1:
        wrong.append("links")
    print("\n".join(wrong))
    print(f"{len(BAD) + 2 - len(wrong)} passed")
    return 1 if wrong else 0


if __name__ == "__main__":
    multiprocessing.set_start_method("spawn")
    sys.exit(main())
