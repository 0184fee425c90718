defmodule KnockerSqlite.Worker do
  @moduledoc """
  A worker for a supervision tree.

      children = [
        {KnockerSqlite.Worker, webhooks: webhooks, id: "worker-1", max_jobs: nil}
      ]

  `webhooks` is the open handle with its handlers; `id`, `name` (of the process) and the options of
  `KnockerSqlite.run_worker/3` may be given. When its supervisor shuts it down it finishes the handler
  in hand and the jobs it has claimed, ten at most, for which `shutdown` (30 s) gives it time. Killed
  in a handler, that handler's writes are rolled back, and its event is due again at once.

  It ends normally, and is not restarted, when `max_jobs` were claimed or the handle was closed.
  """
  use GenServer
  alias KnockerSqlite.{Error, Loop}

  @doc false
  def child_spec(options) do
    %{
      id: {__MODULE__, options[:id]},
      start: {__MODULE__, :start_link, [options]},
      restart: :transient,
      shutdown: 30_000
    }
  end

  @doc "Starts a worker."
  @spec start_link(keyword) :: GenServer.on_start()
  def start_link(options) do
    {process, options} = Keyword.split(options, [:name])
    GenServer.start_link(__MODULE__, options, process)
  end

  @doc "Ends a worker, after it has finished what it holds."
  @spec stop(GenServer.server(), timeout) :: :ok
  def stop(worker, timeout \\ :infinity), do: GenServer.stop(worker, :normal, timeout)

  @impl true
  def init(options) do
    Process.flag(:trap_exit, true)
    {%KnockerSqlite{} = webhooks, options} = Keyword.pop!(options, :webhooks)
    {id, options} = Keyword.pop(options, :id)
    loop = Loop.new(webhooks, id, options)
    Loop.state(loop, true, nil)
    send(self(), :claim)
    {:ok, %{loop: loop, left: loop.max_jobs, waits: nil}}
  rescue
    error in Error -> {:stop, error}
  end

  # One batch a message: between two, messages of its supervisor are heard.
  @impl true
  def handle_info(:claim, %{left: 0} = state), do: {:stop, :normal, state}

  def handle_info(:claim, %{loop: loop} = state) do
    case Loop.claim(loop, state.left) do
      [] ->
        {:noreply, %{state | waits: Loop.sleep(loop)}}

      jobs ->
        _ = Loop.run_jobs(loop, jobs)
        send(self(), :claim)
        {:noreply, %{state | left: Loop.left(state.left, jobs)}}
    end
  rescue
    error in Error -> {:stop, failed(loop, error), state}
  end

  def handle_info({ref, {:ok, code}}, %{waits: ref, loop: loop} = state) do
    if code == 2 and Loop.closed?(loop) do
      {:stop, :normal, state}
    else
      send(self(), :claim)
      {:noreply, %{state | waits: nil}}
    end
  end

  def handle_info({ref, {:error, :closed, _, _}}, %{waits: ref} = state),
    do: {:stop, :normal, state}

  def handle_info({ref, failure}, %{waits: ref} = state) do
    {:error, error} = Error.wrap(failure)
    {:stop, failed(state.loop, error), state}
  end

  def handle_info({KnockerSqlite, :stop}, state), do: {:stop, :normal, state}
  def handle_info(_other, state), do: {:noreply, state}

  @impl true
  def terminate(reason, %{loop: loop, waits: waits}) do
    if waits && reason != :normal, do: Loop.wake(loop, waits)
    Loop.state(loop, false, nil)
  end

  defp failed(loop, error) do
    Loop.state(loop, true, nil, error.message)
    loop.on_error && loop.on_error.(error)
    {:shutdown, error}
  end
end
