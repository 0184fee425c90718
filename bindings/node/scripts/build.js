"use strict";

// Compiles the addon with the system's C compiler: `node scripts/build.js` in the repository (after
// ./run build), or, as the package's install script, only where no prebuilt addon loads. It owns the
// command line of the compiler, and knows nothing of the code.

const { execFileSync } = require("node:child_process");
const { copyFileSync, existsSync, mkdirSync } = require("node:fs");
const { dirname, join } = require("node:path");

const root = join(__dirname, "..");
const made = join(root, "native", "build");
const platform = `${process.platform}-${process.arch}`;
const prebuilt = join(root, "prebuilds", platform, "knocker.node");
const CORE = ["knocker.c", "knocker.h"];
const SOURCES = ["addon.c", "operate.c", "glue.c", "members.c", "lane.c"];
const HEADERS = ["node_api.h", "node_api_types.h", "js_native_api.h", "js_native_api_types.h"];

/** Where Node's headers are: beside this Node, or where the system puts them. */
function headers() {
  const places = [join(dirname(process.execPath), "..", "include", "node"), "/usr/include/node"];
  return places.find((place) => existsSync(join(place, HEADERS[0])));
}

/** In the repository: the flattened core and the headers come into native/build. */
function gather() {
  const core = process.env.KNOCKER_BUILD || join(root, "..", "..", "build");
  if (!existsSync(join(root, "..", "..", "core"))) return;
  mkdirSync(made, { recursive: true });
  for (const name of CORE) copyFileSync(join(core, name), join(made, name));
  copyFileSync(join(root, "..", "..", "LICENSE"), join(root, "native", "build", "LICENSE"));
  const from = headers();
  if (from) for (const name of HEADERS) copyFileSync(join(from, name), join(made, name));
}

/** @param {string} to */
function compile(to) {
  const flags = ["-std=c11", "-D_GNU_SOURCE", "-O2", "-fPIC", "-fvisibility=hidden", `-I${made}`,
    ...(process.env.CFLAGS ?? "").split(" ").filter(Boolean)];
  const warnings = process.argv.includes("--strict") ? ["-Wall", "-Wextra", "-Werror"] : [];
  const sources = SOURCES.map((name) => join(root, "native", name));
  const core = join(made, "knocker.o");
  const compiler = process.env.CC || "cc";
  mkdirSync(dirname(to), { recursive: true });
  const run = (/** @type {string[]} */ words) => execFileSync(compiler, words, { stdio: "inherit" });
  run([...flags, "-c", join(made, "knocker.c"), "-o", core]);
  // Whatever else in the process carries these names, this module uses its own.
  run([...flags, ...warnings, "-shared", "-Wl,-Bsymbolic", ...sources, core, "-o", to,
    "-lsqlite3", "-lcrypto", "-lpthread", "-lm"]);
}

function loads() {
  try {
    return Boolean(require(prebuilt));
  } catch {
    return false;
  }
}

if (!process.argv.includes("--if-needed") || !loads()) {
  gather();
  compile(prebuilt);
}
