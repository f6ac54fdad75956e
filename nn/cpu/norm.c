/* norm.c: batch normalisation, training and evaluation, and its gradient.
 *
 * x is [N, C, S]. Units are pieces of at most PIECE elements of one (n, c) plane, in memory
 * order. A first pass leaves each unit's statistics in the workspace, they are combined
 * per channel in order, a second pass applies them.
 */
#include "iter.h"
#include "span.h"
#include "workspace.h"

#include <math.h>

enum { PIECE = 32768 };

typedef struct norm_job {
  const ln_spans *spans;
  int64_t n, c, s, pieces, piece; /* piece: elements of one, the last may be shorter */
  const float *x, *gy;
  float *y;                       /* or gx */
  const float *w, *b;             /* NULL: 1 and 0 */
  float *mean, *var, *gw, *gb;
  double eps;
  ln_moments *moments;            /* per unit */
  double (*dots)[2];              /* per unit */
  float (*apply)[4];              /* per channel: mean, factor, shift or c1, c2 */
} norm_job;

static norm_job job_of(const ln_cpu *cpu, const ln_call *call, const ln_meta *x) {
  norm_job j = {.spans = cpu->spans, .n = x->dim[0], .c = x->dim[1], .s = 1, .eps = call->attrs->eps};
  for (int d = 2; d < x->rank; d++) j.s *= x->dim[d];
  j.pieces = j.s == 0 ? 0 : (j.s + PIECE - 1) / PIECE;
  j.piece = j.pieces == 0 ? 0 : (j.s + j.pieces - 1) / j.pieces;
  return j;
}

static size_t apply_bytes(const norm_job *j) { return ln_cpu_align((size_t)j->c * sizeof *j->apply); }

size_t ln_cpu_norm_workspace(const ln_cpu *cpu, const ln_call *call) {
  const norm_job j = job_of(cpu, call, &call->out[0].meta);
  return apply_bytes(&j) + (size_t)(j.n * j.c * j.pieces) * sizeof(ln_moments);
}

/* Unit u as its place, length and channel. */
static int64_t unit_at(const norm_job *j, int64_t u, int64_t *length, int64_t *channel) {
  const int64_t plane = u / j->pieces, from = u % j->pieces * j->piece;
  *length = j->s - from < j->piece ? j->s - from : j->piece;
  *channel = plane % j->c;
  return plane * j->s + from;
}

static void over_units(ln_cpu *cpu, norm_job *j, ln_cpu_body body) {
  ln_cpu_for(cpu, j->n * j->c * j->pieces, LN_BLOCK / (j->piece + 1) + 1, j->piece, body, j);
}

static void over_channels(ln_cpu *cpu, norm_job *j, ln_cpu_body body) {
  const int64_t cost = 8 * j->n * j->pieces + 16;
  ln_cpu_for(cpu, j->c, LN_BLOCK / cost + 1, cost, body, j);
}

/* -- forward */

static void moments_range(void *arg, int64_t begin, int64_t end) {
  const norm_job *j = arg;
  for (int64_t u = begin; u < end; u++) {
    int64_t length, c;
    const int64_t at = unit_at(j, u, &length, &c);
    j->moments[u] = (ln_moments){0};
    j->spans->reduce->moments(&j->moments[u], j->x + at, length);
  }
}

static void set_apply(const norm_job *j, int64_t c, double mean, double var) {
  const double rstd = 1.0 / sqrt(var + j->eps);
  j->apply[c][0] = (float)mean;
  j->apply[c][1] = (float)((j->w ? (double)j->w[c] : 1.0) * rstd);
  j->apply[c][2] = j->b ? j->b[c] : 0.0f;
}

static void merge_range(void *arg, int64_t begin, int64_t end) {
  const norm_job *j = arg;
  for (int64_t c = begin; c < end; c++) {
    ln_moments m = {0};
    for (int64_t n = 0; n < j->n; n++)
      for (int64_t p = 0; p < j->pieces; p++) ln_moments_merge(&m, &j->moments[(n * j->c + c) * j->pieces + p]);
    const double var = m.m2 / m.count;
    j->mean[c] = (float)m.mean;
    j->var[c] = (float)var;
    set_apply(j, c, m.mean, var);
  }
}

static void apply_range(void *arg, int64_t begin, int64_t end) {
  const norm_job *j = arg;
  for (int64_t u = begin; u < end; u++) {
    int64_t length, c;
    const int64_t at = unit_at(j, u, &length, &c);
    const float *k = j->apply[c];
    j->spans->layer->normalize(j->y + at, j->x + at, length, k[0], k[1], k[2]);
  }
}

ln_code ln_cpu_batch_norm(ln_cpu *cpu, ln_call *call) {
  norm_job j = job_of(cpu, call, &call->out[0].meta);
  j.x = call->in[0].data, j.w = call->in[1].data, j.b = call->in[2].data;
  j.y = call->out[0].data, j.mean = call->out[1].data, j.var = call->out[2].data;
  j.apply = call->workspace;
  j.moments = (ln_moments *)(void *)((char *)call->workspace + apply_bytes(&j));
  over_units(cpu, &j, moments_range);
  over_channels(cpu, &j, merge_range);
  over_units(cpu, &j, apply_range);
  return LN_OK;
}

/* The factors are computed where they are used: a unit is long against a square root. */
static void eval_range(void *arg, int64_t begin, int64_t end) {
  const norm_job *j = arg;
  for (int64_t u = begin; u < end; u++) {
    int64_t length, c;
    const int64_t at = unit_at(j, u, &length, &c);
    const double rstd = 1.0 / sqrt((double)j->var[c] + j->eps);
    const float factor = (float)((j->w ? (double)j->w[c] : 1.0) * rstd);
    j->spans->layer->normalize(j->y + at, j->x + at, length, j->mean[c], factor, j->b ? j->b[c] : 0.0f);
  }
}

ln_code ln_cpu_batch_norm_eval(ln_cpu *cpu, ln_call *call) {
  norm_job j = job_of(cpu, call, &call->out[0].meta);
  j.x = call->in[0].data, j.mean = call->in[1].data, j.var = call->in[2].data;
  j.w = call->in[3].data, j.b = call->in[4].data, j.y = call->out[0].data;
  over_units(cpu, &j, eval_range);
  return LN_OK;
}

/* -- gradient: gx = w rstd (gy - sum gy / m - (x - mean) rstd^2 sum (gy (x - mean)) / m) */

static void dots_range(void *arg, int64_t begin, int64_t end) {
  const norm_job *j = arg;
  for (int64_t u = begin; u < end; u++) {
    int64_t length, c;
    const int64_t at = unit_at(j, u, &length, &c);
    j->dots[u][0] = j->dots[u][1] = 0;
    j->spans->reduce->dots(j->dots[u], j->gy + at, j->x + at, length, j->mean[c]);
  }
}

static void merge_grad_range(void *arg, int64_t begin, int64_t end) {
  const norm_job *j = arg;
  const double count = (double)(j->n * j->s);
  for (int64_t c = begin; c < end; c++) {
    double sum = 0, dot = 0;
    for (int64_t n = 0; n < j->n; n++) {
      for (int64_t p = 0; p < j->pieces; p++) {
        const double *unit = j->dots[(n * j->c + c) * j->pieces + p];
        sum += unit[0], dot += unit[1];
      }
    }
    const double rstd = 1.0 / sqrt((double)j->var[c] + j->eps);
    j->gw[c] = (float)(dot * rstd);
    j->gb[c] = (float)sum;
    j->apply[c][0] = j->mean[c];
    j->apply[c][1] = (float)((j->w ? (double)j->w[c] : 1.0) * rstd);
    j->apply[c][2] = (float)(sum / count);
    j->apply[c][3] = (float)(dot * rstd * rstd / count);
  }
}

static void apply_grad_range(void *arg, int64_t begin, int64_t end) {
  const norm_job *j = arg;
  for (int64_t u = begin; u < end; u++) {
    int64_t length, c;
    const int64_t at = unit_at(j, u, &length, &c);
    const float *k = j->apply[c];
    j->spans->layer->normalize_grad(j->y + at, j->gy + at, j->x + at, length, k[0], k[1], k[2], k[3]);
  }
}

ln_code ln_cpu_batch_norm_grad(ln_cpu *cpu, ln_call *call) {
  norm_job j = job_of(cpu, call, &call->out[0].meta);
  j.gy = call->in[0].data, j.x = call->in[1].data, j.w = call->in[2].data;
  j.mean = call->in[3].data, j.var = call->in[4].data;
  j.y = call->out[0].data, j.gw = call->out[1].data, j.gb = call->out[2].data;
  j.apply = call->workspace;
  j.dots = (double(*)[2])(void *)((char *)call->workspace + apply_bytes(&j));
  over_units(cpu, &j, dots_range);
  over_channels(cpu, &j, merge_grad_range);
  over_units(cpu, &j, apply_grad_range);
  return LN_OK;
}
