import { setTimeout as sleep } from "node:timers/promises";
import { afterEach, expect, it, vi } from "vitest";
import { createOnce } from "../../runpod/createOnce";
import { RunpodError } from "../../runpod/error";
import { setRetryPolicy } from "../../runpod/retry";

afterEach(() => setRetryPolicy({ intervalMs: 500, limitMs: 10_000 }));

const refused = new RunpodError("RunPod refused createTemplate: the image has no tag", {
  transient: false,
  isRefusal: true,
});

it("createOnce fails with RunPod's reason when RunPod refuses a create, even if the list cannot be read afterwards", async () => {
  const find = vi.fn().mockResolvedValueOnce(undefined);
  find.mockRejectedValue(new RunpodError("RunPod did not answer list templates: cut", { transient: false }));
  const save = () => Promise.reject(refused);
  const create = createOnce({ find, save, settle: { intervalMs: 1, limitMs: 10 } }, {}, {});
  await expect(create).rejects.toThrow("the image has no tag");
});

it("createOnce does not adopt a deleted resource that a slow list still shows, and sends the create again", async () => {
  const settle = { intervalMs: 1, limitMs: 200 };
  setRetryPolicy({ intervalMs: 1, limitMs: 10_000 });
  const find = vi.fn<() => Promise<{ id: string } | undefined>>().mockResolvedValue(undefined);
  find.mockResolvedValueOnce(undefined).mockImplementationOnce(async () => {
    await sleep(250);
    return { id: "deleted" };
  });
  const save = vi.fn<(existing: { id: string } | undefined) => Promise<{ id: string }>>();
  save.mockRejectedValueOnce(new RunpodError("RunPod did not answer createTemplate: cut", { transient: true }));
  save.mockRejectedValueOnce(new RunpodError("RunPod refused updateTemplate: not found", { transient: false }));
  save.mockResolvedValueOnce({ id: "new" });
  expect(await createOnce({ find, save, settle }, {}, {})).toEqual({ id: "new" });
  expect(save.mock.calls).toEqual([[undefined], [{ id: "deleted" }], [undefined]]);
});
