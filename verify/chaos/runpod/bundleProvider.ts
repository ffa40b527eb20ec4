import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";
import { compileFunction } from "node:vm";
import type { dynamic } from "@pulumi/pulumi";
import { EngineError } from "../../../local/pulumi/error";
import { type Diff, type Known, type Live, NotReadyError, type ResourceProvider } from "../../../local/pulumi/provider";
import { typeOf } from "../../../local/pulumi/urn";
import { restoreSecrets } from "../../../local/pulumi/value";
import { mapValues, type Properties, reveal } from "../../../local/support/protocol/value";

type Bundle = typeof import("../../../runpod/provider");

const kinds: Record<string, "template" | "endpoint" | "registryAuth" | "secret"> = {
  Template: "template",
  Endpoint: "endpoint",
  RegistryAuth: "registryAuth",
  Secret: "secret",
};

/** Key under which Pulumi stores the text of the provider in the state. */
const PROVIDER_KEY = "__provider";

/**
 * Calls the provider's bundle in this process, with the semantics of Pulumi's server for dynamic resources. A run
 * without that server, gRPC and a second process needs much less CPU time.
 */
export class BundleProvider implements ResourceProvider {
  private readonly bundle: Bundle;
  /** Called with each line that the provider shows to the operator. */
  log: (line: string) => void = () => {};

  /** @param programDir folder with `.build/runpod/provider.cjs` */
  constructor(programDir: string) {
    const filename = join(programDir, ".build/runpod/provider.cjs");
    // `require` would share one module. Each instance needs a separate copy and a separate console, because the bundle
    // keeps its connection in a variable and prints its progress.
    const run = compileFunction(readFileSync(filename, "utf8"), ["module", "exports", "require", "console"], {
      filename,
    });
    const module = { exports: {} as Bundle };
    run(module, module.exports, createRequire(filename), { log: (line: string) => this.log(line) });
    this.bundle = module.exports;
  }

  /** Configures the provider, as Pulumi does at the start of each operation. */
  configure(get: (key: string) => string | undefined): void {
    this.bundle.configure({ config: { get, require: (key) => get(key) ?? "" } });
  }

  async check(urn: string, olds: Properties, news: Properties): Promise<Properties> {
    const { inputs, failures = [] } = await this.methods(urn).check(plain(olds), plain(news));
    if (failures.length > 0)
      throw new EngineError(failures.map((each) => `${each.property}: ${each.reason}`).join("; "));
    return withProvider(inputs, news);
  }

  async diff(old: Known, news: Properties): Promise<Diff> {
    const found = await this.methods(old.urn).diff(old.id, plain(old.outputs), plain(news));
    return {
      changes: found.changes,
      changed: [],
      replaces: found.replaces ?? [],
      deleteBeforeReplace: found.deleteBeforeReplace ?? false,
    };
  }

  async create(urn: string, inputs: Properties): Promise<Live> {
    const { id, outs } = await notReady(inputs, () => this.methods(urn).create(plain(inputs)));
    return { id, outputs: withProvider(outs, inputs) };
  }

  async update(old: Known, news: Properties): Promise<Live> {
    const { outs } = await notReady(news, () => this.methods(old.urn).update(old.id, plain(old.outputs), plain(news)));
    return { id: old.id, outputs: withProvider(outs, news) };
  }

  async read(known: Known): Promise<Live | undefined> {
    const { id = "", props, inputs } = await this.methods(known.urn).read(known.id, plain(known.outputs));
    if (id === "") return undefined;
    const outputs = withProvider(props, { ...known.inputs, ...known.outputs });
    return { id, outputs, inputs: inputs && withProvider(inputs, known.inputs) };
  }

  async delete(old: Known): Promise<void> {
    await this.methods(old.urn).delete(old.id);
  }

  private methods(urn: string) {
    const kind = kinds[typeOf(urn).split(":").at(-1) ?? ""];
    if (kind === undefined) throw new EngineError(`no provider for ${urn}`);
    const methods: Required<Omit<dynamic.ResourceProvider, "configure">> = this.bundle[kind];
    return methods as Pick<typeof methods, keyof ResourceProvider> & { delete(id: string): Promise<void> };
  }
}

function plain(properties: Properties): Properties {
  return mapValues(properties, reveal);
}

/** Adds the provider's text to a result. An output is secret when the input of the same name is secret. */
function withProvider(result: Record<string, unknown> | undefined, given: Properties): Properties {
  const known = Object.entries(result ?? {}).filter(([, value]) => value !== undefined);
  const provider = PROVIDER_KEY in given ? { [PROVIDER_KEY]: given[PROVIDER_KEY] } : {};
  return restoreSecrets({ ...Object.fromEntries(known), ...provider } as Properties, given);
}

/** Converts the provider's error for a resource that exists but is not ready. */
async function notReady<T>(given: Properties, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    if (!(error instanceof Error && "id" in error && "properties" in error && "reasons" in error)) throw error;
    const { id, properties, reasons } = error as Error & { id: string; properties: Properties; reasons: string[] };
    throw new NotReadyError({ id, outputs: withProvider(properties, given) }, reasons);
  }
}
