/* passes.c: which passes a draft goes through, in which order, and the switch for each. */
#include <stdio.h>
#include <string.h>

#include "../graph/internal.h"
#include "draft.h"

typedef struct pass {
  const char *name;
  void (*run)(ln_draft *d); /* NULL: works on the plan (group.c) */
  bool fixed;               /* part of what is computed, so there is no switch */
} pass;

static const pass passes[] = {
    {"precision", ln_pass_precision, true}, {"fuse_norm", ln_pass_fuse_norm, false},
    {"fold_norm", ln_pass_fold_norm, false}, {"fuse_conv", ln_pass_fuse_conv, false}, {"fuse_relu", ln_pass_fuse_relu, false},
    {"fuse_pool", ln_pass_fuse_pool, false}, {"fuse_bce", ln_pass_fuse_bce, false}, {"recompute", ln_pass_recompute, false},
    {"layout", ln_pass_layout, false}, {"round", ln_pass_round, true}, {"fuse_norm_pool", ln_pass_fuse_norm_pool, false}, {"concat", ln_pass_concat, false},
    {"group", NULL, false}};
enum { PASSES = sizeof passes / sizeof *passes };

/* Closes the holes that removed steps left. */
static void compact(ln_draft *d) {
  int n = 0;
  for (int p = 0; p < d->nstep; p++)
    if (d->step[p] != NULL) d->step[n++] = d->step[p];
  d->nstep = n;
}

/* Pure steps whose results nobody wants any more. */
static void sweep(ln_draft *d) {
  ln_draft_index(d);
  for (int p = d->nstep - 1; p >= 0; p--) {
    ln_draft_step *s = d->step[p];
    if ((ln_op_get(s->op)->flags & (LN_COMMIT | LN_GUARD)) != 0) continue;
    bool wanted = false;
    for (int o = 0; o < s->nout; o++)
      if (s->out[o] >= 0) wanted = wanted || d->slot[s->out[o]].live || d->slot[s->out[o]].nuse > 0;
    if (wanted) continue;
    for (int i = 0; i < s->nin; i++)
      if (s->in[i] >= 0) d->slot[s->in[i]].nuse--;
    ln_draft_remove(d, p);
  }
  compact(d);
}

bool ln_pass_is_on(const ln_ctx *ctx, const char *name) {
  for (int i = 0; i < PASSES; i++)
    if (strcmp(passes[i].name, name) == 0) return (ctx->passes_off >> i & 1) == 0;
  return false;
}

static ln_code refuse(const char *text, size_t length, ln_error *err) {
  char names[256] = "";
  size_t n = 0;
  for (int i = 0; i < PASSES; i++)
    if (!passes[i].fixed && n < sizeof names) n += (size_t)snprintf(names + n, sizeof names - n, " %s", passes[i].name);
  return ln_fail(err, LN_EINVAL, "LUNETTE_PASSES: '%.*s' must be - and a pass:%s", (int)length, text, names);
}

ln_code ln_passes_parse(const char *text, unsigned *off, ln_error *err) {
  *off = 0;
  while (text != NULL && *text != '\0') {
    size_t length = strcspn(text, ",");
    int found = -1;
    for (int i = 0; i < PASSES; i++)
      if (*text == '-' && !passes[i].fixed && strlen(passes[i].name) == length - 1 && strncmp(passes[i].name, text + 1, length - 1) == 0) found = i;
    if (found < 0) return refuse(text, length, err);
    *off |= 1u << found;
    text += length + (text[length] == ',');
  }
  return LN_OK;
}

ln_code ln_draft_passes(ln_draft *d) {
  if (d->backend->layouts == NULL) return LN_OK;
  for (int i = 0; i < PASSES && !d->failed; i++) {
    if (passes[i].run == NULL || (d->ctx->passes_off >> i & 1) != 0) continue;
    ln_draft_index(d);
    passes[i].run(d);
    compact(d);
    sweep(d);
  }
  return d->failed ? ln_no_memory(d->ctx, (size_t)d->nstep * sizeof(ln_draft_step)) : LN_OK;
}
