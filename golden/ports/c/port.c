/* A port of the golden suite in C99, driven through files. It needs a little-endian machine and nothing but libm:

       cc -O2 -std=c99 -Wall -Wextra -o port golden/ports/c/port.c -lm
       nsn-ref golden check cmd:./port

   This file reads calls.json and the tensors, and writes the answers. layers.h, losses.h and networks.h compute; they
   are compiled twice, in double and in float. float16 and bfloat16 are formats of tensors only, read as float. */

#include <ctype.h>
#include <errno.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <tgmath.h> /* exp, sqrt, ... of a float are float functions */

#define MAX_AXES 8

static void die(const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    vfprintf(stderr, format, arguments);
    va_end(arguments);
    fputc('\n', stderr);
    exit(1);
}

/* --- memory: everything lives until the call, or the program, ends ---------------------------------------------- */

typedef struct block {
    struct block *next;
    double data[]; /* aligned for every number */
} block;

static block *blocks;

static void *take(size_t count, size_t size) /* zeros */
{
    if (size && count > (SIZE_MAX - sizeof(block)) / size) die("too large: %zu elements of %zu bytes", count, size);
    block *b = calloc(1, sizeof(block) + count * size);
    if (!b) die("out of memory");
    b->next = blocks;
    blocks = b;
    return b->data;
}

static void give_back(block *until)
{
    while (blocks != until) {
        block *b = blocks;
        blocks = b->next;
        free(b);
    }
}

static char *copy_of(const char *text)
{
    return strcpy(take(strlen(text) + 1, 1), text);
}

/* --- JSON: a tree of values, each with its key and its next neighbour ------------------------------------------- */

typedef struct json {
    char *key;  /* in an object; else NULL */
    char kind;  /* '{', '[', '"', or '0' for a number, true, false or null */
    char *text; /* of a string, or a number as it is written */
    struct json *child, *next;
} json;

typedef struct {
    const char *at, *end;
} reader;

static char peek(reader *r)
{
    while (r->at < r->end && isspace((unsigned char)*r->at)) r->at++;
    return r->at < r->end ? *r->at : '\0';
}

static void expect(reader *r, char c)
{
    if (peek(r) != c) die("JSON: expected %c", c);
    r->at++;
}

static char *read_string(reader *r)
{
    expect(r, '"');
    const char *end = r->at;
    while (end < r->end && *end != '"') end += *end == '\\' ? 2 : 1;
    char *text = take((size_t)(end - r->at) + 1, 1), *to = text;
    while (r->at < r->end && *r->at != '"') {
        char c = *r->at++;
        if (c == '\\' && r->at < r->end) {
            const char *names = "bfnrt", *name = strchr(names, *r->at);
            if (*r->at == 'u') die("JSON: \\u escapes are not supported");
            c = name && *name ? "\b\f\n\r\t"[name - names] : *r->at;
            r->at++;
        }
        *to++ = c;
    }
    expect(r, '"');
    return text;
}

static json *read_value(reader *r, int depth)
{
    if (depth > 64) die("JSON: nested too deeply");
    json *value = take(1, sizeof *value);
    char first = peek(r);
    if (first == '{' || first == '[') {
        char last = first == '{' ? '}' : ']';
        json **to = &value->child;
        value->kind = first;
        for (r->at++; peek(r) != last; to = &(*to)->next) {
            if (value->child) expect(r, ',');
            char *key = first == '{' ? read_string(r) : NULL;
            if (key) expect(r, ':');
            *to = read_value(r, depth + 1);
            (*to)->key = key;
        }
        r->at++;
    } else if (first == '"') {
        value->kind = '"';
        value->text = read_string(r);
    } else {
        const char *start = r->at;
        while (r->at < r->end && (isalnum((unsigned char)*r->at) || strchr("+-.", *r->at))) r->at++;
        if (start == r->at) die("JSON: expected a value");
        value->kind = '0';
        value->text = take((size_t)(r->at - start) + 1, 1);
        memcpy(value->text, start, (size_t)(r->at - start));
    }
    return value;
}

static json *read_object(const char *text, size_t length)
{
    reader r = {text, text + length};
    json *value = read_value(&r, 0);
    if (value->kind != '{') die("JSON: expected an object");
    return value;
}

static json *find(const json *object, const char *key)
{
    for (json *item = object->child; item; item = item->next)
        if (item->key && !strcmp(item->key, key)) return item;
    return NULL;
}

static json *get(const json *object, const char *key, const char *kinds)
{
    json *item = find(object, key);
    if (!item || !strchr(kinds, item->kind)) die("JSON: no %s, or not of the expected kind", key);
    return item;
}

static size_t as_size(const json *value)
{
    char *end;
    errno = 0;
    unsigned long long n = value->kind == '0' ? strtoull(value->text, &end, 10) : 0;
    if (value->kind != '0' || *end || errno || n > SIZE_MAX / 2) die("JSON: expected a natural number");
    return (size_t)n;
}

/* --- files ------------------------------------------------------------------------------------------------------ */

static char *read_file(const char *path, size_t *length)
{
    FILE *file = fopen(path, "rb");
    if (!file) die("%s: %s", path, strerror(errno));
    if (fseek(file, 0, SEEK_END)) die("%s: %s", path, strerror(errno));
    long size = ftell(file);
    rewind(file);
    if (size < 0) die("%s: %s", path, strerror(errno));
    char *bytes = take((size_t)size + 1, 1);
    if (fread(bytes, 1, (size_t)size, file) != (size_t)size) die("%s: cannot be read", path);
    fclose(file);
    *length = (size_t)size;
    return bytes;
}

/* --- formats ---------------------------------------------------------------------------------------------------- */

static size_t item_size(const char *dtype) /* in a file; 0 if it is not known */
{
    if (!strcmp(dtype, "F64") || !strcmp(dtype, "I64")) return 8;
    return !strcmp(dtype, "F32") ? 4 : !strcmp(dtype, "F16") || !strcmp(dtype, "BF16") ? 2 : 0;
}

static size_t number_size(const char *dtype) /* in memory: float16 and bfloat16 are floats */
{
    return item_size(dtype) == 8 ? 8 : 4;
}

static float from_half(unsigned bits)
{
    int exponent = bits >> 10 & 31, fraction = bits & 1023;
    float x = exponent == 31 ? (fraction ? NAN : INFINITY)
              : exponent     ? ldexpf(1024 + fraction, exponent - 25)
                             : ldexpf(fraction, -24);
    return bits & 0x8000 ? -x : x;
}

static uint16_t to_half(float x) /* to the nearest, ties to even, as lrint rounds */
{
    uint16_t sign = signbit(x) ? 0x8000 : 0;
    float a = fabsf(x);
    if (isnan(x)) return 0x7e00;
    if (a >= 65520) return sign | 0x7c00;
    int exponent = a < ldexpf(1, -14) ? -14 : ilogbf(a);
    /* the leading bit of the scaled number counts for an exponent */
    return (uint16_t)(sign | (((exponent + 14) << 10) + (int)lrintf(ldexpf(a, 10 - exponent))));
}

static float from_brain(unsigned bits)
{
    uint32_t wide = (uint32_t)bits << 16;
    float x;
    memcpy(&x, &wide, 4);
    return x;
}

static uint16_t to_brain(float x) /* to the nearest, ties to even */
{
    uint32_t bits;
    memcpy(&bits, &x, 4);
    if (isnan(x)) return 0x7fc0;
    return (uint16_t)((bits + 0x7fff + (bits >> 16 & 1)) >> 16);
}

static void unpack(const char *dtype, size_t n, const char *from, void *to)
{
    if (item_size(dtype) > 2) {
        memcpy(to, from, n * item_size(dtype));
        return;
    }
    for (size_t i = 0; i < n; i++) {
        uint16_t bits;
        memcpy(&bits, from + 2 * i, 2);
        ((float *)to)[i] = *dtype == 'B' ? from_brain(bits) : from_half(bits);
    }
}

static const void *packed(const char *dtype, size_t n, const void *from)
{
    if (item_size(dtype) > 2) return from;
    uint16_t *to = take(n, 2);
    for (size_t i = 0; i < n; i++) {
        float x = ((const float *)from)[i];
        to[i] = *dtype == 'B' ? to_brain(x) : to_half(x);
    }
    return to;
}

/* --- tensors ---------------------------------------------------------------------------------------------------- */

typedef struct tensor {
    const char *name;
    const char *dtype; /* F64, F32, F16, BF16 or I64 */
    size_t axes, shape[MAX_AXES];
    void *data; /* row-major: double, float or int64_t */
    struct tensor *next;
} tensor;

static size_t count(const tensor *t)
{
    size_t n = 1;
    for (size_t i = 0; i < t->axes; i++) {
        if (t->shape[i] && n > SIZE_MAX / 16 / t->shape[i]) die("%s: too large", t->name);
        n *= t->shape[i];
    }
    return n;
}

static tensor *read_tensors(const char *path)
{
    size_t length;
    char *bytes = read_file(path, &length);
    uint64_t header = 0;
    if (length >= 8) memcpy(&header, bytes, 8);
    if (length < 8 || header > length - 8) die("%s: truncated", path);
    const char *data = bytes + 8 + header;
    size_t data_length = length - 8 - (size_t)header;
    tensor *list = NULL;
    for (json *item = read_object(bytes + 8, (size_t)header)->child; item; item = item->next) {
        if (!strcmp(item->key, "__metadata__")) continue;
        tensor *t = take(1, sizeof *t);
        t->name = item->key;
        t->dtype = get(item, "dtype", "\"")->text;
        if (!item_size(t->dtype)) die("%s: %s: dtype %s is not supported", path, t->name, t->dtype);
        for (json *d = get(item, "shape", "[")->child; d; d = d->next) {
            if (t->axes == MAX_AXES) die("%s: %s: too many axes", path, t->name);
            t->shape[t->axes++] = as_size(d);
        }
        json *offsets = get(item, "data_offsets", "[")->child;
        if (!offsets || !offsets->next) die("%s: %s: two data_offsets expected", path, t->name);
        size_t from = as_size(offsets), to = as_size(offsets->next), size = count(t) * item_size(t->dtype);
        if (from > to || to > data_length || to - from != size) die("%s: %s: data_offsets are wrong", path, t->name);
        t->data = take(count(t), number_size(t->dtype));
        unpack(t->dtype, count(t), data + from, t->data);
        t->next = list;
        list = t;
    }
    return list;
}

static void write_tensors(const char *path, const tensor *list)
{
    size_t offset = 0, room = 64;
    for (const tensor *t = list; t; t = t->next) room += strlen(t->name) + 128 + 24 * MAX_AXES;
    char *header = take(room, 1), *to = header;
    to += sprintf(to, "{");
    for (const tensor *t = list; t; t = t->next) {
        size_t size = count(t) * item_size(t->dtype);
        to += sprintf(to, "%s\"%s\":{\"dtype\":\"%s\",\"shape\":[", t == list ? "" : ",", t->name, t->dtype);
        for (size_t i = 0; i < t->axes; i++) to += sprintf(to, "%s%zu", i ? "," : "", t->shape[i]);
        to += sprintf(to, "],\"data_offsets\":[%zu,%zu]}", offset, offset + size);
        offset += size;
    }
    to += sprintf(to, "}");
    while ((to - header) % 8) *to++ = ' ';
    uint64_t length = (uint64_t)(to - header);
    FILE *file = fopen(path, "wb");
    if (!file) die("%s: %s", path, strerror(errno));
    fwrite(&length, 8, 1, file);
    fwrite(header, 1, (size_t)length, file);
    for (const tensor *t = list; t; t = t->next)
        fwrite(packed(t->dtype, count(t), t->data), item_size(t->dtype), count(t), file);
    int failed = ferror(file);
    if (fclose(file) || failed) die("%s: cannot be written", path);
}

/* --- calls ------------------------------------------------------------------------------------------------------ */

typedef struct {
    const json *attrs;
    tensor *inputs, *outputs;
    const char *shortest, *longest; /* dtypes of the floating inputs; they differ where weights are kept in float32 */
} call;

static tensor *input_or_null(const call *c, const char *name)
{
    for (tensor *t = c->inputs; t; t = t->next)
        if (!strcmp(t->name, name)) return t;
    return NULL;
}

static tensor *input(const call *c, const char *name)
{
    tensor *t = input_or_null(c, name);
    if (!t) die("no input %s", name);
    if (!strcmp(t->dtype, "I64") || number_size(t->dtype) != number_size(c->longest))
        die("%s has dtype %s, expected %s", name, t->dtype, c->longest);
    return t;
}

static const int64_t *labels(const call *c, const char *name, size_t n, size_t below) /* below = 0: any */
{
    tensor *t = input_or_null(c, name);
    if (!t || strcmp(t->dtype, "I64") || count(t) != n) die("no %zu labels %s", n, name);
    const int64_t *values = t->data;
    for (size_t i = 0; below && i < n; i++)
        if (values[i] < 0 || (uint64_t)values[i] >= below) die("%s: %lld", name, (long long)values[i]);
    return values;
}

static const char *joined(const char *first, const char *second) /* first.second */
{
    char *name = take(strlen(first) + strlen(second) + 2, 1);
    sprintf(name, "%s.%s", first, second);
    return name;
}

/* The dtype of an output: that of x for dx; the longest for weights, sums and the optimiser's tensors. */
static const char *stored_as(const call *c, const char *name)
{
    const char *const groups[] = {"grad.", "param.", "m.", "v."}, *const sums[] = {"losses", "w", "total"};
    tensor *x = *name == 'd' ? input_or_null(c, name + 1) : NULL;
    if (x) return x->dtype;
    for (size_t i = 0; i < 4; i++)
        if (!strncmp(name, groups[i], strlen(groups[i]))) return c->longest;
    for (size_t i = 0; i < 3; i++)
        if (!strcmp(name, sums[i])) return c->longest;
    return c->shortest;
}

/* A new output of zeros. */
static tensor *output_of(call *c, const char *name, size_t axes, const size_t *shape)
{
    tensor *t = take(1, sizeof *t);
    t->name = copy_of(name);
    t->dtype = stored_as(c, name);
    if (axes > MAX_AXES) die("%s: too many axes", name);
    for (size_t i = 0; i < axes; i++) t->shape[t->axes++] = shape[i];
    t->data = take(count(t), number_size(t->dtype));
    t->next = c->outputs;
    c->outputs = t;
    return t;
}

/* The same with the shape of a tensor, but for its last axis if `last` is not 0, and a first axis if K is not 0. */
static tensor *output(call *c, const char *name, size_t K, const tensor *like, size_t last)
{
    size_t shape[MAX_AXES + 1] = {0}, axes = 0;
    if (K) shape[axes++] = K;
    for (size_t i = 0; i < like->axes; i++) shape[axes++] = like->shape[i];
    if (last && axes) shape[axes - 1] = last;
    return output_of(c, name, axes, shape);
}

static const char *text_attr(const call *c, const char *name)
{
    return get(c->attrs, name, "\"")->text;
}

static int is(const call *c, const char *name, const char *value)
{
    return !strcmp(text_attr(c, name), value);
}

static double float_attr(const call *c, const char *name)
{
    return strtod(text_attr(c, name), NULL); /* strtod reads hexadecimal floats */
}

static long long int_attr(const call *c, const char *name)
{
    return strtoll(get(c->attrs, name, "0")->text, NULL, 10);
}

static int bool_attr(const call *c, const char *name)
{
    return !strcmp(get(c->attrs, name, "0")->text, "true");
}

/* The attribute `name`, a list of ints, or the attribute `single` as a list of one. */
static size_t *sizes_attr(const call *c, const char *name, const char *single, size_t *n)
{
    json *list = find(c->attrs, name), *one = list ? list->child : get(c->attrs, single, "0");
    *n = 0;
    for (json *item = one; item; item = list ? item->next : NULL) ++*n;
    size_t *values = take(*n, sizeof *values);
    for (size_t k = 0; k < *n; k++, one = one->next) values[k] = as_size(one);
    return values;
}

static size_t rank_in(size_t rank, size_t R)
{
    if (rank < 1 || rank > R) die("rank %zu, expected 1..%zu", rank, R);
    return rank;
}

static size_t *ranks_of(const call *c, size_t R, size_t *K)
{
    size_t *ranks = sizes_attr(c, "ranks", "rank", K);
    for (size_t k = 0; k < *K; k++) rank_in(ranks[k], R);
    return ranks;
}

static void pair_attr(const call *c, const char *name, size_t pair[2])
{
    size_t n, *values = sizes_attr(c, name, name, &n);
    if (n != 2) die("%s has %zu elements, expected 2", name, n);
    memcpy(pair, values, 2 * sizeof *values);
}

/* Images (n, c, H, W), and the positions of a kernel on them. */
typedef struct {
    size_t n, c, H, W, kernel[2], stride[2], padding[2], H_out, W_out;
} geometry;

static geometry geometry_of(const size_t image[4], const size_t kernel[2], const size_t stride[2],
                            const size_t padding[2])
{
    geometry g = {.n = image[0], .c = image[1], .H = image[2], .W = image[3]};
    for (size_t k = 0; k < 2; k++) {
        if (!stride[k] || !kernel[k] || padding[k] > 4096 || image[2 + k] + 2 * padding[k] < kernel[k])
            die("a kernel that does not fit the image");
        g.kernel[k] = kernel[k];
        g.stride[k] = stride[k];
        g.padding[k] = padding[k];
    }
    g.H_out = (g.H + 2 * padding[0] - kernel[0]) / stride[0] + 1;
    g.W_out = (g.W + 2 * padding[1] - kernel[1]) / stride[1] + 1;
    return g;
}

/* --- the operations, twice -------------------------------------------------------------------------------------- */

#define PI 3.14159265358979323846

#define real double
#define F(name) name##_double
#include "layers.h"
#include "losses.h"
#include "networks.h"
#undef real
#undef F

#define real float
#define F(name) name##_float
#include "layers.h"
#include "losses.h"
#include "networks.h"
#undef real
#undef F

static const struct {
    const char *name;
    void (*of_double)(call *), (*of_float)(call *);
} operations[] = {
#define OPERATION(name) {#name, name##_double, name##_float}
#define BOTH(stem) OPERATION(stem##_forward), OPERATION(stem##_backward)
    BOTH(dense),
    BOTH(nested_linear),
    BOTH(multirank_linear),
    BOTH(conv2d),
    BOTH(nested_conv2d),
    BOTH(average_pool2d),
    BOTH(nested_embedding),
    BOTH(layer_norm),
    BOTH(rms_norm),
    BOTH(relu),
    BOTH(gelu),
    BOTH(silu),
    BOTH(softmax_cross_entropy),
    BOTH(mean_squared_error),
    BOTH(kl_distillation),
    BOTH(objective),
    BOTH(weighted_sum),
    OPERATION(analytic_weights),
    OPERATION(softmax_weights),
    OPERATION(gradnorm_targets),
    BOTH(gradnorm),
    OPERATION(renormalised),
    BOTH(hard_orthogonality),
    BOTH(residual_orthogonality),
    BOTH(logits_regularisation),
    BOTH(hidden_regularisation),
    OPERATION(adamw_step),
    OPERATION(sgd_step),
    OPERATION(mlp_forward),
    OPERATION(mlp_loss_and_grads),
    OPERATION(mlp_step),
    OPERATION(convnet_step),
};

int main(int argc, char **argv)
{
    if (argc != 3) die("usage: port calls.json OUTDIR");
    size_t length;
    char *text = read_file(argv[1], &length);
    for (json *item = get(read_object(text, length), "calls", "[")->child; item; item = item->next) {
        block *before = blocks;
        const char *op = get(item, "op", "\"")->text;
        for (size_t i = 0; i < sizeof operations / sizeof *operations; i++) {
            if (strcmp(op, operations[i].name)) continue; /* an operation that is not here gets no file */
            call c = {.attrs = get(item, "attrs", "{"), .inputs = read_tensors(get(item, "inputs", "\"")->text)};
            for (tensor *t = c.inputs; t; t = t->next) {
                if (!strcmp(t->dtype, "I64")) continue;
                if (!c.longest || item_size(t->dtype) > item_size(c.longest)) c.longest = t->dtype;
                if (!c.shortest || item_size(t->dtype) < item_size(c.shortest)) c.shortest = t->dtype;
            }
            if (!c.longest) die("no floating input");
            (strcmp(c.longest, "F64") ? operations[i].of_float : operations[i].of_double)(&c);
            const char *id = get(item, "id", "\"")->text;
            char *path = take(strlen(argv[2]) + strlen(id) + sizeof "/.safetensors", 1);
            sprintf(path, "%s/%s.safetensors", argv[2], id);
            write_tensors(path, c.outputs);
        }
        give_back(before);
    }
    give_back(NULL);
    return 0;
}
