/* nonfinite.c: the loss became NaN or infinite; which op was the first to do so?
 *
 * Nothing has been written yet, so running the same plan again gives the same values,
 * and each can be looked at before the arena gives its memory to another.
 */
#include <math.h>

#include "../graph/internal.h"
#include "plan.h"

static bool nonfinite_at(const ln_arg *arg, int64_t i) {
  if (arg->meta.dtype == LN_F32) return !isfinite(((const float *)arg->data)[i]);
  if (arg->meta.dtype == LN_F64) return !isfinite(((const double *)arg->data)[i]);
  return arg->meta.dtype == LN_BF16 && (((const uint16_t *)arg->data)[i] & 0x7F80) == 0x7F80;
}

/* Image by image, as a part of a concat has memory of others between its images. */
static int64_t count_nonfinite(const ln_arg *arg) {
  int64_t bad = 0, images = arg->meta.rank > 0 ? arg->meta.dim[0] : 1;
  if (arg->data == NULL || arg->numel == 0) return 0;
  for (int64_t n = 0; n < images; n++)
    for (int64_t i = 0; i < arg->numel / images; i++) bad += nonfinite_at(arg, n * arg->image + i);
  return bad;
}

static ln_code blame(ln_ctx *ctx, const ln_node *node, const char *what, const ln_arg *arg, int64_t bad) {
  char shape[LN_SHAPE_TEXT];
  ln_fail(&ctx->error, LN_ENONFINITE,
          "the loss is not finite; the first NaN or infinity is in this op's %s (%lld of %lld elements, shape %s)",
          what, (long long)bad, (long long)arg->numel, ln_shape_text(&arg->meta, shape, sizeof shape));
  return ln_blame(ctx, node->op, node->where, node->layer);
}

ln_code ln_plan_blame_nonfinite(ln_ctx *ctx, ln_plan *plan, const ln_work *work, int guard) {
  const ln_backend *backend = ctx->backend[plan->device];
  for (int s = 0; s <= guard; s++) {
    ln_step *step = &plan->step[s];
    const ln_node *node = work->node[step->node];
    for (int i = 0; i < step->call.nin; i++) {
      int64_t bad = count_nonfinite(&step->call.in[i]);
      if (bad > 0) return blame(ctx, node, "input", &step->call.in[i], bad);
    }
    if (step->elided || s == guard) continue;
    ln_code code = backend->run(ctx->self[plan->device], &step->call);
    if (code != LN_OK) return ln_blame(ctx, node->op, node->where, node->layer);
    for (int o = 0; o < step->call.nout; o++) {
      int64_t bad = count_nonfinite(&step->call.out[o]);
      if (bad > 0) return blame(ctx, node, "output", &step->call.out[o], bad);
    }
  }
  return ln_fail(&ctx->error, LN_ENONFINITE, "the loss is not finite");
}
