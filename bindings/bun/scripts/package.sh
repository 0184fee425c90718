#!/bin/sh
# Makes the npm tarball in the folder $1 (../../dist), installs it in a clean folder, and runs the
# quick start there. Before: ./run build.
set -eu
here=$(cd "$(dirname "$0")/.." && pwd)
mkdir -p "${1:-$here/../../dist}"
dist=$(cd "${1:-$here/../../dist}" && pwd)
room=$(mktemp -d)
trap 'rm -rf "$room"' EXIT
version=$(cat "$here/../../VERSION")

sh "$here/scripts/build.sh"
cp -r "$here/build/knocker-sqlite" "$room/package"
cd "$room/package"
rm conformance.mjs
npm pkg set "version=$version"
npm pack --silent --pack-destination "$room" >/dev/null
tarball=$dist/knocker-sqlite-bun-$version.tgz
mv "$room/knocker-sqlite-$version.tgz" "$tarball"

mkdir "$room/clean"
cd "$room/clean"
echo '{"private": true}' >package.json
sed -n '/^```js$/,/^```$/p' "$here/../../docs/bun.md" | sed '/^```/d' >quick-start.mjs
bun add --silent "$tarball"
env -u KNOCKER_LIBRARY bun quick-start.mjs
echo "bun: installed and its quick start ran"
