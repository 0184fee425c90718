#!/bin/sh
# Builds the extension into lib/, for use from the repository and before packaging. It needs the
# core's build (./run build), swig, a C and a C++ compiler, ruby-dev, libsqlite3-dev, libssl-dev.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
core=${KNOCKER_BUILD:-$here/../../build}
made=$here/native/build
mkdir -p "$made" "$here/build"
cp -p "$core/knocker.c" "$core/knocker.h" "$here/../../LICENSE" "$made"
swig -ruby -c++ -module knockerSqlite::native -I"$here/native" -I"$made" -o "$made/wrap.cc" "$here/../knocker.i"
cd "$here/build"
ruby "$here/native/extconf.rb"
make -j2 V="${V:-0}"
cp native.so "$here/lib/knocker_sqlite/native.so"
