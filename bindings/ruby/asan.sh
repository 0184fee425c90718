#!/bin/sh
# Runs the tests with the extension built for the address sanitizer, which is preloaded. Ruby itself is
# not built for it, so leaks are counted by process_test.rb, and not here.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
room=$here/build/asan
mkdir -p "$room/object"
rm -rf "$room/lib" "$room/test"
cp -r "$here/lib" "$here/test" "$room"
(cd "$room/object" && ruby "$here/native/extconf.rb" --with-cflags="-g -O1 -fsanitize=address" \
	--with-cxxflags="-g -O1 -fsanitize=address" --with-ldflags=-fsanitize=address && make -j2 V=0)
cp "$room/object/native.so" "$room/lib/knocker_sqlite/native.so"
export LD_PRELOAD="$(gcc -print-file-name=libasan.so)"
export ASAN_OPTIONS=detect_leaks=0:detect_stack_use_after_return=0:use_sigaltstack=0
for suite in face providers handlers threads; do
	ruby "$room/test/${suite}_test.rb"
done
ruby "$room/test/process_test.rb" --name '/collect|compaction|change|fork|ractor|in_use/'
