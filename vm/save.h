/* save.h: what the files of vm/save*.c share. */
#ifndef VM_SAVE_H
#define VM_SAVE_H

#include "vm.h"

/* -- save.c */
/* Raises misuse of save.`function`. */
int vm_save_misuse(lua_State *L, const char *function, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
/* A string argument without zero bytes, which a path and a name cannot have. */
const char *vm_save_text(lua_State *L, const char *function, int arg, const char *what);
/* The tensor's values on the host, computed if need be; raises when that fails. */
const void *vm_save_data(lua_State *L, ln_value *v);
/* Pixels of a tensor [H,W], [1,H,W] or [H,W,3]: u8 as they are, bool as 0 and 255, f32
 * from 0..1. With `stretch` a grey picture's smallest value becomes 0 and its largest 255;
 * a constant one becomes black. Pushes the userdata that holds them. */
const uint8_t *vm_save_pixels(lua_State *L, const char *function, ln_value *v, bool stretch,
                              int *width, int *height, int *channels);
/* true, or nil, message, code, or raises: what a function that only writes returns. */
int vm_save_result(lua_State *L, ln_code code, const ln_error *err);

/* -- save_json.c */
int vm_save_json(lua_State *L);
int vm_save_parse_json(lua_State *L);
void vm_save_open_json(lua_State *L); /* adds null and array to the table on top */

/* -- save_figure.c */
int vm_save_figure(lua_State *L);

#endif
