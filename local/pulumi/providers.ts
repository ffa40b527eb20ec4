import { reasonOf } from "../support/protocol/grpc";
import type { Children } from "./children";
import { dynamicPackage, startDynamicProvider } from "./dynamicProvider";
import { EngineError } from "./error";
import type { EngineOptions } from "./options";
import { Provider } from "./provider";

/** Providers of one run. Connects to each provider and configures it at its first use. */
export class Providers {
  private readonly connected = new Map<string, Promise<Provider>>();

  private dynamicPort: Promise<number> | undefined;

  constructor(
    private readonly options: EngineOptions,
    private readonly children: Children,
  ) {}

  /** Starts the provider of dynamic resources early, because its start takes as long as the start of the program. */
  startDynamic(): Promise<number> {
    this.dynamicPort ??= startDynamicProvider(this.options, this.children);
    // `get` reports a failed start. If nobody calls `get`, the rejection must not be unhandled.
    this.dynamicPort.catch(() => {});
    return this.dynamicPort;
  }

  /**
   * Returns the provider of a package.
   *
   * @throws EngineError when the package has no provider, or when the provider rejects its configuration
   */
  get(name: string): Promise<Provider> {
    const existing = this.connected.get(name);
    if (existing) return existing;
    const connecting = this.connect(name);
    this.connected.set(name, connecting);
    return connecting;
  }

  /** Closes all connections. */
  async close(): Promise<void> {
    for (const connecting of await Promise.allSettled(this.connected.values())) {
      if (connecting.status === "fulfilled") connecting.value.close();
    }
  }

  private async connect(name: string): Promise<Provider> {
    const { config, providers } = this.options;
    if (name === dynamicPackage) return Provider.connect(await this.startDynamic(), config);
    const port = providers[name];
    if (port === undefined) {
      const known = [dynamicPackage, ...Object.keys(providers)].join(", ");
      throw new EngineError(`no provider for package "${name}" (available: ${known})`);
    }
    try {
      return await Provider.connect(await port, namespace(config, name));
    } catch (cause) {
      throw new EngineError(`the provider of package "${name}": ${reasonOf(cause)}`, { cause });
    }
  }
}

/** Configuration of one package, without the package name in the keys. */
function namespace(config: Record<string, string>, name: string): Record<string, string> {
  const entries = Object.entries(config).filter(([key]) => key.startsWith(`${name}:`));
  return Object.fromEntries(entries.map(([key, value]) => [key.slice(name.length + 1), value]));
}
