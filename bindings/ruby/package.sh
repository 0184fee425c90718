#!/bin/sh
# Builds the gem and this platform's gem into a folder, and installs each where nothing of the repository
# is, from its file, and runs the page's quick start there: package.sh FOLDER
set -eu
here=$(cd "$(dirname "$0")" && pwd)
dist=$(cd "$1" && pwd)
sh "$here/build.sh"
cd "$here"
version=$(cat ../../VERSION)
series=$(ruby -e 'print RUBY_VERSION[/\A\d+\.\d+/]')
trap 'rm -rf "$here/lib/knocker_sqlite/$series" "${room:-}"' EXIT
gem build -o "$dist/knocker_sqlite-$version.gem" knocker_sqlite.gemspec
mkdir -p "lib/knocker_sqlite/$series"
strip --strip-unneeded -o "lib/knocker_sqlite/$series/native.so" lib/knocker_sqlite/native.so
platform=$(ruby -e 'print Gem::Platform.local')
KNOCKER_PREBUILT=1 gem build -o "$dist/knocker_sqlite-$version-$platform.gem" knocker_sqlite.gemspec

for package in "$dist/knocker_sqlite-$version.gem" "$dist/knocker_sqlite-$version-$platform.gem"; do
	room=$(mktemp -d)
	gem install --local --no-document --install-dir "$room/gems" "$package"
	sed -n '/^## Quick start/,/^## A route/p' ../../docs/ruby.md | sed -n '/^```ruby$/,/^```$/p' | sed '/^```/d' >"$room/quick_start.rb"
	(cd "$room" && GEM_HOME=$room/gems GEM_PATH=$room/gems env -u RUBYLIB ruby -W:no-experimental quick_start.rb)
	(cd "$room" && GEM_HOME=$room/gems GEM_PATH=$room/gems ruby -e 'require "knocker_sqlite"; puts $".grep(/native/), KnockerSqlite::VERSION')
	rm -rf "$room"
	echo "installed ${package##*/}, and ran its quick start"
done
