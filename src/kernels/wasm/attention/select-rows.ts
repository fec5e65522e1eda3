/** @file Selection of the k largest scores of every row of a tile: the threshold of each row and where its ties end. */
import {
  f32x4,
  type FunctionBuilder,
  i32,
  i32x4,
  integer,
  type Local,
  type Value,
} from "../assembler/assembler.ts";
import { tileKeys, tileRows } from "./kernel-spec.ts";
import { type Emission } from "./pair-code.ts";
import { field } from "../engine/scratch.ts";

/** Rows of scores that a thread has room for: those of a tile, and the candidates of one. */
export const sortableRows: number = tileRows + 1;
/** Stretches of a row are no shorter, or there is less to leave out than it costs. */
const leastStretch = 4;

/**
 * The k-th largest of a row's sortable scores. A long row is cut into stretches, of which the four lanes have a maximum each,
 * 2k or more in all: k scores are not below the k-th largest maximum, so that only scores from there on are candidates.
 * Of the scores equal to the k-th largest, those of the lowest keys are kept until there are k.
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
  const [found, bound, ties, bytes] = ["found", "bound", "ties", "bytes"].map((name) => b.local("i32", name));
  const [candidate, candidates] = ["candidate", "candidates"].map((name) => b.local("i32", name));
  const [counts, maximum] = ["counts", "maximum"].map((name) => b.local("v128", name));
  const countWhere = (from: Local, length: Local, compare: (four: Value) => Value): void => {
    b.set(counts, f32x4.bits(0));
    b.for(at, from, i32.add(from, length), 16, () => {
      b.set(counts, i32x4.sub(counts, compare(f32x4.load(at))));
    });
    const lanes = [0, 1, 2, 3].map((lane) => i32x4.lane(counts, lane));
    b.set(
      count,
      lanes.reduce((sum, lane) => i32.add(sum, lane)),
    );
  };
  /** Bit by bit from the highest: the largest number that at least k numbers reach, or any that exactly k reach. */
  const searchBits = (from: Local, length: Local): void => {
    // Offset by 2³¹, so that setting a bit always makes the number larger.
    b.set(found, 0);
    b.for(bit, 0, 32, 1, () => {
      b.set(candidate, i32.or(found, i32.shiftRight(0x80000000 | 0, bit)));
      const signed = b.let("signed", f32x4.splatInteger(flipSign(candidate)));
      countWhere(from, length, (four) => f32x4.xor(i32x4.less(four, signed), f32x4.bits(-1)));
      b.if(
        i32.less(count, keep),
        () => {},
        () => {
          b.set(found, candidate);
          // Whatever its lower bits are, the same numbers reach it: this bit is the last.
          b.if(i32.equal(count, keep), () => b.set(bit, 31));
        },
      );
    });
    b.set(found, flipSign(found));
  };
  // Of 2k maxima or more, as many as the tile of products has room for.
  const maxima = b.let("maxima", i32.add(scratch, layout.inner[0]));
  const maximaBytes = b.let("maximaBytes", i32.mul(i32.shiftRight(i32.add(keep, 1), 1), 16));
  const hasRoom = b.let("hasRoom", i32.less(maximaBytes, 4 * tileRows * tileKeys + 1));
  const stretch = b.local("i32", "stretch");
  b.set(stretch, 0);
  b.if(hasRoom, () => {
    const most = i32.mul(maximaBytes, leastStretch);
    // The stretch is the number of vectors of a row over the number of stretches, by counting.
    const left = b.let("left", i32.mul(seen, 4));
    b.if(i32.less(i32.sub(most, 1), left), () => {
      b.for(at, maximaBytes, i32.add(left, 1), 1, () => {
        b.set(stretch, i32.add(stretch, 16));
        b.set(at, i32.add(at, i32.sub(maximaBytes, 1)));
      });
    });
  });
  const candidatesAt = b.let(
    "candidatesAt",
    i32.add(i32.add(scratch, layout.sortable), i32.mul(stride, tileRows)),
  );
  // The sortable form of −∞: excluded pairs rank there.
  const lowest = 0xff800000 ^ 0x7fffffff;
  b.for(row, 0, rows, 1, () => {
    const from = b.let("from", i32.add(i32.add(scratch, layout.sortable), i32.mul(row, stride)));
    b.set(bound, 0x80000000 | 0);
    b.set(candidates, from);
    b.set(bytes, i32.mul(seen, 4));
    b.if(stretch, () => {
      const [to, scoreAt, stop] = ["to", "scoreAt", "stop"].map((name) => b.local("i32", name));
      b.set(scoreAt, from);
      b.for(to, maxima, i32.add(maxima, maximaBytes), 16, () => {
        b.set(maximum, f32x4.load(scoreAt));
        b.set(stop, i32.add(scoreAt, stretch));
        b.for(scoreAt, scoreAt, stop, 16, () => b.set(maximum, i32x4.max(maximum, f32x4.load(scoreAt))));
        b.store(to, maximum);
      });
      searchBits(maxima, maximaBytes);
      b.set(bound, found);
      b.if(i32.less(bound, lowest), () => b.set(bound, lowest));
      const least = b.let("least", f32x4.splatInteger(i32.sub(bound, 1)));
      const [next, lane] = ["next", "lane"].map((name) => b.local("i32", name));
      b.set(next, candidatesAt);
      b.for(scoreAt, from, i32.add(from, bytes), 16, () => {
        b.if(i32x4.bitmask(i32x4.greater(f32x4.load(scoreAt), least)), () => {
          b.for(lane, scoreAt, i32.add(scoreAt, 16), 4, () => {
            const score = b.let("score", i32.load(lane));
            b.store(next, score);
            b.set(next, i32.add(next, i32.mul(i32.less(i32.sub(bound, 1), score), 4)));
          });
        });
      });
      b.set(candidates, candidatesAt);
      b.set(bytes, i32.and(i32.add(i32.sub(next, candidatesAt), 15), -16));
      b.for(next, next, i32.add(candidatesAt, bytes), 4, () => b.store(next, integer(0x80000000 | 0)));
    });
    searchBits(candidates, bytes);
    // Where all candidates are kept, the search may have stopped below them.
    b.if(i32.less(found, bound), () => b.set(found, bound));
    b.if(i32.less(found, lowest), () => b.set(found, lowest));
    const best = b.let("best", f32x4.splatInteger(found));
    countWhere(candidates, bytes, (four) => i32x4.greater(four, best));
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
