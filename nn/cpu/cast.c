/* cast.c: every dtype to every other. Between f32 and bf16 the instruction set's loops are
 * used; the other 40 pairs are generated loops that gcc vectorises as it can.
 */
#include "cast.h"
#include "images.h"
#include "span.h"
#include "span_math.h"

/* Floats truncate through i64, so that a value that fits the 64 bits but not the target
 * wraps, as torch does; beyond 64 bits and for NaN it is i64's smallest, as the CPU gives. */
static inline int64_t truncated(double x) {
  return x >= -0x1p63 && x < 0x1p63 ? (int64_t)x : INT64_MIN;
}

static inline uint16_t bf16_of(float x) {
  const uint32_t bits = ln_bits_of(x);
  return (uint16_t)((x != x ? bits | 0x400000u : bits + 0x7fffu + ((bits >> 16) & 1u)) >> 16);
}

typedef uint8_t t_flag;
typedef uint8_t t_u8;
typedef int32_t t_i32;
typedef int64_t t_i64;
typedef uint16_t t_bf16;
typedef float t_f32;
typedef double t_f64;

/* How a source element is read for each class of target. */
#define INT_flag(x) (x)
#define INT_u8(x) (x)
#define INT_i32(x) (x)
#define INT_i64(x) (x)
#define INT_bf16(x) truncated((double)ln_float_of((uint32_t)(x) << 16))
#define INT_f32(x) truncated((double)(x))
#define INT_f64(x) truncated(x)
#define NUM_flag(x) (x)
#define NUM_u8(x) (x)
#define NUM_i32(x) (x)
#define NUM_i64(x) (x)
#define NUM_bf16(x) ln_float_of((uint32_t)(x) << 16)
#define NUM_f32(x) (x)
#define NUM_f64(x) (x)

#define TO_flag(s, x) (NUM_##s(x) != 0)
#define TO_u8(s, x) (t_u8)INT_##s(x)
#define TO_i32(s, x) (t_i32)INT_##s(x)
#define TO_i64(s, x) (t_i64)INT_##s(x)
#define TO_bf16(s, x) bf16_of((float)NUM_##s(x))
#define TO_f32(s, x) (t_f32)NUM_##s(x)
#define TO_f64(s, x) (t_f64)NUM_##s(x)

typedef void (*cast_fn)(void *y, const void *x, int64_t n);

#define CAST(s, d)                                              \
  static void s##_to_##d(void *vy, const void *vx, int64_t n) { \
    t_##d *y = vy;                                              \
    const t_##s *x = vx;                                        \
    for (int64_t i = 0; i < n; i++) y[i] = TO_##d(s, x[i]);     \
  }
#define CASTS(s) \
  CAST(s, flag) CAST(s, u8) CAST(s, i32) CAST(s, i64) CAST(s, bf16) CAST(s, f32) CAST(s, f64)
CASTS(flag)
CASTS(u8)
CASTS(i32)
CASTS(i64)
CASTS(bf16)
CASTS(f32)
CASTS(f64)

#define ROW(s)                                                                               \
  {[LN_BOOL] = s##_to_flag, [LN_U8] = s##_to_u8, [LN_I32] = s##_to_i32, [LN_I64] = s##_to_i64, \
   [LN_BF16] = s##_to_bf16, [LN_F32] = s##_to_f32, [LN_F64] = s##_to_f64}
static const cast_fn cast_table[LN_DTYPE_COUNT][LN_DTYPE_COUNT] = {
    [LN_BOOL] = ROW(flag), [LN_U8] = ROW(u8), [LN_I32] = ROW(i32), [LN_I64] = ROW(i64),
    [LN_BF16] = ROW(bf16), [LN_F32] = ROW(f32), [LN_F64] = ROW(f64)};

void ln_cast_from_double(ln_dtype dtype, void *to, double value) { cast_table[LN_F64][dtype](to, &value, 1); }

typedef struct cast_job {
  const ln_map_spans *spans;
  ln_dtype from, to;
  ln_runs runs;
  char *y;
  const char *x;
  int64_t y_image, x_image; /* elements */
} cast_job;

static void cast_range(void *arg, int64_t begin, int64_t end) {
  const cast_job *j = arg;
  int64_t run, at;
  const int64_t n = ln_run_block(&j->runs, begin, end, &run, &at);
  void *y = j->y + (run * j->y_image + at) * (int64_t)ln_dtype_size(j->to);
  const void *x = j->x + (run * j->x_image + at) * (int64_t)ln_dtype_size(j->from);
  if (j->from == LN_F32 && j->to == LN_BF16) j->spans->to_bf16(y, x, n);
  else if (j->from == LN_BF16 && j->to == LN_F32) j->spans->from_bf16(y, x, n);
  else cast_table[j->from][j->to](y, x, n);
}

ln_code ln_cpu_cast(ln_cpu *cpu, ln_call *call) {
  const ln_arg *x = &call->in[0], *y = &call->out[0];
  cast_job j = {.spans = cpu->spans->map, .from = x->meta.dtype, .to = y->meta.dtype, .y = y->data, .x = x->data};
  if (j.from == j.to) {
    ln_copy_dense(cpu, j.y, j.x, (size_t)y->numel * ln_dtype_size(j.to));
    return LN_OK;
  }
  j.runs = ln_runs_of(call);
  if (j.runs.n > 1) j.y_image = ln_image_of(y), j.x_image = ln_image_of(x);
  ln_cpu_for(cpu, j.runs.n * j.runs.padded, LN_BLOCK, 1, cast_range, &j);
  return LN_OK;
}
