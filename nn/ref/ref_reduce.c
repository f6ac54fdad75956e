/* ref_reduce.c: reductions. Floats add up in double, integers and bool in int64_t. */
#include <math.h>

#include "ref.h"

/* attrs->dims as bits; no dims are all dims. */
static unsigned reduced_dims(const ln_call *call) {
  unsigned mask = 0;
  if (call->attrs->ndims == 0) return ~0u;
  for (int i = 0; i < call->attrs->ndims; i++) mask |= 1u << call->attrs->dims[i];
  return mask;
}

/* Which element of the output input element `linear` goes into. */
static int64_t target(const ln_meta *x, unsigned mask, int64_t linear) {
  int64_t at[LN_MAX_RANK], result = 0;
  ref_coords(x, linear, at);
  for (int i = 0; i < x->rank; i++)
    if (!((mask >> i) & 1u)) result = result * x->dim[i] + at[i];
  return result;
}

static void add_up(ln_call *call, const double *x, double *y) {
  unsigned mask = reduced_dims(call);
  for (int64_t i = 0; i < call->in[0].numel; i++) y[target(&call->in[0].meta, mask, i)] += x[i];
}

ln_code ln_ref_sum(ln_call *call) {
  if (ln_is_float(call->in[0].meta.dtype)) {
    add_up(call, ref_in(call, 0), ref_out(call, 0));
    return ref_store(call, 0);
  }
  unsigned mask = reduced_dims(call);
  const int64_t *x = ref_in_i64(call, 0);
  int64_t *y = ref_out_i64(call, 0);
  for (int64_t i = 0; i < call->in[0].numel; i++) {
    int64_t *sum = &y[target(&call->in[0].meta, mask, i)];
    *sum = (int64_t)((uint64_t)*sum + (uint64_t)x[i]); /* wraps around */
  }
  return ref_store_i64(call, 0);
}

/* The mean of nothing is 0/0. */
ln_code ln_ref_mean(ln_call *call) {
  const ln_meta *x = &call->in[0].meta;
  unsigned mask = reduced_dims(call);
  double count = 1;
  for (int i = 0; i < x->rank; i++)
    if ((mask >> i) & 1u) count *= (double)x->dim[i];
  double *y = ref_out(call, 0);
  add_up(call, ref_in(call, 0), y);
  for (int64_t i = 0; i < call->out[0].numel; i++) y[i] /= count;
  return ref_store(call, 0);
}

/* -- extremes: sign +1 looks for the largest, -1 for the smallest. NaN beats everything. */

static bool beats(double a, double b, int sign) {
  if (isnan(b)) return false;
  return isnan(a) || (sign > 0 ? a > b : a < b);
}

static bool beats_i64(int64_t a, int64_t b, int sign) { return sign > 0 ? a > b : a < b; }

static ln_code extreme(ln_call *call, int sign) {
  const ln_meta *m = &call->in[0].meta;
  unsigned mask = reduced_dims(call);
  if (ln_is_float(m->dtype)) {
    const double *x = ref_in(call, 0);
    double *y = ref_out(call, 0);
    for (int64_t i = 0; i < call->out[0].numel; i++) y[i] = sign > 0 ? -INFINITY : INFINITY;
    for (int64_t i = 0; i < call->in[0].numel; i++) {
      int64_t k = target(m, mask, i);
      if (beats(x[i], y[k], sign)) y[k] = x[i];
    }
    return ref_store(call, 0);
  }
  const int64_t *x = ref_in_i64(call, 0);
  int64_t *y = ref_out_i64(call, 0);
  for (int64_t i = 0; i < call->out[0].numel; i++) y[i] = sign > 0 ? INT64_MIN : INT64_MAX;
  for (int64_t i = 0; i < call->in[0].numel; i++) {
    int64_t k = target(m, mask, i);
    if (beats_i64(x[i], y[k], sign)) y[k] = x[i];
  }
  return ref_store_i64(call, 0);
}

ln_code ln_ref_amax(ln_call *call) { return extreme(call, +1); }
ln_code ln_ref_amin(ln_call *call) { return extreme(call, -1); }

/* The first of equals wins. */
static ln_code arg_extreme(ln_call *call, int sign) {
  const ln_arg *arg = &call->in[0];
  bool floats = ln_is_float(arg->meta.dtype);
  const double *x = floats ? ref_in(call, 0) : NULL;
  const int64_t *n = floats ? NULL : ref_in_i64(call, 0);
  int64_t *y = ref_out_i64(call, 0);
  ref_axis axis = ref_axis_of(&arg->meta, call->attrs->dim);
  for (int64_t o = 0; o < axis.outer; o++)
    for (int64_t i = 0; i < axis.inner; i++) {
      int64_t best = 0, start = o * axis.size * axis.inner + i;
      for (int64_t k = 1; k < axis.size; k++) {
        int64_t at = start + k * axis.inner, best_at = start + best * axis.inner;
        if (floats ? beats(x[at], x[best_at], sign) : beats_i64(n[at], n[best_at], sign)) best = k;
      }
      y[o * axis.inner + i] = best;
    }
  return ref_store_i64(call, 0);
}

ln_code ln_ref_argmax(ln_call *call) { return arg_extreme(call, +1); }
ln_code ln_ref_argmin(ln_call *call) { return arg_extreme(call, -1); }
