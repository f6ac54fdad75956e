/* ref_norm.c: normalisation, per channel (batch_norm, x seen as [N, C, rest]) and per row (row_norm, x [R, K]). */
#include <math.h>

#include "ref.h"

/* Calls of this file visit channel c of x as for n < N, for i < rest: x[(n * C + c) * rest + i]. */
static ref_axis channels(const ln_arg *x) { return ref_axis_of(&x->meta, 1); }

/* in: x w? b?, out: y mean var */
ln_code ln_ref_batch_norm(ln_call *call) {
  ref_axis a = channels(&call->in[0]);
  const double *x = ref_in(call, 0), *w = ref_in(call, 1), *b = ref_in(call, 2);
  double *y = ref_out(call, 0), *mean = ref_out(call, 1), *var = ref_out(call, 2);
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
    var[c] /= count; /* biased: divided by the count, not by count - 1 */
    double rstd = 1 / sqrt(var[c] + call->attrs->eps);
    for (int64_t n = 0; n < a.outer; n++)
      for (int64_t i = 0; i < a.inner; i++) {
        int64_t at = (n * a.size + c) * a.inner + i;
        y[at] = (x[at] - mean[c]) * rstd * (w ? w[c] : 1) + (b ? b[c] : 0);
      }
  }
  ref_store(call, 0);
  ref_store(call, 1);
  return ref_store(call, 2);
}

/* in: gy x w? mean var, out: gx gw gb. With xhat = (x - mean) rstd and means over the channel's elements:
 * gx = w rstd (gy - mean(gy) - xhat mean(gy xhat)), gw = sum(gy xhat), gb = sum(gy). */
ln_code ln_ref_batch_norm_grad(ln_call *call) {
  ref_axis a = channels(&call->in[1]);
  const double *gy = ref_in(call, 0), *x = ref_in(call, 1), *w = ref_in(call, 2);
  const double *mean = ref_in(call, 3), *var = ref_in(call, 4);
  double *gx = ref_out(call, 0), *gw = ref_out(call, 1), *gb = ref_out(call, 2);
  double count = (double)(a.outer * a.inner);
  for (int64_t c = 0; c < a.size; c++) {
    double rstd = 1 / sqrt(var[c] + call->attrs->eps);
    for (int64_t n = 0; n < a.outer; n++)
      for (int64_t i = 0; i < a.inner; i++) {
        int64_t at = (n * a.size + c) * a.inner + i;
        gw[c] += gy[at] * (x[at] - mean[c]) * rstd;
        gb[c] += gy[at];
      }
    for (int64_t n = 0; n < a.outer; n++)
      for (int64_t i = 0; i < a.inner; i++) {
        int64_t at = (n * a.size + c) * a.inner + i;
        double xhat = (x[at] - mean[c]) * rstd;
        gx[at] = (w ? w[c] : 1) * rstd * (gy[at] - gb[c] / count - xhat * gw[c] / count);
      }
  }
  ref_store(call, 0);
  ref_store(call, 1);
  return ref_store(call, 2);
}

/* in: x mean var w? b? */
ln_code ln_ref_batch_norm_eval(ln_call *call) {
  ref_axis a = channels(&call->in[0]);
  const double *x = ref_in(call, 0), *mean = ref_in(call, 1), *var = ref_in(call, 2);
  const double *w = ref_in(call, 3), *b = ref_in(call, 4);
  double *y = ref_out(call, 0);
  for (int64_t c = 0; c < a.size; c++) {
    double rstd = 1 / sqrt(var[c] + call->attrs->eps);
    for (int64_t n = 0; n < a.outer; n++)
      for (int64_t i = 0; i < a.inner; i++) {
        int64_t at = (n * a.size + c) * a.inner + i;
        y[at] = (x[at] - mean[c]) * rstd * (w ? w[c] : 1) + (b ? b[c] : 0);
      }
  }
  return ref_store(call, 0);
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
