// The operations of the suite: from tensors and attributes to outputs, by name.

import { ACTIVATIONS, linear, map, zeros } from "./nsn.mjs";
import * as layers from "./layers.mjs";
import * as losses from "./losses.mjs";
import { lossAndGrads, netForward, stack, trainingStep } from "./networks.mjs";

/** Gradients of a layer with their names of the protocol. */
const named = (dx, grads) =>
  Object.assign({ dx }, ...Object.entries(grads).map(([name, grad]) => ({ [`d${name}`]: grad })));

const layerOf = ({ A, B, W, b }) => (W ? { W, b } : { A, B, b });

function linearBackward(t, { rank }) {
  const grads = layers.emptyGrads(layerOf(t));
  const { h } = linear(layerOf(t), t.x, rank);
  return named(layers.linearBackward(layerOf(t), t.x, h, t.dy, grads), grads);
}

/** The gradients of outputs at several ranks, added up; dys has one cotangent after another. */
function multirankBackward({ dys, ...t }, { ranks }) {
  const grads = layers.emptyGrads(layerOf(t));
  const dx = zeros(t.x, ...t.x.shape);
  const n = dys.data.length / ranks.length;
  ranks.forEach((rank, k) => {
    const dy = { shape: dys.shape.slice(1), data: dys.data.subarray(k * n, (k + 1) * n) };
    const part = layers.linearBackward(layerOf(t), t.x, linear(layerOf(t), t.x, rank).h, dy, grads);
    part.data.forEach((d, i) => (dx.data[i] += d));
  });
  return named(dx, grads);
}

function convolution(t, attrs) {
  const { y, h } = layers.convolution(layerOf(t), t.x, attrs.rank, attrs);
  return h ? { y, h } : { y };
}

function convolutionBackward(t, attrs) {
  const grads = layers.emptyGrads(layerOf(t));
  const { kept } = layers.convolution(layerOf(t), t.x, attrs.rank, attrs);
  return named(layers.convolutionBackward(layerOf(t), t.x, kept, t.dy, grads), grads);
}

/** Both operations of an elementwise function, whose name may depend on the attributes. */
const elementwise = (stem, nameOf) => ({
  [`${stem}_forward`]: ({ z }, attrs) => ({ y: map(z, ACTIVATIONS[nameOf(attrs)][0]) }),
  [`${stem}_backward`]: ({ z, dy }, attrs) => ({
    dz: { shape: z.shape, data: dy.data.map((d, k) => d * ACTIVATIONS[nameOf(attrs)][1](z.data[k])) },
  }),
});

/** Both operations of a loss: the backward one takes the cotangent of the one number that comes out. */
const both = (stem, output, forward, backward) => ({
  [`${stem}_forward`]: forward,
  [`${stem}_backward`]: (t, attrs) => backward(t, t[`d${output}`].data[0], attrs),
});

const distance = (stem, prefix) => {
  const [anchor, variant] = [`${prefix}_anchor`, `${prefix}_variant`];
  return both(
    stem,
    "penalty",
    (t) => losses.distance(t[anchor], t[variant]),
    (t, d, attrs) => {
      const [danchor, dvariant] = losses.distanceBackward(t[anchor], t[variant], d, attrs);
      return { [`d${anchor}`]: danchor, [`d${variant}`]: dvariant };
    },
  );
};

export const OPERATIONS = {
  dense_forward: (t) => linear(layerOf(t), t.x),
  dense_backward: linearBackward,
  nested_linear_forward: (t, { rank }) => linear(layerOf(t), t.x, rank),
  nested_linear_backward: linearBackward,
  multirank_linear_forward: (t, { ranks }) => ({
    ys: stack(ranks.map((rank) => linear(layerOf(t), t.x, rank).y)),
    h: linear(layerOf(t), t.x, Math.max(...ranks)).h,
  }),
  multirank_linear_backward: multirankBackward,
  conv2d_forward: convolution,
  conv2d_backward: convolutionBackward,
  nested_conv2d_forward: convolution,
  nested_conv2d_backward: convolutionBackward,
  average_pool2d_forward: ({ x }, attrs) => ({ y: layers.averagePool(x, attrs.size) }),
  average_pool2d_backward: ({ x, dy }, attrs) => ({ dx: layers.averagePoolBackward(x, attrs.size, dy) }),
  nested_embedding_forward: (t, { rank }) => layers.embedding(t, rank),
  nested_embedding_backward: (t, { rank }) => layers.embeddingBackward(t, rank, t.dy),
  layer_norm_forward: (t, { eps }) => layers.norm(t, eps),
  layer_norm_backward: (t, { eps }) => layers.normBackward(t, eps),
  rms_norm_forward: (t, { eps }) => layers.norm(t, eps),
  rms_norm_backward: (t, { eps }) => layers.normBackward(t, eps),
  ...elementwise("relu", () => "relu"),
  ...elementwise("gelu", ({ approximate }) => (approximate === "tanh" ? "gelu_tanh" : "gelu")),
  ...elementwise("silu", () => "silu"),
  ...both("softmax_cross_entropy", "loss", losses.crossEntropy, losses.crossEntropyBackward),
  ...both("mean_squared_error", "loss", losses.squaredError, losses.squaredErrorBackward),
  ...both("kl_distillation", "loss", losses.distillation, losses.distillationBackward),
  ...both("objective", "total", losses.objective, losses.objectiveBackward),
  ...both("weighted_sum", "total", losses.weightedSum, losses.weightedSumBackward),
  analytic_weights: losses.analyticWeights,
  softmax_weights: losses.softmaxWeights,
  gradnorm_targets: losses.gradnormTargets,
  ...both("gradnorm", "distance", losses.gradnorm, losses.gradnormBackward),
  renormalised: losses.renormalised,
  ...both("hard_orthogonality", "penalty", losses.hardOrthogonality, losses.hardOrthogonalityBackward),
  ...both("residual_orthogonality", "penalty", losses.residualOrthogonality, losses.residualOrthogonalityBackward),
  ...distance("logits_regularisation", "z"),
  ...distance("hidden_regularisation", "h"),
  adamw_step: losses.adamw,
  sgd_step: losses.sgd,
  mlp_forward: netForward,
  mlp_loss_and_grads: lossAndGrads,
  mlp_step: trainingStep,
  convnet_step: trainingStep,
};
