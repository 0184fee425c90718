// The same for `import`, with the same classes.

import knocker from "./index.js";

export const {
  KnockerError, InvalidArgument, UnknownEndpoint, UnknownEvent, UnknownDelivery, WrongStatus, Busy,
  StorageError, CorruptError, Closed, LeaseLost, SqlError, RetryAfter, Ignore, Dead, Endpoint,
  KnockerSqlite, Provider, ProviderRequest, ProviderResult, diagnose, sign, verify, version,
} = knocker;

export default knocker;
