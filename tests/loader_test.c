/* loader_test.c: what only C can ask of the loader: a memory failure at every allocation,
 * waiting that is interrupted, the signal mask of its threads, how far they run ahead, and
 * which of several failures comes up. Meant to be run under the sanitizers as well.
 */
#include <png.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h> /* before jpeglib.h, which needs it */
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <jpeglib.h>

#include "../nn/data/loader.h"

static int passed, failed;

static void report(const char *name, const char *why) {
  if (why == NULL) passed++, printf("ok %s\n", name);
  else failed++, printf("FAILED %s: %s\n", name, why);
}

/* -- a source whose loading can be watched and held up */

typedef struct scripted {
  ln_source base;
  atomic_bool held;            /* load waits while this is set */
  atomic_int entered, ahead_most, signals_open;
  atomic_size_t consumed;
  size_t fail_at[2];           /* these items fail, */
  size_t slow;                 /* and this one comes late */
} scripted;

static void scripted_stem(const ln_source *self, size_t i, char *text, size_t size) {
  (void)self;
  snprintf(text, size, "item%zu", i);
}

static void note_signals(scripted *s) {
  sigset_t mask;
  pthread_sigmask(SIG_BLOCK, NULL, &mask);
  if (!sigismember(&mask, SIGINT) || !sigismember(&mask, SIGPROF)) atomic_store(&s->signals_open, 1);
}

static ln_code scripted_load(const ln_source *self, ln_mem *mem, size_t i, ln_sample *out, ln_error *err) {
  scripted *s = (scripted *)self;
  int ahead = atomic_fetch_add(&s->entered, 1) + 1 - (int)atomic_load(&s->consumed);
  int most = atomic_load(&s->ahead_most);
  while (ahead > most && !atomic_compare_exchange_weak(&s->ahead_most, &most, ahead)) {}
  note_signals(s);
  while (atomic_load(&s->held)) usleep(1000);
  usleep((useconds_t)(i * 2654435761u % 700));
  memset(out, 0, sizeof *out);
  if (i == s->fail_at[0] || i == s->fail_at[1]) usleep(i == s->slow ? 20000 : 5000);
  if (i == s->fail_at[0] || i == s->fail_at[1]) return ln_fail(err, LN_EFORMAT, "item%zu is bad", i);
  if (ln_image_new(mem, 2, 3, &out->image, err) != LN_OK || ln_image_new(mem, 2, 3, &out->mask, err) != LN_OK) {
    ln_sample_free(mem, out);
    return LN_ENOMEM;
  }
  memset(out->image.data, (int)i, 6);
  memset(out->mask.data, 255 - (int)i, 6);
  return LN_OK;
}

static void scripted_close(ln_source *self) { (void)self; }

static void scripted_init(scripted *s, ln_mem *mem, size_t count) {
  memset(s, 0, sizeof *s);
  s->base = (ln_source){.count = count, .stem = scripted_stem, .load = scripted_load, .close = scripted_close, .mem = mem};
  atomic_init(&s->base.refs, 1);
  s->fail_at[0] = s->fail_at[1] = s->slow = SIZE_MAX;
}

static ln_loader *open_loader(ln_mem *mem, ln_source *source, const ln_loader_options *options) {
  ln_dataset *ds;
  ln_loader *loader = NULL;
  size_t indices[256];
  for (size_t i = 0; i < source->count; i++) indices[i] = i;
  if (ln_dataset_open(mem, source, &(ln_dataset_options){0}, &ds, NULL) != LN_OK) return NULL;
  ln_loader_open(mem, ds, indices, source->count, options, &loader, NULL);
  ln_dataset_release(ds);
  return loader;
}

static const char *drain(ln_loader *loader, scripted *s) {
  float image[256 * 6], mask[256 * 6];
  ln_batch batch;
  size_t position = 0;
  while (ln_loader_wait(loader, &batch, NULL) == LN_OK && batch.count > 0) {
    ln_loader_fill(loader, &batch, image, mask);
    for (size_t i = 0; i < batch.count; i++, position++)
      if (image[i * 6] != (float)position / 255.0f || mask[i * 6] != (float)(255 - position) / 255.0f)
        return "the items are not in order";
    ln_loader_advance(loader, &batch);
    atomic_fetch_add(&s->consumed, batch.count);
  }
  return position == s->base.count ? NULL : "items are missing";
}

static const char *test_ahead(void) {
  const char *why = NULL;
  for (int workers = 1; workers <= 4 && why == NULL; workers++) {
    ln_mem mem = {0};
    scripted s;
    scripted_init(&s, &mem, 100);
    ln_loader *loader = open_loader(&mem, &s.base, &(ln_loader_options){.batch_size = 8, .workers = workers});
    ln_loader_start(loader, 0, NULL);
    usleep(20000);
    why = drain(loader, &s);
    int most = atomic_load(&s.ahead_most);
    /* consumed is counted after the slots are free, so a batch more may have been begun */
    if (why == NULL && (most < 9 || most > 2 * 8 + workers + 8)) why = "the threads do not keep a window ahead";
    if (why == NULL && atomic_load(&s.signals_open)) why = "SIGINT or SIGPROF can land in a worker";
    ln_loader_close(loader);
    if (why == NULL && atomic_load(&mem.live) != 0) why = "memory is left";
  }
  return why;
}

static const char *test_interrupt(void) {
  ln_mem mem = {0};
  scripted s;
  atomic_int flag = 0;
  ln_batch batch;
  scripted_init(&s, &mem, 20);
  ln_loader *loader = open_loader(&mem, &s.base, &(ln_loader_options){.batch_size = 4, .workers = 2, .interrupt = &flag});
  atomic_store(&s.held, true);
  ln_loader_start(loader, 0, NULL);
  atomic_store(&flag, 1);
  const char *why = ln_loader_wait(loader, &batch, NULL) == LN_EINTR ? NULL : "waiting was not interrupted";
  atomic_store(&flag, 0);
  atomic_store(&s.held, false);
  if (why == NULL) why = drain(loader, &s); /* and nothing was lost */
  ln_loader_close(loader);
  return why == NULL && atomic_load(&mem.live) != 0 ? "memory is left" : why;
}

static bool stats_are(const ln_loader *loader, uint64_t batches, uint64_t waits) {
  ln_loader_stats stats = ln_loader_get_stats(loader);
  return stats.batches == batches && stats.waits == waits && (waits > 0) == (stats.seconds > 0);
}

/* What is ready costs no wait, what is late or decoded by the consumer does. */
static const char *test_waits(void) {
  ln_mem mem = {0};
  scripted s;
  atomic_int flag = 0;
  ln_batch batch;
  scripted_init(&s, &mem, 4);
  ln_loader_options options = {.batch_size = 2, .workers = 1, .interrupt = &flag};
  ln_loader *loader = open_loader(&mem, &s.base, &options);
  ln_loader_start(loader, 0, NULL);
  while (atomic_load(&s.entered) < 4) usleep(1000);
  usleep(50000);
  const char *why = drain(loader, &s);
  if (why == NULL && !stats_are(loader, 2, 0)) why = "an epoch that was ready counts as waiting";
  atomic_store(&s.held, true);
  ln_loader_start(loader, 1, NULL);
  atomic_store(&flag, 1);
  ln_loader_wait(loader, &batch, NULL); /* gives up after 50 ms */
  atomic_store(&flag, 0);
  atomic_store(&s.held, false);
  while (atomic_load(&s.entered) < 8) usleep(1000);
  usleep(50000);
  if (why == NULL) why = drain(loader, &s);
  if (why == NULL && !stats_are(loader, 4, 1)) why = "the late batch is not counted, or the next one is";
  if (why == NULL && ln_loader_get_stats(loader).seconds < 0.04) why = "the time waited is too short";
  ln_loader_close(loader);
  options.workers = 0;
  options.cache = true;
  options.cache_cap = 1 << 20;
  loader = open_loader(&mem, &s.base, &options);
  for (uint64_t epoch_number = 0; epoch_number < 2 && why == NULL; epoch_number++) {
    ln_loader_start(loader, epoch_number, NULL);
    why = drain(loader, &s);
    if (why == NULL && !stats_are(loader, 2 + 2 * epoch_number, 2)) why = "decoding is a wait, the cache is none";
  }
  ln_loader_close(loader);
  return why == NULL && atomic_load(&mem.live) != 0 ? "memory is left" : why;
}

static const char *test_abandon(void) {
  ln_mem mem = {0};
  scripted s;
  scripted_init(&s, &mem, 60);
  ln_batch batch;
  for (int round = 0; round < 12; round++) {
    ln_loader *loader = open_loader(&mem, &s.base, &(ln_loader_options){.batch_size = 5, .workers = 1 + round % 4});
    for (int again = 0; again < 2; again++) {
      ln_loader_start(loader, 0, NULL);
      for (int k = 0; k < round % 3; k++) {
        if (ln_loader_wait(loader, &batch, NULL) != LN_OK) return "no batch";
        ln_loader_advance(loader, &batch);
      }
    }
    ln_loader_close(loader);
    if (atomic_load(&mem.live) != 0) return "memory is left";
  }
  return NULL;
}

/* Whichever of items 7 and 9 fails first in time. */
static const char *test_first_failure(size_t slow) {
  const char *why = NULL;
  for (int workers = 0; workers <= 4 && why == NULL; workers++) {
    ln_mem mem = {0};
    scripted s;
    ln_error err = {0};
    ln_batch batch = {.count = 1};
    scripted_init(&s, &mem, 30);
    s.fail_at[0] = 7;
    s.fail_at[1] = 9;
    s.slow = slow;
    ln_loader *loader = open_loader(&mem, &s.base, &(ln_loader_options){.batch_size = 3, .workers = workers});
    ln_loader_start(loader, 0, NULL);
    int batches = 0;
    ln_code code;
    while ((code = ln_loader_wait(loader, &batch, &err)) == LN_OK && batch.count > 0) {
      ln_loader_advance(loader, &batch);
      if (++batches == 2) usleep(40000); /* a long step: both have failed after it */
    }
    if (code != LN_EFORMAT || batches != 2) why = "the failure did not come up with its batch";
    else if (strcmp(err.text, "item7 is bad") != 0) why = "another failure came up than the first";
    ln_loader_close(loader);
    if (why == NULL && atomic_load(&mem.live) != 0) why = "memory is left";
  }
  return why;
}

/* -- every allocation of a whole run fails once */

static char folder[] = "/tmp/lunette_XXXXXX";

static void path_of(const char *name, char *path, size_t size) { snprintf(path, size, "%s/%s", folder, name); }

static void write_png(const char *name, int width, int height, int interlace) {
  char path[512];
  uint8_t *rows[64], pixels[64 * 64 * 3];
  path_of(name, path, sizeof path);
  for (int i = 0; i < (int)sizeof pixels; i++) pixels[i] = (uint8_t)(i * i >> 3);
  for (int y = 0; y < height; y++) rows[y] = pixels + y * width * 3;
  FILE *file = fopen(path, "wb");
  png_structp png = png_create_write_struct(PNG_LIBPNG_VER_STRING, NULL, NULL, NULL);
  png_infop info = png_create_info_struct(png);
  png_init_io(png, file);
  png_set_IHDR(png, info, (png_uint_32)width, (png_uint_32)height, 8, PNG_COLOR_TYPE_RGB, interlace,
               PNG_COMPRESSION_TYPE_DEFAULT, PNG_FILTER_TYPE_DEFAULT);
  png_set_rows(png, info, rows);
  png_write_png(png, info, PNG_TRANSFORM_IDENTITY, NULL);
  png_destroy_write_struct(&png, &info);
  fclose(file);
}

static void write_jpeg(const char *name, int width, int height) {
  char path[512];
  uint8_t row[64 * 3];
  struct jpeg_compress_struct jpeg;
  struct jpeg_error_mgr errors;
  path_of(name, path, sizeof path);
  FILE *file = fopen(path, "wb");
  jpeg.err = jpeg_std_error(&errors);
  jpeg_create_compress(&jpeg);
  jpeg_stdio_dest(&jpeg, file);
  jpeg.image_width = (JDIMENSION)width;
  jpeg.image_height = (JDIMENSION)height;
  jpeg.input_components = 3;
  jpeg.in_color_space = JCS_RGB;
  jpeg_set_defaults(&jpeg);
  jpeg_start_compress(&jpeg, TRUE);
  for (int y = 0; y < height; y++) {
    JSAMPROW at = row;
    for (int i = 0; i < width * 3; i++) row[i] = (uint8_t)(i * y);
    jpeg_write_scanlines(&jpeg, &at, 1);
  }
  jpeg_finish_compress(&jpeg);
  jpeg_destroy_compress(&jpeg);
  fclose(file);
}

static ln_code epoch(ln_loader *loader, ln_error *err) {
  ln_batch batch;
  ln_code code = ln_loader_start(loader, 0, err);
  while (code == LN_OK && (code = ln_loader_wait(loader, &batch, err)) == LN_OK && batch.count > 0)
    ln_loader_advance(loader, &batch);
  return code;
}

/* The whole way: list, data set, loader, one epoch. */
static ln_code whole_run(ln_mem *mem, int workers, ln_error *err) {
  char exclude[512];
  path_of("exclude.txt", exclude, sizeof exclude);
  ln_source *source = NULL;
  ln_dataset *ds = NULL;
  ln_loader *loader = NULL;
  size_t indices[] = {2, 0, 1};
  ln_pairs_options options = {.images = folder, .suffix = "_m", .exclude = exclude, .numeric = true};
  ln_code code = ln_pairs_open(mem, &options, &source, err);
  ln_dataset_options size = {.height = 20, .width = 30, .mask_filter = LN_FILTER_NEAREST, .image_filter = LN_FILTER_BILINEAR};
  if (code == LN_OK) code = ln_dataset_open(mem, source, &size, &ds, err);
  ln_loader_options batches = {.batch_size = 2, .workers = workers, .shuffle = true, .cache = true, .cache_cap = 3000};
  if (code == LN_OK) code = ln_loader_open(mem, ds, indices, 3, &batches, &loader, err);
  if (code == LN_OK) code = epoch(loader, err);
  ln_loader_close(loader);
  ln_dataset_release(ds);
  ln_source_release(source);
  return code;
}

static void write_folder(void) {
  write_png("1.png", 40, 24, PNG_INTERLACE_NONE);
  write_png("1_m.png", 40, 24, PNG_INTERLACE_ADAM7);
  write_png("2.png", 13, 50, PNG_INTERLACE_ADAM7);
  write_jpeg("2_m.jpg", 13, 50);
  write_jpeg("3.jpeg", 20, 30);
  write_jpeg("3_m.jpeg", 20, 30);
  write_png("4.png", 5, 5, PNG_INTERLACE_NONE);
  write_png("4_m.png", 5, 5, PNG_INTERLACE_NONE);
  char path[512];
  path_of("exclude.txt", path, sizeof path);
  FILE *file = fopen(path, "w");
  fputs("4\n", file);
  fclose(file);
}

static const char *test_no_memory(void) {
  static char why[256];
  for (int workers = 0; workers <= 2; workers++)
    for (size_t n = 1;; n++) {
      ln_mem mem = {0};
      ln_error err = {0};
      atomic_store(&mem.fail_at, n);
      ln_code code = whole_run(&mem, workers, &err);
      if (atomic_load(&mem.live) != 0) {
        snprintf(why, sizeof why, "allocation %zu with %d workers: %zu bytes are left", n, workers, atomic_load(&mem.live));
        return why;
      }
      if (code == LN_OK && atomic_load(&mem.fail_at) != 0) {
        if (n < 40) return "the run allocates suspiciously little";
        break; /* the run needs fewer allocations than n */
      }
      if (code != LN_ENOMEM || err.text[0] == '\0') {
        snprintf(why, sizeof why, "allocation %zu with %d workers: code %s, '%.150s'", n, workers, ln_code_name(code), err.text);
        return why;
      }
    }
  return NULL;
}

static void remove_folder(void) {
  static const char *const names[] = {"1.png", "1_m.png", "2.png", "2_m.jpg", "3.jpeg", "3_m.jpeg", "4.png", "4_m.png", "exclude.txt"};
  char path[512];
  for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
    path_of(names[i], path, sizeof path);
    unlink(path);
  }
  rmdir(folder);
}

int main(void) {
  report("the threads stay a window ahead, in order, deaf to signals", test_ahead());
  report("waiting is interrupted and goes on", test_interrupt());
  report("waits are counted", test_waits());
  report("epochs are abandoned", test_abandon());
  report("the first failure comes up, when it is late", test_first_failure(7));
  report("the first failure comes up, when it is early", test_first_failure(9));
  if (mkdtemp(folder) == NULL) return 1;
  write_folder();
  report("memory fails at every allocation", test_no_memory());
  remove_folder();
  printf("%d passed, %d failed\n", passed, failed);
  return failed > 0;
}
