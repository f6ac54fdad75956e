/* tensor_make.c: tensors from numbers and nested tables, and cells. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "bind.h"

/* -- nested tables */

/* A walk over a nested table that fills `data` and knows where it is. */
typedef struct walk {
  lua_State *L;
  ln_meta meta;
  bool booleans, any_dtype;  /* leaves are booleans; the dtype was not asked for */
  int64_t at[LN_MAX_RANK];   /* 1-based position, for messages */
  char *data;
} walk;

static const char *position(const walk *w, int depth, char *text, size_t size) {
  size_t used = (size_t)snprintf(text, size, "[");
  for (int i = 0; i < depth && used < size; i++)
    used += (size_t)snprintf(text + used, size - used, "%s%lld", i == 0 ? "" : ",", (long long)w->at[i]);
  if (used < size) snprintf(text + used, size - used, "]");
  return text;
}

/* The shape is that of the first elements; the walk checks the others against it. */
static void measure(walk *w) {
  lua_State *L = w->L;
  int top = lua_gettop(L);
  lua_pushvalue(L, 1);
  while (lua_istable(L, -1)) {
    if (w->meta.rank == LN_MAX_RANK)
      vm_misuse(L, "tensor", "the tables are nested deeper than %d dimensions", LN_MAX_RANK);
    int64_t n = (int64_t)lua_objlen(L, -1);
    w->meta.dim[w->meta.rank++] = n;
    if (n == 0) break;
    lua_rawgeti(L, -1, 1);
  }
  w->booleans = lua_isboolean(L, -1);
  lua_settop(L, top);
}

static uint16_t to_bf16(double x) {
  float f = (float)x;
  uint32_t bits;
  memcpy(&bits, &f, sizeof bits);
  if (f != f) return (uint16_t)(bits >> 16 | 0x40);
  return (uint16_t)((bits + 0x7fff + (bits >> 16 & 1)) >> 16); /* to nearest, ties to even */
}

static void store(char *data, ln_dtype dtype, double x) {
  switch (dtype) {
    case LN_BOOL: *(uint8_t *)data = x != 0; break;
    case LN_U8: *(uint8_t *)data = (uint8_t)x; break;
    case LN_I32: *(int32_t *)(void *)data = (int32_t)x; break;
    case LN_I64: *(int64_t *)(void *)data = (int64_t)x; break;
    case LN_BF16: *(uint16_t *)(void *)data = to_bf16(x); break;
    case LN_F32: *(float *)(void *)data = (float)x; break;
    case LN_F64: *(double *)(void *)data = x; break;
    case LN_NONE: case LN_DTYPE_COUNT: break;
  }
}

static void leaf(walk *w) {
  lua_State *L = w->L;
  char where[96];
  bool boolean = lua_isboolean(L, -1);
  int rank = w->meta.rank;
  if (!boolean && lua_type(L, -1) != LUA_TNUMBER)
    vm_misuse(L, "tensor", "at %s: expected a number, got %s%s", position(w, rank, where, sizeof where),
              vm_kind(L, -1), lua_istable(L, -1) ? " (rows of different depth)" : "");
  if (boolean != w->booleans && w->any_dtype)
    vm_misuse(L, "tensor", "at %s: numbers and booleans are mixed; give {dtype = ...} to say which is meant",
              position(w, rank, where, sizeof where));
  double x = boolean ? lua_toboolean(L, -1) : lua_tonumber(L, -1);
  if (!vm_fits(w->meta.dtype, x))
    vm_misuse(L, "tensor", "at %s: %.17g does not fit into %s", position(w, rank, where, sizeof where), x,
              ln_dtype_name(w->meta.dtype));
  store(w->data, w->meta.dtype, x);
  w->data += ln_dtype_size(w->meta.dtype);
}

static void fill(walk *w, int depth) {
  lua_State *L = w->L;
  char where[96];
  if (depth == w->meta.rank) {
    leaf(w);
    return;
  }
  int64_t want = w->meta.dim[depth];
  if (!lua_istable(L, -1))
    vm_misuse(L, "tensor", "at %s: expected a table of %lld, got %s",
              position(w, depth, where, sizeof where), (long long)want, vm_kind(L, -1));
  if ((int64_t)lua_objlen(L, -1) != want)
    vm_misuse(L, "tensor", "ragged table: at %s there are %lld elements, the first one beside it has %lld",
              position(w, depth, where, sizeof where), (long long)lua_objlen(L, -1), (long long)want);
  for (int64_t i = 1; i <= want; i++) {
    w->at[depth] = i;
    lua_rawgeti(L, -1, (int)i);
    fill(w, depth + 1);
    lua_pop(L, 1);
  }
}

/* Pushes the tensor that the number or nested table at 1 describes. */
static ln_value *from_lua(lua_State *L, ln_dtype dtype) {
  walk w = {.L = L, .any_dtype = dtype == LN_NONE};
  luaL_checkstack(L, LN_MAX_RANK + 8, "tensor");
  measure(&w);
  w.meta.dtype = dtype != LN_NONE ? dtype : w.booleans ? LN_BOOL : LN_F32;
  char *data = lua_newuserdata(L, ln_nbytes(&w.meta) + 8);
  w.data = data;
  lua_pushvalue(L, 1);
  fill(&w, 0);
  lua_pop(L, 1);
  ln_value **slot = vm_new_tensor(L);
  if (ln_value_from(vm_ctx(L), &w.meta, data, slot) != LN_OK) vm_raise(L, NULL);
  lua_remove(L, -2);
  return *slot;
}

/* -- the functions */

static void check_device(lua_State *L, const char *op, int options) {
  const char *device = vm_opt_string(L, options, "device", NULL);
  const char *here = ln_device_name(vm_ctx(L)->options.device);
  if (device != NULL && strcmp(device, here) != 0)
    vm_misuse(L, op, "device: this session runs on %s, got \"%s\"", here, device);
}

ln_value *vm_new_cell(lua_State *L, ln_value *from, ln_dtype dtype, bool requires_grad) {
  ln_ctx *ctx = vm_ctx(L);
  ln_meta meta = from->meta;
  meta.dtype = dtype;
  ln_value **slot = vm_new_tensor(L);
  int index = lua_gettop(L);
  if (ln_cell_new(ctx, &meta, requires_grad, slot) != LN_OK) vm_raise(L, NULL);
  vm_write(L, index, from);
  lua_settop(L, index);
  return *slot;
}

/* core.tensor(x, {dtype, device, requires_grad}) */
static int make_tensor(lua_State *L) {
  vm_poll(L);
  lua_settop(L, 2);
  ln_dtype dtype = vm_opt_dtype(L, "tensor", 2);
  bool requires_grad = vm_opt_bool(L, 2, "requires_grad", false);
  check_device(L, "tensor", 2);
  vm_where(L);
  ln_value *v = vm_test_tensor(L, 1);
  int type = lua_type(L, 1);
  if (v == NULL && type != LUA_TNUMBER && type != LUA_TBOOLEAN && type != LUA_TTABLE)
    vm_misuse(L, "tensor", "expected a number, a nested table or a tensor, got %s", vm_kind(L, 1));
  if (v == NULL) v = from_lua(L, dtype);
  else if (!requires_grad) v = vm_record1(L, LN_OP_detach, &v, 1, NULL);
  if (dtype == LN_NONE) dtype = v->meta.dtype;
  if (requires_grad) vm_new_cell(L, v, dtype, true);
  else if (dtype != v->meta.dtype) vm_cast(L, v, dtype);
  return 1;
}

/* Reads the shape at 1, a table or a number, and the options at 2. */
static void shape_and_options(lua_State *L, const char *op, ln_meta *meta) {
  memset(meta, 0, sizeof *meta);
  lua_settop(L, 2);
  check_device(L, op, 2);
  meta->dtype = vm_opt_dtype(L, op, 2);
  if (meta->dtype == LN_NONE) meta->dtype = LN_F32;
  lua_pushvalue(L, 1); /* alone at the end, so that a number is read as one size */
  meta->rank = vm_check_shape(L, 3, meta->dim);
}

/* core.cell(shape or tensor, {dtype, requires_grad}) */
static int make_cell(lua_State *L) {
  vm_poll(L);
  vm_where(L);
  bool requires_grad = vm_opt_bool(L, 2, "requires_grad", false);
  ln_value *from = vm_test_tensor(L, 1);
  ln_meta meta;
  if (from != NULL) {
    ln_dtype dtype = vm_opt_dtype(L, "cell", 2);
    check_device(L, "cell", 2);
    vm_new_cell(L, from, dtype == LN_NONE ? from->meta.dtype : dtype, requires_grad);
    return 1;
  }
  shape_and_options(L, "cell", &meta);
  if (ln_cell_new(vm_ctx(L), &meta, requires_grad, vm_new_tensor(L)) != LN_OK) vm_raise(L, NULL);
  return 1;
}

/* core.empty(shape, {dtype}): a fresh leaf for ptr("w"); zeros, so that nothing is ever undefined. */
static int make_empty(lua_State *L) {
  vm_poll(L);
  ln_meta meta;
  shape_and_options(L, "empty", &meta);
  ln_value **slot = vm_new_tensor(L);
  if (ln_value_new(vm_ctx(L), &meta, slot) != LN_OK) vm_raise(L, NULL);
  void *data = ln_value_fill(*slot);
  if (data == NULL) vm_misuse(L, "empty", "%s memory cannot be written from a script", ln_device_name((*slot)->device));
  memset(data, 0, ln_nbytes(&meta));
  return 1;
}

const luaL_Reg vm_make_functions[] = {
    {"tensor", make_tensor}, {"cell", make_cell}, {"empty", make_empty}, {NULL, NULL}};
