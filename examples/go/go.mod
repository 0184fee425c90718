module example

go 1.19

require knockersqlite v0.0.0

replace knockersqlite => ../../bindings/go
