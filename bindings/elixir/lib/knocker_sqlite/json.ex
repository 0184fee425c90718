defmodule KnockerSqlite.Json do
  @moduledoc false
  # The little JSON that crosses to and from C: options and schemes out, headers in. It refuses to be
  # a library: what it reads was written by the core, or by whoever tests this package.

  @spec encode(term) :: {:ok, binary} | {:error, String.t()}
  def encode(term) do
    {:ok, term |> write() |> IO.iodata_to_binary()}
  catch
    {__MODULE__, text} -> {:error, text}
  end

  defp write(nil), do: "null"
  defp write(true), do: "true"
  defp write(false), do: "false"
  defp write(number) when is_integer(number), do: Integer.to_string(number)
  defp write(number) when is_float(number), do: Float.to_string(number)
  defp write(atom) when is_atom(atom), do: atom |> Atom.to_string() |> write()

  defp write(text) when is_binary(text) do
    String.valid?(text) || throw({__MODULE__, "a text is not UTF-8"})
    [?", escape(text, text, 0, 0), ?"]
  end

  defp write(list) when is_list(list),
    do: [?[, list |> Enum.map(&write/1) |> Enum.intersperse(?,), ?]]

  defp write(map) when is_map(map) and not is_struct(map) do
    members = for {name, value} <- map, do: [write(to_name(name)), ?:, write(value)]
    [?{, Enum.intersperse(members, ?,), ?}]
  end

  defp write(_term), do: throw({__MODULE__, "a value is no text, number, list or map"})

  defp to_name(name) when is_binary(name) or is_atom(name), do: to_string(name)
  defp to_name(_name), do: throw({__MODULE__, "a name is no text"})

  defp escape(<<byte, rest::binary>>, text, from, len)
       when byte < 0x20 or byte in [?", ?\\] do
    code = byte |> Integer.to_string(16) |> String.pad_leading(4, "0")

    [
      binary_part(text, from, len),
      "\\u",
      code | escape(rest, text, from + len + 1, 0)
    ]
  end

  defp escape(<<_, rest::binary>>, text, from, len), do: escape(rest, text, from, len + 1)
  defp escape(<<>>, text, from, len), do: [binary_part(text, from, len)]

  @spec decode!(binary) :: term
  def decode!(json) do
    {value, rest} = json |> skip() |> read()
    "" = skip(rest)
    value
  end

  defp skip(<<space, rest::binary>>) when space in ' \t\r\n', do: skip(rest)
  defp skip(rest), do: rest

  defp read("null" <> rest), do: {nil, rest}
  defp read("true" <> rest), do: {true, rest}
  defp read("false" <> rest), do: {false, rest}
  defp read(<<?", rest::binary>>), do: text(rest, [])
  defp read(<<?[, rest::binary>>), do: items(skip(rest), [])
  defp read(<<?{, rest::binary>>), do: members(skip(rest), %{})

  defp read(json) do
    [number] = Regex.run(~r/^-?[0-9]+(\.[0-9]+)?([eE][-+]?[0-9]+)?/, json, capture: :first)
    {number(number), binary_part(json, byte_size(number), byte_size(json) - byte_size(number))}
  end

  defp number(digits) do
    case Integer.parse(digits) do
      {integer, ""} -> integer
      {integer, <<e, _::binary>> = power} when e in 'eE' -> float("#{integer}.0#{power}")
      _ -> float(digits)
    end
  end

  defp float(digits) do
    {float, ""} = Float.parse(digits)
    float
  end

  defp items(<<?], rest::binary>>, read), do: {Enum.reverse(read), rest}
  defp items(<<?,, rest::binary>>, read), do: items(skip(rest), read)

  defp items(json, read) do
    {value, rest} = read(json)
    items(skip(rest), [value | read])
  end

  defp members(<<?}, rest::binary>>, read), do: {read, rest}
  defp members(<<?,, rest::binary>>, read), do: members(skip(rest), read)

  defp members(<<?", json::binary>>, read) do
    {name, rest} = text(json, [])
    <<?:, rest::binary>> = skip(rest)
    {value, rest} = rest |> skip() |> read()
    members(skip(rest), Map.put(read, name, value))
  end

  defp text(<<?", rest::binary>>, read),
    do: {read |> Enum.reverse() |> IO.iodata_to_binary(), rest}

  defp text(<<"\\u", high::binary-4, "\\u", low::binary-4, rest::binary>>, read) do
    case {String.to_integer(high, 16), String.to_integer(low, 16)} do
      {h, l} when h in 0xD800..0xDBFF and l in 0xDC00..0xDFFF ->
        text(rest, [<<0x10000 + (h - 0xD800) * 0x400 + l - 0xDC00::utf8>> | read])

      {h, _} ->
        text("\\u" <> low <> rest, [code_point(h) | read])
    end
  end

  defp text(<<"\\u", code::binary-4, rest::binary>>, read),
    do: text(rest, [code |> String.to_integer(16) |> code_point() | read])

  defp text(<<?\\, escaped, rest::binary>>, read), do: text(rest, [unescape(escaped) | read])

  defp text(<<>>, _read), do: raise(ArgumentError, "a text has no end")

  defp text(json, read) do
    len = plain(json, 0)
    <<part::binary-size(len), rest::binary>> = json
    text(rest, [part | read])
  end

  # A lone surrogate is no character.
  defp code_point(code) when code in 0xD800..0xDFFF, do: "\uFFFD"
  defp code_point(code), do: <<code::utf8>>

  defp unescape(?n), do: "\n"
  defp unescape(?t), do: "\t"
  defp unescape(?r), do: "\r"
  defp unescape(?b), do: "\b"
  defp unescape(?f), do: "\f"
  defp unescape(itself) when itself in [?", ?\\, ?/], do: <<itself>>

  defp plain(<<byte, rest::binary>>, len) when byte not in [?", ?\\], do: plain(rest, len + 1)
  defp plain(_json, len), do: len
end
