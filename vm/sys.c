/* sys.c: module lunette.sys: what scripts need of the operating system and of the host.
 *
 * Failures of the environment come back as nil, message, code, as everywhere.
 */
#define _GNU_SOURCE /* sched_getaffinity */
#include <dirent.h>
#include <errno.h>
#include <libgen.h>
#include <limits.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "host.h"

static int fail_errno(lua_State *L, const char *path) {
  ln_error err;
  ln_fail(&err, LN_EIO, "%s: %s", path, strerror(errno));
  return vm_fail(L, &err);
}

/* -- time and terminal */

static int sys_clock(lua_State *L) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  lua_pushnumber(L, (double)now.tv_sec + 1e-9 * (double)now.tv_nsec);
  return 1;
}

static int sys_sleep(lua_State *L) {
  double seconds = luaL_checknumber(L, 1);
  luaL_argcheck(L, seconds >= 0 && seconds < 1e9, 1, "a number of seconds expected");
  struct timespec rest = { (time_t)seconds, (long)(1e9 * (seconds - (double)(time_t)seconds)) };
  while (nanosleep(&rest, &rest) != 0 && errno == EINTR) vm_poll(L);
  return 0;
}

/* "stdin", "stdout", "stderr" -> 0, 1, 2 */
static int check_stream(lua_State *L, int arg, int fallback) {
  static const char *const names[] = { "stdin", "stdout", "stderr", NULL };
  return luaL_checkoption(L, arg, names[fallback], names);
}

static int sys_isatty(lua_State *L) {
  lua_pushboolean(L, isatty(check_stream(L, 1, 1)));
  return 1;
}

static int sys_width(lua_State *L) {
  struct winsize size = { 0 };
  int known = ioctl(check_stream(L, 1, 1), TIOCGWINSZ, &size) == 0 && size.ws_col > 0;
  lua_pushinteger(L, known ? size.ws_col : 80);
  return 1;
}

/* -- the process */

static int sys_pid(lua_State *L) {
  lua_pushinteger(L, (lua_Integer)getpid());
  return 1;
}

/* Bytes; negative when /proc is not there. */
static double resident(void) {
  long pages = 0;
  FILE *statm = fopen("/proc/self/statm", "r");
  if (statm == NULL) return -1;
  int got = fscanf(statm, "%*s %ld", &pages);
  fclose(statm);
  return got == 1 ? (double)pages * (double)sysconf(_SC_PAGESIZE) : -1;
}

static int sys_rss(lua_State *L) {
  double bytes = resident();
  if (bytes < 0) return fail_errno(L, "/proc/self/statm");
  lua_pushnumber(L, bytes);
  return 1;
}

/* The kernel notes its maximum now and then only, so that what is resident may be above it. */
static int sys_peak_rss(lua_State *L) {
  struct rusage usage;
  getrusage(RUSAGE_SELF, &usage);
  double peak = (double)usage.ru_maxrss * 1024.0, now = resident();
  lua_pushnumber(L, now > peak ? now : peak);
  return 1;
}

/* The cores that this process may use: a container often has fewer than the machine. */
static int sys_cores(lua_State *L) {
  cpu_set_t set;
  int cores = sched_getaffinity(0, sizeof set, &set) == 0 ? CPU_COUNT(&set) : 0;
  lua_pushinteger(L, cores > 0 ? cores : (lua_Integer)sysconf(_SC_NPROCESSORS_ONLN));
  return 1;
}

/* A program that was built or installed anew while this one runs is another file: a child is to
 * be this one still, which the link in /proc opens also then. */
static int sys_executable(lua_State *L) {
  static const char link[] = "/proc/self/exe";
  char path[PATH_MAX];
  ssize_t length = readlink(link, path, sizeof path - 1);
  if (length < 0) return fail_errno(L, link);
  path[length] = '\0';
  struct stat named, running;
  bool same = stat(path, &named) == 0 && stat(link, &running) == 0 && named.st_dev == running.st_dev &&
              named.st_ino == running.st_ino;
  lua_pushstring(L, same ? path : link);
  return 1;
}

/* Closes the state first, so that files are complete and leaks seen; os.exit is this too. */
int vm_sys_exit(lua_State *L) {
  int status = lua_isboolean(L, 1) ? (lua_toboolean(L, 1) ? EXIT_SUCCESS : EXIT_FAILURE)
                                   : (int)luaL_optinteger(L, 1, EXIT_SUCCESS);
  exit(vm_finish(L, status));
  return 0;
}

/* -- paths */

static int sys_cwd(lua_State *L) {
  char path[PATH_MAX];
  if (getcwd(path, sizeof path) == NULL) return fail_errno(L, ".");
  lua_pushstring(L, path);
  return 1;
}

static int sys_realpath(lua_State *L) {
  const char *path = luaL_checkstring(L, 1);
  char full[PATH_MAX];
  if (realpath(path, full) == NULL) return fail_errno(L, path);
  lua_pushstring(L, full);
  return 1;
}

/* dirname and basename write into their argument. */
static int path_part(lua_State *L, char *(*part)(char *)) {
  size_t size;
  const char *path = luaL_checklstring(L, 1, &size);
  char *copy = lua_newuserdata(L, size + 1);
  memcpy(copy, path, size + 1);
  lua_pushstring(L, part(copy));
  return 1;
}

static int sys_dirname(lua_State *L) { return path_part(L, dirname); }
static int sys_basename(lua_State *L) { return path_part(L, basename); } /* POSIX's, by libgen.h */

/* "file", "directory", "other", or false when there is nothing of that name. */
static int sys_exists(lua_State *L) {
  struct stat info;
  if (stat(luaL_checkstring(L, 1), &info) != 0) lua_pushboolean(L, 0);
  else lua_pushstring(L, S_ISREG(info.st_mode) ? "file" : S_ISDIR(info.st_mode) ? "directory" : "other");
  return 1;
}

static bool make_directory(const char *path) {
  struct stat info;
  if (mkdir(path, 0777) == 0) return true;
  if (errno != EEXIST) return false;
  if (stat(path, &info) == 0 && S_ISDIR(info.st_mode)) return true;
  errno = ENOTDIR;
  return false;
}

/* With all its parents, as mkdir -p. */
static int sys_mkdir(lua_State *L) {
  size_t size;
  const char *path = luaL_checklstring(L, 1, &size);
  char *part = lua_newuserdata(L, size + 1);
  memcpy(part, path, size + 1);
  for (char *slash = strchr(part + (*part == '/'), '/'); slash != NULL; slash = strchr(slash + 1, '/')) {
    *slash = '\0';
    if (!make_directory(part)) return fail_errno(L, part);
    *slash = '/';
  }
  if (!make_directory(part)) return fail_errno(L, path);
  lua_pushboolean(L, 1);
  return 1;
}

/* An open directory belongs to a userdata, so that an error while the names are pushed
 * still closes it. */
#define DIRECTORY "lunette.directory"

static int directory_close(lua_State *L) {
  DIR **slot = lua_touserdata(L, 1);
  if (*slot != NULL) closedir(*slot);
  *slot = NULL;
  return 0;
}

static DIR *directory_open(lua_State *L, const char *path) {
  DIR **slot = lua_newuserdata(L, sizeof(DIR *));
  *slot = NULL;
  if (luaL_newmetatable(L, DIRECTORY)) {
    lua_pushcfunction(L, directory_close);
    lua_setfield(L, -2, "__gc");
  }
  lua_setmetatable(L, -2);
  return *slot = opendir(path);
}

/* Names in a folder without . and .., sorted bytewise. */
static int sys_list(lua_State *L) {
  const char *path = luaL_checkstring(L, 1);
  lua_settop(L, 1);
  DIR *directory = directory_open(L, path);
  if (directory == NULL) return fail_errno(L, path);
  lua_newtable(L);
  int count = 0;
  for (;;) {
    errno = 0;
    const struct dirent *entry = readdir(directory);
    if (entry == NULL) break;
    if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0) continue;
    lua_pushstring(L, entry->d_name);
    lua_rawseti(L, 3, ++count);
  }
  if (errno != 0) return fail_errno(L, path);
  lua_pushcfunction(L, directory_close);
  lua_pushvalue(L, 2);
  lua_call(L, 1, 0);
  lua_getglobal(L, "table");
  lua_getfield(L, -1, "sort"); /* strcoll in the C locale: bytewise */
  lua_pushvalue(L, 3);
  lua_call(L, 1, 0);
  lua_settop(L, 3);
  return 1;
}

/* -- the host */

/* sys.configure{threads=, deterministic=, precision=, device=, memory=, eager=, seed=}: what
 * the command line sets, for scripts with the same options. */
static int sys_configure(lua_State *L) {
  luaL_checktype(L, 1, LUA_TTABLE);
  lua_settop(L, 1);
  ln_ctx *ctx = vm_ctx(L);
  ln_options wanted = ctx->options;
  bool seeds = false;
  for (lua_pushnil(L); lua_next(L, 1) != 0; lua_pop(L, 1)) {
    if (lua_type(L, 2) != LUA_TSTRING) return luaL_error(L, "sys.configure: settings have names");
    if (lua_isboolean(L, 3)) lua_pushstring(L, lua_toboolean(L, 3) ? "true" : "false");
    else lua_pushvalue(L, 3);
    if (!lua_isstring(L, 4)) return luaL_error(L, "sys.configure: %s is a %s", lua_tostring(L, 2), luaL_typename(L, 3));
    char text[256];
    if (!vm_option_set(&wanted, lua_tostring(L, 2), lua_tostring(L, 4), text, sizeof text))
      return luaL_error(L, "%s", text);
    seeds = seeds || strcmp(lua_tostring(L, 2), "seed") == 0;
    lua_pop(L, 1);
  }
  const ln_device_options *now = &ctx->options.kernel, *next = &wanted.kernel;
  bool changed = next->threads != now->threads || next->deterministic != now->deterministic || next->strict != now->strict ||
                 next->low != now->low;
  for (int device = 0; changed && device < LN_DEVICE_COUNT; device++)
    if (ctx->backend[device] != NULL)
      return luaL_error(L, "threads, deterministic and precision are set before the first operation");
  ctx->options.kernel = wanted.kernel; /* which a device takes when it opens */
  if (wanted.device != ctx->options.device) { /* what is pending belongs to the old device */
    if (ln_flush(ctx) != LN_OK) return vm_raise(L, NULL);
    if (wanted.device != LN_CPU && ln_device_open(ctx, wanted.device) != LN_OK) return vm_fail_or_raise(L, &ctx->error);
  }
  ctx->options = wanted;
  ctx->mem.limit = wanted.memory_limit;
  if (seeds) ln_seed(ctx, wanted.seed);
  lua_pushboolean(L, 1);
  return 1;
}

static void set_text(lua_State *L, const char *name, const char *value) {
  lua_pushstring(L, value);
  lua_setfield(L, -2, name);
}

/* The settings in force, under configure's names; what run.json records. */
static int sys_settings(lua_State *L) {
  const ln_ctx *ctx = vm_ctx(L);
  const ln_options *options = &ctx->options;
  lua_newtable(L);
  set_text(L, "device", ln_device_name(options->device));
  set_text(L, "precision", options->kernel.strict ? "strict" : options->kernel.low ? "bf16" : "f32");
  lua_pushinteger(L, options->kernel.threads);
  lua_setfield(L, -2, "threads");
  lua_pushnumber(L, (double)options->memory_limit * 1e-9);
  lua_setfield(L, -2, "memory");
  lua_pushnumber(L, (double)ctx->seed);
  lua_setfield(L, -2, "seed");
  lua_pushboolean(L, options->eager);
  lua_setfield(L, -2, "eager");
  lua_pushboolean(L, options->kernel.deterministic);
  lua_setfield(L, -2, "deterministic");
  return 1;
}

/* The names of the modules inside the binary. */
static int sys_modules(lua_State *L) {
  lua_newtable(L);
  for (int i = 0; vm_files[i].module != NULL; i++) {
    lua_pushstring(L, vm_files[i].module);
    lua_rawseti(L, -2, i + 1);
  }
  return 1;
}

/* The text of an embedded file by its chunk name, "lunette/nn.lua"; nil when there is none. */
static int sys_source(lua_State *L) {
  const char *chunk = luaL_checkstring(L, 1);
  for (const vm_file *file = vm_files; file->module != NULL; file++)
    if (strcmp(file->chunk + 1, chunk) == 0) {
      lua_pushlstring(L, file->text, (size_t)(file->end - file->text));
      return 1;
    }
  lua_pushnil(L);
  return 1;
}

static const luaL_Reg functions[] = {
  { "clock", sys_clock }, { "sleep", sys_sleep }, { "isatty", sys_isatty }, { "width", sys_width },
  { "pid", sys_pid }, { "rss", sys_rss }, { "peak_rss", sys_peak_rss }, { "cores", sys_cores },
  { "executable", sys_executable }, { "exit", vm_sys_exit }, { "run", vm_sys_run },
  { "cwd", sys_cwd }, { "realpath", sys_realpath }, { "dirname", sys_dirname },
  { "basename", sys_basename }, { "exists", sys_exists }, { "mkdir", sys_mkdir }, { "list", sys_list },
  { "configure", sys_configure }, { "settings", sys_settings },
  { "modules", sys_modules }, { "source", sys_source },
  { NULL, NULL }
};

int luaopen_lunette_sys(lua_State *L) {
  lua_newtable(L);
  luaL_setfuncs(L, functions, 0);
  lua_pushstring(L, vm_version);
  lua_setfield(L, -2, "version");
  return 1;
}
