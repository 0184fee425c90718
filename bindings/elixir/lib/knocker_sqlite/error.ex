defmodule KnockerSqlite.Error do
  @moduledoc """
  What can go wrong: one exception, and in `name` one word a cause, the same in every language.

  | name | means |
  |---|---|
  | `:invalid_argument` | a mistake in the call; nothing was written |
  | `:unknown_endpoint` `:unknown_event` `:unknown_delivery` | nothing has this name or id |
  | `:wrong_status` | the act is not allowed from the event's status |
  | `:busy` | another writer held the file, or the handle, past `busy_timeout_ms` |
  | `:storage` | the disk is full, the file read-only or no database, an I/O error |
  | `:corrupt` | the file is damaged |
  | `:closed` | the handle is closed, or the handler of this transaction has ended |
  | `:lease_lost` | another worker has the job now; nothing of this work is kept |
  | `:sql` | a handler's own statement failed; the text is SQLite's |
  """

  @type name ::
          :invalid_argument
          | :unknown_endpoint
          | :unknown_event
          | :unknown_delivery
          | :wrong_status
          | :busy
          | :storage
          | :corrupt
          | :closed
          | :lease_lost
          | :sql

  @type t :: %__MODULE__{name: name, code: neg_integer, message: String.t()}

  defexception [:name, :code, :message]

  @doc false
  @spec invalid(String.t()) :: t
  def invalid(text), do: %__MODULE__{name: :invalid_argument, code: -1, message: text}

  @doc false
  def wrap({:ok, value}), do: {:ok, value}

  def wrap({:error, name, code, text}),
    do: {:error, %__MODULE__{name: name, code: code, message: text}}

  @doc false
  # The names of codes that a row has, of a request that failed alone.
  def of_code(code, text) do
    names =
      {:invalid_argument, :unknown_endpoint, :unknown_event, :unknown_delivery, :wrong_status,
       :busy, :storage, :corrupt, :closed, :lease_lost, :sql}

    %__MODULE__{name: elem(names, -code - 1), code: code, message: text}
  end
end
