"use strict";

// The application's inbox: its file, its endpoint and what it does with an event. The two servers
// beside differ in how they read a request, and in nothing else.

const { KnockerSqlite } = require("knocker-sqlite");

function openInbox(path) {
  const webhooks = new KnockerSqlite(path, {
    initSql: "create table if not exists invoices(provider_id text primary key, type text)",
  });
  webhooks.addEndpoint({
    name: "stripe",
    path: "/webhooks/stripe",
    provider: "stripe",
    secrets: [process.env.STRIPE_SECRET ?? "whsec_example"],
  });
  webhooks.registerHandler("stripe", (event, tx) => {
    const payload = JSON.parse(event.body_blob.toString());
    tx.prepare("insert into invoices values (?, ?)").run(payload.id, payload.type);
  });
  return webhooks;
}

/** Works, and stops at Ctrl-C: the server first, then the worker, then the file. */
async function work(webhooks, server) {
  const stop = new AbortController();
  for (const name of ["SIGINT", "SIGTERM"]) process.once(name, () => stop.abort());
  await webhooks.runWorker({ workerId: `web-${process.pid}`, signal: stop.signal });
  await new Promise((resolve) => {
    server.close(resolve);
    server.closeAllConnections?.();
  });
  webhooks.drain();
  webhooks.close();
}

module.exports = { openInbox, work };
