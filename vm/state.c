/* state.c: the Lua state, its context, and errors on their way to Lua.
 *
 * A vm_host ties a Lua state to an ln_ctx. It is the allocator's argument as well, so
 * the heap is there before the first allocation and after the last free.
 */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bind.h"

/* Registry keys: the addresses of these. */
static const char thread_key, error_key, error_metatable_key;

/* -- opening and closing */

/* The host is the allocator's argument. */
static void *lua_memory(void *host, void *block, size_t old, size_t size) {
  return vm_heap_realloc(&((vm_host *)host)->heap, block, old, size);
}

static int open_protected(lua_State *L) {
  lua_pushlightuserdata(L, (void *)&thread_key);
  lua_pushthread(L);
  lua_rawset(L, LUA_REGISTRYINDEX);
  /* Taken now, so that stashing an error later allocates nothing. */
  lua_pushlightuserdata(L, (void *)&error_key);
  lua_pushboolean(L, 0);
  lua_rawset(L, LUA_REGISTRYINDEX);
  return 0;
}

lua_State *vm_newstate(size_t limit) {
  vm_host *host = calloc(1, sizeof *host);
  if (host == NULL) return NULL;
  host->heap.mem.limit = limit;
  lua_State *L = lua_newstate(lua_memory, host);
  if (L != NULL && lua_cpcall(L, open_protected, NULL) != 0) {
    lua_close(L);
    L = NULL;
  }
  if (L == NULL) {
    vm_heap_free(&host->heap);
    free(host);
  } else {
    host->L = L;
  }
  return L;
}

/* The allocator's argument: asked for several times in every operation. */
vm_host *vm_host_of(lua_State *L) {
  void *host;
  lua_getallocf(L, &host);
  return host;
}

ln_mem *vm_lua_mem(lua_State *L) { return &vm_host_of(L)->heap.mem; }

static void enter(lua_State *L, vm_host *host) {
  if (host->L == L) return;
  lua_pushlightuserdata(L, (void *)&thread_key);
  lua_pushthread(L);
  lua_rawset(L, LUA_REGISTRYINDEX);
  host->L = L;
}

ln_ctx *vm_ctx(lua_State *L) {
  vm_host *host = vm_host_of(L);
  enter(L, host);
  if (host->ctx == NULL) luaL_error(L, "%s", "this Lua state has no numeric context");
  return host->ctx;
}

static int collect_protected(lua_State *L) {
  vm_heap_warm(&vm_host_of(L)->heap);
  lua_gc(L, LUA_GCCOLLECT, 0);
  return 0;
}

/* Runs inside the core, whose frames no Lua error may cross; a script's own finalizer
 * may raise one, and may enter the core again. */
void vm_collect(void *host_pointer) {
  vm_host *host = host_pointer;
  lua_State *L = host->L;
  if (L == NULL || host->collecting) return;
  host->collecting = true;
  ln_activity before = ln_enter(host->ctx, LN_COLLECTING);
  if (lua_cpcall(L, collect_protected, NULL) != 0) lua_pop(L, 1);
  enter(L, host);
  ln_leave(host->ctx, before);
  host->collecting = false;
}

ln_code vm_open(lua_State *L, const ln_options *options, ln_error *err) {
  vm_host *host = vm_host_of(L);
  ln_ctx *ctx = ln_ctx_open(options, err);
  if (ctx == NULL) return err != NULL ? err->code : LN_ENOMEM;
  ln_ctx_on_collect(ctx, vm_collect, host);
  host->ctx = ctx;
  vm_open_functions(host);
  vm_open_tune(host);
  return LN_OK; /* the device is opened by the first op that needs it, so scripts may still set its options */
}

size_t vm_close(lua_State *L) {
  vm_host *host = vm_host_of(L);
  host->collecting = true; /* lua_close collects everything itself */
  lua_close(L);
  host->L = NULL;
  size_t live = host->ctx == NULL ? 0 : ln_ctx_close(host->ctx);
  live += atomic_load(&host->heap.mem.live);
  vm_heap_free(&host->heap);
  free(host);
  return live;
}

/* -- where an op comes from */

enum { WHERE_LEVELS = 100, LINE_ROOM = 16 };

/* The nearest Lua frame outside the library. Allocates nothing. */
static bool script_frame(lua_State *L, lua_Debug *ar) {
  for (int level = 1; level < WHERE_LEVELS && lua_getstack(L, level, ar); level++) {
    lua_getinfo(L, "S", ar);
    if (strncmp(ar->source, "=lunette/", 9) == 0) continue; /* most are: their lines cost time */
    lua_getinfo(L, "l", ar);
    if (ar->currentline > 0) return true;
  }
  return false;
}

/* ":31" at the end of text's LINE_ROOM bytes; returns where it starts. Every op asks, and snprintf takes longer
 * than all the rest of it. */
static char *line_text(int line, char text[LINE_ROOM]) {
  char *at = text + LINE_ROOM - 1;
  *at = '\0';
  do {
    *--at = (char)('0' + line % 10);
    line /= 10;
  } while (line > 0);
  *--at = ':';
  return at;
}

static void where_text(const lua_Debug *ar, char where[LN_ERROR_WHERE]) {
  char text[LINE_ROOM];
  const char *line = line_text(ar->currentline, text), *cut = "";
  const char *name = ar->source[0] == '@' || ar->source[0] == '=' ? ar->source + 1 : ar->short_src;
  size_t length = strlen(name), room = LN_ERROR_WHERE - LINE_ROOM - 4;
  if (length > room) { /* the end of a path says more than its start */
    name += length - room;
    length = room;
    cut = "...";
  }
  char *at = stpcpy(where, cut);
  memcpy(at, name, length);
  strcpy(at + length, line);
}

void vm_where(lua_State *L) {
  vm_host *host = vm_host_of(L);
  lua_Debug ar;
  char where[LN_ERROR_WHERE] = "";
  bool found = script_frame(L, &ar);
  if (found && ar.currentline == host->where_line && strcmp(ar.short_src, host->where_source) == 0) return;
  if (found) where_text(&ar, where);
  host->where_line = 0;
  if (ln_set_where(host->ctx, where) != LN_OK) vm_raise(L, NULL);
  if (!found) return;
  memcpy(host->where_source, ar.short_src, sizeof host->where_source);
  host->where_line = ar.currentline;
}

void vm_poll(lua_State *L) {
  ln_ctx *ctx = vm_ctx(L);
  if (atomic_load_explicit(&ctx->interrupt, memory_order_relaxed) == 0) return;
  ln_error err;
  ln_fail(&err, LN_EINTR, "interrupted");
  vm_raise(L, &err);
}

/* -- the layer path */

static void set_layer(lua_State *L, vm_host *host, int layers) {
  host->layers = layers;
  int kept = layers < VM_LAYER_DEPTH ? layers : VM_LAYER_DEPTH;
  host->layer[kept == 0 ? 0 : host->layer_end[kept - 1]] = '\0';
  if (ln_set_layer(host->ctx, host->layer) != LN_OK) vm_raise(L, NULL);
}

int vm_push_layer(lua_State *L) {
  const char *name = luaL_checkstring(L, 1);
  vm_ctx(L);
  vm_host *host = vm_host_of(L);
  int depth = host->layers;
  if (depth < VM_LAYER_DEPTH) {
    size_t used = depth == 0 ? 0 : host->layer_end[depth - 1];
    size_t length = strlen(name), room = sizeof host->layer - 1 - used;
    if (used > 0 && room > 0) {
      host->layer[used++] = '.';
      room--;
    }
    if (length > room) length = room;
    memcpy(host->layer + used, name, length);
    host->layer_end[depth] = used + length; /* set_layer ends the text there */
  }
  set_layer(L, host, depth + 1);
  return 0;
}

int vm_pop_layer(lua_State *L) {
  vm_ctx(L);
  vm_host *host = vm_host_of(L);
  if (host->layers > 0) set_layer(L, host, host->layers - 1);
  return 0;
}

void vm_reset_layers(lua_State *L) {
  vm_host *host = vm_host_of(L);
  if (host->ctx == NULL || host->layers == 0) return;
  host->layers = 0;
  host->layer[0] = '\0';
  ln_set_layer(host->ctx, ""); /* interned when the context was opened: cannot fail */
}

/* -- errors */

static void set_text(lua_State *L, const char *key, const char *text) {
  if (text[0] == '\0') return;
  lua_pushstring(L, text);
  lua_setfield(L, -2, key);
}

static const char *field(lua_State *L, const char *key) {
  lua_getfield(L, 1, key);
  return lua_isstring(L, -1) ? lua_tostring(L, -1) : "";
}

static int error_tostring(lua_State *L) {
  luaL_checktype(L, 1, LUA_TTABLE);
  lua_settop(L, 1);
  const char *where = field(L, "where"), *op = field(L, "op"), *layer = field(L, "layer");
  const char *message = field(L, "message");
  lua_pushfstring(L, "%s%s%s%s%s%s%s%s", where, where[0] ? ": " : "", op[0] ? "[" : "", op,
                  op[0] ? "] " : "", layer, layer[0] ? ": " : "", message);
  return 1;
}

/* "could not train: " .. err is what scripts write; without this it would raise. */
static int error_concat(lua_State *L) {
  lua_settop(L, 2);
  for (int i = 1; i <= 2; i++) {
    lua_getglobal(L, "tostring");
    lua_pushvalue(L, i);
    lua_call(L, 1, 1);
  }
  lua_concat(L, 2);
  return 1;
}

static void push_error_metatable(lua_State *L) {
  lua_pushlightuserdata(L, (void *)&error_metatable_key);
  lua_rawget(L, LUA_REGISTRYINDEX);
  if (!lua_isnil(L, -1)) return;
  lua_pop(L, 1);
  lua_createtable(L, 0, 2);
  lua_pushcfunction(L, error_tostring);
  lua_setfield(L, -2, "__tostring");
  lua_pushcfunction(L, error_concat);
  lua_setfield(L, -2, "__concat");
  lua_pushlightuserdata(L, (void *)&error_metatable_key);
  lua_pushvalue(L, -2);
  lua_rawset(L, LUA_REGISTRYINDEX);
}

int vm_raise(lua_State *L, const ln_error *err) {
  vm_host *host = vm_host_of(L);
  ln_error copy = err != NULL ? *err : host->ctx->error; /* a finalizer below may overwrite it */
  lua_Debug ar;
  if (copy.code == LN_EINTR && host->ctx != NULL) atomic_store(&host->ctx->interrupt, 0);
  if (copy.code != LN_EINTR && copy.where[0] == '\0' && script_frame(L, &ar)) where_text(&ar, copy.where);
  luaL_checkstack(L, 6, "error object");
  lua_createtable(L, 0, 5);
  set_text(L, "code", ln_code_name(copy.code));
  set_text(L, "message", copy.text);
  set_text(L, "op", copy.op);
  set_text(L, "where", copy.where);
  set_text(L, "layer", copy.layer);
  push_error_metatable(L);
  lua_setmetatable(L, -2);
  return lua_error(L);
}

int vm_misuse(lua_State *L, const char *op, const char *format, ...) {
  ln_error err = {.code = LN_EINVAL};
  va_list args;
  va_start(args, format);
  vsnprintf(err.text, sizeof err.text, format, args);
  va_end(args);
  ln_ctx *ctx = vm_host_of(L)->ctx;
  if (op != NULL) snprintf(err.op, sizeof err.op, "%s", op);
  if (ctx != NULL) {
    vm_where(L);
    snprintf(err.where, sizeof err.where, "%s", ctx->where);
    snprintf(err.layer, sizeof err.layer, "%s", ctx->layer);
  }
  return vm_raise(L, &err);
}

int vm_fail(lua_State *L, const ln_error *err) {
  ln_error copy = err != NULL ? *err : vm_ctx(L)->error;
  lua_pushnil(L);
  lua_pushstring(L, copy.text);
  lua_pushstring(L, ln_code_name(copy.code));
  return 3;
}

int vm_fail_or_raise(lua_State *L, const ln_error *err) {
  if (err == NULL) err = &vm_ctx(L)->error;
  bool environment = err->code == LN_EIO || err->code == LN_EFORMAT || err->code == LN_ENODEV;
  return environment ? vm_fail(L, err) : vm_raise(L, err);
}

void vm_stash_error(lua_State *L, vm_host *host) {
  lua_pushlightuserdata(L, (void *)&error_key);
  lua_insert(L, -2);
  lua_rawset(L, LUA_REGISTRYINDEX);
  host->has_error = true;
}

int vm_raise_stashed(lua_State *L) {
  vm_host *host = vm_host_of(L);
  if (!host->has_error) return vm_raise(L, NULL);
  host->has_error = false;
  lua_pushlightuserdata(L, (void *)&error_key);
  lua_rawget(L, LUA_REGISTRYINDEX);
  lua_pushlightuserdata(L, (void *)&error_key);
  lua_pushboolean(L, 0);
  lua_rawset(L, LUA_REGISTRYINDEX);
  return lua_error(L);
}
