/* source.h: where image/mask pairs come from: a folder of files, or a drawing. The data
 * set and the loader know only this struct, so another kind (volumes, for one) is another
 * file that fills it in.
 */
#ifndef LN_DATA_SOURCE_H
#define LN_DATA_SOURCE_H

#include <stdatomic.h>

#include "image.h"
#include "phantom.h"

enum { LN_STEM_TEXT = 256 };

typedef struct ln_sample {
  ln_image image, mask; /* of one shape */
} ln_sample;

typedef struct ln_source ln_source;
struct ln_source {
  size_t count;
  /* The pair's name, cut to size. */
  void (*stem)(const ln_source *self, size_t i, char *text, size_t size);
  /* Its files, owned by the source; NULL when it has none. */
  void (*paths)(const ln_source *self, size_t i, const char **image, const char **mask);
  /* Thread-safe; on failure *out is empty and the message names the file. */
  ln_code (*load)(const ln_source *self, ln_mem *mem, size_t i, ln_sample *out, ln_error *err);
  void (*close)(ln_source *self); /* frees what the struct is a part of */
  ln_mem *mem;
  atomic_size_t refs;
};

void ln_source_retain(ln_source *source);
void ln_source_release(ln_source *source); /* NULL is fine */
void ln_sample_free(ln_mem *mem, ln_sample *sample);

typedef struct ln_pairs_options {
  const char *images;  /* folder */
  const char *masks;   /* folder; NULL: the images' */
  const char *suffix;  /* mask = stem, suffix, extension; NULL: "" */
  const char *exclude; /* file of stems to leave out, one a line; NULL: none */
  const char *only;    /* file of the stems to keep, one a line; NULL: all */
  bool numeric;        /* by number when every stem is an integer, else bytewise */
  size_t limit;        /* the first so many by name; 0: all */
} ln_pairs_options;

/* Pairs, sorts, limits, chooses (only, exclude), in this order, and then compares the sizes
 * of image and mask by their headers. LN_EIO: a folder, file, mask or stem of `only` is
 * missing; LN_EFORMAT: damaged or ambiguous; LN_EINVAL: options that cannot mean anything. */
ln_code ln_pairs_open(ln_mem *mem, const ln_pairs_options *options, ln_source **out, ln_error *err);

typedef struct ln_drawn_options {
  ln_phantom_family family;
  uint64_t seed;
  size_t count;                /* pictures 0 <= index < count (phantom.h) */
  int width, height;           /* both 0: the native size */
  const char *exclude, *only;  /* as in ln_pairs_options; a picture keeps its index and so its name */
} ln_drawn_options;

ln_code ln_drawn_open(ln_mem *mem, const ln_drawn_options *options, ln_source **out, ln_error *err);

/* The positions of a source's items whose stems the file `only` names and `exclude` does
 * not, ascending, in *kept (the caller's, from source->mem); *kept is NULL, for all, when
 * both files are. LN_EIO: no such file, or `only` names a stem that the source lacks;
 * LN_EINVAL: nothing is left. */
ln_code ln_choose(const ln_source *source, const char *only, const char *exclude, size_t **kept, size_t *n,
                  ln_error *err);

#endif
