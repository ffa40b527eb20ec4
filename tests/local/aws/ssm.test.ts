import { GetParameterCommand, GetParametersCommand, ParameterNotFound, SSMClient } from "@aws-sdk/client-ssm";
import { describe, expect, it } from "vitest";
import { secret, startTestCloud } from "./fixture";

const PARAMETER = "aws:ssm/parameter:Parameter";

describe("Parameter Store", () => {
  it("serves parameters to the AWS SDK and returns the same errors as AWS", async () => {
    await using cloud = await startTestCloud();
    const client = new SSMClient({
      endpoint: cloud.aws.endpoints.ssm,
      region: "us-east-1",
      credentials: { accessKeyId: "x", secretAccessKey: "x" },
      maxAttempts: 1,
    });
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
});
