// What Bun has of its own beneath the shared face: memory, threads, misuse. Before: scripts/build.sh.

import { expect, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { InvalidArgument, KnockerSqlite, UnknownEndpoint } from "../build/knocker-sqlite/lib/index.mjs";
import native from "../build/knocker-sqlite/lib/native.js";

async function withInbox(use) {
  const folder = mkdtempSync(join(tmpdir(), "knocker-bun-"));
  const inbox = new KnockerSqlite(join(folder, "app.db"), { synchronous: "normal", log: () => {} });
  inbox.addEndpoint({ name: "x" });
  try {
    await use(inbox);
  } finally {
    inbox.close();
    rmSync(folder, { recursive: true });
  }
}

test("receiveAsync answers each caller for itself", () => withInbox(async (inbox) => {
  const asked = ["x", "nobody", "x"].map((endpoint) => inbox.receiveAsync({ endpoint, body: "b" }));
  const [one, two, three] = await Promise.allSettled(asked);
  expect([one.value.status_code, three.value.status_code]).toEqual([204, 204]);
  expect(two.reason).toBeInstanceOf(UnknownEndpoint);
}));

test("a worker wakes for a receipt, and stops by its signal", () => withInbox(async (inbox) => {
  const stop = new AbortController();
  const seen = new Promise((resolve) => inbox.registerHandler("x", (event) => resolve(String(event.body_blob))));
  const worker = inbox.runWorker({ signal: stop.signal });
  await Bun.sleep(50);
  inbox.receive({ endpoint: "x", body: "later" });
  expect(await seen).toBe("later");
  stop.abort();
  expect(await worker).toBe(1);
}));

test("every SQLite value goes in and comes out again", () => withInbox((inbox) => {
  const values = [null, 1, -1, 0.5, 2n ** 62n, "ä\0€😀", "", Buffer.from([0, 255]), Buffer.alloc(0)];
  expect(values.map((value) => inbox.read("select ? as v", [value])[0].v)).toEqual(values);
}));

test("what is no handle is refused, and crashes nothing", () => {
  for (const odd of [undefined, null, 5, "text", {}, []]) {
    expect(() => native.stats(odd)).toThrow(InvalidArgument);
  }
});
