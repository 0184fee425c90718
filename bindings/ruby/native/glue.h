/*
 * Ruby's half of knocker.i: how values, rows, errors and handles cross. It owns conversions; it
 * refuses to know what they mean. Everything here runs with the lock that Ruby's threads share
 * held, which therefore guards the boxes; the calls between run without it.
 *
 * Nothing here jumps out of a call: what Ruby raises is caught (glue_protect), and goes on when the
 * call has given back what it held (glue_raise_pending). It is C++ for one thing, a closure
 * (glue_unlocked).
 */
#include <ruby.h>
#include <ruby/encoding.h>
#include <ruby/thread.h>

typedef VALUE glue_object;
#define GLUE_NOTHING Qundef

static VALUE glue_errors = Qnil;    /* {code: exception class}, given by errors.rb */
static VALUE glue_box_class = Qnil; /* of opaque objects */
static int glue_pending;            /* how Ruby wants to leave this call: rb_protect's word, or 0 */

/* ---- Raising ---- */

/* Runs a step that may raise; GLUE_NOTHING when it did. */
static VALUE glue_protect(VALUE (*step)(VALUE), const void *with)
{
	int state = 0;
	VALUE made = rb_protect(step, (VALUE)with, &state);

	if (state == 0)
		return made;
	glue_pending = state;
	return GLUE_NOTHING;
}

static void glue_raise_pending(void)
{
	int state = glue_pending;

	glue_pending = 0;
	if (state != 0)
		rb_jump_tag(state);
}

struct glue_failure {
	int32_t code;
	const char *text;
};

static VALUE glue_raise_step(VALUE with)
{
	const struct glue_failure *failure = (const struct glue_failure *)with;
	VALUE type = rb_hash_lookup(glue_errors, INT2FIX(failure->code));
	VALUE text = rb_utf8_str_new_cstr(failure->text);
	VALUE whole = rb_str_scrub(text, Qnil); /* nil: it was already */

	rb_exc_raise(
		rb_exc_new_str(NIL_P(type) ? rb_eRuntimeError : type, NIL_P(whole) ? text : whole));
}

static void glue_raise(int32_t code, const char *text)
{
	struct glue_failure failure = {code, text};

	glue_protect(glue_raise_step, &failure);
}

static int glue_refuse(const char *name, const char *wanted, VALUE value)
{
	char text[240];

	snprintf(text, sizeof text, "%.60s must be %.80s, not %.60s", name, wanted,
	         rb_obj_classname(value));
	glue_raise(KNOCKER_INVALID_ARGUMENT, text);
	return 0;
}

/* ---- Without the lock ---- */

enum glue_manner {
	GLUE_MAY_GIVE_UP, /* a thread that is killed or interrupted before it began does not begin */
	GLUE_MUST_RUN     /* what ends a work runs all the same; then Ruby has its way */
};

struct glue_once {
	void *(*run)(void *);
	void *call;
	knocker *waits;
	bool done;
};

static void glue_unblock(void *waiting)
{
	knocker_wake((knocker *)waiting);
}

/* Ruby refuses to begin while it wants the thread elsewhere, and then has its way. */
static VALUE glue_unlocked_step(VALUE with)
{
	struct glue_once *once = (struct glue_once *)with;

	rb_thread_call_without_gvl2(once->run, once, once->waits ? glue_unblock : NULL, once->waits);
	if (!once->done)
		rb_thread_check_ints();
	return Qnil;
}

/* Runs a call once; false when Ruby wants to leave. `waits` is a wait's handle: the wait ends when
 * its thread is wanted elsewhere. Any other call that has begun is never cut off, so that a receipt
 * is not answered by an exception when it is in the file. */
template <typename Call>
static bool glue_unlocked(Call &call, enum glue_manner manner, knocker *waits)
{
	auto run = [](void *at) -> void * {
		struct glue_once *once = (struct glue_once *)at;

		(*(Call *)once->call)();
		once->done = true;
		return NULL;
	};
	struct glue_once once = {run, &call, waits, false};
	int leaving = 0;

	do {
		glue_pending = 0;
		glue_protect(glue_unlocked_step, &once);
		if (glue_pending != 0)
			leaving = glue_pending;
		glue_pending = 0; /* other threads may run before this one leaves */
	} while (!once.done && (leaving == 0 || manner == GLUE_MUST_RUN));
	glue_pending = leaving;
	return leaving == 0;
}

/* ---- Into C ---- */

/* More than any Ruby keeps inside of a string object, which compaction may move. */
enum { GLUE_OUTSIDE = 1024 };

static VALUE glue_still(VALUE text)
{
	VALUE frozen = rb_str_new_frozen(text);
	VALUE copy;

	if (FL_TEST_RAW(frozen, RSTRING_NOEMBED))
		return frozen;
	copy = rb_str_buf_new(GLUE_OUTSIDE);
	rb_enc_copy(copy, frozen);
	return rb_str_buf_append(copy, frozen);
}

/* Puts a string that nobody can change, free or move in the place of one. */
static int glue_keep(VALUE *place)
{
	VALUE still = Qnil;

	if (!RB_TYPE_P(*place, T_STRING))
		return 1;
	still = glue_protect(glue_still, (const void *)*place);
	if (still == GLUE_NOTHING)
		return 0;
	*place = still;
	return 1;
}

/* Lends the bytes of a kept string. nil is nothing. */
static int glue_bytes(VALUE value, const char *name, knocker_bytes *out)
{
	int encoding = 0;

	out->data = NULL;
	out->len = 0;
	if (NIL_P(value))
		return 1;
	if (!RB_TYPE_P(value, T_STRING))
		return glue_refuse(name, "a String", value);
	encoding = rb_enc_get_index(value);
	if (encoding != rb_utf8_encindex() && encoding != rb_usascii_encindex() &&
	    encoding != rb_ascii8bit_encindex())
		return glue_refuse(name, "a String in UTF-8", rb_obj_encoding(value));
	out->data = RSTRING_PTR(value);
	out->len = RSTRING_LEN(value);
	return 1;
}

static int glue_integer(VALUE value, const char *name, int64_t *out)
{
	int sign = 0;

	if (!RB_INTEGER_TYPE_P(value))
		return glue_refuse(name, "an Integer", value);
	sign = rb_integer_pack(value, out, 1, sizeof *out, 0,
	                       INTEGER_PACK_NATIVE_BYTE_ORDER | INTEGER_PACK_2COMP);
	if (sign >= -1 && sign <= 1 && (*out < 0) == (sign < 0))
		return 1;
	return glue_refuse(name, "an Integer of 64 bits", value);
}

/* A map's member, and in the map a string that is kept. */
static int glue_member(VALUE map, const struct member *member, VALUE value, void *at)
{
	VALUE kept = value;

	if (member->kind == MEMBER_INTEGER)
		return NIL_P(value) || glue_integer(value, member->name, (int64_t *)at);
	if (!glue_keep(&kept))
		return 0;
	if (kept != value)
		rb_hash_aset(map, ID2SYM(rb_intern(member->name)), kept);
	return glue_bytes(kept, member->name, (knocker_bytes *)at);
}

/* Fills an options struct from a hash of symbols that the face has made for this call. A key that
 * no member has is our own mistake. */
static int glue_members(VALUE map, const struct member *members, size_t size, void *into)
{
	char *base = (char *)into;
	int64_t struct_size = (int64_t)size;
	size_t left = RB_TYPE_P(map, T_HASH) ? RHASH_SIZE(map) : 1;

	memset(into, 0, size);
	memcpy(into, &struct_size, sizeof struct_size);
	for (; RB_TYPE_P(map, T_HASH) && members->name && left > 0; members++) {
		VALUE value = rb_hash_lookup2(map, ID2SYM(rb_intern(members->name)), Qundef);

		if (value == Qundef)
			continue;
		left--;
		if (!glue_member(map, members, value, base + members->offset))
			return 0;
	}
	return left == 0 || glue_refuse("options", "a Hash of known members", map);
}

/* One allocation: the pointers, then what they point to. */
static knocker_request **glue_requests(VALUE list, const struct member *members, int32_t *count)
{
	size_t n = RB_TYPE_P(list, T_ARRAY) ? (size_t)RARRAY_LEN(list) : 0;
	knocker_request **pointers = (knocker_request **)calloc(n + 1,
	                                                        sizeof *pointers + sizeof **pointers);
	knocker_request *requests = (knocker_request *)(pointers + n + 1);

	if (pointers == NULL)
		glue_raise(KNOCKER_STORAGE, "no memory");
	for (size_t i = 0; pointers && i < n; i++) {
		pointers[i] = &requests[i];
		if (!glue_members(RARRAY_AREF(list, (long)i), members, sizeof *requests, &requests[i])) {
			free(pointers);
			pointers = NULL;
		}
	}
	*count = (int32_t)n;
	return pointers;
}

static int glue_value(VALUE item, size_t index, knocker_value *out)
{
	char name[40];

	snprintf(name, sizeof name, "parameter %zu", index + 1);
	if (NIL_P(item)) {
		out->type = KNOCKER_NULL;
	} else if (item == Qtrue || item == Qfalse) {
		out->type = KNOCKER_INTEGER;
		out->integer = item == Qtrue;
	} else if (RB_INTEGER_TYPE_P(item)) {
		out->type = KNOCKER_INTEGER;
		return glue_integer(item, name, &out->integer);
	} else if (RB_FLOAT_TYPE_P(item)) {
		out->type = KNOCKER_REAL;
		out->real = RFLOAT_VALUE(item);
	} else if (RB_TYPE_P(item, T_STRING)) {
		out->type = rb_enc_get_index(item) == rb_ascii8bit_encindex() ? KNOCKER_BLOB : KNOCKER_TEXT;
		if (out->type == KNOCKER_TEXT && rb_enc_str_coderange(item) == ENC_CODERANGE_BROKEN)
			return glue_refuse(name, "valid UTF-8 (bytes are a String of its method b)", item);
		return glue_bytes(item, name, &out->bytes);
	} else {
		return glue_refuse(name, "nil, true, false, an Integer, a Float or a String", item);
	}
	return 1;
}

static VALUE glue_copy(VALUE items)
{
	return rb_ary_dup(items);
}

/* `held` owns what the values lend from: a copy of the list, with its strings kept. */
static knocker_value *glue_values(VALUE items, int32_t *count, VALUE *held)
{
	VALUE list = Qundef;
	knocker_value *values = NULL;
	long n = 0;

	if (!RB_TYPE_P(items, T_ARRAY))
		glue_refuse("parameters", "an Array", items);
	else
		list = glue_protect(glue_copy, (const void *)items);
	if (list == GLUE_NOTHING)
		return NULL;
	*held = list;
	n = RARRAY_LEN(list);
	*count = (int32_t)n;
	values = (knocker_value *)calloc((size_t)n + 1, sizeof *values);
	if (values == NULL)
		glue_raise(KNOCKER_STORAGE, "no memory");
	for (long i = 0; values && i < n; i++) {
		VALUE item = RARRAY_AREF(list, i);
		bool kept = glue_keep(&item);

		if (kept)
			rb_ary_store(list, i, item);
		if (!kept || !glue_value(item, (size_t)i, &values[i])) {
			free(values);
			values = NULL;
		}
	}
	return values;
}

static void glue_values_free(knocker_value *values, VALUE held)
{
	free(values);
	RB_GC_GUARD(held);
}

/* ---- Out of C ---- */

static VALUE glue_number(int64_t number)
{
	return LL2NUM(number);
}

/* Text is UTF-8, and bytes are binary. Text of the application's own that is not UTF-8 keeps its
 * bytes: valid_encoding? says so. */
static VALUE glue_from_value(const knocker_value *value)
{
	const char *data = value->bytes.data ? (const char *)value->bytes.data : "";

	switch (value->type) {
	case KNOCKER_INTEGER:
		return LL2NUM(value->integer);
	case KNOCKER_REAL:
		return DBL2NUM(value->real);
	case KNOCKER_TEXT:
		return rb_utf8_str_new(data, (long)value->bytes.len);
	case KNOCKER_BLOB:
		return rb_str_new(data, (long)value->bytes.len);
	default:
		return Qnil;
	}
}

static VALUE glue_row(const knocker_rows *rows, VALUE names)
{
	VALUE row = rb_hash_new();

	for (long i = 0; i < RARRAY_LEN(names); i++) {
		knocker_value value = {};

		knocker_rows_value(rows, (int32_t)i, &value);
		rb_hash_aset(row, RARRAY_AREF(names, i), glue_from_value(&value));
	}
	return row;
}

static VALUE glue_rows_step(VALUE with)
{
	knocker_rows *rows = (knocker_rows *)with;
	VALUE names = rb_ary_new();
	VALUE list = rb_ary_new();

	for (int32_t i = 0; rows && i < knocker_rows_columns(rows); i++) {
		const char *name = knocker_rows_name(rows, i);

		rb_ary_push(names, rb_enc_interned_str(name, (long)strlen(name), rb_utf8_encoding()));
	}
	while (rows && knocker_rows_next(rows) == 0)
		rb_ary_push(list, glue_row(rows, names));
	RB_GC_GUARD(names);
	return list;
}

/* The one place where rows become Ruby's: an array of hashes. NULL rows are none. */
static VALUE glue_rows(knocker_rows *rows)
{
	return glue_protect(glue_rows_step, rows);
}

#include "box.h"

/* ---- What only Ruby needs ---- */

static void glue_init(VALUE module)
{
	glue_box_class = rb_define_class_under(module, "Box", rb_cObject);
	rb_undef_alloc_func(glue_box_class);
	rb_gc_register_address(&glue_errors);
	rb_gc_register_address(&glue_box_class);
}
