# frozen_string_literal: true

# The code of the pages runs, from top to bottom, as a reader would run it; so does the code that is
# printed elsewhere for Ruby.

require_relative "helper"

class PagesTest < KnockerTest
  ROOT = File.expand_path("../../..", __dir__)

  def blocks(page)
    File.read(File.join(ROOT, page)).scan(/^```ruby\n(.*?)^```$/m).flatten
  end

  # What a page's blocks print, in a folder and a process of their own.
  def run_page(page, also = "")
    code = blocks(page)
    refute_empty code
    out, ended = Dir.chdir(@folder) { run_ruby("#{code.join("\n")}\n#{also}") }
    assert_predicate ended, :success?, "#{page}: #{out}"
    out
  end

  def test_the_readme_runs
    assert_equal <<~TEXT, run_page("bindings/ruby/README.md").gsub(/since \d+/, "since then")
      waiting for a worker since then
      no signature: header 'stripe-signature' is missing
      0 dead
      ["prune_orphan_deliveries", "prune_events", "prune_events"]
    TEXT
  end

  def test_the_page_runs_and_its_routes_answer
    said = run_page("docs/ruby.md", <<~RUBY)
      require "rack/mock"
      body = '{"id": "evt_2", "type": "invoice.paid"}'
      signed = { "HTTP_STRIPE_SIGNATURE" => KnockerSqlite.sign("stripe", secrets: ["whsec_123"], body: body).values.first }
      %w[/short /stripe].each do |path|
        [signed, {}].each { |headers| puts Rack::MockRequest.new(Hooks).post(path, { input: body, **headers }).status }
      end
    RUBY
    assert_equal %w[204 401 204 401], said.split
  end

  # The samples that readers know, to the letter.
  PRINTED = <<~'RUBY'
    require "json"
    require "knocker_sqlite"
    require "rack/mock"
    require "sinatra/base"

    webhooks = KnockerSqlite::Database.open("knocker.db", init_sql: "create table if not exists invoices(id, cents)")
    webhooks.add_endpoint(name: "provider", provider: "token-header", secrets: ["dev-secret"])
    webhooks.add_endpoint(name: "stripe", provider: "stripe", secrets: ["whsec_123"])

    def insert_invoice_using_knocker_tx(tx, provider_id:, total_cents:)
      tx.execute("insert into invoices values (?, ?)", provider_id, total_cents)
    end

    App = Sinatra.new do
      post "/webhooks/provider" do
        result = webhooks.receive(
          endpoint: "provider",
          body: request.body.read,
          headers: request.env.select { |key, _| key.start_with?("HTTP_") },
          query: params.to_h,
        )

        status result["status_code"]
      end
    end

    webhooks.register_handler("stripe", event_type: "invoice.created") do |event, tx|
      payload = JSON.parse(event["body_blob"])
      insert_invoice_using_knocker_tx(
        tx,
        provider_id: payload["id"],
        total_cents: payload["data"]["object"]["amount_due"],
      )
    end

    token = KnockerSqlite.sign("token-header", secrets: ["dev-secret"], body: "{}").to_h { |name, value| ["HTTP_#{name.upcase.tr("-", "_")}", value] }
    form = { "CONTENT_TYPE" => "application/x-www-form-urlencoded" }
    asked = Rack::MockRequest.new(App)
    json = { "CONTENT_TYPE" => "application/json" }
    [[{ input: "{}", **json, **token }, "?a=1&b[c]=2"], [{ input: "{}", **json }, ""], [{ input: "x=1&y[]=2", **form, **token }, ""]].each do |request, query|
      puts asked.post("/webhooks/provider#{query}", request).status
    end
    p webhooks.get_event(1)["query"], webhooks.get_event(3)["body_blob"]

    body = JSON.generate(id: "evt_1", type: "invoice.created", data: { object: { amount_due: 4200 } })
    webhooks.receive(endpoint: "stripe", body: body, headers: KnockerSqlite.sign("stripe", secrets: ["whsec_123"], body: body))
    p webhooks.drain(endpoints: ["stripe"]), webhooks.read("select * from invoices")
    webhooks.close
  RUBY

  def test_the_printed_samples_run
    out, ended = Dir.chdir(@folder) { run_ruby(PRINTED) }
    assert_predicate ended, :success?, out
    assert_equal <<~TEXT, out
      204
      401
      204
      {"a"=>"1", "b[c]"=>"2"}
      "x=1&y[]=2"
      [4]
      [{"id"=>"evt_1", "cents"=>4200}]
    TEXT
  end
end
