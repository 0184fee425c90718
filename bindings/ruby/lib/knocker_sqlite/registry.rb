# frozen_string_literal: true

module KnockerSqlite
  # A provider object with what its endpoint was registered with, in this process's memory only.
  class Registered
    def initialize(provider, secrets, options)
      @provider = provider
      @name = provider.name
      @options = (options || {}).transform_keys(&:to_sym).freeze
      Arguments.texts_json("secrets", secrets)
      @secrets = (secrets || []).dup.freeze
      check
      provider.validate_options(@options)
    end

    # The members of a request that carry the provider's verdict. A request may be anything, and none
    # may be lost.
    def judge(request)
      result = @provider.verify(request, secrets: @secrets, options: @options)
      return result.members if result.is_a?(ProviderResult)

      raise TypeError, "verify returned a #{result.class}, not a ProviderResult"
    rescue StandardError, ScriptError => e
      text = "#{@name} failed: #{e.class}: #{Worker.text(e)}"
      @secrets.each { |secret| text = text.gsub(secret, "[secret]") unless secret.empty? }
      ProviderResult.reject(text).members
    end

    private

    def check
      raise InvalidArgument, "#{@provider.class} has no name" unless @name.is_a?(String) && !@name.empty?
      if @provider.method(:verify).owner == Provider
        raise InvalidArgument, "provider #{@name.inspect} has no method verify"
      end
      if @provider.requires_secrets && (@secrets.empty? || @secrets.any?(&:empty?))
        raise InvalidArgument, "provider #{@name.inspect} requires secrets"
      end

      unknown = @options.keys - @provider.option_keys.map(&:to_sym)
      raise InvalidArgument, "provider #{@name.inspect} has no option #{unknown.first}" if unknown.any?
    end
  end

  # What this process alone knows of its endpoints: their provider objects and functions.
  class Registry
    def initialize
      @providers = {}
      @keys = {}
    end

    # +keys+ are functions of a request, by the id that they read.
    def put(endpoint, provider, **keys)
      @keys[endpoint] = keys.compact
      @providers[endpoint] = provider
    end

    # A request for C, with what the functions say of it.
    def members(request)
      members = Requests.receive(**request)
      provider = @providers[members[:endpoint]]
      keys = @keys.fetch(members[:endpoint], {})
      return members if provider.nil? && keys.empty?

      seen = ProviderRequest.new(members[:method], request[:headers], request[:query], members[:body])
      keys.each { |name, function| members[name] ||= read_key(members[:endpoint], function, seen) }
      members.merge!(provider.judge(seen)) if provider && !members.key?(:verdict)
      members
    end

    # An id that a function read from a request. One that is no UTF-8 is none.
    def self.readable_id(value)
      case value
      when nil then nil
      when Integer then value.to_s
      when String
        text = value.encoding == Encoding::BINARY ? value.dup.force_encoding(Encoding::UTF_8) : value
        text if text.valid_encoding?
      else raise TypeError, "an id must be a String, not #{value.class}"
      end
    end

    private

    # One that fails reads nothing: no receipt may be lost by it.
    def read_key(endpoint, function, request)
      Registry.readable_id(function.call(request))
    rescue StandardError => e
      KnockerSqlite.logger.warn { "a key function of endpoint #{endpoint.inspect} failed: #{Worker.describe(e)}" }
      nil
    end
  end
  private_constant :Registered, :Registry
end
