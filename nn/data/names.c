/* names.c: lists of names; see names.h. */
#define _GNU_SOURCE /* qsort_r */
#include "names.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* Makes room for `need` elements of `size` bytes; doubling keeps adding linear. */
static bool reserve(ln_mem *mem, void **block, size_t *capacity, size_t need, size_t size) {
  if (need <= *capacity) return true;
  size_t wanted = *capacity * 2 > need ? *capacity * 2 : need + 64;
  void *bigger = ln_realloc(mem, *block, ln_mul(wanted, size));
  if (bigger == NULL) return false;
  *block = bigger;
  *capacity = wanted;
  return true;
}

ln_code ln_names_add(ln_names *names, const char *text, size_t length, ln_error *err) {
  void *chars = names->text, *at = names->at;
  bool ok = reserve(names->mem, &chars, &names->capacity, names->used + length + 1, 1) &&
            reserve(names->mem, &at, &names->slots, names->count + 1, sizeof *names->at);
  if (chars != NULL) names->text = chars;
  if (at != NULL) names->at = at;
  if (!ok) return ln_fail(err, LN_ENOMEM, "no memory for a list of %zu file names", names->count);
  memcpy(names->text + names->used, text, length);
  names->text[names->used + length] = '\0';
  names->at[names->count++] = names->used;
  names->used += length + 1;
  return LN_OK;
}

void ln_names_free(ln_names *names) {
  ln_free(names->mem, names->text);
  ln_free(names->mem, names->at);
  *names = (ln_names){.mem = names->mem};
}

static int compare_at(const void *a, const void *b, void *text) {
  return strcmp((const char *)text + *(const size_t *)a, (const char *)text + *(const size_t *)b);
}

void ln_names_sort(ln_names *names) {
  if (names->count > 0) qsort_r(names->at, names->count, sizeof *names->at, compare_at, names->text);
}

size_t ln_names_lower_bound(const ln_names *names, const char *text) {
  size_t low = 0, high = names->count;
  while (low < high) {
    size_t middle = low + (high - low) / 2;
    if (strcmp(ln_name(names, middle), text) < 0) low = middle + 1;
    else high = middle;
  }
  return low;
}

size_t ln_stem_length(const char *name) {
  const char *dot = strrchr(name, '.');
  return dot != NULL ? (size_t)(dot - name) : strlen(name);
}

static bool is_image_name(const char *name) {
  size_t stem = ln_stem_length(name);
  if (name[0] == '.' || stem == 0 || name[stem] == '\0') return false;
  const char *extension = name + stem + 1;
  return strcasecmp(extension, "png") == 0 || strcasecmp(extension, "jpg") == 0 ||
         strcasecmp(extension, "jpeg") == 0;
}

ln_code ln_names_of_images(ln_names *names, const char *folder, ln_error *err) {
  DIR *dir = opendir(folder);
  if (dir == NULL) return ln_fail(err, LN_EIO, "folder %s: %s", folder, strerror(errno));
  ln_code code = LN_OK;
  for (;;) {
    errno = 0;
    struct dirent *entry = readdir(dir);
    if (entry == NULL) {
      if (errno != 0) code = ln_fail(err, LN_EIO, "folder %s: %s", folder, strerror(errno));
      break;
    }
    if (!is_image_name(entry->d_name)) continue;
    code = ln_names_add(names, entry->d_name, strlen(entry->d_name), err);
    if (code != LN_OK) break;
  }
  closedir(dir);
  ln_names_sort(names);
  return code;
}

static ln_code add_lines(ln_names *names, FILE *file, const char *path, ln_error *err) {
  char line[4096];
  while (fgets(line, sizeof line, file) != NULL) {
    size_t length = strcspn(line, "\r\n");
    if (length + 1 == sizeof line)
      return ln_fail(err, LN_EFORMAT, "%s: a line of more than %zu bytes; expected one stem a line", path, length);
    if (length == 0) continue;
    ln_code code = ln_names_add(names, line, length, err);
    if (code != LN_OK) return code;
  }
  if (ferror(file)) return ln_fail(err, LN_EIO, "%s: %s", path, strerror(errno));
  return LN_OK;
}

ln_code ln_names_of_lines(ln_names *names, const char *path, ln_error *err) {
  FILE *file = fopen(path, "re");
  if (file == NULL) return ln_fail(err, LN_EIO, "%s: %s", path, strerror(errno));
  ln_code code = add_lines(names, file, path, err);
  fclose(file);
  ln_names_sort(names);
  return code;
}

bool ln_is_number(const char *text) {
  return *text != '\0' && text[strspn(text, "0123456789")] == '\0';
}

int ln_compare_numbers(const char *a, const char *b) {
  const char *x = a + strspn(a, "0"), *y = b + strspn(b, "0");
  size_t digits = strlen(x), others = strlen(y);
  if (digits != others) return digits < others ? -1 : 1;
  int order = strcmp(x, y);
  return order != 0 ? order : strcmp(a, b);
}
