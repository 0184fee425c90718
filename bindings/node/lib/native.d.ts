/**
 * The boundary between the face (this folder) and an engine's own way into C: one function for each
 * of knocker.h's. An engine brings a module of this shape under the name `#native`.
 *
 * A handle, a work and a lane are opaque objects, and are freed with them. Members have the names of
 * the structs in knocker.h; undefined and null are "not given"; an unknown one is not looked at. Text
 * is a string without lone surrogates, bytes are a Buffer, typed array, DataView or ArrayBuffer.
 * Integers come back as a number, or as a bigint where a double would lose bits; text that is not
 * UTF-8 comes back as a Buffer, as bytes do. A failure throws (or rejects with) what `setErrors`'
 * function made of its code and text.
 */
export interface Handle { readonly handle: unique symbol }
export interface Work { readonly work: unique symbol }
export interface Lane { readonly lane: unique symbol }
export type Integer = number | bigint;
// eslint-disable-next-line @typescript-eslint/no-explicit-any
export type Row = Record<string, any>;
export type Members = Record<string, unknown>;

export function setErrors(make: (code: number, text: string) => Error): void;
export function errorName(code: number): string;
export function version(): string;

export function open(options: Members): Handle;
export function close(handle: Handle): void;
export function setClock(handle: Handle, ms: number): void;
export function addEndpoint(handle: Handle, endpoint: Members): Integer;
export function pause(handle: Handle, endpoint: string, paused: number): void;
export function providers(): Row[];

export function receive(handle: Handle, request: Members): Row[];
export function ingest(handle: Handle, request: Members): Row[];
/** Throws what converting this request would, and does nothing else. */
export function checkRequest(request: Members): void;
export function receiveMany(handle: Handle, requests: Members[]): Row[];
export function verify(request: Members, nowMs: number): Row[];
export function sign(request: Members, nowMs: number): Row[];
export function diagnose(request: Members, others: string | null, nowMs: number): Row[];
export function diagnoseDelivery(
  handle: Handle, id: Integer, request: Members, others: string | null): Row[];

export function claim(handle: Handle, options: Members): Row[];
export function release(handle: Handle, job: Integer, claim: Integer): void;
export function wake(handle: Handle): void;
/** Undefined: there is nothing to do any more. */
export function begin(handle: Handle, job: Integer, claim: Integer): Work | undefined;
export function event(work: Work): Row[];
/** How many rows changed, and the last row id. */
export function execute(work: Work, sql: string, values: unknown[]): [Integer, Integer];
export function query(work: Work, sql: string, values: unknown[]): Row[];
export function read(handle: Handle, sql: string, values: unknown[]): Row[];
export function workReceive(work: Work, request: Members): Row[];
export function workIngest(work: Work, request: Members): Row[];
export function extend(work: Work, ms: number): void;
/** Ends the work, whatever the result. */
export function settle(work: Work, outcome: number, reason: string | null, delayMs: number): Row[];
export function abandon(work: Work): void;

export function get(handle: Handle, kind: number, id: Integer): Row[];
export function list(handle: Handle, filter: Members): Row[];
export function ignore(handle: Handle, id: Integer, reason: string | null): void;
export function replay(handle: Handle, id: Integer): void;
export function requeue(handle: Handle, id: Integer): void;
export function replayDelivery(handle: Handle, id: Integer): void;
export function reverify(
  handle: Handle, by: Members, since: Integer, after: Integer, limit: Integer, dry: number): Row[];
export function why(handle: Handle, id: Integer): Row[];
export function stats(handle: Handle): Row[];
export function pruneEvents(handle: Handle, prune: Members): Row[];
export function pruneOrphanDeliveries(handle: Handle, prune: Members): Row[];

/** A thread of its own, which runs the calls that it is given in order. */
export function lane(): Lane;
/** Ends an idle lane's thread. */
export function laneEnd(lane: Lane): void;
export function laneWait(
  lane: Lane, handle: Handle, claim: Members, timeoutMs: number): Promise<number>;
export function laneReceiveMany(lane: Lane, handle: Handle, requests: Members[]): Promise<Row[]>;
export function laneRetain(lane: Lane, handle: Handle, retention: Members): Promise<Row[]>;
