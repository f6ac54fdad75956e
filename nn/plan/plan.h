/* plan.h: a plan is a recorded graph made runnable: an order, a place in memory for
 * every value, and prepared kernels. Flush makes or finds one and runs it.
 */
#ifndef LN_PLAN_PLAN_H
#define LN_PLAN_PLAN_H

#include "../graph/graph.h"

/* Where a value of the plan lies. */
typedef enum ln_place {
  LN_EXTERNAL, /* computed before: leaf, cell, result of an earlier flush; index = which */
  LN_ARENA,    /* offset into the device's arena */
  LN_LIVE      /* a buffer of its own, which outlives the plan; index = which */
} ln_place;

typedef struct ln_slot {
  ln_meta meta;
  ln_layout layout;
  ln_place place;
  int root;          /* the slot whose memory this one shares (itself when it owns it) */
  size_t shift;      /* bytes into the root's memory */
  int64_t image;     /* elements from image to image */
  int index;
  size_t offset, bytes;
  int first, last;   /* steps between which the memory is in use */
  bool live;         /* somebody wants the value after the flush */
  bool is_cell;
} ln_slot;

typedef struct ln_step {
  ln_call call;
  int node;              /* the work's node that it stands for: scalars, line, layer */
  int *in, *out;         /* slot indices; -1: absent */
  size_t workspace;      /* offset into the arena */
  bool elided;           /* an alias: nothing to run */
  int group;             /* > 1: this step and the next group - 1 run as one; 0: the group of an earlier step */
} ln_step;

typedef struct ln_plan {
  struct ln_plan *next;  /* in the cache, most recently used first */
  unsigned char *key;
  size_t key_bytes;
  uint64_t hash;
  ln_device device;
  ln_step *step;
  int nstep, ncommit;    /* the last ncommit steps write cells */
  ln_slot *slot;
  int nslot;
  int nexternal, nlive;  /* how many external slots, how many buffers of its own */
  size_t arena_bytes;
  ln_attrs *attrs;       /* one a step */
  ln_arg *args;          /* all steps' arguments in a row */
  int *indices;          /* all steps' slot indices in a row */
  ln_call **calls;       /* of the steps in order, for groups */
  int *delivered;        /* where the value of each of the work's slots lies for its handles */
} ln_plan;

/* What one flush works on: the wanted nodes in order, commits last. Slots are numbered
 * externals first (value->slot), then the outputs of each node in order (node->slot is
 * the slot of a node's first output). */
typedef struct ln_work {
  ln_node **node;
  unsigned char *live;   /* a node's outputs that must exist afterwards, as bits */
  int nnode, ncommit;
  ln_value **external;
  int nexternal, nslot;
  unsigned char *key;    /* the context's */
  size_t key_bytes;
  uint64_t hash;
} ln_work;

/* The slot of an input: computed values are external, the others come from the work. */
static inline int ln_work_slot(const ln_value *v) {
  return v->buffer != NULL ? v->slot : v->node->slot + v->output;
}

/* work.c: what must run, in order, and its key. Frees nothing of the graph. */
ln_code ln_work_open(ln_ctx *ctx, ln_work *work);
void ln_work_close(ln_ctx *ctx, ln_work *work);
/* passes.c: reads LUNETTE_PASSES=-name,-name into bits of passes that are switched off. */
bool ln_pass_is_on(const ln_ctx *ctx, const char *name);
ln_code ln_passes_parse(const char *text, unsigned *off, ln_error *err);
/* build.c */
ln_code ln_plan_build(ln_ctx *ctx, const ln_work *work, ln_plan **out);
void ln_plan_free(ln_ctx *ctx, ln_plan *plan);
/* group.c: fills calls and every step's group; one step a group where not wanted. */
void ln_plan_group(ln_plan *plan, bool wanted);
/* arena.c: gives every LN_ARENA root and workspace an offset so that memory in use at
 * the same step never overlaps. */
ln_code ln_arena_layout(ln_ctx *ctx, ln_plan *plan);
/* nonfinite.c: after a guard failed at step `guard`, runs again up to it, looking at every
 * result, and names the first op that made a NaN or infinity. Fills ctx->error. */
ln_code ln_plan_blame_nonfinite(ln_ctx *ctx, ln_plan *plan, const ln_work *work, int guard);
/* run.c */
ln_code ln_plan_run(ln_ctx *ctx, ln_plan *plan, const ln_work *work);
/* cache.c */
ln_plan *ln_plan_find(ln_ctx *ctx, const ln_work *work);
ln_code ln_plan_keep(ln_ctx *ctx, ln_plan *plan); /* on failure the plan is freed */
void ln_plan_cache_free(ln_ctx *ctx);
const ln_plan *ln_plan_last(const ln_ctx *ctx); /* the one that ran last, NULL before the first */
/* How the arguments of a step lie: a letter each, inputs then outputs (p plain, b blocked, a capital where it
 * lies inside another value, - absent). Returns the length. */
size_t ln_plan_layouts(const ln_plan *plan, int step, char *text, size_t size);
/* The backend's chosen (nn/backend.h) of a step. */
const char *ln_plan_chosen(const ln_ctx *ctx, const ln_plan *plan, int step, char key[LN_CHOICE_KEY]);

#endif
