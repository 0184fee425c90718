# frozen_string_literal: true

require "securerandom"
require "socket"
require "timeout"

module KnockerSqlite
  # Claims due jobs and runs their handlers, one at a time. Outcomes are decided in C. However a handler
  # is left (return, raise, throw, break, Thread#kill), its work ends: settled, or rolled back and given
  # back.
  class Worker
    WAIT_MS = 1000
    BATCH = 10
    # What a handler may raise and only have failed; the rest ends the thread or the process.
    FAILURES = [StandardError, ScriptError, SystemStackError, NoMemoryError].freeze

    # What a thread does for an application may be interrupted, and what it does for the inbox not.
    INTERRUPTED = { Object => :immediate }.freeze
    UNINTERRUPTED = { Object => :never }.freeze

    attr_reader :worker_id

    # What an exception says, as UTF-8, even if its own message fails.
    def self.text(error)
      error.message.to_s.encode(Encoding::UTF_8, invalid: :replace, undef: :replace).scrub
    rescue StandardError
      error.class.to_s
    end

    def self.describe(error)
      "#{error.class}: #{text(error)}"
    end

    def initialize(handle, registry, handlers, worker_id: nil, queues: nil, endpoints: nil, missing: "dead",
                   on_dead: nil, stop: nil, handler_timeout_s: nil)
      unless %w[dead leave].include?(missing.to_s)
        raise InvalidArgument, "missing is #{missing.inspect}, not \"dead\" or \"leave\""
      end

      @handle = handle
      @registry = registry
      @handlers = handlers
      @worker_id = worker_id || "#{Socket.gethostname}-#{Process.pid}-#{SecureRandom.hex(3)}"
      @queues_json = Arguments.texts_json("queues", queues)
      Arguments.texts_json("endpoints", endpoints) # checked now, used at each claim
      @endpoints = endpoints
      @leave = missing.to_s == "leave"
      @on_dead = on_dead
      @stop = stop
      @timeout_s = Arguments.milliseconds("handler_timeout_s", handler_timeout_s) && handler_timeout_s
    end

    def state
      { "worker_id" => worker_id, "running" => @running || false, "current_event_id" => @current_event_id,
        "last_error" => @last_error }
    end

    # Only marks, so that a signal's handler may call it. The worker ends when it holds nothing more.
    def stop(closing: false)
      @closing ||= closing
      @stopping = true
    end

    # Runs what is due until nothing is, or that many were claimed; gives the events whose outcome was
    # recorded.
    def run_due(max_jobs, batch: BATCH)
      recorded = []
      left = max_jobs || Float::INFINITY
      until left.zero?
        claimed = run_batch([batch, left].min) { |event_id| recorded << event_id }
        break if claimed.zero?

        left -= claimed
      end
      recorded
    end

    # Runs until it is stopped, or that many were claimed; gives how many outcomes were recorded.
    def run(max_jobs, on_error)
      @running = true
      recorded = 0
      left = max_jobs || Float::INFINITY
      until left.zero? || stopping?
        claimed = run_batch([BATCH, left].min) { recorded += 1 }
        left -= claimed
        wait if claimed.zero?
      end
      recorded
    rescue StandardError => e
      return recorded if e.is_a?(Closed) && @closing

      @last_error = Worker.describe(e)
      on_error&.call(e)
      raise
    ensure
      @running = false
    end

    private

    def stopping?
      @stopping || @stop&.call
    end

    # What to claim, and to wait for; nil while there is nothing that it could serve.
    def serves(most)
      names = @endpoints
      if @leave
        able = @handlers.keys.map(&:first).uniq
        names = names ? names & able : able
      end
      return nil if names&.empty?

      { worker_id: @worker_id, queues_json: @queues_json, endpoints_json: Arguments.texts_json("endpoints", names),
        count: most }
    end

    def wait
      claim = serves(BATCH)
      return sleep(WAIT_MS / 1000.0) unless claim

      Native.knocker_wait(@handle, claim, WAIT_MS) unless stopping? # asks again each time, of +stop+, too
    end

    # Claims and runs some jobs, yields the events whose outcome was recorded, and gives how many it
    # claimed. When it is torn away, the rest is given back. What Ruby may do to a thread at any time
    # waits for the next handler, or the end, so that nothing that was claimed or begun is lost.
    def run_batch(most)
      claim = serves(most)
      return 0 unless claim

      Thread.handle_interrupt(UNINTERRUPTED) do
        jobs = Native.knocker_claim(@handle, claim)
        claimed = jobs.size
        while (job = jobs.shift)
          yield job["event_id"] if run_job(job)
        end
        claimed
      ensure
        jobs&.each { |left| release(left) }
      end
    end

    def release(job)
      Native.knocker_release(@handle, job["job_id"], job["claim"])
    rescue Error
      nil # its lease ends by itself
    end

    # Whether its outcome was recorded.
    def run_job(job)
      return tell_death(job["event_id"]) if job["died"] == 1

      work = Native.knocker_work_begin(@handle, job["job_id"], job["claim"])
      return false unless work

      @current_event_id = job["event_id"]
      event = Rows.one(Native.knocker_work_event(work).first)
      status = settle(work, event, *run_handler(work, event))
      work = nil
      tell_death(event["id"]) if %w[dead unknown].include?(status)
      !status.nil?
    ensure
      @current_event_id = nil
      abandon(work) if work
    end

    # Ends a work that was not settled. One whose settling failed has ended, too.
    def abandon(work)
      Native.abandon(work)
    rescue Closed
      nil
    end

    # The outcome, its reason, and the delay of a retry in milliseconds.
    def run_handler(work, event)
      handler = @handlers[[event["endpoint"], event["event_type"]]] || @handlers[[event["endpoint"], nil]]
      return [Native::KNOCKER_NO_HANDLER, nil, 0] unless handler

      judge(Thread.handle_interrupt(INTERRUPTED) { call(handler, event, Tx.new(@registry, work)) })
    rescue RetryAfter => e
      [Native::KNOCKER_RETRY_AFTER, Worker.text(e), [1, (e.seconds * 1000).round].max]
    rescue Ignore => e
      [Native::KNOCKER_IGNORED, Worker.text(e), 0]
    rescue Dead => e
      [Native::KNOCKER_DEAD, Worker.text(e), 0]
    rescue *FAILURES => e
      warn(event, [Worker.describe(e), *e.backtrace].join("\n  "))
      [Native::KNOCKER_FAILED, Worker.describe(e), 0]
    end

    def call(handler, event, tx)
      return handler.call(event, tx) unless @timeout_s

      text = "the handler ran for longer than #{@timeout_s} s"
      Timeout.timeout(@timeout_s, HandlerTimeout, text) { handler.call(event, tx) }
    end

    # What is still running when the handler has returned would come after the commit.
    def judge(returned)
      return [Native::KNOCKER_HANDLED, nil, 0] unless returned.is_a?(Thread) || returned.is_a?(Fiber)

      [Native::KNOCKER_FAILED, "the handler returned a #{returned.class}: handlers are synchronous", 0]
    end

    # Records an outcome, and gives the event's status. A lost lease or a busy file costs this job only:
    # nothing is recorded, and it comes due again. Where what a handler wrote could not be committed, that
    # was recorded as its failure.
    def settle(work, event, outcome, reason, delay_ms)
      @last_error = reason if outcome == Native::KNOCKER_FAILED
      Native.settle(work, outcome, reason, delay_ms).first["status"]
    rescue LeaseLost, Busy, SqlError => e
      @last_error = Worker.text(e)
      warn(event, @last_error)
      e.is_a?(SqlError) ? "unknown" : nil
    end

    def tell_death(event_id)
      return false unless @on_dead

      event = Rows.one(Native.knocker_get(@handle, Native::KNOCKER_EVENT, event_id).first)
      Thread.handle_interrupt(INTERRUPTED) { @on_dead.call(event, event["last_error"]) } if event["status"] == "dead"
      false
    end

    def warn(event, text)
      KnockerSqlite.logger.warn("event #{event["id"]} of #{event["endpoint"].inspect}: #{text}")
    end
  end
  private_constant :Worker
end
