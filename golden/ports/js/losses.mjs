// Losses; what turns the losses of K ranks into one total; regularisers; optimiser steps.

import { addProduct, logistic, logSum, map, product, rows, scalar, softmax, transposed, zeros } from "./nsn.mjs";

const sum = (values) => values.reduce((total, value) => total + value, 0);
const rowOf = (x, i) => x.data.subarray(i * x.shape.at(-1), (i + 1) * x.shape.at(-1));
const countRows = (x) => x.data.length / x.shape.at(-1);

// --- losses ---

/** Target probabilities of row i, or null where it does not count. */
function targetRow({ z, targets }, i, attrs) {
  const C = z.shape.at(-1);
  if (attrs.targets === "labels" && targets.data[i] === attrs.ignore_index) return null;
  const hard = Array.from({ length: C }, (_, c) => (c === targets.data[i] ? 1 : 0));
  const t = attrs.targets === "labels" ? hard : Array.from(rowOf(targets, i));
  return t.map((p) => (1 - attrs.label_smoothing) * p + attrs.label_smoothing / C);
}

const countedRows = (tensors, attrs) =>
  Array.from({ length: countRows(tensors.z) }, (_, i) => targetRow(tensors, i, attrs)).filter((row) => row).length;

export function crossEntropy(tensors, attrs) {
  const { z } = tensors;
  const p = zeros(z, ...z.shape);
  let loss = 0;
  for (let i = 0; i < countRows(z); i++) {
    const [row, t] = [rowOf(z, i), targetRow(tensors, i, attrs)];
    const [log, largest] = logSum(row);
    rowOf(p, i).set(softmax(row));
    if (t) loss += sum(t.map((tc, c) => tc && tc * (log - (row[c] - largest)))); // 0 times infinity is 0 here
  }
  return { p, loss: scalar(z, loss / (attrs.reduction === "mean" ? countedRows(tensors, attrs) : 1)) };
}

export function crossEntropyBackward(tensors, dloss, attrs) {
  const { z } = tensors;
  const dz = zeros(z, ...z.shape);
  const g = dloss / (attrs.reduction === "mean" ? countedRows(tensors, attrs) : 1);
  for (let i = 0; i < countRows(z); i++) {
    const [p, t] = [softmax(rowOf(z, i)), targetRow(tensors, i, attrs)];
    if (!t) continue;
    const total = sum(t); // 1, unless soft targets are something else
    rowOf(dz, i).set(p.map((pc, c) => g * (pc * total - t[c])));
  }
  return { dz };
}

export function squaredError({ y, targets }, { reduction }) {
  const squares = sum(Array.from(y.data, (v, k) => (v - targets.data[k]) ** 2));
  return { loss: scalar(y, squares / (reduction === "mean" ? y.data.length : 1)) };
}

export function squaredErrorBackward({ y, targets }, dloss, { reduction }) {
  const g = (2 * dloss) / (reduction === "mean" ? y.data.length : 1);
  return { dy: { shape: y.shape, data: y.data.map((v, k) => g * (v - targets.data[k])) } };
}

const logSoftmax = (z, T) => {
  const [log, largest] = logSum(Array.from(z, (v) => v / T));
  return Array.from(z, (v) => v / T - largest - log);
};

export function distillation({ z, teacher_z }, { temperature: T, reduction }) {
  const [p, q] = [zeros(z, ...z.shape), zeros(z, ...z.shape)];
  let loss = 0;
  for (let i = 0; i < countRows(z); i++) {
    const [log_p, log_q] = [logSoftmax(rowOf(z, i), T), logSoftmax(rowOf(teacher_z, i), T)];
    rowOf(p, i).set(log_p.map(Math.exp));
    rowOf(q, i).set(log_q.map(Math.exp));
    loss += sum(log_q.map((lq, c) => Math.exp(lq) * (lq - log_p[c])));
  }
  return { p, q, loss: scalar(z, (loss * T * T) / (reduction === "mean" ? countRows(z) : 1)) };
}

export function distillationBackward({ z, teacher_z }, dloss, { temperature: T, reduction }) {
  const [dz, dteacher_z] = [zeros(z, ...z.shape), zeros(z, ...z.shape)];
  const scale = (dloss * T) / (reduction === "mean" ? countRows(z) : 1);
  for (let i = 0; i < countRows(z); i++) {
    const [log_p, log_q] = [logSoftmax(rowOf(z, i), T), logSoftmax(rowOf(teacher_z, i), T)];
    const ratio = log_q.map((lq, c) => lq - log_p[c]);
    const divergence = sum(ratio.map((r, c) => r * Math.exp(log_q[c])));
    rowOf(dz, i).set(log_p.map((lp, c) => scale * (Math.exp(lp) - Math.exp(log_q[c]))));
    rowOf(dteacher_z, i).set(ratio.map((r, c) => scale * Math.exp(log_q[c]) * (r - divergence)));
  }
  return { dz, dteacher_z };
}

// --- over the ranks: s, weights and the like are indexed by rank ---

const SCALE = { uncertainty: 1, classification: 1, bounded: 0.5 };
const PENALTY = {
  uncertainty: [(s) => s, () => 1],
  classification: [(s) => s / 2, () => 0.5],
  bounded: [(s) => Math.max(s, 0) + Math.log1p(Math.exp(-Math.abs(s))), logistic], // ln(1 + exp(s))
};

/** total = sum of w_k losses[k] + penalty(s_k), where s_k belongs to ranks[k], and the weights w. */
export function objective({ losses, s }, { ranks, variant }) {
  const at = ranks.map((rank) => s.data[rank - 1]);
  const w = at.map((s_k) => SCALE[variant] * Math.exp(-s_k));
  const total = sum(at.map((s_k, k) => w[k] * losses.data[k] + PENALTY[variant][0](s_k)));
  return { w: { shape: [ranks.length], data: losses.data.constructor.from(w) }, total: scalar(losses, total) };
}

export function objectiveBackward({ losses, s }, dtotal, { ranks, variant }) {
  const [dlosses, ds] = [zeros(losses, ranks.length), zeros(s, ...s.shape)];
  ranks.forEach((rank, k) => {
    const w = SCALE[variant] * Math.exp(-s.data[rank - 1]);
    dlosses.data[k] = dtotal * w;
    ds.data[rank - 1] += dtotal * (PENALTY[variant][1](s.data[rank - 1]) - w * losses.data[k]);
  });
  return { dlosses, ds };
}

export function weightedSum({ losses, weights }, { ranks }) {
  return { total: scalar(losses, sum(ranks.map((rank, k) => weights.data[rank - 1] * losses.data[k]))) };
}

export function weightedSumBackward({ losses, weights }, dtotal, { ranks }) {
  const [dlosses, dweights] = [zeros(losses, ranks.length), zeros(weights, ...weights.shape)];
  ranks.forEach((rank, k) => {
    dlosses.data[k] = weights.data[rank - 1] * dtotal;
    dweights.data[rank - 1] += losses.data[k] * dtotal;
  });
  return { dlosses, dweights };
}

/** Values at their ranks, zero elsewhere; the last one for a rank that is listed twice. */
function byRank(like, values, { ranks, R }) {
  const weights = zeros(like, R);
  ranks.forEach((rank, k) => (weights.data[rank - 1] = values[k]));
  return { weights };
}

export const analyticWeights = ({ losses }, attrs) => byRank(losses, Array.from(losses.data, (x) => 1 / x), attrs);

export const softmaxWeights = ({ losses }, attrs) =>
  byRank(losses, softmax(Array.from(losses.data, (loss) => 1 / (loss * attrs.temperature))), attrs);

export function gradnormTargets({ weights, norms, losses, first_losses }, { alpha }) {
  const rates = Array.from(losses.data, (loss, k) => loss / first_losses.data[k]);
  const [mean_rate, mean_norm] = [rates, Array.from(weights.data, (w, k) => w * norms.data[k])].map(
    (values) => sum(values) / values.length,
  );
  return { targets: map(losses, (_, k) => mean_norm * (rates[k] / mean_rate) ** alpha) };
}

export function gradnorm({ weights, norms, targets }) {
  const each = Array.from(weights.data, (w, k) => Math.abs(w * norms.data[k] - targets.data[k]));
  return { distance: scalar(weights, sum(each)) };
}

export function gradnormBackward({ weights, norms, targets }, ddistance) {
  const slope = (w, k) => ddistance * Math.sign(w * norms.data[k] - targets.data[k]) * norms.data[k];
  return { dweights: map(weights, slope) };
}

export function renormalised({ weights }) {
  const scale = weights.data.length / sum(weights.data);
  return { scaled: map(weights, (w) => w * scale) };
}

// --- regularisers ---

/** The overlaps of the rows of two matrices, less 1 for each row with itself if they are the same. */
function overlaps(A, first, second, same) {
  const out = product(A, [first.rows, second.rows], first, transposed(second));
  for (let i = 0; same && i < first.rows; i++) out.data[i * second.rows + i] -= 1;
  return out;
}

/** Rows from..to - 1 of a tensor. */
function part(A, from, to) {
  const d = A.shape[1];
  return { ...rows(A), data: A.data.subarray(from * d, to * d), rows: to - from };
}

export function hardOrthogonality({ A }) {
  return { penalty: scalar(A, sum(overlaps(A, rows(A), rows(A), true).data.map((v) => v * v))) };
}

export function hardOrthogonalityBackward({ A }, dpenalty) {
  const G = map(overlaps(A, rows(A), rows(A), true), (v) => 4 * dpenalty * v);
  return { dA: product(A, A.shape, rows(G), rows(A)) };
}

export function residualOrthogonality({ A }, { rank, anchor }) {
  return { penalty: scalar(A, sum(overlaps(A, part(A, 0, rank), part(A, rank, anchor)).data.map((v) => v * v))) };
}

export function residualOrthogonalityBackward({ A }, dpenalty, { rank, anchor }) {
  const [first, rest] = [part(A, 0, rank), part(A, rank, anchor)];
  const G = map(overlaps(A, first, rest), (v) => 2 * dpenalty * v);
  const dA = zeros(A, ...A.shape);
  addProduct(part(dA, 0, rank), rows(G), rest);
  addProduct(part(dA, rank, anchor), transposed(rows(G)), first);
  return { dA };
}

/** Squared distance of two tensors over the number of rows. */
export function distance(anchor, variant) {
  const squares = sum(Array.from(anchor.data, (v, k) => (v - variant.data[k]) ** 2));
  return { penalty: scalar(anchor, squares / countRows(anchor)) };
}

/** The gradients of both, as [anchor's, variant's]. */
export function distanceBackward(anchor, variant, dpenalty, { stop_anchor }) {
  const g = (2 * dpenalty) / countRows(anchor);
  const danchor = { shape: anchor.shape, data: anchor.data.map((v, k) => g * (v - variant.data[k])) };
  return [stop_anchor ? zeros(anchor, ...anchor.shape) : danchor, map(danchor, (d) => -d)];
}

// --- optimisers ---

/** The parameter and its moments after step t. */
export function adamw({ p, g, m, v }, { t, lr, beta1, beta2, eps, weight_decay }) {
  const next = { p: zeros(p, ...p.shape), m: zeros(p, ...p.shape), v: zeros(p, ...p.shape) };
  for (let i = 0; i < p.data.length; i++) {
    const m_i = beta1 * m.data[i] + (1 - beta1) * g.data[i];
    const v_i = beta2 * v.data[i] + (1 - beta2) * g.data[i] * g.data[i];
    const step = m_i / (1 - beta1 ** t) / (Math.sqrt(v_i / (1 - beta2 ** t)) + eps);
    next.p.data[i] = p.data[i] - lr * weight_decay * p.data[i] - lr * step;
    next.m.data[i] = m_i;
    next.v.data[i] = v_i;
  }
  return next;
}

/** The parameter and its momentum after one step of gradient descent. */
export function sgd({ p, g, m }, { lr, momentum, weight_decay }) {
  const velocity = Array.from(m.data, (v, i) => momentum * v + (g.data[i] + weight_decay * p.data[i]));
  return {
    p: { shape: p.shape, data: p.data.map((v, i) => v - lr * velocity[i]) },
    m: { shape: p.shape, data: p.data.constructor.from(velocity) },
  };
}
