/* traceback.c: an error as a person reads it: its text and the script's own stack.
 *
 * C functions and the library's inside say nothing to the script's author, so their
 * frames are left out; LUNETTE_TRACEBACK=full keeps them.
 */
#include <stdlib.h>
#include <string.h>

#include "host.h"

enum { FRAMES_SHOWN = 15 };

bool vm_is_interrupt(lua_State *L, int index) {
  if (!lua_istable(L, index)) return false;
  if (index < 0) index += lua_gettop(L) + 1;
  lua_pushliteral(L, "code");
  lua_rawget(L, index);
  const char *code = lua_tostring(L, -1);
  bool interrupted = code != NULL && strcmp(code, ln_code_name(LN_EINTR)) == 0;
  lua_pop(L, 1);
  return interrupted;
}

static int call_tostring(lua_State *L) {
  if (!luaL_callmeta(L, 1, "__tostring"))
    lua_pushfstring(L, "(the error is a %s, not a text)", luaL_typename(L, 1));
  return 1;
}

const char *vm_error_text(lua_State *L) {
  if (lua_type(L, -1) != LUA_TSTRING && !lua_isnumber(L, -1)) {
    lua_pushcfunction(L, call_tostring);
    lua_insert(L, -2);
    lua_pcall(L, 1, 1, 0); /* a failure leaves its own message, which will do */
    if (!lua_isstring(L, -1)) {
      lua_pop(L, 1);
      lua_pushliteral(L, "(the error's __tostring gave no text)");
    }
  }
  return lua_tostring(L, -1);
}

bool vm_is_inside(const lua_Debug *ar) {
  return *ar->what == 'C' || strncmp(ar->source, "=lunette/", 9) == 0;
}

static void push_frame(lua_State *L, const lua_Debug *ar) {
  if (ar->currentline > 0)
    lua_pushfstring(L, "\n\t%s:%d: ", ar->short_src, ar->currentline);
  else
    lua_pushfstring(L, "\n\t%s: ", ar->short_src);
  if (*ar->namewhat != '\0')
    lua_pushfstring(L, "in %s '%s'", strcmp(ar->namewhat, "method") == 0 ? "method" : "function", ar->name);
  else if (*ar->what == 'm')
    lua_pushliteral(L, "in main chunk");
  else if (*ar->what == 'C')
    lua_pushliteral(L, "in a C function");
  else
    lua_pushfstring(L, "in function <%s:%d>", ar->short_src, ar->linedefined);
  lua_concat(L, 2);
}

/* Whether the text starts with this frame's own position: alone it would say nothing new. */
static bool is_said(lua_State *L, const char *text, const lua_Debug *ar) {
  const char *position = lua_pushfstring(L, "%s:%d:", ar->short_src, ar->currentline);
  bool said = strncmp(text, position, strlen(position)) == 0;
  lua_pop(L, 1);
  return said;
}

int vm_traceback(lua_State *L) {
  lua_settop(L, 1);
  if (vm_is_interrupt(L, 1)) return 1;
  vm_error_text(L);
  vm_explain_error(L);
  const char *text = lua_tostring(L, 1);
  const char *wish = getenv("LUNETTE_TRACEBACK");
  bool full = wish != NULL && strcmp(wish, "full") == 0, new = false;
  lua_pushliteral(L, "\nstack traceback:");
  int shown = 0;
  lua_Debug ar;
  for (int level = 1; lua_getstack(L, level, &ar); level++) {
    lua_getinfo(L, "Snl", &ar);
    if (!full && vm_is_inside(&ar)) continue;
    new = new || shown > 0 || !is_said(L, text, &ar);
    if (!full && shown++ == FRAMES_SHOWN) {
      lua_pushliteral(L, "\n\t...");
      lua_concat(L, 2);
      break;
    }
    push_frame(L, &ar);
    lua_concat(L, 2); /* one string at a time: a runaway recursion has no room for more */
  }
  if (new || full) lua_concat(L, 2);
  else lua_pop(L, 1);
  return 1;
}
