/* shape_norm.c: shape rules of the normalisations. */
#include "shape_util.h"

static ln_code need_channel_vector(const ln_meta *m, const char *name, const ln_meta *x, ln_error *err) {
  if (m->dtype == LN_NONE) return LN_OK;
  if (m->rank != 1 || m->dim[0] != x->dim[1])
    return ln_fail(err, LN_EINVAL, "input has %lld channels, %s must have as many elements (input %s, %s %s)",
                   (long long)x->dim[1], name, SHAPE_TEXT(x), name, SHAPE_TEXT(m));
  return shape_need_dtype(m, name, shape_stat_dtype(x->dtype), err);
}

static ln_code need_image(const ln_meta *x, ln_error *err) {
  SHAPE_TRY(shape_need_float(x, "input", err));
  return shape_need_rank(x, "input", 2, LN_MAX_RANK, "batch, channels, then space", err);
}

/* y like x, and `count` vectors of one value per channel after it. */
static ln_code set_outputs(const ln_meta *x, int count, ln_meta *out, ln_error *err) {
  out[0] = *x;
  for (int i = 1; i <= count; i++) SHAPE_TRY(shape_set(&out[i], shape_stat_dtype(x->dtype), 1, &x->dim[1], err));
  return LN_OK;
}

static ln_code need_several(const ln_meta *x, ln_error *err) {
  int64_t per_channel = x->dim[0];
  for (int i = 2; i < x->rank; i++) per_channel *= x->dim[i];
  if (per_channel >= 2) return LN_OK;
  return ln_fail(err, LN_EINVAL, "expects more than 1 value per channel when training, got input %s", SHAPE_TEXT(x));
}

/* in: x w? b?, out: y mean var */
ln_code ln_shape_batch_norm(const ln_meta *in, int nin, ln_attrs *attrs, ln_meta *out, ln_error *err) {
  (void)nin, (void)attrs;
  const ln_meta *x = &in[0];
  SHAPE_TRY(need_image(x, err));
  SHAPE_TRY(need_channel_vector(&in[1], "weight", x, err));
  SHAPE_TRY(need_channel_vector(&in[2], "bias", x, err));
  SHAPE_TRY(need_several(x, err));
  return set_outputs(x, 2, out, err);
}

/* in: x, out: mean var */
ln_code ln_shape_moments(const ln_meta *in, int nin, ln_attrs *attrs, ln_meta *out, ln_error *err) {
  (void)nin, (void)attrs;
  const ln_meta *x = &in[0];
  SHAPE_TRY(need_image(x, err));
  SHAPE_TRY(need_several(x, err));
  for (int i = 0; i < 2; i++) SHAPE_TRY(shape_set(&out[i], shape_stat_dtype(x->dtype), 1, &x->dim[1], err));
  return LN_OK;
}

/* in: gy x w? mean var, out: gx gw gb */
ln_code ln_shape_batch_norm_grad(const ln_meta *in, int nin, ln_attrs *attrs, ln_meta *out, ln_error *err) {
  (void)nin, (void)attrs;
  const ln_meta *x = &in[1];
  SHAPE_TRY(need_image(x, err));
  SHAPE_TRY(shape_need_same(x, "input", &in[0], "the gradient", err));
  SHAPE_TRY(need_channel_vector(&in[2], "weight", x, err));
  SHAPE_TRY(need_channel_vector(&in[3], "mean", x, err));
  SHAPE_TRY(need_channel_vector(&in[4], "var", x, err));
  return set_outputs(x, 2, out, err);
}

/* in: x mean var w? b? */
ln_code ln_shape_batch_norm_eval(const ln_meta *in, int nin, ln_attrs *attrs, ln_meta *out, ln_error *err) {
  static const char *const name[] = { "input", "mean", "var", "weight", "bias" };
  (void)nin, (void)attrs;
  SHAPE_TRY(need_image(&in[0], err));
  for (int i = 1; i < 5; i++) SHAPE_TRY(need_channel_vector(&in[i], name[i], &in[0], err));
  return set_outputs(&in[0], 0, out, err);
}

/* in: gy x mean var w? b?, out: gx gw gb */
ln_code ln_shape_norm_relu_grad(const ln_meta *in, int nin, ln_attrs *attrs, ln_meta *out, ln_error *err) {
  SHAPE_TRY(ln_shape_batch_norm_eval(in + 1, nin - 1, attrs, out, err));
  SHAPE_TRY(shape_need_same(&in[1], "input", &in[0], "the gradient", err));
  return set_outputs(&in[1], 2, out, err);
}

/* in: x mean var w? b?, out: y pooled indices */
ln_code ln_shape_norm_relu_pool(const ln_meta *in, int nin, ln_attrs *attrs, ln_meta *out, ln_error *err) {
  SHAPE_TRY(ln_shape_batch_norm_eval(in, nin, attrs, out, err));
  return ln_shape_max_pool(in, 1, attrs, out + 1, err);
}

/* in: other gy indices x mean var w? b?, out: gx gw gb */
ln_code ln_shape_norm_relu_pool_grad(const ln_meta *in, int nin, ln_attrs *attrs, ln_meta *out, ln_error *err) {
  SHAPE_TRY(ln_shape_max_pool_grad_add(in, 3, attrs, out, err));
  SHAPE_TRY(ln_shape_batch_norm_eval(in + 3, nin - 3, attrs, out, err));
  SHAPE_TRY(shape_need_same(&in[3], "input", &in[0], "the other gradient", err));
  return set_outputs(&in[3], 2, out, err);
}

/* in: gy y, out: gx sum */
ln_code ln_shape_relu_grad_sum(const ln_meta *in, int nin, ln_attrs *attrs, ln_meta *out, ln_error *err) {
  (void)nin, (void)attrs;
  SHAPE_TRY(need_image(&in[0], err));
  SHAPE_TRY(shape_need_same(&in[0], "the gradient", &in[1], "the output", err));
  out[0] = in[0];
  return shape_set(&out[1], in[0].dtype, 1, &in[0].dim[1], err);
}

/* -- row_norm */

static ln_code need_rows(const ln_meta *x, const char *name, ln_error *err) {
  SHAPE_TRY(shape_need_float(x, name, err));
  SHAPE_TRY(shape_need_rank(x, name, 2, 2, "rows, elements of a row", err));
  if (x->dim[1] == 0)
    return ln_fail(err, LN_EINVAL, "rows of no elements have no mean (%s %s)", name, SHAPE_TEXT(x));
  return LN_OK;
}

/* out: y mean rstd */
ln_code ln_shape_row_norm(const ln_meta *in, int nin, ln_attrs *attrs, ln_meta *out, ln_error *err) {
  (void)nin, (void)attrs;
  SHAPE_TRY(need_rows(&in[0], "input", err));
  out[0] = in[0];
  for (int i = 1; i < 3; i++) SHAPE_TRY(shape_set(&out[i], shape_stat_dtype(in[0].dtype), 1, in[0].dim, err));
  return LN_OK;
}

/* in: gy y rstd */
ln_code ln_shape_row_norm_grad(const ln_meta *in, int nin, ln_attrs *attrs, ln_meta *out, ln_error *err) {
  (void)nin, (void)attrs;
  SHAPE_TRY(need_rows(&in[0], "the gradient", err));
  SHAPE_TRY(shape_need_same(&in[0], "the gradient", &in[1], "the output", err));
  SHAPE_TRY(shape_need_vector(&in[2], "rstd", in[0].dim[0], "one per row", err));
  SHAPE_TRY(shape_need_dtype(&in[2], "rstd", shape_stat_dtype(in[0].dtype), err));
  out[0] = in[0];
  return LN_OK;
}
