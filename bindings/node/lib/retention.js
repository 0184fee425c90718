"use strict";

// The scheduled pruning: what a policy says, and the loop that asks for it, on a lane.

const native = require("#native");
const { InvalidArgument } = require("./errors");
const { count, options, textsJson } = require("./requests");

const NAP_MS = 1000; // a sleeper looks at the clock so often, for it may be set
const POLICY = ["intervalS", "eventStatuses", "eventOlderThanS", "eventLimit",
  "orphanDeliveriesOlderThanS", "orphanDeliveriesLimit"];

/** What has no age is not pruned. @param {unknown} policy */
function members(policy) {
  const given = options(policy, POLICY);
  for (const name of POLICY) {
    if (name !== "eventStatuses" && given[name] < 0) {
      throw new InvalidArgument(`${name} is ${given[name]}`);
    }
  }
  return {
    interval_s: count("intervalS", given.intervalS),
    statuses_json: textsJson("eventStatuses", given.eventStatuses),
    event_older_than_s: count("eventOlderThanS", given.eventOlderThanS),
    event_limit: count("eventLimit", given.eventLimit),
    orphans_older_than_s: count("orphanDeliveriesOlderThanS", given.orphanDeliveriesOlderThanS),
    orphans_limit: count("orphanDeliveriesLimit", given.orphanDeliveriesLimit),
  };
}

/** Resolves after `ms`, or when the signal is aborted. @param {number} ms
 * @param {AbortSignal | undefined} signal */
function nap(ms, signal) {
  return new Promise((resolve) => {
    const end = () => {
      clearTimeout(timer);
      signal?.removeEventListener("abort", end);
      resolve(undefined);
    };
    const timer = setTimeout(end, ms);
    signal?.addEventListener("abort", end);
  });
}

/** @param {import("./native").Handle} handle @param {() => number} now @param {unknown} policy
 * @param {AbortSignal | undefined} signal */
async function run(handle, now, policy, signal) {
  const given = members(policy);
  const lane = native.lane();
  try {
    while (!signal?.aborted) {
      const [row] = await native.laneRetain(lane, handle, given);
      for (let left = row.next_at - now(); left > 0 && !signal?.aborted; left = row.next_at - now()) {
        await nap(Math.min(Math.max(left * 1000, 10), NAP_MS), signal);
      }
    }
  } finally {
    native.laneEnd(lane);
  }
}

module.exports = { run };
