import { createServer, type RequestListener } from "node:http";
import type { AddressInfo } from "node:net";
import { inspect } from "node:util";
import { afterEach, describe, expect, it } from "vitest";
import { apis } from "../../runpod/apis";
import { readStream } from "../../runpod/http";
import { setRetryInterval } from "../../runpod/retry";

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
  setRetryInterval(500);
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

  it("fails at its time limit when the answer arrives too slowly", async () => {
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
  ])("throws an error without the key and the request when it gets %s", async (_case, listener) => {
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

  it("tries a read four times, and the time limit applies to each attempt", async () => {
    setRetryInterval(1);
    let received = 0;
    const url = await serve(() => {
      received += 1;
    });
    const call = connect({ apiKey: API_KEY, url, timeoutMs: 50 }).listRegistryAuths();
    await expect(call).rejects.toThrow(/no answer within 0.05 s \(tried 4 times\)$/);
    expect(received).toBe(4);
  });

  it("waits as long as Retry-After says, even beyond the time limit of one attempt", async () => {
    setRetryInterval(1);
    const times: number[] = [];
    const url = await serve((_request, response) => {
      times.push(performance.now());
      response.writeHead(429, { "retry-after": times.length === 1 ? "1" : "3600" }).end();
    });
    const error = await errorOf(connect({ apiKey: API_KEY, url, timeoutMs: 400 }).listRegistryAuths());
    expect(error.message).toMatch(/HTTP 429 \(tried 2 times\)$/);
    const [first = 0, second = 0] = times;
    expect(second - first).toBeGreaterThan(990);
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
