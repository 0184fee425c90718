#!/bin/sh
# Makes the npm tarball in the folder $1 (../../dist), installs it in two clean folders, with its
# prebuilt addon and without, and runs the quick start there. Before: ./run build.
set -eu
here=$(cd "$(dirname "$0")/.." && pwd)
mkdir -p "${1:-$here/../../dist}"
dist=$(cd "${1:-$here/../../dist}" && pwd)
room=$(mktemp -d)
trap 'rm -rf "$room"' EXIT
version=$(cat "$here/../../VERSION")

node "$here/scripts/build.js"
mkdir "$room/package"
cp -r "$here/lib" "$here/native" "$here/prebuilds" "$here/README.md" "$here/package.json" "$room/package"
cp "$here/../../LICENSE" "$room/package"
mkdir "$room/package/scripts"
cp "$here/scripts/build.js" "$room/package/scripts"
rm -f "$room/package/native/build/"*.o
(cd "$room/package" && npm pkg set "version=$version" && npm pack --silent --pack-destination "$dist")
tarball=$dist/knocker-sqlite-$version.tgz

sed -n '/^```js$/,/^```$/p' "$here/../../docs/node.md" | sed '/^```/d' >"$room/quick-start.mjs"
for way in prebuilt source; do
	mkdir "$room/$way"
	cp "$room/quick-start.mjs" "$room/$way"
	cd "$room/$way"
	echo '{"private": true}' >package.json
	npm install --silent --no-audit --no-fund --offline "$tarball"
	if [ $way = source ]; then
		rm -r node_modules/knocker-sqlite/prebuilds
		npm rebuild --silent knocker-sqlite
	fi
	node quick-start.mjs
	echo "node: installed ($way) and its quick start ran"
done
