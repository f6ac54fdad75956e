/* fuse_bce.c: binary cross-entropy and its gradient in one pass each.
 *
 *   sigmoid, then bce                        -> sigmoid_bce
 *   bce_grad, then sigmoid_grad              -> sigmoid_bce_grad, which computes the sigmoid again
 *   expand of one element, then a gradient   -> the gradient alone, which takes the one element: what the mean or
 *                                               the sum of a loss sends back
 *
 * Forward and backward change together or not at all, and not where the probabilities are wanted for anything else:
 * then they are there anyway. The arithmetic is that of the separate steps.
 */
#include "draft.h"

typedef struct pattern {
  int bce, bce_grad, sigmoid_grad; /* positions; -1: no gradient is asked for in this plan */
} pattern;

static bool find_gradients(const ln_draft *d, int p, int behind, pattern *found) {
  found->bce_grad = ln_draft_find_user(d, p, LN_OP_bce_grad, 1, behind);
  found->sigmoid_grad = ln_draft_find_user(d, p, LN_OP_sigmoid_grad, 1, behind);
  if (found->bce_grad < 0 && found->sigmoid_grad < 0) return true;
  if (found->bce_grad < 0 || found->sigmoid_grad < 0) return false;
  int gp = d->step[found->bce_grad]->out[0];
  return d->step[found->sigmoid_grad]->in[0] == gp && ln_draft_only_user(d, gp) == found->sigmoid_grad;
}

/* Is the sigmoid's output p read by the loss and by its gradients, once each, and by nothing else? */
static bool match(const ln_draft *d, int at, pattern *found) {
  int p = d->step[at]->out[0];
  if (p < 0 || d->slot[p].live) return false;
  found->bce = ln_draft_find_user(d, p, LN_OP_bce, 0, at);
  if (found->bce < 0 || !find_gradients(d, p, at, found)) return false;
  return d->slot[p].nuse == (found->bce_grad < 0 ? 1 : 3);
}

static bool join_forward(ln_draft *d, int x, int at) {
  int t = d->step[at]->in[1], y = d->step[at]->out[0];
  ln_draft_step *s = ln_draft_replace(d, at, LN_OP_sigmoid_bce, 2, 1);
  if (s == NULL) return false;
  s->in[0] = x;
  s->in[1] = t;
  s->out[0] = y;
  return true;
}

static bool join_gradients(ln_draft *d, int x, int bce_grad, int at) {
  const ln_draft_step *g = d->step[bce_grad];
  const int in[3] = {g->in[0], x, g->in[2]};
  int gx = d->step[at]->out[0];
  ln_draft_step *s = ln_draft_replace(d, at, LN_OP_sigmoid_bce_grad, 3, 1);
  if (s == NULL) return false;
  for (int i = 0; i < 3; i++) s->in[i] = in[i];
  s->out[0] = gx;
  ln_draft_remove(d, bce_grad);
  return true;
}

static void join(ln_draft *d, int at) {
  pattern found;
  if (!match(d, at, &found)) return;
  int x = d->step[at]->in[0];
  if (found.bce_grad >= 0 && !join_gradients(d, x, found.bce_grad, found.sigmoid_grad)) return;
  if (!join_forward(d, x, found.bce)) return;
  ln_draft_remove(d, at);
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
  for (int p = 0; p < d->nstep && !d->failed; p++)
    if (ln_draft_is_op(d, p, LN_OP_sigmoid)) join(d, p);
  for (int p = 0; p < d->nstep && !d->failed; p++)
    if (ln_draft_is_op(d, p, LN_OP_sigmoid_bce_grad) || ln_draft_is_op(d, p, LN_OP_bce_grad) ||
        ln_draft_is_op(d, p, LN_OP_bce_with_logits_grad))
      take_one(d, d->step[p]);
}
