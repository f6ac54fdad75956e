/* xlsx.c: Excel files through libxlsxwriter, written beside the target and renamed.
 *
 * The library keeps each part of the file in a temporary file of its own and does not
 * notice when that one is cut short by a full disk, so the space is asked for beforehand:
 * in shared memory where there is enough of it, else in the target's folder.
 */
#include "xlsx.h"

#include <math.h>
#include <stdio.h>
#include <string.h>
#include <sys/statvfs.h>
#include <unistd.h>
#include <xlsxwriter.h>

#include "file.h"

enum { MAX_ROWS = 1048576, MAX_COLUMNS = 16384, MAX_TEXT = 32767 };

static ln_code check(const char *path, const ln_row *rows, size_t count, size_t *bytes,
                     ln_error *err) {
  if (count > MAX_ROWS) {
    return ln_fail(err, LN_EINVAL, "'%s': %zu rows; an Excel sheet holds %d", path, count, MAX_ROWS);
  }
  *bytes = 64u << 10; /* the parts that every file has */
  for (size_t r = 0; r < count; r++) {
    if (rows[r].count > MAX_COLUMNS) {
      return ln_fail(err, LN_EINVAL, "'%s': row %zu has %zu columns; an Excel sheet holds %d", path,
                     r + 1, rows[r].count, MAX_COLUMNS);
    }
    *bytes += 64 + 64 * rows[r].count;
    for (size_t c = 0; c < rows[r].count; c++) {
      if (rows[r].items[c].kind != LN_ITEM_TEXT) continue;
      size_t length = strlen(rows[r].items[c].text);
      if (length > MAX_TEXT) {
        return ln_fail(err, LN_EINVAL, "'%s': row %zu, column %zu: a text of %zu bytes; a cell holds %d",
                       path, r + 1, c + 1, length, MAX_TEXT);
      }
      *bytes += 6 * length; /* each byte may become an entity */
    }
  }
  return LN_OK;
}

static bool has_room(const char *folder, size_t bytes) {
  struct statvfs st;
  if (statvfs(folder, &st) != 0) return false;
  return (double)st.f_bavail * (double)st.f_frsize >= 2.0 * (double)bytes;
}

/* "a/b.xlsx" -> "a/", "b.xlsx" -> ".". There is always room: a name has a byte or more. */
static void keep_folder(char *path) {
  char *slash = strrchr(path, '/');
  if (slash == NULL) {
    path[0] = '.';
    slash = path;
  }
  slash[1] = '\0';
}

static lxw_error put(lxw_worksheet *sheet, size_t row, size_t column, const ln_item *item) {
  lxw_row_t r = (lxw_row_t)row;
  lxw_col_t c = (lxw_col_t)column;
  if (item->kind == LN_ITEM_NUMBER && isfinite(item->number)) {
    return worksheet_write_number(sheet, r, c, item->number, NULL);
  }
  if (item->kind == LN_ITEM_TEXT && item->text[0] != '\0') {
    return worksheet_write_string(sheet, r, c, item->text, NULL);
  }
  return LXW_NO_ERROR;
}

/* Writes the whole workbook to `where`; closing it frees it, also when that fails. */
static lxw_error write_book(const char *where, char *scratch, const ln_row *rows, size_t count) {
  lxw_workbook_options options = {.tmpdir = scratch};
  lxw_workbook *book = workbook_new_opt(where, &options);
  if (book == NULL) return LXW_ERROR_MEMORY_MALLOC_FAILED;
  lxw_worksheet *sheet = workbook_add_worksheet(book, "Sheet1");
  lxw_error failed = sheet == NULL ? LXW_ERROR_MEMORY_MALLOC_FAILED : LXW_NO_ERROR;
  for (size_t r = 0; r < count && failed == LXW_NO_ERROR; r++) {
    for (size_t c = 0; c < rows[r].count && failed == LXW_NO_ERROR; c++) {
      failed = put(sheet, r, c, &rows[r].items[c]);
    }
  }
  lxw_error closed = workbook_close(book);
  return failed != LXW_NO_ERROR ? failed : closed;
}

ln_code ln_xlsx_write(ln_mem *mem, const char *path, const ln_row *rows, size_t count,
                      ln_error *err) {
  size_t bytes = 0;
  ln_code code = check(path, rows, count, &bytes, err);
  if (code != LN_OK) return code;
  ln_file file;
  code = ln_file_begin(mem, path, &file, err);
  if (code != LN_OK) return code;
  char *folder = ln_strdup(mem, file.target);
  if (folder == NULL) {
    ln_file_abandon(&file);
    return ln_fail(err, LN_ENOMEM, "'%s': no memory", path);
  }
  keep_folder(folder);
  char shared[] = "/dev/shm";
  bool in_shared = access(shared, W_OK) == 0 && has_room(shared, bytes);
  if (!file.direct && !has_room(folder, in_shared ? bytes / 2 : bytes)) {
    code = ln_fail(err, LN_EIO, "cannot write '%s': no space left on device (about %zu bytes wanted)",
                   path, bytes);
  } else {
    lxw_error failed = write_book(file.temporary, in_shared ? shared : folder, rows, count);
    if (failed != LXW_NO_ERROR) {
      code = ln_fail(err, LN_EIO, "cannot write '%s': %s", path, lxw_strerror(failed));
    }
  }
  ln_free(mem, folder);
  if (code == LN_OK) return ln_file_commit(&file, err);
  ln_file_abandon(&file);
  return code;
}
