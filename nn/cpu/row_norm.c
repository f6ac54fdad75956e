/* row_norm.c: row_norm (layer, group and instance norm are made of it), softmax, log_softmax and
 * their gradients.
 */
#include "iter.h"
#include "span.h"

#include <math.h>

typedef struct row_job {
  const ln_spans *spans;
  int64_t k;
  double eps;
  const float *x, *gy, *y;
  float *out, *mean, *rstd;
} row_job;

static void norm_range(void *arg, int64_t begin, int64_t end) {
  const row_job *j = arg;
  for (int64_t r = begin; r < end; r++) {
    ln_moments m = {0};
    const float *x = j->x + r * j->k;
    j->spans->reduce->moments(&m, x, j->k);
    const double rstd = 1.0 / sqrt(m.m2 / m.count + j->eps);
    j->mean[r] = (float)m.mean;
    j->rstd[r] = (float)rstd;
    j->spans->layer->normalize(j->out + r * j->k, x, j->k, (float)m.mean, (float)rstd, 0.0f);
  }
}

ln_code ln_cpu_row_norm(ln_cpu *cpu, ln_call *call) {
  row_job j = {.spans = cpu->spans, .k = call->in[0].meta.dim[1], .eps = call->attrs->eps, .x = call->in[0].data,
               .out = call->out[0].data, .mean = call->out[1].data, .rstd = call->out[2].data};
  ln_cpu_for(cpu, call->in[0].meta.dim[0], LN_BLOCK / j.k + 1, j.k, norm_range, &j);
  return LN_OK;
}

/* gx = rstd (gy - mean gy - y mean (gy y)) */
static void norm_grad_range(void *arg, int64_t begin, int64_t end) {
  const row_job *j = arg;
  for (int64_t r = begin; r < end; r++) {
    const float *gy = j->gy + r * j->k, *y = j->y + r * j->k;
    double sums[2] = {0, 0};
    j->spans->reduce->dots(sums, gy, y, j->k, 0.0f);
    j->spans->layer->normalize_grad(j->out + r * j->k, gy, y, j->k, 0.0f, j->rstd[r],
                                    (float)(sums[0] / (double)j->k), (float)(sums[1] / (double)j->k));
  }
}

ln_code ln_cpu_row_norm_grad(ln_cpu *cpu, ln_call *call) {
  row_job j = {.spans = cpu->spans, .k = call->in[0].meta.dim[1], .gy = call->in[0].data,
               .y = call->in[1].data, .rstd = call->in[2].data, .out = call->out[0].data};
  ln_cpu_for(cpu, call->in[0].meta.dim[0], LN_BLOCK / j.k + 1, j.k, norm_grad_range, &j);
  return LN_OK;
}

/* -- softmax along a dim: rows when it is the innermost, else neighbouring columns */

typedef struct softmax_job {
  const ln_layer_spans *spans;
  const float *a, *b; /* x; or gy and y */
  float *to;
  int64_t d, inner, pieces;
  bool log;
} softmax_job;

static void softmax_range(void *arg, int64_t begin, int64_t end) {
  const softmax_job *j = arg;
  for (int64_t u = begin; u < end; u++) {
    const int64_t from = u % j->pieces * LN_COLUMNS, at = u / j->pieces * j->d * j->inner + from;
    const int64_t n = j->inner - from < LN_COLUMNS ? j->inner - from : LN_COLUMNS;
    if (j->b && j->inner == 1) j->spans->softmax_grad_row(j->to + at, j->a + at, j->b + at, j->d, j->log);
    else if (j->b) j->spans->softmax_grad_columns(j->to + at, j->a + at, j->b + at, j->d, j->inner, n, j->log);
    else if (j->inner == 1) j->spans->softmax_row(j->to + at, j->a + at, j->d, j->log);
    else j->spans->softmax_columns(j->to + at, j->a + at, j->d, j->inner, n, j->log);
  }
}

static ln_code run_softmax(ln_cpu *cpu, ln_call *call, bool grad, bool log) {
  const ln_meta *x = &call->in[0].meta;
  if (call->in[0].numel == 0) return LN_OK;
  softmax_job j = {.spans = cpu->spans->layer, .a = call->in[0].data, .b = grad ? call->in[1].data : NULL,
                   .to = call->out[0].data, .d = x->dim[call->attrs->dim], .inner = 1, .log = log};
  for (int i = call->attrs->dim + 1; i < x->rank; i++) j.inner *= x->dim[i];
  j.pieces = (j.inner + LN_COLUMNS - 1) / LN_COLUMNS;
  const int64_t units = call->in[0].numel / (j.d * j.inner) * j.pieces, cost = call->in[0].numel / units;
  ln_cpu_for(cpu, units, LN_BLOCK / cost + 1, cost, softmax_range, &j);
  return LN_OK;
}

ln_code ln_cpu_softmax(ln_cpu *cpu, ln_call *call) { return run_softmax(cpu, call, false, false); }
ln_code ln_cpu_log_softmax(ln_cpu *cpu, ln_call *call) { return run_softmax(cpu, call, false, true); }
ln_code ln_cpu_softmax_grad(ln_cpu *cpu, ln_call *call) { return run_softmax(cpu, call, true, false); }
ln_code ln_cpu_log_softmax_grad(ln_cpu *cpu, ln_call *call) { return run_softmax(cpu, call, true, true); }
