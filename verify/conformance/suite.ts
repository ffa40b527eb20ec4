import { incompatibilities } from "../../contract/compatibility";
import { type Fixture, type FixtureValues, fillFixture, readFixtures } from "../../contract/fixtures";
import { type Endpoint, sendFixture } from "./endpoint";

/** Result of one fixture. */
export interface FixtureResult {
  version: string;
  fixture: string;
  result: "passed" | "failed" | "skipped";
  ms: number;
  /** Incompatibilities of a failed fixture, or the reason why the fixture was skipped. */
  problems: string[];
}

/**
 * Sends the fixtures of every version to an endpoint.
 *
 * @param values called for each fixture, because the ticket may have been renewed
 * @param options.atOnce number of concurrent requests
 * @param options.limitMs time limit of one fixture
 * @param options.onResult called after each fixture
 */
export async function runSuite(
  endpoint: Endpoint,
  values: () => Promise<FixtureValues>,
  options: { atOnce: number; limitMs: number; onResult?: (result: FixtureResult) => void },
): Promise<FixtureResult[]> {
  const queue = readFixtures();
  const results: FixtureResult[] = [];
  const work = async () => {
    for (let fixture = queue.shift(); fixture; fixture = queue.shift()) {
      const startedAt = performance.now();
      const outcome = await runFixture(endpoint, fixture, await values(), options.limitMs);
      const ms = Math.round(performance.now() - startedAt);
      const result = { version: fixture.version, fixture: fixture.name, ms, ...outcome };
      results.push(result);
      options.onResult?.(result);
    }
  };
  await Promise.all(Array.from({ length: options.atOnce }, work));
  return results.sort((a, b) => `${a.version}/${a.fixture}`.localeCompare(`${b.version}/${b.fixture}`));
}

async function runFixture(
  endpoint: Endpoint,
  fixture: Fixture,
  values: FixtureValues,
  limitMs: number,
): Promise<Pick<FixtureResult, "result" | "problems">> {
  const filled = fillFixture(fixture, values);
  if ("missing" in filled) return { result: "skipped", problems: [`no value for the placeholder ${filled.missing}`] };
  const problems = await sendFixture(endpoint, filled.fixture, limitMs).then(
    (answer) => incompatibilities(filled.fixture, answer, values),
    (error: Error) => [error.name === "TimeoutError" ? "no answer in time" : error.message],
  );
  return { result: problems.length > 0 ? "failed" : "passed", problems };
}
