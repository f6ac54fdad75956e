/* host.h: what the program around the Lua state shares: main, the prompt, Ctrl-C, the
 * embedded library. The bindings (vm.h) know nothing of this.
 */
#ifndef VM_HOST_H
#define VM_HOST_H

#include <stdbool.h>
#include <stddef.h>

#include "vm.h"

/* -- the Lua library inside the binary; tools/embed writes the table */
typedef struct vm_file {
  const char *module;     /* "lunette.nn"; NULL ends the table */
  const char *chunk;      /* "=lunette/nn.lua" */
  const char *text, *end;
} vm_file;
extern const vm_file vm_files[];

/* -- modules.c: package.preload for the C modules and a searcher for lib/lua. */
void vm_open_modules(lua_State *L);

/* -- options.c: the settings that the command line and sys.configure share */
/* Puts the text of one setting ("threads", "4") into options; false and a message
 * in text when it makes no sense. */
bool vm_option_set(ln_options *options, const char *name, const char *value, char *text, size_t size);

/* -- traceback.c */
/* Message handler: the error's text and the script's part of the stack. An interrupt
 * passes through unchanged, so that the caller can tell it from an error. */
int vm_traceback(lua_State *L);
bool vm_is_interrupt(lua_State *L, int index);
/* Is the frame C's or the library's, not the script's? `what` and `source` are filled in. */
bool vm_is_inside(const lua_Debug *ar);
/* Replaces the value on top by its text, as tostring would, but never raises. */
const char *vm_error_text(lua_State *L);

/* -- waiting.c: before main it has set how threads wait, in the place of a variable */
void vm_restore_environment(void);

/* -- explain.c: each replaces the message on top by a clearer one where it knows one */
void vm_explain_syntax(lua_State *L);
void vm_explain_error(lua_State *L); /* in a message handler: it looks at the stack */
int vm_explain(lua_State *L);         /* a message handler that does no more */

/* -- interrupt.c: one per process, because signals are */
bool vm_interrupt_open(lua_State *L);
void vm_interrupt_close(void);
void vm_interrupt_clear(void);
bool vm_interrupt_pending(void);
int vm_interrupt_fd(void); /* becomes readable at Ctrl-C; vm_interrupt_clear empties it */

/* -- readline.c: where the prompt's lines come from */
typedef enum vm_line { VM_LINE_OK, VM_LINE_END, VM_LINE_INTERRUPTED } vm_line;
void vm_lines_open(lua_State *L);
void vm_lines_close(void);
/* On VM_LINE_OK *text is the line without its newline, to be freed with free(). */
vm_line vm_lines_read(const char *prompt, char **text);
void vm_lines_remember(const char *text); /* into the history */

/* -- repl.c: reads, runs and echoes until the end of input. */
void vm_prompt(lua_State *L, bool banner);
/* The prompt's Lua half notes the globals that are there: to be loaded before the user's code runs. */
void vm_prompt_load(lua_State *L);

/* -- sys.c, sys_run.c */
int vm_sys_exit(lua_State *L); /* sys.exit and os.exit */
int vm_sys_run(lua_State *L);  /* sys.run, a child process */

/* -- main.c: closes everything and gives the exit status, 1 when output was lost or, under
 * LUNETTE_CHECK_LEAKS, when memory is still held. Usable inside a Lua call: nothing
 * of L may be touched afterwards. */
int vm_finish(lua_State *L, int status);

extern const char vm_version[]; /* "0.1.0" */

#endif
