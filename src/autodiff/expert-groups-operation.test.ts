/** @file Groups of rows in jax-js: their number is that of the chosen experts, whatever the routing, and the way back is the way in. */
import { numpy as np } from "@jax-js/jax";
import { beforeAll, expect, test } from "vitest";
import { startJax } from "../kernels/jax/start.ts";
import { groupRowsOperation, joinRowsOperation } from "./expert-groups-operation.ts";

beforeAll(() => startJax());

const [tokens, experts, choices, width] = [64, 8, 2, 3];
const chosenBy = {
  evenly: (token: number) => [token % experts, (token + 1) % experts],
  "by two experts alone": () => [5, 2],
  unevenly: (token: number) => [0, 1 + (token % (experts - 1))],
};

test.each(Object.entries(chosenBy))(
  "tokens that choose %s fill blocks of one expert each",
  async (_, choose) => {
    const chosen = Int32Array.from(Array.from({ length: tokens }, (_, token) => choose(token)).flat());
    const counts = new Int32Array(experts);
    const places = chosen.map((expert) => counts[expert]++);
    const inputs = {
      x: np.array(
        Float32Array.from({ length: tokens * width }, (_, at) => at + 1),
        { shape: [tokens, width] },
      ),
      gates: np.ones([tokens, choices]),
      chosen: np.array(chosen, { shape: [tokens, choices] }),
      places: np.array(places, { shape: [tokens, choices] }),
    };
    const { gates, ...routed } = inputs;
    const group = await groupRowsOperation(experts).forward(routed, new Set());
    const { grouped, owners } = group.outputs;
    // 128 choices among 8 experts are 16 rows on average: blocks of 16, eight of them full and at most one an expert not.
    expect(grouped.shape).toEqual([16, 16, width]);
    const rows = await grouped.ref.data();
    const owned = await owners.ref.data();
    const found = Array.from({ length: experts }, () => [] as number[]);
    for (let row = 0; row < 256; row++) {
      if (rows[row * width] !== 0) found[owned[Math.floor(row / 16)]].push((rows[row * width] - 1) / width);
    }
    const wanted = Array.from({ length: experts }, (_, expert) =>
      Array.from({ length: tokens }, (_, token) => token).filter((token) => choose(token).includes(expert)),
    );
    expect(found).toEqual(wanted);
    const { outputs } = await joinRowsOperation(experts).forward(
      { rows: grouped, gates, chosen: routed.chosen, places: routed.places },
      new Set(),
    );
    const twice = ((await inputs.x.ref.data()) as Float32Array).map((value: number) => choices * value);
    expect(await outputs.out.data()).toEqual(twice);
  },
);
