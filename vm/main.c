/* main.c: the program: its options, what it runs, and how it ends.
 *
 * Everything runs inside one protected call. Exit status: 0; 1 after an error; 2 when the
 * command line makes no sense; 130 after Ctrl-C. The Lua state and the context are
 * always closed, so that a leak is seen (LUNETTE_CHECK_LEAKS=1).
 */
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "host.h"

const char vm_version[] = LN_VERSION;

static const char usage_line[] = "usage: lunette [options] [file [arguments]]";

static const char help_text[] =
  "\n"
  "Runs a Lua script with tensors, layers and data sets for image segmentation. Without a\n"
  "file: a prompt on a terminal, else the script on standard input ('-').\n"
  "\n"
  "  -e CODE             run CODE; may be given several times\n"
  "  -i                  go on to the prompt after CODE or file\n"
  "  -v, --version       print the version\n"
  "  -h, --help          print this\n"
  "  --device NAME       cpu (default), cuda, reference or auto\n"
  "  --precision NAME    f32 (default), strict or bf16\n"
  "  --threads N         threads for kernels (default: all cores)\n"
  "  --deterministic     same bits for every number of threads\n"
  "  --memory GB         soft limit on memory for tensors\n"
  "  --seed N            seed of everything random (default 0)\n"
  "  --eager             run each operation when called, not planned\n"
  "  --profile[=FILE]    show where time and memory went when the program ends; with FILE\n"
  "                      also FILE.json and FILE.trace.json\n"
  "  --                  end of options\n"
  "\n"
  "lunette tune           measures this machine, once: its peaks and its fastest kernels\n"
  "lunette tune FILE ...  runs a script, then finds the fastest kernels for it\n"
  "\n"
  "Options behind the file belong to the script: lunette scripts/gpt4/main.lua --help\n";

typedef struct arguments {
  int argc;
  char **argv;
  int first;          /* index in argv of the file or of what follows the options */
  bool prompt, has_code, help, version;
  const char *profile; /* file of --profile, empty without one; NULL: no profile */
  ln_options options;
  int status;         /* what pmain leaves */
} arguments;

/* -- the command line */

enum { OPTION_DEVICE = 256, OPTION_PRECISION, OPTION_THREADS, OPTION_DETERMINISTIC, OPTION_MEMORY, OPTION_SEED, OPTION_EAGER, OPTION_PROFILE };

static const char short_options[] = "+:e:ivh";
static const struct option long_options[] = {
  { "device", required_argument, NULL, OPTION_DEVICE },
  { "precision", required_argument, NULL, OPTION_PRECISION },
  { "threads", required_argument, NULL, OPTION_THREADS },
  { "deterministic", no_argument, NULL, OPTION_DETERMINISTIC },
  { "memory", required_argument, NULL, OPTION_MEMORY },
  { "seed", required_argument, NULL, OPTION_SEED },
  { "eager", no_argument, NULL, OPTION_EAGER },
  { "profile", optional_argument, NULL, OPTION_PROFILE },
  { "version", no_argument, NULL, 'v' },
  { "help", no_argument, NULL, 'h' },
  { NULL, 0, NULL, 0 }
};

static bool usage_error(const char *what, const char *word) {
  fprintf(stderr, "lunette: %s%s\n%s (--help says more)\n", what, word, usage_line);
  return false;
}

/* The option that getopt_long stumbled over, as it was written. */
static const char *culprit(const arguments *a, char letter[3]) {
  if (optopt <= 0 || optopt > 255) return a->argv[optind - 1];
  letter[0] = '-';
  letter[1] = (char)optopt;
  letter[2] = '\0';
  return letter;
}

static bool parse(arguments *a) {
  int option, index = 0;
  opterr = 0;
  while ((option = getopt_long(a->argc, a->argv, short_options, long_options, &index)) != -1) {
    char text[256], letter[3];
    switch (option) {
      case 'e': a->has_code = true; break; /* run_code walks over them again */
      case 'i': a->prompt = true; break;
      case 'v': a->version = true; break;
      case 'h': a->help = true; break;
      case OPTION_PROFILE: a->profile = optarg == NULL ? "" : optarg; break;
      case ':': return usage_error("a value is missing after ", culprit(a, letter));
      case '?': return usage_error("there is no option ", culprit(a, letter));
      default:
        if (!vm_option_set(&a->options, long_options[index].name, optarg == NULL ? "true" : optarg, text, sizeof text))
          return usage_error("--", text);
    }
  }
  a->first = optind;
  return true;
}

/* -- running */

static void report(lua_State *L) {
  fflush(stdout);
  fprintf(stderr, "lunette: %s\n", vm_error_text(L));
  lua_pop(L, 1);
}

/* Calls the function below its nargs arguments; reports a failure. Returns the exit status. */
static int call(lua_State *L, int nargs) {
  int base = lua_gettop(L) - nargs;
  lua_pushcfunction(L, vm_traceback);
  lua_insert(L, base);
  int failed = lua_pcall(L, nargs, 0, base);
  lua_remove(L, base);
  if (failed == 0) return EXIT_SUCCESS;
  int status = vm_is_interrupt(L, -1) ? 130 : EXIT_FAILURE;
  vm_interrupt_clear();
  report(L);
  return status;
}

static int run_code(lua_State *L, const arguments *a) {
  int option, status = EXIT_SUCCESS;
  optind = 0; /* glibc's way to start over */
  while (status == EXIT_SUCCESS && (option = getopt_long(a->argc, a->argv, short_options, long_options, NULL)) != -1) {
    if (option != 'e') continue;
    if (luaL_loadbufferx(L, optarg, strlen(optarg), "=(command line)", "t") != 0) {
      vm_explain_syntax(L);
      report(L);
      return EXIT_FAILURE;
    }
    status = call(L, 0);
  }
  return status;
}

/* arg[0] is the file, arg[1] the first word behind it, arg[-1] the last one before it. */
static void set_arg(lua_State *L, const arguments *a) {
  lua_createtable(L, a->argc - a->first, a->first + 1);
  for (int i = 0; i < a->argc; i++) {
    lua_pushstring(L, a->argv[i]);
    lua_rawseti(L, -2, i - a->first);
  }
  lua_setglobal(L, "arg");
}

/* Lets `require "model"` find the script's neighbours, whatever the current directory is. */
static void set_script_path(lua_State *L, const char *file) {
  const char *slash = strrchr(file, '/');
  if (slash == NULL) lua_pushliteral(L, ".");
  else lua_pushlstring(L, file, (size_t)(slash - file)); /* "/x.lua": an empty folder before "/?.lua" */
  lua_getglobal(L, "package");
  lua_getfield(L, -1, "path");
  lua_pushfstring(L, "%s/?.lua;%s", lua_tostring(L, -3), lua_tostring(L, -1));
  lua_setfield(L, -3, "path");
  lua_pop(L, 3);
}

static int run_file(lua_State *L, const arguments *a, const char *file) {
  if (file != NULL) set_script_path(L, file);
  if (luaL_loadfilex(L, file, "t") != 0) {
    vm_explain_syntax(L);
    report(L);
    return EXIT_FAILURE;
  }
  int nargs = a->first < a->argc ? a->argc - a->first - 1 : 0;
  luaL_checkstack(L, nargs + 1, "too many arguments");
  for (int i = 0; i < nargs; i++) lua_pushstring(L, a->argv[a->first + 1 + i]);
  return call(L, nargs);
}

/* lunette tune [words]. A script of that name is ./tune. Where the words name a script it is run as without them; the rest
 * follows in vm_finish. */
static int run_tune(lua_State *L, arguments *a) {
  lua_getglobal(L, "require");
  lua_pushliteral(L, "lunette.tune");
  lua_call(L, 1, 1);
  lua_getfield(L, -1, "command");
  lua_createtable(L, a->argc - a->first - 1, 0);
  for (int i = a->first + 1; i < a->argc; i++) {
    lua_pushstring(L, a->argv[i]);
    lua_rawseti(L, -2, i - a->first);
  }
  lua_call(L, 1, 2);
  if (!lua_isnil(L, -2)) return (int)lua_tointeger(L, -2);
  a->first += (int)lua_tointeger(L, -1);
  lua_settop(L, 0);
  set_arg(L, a);
  return run_file(L, a, a->argv[a->first]);
}

static int run_all(lua_State *L, arguments *a) {
  bool has_file = a->first < a->argc;
  bool terminal = isatty(STDIN_FILENO);
  if (has_file && !a->has_code && strcmp(a->argv[a->first], "tune") == 0) return run_tune(L, a);
  if (a->prompt) vm_prompt_load(L);
  int status = a->has_code ? run_code(L, a) : EXIT_SUCCESS;
  if (status == EXIT_SUCCESS && has_file) {
    const char *file = a->argv[a->first];
    status = run_file(L, a, strcmp(file, "-") == 0 ? NULL : file);
  } else if (status == EXIT_SUCCESS && !has_file && !a->has_code && !a->prompt && !terminal) {
    status = run_file(L, a, NULL);
  }
  bool nothing_else = !has_file && !a->has_code;
  if (a->prompt || (nothing_else && terminal)) {
    vm_prompt(L, nothing_else);
    status = EXIT_SUCCESS;
  }
  return status;
}

static void start_profile(lua_State *L, const char *file) {
  lua_getglobal(L, "require");
  lua_pushliteral(L, "lunette.profile");
  lua_call(L, 1, 1);
  lua_getfield(L, -1, "program");
  lua_pushstring(L, *file == '\0' ? NULL : file);
  lua_call(L, 1, 0);
  lua_pop(L, 1);
}

static int pmain(lua_State *L) {
  arguments *a = lua_touserdata(L, 1);
  ln_error err;
  luaL_openlibs(L);
  if (vm_open(L, &a->options, &err) != LN_OK) return luaL_error(L, "%s", err.text);
  vm_open_modules(L);
  set_arg(L, a);
  if (!vm_interrupt_open(L)) return luaL_error(L, "cannot set up Ctrl-C: %s", strerror(errno));
  ln_ctx *ctx = vm_ctx(L);
  /* A named device must exist; the CPU is opened by the first operation that needs it. */
  if (a->options.device != LN_CPU && ln_device_open(ctx, a->options.device) != LN_OK) return vm_raise(L, &ctx->error);
  if (a->profile != NULL) start_profile(L, a->profile);
  a->status = run_all(L, a);
  return 0;
}

/* Pushes the function `finish` of a module that was loaded, or returns false. */
static bool push_finish(lua_State *L, const char *module) {
  lua_getfield(L, LUA_REGISTRYINDEX, "_LOADED");
  if (!lua_istable(L, -1)) return false;
  lua_getfield(L, -1, module);
  if (!lua_istable(L, -1)) return false;
  lua_getfield(L, -1, "finish");
  return true;
}

/* Shows the profile of the program where one was asked for. */
static int finish_profile(lua_State *L) {
  if (!push_finish(L, "lunette.profile")) return 0;
  lua_call(L, 0, 2);
  return lua_toboolean(L, -2) ? 0 : lua_error(L);
}

/* Times what a script of `lunette tune` planned. */
static int finish_tune(lua_State *L) {
  int *status = lua_touserdata(L, 1);
  if (!push_finish(L, "lunette.tune")) return 0;
  lua_call(L, 0, 1);
  if (*status == EXIT_SUCCESS) *status = (int)lua_tointeger(L, -1);
  return 0;
}

/* The error on top, told; the status that the program then ends with. */
static int failure_of(lua_State *L) {
  int status = vm_is_interrupt(L, -1) ? 130 : EXIT_FAILURE;
  report(L);
  return status;
}

int vm_finish(lua_State *L, int status) {
  if (lua_cpcall(L, finish_profile, NULL) != 0) {
    int failed = failure_of(L);
    if (status == EXIT_SUCCESS) status = failed;
  }
  if (lua_cpcall(L, finish_tune, &status) != 0) {
    int failed = failure_of(L);
    if (status == EXIT_SUCCESS) status = failed;
  }
  vm_interrupt_close();
  vm_lines_close();
  size_t live = vm_close(L);
  const char *check = getenv("LUNETTE_CHECK_LEAKS");
  if (check != NULL && strcmp(check, "1") == 0) {
    fprintf(stderr, "lunette: %zu bytes live at exit\n", live);
    if (live != 0) status = EXIT_FAILURE;
  }
  /* Output that could not be written (a full disk) is not success. */
  if ((fflush(stdout) != 0 || ferror(stdout)) && status == EXIT_SUCCESS) {
    perror("lunette: standard output");
    status = EXIT_FAILURE;
  }
  return status;
}

int main(int argc, char **argv) {
  vm_restore_environment();
  arguments a = { .argc = argc, .argv = argv, .status = EXIT_FAILURE };
  if (!parse(&a)) return 2;
  if (a.version) printf("Lunette %s\n", vm_version);
  if (a.help) printf("%s\n%s", usage_line, help_text);
  if (a.version || a.help) return fflush(stdout) == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
  setvbuf(stdout, NULL, _IOLBF, 0); /* a log shows each line at once, in order with stderr's */
  lua_State *L = vm_newstate(0);
  if (L == NULL) {
    fputs("lunette: out of memory\n", stderr);
    return EXIT_FAILURE;
  }
  if (lua_cpcall(L, pmain, &a) != 0) a.status = failure_of(L);
  return vm_finish(L, a.status);
}
