/* figure.c: line plots and box plots as gnuplot scripts. Data goes in as data blocks of
 * numbers, text only through ln_gnuplot_quote, and ranges are computed here, so that
 * empty, constant or non-finite data still gives a figure.
 */
#include "figure.h"

#include <ctype.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "gnuplot.h"

/* The ten colours that matplotlib hands out. */
static const char *const palette[] = {"#1f77b4", "#ff7f0e", "#2ca02c", "#d62728", "#9467bd",
                                      "#8c564b", "#e377c2", "#7f7f7f", "#bcbd22", "#17becf"};

static const char *colour_of(const char *wanted, size_t i) {
  return wanted != NULL ? wanted : palette[i % (sizeof palette / sizeof palette[0])];
}

typedef struct range {
  double low, high;
} range;

static void extend(range *r, double value, bool logarithmic) {
  if (!isfinite(value) || (logarithmic && value <= 0.0)) return;
  if (!(r->low <= value)) r->low = value;
  if (!(r->high >= value)) r->high = value;
}

/* The data's range with a twentieth of margin at both ends, never empty. */
static range with_margin(range r, bool logarithmic) {
  if (isnan(r.low)) return logarithmic ? (range){0.1, 1.0} : (range){0.0, 1.0};
  if (logarithmic) {
    double ratio = r.high > r.low ? pow(r.high / r.low, 0.05) : 2.0;
    return (range){r.low / ratio, r.high * ratio};
  }
  double margin = 0.05 * (r.high - r.low);
  if (!(margin > 0.0)) margin = r.low != 0.0 ? 0.05 * fabs(r.low) : 0.05;
  return (range){r.low - margin, r.high + margin};
}

static void set_range(ln_text *script, const char *axis, const double *given, range data,
                      bool logarithmic) {
  range r = given != NULL ? (range){given[0], given[1]} : with_margin(data, logarithmic);
  ln_text_add(script, "set %srange [%.9g:%.9g]\n", axis, r.low, r.high);
  if (!logarithmic) return;
  ln_text_add(script, "set logscale %s\nset format %s '%%g'\n", axis, axis);
  if (r.high > r.low * 100.0 || r.high < r.low) return;
  /* Two decades or less: powers of ten alone would label next to nothing. */
  ln_text_add(script, "set %stics (", axis);
  double decade = pow(10.0, floor(log10(r.low)));
  for (int i = 0; i < 9; i++) {
    static const double digits[] = {1.0, 2.0, 5.0};
    ln_text_add(script, "%s%.9g", i == 0 ? "" : ", ", decade * pow(10.0, i / 3) * digits[i % 3]);
  }
  ln_text_add(script, ")\n");
}

static void set_text(ln_text *script, const char *what, const char *text) {
  if (text == NULL || text[0] == '\0') return;
  ln_text_add(script, "set %s ", what);
  ln_gnuplot_quote(script, text);
  ln_text_add(script, " noenhanced\n");
}

static bool is_place(const char *legend) {
  static const char *const places[] = {"top left", "top right", "top center", "bottom left",
                                       "bottom right", "bottom center", "none"};
  for (size_t i = 0; i < sizeof places / sizeof places[0]; i++) {
    if (strcmp(legend, places[i]) == 0) return true;
  }
  return false;
}

static ln_code set_frame(ln_text *script, const char *path, const ln_frame_style *style,
                         ln_error *err) {
  ln_code code = ln_gnuplot_terminal(script, path, style->width, style->height, err);
  if (code != LN_OK) return code;
  const char *legend = style->legend != NULL ? style->legend : "top right";
  if (!is_place(legend)) {
    return ln_fail(err, LN_EINVAL,
                   "figure '%s': legend '%s' is no place such as 'top right', or 'none'", path, legend);
  }
  ln_text_add(script, "set encoding utf8\nset border 31 lw 0.8\nset tics out nomirror scale 0.6\n");
  if (strcmp(legend, "none") == 0) {
    ln_text_add(script, "unset key\n");
  } else {
    ln_text_add(script, "set key %s opaque box lc rgb '#cccccc' height 0.4 width 1 samplen 2.5 noenhanced\n",
                legend);
  }
  if (style->grid) ln_text_add(script, "set grid lc rgb '#d8d8d8' lw 0.7 dt solid back\n");
  set_text(script, "title", style->title);
  set_text(script, "xlabel", style->xlabel);
  set_text(script, "ylabel", style->ylabel);
  return LN_OK;
}

/* A colour goes into the script as it is, so it may hold nothing but letters and digits. */
static ln_code check_colour(const char *path, const char *colour, ln_error *err) {
  if (colour == NULL) return LN_OK;
  size_t n = strlen(colour);
  bool good = n > 0 && n <= 24;
  for (size_t i = 0; i < n && good; i++) {
    good = isalnum((unsigned char)colour[i]) || (colour[i] == '#' && i == 0) || colour[i] == '-';
  }
  if (good) return LN_OK;
  return ln_fail(err, LN_EINVAL, "figure '%s': '%.40s' is no colour (\"#rrggbb\" or a name)", path,
                 colour);
}

static ln_code check_ranges(const char *path, const ln_frame_style *style, ln_error *err) {
  const double *ranges[] = {style->xrange, style->yrange};
  bool logarithmic[] = {style->logx, style->logy};
  for (int i = 0; i < 2; i++) {
    const double *r = ranges[i];
    if (r == NULL) continue;
    if (!isfinite(r[0]) || !isfinite(r[1]) || r[0] == r[1] ||
        (logarithmic[i] && (r[0] <= 0.0 || r[1] <= 0.0))) {
      return ln_fail(err, LN_EINVAL, "figure '%s': %crange {%g, %g} is empty or not finite", path,
                     "xy"[i], r[0], r[1]);
    }
  }
  return LN_OK;
}

/* -- Lines ------------------------------------------------------------------------- */

static void add_number(ln_text *script, double value) {
  if (isfinite(value)) {
    ln_text_add(script, "%.9g", value);
  } else {
    ln_text_add(script, "NaN");
  }
}

/* An undefined value as a blank line, which breaks the curve. */
static void add_points(ln_text *script, const ln_series *s) {
  for (size_t k = 0; k < s->count; k++) {
    double x = s->x != NULL ? s->x[k] : (double)k + 1.0;
    if (isfinite(x) && isfinite(s->y[k])) {
      ln_text_add(script, "%.9g %.9g\n", x, s->y[k]);
    } else {
      ln_text_add(script, "\n");
    }
  }
}

static void add_curve(ln_text *script, const ln_series *s, size_t i) {
  ln_text_add(script, "%s $data%zu using 1:2 with %s lc rgb '%s' lw 1.6%s ", i == 0 ? "plot" : ",",
              i, s->points ? "linespoints" : "lines", colour_of(s->colour, i),
              s->points ? " pt 7 ps 0.6" : "");
  if (s->label != NULL && s->label[0] != '\0') {
    ln_text_add(script, "title ");
    ln_gnuplot_quote(script, s->label);
  } else {
    ln_text_add(script, "notitle");
  }
}

static size_t finite_points(const ln_series *s) {
  size_t n = 0;
  for (size_t k = 0; k < s->count; k++) {
    n += isfinite(s->y[k]) && (s->x == NULL || isfinite(s->x[k]));
  }
  return n;
}

/* Whether x counts 1, 2, 3, ... in every series, as epochs do. */
static bool counts(const ln_series *series, size_t count) {
  for (size_t i = 0; i < count; i++) {
    if (series[i].x != NULL) return false;
  }
  return true;
}

static void add_lines(ln_text *script, const ln_frame_style *style, const ln_series *series,
                      size_t count) {
  range x = {NAN, NAN}, y = {NAN, NAN};
  for (size_t i = 0; i < count; i++) {
    for (size_t k = 0; k < series[i].count; k++) {
      if (!isfinite(series[i].y[k])) continue;
      extend(&x, series[i].x != NULL ? series[i].x[k] : (double)k + 1.0, style->logx);
      extend(&y, series[i].y[k], style->logy);
    }
  }
  set_range(script, "x", style->xrange, x, style->logx);
  /* There is no epoch 1.5; longer counts get whole steps by themselves. */
  if (counts(series, count) && x.high <= 12.0 && !style->logx) ln_text_add(script, "set xtics 1\n");
  set_range(script, "y", style->yrange, y, style->logy);
  for (size_t i = 0; i < count; i++) {
    ln_text_add(script, "$data%zu << EOD\n", i);
    if (finite_points(&series[i]) > 0) {
      add_points(script, &series[i]);
    } else {
      ln_text_add(script, "NaN NaN\n");
    }
    ln_text_add(script, "EOD\n");
  }
  for (size_t i = 0; i < count; i++) {
    ln_series s = series[i];
    if (finite_points(&s) == 1) s.points = true; /* a line of one point is invisible */
    add_curve(script, &s, i);
  }
  if (count == 0) ln_text_add(script, "plot NaN notitle");
  ln_text_add(script, "\n");
}

ln_code ln_figure_lines(ln_mem *mem, const char *path, const ln_frame_style *style,
                        const ln_series *series, size_t count, ln_error *err) {
  ln_text script = {.mem = mem};
  ln_code code = set_frame(&script, path, style, err);
  if (code == LN_OK) code = check_ranges(path, style, err);
  for (size_t i = 0; i < count && code == LN_OK; i++) {
    code = check_colour(path, series[i].colour, err);
  }
  if (code == LN_OK) {
    add_lines(&script, style, series, count);
    code = ln_gnuplot_run(&script, path, err);
  }
  ln_text_free(&script);
  return code;
}

/* -- Boxes ------------------------------------------------------------------------- */

static int ascending(const void *a, const void *b) {
  double x = *(const double *)a, y = *(const double *)b;
  return (x > y) - (x < y);
}

/* numpy's default percentile: linear interpolation between the neighbours. */
static double quantile(const double *sorted, size_t count, double q) {
  double at = q * (double)(count - 1);
  size_t i = (size_t)at;
  if (i + 1 >= count) return sorted[count - 1];
  return sorted[i] + (sorted[i + 1] - sorted[i]) * (at - (double)i);
}

void ln_box_of(double *values, size_t count, ln_box *box, size_t *kept, size_t *below,
               size_t *above) {
  size_t n = 0;
  for (size_t i = 0; i < count; i++) {
    if (isfinite(values[i])) values[n++] = values[i];
  }
  *kept = n;
  *below = *above = 0;
  *box = (ln_box){NAN, NAN, NAN, NAN, NAN};
  if (n == 0) return;
  qsort(values, n, sizeof *values, ascending);
  box->q1 = quantile(values, n, 0.25);
  box->median = quantile(values, n, 0.50);
  box->q3 = quantile(values, n, 0.75);
  double reach = 1.5 * (box->q3 - box->q1);
  while (*below < n && values[*below] < box->q1 - reach) ++*below;
  while (*above < n && values[n - 1 - *above] > box->q3 + reach) ++*above;
  /* matplotlib: a whisker never ends inside the box */
  box->low = fmin(values[*below], box->q1);
  box->high = fmax(values[n - 1 - *above], box->q3);
}

/* The data blocks of one sample: the box, and the values outside its whiskers. */
static void add_sample(ln_text *script, const double *sorted, size_t kept, size_t below,
                       size_t above, const ln_box *box, size_t i, range *data, bool logarithmic) {
  ln_text_add(script, "$box%zu << EOD\n%zu", i, i + 1);
  const double five[] = {box->q1, box->low, box->high, box->q3, box->median};
  for (int k = 0; k < 5; k++) {
    ln_text_add(script, " ");
    add_number(script, five[k]);
    extend(data, five[k], logarithmic);
  }
  ln_text_add(script, "\nEOD\n$out%zu << EOD\n", i);
  if (below + above == 0) ln_text_add(script, "NaN NaN\n");
  for (size_t k = 0; k < kept; k++) {
    if (k >= below && k < kept - above) continue;
    ln_text_add(script, "%zu %.9g\n", i + 1, sorted[k]);
    extend(data, sorted[k], logarithmic);
  }
  ln_text_add(script, "EOD\n");
}

static void add_box(ln_text *script, const char *colour, size_t i, bool horizontal) {
  const char *start = i == 0 ? "plot" : ",";
  if (horizontal) { /* gnuplot's candlesticks stand upright only: boxes from rectangles */
    ln_text_add(script,
                "%s $box%zu using 2:1:2:5:($1-0.3):($1+0.3) with boxxyerror lc rgb '%s' fs solid "
                "0.35 border lc rgb '%s' notitle, '' using 3:1:($2-$3):(0) with vectors nohead lc rgb 'black' notitle"
                ", '' using 5:1:($4-$5):(0) with vectors nohead lc rgb 'black' notitle"
                ", '' using 3:($1-0.15):(0):(0.3) with vectors nohead lc rgb 'black' notitle"
                ", '' using 4:($1-0.15):(0):(0.3) with vectors nohead lc rgb 'black' notitle"
                ", '' using 6:($1-0.3):(0):(0.6) with vectors nohead lc rgb 'black' lw 1.8 notitle"
                ", $out%zu using 2:1 with points pt 6 ps 0.5 lc rgb '%s' notitle",
                start, i, colour, colour, i, colour);
    return;
  }
  ln_text_add(script,
              "%s $box%zu using 1:2:3:4:5 with candlesticks whiskerbars 0.5 lc rgb '%s' fs solid 0.35 "
              "border lc rgb '%s' notitle, '' using ($1-0.3):6:(0.6):(0) with vectors nohead lc rgb 'black' "
              "lw 1.8 notitle, $out%zu using 1:2 with points pt 6 ps 0.5 lc rgb '%s' notitle",
              start, i, colour, colour, i, colour);
}

static void add_labels(ln_text *script, const ln_sample *samples, size_t count, char axis) {
  ln_text_add(script, "set %ctics noenhanced scale 0.3 (", axis);
  for (size_t i = 0; i < count; i++) {
    if (i > 0) ln_text_add(script, ", ");
    ln_gnuplot_quote_tick(script, samples[i].label != NULL ? samples[i].label : "");
    ln_text_add(script, " %zu", i + 1);
  }
  ln_text_add(script, ")%s\n", axis == 'x' && count > 6 ? " rotate by -40" : "");
}

static ln_code add_boxes(ln_text *script, const char *path, const ln_frame_style *style,
                         const ln_sample *samples, size_t count, bool horizontal, ln_error *err) {
  char value = horizontal ? 'x' : 'y', place = horizontal ? 'y' : 'x';
  bool logarithmic = horizontal ? style->logx : style->logy;
  range data = {NAN, NAN};
  for (size_t i = 0; i < count; i++) {
    double *sorted = ln_alloc(script->mem, (samples[i].count + 1) * sizeof *sorted);
    if (sorted == NULL) return ln_fail(err, LN_ENOMEM, "figure '%s': no memory", path);
    if (samples[i].count > 0) memcpy(sorted, samples[i].values, samples[i].count * sizeof *sorted);
    ln_box box;
    size_t kept, below, above;
    ln_box_of(sorted, samples[i].count, &box, &kept, &below, &above);
    add_sample(script, sorted, kept, below, above, &box, i, &data, logarithmic);
    ln_free(script->mem, sorted);
  }
  const char axis[2] = {value, '\0'};
  set_range(script, axis, horizontal ? style->xrange : style->yrange, data, logarithmic);
  /* From the top down, as a list is read. */
  ln_text_add(script, horizontal ? "set %crange [%zu.5:0.5]\n" : "set %crange [0.5:%zu.5] noreverse\n",
              place, count);
  ln_text_add(script, "set boxwidth 0.6\n");
  add_labels(script, samples, count, place);
  for (size_t i = 0; i < count; i++) {
    add_box(script, colour_of(samples[i].colour, i), i, horizontal);
  }
  ln_text_add(script, "\n");
  return LN_OK;
}

ln_code ln_figure_boxes(ln_mem *mem, const char *path, const ln_frame_style *style,
                        const ln_sample *samples, size_t count, bool horizontal, ln_error *err) {
  if (count == 0) return ln_fail(err, LN_EINVAL, "figure '%s': no boxes to draw", path);
  ln_text script = {.mem = mem};
  ln_code code = set_frame(&script, path, style, err);
  if (code == LN_OK) code = check_ranges(path, style, err);
  for (size_t i = 0; i < count && code == LN_OK; i++) {
    code = check_colour(path, samples[i].colour, err);
  }
  if (code == LN_OK) code = add_boxes(&script, path, style, samples, count, horizontal, err);
  if (code == LN_OK) code = ln_gnuplot_run(&script, path, err);
  ln_text_free(&script);
  return code;
}
