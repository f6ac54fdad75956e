/* recompute.c: a norm_relu whose output a weight gradient needs again much later is computed again there.
 *
 * It is one cheap pass over the convolution's output, which lives that long anyway for the
 * norm's own gradient. So a network with batch norm keeps one tensor a layer, not two
 * (Chen et al., Training Deep Nets with Sublinear Memory Cost, 2016, with the cheapest cut).
 */
#include "draft.h"

enum { FAR = 8 }; /* steps between two uses for which memory is worth a second pass */

/* The first weight gradient that uses the slot far behind the use before it; -1. */
static int far_use(const ln_draft *d, int slot) {
  int last = d->slot[slot].producer;
  for (int p = last + 1; p <= d->slot[slot].last_use; p++) {
    if (d->step[p] == NULL) continue;
    for (int i = 0; i < d->step[p]->nin; i++) {
      if (d->step[p]->in[i] != slot) continue;
      if (p - last > FAR && d->step[p]->op == LN_OP_conv_weight_grad) return p;
      last = p;
    }
  }
  return -1;
}

static void use_instead(ln_draft *d, int from, int slot, int other) {
  for (int p = from; p < d->nstep; p++)
    for (int i = 0; d->step[p] != NULL && i < d->step[p]->nin; i++)
      if (d->step[p]->in[i] == slot) d->step[p]->in[i] = other;
}

static bool again(ln_draft *d, int at) {
  const ln_draft_step *norm = d->step[at];
  int y = norm->out[0], use = d->slot[y].live ? -1 : far_use(d, y);
  if (use < 0 || (norm->in[0] >= 0 && d->slot[norm->in[0]].external < 0 && d->slot[norm->in[0]].last_use < use)) return false;
  int copy = ln_draft_new_slot(d, &d->slot[y].meta, LN_PLAIN);
  ln_draft_step *s = ln_draft_insert(d, use, norm, norm->op, norm->nin, 1);
  if (s == NULL) return false;
  d->slot[copy].low = d->slot[y].low;
  for (int i = 0; i < s->nin; i++) s->in[i] = d->step[at]->in[i];
  s->out[0] = copy;
  use_instead(d, use + 1, y, copy);
  return true;
}

void ln_pass_recompute(ln_draft *d) {
  for (int p = 0; p < d->nstep && !d->failed; p++)
    if (ln_draft_is_op(d, p, LN_OP_norm_relu) && again(d, p)) ln_draft_index(d);
}
