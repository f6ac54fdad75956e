/* text.h: a growing text. The first failure sticks: later additions do nothing, and the
 * owner looks at `failed` once, at the end. */
#ifndef LN_SAVE_TEXT_H
#define LN_SAVE_TEXT_H

#include <stdbool.h>

#include "../base/mem.h"

typedef struct ln_text {
  ln_mem *mem;
  char *data; /* not terminated; NULL while empty */
  size_t size, room;
  bool failed;
} ln_text;

void ln_text_bytes(ln_text *text, const void *data, size_t size);
void ln_text_add(ln_text *text, const char *format, ...) __attribute__((format(printf, 2, 3)));
void ln_text_free(ln_text *text);

#endif
