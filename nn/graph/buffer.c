/* buffer.c: device memory of live values, and the pool that keeps it warm.
 *
 * A training step asks for the same sizes every time (gradients, the loss), so buffers
 * that come free wait in a pool for the next flush instead of going back to the
 * system, where each would cost page faults again.
 */
#include "internal.h"

enum { POOL_FLUSHES = 4 }; /* a buffer unused for so many flushes goes back */

static ln_buffer *pool_take(ln_ctx *ctx, ln_device device, size_t bytes) {
  for (ln_buffer **link = &ctx->pool; *link != NULL; link = &(*link)->next) {
    ln_buffer *b = *link;
    if (b->device != device || b->bytes < bytes || b->bytes > bytes + bytes / 8 + 64) continue;
    *link = b->next;
    b->next = NULL;
    b->refs = 1;
    return b;
  }
  return NULL;
}

static ln_buffer *buffer_alloc(ln_ctx *ctx, ln_device device, size_t bytes) {
  ln_buffer *b = ln_alloc(&ctx->mem, sizeof *b);
  if (b == NULL) return NULL;
  *b = (ln_buffer){.refs = 1, .device = device, .bytes = bytes};
  b->data = ctx->backend[device]->alloc(ctx->self[device], bytes);
  if (b->data != NULL) return b;
  ln_free(&ctx->mem, b);
  return NULL;
}

ln_code ln_buffer_new(ln_ctx *ctx, ln_device device, size_t bytes, ln_buffer **out) {
  ln_code code = ln_device_open(ctx, device);
  if (code != LN_OK) return code;
  *out = pool_take(ctx, device, bytes);
  if (*out == NULL) *out = buffer_alloc(ctx, device, bytes);
  if (*out == NULL) {
    ln_relieve(ctx);
    *out = buffer_alloc(ctx, device, bytes);
  }
  return *out == NULL ? ln_no_memory(ctx, bytes) : LN_OK;
}

static void buffer_free(ln_ctx *ctx, ln_buffer *b) {
  ctx->backend[b->device]->free(ctx->self[b->device], b->data);
  ln_free(&ctx->mem, b);
}

void ln_buffer_release(ln_ctx *ctx, ln_buffer *b) {
  if (b == NULL || --b->refs > 0) return;
  b->next = ctx->pool;
  b->freed_at = ctx->stat_flushes;
  ctx->pool = b;
}

void ln_pool_trim(ln_ctx *ctx, bool all) {
  for (ln_buffer **link = &ctx->pool; *link != NULL;) {
    ln_buffer *b = *link;
    if (!all && ctx->stat_flushes - b->freed_at < POOL_FLUSHES) {
      link = &b->next;
      continue;
    }
    *link = b->next;
    buffer_free(ctx, b);
  }
}
