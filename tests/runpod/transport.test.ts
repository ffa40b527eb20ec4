import { createServer, type RequestListener } from "node:http";
import type { AddressInfo } from "node:net";
import { inspect } from "node:util";
import { afterEach, describe, expect, it, vi } from "vitest";
import { apis } from "../../runpod/apis";
import { readStream } from "../../runpod/http";
import { setRetryPolicy } from "../../runpod/retry";

const API_KEY = "rpa_CANARY_KEY";
const settings = {
  name: "snack-phi3",
  imageName: "phi3:1",
  env: { TOKEN: "canary-value" },
  containerDiskInGb: 5,
  dockerArgs: "",
};

const closers: (() => void)[] = [];
afterEach(() => {
  for (const close of closers.splice(0)) close();
  setRetryPolicy({ intervalMs: 500, limitMs: 10_000 });
  vi.restoreAllMocks();
});

/** Starts a server for one test and returns its URL. */
async function serve(listener: RequestListener): Promise<string> {
  const server = createServer(listener);
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  closers.push(() => {
    server.closeAllConnections();
    server.close();
  });
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

/** Returns the error of a call that must fail. */
async function errorOf(call: Promise<unknown>): Promise<Error> {
  return call.then(
    () => {
      throw new Error("The call did not fail.");
    },
    (error: Error) => error,
  );
}

describe.each(Object.entries(apis))("A call through %s", (_api, connect) => {
  it("fails at its time limit when the server does not answer", async () => {
    const url = await serve(() => {});
    const call = connect({ apiKey: API_KEY, url, timeoutMs: 50 }).saveTemplate(settings);
    await expect(call).rejects.toThrow(/^RunPod did not answer (save|create)Template: no answer within 0.05 s$/);
  });

  it("fails at its time limit when the response is too slow", async () => {
    const url = await serve((_request, response) => {
      response.writeHead(200, { "content-type": "application/json" });
      const timer = setInterval(() => response.write(" "), 20);
      response.on("close", () => clearInterval(timer));
    });
    const call = connect({ apiKey: API_KEY, url, timeoutMs: 200 }).saveTemplate(settings);
    await expect(call).rejects.toThrow(/^RunPod did not answer (save|create)Template: no answer within 0.2 s$/);
  });

  it("does not follow a redirect", async () => {
    let redirected = 0;
    const url = await serve((request, response) => {
      if (request.url === "/elsewhere") redirected += 1;
      response.writeHead(307, { location: "/elsewhere" }).end();
    });
    await expect(connect({ apiKey: API_KEY, url }).saveTemplate(settings)).rejects.toThrow(
      /^RunPod did not answer .*redirect/,
    );
    expect(redirected).toBe(0);
  });

  it("fails with a message when no server listens at the address", async () => {
    const call = connect({ apiKey: API_KEY, url: "http://127.0.0.1:9" }).saveTemplate(settings);
    await expect(call).rejects.toThrow(/^RunPod did not answer (save|create)Template: .+/);
  });

  it.each([
    ["no answer", (() => {}) as RequestListener],
    ["a refusal", ((_request, response) => response.writeHead(400).end("{}")) as RequestListener],
    ["a server error", ((_request, response) => response.writeHead(503).end()) as RequestListener],
  ])("throws an error that contains neither key nor request when it gets %s", async (_case, listener) => {
    const url = await serve(listener);
    const error = await errorOf(connect({ apiKey: API_KEY, url, timeoutMs: 50 }).saveTemplate(settings));
    expect(inspect(error, { depth: 10, showHidden: true })).not.toMatch(/CANARY|canary-value/);
  });

  it("sends a create only once", async () => {
    let received = 0;
    const url = await serve((_request, response) => {
      received += 1;
      response.writeHead(503).end();
    });
    await expect(connect({ apiKey: API_KEY, url }).saveTemplate(settings)).rejects.toThrow("HTTP 503");
    expect(received).toBe(1);
  });

  it("retries a read until the retry limit, and applies the timeout to each attempt", async () => {
    setRetryPolicy({ intervalMs: 1, limitMs: 1_000 });
    let received = 0;
    const url = await serve(() => {
      received += 1;
    });
    const error = await errorOf(connect({ apiKey: API_KEY, url, timeoutMs: 50 }).listRegistryAuths());
    expect(received).toBeGreaterThan(1);
    expect(error.message).toMatch(new RegExp(`no answer within 0\\.05 s \\(tried ${received} times\\)$`));
  });

  it("retries a read after eight failures in a row", async () => {
    setRetryPolicy({ intervalMs: 1, limitMs: 5_000 });
    let received = 0;
    const url = await serve((_request, response) => {
      received += 1;
      response.writeHead(received <= 8 ? 503 : 401).end("{}");
    });
    await expect(connect({ apiKey: API_KEY, url }).listRegistryAuths()).rejects.toThrow(
      "the API key (runpodApiKey) is not valid",
    );
    expect(received).toBe(9);
  });

  it("waits for the time in Retry-After, even beyond the timeout of one attempt, and logs the wait", async () => {
    setRetryPolicy({ intervalMs: 1, limitMs: 20_000 });
    const log = vi.spyOn(console, "log").mockImplementation(() => {});
    const times: number[] = [];
    const url = await serve((_request, response) => {
      times.push(performance.now());
      response.writeHead(429, { "retry-after": times.length === 1 ? "5" : "3600" }).end();
    });
    const error = await errorOf(connect({ apiKey: API_KEY, url, timeoutMs: 400 }).listRegistryAuths());
    const limit = "runpodRetryLimitMs allows 20 s";
    expect(error.message).toMatch(/HTTP 429 \(tried 2 times; RunPod asks to wait 3600 s, /);
    expect(error.message).toContain(limit);
    const [first = 0, second = 0] = times;
    expect(second - first).toBeGreaterThan(4_990);
    expect(log.mock.calls.join()).toContain("The program tries again in 5 s, for at most 20 s in total.");
  });
});

describe("The rate limit of REST v2", () => {
  /** Serves empty lists, at most `quota` per window, with RunPod's headers. Counts the refused calls. */
  async function serveLimited(windowSeconds: number, quota: number) {
    const seen = { calls: 0, refused: 0 };
    let window = { startedAt: Number.NEGATIVE_INFINITY, remaining: 0 };
    const url = await serve((_request, response) => {
      seen.calls += 1;
      if (performance.now() - window.startedAt >= windowSeconds * 1_000)
        window = { startedAt: performance.now(), remaining: quota };
      window.remaining -= 1;
      const left = Math.ceil(windowSeconds - (performance.now() - window.startedAt) / 1_000);
      const limit = { ratelimit: `"minute";r=${Math.max(0, window.remaining)};t=${left}, "day";r=40000;t=50000, junk` };
      if (window.remaining >= 0) return response.writeHead(200, limit).end('{"registries":[]}');
      seen.refused += 1;
      return response.writeHead(429, { ...limit, "retry-after": String(left) }).end();
    });
    return { client: apis.rest({ apiKey: API_KEY, url }), seen };
  }

  it("slows down sequential and concurrent calls when few calls remain, so that RunPod refuses no call", async () => {
    setRetryPolicy({ intervalMs: 1, limitMs: 20_000 });
    const { client, seen } = await serveLimited(1, 12);
    for (let call = 0; call < 20; call += 1) await client.listRegistryAuths();
    await Promise.all(Array.from({ length: 15 }, () => client.listRegistryAuths()));
    expect(seen).toEqual({ calls: 35, refused: 0 });
  });

  it("delays no call beyond the retry limit, and the error of a refused call names both limits", async () => {
    setRetryPolicy({ intervalMs: 1, limitMs: 50 });
    const { client, seen } = await serveLimited(3_600, 2);
    await client.listRegistryAuths();
    await client.listRegistryAuths();
    await expect(client.listRegistryAuths()).rejects.toThrow(/RunPod asks to wait 3600 s, runpodRetryLimitMs allows/);
    expect(seen).toEqual({ calls: 3, refused: 1 });
  });

  it("counts the calls of all clients with one key, and logs a long wait", async () => {
    setRetryPolicy({ intervalMs: 1, limitMs: 60_000 });
    const log = vi.spyOn(console, "log").mockImplementation(() => {});
    const url = await serve((_request, response) => {
      response.writeHead(200, { ratelimit: '"minute";r=0;t=50' }).end('{"registries":[]}');
    });
    await apis.rest({ apiKey: API_KEY, url }).listRegistryAuths();
    // The test does not wait for this call.
    void apis
      .rest({ apiKey: API_KEY, url })
      .listRegistryAuths()
      .catch(() => {});
    await vi.waitFor(() =>
      expect(log.mock.calls.join()).toBe(
        "RunPod's rate limit allows only a few more calls. The program continues with list registries in 50 s, for at most 60 s in total.",
      ),
    );
  });
});

describe("readStream", () => {
  it("returns the text received before its time limit", async () => {
    const url = await serve((_request, response) => {
      response.writeHead(200, { "content-type": "text/event-stream" });
      response.write("data: 1\n\n");
    });
    expect(await readStream(url, API_KEY, 200)).toBe("data: 1\n\n");
  });

  it("returns an empty text after an error response", async () => {
    const url = await serve((_request, response) => response.writeHead(404).end("not found"));
    expect(await readStream(url, API_KEY, 200)).toBe("");
  });
});
