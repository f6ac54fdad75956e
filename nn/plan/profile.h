/* profile.h: where a context's time and memory go, step by step.
 *
 * While ctx->profile is set, every moment of wall time belongs to one activity (graph.h): ln_enter and
 * ln_leave switch, nested ones interrupt their surroundings, so the sums are exact. A step of a plan is an
 * activity too; its time, FLOP and bytes go to a row for its op, layer and phase. The first
 * LN_PROFILE_EVENTS steps and pauses are kept one by one, for a trace.
 */
#ifndef LN_PLAN_PROFILE_H
#define LN_PLAN_PROFILE_H

#include "plan.h"

enum { LN_PROFILE_EVENTS = 200000, LN_PROFILE_TOP = 12 };

typedef enum ln_phase { LN_FORWARD = 0, LN_BACKWARD, LN_UPDATE, LN_PHASE_COUNT } ln_phase;

/* All steps of one op in one layer and phase; `where` tells ops outside of all layers apart. */
typedef struct ln_profile_row {
  ln_op op;
  ln_phase phase;
  const char *layer, *where; /* the context's; where is the first line seen when there is a layer */
  uint64_t calls;
  int64_t ns;
  double flops, bytes; /* cost.c */
} ln_profile_row;

typedef struct ln_profile_event {
  int64_t start, ns; /* from the profile's start */
  int row;           /* of a step; else -1 - activity */
  size_t memory;     /* in use during a step */
} ln_profile_event;

typedef struct ln_profile_value {
  int row; /* who computed it */
  ln_meta meta;
  size_t bytes;
} ln_profile_value;

/* The run of a plan during which most memory was in use. "In use" counts a temporary from the step
 * that writes it to the last that reads it; the arena as a whole is held from run to run. */
typedef struct ln_profile_peak {
  size_t bytes;                             /* outside + temporaries + workspace at step `at` */
  size_t outside, cells, kept, free, arena; /* all but the arena; of that cells, results that stay, pool; the arena */
  size_t temporaries, workspace;            /* at that step */
  int at, nstep;
  size_t *memory;                           /* in use at each step */
  int *row;                                 /* of each step; -1: an alias, which does not run */
  int memory_cap, row_cap;
  ln_profile_value top[LN_PROFILE_TOP];     /* the largest temporaries and results at that step */
  int ntop;
} ln_profile_peak;

typedef struct ln_profile {
  ln_mem *mem;
  size_t own;                /* bytes that the profile itself takes */
  int64_t started, since, stopped;
  ln_activity now;
  int64_t total[LN_ACTIVITY_COUNT];
  ln_profile_row *row;
  int nrow, row_cap;
  int *index;                /* open addressing over rows, -1 = empty; twice row_cap */
  ln_profile_event *event;
  int nevent, event_cap;
  uint64_t lost;             /* steps and pauses that are not among the events */
  bool incomplete;           /* memory ran out: some steps are in the total time only */
  size_t *memory;            /* of the running plan: temporaries and workspace at each step */
  int memory_cap;
  size_t outside;            /* of the running plan */
  ln_profile_peak peak;
  uint64_t flushes, built;   /* the context's counters at the start, then the difference */
} ln_profile;

/* Sets ctx->profile; an earlier one must have been stopped. */
ln_code ln_profile_start(ln_ctx *ctx, ln_profile **out);
void ln_profile_stop(ln_ctx *ctx);
void ln_profile_free(ln_profile *p); /* stopped; NULL is fine */
const char *ln_activity_name(ln_activity activity);
const char *ln_phase_name(ln_phase phase);

/* For run.c, only while ctx->profile is set: before the first step of a run whose pointers are
 * bound, and behind each step, which takes the place of ln_leave. */
void ln_profile_plan(ln_ctx *ctx, const ln_plan *plan, const ln_work *work);
void ln_profile_step(ln_ctx *ctx, ln_activity before, const ln_plan *plan, const ln_work *work, int s);

/* cost.c: what a step has to do at least. FLOP: convolutions and products count 2 for each
 * multiplication of the direct method, padding included; other ops a few for each element (table in
 * cost.c), movement none. Bytes: every input read and every output written once. */
void ln_cost(const ln_call *call, double *flops, double *bytes);

#endif
