import { afterEach, expect, it, vi } from "vitest";
import { RateLimit } from "../../runpod/rateLimit";
import { setRetryPolicy } from "../../runpod/retry";

afterEach(() => {
  setRetryPolicy({ intervalMs: 500, limitMs: 10_000 });
  vi.restoreAllMocks();
});

it("a retry does not wait for the rate limit beyond the call's retry limit", async () => {
  setRetryPolicy({ intervalMs: 1, limitMs: 60_000 });
  const log = vi.spyOn(console, "log").mockImplementation(() => {});
  const limit = new RateLimit();
  const respond = async () => new Response("{}", { headers: { ratelimit: '"minute";r=0;t=50' } });
  await limit.send("list templates", performance.now(), respond);
  const isSent = vi.fn(respond);
  // The first attempt of this call was 20 s ago, so a wait of 50 s would end after the limit of 60 s.
  void limit.send("list templates", performance.now() - 20_000, isSent);
  await vi.waitFor(() => expect(isSent).toHaveBeenCalledOnce());
  expect(log).not.toHaveBeenCalled();
});
