# frozen_string_literal: true

require "json"
require "uri"

# Providers of the application's own, as objects.
module KnockerSqlite
  # A request as it was received, before anything is known of it.
  class ProviderRequest
    attr_reader :method, :headers, :query, :body

    def initialize(method, headers, query, body)
      @method = method
      @body = body || "".b
      @headers = Requests.header_pairs(headers).each_with_object({}) do |(name, value), joined|
        text = joined.key?(name) ? joined[name].b << ", " << value.b : value.b
        joined[name] = text.force_encoding(Encoding::UTF_8)
      end
      @query = query.is_a?(String) ? URI.decode_www_form(query).to_h : query.to_h
      @plain = @headers.transform_keys { |name| ProviderRequest.plain(name) }
    end

    # A header's name without regard to case, also in Rack's form.
    def self.plain(name)
      name.delete_prefix("HTTP_").tr("_", "-").downcase
    end

    # The header of this name, in any case; several are joined by a comma.
    def header(name, default = nil)
      @plain.fetch(ProviderRequest.plain(name), default)
    end

    # The body as JSON, parsed once. Raises JSON::ParserError when it is none.
    def json
      @json ||= [JSON.parse(body)]
      @json.first
    end
  end

  # A verdict, with what could be read of the request.
  class ProviderResult
    attr_reader :valid, :signature_error, :provider_delivery_id, :provider_event_id, :event_type

    # The request is genuine. Give ids of the event or delivery only: receipts of one id are one
    # event.
    def self.accept(**ids)
      new(true, nil, **ids)
    end

    # The request is not genuine, and +error+ says why.
    def self.reject(error, **ids)
      new(false, error, **ids)
    end

    def initialize(valid, signature_error, provider_delivery_id: nil, provider_event_id: nil, event_type: nil)
      @valid = valid
      @signature_error = signature_error
      @provider_delivery_id = provider_delivery_id
      @provider_event_id = provider_event_id
      @event_type = event_type
    end

    # The members of a request that carry this verdict.
    def members
      { verdict: valid == true ? Native::KNOCKER_VALID : Native::KNOCKER_INVALID,
        verdict_error: valid ? nil : signature_error || "rejected",
        ids_event_type: Registry.readable_id(event_type),
        ids_event_id: Registry.readable_id(provider_event_id),
        ids_delivery_id: Registry.readable_id(provider_delivery_id) }
    end
  end

  # Subclass it, say its +name+, and give an instance to +add_endpoint+.
  class Provider
    def name
      ""
    end

    def version
      "0"
    end

    # The names, as symbols, of the provider_options that it takes.
    def option_keys
      []
    end

    def requires_secrets
      false
    end

    # Says by a ProviderResult whether the request is genuine. What it raises becomes a rejected
    # receipt.
    def verify(request, secrets:, options:)
      raise NotImplementedError
    end

    # Raises ArgumentError for an option's wrong value.
    def validate_options(options); end
  end
end
