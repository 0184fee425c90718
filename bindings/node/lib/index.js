"use strict";

// Knocker: a durable webhook inbox inside an application's own SQLite file. What the package exports
// stands here, and nothing else.

const native = require("#native");
const { errorOf, ...errors } = require("./errors");
const { Endpoint, KnockerSqlite } = require("./inbox");
const { Provider, ProviderRequest, ProviderResult } = require("./provider");
const { diagnose, sign, verify } = require("./pure");

const version = native.version();

module.exports = {
  ...errors, Endpoint, KnockerSqlite, Provider, ProviderRequest, ProviderResult, diagnose, sign,
  verify, version,
};
