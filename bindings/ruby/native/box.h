/*
 * Handles and works as Ruby's objects, which end once: by a call, or when they are collected. It
 * refuses to know who is inside of one, which knocker.i keeps. Part of glue.h.
 */

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

static struct glue_box *glue_box_of(VALUE object)
{
	if (rb_typeddata_is_kind_of(object, &glue_box_type))
		return (struct glue_box *)RTYPEDDATA_DATA(object);
	glue_refuse("the handle", "an open one", object);
	return NULL;
}

/* Wakes those inside, and lets them run; 0 when whoever waits is to go. */
static int glue_nap(struct glue_box *box)
{
	auto nap = [box] {
		knocker_wake((knocker *)box->pointer);
		usleep(500);
	};

	return glue_unlocked(nap, GLUE_MAY_GIVE_UP, NULL);
}
