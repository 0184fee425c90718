# frozen_string_literal: true

require "erb"

module KnockerSqlite
  # How a request, as a framework hands it over, becomes what came over the wire.
  module Requests
    VERDICTS = { true => Native::KNOCKER_VALID, false => Native::KNOCKER_INVALID,
                 nil => Native::KNOCKER_UNCHECKED }.freeze

    module_function

    def http(body, headers, query, method)
      { method:, headers: header_lines(headers), query: query_text(query), body: bytes(body) }
    end

    def receive(endpoint:, body: nil, headers: nil, query: nil, method: "POST", event_type: nil, provider_event_id: nil,
                provider_delivery_id: nil, dedupe_key: nil, queue_name: nil, max_attempts: nil, provider: nil,
                secrets: nil, provider_options: nil, verdict: nil)
      { endpoint:, event_type:, provider_event_id:,
        provider_delivery_id:, dedupe_key:, queue_name:,
        max_attempts: Arguments.count("max_attempts", max_attempts) }
        .merge!(http(body, headers, query, method), Arguments.provider_members(provider, secrets, provider_options),
                verdict ? verdict.members : {})
    end

    def ingest(signature_valid:, signature_error: nil, **request)
      unless VERDICTS.key?(signature_valid)
        raise InvalidArgument, "signature_valid is #{signature_valid.inspect}, not true, false or nil"
      end

      receive(**request).merge!(verdict: VERDICTS[signature_valid], verdict_error: signature_error)
    end

    # The bytes as they are, whatever encoding the String says.
    def bytes(body)
      return body if body.nil?
      return body.b if body.is_a?(String)
      raise InvalidArgument, "body is a #{body.class}: give what its read gives" if body.respond_to?(:read)

      raise InvalidArgument, "body is a #{body.class}: a framework has parsed it; give the raw bytes, as received"
    end

    # One pair a line: an Array of values is so many lines.
    def header_pairs(headers)
      return [] if headers.nil?
      unless headers.is_a?(Enumerable)
        raise InvalidArgument, "headers must be a Hash or an Array of pairs, not #{headers.class}"
      end

      headers.flat_map { |name, value| value.is_a?(Array) ? value.map { |one| [name, one] } : [[name, value]] }
    end

    def header_lines(headers)
      header_pairs(headers).each_with_object(String.new(encoding: Encoding::BINARY)) do |(name, value), lines|
        lines << header_text("a header's name", name) << ": " << header_text("header #{name.inspect}", value) << "\n"
        next unless name.empty? || name.b.match?(/[:\r\n]/n) || value.b.match?(/[\r\n]/n)

        raise InvalidArgument, "header #{name.inspect} is no header: it has a line break or a colon, or no name"
      end
    end

    def header_text(what, text)
      return text.b if text.is_a?(String)

      raise InvalidArgument, "#{what} must be a String, not #{text.class}"
    end

    # The raw text, or pairs to be encoded. A nested Hash is written as Rack reads it: a[b]=c.
    def query_text(query)
      return query if query.nil? || query.is_a?(String)
      unless query.is_a?(Enumerable)
        raise InvalidArgument, "query must be a Hash, an Array of pairs or the raw text, not #{query.class}"
      end

      query.flat_map { |name, value| query_pairs(name.to_s, value) }.join("&")
    end

    def query_pairs(name, value)
      case value
      when Hash then value.flat_map { |key, one| query_pairs("#{name}[#{key}]", one) }
      when Array then value.flat_map { |one| query_pairs(name, one) }
      else ["#{ERB::Util.url_encode(name)}=#{ERB::Util.url_encode(value.to_s)}"]
      end
    end
  end
  private_constant :Requests
end
