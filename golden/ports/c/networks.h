/* Networks: forward at one rank, losses and gradients at K ranks, training steps. See layers.h. */

#ifndef MAX_LAYERS
#define MAX_LAYERS 16
#endif

/* Activations of n images of c channels; vectors are images of one pixel. */
typedef struct {
    size_t n, c, H, W;
    real *at;
} F(images);

static size_t F(numbers)(F(images) x)
{
    return x.n * x.c * x.H * x.W;
}

static F(images) F(blank)(size_t n, size_t c, size_t H, size_t W)
{
    return (F(images)){n, c, H, W, take(n * c * H * W, sizeof(real))};
}

typedef struct {
    size_t depth;
    F(layer) layers[MAX_LAYERS];
    size_t kernels[MAX_LAYERS]; /* height and width of a convolution's kernel; 0 for a linear layer */
    const char *activation;
} F(network);

/* One forward pass: the input x of each layer, its bottleneck h, its output z, and a = activation(z). */
typedef struct {
    size_t rank;
    F(images) x[MAX_LAYERS], z[MAX_LAYERS], a[MAX_LAYERS];
    real *h[MAX_LAYERS];
} F(pass);

/* The layers group.layers.0, group.layers.1, ... */
static F(network) F(network_of)(const call *c, const char *group)
{
    F(network) net = {.activation = c->attrs ? text_attr(c, "activation") : NULL};
    for (;; net.depth++) {
        char prefix[64];
        sprintf(prefix, "%.20s.layers.%zu.", group, net.depth);
        char *bias = take(strlen(prefix) + 2, 1);
        sprintf(bias, "%sb", prefix);
        if (!input_or_null(c, bias)) break;
        if (net.depth == MAX_LAYERS) die("too many layers");
        net.layers[net.depth] = F(layer_at)(c, prefix);
        sprintf(bias, "%sA", prefix);
        tensor *A = input_or_null(c, bias);
        net.kernels[net.depth] = A && A->axes == 4 ? A->shape[3] : 0;
    }
    if (!net.depth) die("no layers");
    return net;
}

static geometry F(same_size)(F(images) x, size_t k) /* padding keeps the image's size */
{
    size_t half = k / 2;
    return geometry_of((size_t[]){x.n, x.c, x.H, x.W}, (size_t[]){k, k}, (size_t[]){1, 1}, (size_t[]){half, half});
}

/* The window of the pool after convolution i: 2 x 2, or the whole image after the last one. */
static void F(window)(const F(network) *net, size_t i, F(images) a, size_t window[2])
{
    int global = i + 2 == net->depth;
    window[0] = global ? a.H : 2;
    window[1] = global ? a.W : 2;
    if (a.H % window[0] || a.W % window[1]) die("a pool does not tile its image");
}

static F(images) F(run)(const F(network) *net, F(images) x, F(pass) *pass)
{
    for (size_t i = 0; i < net->depth; i++) {
        F(layer) f = net->layers[i];
        size_t out = F(width)(f), r = f.A.at ? pass->rank : 0;
        if (f.A.at) rank_in(r, f.A.rows);
        pass->x[i] = x;
        pass->z[i] = F(blank)(x.n, out, x.H, x.W);
        pass->h[i] = take(x.n * r * x.H * x.W, sizeof(real));
        if (net->kernels[i]) {
            geometry g = F(same_size)(x, net->kernels[i]);
            if (g.H_out != x.H || g.W_out != x.W) die("a convolution changes the size of the image");
            F(convolve)(f, g, x.at, r, pass->h[i], pass->z[i].at);
        } else {
            if (x.H != 1 || x.W != 1) die("a linear layer on images");
            F(forward)(f, F(view)(x.at, x.n, x.c), F(view)(pass->h[i], x.n, r), F(view)(pass->z[i].at, x.n, out));
        }
        if (i + 1 == net->depth) break;
        F(images) a = pass->a[i] = F(blank)(x.n, out, x.H, x.W);
        for (size_t k = 0; k < F(numbers)(a); k++) a.at[k] = F(activation)(net->activation, pass->z[i].at[k], 0);
        x = a;
        if (net->kernels[i]) {
            size_t window[2];
            F(window)(net, i, a, window);
            x = F(blank)(a.n, a.c, a.H / window[0], a.W / window[1]);
            F(pool)(a.n * a.c, a.H, a.W, window, a.at, x.at, 0);
        }
    }
    return pass->z[net->depth - 1];
}

/* Add the gradients of the layers to d. */
static void F(run_back)(const F(network) *net, const F(pass) *pass, F(images) dz, F(network) *d)
{
    for (size_t i = net->depth; i-- > 0;) {
        F(layer) f = net->layers[i];
        F(images) x = pass->x[i], dx = F(blank)(x.n, x.c, x.H, x.W);
        size_t r = f.A.at ? pass->rank : 0;
        if (net->kernels[i]) {
            F(convolve_back)(f, F(same_size)(x, net->kernels[i]), x.at, r, pass->h[i], dz.at, d->layers[i], dx.at);
        } else {
            F(matrix) h = F(view)(pass->h[i], x.n, r), dy = F(view)(dz.at, dz.n, dz.c);
            F(backward)(f, F(view)(x.at, x.n, x.c), h, dy, d->layers[i], F(view)(dx.at, x.n, x.c));
        }
        if (!i) break;
        F(images) a = pass->a[i - 1], da = dx;
        if (net->kernels[i - 1]) {
            size_t window[2];
            F(window)(net, i - 1, a, window);
            da = F(blank)(a.n, a.c, a.H, a.W);
            F(pool)(a.n * a.c, a.H, a.W, window, da.at, dx.at, 1);
        }
        dz = F(blank)(a.n, a.c, a.H, a.W);
        for (size_t k = 0; k < F(numbers)(a); k++)
            dz.at[k] = da.at[k] * F(activation)(net->activation, pass->z[i - 1].at[k], 1);
    }
}

/* Round numbers as the output of that name is: what is returned is what the next stage gets. */
static void F(store)(const call *c, const char *name, size_t n, real *x)
{
    const char *dtype = stored_as(c, name);
    if (item_size(dtype) == 2) unpack(dtype, n, packed(dtype, n, x), x);
}

static F(images) F(batch)(const call *c)
{
    tensor *x = input(c, "x");
    if (x->axes != 2 && x->axes != 4) die("x has %zu axes", x->axes);
    size_t H = x->axes == 4 ? x->shape[2] : 1, W = x->axes == 4 ? x->shape[3] : 1;
    return (F(images)){x->shape[0], x->shape[1], H, W, x->data};
}

static void F(mlp_forward)(call *c)
{
    F(network) net = F(network_of)(c, "param");
    F(pass) pass = {.rank = (size_t)int_attr(c, "rank")};
    F(images) z = F(run)(&net, F(batch)(c), &pass);
    memcpy(output_of(c, "logits", 2, (size_t[]){z.n, z.c})->data, z.at, F(numbers)(z) * sizeof(real));
}

/* The mean loss of the rows of logits; they become softmax(z) - one_hot(target), n times the gradient. */
static real F(mean_loss)(F(images) z, const int64_t *targets)
{
    real sum = 0;
    for (size_t i = 0; i < z.n; i++) {
        real *row = z.at + i * z.c;
        F(log_softmax)(row, z.c, 1, row);
        sum -= row[targets[i]];
        for (size_t j = 0; j < z.c; j++) row[j] = exp(row[j]);
        row[targets[i]] -= 1;
    }
    return sum / z.n;
}

/* Losses at K ranks, the objective, and its gradients. */
static void F(mlp_loss_and_grads)(call *c)
{
    F(network) net = F(network_of)(c, "param");
    F(images) x = F(batch)(c);
    tensor *s = input(c, "param.s");
    size_t K, classes = F(width)(net.layers[net.depth - 1]), *ranks = ranks_of(c, count(s), &K);
    const int64_t *targets = labels(c, "targets", x.n, classes);
    for (tensor *t = c->inputs; t; t = t->next) /* a gradient of zeros for each parameter */
        if (!strncmp(t->name, "param.", 6)) output(c, joined("grad", t->name + 6), 0, t, 0);
    call grads = {.inputs = c->outputs, .longest = c->longest};
    F(network) d = F(network_of)(&grads, "grad");
    real *logits = output_of(c, "logits", 3, (size_t[]){K, x.n, classes})->data, *losses, *w;
    losses = output_of(c, "losses", 1, &K)->data;
    w = output_of(c, "w", 1, &K)->data;
    F(pass) *passes = take(K, sizeof *passes);
    for (size_t k = 0; k < K; k++) {
        passes[k].rank = ranks[k];
        F(images) z = F(run)(&net, x, &passes[k]);
        F(store)(c, "logits", F(numbers)(z), z.at);
        memcpy(logits + k * x.n * classes, z.at, x.n * classes * sizeof(real));
        losses[k] = F(mean_loss)(z, targets);
    }
    F(store)(c, "losses", K, losses);
    real *dlosses = take(K, sizeof *dlosses);
    *F(number)(c, "total") = F(objective)(c, losses, s->data, ranks, K, w);
    F(objective_grads)(c, losses, s->data, ranks, K, 1, dlosses, input(&grads, "grad.s")->data);
    for (size_t k = 0; k < K; k++) {
        F(images) dz = passes[k].z[net.depth - 1];
        for (size_t i = 0; i < F(numbers)(dz); i++) dz.at[i] *= dlosses[k] / x.n;
        F(run_back)(&net, &passes[k], dz, &d);
    }
}

/* The same, then AdamW. */
static void F(mlp_step)(call *c)
{
    F(mlp_loss_and_grads)(c);
    for (tensor *g = c->outputs, *next; g; g = next) {
        next = g->next;
        if (strncmp(g->name, "grad.", 5)) continue;
        F(store)(c, g->name, count(g), g->data);
        const char *key = g->name + 5, *const groups[] = {"param", "m", "v"};
        real *new[3];
        const real *old[3];
        for (size_t i = 0; i < 3; i++) {
            const char *name = joined(groups[i], key);
            old[i] = F(vector)(c, name, count(g));
            new[i] = output(c, name, 0, input(c, name), 0)->data;
        }
        double decay = strcmp(key, "s") ? float_attr(c, "weight_decay") : 0;
        F(adamw)(c, count(g), old[0], g->data, old[1], old[2], decay, new[0], new[1], new[2]);
    }
}

static void F(convnet_step)(call *c)
{
    F(mlp_step)(c);
}
