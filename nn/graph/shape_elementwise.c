/* shape_elementwise.c: shape rules of creation and of ops that work element by element. */
#include "shape_util.h"

static ln_code check_dtype(ln_dtype dtype, ln_error *err) {
  if (dtype > LN_NONE && dtype < LN_DTYPE_COUNT) return LN_OK;
  return ln_fail(err, LN_EINVAL, "dtype number %d does not exist", (int)dtype);
}

ln_code ln_shape_create(const ln_meta *in, int nin, ln_attrs *attrs, ln_meta *out, ln_error *err) {
  (void)in, (void)nin;
  SHAPE_TRY(check_dtype(attrs->dtype, err));
  return shape_set(out, attrs->dtype, attrs->nsize, attrs->size, err);
}

ln_code ln_shape_create_float(const ln_meta *in, int nin, ln_attrs *attrs, ln_meta *out, ln_error *err) {
  SHAPE_TRY(ln_shape_create(in, nin, attrs, out, err));
  if (!ln_is_float(attrs->dtype))
    return ln_fail(err, LN_EINVAL, "random numbers are floats, dtype %s was asked for", ln_dtype_name(attrs->dtype));
  return LN_OK;
}

/* -- two inputs */

ln_code ln_shape_binary(const ln_meta *in, int nin, ln_attrs *attrs, ln_meta *out, ln_error *err) {
  (void)nin, (void)attrs;
  SHAPE_TRY(shape_need_same_dtype(&in[0], "a", &in[1], "b", err));
  SHAPE_TRY(shape_need_number(&in[0], "a", err));
  return shape_broadcast(&in[0], "a", &in[1], "b", in[0].dtype, out, err);
}

ln_code ln_shape_divide(const ln_meta *in, int nin, ln_attrs *attrs, ln_meta *out, ln_error *err) {
  SHAPE_TRY(ln_shape_binary(in, nin, attrs, out, err));
  if (!ln_is_float(out->dtype)) out->dtype = LN_F32;
  return LN_OK;
}

ln_code ln_shape_compare(const ln_meta *in, int nin, ln_attrs *attrs, ln_meta *out, ln_error *err) {
  (void)nin, (void)attrs;
  SHAPE_TRY(shape_need_same_dtype(&in[0], "a", &in[1], "b", err));
  return shape_broadcast(&in[0], "a", &in[1], "b", LN_BOOL, out, err);
}

ln_code ln_shape_where(const ln_meta *in, int nin, ln_attrs *attrs, ln_meta *out, ln_error *err) {
  (void)nin, (void)attrs;
  ln_meta ab;
  SHAPE_TRY(shape_need_dtype(&in[0], "the condition", LN_BOOL, err));
  SHAPE_TRY(shape_need_same_dtype(&in[1], "a", &in[2], "b", err));
  SHAPE_TRY(shape_broadcast(&in[1], "a", &in[2], "b", in[1].dtype, &ab, err));
  return shape_broadcast(&in[0], "the condition", &ab, "the choices", in[1].dtype, out, err);
}

/* -- one input */

ln_code ln_shape_unary(const ln_meta *in, int nin, ln_attrs *attrs, ln_meta *out, ln_error *err) {
  (void)nin, (void)attrs;
  SHAPE_TRY(shape_need_number(&in[0], "input", err));
  out[0] = in[0];
  return LN_OK;
}

ln_code ln_shape_unary_float(const ln_meta *in, int nin, ln_attrs *attrs, ln_meta *out, ln_error *err) {
  (void)nin;
  SHAPE_TRY(shape_need_float(&in[0], "input", err));
  if (attrs->channelwise && in[0].rank < 2)
    return ln_fail(err, LN_EINVAL, "channelwise needs an input with batch and channel dims, got %s", SHAPE_TEXT(&in[0]));
  out[0] = in[0];
  return LN_OK;
}

ln_code ln_shape_softmax(const ln_meta *in, int nin, ln_attrs *attrs, ln_meta *out, ln_error *err) {
  (void)nin;
  SHAPE_TRY(shape_need_float(&in[0], "input", err));
  SHAPE_TRY(shape_need_dim(&in[0], attrs->dim, err));
  out[0] = in[0];
  return LN_OK;
}

ln_code ln_shape_predicate(const ln_meta *in, int nin, ln_attrs *attrs, ln_meta *out, ln_error *err) {
  (void)nin, (void)attrs, (void)err;
  shape_like(out, &in[0], LN_BOOL);
  return LN_OK;
}

ln_code ln_shape_cast(const ln_meta *in, int nin, ln_attrs *attrs, ln_meta *out, ln_error *err) {
  (void)nin;
  SHAPE_TRY(check_dtype(attrs->dtype, err));
  shape_like(out, &in[0], attrs->dtype);
  return LN_OK;
}

/* Any dtype, not only floats: detach. */
ln_code ln_shape_same1(const ln_meta *in, int nin, ln_attrs *attrs, ln_meta *out, ln_error *err) {
  (void)nin, (void)attrs, (void)err;
  out[0] = in[0];
  return LN_OK;
}

/* -- losses and elementwise gradients: two or three floats of one shape */

ln_code ln_shape_same(const ln_meta *in, int nin, ln_attrs *attrs, ln_meta *out, ln_error *err) {
  static const char *const name[] = { "the first input", "the second input", "the third input" };
  (void)attrs;
  SHAPE_TRY(shape_need_float(&in[0], name[0], err));
  for (int i = 1; i < nin; i++) SHAPE_TRY(shape_need_same(&in[0], name[0], &in[i], name[i], err));
  out[0] = in[0];
  return LN_OK;
}

/* in: x t, out: y p */
ln_code ln_shape_sigmoid_bce(const ln_meta *in, int nin, ln_attrs *attrs, ln_meta *out, ln_error *err) {
  SHAPE_TRY(ln_shape_same(in, nin, attrs, out, err));
  out[1] = in[0];
  return LN_OK;
}

/* in: gy, then what the loss was made of. A loss that is summed or averaged sends one gradient to all elements. */
ln_code ln_shape_loss_grad(const ln_meta *in, int nin, ln_attrs *attrs, ln_meta *out, ln_error *err) {
  (void)nin, (void)attrs;
  SHAPE_TRY(shape_need_float(&in[0], "the gradient", err));
  SHAPE_TRY(shape_need_same(&in[1], "the prediction", &in[2], "the target", err));
  if (ln_numel(&in[0]) != 1 || in[0].dtype != in[1].dtype)
    SHAPE_TRY(shape_need_same(&in[0], "the gradient", &in[1], "the prediction", err));
  out[0] = in[1];
  return LN_OK;
}

ln_code ln_shape_softmax_grad(const ln_meta *in, int nin, ln_attrs *attrs, ln_meta *out, ln_error *err) {
  SHAPE_TRY(ln_shape_same(in, nin, attrs, out, err));
  return shape_need_dim(&in[0], attrs->dim, err);
}
