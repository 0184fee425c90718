defmodule KnockerSqlite.Telemetry do
  @moduledoc false
  # Events for :telemetry, where the application has it loaded; nothing where not.
  @compile {:no_warn_undefined, :telemetry}

  @doc "Runs the function and tells how long it took, with what `metadata` makes of its result."
  def span(event, metadata, function) do
    if function_exported?(:telemetry, :execute, 3) do
      started = System.monotonic_time()
      result = function.()
      duration = System.monotonic_time() - started

      :telemetry.execute(
        [:knocker_sqlite, event, :stop],
        %{duration: duration},
        metadata.(result)
      )

      result
    else
      function.()
    end
  end
end
