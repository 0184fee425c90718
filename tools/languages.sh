# The other languages, for ./run, which sources this: of each its packages, how it is built, its own suite, and the program
# that is its door of the conformance suite. A language is wired in by these functions and its name in `languages`.

build=${build:-$PWD/build}
languages="ruby go node bun elixir"

packages_ruby="g++ swig ruby ruby-dev ruby-minitest ruby-sqlite3 ruby-rack ruby-sinatra puma rubocop sqlite3"

build_ruby() {
	install_packages $packages_ruby
	say "building the Ruby extension"
	quietly build-ruby sh bindings/ruby/build.sh
}

suite_ruby() {
	checked ruby-lint sh bindings/ruby/lint.sh
	checked ruby-test ruby -w bindings/ruby/test/all.rb
	checked ruby-example sh examples/ruby/check.sh
}

door_ruby() { exec ruby bindings/ruby/conformance.rb; }

# The module carries the flattened core in git, since `go get` builds nothing; suite_go says when it is not today's.
build_go() {
	command -v go >/dev/null || install_packages golang-go
	say "building the Go module"
	(cd bindings/go && quietly build-go go build -o "$build/go-door" ./conformance)
}

suite_go() {
	cmp build/knocker.c bindings/go/knocker.c && cmp build/knocker.h bindings/go/knocker.h || die "bindings/go/sync.sh brings today's core"
	(
		cd bindings/go
		go vet ./...
		[[ -z $(gofmt -l .) ]] || die "gofmt would write otherwise: $(gofmt -l .)"
		checked go-test env KNOCKER_BUILD="$build" go test -race -count=1 ./...
	)
	checked go-example sh examples/go/check.sh
}

door_go() { exec "$build/go-door"; }

# Where Node.js was not installed by Debian's package, it brought npm and its headers along.
install_node() {
	[[ -x $(command -v node) && -x $(command -v npm) && -e /usr/include/node/node_api.h ]] || install_packages nodejs npm libnode-dev
	(($(node -p 'process.versions.node.split(".")[0]') >= 18)) || die "node is $(node --version), and must be 18 or newer"
}

# What only the tests need comes from npm into folders that git ignores: npm_folder NAME FOLDER
npm_folder() {
	local stamp
	stamp="$(node --version) $(sha256sum <"$2/package.json")"
	[[ -e $2/node_modules/.stamp && $(<"$2/node_modules/.stamp") == "$stamp" ]] && return 0
	say "installing what $2/package.json names"
	quietly "npm-$1" npm install --prefix "$2" --no-package-lock --ignore-scripts --no-audit --no-fund
	printf '%s\n' "$stamp" >"$2/node_modules/.stamp"
}

build_node() {
	install_node
	npm_folder node bindings/node
	npm_folder node-example examples/node
	say "building the Node addon"
	quietly build-node node bindings/node/scripts/build.js --strict
}

suite_node() {
	(
		cd bindings/node
		npm run --silent lint
		checked node-test node --test test/*.test.mjs
	)
	checked node-example sh examples/node/check.sh
}

door_node() { node bindings/node/conformance.mjs; }

# Bun itself comes from npm, of this version: bun:ffi differs from one to the next.
bun_version=1.1.45
export PATH=$PWD/build/bun/node_modules/.bin:$PATH

build_bun() {
	install_node
	if [[ $(command -v bun) != "$build/bun/"* || $(bun --version) != "$bun_version" ]]; then
		say "installing bun $bun_version into build/bun"
		mkdir -p "$build/bun"
		quietly npm-bun npm install --prefix "$build/bun" --no-audit --no-fund "bun@$bun_version"
	fi
	say "building the Bun package"
	quietly build-bun sh bindings/bun/scripts/build.sh
}

suite_bun() {
	(cd bindings/bun && checked bun-test bun test)
	checked bun-example sh examples/bun/check.sh
}

door_bun() { bun bindings/bun/build/knocker-sqlite/conformance.mjs; }

packages_elixir="elixir erlang-dev erlang-syntax-tools"
export MIX_ENV=test

build_elixir() {
	install_packages $packages_elixir
	say "building the Mix project"
	(cd bindings/elixir && quietly build-elixir mix compile --warnings-as-errors)
}

suite_elixir() {
	(
		cd bindings/elixir
		mix format --check-formatted
		checked exunit mix test
	)
	checked elixir-example sh examples/elixir/check.sh
}

door_elixir() { cd bindings/elixir && exec mix run --no-compile conformance.exs; }

# As a program of its own it is one of these doors: languages.sh door_NAME
[[ ${BASH_SOURCE[0]} != "$0" ]] || "$@"
