/* step.c: the guard, and the ops that write cells in a plan's commit. None of the
 * latter can fail.
 */
#include "iter.h"
#include "span.h"

#include <math.h>

/* -- check_finite */

typedef struct finite_job {
  const ln_spans *spans;
  const float *x;
  int64_t bad;
} finite_job;

static void finite_range(void *arg, int64_t begin, int64_t end) {
  finite_job *j = arg;
  const int64_t bad = j->spans->reduce->nonfinite(j->x + begin, end - begin);
  if (bad > 0) __atomic_fetch_add(&j->bad, bad, __ATOMIC_RELAXED);
}

ln_code ln_cpu_check_finite(ln_cpu *cpu, ln_call *call) {
  const int64_t n = call->in[0].numel;
  finite_job j = {.spans = cpu->spans, .x = call->in[0].data};
  ln_cpu_for(cpu, n, LN_BLOCK, 1, finite_range, &j);
  if (j.bad == 0) return LN_OK;
  if (n == 1) return ln_fail(call->err, LN_ENONFINITE, "the value is %s", isnan(j.x[0]) ? "NaN" : "infinite");
  int64_t nans = 0;
  for (int64_t i = 0; i < n; i++) nans += isnan(j.x[i]) != 0;
  char text[LN_SHAPE_TEXT];
  return ln_fail(call->err, LN_ENONFINITE, "%lld of %lld values are not finite (%lld NaN, %lld infinite, shape %s)",
                 (long long)j.bad, (long long)n, (long long)nans, (long long)(j.bad - nans),
                 ln_shape_text(&call->in[0].meta, text, sizeof text));
}

/* -- writes */

ln_code ln_cpu_assign(ln_cpu *cpu, ln_call *call) {
  ln_copy_dense(cpu, call->in[0].data, call->in[1].data, ln_nbytes(&call->in[0].meta));
  return LN_OK;
}

typedef struct lerp_job {
  const ln_spans *spans;
  float *dst;
  const float *src;
  float keep, weight;
} lerp_job;

static void lerp_range(void *arg, int64_t begin, int64_t end) {
  const lerp_job *j = arg;
  j->spans->map->blend(j->dst + begin, j->dst + begin, j->src + begin, end - begin, j->keep, j->weight);
}

ln_code ln_cpu_lerp_write(ln_cpu *cpu, ln_call *call) {
  const double weight = call->scalars->weight;
  lerp_job j = {cpu->spans, call->in[0].data, call->in[1].data, (float)(1.0 - weight), (float)weight};
  ln_cpu_for(cpu, call->in[0].numel, LN_BLOCK, 1, lerp_range, &j);
  return LN_OK;
}

typedef struct step_job {
  const ln_spans *spans;
  ln_step s;
  bool nesterov;
  float *param, *first, *second;
  const float *grad;
} step_job;

ln_code ln_cpu_batch_norm_update(ln_cpu *cpu, ln_call *call) {
  (void)cpu;
  float *mean = call->in[0].data, *var = call->in[1].data;
  const float *batch_mean = call->in[2].data, *batch_var = call->in[3].data;
  const double weight = call->scalars->weight, count = (double)call->attrs->size[0];
  for (int64_t c = 0; c < call->in[0].numel; c++) {
    const double unbiased = (double)batch_var[c] * (count / (count - 1.0));
    mean[c] = (float)((1.0 - weight) * (double)mean[c] + weight * (double)batch_mean[c]);
    var[c] = (float)((1.0 - weight) * (double)var[c] + weight * unbiased);
  }
  return LN_OK;
}

/* The work is cut into blocks across all tensors of the group; block k goes to thread k modulo the
 * threads, which needs no table. Elements do not depend on each other. */
typedef struct group_job {
  const ln_cpu *cpu;
  ln_call *const *call;
  int n;
  ln_cpu_body body;
  step_job (*job)(const ln_cpu *cpu, const ln_call *call);
} group_job;

static void group_part(const group_job *g, int64_t thread, int64_t threads) {
  int64_t block = 0;
  for (int i = 0; i < g->n; i++) {
    step_job j = g->job(g->cpu, g->call[i]);
    const int64_t n = g->call[i]->in[0].numel;
    for (int64_t begin = 0; begin < n; begin += LN_BLOCK, block++)
      if (block % threads == thread) g->body(&j, begin, begin + LN_BLOCK < n ? begin + LN_BLOCK : n);
  }
}

static void run_group(const group_job *g) {
  int64_t all = 0;
  for (int i = 0; i < g->n; i++) all += g->call[i]->in[0].numel;
  const int threads = all < LN_CPU_SERIAL ? 1 : g->cpu->threads;
#pragma omp parallel for num_threads(threads) schedule(static, 1) if (threads > 1)
  for (int t = 0; t < threads; t++) group_part(g, t, threads);
}

static void sgd_range(void *arg, int64_t begin, int64_t end) {
  const step_job *j = arg;
  j->spans->step->sgd(j->param + begin, j->grad + begin, j->first ? j->first + begin : NULL, end - begin, &j->s, j->nesterov);
}

static step_job sgd_job(const ln_cpu *cpu, const ln_call *call) {
  const ln_scalars *k = call->scalars;
  return (step_job){.spans = cpu->spans, .nesterov = call->attrs->nesterov,
                    .s = {.l2 = (float)k->weight_decay, .step = (float)k->lr, .momentum = (float)k->momentum,
                          .dampc = (float)(1.0 - k->dampening)},
                    .param = call->in[0].data, .grad = call->in[1].data, .first = call->in[2].data};
}

static void adam_range(void *arg, int64_t begin, int64_t end) {
  const step_job *j = arg;
  j->spans->step->adam(j->param + begin, j->grad + begin, j->first + begin, j->second + begin, end - begin, &j->s);
}

static step_job adam_job(const ln_cpu *cpu, const ln_call *call) {
  const ln_scalars *k = call->scalars;
  const bool decoupled = call->attrs->decoupled;
  return (step_job){.spans = cpu->spans,
                    .s = {.decay = decoupled ? (float)(1.0 - k->lr * k->weight_decay) : 1.0f,
                          .l2 = decoupled ? 0.0f : (float)k->weight_decay, .beta1c = (float)(1.0 - k->beta1),
                          .beta2 = (float)k->beta2, .beta2c = (float)(1.0 - k->beta2),
                          .step = (float)(k->lr / k->bias1), .root_bias2 = (float)sqrt(k->bias2),
                          .eps = (float)k->adam_eps},
                    .param = call->in[0].data, .grad = call->in[1].data,
                    .first = call->in[2].data, .second = call->in[3].data};
}

ln_code ln_cpu_step_group(ln_cpu *cpu, ln_call *const *call, int n) {
  const bool adam = call[0]->op == LN_OP_adam_step;
  const group_job g = {cpu, call, n, adam ? adam_range : sgd_range, adam ? adam_job : sgd_job};
  run_group(&g);
  return LN_OK;
}

ln_code ln_cpu_sgd_step(ln_cpu *cpu, ln_call *call) { return ln_cpu_step_group(cpu, &call, 1); }

ln_code ln_cpu_adam_step(ln_cpu *cpu, ln_call *call) { return ln_cpu_step_group(cpu, &call, 1); }
