"use strict";

// The inbox behind Express: node express.js app.db 8000

const express = require("express");
const { openInbox, work } = require("./inbox");

const webhooks = openInbox(process.argv[2] ?? "app.db");
const app = express();
const raw = express.raw({ type: "*/*", limit: "6mb" }); // the bytes that were signed

// The short way: the status is all that most senders look at.
app.post("/webhooks/short", raw, (req, res) => {
  const result = webhooks.receive({
    endpoint: "stripe", body: req.body, headers: req.headers, query: req.query,
  });

  res.sendStatus(result.status_code);
});

// The full one: many requests share a commit, and the answer has what the sender wants to read.
app.post("/webhooks/stripe", raw, (req, res, next) => {
  const { method, body, headers, query } = req;
  webhooks.receiveAsync({ endpoint: "stripe", method, body, headers, query }).then((result) => {
    res.status(result.status_code).set(result.response_headers).end(result.response_body);
  }, next);
});

app.use((error, req, res, next) => {
  console.error(error);
  if (res.headersSent) next(error);
  else res.sendStatus(error.status ?? 503); // the sender will try again
});

const server = app.listen(Number(process.argv[3] ?? 8000), "127.0.0.1", () => {
  console.log(`http://127.0.0.1:${server.address().port}/webhooks/stripe`);
});
work(webhooks, server);
