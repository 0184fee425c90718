# How `mix format` lays out this project.
[
  inputs: ["{mix,.formatter,conformance,bench}.exs", "{lib,test}/**/*.{ex,exs}"],
  locals_without_parens: [twin: 1]
]
