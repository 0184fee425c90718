defmodule KnockerSqlite.Request do
  @moduledoc false
  # How Elixir's arguments become the members of knocker.h's structs. Every mistake in a call is
  # found here or in C; here it is raised as the error that the face returns.
  alias KnockerSqlite.{Error, Json}

  @http ~w(body headers query method)a
  @given ~w(event_type provider_event_id provider_delivery_id dedupe_key queue_name)a
  @receive [:endpoint, :max_attempts, :provider, :scheme, :secrets, :provider_options, :verdict] ++
             @http ++ @given
  @ingest [:endpoint, :max_attempts, :signature_valid, :signature_error] ++ @http ++ @given
  @verdicts %{true => 1, false => 2, nil => 3}

  @spec invalid!(String.t()) :: no_return
  def invalid!(text), do: raise(Error.invalid(text))

  @doc "A map or keyword list of options, all of which are known."
  def options(options, known) do
    options = if is_list(options), do: keywords(options), else: options
    is_map(options) || invalid!("options must be a map, not #{inspect(options, limit: 5)}")
    unknown = options |> Map.drop(known) |> Map.keys()
    unknown == [] || invalid!("there is no option #{inspect(hd(unknown))}")
    options
  end

  defp keywords(options) do
    Keyword.keyword?(options) || invalid!("options must be a map or a keyword list")
    Map.new(options)
  end

  @doc "An integer of which C takes 0 for \"not given\": here nil says that, and 0 is a mistake."
  def count(_name, nil), do: 0
  def count(_name, number) when is_integer(number) and number != 0, do: number
  def count(name, other), do: invalid!("#{name} is #{inspect(other, limit: 5)}")

  def milliseconds(_name, nil), do: 0

  def milliseconds(name, seconds) when is_number(seconds) and abs(seconds) <= 1.0e12,
    do: count(name, round(seconds * 1000))

  def milliseconds(name, other),
    do: invalid!("#{name} must be a number of seconds, not #{inspect(other, limit: 5)}")

  def flag(_name, value) when value in [nil, false], do: 0
  def flag(_name, true), do: 1
  def flag(name, other), do: invalid!("#{name} is #{inspect(other)}, not true or false")

  @doc "A filter's yes, no, or either."
  def choice(_name, nil), do: 0
  def choice(_name, true), do: 1
  def choice(_name, false), do: 2
  def choice(name, other), do: invalid!("#{name} is #{inspect(other)}, not true or false")

  @doc "A list of texts as JSON. Its values may be secrets, so that no error names one."
  def texts_json(_name, nil), do: nil

  def texts_json(name, texts) when is_list(texts) do
    is_list_of_texts?(texts) || invalid!("#{name} must be a list of texts")
    json(name, texts)
  end

  def texts_json(name, _other), do: invalid!("#{name} must be a list of texts")

  def is_list_of_texts?(texts),
    do:
      List.improper?(texts) == false and Enum.all?(texts, &(is_binary(&1) and String.valid?(&1)))

  def object_json(_name, nil), do: nil
  def object_json(name, map) when is_map(map) and not is_struct(map), do: json(name, map)
  def object_json(name, _other), do: invalid!("#{name} must be a map")

  defp json(name, term) do
    case Json.encode(term) do
      {:ok, json} -> json
      {:error, text} -> invalid!("#{name}: #{text}")
    end
  end

  @doc "A name goes as it is, a scheme of the application's own as JSON."
  def provider(nil), do: nil
  def provider(name) when is_binary(name), do: name
  def provider(scheme) when is_map(scheme), do: object_json("provider", scheme)

  def provider(other),
    do: invalid!("provider must be a name or a scheme, not #{inspect(other, limit: 5)}")

  @doc "The members of by what a request is verified, from what the face calls them."
  def by(options) do
    %{
      provider: provider(options[:scheme] || options[:provider]),
      secrets_json: texts_json("secrets", options[:secrets]),
      options_json: object_json("provider_options", options[:provider_options])
    }
  end

  def receive_members(request) do
    request = options(request, @receive)

    Map.merge(common(request), by(request))
    |> Map.merge(verdict(request[:verdict]))
  end

  def ingest_members(request) do
    request = options(request, @ingest)
    is_map_key(request, :signature_valid) || invalid!("signature_valid is missing")
    verdict = @verdicts[request.signature_valid]
    verdict || invalid!("signature_valid is not true, false or nil")
    Map.merge(common(request), %{verdict: verdict, verdict_error: request[:signature_error]})
  end

  @doc "The members of a request that goes to no endpoint."
  def bare_members(request) do
    options = Map.put_new(request, :provider_options, request[:options])
    Map.merge(http(request), by(options))
  end

  defp common(request) do
    request
    |> Map.take(@given)
    |> Map.merge(http(request))
    |> Map.merge(%{
      endpoint: request[:endpoint],
      max_attempts: count("max_attempts", request[:max_attempts])
    })
  end

  defp http(request) do
    %{
      method: request[:method],
      headers: header_lines(request[:headers]),
      query: query(request[:query]),
      body: body(request[:body])
    }
  end

  @doc "What the application found out about a request: `:ok`, `{:ok, ids}`, `{:error, why}`."
  def verdict(nil), do: %{}
  def verdict(:ok), do: verdict({:ok, %{}})
  def verdict({:ok, ids}), do: Map.put(ids(ids), :verdict, 1)
  def verdict({:error, why}), do: verdict({:error, why, %{}})

  def verdict({:error, why, ids}) when is_binary(why),
    do: Map.merge(ids(ids), %{verdict: 2, verdict_error: why})

  def verdict(_other),
    do: invalid!("a verdict is :ok, {:ok, ids}, {:error, why} or {:error, why, ids}")

  defp ids(ids) do
    ids = options(ids, ~w(event_type provider_event_id provider_delivery_id)a)

    %{
      ids_event_type: id(ids[:event_type]),
      ids_event_id: id(ids[:provider_event_id]),
      ids_delivery_id: id(ids[:provider_delivery_id])
    }
  end

  @doc "An id that a function read from a request."
  def id(nil), do: nil
  def id(number) when is_integer(number), do: Integer.to_string(number)
  def id(text) when is_binary(text), do: if(String.valid?(text), do: text)
  def id(_other), do: invalid!("an id must be a text")

  # ---- what came over the wire

  defp body(body) when is_binary(body) or is_nil(body), do: body

  defp body(_other) do
    invalid!("body is no binary: a framework has parsed it; give the raw bytes, as received")
  end

  @doc "One pair a line: a list of values is so many lines."
  def header_pairs(nil), do: []

  def header_pairs(headers) when is_map(headers) or is_list(headers) do
    Enum.flat_map(headers, fn
      {name, values} when is_list(values) -> Enum.map(values, &{to_name(name), &1})
      {name, value} -> [{to_name(name), value}]
      _other -> invalid!("headers must be a map or a list of pairs")
    end)
  end

  def header_pairs(_other), do: invalid!("headers must be a map or a list of pairs")

  defp to_name(name) when is_binary(name) or is_atom(name), do: to_string(name)
  defp to_name(_name), do: invalid!("a header's name must be a text")

  defp header_lines(headers) do
    for {name, value} <- header_pairs(headers), into: "" do
      is_binary(value) || invalid!("header #{inspect(name)} must be a text")

      if name == "" or :binary.match(name, [":", "\r", "\n"]) != :nomatch or
           :binary.match(value, ["\r", "\n"]) != :nomatch do
        invalid!("header #{inspect(name)} has a line break or a colon, or no name")
      end

      <<name::binary, ": ", value::binary, "\n">>
    end
  end

  @doc "The raw text of a query. What Plug has not fetched is an empty one."
  def query(query) when is_nil(query) or is_binary(query), do: query
  def query(%{__struct__: Plug.Conn.Unfetched}), do: nil

  def query(query) when (is_map(query) and not is_struct(query)) or is_list(query) do
    query |> Enum.flat_map(&members(&1, nil)) |> Enum.join("&")
  end

  def query(_other), do: invalid!("query must be a map or the raw text")

  # A list is so many members; a map within is `name[member]`, as Plug has read it.
  defp members({name, value}, within) when is_binary(name) or is_atom(name) do
    name = if within, do: "#{within}[#{name}]", else: to_string(name)

    case value do
      values when is_list(values) -> Enum.flat_map(values, &members({name, &1}, nil))
      map when is_map(map) and not is_struct(map) -> Enum.flat_map(map, &members(&1, name))
      plain -> [escaped(name) <> "=" <> escaped(plain)]
    end
  end

  defp members(_other, _within), do: invalid!("query must be a map or the raw text")

  defp escaped(nil), do: ""

  defp escaped(text) when is_binary(text) or is_number(text) or is_atom(text),
    do: text |> to_string() |> URI.encode(&URI.char_unreserved?/1)

  defp escaped(_other), do: invalid!("query: a value is no text")
end
