/**
 * @file The core that the recurrent class shares: a matrix state per head, its update and its reading.
 *
 *     c_t = b_t·M_{t−1},   M_t = diag(w_t)·M_{t−1} + a_tᵀc_t + k_tᵀv_t
 *     o_t = q_t·M_t   or, with a bonus,   o_t = q_t·(M_{t−1} + diag(u)·k_tᵀv_t)
 *
 * Members (linear, retnet, deltanet…) turn their own inputs into these. Decay is carried as log w_t ≤ 0.
 */
import { DomainError, ShapeError } from "../base/errors.ts";
import { requireFinite, sizeOf, type Tensor, type Tensor64 } from "../base/tensor.ts";

/** Which terms of the core a member has. */
export interface Core {
  /** No decay; one w for all of a head's channels; one w for each channel of the keys. */
  readonly decay: "none" | "head" | "channel";
  /** Whether a_tᵀ(b_t·M_{t−1}) is added: what the delta rules take back before they write. */
  readonly correction: boolean;
  /** The state that a token reads: the one it has written to, or the one before it and a bonus for itself. */
  readonly read: "after" | "bonus";
  /** Whether o_t is divided by the same sum over ones in place of values. The state then has one column more. */
  readonly normalised: boolean;
  /** Added to that sum. */
  readonly epsilon: number;
}

/** Everything that the core reads. Tensors of keys may have fewer heads than q, each a number that divides H. */
export interface CoreInputs<T = Tensor | Tensor64> {
  /** [B, H, N, D] */
  readonly q: T;
  /** [B, G, N, D] */
  readonly k: T;
  /** [B, G, N, E] */
  readonly v: T;
  /** log w ≤ 0: [H] or [B, G, N] for a decay of heads, [H, D] or [B, G, N, D] for one of channels. */
  readonly logDecay?: T;
  /** What is added along, [B, G, N, D]; with a correction. */
  readonly a?: T;
  /** What is read from the state before, [B, G, N, D]; with a correction. */
  readonly b?: T;
  /** The bonus of a token for itself, [H, D]; with a bonus read. */
  readonly u?: T;
  /** M before the first token, [B, H, D, E], or [B, H, D, E + 1] where normalised; zeros when absent. */
  readonly state?: T;
}

/** The extents of a call. */
export interface CoreSizes {
  readonly batch: number;
  /** H */
  readonly heads: number;
  /** N */
  readonly tokens: number;
  /** D, of queries and keys after their map. */
  readonly width: number;
  /** E */
  readonly valueWidth: number;
  /** Columns of the state: E, and one more where normalised. */
  readonly stateWidth: number;
}

/**
 * The sizes of a call, after checking every shape and number.
 *
 * @throws ShapeError `recurrence-shape` or `heads`, DomainError `missing-input`, `unused-input` or `decay-domain`,
 *   NumbersError for NaN and infinities
 */
export function checkCoreInputs(core: Core, inputs: CoreInputs): CoreSizes {
  const sizes = checkCoreShapes(core, inputs);
  requireCoreNumbers(inputs);
  return sizes;
}

/**
 * The sizes of a call, after checking every shape.
 *
 * @throws ShapeError `recurrence-shape` or `heads`, DomainError `missing-input` or `unused-input`
 */
export function checkCoreShapes(core: Core, inputs: CoreInputs): CoreSizes {
  requireTerms(core, inputs);
  const { q, k, v, logDecay, a, b, u, state } = inputs;
  requireRank("q", q.shape);
  requireRank("v", v.shape);
  const [batch, heads, tokens, width] = q.shape;
  const valueWidth = v.shape[3];
  const stateWidth = valueWidth + (core.normalised ? 1 : 0);
  const sizes = { batch, heads, tokens, width, valueWidth, stateWidth };
  requireSharedShape("k", k.shape, [batch, heads, tokens, width]);
  requireSharedShape("v", v.shape, [batch, heads, tokens, valueWidth]);
  if (a !== undefined) requireSharedShape("a", a.shape, [batch, heads, tokens, width]);
  if (b !== undefined) requireSharedShape("b", b.shape, [batch, heads, tokens, width]);
  if (u !== undefined) requireShape("u", u.shape, [heads, width]);
  if (state !== undefined) requireShape("state", state.shape, [batch, heads, width, stateWidth]);
  if (logDecay !== undefined) requireDecayShape(core, logDecay.shape, sizes);
  for (const [name, tensor] of Object.entries(inputs) as [string, Tensor | Tensor64 | undefined][]) {
    if (tensor !== undefined) requireFilled(name, tensor);
  }
  return sizes;
}

/**
 * Refuses numbers that the core does not take.
 *
 * @throws DomainError `decay-domain`, NumbersError for NaN and infinities
 */
export function requireCoreNumbers(inputs: CoreInputs): void {
  for (const [name, tensor] of Object.entries(inputs) as [string, Tensor | Tensor64 | undefined][]) {
    if (tensor !== undefined) requireFinite(name, tensor);
  }
  const above = inputs.logDecay?.data.find((log) => log > 0);
  if (above === undefined) return;
  throw new DomainError(
    "decay-domain",
    `Cannot forget at this rate as the logarithm of a decay must not be above zero: ${above}. Pass log w of w in (0, 1]`,
  );
}

/** The head of a tensor with `count` heads that query head `head` of `heads` reads. */
export function sharedHead(head: number, heads: number, count: number): number {
  return Math.floor((head * count) / heads);
}

function requireTerms(core: Core, inputs: CoreInputs): void {
  const wanted = {
    logDecay: core.decay !== "none",
    a: core.correction,
    b: core.correction,
    u: core.read === "bonus",
  };
  for (const name of Object.keys(wanted) as (keyof typeof wanted)[]) {
    const isThere = inputs[name] !== undefined;
    if (isThere === wanted[name]) continue;
    throw new DomainError(
      isThere ? "unused-input" : "missing-input",
      `Cannot recur as '${name}' ${wanted[name] ? "is a term of this update" : "is no term of this update"}: ` +
        `it was ${isThere ? "given. Leave it out" : "left out. Pass it"}`,
    );
  }
}

function requireRank(name: string, shape: readonly number[]): void {
  if (shape.length === 4 && shape.every((extent) => Number.isSafeInteger(extent) && extent > 0)) return;
  throw new ShapeError(
    "recurrence-shape",
    `Cannot recur as ${name} must be [B, heads, N, width] without empty extents: [${shape.join(", ")}]. Reshape it`,
  );
}

/** A shape that must be as wanted, but for fewer heads. */
export function requireSharedShape(name: string, shape: readonly number[], wanted: readonly number[]): void {
  const agrees = (extent: number, axis: number): boolean => axis === 1 || extent === shape[axis];
  if (shape.length !== wanted.length || !wanted.every(agrees)) {
    throw new ShapeError(
      "recurrence-shape",
      `Cannot recur as ${name} must be [${wanted.join(", ")}] (or with fewer heads): [${shape.join(", ")}]. Reshape it`,
    );
  }
  if (shape[1] > 0 && wanted[1] % shape[1] === 0) return;
  throw new ShapeError(
    "heads",
    `Cannot share ${name} among queries as its heads must divide the query heads: ${wanted[1]} query heads, ` +
      `${shape[1]} heads of ${name}. Change one of them`,
  );
}

/** A shape that must be as wanted. */
export function requireShape(name: string, shape: readonly number[], wanted: readonly number[]): void {
  if (shape.length === wanted.length && wanted.every((extent, axis) => extent === shape[axis])) return;
  throw new ShapeError(
    "recurrence-shape",
    `Cannot recur as ${name} must be [${wanted.join(", ")}]: [${shape.join(", ")}]. Reshape it`,
  );
}

function requireDecayShape({ decay }: Core, shape: readonly number[], sizes: CoreSizes): void {
  const { batch, heads, tokens, width } = sizes;
  const last = decay === "channel" ? [width] : [];
  if (shape.length <= 2) requireShape("logDecay", shape, [heads, ...last]);
  else requireSharedShape("logDecay", shape, [batch, heads, tokens, ...last]);
}

function requireFilled(name: string, { data, shape }: Tensor | Tensor64): void {
  if (data.length === sizeOf(shape)) return;
  throw new ShapeError(
    "tensor-size",
    `Cannot recur as ${name} must hold exactly the numbers of its shape: shape [${shape.join(", ")}], ` +
      `${data.length} numbers. Pass a shape whose product is the length`,
  );
}
