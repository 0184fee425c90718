# frozen_string_literal: true

# The gem, which compiles at installation; with KNOCKER_PREBUILT set the gem of this platform, which
# carries the extension. package.sh builds both, after build.sh has made native/build.

prebuilt = ENV.key?("KNOCKER_PREBUILT")

Gem::Specification.new do |spec|
  spec.name = "knocker_sqlite"
  spec.version = File.read(File.expand_path("../../VERSION", __dir__)).strip
  spec.summary = "A durable webhook inbox inside an application's own SQLite file"
  spec.description = "Receives, verifies, deduplicates and queues webhooks in one commit, and runs their handlers " \
                     "in the transaction of what they write."
  spec.authors = ["The authors of Knocker"]
  spec.license = "Apache-2.0"
  spec.files = Dir["lib/**/*.rb", "sig/*.rbs", "README.md", "native/build/LICENSE", base: __dir__]
  spec.metadata["rubygems_mfa_required"] = "true"
  spec.required_ruby_version = ">= 3.1"
  if prebuilt
    spec.platform = Gem::Platform.local
    spec.required_ruby_version = "~> #{Gem.ruby_api_version}" # an extension is of one series
    spec.files += Dir["lib/knocker_sqlite/*/native.so", base: __dir__]
  else
    spec.extensions = ["native/extconf.rb"]
    spec.files += Dir["native/*.{h,rb}", "native/build/{knocker.c,knocker.h,wrap.cc}", base: __dir__]
  end
end
