# A webhook inbox behind an OTP HTTP listener: gen_tcp reads the raw body, `receive` judges and stores
# it, a supervised worker writes payments through its tx. It knows nothing of routers.
#
#     STRIPE_SECRET=whsec_123 elixir -pa '.../knocker_sqlite/ebin' inbox.exs payments.db 8000
defmodule Inbox do
  alias KnockerSqlite.Tx

  def main([path, port]) do
    {:ok, webhooks} = KnockerSqlite.open(path)
    secrets = [System.fetch_env!("STRIPE_SECRET")]
    KnockerSqlite.add_endpoint!(webhooks, %{name: "stripe", provider: "stripe", secrets: secrets})
    webhooks = KnockerSqlite.register_handler(webhooks, "stripe", &payment/2)

    {:ok, _supervisor} =
      Supervisor.start_link(
        [{KnockerSqlite.Worker, webhooks: webhooks, id: "worker-1"}],
        strategy: :one_for_one
      )

    options = [:binary, packet: :http_bin, active: false, reuseaddr: true, backlog: 128]
    {:ok, listener} = :gen_tcp.listen(String.to_integer(port), [{:ip, {127, 0, 0, 1}} | options])
    {:ok, port} = :inet.port(listener)
    IO.puts("listening on #{port}")
    accept(listener, webhooks)
  end

  # The handler: what it writes commits with the event's `handled`.
  defp payment(event, tx) do
    Tx.execute!(tx, "create table if not exists payments(event_id unique, kind, body)")

    Tx.execute!(tx, "insert into payments values (?, ?, ?)", [
      event["id"],
      event["event_type"],
      {:blob, event["body_blob"]}
    ])
  end

  defp accept(listener, webhooks) do
    {:ok, socket} = :gen_tcp.accept(listener)
    pid = spawn(fn -> receive(do: (:go -> serve(socket, webhooks))) end)
    :ok = :gen_tcp.controlling_process(socket, pid)
    send(pid, :go)
    accept(listener, webhooks)
  end

  # One request after another, as long as the sender keeps the connection.
  defp serve(socket, webhooks) do
    with {:ok, {:http_request, method, {:abs_path, target}, _version}} <-
           :gen_tcp.recv(socket, 0),
         {:ok, headers} <- headers(socket, []),
         {:ok, body} <- body(socket, headers) do
      respond(socket, route(webhooks, to_string(method), target, headers, body))
      :ok = :inet.setopts(socket, packet: :http_bin)
      serve(socket, webhooks)
    else
      _ended -> :gen_tcp.close(socket)
    end
  end

  defp headers(socket, read) do
    case :gen_tcp.recv(socket, 0) do
      {:ok, {:http_header, _, name, _, value}} ->
        headers(socket, [{to_string(name), value} | read])

      {:ok, :http_eoh} ->
        {:ok, Enum.reverse(read)}

      other ->
        other
    end
  end

  defp body(socket, headers) do
    sizes = for {name, value} <- headers, String.downcase(name) == "content-length", do: value

    case sizes do
      ["0"] -> {:ok, ""}
      [] -> {:ok, ""}
      [size | _] -> raw(socket, String.to_integer(size))
    end
  end

  defp raw(socket, size) do
    :ok = :inet.setopts(socket, packet: :raw)
    :gen_tcp.recv(socket, size, 30_000)
  end

  # The glue: raw body in, status, headers and body out. A storage error is the sender's to try again.
  defp route(webhooks, method, target, headers, body) do
    case String.split(target, "?", parts: 2) do
      ["/webhooks/stripe" | query] ->
        request = %{
          endpoint: "stripe",
          method: method,
          headers: headers,
          query: List.first(query),
          body: body
        }

        case KnockerSqlite.receive(webhooks, request) do
          {:ok, result} ->
            {result["status_code"], result["response_headers"], result["response_body"] || ""}

          {:error, _error} ->
            {503, %{}, ""}
        end

      _other ->
        {404, %{}, "not found"}
    end
  end

  defp respond(socket, {status, headers, body}) do
    headers = for {name, value} <- headers, do: [name, ": ", value, "\r\n"]
    length = if status == 204, do: "", else: "content-length: #{byte_size(body)}\r\n"
    :gen_tcp.send(socket, ["HTTP/1.1 #{status} Answer\r\n", headers, length, "\r\n", body])
  end
end

Inbox.main(System.argv())
