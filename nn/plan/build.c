/* build.c: from a recorded graph to a plan: which values share memory, how long each is
 * needed, and what the backend prepares for each step.
 */
#include <string.h>

#include "../graph/internal.h"
#include "plan.h"

/* -- allocation */

static size_t count_args(const ln_work *work) {
  size_t n = 0;
  for (int k = 0; k < work->nnode; k++) n += (size_t)(work->node[k]->nin + work->node[k]->nout);
  return n;
}

static ln_plan *plan_alloc(ln_ctx *ctx, const ln_work *work) {
  ln_plan *plan = ln_calloc(&ctx->mem, 1, sizeof *plan);
  if (plan == NULL) return NULL;
  size_t steps = (size_t)work->nnode, args = count_args(work);
  plan->step = ln_calloc(&ctx->mem, steps, sizeof *plan->step);
  plan->attrs = ln_calloc(&ctx->mem, steps, sizeof *plan->attrs);
  plan->slot = ln_calloc(&ctx->mem, (size_t)work->nslot, sizeof *plan->slot);
  plan->args = ln_calloc(&ctx->mem, args, sizeof *plan->args);
  plan->indices = ln_calloc(&ctx->mem, args, sizeof *plan->indices);
  plan->key = ln_alloc(&ctx->mem, work->key_bytes);
  if (plan->step != NULL && plan->attrs != NULL && plan->slot != NULL && plan->args != NULL &&
      plan->indices != NULL && plan->key != NULL)
    return plan;
  ln_plan_free(ctx, plan);
  return NULL;
}

void ln_plan_free(ln_ctx *ctx, ln_plan *plan) {
  const ln_backend *backend = ctx->backend[plan->device];
  for (int s = 0; s < plan->nstep; s++) backend->release(ctx->self[plan->device], &plan->step[s].call);
  ln_free(&ctx->mem, plan->step);
  ln_free(&ctx->mem, plan->attrs);
  ln_free(&ctx->mem, plan->slot);
  ln_free(&ctx->mem, plan->args);
  ln_free(&ctx->mem, plan->indices);
  ln_free(&ctx->mem, plan->key);
  ln_free(&ctx->mem, plan);
}

/* -- slots and steps, as the graph says */

static void fill_externals(ln_plan *plan, const ln_work *work) {
  plan->nexternal = work->nexternal;
  for (int e = 0; e < work->nexternal; e++)
    plan->slot[e] = (ln_slot){.meta = work->external[e]->meta, .place = LN_EXTERNAL, .root = e, .index = e,
                              .bytes = ln_nbytes(&work->external[e]->meta), .first = -1, .last = -1,
                              .is_cell = work->external[e]->is_cell};
}

static void fill_step(ln_plan *plan, const ln_work *work, int s, int *next_arg) {
  const ln_node *n = work->node[s];
  ln_step *step = &plan->step[s];
  step->in = plan->indices + *next_arg;
  step->call.in = plan->args + *next_arg;
  step->out = step->in + n->nin;
  step->call.out = step->call.in + n->nin;
  *next_arg += n->nin + n->nout;
  step->call.op = n->op;
  step->call.nin = n->nin;
  step->call.nout = n->nout;
  memcpy(&plan->attrs[s], &n->attrs, sizeof n->attrs);
  step->call.attrs = &plan->attrs[s];
  for (int i = 0; i < n->nin; i++) {
    step->in[i] = n->in[i] == NULL ? -1 : ln_work_slot(n->in[i]);
    if (step->in[i] >= 0) plan->slot[step->in[i]].last = s;
  }
  for (int o = 0; o < n->nout; o++) {
    int id = step->out[o] = n->slot + o;
    plan->slot[id] = (ln_slot){.meta = n->out_meta[o], .place = LN_ARENA, .root = id,
                               .bytes = ln_nbytes(&n->out_meta[o]), .first = s, .last = s,
                               .live = (work->live[s] >> o & 1) != 0};
  }
}

/* -- sharing memory. A root's `last` and `live` speak for all slots that share it. */

static void share(ln_plan *plan, int slot, int root) {
  ln_slot *s = &plan->slot[slot], *r = &plan->slot[root];
  s->root = root;
  if (s->last > r->last) r->last = s->last;
  r->live = r->live || s->live;
}

/* An alias needs no memory of its own, except that of a cell: a commit may write the
 * cell while the alias must keep the old value. */
static bool try_alias(ln_plan *plan, ln_step *step) {
  if ((ln_op_get(step->call.op)->flags & LN_ALIAS) == 0) return false;
  int root = plan->slot[step->in[0]].root;
  if (plan->slot[root].is_cell) return false;
  share(plan, step->out[0], root);
  step->elided = true;
  return true;
}

/* The output may overwrite input 1 when nobody else needs that memory any more. */
static void try_inplace(ln_plan *plan, ln_step *step, int s) {
  if ((ln_op_get(step->call.op)->flags & LN_INPLACE) == 0 || step->in[0] < 0) return;
  int root = plan->slot[step->in[0]].root;
  const ln_slot *r = &plan->slot[root], *out = &plan->slot[step->out[0]];
  if (r->place == LN_EXTERNAL || r->live || r->last > s || r->bytes != out->bytes) return;
  if (plan->slot[step->in[0]].bytes != out->bytes) return;
  for (int i = 1; i < step->call.nin; i++)
    if (step->in[i] >= 0 && step->in[i] != step->in[0] && plan->slot[step->in[i]].root == root) return;
  share(plan, step->out[0], root);
}

static void share_memory(ln_plan *plan) {
  for (int s = 0; s < plan->nstep; s++)
    if (!try_alias(plan, &plan->step[s]) && plan->step[s].call.nout > 0) try_inplace(plan, &plan->step[s], s);
  for (int i = plan->nexternal; i < plan->nslot; i++) {
    ln_slot *slot = &plan->slot[i];
    if (slot->root != i || !slot->live) continue;
    slot->place = LN_LIVE;
    slot->index = plan->nlive++;
  }
}

/* -- kernels */

static void fill_arg(ln_arg *arg, const ln_plan *plan, int slot) {
  memset(arg, 0, sizeof *arg);
  if (slot < 0) return; /* dtype LN_NONE: absent */
  arg->meta = plan->slot[slot].meta;
  arg->numel = ln_numel(&arg->meta);
  arg->layout = LN_PLAIN;
}

static ln_code prepare(ln_ctx *ctx, ln_plan *plan, const ln_work *work) {
  const ln_backend *backend = ctx->backend[plan->device];
  for (int s = 0; s < plan->nstep; s++) {
    ln_step *step = &plan->step[s];
    for (int i = 0; i < step->call.nin; i++) fill_arg(&step->call.in[i], plan, step->in[i]);
    for (int o = 0; o < step->call.nout; o++) fill_arg(&step->call.out[o], plan, step->out[o]);
    if (step->elided) continue;
    step->call.err = &ctx->error;
    step->call.scalars = &work->node[s]->scalars;
    ln_code code = backend->prepare(ctx->self[plan->device], &step->call);
    if (code != LN_OK) return ln_blame(ctx, step->call.op, work->node[s]->where, work->node[s]->layer);
  }
  return LN_OK;
}

ln_code ln_plan_build(ln_ctx *ctx, const ln_work *work, ln_plan **out) {
  ln_plan *plan = plan_alloc(ctx, work);
  if (plan == NULL) return ln_no_memory(ctx, sizeof *plan + work->key_bytes);
  plan->device = ctx->options.device;
  plan->nstep = work->nnode;
  plan->ncommit = work->ncommit;
  plan->nslot = work->nslot;
  memcpy(plan->key, work->key, work->key_bytes);
  plan->key_bytes = work->key_bytes;
  plan->hash = work->hash;
  fill_externals(plan, work);
  int next_arg = 0;
  for (int s = 0; s < plan->nstep; s++) fill_step(plan, work, s, &next_arg);
  share_memory(plan);
  ln_code code = prepare(ctx, plan, work);
  if (code == LN_OK) code = ln_arena_layout(ctx, plan);
  if (code == LN_OK) *out = plan;
  else ln_plan_free(ctx, plan);
  return code;
}
