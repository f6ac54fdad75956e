/* context.c: one context per Lua state; everything hangs off it. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../plan/plan.h"
#include "internal.h"

/* -- interned strings: source positions and layer names, a few hundred in a long run */

typedef struct ln_interned {
  char **text; /* open addressing, capacity a power of two */
  size_t count, cap;
} ln_interned;

static size_t text_hash(const char *s) {
  size_t h = 0xcbf29ce484222325u;
  for (; *s != '\0'; s++) h = (h ^ (unsigned char)*s) * 0x100000001b3u;
  return h;
}

static char **intern_place(char **table, size_t cap, const char *text) {
  size_t i = text_hash(text) & (cap - 1);
  while (table[i] != NULL && strcmp(table[i], text) != 0) i = (i + 1) & (cap - 1);
  return &table[i];
}

static bool intern_grow(ln_ctx *ctx, ln_interned *set) {
  size_t cap = set->cap == 0 ? 64 : 2 * set->cap;
  char **bigger = ln_calloc(&ctx->mem, cap, sizeof *bigger);
  if (bigger == NULL) return false;
  for (size_t i = 0; i < set->cap; i++)
    if (set->text[i] != NULL) *intern_place(bigger, cap, set->text[i]) = set->text[i];
  ln_free(&ctx->mem, set->text);
  set->text = bigger;
  set->cap = cap;
  return true;
}

/* The same string for equal text, owned by the context; NULL when memory ran out. */
static const char *intern(ln_ctx *ctx, const char *text) {
  ln_interned *set = ctx->interned;
  if (2 * set->count >= set->cap && !intern_grow(ctx, set)) return NULL;
  char **place = intern_place(set->text, set->cap, text);
  if (*place == NULL) {
    *place = ln_strdup(&ctx->mem, text);
    if (*place != NULL) set->count++;
  }
  return *place;
}

static void intern_free(ln_ctx *ctx) {
  if (ctx->interned == NULL) return;
  for (size_t i = 0; i < ctx->interned->cap; i++) ln_free(&ctx->mem, ctx->interned->text[i]);
  ln_free(&ctx->mem, ctx->interned->text);
  ln_free(&ctx->mem, ctx->interned);
}

static ln_code set_text(ln_ctx *ctx, const char **field, const char *text) {
  const char *interned = intern(ctx, text == NULL ? "" : text);
  if (interned == NULL) return ln_no_memory(ctx, text == NULL ? 1 : strlen(text) + 1);
  *field = interned;
  return LN_OK;
}

ln_code ln_set_where(ln_ctx *ctx, const char *where) { return set_text(ctx, &ctx->where, where); }
ln_code ln_set_layer(ln_ctx *ctx, const char *layer) { return set_text(ctx, &ctx->layer, layer); }

/* -- errors */

static void copy_text(char *to, size_t size, const char *from) {
  snprintf(to, size, "%s", from == NULL ? "" : from);
}

ln_code ln_blame(ln_ctx *ctx, ln_op op, const char *where, const char *layer) {
  ln_error *err = &ctx->error;
  copy_text(err->op, sizeof err->op, op < LN_OP_COUNT ? ln_op_get(op)->name : "function");
  copy_text(err->where, sizeof err->where, where);
  copy_text(err->layer, sizeof err->layer, layer);
  return err->code;
}

ln_code ln_no_memory(ln_ctx *ctx, size_t wanted) {
  double mib = 1.0 / (1 << 20);
  char limit[48] = "none";
  if (ctx->mem.limit != 0) snprintf(limit, sizeof limit, "%.1f MiB", (double)ctx->mem.limit * mib);
  return ln_fail(&ctx->error, LN_ENOMEM, "out of memory: wanted %.1f MiB, live %.1f MiB, limit %s",
                 (double)wanted * mib, (double)atomic_load(&ctx->mem.live) * mib, limit);
}

void ln_relieve(ln_ctx *ctx) {
  if (ctx->collect != NULL && !ctx->flushing) ctx->collect(ctx->host);
  ln_pool_trim(ctx, true);
  ln_spares_free(ctx);
}

/* -- devices */

static const char *const device_names[LN_DEVICE_COUNT] = {"cpu", "reference", "cuda"};

const char *ln_device_name(ln_device device) { return device_names[device]; }

ln_device ln_device_named(const char *name) {
  int d = 0;
  while (d < LN_DEVICE_COUNT && strcmp(device_names[d], name) != 0) d++;
  return (ln_device)d;
}

ln_code ln_device_open(ln_ctx *ctx, ln_device device) {
  if (ctx->backend[device] != NULL) return LN_OK;
  if (device == LN_CUDA) return ln_fail(&ctx->error, LN_ENODEV, "cuda: built without it");
  const ln_backend *backend = device == LN_CPU ? ln_cpu_backend() : ln_ref_backend();
  if (backend->abi != LN_BACKEND_ABI || backend->struct_size != sizeof *backend ||
      backend->ops_hash != ln_op_table_hash())
    return ln_fail(&ctx->error, LN_ENODEV, "%s: built for another version of Lunette", backend->name);
  ln_code code = backend->open(&ctx->mem, &ctx->options.kernel, &ctx->self[device], &ctx->error);
  if (code != LN_OK) return code;
  ctx->backend[device] = backend;
  if (ctx->opened != NULL) ctx->opened(ctx->host, device);
  return LN_OK;
}

ln_code ln_device_choose(ln_ctx *ctx, ln_device device, const ln_choice *list, int count) {
  ln_code code = ctx->backend[device]->choose(ctx->self[device], list, count, &ctx->error);
  if (code == LN_OK) ln_plan_cache_free(ctx);
  return code;
}

/* -- the context */

ln_ctx *ln_ctx_open(const ln_options *options, ln_error *err) {
  ln_ctx *ctx = calloc(1, sizeof *ctx);
  if (ctx == NULL) {
    ln_fail(err, LN_ENOMEM, "out of memory while opening a context");
    return NULL;
  }
  ctx->options = *options;
  ctx->mem.limit = options->memory_limit;
  ctx->grad_enabled = true;
  ctx->seed = options->seed;
  if (ln_passes_parse(getenv("LUNETTE_PASSES"), &ctx->passes_off, err) != LN_OK) {
    free(ctx);
    return NULL;
  }
  ctx->interned = ln_calloc(&ctx->mem, 1, sizeof *ctx->interned);
  ctx->spare_failure = ln_calloc(&ctx->mem, 1, sizeof *ctx->spare_failure);
  if (ctx->interned == NULL || ctx->spare_failure == NULL || ln_set_where(ctx, "") != LN_OK ||
      ln_set_layer(ctx, "") != LN_OK) {
    ln_fail(err, LN_ENOMEM, "out of memory while opening a context");
    ln_ctx_close(ctx);
    return NULL;
  }
  return ctx;
}

size_t ln_ctx_close(ln_ctx *ctx) {
  ctx->collect = NULL; /* the host may be gone already */
  ctx->host_forget = NULL;
  for (int i = 0; i < ctx->npending; i++) {
    ctx->pending[i]->pending = false;
    ln_node_leave(ctx, ctx->pending[i]);
    ln_node_release(ctx, ctx->pending[i]);
  }
  ln_free(&ctx->mem, ctx->pending);
  ln_plan_cache_free(ctx);
  ln_free(&ctx->mem, ctx->key);
  ln_pool_trim(ctx, true);
  for (int d = 0; d < LN_DEVICE_COUNT; d++) {
    if (ctx->backend[d] == NULL) continue;
    ctx->backend[d]->free(ctx->self[d], ctx->arena[d]);
    ctx->backend[d]->close(ctx->self[d]);
  }
  ln_free(&ctx->mem, ctx->spare_failure);
  ln_spares_free(ctx);
  intern_free(ctx);
  size_t live = atomic_load(&ctx->mem.live);
  free(ctx);
  return live;
}

void ln_ctx_on_collect(ln_ctx *ctx, ln_collect_fn collect, void *host) {
  ctx->collect = collect;
  ctx->host = host;
}

void ln_seed(ln_ctx *ctx, uint64_t seed) {
  ctx->seed = seed;
  ctx->counter = 0;
}
