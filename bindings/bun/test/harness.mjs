// What Node's tests ask of node:test, by bun:test: a body that is given `after`. One file a
// process, for Bun's `test` belongs to the file that imported it first.

import { test as run } from "bun:test";

export function test(name, ...given) {
  run(name, async () => {
    const ends = [];
    try {
      await given.at(-1)({ after: (end) => ends.push(end) });
    } finally {
      for (const end of ends.reverse()) await end();
    }
  }, 80000);
}
