import { unknownValue as UNKNOWN } from "@pulumi/pulumi/runtime/rpc";
import { describe, expect, it } from "vitest";
import { make, stage } from "./stage";

const on = stage();

describe("the secrets", () => {
  it("begin with one", async () => {
    const { secrets, registered } = on();
    const { outs } = await make(secrets, { ...registered.secrets.inputs, secret: "whsec_1" });
    expect(outs).toMatchObject({ current: "whsec_1", previous: null });
  });

  it("keep the one before through a change, and only that", async () => {
    const { secrets, registered } = on();
    const first = await make(secrets, { ...registered.secrets.inputs, secret: "whsec_1" });
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

  it("change in a preview that cannot know the new one yet", async () => {
    const { secrets, registered } = on();
    const { id, outs } = await make(secrets, { ...registered.secrets.inputs, secret: "whsec_1" });
    const { inputs, failures } = await secrets.check({ ...registered.secrets.inputs, secret: UNKNOWN });
    expect(failures).toEqual([]);
    expect(await secrets.diff(id, outs, inputs)).toEqual({ changes: true, replaces: [] });
  });

  it.each([
    ["", "must not be empty"],
    [["whsec_CANARY"], "must be a text"],
    [undefined, "must be a text"],
  ])("are refused without telling them: %j", async (secret, reason) => {
    const { secrets, registered } = on();
    const { secret: _, ...rest } = registered.secrets.inputs;
    const { failures } = await secrets.check({ ...rest, ...(secret !== undefined && { secret }) });
    expect(failures).toEqual([{ property: "secret", reason }]);
  });

  it("are deleted with the stack, which Stripe need not know", async () => {
    const { secrets, registered, proxy } = on();
    const { id, outs } = await make(secrets, { ...registered.secrets.inputs, secret: "whsec_1" });
    await secrets.delete(id, outs);
    expect(proxy.calls).toEqual([]);
  });
});
