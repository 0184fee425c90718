"use strict";

// Receiving from the event loop: what arrives in one turn is one commit, on another thread. What
// arrives while a commit is under way goes together into the next.

const native = require("#native");

const MOST = 1000; // of one receive_many

/** @typedef {{members: Record<string, any>, resolve: Function, reject: Function}} Waiting */

class Turns {
  /** @type {Waiting[]} */
  #waiting = [];
  #busy = false;
  #handle;
  #answer;
  /** @type {import("./native").Lane | null} */
  #lane = null;

  /** @param {import("./native").Handle} handle
   * @param {(row: import("./native").Row) => any} answer a result, or an error */
  constructor(handle, answer) {
    this.#handle = handle;
    this.#answer = answer;
  }

  /** @param {Record<string, any>} members @returns {Promise<any>} */
  receive(members) {
    return new Promise((resolve, reject) => {
      this.#waiting.push({ members, resolve, reject });
      if (this.#busy) return;
      this.#busy = true;
      setImmediate(() => void this.#run());
    });
  }

  async #run() {
    while (this.#waiting.length) await this.#commit(this.#waiting.splice(0, MOST));
    this.#busy = false;
  }

  /** Each caller gets a result or an error object of its own. @param {Waiting[]} part */
  async #commit(part) {
    try {
      this.#lane ??= native.lane();
      const members = part.map((one) => one.members);
      const found = await native.laneReceiveMany(this.#lane, this.#handle, members);
      for (const [index, row] of found.entries()) {
        const answer = this.#answer(row);
        if (answer instanceof Error) part[index].reject(answer);
        else part[index].resolve(answer);
      }
    } catch (error) {
      for (const one of part) one.reject(error);
    }
  }
}

module.exports = { Turns };
