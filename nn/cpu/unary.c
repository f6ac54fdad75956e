/* unary.c: elementwise ops of one input, and the gradients that take two tensors of one
 * shape. The blocked layout is no different to them, run by run.
 */
#include <math.h>

#include "images.h"
#include "span.h"

/* -- f32 */

typedef struct unary_job {
  ln_unary_fn fn;
  ln_runs runs;
  ln_images x, y;
  size_t ysize; /* bytes of one of y's elements */
  float p, q;
} unary_job;

static void unary_range(void *arg, int64_t begin, int64_t end) {
  const unary_job *j = arg;
  int64_t run, from;
  const int64_t n = ln_run_block(&j->runs, begin, end, &run, &from);
  char *y = (char *)j->y.data + (run * j->y.image + from) * (int64_t)j->ysize;
  j->fn(y, j->x.data + run * j->x.image + from, n, j->p, j->q);
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
  if (call->in[0].meta.dtype != LN_F32) {
    integer_job j = {call->op, call->in[0].meta.dtype, call->out[0].data, call->in[0].data, p, q};
    ln_cpu_for(cpu, n, LN_BLOCK, cost, integer_range, &j);
    return LN_OK;
  }
  unary_job j = {.fn = cpu->spans->map->unary[call->op], .runs = ln_runs_of(call), .y = ln_images_of(&call->out[0]),
                 .x = ln_images_of(&call->in[0]), .ysize = ln_dtype_size(call->out[0].meta.dtype),
                 .p = (float)p, .q = (float)q};
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
  ln_runs runs;
  ln_images y, a, b;
  float p;
} map_job;

static float *run_data(ln_images t, int64_t run, int64_t from) { return t.data + run * t.image + from; }

static void map_range(void *arg, int64_t begin, int64_t end) {
  const map_job *j = arg;
  int64_t run, from;
  const int64_t n = ln_run_block(&j->runs, begin, end, &run, &from);
  j->fn(run_data(j->y, run, from), run_data(j->a, run, from), run_data(j->b, run, from), NULL, n, j->p);
}

static ln_code map(ln_cpu *cpu, ln_call *call, int64_t cost) {
  map_job j = {.fn = cpu->spans->map->map[call->op], .runs = ln_runs_of(call), .y = ln_images_of(&call->out[0]),
               .a = ln_images_of(&call->in[0]), .b = ln_images_of(&call->in[1]), .p = (float)call->attrs->slope};
  ln_cpu_for(cpu, j.runs.n * j.runs.padded, LN_BLOCK, cost, map_range, &j);
  return LN_OK;
}

#define MAP(name, cost) \
  ln_code ln_cpu_##name(ln_cpu *cpu, ln_call *call) { return map(cpu, call, cost); }
MAP(sigmoid_grad, 1)
MAP(relu_grad, 1)
MAP(leaky_relu_grad, 1)
