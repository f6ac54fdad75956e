/* unary.c: elementwise ops of one input, and the gradients that take two tensors of one
 * shape. The blocked layout is no different to them, run by run.
 */
#include "images.h"
#include "span.h"

/* -- f32 */

typedef struct unary_job {
  ln_unary_fn fn;
  const ln_map_spans *spans;
  ln_runs runs;
  ln_images x, y;
  float p, q;
} unary_job;

/* y and x are stored as bf16. */
static void unary_parts(const unary_job *j, uint16_t *y, const uint16_t *x, int64_t n) {
  float part[LN_PART];
  for (int64_t i = 0; i < n; i += LN_PART) {
    const int64_t count = n - i < LN_PART ? n - i : LN_PART;
    j->spans->from_bf16(part, x + i, count);
    j->fn(part, part, count, j->p, j->q);
    j->spans->to_bf16(y + i, part, count);
  }
}

static void unary_range(void *arg, int64_t begin, int64_t end) {
  const unary_job *j = arg;
  int64_t run, from;
  const int64_t n = ln_run_block(&j->runs, begin, end, &run, &from);
  void *y = ln_image_at(j->y, run, from);
  const void *x = ln_image_at(j->x, run, from);
  if (j->x.size == (int64_t)sizeof(float)) j->fn(y, x, n, j->p, j->q);
  else unary_parts(j, y, x, n);
}

/* -- integers: the ops that mean something for them */

typedef struct integer_job {
  ln_op op;
  ln_dtype dtype;
  void *y;
  const void *x;
  double lo, hi;
} integer_job;

#define EACH(R, expr)                                             \
  do {                                                            \
    R *y = j->y;                                                  \
    for (int64_t i = begin; i < end; i++) y[i] = (R)(expr);       \
    return;                                                       \
  } while (0)

/* Comparing in double is exact here: bounds are whole where they matter, and i64 beyond 2^53
 * is clamped by a bound of like size only. */
#define CLAMPED(T) ((double)x[i] < j->lo ? (T)j->lo : (double)x[i] > j->hi ? (T)j->hi : x[i])

#define INTEGER_OPS(name, T)                                                     \
  static void name(const integer_job *j, int64_t begin, int64_t end) {           \
    const T *x = j->x;                                                           \
    switch (j->op) {                                                             \
      case LN_OP_neg: EACH(T, 0 - (uint64_t)x[i]);                               \
      case LN_OP_abs: EACH(T, x[i] < 0 ? 0 - (uint64_t)x[i] : (uint64_t)x[i]);   \
      case LN_OP_sign: EACH(T, (x[i] > 0) - (x[i] < 0));                         \
      case LN_OP_relu: EACH(T, x[i] < 0 ? 0 : x[i]);                             \
      case LN_OP_clamp: EACH(T, CLAMPED(T));                                     \
      case LN_OP_isfinite: EACH(uint8_t, 1);                                     \
      case LN_OP_logical_not: EACH(uint8_t, x[i] == 0);                          \
      default: EACH(T, x[i]); /* floor, ceil, round */                           \
    }                                                                            \
  }
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wtype-limits" /* unsigned < 0 is what one of the three types asks */
INTEGER_OPS(bytes, uint8_t)
#pragma GCC diagnostic pop
INTEGER_OPS(words, int32_t)
INTEGER_OPS(longs, int64_t)

static void integer_range(void *arg, int64_t begin, int64_t end) {
  const integer_job *j = arg;
  if (j->dtype == LN_I64) longs(j, begin, end);
  else if (j->dtype == LN_I32) words(j, begin, end);
  else bytes(j, begin, end);
}

/* cost: how many plain elements one element takes the time of. */
static ln_code unary(ln_cpu *cpu, ln_call *call, int64_t cost, double p, double q) {
  const int64_t n = call->out[0].numel;
  if (call->in[0].meta.dtype != LN_F32 && !ln_is_bf16(&call->in[0])) {
    integer_job j = {call->op, call->in[0].meta.dtype, call->out[0].data, call->in[0].data, p, q};
    ln_cpu_for(cpu, n, LN_BLOCK, cost, integer_range, &j);
    return LN_OK;
  }
  unary_job j = {.fn = cpu->spans->map->unary[call->op], .spans = cpu->spans->map, .runs = ln_runs_of(call),
                 .y = ln_images_of(&call->out[0]), .x = ln_images_of(&call->in[0]), .p = (float)p, .q = (float)q};
  ln_cpu_for(cpu, j.runs.n * j.runs.padded, LN_BLOCK, cost, unary_range, &j);
  return LN_OK;
}

#define UNARY(name, cost) \
  ln_code ln_cpu_##name(ln_cpu *cpu, ln_call *call) { return unary(cpu, call, cost, 0, 0); }
UNARY(neg, 1)
UNARY(abs, 1)
UNARY(sign, 1)
UNARY(exp, 4)
UNARY(log, 4)
UNARY(log1p, 4)
UNARY(sqrt, 2)
UNARY(sin, 16)
UNARY(cos, 16)
UNARY(tanh, 6)
UNARY(floor, 1)
UNARY(ceil, 1)
UNARY(round, 1)
UNARY(isfinite, 1)
UNARY(logical_not, 1)
UNARY(sigmoid, 4)
UNARY(round_bf16, 1)
UNARY(relu, 1)

ln_code ln_cpu_clamp(ln_cpu *cpu, ln_call *call) {
  return unary(cpu, call, 1, call->scalars->lo, call->scalars->hi);
}

ln_code ln_cpu_leaky_relu(ln_cpu *cpu, ln_call *call) { return unary(cpu, call, 1, call->attrs->slope, 0); }

/* -- two tensors of one shape */

typedef struct map_job {
  ln_map_fn fn;
  const ln_map_spans *spans;
  ln_runs runs;
  ln_images y, in[2];
  float p;
} map_job;

/* All are stored as bf16. */
static void map_parts(const map_job *j, int64_t run, int64_t from, int64_t n) {
  float part[2][LN_PART];
  for (int64_t i = from; i < from + n; i += LN_PART) {
    const int64_t count = from + n - i < LN_PART ? from + n - i : LN_PART;
    const float *x[2];
    for (int k = 0; k < 2; k++) x[k] = ln_widened(j->spans, j->in[k].size, ln_image_at(j->in[k], run, i), count, part[k]);
    j->fn(part[0], x[0], x[1], NULL, count, j->p);
    j->spans->to_bf16(ln_image_at(j->y, run, i), part[0], count);
  }
}

static void map_range(void *arg, int64_t begin, int64_t end) {
  const map_job *j = arg;
  int64_t run, from;
  const int64_t n = ln_run_block(&j->runs, begin, end, &run, &from);
  if (j->y.size != (int64_t)sizeof(float)) map_parts(j, run, from, n);
  else j->fn(ln_image_at(j->y, run, from), ln_image_at(j->in[0], run, from), ln_image_at(j->in[1], run, from), NULL, n, j->p);
}

static ln_code map(ln_cpu *cpu, ln_call *call, int64_t cost) {
  map_job j = {.fn = cpu->spans->map->map[call->op], .spans = cpu->spans->map, .runs = ln_runs_of(call),
               .y = ln_images_of(&call->out[0]), .in = {ln_images_of(&call->in[0]), ln_images_of(&call->in[1])},
               .p = (float)call->attrs->slope};
  ln_cpu_for(cpu, j.runs.n * j.runs.padded, LN_BLOCK, cost, map_range, &j);
  return LN_OK;
}

#define MAP(name, cost) \
  ln_code ln_cpu_##name(ln_cpu *cpu, ln_call *call) { return map(cpu, call, cost); }
MAP(sigmoid_grad, 1)
MAP(relu_grad, 1)
MAP(leaky_relu_grad, 1)
