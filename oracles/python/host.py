"""Owns the pipe between the driver and the adapters in Python: a question a line, an answer a line.

It knows no SDK; each adapter beside it knows one, and none knows what the right answer is.
"""

import base64
import importlib
import json
import logging
import sys
import traceback
from importlib.metadata import version
from types import SimpleNamespace


def request_of(sent):
    body = base64.b64decode(sent["body"])
    return SimpleNamespace(**{**sent, "body": body})


def about(adapter, question):
    return {"version": version(question["package"]), "signs": hasattr(adapter, "sign")}


def verify(adapter, question):
    """An SDK refuses by a false or by an exception."""
    try:
        said = adapter.verify(request_of(question["request"]), question["secret"])
    except Exception as error:
        return {"accepted": False, "reason": f"{type(error).__name__}: {error}".split("\n")[0]}
    return {"accepted": said is True, "reason": f"the SDK returned {str(said)[:60]}"}


def sign(adapter, question):
    """Headers, or the whole body where the signature stands in it."""
    return {"signed": adapter.sign(request_of(question["request"]), question["secret"], question["now"])}


def main():
    logging.disable()
    answers, sys.stdout = sys.stdout, sys.stderr  # what an SDK prints would be taken for an answer
    for line in sys.stdin:
        question = json.loads(line)
        try:
            adapter = importlib.import_module("adapters." + question["adapter"])
            reply = {"about": about, "verify": verify, "sign": sign}[question["call"]](adapter, question)
        except Exception:
            reply = {"failed": traceback.format_exc()}
        print(json.dumps(reply), file=answers, flush=True)


main()
