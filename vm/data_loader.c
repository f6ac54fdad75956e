/* data_loader.c: the loader of nn/data for Lua. Batches are written straight into the
 * memory of fresh tensors.
 */
#include <stdio.h>
#include <unistd.h>

#include "../nn/data/loader.h"
#include "data.h"

typedef struct vm_loader {
  ln_loader *loader;
  ln_batch last;      /* the batch handed out last; its indices stay until the next epoch */
  bool warned;
  char warning[LN_STEM_TEXT + 96]; /* to be fetched by warning(), empty without one */
  size_t handed;      /* bytes of tensors handed out since the last collection */
} vm_loader;

static vm_loader *check_loader(lua_State *L, int arg) { return luaL_checkudata(L, arg, VM_LOADER); }

/* A quarter of the machine's memory, or of the session's cap, and at most 4 GiB. */
static size_t cache_cap(const ln_ctx *ctx) {
  long pages = sysconf(_SC_PHYS_PAGES), page = sysconf(_SC_PAGESIZE);
  size_t memory = pages > 0 && page > 0 ? ln_mul((size_t)pages, (size_t)page) : (size_t)4 << 30;
  if (ctx->mem.limit != 0 && ctx->mem.limit < memory) memory = ctx->mem.limit;
  size_t cap = memory / 4, most = (size_t)4 << 30;
  return cap < most ? cap : most;
}

/* loader(dataset, indices or nil, {batch_size=, shuffle=, drop_last=, workers=, seed=,
 * cache=, cache_bytes=}) */
static int new_loader(lua_State *L) {
  lua_settop(L, 3);
  ln_ctx *ctx = vm_ctx(L);
  ln_dataset *ds = vm_check_dataset(L, 1);
  int64_t workers = vm_data_opt_int(L, 3, "workers", 1, 0);
  if (workers > LN_LOADER_MAX_WORKERS) vm_misuse(L, NULL, "workers: at most %d, got %lld", LN_LOADER_MAX_WORKERS, (long long)workers);
  ln_loader_options options = {
      .batch_size = (size_t)vm_data_opt_int(L, 3, "batch_size", 1, 1),
      .workers = (int)workers,
      .shuffle = vm_opt_bool(L, 3, "shuffle", false),
      .drop_last = vm_opt_bool(L, 3, "drop_last", false),
      .seed = (uint64_t)vm_data_opt_int(L, 3, "seed", 0, 0),
      .cache = vm_opt_bool(L, 3, "cache", true),
      .cache_cap = (size_t)vm_data_opt_int(L, 3, "cache_bytes", (int64_t)cache_cap(ctx), 0),
      .interrupt = &ctx->interrupt};
  size_t total = ln_dataset_source(ds)->count, count = total, *indices;
  if (lua_isnil(L, 2)) {
    indices = lua_newuserdata(L, count * sizeof *indices);
    for (size_t i = 0; i < count; i++) indices[i] = i;
  } else {
    indices = vm_data_indices(L, 2, total, &count);
  }
  vm_loader *box = lua_newuserdata(L, sizeof *box);
  *box = (vm_loader){0};
  luaL_getmetatable(L, VM_LOADER);
  lua_setmetatable(L, -2);
  ln_error err;
  if (ln_loader_open(&ctx->mem, ds, indices, count, &options, &box->loader, &err) != LN_OK) vm_raise(L, &err);
  return 1;
}

static int loader_start(lua_State *L) {
  vm_loader *box = check_loader(L, 1);
  int64_t epoch = vm_check_int(L, 2);
  ln_error err;
  box->last = (ln_batch){0};
  if (ln_loader_start(box->loader, (uint64_t)epoch, &err) != LN_OK) vm_raise(L, &err);
  return 0;
}

static int loader_stop(lua_State *L) {
  ln_loader_stop(check_loader(L, 1)->loader);
  return 0;
}

/* The garbage collector sees a tensor as a few bytes; a loop that only reads batches would
 * fill the memory before it ran. */
static void collect_now_and_then(lua_State *L, vm_loader *box, size_t bytes) {
  enum { PATIENCE = 128 << 20 };
  box->handed += bytes;
  if (box->handed < PATIENCE) return;
  box->handed = 0;
  ln_ctx *ctx = vm_ctx(L);
  ln_activity before = ln_enter(ctx, LN_COLLECTING);
  lua_gc(L, LUA_GCCOLLECT, 0);
  ln_leave(ctx, before);
}

/* Once a loader. */
static void note_warning(vm_loader *box, const ln_batch *batch) {
  for (size_t i = 0; i < batch->count && !box->warned; i++) {
    if (!(batch->items[i]->flags & LN_IMAGE_CLIPPED)) continue;
    const ln_source *source = ln_dataset_source(ln_loader_dataset(box->loader));
    char stem[LN_STEM_TEXT];
    source->stem(source, batch->indices[i], stem, sizeof stem);
    snprintf(box->warning, sizeof box->warning,
             "%s: 16-bit grey levels above 255 became 255, as Pillow's convert(\"L\") has it", stem);
    box->warned = true;
  }
}

/* A warning that has come up and was not fetched yet, or nil. */
static int loader_warning(lua_State *L) {
  vm_loader *box = check_loader(L, 1);
  lua_pushstring(L, box->warning[0] != '\0' ? box->warning : NULL);
  box->warning[0] = '\0';
  return 1;
}

/* next(): images, masks; nothing at the end of the epoch. */
static int loader_next(lua_State *L) {
  vm_poll(L);
  vm_loader *box = check_loader(L, 1);
  ln_batch batch;
  ln_error err;
  ln_ctx *ctx = vm_ctx(L);
  ln_activity before = ln_enter(ctx, LN_LOADING);
  ln_code code = ln_loader_wait(box->loader, &batch, &err);
  ln_leave(ctx, before);
  if (code != LN_OK) vm_raise(L, &err);
  if (batch.count == 0) return 0;
  ln_meta image, mask;
  ln_dataset_meta(ln_loader_dataset(box->loader), (int64_t)batch.count, batch.items[0], &image, &mask);
  collect_now_and_then(L, box, ln_nbytes(&image) + ln_nbytes(&mask));
  void *images = vm_data_new_tensor(L, &image), *masks = vm_data_new_tensor(L, &mask);
  note_warning(box, &batch);
  before = ln_enter(ctx, LN_LOADING);
  ln_loader_fill(box->loader, &batch, images, masks);
  ln_leave(ctx, before);
  ln_loader_advance(box->loader, &batch);
  box->last = batch;
  return 2;
}

static int loader_stems(lua_State *L) {
  vm_loader *box = check_loader(L, 1);
  const ln_source *source = ln_dataset_source(ln_loader_dataset(box->loader));
  lua_createtable(L, (int)box->last.count, 0);
  for (size_t i = 0; i < box->last.count; i++) {
    char stem[LN_STEM_TEXT];
    source->stem(source, box->last.indices[i], stem, sizeof stem);
    lua_pushstring(L, stem);
    lua_rawseti(L, -2, (int)i + 1);
  }
  return 1;
}

static int loader_batches(lua_State *L) {
  lua_pushnumber(L, (double)ln_loader_batches(check_loader(L, 1)->loader));
  return 1;
}

static int loader_samples(lua_State *L) {
  lua_pushnumber(L, (double)ln_loader_samples(check_loader(L, 1)->loader));
  return 1;
}

/* batches, waits, seconds of all epochs so far. */
static int loader_stats(lua_State *L) {
  ln_loader_stats stats = ln_loader_get_stats(check_loader(L, 1)->loader);
  lua_pushnumber(L, (double)stats.batches);
  lua_pushnumber(L, (double)stats.waits);
  lua_pushnumber(L, stats.seconds);
  return 3;
}

static int loader_gc(lua_State *L) {
  vm_loader *box = lua_touserdata(L, 1);
  ln_loader_close(box->loader);
  box->loader = NULL;
  return 0;
}

void vm_open_loader(lua_State *L) {
  static const luaL_Reg methods[] = {
      {"start", loader_start}, {"next", loader_next},       {"stop", loader_stop}, {"stems", loader_stems},
      {"batches", loader_batches}, {"samples", loader_samples}, {"stats", loader_stats},
      {"warning", loader_warning}, {NULL, NULL}};
  vm_data_class(L, VM_LOADER, methods, loader_gc, NULL);
  lua_pushcfunction(L, new_loader);
  lua_setfield(L, -2, "loader");
}
