/* figure_grid.c: a grid of pictures. Pixels travel as binary data inside the script.
 *
 * gnuplot stretches the contrast of rgbimage to the data unless cbrange is set, and grey
 * pictures are therefore sent as RGB as well; `pixels` would be slow and leave dots.
 */
#include "figure.h"
#include "gnuplot.h"

/* Cell edges as shares of the figure. */
typedef struct cell {
  double left, right, top, bottom;
} cell;

static cell cell_of(const ln_frame_style *style, int rows, int columns, int i, bool axes,
                    bool titles) {
  double side = 12.0 / style->width, head = 12.0 / style->height; /* gaps in pixels */
  double label_x = axes ? 34.0 / style->width : 0.0, label_y = axes ? 22.0 / style->height : 0.0;
  double caption = titles ? 22.0 / style->height : 0.0;
  double banner = style->title != NULL && style->title[0] != '\0' ? 34.0 / style->height : 0.0;
  double wide = (1.0 - side) / columns, high = (1.0 - banner - head) / rows;
  int row = i / columns, column = i % columns;
  cell c = {.left = side / 2 + column * wide + label_x + side / 2,
            .right = side / 2 + (column + 1) * wide - side / 2,
            .top = 1.0 - banner - head / 2 - row * high - caption - head / 2,
            .bottom = 1.0 - banner - head / 2 - (row + 1) * high + label_y + head / 2};
  return c;
}

/* gnuplot draws nothing of a picture one pixel wide or high, so such a pixel is halved. */
static int halves(int size) { return size == 1 ? 2 : 1; }

static void add_pixels(ln_text *script, const ln_panel *p) {
  for (int row = 0; row < p->height * halves(p->height); row++) {
    const uint8_t *from = p->pixels + (size_t)(row / halves(p->height)) * (size_t)(p->width * p->channels);
    for (int column = 0; column < p->width * halves(p->width); column++) {
      const uint8_t *at = from + column / halves(p->width) * p->channels;
      unsigned char rgb[3] = {at[0], at[p->channels == 3 ? 1 : 0], at[p->channels == 3 ? 2 : 0]};
      ln_text_bytes(script, rgb, 3);
    }
  }
}

/* Ticks at pixel coordinates in round steps, about four of them. */
static int tick_step(int size) {
  static const int steps[] = {1, 2, 5, 10, 20, 25, 50, 100, 200, 500, 1000, 2000, 5000};
  for (size_t i = 0; i < sizeof steps / sizeof steps[0]; i++) {
    if (size / steps[i] <= 5) return steps[i];
  }
  return 10000;
}

/* Shrinks a cell around its middle to a picture's proportions: gnuplot's own `ratio` would
 * push it to the left. */
static cell fitted(cell c, const ln_frame_style *style, const ln_panel *p) {
  double wide = (c.right - c.left) * style->width, high = (c.top - c.bottom) * style->height;
  double scale = wide / p->width < high / p->height ? wide / p->width : high / p->height;
  double spare_x = (wide - scale * p->width) / style->width / 2.0;
  double spare_y = (high - scale * p->height) / style->height / 2.0;
  return (cell){c.left + spare_x, c.right - spare_x, c.top - spare_y, c.bottom + spare_y};
}

static void add_panel(ln_text *script, const ln_panel *p, cell c, bool axes) {
  bool empty = p->pixels == NULL;
  if (empty && !axes) return;
  ln_text_add(script, "set lmargin at screen %.5f\nset rmargin at screen %.5f\n", c.left, c.right);
  ln_text_add(script, "set tmargin at screen %.5f\nset bmargin at screen %.5f\n", c.top, c.bottom);
  ln_text_add(script, "unset title\n");
  if (p->title != NULL && p->title[0] != '\0') {
    ln_text_add(script, "set title ");
    ln_gnuplot_quote(script, p->title);
    ln_text_add(script, " noenhanced offset 0,-0.6\n");
  }
  if (axes && empty) {
    ln_text_add(script, "set xtics 0.2\nset ytics 0.2\n");
  } else if (axes) {
    ln_text_add(script, "set xtics %d\nset ytics %d\n", tick_step(p->width), tick_step(p->height));
  }
  if (empty) {
    ln_text_add(script, "set xrange [0:1]\nset yrange [0:1] noreverse\nplot NaN\n");
    return;
  }
  /* Pixel centres are whole numbers; row 0 is at the top. */
  ln_text_add(script, "set xrange [-0.5:%d.5]\nset yrange [%d.5:-0.5]\n", p->width - 1, p->height - 1);
  int nx = halves(p->width), ny = halves(p->height);
  ln_text_add(script, "plot '-' binary array=(%d,%d) dx=%g dy=%g origin=(%g,%g) ", p->width * nx,
              p->height * ny, 1.0 / nx, 1.0 / ny, nx == 2 ? -0.25 : 0.0, ny == 2 ? -0.25 : 0.0);
  ln_text_add(script, "format='%%uchar%%uchar%%uchar' with rgbimage\n");
  add_pixels(script, p);
}

ln_code ln_figure_grid(ln_mem *mem, const char *path, const ln_frame_style *style,
                       const ln_panel *panels, int rows, int columns, bool axes, ln_error *err) {
  if (rows < 1 || columns < 1 || rows > 100 || columns > 100) {
    return ln_fail(err, LN_EINVAL, "figure '%s': a grid of %dx%d panels is outside 1..100 a side",
                   path, rows, columns);
  }
  bool titles = false;
  for (int i = 0; i < rows * columns; i++) {
    const ln_panel *p = &panels[i];
    titles |= p->title != NULL && p->title[0] != '\0';
    if (p->pixels != NULL &&
        (p->width < 1 || p->height < 1 || (p->channels != 1 && p->channels != 3))) {
      return ln_fail(err, LN_EINVAL, "figure '%s': panel %d of %dx%d pixels, %d channels cannot be shown",
                     path, i + 1, p->width, p->height, p->channels);
    }
  }
  ln_text script = {.mem = mem};
  ln_code code = ln_gnuplot_terminal(&script, path, style->width, style->height, err);
  if (code == LN_OK) {
    ln_text_add(&script, "set encoding utf8\nunset key\nunset colorbox\nset cbrange [0:255]\n");
    ln_text_add(&script, axes ? "set border 31 lw 0.8\nset tics out nomirror scale 0.5 font ',8'\n"
                              : "unset border\nunset tics\n");
    ln_text_add(&script, "set multiplot");
    if (style->title != NULL && style->title[0] != '\0') {
      ln_text_add(&script, " title ");
      ln_gnuplot_quote(&script, style->title);
      ln_text_add(&script, " noenhanced");
    }
    ln_text_add(&script, "\n");
    for (int i = 0; i < rows * columns; i++) {
      cell c = cell_of(style, rows, columns, i, axes, titles);
      if (panels[i].pixels != NULL) c = fitted(c, style, &panels[i]);
      add_panel(&script, &panels[i], c, axes);
    }
    ln_text_add(&script, "unset multiplot\n");
    code = ln_gnuplot_run(&script, path, err);
  }
  ln_text_free(&script);
  return code;
}
