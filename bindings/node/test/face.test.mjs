// What JavaScript adds to the product: types, orders of arguments, errors, and misuse.

import assert from "node:assert/strict";
import { createRequire } from "node:module";
import { test } from "node:test";
import * as knocker from "knocker-sqlite";
import { open, withEvent } from "./support.mjs";

test("import and require give the same classes", () => {
  const required = createRequire(import.meta.url)("knocker-sqlite");
  for (const name of Object.keys(required)) assert.equal(knocker[name], required[name], name);
});

test("a handler is registered in both orders, and the one of a type wins", (t) => {
  const { inbox } = withEvent(t);
  inbox.receive({ endpoint: "x", body: "b", eventType: "other" });
  inbox.receive({ endpoint: "x", body: "c", eventType: "third" });
  const seen = [];
  inbox.registerHandler("x", (event) => seen.push(["fn, type", event.event_type]), "made");
  inbox.registerHandler("x", "other", (event) => seen.push(["type, fn", event.event_type]));
  inbox.registerHandler("x", (event) => seen.push(["fn", event.event_type]));
  assert.equal(inbox.drain().length, 3);
  assert.deepEqual(seen, [["fn, type", "made"], ["type, fn", "other"], ["fn", "third"]]);
});

test("the printed handler inserts by a prepared statement", (t) => {
  const webhooks = open(t, { initSql: "create table if not exists invoices(provider_id, total_cents)" });
  webhooks.addEndpoint({ name: "stripe", provider: "stripe", secrets: ["whsec_1"] });
  webhooks.registerHandler("stripe", "invoice.created", (event, tx) => {
    const payload = JSON.parse(Buffer.from(event.body_blob).toString("utf8"));
    tx.prepare(`
      INSERT INTO invoices(provider_id, total_cents)
      VALUES (?, ?)
    `).run(payload.id, payload.data.object.amount_due);
  });
  const body = JSON.stringify({ id: "evt_1", type: "invoice.created", data: { object: { amount_due: 5 } } });
  const headers = knocker.sign("stripe", { secrets: ["whsec_1"], body });
  const result = webhooks.receive({ endpoint: "stripe", body, headers, query: {} });
  assert.equal(result.status_code, 204);
  assert.equal(webhooks.runWorkerOnce("worker-1"), result.event_id);
  assert.equal(webhooks.runWorkerOnce("worker-1"), null);
  assert.deepEqual(webhooks.read("select * from invoices"), [{ provider_id: "evt_1", total_cents: 5 }]);
});

test("every SQLite value goes in and comes out again", (t) => {
  const { inbox } = withEvent(t);
  const values = [null, 1, -1, 0.5, 2 ** 53 - 1, 2n ** 62n, -(2n ** 63n), "ä\0€😀", "", "\ufffd",
    Buffer.from([0, 255]), Buffer.alloc(0)];
  let got;
  inbox.registerHandler("x", (event, tx) => {
    got = values.map((value) => tx.prepare("select ? as v").get(value).v);
    got.push(tx.query("select cast(x'ff41' as text) as v")[0].v, tx.prepare("select ? as v").get(true).v,
      tx.prepare("select ? as v").get(new Uint8Array([7]).buffer).v, tx.prepare("select 1 where 0").get());
  });
  inbox.drain();
  assert.deepEqual(got, [...values, Buffer.from([255, 65]), 1, Buffer.from([7]), undefined]);
});

test("what no SQLite value is, is refused by name", (t) => {
  const { inbox, id } = withEvent(t);
  const texts = [];
  inbox.registerHandler("x", (event, tx) => {
    for (const value of [undefined, Symbol("s"), {}, () => {}, 2n ** 63n, "\ud800"]) {
      try {
        tx.prepare("select ?").get(value);
      } catch (error) {
        assert.ok(error instanceof knocker.InvalidArgument);
        texts.push(error.message);
      }
    }
  });
  inbox.drain();
  assert.equal(inbox.getEvent(id).status, "handled");
  assert.equal(texts.length, 6);
  for (const text of texts) assert.match(text, /^parameter 1 must be /);
});

test("execute gives changes and the last row id as better-sqlite3 does", (t) => {
  const { inbox } = withEvent(t);
  let results;
  inbox.registerHandler("x", (event, tx) => {
    tx.execute("create table n(v integer primary key)");
    results = [tx.execute("insert into n values (?)", [2n ** 60n]), tx.prepare("delete from n").run()];
  });
  inbox.drain();
  assert.deepEqual(results[0], { changes: 1, lastInsertRowid: 2n ** 60n });
  assert.equal(results[1].changes, 1);
});

test("each outcome has its class", (t) => {
  const { inbox } = withEvent(t, { clock: 1000 });
  const endings = [new knocker.RetryAfter(5, "later"), new Error("boom"), new knocker.Dead("no use")];
  inbox.registerHandler("x", (event, tx) => {
    tx.execute("create table never(v)");
    throw endings.shift();
  });
  assert.equal(inbox.runWorkerOnce("w"), 1);
  assert.equal(inbox.getEvent(1).attempt_count, 0);
  inbox.setClock(1006);
  inbox.runWorkerOnce("w");
  assert.match(inbox.getEvent(1).last_error, /Error: boom/);
  inbox.setClock(5000);
  inbox.runWorkerOnce("w");
  assert.equal(inbox.getEvent(1).status, "dead");
  assert.throws(() => inbox.read("select * from never"), knocker.SqlError);
  inbox.receive({ endpoint: "x" });
  endings.push(new knocker.Ignore("not ours"));
  inbox.drain();
  assert.equal(inbox.listEvents({ status: "ignored" }).length, 1);
});

test("whatever is thrown is a failure in words", (t) => {
  const { inbox } = withEvent(t, { maxAttempts: 1 });
  const odd = [null, undefined, 5, "\ud800", Object.create(null), { toString() { throw new Error(); } }];
  for (const thrown of odd) {
    inbox.registerHandler("x", () => { throw thrown; });
    const { event_id: id } = inbox.receive({ endpoint: "x" });
    inbox.drain();
    assert.equal(inbox.getEvent(id).status, "dead", String(typeof thrown));
  }
});

test("a handler that returns a promise fails, and its error says so", async (t) => {
  const { inbox, id } = withEvent(t);
  let late;
  inbox.registerHandler("x", async (event, tx) => {
    tx.execute("create table early(v)");
    late = tx;
    await null;
    throw new Error("nobody hears this");
  });
  inbox.drain();
  assert.match(inbox.getEvent(id).last_error, /returned a Promise: handlers are synchronous/);
  assert.throws(() => inbox.read("select * from early"), knocker.SqlError);
  await new Promise(setImmediate);
  assert.throws(() => late.query("select 1"), knocker.Closed);
});

test("a handler that is a generator fails too", (t) => {
  const { inbox, id } = withEvent(t);
  inbox.registerHandler("x", function* handler() { yield 1; });
  inbox.drain();
  assert.match(inbox.getEvent(id).last_error, /handlers are synchronous/);
});

test("inside a handler the handle is refused, also asynchronously", async (t) => {
  const { inbox, id } = withEvent(t);
  const refused = [];
  inbox.registerHandler("x", (event, tx) => {
    tx.execute("create table n(v)");
    for (const call of [() => inbox.receive({ endpoint: "x" }), () => inbox.replay(id),
      () => inbox.close(), () => inbox.drain(), () => inbox.stats()]) {
      assert.throws(call, { name: "invalid_argument", message: /use tx/ });
      refused.push(call);
    }
    refused.push(inbox.receiveAsync({ endpoint: "x" }).catch((error) => error));
    tx.receive({ endpoint: "x", body: "of the transaction" });
  });
  inbox.drain("w", { maxJobs: 1 });
  assert.equal(inbox.getEvent(id).status, "handled");
  assert.match((await refused.pop()).message, /use tx/);
  assert.equal(inbox.listEvents().length, 2);
});

test("a body that a parser took is an error that says so", (t) => {
  const { inbox } = withEvent(t);
  for (const body of [{}, { id: 1 }, [], 5, true]) {
    assert.throws(() => inbox.receive({ endpoint: "x", body }),
      { name: "invalid_argument", message: /body parser has taken the raw bytes.*express\.raw/ });
  }
  assert.equal(inbox.receive({ endpoint: "x", body: undefined }).status_code, 204);
});

test("headers and queries of every framework arrive as they were sent", (t) => {
  const { inbox } = withEvent(t);
  const seen = (request) => {
    const { headers, query } = inbox.getDelivery(inbox.receive({ endpoint: "x", ...request }).delivery_id);
    return { headers, query };
  };
  const one = { "X-One": "1" };
  assert.deepEqual(seen({ headers: new Headers([["x-one", "1"]]) }).headers, { "x-one": "1" });
  assert.deepEqual(seen({ headers: Object.entries(one) }).headers, one);
  assert.deepEqual(seen({ headers: new Map([["X-One", ["1", "2"]]]) }).headers, { "X-One": ["1", "2"] });
  assert.deepEqual(seen({ headers: { ...one, none: undefined } }).headers, one);
  const latin = Buffer.from("é").toString("latin1");
  assert.deepEqual(seen({ headers: { a: latin, b: "€" } }).headers, { a: "é", b: "€" });
  assert.deepEqual(seen({ query: "a=1&a=2" }).query, { a: ["1", "2"] });
  assert.deepEqual(seen({ query: new URLSearchParams("a=%26") }).query, { a: "&" });
  assert.deepEqual(seen({ query: { a: { b: ["1", "2"] }, c: null } }).query, { "a[b]": ["1", "2"], c: "" });
});

test("a misspelt option is refused", (t) => {
  const { inbox } = withEvent(t);
  for (const call of [() => inbox.addEndpoint({ name: "y", secret: "s" }), () => inbox.listEvents({ staus: "x" }),
    () => inbox.receive({ endpoint: "x", bdy: "" }), () => inbox.runWorkerOnce("w", { queue: "q" }),
    () => new knocker.KnockerSqlite(":memory:", { clok: 1 })]) {
    assert.throws(call, { name: "invalid_argument", message: /no option is named/ });
  }
});

test("errors are one base with one subclass a cause, and carry the product's word", (t) => {
  const { inbox, id } = withEvent(t);
  const causes = {
    UnknownEndpoint: () => inbox.receive({ endpoint: "nobody" }), UnknownEvent: () => inbox.getEvent(99),
    UnknownDelivery: () => inbox.getDelivery(99), WrongStatus: () => inbox.replay(id),
    SqlError: () => inbox.read("selec"), InvalidArgument: () => inbox.getEvent("one"),
    StorageError: () => new knocker.KnockerSqlite("/nowhere/app.db"),
  };
  for (const [name, call] of Object.entries(causes)) {
    assert.throws(call, (error) => error instanceof knocker[name] && error instanceof knocker.KnockerError &&
      error.name === name.replace("Error", "").replace(/(.)([A-Z])/g, "$1_$2").toLowerCase(), name);
  }
});

test("secrets are in no error's text", (t) => {
  const inbox = open(t);
  for (const call of [() => inbox.addEndpoint({ name: "s", provider: "stripe", secrets: "whsec_secret" }),
    () => inbox.addEndpoint({ name: "s", provider: "stripe", secrets: [["whsec_secret"]] }),
    () => inbox.addEndpoint({ name: "s", provider: "strip", secrets: ["whsec_secret"] })]) {
    assert.throws(call, (error) => error instanceof knocker.InvalidArgument && !/whsec_secret/.test(error.message));
  }
});

test("a closed handle and an ended tx say so", (t) => {
  const { inbox } = withEvent(t);
  let kept;
  inbox.registerHandler("x", (event, tx) => { kept = { event, tx }; });
  inbox.drain();
  assert.throws(() => kept.tx.execute("select 1"), knocker.Closed);
  assert.throws(() => kept.event.extend(5), knocker.Closed);
  inbox.close();
  inbox.close();
  assert.throws(() => inbox.stats(), knocker.Closed);
});

test("a list goes on over its pages in for await", async (t) => {
  const { inbox } = withEvent(t);
  inbox.receiveMany(Array.from({ length: 24 }, () => ({ endpoint: "x" })));
  const ids = [];
  for await (const event of inbox.events({ limit: 10 })) ids.push(event.id);
  assert.equal(new Set(ids).size, 25);
  assert.equal(inbox.listEvents({ limit: 10 }).length, 10);
});

test("a provider of the application's own judges, and what it throws is a rejection without secrets", (t) => {
  const inbox = open(t);
  class Acme extends knocker.Provider {
    name = "acme";
    requiresSecrets = true;
    verify(request, { secrets }) {
      if (!secrets.includes(request.header("X_ACME_TOKEN"))) throw new Error(`not ${secrets[0]}`);
      return knocker.ProviderResult.accept({ eventType: request.json().kind, providerEventId: 7 });
    }
  }
  assert.throws(() => inbox.addEndpoint({ name: "a", provider: new Acme() }), knocker.InvalidArgument);
  const acme = inbox.endpoint({ name: "a", provider: new Acme(), secrets: ["t0ken"] });
  assert.equal(acme.receive({ body: '{"kind":"made"}', headers: { "x-acme-token": "t0ken" } }).status_code, 204);
  assert.equal(inbox.getEvent(1).event_type, "made");
  assert.equal(acme.receive({ body: "{}" }).status_code, 401);
  assert.match(inbox.listDeliveries({ orphaned: true })[0].signature_error, /not \[secret\]/);
});

test("a bad request fails alone in receiveMany", (t) => {
  const { inbox } = withEvent(t);
  const [good, bad, other] = inbox.receiveMany([{ endpoint: "x" }, { endpoint: "x", body: {} }, { endpoint: "y" }]);
  assert.equal(good.status_code, 204);
  assert.ok(bad instanceof knocker.InvalidArgument);
  assert.ok(other instanceof knocker.UnknownEndpoint);
});
