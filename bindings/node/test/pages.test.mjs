// The pages' code, from top to bottom, and the names that the types promise.

import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import * as knocker from "knocker-sqlite";
import { folder } from "./support.mjs";

const root = new URL("..", import.meta.url).pathname;
const read = (path) => readFileSync(`${root}${path}`, "utf8");

for (const page of ["README.md", "../../docs/node.md"]) {
  test(`the code of ${page} runs`, (t) => {
    const blocks = [...read(page).matchAll(/^```js\n(.*?)^```$/gms)].map((found) => found[1]);
    assert.ok(blocks.length > 0);
    const code = `process.chdir(${JSON.stringify(folder(t))});\n${blocks.join("\n")}`;
    execFileSync(process.execPath, ["--input-type=module", "-e", code], { cwd: root, timeout: 20000 });
  });
}

test("the types declare what the package exports, and nothing else", () => {
  const declared = [...read("lib/index.d.ts").matchAll(/^export (?:abstract )?(?:class|function|const) (\w+)/gm)];
  const names = Object.keys(knocker).filter((name) => name !== "default" && name !== "module.exports");
  assert.deepEqual(declared.map((found) => found[1]).sort(), names.sort());
});

test("there is one version", () => {
  const version = read("../../VERSION").trim();
  assert.equal(knocker.version, version);
  assert.equal(JSON.parse(read("package.json")).version, version);
});
