/* modules.c: where `require "lunette.xxx"` finds its module.
 *
 * The C modules stand in package.preload. The Lua library travels inside the binary;
 * a searcher of its own, placed before the file system's, looks it up, so that a
 * script's folder cannot shadow it by accident. LUNETTE_LIB=lib/lua reads the same
 * files from a directory instead, which is how the library is developed.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "host.h"

static const luaL_Reg c_modules[] = {
  { "lunette.core", luaopen_lunette_core },
  { "lunette.data_c", luaopen_lunette_data_c },
  { "lunette.metrics_c", luaopen_lunette_metrics_c },
  { "lunette.profile_c", luaopen_lunette_profile_c },
  { "lunette.save_c", luaopen_lunette_save_c },
  { "lunette.sys", luaopen_lunette_sys },
  { "lunette.tune_c", luaopen_lunette_tune_c },
  { NULL, NULL }
};

/* Loads the file under LUNETTE_LIB that stands for an embedded one, under the same
 * chunk name: error messages and tracebacks then read the same. Pushes a function, or
 * returns false when there is no such file. */
static bool load_from_directory(lua_State *L, const char *directory, const char *module) {
  const char *path = luaL_gsub(L, module, ".", "/");
  static const char *const shapes[] = { "%s/%s.lua", "%s/%s/init.lua" };
  for (int i = 0; i < 2; i++) {
    const char *file = lua_pushfstring(L, shapes[i], directory, path);
    FILE *stream = fopen(file, "rb");
    if (stream == NULL) {
      lua_pop(L, 1);
      continue;
    }
    luaL_Buffer text;
    luaL_buffinit(L, &text);
    size_t got;
    while ((got = fread(luaL_prepbuffer(&text), 1, LUAL_BUFFERSIZE, stream)) > 0) luaL_addsize(&text, got);
    fclose(stream);
    luaL_pushresult(&text);
    const char *chunk = lua_pushfstring(L, "=%s", file + strlen(directory) + 1);
    size_t size;
    const char *bytes = lua_tolstring(L, -2, &size);
    if (luaL_loadbufferx(L, bytes, size, chunk, "t") != 0) lua_error(L);
    return true;
  }
  return false;
}

static int search(lua_State *L) {
  const char *module = luaL_checkstring(L, 1);
  if (strncmp(module, "lunette", 7) != 0 || (module[7] != '\0' && module[7] != '.')) {
    lua_pushliteral(L, "");
    return 1;
  }
  const char *directory = getenv("LUNETTE_LIB");
  if (directory != NULL && *directory != '\0' && load_from_directory(L, directory, module)) return 1;
  for (const vm_file *file = vm_files; file->module != NULL; file++)
    if (strcmp(file->module, module) == 0) {
      if (luaL_loadbufferx(L, file->text, (size_t)(file->end - file->text), file->chunk, "t") != 0) lua_error(L);
      return 1;
    }
  lua_pushfstring(L, "\n\tno module '%s' in Lunette's own library", module);
  return 1;
}

void vm_open_modules(lua_State *L) {
  lua_getglobal(L, "package");
  lua_getfield(L, -1, "preload");
  for (const luaL_Reg *entry = c_modules; entry->name != NULL; entry++) {
    lua_pushcfunction(L, entry->func);
    lua_setfield(L, -2, entry->name);
  }
  lua_pop(L, 1);
  /* Second place: after preload, before the files of package.path. */
  lua_getfield(L, -1, "loaders");
  for (int i = (int)lua_objlen(L, -1); i >= 2; i--) {
    lua_rawgeti(L, -1, i);
    lua_rawseti(L, -2, i + 1);
  }
  lua_pushcfunction(L, search);
  lua_rawseti(L, -2, 2);
  lua_pop(L, 2);
  /* The standard one would end the process with state and context still open. */
  lua_getglobal(L, "os");
  lua_pushcfunction(L, vm_sys_exit);
  lua_setfield(L, -2, "exit");
  lua_pop(L, 1);
}
