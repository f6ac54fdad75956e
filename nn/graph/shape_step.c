/* shape_step.c: shape rules of the ops that write cells, and of the guard. They have no outputs. */
#include "shape_util.h"

ln_code ln_shape_check(const ln_meta *in, int nin, ln_attrs *attrs, ln_meta *out, ln_error *err) {
  (void)nin, (void)attrs, (void)out;
  return shape_need_float(&in[0], "input", err);
}

ln_code ln_shape_write1(const ln_meta *in, int nin, ln_attrs *attrs, ln_meta *out, ln_error *err) {
  (void)nin, (void)attrs, (void)out;
  return shape_need_same(&in[0], "the cell", &in[1], "the new value", err);
}

static ln_code need_f32_f64(const ln_meta *m, const char *name, ln_error *err) {
  if (m->dtype == LN_F32 || m->dtype == LN_F64) return LN_OK;
  return ln_fail(err, LN_EINVAL, "%s must be f32 (or f64), got %s (%s)", name, ln_dtype_name(m->dtype), SHAPE_TEXT(m));
}

ln_code ln_shape_batch_norm_update(const ln_meta *in, int nin, ln_attrs *attrs, ln_meta *out, ln_error *err) {
  static const char *const name[] = { "running_mean", "running_var", "mean", "var" };
  (void)nin, (void)out;
  SHAPE_TRY(need_f32_f64(&in[0], name[0], err));
  SHAPE_TRY(shape_need_rank(&in[0], name[0], 1, 1, "channels", err));
  for (int i = 1; i < 4; i++) SHAPE_TRY(shape_need_same(&in[0], name[0], &in[i], name[i], err));
  if (attrs->nsize != 1)
    return ln_fail(err, LN_EINVAL, "size must hold one number, the elements per channel; it holds %d", attrs->nsize);
  /* the unbiased variance divides by size - 1 */
  if (attrs->size[0] < 2)
    return ln_fail(err, LN_EINVAL, "expects more than 1 value per channel, got %lld", (long long)attrs->size[0]);
  return LN_OK;
}

/* param, grad, and the optimizer's state, which may be absent (sgd_step without momentum). */
ln_code ln_shape_step(const ln_meta *in, int nin, ln_attrs *attrs, ln_meta *out, ln_error *err) {
  static const char *const name[] = { "the parameter", "its gradient", "the first state tensor", "the second state tensor" };
  (void)attrs, (void)out;
  SHAPE_TRY(need_f32_f64(&in[0], name[0], err));
  for (int i = 1; i < nin; i++)
    if (in[i].dtype != LN_NONE) SHAPE_TRY(shape_need_same(&in[0], name[0], &in[i], name[i], err));
  return LN_OK;
}
