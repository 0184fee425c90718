defmodule KnockerSqlite.Twin do
  @moduledoc false
  # `twin get_event!(w :: t, id :: integer) :: row` defines the twin of get_event/2 that raises.

  defmacro twin({:"::", _, [{name, _, typed}, result]}) do
    arguments = for {:"::", _, [argument, _type]} <- typed, do: argument
    types = for {:"::", _, [_argument, type]} <- typed, do: type
    plain = name |> Atom.to_string() |> String.trim_trailing("!") |> String.to_atom()

    quote do
      @doc "As `#{unquote(plain)}/#{unquote(length(arguments))}`, but raises `KnockerSqlite.Error`."
      @spec unquote(name)(unquote_splicing(types)) :: unquote(result)
      def unquote(name)(unquote_splicing(arguments)),
        do: KnockerSqlite.Twin.unwrap(unquote(plain)(unquote_splicing(arguments)))
    end
  end

  def unwrap(:ok), do: :ok
  def unwrap({:ok, value}), do: value
  def unwrap({:error, error}), do: raise(error)
end
