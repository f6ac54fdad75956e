/* builder.c: what gradient rules record with; see grad.h. */
#include "builder.h"

#include <string.h>

#include "internal.h"

void ln_builder_open(ln_builder *b, ln_ctx *ctx) {
  memset(b, 0, sizeof *b);
  b->ctx = ctx;
}

void ln_builder_close(ln_builder *b) {
  for (int i = 0; i < b->nmade; i++) ln_value_drop(b->ctx, b->made[i]);
  ln_free(&b->ctx->mem, b->made);
  b->made = NULL;
  b->nmade = b->cap = 0;
}

bool ln_wants(const ln_builder *b, const ln_node *node, int input) {
  return b->code == LN_OK && node->in[input] != NULL && node->in[input]->requires_grad;
}

static bool reserve(ln_builder *b, int more) {
  if (b->nmade + more <= b->cap) return true;
  int cap = 2 * b->cap + 16;
  ln_value **made = ln_realloc(&b->ctx->mem, b->made, (size_t)cap * sizeof(ln_value *));
  if (made == NULL) {
    b->code = ln_no_memory(b->ctx, (size_t)cap * sizeof(ln_value *));
    return false;
  }
  b->made = made;
  b->cap = cap;
  return true;
}

ln_value *ln_b(ln_builder *b, ln_op op, ln_value *const *in, int nin, const ln_attrs *attrs,
               const ln_scalars *scalars, ln_value **all) {
  const ln_op_info *info = ln_op_info_get(op);
  ln_value *out[LN_MAX_OUTPUTS] = {NULL};
  for (int o = 0; all != NULL && o < info->nout; o++) all[o] = NULL;
  for (int i = 0; i < nin; i++)
    if (in[i] == NULL && (info->optional >> i & 1) == 0) return NULL; /* an earlier call failed */
  if (b->code != LN_OK || !reserve(b, info->nout)) return NULL;
  b->code = ln_record(b->ctx, op, in, nin, attrs, scalars, out);
  if (b->code != LN_OK) return NULL;
  for (int o = 0; o < info->nout; o++) {
    b->made[b->nmade++] = out[o];
    if (all != NULL) all[o] = out[o];
  }
  return out[0];
}

ln_value *ln_b1(ln_builder *b, ln_op op, ln_value *x) { return ln_b(b, op, &x, 1, NULL, NULL, NULL); }

ln_value *ln_b2(ln_builder *b, ln_op op, ln_value *x, ln_value *y) {
  ln_value *in[2] = {x, y};
  return ln_b(b, op, in, 2, NULL, NULL, NULL);
}

static ln_value *full(ln_builder *b, ln_dtype dtype, int rank, const int64_t *dim, double value) {
  ln_attrs attrs;
  ln_scalars scalars;
  ln_attrs_default(&attrs, &scalars);
  attrs.dtype = dtype;
  attrs.nsize = rank;
  for (int i = 0; i < rank; i++) attrs.size[i] = dim[i];
  scalars.value = value;
  return ln_b(b, LN_OP_full, NULL, 0, &attrs, &scalars, NULL);
}

ln_value *ln_bconst(ln_builder *b, const ln_value *like, double value) {
  return like == NULL ? NULL : full(b, like->meta.dtype, 0, NULL, value);
}

ln_value *ln_bfull_like(ln_builder *b, const ln_value *like, double value) {
  return like == NULL ? NULL : full(b, like->meta.dtype, like->meta.rank, like->meta.dim, value);
}

/* An op whose only attribute is `size`. */
static ln_value *sized(ln_builder *b, ln_op op, ln_value *x, const ln_meta *shape) {
  if (x == NULL || ln_same_shape(&x->meta, shape)) return x;
  ln_attrs attrs;
  ln_attrs_default(&attrs, NULL);
  attrs.nsize = shape->rank;
  for (int i = 0; i < shape->rank; i++) attrs.size[i] = shape->dim[i];
  return ln_b(b, op, &x, 1, &attrs, NULL, NULL);
}

ln_value *ln_breshape(ln_builder *b, ln_value *x, const ln_meta *shape) {
  return sized(b, LN_OP_reshape, x, shape);
}

ln_value *ln_bexpand(ln_builder *b, ln_value *x, const ln_meta *shape) {
  return sized(b, LN_OP_expand, x, shape);
}

ln_value *ln_bsum(ln_builder *b, ln_value *x, unsigned mask, bool keepdim) {
  if (x == NULL || mask == 0) return x;
  ln_attrs attrs;
  ln_attrs_default(&attrs, NULL);
  attrs.keepdim = keepdim;
  for (int i = 0; i < x->meta.rank; i++)
    if ((mask >> i & 1) != 0) attrs.dims[attrs.ndims++] = i;
  return ln_b(b, LN_OP_sum, &x, 1, &attrs, NULL, NULL);
}

ln_value *ln_bunbroadcast(ln_builder *b, ln_value *gy, const ln_value *like) {
  if (gy == NULL || ln_same_shape(&gy->meta, &like->meta)) return gy;
  int added = gy->meta.rank - like->meta.rank;
  unsigned mask = 0;
  for (int i = 0; i < gy->meta.rank; i++)
    if (i < added || (like->meta.dim[i - added] == 1 && gy->meta.dim[i] != 1)) mask |= 1u << i;
  return ln_breshape(b, ln_bsum(b, gy, mask, true), &like->meta);
}
