/*
 * The workers' half of nif.c, which includes it once: claims, handlers' transactions, settlements,
 * and on which thread each runs. It refuses to know what a handler is.
 */

/* ---- work ---- */

NIF(nif_claim)
{
	knocker_claim_options options;
	CALL;

	if (arg_handle(c, argv[0]) && terms_members(c, argv[1], &CLAIM_OPTIONS, &options))
		c->rc = knocker_claim(c->k, &options, &c->rows, &c->error);
	return finish_rows(c);
}

NIF(nif_release)
{
	int64_t job_id, claim;
	CALL;

	if (arg_handle(c, argv[0]) && terms_integer(c, argv[1], "job_id", &job_id) &&
	    terms_integer(c, argv[2], "claim", &claim))
		c->rc = knocker_release(c->k, job_id, claim, &c->error);
	return finish_code(c);
}

NIF(nif_wait)
{
	knocker_claim_options options;
	int64_t timeout_ms;
	CALL;

	if (arg_handle(c, argv[0]) && terms_members(c, argv[1], &CLAIM_OPTIONS, &options) &&
	    terms_integer(c, argv[2], "timeout_ms", &timeout_ms))
		c->rc = knocker_wait(c->k, &options, timeout_ms, &c->error);
	return finish_code(c);
}

NIF(nif_wake)
{
	CALL;

	if (arg_handle(c, argv[0]))
		c->rc = knocker_wake(c->k);
	return finish_code(c);
}

/* The resource of a work of the calling process, which may have been killed meanwhile. */
static ERL_NIF_TERM work_term(struct call *c, struct handle *h, knocker_work *w)
{
	struct work *work = enif_alloc_resource(work_type, sizeof *work);
	ERL_NIF_TERM term = enif_make_resource(c->env, work);
	ErlNifPid self;

	memset(work, 0, sizeof *work);
	work->lock = enif_mutex_create("knocker_work");
	work->left = enif_cond_create("knocker_work");
	work->handle = h;
	enif_keep_resource(h);
	work->w = w;
	work->in_use = 1;
	c->work = work;
	if (!enif_self(c->env, &self) || enif_monitor_process(c->env, work, &self, &work->monitor) != 0)
		work->doomed = 1;
	enif_release_resource(work);
	return term;
}

/* {work, event}, or nil when there is nothing to do any more. */
NIF(nif_work_begin)
{
	int64_t job_id, claim;
	knocker_work *w = NULL;
	ERL_NIF_TERM term;
	void *h;
	CALL;

	if (!arg_handle(c, argv[0]) || !terms_integer(c, argv[1], "job_id", &job_id) ||
	    !terms_integer(c, argv[2], "claim", &claim) ||
	    !enif_get_resource(env, argv[0], handle_type, &h))
		return finish_code(c);
	c->rc = knocker_work_begin(c->k, job_id, claim, &w, &c->error);
	if (c->rc != 0)
		return finish(c, enif_make_atom(env, "nil"));
	term = work_term(c, h, w);
	c->rc = knocker_work_event(w, &c->rows, &c->error);
	if (c->rc >= 0)
		return finish(c, enif_make_tuple2(env, term, terms_rows(env, c->rows)));
	c->work->doomed = 1;
	return finish_code(c);
}

/* After a call that needs the writer: it has it, unless it could not get it. */
static void work_entered(struct call *c)
{
	if (c->work && c->rc != KNOCKER_BUSY)
		atomic_store(&c->work->entered, 1);
}

NIF(nif_execute)
{
	knocker_bytes sql;
	knocker_value *values = NULL;
	int64_t changes = 0, last_id = 0;
	int32_t count = 0;
	CALL;

	if (arg_work(c, argv[0], 0) && terms_bytes(c, argv[1], "sql", &sql) &&
	    terms_values(c, argv[2], &values, &count)) {
		c->rc = knocker_execute(c->work->w, sql, values, count, &changes, &last_id, &c->error);
		work_entered(c);
	}
	free(values);
	return finish(c, enif_make_tuple2(env, enif_make_int64(env, changes),
	                                  enif_make_int64(env, last_id)));
}

NIF(nif_query)
{
	knocker_bytes sql;
	knocker_value *values = NULL;
	int32_t count = 0;
	CALL;

	if (arg_work(c, argv[0], 0) && terms_bytes(c, argv[1], "sql", &sql) &&
	    terms_values(c, argv[2], &values, &count)) {
		c->rc = knocker_query(c->work->w, sql, values, count, &c->rows, &c->error);
		work_entered(c);
	}
	free(values);
	return finish_rows(c);
}

NIF(nif_read)
{
	knocker_bytes sql;
	knocker_value *values = NULL;
	int32_t count = 0;
	CALL;

	if (arg_handle(c, argv[0]) && terms_bytes(c, argv[1], "sql", &sql) &&
	    terms_values(c, argv[2], &values, &count))
		c->rc = knocker_read(c->k, sql, values, count, &c->rows, &c->error);
	free(values);
	return finish_rows(c);
}

#define NIF_WORK_REQUEST(name, function)                                                \
	NIF(name)                                                                           \
	{                                                                                   \
		knocker_request request;                                                        \
		CALL;                                                                           \
                                                                                        \
		if (arg_work(c, argv[0], 0) && terms_members(c, argv[1], &REQUEST, &request)) { \
			c->rc = function(c->work->w, &request, &c->rows, &c->error);                \
			work_entered(c);                                                            \
		}                                                                               \
		return finish_rows(c);                                                          \
	}
NIF_WORK_REQUEST(nif_work_receive, knocker_work_receive)
NIF_WORK_REQUEST(nif_work_ingest, knocker_work_ingest)

NIF(nif_extend)
{
	int64_t lease_ms;
	CALL;

	if (arg_work(c, argv[0], 0) && terms_integer(c, argv[1], "seconds", &lease_ms)) {
		c->rc = knocker_extend(c->work->w, lease_ms, &c->error);
		work_entered(c);
	}
	return finish_code(c);
}

/* settle(work, outcome, reason, delay_ms) */
NIF(nif_settle)
{
	int64_t outcome, delay_ms;
	knocker_bytes reason;
	CALL;

	if (terms_integer(c, argv[1], "outcome", &outcome) &&
	    terms_bytes(c, argv[2], "reason", &reason) &&
	    terms_integer(c, argv[3], "delay_ms", &delay_ms) && arg_work(c, argv[0], 1)) {
		c->rc = knocker_settle(c->work->w, (int32_t)outcome, reason, delay_ms, &c->rows, &c->error);
		c->work->w = NULL;
		if (!apart)
			enif_demonitor_process(env, c->work, &c->work->monitor);
	}
	return finish_rows(c);
}

/* abandon(work): rolls back and gives the job back, by somebody else's hand. */
NIF(nif_abandon)
{
	void *resource;

	(void)argc;
	if (!enif_get_resource(env, argv[0], work_type, &resource))
		return enif_make_badarg(env);
	work_down(env, resource, NULL, NULL);
	return enif_make_atom(env, "ok");
}

/* ---- which thread ---- */

struct errand {
	ERL_NIF_TERM (*run)(ErlNifEnv *, int, const ERL_NIF_TERM[]);
	ErlNifEnv *env, *caller; /* NULL: a thread of our own */
	ErlNifPid to;
	ERL_NIF_TERM ref, argv[4];
};

static void *errand_run(void *given)
{
	struct errand *e = given;
	ERL_NIF_TERM result;

	apart = 1;
	result = e->run(e->env, 0, e->argv);
	enif_send(e->caller, &e->to, e->env, enif_make_tuple2(e->env, e->ref, result));
	apart = 0;
	enif_free_env(e->env);
	enif_free(e);
	return NULL;
}

/* Runs a call on a thread of its own, which sends {ref, result}. The last argument is the ref. */
static ERL_NIF_TERM errand(ErlNifEnv *env, int argc, const ERL_NIF_TERM argv[],
                           ERL_NIF_TERM (*run)(ErlNifEnv *, int, const ERL_NIF_TERM[]))
{
	struct errand *e = enif_alloc(sizeof *e);

	e->run = run;
	e->caller = NULL;
	e->env = enif_alloc_env();
	enif_self(env, &e->to);
	for (int i = 0; i < argc - 1; i++)
		e->argv[i] = enif_make_copy(e->env, argv[i]);
	e->ref = enif_make_copy(e->env, argv[argc - 1]);
	if (!thread_run(errand_run, e)) {
		e->caller = env;
		errand_run(e);
	}
	return enif_make_atom(env, "ok");
}

NIF(nif_wait_apart)
{
	return errand(env, argc, argv, nif_wait);
}

NIF(nif_settle_apart)
{
	return errand(env, argc, argv, nif_settle);
}

/* settle_begin(work, handle, job_id, claim): records it as handled, and begins the next. */
NIF(nif_settle_begin)
{
	const ERL_NIF_TERM handled[] = {argv[0], enif_make_int(env, KNOCKER_HANDLED),
	                                enif_make_atom(env, "nil"), enif_make_int(env, 0)};
	ERL_NIF_TERM settled = nif_settle(env, 4, handled);

	(void)argc;
	return enif_make_tuple2(env, settled, nif_work_begin(env, 3, argv + 1));
}

/* When the one work that may wait on a dirty CPU scheduler to get the writer began to; 0: none
 * does. One that was killed before it ran is forgotten after a minute. */
static atomic_llong entering_ms;

static int may_enter(void)
{
	long long now_ms = enif_monotonic_time(ERL_NIF_MSEC) - monotonic_zero + 1;
	long long since_ms = atomic_load(&entering_ms);

	return cpu_schedulers > 1 && (since_ms == 0 || now_ms - since_ms > 60000) &&
	       atomic_compare_exchange_strong(&entering_ms, &since_ms, now_ms);
}

/* A work that has the writer must not stand in line behind those who wait for it; so it runs on a
 * dirty CPU scheduler. So does one that is to get it, for a call costs less where the last one was,
 * but one only: the other schedulers are for who has it. */
#define NIF_BY_WORK(name)                                                                        \
	NIF(name##_entering)                                                                         \
	{                                                                                            \
		ERL_NIF_TERM result = name(env, argc, argv);                                             \
                                                                                                 \
		atomic_store(&entering_ms, 0);                                                           \
		return result;                                                                           \
	}                                                                                            \
	NIF(name##_scheduled)                                                                        \
	{                                                                                            \
		void *work;                                                                              \
                                                                                                 \
		if (enif_get_resource(env, argv[0], work_type, &work) &&                                 \
		    atomic_load(&((struct work *)work)->entered))                                        \
			return enif_schedule_nif(env, #name, ERL_NIF_DIRTY_JOB_CPU_BOUND, name, argc, argv); \
		if (may_enter())                                                                         \
			return enif_schedule_nif(env, #name, ERL_NIF_DIRTY_JOB_CPU_BOUND, name##_entering,   \
			                         argc, argv);                                                \
		return enif_schedule_nif(env, #name, ERL_NIF_DIRTY_JOB_IO_BOUND, name, argc, argv);      \
	}
NIF_BY_WORK(nif_execute)
NIF_BY_WORK(nif_query)
NIF_BY_WORK(nif_work_receive)
NIF_BY_WORK(nif_work_ingest)
NIF_BY_WORK(nif_extend)
NIF_BY_WORK(nif_settle)
NIF_BY_WORK(nif_settle_begin)
