/* span.h: the inner loops over contiguous f32, compiled once per instruction set.
 *
 * Each span_*.c ends in its part of the table, span_table.c joins the parts. Loops are plain C that gcc vectorises, or
 * 8-lane vectors where the order of a sum matters, so that every instruction set gives
 * the same bits. An output may be one of the inputs (same index) in map*, never elsewhere.
 */
#ifndef LN_CPU_SPAN_H
#define LN_CPU_SPAN_H

#include "cpu.h"

/* Which operand of a binary span is a single element. */
enum { LN_VV = 0, LN_VS, LN_SV, LN_SIDES };

/* y is f32, or bytes for comparisons. */
typedef void (*ln_binary_fn)(void *y, const void *a, const void *b, int64_t n);
/* y = f(x) with up to two parameters; y is f32, or bytes for predicates. */
typedef void (*ln_unary_fn)(void *y, const float *x, int64_t n, float p, float q);
/* Ops on two or three tensors of one shape, with one parameter; c may be unused. */
typedef void (*ln_map_fn)(float *y, const float *a, const float *b, const float *c, int64_t n, float p);

/* Accumulators of the reductions are 8 bytes: double, or int64_t for integers. */
typedef void (*ln_run_fn)(void *acc, const void *x, int64_t n);     /* acc[0] op= x[0..n) */
typedef void (*ln_columns_fn)(void *acc, const void *x, int64_t n); /* acc[i] op= x[i] */

/* Running mean and sum of squared deviations, merged in a fixed order (Chan et al.). */
typedef struct ln_moments {
  double count, mean, m2;
} ln_moments;

/* The scalars of one Adam or SGD step, rounded once. */
typedef struct ln_step {
  float decay;           /* decoupled: 1 - lr * weight_decay; else 1 */
  float l2;              /* weight decay that is added to the gradient */
  float beta1c;          /* 1 - beta1 */
  float beta2, beta2c;   /* beta2c = 1 - beta2 */
  float step;            /* lr / bias1, or lr */
  float root_bias2;      /* sqrt(bias2) */
  float eps;
  float momentum, dampc; /* dampc = 1 - dampening */
} ln_step;

typedef struct ln_map_spans { /* span_map.c */
  ln_binary_fn binary[LN_OP_COUNT][LN_SIDES];
  ln_unary_fn unary[LN_OP_COUNT];
  ln_map_fn map[LN_OP_COUNT];
  ln_map_fn map_of_one[LN_OP_COUNT]; /* where a is one element for all, given as p */
  void (*where)(float *y, const uint8_t *c, const float *a, const float *b, int64_t n);
  void (*scale)(float *y, const float *x, int64_t n, float factor);
  void (*axpy)(float *y, const float *x, int64_t n, float factor); /* y += factor x */
  void (*blend)(float *y, const float *a, const float *b, int64_t n, float wa, float wb);
  void (*to_bf16)(uint16_t *y, const float *x, int64_t n);
  void (*from_bf16)(float *y, const uint16_t *x, int64_t n);
} ln_map_spans;

typedef struct ln_reduce_spans { /* span_reduce.c */
  ln_run_fn sum_run, max_run, min_run;
  ln_columns_fn sum_columns, max_columns, min_columns;
  void (*moments)(ln_moments *m, const float *x, int64_t n);
  /* sums[0] += gy, sums[1] += gy (x - mean) */
  void (*dots)(double sums[2], const float *gy, const float *x, int64_t n, float mean);
  int64_t (*nonfinite)(const float *x, int64_t n); /* how many */
} ln_reduce_spans;

typedef struct ln_layer_spans { /* span_layer.c */
  /* y = (x - mean) factor + shift */
  void (*normalize)(float *y, const float *x, int64_t n, float mean, float factor, float shift);
  /* gx = factor (gy - c1 - (x - mean) c2) */
  void (*normalize_grad)(float *gx, const float *gy, const float *x, int64_t n, float mean,
                         float factor, float c1, float c2);
  /* Softmax of a row; of n <= LN_COLUMNS neighbouring columns over d rows `stride` apart. */
  void (*softmax_row)(float *y, const float *x, int64_t n, bool log);
  void (*softmax_columns)(float *y, const float *x, int64_t d, int64_t stride, int64_t n, bool log);
  void (*softmax_grad_row)(float *gx, const float *gy, const float *y, int64_t n, bool log);
  void (*softmax_grad_columns)(float *gx, const float *gy, const float *y, int64_t d,
                               int64_t stride, int64_t n, bool log);
  /* n windows of 2 x 2, stride 2; base is the index of x[0] in its volume. */
  void (*max_pool_2x2)(float *y, int32_t *index, const float *x, int64_t width, int64_t n, int32_t base);
  /* y[i] = x[lo[i]] wlo[i] + x[hi[i]] whi[i] */
  void (*taps)(float *y, const float *x, const int32_t *lo, const int32_t *hi, const float *wlo,
               const float *whi, int64_t n);
} ln_layer_spans;

typedef struct ln_step_spans { /* span_step.c */
  /* Elements first .. first + n - 1 of a draw; first is a multiple of 4. */
  void (*dropout)(float *y, const float *x, int64_t n, const ln_scalars *draw, int64_t first, float factor);
  void (*uniform)(float *y, int64_t n, const ln_scalars *draw, int64_t first);
  void (*adam)(float *p, const float *g, float *m, float *v, int64_t n, const ln_step *s);
  void (*sgd)(float *p, const float *g, float *buffer, int64_t n, const ln_step *s, bool nesterov);
} ln_step_spans;

typedef struct ln_spans {
  const ln_map_spans *map;
  const ln_reduce_spans *reduce;
  const ln_layer_spans *layer;
  const ln_step_spans *step;
} ln_spans;

enum { LN_COLUMNS = 512 };

extern const ln_spans ln_span_table_generic, ln_span_table_avx2, ln_span_table_avx512;

/* b after a; both may be empty. */
static inline void ln_moments_merge(ln_moments *a, const ln_moments *b) {
  double count = a->count + b->count;
  if (count == 0) return;
  double delta = b->mean - a->mean;
  a->mean += delta * (b->count / count);
  a->m2 += b->m2 + delta * delta * (a->count * (b->count / count));
  a->count = count;
}

#ifdef LN_ISA
#define SPAN_PASTE2(a, b, c) a##b##_##c
#define SPAN_PASTE(a, b, c) SPAN_PASTE2(a, b, c)
/* The external name of a span of this compilation. */
#define SPAN(name) SPAN_PASTE(ln_span_, name, LN_ISA)
extern const ln_map_spans SPAN(map);
extern const ln_reduce_spans SPAN(reduce);
extern const ln_layer_spans SPAN(layer);
extern const ln_step_spans SPAN(step);

/* Iterations do not depend on each other; true also when the output is one of the
 * inputs, since every element is read before it is written. */
#define SPAN_LOOP(n) _Pragma("GCC ivdep") for (int64_t i = 0; i < (n); i++)
#endif

#endif
