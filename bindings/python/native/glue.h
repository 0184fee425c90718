/*
 * Python's half of knocker.i: how values, rows, errors and handles cross. It owns conversions; it
 * refuses to know what they mean. Everything here runs with the GIL held, which therefore guards
 * the boxes; the calls between run without it.
 */
typedef PyObject *glue_object;
#define GLUE_NOTHING NULL

static PyObject *glue_errors; /* {code: exception class}, given by knocker.errors */

static void glue_raise(int32_t code, const char *text)
{
	PyObject *key = PyLong_FromLong(code);
	PyObject *type = key && glue_errors ? PyDict_GetItem(glue_errors, key) : NULL;
	PyObject *message = PyUnicode_DecodeUTF8(text, (Py_ssize_t)strlen(text), "replace");

	PyErr_SetObject(type ? type : PyExc_RuntimeError, message);
	Py_XDECREF(message);
	Py_XDECREF(key);
}

static int glue_refuse(const char *name, const char *wanted, PyObject *value)
{
	char text[200];

	snprintf(text, sizeof text, "%.60s must be %.60s, not %.60s", name, wanted,
	         Py_TYPE(value)->tp_name);
	glue_raise(KNOCKER_INVALID_ARGUMENT, text);
	return 0;
}

/* ---- Into C ---- */

/* Lends the value's own bytes, which live as long as it does. None is nothing; a lone surrogate has
 * no UTF-8. */
static int glue_bytes(PyObject *value, const char *name, knocker_bytes *out)
{
	Py_ssize_t len = 0;

	out->data = NULL;
	out->len = 0;
	if (value == Py_None)
		return 1;
	if (PyBytes_Check(value)) {
		out->data = PyBytes_AS_STRING(value);
		len = PyBytes_GET_SIZE(value);
	} else if (!PyUnicode_Check(value)) {
		return glue_refuse(name, "text", value);
	} else if ((out->data = PyUnicode_AsUTF8AndSize(value, &len)) == NULL) {
		PyErr_Clear();
		return glue_refuse(name, "text without lone surrogates", value);
	}
	out->len = len;
	return 1;
}

static int glue_integer(PyObject *value, const char *name, int64_t *out)
{
	int overflow = 0;

	if (!PyLong_Check(value))
		return glue_refuse(name, "an integer", value);
	*out = PyLong_AsLongLongAndOverflow(value, &overflow);
	if (overflow == 0)
		return 1;
	return glue_refuse(name, "an integer of 64 bits", value);
}

/* Fills an options struct from a dict. A key that no member has is our own mistake. */
static int glue_members(PyObject *map, const struct member *members, size_t size, void *into)
{
	char *base = into;
	int64_t struct_size = (int64_t)size;
	Py_ssize_t left = PyDict_Check(map) ? PyDict_GET_SIZE(map) : -1;

	memset(into, 0, size);
	memcpy(into, &struct_size, sizeof struct_size);
	for (; members->name && left > 0; members++) {
		PyObject *value = PyDict_GetItemString(map, members->name);
		void *at = base + members->offset;

		if (value == NULL)
			continue;
		left--;
		if (members->kind == MEMBER_BYTES ? !glue_bytes(value, members->name, at)
		                                  : !glue_integer(value, members->name, at))
			return 0;
	}
	return left == 0 || glue_refuse("options", "a dict of known members", map);
}

/* One allocation: the pointers, then what they point to. */
static knocker_request **glue_requests(PyObject *list, const struct member *members, int32_t *count)
{
	Py_ssize_t n = PyList_Check(list) ? PyList_GET_SIZE(list) : 0;
	knocker_request **pointers = calloc((size_t)n + 1, sizeof *pointers + sizeof **pointers);
	knocker_request *requests = (knocker_request *)(pointers + n + 1);

	if (pointers == NULL)
		PyErr_NoMemory();
	for (Py_ssize_t i = 0; pointers && i < n; i++) {
		pointers[i] = &requests[i];
		if (!glue_members(PyList_GET_ITEM(list, i), members, sizeof *requests, &requests[i])) {
			free(pointers);
			pointers = NULL;
		}
	}
	*count = (int32_t)n;
	return pointers;
}

static int glue_value(PyObject *item, Py_ssize_t index, knocker_value *out)
{
	char name[40];

	snprintf(name, sizeof name, "parameter %lld", (long long)index + 1);
	if (item == Py_None) {
		out->type = KNOCKER_NULL;
	} else if (PyLong_Check(item)) {
		out->type = KNOCKER_INTEGER;
		return glue_integer(item, name, &out->integer);
	} else if (PyFloat_Check(item)) {
		out->type = KNOCKER_REAL;
		out->real = PyFloat_AS_DOUBLE(item);
	} else if (PyUnicode_Check(item) || PyBytes_Check(item)) {
		out->type = PyBytes_Check(item) ? KNOCKER_BLOB : KNOCKER_TEXT;
		return glue_bytes(item, name, &out->bytes);
	} else {
		return glue_refuse(name, "None, int, float, str or bytes", item);
	}
	return 1;
}

/* `held` owns what the values lend from: a list of the items, with any buffer (bytearray,
 * memoryview) copied to bytes. */
static knocker_value *glue_values(PyObject *items, int32_t *count, PyObject **held)
{
	PyObject *list = PyList_Check(items) || PyTuple_Check(items) ? PySequence_List(items) : NULL;
	Py_ssize_t n = list ? PyList_GET_SIZE(list) : 0;
	knocker_value *values = list ? calloc((size_t)n + 1, sizeof *values) : NULL;

	*held = list;
	*count = (int32_t)n;
	if (list == NULL && !PyErr_Occurred())
		glue_refuse("parameters", "a list or tuple", items);
	else if (values == NULL)
		PyErr_NoMemory();
	for (Py_ssize_t i = 0; values && i < n; i++) {
		PyObject *item = PyList_GET_ITEM(list, i);

		if (PyByteArray_Check(item) || PyMemoryView_Check(item)) {
			item = PyBytes_FromObject(item);
			if (item)
				PyList_SetItem(list, i, item);
		}
		if (item == NULL || !glue_value(item, i, &values[i])) {
			free(values);
			values = NULL;
		}
	}
	return values;
}

static void glue_values_free(knocker_value *values, PyObject *held)
{
	free(values);
	Py_XDECREF(held);
}

/* ---- Out of C ---- */

static PyObject *glue_number(int64_t number)
{
	return PyLong_FromLongLong(number);
}

/* Text of the application's own that is not UTF-8 keeps its bytes, as lone surrogates. */
static PyObject *glue_from_value(const knocker_value *value)
{
	const char *data = value->bytes.data ? value->bytes.data : "";

	switch (value->type) {
	case KNOCKER_INTEGER:
		return PyLong_FromLongLong(value->integer);
	case KNOCKER_REAL:
		return PyFloat_FromDouble(value->real);
	case KNOCKER_TEXT:
		return PyUnicode_DecodeUTF8(data, (Py_ssize_t)value->bytes.len, "surrogateescape");
	case KNOCKER_BLOB:
		return PyBytes_FromStringAndSize(data, (Py_ssize_t)value->bytes.len);
	default:
		Py_RETURN_NONE;
	}
}

static PyObject *glue_row(const knocker_rows *rows, PyObject *names)
{
	PyObject *row = PyDict_New();

	for (int32_t i = 0; row && i < (int32_t)PyTuple_GET_SIZE(names); i++) {
		knocker_value value = {0};
		PyObject *item = knocker_rows_value(rows, i, &value) < 0 ? NULL : glue_from_value(&value);

		if (item == NULL || PyDict_SetItem(row, PyTuple_GET_ITEM(names, i), item) < 0)
			Py_CLEAR(row);
		Py_XDECREF(item);
	}
	if (row == NULL && !PyErr_Occurred())
		PyErr_NoMemory();
	return row;
}

static PyObject *glue_names(const knocker_rows *rows)
{
	int32_t columns = rows ? knocker_rows_columns(rows) : 0;
	PyObject *names = PyTuple_New(columns);

	for (int32_t i = 0; names && i < columns; i++) {
		const char *text = knocker_rows_name(rows, i);
		PyObject *name = PyUnicode_DecodeUTF8(text, (Py_ssize_t)strlen(text), "replace");

		if (name == NULL)
			Py_CLEAR(names);
		else
			PyTuple_SET_ITEM(names, i, name);
	}
	return names;
}

/* The one place where rows become Python's: a list of dicts. NULL rows are none. */
static PyObject *glue_rows(knocker_rows *rows)
{
	PyObject *names = glue_names(rows);
	PyObject *list = names ? PyList_New(0) : NULL;

	while (list && rows && knocker_rows_next(rows) == 0) {
		PyObject *row = glue_row(rows, names);

		if (row == NULL || PyList_Append(list, row) < 0)
			Py_CLEAR(list);
		Py_XDECREF(row);
	}
	Py_XDECREF(names);
	return list;
}

/* ---- Handles and works ---- */

static void glue_box_free(PyObject *capsule)
{
	struct glue_box *box = PyCapsule_GetPointer(capsule, NULL);

	glue_box_end(box->pointer, box->is_work);
	free(box);
}

static PyObject *glue_box(void *pointer, int is_work)
{
	struct glue_box *box = calloc(1, sizeof *box);
	PyObject *capsule = box ? PyCapsule_New(box, NULL, glue_box_free) : NULL;

	if (box == NULL)
		return PyErr_NoMemory();
	box->pointer = pointer;
	box->is_work = is_work;
	box->pid = getpid();
	if (capsule == NULL)
		free(box);
	return capsule;
}

static struct glue_box *glue_box_of(PyObject *capsule)
{
	return PyCapsule_GetPointer(capsule, NULL);
}

/* Wakes those inside, and lets them run. */
static int glue_nap(struct glue_box *box)
{
	PyThreadState *state = PyEval_SaveThread();

	knocker_wake(box->pointer);
	usleep(500);
	PyEval_RestoreThread(state);
	return 1;
}

/* ---- What only Python needs ---- */

static void glue_set_errors(PyObject *classes)
{
	Py_INCREF(classes);
	Py_XSETREF(glue_errors, classes);
}
