/* record.c: an op is called: check, append a node, hand out values without data. */
#include <string.h>

#include "internal.h"

static const size_t PENDING_BYTES = (size_t)64 << 30; /* what pending nodes may stand for without a cap */

ln_code ln_value_failed(ln_ctx *ctx, const ln_value *v) {
  ctx->error = v->failure->error;
  return ctx->error.code;
}

/* Room in the pending list for one more node. */
static ln_code reserve_pending(ln_ctx *ctx) {
  if (ln_grow(&ctx->mem, &ctx->pending, sizeof(ln_node *), ctx->npending + 1, &ctx->pending_cap)) return LN_OK;
  return ln_no_memory(ctx, 2 * (size_t)ctx->pending_cap * sizeof(ln_node *));
}

static ln_code check_input(ln_ctx *ctx, const ln_op_info *info, int i, const ln_value *v) {
  int slot = info->variadic ? 0 : i;
  if (v == NULL && (info->optional >> slot & 1) == 0)
    return ln_fail(&ctx->error, LN_EINVAL, "input %d is missing", i + 1);
  if (v != NULL && (info->written >> slot & 1) != 0 && !v->is_cell)
    return ln_fail(&ctx->error, LN_EINVAL, "input %d is written and must be a parameter or buffer", i + 1);
  if (v != NULL && v->failure != NULL) return ln_value_failed(ctx, v);
  if (v != NULL && v->buffer == NULL && (v->node == NULL || !v->node->pending))
    return ln_fail(&ctx->error, LN_EINVAL, "input %d was freed", i + 1);
  if (v != NULL && v->device != ctx->options.device)
    return ln_fail(&ctx->error, LN_EINVAL, "input %d lives on another device", i + 1);
  return LN_OK;
}

static ln_code check_inputs(ln_ctx *ctx, ln_op op, ln_value *const *in, int nin) {
  const ln_op_info *info = ln_op_info_get(op);
  if (info->variadic ? nin < 1 || nin > LN_MAX_INPUTS : nin != info->nin)
    return ln_fail(&ctx->error, LN_EINVAL, "%d inputs given, %s%d expected", nin,
                   info->variadic ? "1 to " : "", info->variadic ? LN_MAX_INPUTS : info->nin);
  for (int i = 0; i < nin; i++) {
    ln_code code = check_input(ctx, info, i, in[i]);
    if (code != LN_OK) return code;
  }
  return LN_OK;
}

/* A pure read of a cell sees the committed value, so writes recorded before it run first. */
static bool reads_pending_write(const ln_op_info *info, ln_value *const *in, int nin) {
  for (int i = 0; i < nin; i++)
    if (in[i] != NULL && in[i]->pending_writes > 0 && (info->written >> i & 1) == 0) return true;
  return false;
}

static ln_code flush_first(ln_ctx *ctx, ln_op op, ln_value *const *in, int nin) {
  size_t cap = ctx->mem.limit != 0 ? 2 * ctx->mem.limit : PENDING_BYTES;
  bool must = reads_pending_write(ln_op_info_get(op), in, nin);
  bool full = ctx->no_flush == 0 && (ctx->npending >= LN_FLUSH_NODES || ctx->pending_bytes > cap);
  return must || full ? ln_flush(ctx) : LN_OK;
}

/* -- promotion: inputs of LN_PROMOTE ops are cast to their common dtype */

static ln_code promote(ln_ctx *ctx, ln_value *const *in, int nin, ln_value **cast, ln_dtype common) {
  ln_attrs attrs;
  ln_attrs_default(&attrs, NULL);
  attrs.dtype = common;
  for (int i = 0; i < nin; i++) {
    if (in[i]->meta.dtype == common) {
      cast[i] = in[i];
      ln_value_hold(cast[i]);
      continue;
    }
    ln_code code = ln_record(ctx, LN_OP_cast, &in[i], 1, &attrs, NULL, &cast[i]);
    if (code != LN_OK) {
      while (i-- > 0) ln_value_drop(ctx, cast[i]);
      return code;
    }
  }
  return LN_OK;
}

static bool needs_promotion(ln_op op, ln_value *const *in, int nin, ln_dtype *common) {
  if ((ln_op_get(op)->flags & LN_PROMOTE) == 0) return false;
  *common = in[0]->meta.dtype;
  bool differ = false;
  for (int i = 1; i < nin; i++) {
    differ = differ || in[i]->meta.dtype != in[0]->meta.dtype;
    *common = ln_promote(*common, in[i]->meta.dtype);
  }
  return differ;
}

/* -- the node */

static bool differentiable(const ln_ctx *ctx, ln_op op, ln_value *const *in, int nin) {
  if (!ctx->grad_enabled || ln_op_get(op)->grad == NULL) return false;
  for (int i = 0; i < nin; i++)
    if (in[i] != NULL && in[i]->requires_grad) return true;
  return false;
}

static ln_code make_outputs(ln_ctx *ctx, ln_node *node, const ln_meta *meta, int nout, ln_value **out) {
  node->nout = nout;
  for (int o = 0; o < nout; o++) {
    out[o] = ln_value_alloc(ctx, &meta[o]);
    if (out[o] == NULL) return ln_no_memory(ctx, sizeof(ln_value));
    out[o]->handles = 1;
    out[o]->node = node;
    out[o]->output = o;
    node->out[o] = out[o];
    node->out_meta[o] = meta[o];
    if (o == 0) node->refs++;
  }
  return LN_OK;
}

/* The node joins the pending list, which takes over the caller's reference. */
static void append(ln_ctx *ctx, ln_node *node) {
  const ln_op_info *info = ln_op_info_get(node->op);
  for (int i = 0; i < node->nin; i++) {
    if (node->in[i] == NULL) continue;
    node->in[i]->uses++;
    if ((info->written >> i & 1) != 0 && !info->variadic) node->in[i]->pending_writes++;
  }
  for (int o = 0; o < node->nout; o++) ctx->pending_bytes += ln_nbytes(&node->out_meta[o]);
  node->pending = true;
  ctx->pending[ctx->npending++] = node;
}

static ln_code build(ln_ctx *ctx, ln_node *node, ln_value *const *in, const ln_meta *meta, ln_value **out) {
  for (int i = 0; i < node->nin; i++)
    if ((node->in[i] = in[i]) != NULL) ln_value_retain(in[i]);
  ln_code code = make_outputs(ctx, node, meta, ln_op_info_get(node->op)->nout, out);
  if (code == LN_OK && differentiable(ctx, node->op, in, node->nin)) {
    code = ln_node_save(ctx, node);
    out[0]->requires_grad = code == LN_OK && ln_is_float(meta[0].dtype);
  }
  return code;
}

static void discard(ln_ctx *ctx, ln_node *node, ln_value **out) {
  for (int o = 0; o < node->nout; o++) {
    ln_value *v = out[o];
    out[o] = NULL;
    ln_value_drop(ctx, v);
  }
  ln_node_release(ctx, node);
}

static ln_code record(ln_ctx *ctx, ln_op op, ln_value *const *in, int nin, ln_attrs *attrs,
                      const ln_scalars *scalars, ln_value **out) {
  const ln_op_row *row = ln_op_get(op);
  ln_meta in_meta[LN_MAX_INPUTS], out_meta[LN_MAX_OUTPUTS];
  memset(in_meta, 0, (size_t)nin * sizeof in_meta[0]);
  for (int i = 0; i < nin; i++)
    if (in[i] != NULL) in_meta[i] = in[i]->meta;
  memset(out_meta, 0, sizeof out_meta);
  ln_code code = row->shape(in_meta, nin, attrs, out_meta, &ctx->error);
  if (code != LN_OK) return code;
  code = reserve_pending(ctx);
  if (code != LN_OK) return code;
  ln_node *node = ln_node_alloc(ctx, nin);
  if (node == NULL) return ln_no_memory(ctx, sizeof *node);
  node->op = op;
  memcpy(&node->attrs, attrs, sizeof *attrs); /* with its padding: attrs are compared as bytes */
  node->scalars = *scalars;
  for (int o = 0; o < LN_MAX_OUTPUTS && out != NULL; o++)
    if (o < ln_op_info_get(op)->nout) out[o] = NULL;
  code = build(ctx, node, in, out_meta, out);
  if (code != LN_OK) {
    discard(ctx, node, out);
    return code;
  }
  if ((row->flags & LN_RANDOM) != 0 && scalars->counter == 0) {
    node->scalars.seed = ctx->seed;
    node->scalars.counter = ++ctx->counter; /* 0 stays free to mean "not yet assigned" */
  }
  append(ctx, node);
  return LN_OK;
}

static ln_code check_and_record(ln_ctx *ctx, ln_op op, ln_value *const *in, int nin, const ln_attrs *attrs,
                                const ln_scalars *scalars, ln_value **out) {
  ln_code code = check_inputs(ctx, op, in, nin);
  if (code == LN_OK) code = flush_first(ctx, op, in, nin);
  if (code != LN_OK) return ctx->error.where[0] != '\0' ? code : ln_blame(ctx, op, ctx->where, ctx->layer);

  ln_attrs own_attrs;
  ln_scalars own_scalars;
  if (attrs == NULL || scalars == NULL) ln_attrs_default(&own_attrs, &own_scalars);
  if (attrs != NULL) memcpy(&own_attrs, attrs, sizeof own_attrs);
  if (scalars != NULL) own_scalars = *scalars;

  ln_value *cast[LN_MAX_INPUTS];
  ln_dtype common;
  bool promoted = needs_promotion(op, in, nin, &common);
  if (promoted) {
    code = promote(ctx, in, nin, cast, common);
    if (code != LN_OK) return code;
    in = cast;
  }
  code = record(ctx, op, in, nin, &own_attrs, &own_scalars, out);
  if (code != LN_OK) ln_blame(ctx, op, ctx->where, ctx->layer);
  for (int i = 0; promoted && i < nin; i++) ln_value_drop(ctx, cast[i]);
  if (code == LN_OK && ctx->options.eager && ctx->no_flush == 0) {
    code = ln_flush(ctx);
    for (int o = 0; code != LN_OK && o < ln_op_info_get(op)->nout; o++) {
      ln_value_drop(ctx, out[o]);
      out[o] = NULL;
    }
  }
  return code;
}

ln_code ln_record(ln_ctx *ctx, ln_op op, ln_value *const *in, int nin, const ln_attrs *attrs,
                  const ln_scalars *scalars, ln_value **out) {
  ln_activity before = ln_enter(ctx, LN_RECORDING);
  ln_code code = check_and_record(ctx, op, in, nin, attrs, scalars, out);
  ln_leave(ctx, before);
  return code;
}

ln_code ln_record_function(ln_ctx *ctx, ln_value *const *in, int nin, ln_value *const *out, int nout, int id) {
  bool wanted = false;
  for (int i = 0; i < nin; i++) wanted = wanted || (in[i] != NULL && in[i]->requires_grad);
  if (nout > LN_MAX_OUTPUTS)
    return ln_fail(&ctx->error, LN_EINVAL, "a function gives at most %d outputs, got %d", LN_MAX_OUTPUTS, nout);
  for (int o = 0; o < nout; o++)
    if (out[o]->node != NULL || out[o]->is_cell || !ln_value_ready(out[o]))
      return ln_fail(&ctx->error, LN_EINVAL, "output %d of a function must be a fresh computed tensor", o + 1);
  ln_node *node = ln_node_alloc(ctx, nin);
  if (node == NULL) return ln_no_memory(ctx, sizeof *node);
  node->op = LN_OP_COUNT;
  node->host_id = id;
  node->nout = nout;
  node->on_tape = true;
  for (int i = 0; i < nin; i++)
    if ((node->in[i] = in[i]) != NULL) ln_value_retain(in[i]);
  for (int o = 0; o < nout && wanted && ctx->grad_enabled; o++) {
    node->out[o] = out[o];
    node->out_meta[o] = out[o]->meta;
    out[o]->node = node;
    out[o]->output = o;
    out[o]->requires_grad = ln_is_float(out[o]->meta.dtype);
    node->refs++;
  }
  ln_node_release(ctx, node); /* without a gradient to come it ends here, and the host forgets id */
  return LN_OK;
}
