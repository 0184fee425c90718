# The pages' code runs, from top to bottom, each page in a folder of its own.
defmodule KnockerSqlite.ReadmeTest do
  use ExUnit.Case
  import ExUnit.CaptureIO

  @here Path.expand("..", __DIR__)
  @pages Enum.filter(["README.md", "../../docs/elixir.md"], &File.exists?(Path.join(@here, &1)))

  for page <- @pages do
    @tag :tmp_dir
    test "#{page} runs", %{tmp_dir: folder} do
      text = File.read!(Path.join(@here, unquote(page)))
      blocks = Regex.scan(~r/^```elixir\n(.*?)^```$/ms, text, capture: :all_but_first)
      assert blocks != []

      said =
        capture_io(fn ->
          File.cd!(folder, fn -> Code.eval_string(Enum.join(List.flatten(blocks), "\n")) end)
        end)

      refute said =~ "error"
    end
  end
end
