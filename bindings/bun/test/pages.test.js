// The page's code, from top to bottom, and the one version.

import { expect, test } from "bun:test";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

const root = join(import.meta.dir, "..");
const read = (path) => readFileSync(join(root, path), "utf8");

test("the code of docs/bun.md runs", async () => {
  const blocks = [...read("../../docs/bun.md").matchAll(/^```js\n(.*?)^```$/gms)].map((found) => found[1]);
  expect(blocks.length).toBeGreaterThan(0);
  const folder = mkdtempSync(join(tmpdir(), "knocker-bun-"));
  try {
    mkdirSync(join(folder, "node_modules"));
    symlinkSync(join(root, "build", "knocker-sqlite"), join(folder, "node_modules", "knocker-sqlite"));
    writeFileSync(join(folder, "page.mjs"), blocks.join("\n"));
    const page = Bun.spawn([process.execPath, "page.mjs"], { cwd: folder, stderr: "pipe" });
    expect([await page.exited, await new Response(page.stderr).text()]).toEqual([0, ""]);
  } finally {
    rmSync(folder, { recursive: true });
  }
}, 20000);

test("there is one version", () => {
  expect(JSON.parse(read("package.json")).version).toBe(read("../../VERSION").trim());
});
