/* explain.c: what Lua's own messages mean where they leave a newcomer from Python alone.
 *
 * Some say it behind the message (the tables below, and names that are nearly one of the library's). A method that was called
 * with a dot gets a message of its own: the library stumbles over what is missing, at a line that says nothing to the
 * script's author.
 */
#include <stdio.h>
#include <string.h>

#include "host.h"

typedef struct meaning {
  const char *ending, *text;
} meaning;

static const meaning syntax[] = {
    {"')' expected near '='", "named arguments go in a table: f(x, { name = value })"},
    {"'=' expected near '+'", "x += 1 is x = x + 1"},
    {"'=' expected near '-'", "x -= 1 is x = x - 1"},
    {"'=' expected near '*'", "x *= 2 is x = x * 2"},
    {"'=' expected near '/'", "x /= 2 is x = x / 2"},
    {"unexpected symbol near '['", "a list is { 1, 2, 3 }"},
    {"unexpected symbol near '*'", "a power is x ^ 2"},
    {"near '@'", "a matrix product is a:matmul(b)"},
    {"near '!'", "unequal is ~="}};

static const meaning runtime[] = {
    {"attempt to compare number with userdata", "tensors compare by methods: x:gt(0), x:eq(y)"},
    {"attempt to compare userdata with number", "tensors compare by methods: x:gt(0), x:eq(y)"},
    {"attempt to compare two userdata values", "tensors compare by methods: x:gt(y), x:eq(y)"},
    {"attempt to call method 'shape' (a table value)", "shape is a field: x.shape"},
    {"attempt to index global 'lt' (a nil value)", "local lt = require \"lunette\""},
    {"attempt to index global 'nn' (a nil value)", "local nn = require \"lunette.nn\""},
    {"attempt to index global 'optim' (a nil value)", "local optim = require \"lunette.optim\""},
    {"attempt to index global 'data' (a nil value)", "local data = require \"lunette.data\""},
    {"attempt to index global 'metrics' (a nil value)", "local metrics = require \"lunette.metrics\""}};

static bool ends_in(const char *text, const char *end) {
  const size_t size = strlen(text), length = strlen(end);
  return size >= length && strcmp(text + size - length, end) == 0;
}

static void say_behind(lua_State *L, const char *more) {
  lua_pushfstring(L, "%s; %s", lua_tostring(L, -1), more);
  lua_remove(L, -2);
}

static void look_up(lua_State *L, const meaning *list, size_t count) {
  const char *text = lua_type(L, -1) == LUA_TSTRING ? lua_tostring(L, -1) : NULL;
  for (size_t i = 0; text != NULL && i < count; i++) {
    if (!ends_in(text, list[i].ending)) continue;
    say_behind(L, list[i].text);
    return;
  }
}

void vm_explain_syntax(lua_State *L) { look_up(L, syntax, sizeof syntax / sizeof *syntax); }

/* -- names that are nearly known */

/* Of "... attempt to call field 'NAME' (a nil value)", or method. */
static bool missing_name(const char *text, char name[64]) {
  const char *call = strstr(text, "attempt to call "), *end = strstr(text, "' (a nil value)");
  const char *begin = call == NULL ? NULL : strchr(call, '\'');
  if (begin == NULL || end == NULL || end <= begin + 1 || end - begin > 63 || strncmp(call + 16, "global", 6) == 0) return false;
  snprintf(name, 64, "%.*s", (int)(end - begin - 1), begin + 1);
  return true;
}

static void suggest(lua_State *L) {
  char name[64];
  const int top = lua_gettop(L);
  if (!missing_name(lua_tostring(L, -1), name)) return;
  lua_getglobal(L, "require");
  lua_pushliteral(L, "lunette.help");
  if (lua_pcall(L, 1, 1, 0) == 0) {
    lua_getfield(L, -1, "near");
    lua_pushstring(L, name);
    if (lua_pcall(L, 1, 1, 0) == 0 && lua_isstring(L, -1)) {
      lua_pushvalue(L, top);
      say_behind(L, lua_tostring(L, -2));
      lua_replace(L, top);
    }
  }
  lua_settop(L, top);
}

/* -- a dot for a colon */

/* Is the first argument of this frame, named as an object's is, no object? */
static bool lacks_object(lua_State *L, const lua_Debug *frame) {
  const char *first = lua_getlocal(L, frame, 1);
  if (first == NULL) return false;
  const bool lacks = (strcmp(first, "self") == 0 || strcmp(first, "module") == 0) && !lua_istable(L, -1);
  lua_pop(L, 1);
  return lacks;
}

/* From the innermost frame outwards: a method without its object, and the line of the script that called it so. */
static bool find_call(lua_State *L, lua_Debug *script, char called[64]) {
  bool lacks = false;
  called[0] = '\0';
  for (int level = 1; lua_getstack(L, level, script); level++) {
    lua_getinfo(L, "Snl", script);
    if (lacks && !vm_is_inside(script)) return script->currentline > 0;
    if (*script->what == 'C') continue;
    lacks = lacks_object(L, script);
    if (!lacks && !vm_is_inside(script)) return false;
    if (lacks && script->name != NULL) snprintf(called, 64, "%s", script->name);
  }
  return false;
}

static void explain_dot(lua_State *L) {
  lua_Debug script;
  char called[64];
  if (!find_call(L, &script, called)) return;
  lua_pop(L, 1);
  if (called[0] == '\0')
    lua_pushfstring(L, "%s:%d: a method was called without its object; write object:name(), with a colon", script.short_src, script.currentline);
  else
    lua_pushfstring(L, "%s:%d: %s was called without its object; write object:%s(), with a colon", script.short_src, script.currentline,
                    called, called);
}

/* An operation that was called as a field of something and got nothing for its tensor. */
static void explain_tensor_dot(lua_State *L) {
  lua_Debug frame;
  const char *text = lua_tostring(L, -1);
  if (!ends_in(text, "expected a tensor, got nil") && !ends_in(text, "argument 1: expected a tensor, got nothing") &&
      !ends_in(text, "argument 1: expected a tensor, got number")) return;
  if (!lua_getstack(L, 1, &frame)) return;
  lua_getinfo(L, "n", &frame);
  if (frame.name == NULL || strcmp(frame.namewhat, "field") != 0) return;
  const char *more = lua_pushfstring(L, "as a method it takes a colon, x:%s()", frame.name);
  lua_insert(L, -2);
  say_behind(L, more);
  lua_remove(L, -2);
}

void vm_explain_error(lua_State *L) {
  if (lua_type(L, -1) != LUA_TSTRING) return;
  if (strstr(lua_tostring(L, -1), "attempt to ") != NULL) explain_dot(L);
  explain_tensor_dot(L);
  look_up(L, runtime, sizeof runtime / sizeof *runtime);
  suggest(L);
}

int vm_explain(lua_State *L) {
  lua_settop(L, 1);
  if (vm_is_interrupt(L, 1)) return 1;
  vm_error_text(L);
  vm_explain_error(L);
  return 1;
}
