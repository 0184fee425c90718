# frozen_string_literal: true

require "logger"

begin
  require_relative "knocker_sqlite/#{RUBY_VERSION[/\A\d+\.\d+/]}/native" # a gem built for this platform
rescue LoadError
  require "knocker_sqlite/native"
end

require_relative "knocker_sqlite/errors"
require_relative "knocker_sqlite/arguments"
require_relative "knocker_sqlite/requests"
require_relative "knocker_sqlite/rows"
require_relative "knocker_sqlite/provider"
require_relative "knocker_sqlite/registry"
require_relative "knocker_sqlite/receiver"
require_relative "knocker_sqlite/operators"
require_relative "knocker_sqlite/tx"
require_relative "knocker_sqlite/worker"
require_relative "knocker_sqlite/retention"
require_relative "knocker_sqlite/endpoint"
require_relative "knocker_sqlite/database"
require_relative "knocker_sqlite/pure"

# A durable webhook inbox inside an application's own SQLite file.
#
#   webhooks = KnockerSqlite::Database.open("app.db")
#   webhooks.add_endpoint(name: "stripe", provider: "stripe", secrets: ["whsec_..."])
#   webhooks.register_handler("stripe", event_type: "invoice.paid") { |event, tx| ... }
#
# The route answers what +webhooks.receive(endpoint: "stripe", body: ..., headers: ...)+ says; the
# handlers run in +webhooks.run_worker+.
module KnockerSqlite
  VERSION = Native.knocker_version.freeze

  class << self
    # Hears whatever there is to say about handlers; a Logger to standard error at first.
    attr_writer :logger

    def logger
      @logger ||= Logger.new($stderr, level: Logger::WARN, progname: "knocker")
    end

    # Gives the SQL functions to every SQLite connection that this process opens from now on, so to
    # the +sqlite3+ gem and ActiveRecord.
    def autoload_sql
      OneSqlite.require_one
      Native.knocker_autoload
    end
  end

  # There must be one copy of SQLite in a process: two drop each other's locks on a file. The
  # +sqlite3+ gem has one of its own when it was not built with the system's.
  module OneSqlite
    def self.require_one
      raise InvalidArgument, "a Database belongs to the main Ractor" unless Ractor.current == Ractor.main

      other = $LOADED_FEATURES.find { |path| path.end_with?("/sqlite3_native.so") }
      return if other.nil? || Native.same_sqlite(other).positive?

      raise StorageError, "the sqlite3 gem uses another copy of SQLite than Knocker does, and two copies in one " \
                          "process damage a file: install it with --platform=ruby -- --enable-system-libraries"
    end
  end
  private_constant :OneSqlite
end
