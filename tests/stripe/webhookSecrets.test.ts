import { unknownValue as UNKNOWN } from "@pulumi/pulumi/runtime/rpc";
import { describe, expect, it } from "vitest";
import { createResource, stripeFixture } from "./fixture";

const fixture = stripeFixture();

describe("The webhook secrets", () => {
  it("have no previous secret after their creation", async () => {
    const { secrets, registered } = fixture();
    const { outs } = await createResource(secrets, { ...registered.secrets.inputs, secret: "whsec_1" });
    expect(outs).toMatchObject({ current: "whsec_1", previous: null });
  });

  it("contain only the new and the previous secret after a change", async () => {
    const { secrets, registered } = fixture();
    const first = await createResource(secrets, { ...registered.secrets.inputs, secret: "whsec_1" });
    const second = { ...first.inputs, secret: "whsec_2" };
    expect(await secrets.diff(first.id, first.outs, second)).toEqual({ changes: true, replaces: [] });
    const rotated = await secrets.update(first.id, first.outs, second);
    expect(rotated).toMatchObject({ current: "whsec_2", previous: "whsec_1" });

    expect(await secrets.diff(first.id, rotated, second)).toEqual({ changes: false, replaces: [] });
    expect(await secrets.update(first.id, rotated, second)).toEqual(rotated);
    expect((await secrets.read(first.id, rotated)).outs).toEqual(rotated);

    const third = await secrets.update(first.id, rotated, { ...second, secret: "whsec_3" });
    expect(third).toMatchObject({ current: "whsec_3", previous: "whsec_2" });
  });

  it("show a diff in a preview when the new secret is unknown", async () => {
    const { secrets, registered } = fixture();
    const { id, outs } = await createResource(secrets, { ...registered.secrets.inputs, secret: "whsec_1" });
    const { inputs, failures } = await secrets.check({ ...registered.secrets.inputs, secret: UNKNOWN });
    expect(failures).toEqual([]);
    expect(await secrets.diff(id, outs, inputs)).toEqual({ changes: true, replaces: [] });
  });

  it.each([
    ["", "must not be empty"],
    [["whsec_CANARY"], "must be a text"],
    [undefined, "must be a text"],
  ])("are rejected when the secret is %j, and the error does not quote the value", async (secret, reason) => {
    const { secrets, registered } = fixture();
    const { secret: _, ...rest } = registered.secrets.inputs;
    const { failures } = await secrets.check({ ...rest, ...(secret !== undefined && { secret }) });
    expect(failures).toEqual([{ property: "secret", reason }]);
  });

  it("are deleted without a call to Stripe", async () => {
    const { secrets, registered, proxy } = fixture();
    const { id, outs } = await createResource(secrets, { ...registered.secrets.inputs, secret: "whsec_1" });
    await secrets.delete(id, outs);
    expect(proxy.calls).toEqual([]);
  });
});
