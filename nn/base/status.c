/* status.c: filling and formatting ln_error. */
#include "status.h"

#include <stdio.h>
#include <string.h>

ln_code ln_fail(ln_error *err, ln_code code, const char *format, ...) {
  if (err != NULL) {
    /* Format first into a buffer of our own: an argument may point into err itself. */
    char text[LN_ERROR_TEXT];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    memset(err, 0, sizeof *err);
    err->code = code;
    memcpy(err->text, text, sizeof text);
  }
  return code;
}

const char *ln_code_name(ln_code code) {
  switch (code) {
    case LN_OK: return "LN_OK";
    case LN_EINVAL: return "LN_EINVAL";
    case LN_ENOMEM: return "LN_ENOMEM";
    case LN_EIO: return "LN_EIO";
    case LN_EFORMAT: return "LN_EFORMAT";
    case LN_ENODEV: return "LN_ENODEV";
    case LN_EINTR: return "LN_EINTR";
    case LN_ENONFINITE: return "LN_ENONFINITE";
    case LN_ENOTSUP: return "LN_ENOTSUP";
    case LN_EINTERNAL: return "LN_EINTERNAL";
  }
  return "unknown error code";
}
