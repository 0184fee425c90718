defmodule KnockerSqlite.Native do
  @moduledoc false
  # The calls of knocker.h as c_src/nif.c has them: {:ok, value} or {:error, name, code, text}.
  # Options are maps of atoms, rows lists of maps with string keys. Nothing is checked here.
  @on_load :load

  def load do
    :knocker_sqlite |> :code.priv_dir() |> Path.join("knocker_nif") |> load_from()
  end

  defp load_from(path) do
    :erlang.load_nif(String.to_charlist(path), :erlang.system_info(:dirty_cpu_schedulers))
  end

  calls = [
    open: 1,
    close: 1,
    note: 3,
    notes: 2,
    clock_set: 2,
    endpoint_add: 2,
    endpoint_pause: 3,
    providers: 0,
    receive: 2,
    receive_many: 2,
    ingest: 2,
    verify: 2,
    sign: 2,
    diagnose: 3,
    diagnose_delivery: 4,
    claim: 2,
    release: 3,
    wait_apart: 4,
    wake: 1,
    work_begin: 3,
    execute: 3,
    query: 3,
    work_receive: 2,
    work_ingest: 2,
    extend: 2,
    settle: 4,
    settle_begin: 4,
    settle_apart: 5,
    abandon: 1,
    read: 3,
    get: 3,
    list: 2,
    ignore: 3,
    replay: 2,
    requeue: 2,
    replay_delivery: 2,
    reverify: 6,
    why: 2,
    stats: 1,
    prune_events: 2,
    prune_orphan_deliveries: 2,
    retain: 2
  ]

  for {name, arity} <- calls do
    arguments = Macro.generate_arguments(arity, __MODULE__)

    def unquote(name)(unquote_splicing(arguments)) do
      _ = unquote(arguments)
      :erlang.nif_error(:not_loaded)
    end
  end
end
