/* autograd.c: backward, grad, and whether operations are taped. */
#include <string.h>

#include "bind.h"

/* t:backward(retain), core.backward(loss, retain) */
int vm_backward(lua_State *L) {
  vm_poll(L);
  ln_value *loss = vm_check_tensor(L, 1);
  vm_where(L);
  if (ln_backward(vm_ctx(L), loss, lua_toboolean(L, 2) != 0) != LN_OK) return vm_raise_stashed(L);
  return 0;
}

/* Counts the tensors of argument `arg`, one tensor or a list; pushes nothing. */
static int list_length(lua_State *L, int arg) {
  if (vm_test_tensor(L, arg) != NULL) return 1;
  if (lua_istable(L, arg)) return (int)lua_objlen(L, arg);
  return vm_misuse(L, "grad", "argument %d: expected a tensor or a list of tensors, got %s", arg, vm_kind(L, arg));
}

/* The i-th tensor of that argument; NULL for nil and false. The argument keeps it alive. */
static ln_value *list_get(lua_State *L, int arg, int i) {
  ln_value *v = vm_test_tensor(L, arg);
  if (v != NULL) return v;
  lua_rawgeti(L, arg, i + 1);
  v = vm_test_tensor(L, -1);
  if (v == NULL && lua_toboolean(L, -1))
    vm_misuse(L, "grad", "argument %d: expected a tensor at %d, got %s", arg, i + 1, vm_kind(L, -1));
  lua_pop(L, 1);
  return v;
}

static ln_value *list_need(lua_State *L, int arg, int i) {
  ln_value *v = list_get(L, arg, i);
  if (v == NULL) vm_misuse(L, "grad", "argument %d: expected a tensor at %d, got nothing", arg, i + 1);
  return v;
}

/* The gradient that flows into output i: given, or 1 for a one-element output. */
static ln_value *output_gradient(lua_State *L, int i, ln_value *output) {
  ln_value *g = lua_isnoneornil(L, 2) ? NULL : list_get(L, 2, i);
  char shape[LN_SHAPE_TEXT];
  if (g != NULL) return g;
  if (ln_numel(&output->meta) != 1)
    vm_misuse(L, "grad", "output %d has shape %s and needs a gradient of that shape", i + 1,
              ln_shape_text(&output->meta, shape, sizeof shape));
  return vm_full(L, 1, output->meta.dtype, &output->meta);
}

/* core.grad(outputs, gouts, inputs, retain): one result an input, nil where there is no path. */
static int grad(lua_State *L) {
  vm_poll(L);
  lua_settop(L, 4);
  vm_where(L);
  int nout = list_length(L, 1), nin = list_length(L, 3);
  luaL_checkstack(L, nin + nout + 8, "too many tensors");
  size_t slots = (size_t)nin + 2 * (size_t)nout + (size_t)nin;
  ln_value **outputs = lua_newuserdata(L, (slots + 1) * sizeof *outputs);
  ln_value **gout = outputs + nout, **inputs = gout + nout, **grads = inputs + nin;
  memset(outputs, 0, slots * sizeof *outputs);
  for (int i = 0; i < nout; i++) outputs[i] = list_need(L, 1, i);
  for (int i = 0; i < nin; i++) inputs[i] = list_need(L, 3, i);
  for (int i = 0; i < nout; i++) gout[i] = output_gradient(L, i, outputs[i]);
  int base = lua_gettop(L);
  for (int i = 0; i < nin; i++) vm_new_tensor(L);
  if (ln_grad(vm_ctx(L), outputs, gout, nout, inputs, nin, lua_toboolean(L, 4) != 0, grads) != LN_OK)
    return vm_raise_stashed(L);
  for (int i = 0; i < nin; i++) {
    vm_tensor *t = lua_touserdata(L, base + 1 + i);
    t->value = grads[i];
  }
  for (int i = 0; i < nin; i++) {
    if (grads[i] != NULL) continue;
    lua_pushnil(L);
    lua_replace(L, base + 1 + i);
  }
  return nin;
}

/* core.grad_enabled([bool]) -> what it was */
static int grad_enabled(lua_State *L) {
  ln_ctx *ctx = vm_ctx(L);
  bool before = ctx->grad_enabled;
  if (!lua_isnoneornil(L, 1)) ctx->grad_enabled = lua_toboolean(L, 1) != 0;
  lua_pushboolean(L, before);
  return 1;
}

const luaL_Reg vm_autograd_functions[] = {
    {"backward", vm_backward}, {"grad", grad}, {"grad_enabled", grad_enabled}, {"func", vm_func}, {NULL, NULL}};
