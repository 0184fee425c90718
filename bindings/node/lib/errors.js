"use strict";

// What can go wrong: one base class, and one subclass a cause. And how a handler says what is to
// become of its event.

const native = require("#native");

/** The base of every error that Knocker throws. `name` is its word in every language. */
class KnockerError extends Error {
  static code = 0;

  /** @param {string} message */
  constructor(message) {
    super(message);
    /** The number that knocker.h has for it. @type {number} */
    this.code = new.target.code;
    this.name = native.errorName(this.code);
  }
}

/** A mistake in the call. Nothing was written. */
class InvalidArgument extends KnockerError { static code = -1; }
/** No endpoint has this name. */
class UnknownEndpoint extends KnockerError { static code = -2; }
/** No event has this id. */
class UnknownEvent extends KnockerError { static code = -3; }
/** No delivery has this id. */
class UnknownDelivery extends KnockerError { static code = -4; }
/** The act is not allowed from the event's status, which the text names. */
class WrongStatus extends KnockerError { static code = -5; }
/** Another writer held the file, or this handle, for longer than busyTimeoutMs. */
class Busy extends KnockerError { static code = -6; }
/** The disk is full, the file read-only or no database, or an I/O error. */
class StorageError extends KnockerError { static code = -7; }
/** The file is damaged. */
class CorruptError extends KnockerError { static code = -8; }
/** The handle is closed, or the handler of this tx has returned. */
class Closed extends KnockerError { static code = -9; }
/** Another worker claimed this job since; nothing of this work was kept. */
class LeaseLost extends KnockerError { static code = -10; }
/** A handler's own statement failed; the text is SQLite's. */
class SqlError extends KnockerError { static code = -11; }

const KINDS = [InvalidArgument, UnknownEndpoint, UnknownEvent, UnknownDelivery, WrongStatus, Busy,
  StorageError, CorruptError, Closed, LeaseLost, SqlError];

/** @param {number} code @param {string} text */
function errorOf(code, text) {
  const Kind = KINDS[-code - 1] ?? KnockerError;
  return new Kind(text);
}

native.setErrors(errorOf);

/** Thrown in a handler: roll back and run it again in `seconds`. No attempt is counted. */
class RetryAfter extends Error {
  /** @param {number} seconds @param {string} [reason] */
  constructor(seconds, reason = "") {
    super(reason);
    if (!(typeof seconds === "number" && seconds >= 0 && seconds < 1e9)) {
      throw new InvalidArgument(`seconds is ${String(seconds)}`);
    }
    this.name = "RetryAfter";
    this.seconds = seconds;
  }
}

/** Thrown in a handler: roll back; the event is ignored, for this reason. */
class Ignore extends Error { name = "Ignore"; }
/** Thrown in a handler: roll back; the event is dead at once, for this reason. */
class Dead extends Error { name = "Dead"; }

module.exports = {
  KnockerError, InvalidArgument, UnknownEndpoint, UnknownEvent, UnknownDelivery, WrongStatus, Busy,
  StorageError, CorruptError, Closed, LeaseLost, SqlError, RetryAfter, Ignore, Dead, errorOf,
};
