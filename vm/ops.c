/* ops.c: every row of the op table as a Lua function, from the table alone.
 *
 *   ops.NAME(tensors..., attributes..., {named attributes}) -> outputs...
 *
 * A number where a tensor is expected becomes a rank-0 tensor of the other operand's
 * dtype (tensor.h, ln_promote); a variadic input is a list or several arguments.
 */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "bind.h"

/* -- recording */

int vm_record(lua_State *L, ln_op op, ln_value *const *in, int nin,
              const ln_attrs *attrs, const ln_scalars *scalars) {
  ln_value *out[LN_MAX_OUTPUTS] = {NULL}, **slot[LN_MAX_OUTPUTS];
  int nout = ln_op_info_get(op)->nout;
  luaL_checkstack(L, LN_MAX_OUTPUTS + 4, "outputs");
  for (int i = 0; i < nout; i++) slot[i] = vm_new_tensor(L);
  if (ln_record(vm_ctx(L), op, in, nin, attrs, scalars, out) != LN_OK) vm_raise_stashed(L);
  for (int i = 0; i < nout; i++) *slot[i] = out[i];
  return nout;
}

ln_value *vm_record1(lua_State *L, ln_op op, ln_value *const *in, int nin, const ln_attrs *attrs) {
  vm_record(L, op, in, nin, attrs, NULL);
  return vm_test_tensor(L, -1);
}

ln_value *vm_cast(lua_State *L, ln_value *v, ln_dtype dtype) {
  ln_attrs attrs;
  ln_attrs_default(&attrs, NULL);
  attrs.dtype = dtype;
  return vm_record1(L, LN_OP_cast, &v, 1, &attrs);
}

ln_value *vm_full(lua_State *L, double value, ln_dtype dtype, const ln_meta *shape) {
  ln_attrs attrs;
  ln_scalars scalars;
  ln_attrs_default(&attrs, &scalars);
  attrs.dtype = dtype;
  scalars.value = value;
  if (shape != NULL) {
    attrs.nsize = shape->rank;
    memcpy(attrs.size, shape->dim, sizeof attrs.size);
  }
  vm_record(L, LN_OP_full, NULL, 0, &attrs, &scalars);
  return vm_test_tensor(L, -1);
}

/* -- numbers among the inputs */

ln_dtype vm_weak_dtype(lua_State *L, const char *op, ln_dtype t, double number) {
  if (ln_is_float(t)) return t;
  if (number != floor(number) || isinf(number)) return LN_F32;
  ln_dtype dtype = t == LN_BOOL ? LN_I64 : t; /* a bool counts as 0 or 1 beside a number */
  if (!vm_fits(dtype, number))
    vm_misuse(L, op, "%.17g does not fit into %s; cast the tensor first", number, ln_dtype_name(dtype));
  return dtype;
}

/* The tensor whose dtype a number at `input` takes; c of where is a mask and has no say. */
static const ln_value *companion(const vm_call *call, int input) {
  for (int i = call->op == LN_OP_where ? 1 : 0; i < call->nin; i++)
    if (i != input && call->in[i] != NULL) return call->in[i];
  return NULL;
}

/* -- inputs */

/* The i-th name of the row's inputs without its marks. */
static const char *input_name(const vm_call *call, int i, char *name, size_t size) {
  const char *s = call->row->inputs;
  if (call->info->variadic) i = 0;
  for (; i > 0; i--) s += strcspn(s, " ") + 1;
  snprintf(name, size, "%.*s", (int)strcspn(s, " ?!."), s);
  return name;
}

static void wrong_input(vm_call *call, int arg, int i) {
  char name[32];
  vm_misuse(call->L, call->row->name, "%s: expected a tensor%s, got %s", input_name(call, i, name, sizeof name),
            (call->info->optional >> i & 1) != 0 ? " or nil" : "",
            arg > lua_gettop(call->L) ? "nothing" : vm_kind(call->L, arg));
}

static void add_variadic(vm_call *call, ln_value *v, int arg) {
  if (v == NULL) wrong_input(call, arg, 0);
  if (call->nin == LN_MAX_INPUTS)
    vm_misuse(call->L, call->row->name, "at most %d tensors", LN_MAX_INPUTS);
  call->in[call->nin++] = v;
}

/* The list at `next` stays on the stack and keeps its tensors alive. */
static void read_variadic(vm_call *call) {
  lua_State *L = call->L;
  if (lua_istable(L, call->next) && call->next <= call->last) {
    int n = (int)lua_objlen(L, call->next);
    for (int i = 1; i <= n; i++) {
      lua_rawgeti(L, call->next, i);
      add_variadic(call, vm_test_tensor(L, -1), lua_gettop(L));
      lua_pop(L, 1);
    }
    call->next++;
  }
  while (call->next <= call->last && vm_test_tensor(L, call->next) != NULL) {
    add_variadic(call, vm_test_tensor(L, call->next), call->next);
    call->next++;
  }
  if (call->nin == 0) wrong_input(call, call->next, 0);
}

/* Fills in[]; numbers leave a NULL there and their bit in the result. */
static uint64_t read_fixed(vm_call *call) {
  lua_State *L = call->L;
  uint64_t numbers = 0;
  call->nin = call->info->nin;
  for (int i = 0; i < call->nin; i++) {
    bool optional = (call->info->optional >> i & 1) != 0;
    int arg = call->next;
    bool present = arg <= call->last && !lua_isnil(L, arg);
    if (present && !optional && lua_type(L, arg) == LUA_TNUMBER) numbers |= (uint64_t)1 << i;
    else if (present && (call->in[i] = vm_test_tensor(L, arg)) == NULL) wrong_input(call, arg, i);
    else if (!present && !optional) wrong_input(call, arg, i);
    if (arg <= call->last) call->next++;
  }
  return numbers;
}

/* Makes the numbers rank-0 tensors; they stay on the stack, above the arguments. */
static void add_numbers(vm_call *call, uint64_t numbers) {
  if (numbers == 0) return;
  for (int i = 0; i < call->nin; i++) {
    if ((numbers >> i & 1) == 0) continue;
    const ln_value *other = companion(call, i);
    double x = lua_tonumber(call->L, 1 + i);
    ln_dtype dtype = vm_weak_dtype(call->L, call->row->name, other == NULL ? LN_F32 : other->meta.dtype, x);
    call->in[i] = vm_full(call->L, x, dtype, NULL);
  }
}

/* Upvalue: the op. */
static int op_function(lua_State *L) {
  vm_call call;
  memset(&call, 0, offsetof(vm_call, attrs));
  call.L = L;
  call.op = (ln_op)lua_tointeger(L, lua_upvalueindex(1));
  call.row = ln_op_get(call.op);
  call.info = ln_op_info_get(call.op);
  call.next = 1;
  call.last = lua_gettop(L);
  vm_poll(L);
  vm_where(L);
  if (vm_is_options(L, call.last)) call.options = call.last--;
  int top = lua_gettop(L);
  uint64_t numbers = 0;
  if (call.info->variadic) read_variadic(&call);
  else numbers = read_fixed(&call);
  add_numbers(&call, numbers);
  vm_parse_attrs(&call);
  int made = lua_gettop(L);
  int n = vm_record(L, call.op, call.in, call.nin, &call.attrs, &call.scalars);
  for (int i = top + 1; i <= made; i++) vm_drop_tensor(L, i);
  return n;
}

/* -- operators */

/* Lua passes an operand twice to the metamethod of unary minus. */
static int unary_minus(lua_State *L) {
  ln_value *v = vm_check_tensor(L, 1);
  vm_poll(L);
  vm_where(L);
  vm_record1(L, LN_OP_neg, &v, 1, NULL);
  return 1;
}

/* a % b = a - floor(a / b) * b, as in Lua. Upvalues: ops.div, ops.mul, ops.sub. */
static int modulo(lua_State *L) {
  for (int i = 1; i <= 2; i++) {
    const ln_value *v = vm_test_tensor(L, i);
    if (v != NULL && !ln_is_float(v->meta.dtype))
      vm_misuse(L, "%", "needs floats, got %s", ln_dtype_name(v->meta.dtype));
  }
  lua_settop(L, 2);
  lua_pushvalue(L, lua_upvalueindex(3));
  lua_pushvalue(L, 1);
  lua_pushvalue(L, lua_upvalueindex(2));
  lua_pushvalue(L, lua_upvalueindex(1));
  lua_pushvalue(L, 1);
  lua_pushvalue(L, 2);
  lua_call(L, 2, 1);
  ln_value *quotient = vm_check_tensor(L, -1);
  vm_record1(L, LN_OP_floor, &quotient, 1, NULL);
  lua_remove(L, -2);
  lua_pushvalue(L, 2);
  lua_call(L, 2, 1);
  lua_call(L, 2, 1);
  return 1;
}

void vm_set_operators(lua_State *L, int metatable, int ops) {
  static const char *const pairs[][2] = {
      {"__add", "add"}, {"__sub", "sub"}, {"__mul", "mul"}, {"__div", "div"}, {"__pow", "pow"}};
  for (size_t i = 0; i < sizeof pairs / sizeof pairs[0]; i++) {
    lua_getfield(L, ops, pairs[i][1]);
    lua_setfield(L, metatable, pairs[i][0]);
  }
  lua_pushcfunction(L, unary_minus);
  lua_setfield(L, metatable, "__unm");
  lua_getfield(L, ops, "div");
  lua_getfield(L, ops, "mul");
  lua_getfield(L, ops, "sub");
  lua_pushcclosure(L, modulo, 3);
  lua_setfield(L, metatable, "__mod");
}

void vm_open_ops(lua_State *L) {
  lua_createtable(L, 0, LN_OP_COUNT);
  for (int op = 0; op < LN_OP_COUNT; op++) {
    lua_pushinteger(L, op);
    lua_pushcclosure(L, op_function, 1);
    lua_setfield(L, -2, ln_op_get((ln_op)op)->name);
  }
}

/* -- the table, for help and for tests */

static void set_string(lua_State *L, const char *key, const char *value) {
  lua_pushstring(L, value);
  lua_setfield(L, -2, key);
}

static void push_schema(lua_State *L, ln_op op) {
  static const char *const kinds[] = {"spatial", "shape", "int", "dim", "dims", "index",
                                      "bool", "number", "numbers", "mode", "dtype", "scalar"};
  const ln_attr_row *row;
  lua_newtable(L);
  for (int k = 0; (row = ln_op_attr(op, k)) != NULL; k++) {
    lua_createtable(L, 0, 3);
    set_string(L, "name", row->name);
    set_string(L, "doc", row->doc);
    set_string(L, "kind", kinds[row->kind]);
    lua_rawseti(L, -2, k + 1);
  }
}

static void push_flags(lua_State *L, unsigned flags) {
  static const struct { unsigned bit; const char *name; } names[] = {
      {LN_ALIAS, "alias"},   {LN_INPLACE, "inplace"}, {LN_PROMOTE, "promote"},
      {LN_RANDOM, "random"}, {LN_COMMIT, "commit"},   {LN_GUARD, "guard"},
      {LN_GROUP, "group"},   {LN_LOW, "low"},       {LN_EXACT, "exact"}};
  lua_newtable(L);
  for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
    lua_pushboolean(L, (flags & names[i].bit) != 0);
    lua_setfield(L, -2, names[i].name);
  }
}

/* core.op_table(): { {name, inputs, outputs, attrs, doc, differentiable, flags, schema}, ... } */
int vm_op_table(lua_State *L) {
  lua_createtable(L, LN_OP_COUNT, 0);
  for (int op = 0; op < LN_OP_COUNT; op++) {
    const ln_op_row *row = ln_op_get((ln_op)op);
    lua_createtable(L, 0, 8);
    set_string(L, "name", row->name);
    set_string(L, "inputs", row->inputs);
    set_string(L, "outputs", row->outputs);
    set_string(L, "attrs", row->attrs);
    set_string(L, "doc", row->doc);
    lua_pushboolean(L, row->grad != NULL);
    lua_setfield(L, -2, "differentiable");
    push_flags(L, row->flags);
    lua_setfield(L, -2, "flags");
    push_schema(L, (ln_op)op);
    lua_setfield(L, -2, "schema");
    lua_rawseti(L, -2, op + 1);
  }
  return 1;
}
