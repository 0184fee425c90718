# frozen_string_literal: true

require "json"

module KnockerSqlite
  # What comes back: hashes whose string keys are the columns of knocker.h. Times are Unix seconds;
  # headers and queries are hashes, and yes and no are true and false.
  module Rows
    FLAG = ->(value) { value && value != 0 }
    MAP = ->(text) { text ? JSON.parse(text) : {} }
    LINES = ->(text) { (text || "").each_line(chomp: true).to_h { |line| line.split(/:\s*/, 2) } }

    # How a column becomes a member where the two differ: its name, and a function.
    CONVERSIONS = {
      "headers_json" => ["headers", MAP], "query_json" => ["query", MAP],
      "response_headers" => ["response_headers", LINES],
      "duplicate" => ["duplicate", FLAG], "valid" => ["valid", FLAG], "signature_valid" => ["signature_valid", FLAG],
      "enabled" => ["enabled", FLAG], "paused" => ["paused", FLAG]
    }.freeze

    module_function

    def one(row)
      made = row.each_with_object({}) do |(column, value), members|
        name, convert = CONVERSIONS[column]
        members[name || column] = convert ? convert.call(value) : value
      end
      made["body_blob"] = made["body"] if made.key?("body") # as SQL's views call it
      made
    end

    def many(rows)
      rows.map { |row| one(row) }
    end
  end
  private_constant :Rows
end
