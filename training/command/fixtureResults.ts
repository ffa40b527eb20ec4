import { incompatibilities } from "../../contract/compatibility";
import { type Fixture, fillFixture, readFixtures } from "../../contract/fixtures";
import type { FixtureResult } from "../../verify/conformance/suite";

/** Results of the contract's fixtures, in the form of the Python package's `Fixtures`. */
export interface Fixtures {
  passed: number;
  failed: number;
  skipped: number;
  /** Name and problem of each fixture that failed or was skipped. */
  problems: string[];
}

/** Counts the results of a fixture run. */
export function countFixtures(results: readonly FixtureResult[]): Fixtures {
  const total = (kind: FixtureResult["result"]) => results.filter(({ result }) => result === kind).length;
  const problems = results.flatMap(({ result, version, fixture, problems }) =>
    result === "passed" ? [] : [`${version}/${fixture}: ${problems.join("; ")}`],
  );
  return { passed: total("passed"), failed: total("failed"), skipped: total("skipped"), problems };
}

const values = {
  model: "phi3",
  limits: { max_tokens: 512, max_messages: 40, max_input_chars: 2000 },
  ticket: "ticket",
} as const;

/** A complete answer of a worker to a native request without streaming. */
const answer = {
  done: true,
  text: "あら、いらっしゃい。",
  finish_reason: "stop",
  usage: { prompt_tokens: 1200, completion_tokens: 8 },
  model: { plan: "free", name: "phi3", version: "candidate" },
  timings: { ttft_ms: 200, total_ms: 900 },
};

/**
 * Returns fixture results for the self-test of the gates. `sound`: results of a correct answer. `fieldMissing`: results
 * of the same answer without one field.
 */
export function sampleFixtures(): Record<"sound" | "fieldMissing", Fixtures> {
  const { usage: _, ...withoutUsage } = answer;
  return { sound: check(answer), fieldMissing: check(withoutUsage) };
}

/** Checks an answer against the fixtures that expect a whole reply. */
function check(item: object): Fixtures {
  const results = readFixtures()
    .filter(expectsWholeReply)
    .map((fixture): FixtureResult => {
      const filled = fillFixture(fixture, values);
      if ("missing" in filled) throw new Error(`The fixture ${fixture.name} needs ${filled.missing}`);
      const problems = incompatibilities(filled.fixture, { items: [item], storedItems: [item] }, values);
      const result = problems.length > 0 ? "failed" : "passed";
      return { version: fixture.version, fixture: fixture.name, ms: 0, result, problems };
    });
  return countFixtures(results);
}

function expectsWholeReply(fixture: Fixture): boolean {
  return (
    "input" in fixture &&
    "reply" in fixture.expect &&
    fixture.expect.reply === "whole" &&
    fixture.expect.finish_reason === undefined
  );
}
