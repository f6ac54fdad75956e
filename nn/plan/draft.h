/* draft.h: a plan while it is being made: steps and slots copied from the recorded nodes, which
 * passes rewrite. The nodes themselves stay as they are, so errors keep their lines.
 *
 * Positions are indices of d->step; ln_draft_insert moves what comes behind, ln_draft_remove leaves
 * a hole (NULL) until the pass ends. A draft that ran out of memory keeps `failed` and
 * ignores further changes, so passes check only what they dereference.
 */
#ifndef LN_PLAN_DRAFT_H
#define LN_PLAN_DRAFT_H

#include "plan.h"

typedef struct ln_draft_slot {
  ln_meta meta;
  int external;    /* index among the work's externals; -1: computed here */
  bool is_cell, live;
  bool low;        /* rounded to bf16 (precision.c), and stored so where meta.dtype is LN_BF16 (layout.c) */
  ln_layout layout;
  int whole;       /* the slot that this one is a slice of along dim 1; -1: none */
  int64_t channel; /* its first channel in there */
  int delivered;   /* where the value that a handle wants lies: the slot itself, or its plain copy */
  int producer, nuse, last_use; /* positions, by ln_draft_index; -1: none */
} ln_draft_slot;

typedef struct ln_draft_step {
  ln_op op;
  int node; /* of the work: scalars, line and layer */
  int nin, nout;
  int *in, *out; /* slots; -1: absent input, or an output that nobody wants */
  bool elided;
  ln_attrs attrs;
  int slots[];
} ln_draft_step;

typedef struct ln_draft {
  ln_ctx *ctx;
  const ln_work *work;
  const ln_backend *backend;
  void *self;
  ln_draft_step **step;
  int nstep, step_cap;
  ln_draft_slot *slot;
  int nslot, slot_cap;
  bool failed;
} ln_draft;

ln_code ln_draft_open(ln_ctx *ctx, const ln_work *work, ln_draft *d);
void ln_draft_close(ln_draft *d);

/* A slot of its own memory; -1 when memory ran out. */
int ln_draft_new_slot(ln_draft *d, const ln_meta *meta, ln_layout layout);
/* A step of another op in the place of the one at `at`, with its node and attributes and these slots, which may be
 * the old step's own. NULL when memory ran out, and nothing changed. */
ln_draft_step *ln_draft_replace(ln_draft *d, int at, ln_op op, int nin, const int *in, int nout, const int *out);
/* A step before position `at`, with the node and attributes of `like`; slots are -1 until the caller fills them. NULL when
 * memory ran out. The index is old afterwards. */
ln_draft_step *ln_draft_insert(ln_draft *d, int at, const ln_draft_step *like, ln_op op, int nin, int nout);
void ln_draft_remove(ln_draft *d, int at);

/* Fills producer, nuse and last_use of every slot. */
void ln_draft_index(ln_draft *d);
/* The position of the one step that uses the slot, when there is just one and no handle wants the value; else -1. */
int ln_draft_only_user(const ln_draft *d, int slot);
/* The first user at or behind `from` of that op whose input `input` is the slot; -1. */
int ln_draft_find_user(const ln_draft *d, int slot, ln_op op, int input, int from);
bool ln_draft_is_op(const ln_draft *d, int at, ln_op op);

/* fuse_conv.c: removes a user of the slot that sums it over all but the channels, and returns that sum's
 * slot; -1 when there is none. And a new slot for one float a channel of `like`. */
int ln_pass_take_channel_sum(ln_draft *d, int slot);
int ln_pass_new_channel_slot(ln_draft *d, int like);

/* -- passes. Each is a file of its own; ln_draft_passes runs those that are not switched off
 * (ctx->passes_off, from LUNETTE_PASSES=-name,-name). A backend without `layouts` gets none. */
void ln_pass_precision(ln_draft *d);
void ln_pass_round(ln_draft *d);
void ln_pass_fuse_norm(ln_draft *d);
void ln_pass_fold_norm(ln_draft *d);
void ln_pass_fuse_conv(ln_draft *d);
void ln_pass_fuse_relu(ln_draft *d);
void ln_pass_fuse_pool(ln_draft *d);
void ln_pass_fuse_bce(ln_draft *d);
void ln_pass_fuse_norm_pool(ln_draft *d);
void ln_pass_recompute(ln_draft *d);
void ln_pass_layout(ln_draft *d);
void ln_pass_concat(ln_draft *d);
ln_code ln_draft_passes(ln_draft *d);

#endif
