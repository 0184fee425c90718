# frozen_string_literal: true

module KnockerSqlite
  # One endpoint of a handle: +handle+ registers its handlers, +receive+ takes its requests.
  class Endpoint
    attr_reader :name

    def initialize(database, name)
      @database = database
      @name = name
    end

    # Registers the block for this event type, or for all that have none of their own.
    def handle(event_type = nil, &)
      @database.register_handler(name, event_type:, &)
    end

    # As Database#receive, for this endpoint.
    def receive(**request)
      @database.receive(endpoint: name, **request)
    end

    def inspect
      "#<KnockerSqlite::Endpoint #{name.inspect}>"
    end
  end
end
