/* ref_elementwise.c: creation and ops that work element by element, two inputs broadcasting as NumPy does.
 *
 * Floats are computed in double; integers in int64_t, wrapping around as two's complement does.
 */
#include <math.h>
#include <string.h>

#include "../base/rng.h"
#include "ref.h"

/* -- creation. Element i of a draw depends on (seed, counter, i) alone. */

ln_code ln_ref_full(ln_call *call) {
  const ln_arg *y = &call->out[0];
  for (int64_t i = 0; i < y->numel; i++) ref_put(y->data, y->meta.dtype, i, call->scalars->value);
  return LN_OK;
}

ln_code ln_ref_arange(ln_call *call) {
  const ln_arg *y = &call->out[0];
  const ln_scalars *s = call->scalars;
  for (int64_t i = 0; i < y->numel; i++) ref_put(y->data, y->meta.dtype, i, s->value + (double)i * s->increment);
  return LN_OK;
}

ln_code ln_ref_uniform(ln_call *call) {
  const ln_arg *y = &call->out[0];
  const ln_scalars *s = call->scalars;
  for (int64_t i = 0; i < y->numel; i++) {
    double unit = (double)ln_uniform_at(s->seed, s->counter, (uint64_t)i);
    ref_put(y->data, y->meta.dtype, i, s->lo + (s->hi - s->lo) * unit);
  }
  return LN_OK;
}

ln_code ln_ref_normal(ln_call *call) {
  const ln_arg *y = &call->out[0];
  const ln_scalars *s = call->scalars;
  for (int64_t i = 0; i < y->numel; i++) {
    double standard = (double)ln_normal_at(s->seed, s->counter, (uint64_t)i);
    ref_put(y->data, y->meta.dtype, i, s->mean + s->std * standard);
  }
  return LN_OK;
}

/* -- two inputs */

static ln_code binary(ln_call *call, double (*of_floats)(double, double), int64_t (*of_integers)(int64_t, int64_t)) {
  const ln_meta *am = &call->in[0].meta, *bm = &call->in[1].meta, *ym = &call->out[0].meta;
  if (ln_is_float(am->dtype)) {
    const double *a = ref_in(call, 0), *b = ref_in(call, 1);
    double *y = ref_out(call, 0);
    for (int64_t i = 0; i < call->out[0].numel; i++)
      y[i] = of_floats(a[ref_broadcast(am, ym, i)], b[ref_broadcast(bm, ym, i)]);
    return ref_store(call, 0);
  }
  const int64_t *a = ref_in_i64(call, 0), *b = ref_in_i64(call, 1);
  int64_t *y = ref_out_i64(call, 0);
  for (int64_t i = 0; i < call->out[0].numel; i++)
    y[i] = of_integers(a[ref_broadcast(am, ym, i)], b[ref_broadcast(bm, ym, i)]);
  return ref_store_i64(call, 0);
}

/* Unsigned arithmetic, as overflow of signed integers is undefined in C. */
static int64_t wrap_add(int64_t a, int64_t b) { return (int64_t)((uint64_t)a + (uint64_t)b); }
static int64_t wrap_sub(int64_t a, int64_t b) { return (int64_t)((uint64_t)a - (uint64_t)b); }
static int64_t wrap_mul(int64_t a, int64_t b) { return (int64_t)((uint64_t)a * (uint64_t)b); }

/* By squaring; a negative exponent leaves 1, -1 and otherwise 0, as in torch. */
static int64_t wrap_pow(int64_t a, int64_t b) {
  if (b < 0) return a == 1 ? 1 : a == -1 ? (b % 2 == 0 ? 1 : -1) : 0;
  int64_t result = 1;
  for (; b > 0; b /= 2, a = wrap_mul(a, a))
    if (b % 2 == 1) result = wrap_mul(result, a);
  return result;
}

static double f_add(double a, double b) { return a + b; }
static double f_sub(double a, double b) { return a - b; }
static double f_mul(double a, double b) { return a * b; }
static double f_maximum(double a, double b) { return isnan(a) || a > b ? a : b; }
static double f_minimum(double a, double b) { return isnan(a) || a < b ? a : b; }
static int64_t i_maximum(int64_t a, int64_t b) { return a > b ? a : b; }
static int64_t i_minimum(int64_t a, int64_t b) { return a < b ? a : b; }

ln_code ln_ref_add(ln_call *call) { return binary(call, f_add, wrap_add); }
ln_code ln_ref_sub(ln_call *call) { return binary(call, f_sub, wrap_sub); }
ln_code ln_ref_mul(ln_call *call) { return binary(call, f_mul, wrap_mul); }
ln_code ln_ref_pow(ln_call *call) { return binary(call, pow, wrap_pow); }
ln_code ln_ref_maximum(ln_call *call) { return binary(call, f_maximum, i_maximum); }
ln_code ln_ref_minimum(ln_call *call) { return binary(call, f_minimum, i_minimum); }

/* Integers divide as floats. */
ln_code ln_ref_div(ln_call *call) {
  const ln_meta *am = &call->in[0].meta, *bm = &call->in[1].meta, *ym = &call->out[0].meta;
  const double *a = ref_in(call, 0), *b = ref_in(call, 1);
  double *y = ref_out(call, 0);
  for (int64_t i = 0; i < call->out[0].numel; i++) y[i] = a[ref_broadcast(am, ym, i)] / b[ref_broadcast(bm, ym, i)];
  return ref_store(call, 0);
}

#define REF_COMPARE(name, expression)                                          \
  static double f_##name(double a, double b) { return (expression) ? 1 : 0; }  \
  static int64_t i_##name(int64_t a, int64_t b) { return (expression) ? 1 : 0; } \
  ln_code ln_ref_##name(ln_call *call) { return binary(call, f_##name, i_##name); }

REF_COMPARE(eq, a == b)
REF_COMPARE(ne, a != b)
REF_COMPARE(lt, a < b)
REF_COMPARE(le, a <= b)
REF_COMPARE(gt, a > b)
REF_COMPARE(ge, a >= b)
REF_COMPARE(logical_and, a != 0 && b != 0)
REF_COMPARE(logical_or, a != 0 || b != 0)

/* Copies bytes, so every dtype stays exact. */
ln_code ln_ref_where(ln_call *call) {
  const ln_arg *c = &call->in[0], *y = &call->out[0];
  size_t size = ln_dtype_size(y->meta.dtype);
  for (int64_t i = 0; i < y->numel; i++) {
    bool first = ref_get_i64(c->data, LN_BOOL, ref_broadcast(&c->meta, &y->meta, i)) != 0;
    const ln_arg *chosen = &call->in[first ? 1 : 2];
    const char *from = (const char *)chosen->data + (size_t)ref_broadcast(&chosen->meta, &y->meta, i) * size;
    char *to = (char *)y->data + (size_t)i * size;
    for (size_t k = 0; k < size; k++) to[k] = from[k];
  }
  return LN_OK;
}

/* -- one input */

static ln_code unary(ln_call *call, double (*of_floats)(double), int64_t (*of_integers)(int64_t)) {
  if (ln_is_float(call->in[0].meta.dtype)) {
    const double *x = ref_in(call, 0);
    double *y = ref_out(call, 0);
    for (int64_t i = 0; i < call->out[0].numel; i++) y[i] = of_floats(x[i]);
    return ref_store(call, 0);
  }
  const int64_t *x = ref_in_i64(call, 0);
  int64_t *y = ref_out_i64(call, 0);
  for (int64_t i = 0; i < call->out[0].numel; i++) y[i] = of_integers(x[i]);
  return ref_store_i64(call, 0);
}

static double f_neg(double x) { return -x; }
static double f_sign(double x) { return x > 0 ? 1 : x < 0 ? -1 : 0; } /* torch: the sign of NaN is 0 */
static double f_relu(double x) { return x < 0 ? 0 : x; }              /* so written, NaN stays NaN */
static double f_sigmoid(double x) { return 1 / (1 + exp(-x)); }
static double f_isfinite(double x) { return isfinite(x) ? 1 : 0; }
static double f_not(double x) { return x == 0 ? 1 : 0; }
static int64_t i_neg(int64_t x) { return wrap_sub(0, x); }
static int64_t i_abs(int64_t x) { return x < 0 ? wrap_sub(0, x) : x; }
static int64_t i_sign(int64_t x) { return x > 0 ? 1 : x < 0 ? -1 : 0; }
static int64_t i_relu(int64_t x) { return x < 0 ? 0 : x; }
static int64_t i_same(int64_t x) { return x; }
static int64_t i_true(int64_t x) { return (void)x, 1; }
static int64_t i_not(int64_t x) { return x == 0; }

ln_code ln_ref_neg(ln_call *call) { return unary(call, f_neg, i_neg); }
ln_code ln_ref_abs(ln_call *call) { return unary(call, fabs, i_abs); }
ln_code ln_ref_sign(ln_call *call) { return unary(call, f_sign, i_sign); }
ln_code ln_ref_floor(ln_call *call) { return unary(call, floor, i_same); }
ln_code ln_ref_ceil(ln_call *call) { return unary(call, ceil, i_same); }
ln_code ln_ref_round(ln_call *call) { return unary(call, rint, i_same); } /* halves to even */
static double f_round_bf16(double x) {
  float f = (float)x;
  uint32_t bits;
  memcpy(&bits, &f, sizeof bits);
  bits = (f != f ? bits | 0x400000u : bits + 0x7fffu + (bits >> 16 & 1u)) & 0xffff0000u;
  memcpy(&f, &bits, sizeof f);
  return (double)f;
}
ln_code ln_ref_round_bf16(ln_call *call) { return unary(call, f_round_bf16, NULL); }

ln_code ln_ref_relu(ln_call *call) { return unary(call, f_relu, i_relu); }
ln_code ln_ref_isfinite(ln_call *call) { return unary(call, f_isfinite, i_true); }
ln_code ln_ref_logical_not(ln_call *call) { return unary(call, f_not, i_not); }

/* The shape rule lets only floats in here. */
ln_code ln_ref_exp(ln_call *call) { return unary(call, exp, NULL); }
ln_code ln_ref_log(ln_call *call) { return unary(call, log, NULL); }
ln_code ln_ref_log1p(ln_call *call) { return unary(call, log1p, NULL); }
ln_code ln_ref_sqrt(ln_call *call) { return unary(call, sqrt, NULL); }
ln_code ln_ref_sin(ln_call *call) { return unary(call, sin, NULL); }
ln_code ln_ref_cos(ln_call *call) { return unary(call, cos, NULL); }
ln_code ln_ref_tanh(ln_call *call) { return unary(call, tanh, NULL); }
ln_code ln_ref_sigmoid(ln_call *call) { return unary(call, f_sigmoid, NULL); }

/* min(max(x, lo), hi) with NaN kept; where lo > hi the result is hi, as in torch. */
ln_code ln_ref_clamp(ln_call *call) {
  const ln_arg *x = &call->in[0], *y = &call->out[0];
  double lo = call->scalars->lo, hi = call->scalars->hi;
  for (int64_t i = 0; i < y->numel; i++) {
    double value = ref_get(x->data, x->meta.dtype, i), limited = value;
    if (limited < lo) limited = lo;
    if (limited > hi) limited = hi;
    if (limited != value) ref_put(y->data, y->meta.dtype, i, limited);
    else if (ln_is_float(y->meta.dtype)) ref_put(y->data, y->meta.dtype, i, value);
    else ref_put_i64(y->data, y->meta.dtype, i, ref_get_i64(x->data, x->meta.dtype, i));
  }
  return LN_OK;
}

ln_code ln_ref_cast(ln_call *call) {
  const ln_arg *x = &call->in[0], *y = &call->out[0];
  bool through_integer = !ln_is_float(x->meta.dtype);
  for (int64_t i = 0; i < y->numel; i++) {
    if (through_integer) ref_put_i64(y->data, y->meta.dtype, i, ref_get_i64(x->data, x->meta.dtype, i));
    else ref_put(y->data, y->meta.dtype, i, ref_get(x->data, x->meta.dtype, i));
  }
  return LN_OK;
}

ln_code ln_ref_leaky_relu(ln_call *call) {
  const double *x = ref_in(call, 0);
  double *y = ref_out(call, 0);
  for (int64_t i = 0; i < call->out[0].numel; i++) y[i] = x[i] > 0 ? x[i] : call->attrs->slope * x[i];
  return ref_store(call, 0);
}

/* -- gradients: gy, then what the op saved */

ln_code ln_ref_sigmoid_grad(ln_call *call) {
  const double *gy = ref_in(call, 0), *y = ref_in(call, 1);
  double *gx = ref_out(call, 0);
  for (int64_t i = 0; i < call->out[0].numel; i++) gx[i] = gy[i] * y[i] * (1 - y[i]);
  return ref_store(call, 0);
}

ln_code ln_ref_relu_grad(ln_call *call) {
  const double *gy = ref_in(call, 0), *y = ref_in(call, 1);
  double *gx = ref_out(call, 0);
  for (int64_t i = 0; i < call->out[0].numel; i++) gx[i] = y[i] > 0 ? gy[i] : 0;
  return ref_store(call, 0);
}

/* out: gx sum */
ln_code ln_ref_relu_grad_sum(ln_call *call) {
  ref_axis a = ref_axis_of(&call->in[0].meta, 1);
  const double *gy = ref_in(call, 0), *y = ref_in(call, 1);
  double *gx = ref_out(call, 0), *sum = ref_out(call, 1);
  for (int64_t i = 0; i < call->out[0].numel; i++) {
    gx[i] = y[i] > 0 ? gy[i] : 0;
    sum[i / a.inner % a.size] += gx[i];
  }
  ref_store(call, 0);
  return ref_store(call, 1);
}

ln_code ln_ref_leaky_relu_grad(ln_call *call) {
  const double *gy = ref_in(call, 0), *x = ref_in(call, 1);
  double *gx = ref_out(call, 0);
  for (int64_t i = 0; i < call->out[0].numel; i++) gx[i] = x[i] > 0 ? gy[i] : call->attrs->slope * gy[i];
  return ref_store(call, 0);
}
