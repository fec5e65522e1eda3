import fc from "fast-check";
import { expect, test } from "vitest";
import { NumbersError, ShapeError } from "./errors.ts";
import { narrow, requireFinite, sizeOf, tensor, tensor64, widen, zeros64 } from "./tensor.ts";

const shapes = fc.array(fc.nat({ max: 5 }), { maxLength: 4 });

test("a tensor holds exactly the numbers of its shape", () => {
  fc.assert(
    fc.property(shapes, (shape) => {
      expect(tensor(new Float32Array(sizeOf(shape)), shape).shape).toEqual(shape);
      expect(() => tensor(new Float32Array(sizeOf(shape) + 1), shape)).toThrow(ShapeError);
      expect(zeros64(shape).data).toEqual(new Float64Array(sizeOf(shape)));
    }),
  );
});

test("the empty shape is a scalar", () => {
  expect(sizeOf([])).toBe(1);
  expect(tensor([3], []).data).toEqual(new Float32Array([3]));
});

test.each([[[2, 1.5]], [[-1, -3]], [[Number.NaN]], [[3, Number.POSITIVE_INFINITY]]])(
  "shape %j is refused",
  (shape) => {
    expect(() => tensor([1, 2, 3], shape)).toThrow(expect.objectContaining({ code: "tensor-size" }));
  },
);

test("the error of a wrong size says both sizes", () => {
  expect(() => tensor([1, 2, 3], [2, 2])).toThrow(/shape \[2, 2\], 3 numbers/);
});

test("data of the right kind is not copied, other data is", () => {
  const single = new Float32Array(4);
  const double = new Float64Array(4);
  expect(tensor(single, [2, 2]).data).toBe(single);
  expect(tensor64(double, [2, 2]).data).toBe(double);
  expect(tensor(double, [2, 2]).data).toEqual(single);
});

test("widening loses nothing and narrowing rounds to the nearest float32", () => {
  fc.assert(
    fc.property(fc.float64Array({ minLength: 1, maxLength: 20, noNaN: true }), (data) => {
      const source = tensor64(data, [data.length]);
      const narrowed = narrow(source);
      expect([...narrowed.data]).toEqual([...data].map(Math.fround));
      expect(narrow(widen(narrowed))).toEqual(narrowed);
    }),
  );
});

test("a tensor of finite numbers passes", () => {
  expect(() => requireFinite("q", tensor([1, -2, 3e38], [3]))).not.toThrow();
});

test.each([Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY])(
  "%d is refused with the place of the first",
  (bad) => {
    const data = new Float64Array(24);
    data[17] = bad;
    data[20] = bad;
    const q = tensor64(data, [2, 3, 4]);
    expect(() => requireFinite("q", q)).toThrow(NumbersError);
    expect(() => requireFinite("q", q)).toThrow(`${bad} at [1, 1, 1]`);
  },
);
