"use strict";

// The thread of a lane: runs what it is given in order, and answers each.

const { SLEEPERS } = require("./native");

self.onmessage = ({ data: { id, what, pointer, given } }) => {
  try {
    self.postMessage({ id, gives: SLEEPERS[what](pointer, ...given) });
  } catch (error) {
    self.postMessage({ id, code: error.code ?? -7, text: error.message });
  }
};
