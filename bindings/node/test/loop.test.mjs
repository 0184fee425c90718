// The event loop, threads and processes: what is coalesced, what wakes, what ends, what leaks.

import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { promisify } from "node:util";
import { Worker } from "node:worker_threads";
import { Closed, InvalidArgument, KnockerSqlite, UnknownEndpoint } from "knocker-sqlite";
import { folder, open, withEvent } from "./support.mjs";

const program = promisify(execFile);
const root = new URL("..", import.meta.url).pathname;

test("receiveAsync answers each caller of a turn for itself", async (t) => {
  const { inbox } = withEvent(t);
  const asked = [{ endpoint: "x" }, { endpoint: "nobody" }, { endpoint: "x", body: {} }, { endpoint: "x", dedupeKey: "k" },
    { endpoint: "x", dedupeKey: "k" }];
  const got = await Promise.allSettled(asked.map((one) => inbox.receiveAsync(one)));
  assert.equal(got[0].value.status_code, 204);
  assert.ok(got[1].reason instanceof UnknownEndpoint);
  assert.ok(got[2].reason instanceof InvalidArgument);
  assert.equal(got[3].value.event_id, got[4].value.event_id);
  assert.deepEqual([got[3].value.duplicate, got[4].value.duplicate], [false, true]);
});

test("receiveAsync receives thousands at once, while the event loop turns", async (t) => {
  const { inbox } = withEvent(t);
  let turns = 0;
  const timer = setInterval(() => { turns += 1; }, 1);
  const results = await Promise.all(Array.from({ length: 5000 }, () => inbox.receiveAsync({ endpoint: "x", body: "b" })));
  clearInterval(timer);
  assert.equal(new Set(results.map((one) => one.event_id)).size, 5000);
  assert.ok(turns > 2, `the loop turned ${turns} times`);
});

test("receiveAsync keeps the bytes that it was given", async (t) => {
  const { inbox } = withEvent(t);
  const body = Buffer.from("before");
  const promise = inbox.receiveAsync({ endpoint: "x", body });
  await new Promise(setImmediate);
  body.fill(0);
  assert.equal(inbox.getDelivery((await promise).delivery_id).body_blob.toString(), "before");
});

test("a worker wakes for what another handle received, and stops by its signal", async (t) => {
  const path = join(folder(t), "app.db");
  const inbox = open(t, {}, path);
  inbox.addEndpoint({ name: "x" });
  const other = new KnockerSqlite(path);
  const stop = new AbortController();
  const seen = new Promise((resolve) => { inbox.registerHandler("x", (event) => resolve(event.id)); });
  const worker = inbox.runWorker({ workerId: "w", signal: stop.signal });
  await sleep(50);
  assert.deepEqual(inbox.workerStates(), [{ worker_id: "w", running: true, current_event_id: null, last_error: null }]);
  const { event_id: id } = other.receive({ endpoint: "x" });
  assert.equal(await seen, id);
  stop.abort();
  assert.equal(await worker, 1);
  assert.equal(inbox.workerStates()[0].running, false);
  other.close();
});

test("a worker ends after maxJobs, and an aborted signal starts none", async (t) => {
  const { inbox } = withEvent(t);
  inbox.receiveMany([{ endpoint: "x" }, { endpoint: "x" }]);
  inbox.registerHandler("x", () => {});
  assert.equal(await inbox.runWorker({ signal: AbortSignal.abort() }), 0);
  assert.equal(await inbox.runWorker({ maxJobs: 2 }), 2);
  assert.equal(inbox.stats()[0].queued, 1);
});

test("closing the handle ends its worker", async (t) => {
  const { inbox } = withEvent(t);
  inbox.registerHandler("x", () => {});
  const worker = inbox.runWorker({ workerId: "w" });
  await sleep(50);
  inbox.close();
  assert.equal(await worker, 1);
  await assert.rejects(inbox.receiveAsync({ endpoint: "x" }), Closed);
});

test("a handle that is closed while its worker stops throws nothing", async (t) => {
  const { inbox } = withEvent(t);
  const stop = new AbortController();
  const worker = inbox.runWorker({ signal: stop.signal });
  await sleep(20);
  stop.abort();
  inbox.close();
  await worker;
  await sleep(30);
  assert.equal(inbox.workerStates()[0].running, false);
});

test("requests are answered while a worker is busy, and onDead hears of the dead", async (t) => {
  const { inbox } = withEvent(t, { maxAttempts: 1 });
  inbox.receiveMany(Array.from({ length: 200 }, () => ({ endpoint: "x" })));
  inbox.registerHandler("x", () => { throw new Error("boom"); });
  const dead = [];
  let turns = 0;
  const timer = setInterval(() => { turns += 1; }, 0);
  await inbox.runWorker({ maxJobs: 201, onDead: (event, error) => dead.push(error) });
  clearInterval(timer);
  assert.equal(dead.length, 201);
  assert.match(dead[0], /boom/);
  assert.ok(turns > 2);
});

test("runRetention prunes, and ends by its signal", async (t) => {
  const { inbox } = withEvent(t);
  await assert.rejects(inbox.runRetention({ intervalS: 60 }), InvalidArgument);
  const stop = new AbortController();
  const running = inbox.runRetention({ intervalS: 60, eventOlderThanS: 60 }, { signal: stop.signal });
  while (!inbox.listPruneAudits().length) await sleep(5);
  stop.abort();
  await running;
});

async function runs(t, source) {
  const path = join(folder(t), "app.db");
  const text = `const { KnockerSqlite } = require("knocker-sqlite");
    const inbox = new KnockerSqlite(${JSON.stringify(path)}); inbox.addEndpoint({ name: "x" }); ${source}`;
  const { stdout } = await program(process.execPath, ["--expose-gc", "-e", text], { cwd: root, timeout: 20000 });
  return stdout.trim();
}

test("the process exits when nothing is left to do", async (t) => {
  assert.equal(await runs(t, 'console.log("open")'), "open");
  assert.equal(await runs(t, 'inbox.receiveAsync({ endpoint: "x" }).then((one) => console.log(one.status_code))'), "204");
  assert.equal(await runs(t, `const stop = new AbortController(); setTimeout(() => stop.abort(), 50);
    inbox.runWorker({ signal: stop.signal }).then((count) => console.log(count))`), "0");
  assert.equal(await runs(t, 'inbox.runWorker(); setTimeout(() => { console.log("exits"); process.exit(0); }, 50)'), "exits");
});

test("an open handle may be collected while its thread is at work", async (t) => {
  assert.equal(await runs(t, `(async () => {
    for (let i = 0; i < 200; i += 1) {
      const made = new KnockerSqlite(${JSON.stringify(join(folder(t), "gc.db"))}, { synchronous: "normal" });
      if (i === 0) made.addEndpoint({ name: "x" });
      void made.receiveAsync({ endpoint: "x" });
      if (i % 20 === 0) { await new Promise(setImmediate); gc(); }
    }
    await new Promise((resolve) => setTimeout(resolve, 200)); gc(); console.log("lives");
  })()`), "lives");
});

test("worker threads have handles of their own, and may be terminated", async (t) => {
  const file = join(folder(t), "app.db");
  const inbox = open(t, {}, file);
  inbox.addEndpoint({ name: "x" });
  const source = `const { KnockerSqlite } = require("knocker-sqlite");
    const { parentPort, workerData } = require("node:worker_threads");
    const inbox = new KnockerSqlite(workerData);
    inbox.registerHandler("x", () => {});
    inbox.runWorker();
    inbox.receiveAsync({ endpoint: "x" }).then((one) => parentPort.postMessage(one.status_code));`;
  const threads = Array.from({ length: 4 }, () => new Worker(source, { eval: true, workerData: file }));
  const answers = await Promise.all(threads.map((one) => new Promise((resolve, reject) => {
    one.once("message", resolve);
    one.once("error", reject);
  })));
  assert.deepEqual(answers, [204, 204, 204, 204]);
  await Promise.all(threads.map((one) => one.terminate()));
  assert.equal(inbox.listEvents().length, 4);
});

const rss = () => Number(/VmRSS:\s+(\d+)/.exec(readFileSync("/proc/self/status", "utf8"))[1]);

test("memory stays flat over 100,000 receipts and as many handled events", { timeout: 80000 }, async (t) => {
  const { inbox } = withEvent(t, { initSql: "pragma cache_size = -2000" });
  inbox.registerHandler("x", (event, tx) => { tx.query("select ?", [event.body_blob]); });
  const request = { endpoint: "x", body: Buffer.alloc(300, 97), headers: { "x-one": "1" } };
  const round = async (times) => {
    for (let i = 0; i < times; i += 1) {
      inbox.receiveMany(Array.from({ length: 900 }, () => request));
      await Promise.all(Array.from({ length: 100 }, () => inbox.receiveAsync(request)));
      assert.ok(inbox.drain().length >= 1000);
      inbox.pruneEvents({ olderThan: 4e9 });
    }
  };
  await round(15);
  const before = rss();
  await round(85);
  const grown = rss() - before;
  assert.ok(grown < 30000, `grown by ${grown} KiB`);
});
