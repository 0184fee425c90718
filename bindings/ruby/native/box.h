/*
 * Handles and works as Ruby's objects, which end once: by a call, or when they are collected. It
 * owns who is inside of one; it refuses to know what they do there. Part of glue.h.
 */

/* What an opaque object holds. `pointer` is NULL once ended; `users` counts the calls that are
 * inside, `ending` the one that ends it. */
struct glue_box {
	void *pointer;
	int64_t users;
	int ending;
	int is_work;
	pid_t pid;
};

static void glue_box_end(void *pointer, int is_work)
{
	if (is_work)
		knocker_work_free((knocker_work *)pointer);
	else
		knocker_close((knocker *)pointer, NULL);
}

/* Ruby frees late (no RUBY_TYPED_FREE_IMMEDIATELY): this may wait for the disk. */
static void glue_box_free(void *at)
{
	struct glue_box *box = (struct glue_box *)at;

	if (box->pointer)
		glue_box_end(box->pointer, box->is_work);
	xfree(box);
}

static const rb_data_type_t glue_box_type = {"KnockerSqlite::Native::Box",
                                             {NULL, glue_box_free, NULL, NULL, {}},
                                             NULL,
                                             NULL,
                                             0};

static VALUE glue_box_step(VALUE)
{
	struct glue_box *box = NULL;

	return TypedData_Make_Struct(glue_box_class, struct glue_box, &glue_box_type, box);
}

static VALUE glue_box(void *pointer, int is_work)
{
	VALUE object = glue_protect(glue_box_step, NULL);

	if (object == GLUE_NOTHING) {
		glue_box_end(pointer, is_work);
		return Qnil;
	}
	struct glue_box *box = (struct glue_box *)RTYPEDDATA_DATA(object);
	box->pointer = pointer;
	box->is_work = is_work;
	box->pid = getpid();
	return object;
}

static struct glue_box *glue_enter(VALUE object)
{
	struct glue_box *box = NULL;

	if (!rb_typeddata_is_kind_of(object, &glue_box_type)) {
		glue_refuse("the handle", "an open one", object);
		return NULL;
	}
	box = (struct glue_box *)RTYPEDDATA_DATA(object);
	if (box->pointer == NULL || box->ending) {
		glue_raise(KNOCKER_CLOSED,
		           box->is_work ? "this tx has ended with its handler" : "the handle is closed");
		return NULL;
	}
	if (box->is_work && box->users > 0) {
		glue_raise(KNOCKER_INVALID_ARGUMENT, "this tx is in use by another thread");
		return NULL;
	}
	box->users++;
	return box;
}

static void glue_leave(struct glue_box *box)
{
	if (box)
		box->users--;
}

static void glue_leave_alone(struct glue_box *box)
{
	if (box)
		box->ending = 0;
	glue_leave(box);
}

/* Enters to end it. A handle's waiters are woken and its other callers awaited; in a forked child
 * those do not exist. */
static struct glue_box *glue_enter_alone(VALUE object)
{
	struct glue_box *box = glue_enter(object);

	if (box == NULL)
		return NULL;
	box->ending = 1;
	while (box->users > 1 && box->pid == getpid()) {
		auto nap = [box] {
			knocker_wake((knocker *)box->pointer);
			usleep(500);
		};

		if (!glue_unlocked(nap, GLUE_MAY_GIVE_UP, NULL)) {
			glue_leave_alone(box);
			return NULL;
		}
	}
	return box;
}
