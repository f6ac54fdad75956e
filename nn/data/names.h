/* names.h: lists of file names in one block of text, for pairs.c. A file list of thousands
 * of names must not burden the script's garbage collector, which runs at every flush.
 */
#ifndef LN_DATA_NAMES_H
#define LN_DATA_NAMES_H

#include "../base/mem.h"
#include "../base/status.h"

typedef struct ln_names {
  ln_mem *mem;
  char *text;            /* the strings, each with its zero */
  size_t used, capacity; /* bytes of text */
  size_t *at;            /* string i starts at text + at[i] */
  size_t count, slots;
} ln_names;

static inline const char *ln_name(const ln_names *names, size_t i) { return names->text + names->at[i]; }

ln_code ln_names_add(ln_names *names, const char *text, size_t length, ln_error *err);
void ln_names_free(ln_names *names);
void ln_names_sort(ln_names *names);
/* The first string of a sorted list that is not below text. */
size_t ln_names_lower_bound(const ln_names *names, const char *text);

/* The folder's entries that do not begin with a dot and end in png, jpg or jpeg (any
 * case), sorted bytewise. */
ln_code ln_names_of_images(ln_names *names, const char *folder, ln_error *err);
/* The non-empty lines of a text file, sorted; a carriage return at the end is dropped. */
ln_code ln_names_of_lines(ln_names *names, const char *path, ln_error *err);

/* Length of "12" in "12.png". */
size_t ln_stem_length(const char *name);
/* Below, equal, above: whole numbers by value (any length), equal values bytewise. */
int ln_compare_numbers(const char *a, const char *b);
bool ln_is_number(const char *text);

#endif
