/* precision.c: --precision bf16, which is mixed precision: which values are rounded, and where.
 *
 * An activation is an f32 value of rank 3 to 5 whose channels are a multiple of 16, made by an op marked
 * LN_LOW: the outputs of convolutions, norms, pooling, ReLU and so on, and their gradients. It is rounded
 * to bfloat16 (halves to even) as it is made; so are the weights that a convolution reads. Sums,
 * statistics, losses, weight gradients, parameters and optimizer state are f32, and thin ends (images,
 * logits) too. These points are a matter of ops and shapes alone, decided before any fusion, and are the same
 * on every machine; so what an activation is rounded to does not depend on what can multiply it fastest.
 *
 * `precision` marks slots before anything is fused. `layout` stores them as bf16 where the backend's kernels do, which
 * then round what they write and the weights they read. `round` puts in the rounding for the other steps. (A batch
 * norm that is folded into a convolution under no_grad: it is the folded weights that are rounded, where they are.)
 */
#include "../graph/internal.h"
#include "draft.h"

enum { MULTIPLE = 16 };

static bool is_activation(const ln_meta *m) {
  return m->dtype == LN_F32 && m->rank >= 3 && m->dim[1] > 0 && m->dim[1] % MULTIPLE == 0;
}

void ln_pass_precision(ln_draft *d) {
  if (!d->ctx->options.kernel.low) return;
  for (int p = 0; p < d->nstep; p++) {
    const ln_draft_step *s = d->step[p];
    if ((ln_op_get(s->op)->flags & LN_LOW) != 0 && s->out[0] >= 0)
      d->slot[s->out[0]].low = is_activation(&d->slot[s->out[0]].meta);
  }
}

static bool is_exact(const ln_draft *d, const ln_draft_step *s) {
  if ((ln_op_get(s->op)->flags & LN_EXACT) == 0) return false;
  for (int i = 0; i < s->nin; i++)
    if (s->in[i] >= 0 && d->slot[s->in[i]].meta.rank >= 3 && !d->slot[s->in[i]].low) return false;
  return true;
}

/* The step writes to a new slot, from which the old one is rounded. */
static void round_output(ln_draft *d, int at) {
  int y = d->step[at]->out[0], raw = ln_draft_new_slot(d, &d->slot[y].meta, d->slot[y].layout);
  ln_draft_step *s = ln_draft_insert(d, at + 1, d->step[at], LN_OP_round_bf16, 1, 1);
  if (s == NULL) return;
  d->step[at]->out[0] = raw;
  s->in[0] = raw;
  s->out[0] = y;
}

/* Is its output rounded, but not by itself? */
static bool wants_round(const ln_draft *d, const ln_draft_step *s) {
  return s->nout > 0 && s->out[0] >= 0 && d->slot[s->out[0]].low && d->slot[s->out[0]].meta.dtype == LN_F32 && s->op != LN_OP_reorder;
}

/* Convolutions other than weight gradients read weights as input 2. */
static bool reads_weights(const ln_draft_step *s) {
  switch (s->op) {
  case LN_OP_conv: case LN_OP_conv_relu: case LN_OP_conv_moments: case LN_OP_conv_masked: case LN_OP_conv_transpose:
  case LN_OP_conv_input_grad: case LN_OP_conv_input_grad_masked:
    return true;
  default: return false;
  }
}

static void round_weights(ln_draft *d, int at) {
  int w = d->step[at]->in[1], rounded = ln_draft_new_slot(d, &d->slot[w].meta, LN_PLAIN);
  ln_draft_step *s = ln_draft_insert(d, at, d->step[at], LN_OP_round_bf16, 1, 1);
  if (s == NULL) return;
  s->in[0] = w;
  s->out[0] = rounded;
  d->step[at + 1]->in[1] = rounded;
}

/* Statistics that a convolution makes of its output would be those before the rounding: they become
 * a step of their own again, behind it. */
static void split_statistics(ln_draft *d, int at) {
  const ln_draft_step *s = d->step[at];
  const bool moments = s->op == LN_OP_conv_moments, backward = s->op == LN_OP_conv_input_grad_masked;
  if (!moments && !backward && s->op != LN_OP_conv_masked) return;
  const int x = s->in[0], w = s->in[1], third = s->in[2], y = s->out[0], first = s->out[1], second = moments ? s->out[2] : -1;
  const int g = moments ? y : ln_draft_new_slot(d, &d->slot[y].meta, d->slot[y].layout);
  ln_draft_step *behind = ln_draft_insert(d, at + 1, s, moments ? LN_OP_moments : LN_OP_relu_grad_sum, moments ? 1 : 2, 2);
  const int in[3] = {x, w, moments ? third : -1}; /* the bias */
  ln_draft_step *conv = ln_draft_replace(d, at, backward ? LN_OP_conv_input_grad : LN_OP_conv, backward ? 2 : 3, in, 1, &g);
  if (behind == NULL || conv == NULL) return;
  d->slot[g].low = true;
  if (!moments) behind->in[1] = third; /* the mask */
  behind->in[0] = g;
  behind->out[0] = moments ? first : y;
  behind->out[1] = moments ? second : first;
}

void ln_pass_round(ln_draft *d) {
  for (int p = 0; p < d->nstep && !d->failed; p++) {
    if (!wants_round(d, d->step[p])) continue;
    split_statistics(d, p);
    if (reads_weights(d->step[p])) round_weights(d, p++);
    if (!d->failed && !is_exact(d, d->step[p])) round_output(d, p++);
  }
}
