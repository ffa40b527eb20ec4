import { createServer } from "node:http";
import type { AddressInfo } from "node:net";

const INDEX = "application/vnd.oci.image.index.v1+json";
const MANIFEST = "application/vnd.oci.image.manifest.v1+json";

/** Starts an image registry that requires a token even for public images, like Docker Hub and GHCR. */
export async function startImageRegistry() {
  const manifest = (architecture: string, gigabytes: number) => ({
    schemaVersion: 2,
    mediaType: MANIFEST,
    config: { digest: `sha256:config-${architecture}`, size: 7 },
    layers: [
      { digest: "sha256:a", size: gigabytes * 1e9 - 1 },
      { digest: "sha256:b", size: 1 },
    ],
  });
  const index = (...architectures: string[]) => ({
    schemaVersion: 2,
    mediaType: INDEX,
    manifests: [
      ...architectures.map((architecture) => ({
        digest: `sha256:${architecture}`,
        platform: { os: "linux", architecture },
      })),
      { digest: "sha256:attestation", platform: { os: "unknown", architecture: "unknown" } },
    ],
  });
  const manifests: Record<string, object> = {
    multi: index("arm64", "amd64"),
    "arm-only": index("arm64"),
    "single-arm": manifest("arm64", 1),
    single: manifest("amd64", 12),
    large: manifest("amd64", 45),
    "sha256:amd64": manifest("amd64", 12),
  };
  let mode: "public" | "private" = "public";
  /** Paths of all received requests. */
  const requests: string[] = [];

  const server = createServer((request, response) => {
    const url = new URL(request.url ?? "/", "http://registry");
    requests.push(url.pathname);
    const json = (status: number, body: object, headers = {}) => {
      response.writeHead(status, { "content-type": "application/json", ...headers });
      response.end(JSON.stringify(body));
    };
    if (url.pathname === "/token") {
      if (url.searchParams.get("scope") !== "repository:snack/phi3:pull") return json(400, {});
      return mode === "private" ? json(403, { errors: [] }) : json(200, { token: "anyone" });
    }
    if (request.headers.authorization !== "Bearer anyone") {
      const realm = `http://${request.headers.host}/token`;
      return json(401, {}, { "www-authenticate": `Bearer realm="${realm}",service="registry"` });
    }
    const [, kind, reference = ""] = /^\/v2\/snack\/phi3\/(manifests|blobs)\/(.+)$/.exec(url.pathname) ?? [];
    if (kind === "blobs") return json(200, { os: "linux", architecture: reference.replace("sha256:config-", "") });
    const found = manifests[reference];
    return found ? json(200, found) : json(404, { errors: [{ code: "MANIFEST_UNKNOWN" }] });
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const host = `127.0.0.1:${(server.address() as AddressInfo).port}`;
  return {
    image: (tag: string) => `${host}/snack/phi3:${tag}`,
    requests,
    setMode(next: typeof mode) {
      mode = next;
    },
    close: () =>
      new Promise<void>((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}
