/* The operators' half of nif.c, which includes it once: looking at rows, and acting on them. It
 * owns the order of arguments, and refuses to know what they mean. */

NIF(nif_get)
{
	int64_t kind, id;
	CALL;

	if (arg_handle(c, argv[0]) && terms_integer(c, argv[1], "kind", &kind) &&
	    terms_integer(c, argv[2], "id", &id))
		c->rc = knocker_get(c->k, (int32_t)kind, id, &c->rows, &c->error);
	return finish_rows(c);
}

NIF(nif_ignore)
{
	int64_t id;
	knocker_bytes reason;
	CALL;

	if (arg_handle(c, argv[0]) && terms_integer(c, argv[1], "id", &id) &&
	    terms_bytes(c, argv[2], "reason", &reason))
		c->rc = knocker_ignore(c->k, id, reason, &c->error);
	return finish_code(c);
}

#define NIF_ACT(name, function)                                             \
	NIF(name)                                                               \
	{                                                                       \
		int64_t id;                                                         \
		CALL;                                                               \
                                                                            \
		if (arg_handle(c, argv[0]) && terms_integer(c, argv[1], "id", &id)) \
			c->rc = function(c->k, id, &c->error);                          \
		return finish_code(c);                                              \
	}
NIF_ACT(nif_replay, knocker_replay)
NIF_ACT(nif_requeue, knocker_requeue)
NIF_ACT(nif_replay_delivery, knocker_replay_delivery)

NIF(nif_reverify)
{
	knocker_request by;
	int64_t since_s, after_id, limit, dry_run;
	CALL;

	if (arg_handle(c, argv[0]) && terms_members(c, argv[1], &REQUEST, &by) &&
	    terms_integer(c, argv[2], "since", &since_s) &&
	    terms_integer(c, argv[3], "after_id", &after_id) &&
	    terms_integer(c, argv[4], "limit", &limit) &&
	    terms_integer(c, argv[5], "dry_run", &dry_run))
		c->rc = knocker_reverify(c->k, &by, since_s, after_id, limit, (int32_t)dry_run, &c->rows,
		                         &c->error);
	return finish_rows(c);
}

NIF(nif_why)
{
	int64_t id;
	CALL;

	if (arg_handle(c, argv[0]) && terms_integer(c, argv[1], "id", &id))
		c->rc = knocker_why(c->k, id, &c->rows, &c->error);
	return finish_rows(c);
}

NIF(nif_stats)
{
	CALL;

	if (arg_handle(c, argv[0]))
		c->rc = knocker_stats(c->k, &c->rows, &c->error);
	return finish_rows(c);
}

#define NIF_OPTIONS(name, type, table, function)                                   \
	NIF(name)                                                                      \
	{                                                                              \
		type options;                                                              \
		CALL;                                                                      \
                                                                                   \
		if (arg_handle(c, argv[0]) && terms_members(c, argv[1], &table, &options)) \
			c->rc = function(c->k, &options, &c->rows, &c->error);                 \
		return finish_rows(c);                                                     \
	}
NIF_OPTIONS(nif_list, knocker_filter, FILTER, knocker_list)
NIF_OPTIONS(nif_prune_events, knocker_prune, PRUNE, knocker_prune_events)
NIF_OPTIONS(nif_prune_orphan_deliveries, knocker_prune, PRUNE, knocker_prune_orphan_deliveries)
NIF_OPTIONS(nif_retain, knocker_retention, RETENTION, knocker_retain)
