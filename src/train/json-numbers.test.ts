import fc from "fast-check";
import { expect, test } from "vitest";
import { decodeNumbers, encodeNumbers } from "./json-numbers.ts";

test("numbers that JSON lacks become strings", () => {
  expect(JSON.stringify(encodeNumbers({ loss: NaN, list: [Infinity, -Infinity, 1] }))).toBe(
    '{"loss":"NaN","list":["Infinity","-Infinity",1]}',
  );
});

test("any record of numbers comes back through JSON", () => {
  fc.assert(
    fc.property(
      fc.dictionary(fc.string(), fc.oneof(fc.double(), fc.array(fc.double()), fc.boolean())),
      (record) => {
        // JSON itself writes −0 as 0.
        const plain = JSON.parse(JSON.stringify(encodeNumbers(record)));
        expect(JSON.stringify(encodeNumbers(decodeNumbers(plain)))).toBe(
          JSON.stringify(encodeNumbers(record)),
        );
      },
    ),
  );
});
