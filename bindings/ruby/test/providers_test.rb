# frozen_string_literal: true

# Providers of the application's own, as objects, and the functions that read ids.

require_relative "helper"

class ProvidersTest < KnockerTest
  class Acme < KnockerSqlite::Provider
    def name = "acme"
    def version = "1.0.0"
    def requires_secrets = true
    def option_keys = [:header]

    def verify(request, secrets:, options:)
      token = request.header(options.fetch(:header, "x-acme-token"))
      return KnockerSqlite::ProviderResult.reject("wrong token", event_type: "seen") unless secrets.include?(token)

      KnockerSqlite::ProviderResult.accept(event_type: request.json["kind"], provider_event_id: request.json["id"])
    end

    def validate_options(options)
      raise ArgumentError, "header is empty" if options[:header] == ""
    end
  end

  def acme(provider = Acme.new, **options)
    open_database.endpoint("acme", provider:, secrets: ["t0ken"], **options)
  end

  def test_a_provider_judges_and_reads
    endpoint = acme
    good = { body: '{"kind":"made","id":7}', headers: { "HTTP_X_ACME_TOKEN" => "t0ken" } }
    assert_equal 204, endpoint.receive(**good)["status_code"]
    assert endpoint.receive(**good)["duplicate"]
    assert_equal 401, endpoint.receive(body: "{}")["status_code"]
    event = @open.last.get_event(1)
    assert_equal %w[made 7], event.values_at("event_type", "provider_event_id")
    orphan = @open.last.list_deliveries(orphaned: true).first
    assert_equal [false, "wrong token", "seen"], orphan.values_at("signature_valid", "signature_error", "event_type")
  end

  def test_what_verify_raises_is_a_rejected_receipt_without_the_secret
    provider = Class.new(Acme) { def verify(_, secrets:, **) = raise("no #{secrets.first}") }.new
    endpoint = acme(provider)
    assert_equal 401, endpoint.receive(body: "x")["status_code"]
    assert_equal "acme failed: RuntimeError: no [secret]", @open.last.list_deliveries.first["signature_error"]
    odd = Class.new(Acme) { def verify(_, **) = true }.new
    assert_equal 401, acme(odd).receive(body: "x")["status_code"]
    assert_includes @open.last.list_deliveries.first["signature_error"], "TrueClass"
  end

  def test_a_provider_is_checked_at_its_registration
    database = open_database
    builtin = Class.new(Acme) { def name = "stripe" }.new
    nameless = Class.new(Acme) { def name = "" }.new
    bare = Class.new(KnockerSqlite::Provider) { def name = "bare" }.new
    [[builtin, {}], [nameless, {}], [bare, {}], [Acme.new, { secrets: nil }], [Acme.new, { secrets: [""] }],
     [Acme.new, { provider_options: { colour: 1 } }], [5, {}], ["strip", {}]].each do |provider, options|
      assert_raises(KnockerSqlite::InvalidArgument, provider.inspect) do
        database.add_endpoint(name: "acme", provider:, secrets: ["t0ken"], **options)
      end
    end
    assert_raises(ArgumentError) do
      database.add_endpoint(name: "acme", provider: Acme.new, secrets: ["s"], provider_options: { "header" => "" })
    end
    assert_empty database.list_endpoints
  end

  def test_a_scheme_is_a_provider
    scheme = { kind: "token", source: { header: "x-token" } }
    error = assert_raises(KnockerSqlite::InvalidArgument) do
      open_database.add_endpoint(name: "x", provider: scheme, secrets: ["s"])
    end
    assert_includes error.message, "scheme"
    extended = { extends: "stripe", accept: { status: 202 } }
    endpoint = open_database.endpoint("own", provider: extended, secrets: [SECRET])
    headers = KnockerSqlite.sign(extended, secrets: [SECRET], body: "{}")
    assert_equal 202, endpoint.receive(body: "{}", headers:)["status_code"]
  end

  def test_keys_are_read_by_functions_and_one_that_fails_loses_nothing
    database = open_database
    database.add_endpoint(name: "plain", event_key: ->(request) { request.json.fetch("id") },
                          delivery_key: ->(request) { request.header("x-delivery") })
    receive(database, '{"id":5}', headers: { "X-Delivery" => "d1" })
    assert receive(database, '{"id":5}')["duplicate"]
    refute receive(database, "no json")["duplicate"]
    assert_equal %w[5 d1], database.get_event(1).values_at("provider_event_id", "provider_delivery_id")
    assert_includes @log.string, "a key function of endpoint \"plain\" failed"
  end

  def test_a_request_is_read_without_regard_to_case
    request = KnockerSqlite::ProviderRequest.new("POST", { "X-A" => %w[1 2], "CONTENT_TYPE" => "t" }, "a=1&b=2", nil)
    assert_equal(["1, 2", "t", nil], %w[x-a content-type x-b].map { |name| request.header(name) })
    assert_equal "else", request.header("x-b", "else")
    assert_equal({ "a" => "1", "b" => "2" }, request.query)
    assert_raises(JSON::ParserError) { request.json }
  end
end
