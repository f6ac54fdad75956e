/* fuse_bce.c: binary cross-entropy and its gradient in one pass each.
 *
 *   sigmoid, then bce                        -> sigmoid_bce, which gives the probabilities too
 *   bce_grad, then sigmoid_grad              -> sigmoid_bce_grad
 *   expand of one element, then a gradient   -> the gradient alone, which takes the one element: what the mean or
 *                                               the sum of a loss sends back
 */
#include "draft.h"

static bool reads(const ln_draft_step *s, int slot) {
  for (int i = 0; i < s->nin; i++)
    if (s->in[i] == slot) return true;
  return false;
}

/* Where both can be done at once: at the sigmoid when the target is there by then, else at the loss when nothing
 * reads the probabilities before; -1. */
static int meeting_place(const ln_draft *d, int sigmoid, int bce) {
  int p = d->step[sigmoid]->out[0], t = d->step[bce]->in[1];
  if (t == p) return -1;
  if (d->slot[t].producer < sigmoid) return sigmoid;
  for (int k = sigmoid + 1; k < bce; k++)
    if (d->step[k] != NULL && reads(d->step[k], p)) return -1;
  return bce;
}

static void join_forward(ln_draft *d, int sigmoid) {
  int x = d->step[sigmoid]->in[0], p = d->step[sigmoid]->out[0];
  int bce = ln_draft_find_user(d, p, LN_OP_bce, 0, sigmoid);
  int at = bce < 0 ? -1 : meeting_place(d, sigmoid, bce);
  if (at < 0) return;
  bool wanted = d->slot[p].live || d->slot[p].nuse > 1;
  const int in[2] = {x, d->step[bce]->in[1]}, out[2] = {d->step[bce]->out[0], wanted ? p : -1};
  int node = d->step[bce]->node; /* an error names the loss */
  ln_draft_step *s = ln_draft_replace(d, at, LN_OP_sigmoid_bce, 2, in, 2, out);
  if (s == NULL) return;
  s->node = node;
  ln_draft_remove(d, at == bce ? sigmoid : bce);
  ln_draft_index(d);
}

static void join_gradients(ln_draft *d, int at) {
  int gp = d->step[at]->in[0], p = d->step[at]->in[1], from = d->slot[gp].producer;
  if (!ln_draft_is_op(d, from, LN_OP_bce_grad) || d->step[from]->in[1] != p || ln_draft_only_user(d, gp) != at) return;
  const int in[3] = {d->step[from]->in[0], p, d->step[from]->in[2]};
  if (ln_draft_replace(d, at, LN_OP_sigmoid_bce_grad, 3, in, 1, d->step[at]->out) == NULL) return;
  ln_draft_remove(d, from);
  ln_draft_index(d);
}

/* The expanded gradient itself goes with the next sweep, unless something else reads it. */
static void take_one(ln_draft *d, ln_draft_step *s) {
  int from = d->slot[s->in[0]].producer;
  if (!ln_draft_is_op(d, from, LN_OP_expand)) return;
  int one = d->step[from]->in[0];
  if (ln_numel(&d->slot[one].meta) == 1) s->in[0] = one;
}

void ln_pass_fuse_bce(ln_draft *d) {
  for (int p = 0; p < d->nstep && !d->failed; p++) {
    if (ln_draft_is_op(d, p, LN_OP_sigmoid)) join_forward(d, p);
    else if (ln_draft_is_op(d, p, LN_OP_sigmoid_grad)) join_gradients(d, p);
  }
  for (int p = 0; p < d->nstep && !d->failed; p++)
    if (ln_draft_is_op(d, p, LN_OP_sigmoid_bce_grad) || ln_draft_is_op(d, p, LN_OP_bce_grad) ||
        ln_draft_is_op(d, p, LN_OP_bce_with_logits_grad))
      take_one(d, d->step[p]);
}
