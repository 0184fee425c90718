# frozen_string_literal: true

# The Ruby door of the conformance suite: the public API of knocker_sqlite, asked in lines of JSON
# (conformance/LINES.md), and nothing else.

$LOAD_PATH.unshift(File.join(__dir__, "lib"))
require "json"
require "knocker_sqlite"

# Values as they travel: bytes in base64, and integers beyond 2^53 as text.
module Travel
  EXACT = 2**53

  module_function

  def put(value)
    case value
    when Hash then value.transform_values { |one| put(one) }
    when Array then value.map { |one| put(one) }
    when Integer then value.abs > EXACT ? { "int" => value.to_s } : value
    when String then plain?(value) ? value : { "base64" => [value].pack("m0") }
    else value
    end
  end

  def plain?(text)
    text.encoding != Encoding::BINARY && text.valid_encoding?
  end

  def taken(value)
    case value
    when Array then value.map { |one| taken(one) }
    when Hash
      return value["base64"].unpack1("m0") if value.keys == ["base64"]
      return Integer(value["int"]) if value.keys == ["int"]

      value.transform_values { |one| taken(one) }
    else value
    end
  end
end

# Answers questions until there are no more. A handler asks for its own, and so this nests.
class Door
  ACTS = %w[ignore replay requeue replay_delivery pause resume].freeze
  LISTS = { "events" => :list_events, "deliveries" => :list_deliveries, "attempts" => :list_attempts,
            "audits" => :list_prune_audits, "jobs" => :list_jobs }.freeze
  RENAMED = { options: :provider_options, scheme: :provider }.freeze

  def initialize
    @inboxes = {}
    @running = [] # the event and tx of each handler that runs, the outermost first
  end

  def hear
    line = $stdin.gets
    line && Travel.taken(JSON.parse(line))
  end

  def say(words)
    $stdout.puts(JSON.generate(Travel.put(words)))
    $stdout.flush
  end

  def serve
    while (question = hear)
      say(answer(question))
    end
  end

  def answer(question)
    @now = question["now"]
    of = question["do"]
    value = if of.start_with?("tx_")
              in_handler(question,
                         *@running.fetch(question["tx"]))
            else
              send("on_#{of}", question)
            end
    { "gives" => value }
  rescue KnockerSqlite::Error => e
    { "fails" => e.name, "text" => e.message }
  rescue StandardError, NotImplementedError => e
    { "broke" => e.full_message(highlight: false) }
  end

  # Runs a handler's script: the other end asks, and says at last how it ends.
  def play(number, event, transaction)
    @running.push([event, transaction])
    say("run" => number)
    while (question = hear)
      return finish(question["ending"]) if question["do"] == "return"

      say(answer(question))
    end
    raise "the other end has left"
  ensure
    @running.pop
  end

  def finish(ending)
    raise KnockerSqlite::RetryAfter.new(ending["retry_after"], ending["reason"].to_s) if ending.key?("retry_after")
    raise KnockerSqlite::Ignore, ending["ignore"] if ending.key?("ignore")
    raise KnockerSqlite::Dead, ending["dead"] if ending.key?("dead")
    raise ending["raise"] if ending.key?("raise")
  end

  def in_handler(question, event, transaction)
    case question["do"]
    when "tx_event" then event
    when "tx_sql"
      return transaction.query(question["text"], question["values"]) if question["rows"]

      transaction.execute(question["text"], question["values"])
      []
    when "tx_receive" then answered(transaction.receive(**request(question["words"])))
    when "tx_ingest" then answered(transaction.ingest(**symbols(question["words"])))
    when "tx_extend" then transaction.extend_lease(question["seconds"])
    else raise "no question is named #{question["do"]}"
    end
  end

  def on_begin(question)
    @path = question["path"]
    @inboxes = {}
    nil
  end

  def on_end(_)
    @inboxes.each_value(&:close)
    @inboxes = {}
    nil
  end

  def on_clock(_)
    @inboxes.each_value do |inbox|
      inbox.set_clock(@now)
    rescue KnockerSqlite::Closed
      next
    end
    nil
  end

  def on_open(question)
    @inboxes[question["on"]] = KnockerSqlite::Database.open(@path, clock: @now, **symbols(question["words"]))
    nil
  end

  def on_close(question)
    inbox(question).close
  end

  def on_endpoint(question)
    words = symbols(question["words"])
    words[:provider_options] = words.delete(:options) if words.key?(:options)
    inbox(question).add_endpoint(**words)
    nil
  end

  def on_receive(question)
    answered(inbox(question).receive(**request(question["words"])))
  end

  def on_receive_many(question)
    inbox(question).receive_many(question["many"].map { |words| request(words) }).map do |one|
      one.is_a?(KnockerSqlite::Error) ? { "fails" => one.name } : answered(one)
    end
  end

  def on_ingest(question)
    answered(inbox(question).ingest(**symbols(question["words"])))
  end

  def on_handle(question)
    number = question["run"]
    inbox(question).register_handler(question["endpoint"], event_type: question["event_type"]) do |event, transaction|
      play(number, event, transaction)
    end
    nil
  end

  def on_work(question)
    words = question["words"]
    inbox(question).drain(worker_id: words["worker_id"], max_jobs: words["max"], queues: words["queues"])
  end

  def on_get(question)
    inbox(question).public_send({ "event" => :get_event, "delivery" => :get_delivery }.fetch(question["kind"]),
                                question["id"])
  end

  def on_list(question)
    words = symbols(question["words"])
    return inbox(question).list_attempts(words.delete(:event_id), **words) if question["kind"] == "attempts"

    inbox(question).public_send(LISTS.fetch(question["kind"]), **words)
  end

  def on_act(question)
    raise "no act is named #{question["verb"]}" unless ACTS.include?(question["verb"])

    inbox(question).public_send(question["verb"], question["target"])
    nil
  end

  def on_why(question)
    inbox(question).why(question["id"])
  end

  def on_stats(question)
    inbox(question).stats
  end

  def on_reverify(question)
    words = renamed(question["words"])
    inbox(question).reverify(words.delete(:endpoint), **words)
  end

  def on_prune(question)
    verbs = { "events" => :prune_events, "orphans" => :prune_orphan_deliveries }
    inbox(question).public_send(verbs.fetch(question["kind"]), **symbols(question["words"]))
  end

  def on_verify(question)
    words = pure(question["words"])
    answered(KnockerSqlite.verify(words.delete(:provider), now: @now, **words))
  end

  def on_diagnose(question)
    if question["words"].key?("delivery")
      words = renamed(question["words"])
      return inbox(question).diagnose(words.delete(:delivery), **words)
    end
    words = pure(question["words"])
    KnockerSqlite.diagnose(words.delete(:provider), now: @now, **words)
  end

  def on_sign(question)
    words = pure(question["words"])
    KnockerSqlite.sign(words.delete(:provider), secrets: [words.delete(:secret)], now: @now, **words)
  end

  def inbox(question)
    @inboxes.fetch(question["on"])
  end

  def symbols(words)
    words.transform_keys(&:to_sym)
  end

  def renamed(words)
    symbols(words).transform_keys { |word| RENAMED.fetch(word, word) }
  end

  # A scheme stands for its provider.
  def pure(words)
    symbols(words).transform_keys { |word| word == :scheme ? :provider : word }
  end

  # The arguments of a receive: a verdict is an object here.
  def request(words)
    made = renamed(words)
    return made unless made[:verdict]

    ids = symbols(made[:verdict])
    error = ids.delete(:error)
    result = KnockerSqlite::ProviderResult
    made[:verdict] = ids.delete(:valid) ? result.accept(**ids) : result.reject(error, **ids)
    made
  end

  # The suite has the names of the headers of an answer in lower case.
  def answered(row)
    row.merge("response_headers" => row["response_headers"].transform_keys(&:downcase))
  end
end

KnockerSqlite.logger.level = Logger::FATAL # handlers fail on purpose
$stdin.set_encoding(Encoding::UTF_8)
Door.new.serve
