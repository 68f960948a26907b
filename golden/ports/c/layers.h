/* Matrices and layers, in one number format. port.c includes this twice, with `real` double and float; F(name) is the
   name of a function or type of that format. Every intermediate is a `real`, and so is every sum. */

/* A view: transposing it, or taking its first rows or columns, copies nothing. */
typedef struct {
    real *at;
    size_t rows, cols, down, across;
} F(matrix);

static F(matrix) F(view)(real *at, size_t rows, size_t cols)
{
    return (F(matrix)){at, rows, cols, cols, 1};
}

static F(matrix) F(rows)(const tensor *t) /* (..., d) as (n, d) */
{
    size_t cols = t->axes ? t->shape[t->axes - 1] : 1;
    return F(view)(t->data, cols ? count(t) / cols : 0, cols);
}

static F(matrix) F(flat)(const tensor *t) /* kernels (R, ...) as rows */
{
    return F(view)(t->data, t->shape[0], t->shape[0] ? count(t) / t->shape[0] : 0);
}

static F(matrix) F(zeros)(size_t rows, size_t cols)
{
    return F(view)(take(rows * cols, sizeof(real)), rows, cols);
}

static F(matrix) F(transposed)(F(matrix) a)
{
    return (F(matrix)){a.at, a.cols, a.rows, a.across, a.down};
}

static F(matrix) F(first_rows)(F(matrix) a, size_t r)
{
    if (r > a.rows) die("rank %zu of %zu components", r, a.rows);
    a.rows = r;
    return a;
}

static F(matrix) F(first_cols)(F(matrix) a, size_t r)
{
    if (r > a.cols) die("rank %zu of %zu components", r, a.cols);
    a.cols = r;
    return a;
}

static real *F(element)(F(matrix) a, size_t i, size_t j)
{
    return a.at + i * a.down + j * a.across;
}

/* out += a b; every product of matrices goes through here. */
static void F(add_product)(F(matrix) out, F(matrix) a, F(matrix) b)
{
    if (out.rows != a.rows || out.cols != b.cols || a.cols != b.rows) die("shapes do not match");
    for (size_t i = 0; i < a.rows; i++)
        for (size_t j = 0; j < b.cols; j++) {
            real sum = 0;
            for (size_t k = 0; k < a.cols; k++) sum += *F(element)(a, i, k) * *F(element)(b, k, j);
            *F(element)(out, i, j) += sum;
        }
}

static void F(add_to_rows)(F(matrix) out, F(matrix) b)
{
    if (out.cols != b.cols) die("the bias has %zu elements, expected %zu", b.cols, out.cols);
    for (size_t i = 0; i < out.rows; i++)
        for (size_t j = 0; j < out.cols; j++) *F(element)(out, i, j) += b.at[j];
}

static void F(add_sum_of_rows)(F(matrix) db, F(matrix) dy)
{
    if (dy.cols != db.cols) die("the bias has %zu elements, expected %zu", db.cols, dy.cols);
    for (size_t i = 0; i < dy.rows; i++)
        for (size_t j = 0; j < dy.cols; j++) db.at[j] += *F(element)(dy, i, j);
}

/* --- layers ----------------------------------------------------------------------------------------------------- */

typedef struct {
    F(matrix) A, B, W, b; /* A.at is NULL in a dense layer, W.at in a nested one; b is one row */
} F(layer);

/* y += B_r (A_r x) + b with r the width of h, h += A_r x: the first r rows of A, the first r columns of B. */
static void F(forward)(F(layer) f, F(matrix) x, F(matrix) h, F(matrix) y)
{
    if (f.A.at) {
        F(add_product)(h, x, F(transposed)(F(first_rows)(f.A, h.cols)));
        F(add_product)(y, h, F(transposed)(F(first_cols)(f.B, h.cols)));
    } else {
        F(add_product)(y, x, F(transposed)(f.W));
    }
    F(add_to_rows)(y, f.b);
}

/* Add the gradients of a layer to d and dx; those of unused components stay as they are. */
static void F(backward)(F(layer) f, F(matrix) x, F(matrix) h, F(matrix) dy, F(layer) d, F(matrix) dx)
{
    F(add_sum_of_rows)(d.b, dy);
    if (f.A.at) {
        F(matrix) dh = F(zeros)(h.rows, h.cols);
        F(add_product)(dh, dy, F(first_cols)(f.B, h.cols));
        F(add_product)(F(first_cols)(d.B, h.cols), F(transposed)(dy), h);
        F(add_product)(F(first_rows)(d.A, h.cols), F(transposed)(dh), x);
        F(add_product)(dx, dh, F(first_rows)(f.A, h.cols));
    } else {
        F(add_product)(d.W, F(transposed)(dy), x);
        F(add_product)(dx, dy, f.W);
    }
}

static F(layer) F(layer_at)(const call *c, const char *prefix) /* "", or "layers.0." after a group, say */
{
    const char *const names[] = {"A", "B", "W", "b"};
    F(layer) f = {.b = {.at = NULL}};
    F(matrix) *places[] = {&f.A, &f.B, &f.W, &f.b};
    for (size_t i = 0; i < 4; i++) {
        char *name = take(strlen(prefix) + 2, 1);
        sprintf(name, "%s%s", prefix, names[i]);
        if (!input_or_null(c, name)) continue;
        tensor *t = input(c, name);
        if (!t->axes) die("%s is a scalar", name);
        *places[i] = i == 3 ? F(rows)(t) : F(flat)(t);
    }
    if (!f.b.at || !(f.W.at || (f.A.at && f.B.at))) die("no parameters %sA, B or W, and b", prefix);
    return f;
}

/* Outputs of zeros for the gradients of the layer's parameters, whose names begin with d. */
static F(layer) F(layer_grads)(call *c)
{
    const char *const names[] = {"A", "B", "W", "b"}, *const outputs[] = {"dA", "dB", "dW", "db"};
    F(layer) d = {.b = {.at = NULL}};
    F(matrix) *places[] = {&d.A, &d.B, &d.W, &d.b};
    for (size_t i = 0; i < 4; i++) {
        if (!input_or_null(c, names[i])) continue;
        tensor *t = output(c, outputs[i], 0, input(c, names[i]), 0);
        *places[i] = i == 3 ? F(rows)(t) : F(flat)(t);
    }
    return d;
}

static size_t F(width)(F(layer) f) /* of its output */
{
    return f.A.at ? f.B.rows : f.W.rows;
}

static void F(nested_linear_forward)(call *c)
{
    tensor *x = input(c, "x");
    F(layer) f = F(layer_at)(c, "");
    F(matrix) h = {.at = NULL};
    if (f.A.at) h = F(rows)(output(c, "h", 0, x, rank_in((size_t)int_attr(c, "rank"), f.A.rows)));
    F(forward)(f, F(rows)(x), h, F(rows)(output(c, "y", 0, x, F(width)(f))));
}

static void F(dense_forward)(call *c)
{
    F(nested_linear_forward)(c);
}

static void F(dense_backward)(call *c)
{
    tensor *x = input(c, "x");
    F(matrix) none = {.at = NULL}, dx = F(rows)(output(c, "dx", 0, x, 0)), dy = F(rows)(input(c, "dy"));
    F(backward)(F(layer_at)(c, ""), F(rows)(x), none, dy, F(layer_grads)(c), dx);
}

static void F(multirank_linear_forward)(call *c)
{
    tensor *x = input(c, "x");
    F(layer) f = F(layer_at)(c, "");
    size_t K, top = 0, *ranks = ranks_of(c, f.A.rows, &K);
    F(matrix) ys = F(rows)(output(c, "ys", K, x, f.B.rows)), rows = F(rows)(x);
    for (size_t k = 0; k < K; k++) {
        F(matrix) h = F(zeros)(rows.rows, ranks[k]);
        F(forward)(f, rows, h, F(view)(F(element)(ys, k * rows.rows, 0), rows.rows, ys.cols));
        if (ranks[k] > top) top = ranks[k];
    }
    F(add_product)(F(rows)(output(c, "h", 0, x, top)), rows, F(transposed)(F(first_rows)(f.A, top)));
}

static void F(multirank_linear_backward)(call *c) /* K cotangents, one after another */
{
    tensor *x = input(c, "x");
    F(layer) f = F(layer_at)(c, ""), d = F(layer_grads)(c);
    size_t K, *ranks = ranks_of(c, f.A.rows, &K);
    F(matrix) dys = F(rows)(input(c, find(c->attrs, "ranks") ? "dys" : "dy")), rows = F(rows)(x);
    F(matrix) dx = F(rows)(output(c, "dx", 0, x, 0));
    if (dys.rows != K * rows.rows) die("dys has the wrong shape");
    for (size_t k = 0; k < K; k++) {
        F(matrix) h = F(zeros)(rows.rows, ranks[k]);
        F(add_product)(h, rows, F(transposed)(F(first_rows)(f.A, ranks[k])));
        F(backward)(f, rows, h, F(view)(F(element)(dys, k * rows.rows, 0), rows.rows, dys.cols), d, dx);
    }
}

static void F(nested_linear_backward)(call *c)
{
    F(multirank_linear_backward)(c);
}

/* --- convolutions: a linear layer on the patch of pixels under each position of the kernel ---------------------- */

/* Image `a` of (n, channels, pixels) as a matrix (pixels, channels). */
static F(matrix) F(image)(real *at, size_t a, size_t channels, size_t pixels)
{
    return (F(matrix)){at + a * channels * pixels, pixels, channels, 1, pixels};
}

/* Copy the patches of image `a` out of x, or add them back to it. */
static void F(move_patches)(geometry g, real *x, size_t a, F(matrix) patches, int back)
{
    for (size_t p = 0; p < g.H_out; p++)
        for (size_t q = 0; q < g.W_out; q++)
            for (size_t c = 0, k = 0; c < g.c; c++)
                for (size_t i = 0; i < g.kernel[0]; i++)
                    for (size_t j = 0; j < g.kernel[1]; j++, k++) {
                        size_t u = p * g.stride[0] + i - g.padding[0], v = q * g.stride[1] + j - g.padding[1];
                        if (u >= g.H || v >= g.W) continue; /* above or left of the image they wrap around */
                        real *pixel = x + ((a * g.c + c) * g.H + u) * g.W + v;
                        real *copy = F(element)(patches, p * g.W_out + q, k);
                        if (back) *pixel += *copy;
                        else *copy = *pixel;
                    }
}

/* y and h are (n, channels, H_out, W_out). */
static void F(convolve)(F(layer) f, geometry g, real *x, size_t rank, real *h, real *y)
{
    size_t pixels = g.H_out * g.W_out;
    for (size_t a = 0; a < g.n; a++) {
        F(matrix) patches = F(zeros)(pixels, g.c * g.kernel[0] * g.kernel[1]);
        F(move_patches)(g, x, a, patches, 0);
        F(forward)(f, patches, F(image)(h, a, rank, pixels), F(image)(y, a, F(width)(f), pixels));
    }
}

static void F(convolve_back)(F(layer) f, geometry g, real *x, size_t rank, real *h, real *dy, F(layer) d, real *dx)
{
    size_t pixels = g.H_out * g.W_out, patch = g.c * g.kernel[0] * g.kernel[1];
    for (size_t a = 0; a < g.n; a++) {
        F(matrix) patches = F(zeros)(pixels, patch), dpatches = F(zeros)(pixels, patch);
        F(move_patches)(g, x, a, patches, 0);
        F(matrix) h_a = F(image)(h, a, rank, pixels), dy_a = F(image)(dy, a, F(width)(f), pixels);
        F(backward)(f, patches, h_a, dy_a, d, dpatches);
        F(move_patches)(g, dx, a, dpatches, 1);
    }
}

static geometry F(geometry_of_call)(const call *c)
{
    tensor *x = input(c, "x"), *W = input(c, input_or_null(c, "A") ? "A" : "W");
    size_t stride[2], padding[2];
    pair_attr(c, "stride", stride);
    pair_attr(c, "padding", padding);
    if (x->axes != 4 || W->axes != 4) die("x and the kernels have four axes");
    return geometry_of(x->shape, W->shape + 2, stride, padding);
}

static void F(nested_conv2d_forward)(call *c)
{
    F(layer) f = F(layer_at)(c, "");
    geometry g = F(geometry_of_call)(c);
    size_t rank = f.A.at ? rank_in((size_t)int_attr(c, "rank"), f.A.rows) : 0;
    real *h = f.A.at ? output_of(c, "h", 4, (size_t[]){g.n, rank, g.H_out, g.W_out})->data : NULL;
    real *y = output_of(c, "y", 4, (size_t[]){g.n, F(width)(f), g.H_out, g.W_out})->data;
    F(convolve)(f, g, input(c, "x")->data, rank, h, y);
}

static void F(nested_conv2d_backward)(call *c)
{
    F(layer) f = F(layer_at)(c, "");
    geometry g = F(geometry_of_call)(c);
    size_t rank = f.A.at ? rank_in((size_t)int_attr(c, "rank"), f.A.rows) : 0;
    size_t pixels = g.n * g.H_out * g.W_out;
    real *h = take(pixels * rank, sizeof *h), *y = take(pixels * F(width)(f), sizeof *y);
    tensor *x = input(c, "x"), *dy = input(c, "dy");
    if (count(dy) != pixels * F(width)(f)) die("dy has the wrong shape");
    F(convolve)(f, g, x->data, rank, h, y);
    F(convolve_back)(f, g, x->data, rank, h, dy->data, F(layer_grads)(c), output(c, "dx", 0, x, 0)->data);
}

static void F(conv2d_forward)(call *c)
{
    F(nested_conv2d_forward)(c);
}

static void F(conv2d_backward)(call *c)
{
    F(nested_conv2d_backward)(c);
}

/* Means over windows that tile images; or, back, each pixel's share of its window's cotangent. */
static void F(pool)(size_t planes, size_t H, size_t W, const size_t window[2], real *x, real *y, int back)
{
    size_t H_out = H / window[0], W_out = W / window[1];
    real area = (real)(window[0] * window[1]);
    for (size_t k = 0; k < planes * H * W; k++) {
        size_t plane = k / (H * W), i = k / W % H, j = k % W;
        real *cell = y + (plane * H_out + i / window[0]) * W_out + j / window[1];
        if (back) x[k] = *cell / area;
        else *cell += x[k];
    }
    for (size_t k = 0; !back && k < planes * H_out * W_out; k++) y[k] /= area;
}

static void F(pool_of_call)(call *c, int back)
{
    tensor *x = input(c, "x");
    size_t window[2];
    pair_attr(c, "size", window);
    if (x->axes != 4 || !window[0] || !window[1] || x->shape[2] % window[0] || x->shape[3] % window[1])
        die("windows do not tile x");
    size_t shape[] = {x->shape[0], x->shape[1], x->shape[2] / window[0], x->shape[3] / window[1]};
    real *pixels = back ? output(c, "dx", 0, x, 0)->data : x->data, *means;
    if (back && count(input(c, "dy")) != shape[0] * shape[1] * shape[2] * shape[3]) die("dy has the wrong shape");
    means = back ? input(c, "dy")->data : output_of(c, "y", 4, shape)->data;
    F(pool)(shape[0] * shape[1], x->shape[2], x->shape[3], window, pixels, means, back);
}

static void F(average_pool2d_forward)(call *c)
{
    F(pool_of_call)(c, 0);
}

static void F(average_pool2d_backward)(call *c)
{
    F(pool_of_call)(c, 1);
}

/* --- embedding -------------------------------------------------------------------------------------------------- */

static void F(nested_embedding_forward)(call *c) /* the first r numbers of each token's row of E, then B_r */
{
    F(matrix) E = F(rows)(input(c, "E")), B = F(rows)(input(c, "B"));
    tensor *tokens = input_or_null(c, "tokens"), shape = {.name = "tokens"};
    if (!tokens || tokens->axes == MAX_AXES) die("no tokens");
    size_t n = count(tokens), r = rank_in((size_t)int_attr(c, "rank"), E.cols);
    const int64_t *rows = labels(c, "tokens", n, E.rows);
    for (size_t i = 0; i <= tokens->axes; i++) shape.shape[shape.axes++] = i < tokens->axes ? tokens->shape[i] : 1;
    F(matrix) h = F(rows)(output(c, "h", 0, &shape, r));
    for (size_t i = 0; i < n; i++)
        for (size_t j = 0; j < r; j++) *F(element)(h, i, j) = *F(element)(E, (size_t)rows[i], j);
    F(add_product)(F(rows)(output(c, "y", 0, &shape, B.rows)), h, F(transposed)(F(first_cols)(B, r)));
}

static void F(nested_embedding_backward)(call *c)
{
    F(matrix) E = F(rows)(input(c, "E")), B = F(rows)(input(c, "B")), dy = F(rows)(input(c, "dy"));
    F(matrix) dE = F(rows)(output(c, "dE", 0, input(c, "E"), 0)), dB = F(rows)(output(c, "dB", 0, input(c, "B"), 0));
    size_t r = rank_in((size_t)int_attr(c, "rank"), E.cols);
    const int64_t *rows = labels(c, "tokens", dy.rows, E.rows);
    F(matrix) h = F(zeros)(dy.rows, r), dh = F(zeros)(dy.rows, r);
    F(add_product)(dh, dy, F(first_cols)(B, r));
    for (size_t i = 0; i < dy.rows; i++)
        for (size_t j = 0; j < r; j++) {
            *F(element)(h, i, j) = *F(element)(E, (size_t)rows[i], j);
            *F(element)(dE, (size_t)rows[i], j) += *F(element)(dh, i, j);
        }
    F(add_product)(F(first_cols)(dB, r), F(transposed)(dy), h);
}

/* --- norms: only layer norm subtracts the mean and has b -------------------------------------------------------- */

/* x_hat = (x - mean) scale, row by row; returns the scales. */
static real *F(normalise)(const call *c, F(matrix) x, F(matrix) x_hat)
{
    int centre = input_or_null(c, "b") != NULL;
    real *scales = take(x.rows, sizeof *scales), eps = (real)float_attr(c, "eps");
    for (size_t i = 0; i < x.rows; i++) {
        real mean = 0, square = 0;
        for (size_t j = 0; centre && j < x.cols; j++) mean += *F(element)(x, i, j) / x.cols;
        for (size_t j = 0; j < x.cols; j++) {
            real centred = *F(element)(x, i, j) - mean;
            square += centred * centred;
        }
        scales[i] = 1 / sqrt(square / x.cols + eps);
        for (size_t j = 0; j < x.cols; j++) *F(element)(x_hat, i, j) = (*F(element)(x, i, j) - mean) * scales[i];
    }
    return scales;
}

static const real *F(vector)(const call *c, const char *name, size_t n)
{
    tensor *t = input(c, name);
    if (count(t) != n) die("%s has %zu elements, expected %zu", name, count(t), n);
    return t->data;
}

static void F(layer_norm_forward)(call *c)
{
    tensor *x = input(c, "x");
    F(matrix) rows = F(rows)(x), x_hat = F(rows)(output(c, "x_hat", 0, x, 0)), y = F(rows)(output(c, "y", 0, x, 0));
    const real *w = F(vector)(c, "w", y.cols), *b = input_or_null(c, "b") ? F(vector)(c, "b", y.cols) : NULL;
    F(normalise)(c, rows, x_hat);
    for (size_t i = 0; i < y.rows; i++)
        for (size_t j = 0; j < y.cols; j++) *F(element)(y, i, j) = *F(element)(x_hat, i, j) * w[j] + (b ? b[j] : 0);
}

static void F(layer_norm_backward)(call *c)
{
    tensor *x = input(c, "x");
    F(matrix) rows = F(rows)(x), dy = F(rows)(input(c, "dy")), dx = F(rows)(output(c, "dx", 0, x, 0));
    F(matrix) x_hat = F(zeros)(rows.rows, rows.cols);
    int centre = input_or_null(c, "b") != NULL;
    const real *w = F(vector)(c, "w", rows.cols), *scales = F(normalise)(c, rows, x_hat);
    real *dw = output(c, "dw", 0, input(c, "w"), 0)->data;
    real *db = centre ? output(c, "db", 0, input(c, "b"), 0)->data : take(rows.cols, sizeof *db);
    if (dy.rows != dx.rows || dy.cols != dx.cols) die("dy has the wrong shape");
    for (size_t i = 0; i < dy.rows; i++) {
        real mean = 0, along = 0;
        for (size_t j = 0; j < dy.cols; j++) {
            real g = *F(element)(dy, i, j), v = *F(element)(x_hat, i, j);
            dw[j] += g * v;
            db[j] += g;
            mean += centre ? g * w[j] / dy.cols : 0;
            along += g * w[j] * v / dy.cols;
        }
        for (size_t j = 0; j < dy.cols; j++)
            *F(element)(dx, i, j) =
                scales[i] * (*F(element)(dy, i, j) * w[j] - mean - *F(element)(x_hat, i, j) * along);
    }
}

static void F(rms_norm_forward)(call *c)
{
    F(layer_norm_forward)(c);
}

static void F(rms_norm_backward)(call *c)
{
    F(layer_norm_backward)(c);
}

/* --- activations: the function, and its derivative if asked for ------------------------------------------------- */

static real F(logistic)(real z)
{
    return 1 / (1 + exp(-z)); /* exp overflows to infinity, and the quotient to zero */
}

static real F(activation)(const char *name, real z, int derivative)
{
    const real c = (real)sqrt(8 / PI), cubic = (real)0.044715;
    if (!strcmp(name, "relu")) return derivative ? z > 0 : z > 0 ? z : 0;
    if (!strcmp(name, "silu")) {
        real p = F(logistic)(z);
        return derivative ? p * (1 + z * F(logistic)(-z)) : z * p;
    }
    if (!strcmp(name, "gelu")) {
        real normal = erfc(-z * (real)sqrt(0.5)) / 2; /* no cancellation, unlike 1 + erf */
        return derivative ? normal + z * exp(-z * z / 2) * (real)sqrt(0.5 / PI) : z * normal;
    }
    if (strcmp(name, "gelu_tanh")) die("unknown activation %s", name);
    real w = c * (z + cubic * z * z * z), p = F(logistic)(w); /* (1 + tanh(w / 2)) / 2 */
    return derivative ? p * (1 + z * F(logistic)(-w) * c * (1 + 3 * cubic * z * z)) : z * p;
}

static void F(elementwise)(call *c, const char *name, int back)
{
    tensor *z = input(c, "z");
    real *from = z->data, *to = output(c, back ? "dz" : "y", 0, z, 0)->data;
    const real *dy = back ? F(vector)(c, "dy", count(z)) : NULL;
    for (size_t i = 0; i < count(z); i++) to[i] = (back ? dy[i] : 1) * F(activation)(name, from[i], back);
}

#define ELEMENTWISE(stem, name)                                                                                        \
    static void F(stem##_forward)(call *c) { F(elementwise)(c, name, 0); }                                             \
    static void F(stem##_backward)(call *c) { F(elementwise)(c, name, 1); }
ELEMENTWISE(relu, "relu")
ELEMENTWISE(silu, "silu")
ELEMENTWISE(gelu, is(c, "approximate", "tanh") ? "gelu_tanh" : "gelu")
#undef ELEMENTWISE
