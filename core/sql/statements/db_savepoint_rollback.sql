rollback to _knocker
