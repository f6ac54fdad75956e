/* argreduce.c: argmax and argmin along one dim. A NaN counts as the extreme, the first one
 * wins, as in torch. Rows are scanned when the dim is the innermost; else columns side by side.
 */
#include "iter.h"

enum { WIDTH = 256 };

typedef struct arg_job {
  ln_dtype dtype;
  bool min;
  const void *x;
  int64_t *y;
  int64_t d, inner, pieces;
} arg_job;

/* Whether v beats the best so far; BEATS_INT for types without NaN. */
#define BEATS_FLOAT(v, best) ((min ? (v) < (best) : (v) > (best)) | (((v) != (v)) & ((best) == (best))))
#define BEATS_INT(v, best) (min ? (v) < (best) : (v) > (best))

#define SCAN(name, T, BEATS)                                                                            \
  static void name(const arg_job *j, int64_t outer, int64_t from, int64_t n) {                          \
    const T *x = (const T *)j->x + outer * j->d * j->inner + from;                                      \
    int64_t *y = j->y + outer * j->inner + from;                                                        \
    const bool min = j->min;                                                                            \
    T best[WIDTH];                                                                                      \
    int32_t at[WIDTH];                                                                                  \
    for (int64_t i = 0; i < n; i++) best[i] = x[i], at[i] = 0;                                          \
    for (int32_t k = 1; k < (int32_t)j->d; k++) {                                                       \
      const T *row = x + k * j->inner;                                                                  \
      for (int64_t i = 0; i < n; i++) {                                                                 \
        const T v = row[i];                                                                             \
        const bool wins = BEATS(v, best[i]);                                                            \
        best[i] = wins ? v : best[i];                                                                   \
        at[i] = wins ? k : at[i];                                                                       \
      }                                                                                                 \
    }                                                                                                   \
    for (int64_t i = 0; i < n; i++) y[i] = at[i];                                                       \
  }
SCAN(scan_f32, float, BEATS_FLOAT)
SCAN(scan_u8, uint8_t, BEATS_INT)
SCAN(scan_i32, int32_t, BEATS_INT)
SCAN(scan_i64, int64_t, BEATS_INT)

static void arg_range(void *arg, int64_t begin, int64_t end) {
  const arg_job *j = arg;
  for (int64_t u = begin; u < end; u++) {
    const int64_t outer = u / j->pieces, from = u % j->pieces * WIDTH;
    const int64_t n = j->inner - from < WIDTH ? j->inner - from : WIDTH;
    switch (j->dtype) {
      case LN_F32: scan_f32(j, outer, from, n); break;
      case LN_I32: scan_i32(j, outer, from, n); break;
      case LN_I64: scan_i64(j, outer, from, n); break;
      default: scan_u8(j, outer, from, n); break;
    }
  }
}

static ln_code argreduce(ln_cpu *cpu, ln_call *call, bool min) {
  const ln_meta *x = &call->in[0].meta;
  arg_job j = {.dtype = x->dtype, .min = min, .x = call->in[0].data, .y = call->out[0].data,
               .d = x->dim[call->attrs->dim], .inner = 1};
  if (call->out[0].numel == 0) return LN_OK;
  for (int i = call->attrs->dim + 1; i < x->rank; i++) j.inner *= x->dim[i];
  j.pieces = (j.inner + WIDTH - 1) / WIDTH;
  const int64_t units = call->in[0].numel / (j.d * j.inner) * j.pieces;
  const int64_t cost = call->in[0].numel / units;
  ln_cpu_for(cpu, units, LN_BLOCK / cost + 1, cost, arg_range, &j);
  return LN_OK;
}

ln_code ln_cpu_argmax(ln_cpu *cpu, ln_call *call) { return argreduce(cpu, call, false); }
ln_code ln_cpu_argmin(ln_cpu *cpu, ln_call *call) { return argreduce(cpu, call, true); }
