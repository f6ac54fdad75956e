/* xlsx.h: one table of numbers and texts as an Excel file with one sheet, "Sheet1", as the
 * paper's pipelines write their losses and Dice values. */
#ifndef LN_SAVE_XLSX_H
#define LN_SAVE_XLSX_H

#include <stddef.h>

#include "../base/mem.h"
#include "../base/status.h"

typedef enum ln_item_kind { LN_ITEM_BLANK = 0, LN_ITEM_NUMBER, LN_ITEM_TEXT } ln_item_kind;

typedef struct ln_item {
  ln_item_kind kind;
  double number;    /* NaN and infinities are left blank: the format has no such number */
  const char *text; /* UTF-8 */
} ln_item;

typedef struct ln_row {
  size_t count;
  const ln_item *items;
} ln_row;

ln_code ln_xlsx_write(ln_mem *mem, const char *path, const ln_row *rows, size_t count,
                      ln_error *err);

#endif
