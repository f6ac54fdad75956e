/* grad_nn.c: gradient rules of products, convolutions, pooling, norms and losses. */
#include <string.h>

#include "grad.h"
#include "grad_rules.h"

#define RULE(name) \
  void ln_grad_##name(ln_builder *b, const ln_node *node, ln_value *const *gout, ln_value **gin)

static ln_value *with(ln_builder *b, ln_op op, ln_value *x, ln_value *y, const ln_attrs *attrs) {
  ln_value *in[2] = {x, y};
  return ln_b(b, op, in, 2, attrs, NULL, NULL);
}

/* attrs.size becomes the spatial size of `like`. */
static ln_attrs spatial_of(const ln_node *node, const ln_value *like) {
  ln_attrs attrs;
  memcpy(&attrs, &node->attrs, sizeof attrs);
  memset(attrs.size, 0, sizeof attrs.size);
  attrs.nsize = like->meta.rank - 2;
  for (int i = 0; i < attrs.nsize; i++) attrs.size[i] = like->meta.dim[i + 2];
  return attrs;
}

/* Sum over all dims but the channels. */
static ln_value *channel_sum(ln_builder *b, ln_value *g) {
  if (g == NULL) return NULL;
  return ln_bsum(b, g, ((1u << g->meta.rank) - 1) & ~2u, false);
}

/* -- matmul: y = op(a) op(b), where op may transpose */

static ln_value *product(ln_builder *b, ln_value *x, bool tx, ln_value *y, bool ty) {
  ln_attrs attrs;
  ln_attrs_default(&attrs, NULL);
  attrs.transpose_a = tx;
  attrs.transpose_b = ty;
  return with(b, LN_OP_matmul, x, y, &attrs);
}

RULE(matmul) {
  ln_value *x = node->in[0], *y = node->in[1], *g = gout[0];
  bool tx = node->attrs.transpose_a, ty = node->attrs.transpose_b;
  if (ln_wants(b, node, 0))
    gin[0] = ln_bunbroadcast(b, tx ? product(b, y, ty, g, true) : product(b, g, false, y, !ty), x);
  if (ln_wants(b, node, 1))
    gin[1] = ln_bunbroadcast(b, ty ? product(b, g, true, x, tx) : product(b, x, !tx, g, false), y);
}

/* -- convolutions: a transposed convolution is conv's input gradient, and the reverse */

static ln_attrs kernel_of(const ln_node *node) {
  ln_attrs attrs;
  memcpy(&attrs, &node->attrs, sizeof attrs);
  for (int i = 0; i + 2 < node->in[1]->meta.rank; i++) attrs.kernel[i] = node->in[1]->meta.dim[i + 2];
  for (int i = 0; i < LN_SPATIAL; i++) attrs.output_padding[i] = 0;
  return attrs;
}

RULE(conv) {
  ln_value *x = node->in[0], *w = node->in[1], *g = gout[0];
  if (ln_wants(b, node, 0)) {
    ln_attrs attrs = spatial_of(node, x);
    gin[0] = with(b, LN_OP_conv_input_grad, g, w, &attrs);
  }
  if (ln_wants(b, node, 1)) {
    ln_attrs attrs = kernel_of(node);
    gin[1] = with(b, LN_OP_conv_weight_grad, x, g, &attrs);
  }
  if (ln_wants(b, node, 2)) gin[2] = channel_sum(b, g);
}

RULE(conv_transpose) {
  ln_value *x = node->in[0], *w = node->in[1], *g = gout[0];
  ln_attrs attrs = kernel_of(node);
  if (ln_wants(b, node, 0)) {
    ln_value *in[3] = {g, w, NULL};
    gin[0] = ln_b(b, LN_OP_conv, in, 3, &attrs, NULL, NULL);
  }
  if (ln_wants(b, node, 1)) gin[1] = with(b, LN_OP_conv_weight_grad, g, x, &attrs);
  if (ln_wants(b, node, 2)) gin[2] = channel_sum(b, g);
}

/* -- pooling and resampling */

RULE(max_pool) {
  ln_attrs attrs = spatial_of(node, node->in[0]);
  gin[0] = with(b, LN_OP_max_pool_grad, gout[0], node->out[1], &attrs);
}

RULE(avg_pool) {
  ln_attrs attrs = spatial_of(node, node->in[0]);
  gin[0] = ln_b(b, LN_OP_avg_pool_grad, gout, 1, &attrs, NULL, NULL);
}

RULE(interpolate) {
  ln_attrs attrs = spatial_of(node, node->in[0]);
  gin[0] = ln_b(b, LN_OP_interpolate_grad, gout, 1, &attrs, NULL, NULL);
}

/* -- normalisation */

RULE(batch_norm) {
  ln_value *in[5] = {gout[0], node->in[0], node->in[1], node->out[1], node->out[2]}, *all[3];
  ln_b(b, LN_OP_batch_norm_grad, in, 5, &node->attrs, NULL, all);
  for (int i = 0; i < 3; i++)
    if (ln_wants(b, node, i)) gin[i] = all[i];
}

/* [C] as [1,C,1,...] against x. */
static ln_value *per_channel(ln_builder *b, ln_value *v, const ln_value *x) {
  ln_meta shape = {.dtype = x->meta.dtype, .rank = x->meta.rank, .dim = {1, 1, 1, 1, 1}};
  for (int i = x->meta.rank; i < LN_MAX_RANK; i++) shape.dim[i] = 0;
  shape.dim[1] = x->meta.dim[1];
  return ln_breshape(b, v, &shape);
}

RULE(batch_norm_eval) {
  ln_value *x = node->in[0], *mean = node->in[1], *var = node->in[2], *w = node->in[3], *g = gout[0];
  ln_value *std = ln_b1(b, LN_OP_sqrt, ln_b2(b, LN_OP_add, var, ln_bconst(b, var, node->attrs.eps)));
  ln_value *rstd = per_channel(b, ln_b2(b, LN_OP_div, ln_bconst(b, var, 1), std), x);
  ln_value *gx = ln_b2(b, LN_OP_mul, g, rstd);
  ln_value *centred = ln_b2(b, LN_OP_sub, x, per_channel(b, mean, x));
  ln_value *scaled = gx == NULL ? NULL : ln_b2(b, LN_OP_mul, gx, centred); /* g times x-hat */
  if (ln_wants(b, node, 3)) gin[3] = channel_sum(b, scaled);
  if (ln_wants(b, node, 4)) gin[4] = channel_sum(b, g);
  if (w != NULL) gx = ln_b2(b, LN_OP_mul, gx, per_channel(b, w, x));
  if (ln_wants(b, node, 0)) gin[0] = gx;
  if (ln_wants(b, node, 1)) gin[1] = ln_b1(b, LN_OP_neg, channel_sum(b, gx));
  if (ln_wants(b, node, 2)) { /* d rstd / d var = -rstd^3 / 2 */
    ln_value *s = ln_b2(b, LN_OP_mul, ln_b2(b, LN_OP_mul, gx, centred), ln_b2(b, LN_OP_mul, rstd, rstd));
    gin[2] = s == NULL ? NULL : ln_b2(b, LN_OP_mul, channel_sum(b, s), ln_bconst(b, s, -0.5));
  }
}

RULE(row_norm) {
  ln_value *in[3] = {gout[0], node->out[0], node->out[2]};
  gin[0] = ln_b(b, LN_OP_row_norm_grad, in, 3, NULL, NULL, NULL);
}

/* -- probabilities and losses */

RULE(softmax) { gin[0] = with(b, LN_OP_softmax_grad, gout[0], node->out[0], &node->attrs); }
RULE(log_softmax) { gin[0] = with(b, LN_OP_log_softmax_grad, gout[0], node->out[0], &node->attrs); }

RULE(bce) {
  ln_value *p = node->in[0], *t = node->in[1];
  ln_value *in[3] = {gout[0], p, t};
  if (ln_wants(b, node, 0)) gin[0] = ln_b(b, LN_OP_bce_grad, in, 3, NULL, NULL, NULL);
  if (!ln_wants(b, node, 1)) return;
  /* log(1-p) - log(p), each clamped at -100 as in the loss */
  ln_scalars limit;
  ln_attrs_default(NULL, &limit);
  limit.lo = -100;
  limit.hi = 0;
  ln_value *q = ln_b2(b, LN_OP_sub, ln_bconst(b, p, 1), p);
  ln_value *logs[2] = {ln_b1(b, LN_OP_log, q), ln_b1(b, LN_OP_log, p)};
  for (int i = 0; i < 2; i++) logs[i] = ln_b(b, LN_OP_clamp, &logs[i], 1, NULL, &limit, NULL);
  gin[1] = ln_b2(b, LN_OP_mul, gout[0], ln_b2(b, LN_OP_sub, logs[0], logs[1]));
}

RULE(bce_with_logits) {
  ln_value *x = node->in[0];
  ln_value *in[3] = {gout[0], x, node->in[1]};
  if (ln_wants(b, node, 0)) gin[0] = ln_b(b, LN_OP_bce_with_logits_grad, in, 3, NULL, NULL, NULL);
  if (ln_wants(b, node, 1)) gin[1] = ln_b1(b, LN_OP_neg, ln_b2(b, LN_OP_mul, gout[0], x));
}
