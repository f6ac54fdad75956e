/* fold_norm.c: in evaluation without gradients a batch norm joins the convolution before it.
 *
 *   conv, then batch_norm_eval or norm_relu with statistics that are there before the plan runs
 *     -> conv_norm or conv_norm_relu
 *
 * With gradients the convolution's output is kept for them, so this does not apply. Under --precision bf16 the rounding
 * of that output goes with it.
 */
#include "draft.h"

static bool from_outside(const ln_draft *d, const ln_draft_step *norm) {
  for (int i = 1; i < 5; i++)
    if (norm->in[i] >= 0 && d->slot[norm->in[i]].external < 0) return false;
  return true;
}

static void join(ln_draft *d, int at) {
  const ln_draft_step *conv = d->step[at];
  int user = ln_draft_only_user(d, conv->out[0]);
  bool relu = ln_draft_is_op(d, user, LN_OP_norm_relu);
  if (!relu && !ln_draft_is_op(d, user, LN_OP_batch_norm_eval)) return;
  const ln_draft_step *norm = d->step[user];
  if (norm->in[0] != conv->out[0] || !from_outside(d, norm)) return;
  const int in[7] = {conv->in[0], conv->in[1], conv->in[2], norm->in[1], norm->in[2], norm->in[3], norm->in[4]};
  ln_draft_step *s = ln_draft_replace(d, at, relu ? LN_OP_conv_norm_relu : LN_OP_conv_norm, 7, in, 1, norm->out);
  if (s == NULL) return;
  s->attrs.eps = norm->attrs.eps;
  ln_draft_remove(d, user);
}

void ln_pass_fold_norm(ln_draft *d) {
  for (int p = 0; p < d->nstep && !d->failed; p++)
    if (ln_draft_is_op(d, p, LN_OP_conv)) join(d, p);
}
