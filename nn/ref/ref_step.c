/* ref_step.c: the guard, and the ops that write cells: assignment, running statistics, optimizer steps. */
#include <math.h>
#include <string.h>

#include "ref.h"

ln_code ln_ref_check_finite(ln_call *call) {
  const ln_arg *x = &call->in[0];
  int64_t nan_count = 0, inf_count = 0;
  for (int64_t i = 0; i < x->numel; i++) {
    double value = ref_get(x->data, x->meta.dtype, i);
    nan_count += isnan(value) ? 1 : 0;
    inf_count += isinf(value) ? 1 : 0;
  }
  if (nan_count + inf_count == 0) return LN_OK;
  char text[LN_SHAPE_TEXT];
  return ln_fail(call->err, LN_ENONFINITE, "not finite: %lld NaN and %lld Inf among %lld elements (%s)",
                 (long long)nan_count, (long long)inf_count, (long long)x->numel,
                 ln_shape_text(&x->meta, text, sizeof text));
}

ln_code ln_ref_assign(ln_call *call) {
  size_t bytes = ln_nbytes(&call->in[0].meta);
  if (bytes > 0) memmove(call->in[0].data, call->in[1].data, bytes);
  return LN_OK;
}

/* Computed in double for integers too: a weighted mean is no whole number. */
ln_code ln_ref_lerp_write(ln_call *call) {
  double *dst = ref_in(call, 0), weight = call->scalars->weight;
  const double *src = ref_in(call, 1);
  for (int64_t i = 0; i < call->in[0].numel; i++) dst[i] = (1 - weight) * dst[i] + weight * src[i];
  ref_store_in(call, 0);
  return LN_OK;
}

/* in: running_mean! running_var! mean var; var is biased and becomes unbiased by n / (n - 1). */
ln_code ln_ref_batch_norm_update(ln_call *call) {
  double *running_mean = ref_in(call, 0), *running_var = ref_in(call, 1);
  const double *mean = ref_in(call, 2), *var = ref_in(call, 3);
  double weight = call->scalars->weight, n = (double)call->attrs->size[0];
  for (int64_t c = 0; c < call->in[0].numel; c++) {
    running_mean[c] = (1 - weight) * running_mean[c] + weight * mean[c];
    running_var[c] = (1 - weight) * running_var[c] + weight * var[c] * n / (n - 1);
  }
  ref_store_in(call, 0);
  ref_store_in(call, 1);
  return LN_OK;
}

/* in: param! grad buffer!?; torch.optim.SGD. The buffer is absent without momentum. */
ln_code ln_ref_sgd_step(ln_call *call) {
  const ln_scalars *s = call->scalars;
  double *param = ref_in(call, 0), *buffer = ref_in(call, 2);
  const double *grad = ref_in(call, 1);
  for (int64_t i = 0; i < call->in[0].numel; i++) {
    double g = grad[i] + s->weight_decay * param[i];
    if (buffer != NULL) {
      buffer[i] = s->momentum * buffer[i] + (1 - s->dampening) * g;
      g = call->attrs->nesterov ? g + s->momentum * buffer[i] : buffer[i];
    }
    param[i] -= s->lr * g;
  }
  ref_store_in(call, 0);
  if (buffer != NULL) ref_store_in(call, 2);
  return LN_OK;
}

/* in: param! grad exp_avg! exp_avg_sq!; torch.optim.Adam, or AdamW where the decay is decoupled. */
ln_code ln_ref_adam_step(ln_call *call) {
  const ln_scalars *s = call->scalars;
  double *param = ref_in(call, 0), *exp_avg = ref_in(call, 2), *exp_avg_sq = ref_in(call, 3);
  const double *grad = ref_in(call, 1);
  for (int64_t i = 0; i < call->in[0].numel; i++) {
    double g = grad[i];
    if (call->attrs->decoupled) param[i] *= 1 - s->lr * s->weight_decay;
    else g += s->weight_decay * param[i];
    exp_avg[i] = s->beta1 * exp_avg[i] + (1 - s->beta1) * g;
    exp_avg_sq[i] = s->beta2 * exp_avg_sq[i] + (1 - s->beta2) * g * g;
    double denominator = sqrt(exp_avg_sq[i]) / sqrt(s->bias2) + s->adam_eps;
    param[i] -= s->lr / s->bias1 * exp_avg[i] / denominator;
  }
  ref_store_in(call, 0);
  ref_store_in(call, 2);
  ref_store_in(call, 3);
  return LN_OK;
}
