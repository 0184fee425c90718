# What a user of the face meets: results, errors, values, the printed samples. Rules of the product are
# the conformance suite's business.
defmodule KnockerSqlite.DocTest do
  use ExUnit.Case, async: true
  doctest KnockerSqlite
end

defmodule KnockerSqliteTest do
  use ExUnit.Case, async: true
  alias KnockerSqlite.{Error, ProviderRequest, Tx}

  @moduletag :tmp_dir

  setup %{tmp_dir: folder} do
    {:ok, w} = KnockerSqlite.open(Path.join(folder, "app.db"), synchronous: :normal)
    {:ok, _id} = KnockerSqlite.add_endpoint(w, %{name: "x"})
    on_exit(fn -> KnockerSqlite.close(w) end)
    %{w: w}
  end

  defp receive!(w, more \\ %{}), do: KnockerSqlite.receive!(w, Map.merge(%{endpoint: "x"}, more))

  test "the printed route runs, with what Plug gives", %{w: w} do
    {:ok, _} =
      KnockerSqlite.add_endpoint(w, %{
        name: "provider",
        provider: "token-header",
        secrets: ["dev-secret"]
      })

    for query <- [nil, %{__struct__: Plug.Conn.Unfetched, aspect: :query_params}, %{}, "a=1"] do
      {:ok, result} =
        KnockerSqlite.receive(w, %{
          endpoint: "provider",
          provider: "token-header",
          secrets: ["dev-secret"],
          body: "{}",
          headers: Map.new([{"x-webhook-token", "dev-secret"}]),
          query: query
        })

      assert result["status_code"] in [204, 401]
      assert is_integer(result["delivery_id"])
    end
  end

  test "the printed handler runs", %{w: w} do
    KnockerSqlite.add_endpoint!(w, %{name: "stripe", provider: "stripe", secrets: ["whsec_1"]})

    webhooks =
      KnockerSqlite.register_handler(w, "stripe", "invoice.created", fn event, tx ->
        Tx.execute!(tx, "create table invoices(body)")
        Tx.execute!(tx, "insert into invoices values (?)", [event["body_blob"]])
      end)

    body = ~s({"id":"evt_1","type":"invoice.created"})
    headers = KnockerSqlite.sign!(provider: "stripe", secrets: ["whsec_1"], body: body)
    request = %{endpoint: "stripe", body: body, headers: headers}

    assert {:ok, %{"status_code" => 204, "duplicate" => false}} =
             KnockerSqlite.receive(w, request)

    assert {:ok, %{"status_code" => 204, "duplicate" => true}} = KnockerSqlite.receive(w, request)
    assert {:ok, 1} = KnockerSqlite.run_worker(webhooks, "w", %{max_jobs: 1})
    assert {:ok, [%{"body" => ^body}]} = KnockerSqlite.read(w, "select * from invoices")
    assert {:ok, %{"status" => "handled"}} = KnockerSqlite.get_event(w, 1)
  end

  test "values of all types come back as they went", %{w: w} do
    values = [
      nil,
      9_007_199_254_740_993,
      -0x8000000000000000,
      1.5,
      "a\0ü🐘",
      {:blob, <<0, 255>>},
      true
    ]

    me = self()

    w =
      KnockerSqlite.register_handler(w, "x", fn _event, tx ->
        sql = "select " <> Enum.map_join(1..length(values), ", ", &"? as c#{&1}")
        [row] = Tx.query!(tx, sql, values)
        [types] = Tx.query!(tx, "select typeof(?) as t, typeof(?) as b", ["x", {:blob, "x"}])
        infinite = Tx.query!(tx, "select 9e999 as i, -9e999 as n")
        wrong = [Tx.query(tx, "select ?", [<<255>>]), Tx.query(tx, "select ?", [2 ** 64])]
        send(me, {row, types, infinite, wrong, Tx.query(tx, "select ?", [self()])})
      end)

    receive!(w)
    KnockerSqlite.run_worker_once!(w)
    assert_received {row, types, infinite, wrong, of_pid}
    assert types == %{"t" => "text", "b" => "blob"}
    assert infinite == [%{"i" => :infinity, "n" => :neg_infinity}]
    back = Enum.map(1..7, &row["c#{&1}"])
    assert back == [nil, 9_007_199_254_740_993, -0x8000000000000000, 1.5, "a\0ü🐘", <<0, 255>>, 1]
    for answer <- [of_pid | wrong], do: assert({:error, %Error{name: :invalid_argument}} = answer)
  end

  test "what a handler returns, throws and exits with is its outcome", %{w: w} do
    cases = [
      {fn -> :anything end, "handled"},
      {fn -> {:error, "no"} end, "failed"},
      {fn -> :error end, "failed"},
      {fn -> raise "boom" end, "failed"},
      {fn -> throw(:ball) end, "failed"},
      {fn -> exit(:gone) end, "failed"},
      {fn -> Task.async(fn -> 1 end) end, "failed"},
      {fn -> {:ignore, "not ours"} end, "ignored"},
      {fn -> throw({:dead, "never"}) end, "dead"},
      {fn -> {:retry_after, 60, "later"} end, "received"},
      {fn -> {:retry_after, -1} end, "failed"}
    ]

    for {function, status} <- cases do
      with_handler = KnockerSqlite.register_handler(w, "x", fn _event, _tx -> function.() end)
      id = receive!(w)["event_id"]
      KnockerSqlite.run_worker_once!(with_handler)
      assert {status, KnockerSqlite.get_event!(w, id)["status"]} == {status, status}
    end
  end

  test "a failed handler leaves nothing, and the event says why", %{w: w} do
    w =
      KnockerSqlite.register_handler(w, "x", fn _event, tx ->
        Tx.execute!(tx, "create table t(a)")
        raise ArgumentError, "no such customer"
      end)

    receive!(w)
    KnockerSqlite.drain!(w)
    assert {:error, %Error{name: :sql}} = KnockerSqlite.read(w, "select * from t")
    assert KnockerSqlite.get_event!(w, 1)["last_error"] == "ArgumentError: no such customer"
  end

  test "inside a handler the handle is refused, and after it the tx", %{w: w} do
    me = self()

    w =
      KnockerSqlite.register_handler(w, "x", fn _event, tx ->
        send(me, {KnockerSqlite.stats(w), KnockerSqlite.close(w), tx})
        Tx.receive!(tx, %{endpoint: "x", event_type: "more"})
      end)

    receive!(w)
    assert KnockerSqlite.run_worker_once!(w) == 1
    assert_received {{:error, %Error{name: :invalid_argument, message: text}}, refused, tx}
    assert text =~ "use tx"
    assert {:error, %Error{name: :invalid_argument}} = refused
    assert {:error, %Error{name: :closed}} = Tx.execute(tx, "select 1")
    assert [%{"event_type" => "more"}, _first] = KnockerSqlite.list_events!(w)
  end

  test "mistakes in a call are errors that name them, and raise in the twin", %{w: w} do
    request = %{endpoint: "x"}

    for {wrong, word} <- [
          {%{body: %{"a" => 1}}, "raw bytes"},
          {%{body: ["{}"]}, "raw bytes"},
          {%{headers: 5}, "headers"},
          {%{headers: %{"a" => "b\nc: d"}}, "line break"},
          {%{query: 5}, "query"},
          {%{secrets: "s3cret"}, "secrets"},
          {%{max_attempts: 0}, "max_attempts"},
          {%{event_type: 5}, "event_type"},
          {%{bodi: ""}, ":bodi"}
        ] do
      assert {:error, %Error{name: :invalid_argument} = error} =
               KnockerSqlite.receive(w, Map.merge(request, wrong))

      assert error.message =~ word
      refute error.message =~ "s3cret"
    end

    assert {:error, %Error{name: :unknown_endpoint}} = KnockerSqlite.receive(w, %{endpoint: "y"})
    assert {:error, %Error{name: :unknown_event, code: -3}} = KnockerSqlite.get_event(w, 99)
    assert_raise Error, fn -> KnockerSqlite.get_event!(w, 99) end
    assert_raise Error, fn -> KnockerSqlite.register_handler(w, "x", fn -> :ok end) end
    assert {:error, %Error{name: :invalid_argument}} = KnockerSqlite.open(nil)
    assert {:error, %Error{name: :storage}} = KnockerSqlite.open("/nowhere/at/all.db")
  end

  test "a bad request fails alone among many", %{w: w} do
    requests = [%{endpoint: "x"}, %{endpoint: "y"}, %{endpoint: "x", body: %{}}, %{endpoint: 5}]

    assert [{:ok, %{"status_code" => 204}}, {:error, unknown}, {:error, parsed}, {:error, number}] =
             KnockerSqlite.receive_many!(w, requests)

    assert unknown.name == :unknown_endpoint
    assert {parsed.name, number.name} == {:invalid_argument, :invalid_argument}
  end

  test "headers and query are kept as they came", %{w: w} do
    headers = [{"a", "1"}, {"a", "2"}, {"Authorization", "s3cret"}, {"u", "ü"}]

    id =
      receive!(w, %{headers: headers, query: %{"q" => ["1", "2"], "n" => %{"m" => "a b"}}})[
        "event_id"
      ]

    event = KnockerSqlite.get_event!(w, id)
    assert event["headers"]["a"] == ["1", "2"]
    assert event["headers"]["Authorization"] == "[redacted]"
    assert event["query"] == %{"q" => ["1", "2"], "n[m]" => "a b"}
  end

  defmodule Acme do
    @behaviour KnockerSqlite.Provider
    def name, do: "acme"
    def requires_secrets?, do: true
    def option_keys, do: [:strict]

    def verify(request, secrets, options) do
      if options[:strict] == :raise, do: raise("bad #{hd(secrets)}")

      if ProviderRequest.header(request, "x-acme-token") in secrets,
        do: {:ok, %{event_type: "made"}},
        else: {:error, "wrong token"}
    end
  end

  test "a module may be the provider", %{w: w} do
    endpoint = %{name: "acme", provider: Acme, secrets: ["t0ken"]}
    KnockerSqlite.add_endpoint!(w, endpoint)
    good = %{endpoint: "acme", headers: %{"X-Acme-Token" => "t0ken"}}
    assert KnockerSqlite.receive!(w, good)["status_code"] == 204
    assert KnockerSqlite.receive!(w, %{endpoint: "acme"})["status_code"] == 401
    assert [%{"event_type" => "made"}] = KnockerSqlite.list_events!(w)
    KnockerSqlite.add_endpoint!(w, Map.put(endpoint, :provider_options, %{strict: :raise}))
    id = KnockerSqlite.receive!(w, good)["delivery_id"]
    error = KnockerSqlite.get_delivery!(w, id)["signature_error"]
    assert error =~ "acme failed" and not (error =~ "t0ken")

    for wrong <- [%{secrets: []}, %{provider_options: %{lax: 1}}, %{provider: String}] do
      assert {:error, %Error{name: :invalid_argument}} =
               KnockerSqlite.add_endpoint(w, Map.merge(endpoint, wrong))
    end
  end

  test "a key function gives the id", %{w: w} do
    key = &ProviderRequest.header(&1, "x-id")
    KnockerSqlite.add_endpoint!(w, %{name: "keyed", event_key: key})
    request = %{endpoint: "keyed", headers: %{"X-Id" => "7"}}
    refute KnockerSqlite.receive!(w, request)["duplicate"]
    assert KnockerSqlite.receive!(w, request)["duplicate"]
  end

  test "the clock stands where it is set", %{w: w} do
    assert :ok = KnockerSqlite.set_clock(w, 1_700_000_000)
    assert KnockerSqlite.get_event!(w, receive!(w)["event_id"])["received_at"] == 1_700_000_000
    assert :ok = KnockerSqlite.set_clock(w, nil)
  end

  test "retention prunes, and stops when it is told to", %{w: w} do
    assert {:error, %Error{}} = KnockerSqlite.run_retention(w, %{interval_s: 1})
    policy = %{interval_s: 3600, event_older_than_s: 1}
    task = Task.async(fn -> KnockerSqlite.run_retention(w, policy) end)
    Enum.find(Stream.repeatedly(fn -> KnockerSqlite.list_prune_audits!(w) end), &(&1 != []))
    KnockerSqlite.stop_worker(task.pid)
    assert Task.await(task) == :ok
  end
end
