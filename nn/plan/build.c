/* build.c: from a draft to a plan: which values share memory, how long each is needed, and
 * what the backend prepares for each step.
 */
#include <string.h>

#include "../graph/internal.h"
#include "draft.h"
#include "plan.h"

/* -- allocation */

static size_t count_args(const ln_draft *d) {
  size_t n = 0;
  for (int p = 0; p < d->nstep; p++) n += (size_t)(d->step[p]->nin + d->step[p]->nout);
  return n;
}

static ln_plan *plan_alloc(ln_ctx *ctx, const ln_draft *d) {
  ln_plan *plan = ln_calloc(&ctx->mem, 1, sizeof *plan);
  if (plan == NULL) return NULL;
  size_t steps = (size_t)d->nstep, args = count_args(d);
  plan->device = ctx->options.device;
  plan->step = ln_calloc(&ctx->mem, steps, sizeof *plan->step);
  plan->attrs = ln_calloc(&ctx->mem, steps, sizeof *plan->attrs);
  plan->slot = ln_calloc(&ctx->mem, (size_t)d->nslot, sizeof *plan->slot);
  plan->args = ln_calloc(&ctx->mem, args, sizeof *plan->args);
  plan->indices = ln_calloc(&ctx->mem, args, sizeof *plan->indices);
  plan->calls = ln_calloc(&ctx->mem, steps, sizeof *plan->calls);
  plan->delivered = ln_calloc(&ctx->mem, (size_t)d->work->nslot, sizeof *plan->delivered);
  plan->key = ln_alloc(&ctx->mem, d->work->key_bytes);
  if (plan->step != NULL && plan->attrs != NULL && plan->slot != NULL && plan->args != NULL &&
      plan->indices != NULL && plan->calls != NULL && plan->delivered != NULL && plan->key != NULL)
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
  ln_free(&ctx->mem, plan->calls);
  ln_free(&ctx->mem, plan->delivered);
  ln_free(&ctx->mem, plan->key);
  ln_free(&ctx->mem, plan);
}

/* -- slots and steps, as the draft says */

static int64_t image_of(const ln_meta *meta) {
  int64_t n = ln_numel(meta);
  return meta->rank > 0 && meta->dim[0] > 0 ? n / meta->dim[0] : n;
}

static void fill_slots(ln_plan *plan, const ln_draft *d) {
  plan->nslot = d->nslot;
  plan->nexternal = d->work->nexternal;
  for (int i = 0; i < d->nslot; i++) {
    const ln_draft_slot *from = &d->slot[i];
    plan->slot[i] = (ln_slot){.meta = from->meta, .layout = from->layout, .root = i, .image = image_of(&from->meta),
                              .bytes = ln_nbytes(&from->meta), .first = -1, .last = -1,
                              .live = from->live, .is_cell = from->is_cell,
                              .place = from->external >= 0 ? LN_EXTERNAL : LN_ARENA, .index = from->external};
  }
  for (int i = 0; i < d->work->nslot; i++) plan->delivered[i] = d->slot[i].delivered;
}

static void fill_step(ln_plan *plan, const ln_draft *d, int p, size_t *next_arg) {
  const ln_draft_step *from = d->step[p];
  ln_step *step = &plan->step[p];
  step->node = from->node;
  step->elided = from->elided;
  step->in = plan->indices + *next_arg;
  step->call.in = plan->args + *next_arg;
  step->out = step->in + from->nin;
  step->call.out = step->call.in + from->nin;
  *next_arg += (size_t)(from->nin + from->nout);
  step->call.op = from->op;
  step->call.nin = from->nin;
  step->call.nout = from->nout;
  memcpy(&plan->attrs[p], &from->attrs, sizeof from->attrs);
  step->call.attrs = &plan->attrs[p];
  for (int i = 0; i < from->nin; i++) {
    step->in[i] = from->in[i];
    if (from->in[i] >= 0) plan->slot[from->in[i]].last = p;
  }
  for (int o = 0; o < from->nout; o++) {
    step->out[o] = from->out[o];
    if (from->out[o] >= 0) plan->slot[from->out[o]].first = plan->slot[from->out[o]].last = p;
  }
}

static void count_commits(ln_plan *plan) {
  for (int s = 0; s < plan->nstep; s++)
    plan->ncommit += (ln_op_get(plan->step[s].call.op)->flags & LN_COMMIT) != 0;
}

/* -- sharing memory. A root's `first`, `last` and `live` speak for all slots that share it. */

static void share(ln_plan *plan, int slot, int with) {
  int root = plan->slot[with].root;
  ln_slot *s = &plan->slot[slot], *r = &plan->slot[root];
  for (int i = 0; i < plan->nslot; i++) { /* the slot, and what lies in its memory already */
    if (plan->slot[i].root != slot) continue;
    plan->slot[i].root = root;
    plan->slot[i].shift += plan->slot[with].shift;
  }
  if (s->first < r->first && r->place != LN_EXTERNAL) r->first = s->first;
  if (s->last > r->last) r->last = s->last;
  r->live = r->live || s->live;
}

/* Parts of a concat lie in its memory. A whole may itself be a part, so wholes go first. */
static void place_part(ln_plan *plan, const ln_draft *d, int slot) {
  int whole = d->slot[slot].whole;
  if (whole < 0 || plan->slot[slot].root != slot) return;
  place_part(plan, d, whole);
  const ln_slot *w = &plan->slot[whole];
  int64_t channels = w->meta.dim[1], plane = channels == 0 ? 0 : image_of(&w->meta) / channels;
  share(plan, slot, whole);
  plan->slot[slot].shift += (size_t)(d->slot[slot].channel * plane) * ln_dtype_size(w->meta.dtype);
  plan->slot[slot].image = w->image;
}

/* An alias needs no memory of its own, except that of a cell: a commit may write the
 * cell while the alias must keep the old value. */
static bool try_alias(ln_plan *plan, ln_step *step) {
  if ((ln_op_get(step->call.op)->flags & LN_ALIAS) == 0) return false;
  if (plan->slot[plan->slot[step->in[0]].root].is_cell) return false;
  share(plan, step->out[0], step->in[0]);
  plan->slot[step->out[0]].image = plan->slot[step->in[0]].layout == LN_BLOCKED ? plan->slot[step->in[0]].image
                                                                                 : plan->slot[step->out[0]].image;
  step->elided = true;
  return true;
}

/* The output may overwrite input 1 when nobody else needs that memory any more. */
static void try_inplace(ln_plan *plan, ln_step *step, int s) {
  if ((ln_op_get(step->call.op)->flags & LN_INPLACE) == 0 || step->in[0] < 0) return;
  if (plan->slot[step->out[0]].root != step->out[0]) return; /* a part of a concat */
  int root = plan->slot[step->in[0]].root;
  const ln_slot *r = &plan->slot[root], *in = &plan->slot[step->in[0]], *out = &plan->slot[step->out[0]];
  if (r->place == LN_EXTERNAL || r->live || r->last > s || r->bytes != out->bytes) return;
  if (in->bytes != out->bytes || in->layout != out->layout) return;
  for (int i = 1; i < step->call.nin; i++)
    if (step->in[i] >= 0 && step->in[i] != step->in[0] && plan->slot[step->in[i]].root == root) return;
  share(plan, step->out[0], step->in[0]);
}

static void share_memory(ln_plan *plan, const ln_draft *d) {
  for (int i = 0; i < plan->nslot; i++) place_part(plan, d, i);
  for (int s = 0; s < plan->nstep; s++)
    if (!plan->step[s].elided && !try_alias(plan, &plan->step[s]) && plan->step[s].call.nout > 0)
      try_inplace(plan, &plan->step[s], s);
  for (int i = 0; i < plan->nslot; i++) {
    ln_slot *slot = &plan->slot[i];
    if (slot->root != i || !slot->live || slot->place == LN_EXTERNAL) continue;
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
  arg->layout = plan->slot[slot].layout;
  arg->image = plan->slot[slot].image;
}

static ln_code prepare(ln_ctx *ctx, ln_plan *plan, const ln_work *work) {
  const ln_backend *backend = ctx->backend[plan->device];
  for (int s = 0; s < plan->nstep; s++) {
    ln_step *step = &plan->step[s];
    const ln_node *node = work->node[step->node];
    for (int i = 0; i < step->call.nin; i++) fill_arg(&step->call.in[i], plan, step->in[i]);
    for (int o = 0; o < step->call.nout; o++) fill_arg(&step->call.out[o], plan, step->out[o]);
    if (step->elided) continue;
    step->call.frozen = plan->ncommit == 0;
    step->call.err = &ctx->error;
    step->call.scalars = &node->scalars;
    ln_code code = backend->prepare(ctx->self[plan->device], &step->call);
    if (code != LN_OK) return ln_blame(ctx, node->op, node->where, node->layer);
  }
  return LN_OK;
}

static ln_code from_draft(ln_ctx *ctx, const ln_draft *d, ln_plan **out) {
  ln_plan *plan = plan_alloc(ctx, d);
  if (plan == NULL) return ln_no_memory(ctx, sizeof *plan + d->work->key_bytes);
  memcpy(plan->key, d->work->key, d->work->key_bytes);
  plan->key_bytes = d->work->key_bytes;
  plan->hash = d->work->hash;
  fill_slots(plan, d);
  size_t next_arg = 0;
  for (int p = 0; p < d->nstep; p++) fill_step(plan, d, p, &next_arg);
  plan->nstep = d->nstep;
  count_commits(plan);
  share_memory(plan, d);
  ln_plan_group(plan, d->backend->run_group != NULL && ln_pass_is_on(ctx, "group"));
  ln_code code = prepare(ctx, plan, d->work);
  if (code == LN_OK) code = ln_arena_layout(ctx, plan);
  if (code == LN_OK) *out = plan;
  else ln_plan_free(ctx, plan);
  return code;
}

ln_code ln_plan_build(ln_ctx *ctx, const ln_work *work, ln_plan **out) {
  ln_draft d;
  ln_code code = ln_draft_open(ctx, work, &d);
  if (code == LN_OK) code = ln_draft_passes(&d);
  if (code == LN_OK) code = from_draft(ctx, &d, out);
  ln_draft_close(&d);
  return code;
}

size_t ln_plan_layouts(const ln_plan *plan, int step, char *text, size_t size) {
  const ln_step *s = &plan->step[step];
  size_t n = 0;
  for (int i = 0; i < s->call.nin + s->call.nout && n + 1 < size; i++) {
    int slot = i < s->call.nin ? s->in[i] : s->out[i - s->call.nin];
    if (slot < 0) {
      text[n++] = '-';
      continue;
    }
    bool inside = plan->slot[slot].root != slot && plan->slot[slot].image != image_of(&plan->slot[slot].meta);
    const char *letter = inside ? "PB" : "pb";
    text[n++] = letter[plan->slot[slot].layout];
  }
  text[n] = '\0';
  return n;
}

const char *ln_plan_chosen(const ln_ctx *ctx, const ln_plan *plan, int step, char key[LN_CHOICE_KEY]) {
  const ln_backend *backend = ctx->backend[plan->device];
  const ln_step *s = &plan->step[step];
  return backend->chosen == NULL || s->elided ? NULL : backend->chosen(ctx->self[plan->device], &s->call, key);
}
