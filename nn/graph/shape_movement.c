/* shape_movement.c: shape rules of ops that move elements: reshape, permute, expand, slice, cat, pad, flip. */
#include "shape_util.h"

/* The target of reshape or expand as text: "3x-1". */
static const char *size_text(const ln_attrs *attrs, char *buffer) {
  ln_meta m = { .dtype = LN_F32, .rank = attrs->nsize };
  for (int i = 0; i < attrs->nsize; i++) m.dim[i] = attrs->size[i];
  return shape_text(&m, buffer);
}

static ln_code need_size_count(const ln_attrs *attrs, ln_error *err) {
  if (attrs->nsize >= 0 && attrs->nsize <= LN_MAX_RANK) return LN_OK;
  return ln_fail(err, LN_EINVAL, "a tensor has 0 to %d dims, size lists %d", LN_MAX_RANK, attrs->nsize);
}

/* Replaces one -1 by what the number of elements leaves for it. */
ln_code ln_shape_reshape(const ln_meta *in, int nin, ln_attrs *attrs, ln_meta *out, ln_error *err) {
  (void)nin;
  char text[LN_SHAPE_TEXT];
  SHAPE_TRY(need_size_count(attrs, err));
  size_text(attrs, text);
  int inferred = -1;
  int64_t dim[LN_MAX_RANK] = { 0 };
  for (int i = 0; i < attrs->nsize; i++) {
    dim[i] = attrs->size[i];
    if (dim[i] != -1) continue;
    if (inferred >= 0) return ln_fail(err, LN_EINVAL, "only one size may be -1, got %s", text);
    inferred = i;
    dim[i] = 1;
  }
  SHAPE_TRY(shape_set(out, in[0].dtype, attrs->nsize, dim, err));
  int64_t have = ln_numel(&in[0]), rest = ln_numel(out);
  if (inferred >= 0 && rest == 0)
    return ln_fail(err, LN_EINVAL, "-1 in %s cannot be inferred, as the other sizes hold no elements", text);
  if (inferred >= 0 && have % rest == 0) {
    dim[inferred] = have / rest;
    SHAPE_TRY(shape_set(out, in[0].dtype, attrs->nsize, dim, err));
  }
  if (ln_numel(out) != have)
    return ln_fail(err, LN_EINVAL, "input %s has %lld elements, which do not fill the shape %s",
                   SHAPE_TEXT(&in[0]), (long long)have, text);
  for (int i = 0; i < attrs->nsize; i++) attrs->size[i] = dim[i];
  return LN_OK;
}

ln_code ln_shape_permute(const ln_meta *in, int nin, ln_attrs *attrs, ln_meta *out, ln_error *err) {
  (void)nin;
  const ln_meta *x = &in[0];
  if (attrs->ndims != x->rank)
    return ln_fail(err, LN_EINVAL, "dims must list each of the %d dims of the input %s once, it lists %d", x->rank,
                   SHAPE_TEXT(x), attrs->ndims);
  unsigned mask;
  SHAPE_TRY(shape_dims_mask(x, attrs, &mask, err));
  out[0] = *x;
  for (int i = 0; i < x->rank; i++) out[0].dim[i] = x->dim[attrs->dims[i]];
  return LN_OK;
}

/* New dims come in front; -1 keeps a size. */
ln_code ln_shape_expand(const ln_meta *in, int nin, ln_attrs *attrs, ln_meta *out, ln_error *err) {
  (void)nin;
  const ln_meta *x = &in[0];
  char text[LN_SHAPE_TEXT];
  SHAPE_TRY(need_size_count(attrs, err));
  size_text(attrs, text);
  if (attrs->nsize < x->rank)
    return ln_fail(err, LN_EINVAL, "size %s has fewer dims than the input %s", text, SHAPE_TEXT(x));
  int64_t dim[LN_MAX_RANK] = { 0 };
  int added = attrs->nsize - x->rank;
  for (int i = 0; i < attrs->nsize; i++) {
    dim[i] = attrs->size[i];
    if (i < added) {
      if (dim[i] == -1)
        return ln_fail(err, LN_EINVAL, "-1 in size %s stands for a dim that the input %s does not have", text, SHAPE_TEXT(x));
      continue;
    }
    int64_t have = x->dim[i - added];
    if (dim[i] == -1) dim[i] = have;
    if (dim[i] != have && have != 1)
      return ln_fail(err, LN_EINVAL, "input %s does not expand to %s: dim %d has size %lld and only size 1 can be repeated",
                     SHAPE_TEXT(x), text, i - added + 1, (long long)have);
  }
  SHAPE_TRY(shape_set(out, x->dtype, attrs->nsize, dim, err));
  for (int i = 0; i < attrs->nsize; i++) attrs->size[i] = dim[i];
  return LN_OK;
}

/* -- slices */

ln_code ln_shape_slice(const ln_meta *in, int nin, ln_attrs *attrs, ln_meta *out, ln_error *err) {
  (void)nin;
  const ln_meta *x = &in[0];
  SHAPE_TRY(shape_need_dim(x, attrs->dim, err));
  int64_t size = x->dim[attrs->dim];
  if (attrs->step < 1 || attrs->step > LN_DIM_LIMIT)
    return ln_fail(err, LN_EINVAL, "step must be positive, got %lld", (long long)attrs->step);
  if (attrs->start < 0 || attrs->start > attrs->stop || attrs->stop > size)
    return ln_fail(err, LN_EINVAL, "slice %lld to %lld does not lie within dim %d, which has size %lld (input %s)",
                   (long long)(attrs->start < INT64_MAX ? attrs->start + 1 : attrs->start),
                   (long long)attrs->stop, attrs->dim + 1, (long long)size, SHAPE_TEXT(x));
  out[0] = *x;
  out[0].dim[attrs->dim] = (attrs->stop - attrs->start + attrs->step - 1) / attrs->step;
  return LN_OK;
}

ln_code ln_shape_slice_scatter(const ln_meta *in, int nin, ln_attrs *attrs, ln_meta *out, ln_error *err) {
  ln_meta part;
  SHAPE_TRY(ln_shape_slice(in, nin, attrs, &part, err));
  if (!ln_same_shape(&part, &in[1]))
    return ln_fail(err, LN_EINVAL, "the slice has shape %s, src has %s (input %s)", SHAPE_TEXT(&part),
                   SHAPE_TEXT(&in[1]), SHAPE_TEXT(&in[0]));
  SHAPE_TRY(shape_need_same_dtype(&in[0], "input", &in[1], "src", err));
  out[0] = in[0];
  return LN_OK;
}

ln_code ln_shape_cat(const ln_meta *in, int nin, ln_attrs *attrs, ln_meta *out, ln_error *err) {
  if (nin < 1) return ln_fail(err, LN_EINVAL, "expects at least one tensor");
  SHAPE_TRY(shape_need_dim(&in[0], attrs->dim, err));
  int64_t dim[LN_MAX_RANK], total = 0;
  for (int i = 0; i < in[0].rank; i++) dim[i] = in[0].dim[i];
  for (int k = 0; k < nin; k++) {
    bool fits = in[k].rank == in[0].rank;
    for (int i = 0; fits && i < in[0].rank; i++) fits = i == attrs->dim || in[k].dim[i] == in[0].dim[i];
    if (!fits)
      return ln_fail(err, LN_EINVAL, "tensor %d is %s and tensor 1 is %s; all but dim %d must be equal", k + 1,
                     SHAPE_TEXT(&in[k]), SHAPE_TEXT(&in[0]), attrs->dim + 1);
    if (in[k].dtype != in[0].dtype)
      return ln_fail(err, LN_EINVAL, "tensor %d is %s and tensor 1 is %s; they must have the same dtype", k + 1,
                     ln_dtype_name(in[k].dtype), ln_dtype_name(in[0].dtype));
    total += in[k].dim[attrs->dim];
  }
  dim[attrs->dim] = total;
  return shape_set(out, in[0].dtype, in[0].rank, dim, err);
}

ln_code ln_shape_flip(const ln_meta *in, int nin, ln_attrs *attrs, ln_meta *out, ln_error *err) {
  (void)nin;
  unsigned mask;
  SHAPE_TRY(shape_dims_mask(&in[0], attrs, &mask, err));
  out[0] = in[0];
  return LN_OK;
}

/* -- padding */

static ln_code need_pad_attrs(const ln_meta *m, const ln_attrs *attrs, ln_error *err) {
  if (attrs->mode > LN_MODE_REPLICATE)
    return ln_fail(err, LN_EINVAL, "mode must be constant, reflect or replicate, got %s", ln_mode_name(attrs->mode));
  if (attrs->nbefore != m->rank || attrs->nafter != m->rank)
    return ln_fail(err, LN_EINVAL, "before and after must list one number for each of the %d dims of %s, they list %d and %d",
                   m->rank, SHAPE_TEXT(m), attrs->nbefore, attrs->nafter);
  for (int i = 0; i < m->rank; i++) {
    int64_t before = attrs->before[i], after = attrs->after[i];
    if (before < -LN_DIM_LIMIT || before > LN_DIM_LIMIT || after < -LN_DIM_LIMIT || after > LN_DIM_LIMIT)
      return ln_fail(err, LN_EINVAL, "padding %lld and %lld in dim %d is beyond any tensor's size", (long long)before,
                     (long long)after, i + 1);
  }
  return LN_OK;
}

/* What one padded dim asks of the input's size n; `padded` is its size after padding. */
static ln_code need_paddable(const ln_attrs *attrs, int i, int64_t n, int64_t padded, const ln_meta *m, ln_error *err) {
  int64_t before = attrs->before[i], after = attrs->after[i], larger = before > after ? before : after;
  if (padded < 0)
    return ln_fail(err, LN_EINVAL, "cropping %lld and %lld leaves a negative size in dim %d (input %s)",
                   (long long)-before, (long long)-after, i + 1, SHAPE_TEXT(m));
  if (attrs->mode == LN_MODE_REFLECT && larger > 0 && larger >= n)
    return ln_fail(err, LN_EINVAL, "reflect padding must be smaller than the input's size: %lld and %lld in dim %d of size %lld (input %s)",
                   (long long)before, (long long)after, i + 1, (long long)n, SHAPE_TEXT(m));
  if (attrs->mode == LN_MODE_REPLICATE && larger > 0 && n == 0)
    return ln_fail(err, LN_EINVAL, "dim %d is empty: there is no edge to replicate (input %s)", i + 1, SHAPE_TEXT(m));
  if (attrs->mode != LN_MODE_CONSTANT && (before != 0 || after != 0) && padded < 1)
    return ln_fail(err, LN_EINVAL, "cropping %lld and %lld leaves nothing of dim %d (input %s)", (long long)-before,
                   (long long)-after, i + 1, SHAPE_TEXT(m));
  return LN_OK;
}

ln_code ln_shape_pad(const ln_meta *in, int nin, ln_attrs *attrs, ln_meta *out, ln_error *err) {
  (void)nin;
  const ln_meta *x = &in[0];
  int64_t dim[LN_MAX_RANK] = { 0 };
  SHAPE_TRY(need_pad_attrs(x, attrs, err));
  for (int i = 0; i < x->rank; i++) {
    dim[i] = x->dim[i] + attrs->before[i] + attrs->after[i];
    SHAPE_TRY(need_paddable(attrs, i, x->dim[i], dim[i], x, err));
  }
  return shape_set(out, x->dtype, x->rank, dim, err);
}

ln_code ln_shape_pad_grad(const ln_meta *in, int nin, ln_attrs *attrs, ln_meta *out, ln_error *err) {
  (void)nin;
  const ln_meta *gy = &in[0];
  int64_t dim[LN_MAX_RANK] = { 0 };
  SHAPE_TRY(shape_need_float(gy, "the gradient", err));
  SHAPE_TRY(need_pad_attrs(gy, attrs, err));
  for (int i = 0; i < gy->rank; i++) {
    dim[i] = gy->dim[i] - attrs->before[i] - attrs->after[i];
    if (dim[i] < 0)
      return ln_fail(err, LN_EINVAL, "the gradient %s is smaller than its padding %lld and %lld in dim %d", SHAPE_TEXT(gy),
                     (long long)attrs->before[i], (long long)attrs->after[i], i + 1);
    SHAPE_TRY(need_paddable(attrs, i, dim[i], gy->dim[i], gy, err));
  }
  return shape_set(out, gy->dtype, gy->rank, dim, err);
}
