/*
 * What Ruby adds to knocker.i: calls run without the lock that Ruby's threads share, text stays
 * where it is meanwhile, and what is to be raised is raised last, when everything is given back.
 */
%init %{
	glue_init(mNative);
%}

%typemap(in) knocker_bytes {
	if (!glue_keep(&$input) || !glue_bytes($input, "$1_name", &$1))
		SWIG_fail;
}
/* The error is the last argument, so nothing is left to free after this. */
%typemap(freearg) knocker_error *error { glue_raise_pending(); }

%exception {
	auto call = [&] { $action };
	if (!glue_unlocked(call, GLUE_MAY_GIVE_UP, NULL))
		SWIG_fail;
}
%exception knocker_wait {
	auto call = [&] { $action };
	if (!glue_unlocked(call, GLUE_MAY_GIVE_UP, arg1))
		SWIG_fail;
}
%exception settle {
	auto call = [&] { $action };
	if (!glue_unlocked(call, GLUE_MUST_RUN, NULL))
		SWIG_fail;
}
%exception abandon {
	auto call = [&] { $action };
	if (!glue_unlocked(call, GLUE_MUST_RUN, NULL))
		SWIG_fail;
}
%exception check_request { $action }
%exception knocker_error_name { $action }
%exception knocker_version { $action }
%exception set_errors { $action }
%exception same_sqlite { $action }
%exception wake { $action }
%typemap(out) int32_t same_sqlite { %set_output(SWIG_From_int($1)); }
%typemap(out) const char * { %set_output(rb_utf8_str_new_cstr($1)); }
%typemap(in) VALUE classes { $1 = $input; }

%ignore knocker_wake;
%inline %{
static int32_t set_errors(VALUE classes)
{
	glue_errors = classes;
	return 0;
}

static int32_t same_sqlite(knocker_bytes path, knocker_error *error)
{
	char name[4096];

	(void)error;
	snprintf(name, sizeof name, "%.*s", (int)path.len, (const char *)path.data);
	return glue_same_sqlite(name) == 1;
}

static int32_t wake(knocker *k, knocker_error *error)
{
	(void)error;
	return knocker_wake(k);
}
%}
