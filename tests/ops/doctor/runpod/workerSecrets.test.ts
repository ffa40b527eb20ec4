import { expect, it } from "vitest";
import { checkWorkerSecrets } from "../../../../ops/doctor/runpod/workerSecrets";
import { RunpodError } from "../../../../runpod/error";
import { secretReference } from "../../../../runpod/secretReference";

const name = "snack-misaki-dev-phi3-huggingface-token";
const template = { env: { MODEL: "phi3", HF_TOKEN: secretReference(name) } };
const having = (...names: string[]) => ({
  listSecrets: async () => ({ items: names.map((each) => ({ id: each, name: each })), unreadable: [] }),
});

it("doctor has no line about secrets for a template without secrets", async () => {
  expect(await checkWorkerSecrets("phi3", having(), { env: { MODEL: "phi3" } })).toEqual([]);
});

it("doctor names the secrets of a template", async () => {
  expect(await checkWorkerSecrets("phi3", having(name), template)).toMatchObject([{ status: "ok", seen: name }]);
});

it("doctor reports a secret that RunPod does not have, and the command that stores the secret again", async () => {
  expect(await checkWorkerSecrets("phi3", having("other"), template)).toMatchObject([
    { status: "failed", seen: `RunPod does not have ${name}`, todo: expect.stringContaining("pulumi up --refresh") },
  ]);
});

it("doctor does not report a secret as missing when an entry of RunPod's list cannot be read", async () => {
  const listSecrets = async () => ({ items: [], unreadable: [undefined] });
  expect(await checkWorkerSecrets("phi3", { listSecrets }, template)).toMatchObject([
    { status: "unknown", seen: expect.stringContaining(`it is unknown whether ${name} exists`) },
  ]);
});

it("doctor reports the secrets as unknown when RunPod does not return the secrets", async () => {
  const listSecrets = () => Promise.reject(new RunpodError("RunPod refused secrets: no", { transient: false }));
  expect(await checkWorkerSecrets("phi3", { listSecrets }, template)).toMatchObject([
    { status: "unknown", seen: "cannot be read: RunPod refused secrets: no" },
  ]);
});
