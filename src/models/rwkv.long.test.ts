/**
 * @file The trained RWKV-7 that reverses numbers, by the published protocol and its very numbers (BlinkDL/RWKV-LM, RWKV-v8): ten of each
 * length from 1 to 60 digits, of which every digit of the answer and its end count. Of other numbers it gets some letter in ten thousand
 * wrong, so that a draw of ours proves nothing.
 */
import { readFileSync } from "node:fs";
import { beforeAll, expect, test } from "vitest";
import { describeWithSharedData } from "../../test/shared-data.ts";
import { decodeSafetensors, toFloat32 } from "../checkpoints/index.ts";
import { startJax } from "../kernels/jax/start.ts";
import { WasmEngine } from "../kernels/wasm/index.ts";
import { withArrays } from "./decoder-fixtures.ts";
import { pythonRandom } from "./rwkv-draws-fixtures.ts";
import { resolveRwkvConfig } from "./rwkv-config.ts";
import { rwkvDecoder } from "./rwkv-decoder.ts";
import {
  likeliest,
  nothing,
  reversed,
  reversing,
  reversingTensors,
  rwkvInF64,
  tokensOf,
} from "./rwkv-fixtures.ts";

const [longest, perLength] = [60, 10];
/** What the published line counts, "396500/396500 = 100% digits (1-60)": after each length all that were right until then, added up. */
const published = 396_500;

/** Ten numbers of every length, as `random.seed(42)` draws them. */
const numbers = ((): readonly (readonly string[])[] => {
  const { randint } = pythonRandom(42);
  return Array.from({ length: longest }, (_, index) =>
    Array.from({ length: perLength }, () => {
      const least = index === 0 ? 0n : 10n ** BigInt(index);
      return String(randint(least, 10n ** BigInt(index + 1) - 1n));
    }),
  );
})();

test("the numbers are those that Python draws", () => {
  expect(numbers[0].join("")).toBe("1043321819");
  expect(numbers[9].slice(0, 2)).toEqual(["3392080953", "8235363119"]);
  expect(numbers[59][9]).toBe("750841235935239780224414568859034139952138531135215967275581");
});

/** Letters that are right, counted as the published line counts them. */
function scored(answers: readonly (readonly { readonly found: string; readonly wanted: string }[])[]): {
  readonly wrong: readonly string[];
  readonly sum: number;
} {
  const wrong: string[] = [];
  let [right, sum] = [0, 0];
  for (const ofLength of answers) {
    for (const { found, wanted } of ofLength) {
      right += wanted.split("").filter((letter, place) => letter === found[place]).length;
      if (found !== wanted) wrong.push(`${found} for ${wanted}`);
    }
    sum += right;
  }
  return { wrong, sum };
}

describeWithSharedData("the trained RWKV-7 that reverses", reversing.path, (path) => {
  const { tensors: stored } = decodeSafetensors(readFileSync(path));
  const tensors = reversingTensors(new Map([...stored].map(([name, tensor]) => [name, toFloat32(tensor)])));

  beforeAll(() => startJax());

  test("has every digit right in the f64 blocks, given the right digits before it", () => {
    const config = resolveRwkvConfig(reversing.config);
    const answers = numbers.map((given) =>
      given.map((number) => {
        const { rows } = rwkvInF64(config, tensors, tokensOf(`${number},${reversed(number)}`), nothing);
        const found = rows.slice(number.length).map(likeliest).join("");
        return { found, wanted: `${reversed(number)}#` };
      }),
    );
    expect(scored(answers)).toEqual({ wrong: [], sum: published });
  });

  test("has every digit right in the model that trains, from its own answers, token by token", async () => {
    const model = rwkvDecoder(reversing.config, { engine: new WasmEngine() });
    const answers: { readonly found: string; readonly wanted: string }[][] = [];
    await withArrays(tensors, async (arrays) => {
      for (const given of numbers) {
        const [{ length }] = given;
        const decoding = model.decode(arrays, { batch: perLength });
        const found = given.map(() => "");
        for (let place = 0; place <= 2 * length; place++) {
          const letters = given.map((number, row) => `${number},`[place] ?? found[row].at(-1)!);
          const { data } = await decoding.step(tokensOf(letters.join("")));
          if (place < length) continue;
          given.forEach((_, row) => {
            found[row] += likeliest(data.subarray(row * 12, (row + 1) * 12));
          });
        }
        decoding.dispose();
        answers.push(given.map((number, row) => ({ found: found[row], wanted: `${reversed(number)}#` })));
      }
    });
    model.dispose();
    expect(scored(answers)).toEqual({ wrong: [], sum: published });
  });
});
