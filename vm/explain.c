/* explain.c: what Lua's own messages mean where they leave a newcomer from Python alone.
 *
 *   f(x, name=1)    does not compile: named arguments are a table's fields
 *   object.name()   passes no object: the library then stumbles over a nil, at a line that says nothing to the script's author
 */
#include <stdio.h>
#include <string.h>

#include "host.h"

static bool ends_in(const char *text, const char *end) {
  const size_t size = strlen(text), length = strlen(end);
  return size >= length && strcmp(text + size - length, end) == 0;
}

void vm_explain_syntax(lua_State *L) {
  const char *text = lua_tostring(L, -1);
  if (text == NULL || !ends_in(text, "')' expected near '='")) return;
  lua_pushliteral(L, "; named arguments go in a table: f(x, { name = value })");
  lua_concat(L, 2);
}

/* Goes to the innermost frame of the script; called: the library's function that it called, if Lua knows its name. */
static bool find_call(lua_State *L, lua_Debug *script, char called[64]) {
  called[0] = '\0';
  for (int level = 1; lua_getstack(L, level, script); level++) {
    lua_getinfo(L, "Snl", script);
    if (!vm_is_inside(script)) return script->currentline > 0;
    if (script->name != NULL) snprintf(called, 64, "%s", script->name);
  }
  return false;
}

void vm_explain_dot(lua_State *L) {
  lua_Debug script;
  char called[64];
  const char *text = lua_type(L, -1) == LUA_TSTRING ? lua_tostring(L, -1) : NULL;
  if (text == NULL || strncmp(text, "lunette/", 8) != 0) return;
  const bool missing = ends_in(text, "index local 'self' (a nil value)") || ends_in(text, "index local 'module' (a nil value)");
  if (!missing || !find_call(L, &script, called)) return;
  lua_pop(L, 1);
  if (called[0] == '\0')
    lua_pushfstring(L, "%s:%d: a method was called without its object; write object:name(), with a colon", script.short_src, script.currentline);
  else
    lua_pushfstring(L, "%s:%d: %s was called without its object; write object:%s(), with a colon", script.short_src, script.currentline,
                    called, called);
}

int vm_explain(lua_State *L) {
  lua_settop(L, 1);
  vm_explain_dot(L);
  return 1;
}
