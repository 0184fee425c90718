# frozen_string_literal: true

# Threads and signals: who waits holds nobody up, and can be called away.

require_relative "helper"
require "sqlite3"

class ThreadsTest < KnockerTest
  # Runs the block while another connection holds the file's write lock for as long as it takes.
  def with_the_file_busy
    other = SQLite3::Database.new(@path)
    other.execute("begin immediate")
    yield other
  ensure
    other.execute("rollback") if other.transaction_active?
    other.close
  end

  def test_other_threads_run_while_one_waits_in_c
    database = inbox(busy_timeout_ms: 400)
    with_the_file_busy do
      waiting = Thread.new { receive(database) }
      waiting.report_on_exception = false
      turns = 0
      until_so { (turns += 1) && !waiting.alive? }
      assert_operator turns, :>, 20
      assert_raises(KnockerSqlite::Busy) { waiting.value }
    end
  end

  def test_many_threads_receive_and_read_at_once
    database = inbox(synchronous: "normal")
    threads = Array.new(8) do |number|
      Thread.new do
        Array.new(100) { |index| receive(database, "x", dedupe_key: "#{number}/#{index / 2}")["duplicate"] }
      end
    end
    readers = Array.new(4) { Thread.new { Array.new(100) { database.list_events(limit: 5).size } } }
    assert_equal [50] * 8, threads.map { |thread| thread.value.count(true) }
    readers.each { |reader| assert_operator reader.value.max, :<=, 5 }
    assert_equal 400, database.stats.first["queued"]
  end

  def test_a_worker_sleeps_until_a_commit_wakes_it
    database = inbox
    handled = Queue.new
    database.register_handler("plain") { |event, _| handled << event["body"] }
    worker = Thread.new { database.run_worker(worker_id: "one") }
    until_so { database.worker_states.first&.fetch("running") }
    sleep 0.05
    used = Process.clock_gettime(Process::CLOCK_PROCESS_CPUTIME_ID)
    sleep 0.3
    used = Process.clock_gettime(Process::CLOCK_PROCESS_CPUTIME_ID) - used
    assert_operator used, :<, 0.1
    receive(database, "woken")
    assert_equal "woken", Timeout.timeout(5) { handled.pop }
    database.stop_worker("one")
    assert_equal 1, worker.value
    assert_equal [{ "worker_id" => "one", "running" => false, "current_event_id" => nil, "last_error" => nil }],
                 database.worker_states
  end

  def test_a_waiting_worker_can_be_killed_and_interrupted
    database = inbox
    worker = waiting_worker(database)
    worker.kill
    assert_nil Timeout.timeout(3) { worker.value }
    worker = waiting_worker(database)
    worker.raise(Interrupt)
    assert_raises(Interrupt) { Timeout.timeout(3) { worker.value } }
    assert_raises(Timeout::Error) { Timeout.timeout(0.1) { database.run_worker } }
    assert_equal 204, receive(database)["status_code"]
  end

  def waiting_worker(database)
    Thread.new { database.run_worker }.tap do |worker|
      worker.report_on_exception = false
      until_so { worker.status == "sleep" }
      sleep 0.05
    end
  end

  def test_a_worker_finishes_what_it_has_claimed_before_it_stops
    database = inbox
    5.times { receive(database) }
    stop = false
    database.register_handler("plain") { stop = true }
    assert_equal 5, database.run_worker(stop: -> { stop })
    assert_equal 5, database.stats.first["handled"]
  end

  def test_a_worker_stops_when_its_stop_says_so_and_after_its_last_job
    database = inbox
    3.times { receive(database) }
    database.register_handler("plain") { |_, _| nil }
    assert_equal 2, database.run_worker(max_jobs: 2)
    assert_equal 1, database.run_worker(stop: -> { database.stats.first["queued"].zero? })
  end

  def test_closing_ends_the_wait_of_a_worker
    database = inbox
    worker = Thread.new { database.run_worker }
    until_so { worker.status == "sleep" }
    Timeout.timeout(3) { database.close }
    assert_equal 0, worker.value
  end

  def test_on_error_hears_of_what_ends_a_worker
    database = inbox
    receive(database)
    heard = []
    failing = ->(*) { raise "out of on_dead" }
    hearing = ->(error) { heard << error.message }
    assert_raises(RuntimeError) { database.run_worker(on_dead: failing, on_error: hearing) }
    assert_equal ["out of on_dead"], heard
    assert_equal "RuntimeError: out of on_dead", database.worker_states.first["last_error"]
  end

  # Who was started in the background ignores SIGINT, and so do its children until they say otherwise.
  WORKER = <<~RUBY
    require "knocker_sqlite"
    trap("INT", "DEFAULT")
    inbox = KnockerSqlite::Database.open(ARGV[0])
    inbox.add_endpoint(name: "plain")
    inbox.register_handler("plain") { |_, _| nil }
    trap("TERM") { inbox.stop_worker }
    puts "ready"
    $stdout.flush
    inbox.run_worker
    puts "stopped"
  RUBY

  # Sends a signal to a worker that waits; how it ended, and how long that took.
  def end_worker_with(signal)
    command = ["ruby", "-W0", "-I", File.expand_path("../lib", __dir__), "-e", WORKER, @path]
    IO.popen(command, err: File::NULL) do |worker|
      assert_equal "ready\n", worker.gets
      sleep 0.2
      Process.kill(signal, worker.pid)
      Timeout.timeout(5) { worker.read }
    ensure
      Process.kill("KILL", worker.pid) # it has ended, or this would wait for it
    end
  end

  def test_a_signal_ends_a_wait
    inbox
    assert_equal "stopped\n", end_worker_with("TERM")
    assert_equal "", end_worker_with("INT")
    assert_equal "SIGINT", Signal.signame($?.termsig).prepend("SIG") # rubocop:disable Style/SpecialGlobalVars
  end

  # Also the only thread of a process, for which Ruby waits otherwise.
  def test_a_process_that_rescues_its_interrupt_goes_on
    out, ended = run_ruby(<<~RUBY, @path)
      require "knocker_sqlite"
      trap("INT", "DEFAULT")
      inbox = KnockerSqlite::Database.open(ARGV[0])
      inbox.add_endpoint(name: "plain")
      3.times do
        Process.spawn("sleep 0.2; kill -INT \#{Process.pid}")
        inbox.run_worker
      rescue Interrupt
        puts inbox.receive(endpoint: "plain")["status_code"]
        inbox.pause("plain")
      end
      inbox.close
      puts "closed"
    RUBY
    assert_predicate ended, :success?, out
    assert_equal %w[204 204 204 closed], out.split
  end

  # Threads that are killed, interrupted, or both, at any moment.
  def test_a_storm_of_kills_loses_and_doubles_nothing
    database = inbox(synchronous: "normal", init_sql: "create table if not exists notes(id unique)")
    database.register_handler("plain") { |event, tx| tx.execute("insert into notes values (?)", event["id"]) }
    received = 0
    until_s = Time.now + 2
    while Time.now < until_s
      threads = Array.new(3) { Thread.new { database.run_worker } }
      threads += Array.new(2) { Thread.new { loop { receive(database) && received += 1 } } }
      sleep rand * 0.02
      threads.shuffle.each { |thread| end_somehow(thread) }
    end
    Timeout.timeout(20) { database.drain }
    stats = database.stats.first
    assert_equal [0, 0, 0], stats.values_at("queued", "failed", "dead")
    assert_operator stats["handled"], :>=, received
    assert_equal [{ "n" => stats["handled"] }], database.read("select count(*) as n from notes")
    Timeout.timeout(5) { database.close }
  end

  def end_somehow(thread)
    thread.report_on_exception = false
    thread.raise(Interrupt) if rand < 0.6
    thread.kill if rand < 0.5
    thread.raise(Interrupt)
    flunk "a thread hangs" unless thread.join(10)
  rescue Interrupt
    nil
  end

  def test_fibers_share_their_threads_mark
    database = inbox
    receive(database)
    said = nil
    database.register_handler("plain") do |_, tx|
      said = Fiber.new { assert_raises(KnockerSqlite::InvalidArgument) { receive(database) }.message }.resume
      Enumerator.new { |rows| tx.query("select 1 as n").each { |row| rows << row } }.next
    end
    assert_equal 1, database.run_worker_once
    assert_includes said, "use its tx"
    assert_equal "handled", status(database)
  end
end
