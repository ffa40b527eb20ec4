import pRetry from "p-retry";
import * as z from "zod";

/** Access to Hugging Face. */
export interface HubOptions {
  /** `https://huggingface.co`, or another server with the same API. */
  url: string;
  token: string;
}

/** A repository at an exact commit: `owner/name@commit`. */
export interface Pinned {
  repository: string;
  revision: string;
}

const Commit = z.object({ sha: z.string().regex(/^[0-9a-f]{40}$/) });
const Repository = z.object({ private: z.boolean() });
const Files = z.array(z.object({ path: z.string(), size: z.number().default(0) }));
/** Fields of a candidate's `run.json` that the command prints. */
const Run = z.object({ losses: z.array(z.number()), data: z.object({ sha256: z.string() }) });

/** Result of a training, from its `run.json`. */
export interface RunSummary {
  steps: number;
  lossFirst: number | undefined;
  lossLast: number | undefined;
  /** SHA-256 of the conversations. */
  dataSha256: string;
}

/** The verdict of the gates, from the report that the pod uploads beside the weights. */
const Verdict = z.object({
  model: z.string(),
  mayBePromoted: z.boolean(),
  openGates: z.array(z.string()),
  gates: z.record(z.string(), z.number()),
});
export type Verdict = z.infer<typeof Verdict>;

/** Path of the report in a repository, without the file extension. */
export const REPORT = "report/report";

const TIMEOUT_MS = 30_000;

/** The calls of Hugging Face's Hub API that a training needs. */
export class Hub {
  constructor(private readonly options: HubOptions) {}

  /** @throws Error when the model repository does not exist, is public, or the token may not read it */
  async requirePrivate(repository: string): Promise<void> {
    const found = Repository.safeParse(await this.read(`/api/models/${repository}`)).data;
    if (!found)
      throw new Error(`--repository ${repository}: not found at Hugging Face, or HF_TOKEN may not read it. Create it`);
    if (!found.private) throw new Error(`--repository ${repository}: is public. A retrained model must be private`);
  }

  /** Commit of a tag of a model repository. Undefined when the tag does not exist. */
  async commitOf(repository: string, tag: string): Promise<string | undefined> {
    const found = await this.read(`/api/models/${repository}/revision/${encodeURIComponent(tag)}`);
    return found === undefined ? undefined : Commit.parse(found).sha;
  }

  /** Reads the summary of an uploaded candidate. */
  async readRun({ repository, revision }: Pinned): Promise<RunSummary> {
    const found = await this.read(`/${repository}/resolve/${revision}/run.json`);
    if (found === undefined) throw new Error(`${repository}@${revision} has no run.json`);
    const { losses, data } = Run.parse(found);
    return { steps: losses.length, lossFirst: losses[0], lossLast: losses.at(-1), dataSha256: data.sha256 };
  }

  /** Reads the verdict of the gates. Undefined when the candidate has no report. */
  async readVerdict({ repository, revision }: Pinned): Promise<Verdict | undefined> {
    const found = await this.read(`/${repository}/resolve/${revision}/${REPORT}.json`);
    return found === undefined ? undefined : Verdict.parse(found);
  }

  /** Address of the report's page. */
  reportUrl({ repository, revision }: Pinned): string {
    return `${this.options.url}/${repository}/blob/${revision}/${REPORT}.html`;
  }

  /**
   * Size in bytes of the JSON Lines files of a data set.
   *
   * @throws Error when the data set has no such file, or when a file has no licence file
   */
  async datasetBytes({ repository, revision }: Pinned): Promise<number> {
    const found = Files.safeParse(await this.read(`/api/datasets/${repository}/tree/${revision}`)).data;
    if (!found) throw new Error(`--dataset ${repository}: not found at Hugging Face, or HF_TOKEN may not read it`);
    const paths = new Set(found.map(({ path }) => path));
    const conversations = found.filter(({ path }) => path.endsWith(".jsonl"));
    if (conversations.length === 0) throw new Error(`--dataset ${repository}: contains no .jsonl file`);
    const unlicensed = conversations.find(({ path }) => !paths.has(path.replace(/jsonl$/, "license.json")));
    if (unlicensed) throw new Error(`--dataset ${repository}: ${unlicensed.path} has no .license.json beside it`);
    return conversations.reduce((sum, { size }) => sum + size, 0);
  }

  /**
   * Reads JSON. Returns undefined after 401, 403 and 404, because Hugging Face hides a private repository with these
   * statuses.
   */
  private read(path: string): Promise<unknown> {
    return pRetry(() => this.readOnce(path), { retries: 3, minTimeout: 300, randomize: true });
  }

  private async readOnce(path: string): Promise<unknown> {
    const { url, token } = this.options;
    const headers = { authorization: `Bearer ${token}` };
    const response = await fetch(url + path, { headers, signal: AbortSignal.timeout(TIMEOUT_MS) });
    if ([401, 403, 404].includes(response.status)) return undefined;
    if (!response.ok) throw new Error(`Hugging Face answered HTTP ${response.status} to ${path}`);
    return response.json();
  }
}
