import { expect, it } from "vitest";
import { checkKey } from "../../../ops/doctor/account";
import { RunpodError } from "../../../runpod/error";

/** A control plane that answers every delete so; undefined is done. */
function answering(words: string | undefined) {
  const answer = async () => {
    if (words !== undefined) throw new RunpodError(words, { transient: false });
  };
  return { deleteEndpoint: answer, deleteTemplate: answer, deleteRegistryAuth: answer };
}

// How RunPod answers a delete of what is not there is not documented.
it.each([
  ["ok", undefined],
  ["ok", "RunPod refused deleteEndpoint: invalid endpoint id"],
  ["failed", "RunPod refused deleteEndpoint: the API key may not do this."],
  ["warning", "RunPod could not do deleteEndpoint: Something went wrong. Please try again later. (tried 4 times)"],
  ["warning", "RunPod did not answer deleteEndpoint: no answer within 10 s (tried 4 times)"],
])("a key is %s when a delete of nothing is answered with %j", async (status, words) => {
  expect(await checkKey(answering(words), [])).toMatchObject({ status });
});
