/** @file Selection of the k largest scores of every row of a tile: the threshold of each row and where its ties end. */
import { f32x4, type FunctionBuilder, i32, i32x4, type Local, type Value } from "../assembler/assembler.ts";
import { tileKeys } from "./kernel-spec.ts";
import { type Emission } from "./pair-code.ts";
import { field } from "../engine/scratch.ts";

/**
 * The k-th largest of a row's sortable scores, bit by bit from the highest: the largest number that at least k scores
 * reach, or any that exactly k reach. Of the scores equal to it, those of the lowest keys are kept until there are k.
 */
export function selectRows(
  b: FunctionBuilder,
  { layout }: Emission,
  places: { record: Local; scratch: Local; rows: Local; firstRow: Local; seen: Local; entryAt: Local },
): void {
  const { record, scratch, rows, firstRow, seen, entryAt } = places;
  const stride = b.let("stride", i32.mul(field(record, "tileCount"), 4 * tileKeys));
  const keep = b.let("keep", field(record, "keep"));
  const [row, bit, at, count] = ["row", "bit", "at", "count"].map((name) => b.local("i32", name));
  const [found, candidate, ties] = ["found", "candidate", "ties"].map((name) => b.local("i32", name));
  const counts = b.local("v128", "counts");
  const countWhere = (from: Local, compare: (four: Value) => Value): void => {
    b.set(counts, f32x4.bits(0));
    b.for(at, from, i32.add(from, i32.mul(seen, 4)), 16, () => {
      b.set(counts, i32x4.sub(counts, compare(f32x4.load(at))));
    });
    const lanes = [0, 1, 2, 3].map((lane) => i32x4.lane(counts, lane));
    b.set(
      count,
      lanes.reduce((sum, lane) => i32.add(sum, lane)),
    );
  };
  // The sortable form of −∞: excluded pairs rank there.
  const lowest = 0xff800000 ^ 0x7fffffff;
  b.for(row, 0, rows, 1, () => {
    const from = b.let("from", i32.add(i32.add(scratch, layout.sortable), i32.mul(row, stride)));
    // Offset by 2³¹, so that setting a bit always makes the number larger.
    b.set(found, 0);
    b.for(bit, 0, 32, 1, () => {
      b.set(candidate, i32.or(found, i32.shiftRight(0x80000000 | 0, bit)));
      const signed = b.let("signed", f32x4.splatInteger(flipSign(candidate)));
      countWhere(from, (four) => f32x4.xor(i32x4.less(four, signed), f32x4.bits(-1)));
      b.if(
        i32.less(count, keep),
        () => {},
        () => {
          b.set(found, candidate);
          // Whatever its lower bits are, the same scores reach it: this bit is the last.
          b.if(i32.equal(count, keep), () => b.set(bit, 31));
        },
      );
    });
    b.set(found, flipSign(found));
    b.if(i32.less(found, lowest), () => b.set(found, lowest));
    const best = b.let("best", f32x4.splatInteger(found));
    countWhere(from, (four) => i32x4.greater(four, best));
    // How many of the ties are kept, and the place of the last of them.
    b.set(ties, i32.sub(keep, count));
    const lastTie = b.let("lastTie", -1);
    b.if(i32.and(i32.notEqual(found, lowest), i32.less(0, ties)), () => {
      const [first, place, hits] = ["first", "place", "hits"].map((name) => b.local("i32", name));
      b.for(first, 0, seen, 4, () => {
        const four = f32x4.load(i32.add(from, i32.mul(first, 4)));
        b.set(hits, i32x4.bitmask(i32x4.equal(four, best)));
        b.if(hits, () => {
          b.for(place, first, i32.add(first, 4), 1, () => {
            b.if(i32.equal(i32.load(i32.add(from, i32.mul(place, 4))), found), () => {
              b.if(i32.less(0, ties), () => {
                const tile = i32.load(
                  i32.add(entryAt, i32.mul(i32.shiftRight(place, Math.log2(tileKeys)), 8)),
                );
                b.set(lastTie, i32.add(i32.mul(tile, tileKeys), i32.and(place, tileKeys - 1)));
                b.set(ties, i32.sub(ties, 1));
              });
            });
          });
        });
      });
    });
    const queryRow = b.let("queryRow", i32.mul(i32.add(firstRow, row), 4));
    const flipped = f32x4.and(i32x4.shiftRight(best, 31), f32x4.bits(0x7fffffff));
    b.storeLane(i32.add(field(record, "threshold"), queryRow), f32x4.xor(best, flipped), 0);
    b.store(i32.add(field(record, "tie"), queryRow), lastTie);
  });
}

/** x ⊕ 2³¹ */
const flipSign = (value: Local): Value => i32.add(value, 0x80000000 | 0);
