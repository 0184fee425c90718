# Starts ExUnit; each test has a file of its own, and waits by looking, never by sleeping for luck.
ExUnit.start(capture_log: true)
