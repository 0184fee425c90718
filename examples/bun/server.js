// The inbox behind Bun.serve: bun server.js app.db 8000

import { KnockerSqlite } from "knocker-sqlite";

const [path = "app.db", port = "8000"] = Bun.argv.slice(2);

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

async function answer(request) {
  const { pathname, search } = new URL(request.url);
  if (pathname !== "/webhooks/stripe") return new Response(null, { status: 404 });
  const result = await webhooks.receiveAsync({
    endpoint: "stripe",
    method: request.method,
    body: await request.arrayBuffer(),
    headers: request.headers,
    query: search.slice(1),
  });
  return new Response(result.response_body, { status: result.status_code, headers: result.response_headers });
}

const server = Bun.serve({
  hostname: "127.0.0.1",
  port: Number(port),
  fetch: answer,
  error(problem) {
    console.error(problem);
    return new Response(null, { status: 503 }); // the sender will try again
  },
});
console.log(`http://127.0.0.1:${server.port}/webhooks/stripe`);

// Stops at Ctrl-C: the worker first, then the server, then what it has received meanwhile.
const stop = new AbortController();
for (const name of ["SIGINT", "SIGTERM"]) process.once(name, () => stop.abort());
await webhooks.runWorker({ workerId: `web-${process.pid}`, signal: stop.signal });
server.stop(true);
webhooks.drain();
webhooks.close();
