/* run.c: a plan runs: pointers are bound, steps walk in order, cells are written last.
 *
 * Everything that can fail comes before the first commit. So a step that is
 * interrupted, runs out of memory or meets a non-finite loss leaves every cell as it was.
 */
#include "../graph/internal.h"
#include "profile.h"

typedef struct run {
  ln_ctx *ctx;
  ln_plan *plan;
  const ln_work *work;
  ln_buffer **live; /* the plan's LN_LIVE buffers */
} run;

static ln_code reserve_arena(ln_ctx *ctx, ln_plan *plan) {
  ln_device d = plan->device;
  if (ctx->arena_bytes[d] >= plan->arena_bytes) return LN_OK;
  const ln_backend *backend = ctx->backend[d];
  backend->free(ctx->self[d], ctx->arena[d]); /* nothing in it outlives a run */
  ctx->arena_bytes[d] = 0;
  ctx->arena[d] = backend->alloc(ctx->self[d], plan->arena_bytes);
  if (ctx->arena[d] == NULL) {
    ln_pool_trim(ctx, true);
    ctx->arena[d] = backend->alloc(ctx->self[d], plan->arena_bytes);
  }
  if (ctx->arena[d] == NULL) return ln_no_memory(ctx, plan->arena_bytes);
  ctx->arena_bytes[d] = plan->arena_bytes;
  return LN_OK;
}

static ln_code take_live(run *r) {
  for (int i = 0; i < r->plan->nslot; i++) {
    const ln_slot *s = &r->plan->slot[i];
    if (s->root != i || s->place != LN_LIVE) continue;
    ln_code code = ln_buffer_new(r->ctx, r->plan->device, s->bytes, &r->live[s->index]);
    if (code != LN_OK) return code;
  }
  return LN_OK;
}

static char *root_data(const run *r, const ln_slot *root) {
  switch (root->place) {
    case LN_EXTERNAL: return r->work->external[root->index]->buffer->data;
    case LN_LIVE: return r->live[root->index]->data;
    case LN_ARENA: break;
  }
  return (char *)r->ctx->arena[r->plan->device] + root->offset;
}

static void bind_arg(const run *r, ln_arg *arg, int slot) {
  if (slot < 0) return;
  const ln_slot *s = &r->plan->slot[slot], *root = &r->plan->slot[s->root];
  arg->data = root_data(r, root) + s->shift;
  arg->version = s->is_cell ? r->work->external[s->index]->version : 0;
}

static void bind(const run *r) {
  for (int s = 0; s < r->plan->nstep; s++) {
    ln_step *step = &r->plan->step[s];
    for (int i = 0; i < step->call.nin; i++) bind_arg(r, &step->call.in[i], step->in[i]);
    for (int o = 0; o < step->call.nout; o++) bind_arg(r, &step->call.out[o], step->out[o]);
    step->call.workspace = (char *)r->ctx->arena[r->plan->device] + step->workspace;
    step->call.scalars = &r->work->node[step->node]->scalars;
    step->call.err = &r->ctx->error;
  }
}

static ln_code run_step(run *r, int s) {
  ln_step *step = &r->plan->step[s];
  if (step->elided || step->group == 0) return LN_OK;
  ln_ctx *ctx = r->ctx;
  const ln_backend *backend = ctx->backend[r->plan->device];
  void *self = ctx->self[r->plan->device];
  ln_activity before = ln_enter(ctx, LN_STEPPING);
  ln_code code = step->group > 1 ? backend->run_group(self, r->plan->calls + s, step->group)
                                 : backend->run(self, &step->call);
  if (ctx->profile != NULL) ln_profile_step(ctx, before, r->plan, r->work, s);
  if (code == LN_OK) return LN_OK;
  const ln_node *n = r->work->node[step->node];
  return ln_blame(ctx, n->op, n->where, n->layer);
}

static ln_code run_pure(run *r) {
  ln_ctx *ctx = r->ctx;
  for (int s = 0; s < r->plan->nstep - r->plan->ncommit; s++) {
    if (atomic_load(&ctx->interrupt) != 0) return ln_fail(&ctx->error, LN_EINTR, "interrupted");
    ln_code code = run_step(r, s);
    if (code == LN_ENONFINITE) return ln_plan_blame_nonfinite(ctx, r->plan, r->work, s);
    if (code != LN_OK) return code;
    ctx->stat_steps++;
  }
  return atomic_load(&ctx->interrupt) != 0 ? ln_fail(&ctx->error, LN_EINTR, "interrupted") : LN_OK;
}

static ln_code run_commits(run *r) {
  for (int s = r->plan->nstep - r->plan->ncommit; s < r->plan->nstep; s++) {
    const ln_node *n = r->work->node[r->plan->step[s].node];
    ln_code code = run_step(r, s);
    if (code != LN_OK) return code;
    uint64_t written = ln_op_info_get(n->op)->written;
    for (int i = 0; i < n->nin; i++)
      if (n->in[i] != NULL && (written >> i & 1) != 0) n->in[i]->version = ++r->ctx->last_version;
  }
  return LN_OK;
}

/* Hands the computed memory to the values that are wanted. */
static void deliver(run *r) {
  for (int s = 0; s < r->work->nnode; s++) {
    const ln_node *n = r->work->node[s];
    for (int o = 0; o < n->nout; o++) {
      if ((r->work->live[s] >> o & 1) == 0) continue;
      const ln_slot *root = &r->plan->slot[r->plan->slot[r->plan->delivered[n->slot + o]].root];
      ln_buffer *buffer = root->place == LN_LIVE ? r->live[root->index]
                                                 : r->work->external[root->index]->buffer;
      buffer->refs++;
      n->out[o]->buffer = buffer;
    }
  }
}

ln_code ln_plan_run(ln_ctx *ctx, ln_plan *plan, const ln_work *work) {
  run r = {.ctx = ctx, .plan = plan, .work = work};
  r.live = ln_calloc(&ctx->mem, (size_t)plan->nlive, sizeof *r.live);
  ln_code code = r.live == NULL ? ln_no_memory(ctx, (size_t)plan->nlive * sizeof *r.live) : LN_OK;
  if (code == LN_OK) code = reserve_arena(ctx, plan);
  if (code == LN_OK) code = take_live(&r);
  if (code == LN_OK) {
    bind(&r);
    if (ctx->profile != NULL) ln_profile_plan(ctx, plan, work);
    code = run_pure(&r);
  }
  if (code == LN_OK) code = run_commits(&r);
  if (code == LN_OK) deliver(&r);
  for (int i = 0; r.live != NULL && i < plan->nlive; i++) ln_buffer_release(ctx, r.live[i]);
  ln_free(&ctx->mem, r.live);
  return code;
}
