// Backward passes, the objective over the sampled ranks, AdamW: what a training step needs beyond nsn.mjs.

import { ACTIVATIONS, addProduct, dense, firstCols, firstRows, logistic, logSum, map, nestedLinear } from "./nsn.mjs";
import { product, rows, scalar, transposed, zeros } from "./nsn.mjs";

/** Add the sum of the rows of dy to db. */
function addSumOfRows(db, dy) {
  for (let i = 0; i < dy.data.length; i++) db.data[i % db.data.length] += dy.data[i];
}

/** Add the gradients of a nested layer to dA, dB, db, and return dx; those of unused components stay as they are. */
export function nestedLinearBackward(x, A, B, h, dy, { dA, dB, db }) {
  const r = h.shape.at(-1);
  const dh = product(x, h.shape, rows(dy), firstCols(rows(B), r));
  addProduct(firstCols(rows(dB), r), transposed(rows(dy)), rows(h));
  addProduct(firstRows(rows(dA), r), transposed(rows(dh)), rows(x));
  addSumOfRows(db, dy);
  return product(x, x.shape, rows(dh), firstRows(rows(A), r));
}

/** The same for a dense layer. */
export function denseBackward(x, W, dy, { dW, db }) {
  addProduct(rows(dW), transposed(rows(dy)), rows(x));
  addSumOfRows(db, dy);
  return product(x, x.shape, rows(dy), rows(W));
}

/** The mean of -ln softmax(z)[target] over the rows, and softmax(z) - one_hot(target), which is n times its gradient. */
export function crossEntropy(z, targets) {
  const [n, C] = z.shape;
  const error = zeros(z, n, C);
  let loss = 0;
  for (let i = 0; i < n; i++) {
    const row = z.data.subarray(i * C, (i + 1) * C);
    const [log, largest] = logSum(row);
    loss += log - (row[targets.data[i]] - largest);
    for (let j = 0; j < C; j++) {
      error.data[i * C + j] = Math.exp(row[j] - largest - log) - (j === targets.data[i] ? 1 : 0);
    }
  }
  return { loss: loss / n, error };
}

// --- objective ---

const HALF_IF_BOUNDED = { uncertainty: 1, classification: 1, bounded: 0.5 };
const PENALTY = {
  uncertainty: [(s) => s, () => 1],
  classification: [(s) => s / 2, () => 0.5],
  bounded: [(s) => Math.max(s, 0) + Math.log1p(Math.exp(-Math.abs(s))), logistic], // ln(1 + exp(s))
};

const weight = (s, variant) => HALF_IF_BOUNDED[variant] * Math.exp(-s);

/** total = sum of w_k losses[k] + penalty(s_k), where s_k belongs to ranks[k], and the weights w. */
export function objective(losses, s, { ranks, variant }) {
  const w = zeros(losses, ranks.length);
  let total = 0;
  ranks.forEach((rank, k) => {
    const s_k = s.data[rank - 1];
    w.data[k] = weight(s_k, variant);
    total += weight(s_k, variant) * losses.data[k] + PENALTY[variant][0](s_k);
  });
  return { total: scalar(losses, total), w };
}

export function objectiveBackward(losses, s, dtotal, { ranks, variant }) {
  const [dlosses, ds] = [zeros(losses, ranks.length), zeros(s, ...s.shape)];
  ranks.forEach((rank, k) => {
    const w = weight(s.data[rank - 1], variant);
    dlosses.data[k] = dtotal * w;
    ds.data[rank - 1] += dtotal * (PENALTY[variant][1](s.data[rank - 1]) - w * losses.data[k]);
  });
  return { dlosses, ds };
}

// --- training step ---

/** The parameter and its moments after step t. */
export function adamw(p, g, m, v, decay, { t, lr, beta1, beta2, eps }) {
  const out = { param: zeros(p, ...p.shape), m: zeros(p, ...p.shape), v: zeros(p, ...p.shape) };
  for (let i = 0; i < p.data.length; i++) {
    const m_i = beta1 * m.data[i] + (1 - beta1) * g.data[i];
    const v_i = beta2 * v.data[i] + (1 - beta2) * g.data[i] * g.data[i];
    const step = m_i / (1 - beta1 ** t) / (Math.sqrt(v_i / (1 - beta2 ** t)) + eps);
    out.param.data[i] = p.data[i] - lr * decay * p.data[i] - lr * step;
    out.m.data[i] = m_i;
    out.v.data[i] = v_i;
  }
  return out;
}

/** One step of a two-layer network: forward at every rank, objective, backward, AdamW. */
export function mlpStep(t, attrs) {
  const P = Object.fromEntries(
    Object.keys(t).filter((name) => name.startsWith("param.")).map((name) => [name.slice("param.".length), t[name]]),
  );
  const layers = [0, 1].map((k) => Object.fromEntries(["A", "B", "W", "b"].map((n) => [n, P[`layers.${k}.${n}`]])));
  const [f, derivative] = ACTIVATIONS[attrs.activation];
  const C = P["layers.1.b"].shape[0];
  const n = t.x.shape[0];
  const kept = attrs.ranks.map((rank) => {
    const { y: z, h: h0 } = nestedLinear(t.x, layers[0].A, layers[0].B, layers[0].b, rank);
    const a = map(z, f);
    const { y: logits, h: h1 } = layers[1].W
      ? { y: dense(a, layers[1].W, layers[1].b) }
      : nestedLinear(a, layers[1].A, layers[1].B, layers[1].b, rank);
    return { z, h0, a, h1, logits, ...crossEntropy(logits, t.targets) };
  });
  const losses = zeros(t.x, attrs.ranks.length);
  losses.data.set(kept.map((k) => k.loss));
  const { dlosses, ds } = objectiveBackward(losses, P.s, 1, attrs);
  const grads = Object.fromEntries(Object.keys(P).map((key) => [key, zeros(P[key], ...P[key].shape)]));
  grads.s = ds;
  const of = (k) => Object.fromEntries(["A", "B", "W", "b"].map((name) => [`d${name}`, grads[`layers.${k}.${name}`]]));
  kept.forEach(({ z, h0, a, h1, error }, k) => {
    const dlogits = map(error, (e) => (e * dlosses.data[k]) / n);
    const da = layers[1].W
      ? denseBackward(a, layers[1].W, dlogits, of(1))
      : nestedLinearBackward(a, layers[1].A, layers[1].B, h1, dlogits, of(1));
    const dz = { shape: da.shape, data: da.data.map((d, i) => d * derivative(z.data[i])) };
    nestedLinearBackward(t.x, layers[0].A, layers[0].B, h0, dz, of(0));
  });
  const logits = zeros(t.x, attrs.ranks.length, n, C);
  kept.forEach((k, i) => logits.data.set(k.logits.data, i * n * C));
  const out = { logits, losses, total: objective(losses, P.s, attrs).total };
  for (const [key, g] of Object.entries(grads)) {
    const decay = key === "s" ? 0 : attrs.weight_decay;
    const next = adamw(P[key], g, t[`m.${key}`], t[`v.${key}`], decay, attrs);
    Object.assign(out, { [`grad.${key}`]: g });
    for (const prefix of ["param", "m", "v"]) out[`${prefix}.${key}`] = next[prefix];
  }
  return out;
}
