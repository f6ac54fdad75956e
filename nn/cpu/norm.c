/* norm.c: statistics per channel, batch normalisation by the batch's own and by given ones, also
 * with ReLU behind it.
 */
#include "layer_kern.h"
#include "norm.h"
#include "workspace.h"

#include <math.h>

typedef struct norm_job {
  const ln_spans *spans;
  const ln_norm_kerns *kerns; /* blocked; NULL: plain */
  ln_planes planes;
  ln_images x, y;
  const float *w, *b;   /* NULL: 1 and 0 */
  float *mean, *var;
  double eps;
  bool relu, apply;     /* apply: constants are wanted */
  ln_norm_constants constants;
  ln_moments *moments;  /* `width` of each piece */
} norm_job;

static ln_planes planes_of(const ln_cpu *cpu, const ln_arg *x) { return ln_planes_of(cpu, x, LN_NORM_PIECE); }

size_t ln_cpu_norm_workspace(const ln_cpu *cpu, const ln_call *call) {
  const ln_planes p = planes_of(cpu, &call->in[0]);
  const bool statistics = call->op == LN_OP_batch_norm || call->op == LN_OP_moments;
  const size_t moments = (size_t)(ln_piece_count(&p) * p.width) * sizeof(ln_moments);
  return ln_norm_constants_bytes(&p) + (statistics ? moments : 0);
}

/* j->planes and the workspace's parts; the job must stay where it is. */
static void open_job(norm_job *j, const ln_cpu *cpu, const ln_call *call) {
  j->spans = cpu->spans;
  j->kerns = call->in[0].layout == LN_BLOCKED ? cpu->kerns->layer[ln_is_bf16(&call->in[0])]->norm : NULL;
  j->planes = planes_of(cpu, &call->in[0]);
  j->x = ln_images_of(&call->in[0]);
  j->eps = call->attrs->eps;
  j->constants = (ln_norm_constants){&j->planes, call->workspace};
  j->moments = (void *)((char *)call->workspace + ln_norm_constants_bytes(&j->planes));
}

/* -- constants */

double ln_norm_rstd(float var, double eps) { return 1.0 / sqrt((double)var + eps); }

void ln_norm_set(const ln_norm_constants *k, const float *mean, const float *var, const float *w, const float *b,
                 double eps, int64_t channel) {
  const int64_t plane = channel / k->planes->width, lane = channel % k->planes->width;
  ln_norm_constant(k, plane, LN_NORM_MEAN)[lane] = mean[channel];
  ln_norm_constant(k, plane, LN_NORM_FACTOR)[lane] =
      (float)((w ? (double)w[channel] : 1.0) * ln_norm_rstd(var[channel], eps));
  ln_norm_constant(k, plane, LN_NORM_SHIFT)[lane] = b ? b[channel] : 0.0f;
}

typedef struct given {
  const ln_norm_constants *k;
  const float *mean, *var, *w, *b;
  double eps;
} given;

static void set_range(void *arg, int64_t begin, int64_t end) {
  const given *g = arg;
  const int64_t width = g->k->planes->width;
  for (int64_t c = begin * width; c < end * width; c++) ln_norm_set(g->k, g->mean, g->var, g->w, g->b, g->eps, c);
}

void ln_norm_set_all(ln_cpu *cpu, const ln_norm_constants *k, const float *mean, const float *var, const float *w, const float *b,
                     double eps) {
  given g = {k, mean, var, w, b, eps};
  ln_for_planes(cpu, k->planes, set_range, &g);
}

/* -- statistics */

static void moments_range(void *arg, int64_t begin, int64_t end) {
  const norm_job *j = arg;
  for (int64_t u = begin; u < end; u++) {
    const ln_piece p = ln_piece_at(&j->planes, u);
    const void *x = ln_piece_data(&j->planes, &p, j->x);
    ln_moments *m = j->moments + u * j->planes.width;
    *m = (ln_moments){0};
    if (j->kerns) j->kerns->moments(m, x, p.length);
    else j->spans->reduce->moments(m, x, p.length);
  }
}

static void merge_range(void *arg, int64_t begin, int64_t end) {
  const norm_job *j = arg;
  const ln_planes *p = &j->planes;
  for (int64_t c = begin * p->width; c < end * p->width; c++) {
    const int64_t plane = c / p->width, lane = c % p->width;
    ln_moments m = {0};
    for (int64_t n = 0; n < p->n; n++)
      for (int64_t k = 0; k < p->pieces; k++)
        ln_moments_merge(&m, &j->moments[((n * p->planes + plane) * p->pieces + k) * p->width + lane]);
    j->mean[c] = (float)m.mean;
    j->var[c] = (float)(m.m2 / m.count);
    if (j->apply) ln_norm_set(&j->constants, j->mean, j->var, j->w, j->b, j->eps, c);
  }
}

static void measure(ln_cpu *cpu, norm_job *j) {
  ln_for_pieces(cpu, &j->planes, moments_range, j);
  ln_for_planes(cpu, &j->planes, merge_range, j);
}

ln_code ln_cpu_moments(ln_cpu *cpu, ln_call *call) {
  norm_job j = {.mean = call->out[0].data, .var = call->out[1].data};
  open_job(&j, cpu, call);
  measure(cpu, &j);
  return LN_OK;
}

/* -- applying them */

/* ReLU follows while a part of the row is in the first-level cache. */
static void apply_plain(const norm_job *j, float *y, const float *x, int64_t n, int64_t channel) {
  const float mean = ln_norm_constant(&j->constants, channel, LN_NORM_MEAN)[0];
  const float factor = ln_norm_constant(&j->constants, channel, LN_NORM_FACTOR)[0];
  const float shift = ln_norm_constant(&j->constants, channel, LN_NORM_SHIFT)[0];
  enum { PART = 2048 };
  for (int64_t i = 0; i < n; i += PART) {
    const int64_t count = n - i < PART ? n - i : PART;
    j->spans->layer->normalize(y + i, x + i, count, mean, factor, shift);
    if (j->relu) j->spans->map->unary[LN_OP_relu](y + i, y + i, count, 0, 0);
  }
}

static void apply_range(void *arg, int64_t begin, int64_t end) {
  const norm_job *j = arg;
  for (int64_t u = begin; u < end; u++) {
    const ln_piece p = ln_piece_at(&j->planes, u);
    void *y = ln_piece_data(&j->planes, &p, j->y);
    const void *x = ln_piece_data(&j->planes, &p, j->x);
    if (j->kerns) j->kerns->normalize(y, x, p.length, ln_norm_constant(&j->constants, p.plane, 0), j->relu);
    else apply_plain(j, y, x, p.length, p.plane);
  }
}

ln_code ln_cpu_batch_norm(ln_cpu *cpu, ln_call *call) {
  norm_job j = {.w = call->in[1].data, .b = call->in[2].data, .y = ln_images_of(&call->out[0]),
                .mean = call->out[1].data, .var = call->out[2].data, .apply = true};
  open_job(&j, cpu, call);
  measure(cpu, &j);
  ln_for_pieces(cpu, &j.planes, apply_range, &j);
  return LN_OK;
}

static ln_code by_given(ln_cpu *cpu, ln_call *call, bool relu) {
  norm_job j = {.mean = call->in[1].data, .var = call->in[2].data, .w = call->in[3].data, .b = call->in[4].data,
                .y = ln_images_of(&call->out[0]), .relu = relu};
  open_job(&j, cpu, call);
  ln_norm_set_all(cpu, &j.constants, j.mean, j.var, j.w, j.b, j.eps);
  ln_for_pieces(cpu, &j.planes, apply_range, &j);
  return LN_OK;
}

ln_code ln_cpu_batch_norm_eval(ln_cpu *cpu, ln_call *call) { return by_given(cpu, call, false); }
ln_code ln_cpu_norm_relu(ln_cpu *cpu, ln_call *call) { return by_given(cpu, call, true); }
