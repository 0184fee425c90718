# frozen_string_literal: true

module KnockerSqlite
  # The operators' half of a handle: looking at rows, and acting on events. Each is one call of
  # knocker.h.
  module Operators
    # -- looking

    def get_event(event_id)
      Rows.one(Native.knocker_get(@handle, Native::KNOCKER_EVENT, event_id).first)
    end

    def get_delivery(delivery_id)
      Rows.one(Native.knocker_get(@handle, Native::KNOCKER_DELIVERY, delivery_id).first)
    end

    # Newest first, at most +limit+ (100); +before_id+ gives the next page.
    def list_events(status: nil, endpoint: nil, event_type: nil, **page)
      list(Native::KNOCKER_EVENT, page, status:, endpoint:, event_type:)
    end

    # Newest first. +signature_valid: false+ is "not true": also those that nobody checked.
    def list_deliveries(event_id: nil, endpoint: nil, event_type: nil, signature_valid: nil, orphaned: nil, **page)
      list(Native::KNOCKER_DELIVERY, page,
           event_id: Arguments.count("event_id", event_id), endpoint:, event_type:,
           signature_valid: Arguments.choice(signature_valid), orphaned: Arguments.choice(orphaned))
    end

    # The runs of handlers: of the newest event first, and of each the last first.
    def list_attempts(event_id = nil, limit: nil, before_id: nil)
      list(Native::KNOCKER_ATTEMPT, { limit:, before_id: },
           event_id: Arguments.count("event_id", event_id))
    end

    # What is queued, as it comes due.
    def list_jobs(endpoint: nil, limit: nil)
      list(Native::KNOCKER_JOB, { limit: }, endpoint:)
    end

    # The endpoints in the file, by name.
    def list_endpoints(**page)
      list(Native::KNOCKER_ENDPOINT, page)
    end

    # What was pruned when, newest first.
    def list_prune_audits(kind: nil, **page)
      list(Native::KNOCKER_AUDIT, page, audit_kind: kind)
    end

    # A query of the application's own, outside any transaction: it sees what is committed.
    def read(sql, *values)
      Native.knocker_read(@handle, sql, Tx.bound(values))
    end

    # Why an event is where it is: a "sentence" for people, a "cause" for programs.
    def why(event_id)
      Rows.one(Native.knocker_why(@handle, event_id).first)
    end

    # What would have made a stored delivery valid when it came, likeliest first. What is not given is
    # that of its endpoint. The secrets of all endpoints registered here are tried, and +others+.
    def diagnose(delivery_id, provider: nil, secrets: nil, provider_options: nil, others: nil)
      by = Arguments.provider_members(provider, secrets, provider_options)
      Native.knocker_diagnose_delivery(@handle, delivery_id, by, Arguments.object_json("others", others))
    end

    # First all together (its "endpoint" is nil), then one an endpoint, by name.
    def stats
      Rows.many(Native.knocker_stats(@handle))
    end

    # The curated built-in providers and their versions.
    def provider_versions
      Native.knocker_providers.select { |row| row["curated"] == 1 }.to_h { |row| row.values_at("name", "version") }
    end

    # -- operating

    # Holds the handling of an endpoint's events, for all workers; receiving goes on.
    def pause(endpoint)
      Native.knocker_endpoint_pause(@handle, endpoint, 1)
    end

    # Handles the events of a paused endpoint again.
    def resume(endpoint)
      Native.knocker_endpoint_pause(@handle, endpoint, 0)
    end

    # The event's queued job will not call its handler.
    def ignore(event_id, reason = nil)
      Native.knocker_ignore(@handle, event_id, reason)
    end

    # Runs a finished or failed event's own body again.
    def replay(event_id)
      Native.knocker_replay(@handle, event_id)
    end

    # Queues an event that has no live job.
    def requeue(event_id)
      Native.knocker_requeue(@handle, event_id)
    end

    # Runs the event's handler with this delivery's body; the event's own stays.
    def replay_delivery(delivery_id)
      Native.knocker_replay_delivery(@handle, delivery_id)
    end

    # Verifies an endpoint's orphans again, and makes those that pass events. After a fix: with today's
    # secrets, as at the time each came, oldest first, at most +limit+ (100); the last row's
    # "delivery_id" as +after_id+ gives the next ones. The last three are for an endpoint that is
    # registered in another process.
    def reverify(endpoint, since: nil, limit: nil, after_id: nil, dry_run: false, provider: nil, secrets: nil,
                 provider_options: nil)
      by = Arguments.provider_members(provider, secrets, provider_options).merge!(endpoint:)
      Native.knocker_reverify(@handle, by, since || 0, Arguments.count("after_id", after_id) || 0,
                              Arguments.count("limit", limit) || 0, Arguments.flag(dry_run))
    end

    # Removes handled and ignored events received before +older_than+, oldest first.
    def prune_events(older_than:, statuses: nil, limit: nil, dry_run: false)
      statuses_json = Arguments.texts_json("statuses", statuses)
      members = prune(older_than, limit, dry_run).merge!(statuses_json:)
      Native.knocker_prune_events(@handle, members).first
    end

    # Removes rejected receipts from before +older_than+, oldest first.
    def prune_orphan_deliveries(older_than:, limit: nil, dry_run: false)
      Native.knocker_prune_orphan_deliveries(@handle, prune(older_than, limit, dry_run)).first
    end

    private

    def prune(older_than, limit, dry_run)
      { older_than_s: older_than, limit: Arguments.count("limit", limit), dry_run: Arguments.flag(dry_run) }
    end

    def list(kind, page, **filter)
      Rows.many(Native.knocker_list(@handle, { kind: }.merge!(filter, page_members(**page))))
    end

    def page_members(since: nil, limit: nil, before_id: nil)
      { since_s: since, limit: Arguments.count("limit", limit), before_id: Arguments.count("before_id", before_id) }
    end
  end
end
