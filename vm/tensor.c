/* tensor.c: the tensor userdata: its slot, fields, methods, and metatable.
 *
 * A userdata holds one ln_value handle. Methods that re-point (t[i] = v, names ending
 * in _) put another value into the slot of that one userdata.
 */
#include <string.h>

#include "bind.h"

typedef enum tensor_field {
  FIELD_SHAPE = 1, FIELD_DTYPE, FIELD_DEVICE, FIELD_REQUIRES_GRAD, FIELD_GRAD, FIELD_IS_CELL, FIELD_T
} tensor_field;

static const char *const field_names[] = {
    [FIELD_SHAPE] = "shape",   [FIELD_DTYPE] = "dtype",     [FIELD_DEVICE] = "device",
    [FIELD_GRAD] = "grad",     [FIELD_IS_CELL] = "is_cell", [FIELD_REQUIRES_GRAD] = "requires_grad",
    [FIELD_T] = "T",
};

/* -- slots */

/* luaL_testudata without its look-up by name: every op asks several times. */
static vm_tensor *tensor_at(lua_State *L, int index) {
  vm_tensor *t = lua_touserdata(L, index);
  if (t == NULL || lua_getmetatable(L, index) == 0) return NULL;
  bool ours = lua_topointer(L, -1) == vm_host_of(L)->tensor_metatable;
  lua_pop(L, 1);
  return ours ? t : NULL;
}

static const size_t COLLECT_STEP = (size_t)64 << 20;

/* Live bytes without the free buffers that wait in the core's pool. */
static size_t used_bytes(const ln_ctx *ctx) {
  size_t used = atomic_load_explicit(&ctx->mem.live, memory_order_relaxed);
  for (const ln_buffer *b = ctx->pool; b != NULL; b = b->next) used -= b->bytes < used ? b->bytes : used;
  return used;
}

/* Lua sees a few bytes where a tensor holds megabytes. A flush collects, but leaves made
 * without one (loaded images, --eager) would pile up until memory ran out. */
static void collect_if_grown(vm_host *host) {
  const ln_ctx *ctx = host->ctx;
  if (atomic_load_explicit(&ctx->mem.live, memory_order_relaxed) < host->collect_at) return;
  size_t used = used_bytes(ctx);
  if (used < host->collect_at) return;
  vm_collect(host);
  used = used_bytes(ctx);
  host->collect_at = used + (used / 2 > COLLECT_STEP ? used / 2 : COLLECT_STEP);
}

ln_value **vm_new_tensor(lua_State *L) {
  vm_ctx(L);
  vm_host *host = vm_host_of(L);
  if (!host->collecting) collect_if_grown(host);
  vm_tensor *t = lua_newuserdata(L, sizeof *t);
  t->value = NULL;
  t->host = host;
  lua_rawgeti(L, LUA_REGISTRYINDEX, host->tensor_ref);
  lua_setmetatable(L, -2);
  return &t->value;
}

void vm_push_value(lua_State *L, ln_value *v) {
  ln_value **slot = vm_new_tensor(L);
  ln_value_hold(v);
  *slot = v;
}

ln_value *vm_test_tensor(lua_State *L, int arg) {
  vm_tensor *t = tensor_at(L, arg);
  return t == NULL ? NULL : t->value;
}

const char *vm_kind(lua_State *L, int index) {
  vm_tensor *t = tensor_at(L, index);
  if (t == NULL) return lua_isnone(L, index) ? "nothing" : luaL_typename(L, index);
  return t->value == NULL ? "a freed tensor" : "a tensor";
}

ln_value *vm_check_tensor(lua_State *L, int arg) {
  ln_value *v = vm_test_tensor(L, arg);
  if (v == NULL)
    vm_misuse(L, NULL, "argument %d: expected a tensor, got %s%s", arg, vm_kind(L, arg),
              arg == 1 && lua_istable(L, arg) ? " (methods are called with a colon: t:name())" : "");
  return v;
}

static void release(vm_tensor *t) {
  ln_value *v = t->value;
  t->value = NULL; /* first, so that a finalizer that comes back finds it empty */
  if (v != NULL) ln_value_drop(t->host->ctx, v);
}

void vm_drop_tensor(lua_State *L, int index) {
  vm_tensor *t = tensor_at(L, index);
  if (t != NULL) release(t);
}

void vm_repoint(lua_State *L, int index, ln_value *v) {
  vm_tensor *t = luaL_checkudata(L, index, VM_TENSOR);
  ln_value_hold(v);
  release(t);
  t->value = v;
}

static int tensor_gc(lua_State *L) {
  vm_tensor *t = tensor_at(L, 1);
  if (t != NULL && t->value != NULL) {
    vm_ctx(L);
    release(t);
  }
  return 0;
}

static int tensor_free(lua_State *L) {
  vm_ctx(L);
  release(luaL_checkudata(L, 1, VM_TENSOR));
  return 0;
}

/* -- fields */

#define VM_SHAPE "lunette.shape"

/* A shape is a list of numbers; printed it reads 2x3, as in messages. */
static int shape_tostring(lua_State *L) {
  luaL_checktype(L, 1, LUA_TTABLE);
  lua_settop(L, 1);
  int n = (int)lua_objlen(L, 1);
  luaL_Buffer text;
  luaL_buffinit(L, &text);
  if (n == 0) luaL_addstring(&text, "scalar");
  for (int i = 1; i <= n; i++) {
    if (i > 1) luaL_addchar(&text, 'x');
    lua_rawgeti(L, 1, i);
    if (!lua_isstring(L, -1)) luaL_error(L, "a shape is a list of numbers, but item %d is a %s", i, luaL_typename(L, -1));
    luaL_addvalue(&text);
  }
  luaL_pushresult(&text);
  return 1;
}

/* What the list has not: -1 is the last dimension, as everywhere; 0 is Python's first and an
 * error; behind the end is nil, where ipairs stops. */
static int shape_index(lua_State *L) {
  if (lua_type(L, 2) != LUA_TNUMBER) return 0;
  lua_Number at = lua_tonumber(L, 2), n = (lua_Number)lua_objlen(L, 1);
  if (at > 0) return 0;
  if (at == 0) vm_misuse(L, "shape", "there is no dimension 0: dimensions count from 1, and -1 is the last");
  if (at + n < 0) vm_misuse(L, "shape", "there is no dimension %g of %g", (double)at, (double)n);
  lua_rawgeti(L, 1, (int)(n + at) + 1);
  return 1;
}

static int push_shape(lua_State *L, const ln_meta *meta) {
  lua_createtable(L, meta->rank, 0);
  luaL_getmetatable(L, VM_SHAPE);
  lua_setmetatable(L, -2);
  for (int i = 0; i < meta->rank; i++) {
    lua_pushnumber(L, (lua_Number)meta->dim[i]);
    lua_rawseti(L, -2, i + 1);
  }
  return 1;
}

static int transposed(lua_State *L, ln_value *v) {
  if (v->meta.rank != 2) {
    char shape[LN_SHAPE_TEXT];
    return vm_misuse(L, "T", "needs 2 dimensions, got %s", ln_shape_text(&v->meta, shape, sizeof shape));
  }
  ln_attrs attrs;
  ln_attrs_default(&attrs, NULL);
  attrs.ndims = 2;
  attrs.dims[0] = 1;
  vm_record1(L, LN_OP_permute, &v, 1, &attrs);
  return 1;
}

static int get_field(lua_State *L, ln_value *v, tensor_field field) {
  switch (field) {
    case FIELD_SHAPE: return push_shape(L, &v->meta);
    case FIELD_DTYPE: lua_pushstring(L, ln_dtype_name(v->meta.dtype)); return 1;
    case FIELD_DEVICE: lua_pushstring(L, ln_device_name(v->device)); return 1;
    case FIELD_REQUIRES_GRAD: lua_pushboolean(L, v->requires_grad); return 1;
    case FIELD_IS_CELL: lua_pushboolean(L, v->is_cell); return 1;
    case FIELD_T: return transposed(L, v);
    case FIELD_GRAD:
      if (v->grad == NULL) lua_pushnil(L);
      else vm_push_value(L, v->grad);
      return 1;
  }
  return 0;
}

/* Upvalues: field names to tensor_field; core.methods. */
static int tensor_index(lua_State *L) {
  if (lua_type(L, 2) != LUA_TSTRING) {
    vm_check_tensor(L, 1);
    vm_poll(L);
    lua_settop(L, 2);
    vm_index(L);
    return 1;
  }
  lua_pushvalue(L, 2);
  lua_rawget(L, lua_upvalueindex(1));
  tensor_field field = (tensor_field)lua_tointeger(L, -1);
  if (field != 0) return get_field(L, vm_check_tensor(L, 1), field);
  lua_pushvalue(L, 2);
  lua_gettable(L, lua_upvalueindex(2));
  return 1;
}

/* p.grad = nil forgets it; p.grad = tensor puts that into the slot (gradient clipping). */
static void set_grad(lua_State *L, ln_value *v) {
  char shape[LN_SHAPE_TEXT], other[LN_SHAPE_TEXT];
  ln_value *grad = lua_isnil(L, 3) ? NULL : vm_test_tensor(L, 3);
  if (!v->is_cell) vm_misuse(L, NULL, "grad: only cells (parameters) have a gradient slot");
  if (grad == NULL && !lua_isnil(L, 3))
    vm_misuse(L, NULL, "grad: expected a tensor or nil, got %s", vm_kind(L, 3));
  if (grad != NULL && (!ln_same_shape(&grad->meta, &v->meta) || grad->meta.dtype != v->meta.dtype))
    vm_misuse(L, NULL, "grad: the parameter is %s %s, the gradient %s %s", ln_dtype_name(v->meta.dtype),
              ln_shape_text(&v->meta, shape, sizeof shape), ln_dtype_name(grad->meta.dtype),
              ln_shape_text(&grad->meta, other, sizeof other));
  ln_value *old = v->grad;
  if (grad != NULL) ln_value_hold(grad);
  v->grad = grad;
  ln_value_drop(vm_ctx(L), old);
}

static void set_requires_grad(lua_State *L, ln_value *v, bool wanted) {
  ln_value *in = v;
  if (wanted && !ln_is_float(v->meta.dtype))
    vm_misuse(L, "requires_grad_", "only float tensors can require a gradient, got %s",
              ln_dtype_name(v->meta.dtype));
  if (v->is_cell) v->requires_grad = wanted;
  else if (wanted) vm_repoint(L, 1, vm_new_cell(L, v, v->meta.dtype, true));
  else if (v->requires_grad) vm_repoint(L, 1, vm_record1(L, LN_OP_detach, &in, 1, NULL));
}

static int tensor_newindex(lua_State *L) {
  ln_value *v = vm_check_tensor(L, 1);
  lua_settop(L, 3);
  if (lua_type(L, 2) != LUA_TSTRING) {
    vm_poll(L);
    vm_assign_index(L);
    return 0;
  }
  const char *name = lua_tostring(L, 2);
  if (strcmp(name, "grad") == 0) set_grad(L, v);
  else if (strcmp(name, "requires_grad") == 0) set_requires_grad(L, v, lua_toboolean(L, 3) != 0);
  else vm_misuse(L, NULL, "a tensor's field '%s' cannot be set", name);
  return 0;
}

/* -- methods */

static int tensor_size(lua_State *L) {
  const ln_meta *meta = &vm_check_tensor(L, 1)->meta;
  if (lua_isnoneornil(L, 2)) return push_shape(L, meta);
  char shape[LN_SHAPE_TEXT];
  int64_t d = vm_check_int(L, 2);
  if (d == 0)
    vm_misuse(L, "size", "there is no dimension 0: dimensions count from 1, and -1 is the last");
  if (d > meta->rank || d < -meta->rank)
    vm_misuse(L, "size", "dimension %lld of a tensor with %d (%s)", (long long)d, meta->rank,
              ln_shape_text(meta, shape, sizeof shape));
  lua_pushnumber(L, (lua_Number)meta->dim[d > 0 ? d - 1 : meta->rank + d]);
  return 1;
}

static int tensor_dim(lua_State *L) {
  lua_pushinteger(L, vm_check_tensor(L, 1)->meta.rank);
  return 1;
}

static int tensor_numel(lua_State *L) {
  lua_pushnumber(L, (lua_Number)ln_numel(&vm_check_tensor(L, 1)->meta));
  return 1;
}

static int tensor_ready(lua_State *L) {
  const ln_value *v = vm_check_tensor(L, 1);
  lua_pushboolean(L, ln_value_ready(v) && v->pending_writes == 0);
  return 1;
}

static int tensor_zero_grad(lua_State *L) {
  ln_value *v = vm_check_tensor(L, 1), *old = v->grad;
  v->grad = NULL;
  ln_value_drop(vm_ctx(L), old);
  lua_settop(L, 1);
  return 1;
}

static int tensor_requires_grad(lua_State *L) {
  ln_value *v = vm_check_tensor(L, 1);
  vm_where(L);
  set_requires_grad(L, v, lua_isnoneornil(L, 2) || lua_toboolean(L, 2) != 0);
  lua_settop(L, 1);
  return 1;
}

static const luaL_Reg methods[] = {
    {"size", tensor_size},     {"dim", tensor_dim},         {"numel", tensor_numel},
    {"item", vm_item},         {"tolist", vm_tolist},       {"ptr", vm_ptr},
    {"backward", vm_backward}, {"free", tensor_free},       {"ready", tensor_ready},
    {"assign_", vm_assign},    {"zero_grad", tensor_zero_grad},
    {"requires_grad_", tensor_requires_grad},
    {NULL, NULL},
};

/* -- metamethods that are no ops */

static int tensor_len(lua_State *L) {
  const ln_meta *meta = &vm_check_tensor(L, 1)->meta;
  if (meta->rank == 0) vm_misuse(L, "#", "a scalar has no length; t:item() gives its number");
  lua_pushnumber(L, (lua_Number)meta->dim[0]);
  return 1;
}

static int tensor_eq(lua_State *L) {
  const ln_value *a = vm_test_tensor(L, 1), *b = vm_test_tensor(L, 2);
  lua_pushboolean(L, a != NULL && a == b);
  return 1;
}

static int tensor_concat(lua_State *L) {
  return vm_misuse(L, "..", "a tensor is no text: use t:item() for a number, tostring(t) for its printed form");
}

static int tensor_lt(lua_State *L) {
  return vm_misuse(L, "<", "Lua's < and > cannot give a tensor: use a:lt(b) or a:gt(b), or a:item() for numbers");
}

static int tensor_le(lua_State *L) {
  return vm_misuse(L, "<=", "Lua's <= and >= cannot give a tensor: use a:le(b) or a:ge(b), or a:item() for numbers");
}

static int tensor_call(lua_State *L) {
  return vm_misuse(L, "()", "a tensor is no function; to index it write t[i] or t[{i, j}]");
}

static const luaL_Reg metamethods[] = {
    {"__gc", tensor_gc},         {"__newindex", tensor_newindex}, {"__len", tensor_len},
    {"__eq", tensor_eq},         {"__concat", tensor_concat},     {"__lt", tensor_lt},
    {"__le", tensor_le},         {"__call", tensor_call},         {"__tostring", vm_tensor_tostring},
    {NULL, NULL},
};

void vm_open_tensor(lua_State *L) {
  luaL_newmetatable(L, VM_SHAPE);
  lua_pushcfunction(L, shape_tostring);
  lua_setfield(L, -2, "__tostring");
  lua_pushcfunction(L, shape_index);
  lua_setfield(L, -2, "__index");
  lua_pop(L, 1);
  luaL_newmetatable(L, VM_TENSOR);
  vm_host *host = vm_host_of(L);
  host->tensor_metatable = lua_topointer(L, -1);
  lua_pushvalue(L, -1);
  host->tensor_ref = luaL_ref(L, LUA_REGISTRYINDEX);
  luaL_setfuncs(L, metamethods, 0);
  lua_newtable(L);
  for (int f = FIELD_SHAPE; f <= FIELD_T; f++) {
    lua_pushinteger(L, f);
    lua_setfield(L, -2, field_names[f]);
  }
  lua_newtable(L);
  luaL_setfuncs(L, methods, 0);
  lua_pushvalue(L, -2);
  lua_pushvalue(L, -2);
  lua_pushcclosure(L, tensor_index, 2);
  lua_setfield(L, -4, "__index");
  lua_replace(L, -3); /* core.methods stays, the metatable and the field names go */
  lua_pop(L, 1);
}
