/* fuse_norm.c: batch_norm becomes statistics and one normalising pass; ReLU joins that pass, forward and
 * backward.
 *
 *   batch_norm(x, w, b)                      -> moments(x), batch_norm_eval(x, mean, var, w, b)
 *   batch_norm_eval, then relu               -> norm_relu(x, mean, var, w, b)
 *   relu_grad(g, norm_relu(x ...)), then
 *   batch_norm_grad(., x, w, mean, var)      -> norm_relu_grad(g, x, mean, var, w, b)
 *
 * The statistics are thus free to move into the convolution before (fuse_conv), and the
 * output of ReLU is no longer needed for its own gradient (recompute).
 */
#include "draft.h"

static void split(ln_draft *d, int at) {
  const ln_draft_step *norm = d->step[at];
  int x = norm->in[0], w = norm->in[1], b = norm->in[2], y = norm->out[0], mean = norm->out[1], var = norm->out[2];
  ln_draft_step *apply = ln_draft_insert(d, at + 1, norm, LN_OP_batch_norm_eval, 5, 1);
  ln_draft_step *moments = ln_draft_replace(d, at, LN_OP_moments, 1, &x, 2, (const int[]){mean, var});
  if (apply == NULL || moments == NULL) return;
  const int in[5] = {x, mean, var, w, b};
  for (int i = 0; i < 5; i++) apply->in[i] = in[i];
  apply->out[0] = y;
}

static void join_relu(ln_draft *d, int at) {
  int user = ln_draft_only_user(d, d->step[at]->out[0]);
  if (!ln_draft_is_op(d, user, LN_OP_relu)) return;
  if (ln_draft_replace(d, at, LN_OP_norm_relu, 5, d->step[at]->in, 1, d->step[user]->out) != NULL) ln_draft_remove(d, user);
}

/* The norm whose ReLU's gradient feeds this batch_norm_grad and nothing else. */
static void join_relu_grad(ln_draft *d, int at) {
  ln_draft_step *grad = d->step[at];
  int gy = grad->in[0];
  if (ln_draft_only_user(d, gy) != at || !ln_draft_is_op(d, d->slot[gy].producer, LN_OP_relu_grad)) return;
  int relu = d->slot[gy].producer;
  int forward = d->slot[d->step[relu]->in[1]].producer;
  if (!ln_draft_is_op(d, forward, LN_OP_norm_relu)) return;
  const int *norm = d->step[forward]->in, in[6] = {d->step[relu]->in[0], norm[0], norm[1], norm[2], norm[3], norm[4]};
  if (norm[0] != grad->in[1] || norm[1] != grad->in[3] || norm[2] != grad->in[4]) return;
  if (ln_draft_replace(d, at, LN_OP_norm_relu_grad, 6, in, 3, grad->out) != NULL) ln_draft_remove(d, relu);
}

void ln_pass_fuse_norm(ln_draft *d) {
  for (int p = 0; p < d->nstep && !d->failed; p++)
    if (ln_draft_is_op(d, p, LN_OP_batch_norm)) split(d, p);
  ln_draft_index(d);
  for (int p = 0; p < d->nstep && !d->failed; p++)
    if (ln_draft_is_op(d, p, LN_OP_batch_norm_eval)) join_relu(d, p);
  ln_draft_index(d);
  for (int p = 0; p < d->nstep && !d->failed; p++)
    if (ln_draft_is_op(d, p, LN_OP_batch_norm_grad)) join_relu_grad(d, p);
}
