/* status.h: how the core says that something went wrong.
 *
 * Every function in nn/ and gpu/ that can fail returns an ln_code and, when it is
 * not LN_OK, has filled an ln_error. Nothing here prints, exits or longjmps; vm/
 * turns the error into a Lua error (misuse) or into nil, message, code (environment).
 */
#ifndef LN_BASE_STATUS_H
#define LN_BASE_STATUS_H

#include <stdarg.h>
#include <stddef.h>

typedef enum ln_code {
  LN_OK = 0,
  LN_EINVAL,     /* misuse: wrong shape, dtype, option */
  LN_ENOMEM,     /* out of memory or over the cap */
  LN_EIO,        /* the operating system said no: file, disk, process */
  LN_EFORMAT,    /* a file's content is not what it claims to be */
  LN_ENODEV,     /* no such device, or built without it */
  LN_EINTR,      /* interrupted by Ctrl-C */
  LN_ENONFINITE, /* a loss became NaN or infinite */
  LN_ENOTSUP,    /* this backend has no kernel for this op, dtype or shape */
  LN_EINTERNAL   /* a bug in Lunette */
} ln_code;

enum { LN_ERROR_TEXT = 1024, LN_ERROR_OP = 32, LN_ERROR_WHERE = 256 };

typedef struct ln_error {
  ln_code code;
  char op[LN_ERROR_OP];          /* op name, empty when none */
  char where[LN_ERROR_WHERE];    /* "script.lua:31" of the op that failed, or empty */
  char layer[LN_ERROR_WHERE];    /* "conv1.double_conv.0" of that op, or empty */
  char text[LN_ERROR_TEXT];      /* one sentence without a trailing newline */
} ln_error;

/* Fills err (NULL is allowed) with a formatted text and returns code, so that a
 * caller writes: return ln_fail(err, LN_EINVAL, "..."). Op, where and layer are
 * cleared; the recorder adds them. */
ln_code ln_fail(ln_error *err, ln_code code, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* LN_ENOMEM -> "LN_ENOMEM": scripts test what went wrong by this name. */
const char *ln_code_name(ln_code code);

#endif
