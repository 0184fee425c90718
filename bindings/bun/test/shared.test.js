// Node's tests of the face and of the loop, which scripts/build.sh brought to ../build/test: each file
// in a process of its own.

import { expect, test } from "bun:test";
import { join } from "node:path";

for (const name of ["face", "loop"]) {
  test(`Bun passes Node's tests of the ${name}`, async () => {
    const suite = Bun.spawn([process.execPath, "test", `./test/${name}.mjs`], {
      cwd: join(import.meta.dir, "..", "build"), stdout: "ignore", stderr: "pipe",
    });
    const report = await new Response(suite.stderr).text();
    if (await suite.exited) console.error(report);
    expect(suite.exitCode).toBe(0);
    expect(Number(/(\d+) pass/.exec(report)[1])).toBeGreaterThan(10);
  }, 85000);
}
