# What ./run package makes in dist/, and how each is installed where nothing of the repository is: package_NAME makes, installs
# and runs. For ./run, which sources this. The packages of the other languages have scripts of their own.

dist=$PWD/dist

# The wheel carries the built core; the source distribution builds it anew, without SWIG, by setuptools.
package_python() {
	local room build_meta="from setuptools import build_meta as b; import sys; to = sys.argv[1]; b.build_sdist(to); b.build_wheel(to)"
	room=$(mktemp -d)
	mkdir "$room/bindings"
	cp -r bindings/python bindings/knocker.i "$room/bindings"
	cp LICENSE "$room"
	rm -rf "$room"/bindings/python/{build,native/build,src/*.egg-info}
	(cd "$room/bindings/python" && KNOCKER_BUILD=$build quietly package-python "$venv/bin/python" -c "$build_meta" "$dist")
	quick_start_python >"$room/quick_start.py"
	local package
	for package in "$dist"/knocker-*.whl "$dist"/knocker-*.tar.gz; do
		$python -m venv "$room/venv"
		[[ $package == *.whl ]] || quietly wheel-tools "$room/venv/bin/pip" install setuptools==66.1.1 wheel==0.48.0
		quietly install-python "$room/venv/bin/pip" install --no-index --find-links "$dist" --no-build-isolation \
			"$package"
		(cd "$room" && quietly quick-start-python venv/bin/python -W error quick_start.py) || die "the quick start fails with $package"
		rm -rf "$room/venv" "$room"/*.db*
		say "installed ${package##*/}, and ran its quick start"
	done
	rm -rf "$room"
}

# The Python blocks of the package's README, one after the other.
quick_start_python() { sed -n '/^```python$/,/^```$/p' bindings/python/README.md | sed '/^```/d'; }

# The library, the extension and the command, as Debian has them, and unpacked elsewhere.
package_deb() {
	local room
	quietly package-deb cpack --config "$build/CPackConfig.cmake" -G DEB -B "$dist"
	rm -rf "$dist/_CPack_Packages"
	room=$(mktemp -d)
	dpkg-deb -x "$dist"/knocker_*.deb "$room"
	LD_LIBRARY_PATH=$room/usr/lib/x86_64-linux-gnu "$room/usr/bin/knocker" --version >/dev/null || die "the command of the .deb does not run"
	dpkg-deb -f "$dist"/knocker_*.deb Depends | grep -q libsqlite3-0 || die "the .deb does not depend on libsqlite3-0"
	rm -rf "$room"
	say "unpacked the .deb, and ran its command"
}

# The C library as one source file, which needs a compiler, SQLite and libcrypto.
package_source() {
	local name room
	name=libknocker-$(<VERSION)
	room=$(mktemp -d)
	mkdir "$room/$name"
	cp "$build/knocker.c" "$build/knocker.h" LICENSE VERSION "$room/$name"
	cp third_party/cjson/LICENSE "$room/$name/LICENSE.cjson"
	tar -C "$room" --sort=name --owner=0 --group=0 -czf "$dist/$name.tar.gz" "$name"
	printf '#include <stdio.h>\n#include "knocker.h"\nint main(void) { return puts(knocker_version()) < 0; }\n' >"$room/version.c"
	gcc -std=c11 -D_GNU_SOURCE -O1 -I"$room/$name" "$room/version.c" "$room/$name/knocker.c" -o "$room/version" -lsqlite3 -lcrypto -lpthread -lm
	[[ $("$room/version") == "$(<VERSION)" ]] || die "the source says another version than VERSION"
	rm -rf "$room"
	say "built the C source, and asked it for its version"
}

package_ruby() { quietly package-ruby sh bindings/ruby/package.sh "$dist" && say "installed both gems, and ran their quick start"; }

package_node() { quietly package-node sh bindings/node/scripts/package.sh "$dist" && say "installed the npm package, prebuilt and from source, and ran its quick start"; }

package_bun() { quietly package-bun sh bindings/bun/scripts/package.sh "$dist" && say "installed the npm package for Bun, and ran its quick start"; }

# The module with the core inside, and the example built from it elsewhere.
package_go() {
	local name room
	name=knockersqlite-$(<VERSION)
	room=$(mktemp -d)
	mkdir "$room/$name"
	cp bindings/go/*.go bindings/go/*.[ch] bindings/go/go.mod bindings/go/README.md LICENSE "$room/$name"
	rm -f "$room/$name"/*_test.go
	tar -C "$room" --sort=name --owner=0 --group=0 -czf "$dist/$name.tar.gz" "$name"
	cp -r examples/go "$room/example"
	(cd "$room/example" && go mod edit -replace "knockersqlite=../$name" && quietly package-go go build -o server .)
	rm -rf "$room"
	say "built the example from the Go module"
}

package_elixir() { quietly package-elixir bindings/elixir/package.sh "$dist" check && say "used the Mix project by path, and ran its quick start"; }

package_all() {
	local name
	rm -rf "$dist"
	mkdir -p "$dist"
	for name in source deb python $languages; do
		say "packaging: $name"
		"package_$name"
	done
	(cd "$dist" && ls -l | tail -n +2 | awk '{print $5, $9}')
}
