/* The commands, by name and as functions: each gives its exit code, after its complaint. */
#ifndef COMMANDS_H
#define COMMANDS_H

#include "options.h"

const command *command_find(const char *name); /* NULL after saying that there is none */
option_bits command_takes(const char *name);   /* 0: there is none of that name */
void help_overview(FILE *out);
void help_of(const command *c);

int look_events(const options *o);
int look_deliveries(const options *o);
int look_audits(const options *o);
int look_stats(const options *o);
int look_endpoints(const options *o);
int look_providers(const options *o);
int one_event(const options *o);
int one_delivery(const options *o);
int one_why(const options *o);
int tail_run(const options *o);
int act_init(const options *o);
int act_ignore(const options *o);
int act_replay(const options *o);
int act_requeue(const options *o);
int act_replay_delivery(const options *o);
int act_pause(const options *o);
int act_resume(const options *o);
int reverify_run(const options *o);
int prune_run(const options *o);
int doctor_run(const options *o);
int request_verify(const options *o);
int request_sign(const options *o);
int send_requests(const options *o);
int emulate_run(const options *o);
int help_command(const options *o);

#endif
