/* shape_pool.c: shape rules of pooling and of interpolation, over the dims after the first two. */
#include <math.h>

#include "shape_util.h"

static ln_code need_image(const ln_meta *m, const char *name, ln_error *err) {
  SHAPE_TRY(shape_need_float(m, name, err));
  SHAPE_TRY(shape_need_rank(m, name, 3, LN_MAX_RANK, "batch, channels, then 1 to 3 spatial dims", err));
  for (int i = 2; i < m->rank; i++)
    if (m->dim[i] == 0) return ln_fail(err, LN_EINVAL, "%s %s is empty in spatial dim %d", name, SHAPE_TEXT(m), i - 1);
  return LN_OK;
}

/* -- pooling */

static ln_code need_window(const ln_meta *x, const ln_attrs *attrs, int i, ln_error *err) {
  int64_t kernel = attrs->kernel[i], padding = attrs->padding[i], dilation = attrs->dilation[i];
  SHAPE_TRY(shape_need_range("kernel", i, kernel, 1, err));
  SHAPE_TRY(shape_need_range("stride", i, attrs->stride[i], 1, err));
  SHAPE_TRY(shape_need_range("padding", i, padding, 0, err));
  SHAPE_TRY(shape_need_range("dilation", i, dilation, 1, err));
  if (padding > kernel / 2)
    return ln_fail(err, LN_EINVAL, "padding should be at most half of the kernel size, got padding %lld and kernel %lld in spatial dim %d",
                   (long long)padding, (long long)kernel, i + 1);
  /* Only then can a window step over the whole input and see nothing but padding. */
  if (padding > 0 && dilation > x->dim[i + 2])
    return ln_fail(err, LN_EINVAL, "dilation %lld steps over the whole input of size %lld in spatial dim %d, so that a window may see only padding (input %s)",
                   (long long)dilation, (long long)x->dim[i + 2], i + 1, SHAPE_TEXT(x));
  return LN_OK;
}

/* y's dims. With ceil_mode the last window must start inside the input or its left padding. */
static ln_code pooled_dims(const ln_meta *x, const ln_attrs *attrs, int64_t dim[LN_MAX_RANK], ln_error *err) {
  dim[0] = x->dim[0];
  dim[1] = x->dim[1];
  for (int i = 0; i < x->rank - 2; i++) {
    SHAPE_TRY(need_window(x, attrs, i, err));
    int64_t size = x->dim[i + 2], stride = attrs->stride[i], padding = attrs->padding[i];
    int64_t room = size + 2 * padding - (attrs->dilation[i] * (attrs->kernel[i] - 1) + 1);
    if (attrs->ceil_mode) room += stride - 1;
    int64_t count = room < 0 ? 0 : room / stride + 1;
    if (attrs->ceil_mode && count > 0 && (count - 1) * stride >= size + padding) count--;
    if (count < 1)
      return ln_fail(err, LN_EINVAL, "the output would be empty: kernel %lld does not fit into size %lld with padding %lld in spatial dim %d (input %s)",
                     (long long)attrs->kernel[i], (long long)size, (long long)padding, i + 1, SHAPE_TEXT(x));
    dim[i + 2] = count;
  }
  return LN_OK;
}

ln_code ln_shape_avg_pool(const ln_meta *in, int nin, ln_attrs *attrs, ln_meta *out, ln_error *err) {
  (void)nin;
  int64_t dim[LN_MAX_RANK] = { 0 };
  SHAPE_TRY(need_image(&in[0], "input", err));
  SHAPE_TRY(pooled_dims(&in[0], attrs, dim, err));
  return shape_set(out, in[0].dtype, in[0].rank, dim, err);
}

/* The indices are i32, so the spatial volume must be countable in one. */
static ln_code need_i32_volume(const ln_meta *m, ln_error *err) {
  int64_t volume = 1;
  for (int i = 2; i < m->rank; i++) {
    if (m->dim[i] > 0 && volume > INT32_MAX / m->dim[i])
      return ln_fail(err, LN_EINVAL, "indices are i32, so the spatial volume of %s must be below 2^31", SHAPE_TEXT(m));
    volume *= m->dim[i];
  }
  return LN_OK;
}

ln_code ln_shape_max_pool(const ln_meta *in, int nin, ln_attrs *attrs, ln_meta *out, ln_error *err) {
  SHAPE_TRY(ln_shape_avg_pool(in, nin, attrs, out, err));
  SHAPE_TRY(need_i32_volume(&in[0], err));
  shape_like(&out[1], &out[0], LN_I32);
  return LN_OK;
}

/* -- m with its spatial size replaced by the one that the attribute gives: interpolation, and the gradients */

static ln_code resized(const ln_meta *m, const char *name, const ln_attrs *attrs, ln_meta *out, ln_error *err) {
  int64_t dim[LN_MAX_RANK] = { m->dim[0], m->dim[1] };
  SHAPE_TRY(need_image(m, name, err));
  if (attrs->nsize != m->rank - 2)
    return ln_fail(err, LN_EINVAL, "size must list %d spatial sizes, it lists %d (%s %s)", m->rank - 2, attrs->nsize,
                   name, SHAPE_TEXT(m));
  for (int i = 0; i < attrs->nsize; i++) {
    SHAPE_TRY(shape_need_range("size", i, attrs->size[i], 1, err));
    dim[i + 2] = attrs->size[i];
  }
  return shape_set(out, m->dtype, m->rank, dim, err);
}

/* The window is not known here: the indices say where gy goes, and the kernel checks them. */
ln_code ln_shape_max_pool_grad(const ln_meta *in, int nin, ln_attrs *attrs, ln_meta *out, ln_error *err) {
  (void)nin;
  SHAPE_TRY(resized(&in[0], "the gradient", attrs, out, err));
  SHAPE_TRY(shape_need_same_shape(&in[0], "the gradient", &in[1], "indices", err));
  SHAPE_TRY(shape_need_dtype(&in[1], "indices", LN_I32, err));
  return need_i32_volume(out, err);
}

/* in: other gy indices */
ln_code ln_shape_max_pool_grad_add(const ln_meta *in, int nin, ln_attrs *attrs, ln_meta *out, ln_error *err) {
  SHAPE_TRY(ln_shape_max_pool_grad(in + 1, nin - 1, attrs, out, err));
  return shape_need_same(out, "the pool's input", &in[0], "the other gradient", err);
}

ln_code ln_shape_avg_pool_grad(const ln_meta *in, int nin, ln_attrs *attrs, ln_meta *out, ln_error *err) {
  (void)nin;
  ln_meta expected = in[0];
  SHAPE_TRY(resized(&in[0], "the gradient", attrs, out, err));
  SHAPE_TRY(pooled_dims(out, attrs, expected.dim, err));
  if (ln_same_shape(&expected, &in[0])) return LN_OK;
  return ln_fail(err, LN_EINVAL, "the gradient must be %s for an input %s, got %s", SHAPE_TEXT(&expected),
                 SHAPE_TEXT(out), SHAPE_TEXT(&in[0]));
}

/* -- interpolation */

static ln_code need_interpolation(const ln_attrs *attrs, int spatial, ln_error *err) {
  if (attrs->mode != LN_MODE_NEAREST && attrs->mode != LN_MODE_LINEAR)
    return ln_fail(err, LN_EINVAL, "mode must be nearest or linear, got %s",
                   attrs->mode < LN_MODE_COUNT ? ln_mode_name(attrs->mode) : "none of them");
  if (attrs->mode == LN_MODE_NEAREST && attrs->align_corners)
    return ln_fail(err, LN_EINVAL, "align_corners applies to mode linear only");
  for (int i = 0; i < spatial; i++)
    if (attrs->scale[i] != 0 && !(attrs->scale[i] >= 0x1p-31 && attrs->scale[i] <= 0x1p31))
      return ln_fail(err, LN_EINVAL, "scale must be 0, to follow from the sizes, or between 2^-31 and 2^31, got %g in spatial dim %d",
                     attrs->scale[i], i + 1);
  return LN_OK;
}

/* Without a size: floor(in * scale), as torch does. */
static ln_code fill_size(const ln_meta *x, ln_attrs *attrs, ln_error *err) {
  int spatial = x->rank - 2;
  for (int i = 0; i < spatial; i++) {
    double size = floor((double)x->dim[i + 2] * attrs->scale[i]);
    if (attrs->scale[i] == 0)
      return ln_fail(err, LN_EINVAL, "needs a size, or a scale for each of the %d spatial dims (input %s)", spatial, SHAPE_TEXT(x));
    if (size < 1 || size > (double)LN_DIM_LIMIT)
      return ln_fail(err, LN_EINVAL, "scale %g makes size %lld of %g in spatial dim %d (input %s)", attrs->scale[i],
                     (long long)x->dim[i + 2], size, i + 1, SHAPE_TEXT(x));
    attrs->size[i] = (int64_t)size;
  }
  attrs->nsize = spatial;
  return LN_OK;
}

ln_code ln_shape_interpolate(const ln_meta *in, int nin, ln_attrs *attrs, ln_meta *out, ln_error *err) {
  (void)nin;
  const ln_meta *x = &in[0];
  SHAPE_TRY(need_image(x, "input", err));
  SHAPE_TRY(need_interpolation(attrs, x->rank - 2, err));
  if (attrs->nsize == 0) SHAPE_TRY(fill_size(x, attrs, err));
  return resized(x, "input", attrs, out, err);
}

ln_code ln_shape_interpolate_grad(const ln_meta *in, int nin, ln_attrs *attrs, ln_meta *out, ln_error *err) {
  (void)nin;
  SHAPE_TRY(resized(&in[0], "the gradient", attrs, out, err));
  return need_interpolation(attrs, in[0].rank - 2, err);
}
