#!/bin/sh
# Puts the package together in build/knocker-sqlite: the face and the types of ../node, this folder's
# way into C, and the library that ./run build made.
set -eu
here=$(cd "$(dirname "$0")/.." && pwd)
core=${KNOCKER_BUILD:-$here/../../build}
package=$here/build/knocker-sqlite
rm -rf "$package"
mkdir -p "$package"
cp -r "$here/../node/lib" "$package/lib"
cp "$here/native.js" "$here/lane.js" "$package/lib"
cp "$here/package.json" "$here/README.md" "$here/../../LICENSE" "$package"
cp "$core/libknocker.so" "$package"
cp "$here/../node/conformance.mjs" "$package"

# The tests of the face are Node's too, under Bun's own runner.
rm -rf "$here/build/test" "$here/build/node_modules"
mkdir -p "$here/build/test" "$here/build/node_modules"
echo '{"private": true}' >"$here/build/package.json"
ln -s ../knocker-sqlite "$here/build/node_modules/knocker-sqlite"
cp "$here/test/harness.mjs" "$here/../node/test/support.mjs" "$here/build/test"
for name in face loop; do
	sed 's|"node:test"|"./harness.mjs"|' "$here/../node/test/$name.test.mjs" >"$here/build/test/$name.mjs"
done
