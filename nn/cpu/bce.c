/* bce.c: binary cross-entropy of probabilities and of logits, and the gradients. All arguments are plain
 * (layouts.c has no rule for these ops), so an element has one position in all of them.
 *
 * What is fused with a sigmoid runs the same loops one after the other while a block is in the cache: their
 * arithmetic is the limit, and so the bits are those of the separate ops.
 */
#include <math.h>
#include <stdatomic.h>

#include "span.h"

enum { BLOCK = 2048 }; /* elements: four arguments of so many fit into the first cache */

/* -- the losses */

typedef struct loss_job {
  const ln_map_spans *spans;
  ln_map_fn loss;
  float *y, *p;       /* p: the probabilities, where they are made here */
  const float *x, *t; /* x: logits or probabilities */
  atomic_bool outside;
} loss_job;

static loss_job loss_of(const ln_cpu *cpu, const ln_call *call, ln_op op) {
  return (loss_job){.spans = cpu->spans->map, .loss = cpu->spans->map->map[op], .y = call->out[0].data,
                    .x = call->in[0].data, .t = call->in[1].data};
}

static void logits_range(void *arg, int64_t begin, int64_t end) {
  const loss_job *j = arg;
  j->loss(j->y + begin, j->x + begin, j->t + begin, NULL, end - begin, 0);
}

ln_code ln_cpu_bce_with_logits(ln_cpu *cpu, ln_call *call) {
  loss_job j = loss_of(cpu, call, LN_OP_bce_with_logits);
  ln_cpu_for(cpu, call->out[0].numel, BLOCK, 8, logits_range, &j);
  return LN_OK;
}

/* Predictions outside 0..1 are named before their NaN spreads. Beside two logarithms an element the comparison
 * costs nothing: the block is in the cache. */
static void bce_range(void *arg, int64_t begin, int64_t end) {
  loss_job *j = arg;
  int outside = 0;
  for (int64_t i = begin; i < end; i++) outside |= (j->x[i] < 0) | (j->x[i] > 1);
  if (outside) atomic_store_explicit(&j->outside, true, memory_order_relaxed);
  logits_range(arg, begin, end);
}

static ln_code report_outside(const ln_call *call) {
  const float *p = call->in[0].data;
  double low = INFINITY, high = -INFINITY;
  for (int64_t i = 0; i < call->in[0].numel; i++) {
    if (p[i] < low) low = p[i];
    if (p[i] > high) high = p[i];
  }
  return ln_fail(call->err, LN_EINVAL, "predictions must lie in 0..1, and these are from %g to %g; end the net with"
                 " a sigmoid, or use BCEWithLogitsLoss", low, high);
}

ln_code ln_cpu_bce(ln_cpu *cpu, ln_call *call) {
  loss_job j = loss_of(cpu, call, LN_OP_bce);
  ln_cpu_for(cpu, call->out[0].numel, BLOCK, 8, bce_range, &j);
  return atomic_load(&j.outside) ? report_outside(call) : LN_OK;
}

static void sigmoid_range(void *arg, int64_t begin, int64_t end) {
  const loss_job *j = arg;
  j->spans->unary[LN_OP_sigmoid](j->p + begin, j->x + begin, end - begin, 0, 0);
  j->loss(j->y + begin, j->p + begin, j->t + begin, NULL, end - begin, 0);
}

/* The probabilities may be wanted by nobody: then they stand where the loss will. */
ln_code ln_cpu_sigmoid_bce(ln_cpu *cpu, ln_call *call) {
  loss_job j = loss_of(cpu, call, LN_OP_bce);
  j.p = call->out[1].data != NULL ? call->out[1].data : j.y;
  ln_cpu_for(cpu, call->out[0].numel, BLOCK, 12, sigmoid_range, &j);
  return LN_OK;
}

/* -- the gradients */

typedef struct gradient_job {
  const ln_map_spans *spans;
  ln_map_fn gradient;
  float *gx;
  const float *gy, *x, *t; /* gy NULL: `one` for all */
  float one;
  bool sigmoid;            /* and back through the sigmoid that x comes from */
} gradient_job;

static void gradient_range(void *arg, int64_t begin, int64_t end) {
  const gradient_job *j = arg;
  const int64_t n = end - begin;
  float *gx = j->gx + begin;
  j->gradient(gx, j->gy == NULL ? NULL : j->gy + begin, j->x + begin, j->t + begin, n, j->one);
  if (j->sigmoid) j->spans->map[LN_OP_sigmoid_grad](gx, gx, j->x + begin, NULL, n, 0);
}

static ln_code gradient(ln_cpu *cpu, ln_call *call, ln_op op, bool sigmoid, int64_t cost) {
  const ln_map_spans *spans = cpu->spans->map;
  gradient_job j = {.spans = spans, .gradient = spans->map[op], .gx = call->out[0].data, .gy = call->in[0].data,
                    .x = call->in[1].data, .t = call->in[2].data, .sigmoid = sigmoid};
  if (call->in[0].numel == 1 && call->out[0].numel > 0) {
    j.gradient = spans->map_of_one[op];
    j.one = *j.gy;
    j.gy = NULL;
  }
  ln_cpu_for(cpu, call->out[0].numel, BLOCK, cost, gradient_range, &j);
  return LN_OK;
}

ln_code ln_cpu_bce_grad(ln_cpu *cpu, ln_call *call) { return gradient(cpu, call, LN_OP_bce_grad, false, 2); }

ln_code ln_cpu_bce_with_logits_grad(ln_cpu *cpu, ln_call *call) {
  return gradient(cpu, call, LN_OP_bce_with_logits_grad, false, 4);
}

ln_code ln_cpu_sigmoid_bce_grad(ln_cpu *cpu, ln_call *call) { return gradient(cpu, call, LN_OP_bce_grad, true, 3); }
