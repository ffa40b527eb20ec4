/** This machine's sources of Python packages, for use in a build. */
export interface PackageIndex {
  /** Text of uv's configuration file `uv.toml`. */
  uvToml: string;
  /** File of trusted certificates; undefined means the system's default file. */
  certificates: string | undefined;
}

/**
 * Converts this machine's settings of pip and uv, so that a build uses the same package sources.
 *
 * @param pipConfig output of `pip config list`: one line `global.index-url='https://…'` per setting from files or the
 * environment
 */
export function packageIndex(pipConfig: string, env: NodeJS.ProcessEnv): PackageIndex {
  const settings = new Map<string, string>();
  for (const [, key = "", value = ""] of pipConfig.matchAll(/^[\w:]+?\.([\w-]+)='(.*)'$/gm)) {
    // pip lists settings from the environment first, and they override settings from files.
    if (!settings.has(key)) settings.set(key, value);
  }
  const pip = (key: string) =>
    settings
      .get(key)
      ?.split(/\s+|\\n/)
      .filter((word) => word !== "") ?? [];
  const uv = (name: string) => env[name]?.split(/\s+/).filter((word) => word !== "");
  const [defaultIndex] = uv("UV_DEFAULT_INDEX") ?? uv("UV_INDEX_URL") ?? pip("index-url");
  const extraIndexes = uv("UV_INDEX") ?? uv("UV_EXTRA_INDEX_URL") ?? pip("extra-index-url");
  // Keeps only URLs, because the build cannot read this machine's folders.
  const links = [...(uv("UV_FIND_LINKS") ?? pip("find-links"))].filter((link) => /^https?:/.test(link));
  const lines = [
    "system-certs = true",
    ...listSetting("find-links", links),
    ...listSetting("allow-insecure-host", pip("trusted-host")),
    ...extraIndexes.flatMap((url) => ["[[index]]", `url = ${JSON.stringify(url)}`]),
    ...(defaultIndex ? ["[[index]]", `url = ${JSON.stringify(defaultIndex)}`, "default = true"] : []),
  ];
  return { uvToml: `${lines.join("\n")}\n`, certificates: env.SSL_CERT_FILE || settings.get("cert") };
}

function listSetting(key: string, values: string[]): string[] {
  return values.length > 0 ? [`${key} = ${JSON.stringify(values)}`] : [];
}
