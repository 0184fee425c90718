defmodule KnockerSqlite do
  @moduledoc """
  A durable webhook inbox inside an application's own SQLite file.

      {:ok, webhooks} = KnockerSqlite.open("app.db")

      {:ok, _id} =
        KnockerSqlite.add_endpoint(webhooks, %{
          name: "stripe",
          provider: "stripe",
          secrets: ["whsec_123"]
        })

      webhooks =
        KnockerSqlite.register_handler(webhooks, "stripe", "invoice.paid", fn event, tx ->
          KnockerSqlite.Tx.execute!(tx, "insert into invoices(body) values (?)", [event["body_blob"]])
        end)

  The route answers what `receive/2` says; handlers run in `run_worker/3`, or in a
  `KnockerSqlite.Worker` under a supervisor.

  The handle may be shared between processes; handlers belong to the value, not to the handle:
  `register_handler/4` gives a new one. Each call gives `{:ok, value}` (or `:ok`) or
  `{:error, %KnockerSqlite.Error{}}`, and has a twin with `!` that gives the value or raises. Rows are
  maps with string keys, times in them Unix seconds. Options are maps or keyword lists.

  What `:telemetry` hears, where it is loaded: `[:knocker_sqlite, :receive, :stop]` and
  `[:knocker_sqlite, :handler, :stop]`, with `duration`.
  """
  import KnockerSqlite.Twin
  alias KnockerSqlite.{Error, Loop, Native, Provider, Request, Row, Telemetry, Tx}

  @enforce_keys [:ref, :queue_name]
  defstruct [:ref, :queue_name, handlers: %{}]

  @typedoc "An open file, and the handlers registered so far."
  @type t :: %__MODULE__{ref: reference, queue_name: String.t(), handlers: map}
  @type options :: map | keyword
  @type row :: %{String.t() => term}
  @type result(value) :: {:ok, value} | {:error, Error.t()}
  @typedoc """
  What a handler returns: `{:error, reason}` and `:error` are failures, as is what it raises, throws
  or exits with; the next three say more (and may be thrown); anything else is handled.
  """
  @type outcome ::
          {:retry_after, seconds :: number}
          | {:retry_after, seconds :: number, reason :: String.t()}
          | {:ignore, reason :: String.t()}
          | {:dead, reason :: String.t()}
          | {:error, term}
          | term
  @type handler :: (event :: row, tx :: Tx.t() -> outcome)

  # ---- opening

  @open ~w(queue_name visibility_timeout_s max_attempts max_readers synchronous busy_timeout_ms
           max_body_bytes init_sql backoff_base_s backoff_cap_s orphan_bytes orphan_rows settle_full
           existing clock seed)a

  @doc """
  Opens a file, and creates it unless it must be `existing`.

  `queue_name`, `visibility_timeout_s` (60), `max_attempts` (3), `backoff_base_s` (10),
  `backoff_cap_s` (3600), `max_readers` (8), `synchronous` (`:full` or `:normal`), `settle_full`,
  `busy_timeout_ms` (2500), `max_body_bytes` (5 MiB; 0 or nil: no limit), `init_sql`, `orphan_bytes`,
  `orphan_rows`; for tests `clock` and `seed`.

      iex> path = Path.join(System.tmp_dir!(), "doctest-\#{System.unique_integer()}.db")
      iex> {:ok, webhooks} = KnockerSqlite.open(path)
      iex> webhooks.queue_name
      "knocker.events"
      iex> KnockerSqlite.close(webhooks)
      :ok
      iex> {:error, %KnockerSqlite.Error{name: name}} = KnockerSqlite.stats(webhooks)
      iex> name
      :closed
      iex> for end_of_name <- ["", "-wal", "-shm"], do: File.rm(path <> end_of_name)
      iex> KnockerSqlite.open(path, existing: true) |> elem(0)
      :error
  """
  @spec open(Path.t(), options) :: result(t)
  def open(path, options \\ %{}) do
    call(fn ->
      is_binary(path) || Request.invalid!("path must be a text")
      options = Request.options(options, @open)
      queue_name = options[:queue_name] || "knocker.events"

      with {:ok, ref} <- path |> open_members(options) |> Native.open() |> Error.wrap(),
           do: {:ok, %__MODULE__{ref: ref, queue_name: queue_name}}
    end)
  end

  defp open_members(path, options) do
    %{
      path: path,
      queue_name: options[:queue_name],
      init_sql: options[:init_sql],
      visibility_ms: milliseconds(options, :visibility_timeout_s),
      max_attempts: count(options, :max_attempts),
      backoff_base_ms: milliseconds(options, :backoff_base_s),
      backoff_cap_ms: milliseconds(options, :backoff_cap_s),
      max_readers: count(options, :max_readers),
      busy_timeout_ms: count(options, :busy_timeout_ms),
      max_body_bytes: max_body(Map.get(options, :max_body_bytes, :default)),
      synchronous: synchronous(options[:synchronous]),
      settle_full: Request.flag(:settle_full, options[:settle_full]),
      orphan_bytes: count(options, :orphan_bytes),
      orphan_rows: count(options, :orphan_rows),
      existing: Request.flag(:existing, options[:existing]),
      clock_ms: milliseconds(options, :clock),
      seed: count(options, :seed)
    }
  end

  defp max_body(:default), do: 0
  defp max_body(none) when none in [nil, 0], do: -1
  defp max_body(bytes) when is_integer(bytes) and bytes > 0, do: bytes
  defp max_body(other), do: Request.invalid!("max_body_bytes is #{Kernel.inspect(other)}")

  defp synchronous(full) when full in [nil, :full, "full"], do: 0
  defp synchronous(normal) when normal in [:normal, "normal"], do: 1
  defp synchronous(_other), do: Request.invalid!("synchronous is not :full or :normal")

  @doc "Ends the handle. Stop its workers first: while a handler runs it is refused. Closing twice is fine."
  @spec close(t) :: :ok | {:error, Error.t()}
  def close(%__MODULE__{} = w) do
    with {:error, %Error{name: :closed}} <- w |> on(&Native.close/1) |> done(), do: :ok
  end

  @doc "For tests: this handle's clock stands at `seconds`; nil returns to the system's."
  @spec set_clock(t, number | nil) :: :ok | {:error, Error.t()}
  def set_clock(%__MODULE__{ref: ref}, seconds) do
    done(call(fn -> Native.clock_set(ref, Request.milliseconds("seconds", seconds)) end))
  end

  # ---- endpoints

  @endpoint ~w(name path provider scheme secrets provider_options external enabled queue_name
               max_attempts backoff_base_s backoff_cap_s delivery_key event_key)a

  @doc """
  Creates or updates the endpoint of this `name` and gives its id.

  `provider` is a built-in's name, a scheme (a map), a module (`KnockerSqlite.Provider`), or absent: then
  nothing is verified. `secrets`, `provider_options`, `path`, `enabled`, `queue_name`, `max_attempts`,
  `backoff_base_s`, `backoff_cap_s`. With `external: true` you verify by yourself and give each
  receive a `verdict`. `event_key` and `delivery_key` are functions of the
  `KnockerSqlite.ProviderRequest` that give `provider_event_id` and `provider_delivery_id`.
  """
  @spec add_endpoint(t, options) :: result(integer)
  def add_endpoint(%__MODULE__{} = w, endpoint) do
    on(w, fn ref ->
      given = Request.options(endpoint, @endpoint)
      {provider, members} = endpoint_provider(given)

      with {:ok, id} <- Native.endpoint_add(ref, Map.merge(endpoint_members(given), members)) do
        keys = for {key, member} <- keys(), given[key], do: {member, given[key]}
        note = if provider || keys != [], do: {provider, keys}
        Native.note(ref, {:endpoint, given[:name]}, note)
        {:ok, id}
      end
    end)
  end

  defp keys, do: [delivery_key: :provider_delivery_id, event_key: :provider_event_id]

  defp endpoint_members(given) do
    for {key, _member} <- keys(), function = given[key] do
      is_function(function, 1) || Request.invalid!("#{key} must be a function/1")
    end

    %{
      name: given[:name],
      path: given[:path],
      queue_name: given[:queue_name],
      disabled: 1 - Request.flag(:enabled, Map.get(given, :enabled, true)),
      max_attempts: count(given, :max_attempts),
      backoff_base_ms: milliseconds(given, :backoff_base_s),
      backoff_cap_ms: milliseconds(given, :backoff_cap_s)
    }
  end

  defp endpoint_provider(%{provider: module} = given) when is_atom(module) and module != nil do
    registered = Provider.registered(module, given[:secrets], given[:provider_options])
    {registered, %{provider: module.name(), external: 1}}
  end

  defp endpoint_provider(%{provider: %{} = scheme} = given),
    do: endpoint_provider(Map.merge(given, %{provider: "custom", scheme: scheme}))

  defp endpoint_provider(given) do
    members = given |> Map.delete(:scheme) |> Request.by()

    more = %{
      scheme_json: Request.object_json("scheme", given[:scheme]),
      external: Request.flag(:external, given[:external])
    }

    {nil, Map.merge(members, more)}
  end

  @doc """
  The curated built-in providers and their versions.

      iex> Map.has_key?(KnockerSqlite.provider_versions(), "stripe")
      true
  """
  @spec provider_versions() :: %{String.t() => String.t()}
  def provider_versions do
    {:ok, rows} = Native.providers()
    for %{"curated" => 1} = row <- rows, into: %{}, do: {row["name"], row["version"]}
  end

  @doc "Holds the handling of an endpoint's events, for all workers; receiving goes on."
  @spec pause(t, String.t()) :: :ok | {:error, Error.t()}
  def pause(%__MODULE__{} = w, endpoint),
    do: done(on(w, &Native.endpoint_pause(&1, endpoint, 1)))

  @doc "Handles the events of a paused endpoint again."
  @spec resume(t, String.t()) :: :ok | {:error, Error.t()}
  def resume(%__MODULE__{} = w, endpoint),
    do: done(on(w, &Native.endpoint_pause(&1, endpoint, 0)))

  # ---- receiving

  @doc """
  Verifies, stores, deduplicates and queues a request in one commit.

  `endpoint`; `body`, the raw bytes; `headers`, a map or a list of pairs; `query`, the raw text or a
  map; `method`. What you know better: `event_type`, `provider_event_id`, `provider_delivery_id`,
  `dedupe_key`, `queue_name`, `max_attempts`, `verdict`. Where another process has registered the
  endpoint: `provider`, `secrets`, `provider_options`.

  Answer its `"status_code"`, and `"response_headers"` and `"response_body"` where there are any. A
  rejected request is a result: its `"event_id"` is nil.
  """
  @spec receive(t, options) :: result(row)
  def receive(%__MODULE__{} = w, request) do
    Telemetry.span(:receive, &told(request, &1), fn ->
      on(w, &Native.receive(&1, Provider.members(&1, request))) |> row()
    end)
  end

  @doc "The trusted door: you state `signature_valid` (true, false, or nil: not checked)."
  @spec ingest(t, options) :: result(row)
  def ingest(%__MODULE__{} = w, request) do
    Telemetry.span(:receive, &told(request, &1), fn ->
      on(w, &Native.ingest(&1, Request.ingest_members(request))) |> row()
    end)
  end

  defp told(request, {:ok, result}),
    do: %{endpoint: request[:endpoint], status_code: result["status_code"], error: nil}

  defp told(request, {:error, error}),
    do: %{endpoint: request[:endpoint], status_code: nil, error: error}

  @doc "Receives 1 to 1000 requests in one commit. A bad one fails alone: each has its own `{:ok, row}` or `{:error, error}`."
  @spec receive_many(t, [options]) :: result([result(row)])
  def receive_many(%__MODULE__{} = w, requests) do
    on(w, fn ref ->
      is_list(requests) || Request.invalid!("requests must be a list")
      made = Enum.map(requests, fn request -> call(fn -> member(ref, request) end) end)

      case for({:ok, members} <- made, do: members) do
        [] when made != [] -> {:ok, made}
        good -> with {:ok, rows} <- Native.receive_many(ref, good), do: {:ok, merge(made, rows)}
      end
    end)
  end

  # What C would refuse for all of them is refused for this one.
  defp member(ref, request) do
    members = Provider.members(ref, request)

    for {name, value} <- members, name not in [:max_attempts, :verdict] do
      is_nil(value) or is_binary(value) || Request.invalid!("#{name} must be a binary")
    end

    {:ok, members}
  end

  defp merge([], []), do: []
  defp merge([{:error, _} = error | made], rows), do: [error | merge(made, rows)]

  defp merge([_good | made], [row | rows]) do
    {code, row} = Map.pop!(row, "error_code")
    {text, row} = Map.pop!(row, "error")
    answer = if code == 0, do: {:ok, Row.convert(row)}, else: {:error, Error.of_code(code, text)}
    [answer | merge(made, rows)]
  end

  # ---- checking and signing without a file

  @bare ~w(provider scheme secrets options method headers body query now others)a

  @doc """
  Judges a request by its `provider` (or scheme), `secrets` and `options`, at `now`.

      iex> request = %{provider: "github", secrets: ["s3cret"], body: "{}"}
      iex> headers = KnockerSqlite.sign!(request)
      iex> KnockerSqlite.verify!(Map.put(request, :headers, headers))["valid"]
      true
      iex> KnockerSqlite.verify!(request)["valid"]
      false
  """
  @spec verify(options) :: result(row)
  def verify(request), do: pure(request, &Native.verify/2) |> row()

  @doc "The headers that the provider would send with this request, signed with the first secret."
  @spec sign(options) :: result(%{String.t() => binary})
  def sign(request) do
    with {:ok, rows} <- pure(request, &Native.sign/2),
         do: {:ok, Map.new(rows, &{&1["name"], &1["value"]})}
  end

  @doc "What would have made a request valid, likeliest first. `others` are further secrets, by name."
  @spec diagnose(options) :: result([row])
  def diagnose(request) do
    pure(request, fn members, now_ms ->
      others = Request.object_json("others", Map.new(request)[:others])
      Native.diagnose(members, others, now_ms)
    end)
  end

  defp pure(request, function) do
    call(fn ->
      request = Request.options(request, @bare)
      function.(Request.bare_members(request), milliseconds(request, :now))
    end)
  end

  @doc "As `diagnose/1`, of a stored delivery, at the time it came. What is not given is that of its endpoint."
  @spec diagnose_delivery(t, integer, options) :: result([row])
  def diagnose_delivery(%__MODULE__{} = w, delivery_id, options \\ %{}) do
    on(w, fn ref ->
      given = Request.options(options, ~w(provider scheme secrets provider_options others)a)
      others = Request.object_json("others", given[:others])
      Native.diagnose_delivery(ref, delivery_id, Request.by(given), others)
    end)
  end

  # ---- handlers and workers

  @doc "As `register_handler/4`, for all of an endpoint's events that have no handler of their own."
  @spec register_handler(t, String.t(), handler) :: t
  def register_handler(%__MODULE__{} = w, endpoint, handler),
    do: register_handler(w, endpoint, nil, handler)

  @doc """
  Registers a function (event, tx) for an endpoint's events of this type, and gives the handle that has
  it. One registered before for the same is replaced.
  """
  @spec register_handler(t, String.t(), String.t() | nil, handler) :: t
  def register_handler(%__MODULE__{} = w, endpoint, event_type, handler) do
    is_binary(endpoint) || Request.invalid!("endpoint must be a name")
    is_nil(event_type) or is_binary(event_type) || Request.invalid!("event_type must be a text")
    is_function(handler, 2) || Request.invalid!("a handler must be a function/2")
    %{w | handlers: Map.put(w.handlers, {endpoint, event_type}, handler)}
  end

  @doc """
  Handles events in the calling process until `stop_worker/1`, or until `max_jobs` were claimed; gives
  how many were recorded. Before it stops it finishes what it has claimed.

  `queues`, `endpoints`: serve only these. `missing: :leave`: claim only endpoints that have a handler.
  `handler_timeout_s`: run handlers in processes of their own, and kill one that takes longer.
  `on_dead`: a function (event, error) of each event that dies. `on_error`: a function of the error
  that ends the loop.
  """
  @spec run_worker(t, String.t() | nil, options) :: result(non_neg_integer)
  def run_worker(%__MODULE__{} = w, worker_id \\ nil, options \\ %{}) do
    work(w, worker_id, options, fn loop ->
      try do
        Loop.run(loop)
      rescue
        error in Error ->
          Loop.state(loop, false, nil, error.message)
          loop.on_error && loop.on_error.(error)
          reraise error, __STACKTRACE__
      end
    end)
  end

  @doc "Tells the worker that runs in this process to stop."
  @spec stop_worker(pid) :: :ok
  def stop_worker(pid) do
    send(pid, {__MODULE__, :stop})
    :ok
  end

  @doc "Handles at most one event, and gives its id."
  @spec run_worker_once(t, String.t() | nil, options) :: result(integer | nil)
  def run_worker_once(%__MODULE__{} = w, worker_id \\ nil, options \\ %{}),
    do: work(w, worker_id, options, &Loop.once/1)

  @doc "For tests: handles what is due, until nothing is; gives the events' ids."
  @spec drain(t, String.t() | nil, options) :: result([integer])
  def drain(%__MODULE__{} = w, worker_id \\ nil, options \\ %{}),
    do: work(w, worker_id, options, &Loop.drain(&1, &1.max_jobs))

  defp work(w, worker_id, options, function) do
    on(w, fn _ref ->
      loop = Loop.new(w, worker_id, options)
      Loop.state(loop, true, nil)

      try do
        {:ok, function.(loop)}
      after
        Loop.state(loop, false, nil)
      end
    end)
  end

  @doc "The workers that this handle has run, as they are now."
  @spec worker_states(t) :: [row]
  def worker_states(%__MODULE__{ref: ref}) do
    for state <- Native.notes(ref, :worker) do
      %{
        "worker_id" => state.worker_id,
        "running" => state.running and Process.alive?(state.pid),
        "current_event_id" => state.current_event_id,
        "last_error" => state.last_error
      }
    end
  end

  @retention ~w(interval_s event_statuses event_older_than_s event_limit
                orphan_deliveries_older_than_s orphan_deliveries_limit)a

  @doc """
  Prunes by the policy, in the calling process, until `stop_worker/1`. Many may run it on one file:
  each interval is pruned once.

  `interval_s`, and `event_older_than_s`, `orphan_deliveries_older_than_s` or both; `event_statuses`
  (handled and ignored), `event_limit`, `orphan_deliveries_limit`.
  """
  @spec run_retention(t, options) :: :ok | {:error, Error.t()}
  def run_retention(%__MODULE__{} = w, policy) do
    with {:ok, members} <- call(fn -> {:ok, retention_members(policy)} end),
         do: retain(w, members)
  end

  defp retain(w, members) do
    with {:ok, [%{"next_at" => next_at}]} <- on(w, &Native.retain(&1, members)) do
      nap = (next_at - System.os_time(:second)) |> max(0) |> min(1) |> Kernel.*(1000) |> max(10)

      receive do
        {__MODULE__, :stop} -> :ok
      after
        nap -> retain(w, members)
      end
    end
  end

  defp retention_members(policy) do
    policy = Request.options(policy, @retention)

    %{
      interval_s: count(policy, :interval_s),
      statuses_json: Request.texts_json("event_statuses", policy[:event_statuses]),
      event_older_than_s: count(policy, :event_older_than_s),
      event_limit: count(policy, :event_limit),
      orphans_older_than_s: count(policy, :orphan_deliveries_older_than_s),
      orphans_limit: count(policy, :orphan_deliveries_limit)
    }
  end

  # ---- looking

  @page ~w(since limit before_id)a

  @spec get_event(t, integer) :: result(row)
  def get_event(%__MODULE__{} = w, event_id), do: w |> on(&Native.get(&1, 1, event_id)) |> row()

  @spec get_delivery(t, integer) :: result(row)
  def get_delivery(%__MODULE__{} = w, delivery_id),
    do: w |> on(&Native.get(&1, 2, delivery_id)) |> row()

  @doc "Newest first, at most `limit` (100), by `status`, `endpoint`, `event_type`, `since`; `before_id` gives the next page."
  @spec list_events(t, options) :: result([row])
  def list_events(%__MODULE__{} = w, filter \\ %{}) do
    list(
      w,
      1,
      filter,
      ~w(status endpoint event_type)a,
      &Map.take(&1, ~w(status endpoint event_type)a)
    )
  end

  @doc "Newest first, by `event_id`, `endpoint`, `event_type`, `signature_valid`, `orphaned`. `signature_valid: false` is \"not true\"."
  @spec list_deliveries(t, options) :: result([row])
  def list_deliveries(%__MODULE__{} = w, filter \\ %{}) do
    known = ~w(event_id endpoint event_type signature_valid orphaned)a

    list(w, 2, filter, known, fn given ->
      %{
        event_id: count(given, :event_id),
        endpoint: given[:endpoint],
        event_type: given[:event_type],
        signature_valid: Request.choice(:signature_valid, given[:signature_valid]),
        orphaned: Request.choice(:orphaned, given[:orphaned])
      }
    end)
  end

  @doc "The runs of handlers, by `event_id`: of the newest event first, and of each the last first."
  @spec list_attempts(t, options) :: result([row])
  def list_attempts(%__MODULE__{} = w, filter \\ %{}),
    do: list(w, 3, filter, [:event_id], &%{event_id: count(&1, :event_id)})

  @doc "What is queued, as it comes due, by `endpoint`."
  @spec list_jobs(t, options) :: result([row])
  def list_jobs(%__MODULE__{} = w, filter \\ %{}),
    do: list(w, 5, filter, [:endpoint], &Map.take(&1, [:endpoint]))

  @doc "What was pruned when, newest first, by `kind`."
  @spec list_prune_audits(t, options) :: result([row])
  def list_prune_audits(%__MODULE__{} = w, filter \\ %{}),
    do: list(w, 6, filter, [:kind], &%{audit_kind: &1[:kind]})

  @doc "The endpoints in the file, by name."
  @spec list_endpoints(t, options) :: result([row])
  def list_endpoints(%__MODULE__{} = w, filter \\ %{}),
    do: list(w, 4, filter, [], fn _ -> %{} end)

  defp list(w, kind, filter, known, members) do
    on(w, fn ref ->
      given = Request.options(filter, known ++ @page)

      page = %{
        kind: kind,
        since_s: given[:since],
        limit: count(given, :limit),
        before_id: count(given, :before_id)
      }

      Native.list(ref, Map.merge(members.(given), page))
    end)
    |> rows()
  end

  @doc "A query of the application's own, outside any transaction: it sees what is committed."
  @spec read(t, String.t(), [term]) :: result([row])
  def read(%__MODULE__{} = w, sql, parameters \\ []),
    do: on(w, &Native.read(&1, sql, Row.parameters(parameters)))

  @doc "Why an event is where it is: `\"sentence\"` for people, `\"cause\"` for programs."
  @spec why(t, integer) :: result(row)
  def why(%__MODULE__{} = w, event_id), do: w |> on(&Native.why(&1, event_id)) |> row()

  @doc "First all together (`\"endpoint\"` is nil), then one an endpoint, by name."
  @spec stats(t) :: result([row])
  def stats(%__MODULE__{} = w), do: w |> on(&Native.stats/1) |> rows()

  # ---- operating

  @doc "The event's queued job will not call its handler."
  @spec ignore(t, integer, String.t() | nil) :: :ok | {:error, Error.t()}
  def ignore(%__MODULE__{} = w, event_id, reason \\ nil),
    do: done(on(w, &Native.ignore(&1, event_id, reason)))

  @doc "Runs a finished or failed event's own body again."
  @spec replay(t, integer) :: :ok | {:error, Error.t()}
  def replay(%__MODULE__{} = w, event_id), do: done(on(w, &Native.replay(&1, event_id)))

  @doc "Queues an event that has no live job."
  @spec requeue(t, integer) :: :ok | {:error, Error.t()}
  def requeue(%__MODULE__{} = w, event_id), do: done(on(w, &Native.requeue(&1, event_id)))

  @doc "Runs the event's handler with this delivery's body; the event's own stays."
  @spec replay_delivery(t, integer) :: :ok | {:error, Error.t()}
  def replay_delivery(%__MODULE__{} = w, delivery_id),
    do: done(on(w, &Native.replay_delivery(&1, delivery_id)))

  @doc """
  After a fix: verifies an endpoint's orphans again, as at the time each came; those that pass are
  events. `since`, `limit` (100), `after_id`, `dry_run`; `provider`, `secrets`, `provider_options` for an
  endpoint that another process has registered.
  """
  @spec reverify(t, String.t(), options) :: result([row])
  def reverify(%__MODULE__{} = w, endpoint, options \\ %{}) do
    known = ~w(since limit after_id dry_run provider scheme secrets provider_options)a

    on(w, fn ref ->
      given = Request.options(options, known)
      by = given |> Request.by() |> Map.put(:endpoint, endpoint)
      dry_run = Request.flag(:dry_run, given[:dry_run])
      page = [given[:since] || 0, count(given, :after_id), count(given, :limit), dry_run]
      apply(Native, :reverify, [ref, by | page])
    end)
  end

  @doc "Removes handled and ignored events received before `older_than`, oldest first; `statuses`, `limit`, `dry_run`."
  @spec prune_events(t, options) :: result(row)
  def prune_events(%__MODULE__{} = w, prune), do: prune(w, prune, &Native.prune_events/2)

  @doc "Removes rejected receipts from before `older_than`, oldest first; `limit`, `dry_run`."
  @spec prune_orphan_deliveries(t, options) :: result(row)
  def prune_orphan_deliveries(%__MODULE__{} = w, prune),
    do: prune(w, prune, &Native.prune_orphan_deliveries/2)

  defp prune(w, options, function) do
    on(w, fn ref ->
      given = Request.options(options, ~w(statuses older_than limit dry_run)a)

      function.(ref, %{
        statuses_json: Request.texts_json("statuses", given[:statuses]),
        older_than_s: given[:older_than],
        limit: count(given, :limit),
        dry_run: Request.flag(:dry_run, given[:dry_run])
      })
    end)
    |> row()
  end

  # ---- each call

  # From outside of the handle's own handlers.
  defp on(%__MODULE__{ref: ref}, function) do
    if Loop.inside?(ref),
      do: {:error, Error.invalid("called on the handle from inside its own handler: use tx")},
      else: call(fn -> function.(ref) end)
  end

  defp call(function) do
    case function.() do
      {:error, _name, _code, _text} = failure -> Error.wrap(failure)
      answer -> answer
    end
  rescue
    error in Error -> {:error, error}
  end

  defp done({:ok, _code}), do: :ok
  defp done({:error, _error} = failure), do: failure

  defp row({:ok, rows}), do: {:ok, Row.one(rows)}
  defp row({:error, _error} = failure), do: failure

  defp rows({:ok, rows}), do: {:ok, Row.many(rows)}
  defp rows({:error, _error} = failure), do: failure

  defp count(options, name), do: Request.count(name, options[name])
  defp milliseconds(options, name), do: Request.milliseconds(name, options[name])

  # ---- the twins that raise

  twin open!(path :: Path.t()) :: t
  twin open!(path :: Path.t(), options :: options) :: t
  twin close!(w :: t) :: :ok
  twin set_clock!(w :: t, seconds :: number | nil) :: :ok
  twin add_endpoint!(w :: t, endpoint :: options) :: integer
  twin pause!(w :: t, endpoint :: String.t()) :: :ok
  twin resume!(w :: t, endpoint :: String.t()) :: :ok
  twin receive!(w :: t, request :: options) :: row
  twin ingest!(w :: t, request :: options) :: row
  twin receive_many!(w :: t, requests :: [options]) :: [result(row)]
  twin verify!(request :: options) :: row
  twin sign!(request :: options) :: %{String.t() => binary}
  twin diagnose!(request :: options) :: [row]
  twin diagnose_delivery!(w :: t, delivery_id :: integer) :: [row]
  twin diagnose_delivery!(w :: t, delivery_id :: integer, options :: options) :: [row]
  twin run_worker!(w :: t) :: non_neg_integer
  twin run_worker!(w :: t, worker_id :: String.t() | nil) :: non_neg_integer
  twin run_worker!(w :: t, worker_id :: String.t() | nil, options :: options) :: non_neg_integer
  twin run_worker_once!(w :: t) :: integer | nil
  twin run_worker_once!(w :: t, worker_id :: String.t() | nil) :: integer | nil

  twin run_worker_once!(w :: t, worker_id :: String.t() | nil, options :: options) ::
         integer | nil

  twin drain!(w :: t) :: [integer]
  twin drain!(w :: t, worker_id :: String.t() | nil) :: [integer]
  twin drain!(w :: t, worker_id :: String.t() | nil, options :: options) :: [integer]
  twin run_retention!(w :: t, policy :: options) :: :ok
  twin get_event!(w :: t, event_id :: integer) :: row
  twin get_delivery!(w :: t, delivery_id :: integer) :: row
  twin list_events!(w :: t) :: [row]
  twin list_events!(w :: t, filter :: options) :: [row]
  twin list_deliveries!(w :: t) :: [row]
  twin list_deliveries!(w :: t, filter :: options) :: [row]
  twin list_attempts!(w :: t) :: [row]
  twin list_attempts!(w :: t, filter :: options) :: [row]
  twin list_jobs!(w :: t) :: [row]
  twin list_jobs!(w :: t, filter :: options) :: [row]
  twin list_prune_audits!(w :: t) :: [row]
  twin list_prune_audits!(w :: t, filter :: options) :: [row]
  twin list_endpoints!(w :: t) :: [row]
  twin list_endpoints!(w :: t, filter :: options) :: [row]
  twin read!(w :: t, sql :: String.t()) :: [row]
  twin read!(w :: t, sql :: String.t(), parameters :: [term]) :: [row]
  twin why!(w :: t, event_id :: integer) :: row
  twin stats!(w :: t) :: [row]
  twin ignore!(w :: t, event_id :: integer) :: :ok
  twin ignore!(w :: t, event_id :: integer, reason :: String.t() | nil) :: :ok
  twin replay!(w :: t, event_id :: integer) :: :ok
  twin requeue!(w :: t, event_id :: integer) :: :ok
  twin replay_delivery!(w :: t, delivery_id :: integer) :: :ok
  twin reverify!(w :: t, endpoint :: String.t()) :: [row]
  twin reverify!(w :: t, endpoint :: String.t(), options :: options) :: [row]
  twin prune_events!(w :: t, prune :: options) :: row
  twin prune_orphan_deliveries!(w :: t, prune :: options) :: row
end
