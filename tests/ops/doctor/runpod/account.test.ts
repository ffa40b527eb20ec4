import { expect, it } from "vitest";
import { checkKey } from "../../../../ops/doctor/runpod/account";
import { RunpodError } from "../../../../runpod/error";

/** A fake control plane whose deletes fail with this message; undefined makes the deletes succeed. */
function answering(words: string | undefined) {
  const answer = async () => {
    if (words !== undefined) throw new RunpodError(words, { transient: false });
  };
  return { deleteEndpoint: answer, deleteTemplate: answer, deleteRegistryAuth: answer };
}

// RunPod does not document its answer to deleting a missing resource.
it.each([
  ["ok", undefined],
  ["ok", "RunPod refused deleteEndpoint: invalid endpoint id"],
  ["failed", "RunPod refused deleteEndpoint: the API key may not do this."],
  ["unknown", "RunPod could not do deleteEndpoint: Something went wrong. Please try again later. (tried 4 times)"],
  ["unknown", "RunPod did not answer deleteEndpoint: no answer within 10 s (tried 4 times)"],
])("checkKey reports %s when the delete of a missing resource answers %j", async (status, words) => {
  expect(await checkKey(answering(words), [])).toMatchObject({ status });
});
