# frozen_string_literal: true

module KnockerSqlite
  # A handler's transaction: what is written through it commits with the event's +handled+, or not at
  # all. It ends with its handler.
  class Tx
    include Receiver

    def initialize(registry, work)
      @registry = registry
      @work = work
    end

    # Runs one statement; each ? is bound to one of the values, which may also be one Array. Gives
    # "changes" and "last_insert_row_id".
    def execute(sql, *values)
      changes, last = Native.knocker_execute(@work, sql, Tx.bound(values))
      { "changes" => changes, "last_insert_row_id" => last }
    end

    # Runs one statement and gives its rows, as hashes by column.
    def query(sql, *values)
      Native.knocker_query(@work, sql, Tx.bound(values))
    end

    # The lease of this handler now ends +seconds+ from now.
    def extend_lease(seconds)
      Native.knocker_extend(@work, Arguments.milliseconds("seconds", seconds))
    end

    def self.bound(values)
      values.size == 1 && values.first.is_a?(Array) ? values.first : values
    end

    private

    def receive_members(members)
      Native.knocker_work_receive(@work, members)
    end

    def ingest_members(members)
      Native.knocker_work_ingest(@work, members)
    end
  end
end
