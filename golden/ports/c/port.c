/* A port of the golden suite in C99, driven through files. It needs a little-endian machine and nothing but libm:

       cc -O2 -std=c99 -Wall -Wextra -o port golden/ports/c/port.c -lm
       nsn-ref golden check cmd:./port

   This file reads calls.json and the tensors, and writes the answers; operations.h computes, once in double and once in
   float. */

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

/* --- memory: everything lives until the call, or the program, ends ------------------------------------------------ */

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

/* --- JSON: a tree of values, each with its key and its next neighbour --------------------------------------------- */

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

/* --- files --------------------------------------------------------------------------------------------------------- */

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

/* --- tensors ------------------------------------------------------------------------------------------------------- */

typedef struct tensor {
    const char *name;
    const char *dtype; /* F64, F32 or I64 */
    size_t axes, shape[MAX_AXES];
    void *data; /* row-major */
    struct tensor *next;
} tensor;

static size_t item_size(const char *dtype)
{
    return !strcmp(dtype, "F64") || !strcmp(dtype, "I64") ? 8 : !strcmp(dtype, "F32") ? 4 : 0;
}

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
        t->data = take(size, 1);
        memcpy(t->data, data + from, size); /* a copy, and so aligned */
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
    for (const tensor *t = list; t; t = t->next) fwrite(t->data, item_size(t->dtype), count(t), file);
    int failed = ferror(file);
    if (fclose(file) || failed) die("%s: cannot be written", path);
}

/* --- calls --------------------------------------------------------------------------------------------------------- */

typedef struct {
    const json *attrs;
    tensor *inputs, *outputs;
    const char *dtype; /* of every floating tensor */
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
    if (strcmp(t->dtype, c->dtype)) die("%s has dtype %s, expected %s", name, t->dtype, c->dtype);
    return t;
}

static const int64_t *labels(const call *c, const char *name, size_t n)
{
    tensor *t = input_or_null(c, name);
    if (!t || strcmp(t->dtype, "I64") || count(t) != n) die("no %zu labels %s", n, name);
    return t->data;
}

static tensor *named(const call *c, const char *group, const char *key) /* "param" and "s", say; NULL if not there */
{
    char *name = take(strlen(group) + strlen(key) + 2, 1);
    sprintf(name, "%s.%s", group, key);
    return input_or_null(c, name);
}

/* A new output of zeros: K copies of a shape along a new first axis, or one copy if K is 0; its last axis is `last`,
   or that of the shape if `last` is 0. */
static tensor *output(call *c, const char *name, size_t K, const tensor *like, size_t last)
{
    tensor *t = take(1, sizeof *t);
    t->name = copy_of(name);
    t->dtype = c->dtype;
    if (K) t->shape[t->axes++] = K;
    for (size_t i = 0; i < like->axes; i++) t->shape[t->axes++] = like->shape[i];
    if (last) t->shape[t->axes - 1] = last;
    t->data = take(count(t), item_size(t->dtype));
    t->next = c->outputs;
    c->outputs = t;
    return t;
}

static const tensor scalar_shape; /* no axes */

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

static size_t int_attr(const call *c, const char *name)
{
    return as_size(get(c->attrs, name, "0"));
}

static size_t rank_in(size_t rank, size_t R)
{
    if (rank < 1 || rank > R) die("rank %zu, expected 1..%zu", rank, R);
    return rank;
}

/* The attribute `ranks`, or the attribute `rank` as a list of one. */
static size_t *ranks_of(const call *c, size_t R, size_t *K)
{
    json *list = find(c->attrs, "ranks"), *one = list ? list->child : get(c->attrs, "rank", "0");
    *K = 0;
    for (json *item = one; item; item = list ? item->next : NULL) ++*K;
    size_t *ranks = take(*K, sizeof *ranks);
    for (size_t k = 0; k < *K; k++, one = one->next) ranks[k] = rank_in(as_size(one), R);
    return ranks;
}

/* --- the operations, twice ----------------------------------------------------------------------------------------- */

#define PI 3.14159265358979323846

#define real double
#define F(name) name##_double
#include "operations.h"
#undef real
#undef F

#define real float
#define F(name) name##_float
#include "operations.h"
#undef real
#undef F

static const struct {
    const char *name;
    void (*of_double)(call *), (*of_float)(call *);
} operations[] = {
#define OPERATION(name) {#name, name##_double, name##_float}
    OPERATION(nested_linear_forward),
    OPERATION(nested_linear_backward),
    OPERATION(multirank_linear_forward),
    OPERATION(multirank_linear_backward),
    OPERATION(objective_forward),
    OPERATION(objective_backward),
    OPERATION(mlp_step),
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
            call c = {get(item, "attrs", "{"), read_tensors(get(item, "inputs", "\"")->text), NULL, "F32"};
            for (tensor *t = c.inputs; t; t = t->next)
                if (!strcmp(t->dtype, "F64")) c.dtype = "F64";
            (strcmp(c.dtype, "F64") ? operations[i].of_float : operations[i].of_double)(&c);
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
