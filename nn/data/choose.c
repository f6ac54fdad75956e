/* choose.c: which items of a source two text files of stems leave: a holdout is set aside
 * with `exclude` and read back with `only`, so `only` must find every stem that it names.
 */
#include <string.h>

#include "names.h"
#include "source.h"

/* The position of the first name equal to stem in a sorted list, or names->count. */
static size_t find(const ln_names *names, const char *stem) {
  size_t at = ln_names_lower_bound(names, stem);
  return at < names->count && strcmp(ln_name(names, at), stem) == 0 ? at : names->count;
}

/* Clears keep[i] where the file has stem i (exclude) or lacks it (only). */
static void apply(const ln_source *source, const ln_names *names, bool only, bool *keep, bool *found) {
  char stem[LN_STEM_TEXT];
  for (size_t i = 0; i < source->count; i++) {
    source->stem(source, i, stem, sizeof stem);
    size_t at = find(names, stem);
    bool named = at < names->count;
    if (named) found[at] = true;
    if (named != only) keep[i] = false;
  }
}

static ln_code all_found(const ln_source *source, const ln_names *names, const bool *found, const char *path,
                         ln_error *err) {
  for (size_t i = 0; i < names->count; i++)
    if (!found[find(names, ln_name(names, i))])
      return ln_fail(err, LN_EIO, "%s names '%s', which is not among the %zu pairs", path, ln_name(names, i),
                     source->count);
  return LN_OK;
}

static ln_code apply_file(const ln_source *source, const char *path, bool only, bool *keep, ln_error *err) {
  if (path == NULL) return LN_OK;
  ln_names names = {.mem = source->mem};
  bool *found = NULL;
  ln_code code = ln_names_of_lines(&names, path, err);
  if (code == LN_OK) {
    found = ln_calloc(source->mem, names.count + 1, sizeof *found);
    if (found == NULL) code = ln_fail(err, LN_ENOMEM, "no memory for the %zu stems of %s", names.count, path);
  }
  if (code == LN_OK) apply(source, &names, only, keep, found);
  if (code == LN_OK && only) code = all_found(source, &names, found, path, err);
  ln_free(source->mem, found);
  ln_names_free(&names);
  return code;
}

static ln_code list_kept(const ln_source *source, const bool *keep, size_t **kept, size_t *n, ln_error *err) {
  *n = 0;
  *kept = ln_alloc(source->mem, ln_mul(source->count, sizeof **kept));
  if (*kept == NULL) return ln_fail(err, LN_ENOMEM, "no memory for a choice of %zu pairs", source->count);
  for (size_t i = 0; i < source->count; i++)
    if (keep[i]) (*kept)[(*n)++] = i;
  return LN_OK;
}

ln_code ln_choose(const ln_source *source, const char *only, const char *exclude, size_t **kept, size_t *n,
                  ln_error *err) {
  *kept = NULL;
  *n = source->count;
  if (only == NULL && exclude == NULL) return LN_OK;
  bool *keep = ln_alloc(source->mem, source->count + 1);
  if (keep == NULL) return ln_fail(err, LN_ENOMEM, "no memory for a choice of %zu pairs", source->count);
  memset(keep, true, source->count);
  ln_code code = apply_file(source, only, true, keep, err);
  if (code == LN_OK) code = apply_file(source, exclude, false, keep, err);
  if (code == LN_OK) code = list_kept(source, keep, kept, n, err);
  ln_free(source->mem, keep);
  if (code == LN_OK && *n == 0) {
    code = ln_fail(err, LN_EINVAL, "%s leaves none of the %zu pairs", exclude != NULL ? exclude : only, source->count);
    ln_free(source->mem, *kept);
    *kept = NULL;
  }
  return code;
}
