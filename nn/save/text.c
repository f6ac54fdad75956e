/* text.c: see text.h. */
#include "text.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static bool make_room(ln_text *text, size_t more) {
  if (text->failed) return false;
  if (text->room - text->size >= more) return true;
  size_t room = text->room * 2 > text->size + more ? text->room * 2 : text->size + more + 1024;
  char *data = ln_realloc(text->mem, text->data, room);
  if (data == NULL) {
    text->failed = true;
    return false;
  }
  text->data = data;
  text->room = room;
  return true;
}

void ln_text_bytes(ln_text *text, const void *data, size_t size) {
  if (size == 0 || !make_room(text, size)) return;
  memcpy(text->data + text->size, data, size);
  text->size += size;
}

void ln_text_add(ln_text *text, const char *format, ...) {
  va_list args;
  va_start(args, format);
  int length = vsnprintf(NULL, 0, format, args);
  va_end(args);
  if (length < 0 || !make_room(text, (size_t)length + 1)) return;
  va_start(args, format);
  vsnprintf(text->data + text->size, (size_t)length + 1, format, args);
  va_end(args);
  text->size += (size_t)length;
}

void ln_text_free(ln_text *text) {
  ln_free(text->mem, text->data);
  *text = (ln_text){.mem = text->mem};
}
