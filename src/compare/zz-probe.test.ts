import { test } from "vitest";
import { hierarchyRecipe } from "../train/recipes/hierarchy.ts";
import { nodeDataSource } from "../train/data-source.node.ts";
test("probe", async () => {
  const data = nodeDataSource();
  for (const sel of ["l2", "cauchy", "poincare", "lorentz-distance", "cosine"])
    for (const lr of [0.1, 0.3, 1]) {
      const settings = hierarchyRecipe.settings({ width: 2, epochs: 30, burnIn: 5 });
      const t0 = performance.now();
      const t = await hierarchyRecipe.create({ selector: sel, seed: 0, learningRate: lr, settings, data });
      const t1 = performance.now();
      let loss = 0;
      for (let s = 0; s < t.steps; s++) loss = (await t.step(s)).loss;
      const t2 = performance.now();
      const m = await t.validate();
      console.log(sel, lr, (t1 - t0) | 0, (t2 - t1) | 0, (performance.now() - t2) | 0, loss, JSON.stringify(m));
    }
}, 600000);
