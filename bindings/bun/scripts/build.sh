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
