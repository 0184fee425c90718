"use strict";

// What comes back: plain objects whose members are the columns of knocker.h. Times are Unix seconds.

/** @typedef {import("./native").Row} Row */

const { Closed } = require("./errors");
const { milliseconds } = require("./requests");
const native = require("#native");

/** @param {string | null} text @returns {Record<string, string>} */
function lines(text) {
  /** @type {Record<string, string>} */
  const found = {};
  for (const line of (text ?? "").split("\n")) {
    const at = line.indexOf(":");
    if (at > 0) found[line.slice(0, at)] = line.slice(at + 1).trim();
  }
  return found;
}

/** @param {string | null} text */
const json = (text) => JSON.parse(text || "{}");
/** @param {unknown} value */
const boolean = (value) => (value === null ? null : value !== 0);

/** Text that JSON or SQL could hold is a string already. @param {unknown} value */
const bytes = (value) => (typeof value === "string" ? Buffer.from(value) : value);

/** How a column becomes a member where the two differ. @type {Record<string, [string, Function]>} */
const CONVERSIONS = {
  headers_json: ["headers", json],
  query_json: ["query", json],
  body: ["body_blob", bytes],
  response_headers: ["response_headers", lines],
  response_body: ["response_body", bytes],
  duplicate: ["duplicate", boolean],
  valid: ["valid", boolean],
  signature_valid: ["signature_valid", boolean],
  enabled: ["enabled", boolean],
  paused: ["paused", boolean],
};

/** One of C's rows as people see it. @param {Row} row @param {Row} [into] @returns {any} */
function one(row, into = {}) {
  for (const column of Object.keys(row)) {
    const conversion = CONVERSIONS[column];
    if (conversion) into[conversion[0]] = conversion[1](row[column]);
    else into[column] = row[column];
  }
  return into;
}

/** @param {Row[]} found */
const many = (found) => found.map((row) => one(row));

/** An event in its handler, which may renew its lease. */
class Event {
  /** @type {import("./native").Work | null} */
  #work = null;

  /** @param {Row} row @param {import("./native").Work} [work] */
  constructor(row, work) {
    one(row, this);
    if (work) this.#work = work;
  }

  /** In a handler: the lease now ends `seconds` from now. @param {number} seconds */
  extend(seconds) {
    if (!this.#work) throw new Closed("an event is extended by its handler only");
    native.extend(this.#work, milliseconds("seconds", seconds));
  }
}

module.exports = { one, many, Event };
