/* sys_run.c: sys.run(argv, {stdout=, stderr=, env=, tick=}): a child process to its end.
 *
 * No shell in between: words stay words. The result is a table { status = 0 } or
 * { signal = 9 }, with seconds and peak_rss (bytes) of the child. tick is a function that is
 * called ten times a second meanwhile, to show progress; an error in it ends the child.
 */
#define _GNU_SOURCE /* environ */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "host.h"

/* The strings of the list at index, as an argv that Lua owns; they live while the list does. */
static char **string_list(lua_State *L, int index) {
  size_t count = lua_objlen(L, index);
  char **list = lua_newuserdata(L, (count + 1) * sizeof *list);
  for (size_t i = 1; i <= count; i++) {
    lua_rawgeti(L, index, (int)i);
    if (lua_type(L, -1) != LUA_TSTRING) luaL_error(L, "sys.run: word %d is a %s, not a string", (int)i, luaL_typename(L, -1));
    const char *word = lua_tostring(L, -1);
    memcpy(&list[i - 1], &word, sizeof *list); /* exec's argv is not const */
    lua_pop(L, 1);
  }
  list[count] = NULL;
  return list;
}

/* Is the environment's entry "NAME=value" one that the table at index `env` sets anew? */
static bool is_replaced(lua_State *L, int env, const char *entry) {
  if (!lua_istable(L, env)) return false;
  lua_pushlstring(L, entry, strcspn(entry, "="));
  lua_rawget(L, env);
  const bool replaced = !lua_isnil(L, -1);
  lua_pop(L, 1);
  return replaced;
}

/* The environment, with the entries { NAME = "value" } of the options' env instead of its own of that name: of two a shell takes
 * the last, and getenv the first. Leaves what holds the strings on the stack. */
static char **environment(lua_State *L, int options) {
  lua_newtable(L); /* list of "NAME=value" */
  int list = lua_gettop(L), count = 0;
  lua_getfield(L, options, "env");
  if (lua_istable(L, -1))
    for (lua_pushnil(L); lua_next(L, list + 1) != 0; lua_pop(L, 1)) {
      if (lua_type(L, -2) != LUA_TSTRING || !lua_isstring(L, -1)) luaL_error(L, "sys.run: env holds names and strings");
      lua_pushfstring(L, "%s=%s", lua_tostring(L, -2), lua_tostring(L, -1));
      lua_rawseti(L, list, ++count);
    }
  for (char **entry = environ; *entry != NULL; entry++) {
    if (is_replaced(L, list + 1, *entry)) continue;
    lua_pushstring(L, *entry);
    lua_rawseti(L, list, ++count);
  }
  return string_list(L, list);
}

static int redirect(posix_spawn_file_actions_t *actions, int fd, const char *path) {
  return path == NULL ? 0 : posix_spawn_file_actions_addopen(actions, fd, path, O_WRONLY | O_CREAT | O_TRUNC, 0666);
}

/* 0, or the errno of what failed. The child gets default signals. */
static int spawn(pid_t *pid, char **argv, char **envp, const char *out, const char *err) {
  posix_spawn_file_actions_t actions;
  int failed = posix_spawn_file_actions_init(&actions);
  if (failed != 0) return failed;
  failed = redirect(&actions, STDOUT_FILENO, out);
  if (failed == 0) failed = redirect(&actions, STDERR_FILENO, err);
  if (failed == 0) failed = posix_spawnp(pid, argv[0], &actions, NULL, argv, envp);
  posix_spawn_file_actions_destroy(&actions);
  return failed;
}

static double now(void) {
  struct timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return (double)time.tv_sec + 1e-9 * (double)time.tv_nsec;
}

static void set_number(lua_State *L, const char *name, double value) {
  lua_pushnumber(L, value);
  lua_setfield(L, -2, name);
}

/* 0, or the errno of what failed. Ctrl-C reaches the child too, so it is only waited for. */
static int wait_for(pid_t pid, int *status, struct rusage *usage) {
  while (wait4(pid, status, 0, usage) < 0)
    if (errno != EINTR) return errno;
  return 0;
}

/* As wait_for, calling the function at `tick`. Its error is raised once the child has ended. */
static int wait_ticking(lua_State *L, int tick, pid_t pid, int *status, struct rusage *usage) {
  for (;;) {
    pid_t ended = wait4(pid, status, WNOHANG, usage);
    if (ended == pid) return 0;
    if (ended < 0 && errno != EINTR) return errno;
    struct timespec rest = { 0, 100000000L };
    nanosleep(&rest, NULL);
    lua_pushvalue(L, tick);
    if (lua_pcall(L, 0, 0, 0) == 0) continue;
    kill(pid, SIGTERM);
    wait_for(pid, status, usage);
    lua_error(L);
  }
}

int vm_sys_run(lua_State *L) {
  luaL_checktype(L, 1, LUA_TTABLE);
  if (lua_isnoneornil(L, 2)) {
    lua_settop(L, 1);
    lua_newtable(L);
  }
  luaL_checktype(L, 2, LUA_TTABLE);
  luaL_argcheck(L, lua_objlen(L, 1) > 0, 1, "a program's name expected");
  const char *out = vm_opt_string(L, 2, "stdout", NULL), *err = vm_opt_string(L, 2, "stderr", NULL);
  char **argv = string_list(L, 1), **envp = environment(L, 2);
  lua_getfield(L, 2, "tick");
  int tick = lua_gettop(L);
  double start = now();
  pid_t pid;
  int failed = spawn(&pid, argv, envp, out, err);
  if (failed != 0) {
    ln_error error;
    ln_fail(&error, LN_EIO, "%s: %s", argv[0], strerror(failed));
    return vm_fail(L, &error);
  }
  int status;
  struct rusage usage;
  failed = lua_isnil(L, tick) ? wait_for(pid, &status, &usage) : wait_ticking(L, tick, pid, &status, &usage);
  if (failed != 0) return luaL_error(L, "sys.run: %s", strerror(failed));
  vm_poll(L);
  lua_newtable(L);
  if (WIFEXITED(status)) set_number(L, "status", WEXITSTATUS(status));
  if (WIFSIGNALED(status)) set_number(L, "signal", WTERMSIG(status));
  set_number(L, "seconds", now() - start);
  set_number(L, "peak_rss", (double)usage.ru_maxrss * 1024.0);
  return 1;
}
