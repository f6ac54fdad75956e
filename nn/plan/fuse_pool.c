/* fuse_pool.c: at a skip connection the gradient of max pooling meets the gradient of the skip: one pass
 * adds the pooled gradient into the other, instead of filling a tensor with zeros and adding that.
 */
#include "draft.h"

static void join_add(ln_draft *d, int at) {
  const ln_draft_step *pool = d->step[at];
  int gx = pool->out[0], add = ln_draft_only_user(d, gx);
  if (!ln_draft_is_op(d, add, LN_OP_add)) return;
  int other = d->step[add]->in[0] == gx ? d->step[add]->in[1] : d->step[add]->in[0];
  if (other == gx || !ln_same_shape(&d->slot[other].meta, &d->slot[gx].meta)) return;
  const int in[3] = {other, pool->in[0], pool->in[1]};
  ln_draft_step *s = ln_draft_replace(d, add, LN_OP_max_pool_grad_add, 3, in, 1, d->step[add]->out);
  if (s == NULL) return;
  s->attrs = pool->attrs; /* the size; the sum runs where the add was, as `other` may come between */
  s->node = pool->node;
  ln_draft_remove(d, at);
}

void ln_pass_fuse_pool(ln_draft *d) {
  for (int p = 0; p < d->nstep && !d->failed; p++)
    if (ln_draft_is_op(d, p, LN_OP_max_pool_grad)) join_add(d, p);
}
