/* flush.c: computes what is still wanted, then lets go of the recorded nodes. */
#include "../graph/internal.h"
#include "plan.h"

static ln_code compute(ln_ctx *ctx) {
  ln_activity around = ln_enter(ctx, LN_BUILDING);
  ln_code code = ln_device_open(ctx, ctx->options.device);
  ln_leave(ctx, around);
  if (code != LN_OK) return code;
  ln_work work;
  code = ln_work_open(ctx, &work);
  if (code == LN_OK && work.nnode > 0) {
    ln_plan *plan = ln_plan_find(ctx, &work);
    if (plan != NULL) {
      ctx->stat_plan_hits++;
    } else {
      ln_activity before = ln_enter(ctx, LN_BUILDING);
      code = ln_plan_build(ctx, &work, &plan);
      ln_leave(ctx, before);
      if (code == LN_OK) code = ln_plan_keep(ctx, plan);
      ctx->stat_plans++;
    }
    ln_activity before = ln_enter(ctx, LN_BINDING);
    if (code == LN_OK && !ctx->rehearsing) code = ln_plan_run(ctx, plan, &work);
    ln_leave(ctx, before);
  }
  ln_work_close(ctx, &work);
  return code;
}

/* The error that the values of a failed flush carry; NULL when not even that can be had,
 * and the values then just have no data. */
static ln_failure *make_failure(ln_ctx *ctx) {
  ln_failure *f = ctx->spare_failure;
  ctx->spare_failure = ln_calloc(&ctx->mem, 1, sizeof *f);
  if (f == NULL) f = ln_calloc(&ctx->mem, 1, sizeof *f);
  if (f == NULL) return NULL;
  f->refs = 1;
  f->error = ctx->error;
  return f;
}

static void mark_failed(ln_node *n, ln_failure *f) {
  for (int o = 0; o < n->nout && f != NULL; o++) {
    ln_value *v = n->out[o];
    if (v == NULL || v->buffer != NULL || v->failure != NULL) continue;
    v->failure = f;
    f->refs++;
  }
}

static void let_go(ln_ctx *ctx, ln_node *n) {
  uint64_t written = ln_op_info_get(n->op)->written;
  n->pending = false;
  for (int i = 0; i < n->nin; i++) {
    if (n->in[i] == NULL) continue;
    n->in[i]->uses--;
    if ((written >> i & 1) != 0) n->in[i]->pending_writes--;
    ln_value_settle(ctx, n->in[i]);
  }
  for (int o = 0; o < n->nout; o++)
    if (n->out[o] != NULL) ln_value_settle(ctx, n->out[o]);
  ln_node_leave(ctx, n);
  ln_node_release(ctx, n);
}

ln_code ln_flush(ln_ctx *ctx) {
  if (ctx->npending == 0 || ctx->flushing) return LN_OK;
  if (ctx->collect != NULL && !ctx->options.eager) ctx->collect(ctx->host);
  ctx->flushing = true;
  ln_activity before = ln_enter(ctx, LN_PLANNING);
  ln_code code = compute(ctx);
  ln_enter(ctx, LN_BINDING);
  bool ran = code == LN_OK && !ctx->rehearsing;
  if (code == LN_OK && !ran) ln_fail(&ctx->error, LN_EINVAL, "the tensor has no data: it was planned, not computed");
  ln_error error = ctx->error;
  ln_failure *failure = ran ? NULL : make_failure(ctx);
  int count = ctx->npending;
  for (int k = 0; k < count; k++) mark_failed(ctx->pending[k], failure);
  ctx->npending = 0;
  ctx->pending_bytes = 0;
  for (int k = 0; k < count; k++) let_go(ctx, ctx->pending[k]);
  if (failure != NULL && --failure->refs == 0) ln_free(&ctx->mem, failure);
  ctx->flushing = false;
  ctx->stat_flushes++;
  ln_pool_trim(ctx, false);
  ln_leave(ctx, before);
  if (code != LN_OK) ctx->error = error;
  return code;
}

ln_code ln_rehearse(ln_ctx *ctx) {
  ctx->rehearsing = true;
  ln_code code = ln_flush(ctx);
  ctx->rehearsing = false;
  return code;
}

/* -- values that somebody wants to see */

ln_code ln_value_host(ln_ctx *ctx, ln_value *v, const void **data) {
  if (v->failure != NULL) return ln_value_failed(ctx, v);
  if (v->buffer == NULL || v->pending_writes > 0) {
    ln_code code = ln_flush(ctx);
    if (v->failure != NULL) return ln_value_failed(ctx, v);
    if (code != LN_OK && v->buffer == NULL) return code;
  }
  if (v->buffer == NULL) return ln_fail(&ctx->error, LN_EINVAL, "the tensor has no data: it was freed");
  *data = v->buffer->data;
  return LN_OK;
}

void *ln_value_fill(ln_value *v) { return v->buffer == NULL ? NULL : v->buffer->data; }
