# The package and how its library is compiled: by `cc`, from the flattened core and the glue in
# c_src. Nothing is fetched.
defmodule Mix.Tasks.Compile.KnockerNif do
  @moduledoc "Compiles c_src into priv/knocker_nif.so, where a source is newer than what was made of it."
  use Mix.Task.Compiler

  @flags ~w(-std=c11 -D_GNU_SOURCE -O2 -fPIC -fvisibility=hidden)
  # Whatever else in the VM carries these names, this library uses its own; and it is never
  # unloaded, for threads of its own may be in it.
  @linked ~w(-shared -Wl,-Bsymbolic -Wl,-z,nodelete -lsqlite3 -lcrypto -lpthread -lm)

  @impl true
  def run(_arguments) do
    from_repository()
    made = Path.join(Mix.Project.app_path(), "priv/knocker_nif.so")
    objects = Enum.map(~w(knocker terms nif), &object/1)

    if Mix.Utils.stale?(objects, [made]) do
      File.mkdir_p!(Path.dirname(made))
      cc(["-o", made | objects] ++ @linked)
    end

    {:ok, []}
  end

  defp object(name) do
    made = Path.join(Mix.Project.app_path(), "c_obj/#{name}.o")
    headers = if name == "knocker", do: [], else: Path.wildcard("c_src/*.h")

    if Mix.Utils.stale?(["c_src/#{name}.c" | headers], [made]) do
      File.mkdir_p!(Path.dirname(made))
      include = Path.join([:code.root_dir(), "usr", "include"])
      cc(@flags ++ ["-I", include, "-c", "c_src/#{name}.c", "-o", made])
    end

    made
  end

  # In the repository the core comes from its build; a package carries it.
  defp from_repository do
    build = System.get_env("KNOCKER_BUILD", "../../build")

    for name <- ~w(knocker.c knocker.h), File.exists?("../../core/include/knocker.h") do
      from = Path.join(build, name)
      File.exists?(from) || Mix.raise("#{from} is missing: first ./run build")
      if Mix.Utils.stale?([from], ["c_src/#{name}"]), do: File.cp!(from, "c_src/#{name}")
    end
  end

  defp cc(arguments) do
    case System.cmd(System.get_env("CC", "cc"), arguments, stderr_to_stdout: true) do
      {said, 0} -> IO.write(said)
      {said, _} -> Mix.raise("the C compiler failed:\n#{said}")
    end
  end
end

defmodule KnockerSqlite.MixProject do
  use Mix.Project

  @version Enum.find(~w(VERSION ../../VERSION), &File.exists?/1) |> File.read!() |> String.trim()

  def project do
    [
      app: :knocker_sqlite,
      version: @version,
      elixir: "~> 1.14",
      description: "A durable webhook inbox inside your application's own SQLite file",
      compilers: [:knocker_nif | Mix.compilers()],
      start_permanent: Mix.env() == :prod,
      deps: [],
      package: [
        licenses: ["Apache-2.0"],
        files: ~w(lib mix.exs .formatter.exs README.md LICENSE VERSION c_src)
      ]
    ]
  end

  def application, do: [extra_applications: [:logger]]
end
