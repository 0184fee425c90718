"use strict";

// The handle: endpoints, receipts, handlers, workers. Each method is one call of knocker.h with
// JavaScript's manners.

const native = require("#native");
const rows = require("./rows");
const { InvalidArgument, errorOf } = require("./errors");
const { Operators } = require("./operators");
const { Registered, Registry } = require("./provider");
const retention = require("./retention");
const { Turns } = require("./turns");
const { Worker, workerOptions } = require("./worker");
const {
  count, ingestMembers, kindOf, milliseconds, objectJson, options, textsJson, verifierMembers,
} = require("./requests");

/** @typedef {Record<string, any>} Bag */
/**
 * What a handle shares with its workers. `depth` says how many handlers of this handle run now.
 * @typedef {{handle: import("./native").Handle, registry: Registry, closed: boolean, depth: number,
 *   handlers: Map<string, Map<string | null, Function>>,
 *   log: (text: string, error?: unknown) => void}} Inside
 */

const OPEN = ["queueName", "visibilityTimeoutS", "maxAttempts", "maxReaders", "synchronous",
  "busyTimeoutMs", "maxBodyBytes", "initSql", "backoffBaseS", "backoffCapS", "orphanBytes",
  "orphanRows", "settleFull", "existing", "clock", "seed", "log"];
const ENDPOINT = ["name", "path", "provider", "secrets", "providerOptions", "scheme", "external",
  "enabled", "queueName", "maxAttempts", "backoffBaseS", "backoffCapS", "deliveryKey", "eventKey"];

/** @param {unknown} path @param {Bag} given */
function openMembers(path, given) {
  const synchronous = given.synchronous ?? "full";
  if (synchronous !== "full" && synchronous !== "normal") {
    throw new InvalidArgument(`synchronous is '${String(synchronous)}', not 'full' or 'normal'`);
  }
  if (given.maxBodyBytes < 0) throw new InvalidArgument(`maxBodyBytes is ${given.maxBodyBytes}`);
  return {
    path: path instanceof URL ? require("node:url").fileURLToPath(path) : path,
    queue_name: given.queueName,
    init_sql: given.initSql,
    visibility_ms: milliseconds("visibilityTimeoutS", given.visibilityTimeoutS),
    max_attempts: count("maxAttempts", given.maxAttempts),
    backoff_base_ms: milliseconds("backoffBaseS", given.backoffBaseS),
    backoff_cap_ms: milliseconds("backoffCapS", given.backoffCapS),
    max_readers: count("maxReaders", given.maxReaders),
    busy_timeout_ms: count("busyTimeoutMs", given.busyTimeoutMs),
    max_body_bytes: given.maxBodyBytes === 0 || given.maxBodyBytes === null ? -1 : given.maxBodyBytes,
    synchronous: synchronous === "full" ? 0 : 1,
    settle_full: Boolean(given.settleFull),
    orphan_bytes: count("orphanBytes", given.orphanBytes),
    orphan_rows: count("orphanRows", given.orphanRows),
    thread_bound: 1,
    existing: Boolean(given.existing),
    clock_ms: milliseconds("clock", given.clock),
    seed: count("seed", given.seed),
  };
}

/** One endpoint of a handle: `handle` registers its handlers, `receive` takes its requests. */
class Endpoint {
  #inbox;

  /** @param {KnockerSqlite} inbox @param {string} name */
  constructor(inbox, name) {
    this.#inbox = inbox;
    this.name = name;
  }

  /** As `registerHandler`, for this endpoint. @param {any} first @param {any} [second] */
  handle(first, second) {
    this.#inbox.registerHandler(this.name, first, second);
  }

  /** @param {Bag} request */
  receive(request) {
    return this.#inbox.receive({ ...request, endpoint: this.name });
  }

  /** @param {Bag} request */
  receiveAsync(request) {
    return this.#inbox.receiveAsync({ ...request, endpoint: this.name });
  }
}

/** A row of receiveMany: a result, or its error. @param {import("./native").Row} row */
function resultOf(row) {
  const { error_code, error, ...result } = row;
  return error_code ? errorOf(error_code, error) : rows.one(result);
}

/** An open file. */
class KnockerSqlite extends Operators {
  /** @type {Inside} */
  #inside;
  /** @type {Map<string, Worker>} */
  #workers = new Map();
  #turns;
  /** @type {number | null} */
  #clock;
  #queueName;

  /** Opens a file, and creates it unless it must be `existing`.
   * @param {string | URL | Buffer} path @param {Bag} [given] */
  constructor(path, given) {
    super();
    const known = options(given, OPEN);
    const log = known.log ?? console.warn;
    const handle = native.open(openMembers(path, known));
    this.#inside = {
      handle, registry: new Registry(log), handlers: new Map(), closed: false, depth: 0, log,
    };
    this.#turns = new Turns(handle, resultOf);
    this.#clock = known.clock ?? null;
    this.#queueName = known.queueName ?? "knocker.events";
  }

  /** Ends the handle. Stop its workers first; closing twice is fine. */
  close() {
    const handle = this._handle;
    this.#inside.closed = true;
    for (const worker of this.#workers.values()) worker.stopping = true;
    native.close(handle);
  }

  /** The handle for a call from outside of its handlers. */
  get _handle() {
    if (this.#inside.depth > 0) {
      throw new InvalidArgument("called on the handle from inside its own handler: use tx");
    }
    return this.#inside.handle;
  }

  /** The queue where events go and workers look unless told otherwise. */
  get queueName() {
    return this.#queueName;
  }

  /** For tests: this handle's clock stands at `seconds`; null returns to the system's.
   * @param {number | null} seconds */
  setClock(seconds) {
    native.setClock(this.#inside.handle, milliseconds("seconds", seconds));
    this.#clock = seconds;
  }

  // -- endpoints

  /** `addEndpoint`, and an object to register handlers and receive with. @param {Bag} endpoint */
  endpoint(endpoint) {
    this.addEndpoint(endpoint);
    return new Endpoint(this, endpoint.name);
  }

  /** Creates or updates the endpoint of this name and returns its id. Without a provider nothing is
   * verified. @param {Bag} endpoint */
  addEndpoint(endpoint) {
    const given = options(endpoint, ENDPOINT);
    const own = typeof given.provider?.verify === "function"
      ? new Registered(given.provider, given.secrets, given.providerOptions) : null;
    const isScheme = !own && given.provider && typeof given.provider === "object";
    const verifier = own ? { provider: own.provider.name, external: 1 } : {
      ...verifierMembers(isScheme ? { ...given, provider: "custom" } : given),
      scheme_json: objectJson("scheme", isScheme ? given.provider : given.scheme),
      external: Boolean(given.external),
    };
    const id = native.addEndpoint(this._handle, {
      name: given.name,
      path: given.path,
      queue_name: given.queueName,
      disabled: given.enabled === false,
      max_attempts: count("maxAttempts", given.maxAttempts),
      backoff_base_ms: milliseconds("backoffBaseS", given.backoffBaseS),
      backoff_cap_ms: milliseconds("backoffCapS", given.backoffCapS),
      ...verifier,
    });
    this.#inside.registry.put(given.name, own, {
      provider_delivery_id: given.deliveryKey, provider_event_id: given.eventKey,
    });
    return id;
  }

  /** The curated built-in providers and their versions. @returns {Record<string, string>} */
  providerVersions() {
    const curated = native.providers().filter((row) => row.curated);
    return Object.fromEntries(curated.map((row) => [row.name, row.version]));
  }

  // -- receiving

  /** Verifies, stores, deduplicates and queues a request in one commit. A rejected request is a
   * result. @param {Bag} request */
  receive(request) {
    return rows.one(native.receive(this._handle, this.#inside.registry.members(request))[0]);
  }

  /** The trusted door: the caller states `signatureValid`; null is "not checked".
   * @param {Bag} request */
  ingest(request) {
    return rows.one(native.ingest(this._handle, ingestMembers(request))[0]);
  }

  /** Receives 1 to 1000 requests in one commit. In place of a bad one stands its error, not thrown.
   * @param {Iterable<Bag>} requests */
  receiveMany(requests) {
    const handle = this._handle;
    /** @type {any[]} */
    const results = [];
    /** @type {Bag[]} */
    const good = [];
    for (const request of requests) {
      try {
        good.push(this.#checked(request));
        results.push(null);
      } catch (error) {
        results.push(error);
      }
    }
    if (good.length || !results.length) {
      const found = native.receiveMany(handle, good).map(resultOf);
      return results.map((result) => result ?? found.shift());
    }
    return results;
  }

  /** As `receive`, off this thread; what arrives in one turn of the event loop is one commit.
   * @param {Bag} request */
  async receiveAsync(request) {
    void this._handle; // refuses a call from inside a handler
    return this.#turns.receive(this.#checked(request));
  }

  /** @param {Bag} request */
  #checked(request) {
    const members = this.#inside.registry.members(request);
    native.checkRequest(members);
    return members;
  }

  // -- handlers and workers

  /** Registers a function (event, tx) for an endpoint's events of a type, or, without a type, for
   * all others; one registered before for the same is replaced. Type and function come in either
   * order. @param {any} endpoint @param {any} first @param {any} [second] */
  registerHandler(endpoint, first, second) {
    const [handler, type] = typeof first === "function" ? [first, second] : [second, first];
    const name = endpoint instanceof Endpoint ? endpoint.name : endpoint;
    if (typeof handler !== "function") {
      throw new InvalidArgument(`handler must be a function, not ${kindOf(handler)}`);
    }
    if (type !== undefined && type !== null && typeof type !== "string") {
      throw new InvalidArgument(`the event type must be a text, not ${kindOf(type)}`);
    }
    if (typeof name !== "string") {
      throw new InvalidArgument(`endpoint must be a name, not ${kindOf(name)}`);
    }
    const { handlers } = this.#inside;
    if (!handlers.has(name)) handlers.set(name, new Map());
    handlers.get(name)?.set(type ?? null, handler);
  }

  /** @param {string | undefined | null} workerId @param {Bag} given */
  #worker(workerId, given) {
    void this._handle; // refuses a call from inside a handler
    return new Worker(this.#inside, workerId, given);
  }

  /** Handles events and resolves to how many, when `signal` is aborted or `maxJobs` were claimed.
   * Before it stops it finishes the jobs that it has claimed. @param {Bag} [given] */
  async runWorker(given) {
    const known = workerOptions(given, ["workerId", "maxJobs", "signal", "onError"]);
    const most = count("maxJobs", known.maxJobs) || Infinity;
    const worker = this.#worker(known.workerId, known);
    this.#workers.set(worker.workerId, worker);
    return worker.run(known.signal, known.onError, Number(most));
  }

  /** Handles at most one event, and returns its id, or null. @param {string} [workerId]
   * @param {Bag} [given] */
  runWorkerOnce(workerId, given) {
    const worker = this.#worker(workerId, workerOptions(given));
    return worker.runDue(Infinity, 1).next().value ?? null;
  }

  /** For tests: handles what is due, until nothing is; returns the events' ids.
   * @param {string} [workerId] @param {Bag} [given] */
  drain(workerId, given) {
    const known = workerOptions(given, ["maxJobs"]);
    const most = count("maxJobs", known.maxJobs) || Infinity;
    return [...this.#worker(workerId, known).runDue(Number(most))];
  }

  /** The workers that this handle has run, as they are now. */
  workerStates() {
    return [...this.#workers.values()].map((worker) => worker.state());
  }

  /** Prunes by the policy until `signal` is aborted. Many processes may run it on one file: each
   * interval is pruned once. @param {Bag} policy @param {{signal?: AbortSignal}} [given] */
  async runRetention(policy, given) {
    const { signal } = options(given, ["signal"]);
    const now = () => this.#clock ?? Date.now() / 1000;
    await retention.run(this._handle, now, policy, signal);
  }
}

module.exports = { KnockerSqlite, Endpoint };
