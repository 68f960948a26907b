// Backward passes of linear layers; convolutions, pooling, embeddings and norms both ways.

import { addProduct, firstCols, firstRows, linear, product, rows, size, transposed, zeros } from "./nsn.mjs";

const flat = (W) => ({ shape: [W.shape[0], size(W.shape) / W.shape[0]], data: W.data }); // kernels as rows
const zerosLike = (x) => zeros(x, ...x.shape);

/** Zeros in the shapes of the parameters of a layer. */
export const emptyGrads = (layer) => Object.fromEntries(Object.entries(layer).map(([name, p]) => [name, zerosLike(p)]));

/** Add the gradients of `linear` to those of its layer, and return dx; unused components keep what they have. */
export function linearBackward({ A, B, W }, x, h, dy, grads) {
  for (let i = 0; grads.b && i < dy.data.length; i++) grads.b.data[i % grads.b.data.length] += dy.data[i];
  if (W) {
    addProduct(rows(grads.W), transposed(rows(dy)), rows(x));
    return product(x, x.shape, rows(dy), rows(W));
  }
  const r = h.shape.at(-1);
  const dh = product(x, h.shape, rows(dy), firstCols(rows(B), r));
  addProduct(firstCols(rows(grads.B), r), transposed(rows(dy)), rows(h));
  addProduct(firstRows(rows(grads.A), r), transposed(rows(dh)), rows(x));
  return product(x, x.shape, rows(dh), firstRows(rows(A), r));
}

// --- convolutions: a linear layer on the patch of pixels under each position of the kernel ---

/** Calls visit(index in patches, index in x) for every pixel of every patch that lies inside the image. */
function walk([n, c, H, W], kernel, stride, padding, visit) {
  const [H_out, W_out] = [H, W].map((d, k) => Math.floor((d + 2 * padding[k] - kernel[k]) / stride[k]) + 1);
  let at = 0;
  for (let image = 0; image < n; image++)
    for (let top = 0; top < H_out; top++)
      for (let left = 0; left < W_out; left++)
        for (let channel = 0; channel < c; channel++)
          for (let i = 0; i < kernel[0]; i++)
            for (let j = 0; j < kernel[1]; j++, at++) {
              const [u, v] = [top * stride[0] + i - padding[0], left * stride[1] + j - padding[1]];
              if (u >= 0 && u < H && v >= 0 && v < W) visit(at, ((image * c + channel) * H + u) * W + v);
            }
  return [n, H_out, W_out, c * kernel[0] * kernel[1]];
}

function patches(x, kernel, stride, padding) {
  const out = zeros(x, ...walk(x.shape, kernel, stride, padding, () => {}));
  walk(x.shape, kernel, stride, padding, (at, from) => (out.data[at] = x.data[from]));
  return out;
}

/** Exchange the rows and columns of each image's matrix. */
function exchanged(x, shape, a, b) {
  const out = zeros(x, ...shape);
  for (let at = 0; at < x.data.length; at += a * b)
    for (let i = 0; i < a; i++) for (let j = 0; j < b; j++) out.data[at + j * a + i] = x.data[at + i * b + j];
  return out;
}

/** (n, ..., c) as (n, c, ...), and back. */
function channelsFirst(x) {
  const [n, image, c] = [x.shape[0], x.shape.slice(1, -1), x.shape.at(-1)];
  return exchanged(x, [n, c, ...image], size(image), c);
}

function channelsLast(x) {
  const [n, c, ...image] = x.shape;
  return exchanged(x, [n, ...image, c], c, size(image));
}

/** As `linear`, with kernels for A or W; patches are kept for the backward pass. */
export function convolution(layer, x, rank, { stride, padding }) {
  const kernel = (layer.A ?? layer.W).shape.slice(2);
  const kept = { patches: patches(x, kernel, stride, padding), kernel, stride, padding };
  const { y, h } = linear(flattened(layer), kept.patches, rank);
  return { y: channelsFirst(y), h: h && channelsFirst(h), kept: { ...kept, h } };
}

export function convolutionBackward(layer, x, { patches, h, kernel, stride, padding }, dy, grads) {
  const dpatches = linearBackward(flattened(layer), patches, h, channelsLast(dy), flattened(grads));
  const dx = zerosLike(x);
  walk(x.shape, kernel, stride, padding, (at, to) => (dx.data[to] += dpatches.data[at]));
  return dx;
}

const flattened = ({ A, B, W, b }) => (W ? { W: flat(W), b } : { A: flat(A), B, b });

/** Means over windows that tile the image. */
export function averagePool(x, window) {
  const [n, c, H, W] = x.shape;
  const out = zeros(x, n, c, H / window[0], W / window[1]);
  const sums = new Float64Array(out.data.length);
  x.data.forEach((value, k) => (sums[windowOf(k, x.shape, window)] += value));
  sums.forEach((sum, k) => (out.data[k] = sum / size(window)));
  return out;
}

export function averagePoolBackward(x, window, dy) {
  const dx = zerosLike(x);
  dx.data.forEach((_, k) => (dx.data[k] = dy.data[windowOf(k, x.shape, window)] / size(window)));
  return dx;
}

function windowOf(k, [, , H, W], window) {
  const [plane, i, j] = [Math.floor(k / (H * W)), Math.floor(k / W) % H, k % W];
  return (plane * (H / window[0]) + Math.floor(i / window[0])) * (W / window[1]) + Math.floor(j / window[1]);
}

// --- embedding ---

/** The first r numbers of each token's row of E, then B_r. */
export function embedding({ tokens, E, B }, rank) {
  const h = zeros(E, ...tokens.shape, rank);
  h.data.forEach((_, k) => (h.data[k] = E.data[tokens.data[Math.floor(k / rank)] * E.shape[1] + (k % rank)]));
  return { h, y: product(E, [...tokens.shape, B.shape[0]], rows(h), transposed(firstCols(rows(B), rank))) };
}

export function embeddingBackward({ tokens, E, B }, rank, dy) {
  const { h } = embedding({ tokens, E, B }, rank);
  const [dE, dB] = [zerosLike(E), zerosLike(B)];
  const dh = product(E, h.shape, rows(dy), firstCols(rows(B), rank));
  addProduct(firstCols(rows(dB), rank), transposed(rows(dy)), rows(h));
  dh.data.forEach((d, k) => (dE.data[tokens.data[Math.floor(k / rank)] * E.shape[1] + (k % rank)] += d));
  return { dE, dB };
}

// --- norms over the last axis; of layer norm and RMS norm only the first subtracts the mean and has b ---

function normalised(x, eps, centre) {
  const d = x.shape.at(-1);
  const x_hat = zerosLike(x);
  const scales = [];
  for (let at = 0; at < x.data.length; at += d) {
    const row = Array.from(x.data.subarray(at, at + d));
    const mean = centre ? row.reduce((sum, v) => sum + v, 0) / d : 0;
    const scale = 1 / Math.sqrt(row.reduce((sum, v) => sum + (v - mean) ** 2, 0) / d + eps);
    row.forEach((v, j) => (x_hat.data[at + j] = (v - mean) * scale));
    scales.push(scale);
  }
  return { x_hat, scales };
}

export function norm({ x, w, b }, eps) {
  const { x_hat } = normalised(x, eps, Boolean(b));
  const d = x.shape.at(-1);
  const y = { shape: x.shape, data: x_hat.data.map((v, k) => v * w.data[k % d] + (b ? b.data[k % d] : 0)) };
  return { x_hat, y };
}

export function normBackward({ x, w, b, dy }, eps) {
  const { x_hat, scales } = normalised(x, eps, Boolean(b));
  const d = x.shape.at(-1);
  const [dx, dw, db] = [zerosLike(x), new Float64Array(d), new Float64Array(d)];
  scales.forEach((scale, i) => {
    let [mean, along] = [0, 0];
    for (let j = 0; j < d; j++) {
      const [g, v] = [dy.data[i * d + j], x_hat.data[i * d + j]];
      dw[j] += g * v;
      db[j] += g;
      mean += (g * w.data[j]) / d;
      along += (g * w.data[j] * v) / d;
    }
    for (let j = 0; j < d; j++) {
      const k = i * d + j;
      dx.data[k] = scale * (dy.data[k] * w.data[j] - (b ? mean : 0) - x_hat.data[k] * along);
    }
  });
  const like = (values) => ({ shape: [d], data: x.data.constructor.from(values) });
  return b ? { dx, dw: like(dw), db: like(db) } : { dx, dw: like(dw) };
}
