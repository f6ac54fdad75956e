/* ref_loss.c: probabilities and losses: softmax, dropout, binary cross entropy. */
#include <math.h>

#include "../base/rng.h"
#include "ref.h"

/* -- softmax along a dim; the largest element is subtracted first, so that exp cannot overflow */

static double largest(const double *x, int64_t count, int64_t step) {
  double top = x[0];
  for (int64_t k = 1; k < count; k++)
    if (x[k * step] > top) top = x[k * step];
  return top;
}

static double sum_exp(const double *x, int64_t count, int64_t step, double top) {
  double sum = 0;
  for (int64_t k = 0; k < count; k++) sum += exp(x[k * step] - top);
  return sum;
}

static ln_code softmax(ln_call *call, bool logarithm) {
  ref_axis a = ref_axis_of(&call->in[0].meta, call->attrs->dim);
  const double *x = ref_in(call, 0);
  double *y = ref_out(call, 0);
  for (int64_t line = 0; line < a.outer * a.inner; line++) {
    int64_t start = line / a.inner * a.size * a.inner + line % a.inner;
    double top = largest(x + start, a.size, a.inner), sum = sum_exp(x + start, a.size, a.inner, top);
    for (int64_t k = 0; k < a.size; k++) {
      double shifted = x[start + k * a.inner] - top;
      y[start + k * a.inner] = logarithm ? shifted - log(sum) : exp(shifted) / sum;
    }
  }
  return ref_store(call, 0);
}

ln_code ln_ref_softmax(ln_call *call) { return softmax(call, false); }
ln_code ln_ref_log_softmax(ln_call *call) { return softmax(call, true); }

/* softmax: gx = y (gy - sum(gy y)); log_softmax: gx = gy - exp(y) sum(gy). */
static ln_code softmax_grad(ln_call *call, bool logarithm) {
  ref_axis a = ref_axis_of(&call->in[0].meta, call->attrs->dim);
  const double *gy = ref_in(call, 0), *y = ref_in(call, 1);
  double *gx = ref_out(call, 0);
  for (int64_t line = 0; line < a.outer * a.inner; line++) {
    int64_t start = line / a.inner * a.size * a.inner + line % a.inner;
    double sum = 0;
    for (int64_t k = 0; k < a.size; k++) {
      int64_t at = start + k * a.inner;
      sum += logarithm ? gy[at] : gy[at] * y[at];
    }
    for (int64_t k = 0; k < a.size; k++) {
      int64_t at = start + k * a.inner;
      gx[at] = logarithm ? gy[at] - exp(y[at]) * sum : y[at] * (gy[at] - sum);
    }
  }
  return ref_store(call, 0);
}

ln_code ln_ref_softmax_grad(ln_call *call) { return softmax_grad(call, false); }
ln_code ln_ref_log_softmax_grad(ln_call *call) { return softmax_grad(call, true); }

/* -- dropout: draw i decides on element i or, channelwise, on channel i of all samples' channels */

ln_code ln_ref_dropout(ln_call *call) {
  const ln_meta *m = &call->in[0].meta;
  const ln_scalars *s = call->scalars;
  const double *x = ref_in(call, 0);
  double *y = ref_out(call, 0);
  int64_t together = 1; /* elements that share a draw */
  for (int i = 2; call->attrs->channelwise && i < m->rank; i++) together *= m->dim[i];
  for (int64_t i = 0; i < call->out[0].numel; i++) {
    double draw = (double)ln_uniform_at(s->seed, s->counter, (uint64_t)(i / together));
    y[i] = draw >= s->p ? x[i] / (1 - s->p) : 0;
  }
  return ref_store(call, 0);
}

/* -- binary cross entropy, an element */

static double clamped_log(double value) { return value < -100 ? -100 : value; }

static double bce(double p, double t) { return (t - 1) * clamped_log(log1p(-p)) - t * clamped_log(log(p)); }

static double sigmoid(double x) { return 1 / (1 + exp(-x)); }

ln_code ln_ref_bce(ln_call *call) {
  const double *p = ref_in(call, 0), *t = ref_in(call, 1);
  double *y = ref_out(call, 0);
  double low = INFINITY, high = -INFINITY;
  for (int64_t i = 0; i < call->out[0].numel; i++) {
    if (p[i] < low) low = p[i];
    if (p[i] > high) high = p[i];
  }
  if (low < 0 || high > 1)
    return ln_fail(call->err, LN_EINVAL, "predictions must lie in 0..1, and these are from %g to %g; end the net"
                   " with a sigmoid, or use BCEWithLogitsLoss", low, high);
  for (int64_t i = 0; i < call->out[0].numel; i++) y[i] = bce(p[i], t[i]);
  return ref_store(call, 0);
}

/* The loss' gradient at element i: one for all, or one each. */
static double gradient_at(const ln_call *call, const double *gy, int64_t i) { return gy[call->in[0].numel == 1 ? 0 : i]; }

static double bce_gradient(double gy, double p, double t) {
  double denominator = (1 - p) * p;
  return gy * (p - t) / (denominator < 1e-12 ? 1e-12 : denominator);
}

ln_code ln_ref_bce_grad(ln_call *call) {
  const double *gy = ref_in(call, 0), *p = ref_in(call, 1), *t = ref_in(call, 2);
  double *gp = ref_out(call, 0);
  for (int64_t i = 0; i < call->out[0].numel; i++) gp[i] = bce_gradient(gradient_at(call, gy, i), p[i], t[i]);
  return ref_store(call, 0);
}

ln_code ln_ref_bce_with_logits(ln_call *call) {
  const double *x = ref_in(call, 0), *t = ref_in(call, 1);
  double *y = ref_out(call, 0);
  for (int64_t i = 0; i < call->out[0].numel; i++)
    y[i] = (x[i] < 0 ? 0 : x[i]) - x[i] * t[i] + log1p(exp(-fabs(x[i])));
  return ref_store(call, 0);
}

ln_code ln_ref_bce_with_logits_grad(ln_call *call) {
  const double *gy = ref_in(call, 0), *x = ref_in(call, 1), *t = ref_in(call, 2);
  double *gx = ref_out(call, 0);
  for (int64_t i = 0; i < call->out[0].numel; i++) gx[i] = gradient_at(call, gy, i) * (sigmoid(x[i]) - t[i]);
  return ref_store(call, 0);
}

ln_code ln_ref_sigmoid_bce(ln_call *call) {
  const double *x = ref_in(call, 0), *t = ref_in(call, 1);
  double *y = ref_out(call, 0), *p = ref_out(call, 1);
  for (int64_t i = 0; i < call->out[0].numel; i++) {
    p[i] = sigmoid(x[i]);
    y[i] = bce(p[i], t[i]);
  }
  ref_store(call, 0);
  return ref_store(call, 1);
}

ln_code ln_ref_sigmoid_bce_grad(ln_call *call) {
  const double *gy = ref_in(call, 0), *p = ref_in(call, 1), *t = ref_in(call, 2);
  double *gx = ref_out(call, 0);
  for (int64_t i = 0; i < call->out[0].numel; i++)
    gx[i] = bce_gradient(gradient_at(call, gy, i), p[i], t[i]) * (p[i] * (1 - p[i]));
  return ref_store(call, 0);
}
