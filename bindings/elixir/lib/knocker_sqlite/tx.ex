defmodule KnockerSqlite.Tx do
  @moduledoc """
  A handler's transaction: what is written through it commits with the event's `handled`, or not at
  all. It begins at the first call, and every other write waits for its end.

  Parameters are `nil`, integers of 64 bits, floats, `true` and `false` (1 and 0), texts, and
  `{:blob, binary}` for bytes. Rows are maps with string keys, texts and bytes in them are binaries.

  An error that a statement gives is returned, and `execute!/3` raises it, which is mostly what a
  handler wants. The transaction goes on after it.
  """
  import KnockerSqlite.Twin
  alias KnockerSqlite.{Error, Native, Provider, Request, Row}

  @enforce_keys [:work, :handle]
  defstruct [:work, :handle]

  @opaque t :: %__MODULE__{work: reference, handle: reference}
  @type row :: %{String.t() => term}

  @doc "Runs one statement; `?` are bound in order."
  @spec execute(t, String.t(), [term]) ::
          {:ok, %{changes: integer, last_id: integer}} | {:error, Error.t()}
  def execute(%__MODULE__{work: work}, sql, parameters \\ []) do
    with {:ok, {changes, last_id}} <-
           Error.wrap(Native.execute(work, sql, Row.parameters(parameters))),
         do: {:ok, %{changes: changes, last_id: last_id}}
  end

  @doc "Runs one statement and gives its rows."
  @spec query(t, String.t(), [term]) :: {:ok, [row]} | {:error, Error.t()}
  def query(%__MODULE__{work: work}, sql, parameters \\ []),
    do: Error.wrap(Native.query(work, sql, Row.parameters(parameters)))

  @doc "As `KnockerSqlite.receive/2`, as part of the transaction."
  @spec receive(t, map | keyword) :: {:ok, row} | {:error, Error.t()}
  def receive(%__MODULE__{} = tx, request) do
    result(Native.work_receive(tx.work, Provider.members(tx.handle, request)))
  rescue
    error in Error -> {:error, error}
  end

  @doc "As `KnockerSqlite.ingest/2`, as part of the transaction."
  @spec ingest(t, map | keyword) :: {:ok, row} | {:error, Error.t()}
  def ingest(%__MODULE__{} = tx, request) do
    result(Native.work_ingest(tx.work, Request.ingest_members(request)))
  rescue
    error in Error -> {:error, error}
  end

  @doc "The lease of the event in hand now ends `seconds` from now."
  @spec extend(t, number) :: :ok | {:error, Error.t()}
  def extend(%__MODULE__{work: work}, seconds) do
    milliseconds = Request.milliseconds("seconds", seconds)
    with {:ok, _code} <- Error.wrap(Native.extend(work, milliseconds)), do: :ok
  rescue
    error in Error -> {:error, error}
  end

  defp result(answer) do
    with {:ok, rows} <- Error.wrap(answer), do: {:ok, Row.one(rows)}
  end

  twin execute!(tx :: t, sql :: String.t()) :: %{changes: integer, last_id: integer}

  twin execute!(tx :: t, sql :: String.t(), parameters :: [term]) :: %{
         changes: integer,
         last_id: integer
       }

  twin query!(tx :: t, sql :: String.t()) :: [row]
  twin query!(tx :: t, sql :: String.t(), parameters :: [term]) :: [row]
  twin receive!(tx :: t, request :: map | keyword) :: row
  twin ingest!(tx :: t, request :: map | keyword) :: row
  twin extend!(tx :: t, seconds :: number) :: :ok

  defimpl Inspect do
    def inspect(_tx, _options), do: "#KnockerSqlite.Tx<>"
  end
end
