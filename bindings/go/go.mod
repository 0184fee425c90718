module knockersqlite

go 1.19
