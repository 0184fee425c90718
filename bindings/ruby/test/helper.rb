# frozen_string_literal: true

# What the tests share: a fresh file for each, and a log that keeps what it hears.

$LOAD_PATH.unshift(File.expand_path("../lib", __dir__))
require "knocker_sqlite"
require "minitest/autorun"
require "stringio"
require "timeout"
require "tmpdir"

class KnockerTest < Minitest::Test
  SECRET = "whsec_123"
  START_S = 1_700_000_000

  def setup
    @folder = Dir.mktmpdir("knocker-ruby")
    @path = File.join(@folder, "inbox.db")
    @log = StringIO.new
    KnockerSqlite.logger = Logger.new(@log)
    @open = []
  end

  def teardown
    @open.each(&:close)
    FileUtils.rm_rf(@folder)
  end

  # A handle that the test's end closes.
  def open_database(path = @path, **options)
    KnockerSqlite::Database.open(path, **options).tap { |database| @open << database }
  end

  # A handle with an endpoint that verifies nothing.
  def inbox(**options)
    open_database(**options).tap do |database|
      database.add_endpoint(name: "plain")
      database.drain
    end
  end

  def receive(database, body = "", **options)
    database.receive(endpoint: "plain", body:, **options)
  end

  def status(database, event_id = 1)
    database.get_event(event_id)["status"]
  end

  # Waits until it is so; nothing here needs long.
  def until_so(seconds = 10)
    Timeout.timeout(seconds) { sleep 0.005 until yield }
  end

  # Runs Ruby code in a process of its own, and gives what it printed and its status.
  def run_ruby(code, *arguments, environment: {})
    library = File.expand_path("../lib", __dir__)
    out = IO.popen(environment, ["ruby", "-W0", "-I", library, "-e", code, *arguments], err: %i[child out], &:read)
    [out, $?] # rubocop:disable Style/SpecialGlobalVars
  end
end
