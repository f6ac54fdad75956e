/* ref_conv.c: matrix product, and convolution with its gradients in 1 to 3 spatial dims.
 *
 * A convolution (a cross-correlation) is a sum over taps: for every output position, channel pair and
 * kernel position there is one term y += w * x. Its gradient with respect to x adds w * y at x, that
 * with respect to w adds y * x at w, over the very same taps. So there is one loop nest, and three
 * things that it may add up.
 */
#include <math.h>

#include "ref.h"

/* -- matmul */

ln_code ln_ref_matmul(ln_call *call) {
  const ln_attrs *attrs = call->attrs;
  ln_meta am = call->in[0].meta, bm = call->in[1].meta, ym = call->out[0].meta;
  int64_t rows = ym.dim[ym.rank - 2], columns = ym.dim[ym.rank - 1];
  int64_t inner = am.dim[am.rank - (attrs->transpose_a ? 2 : 1)];
  /* Steps from row to row and from column to column of the matrices as used. */
  int64_t a_row = attrs->transpose_a ? 1 : inner, a_column = attrs->transpose_a ? rows : 1;
  int64_t b_row = attrs->transpose_b ? 1 : columns, b_column = attrs->transpose_b ? inner : 1;
  am.rank -= 2, bm.rank -= 2, ym.rank -= 2; /* what remains are the batch dims */
  const double *a = ref_in(call, 0), *b = ref_in(call, 1);
  double *y = ref_out(call, 0);
  for (int64_t batch = 0; batch < ln_numel(&ym); batch++) {
    const double *am0 = a + ref_broadcast(&am, &ym, batch) * rows * inner;
    const double *bm0 = b + ref_broadcast(&bm, &ym, batch) * inner * columns;
    double *ym0 = y + batch * rows * columns;
    for (int64_t i = 0; i < rows; i++)
      for (int64_t k = 0; k < inner; k++)
        for (int64_t j = 0; j < columns; j++)
          ym0[i * columns + j] += am0[i * a_row + k * a_column] * bm0[k * b_row + j * b_column];
  }
  return ref_store(call, 0);
}

/* -- convolution */

/* The correlation that all ops of this file are about: x [n, c, in] with w [o, c / groups, kernel] gives
 * y [n, o, out]. Always 3 spatial dims; absent ones come first, with size 1. */
typedef struct taps {
  int64_t n, c, o, groups;
  int64_t in[LN_SPATIAL], out[LN_SPATIAL], kernel[LN_SPATIAL], stride[LN_SPATIAL], padding[LN_SPATIAL], dilation[LN_SPATIAL];
} taps;

static taps taps_of(const ln_meta *x, const ln_meta *w, const ln_meta *y, const ln_attrs *attrs) {
  taps t = { .n = x->dim[0], .c = x->dim[1], .o = y->dim[1], .groups = attrs->groups };
  int absent = LN_MAX_RANK - x->rank;
  for (int i = 0; i < LN_SPATIAL; i++) {
    bool there = i >= absent;
    int from = there ? i - absent : 0;
    t.in[i] = there ? x->dim[from + 2] : 1;
    t.out[i] = there ? y->dim[from + 2] : 1;
    t.kernel[i] = there ? w->dim[from + 2] : 1;
    t.stride[i] = there ? attrs->stride[from] : 1;
    t.padding[i] = there ? attrs->padding[from] : 0;
    t.dilation[i] = there ? attrs->dilation[from] : 1;
  }
  return t;
}

typedef enum target { ADD_TO_Y, ADD_TO_X, ADD_TO_W } target;

/* The output positions [*first, *end) of dim i whose tap at kernel position k lies inside the input. */
static void inside(const taps *t, int i, int64_t k, int64_t *first, int64_t *end) {
  int64_t shift = k * t->dilation[i] - t->padding[i]; /* input position = output position * stride + shift */
  *first = shift >= 0 ? 0 : (-shift + t->stride[i] - 1) / t->stride[i];
  *end = shift >= t->in[i] ? 0 : (t->in[i] - 1 - shift) / t->stride[i] + 1;
  if (*end > t->out[i]) *end = t->out[i];
}

/* One row of taps: `count` output positions side by side. */
static void add_row(target which, int64_t count, int64_t stride, double *x, double *w, double *y) {
  double sum = 0;
  switch (which) {
    case ADD_TO_Y: for (int64_t i = 0; i < count; i++) y[i] += *w * x[i * stride]; break;
    case ADD_TO_X: for (int64_t i = 0; i < count; i++) x[i * stride] += *w * y[i]; break;
    case ADD_TO_W: for (int64_t i = 0; i < count; i++) sum += y[i] * x[i * stride]; break;
  }
  if (which == ADD_TO_W) *w += sum;
}

/* All taps of one channel pair at one kernel position: x and y are planes (volumes), w one number. */
static void add_plane(const taps *t, target which, const int64_t k[LN_SPATIAL], double *x, double *w, double *y) {
  int64_t first[LN_SPATIAL], end[LN_SPATIAL];
  for (int i = 0; i < LN_SPATIAL; i++) inside(t, i, k[i], &first[i], &end[i]);
  if (first[2] >= end[2]) return;
  for (int64_t d = first[0]; d < end[0]; d++)
    for (int64_t h = first[1]; h < end[1]; h++) {
      int64_t xd = d * t->stride[0] + k[0] * t->dilation[0] - t->padding[0];
      int64_t xh = h * t->stride[1] + k[1] * t->dilation[1] - t->padding[1];
      int64_t xw = first[2] * t->stride[2] + k[2] * t->dilation[2] - t->padding[2];
      add_row(which, end[2] - first[2], t->stride[2], x + (xd * t->in[1] + xh) * t->in[2] + xw, w,
              y + (d * t->out[1] + h) * t->out[2] + first[2]);
    }
}

static void add_taps(const taps *t, target which, double *x, double *w, double *y) {
  int64_t x_plane = t->in[0] * t->in[1] * t->in[2], y_plane = t->out[0] * t->out[1] * t->out[2];
  int64_t c_group = t->c / t->groups, o_group = t->o / t->groups;
  for (int64_t n = 0; n < t->n; n++)
    for (int64_t o = 0; o < t->o; o++)
      for (int64_t c = 0; c < c_group; c++) {
        double *xp = x + (n * t->c + o / o_group * c_group + c) * x_plane, *yp = y + (n * t->o + o) * y_plane;
        double *wp = w + (o * c_group + c) * t->kernel[0] * t->kernel[1] * t->kernel[2];
        int64_t k[LN_SPATIAL];
        for (k[0] = 0; k[0] < t->kernel[0]; k[0]++)
          for (k[1] = 0; k[1] < t->kernel[1]; k[1]++)
            for (k[2] = 0; k[2] < t->kernel[2]; k[2]++) add_plane(t, which, k, xp, wp++, yp);
      }
}

/* y [n, channels, ...] += b [channels] */
static void add_bias(const ln_arg *arg, double *y, const double *b) {
  if (b == NULL) return;
  ref_axis a = ref_axis_of(&arg->meta, 1);
  for (int64_t i = 0; i < arg->numel; i++) y[i] += b[i / a.inner % a.size];
}

/* Rows with a mask have it where the others have their bias. */
static double *correlate(ln_call *call, bool bias) {
  taps t = taps_of(&call->in[0].meta, &call->in[1].meta, &call->out[0].meta, call->attrs);
  double *y = ref_out(call, 0);
  add_taps(&t, ADD_TO_Y, ref_in(call, 0), ref_in(call, 1), y);
  if (bias) add_bias(&call->out[0], y, ref_in(call, 2));
  return y;
}

ln_code ln_ref_conv(ln_call *call) {
  correlate(call, true);
  return ref_store(call, 0);
}

/* in: gy w */
static double *input_grad(ln_call *call) {
  taps t = taps_of(&call->out[0].meta, &call->in[1].meta, &call->in[0].meta, call->attrs);
  double *gx = ref_out(call, 0);
  add_taps(&t, ADD_TO_X, gx, ref_in(call, 1), ref_in(call, 0));
  return gx;
}

ln_code ln_ref_conv_input_grad(ln_call *call) {
  input_grad(call);
  return ref_store(call, 0);
}

/* in: x gy */
ln_code ln_ref_conv_weight_grad(ln_call *call) {
  taps t = taps_of(&call->in[0].meta, &call->out[0].meta, &call->in[1].meta, call->attrs);
  add_taps(&t, ADD_TO_W, ref_in(call, 0), ref_out(call, 0), ref_in(call, 1));
  return ref_store(call, 0);
}

/* The input gradient of the correlation whose y is our x and whose x is our output. Output padding only
 * makes that x larger. */
ln_code ln_ref_conv_transpose(ln_call *call) {
  taps t = taps_of(&call->out[0].meta, &call->in[1].meta, &call->in[0].meta, call->attrs);
  double *y = ref_out(call, 0);
  add_taps(&t, ADD_TO_X, y, ref_in(call, 1), ref_in(call, 0));
  add_bias(&call->out[0], y, ref_in(call, 2));
  return ref_store(call, 0);
}

/* -- a convolution and what follows it */

ln_code ln_ref_conv_relu(ln_call *call) {
  double *y = correlate(call, true);
  for (int64_t i = 0; i < call->out[0].numel; i++) y[i] = y[i] < 0 ? 0 : y[i]; /* a NaN stays */
  return ref_store(call, 0);
}

/* in: x w b? mean var gamma? beta? */
static double *normalised(ln_call *call) {
  double *y = correlate(call, true);
  const double *mean = ref_in(call, 3), *var = ref_in(call, 4), *gamma = ref_in(call, 5), *beta = ref_in(call, 6);
  ref_axis a = ref_axis_of(&call->out[0].meta, 1);
  for (int64_t i = 0; i < call->out[0].numel; i++) {
    int64_t c = i / a.inner % a.size;
    y[i] = (y[i] - mean[c]) / sqrt(var[c] + call->attrs->eps) * (gamma != NULL ? gamma[c] : 1) + (beta != NULL ? beta[c] : 0);
  }
  return y;
}

ln_code ln_ref_conv_norm(ln_call *call) {
  normalised(call);
  return ref_store(call, 0);
}

ln_code ln_ref_conv_norm_relu(ln_call *call) {
  double *y = normalised(call);
  for (int64_t i = 0; i < call->out[0].numel; i++) y[i] = y[i] < 0 ? 0 : y[i];
  return ref_store(call, 0);
}

/* out: y mean var */
ln_code ln_ref_conv_moments(ln_call *call) {
  const double *y = correlate(call, true);
  double *mean = ref_out(call, 1), *var = ref_out(call, 2);
  ref_axis a = ref_axis_of(&call->out[0].meta, 1);
  double count = (double)(a.outer * a.inner);
  for (int64_t i = 0; i < call->out[0].numel; i++) mean[i / a.inner % a.size] += y[i] / count;
  for (int64_t i = 0; i < call->out[0].numel; i++) {
    int64_t c = i / a.inner % a.size;
    var[c] += (y[i] - mean[c]) * (y[i] - mean[c]) / count; /* biased: divided by the count, not by count - 1 */
  }
  ref_store(call, 0);
  ref_store(call, 1);
  return ref_store(call, 2);
}

/* y where the mask, input 2, is positive, else 0; output 1 is the sum of each channel. */
static ln_code store_masked(ln_call *call, double *y) {
  const double *mask = ref_in(call, 2);
  double *sum = ref_out(call, 1);
  ref_axis a = ref_axis_of(&call->out[0].meta, 1);
  for (int64_t i = 0; i < call->out[0].numel; i++) {
    if (!(mask[i] > 0)) y[i] = 0;
    sum[i / a.inner % a.size] += y[i];
  }
  ref_store(call, 0);
  return ref_store(call, 1);
}

ln_code ln_ref_conv_masked(ln_call *call) { return store_masked(call, correlate(call, false)); }
ln_code ln_ref_conv_input_grad_masked(ln_call *call) { return store_masked(call, input_grad(call)); }
