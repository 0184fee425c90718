# The SQL door through Ruby's own SQLite driver. Run from the root.
require "json"
require "minitest/autorun"
require "sqlite3"
require "tmpdir"

EXTENSION = File.expand_path(File.join(ENV.fetch("KNOCKER_BUILD", "build"), "knocker.so"))

class ExtensionTest < Minitest::Test
  INGEST = "select knocker_ingest('hooks', 'POST', '{}', ?, null, 1, null, null, null, 't', null, null, null)"

  def setup
    @folder = Dir.mktmpdir
    @db = SQLite3::Database.new(File.join(@folder, "inbox.db"))
    @db.enable_load_extension(true)
    @db.load_extension(EXTENSION)
    @db.get_first_value("select knocker_bootstrap()")
    @db.get_first_value("select knocker_endpoint_upsert('hooks', '/hooks', null, 1)")
  end

  def teardown
    @db.close
    FileUtils.remove_entry(@folder)
  end

  def ingest(body)
    JSON.parse(@db.get_first_value(INGEST, [body]))
  end

  def test_a_body_is_bytes_and_comes_back_as_it_was
    event = ingest(SQLite3::Blob.new("a\0b"))["event_id"]
    assert_equal "610062", @db.get_first_value("select hex(body_blob) from knocker_events where id = ?", [event])
  end

  def test_a_receipt_in_a_transaction_that_is_rolled_back_leaves_nothing
    assert_raises(RuntimeError) do
      @db.transaction do
        assert_equal 204, ingest("x")["status_code"]
        raise "no"
      end
    end
    assert_equal 0, @db.get_first_value("select count(*) from knocker_deliveries")
  end

  def test_an_error_begins_with_its_name
    error = assert_raises(SQLite3::Exception) { @db.get_first_value("select knocker_replay(7)") }
    assert_match(/\Aunknown_event: no event has the id 7/, error.message)
  end
end
