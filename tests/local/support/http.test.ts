import { get } from "node:http";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type Listening, serve } from "../../../local/support/http";

let server: Listening;
beforeAll(async () => {
  server = await serve("test", 0, () => new Response("secret"));
});
afterAll(() => server.close());

/** Response to a GET with this Host header. */
function getAs(host: string): Promise<{ status: number | undefined; body: string }> {
  return new Promise((resolve, reject) => {
    get({ port: server.port, host: "127.0.0.1", headers: { host } }, async (response) => {
      let body = "";
      for await (const chunk of response) body += chunk;
      resolve({ status: response.statusCode, body });
    }).on("error", reject);
  });
}

describe("A local service", () => {
  it.each(["localhost", "localhost:4100", "LOCALHOST:4100", "127.0.0.1:4100", "127.1.2.3", "[::1]:4100"])(
    "answers the loopback name %s",
    async (host) => {
      expect(await getAs(host)).toEqual({ status: 200, body: "secret" });
    },
  );

  it.each([
    "evil.example",
    "evil.example:4100",
    "localhost.evil.example",
    "127.0.0.1.evil.example",
    "evillocalhost",
    "localhost@evil.example",
    "evil.example#localhost",
    "192.168.0.10:4100",
    "0.0.0.0:4100",
    "[::ffff:192.168.0.10]",
    "not a host",
  ])("refuses the name %j (DNS rebinding)", async (host) => {
    const { status, body } = await getAs(host);
    expect([status, body.includes("secret")]).toEqual([403, false]);
  });
});
