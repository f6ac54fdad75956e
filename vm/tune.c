/* tune.c: module lunette.tune_c: measured choices among kernels (nn/backend.h) as Lua sees them, and the moment when a
 * device opens, at which lib/lua/lunette/tune.lua reads them from its file.
 */
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "../nn/plan/plan.h"
#include "bind.h"

/* Pushes the path of the file, or nil without a home. */
static void push_path(lua_State *L) {
  const char *named = getenv("LUNETTE_TUNE"), *cache = getenv("XDG_CACHE_HOME"), *home = getenv("HOME");
  if (named != NULL && *named != '\0') lua_pushstring(L, named);
  else if (cache != NULL && *cache != '\0') lua_pushfstring(L, "%s/lunette/tune.json", cache);
  else if (home != NULL && *home != '\0') lua_pushfstring(L, "%s/.cache/lunette/tune.json", home);
  else lua_pushnil(L);
}

/* path(): LUNETTE_TUNE, else lunette/tune.json in XDG_CACHE_HOME or ~/.cache; nil without a home */
static int path(lua_State *L) {
  push_path(L);
  return 1;
}

/* The session's device, open and one that makes choices; false with nil, message, code pushed. */
static bool open_device(lua_State *L, ln_ctx *ctx) {
  ln_device d = ctx->options.device;
  if (ln_device_open(ctx, d) != LN_OK) {
    vm_fail_or_raise(L, NULL);
    return false;
  }
  if (ctx->backend[d]->choose != NULL) return true;
  ln_error err;
  ln_fail(&err, LN_ENODEV, "the %s device has no kernels to choose among", ln_device_name(d));
  vm_fail(L, &err);
  return false;
}

/* choose{ {key, kernel}, ... }: the choices of the session's device from now on; true, or nil, message, code */
static int choose(lua_State *L) {
  ln_ctx *ctx = vm_ctx(L);
  luaL_checktype(L, 1, LUA_TTABLE);
  lua_settop(L, 1);
  int count = (int)lua_objlen(L, 1);
  ln_choice *list = lua_newuserdata(L, (size_t)(count > 0 ? count : 1) * sizeof *list);
  for (int i = 0; i < count; i++) {
    lua_rawgeti(L, 1, i + 1);
    luaL_checktype(L, 3, LUA_TTABLE);
    lua_rawgeti(L, 3, 1);
    lua_rawgeti(L, 3, 2);
    if (lua_type(L, 4) != LUA_TSTRING || lua_type(L, 5) != LUA_TSTRING) return luaL_argerror(L, 1, "pairs of texts expected");
    list[i] = (ln_choice){lua_tostring(L, 4), lua_tostring(L, 5)}; /* the table keeps them */
    lua_settop(L, 2);
  }
  if (!open_device(L, ctx)) return 3;
  if (ln_device_choose(ctx, ctx->options.device, list, count) != LN_OK) return vm_raise(L, NULL);
  lua_pushboolean(L, 1);
  return 1;
}

/* planned(): the keys of the choices in all plans at hand, each once, in the order of steps, the last plan first; and a
 * table key -> the kernel that was taken */
static int planned(lua_State *L) {
  const ln_ctx *ctx = vm_ctx(L);
  char key[LN_CHOICE_KEY];
  int count = 0;
  lua_settop(L, 0);
  lua_newtable(L);
  lua_newtable(L);
  for (const ln_plan *plan = ln_plan_last(ctx); plan != NULL; plan = plan->next)
    for (int s = 0; s < plan->nstep; s++) {
      const char *kernel = ln_plan_chosen(ctx, plan, s, key);
      if (kernel == NULL) continue;
      lua_getfield(L, 2, key);
      bool known = !lua_isnil(L, -1);
      lua_pop(L, 1);
      if (known) continue;
      lua_pushstring(L, key);
      lua_rawseti(L, 1, ++count);
      lua_pushstring(L, kernel);
      lua_setfield(L, 2, key);
    }
  return 2;
}

/* rehearse(): plans what is pending without running it */
static int rehearse(lua_State *L) {
  if (ln_rehearse(vm_ctx(L)) != LN_OK) return vm_raise_stashed(L);
  return 0;
}

/* time(key, seconds): { {kernel=, seconds=}, ... }, that of the device's own rules first; nil, message, code for a key
 * that names nothing here or where memory is short */
static int time_choice(lua_State *L) {
  ln_ctx *ctx = vm_ctx(L);
  const char *key = luaL_checkstring(L, 1);
  double seconds = luaL_checknumber(L, 2);
  ln_timing timing[LN_MAX_TIMINGS];
  ln_error err;
  int count;
  if (!open_device(L, ctx)) return 3;
  ln_device d = ctx->options.device;
  if (ctx->backend[d]->time(ctx->self[d], key, seconds, timing, &count, &err) != LN_OK) return vm_fail(L, &err);
  lua_createtable(L, count, 0);
  for (int i = 0; i < count; i++) {
    lua_createtable(L, 0, 2);
    lua_pushstring(L, timing[i].kernel);
    lua_setfield(L, -2, "kernel");
    lua_pushnumber(L, timing[i].seconds);
    lua_setfield(L, -2, "seconds");
    lua_rawseti(L, -2, i + 1);
  }
  return 1;
}

/* -- a device was opened */

static int load_protected(lua_State *L) {
  push_path(L);
  if (lua_isnil(L, -1) || access(lua_tostring(L, -1), F_OK) != 0) return 0; /* the usual case costs no more than this */
  lua_getglobal(L, "require");
  lua_pushliteral(L, "lunette.tune");
  lua_call(L, 1, 1);
  lua_getfield(L, -1, "opened");
  lua_call(L, 0, 0);
  return 0;
}

/* Inside the core, whose frames no Lua error may cross. Without the file's choices everything works, by the shipped rules. */
static void opened(void *host_pointer, ln_device device) {
  vm_host *host = host_pointer;
  const ln_ctx *ctx = host->ctx;
  if (host->L == NULL || ctx->backend[device]->choose == NULL || device != ctx->options.device) return;
  lua_State *L = host->L;
  if (lua_cpcall(L, load_protected, NULL) != 0) {
    const char *text = lua_tostring(L, -1);
    fprintf(stderr, "lunette: measured choices are not used: %s\n", text != NULL ? text : "no memory");
    lua_pop(L, 1);
  }
  vm_ctx(L);
}

void vm_open_tune(vm_host *host) { host->ctx->opened = opened; }

int luaopen_lunette_tune_c(lua_State *L) {
  static const luaL_Reg functions[] = {
      {"path", path}, {"choose", choose}, {"planned", planned}, {"rehearse", rehearse}, {"time", time_choice}, {NULL, NULL}};
  lua_newtable(L);
  luaL_setfuncs(L, functions, 0);
  return 1;
}
