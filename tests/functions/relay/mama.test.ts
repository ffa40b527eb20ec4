import { expect, it } from "vitest";
import { type ErrorCode, errorCodes } from "../../../contract/errors";
import { mamaSentence, refusalSentence, waitingSentence } from "../../../functions/core/relay/mama";

it.each(Object.keys(errorCodes) as ErrorCode[])("has a Japanese sentence for %s", (code) => {
  expect(mamaSentence(code)).toMatch(/^[\p{Script=Hiragana}\p{Script=Katakana}\p{Script=Han}、。！？ー]+$/u);
});

it("has different sentences for waiting, refusing, rate limits and internal errors", () => {
  expect(new Set([waitingSentence, refusalSentence, mamaSentence("rate_limited"), mamaSentence("internal")]).size).toBe(
    4,
  );
});
