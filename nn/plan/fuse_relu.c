/* fuse_relu.c: ReLU's gradient and the channel sum of it (a bias' gradient) in one pass, where no
 * convolution has taken them already.
 */
#include "draft.h"

static bool join_sum(ln_draft *d, int at) {
  int gy = d->step[at]->in[0], y = d->step[at]->in[1], g = d->step[at]->out[0];
  if (d->slot[g].meta.rank < 3) return false;
  int sum = ln_pass_take_channel_sum(d, g);
  if (sum < 0) return false;
  ln_draft_step *s = ln_draft_replace(d, at, LN_OP_relu_grad_sum, 2, 2);
  if (s == NULL) return false;
  s->in[0] = gy;
  s->in[1] = y;
  s->out[0] = g;
  s->out[1] = sum;
  return true;
}

void ln_pass_fuse_relu(ln_draft *d) {
  for (int p = 0; p < d->nstep && !d->failed; p++)
    if (ln_draft_is_op(d, p, LN_OP_relu_grad) && join_sum(d, p)) ln_draft_index(d);
}
