/* fuse_norm_pool.c: max pooling joins the normalising pass before it, forward and backward.
 *
 *   norm_relu(x, mean, var, w, b) -> y, max_pool(y)       -> norm_relu_pool(x, mean, var, w, b)
 *   max_pool_grad_add(o, gy, i), then
 *   norm_relu_grad(., x, mean, var, w, b)                  -> norm_relu_pool_grad(o, gy, i, x, mean, var, w, b)
 *
 * It comes behind the passes that decide which form values have and which are computed again: those see the parts,
 * and only what is blocked gains.
 */
#include "draft.h"

static void join_pool(ln_draft *d, int at) {
  const ln_draft_step *norm = d->step[at];
  const int y = norm->out[0], user = ln_draft_find_user(d, y, LN_OP_max_pool, 0, at + 1);
  if (user < 0 || d->slot[y].layout != LN_BLOCKED) return;
  const ln_draft_step *pool = d->step[user];
  const int out[3] = {y, pool->out[0], pool->out[1]};
  const double eps = norm->attrs.eps;
  ln_draft_step *s = ln_draft_replace(d, at, LN_OP_norm_relu_pool, 5, norm->in, 3, out);
  if (s == NULL) return;
  s->attrs = pool->attrs;
  s->attrs.eps = eps;
  ln_draft_remove(d, user);
}

static void join_pool_grad(ln_draft *d, int at) {
  const ln_draft_step *norm = d->step[at];
  const int g = norm->in[0], pool = d->slot[g].producer;
  if (ln_draft_only_user(d, g) != at || !ln_draft_is_op(d, pool, LN_OP_max_pool_grad_add) || d->slot[g].layout != LN_BLOCKED) return;
  const int *p = d->step[pool]->in, *n = norm->in, in[8] = {p[0], p[1], p[2], n[1], n[2], n[3], n[4], n[5]};
  const double eps = norm->attrs.eps;
  ln_draft_step *s = ln_draft_replace(d, at, LN_OP_norm_relu_pool_grad, 8, in, 3, norm->out);
  if (s == NULL) return;
  s->attrs = d->step[pool]->attrs;
  s->attrs.eps = eps;
  ln_draft_remove(d, pool);
}

void ln_pass_fuse_norm_pool(ln_draft *d) {
  for (int p = 0; p < d->nstep && !d->failed; p++) {
    if (ln_draft_is_op(d, p, LN_OP_norm_relu)) join_pool(d, p);
    if (ln_draft_is_op(d, p, LN_OP_norm_relu_grad)) join_pool_grad(d, p);
  }
}
