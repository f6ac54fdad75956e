/* readline.c: where the prompt's lines come from: GNU readline, or plain input.
 *
 * readline is GPL, so it is never linked: it is loaded at run time, on a terminal, if it is
 * there. It is driven through its callback interface, so that Ctrl-C can empty the
 * line: the wait is ours, and ends when the handler writes into its pipe.
 * readline itself keeps global state; so does this file.
 */
#define _GNU_SOURCE /* RTLD_* and getline */
#include <dlfcn.h>
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "host.h"

enum { HISTORY_LINES = 5000 };

typedef char **completion_fn(const char *text, int start, int end);

/* readline's functions and variables that are used, by their own names. */
static struct {
  void *library; /* NULL: plain input */
  void (*rl_callback_handler_install)(const char *prompt, void (*on_line)(char *));
  void (*rl_callback_read_char)(void);
  void (*rl_callback_handler_remove)(void);
  void (*rl_callback_sigcleanup)(void);
  void (*rl_cleanup_after_signal)(void);
  void (*rl_free_line_state)(void);
  void (*rl_resize_terminal)(void);
  int (*rl_variable_bind)(const char *name, const char *value);
  char **(*rl_completion_matches)(const char *text, char *(*next)(const char *, int));
  char *(*rl_filename_completion_function)(const char *text, int state);
  void (*add_history)(const char *line);
  int (*read_history)(const char *file);
  int (*append_history)(int count, const char *file);
  int (*history_truncate_file)(const char *file, int lines);
  void (*stifle_history)(int lines);
  const char **rl_readline_name, **rl_completer_word_break_characters;
  char **rl_line_buffer;
  int *rl_point, *rl_catch_signals, *rl_attempted_completion_over, *rl_completion_append_character;
  int *history_write_timestamps;
  char *history_comment_char;
  completion_fn **rl_attempted_completion_function;
  char *(**rl_completion_word_break_hook)(void);
} rl;

static struct {
  lua_State *L;       /* completion asks Lua */
  char *history;      /* file name, NULL without one */
  char *last;         /* the last line remembered: repeats are kept once */
  char *line;         /* what on_line got */
  bool done;
} input;

/* -- completion: prompt.lua finds the candidates */

/* Whether position `end` of the line lies in a string literal. */
static bool in_string(const char *line, size_t end) {
  char quote = 0;
  for (size_t i = 0; i < end && line[i] != '\0'; i++) {
    if (quote != 0 && line[i] == '\\') i++;
    else if (line[i] == quote) quote = 0;
    else if (quote == 0 && (line[i] == '"' || line[i] == '\'')) quote = line[i];
  }
  return quote != 0;
}

/* A name inside a string is a file's and ends at the quote; elsewhere a word is one
 * field of a dotted expression. */
static char *word_breaks(void) {
  static char of_files[] = "\"'", of_code[] = " \t\n\"'`@$><=;|&{}()[],+-*/^#%~.:?";
  return in_string(*rl.rl_line_buffer, (size_t)*rl.rl_point) ? of_files : of_code;
}

/* Leaves the table of candidates on the stack; false when Lua failed. */
static bool ask_lua(const char *line, int end) {
  lua_State *L = input.L;
  lua_getglobal(L, "require");
  lua_pushliteral(L, "lunette.prompt");
  if (lua_pcall(L, 1, 1, 0) != 0) return false;
  lua_getfield(L, -1, "complete");
  lua_pushlstring(L, line, (size_t)end);
  if (lua_pcall(L, 1, 1, 0) != 0) return false;
  return lua_istable(L, -1);
}

static char *next_candidate(const char *text, int state) {
  static int index;
  (void)text;
  if (state == 0) index = 0;
  lua_rawgeti(input.L, -1, ++index);
  const char *name = lua_tostring(input.L, -1);
  char *copy = name == NULL ? NULL : strdup(name);
  lua_pop(input.L, 1);
  return copy;
}

static char **complete(const char *text, int start, int end) {
  (void)start;
  *rl.rl_attempted_completion_over = 1;
  *rl.rl_completion_append_character = '\0';
  if (in_string(*rl.rl_line_buffer, (size_t)end))
    return rl.rl_completion_matches(text, rl.rl_filename_completion_function);
  int top = lua_gettop(input.L);
  char **matches = ask_lua(*rl.rl_line_buffer, end) ? rl.rl_completion_matches(text, next_candidate) : NULL;
  lua_settop(input.L, top);
  return matches;
}

/* -- opening and closing */

static bool load_readline(void) {
  void *library = dlopen("libreadline.so.8", RTLD_NOW | RTLD_LOCAL);
  if (library == NULL) return false;
  bool all = true;
#define GET(name)                                       \
  do {                                                  \
    void *symbol = dlsym(library, #name);               \
    memcpy(&rl.name, &symbol, sizeof symbol);           \
    all = all && symbol != NULL;                        \
  } while (0)
  GET(rl_callback_handler_install); GET(rl_callback_read_char); GET(rl_callback_handler_remove);
  GET(rl_callback_sigcleanup); GET(rl_cleanup_after_signal); GET(rl_free_line_state); GET(rl_resize_terminal);
  GET(rl_variable_bind); GET(rl_completion_matches); GET(rl_filename_completion_function);
  GET(add_history); GET(read_history); GET(append_history); GET(history_truncate_file); GET(stifle_history);
  GET(rl_readline_name); GET(rl_completer_word_break_characters); GET(rl_line_buffer); GET(rl_point);
  GET(rl_catch_signals); GET(rl_attempted_completion_over); GET(rl_completion_append_character);
  GET(history_write_timestamps); GET(history_comment_char);
  GET(rl_attempted_completion_function); GET(rl_completion_word_break_hook);
#undef GET
  if (all) rl.library = library;
  else dlclose(library);
  return all;
}

/* XDG's place for such files, or the home folder when there is no ~/.local/state. */
static char *history_path(void) {
  const char *state = getenv("XDG_STATE_HOME"), *home = getenv("HOME");
  char *folder = NULL, *path = NULL;
  struct stat info;
  if (state != NULL && *state == '/') folder = strdup(state);
  else if (home == NULL || *home == '\0') return NULL;
  else if (asprintf(&folder, "%s/.local/state", home) < 0) return NULL;
  if (folder == NULL) return NULL;
  if (stat(folder, &info) == 0 && S_ISDIR(info.st_mode)) {
    if (asprintf(&path, "%s/lunette", folder) < 0) path = NULL;
    if (path != NULL) {
      mkdir(path, 0700);
      free(path);
    }
    if (asprintf(&path, "%s/lunette/history", folder) < 0) path = NULL;
  } else if (home != NULL && asprintf(&path, "%s/.lunette_history", home) < 0) {
    path = NULL;
  }
  free(folder);
  return path;
}

static void open_history(void) {
  /* Time stamps separate entries, so that blocks of several lines survive. */
  *rl.history_comment_char = '#';
  *rl.history_write_timestamps = 1;
  rl.stifle_history(HISTORY_LINES);
  input.history = history_path();
  if (input.history == NULL) return;
  FILE *file = fopen(input.history, "a"); /* append_history wants it to exist */
  if (file != NULL) fclose(file);
  rl.read_history(input.history);
}

void vm_lines_open(lua_State *L) {
  input.L = L;
  const char *terminal = getenv("TERM");
  bool capable = isatty(STDIN_FILENO) && isatty(STDOUT_FILENO) && terminal != NULL && strcmp(terminal, "dumb") != 0;
  if (!capable || !load_readline()) return;
  *rl.rl_readline_name = "lunette";
  *rl.rl_catch_signals = 0; /* Ctrl-C is ours */
  *rl.rl_attempted_completion_function = complete;
  *rl.rl_completion_word_break_hook = word_breaks;
  rl.rl_variable_bind("enable-bracketed-paste", "on");
  rl.rl_variable_bind("blink-matching-paren", "on");
  open_history();
}

void vm_lines_close(void) {
  if (rl.library != NULL && input.history != NULL) rl.history_truncate_file(input.history, HISTORY_LINES);
  free(input.history);
  free(input.last);
  input.history = input.last = NULL;
  rl.library = NULL; /* stays mapped: readline has handlers of its own */
}

void vm_lines_remember(const char *text) {
  if (rl.library == NULL || *text == '\0' || (input.last != NULL && strcmp(input.last, text) == 0)) return;
  rl.add_history(text);
  if (input.history != NULL) rl.append_history(1, input.history);
  free(input.last);
  input.last = strdup(text);
}

/* -- reading */

static void on_line(char *line) {
  input.line = line;
  input.done = true;
  rl.rl_callback_handler_remove(); /* at once, else the next prompt is drawn already */
}

static vm_line read_with_readline(const char *prompt, char **text) {
  struct pollfd wait[2] = { { STDIN_FILENO, POLLIN, 0 }, { vm_interrupt_fd(), POLLIN, 0 } };
  input.done = false;
  rl.rl_callback_handler_install(prompt, on_line);
  while (!input.done) {
    if (poll(wait, 2, -1) < 0) {
      if (errno != EINTR) break;
      rl.rl_resize_terminal(); /* SIGWINCH, most likely */
      wait[0].revents = 0;
    }
    if (vm_interrupt_pending()) {
      puts("^C");
      rl.rl_free_line_state();
      rl.rl_callback_sigcleanup();
      rl.rl_cleanup_after_signal();
      rl.rl_callback_handler_remove();
      return VM_LINE_INTERRUPTED;
    }
    if (wait[0].revents != 0) rl.rl_callback_read_char();
  }
  if (!input.done) rl.rl_callback_handler_remove();
  *text = input.done ? input.line : NULL;
  if (*text != NULL) return VM_LINE_OK;
  puts("");
  return VM_LINE_END;
}

static vm_line read_plain(const char *prompt, char **text) {
  fputs(prompt, stdout);
  fflush(stdout);
  size_t capacity = 0;
  *text = NULL;
  errno = 0;
  ssize_t length = getline(text, &capacity, stdin);
  if (length >= 0) {
    if (length > 0 && (*text)[length - 1] == '\n') (*text)[length - 1] = '\0';
    return VM_LINE_OK;
  }
  bool interrupted = errno == EINTR && vm_interrupt_pending();
  clearerr(stdin);
  free(*text);
  *text = NULL;
  puts("");
  return interrupted ? VM_LINE_INTERRUPTED : VM_LINE_END;
}

vm_line vm_lines_read(const char *prompt, char **text) {
  vm_line result = rl.library != NULL ? read_with_readline(prompt, text) : read_plain(prompt, text);
  if (result == VM_LINE_INTERRUPTED) vm_interrupt_clear();
  return result;
}
