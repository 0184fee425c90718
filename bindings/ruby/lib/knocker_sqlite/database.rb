# frozen_string_literal: true

module KnockerSqlite
  # An open file. It may be shared between threads; after a fork open again.
  class Database
    include Operators
    include Receiver

    LEVELS = { "full" => Native::KNOCKER_SYNC_FULL, "normal" => Native::KNOCKER_SYNC_NORMAL }.freeze
    private_constant :LEVELS

    # The queue where events go and workers look unless told otherwise.
    attr_reader :queue_name

    class << self
      # Opens a file, and creates it unless it must be +existing+. With a block it is closed at its end.
      # +max_body_bytes: 0+ is no limit; +clock+ and +seed+ are for tests.
      def open(path, **options)
        database = new(path, **options)
        return database unless block_given?

        begin
          yield database
        ensure
          database.close
        end
      end
    end

    def initialize(path, queue_name: "knocker.events", visibility_timeout_s: 60, max_attempts: 3, max_readers: 8,
                   synchronous: "full", busy_timeout_ms: 2500, max_body_bytes: 5 * 1024 * 1024, init_sql: nil,
                   backoff_base_s: 10, backoff_cap_s: 3600, orphan_bytes: nil, orphan_rows: nil, settle_full: false,
                   existing: false, clock: nil, seed: nil)
      OneSqlite.require_one
      level = LEVELS[synchronous.to_s]
      raise InvalidArgument, "synchronous is #{synchronous.inspect}, not \"full\" or \"normal\"" unless level

      limit = max_body_bytes || 0
      raise InvalidArgument, "max_body_bytes is #{limit}" if limit.is_a?(Integer) && limit.negative?

      @queue_name = queue_name
      @clock = clock
      @registry = Registry.new
      @handlers = {}
      @workers = {}
      counts = { max_attempts:, max_readers:, busy_timeout_ms:,
                 orphan_bytes:, orphan_rows:, seed: }
      times = { visibility_ms: ["visibility_timeout_s", visibility_timeout_s], clock_ms: ["clock", clock],
                backoff_base_ms: ["backoff_base_s", backoff_base_s], backoff_cap_ms: ["backoff_cap_s", backoff_cap_s] }
      @handle = Native.knocker_open(
        { path: File.path(path), queue_name:, init_sql:, synchronous: level, thread_bound: 1,
          settle_full: Arguments.flag(settle_full), existing: Arguments.flag(existing),
          max_body_bytes: limit == 0 ? -1 : limit } # rubocop:disable Style/NumericPredicate -- it may be anything
          .merge!(counts.to_h { |name, value| [name, Arguments.count(name, value)] },
                  times.transform_values { |(name, value)| Arguments.milliseconds(name, value) })
      )
    end

    # Ends the handle. Stop its workers first; closing twice is fine.
    def close
      each_worker { |worker| worker.stop(closing: true) }
      Native.close_handle(@handle)
    rescue Closed
      nil
    end

    # For tests: this handle's clock stands at +seconds+; nil returns to the system's.
    def set_clock(seconds) # rubocop:disable Naming/AccessorMethodName
      Native.knocker_clock_set(@handle, Arguments.milliseconds("seconds", seconds) || 0)
      @clock = seconds
    end

    def inspect
      "#<KnockerSqlite::Database #{queue_name.inspect}>"
    end

    # -- endpoints

    # +add_endpoint+, and an object to register handlers and receive with.
    def endpoint(positional = nil, name: positional, **options)
      add_endpoint(name:, **options)
      Endpoint.new(self, name)
    end

    # Creates or updates the endpoint of this name and returns its id. Without a provider nothing is
    # verified. +scheme+ is one of the application's own, which +provider+ names; +external+ says that the
    # application verifies by itself and gives each receive a +verdict+. +delivery_key+ and +event_key+
    # are functions of a ProviderRequest.
    def add_endpoint(positional = nil, name: positional, path: nil, provider: nil, secrets: nil, provider_options: nil,
                     scheme: nil, external: false, enabled: true, queue_name: nil, max_attempts: nil,
                     backoff_base_s: nil, backoff_cap_s: nil, delivery_key: nil, event_key: nil)
      members = { name:, path:, queue_name:, disabled: Arguments.flag(!enabled),
                  max_attempts: Arguments.count("max_attempts", max_attempts),
                  backoff_base_ms: Arguments.milliseconds("backoff_base_s", backoff_base_s),
                  backoff_cap_ms: Arguments.milliseconds("backoff_cap_s", backoff_cap_s) }
      registered = nil
      if provider.is_a?(Provider)
        registered = Registered.new(provider, secrets, provider_options)
        members.merge!(provider: provider.name, external: 1)
      else
        members.merge!(verified_by(provider, scheme, secrets, provider_options), external: Arguments.flag(external))
      end
      id = Native.knocker_endpoint_add(@handle, members)
      @registry.put(name, registered, provider_delivery_id: delivery_key, provider_event_id: event_key)
      id
    end

    # -- receiving

    # Receives 1 to 1000 requests, each a Hash of what +receive+ takes, in one commit. In place of a bad
    # one stands its error, not raised.
    def receive_many(requests)
      results = requests.map { |request| checked(request) }
      good = results.grep(Hash)
      return results if good.empty? && results.any?

      received = Native.knocker_receive_many(@handle, good).each
      results.map { |one| one.is_a?(Hash) ? received_one(received.next) : one }
    end

    # -- handlers and workers

    # Registers the block { |event, tx| } for an endpoint's events of this type, or for all others.
    # One registered before for the same is replaced.
    def register_handler(endpoint, handler = nil, event_type: nil, &block)
      handler ||= block
      name = endpoint.is_a?(Endpoint) ? endpoint.name : endpoint
      raise InvalidArgument, "endpoint must be a String, not #{name.class}" unless name.is_a?(String)
      unless event_type.nil? || event_type.is_a?(String)
        raise InvalidArgument, "event_type must be a String, not #{event_type.class}"
      end
      raise InvalidArgument, "a handler is a block, or responds to call" unless handler.respond_to?(:call)

      @handlers[[name, event_type]] = handler
    end

    # Handles events in the calling thread, until +stop+ says true, +stop_worker+ is called, or
    # +max_jobs+ were claimed; returns how many. It first finishes what it has claimed. +on_error+ hears of
    # what ends it, which is then raised; +on_dead+ of each event that dies, and why.
    def run_worker(worker_id: nil, max_jobs: nil, on_error: nil, **options)
      most = Arguments.count("max_jobs", max_jobs)
      worker = worker(worker_id, options)
      @workers[worker.worker_id] = worker
      worker.run(most, on_error)
    end

    # Handles at most one event, and returns its id, or nil.
    def run_worker_once(worker_id: nil, **options)
      worker(worker_id, options).run_due(1, batch: 1).first
    end

    # For tests: handles what is due, until nothing is; returns the events' ids.
    def drain(worker_id: nil, max_jobs: nil, **options)
      worker(worker_id, options).run_due(Arguments.count("max_jobs", max_jobs))
    end

    # Asks a worker of this handle, or all of them, to finish what it holds and return. A handler of a
    # signal may call it.
    def stop_worker(worker_id = nil)
      each_worker { |worker| worker.stop if [nil, worker.worker_id].include?(worker_id) }
      Native.wake(@handle)
    end

    # The workers that this handle has run, as they are now.
    def worker_states
      @workers.values.map(&:state)
    end

    # Prunes by a RetentionPolicy until +stop+ says true. Many processes may run it on one file: each
    # interval is pruned once.
    def run_retention(policy, stop: nil)
      unless policy.is_a?(RetentionPolicy)
        raise InvalidArgument, "policy must be a RetentionPolicy, not #{policy.class}"
      end

      policy.run(@handle, stop, -> { @clock || Time.now.to_f })
    end

    private

    # Of those that there are now, for other threads may add to them.
    def each_worker(&)
      @workers.values.each(&)
    end

    def worker(worker_id, options)
      Worker.new(@handle, @registry, @handlers, worker_id:, **options)
    end

    # A scheme of the application's own stands for its provider, or beside the provider's name.
    def verified_by(provider, scheme, secrets, options)
      if provider.is_a?(Hash)
        scheme = provider
        provider = "custom"
      end
      Arguments.provider_members(provider, secrets,
                                 options).merge!(scheme_json: Arguments.object_json("scheme", scheme))
    end

    def receive_members(members)
      Native.knocker_receive(@handle, members)
    end

    def ingest_members(members)
      Native.knocker_ingest(@handle, members)
    end

    # A request's members, or what is wrong with it.
    def checked(request)
      members = @registry.members(request)
      Native.check_request(members)
      members
    rescue StandardError => e
      e
    end

    def received_one(row)
      code, text = row.values_at("error_code", "error")
      return ERRORS.fetch(code).new(text) unless code.zero?

      Rows.one(row.except("error_code", "error"))
    end
  end
end
