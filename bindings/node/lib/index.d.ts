// The types of what the package exports. Arguments are camelCase; rows have the names of the columns,
// and times in them are Unix seconds. An integer that a double would not hold is a bigint.

export type Integer = number | bigint;
export type Id = Integer;
/** What a parameter of a statement may be. */
export type Value = null | number | bigint | boolean | string | ArrayBufferView | ArrayBuffer;
export type Parameters = readonly Value[];
/** A row of the application's own query. */
export type Row = Record<string, null | number | bigint | string | Buffer>;
/** A declarative scheme: docs/schemes.md. */
export type Scheme = Readonly<Record<string, unknown>>;
export type Body = string | ArrayBufferView | ArrayBuffer | null | undefined;
type HeaderValue = string | readonly string[] | Uint8Array | undefined;
export type Headers =
  | Readonly<Record<string, HeaderValue>> | Iterable<readonly [string, HeaderValue]> | null | undefined;
export type Query = string | URLSearchParams | Readonly<Record<string, unknown>> | null | undefined;
export type Status = "received" | "processing" | "handled" | "failed" | "dead" | "ignored";

// -- opening

export interface OpenOptions {
  queueName?: string;
  visibilityTimeoutS?: number;
  maxAttempts?: number;
  maxReaders?: number;
  synchronous?: "full" | "normal";
  busyTimeoutMs?: number;
  /** 0 is no limit. */
  maxBodyBytes?: number;
  initSql?: string;
  backoffBaseS?: number;
  backoffCapS?: number;
  orphanBytes?: number;
  orphanRows?: number;
  settleFull?: boolean;
  /** A file without an inbox is a mistake: nothing is created. */
  existing?: boolean;
  /** For tests: a clock that stands at this second. */
  clock?: number;
  /** For tests: of the jitter. */
  seed?: number;
  /** Hears what there is to say about handlers; console.warn by default. */
  log?: (text: string, error?: unknown) => void;
}

export interface EndpointOptions {
  name: string;
  path?: string | null;
  provider?: string | Scheme | Provider | null;
  secrets?: Iterable<string> | null;
  providerOptions?: Readonly<Record<string, unknown>> | null;
  scheme?: Scheme | null;
  /** The application verifies by itself, and gives each receive a verdict. */
  external?: boolean;
  enabled?: boolean;
  queueName?: string | null;
  maxAttempts?: number | null;
  backoffBaseS?: number | null;
  backoffCapS?: number | null;
  deliveryKey?: (request: ProviderRequest) => string | Integer | null | undefined;
  eventKey?: (request: ProviderRequest) => string | Integer | null | undefined;
}

// -- receiving

interface Receipt {
  body?: Body;
  headers?: Headers;
  query?: Query;
  method?: string;
  eventType?: string | null;
  providerEventId?: string | null;
  providerDeliveryId?: string | null;
  dedupeKey?: string | null;
  queueName?: string | null;
  maxAttempts?: number | null;
}
export interface EndpointRequest extends Receipt {
  verdict?: ProviderResult | null;
  provider?: string | Scheme | null;
  secrets?: Iterable<string> | null;
  providerOptions?: Readonly<Record<string, unknown>> | null;
}
export interface Request extends EndpointRequest { endpoint: string }
export interface IngestRequest extends Receipt {
  endpoint: string;
  /** What the caller found; null is "not checked". */
  signatureValid: boolean | null;
  signatureError?: string | null;
}
/** What a receipt became; the route answers with its status, headers and body. */
export interface IngestResult {
  delivery_id: Id;
  event_id: Id | null;
  duplicate: boolean;
  status_code: number;
  response_headers: Record<string, string>;
  response_body: Buffer | null;
}

// -- rows

interface Identity {
  id: Id;
  endpoint: string;
  event_type: string | null;
  provider_event_id: string | null;
  provider_delivery_id: string | null;
  dedupe_key: string | null;
  headers: Record<string, string | string[]>;
  query: Record<string, string | string[]>;
  received_at: number;
}
/** The unit of work. Its body, headers and query are those of the delivery that created it. */
export interface Event extends Identity {
  status: Status;
  attempt_count: number;
  body_blob: Buffer;
  handled_at: number | null;
  last_error: string | null;
}
/** An event in its handler. */
export interface HandledEvent extends Event {
  /** The lease now ends `seconds` from now. */
  extend(seconds: number): void;
}
/** One HTTP receipt. Without an event it is an orphan, and `signature_error` says why. */
export interface Delivery extends Identity {
  event_id: Id | null;
  method: string;
  body_blob: Buffer | null;
  signature_valid: boolean | null;
  signature_error: string | null;
}
export interface Attempt {
  id: Id;
  event_id: Id;
  attempted_at: number;
  outcome: string;
  error: string | null;
  duration_ms: number | null;
}
export interface EndpointRow {
  id: Id;
  name: string;
  path: string | null;
  provider: string | null;
  enabled: boolean;
  paused: boolean;
  queue_name: string | null;
  created_at: number;
}
export interface Job {
  id: Id;
  queue_name: string;
  endpoint: string | null;
  event_id: Id;
  delivery_id: Id | null;
  due_at: number;
  worker_id: string | null;
  claims: number;
  payload: string | null;
}
export interface PruneEventsResult {
  events_pruned: number;
  attempts_pruned: number;
  deliveries_pruned: number;
  live_jobs_pruned: number;
}
export interface PruneDeliveriesResult { deliveries_pruned: number }
export interface PruneAudit extends PruneEventsResult {
  id: Id;
  kind: "prune_events" | "prune_orphan_deliveries";
  queue_name: string | null;
  executed_at: number;
  summary_json: string | null;
}
export interface Reverified {
  delivery_id: Id;
  outcome: "event" | "repeat" | "rejected" | "redacted" | "no_body";
  event_id: Id | null;
  signature_error: string;
  error: string | null;
}
/** Why an event is where it is: `sentence` for people, `cause` for programs. */
export interface Why {
  event_id: Id;
  status: Status;
  sentence: string;
  cause: string;
  due_at: number | null;
  worker_id: string | null;
  lease_until: number | null;
  attempt_count: number;
  last_error: string | null;
  orphan_delivery_id: Id | null;
  orphan_error: string | null;
}
/** Counts for a health check, of one endpoint, or of all (`endpoint` is null). */
export interface Stats {
  endpoint: string | null;
  queued: number;
  due: number;
  oldest_due_age_s: number | null;
  processing: number;
  failed: number;
  dead: number;
  ignored: number;
  handled: number | null;
  orphans: number;
  orphan_bytes: number;
  orphans_dropped: number;
  redated: number | null;
}
export interface Verification {
  valid: boolean;
  error: string | null;
  event_type: string | null;
  provider_event_id: string | null;
  provider_delivery_id: string | null;
  dedupe_key: string | null;
  response_status: number | null;
  response_headers: Record<string, string>;
  response_body: Buffer | null;
}
/** What would have made a request valid: a stable word, and a sentence for people. */
export interface Diagnosis { cause: string | null; sentence: string }
export interface WorkerState {
  worker_id: string;
  running: boolean;
  current_event_id: Id | null;
  last_error: string | null;
}

// -- handlers and workers

/** What a statement of a handler did. */
export interface Changes { changes: Integer; lastInsertRowid: Integer }
export interface Statement {
  run(...parameters: (Value | Parameters)[]): Changes;
  get(...parameters: (Value | Parameters)[]): Row | undefined;
  all(...parameters: (Value | Parameters)[]): Row[];
}
/** A handler's transaction. */
export interface Tx {
  prepare(sql: string): Statement;
  execute(sql: string, parameters?: Parameters): Changes;
  query(sql: string, parameters?: Parameters): Row[];
  receive(request: Request): IngestResult;
  ingest(request: IngestRequest): IngestResult;
}
/** Synchronous: one that returns a promise fails. */
export type Handler = (event: HandledEvent, tx: Tx) => unknown;
export interface ServeOptions {
  queues?: Iterable<string> | null;
  endpoints?: Iterable<string> | null;
  /** "leave": claim only endpoints that this handle has a handler for. */
  missing?: "dead" | "leave";
  onDead?: (event: Event, error: string | null) => void;
}
export interface WorkerOptions extends ServeOptions {
  workerId?: string;
  maxJobs?: number | null;
  signal?: AbortSignal;
  onError?: (error: unknown) => unknown;
}
/** What `runRetention` prunes, and how often. What has no age is not pruned. */
export interface RetentionPolicy {
  intervalS: number;
  eventStatuses?: Iterable<"handled" | "ignored">;
  eventOlderThanS?: number | null;
  eventLimit?: number | null;
  orphanDeliveriesOlderThanS?: number | null;
  orphanDeliveriesLimit?: number | null;
}

// -- looking and operating

export interface Page { since?: number; limit?: number; beforeId?: Id }
export interface EventFilter extends Page { status?: Status; endpoint?: string; eventType?: string }
export interface DeliveryFilter extends Page {
  eventId?: Id;
  endpoint?: string;
  eventType?: string;
  signatureValid?: boolean;
  orphaned?: boolean;
}
export interface Verifier {
  provider?: string | Scheme | null;
  secrets?: Iterable<string> | null;
  providerOptions?: Readonly<Record<string, unknown>> | null;
}
type Others = Readonly<Record<string, string | readonly string[]>>;
export interface PruneOptions { olderThan: number; limit?: number; dryRun?: boolean }

/** An open file. */
export class KnockerSqlite {
  constructor(path: string | URL | Buffer, options?: OpenOptions);
  close(): void;
  readonly queueName: string;
  setClock(seconds: number | null): void;

  addEndpoint(endpoint: EndpointOptions): Id;
  endpoint(endpoint: EndpointOptions): Endpoint;
  providerVersions(): Record<string, string>;

  receive(request: Request): IngestResult;
  receiveAsync(request: Request): Promise<IngestResult>;
  receiveMany(requests: Iterable<Request>): (IngestResult | Error)[];
  ingest(request: IngestRequest): IngestResult;

  registerHandler(endpoint: string | Endpoint, handler: Handler, eventType?: string | null): void;
  registerHandler(endpoint: string | Endpoint, eventType: string | null, handler: Handler): void;
  runWorker(options?: WorkerOptions): Promise<number>;
  runWorkerOnce(workerId?: string, options?: ServeOptions): Id | null;
  drain(workerId?: string, options?: ServeOptions & { maxJobs?: number | null }): Id[];
  workerStates(): WorkerState[];
  runRetention(policy: RetentionPolicy, options?: { signal?: AbortSignal }): Promise<void>;

  getEvent(id: Id): Event;
  getDelivery(id: Id): Delivery;
  listEvents(filter?: EventFilter): Event[];
  listDeliveries(filter?: DeliveryFilter): Delivery[];
  listAttempts(filter?: { eventId?: Id; limit?: number; beforeId?: Id }): Attempt[];
  listJobs(filter?: { endpoint?: string; limit?: number }): Job[];
  listPruneAudits(filter?: Page & { kind?: string }): PruneAudit[];
  listEndpoints(filter?: Page): EndpointRow[];
  events(filter?: EventFilter): AsyncGenerator<Event, void>;
  deliveries(filter?: DeliveryFilter): AsyncGenerator<Delivery, void>;
  pruneAudits(filter?: Page & { kind?: string }): AsyncGenerator<PruneAudit, void>;
  read(sql: string, parameters?: Parameters): Row[];
  why(id: Id): Why;
  diagnose(id: Id, by?: Verifier & { others?: Others }): Diagnosis[];
  stats(): Stats[];

  pause(endpoint: string): void;
  resume(endpoint: string): void;
  ignore(id: Id, reason?: string): void;
  replay(id: Id): void;
  requeue(id: Id): void;
  replayDelivery(id: Id): void;
  reverify(endpoint: string, by?: Verifier & {
    since?: number; limit?: number; afterId?: Id; dryRun?: boolean;
  }): Reverified[];
  pruneEvents(prune: PruneOptions & { statuses?: Iterable<string> }): PruneEventsResult;
  pruneOrphanDeliveries(prune: PruneOptions): PruneDeliveriesResult;
}

/** One endpoint of a handle. */
export class Endpoint {
  private constructor();
  readonly name: string;
  handle(handler: Handler, eventType?: string | null): void;
  handle(eventType: string | null, handler: Handler): void;
  receive(request: EndpointRequest): IngestResult;
  receiveAsync(request: EndpointRequest): Promise<IngestResult>;
}

// -- providers of your own

export class ProviderRequest {
  private constructor();
  readonly method: string;
  readonly headers: Record<string, string>;
  readonly query: Record<string, unknown>;
  readonly body: Buffer;
  header(name: string): string | undefined;
  json(): any;
}
export interface ProviderIds {
  providerDeliveryId?: string | Integer | null;
  providerEventId?: string | Integer | null;
  eventType?: string | null;
}
/** A verdict, with what could be read of the request. */
export class ProviderResult {
  private constructor();
  readonly valid: boolean;
  readonly signatureError: string | null;
  static accept(ids?: ProviderIds): ProviderResult;
  static reject(error: string, ids?: ProviderIds): ProviderResult;
}
/** Extend it, name it, and give an instance to `addEndpoint`. */
export abstract class Provider {
  name: string;
  version: string;
  requiresSecrets: boolean;
  optionKeys: string[];
  abstract verify(
    request: ProviderRequest,
    registered: { secrets: string[]; options: Record<string, unknown> },
  ): ProviderResult;
  validateOptions(options: Record<string, unknown>): void;
}

// -- without any file

export interface BareRequest {
  body?: Body;
  headers?: Headers;
  query?: Query;
  method?: string;
  secrets?: Iterable<string> | null;
  options?: Readonly<Record<string, unknown>> | null;
  /** The second at which to judge or sign; the system's clock by default. */
  now?: number;
}
export function verify(provider: string | Scheme, request?: BareRequest): Verification;
export function sign(provider: string | Scheme, request?: BareRequest): Record<string, string>;
export function diagnose(
  provider: string | Scheme, request?: BareRequest & { others?: Others }): Diagnosis[];
/** Of the library in C. */
export const version: string;

// -- errors

/** The base of every error that Knocker throws. `name` is its word in every language. */
export class KnockerError extends Error {
  constructor(message: string);
  readonly code: number;
}
export class InvalidArgument extends KnockerError {}
export class UnknownEndpoint extends KnockerError {}
export class UnknownEvent extends KnockerError {}
export class UnknownDelivery extends KnockerError {}
export class WrongStatus extends KnockerError {}
export class Busy extends KnockerError {}
export class StorageError extends KnockerError {}
export class CorruptError extends KnockerError {}
export class Closed extends KnockerError {}
export class LeaseLost extends KnockerError {}
export class SqlError extends KnockerError {}

/** Thrown in a handler: roll back and run it again in `seconds`. No attempt is counted. */
export class RetryAfter extends Error {
  constructor(seconds: number, reason?: string);
  readonly seconds: number;
}
/** Thrown in a handler: roll back; the event is ignored. */
export class Ignore extends Error {}
/** Thrown in a handler: roll back; the event is dead at once. */
export class Dead extends Error {}
