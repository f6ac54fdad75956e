/* state_core.c: lunette.core: puts the bindings together, and the calls about the
 * context itself. */
#include <math.h>
#include <string.h>
#include <sys/resource.h>

#include "bind.h"
#include "../nn/plan/plan.h"

static int seed(lua_State *L) {
  double s = luaL_checknumber(L, 1);
  if (s != floor(s) || s < 0 || s > 9007199254740992.0)
    vm_misuse(L, "seed", "expected a whole number from 0 to 2^53, got %.17g", s);
  ln_seed(vm_ctx(L), (uint64_t)s);
  return 0;
}

static int flush(lua_State *L) {
  vm_poll(L);
  ln_code code = ln_flush(vm_ctx(L));
  vm_heap_warm(&vm_host_of(L)->heap); /* the kernels have driven it out of the caches, and the script goes on */
  if (code != LN_OK) vm_raise_stashed(L);
  return 0;
}

static void set_number(lua_State *L, const char *key, double value) {
  lua_pushnumber(L, value);
  lua_setfield(L, -2, key);
}

/* core.mem(): bytes. limit 0 = none; pending is what recorded operations stand for. */
static int mem(lua_State *L) {
  ln_ctx *ctx = vm_ctx(L);
  const ln_mem *lua = vm_lua_mem(L);
  lua_createtable(L, 0, 7);
  set_number(L, "live", (double)atomic_load(&ctx->mem.live));
  set_number(L, "peak", (double)atomic_load(&ctx->mem.peak));
  set_number(L, "limit", (double)ctx->mem.limit);
  set_number(L, "pending", (double)ctx->pending_bytes);
  set_number(L, "lua_live", (double)atomic_load(&lua->live));
  set_number(L, "lua_peak", (double)atomic_load(&lua->peak));
  set_number(L, "lua_limit", (double)lua->limit);
  return 1;
}

/* core.stats(): counters since the start. allocations and large_allocations (64 KB and more) are those of
 * tensors, plans and recorded operations; lua_allocations those of Lua; page_faults those of the whole
 * process that the system served without a disk. */
static int stats(lua_State *L) {
  const ln_ctx *ctx = vm_ctx(L);
  struct rusage usage = {0};
  getrusage(RUSAGE_SELF, &usage);
  lua_createtable(L, 0, 9);
  set_number(L, "allocations", (double)atomic_load(&ctx->mem.count));
  set_number(L, "large_allocations", (double)atomic_load(&ctx->mem.large));
  set_number(L, "lua_allocations", (double)atomic_load(&vm_lua_mem(L)->count));
  set_number(L, "page_faults", (double)usage.ru_minflt);
  set_number(L, "flushes", (double)ctx->stat_flushes);
  set_number(L, "plans", (double)ctx->stat_plans);
  set_number(L, "plan_hits", (double)ctx->stat_plan_hits);
  set_number(L, "steps", (double)ctx->stat_steps);
  set_number(L, "pending", ctx->npending);
  return 1;
}

/* core.device() -> the session's device, what it is; core.device(name) -> true when that
 * device can be opened here, or nil, message, code. */
static int device(lua_State *L) {
  ln_ctx *ctx = vm_ctx(L);
  ln_device d = ctx->options.device;
  char text[256] = "";
  if (!lua_isnoneornil(L, 1)) {
    const char *name = luaL_checkstring(L, 1);
    d = ln_device_named(name);
    if (d == LN_DEVICE_COUNT) vm_misuse(L, "device", "unknown \"%s\"; there are cpu, reference, cuda", name);
    if (ln_device_open(ctx, d) != LN_OK) return vm_fail_or_raise(L, NULL);
    lua_pushboolean(L, 1);
    return 1;
  }
  if (ctx->backend[d] != NULL) ctx->backend[d]->describe(ctx->self[d], text, sizeof text);
  lua_pushstring(L, ln_device_name(d));
  lua_pushstring(L, text);
  return 2;
}

/* core.limit([bytes]) -> what it was; 0 = none */
static int limit(lua_State *L) {
  ln_ctx *ctx = vm_ctx(L);
  size_t before = ctx->mem.limit;
  if (!lua_isnoneornil(L, 1)) {
    double bytes = luaL_checknumber(L, 1);
    if (!(bytes >= 0 && bytes < 9e15)) vm_misuse(L, "limit", "expected a number of bytes, got %.17g", bytes);
    ctx->mem.limit = (size_t)bytes;
  }
  lua_pushnumber(L, (lua_Number)before);
  return 1;
}

/* core.interrupted() -> was Ctrl-C pressed? Asking takes it: the caller stops by itself. */
static int interrupted(lua_State *L) {
  lua_pushboolean(L, atomic_exchange(&vm_ctx(L)->interrupt, 0) != 0);
  return 1;
}

/* core.fail_at(n): the n-th allocation from now fails, of the Lua state too where `lua`
 * is true; for tests of what happens then. 0 takes it back. Says whether an earlier
 * one had still been waiting. */
static int fail_at(lua_State *L) {
  ln_mem *counters = lua_toboolean(L, 2) ? vm_lua_mem(L) : &vm_ctx(L)->mem;
  double n = luaL_checknumber(L, 1);
  size_t at = n < 1 ? 0 : atomic_load(&counters->count) + (size_t)n;
  lua_pushboolean(L, atomic_exchange(&counters->fail_at, at) != 0);
  return 1;
}

/* core.passes("-name,-name"): the planner's passes that are left out from now on; "" = none. */
static int passes(lua_State *L) {
  ln_ctx *ctx = vm_ctx(L);
  ln_error err = {0};
  unsigned off;
  if (ln_passes_parse(luaL_checkstring(L, 1), &off, &err) != LN_OK) vm_misuse(L, "passes", "%s", err.text);
  ctx->passes_off = off;
  return 0;
}

/* core.plan_steps() -> the steps of the plan that ran last, as {op =, elided =, layouts = "pbb"} (inputs,
 * then outputs; p plain, b blocked, - absent; capitals lie inside another value), and its arena's bytes. Where the
 * backend had a choice, kernel = "winograd" and key =, which measured choices go by. */
static int plan_steps(lua_State *L) {
  const ln_ctx *ctx = vm_ctx(L);
  const ln_plan *plan = ln_plan_last(ctx);
  lua_newtable(L);
  for (int s = 0; plan != NULL && s < plan->nstep; s++) {
    const ln_step *step = &plan->step[s];
    char layouts[128], key[LN_CHOICE_KEY];
    const char *kernel = ln_plan_chosen(ctx, plan, s, key);
    lua_createtable(L, 0, 5);
    lua_pushstring(L, kernel);
    lua_setfield(L, -2, "kernel");
    lua_pushstring(L, kernel == NULL ? NULL : key);
    lua_setfield(L, -2, "key");
    lua_pushstring(L, ln_op_get(step->call.op)->name);
    lua_setfield(L, -2, "op");
    lua_pushboolean(L, step->elided);
    lua_setfield(L, -2, "elided");
    lua_pushlstring(L, layouts, ln_plan_layouts(plan, s, layouts, sizeof layouts));
    lua_setfield(L, -2, "layouts");
    lua_rawseti(L, -2, s + 1);
  }
  lua_pushnumber(L, plan == NULL ? 0 : (lua_Number)plan->arena_bytes);
  return 2;
}

static const luaL_Reg context_functions[] = {
    {"seed", seed},     {"flush", flush},   {"mem", mem},
    {"stats", stats},   {"device", device}, {"limit", limit},
    {"fail_at", fail_at},
    {"interrupted", interrupted}, {"passes", passes}, {"plan_steps", plan_steps},
    {"push_layer", vm_push_layer}, {"pop_layer", vm_pop_layer}, {"op_table", vm_op_table},
    {NULL, NULL}};

int luaopen_lunette_core(lua_State *L) {
  vm_ctx(L);
  lua_newtable(L);
  int core = lua_gettop(L);
  vm_open_tensor(L);
  lua_setfield(L, core, "methods");
  vm_open_ops(L);
  luaL_getmetatable(L, VM_TENSOR);
  vm_set_operators(L, core + 2, core + 1);
  lua_pop(L, 1);
  lua_setfield(L, core, "ops");
  luaL_setfuncs(L, context_functions, 0);
  luaL_setfuncs(L, vm_make_functions, 0);
  luaL_setfuncs(L, vm_autograd_functions, 0);
  return 1;
}
