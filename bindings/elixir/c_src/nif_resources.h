/*
 * Handles and works as resources of the BEAM, the threads that end them, and how a call uses one.
 * nif.c includes it once. It owns lifetimes; it refuses to know the calls.
 */

/* A note that the face keeps with a handle: functions, states of workers. */
struct note {
	struct note *next;
	ErlNifEnv *env;
	ERL_NIF_TERM key, value;
};

struct handle {
	_Atomic(knocker *) k; /* NULL once closed */
	ErlNifMutex *lock;    /* of the notes */
	struct note *notes;
};

/* Its process is monitored: when that ends, the work is given back. */
struct work {
	struct handle *handle; /* kept */
	ErlNifMutex *lock;     /* of the next three */
	ErlNifCond *left;
	knocker_work *w; /* NULL once ended */
	int in_use, doomed;
	atomic_int entered; /* it has the writer */
	ErlNifMonitor monitor;
};

static ErlNifResourceType *handle_type, *work_type;
static int cpu_schedulers; /* dirty ones */
static ErlNifTime monotonic_zero;
static _Thread_local int apart; /* on a thread that the BEAM does not know */

/* ---- threads of our own ---- */

/* Runs it on a thread that nobody waits for and no signal disturbs. 0: there is none to be had. */
static int thread_run(void *(*run)(void *), void *job)
{
	pthread_attr_t attributes;
	sigset_t all, before;
	pthread_t thread;
	int failed;

	sigfillset(&all);
	pthread_attr_init(&attributes);
	pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	failed = pthread_create(&thread, &attributes, run, job);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	pthread_attr_destroy(&attributes);
	return !failed;
}

static void *thread_close(void *k)
{
	knocker_close(k, NULL);
	return NULL;
}

struct give_back {
	knocker_work *w;
	struct handle *handle;
};

static void *thread_give_back(void *given)
{
	struct give_back job = *(struct give_back *)given;

	enif_free(given);
	knocker_work_free(job.w);
	enif_release_resource(job.handle);
	return NULL;
}

/* Rolls back, which frees the writer, and gives the job back, which waits for the writer again: so
 * never here, where a scheduler or a destructor stands. */
static void give_back(struct handle *handle, knocker_work *w)
{
	struct give_back *job = enif_alloc(sizeof *job);

	job->w = w;
	job->handle = handle;
	enif_keep_resource(handle);
	if (!thread_run(thread_give_back, job))
		thread_give_back(job);
}

/* ---- resources ---- */

static void handle_free(ErlNifEnv *env, void *resource)
{
	struct handle *h = resource;
	knocker *k = atomic_exchange(&h->k, NULL);
	struct note *n, *next;

	(void)env;
	if (k && !thread_run(thread_close, k))
		thread_close(k);
	for (n = h->notes; n; n = next) {
		next = n->next;
		enif_free_env(n->env);
		enif_free(n);
	}
	enif_mutex_destroy(h->lock);
}

static void work_free(ErlNifEnv *env, void *resource)
{
	struct work *work = resource;

	(void)env;
	if (work->w)
		give_back(work->handle, work->w);
	enif_cond_destroy(work->left);
	enif_mutex_destroy(work->lock);
	enif_release_resource(work->handle);
}

static void work_down(ErlNifEnv *env, void *resource, ErlNifPid *pid, ErlNifMonitor *monitor)
{
	struct work *work = resource;
	knocker_work *w = NULL;

	(void)env, (void)pid, (void)monitor;
	enif_mutex_lock(work->lock);
	work->doomed = 1;
	if (!work->in_use) {
		w = work->w;
		work->w = NULL;
	}
	enif_mutex_unlock(work->lock);
	if (w)
		give_back(work->handle, w);
}

static int arg_handle(struct call *c, ERL_NIF_TERM term)
{
	void *resource;

	if (!enif_get_resource(c->env, term, handle_type, &resource))
		return terms_refuse(c, KNOCKER_INVALID_ARGUMENT, "that is no handle of Knocker");
	c->k = atomic_load(&((struct handle *)resource)->k);
	return c->k != NULL || terms_refuse(c, KNOCKER_CLOSED, "this handle is closed");
}

/* Enters a work: nobody else uses or ends it until `finish`. `waiting`: a statement that runs on is
 * waited for, as of a handler that was killed in it. */
static int arg_work(struct call *c, ERL_NIF_TERM term, int waiting)
{
	void *resource;
	struct work *work;
	const char *wrong = NULL;

	if (!enif_get_resource(c->env, term, work_type, &resource))
		return terms_refuse(c, KNOCKER_INVALID_ARGUMENT, "that is no transaction of Knocker");
	work = resource;
	enif_mutex_lock(work->lock);
	while (waiting && work->in_use)
		enif_cond_wait(work->left, work->lock);
	if (work->w == NULL || work->doomed)
		wrong = "this transaction has ended with its handler";
	else if (work->in_use)
		wrong = "this transaction is in use by another process";
	else
		work->in_use = 1;
	enif_mutex_unlock(work->lock);
	if (wrong)
		return terms_refuse(c, work->w ? KNOCKER_INVALID_ARGUMENT : KNOCKER_CLOSED, wrong);
	c->work = work;
	return 1;
}

static void work_leave(struct work *work)
{
	knocker_work *w = NULL;

	enif_mutex_lock(work->lock);
	work->in_use = 0;
	if (work->doomed) {
		w = work->w;
		work->w = NULL;
	}
	enif_cond_broadcast(work->left);
	enif_mutex_unlock(work->lock);
	if (w)
		give_back(work->handle, w);
}

/* ---- results ---- */

static ERL_NIF_TERM finish(struct call *c, ERL_NIF_TERM value)
{
	ERL_NIF_TERM result = c->rc < 0 ? terms_error(c) : terms_ok(c->env, value);

	if (c->work)
		work_leave(c->work);
	knocker_rows_free(c->rows);
	return result;
}

static ERL_NIF_TERM finish_rows(struct call *c)
{
	return finish(c, c->rc < 0 ? 0 : terms_rows(c->env, c->rows));
}

static ERL_NIF_TERM finish_code(struct call *c)
{
	return finish(c, enif_make_int(c->env, c->rc));
}

#define NIF(name) static ERL_NIF_TERM name(ErlNifEnv *env, int argc, const ERL_NIF_TERM argv[])
#define CALL                                     \
	struct call call = {.env = env}, *c = &call; \
	(void)argc
