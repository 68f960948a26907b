/* The operations in one number format. port.c includes this twice, with `real` double and float; F(name) is the name of a
   function or type of that format. Every intermediate is a `real`, and so is every sum. */

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

/* --- layers -------------------------------------------------------------------------------------------------------- */

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

static F(layer) F(nested_layer)(const call *c)
{
    return (F(layer)){.A = F(rows)(input(c, "A")), .B = F(rows)(input(c, "B")), .b = F(rows)(input(c, "b"))};
}

static void F(nested_linear_forward)(call *c)
{
    tensor *x = input(c, "x");
    F(layer) f = F(nested_layer)(c);
    size_t r = rank_in(int_attr(c, "rank"), f.A.rows);
    F(matrix) h = F(rows)(output(c, "h", 0, x, r));
    F(forward)(f, F(rows)(x), h, F(rows)(output(c, "y", 0, x, f.B.rows)));
}

static void F(multirank_linear_forward)(call *c)
{
    tensor *x = input(c, "x");
    F(layer) f = F(nested_layer)(c);
    size_t K, top = 0, *ranks = ranks_of(c, f.A.rows, &K);
    F(matrix) ys = F(rows)(output(c, "ys", K, x, f.B.rows)), rows = F(rows)(x), h;
    for (size_t k = 0; k < K; k++) {
        h = F(zeros)(rows.rows, ranks[k]);
        F(forward)(f, rows, h, F(view)(F(element)(ys, k * rows.rows, 0), rows.rows, ys.cols));
        if (ranks[k] > top) top = ranks[k];
    }
    F(add_product)(F(rows)(output(c, "h", 0, x, top)), rows, F(transposed)(F(first_rows)(f.A, top)));
}

static void F(multirank_linear_backward)(call *c) /* K cotangents, one after another */
{
    tensor *x = input(c, "x");
    F(layer) f = F(nested_layer)(c);
    size_t K, *ranks = ranks_of(c, f.A.rows, &K);
    F(matrix) dys = F(rows)(input(c, find(c->attrs, "ranks") ? "dys" : "dy")), rows = F(rows)(x);
    F(matrix) dx = F(rows)(output(c, "dx", 0, x, 0));
    F(layer) d = {.A = F(rows)(output(c, "dA", 0, input(c, "A"), 0)),
                  .B = F(rows)(output(c, "dB", 0, input(c, "B"), 0)),
                  .b = F(rows)(output(c, "db", 0, input(c, "b"), 0))};
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

/* --- objective ----------------------------------------------------------------------------------------------------- */

static real F(weight)(const call *c, real s)
{
    return is(c, "variant", "bounded") ? exp(-s) / 2 : exp(-s);
}

static real F(penalty)(const call *c, real s)
{
    if (is(c, "variant", "uncertainty")) return s;
    if (is(c, "variant", "classification")) return s / 2;
    return (s > 0 ? s : 0) + log1p(exp(-fabs(s))); /* ln(1 + exp(s)) */
}

static real F(slope)(const call *c, real s)
{
    if (is(c, "variant", "uncertainty")) return 1;
    if (is(c, "variant", "classification")) return (real)0.5;
    return 1 / (1 + exp(-s));
}

/* total = sum of w_k losses[k] + penalty(s_k), where s_k belongs to ranks[k]. */
static real F(objective)(const call *c, const real *losses, const real *s, const size_t *ranks, size_t K, real *w)
{
    real total = 0;
    for (size_t k = 0; k < K; k++) {
        w[k] = F(weight)(c, s[ranks[k] - 1]);
        total += w[k] * losses[k] + F(penalty)(c, s[ranks[k] - 1]);
    }
    return total;
}

static void F(objective_grads)(const call *c, const real *losses, const real *s, const size_t *ranks, size_t K,
                               real dtotal, real *dlosses, real *ds)
{
    for (size_t k = 0; k < K; k++) {
        real s_k = s[ranks[k] - 1], w = F(weight)(c, s_k);
        dlosses[k] = dtotal * w;
        ds[ranks[k] - 1] += dtotal * (F(slope)(c, s_k) - w * losses[k]);
    }
}

static void F(objective_forward)(call *c)
{
    tensor *losses = input(c, "losses"), *s = input(c, "s");
    size_t K, *ranks = ranks_of(c, count(s), &K);
    if (count(losses) != K) die("losses has %zu elements, expected %zu", count(losses), K);
    real *w = output(c, "w", 0, losses, 0)->data, *total = output(c, "total", 0, &scalar_shape, 0)->data;
    *total = F(objective)(c, losses->data, s->data, ranks, K, w);
}

static void F(objective_backward)(call *c)
{
    tensor *losses = input(c, "losses"), *s = input(c, "s");
    size_t K, *ranks = ranks_of(c, count(s), &K);
    if (count(losses) != K) die("losses has %zu elements, expected %zu", count(losses), K);
    real *dlosses = output(c, "dlosses", 0, losses, 0)->data, *ds = output(c, "ds", 0, s, 0)->data;
    F(objective_grads)(c, losses->data, s->data, ranks, K, *(real *)input(c, "dtotal")->data, dlosses, ds);
}

/* --- activations: the function, and its derivative if asked for ---------------------------------------------------- */

static real F(logistic)(real z)
{
    return 1 / (1 + exp(-z)); /* exp overflows to infinity, and the quotient to zero */
}

static real F(activation)(const char *name, real z, int derivative)
{
    const real c = (real)sqrt(8 / PI), cubic = (real)0.044715;
    if (!strcmp(name, "relu")) return derivative ? z > 0 : z > 0 ? z : 0;
    if (!strcmp(name, "gelu")) {
        real normal = erfc(-z * (real)sqrt(0.5)) / 2; /* no cancellation, unlike 1 + erf */
        return derivative ? normal + z * exp(-z * z / 2) * (real)sqrt(0.5 / PI) : z * normal;
    }
    if (strcmp(name, "gelu_tanh")) die("unknown activation %s", name);
    real w = c * (z + cubic * z * z * z), p = F(logistic)(w); /* (1 + tanh(w / 2)) / 2 */
    return derivative ? p * (1 + z * F(logistic)(-w) * c * (1 + 3 * cubic * z * z)) : z * p;
}

/* --- training step ------------------------------------------------------------------------------------------------- */

/* The mean loss of the rows of logits, and softmax(z) - one_hot(target), which is n times its gradient. */
static real F(cross_entropy)(F(matrix) z, const int64_t *targets, F(matrix) error)
{
    real sum_of_losses = 0;
    for (size_t i = 0; i < z.rows; i++) {
        real largest = *F(element)(z, i, 0), sum = 0;
        if (targets[i] < 0 || (size_t)targets[i] >= z.cols) die("target %lld", (long long)targets[i]);
        for (size_t j = 1; j < z.cols; j++) largest = fmax(largest, *F(element)(z, i, j));
        for (size_t j = 0; j < z.cols; j++) sum += *F(element)(error, i, j) = exp(*F(element)(z, i, j) - largest);
        for (size_t j = 0; j < z.cols; j++) *F(element)(error, i, j) /= sum;
        *F(element)(error, i, (size_t)targets[i]) -= 1;
        sum_of_losses += log(sum) - (*F(element)(z, i, (size_t)targets[i]) - largest);
    }
    return sum_of_losses / z.rows;
}

/* The parameter and its moments after step t; factors are computed in double and rounded once. */
static void F(adamw)(const call *c, size_t n, const real *p, const real *g, const real *m, const real *v, double decay,
                     real *next_p, real *next_m, real *next_v)
{
    double t = (double)int_attr(c, "t"), b1 = float_attr(c, "beta1"), b2 = float_attr(c, "beta2");
    double lr_in_double = float_attr(c, "lr");
    const real beta1 = b1, rest1 = 1 - b1, correction1 = 1 - pow(b1, t), lr = lr_in_double, eps = float_attr(c, "eps");
    const real beta2 = b2, rest2 = 1 - b2, correction2 = 1 - pow(b2, t), shrink = lr_in_double * decay;
    for (size_t i = 0; i < n; i++) {
        next_m[i] = beta1 * m[i] + rest1 * g[i];
        next_v[i] = beta2 * v[i] + rest2 * g[i] * g[i];
        real direction = next_m[i] / correction1 / (sqrt(next_v[i] / correction2) + eps);
        next_p[i] = p[i] - shrink * p[i] - lr * direction;
    }
}

static F(layer) F(layer_of)(const call *c, const char *group, const char *prefix)
{
    F(layer) f = {.b = {.at = NULL}};
    const char *names[] = {"A", "B", "W", "b"};
    F(matrix) *places[] = {&f.A, &f.B, &f.W, &f.b};
    for (size_t i = 0; i < 4; i++) {
        char *key = take(strlen(prefix) + 2, 1);
        sprintf(key, "%s%s", prefix, names[i]);
        tensor *t = named(c, group, key);
        if (t) *places[i] = F(rows)(t);
    }
    if (!f.b.at || !(f.W.at || (f.A.at && f.B.at))) die("no parameters %s", prefix);
    return f;
}

/* One step of a two-layer network: forward at every rank, objective, backward, AdamW. */
static void F(mlp_step)(call *c)
{
    F(layer) first = F(layer_of)(c, "param", "layers.0."), second = F(layer_of)(c, "param", "layers.1.");
    const char *activation = text_attr(c, "activation");
    tensor *s = input(c, "param.s");
    F(matrix) x = F(rows)(input(c, "x"));
    size_t K, n = x.rows, C = second.A.at ? second.B.rows : second.W.rows, *ranks = ranks_of(c, count(s), &K);
    const int64_t *targets = labels(c, "targets", n);
    tensor shape_of_losses = {.axes = 1, .shape = {K}};
    for (tensor *t = c->inputs; t; t = t->next) { /* a gradient of zeros for each parameter */
        if (strncmp(t->name, "param.", 6)) continue;
        char *name = take(strlen(t->name), 1);
        sprintf(name, "grad.%s", t->name + 6);
        output(c, name, 0, t, 0);
    }
    call grads = {.inputs = c->outputs};
    F(layer) dfirst = F(layer_of)(&grads, "grad", "layers.0."), dsecond = F(layer_of)(&grads, "grad", "layers.1.");
    real *ds = named(&grads, "grad", "s")->data;

    F(matrix) logits = F(rows)(output(c, "logits", K, &(tensor){.axes = 2, .shape = {n, C}}, 0));
    real *losses = output(c, "losses", 0, &shape_of_losses, 0)->data, *w = take(K, sizeof *w);
    real *dlosses = take(K, sizeof *dlosses);
    F(matrix) *h0 = take(K, sizeof *h0), *z = take(K, sizeof *z), *a = take(K, sizeof *a), *h1 = take(K, sizeof *h1);
    F(matrix) *error = take(K, sizeof *error);
    for (size_t k = 0; k < K; k++) {
        h0[k] = F(zeros)(n, ranks[k]);
        h1[k] = F(zeros)(n, ranks[k]);
        z[k] = F(zeros)(n, first.B.rows);
        a[k] = F(zeros)(n, first.B.rows);
        error[k] = F(zeros)(n, C);
        F(forward)(first, x, h0[k], z[k]);
        for (size_t i = 0; i < n * z[k].cols; i++) a[k].at[i] = F(activation)(activation, z[k].at[i], 0);
        F(matrix) own = F(view)(F(element)(logits, k * n, 0), n, C);
        F(forward)(second, a[k], h1[k], own);
        losses[k] = F(cross_entropy)(own, targets, error[k]);
    }
    *(real *)output(c, "total", 0, &scalar_shape, 0)->data = F(objective)(c, losses, s->data, ranks, K, w);
    F(objective_grads)(c, losses, s->data, ranks, K, 1, dlosses, ds);
    for (size_t k = 0; k < K; k++) {
        F(matrix) da = F(zeros)(n, first.B.rows), dx = F(zeros)(n, x.cols);
        for (size_t i = 0; i < n * C; i++) error[k].at[i] *= dlosses[k] / n;
        F(backward)(second, a[k], h1[k], error[k], dsecond, da);
        for (size_t i = 0; i < n * da.cols; i++) da.at[i] *= F(activation)(activation, z[k].at[i], 1);
        F(backward)(first, x, h0[k], da, dfirst, dx);
    }
    for (tensor *g = grads.inputs; g; g = g->next) {
        const char *key = g->name + 5, *groups[] = {"param", "m", "v"};
        real *old[3], *next[3];
        for (size_t i = 0; i < 3; i++) {
            tensor *t = named(c, groups[i], key);
            if (!t || count(t) != count(g)) die("no %s of %s", groups[i], key);
            old[i] = t->data;
            next[i] = output(c, t->name, 0, t, 0)->data;
        }
        double decay = strcmp(key, "s") ? float_attr(c, "weight_decay") : 0;
        F(adamw)(c, count(g), old[0], g->data, old[1], old[2], decay, next[0], next[1], next[2]);
    }
}
