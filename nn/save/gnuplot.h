/* gnuplot.h: runs gnuplot as a child process (private to nn/save/figure*.c). */
#ifndef LN_SAVE_GNUPLOT_H
#define LN_SAVE_GNUPLOT_H

#include "text.h"

#include "../base/status.h"

/* "set terminal ..." for a file of this name and size in pixels (100 an inch on paper).
 * LN_EINVAL unless the name ends in .png, .svg or .pdf. */
ln_code ln_gnuplot_terminal(ln_text *script, const char *path, int width, int height,
                            ln_error *err);

/* Adds text as a gnuplot string. Only single-quoted ones are safe: back-ticks in double
 * quotes run a shell command. Control characters become spaces. */
void ln_gnuplot_quote(ln_text *script, const char *text);
/* The same for a tick's label, where gnuplot takes % for a number format. */
void ln_gnuplot_quote_tick(ln_text *script, const char *text);

/* Feeds the script to gnuplot and stores what it draws at path, atomically. A missing
 * gnuplot is LN_ENODEV and names the package; a script that fails, a picture cut short and
 * a child that does not end in time are LN_EIO with the end of what gnuplot said. */
ln_code ln_gnuplot_run(const ln_text *script, const char *path, ln_error *err);

#endif
