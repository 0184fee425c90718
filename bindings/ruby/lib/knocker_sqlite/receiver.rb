# frozen_string_literal: true

module KnockerSqlite
  # Receiving, through a handle and through a handler's transaction alike.
  module Receiver
    # Verifies, stores, deduplicates and queues a request in one commit: endpoint, body, headers,
    # query, method, and what is to win over the scheme's reading. A rejected request is a result.
    # In a handler it is part of the transaction.
    def receive(**request)
      Rows.one(receive_members(@registry.members(request)).first)
    end

    # The trusted door: the caller states +signature_valid+; nil is "not checked".
    def ingest(**request)
      Rows.one(ingest_members(Requests.ingest(**request)).first)
    end
  end
end
