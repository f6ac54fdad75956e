/* reduce.c: sum, mean, amax, amin over any set of dims.
 *
 * The input's dims are merged into alternating kept and reduced ones. If the last is
 * reduced, an output is made of contiguous runs; if it is kept, whole columns are added
 * up side by side. Either way the work is cut into units (a group of outputs times
 * a share of what is reduced into them) whose number depends on the shape alone; each unit
 * leaves 8-byte partial results in the workspace, and those are combined in order.
 * Sums are double (i64 for integers) throughout.
 */
#include "iter.h"
#include "planes.h"
#include "workspace.h"
#include "span.h"

#include <math.h>

enum { WIDTH = 256, UNIT = 32768, MAX_SPLIT = 64 };

typedef struct reduce_plan {
  bool run;               /* the innermost merged dim is reduced */
  int64_t inner;          /* its size */
  int nkept, nred;        /* the dims outside it */
  int64_t kept[LN_MAX_RANK], kept_stride[LN_MAX_RANK];
  int64_t red[LN_MAX_RANK], red_stride[LN_MAX_RANK];
  int64_t outer;          /* product of kept */
  int64_t lines;          /* product of red: contiguous pieces that go into one output group */
  int64_t pieces;         /* of WIDTH columns in inner, 1 for runs */
  int64_t split;          /* shares of the lines (or, with one line, of the run) */
  bool split_run;
} reduce_plan;

static void merge_dims(reduce_plan *p, const ln_meta *x, unsigned mask) {
  int64_t dim[LN_MAX_RANK];
  bool reduced[LN_MAX_RANK];
  int n = 0;
  for (int d = 0; d < x->rank; d++) {
    const bool r = (mask >> d) & 1u;
    if (x->dim[d] == 1) continue;
    if (n > 0 && reduced[n - 1] == r) dim[n - 1] *= x->dim[d];
    else dim[n] = x->dim[d], reduced[n++] = r;
  }
  if (n == 0) dim[0] = 1, reduced[0] = true, n = 1;
  p->inner = dim[n - 1];
  p->run = reduced[n - 1];
  int64_t stride = p->inner;
  p->outer = p->lines = 1;
  for (int d = n - 2; d >= 0; d--) { /* innermost first in both lists */
    if (reduced[d]) p->red[p->nred] = dim[d], p->red_stride[p->nred++] = stride, p->lines *= dim[d];
    else p->kept[p->nkept] = dim[d], p->kept_stride[p->nkept++] = stride, p->outer *= dim[d];
    stride *= dim[d];
  }
}

static reduce_plan plan_of(const ln_meta *x, const ln_attrs *attrs) {
  reduce_plan p = {0};
  unsigned mask = 0;
  for (int i = 0; i < attrs->ndims; i++) mask |= 1u << attrs->dims[i];
  if (attrs->ndims == 0) mask = ~0u;
  merge_dims(&p, x, mask);
  p.pieces = p.run ? 1 : (p.inner + WIDTH - 1) / WIDTH;
  p.split_run = p.run && p.lines == 1;
  const int64_t groups = p.outer * p.pieces;
  const int64_t work = p.lines * (p.run ? p.inner : p.inner < WIDTH ? p.inner : WIDTH);
  const int64_t limit = p.split_run ? (p.inner + UNIT - 1) / UNIT : p.lines;
  p.split = work / UNIT + 1;
  if (p.split > limit) p.split = limit;
  if (groups >= MAX_SPLIT) p.split = 1;
  if (p.split > MAX_SPLIT) p.split = MAX_SPLIT;
  if (p.split < 1) p.split = 1;
  return p;
}

static int64_t width_of(const reduce_plan *p) { return p->run ? 1 : WIDTH; }

size_t ln_cpu_reduce_workspace(const ln_cpu *cpu, const ln_call *call) {
  if (call->in[0].layout == LN_BLOCKED) return ln_cpu_channel_sum_workspace(cpu, call);
  const reduce_plan p = plan_of(&call->in[0].meta, call->attrs);
  return (size_t)(p.outer * p.pieces * p.split * width_of(&p)) * sizeof(double);
}

static int64_t offset_of(int64_t index, int n, const int64_t *dim, const int64_t *stride) {
  int64_t offset = 0;
  for (int d = 0; d < n; d++) {
    offset += index % dim[d] * stride[d];
    index /= dim[d];
  }
  return offset;
}

/* -- integers: the same two primitives, one set per type and op */

#define INTEGER(name, T, expr)                                            \
  static void name##_run_##T(void *acc, const void *vx, int64_t n) {      \
    int64_t a = *(int64_t *)acc;                                          \
    const T *x = vx;                                                      \
    for (int64_t i = 0; i < n; i++) { const int64_t v = x[i]; a = (expr); } \
    *(int64_t *)acc = a;                                                  \
  }                                                                       \
  static void name##_columns_##T(void *acc, const void *vx, int64_t n) {  \
    int64_t *to = acc;                                                    \
    const T *x = vx;                                                      \
    for (int64_t i = 0; i < n; i++) { const int64_t v = x[i], a = to[i]; to[i] = (expr); } \
  }
#define INTEGERS(T)                                           \
  INTEGER(sum, T, (int64_t)((uint64_t)a + (uint64_t)v))       \
  INTEGER(max, T, a > v ? a : v)                              \
  INTEGER(min, T, a < v ? a : v)
INTEGERS(uint8_t)
INTEGERS(int32_t)
INTEGERS(int64_t)

typedef enum reduction { SUM, MAX, MIN, REDUCTIONS } reduction;

typedef union accumulator { /* of floats, of integers */
  double f;
  int64_t i;
} accumulator;

typedef struct reduce_job {
  reduce_plan p;
  reduction kind;
  ln_dtype in, out;
  size_t size;
  const char *x;
  char *y;
  accumulator *partial;
  double divisor;         /* of a mean; else 1 */
  ln_run_fn run;
  ln_columns_fn columns;
} reduce_job;

#define INTEGER_FNS(T)                                                                \
  {{sum_run_##T, sum_columns_##T}, {max_run_##T, max_columns_##T}, {min_run_##T, min_columns_##T}}
typedef struct integer_fns {
  ln_run_fn run;
  ln_columns_fn columns;
} integer_fns;
static const integer_fns integer_table[3][REDUCTIONS] = {INTEGER_FNS(uint8_t), INTEGER_FNS(int32_t), INTEGER_FNS(int64_t)};

static void choose(reduce_job *j, const ln_cpu *cpu) {
  const ln_reduce_spans *s = cpu->spans->reduce;
  if (j->in == LN_F32) {
    j->run = j->kind == SUM ? s->sum_run : j->kind == MAX ? s->max_run : s->min_run;
    j->columns = j->kind == SUM ? s->sum_columns : j->kind == MAX ? s->max_columns : s->min_columns;
    return;
  }
  const integer_fns *f = &integer_table[j->in == LN_I64 ? 2 : j->in == LN_I32 ? 1 : 0][j->kind];
  j->run = f->run;
  j->columns = f->columns;
}

static void start(const reduce_job *j, accumulator *acc, int64_t n) {
  for (int64_t i = 0; i < n; i++) {
    if (j->in == LN_F32) acc[i].f = j->kind == SUM ? 0.0 : j->kind == MAX ? -INFINITY : INFINITY;
    else acc[i].i = j->kind == SUM ? 0 : j->kind == MAX ? INT64_MIN : INT64_MAX;
  }
}

static void unit_range(void *arg, int64_t begin, int64_t end) {
  const reduce_job *j = arg;
  const reduce_plan *p = &j->p;
  for (int64_t u = begin; u < end; u++) {
    const int64_t share = u % p->split, group = u / p->split;
    const int64_t piece = group % p->pieces, o = group / p->pieces;
    const int64_t from = piece * WIDTH;
    const int64_t columns = p->run ? 1 : p->inner - from < WIDTH ? p->inner - from : WIDTH;
    accumulator *acc = j->partial + u * width_of(p);
    const int64_t base = offset_of(o, p->nkept, p->kept, p->kept_stride);
    start(j, acc, columns);
    if (p->split_run) {
      const int64_t a = p->inner * share / p->split, b = p->inner * (share + 1) / p->split;
      j->run(acc, j->x + (base + a) * (int64_t)j->size, b - a);
      continue;
    }
    const int64_t last = p->lines * (share + 1) / p->split;
    for (int64_t line = p->lines * share / p->split; line < last; line++) {
      const char *at = j->x + (base + offset_of(line, p->nred, p->red, p->red_stride)) * (int64_t)j->size;
      if (p->run) j->run(acc, at, p->inner);
      else j->columns(acc, at + from * (int64_t)j->size, columns);
    }
  }
}

static void store(const reduce_job *j, int64_t index, accumulator acc) {
  switch (j->out) {
    case LN_F32: ((float *)(void *)j->y)[index] = (float)(acc.f / j->divisor); break;
    case LN_I64: ((int64_t *)(void *)j->y)[index] = acc.i; break;
    case LN_I32: ((int32_t *)(void *)j->y)[index] = (int32_t)acc.i; break;
    default: ((uint8_t *)j->y)[index] = (uint8_t)acc.i; break;
  }
}

/* a after b, two shares of one group. */
static accumulator combined(const reduce_job *j, accumulator a, accumulator b) {
  if (j->in != LN_F32) integer_table[2][j->kind].run(&a, &b, 1);
  else if (j->kind == SUM) a.f += b.f;
  else if (j->kind == MAX) a.f = (a.f > b.f) | (a.f != a.f) ? a.f : b.f;
  else a.f = (a.f < b.f) | (a.f != a.f) ? a.f : b.f;
  return a;
}

static void finish_range(void *arg, int64_t begin, int64_t end) {
  const reduce_job *j = arg;
  const reduce_plan *p = &j->p;
  const int64_t width = width_of(p);
  for (int64_t group = begin; group < end; group++) {
    const int64_t piece = group % p->pieces, o = group / p->pieces;
    const int64_t columns = p->run ? 1 : p->inner - piece * WIDTH < WIDTH ? p->inner - piece * WIDTH : WIDTH;
    const accumulator *partial = j->partial + group * p->split * width;
    for (int64_t i = 0; i < columns; i++) {
      accumulator acc = partial[i];
      for (int64_t s = 1; s < p->split; s++) acc = combined(j, acc, partial[s * width + i]);
      store(j, p->run ? o : o * p->inner + piece * WIDTH + i, acc);
    }
  }
}

static ln_code reduce(ln_cpu *cpu, ln_call *call, reduction kind, bool mean) {
  reduce_job j = {.p = plan_of(&call->in[0].meta, call->attrs), .kind = kind,
                  .in = call->in[0].meta.dtype, .out = call->out[0].meta.dtype,
                  .size = ln_dtype_size(call->in[0].meta.dtype), .x = call->in[0].data,
                  .y = call->out[0].data, .partial = call->workspace, .divisor = 1};
  if (call->out[0].numel == 0) return LN_OK;
  if (mean) j.divisor = (double)call->in[0].numel / (double)call->out[0].numel;
  choose(&j, cpu);
  const reduce_plan *p = &j.p;
  const int64_t groups = p->outer * p->pieces, units = groups * p->split;
  const int64_t cost = call->in[0].numel / units + 1;
  ln_cpu_for(cpu, units, LN_BLOCK / cost + 1, cost, unit_range, &j);
  const int64_t finish = p->split * width_of(p);
  ln_cpu_for(cpu, groups, LN_BLOCK / finish + 1, finish, finish_range, &j);
  return LN_OK;
}

ln_code ln_cpu_sum(ln_cpu *cpu, ln_call *call) {
  if (call->in[0].layout == LN_BLOCKED) return ln_cpu_channel_sum(cpu, call);
  return reduce(cpu, call, SUM, false);
}
ln_code ln_cpu_mean(ln_cpu *cpu, ln_call *call) { return reduce(cpu, call, SUM, true); }
ln_code ln_cpu_amax(ln_cpu *cpu, ln_call *call) { return reduce(cpu, call, MAX, false); }
ln_code ln_cpu_amin(ln_cpu *cpu, ln_call *call) { return reduce(cpu, call, MIN, false); }
