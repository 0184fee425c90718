#!/bin/sh
# Copies the flattened core into the module, which must hold all that it is built from. `./run build`
# makes the original; KNOCKER_BUILD names its folder where that is another.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
core=${KNOCKER_BUILD:-$here/../../build}
for name in knocker.c knocker.h; do
	cmp -s "$core/$name" "$here/$name" || cp "$core/$name" "$here/$name"
done
