/* grad_movement.c: gradient rules of reductions and of ops that only move elements. */
#include <string.h>

#include "grad.h"
#include "grad_rules.h"

#define RULE(name) \
  void ln_grad_##name(ln_builder *b, const ln_node *node, ln_value *const *gout, ln_value **gin)

/* -- reductions */

static unsigned reduced_mask(const ln_node *node) {
  unsigned mask = 0;
  for (int i = 0; i < node->attrs.ndims; i++) mask |= 1u << node->attrs.dims[i];
  return node->attrs.ndims == 0 ? (1u << node->in[0]->meta.rank) - 1 : mask;
}

/* A reduced value with its dims back as size 1, so that it broadcasts against x. */
static ln_value *with_dims(ln_builder *b, const ln_node *node, ln_value *v) {
  ln_meta shape = node->in[0]->meta;
  unsigned mask = reduced_mask(node);
  for (int i = 0; i < shape.rank; i++)
    if ((mask >> i & 1) != 0) shape.dim[i] = 1;
  return ln_breshape(b, v, &shape);
}

RULE(sum) { gin[0] = ln_bexpand(b, with_dims(b, node, gout[0]), &node->in[0]->meta); }

RULE(mean) {
  const ln_value *x = node->in[0];
  double count = 1;
  unsigned mask = reduced_mask(node);
  for (int i = 0; i < x->meta.rank; i++)
    if ((mask >> i & 1) != 0) count *= (double)x->meta.dim[i];
  ln_value *g = ln_b2(b, LN_OP_div, gout[0], ln_bconst(b, gout[0], count));
  gin[0] = ln_bexpand(b, with_dims(b, node, g), &x->meta);
}

static void extremum(ln_builder *b, const ln_node *node, ln_value *g, ln_value **gin) {
  ln_attrs attrs;
  ln_value *x = node->in[0];
  ln_value *hit = ln_b2(b, LN_OP_eq, x, with_dims(b, node, node->out[0]));
  if (hit == NULL) return;
  ln_attrs_default(&attrs, NULL);
  attrs.dtype = x->meta.dtype;
  ln_value *ones = ln_b(b, LN_OP_cast, &hit, 1, &attrs, NULL, NULL);
  ln_value *ties = ln_bsum(b, ones, reduced_mask(node), true);
  gin[0] = ln_b2(b, LN_OP_div, ln_b2(b, LN_OP_mul, ones, with_dims(b, node, g)), ties);
}

RULE(amax) { extremum(b, node, gout[0], gin); }
RULE(amin) { extremum(b, node, gout[0], gin); }

/* -- movement */

RULE(reshape) { gin[0] = ln_breshape(b, gout[0], &node->in[0]->meta); }

RULE(permute) {
  ln_attrs back;
  memcpy(&back, &node->attrs, sizeof back);
  for (int i = 0; i < back.ndims; i++) back.dims[node->attrs.dims[i]] = i;
  gin[0] = ln_b(b, LN_OP_permute, gout, 1, &back, NULL, NULL);
}

RULE(expand) { gin[0] = ln_bunbroadcast(b, gout[0], node->in[0]); }

RULE(slice) {
  ln_value *in[2] = {ln_bfull_like(b, node->in[0], 0), gout[0]};
  gin[0] = ln_b(b, LN_OP_slice_scatter, in, 2, &node->attrs, NULL, NULL);
}

RULE(slice_scatter) {
  if (ln_wants(b, node, 0)) {
    ln_value *in[2] = {gout[0], ln_bfull_like(b, node->in[1], 0)};
    gin[0] = ln_b(b, LN_OP_slice_scatter, in, 2, &node->attrs, NULL, NULL);
  }
  if (ln_wants(b, node, 1)) gin[1] = ln_b(b, LN_OP_slice, gout, 1, &node->attrs, NULL, NULL);
}

RULE(cat) {
  ln_attrs attrs;
  ln_attrs_default(&attrs, NULL);
  attrs.dim = node->attrs.dim;
  for (int i = 0; i < node->nin; i++) {
    attrs.stop = attrs.start + node->in[i]->meta.dim[attrs.dim];
    if (ln_wants(b, node, i)) gin[i] = ln_b(b, LN_OP_slice, gout, 1, &attrs, NULL, NULL);
    attrs.start = attrs.stop;
  }
}

RULE(pad) { gin[0] = ln_b(b, LN_OP_pad_grad, gout, 1, &node->attrs, NULL, NULL); }
RULE(flip) { gin[0] = ln_b(b, LN_OP_flip, gout, 1, &node->attrs, NULL, NULL); }

/* -- indexed movement */

RULE(index_select) {
  ln_value *in[3] = {ln_bfull_like(b, node->in[0], 0), node->in[1], gout[0]};
  gin[0] = ln_b(b, LN_OP_index_add, in, 3, &node->attrs, NULL, NULL);
}

RULE(index_add) {
  ln_value *in[2] = {gout[0], node->in[1]};
  if (ln_wants(b, node, 0)) gin[0] = gout[0];
  if (ln_wants(b, node, 2)) gin[2] = ln_b(b, LN_OP_index_select, in, 2, &node->attrs, NULL, NULL);
}

RULE(gather) {
  ln_value *in[3] = {ln_bfull_like(b, node->in[0], 0), node->in[1], gout[0]};
  gin[0] = ln_b(b, LN_OP_scatter_add, in, 3, &node->attrs, NULL, NULL);
}

RULE(scatter_add) {
  ln_value *in[2] = {gout[0], node->in[1]};
  if (ln_wants(b, node, 0)) gin[0] = gout[0];
  if (ln_wants(b, node, 2)) gin[2] = ln_b(b, LN_OP_gather, in, 2, &node->attrs, NULL, NULL);
}
