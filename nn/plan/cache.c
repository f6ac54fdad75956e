/* cache.c: plans already made, most recently used first. A key is compared in full, so
 * a hash collision can never run the wrong plan.
 */
#include <string.h>

#include "../graph/internal.h"
#include "plan.h"

enum { MAX_PLANS = 64 };

typedef struct ln_plan_cache {
  ln_plan *first;
  int count;
} ln_plan_cache;

ln_plan *ln_plan_find(ln_ctx *ctx, const ln_work *work) {
  if (ctx->plans == NULL) return NULL;
  for (ln_plan **link = &ctx->plans->first; *link != NULL; link = &(*link)->next) {
    ln_plan *plan = *link;
    if (plan->hash != work->hash || plan->key_bytes != work->key_bytes ||
        memcmp(plan->key, work->key, work->key_bytes) != 0)
      continue;
    *link = plan->next;
    plan->next = ctx->plans->first;
    ctx->plans->first = plan;
    return plan;
  }
  return NULL;
}

const ln_plan *ln_plan_last(const ln_ctx *ctx) { return ctx->plans == NULL ? NULL : ctx->plans->first; }

static void drop_last(ln_ctx *ctx) {
  ln_plan **link = &ctx->plans->first;
  while ((*link)->next != NULL) link = &(*link)->next;
  ln_plan *last = *link;
  *link = NULL;
  ctx->plans->count--;
  ln_plan_free(ctx, last);
}

ln_code ln_plan_keep(ln_ctx *ctx, ln_plan *plan) {
  if (ctx->plans == NULL) ctx->plans = ln_calloc(&ctx->mem, 1, sizeof *ctx->plans);
  if (ctx->plans == NULL) {
    ln_plan_free(ctx, plan);
    return ln_no_memory(ctx, sizeof *ctx->plans);
  }
  if (ctx->plans->count == MAX_PLANS) drop_last(ctx);
  plan->next = ctx->plans->first;
  ctx->plans->first = plan;
  ctx->plans->count++;
  return LN_OK;
}

void ln_plan_cache_free(ln_ctx *ctx) {
  if (ctx->plans == NULL) return;
  while (ctx->plans->first != NULL) {
    ln_plan *plan = ctx->plans->first;
    ctx->plans->first = plan->next;
    ln_plan_free(ctx, plan);
  }
  ln_free(&ctx->mem, ctx->plans);
  ctx->plans = NULL;
}
