defmodule KnockerSqlite.Row do
  @moduledoc false
  # What comes back: maps with string keys, the columns of knocker.h. Where those differ from what
  # people see, it is said here.
  alias KnockerSqlite.Json

  @booleans ~w(duplicate valid signature_valid enabled paused)

  def one([row]), do: convert(row)
  def many(rows), do: Enum.map(rows, &convert/1)

  def convert(row), do: Enum.reduce(row, row, &column/2)

  defp column({"headers_json", json}, row), do: renamed(row, "headers_json", "headers", json)
  defp column({"query_json", json}, row), do: renamed(row, "query_json", "query", json)
  defp column({"response_headers", lines}, row), do: %{row | "response_headers" => lines(lines)}
  # Documents and SQL call it body_blob; both names are the same binary.
  defp column({"body", body}, row), do: Map.put(row, "body_blob", body)
  defp column({name, 0}, row) when name in @booleans, do: %{row | name => false}
  defp column({name, 1}, row) when name in @booleans, do: %{row | name => true}
  defp column(_column, row), do: row

  defp renamed(row, column, name, json),
    do: row |> Map.delete(column) |> Map.put(name, Json.decode!(json || "{}"))

  defp lines(nil), do: %{}

  defp lines(text) do
    for line <- String.split(text, "\n", trim: true), into: %{} do
      [name, value] = String.split(line, ":", parts: 2)
      {name, String.trim(value)}
    end
  end

  @doc "A handler's parameters: a binary is text, and `{:blob, binary}` bytes."
  def parameters(parameters) when is_list(parameters), do: Enum.map(parameters, &parameter/1)
  def parameters(other), do: other

  defp parameter(true), do: 1
  defp parameter(false), do: 0

  defp parameter(text) when is_binary(text) do
    if String.valid?(text), do: text, else: {:text_that_is_not_utf8}
  end

  defp parameter(other), do: other
end
