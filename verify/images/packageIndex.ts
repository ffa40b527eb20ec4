/** Where Python packages come from on this machine, and what is trusted there. */
export interface PackageIndex {
  /** What uv is told of it, as the text of its `uv.toml`. */
  uvToml: string;
  /** Bundle of trusted certificates. */
  certificates: string | undefined;
}

/**
 * Reads pip's and uv's settings, so that a build finds the packages where this machine finds them.
 *
 * @param pipConfig output of `pip config list`: a line `global.index-url='https://…'` for each setting of pip's files and
 * environment
 */
export function packageIndex(pipConfig: string, env: NodeJS.ProcessEnv): PackageIndex {
  const settings = new Map<string, string>();
  for (const [, key = "", value = ""] of pipConfig.matchAll(/^[\w:]+?\.([\w-]+)='(.*)'$/gm)) {
    // pip lists its environment first, and that wins.
    if (!settings.has(key)) settings.set(key, value);
  }
  const pip = (key: string) =>
    settings
      .get(key)
      ?.split(/\s+|\\n/)
      .filter((word) => word !== "") ?? [];
  const uv = (name: string) => env[name]?.split(/\s+/).filter((word) => word !== "");
  const [first] = uv("UV_DEFAULT_INDEX") ?? uv("UV_INDEX_URL") ?? pip("index-url");
  const others = uv("UV_INDEX") ?? uv("UV_EXTRA_INDEX_URL") ?? pip("extra-index-url");
  // Folders of this machine are not the build's.
  const links = [...(uv("UV_FIND_LINKS") ?? pip("find-links"))].filter((link) => /^https?:/.test(link));
  const lines = [
    "system-certs = true",
    ...list("find-links", links),
    ...list("allow-insecure-host", pip("trusted-host")),
    ...others.flatMap((url) => ["[[index]]", `url = ${JSON.stringify(url)}`]),
    ...(first ? ["[[index]]", `url = ${JSON.stringify(first)}`, "default = true"] : []),
  ];
  return { uvToml: `${lines.join("\n")}\n`, certificates: env.SSL_CERT_FILE || settings.get("cert") };
}

function list(key: string, values: string[]): string[] {
  return values.length > 0 ? [`${key} = ${JSON.stringify(values)}`] : [];
}
