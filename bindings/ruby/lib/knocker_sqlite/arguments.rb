# frozen_string_literal: true

require "json"

module KnockerSqlite
  # How Ruby's arguments become the members of knocker.h's structs. Every mistake in a call is found
  # here, in the glue, or in C.
  module Arguments
    module_function

    # An integer of which C takes 0 for "not given": here nil says that, and 0 is a mistake.
    def count(name, value)
      raise InvalidArgument, "#{name} is 0" if value == 0 # rubocop:disable Style/NumericPredicate

      value
    end

    def milliseconds(name, seconds)
      return nil if seconds.nil?
      raise InvalidArgument, "#{name} must be a number of seconds, not #{seconds.class}" unless seconds.is_a?(Numeric)
      raise InvalidArgument, "#{name} is #{seconds}" unless seconds.finite? && seconds.abs <= 1e12

      count(name, (seconds * 1000).round)
    end

    # A list of texts as JSON. Its values may be secrets, so that no error names one.
    def texts_json(name, texts)
      return nil if texts.nil?
      raise InvalidArgument, "#{name} must be an Array of Strings, not #{texts.class}" unless texts.is_a?(Array)

      JSON.generate(texts.each_with_index.map { |text, index| utf8("#{name}[#{index}]", text) })
    end

    def object_json(name, value)
      return nil if value.nil?
      raise InvalidArgument, "#{name} must be a Hash, not #{value.class}" unless value.is_a?(Hash)

      begin
        JSON.generate(value)
      rescue JSON::JSONError, EncodingError
        raise InvalidArgument, "#{name} is no JSON"
      end
    end

    # A filter's yes, no, or either.
    def choice(value)
      case value
      when nil then 0
      when false then 2
      else 1
      end
    end

    def flag(value)
      value ? 1 : 0
    end

    # A name goes as it is, a scheme of the application's own as JSON.
    def provider_members(provider, secrets, options)
      unless provider.nil? || provider.is_a?(String) || provider.is_a?(Hash)
        raise InvalidArgument, "provider must be a name or a scheme, not #{provider.class}"
      end

      { provider: provider.is_a?(Hash) ? object_json("provider", provider) : provider,
        secrets_json: texts_json("secrets", secrets), options_json: object_json("provider_options", options) }
    end

    def utf8(name, text)
      raise InvalidArgument, "#{name} must be a String, not #{text.class}" unless text.is_a?(String)

      plain = text.encoding == Encoding::BINARY ? text.dup.force_encoding(Encoding::UTF_8) : text
      plain = plain.encode(Encoding::UTF_8)
      raise InvalidArgument, "#{name} is not valid UTF-8" unless plain.valid_encoding?

      plain
    rescue EncodingError
      raise InvalidArgument, "#{name} is not valid UTF-8"
    end
  end
  private_constant :Arguments
end
