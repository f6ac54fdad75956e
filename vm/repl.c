/* repl.c: the prompt: reads a chunk, runs it, shows its values.
 *
 * The text is compiled as it stands, first as an expression, then as statements, and
 * evaluated once, so that errors read as they do in a script. What is Lua's to say - how
 * values look, help, completion - is lib/lua/lunette/prompt.lua.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "host.h"

#define CHUNK "=prompt"

static bool is_ours_without_place(lua_State *L) {
  if (!lua_istable(L, -1)) return false;
  lua_pushliteral(L, "code");
  lua_rawget(L, -2);
  lua_pushliteral(L, "where");
  lua_rawget(L, -3);
  bool yes = lua_isstring(L, -2) && lua_isnil(L, -1);
  lua_pop(L, 2);
  return yes;
}

/* Prints the error on top. `where` is for one of ours that names no place, since it came up when
 * the line was over and its values were computed; NULL: nothing to say. */
static void report(lua_State *L, const char *where) {
  fflush(stdout);
  if (where != NULL && is_ours_without_place(L)) {
    lua_pushliteral(L, "where");
    lua_pushstring(L, where);
    lua_rawset(L, -3);
  }
  fprintf(stderr, "%s\n", vm_is_interrupt(L, -1) ? "interrupted" : vm_error_text(L));
  lua_pop(L, 1);
  vm_interrupt_clear();
  vm_reset_layers(L);
}

/* Calls prompt.<name> with the nargs values on top, which go. Leaves one result; false
 * and a printed error when it fails. */
static bool call_prompt(lua_State *L, const char *name, int nargs, const char *where) {
  lua_getglobal(L, "require");
  lua_pushliteral(L, "lunette.prompt");
  if (lua_pcall(L, 1, 1, 0) == 0) {
    lua_getfield(L, -1, name);
    lua_remove(L, -2);
    lua_insert(L, -1 - nargs);
    if (lua_pcall(L, nargs, 1, 0) == 0) return true;
  }
  report(L, where);
  return false;
}

/* -- reading a chunk */

/* Does the syntax error on top say that the text only stops too early? */
static bool is_incomplete(lua_State *L, int status) {
  static const char mark[] = "'<eof>'";
  size_t size;
  if (status != LUA_ERRSYNTAX) return false;
  const char *message = lua_tolstring(L, -1, &size);
  return message != NULL && size >= sizeof mark - 1 && strcmp(message + size - (sizeof mark - 1), mark) == 0;
}

/* Compiles the text at index as expressions, else as statements. Leaves the function or the
 * error on top. The expressions' function returns a nil first (*extra = 1): after a
 * plain "return f(x)" the prompt's own frame would be gone from the stack, and with it
 * the position in messages. */
static int compile(lua_State *L, int index, int *extra) {
  size_t size;
  const char *text = lua_tolstring(L, index, &size);
  const char *code = lua_pushfstring(L, "return nil, %s", *text == '=' ? text + 1 : text);
  int status = luaL_loadbufferx(L, code, strlen(code), CHUNK, "t");
  *extra = status == 0;
  lua_remove(L, -2);
  if (status == 0) return status;
  lua_pop(L, 1);
  return luaL_loadbufferx(L, text, size, CHUNK, "t");
}

/* The value of _PROMPT or _PROMPT2, as in Lua's own interpreter, or the usual prompt. */
static const char *prompt_text(lua_State *L, const char *name, const char *usual) {
  lua_getglobal(L, name);
  const char *text = lua_isstring(L, -1) ? lua_tostring(L, -1) : usual;
  lua_pop(L, 1); /* the global still holds it */
  return text;
}

/* Pushes the next line when there is one. */
static vm_line push_line(lua_State *L, const char *prompt) {
  char *line = NULL;
  vm_line result = vm_lines_read(prompt, &line);
  if (result == VM_LINE_OK) lua_pushstring(L, line);
  free(line);
  return result;
}

/* Reads on until the text at index compiles or is wrong, which leaves a function or an
 * error on top and the status of the compilation; or until Ctrl-C: then false. */
static bool read_rest(lua_State *L, int text, int *status, int *extra) {
  while (is_incomplete(L, *status = compile(L, text, extra))) {
    vm_line result = push_line(L, prompt_text(L, "_PROMPT2", ">> "));
    if (result == VM_LINE_INTERRUPTED) return false;
    if (result == VM_LINE_END) return true; /* the error stands */
    lua_pushfstring(L, "%s\n%s", lua_tostring(L, text), lua_tostring(L, -1));
    lua_replace(L, text);
    lua_pop(L, 2); /* the line and the error */
  }
  return true;
}

/* -- running it */

static double now(void) {
  struct timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return (double)time.tv_sec + 1e-9 * (double)time.tv_nsec;
}

/* Runs the function on top, which came from the text at index, and shows its values. */
static void evaluate(lua_State *L, int text, int extra) {
  int function = lua_gettop(L);
  double start = now();
  lua_pushcfunction(L, vm_explain);
  lua_insert(L, function);
  const int failed = lua_pcall(L, 0, LUA_MULTRET, function);
  lua_remove(L, function);
  if (failed) {
    report(L, NULL);
    return;
  }
  if (!lua_checkstack(L, LUA_MINSTACK)) {
    fputs("too many values to show\n", stderr);
    return;
  }
  if (extra) lua_remove(L, function);
  lua_pushvalue(L, text);
  lua_insert(L, function);
  lua_pushnumber(L, now() - start);
  lua_insert(L, function + 1);
  call_prompt(L, "done", lua_gettop(L) - function + 1, strchr(lua_tostring(L, text), '\n') == NULL ? "prompt:1" : "prompt");
}

/* One round. False when the session ends. */
static bool step(lua_State *L) {
  vm_line result = push_line(L, prompt_text(L, "_PROMPT", "> "));
  if (result != VM_LINE_OK) return result == VM_LINE_INTERRUPTED;
  int text = lua_gettop(L), status, extra;
  lua_pushvalue(L, text);
  if (!call_prompt(L, "command", 1, NULL)) return true;
  if (!lua_isstring(L, -1)) { /* nil: nothing is left to run; false: leave */
    vm_lines_remember(lua_tostring(L, text));
    return lua_isnil(L, -1);
  }
  lua_replace(L, text);
  if (!read_rest(L, text, &status, &extra)) return true;
  vm_lines_remember(lua_tostring(L, text));
  if (status != 0) vm_explain_syntax(L), report(L, NULL);
  else evaluate(L, text, extra);
  return true;
}

void vm_prompt_load(lua_State *L) {
  lua_getglobal(L, "require");
  lua_pushliteral(L, "lunette.prompt");
  if (lua_pcall(L, 1, 1, 0) != 0) report(L, NULL);
  else lua_pop(L, 1);
}

void vm_prompt(lua_State *L, bool banner) {
  vm_lines_open(L);
  lua_pushboolean(L, banner && isatty(STDOUT_FILENO));
  if (call_prompt(L, "start", 1, NULL)) lua_pop(L, 1);
  int base = lua_gettop(L);
  while (step(L)) {
    lua_settop(L, base);
    fflush(stdout);
  }
  lua_settop(L, base);
}
