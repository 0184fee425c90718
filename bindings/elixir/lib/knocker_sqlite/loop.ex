defmodule KnockerSqlite.Loop do
  @moduledoc false
  # What a worker does: claims jobs, runs their handlers, and settles. Outcomes are decided in C.
  # Errors of the loop itself are raised. Who calls it, and when it ends, is not its business.
  alias KnockerSqlite.{Error, Native, Request, Row, Telemetry, Tx}
  require Logger

  @options ~w(max_jobs queues endpoints missing on_dead on_error handler_timeout_s)a
  @most 10
  @nap_ms 1000
  @handled 1
  @failed 2
  @retry_after 3
  @dead 4
  @ignored 5
  @no_handler 6
  @inside {KnockerSqlite, :inside}

  @enforce_keys [:ref, :handlers, :worker_id]
  defstruct [:ref, :handlers, :worker_id, :serves, :on_dead, :on_error, :timeout_ms, :max_jobs]

  def new(w, worker_id, options) do
    options = Request.options(options, @options)
    missing = Map.get(options, :missing, :dead)
    missing in [:dead, :leave] || Request.invalid!("missing is not :dead or :leave")
    worker_id = worker_id || name()
    is_binary(worker_id) || Request.invalid!("the worker's id must be a text")

    %__MODULE__{
      ref: w.ref,
      handlers: w.handlers,
      worker_id: worker_id,
      serves: serves(w.handlers, worker_id, missing, options),
      on_dead: function("on_dead", options[:on_dead], 2),
      on_error: function("on_error", options[:on_error], 1),
      timeout_ms: Request.milliseconds("handler_timeout_s", options[:handler_timeout_s]),
      max_jobs: most(options[:max_jobs])
    }
  end

  # A number is less than any atom.
  defp most(nil), do: :infinity
  defp most(number) when is_integer(number) and number > 0, do: number
  defp most(other), do: Request.invalid!("max_jobs is #{inspect(other, limit: 5)}")

  defp name do
    {:ok, host} = :inet.gethostname()
    "#{host}-#{System.pid()}-#{System.unique_integer([:positive])}"
  end

  defp function(_name, nil, _arity), do: nil
  defp function(_name, function, arity) when is_function(function, arity), do: function
  defp function(name, _other, arity), do: Request.invalid!("#{name} must be a function/#{arity}")

  # What to claim, and to wait for; nil when there is nothing that it could serve.
  defp serves(handlers, worker_id, missing, options) do
    endpoints = options[:endpoints]
    _ = Request.texts_json("endpoints", endpoints)
    able = handlers |> Map.keys() |> Enum.map(&elem(&1, 0)) |> Enum.uniq()

    endpoints =
      if missing == :leave,
        do: Enum.filter(able, &(endpoints == nil or &1 in endpoints)),
        else: endpoints

    if endpoints != [] do
      %{
        worker_id: worker_id,
        queues_json: Request.texts_json("queues", options[:queues]),
        endpoints_json: Request.texts_json("endpoints", endpoints)
      }
    end
  end

  # ---- the mark

  @doc "The mark: whether the calling process is inside a handler of this handle."
  def inside?(ref), do: ref in Process.get(@inside, [])

  defp marked(ref, function) do
    before = Process.get(@inside, [])
    Process.put(@inside, [ref | before])

    try do
      function.()
    after
      Process.put(@inside, before)
    end
  end

  # ---- claiming and waiting

  def claim(%{serves: nil}, _most), do: []

  def claim(loop, most),
    do: ok!(Native.claim(loop.ref, Map.put(loop.serves, :count, min(@most, most))))

  @doc "Sleeps on a thread of its own, which sends `{ref, result}`."
  def sleep(%{serves: nil}) do
    ref = make_ref()
    Process.send_after(self(), {ref, {:ok, 1}}, @nap_ms)
    ref
  end

  def sleep(loop) do
    ref = make_ref()
    :ok = Native.wait_apart(loop.ref, Map.put(loop.serves, :count, @most), @nap_ms, ref)
    ref
  end

  @doc "Ends a sleep, and takes its message. One wake may come just before the thread sleeps."
  def wake(loop, ref) do
    _ = Native.wake(loop.ref)

    receive do
      {^ref, result} -> result
    after
      20 -> wake(loop, ref)
    end
  end

  defp ok!(answer) do
    case Error.wrap(answer) do
      {:ok, value} -> value
      {:error, error} -> raise error
    end
  end

  # ---- jobs

  @doc "Runs claimed jobs and gives the events whose outcome was recorded. Torn away, it gives the rest back."
  def run_jobs(loop, jobs), do: run_jobs(loop, jobs, nil)

  defp run_jobs(_loop, [], _begun), do: []

  defp run_jobs(loop, [job | rest], begun) do
    {ran, begun} =
      try do
        run_job(loop, job, begun, List.first(rest))
      catch
        kind, reason ->
          for %{"job_id" => id, "claim" => claim} <- rest, do: Native.release(loop.ref, id, claim)
          :erlang.raise(kind, reason, __STACKTRACE__)
      end

    if ran,
      do: [job["event_id"] | run_jobs(loop, rest, begun)],
      else: run_jobs(loop, rest, begun)
  end

  # With what the settlement before has begun, and begins the next where this one is handled.
  defp run_job(loop, %{"died" => 1} = job, _begun, _next) do
    tell_death(loop, job["event_id"])
    {false, nil}
  end

  defp run_job(loop, job, begun, next) do
    case ok!(begun || Native.work_begin(loop.ref, job["job_id"], job["claim"])) do
      nil ->
        {false, nil}

      {work, rows} ->
        event = Row.one(rows)
        state(loop, true, event["id"])

        try do
          outcome = run_handler(loop, work, event)
          settle(loop, work, event, outcome, next)
        after
          # Nothing where it is settled.
          Native.abandon(work)
          state(loop, true, nil)
        end
    end
  end

  defp run_handler(loop, work, event) do
    case handler(loop.handlers, event) do
      nil ->
        {@no_handler, nil, 0}

      handler ->
        run = fn -> outcome(handler, event, %Tx{work: work, handle: loop.ref}, loop.ref) end
        told = &%{event_id: event["id"], endpoint: event["endpoint"], outcome: word(&1)}
        timed = fn -> if loop.timeout_ms > 0, do: timed(run, loop.timeout_ms), else: run.() end
        Telemetry.span(:handler, told, timed)
    end
  end

  defp handler(handlers, %{"endpoint" => endpoint, "event_type" => type}),
    do: handlers[{endpoint, type}] || handlers[{endpoint, nil}]

  defp word({code, _reason, _delay}),
    do: elem({:handled, :failed, :retry_after, :dead, :ignored}, code - 1)

  # What a handler returns, raises, throws or exits with is an outcome.
  defp outcome(handler, event, tx, ref) do
    marked(ref, fn -> handler.(event, tx) end) |> returned()
  rescue
    error -> failed(event, inspect(error.__struct__) <> ": " <> Exception.message(error))
  catch
    :throw, thrown -> thrown |> returned() |> thrown(thrown)
    :exit, reason -> failed(event, "exit: " <> Exception.format_exit(reason))
  end

  defp returned({:retry_after, seconds}), do: returned({:retry_after, seconds, ""})

  defp returned({:retry_after, seconds, reason})
       when is_number(seconds) and seconds >= 0 and seconds < 1.0e9,
       do: {@retry_after, text(reason), max(1, round(seconds * 1000))}

  defp returned({:retry_after, seconds, _reason}),
    do: {@failed, "retry after #{inspect(seconds, limit: 5)} is no number of seconds", 0}

  defp returned({:ignore, reason}), do: {@ignored, text(reason), 0}
  defp returned({:dead, reason}), do: {@dead, text(reason), 0}
  defp returned({:error, reason}), do: {@failed, text(reason), 0}
  defp returned(:error), do: {@failed, "the handler returned :error", 0}

  defp returned(%Task{}),
    do: {@failed, "the handler returned a Task: handlers are synchronous", 0}

  defp returned(_anything), do: {@handled, nil, 0}

  defp thrown({@handled, _, _}, thrown), do: {@failed, "throw: " <> inspect(thrown), 0}
  defp thrown(outcome, _thrown), do: outcome

  defp failed(event, text) do
    Logger.warning("event #{event["id"]} of #{inspect(event["endpoint"])} failed: #{text}")
    {@failed, text(text), 0}
  end

  defp text(text) when is_binary(text),
    do: if(String.valid?(text), do: text, else: inspect(text))

  defp text(%{__exception__: true} = error), do: error |> Exception.message() |> text()
  defp text(other), do: inspect(other)

  # In a process of its own, which is killed when its time is up, and when the worker is.
  defp timed(run, timeout_ms) do
    worker = self()
    {pid, monitor} = spawn_monitor(fn -> send(worker, {self(), run.()}) end)
    spawn(fn -> guard(worker, pid) end)

    receive do
      {^pid, outcome} ->
        Process.demonitor(monitor, [:flush])
        outcome

      {:DOWN, ^monitor, :process, ^pid, reason} ->
        {@failed, "the handler's process ended: " <> Exception.format_exit(reason), 0}
    after
      timeout_ms ->
        Process.exit(pid, :kill)
        receive(do: ({:DOWN, ^monitor, :process, ^pid, _reason} -> :ok))
        receive(do: ({^pid, _late} -> :ok), after: (0 -> :ok))
        {@failed, "the handler ran for longer than #{timeout_ms / 1000} s", 0}
    end
  end

  defp guard(worker, pid) do
    watched = Process.monitor(worker)
    ended = Process.monitor(pid)

    receive do
      {:DOWN, ^watched, _, _, _} -> Process.exit(pid, :kill)
      {:DOWN, ^ended, _, _, _} -> :ok
    end
  end

  # Records an outcome.
  defp settle(loop, work, event, {code, reason, delay_ms}, next) do
    if code == @failed, do: state(loop, true, event["id"], reason)
    {answer, begun} = settled(loop, work, {code, reason, delay_ms}, next)

    try do
      {recorded(loop, event, Error.wrap(answer)), begun}
    catch
      kind, thrown ->
        with {:ok, {next_work, _rows}} <- begun, do: Native.abandon(next_work)
        :erlang.raise(kind, thrown, __STACKTRACE__)
    end
  end

  # A lost lease or a busy file costs this job only: it comes due again.
  defp recorded(loop, event, {:ok, [%{"status" => status}]}) do
    if status == "dead", do: tell_death(loop, event["id"])
    true
  end

  defp recorded(loop, event, {:error, %Error{name: name} = error})
       when name in [:lease_lost, :busy, :sql] do
    Logger.warning("event #{event["id"]}: #{error.message}")
    state(loop, true, nil, error.message)
    name == :sql and died?(loop, event["id"])
  end

  defp recorded(_loop, _event, {:error, error}), do: raise(error)

  # Only a handler that returned has the writer and needs it no longer than for its commit; the others
  # roll back and then wait for it anew, which is no scheduler's work.
  defp settled(loop, work, {@handled, _reason, _delay_ms}, %{"died" => 0} = next),
    do: Native.settle_begin(work, loop.ref, next["job_id"], next["claim"])

  defp settled(_loop, work, {@handled, reason, delay_ms}, _next),
    do: {Native.settle(work, @handled, reason, delay_ms), nil}

  defp settled(_loop, work, {code, reason, delay_ms}, _next) do
    ref = make_ref()
    :ok = Native.settle_apart(work, code, reason, delay_ms, ref)
    receive(do: ({^ref, answer} -> {answer, nil}))
  end

  # What the handler wrote could not be committed, and that was recorded as its failure.
  defp died?(loop, event_id) do
    if event(loop, event_id)["status"] == "dead", do: tell_death(loop, event_id)
    true
  end

  defp tell_death(%{on_dead: nil}, _event_id), do: :ok

  defp tell_death(loop, event_id) do
    dead = event(loop, event_id)
    loop.on_dead.(dead, dead["last_error"])
  end

  defp event(loop, id), do: loop.ref |> Native.get(1, id) |> ok!() |> Row.one()

  # ---- states

  @doc "Notes with the handle what this worker is doing. An error stays until the next."
  def state(loop, running, event_id, error \\ :keep) do
    key = {:worker, loop.worker_id}

    error =
      with :keep <- error do
        case Native.notes(loop.ref, key) do
          [%{last_error: last}] -> last
          [] -> nil
        end
      end

    state = %{pid: self(), running: running, current_event_id: event_id, last_error: error}
    Native.note(loop.ref, key, Map.put(state, :worker_id, loop.worker_id))
  end

  # ---- to the end

  @doc "Runs what is due until nothing is, or that many were claimed."
  def drain(loop, left, batch \\ @most) do
    case claim(loop, min(batch, left)) do
      [] -> []
      jobs -> run_jobs(loop, jobs) ++ more(loop, left(left, jobs), batch)
    end
  end

  defp more(_loop, 0, _batch), do: []
  defp more(loop, left, batch), do: drain(loop, left, batch)

  def once(loop) do
    case claim(loop, 1) do
      [] -> nil
      jobs -> jobs |> then(&run_jobs(loop, &1)) |> List.first(:again) |> again(loop)
    end
  end

  # A job that was nothing to do any more does not count.
  defp again(:again, loop), do: once(loop)
  defp again(event_id, _loop), do: event_id

  def left(:infinity, _jobs), do: :infinity
  def left(left, jobs), do: left - length(jobs)

  @doc "Runs in the calling process until the message `{KnockerSqlite, :stop}`; gives how many were recorded."
  def run(loop), do: run(loop, loop.max_jobs, 0)

  defp run(_loop, 0, recorded), do: recorded

  defp run(loop, left, recorded) do
    receive do
      {KnockerSqlite, :stop} -> recorded
    after
      0 ->
        case claim(loop, left) do
          [] -> wait(loop, left, recorded)
          jobs -> run(loop, left(left, jobs), recorded + length(run_jobs(loop, jobs)))
        end
    end
  end

  defp wait(loop, left, recorded) do
    ref = sleep(loop)

    receive do
      {KnockerSqlite, :stop} ->
        _ = wake(loop, ref)
        recorded

      # Whoever closes the handle ends its workers.
      {^ref, {:error, :closed, _, _}} ->
        recorded

      {^ref, answer} ->
        if ok!(answer) == 2 and closed?(loop), do: recorded, else: run(loop, left, recorded)
    end
  end

  @doc "After a wait that was ended: whether that was by closing the handle."
  def closed?(loop), do: match?({:error, :closed, _, _}, Native.wake(loop.ref))
end
