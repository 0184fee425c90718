defmodule KnockerSqlite.ProviderRequest do
  @moduledoc "A request as it was received, before anything is known of it."

  @enforce_keys [:method, :headers, :query, :body]
  defstruct [:method, :headers, :query, :body]

  @type t :: %__MODULE__{
          method: String.t(),
          headers: [{String.t(), binary}],
          query: binary,
          body: binary
        }

  @doc "The header of this name, in any case; several are joined by a comma."
  @spec header(t, String.t(), term) :: binary | term
  def header(%__MODULE__{headers: headers}, name, default \\ nil) do
    case for {one, value} <- headers, plain(one) == plain(name), do: value do
      [] -> default
      values -> Enum.join(values, ", ")
    end
  end

  defp plain("HTTP_" <> name), do: plain(name)
  defp plain(name), do: name |> String.replace("_", "-") |> String.downcase(:ascii)
end

defmodule KnockerSqlite.Provider do
  @moduledoc """
  A provider of the application's own, as a module: give it to `KnockerSqlite.add_endpoint/2`.

      defmodule Acme do
        @behaviour KnockerSqlite.Provider
        import KnockerSqlite.ProviderRequest

        def name, do: "acme"
        def requires_secrets?, do: true

        def verify(request, secrets, _options) do
          if header(request, "x-acme-token") in secrets,
            do: {:ok, %{event_type: header(request, "x-acme-event")}},
            else: {:error, "wrong token"}
        end
      end

  Ids that `verify` gives count as given by you: receipts with the same `provider_event_id` are one
  event. So give the id of the event, never the id of the object that it is about. What `verify`
  raises becomes a rejected receipt that says so.
  """
  alias KnockerSqlite.{Native, ProviderRequest, Request}
  require Logger

  @type ids :: %{
          optional(:event_type) => String.t() | nil,
          optional(:provider_event_id) => String.t() | integer | nil,
          optional(:provider_delivery_id) => String.t() | integer | nil
        }
  @type verdict :: :ok | {:ok, ids} | {:error, String.t()} | {:error, String.t(), ids}

  @callback name() :: String.t()
  @callback verify(ProviderRequest.t(), secrets :: [String.t()], options :: map) :: verdict
  @callback version() :: String.t()
  @callback option_keys() :: [atom | String.t()]
  @callback requires_secrets?() :: boolean
  @callback validate_options(map) :: :ok | {:error, String.t()}
  @optional_callbacks version: 0, option_keys: 0, requires_secrets?: 0, validate_options: 1

  @doc false
  # What an endpoint was registered with, kept with the handle, in this process's memory only.
  def registered(module, secrets, options) do
    (Code.ensure_loaded?(module) && function_exported?(module, :verify, 3)) ||
      Request.invalid!("provider #{inspect(module)} has no verify/3")

    name = module.name()
    _ = Request.texts_json("secrets", secrets)
    secrets = secrets || []
    options = options || %{}
    given = fn what, default -> ask(module, what, default) end

    cond do
      given.(:requires_secrets?, false) and (secrets == [] or "" in secrets) ->
        Request.invalid!("provider #{inspect(name)} requires secrets")

      unknown = Enum.find(Map.keys(options), &(&1 not in given.(:option_keys, []))) ->
        Request.invalid!("provider #{inspect(name)} has no option #{inspect(unknown)}")

      true ->
        validate(module, options)
        {module, secrets, options}
    end
  end

  defp ask(module, function, default),
    do:
      if(function_exported?(module, function, 0), do: apply(module, function, []), else: default)

  defp validate(module, options) do
    with true <- function_exported?(module, :validate_options, 1),
         {:error, text} <- module.validate_options(options) do
      Request.invalid!(text)
    end
  end

  @doc false
  # A request for C, with what the application's functions say of it.
  def members(ref, request) do
    members = Request.receive_members(request)

    case Native.notes(ref, {:endpoint, members.endpoint}) do
      [{provider, keys}] -> seen(members, Map.new(request), provider, keys)
      _none -> members
    end
  end

  defp seen(members, request, provider, keys) do
    seen = %ProviderRequest{
      method: members.method || "POST",
      headers: Request.header_pairs(request[:headers]),
      query: members.query || "",
      body: members.body || ""
    }

    members = Enum.reduce(keys, members, &read_key(&1, &2, seen))

    if provider && not is_map_key(members, :verdict),
      do: Map.merge(members, judge(provider, seen)),
      else: members
  end

  # One that fails reads nothing: no receipt may be lost by it.
  defp read_key({member, function}, members, seen) do
    if members[member], do: members, else: Map.put(members, member, Request.id(function.(seen)))
  rescue
    error ->
      Logger.warning("a key function failed: " <> Exception.message(error))
      members
  end

  # A request may be anything, and none may be lost.
  defp judge({module, secrets, options}, seen) do
    seen |> module.verify(secrets, options) |> Request.verdict()
  rescue
    error -> rejected(module, secrets, Exception.message(error))
  catch
    kind, reason -> rejected(module, secrets, Exception.format_banner(kind, reason))
  end

  defp rejected(module, secrets, text) do
    text = "#{module.name()} failed: #{text}"
    secrets = Enum.reject(secrets, &(&1 == ""))
    Request.verdict({:error, Enum.reduce(secrets, text, &String.replace(&2, &1, "[secret]"))})
  end
end
