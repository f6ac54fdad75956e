/* args.c: reading arguments: whole numbers, options tables, shapes, and the attributes
 * of an op by their schema (nn/graph/attrs.def). Lua counts from 1, the core from 0;
 * the difference is made here and nowhere else. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "bind.h"

/* -- numbers */

static const double WHOLE_LIMIT = 9007199254740992.0; /* 2^53: beyond it doubles skip whole numbers */

static bool whole(double x) { return x == floor(x) && fabs(x) <= WHOLE_LIMIT; }

bool vm_fits(ln_dtype dtype, double x) {
  switch (dtype) {
    case LN_U8: return x == floor(x) && x >= 0 && x <= 255;
    case LN_I32: return x == floor(x) && x >= -2147483648.0 && x <= 2147483647.0;
    case LN_I64: return x == floor(x) && x >= -9223372036854775808.0 && x < 9223372036854775808.0;
    default: return true;
  }
}

int64_t vm_check_int(lua_State *L, int arg) {
  if (lua_type(L, arg) != LUA_TNUMBER)
    return vm_misuse(L, NULL, "argument %d: expected a whole number, got %s", arg, vm_kind(L, arg));
  double x = lua_tonumber(L, arg);
  if (!whole(x)) return vm_misuse(L, NULL, "argument %d: expected a whole number, got %.17g", arg, x);
  return (int64_t)x;
}

/* -- options tables */

/* Pushes the option, nil when there is no table at `table`. */
static int push_option(lua_State *L, int table, const char *name) {
  if (lua_isnoneornil(L, table)) lua_pushnil(L);
  else if (lua_istable(L, table)) lua_getfield(L, table, name);
  else return vm_misuse(L, NULL, "argument %d: expected a table of options, got %s", table, vm_kind(L, table));
  return lua_type(L, -1);
}

static void wrong_option(lua_State *L, const char *name, const char *expected) {
  vm_misuse(L, NULL, "%s: expected %s, got %s", name, expected, vm_kind(L, -1));
}

bool vm_opt_bool(lua_State *L, int table, const char *name, bool fallback) {
  int type = push_option(L, table, name);
  bool value = type == LUA_TNIL ? fallback : lua_toboolean(L, -1) != 0;
  if (type != LUA_TNIL && type != LUA_TBOOLEAN) wrong_option(L, name, "true or false");
  lua_pop(L, 1);
  return value;
}

double vm_opt_number(lua_State *L, int table, const char *name, double fallback) {
  int type = push_option(L, table, name);
  double value = type == LUA_TNIL ? fallback : lua_tonumber(L, -1);
  if (type != LUA_TNIL && type != LUA_TNUMBER) wrong_option(L, name, "a number");
  lua_pop(L, 1);
  return value;
}

/* The table keeps the string alive after the pop. */
const char *vm_opt_string(lua_State *L, int table, const char *name, const char *fallback) {
  int type = push_option(L, table, name);
  if (type != LUA_TNIL && type != LUA_TSTRING) wrong_option(L, name, "a string");
  const char *value = type == LUA_TNIL ? fallback : lua_tostring(L, -1);
  lua_pop(L, 1);
  return value;
}

static ln_dtype dtype_named(lua_State *L, const char *op, const char *name) {
  ln_dtype dtype = ln_dtype_named(name);
  if (dtype == LN_NONE)
    vm_misuse(L, op, "dtype: unknown \"%s\"; there are bool, u8, i32, i64, bf16, f32 and, on the reference device, f64",
              name);
  return dtype;
}

ln_dtype vm_opt_dtype(lua_State *L, const char *op, int table) {
  const char *name = vm_opt_string(L, table, "dtype", NULL);
  return name == NULL ? LN_NONE : dtype_named(L, op, name);
}

bool vm_is_options(lua_State *L, int index) {
  if (index < 1 || !lua_istable(L, index)) return false;
  bool found = false;
  lua_pushnil(L);
  while (!found && lua_next(L, index) != 0) {
    found = lua_type(L, -2) == LUA_TSTRING;
    lua_pop(L, 1);
  }
  if (found) lua_pop(L, 1);
  return found;
}

/* -- shapes */

static int64_t size_at(lua_State *L, const char *op, const char *name, int index) {
  double x = lua_type(L, index) == LUA_TNUMBER ? lua_tonumber(L, index) : NAN;
  if (!whole(x)) {
    if (lua_type(L, index) == LUA_TNUMBER) vm_misuse(L, op, "%s: expected whole numbers, got %.17g", name, x);
    vm_misuse(L, op, "%s: expected whole numbers, got %s", name, vm_kind(L, index));
  }
  return (int64_t)x;
}

int vm_check_shape(lua_State *L, int arg, int64_t dim[LN_MAX_RANK]) {
  bool table = lua_istable(L, arg);
  int last = lua_gettop(L);
  while (!table && last > arg && lua_isnil(L, last)) last--;
  int n = table ? (int)lua_objlen(L, arg) : last - arg + 1;
  if (n > LN_MAX_RANK) vm_misuse(L, NULL, "a shape has at most %d sizes, got %d", LN_MAX_RANK, n);
  memset(dim, 0, LN_MAX_RANK * sizeof dim[0]);
  for (int i = 0; i < n; i++) {
    if (table) lua_rawgeti(L, arg, i + 1);
    else lua_pushvalue(L, arg + i);
    dim[i] = size_at(L, NULL, "shape", -1);
    if (dim[i] < 0) vm_misuse(L, NULL, "shape: size %lld is negative", (long long)dim[i]);
    lua_pop(L, 1);
  }
  return n;
}

/* -- attributes; the value is on top of the stack */

static void wrong_attr(vm_call *call, const ln_attr_row *row, const char *expected) {
  vm_misuse(call->L, call->row->name, "%s: expected %s, got %s", row->name, expected, vm_kind(call->L, -1));
}

/* Reads a number (*lone) or a list of up to `room` numbers into list; returns how many. */
static int read_list(vm_call *call, const ln_attr_row *row, double *list, int room, bool *lone) {
  lua_State *L = call->L;
  *lone = lua_type(L, -1) == LUA_TNUMBER;
  if (*lone) {
    list[0] = lua_tonumber(L, -1);
    return 1;
  }
  if (!lua_istable(L, -1)) wrong_attr(call, row, "a number or list of numbers");
  int n = (int)lua_objlen(L, -1);
  if (n > room)
    vm_misuse(L, call->row->name, "%s: expected at most %d numbers, got %d", row->name, room, n);
  for (int i = 0; i < n; i++) {
    lua_rawgeti(L, -1, i + 1);
    if (lua_type(L, -1) != LUA_TNUMBER)
      vm_misuse(L, call->row->name, "%s: expected a list of numbers, got %s at %d", row->name, vm_kind(L, -1), i + 1);
    list[i] = lua_tonumber(L, -1);
    lua_pop(L, 1);
  }
  return n;
}

static int64_t to_whole(vm_call *call, const ln_attr_row *row, double x) {
  if (!whole(x)) vm_misuse(call->L, call->row->name, "%s: expected a whole number, got %.17g", row->name, x);
  return (int64_t)x;
}

static int64_t read_whole(vm_call *call, const ln_attr_row *row) {
  if (lua_type(call->L, -1) != LUA_TNUMBER) wrong_attr(call, row, "a whole number");
  return to_whole(call, row, lua_tonumber(call->L, -1));
}

static int first_rank(const vm_call *call) {
  return call->nin > 0 && call->in[0] != NULL ? call->in[0]->meta.rank : 0;
}

/* One number stands for every spatial dim; entries that the input has no dim for keep
 * the default, so that one graph has one key. */
static void read_spatial(vm_call *call, const ln_attr_row *row, int64_t *field) {
  double list[LN_SPATIAL];
  bool lone;
  int n = read_list(call, row, list, LN_SPATIAL, &lone);
  int spatial = first_rank(call) - 2;
  if (spatial < 1 || spatial > LN_SPATIAL) spatial = LN_SPATIAL;
  bool known = first_rank(call) > 2;
  if (!lone && n != 1 && known && n != spatial)
    vm_misuse(call->L, call->row->name, "%s: expected a number or a list of %d, got a list of %d",
              row->name, spatial, n);
  bool every = lone || n == 1;
  for (int i = 0; i < (every || known ? spatial : n); i++)
    field[i] = to_whole(call, row, list[every ? 0 : i]);
}

static void read_shape(vm_call *call, const ln_attr_row *row, int64_t *field, int *count) {
  double list[LN_MAX_RANK];
  bool lone;
  *count = read_list(call, row, list, LN_MAX_RANK, &lone);
  memset(field, 0, LN_MAX_RANK * sizeof *field);
  for (int i = 0; i < *count; i++) field[i] = to_whole(call, row, list[i]);
}

static int to_dim(vm_call *call, const ln_attr_row *row, double x) {
  char shape[LN_SHAPE_TEXT];
  int rank = first_rank(call);
  int64_t d = to_whole(call, row, x);
  if (d == 0)
    vm_misuse(call->L, call->row->name, "%s: there is no dimension 0: dimensions count from 1, and -1 is the last",
              row->name);
  if (d > rank || d < -rank)
    vm_misuse(call->L, call->row->name, "%s: %lld, but the tensor has %d dimension%s (%s)", row->name,
              (long long)d, rank, rank == 1 ? "" : "s",
              call->nin > 0 && call->in[0] != NULL ? ln_shape_text(&call->in[0]->meta, shape, sizeof shape) : "no tensor");
  return (int)(d > 0 ? d - 1 : rank + d);
}

static void read_dims(vm_call *call, const ln_attr_row *row, int *field, int *count) {
  double list[LN_MAX_RANK];
  bool lone, seen[LN_MAX_RANK] = {false};
  int n = read_list(call, row, list, LN_MAX_RANK, &lone);
  memset(field, 0, LN_MAX_RANK * sizeof *field);
  for (int i = 0; i < n; i++) {
    int d = to_dim(call, row, list[i]);
    if (seen[d]) vm_misuse(call->L, call->row->name, "%s: dimension %d is named twice", row->name, d + 1);
    seen[d] = true;
    field[i] = d;
  }
  *count = n;
  if (call->op == LN_OP_permute) return; /* there the order is the meaning */
  for (int d = 0, i = 0; d < LN_MAX_RANK; d++)
    if (seen[d]) field[i++] = d;
}

/* Negative positions are left for finish_slice, which knows the dim's size. */
static int64_t read_index(vm_call *call, const ln_attr_row *row) {
  int64_t i = read_whole(call, row);
  if (i == 0)
    vm_misuse(call->L, call->row->name, "%s: there is no index 0: indices count from 1, and -1 is the last", row->name);
  return i > 0 ? i - 1 : i;
}

static ln_mode read_mode(vm_call *call, const ln_attr_row *row) {
  if (lua_type(call->L, -1) != LUA_TSTRING) wrong_attr(call, row, "a string");
  const char *name = lua_tostring(call->L, -1);
  int m = 0;
  while (m < LN_MODE_COUNT && strcmp(ln_mode_name((ln_mode)m), name) != 0) m++;
  if (m == LN_MODE_COUNT)
    vm_misuse(call->L, call->row->name, "%s: unknown \"%s\"; modes: %s", row->name, name, row->doc);
  return (ln_mode)m;
}

static double read_number(vm_call *call, const ln_attr_row *row) {
  if (lua_type(call->L, -1) != LUA_TNUMBER) wrong_attr(call, row, "a number");
  return lua_tonumber(call->L, -1);
}

static void read_numbers(vm_call *call, const ln_attr_row *row, double *field) {
  double list[LN_SPATIAL];
  bool lone;
  int n = read_list(call, row, list, LN_SPATIAL, &lone);
  int spatial = first_rank(call) > 2 ? first_rank(call) - 2 : LN_SPATIAL;
  for (int i = 0; i < spatial && i < LN_SPATIAL; i++)
    if (lone || i < n) field[i] = list[lone ? 0 : i];
}

static void read_attr(vm_call *call, const ln_attr_row *row) {
  void *base = row->kind == LN_ATTR_SCALAR ? (void *)&call->scalars : (void *)&call->attrs;
  void *field = (char *)base + row->offset;
  int *count = row->count_offset == SIZE_MAX ? NULL : (int *)(void *)((char *)&call->attrs + row->count_offset);
  switch (row->kind) {
    case LN_ATTR_SPATIAL: read_spatial(call, row, field); break;
    case LN_ATTR_SHAPE: read_shape(call, row, field, count); break;
    case LN_ATTR_INT: *(int64_t *)field = read_whole(call, row); break;
    case LN_ATTR_DIM:
      if (lua_type(call->L, -1) != LUA_TNUMBER) wrong_attr(call, row, "a dimension");
      *(int *)field = to_dim(call, row, lua_tonumber(call->L, -1));
      break;
    case LN_ATTR_DIMS: read_dims(call, row, field, count); break;
    case LN_ATTR_INDEX: *(int64_t *)field = read_index(call, row); break;
    case LN_ATTR_BOOL:
      if (!lua_isboolean(call->L, -1)) wrong_attr(call, row, "true or false");
      *(bool *)field = lua_toboolean(call->L, -1) != 0;
      break;
    case LN_ATTR_NUM: case LN_ATTR_SCALAR: *(double *)field = read_number(call, row); break;
    case LN_ATTR_NUMS: read_numbers(call, row, field); break;
    case LN_ATTR_MODE: *(ln_mode *)field = read_mode(call, row); break;
    case LN_ATTR_DTYPE:
      if (lua_type(call->L, -1) != LUA_TSTRING) wrong_attr(call, row, "a dtype's name");
      *(ln_dtype *)field = dtype_named(call->L, call->row->name, lua_tostring(call->L, -1));
      break;
  }
  if (strcmp(row->name, "stop") == 0) call->stop_given = true;
}

/* start .. stop as a script gives them: 1-based and inclusive, negative from the end,
 * without a stop up to the end. */
static void finish_slice(vm_call *call) {
  ln_attrs *a = &call->attrs;
  if (first_rank(call) == 0) return; /* the shape rule says so */
  int64_t n = call->in[0]->meta.dim[a->dim];
  if (!call->stop_given) a->stop = n;
  else if (a->stop < 0) a->stop += n + 1;
  if (a->start < 0) a->start += n;
  if (a->start < 0 || a->start > n || (a->start == n && a->stop > n) || a->stop < a->start || a->stop > n)
    vm_misuse(call->L, call->row->name, "%lld..%lld is no range of dimension %d, which has size %lld",
              (long long)a->start + 1, (long long)a->stop, a->dim + 1, (long long)n);
}

/* The attribute of this op with that name, or NULL. */
static const ln_attr_row *own_attr(const vm_call *call, const char *name) {
  const ln_attr_row *row;
  for (int k = 0; (row = ln_op_attr(call->op, k)) != NULL; k++)
    if (strcmp(row->name, name) == 0) return row;
  return NULL;
}

static void read_options(vm_call *call) {
  lua_State *L = call->L;
  lua_pushnil(L);
  while (lua_next(L, call->options) != 0) {
    if (lua_type(L, -2) != LUA_TSTRING)
      vm_misuse(L, call->row->name, "the table of options has an unnamed entry beside named ones");
    const char *name = lua_tostring(L, -2);
    const ln_attr_row *row = own_attr(call, name);
    if (row == NULL)
      vm_misuse(L, call->row->name, "unknown attribute '%s'; valid: %s", name,
                call->row->attrs[0] == '\0' ? "none" : call->row->attrs);
    read_attr(call, row);
    lua_pop(L, 1);
  }
}

void vm_parse_attrs(vm_call *call) {
  lua_State *L = call->L;
  const ln_attr_row *row;
  bool slices = false;
  ln_attrs_default(&call->attrs, &call->scalars);
  luaL_checkstack(L, 8, "attributes");
  for (int k = 0; (row = ln_op_attr(call->op, k)) != NULL; k++) {
    slices = slices || row->kind == LN_ATTR_INDEX;
    if (call->next > call->last) continue;
    lua_pushvalue(L, call->next++);
    if (!lua_isnil(L, -1)) read_attr(call, row);
    lua_pop(L, 1);
  }
  while (call->next <= call->last && lua_isnil(L, call->next)) call->next++;
  if (call->next <= call->last)
    vm_misuse(L, call->row->name, "too many arguments: %d; it takes (%s%s%s)",
              call->options != 0 ? call->options : call->last, call->row->inputs,
              call->row->inputs[0] != '\0' && call->row->attrs[0] != '\0' ? " " : "", call->row->attrs);
  if (call->options != 0) read_options(call);
  if (slices) finish_slice(call);
}
