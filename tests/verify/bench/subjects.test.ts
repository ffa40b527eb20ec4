import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { Children } from "../../../verify/bench/children";
import type { Gateway } from "../../../verify/bench/relay/gateways";
import { ask, gatewaySubject } from "../../../verify/bench/relay/subjects";
import { readChunk, StreamClient } from "../../../verify/bench/streamClient";

const upstream = { url: "http://127.0.0.1:1/v1", model: "mistral" };

describe("a gateway that cannot be installed", () => {
  const gateway: Gateway = {
    name: "Missing",
    packages: ["missing@1"],
    install: async () => "the registry does not answer",
    server: () => ({ file: "", args: [], readyPath: "/" }),
    headers: () => ({}),
  };
  const error = vi.spyOn(console, "error").mockImplementation(() => {});
  beforeEach(() => void error.mockClear());
  afterEach(() => vi.unstubAllEnvs());

  it("is skipped with a line on stderr", async () => {
    vi.stubEnv("REQUIRE_ALL", "0");
    expect(await gatewaySubject(new Children(), gateway, upstream)).toBeUndefined();
    expect(error).toHaveBeenCalledExactlyOnceWith(
      expect.stringContaining("NOT COMPARED with Missing: Missing cannot be installed: the registry does not answer"),
    );
  });

  it("fails the benchmark when REQUIRE_ALL is 1", async () => {
    vi.stubEnv("REQUIRE_ALL", "1");
    await expect(gatewaySubject(new Children(), gateway, upstream)).rejects.toThrow("cannot be installed");
  });
});

describe("a reply in the comparison", () => {
  const chunk = (content: string) => `data: ${JSON.stringify({ choices: [{ delta: { content } }] })}\n\n`;

  /** Asks a server that sends this body for a reply of three tokens. */
  async function askFor(body: string, status = 200) {
    const server = createServer((_, response) => void response.writeHead(status).end(body));
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    const client = new StreamClient();
    const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
    try {
      return await ask(client, { url, body: {}, read: readChunk }, 3);
    } finally {
      client.close();
      server.close();
    }
  }

  it("returns its text and the time of the first text", async () => {
    const reply = await askFor(`${chunk("あ")}${chunk("らま")}data: [DONE]\n\n`);
    expect(reply.text).toBe("あらま");
    expect(reply.firstTextMs).toBeGreaterThan(0);
  });

  it("fails the benchmark when a part is missing", async () => {
    await expect(askFor(`${chunk("あら")}data: [DONE]\n\n`)).rejects.toThrow("expected a reply of 3 tokens, got 2");
  });

  it("fails the benchmark when the end is missing", async () => {
    await expect(askFor(chunk("あらま"))).rejects.toThrow("incomplete reply");
  });

  it("fails the benchmark with the text of an error status", async () => {
    await expect(askFor("no model", 503)).rejects.toThrow("status 503, incomplete reply no model");
  });
});
