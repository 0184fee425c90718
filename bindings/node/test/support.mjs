// What the tests share: a handle on a fresh file, which goes away with the test.

import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { KnockerSqlite } from "knocker-sqlite";

export function folder(t) {
  const made = mkdtempSync(join(tmpdir(), "knocker-node-"));
  t.after(() => rmSync(made, { recursive: true }));
  return made;
}

export function open(t, options = {}, path = join(folder(t), "app.db")) {
  const inbox = new KnockerSqlite(path, {
    synchronous: "normal", log: () => {}, ...options,
  });
  t.after(() => inbox.close());
  return inbox;
}

/** A handle with an endpoint that verifies nothing, and one event in it. */
export function withEvent(t, options) {
  const inbox = open(t, options);
  inbox.addEndpoint({ name: "x" });
  const { event_id: id } = inbox.receive({ endpoint: "x", body: "hello", eventType: "made" });
  return { inbox, id };
}
