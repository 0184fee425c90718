# frozen_string_literal: true

# What Ruby does with processes, ractors and memory.

require_relative "helper"
require "objspace"

class ProcessTest < KnockerTest
  def test_after_a_fork_a_child_opens_again
    database = inbox
    database.register_handler("plain") { |_, _| nil }
    worker = Thread.new { database.run_worker }
    until_so { worker.status == "sleep" }
    child = fork do
      error = assert_raises(KnockerSqlite::Closed) { receive(database) }
      assert_match(/fork/, error.message)
      KnockerSqlite::Database.open(@path) { |own| own.receive(endpoint: "plain", body: "from the child") }
      exit! 0
    end
    Timeout.timeout(10) { Process.wait(child) }
    assert_predicate $?, :success? # rubocop:disable Style/SpecialGlobalVars
    until_so { database.stats.first["handled"] == 1 }
    assert_equal "from the child", database.get_event(1)["body"]
    database.stop_worker
    worker.join
  end

  def test_a_child_that_ends_as_usual_harms_nobody
    database = inbox
    out, ended = run_ruby(<<~RUBY, @path)
      require "knocker_sqlite"
      inbox = KnockerSqlite::Database.open(ARGV[0])
      Process.wait(fork { GC.start })
      puts inbox.receive(endpoint: "plain")["status_code"], $?.exitstatus
    RUBY
    assert_equal ["204\n0\n", 0], [out, ended.exitstatus]
    assert_equal 204, receive(database)["status_code"]
  end

  def test_a_handle_belongs_to_the_main_ractor
    out, ended = run_ruby(<<~RUBY, @path)
      require "knocker_sqlite"
      inbox = KnockerSqlite::Database.open(ARGV[0])
      Thread.report_on_exception = false
      begin
        Ractor.new(ARGV[0]) { |path| KnockerSqlite::Database.open(path) }.take
      rescue Ractor::RemoteError => error
        puts error.cause.message
      end
      begin
        Ractor.new(ARGV[0]) { KnockerSqlite.sign("stripe", secrets: ["s"], body: "") }.take
      rescue Ractor::RemoteError => error
        puts error.cause.class
      end
      begin
        Ractor.new { Ractor.receive }.send(inbox)
      rescue TypeError => error
        puts error.class
      end
      ractor = Ractor.new { receive_body = Ractor.receive; receive_body.upcase }
      ractor.send("from a ractor")
      inbox.add_endpoint(name: "plain")
      inbox.receive(endpoint: "plain", body: ractor.take)
      puts inbox.get_event(1)["body"]
    RUBY
    assert_predicate ended, :success?, out
    assert_equal ["a Database belongs to the main Ractor", "Ractor::UnsafeError", "TypeError", "FROM A RACTOR"],
                 out.lines(chomp: true)
  end

  STRESS = <<~'RUBY'
    require "knocker_sqlite"
    inbox = KnockerSqlite::Database.open(ARGV[0])
    inbox.add_endpoint(name: "plain")
    inbox.register_handler("plain") do |event, tx|
      tx.execute("create table if not exists t(a, b)")
      tx.execute("insert into t values (?, ?)", event["body"], "short")
    end
    GC.stress = true
    5.times { |index| inbox.receive(endpoint: "plain", body: "body #{index}", headers: { "x-a" => "b" }) }
    inbox.receive_many([{ endpoint: "plain", body: "body 5" }, { endpoint: "nobody" }])
    puts inbox.drain.size
    begin
      inbox.get_event(47)
    rescue KnockerSqlite::UnknownEvent => e
      puts e.message
    end
    GC.stress = false
    puts inbox.read("select a, b from t").flat_map(&:values).join(" ")
  RUBY

  # In a process of its own, whose heap is small.
  def test_the_collector_may_come_at_any_time
    out, ended = run_ruby(STRESS, @path)
    assert_predicate ended, :success?, out
    bodies = Array.new(6) { |index| "body #{index} short" }
    assert_equal ["6", "no event has the id 47", bodies.join(" ")], out.lines(chomp: true)
  end

  COMPACTION = <<~'RUBY'
    require "knocker_sqlite"
    inbox = KnockerSqlite::Database.open(ARGV[0], synchronous: "normal")
    inbox.add_endpoint(name: "plain")
    stop = false
    moving = Thread.new { GC.compact until stop }
    bodies = Array.new(100) { |index| "b#{index}" }
    bodies.each { |body| inbox.receive(endpoint: "plain", body: body.dup, headers: { "x-#{body}" => "v" }) }
    stop = true
    moving.join
    puts GC.stat[:compact_count] > 10, inbox.list_events.reverse.map { |event| event["body"] } == bodies
  RUBY

  def test_compaction_moves_nothing_that_c_reads
    out, ended = run_ruby(COMPACTION, @path)
    assert_predicate ended, :success?, out
    assert_equal "true\ntrue\n", out
  end

  def test_a_handle_that_nobody_holds_is_closed_when_it_is_collected
    100.times do |index|
      path = File.join(@folder, "#{index}.db")
      KnockerSqlite::Database.open(path).add_endpoint(name: "plain")
    end
    GC.start
    until_so { GC.start || Dir["/proc/self/fd/*"].count { |fd| open_in_folder?(fd) } < 30 }
    assert_equal 204, receive(inbox)["status_code"]
  end

  def open_in_folder?(descriptor)
    File.readlink(descriptor).start_with?(@folder)
  rescue SystemCallError
    false
  end

  def test_a_handle_in_use_is_not_collected
    worker = Thread.new { KnockerSqlite::Database.open(@path).run_worker(max_jobs: 1) }
    until_so { worker.status == "sleep" }
    5.times { GC.start }
    database = inbox_without_draining
    receive(database)
    assert_equal 1, Timeout.timeout(5) { worker.value }
  end

  def inbox_without_draining
    open_database.tap { |database| database.add_endpoint(name: "plain") }
  end

  def test_strings_that_change_meanwhile_change_nothing
    database = inbox(synchronous: "normal")
    body = "a".dup * 100_000
    stop = false
    changing = Thread.new { body.replace("b" * 100_000).replace("a" * 100_000) until stop }
    15.times { receive(database, body) }
    stop = true
    changing.join
    database.list_events(limit: 15).each { |event| assert_includes ["a" * 100_000, "b" * 100_000], event["body"] }
  end

  LEAK = <<~RUBY
    require "knocker_sqlite"
    inbox = KnockerSqlite::Database.open(ARGV[0], synchronous: "normal")
    inbox.add_endpoint(name: "plain")
    inbox.register_handler("plain") { |event, tx| tx.query("select ? as a, ? as b", event["body"], "text") }
    size = -> { GC.start; File.read("/proc/self/statm").split[1].to_i * 4 }
    round = lambda do |from|
      10.times { |part| inbox.receive_many(Array.new(1000) { |i| { endpoint: "plain", body: "x" * 200, dedupe_key: "\#{from}-\#{part}-\#{i}" } }) }
      inbox.drain
      100.times { inbox.get_event(0) rescue 0 }
    end
    6.times { |number| round.call("warm\#{number}") } # SQLite's caches fill
    before = size.call
    10.times { |number| round.call(number) }
    puts inbox.stats.first["handled"], size.call - before
  RUBY

  def test_memory_stays_flat_over_100_000_receipts_and_events
    out, ended = run_ruby(LEAK, @path)
    assert_predicate ended, :success?, out
    handled, grown_kb = out.split.map(&:to_i)
    assert_equal 160_000, handled
    assert_operator grown_kb, :<, 2000, "grew by #{grown_kb} KiB"
  end
end
