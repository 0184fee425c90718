"use strict";

// Providers of the application's own, as objects: the face asks them and passes their verdict on.

const { InvalidArgument } = require("./errors");
const { headerPairs, kindOf, receiveMembers, textsJson } = require("./requests");

/** @typedef {Record<string, any>} Bag */

/** A header's name without regard to case, also in Rack's form. @param {string} name */
const plain = (name) => name.replace(/^HTTP_/, "").replaceAll("_", "-").toLowerCase();

/** A request as it was received, before anything is known of it. */
class ProviderRequest {
  /** @type {Record<string, string>} */
  #plain = Object.create(null);
  /** @type {any} */
  #json;

  /** @param {Bag} given @param {any} body */
  constructor(given, body) {
    this.method = given.method ?? "POST";
    this.body = body ? Buffer.from(body.buffer, body.byteOffset, body.byteLength) : Buffer.alloc(0);
    /** @type {Record<string, string>} */
    this.headers = {};
    for (const [name, value] of headerPairs(given.headers)) {
      const text = typeof value === "string" ? value : Buffer.from(value).toString("latin1");
      for (const [known, key] of /** @type {[Bag, string][]} */ (
        [[this.headers, name], [this.#plain, plain(name)]])) {
        known[key] = key in known ? `${known[key]}, ${text}` : text;
      }
    }
    const query = given.query;
    /** @type {Bag} */
    this.query = typeof query === "string" || query instanceof URLSearchParams
      ? Object.fromEntries(new URLSearchParams(query)) : { ...query };
  }

  /** The header of this name, in any case; several are joined by a comma.
   * @param {string} name @returns {string | undefined} */
  header(name) {
    return this.#plain[plain(name)];
  }

  /** The body as JSON, parsed once. Throws a SyntaxError when it is none. */
  json() {
    this.#json ??= { value: JSON.parse(this.body.toString()) };
    return this.#json.value;
  }
}

/** An id that a function read from a request. One with lone surrogates is no text, and so none.
 * @param {unknown} value @returns {string | null} */
function readableId(value) {
  if (value === undefined || value === null) return null;
  if (typeof value !== "string" && typeof value !== "bigint" && !Number.isSafeInteger(value)) {
    throw new TypeError(`an id must be a text, not ${kindOf(value)}`);
  }
  const text = String(value);
  return /\p{Surrogate}/u.test(text) ? null : text;
}

/** A verdict, with what could be read of the request. */
class ProviderResult {
  /** @param {boolean} valid @param {string | null} error @param {Bag} ids */
  constructor(valid, error, ids) {
    this.valid = valid;
    this.signatureError = error;
    this.providerDeliveryId = ids.providerDeliveryId;
    this.providerEventId = ids.providerEventId;
    this.eventType = ids.eventType;
  }

  /** The request is genuine. Give ids of the event or delivery only: receipts of one id are one
   * event. @param {Bag} [ids] */
  static accept(ids = {}) {
    return new ProviderResult(true, null, ids);
  }

  /** The request is not genuine, and `error` says why. @param {string} error @param {Bag} [ids] */
  static reject(error, ids = {}) {
    return new ProviderResult(false, error, ids);
  }

  /** The members of a request that carry this verdict. @returns {Bag} */
  members() {
    return {
      verdict: this.valid === true ? 1 : 2,
      verdict_error: this.valid ? null : this.signatureError || "rejected",
      ids_event_type: readableId(this.eventType),
      ids_event_id: readableId(this.providerEventId),
      ids_delivery_id: readableId(this.providerDeliveryId),
    };
  }
}

/** Extend it, name it, and give an instance to `addEndpoint`. */
class Provider {
  name = "";
  version = "0";
  requiresSecrets = false;
  /** @type {string[]} */
  optionKeys = [];

  /** Says whether the request is genuine. What it throws becomes a rejected receipt.
   * @param {ProviderRequest} request @param {{secrets: string[], options: Bag}} registered
   * @returns {ProviderResult} */
  verify(request, registered) {
    throw new TypeError(`${this.name} cannot verify ${request.method} with ${Object.keys(registered)}`);
  }

  /** Throws for an option's wrong value. @param {Bag} _options @returns {void} */
  validateOptions(_options) {}
}

/** A provider object with what its endpoint was registered with, in this process's memory only. */
class Registered {
  /** @param {any} provider @param {Iterable<string> | null | undefined} secrets
   * @param {Bag | null | undefined} options */
  constructor(provider, secrets, options) {
    const name = provider.name;
    if (typeof name !== "string" || !name) throw new InvalidArgument("the provider has no name");
    if (provider.verify === Provider.prototype.verify) {
      throw new InvalidArgument(`provider '${name}' has no verify method`);
    }
    textsJson("secrets", secrets);
    this.provider = provider;
    this.secrets = [...(secrets ?? [])];
    this.options = { ...options };
    if (provider.requiresSecrets && !(this.secrets.length && this.secrets.every(Boolean))) {
      throw new InvalidArgument(`provider '${name}' requires secrets`);
    }
    const unknown = Object.keys(this.options).find((key) => !provider.optionKeys?.includes(key));
    if (unknown !== undefined) {
      throw new InvalidArgument(`provider '${name}' has no option '${unknown}'`);
    }
    provider.validateOptions?.(this.options);
  }

  /** The members of a request that carry the provider's verdict. @param {ProviderRequest} request */
  judge(request) {
    try {
      const { secrets, options } = this;
      const result = this.provider.verify(request, { secrets, options: { ...options } });
      if (result instanceof ProviderResult) return result.members();
      if (typeof result?.then === "function") result.then(undefined, () => {});
      throw new TypeError(`verify returned ${kindOf(result)}, not a ProviderResult`);
    } catch (error) {
      // A request may be anything, and none may be lost.
      let text = `${this.provider.name} failed: ${error}`;
      for (const secret of this.secrets.filter(Boolean)) text = text.replaceAll(secret, "[secret]");
      return ProviderResult.reject(text).members();
    }
  }
}

/** What this process alone knows of its endpoints: their provider objects and key functions. */
class Registry {
  /** @type {Map<string, Registered>} */
  #providers = new Map();
  /** @type {Map<string, Record<string, Function | undefined>>} */
  #keys = new Map();
  #log;

  /** @param {(text: string, error?: unknown) => void} log */
  constructor(log) {
    this.#log = log;
  }

  /** @param {string} endpoint @param {Registered | null} provider
   * @param {Record<string, Function | undefined>} keys */
  put(endpoint, provider, keys) {
    this.#keys.set(endpoint, keys);
    if (provider) this.#providers.set(endpoint, provider);
    else this.#providers.delete(endpoint);
  }

  /** A request for C, with what the functions say of it. @param {any} request */
  members(request) {
    const members = receiveMembers(request);
    const provider = this.#providers.get(members.endpoint);
    const keys = Object.entries(this.#keys.get(members.endpoint) ?? {}).filter(([, key]) => key);
    if (!provider && !keys.length) return members;
    const seen = new ProviderRequest(request, members.body);
    for (const [member, key] of keys) members[member] ??= this.#read(members.endpoint, key, seen);
    if (provider && !("verdict" in members)) Object.assign(members, provider.judge(seen));
    return members;
  }

  /** One that fails reads nothing: no receipt may be lost by it. @param {string} endpoint
   * @param {Function | undefined} key @param {ProviderRequest} request */
  #read(endpoint, key, request) {
    try {
      return readableId(key?.(request));
    } catch (error) {
      this.#log(`knocker: a key function of endpoint '${endpoint}' failed`, error);
      return null;
    }
  }
}

module.exports = { Provider, ProviderRequest, ProviderResult, Registered, Registry };
