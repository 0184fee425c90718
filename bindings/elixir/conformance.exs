# The Elixir door of the conformance suite: the public API of KnockerSqlite, and nothing else. It
# answers lines of JSON (conformance/LINES.md).
#
#     MIX_ENV=test mix run --no-compile conformance.exs
defmodule Door do
  alias KnockerSqlite.{Error, Json, Tx}

  @lists %{
    "events" => &KnockerSqlite.list_events/2,
    "deliveries" => &KnockerSqlite.list_deliveries/2,
    "attempts" => &KnockerSqlite.list_attempts/2,
    "audits" => &KnockerSqlite.list_prune_audits/2,
    "jobs" => &KnockerSqlite.list_jobs/2
  }
  @acts %{
    "ignore" => &KnockerSqlite.ignore/2,
    "replay" => &KnockerSqlite.replay/2,
    "requeue" => &KnockerSqlite.requeue/2,
    "replay_delivery" => &KnockerSqlite.replay_delivery/2,
    "pause" => &KnockerSqlite.pause/2,
    "resume" => &KnockerSqlite.resume/2
  }

  # The handles by name live in the process dictionary: there is one conversation.
  def main do
    case question() do
      :eof ->
        :ok

      asked ->
        answer(asked, &ask/1)
        main()
    end
  end

  # ---- lines

  defp question do
    with line when is_binary(line) <- IO.binread(:stdio, :line), do: take(Json.decode!(line))
  end

  defp say(term) do
    {:ok, json} = term |> put() |> Json.encode()
    IO.binwrite(:stdio, [json, "\n"])
  end

  defp put(number) when is_integer(number) and abs(number) > 9_007_199_254_740_992,
    do: %{"int" => Integer.to_string(number)}

  defp put(text) when is_binary(text),
    do: if(String.valid?(text), do: text, else: %{"base64" => Base.encode64(text)})

  defp put(list) when is_list(list), do: Enum.map(list, &put/1)
  defp put(%{} = map), do: Map.new(map, fn {name, value} -> {name, put(value)} end)
  defp put(other), do: other

  defp take(%{"base64" => text} = map) when map_size(map) == 1, do: {:blob, Base.decode64!(text)}
  defp take(%{"int" => text} = map) when map_size(map) == 1, do: String.to_integer(text)
  defp take(list) when is_list(list), do: Enum.map(list, &take/1)
  defp take(%{} = map), do: Map.new(map, fn {name, value} -> {name, take(value)} end)
  defp take(other), do: other

  defp answer(asked, function) do
    say(
      case function.(asked) do
        :ok ->
          %{"gives" => nil}

        {:ok, value} ->
          %{"gives" => value}

        {:error, %Error{} = error} ->
          %{"fails" => Atom.to_string(error.name), "text" => error.message}
      end
    )
  rescue
    error -> say(%{"broke" => Exception.format(:error, error, __STACKTRACE__)})
  end

  # ---- words

  # The suite's words as the face has them; one that it does not know the face refuses.
  defp words(words, renames \\ %{}) do
    Map.new(words, fn {word, value} ->
      {String.to_atom(Map.get(renames, word, word)), raw(value)}
    end)
  end

  defp raw({:blob, bytes}), do: bytes
  defp raw(list) when is_list(list), do: Enum.map(list, &raw/1)
  defp raw(%{} = map), do: Map.new(map, fn {name, value} -> {name, raw(value)} end)
  defp raw(other), do: other

  defp request(words) do
    {verdict, words} = words |> words(%{"options" => "provider_options"}) |> Map.pop(:verdict)
    if verdict, do: Map.put(words, :verdict, verdict(verdict)), else: words
  end

  defp verdict(%{"valid" => valid} = verdict) do
    ids = verdict |> Map.drop(["valid", "error"]) |> words()
    if valid, do: {:ok, ids}, else: {:error, verdict["error"], ids}
  end

  defp lowered({:ok, %{"response_headers" => headers} = row}),
    do: {:ok, %{row | "response_headers" => lower(headers)}}

  defp lowered(other), do: other

  defp lower(headers),
    do: Map.new(headers, fn {name, value} -> {String.downcase(name), value} end)

  # ---- questions

  defp ask(%{"do" => "begin", "path" => path}) do
    Process.put(:path, path)
    :ok
  end

  defp ask(%{"do" => "end"}) do
    for {on, w} <- handles() do
      KnockerSqlite.close(w)
      Process.delete({:handle, on})
    end

    :ok
  end

  defp ask(%{"do" => "clock", "now" => now}) do
    for {_on, w} <- handles(), do: KnockerSqlite.set_clock(w, now)
    :ok
  end

  defp ask(%{"do" => "open", "on" => on, "words" => words, "now" => now}) do
    options = words |> words() |> Map.put(:clock, now)

    with {:ok, w} <- KnockerSqlite.open(Process.get(:path), options) do
      Process.put({:handle, on}, w)
      :ok
    end
  end

  defp ask(%{"do" => "handle", "on" => on, "run" => run} = asked) do
    handler = fn event, tx -> inside(run, event, tx) end

    w =
      KnockerSqlite.register_handler(handle(on), asked["endpoint"], asked["event_type"], handler)

    Process.put({:handle, on}, w)
    :ok
  end

  defp ask(%{"do" => "close", "on" => on}), do: KnockerSqlite.close(handle(on))

  defp ask(%{"do" => "endpoint", "on" => on, "words" => words}) do
    with {:ok, _id} <- KnockerSqlite.add_endpoint(handle(on), request(words)), do: :ok
  end

  defp ask(%{"do" => "receive", "on" => on, "words" => words}),
    do: handle(on) |> KnockerSqlite.receive(request(words)) |> lowered()

  defp ask(%{"do" => "ingest", "on" => on, "words" => words}),
    do: handle(on) |> KnockerSqlite.ingest(words(words)) |> lowered()

  defp ask(%{"do" => "receive_many", "on" => on, "many" => many}) do
    with {:ok, results} <- KnockerSqlite.receive_many(handle(on), Enum.map(many, &request/1)) do
      {:ok,
       Enum.map(results, fn
         {:error, error} -> %{"fails" => Atom.to_string(error.name)}
         result -> result |> lowered() |> elem(1)
       end)}
    end
  end

  defp ask(%{"do" => "work", "on" => on, "words" => words}) do
    {id, options} = words |> words(%{"max" => "max_jobs"}) |> Map.pop(:worker_id)
    KnockerSqlite.drain(handle(on), id, options)
  end

  defp ask(%{"do" => "get", "on" => on, "kind" => "event", "id" => id}),
    do: KnockerSqlite.get_event(handle(on), id)

  defp ask(%{"do" => "get", "on" => on, "kind" => "delivery", "id" => id}),
    do: KnockerSqlite.get_delivery(handle(on), id)

  defp ask(%{"do" => "list", "on" => on, "kind" => kind, "words" => words}),
    do: @lists[kind].(handle(on), words(words))

  defp ask(%{"do" => "act", "on" => on, "verb" => verb, "target" => target}),
    do: @acts[verb].(handle(on), target)

  defp ask(%{"do" => "why", "on" => on, "id" => id}), do: KnockerSqlite.why(handle(on), id)
  defp ask(%{"do" => "stats", "on" => on}), do: KnockerSqlite.stats(handle(on))

  defp ask(%{"do" => "reverify", "on" => on, "words" => words}) do
    {endpoint, options} = words |> request() |> Map.pop(:endpoint)
    KnockerSqlite.reverify(handle(on), endpoint, options)
  end

  defp ask(%{"do" => "prune", "on" => on, "kind" => "events", "words" => words}),
    do: KnockerSqlite.prune_events(handle(on), words(words))

  defp ask(%{"do" => "prune", "on" => on, "kind" => "orphans", "words" => words}),
    do: KnockerSqlite.prune_orphan_deliveries(handle(on), words(words))

  defp ask(%{"do" => "diagnose", "on" => on, "words" => %{"delivery" => id} = words}) do
    options = words |> Map.delete("delivery") |> request()
    KnockerSqlite.diagnose_delivery(handle(on), id, options)
  end

  defp ask(%{"do" => "diagnose", "words" => words, "now" => now}),
    do: KnockerSqlite.diagnose(pure(words, now))

  defp ask(%{"do" => "verify", "words" => words, "now" => now}),
    do: words |> pure(now) |> KnockerSqlite.verify() |> lowered()

  defp ask(%{"do" => "sign", "words" => words, "now" => now}) do
    {secret, words} = Map.pop(words, "secret")

    with {:ok, headers} <-
           words |> pure(now) |> Map.put(:secrets, [secret]) |> KnockerSqlite.sign(),
         do: {:ok, lower(headers)}
  end

  defp pure(words, now), do: words |> words() |> Map.put(:now, now)

  defp handle(on), do: Process.get({:handle, on}) || raise("no handle #{on} was opened")
  defp handles, do: for({{:handle, on}, w} <- Process.get(), do: {on, w})

  # ---- inside a handler

  defp inside(run, event, tx) do
    say(%{"run" => run})
    outer = Process.get(:running, [])
    Process.put(:running, outer ++ [{event, tx}])
    ending = converse()
    Process.put(:running, outer)
    ending(ending)
  end

  # Handlers of other handles may run inside this one: each question says whose transaction it means.
  defp converse do
    case question() do
      %{"do" => "return", "ending" => ending} ->
        ending

      asked ->
        {event, tx} = Enum.at(Process.get(:running), asked["tx"] || -1)
        answer(asked, &ask_inside(&1, event, tx))
        converse()
    end
  end

  defp ending(%{"raise" => text}), do: raise(text)
  defp ending(%{"retry_after" => n} = ending), do: {:retry_after, n, ending["reason"] || ""}
  defp ending(%{"ignore" => reason}), do: {:ignore, reason}
  defp ending(%{"dead" => reason}), do: {:dead, reason}
  defp ending(ending) when ending == %{}, do: :ok

  defp ask_inside(%{"do" => "tx_event"}, event, _tx), do: {:ok, event}

  defp ask_inside(%{"do" => "tx_sql", "rows" => true} = asked, _event, tx),
    do: Tx.query(tx, asked["text"], asked["values"])

  defp ask_inside(%{"do" => "tx_sql"} = asked, _event, tx) do
    with {:ok, _changes} <- Tx.execute(tx, asked["text"], asked["values"]), do: {:ok, []}
  end

  defp ask_inside(%{"do" => "tx_receive", "words" => words}, _event, tx),
    do: tx |> Tx.receive(request(words)) |> lowered()

  defp ask_inside(%{"do" => "tx_ingest", "words" => words}, _event, tx),
    do: tx |> Tx.ingest(words(words)) |> lowered()

  defp ask_inside(%{"do" => "tx_extend", "seconds" => seconds}, _event, tx),
    do: Tx.extend(tx, seconds)

  defp ask_inside(asked, _event, _tx), do: ask(asked)
end

Logger.configure(level: :none)
:io.setopts(:standard_io, encoding: :latin1)
Door.main()
