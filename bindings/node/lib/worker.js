"use strict";

// Running handlers: a handler's transaction, and the loop that claims and settles. Outcomes are
// decided in C. Handlers run on the JavaScript thread; what sleeps, sleeps on a lane.

const { hostname } = require("node:os");
const native = require("#native");
const rows = require("./rows");
const {
  Busy, Closed, Dead, Ignore, InvalidArgument, LeaseLost, RetryAfter, SqlError,
} = require("./errors");
const { ingestMembers, kindOf, options, textsJson } = require("./requests");
const { EVENT } = require("./operators");

/** @typedef {Record<string, any>} Bag */
/** @typedef {import("./native").Work} Work */
/** @typedef {import("./native").Row} Row */

const HANDLED = 1, FAILED = 2, RETRY_AFTER = 3, DEAD = 4, IGNORED = 5, NO_HANDLER = 6;
const SERVES = ["queues", "endpoints", "missing", "onDead", "handlerTimeoutS"];
let numbers = 0;

/** A statement of a handler's, in the manner of better-sqlite3. */
class Statement {
  #tx;
  #sql;

  /** @param {Tx} tx @param {string} sql */
  constructor(tx, sql) {
    this.#tx = tx;
    this.#sql = sql;
  }

  /** @param {any[]} parameters */
  run(...parameters) {
    return this.#tx.execute(this.#sql, parameters.flat());
  }

  /** The first row, or undefined. @param {any[]} parameters */
  get(...parameters) {
    return this.all(...parameters)[0];
  }

  /** @param {any[]} parameters */
  all(...parameters) {
    return this.#tx.query(this.#sql, parameters.flat());
  }
}

/** A handler's transaction: what is written through it commits with the event's `handled`, or not
 * at all. */
class Tx {
  #registry;
  #work;

  /** @param {import("./provider").Registry} registry @param {Work} work */
  constructor(registry, work) {
    this.#registry = registry;
    this.#work = work;
  }

  /** @param {string} sql */
  prepare(sql) {
    return new Statement(this, sql);
  }

  /** Runs one statement; `?` are bound in order. @param {string} sql @param {any[]} [parameters] */
  execute(sql, parameters = []) {
    const [changes, lastInsertRowid] = native.execute(this.#work, sql, parameters);
    return { changes, lastInsertRowid };
  }

  /** Runs one statement and returns its rows. @param {string} sql @param {any[]} [parameters] */
  query(sql, parameters = []) {
    return native.query(this.#work, sql, parameters);
  }

  /** @param {Bag} request */
  receive(request) {
    return rows.one(native.workReceive(this.#work, this.#registry.members(request))[0]);
  }

  /** @param {Bag} request */
  ingest(request) {
    return rows.one(native.workIngest(this.#work, ingestMembers(request))[0]);
  }
}

/** What was thrown, in words. It is the application's code. @param {unknown} thrown */
function describe(thrown) {
  try {
    return String(thrown).replace(/\p{Surrogate}/gu, "\ufffd");
  } catch {
    return `the handler threw ${kindOf(thrown)}`;
  }
}

/** What a handler returns or throws is an outcome.
 * @returns {[number, string | null, number]} @param {Function} handler @param {Row} event
 * @param {Tx} tx @param {(text: string, error?: unknown) => void} log */
function outcomeOf(handler, event, tx, log) {
  let returned;
  try {
    returned = handler(event, tx);
  } catch (thrown) {
    if (thrown instanceof RetryAfter) {
      const delayMs = Math.max(1, Math.round(thrown.seconds * 1000));
      return [RETRY_AFTER, describe(thrown.message), delayMs];
    }
    if (thrown instanceof Ignore) return [IGNORED, describe(thrown.message), 0];
    if (thrown instanceof Dead) return [DEAD, describe(thrown.message), 0];
    log(`knocker: event ${event.id} of '${event.endpoint}' failed`, thrown);
    return [FAILED, describe(thrown), 0];
  }
  if (typeof returned?.then !== "function" && typeof returned?.next !== "function") {
    return [HANDLED, null, 0];
  }
  if (returned.then) returned.then(undefined, () => {}); // what it says comes too late
  const text = `the handler returned ${kindOf(returned)}: handlers are synchronous`;
  log(`knocker: event ${event.id} of '${event.endpoint}' failed: ${text}`);
  return [FAILED, text, 0];
}

/** Claims due jobs and runs their handlers, one at a time. */
class Worker {
  /** @type {number | bigint | null} */
  currentEventId = null;
  /** @type {string | null} */
  lastError = null;
  running = false;
  stopping = false;
  #recorded = 0;

  /** @param {import("./inbox").Inside} inside @param {string | null | undefined} workerId
   * @param {Bag} given */
  constructor(inside, workerId, given) {
    const { queues, endpoints, missing, onDead, handlerTimeoutS } = given;
    if (missing !== undefined && missing !== "dead" && missing !== "leave") {
      throw new InvalidArgument(`missing is '${missing}', not 'dead' or 'leave'`);
    }
    if (handlerTimeoutS !== undefined && handlerTimeoutS !== null) {
      throw new InvalidArgument("handlerTimeoutS: JavaScript cannot end a function that runs: give " +
        "a timeout to what the handler calls");
    }
    textsJson("endpoints", endpoints); // checked now, used at each claim
    this.inside = inside;
    this.workerId = workerId ?? `${hostname()}-${process.pid}-${(numbers += 1)}`;
    this.queuesJson = textsJson("queues", queues);
    /** @type {string[] | null} */
    this.endpoints = endpoints ? [...endpoints] : null;
    this.leave = missing === "leave";
    this.onDead = onDead;
  }

  state() {
    return {
      worker_id: this.workerId,
      running: this.running,
      current_event_id: this.currentEventId,
      last_error: this.lastError,
    };
  }

  /** What to claim, and to wait for; null while there is nothing that it could serve.
   * @param {number} most */
  #serves(most) {
    let endpoints = this.endpoints;
    if (this.leave) {
      const able = [...this.inside.handlers.keys()];
      endpoints = able.filter((name) => !endpoints || endpoints.includes(name)).sort();
    }
    if (endpoints && !endpoints.length) return null;
    return {
      worker_id: this.workerId,
      queues_json: this.queuesJson,
      endpoints_json: textsJson("endpoints", endpoints),
      count: most,
    };
  }

  /** @param {number} most @returns {Row[]} */
  #claim(most) {
    const serves = this.#serves(most);
    return serves ? native.claim(this.inside.handle, serves) : [];
  }

  /** Runs claimed jobs; gives the events whose outcome was recorded. When it is torn away, the rest
   * is given back. @param {Row[]} jobs */
  *#runJobs(jobs) {
    try {
      for (let job = jobs.shift(); job; job = jobs.shift()) {
        if (this.#runJob(job)) yield job.event_id;
      }
    } finally {
      for (const job of jobs) {
        try {
          native.release(this.inside.handle, job.job_id, job.claim);
        } catch {
          // It comes due again when its lease ends.
        }
      }
    }
  }

  /** @param {Row} job */
  #runJob(job) {
    const { inside } = this;
    if (job.died) {
      this.#tellDeath(job.event_id);
      return false;
    }
    const work = native.begin(inside.handle, job.job_id, job.claim);
    if (!work) return false;
    /** @type {Row} */
    let event;
    /** @type {[number, string | null, number]} */
    let outcome = [NO_HANDLER, null, 0];
    this.currentEventId = job.event_id;
    inside.depth += 1;
    try {
      event = new rows.Event(native.event(work)[0], work);
      const own = inside.handlers.get(event.endpoint);
      const handler = own?.get(event.event_type) ?? own?.get(null);
      if (handler) outcome = outcomeOf(handler, event, new Tx(inside.registry, work), inside.log);
    } catch (error) {
      native.abandon(work);
      throw error;
    } finally {
      inside.depth -= 1;
      this.currentEventId = null;
    }
    return this.#settle(work, event, outcome);
  }

  /** Records an outcome. A lost lease or a busy file costs this job only: it comes due again.
   * @param {Work} work @param {Row} event @param {[number, string | null, number]} outcome */
  #settle(work, event, outcome) {
    if (outcome[0] === FAILED) this.lastError = outcome[1];
    let status;
    try {
      status = native.settle(work, ...outcome)[0].status;
    } catch (error) {
      const known = [LeaseLost, Busy, SqlError].some((Kind) => error instanceof Kind);
      if (!known) throw error;
      this.inside.log(`knocker: event ${event.id} of '${event.endpoint}'`, error);
      this.lastError = describe(error);
      if (!(error instanceof SqlError)) return false;
      // What the handler wrote could not be committed, and that was recorded as its failure.
      status = native.get(this.inside.handle, EVENT, event.id)[0].status;
    }
    if (status === "dead") this.#tellDeath(event.id);
    return true;
  }

  /** @param {number | bigint} id */
  #tellDeath(id) {
    if (!this.onDead) return;
    const event = rows.one(native.get(this.inside.handle, EVENT, id)[0]);
    this.onDead(event, event.last_error);
  }

  /** Runs what is due until nothing is, or that many were claimed.
   * @param {number} most @param {number} batch */
  *runDue(most, batch = 10) {
    for (let left = most; left > 0;) {
      const jobs = this.#claim(Math.min(batch, left));
      if (!jobs.length) return;
      left -= jobs.length;
      yield* this.#runJobs(jobs);
    }
  }

  /** @param {number} most */
  async #loop(most) {
    const lane = native.lane();
    try {
      for (let left = most; left > 0 && !this.stopping;) {
        const jobs = this.#claim(Math.min(10, left));
        left -= jobs.length;
        if (!jobs.length) await this.#wait(lane);
        for (const _ of this.#runJobs(jobs)) {
          this.#recorded += 1;
          await new Promise(setImmediate); // requests are answered between two handlers
        }
      }
    } finally {
      native.laneEnd(lane);
    }
    return this.#recorded;
  }

  /** @param {import("./native").Lane} lane */
  async #wait(lane) {
    const serves = this.#serves(10);
    if (serves) await native.laneWait(lane, this.inside.handle, serves, 1000);
    else await new Promise((resolve) => setTimeout(resolve, 100));
  }

  /** Lets the loop end after what it has claimed. One wake may come just before the worker sleeps. */
  stop() {
    this.stopping = true;
    const again = () => {
      if (!this.running || this.inside.closed) return; // closing ends the wait too
      native.wake(this.inside.handle);
      setTimeout(again, 10);
    };
    again();
  }

  /** @param {AbortSignal | undefined} signal @param {Function | undefined} onError
   * @param {number} most */
  async run(signal, onError, most) {
    const stop = () => this.stop();
    if (signal?.aborted) return 0;
    signal?.addEventListener("abort", stop, { once: true });
    this.running = true;
    try {
      return await this.#loop(most);
    } catch (error) {
      if (error instanceof Closed && this.inside.closed) return this.#recorded;
      this.lastError = describe(error);
      await onError?.(error);
      throw error;
    } finally {
      this.running = false;
      signal?.removeEventListener("abort", stop);
    }
  }
}

/** @param {Bag | undefined} given @param {string[]} [more] */
const workerOptions = (given, more = []) => options(given, [...SERVES, ...more]);

module.exports = { Worker, workerOptions };
