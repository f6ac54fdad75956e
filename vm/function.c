/* function.c: gradients written in Lua (nn.Function).
 *
 * core.func(inputs, outputs, backward) ties computed outputs to the inputs by a tape
 * node with an id. Under that id a registry table keeps the Lua function and what the
 * node's tensors look like. When a backward reaches the node, the core calls
 * host_grad, which runs the function under lua_cpcall: no Lua error crosses the core's
 * frames. The error waits in the registry and is raised when the core has returned.
 */
#include <stdio.h>
#include <string.h>

#include "bind.h"

typedef struct signature {
  int nin, nout;
  ln_meta in[LN_MAX_INPUTS], out[LN_MAX_OUTPUTS];
} signature;

static const char functions_key;

/* Pushes the registry's table of { id = {backward, signature} }. */
static void push_functions(lua_State *L) {
  lua_pushlightuserdata(L, (void *)&functions_key);
  lua_rawget(L, LUA_REGISTRYINDEX);
  if (!lua_isnil(L, -1)) return;
  lua_pop(L, 1);
  lua_newtable(L);
  lua_pushlightuserdata(L, (void *)&functions_key);
  lua_pushvalue(L, -2);
  lua_rawset(L, LUA_REGISTRYINDEX);
}

/* -- called by the core */

typedef struct request {
  vm_host *host;
  int id;
  ln_value *const *gout;
  ln_value **gin;
} request;

static void push_gradients(lua_State *L, const request *r, const signature *s) {
  for (int i = 0; i < s->nout; i++) {
    if (r->gout[i] != NULL) vm_push_value(L, r->gout[i]);
    else vm_full(L, 0, s->out[i].dtype, &s->out[i]); /* nothing arrived: zeros, as PyTorch passes */
  }
}

/* Checks result i, at `index`, and hands it over. */
static void take_gradient(lua_State *L, const request *r, const signature *s, int i, int index) {
  char got[LN_SHAPE_TEXT], want[LN_SHAPE_TEXT];
  ln_value *g = vm_test_tensor(L, index);
  if (g == NULL && lua_toboolean(L, index))
    vm_misuse(L, "function", "backward: gradient %d is %s, expected a tensor or nil", i + 1, vm_kind(L, index));
  if (g == NULL) return;
  if (!ln_same_shape(&g->meta, &s->in[i]))
    vm_misuse(L, "function", "backward: gradient %d is %s, its input is %s", i + 1,
              ln_shape_text(&g->meta, got, sizeof got), ln_shape_text(&s->in[i], want, sizeof want));
  if (g->meta.dtype != s->in[i].dtype) g = vm_cast(L, g, s->in[i].dtype);
  ln_value_hold(g);
  r->gin[i] = g;
}

static int call_backward(lua_State *L) {
  request *r = lua_touserdata(L, 1);
  luaL_checkstack(L, 2 * LN_MAX_INPUTS + 16, "backward");
  push_functions(L);
  lua_rawgeti(L, -1, r->id);
  lua_rawgeti(L, -1, 2);
  const signature *s = lua_touserdata(L, -1);
  lua_rawgeti(L, -2, 1);
  push_gradients(L, r, s);
  int base = lua_gettop(L) - s->nout; /* the function's place, and of its first result */
  lua_call(L, s->nout, s->nin);
  for (int i = 0; i < s->nin; i++) take_gradient(L, r, s, i, base + i);
  return 0;
}

static ln_code host_grad(void *host_pointer, int id, ln_value *const *gout, ln_value **gin) {
  vm_host *host = host_pointer;
  lua_State *L = host->L;
  request r = {host, id, gout, gin};
  int status = lua_cpcall(L, call_backward, &r);
  if (status == 0) {
    vm_ctx(L); /* the function may have run coroutines */
    return LN_OK;
  }
  vm_stash_error(L, host);
  vm_ctx(L);
  return ln_fail(&host->ctx->error, status == LUA_ERRMEM ? LN_ENOMEM : LN_EINVAL,
                 "the backward function raised an error");
}

static int forget_protected(lua_State *L) {
  const request *r = lua_touserdata(L, 1);
  push_functions(L);
  luaL_unref(L, -1, r->id);
  return 0;
}

static void host_forget(void *host_pointer, int id) {
  vm_host *host = host_pointer;
  if (host->L == NULL) return; /* the state is closed */
  request r = {host, id, NULL, NULL};
  if (lua_cpcall(host->L, forget_protected, &r) != 0) lua_pop(host->L, 1);
}

void vm_open_functions(vm_host *host) {
  host->ctx->host_grad = host_grad;
  host->ctx->host_forget = host_forget;
}

/* -- core.func */

/* The tensor at `index` as a computed leaf: one without a node, that is nobody else's.
 * Where it is not one, its value is copied and the handle re-pointed. */
static ln_value *leaf(lua_State *L, int index) {
  ln_value *v = vm_test_tensor(L, index);
  const void *data = vm_data(L, v);
  if (v->node == NULL && !v->is_cell && !v->requires_grad && v->handles == 1 && v->refs == 1) return v;
  ln_value **slot = vm_new_tensor(L);
  if (ln_value_from(vm_ctx(L), &v->meta, data, slot) != LN_OK) vm_raise(L, NULL);
  v = *slot;
  vm_repoint(L, index, v);
  lua_pop(L, 1);
  return v;
}

static int read_tensors(lua_State *L, int arg, const char *what, int most, ln_value **list) {
  if (!lua_istable(L, arg)) vm_misuse(L, "function", "%s: expected a list of tensors, got %s", what, vm_kind(L, arg));
  int n = (int)lua_objlen(L, arg);
  if (n == 0 || n > most) vm_misuse(L, "function", "%s: expected 1 to %d tensors, got %d", what, most, n);
  for (int i = 0; i < n; i++) {
    lua_rawgeti(L, arg, i + 1);
    list[i] = vm_test_tensor(L, -1);
    if (list[i] == NULL)
      vm_misuse(L, "function", "%s: expected a tensor at %d, got %s", what, i + 1, vm_kind(L, -1));
    if (strcmp(what, "outputs") == 0) list[i] = leaf(L, lua_gettop(L));
    lua_pop(L, 1);
  }
  return n;
}

/* Pushes {backward, signature}. */
static void push_entry(lua_State *L, ln_value *const *in, int nin, ln_value *const *out, int nout) {
  lua_createtable(L, 2, 0);
  lua_pushvalue(L, 3);
  lua_rawseti(L, -2, 1);
  signature *s = lua_newuserdata(L, sizeof *s);
  s->nin = nin;
  s->nout = nout;
  for (int i = 0; i < nin; i++) s->in[i] = in[i]->meta;
  for (int i = 0; i < nout; i++) s->out[i] = out[i]->meta;
  lua_rawseti(L, -2, 2);
}

int vm_func(lua_State *L) {
  vm_poll(L);
  lua_settop(L, 3);
  luaL_checktype(L, 3, LUA_TFUNCTION);
  ln_ctx *ctx = vm_ctx(L);
  ln_value *in[LN_MAX_INPUTS], *out[LN_MAX_OUTPUTS];
  vm_where(L);
  int nin = read_tensors(L, 1, "inputs", LN_MAX_INPUTS, in);
  int nout = read_tensors(L, 2, "outputs", LN_MAX_OUTPUTS, out);
  bool wanted = false;
  for (int i = 0; i < nin; i++) wanted = wanted || in[i]->requires_grad;
  if (!wanted || !ctx->grad_enabled) return 0;
  push_functions(L);
  push_entry(L, in, nin, out, nout);
  int id = luaL_ref(L, -2);
  ln_code code = ln_record_function(ctx, in, nin, out, nout, id);
  if (code == LN_OK) return 0;
  luaL_unref(L, -1, id);
  return vm_raise(L, NULL);
}
