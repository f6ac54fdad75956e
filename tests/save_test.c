/* save_test.c: every allocation of saving, figures and phantoms fails once. Each time the
 * call must say so, leave no byte and no file behind, and keep the file that was there.
 */
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../nn/data/phantom.h"
#include "../nn/save/figure.h"
#include "../nn/save/file.h"
#include "../nn/save/png_write.h"
#include "../nn/save/safetensors.h"
#include "../nn/save/xlsx.h"

static char folder[64], target[96];
static int passed, failed;

static float weights[12] = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12};
static double values[4] = {1, 2, 3, 40};
static uint8_t pixels[64 * 64], mask[64 * 64];

static ln_code store(ln_mem *mem, ln_error *err) { return ln_file_store(mem, target, "text", 4, err); }

static ln_code read_back(ln_mem *mem, ln_error *err) {
  char *text = NULL;
  size_t size;
  ln_code code = ln_file_read(mem, "/proc/self/status", 1 << 20, &text, &size, err);
  ln_free(mem, text);
  return code;
}

static ln_code make_folder(ln_mem *mem, ln_error *err) { return ln_folder_make(mem, folder, err); }

static ln_code write_tensors(ln_mem *mem, const char *path, ln_error *err) {
  ln_named_tensor t[2] = {{"a", {LN_F32, 2, {3, 4}}, weights}, {"b", {LN_U8, 1, {5}}, pixels}};
  ln_note note = {"key", "text"};
  return ln_safetensors_write(mem, path, t, 2, &note, 1, err);
}

static ln_code safetensors(ln_mem *mem, ln_error *err) { return write_tensors(mem, target, err); }

static ln_code safetensors_back(ln_mem *mem, ln_error *err) {
  char path[128];
  snprintf(path, sizeof path, "%s/stored", folder);
  ln_mem own = {0};
  if (write_tensors(&own, path, err) != LN_OK) return LN_EINTERNAL;
  ln_safetensors *file;
  float back[12];
  ln_code code = ln_safetensors_open(mem, path, &file, err);
  if (code == LN_OK) code = ln_safetensors_read(file, 0, back, err);
  if (code == LN_OK && memcmp(back, weights, sizeof back) != 0) code = LN_EINTERNAL;
  ln_safetensors_close(file);
  unlink(path);
  return code;
}

static ln_code png(ln_mem *mem, ln_error *err) { return ln_png_write(mem, target, pixels, 64, 64, 1, err); }

static ln_code xlsx(ln_mem *mem, ln_error *err) {
  ln_item items[2] = {{LN_ITEM_NUMBER, 0.5, NULL}, {LN_ITEM_TEXT, 0, "text"}};
  ln_row row = {2, items};
  return ln_xlsx_write(mem, target, &row, 1, err);
}

static const ln_frame_style style = {.width = 200, .height = 150, .title = "title"};

static ln_code lines(ln_mem *mem, ln_error *err) {
  ln_series s = {.label = "label", .y = values, .count = 4};
  return ln_figure_lines(mem, target, &style, &s, 1, err);
}

static ln_code boxes(ln_mem *mem, ln_error *err) {
  ln_sample s = {.label = "label", .values = values, .count = 4};
  return ln_figure_boxes(mem, target, &style, &s, 1, false, err);
}

static ln_code grid(ln_mem *mem, ln_error *err) {
  ln_panel p = {.pixels = pixels, .width = 64, .height = 64, .channels = 1};
  return ln_figure_grid(mem, target, &style, &p, 1, 1, true, err);
}

static ln_code phantom(ln_mem *mem, ln_error *err) {
  return ln_phantom_draw(mem, LN_PHANTOM_BRAIN, 1, 2, 64, 64, pixels, mask, err);
}

/* Names in the scratch folder other than the target. */
static int strangers(void) {
  DIR *dir = opendir(folder);
  int n = 0;
  for (struct dirent *e; dir != NULL && (e = readdir(dir)) != NULL;) {
    n += strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0 && strcmp(e->d_name, "out.png") != 0;
  }
  if (dir != NULL) closedir(dir);
  return n;
}

static bool holds_old_text(void) {
  char text[8] = "";
  FILE *f = fopen(target, "rb");
  if (f == NULL) return false;
  size_t n = fread(text, 1, sizeof text, f);
  fclose(f);
  return n == 3 && memcmp(text, "old", 3) == 0;
}

/* Fails allocation 1, 2, ... until the call gets through; why it is wrong, or NULL. */
static const char *exhaust(ln_code (*call)(ln_mem *, ln_error *), bool *skipped) {
  for (size_t n = 1; n < 1000; n++) {
    ln_mem mem = {0}, own = {0};
    ln_error err = {0};
    if (ln_file_store(&own, target, "old", 3, &err) != LN_OK) return "cannot write the scratch file";
    atomic_store(&mem.fail_at, n);
    ln_code code = call(&mem, &err);
    if (atomic_load(&mem.live) != 0) return "bytes are left";
    if (strangers() != 0) return "a file is left";
    *skipped = code == LN_ENODEV;
    if (code == LN_OK || code == LN_ENODEV) return n > 1 ? NULL : "it allocates nothing";
    if (code != LN_ENOMEM || err.code != LN_ENOMEM || err.text[0] == '\0') return "it is not called a lack of memory";
    if (!holds_old_text()) return "the old file is gone";
  }
  return "it never gets through";
}

int main(void) {
  static const struct {
    const char *name;
    ln_code (*call)(ln_mem *, ln_error *);
  } cases[] = {{"store", store}, {"read", read_back}, {"folder", make_folder}, {"safetensors", safetensors},
               {"safetensors back", safetensors_back}, {"png", png}, {"xlsx", xlsx}, {"lines", lines},
               {"boxes", boxes}, {"grid", grid}, {"phantom", phantom}};
  int skips = 0;
  snprintf(folder, sizeof folder, "/tmp/lunette_save_XXXXXX");
  if (mkdtemp(folder) == NULL) return 1;
  snprintf(target, sizeof target, "%s/out.png", folder);
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    bool skipped = false;
    const char *why = exhaust(cases[i].call, &skipped);
    if (why != NULL) printf("FAILED out of memory in %s: %s\n", cases[i].name, why);
    else if (skipped) printf("skipped out of memory in %s: gnuplot is not installed\n", cases[i].name);
    else printf("ok out of memory in %s\n", cases[i].name);
    failed += why != NULL;
    skips += why == NULL && skipped;
    passed += why == NULL && !skipped;
  }
  unlink(target);
  rmdir(folder);
  printf("%d passed, %d failed, %d skipped\n", passed, failed, skips);
  return failed > 0;
}
