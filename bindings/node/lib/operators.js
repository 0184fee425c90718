"use strict";

// The operators' half of a handle: looking at rows, and acting on events.

const native = require("#native");
const rows = require("./rows");
const { choice, count, objectJson, options, textsJson, verifierMembers } = require("./requests");

/** @typedef {Record<string, any>} Bag */
/** @typedef {number | bigint} Id */

const EVENT = 1, DELIVERY = 2, ATTEMPT = 3, ENDPOINT = 4, JOB = 5, AUDIT = 6;
const PAGE = ["since", "limit", "beforeId"];
const VERIFIER = ["provider", "secrets", "providerOptions"];

/** Every row of a list, page by page; between two pages the event loop turns.
 * @param {(page: Bag) => Bag[]} list @param {Bag} filter */
async function* pages(list, filter) {
  const limit = filter.limit ?? 100;
  for (let beforeId = filter.beforeId; ;) {
    const page = list({ ...filter, limit, ...(beforeId === undefined ? {} : { beforeId }) });
    yield* page;
    if (!page.length) return;
    beforeId = page[page.length - 1].id;
    await new Promise(setImmediate);
  }
}

/** What KnockerSqlite inherits: each method is one call on its handle. */
class Operators {
  /** @returns {import("./native").Handle} */
  get _handle() {
    throw new TypeError("there is no handle");
  }

  // -- looking

  /** @param {Id} id */
  getEvent(id) {
    return rows.one(native.get(this._handle, EVENT, id)[0]);
  }

  /** @param {Id} id */
  getDelivery(id) {
    return rows.one(native.get(this._handle, DELIVERY, id)[0]);
  }

  /** @param {number} kind @param {Bag} given @param {Bag} members */
  #list(kind, given, members) {
    return rows.many(native.list(this._handle, {
      kind,
      since_s: given.since,
      limit: count("limit", given.limit),
      before_id: count("beforeId", given.beforeId),
      ...members,
    }));
  }

  /** Newest first, at most `limit` (100); `beforeId` gives the next page. @param {Bag} [filter] */
  listEvents(filter) {
    const given = options(filter, [...PAGE, "status", "endpoint", "eventType"]);
    const { status, endpoint, eventType } = given;
    return this.#list(EVENT, given, { status, endpoint, event_type: eventType });
  }

  /** Newest first. `signatureValid: false` is "not true": also those that nobody checked.
   * @param {Bag} [filter] */
  listDeliveries(filter) {
    const given = options(filter,
      [...PAGE, "eventId", "endpoint", "eventType", "signatureValid", "orphaned"]);
    return this.#list(DELIVERY, given, {
      event_id: count("eventId", given.eventId),
      endpoint: given.endpoint,
      event_type: given.eventType,
      signature_valid: choice(given.signatureValid),
      orphaned: choice(given.orphaned),
    });
  }

  /** The runs of handlers: of the newest event first, and of each the last first.
   * @param {Bag} [filter] */
  listAttempts(filter) {
    const given = options(filter, ["eventId", "limit", "beforeId"]);
    return this.#list(ATTEMPT, given, { event_id: count("eventId", given.eventId) });
  }

  /** What is queued, as it comes due. @param {Bag} [filter] */
  listJobs(filter) {
    const given = options(filter, ["endpoint", "limit"]);
    return this.#list(JOB, given, { endpoint: given.endpoint });
  }

  /** What was pruned when, newest first. @param {Bag} [filter] */
  listPruneAudits(filter) {
    const given = options(filter, [...PAGE, "kind"]);
    return this.#list(AUDIT, given, { audit_kind: given.kind });
  }

  /** The endpoints in the file, by name. @param {Bag} [filter] */
  listEndpoints(filter) {
    return this.#list(ENDPOINT, options(filter, PAGE), {});
  }

  /** All events of a filter, for `for await`. @param {Bag} [filter] */
  events(filter) {
    return pages((page) => this.listEvents(page), { ...filter });
  }

  /** All deliveries of a filter, for `for await`. @param {Bag} [filter] */
  deliveries(filter) {
    return pages((page) => this.listDeliveries(page), { ...filter });
  }

  /** All prune audits of a filter, for `for await`. @param {Bag} [filter] */
  pruneAudits(filter) {
    return pages((page) => this.listPruneAudits(page), { ...filter });
  }

  /** A query of the application's own, outside any transaction: it sees what is committed.
   * @param {string} sql @param {any[]} [parameters] */
  read(sql, parameters = []) {
    return native.read(this._handle, sql, parameters);
  }

  /** Why an event is where it is. @param {Id} id */
  why(id) {
    return native.why(this._handle, id)[0];
  }

  /** What would have made a stored delivery valid when it came, likeliest first. What is not given
   * is that of its endpoint. @param {Id} id @param {Bag} [by] */
  diagnose(id, by) {
    const given = options(by, [...VERIFIER, "others"]);
    const others = objectJson("others", given.others);
    return native.diagnoseDelivery(this._handle, id, verifierMembers(given), others);
  }

  /** First all together (its `endpoint` is null), then one an endpoint, by name. */
  stats() {
    return native.stats(this._handle);
  }

  // -- operating

  /** Holds the handling of an endpoint's events, for all workers; receiving goes on.
   * @param {string} endpoint */
  pause(endpoint) {
    native.pause(this._handle, endpoint, 1);
  }

  /** Handles the events of a paused endpoint again. @param {string} endpoint */
  resume(endpoint) {
    native.pause(this._handle, endpoint, 0);
  }

  /** The event's queued job will not call its handler. @param {Id} id @param {string} [reason] */
  ignore(id, reason) {
    native.ignore(this._handle, id, reason ?? null);
  }

  /** Runs a finished or failed event's own body again. @param {Id} id */
  replay(id) {
    native.replay(this._handle, id);
  }

  /** Queues an event that has no live job. @param {Id} id */
  requeue(id) {
    native.requeue(this._handle, id);
  }

  /** Runs the event's handler with this delivery's body; the event's own stays. @param {Id} id */
  replayDelivery(id) {
    native.replayDelivery(this._handle, id);
  }

  /** After a fix: verifies an endpoint's orphans again, and makes those that pass events. Oldest
   * first, at most `limit` (100); the last row's `delivery_id` as `afterId` gives the next ones.
   * @param {string} endpoint @param {Bag} [by] */
  reverify(endpoint, by) {
    const given = options(by, [...VERIFIER, "since", "limit", "afterId", "dryRun"]);
    const members = { endpoint, ...verifierMembers(given) };
    return native.reverify(this._handle, members, given.since ?? 0, count("afterId", given.afterId),
      count("limit", given.limit), Number(Boolean(given.dryRun)));
  }

  /** Removes handled and ignored events received before `olderThan`, oldest first.
   * @param {Bag} prune */
  pruneEvents(prune) {
    const given = options(prune, ["olderThan", "statuses", "limit", "dryRun"]);
    return native.pruneEvents(this._handle, {
      older_than_s: given.olderThan,
      statuses_json: textsJson("statuses", given.statuses),
      limit: count("limit", given.limit),
      dry_run: Boolean(given.dryRun),
    })[0];
  }

  /** Removes rejected receipts from before `olderThan`, oldest first. @param {Bag} prune */
  pruneOrphanDeliveries(prune) {
    const given = options(prune, ["olderThan", "limit", "dryRun"]);
    return native.pruneOrphanDeliveries(this._handle, {
      older_than_s: given.olderThan,
      limit: count("limit", given.limit),
      dry_run: Boolean(given.dryRun),
    })[0];
  }
}

module.exports = { Operators, EVENT };
