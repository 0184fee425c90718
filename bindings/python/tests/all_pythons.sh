#!/usr/bin/env bash
# The package as others get it: a source distribution, built, installed and tested with each CPython from 3.10 to 3.13
# that is to be found, without SWIG and with every deprecation an error. After ./run build:
#
#     bindings/python/tests/all_pythons.sh [INTERPRETER ...]
#
# Told none, it looks for pythonX.Y on the path and in ~/.pyenv. It says which it tested and which are not there.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
root=$(cd "$here/../.." && pwd)
builder=${KNOCKER_PYTHON:-$root/build/venv/bin/python} # has setuptools, and SWIG beside it
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
wanted=(3.10 3.11 3.12 3.13)

die() {
	printf 'all_pythons: %s\n' "$*" >&2
	exit 1
}

version_of() { "$1" -c 'import sys; print("%d.%d" % sys.version_info[:2])'; }

# The newest interpreter of a version, or nothing: find_python 3.12
find_python() {
	local candidate
	for candidate in "/usr/bin/python$1" "$(command -v "python$1" || true)" \
		$(printf '%s\n' ~/.pyenv/versions/"$1".*/bin/python3 | sort -rV); do
		if [[ -x $candidate && $(version_of "$candidate" 2>/dev/null) == "$1" ]]; then
			printf '%s\n' "$candidate"
			return
		fi
	done
}

make_sdist() {
	mkdir "$work/bindings"
	cp -r "$here" "$here/../knocker.i" "$work/bindings/"
	cp -r "$root/LICENSE" "$root/conformance" "$work/"
	(
		cd "$work/bindings/python"
		rm -rf build native/build src/*.egg-info
		KNOCKER_BUILD=${KNOCKER_BUILD:-$root/build} \
			"$builder" -c 'from setuptools import build_meta; build_meta.build_sdist("../..")' >"$work/sdist.log" 2>&1
	) || {
		cat "$work/sdist.log" >&2
		die "the source distribution could not be made"
	}
	sdist=$(printf '%s\n' "$work"/knocker-*.tar.gz)
	[[ -e $sdist ]] || die "there is no source distribution"
}

# Tests with one interpreter, in an environment that has nothing of the repository but the tests: test_with PYTHON
test_with() {
	local version venv log=$work/log
	version=$("$1" -c 'import platform; print(platform.python_version())')
	venv=$work/venv-$version
	"$1" -m venv "$venv"
	"$venv/bin/pip" install --quiet --disable-pip-version-check setuptools wheel pytest sqlalchemy
	"$venv/bin/pip" install --quiet --disable-pip-version-check \
		--no-build-isolation --no-deps "$sdist"
	"$venv/bin/python" -W error -c 'import knocker'
	if ! (cd "$work/bindings/python" && "$venv/bin/python" -W error::DeprecationWarning -m pytest -q \
		-p no:cacheprovider -W error::DeprecationWarning tests) >"$log" 2>&1; then
		cat "$log" >&2
		die "CPython $version failed"
	fi
	grep -qE '^[0-9]+ passed in ' "$log" || die "CPython $version: $(tail -n 1 "$log")"
	printf 'CPython %-8s %s (%s)\n' "$version" "$(tail -n 1 "$log")" "$1"
	(cd "$work/bindings/python" && "$venv/bin/python" conformance.py ../../conformance/scenarios) >"$log" 2>&1 || {
		tail -n 40 "$log" >&2
		die "CPython $version failed a scenario"
	}
	printf 'CPython %-8s %s\n' "$version" "$(tail -n 1 "$log")"
	tested+=("$version")
}

tested=() missing=()
make_sdist
rm -rf "$work/bindings/python/src" # what is tested is what was installed
if (($#)); then
	for python; do test_with "$python"; done
else
	for version in "${wanted[@]}"; do
		python=$(find_python "$version")
		if [[ -n $python ]]; then test_with "$python"; else missing+=("$version"); fi
	done
fi
((${#tested[@]})) || die "there is no CPython from 3.10 to 3.13"
printf 'tested: %s; not here: %s\n' "${tested[*]}" "${missing[*]:-none}"
