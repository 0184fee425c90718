# Where the BEAM bites: killed processes, garbage, foreign terms, full schedulers, supervisors.
defmodule KnockerSqlite.LifetimeTest do
  use ExUnit.Case
  alias KnockerSqlite.{Error, Native, Tx}

  @moduletag :tmp_dir

  setup %{tmp_dir: folder} do
    path = Path.join(folder, "app.db")
    {:ok, w} = KnockerSqlite.open(path, synchronous: :normal)
    {:ok, _id} = KnockerSqlite.add_endpoint(w, %{name: "x"})
    on_exit(fn -> KnockerSqlite.close(w) end)
    %{w: w, path: path}
  end

  defp until(function), do: Enum.find(Stream.repeatedly(function), & &1)

  # A worker in a process of its own, which stands in its handler after a write.
  defp standing(w) do
    me = self()

    w =
      KnockerSqlite.register_handler(w, "x", fn _event, tx ->
        Tx.execute!(tx, "create table t(a)")
        send(me, {:standing, tx})
        receive(do: (:go -> :ok))
      end)

    KnockerSqlite.receive!(w, %{endpoint: "x"})
    pid = spawn(fn -> KnockerSqlite.run_worker(w, "stands", %{max_jobs: 1}) end)
    assert_receive {:standing, tx}, 5000
    {pid, tx}
  end

  test "a process killed in its handler rolls back, frees the writer, and no attempt is counted",
       %{w: w} do
    {pid, tx} = standing(w)
    Process.exit(pid, :kill)
    assert %{"status_code" => 204} = KnockerSqlite.receive!(w, %{endpoint: "x"})
    assert {:error, %Error{name: :sql}} = KnockerSqlite.read(w, "select * from t")
    assert {:error, %Error{name: :closed}} = Tx.execute(tx, "select 1")
    w = KnockerSqlite.register_handler(w, "x", fn _event, _tx -> :ok end)
    ran = until(fn -> with [] <- KnockerSqlite.drain!(w), do: nil end)
    assert 1 in ran or KnockerSqlite.drain!(w) == [1]
    assert KnockerSqlite.get_event!(w, 1)["attempt_count"] == 1
  end

  test "a handle with a handler is not closed", %{w: w} do
    {pid, _tx} = standing(w)
    assert {:error, %Error{name: :invalid_argument}} = KnockerSqlite.close(w)
    send(pid, :go)
    until(fn -> KnockerSqlite.get_event!(w, 1)["status"] == "handled" end)
  end

  test "receipts that fill the schedulers do not keep the handler from ending", %{w: w} do
    {pid, _tx} = standing(w)
    waiting = for _ <- 1..40, do: Task.async(fn -> KnockerSqlite.receive(w, %{endpoint: "x"}) end)
    # They wait for the writer, on every dirty IO scheduler.
    until(fn -> :erlang.statistics(:run_queue_lengths_all) |> List.last() > 0 end)
    send(pid, :go)
    for answer <- Task.await_many(waiting), do: assert({:ok, %{"status_code" => 204}} = answer)
    assert KnockerSqlite.get_event!(w, 1)["status"] == "handled"
  end

  test "a transaction is one process's at a time, and another may use it", %{w: w} do
    w =
      KnockerSqlite.register_handler(w, "x", fn _event, tx ->
        Task.await(Task.async(fn -> Tx.execute!(tx, "create table t(a)") end))
      end)

    KnockerSqlite.receive!(w, %{endpoint: "x"})
    assert KnockerSqlite.run_worker_once!(w) == 1
    assert KnockerSqlite.read!(w, "select * from t") == []
  end

  test "no wrong term ends the VM", %{w: w, path: path} do
    terms =
      [nil, 5, -1, 2 ** 70, 1.5, "", <<1::3>>, :x, [], [1 | 2], {}, %{}, %{a: 1}, self()] ++
        [make_ref(), fn -> 1 end, w.ref, path, String.duplicate("x", 100_000)]

    for {name, arity} <- Native.__info__(:functions),
        name not in [:load, :wait_apart, :settle_apart] do
      for term <- terms, first <- [w.ref, term] do
        arguments = Enum.take([first | List.duplicate(term, arity)], arity)

        # A close or a clock that succeeds is no misuse.
        unless name == :close and first == w.ref do
          answer =
            try do
              apply(Native, name, arguments)
            rescue
              ArgumentError -> :badarg
            end

          assert answer == :badarg or answer == :ok or is_list(answer) or is_tuple(answer)
        end
      end
    end

    assert :ok = KnockerSqlite.set_clock(w, nil)
    assert {:ok, _rows} = KnockerSqlite.stats(w)
  end

  test "handles and transactions that nobody closed are garbage, and end", %{path: path} do
    opened = fn ->
      {:ok, w} = KnockerSqlite.open(path)
      KnockerSqlite.add_endpoint!(w, %{name: "x"})
      KnockerSqlite.receive!(w, %{endpoint: "x"})
      {:ok, [job]} = Native.claim(w.ref, %{worker_id: "w", count: 1})
      {:ok, {work, _event}} = Native.work_begin(w.ref, job["job_id"], job["claim"])
      {:ok, _} = Native.execute(work, "create table garbage(a)", [])
    end

    for _ <- 1..5, do: fn -> spawn_monitor(opened) end |> then(& &1.()) |> wait_down()
    {:ok, w} = KnockerSqlite.open(path)
    assert KnockerSqlite.receive!(w, %{endpoint: "x"})["status_code"] == 204
    assert {:error, %Error{name: :sql}} = KnockerSqlite.read(w, "select * from garbage")
    assert :ok = KnockerSqlite.close(w)
    assert :ok = KnockerSqlite.close(w)
  end

  defp wait_down({_pid, monitor}), do: assert_receive({:DOWN, ^monitor, _, _, :normal}, 5000)

  test "the module may be loaded anew while its handles live", %{w: w} do
    :code.purge(Native)
    assert {:module, Native} = :code.load_file(Native)
    assert {:ok, %{"status_code" => 204}} = KnockerSqlite.receive(w, %{endpoint: "x"})
  end

  test "a handler that takes too long is killed, and that is its failure", %{w: w} do
    w =
      KnockerSqlite.register_handler(w, "x", fn _event, tx ->
        Tx.execute!(tx, "create table t(a)")
        Process.sleep(:infinity)
      end)

    KnockerSqlite.receive!(w, %{endpoint: "x"})
    assert KnockerSqlite.run_worker_once!(w, "w", handler_timeout_s: 0.05) == 1
    assert KnockerSqlite.get_event!(w, 1)["last_error"] =~ "longer than 0.05 s"
  end

  test "a worker hears of commits, sleeps without polling, and stops when told to", %{w: w} do
    me = self()
    w = KnockerSqlite.register_handler(w, "x", fn event, _tx -> send(me, event["id"]) end)
    task = Task.async(fn -> KnockerSqlite.run_worker(w, "w") end)
    until(fn -> match?([%{"running" => true}], KnockerSqlite.worker_states(w)) end)
    id = KnockerSqlite.receive!(w, %{endpoint: "x"})["event_id"]
    assert_receive ^id, 900
    KnockerSqlite.stop_worker(task.pid)
    assert Task.await(task) == {:ok, 1}
    assert [%{"running" => false, "worker_id" => "w"}] = KnockerSqlite.worker_states(w)
  end

  test "closing the handle ends its idle workers", %{w: w} do
    task = Task.async(fn -> KnockerSqlite.run_worker(w, "w") end)
    until(fn -> match?([%{"running" => true}], KnockerSqlite.worker_states(w)) end)
    assert :ok = KnockerSqlite.close(w)
    assert elem(Task.await(task), 0) in [:ok, :error]
  end

  test "a supervised worker works, is restarted when killed, and stops with its supervisor", %{
    w: w
  } do
    me = self()

    w =
      KnockerSqlite.register_handler(w, "x", fn event, tx ->
        Tx.execute!(tx, "select 1")
        send(me, {event["id"], event["event_type"], self()})
        if event["event_type"] == "stand", do: receive(do: (:go -> :ok))
      end)

    {:ok, supervisor} =
      Supervisor.start_link([{KnockerSqlite.Worker, webhooks: w, id: "w"}], strategy: :one_for_one)

    KnockerSqlite.receive!(w, %{endpoint: "x", event_type: "stand"})
    assert_receive {1, "stand", killed}, 5000
    Process.exit(killed, :kill)
    assert_receive {1, "stand", second}, 5000
    assert second != killed
    send(second, :go)
    KnockerSqlite.receive!(w, %{endpoint: "x", event_type: "go"})
    assert_receive {2, "go", ^second}, 5000
    assert :ok = Supervisor.stop(supervisor)
    assert KnockerSqlite.get_event!(w, 1)["attempt_count"] == 1
    assert [%{"running" => false}] = KnockerSqlite.worker_states(w)
  end

  test "memory stays flat over 100,000 receipts and many handled events", %{w: w} do
    w = KnockerSqlite.register_handler(w, "x", fn _event, tx -> Tx.query!(tx, "select 1") end)
    many = List.duplicate(%{endpoint: "x", body: String.duplicate("b", 100)}, 1000)
    round = fn -> KnockerSqlite.receive_many!(w, many) end
    work = fn -> KnockerSqlite.drain!(w, "w", max_jobs: 1000) end
    for _ <- 1..10, do: {round.(), work.()}
    before = resident()
    for _ <- 1..10, do: {round.(), work.()}
    for _ <- 1..80, do: round.()
    :erlang.garbage_collect()
    assert resident() - before < 60_000
  end

  # In KiB.
  defp resident do
    [_, kib] = Regex.run(~r/VmRSS:\s+(\d+)/, File.read!("/proc/self/status"))
    String.to_integer(kib)
  end
end
