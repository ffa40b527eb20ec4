import { waitForWorker } from "../../verify/conformance/endpoint";
import { type ServedModel, withEngineTarget } from "../../verify/conformance/engineTarget";
import { runSuite } from "../../verify/conformance/suite";
import { countFixtures, type Fixtures } from "./fixtureResults";

/** Time limit of the worker's start and of each fixture. */
const LIMIT_MS = 120_000;

/** Sends the contract's fixtures to the real worker in front of a running engine. */
export function sendFixtures(served: ServedModel): Promise<Fixtures> {
  return withEngineTarget(served, async ({ endpoint, values }) => {
    await waitForWorker(endpoint, LIMIT_MS);
    return countFixtures(await runSuite(endpoint, values, { atOnce: 2, limitMs: LIMIT_MS }));
  });
}
