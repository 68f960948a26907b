/* Losses; what turns the losses of K ranks into one total; regularisers; optimiser steps. See layers.h. */

static real *F(number)(call *c, const char *name) /* a new scalar output */
{
    return output_of(c, name, 0, NULL)->data;
}

static real F(scalar)(const call *c, const char *name)
{
    return *F(vector)(c, name, 1);
}

static real F(sum)(size_t n, const real *values)
{
    real sum = 0;
    for (size_t i = 0; i < n; i++) sum += values[i];
    return sum;
}

/* ln softmax(z / T) of one row of C numbers. */
static void F(log_softmax)(const real *z, size_t C, real T, real *out)
{
    real largest = -(real)INFINITY, sum = 0;
    for (size_t j = 0; j < C; j++) largest = fmax(largest, z[j] / T);
    for (size_t j = 0; j < C; j++) sum += exp(z[j] / T - largest);
    for (size_t j = 0; j < C; j++) out[j] = z[j] / T - largest - log(sum);
}

static int F(takes_mean)(const call *c)
{
    return is(c, "reduction", "mean");
}

/* --- softmax cross-entropy -------------------------------------------------------------------------------------- */

/* Target probabilities of the rows, zero where they do not count; returns how many rows count. */
static size_t F(target_rows)(const call *c, F(matrix) z, F(matrix) t)
{
    int soft = is(c, "targets", "soft");
    const real *given = soft ? F(vector)(c, "targets", z.rows * z.cols) : NULL;
    const int64_t *label = soft ? NULL : labels(c, "targets", z.rows, 0);
    const real smoothing = (real)float_attr(c, "label_smoothing");
    size_t counted = 0;
    for (size_t i = 0; i < z.rows; i++) {
        if (!soft && label[i] == int_attr(c, "ignore_index")) continue;
        if (!soft && (label[i] < 0 || (uint64_t)label[i] >= z.cols)) die("label %lld", (long long)label[i]);
        counted++;
        for (size_t j = 0; j < z.cols; j++) {
            real own = soft ? given[i * z.cols + j] : (size_t)label[i] == j;
            *F(element)(t, i, j) = (1 - smoothing) * own + smoothing / z.cols;
        }
    }
    return F(takes_mean)(c) ? counted : 1;
}

static void F(softmax_cross_entropy_forward)(call *c)
{
    tensor *logits = input(c, "z");
    F(matrix) z = F(rows)(logits), p = F(rows)(output(c, "p", 0, logits, 0)), t = F(zeros)(z.rows, z.cols);
    size_t n = F(target_rows)(c, z, t);
    real sum = 0;
    for (size_t i = 0; i < z.rows; i++) {
        real *row = F(element)(p, i, 0), *target = F(element)(t, i, 0);
        F(log_softmax)(F(element)(z, i, 0), z.cols, 1, row);
        for (size_t j = 0; j < z.cols; j++) {
            if (target[j] != 0) sum -= target[j] * row[j]; /* 0 times infinity is 0 here */
            row[j] = exp(row[j]);
        }
    }
    *F(number)(c, "loss") = sum / n;
}

static void F(softmax_cross_entropy_backward)(call *c)
{
    tensor *logits = input(c, "z");
    F(matrix) z = F(rows)(logits), dz = F(rows)(output(c, "dz", 0, logits, 0)), t = F(zeros)(z.rows, z.cols);
    real g = F(scalar)(c, "dloss") / F(target_rows)(c, z, t);
    for (size_t i = 0; i < z.rows; i++) {
        real *row = F(element)(dz, i, 0), *target = F(element)(t, i, 0), total = F(sum)(z.cols, target);
        F(log_softmax)(F(element)(z, i, 0), z.cols, 1, row);
        for (size_t j = 0; j < z.cols; j++) row[j] = g * (exp(row[j]) * total - target[j]);
    }
}

/* --- other losses ----------------------------------------------------------------------------------------------- */

static void F(mean_squared_error_forward)(call *c)
{
    size_t n = count(input(c, "y"));
    const real *y = F(vector)(c, "y", n), *t = F(vector)(c, "targets", n);
    real sum = 0;
    for (size_t i = 0; i < n; i++) sum += (y[i] - t[i]) * (y[i] - t[i]);
    *F(number)(c, "loss") = sum / (F(takes_mean)(c) ? n : 1);
}

static void F(mean_squared_error_backward)(call *c)
{
    size_t n = count(input(c, "y"));
    const real *y = F(vector)(c, "y", n), *t = F(vector)(c, "targets", n);
    real g = 2 * F(scalar)(c, "dloss") / (F(takes_mean)(c) ? n : 1), *dy = output(c, "dy", 0, input(c, "y"), 0)->data;
    for (size_t i = 0; i < n; i++) dy[i] = g * (y[i] - t[i]);
}

static void F(kl_distillation_forward)(call *c)
{
    tensor *z = input(c, "z"), *teacher = input(c, "teacher_z");
    F(matrix) student_rows = F(rows)(z), teacher_rows = F(view)(teacher->data, student_rows.rows, student_rows.cols);
    F(matrix) p = F(rows)(output(c, "p", 0, z, 0)), q = F(rows)(output(c, "q", 0, z, 0));
    const real T = (real)float_attr(c, "temperature");
    real sum = 0;
    if (count(z) != count(teacher)) die("teacher_z has the wrong shape");
    for (size_t i = 0; i < p.rows; i++) {
        real *log_p = F(element)(p, i, 0), *log_q = F(element)(q, i, 0);
        F(log_softmax)(F(element)(student_rows, i, 0), p.cols, T, log_p);
        F(log_softmax)(F(element)(teacher_rows, i, 0), p.cols, T, log_q);
        for (size_t j = 0; j < p.cols; j++) {
            sum += exp(log_q[j]) * (log_q[j] - log_p[j]);
            log_p[j] = exp(log_p[j]);
            log_q[j] = exp(log_q[j]);
        }
    }
    *F(number)(c, "loss") = sum * T * T / (F(takes_mean)(c) ? p.rows : 1);
}

static void F(kl_distillation_backward)(call *c)
{
    tensor *z = input(c, "z"), *teacher = input(c, "teacher_z");
    F(matrix) student_rows = F(rows)(z), teacher_rows = F(view)(teacher->data, student_rows.rows, student_rows.cols);
    F(matrix) dz = F(rows)(output(c, "dz", 0, z, 0)), dteacher = F(rows)(output(c, "dteacher_z", 0, teacher, 0));
    const real T = (real)float_attr(c, "temperature");
    real scale = F(scalar)(c, "dloss") * T / (F(takes_mean)(c) ? dz.rows : 1);
    if (count(z) != count(teacher)) die("teacher_z has the wrong shape");
    for (size_t i = 0; i < dz.rows; i++) {
        real *log_p = F(element)(dz, i, 0), *log_q = F(element)(dteacher, i, 0), divergence = 0;
        F(log_softmax)(F(element)(student_rows, i, 0), dz.cols, T, log_p);
        F(log_softmax)(F(element)(teacher_rows, i, 0), dz.cols, T, log_q);
        for (size_t j = 0; j < dz.cols; j++) divergence += exp(log_q[j]) * (log_q[j] - log_p[j]);
        for (size_t j = 0; j < dz.cols; j++) {
            real p = exp(log_p[j]), q = exp(log_q[j]), ratio = log_q[j] - log_p[j];
            log_p[j] = scale * (p - q);
            log_q[j] = scale * q * (ratio - divergence);
        }
    }
}

/* --- over the ranks: s, weights and the like are indexed by rank ------------------------------------------------ */

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
    return is(c, "variant", "classification") ? (real)0.5 : F(logistic)(s);
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
    tensor *s = input(c, "s");
    size_t K, *ranks = ranks_of(c, count(s), &K);
    const real *losses = F(vector)(c, "losses", K);
    real *w = output(c, "w", 0, input(c, "losses"), 0)->data;
    *F(number)(c, "total") = F(objective)(c, losses, s->data, ranks, K, w);
}

static void F(objective_backward)(call *c)
{
    tensor *s = input(c, "s");
    size_t K, *ranks = ranks_of(c, count(s), &K);
    const real *losses = F(vector)(c, "losses", K);
    real *dlosses = output(c, "dlosses", 0, input(c, "losses"), 0)->data, *ds = output(c, "ds", 0, s, 0)->data;
    F(objective_grads)(c, losses, s->data, ranks, K, F(scalar)(c, "dtotal"), dlosses, ds);
}

static void F(weighted_sum_forward)(call *c)
{
    tensor *weights = input(c, "weights");
    size_t K, *ranks = ranks_of(c, count(weights), &K);
    const real *w = weights->data, *losses = F(vector)(c, "losses", K);
    real *total = F(number)(c, "total");
    for (size_t k = 0; k < K; k++) *total += w[ranks[k] - 1] * losses[k];
}

static void F(weighted_sum_backward)(call *c)
{
    tensor *weights = input(c, "weights");
    size_t K, *ranks = ranks_of(c, count(weights), &K);
    const real *w = weights->data, *losses = F(vector)(c, "losses", K);
    real *dlosses = output(c, "dlosses", 0, input(c, "losses"), 0)->data, dtotal = F(scalar)(c, "dtotal");
    real *dweights = output(c, "dweights", 0, weights, 0)->data;
    for (size_t k = 0; k < K; k++) {
        dlosses[k] = w[ranks[k] - 1] * dtotal;
        dweights[ranks[k] - 1] += losses[k] * dtotal;
    }
}

/* Weights of all R ranks, from one value for each listed rank; the last one if a rank is listed twice. */
static void F(put_by_rank)(call *c, const real *values)
{
    size_t R = (size_t)int_attr(c, "R"), K, *ranks = ranks_of(c, R, &K);
    real *weights = output_of(c, "weights", 1, &R)->data;
    for (size_t k = 0; k < K; k++) weights[ranks[k] - 1] = values[k];
}

/* 1 / losses[k], one for each listed rank. */
static real *F(inverse_losses)(const call *c, size_t *K)
{
    sizes_attr(c, "ranks", "rank", K);
    const real *losses = F(vector)(c, "losses", *K);
    real *inverse = take(*K, sizeof *inverse);
    for (size_t k = 0; k < *K; k++) inverse[k] = 1 / losses[k];
    return inverse;
}

static void F(analytic_weights)(call *c)
{
    size_t K;
    F(put_by_rank)(c, F(inverse_losses)(c, &K));
}

static void F(softmax_weights)(call *c)
{
    size_t K;
    real *w = F(inverse_losses)(c, &K);
    F(log_softmax)(w, K, (real)float_attr(c, "temperature"), w);
    for (size_t k = 0; k < K; k++) w[k] = exp(w[k]);
    F(put_by_rank)(c, w);
}

static void F(gradnorm_targets)(call *c)
{
    tensor *losses = input(c, "losses");
    size_t K = count(losses);
    const real *now = losses->data, *first = F(vector)(c, "first_losses", K);
    const real *w = F(vector)(c, "weights", K), *norms = F(vector)(c, "norms", K), alpha = (real)float_attr(c, "alpha");
    real *targets = output(c, "targets", 0, losses, 0)->data, mean_rate = 0, mean_norm = 0;
    for (size_t k = 0; k < K; k++) {
        mean_rate += now[k] / first[k] / K;
        mean_norm += w[k] * norms[k] / K;
    }
    for (size_t k = 0; k < K; k++) targets[k] = mean_norm * pow(now[k] / first[k] / mean_rate, alpha);
}

static void F(gradnorm_forward)(call *c)
{
    size_t K = count(input(c, "weights"));
    const real *w = F(vector)(c, "weights", K), *norms = F(vector)(c, "norms", K), *t = F(vector)(c, "targets", K);
    real *distance = F(number)(c, "distance");
    for (size_t k = 0; k < K; k++) *distance += fabs(w[k] * norms[k] - t[k]);
}

static void F(gradnorm_backward)(call *c)
{
    size_t K = count(input(c, "weights"));
    const real *w = F(vector)(c, "weights", K), *norms = F(vector)(c, "norms", K), *t = F(vector)(c, "targets", K);
    real *dweights = output(c, "dweights", 0, input(c, "weights"), 0)->data, g = F(scalar)(c, "ddistance");
    for (size_t k = 0; k < K; k++) {
        real difference = w[k] * norms[k] - t[k];
        dweights[k] = g * norms[k] * ((difference > 0) - (difference < 0));
    }
}

static void F(renormalised)(call *c)
{
    tensor *weights = input(c, "weights");
    size_t K = count(weights);
    const real *w = weights->data, scale = K / F(sum)(K, w);
    real *scaled = output(c, "scaled", 0, weights, 0)->data;
    for (size_t k = 0; k < K; k++) scaled[k] = w[k] * scale;
}

/* --- regularisers ----------------------------------------------------------------------------------------------- */

/* Overlaps of the rows of a with those of b, less 1 for each row with itself if they are the same. */
static F(matrix) F(overlaps)(F(matrix) a, F(matrix) b, int same)
{
    F(matrix) out = F(zeros)(a.rows, b.rows);
    F(add_product)(out, a, F(transposed)(b));
    for (size_t i = 0; same && i < a.rows; i++) *F(element)(out, i, i) -= 1;
    return out;
}

static real F(sum_of_squares)(F(matrix) a) /* contiguous */
{
    real sum = 0;
    for (size_t i = 0; i < a.rows * a.cols; i++) sum += a.at[i] * a.at[i];
    return sum;
}

static void F(scale)(F(matrix) a, real by) /* contiguous */
{
    for (size_t i = 0; i < a.rows * a.cols; i++) a.at[i] *= by;
}

static void F(hard_orthogonality_forward)(call *c)
{
    F(matrix) A = F(rows)(input(c, "A"));
    *F(number)(c, "penalty") = F(sum_of_squares)(F(overlaps)(A, A, 1));
}

static void F(hard_orthogonality_backward)(call *c)
{
    F(matrix) A = F(rows)(input(c, "A")), G = F(overlaps)(A, A, 1);
    F(scale)(G, 4 * F(scalar)(c, "dpenalty"));
    F(add_product)(F(rows)(output(c, "dA", 0, input(c, "A"), 0)), G, A);
}

/* Rows 1..rank of A, and rank + 1..anchor. */
static void F(parts)(const call *c, F(matrix) A, F(matrix) *first, F(matrix) *rest)
{
    size_t anchor = rank_in((size_t)int_attr(c, "anchor"), A.rows), rank = rank_in((size_t)int_attr(c, "rank"), anchor);
    *first = F(first_rows)(A, rank);
    *rest = F(view)(F(element)(A, rank, 0), anchor - rank, A.cols);
}

static void F(residual_orthogonality_forward)(call *c)
{
    F(matrix) first, rest;
    F(parts)(c, F(rows)(input(c, "A")), &first, &rest);
    *F(number)(c, "penalty") = F(sum_of_squares)(F(overlaps)(first, rest, 0));
}

static void F(residual_orthogonality_backward)(call *c)
{
    F(matrix) first, rest, dfirst, drest;
    F(parts)(c, F(rows)(input(c, "A")), &first, &rest);
    F(parts)(c, F(rows)(output(c, "dA", 0, input(c, "A"), 0)), &dfirst, &drest);
    F(matrix) G = F(overlaps)(first, rest, 0);
    F(scale)(G, 2 * F(scalar)(c, "dpenalty"));
    F(add_product)(dfirst, G, rest);
    F(add_product)(drest, F(transposed)(G), first);
}

/* Squared distance of an anchor's tensor from a variant's, over the number of rows; or its gradients. */
static void F(distance)(call *c, const char *anchor, const char *variant, const char *danchor, const char *dvariant)
{
    tensor *a = input(c, anchor);
    size_t n = count(a), rows = F(rows)(a).rows;
    const real *from = a->data, *to = F(vector)(c, variant, n);
    if (!danchor) {
        real sum = 0;
        for (size_t i = 0; i < n; i++) sum += (from[i] - to[i]) * (from[i] - to[i]);
        *F(number)(c, "penalty") = sum / rows;
        return;
    }
    real *da = output(c, danchor, 0, a, 0)->data, *dv = output(c, dvariant, 0, a, 0)->data;
    real g = 2 * F(scalar)(c, "dpenalty") / rows;
    for (size_t i = 0; i < n; i++) {
        dv[i] = -g * (from[i] - to[i]);
        if (!bool_attr(c, "stop_anchor")) da[i] = -dv[i];
    }
}

static void F(logits_regularisation_forward)(call *c)
{
    F(distance)(c, "z_anchor", "z_variant", NULL, NULL);
}

static void F(logits_regularisation_backward)(call *c)
{
    F(distance)(c, "z_anchor", "z_variant", "dz_anchor", "dz_variant");
}

static void F(hidden_regularisation_forward)(call *c)
{
    F(distance)(c, "h_anchor", "h_variant", NULL, NULL);
}

static void F(hidden_regularisation_backward)(call *c)
{
    F(distance)(c, "h_anchor", "h_variant", "dh_anchor", "dh_variant");
}

/* --- optimisers ------------------------------------------------------------------------------------------------- */

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

static void F(adamw_step)(call *c)
{
    tensor *p = input(c, "p");
    size_t n = count(p);
    const real *g = F(vector)(c, "g", n), *m = F(vector)(c, "m", n), *v = F(vector)(c, "v", n);
    real *next_m = output(c, "m", 0, p, 0)->data, *next_v = output(c, "v", 0, p, 0)->data;
    F(adamw)(c, n, p->data, g, m, v, float_attr(c, "weight_decay"), output(c, "p", 0, p, 0)->data, next_m, next_v);
}

static void F(sgd_step)(call *c)
{
    tensor *p = input(c, "p");
    size_t n = count(p);
    const real *old = p->data, *g = F(vector)(c, "g", n), *m = F(vector)(c, "m", n);
    const real lr = float_attr(c, "lr"), momentum = float_attr(c, "momentum"), decay = float_attr(c, "weight_decay");
    real *next_p = output(c, "p", 0, p, 0)->data, *next_m = output(c, "m", 0, p, 0)->data;
    for (size_t i = 0; i < n; i++) {
        next_m[i] = momentum * m[i] + (g[i] + decay * old[i]);
        next_p[i] = old[i] - lr * next_m[i];
    }
}
