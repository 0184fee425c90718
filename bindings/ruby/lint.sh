#!/bin/sh
# Rubocop over our Ruby, and the signatures: that they are sound, and, with the suite's scenarios played
# through the checked API, that they are true.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
cd "$here"
rubocop --cache false . ../../examples/ruby/config.ru --config .rubocop.yml
ruby -rrbs -rrbs/cli -e 'RBS::CLI.new(stdout: $stdout, stderr: $stderr).run(ARGV)' -- \
	-I sig -r logger -r monitor validate --silent
export RBS_TEST_TARGET='KnockerSqlite,KnockerSqlite::*' RBS_TEST_OPT="-I $here/sig -r logger -r monitor" RBS_TEST_LOGLEVEL=error
python3 ../../conformance/lines.py ruby-types -- ruby -rrbs/test/setup "$here/conformance.rb"
