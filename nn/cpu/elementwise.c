/* elementwise.c: ops of two inputs and where, with broadcasting; f32 goes to the inner loops
 * of the instruction set, integers to loops here.
 */
#include "images.h"
#include "span.h"

#include <string.h>

/* One operand may be a single element: step 0. */
typedef void (*integer_fn)(void *y, const void *a, int64_t as, const void *b, int64_t bs, int64_t n);

typedef struct binary_job {
  ln_iter it;
  char *y;
  const char *a, *b;
  size_t ysize, size;     /* of a result's and an operand's element */
  ln_binary_fn span;      /* f32 */
  integer_fn integer;     /* otherwise */
} binary_job;

static void binary_run(void *arg, int64_t at, const int64_t *offset, int64_t n) {
  const binary_job *j = arg;
  char *y = j->y + at * (int64_t)j->ysize;
  const char *a = j->a + offset[0] * (int64_t)j->size, *b = j->b + offset[1] * (int64_t)j->size;
  const int last = j->it.rank - 1;
  if (j->span) j->span(y, a, b, n);
  else j->integer(y, a, j->it.stride[0][last], b, j->it.stride[1][last], n);
}

static void binary_range(void *arg, int64_t begin, int64_t end) {
  binary_job *j = arg;
  ln_iter_walk(&j->it, begin, end, binary_run, j);
}

/* -- integers. Sums and products wrap around, so they go through the unsigned type. */

#define INTEGER(name, T, R, expr)                                                                     \
  static void name(void *vy, const void *va, int64_t as, const void *vb, int64_t bs, int64_t n) {     \
    R *y = vy;                                                                                        \
    const T *pa = va, *pb = vb;                                                                       \
    _Pragma("GCC ivdep") for (int64_t i = 0; i < n; i++) {                                            \
      const T a = pa[i * as], b = pb[i * bs];                                                         \
      y[i] = (R)(expr);                                                                               \
    }                                                                                                 \
  }

/* torch: a negative exponent gives 0 except for 1 and -1. */
static int64_t integer_power(int64_t base, int64_t exponent) {
  if (exponent < 0) return base == 1 ? 1 : base == -1 ? (exponent % 2 == 0 ? 1 : -1) : 0;
  uint64_t result = 1, factor = (uint64_t)base;
  for (uint64_t e = (uint64_t)exponent; e > 0; e >>= 1, factor *= factor)
    if (e & 1) result *= factor;
  return (int64_t)result;
}

#define INTEGERS(T, U)                                        \
  INTEGER(add_##T, T, T, (U)a + (U)b)                         \
  INTEGER(sub_##T, T, T, (U)a - (U)b)                         \
  INTEGER(mul_##T, T, T, (uint64_t)a *(uint64_t)b)            \
  INTEGER(div_##T, T, float, (float)a / (float)b)             \
  INTEGER(pow_##T, T, T, integer_power((int64_t)a, (int64_t)b)) \
  INTEGER(max_##T, T, T, a > b ? a : b)                       \
  INTEGER(min_##T, T, T, a < b ? a : b)                       \
  INTEGER(eq_##T, T, uint8_t, a == b)                         \
  INTEGER(ne_##T, T, uint8_t, a != b)                         \
  INTEGER(lt_##T, T, uint8_t, a < b)                          \
  INTEGER(le_##T, T, uint8_t, a <= b)                         \
  INTEGER(gt_##T, T, uint8_t, a > b)                          \
  INTEGER(ge_##T, T, uint8_t, a >= b)                         \
  INTEGER(and_##T, T, uint8_t, (a != 0) & (b != 0))           \
  INTEGER(or_##T, T, uint8_t, (a != 0) | (b != 0))
INTEGERS(uint8_t, unsigned)
INTEGERS(int32_t, uint32_t)
INTEGERS(int64_t, uint64_t)

enum { BYTE, WORD, LONG, INTEGER_TYPES };
#define TYPES(name) {name##_uint8_t, name##_int32_t, name##_int64_t}
static const integer_fn integer_table[LN_OP_COUNT][INTEGER_TYPES] = {
    [LN_OP_add] = TYPES(add), [LN_OP_sub] = TYPES(sub), [LN_OP_mul] = TYPES(mul),
    [LN_OP_div] = TYPES(div), [LN_OP_pow] = TYPES(pow), [LN_OP_maximum] = TYPES(max),
    [LN_OP_minimum] = TYPES(min), [LN_OP_eq] = TYPES(eq), [LN_OP_ne] = TYPES(ne),
    [LN_OP_lt] = TYPES(lt), [LN_OP_le] = TYPES(le), [LN_OP_gt] = TYPES(gt),
    [LN_OP_ge] = TYPES(ge), [LN_OP_logical_and] = TYPES(and), [LN_OP_logical_or] = TYPES(or)};

/* -- blocked: operands of the output's shape, or single elements, which are floats */

typedef struct blocked_job {
  const ln_map_spans *spans;
  ln_runs runs;
  ln_images y, in[2];
  bool single[2];
  ln_binary_fn span;
} blocked_job;

static const void *operand(const blocked_job *j, int i, int64_t run, int64_t from) {
  return j->single[i] ? j->in[i].data : ln_image_at(j->in[i], run, from);
}

/* The output and what has its shape are stored as bf16. */
static void blocked_parts(const blocked_job *j, int64_t run, int64_t from, int64_t n) {
  float part[2][LN_PART];
  for (int64_t i = from; i < from + n; i += LN_PART) {
    const int64_t count = from + n - i < LN_PART ? from + n - i : LN_PART;
    const float *x[2];
    for (int k = 0; k < 2; k++) x[k] = ln_widened(j->spans, j->in[k].size, operand(j, k, run, i), count, part[k]);
    j->span(part[0], x[0], x[1], count);
    j->spans->to_bf16(ln_image_at(j->y, run, i), part[0], count);
  }
}

static void blocked_range(void *arg, int64_t begin, int64_t end) {
  const blocked_job *j = arg;
  int64_t run, from;
  const int64_t n = ln_run_block(&j->runs, begin, end, &run, &from);
  if (j->y.size != (int64_t)sizeof(float)) blocked_parts(j, run, from, n);
  else j->span(ln_image_at(j->y, run, from), operand(j, 0, run, from), operand(j, 1, run, from), n);
}

static ln_code blocked_binary(ln_cpu *cpu, ln_call *call) {
  blocked_job j = {.spans = cpu->spans->map, .runs = ln_runs_of(call), .y = ln_images_of(&call->out[0])};
  for (int i = 0; i < 2; i++) {
    j.single[i] = call->in[i].numel == 1;
    j.in[i] = ln_images_of(&call->in[i]);
  }
  j.span = cpu->spans->map->binary[call->op][j.single[1] ? LN_VS : j.single[0] ? LN_SV : LN_VV];
  ln_cpu_for(cpu, j.runs.n * j.runs.padded, LN_BLOCK, 1, blocked_range, &j);
  return LN_OK;
}

static ln_code binary(ln_cpu *cpu, ln_call *call) {
  if (call->out[0].layout == LN_BLOCKED) return blocked_binary(cpu, call);
  const ln_dtype dtype = call->in[0].meta.dtype;
  binary_job j = {.y = call->out[0].data, .a = call->in[0].data, .b = call->in[1].data,
                  .ysize = ln_dtype_size(call->out[0].meta.dtype), .size = ln_dtype_size(dtype)};
  if (call->out[0].numel == 0) return LN_OK;
  ln_iter_init(&j.it, &call->out[0].meta, call->in, 2);
  const int last = j.it.rank - 1;
  if (dtype == LN_F32) {
    const int side = j.it.stride[1][last] == 0 ? LN_VS : j.it.stride[0][last] == 0 ? LN_SV : LN_VV;
    j.span = cpu->spans->map->binary[call->op][side];
  } else {
    j.integer = integer_table[call->op][dtype == LN_I64 ? LONG : dtype == LN_I32 ? WORD : BYTE];
  }
  ln_cpu_for(cpu, call->out[0].numel, LN_BLOCK, call->op == LN_OP_pow ? 16 : 1, binary_range, &j);
  return LN_OK;
}

#define BINARY(name) \
  ln_code ln_cpu_##name(ln_cpu *cpu, ln_call *call) { return binary(cpu, call); }
BINARY(add)
BINARY(sub)
BINARY(mul)
BINARY(div)
BINARY(pow)
BINARY(maximum)
BINARY(minimum)
BINARY(eq)
BINARY(ne)
BINARY(lt)
BINARY(le)
BINARY(gt)
BINARY(ge)
BINARY(logical_and)
BINARY(logical_or)

/* -- where: moves bytes, so it works by element size */

typedef struct where_job {
  ln_iter it;
  const ln_cpu *cpu;
  char *y;
  const uint8_t *c;
  const char *a, *b;
  size_t size;
} where_job;

#define CHOOSE(T)                                                                  \
  do {                                                                             \
    T *to = (T *)(void *)y;                                                        \
    const T *pa = (const T *)(const void *)a, *pb = (const T *)(const void *)b;    \
    for (int64_t i = 0; i < n; i++) to[i] = c[i * cs] ? pa[i * as] : pb[i * bs];   \
  } while (0)

static void where_run(void *arg, int64_t at, const int64_t *offset, int64_t n) {
  const where_job *j = arg;
  const int64_t size = (int64_t)j->size;
  const int last = j->it.rank - 1;
  const int64_t cs = j->it.stride[0][last], as = j->it.stride[1][last], bs = j->it.stride[2][last];
  char *y = j->y + at * size;
  const uint8_t *c = j->c + offset[0];
  const char *a = j->a + offset[1] * size, *b = j->b + offset[2] * size;
  if (size == 4 && cs == 1 && as == 1 && bs == 1) {
    j->cpu->spans->map->where((void *)y, c, (const void *)a, (const void *)b, n);
    return;
  }
  switch (size) {
    case 1: CHOOSE(uint8_t); break;
    case 2: CHOOSE(uint16_t); break;
    case 4: CHOOSE(uint32_t); break;
    default: CHOOSE(uint64_t); break;
  }
}

static void where_range(void *arg, int64_t begin, int64_t end) {
  where_job *j = arg;
  ln_iter_walk(&j->it, begin, end, where_run, j);
}

ln_code ln_cpu_where(ln_cpu *cpu, ln_call *call) {
  where_job j = {.cpu = cpu, .y = call->out[0].data, .c = call->in[0].data, .a = call->in[1].data,
                 .b = call->in[2].data, .size = ln_dtype_size(call->out[0].meta.dtype)};
  if (call->out[0].numel == 0) return LN_OK;
  ln_iter_init(&j.it, &call->out[0].meta, call->in, 3);
  ln_cpu_for(cpu, call->out[0].numel, LN_BLOCK, 1, where_range, &j);
  return LN_OK;
}
