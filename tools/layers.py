"""The layers of core/src: a file may include headers of lower layers, and of its own. tidy enforces it, amalgamate follows it."""

# By the file's name without .c and .h. A name that ends in * covers the names that begin with it.
LAYERS = {
    # 0: libc only
    "bell": 0,
    "bytes": 0,
    "clock": 0,
    "error": 0,
    "bounds": 0,
    "rows": 0,
    # 1: one foreign library each
    "crypto*": 1,
    "db*": 1,
    "json": 1,
    # 2: pure rules, and the queue, which knows no webhook
    "backoff": 2,
    "job*": 2,
    "registration": 2,
    "request*": 2,
    "scan*": 2,
    "scheme*": 2,
    "store*": 2,
    # 3: what the product does
    "batch*": 3,
    "diagnose*": 3,
    "endpoint*": 3,
    "handle": 3,
    "inbox*": 3,
    "look": 3,
    "operator*": 3,
    "receipt*": 3,
    "retention*": 3,
    "reverify*": 3,
    "schema*": 3,
    "stats": 3,
    "work*": 3,
    # 4: the two doors
    "api*": 4,
    "extension*": 4,
}


def layer_of(stem: str) -> int | None:
    """None: nobody has said where this file stands."""
    if stem in LAYERS:
        return LAYERS[stem]
    for name, layer in LAYERS.items():
        if name.endswith("*") and stem.startswith(name[:-1]):
            return layer
    return None
