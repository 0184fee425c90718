# frozen_string_literal: true

# A Sinatra application on Puma that receives Stripe's webhooks, and writes down each paid invoice:
#
#   STRIPE_SECRET=whsec_... INBOX=payments.db puma -b tcp://127.0.0.1:9292 config.ru

require "json"
require "knocker_sqlite"
require "sinatra/base"

WEBHOOKS = KnockerSqlite::Database.open(
  ENV.fetch("INBOX", "payments.db"),
  init_sql: "create table if not exists payments(id primary key, cents)"
)
WEBHOOKS.add_endpoint(name: "stripe", path: "/webhooks/stripe", provider: "stripe",
                      secrets: [ENV.fetch("STRIPE_SECRET")])

# What it writes, and the event's "handled", are one commit.
WEBHOOKS.register_handler("stripe") do |event, tx|
  sent = JSON.parse(event["body_blob"])
  tx.execute("insert into payments values (?, ?)", sent["id"], sent.dig("data", "object", "amount_paid"))
end

# A worker of this process. As well it may be a process of its own, or several.
WORKER = Thread.new { WEBHOOKS.run_worker(worker_id: "in-puma") }
at_exit do
  WEBHOOKS.stop_worker
  WORKER.join
  WEBHOOKS.close
end

# The routes: the raw body, the headers and the query as they came; the answer that Knocker gives.
class Hooks < Sinatra::Base
  post "/webhooks/stripe" do
    headers = request.env.select { |key, _| key.start_with?("HTTP_") || key == "CONTENT_TYPE" }
    result = WEBHOOKS.receive(endpoint: "stripe", method: request.request_method, body: request.body.read,
                              headers:, query: request.query_string)
    [result["status_code"], result["response_headers"], result["response_body"] || ""]
  rescue KnockerSqlite::Error => e
    logger.error(e.message)
    503 # the disk is full, or the file busy: the sender tries again
  end

  # The same, short.
  post "/webhooks/short" do
    result = WEBHOOKS.receive(
      endpoint: "stripe",
      body: request.body.read,
      headers: request.env.select { |key, _| key.start_with?("HTTP_") },
      query: params.to_h
    )

    status result["status_code"]
  end
end

run Hooks
