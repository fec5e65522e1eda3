/** @file Kept places: they never overlap, and what is given back is used again. */
import fc from "fast-check";
import { expect, test } from "vitest";
import { KeptPlaces } from "./kept-places.ts";

test("the first free place that fits is used again, and the rest of it stays free", () => {
  const places = new KeptPlaces(100);
  const [a, b, c] = [64, 128, 64].map((bytes) => places.take(bytes));
  expect([a, b, c, places.end]).toEqual([100, 164, 292, 356]);
  places.giveBack(b);
  expect([places.take(64), places.take(64), places.end]).toEqual([164, 228, 356]);
});

test("in any order of takings and givings places do not overlap, and the end comes back to the start", () => {
  const step = fc.record({ bytes: fc.integer({ min: 1, max: 9 }), back: fc.option(fc.nat(20)) });
  fc.assert(
    fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
      const places = new KeptPlaces(7);
      let held: { address: number; bytes: number }[] = [];
      for (const { bytes, back } of steps) {
        if (back === null || held.length === 0) held.push({ address: places.take(bytes), bytes });
        else {
          const [gone] = held.splice(back % held.length, 1);
          places.giveBack(gone.address);
        }
        const sorted = held.toSorted((x, y) => x.address - y.address);
        sorted.forEach((place, index) => {
          expect(place.address).toBeGreaterThanOrEqual(
            index === 0 ? 7 : sorted[index - 1].address + sorted[index - 1].bytes,
          );
        });
        expect(places.end).toBe(Math.max(7, ...held.map((place) => place.address + place.bytes)));
      }
      for (const { address } of held) places.giveBack(address);
      held = [];
      expect(places.end).toBe(7);
    }),
  );
});
