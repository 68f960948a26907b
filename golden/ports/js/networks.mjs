// Networks: every stage of the forward pass at one rank, losses and gradients at K ranks, a training step.

import { store } from "./formats.mjs";
import { averagePool, averagePoolBackward, convolution, convolutionBackward } from "./layers.mjs";
import { emptyGrads, linearBackward } from "./layers.mjs";
import { ACTIVATIONS, layersOf, linear, map, size, zeros } from "./nsn.mjs";
import { adamw, crossEntropy, crossEntropyBackward, objective, objectiveBackward } from "./losses.mjs";

const LABELS = { targets: "labels", reduction: "mean", ignore_index: NaN, label_smoothing: 0 };

/** Tensors as one, along a new first axis; those of fewer channels (axis 1) than the largest get zeros. */
export function stack(tensors) {
  const [n, , ...rest] = tensors[0].shape;
  const channels = Math.max(...tensors.map((t) => t.shape[1] ?? 1));
  const shape = tensors[0].shape.length > 1 ? [n, channels, ...rest] : tensors[0].shape;
  const out = zeros(tensors[0], tensors.length, ...shape);
  const room = size(shape) / n;
  tensors.forEach((t, k) => {
    const row = size(t.shape) / n;
    for (let i = 0; i < n; i++) out.data.set(t.data.subarray(i * row, (i + 1) * row), (k * n + i) * room);
  });
  return out;
}

/** The parameters (or moments) among the tensors. */
const group = (t, prefix) =>
  Object.fromEntries(
    Object.keys(t)
      .filter((name) => name.startsWith(`${prefix}.`))
      .map((name) => [name.slice(prefix.length + 1), t[name]]),
  );

/** Forward at one rank: stages by name, logits among them, and a function that takes dlogits back to the parameters. */
export function run(params, x, rank, activation) {
  const layers = layersOf(params);
  const stages = {};
  const back = []; // of each layer: (dy, grads, stages of the backward pass) to dx
  const [f, derivative] = ACTIVATIONS[activation];
  layers.forEach((layer, i) => {
    const last = i === layers.length - 1;
    const input = x;
    const image = input.shape.length === 4 && !last;
    const geometry = image && { stride: [1, 1], padding: layer.A.shape.slice(2).map((k) => Math.floor(k / 2)) };
    const { y, h, kept } = image ? convolution(layer, input, rank, geometry) : linear(layer, input, rank);
    if (h) stages[`h.${i}`] = h;
    const through = (dy, grads) =>
      image ? convolutionBackward(layer, input, kept, dy, grads) : linearBackward(layer, input, h, dy, grads);
    if (last) {
      stages.logits = y;
      back.push(through);
      return;
    }
    const a = map(y, f);
    Object.assign(stages, { [`z.${i}`]: y, [`a.${i}`]: a });
    const window = image && (i < layers.length - 2 ? [2, 2] : a.shape.slice(2));
    x = image ? averagePool(a, window) : a;
    if (image && i === layers.length - 2) x = { shape: x.shape.slice(0, 2), data: x.data };
    back.push((dx, grads, found) => {
      const da = image ? averagePoolBackward(a, window, dx) : dx;
      const dz = { shape: a.shape, data: da.data.map((d, k) => d * derivative(y.data[k])) };
      Object.assign(found, { [`da.${i}`]: da, [`dz.${i}`]: dz });
      return through(dz, grads);
    });
  });
  const backward = (dlogits, grads) => {
    const found = { dlogits };
    back.reduceRight((d, step, i) => step(d, grads[i], found), dlogits);
    return found;
  };
  return { stages, backward };
}

export const netForward = (t, { rank, activation }) => run(group(t, "param"), t.x, rank, activation).stages;

/** Losses at every rank, the objective, its gradients, and all stages. */
export function lossAndGrads(t, attrs) {
  const params = group(t, "param");
  const passes = attrs.ranks.map((rank) => run(params, t.x, rank, attrs.activation));
  for (const { stages } of passes) stages.logits = store(stages.logits, "logits", t);
  const heads = passes.map(({ stages }) => ({ z: stages.logits, targets: t.targets }));
  const each = heads.map((head) => crossEntropy(head, LABELS).loss.data[0]);
  const losses = store({ shape: [each.length], data: t.x.data.constructor.from(each) }, "losses", t);
  const { total, w } = objective({ losses, s: params.s }, attrs);
  const { dlosses, ds } = objectiveBackward({ losses, s: params.s }, 1, attrs);
  const grads = layersOf(params).map(emptyGrads);
  passes.forEach(({ stages, backward }, k) =>
    Object.assign(stages, backward(crossEntropyBackward(heads[k], dlosses.data[k], LABELS).dz, grads)),
  );
  const out = { losses, total, w, "grad.s": ds };
  for (const name of Object.keys(passes[0].stages)) out[name] = stack(passes.map(({ stages }) => stages[name]));
  grads.forEach((layer, i) =>
    Object.entries(layer).forEach(([name, grad]) => (out[`grad.layers.${i}.${name}`] = grad)),
  );
  return out;
}

/** The same, then AdamW; the log-variances have no decay. */
export function trainingStep(t, attrs) {
  const out = lossAndGrads(t, attrs);
  for (const [key, p] of Object.entries(group(t, "param"))) {
    const state = { p, g: store(out[`grad.${key}`], `grad.${key}`, t), m: t[`m.${key}`], v: t[`v.${key}`] };
    const next = adamw(state, { ...attrs, weight_decay: key === "s" ? 0 : attrs.weight_decay });
    Object.assign(out, { [`param.${key}`]: next.p, [`m.${key}`]: next.m, [`v.${key}`]: next.v });
  }
  return out;
}
