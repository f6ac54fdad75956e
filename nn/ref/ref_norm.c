/* ref_norm.c: normalisation, per channel (batch_norm, x seen as [N, C, rest]) and per row (row_norm, x [R, K]). */
#include <math.h>

#include "ref.h"

/* Calls of this file visit channel c of x as for n < N, for i < rest: x[(n * C + c) * rest + i]. */
static ref_axis channels(const ln_arg *x) { return ref_axis_of(&x->meta, 1); }

/* Mean and biased variance (divided by the count, not by count - 1) of every channel. */
static void channel_moments(const double *x, ref_axis a, double *mean, double *var) {
  double count = (double)(a.outer * a.inner);
  for (int64_t c = 0; c < a.size; c++) {
    for (int64_t n = 0; n < a.outer; n++)
      for (int64_t i = 0; i < a.inner; i++) mean[c] += x[(n * a.size + c) * a.inner + i];
    mean[c] /= count;
    for (int64_t n = 0; n < a.outer; n++)
      for (int64_t i = 0; i < a.inner; i++) {
        double d = x[(n * a.size + c) * a.inner + i] - mean[c];
        var[c] += d * d;
      }
    var[c] /= count;
  }
}

/* w and b may be NULL. */
static void normalise(double *y, const double *x, ref_axis a, const double *mean, const double *var,
                      const double *w, const double *b, double eps) {
  for (int64_t i = 0; i < a.outer * a.size * a.inner; i++) {
    int64_t c = i / a.inner % a.size;
    y[i] = (x[i] - mean[c]) / sqrt(var[c] + eps) * (w ? w[c] : 1) + (b ? b[c] : 0);
  }
}

/* in: x w? b?, out: y mean var */
ln_code ln_ref_batch_norm(ln_call *call) {
  ref_axis a = channels(&call->in[0]);
  const double *x = ref_in(call, 0), *w = ref_in(call, 1), *b = ref_in(call, 2);
  double *y = ref_out(call, 0), *mean = ref_out(call, 1), *var = ref_out(call, 2);
  channel_moments(x, a, mean, var);
  normalise(y, x, a, mean, var, w, b, call->attrs->eps);
  ref_store(call, 0);
  ref_store(call, 1);
  return ref_store(call, 2);
}

/* in: x, out: mean var */
ln_code ln_ref_moments(ln_call *call) {
  channel_moments(ref_in(call, 0), channels(&call->in[0]), ref_out(call, 0), ref_out(call, 1));
  ref_store(call, 0);
  return ref_store(call, 1);
}

/* What gradients of the norm read; w may be NULL. */
typedef struct norm_inputs {
  const double *gy, *x, *w, *mean, *var;
} norm_inputs;

/* out: gx gw gb. With xhat = (x - mean) rstd and means over the channel's elements:
 * gx = w rstd (gy - mean(gy) - xhat mean(gy xhat)), gw = sum(gy xhat), gb = sum(gy). */
static ln_code norm_grad(ln_call *call, norm_inputs in) {
  ref_axis a = channels(&call->out[0]);
  double *gx = ref_out(call, 0), *gw = ref_out(call, 1), *gb = ref_out(call, 2);
  double count = (double)(a.outer * a.inner);
  for (int64_t i = 0; i < call->out[0].numel; i++) {
    int64_t c = i / a.inner % a.size;
    gw[c] += in.gy[i] * (in.x[i] - in.mean[c]) / sqrt(in.var[c] + call->attrs->eps);
    gb[c] += in.gy[i];
  }
  for (int64_t i = 0; i < call->out[0].numel; i++) {
    int64_t c = i / a.inner % a.size;
    double rstd = 1 / sqrt(in.var[c] + call->attrs->eps), xhat = (in.x[i] - in.mean[c]) * rstd;
    gx[i] = (in.w ? in.w[c] : 1) * rstd * (in.gy[i] - gb[c] / count - xhat * gw[c] / count);
  }
  ref_store(call, 0);
  ref_store(call, 1);
  return ref_store(call, 2);
}

/* in: gy x w? mean var */
ln_code ln_ref_batch_norm_grad(ln_call *call) {
  return norm_grad(call, (norm_inputs){ ref_in(call, 0), ref_in(call, 1), ref_in(call, 2), ref_in(call, 3), ref_in(call, 4) });
}

/* in: gy x mean var w? b? */
ln_code ln_ref_norm_relu_grad(ln_call *call) {
  double *gy = ref_in(call, 0);
  norm_inputs in = { gy, ref_in(call, 1), ref_in(call, 4), ref_in(call, 2), ref_in(call, 3) };
  double *y = ref_out(call, 0); /* until norm_grad clears it */
  normalise(y, in.x, channels(&call->out[0]), in.mean, in.var, in.w, ref_in(call, 5), call->attrs->eps);
  for (int64_t i = 0; i < call->out[0].numel; i++)
    if (!(y[i] > 0)) gy[i] = 0;
  return norm_grad(call, in);
}

/* in: x mean var w? b? */
ln_code ln_ref_batch_norm_eval(ln_call *call) {
  normalise(ref_out(call, 0), ref_in(call, 0), channels(&call->in[0]), ref_in(call, 1), ref_in(call, 2),
            ref_in(call, 3), ref_in(call, 4), call->attrs->eps);
  return ref_store(call, 0);
}

/* in: x mean var w? b? */
ln_code ln_ref_norm_relu(ln_call *call) {
  double *y = ref_out(call, 0);
  normalise(y, ref_in(call, 0), channels(&call->in[0]), ref_in(call, 1), ref_in(call, 2), ref_in(call, 3),
            ref_in(call, 4), call->attrs->eps);
  for (int64_t i = 0; i < call->out[0].numel; i++) y[i] = y[i] < 0 ? 0 : y[i];
  return ref_store(call, 0);
}

/* -- with max pooling behind it: one after the other. A part's arrays have room in the workspace of the whole. */

/* in: x mean var w? b?, out: y pooled indices */
ln_code ln_ref_norm_relu_pool(ln_call *call) {
  ln_call pool = *call;
  pool.nin = 1, pool.in = call->out;
  pool.nout = 2, pool.out = call->out + 1;
  const ln_code code = ln_ref_norm_relu(call);
  return code != LN_OK ? code : ln_ref_max_pool(&pool);
}

/* in: other gy indices x mean var w? b?, out: gx gw gb */
ln_code ln_ref_norm_relu_pool_grad(ln_call *call) {
  ln_call pool = *call, norm = *call;
  ln_arg in[6] = { call->out[0] };
  for (int i = 1; i < 6; i++) in[i] = call->in[2 + i];
  pool.nin = 3, pool.nout = 1;
  norm.nin = 6, norm.in = in;
  const ln_code code = ln_ref_max_pool_grad_add(&pool);
  return code != LN_OK ? code : ln_ref_norm_relu_grad(&norm);
}

/* -- rows */

/* out: y mean rstd */
ln_code ln_ref_row_norm(ln_call *call) {
  int64_t rows = call->in[0].meta.dim[0], length = call->in[0].meta.dim[1];
  const double *x = ref_in(call, 0);
  double *y = ref_out(call, 0), *mean = ref_out(call, 1), *rstd = ref_out(call, 2);
  for (int64_t r = 0; r < rows; r++) {
    double var = 0;
    for (int64_t i = 0; i < length; i++) mean[r] += x[r * length + i];
    mean[r] /= (double)length;
    for (int64_t i = 0; i < length; i++) {
      double d = x[r * length + i] - mean[r];
      var += d * d;
    }
    rstd[r] = 1 / sqrt(var / (double)length + call->attrs->eps);
    for (int64_t i = 0; i < length; i++) y[r * length + i] = (x[r * length + i] - mean[r]) * rstd[r];
  }
  ref_store(call, 0);
  ref_store(call, 1);
  return ref_store(call, 2);
}

/* in: gy y rstd; gx = rstd (gy - mean(gy) - y mean(gy y)), means over the row. */
ln_code ln_ref_row_norm_grad(ln_call *call) {
  int64_t rows = call->in[0].meta.dim[0], length = call->in[0].meta.dim[1];
  const double *gy = ref_in(call, 0), *y = ref_in(call, 1), *rstd = ref_in(call, 2);
  double *gx = ref_out(call, 0);
  for (int64_t r = 0; r < rows; r++) {
    double mean_gy = 0, mean_gy_y = 0;
    for (int64_t i = r * length; i < (r + 1) * length; i++) {
      mean_gy += gy[i] / (double)length;
      mean_gy_y += gy[i] * y[i] / (double)length;
    }
    for (int64_t i = r * length; i < (r + 1) * length; i++) gx[i] = rstd[r] * (gy[i] - mean_gy - y[i] * mean_gy_y);
  }
  return ref_store(call, 0);
}
