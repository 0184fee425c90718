# frozen_string_literal: true

# The signatures name what there is, and nothing else. Whether they are true is asked by types.sh.

require_relative "helper"
require "rbs"

class SignaturesTest < KnockerTest
  # What is public for the sake of the other files.
  WITHIN = { KnockerSqlite::RetentionPolicy => [:run], KnockerSqlite::ProviderResult => [:members] }.freeze
  WITHIN_CLASS = { KnockerSqlite::Tx => [:bound], KnockerSqlite::ProviderRequest => [:plain] }.freeze

  def declared
    loader = RBS::EnvironmentLoader.new
    loader.add(path: Pathname(File.expand_path("../sig", __dir__)))
    loader.add(library: "logger", version: nil)
    RBS::Environment.from_loader(loader).resolve_type_names.class_decls
                    .select { |name, _| name.to_s.start_with?("::KnockerSqlite") }
                    .to_h { |name, entry| [Object.const_get(name.to_s), members(entry)] }
  end

  def members(entry)
    entry.decls.flat_map { |one| one.decl.members }
  end

  def names(members, kind)
    found = members.select { |member| member.respond_to?(:kind) && member.kind == kind }
    found += members.grep(RBS::AST::Members::AttrReader) if kind == :instance
    found.map(&:name) - [:initialize]
  end

  def test_every_public_method_has_a_signature_and_every_signature_a_method
    declared.each do |kind, members|
      own = kind.public_instance_methods(false) - WITHIN.fetch(kind, []) - %i[inspect logger=]
      assert_equal own.sort, names(members, :instance).uniq.sort, "#{kind}'s methods"
      singleton = kind.singleton_class.public_instance_methods(false) - WITHIN_CLASS.fetch(kind, [])
      assert_equal singleton.sort, names(members, :singleton).uniq.sort, "#{kind}'s own methods"
    end
  end

  def test_every_public_constant_has_a_signature
    there = KnockerSqlite.constants.map { |name| KnockerSqlite.const_get(name) }.grep(Module) - [KnockerSqlite::Native]
    assert_equal there.map(&:to_s).sort, (declared.keys - [KnockerSqlite]).map(&:to_s).sort
  end
end
