# frozen_string_literal: true

# Checking and signing without any file: the same tables verify a request and emulate its sender.
module KnockerSqlite
  class << self
    # Checks a request against a built-in provider or a scheme. +now+ is the system's clock by default.
    def verify(provider, now: nil, **request)
      Rows.one(Native.knocker_verify(bare(provider, **request), Arguments.milliseconds("now", now) || 0).first)
    end

    # What would have made a request valid, likeliest first. +others+ are further secrets to be tried,
    # by the names that the sentences give them. A "cause" of nil says that no known mistake explains it.
    def diagnose(provider, others: nil, now: nil, **request)
      Native.knocker_diagnose(bare(provider, **request), Arguments.object_json("others", others),
                              Arguments.milliseconds("now", now) || 0)
    end

    # The headers that the provider would send with this request, signed with the first secret.
    def sign(provider, now: nil, **request)
      Native.knocker_sign(bare(provider, **request), Arguments.milliseconds("now", now) || 0)
            .to_h { |row| row.values_at("name", "value") }
    end

    private

    def bare(provider, secrets: nil, body: nil, headers: nil, query: nil, method: "POST", options: nil)
      Requests.http(body, headers, query, method).merge!(Arguments.provider_members(provider, secrets, options))
    end
  end
end
