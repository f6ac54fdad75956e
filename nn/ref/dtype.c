/* dtype.c: elements of any dtype as double or int64_t, and positions in row-major tensors. */
#include <math.h>
#include <string.h>

#include "ref.h"

/* -- bf16: the upper half of an f32 */

static double bf16_get(uint16_t bits) {
  uint32_t word = (uint32_t)bits << 16;
  float value;
  memcpy(&value, &word, sizeof value);
  return (double)value;
}

static uint16_t bf16_put(double value) {
  float single = (float)value;
  uint32_t word;
  memcpy(&word, &single, sizeof word);
  if (isnan(single)) return (uint16_t)(word >> 16 | 0x40u); /* a quiet NaN; rounding could make it infinite */
  return (uint16_t)((word + 0x7fffu + (word >> 16 & 1u)) >> 16); /* to nearest, halves to even */
}

/* -- one element */

int64_t ref_to_i64(double value) {
  if (!(value >= -0x1p63 && value < 0x1p63)) return INT64_MIN;
  return (int64_t)value;
}

double ref_get(const void *data, ln_dtype t, int64_t i) {
  switch (t) {
    case LN_F64: return ((const double *)data)[i];
    case LN_F32: return (double)((const float *)data)[i];
    case LN_BF16: return bf16_get(((const uint16_t *)data)[i]);
    default: return (double)ref_get_i64(data, t, i);
  }
}

void ref_put(void *data, ln_dtype t, int64_t i, double value) {
  switch (t) {
    case LN_F64: ((double *)data)[i] = value; break;
    case LN_F32: ((float *)data)[i] = (float)value; break;
    case LN_BF16: ((uint16_t *)data)[i] = bf16_put(value); break;
    case LN_BOOL: ((uint8_t *)data)[i] = value != 0; break;
    default: ref_put_i64(data, t, i, ref_to_i64(value));
  }
}

int64_t ref_get_i64(const void *data, ln_dtype t, int64_t i) {
  switch (t) {
    case LN_I64: return ((const int64_t *)data)[i];
    case LN_I32: return ((const int32_t *)data)[i];
    case LN_U8: return ((const uint8_t *)data)[i];
    case LN_BOOL: return ((const uint8_t *)data)[i] != 0;
    default: return ref_to_i64(ref_get(data, t, i));
  }
}

void ref_put_i64(void *data, ln_dtype t, int64_t i, int64_t value) {
  switch (t) {
    case LN_I64: ((int64_t *)data)[i] = value; break;
    case LN_I32: ((int32_t *)data)[i] = (int32_t)value; break;
    case LN_U8: ((uint8_t *)data)[i] = (uint8_t)value; break;
    case LN_BOOL: ((uint8_t *)data)[i] = value != 0; break;
    default: ref_put(data, t, i, (double)value);
  }
}

/* -- a call's tensors: inputs, then outputs, one after the other in the workspace */

_Static_assert(sizeof(double) == sizeof(int64_t), "a slot of the workspace holds either");

static int64_t elements(const ln_arg *arg) { return arg->meta.dtype == LN_NONE ? 0 : ln_numel(&arg->meta); }

size_t ref_workspace(const ln_call *call) {
  size_t total = 0;
  for (int i = 0; i < call->nin + call->nout; i++) {
    const ln_arg *arg = i < call->nin ? &call->in[i] : &call->out[i - call->nin];
    if (__builtin_add_overflow(total, ln_mul((size_t)elements(arg), sizeof(double)), &total)) return SIZE_MAX;
  }
  return total;
}

/* The room of argument k, outputs counted after the inputs. */
static void *room(const ln_call *call, int k) {
  int64_t before = 0;
  for (int i = 0; i < k; i++) before += elements(i < call->nin ? &call->in[i] : &call->out[i - call->nin]);
  return (double *)call->workspace + before;
}

double *ref_in(ln_call *call, int i) {
  const ln_arg *arg = &call->in[i];
  if (arg->meta.dtype == LN_NONE) return NULL;
  double *values = room(call, i);
  for (int64_t k = 0; k < arg->numel; k++) values[k] = ref_get(arg->data, arg->meta.dtype, k);
  return values;
}

int64_t *ref_in_i64(ln_call *call, int i) {
  const ln_arg *arg = &call->in[i];
  if (arg->meta.dtype == LN_NONE) return NULL;
  int64_t *values = room(call, i);
  for (int64_t k = 0; k < arg->numel; k++) values[k] = ref_get_i64(arg->data, arg->meta.dtype, k);
  return values;
}

double *ref_out(ln_call *call, int i) {
  double *values = room(call, call->nin + i);
  for (int64_t k = 0; k < call->out[i].numel; k++) values[k] = 0;
  return values;
}

int64_t *ref_out_i64(ln_call *call, int i) {
  int64_t *values = room(call, call->nin + i);
  for (int64_t k = 0; k < call->out[i].numel; k++) values[k] = 0;
  return values;
}

static void store(const ln_arg *arg, const double *values) {
  for (int64_t k = 0; k < arg->numel; k++) ref_put(arg->data, arg->meta.dtype, k, values[k]);
}

ln_code ref_store(ln_call *call, int i) {
  store(&call->out[i], room(call, call->nin + i));
  return LN_OK;
}

ln_code ref_store_i64(ln_call *call, int i) {
  const ln_arg *arg = &call->out[i];
  const int64_t *values = room(call, call->nin + i);
  for (int64_t k = 0; k < arg->numel; k++) ref_put_i64(arg->data, arg->meta.dtype, k, values[k]);
  return LN_OK;
}

void ref_store_in(ln_call *call, int i) { store(&call->in[i], room(call, i)); }

/* -- positions */

void ref_coords(const ln_meta *m, int64_t linear, int64_t at[LN_MAX_RANK]) {
  for (int i = m->rank - 1; i >= 0; i--) {
    at[i] = linear % m->dim[i];
    linear /= m->dim[i];
  }
}

int64_t ref_linear(const ln_meta *m, const int64_t at[LN_MAX_RANK]) {
  int64_t linear = 0;
  for (int i = 0; i < m->rank; i++) linear = linear * m->dim[i] + at[i];
  return linear;
}

int64_t ref_broadcast(const ln_meta *m, const ln_meta *out, int64_t linear) {
  if (ln_same_shape(m, out)) return linear;
  int64_t at[LN_MAX_RANK], result = 0;
  int added = out->rank - m->rank;
  ref_coords(out, linear, at);
  for (int i = 0; i < m->rank; i++) result = result * m->dim[i] + (m->dim[i] == 1 ? 0 : at[i + added]);
  return result;
}

ref_axis ref_axis_of(const ln_meta *m, int dim) {
  ref_axis axis = { 1, m->dim[dim], 1 };
  for (int i = 0; i < dim; i++) axis.outer *= m->dim[i];
  for (int i = dim + 1; i < m->rank; i++) axis.inner *= m->dim[i];
  return axis;
}
