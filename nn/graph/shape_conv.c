/* shape_conv.c: shape rules of matmul and of convolution in 1 to 3 spatial dims.
 *
 * All four convolution ops speak of one correlation: x [N,C,in...] and w [O,C/groups,kernel...] give
 * y [N,O,out...] with out = floor((in + 2 padding - dilation (kernel - 1) - 1) / stride) + 1. The gradients
 * and the transposed convolution take other members of that triple as given.
 */
#include "shape_util.h"

/* -- matmul */

ln_code ln_shape_matmul(const ln_meta *in, int nin, ln_attrs *attrs, ln_meta *out, ln_error *err) {
  (void)nin;
  const ln_meta *a = &in[0], *b = &in[1];
  SHAPE_TRY(shape_need_float(a, "a", err));
  SHAPE_TRY(shape_need_same_dtype(a, "a", b, "b", err));
  SHAPE_TRY(shape_need_rank(a, "a", 2, LN_MAX_RANK, "batch dims, rows, columns", err));
  SHAPE_TRY(shape_need_rank(b, "b", 2, LN_MAX_RANK, "batch dims, rows, columns", err));
  bool ta = attrs->transpose_a, tb = attrs->transpose_b;
  int64_t rows = a->dim[a->rank - (ta ? 1 : 2)], inner_a = a->dim[a->rank - (ta ? 2 : 1)];
  int64_t inner_b = b->dim[b->rank - (tb ? 1 : 2)], columns = b->dim[b->rank - (tb ? 2 : 1)];
  if (inner_a != inner_b)
    return ln_fail(err, LN_EINVAL, "a has %lld columns, b has %lld rows (a %s%s, b %s%s)", (long long)inner_a,
                   (long long)inner_b, SHAPE_TEXT(a), ta ? " transposed" : "", SHAPE_TEXT(b), tb ? " transposed" : "");
  ln_meta batch_a = *a, batch_b = *b, batch;
  batch_a.rank -= 2;
  batch_b.rank -= 2;
  SHAPE_TRY(shape_broadcast(&batch_a, "the batch dims of a", &batch_b, "the batch dims of b", a->dtype, &batch, err));
  batch.dim[batch.rank++] = rows;
  batch.dim[batch.rank++] = columns;
  return shape_set(out, a->dtype, batch.rank, batch.dim, err);
}

/* -- convolution */

static ln_code need_conv_attrs(const ln_attrs *attrs, int spatial, ln_error *err) {
  for (int i = 0; i < spatial; i++) {
    SHAPE_TRY(shape_need_range("stride", i, attrs->stride[i], 1, err));
    SHAPE_TRY(shape_need_range("padding", i, attrs->padding[i], 0, err));
    SHAPE_TRY(shape_need_range("dilation", i, attrs->dilation[i], 1, err));
  }
  if (attrs->groups < 1) return ln_fail(err, LN_EINVAL, "groups must be positive, got %lld", (long long)attrs->groups);
  return LN_OK;
}

/* x (or a gradient in its place): floats, [N, C, space]. */
static ln_code need_image(const ln_meta *m, const char *name, ln_error *err) {
  SHAPE_TRY(shape_need_float(m, name, err));
  return shape_need_rank(m, name, 3, LN_MAX_RANK, "batch, channels, then 1 to 3 spatial dims", err);
}

/* w: as many dims as the image, no empty one, first dim divisible by groups. */
static ln_code need_weight(const ln_meta *w, const ln_meta *image, const char *image_name, const ln_attrs *attrs,
                           ln_error *err) {
  SHAPE_TRY(shape_need_same_dtype(image, image_name, w, "weight", err));
  if (w->rank != image->rank)
    return ln_fail(err, LN_EINVAL, "weight has %d spatial dims, %s has %d (%s %s, weight %s)", w->rank - 2, image_name,
                   image->rank - 2, image_name, SHAPE_TEXT(image), SHAPE_TEXT(w));
  for (int i = 0; i < w->rank; i++)
    if (w->dim[i] == 0) return ln_fail(err, LN_EINVAL, "weight %s has no elements", SHAPE_TEXT(w));
  if (w->dim[0] % attrs->groups != 0)
    return ln_fail(err, LN_EINVAL, "groups %lld must divide the weight's %lld channels in dim 1 (weight %s)",
                   (long long)attrs->groups, (long long)w->dim[0], SHAPE_TEXT(w));
  return LN_OK;
}

static ln_code need_bias(const ln_meta *b, const ln_meta *x, int64_t channels, ln_error *err) {
  if (b->dtype == LN_NONE) return LN_OK;
  SHAPE_TRY(shape_need_same_dtype(x, "input", b, "bias", err));
  return shape_need_vector(b, "bias", channels, "one per output channel", err);
}

/* The weight's channels per group times groups are the input's channels. */
static ln_code need_channels(const ln_meta *x, const ln_meta *w, const ln_attrs *attrs, ln_error *err) {
  int64_t have = x->dim[1], per_group = w->dim[1], groups = attrs->groups;
  if (have % groups == 0 && have / groups == per_group) return LN_OK;
  if (groups == 1)
    return ln_fail(err, LN_EINVAL, "input has %lld channels, weight expects %lld (input %s, weight %s)", (long long)have,
                   (long long)per_group, SHAPE_TEXT(x), SHAPE_TEXT(w));
  return ln_fail(err, LN_EINVAL, "input has %lld channels, weight expects %lld in each of %lld groups (input %s, weight %s)",
                 (long long)have, (long long)per_group, (long long)groups, SHAPE_TEXT(x), SHAPE_TEXT(w));
}

/* out sizes of the correlation of spatial sizes in[] with kernel[]. */
static ln_code correlation_size(const int64_t *in, const int64_t *kernel, int spatial, const ln_attrs *attrs,
                                int64_t *out, ln_error *err) {
  for (int i = 0; i < spatial; i++) {
    int64_t padded = in[i] + 2 * attrs->padding[i];
    int64_t reach = attrs->dilation[i] * (kernel[i] - 1) + 1;
    if (reach > padded)
      return ln_fail(err, LN_EINVAL,
                     "kernel size can't be greater than actual input size: spatial dim %d has kernel %lld (dilated %lld), padded input %lld (input %lld)",
                     i + 1, (long long)kernel[i], (long long)reach, (long long)padded, (long long)in[i]);
    out[i] = (padded - reach) / attrs->stride[i] + 1;
  }
  return LN_OK;
}

ln_code ln_shape_conv(const ln_meta *in, int nin, ln_attrs *attrs, ln_meta *out, ln_error *err) {
  (void)nin;
  const ln_meta *x = &in[0], *w = &in[1];
  int64_t dim[LN_MAX_RANK] = { 0 };
  SHAPE_TRY(need_image(x, "input", err));
  SHAPE_TRY(need_conv_attrs(attrs, x->rank - 2, err));
  SHAPE_TRY(need_weight(w, x, "input", attrs, err));
  SHAPE_TRY(need_channels(x, w, attrs, err));
  SHAPE_TRY(need_bias(&in[2], x, w->dim[0], err));
  SHAPE_TRY(correlation_size(x->dim + 2, w->dim + 2, x->rank - 2, attrs, dim + 2, err));
  dim[0] = x->dim[0];
  dim[1] = w->dim[0];
  return shape_set(out, x->dtype, x->rank, dim, err);
}

/* gy's spatial sizes must be those that the correlation of size[] with kernel[] gives. */
static ln_code need_correlation(const int64_t *size, const int64_t *kernel, const ln_meta *gy, const ln_attrs *attrs,
                                ln_error *err) {
  ln_meta expected = *gy;
  SHAPE_TRY(correlation_size(size, kernel, gy->rank - 2, attrs, expected.dim + 2, err));
  if (ln_same_shape(&expected, gy)) return LN_OK;
  return ln_fail(err, LN_EINVAL, "the gradient must be %s for these sizes, got %s", SHAPE_TEXT(&expected), SHAPE_TEXT(gy));
}

/* in: gy w; size: spatial size of x. */
ln_code ln_shape_conv_input_grad(const ln_meta *in, int nin, ln_attrs *attrs, ln_meta *out, ln_error *err) {
  (void)nin;
  const ln_meta *gy = &in[0], *w = &in[1];
  int64_t dim[LN_MAX_RANK] = { 0 };
  SHAPE_TRY(need_image(gy, "the gradient", err));
  SHAPE_TRY(need_conv_attrs(attrs, gy->rank - 2, err));
  SHAPE_TRY(need_weight(w, gy, "the gradient", attrs, err));
  if (gy->dim[1] != w->dim[0])
    return ln_fail(err, LN_EINVAL, "the gradient has %lld channels, weight gives %lld (gradient %s, weight %s)",
                   (long long)gy->dim[1], (long long)w->dim[0], SHAPE_TEXT(gy), SHAPE_TEXT(w));
  if (attrs->nsize != gy->rank - 2)
    return ln_fail(err, LN_EINVAL, "size must list %d spatial sizes, it lists %d", gy->rank - 2, attrs->nsize);
  if (attrs->groups > LN_DIM_LIMIT / w->dim[1])
    return ln_fail(err, LN_EINVAL, "groups %lld are too many for weight %s", (long long)attrs->groups, SHAPE_TEXT(w));
  dim[0] = gy->dim[0];
  dim[1] = w->dim[1] * attrs->groups;
  for (int i = 2; i < gy->rank; i++) dim[i] = attrs->size[i - 2];
  SHAPE_TRY(shape_set(out, gy->dtype, gy->rank, dim, err));
  return need_correlation(dim + 2, w->dim + 2, gy, attrs, err);
}

/* in: x gy; kernel: spatial size of w. */
ln_code ln_shape_conv_weight_grad(const ln_meta *in, int nin, ln_attrs *attrs, ln_meta *out, ln_error *err) {
  (void)nin;
  const ln_meta *x = &in[0], *gy = &in[1];
  int64_t dim[LN_MAX_RANK] = { 0 };
  SHAPE_TRY(need_image(x, "input", err));
  SHAPE_TRY(need_image(gy, "the gradient", err));
  SHAPE_TRY(need_conv_attrs(attrs, x->rank - 2, err));
  SHAPE_TRY(shape_need_same_dtype(x, "input", gy, "the gradient", err));
  if (x->rank != gy->rank || x->dim[0] != gy->dim[0])
    return ln_fail(err, LN_EINVAL, "input %s and the gradient %s must have the same batch size and number of dims",
                   SHAPE_TEXT(x), SHAPE_TEXT(gy));
  if (x->dim[1] % attrs->groups != 0 || gy->dim[1] % attrs->groups != 0)
    return ln_fail(err, LN_EINVAL, "groups %lld must divide the channels of input %s and gradient %s",
                   (long long)attrs->groups, SHAPE_TEXT(x), SHAPE_TEXT(gy));
  dim[0] = gy->dim[1];
  dim[1] = x->dim[1] / attrs->groups;
  for (int i = 2; i < x->rank; i++) {
    SHAPE_TRY(shape_need_range("kernel", i - 2, attrs->kernel[i - 2], 1, err));
    dim[i] = attrs->kernel[i - 2];
  }
  SHAPE_TRY(shape_set(out, x->dtype, x->rank, dim, err));
  return need_correlation(x->dim + 2, dim + 2, gy, attrs, err);
}

/* in: x w b?, w [C, O/groups, kernel...]: the input gradient of a correlation from O to C channels. */
ln_code ln_shape_conv_transpose(const ln_meta *in, int nin, ln_attrs *attrs, ln_meta *out, ln_error *err) {
  (void)nin;
  const ln_meta *x = &in[0], *w = &in[1];
  int64_t dim[LN_MAX_RANK] = { 0 };
  SHAPE_TRY(need_image(x, "input", err));
  SHAPE_TRY(need_conv_attrs(attrs, x->rank - 2, err));
  SHAPE_TRY(need_weight(w, x, "input", attrs, err));
  if (x->dim[1] != w->dim[0])
    return ln_fail(err, LN_EINVAL, "input has %lld channels, weight expects %lld (input %s, weight %s)",
                   (long long)x->dim[1], (long long)w->dim[0], SHAPE_TEXT(x), SHAPE_TEXT(w));
  if (attrs->groups > LN_DIM_LIMIT / w->dim[1])
    return ln_fail(err, LN_EINVAL, "groups %lld are too many for weight %s", (long long)attrs->groups, SHAPE_TEXT(w));
  dim[0] = x->dim[0];
  dim[1] = w->dim[1] * attrs->groups;
  SHAPE_TRY(need_bias(&in[2], x, dim[1], err));
  for (int i = 0; i < x->rank - 2; i++) {
    int64_t size = x->dim[i + 2], stride = attrs->stride[i], dilation = attrs->dilation[i], extra = attrs->output_padding[i];
    if (extra < 0 || (extra >= stride && extra >= dilation))
      return ln_fail(err, LN_EINVAL, "output padding must be smaller than either stride or dilation, got %lld with stride %lld and dilation %lld in spatial dim %d",
                     (long long)extra, (long long)stride, (long long)dilation, i + 1);
    if (size == 0) return ln_fail(err, LN_EINVAL, "input %s is empty in spatial dim %d", SHAPE_TEXT(x), i + 1);
    dim[i + 2] = (size - 1) * stride - 2 * attrs->padding[i] + dilation * (w->dim[i + 2] - 1) + extra + 1;
    if (dim[i + 2] < 1)
      return ln_fail(err, LN_EINVAL, "the output would have size %lld in spatial dim %d (input %s, weight %s, padding %lld)",
                     (long long)dim[i + 2], i + 1, SHAPE_TEXT(x), SHAPE_TEXT(w), (long long)attrs->padding[i]);
  }
  return shape_set(out, x->dtype, x->rank, dim, err);
}

/* -- a convolution and what follows it */

/* in: x w b?, out: y mean var */
ln_code ln_shape_conv_moments(const ln_meta *in, int nin, ln_attrs *attrs, ln_meta *out, ln_error *err) {
  SHAPE_TRY(ln_shape_conv(in, nin, attrs, out, err));
  int64_t per_channel = out[0].dim[0];
  for (int i = 2; i < out[0].rank; i++) per_channel *= out[0].dim[i];
  if (per_channel < 2)
    return ln_fail(err, LN_EINVAL, "expects more than 1 value per channel, the output would be %s", SHAPE_TEXT(&out[0]));
  SHAPE_TRY(shape_set(&out[1], shape_stat_dtype(out[0].dtype), 1, &out[0].dim[1], err));
  out[2] = out[1];
  return LN_OK;
}

/* in: x w b? mean var gamma? beta? */
ln_code ln_shape_conv_norm(const ln_meta *in, int nin, ln_attrs *attrs, ln_meta *out, ln_error *err) {
  SHAPE_TRY(ln_shape_conv(in, nin, attrs, out, err));
  const ln_meta norm[5] = {out[0], in[3], in[4], in[5], in[6]};
  ln_meta same;
  return ln_shape_batch_norm_eval(norm, 5, attrs, &same, err);
}

/* The mask m is like out[0]; out[1] has one sum per channel. */
static ln_code complete_masked(const ln_meta *m, ln_meta *out, ln_error *err) {
  SHAPE_TRY(shape_need_same(&out[0], "the output", m, "the mask", err));
  return shape_set(&out[1], shape_stat_dtype(out[0].dtype), 1, &out[0].dim[1], err);
}

/* in: x w m, out: y sum */
ln_code ln_shape_conv_masked(const ln_meta *in, int nin, ln_attrs *attrs, ln_meta *out, ln_error *err) {
  const ln_meta plain[3] = {in[0], in[1]}; /* no bias */
  SHAPE_TRY(ln_shape_conv(plain, nin, attrs, out, err));
  return complete_masked(&in[2], out, err);
}

/* in: gy w m, out: gx sum */
ln_code ln_shape_conv_input_grad_masked(const ln_meta *in, int nin, ln_attrs *attrs, ln_meta *out, ln_error *err) {
  SHAPE_TRY(ln_shape_conv_input_grad(in, nin, attrs, out, err));
  return complete_masked(&in[2], out, err);
}
