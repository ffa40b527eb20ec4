import { z } from "zod";
import { parseImageName } from "./imageName";

/** What a registry says of an image. */
export type ImageFacts =
  /** It has one for RunPod's hosts, of so many bytes as they are downloaded, compressed. */
  | { is: "there"; compressedBytes: number }
  /** It has images, but for these platforms only. */
  | { is: "foreign"; platforms: string[] }
  | { is: "missing" };

const PLATFORM = "linux/amd64";
const MANIFESTS = [
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

/**
 * Asks an image's registry for its manifest, without credentials, by the registry HTTP API v2.
 *
 * @param timeoutMs for all of it
 * @returns undefined when the registry cannot be read: not reachable, private, or of another kind
 */
export async function lookUpImage(imageName: string, timeoutMs: number): Promise<ImageFacts | undefined> {
  const { host, repository, reference } = parseImageName(imageName);
  const isLocal = /^(localhost|127\.0\.0\.1)(:|$)/.test(host);
  const base = `${isLocal ? "http" : "https"}://${host === "docker.io" ? "registry-1.docker.io" : host}/v2/${repository}`;
  const signal = AbortSignal.timeout(timeoutMs);
  let token: string | undefined;

  /** A registry that wants a token, even one for nobody, says where to get it. */
  async function get(path: string, accept: string): Promise<Response> {
    const ask = () => fetch(base + path, { headers: { accept, ...(token && { authorization: token }) }, signal });
    const first = await ask();
    if (first.status !== 401 || token !== undefined) return first;
    const url = tokenUrl(first.headers.get("www-authenticate"), repository);
    if (url === undefined) return first;
    const given = z.object({ token: z.string().optional(), access_token: z.string().optional() });
    const { token: bearer, access_token = bearer } = given.parse(await (await fetch(url, { signal })).json());
    if (access_token === undefined) return first;
    token = `Bearer ${access_token}`;
    return ask();
  }

  async function facts(at: string): Promise<ImageFacts | undefined> {
    const response = await get(`/manifests/${at}`, MANIFESTS);
    if (response.status === 404) return { is: "missing" };
    if (!response.ok) return undefined;
    const body: unknown = await response.json();

    const list = index.safeParse(body).data?.manifests;
    if (list !== undefined) {
      const named = list.flatMap(({ digest, platform }) => (platform ? [{ digest, name: inWords(platform) }] : []));
      const ours = named.find(({ name }) => name === PLATFORM);
      if (ours !== undefined) return facts(ours.digest);
      // An index without platforms, or with attestations alone, says nothing.
      const platforms = named.map(({ name }) => name).filter((name) => name !== "unknown/unknown");
      return platforms.length > 0 ? { is: "foreign", platforms } : undefined;
    }
    const single = manifest.safeParse(body).data;
    if (single === undefined) return undefined;
    const config = await get(`/blobs/${single.config.digest}`, "application/json");
    const built = config.ok ? platform.safeParse(await config.json()).data : undefined;
    if (built !== undefined && inWords(built) !== PLATFORM) return { is: "foreign", platforms: [inWords(built)] };
    return { is: "there", compressedBytes: single.layers.reduce((sum, { size }) => sum + size, 0) };
  }

  try {
    return await facts(reference);
  } catch {
    return undefined;
  }
}

/** Where a challenge says that a token to pull is to be had. */
function tokenUrl(challenge: string | null, repository: string): URL | undefined {
  const { realm, service } = Object.fromEntries(
    [...(challenge ?? "").matchAll(/(\w+)="([^"]*)"/g)].map(([, key = "", value = ""]) => [key, value]),
  );
  if (!/^bearer /i.test(challenge ?? "") || realm === undefined || !URL.canParse(realm)) return undefined;
  const url = new URL(realm);
  if (service !== undefined) url.searchParams.set("service", service);
  url.searchParams.set("scope", `repository:${repository}:pull`);
  return url;
}

function inWords({ os, architecture }: z.infer<typeof platform>): string {
  return `${os}/${architecture}`;
}
