/* fuse_relu.c: ReLU's gradient and the channel sum of it (a bias' gradient) in one pass, where no
 * convolution has taken them already.
 */
#include "draft.h"

static bool join_sum(ln_draft *d, int at) {
  int g = d->step[at]->out[0];
  if (d->slot[g].meta.rank < 3) return false;
  int sum = ln_pass_take_channel_sum(d, g);
  if (sum < 0) return false;
  return ln_draft_replace(d, at, LN_OP_relu_grad_sum, 2, d->step[at]->in, 2, (const int[]){g, sum}) != NULL;
}

void ln_pass_fuse_relu(ln_draft *d) {
  for (int p = 0; p < d->nstep && !d->failed; p++)
    if (ln_draft_is_op(d, p, LN_OP_relu_grad) && join_sum(d, p)) ln_draft_index(d);
}
