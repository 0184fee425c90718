# frozen_string_literal: true

# However a handler ends, its work ends: committed, or rolled back with the writer free.

require_relative "helper"

class HandlersTest < KnockerTest
  def setup
    super
    @inbox = inbox(init_sql: "create table if not exists notes(text)", clock: START_S)
    receive(@inbox, "one")
  end

  def notes
    @inbox.read("select text from notes").map { |row| row["text"] }
  end

  # Nothing of a handler was kept, no attempt was counted, its job is due, and the writer is free.
  def assert_given_back
    assert_empty notes
    assert_equal ["received", 0], @inbox.get_event(1).values_at("status", "attempt_count")
    assert_equal 1, @inbox.stats.first["due"]
    assert_equal 204, receive(@inbox, "two")["status_code"]
  end

  def handle(**options, &block)
    @inbox.register_handler("plain") do |event, tx|
      tx.execute("insert into notes values (?)", event["body"])
      block.call(event, tx)
    end
    @inbox.run_worker_once(**options)
  end

  def test_a_return_commits
    changes = nil
    assert_equal 1, handle { |_, tx| changes = tx.execute("insert into notes values ('x')") }
    assert_equal({ "changes" => 1, "last_insert_row_id" => 2 }, changes)
    assert_equal %w[one x], notes
    assert_equal "handled", status(@inbox)
  end

  def test_next_is_a_return
    @inbox.register_handler("plain") { |_, tx| next tx.execute("insert into notes values ('n')") }
    @inbox.drain
    assert_equal [["n"], "handled"], [notes, status(@inbox)]
  end

  def test_an_exception_rolls_back_and_is_retried
    [RuntimeError.new("boom"), NotImplementedError.new("boom"), NoMemoryError.new("boom"),
     Timeout::Error.new("boom")].each do |error|
      inbox = @inbox
      inbox.replay(1) if status(inbox) == "dead"
      handle { raise error }
      event = inbox.get_event(1)
      assert_empty notes
      assert_equal "failed", event["status"], error.class.to_s
      assert_includes event["last_error"], "#{error.class}: boom"
      inbox.set_clock(START_S + 86_400)
      inbox.ignore(1)
      inbox.requeue(1)
    end
    assert_includes @log.string, "handlers_test.rb"
  end

  def test_a_stack_that_overflows_is_a_failure
    endless = ->(depth) { endless.call(depth + 1) }
    handle { endless.call(0) }
    assert_equal "failed", status(@inbox)
    assert_includes @inbox.get_event(1)["last_error"], "SystemStackError"
  end

  def test_an_error_whose_own_message_fails_is_a_failure
    odd = Class.new(StandardError) { def message = raise("no message") }
    handle { raise odd }
    assert_equal "failed", status(@inbox)
    @inbox.set_clock(START_S + 86_400)
    handle { raise "\xFF".b }
    assert_equal ["failed", "RuntimeError: \uFFFD"], @inbox.get_event(1).values_at("status", "last_error")
  end

  def test_outcomes_have_exceptions
    dead = []
    handle { raise KnockerSqlite::RetryAfter.new(90, "not yet") }
    assert_equal ["received", 0, "not yet"], @inbox.get_event(1).values_at("status", "attempt_count", "last_error")
    assert_equal START_S + 90, @inbox.list_jobs.first["due_at"]
    @inbox.set_clock(START_S + 91)
    handle { raise KnockerSqlite::Ignore, "not ours" }
    assert_equal ["ignored", "not ours"], @inbox.get_event(1).values_at("status", "last_error")
    @inbox.requeue(1)
    handle(on_dead: ->(event, error) { dead << [event["id"], error] }) { raise KnockerSqlite::Dead, "never" }
    assert_equal [[1, "never"]], dead
    assert_empty notes
    assert_raises(KnockerSqlite::InvalidArgument) { KnockerSqlite::RetryAfter.new(-1) }
  end

  def test_throw_leaves_and_gives_back
    assert_equal :out, catch(:away) { handle { throw :away, :out } }
    assert_given_back
  end

  def test_a_throw_that_nobody_catches_is_a_failure
    handle { throw :away }
    assert_includes @inbox.get_event(1)["last_error"], "uncaught throw :away"
  end

  def leave_by_return
    @inbox.register_handler("plain") do |_, tx|
      tx.execute("insert into notes values ('x')")
      return :returned
    end
    @inbox.run_worker_once
  end

  def test_return_leaves_and_gives_back
    assert_equal :returned, leave_by_return
    assert_given_back
  end

  def test_break_is_a_failure
    @inbox.register_handler("plain") do |_, tx|
      tx.execute("insert into notes values ('x')")
      break
    end
    @inbox.drain
    assert_empty notes
    assert_includes @inbox.get_event(1)["last_error"], "LocalJumpError: break"
  end

  def test_a_thread_that_is_killed_in_its_handler_gives_back
    inside = Queue.new
    worker = Thread.new do
      handle do
        inside << true
        sleep
      end
    end
    inside.pop
    worker.kill.join
    assert_nil worker.value
    assert_given_back
  end

  def test_what_a_killed_worker_had_claimed_is_given_back
    4.times { receive(@inbox) }
    inside = Queue.new
    @inbox.register_handler("plain") { inside.push(true) && sleep }
    worker = Thread.new { @inbox.run_worker }
    inside.pop
    worker.kill.join
    assert_equal [5, 0], @inbox.stats.first.values_at("due", "processing")
  end

  def test_exit_in_a_handler_ends_the_process_and_gives_back
    @inbox.set_clock(nil)
    out, ended = run_ruby(<<~RUBY, @path)
      require "knocker_sqlite"
      inbox = KnockerSqlite::Database.open(ARGV[0])
      inbox.register_handler("plain") { |_, tx| tx.execute("insert into notes values ('x')"); exit 3 }
      inbox.run_worker
    RUBY
    assert_equal ["", 3], [out, ended.exitstatus]
    assert_given_back
  end

  def test_the_handle_says_use_tx_inside_its_handler
    said = []
    handle do |_, tx|
      [-> { receive(@inbox) }, -> { @inbox.replay(1) }, -> { @inbox.run_worker_once }].each do |call|
        said << assert_raises(KnockerSqlite::InvalidArgument, &call).message
      end
      assert_equal 204, tx.receive(endpoint: "plain", body: "inner")["status_code"]
      assert_equal 204, tx.ingest(endpoint: "plain", body: "inner", signature_valid: true)["status_code"]
      error = assert_raises(KnockerSqlite::InvalidArgument) { @inbox.close }
      assert_match(/handler/, error.message)
    end
    said.each { |text| assert_includes text, "use its tx" }
    assert_equal "handled", status(@inbox)
    assert_equal 2, @inbox.stats.first["queued"]
  end

  def test_tx_ends_with_its_handler
    kept = nil
    handle { |_, tx| kept = tx }
    [-> { kept.execute("select 1") }, -> { kept.query("select 1") }, -> { kept.extend_lease(1) },
     -> { kept.receive(endpoint: "plain") }].each { |call| assert_raises(KnockerSqlite::Closed, &call) }
  end

  def test_tx_may_be_lent_to_a_thread_that_is_waited_for
    handle { |_, tx| Thread.new { tx.execute("insert into notes values ('lent')") }.value }
    assert_equal [%w[one lent], "handled"], [notes, status(@inbox)]
  end

  def test_a_handler_that_returns_a_thread_or_fiber_fails
    handle { Thread.new { nil } }
    assert_includes @inbox.get_event(1)["last_error"], "the handler returned a Thread: handlers are synchronous"
    assert_empty notes
  end

  def test_a_failed_statement_leaves_the_work_alive
    handle do |_, tx|
      assert_raises(KnockerSqlite::SqlError) { tx.execute("insert into nowhere values (1)") }
      assert_raises(KnockerSqlite::SqlError) { tx.execute("commit") }
      tx.execute("insert into notes values ('still')")
    end
    assert_equal %w[one still], notes
  end

  def test_a_handler_that_hangs_is_ended_by_its_timeout
    handle(handler_timeout_s: 0.05) { sleep }
    assert_equal ["failed", "KnockerSqlite::HandlerTimeout: the handler ran for longer than 0.05 s"],
                 @inbox.get_event(1).values_at("status", "last_error")
    assert_empty notes
  end

  def test_others_receive_while_a_handler_that_never_returns_holds_the_writer
    @inbox.set_clock(nil)
    brief = open_database(visibility_timeout_s: 0.3, max_attempts: 1)
    inside = Queue.new
    brief.register_handler("plain") do |_, tx|
      tx.execute("insert into notes values ('hanging')")
      inside << true
      sleep
    end
    worker = Thread.new { brief.run_worker_once }
    inside.pop
    assert_equal 204, brief.receive(endpoint: "plain", body: "meanwhile")["status_code"]
    worker.kill.join
    assert_empty notes
  end

  def test_a_lost_lease_costs_its_job_only
    other = open_database(clock: START_S + 100)
    other.register_handler("plain") { |_, tx| tx.execute("insert into notes values ('other')") }
    ran = @inbox.register_handler("plain") do |_, tx|
      other.run_worker_once
      assert_raises(KnockerSqlite::LeaseLost) { tx.execute("insert into notes values ('late')") }
    end
    assert_respond_to ran, :call
    assert_empty @inbox.drain
    assert_equal [["other"], "handled"], [notes, status(@inbox)]
  end

  def test_an_event_without_a_handler_is_dead_and_left_by_those_who_leave
    assert_nil @inbox.run_worker_once(missing: "leave")
    assert_equal "received", status(@inbox)
    dead = []
    assert_equal 1, @inbox.run_worker_once(on_dead: ->(event, error) { dead << [event["status"], error] })
    assert_equal ["dead", 1], @inbox.get_event(1).values_at("status", "attempt_count")
    assert_match(/no handler registered/, dead.first.last)
  end

  def test_handlers_and_workers_are_checked
    [-> { @inbox.register_handler("plain") }, -> { @inbox.register_handler(5) { nil } },
     -> { @inbox.register_handler("plain", event_type: :made) { nil } }, -> { @inbox.run_worker_once(missing: "x") },
     -> { @inbox.run_worker_once(worker_id: "") }, -> { @inbox.run_worker_once(queues: "q") },
     -> { @inbox.drain(max_jobs: 0) }, -> { @inbox.run_worker(endpoints: [5]) },
     -> { @inbox.run_worker_once(handler_timeout_s: 0) }, -> { @inbox.run_retention(5) }].each do |call|
      assert_raises(KnockerSqlite::InvalidArgument, &call)
    end
    @inbox.register_handler("plain", method(:assert), event_type: "made")
  end
end
