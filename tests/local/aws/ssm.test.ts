import {
  GetParameterCommand,
  GetParametersByPathCommand,
  GetParametersCommand,
  ParameterNotFound,
  paginateGetParametersByPath,
  SSMClient,
} from "@aws-sdk/client-ssm";
import { describe, expect, it } from "vitest";
import { secret, startTestCloud } from "./fixture";

const PARAMETER = "aws:ssm/parameter:Parameter";

const clientOf = (cloud: Awaited<ReturnType<typeof startTestCloud>>) =>
  new SSMClient({
    endpoint: cloud.aws.endpoints.ssm,
    region: "us-east-1",
    credentials: { accessKeyId: "x", secretAccessKey: "x" },
    maxAttempts: 1,
  });

describe("Parameter Store", () => {
  it("serves parameters to the AWS SDK and returns the same errors as AWS", async () => {
    await using cloud = await startTestCloud();
    const client = clientOf(cloud);
    await cloud.engine.create(PARAMETER, "key", { type: "SecureString", name: "/snack/key", value: secret("canary") });

    const sealed = await client.send(new GetParameterCommand({ Name: "/snack/key" }));
    expect(sealed.Parameter).toMatchObject({ Type: "SecureString", Version: 1 });
    expect(sealed.Parameter?.Value).not.toContain("canary");
    const open = await client.send(new GetParameterCommand({ Name: "/snack/key", WithDecryption: true }));
    expect(open.Parameter?.Value).toBe("canary");
    const both = await client.send(
      new GetParametersCommand({ Names: ["/snack/key", "/snack/none"], WithDecryption: true }),
    );
    expect(both.Parameters?.map((one) => one.Value)).toEqual(["canary"]);
    expect(both.InvalidParameters).toEqual(["/snack/none"]);
    await expect(client.send(new GetParameterCommand({ Name: "/snack/none" }))).rejects.toThrow(ParameterNotFound);
    client.destroy();
  });

  it("returns the parameters directly below a path, at most ten at once, and refuses a path without a slash", async () => {
    await using cloud = await startTestCloud();
    const client = clientOf(cloud);
    const below = Array.from({ length: 12 }, (_, index) => `/snack/list/${String(index).padStart(2, "0")}`);
    for (const name of [...below, "/snack/list/deeper/one", "/snack/listed", "/snack/list"])
      await cloud.engine.create(PARAMETER, name, { type: "String", name, value: name });

    const pages = [];
    const Path = "/snack/list";
    for await (const { Parameters } of paginateGetParametersByPath({ client }, { Path }))
      pages.push(Parameters?.map(({ Value }) => Value));
    expect(pages).toEqual([below.slice(0, 10), below.slice(10)]);
    await expect(client.send(new GetParametersByPathCommand({ Path: "snack" }))).rejects.toThrow(/must begin with \//);
    await expect(client.send(new GetParametersByPathCommand({ Path, MaxResults: 11 }))).rejects.toThrow(/MaxResults/);

    const invoked = await cloud.engine.invoke("aws:ssm/getParametersByPath:getParametersByPath", { path: Path });
    expect(invoked).toMatchObject({ names: below, values: secret(below) });
    const empty = { path: "/snack/none" };
    expect(await cloud.engine.invoke("aws:ssm/getParametersByPath:getParametersByPath", empty)).toMatchObject({
      names: [],
    });
    client.destroy();
  });
});
