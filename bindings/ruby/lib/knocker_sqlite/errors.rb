# frozen_string_literal: true

# What can go wrong: one base class, and one subclass a cause.
module KnockerSqlite
  # The base of every error that Knocker raises.
  class Error < StandardError
    CODE = 1 # of no cause

    # The number that knocker.h gives it.
    def code
      self.class::CODE
    end

    # Its word in every language, such as "wrong_status".
    def name
      Native.knocker_error_name(code)
    end
  end

  # A mistake in the call. Nothing was written.
  class InvalidArgument < Error
    CODE = Native::KNOCKER_INVALID_ARGUMENT
  end

  # No endpoint has this name.
  class UnknownEndpoint < Error
    CODE = Native::KNOCKER_UNKNOWN_ENDPOINT
  end

  # No event has this id.
  class UnknownEvent < Error
    CODE = Native::KNOCKER_UNKNOWN_EVENT
  end

  # No delivery has this id.
  class UnknownDelivery < Error
    CODE = Native::KNOCKER_UNKNOWN_DELIVERY
  end

  # The act is not allowed from the event's status, which the text names.
  class WrongStatus < Error
    CODE = Native::KNOCKER_WRONG_STATUS
  end

  # Another writer held the file, or this handle, for longer than busy_timeout_ms.
  class Busy < Error
    CODE = Native::KNOCKER_BUSY
  end

  # The disk is full, the file read-only or no database, or an I/O error.
  class StorageError < Error
    CODE = Native::KNOCKER_STORAGE
  end

  # The file is damaged.
  class CorruptError < Error
    CODE = Native::KNOCKER_CORRUPT
  end

  # The handle is closed, or the handler of this tx has returned.
  class Closed < Error
    CODE = Native::KNOCKER_CLOSED
  end

  # Another worker claimed this job since; nothing of this work was kept.
  class LeaseLost < Error
    CODE = Native::KNOCKER_LEASE_LOST
  end

  # A handler's own statement failed; the text is SQLite's.
  class SqlError < Error
    CODE = Native::KNOCKER_SQL
  end

  # Raised in a handler: roll back and run it again in +seconds+. No attempt is counted.
  class RetryAfter < StandardError
    attr_reader :seconds

    def initialize(seconds, reason = "")
      raise InvalidArgument, "seconds is #{seconds.inspect}" unless seconds.is_a?(Numeric) && (0...1e9).cover?(seconds)

      super(reason)
      @seconds = seconds
    end
  end

  # Raised in a handler: roll back; the event is ignored, for this reason.
  class Ignore < StandardError; end

  # Raised in a handler: roll back; the event is dead at once, for this reason.
  class Dead < StandardError; end

  # A handler ran for longer than the worker's +handler_timeout_s+: that is its failure.
  class HandlerTimeout < StandardError; end

  ERRORS = [InvalidArgument, UnknownEndpoint, UnknownEvent, UnknownDelivery, WrongStatus, Busy, StorageError,
            CorruptError, Closed, LeaseLost, SqlError].to_h { |kind| [kind::CODE, kind] }.freeze
  private_constant :ERRORS
  Native.set_errors(ERRORS)
end
