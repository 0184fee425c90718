# frozen_string_literal: true

# All tests, in one process: ruby -w test/all.rb

Dir[File.join(__dir__, "*_test.rb")].each { |file| require file }
