/* figure.h: line plots, box plots and grids of pictures, drawn by gnuplot into a .png,
 * .svg or .pdf (the file's name decides). All text is taken literally. */
#ifndef LN_SAVE_FIGURE_H
#define LN_SAVE_FIGURE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "../base/mem.h"
#include "../base/status.h"

/* What all kinds share. NULL texts are absent. */
typedef struct ln_frame_style {
  int width, height; /* pixels; a .pdf has 100 to the inch */
  const char *title, *xlabel, *ylabel;
  bool logx, logy;
  bool grid;
  const char *legend;          /* "top right" (default), "bottom left", ..., "none" */
  const double *xrange, *yrange; /* two numbers, or NULL: from the data, with a margin */
} ln_frame_style;

typedef struct ln_series {
  const char *label, *colour; /* "#rrggbb" or a gnuplot colour name; NULL: the next of ten */
  const double *x, *y;        /* x NULL: 1, 2, 3, ... Pairs with a NaN leave a gap */
  size_t count;
  bool points;                /* markers too */
} ln_series;

ln_code ln_figure_lines(ln_mem *mem, const char *path, const ln_frame_style *style,
                        const ln_series *series, size_t count, ln_error *err);

/* The five numbers of a box plot as numpy and matplotlib compute them: quartiles by linear
 * interpolation, whiskers at the last values within 1.5 quartile distances. */
typedef struct ln_box {
  double low, q1, median, q3, high;
} ln_box;

/* Sorts values (of which NaN are dropped) and fills *box; how many are outside the whiskers
 * is given back: the first *below and the last *above of the *kept sorted values. */
void ln_box_of(double *values, size_t count, ln_box *box, size_t *kept, size_t *below,
               size_t *above);

typedef struct ln_sample {
  const char *label, *colour;
  const double *values;
  size_t count;
} ln_sample;

/* One box a sample, side by side; horizontal as in the paper when asked. */
ln_code ln_figure_boxes(ln_mem *mem, const char *path, const ln_frame_style *style,
                        const ln_sample *samples, size_t count, bool horizontal, ln_error *err);

typedef struct ln_panel {
  const uint8_t *pixels; /* NULL: an empty cell */
  int width, height, channels; /* channels 1 or 3, shown as they are */
  const char *title;
} ln_panel;

/* rows x columns panels, row by row. `axes` draws frames with pixel coordinates, as
 * matplotlib does unless told otherwise; an empty cell is then an empty frame. */
ln_code ln_figure_grid(ln_mem *mem, const char *path, const ln_frame_style *style,
                       const ln_panel *panels, int rows, int columns, bool axes, ln_error *err);

#endif
