/* tensor_read.c: values back to Lua: item, tolist, and FFI pointers. */
#include <string.h>

#include "bind.h"

double vm_element(const void *data, ln_dtype dtype, int64_t i) {
  switch (dtype) {
    case LN_BOOL: return ((const uint8_t *)data)[i] != 0;
    case LN_U8: return ((const uint8_t *)data)[i];
    case LN_I32: return ((const int32_t *)data)[i];
    case LN_I64: return (double)((const int64_t *)data)[i];
    case LN_F32: return (double)((const float *)data)[i];
    case LN_F64: return ((const double *)data)[i];
    case LN_BF16: {
      uint32_t bits = (uint32_t)((const uint16_t *)data)[i] << 16;
      float f;
      memcpy(&f, &bits, sizeof f);
      return (double)f;
    }
    case LN_NONE: case LN_DTYPE_COUNT: break;
  }
  return 0;
}

const void *vm_data(lua_State *L, ln_value *v) {
  const void *data = NULL;
  if (ln_value_host(vm_ctx(L), v, &data) != LN_OK) vm_raise_stashed(L);
  return data;
}

/* bool gives true and false, since in Lua the number 0 is true. */
static void push_element(lua_State *L, const void *data, ln_dtype dtype, int64_t i) {
  double x = vm_element(data, dtype, i);
  if (dtype == LN_BOOL) lua_pushboolean(L, x != 0);
  else lua_pushnumber(L, x);
}

int vm_item(lua_State *L) {
  vm_poll(L);
  ln_value *v = vm_check_tensor(L, 1);
  char shape[LN_SHAPE_TEXT];
  if (ln_numel(&v->meta) != 1)
    vm_misuse(L, "item", "needs one element, got %s; t:tolist() gives them all",
              ln_shape_text(&v->meta, shape, sizeof shape));
  push_element(L, vm_data(L, v), v->meta.dtype, 0);
  return 1;
}

static int64_t push_list(lua_State *L, const void *data, const ln_meta *meta, int depth, int64_t at) {
  if (depth >= meta->rank || depth == LN_MAX_RANK) {
    push_element(L, data, meta->dtype, at);
    return at + 1;
  }
  int64_t n = meta->dim[depth];
  lua_createtable(L, (int)n, 0);
  for (int64_t i = 1; i <= n; i++) {
    at = push_list(L, data, meta, depth + 1, at);
    lua_rawseti(L, -2, (int)i);
  }
  return at;
}

int vm_tolist(lua_State *L) {
  vm_poll(L);
  ln_value *v = vm_check_tensor(L, 1);
  lua_settop(L, 1);
  vm_push_value(L, v); /* a finalizer run by the table growth below might free t */
  luaL_checkstack(L, LN_MAX_RANK + 4, "tolist");
  push_list(L, vm_data(L, v), &v->meta, 0, 0);
  vm_drop_tensor(L, 2);
  return 1;
}

/* -- pointers
 *
 * The registry keeps { cast = ffi.cast, anchors =, writable = }. `anchors` has pointers
 * as weak keys and a second handle of the tensor as values: data stays where it is while
 * the pointer lives, whatever becomes of the script's own handle. `writable` finds the
 * pointer of an earlier ptr("w") again, by the value's address. */

static const char pointers_key;

static const char *const element_types[LN_DTYPE_COUNT] = {
    [LN_BOOL] = "bool",     [LN_U8] = "uint8_t",    [LN_I32] = "int32_t", [LN_I64] = "int64_t",
    [LN_BF16] = "uint16_t", [LN_F32] = "float",     [LN_F64] = "double",
};

static void new_weak_table(lua_State *L, const char *mode) {
  lua_newtable(L);
  lua_createtable(L, 0, 1);
  lua_pushstring(L, mode);
  lua_setfield(L, -2, "__mode");
  lua_setmetatable(L, -2);
}

static void push_pointers(lua_State *L) {
  lua_pushlightuserdata(L, (void *)&pointers_key);
  lua_rawget(L, LUA_REGISTRYINDEX);
  if (!lua_isnil(L, -1)) return;
  lua_pop(L, 1);
  lua_getglobal(L, "require");
  lua_pushliteral(L, "ffi");
  if (!lua_isfunction(L, -2) || lua_pcall(L, 1, 1, 0) != 0 || !lua_istable(L, -1))
    vm_misuse(L, "ptr", "pointers need LuaJIT's ffi module, which is not available here");
  lua_createtable(L, 0, 3);
  lua_getfield(L, -2, "cast");
  lua_setfield(L, -2, "cast");
  new_weak_table(L, "k");
  lua_setfield(L, -2, "anchors");
  new_weak_table(L, "v");
  lua_setfield(L, -2, "writable");
  lua_remove(L, -2);
  lua_pushlightuserdata(L, (void *)&pointers_key);
  lua_pushvalue(L, -2);
  lua_rawset(L, LUA_REGISTRYINDEX);
}

/* Pushes the FFI pointer; the pointers table is at `pointers`. */
static void push_pointer(lua_State *L, int pointers, ln_value *v, const void *data, bool writable) {
  lua_getfield(L, pointers, "anchors");
  lua_getfield(L, pointers, "cast");
  lua_pushfstring(L, "%s%s *", writable ? "" : "const ", element_types[v->meta.dtype]);
  lua_pushlightuserdata(L, (void *)(uintptr_t)data);
  lua_call(L, 2, 1);
  lua_pushvalue(L, -1);
  vm_push_value(L, v);
  lua_rawset(L, -4); /* anchors[pointer] = tensor */
  lua_remove(L, -2);
}

static bool found_writable(lua_State *L, int pointers, ln_value *v) {
  lua_getfield(L, pointers, "writable");
  lua_pushlightuserdata(L, v);
  lua_rawget(L, -2);
  lua_remove(L, -2);
  return !lua_isnil(L, -1);
}

/* Writing is for a leaf that nothing else has seen: values are immutable, and a pending
 * op, a tape or another handle may count on this one. */
static void check_writable(lua_State *L, const ln_value *v, int others) {
  const char *why = NULL;
  if (v->is_cell) why = "cells are written by assign_ and t[...] = v";
  else if (v->device == LN_CUDA) why = "its data is on the device";
  else if (v->node != NULL || v->requires_grad) why = "it belongs to a recorded computation";
  else if (v->refs > others || v->buffer->refs > 1) why = "it is shared with other tensors or recorded operations";
  if (why != NULL)
    vm_misuse(L, "ptr", "mode \"w\" needs a fresh tensor (core.empty, zeros): %s", why);
}

int vm_ptr(lua_State *L) {
  vm_poll(L);
  lua_settop(L, 2);
  ln_value *v = vm_check_tensor(L, 1);
  const char *mode = luaL_optstring(L, 2, "r");
  bool write = strcmp(mode, "w") == 0;
  if (!write && strcmp(mode, "r") != 0) vm_misuse(L, "ptr", "mode: expected \"r\" or \"w\", got \"%s\"", mode);
  push_pointers(L);
  if (!write) {
    push_pointer(L, 3, v, vm_data(L, v), false);
    return 1;
  }
  vm_data(L, v);
  int others = found_writable(L, 3, v) ? 2 : 1; /* the script's handle, and an anchor */
  if (v->refs > others) vm_collect(vm_host_of(L)); /* garbage may still hold it */
  check_writable(L, v, others);
  if (others == 2) return 1;
  lua_settop(L, 3);
  push_pointer(L, 3, v, v->buffer->data, true);
  lua_getfield(L, 3, "writable");
  lua_pushlightuserdata(L, v);
  lua_pushvalue(L, -3);
  lua_rawset(L, -3);
  lua_pop(L, 1);
  return 1;
}
