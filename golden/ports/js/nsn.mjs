// Nested subspace networks in plain JavaScript: forward at any rank, softmax, argmax, cost. No imports, so that the
// same file runs under Node and in a web page.
//
// A tensor is {shape, data} with a Float64Array or a Float32Array in row-major order. JavaScript computes in float64
// and rounds to float32 where a number is stored in a Float32Array. So sums of float32 numbers are accumulated in
// float64: more than the suite asks for, and allowed.

export const size = (shape) => shape.reduce((product, d) => product * d, 1);
export const zeros = (like, ...shape) => ({ shape, data: new like.data.constructor(size(shape)) });
export const map = (x, f) => ({ shape: x.shape, data: x.data.map(f) });
export const scalar = (like, value) => ({ shape: [], data: like.data.constructor.of(value) });

// --- matrices: views with steps, so that transposing and taking the first rows or columns copy nothing ---

/** (..., d) as a matrix of rows (n, d). */
export function rows(x) {
  const cols = x.shape.at(-1);
  return { data: x.data, rows: size(x.shape.slice(0, -1)), cols, down: cols, across: 1 };
}

export const transposed = (a) => ({ data: a.data, rows: a.cols, cols: a.rows, down: a.across, across: a.down });
export const firstRows = (a, r) => ({ ...a, rows: r });
export const firstCols = (a, r) => ({ ...a, cols: r });

/** Add the product a b, and a bias to each row if there is one, to a matrix; every product goes through here. */
export function addProduct(out, a, b, bias = null) {
  for (let i = 0; i < a.rows; i++) {
    for (let j = 0; j < b.cols; j++) {
      let sum = bias ? bias.data[j] : 0;
      for (let k = 0; k < a.cols; k++) {
        sum += a.data[i * a.down + k * a.across] * b.data[k * b.down + j * b.across];
      }
      out.data[i * out.down + j * out.across] += sum;
    }
  }
}

/** The tensor a b (+ bias), of a given shape. */
export function product(like, shape, a, b, bias = null) {
  const out = zeros(like, ...shape);
  addProduct(rows(out), a, b, bias);
  return out;
}

// --- layers: {A, B, b} is a nested one, {W, b} a dense one ---

/** y = B_r (A_r x) + b, and h = A_r x: the first r rows of A, the first r columns of B. Or y = W x + b. */
export function linear({ A, B, W, b }, x, rank) {
  const leading = x.shape.slice(0, -1);
  if (W) return { y: product(x, [...leading, W.shape[0]], rows(x), transposed(rows(W)), b) };
  const h = product(x, [...leading, rank], rows(x), transposed(firstRows(rows(A), rank)));
  return { h, y: product(x, [...leading, B.shape[0]], rows(h), transposed(firstCols(rows(B), rank)), b) };
}

// --- activations ---

export const logistic = (z) => (z < 0 ? Math.exp(z) / (1 + Math.exp(z)) : 1 / (1 + Math.exp(-z)));

/** exp(-x^2); x is split so that its square loses no bit. */
function expOfMinusSquare(x) {
  const high = Math.fround(x); // 24 bits: the square is exact
  return Math.exp(-high * high) * Math.exp((high - x) * (high + x));
}

/** 1 - erf(x), with a small relative error: JavaScript has none. Abramowitz & Stegun 7.1.5 and 7.1.14. */
export function erfc(x) {
  if (x < 0) return 2 - erfc(-x);
  if (x < 0.55) {
    let [power, sum] = [x, x];
    for (let n = 1; Math.abs(power) > 1e-18; n++) {
      power *= (-x * x) / n;
      sum += power / (2 * n + 1);
    }
    return 1 - (2 / Math.sqrt(Math.PI)) * sum;
  }
  let fraction = x; // x + (1/2) / (x + (2/2) / (x + (3/2) / ...)), from far inside
  for (let n = Math.ceil(200 / (x * x)) + 10; n > 0; n--) fraction = x + n / 2 / fraction;
  return expOfMinusSquare(x) / Math.sqrt(Math.PI) / fraction;
}

const normal = (z) => erfc(-z * Math.SQRT1_2) / 2; // the distribution function
const tanhForm = (z) => Math.sqrt(8 / Math.PI) * (z + 0.044715 * z * z * z); // (1 + tanh(w)) / 2 = logistic(2 w)

/** Of each activation: the function, and its derivative. */
export const ACTIVATIONS = {
  relu: [(z) => (z > 0 ? z : 0), (z) => (z > 0 ? 1 : 0)],
  gelu: [(z) => z * normal(z), (z) => normal(z) + (z * Math.exp((-z * z) / 2)) / Math.sqrt(2 * Math.PI)],
  gelu_tanh: [
    (z) => z * logistic(tanhForm(z)),
    (z) => {
      const slope = Math.sqrt(8 / Math.PI) * (1 + 3 * 0.044715 * z * z);
      return logistic(tanhForm(z)) * (1 + z * logistic(-tanhForm(z)) * slope);
    },
  ],
  silu: [(z) => z * logistic(z), (z) => logistic(z) * (1 + z * logistic(-z))],
};

// --- networks: parameters layers.0.A, layers.0.B, layers.0.b, ..., or layers.k.W for a dense layer ---

/** The layers of a network, from its parameters by name. */
export function layersOf(params) {
  const layers = [];
  for (let i = 0; `layers.${i}.b` in params; i++) {
    const names = ["A", "B", "W", "b"].filter((name) => `layers.${i}.${name}` in params);
    layers.push(Object.fromEntries(names.map((name) => [name, params[`layers.${i}.${name}`]])));
  }
  return layers;
}

/** Logits of a multilayer network at one rank. */
export function forward(params, x, rank, activation = "relu") {
  const [last, ...hidden] = layersOf(params).reverse();
  for (const layer of hidden.reverse()) x = map(linear(layer, x, rank).y, ACTIVATIONS[activation][0]);
  return linear(last, x, rank).y;
}

/** Multiply-adds for one example at one rank: r (d_in + d_out) for a nested layer, d_in d_out for a dense one. */
export function cost(params, rank) {
  const each = layersOf(params).map(({ A, B, W }) => (W ? size(W.shape) : rank * (A.shape[1] + B.shape[0])));
  return each.reduce((total, n) => total + n, 0);
}

// --- probabilities ---

/** ln sum exp(z_j) and the largest z_j of one row, as [log of the sum over exp(z_j - largest), largest]. */
export function logSum(z) {
  const largest = z.reduce((a, b) => Math.max(a, b), -Infinity);
  return [Math.log(z.reduce((sum, zj) => sum + Math.exp(zj - largest), 0)), largest];
}

/** Probabilities of one row of logits. */
export function softmax(z) {
  const [log, largest] = logSum(z);
  return Array.from(z, (zj) => Math.exp(zj - largest - log));
}

/** The place of the largest; the first of equals. */
export function argmax(z) {
  let best = 0;
  for (let j = 1; j < z.length; j++) if (z[j] > z[best]) best = j;
  return best;
}
