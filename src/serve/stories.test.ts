/** @file A trained model that is served says what its authors published, from an empty prompt on. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { describeWithSharedData } from "../../test/shared-data.ts";
import { startJax } from "../kernels/jax/start.ts";
import { WasmEngine } from "../kernels/wasm/index.ts";
import { openLanguageModel } from "../language/open-model.node.ts";
import { longestTokenOf } from "./encode-prompt.ts";
import { askServer, scriptedModel } from "./serve-fixtures.ts";

describeWithSharedData("stories260K of llama2.c", "stories260K/stories260K.bin", (place) => {
  test("begins without the space that its tokenizer puts in front, at once and streamed", async () => {
    await startJax();
    const published = JSON.parse(readFileSync(join(place, "../../published.json"), "utf8")) as {
      readonly stories260K: { readonly text: string };
    };
    const model = await openLanguageModel(place);
    const texts = await model.texts({ engine: new WasmEngine() });
    const { tokenizer, endTokens, layout } = model;
    const server = askServer({
      id: "stories",
      contextLength: layout.config.maximumLength,
      tokenizer,
      longestToken: longestTokenOf(model),
      chat: model.chat,
      endTokens,
      texts,
      attentions: scriptedModel().attentions,
    });
    const body = { prompt: "", temperature: 0, max_tokens: 200 };
    interface Answer {
      readonly choices: readonly [
        { readonly text: string; readonly logprobs?: { readonly text_offset: number[] } },
      ];
    }
    const [whole, documents] = await Promise.all([
      server.ask<Answer>("/v1/completions", { ...body, logprobs: 0 }),
      server.stream<Answer>("/v1/completions", body),
    ]);
    const [{ text, logprobs }] = whole.choices;
    expect(text).toBe(published.stories260K.text);
    expect(documents.map(({ choices }) => choices[0].text).join("")).toBe(text);
    // "Once upon": the first word is the first token, whose space is not there.
    expect(logprobs?.text_offset.slice(0, 2)).toEqual([0, text.indexOf(" ")]);
    texts.dispose();
    await model.close();
  });
});
