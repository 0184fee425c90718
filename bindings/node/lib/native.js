"use strict";

// Loads the addon. Everything else in this folder knows only what native.d.ts says of it, so that
// another engine may bring the same functions by other means, under the name #native.

const { join } = require("node:path");

const platform = `${process.platform}-${process.arch}`;

module.exports = require(join(__dirname, "..", "prebuilds", platform, "knocker.node"));
