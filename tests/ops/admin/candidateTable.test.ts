import { stripVTControlCharacters } from "node:util";
import { expect, it } from "vitest";
import { firstTextBin, firstTextMs, noReplies } from "../../../functions/core/canary/verdict";
import { candidateTable } from "../../../ops/admin/candidateTable";

/** Table of a candidate with one reply whose first text came after `ms`. */
function tableAfter(ms: number): string {
  const histogram = noReplies().firstText.with(firstTextBin(ms), 1);
  const bound = firstTextMs(histogram, 0.5) ?? expect.fail("the histogram is empty");
  const counts = { replies: 1, failed: 0, empty: 0, invalid: 0 };
  const table = candidateTable({
    model: "mistral",
    image: "2",
    endpoint: "ep2",
    is_ready: true,
    share: 5,
    configured_share: 5,
    testers: [],
    override: null,
    verdict: null,
    candidate: { ...counts, first_text_ms: { p50: bound, p95: bound } },
    released: { ...counts, first_text_ms: null },
    workers: null,
    events: [],
  });
  return stripVTControlCharacters(table).replace(/[\s│]+/g, " ");
}

it.each([
  [600, "first text p50 ≤ 700 ms, p95 ≤ 700 ms"],
  [8_000, "first text p50 ≤ 8000 ms, p95 ≤ 8000 ms"],
  [60_000, "first text p50 > 8000 ms, p95 > 8000 ms"],
])("the table of a candidate shows a first text after %i ms as %s", (ms, text) => {
  expect(tableAfter(ms)).toContain(text);
});
