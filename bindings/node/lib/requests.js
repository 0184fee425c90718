"use strict";

// How JavaScript's arguments become the members of knocker.h's structs. Every mistake in a call is
// found here or in C.

const { InvalidArgument } = require("./errors");

/** @typedef {Record<string, any>} Bag */

/** What a value is, for a sentence. @param {unknown} value */
function kindOf(value) {
  if (value === null) return "null";
  if (Array.isArray(value)) return "an array";
  if (typeof value !== "object") return `a ${typeof value}`;
  const name = value.constructor?.name;
  return !name || name === "Object" ? "an object" : `a ${name}`;
}

/** A misspelt option must not be silently without effect. @param {unknown} given
 * @param {string[]} known @returns {Bag} */
function options(given, known) {
  if (given === undefined || given === null) return {};
  if (typeof given !== "object") {
    throw new InvalidArgument(`the options must be an object, not ${kindOf(given)}`);
  }
  for (const name of Object.keys(given)) {
    if (!known.includes(name)) throw new InvalidArgument(`no option is named '${name}'`);
  }
  return given;
}

/** An integer of which C takes 0 for "not given": here only undefined and null say that.
 * @param {string} name @param {unknown} value @returns {number | bigint} */
function count(name, value) {
  if (value === undefined || value === null) return 0;
  const whole = typeof value === "bigint" || Number.isSafeInteger(value);
  if (!whole || Number(value) === 0) throw new InvalidArgument(`${name} is ${String(value)}`);
  return /** @type {number | bigint} */ (value);
}

/** @param {string} name @param {unknown} seconds */
function milliseconds(name, seconds) {
  if (seconds === undefined || seconds === null) return 0;
  if (typeof seconds !== "number" || !(Math.abs(seconds) <= 1e12)) {
    const shown = typeof seconds === "number" ? String(seconds) : kindOf(seconds);
    throw new InvalidArgument(`${name} must be a number of seconds, not ${shown}`);
  }
  return Number(count(name, Math.round(seconds * 1000)));
}

/** A list of texts as JSON. They may be secrets, so no error shows one.
 * @param {string} name @param {any} texts */
function textsJson(name, texts) {
  if (texts === undefined || texts === null) return null;
  if (typeof texts === "string" || typeof texts[Symbol.iterator] !== "function") {
    throw new InvalidArgument(`${name} must be a list of texts, not ${kindOf(texts)}`);
  }
  const items = [...texts];
  for (const [index, item] of items.entries()) {
    if (typeof item !== "string") {
      throw new InvalidArgument(`${name}[${index}] must be a text, not ${kindOf(item)}`);
    }
  }
  return JSON.stringify(items);
}

/** @param {string} name @param {any} value */
function objectJson(name, value) {
  if (value === undefined || value === null) return null;
  if (typeof value !== "object" || Array.isArray(value)) {
    throw new InvalidArgument(`${name} must be an object, not ${kindOf(value)}`);
  }
  try {
    return JSON.stringify(value, (key, one) => {
      if (typeof one !== "number" || Number.isFinite(one)) return one;
      throw new TypeError(`${key} is ${one}`);
    });
  } catch (error) {
    throw new InvalidArgument(`${name}: ${/** @type {Error} */ (error).message}`);
  }
}

/** A filter's yes, no, or either. @param {boolean | null | undefined} value */
function choice(value) {
  return value === undefined || value === null ? 0 : value ? 1 : 2;
}

/** A name goes as it is, a scheme of the application's own as JSON. @param {any} provider */
function providerText(provider) {
  if (provider === undefined || provider === null || typeof provider === "string") return provider;
  if (typeof provider === "object" && typeof provider.verify !== "function") {
    return objectJson("provider", provider);
  }
  throw new InvalidArgument(`provider must be a name or a scheme, not ${kindOf(provider)}`);
}

/** @param {string} what @param {string} text */
function utf8(what, text) {
  if (/\p{Surrogate}/u.test(text)) {
    throw new InvalidArgument(`${what} is a text with lone surrogates: give the raw bytes`);
  }
  return Buffer.from(text);
}

/** @param {any} body */
function bodyBytes(body) {
  if (body === undefined || body === null || ArrayBuffer.isView(body)) return body;
  if (body instanceof ArrayBuffer) return Buffer.from(body);
  if (typeof body === "string") return utf8("body", body);
  throw new InvalidArgument(`body is ${kindOf(body)}: a body parser has taken the raw bytes that ` +
    'were signed; give them as received, in Express by express.raw({ type: "*/*" }) on this route');
}

const strict = new TextDecoder("utf-8", { fatal: true });

/** The bytes as received. Node decodes headers as Latin-1; where that cannot be undone, the text was
 * decoded as UTF-8. @param {string} name @param {unknown} value */
function headerBytes(name, value) {
  if (ArrayBuffer.isView(value)) {
    return Buffer.from(value.buffer, value.byteOffset, value.byteLength);
  }
  if (typeof value !== "string") {
    throw new InvalidArgument(`header '${name}' must be a text, not ${kindOf(value)}`);
  }
  if (/^[\0-\xff]*$/.test(value)) {
    const raw = Buffer.from(value, "latin1");
    try {
      strict.decode(raw);
      return raw;
    } catch {
      // It was no UTF-8 that was read as Latin-1.
    }
  }
  return utf8(`header '${name}'`, value);
}

/** One pair a line: a list of values is so many lines. @param {any} headers
 * @returns {[string, any][]} */
function headerPairs(headers) {
  if (headers === undefined || headers === null) return [];
  if (typeof headers !== "object") {
    throw new InvalidArgument(`headers must be an object or a list of pairs, not ${kindOf(headers)}`);
  }
  const found = typeof headers[Symbol.iterator] === "function" ? [...headers] : Object.entries(headers);
  /** @type {[string, any][]} */
  const pairs = [];
  for (const pair of found) {
    if (!Array.isArray(pair) || pair.length !== 2 || typeof pair[0] !== "string") {
      throw new InvalidArgument("headers must be an object or a list of pairs");
    }
    const [name, value] = pair;
    if (Array.isArray(value)) pairs.push(...value.map((one) => /** @type {any} */ ([name, one])));
    else if (value !== undefined) pairs.push([name, value]);
  }
  return pairs;
}

/** Text where it is ASCII, else the bytes. @param {any} headers */
function headerLines(headers) {
  const pairs = headerPairs(headers);
  for (const [name] of pairs) {
    if (!name || /[:\r\n]/.test(name)) {
      throw new InvalidArgument(`header '${name}' is no header: it has a line break or a colon, or no name`);
    }
  }
  const ascii = /^[\0-\x09\x0b\x0c\x0e-\x7f]*$/;
  if (pairs.every(([name, value]) => typeof value === "string" && ascii.test(value) && ascii.test(name))) {
    return pairs.map(([name, value]) => `${name}: ${value}\n`).join("");
  }
  return Buffer.concat(pairs.map(([name, value]) => {
    const bytes = headerBytes(name, value);
    if (bytes.includes(10) || bytes.includes(13)) {
      throw new InvalidArgument(`header '${name}' is no header: it has a line break or a colon, or no name`);
    }
    return Buffer.concat([headerBytes("name", name), Buffer.from(": "), bytes, Buffer.from("\n")]);
  }));
}

/** @param {string} text */
function escaped(text) {
  try {
    return encodeURIComponent(text).replace(/[!'()*]/g, (char) => `%${char.charCodeAt(0).toString(16).toUpperCase()}`);
  } catch {
    throw new InvalidArgument("query has a text with lone surrogates: give the raw text");
  }
}

/** The pairs of a parsed query. Express nests `a[b]=1`; that is undone. @param {string} name
 * @param {any} value @returns {string[]} */
function queryPairs(name, value) {
  if (value === undefined) return [];
  if (Array.isArray(value)) return value.flatMap((one) => queryPairs(name, one));
  if (value !== null && typeof value === "object") {
    return Object.entries(value).flatMap(([key, one]) => queryPairs(`${name}[${key}]`, one));
  }
  return [`${escaped(name)}=${escaped(value === null ? "" : String(value))}`];
}

/** @param {any} query */
function queryText(query) {
  if (query === undefined || query === null || typeof query === "string") return query;
  if (query instanceof URLSearchParams) return query.toString();
  if (typeof query !== "object") {
    throw new InvalidArgument(`query must be an object or the raw text, not ${kindOf(query)}`);
  }
  if (ArrayBuffer.isView(query)) return query;
  return Object.entries(query).flatMap(([name, value]) => queryPairs(name, value)).join("&");
}

const HTTP = ["body", "headers", "query", "method"];
const RECEIPT = [...HTTP, "endpoint", "eventType", "providerEventId", "providerDeliveryId",
  "dedupeKey", "queueName", "maxAttempts"];
const RECEIVE = [...RECEIPT, "provider", "secrets", "providerOptions", "verdict"];
const INGEST = [...RECEIPT, "signatureValid", "signatureError"];

/** What came over the wire. @param {Bag} given */
function httpMembers(given) {
  return {
    method: given.method ?? "POST",
    headers: headerLines(given.headers),
    query: queryText(given.query),
    body: bodyBytes(given.body),
  };
}

/** @param {Bag} given @returns {Bag} */
function receiptMembers(given) {
  return {
    endpoint: given.endpoint,
    ...httpMembers(given),
    event_type: given.eventType,
    provider_event_id: given.providerEventId,
    provider_delivery_id: given.providerDeliveryId,
    dedupe_key: given.dedupeKey,
    queue_name: given.queueName,
    max_attempts: count("maxAttempts", given.maxAttempts),
  };
}

/** By what a request is verified. @param {Bag} given */
function verifierMembers(given) {
  return {
    provider: providerText(given.provider),
    secrets_json: textsJson("secrets", given.secrets),
    options_json: objectJson("providerOptions", given.providerOptions),
  };
}

/** @param {unknown} request @returns {Bag} */
function receiveMembers(request) {
  const given = options(request, RECEIVE);
  const members = { ...receiptMembers(given), ...verifierMembers(given) };
  return given.verdict ? { ...members, ...given.verdict.members() } : members;
}

/** @param {unknown} request @returns {Bag} */
function ingestMembers(request) {
  const given = options(request, INGEST);
  const valid = given.signatureValid;
  if (valid !== true && valid !== false && valid !== null) {
    throw new InvalidArgument(`signatureValid is ${String(valid)}, not true, false or null`);
  }
  const verdict = valid === null ? 3 : valid ? 1 : 2;
  return { ...receiptMembers(given), verdict, verdict_error: given.signatureError };
}

module.exports = {
  HTTP, options, count, milliseconds, textsJson, objectJson, choice, providerText, kindOf,
  headerPairs, httpMembers, verifierMembers, receiveMembers, ingestMembers,
};
