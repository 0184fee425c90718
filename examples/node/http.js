"use strict";

// The inbox behind Node's own server: node http.js app.db 8000

const { createServer } = require("node:http");
const { openInbox, work } = require("./inbox");

const webhooks = openInbox(process.argv[2] ?? "app.db");

async function answer(request, response) {
  const { pathname, search } = new URL(request.url, "http://localhost");
  if (pathname !== "/webhooks/stripe") return response.writeHead(404).end();
  const chunks = [];
  for await (const chunk of request) chunks.push(chunk);
  const result = await webhooks.receiveAsync({
    endpoint: "stripe",
    method: request.method,
    body: Buffer.concat(chunks),
    headers: request.headers,
    query: search.slice(1),
  });
  return response.writeHead(result.status_code, result.response_headers).end(result.response_body);
}

const server = createServer((request, response) => {
  answer(request, response).catch((error) => {
    console.error(error);
    response.writeHead(503).end(); // the sender will try again
  });
});

server.listen(Number(process.argv[3] ?? 8000), "127.0.0.1", () => {
  console.log(`http://127.0.0.1:${server.address().port}/webhooks/stripe`);
});
work(webhooks, server);
