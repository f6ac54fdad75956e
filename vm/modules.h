/* modules.h: the Lua library inside the binary, as tools/embed writes it. */
#ifndef VM_MODULES_H
#define VM_MODULES_H

typedef struct vm_file {
  const char *module;     /* "lunette.nn"; NULL ends the table */
  const char *chunk;      /* "=lunette/nn.lua" */
  const char *text, *end;
} vm_file;

extern const vm_file vm_files[];

#endif
