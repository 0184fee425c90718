-- The whole layout, and what each b-tree costs a receipt: docs/decisions/0001-storage-layout.md.

create table _knocker_meta (                        -- schema, floor, redated
	key   text primary key not null,
	value
) without rowid;

create table _knocker_endpoint (
	id              integer primary key,
	name            text not null unique check (typeof(name) = 'text' and length(name) between 1 and 200),
	path            text unique check (path is null or typeof(path) = 'text'),
	provider        text check (provider is null or length(provider) between 1 and 200),  -- null: not verified
	enabled         integer not null check (enabled between 0 and 1),
	paused          integer not null default 0 check (paused between 0 and 1),
	queue           text,                           -- null: the handle's
	max_attempts    integer,                        -- these three null: the worker's own
	backoff_base_ms integer,
	backoff_cap_ms  integer,
	created_ms      integer not null check (typeof(created_ms) = 'integer'),
	orphan_rows     integer not null default 0 check (orphan_rows >= 0),  -- the budget: written on the orphan path only
	orphan_bytes    integer not null default 0 check (orphan_bytes >= 0),
	orphans_dropped integer not null default 0
);
create index _knocker_endpoint_paused on _knocker_endpoint (id) where paused = 1;

create table _knocker_delivery (                    -- 1
	id                   integer primary key,       -- above every id ever used: see id_next.sql
	endpoint_id          integer not null,
	event_id             integer,                   -- = id: it made the event; another: a repeat; null: an orphan
	received_ms          integer not null check (typeof(received_ms) = 'integer'),  -- never decreasing with id
	signature_valid      integer check (signature_valid between 0 and 1),
	signature_error      text,
	event_type           text,
	provider_event_id    text,
	provider_delivery_id text,
	dedupe_key           text check (length(dedupe_key) between 1 and 200),
	method               text not null,
	query                text,                      -- JSON, as headers
	headers              text not null,
	body                 blob check (body is null or typeof(body) = 'blob'),  -- last: the rest is read without its overflow pages
	check (event_id is not null or signature_error is not null)
);
create unique index _knocker_delivery_dedupe on _knocker_delivery (endpoint_id, dedupe_key)
	where event_id = id and dedupe_key is not null;                           -- 2
create index _knocker_delivery_orphan on _knocker_delivery (endpoint_id, id) where event_id is null;
create index _knocker_delivery_unchecked on _knocker_delivery (endpoint_id, id) where event_id = id and signature_valid is null;
create index _knocker_delivery_repeat on _knocker_delivery (endpoint_id, id) where event_id <> id;
create index _knocker_delivery_again on _knocker_delivery (event_id, id) where event_id <> id;

create table _knocker_job (                         -- 3: an event, or a plain job
	id            integer primary key,              -- an event's is that of the delivery that made it
	queue         text not null,
	topic         integer not null,                 -- an event's endpoint (1 and up); a plain job's -priority (0 and down)
	kind          text,                             -- an event's type
	due_ms        integer check (due_ms is null or typeof(due_ms) = 'integer'),  -- null: not queued; of a held job: when the lease ends
	claims        integer not null default 0 check (claims >= 0),                -- the fence: never reset
	worker        text check (worker is null or due_ms is not null),             -- who holds the lease
	alone         integer not null default 0 check (alone between 0 and 1),      -- the last claim took this job only
	expired       integer not null default 0 check (expired >= 0),               -- leases that ran out with it alone
	status        text not null default 'received' check (status = 'received' or status = 'handled' or status = 'failed'
	              or status = 'dead' or status = 'ignored'),
	attempt_count integer not null default 0 check (attempt_count >= 0),
	max_attempts  integer,                          -- null: the endpoint's, else the worker's
	settled_ms    integer,
	last_error    text,
	delivery_id   integer,                          -- whose body to run, when a repeat is replayed
	payload       text,                             -- of a plain job
	expires_ms    integer                           -- of a plain job
);
create index _knocker_job_due on _knocker_job (queue, topic, due_ms) where due_ms is not null;               -- 4
create index _knocker_job_rare on _knocker_job (status, id) where status = 'failed' or status = 'dead' or status = 'ignored';

create table _knocker_attempt (                     -- shown id = job_id * 1000000 + claim
	job_id       integer not null,
	claim        integer not null,
	attempted_ms integer not null,
	outcome      text not null check (outcome = 'handled' or outcome = 'failed' or outcome = 'dead' or outcome = 'ignored'),
	duration_ms  integer,
	error        text,
	primary key (job_id, claim)
) without rowid;

create table _knocker_prune_audit (
	id           integer primary key,
	kind         text not null check (kind = 'prune_events' or kind = 'prune_orphan_deliveries'),
	queue_name   text,
	executed_ms  integer not null,
	events       integer not null,
	deliveries   integer not null,
	attempts     integer not null,
	live_jobs    integer not null,
	summary_json text not null
);

create view knocker_endpoints as
	select id, name, path, provider, enabled, paused, queue as queue_name, created_ms / 1000 as created_at
	from _knocker_endpoint;

create view knocker_events as
	select j.id, e.name as endpoint, j.topic as endpoint_id, j.kind as event_type, d.provider_event_id, d.provider_delivery_id,
	       d.dedupe_key,
	       case when j.worker is not null and (j.status = 'received' or j.status = 'failed') then 'processing'
	            else j.status end as status,
	       j.attempt_count, d.headers as headers_json, d.query as query_json, coalesce(d.body, x'') as body_blob,
	       d.received_ms / 1000 as received_at,
	       case j.status when 'handled' then j.settled_ms / 1000 end as handled_at, j.last_error
	from _knocker_job j
	cross join _knocker_delivery d on d.id = j.id
	cross join _knocker_endpoint e on e.id = j.topic;

create view knocker_deliveries as
	select d.id, d.event_id, e.name as endpoint, d.endpoint_id, d.event_type, d.provider_event_id, d.provider_delivery_id,
	       d.dedupe_key, d.method, d.headers as headers_json, d.query as query_json, d.body as body_blob,
	       d.received_ms / 1000 as received_at, d.signature_valid, d.signature_error
	from _knocker_delivery d
	cross join _knocker_endpoint e on e.id = d.endpoint_id;

create view knocker_attempts as
	select job_id * 1000000 + claim as id, job_id as event_id, attempted_ms / 1000 as attempted_at, outcome, error, duration_ms
	from _knocker_attempt;

create view knocker_jobs as
	select j.id, j.queue as queue_name, e.name as endpoint, case when j.topic > 0 then j.id end as event_id, j.delivery_id,
	       j.due_ms / 1000 as due_at, j.worker as worker_id, j.claims, j.payload
	from _knocker_job j
	left join _knocker_endpoint e on e.id = j.topic
	where j.due_ms is not null;

create view knocker_prune_audits as
	select id, kind, queue_name, executed_ms / 1000 as executed_at, events as events_pruned, deliveries as deliveries_pruned,
	       attempts as attempts_pruned, live_jobs as live_jobs_pruned, summary_json
	from _knocker_prune_audit;
