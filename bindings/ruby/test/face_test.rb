# frozen_string_literal: true

# The face from outside: values, names, errors, options, what frameworks hand over.

require_relative "helper"
require "json"
require "pathname"

class FaceTest < KnockerTest
  def test_values_come_back_as_they_went
    values = [nil, (2**63) - 1, -(2**63), 1.5, Float::INFINITY, "é\u0000z", "\xFF\x00".b, "".b, "", true, false]
    database = inbox
    found = nil
    database.register_handler("plain") do |_, tx|
      found = tx.query("select ? as a, ? as b, ? as c, ? as d, ? as e, ? as f, ? as g, ? as h, ? as i, ? as j, ? as k",
                       values)
    end
    receive(database)
    database.drain
    assert_equal values[0..8] + [1, 0], found.first.values
    encodings = found.first.values_at("f", "g", "h", "i").map(&:encoding)
    assert_equal [Encoding::UTF_8, Encoding::BINARY, Encoding::BINARY, Encoding::UTF_8], encodings
    assert_equal [{ "n" => 2 }], database.read("select ? + ? as n", 1, 1)
  end

  def test_values_that_are_none_are_refused_by_their_place
    database = inbox
    { 2**63 => "an Integer of 64 bits", :symbol => "Symbol", "\xFF" => "valid UTF-8", "a".encode("UTF-16LE") => "UTF-8",
      Time.at(0) => "Time", {} => "Hash" }.each do |value, said|
      error = assert_raises(KnockerSqlite::InvalidArgument) { database.read("select ?, ?", 1, value) }
      assert_includes error.message, said
      assert_includes error.message, "parameter 2"
    end
    assert_raises(KnockerSqlite::SqlError) { database.read("selct") }
    assert_raises(KnockerSqlite::InvalidArgument) { database.read(nil) }
  end

  def test_text_that_is_no_utf8_keeps_its_bytes
    database = inbox
    text = database.read("select cast(x'ff00fe' as text) as t").first["t"]
    refute_predicate text, :valid_encoding?
    assert_equal "\xFF\x00\xFE".b, text.b
  end

  def test_rows_have_string_keys_and_the_types_of_the_land
    database = inbox(clock: START_S)
    row = receive(database, "\xFF\x00".b, headers: { "X-A" => %w[1 2], "X-B" => "é" }, query: { "q" => ["a b", "/"] })
    assert_equal({ "delivery_id" => 1, "event_id" => 1, "duplicate" => false, "status_code" => 204,
                   "response_headers" => {}, "response_body" => nil }, row)
    event = database.get_event(1)
    assert_equal ["\xFF\x00".b, Encoding::BINARY], [event["body"], event["body"].encoding]
    assert_same event["body"], event["body_blob"]
    assert_equal({ "X-A" => %w[1 2], "X-B" => "é" }, event["headers"])
    assert_equal({ "q" => ["a b", "/"] }, event["query"])
    assert_equal [START_S, "received", 0], event.values_at("received_at", "status", "attempt_count")
    assert_equal [nil], database.list_deliveries.map { |one| one["signature_valid"] }
    assert_equal [[true, false]], database.list_endpoints.map { |one| one.values_at("enabled", "paused") }
  end

  def test_an_error_has_the_word_and_the_number_that_it_has_everywhere
    words = KnockerSqlite.constants.map { |name| KnockerSqlite.const_get(name) }
                         .select { |kind| kind.is_a?(Class) && kind < KnockerSqlite::Error }
                         .to_h { |kind| [kind.new.code, kind.new.name] }
    assert_equal({ -1 => "invalid_argument", -2 => "unknown_endpoint", -3 => "unknown_event", -4 => "unknown_delivery",
                   -5 => "wrong_status", -6 => "busy", -7 => "storage", -8 => "corrupt", -9 => "closed",
                   -10 => "lease_lost", -11 => "sql" }, words)
    assert_equal "unknown", KnockerSqlite::Error.new.name
  end

  def test_a_body_that_was_parsed_is_an_error_that_says_so
    database = inbox
    said = { {} => "a framework has parsed it", [] => "a framework has parsed it", 5 => "Integer",
             StringIO.new("x") => "give what its read gives" }
    said.each do |body, text|
      error = assert_raises(KnockerSqlite::InvalidArgument) { receive(database, body) }
      assert_includes error.message, text
    end
    assert_equal 0, database.stats.first["queued"]
  end

  def test_a_body_is_its_bytes_whatever_its_encoding_says
    database = inbox
    ["é".encode("ISO-8859-1"), "é".encode("UTF-16LE"), "\xE9", "é".b].each { |body| receive(database, body) }
    assert_equal ["\xE9", "\xE9\x00", "\xE9", "é"].map(&:b), database.list_events.reverse.map { |event| event["body"] }
  end

  def test_headers_and_queries_that_are_none_are_refused
    database = inbox
    [{ "x" => "a\nb" }, { "x:y" => "a" }, { "" => "a" }, { x: "a" }, { "x" => 5 }, "x: a", 5].each do |headers|
      assert_raises(KnockerSqlite::InvalidArgument, headers.inspect) { receive(database, "", headers:) }
    end
    assert_raises(KnockerSqlite::InvalidArgument) { receive(database, "", query: 5) }
  end

  def test_a_query_is_raw_or_what_rack_makes_of_it
    database = inbox
    receive(database, "", query: "a=1&a=2&b=%20")
    receive(database, "", query: { "a" => { "b" => ["1", nil] }, "c" => 2 })
    receive(database, "", query: [%w[a ~], ["b", "ü&"]])
    queries = database.list_events.reverse.map { |event| event["query"] }
    assert_equal [{ "a" => %w[1 2], "b" => " " }, { "a[b]" => ["1", ""], "c" => "2" }, { "a" => "~", "b" => "ü&" }],
                 queries
  end

  def test_options_are_checked_before_anything_is_made
    [{ synchronous: "none" }, { visibility_timeout_s: 0 }, { visibility_timeout_s: "1" }, { max_attempts: 0 },
     { max_body_bytes: -1 }, { backoff_base_s: Float::NAN }, { max_readers: 1.5 }, { init_sql: 5 }].each do |options|
      assert_raises(KnockerSqlite::InvalidArgument, options.inspect) { open_database(**options) }
    end
    assert_raises(ArgumentError) { open_database(colour: "red") }
    assert_raises(KnockerSqlite::StorageError) { open_database(existing: true) }
    refute_path_exists @path
    open_database(Pathname(@path), max_body_bytes: 0, synchronous: :normal, max_attempts: nil)
    assert_path_exists @path
  end

  def test_a_block_is_given_the_handle_and_closes_it
    kept = nil
    answer = KnockerSqlite::Database.open(@path) { |database| (kept = database).queue_name }
    assert_equal "knocker.events", answer
    assert_raises(KnockerSqlite::Closed) { kept.stats }
    assert_nil kept.close
  end

  def test_a_closed_handle_raises_whatever_is_called
    database = inbox
    receive(database)
    database.close
    calls = [-> { receive(database) }, -> { database.run_worker_once }, -> { database.get_event(1) },
             -> { database.run_worker }, -> { database.read("select 1") }, -> { database.set_clock(1) },
             -> { database.add_endpoint(name: "x") }, -> { database.receive_many([{ endpoint: "plain" }]) },
             -> { database.stop_worker }, -> { database.pause("plain") }]
    calls.each { |call| assert_raises(KnockerSqlite::Closed, &call) }
  end

  def test_receive_many_gives_errors_in_their_places
    database = inbox
    results = database.receive_many([{ endpoint: "plain", body: "a" }, { endpoint: "nobody" }, { endpoint: 5 },
                                     { endpoint: "plain", body: {} }, { endpoint: "plain", body: "b" }])
    assert_equal [Hash, KnockerSqlite::UnknownEndpoint, KnockerSqlite::InvalidArgument, KnockerSqlite::InvalidArgument,
                  Hash], results.map(&:class)
    assert_equal [1, 2], results.grep(Hash).map { |row| row["event_id"] }
    assert_raises(KnockerSqlite::InvalidArgument) { database.receive_many([]) }
    assert_raises(KnockerSqlite::InvalidArgument) { database.receive_many([{ endpoint: "plain" }] * 1001) }
  end

  def test_a_secret_stands_in_no_error
    database = open_database
    [["s3cr3t", 5], ["s3cr3t\xFF"], "s3cr3t", { "s3cr3t" => 1 }].each do |secrets|
      call = -> { database.add_endpoint(name: "x", provider: "stripe", secrets:) }
      error = assert_raises(KnockerSqlite::InvalidArgument, &call)
      refute_includes error.message, "s3cr3t"
    end
  end

  def test_signing_verifying_and_diagnosing_need_no_file
    body = '{"id":"evt_1","type":"invoice.paid"}'
    headers = KnockerSqlite.sign("stripe", secrets: [SECRET], body:, now: START_S)
    found = KnockerSqlite.verify("stripe", secrets: [SECRET], body:, headers:, now: START_S)
    assert_equal [true, "invoice.paid", "evt_1"], found.values_at("valid", "event_type", "provider_event_id")
    late = KnockerSqlite.verify("stripe", secrets: [SECRET], body:, headers:, now: START_S + 1000)
    refute late["valid"]
    causes = KnockerSqlite.diagnose("stripe", secrets: ["whsec_old"], others: { "STAGING" => SECRET }, body:, headers:,
                                              now: START_S)
    assert_includes causes.first["sentence"], "STAGING"
  end

  def test_provider_versions_are_a_fresh_hash_of_the_curated
    versions = open_database.provider_versions
    assert_match(/\A\d+\.\d+\.\d+\z/, versions.fetch("stripe"))
    versions.clear
    refute_empty open_database.provider_versions
  end

  def test_an_endpoint_has_handlers_and_receives
    stripe = open_database.endpoint("stripe", provider: "stripe", secrets: [SECRET])
    ran = []
    stripe.handle("invoice.paid") { |event, _| ran << event["id"] }
    stripe.handle { |_, _| ran << :other }
    %w[invoice.paid invoice.made].each_with_index do |type, index|
      body = JSON.generate("id" => "evt_#{index}", "type" => type)
      headers = KnockerSqlite.sign("stripe", secrets: [SECRET], body:)
      assert_equal 204, stripe.receive(body:, headers:)["status_code"]
    end
    @open.last.drain
    assert_equal [1, :other], ran
  end

  def test_retention_runs_until_it_is_told_to_stop
    database = inbox(clock: START_S)
    database.register_handler("plain") { |_, _| nil }
    receive(database)
    database.drain
    database.set_clock(START_S + 100_000)
    policy = KnockerSqlite::RetentionPolicy.new(interval_s: 60, event_older_than_s: 10)
    asked = 0
    database.run_retention(policy, stop: -> { (asked += 1) > 1 })
    assert_equal [1], database.list_prune_audits(kind: "prune_events").map { |audit| audit["events_pruned"] }
    assert_raises(KnockerSqlite::UnknownEvent) { database.get_event(1) }
    [{ interval_s: 0, event_limit: 1 }, { interval_s: 1 }, { interval_s: 1, event_older_than_s: 1.5 },
     { interval_s: 1, event_older_than_s: 1, event_statuses: ["dead"] }].each do |wrong|
      assert_raises(KnockerSqlite::InvalidArgument, wrong.inspect) { KnockerSqlite::RetentionPolicy.new(**wrong) }
    end
  end

  def test_the_sqlite3_gem_sees_the_functions_and_shares_our_library
    out, status = run_ruby(<<~RUBY, @path)
      require "sqlite3"
      require "knocker_sqlite"
      inbox = KnockerSqlite::Database.open(ARGV[0])
      inbox.add_endpoint(name: "plain")
      KnockerSqlite.autoload_sql
      mine = SQLite3::Database.new(ARGV[0])
      mine.execute("create table t(a)")
      mine.transaction(:immediate) do
        mine.execute("insert into t values (1)")
        mine.execute("select knocker_ingest('plain', 'POST', null, 'x', null, 1, null, null, null, null, null, null, null)")
      end
      mine.close
      puts inbox.read("select a from t").inspect, inbox.get_event(1)["body"]
    RUBY
    assert_predicate status, :success?, out
    assert_equal "[{\"a\"=>1}]\nx\n", out
  end

  def test_a_gem_with_an_sqlite_of_its_own_is_refused
    out, ended = run_ruby(<<~RUBY, @path)
      require "knocker_sqlite"
      $LOADED_FEATURES << "/nowhere/sqlite3/sqlite3_native.so"
      [-> { KnockerSqlite::Database.open(ARGV[0]) }, -> { KnockerSqlite.autoload_sql }].each do |call|
        call.call
      rescue KnockerSqlite::StorageError => e
        puts e.message
      end
    RUBY
    assert_predicate ended, :success?, out
    assert_equal [true, true], (out.lines.map { |line| line.include?("another copy of SQLite") })
    refute_path_exists @path
  end
end
