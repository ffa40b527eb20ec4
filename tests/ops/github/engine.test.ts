import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { expect, it, onTestFinished } from "vitest";
import { startLocalCloud } from "../../../local/cloud/cloud";
import { type EngineOptions, up } from "../../../local/pulumi/engine";
import { LOCAL_ACCOUNT_ID } from "../../../names";

it("ops/github runs through Pulumi's entry point and creates its roles in the local cloud, and a second run changes nothing", async () => {
  const dir = mkdtempSync(join(tmpdir(), "snack-misaki-github-"));
  onTestFinished(() => rmSync(dir, { recursive: true, force: true }));
  const cloud = await startLocalCloud({ programDir: process.cwd(), dir, freePorts: true, withoutPython: true });
  onTestFinished(() => cloud.close());
  const options: EngineOptions = {
    programDir: resolve("ops/github"),
    project: "snack-misaki-github",
    stack: "account",
    config: {
      "aws:region": "ap-northeast-1",
      "snack-misaki-github:repository": "mama@1/snack@2",
      // The local cloud has neither S3 nor OIDC providers.
      "snack-misaki-github:state": JSON.stringify({ bucket: "snack-state" }),
      "snack-misaki-github:providerArn": `arn:aws:iam::${LOCAL_ACCOUNT_ID}:oidc-provider/token.actions.githubusercontent.com`,
    },
    secretKeys: [],
    statePath: join(dir, "github.json"),
    providers: cloud.providers,
    // Same as `typescript: false` in Pulumi.yaml.
    env: { PULUMI_NODEJS_TYPESCRIPT: "false" },
  };
  const { outputs } = await up(options);
  const role = (name: string) => `arn:aws:iam::${LOCAL_ACCOUNT_ID}:role/snack-misaki-github-${name}`;
  expect(outputs).toMatchObject({
    deployRoles: { dev: role("deploy-dev"), staging: role("deploy-staging"), prod: role("deploy-prod") },
    previewRole: role("preview"),
    permissionsBoundaries: { prod: `arn:aws:iam::${LOCAL_ACCOUNT_ID}:policy/snack-misaki-github-boundary-prod` },
  });
  const { steps } = await up(options);
  expect(new Set(steps.map(({ op }) => op))).toEqual(new Set(["same"]));
});
