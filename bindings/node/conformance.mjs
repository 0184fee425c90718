// The door of the conformance suite in JavaScript: the public API of the package, and nothing else.
// It answers the lines of conformance/LINES.md. A handler runs inside a synchronous call, so input is
// read synchronously.

import { readSync, writeSync } from "node:fs";
import * as knocker from "knocker-sqlite";

const { KnockerSqlite, KnockerError, ProviderResult, RetryAfter, Ignore, Dead } = knocker;

let unread = Buffer.alloc(0);

/** The next line, or null at the end of the input. */
function hear() {
  const parts = [unread];
  for (let found = unread.indexOf(10); found < 0;) {
    const chunk = Buffer.alloc(65536);
    const length = readSync(0, chunk);
    if (length === 0) return null;
    found = chunk.subarray(0, length).indexOf(10);
    parts.push(chunk.subarray(0, length));
  }
  const all = Buffer.concat(parts);
  const end = all.indexOf(10);
  unread = all.subarray(end + 1);
  return taken(JSON.parse(all.subarray(0, end).toString()));
}

function say(line) {
  const bytes = Buffer.from(`${JSON.stringify(put(line))}\n`);
  for (let at = 0; at < bytes.length;) at += writeSync(1, bytes, at);
}

/** A value as it travels. */
function put(value) {
  if (typeof value === "bigint") return { int: String(value) };
  if (ArrayBuffer.isView(value)) return { base64: Buffer.from(value).toString("base64") };
  if (Array.isArray(value)) return value.map(put);
  if (value === null || typeof value !== "object") return value;
  return Object.fromEntries(Object.entries(value).map(([name, one]) => [name, put(one)]));
}

/** A value as it was before it travelled. */
function taken(value) {
  if (Array.isArray(value)) return value.map(taken);
  if (value === null || typeof value !== "object") return value;
  const names = Object.keys(value).join();
  if (names === "base64") return Buffer.from(value.base64, "base64");
  if (names === "int") return BigInt(value.int);
  return Object.fromEntries(Object.entries(value).map(([name, one]) => [name, taken(one)]));
}

const camel = (word) => word.replace(/_(.)/g, (_, letter) => letter.toUpperCase());

/** The suite's words as the face has them. */
function named(words, renames = {}) {
  return Object.fromEntries(
    Object.entries(words).map(([word, value]) => [renames[word] ?? camel(word), value]));
}

/** The words of a request: a verdict is an object here, and a scheme stands for its provider. */
function request(words) {
  const found = named(words, { scheme: "provider", options: "providerOptions" });
  if (found.verdict) {
    const { valid, error, ...ids } = words.verdict;
    found.verdict = valid ? ProviderResult.accept(named(ids)) : ProviderResult.reject(error, named(ids));
  }
  return found;
}

function lowered(headers) {
  return Object.fromEntries(Object.entries(headers).map(([name, one]) => [name.toLowerCase(), one]));
}

/** A result; the suite has the names of its headers in lower case. */
function answer(result) {
  return { ...result, response_headers: lowered(result.response_headers) };
}

/** An event or a delivery; the suite calls its body so. */
function row({ body_blob, ...others }) {
  return body_blob === undefined ? others : { ...others, body: body_blob };
}

/** The provider of a request that goes to no endpoint, and the rest of it. */
function pure({ provider, scheme, secret, ...words }, now) {
  const rest = { ...words, now };
  if (secret !== undefined) rest.secrets = [secret];
  return [provider ?? scheme, rest];
}

const inboxes = new Map();
let path = "";
const quiet = () => {}; // handlers fail on purpose

const LISTS = {
  events: "listEvents",
  deliveries: "listDeliveries",
  attempts: "listAttempts",
  audits: "listPruneAudits",
  jobs: "listJobs",
};

const QUESTIONS = {
  begin(_, asked) {
    path = asked.path;
  },
  end() {
    for (const inbox of inboxes.values()) inbox.close();
    inboxes.clear();
  },
  clock(_, { now }) {
    for (const inbox of inboxes.values()) {
      try {
        inbox.setClock(now);
      } catch (error) {
        if (!(error instanceof knocker.Closed)) throw error;
      }
    }
  },
  open(_, { on, words, now }) {
    inboxes.set(on, new KnockerSqlite(path, { ...named(words), clock: now, log: quiet }));
  },
  close: (inbox) => inbox.close(),
  endpoint(inbox, { words }) {
    inbox.addEndpoint(named(words, { options: "providerOptions" }));
  },
  receive: (inbox, { words }) => answer(inbox.receive(request(words))),
  receive_many: (inbox, { many }) => inbox.receiveMany(many.map(request)).map((one) =>
    one instanceof KnockerError ? { fails: one.name } : answer(one)),
  ingest: (inbox, { words }) => answer(inbox.ingest(named(words))),
  handle(inbox, { endpoint, event_type: type, run }) {
    inbox.registerHandler(endpoint, (event, tx) => handled(run, event, tx), type ?? undefined);
  },
  work(inbox, { words: { worker_id: id, max, queues } }) {
    return inbox.drain(id, { ...(max ? { maxJobs: max } : {}), ...(queues ? { queues } : {}) });
  },
  get: (inbox, { kind, id }) => row(kind === "event" ? inbox.getEvent(id) : inbox.getDelivery(id)),
  list: (inbox, { kind, words }) => inbox[LISTS[kind]](named(words)).map(row),
  act(inbox, { verb, target }) {
    inbox[camel(verb)](target);
  },
  why: (inbox, { id }) => inbox.why(id),
  stats: (inbox) => inbox.stats(),
  reverify(inbox, { words: { endpoint, ...words } }) {
    return inbox.reverify(endpoint, request(words));
  },
  diagnose(inbox, { words, now }) {
    if (words.delivery === undefined) return knocker.diagnose(...pure(words, now));
    const { delivery, ...others } = words;
    return inbox.diagnose(delivery, request(others));
  },
  prune: (inbox, { kind, words }) =>
    kind === "events" ? inbox.pruneEvents(named(words)) : inbox.pruneOrphanDeliveries(named(words)),
  verify: (_, { words, now }) => answer(knocker.verify(...pure(words, now))),
  sign: (_, { words, now }) => lowered(knocker.sign(...pure(words, now))),
};

/** The handlers that run now, one perhaps inside another's: what each was given, the
 * outermost first. */
const running = [];

/** The questions that are asked inside a handler, of a transaction. */
const INSIDE = {
  tx_event: ({ event }) => row({ ...event }),
  tx_sql({ tx }, { text, values, rows }) {
    if (rows) return tx.prepare(text).all(values);
    tx.prepare(text).run(values);
    return [];
  },
  tx_receive: ({ tx }, { words }) => answer(tx.receive(request(words))),
  tx_ingest: ({ tx }, { words }) => answer(tx.ingest(named(words))),
  tx_extend: ({ event }, { seconds }) => event.extend(seconds),
};

function handled(run, event, tx) {
  running.push({ event, tx });
  say({ run });
  const ending = play();
  running.pop();
  if ("raise" in ending) throw new Error(ending.raise);
  if ("retry_after" in ending) throw new RetryAfter(ending.retry_after, ending.reason);
  if ("ignore" in ending) throw new Ignore(ending.ignore);
  if ("dead" in ending) throw new Dead(ending.dead);
}

function given(asked) {
  if (Object.hasOwn(INSIDE, asked.do)) return INSIDE[asked.do](running[asked.tx], asked);
  if (Object.hasOwn(QUESTIONS, asked.do)) return QUESTIONS[asked.do](inboxes.get(asked.on), asked);
  throw new Error(`nothing is done as ${asked.do}`);
}

function answered(asked) {
  try {
    return { gives: given(asked) ?? null };
  } catch (error) {
    if (error instanceof KnockerError) return { fails: error.name, text: error.message };
    return { broke: String(error?.stack ?? error) };
  }
}

/** Answers until the input ends, or says how a handler is to end. */
function play() {
  for (let asked = hear(); asked; asked = hear()) {
    if (asked.do === "return") return asked.ending;
    say(answered(asked));
  }
  return {};
}

play();
