# frozen_string_literal: true

module KnockerSqlite
  # What Database#run_retention prunes, and how often. What has no age is not pruned.
  class RetentionPolicy
    # A sleeper looks at the clock so often, for it may be set, and whether it is to stop.
    NAP_S = 1
    STATUSES = %w[handled ignored].freeze
    private_constant :NAP_S, :STATUSES

    attr_reader :interval_s, :event_statuses, :event_older_than_s, :event_limit, :orphan_deliveries_older_than_s,
                :orphan_deliveries_limit

    def initialize(interval_s:, event_statuses: STATUSES, event_older_than_s: nil, event_limit: nil,
                   orphan_deliveries_older_than_s: nil, orphan_deliveries_limit: nil)
      @interval_s = whole("interval_s", interval_s, required: true)
      @event_statuses = event_statuses
      @event_older_than_s = whole("event_older_than_s", event_older_than_s)
      @event_limit = whole("event_limit", event_limit)
      @orphan_deliveries_older_than_s = whole("orphan_deliveries_older_than_s", orphan_deliveries_older_than_s)
      @orphan_deliveries_limit = whole("orphan_deliveries_limit", orphan_deliveries_limit)
      check
    end

    # The loop: asks at each interval until +stop+ says true. +now+ tells the handle's time.
    def run(handle, stop, now)
      until stop&.call
        next_at = Native.knocker_retain(handle, members).first["next_at"]
        while !stop&.call && (left = next_at - now.call).positive?
          sleep(left.clamp(0.01, NAP_S))
        end
      end
    end

    private

    def members
      { interval_s:, statuses_json: Arguments.texts_json("event_statuses", event_statuses),
        event_older_than_s:, event_limit:,
        orphans_older_than_s: orphan_deliveries_older_than_s, orphans_limit: orphan_deliveries_limit }
    end

    def whole(name, value, required: false)
      return value if value.nil? && !required
      return value if value.is_a?(Integer) && value.positive?

      raise InvalidArgument, "#{name} is #{value.inspect}, not a number from 1 up"
    end

    def check
      raise InvalidArgument, "event_statuses is empty" unless event_statuses.is_a?(Array) && event_statuses.any?

      wrong = (event_statuses - STATUSES).first
      raise InvalidArgument, "event_statuses: #{wrong.inspect} cannot be pruned, handled and ignored can" if wrong
      return if event_older_than_s || orphan_deliveries_older_than_s

      raise InvalidArgument, "the policy prunes nothing: give event_older_than_s or orphan_deliveries_older_than_s"
    end
  end
end
