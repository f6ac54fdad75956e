/* fuse_conv.c: what follows a convolution joins it, to be done while the output is hot.
 *
 *   conv, then relu                                -> conv_relu
 *   conv, and moments of its output                -> conv_moments
 *   conv_input_grad (or conv), then relu_grad and,
 *   where there is one, the channel sum of that    -> conv_input_grad_masked (or conv_masked)
 */
#include "draft.h"

static bool is_channel_sum(const ln_draft *d, int at) {
  const ln_draft_step *s = d->step[at];
  if (s->attrs.keepdim || s->attrs.ndims != d->slot[s->in[0]].meta.rank - 1) return false;
  for (int i = 0; i < s->attrs.ndims; i++)
    if (s->attrs.dims[i] == 1) return false;
  return true;
}

int ln_pass_take_channel_sum(ln_draft *d, int slot) {
  for (int p = ln_draft_find_user(d, slot, LN_OP_sum, 0, 0); p >= 0; p = ln_draft_find_user(d, slot, LN_OP_sum, 0, p + 1)) {
    if (!is_channel_sum(d, p)) continue;
    int out = d->step[p]->out[0];
    ln_draft_remove(d, p);
    return out;
  }
  return -1;
}

int ln_pass_new_channel_slot(ln_draft *d, int like) {
  ln_meta meta = {.dtype = d->slot[like].meta.dtype, .rank = 1, .dim = {d->slot[like].meta.dim[1]}};
  return ln_draft_new_slot(d, &meta, LN_PLAIN);
}

static bool join_relu(ln_draft *d, int at) {
  int user = ln_draft_only_user(d, d->step[at]->out[0]);
  if (!ln_draft_is_op(d, user, LN_OP_relu)) return false;
  if (ln_draft_replace(d, at, LN_OP_conv_relu, 3, d->step[at]->in, 1, d->step[user]->out) == NULL) return false;
  ln_draft_remove(d, user);
  return true;
}

static bool join_moments(ln_draft *d, int at) {
  int y = d->step[at]->out[0], user = ln_draft_find_user(d, y, LN_OP_moments, 0, at);
  if (user < 0) return false;
  const int out[3] = {y, d->step[user]->out[0], d->step[user]->out[1]};
  if (ln_draft_replace(d, at, LN_OP_conv_moments, 3, d->step[at]->in, 3, out) == NULL) return false;
  ln_draft_remove(d, user);
  return true;
}

/* The step stays where it is, before the ReLU's gradient, and takes over its output. */
static bool join_relu_grad(ln_draft *d, int at, ln_op op) {
  const ln_draft_step *conv = d->step[at];
  int user = ln_draft_only_user(d, conv->out[0]);
  if (!ln_draft_is_op(d, user, LN_OP_relu_grad) || d->step[user]->in[0] != conv->out[0]) return false;
  if (conv->nin > 2 && conv->in[2] >= 0) return false; /* a bias, so no gradient */
  int g = d->step[user]->out[0], mask = d->step[user]->in[1], x = conv->in[0], w = conv->in[1];
  int sum = ln_pass_take_channel_sum(d, g);
  if (sum < 0) sum = ln_pass_new_channel_slot(d, g);
  if (ln_draft_replace(d, at, op, 3, (const int[]){x, w, mask}, 2, (const int[]){g, sum}) == NULL) return false;
  ln_draft_remove(d, user);
  return true;
}

void ln_pass_fuse_conv(ln_draft *d) {
  for (int p = 0; p < d->nstep && !d->failed; p++) {
    bool changed = false;
    if (ln_draft_is_op(d, p, LN_OP_conv))
      changed = join_relu(d, p) || join_moments(d, p) || join_relu_grad(d, p, LN_OP_conv_masked);
    else if (ln_draft_is_op(d, p, LN_OP_conv_input_grad))
      changed = join_relu_grad(d, p, LN_OP_conv_input_grad_masked);
    if (changed) ln_draft_index(d);
  }
}
