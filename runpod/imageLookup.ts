import axios, { type AxiosResponse } from "axios";
import { z } from "zod";
import { parseImageName } from "./imageName";

/** Result of a lookup in an image's registry. */
export type ImageInfo =
  /** The image exists for linux/amd64. `compressedBytes` is the size of the download. */
  | { status: "found"; compressedBytes: number }
  /** The image exists, but only for these platforms. */
  | { status: "wrong platform"; platforms: string[] }
  | { status: "missing" };

/** Platform of RunPod's hosts. */
const PLATFORM = "linux/amd64";
const MANIFEST_TYPES = [
  "application/vnd.oci.image.index.v1+json",
  "application/vnd.docker.distribution.manifest.list.v2+json",
  "application/vnd.oci.image.manifest.v1+json",
  "application/vnd.docker.distribution.manifest.v2+json",
].join(", ");

const platform = z.object({ os: z.string(), architecture: z.string() });
const index = z.object({ manifests: z.array(z.object({ digest: z.string(), platform: platform.optional() })) });
const manifest = z.object({
  config: z.object({ digest: z.string() }),
  layers: z.array(z.object({ size: z.number() })),
});
const tokenResponse = z.object({ token: z.string().optional(), access_token: z.string().optional() });

/** Reads a path below `/v2/<repository>`. */
type Get = (path: string, accept: string) => Promise<AxiosResponse<unknown>>;

/**
 * Reads an image's manifest from its registry, without credentials, through the registry HTTP API v2.
 *
 * @param timeoutMs time limit of all calls together
 * @returns undefined when the registry cannot be reached, is private or uses a different API
 */
export async function lookUpImage(imageName: string, timeoutMs: number): Promise<ImageInfo | undefined> {
  const { host, repository, reference } = parseImageName(imageName);
  const isLocal = /^(localhost|127\.0\.0\.1)(:|$)/.test(host);
  const base = `${isLocal ? "http" : "https"}://${host === "docker.io" ? "registry-1.docker.io" : host}/v2/${repository}`;
  try {
    return await readManifest(registryGet(base, repository, AbortSignal.timeout(timeoutMs)), reference);
  } catch {
    return undefined;
  }
}

/**
 * Returns a function that reads from the registry. Many registries require a token even for public images. Their 401
 * response contains the address that issues the token.
 */
function registryGet(base: string, repository: string, signal: AbortSignal): Get {
  const request = (url: string, headers = {}) =>
    axios.get<unknown>(url, { headers, signal, proxy: false, validateStatus: () => true });
  let token: string | undefined;

  return async (path, accept) => {
    const read = () => request(base + path, { accept, ...(token && { authorization: token }) });
    const first = await read();
    if (first.status !== 401 || token !== undefined) return first;
    const url = tokenUrl(String(first.headers["www-authenticate"] ?? ""), repository);
    if (url === undefined) return first;
    const { data } = await request(url.href);
    const { token: bearer, access_token = bearer } = tokenResponse.parse(data);
    if (access_token === undefined) return first;
    token = `Bearer ${access_token}`;
    return read();
  };
}

async function readManifest(get: Get, reference: string): Promise<ImageInfo | undefined> {
  const { status, data } = await get(`/manifests/${reference}`, MANIFEST_TYPES);
  if (status === 404) return { status: "missing" };
  if (status !== 200) return undefined;

  const list = index.safeParse(data).data?.manifests;
  if (list !== undefined) {
    const named = list.flatMap(({ digest, platform }) => (platform ? [{ digest, name: platformName(platform) }] : []));
    const match = named.find(({ name }) => name === PLATFORM);
    if (match !== undefined) return readManifest(get, match.digest);
    // Attestations have the platform "unknown". If an index contains only attestations, the image's platforms are
    // unknown.
    const platforms = named.map(({ name }) => name).filter((name) => name !== "unknown/unknown");
    return platforms.length > 0 ? { status: "wrong platform", platforms } : undefined;
  }
  const single = manifest.safeParse(data).data;
  if (single === undefined) return undefined;
  const config = await get(`/blobs/${single.config.digest}`, "application/json");
  const built = config.status === 200 ? platform.safeParse(config.data).data : undefined;
  if (built !== undefined && platformName(built) !== PLATFORM)
    return { status: "wrong platform", platforms: [platformName(built)] };
  return { status: "found", compressedBytes: single.layers.reduce((sum, { size }) => sum + size, 0) };
}

/** Address that issues a pull token, from a `WWW-Authenticate` header. */
function tokenUrl(challenge: string, repository: string): URL | undefined {
  const { realm, service } = Object.fromEntries(
    [...challenge.matchAll(/(\w+)="([^"]*)"/g)].map(([, key = "", value = ""]) => [key, value]),
  );
  if (!/^bearer /i.test(challenge) || realm === undefined || !URL.canParse(realm)) return undefined;
  const url = new URL(realm);
  if (service !== undefined) url.searchParams.set("service", service);
  url.searchParams.set("scope", `repository:${repository}:pull`);
  return url;
}

function platformName({ os, architecture }: z.infer<typeof platform>): string {
  return `${os}/${architecture}`;
}
