/* index.c: t[i], t[{1, {2, 5}, {}}], t[mask] = v.
 *
 * Reading is a slice a dim, then one reshape that drops the dims indexed by a number.
 * Writing goes the same way down, puts the new part in with slice_scatter on the way
 * up, and stores the whole: tensors are values, so a handle is re-pointed (other
 * handles keep the old value) and a cell is assigned.
 */
#include <math.h>
#include <string.h>

#include "bind.h"

typedef struct range {
  int64_t start, stop, step; /* 0-based, stop excluded */
  bool all, drop;            /* the whole dim; indexed by a number */
} range;

static const char OP[] = "index";

/* -- the key, value 2 */

static const char *shape_of(const ln_meta *meta, char text[LN_SHAPE_TEXT]) {
  return ln_shape_text(meta, text, LN_SHAPE_TEXT);
}

static int64_t whole_number(lua_State *L, int d) {
  if (lua_type(L, -1) != LUA_TNUMBER)
    vm_misuse(L, OP, "dimension %d: expected a number or a range {first, last}, got %s", d + 1, vm_kind(L, -1));
  double x = lua_tonumber(L, -1);
  if (x != floor(x) || fabs(x) > 9e15) vm_misuse(L, OP, "dimension %d: %.17g is no whole number", d + 1, x);
  return (int64_t)x;
}

/* 1-based or negative -> 0-based, in range. */
static int64_t place(lua_State *L, const ln_meta *meta, int d, int64_t i) {
  char shape[LN_SHAPE_TEXT];
  int64_t n = meta->dim[d];
  if (i == 0) vm_misuse(L, OP, "dimension %d: there is no index 0: indices count from 1, and -1 is the last", d + 1);
  if (i > n || i < -n)
    vm_misuse(L, OP, "index %lld is out of range for dimension %d of size %lld (tensor %s)", (long long)i, d + 1,
              (long long)n, shape_of(meta, shape));
  return i > 0 ? i - 1 : n + i;
}

/* The range table on top of the stack: {}, {first, last} or {first, last, step}. */
static range read_range(lua_State *L, const ln_meta *meta, int d) {
  range r = {0, meta->dim[d], 1, true, false};
  int n = (int)lua_objlen(L, -1);
  int64_t part[3] = {1, -1, 1};
  if (n == 0) return r;
  if (n == 1 || n > 3) vm_misuse(L, OP, "dimension %d: a range is {first, last} or {first, last, step}", d + 1);
  for (int k = 0; k < n; k++) {
    lua_rawgeti(L, -1, k + 1);
    part[k] = whole_number(L, d);
    lua_pop(L, 1);
  }
  if (part[2] < 1) vm_misuse(L, OP, "dimension %d: step %lld; steps are positive, flip reverses", d + 1, (long long)part[2]);
  r.start = place(L, meta, d, part[0]);
  r.stop = place(L, meta, d, part[1]) + 1;
  r.step = part[2];
  if (r.stop <= r.start)
    vm_misuse(L, OP, "dimension %d: the range %lld..%lld is empty (size %lld)", d + 1, (long long)part[0],
              (long long)part[1], (long long)meta->dim[d]);
  r.all = r.start == 0 && r.stop == meta->dim[d] && r.step == 1;
  return r;
}

static range read_entry(lua_State *L, const ln_meta *meta, int d) {
  if (lua_istable(L, -1)) return read_range(L, meta, d);
  int64_t i = place(L, meta, d, whole_number(L, d));
  return (range){i, i + 1, 1, meta->dim[d] == 1, true};
}

static void read_key(lua_State *L, const ln_meta *meta, range r[LN_MAX_RANK]) {
  char shape[LN_SHAPE_TEXT];
  bool list = lua_istable(L, 2);
  int n = list ? (int)lua_objlen(L, 2) : 1;
  if (!list && lua_type(L, 2) != LUA_TNUMBER)
    vm_misuse(L, OP, "expected a number, a table or a name, got %s", vm_kind(L, 2));
  if (n > meta->rank)
    vm_misuse(L, OP, "%d indices for a tensor with %d dimension%s (%s)", n, meta->rank,
              meta->rank == 1 ? "" : "s", shape_of(meta, shape));
  for (int d = 0; d < meta->rank; d++) {
    r[d] = (range){0, meta->dim[d], 1, true, false};
    if (d >= n) continue;
    if (list) lua_rawgeti(L, 2, d + 1);
    else lua_pushvalue(L, 2);
    r[d] = read_entry(L, meta, d);
    lua_pop(L, 1);
  }
}

/* -- the steps */

static ln_attrs slice_attrs(int d, const range *r) {
  ln_attrs attrs;
  ln_attrs_default(&attrs, NULL);
  attrs.dim = d;
  attrs.start = r->start;
  attrs.stop = r->stop;
  attrs.step = r->step;
  return attrs;
}

static ln_value *reshape(lua_State *L, ln_value *v, const ln_meta *shape) {
  ln_attrs attrs;
  if (ln_same_shape(&v->meta, shape)) return v;
  ln_attrs_default(&attrs, NULL);
  attrs.nsize = shape->rank;
  memcpy(attrs.size, shape->dim, sizeof attrs.size);
  return vm_record1(L, LN_OP_reshape, &v, 1, &attrs);
}

/* meta without the dims that a number indexed. */
static ln_meta dropped(const ln_meta *meta, const range *r) {
  ln_meta out = {.dtype = meta->dtype};
  for (int d = 0; d < meta->rank; d++)
    if (!r[d].drop) out.dim[out.rank++] = meta->dim[d];
  return out;
}

/* The tensors pushed since `base` but the top one have served: frees them, leaves that one. */
static void keep_top(lua_State *L, int base) {
  for (int i = base + 1; i < lua_gettop(L); i++) vm_drop_tensor(L, i);
  lua_insert(L, base + 1);
  lua_settop(L, base + 1);
}

void vm_index(lua_State *L) {
  ln_value *v = vm_check_tensor(L, 1);
  range r[LN_MAX_RANK];
  if (vm_test_tensor(L, 2) != NULL)
    vm_misuse(L, OP, "t[mask] would have a size that depends on data: use where, mask * t, or index_select");
  vm_where(L);
  read_key(L, &v->meta, r);
  int base = lua_gettop(L);
  for (int d = 0; d < v->meta.rank; d++) {
    if (r[d].all) continue;
    ln_attrs attrs = slice_attrs(d, &r[d]);
    v = vm_record1(L, LN_OP_slice, &v, 1, &attrs);
  }
  ln_meta out = dropped(&v->meta, r);
  reshape(L, v, &out);
  if (lua_gettop(L) == base) vm_push_value(L, v);
  keep_top(L, base);
}

/* -- writing */

/* v as a tensor of exactly this dtype and shape, pushed where it had to be made. */
static ln_value *conform(lua_State *L, const char *op, ln_value *v, const ln_meta *to) {
  char from_shape[LN_SHAPE_TEXT], to_shape[LN_SHAPE_TEXT];
  int lead = to->rank - v->meta.rank;
  ln_meta full = {.rank = to->rank};
  bool fits = lead >= 0;
  for (int d = 0; fits && d < to->rank; d++) {
    full.dim[d] = d < lead ? 1 : v->meta.dim[d - lead];
    fits = full.dim[d] == 1 || full.dim[d] == to->dim[d];
  }
  if (!fits)
    vm_misuse(L, op, "cannot write %s into %s", shape_of(&v->meta, from_shape), shape_of(to, to_shape));
  if (v->meta.dtype != to->dtype) v = vm_cast(L, v, to->dtype);
  v = reshape(L, v, &full);
  if (ln_same_shape(&v->meta, to)) return v;
  ln_attrs attrs;
  ln_attrs_default(&attrs, NULL);
  attrs.nsize = to->rank;
  memcpy(attrs.size, to->dim, sizeof attrs.size);
  return vm_record1(L, LN_OP_expand, &v, 1, &attrs);
}

/* The value to be written, at stack index `arg`: a tensor, a number or a boolean. */
static ln_value *source(lua_State *L, const char *op, int arg, ln_dtype dtype) {
  ln_value *v = vm_test_tensor(L, arg);
  if (v != NULL) return v;
  if (lua_type(L, arg) != LUA_TNUMBER && !lua_isboolean(L, arg))
    vm_misuse(L, op, "expected a tensor or a number to write, got %s", vm_kind(L, arg));
  double x = lua_isboolean(L, arg) ? lua_toboolean(L, arg) : lua_tonumber(L, arg);
  if (!vm_fits(dtype, x)) vm_misuse(L, op, "%.17g does not fit into %s", x, ln_dtype_name(dtype));
  return vm_full(L, x, dtype, NULL);
}

/* Writing a cell is no part of the gradient's graph. Recording may raise, so the mode
 * is put back before any error leaves. */
static ln_code record_assign(ln_ctx *ctx, ln_value *cell, ln_value *v) {
  ln_value *in[2] = {cell, v};
  bool enabled = ctx->grad_enabled;
  ctx->grad_enabled = false;
  ln_code code = ln_record(ctx, LN_OP_assign, in, 2, NULL, NULL, NULL);
  ctx->grad_enabled = enabled;
  return code;
}

void vm_write(lua_State *L, int index, ln_value *v) {
  ln_value *target = vm_check_tensor(L, index);
  v = conform(L, "assign_", v, &target->meta);
  if (!target->is_cell) vm_repoint(L, index, v);
  else if (record_assign(vm_ctx(L), target, v) != LN_OK) vm_raise_stashed(L);
}

/* t[mask] = v: the mask has t's shape, or that of its leading dims. */
static void write_mask(lua_State *L, ln_value *t, ln_value *mask) {
  char shape[LN_SHAPE_TEXT], mask_shape[LN_SHAPE_TEXT];
  ln_meta wide = {.rank = t->meta.rank};
  bool fits = mask->meta.rank <= t->meta.rank;
  if (mask->meta.dtype != LN_BOOL)
    vm_misuse(L, OP, "a mask is a bool tensor (from t:gt(0.5), t:eq(1), ...), got %s", ln_dtype_name(mask->meta.dtype));
  for (int d = 0; fits && d < t->meta.rank; d++) {
    wide.dim[d] = d < mask->meta.rank ? mask->meta.dim[d] : 1;
    fits = d >= mask->meta.rank || wide.dim[d] == t->meta.dim[d];
  }
  if (!fits)
    vm_misuse(L, OP, "the mask is %s, the tensor %s", shape_of(&mask->meta, mask_shape), shape_of(&t->meta, shape));
  ln_value *in[3];
  in[0] = reshape(L, mask, &wide);
  in[1] = conform(L, OP, source(L, OP, 3, t->meta.dtype), &t->meta);
  in[2] = t;
  vm_write(L, 1, vm_record1(L, LN_OP_where, in, 3, NULL));
}

static void write_ranges(lua_State *L, ln_value *t) {
  range r[LN_MAX_RANK];
  ln_value *part[LN_MAX_RANK + 1] = {t};
  int dims[LN_MAX_RANK], n = 0;
  read_key(L, &t->meta, r);
  for (int d = 0; d < t->meta.rank; d++) {
    if (r[d].all) continue;
    ln_attrs attrs = slice_attrs(d, &r[d]);
    dims[n] = d;
    part[n + 1] = vm_record1(L, LN_OP_slice, &part[n], 1, &attrs);
    n++;
  }
  ln_meta kept = part[n]->meta, hole = dropped(&kept, r);
  ln_value *v = reshape(L, conform(L, OP, source(L, OP, 3, t->meta.dtype), &hole), &kept);
  while (n-- > 0) {
    ln_attrs attrs = slice_attrs(dims[n], &r[dims[n]]);
    ln_value *in[2] = {part[n], v};
    v = vm_record1(L, LN_OP_slice_scatter, in, 2, &attrs);
  }
  vm_write(L, 1, v);
}

/* Runs with gradients off where the target is a cell. */
static int assign_protected(lua_State *L) {
  ln_value *t = vm_check_tensor(L, 1), *mask = vm_test_tensor(L, 2);
  luaL_checkstack(L, 4 * LN_MAX_RANK + 8, OP);
  if (mask != NULL) write_mask(L, t, mask);
  else write_ranges(L, t);
  for (int i = 4; i <= lua_gettop(L); i++) vm_drop_tensor(L, i);
  return 0;
}

void vm_assign_index(lua_State *L) {
  ln_ctx *ctx = vm_ctx(L);
  vm_where(L);
  if (!vm_check_tensor(L, 1)->is_cell || !ctx->grad_enabled) {
    assign_protected(L);
    return;
  }
  lua_pushcfunction(L, assign_protected);
  lua_insert(L, 1);
  ctx->grad_enabled = false;
  int status = lua_pcall(L, 3, 0, 0);
  ctx->grad_enabled = true;
  if (status != 0) lua_error(L);
}

int vm_assign(lua_State *L) {
  vm_poll(L);
  ln_value *t = vm_check_tensor(L, 1);
  vm_where(L);
  vm_write(L, 1, source(L, "assign_", 2, t->meta.dtype));
  for (int i = 3; i <= lua_gettop(L); i++) vm_drop_tensor(L, i);
  lua_settop(L, 1);
  return 1;
}
