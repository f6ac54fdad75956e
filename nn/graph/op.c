/* op.c: the op table's rows, and what its strings mean. */
#include "op.h"

#include <pthread.h>
#include <string.h>

#include "grad_rules.h"
#include "shape.h"

#define LN_GRADRULE_GRAD(name) ln_grad_##name
#define LN_GRADRULE_NOGRAD(name) NULL

static const ln_op_row rows[] = {
#define LN_OP(NAME, INPUTS, OUTPUTS, ATTRS, SAVES, SHAPE, GRADIENT, CPU, FLAGS, DOC) \
  {.name = #NAME, .inputs = INPUTS, .outputs = OUTPUTS, .attrs = ATTRS, .saves = SAVES, .doc = DOC, \
   .shape = ln_shape_##SHAPE, .grad = LN_GRADRULE_##GRADIENT(NAME), .flags = (FLAGS)},
#include "ops.def"
#undef LN_OP
};
_Static_assert(sizeof rows / sizeof rows[0] == LN_OP_COUNT, "a row for every op");

#define AT_SPATIAL(f) offsetof(ln_attrs, f), SIZE_MAX
#define AT_SHAPE(f) offsetof(ln_attrs, f), offsetof(ln_attrs, n##f)
#define AT_INT(f) offsetof(ln_attrs, f), SIZE_MAX
#define AT_DIM(f) offsetof(ln_attrs, f), SIZE_MAX
#define AT_DIMS(f) offsetof(ln_attrs, f), offsetof(ln_attrs, n##f)
#define AT_INDEX(f) offsetof(ln_attrs, f), SIZE_MAX
#define AT_BOOL(f) offsetof(ln_attrs, f), SIZE_MAX
#define AT_NUM(f) offsetof(ln_attrs, f), SIZE_MAX
#define AT_NUMS(f) offsetof(ln_attrs, f), SIZE_MAX
#define AT_MODE(f) offsetof(ln_attrs, f), SIZE_MAX
#define AT_DTYPE(f) offsetof(ln_attrs, f), SIZE_MAX
#define AT_SCALAR(f) offsetof(ln_scalars, f), SIZE_MAX

static const ln_attr_row attr_rows[] = {
#define LN_ATTR(FIELD, KIND, FALLBACK, DOC) {#FIELD, DOC, LN_ATTR_##KIND, AT_##KIND(FIELD), FALLBACK},
#include "attrs.def"
#undef LN_ATTR
};
enum { ATTR_COUNT = sizeof attr_rows / sizeof attr_rows[0], MAX_ATTRS = 8 };

/* -- decoding the strings, once per process; the result never changes afterwards */

static ln_op_info infos[LN_OP_COUNT];
static const ln_attr_row *op_attrs[LN_OP_COUNT][MAX_ATTRS + 1];
static uint64_t table_hash;
static pthread_once_t decoded = PTHREAD_ONCE_INIT;

/* Length of the word at s, and s moved past leading blanks. */
static size_t next_word(const char **s) {
  *s += strspn(*s, " ");
  return strcspn(*s, " ");
}

/* Index of a name in a list of decorated names ("w?", "xs...", "p!"), or -1. */
static int find_word(const char *list, const char *word, size_t length) {
  size_t n;
  for (int i = 0; (n = next_word(&list)) > 0; i++, list += n) {
    size_t bare = strcspn(list, " ?!.");
    if (bare == length && memcmp(list, word, length) == 0) return i;
  }
  return -1;
}

static void decode_inputs(const char *s, ln_op_info *info) {
  size_t n;
  for (; (n = next_word(&s)) > 0; s += n) {
    uint64_t bit = (uint64_t)1 << info->nin++;
    if (memchr(s, '?', n) != NULL) info->optional |= bit;
    if (memchr(s, '!', n) != NULL) info->written |= bit;
    if (memchr(s, '.', n) != NULL) info->variadic = true;
  }
}

static void decode_saves(const ln_op_row *row, ln_op_info *info) {
  size_t n;
  for (const char *s = row->saves; (n = next_word(&s)) > 0; s += n) {
    int i = find_word(row->inputs, s, n), o = find_word(row->outputs, s, n);
    if (i >= 0) info->saves_in |= (uint64_t)1 << i;
    if (o >= 0) info->saves_out |= (uint64_t)1 << o;
  }
}

static void hash_text(uint64_t *hash, const char *s) {
  for (; *s != '\0'; s++) *hash = (*hash ^ (unsigned char)*s) * 0x100000001b3u;
  *hash = (*hash ^ '\n') * 0x100000001b3u;
}

static void decode(void) {
  table_hash = 0xcbf29ce484222325u;
  for (int op = 0; op < LN_OP_COUNT; op++) {
    const ln_op_row *row = &rows[op];
    ln_op_info *info = &infos[op];
    size_t n;
    decode_inputs(row->inputs, info);
    for (const char *s = row->outputs; (n = next_word(&s)) > 0; s += n) info->nout++;
    decode_saves(row, info);
    int k = 0;
    for (const char *s = row->attrs; k < MAX_ATTRS && (n = next_word(&s)) > 0; s += n)
      for (int a = 0; a < ATTR_COUNT; a++)
        if (strlen(attr_rows[a].name) == n && memcmp(attr_rows[a].name, s, n) == 0)
          op_attrs[op][k++] = &attr_rows[a];
    hash_text(&table_hash, row->name);
    hash_text(&table_hash, row->inputs);
    hash_text(&table_hash, row->outputs);
    hash_text(&table_hash, row->attrs);
  }
  table_hash = (table_hash ^ sizeof(ln_attrs)) * 0x100000001b3u;
}

const ln_op_row *ln_op_get(ln_op op) { return &rows[op]; }

const ln_op_info *ln_op_info_get(ln_op op) {
  pthread_once(&decoded, decode);
  return &infos[op];
}

uint64_t ln_op_table_hash(void) {
  pthread_once(&decoded, decode);
  return table_hash;
}

const ln_attr_row *ln_op_attr(ln_op op, int k) {
  pthread_once(&decoded, decode);
  return k >= 0 && k < MAX_ATTRS ? op_attrs[op][k] : NULL;
}

static const char *const mode_names[] = {
    [LN_MODE_CONSTANT] = "constant", [LN_MODE_REFLECT] = "reflect", [LN_MODE_REPLICATE] = "replicate",
    [LN_MODE_NEAREST] = "nearest", [LN_MODE_LINEAR] = "linear",
};
_Static_assert(sizeof mode_names / sizeof mode_names[0] == LN_MODE_COUNT, "a name for every mode");

const char *ln_mode_name(ln_mode mode) { return mode_names[mode]; }

/* Attributes that an op does not list keep their defaults too: they are part of the
 * key, and a kernel that shares code with another op may read them. */
void ln_attrs_default(ln_attrs *attrs, ln_scalars *scalars) {
  if (attrs != NULL) memset(attrs, 0, sizeof *attrs);
  if (scalars != NULL) memset(scalars, 0, sizeof *scalars);
  for (int a = 0; a < ATTR_COUNT; a++) {
    const ln_attr_row *row = &attr_rows[a];
    if (row->kind == LN_ATTR_SCALAR) {
      if (scalars != NULL) *(double *)((char *)scalars + row->offset) = row->fallback;
      continue;
    }
    if (attrs == NULL) continue;
    void *field = (char *)attrs + row->offset;
    if (row->kind == LN_ATTR_SPATIAL)
      for (int i = 0; i < LN_SPATIAL; i++) ((int64_t *)field)[i] = (int64_t)row->fallback;
    else if (row->kind == LN_ATTR_INT || row->kind == LN_ATTR_INDEX)
      *(int64_t *)field = (int64_t)row->fallback;
    else if (row->kind == LN_ATTR_BOOL)
      *(bool *)field = row->fallback != 0;
    else if (row->kind == LN_ATTR_NUM)
      *(double *)field = row->fallback;
    else if (row->kind == LN_ATTR_DTYPE)
      *(ln_dtype *)field = (ln_dtype)(int)row->fallback;
  }
}
