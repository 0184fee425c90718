"use strict";

// The functions of native.d.ts (in ../node/lib) by bun:ffi over libknocker.so. It owns the layout of
// knocker.h's structs and the life of pointers; it refuses to know any rule of the product.

const { dlopen, ptr } = require("bun:ffi");
const { join } = require("node:path");

// Pointers go as integers: Bun takes a "ptr" below 2^31 for something else.
const P = "i64", I = "i64", W = "i32", S = "cstring";
const R = [P, P]; // rows and error
// A knocker_bytes by value is its two words.
const SIGNATURES = {
  error_name: [[I], S], version: [[], S], rows_next: [[P], W], rows_columns: [[P], W],
  rows_name: [[P, W], S], rows_value: [[P, W, P], W], rows_free: [[P], "void"],
  open: [[P, ...R], W], close: [[P, P], W], clock_set: [[P, I, P], W],
  endpoint_add: [[P, P, P, P], W], endpoint_pause: [[P, P, I, W, P], W], providers: [[...R], W],
  receive: [[P, P, ...R], W], receive_many: [[P, P, W, ...R], W], ingest: [[P, P, ...R], W],
  verify: [[P, I, ...R], W], diagnose: [[P, P, I, I, ...R], W],
  diagnose_delivery: [[P, I, P, P, I, ...R], W], sign: [[P, I, ...R], W],
  claim: [[P, P, ...R], W], release: [[P, I, I, P], W], wait: [[P, P, I, P], W], wake: [[P], W],
  work_begin: [[P, I, I, ...R], W], work_event: [[P, ...R], W],
  execute: [[P, P, I, P, W, P, P, P], W], query: [[P, P, I, P, W, ...R], W],
  read: [[P, P, I, P, W, ...R], W], work_receive: [[P, P, ...R], W],
  work_ingest: [[P, P, ...R], W], extend: [[P, I, P], W],
  settle: [[P, W, P, I, I, ...R], W], work_free: [[P], W], get: [[P, W, I, ...R], W],
  list: [[P, P, ...R], W], ignore: [[P, I, P, I, P], W], replay: [[P, I, P], W],
  requeue: [[P, I, P], W], replay_delivery: [[P, I, P], W],
  reverify: [[P, P, I, I, I, W, ...R], W], why: [[P, I, ...R], W], stats: [[P, ...R], W],
  prune_events: [[P, P, ...R], W], prune_orphan_deliveries: [[P, P, ...R], W],
  retain: [[P, P, ...R], W],
};

const path = process.env.KNOCKER_LIBRARY || join(__dirname, "..", "libknocker.so");
const C = Object.fromEntries(Object.entries(dlopen(path, Object.fromEntries(
  Object.entries(SIGNATURES).map(([name, [args, returns]]) => [`knocker_${name}`, { args, returns }]),
)).symbols).map(([name, call]) => [name.slice("knocker_".length), call]));

// Bun's own views of foreign memory fail below 2^31 too.
const { mempcpy } = dlopen("libc.so.6", { mempcpy: { args: [P, P, I], returns: I } }).symbols;

// -- errors

const INVALID_ARGUMENT = -1, CLOSED = -9;
let makeError = (code, text) => Object.assign(new Error(text), { code });

function refuse(name, wanted, value) {
  const kind = value === null ? "null" : typeof value;
  return makeError(INVALID_ARGUMENT, `${name} must be ${wanted}, not ${kind === "string" ? "text" : kind}`);
}

const problem = new Uint8Array(new ArrayBuffer(256)), AT_PROBLEM = ptr(problem);
const decoder = new TextDecoder();

/** The result of a call, or its error. */
function checked(code, error = problem) {
  if (code >= 0) return code;
  throw makeError(code, decoder.decode(error.subarray(8, error.indexOf(0, 8))));
}

// -- into C

const NOTHING = [0, 0n];
const EMPTY = new Uint8Array(1);
const encoder = new TextEncoder();

/** Pointer and length; `held` keeps the bytes alive for the call. */
function bytesOf(value, name, held) {
  if (value === undefined || value === null) return NOTHING;
  let bytes = value;
  if (typeof value === "string") {
    if (!value.isWellFormed()) throw refuse(name, "text without lone surrogates", value);
    bytes = encoder.encode(value);
  } else if (value instanceof ArrayBuffer) bytes = new Uint8Array(value);
  else if (ArrayBuffer.isView(value)) {
    bytes = new Uint8Array(value.buffer, value.byteOffset, value.byteLength);
  } else throw refuse(name, "text or bytes", value);
  const lent = bytes.length ? bytes : EMPTY;
  held.push(lent);
  return [ptr(lent), BigInt(bytes.length)];
}

function integerOf(value, name) {
  if (typeof value === "boolean") return BigInt(value);
  if (typeof value === "bigint" && value === BigInt.asIntN(64, value)) return value;
  if (Number.isSafeInteger(value)) return BigInt(value);
  throw refuse(name, "an integer", value);
}

/** Members of two words are bytes, marked by a star. */
const layout = (text) => text.split(" ").reduce((made, word) => {
  const isBytes = word.startsWith("*");
  made.members.push([isBytes ? word.slice(1) : word, isBytes, made.words]);
  made.words += isBytes ? 2 : 1;
  return made;
}, { members: [], words: 1 });

const OPEN = layout("*path *queue_name *init_sql visibility_ms max_attempts backoff_base_ms " +
  "backoff_cap_ms max_readers busy_timeout_ms max_body_bytes synchronous settle_full orphan_bytes " +
  "orphan_rows thread_bound existing clock_ms seed");
const ENDPOINT = layout("*name *path *provider *scheme_json *secrets_json *options_json " +
  "*queue_name disabled max_attempts backoff_base_ms backoff_cap_ms external");
const REQUEST = layout("*endpoint *method *headers *query *body *event_type *provider_event_id " +
  "*provider_delivery_id *dedupe_key *provider *secrets_json *options_json *queue_name " +
  "max_attempts verdict *verdict_error *ids_event_type *ids_event_id *ids_delivery_id");
const CLAIM = layout("*worker_id *queues_json *endpoints_json count lease_ms");
const FILTER = layout("kind limit before_id since_s *endpoint *status *event_type event_id " +
  "signature_valid orphaned *audit_kind without_body");
const PRUNE = layout("*statuses_json older_than_s limit dry_run");
const RETENTION = layout("interval_s *statuses_json event_older_than_s event_limit " +
  "orphans_older_than_s orphans_limit");

function structOf({ members, words }, given, held) {
  const struct = new BigInt64Array(words);
  struct[0] = BigInt(words * 8);
  for (const [name, isBytes, at] of members) {
    const value = given[name];
    if (value === undefined || value === null) continue;
    if (isBytes) {
      const [pointer, length] = bytesOf(value, name, held);
      struct[at] = BigInt(pointer);
      struct[at + 1] = length;
    } else struct[at] = integerOf(value, name);
  }
  held.push(struct);
  return struct;
}

const VALUE = 5; // words: type, integer, real, bytes

function valuesOf(list, held) {
  if (!Array.isArray(list)) throw refuse("parameters", "an array", list);
  const words = new BigInt64Array(list.length * VALUE || 1);
  const reals = new Float64Array(words.buffer);
  for (const [index, item] of list.entries()) {
    const at = index * VALUE, name = `parameter ${index + 1}`;
    if (item === null) continue;
    if (typeof item === "number" && !Number.isSafeInteger(item)) {
      words[at] = 2n;
      reals[at + 2] = item;
    } else if (typeof item === "number" || typeof item === "bigint" || typeof item === "boolean") {
      words[at] = 1n;
      words[at + 1] = integerOf(item, name);
    } else if (typeof item === "string" || item instanceof ArrayBuffer || ArrayBuffer.isView(item)) {
      const [pointer, length] = bytesOf(item, name, held);
      words[at] = typeof item === "string" ? 3n : 4n;
      words[at + 3] = BigInt(pointer);
      words[at + 4] = length;
    } else throw refuse(name, "null, a number, a bigint, a boolean, text or bytes", item);
  }
  held.push(words);
  return words;
}

// -- out of C

const strict = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });
const cell = new BigInt64Array(new ArrayBuffer(VALUE * 8)), AT_CELL = ptr(cell), real = new Float64Array(cell.buffer);
const slot = new BigInt64Array(new ArrayBuffer(16)), AT_SLOT = ptr(slot);

function integer(number) {
  const small = Number(number);
  return Number.isSafeInteger(small) ? small : number;
}

function cellValue() {
  const type = Number(cell[0]);
  if (type === 0) return null;
  if (type === 1) return integer(cell[1]);
  if (type === 2) return real[2];
  const length = Number(cell[4]);
  const bytes = Buffer.alloc(length);
  if (length) mempcpy(ptr(bytes), cell[3], length);
  if (type === 4) return bytes;
  try {
    return strict.decode(bytes);
  } catch {
    return bytes;
  }
}

/** The columns of what a call gives: of all but the application's own queries they are always the
 * same, and remembered. */
const columns = new Map();

function namesOf(pointer, call) {
  const known = columns.get(call);
  if (known) return known;
  const names = Array.from({ length: C.rows_columns(pointer) }, (_, i) => String(C.rows_name(pointer, i)));
  if (![C.query, C.read, C.get, C.list].includes(call)) columns.set(call, names);
  return names;
}

/** An array of objects; frees the rows. */
function rowsAt(pointer, call) {
  const list = [];
  if (!pointer) return list;
  const names = namesOf(pointer, call);
  while (C.rows_next(pointer) === 0) {
    const row = {};
    for (const [index, name] of names.entries()) {
      C.rows_value(pointer, index, AT_CELL);
      row[name] = cellValue();
    }
    list.push(row);
  }
  C.rows_free(pointer);
  return list;
}

/** Calls what ends with rows and an error. */
function rows(call, ...args) {
  slot[0] = 0n;
  checked(call(...args, AT_SLOT, AT_PROBLEM));
  return rowsAt(Number(slot[0]), call);
}

const done = (call, ...args) => void checked(call(...args, AT_PROBLEM));

// -- handles and works

const free = new FinalizationRegistry(({ box, isWork }) => {
  if (box.pointer && isWork) C.work_free(box.pointer);
  else if (box.pointer) C.close(box.pointer, 0);
});
const boxes = new WeakMap();

function boxed(pointer, isWork) {
  const object = {}, box = { pointer };
  boxes.set(object, { box, isWork });
  free.register(object, { box, isWork });
  return object;
}

function pointerOf(object, isWork) {
  const found = typeof object === "object" && object ? boxes.get(object) : undefined;
  if (!found || found.isWork !== isWork) throw makeError(INVALID_ARGUMENT, "this is no handle of Knocker's");
  if (found.box.pointer) return found.box.pointer;
  throw makeError(CLOSED, isWork ? "this tx has ended with its handler" : "the handle is closed");
}

const handle = (object) => pointerOf(object, false);
const work = (object) => pointerOf(object, true);

/** A function whose last argument is an options struct, then rows and error. */
const structured = (call, of, shape) => (object, given) => {
  const held = [];
  return rows(call, of(object), ptr(structOf(shape, given, held)));
};
const byId = (call) => (object, id) => done(call, handle(object), integerOf(id, "id"));

/** Pointers to so many requests, and the requests. */
function manyOf(requests, held) {
  const pointers = new BigInt64Array(requests.length || 1);
  for (const [index, one] of requests.entries()) pointers[index] = BigInt(ptr(structOf(REQUEST, one, held)));
  held.push(pointers);
  return pointers;
}

const native = {
  setErrors(make) { makeError = make; },
  errorName: (code) => String(C.error_name(code)),
  version: () => String(C.version()),
  open(given) {
    const held = [];
    slot[0] = 0n;
    checked(C.open(ptr(structOf(OPEN, given, held)), AT_SLOT, AT_PROBLEM));
    return boxed(Number(slot[0]), false);
  },
  close(object) {
    const { box } = boxes.get(object);
    if (!box.pointer) return;
    done(C.close, box.pointer);
    box.pointer = 0;
  },
  setClock: (object, ms) => done(C.clock_set, handle(object), integerOf(ms, "ms")),
  addEndpoint(object, given) {
    const held = [];
    checked(C.endpoint_add(handle(object), ptr(structOf(ENDPOINT, given, held)), AT_SLOT, AT_PROBLEM));
    return integer(slot[0]);
  },
  pause(object, name, paused) {
    const held = [];
    done(C.endpoint_pause, handle(object), ...bytesOf(name, "endpoint", held), paused);
  },
  providers: () => rows(C.providers),
  receive: structured(C.receive, handle, REQUEST),
  ingest: structured(C.ingest, handle, REQUEST),
  checkRequest: (given) => void structOf(REQUEST, given, []),
  receiveMany(object, requests) {
    const held = [];
    return rows(C.receive_many, handle(object), ptr(manyOf(requests, held)), requests.length);
  },
  verify(given, now) {
    const held = [];
    return rows(C.verify, ptr(structOf(REQUEST, given, held)), now);
  },
  sign(given, now) {
    const held = [];
    return rows(C.sign, ptr(structOf(REQUEST, given, held)), now);
  },
  diagnose(given, others, now) {
    const held = [];
    return rows(C.diagnose, ptr(structOf(REQUEST, given, held)), ...bytesOf(others, "others", held), now);
  },
  diagnoseDelivery(object, id, given, others) {
    const held = [];
    return rows(C.diagnose_delivery, handle(object), integerOf(id, "id"),
      ptr(structOf(REQUEST, given, held)), ...bytesOf(others, "others", held));
  },
  claim: structured(C.claim, handle, CLAIM),
  release: (object, job, claim) => done(C.release, handle(object), job, claim),
  wake: (object) => void C.wake(handle(object)),
  begin(object, job, claim) {
    slot[0] = 0n;
    const found = checked(C.work_begin(handle(object), job, claim, AT_SLOT, AT_PROBLEM));
    return found === 0 ? boxed(Number(slot[0]), true) : undefined;
  },
  event: (object) => rows(C.work_event, work(object)),
  execute(object, sql, values) {
    const held = [], at = AT_SLOT;
    checked(C.execute(work(object), ...bytesOf(sql, "sql", held), ptr(valuesOf(values, held)),
      values.length, at, at + 8, AT_PROBLEM));
    return [integer(slot[0]), integer(slot[1])];
  },
  query(object, sql, values) {
    const held = [];
    return rows(C.query, work(object), ...bytesOf(sql, "sql", held), ptr(valuesOf(values, held)), values.length);
  },
  read(object, sql, values) {
    const held = [];
    return rows(C.read, handle(object), ...bytesOf(sql, "sql", held), ptr(valuesOf(values, held)), values.length);
  },
  workReceive: structured(C.work_receive, work, REQUEST),
  workIngest: structured(C.work_ingest, work, REQUEST),
  extend: (object, ms) => done(C.extend, work(object), ms),
  settle(object, outcome, reason, delayMs) {
    const held = [], pointer = work(object), words = bytesOf(reason, "reason", held);
    boxes.get(object).box.pointer = 0;
    return rows(C.settle, pointer, outcome, ...words, delayMs);
  },
  abandon(object) {
    const { box } = boxes.get(object);
    if (box.pointer) C.work_free(box.pointer);
    box.pointer = 0;
  },
  get: (object, kind, id) => rows(C.get, handle(object), kind, integerOf(id, "id")),
  list: structured(C.list, handle, FILTER),
  ignore(object, id, reason) {
    const held = [];
    done(C.ignore, handle(object), integerOf(id, "event_id"), ...bytesOf(reason, "reason", held));
  },
  replay: byId(C.replay),
  requeue: byId(C.requeue),
  replayDelivery: byId(C.replay_delivery),
  reverify(object, by, since, after, limit, dry) {
    const held = [];
    return rows(C.reverify, handle(object), ptr(structOf(REQUEST, by, held)), integerOf(since, "since"),
      integerOf(after, "afterId"), integerOf(limit, "limit"), dry);
  },
  why: (object, id) => rows(C.why, handle(object), integerOf(id, "event_id")),
  stats: (object) => rows(C.stats, handle(object)),
  pruneEvents: structured(C.prune_events, handle, PRUNE),
  pruneOrphanDeliveries: structured(C.prune_orphan_deliveries, handle, PRUNE),
};

// -- lanes: a thread of Bun's own for each, which is given the handle's address

/** What a lane's thread runs; lane.js calls these. */
const SLEEPERS = {
  wait(pointer, given, ms) {
    const held = [];
    return checked(C.wait(pointer, ptr(structOf(CLAIM, given, held)), ms, AT_PROBLEM));
  },
  receiveMany(pointer, requests) {
    const held = [];
    return rows(C.receive_many, pointer, ptr(manyOf(requests, held)), requests.length);
  },
  retain(pointer, given) {
    const held = [];
    return rows(C.retain, pointer, ptr(structOf(RETENTION, given, held)));
  },
};

class Lane {
  #name = crypto.randomUUID();
  #waiting = new Map();
  #numbers = 0;
  #worker = null;

  #start() {
    const worker = new Worker(join(__dirname, "lane.js"));
    worker.onmessage = ({ data: { id, gives, code, text } }) => {
      // Bun gives this one the last answers of a lane whose own thread was terminated.
      if (!this.#waiting.has(id)) return;
      const { resolve, reject } = this.#waiting.get(id);
      this.#waiting.delete(id);
      if (!this.#waiting.size) worker.unref(); // an idle lane keeps no process alive
      if (code === undefined) resolve(gives);
      else reject(makeError(code, text));
    };
    return worker;
  }

  give(what, object, ...given) {
    const pointer = handle(object);
    const worker = (this.#worker ??= this.#start());
    return new Promise((resolve, reject) => {
      const id = `${this.#name} ${(this.#numbers += 1)}`;
      // `object` is kept, so that the handle is not closed meanwhile.
      this.#waiting.set(id, { resolve, reject, object });
      worker.ref();
      worker.postMessage({ id, what, pointer, given });
    });
  }

  end() {
    this.#worker?.terminate();
  }
}

Object.assign(native, {
  lane: () => new Lane(),
  laneEnd: (lane) => lane.end(),
  laneWait: (lane, object, given, ms) => lane.give("wait", object, given, ms),
  laneReceiveMany: (lane, object, requests) => lane.give("receiveMany", object, requests),
  laneRetain: (lane, object, given) => lane.give("retain", object, given),
  SLEEPERS,
});

module.exports = native;
