import { incompatibilities } from "../../contract/compatibility";
import { filled, readFixtures, type Values } from "../../contract/fixtures";
import { ask, type Endpoint } from "./deployed";

/** How one fixture went. */
export interface FixtureResult {
  version: string;
  fixture: string;
  result: "passed" | "failed" | "skipped";
  ms: number;
  /** What is not compatible, or why it was skipped. */
  problems: string[];
}

/**
 * Sends the fixtures of every version to a deployed endpoint.
 *
 * @param values called for each fixture, so that a ticket can be renewed
 * @param options.atOnce requests under way at once
 * @param options.limitMs of one fixture
 * @param options.onResult told of each as it is done
 */
export async function runSuite(
  endpoint: Endpoint,
  values: () => Promise<Values>,
  options: { atOnce: number; limitMs: number; onResult?: (result: FixtureResult) => void },
): Promise<FixtureResult[]> {
  const fixtures = readFixtures();
  const results: FixtureResult[] = [];
  const work = async () => {
    for (let fixture = fixtures.shift(); fixture; fixture = fixtures.shift()) {
      const about = { version: fixture.version, fixture: fixture.name };
      const given = await values();
      const ready = filled(fixture, given);
      const startedAt = performance.now();
      const problems =
        "missing" in ready
          ? [`there is no ${ready.missing} here`]
          : await ask(endpoint, ready.fixture, options.limitMs).then(
              (answer) => incompatibilities(ready.fixture, answer, given),
              (error: Error) => [error.name === "TimeoutError" ? "no answer in time" : error.message],
            );
      const result = "missing" in ready ? "skipped" : problems.length > 0 ? "failed" : "passed";
      results.push({ ...about, result, ms: Math.round(performance.now() - startedAt), problems });
      const latest = results.at(-1);
      if (latest) options.onResult?.(latest);
    }
  };
  await Promise.all(Array.from({ length: options.atOnce }, work));
  return results.sort((a, b) => `${a.version}/${a.fixture}`.localeCompare(`${b.version}/${b.fixture}`));
}
