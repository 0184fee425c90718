"""The worker: a process of its own that runs the handlers. What a handler writes through `tx` is committed
together with "this event is handled", or not at all.

    KNOCKER_DB=knocker.db python worker.py
"""

import asyncio
import json
import os
import signal

import knocker
import mishaps

webhooks = knocker.open(os.environ["KNOCKER_DB"], visibility_timeout_s=2)


@webhooks.handle(endpoint="stripe", event_type="invoice.paid")
def invoice_paid(event: knocker.Event, tx: knocker.Tx) -> None:
    invoice = json.loads(event.body)["data"]["object"]
    tx.execute("insert into invoices(event_id, cents) values (?, ?)", [event.id, invoice["amount_paid"]])
    mishaps.fail_twice(event, invoice)
    mishaps.take_too_long_once(invoice)


@webhooks.handle(endpoint="github", event_type="push")
def push(event: knocker.Event, tx: knocker.Tx) -> None:
    tx.execute("insert into pushes(event_id, ref) values (?, ?)", [event.id, json.loads(event.body)["ref"]])


@webhooks.handle(endpoint="slack")  # every type of event that has no handler of its own
def message(event: knocker.Event, tx: knocker.Tx) -> None:
    said = json.loads(event.body)["event"]["text"]
    tx.execute("insert into messages(event_id, said) values (?, ?)", [event.id, said])


async def main() -> None:
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    await webhooks.run_worker(stop_event=stop)


if __name__ == "__main__":
    asyncio.run(main())
