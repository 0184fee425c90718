"use strict";

// Checking and signing without any file: the same tables verify a request and emulate its sender.

const native = require("#native");
const rows = require("./rows");
const {
  HTTP, httpMembers, milliseconds, objectJson, options, verifierMembers,
} = require("./requests");

/** @typedef {Record<string, any>} Bag */

/** @param {any} provider @param {unknown} request @param {string[]} more
 * @returns {[Bag, number, Bag]} */
function asked(provider, request, more = []) {
  const given = options(request, [...HTTP, "secrets", "options", "now", ...more]);
  const { secrets, options: providerOptions } = given;
  const verifier = verifierMembers({ provider, secrets, providerOptions });
  return [{ ...httpMembers(given), ...verifier }, milliseconds("now", given.now), given];
}

/** Checks a request against a built-in provider or a scheme. `now` is the system's clock by
 * default. @param {string | object} provider @param {Bag} [request] */
function verify(provider, request) {
  const [members, now] = asked(provider, request);
  return rows.one(native.verify(members, now)[0]);
}

/** What would have made a request valid, likeliest first. `others` are further secrets to be tried,
 * by the names that the sentences give them. @param {string | object} provider
 * @param {Bag} [request] */
function diagnose(provider, request) {
  const [members, now, given] = asked(provider, request, ["others"]);
  return native.diagnose(members, objectJson("others", given.others), now);
}

/** The headers that the provider would send with this request, signed with the first secret.
 * @param {string | object} provider @param {Bag} [request] @returns {Record<string, string>} */
function sign(provider, request) {
  const [members, now] = asked(provider, request);
  return Object.fromEntries(native.sign(members, now).map((row) => [row.name, row.value]));
}

module.exports = { verify, diagnose, sign };
