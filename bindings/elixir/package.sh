#!/bin/sh
# Makes FOLDER/knocker_sqlite-VERSION.tar.gz, the Mix project with the flattened core inside, and with
# `check` installs it in a clean project elsewhere and runs the quick start of its page there.
#
#     bindings/elixir/package.sh FOLDER [check]
set -eu
here=$(cd "$(dirname "$0")" && pwd)
root=$here/../..
build=${KNOCKER_BUILD:-$root/build}
version=$(cat "$root/VERSION")
name=knocker_sqlite-$version
mkdir -p "$1"
out=$(cd "$1" && pwd)
made=$(mktemp -d)
trap 'rm -rf "$made"' EXIT

mkdir "$made/$name"
cp -R "$here/lib" "$here/mix.exs" "$here/.formatter.exs" "$here/README.md" "$root/VERSION" "$root/LICENSE" "$made/$name"
mkdir "$made/$name/c_src"
cp "$here"/c_src/nif*.[ch] "$here"/c_src/terms.[ch] "$build/knocker.c" "$build/knocker.h" "$made/$name/c_src"
tar -C "$made" --sort=name --owner=0 --group=0 --mtime='2020-01-01 00:00Z' -cf - "$name" | gzip -n >"$out/$name.tar.gz"
echo "made $name.tar.gz"
[ "${2:-}" = check ] || exit 0

mkdir -p "$made/clean/deps_here" "$made/clean/lib"
tar -C "$made/clean/deps_here" -xzf "$out/$name.tar.gz"
cat >"$made/clean/mix.exs" <<END
defmodule Clean.MixProject do
  use Mix.Project

  def project,
    do: [app: :clean, version: "1.0.0", deps: [{:knocker_sqlite, path: "deps_here/$name"}]]
end
END
awk '/^## Quick start/ {in_it = 1} /^## API/ {in_it = 0} /^```/ {code = !code && in_it; next} code' \
	"$root/docs/elixir.md" >"$made/clean/quick_start.exs"
[ -s "$made/clean/quick_start.exs" ]
cd "$made/clean"
env -u KNOCKER_BUILD MIX_ENV=prod mix run quick_start.exs
[ -s app.db ]
ldd _build/prod/lib/knocker_sqlite/priv/knocker_nif.so | awk '{print $1}' | grep -E 'sqlite3|crypto'
echo "the quick start runs from $name.tar.gz"
