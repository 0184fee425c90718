# frozen_string_literal: true

# Builds knocker_sqlite/native: the flattened core, and what SWIG made of its header. Both stand in
# native/build: made by build.sh in the repository, and carried by the gem.

require "mkmf"

$srcs = %w[wrap.cc knocker.c]
$VPATH << "$(srcdir)/build"
$INCFLAGS << " -I$(srcdir) -I$(srcdir)/build"
$defs << "-D_GNU_SOURCE"
$CFLAGS << " -std=c11 -O2 -fvisibility=hidden"
$CXXFLAGS << " -std=c++17 -O2 -fvisibility=hidden -fno-exceptions -fno-rtti"
$CXXFLAGS << " -Wno-unused-function -Wno-deprecated-declarations" # of what SWIG writes
# Whatever else in the process carries these names, this extension uses its own.
$DLDFLAGS << " -Wl,-Bsymbolic -Wl,--as-needed"

have_library("sqlite3", "sqlite3_libversion") or abort "libsqlite3 is missing: libsqlite3-dev"
have_library("crypto", "EVP_sha256") or abort "libcrypto is missing: libssl-dev"
create_makefile("knocker_sqlite/native")
